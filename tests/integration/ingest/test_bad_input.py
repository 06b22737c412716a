"""Bad input: one clear message, quarantine where the run can go on, nothing lost, nothing half-written."""

from __future__ import annotations

import gzip
import json
import random
import re
import shutil

import pytest

from userops.errors import SourceFileError, UseropsError

EVENT_COLUMNS = {"event_id": "id", "event_time": "ts", "event_name": "event", "user_id": "uid"}
HEADER = "id,ts,event,uid\n"
GOOD = "a,2026-01-05,view,u\n"


@pytest.mark.parametrize(
    ("line", "code", "column", "found"),
    [
        ("b,when,view,u", "bad_timestamp", "event_time", "when"),
        ("b,infinity,view,u", "bad_timestamp", "event_time", "infinity"),
        ("b,2026-02-30,view,u", "bad_timestamp", "event_time", "2026-02-30"),
        ("b,,view,u", "missing_required", "event_time", "no value"),
        ("b,2026-01-05, ,u", "missing_required", "event_name", "no value"),
        ("b,2026-01-05,view,\u3000", "missing_one_of", "user_id, anonymous_id", "no value"),
        ("b,1899-12-30,view,u", "out_of_range", "event_time", "1899-12-30"),
        ("b,2999-01-01,view,u", "out_of_range", "event_time", "2999-01-01"),
        ("b,when,,u", "bad_timestamp; missing_required", "event_time; event_name", "when; no value"),
    ],
)
def test_refused_row(instance, line, code, column, found):
    instance.source()
    instance.land("shop/events_1.csv", HEADER + GOOD + line + "\n")
    report = instance.ingest()
    columns = "source, file_path, entity, record_number, line_number, reason_code, column_name, found"
    assert instance.quarantine(columns=columns) == [
        ("shop_events", "shop/events_1.csv", "events", 2, 3, code, column, found)
    ]
    values = line.split(",")
    raw = json.loads(instance.quarantine(columns="raw")[0][0])
    assert [raw[name] or "" for name in ("id", "ts", "event", "uid")] == values  # whole, as it came
    assert report.counts["rows_read"] == 2
    assert report.counts["rows_loaded"] == report.counts["rows_quarantined"] == 1


@pytest.mark.parametrize("text", ["1,23.50", "abc", "NaN", "1e30"])
def test_number_that_is_none(instance, text):
    instance.source(columns={"event_time": "ts", "event_name": "event", "user_id": "uid", "value": "v"})
    instance.land("shop/events_1.csv", f'ts,event,uid,v\n2026-01-05,view,u,"{text}"\n')
    instance.ingest()
    assert instance.quarantine(columns="reason_code, column_name, found") == [("bad_type", "value", text)]


def test_broken_lines_keep_their_text(instance):
    instance.source()
    content = (
        HEADER + GOOD + "short\n" + "b,2026-01-05,view,u,more\n" + "c,2026-01-05,view,u\n" + 'd,2026-01-05,"open,u\n'
    )
    instance.land("shop/events_1.csv", content.encode())
    instance.ingest()
    assert instance.quarantine(columns="record_number, line_number, reason_code, trim(raw, chr(10))") == [
        (2, 3, "broken_line", "short"),
        (3, 4, "broken_line", "b,2026-01-05,view,u,more"),
        (5, 6, "broken_line", 'd,2026-01-05,"open,u'),
    ]
    assert instance.lake("events", "_row_number, event_id") == [(1, "a"), (4, "c")]


def test_bytes_that_are_not_utf8_are_kept(instance):
    instance.source()
    instance.land(
        "shop/events_1.csv",
        HEADER.encode() + GOOD.encode() + "b,2026-01-05,浏览,u\n".encode("gb18030") + b"c,2026-01-05,view,u\n",
    )
    instance.ingest()
    ((number, code, raw),) = instance.quarantine(columns="record_number, reason_code, raw")
    assert (number, code) == (2, "broken_line")
    assert raw == "b,2026-01-05," + "".join(f"\\x{byte:02x}" for byte in "浏览".encode("gb18030")) + ",u"
    assert instance.lake("events", "_row_number, event_id") == [(1, "a"), (3, "c")]


