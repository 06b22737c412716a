"""Refused rows as a place of work: what is there and why, the rows whole, and taking them out for good.

Quarantined rows may hold personal data: they are returned or exported only when asked for, and never logged.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow.parquet as pq

from userops.config import Settings
from userops.errors import UseropsError
from userops.ingest import lake
from userops.ingest.engine import memory_engine
from userops.ingest.ledger import COMMITTED, NUMBERED, Batch, Ledger
from userops.sqltext import literal, literal_list

#: Columns of a refused row, in the order in which a person reads them.
COLUMNS = (
    "source", "file_path", "batch_id", "entity", "record_number", "line_number", "reason_code", "column_name",
    "found", "expected", "raw",
)  # fmt: skip
#: A refused row may have several reasons, joined by this.
_BETWEEN_REASONS = "; "
_BYTE_ORDER_MARK = "\ufeff"
_FORMULA = r"^[=+\-@\t\r\n]"


@dataclass(frozen=True)
class Selection:
    """Which refused rows are meant: of a source, of files (path or pattern), with a reason; None: of any."""

    source: str | None = None
    file: str | None = None
    reason: str | None = None

    def takes_file(self, batch: Batch) -> bool:
        """Whether rows of this batch can be meant."""
        return (self.source is None or batch.source == self.source) and (
            self.file is None or batch.file_path == self.file or fnmatchcase(batch.file_path, self.file)
        )

    @property
    def row_condition(self) -> str:
        """SQL condition on reason_code: the reason is one of those of the row."""
        if self.reason is None:
            return "true"
        return f"list_contains(string_split(reason_code, {literal(_BETWEEN_REASONS)}), {literal(self.reason)})"


@dataclass(frozen=True)
class RefusedGroup:
    """Refused rows of one file with one reason. Times are naive UTC: when the file's rows first and last entered."""

    source: str
    file_path: str
    reason_code: str
    column_name: str
    rows: int
    first_seen: datetime | None
    last_seen: datetime | None


def groups(settings: Settings, ledger: Ledger, selection: Selection) -> list[RefusedGroup]:
    """Return how many rows are in quarantine, by source, file, reason and column; no values of rows."""
    batches = {batch.batch_id: batch for batch in quarantined_batches(ledger, selection)}
    first_seen: dict[tuple[str, str], datetime] = {}
    for batch in ledger.batches(*NUMBERED):
        if batch.rows_quarantined and batch.committed_at:
            first_seen.setdefault((batch.source, batch.file_path), batch.committed_at)
    with _rows(settings, list(batches.values()), selection) as connection:
        found = connection.execute(
            "select batch_id, reason_code, column_name, count(*) from refused group by all order by all"
        ).fetchall()
    result = [
        RefusedGroup(
            batch.source, batch.file_path, reason, column, int(count),
            first_seen.get((batch.source, batch.file_path)), batch.committed_at,
        )
        for batch_id, reason, column, count in found
        for batch in [batches[batch_id]]
    ]  # fmt: skip
    return sorted(result, key=lambda group: (group.source, group.file_path, group.reason_code, group.column_name))


def rows(settings: Settings, ledger: Ledger, selection: Selection, limit: int) -> list[dict[str, Any]]:
    """Return up to `limit` refused rows, whole, by file and record; keys as in COLUMNS."""
    with _rows(settings, quarantined_batches(ledger, selection), selection) as connection:
        found = connection.execute(
            f"select {', '.join(COLUMNS)} from refused order by source, file_path, record_number limit {limit}"
        ).fetchall()
    return [dict(zip(COLUMNS, row, strict=True)) for row in found]


def count(settings: Settings, ledger: Ledger, selection: Selection) -> int:
    """Return how many refused rows the selection means."""
    with _rows(settings, quarantined_batches(ledger, selection), selection) as connection:
        return int(connection.execute("select count(*) from refused").fetchall()[0][0])


def export(
    settings: Settings, ledger: Ledger, selection: Selection, target: Path, kind: Literal["csv", "jsonl"]
) -> int:
    """Write all refused rows to a file that only its owner can read; return how many.

    CSV is meant for spreadsheets: it has a byte-order mark, and text that would run as a formula gets an apostrophe in
    front. JSON lines hold every value as it came.

    Raises:
        UseropsError: the file exists already, or cannot be written.
    """
    values = ", ".join(
        f"case when regexp_matches({name}, '{_FORMULA}') then '''' || {name} else {name} end as {name}"
        if kind == "csv" and name not in ("record_number", "line_number")
        else name
        for name in COLUMNS
    )
    first = COLUMNS[0]  # the file begins with the name of this column
    shown = f'{first} as "{_BYTE_ORDER_MARK}{first}", * exclude ({first})' if kind == "csv" else "*"
    form = "format csv, header" if kind == "csv" else "format json"
    with (
        _made_whole(target) as unfinished,
        _rows(settings, quarantined_batches(ledger, selection), selection) as connection,
    ):
        done = connection.execute(
            f"copy (select {shown} from (select {values} from refused) order by source, file_path, record_number) "
            f"to {literal(unfinished)} ({form}, use_tmp_file false)"
        ).fetchall()
    return int(done[0][0])


@contextmanager
def _made_whole(target: Path) -> Iterator[Path]:
    """Give the path of an empty file that only its owner can read, to be filled; once it is whole it becomes `target`.

    Raises:
        UseropsError: `target` exists already, or cannot be written.
    """
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield unfinished
        unfinished.replace(target)
    except (OSError, duckdb.IOException) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UseropsError(
            str(target), f"a file that cannot be made ({reason})", "a new file in an existing folder, and room for it",
            "choose another name or another disk",
        ) from None  # fmt: skip
    finally:
        unfinished.unlink(missing_ok=True)


