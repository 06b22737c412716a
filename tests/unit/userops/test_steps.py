"""The list of steps: found by name, locked, one list for DAGs and command line."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path

import pytest
from filelock import FileLock

import userops
from userops.errors import ConfigError, LockedError, UseropsError
from userops.steps import (
    DAILY_STEPS,
    INDEPENDENT_STEPS,
    TRAINING_STEPS,
    StepContext,
    find_step,
    run_step,
    writer_lock,
)


@pytest.mark.parametrize("name", sorted({*DAILY_STEPS, *TRAINING_STEPS}))
def test_every_step_of_the_runs_exists(name):
    assert callable(find_step(name))


def test_the_day_ends_with_deliveries_and_the_health_of_its_sources_after_all_is_published():
    assert DAILY_STEPS[-3:] == ("publish", *INDEPENDENT_STEPS)
    assert INDEPENDENT_STEPS == ("deliver", "source_health")


def test_an_unknown_step_lists_the_known_ones():
    with pytest.raises(UseropsError, match="gate_lake"):
        find_step("scroe")


def test_a_second_writer_is_turned_away_with_a_clear_word(instance):
    settings = instance()
    code = (
        "import sys\nfrom pathlib import Path\nfrom filelock import FileLock\n"
        "lock = FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True); sys.stdin.read()"
    )
    settings.home.mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(settings.paths.lock_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline().strip() == "held"
        with pytest.raises(LockedError, match="one writer at a time"):
            run_step("build", StepContext(settings, date(2026, 1, 1)))
        other.kill()
        other.wait()
    with writer_lock(settings):  # the lock died with its holder
        pass


def test_a_patient_writer_waits_for_the_other_one(instance):
    settings = instance()
    settings.home.mkdir(parents=True)
    other = FileLock(settings.paths.lock_file, thread_local=False)
    other.acquire()
    threading.Timer(0.3, other.release).start()
    with writer_lock(settings, patience_seconds=30):
        assert not other.is_locked


@pytest.mark.parametrize("name", ["build", "source_health"])
def test_a_home_that_cannot_be_written_is_told(instance, name):
    settings = instance()
    settings.home.write_text("a file", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"USEROPS_HOME: found .*nothing can be written"):
        run_step(name, StepContext(settings, date(2026, 1, 1)))


def test_a_step_that_only_reads_does_not_wait_for_the_writer(instance):
    settings = instance()
    with writer_lock(settings):
        report = run_step("source_health", StepContext(settings, date(2026, 1, 1)))
    assert report.counts == {"errors": 0, "warnings": 0}


def imported_packages(tree: ast.Module, top_level_only: bool) -> set[str]:
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("file", sorted(Path(userops.__file__).parent.rglob("*.py")), ids=lambda file: file.name)
def test_userops_imports_none_of_the_packages_above_it(file):
    """dags -> userops, models_ml, expectations; userops imports none of them, and works without Airflow."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert not imported_packages(tree, top_level_only=False) & {"models_ml", "expectations", "dags"}
    assert "airflow" not in imported_packages(tree, top_level_only=True)
