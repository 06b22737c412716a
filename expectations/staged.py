"""What `ingest` staged, as a small DuckDB file for the lake gate: views over Parquet, accounts as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb

from expectations.checks import Consequence
from userops.config import Settings
from userops.contracts.entities import ENTITIES, Entity
from userops.ingest.lake import (
    NO_DATE,
    data_files,
    incoming_duplicates,
    incoming_quarantine,
    lake_columns,
    owner_of,
    partition,
)
from userops.ingest.ledger import COMMITTED, STAGED, Batch, Ledger, SourceNote, open_ledger
from userops.ingest.sources import Source, read_sources
from userops.ingest.volume import DayVolume, judge_source
from userops.sqltext import identifier, literal, literal_list

_TABLES_SQL = """
create table staged_files (file_name varchar, batch_id varchar, rows_in_file bigint);
create table staged_batches (
    batch_id varchar, source varchar, entity varchar, file_path varchar, rows_read bigint, rows_loaded bigint,
    rows_deduplicated bigint, rows_quarantined bigint, rows_filtered bigint, rows_in_files bigint,
    rows_in_quarantine bigint, is_held boolean
);
create table quarantine_limits (source varchar, max_quarantine_share double, consequence varchar);
create table quarantine_reasons (source varchar, commonest_reason varchar);
create table staged_volume (
    source varchar, business_date date, expected_rows double, actual_rows bigint, rows_staged bigint,
    verdict varchar, consequence varchar
)
"""

#: A file that is held whole is reported as such: its rows are no part of the share.
_SOURCES_SQL = """
create table staged_sources as
select
    source,
    sum(rows_read) as rows_read,
    sum(rows_quarantined) as rows_quarantined,
    coalesce(sum(rows_quarantined) filter (not is_held), 0)
    / greatest(coalesce(sum(rows_read) filter (not is_held), 0), 1) as quarantined_share,
    any_value(max_quarantine_share) as max_quarantine_share,
    any_value(commonest_reason) as commonest_reason,
    any_value(consequence) as consequence
