"""Two ingests at the same time: one works, the other is told; no file is taken twice."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from datetime import date
from multiprocessing.synchronize import Event
from pathlib import Path

from userops.config import load_settings
from userops.steps import StepContext, run_step

from .conftest import Instance

HEADER = "id,ts,event,uid\n"


def ingest_slowly(home: str, config: str, begun: Event, go_on: Event) -> None:
    """Run the step `ingest`, and wait half way until told to go on."""
    from userops.ingest import lake

    def reached(point: str) -> None:
        if point == "batch staged":
            begun.set()
            go_on.wait(60)

    lake.reached = reached
    settings = load_settings(home=Path(home), config=Path(config))
    run_step("ingest", StepContext(settings, date(2026, 1, 31)))


def start_command(instance: Instance) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "userops.cli", "step", "ingest", "--as-of", "2026-01-31"],
        env={"USEROPS_HOME": str(instance.home), "USEROPS_CONFIG": str(instance.config), "PATH": "", "COLUMNS": "500"},
        cwd=Path(__file__).resolve().parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_second_one_is_told_and_takes_nothing(instance):
    instance.source()
    for number in (1, 2):
        instance.land(f"shop/events_{number}.csv", HEADER + f"e{number},2026-01-05,view,u\n")
    context = multiprocessing.get_context("spawn")
    begun, go_on = context.Event(), context.Event()
    first = context.Process(target=ingest_slowly, args=(str(instance.home), str(instance.config), begun, go_on))
    first.start()
    assert begun.wait(60)
    second = start_command(instance)
    told, _ = second.communicate(timeout=60)
    assert second.returncode == 2
    for part in ("LockedError", "pipeline.lock", "another userops process", "wait until it has finished"):
        assert part in " ".join(told.split())
    go_on.set()
    first.join(60)
    assert first.exitcode == 0
    assert [(batch.file_path, batch.state) for batch in instance.batches()] == [
        ("shop/events_1.csv", "staged"),
        ("shop/events_2.csv", "staged"),
    ]
    instance.load()
    assert instance.stage().counts["files_skipped"] == 2
