"""The vocabulary of the suites: a check is one Great Expectations expectation, a note for people, and its bad rows.

`{batch}` in SQL stands for the table that a suite is about. Great Expectations pushes every expectation down as SQL;
what it cannot express for DuckDB (regular expressions, conditions over several tables) is a `no_rows` check, its
`UnexpectedRowsExpectation`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from userops.sqltext import identifier, literal

#: What happens when a check does not hold: the day stops; the sources at fault stay out of the lake and are red; they
#: are red only; they are warned about. An expectation that itself raises always stops the day.
Consequence = Literal["stop_day", "leave_out", "report", "flag"]


@dataclass(frozen=True)
class Check:
    """One expectation about one table.

    Attributes:
        type: class name in `great_expectations.expectations`.
        arguments: its arguments.
        columns: the columns it is about, for the report.
        bad_rows: SQL that returns the rows that break it (over `{batch}`); None when no single row does.
        consequence: what happens when it does not hold.
    """

    type: str
    arguments: dict[str, Any]
    columns: tuple[str, ...]
    note_en: str
    note_zh: str
    bad_rows: str | None
    consequence: Consequence = "stop_day"


@dataclass(frozen=True)
class Suite:
    """Everything expected of one table or view.

    Attributes:
        name: name of the suite, unique within a gate.
        table: table or view in the file that is checked.
        schema: its schema.
        shown: columns that make up a sample of bad rows, besides those of the check.
        figures: columns of a small table that the report shows whole, whether or not the checks hold.
    """

    name: str
    table: str
    title_en: str
    title_zh: str
    checks: tuple[Check, ...]
    schema: str = "main"
    shown: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()


def not_null(column: str, note_en: str, note_zh: str) -> Check:
    """Expect a value in every row."""
    return Check(
        "ExpectColumnValuesToNotBeNull", {"column": column}, (column,), note_en, note_zh,
        f"select * from {{batch}} where {identifier(column)} is null",
    )  # fmt: skip


def unique(columns: Sequence[str], note_en: str, note_zh: str) -> Check:
    """Expect no two rows with the same values in `columns`, nulls counting as values.

    One grouping in DuckDB: Great Expectations' own compound check leaves out rows with a null and counts with a
    window over the whole table, which takes many times as long.
    """
    names = ", ".join(identifier(column) for column in columns)
    query = f"select {names}, count(*) as rows_with_this_key from {{batch}} group by {names} having count(*) > 1"
    return no_rows(query, columns, note_en, note_zh)


def between(
    column: str, note_en: str, note_zh: str, minimum: float | date | None = None, maximum: float | date | None = None
) -> Check:
    """Expect every value, where there is one, within the bounds (inclusive)."""
    name = identifier(column)
    outside = [
        f"{name} {sign} {literal(bound) if isinstance(bound, date) else bound}"
        for sign, bound in (("<", minimum), (">", maximum))
        if bound is not None
    ]
    return Check(
        "ExpectColumnValuesToBeBetween", {"column": column, "min_value": minimum, "max_value": maximum}, (column,),
        note_en, note_zh, f"select * from {{batch}} where {' or '.join(outside)}",
    )  # fmt: skip


def in_set(column: str, values: Iterable[str], note_en: str, note_zh: str) -> Check:
    """Expect every value, where there is one, to be one of `values`."""
    allowed = sorted(values)
    listed = ", ".join(literal(value) for value in allowed)
    return Check(
        "ExpectColumnValuesToBeInSet", {"column": column, "value_set": allowed}, (column,), note_en, note_zh,
        f"select * from {{batch}} where {identifier(column)} not in ({listed})",
    )  # fmt: skip


def row_count(note_en: str, note_zh: str, minimum: int | None = None, maximum: int | None = None) -> Check:
    """Expect the number of rows within the bounds (inclusive)."""
    return Check(
        "ExpectTableRowCountToBeBetween", {"min_value": minimum, "max_value": maximum}, (), note_en, note_zh, None
    )


def no_rows(
    query: str, columns: Sequence[str], note_en: str, note_zh: str, consequence: Consequence = "stop_day"
) -> Check:
    """Expect `query` (over `{batch}`) to return nothing.

    Args:
        columns: the columns it is about, for the report.
    """
    text = "\n".join(line.rstrip() for line in query.strip().splitlines())
    return Check(
        "UnexpectedRowsExpectation", {"unexpected_rows_query": text}, tuple(columns), note_en, note_zh, text,
        consequence,
    )  # fmt: skip


def where(
    condition: str, columns: Sequence[str], note_en: str, note_zh: str, consequence: Consequence = "stop_day"
) -> Check:
    """Expect no row for which `condition` is true."""
    return no_rows(f"select * from {{batch}} where {condition}", columns, note_en, note_zh, consequence)


def exists_in(column: str, relation: str, other_column: str, note_en: str, note_zh: str) -> Check:
    """Expect every value, where there is one, to be in `other_column` of `relation`."""
    name = identifier(column)
    return no_rows(
        f"select * from {{batch}} where {name} is not null and {name} not in "
        f"(select {identifier(other_column)} from {relation} where {identifier(other_column)} is not null)",
        (column,),
        note_en,
        note_zh,
    )
