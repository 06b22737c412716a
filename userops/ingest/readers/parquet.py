"""Parquet files: read where they lie, typed as they are."""

from __future__ import annotations

import duckdb

from userops.ingest.decode import LandingFile, Probe
from userops.ingest.readers.common import (
    LINE,
    RAW,
    RECORD,
    no_rejects,
    own_columns,
    pseudo_columns,
    scalar,
    sign_items,
    unreadable,
)
from userops.sqltext import identifier, literal


def parquet_columns(connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe) -> dict[str, str]:
    """Return names and DuckDB types of the columns.

    Raises:
        SourceFileError: it is no Parquet file, or a damaged one.
    """
    query = f"describe select * from read_parquet({literal(probe.readable)}, hive_partitioning=false)"
    try:
        return {row[0]: row[1] for row in connection.execute(query).fetchall()}
    except duckdb.Error as error:
        raise unreadable(file, "a Parquet file", error) from None


def read_parquet_records(connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe) -> int:
    """Make `source_rows` a view of the file; return its number of rows."""
    columns = list(parquet_columns(connection, file, probe))
    items = [f"file_row_number + 1 as {RECORD}", f"cast(null as bigint) as {LINE}", f"cast(null as varchar) as {RAW}"]
    items += [*sign_items(file), *pseudo_columns(file, columns), *map(identifier, own_columns(file, columns))]
    limit = "" if probe.limit is None else f"where file_row_number < {probe.limit}"
    connection.execute(
        f"""
        create or replace temp view source_rows as
        select {", ".join(items)}
        from read_parquet({literal(probe.readable)}, hive_partitioning=false, file_row_number=true)
        {limit}
        """
    )
    no_rejects(connection)
    rows = scalar(
        connection, f"select coalesce(sum(num_rows), 0)::bigint from parquet_file_metadata({literal(probe.readable)})"
    )
    return rows if probe.limit is None else min(rows, probe.limit)
