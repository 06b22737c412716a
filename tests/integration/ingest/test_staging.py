"""One file into one batch: new columns, held files, rows other files have, previews, and a file of many rows."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from tests.sources import load_sources
from userops.ingest import stage
from userops.ingest.decode import LandingFile, sha256_of
from userops.ingest.sources import Source
from userops.ingest.stage import StagedFile, Stager, batch_id_of, stager
from userops.ingest.transform import date_bounds

from .conftest import Instance, tree_digest

HEADER = "id,ts,event,uid\n"
DAY, LATER = date(2026, 1, 5), date(2026, 1, 31)


@contextlib.contextmanager
def opened(instance: Instance) -> Iterator[tuple[Stager, Source]]:
    (source,) = load_sources(instance.settings)
    with stager(instance.settings, date_bounds(instance.settings, LATER, LATER)) as worker:
        worker.check_mapping(source)
        yield worker, source


def landed(path: Path, instance: Instance) -> LandingFile:
    return LandingFile(path, path.relative_to(instance.landing).as_posix())


def staged(instance: Instance, path: Path, **options: object) -> StagedFile:
    with opened(instance) as (worker, source):
        return worker.stage(source, landed(path, instance), sha256_of(path), **options)


def rows_in(instance: Instance, pattern: str, columns: str = "*") -> list[tuple]:
    files = sorted(instance.home.glob(pattern))
    return instance.query(f"select {columns} from read_parquet({[str(file) for file in files]})") if files else []


def test_new_columns_go_into_properties_sorted_and_without_personal_ones(instance):
    instance.source()
    path = instance.land(
        "shop/events_1.csv",
        "zone,id,ts,event,uid,手机号,city,email\nz,a,2026-01-05,view,u,13800000000,上海,x@example.com\n"
        ",b,2026-01-05,view,u,13800000000, ,x@example.com\n",
    )
    found = staged(instance, path)
    assert (found.new_columns, set(found.personal_columns)) == (("city", "zone"), {"email", "手机号"})
    assert rows_in(instance, "lake/incoming/events/*/*.parquet", "event_id, properties") == [
        ("a", '{"city":"上海","zone":"z"}'),
        ("b", None),
    ]


def test_new_columns_do_not_depend_on_the_order_of_columns_or_files(instance):
    instance.source()
    instance.land("shop/events_1.csv", "id,ts,event,uid,b,a\n1,2026-01-05,view,u,2,1\n")
    instance.land("shop/events_2.csv", "a,b,id,ts,event,uid\n1,2,1,2026-01-05,view,u\n")
    instance.land("shop/events_3.csv", "id,ts,event,uid,a,b,c\n1,2026-01-05,view,u,1,2,\n")
    instance.ingest()
    assert instance.lake("events", "event_id, properties") == [("1", '{"a":"1","b":"2"}')]
    assert sorted(batch.rows_deduplicated for batch in instance.batches()) == [0, 1, 1]


def test_new_columns_can_be_dropped_or_ignored(instance):
    instance.source(new_columns="drop", ignore=["KNOWN"])
    path = instance.land("shop/events_1.csv", "id,ts,event,uid,new,known\na,2026-01-05,view,u,1,2\n")
    assert staged(instance, path).new_columns == ("new",)
    assert rows_in(instance, "lake/incoming/events/*/*.parquet", "properties") == [(None,)]


def test_new_keys_of_json_records(instance):
    instance.source(
        files={"path": "shop", "pattern": "*.jsonl"},
        format={"type": "jsonl"},
        ignore=["known"],
        columns={"event_id": "id", "event_time": "ts", "event_name": "event", "user_id": {"path": "$.user.id"}},
    )
    usual = {"id": "a", "ts": "2026-01-05", "event": "view", "user": {"id": 12345678901234567890, "x": 1}, "known": 1}
    path = instance.land_json(
        "shop/1.jsonl",
        {
            **usual,
            "z": [1, {"k": None}],
            "big": 12345678901234567890123,
            "phone": "1",
            "who": {"contact": {"email": "e"}},
        },
        {**usual, "z": None, "big": "", "id": "b", "who": {"n": "mail"}},
    )
    found = staged(instance, path)
    assert (found.new_columns, found.personal_columns) == (("big", "who", "z"), ("phone", "who.contact.email"))
    assert rows_in(instance, "lake/incoming/events/*/*.parquet", "event_id, user_id, properties") == [
        ("a", "12345678901234567890", '{"big":12345678901234567890123,"z":[1,{"k":null}]}'),
        ("b", "12345678901234567890", '{"who":{"n":"mail"}}'),  # whether a row keeps a value depends on that row alone
    ]


def test_folder_keys_can_be_mapped_and_are_no_new_columns(instance):
    columns = {"event_id": "id", "event_time": {"expr": "dt || ' 10:00:00'"}, "event_name": "event", "user_id": "shop"}
    instance.source(files={"path": "shop", "pattern": "**/*.csv"}, columns=columns, filter="dt > '2026-01-01'")
    path = instance.land("shop/dt=2026-01-05/shop=7/events_1.csv", "id,event\na,view\n")
    found = staged(instance, path)
    assert found.new_columns == ()
    assert rows_in(instance, "lake/incoming/events/*/*.parquet", "event_id, user_id") == [("a", "7")]


def test_a_preview_reads_the_first_records_only(instance):
    instance.source()
    path = instance.land("shop/events_1.csv.gz", HEADER + "".join(f"{n},2026-01-05,view,u\n" for n in range(5000)))
    with opened(instance) as (worker, source):
        assert worker.preview(source, landed(path, instance), 50).rows_read <= 100


def drifting(rows: int, unreadable: int) -> str:
    lines = [f"{n},{'soon' if n < unreadable else '2026-01-05'},view,u\n" for n in range(rows)]
    return HEADER + "".join(lines) + "x,,view,u\nhalf\nx,2026-01-05,drop,u\n"


def test_a_file_with_too_many_unreadable_values_is_held_whole(instance):
    instance.source(type_drift={"rows": 10, "share": 0.05}, filter="event <> 'drop'")
    path = instance.land("shop/events_1.csv", drifting(rows=100, unreadable=10))
    found = staged(instance, path)
    batch = found.batch
    assert (batch.rows_read, batch.rows_loaded, batch.rows_quarantined, batch.rows_filtered) == (103, 0, 102, 1)
    assert found.held is not None
    assert "10 of 101 rows have no readable value in `event_time`" in found.held
    codes = dict(
        instance.query(
            "select reason_code, count(*) from read_parquet("
            f"'{instance.home}/lake/incoming/_quarantine/events/*.parquet') group by all"
        )
    )
    assert codes == {"bad_timestamp": 10, "type_drift": 90, "missing_required": 1, "broken_line": 1}
    assert rows_in(instance, "lake/incoming/_quarantine/events/*.parquet", "count(raw)") == [(102,)]
    assert rows_in(instance, "lake/incoming/events/*/*.parquet") == []


@pytest.mark.parametrize(
    ("limits", "held"),
    [({"rows": 11, "share": 0.0}, False), ({"rows": 10, "share": 0.1}, False), ({"rows": 10, "share": 0.09}, True)],
)
def test_drift_must_pass_both_limits(instance, limits, held):
    instance.source(type_drift=limits, filter="event <> 'drop'")
    path = instance.land("shop/events_1.csv", drifting(rows=100, unreadable=10))
    assert bool(staged(instance, path).held) == held


@pytest.mark.parametrize("worth_parts", [1, 1 << 20], ids=["in parts", "at once"])
def test_repeats_within_a_file_are_taken_once(instance, monkeypatch, worth_parts):
    """Among as many hashes as these, each of the parts they are looked through in has some."""
    monkeypatch.setattr(stage, "_ROWS_WORTH_PARTS", worth_parts)
    instance.source()
    lines = "".join(f"r{number},2026-01-05,view,u\n" for number in range(200))
    found = staged(instance, instance.land("shop/events_1.csv", HEADER + lines + lines))
    assert (found.batch.rows_loaded, found.batch.rows_deduplicated) == (200, 200)


def test_rows_that_other_files_have_are_named(instance):
    """Each distinct row once, by date, whether the other file is loaded or staged; repeats within a file are not."""
    instance.source()
    instance.land("shop/events_1.csv", HEADER + "a,2026-01-05,view,u\nb,2026-01-06,view,u\n")
    instance.ingest()
    second = instance.land("shop/events_2.csv", HEADER + "c,2026-01-05,view,u\nc,2026-01-05,view,u\n")
    third = instance.land(
        "shop/events_3.csv",
        HEADER + "a,2026-01-05,view,u\na,2026-01-05,view,u\nb,2026-01-06,view,u\nc,2026-01-05,view,u\n",
    )
    with opened(instance) as (worker, source):
        first_found = worker.stage(source, landed(second, instance), sha256_of(second))
        found = worker.stage(source, landed(third, instance), sha256_of(third))
    assert (first_found.batch.rows_loaded, first_found.batch.rows_deduplicated) == (1, 1)
    assert (found.batch.rows_loaded, found.batch.rows_deduplicated) == (0, 4)
    duplicates = "lake/incoming/_duplicates/events"
    assert rows_in(instance, f"{duplicates}/*/{first_found.batch.batch_id}.parquet") == []
    named = {
        day: rows_in(instance, f"{duplicates}/event_date={day}/{found.batch.batch_id}.parquet", "event_id")
        for day in ("2026-01-05", "2026-01-06")
    }
    assert {day: sorted(rows) for day, rows in named.items()} == {
        "2026-01-05": [("a",), ("c",)],
        "2026-01-06": [("b",)],
    }
    kinds = instance.query(f"describe select * from read_parquet('{instance.home}/{duplicates}/*/*.parquet')")
    assert {row[0]: row[1] for row in kinds} | {"event_date": "DATE"} == {
        "event_id": "VARCHAR",
        "_row_hash": "BIGINT",
        "event_date": "DATE",
    }


def test_rows_of_a_batch_that_is_left_out_do_not_count(instance):
    instance.source()
    first = instance.land("shop/events_1.csv", HEADER + "a,2026-01-05,view,u\n")
    instance.ingest()
    second = instance.land("shop/events_2.csv", HEADER + "a,2026-01-05,view,u\nb,2026-01-05,view,u\n")
    gone = batch_id_of("shop_events", sha256_of(first))
    found = staged(instance, second, batch_id="f" * 16, leave_out=frozenset({gone}))
    assert (found.batch.batch_id, found.batch.rows_loaded, found.batch.rows_deduplicated) == ("f" * 16, 2, 0)


def test_equal_hashes_of_other_rows_are_no_duplicates(instance):
    """The number that is compared first may be equal by chance: key and date decide."""
    instance.source()
    first = instance.land("shop/events_1.csv", HEADER + "a,2026-01-05,view,u\n")
    instance.ingest()
    (file,) = (instance.home / "lake" / "raw" / "events").glob("event_date=2026-01-05/*.parquet")
    second = instance.land("shop/events_2.csv", HEADER + "b,2026-01-05,view,u\n")
    own = staged(instance, second).batch
    (hash_,) = rows_in(instance, f"lake/incoming/events/*/{own.batch_id}.parquet", "_row_hash")
    with duckdb.connect() as connection:
        connection.execute(f"create table t as select * from read_parquet('{file}', hive_partitioning=false)")
        connection.execute(f"update t set _row_hash = {hash_[0]}")
        connection.execute(f"copy t to '{file}' (format parquet)")
    for staged_file in (instance.home / "lake" / "incoming").rglob("*.parquet"):
        staged_file.unlink()
    assert staged(instance, second).batch.rows_loaded == 1
    assert first.exists()


def test_takes_have_ids_of_their_own():
    assert batch_id_of("s", "f" * 64) == batch_id_of("s", "f" * 64, 1)
    assert len({batch_id_of("s", "f" * 64, take) for take in (1, 2, 3)}) == 3


def test_currencies_of_a_file(instance):
    columns = {"event_time": "ts", "event_name": "event", "user_id": "uid", "value": "v", "currency": "cur"}
    instance.source(columns=columns)
    path = instance.land(
        "shop/events_1.csv",
        "ts,event,uid,v,cur\n2026-01-05,view,u,1,eur\n2026-01-05,view,u,1,USD\n2026-01-05,view,u,1,\n",
    )
    assert staged(instance, path).currencies == ("EUR", "USD")
    shutil.rmtree(instance.home / "lake" / "incoming")
    (instance.config / "exchange_rates.csv").write_text("rate_date,currency,rate\n2026-01-01,EUR,8\n")
    found = staged(instance, path)
    assert (found.currencies, found.batch.rows_quarantined) == (("EUR",), 1)


def test_a_preview_shows_every_fate_and_writes_nothing(instance):
    instance.source(filter="event <> 'drop'", event_names={"view": "product_viewed"})
    path = instance.land(
        "shop/events_1.csv",
        "id,ts,event,uid,new\na,2026-01-05,view,u,1\na,2026-01-05,view,u,1\nb,when,view,u,\nhalf\nc,2026-01-06,drop,u,\n"
        "d,2026-01-07,other,u,\n",
    )
    before = tree_digest(instance.home)
    with opened(instance) as (worker, source):
        found = worker.preview(source, landed(path, instance), 1000)
    assert tree_digest(instance.home) == before
    assert (found.rows_read, found.loaded, found.deduplicated, found.quarantined, found.filtered) == (6, 2, 1, 2, 1)
    assert [row["event_name"] for row in found.samples["loaded"]] == ["product_viewed", "other"]
    assert [row["reason_code"] for row in found.samples["quarantined"]] == ["bad_timestamp", "broken_line"]
    assert [row["record_number"] for row in found.samples["filtered"]] == [5]
    assert {(code, column, rows) for code, column, rows, _, _ in found.reasons} == {
        ("bad_timestamp", "event_time", 1),
        ("broken_line", "", 1),
    }
    assert found.event_names == {"other": 1, "product_viewed": 1}
    assert (found.first_date, found.last_date, found.rows_without_user) == (DAY, date(2026, 1, 7), 0)
    assert (found.new_columns, found.held) == (("new",), None)


def test_a_preview_of_an_empty_file(instance):
    instance.source()
    path = instance.land("shop/events_1.csv", "")
    with opened(instance) as (worker, source):
        found = worker.preview(source, landed(path, instance), 10)
    assert found.rows_read == 0
    assert any("empty" in warning for warning in found.warnings)


def test_rows_that_memory_has_no_room_for_are_kept_on_disk(instance):
    columns = {"event_id": "id", "event_time": "ts", "event_name": "event", "user_id": {"expr": "repeat(uid, 500)"}}
    instance.source(columns=columns)
    lines = (f"e{n},2026-01-0{1 + n % 7} 10:00:00,view,u{n % 50}\n" for n in range(100_000))
    path = instance.land("shop/events_1.csv", HEADER + "".join(lines))
    with opened(instance) as (worker, source):
        worker.connection.execute("set memory_limit = '80MB'")
        found = worker.stage(source, landed(path, instance), sha256_of(path)).batch
    loaded = rows_in(instance, "lake/incoming/events/*/*.parquet", "count(*), count(distinct event_id)")
    assert (found.rows_read, found.rows_loaded, loaded) == (100_000, 100_000, [(100_000, 100_000)])
