"""Which source values fill which canonical columns: mappings bound against a file's columns before it is read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import duckdb

from userops.contracts.entities import Column, ColumnType
from userops.errors import ConfigError, shown_name, shown_names
from userops.ingest.sources import PSEUDO_COLUMNS, ColumnMapping, Source, did_you_mean
from userops.sqltext import identifier, literal

INTEGER_TYPES = frozenset(
    {
        *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "BIGNUM"),
    }
)
#: Largest integer up to which a float type holds every one.
FLOAT_EXACT = {"FLOAT": 2**24, "DOUBLE": 2**53}


@dataclass(frozen=True)
class Field:
    """A canonical column on its way.

    Attributes:
        kind: DuckDB type of the source value.
    """

    column: Column
    mapping: ColumnMapping
    kind: str

    @property
    def raw(self) -> str:
        """SQL name of the value as the file has it."""
        return identifier(f"raw_{self.column.name}")

    @property
    def value(self) -> str:
        """SQL name of the trimmed value; null where there is nothing."""
        return identifier(f"source_{self.column.name}")

    @property
    def failed(self) -> str:
        """SQL name of the flag that says the expression failed on the row."""
        return identifier(f"failed_{self.column.name}")

    def helper(self, purpose: str) -> str:
        """Return the SQL name of an intermediate value."""
        return identifier(f"{purpose}_{self.column.name}")

    @property
    def name(self) -> str:
        """SQL name of the canonical column."""
        return identifier(self.column.name)

    @property
    def is_amount(self) -> bool:
        """Whether it is money or a number."""
        return self.column.type in (ColumnType.MONEY, ColumnType.NUMBER)

    @property
    def source_sql(self) -> str:
        """SQL of the value over `source_rows`; of an expression a struct, which tells failed (null) from null."""
        if self.mapping.expr is not None:
            return f"try({{'v': ({self.mapping.expr})}})"
        name = mapped_name(self.mapping)
        return identifier(name) if name is not None else f"cast({literal(self.mapping.constant)} as varchar)"


def mapped_name(mapping: ColumnMapping) -> str | None:
    """Return the source column or JSON path a mapping takes its value from, or None."""
    return mapping.column if mapping.column is not None else mapping.path


def wanted_keys(connection: duckdb.DuckDBPyConnection, source: Source, where: str) -> list[str]:
    """Return the keys and JSON paths of a JSON source that the mapping speaks of.

    Raises:
        ConfigError: an expression is no SQL expression, or two keys differ in upper and lower case only.
    """
    keys = dict.fromkeys(_names_in_expressions(connection, source, where))
    for mapping in source.columns.values():
        name = mapped_name(mapping)
        if name is not None:
            keys.setdefault(name)
    for name in PSEUDO_COLUMNS:
        keys.pop(name, None)
    lowered = [key.lower() for key in keys]
    clash = sorted(key for key in keys if lowered.count(key.lower()) > 1)
    if clash:
        raise ConfigError(
            f"{where}, key `columns`",
            f"the keys {', '.join(clash)}",
            "keys that differ by more than upper and lower case",
            "write the key the same way everywhere",
        )
    return list(keys)


def unmapped_columns(
    connection: duckdb.DuckDBPyConnection, source: Source, columns: Mapping[str, str], where: str
) -> list[str]:
    """Return the file's columns, by name, that no mapping, expression, filter or `ignore` entry speaks of.

    Raises:
        ConfigError: an expression is no SQL expression.
    """
    known = {name.lower() for name in _names_in_expressions(connection, source, where)}
    known |= {name.lower() for mapping in source.columns.values() if (name := mapped_name(mapping)) is not None}
    known |= {name.lower() for name in source.ignore} | PSEUDO_COLUMNS.keys()
    return sorted(name for name in columns if name.lower() not in known)


def bind_fields(
    connection: duckdb.DuckDBPyConnection, source: Source, columns: Mapping[str, str], where: str
) -> list[Field]:
    """Bind every mapping and the filter against the file's columns, so that errors come before the file is read.

    Raises:
        ConfigError: the mapping names a column the file does not have, or an expression does not fit it.
    """
    relation = _empty_relation(columns)
    fields = []
    for column in source.contract.stored_columns:
        mapping = source.columns.get(column.name)
        if mapping is None:
            continue
        key = f"columns.{column.name}"
        name = mapped_name(mapping)
        if name is not None:
            kind = _kind_of(name, columns, f"{where}, key `{key}`")
        elif mapping.expr is not None:
            kind = _bound_type(connection, mapping.expr, relation, columns, f"{where}, key `{key}.expr`")
        else:
            kind = "VARCHAR"
        field = Field(column, mapping, kind)
        _check_time_kind(field, f"{where}, key `{key}`")
        fields.append(field)
    if source.filter:
        _bound_type(connection, f"cast(({source.filter}) as boolean)", relation, columns, f"{where}, key `filter`")
    return fields


def _kind_of(name: str, columns: Mapping[str, str], where: str) -> str:
    if name in columns:
        return columns[name]
    if name in PSEUDO_COLUMNS:
        return PSEUDO_COLUMNS[name]
    raise _unknown_column(name, columns, where)


def _empty_relation(columns: Mapping[str, str]) -> str:
    taken = {name.lower() for name in columns}
    known = {**columns, **{name: kind for name, kind in PSEUDO_COLUMNS.items() if name not in taken}}
    nulls = [f"cast(null as {kind}) as {identifier(name)}" for name, kind in known.items()]
    return f"(select {', '.join(nulls)})"


def _bound_type(
    connection: duckdb.DuckDBPyConnection, expression: str, relation: str, columns: Mapping[str, str], where: str
) -> str:
    for name in _column_references(connection, expression, where):
        if name.lower() not in {known.lower() for known in (*columns, *PSEUDO_COLUMNS)}:
            raise _unknown_column(name, columns, where)
    try:
        row = connection.execute(f"describe select try({{'v': ({expression})}}).v from {relation}").fetchall()[0]
    except duckdb.Error as error:
        raise _bad_expression(expression, error, where) from None
    return str(row[1])


def _names_in_expressions(connection: duckdb.DuckDBPyConnection, source: Source, where: str) -> list[str]:
    found = {
        f"columns.{name}.expr": mapping.expr for name, mapping in source.columns.items() if mapping.expr is not None
    }
    if source.filter:
        found["filter"] = source.filter
    return [
        name for key, text in found.items() for name in _column_references(connection, text, f"{where}, key `{key}`")
    ]


def _column_references(connection: duckdb.DuckDBPyConnection, expression: str, where: str) -> list[str]:
    """Return the columns an expression names; parameters of its lambdas are none."""
    row = connection.execute("select json_serialize_sql(?)", [f"select ({expression})"]).fetchall()[0]
    tree = json.loads(row[0])
    if tree.get("error") or len(tree["statements"]) != 1:
        raise _bad_expression(expression, ValueError(tree.get("error_message", "more than one statement")), where)
    try:
        return list(dict.fromkeys(_free_names(tree["statements"][0]["node"]["select_list"])))
    except _SubqueryError as error:
        raise _bad_expression(expression, error, where) from None


class _SubqueryError(ValueError):
    def __init__(self) -> None:
        super().__init__("a subquery")


def _free_names(node: object, bound: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the column names below a node of a parsed expression that no lambda around them has bound.

    Raises:
        _SubqueryError: there is a subquery, whose columns would be those of another table.
    """
    if isinstance(node, list):
        for item in node:
            yield from _free_names(item, bound)
    elif isinstance(node, dict):
        kind = node.get("class")
        if kind == "SUBQUERY":
            raise _SubqueryError
        if kind == "COLUMN_REF":
            yield from (name for name in node["column_names"][:1] if name not in bound)
        elif kind == "LAMBDA":
            yield from _free_names(node.get("expr"), bound | frozenset(_names_in(node.get("lhs"))))
        else:
            yield from _free_names(list(node.values()), bound)


