"""An empty DuckDB in memory, within the limits of the settings, for work on files of the lake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from userops.config import Settings


@contextmanager
def memory_engine(settings: Settings, scratch: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection for the length of a `with` block.

    Args:
        scratch: folder below USEROPS_HOME/tmp for what does not fit into `engine.memory_limit`.
    """
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": settings.engine.memory_limit,
            "threads": settings.engine.threads,
            "temp_directory": str(settings.home / "tmp" / scratch),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    try:
        yield connection
    finally:
        connection.close()