def test_jsonl_lines_that_are_no_objects(instance):
    instance.source(files={"path": "shop", "pattern": "*.jsonl"}, format={"type": "jsonl"})
    good = '{"id": "a", "ts": "2026-01-05", "event": "view", "uid": "u"}'
    instance.land(
        "shop/e.jsonl", "\n".join([good, "not json", "", "[1, 2]", '"text"', good[:-5], good.replace('"a"', '"b"')])
    )
    report = instance.ingest()
    rows = instance.quarantine(columns="line_number, reason_code, found, raw")
    assert rows == [
        (2, "broken_line", "text that is not JSON", "not json"),
        (4, "broken_line", "JSON of type array", "[1, 2]"),
        (5, "broken_line", "JSON of type varchar", '"text"'),
        (6, "broken_line", "text that is not JSON", good[:-5]),
    ]
    assert report.counts["rows_read"] == 6  # the blank line is no record
    assert len(instance.lake("events")) == 2


def test_unknown_event_names_can_be_quarantined(instance):
    instance.source(event_names={"view": "product_viewed"}, unknown_events="quarantine")
    instance.land("shop/events_1.csv", HEADER + GOOD + "b,2026-01-05,wiew,u\n")
    instance.ingest()
    assert instance.lake("events", "event_name") == [("product_viewed",)]
    assert instance.quarantine(columns="reason_code, found") == [("unknown_event", "wiew")]


def test_row_on_which_an_expression_fails(instance):
    instance.source(
        columns={
            "event_id": "id",
            "event_time": "ts",
            "event_name": "event",
            "user_id": {"expr": "cast(uid as integer)"},
        },
        filter="cast(id as integer) > 0",
    )
    instance.land(
        "shop/events_1.csv",
        HEADER + "1,2026-01-05,view,7\n2,2026-01-05,view,seven\nthree,2026-01-05,view,7\n0,2026-01-05,view,7\n",
    )
    report = instance.ingest()
    assert instance.lake("events", "event_id, user_id") == [("1", "7")]
    assert instance.quarantine(columns="record_number, reason_code, column_name") == [
        (2, "bad_expression; missing_one_of", "user_id; user_id, anonymous_id"),
        (3, "bad_expression", ""),
    ]
    assert report.counts["rows_filtered"] == 1


@pytest.mark.parametrize("name", ["events_1.csv", "events_1.csv.gz"])
def test_empty_file_is_taken_with_a_warning(instance, name):
    instance.source(files={"path": "shop", "pattern": "events_*"})
    instance.land(f"shop/{name}", "")
    report = instance.ingest()
    assert any("is empty" in warning and name in warning for warning in report.warnings)
    assert [(batch.rows_read, batch.state) for batch in instance.batches()] == [(0, "committed")]


def test_header_only_file_has_no_rows(instance):
    instance.source()
    instance.land("shop/events_1.csv", HEADER)
    instance.ingest()
    assert [batch.rows_read for batch in instance.batches()] == [0]


def big_csv(rows: int = 5000) -> bytes:
    random.seed(1)
    return (HEADER + "".join(f"{random.random()},2026-01-05,view,u{n}\n" for n in range(rows))).encode()


