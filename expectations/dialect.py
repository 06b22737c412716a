"""A SQLAlchemy dialect with which Great Expectations can read DuckDB.

Great Expectations closes its connection before it fetches the rows of a query. DuckDB streams its results and they die
with the connection, so that every expectation would end in `list index out of range`, which Great Expectations
reports as an ordinary failure. This dialect therefore fetches a result as soon as its statement has run.
"""

from __future__ import annotations

import atexit
import os
from functools import cache
from typing import Any

from duckdb_engine import Dialect
from sqlalchemy.dialects import registry
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy

#: Scheme of the connection URLs: `userops_duckdb:///<path>`.
SCHEME = "userops_duckdb"

#: Counts are aggregates and samples are short; a query for the bad rows themselves could return every row there is.
_MOST_ROWS = 10_000

#: Connections opened since the last `close_connections`.
_opened: list[Any] = []

_ExecutionContext: Any = Dialect.execution_ctx_cls


class BufferedExecutionContext(_ExecutionContext):  # type: ignore[misc]
    """Execution context that holds the rows of a result in memory, up to `_MOST_ROWS`."""

    def post_exec(self) -> None:
        """Fetch the result while its connection is open."""
        super().post_exec()
        if self.cursor.description is not None:
            self.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(
                self.cursor, initial_buffer=self.cursor.fetchmany(_MOST_ROWS)
            )


class BufferedDuckDBDialect(Dialect):
    """duckdb-engine's dialect with results that outlive their connection."""

    execution_ctx_cls = BufferedExecutionContext
    supports_statement_cache = True

    def connect(self, *arguments: Any, **options: Any) -> Any:
        """Open a connection that, like every other of this project, counts time stamps in UTC."""
        connection = super().connect(*arguments, **options)
        connection.execute("set timezone = 'UTC'")
        _opened.append(connection)
        return connection


@cache
def register() -> None:
    """Make SQLAlchemy know the scheme; calling it again is harmless."""
    registry.register(SCHEME, __name__, BufferedDuckDBDialect.__name__)
    atexit.register(_mute_leak_report)


def close_connections() -> None:
    """Close every connection opened so far.

    Great Expectations keeps engines and connections in caches of its own, beyond the reach of `Engine.dispose`; one
    that stays open would lock the file against every other user of it.
    """
    while _opened:
        _opened.pop().close()


def _mute_leak_report() -> None:
    """Send what is written to standard error after the last Python statement to nowhere.

    Great Expectations keeps duckdb-engine's classes alive until the interpreter is gone, and DuckDB's binding then
    prints fifty lines about leaked objects: harmless, but the last thing an operator would see of every gate.
    Tracebacks are not affected: they are written before exit handlers run.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
