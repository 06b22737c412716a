"""The ledger: which bytes of which landing file were taken, and what became of every row of them.

SQLite through SQLAlchemy at `paths.ledger_db`. A batch is `staged`, then `committed`; a file that could not be read
is `failed`. Everything that is not `committed` is thrown away and tried again by the next `ingest`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    event,
    func,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

STAGED, COMMITTED, FAILED = "staged", "committed", "failed"

#: A file changed within this long before it was seen may change again without its time stamp moving.
_TIMESTAMP_TRUST_NS = 2_000_000_000

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
    Column("error", String),
    Column("staged_at", DateTime, nullable=False),
    Column("committed_at", DateTime),
)

_dates = Table(
    "ingest_file_dates",
    _metadata,
    Column("batch_id", String, ForeignKey("ingest_files.batch_id"), primary_key=True),
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
)


@dataclass(frozen=True)
class Batch:
    """One landing file and what became of its rows.

    rows_read = rows_loaded + rows_deduplicated + rows_quarantined + rows_filtered, except in a `failed` batch, whose
    rows were not counted. Times are naive UTC.
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


@dataclass(frozen=True)
class SeenBytes:
    """What one landing file held when it was hashed; `mtime_ns` is its modification time then."""

    source: str
    file_path: str
    file_bytes: int
    mtime_ns: int
    file_sha256: str


class Ledger:
    """All reads and writes of one ledger file."""

    def __init__(self, path: Path) -> None:
        """Open the ledger, creating file and tables when they are missing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = create_engine(f"sqlite:///{path}")
        event.listen(self._engine, "connect", _durable_wal)
        _metadata.create_all(self._engine)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def batches(self, *states: str) -> list[Batch]:
        """Return the batches in `states` (none: all): committed ones by batch_seq, the rest by source and file."""
        query = select(_files).order_by(
            _files.c.batch_seq.is_(None), _files.c.batch_seq, _files.c.source, _files.c.file_path
        )
        if states:
            query = query.where(_files.c.state.in_(states))
        with self._engine.connect() as connection:
            return [Batch(**row) for row in connection.execute(query).mappings()]

    def dates(self) -> dict[str, dict[date, int]]:
        """Return, for every batch, its loaded rows by business date."""
        found: dict[str, dict[date, int]] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(select(_dates).order_by(_dates.c.batch_id, _dates.c.event_date)):
                found.setdefault(row.batch_id, {})[row.event_date] = row.rows_loaded
        return found

    def discard(self, batch_id: str) -> None:
        """Forget a batch that is not committed."""
        with self._engine.begin() as connection:
            connection.execute(delete(_dates).where(_dates.c.batch_id == batch_id))
            connection.execute(delete(_files).where(_files.c.batch_id == batch_id, _files.c.state != COMMITTED))

    def record(self, batch: Batch, dates: Mapping[date, int]) -> None:
        """Write a staged or failed batch and its business dates in one transaction."""
        values: dict[str, Any] = {**vars(batch), "staged_at": _utc_now()}
        with self._engine.begin() as connection:
            connection.execute(_files.insert().values(**values))
            if dates:
                connection.execute(
                    _dates.insert(),
                    [
                        {"batch_id": batch.batch_id, "event_date": day, "rows_loaded": rows}
                        for day, rows in dates.items()
                    ],
                )

    def commit(self, batch_id: str) -> int:
        """Mark a staged batch committed and return its batch_seq, one more than the largest so far."""
        with self._engine.begin() as connection:
            last: int = connection.execute(select(func.coalesce(func.max(_files.c.batch_seq), 0))).scalar_one()
            connection.execute(
                update(_files)
                .where(_files.c.batch_id == batch_id, _files.c.state == STAGED)
                .values(state=COMMITTED, batch_seq=last + 1, committed_at=_utc_now())
            )
            return last + 1

    def known_bytes(self) -> dict[tuple[str, str], tuple[int, int, str]]:
        """Return (size, mtime in ns, sha256) of landing files by (source, path), where the time stamp can be trusted.

        A file that had changed just before it was seen is left out: it must be hashed again.
        """
        with self._engine.connect() as connection:
            return {
                (row.source, row.file_path): (row.file_bytes, row.mtime_ns, row.file_sha256)
                for row in connection.execute(select(_landing))
                if row.seen_at_ns - row.mtime_ns > _TIMESTAMP_TRUST_NS
            }

    def remember_bytes(self, seen: Sequence[SeenBytes]) -> None:
        """Note what landing files held when they were hashed; two paths with one sha256 are duplicates of bytes."""
        now = time.time_ns()
        with self._engine.begin() as connection:
            for item in seen:
                values = {**vars(item), "seen_at_ns": now}
                statement = upsert(_landing).values(**values)
                connection.execute(statement.on_conflict_do_update(index_elements=["source", "file_path"], set_=values))


@contextmanager
def open_ledger(path: Path) -> Iterator[Ledger]:
    """Open the ledger for the length of a `with` block."""
    ledger = Ledger(path)
    try:
        yield ledger
    finally:
        ledger.close()


def _durable_wal(connection: Any, _record: Any) -> None:
    """A commit must survive a power cut before the files it speaks of are moved on."""
    cursor = connection.cursor()
    cursor.execute("pragma journal_mode=wal")
    cursor.execute("pragma synchronous=full")
    cursor.close()


def _utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
