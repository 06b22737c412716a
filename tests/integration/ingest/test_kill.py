"""SIGKILL at every durable step of staging, loading and retiring, then run again: as if it had never been killed.

The child processes are forked from a server that has imported everything once; what kills them is a real SIGKILL, at
the n-th call of `lake.reached`.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from datetime import date
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from userops.config import load_settings
from userops.ingest import lake, quarantine, retire, runner, stage
from userops.ingest.ledger import open_ledger
from userops.ingest.quarantine import Selection
from userops.steps import StepContext

from .conftest import Instance, make_instance

HEADER = "id,ts,event,uid\n"


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "userops.ingest.runner"])
    return context


def ingest(home: str, config: str, again: tuple[str, ...] = ()) -> None:
    context = context_of(home, config)
    runner.stage_landing(context, again=again)
    runner.load_staged(context)


def load(home: str, config: str) -> None:
    runner.load_staged(context_of(home, config))


def take_again(home: str, config: str) -> None:
    ingest(home, config, again=("shop_events",))


def drop_filtered(home: str, config: str) -> None:
    context = context_of(home, config)
    with open_ledger(context.settings) as ledger:
        quarantine.drop(context.settings, ledger, Selection(reason="bad_timestamp"))
    runner.load_staged(context)


def context_of(home: str, config: str) -> StepContext:
    return StepContext(load_settings(home=Path(home), config=Path(config)), date(2026, 1, 31))


def killed_at(number: int, work: Callable[..., None], home: str, config: str) -> None:
    """Do `work`, and die at the n-th durable step; with n = 0, write the names of all steps down instead."""
    passed: list[str] = []

    def reached(point: str) -> None:
        passed.append(point)
        if len(passed) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    for module in (lake, runner, stage, retire, quarantine):
        if hasattr(module, "reached"):
            module.reached = reached  # type: ignore[attr-defined]
    work(home, config)
    Path(home, "passed").write_text("\n".join(passed))


def run_in_child(
    processes: ForkServerContext, instance: Instance, work: Callable[..., None], number: int = 0
) -> list[str]:
    """Run `work` in a child that dies at its n-th step; return the steps it passed when it was let live."""
    child = processes.Process(target=killed_at, args=(number, work, str(instance.home), str(instance.config)))
    child.start()
    child.join(60)
    assert child.exitcode == (-signal.SIGKILL if number else 0)
    return [] if number else (instance.home / "passed").read_text().splitlines()


def populate(instance: Instance) -> None:
    """Two files that share rows; rows over two days, a duplicate within a file, refused and filtered rows."""
    instance.source(filter="event <> 'drop'")
    for name, shared in (("a", range(4)), ("b", range(2, 6))):
        rows = [f"s{number},2026-01-0{1 + number % 2},view,u" for number in shared]
        rows += [rows[0], f"{name},2026-01-02,view,u", f"bad{name},when,view,u", "d,2026-01-02,drop,u", "half"]
        instance.land(f"shop/events_{name}.csv", HEADER + "".join(f"{row}\n" for row in rows))


def change(instance: Instance) -> None:
    """The owner of shared rows has new bytes; a file is renamed; one vanishes; one is new."""
    landing = instance.landing / "shop"
    instance.land("shop/events_a.csv", HEADER + "new,2026-01-01,view,u\ns3,2026-01-02,view,u\nbad,when,view,u\n")
    (landing / "events_b.csv").rename(landing / "events_y.csv")
    instance.land("shop/events_z.csv", HEADER + "s0,2026-01-01,view,u\nz,2026-01-03,view,u\n")


def state_of(instance: Instance) -> dict[str, Any]:
    """Everything that must be the same; which of two files owns a shared row may differ, and so may numbers."""
    batches = instance.batches()
    for batch in batches:
        assert batch.rows_read == (
            batch.rows_loaded + batch.rows_deduplicated + batch.rows_quarantined + batch.rows_filtered
        )
    owned = dict(instance.query(
        "select _batch_id, count(*) from "
        f"read_parquet('{instance.home}/lake/raw/events/*/*.parquet', union_by_name=true) group by all"
    ))  # fmt: skip
    assert owned == {
        batch.batch_id: batch.rows_loaded for batch in batches if batch.state == "committed" and batch.rows_loaded
    }
    with open_ledger(instance.settings) as ledger:
        assert ledger.leaving() == frozenset()
        paths = {path: (seen.batch_id, seen.vanished_on) for path, seen in ledger.landing().items()}
    control = instance.query(
        "select batch_id, state, rows_read, rows_loaded + rows_deduplicated, rows_quarantined, rows_filtered, "
        f"rows_dropped, take from '{instance.home}/lake/control/ingest_batches.parquet' order by all"
    )
    return {
        "rows": instance.lake("events", "event_date, event_id, user_id, event_name, _row_hash"),
        "quarantine": instance.quarantine(columns="file_path, record_number, reason_code, raw"),
        "paths": paths,
        "accounts": sorted(
            (batch.file_path, batch.state, batch.rows_read, batch.rows_loaded + batch.rows_deduplicated,
             batch.rows_quarantined, batch.rows_filtered, batch.rows_dropped, batch.take)
            for batch in batches
        ),
        "control": control,
        "left behind": sorted(
            path.name
            for folder in ("lake/incoming", "tmp")
            for path in (instance.home / folder).rglob("*")
            if path.is_file()
        ),
        "unfinished": sorted(path.name for path in (instance.home / "lake").rglob(".*")),
    }  # fmt: skip


def state_of_now(instance: Instance) -> dict[str, Any]:
    """The state without what was taken before: a command that takes files again takes them once more when repeated."""
    state = state_of(instance)
    of_now = [account[:-1] for account in state["accounts"] if account[1] == "committed"]
    return {**state, "accounts": of_now, "control": None, "paths": sorted(state["paths"])}


def copy_of(instance: Instance, folder: Path) -> Instance:
    """Return a copy of an instance; the ledger's files are at rest, so they can be copied."""
    copied = Instance(folder / "home", folder / "config")
    shutil.copytree(instance.home, copied.home, copy_function=shutil.copy2)
    shutil.copytree(instance.config, copied.config)
    return copied


