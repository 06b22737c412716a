"""Invariants: accounts, any order and split, kill and rerun, landing never touched."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .conftest import make_instance, tree_digest

HEADER = "id,ts,event,uid\n"
ROW = st.tuples(
    st.sampled_from(["", "e1", "e2", "e3.0"]),
    st.sampled_from(["2026-01-05 10:00:00", "2026-01-05T02:00:00Z", "2026-01-06 01:00:00", "2026-01-06", "when"]),
    st.sampled_from(["view", "cart", " view", "view ", "drop"]),
    st.sampled_from(["u1", "u2", "u1.0", "u2 ", ""]),
).map(",".join)
BROKEN = st.sampled_from(["half", "a,b,c,d,e,f"])


def lake_rows(instance) -> list[tuple]:
    return instance.lake("events", "event_date, event_id, _row_hash, event_time, event_name, user_id")


def accounts_hold(instance) -> None:
    for batch in instance.batches():
        parts = batch.rows_loaded + batch.rows_deduplicated + batch.rows_quarantined + batch.rows_filtered
        assert batch.rows_read == parts
        assert len((instance.landing / batch.file_path).read_text().splitlines()) - 1 == batch.rows_read


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(st.one_of(ROW, ROW, ROW, BROKEN), min_size=4, max_size=12),
    data=st.data(),
)
def test_any_order_split_and_repetition_gives_the_same_lake(rows, data, monkeypatch):
    shuffled = data.draw(st.permutations(rows + data.draw(st.lists(st.sampled_from(rows), min_size=3, max_size=8))))
    cuts = sorted(data.draw(st.lists(st.integers(1, len(shuffled) - 1), min_size=1, max_size=2)))
    parts = [shuffled[start:end] for start, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
    run_of = [data.draw(st.booleans()) for _ in parts]
    with tempfile.TemporaryDirectory() as folder:
        whole = make_instance(Path(folder) / "whole", monkeypatch)
        whole.source(filter="event <> 'drop'")
        whole.land("shop/events_1.csv", HEADER + "".join(row + "\n" for row in rows))
        whole.ingest()

        split = make_instance(Path(folder) / "split", monkeypatch)
        split.source(filter="event <> 'drop'")
        for later in (True, False):
            for number, part in enumerate(parts):
                if run_of[number] == later:
                    split.land(f"shop/events_{number}.csv", HEADER + "".join(row + "\n" for row in part))
            split.ingest()
        assert lake_rows(split) == lake_rows(whole)
        accounts_hold(whole)
        accounts_hold(split)


def test_duplicates_within_a_file_across_files_and_across_runs(instance):
    instance.source()
    line = "e1,2026-01-05,view,u\n"
    instance.land("shop/events_1.csv", HEADER + line + line)
    instance.land("shop/events_2.csv", HEADER + line + "e2,2026-01-05,view,u\n")
    instance.ingest()
    instance.land("shop/events_3.csv", HEADER + line + "e1,2026-01-05,view,other\n")
    instance.ingest()
    # Same key and other content stays: staging, not ingest, picks the winner.
    assert instance.lake("events", "event_id, user_id") == [("e1", "other"), ("e1", "u"), ("e2", "u")]
    assert [(batch.rows_loaded, batch.rows_deduplicated) for batch in instance.batches()] == [(1, 1), (1, 1), (1, 1)]


def test_rows_without_a_key_are_told_apart_by_content(instance):
    instance.source(
        columns={"event_time": "ts", "event_name": "event", "user_id": "uid", "session_id": "sid", "page": "page"}
    )
    # Concatenated carelessly, the first two would read the same.
    instance.land(
        "shop/events_1.csv",
        "ts,event,uid,sid,page\n2026-01-05,view,u,a,bc\n2026-01-05,view,u,ab,c\n2026-01-05,view,u,abc,\n2026-01-05,view,u,,abc\n",
    )
    instance.ingest()
    assert len({row[0] for row in instance.lake("events", "event_id")}) == 4


def test_same_bytes_are_taken_once_per_source(instance):
    instance.source()
    first = instance.land("shop/events_1.csv", HEADER + "a,2026-01-05,view,u\n")
    instance.ingest()
    assert instance.stage().counts["files_skipped"] == 1
    shutil.copy(first, instance.landing / "shop" / "events_2.csv")
    report = instance.ingest()
    assert (report.counts["files_skipped"], report.counts["files_duplicate"], report.counts["files_staged"]) == (
        1,
        1,
        0,
    )
    assert len(instance.batches()) == 1


def test_file_rewritten_in_place_is_seen(instance):
    instance.source()
    instance.land("shop/events_1.csv", HEADER + "a,2026-01-05,view,u\n")
    instance.ingest()
    instance.land("shop/events_1.csv", HEADER + "b,2026-01-05,view,u\n")  # same size
    instance.ingest()
    assert instance.lake("events", "event_id") == [("b",)]


def test_unchanged_old_files_are_not_read_again(instance, monkeypatch):
    from userops.ingest import staging

    instance.source()
    path = instance.land("shop/events_1.csv", HEADER + "a,2026-01-05,view,u\n")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    instance.ingest()
    monkeypatch.setattr(staging, "sha256_of", lambda path: pytest.fail(f"{path} was read again"))
    assert instance.stage().counts["files_skipped"] == 1


def test_duplicate_check_reads_only_the_touched_dates(instance, monkeypatch):
    from userops.ingest import stage

    instance.source()
    for day in range(1, 6):
        instance.land(f"shop/events_{day}.csv", HEADER + f"a,2026-01-0{day},view,u\n")
    instance.ingest()
    asked = []
    real = stage.existing_files
    monkeypatch.setattr(stage, "existing_files", lambda *arguments: asked.extend(found := real(*arguments)) or found)
    instance.land("shop/events_9.csv", HEADER + "b,2026-01-03,view,u\n")
    instance.ingest()
    assert [file.parent.name for file in asked] == ["event_date=2026-01-03"]


def test_mapping_change_is_announced_and_takes_nothing_again(instance):
    instance.source()
    instance.land("shop/events_1.csv", HEADER + "a,2026-01-05,view,u\n")
    instance.ingest()
    instance.source(event_names={"view": "product_viewed"})
    report = instance.ingest()
    assert report.counts["files_staged"] == 0
    assert any("YAML has changed" in warning for warning in report.warnings)


def populate(instance) -> None:
    """Three files: rows over four days, duplicates within and between them, a refused row, a filtered one."""
    instance.source(filter="event <> 'drop'")
    for number in (1, 2, 3):
        rows = [f"e{number}-{i},2026-01-0{1 + i % 4},view,u{i}" for i in range(8)]
        rows += [rows[0], "shared,2026-01-02,view,u", "bad,when,view,u", "d,2026-01-02,drop,u", "half"]
        instance.land(f"shop/events_{number}.csv", HEADER + "\n".join(rows) + "\n")


def test_landing_is_never_touched(instance):
    populate(instance)
    instance.land("shop/events_4.csv", "")
    instance.land("shop/events_5.csv", HEADER + "x,2026-01-05,view\xa0,u\r\n" + "y,2026-01-05,view,u\n")
    instance.source(source="j", files={"path": "json", "pattern": "*.jsonl.gz"}, format={"type": "jsonl"})
    instance.land("json/a.jsonl.gz", json.dumps({"id": "a", "ts": "2026-01-05", "event": "v", "uid": "u"}))
    for file in instance.landing.rglob("*"):
        os.utime(file, (1_700_000_000, 1_700_000_000))
    before, times = (
        tree_digest(instance.landing),
        {file: file.stat().st_mtime_ns for file in instance.landing.rglob("*")},
    )
    instance.ingest()
    instance.ingest()
    assert tree_digest(instance.landing) == before
    assert {file: file.stat().st_mtime_ns for file in instance.landing.rglob("*")} == times


def test_rows_that_do_not_add_up_are_never_staged(instance, monkeypatch):
    from userops.ingest import stage

    instance.source()
    instance.land("shop/events_1.csv", HEADER + "a,2026-01-05,view,u\n")
    real = stage.read_records
    monkeypatch.setattr(stage, "read_records", lambda *arguments: real(*arguments) + 1)
    instance.stage()
    assert "2 rows read but 1 loaded" in instance.note("failed_file")
    assert [batch.state for batch in instance.batches()] == ["failed"]
    assert instance.load().counts["batches"] == 0


def test_scratch_files_are_gone_afterwards(instance):
    populate(instance)
    instance.ingest()
    assert not (instance.home / "tmp" / "ingest").exists()


def test_interrupted_run_without_the_second_half_of_the_data_stays_invisible(instance):
    """What was staged when the gate stopped a run does not reach raw unless it is staged again."""
    populate(instance)
    instance.stage()
    (instance.landing / "shop" / "events_2.csv").unlink()
    instance.ingest()
    assert {batch.file_path for batch in instance.batches()} == {"shop/events_1.csv", "shop/events_3.csv"}
    assert instance.lake("events", "count(*)", "event_id like 'e2-%'") == [(0,)]
