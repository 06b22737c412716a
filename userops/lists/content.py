"""The rows of one list at one business date, and what can be said about them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from userops.lists.registry import VALUE_WORDS, Language, ListColumn, ListExport, order_columns, sheet_columns
from userops.sqltext import identifier, literal

#: What a list is counted by, as far as it has the columns.
DIMENSIONS = ("risk_band", "value_tier", "team", "lifecycle_stage")
_FIRST_DAY = ("first_warned_on", "first_listed_on")
_LOSS_OR_VALUE = ("expected_loss", "expected_value")
_DEGRADED_WORD = "degraded"


@dataclass(frozen=True)
class ListSummary:
    """What a list holds, in figures only.

    Attributes:
        new: users who were not on the list of the date before; None when there is none before.
        model_is_degraded: whether the list says that its model is; None when it says nothing about it.
        counts: (value, rows) by dimension, in the order people expect.
        money: (column, currency, sum) of the expected loss or value; None where the list has no such column.
    """

    rows: int
    new: int | None
    model_versions: tuple[str, ...]
    model_is_degraded: bool | None
    counts: Mapping[str, tuple[tuple[str | None, int], ...]]
    money: tuple[str, str, Decimal] | None


@dataclass(frozen=True)
class ListContent:
    """One list at one business date.

    Attributes:
        types: DuckDB type by column, in the order of `rows`.
        rows: in the order of the list.
        docs: documentation by column, English and Chinese in one text.
        users_before: users on the list of the date before; None when there is no such list.
        team: the only team whose rows these are; None: everybody's.
    """

    export: ListExport
    as_of: date
    types: Mapping[str, str]
    rows: Sequence[tuple[Any, ...]]
    docs: Mapping[str, str] = field(default_factory=dict)
    users_before: frozenset[str] | None = None
    team: str | None = None

    def column(self, name: str) -> list[Any]:
        """Return the values of one column."""
        position = list(self.types).index(name)
        return [row[position] for row in self.rows]

    def sheet(self, language: Language) -> tuple[ListColumn, ...]:
        """Return the columns people see."""
        return sheet_columns(self.export, self.types, self.docs, language)

    def sheet_rows(self, columns: Sequence[ListColumn]) -> list[tuple[Any, ...]]:
        """Return the rows with these columns only."""
        names = list(self.types)
        positions = [names.index(column.name) for column in columns]
        return [tuple(row[position] for position in positions) for row in self.rows]

    @property
    def teams(self) -> tuple[str | None, ...]:
        """Teams on the list, None for users without one; nothing where the list has no teams."""
        return tuple(sorted(set(self.column("team")), key=str)) if "team" in self.types else ()

    def of_team(self, team: str) -> ListContent:
        """Return the rows of one team."""
        position = list(self.types).index("team")
        return replace(self, rows=[row for row in self.rows if row[position] == team], team=team)

    def fingerprint(self) -> str:
        """Return the SHA-256 of what the list says: names and values, nothing about how it is shown."""
        text = json.dumps([list(self.types), self.rows], default=str, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def summary(self) -> ListSummary:
        """Return the figures of this list."""
        return ListSummary(
            rows=len(self.rows),
            new=self._new(),
            model_versions=tuple(sorted({str(value) for value in self._values("model_version")})),
            model_is_degraded=self._degraded(),
            counts={name: _counted(name, self.column(name)) for name in DIMENSIONS if name in self.types},
            money=self._money(),
        )

    def _values(self, name: str) -> list[Any]:
        return [value for value in self.column(name) if value is not None] if name in self.types else []

    def _new(self) -> int | None:
        for name in _FIRST_DAY:
            if name in self.types:
                return self.column(name).count(self.as_of)
        return None if self.users_before is None else len(set(self.column("user_id")) - self.users_before)

    def _degraded(self) -> bool | None:
        names = [name for name, kind in self.types.items() if _DEGRADED_WORD in name and kind.upper() == "BOOLEAN"]
        return any(any(self._values(name)) for name in names) if names else None

    def _money(self) -> tuple[str, str, Decimal] | None:
        name = next((name for name in _LOSS_OR_VALUE if name in self.types), None)
        currencies = set(self._values("currency"))
        if name is None or len(currencies) > 1:
            return None
        return name, currencies.pop() if currencies else "", sum(map(Decimal, self._values(name)), Decimal(0))


def read_list(
    connection: duckdb.DuckDBPyConnection,
    export: ListExport,
    as_of: date,
    *,
    rows_from: str,
    all_dates: str,
    docs: Mapping[str, str],
) -> ListContent:
    """Read one list at `as_of`.

    Args:
        rows_from: SQL of the relation with the rows of that date (and maybe others).
        all_dates: SQL of the relation with the dates before; it tells who is new.
    """
    described = connection.execute(f"describe select * from {rows_from}").fetchall()
    types = {str(name): str(kind) for name, kind, *_ in described}
    order = ", ".join(identifier(name) for name in order_columns(export, types))
    rows = connection.execute(
        f"select * from {rows_from} where as_of_date = {literal(as_of)} order by {order}"
    ).fetchall()
    before = connection.execute(
        f"with earlier as (select as_of_date, user_id from {all_dates} where as_of_date < {literal(as_of)}) "
        "select user_id from earlier where as_of_date = (select max(as_of_date) from earlier)"
    ).fetchall()
    users_before = frozenset(str(user) for (user,) in before) if before else None
    return ListContent(export, as_of, types, rows, docs, users_before)


def _counted(name: str, values: Sequence[Any]) -> tuple[tuple[str | None, int], ...]:
    """Count values: codes in their own order, other values by name, None last."""
    known = list(VALUE_WORDS.get(name, {}))
    counted = Counter(None if value is None else str(value) for value in values)

    def place(value: str | None) -> tuple[bool, int, str]:
        return (value is None, known.index(value) if value in known else len(known), value or "")

    return tuple((value, counted[value]) for value in sorted(counted, key=place))
