"""What `ingest` staged, as a small DuckDB file for the lake gate: views over Parquet, accounts as tables."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb

from userops.config import Settings
from userops.contracts.entities import ENTITIES, Entity
from userops.ingest.lake import incoming_quarantine, lake_columns, partition
from userops.ingest.ledger import STAGED, Batch
from userops.ingest.runner import reconciliation
from userops.ingest.sources import load_sources
from userops.sqltext import identifier, literal, literal_list

_BATCHES_SQL = """
create table staged_batches (
    batch_id varchar, source varchar, entity varchar, file_path varchar, rows_read bigint, rows_loaded bigint,
    rows_deduplicated bigint, rows_quarantined bigint, rows_filtered bigint, rows_in_files bigint,
    rows_in_quarantine bigint
)
"""

_SOURCES_SQL = """
create table staged_sources as
select
    source,
    sum(rows_read) as rows_read,
    sum(rows_quarantined) as rows_quarantined,
    sum(rows_quarantined) / greatest(sum(rows_read), 1) as quarantined_share,
    any_value(max_quarantine_share) as max_quarantine_share,
    any_value(commonest_reason) as commonest_reason
from staged_batches
left join quarantine_limits using (source)
left join quarantine_reasons using (source)
group by source
order by source
"""


@dataclass(frozen=True)
class Staged:
    """What is staged.

    Attributes:
        batches: the ledger's staged batches.
        entities: view of the staged rows by entity name.
        loaded: view of rows in the lake with the same business dates, by entity name; only where there are any.
    """

    batches: list[Batch]
    entities: dict[str, str] = field(default_factory=dict)
    loaded: dict[str, str] = field(default_factory=dict)


def describe_staged(settings: Settings, database: Path) -> Staged:
    """Write what is staged into a new DuckDB file `database`; return what is in it."""
    batches = [batch for batch in reconciliation(settings) if batch.state == STAGED]
    files = sorted(settings.paths.incoming.glob("[!_]*/event_date=*/*.parquet"))
    staged = Staged(batches)
    if not batches and not files:
        return staged
    with closing(duckdb.connect(str(database))) as connection:
        connection.execute("set timezone = 'UTC'")
        for entity in ENTITIES.values():
            of_entity = [path for path in files if path.parents[1].name == entity.name]
            if of_entity:
                _view_entity(connection, settings, entity, of_entity, staged)
        connection.begin()  # one commit, not one per batch
        _write_accounts(connection, settings, batches, files)
        connection.commit()
    return staged


def _view_entity(
    connection: duckdb.DuckDBPyConnection, settings: Settings, entity: Entity, files: Sequence[Path], staged: Staged
) -> None:
    staged.entities[entity.name] = f"staged_{entity.name}"
    _create_view(connection, entity, staged.entities[entity.name], files)
    known = {batch.batch_id for batch in staged.batches}
    days = sorted({date.fromisoformat(path.parent.name.removeprefix("event_date=")) for path in files})
    in_lake = [
        path
        for day in days
        for path in sorted(partition(settings.paths.raw, entity.name, day).glob("[!_]*.parquet"))
        if path.stem not in known  # moved there by a load that was killed
    ]
    if in_lake:
        staged.loaded[entity.name] = f"loaded_{entity.name}"
        _create_view(connection, entity, staged.loaded[entity.name], in_lake)


def _create_view(connection: duckdb.DuckDBPyConnection, entity: Entity, name: str, files: Sequence[Path]) -> None:
    columns = ", ".join([*(identifier(column) for column, _ in lake_columns(entity)), "event_date"])
    connection.execute(
        f"create view {identifier(name)} as select {columns} from read_parquet({literal_list(files)}, "
        "hive_partitioning = true, hive_types = {'event_date': date})"
    )


def _write_accounts(
    connection: duckdb.DuckDBPyConnection, settings: Settings, batches: Sequence[Batch], files: Sequence[Path]
) -> None:
    quarantined = sorted(incoming_quarantine(settings.paths).glob("*/*.parquet"))
    connection.execute("create table staged_files (file_name varchar, batch_id varchar, rows_in_file bigint)")
    if files:
        connection.execute(
            "insert into staged_files "
            f"select replace(file_name, {literal(str(settings.paths.incoming) + '/')}, ''), "
            "parse_filename(file_name, true), num_rows "
            f"from parquet_file_metadata({literal_list(files)})"
        )
    in_files = dict(
        connection.execute("select batch_id, sum(rows_in_file) from staged_files group by batch_id").fetchall()
    )
    in_quarantine = _rows_by_batch(connection, quarantined)
    connection.execute(_BATCHES_SQL)
    if batches:
        connection.executemany(
            f"insert into staged_batches values ({', '.join('?' * 11)})",
            [
                [
                    batch.batch_id, batch.source, batch.entity, batch.file_path, batch.rows_read, batch.rows_loaded,
                    batch.rows_deduplicated, batch.rows_quarantined, batch.rows_filtered,
                    in_files.get(batch.batch_id, 0), in_quarantine.get(batch.batch_id, 0),
                ]
                for batch in batches
            ],
        )  # fmt: skip
    connection.execute("create table quarantine_limits (source varchar, max_quarantine_share double)")
    limits = _limits(settings, {batch.source for batch in batches})
    if limits:
        connection.executemany("insert into quarantine_limits values (?, ?)", [[*limit] for limit in limits.items()])
    _write_reasons(connection, quarantined)
    connection.execute(_SOURCES_SQL)


def _rows_by_batch(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> dict[str, int]:
    if not files:
        return {}
    rows = connection.execute(
        "select parse_filename(file_name, true), sum(num_rows) "
        f"from parquet_file_metadata({literal_list(files)}) group by 1"
    ).fetchall()
    return {batch_id: int(count) for batch_id, count in rows}


def _limits(settings: Settings, names: set[str]) -> dict[str, float]:
    """Return the highest quarantined share of each source: its own, else the instance's."""
    own = {source.source: source.max_quarantine_share for source in load_sources(settings)} if names else {}
    limits = {}
    for name in sorted(names):
        share = own.get(name)
        limits[name] = settings.gates.max_quarantine_share if share is None else share
    return limits


def _write_reasons(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    """Write the commonest reason of each source: code and column only, never the refused value."""
    connection.execute("create table quarantine_reasons (source varchar, commonest_reason varchar)")
    if files:
        connection.execute(
            f"""
            insert into quarantine_reasons
            select
                staged_batches.source,
                mode(concat_ws(' in column ', refused.reason_code, nullif(refused.column_name, '')))
            from read_parquet({literal_list(files)}, union_by_name = true) as refused
            inner join staged_batches on staged_batches.batch_id = refused.batch_id
            group by staged_batches.source
            """
        )
