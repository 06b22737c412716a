"""A new version of a file that is held for type drift replaces nothing until a person has settled it."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from userops.cli import app
from userops.ingest.health import SourceHealthError, source_health
from userops.ingest.ledger import open_ledger
from userops.ingest.runner import load_staged, stage_again, stage_landing
from userops.steps import StepContext

from .conftest import Instance, make_instance
from .test_replace import ROWS, check_accounts, csv, ids

#: One unreadable value holds the file.
STRICT = {"type_drift": {"share": 0.0, "rows": 1}}
COLUMNS = {"event_id": "id", "event_name": "event", "user_id": "uid"}
MENDED = {**COLUMNS, "event_time": {"expr": "coalesce(try_strptime(ts, '%d.%m.%Y'), try_cast(ts as timestamp))"}}


def drifted(number: int) -> list[str]:
    """Rows of a version that is held; under the mended mapping they can be read."""
    return [f"n{number}{row},0{row}.01.2026,view,u" for row in (5, 6)]


@pytest.fixture
def shop(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """A good file, and its next version, which is held."""
    monkeypatch.setenv("USEROPS_HOME", str(instance.home))
    monkeypatch.setenv("USEROPS_CONFIG", str(instance.config))
    (instance.config / "userops.yml").write_text("gates: {max_quarantine_share: 1.0}\n")
    instance.source(**STRICT)
    instance.land("shop/events_a.csv", csv(ROWS[:3]))
    instance.ingest()
    instance.land("shop/events_a.csv", csv(drifted(1)))
    return instance


def on(instance: Instance, day: date) -> StepContext:
    return StepContext(instance.settings, day)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output or result.exception
    return result.stdout


def states(instance: Instance) -> list[tuple[str, str, bool, int, int]]:
    return [
        (batch.file_path, batch.state, batch.held, batch.rows_loaded, batch.rows_quarantined)
        for batch in instance.batches()
    ]


def test_the_old_rows_stay_and_the_source_is_red(shop):
    report = shop.ingest()
    assert ids(shop) == ["e0", "e1", "e2"]
    assert len(shop.quarantine()) == 2
    assert states(shop) == [
        ("shop/events_a.csv", "committed", False, 3, 0),
        ("shop/events_a.csv", "committed", True, 0, 2),
    ]
    assert "the rows of its earlier version stay in the lake" in shop.note("held")
    assert shop.notes("replaced") == []
    assert report.counts["files_replaced"] == 0
    check_accounts(shop)
    with pytest.raises(SourceHealthError, match="shop_events"):
        source_health(shop.context)


def test_every_later_day_is_red_until_somebody_has_settled_it(shop):
    shop.ingest()
    next_day = on(shop, date(2026, 2, 1))
    for _ in range(2):
        report = stage_landing(next_day)
        load_staged(next_day)
        assert (report.counts["files_skipped"], report.counts["files_replaced"]) == (1, 0)
        with open_ledger(shop.settings) as ledger:
            (note,) = [note for note in ledger.notes(next_day.as_of) if note.kind == "held"]
        assert "held whole since 2026-01-31, 2 rows wait" in note.message
        assert "earlier version stay" in note.message
    assert ids(shop) == ["e0", "e1", "e2"]
    assert len(shop.batches()) == 2
    check_accounts(shop)


def test_the_next_version_that_can_be_taken_replaces_both(shop):
    shop.ingest()
    shop.land("shop/events_a.csv", csv(ROWS[2:5]))
    report = shop.ingest()
    assert ids(shop) == ["e2", "e3", "e4"]
    assert shop.quarantine() == []
    assert [state for _, state, *_ in states(shop)] == ["retired", "retired", "committed"]
    assert report.counts["files_replaced"] == 1
    assert shop.notes("held") == []
    check_accounts(shop)


def test_one_held_version_after_another_keeps_the_last_that_could_be_taken(shop):
    shop.ingest()
    shop.land("shop/events_a.csv", csv(drifted(2)))
    shop.ingest()
    assert ids(shop) == ["e0", "e1", "e2"]
    assert [row[0] for row in shop.quarantine(columns="raw") if "n1" in row[0]] == []
    assert len(shop.quarantine()) == 2
    check_accounts(shop)


def test_the_old_bytes_put_back_settle_it(shop):
    shop.ingest()
    shop.land("shop/events_a.csv", csv(ROWS[:3]))
    report = shop.ingest()
    assert report.counts["files_staged"] == 0
    assert ids(shop) == ["e0", "e1", "e2"]
    assert shop.quarantine() == []
    assert shop.notes("held") == []
    assert source_health(shop.context).counts["errors"] == 0
    check_accounts(shop)


def test_a_held_file_that_is_renamed_takes_the_rows_that_serve_along(shop):
    shop.ingest()
    path = shop.landing / "shop" / "events_a.csv"
    path.rename(path.with_name("events_z.csv"))
    report = shop.ingest()
    assert (report.counts["files_moved"], report.counts["files_vanished"]) == (1, 0)
    assert ids(shop) == ["e0", "e1", "e2"]
    shop.source(columns=MENDED, **STRICT)
    stage_again(shop.context, {"shop_events": {"shop/events_z.csv"}})
    shop.load()
    assert ids(shop) == ["n15", "n16"]
    assert shop.quarantine() == []
    check_accounts(shop)


def test_a_file_without_an_earlier_version_has_nothing_to_keep(instance):
    instance.source(**STRICT)
    instance.land("shop/events_a.csv", csv(drifted(1)))
    instance.ingest()
    assert "earlier version" not in instance.note("held")
    instance.land("shop/events_a.csv", csv(ROWS[:1]))
    instance.ingest()
    assert ids(instance) == ["e0"]
    assert instance.quarantine() == []
    check_accounts(instance)


def test_retry_under_a_mended_mapping_replaces_the_old_rows(shop):
    shop.ingest()
    shop.source(columns=MENDED, **STRICT)
    run("quarantine", "retry", "--as-of", "2026-01-31")
    assert ids(shop) == ["n15", "n16"]
    assert shop.quarantine() == []
    assert shop.notes("held") == []
    check_accounts(shop)


def test_retry_that_is_held_again_keeps_the_old_rows(shop):
    shop.ingest()
    run("quarantine", "retry", "--as-of", "2026-01-31")
    assert ids(shop) == ["e0", "e1", "e2"]
    assert len(shop.quarantine()) == 2
    assert [(batch.state, batch.take) for batch in shop.batches()] == [
        ("committed", 1),
        ("retired", 1),
        ("committed", 2),
    ]
    check_accounts(shop)


def test_drop_says_what_leaves_and_lets_the_version_without_rows_stand(shop):
    shop.ingest()
    printed = run("quarantine", "drop", "--source", "shop_events", "--yes")
    assert "shop/events_a.csv" in printed
    assert "leave the lake" in " ".join(printed.split())
    assert ids(shop) == []
    assert states(shop)[-1] == ("shop/events_a.csv", "committed", False, 0, 0)
    check_accounts(shop)
    shop.ingest()
    assert shop.notes("held") == []
    assert ids(shop) == []


def test_drop_of_a_part_leaves_it_held(shop):
    shop.land("shop/events_a.csv", csv([*drifted(1), *ROWS[3:4]]))
    shop.ingest()
    printed = run("quarantine", "drop", "--reason", "bad_timestamp", "--yes")
    assert "leave the lake" not in " ".join(printed.split())
    assert ids(shop) == ["e0", "e1", "e2"]
    assert states(shop)[-1] == ("shop/events_a.csv", "committed", True, 0, 1)
    check_accounts(shop)


def test_a_retake_of_a_good_file_that_the_new_mapping_holds_replaces_nothing(shop):
    shop.land("shop/events_a.csv", csv(ROWS[:3]))
    shop.source(columns={**COLUMNS, "event_time": {"column": "ts", "format": "%d.%m.%Y"}}, **STRICT)
    stage_landing(shop.context, again={"shop_events"})
    shop.load()
    assert ids(shop) == ["e0", "e1", "e2"]
    assert [(batch.state, batch.held) for batch in shop.batches()] == [("committed", False), ("committed", True)]
    shop.land("shop/events_b.csv", csv(ROWS[:3]))  # a copy is served by the same rows
    shop.land("shop/events_a.csv", csv(drifted(3)))
    shop.ingest()
    assert ids(shop) == ["e0", "e1", "e2", "n35", "n36"]
    check_accounts(shop)


CONTENT = st.one_of(
    st.lists(st.sampled_from(ROWS), max_size=4), st.sampled_from([drifted(1), drifted(2), [*drifted(1), ROWS[0]]])
)
STEPS = st.lists(
    st.dictionaries(st.sampled_from(["events_a.csv", "events_b.csv", "other_d.csv"]), CONTENT, min_size=1, max_size=3),
    min_size=2,
    max_size=5,
)


@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(  # two names with the same bytes: one is held, the other changes
    steps=[
        {"events_a.csv": ROWS[:3], "events_b.csv": ROWS[:3]},
        {"events_a.csv": drifted(1), "events_b.csv": ROWS[2:5]},
        {"events_b.csv": drifted(1)},
        {"events_a.csv": ROWS[:1]},
    ]
)
@example(  # the row that serves in place of a held version is one that another source has, too
    steps=[
        {"events_a.csv": ROWS[:3], "other_d.csv": ROWS[1:4]},
        {"events_a.csv": drifted(1), "other_d.csv": drifted(2)},
        {"events_a.csv": ROWS[5:]},
        {"other_d.csv": ROWS[:1]},
    ]
)
@given(steps=STEPS)
def test_the_lake_is_the_union_of_the_last_versions_that_could_be_taken(steps, monkeypatch):
    with tempfile.TemporaryDirectory() as folder:
        instance = make_instance(Path(folder), monkeypatch)
        instance.source(**STRICT)
        instance.source(source="other", files={"path": "shop", "pattern": "other_*.csv"}, **STRICT)
        served: dict[str, list[str]] = {}
        waiting: dict[str, list[str]] = {}
        for step in steps:
            for name, rows in step.items():
                instance.land(f"shop/{name}", csv(rows))
                held = any(row.startswith("n") for row in rows)
                waiting[name] = rows if held else []
                if not held:
                    served[name] = rows
            instance.ingest()
            assert ids(instance) == sorted({row.split(",")[0] for rows in served.values() for row in rows})
            check_accounts(instance)
            # Bytes that two names of one source share wait once.
            expected = {(name.partition("_")[0], tuple(rows)) for name, rows in waiting.items() if rows}
            assert sum(batch.state == "committed" and batch.held for batch in instance.batches()) == len(expected)
            assert len(instance.quarantine()) == sum(len(rows) for _, rows in expected)
