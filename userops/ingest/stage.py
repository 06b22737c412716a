"""One landing file into one staged batch: Parquet files under incoming, a quarantine file, and the row accounts."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from userops.config import Settings
from userops.errors import SourceFileError
from userops.ingest.control import load_exchange_rates
from userops.ingest.decode import LandingFile, probe_file
from userops.ingest.lake import (
    existing_files,
    incoming_duplicates,
    incoming_quarantine,
    partition,
    quarantine_file,
    reached,
    sync_file,
)
from userops.ingest.ledger import FAILED, STAGED, Batch
from userops.ingest.readers import RECORD, Probe, folder_keys, in_one_pass, read_records, source_columns
from userops.ingest.readers.json_records import first_keys, found_keys
from userops.ingest.sources import Source, did_you_mean
from userops.ingest.staged import Preview, ReadFile, StagedFile
from userops.ingest.transform import (
    CONVERSION_CODES,
    CanonicalSql,
    DateBounds,
    Money,
    NewColumns,
    Run,
    canonical_sql,
    new_json_keys,
    new_tabular_columns,
    personal_paths,
    unmapped_columns,
    wanted_keys,
)
from userops.sqltext import identifier, literal, literal_list

__all__ = ["Preview", "StagedFile", "Stager", "batch_id_of", "failed_batch", "stager"]

#: Smaller files are read at leisure: record by record accounted for before anything is computed.
_WORTH_ONE_PASS = 1 << 18
_SYNCED_AT_ONCE = 8
#: How many values a row's hash may have, from 0; in how many parts they are looked through for repeated ones, and from
#: how many rows on.
_HASHES, _PARTS_OF_HASHES, _ROWS_WORTH_PARTS = 1 << 63, 8, 1 << 20
#: Reason code of a row that is in quarantine because too many others of its file could not be read.
TYPE_DRIFT = "type_drift"
#: A third of the size of DuckDB's defaults, written and read back in less time.
_PARQUET = "format parquet, parquet_version v2, compression zstd, compression_level 1, dictionary_size_limit 4000"
#: One step of a JSON path as DuckDB writes it.
_PATH_STEP = re.compile(r'\.(?:"((?:[^"\\]|\\.)*)"|([^."]+))')
#: Records of each fate that a preview shows.
_SAMPLE_ROWS = 20


@dataclass
class Stager:
    """Stages files one after another on one DuckDB connection.

    Attributes:
        run: what holds for every file: time zone, business dates and currencies that are let in.
        statements: canonical SQL by source, file columns and new columns: daily files share one.
        parsed: long statements, parsed, by their text.
        keys: wanted JSON keys by source.
        seen_keys: JSON keys found in any file so far, by source; a mapped one that never appears is worth a warning.
        written: files of the batch that is being staged.
        unusual: sources with a file that could not be read in one pass: the next one is not likely to be either.
    """

    connection: duckdb.DuckDBPyConnection
    settings: Settings
    run: Run
    scratch: Path
    statements: dict[tuple[object, ...], CanonicalSql] = field(default_factory=dict)
    parsed: dict[str, duckdb.Statement] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)
    seen_keys: dict[str, set[str]] = field(default_factory=dict)
    written: list[Path] = field(default_factory=list)
    unusual: set[str] = field(default_factory=set)

    def check_mapping(self, source: Source) -> None:
        """Find what is wrong with a mapping before any file is there to read.

        Raises:
            ConfigError: an expression is no expression; in a JSON source, also one that does not bind.
        """
        keys = wanted_keys(self.connection, source, _mapping_of(source))
        if _is_json(source):
            self.keys[source.source] = keys
            canonical_sql(
                self.connection, source, dict.fromkeys(keys, "VARCHAR"), self.run, _mapping_of(source), NewColumns()
            )

    def stage(
        self,
        source: Source,
        file: LandingFile,
        sha256: str,
        batch_id: str | None = None,
        leave_out: frozenset[str] = frozenset(),
    ) -> StagedFile:
        """Read one file and write its batch under incoming.

        Args:
            batch_id: default: that of the first take of these bytes.
            leave_out: batches that are about to be retired; their rows do not count as being in the lake.

        Raises:
            SourceFileError: the file cannot be read, or its rows do not add up.
            ConfigError: the mapping does not fit the file's columns.
        """
        self.written.clear()
        batch_id = batch_id or batch_id_of(source.source, sha256)
        batch = _batch(source, file, sha256, batch_id)
        read = self._read(source, file)
        if read is None:
            empty = f"{file.relative} is empty (no bytes of content): taken as a file of no rows"
            return StagedFile(batch, {}, (empty,))
        held = self._judge(source, read)
        days = {} if held else self._loaded_rows(source, read, leave_out)
        counts = read.counts(days, bool(held))
        counts.check(file)
        self._write_days(source, batch_id, days)
        if not held:
            self._write_duplicates(source, batch_id)
        reached("data written")
        if counts.quarantined:
            self._write_quarantine(source, file, batch_id)
        reached("quarantine written")
        self._sync_written()
        return StagedFile(
            batch=replace(
                batch,
                rows_read=counts.read,
                rows_loaded=counts.loaded,
                rows_deduplicated=counts.deduplicated,
                rows_quarantined=counts.quarantined,
                rows_filtered=counts.filtered,
            ),
            dates=days,
            warnings=read.warnings,
            new_columns=read.new.found,
            personal_columns=read.new.personal,
            held=held,
            currencies=() if held else self._currencies(source),
        )

    def preview(self, source: Source, file: LandingFile, limit: int) -> Preview:
        """Show what `stage` would do with about the first `limit` records of a file. Writes nothing.

        Raises:
            SourceFileError: the file cannot be read.
            ConfigError: the mapping does not fit the file's columns.
        """
        self.check_mapping(source)
        read = self._read(source, file, limit)
        if read is None:
            empty = (f"{file.relative} is empty (no bytes of content)",)
            return Preview(0, 0, 0, 0, 0, (), {}, {}, None, None, None, (), (), None, (), empty)
        held = self._judge(source, read)
        days = {} if held else self._loaded_rows(source, read, None)
        counts = read.counts(days, bool(held))
        counts.check(file)
        mapped = [name for name in source.contract.column_names if name in source.columns or name == "properties"]
        shown = ", ".join(identifier(name) for name in mapped)
        return Preview(
            rows_read=counts.read,
            loaded=counts.loaded,
            deduplicated=counts.deduplicated,
            quarantined=counts.quarantined,
            filtered=counts.filtered,
            reasons=self._reasons(),
            samples={
                "loaded": self._records(f"select {shown} from loaded_rows order by record_number") if days else [],
                "quarantined": self._records("select * from refused_rows order by record_number"),
                "filtered": self._records(
                    "select record_number from canonical_rows where state = 'filtered' order by record_number"
                ),
            },
            event_names=self._event_names(source) if days else {},
            first_date=min(days, default=None),
            last_date=max(days, default=None),
            rows_without_user=(
                self._number("select count(*) from loaded_rows where user_id is null")
                if days and "user_id" in source.contract.column_names
                else None
            ),
            new_columns=read.new.found,
            personal_columns=read.new.personal,
            held=held,
            currencies=() if held else self._currencies(source),
            warnings=read.warnings,
        )

    def missing_keys(self, source: Source) -> list[str]:
        """Return the mapped JSON keys that no record of this run's files had; empty when no file was read."""
        if source.source not in self.seen_keys:
            return []
        seen = self.seen_keys[source.source]
        return [key for key in self.keys[source.source] if not set(first_keys([key])) <= seen]

    def key_hint(self, source: Source, key: str) -> str:
        """Return a "did you mean" for a JSON key that was never found, or an empty text."""
        return did_you_mean(key, sorted(self.seen_keys.get(source.source, ())))

    def _read(self, source: Source, file: LandingFile, limit: int | None = None) -> ReadFile | None:
        """Fill `canonical_rows` and `structural_rejects` from a file; None for one without content."""
        probe = probe_file(file, source.format, self.scratch / "spool", limit)
        if probe.empty:
            return None
        columns = source_columns(self.connection, file, probe, source)
        if columns == {}:  # a sheet without a single cell
            return None
        if columns is None:
            columns = dict.fromkeys(self.keys[source.source], "VARCHAR")
        is_worth_it = limit is None and file.path.stat().st_size >= _WORTH_ONE_PASS
        if is_worth_it and source.source not in self.unusual:
            if read := self._read_in_one_pass(source, file, probe, columns):
                return read
            self.unusual.add(source.source)
        return self._read_at_leisure(source, file, probe, columns)

    def _read_in_one_pass(
        self, source: Source, file: LandingFile, probe: Probe, columns: Mapping[str, str]
    ) -> ReadFile | None:
        """Compute the rows of a file while it is read for the first time; None where that turns out to be wrong."""
        scan = in_one_pass(self.connection, file, probe, source, list(columns))
        if scan is None:
            return None
        new = self._new(source, file, columns)
        try:
            read = self._computed(source, file, columns, new, None, numbered=scan.numbered)
        except SourceFileError:  # reading at leisure tells what is wrong with which record
            return None
        if read.rows != scan.counted():
            return None
        if read.state("refused") and not scan.numbered:  # what is told of a refused row needs its number and line
            rows = read_records(self.connection, file, probe, source, list(columns))
            return replace(read, rows=rows, warnings=probe.warnings)
        return replace(read, warnings=probe.warnings)

    def _read_at_leisure(self, source: Source, file: LandingFile, probe: Probe, columns: Mapping[str, str]) -> ReadFile:
        """Read every record, set those aside that are none, then compute the rows of the others."""
        if _is_json(source):
            rows = read_records(self.connection, file, probe, source, list(columns))
            new = self._new(source, file, columns)
        else:  # a wrong mapping is found before a record is parsed
            new = self._new(source, file, columns)
            self._statement(source, file, columns, new)
            rows = read_records(self.connection, file, probe, source, list(columns))
        return replace(self._computed(source, file, columns, new, rows), warnings=probe.warnings)

    def _computed(
        self,
        source: Source,
        file: LandingFile,
        columns: Mapping[str, str],
        new: NewColumns,
        rows: int | None,
        numbered: bool = True,
    ) -> ReadFile:
        """Fill `canonical_rows` from `source_rows`.

        Args:
            rows: how many records `source_rows` and `structural_rejects` have; None: as many as are computed.
        """
        statement = self._statement(source, file, columns, new)
        self._canonical_rows(source, statement.rows, file, numbered)
        if inside := self._personal_inside(new):
            new = new.guarded(inside)
            statement = self._statement(source, file, columns, new)
            self._canonical_rows(source, statement.rows, file, numbered)
        tally = self.connection.execute(
            "select state, event_date, count(*) from canonical_rows group by all order by all"
        ).fetchall()
        broken = self._number("select count(*) from structural_rejects")
        if rows is None:
            rows = sum(count for _, _, count in tally)
        return ReadFile(rows, broken, statement, new, (), tally)

    def _new(self, source: Source, file: LandingFile, columns: Mapping[str, str]) -> NewColumns:
        """Return what to do with columns, or keys of the records read last, that the mapping does not speak of."""
        folders = folder_keys(file)
        keep = source.new_columns == "keep"
        if _is_json(source):
            found = set(found_keys(self.connection))
            self.seen_keys.setdefault(source.source, set()).update(found, folders)
            spoken_of = {*first_keys(self.keys[source.source]), *source.ignore, *folders}
            return new_json_keys(sorted(found - spoken_of), keep)
        shadowed = {name.lower() for name in folders}
        unmapped = unmapped_columns(self.connection, source, columns, _where(source, file))
        return new_tabular_columns([(name, columns[name]) for name in unmapped if name.lower() not in shadowed], keep)

    def _personal_inside(self, new: NewColumns) -> list[tuple[str, ...]]:
        """Find names inside the new keys' values that look personal, as paths from the key inwards."""
        if not new.keys:
            return []
        rows = self.connection.execute(
            """
            select distinct regexp_replace(tree.fullkey, '\\[\\d+\\]', '', 'g') as path
            from (select properties from canonical_rows where contains(properties[2:], '{')) as nested
            cross join json_tree(nested.properties) as tree
            order by path
            """
        ).fetchall()
        paths = (tuple(plain or quoted for quoted, plain in _PATH_STEP.findall(path)) for (path,) in rows)
        return personal_paths(path for path in paths if len(path) > 1 and path[0] in new.keys)

    def _statement(
        self, source: Source, file: LandingFile, columns: Mapping[str, str], new: NewColumns
    ) -> CanonicalSql:
        given = {**columns, **dict.fromkeys(folder_keys(file), "VARCHAR")}
        signature = (source.source, tuple(given.items()), new)
        if signature not in self.statements:
            where = _where(source, file)
            self.statements[signature] = canonical_sql(self.connection, source, given, self.run, where, new)
        return self.statements[signature]

    def _canonical_rows(self, source: Source, statement: str, file: LandingFile, numbered: bool) -> None:
        """Compute every row once. What memory has no room for DuckDB keeps below its scratch.

        Args:
            numbered: whether rows have a record number; else their place in the file is that.
        """
        try:
            # Rows that carry their number need no order, and DuckDB copies many of them twice to keep it.
            with self._order_of_rows(kept=not _is_json(source)):
                self.connection.execute(self._parsed(f"create or replace table computed_rows as {statement}"))
            by_place = "* replace (rowid + 1 as record_number)"
            self.connection.execute(
                f"create or replace view canonical_rows as select {'*' if numbered else by_place} from computed_rows"
            )
        except duckdb.Error as error:
            raise SourceFileError(
                file.relative,
                f"data the mapping cannot be applied to ({str(error).splitlines()[0]})",
                "data that fits `format` and `columns` of the source YAML",
                "correct the mapping, or export the file again",
            ) from None

    @contextmanager
    def _order_of_rows(self, kept: bool) -> Iterator[None]:
        self.connection.execute(f"set preserve_insertion_order = {kept}")
        try:
            yield
        finally:
            self.connection.execute("set preserve_insertion_order = true")

    def _parsed(self, sql: str) -> duckdb.Statement:
        """Return a long statement parsed: the files of a source share it, and parsing takes as long as planning."""
        if sql not in self.parsed:
            (self.parsed[sql],) = self.connection.extract_statements(sql)
        return self.parsed[sql]

    def _judge(self, source: Source, read: ReadFile) -> str | None:
        """Fill `refused_rows` with the rows that go to quarantine; return why the whole file does, or None."""
        if not read.state("refused"):
            self._refused_rows(None)
            return None
        # Which rows they are is known; only why has to be found out, and only of them.
        refused = "(select record_number from canonical_rows where state = 'refused')"
        self._refused_rows(
            f"""
            with source_rows as (
                select * from source_rows semi join {refused} as refused on source_rows.{RECORD} = refused.record_number
            )
            select * from ({read.statement.refusals}) as judged
            """
        )
        held = self._type_drift(source, read)
        if held:
            drift = (
                f"[{{'code': {literal(TYPE_DRIFT)}, 'column': '', 'found': {literal(held)}, "
                "'expected': 'a file of readable values'}]"
            )
            self._refused_rows(
                f"select * replace (case when len(reasons) > 0 then reasons else {drift} end as reasons) "
                f"from ({read.statement.refusals}) as judged"
            )
        return held

    def _refused_rows(self, query: str | None) -> None:
        """Fill `refused_rows` with the records that could not be read at all, and from rows with their reasons."""
        self.connection.execute(
            """
            create or replace table refused_rows as
            select record_number, line_number, 'broken_line' as reason_code, '' as column_name, found, expected, raw
            from structural_rejects
            """
        )
        if query is None:
            return
        reasons = ", ".join(
            f"array_to_string(list_transform(reasons, lambda reason: reason.{part}), '; ')"
            for part in ("code", '"column"', "found", "expected")
        )
        self.connection.execute(
            f"insert into refused_rows select record_number, line_number, {reasons}, raw from ({query}) as refused"
        )

    def _type_drift(self, source: Source, read: ReadFile) -> str | None:
        """Say which column has so many unreadable values that the whole file is suspect, or return None."""
        judged = read.state("refused") + read.state("loaded")
        rows = self.connection.execute(
            f"""
            select column_name, count(*)
            from (
                select
                    unnest(string_split(reason_code, '; ')) as code,
                    unnest(string_split(column_name, '; ')) as column_name
                from refused_rows
            ) as reasons
            where code in ({", ".join(literal(code) for code in CONVERSION_CODES)}) and column_name <> ''
            group by column_name
            order by count(*) desc, column_name
            """
        ).fetchall()
        limits = source.type_drift
        told = [
            f"{failures} of {judged} rows have no readable value in `{column}`"
            for column, failures in rows
            if failures >= limits.rows and failures > limits.share * judged
        ]
        return f"{'; '.join(told)} (more than {limits.share:.1%} is held)" if told else None

    def _loaded_rows(self, source: Source, read: ReadFile, leave_out: frozenset[str] | None) -> dict[date, int]:
        """Make `loaded_rows` the rows new to lake and run; return how many there are per business date.

        Args:
            leave_out: as in `stage`; None leaves the whole lake out of it.
        """
        key = identifier(source.contract.key)
        days = read.loaded_days()
        known = leave_out is not None and self._known_rows(source, sorted(days), leave_out)
        self._find_repeated_hashes(read.state("loaded"))
        repeated = self._number("select count(*) from repeated_hashes")
        if not known and not repeated:
            self._drop_known_rows(key)
            self.connection.execute(
                "create or replace view loaded_rows as select * from canonical_rows where state = 'loaded'"
            )
            return days
        if not known:
            self._drop_known_rows(key)
        self.connection.execute(
            f"""
            create or replace table dropped_rows as
            select record_number
            from canonical_rows
            semi join known_rows using (event_date, {key}, _row_hash)
            where state = 'loaded'
            union
            select record_number
            from (
                select
                    record_number,
                    row_number() over (partition by event_date, {key}, _row_hash order by record_number) as place
                from canonical_rows
                semi join repeated_hashes using (_row_hash)
                where state = 'loaded'
            ) as repeated
            where place > 1
            """
        )
        self.connection.execute(
            "create or replace view loaded_rows as "
            "select * from canonical_rows anti join dropped_rows using (record_number) where state = 'loaded'"
        )
        return dict(
            self.connection.execute(
                "select event_date, count(*) from loaded_rows group by event_date order by event_date"
            ).fetchall()
        )

    def _find_repeated_hashes(self, rows: int) -> None:
        """Fill `repeated_hashes`; of many rows in parts: a small table of groups stays near the processor."""
        self.connection.execute("create or replace temp table repeated_hashes (_row_hash bigint)")
        width = _HASHES // (_PARTS_OF_HASHES if rows >= _ROWS_WORTH_PARTS else 1)
        for begin in range(0, _HASHES, width):
            self.connection.execute(
                f"""
                insert into repeated_hashes
                select _row_hash
                from canonical_rows
                where state = 'loaded' and _row_hash between {begin} and {begin + width - 1}
                group by _row_hash
                having count(*) > 1
                """
            )

    def _known_rows(self, source: Source, days: Sequence[date], leave_out: frozenset[str]) -> bool:
        """Fill `known_rows` with the rows of this file that other files have brought; return whether there are any."""
        key = identifier(source.contract.key)
        files = existing_files(self.settings.paths, source.entity, days, leave_out)
        if not files:
            return False
        lake = (
            f"read_parquet({literal_list(files)}, hive_partitioning=true, hive_types={{'event_date': date}}, "
            "union_by_name=true)"
        )
        # One number per row decides for nearly all of them; what it lets through is compared in full.
        self.connection.execute(
            f"""
            create or replace temp table similar_rows as
            select distinct event_date, {key}, _row_hash
            from canonical_rows
            semi join (select _row_hash from {lake}) as lake using (_row_hash)
            where state = 'loaded'
            """
        )
        if not self._number("select count(*) from similar_rows"):
            return False
        self.connection.execute(
            f"""
            create or replace table known_rows as
            select event_date, {key}, _row_hash
            from similar_rows
            semi join {lake} as lake using (event_date, {key}, _row_hash)
            """
        )
        return self._number("select count(*) from known_rows") > 0

    def _drop_known_rows(self, key: str) -> None:
        self.connection.execute(
            f"create or replace table known_rows (event_date date, {key} varchar, _row_hash bigint)"
        )

    def _write_days(self, source: Source, batch_id: str, days: Collection[date]) -> None:
        """Write each day's rows: one day keeps one core busy, so as many days at once as the engine has threads."""
        with ThreadPoolExecutor(self.settings.engine.threads) as pool:
            list(pool.map(lambda day: self._write_day(source, batch_id, day), days))

    def _write_day(self, source: Source, batch_id: str, day: date) -> None:
        columns = ", ".join(identifier(name) for name in source.contract.column_names)
        self._write(
            partition(self.settings.paths.incoming, source.entity, day) / f"{batch_id}.parquet",
            f"""
            select
                {columns},
                {literal(batch_id)} as _batch_id,
                {literal(source.source)} as _source,
                record_number as _row_number,
                _row_hash
            from loaded_rows
            where event_date = {literal(day)}
            """,
        )

    def _write_duplicates(self, source: Source, batch_id: str) -> None:
        """Name the rows that are not written because another file has them: should that file go, they stay."""
        root = incoming_duplicates(self.settings.paths)
        days = self.connection.execute("select distinct event_date from known_rows order by event_date").fetchall()
        for (day,) in days:
            self._write(
                partition(root, source.entity, day) / f"{batch_id}.parquet",
                f"select {identifier(source.contract.key)}, _row_hash from known_rows "
                f"where event_date = {literal(day)} order by all",
            )

    def _write_quarantine(self, source: Source, file: LandingFile, batch_id: str) -> None:
        self._write(
            quarantine_file(incoming_quarantine(self.settings.paths), source.entity, batch_id),
            f"""
            select
                {literal(source.source)} as source,
                {literal(file.relative)} as file_path,
                {literal(batch_id)} as batch_id,
                {literal(source.entity)} as entity,
                *
            from refused_rows
            order by record_number
            """,
        )

    def _write(self, target: Path, query: str) -> None:
        """Write a Parquet file; may be called from any thread, and sees no temporary tables."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.connection.cursor() as cursor:
            cursor.execute(f"copy ({query}) to {literal(target)} ({_PARQUET})")
        self.written.append(target)

    def _sync_written(self) -> None:
        """Force this batch's files to disk, together: one commit of the disk's journal serves several of them."""
        with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
            list(pool.map(sync_file, self.written))

    def _currencies(self, source: Source) -> tuple[str, ...]:
        if "currency" not in source.columns:
            return ()
        rows = self.connection.execute(
            "select distinct currency from loaded_rows where currency is not null order by currency"
        ).fetchall()
        return tuple(code for (code,) in rows)

    def _reasons(self) -> tuple[tuple[str, str, int, str, str], ...]:
        rows = self.connection.execute(
            "select reason_code, column_name, count(*), any_value(found), any_value(expected) from refused_rows "
            "group by all order by count(*) desc, reason_code, column_name"
        ).fetchall()
        return tuple(rows)

    def _event_names(self, source: Source) -> dict[str, int]:
        if "event_name" not in source.contract.column_names:
            return {}
        return dict(
            self.connection.execute(
                "select event_name, count(*) from loaded_rows group by event_name order by count(*) desc, event_name"
            ).fetchall()
        )

    def _records(self, query: str) -> list[dict[str, Any]]:
        found = self.connection.execute(f"{query} limit {_SAMPLE_ROWS}")
        names = [item[0] for item in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def _number(self, query: str) -> int:
        row = self.connection.execute(query).fetchall()[0]
        return int(row[0])


def batch_id_of(source: str, sha256: str, take: int = 1) -> str:
    """Return the id of the batch that takes these bytes for this source: 16 hex digits, always the same.

    Args:
        take: how often these bytes have been taken with this time; a later take replaces the earlier one.
    """
    text = f"{source}:{sha256}" if take == 1 else f"{source}:{sha256}:{take}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def failed_batch(source: Source, file: LandingFile, sha256: str, size: int, error: Exception) -> Batch:
    """Return the ledger's note of a file that could not be staged."""
    batch = _batch(source, file, sha256, batch_id_of(source.source, sha256))
    return replace(batch, file_bytes=size, state=FAILED, error=str(error))


