"""Leaving sources out of what is loaded: the others keep every row of theirs, whoever had brought it first."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from userops.config import Settings, load_settings
from userops.ingest import lake
from userops.ingest.leave_out import leave_out, tidy_incoming
from userops.ingest.ledger import COMMITTED, FAILED, open_ledger
from userops.ingest.runner import load_staged, stage_landing
from userops.steps import StepContext

DAY = date(2024, 6, 30)
SOURCES = ("alpha", "beta", "gamma")
SOURCE_YAML = """
source: {name}
entity: orders
files: {{path: {name}, pattern: "*.csv"}}
format: {{type: csv}}
timezone: UTC
columns: {{order_id: id, user_id: uid, order_time: time, gross_amount: total}}
"""
#: Which of twelve orders, on two business dates, each of a source's two files has.
Files = st.lists(st.sets(st.integers(0, 11)), min_size=2, max_size=2)


#: An example is a day of an instance: few of them, and no minutes of shrinking.
FEW = settings(
    max_examples=5,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Killed(BaseException):
    """The process dies here."""


def make(home: Path, files: dict[str, list[set[int]]]) -> Settings:
    config = home / "config"
    (config / "sources").mkdir(parents=True)
    for name in files:
        (config / "sources" / f"{name}.yml").write_text(SOURCE_YAML.format(name=name), encoding="utf-8")
    drop(home / "home" / "landing", files)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("USEROPS_HOME", str(home / "home"))
        patch.setenv("USEROPS_CONFIG", str(config))
        return load_settings()


def drop(landing: Path, files: dict[str, list[set[int]]]) -> None:
    for name, contents in files.items():
        (landing / name).mkdir(parents=True, exist_ok=True)
        for number, orders in enumerate(contents):
            lines = [f"o{order},u1,2024-06-{29 + order % 2} 07:00:00,12.50" for order in sorted(orders)]
            (landing / name / f"{number}.csv").write_text("\n".join(["id,uid,time,total", *lines]), encoding="utf-8")


def orders_in_lake(of: Settings) -> list[tuple[str, str]]:
    """Return (order, owning batch) of every row in the lake."""
    files = [str(file) for file in of.paths.raw.glob("orders/event_date=*/[!_]*.parquet")]
    if not files:
        return []
    with closing(duckdb.connect()) as connection:
        return connection.execute(f"select order_id, _batch_id from read_parquet({files}) order by 1").fetchall()


def assert_the_rest_is_whole(
    of: Settings, files: dict[str, list[set[int]]], leaving: set[str], failed: set[str] | None = None
) -> None:
    wanted = {
        f"o{order}" for name, contents in files.items() if name not in leaving for order in set().union(*contents)
    }
    rows = orders_in_lake(of)
    assert sorted(order for order, _ in rows) == sorted(wanted)
    with open_ledger(of) as ledger:
        committed = ledger.batches(COMMITTED)
        dates = ledger.dates()
        assert {batch.source for batch in ledger.batches(FAILED)} <= (leaving if failed is None else failed)
    for batch in committed:
        owned = sum(owner == batch.batch_id for _, owner in rows)
        assert batch.rows_loaded == owned == sum(dates.get(batch.batch_id, {}).values())
        assert batch.rows_read == batch.rows_loaded + batch.rows_deduplicated
    assert not list(of.paths.incoming.rglob("*.parquet"))


@FEW
@given(files=st.fixed_dictionaries(dict.fromkeys(SOURCES, Files)), leaving=st.sets(st.sampled_from(SOURCES)))
def test_the_other_sources_keep_every_row_they_have(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, list[set[int]]], leaving: set[str]
) -> None:
    of = make(tmp_path_factory.mktemp("shops"), files)
    stage_landing(StepContext(of, DAY))

    with open_ledger(of) as ledger:
        leave_out(of, ledger, dict.fromkeys(leaving, "too many"))
    load_staged(StepContext(of, DAY))

    assert_the_rest_is_whole(of, files, leaving)


@FEW
@given(
    old=st.fixed_dictionaries(dict.fromkeys(SOURCES, Files)),
    new=st.fixed_dictionaries(dict.fromkeys(SOURCES, Files)),
    leaving=st.sets(st.sampled_from(SOURCES)),
)
@example(
    old={"alpha": [set(), set()], "beta": [set(), set()], "gamma": [{0, 1, 2, 3}, {0}]},
    new={"alpha": [set(), set()], "beta": [set(), set()], "gamma": [{0, 1}, {0, 1, 2, 3}]},
    leaving=set(),
)
def test_files_that_were_replaced_stay_as_they_were_where_the_new_ones_are_left_out(
    tmp_path_factory: pytest.TempPathFactory,
    old: dict[str, list[set[int]]],
    new: dict[str, list[set[int]]],
    leaving: set[str],
) -> None:
    of = make(tmp_path_factory.mktemp("shops"), old)
    stage_landing(StepContext(of, DAY))
    load_staged(StepContext(of, DAY))
    drop(of.paths.landing, new)
    stage_landing(StepContext(of, DAY))

    with open_ledger(of) as ledger:
        leave_out(of, ledger, dict.fromkeys(leaving, "too many"))
    load_staged(StepContext(of, DAY))

    assert_the_rest_is_whole(of, {name: (old if name in leaving else new)[name] for name in SOURCES}, set(), leaving)


@pytest.mark.parametrize("point", ["shared rows moved", "batches rejected"])
def test_killed_anywhere_it_is_simply_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    files = {"alpha": [{0, 1, 2}, {3, 4}], "beta": [{1, 2, 3, 5}, {5, 6}], "gamma": [{2, 3}, {1, 6}]}
    of = make(tmp_path, files)
    stage_landing(StepContext(of, DAY))

    def die(reached: str) -> None:
        if reached == point:
            raise Killed(reached)

    with monkeypatch.context() as patch, open_ledger(of) as ledger:
        patch.setattr(lake, "reached", die)
        with pytest.raises(Killed):
            leave_out(of, ledger, {"alpha": "too many"})
    with open_ledger(of) as ledger:
        tidy_incoming(of, ledger)
        leave_out(of, ledger, {"alpha": "too many"})
    load_staged(StepContext(of, DAY))

    assert_the_rest_is_whole(of, files, {"alpha"})


def test_a_left_out_source_comes_back_whole_with_the_next_run(tmp_path: Path) -> None:
    files = {"alpha": [{0, 1, 2}, {3, 4}], "beta": [{1, 2, 3, 5}, {5, 6}]}
    of = make(tmp_path, files)
    stage_landing(StepContext(of, DAY))
    with open_ledger(of) as ledger:
        leave_out(of, ledger, {"alpha": "too many"})
    load_staged(StepContext(of, DAY))

    stage_landing(StepContext(of, DAY))
    load_staged(StepContext(of, DAY))

    assert_the_rest_is_whole(of, files, set())
