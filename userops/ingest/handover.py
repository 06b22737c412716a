"""Rows that several files have: when the batch that holds them goes, the next one that named them gets them.

Such a row lies in a data file once, under the batch that brought it first; the other batches name it in their
duplicates files. A row is written under its new owner before anything else happens: killed in between, what was
written is not spoken of by any account, and is written afresh.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from userops.config import Settings
from userops.contracts.entities import ENTITIES, Entity
from userops.ingest import lake
from userops.ingest.ledger import Batch
from userops.sqltext import identifier, literal, literal_list


@dataclass(frozen=True)
class Place:
    """Where rows change hands.

    Attributes:
        roots: folders of the data files that count: a row that lies in one of them under a batch that stays needs no
            new owner.
        duplicates: folder of the files in which batches name the rows they have as well.
    """

    roots: tuple[Path, ...]
    duplicates: Path


def hand_over(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    place: Place,
    batch: Batch,
    files: Sequence[Path],
    heirs: Sequence[Batch],
    gone: Collection[str],
) -> dict[str, dict[date, int]]:
    """Write the rows of a batch that others also have under their names, beside its files.

    Args:
        files: the data files of the batch that goes.
        heirs: batches that may take its rows over; of those that name a row, the first one gets it.
        gone: ids of all batches that go together with it.

    Returns:
        Rows by business date, by the id of the batch that has them from now on.
    """
    entity = ENTITIES[batch.entity]
    moved: dict[str, dict[date, int]] = {}
    for folder in sorted({file.parent for file in files}):
        day = date.fromisoformat(folder.name.removeprefix("event_date="))
        _forget_unfinished(folder, batch)
        named = lake.data_files(lake.partition(place.duplicates, entity.name, day))
        by_owner = {lake.owner_of(file): file for file in named}
        claims = [(heir, by_owner[heir.batch_id]) for heir in heirs if heir.batch_id in by_owner]
        if not claims:
            continue
        staying = [
            file
            for root in place.roots
            for file in lake.data_files(lake.partition(root, entity.name, day))
            if lake.owner_of(file) not in gone
        ]
        going = [file for file in files if file.parent == folder]
        _fill_inherited(connection, settings, entity, going, staying, [file for _, file in claims])
        for position, rows in _counts(connection):
            heir = claims[position][0]
            _write_inherited(connection, entity, heir, position, folder / f"{heir.batch_id}.{batch.batch_id}.parquet")
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
    going: Sequence[Path],
    staying: Sequence[Path],
    claims: Sequence[Path],
) -> None:
    """Fill `inherited` with the rows of `going` that no staying file of the date has and that somebody claims.

    The heir is the first claimant. The lake's schema file gives columns that old files lack.
    """
    key = f"{identifier(entity.key)}, _row_hash"
    schema = lake.partition(settings.paths.raw, entity.name, lake.NO_DATE) / lake.SCHEMA_FILE
    columns = ", ".join(f"gone.{identifier(name)}" for name, _ in lake.lake_columns(entity))
    elsewhere = (
        f"anti join (select {key} from read_parquet({literal_list(staying)}, hive_partitioning=false)) as others "
        f"using ({key})"
        if staying
        else ""
    )
    claimed = " union all ".join(
        f"select {key}, {position} as position from read_parquet({literal(file)}, hive_partitioning=false)"
        for position, file in enumerate(claims)
    )
    connection.execute(
        f"""
        create or replace temp table inherited as
        with heirs as (select {key}, min(position) as position from ({claimed}) as claims group by {key})
        select {columns}, heirs.position
        from read_parquet({literal_list([schema, *going])}, union_by_name=true, hive_partitioning=false) as gone
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
