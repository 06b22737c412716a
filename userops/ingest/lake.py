"""Files of the lake: where they lie, how they appear and how they go. Every visible change is one rename."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from userops.config import Paths, Settings
from userops.contracts.entities import ENTITIES, ColumnType, Entity
from userops.errors import SourceFileError
from userops.ingest.control_tables import CONTROL_COLUMNS
from userops.ingest.ledger import Batch
from userops.sqltext import identifier

NO_DATE = date(1970, 1, 1)
SCHEMA_FILE = "_schema.parquet"

_ARROW_TYPES = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "DECIMAL(18,4)": pa.decimal128(18, 4),
}

#: Columns of the files below lake/scores, by kind; `as_of_date` is their partition.
SCORE_COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    "churn": (
        ("user_id", "VARCHAR"),
        ("model_version", "VARCHAR"),
        ("churn_probability", "DOUBLE"),
        ("raw_score", "DOUBLE"),
        ("user_value", "DOUBLE"),
        *(
            (f"reason_{rank}_{part}", "DOUBLE" if part == "contribution" else "VARCHAR")
            for rank in (1, 2, 3)
            for part in ("code", "en", "zh", "contribution")
        ),
        ("model_is_degraded", "BOOLEAN"),
    ),
    "churn_monitoring": (
        ("model_version", "VARCHAR"),
        ("feature", "VARCHAR"),
        ("reason_group", "VARCHAR"),
        ("psi", "DOUBLE"),
        ("unknown_share", "DOUBLE"),
        ("unknown_share_training", "DOUBLE"),
        ("users", "BIGINT"),
    ),
    "segments": (
        ("user_id", "VARCHAR"),
        ("segment_id", "VARCHAR"),
        ("distance", "DOUBLE"),
        ("model_version", "VARCHAR"),
        ("run_version", "VARCHAR"),
    ),
    "segment_profiles": (
        ("segment_id", "VARCHAR"),
        ("name_en", "VARCHAR"),
        ("name_zh", "VARCHAR"),
        ("distinguishing_en", "VARCHAR"),
        ("distinguishing_zh", "VARCHAR"),
        ("segmented_users", "BIGINT"),
        ("users", "BIGINT"),
        ("buyers", "BIGINT"),
        ("median_days_since_last_active", "DOUBLE"),
        ("median_active_days", "DOUBLE"),
        ("median_usual_gap_days", "DOUBLE"),
        ("median_orders", "DOUBLE"),
        ("median_net_revenue", "DOUBLE"),
        ("median_discount_share", "DOUBLE"),
        ("median_page_views_per_day", "DOUBLE"),
        ("median_interactions_per_day", "DOUBLE"),
        ("median_tenure_days", "DOUBLE"),
        ("mean_distance", "DOUBLE"),
        ("silhouette", "DOUBLE"),
        ("since", "DATE"),
        ("fitted_on", "DATE"),
        ("model_version", "VARCHAR"),
        ("run_version", "VARCHAR"),
    ),
}


def reached(point: str) -> None:
    """Mark a point between two durable actions; the tests replace this function by one that kills the process."""


def lake_columns(entity: Entity) -> tuple[tuple[str, str], ...]:
    """Return name and DuckDB type of the columns inside a lake file of `entity` (event_date is its partition)."""
    canonical = tuple((column.name, ColumnType(column.type).duckdb) for column in entity.stored_columns)
    return (
        *canonical,
        ("_batch_id", "VARCHAR"),
        ("_source", "VARCHAR"),
        ("_row_number", "BIGINT"),
        ("_row_hash", "BIGINT"),
    )


def score_schema(kind: str) -> pa.Schema:
    """Return the Arrow schema of one kind of score files."""
    return arrow_schema(SCORE_COLUMNS[kind])


def partition(root: Path, entity: str, day: date) -> Path:
    """Return the folder of one entity's business date below `root` (raw or incoming)."""
    return root / entity / f"event_date={day.isoformat()}"


def incoming_quarantine(paths: Paths) -> Path:
    """Return the folder of quarantine files whose batch has not passed the gate."""
    return paths.incoming / "_quarantine"


def incoming_duplicates(paths: Paths) -> Path:
    """Return the folder of duplicates files whose batch has not passed the gate."""
    return paths.incoming / "_duplicates"


def dropped_quarantine(paths: Paths) -> Path:
    """Return the folder of quarantined rows that a person dropped for good; nothing in it is ever deleted."""
    return paths.quarantine / "_dropped"


def owner_of(file: Path) -> str:
    """Return the batch that owns a data file: its name up to the first dot."""
    return file.name.partition(".")[0]


def moved_from(file: Path) -> tuple[str, ...]:
    """Return the batches a data file's rows came from when those went: `<owner>.<batch>.parquet`; mostly none."""
    return tuple(file.name.split(".")[1:-1])


def quarantine_file(root: Path, entity: str, batch_id: str) -> Path:
    """Return a batch's quarantine file below `root`."""
    return root / entity / f"{batch_id}.parquet"


def existing_files(
    paths: Paths, entity: str, days: Iterable[date], leave_out: frozenset[str] = frozenset()
) -> list[Path]:
    """Return the data files of these business dates, already loaded or staged, but for those of batches left out."""
    return [
        file
        for day in days
        for root in (paths.raw, paths.incoming)
        for file in data_files(partition(root, entity, day))
        if owner_of(file) not in leave_out
    ]


