"""Identifiers and values as DuckDB SQL text."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path


def identifier(name: str) -> str:
    """Return `name` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | int | date | bool | Path | None) -> str:
    """Return `value` as a literal: text and paths in single quotes, dates as `DATE '...'`, None as `null`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return "'" + str(value).replace("'", "''") + "'"


def literal_list(values: Iterable[str | Path]) -> str:
    """Return `values` as a list literal."""
    return "[" + ", ".join(literal(value) for value in values) + "]"


def json_pointer(key: str) -> str:
    """Return the JSON pointer (RFC 6901) of a key of the outermost object, for DuckDB's `json_extract`."""
    return "/" + key.replace("~", "~0").replace("/", "~1")