from staged_batches
left join quarantine_limits using (source)
left join quarantine_reasons using (source)
group by source
order by source
"""


@dataclass(frozen=True)
class Finding:
    """What the gate has to say about one source when the suite that looks for it does not hold.

    Attributes:
        suite: name of that suite.
        kind: kind of the note that is written about it.
        message: one sentence without any value of the export.
    """

    suite: str
    source: str
    kind: str
    consequence: Consequence
    message: str


@dataclass(frozen=True)
class Staged:
    """What is staged.

    Attributes:
        batches: the ledger's staged batches.
        entities: view of the staged rows by entity name.
        loaded: view of rows in the lake with the same business dates, by entity name; only where there are any.
        volume_checks: (`empty` or `excess`, consequence) that the judged sources want, as far as it occurs.
        source_checks: consequences that the staged sources want, as far as they occur.
        findings: what is wrong with which source.
    """

    batches: list[Batch] = field(default_factory=list)
    entities: dict[str, str] = field(default_factory=dict)
    loaded: dict[str, str] = field(default_factory=dict)
    volume_checks: list[tuple[str, Consequence]] = field(default_factory=list)
    source_checks: list[Consequence] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def describe_staged(settings: Settings, database: Path, as_of: date) -> Staged:
    """Write what is staged, and what was expected as of this business date, into a new DuckDB file `database`.

    Returns:
        What is in it; the file is not made when nothing is staged and no source's rows can be judged.
    """
    configured = read_sources(settings)
    sources = {source.source: source for source in configured.usable}
    with open_ledger(settings) as ledger:
        batches = ledger.batches(STAGED)
        replaced = ledger.leaving()
        red = {note.source for note in _errors(ledger, as_of)}
        volume = [
            day for day in judge_volume(ledger, sources.values(), as_of, replaced)
            if not (day.verdict == "empty" and day.source in red)
        ]  # fmt: skip
        days = {batch.as_of_date for batch in batches}
        held = {(note.source, note.file_path) for day in days for note in ledger.notes(day) if note.kind == "held"}
    files = sorted(settings.paths.incoming.glob("[!_]*/event_date=*/*.parquet"))
    staged = Staged(batches)
    if not batches and not files and not volume:
        return staged
    with closing(duckdb.connect(str(database))) as connection:
        connection.execute("set timezone = 'UTC'")
        for entity in ENTITIES.values():
            of_entity = [path for path in files if path.parents[1].name == entity.name]
            if of_entity:
                _view_entity(connection, settings, entity, of_entity, staged, replaced)
        connection.begin()  # one commit, not one per batch
        connection.execute(_TABLES_SQL)
        _write_accounts(connection, settings, batches, files, held)
        _write_limits(
            connection, settings, [configured.named(name) for name in sorted({batch.source for batch in batches})]
        )
        connection.execute(_SOURCES_SQL)
        _find_quarantined(connection, staged)
        _write_volume(connection, sources, volume, staged)
        connection.commit()
    return staged


def judge_volume(
    ledger: Ledger, sources: Iterable[Source], as_of: date, replaced: frozenset[str] = frozenset()
) -> list[DayVolume]:
    """Return every judged business date of every source, from the ledger's committed and staged batches.

    Args:
        replaced: committed batches whose rows leave the lake when what is staged comes in.
    """
    days_of = ledger.dates()
    rows: dict[tuple[str, str], dict[date, int]] = {}
    for batch in ledger.batches(COMMITTED, STAGED):
        if batch.batch_id not in replaced:
            found = rows.setdefault((batch.source, batch.state), {})
            for day, count in days_of.get(batch.batch_id, {}).items():
                if day != NO_DATE:
                    found[day] = found.get(day, 0) + count
    return [
        day
        for source in sources
        for day in judge_source(
            source.source,
            source.volume,
            rows.get((source.source, COMMITTED), {}),
            rows.get((source.source, STAGED), {}),
            as_of,
        )
    ]


def _errors(ledger: Ledger, as_of: date) -> list[SourceNote]:
    return [note for note in ledger.notes(as_of) if note.severity == "error"]


def _view_entity(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    entity: Entity,
    files: Sequence[Path],
    staged: Staged,
    replaced: frozenset[str],
) -> None:
    staged.entities[entity.name] = f"staged_{entity.name}"
    columns = ", ".join(identifier(column) for column, _ in lake_columns(entity))
    _create_view(connection, staged.entities[entity.name], columns, files)
    # Not in the lake for good: moved there by a load that was killed, or on its way out.
    passing = {batch.batch_id for batch in staged.batches} | replaced
    days = sorted({date.fromisoformat(path.parent.name.removeprefix("event_date=")) for path in files})
    in_lake = [
        path
        for day in days
        for path in data_files(partition(settings.paths.raw, entity.name, day))
        if owner_of(path) not in passing
    ]
    if in_lake:
        staged.loaded[entity.name] = f"loaded_{entity.name}"
        # Only what tells a row: a lake file of an earlier version may lack a column that came later.
        key = f"{identifier(entity.key)}, {identifier('_row_hash')}"
        _create_view(connection, staged.loaded[entity.name], key, in_lake)


def _create_view(connection: duckdb.DuckDBPyConnection, name: str, columns: str, files: Sequence[Path]) -> None:
    connection.execute(
        f"create view {identifier(name)} as select {columns}, event_date from read_parquet({literal_list(files)}, "
        "hive_partitioning = true, hive_types = {'event_date': date})"
    )


def _write_accounts(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    batches: Sequence[Batch],
    files: Sequence[Path],
    held: set[tuple[str, str]],
) -> None:
    incoming = settings.paths.incoming
    quarantined = sorted(incoming_quarantine(settings.paths).glob("*/*.parquet"))
    dropped_twins = sorted(incoming_duplicates(settings.paths).glob("*/event_date=*/*.parquet"))
    for found in (files, quarantined, dropped_twins):
        if found:
            connection.execute(
                "insert into staged_files "
                f"select replace(file_name, {literal(str(incoming) + '/')}, ''), "
                "split_part(parse_filename(file_name), '.', 1), num_rows "
                f"from parquet_file_metadata({literal_list(found)})"
            )
    if batches:
        rows = _rows_by_batch(connection, "not starts_with(file_name, '_')")
        refused = _rows_by_batch(connection, "starts_with(file_name, '_quarantine/')")
        connection.executemany(
            f"insert into staged_batches values ({', '.join('?' * 12)})",
            [
                [
                    batch.batch_id, batch.source, batch.entity, batch.file_path, batch.rows_read, batch.rows_loaded,
                    batch.rows_deduplicated, batch.rows_quarantined, batch.rows_filtered,
                    rows.get(batch.batch_id, 0), refused.get(batch.batch_id, 0),
                    _is_held(batch, held),
                ]
                for batch in batches
            ],
        )  # fmt: skip
    if quarantined:
        _write_reasons(connection, quarantined)


def _rows_by_batch(connection: duckdb.DuckDBPyConnection, condition: str) -> dict[str, int]:
    rows = connection.execute(
        f"select batch_id, sum(rows_in_file) from staged_files where {condition} group by batch_id"
    ).fetchall()
    return {batch_id: int(count) for batch_id, count in rows}


def _is_held(batch: Batch, held: set[tuple[str, str]]) -> bool:
    """Whether the file was held for type drift: it is noted so, and none of its rows is let in."""
    whole = batch.rows_quarantined == batch.rows_read - batch.rows_filtered
    return whole and (batch.source, batch.file_path) in held


def _write_limits(connection: duckdb.DuckDBPyConnection, settings: Settings, sources: Sequence[Source]) -> None:
    """Write the highest quarantined share of each source: its own, else the instance's."""
    if sources:
        connection.executemany(
            "insert into quarantine_limits values (?, ?, ?)",
            [
                [
                    source.source,
                    settings.gates.max_quarantine_share
                    if source.max_quarantine_share is None
                    else source.max_quarantine_share,
                    _stopping(source),
                ]
                for source in sources
            ],
        )


