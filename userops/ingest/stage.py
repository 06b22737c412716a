"""One landing file into one staged batch: Parquet files under incoming, a quarantine file, and the row accounts."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb

from userops.config import Paths, Settings
from userops.errors import SourceFileError
from userops.ingest.lake import existing_files, incoming_quarantine, partition, quarantine_file, reached, sync_file
from userops.ingest.ledger import FAILED, STAGED, Batch
from userops.ingest.readers import RAW, LandingFile, probe_file, read_records, source_columns
from userops.ingest.sources import Source, did_you_mean
from userops.ingest.transform import CanonicalSql, DateBounds, canonical_sql, wanted_keys
from userops.sqltext import identifier, literal, literal_list

#: Lines of a JSON lines file whose keys are looked at for a "did you mean".
_SAMPLE_LINES = 1000


@dataclass(frozen=True)
class StagedFile:
    """What staging one file gave: its batch, its loaded rows by business date, and what a person should read."""

    batch: Batch
    dates: dict[date, int]
    warnings: tuple[str, ...] = ()


@dataclass
class Stager:
    """Stages files one after another on one DuckDB connection.

    Attributes:
        statements: canonical SQL by source and file columns: daily files share one.
        keys: wanted JSON keys by source.
        seen_keys: JSON keys found in any file so far, by source; a mapped one that never appears is worth a warning.
        sampled_keys: JSON keys of the records looked at, by source, for a "did you mean".
    """

    connection: duckdb.DuckDBPyConnection
    settings: Settings
    bounds: DateBounds
    scratch: Path
    statements: dict[tuple[str, tuple[tuple[str, str], ...]], CanonicalSql] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)
    seen_keys: dict[str, set[str]] = field(default_factory=dict)
    sampled_keys: dict[str, set[str]] = field(default_factory=dict)

    def check_mapping(self, source: Source) -> None:
        """Find what is wrong with a mapping before any file is there to read.

        Raises:
            ConfigError: an expression is no expression; in a JSON lines source, also one that does not bind.
        """
        keys = wanted_keys(self.connection, source, _mapping_of(source))
        if source.format.type == "jsonl":
            self.keys[source.source] = keys
            self._statement(source, dict.fromkeys(keys, "VARCHAR"), _mapping_of(source))

    def stage(self, source: Source, file: LandingFile, sha256: str) -> StagedFile:
        """Read one file and write its batch under incoming.

        Raises:
            SourceFileError: the file cannot be read, or its rows do not add up.
            ConfigError: the mapping does not fit the file's columns.
        """
        paths = self.settings.paths
        batch_id = batch_id_of(source.source, sha256)
        size = file.path.stat().st_size
        probe = probe_file(file, source.format, self.scratch / "spool")
        if probe.empty:
            batch = _batch(source, file, sha256, size, batch_id, Counts())
            return StagedFile(
                batch, {}, (f"{file.relative} is empty (no bytes of content): taken as a file of no rows",)
            )
        columns = source_columns(self.connection, file, probe, source)
        known = columns if columns is not None else dict.fromkeys(self.keys[source.source], "VARCHAR")
        statement = self._statement(source, known, f"{_mapping_of(source)} (file {file.relative})")
        rows_read = read_records(self.connection, file, probe, source, list(known))
        if columns is None:
            self._note_keys(source)
        self._canonical_rows(statement.rows, file)
        days = self._loaded_rows(paths, source)
        counts = self._counts(rows_read, days)
        counts.check(file)
        for day in days:
            self._write_day(paths, source, batch_id, day)
        reached("data written")
        if counts.quarantined:
            self._write_quarantine(paths, source, file, batch_id, statement.refusals)
        reached("quarantine written")
        return StagedFile(_batch(source, file, sha256, size, batch_id, counts), days)

    def missing_keys(self, source: Source) -> list[str]:
        """Return the mapped JSON keys that no record of this run's files had; empty when no file was read."""
        if source.source not in self.seen_keys:
            return []
        return [key for key in self.keys[source.source] if key not in self.seen_keys[source.source]]

    def _statement(self, source: Source, columns: Mapping[str, str], where: str) -> CanonicalSql:
        signature = (source.source, tuple(columns.items()))
        if signature not in self.statements:
            self.statements[signature] = canonical_sql(
                self.connection, source, columns, self.settings, self.bounds, where
            )
        return self.statements[signature]

    def _canonical_rows(self, statement: str, file: LandingFile) -> None:
        try:
            self.connection.execute(f"create or replace temp table canonical_rows as {statement}")
        except duckdb.Error as error:
            raise SourceFileError(
                file.relative,
                f"data the mapping cannot be applied to ({str(error).splitlines()[0]})",
                "data that fits `format` and `columns` of the source YAML",
                "correct the mapping, or export the file again",
            ) from None

    def _loaded_rows(self, paths: Paths, source: Source) -> dict[date, int]:
        """Fill `loaded_rows` with the rows new to lake and run; return how many there are per business date."""
        key = identifier(source.contract.key)
        touched = [
            row[0]
            for row in self.connection.execute(
                "select distinct event_date from canonical_rows where state = 'loaded' order by event_date"
            ).fetchall()
        ]
        files = existing_files(paths, source.entity, touched)
        known = (
            f"anti join (select event_date, {key}, _row_hash from read_parquet({literal_list(files)}, "
            f"hive_partitioning=true, hive_types={{'event_date': date}})) as known using (event_date, {key}, _row_hash)"
            if files
            else ""
        )
        self.connection.execute(
            f"""
            create or replace temp table loaded_rows as
            with first_records as (
                select min(record_number) as record_number
                from canonical_rows
                {known}
                where state = 'loaded'
                group by event_date, {key}, _row_hash
            )
            select *
            from canonical_rows
            semi join first_records using (record_number)
            order by event_date, record_number
            """
        )
        rows = self.connection.execute(
            "select event_date, count(*) from loaded_rows group by event_date order by event_date"
        ).fetchall()
        return dict(rows)

    def _counts(self, rows_read: int, days: Mapping[date, int]) -> Counts:
        states = dict(self.connection.execute("select state, count(*) from canonical_rows group by state").fetchall())
        broken = self.connection.execute("select count(*) from structural_rejects").fetchone()
        assert broken is not None
        loaded = sum(days.values())
        return Counts(
            read=rows_read,
            loaded=loaded,
            deduplicated=states.get("loaded", 0) - loaded,
            quarantined=states.get("refused", 0) + int(broken[0]),
            filtered=states.get("filtered", 0),
        )

    def _write_day(self, paths: Paths, source: Source, batch_id: str, day: date) -> None:
        folder = partition(paths.incoming, source.entity, day)
        folder.mkdir(parents=True, exist_ok=True)
        columns = ", ".join(identifier(name) for name in source.contract.column_names)
        file = folder / f"{batch_id}.parquet"
        self.connection.execute(
            f"""
            copy (
                select
                    {columns},
                    {literal(batch_id)} as _batch_id,
                    {literal(source.source)} as _source,
                    record_number as _row_number,
                    _row_hash
                from loaded_rows
                where event_date = {literal(day)}
                order by record_number
            ) to {literal(file)} (format parquet)
            """
        )
        sync_file(file)

    def _write_quarantine(self, paths: Paths, source: Source, file: LandingFile, batch_id: str, refusals: str) -> None:
        target = quarantine_file(incoming_quarantine(paths), source.entity, batch_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        self.connection.execute(
            f"""
            copy (
                select
                    {literal(source.source)} as source,
                    {literal(file.relative)} as file_path,
                    {literal(batch_id)} as batch_id,
                    {literal(source.entity)} as entity,
                    *
                from (
                    select
                        record_number,
                        line_number,
                        'broken_line' as reason_code,
                        '' as column_name,
                        found,
                        expected,
                        raw
                    from structural_rejects
                    union all
                    ({refusals})
                ) as refused
                order by record_number
            ) to {literal(target)} (format parquet)
            """
        )
        sync_file(target)

    def _note_keys(self, source: Source) -> None:
        """Remember which wanted JSON keys this file has; the text is searched only for keys without a single value."""
        seen = self.seen_keys.setdefault(source.source, set())
        open_keys = [key for key in self.keys[source.source] if key not in seen]
        if not open_keys:
            return
        tests = ", ".join(f"count({identifier(key)}) > 0" for key in open_keys)
        row = self.connection.execute(f"select {tests} from source_rows").fetchone()
        assert row is not None
        seen.update(key for key, present in zip(open_keys, row, strict=True) if present)
        sampled = self.connection.execute(
            f"select distinct unnest(json_keys({RAW})) from (select {RAW} from source_rows limit {_SAMPLE_LINES})"
        ).fetchall()
        names = {name for (name,) in sampled}
        seen.update(key for key in open_keys if key in names)
        self.sampled_keys.setdefault(source.source, set()).update(names)

    def key_hint(self, source: Source, key: str) -> str:
        """Return a "did you mean" for a JSON key that was never found, or an empty text."""
        return did_you_mean(key, sorted(self.sampled_keys.get(source.source, ())))


@dataclass(frozen=True)
class Counts:
    """The accounts of one file, in records."""

    read: int = 0
    loaded: int = 0
    deduplicated: int = 0
    quarantined: int = 0
    filtered: int = 0

    def check(self, file: LandingFile) -> None:
        """Refuse a batch whose rows do not add up.

        Raises:
            SourceFileError: read is not loaded + deduplicated + quarantined + filtered.
        """
        total = self.loaded + self.deduplicated + self.quarantined + self.filtered
        if total != self.read or self.deduplicated < 0:
            raise SourceFileError(
                file.relative,
                f"{self.read} rows read but {self.loaded} loaded + {self.deduplicated} deduplicated + "
                f"{self.quarantined} quarantined + {self.filtered} filtered = {total}",
                "every row read in exactly one of the four",
                "report this file as a bug; nothing of it was taken",
            )


def batch_id_of(source: str, sha256: str) -> str:
    """Return the id of the batch that takes these bytes for this source: 16 hex digits, always the same."""
    return hashlib.sha256(f"{source}:{sha256}".encode()).hexdigest()[:16]


def failed_batch(source: Source, file: LandingFile, sha256: str, size: int, error: Exception) -> Batch:
    """Return the ledger's note of a file that could not be staged."""
    batch = _batch(source, file, sha256, size, batch_id_of(source.source, sha256), Counts())
    return Batch(**{**vars(batch), "state": FAILED, "error": str(error)})


@contextmanager
def stager(settings: Settings, bounds: DateBounds) -> Iterator[Stager]:
    """Open a Stager whose memory is bounded by `engine.memory_limit`, with its temporary files below USEROPS_HOME."""
    scratch = settings.home / "tmp" / "ingest"
    _clear(scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": settings.engine.memory_limit,
            "threads": settings.engine.threads,
            "temp_directory": str(scratch / "duckdb"),
            "preserve_insertion_order": True,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set enable_progress_bar = false")
    try:
        yield Stager(connection, settings, bounds, scratch)
    finally:
        connection.close()
        _clear(scratch)


def _clear(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _batch(source: Source, file: LandingFile, sha256: str, size: int, batch_id: str, counts: Counts) -> Batch:
    return Batch(
        batch_id=batch_id,
        source=source.source,
        entity=source.entity,
        file_path=file.relative,
        file_sha256=sha256,
        file_bytes=size,
        mapping_fingerprint=source.fingerprint,
        state=STAGED,
        rows_read=counts.read,
        rows_loaded=counts.loaded,
        rows_deduplicated=counts.deduplicated,
        rows_quarantined=counts.quarantined,
        rows_filtered=counts.filtered,
    )


def _mapping_of(source: Source) -> str:
    return f"source `{source.source}`"
