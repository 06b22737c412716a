"""Source rows into canonical rows, as one SQL statement per file.

Rules that hold for every source; those of a type of value are in the modules:

- A value that is there but cannot be read refuses its row; so does a missing required one. Nothing is guessed.
- A time with an offset is honoured; one without is local time of the source's zone. Stored times are naive UTC.
- A business date before `gates.earliest_date`, or later than the later of today and the run's business date plus
  `gates.max_future_days`, refuses its row, so that one bad row does not hold up a whole batch at the gate.
- A currency is three letters, in upper case. An amount without one is in the project's.
"""

from __future__ import annotations

from datetime import date, timedelta

from userops.config import Settings
from userops.ingest.transform.fields import unmapped_columns, wanted_keys
from userops.ingest.transform.properties import NewColumns, new_json_keys, new_tabular_columns, personal_paths
from userops.ingest.transform.rules import CONVERSION_CODES, DateBounds, Money
from userops.ingest.transform.statement import CanonicalSql, Run, canonical_sql

__all__ = [
    "CONVERSION_CODES",
    "CanonicalSql",
    "DateBounds",
    "Money",
    "NewColumns",
    "Run",
    "canonical_sql",
    "date_bounds",
    "new_json_keys",
    "new_tabular_columns",
    "personal_paths",
    "unmapped_columns",
    "wanted_keys",
]


def date_bounds(settings: Settings, today: date, as_of: date) -> DateBounds:
    """Return the business dates that are let in by a run on `today` for business date `as_of`."""
    return DateBounds(settings.gates.earliest_date, max(today, as_of) + timedelta(days=settings.gates.max_future_days))
