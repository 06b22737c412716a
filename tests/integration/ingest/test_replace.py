"""Files that change, vanish, move and come back: the lake follows what the files hold now, exactly."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from userops.errors import ConfigError
from userops.ingest.ledger import open_ledger
from userops.ingest.runner import stage_again, stage_landing

from .conftest import Instance, make_instance

HEADER = "id,ts,event,uid\n"
ROWS = [f"e{number},2026-01-0{5 + number % 3},view,u" for number in range(6)]
DAYS = [date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7)]


def csv(rows: Iterable[str]) -> str:
    return HEADER + "".join(f"{row}\n" for row in rows)


def ids(instance: Instance) -> list[str]:
    return [row[0] for row in instance.lake("events", "event_id")]


def check_accounts(instance: Instance) -> None:
    """Accounts balance, and the lake holds every row once, under the batch that says so."""
    raw = dict(instance.query(
        "select split_part(parse_filename(filename), '.', 1), count(*) from "
        f"read_parquet('{instance.home}/lake/raw/events/*/*.parquet', filename=true, union_by_name=true) group by 1"
    ))  # fmt: skip
    committed = [batch for batch in instance.batches() if batch.state == "committed"]
    for batch in instance.batches():
        parts = batch.rows_loaded + batch.rows_deduplicated + batch.rows_quarantined + batch.rows_filtered
        assert batch.rows_read == parts, batch
        assert batch.rows_deduplicated >= 0
    assert raw == {batch.batch_id: batch.rows_loaded for batch in committed if batch.rows_loaded}
    with open_ledger(instance.settings) as ledger:
        by_date = ledger.dates()
        assert ledger.leaving() == frozenset()
    assert {batch.batch_id: sum(by_date.get(batch.batch_id, {}).values()) for batch in committed} == {
        batch.batch_id: batch.rows_loaded for batch in committed
    }
    whole = instance.lake("events", "event_date, event_id, _row_hash")
    assert len(whole) == len(set(whole))


VERSIONS = st.dictionaries(
    st.sampled_from(["events_a.csv", "events_b.csv", "events_c.csv", "other_d.csv"]),
    st.one_of(st.none(), st.lists(st.sampled_from(ROWS), max_size=5)),
    min_size=1,
    max_size=3,
)


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(  # a row goes from the file that owns it to the one that had it too, and on to the next, and back
    steps=[
        {"events_a.csv": ROWS[:3], "events_b.csv": ROWS[:2], "other_d.csv": ROWS[:4]},
        {"events_a.csv": ROWS[5:]},
        {"events_b.csv": ROWS[4:5]},
        {"events_a.csv": ROWS[:3], "other_d.csv": []},
    ]
)
@example(  # two names with the same bytes change apart from each other; one comes back to what it was
    steps=[
        {"events_a.csv": ROWS[:2], "events_b.csv": ROWS[:2]},
        {"events_a.csv": ROWS[1:3]},
        {"events_b.csv": ROWS[2:4]},
        {"events_a.csv": ROWS[:2]},
    ]
)
@example(  # both at once, and each takes what the other had
    steps=[
        {"events_a.csv": ROWS[:3], "events_b.csv": ROWS[3:]},
        {"events_a.csv": ROWS[3:], "events_b.csv": ROWS[:3]},
    ]
)
@example(  # a name has new bytes while its old ones turn up under another name
    steps=[
        {"events_a.csv": ROWS[:4], "events_b.csv": ROWS[:1]},
        {"events_a.csv": ROWS[:2], "events_b.csv": ROWS[:4]},
    ]
)
@given(steps=st.lists(VERSIONS, min_size=2, max_size=4))
def test_the_lake_is_the_union_of_what_the_files_hold_now(steps, monkeypatch):
    """None is a file that goes away: its rows stay, unless another file had the very same bytes and changes."""
    with tempfile.TemporaryDirectory() as folder:
        instance = make_instance(Path(folder), monkeypatch)
        instance.source()
        instance.source(source="other", files={"path": "shop", "pattern": "other_*.csv"})
        current: dict[str, list[str]] = {}
        for step in steps:
            for name, rows in step.items():
                path = instance.landing / "shop" / name
                if rows is None:
                    path.unlink(missing_ok=True)
                else:
                    instance.land(f"shop/{name}", csv(rows))
            current = held_now(current, step)
            instance.ingest()
            assert ids(instance) == sorted({row.split(",")[0] for rows in current.values() for row in rows})
            check_accounts(instance)


def held_now(before: dict[str, list[str]], step: dict[str, list[str] | None]) -> dict[str, list[str]]:
    """Return the rows by name that the lake should hold after `step`."""
    after = dict(before)
    for name, rows in step.items():
        if rows is not None:
            after.pop(f"!{name}", None)
            after[name] = rows
        elif name in before:
            after[f"!{name}"] = after.pop(name)
    for name in [name for name in after if name.startswith("!")]:
        # The same bytes at a present name before this step, which has other bytes now: the batch is replaced.
        twins = [
            other
            for other, rows in before.items()
            if source_of(other) == source_of(name) and rows == after[name] and other.lstrip("!") != name.lstrip("!")
        ]
        changed = any(not other.startswith("!") and after.get(other, after[name]) != after[name] for other in twins)
        alive = any(
            rows == after[name] and not other.startswith("!") and source_of(other) == source_of(name)
            for other, rows in after.items()
        )
        if changed and not alive:
            del after[name]
    return after


def source_of(name: str) -> str:
    return name.lstrip("!").partition("_")[0]


def test_a_changed_file_replaces_its_own_rows_and_nobody_elses(instance):
    instance.source()
    instance.land("shop/events_a.csv", csv(["x,2026-01-05,view,u", "both,2026-01-06,view,u", "bad,when,view,u"]))
    instance.land("shop/events_b.csv", csv(["both,2026-01-06,view,u", "y,2026-01-05,view,u"]))
    instance.ingest()
    instance.land("shop/events_a.csv", csv(["z,2026-01-07,view,u"]))
    report = instance.ingest()
    assert ids(instance) == ["both", "y", "z"]
    assert instance.quarantine() == []
    check_accounts(instance)
    assert report.counts["files_replaced"] == 1
    assert [(note.severity, note.file_path) for note in instance.notes("replaced")] == [("info", "shop/events_a.csv")]
    # The heir says the row is its own, and says so in its accounts.
    b = next(batch for batch in instance.batches() if batch.file_path == "shop/events_b.csv")
    assert (b.rows_loaded, b.rows_deduplicated) == (2, 0)
    assert instance.lake("events", "_batch_id, _source, _row_number", "event_id = 'both'") == [
        (b.batch_id, "shop_events", 0)
    ]


def test_the_control_tables_say_which_dates_lost_rows(instance):
    instance.source()
    instance.land("shop/events_a.csv", csv(ROWS))
    instance.ingest()
    instance.land("shop/events_a.csv", csv(ROWS[:1]))
    instance.ingest()
    control = instance.home / "lake" / "control"
    assert instance.query(
        "select batch_seq, state, take, retired_seq, rows_loaded, as_of_date "
        f"from '{control}/ingest_batches.parquet' order by batch_seq"
    ) == [(1, "retired", 1, 3, 6, date(2026, 1, 31)), (2, "committed", 1, None, 1, date(2026, 1, 31))]
    assert instance.query(
        f"select batch_seq, event_date, rows_loaded, source from '{control}/ingest_batch_dates.parquet' order by all"
    ) == [
        *((1, day, 2, "shop_events") for day in DAYS),
        (2, DAYS[0], 1, "shop_events"),
        *((3, day, 0, "shop_events") for day in DAYS),
    ]


def test_a_new_version_that_cannot_be_read_leaves_the_old_one_in_place(instance):
    instance.source()
    instance.land("shop/events_a.csv", csv(ROWS[:2]))
    instance.ingest()
    instance.land("shop/events_a.csv", "id,ts,event,uid,UID\n")
    instance.ingest()
    assert ids(instance) == ["e0", "e1"]
    assert "earlier version stay" in instance.note("failed_file")
    instance.land("shop/events_a.csv", csv(ROWS[2:3]))
    instance.ingest()
    assert ids(instance) == ["e2"]
    check_accounts(instance)


def test_of_two_names_with_the_same_bytes_only_the_last_to_change_retires_them(instance):
    """One of the two new versions cannot be read: its name still stands for the old rows."""
    instance.source()
    for name in "ab":
        instance.land(f"shop/events_{name}.csv", csv(ROWS[:3]))
    instance.ingest()
    instance.land("shop/events_a.csv", csv(ROWS[2:5]))
    instance.land("shop/events_b.csv", "id,ts,event,uid,UID\n")
    instance.ingest()
    assert ids(instance) == ["e0", "e1", "e2", "e3", "e4"]
    check_accounts(instance)
    instance.land("shop/events_b.csv", csv(ROWS[5:]))
    instance.ingest()
    assert ids(instance) == ["e2", "e3", "e4", "e5"]
    check_accounts(instance)


def test_a_vanished_file_is_told_once_and_keeps_its_rows(instance):
    instance.source()
    path = instance.land("shop/events_a.csv", csv(ROWS[:2]))
    instance.land("shop/events_b.csv", csv(ROWS[2:3]))
    instance.ingest()
    path.unlink()
    for _ in range(2):  # on the same business date it stays noted
        report = instance.ingest()
        assert report.counts["files_vanished"] == 1
        assert "events_a.csv is gone" in instance.note("vanished")
    assert ids(instance) == ["e0", "e1", "e2"]
    context = type(instance.context)(instance.settings, date(2026, 2, 1))
    assert not any("is gone" in warning for warning in stage_landing(context).warnings)
    instance.land("shop/events_a.csv", csv(ROWS[:2]))
    report = instance.ingest()
    assert (report.counts["files_vanished"], report.counts["files_staged"]) == (0, 0)


def test_a_renamed_file_is_followed_and_not_taken_again(instance):
    instance.source()
    path = instance.land("shop/events_a.csv", csv(ROWS[:2]))
    instance.ingest()
    path.rename(path.with_name("events_z.csv"))
    report = instance.ingest()
    assert (report.counts["files_moved"], report.counts["files_vanished"], report.counts["files_staged"]) == (1, 0, 0)
    assert [note.file_path for note in instance.notes("moved")] == ["shop/events_z.csv"]
    assert [(batch.file_path, batch.state) for batch in instance.batches()] == [("shop/events_z.csv", "committed")]
    instance.land("shop/events_z.csv", csv(ROWS[4:]))
    instance.ingest()
    assert ids(instance) == ["e4", "e5"]
    check_accounts(instance)


def test_a_file_renamed_over_another_one_replaces_it(instance):
    instance.source()
    a = instance.land("shop/events_a.csv", csv(ROWS[:2]))
    b = instance.land("shop/events_b.csv", csv(ROWS[2:4]))
    instance.ingest()
    a.replace(b)
    instance.ingest()
    assert ids(instance) == ["e0", "e1"]
    assert sorted((batch.file_path, batch.state) for batch in instance.batches()) == [
        ("shop/events_b.csv", "committed"),
        ("shop/events_b.csv", "retired"),
    ]
    check_accounts(instance)


def test_a_copy_that_outlives_its_original_keeps_the_rows(instance):
    instance.source()
    a = instance.land("shop/events_a.csv", csv(ROWS[:2]))
    instance.ingest()
    shutil.copy(a, a.with_name("events_b.csv"))
    instance.ingest()
    a.unlink()
    report = instance.ingest()
    assert report.counts["files_moved"] == 1
    assert [batch.file_path for batch in instance.batches()] == ["shop/events_b.csv"]
    assert ids(instance) == ["e0", "e1"]


def test_bytes_that_were_replaced_can_come_back(instance):
    instance.source()
    for rows in (ROWS[:2], ROWS[2:4], ROWS[:2]):
        instance.land("shop/events_a.csv", csv(rows))
        instance.ingest()
    assert ids(instance) == ["e0", "e1"]
    assert [(batch.take, batch.state) for batch in instance.batches()] == [
        (1, "retired"),
        (1, "retired"),
        (2, "committed"),
    ]
    check_accounts(instance)


def test_again_takes_a_source_under_the_yaml_of_now_and_nothing_else(instance):
    instance.source()
    instance.source(source="other", files={"path": "shop", "pattern": "other_*.csv"})
    instance.land("shop/events_a.csv", csv([*ROWS[:2], "bad,05.01.2026,view,u"]))
    instance.land("shop/events_b.csv", csv(ROWS[1:4]))
    instance.land("shop/other_d.csv", csv(ROWS[:1]))
    instance.ingest()
    instance.source(event_names={"view": "product_viewed"}, filter="id <> 'e1'")
    assert "--again shop_events" in " ".join(instance.stage().warnings)
    stage_landing(instance.context, again={"shop_events"})
    instance.load()
    assert instance.lake("events", "event_id, event_name, _source") == [
        ("e0", "product_viewed", "shop_events"),
        ("e0", "view", "other"),
        ("e2", "product_viewed", "shop_events"),
        ("e3", "product_viewed", "shop_events"),
    ]
    assert len(instance.quarantine()) == 1
    check_accounts(instance)
    assert not any("YAML has changed" in warning for warning in instance.ingest().warnings)


def test_again_names_the_sources_when_it_is_given_another_word(instance):
    instance.source()
    with pytest.raises(ConfigError, match=r"`shop`.*shop_events"):
        stage_landing(instance.context, again={"shop"})


def test_a_retake_that_changes_nothing_leaves_the_same_lake(instance):
    instance.source()
    instance.land("shop/events_a.csv", csv(ROWS))
    instance.land("shop/events_b.csv", csv(ROWS[:2]))
    instance.ingest()
    before = instance.lake("events", "event_id, event_date, _row_hash")
    stage_again(instance.context, {"shop_events": {"shop/events_a.csv"}})
    instance.load()
    assert instance.lake("events", "event_id, event_date, _row_hash") == before
    check_accounts(instance)


def test_a_mapping_that_makes_other_rows_moves_the_shared_ones_over(instance):
    """Retaken with a filter, the owner of shared rows no longer has them; the other file does."""
    instance.source()
    instance.source(source="other", files={"path": "shop", "pattern": "other_*.csv"})
    instance.land("shop/events_a.csv", csv(ROWS))
    instance.land("shop/other_d.csv", csv(ROWS[:3]))
    stage_landing(instance.context)
    instance.load()
    instance.source(source="other", files={"path": "shop", "pattern": "other_*.csv"}, filter="id <> 'e1'")
    instance.source(filter="id = 'e5'")
    stage_landing(instance.context, again={"shop_events", "other"})
    instance.load()
    assert ids(instance) == ["e0", "e2", "e5"]
    check_accounts(instance)


def test_replacing_writes_into_a_lake_of_an_older_version(instance):
    """Files written before a canonical column was added lack it; rows that move over get it as null."""
    instance.source()
    instance.land("shop/events_a.csv", csv(ROWS[:2]))
    instance.land("shop/events_b.csv", csv(ROWS[:2] + ROWS[5:]))
    instance.ingest()
    a = instance.batches()[0]
    for file in instance.home.glob(f"lake/raw/events/*/{a.batch_id}.parquet"):
        shorter = file.with_suffix(".tmp")
        instance.query(f"copy (select * exclude (properties) from '{file}') to '{shorter}' (format parquet)")
        shorter.replace(file)
    instance.land("shop/events_a.csv", csv(ROWS[3:4]))
    instance.ingest()
    assert ids(instance) == ["e0", "e1", "e3", "e5"]
    check_accounts(instance)
