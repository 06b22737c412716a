"""Read-only connections to the pipeline's own DuckDB file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from userops.config import Settings
from userops.errors import BuildError


@contextmanager
def read_warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a read-only connection to the warehouse file; its time zone is UTC.

    Raises:
        BuildError: nothing was built yet.
    """
    path = settings.paths.warehouse
    if not path.exists():
        raise BuildError(str(path), "no warehouse file", "a warehouse built by dbt", "run `userops build` first")
    with read_only(path, settings) as connection:
        yield connection


@contextmanager
def read_only(path: Path, settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a read-only connection to any DuckDB file within the configured limits."""
    connection = duckdb.connect(
        str(path),
        read_only=True,
        config={"memory_limit": settings.engine.memory_limit, "threads": settings.engine.threads},
    )
    try:
        connection.execute("set timezone = 'UTC'")
        yield connection
    finally:
        connection.close()
