"""The quality gates: Great Expectations suites as code, the runner that pushes them down into DuckDB, the report.

- `steps`: the gates as steps of the daily run: `gate_lake` before anything enters the lake, `gate_marts` before
  anything is published.
- `suites/`: what is expected, one module per domain, every expectation with a note in English and 中文.
- `checks`: the vocabulary the suites are written in.
- `runner`: Great Expectations on a DuckDB file, through `dialect`.
- `report`: results as JSON and as HTML pages that open without a network.

Great Expectations takes seconds to import, so only functions import it; importing `expectations.steps` costs nothing.
"""
