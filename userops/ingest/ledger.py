"""The ledger: which bytes of which landing file were taken, and what became of every row of them.

SQLite at `paths.ledger_db`, or PostgreSQL (schema `userops`) when `ledger.url` is set. A batch is `staged`, then
`committed`; a file that could not be read, or that a gate refused, is `failed`. What is neither committed nor beyond is
thrown away and tried again by the next `ingest`. A batch whose bytes were replaced is `retiring` until its rows have
left the lake, then `retired`; there is no way back from `retiring`.

The ledger also knows, for every landing path, the batch its rows are in. When the path's new bytes are committed it
points at the new batch; a batch that loses its last present path so starts retiring in the same transaction.

A batch may be `held`: the whole file waits in quarantine. It takes no path away from a batch with rows: the path goes
on pointing at that one, and only notes the held batch beside it, until the file is taken again, dropped or replaced.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    create_engine,
    delete,
    event,
    false,
    func,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.schema import CreateColumn

from userops.config import Settings, make_home
from userops.errors import ConfigError, PassingError, UseropsError
from userops.postgresurl import EXPECTED, PostgresUrl, read_postgres_url

STAGED, COMMITTED, FAILED, RETIRING, RETIRED = "staged", "committed", "failed", "retiring", "retired"
#: States of batches whose numbers are final: they have, or had, rows in the lake.
NUMBERED = (COMMITTED, RETIRING, RETIRED)
SCHEMA = "userops"

#: A file changed within this long before it was seen may change again without its time stamp moving.
_TIMESTAMP_TRUST_NS = 2_000_000_000
_SQLITE_WAIT_SECONDS = 60
#: Key of the PostgreSQL advisory lock under which all writing transactions queue up.
_WRITE_LOCK = 7_365_726_701
_ACCOUNTS = ("rows_read", "rows_loaded", "rows_deduplicated", "rows_quarantined", "rows_filtered", "rows_dropped")

_metadata = MetaData()

_files = Table(
    "ingest_files",
    _metadata,
    Column("batch_id", String, primary_key=True),
    Column("batch_seq", Integer, unique=True),
    Column("source", String, nullable=False),
    Column("entity", String, nullable=False),
    Column("file_path", String, nullable=False),
    Column("file_sha256", String, nullable=False),
    Column("file_bytes", BigInteger, nullable=False),
    Column("mapping_fingerprint", String, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("rows_read", BigInteger, nullable=False, default=0),
    Column("rows_loaded", BigInteger, nullable=False, default=0),
    Column("rows_deduplicated", BigInteger, nullable=False, default=0),
    Column("rows_quarantined", BigInteger, nullable=False, default=0),
    Column("rows_filtered", BigInteger, nullable=False, default=0),
    Column("rows_dropped", BigInteger, nullable=False, default=0, server_default="0"),
    Column("take", Integer, nullable=False, default=1, server_default="1"),
    Column("as_of_date", Date),
    Column("retired_seq", Integer),
    Column("held", Boolean, nullable=False, default=False, server_default=false()),
    Column("error", String),
    Column("staged_at", DateTime, nullable=False),
    Column("committed_at", DateTime),
    Index("ingest_files_by_bytes", "source", "file_sha256"),
    Index("ingest_files_by_retirement", "retired_seq"),
)

_dates = Table(
    "ingest_file_dates",
    _metadata,
    Column("batch_id", String, ForeignKey(_files.c.batch_id), primary_key=True),
    Column("event_date", Date, primary_key=True),
    Column("rows_loaded", BigInteger, nullable=False),
)

_landing = Table(
    "landing_files",
    _metadata,
    Column("source", String, primary_key=True),
    Column("file_path", String, primary_key=True),
    Column("file_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("file_sha256", String, nullable=False),
    Column("seen_at_ns", BigInteger, nullable=False),
    Column("batch_id", String),
    Column("vanished_on", Date),
    Column("held_batch_id", String),
    Index("landing_files_by_batch", "batch_id"),
    Index("landing_files_by_held_batch", "held_batch_id"),
)

_pending = Table(
    "ingest_pending_paths",
    _metadata,
    Column("source", String, primary_key=True),
    Column("file_path", String, primary_key=True),
    Column("batch_id", String, nullable=False, index=True),
    Column("moved_from", String),
)

_notes = Table(
    "source_notes",
    _metadata,
    Column("as_of_date", Date, primary_key=True),
    Column("step", String, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("source", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("message", String, nullable=False),
    Column("file_path", String, nullable=False),
)


_deliveries = Table(
    "list_deliveries",
    _metadata,
    Column("list_name", String, primary_key=True),
    Column("as_of_date", Date, primary_key=True),
    Column("destination", String, primary_key=True),
    Column("state", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("sent_fingerprint", String),
    Column("rows", BigInteger, nullable=False),
    Column("times_sent", Integer, nullable=False),
    Column("tried_at", DateTime, nullable=False),
    Column("sent_at", DateTime),
    Column("error", String),
)


class LedgerError(UseropsError):
    """The ledger cannot be opened, read or written."""


class LedgerUnavailableError(LedgerError, PassingError):
    """The ledger's server does not answer or lets nobody in now, or another process writes to the ledger for long."""