@contextmanager
def stager(settings: Settings, bounds: DateBounds) -> Iterator[Stager]:
    """Open a Stager whose memory is bounded by `engine.memory_limit`, with its temporary files below USEROPS_HOME.

    Raises:
        ConfigError: exchange_rates.csv cannot be used.
    """
    rates = load_exchange_rates(settings)
    rated = frozenset(rate.currency for rate in rates) if settings.paths.exchange_rates_file.exists() else None
    run = Run(settings.project.timezone, bounds, Money(settings.project.currency, rated))
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
        yield Stager(connection, settings, run, scratch)
    finally:
        connection.close()
        _clear(scratch)


def _clear(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _batch(source: Source, file: LandingFile, sha256: str, batch_id: str) -> Batch:
    return Batch(
        batch_id=batch_id,
        source=source.source,
        entity=source.entity,
        file_path=file.relative,
        file_sha256=sha256,
        file_bytes=file.path.stat().st_size if file.path.exists() else 0,
        mapping_fingerprint=source.fingerprint,
        state=STAGED,
    )


def _is_json(source: Source) -> bool:
    return source.format.type in ("jsonl", "json")


def _mapping_of(source: Source) -> str:
    return f"source `{source.source}`"


def _where(source: Source, file: LandingFile) -> str:
    return f"{_mapping_of(source)} (file {file.relative})"