def ending(settings: Settings, ledger: Ledger, selection: Selection) -> list[str]:
    """Return the landing paths whose earlier version's rows leave the lake when the selection is dropped.

    They are those of held files of which no row would be left: the decision that a version has no rows replaces the
    version before.
    """
    served = {seen.held_batch_id: path for (_, path), seen in ledger.landing().items() if seen.held_batch_id}
    held = [batch for batch in quarantined_batches(ledger, selection) if batch.batch_id in served]
    with _rows(settings, held, selection) as connection:
        chosen = dict(connection.execute("select batch_id, count(*) from refused group by batch_id").fetchall())
    return sorted(served[batch.batch_id] for batch in held if chosen.get(batch.batch_id) == batch.rows_quarantined)


def drop(settings: Settings, ledger: Ledger, selection: Selection) -> int:
    """Take the chosen rows out of quarantine for good; they count as filtered from now on. Return how many.

    They go to quarantine/_dropped, from where nothing is ever deleted. Killed in between, the next `load` or
    `quarantine` command finishes it. A held file of which no row is left counts as taken, without rows: what it
    replaces is `retiring` then, and leaves the lake with the next `retire.finish_retirements`.
    """
    finish_drops(settings, ledger)
    dropped = 0
    for batch in quarantined_batches(ledger, selection):
        file = _file_of(settings, batch)
        kept = _dropped_file_of(settings, batch)
        with memory_engine(settings, "quarantine") as connection:
            chosen = f"select * from read_parquet({literal(file)}) where {selection.row_condition}"
            rows_chosen = int(connection.execute(f"select count(*) from ({chosen}) as chosen").fetchall()[0][0])
            if not rows_chosen:
                continue
            earlier = f"select * from read_parquet({literal(kept)}) union all by name " if kept.exists() else ""
            _write(connection, f"{earlier}{chosen}", kept)
        lake.reached("dropped rows kept")
        _finish_drop(settings, ledger, batch)
        dropped += rows_chosen
    return dropped


def finish_drops(settings: Settings, ledger: Ledger) -> None:
    """Finish every `drop` that was killed: rows that lie below _dropped leave quarantine and its account."""
    folder = lake.dropped_quarantine(settings.paths)
    kept = {file.stem: file for file in folder.glob("*/*.parquet")} if folder.is_dir() else {}
    if not kept:
        return
    for batch in ledger.batches(COMMITTED):
        file = kept.get(batch.batch_id)
        if file is not None and pq.read_metadata(file).num_rows != batch.rows_dropped:
            _finish_drop(settings, ledger, batch)


def quarantined_batches(ledger: Ledger, selection: Selection) -> list[Batch]:
    """Return the committed batches of the selection that have rows in quarantine."""
    return [batch for batch in ledger.batches(COMMITTED) if batch.rows_quarantined and selection.takes_file(batch)]


def _finish_drop(settings: Settings, ledger: Ledger, batch: Batch) -> None:
    """Take rows that are kept below _dropped out of the quarantine file, then out of the account."""
    file, kept = _file_of(settings, batch), _dropped_file_of(settings, batch)
    with memory_engine(settings, "quarantine") as connection:
        rest = (
            f"select * from read_parquet({literal(file)}) "
            f"anti join (select record_number from read_parquet({literal(kept)})) as dropped using (record_number)"
        )
        if file.exists():
            _write(connection, f"{rest} order by record_number", file)
    lake.reached("dropped rows removed")
    ledger.note_dropped(batch.batch_id, pq.read_metadata(kept).num_rows)
    lake.reached("drop noted")
    if file.exists() and not pq.read_metadata(file).num_rows:
        lake.remove_files([file])


def _write(connection: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = lake.temporary_of(target)
    connection.execute(f"copy ({query}) to {literal(temporary)} (format parquet)")
    lake.sync_file(temporary)
    temporary.replace(target)
    lake.sync_folder(target.parent)


def _file_of(settings: Settings, batch: Batch) -> Path:
    return lake.quarantine_file(settings.paths.quarantine, batch.entity, batch.batch_id)


def _dropped_file_of(settings: Settings, batch: Batch) -> Path:
    return lake.quarantine_file(lake.dropped_quarantine(settings.paths), batch.entity, batch.batch_id)


@contextmanager
def _rows(settings: Settings, batches: Sequence[Batch], selection: Selection) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection with a view `refused` of the selection's rows; the file path is the ledger's."""
    files = [_file_of(settings, batch) for batch in batches]
    present = [file for file in files if file.exists()]
    empty = ", ".join(
        f"null::{'bigint' if name in ('record_number', 'line_number') else 'varchar'} as {name}" for name in COLUMNS
    )
    with memory_engine(settings, "quarantine") as connection:
        if not present:
            connection.execute(f"create view refused as select {empty} where false")
        else:
            connection.execute("create table paths (batch_id varchar, path varchar)")
            connection.executemany(
                "insert into paths values (?, ?)", [[batch.batch_id, batch.file_path] for batch in batches]
            )
            connection.execute(
                f"""
                create view refused as
                select refused_rows.* replace (paths.path as file_path)
                from read_parquet({literal_list(present)}, union_by_name=true) as refused_rows
                inner join paths using (batch_id)
                where {selection.row_condition}
                """
            )
        yield connection
