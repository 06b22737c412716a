"""Small lookups over an open DuckDB connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb


def single_value(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    """Return the one value of a query; fetched to the end, because DuckDB refuses work beside an open result."""
    return connection.execute(query).fetchall()[0][0]


def has_table(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Return whether some schema has a table or view of this name."""
    found = connection.execute("select count(*) from information_schema.tables where table_name = ?", [name]).fetchall()
    return bool(found[0][0])
