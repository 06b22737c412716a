"""What good files become in the lake."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

JSONL = {"files": {"path": "shop", "pattern": "events_*.jsonl*"}, "format": {"type": "jsonl"}}


def test_csv_row_becomes_canonical(instance):
    instance.source()
    instance.land("shop/events_1.csv", "id,ts,event,uid\ne1,2026-01-05 23:30:00,view, u1 \n")
    report = instance.ingest()
    row = instance.lake(
        "events", "event_id, event_time, event_name, user_id, channel, _source, _row_number, event_date"
    )
    # 23:30 in Shanghai is 15:30 UTC; the business date is Shanghai's.
    assert row == [("e1", datetime(2026, 1, 5, 15, 30), "view", "u1", None, "shop_events", 1, date(2026, 1, 5))]
    assert report.counts["rows_read"] == report.counts["rows_loaded"] == 1


def test_business_date_is_local_in_the_projects_zone_not_the_sources(instance):
    instance.source(timezone="UTC")
    instance.land("shop/events_1.csv", "id,ts,event,uid\ne1,2026-01-05 23:30:00,view,u1\n")
    instance.ingest()
    assert instance.lake("events", "event_time, event_date") == [(datetime(2026, 1, 5, 23, 30), date(2026, 1, 6))]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-01-05T10:00:00+08:00", datetime(2026, 1, 5, 2)),
        ("2026-01-05T10:00:00.250Z", datetime(2026, 1, 5, 10, 0, 0, 250_000)),
        ("2026-01-05 10:00:00-0330", datetime(2026, 1, 5, 13, 30)),
        ("2026-01-05T10:00+08", datetime(2026, 1, 5, 2)),
        ("2026-01-05 10:00", datetime(2026, 1, 5, 2)),
        ("2026-01-05", datetime(2026, 1, 4, 16)),
    ],
)
def test_iso_times(instance, text, utc):
    instance.source()
    instance.land("shop/events_1.csv", f"id,ts,event,uid\ne1,{text},view,u1\n")
    instance.ingest()
    assert instance.lake("events", "event_time") == [(utc,)]


@pytest.mark.parametrize(
    ("format_", "text", "utc"),
    [
        ("%d.%m.%Y %H:%M", "05.01.2026 10:00", datetime(2026, 1, 5, 2)),
        ("%d/%m/%Y %H:%M:%S %z", "05/01/2026 10:00:00 +0100", datetime(2026, 1, 5, 9)),
        ("epoch_s", "1767578400", datetime(2026, 1, 5, 2)),
        ("epoch_s", "1767578400.5", datetime(2026, 1, 5, 2, 0, 0, 500_000)),
        ("epoch_ms", "1767578400250", datetime(2026, 1, 5, 2, 0, 0, 250_000)),
    ],
)
def test_times_with_a_format(instance, format_, text, utc):
    columns = {
        "event_id": "id",
        "event_name": "event",
        "user_id": "uid",
        "event_time": {"column": "ts", "format": format_},
    }
    instance.source(columns=columns)
    instance.land("shop/events_1.csv", f"id,ts,event,uid\ne1,{text},view,u1\n")
    instance.ingest()
    assert instance.lake("events", "event_time") == [(utc,)]
    assert instance.quarantine() == []


def test_daylight_saving_zone(instance):
    instance.source(timezone="Europe/London")
    instance.land("shop/events_1.csv", "id,ts,event,uid\na,2025-07-01 12:00:00,view,u\nb,2025-12-01 12:00:00,view,u\n")
    instance.ingest()
    assert instance.lake("events", "event_time") == [(datetime(2025, 7, 1, 11),), (datetime(2025, 12, 1, 12),)]


def test_jsonl_ids_keep_every_digit(instance):
    columns = {
        "event_id": "id",
        "event_time": "ts",
        "event_name": "event",
        "user_id": "uid",
        "properties": "p",
        "value": "v",
    }
    instance.source(**JSONL, columns=columns)
    time = '"ts": "2026-01-05T10:00:00Z", "event": "view"'
    instance.land(
        "shop/events_1.jsonl.gz",
        f'{{"id": 98765432109876543210, "uid": 12345678901234567891, {time}, "p": {{"a": [1, "中文"]}}, "v": 1.50}}\n'
        f'{{"id": "00042", "uid": 13085.0, {time}, "p": {{}}}}\n',
    )
    instance.ingest()
    assert instance.lake("events", "event_id, user_id, properties, value") == [
        ("00042", "13085", "{}", None),
        ("98765432109876543210", "12345678901234567891", '{"a":[1,"中文"]}', Decimal("1.5000")),
    ]


def test_csv_ids_keep_every_digit_and_lose_an_empty_fraction(instance):
    instance.source()
    rows = "".join(
        f"{n},2026-01-05,view,{uid}\n"
        for n, uid in enumerate(["12345678901234567891", "13085.0", "-7.00", "1.50", "v1.0"])
    )
    instance.land("shop/events_1.csv", "id,ts,event,uid\n" + rows)
    instance.ingest()
    assert [row[0] for row in instance.lake("events", "user_id, event_id")] == [
        "-7",
        "1.50",
        "12345678901234567891",
        "13085",
        "v1.0",
    ]


def test_parquet_native_types(instance):
    instance.source(
        source="shop_users",
        entity="users",
        files={"path": "shop", "pattern": "users.parquet"},
        format={"type": "parquet"},
        columns={
            "user_id": "uid",
            "registered_at": "naive",
            "updated_at": "zoned",
            "birth_date": "born",
            "consent_email": "ok",
            "gender": "g",
        },
    )
    noon = datetime(2026, 1, 5, 12)
    table = pa.table(
        {
            "uid": pa.array([13085.0, 2.0**53, None, float("nan")], pa.float64()),
            "naive": pa.array([noon] * 4, pa.timestamp("ns")),
            "zoned": pa.array([noon] * 4, pa.timestamp("us", tz="UTC")),
            "born": pa.array([date(1990, 2, 3)] * 4),
            "ok": pa.array([True, False, None, True]),
            "g": ["f", "f", "f", "f"],
        }
    )
    pq.write_table(table, instance.landing / "shop" / "users.parquet")
    instance.ingest()
    assert instance.lake("users", "user_id, registered_at, updated_at, birth_date, consent_email") == [
        ("13085", datetime(2026, 1, 5, 4), noon, date(1990, 2, 3), True)
    ]
    assert instance.quarantine("users", "record_number, reason_code, column_name, found") == [
        (2, "id_digits_lost", "user_id", "9007199254740992.0"),
        (3, "missing_required", "user_id", "no value"),
        (4, "missing_required", "user_id", "no value"),
    ]


def test_integer_time_column_needs_a_unit(instance):
    instance.source(format={"type": "parquet"}, files={"path": "shop", "pattern": "*.parquet"})
    pq.write_table(
        pa.table({"id": ["a"], "ts": [1767578400], "event": ["view"], "uid": ["u"]}),
        instance.landing / "shop" / "e.parquet",
    )
    instance.stage()
    assert re.search(r"columns\.event_time.*epoch_s", instance.note("failed_source"))


def test_expressions_constants_event_names_and_filter(instance):
    instance.source(
        columns={
            "event_id": "id",
            "event_time": "ts",
            "user_id": "uid",
            "event_name": {"expr": "upper(event)"},
            "currency": {"value": "CNY"},
            "page": {"expr": "_file"},
            "properties": {"expr": "{'raw': event}"},
            "value": {"value": 2},
        },
        event_names={"VIEW": "product_viewed"},
        filter="uid <> 'test'",
    )
    instance.land(
        "shop/events_1.csv",
        "id,ts,event,uid\na,2026-01-05,view,u\nb,2026-01-05,other,u\nc,2026-01-05,view,test\nd,2026-01-05,view,\n",
    )
    report = instance.ingest()
    assert instance.lake("events", "event_id, event_name, currency, page, properties, value") == [
        ("a", "product_viewed", "CNY", "shop/events_1.csv", '{"raw":"view"}', Decimal(2)),
        ("b", "OTHER", "CNY", "shop/events_1.csv", '{"raw":"other"}', Decimal(2)),
    ]
    assert report.counts["rows_filtered"] == 2  # `null <> 'test'` is not true either


@pytest.mark.parametrize(
    ("encoding", "spec"),
    [
        ("gb18030", {"encoding": "gb18030"}),
        ("utf-16", {"encoding": "utf-16"}),
        ("utf-8-sig", {}),
        ("utf-8", {"delimiter": "\t"}),
        ("utf-8", {"delimiter": "||"}),
        ("utf-8", {"quote": "'", "escape": "'"}),
    ],
)
def test_csv_dialects(instance, encoding, spec):
    instance.source(format={"type": "csv", **spec})
    delimiter, quote = spec.get("delimiter", ","), spec.get("quote", '"')
    lines = [["id", "ts", "event", "uid"], ["a", "2026-01-05", f"{quote}浏览{delimiter} 商品{quote}", "u1"]]
    instance.land("shop/events_1.csv", "\n".join(delimiter.join(line) for line in lines).encode(encoding))
    instance.ingest()
    assert instance.lake("events", "event_id, event_name, user_id") == [("a", f"浏览{delimiter} 商品".strip(), "u1")]


@pytest.mark.parametrize("ends", [("\r\n", "\r\n", "\r\n"), ("\n", "\r\n", "\n"), ("\r\n", "\n", "\r\n")])
def test_line_ends(instance, ends):
    instance.source()
    lines = ["id,ts,event,uid", "a,2026-01-05,view,u1", 'b,2026-01-05,"two\nlines",u1']
    instance.land("shop/events_1.csv", "".join(line + end for line, end in zip(lines, ends, strict=True)))
    instance.source(source="j", **JSONL)
    objects = [
        '{"id": "x", "ts": "2026-01-05", "event": "view", "uid": "u"}',
        "",
        '{"id": "y", "ts": "2026-01-05", "event": "v", "uid": "u"}',
    ]
    instance.land("shop/events_1.jsonl", "".join(line + end for line, end in zip(objects, ends, strict=True)))
    instance.ingest()
    assert instance.lake("events", "event_id, event_name") == [
        ("a", "view"),
        ("b", "two\nlines"),
        ("x", "view"),
        ("y", "v"),
    ]
    assert [batch.rows_read for batch in instance.batches()] == [2, 2]


def test_csv_without_header(instance):
    instance.source(format={"type": "csv", "header": False, "names": ["id", "ts", "event", "uid"]})
    instance.land("shop/events_1.csv", "a,2026-01-05,view,u1\n")
    instance.ingest()
    assert instance.lake("events", "event_id, user_id, _row_number") == [("a", "u1", 1)]


def test_columns_named_like_our_own(instance):
    instance.source(
        columns={
            "event_id": "rowid",
            "event_time": "record_number",
            "event_name": "raw",
            "user_id": "state",
            "page": "_file",
        }
    )
    instance.land("shop/events_1.csv", "rowid,record_number,raw,state,_file,kept\na,2026-01-05,view,u1,f,k\nbroken\n")
    instance.ingest()
    assert instance.lake("events", "event_id, event_name, user_id, page") == [("a", "view", "u1", "f")]


def test_two_sources_feed_one_entity_and_share_a_file(instance):
    instance.source()
    instance.source(
        source="copy_of_it",
        columns={"event_id": "id", "event_time": "ts", "event_name": {"value": "other"}, "user_id": "uid"},
    )
    instance.land("shop/events_1.csv", "id,ts,event,uid\na,2026-01-05,view,u1\n")
    instance.ingest()
    assert instance.lake("events", "event_name, _source") == [("other", "copy_of_it"), ("view", "shop_events")]


def test_missing_entities_are_empty_tables(instance):
    instance.source()
    instance.land("shop/events_1.csv", "id,ts,event,uid\na,2026-01-05,view,u1\n")
    instance.ingest()
    from userops.contracts.entities import ENTITIES

    for entity in ENTITIES.values():
        kinds = instance.query(
            f"describe select * from read_parquet('{instance.home}/lake/raw/{entity.name}/*/*.parquet')"
        )
        expected = [(column.name, column.type.duckdb) for column in entity.stored_columns]
        assert [(row[0], row[1]) for row in kinds][: len(expected)] == expected
        assert len(instance.lake(entity.name)) == (1 if entity.name == "events" else 0)
    scores = f"{instance.home}/lake/scores/churn/*/*.parquet"
    assert instance.query(f"select count(*) from read_parquet('{scores}', hive_partitioning=true)") == [(0,)]


def test_rows_without_a_time_live_in_1970(instance):
    instance.source(
        source="p",
        entity="products",
        files={"path": "shop", "pattern": "p.csv"},
        columns={"product_id": "sku", "unit_price": "price", "updated_at": "at"},
    )
    instance.land("shop/p.csv", "sku,price,at\nA,9.90,\n")
    instance.ingest()
    assert instance.lake("products", "product_id, unit_price, event_date") == [("A", Decimal("9.9"), date(1970, 1, 1))]


def test_control_tables_follow_the_commits(instance):
    instance.source()
    instance.land(
        "shop/events_1.csv", "id,ts,event,uid\na,2026-01-05,view,u\nb,2026-01-06,view,u\nb,2026-01-06,view,u\n"
    )
    instance.ingest()
    instance.land("shop/events_2.csv", "id,ts,event,uid\nc,2026-01-06,view,u\nbad,when,view,u\n")
    instance.stage()
    control = instance.home / "lake" / "control"
    counts = "rows_read, rows_loaded, rows_deduplicated, rows_quarantined, rows_filtered"
    batches = f"select batch_seq, file_path, {counts} from '{control}/ingest_batches.parquet'"
    assert instance.query(batches) == [(1, "shop/events_1.csv", 3, 2, 1, 0, 0)]  # staged is not committed
    instance.load()
    assert instance.query(batches)[1:] == [(2, "shop/events_2.csv", 2, 1, 0, 1, 0)]
    dates = instance.query(
        f"select batch_seq, entity, event_date, rows_loaded from '{control}/ingest_batch_dates.parquet'"
    )
    assert dates == [
        (1, "events", date(2026, 1, 5), 1),
        (1, "events", date(2026, 1, 6), 1),
        (2, "events", date(2026, 1, 6), 1),
    ]


def test_nothing_staged_is_visible_in_raw_before_load(instance):
    instance.source()
    instance.land("shop/events_1.csv", "id,ts,event,uid\na,2026-01-05,view,u\n")
    instance.stage()
    assert instance.lake("events") == []
    staged = instance.query(f"select count(*) from read_parquet('{instance.home}/lake/incoming/events/*/*.parquet')")
    assert staged == [(1,)]
    instance.load()
    assert len(instance.lake("events")) == 1


def test_large_file_keeps_record_numbers_and_accounts(instance):
    """More than one row group and both threads: record numbers must still be those of the file."""
    instance.source()
    with duckdb.connect() as connection:
        path = instance.landing / "shop" / "events_1.csv"
        connection.execute(
            f"""copy (select case when i % 1000 = 7 then 'x' else i::varchar end as id,
            case when i % 1013 = 5 then 'when' else '2026-01-05 10:00:00' end as ts, 'view' as event, i as uid
            from range(1, 300001) t(i)) to '{path}' (header)"""
        )
    text = path.read_text().splitlines(keepends=True)
    text[150_000] = "broken\n"
    path.write_text("".join(text))
    instance.ingest()
    assert instance.lake("events", "count(*)", "cast(user_id as bigint) <> _row_number") == [(0,)]
    refused = instance.quarantine(columns="record_number, line_number, reason_code")
    assert (150_000, 150_001, "broken_line") in refused
    assert {number for number, _, code in refused if code == "bad_timestamp"} == {
        i for i in range(1, 300_001) if i % 1013 == 5
    } - {150_000}
    assert all(line == number + 1 for number, line, _ in refused)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_the_number_of_a_record_can_stand_for_an_id(instance, kind):
    row_id = {"expr": "'row-' || _row"}
    columns = {"event_id": {"column": "_row"}, "event_time": "ts", "event_name": "event", "user_id": row_id}
    instance.source(files={"path": "shop", "pattern": f"*.{kind}"}, format={"type": kind}, columns=columns)
    if kind == "csv":
        instance.land("shop/a.csv", "ts,event\n2026-01-05,view\n2026-01-05,cart,extra,extra\n2026-01-05,cart\n")
    else:
        records = [{"ts": "2026-01-05", "event": "view"}, "no object", {"ts": "2026-01-05", "event": "cart"}]
        instance.land_json("shop/a.jsonl", *records)
    instance.ingest()
    assert instance.lake("events", "event_id, user_id, event_name") == [("1", "row-1", "view"), ("3", "row-3", "cart")]


def test_a_files_own_column_named_like_the_number_wins(instance):
    columns = {"event_id": "_row", "event_time": "ts", "event_name": "event", "user_id": {"value": "u"}}
    instance.source(columns=columns)
    instance.land("shop/events_1.csv", "_row,ts,event\nA7,2026-01-05,view\n")
    instance.ingest()
    assert instance.lake("events", "event_id") == [("A7",)]