@dataclass(frozen=True)
class Batch:
    """One landing file and what became of its rows.

    rows_read = rows_loaded + rows_deduplicated + rows_quarantined + rows_filtered, except in a `failed` batch, whose
    rows were not counted; rows_dropped is the part of rows_filtered that a person took out of quarantine for good.
    `take` counts how often the same bytes were taken; `as_of_date` is the business date of the run that staged them;
    `retired_seq` comes from the same sequence as batch_seq. `held`: the whole file is in quarantine, and waits for a
    person; false again once all its rows were dropped. Times are naive UTC.
    """

    batch_id: str
    source: str
    entity: str
    file_path: str
    file_sha256: str
    file_bytes: int
    mapping_fingerprint: str
    state: str
    rows_read: int = 0
    rows_loaded: int = 0
    rows_deduplicated: int = 0
    rows_quarantined: int = 0
    rows_filtered: int = 0
    error: str | None = None
    batch_seq: int | None = None
    staged_at: datetime | None = None
    committed_at: datetime | None = None
    take: int = 1
    as_of_date: date | None = None
    rows_dropped: int = 0
    retired_seq: int | None = None
    held: bool = False


@dataclass(frozen=True)
class SeenBytes:
    """What one landing file held when it was hashed; `mtime_ns` is its modification time then."""

    source: str
    file_path: str
    file_bytes: int
    mtime_ns: int
    file_sha256: str


@dataclass(frozen=True)
class LandingPath:
    """One landing path: the bytes last seen there, the committed batch its rows are in, and since when it is gone.

    `held_batch_id` is the committed batch of its newer bytes, when that one is held and `batch_id` serves in its place.
    """

    source: str
    file_path: str
    file_bytes: int
    mtime_ns: int
    file_sha256: str
    seen_at_ns: int
    batch_id: str | None
    vanished_on: date | None
    held_batch_id: str | None = None

    @property
    def latest(self) -> str | None:
        """The committed batch of the path's newest bytes, held or not."""
        return self.held_batch_id or self.batch_id


@dataclass(frozen=True)
class PendingPath:
    """A landing path whose rows will be those of `batch_id` once that batch is committed.

    `moved_from` is the path where the same bytes lay before, when that one is gone.
    """

    source: str
    file_path: str
    batch_id: str
    moved_from: str | None = None


@dataclass(frozen=True)
class SourceNote:
    """What a person should know about one source on one business date.

    `step` is ingest or gate; `severity` is error, warning or info; the message never holds a value of a row.
    """

    as_of_date: date
    source: str
    step: str
    kind: str
    severity: str
    message: str
    file_path: str = ""


@dataclass(frozen=True)
class Delivery:
    """What became of one list of one business date at one destination.

    `state` is sent or failed; `fingerprint` is that of the content tried last, `sent_fingerprint` that of the content
    that arrived last, which a later failure does not change. The destination's name holds no address. Times are naive
    UTC; rows are those of the content tried last.
    """

    list_name: str
    as_of_date: date
    destination: str
    state: str
    fingerprint: str
    sent_fingerprint: str | None
    rows: int
    times_sent: int
    tried_at: datetime
    sent_at: datetime | None = None
    error: str | None = None


