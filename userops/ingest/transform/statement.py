"""The SQL statements that turn `source_rows` into canonical rows and into refusals."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import xor

import duckdb

from userops.contracts.entities import Column, ColumnType, Entity
from userops.ingest.lake import NO_DATE
from userops.ingest.readers import LINE, ODD, PADDED, RAW, RECORD
from userops.ingest.sources import Source
from userops.ingest.transform import times, values
from userops.ingest.transform.fields import Field, bind_fields
from userops.ingest.transform.properties import NewColumns, extras_object, gathered, merged
from userops.ingest.transform.rules import DateBounds, Money, rules_of
from userops.ingest.transform.zones import local_time
from userops.sqltext import identifier, literal

#: Separates the values in a row's fingerprint, and begins the fingerprint of a row that has this sign in a value.
_SEPARATOR = "\x1f"
_BETWEEN, _WITH_LENGTHS = "chr(31)", "chr(30)"
#: SQL names of ODD and PADDED behind the first layer.
_ODD, _PADDED = "may_be_odd", "may_be_padded"
_COLUMNS_AT_ONCE = 4


@dataclass(frozen=True)
class CanonicalSql:
    """Two statements over `source_rows`.

    Attributes:
        rows: record_number, state (loaded, filtered, refused), the canonical columns, _row_hash, event_date.
        refusals: record_number, line_number, reasons (list of code, column, found, expected; empty for a row that is
            not refused) and raw of the rows that are not filtered. Apart from `rows`, because planning it costs as
            much and most files have no refusal.
    """

    rows: str
    refusals: str


@dataclass(frozen=True)
class Run:
    """What holds for every file of a run: project time zone, business dates and currencies that are let in."""

    timezone: str
    bounds: DateBounds
    money: Money


def canonical_sql(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    columns: Mapping[str, str],
    run: Run,
    where: str,
    new: NewColumns,
) -> CanonicalSql:
    """Return the statements that turn `source_rows` into canonical rows and into refusals.

    Args:
        columns: names and DuckDB types of the file's columns, those of its folders included.
        where: what an error about the mapping names.
        new: what to do with columns and keys the mapping does not speak of.

    Raises:
        ConfigError: the mapping names a column the file does not have, or an expression does not fit it.
    """
    contract = source.contract
    fields = bind_fields(connection, source, columns, where)
    rules = rules_of(contract, fields, source, run.bounds, run.money)
    layers = _Layers(connection, source, run, fields, new)
    names = ", ".join(identifier(name) for name in contract.column_names)
    mapped = {field.column.name for field in fields} | ({"properties"} if new.kept else set())
    filled = [column for column in contract.stored_columns if column.name in mapped]
    refused = " or ".join(f"({rule.test})" for rule in rules)
    rows = f"""
    with {layers.dated()},
    fingerprinted as (
        select
            *,
            case when {_filtered(source)} then 'filtered' when {refused} then 'refused' else 'loaded' end as state,
            {_fingerprint(source, filled)} as fingerprint
        from dated
    )
    select
        record_number,
        state,
        {names},
        cast(md5_number(fingerprint) >> 65 as bigint) as _row_hash,
        event_date
    from {_keyed(contract)}
    """
    refusals = f"""
    with {layers.dated(_raw_row(columns))}
    select
        record_number,
        line_number,
        list_filter([{", ".join(rule.reason for rule in rules)}], lambda reason: reason is not null) as reasons,
        cast(raw as varchar) as raw
    from dated
    where not ({_filtered(source)})
    """
    return CanonicalSql(rows, refusals)


@dataclass(frozen=True)
class _Layers:
    """Common table expressions: a value goes through mapped, cleaned, spelled, read, typed and dated."""

    connection: duckdb.DuckDBPyConnection
    source: Source
    run: Run
    fields: list[Field]
    new: NewColumns

    def dated(self, raw: str = "") -> str:
        """All layers, up to `dated`: canonical columns and event_date of every row."""
        layers = [
            ("mapped", self._mapped(raw)),
            ("cleaned", self._cleaned()),
            ("spelled", self._spelled()),
            ("read", self._read()),
            ("typed", self._typed()),
            ("dated", [f"{self._business_date()} as event_date"]),
        ]
        before = "source_rows"
        sql = []
        for name, columns in layers:
            everything = "" if before == "source_rows" else "*, "
            sql.append(f"{name} as (select {everything}{', '.join(columns)} from {before})")
            before = name
        return ",\n".join(sql)

    def _mapped(self, raw: str) -> list[str]:
        columns = [f"{RECORD} as record_number", f"{ODD} as {_ODD}", f"{PADDED} as {_PADDED}"]
        if raw:
            columns += [f"{LINE} as line_number", f"{raw} as raw"]
        if self.source.filter:
            columns.append(f"try({{'v': cast(({self.source.filter}) as boolean)}}) as kept")
        if self.new.kept:
            columns.append(f"{gathered(self.new)} as gathered_extras")
        return columns + [f"{field.source_sql} as {field.raw}" for field in self.fields]

    def _cleaned(self) -> list[str]:
        columns = []
        for field in self.fields:
            computed = field.mapping.expr is not None
            signs = ("true", "true") if computed or field.mapping.constant is not None else (_ODD, _PADDED)
            columns.append(f"{values.trimmed(field.raw + '.v' * computed, field.kind, *signs)} as {field.value}")
            if computed:
                columns.append(f"{field.raw} is null as {field.failed}")
        if self.new.kept:
            columns.append(f"{extras_object(self.new, 'gathered_extras')} as extras")
        return columns

    def _spelled(self) -> list[str]:
        columns = ["null as nothing"]
        for field in self.fields:
            if (spelled := times.spelled_time(field)) is not None:
                columns.append(f"{spelled} as {field.helper('spelled')}")
            if field.is_amount and (written := values.written_amount(field)) is not None:
                columns.append(f"{written} as {field.helper('written')}")
        return columns

    def _read(self) -> list[str]:
        columns = ["null as nothing"]
        for field in self.fields:
            if _is_time(field):
                utc, local = times.read_time(field)
                columns += [f"{utc} as {field.helper('utc')}", f"{local} as {field.helper('local')}"]
            else:
                columns.append(f"{self._value(field)} as {field.helper('read')}")
        return columns

    def _typed(self) -> list[str]:
        columns = [f"{self._column(field)} as {field.name}" for field in self.fields]
        for column in self.source.contract.stored_columns:
            if column.name == "properties" and self.new.kept and column.name not in self.source.columns:
                columns.append("extras as properties")
            elif column.name not in self.source.columns:
                columns.append(f"cast(null as {column.type.duckdb}) as {identifier(column.name)}")
        return columns

    def _column(self, field: Field) -> str:
        if _is_time(field):
            return times.converted_time(self.connection, field, self.source.timezone)
        if field.column.name == "properties" and self.new.kept:
            return merged(field.helper("read"), "extras")
        return field.helper("read")

    def _value(self, field: Field) -> str:
        value, kind = field.value, field.kind
        match field.column.type:
            case ColumnType.ID:
                return values.id_text(value, kind)
            case ColumnType.MONEY | ColumnType.NUMBER:
                return values.amount(field)
            case ColumnType.BOOLEAN:
                return values.boolean(value, kind)
            case ColumnType.JSON:
                return values.json_object(value, kind)
            case _ if field.column.name == "currency":
                return values.currency_code(value, kind)
            case _ if field.column.name == "event_name":
                return values.event_name(f"cast({value} as varchar)", self.source)
            case _:
                return f"cast({value} as varchar)"

    def _business_date(self) -> str:
        names = [identifier(name) for name in self.source.contract.time_columns if name in self.source.columns]
        days = [f"cast({local_time(self.connection, name, self.run.timezone)} as date)" for name in names]
        return f"coalesce({', '.join([*days, literal(NO_DATE)])})"


def _is_time(field: Field) -> bool:
    return field.column.type in (ColumnType.TIMESTAMP, ColumnType.DATE)


def _filtered(source: Source) -> str:
    """True where the filter could be evaluated and is not true; where it could not, the row is refused."""
    return "kept is not null and coalesce(kept.v, false) = false" if source.filter else "false"


def _raw_row(columns: Mapping[str, str]) -> str:
    """The whole source row, for quarantine: its text where that is kept, else all its fields as JSON."""
    fields = ", ".join(f"{literal(name)}: {identifier(name)}" for name in columns)
    return f"coalesce({RAW}, cast(to_json({{{fields}}}) as varchar))" if fields else RAW


def _fingerprint(source: Source, filled: list[Column]) -> str:
    """The row as one text that no other row has: which columns have a value, then the values.

    Columns without a value leave no trace, so a column that the contract gets later changes no older row's text. Values
    need no lengths unless one holds the sign between them, which real ones do not.
    """
    present = "0::ubigint"
    for place in range(0, len(filled), _COLUMNS_AT_ONCE):
        present = f"xor({present}, {_present(filled[place : place + _COLUMNS_AT_ONCE])})"
    values_ = f"concat_ws({_BETWEEN}, {present}, {', '.join(_stable_text(column) for column in filled)})"
    texts = [identifier(column.name) for column in filled if column.type.duckdb == "VARCHAR"]
    lengths = ", ".join(f"strlen({text})" for text in texts)
    tests = {
        column.name: f"contains({identifier(column.name)}, {_BETWEEN})"
        for column in filled
        if column.type.duckdb == "VARCHAR"
    }
    made = [test for name, test in tests.items() if _may_bring_separator(source, name)]
    taken = [test for test in tests.values() if test not in made]
    ambiguous = " or ".join([f"({_ODD} and ({' or '.join(taken or ['false'])}))", *made])
    return f"case when {ambiguous} then concat_ws({_BETWEEN}, {_WITH_LENGTHS}, {lengths}, {values_}) else {values_} end"


def _present(columns: Sequence[Column]) -> str:
    """A number that tells which of these columns have a value. Mostly they all have one, which is cheap to see."""
    all_there = " and ".join(f"{identifier(column.name)} is not null" for column in columns)
    one_by_one = "0::ubigint"
    for column in columns:
        number = f"{_number_of(column)}::ubigint"
        one_by_one = f"xor({one_by_one}, case when {identifier(column.name)} is null then 0 else {number} end)"
    together = reduce(xor, map(_number_of, columns))
    return f"case when {all_there} then {together}::ubigint else {one_by_one} end"


def _may_bring_separator(source: Source, column: str) -> bool:
    """Whether the mapping may make a text with the sign between values of a file that has none."""
    mapping = source.columns.get(column)
    computed = mapping is not None and (mapping.expr is not None or _SEPARATOR in str(mapping.constant))
    return computed or (column == "event_name" and any(_SEPARATOR in name for name in source.event_names.values()))


def _number_of(column: Column) -> int:
    """A number for a column's name; those of the columns with a value, xor-ed, tell which ones they are."""
    return int.from_bytes(hashlib.sha256(column.name.encode()).digest()[:8])


def _stable_text(column: Column) -> str:
    name = identifier(column.name)
    return f"epoch_us({name})" if column.type is ColumnType.TIMESTAMP else name


def _keyed(contract: Entity) -> str:
    if not contract.derived_key:
        return "fingerprinted"
    key = identifier(contract.key)
    return f"(select * replace (coalesce({key}, md5(fingerprint)) as {key}) from fingerprinted) as keyed"
