"""`dbt` for sqlfluff: dbt's cross-database macros become function calls of their name."""

from __future__ import annotations

from collections.abc import Iterable


def type_string() -> str:
    """Return the text type."""
    return "varchar"


def hash(expression: str) -> str:
    """Return a hash of a text."""
    return f"md5({expression})"


def concat(parts: Iterable[str]) -> str:
    """Return parts put together."""
    return f"concat({', '.join(parts)})"


def date_trunc(grain: str, expression: str) -> str:
    """Return the start of a period."""
    return f"date_trunc('{grain}', {expression})"


def dateadd(grain: str, count: int, expression: str) -> str:
    """Return a moved date."""
    return f"date_add({expression}, {count}, '{grain}')"


def listagg(expression: str, delimiter: str, order_by: str) -> str:
    """Return the aggregate that puts texts together."""
    return f"string_agg({expression}, {delimiter} {order_by})"