def _write_reasons(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    """Write the commonest reason of each source: code and column only, never the refused value."""
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


def _find_quarantined(connection: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    rows = connection.execute(
        "select source, consequence, quarantined_share, max_quarantine_share, commonest_reason "
        "from staged_sources order by source"
    ).fetchall()
    for source, consequence, share, limit, reason in rows:
        if consequence not in staged.source_checks:
            staged.source_checks.append(consequence)
        if share > limit:
            message = (
                f"source `{source}`: {share:.1%} of its new rows are in quarantine, more than {limit:.1%} "
                f"(commonest reason: {reason}); its new files are left out of the lake"
            )
            staged.findings.append(Finding("staged_sources", source, "quarantine_share", consequence, message))


def _write_volume(
    connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Source], volume: Sequence[DayVolume], staged: Staged
) -> None:
    for day in volume:
        source = sources[day.source]
        for verdict, action in (("empty", source.volume.empty), ("excess", source.volume.excess)):
            wanted = _volume_consequence(source, verdict, action)
            if wanted is not None and (verdict, wanted) not in staged.volume_checks:
                staged.volume_checks.append((verdict, wanted))
        consequence = None if day.verdict == "usual" else _volume_consequence(source, day.verdict, day.action)
        connection.execute(
            "insert into staged_volume values (?, ?, ?, ?, ?, ?, ?)",
            [
                day.source, day.business_date, round(day.expected, 1), day.rows, day.rows_staged, day.verdict,
                consequence,
            ],
        )  # fmt: skip
        if consequence is not None:
            message = _volume_message(source, day, consequence)
            staged.findings.append(Finding("staged_volume", day.source, f"volume_{day.verdict}", consequence, message))


def _volume_consequence(source: Source, verdict: str, action: str) -> Consequence | None:
    """Nothing can be left out of a day that is empty: its source is red."""
    if action == "ignore":
        return None
    if action == "flag":
        return "flag"
    if source.on_failure == "stop_day":
        return "stop_day"
    return "leave_out" if verdict == "excess" else "report"


def _stopping(source: Source) -> Consequence:
    return "stop_day" if source.on_failure == "stop_day" else "leave_out"


def _volume_message(source: Source, day: DayVolume, consequence: Consequence) -> str:
    basis = (
        f"the median of the {day.business_date:%A}s" if day.basis == "weekday" else "the median of the days"
    ) + " of the four weeks before"
    told = f"source `{day.source}`: {day.rows:,} rows on {day.business_date}, {day.expected:,.0f} expected ({basis})"
    if day.verdict == "excess":
        told += f"; {source.volume.factor:g} times as many are too many"
    return told + ("; its new files are left out of the lake" if consequence == "leave_out" else "")
