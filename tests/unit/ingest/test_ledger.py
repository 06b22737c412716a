"""The ledger's states, sequence and memory of bytes."""

from __future__ import annotations

import sqlite3
import time
from datetime import date

import pytest
from sqlalchemy.exc import IntegrityError

from userops.ingest.ledger import COMMITTED, FAILED, STAGED, Batch, SeenBytes, open_ledger


def batch(name: str, state: str = STAGED) -> Batch:
    return Batch(name, "shop", "events", f"shop/{name}.csv", "00", 1, "ff", state, rows_read=2, rows_loaded=2)


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(tmp_path / "deep" / "ledger.sqlite") as opened:
        yield opened


def test_commit_numbers_batches_in_order(ledger):
    for name in ("b", "a", "c"):
        ledger.record(batch(name), {date(2026, 1, 5): 2})
    assert [item.batch_id for item in ledger.batches(STAGED)] == ["a", "b", "c"]
    assert [ledger.commit(name) for name in ("c", "a")] == [1, 2]
    assert [item.batch_id for item in ledger.batches()] == ["c", "a", "b"]
    assert ledger.batches(COMMITTED)[0].committed_at is not None
    assert ledger.dates()["a"] == {date(2026, 1, 5): 2}


def test_committed_batches_cannot_be_discarded(ledger):
    ledger.record(batch("a"), {})
    ledger.record(batch("b", FAILED), {})
    ledger.commit("a")
    ledger.discard("a")
    ledger.discard("b")
    assert [item.batch_id for item in ledger.batches()] == ["a"]


def test_a_batch_is_recorded_once(ledger):
    ledger.record(batch("a"), {})
    with pytest.raises(IntegrityError):
        ledger.record(batch("a"), {date(2026, 1, 5): 2})
    assert ledger.dates() == {}


def test_time_stamps_too_fresh_to_trust_are_not_remembered(ledger):
    now = time.time_ns()
    ledger.remember_bytes(
        [SeenBytes("shop", "old", 1, now - 10_000_000_000, "00"), SeenBytes("shop", "new", 1, now, "00")]
    )
    assert ledger.known_bytes() == {("shop", "old"): (1, now - 10_000_000_000, "00")}
    ledger.remember_bytes([SeenBytes("shop", "old", 2, now - 9_000_000_000, "11")])
    assert ledger.known_bytes()[("shop", "old")][0] == 2


def test_ledger_is_write_ahead_logged(tmp_path, ledger):
    ledger.record(batch("a"), {})
    with sqlite3.connect(tmp_path / "deep" / "ledger.sqlite") as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