def data_files(folder: Path) -> list[Path]:
    """Return the data files of one partition folder in a stable order; none when there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.glob("*.parquet") if not file.name.startswith(("_", ".")))


def files_of(root: Path, entity: str, batch_ids: Collection[str]) -> dict[str, list[Path]]:
    """Return every partitioned file below `root` that these batches own, by batch, in a stable order."""
    found: dict[str, list[Path]] = {batch_id: [] for batch_id in batch_ids}
    folder = root / entity
    if not found or not folder.is_dir():
        return found
    for day in sorted(folder.iterdir()):
        if day.is_dir():
            with os.scandir(day) as entries:
                names = sorted(entry.name for entry in entries)
            for name in names:
                owner = name.partition(".")[0]
                if owner in found:
                    found[owner].append(day / name)
    return found


def files_by_batch(root: Path, batches: Collection[Batch]) -> dict[str, list[Path]]:
    """Return the partitioned files below `root` by the batch that owns them; one walk for all of an entity."""
    found: dict[str, list[Path]] = {}
    for entity in sorted({batch.entity for batch in batches}):
        found.update(files_of(root, entity, [batch.batch_id for batch in batches if batch.entity == entity]))
    return found


def ensure_lake(settings: Settings) -> None:
    """Make every table the marts read exist: a missing export is an empty table, with all its columns and no rows."""
    paths = settings.paths
    for entity in ENTITIES.values():
        _ensure_empty(partition(paths.raw, entity.name, NO_DATE) / SCHEMA_FILE, lake_columns(entity))
    for kind, columns in SCORE_COLUMNS.items():
        _ensure_empty(paths.scores / kind / f"as_of_date={NO_DATE.isoformat()}" / SCHEMA_FILE, columns)
    for name, columns in CONTROL_COLUMNS.items():
        file = control_file(paths, name)
        if not file.exists():
            write_table(file, pa.Table.from_batches([], arrow_schema(columns)))


def control_file(paths: Paths, name: str) -> Path:
    """Return the file of one control table."""
    return paths.control / f"{name}.parquet"


def arrow_schema(columns: Sequence[tuple[str, str]]) -> pa.Schema:
    """Return the Arrow schema of (name, DuckDB type) pairs."""
    return pa.schema([(name, _ARROW_TYPES[kind]) for name, kind in columns])


def write_table(file: Path, table: pa.Table) -> None:
    """Write a small Parquet file so that readers see the old content or the new one, never half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_of(file)
    pq.write_table(table, temporary)
    sync_file(temporary)
    reached(f"written:{file.name}")
    temporary.replace(file)
    sync_folder(file.parent)


def write_control_table(settings: Settings, name: str, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write a control table with these rows and return its file."""
    columns = CONTROL_COLUMNS[name]
    kind = ", ".join(f"{identifier(column)} {kind}" for column, kind in columns)
    # Arrow would load pandas to turn Python rows into columns, which takes longer than the rest of a small load.
    values = [{column: row[column] for column, _ in columns} for row in rows]
    with duckdb.connect() as connection:
        query = f"from (select unnest(cast($1 as struct({kind})[]), recursive := true))"
        table = connection.sql(query, params=[values]).to_arrow_table()
    file = control_file(settings.paths, name)
    write_table(file, table.cast(arrow_schema(columns)))
    return file


def temporary_of(file: Path) -> Path:
    """Return where a file is written before it is renamed: always the same place, so that no kill leaves litter."""
    return file.with_name(f".{file.name}.tmp")


def publish_file(staged: Path, final: Path) -> None:
    """Move one staged file to its final place; when a killed run has done so already, that is fine.

    Raises:
        SourceFileError: the file is in neither place.
    """
    if staged.exists():
        final.parent.mkdir(parents=True, exist_ok=True)
        staged.replace(final)
        reached("file moved")
    elif not final.exists():
        raise SourceFileError(
            str(staged), "no such file", "the file that `ingest` staged", "run `userops ingest` again: it stages afresh"
        )


def clear_incoming(paths: Paths) -> None:
    """Remove everything staged."""
    if paths.incoming.exists():
        shutil.rmtree(paths.incoming)


def remove_files(files: Iterable[Path]) -> None:
    """Remove files, and partition folders that are empty then. Files that are gone already are fine."""
    folders = set()
    for file in files:
        file.unlink(missing_ok=True)
        folders.add(file.parent)
    for folder in sorted(folders):
        with contextlib.suppress(OSError):  # not empty, or gone
            folder.rmdir()


def has_loaded_data(paths: Paths) -> bool:
    """Whether raw holds any data file."""
    return paths.raw.is_dir() and any(file.name != SCHEMA_FILE for file in paths.raw.glob("*/event_date=*/*.parquet"))


def sync_file(file: Path) -> None:
    """Force a file's bytes to disk."""
    with file.open("rb") as handle:
        os.fsync(handle.fileno())


def sync_folder(folder: Path) -> None:
    """Force a folder's entries (new names, renames) to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _ensure_empty(file: Path, columns: Sequence[tuple[str, str]]) -> None:
    schema = arrow_schema(columns)
    if file.exists() and pq.read_schema(file).remove_metadata().equals(schema):
        return
    write_table(file, pa.Table.from_batches([], schema))
