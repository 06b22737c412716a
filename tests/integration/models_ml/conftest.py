"""A lake written by the tests themselves: raw entities from rows or from a query, and the control tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from userops.contracts.entities import ENTITIES, TECHNICAL_COLUMNS
from userops.ingest.control_tables import CONTROL_COLUMNS
from userops.ingest.lake import SCORE_COLUMNS

_EMPTY_DATE = "1970-01-01"
_CONTROL = {
    name: ", ".join(f"{column} {kind}" for column, kind in columns) for name, columns in CONTROL_COLUMNS.items()
}
_TAXONOMY = (
    "('page_viewed', 'view', true, true, false, false, 'page', '浏览'), "
    "('heartbeat', 'system', false, false, false, false, 'heartbeat', '心跳')"
)


@pytest.fixture(scope="session")
def small_lake() -> SimpleNamespace:
    """`write(lake, queries)` writes a whole lake; `rows(columns, values)` gives a query for literal rows."""
    return SimpleNamespace(write=write_lake, rows=rows)


def write_lake(lake: Path, queries: Mapping[str, str] | None = None, taxonomy: str = _TAXONOMY) -> None:
    """Write a whole lake. `queries`: entity -> SQL giving some canonical columns and `event_date`; others are null."""
    connection = duckdb.connect()
    for name in ENTITIES:
        _write_entity(connection, lake, name, (queries or {}).get(name))
    control = lake / "control"
    control.mkdir(parents=True, exist_ok=True)
    for name, columns in _CONTROL.items():
        connection.execute(f"create or replace table {name} ({columns})")
    connection.execute(f"insert into event_taxonomy values {taxonomy}")
    for number, name in enumerate(ENTITIES, start=1):
        connection.execute(
            f"insert into ingest_batch_dates by name select 'b' as batch_id, {number} as batch_seq, "
            f"'{name}' as entity, 'test' as source, event_date, count(*) as rows_loaded from raw_{name} "
            "group by event_date"
        )
    for name in _CONTROL:
        connection.execute(f"copy {name} to '{control / name}.parquet' (format parquet)")
    for kind, score_columns in SCORE_COLUMNS.items():
        folder = lake / "scores" / kind / f"as_of_date={_EMPTY_DATE}"
        folder.mkdir(parents=True, exist_ok=True)
        listed = ", ".join(f"{column} {data_type}" for column, data_type in score_columns)
        connection.execute(f"create or replace table scores ({listed})")
        connection.execute(f"copy scores to '{folder}/_schema.parquet' (format parquet)")
    connection.close()


def rows(columns: Sequence[str], values: Sequence[Sequence[Any]]) -> str:
    """Return a query for literal rows."""
    listed = ", ".join("(" + ", ".join(_literal(value) for value in row) + ")" for row in values)
    return f"select * from (values {listed}) as r ({', '.join(columns)})"


def _literal(value: Any) -> str:
    return "null" if value is None else "'" + str(value).replace("'", "''") + "'"


def _write_entity(connection: duckdb.DuckDBPyConnection, lake: Path, name: str, query: str | None) -> None:
    entity = ENTITIES[name]
    declared = [(column.name, column.type.duckdb) for column in entity.stored_columns]
    declared += [(column, kind) for column, kind, _ in TECHNICAL_COLUMNS]
    connection.execute(f"create or replace table raw_{name} ({', '.join(f'{c} {k}' for c, k in declared)})")
    if query:
        given = [row[0] for row in connection.execute(f"describe {query}").fetchall()]
        hashed = ", ".join(f"cast({column} as varchar)" for column in given)
        connection.execute(
            f"insert into raw_{name} by name select *, 'b' as _batch_id, 'test' as _source, "
            f"row_number() over () as _row_number, "
            f"cast(('0x0' || substr(md5(concat_ws('|', {hashed})), 1, 15)) as bigint) as _row_hash from ({query})"
        )
    folder = lake / "raw" / name
    empty = folder / f"event_date={_EMPTY_DATE}"
    empty.mkdir(parents=True, exist_ok=True)
    connection.execute(
        f"copy (select * exclude (event_date) from raw_{name} limit 0) to '{empty}/_schema.parquet' (format parquet)"
    )
    if query:
        connection.execute(
            f"copy raw_{name} to '{folder}' "
            "(format parquet, partition_by (event_date), filename_pattern 'b_{i}', overwrite_or_ignore)"
        )
