"""The entry of the ingest: its steps `ingest` (stage_landing) and `load` (load_staged), and what became of files."""

from __future__ import annotations

from userops.config import Settings
from userops.ingest.ledger import Batch, open_ledger
from userops.ingest.loading import load_staged
from userops.ingest.staging import stage_again, stage_landing

__all__ = ["load_staged", "reconciliation", "stage_again", "stage_landing"]


def reconciliation(settings: Settings) -> list[Batch]:
    """Return what became of every landing file: numbered batches in their order, then staged and failed ones."""
    with open_ledger(settings) as ledger:
        return ledger.batches()