class Ledger:
    """All reads and writes of one ledger. Every write is one transaction, and no two run at the same time."""

    def __init__(self, settings: Settings) -> None:
        """Open the ledger; missing tables, and columns that an older version did not have, are added.

        Raises:
            ConfigError: `ledger.url` is no PostgreSQL URL, or nothing can be written below USEROPS_HOME.
            LedgerError: the ledger cannot be opened (LedgerUnavailableError: now).
        """
        self.url, self._server = _url(settings)
        if _is_sqlite(self.url):
            make_home(settings)
        self._engine = _engine(self.url)
        try:
            self._prepare()
        except BaseException:
            self._engine.dispose()
            raise

    @property
    def where(self) -> str:
        """The ledger's address, without a password."""
        return str(self.url.database) if _is_sqlite(self.url) else self.url.set(query={}).render_as_string()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    # -- batches ---------------------------------------------------------------------------------------------------

    def batches(self, *states: str) -> list[Batch]:
        """Return the batches in `states` (none: all): numbered ones by batch_seq, the rest by source and file."""
        query = select(_files).order_by(
            _files.c.batch_seq.is_(None), _files.c.batch_seq, _files.c.source, _files.c.file_path
        )
        if states:
            query = query.where(_files.c.state.in_(states))
        with self._reading() as connection:
            return [Batch(**row) for row in connection.execute(query).mappings()]

    def is_empty(self) -> bool:
        """Whether no file was ever taken."""
        with self._reading() as connection:
            return connection.execute(select(_files.c.batch_id).limit(1)).first() is None

    def dates(self) -> dict[str, dict[date, int]]:
        """Return, for every batch, its loaded rows by business date."""
        found: dict[str, dict[date, int]] = {}
        with self._reading() as connection:
            for row in connection.execute(select(_dates).order_by(_dates.c.batch_id, _dates.c.event_date)):
                found.setdefault(row.batch_id, {})[row.event_date] = row.rows_loaded
        return found

    def discard(self, batch_id: str) -> None:
        """Forget a batch that never was committed, and the paths that waited for it."""
        with self._writing() as connection:
            numbered = select(_files.c.batch_id).where(_files.c.state.in_(NUMBERED))
            for table in (_pending, _dates, _files):
                connection.execute(delete(table).where(table.c.batch_id == batch_id, table.c.batch_id.not_in(numbered)))

    def record(self, batch: Batch, dates: Mapping[date, int], paths: Sequence[PendingPath] = ()) -> None:
        """Write a staged or failed batch, its business dates and the landing paths that will be its."""
        values: dict[str, Any] = {**vars(batch), "staged_at": _utc_now()}
        with self._writing() as connection:
            connection.execute(_files.insert().values(**values))
            if dates:
                connection.execute(
                    _dates.insert(),
                    [
                        {"batch_id": batch.batch_id, "event_date": day, "rows_loaded": rows}
                        for day, rows in dates.items()
                    ],
                )
            self._upsert(connection, _pending, [vars(path) for path in paths])

    def commit(self, batch_id: str) -> int:
        """Mark a staged batch committed, point its landing paths at it, and return its batch_seq.

        batch_seq is one more than the largest batch_seq or retired_seq so far. Batches that so lose their last present
        path are `retiring` from now on.

        Raises:
            LedgerError: the batch is not staged.
        """
        with self._writing() as connection:
            number = _next_number(connection)
            done = connection.execute(
                update(_files)
                .where(_files.c.batch_id == batch_id, _files.c.state == STAGED)
                .values(state=COMMITTED, batch_seq=number, committed_at=_utc_now())
            )
            if done.rowcount != 1:
                raise LedgerError(
                    self.where,
                    f"batch {batch_id}, which is not staged",
                    "a staged batch",
                    "run `userops ingest` again; another process may have loaded or discarded it",
                )
            _point_paths(connection, [batch_id])
            return number

    def reject(self, reasons: Mapping[str, str], moved: Mapping[str, Mapping[date, int]]) -> None:
        """Mark staged batches failed, each for its reason, and count rows that other staged batches have instead.

        Args:
            reasons: why, by batch_id.
            moved: rows by business date, by the staged batch that has them from now on.
        """
        with self._writing() as connection:
            for batch_id, reason in reasons.items():
                done = connection.execute(
                    update(_files)
                    .where(_files.c.batch_id == batch_id, _files.c.state == STAGED)
                    .values(state=FAILED, error=reason, **dict.fromkeys(_ACCOUNTS, 0))
                )
                if done.rowcount:
                    connection.execute(delete(_dates).where(_dates.c.batch_id == batch_id))
                    connection.execute(delete(_pending).where(_pending.c.batch_id == batch_id))
            _move_accounts(connection, moved)

    # -- retirement ------------------------------------------------------------------------------------------------

    def leaving(self) -> frozenset[str]:
        """Return the committed batches that will retire once everything staged is committed, and those retiring now.

        Until then their rows are in the lake beside those of the batches that replace them.
        """
        with self._reading() as connection:
            paths = connection.execute(select(_landing).where(_landing.c.vanished_on.is_(None))).all()
            held = _held(connection)
            waiting = connection.execute(
                select(_pending.c.source, _pending.c.file_path, _pending.c.batch_id)
                .join(_files, _files.c.batch_id == _pending.c.batch_id)
                .where(_files.c.state.in_((STAGED, COMMITTED)))
            ).all()
            again = connection.execute(_earlier_takes(STAGED)).all()
            retiring = connection.execute(select(_files.c.batch_id).where(_files.c.state == RETIRING)).all()
        newer = {str(earlier): str(later) for earlier, later in again if later not in held or earlier in held}
        before = {
            (row.source, row.file_path): _Pointers(row.batch_id, row.held_batch_id)
            for row in paths
            if row.batch_id is not None
        }
        after = dict(before)
        for path, pointers in before.items():
            for name in pointers.names & set(newer):
                after[path] = after[path].moved_to(newer[name], held)
        for source, file_path, batch_id in waiting:
            path = (source, file_path)
            after[path] = after.get(path, _Pointers()).moved_to(str(batch_id), held)
        pointed_at: set[str] = set().union(*(pointers.names for pointers in before.values()))
        stay: set[str] = set().union(*(pointers.names for pointers in after.values()))
        return frozenset({*(pointed_at - stay), *newer, *(str(batch_id) for (batch_id,) in retiring)})

    def settle_paths(self) -> None:
        """Point landing paths at batches that were committed before: copies, renamed files, bytes that came back."""
        with self._writing() as connection:
            ready = (
                select(_pending.c.batch_id)
                .join(_files, _files.c.batch_id == _pending.c.batch_id)
                .where(_files.c.state == COMMITTED)
                .distinct()
                .order_by(_pending.c.batch_id)
            )
            _point_paths(connection, [str(batch_id) for (batch_id,) in connection.execute(ready)])

    def leave_rows(self, batch_id: str, moved: Mapping[str, Mapping[date, int]]) -> None:
        """Number the retirement of a `retiring` batch and move the accounts of rows that other batches keep.

        `moved`: rows by business date, by the batch that has them from now on. Done once: a batch that has a
        retired_seq is left alone.
        """
        with self._writing() as connection:
            done = connection.execute(
                update(_files)
                .where(_files.c.batch_id == batch_id, _files.c.state == RETIRING, _files.c.retired_seq.is_(None))
                .values(retired_seq=_next_number(connection))
            )
            if done.rowcount:
                _move_accounts(connection, moved)

    def retired(self, batch_id: str) -> None:
        """Mark a batch retired whose rows have left the lake."""
        with self._writing() as connection:
            connection.execute(
                update(_files)
                .where(_files.c.batch_id == batch_id, _files.c.state == RETIRING, _files.c.retired_seq.is_not(None))
                .values(state=RETIRED)
            )

    def note_dropped(self, batch_id: str, rows_dropped: int) -> None:
        """Say that `rows_dropped` rows of a batch, in all, were dropped from quarantine: they count as filtered.

        A held batch of which no row is left is held no longer: it is the version of its paths now, one without rows,
        and what it replaces starts retiring.
        """
        with self._writing() as connection:
            change = rows_dropped - _files.c.rows_dropped
            connection.execute(
                update(_files)
                .where(_files.c.batch_id == batch_id)
                .values(
                    rows_quarantined=_files.c.rows_quarantined - change,
                    rows_filtered=_files.c.rows_filtered + change,
                    rows_dropped=rows_dropped,
                )
            )
            this = (_files.c.batch_id == batch_id, _files.c.held, _files.c.rows_quarantined == 0)
            if connection.execute(update(_files).where(*this).values(held=False)).rowcount:
                _repoint(connection, {batch_id: batch_id}, {batch_id})

    # -- landing paths ---------------------------------------------------------------------------------------------

    def landing(self) -> dict[tuple[str, str], LandingPath]:
        """Return what is known of every landing path, by (source, path)."""
        with self._reading() as connection:
            return {
                (row["source"], row["file_path"]): LandingPath(**row)
                for row in connection.execute(select(_landing)).mappings()
            }

    def known_bytes(self) -> dict[tuple[str, str], tuple[int, int, str]]:
        """Return (size, mtime in ns, sha256) of landing files by (source, path), where the time stamp can be trusted.

        A file that had changed just before it was seen is left out: it must be hashed again.
        """
        return {
            path: (seen.file_bytes, seen.mtime_ns, seen.file_sha256)
            for path, seen in self.landing().items()
            if seen.seen_at_ns - seen.mtime_ns > _TIMESTAMP_TRUST_NS
        }

    def remember_bytes(self, seen: Sequence[SeenBytes]) -> None:
        """Note what landing files held when they were hashed; two paths with one sha256 are duplicates of bytes."""
        now = time.time_ns()
        with self._writing() as connection:
            self._upsert(connection, _landing, [{**vars(item), "seen_at_ns": now} for item in seen])

    def point_later(self, paths: Sequence[PendingPath]) -> None:
        """Note landing paths whose bytes are those of a committed batch; `settle_paths` points them at it."""
        with self._writing() as connection:
            self._upsert(connection, _pending, [vars(path) for path in paths])

    def clear_pending(self) -> None:
        """Forget which paths wait for which batch; `ingest` finds out afresh."""
        with self._writing() as connection:
            connection.execute(delete(_pending))

    def note_presence(self, gone: Mapping[tuple[str, str], date], back: Iterable[tuple[str, str]]) -> None:
        """Note since which business date landing paths are gone, and which of them are there again."""
        with self._writing() as connection:
            for (source, file_path), day in gone.items():
                connection.execute(
                    update(_landing)
                    .where(_landing.c.source == source, _landing.c.file_path == file_path)
                    .values(vanished_on=day)
                )
            for source, file_path in back:
                connection.execute(
                    update(_landing)
                    .where(_landing.c.source == source, _landing.c.file_path == file_path)
                    .values(vanished_on=None)
                )

    # -- notes -----------------------------------------------------------------------------------------------------

    def replace_notes(self, as_of_date: date, step: str, notes: Sequence[SourceNote]) -> None:
        """Replace the notes of one step on one business date."""
        with self._writing() as connection:
            connection.execute(delete(_notes).where(_notes.c.as_of_date == as_of_date, _notes.c.step == step))
            if notes:
                connection.execute(
                    _notes.insert(),
                    [
                        {**vars(note), "as_of_date": as_of_date, "step": step, "position": position}
                        for position, note in enumerate(notes)
                    ],
                )

    def notes(self, as_of_date: date | None = None) -> list[SourceNote]:
        """Return the notes of a business date (none: of all), in the order of date, step and writing."""
        query = select(_notes).order_by(_notes.c.as_of_date, _notes.c.step.desc(), _notes.c.position)
        if as_of_date is not None:
            query = query.where(_notes.c.as_of_date == as_of_date)
        with self._reading() as connection:
            return [
                SourceNote(**{name: value for name, value in row.items() if name != "position"})
                for row in connection.execute(query).mappings()
            ]

    # -- deliveries ------------------------------------------------------------------------------------------------

    def deliveries(self, as_of_date: date | None = None) -> list[Delivery]:
        """Return the deliveries of a business date (none: of all), by date, list and destination."""
        query = select(_deliveries).order_by(
            _deliveries.c.as_of_date, _deliveries.c.list_name, _deliveries.c.destination
        )
        if as_of_date is not None:
            query = query.where(_deliveries.c.as_of_date == as_of_date)
        with self._reading() as connection:
            return [Delivery(**row) for row in connection.execute(query).mappings()]

    def record_delivery(self, delivery: Delivery) -> None:
        """Write what became of a delivery, in place of what was known of it."""
        with self._writing() as connection:
            self._upsert(connection, _deliveries, [vars(delivery)])

    # -- the database ----------------------------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._said_plainly(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """One transaction that waits for every other writer first: numbers are counted without a gap or a tie."""
        with self._said_plainly(), self._engine.execution_options(userops_writes=True).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _WRITE_LOCK})
            yield connection

    @contextmanager
    def _said_plainly(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            found = " ".join(str(cause).split()) or type(cause).__name__
            if self._server is not None:
                found = self._server.masked(found)
            kind = LedgerUnavailableError if _may_pass(error) else LedgerError
            raise kind(
                self.where,
                f"{type(cause).__name__}: {found}",
                "a ledger that can be read and written",
                "see that the database runs and lets this user in (USEROPS_LEDGER__URL), or that the disk has room, "
                "and run again: nothing is lost",
            ) from None

    def _prepare(self) -> None:
        if self._is_current():
            return
        with self._writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"create schema if not exists {SCHEMA}"))
            _metadata.create_all(connection)
            added = [_add_column(connection, table, column) for table, column in _missing_columns(connection)]
            for table in _metadata.sorted_tables:
                for index in table.indexes:
                    index.create(connection, checkfirst=True)
            if _landing.c.batch_id in added:
                _point_as_before(connection)

    def _is_current(self) -> bool:
        with self._reading() as connection:
            present = inspect(connection).get_table_names(schema=_schema(connection))
            return set(_metadata.tables) <= set(present) and not _missing_columns(connection)

    def _upsert(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        keys = [column.name for column in table.primary_key]
        for row in rows:
            statement = insert(table).values(**row)
            connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=dict(row)))


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Ledger]:
    """Open the ledger for the length of a `with` block.

    Raises:
        ConfigError: `ledger.url` is no PostgreSQL URL.
        LedgerError: the ledger cannot be opened (LedgerUnavailableError: now).
    """
    ledger = Ledger(settings)
    try:
        yield ledger
    finally:
        ledger.close()