def _names_in(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["column_names"][0]] if node.get("class") == "COLUMN_REF" else []
        return own + [name for value in node.values() for name in _names_in(value)]
    if isinstance(node, list):
        return [name for item in node for name in _names_in(item)]
    return []


def _unknown_column(name: str, columns: Mapping[str, str], where: str) -> ConfigError:
    known = list(columns)
    return ConfigError(
        where,
        f"source column `{name}`, which the file does not have",
        f"one of {shown_names(known)}",
        did_you_mean(name, [shown_name(column) for column in known])
        or "correct the name; text constants need single quotes in an `expr`, or use `value`",
    )


def _bad_expression(expression: str, error: Exception, where: str) -> ConfigError:
    message = " ".join(line.strip() for line in str(error).splitlines()[:2] if line.strip())
    return ConfigError(
        where, f"`{expression}` ({message})", "one DuckDB expression over the file's columns", "correct the expression"
    )


def _check_time_kind(field: Field, where: str) -> None:
    is_time = field.column.type in (ColumnType.TIMESTAMP, ColumnType.DATE)
    if is_time and field.mapping.format is None and (field.kind in INTEGER_TYPES or field.kind in FLOAT_EXACT):
        raise ConfigError(
            where,
            f"a number ({field.kind}) as a time",
            "a time, or a number with its unit",
            "add `format: epoch_s` (or epoch_ms, epoch_us, epoch_ns), or `format: relative_days` with an `anchor`",
        )