def damage(kind: str) -> bytes:
    zipped = bytearray(gzip.compress(big_csv()))
    if kind == "truncated":
        return bytes(zipped[: len(zipped) // 2])
    if kind == "checksum":
        zipped[-6] ^= 0xFF
        return bytes(zipped)
    return bytes(zipped[:-8])  # trailer cut off


@pytest.mark.parametrize("kind", ["truncated", "checksum", "trailer"])
def test_damaged_gzip_fails_alone(instance, kind):
    instance.source(files={"path": "shop", "pattern": "events_*"})
    instance.land("shop/events_1.csv", HEADER + GOOD)
    (instance.landing / "shop" / "events_2.csv.gz").write_bytes(damage(kind))
    instance.land("shop/events_3.csv", HEADER + "c,2026-01-05,view,u\n")
    report = instance.stage()
    (note,) = instance.notes("failed_file")
    assert re.search(r"shop/events_2\.csv\.gz.*cut short or damaged", note.message)
    assert (note.source, note.severity, note.file_path) == ("shop_events", "error", "shop/events_2.csv.gz")
    assert (report.counts["files_staged"], report.counts["files_failed"]) == (2, 1)
    assert note.message in report.warnings
    assert [(batch.file_path, batch.state) for batch in instance.batches()] == [
        ("shop/events_1.csv", "staged"),
        ("shop/events_2.csv.gz", "failed"),
        ("shop/events_3.csv", "staged"),
    ]
    incoming = instance.query(f"select count(*) from read_parquet('{instance.home}/lake/incoming/events/*/*.parquet')")
    assert incoming == [(2,)]
    # The export is sent again, whole: everything enters.
    (instance.landing / "shop" / "events_2.csv.gz").write_bytes(gzip.compress(big_csv()))
    instance.ingest()
    assert len(instance.lake("events")) == 5002
    assert {batch.state for batch in instance.batches()} == {"committed"}
    assert instance.notes("failed_file") == []


def test_gzip_that_is_none(instance):
    instance.source(format={"type": "csv", "compression": "gzip"})
    instance.land("shop/events_1.csv", HEADER + GOOD)
    instance.stage()
    assert "shop/events_1.csv" in instance.note("failed_file")


def test_directory_where_a_file_should_be(instance):
    instance.source()
    (instance.landing / "shop" / "events_1.csv").mkdir()
    instance.land("shop/events_2.csv", HEADER + GOOD)
    instance.stage()
    assert [batch.state for batch in instance.batches()] == ["staged"]


def test_missing_landing_folder(instance):
    instance.source(files={"path": "shopp", "pattern": "*.csv"})
    instance.source(source="well", columns=EVENT_COLUMNS)
    instance.land("shop/events_1.csv", HEADER + GOOD)
    report = instance.ingest()
    assert re.search(r"shop_events.*files\.path.*no folder.*did you mean `shop`", instance.note("failed_source"))
    assert [(batch.source, batch.state) for batch in instance.batches()] == [("well", "committed")]
    assert (report.counts["sources_failed"], report.counts["files_staged"]) == (1, 1)


def test_missing_landing_folder_may_be_optional(instance):
    instance.source(files={"path": "nowhere", "pattern": "*.csv", "optional": True})
    assert instance.stage().counts["files_staged"] == 0


def test_folder_without_a_matching_file_is_a_warning(instance):
    instance.source()
    assert any("no file matches" in warning for warning in instance.stage().warnings)


def test_unreadable_parquet(instance):
    instance.source(format={"type": "parquet"}, files={"path": "shop", "pattern": "*.parquet"})
    instance.land("shop/e.parquet", b"PAR1 this is not parquet PAR1")
    instance.stage()
    assert re.search(r"shop/e\.parquet.*a Parquet file", instance.note("failed_file"))


def test_unknown_source_column(instance):
    columns = {"event_id": "id", "event_time": "ts", "event_name": "event", "user_id": "userid"}
    instance.source(columns=columns)
    instance.land("shop/events_1.csv", "id,ts,event,user_id\n")
    instance.stage()
    text = instance.note("failed_source")
    for part in (
        "shop/events_1.csv",
        "columns.user_id",
        "`userid`",
        "id, ts, event, user_id",
        "did you mean `user_id`",
    ):
        assert part in text


def test_unknown_column_in_an_expression(instance):
    instance.source(filter="lower(evnt) <> 'x'")
    instance.land("shop/events_1.csv", HEADER + GOOD)
    instance.stage()
    assert re.search(r"key `filter`.*`evnt`.*did you mean `event`", instance.note("failed_source"))


def test_key_that_no_json_record_has_is_a_warning(instance):
    instance.source(
        files={"path": "shop", "pattern": "*.jsonl"}, format={"type": "jsonl"},
        columns={"event_id": "id", "event_time": "ts", "event_name": "event", "user_id": "uid", "channel": "chanel"},
    )  # fmt: skip
    record = {"id": "a", "ts": "2026-01-05", "event": "view", "uid": "u", "channel": "web"}
    instance.land_json("shop/1.jsonl", record)
    report = instance.ingest()
    assert any("`chanel`" in warning and "did you mean `channel`" in warning for warning in report.warnings)
    instance.land_json("shop/2.jsonl", {**record, "id": "b", "chanel": None})
    assert not any("chanel" in warning for warning in instance.ingest().warnings)


def test_header_that_repeats_a_column(instance):
    instance.source()
    instance.land("shop/events_1.csv", "id,ts,event,uid,UID\n")
    instance.stage()
    assert re.search(r"events_1\.csv:1.*UID, uid", instance.note("failed_file"))


@pytest.mark.parametrize("expression", ["lower(", "no_such_function(uid)", "(select 1)", "1; drop table x"])
def test_expression_that_is_none(instance, expression):
    instance.source(filter=expression)
    instance.land("shop/events_1.csv", HEADER + GOOD)
    instance.stage()
    assert "key `filter`" in instance.note("failed_source")
    assert [batch.state for batch in instance.batches()] in ([], ["failed"])


def test_broken_mapping_stages_nothing_and_keeps_what_was_loaded(instance):
    instance.source()
    instance.land("shop/events_1.csv", HEADER + GOOD)
    instance.ingest()
    before = instance.lake("events")
    instance.source(colums={})
    report = instance.stage()
    assert any("did you mean `columns`" in warning for warning in report.warnings), report.warnings
    assert instance.lake("events") == before


def test_lost_ledger_is_noticed(instance):
    instance.source()
    instance.land("shop/events_1.csv", HEADER + GOOD)
    instance.ingest()
    for file in instance.home.glob("ledger.sqlite*"):
        file.unlink()
    with pytest.raises(UseropsError, match=r"ledger\.sqlite.*while the lake holds data"):
        instance.stage()


def test_lost_lake_is_noticed(instance):
    instance.source()
    instance.land("shop/events_1.csv", HEADER + GOOD)
    instance.ingest()
    shutil.rmtree(instance.home / "lake")
    with pytest.raises(UseropsError, match=r"ledger of loaded rows.*holds none"):
        instance.stage()


def damaged(instance, number: int) -> None:
    instance.land(f"shop/events_{number:02}.csv.gz", "").write_bytes(damage("trailer")[: -1 - number])


def test_many_failures_are_noted_each_and_told_in_ten_lines(instance):
    instance.source(files={"path": "shop", "pattern": "events_*"})
    for number in range(12):
        damaged(instance, number)
    report = instance.stage()
    assert len(instance.notes("failed_file")) == 12
    assert len(report.warnings) == 11
    assert "2 more notes" in report.warnings[-1]


def test_a_source_can_stop_the_day(instance):
    instance.source(files={"path": "shop", "pattern": "events_*"}, on_failure="stop_day")
    instance.source(source="well", files={"path": "well", "pattern": "*.csv"})
    instance.land("well/a.csv", HEADER + GOOD)
    for number in range(12):
        damaged(instance, number)
    with pytest.raises(SourceFileError, match=r"and 2 more.*cut short or damaged"):
        instance.stage()
    assert len(instance.notes("failed_file")) == 12
    assert {(batch.source, batch.state) for batch in instance.batches()} == {
        ("shop_events", "failed"),
        ("well", "staged"),
    }


def test_missing_column_stops_its_source_whole_and_no_other(instance):
    """The first file of the source fits the mapping; it is not loaded either, until all of the source is well."""
    instance.source(source="b_broken", files={"path": "broken", "pattern": "*.csv"})
    for name in ("a_well", "c_well"):
        instance.source(source=name, files={"path": name, "pattern": "*.csv"})
        instance.land(f"{name}/1.csv", HEADER + GOOD)
    instance.land("broken/1.csv", HEADER + "x,2026-01-05,view,u\n" + GOOD)
    instance.land("broken/2.csv", "id,ts,event\nb,2026-01-05,view\n")
    instance.land("broken/3.csv", HEADER + "c,2026-01-05,view,u\n")
    instance.ingest()
    (note,) = instance.notes("failed_source")
    assert (note.source, note.severity, note.file_path) == ("b_broken", "error", "broken/2.csv")
    assert [(batch.file_path, batch.state) for batch in instance.batches()] == [
        ("a_well/1.csv", "committed"),
        ("c_well/1.csv", "committed"),
        ("broken/2.csv", "failed"),
    ]
    assert instance.lake("events", "event_id") == [("a",)]
    instance.land("broken/2.csv", HEADER + "b,2026-01-05,view,u\n")
    instance.ingest()
    assert instance.lake("events", "event_id") == [("a",), ("b",), ("c",), ("x",)]
    assert instance.notes("failed_source") == []


def test_file_that_changes_while_it_is_read(instance, monkeypatch):
    from userops.ingest import lake, stage

    instance.source()
    path = instance.land("shop/events_1.csv", HEADER + GOOD)

    def append(point: str) -> None:
        if point == "data written":
            with path.open("a") as handle:
                handle.write("b,2026-01-05,view,u\n")

    monkeypatch.setattr(stage, "reached", append)
    instance.stage()
    assert "changed while it was read" in instance.note("failed_file")
    monkeypatch.setattr(stage, "reached", lake.reached)
    assert list(instance.settings.paths.incoming.glob("events/*/*.parquet")) == []
    instance.ingest()
    assert len(instance.lake("events")) == 2