def _url(settings: Settings) -> tuple[URL, PostgresUrl | None]:
    if settings.ledger.url is None:
        return URL.create("sqlite", database=str(settings.paths.ledger_db)), None
    given = settings.ledger.url.get_secret_value()
    try:
        server = read_postgres_url(given, with_driver=True)
        return make_url(given).set(drivername="postgresql+psycopg2"), server
    except (ValueError, ArgumentError):
        raise ConfigError(
            "USEROPS_LEDGER__URL (key `ledger.url`)", "a text that is no such URL", EXPECTED,
            "correct it, or leave it out: the ledger is a SQLite file then",
        ) from None  # fmt: skip


def _may_pass(error: SQLAlchemyError) -> bool:
    """Whether the database is away or busy; psycopg2 calls that, and what is refused at the door, operational."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    errorname = getattr(error.orig, "sqlite_errorname", None)
    return isinstance(error, OperationalError) if errorname is None else errorname.startswith("SQLITE_BUSY")


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _engine(url: URL) -> Engine:
    if not _is_sqlite(url):
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10}).execution_options(
            schema_translate_map={None: SCHEMA}
        )
    engine = create_engine(url, connect_args={"timeout": _SQLITE_WAIT_SECONDS})
    event.listen(engine, "connect", _durable_wal)
    event.listen(engine, "begin", _begin)
    return engine


def _durable_wal(connection: Any, _record: Any) -> None:
    """A commit must survive a power cut before the files it speaks of are moved on."""
    connection.isolation_level = None  # transactions begin where `_begin` says so, not where the driver guesses
    cursor = connection.cursor()
    cursor.execute("pragma journal_mode=wal")
    cursor.execute("pragma synchronous=full")
    cursor.close()


def _begin(connection: Connection) -> None:
    """A writer takes its lock at once: one that reads first and writes later could be refused in between."""
    writes = connection.get_execution_options().get("userops_writes")
    connection.exec_driver_sql("begin immediate" if writes else "begin")


def _schema(connection: Connection) -> str | None:
    return SCHEMA if connection.dialect.name == "postgresql" else None


def _missing_columns(connection: Connection) -> list[tuple[Table, Column[Any]]]:
    inspector, schema = inspect(connection), _schema(connection)
    return [
        (table, column)
        for table in _metadata.sorted_tables
        for present in [{item["name"] for item in inspector.get_columns(table.name, schema=schema)}]
        for column in table.columns
        if column.name not in present
    ]


def _add_column(connection: Connection, table: Table, column: Column[Any]) -> Column[Any]:
    definition = CreateColumn(column).compile(dialect=connection.dialect)
    schema = _schema(connection)
    name = f"{schema}.{table.name}" if schema else table.name
    connection.execute(text(f"alter table {name} add column {definition}"))
    return column


def _point_as_before(connection: Connection) -> None:
    """Point the paths of a ledger that had no pointers yet at the batches that took the bytes last seen there."""
    taken = (
        select(_files.c.batch_id)
        .where(
            _files.c.source == _landing.c.source,
            _files.c.file_sha256 == _landing.c.file_sha256,
            _files.c.state == COMMITTED,
        )
        .scalar_subquery()
    )
    connection.execute(update(_landing).values(batch_id=taken))


def _next_number(connection: Connection) -> int:
    # One query for each: a database answers it from the index.
    numbers = [
        connection.execute(select(func.max(column))).scalar() for column in (_files.c.batch_seq, _files.c.retired_seq)
    ]
    return max(number or 0 for number in numbers) + 1


@dataclass(frozen=True)
class _Pointers:
    """What a landing path points at: the batch that serves it, and a held one that waits beside it."""

    serving: str | None = None
    held: str | None = None

    @property
    def names(self) -> set[str]:
        return {name for name in (self.serving, self.held) if name is not None}

    def moved_to(self, batch_id: str, held: Collection[str]) -> _Pointers:
        """Return the pointers once the path's newest bytes are those of `batch_id`; `held` are all held batches."""
        if batch_id in held and self.serving is not None and self.serving not in held:
            return _Pointers(self.serving, batch_id)
        return _Pointers(batch_id)


