"""What staging one file gives: its rows by fate, what a person should know of it, and a preview of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from userops.errors import SourceFileError
from userops.ingest.decode import LandingFile
from userops.ingest.ledger import Batch
from userops.ingest.transform import CanonicalSql, NewColumns


@dataclass(frozen=True)
class StagedFile:
    """What staging one file gave.

    Attributes:
        dates: loaded rows by business date.
        warnings: what a person should read.
        new_columns: columns or keys the YAML does not speak of, kept in `properties` or not.
        personal_columns: those of them that look like personal data and were left out; `a.b` is a key inside `a`.
        held: why the whole file is in quarantine, or None.
        currencies: currencies of the loaded rows, as the rows name them.
    """

    batch: Batch
    dates: dict[date, int]
    warnings: tuple[str, ...] = ()
    new_columns: tuple[str, ...] = ()
    personal_columns: tuple[str, ...] = ()
    held: str | None = None
    currencies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preview:
    """What staging would do with the first records of a file. Nothing of it was written.

    Attributes:
        rows_read, loaded, deduplicated, quarantined, filtered: the accounts of the records looked at; deduplicated
            counts records equal to another one looked at, the lake is not asked.
        reasons: (reason code, column, rows, an example of what was found, what was expected), most rows first.
        samples: for each of `loaded`, `quarantined` and `filtered` some records by column: canonical columns of loaded
            ones; record_number, line_number, reason_code, column_name, found, expected and raw of quarantined ones;
            record_number of filtered ones.
        event_names: canonical event names of loaded rows and how many rows have each.
        first_date, last_date: business dates of loaded rows.
        rows_without_user: loaded rows without a user_id; None where the entity or the mapping has none.
        new_columns, personal_columns, held, currencies, warnings: as in StagedFile.
    """

    rows_read: int
    loaded: int
    deduplicated: int
    quarantined: int
    filtered: int
    reasons: tuple[tuple[str, str, int, str, str], ...]
    samples: dict[str, list[dict[str, Any]]]
    event_names: dict[str, int]
    first_date: date | None
    last_date: date | None
    rows_without_user: int | None
    new_columns: tuple[str, ...]
    personal_columns: tuple[str, ...]
    held: str | None
    currencies: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Counts:
    """The accounts of one file, in records."""

    read: int = 0
    loaded: int = 0
    deduplicated: int = 0
    quarantined: int = 0
    filtered: int = 0

    def check(self, file: LandingFile) -> None:
        """Refuse a batch whose rows do not add up.

        Raises:
            SourceFileError: read is not loaded + deduplicated + quarantined + filtered.
        """
        total = self.loaded + self.deduplicated + self.quarantined + self.filtered
        if total != self.read or self.deduplicated < 0:
            raise SourceFileError(
                file.relative,
                f"{self.read} rows read but {self.loaded} loaded + {self.deduplicated} deduplicated + "
                f"{self.quarantined} quarantined + {self.filtered} filtered = {total}",
                "every row read in exactly one of the four",
                "report this file as a bug; nothing of it was taken",
            )


@dataclass(frozen=True)
class ReadFile:
    """A file whose rows are in `canonical_rows`; `tally` has (state, business date, rows)."""

    rows: int
    broken: int
    statement: CanonicalSql
    new: NewColumns
    warnings: tuple[str, ...]
    tally: list[tuple[str, date, int]]

    def state(self, name: str) -> int:
        """Rows in a state."""
        return sum(rows for state, _, rows in self.tally if state == name)

    def loaded_days(self) -> dict[date, int]:
        """Rows that may be loaded, by business date."""
        return {day: rows for state, day, rows in self.tally if state == "loaded"}

    def counts(self, days: Mapping[date, int], held: bool) -> Counts:
        """The accounts, with the rows that are loaded by business date."""
        loaded = sum(days.values())
        passed = self.state("loaded")
        return Counts(
            read=self.rows,
            loaded=loaded,
            deduplicated=0 if held else passed - loaded,
            quarantined=self.broken + self.state("refused") + (passed if held else 0),
            filtered=self.state("filtered"),
        )
