"""Landing files into the lake: source YAMLs, ledger, deduplication, quarantine, reconciliation.

`runner.stage_landing` reads every new file under `landing/` into `lake/incoming/`; `runner.load_staged` moves what the
gate let through into `lake/raw/`. One landing file is one batch, the unit of work and of accounting.
"""