def _held(connection: Connection) -> set[str]:
    return {str(name) for (name,) in connection.execute(select(_files.c.batch_id).where(_files.c.held))}


def _earlier_takes(state: str, of: Sequence[str] | None = None) -> Select[tuple[Any, Any]]:
    """Query (committed batch, later take of the same bytes that is in `state`), for the later takes `of` or all."""
    later = _files.alias("later")
    query = (
        select(_files.c.batch_id, later.c.batch_id)
        .join(later, (later.c.source == _files.c.source) & (later.c.file_sha256 == _files.c.file_sha256))
        .where(_files.c.state == COMMITTED, later.c.state == state, later.c.take > _files.c.take)
    )
    return query if of is None else query.where(later.c.batch_id.in_(of))


def _point_paths(connection: Connection, batch_ids: Sequence[str]) -> None:
    """Point the paths that wait for these batches at them; batches without a present path left start retiring.

    Paths of an earlier take of the same bytes follow to the later one, unless only the later one is held. All paths
    move before any batch is judged: two files may have changed places.
    """
    held = _held(connection)
    replaced: set[str] = set()
    for path in connection.execute(select(_pending).where(_pending.c.batch_id.in_(batch_ids))).all():
        before = _pointers_of(connection, path.source, path.file_path)
        origin = _pointers_of(connection, path.source, path.moved_from) if path.moved_from else _Pointers()
        if before.serving is None:
            before = origin if origin.serving is not None else _Pointers(_stand_in(connection, path.batch_id))
        after = before.moved_to(path.batch_id, held)
        replaced |= before.names - after.names
        this = (_landing.c.source == path.source, _landing.c.file_path == path.file_path)
        connection.execute(
            update(_landing).where(*this).values(batch_id=after.serving, held_batch_id=after.held, vanished_on=None)
        )
        if path.moved_from and origin.names <= after.names:  # else its rows are still to be replaced
            connection.execute(
                delete(_landing).where(_landing.c.source == path.source, _landing.c.file_path == path.moved_from)
            )
    connection.execute(delete(_pending).where(_pending.c.batch_id.in_(batch_ids)))
    later_of = {
        str(earlier): str(later)
        for earlier, later in connection.execute(_earlier_takes(COMMITTED, batch_ids)).all()
        if later not in held or earlier in held
    }
    _repoint(connection, later_of, {*batch_ids, *replaced}, {*replaced, *later_of})


