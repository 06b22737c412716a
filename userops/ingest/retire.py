"""Taking a replaced batch's rows out of the lake, and nothing else.

A row that several files have lies in the lake once, under the batch that brought it first; the other batches name it
in their duplicates files. When its owner goes, the row goes over to the next batch that names it. The order of things
makes it safe to be killed anywhere and run again: rows that stay are written under their new owner, then the ledger
moves their accounts in one transaction, then the old files go, then the ledger says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb
import structlog

from userops.config import Settings
from userops.contracts.entities import ENTITIES, Entity
from userops.ingest import lake
from userops.ingest.ledger import COMMITTED, RETIRING, Batch, Ledger
from userops.sqltext import identifier, literal, literal_list

log = structlog.get_logger(__name__)


def finish_retirements(settings: Settings, ledger: Ledger) -> list[Batch]:
    """Take the rows of every retiring batch out of the lake; return those batches.

    Nothing may be staged in part while this runs: files of batches that are neither committed nor retiring must not
    lie in raw.
    """
    retiring = ledger.batches(RETIRING)
    if not retiring:
        return []
    committed = ledger.batches(COMMITTED)
    files = _files_by_batch(settings, retiring)
    with _engine(settings) as connection:
        for number, batch in enumerate(retiring, start=1):
            raw, duplicates = files[batch.batch_id]
            heirs = [other for other in committed if other.entity == batch.entity]
            if batch.retired_seq is None:
                moved = _hand_over(connection, settings, batch, raw, heirs)
                lake.reached("rows handed over")
                ledger.leave_rows(batch.batch_id, moved)
                lake.reached("accounts moved")
            _remove(settings, batch, raw, duplicates)
            lake.reached("retired files removed")
            ledger.retired(batch.batch_id)
            lake.reached("batch retired")
            log.info("replaced rows taken out of the lake", source=batch.source, done=number, batches=len(retiring))
    return retiring


def _files_by_batch(settings: Settings, batches: Sequence[Batch]) -> dict[str, tuple[list[Path], list[Path]]]:
    """Return raw and duplicates files of each batch; one walk over the partitions for all of them."""
    found: dict[str, tuple[list[Path], list[Path]]] = {}
    for entity in {batch.entity for batch in batches}:
        ids = [batch.batch_id for batch in batches if batch.entity == entity]
        raw = lake.files_of(settings.paths.raw, entity, ids)
        duplicates = lake.files_of(settings.paths.duplicates, entity, ids)
        found.update({batch_id: (raw[batch_id], duplicates[batch_id]) for batch_id in ids})
    return found


def _hand_over(
    connection: duckdb.DuckDBPyConnection, settings: Settings, batch: Batch, raw: Sequence[Path], heirs: Sequence[Batch]
) -> dict[str, dict[date, int]]:
    """Write the rows other committed batches also have under their names; return how many, by batch and date."""
    entity = ENTITIES[batch.entity]
    moved: dict[str, dict[date, int]] = {}
    for folder in sorted({file.parent for file in raw}):
        day = date.fromisoformat(folder.name.removeprefix("event_date="))
        _forget_unfinished(folder, batch)
        named = lake.data_files(lake.partition(settings.paths.duplicates, entity.name, day))
        by_owner = {lake.owner_of(file): file for file in named}
        claims = [(heir, by_owner[heir.batch_id]) for heir in heirs if heir.batch_id in by_owner]
        if not claims:
            continue
        gone = [file for file in raw if file.parent == folder]
        _fill_inherited(connection, settings, entity, folder, gone, claims)
        for position, rows in _counts(connection):
            heir = claims[position][0]
            target = folder / f"{heir.batch_id}.{batch.batch_id}.parquet"
            _write_inherited(connection, entity, heir, position, target)
            moved.setdefault(heir.batch_id, {})[day] = rows
    return moved


def _forget_unfinished(folder: Path, batch: Batch) -> None:
    """Remove what a killed run had written already: no account speaks of it yet."""
    for file in lake.data_files(folder):
        if batch.batch_id in lake.moved_from(file) and lake.owner_of(file) != batch.batch_id:
            file.unlink()


def _fill_inherited(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    entity: Entity,
    folder: Path,
    gone: Sequence[Path],
    claims: Sequence[tuple[Batch, Path]],
) -> None:
    """Fill `inherited` with the rows of `gone` that no other file of the date has and that somebody claims.

    The heir is the claimant that was committed first. The lake's schema file gives columns that old files lack.
    """
    key = f"{identifier(entity.key)}, _row_hash"
    schema = lake.partition(settings.paths.raw, entity.name, lake.NO_DATE) / lake.SCHEMA_FILE
    columns = ", ".join(f"gone.{identifier(name)}" for name, _ in lake.lake_columns(entity))
    others = [file for file in lake.data_files(folder) if file not in gone]
    elsewhere = (
        f"anti join (select {key} from read_parquet({literal_list(others)}, hive_partitioning=false)) as others "
        f"using ({key})"
        if others
        else ""
    )
    claimed = " union all ".join(
        f"select {key}, {position} as position from read_parquet({literal(file)}, hive_partitioning=false)"
        for position, (_, file) in enumerate(claims)
    )
    connection.execute(
        f"""
        create or replace temp table inherited as
        with heirs as (select {key}, min(position) as position from ({claimed}) as claims group by {key})
        select {columns}, heirs.position
        from read_parquet({literal_list([schema, *gone])}, union_by_name=true, hive_partitioning=false) as gone
        inner join heirs using ({key})
        {elsewhere}
        qualify row_number() over (partition by {key} order by gone._row_number) = 1
        """
    )


def _counts(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, int]]:
    """Return (position of the heir, rows it inherits)."""
    rows = connection.execute("select position, count(*) from inherited group by position order by position")
    return [(int(position), int(count)) for position, count in rows.fetchall()]


def _write_inherited(
    connection: duckdb.DuckDBPyConnection, entity: Entity, heir: Batch, position: int, target: Path
) -> None:
    own = {"_batch_id": literal(heir.batch_id), "_source": literal(heir.source), "_row_number": "0::bigint"}
    columns = ", ".join(
        f"{own[name]} as {identifier(name)}" if name in own else identifier(name)
        for name, _ in lake.lake_columns(entity)
    )
    temporary = lake.temporary_of(target)
    connection.execute(
        f"copy (select {columns} from inherited where position = {position} "
        f"order by {identifier(entity.key)}, _row_hash) to {literal(temporary)} (format parquet)"
    )
    lake.sync_file(temporary)
    temporary.replace(target)
    lake.sync_folder(target.parent)
    lake.reached("inherited rows written")


def _remove(settings: Settings, batch: Batch, raw: Sequence[Path], duplicates: Sequence[Path]) -> None:
    for number, file in enumerate([*raw, *duplicates]):
        lake.remove_files([file])
        if number == 0:
            lake.reached("first retired file removed")
    lake.remove_files([lake.quarantine_file(settings.paths.quarantine, batch.entity, batch.batch_id)])


@contextmanager
def _engine(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": settings.engine.memory_limit,
            "threads": settings.engine.threads,
            "temp_directory": str(settings.home / "tmp" / "retire"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    try:
        yield connection
    finally:
        connection.close()