def every_kill(
    processes: ForkServerContext,
    prepared: Instance,
    folder: Path,
    work: Callable[..., None],
    first_too: bool = True,
    state: Callable[[Instance], dict[str, Any]] = state_of,
) -> list[str]:
    """Kill `work` on copies of `prepared`, run it again, and compare their `state`; return the steps.

    It is killed at the last time each step is reached, and at the first time too if asked for.
    """
    reference = copy_of(prepared, folder / "reference")
    steps = run_in_child(processes, reference, work)
    expected = state(reference)
    last = {step: number for number, step in enumerate(steps, start=1)}
    first = {step: number for number, step in reversed(list(enumerate(steps, start=1)))} if first_too else {}
    for number in sorted({*last.values(), *first.values()}):
        killed = copy_of(prepared, folder / str(number))
        run_in_child(processes, killed, work, number)
        work(str(killed.home), str(killed.config))
        assert state(killed) == expected, f"killed at {number}: {steps[number - 1]}"
    return steps


def test_first_ingest(processes, instance, tmp_path):
    populate(instance)
    lake.ensure_lake(instance.settings)
    steps = every_kill(processes, instance, tmp_path / "copies", ingest)
    assert {"data written", "batch staged", "file moved", "batch moved", "batch committed"} <= set(steps)


def test_replacing_renaming_and_adding(processes, instance, tmp_path):
    populate(instance)
    instance.ingest()
    change(instance)
    steps = every_kill(processes, instance, tmp_path / "copies", ingest)
    assert {
        "inherited rows written", "rows handed over", "accounts moved", "first retired file removed",
        "retired files removed", "batch retired", "paths settled",
    } <= set(steps)  # fmt: skip


def test_taking_a_source_again(processes, instance, tmp_path):
    populate(instance)
    instance.ingest()
    instance.source(filter="event <> 'drop' and id <> 's0'")
    steps = every_kill(processes, instance, tmp_path / "copies", take_again, False, state_of_now)
    assert steps.count("batch retired") == 2


def test_load_alone_can_be_run_again(processes, instance, tmp_path):
    """Airflow retries the failed task only: `load` must finish what a killed `load` began."""
    populate(instance)
    instance.ingest()
    change(instance)
    instance.stage()
    steps = every_kill(processes, instance, tmp_path / "copies", load, first_too=False)
    assert "batch retired" in steps


def test_dropping_from_quarantine(processes, instance, tmp_path):
    populate(instance)
    instance.ingest()
    steps = every_kill(processes, instance, tmp_path / "copies", drop_filtered)
    assert {"dropped rows kept", "dropped rows removed", "drop noted"} <= set(steps)


def test_a_held_version_and_dropping_it(processes, instance, tmp_path):
    """Held, it leaves the rows of the version before where they are; dropped, it takes them out."""
    instance.source(type_drift={"share": 0.0, "rows": 1})
    instance.land("shop/events_a.csv", HEADER + "s1,2026-01-01,view,u\ns2,2026-01-02,view,u\n")
    instance.land("shop/events_b.csv", HEADER + "s2,2026-01-02,view,u\ns3,2026-01-02,view,u\n")
    instance.ingest()
    instance.land("shop/events_a.csv", HEADER + "s1,when,view,u\ns4,when,view,u\n")
    every_kill(processes, instance, tmp_path / "held", ingest, first_too=False)
    instance.ingest()
    assert instance.lake("events", "event_id") == [("s1",), ("s2",), ("s3",)]
    steps = every_kill(processes, instance, tmp_path / "dropped", drop_filtered, first_too=False)
    assert {"drop noted", "inherited rows written", "batch retired"} <= set(steps)


def test_a_kill_while_cleaning_up_after_a_kill(processes, instance, tmp_path, monkeypatch):
    untouched = make_instance(tmp_path / "untouched", monkeypatch)
    for each in (untouched, instance):
        populate(each)
        each.ingest()
        change(each)
    untouched.ingest()
    steps = run_in_child(processes, copy_of(instance, tmp_path / "counted"), ingest)
    run_in_child(processes, instance, ingest, len(steps) - steps[::-1].index("batch moved"))
    run_in_child(processes, instance, ingest, 1)
    run_in_child(processes, instance, ingest, 2)
    instance.ingest()
    assert state_of(instance) == state_of(untouched)