def _repoint(
    connection: Connection, later_of: Mapping[str, str], touched: Collection[str], replaced: Collection[str] = ()
) -> None:
    """Let paths that point at a batch point at a later one instead, then judge all batches whose paths have changed.

    Args:
        later_of: the later batch by the one whose paths follow.
        touched: batches whose paths may have changed already.
        replaced: those of them that retire when no present path points at them any more.
    """
    held = _held(connection)
    gone = set(replaced)
    for earlier, later in later_of.items():
        points = (_landing.c.batch_id == earlier) | (_landing.c.held_batch_id == earlier)
        for row in connection.execute(select(_landing).where(points)).all():
            before = _Pointers(row.batch_id, row.held_batch_id)
            after = before.moved_to(later, held)
            gone |= before.names - after.names
            connection.execute(
                update(_landing)
                .where(_landing.c.source == row.source, _landing.c.file_path == row.file_path)
                .values(batch_id=after.serving, held_batch_id=after.held)
            )
    for name in sorted({*touched, *gone}):
        points = (_landing.c.batch_id == name) | (_landing.c.held_batch_id == name)
        holders = connection.execute(select(_landing.c.file_path).where(points, _landing.c.vanished_on.is_(None)))
        _follow_or_retire(connection, name, sorted(str(path) for (path,) in holders), replaced=name in gone)


