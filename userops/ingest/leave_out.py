"""Keeping a source's staged batches out of the lake after the gate has found fault with it, and nothing else.

A row that several files have is staged once, by the first of them; the others count it as deduplicated and name it
below incoming/_duplicates. When the first file stays out, the row moves to the next file that has it, in the order in
which the files would be loaded. The order of things makes it safe to be killed anywhere and run again: moved rows are
written, then the ledger changes in one transaction, then the files go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb

from userops.config import Settings
from userops.contracts.entities import ENTITIES, Entity
from userops.ingest import lake
from userops.ingest.ledger import FAILED, STAGED, Batch, Ledger
from userops.sqltext import identifier, literal, literal_list


def leave_out(settings: Settings, ledger: Ledger, reasons: Mapping[str, str]) -> list[Batch]:
    """Take every staged batch of these sources out of what `load` will load, and return them.

    They become `failed` with the reason as their error; the next `ingest` stages them afresh.

    Args:
        reasons: why, by source name.
    """
    staged = ledger.batches(STAGED)
    leaving = [batch for batch in staged if batch.source in reasons]
    if not leaving:
        return []
    staying = [batch for batch in staged if batch.source not in reasons]
    moved = _move_shared_rows(settings, leaving, staying)
    lake.reached("shared rows moved")
    ledger.reject({batch.batch_id: reasons[batch.source] for batch in leaving}, moved)
    lake.reached("batches rejected")
    tidy_incoming(settings, ledger)
    return leaving


def tidy_incoming(settings: Settings, ledger: Ledger) -> None:
    """Finish or undo a `leave_out` that was killed: remove files of failed batches, and rows moved from staged ones."""
    staged = {batch.batch_id for batch in ledger.batches(STAGED)}
    failed = {batch.batch_id for batch in ledger.batches(FAILED)}
    for file in _incoming_files(settings):
        if lake.owner_of(file) in failed or any(batch_id in staged for batch_id in lake.moved_from(file)):
            file.unlink()


def _incoming_files(settings: Settings) -> list[Path]:
    return sorted(settings.paths.incoming.rglob("*.parquet"))


def _move_shared_rows(
    settings: Settings, leaving: Sequence[Batch], staying: Sequence[Batch]
) -> dict[str, dict[date, int]]:
    """Write the rows that a staying batch also has into files of its own; return how many, by batch and date."""
    gone = {batch.batch_id for batch in leaving}
    moved: dict[str, Counter[date]] = {}
    with closing(duckdb.connect(":memory:", config={"memory_limit": settings.engine.memory_limit})) as connection:
        for batch in leaving:
            entity = ENTITIES[batch.entity]
            heirs = [other for other in staying if other.entity == batch.entity]
            for file in lake.files_of(settings.paths.incoming, entity.name, [batch.batch_id])[batch.batch_id]:
                _orphans(connection, settings, entity, file, gone)
                for heir in heirs:
                    rows = _inherit(connection, settings, entity, file, heir)
                    if rows:
                        moved.setdefault(heir.batch_id, Counter())[_date_of(file)] += rows
    return {batch_id: dict(rows) for batch_id, rows in moved.items()}


def _orphans(
    connection: duckdb.DuckDBPyConnection, settings: Settings, entity: Entity, file: Path, gone: set[str]
) -> None:
    """Fill `orphans` with the rows of `file` that no staying file of lake or incoming has."""
    others = [
        other
        for other in lake.existing_files(settings.paths, entity.name, [_date_of(file)])
        if lake.owner_of(other) not in gone
    ]
    connection.execute(
        f"create or replace temp table orphans as select * from read_parquet({literal(file)}, hive_partitioning=false)"
        + (f" anti join {_key_rows(entity, others)} using ({_key(entity)})" if others else "")
    )


def _inherit(connection: duckdb.DuckDBPyConnection, settings: Settings, entity: Entity, file: Path, heir: Batch) -> int:
    """Give the orphans that `heir` has as well to it, in a file of its own; return how many."""
    day = _date_of(file)
    named = lake.partition(lake.incoming_duplicates(settings.paths), entity.name, day) / f"{heir.batch_id}.parquet"
    if not named.exists():
        return 0
    key = _key(entity)
    connection.execute(
        f"create or replace temp table inherited as select * from orphans semi join {_key_rows(entity, [named])} "
        f"using ({key})"
    )
    connection.execute(
        f"create or replace temp table orphans as select * from orphans anti join inherited using ({key})"
    )
    rows = int(connection.execute("select count(*) from inherited").fetchall()[0][0])
    if rows:
        target = file.with_name(f"{heir.batch_id}.{file.name}")
        connection.execute(
            f"""
            copy (
                select * replace (
                    {literal(heir.batch_id)} as _batch_id, {literal(heir.source)} as _source, 0::bigint as _row_number
                )
                from inherited
            ) to {literal(target)} (format parquet)
            """
        )
        lake.sync_file(target)
    return rows


def _date_of(file: Path) -> date:
    return date.fromisoformat(file.parent.name.removeprefix("event_date="))


def _key(entity: Entity) -> str:
    return f"{identifier(entity.key)}, _row_hash"


def _key_rows(entity: Entity, files: Iterable[Path]) -> str:
    return f"(select {_key(entity)} from read_parquet({literal_list(files)}, hive_partitioning=false)) as others"