def _pointers_of(connection: Connection, source: str, file_path: str) -> _Pointers:
    row = connection.execute(
        select(_landing.c.batch_id, _landing.c.held_batch_id).where(
            _landing.c.source == source, _landing.c.file_path == file_path
        )
    ).one_or_none()
    return _Pointers(row.batch_id, row.held_batch_id) if row else _Pointers()


def _stand_in(connection: Connection, batch_id: str) -> str | None:
    """Return the latest earlier take of a held batch's bytes that is in the lake; its rows serve until then."""
    earlier = _files.alias("earlier")
    name = connection.execute(
        select(earlier.c.batch_id)
        .join(_files, (_files.c.source == earlier.c.source) & (_files.c.file_sha256 == earlier.c.file_sha256))
        .where(_files.c.batch_id == batch_id, _files.c.held, earlier.c.state == COMMITTED, ~earlier.c.held)
        .order_by(earlier.c.take.desc())
        .limit(1)
    ).scalar_one_or_none()
    return None if name is None else str(name)


def _follow_or_retire(connection: Connection, batch_id: str, holders: Sequence[str], *, replaced: bool) -> None:
    """Let a batch's file_path be one where its bytes lie; a replaced batch whose bytes lie nowhere retires."""
    this = _files.c.batch_id == batch_id
    if holders:
        connection.execute(update(_files).where(this, _files.c.file_path.not_in(holders)).values(file_path=holders[0]))
    elif replaced:
        connection.execute(update(_files).where(this, _files.c.state == COMMITTED).values(state=RETIRING))
        connection.execute(
            update(_landing)
            .where(_landing.c.batch_id == batch_id, _landing.c.held_batch_id.is_not(None))
            .values(batch_id=_landing.c.held_batch_id, held_batch_id=None)
        )
        connection.execute(update(_landing).where(_landing.c.held_batch_id == batch_id).values(held_batch_id=None))
        connection.execute(delete(_landing).where(_landing.c.batch_id == batch_id))


def _move_accounts(connection: Connection, moved: Mapping[str, Mapping[date, int]]) -> None:
    """Count rows as loaded that were deduplicated so far, under the batches and business dates of `moved`."""
    for batch_id, rows_by_date in moved.items():
        rows = sum(rows_by_date.values())
        connection.execute(
            update(_files)
            .where(_files.c.batch_id == batch_id)
            .values(rows_loaded=_files.c.rows_loaded + rows, rows_deduplicated=_files.c.rows_deduplicated - rows)
        )
        for day, count in rows_by_date.items():
            this = (_dates.c.batch_id == batch_id, _dates.c.event_date == day)
            done = connection.execute(update(_dates).where(*this).values(rows_loaded=_dates.c.rows_loaded + count))
            if not done.rowcount:
                connection.execute(_dates.insert().values(batch_id=batch_id, event_date=day, rows_loaded=count))


def _utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
