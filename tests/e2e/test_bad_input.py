"""Wrong input, as the person who runs a command sees it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.e2e.instances import copy_airflow, dag_run, make_instance, marts, one
from userops.config import PROJECT_ROOT, Settings
from userops.demo import LAST_DAY
from userops.simulate import SimulationOptions, simulate
from userops.steps import DAILY_STEPS, StepContext, run_step
from userops.warehouse.publication import PUBLICATION_TABLE


def userops(home: Path, config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "userops.cli", *arguments],
        env={**os.environ, "USEROPS_HOME": str(home), "USEROPS_CONFIG": str(config), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


class TestOneCommandBadInput:
    """What a wrong input looks like to the person who ran the command."""

    def run(self, tmp_path: Path, *arguments: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
        return userops(tmp_path / "home", config or tmp_path / "config", *arguments)

    def test_a_typo_in_a_source_yaml(self, tmp_path):
        shutil.copytree(PROJECT_ROOT / "config", tmp_path / "config")
        file = tmp_path / "config" / "sources" / "shop_orders.yml"
        file.write_text(file.read_text(encoding="utf-8").replace("entity:", "entitty:"), encoding="utf-8")
        done = self.run(tmp_path, "ingest")
        assert done.returncode == 2
        assert "shop_orders.yml" in done.stderr
        assert "did you mean `entity`" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_missing_landing_folder(self, tmp_path):
        done = self.run(tmp_path, "ingest", config=PROJECT_ROOT / "config")
        assert done.returncode == 2
        assert "landing" in done.stderr
        assert "what to do" in done.stderr

    def test_nothing_published_yet(self, tmp_path):
        done = self.run(tmp_path, "show", config=PROJECT_ROOT / "config")
        assert done.returncode == 2
        assert "userops run" in done.stderr


@pytest.fixture(scope="module")
def broken_day(
    tmp_path_factory: pytest.TempPathFactory, between_workers: Path
) -> tuple[Settings, subprocess.CompletedProcess[str]]:
    """A shop with two weeks behind it, on the day its export of orders comes with another header, under Airflow."""
    tmp = tmp_path_factory.mktemp("broken_day")
    shutil.copytree(PROJECT_ROOT / "config", tmp / "config")
    settings = make_instance(tmp, tmp / "config")
    exports = simulate(tmp / "exports", SimulationOptions(users=150, days=15, end_date=LAST_DAY, dirt=0.0))
    assert exports.created
    landing = tmp / "exports" / "landing"
    shutil.copytree(landing, settings.paths.landing, ignore=shutil.ignore_patterns(f"*_{LAST_DAY}.*"))
    history = StepContext(settings, LAST_DAY - timedelta(days=1))
    for step in ("ingest", "gate_lake", "load"):
        run_step(step, history)
    shutil.copytree(landing, settings.paths.landing, dirs_exist_ok=True)
    orders = settings.paths.landing / "shop" / "orders" / f"orders_{LAST_DAY}.csv"
    orders.write_text(orders.read_text(encoding="utf-8").replace("total", "sum_of_all", 1), encoding="utf-8")
    copy_airflow(settings, between_workers)
    return settings, dag_run(settings, "user_ops_daily", LAST_DAY)


class TestOneBrokenSource:
    """One source of four cannot be taken: the others are published, and it alone is red."""

    def test_the_grid_shows_which_one(self, broken_day: tuple[Settings, subprocess.CompletedProcess[str]]) -> None:
        settings, done = broken_day
        with closing(sqlite3.connect(settings.paths.airflow_home / "airflow.db")) as database:
            tasks = database.execute(
                "select task_id, rendered_map_index, state, try_number from task_instance"
            ).fetchall()
        health = {name: (state, tries) for task, name, state, tries in tasks if task == "source_health"}
        assert health == {
            "shop_events": ("success", 1),
            "shop_order_items": ("success", 1),
            "shop_orders": ("failed", 1),
            "shop_outreach": ("success", 1),
            "shop_users": ("success", 1),
        }
        assert {state for task, _, state, _ in tasks if task != "source_health"} == {"success"}
        assert {task for task, *_ in tasks} == {*DAILY_STEPS, "sources"}
        assert done.returncode != 0
        assert "sum_of_all" in done.stdout

    def test_the_others_are_published(self, broken_day: tuple[Settings, subprocess.CompletedProcess[str]]) -> None:
        settings, _ = broken_day
        with marts(settings) as connection:
            sessions, published, taken = one(
                connection,
                f"""
                select
                    (select count(*) from fct_sessions where session_date = date '{LAST_DAY}'),
                    (select as_of_date from {PUBLICATION_TABLE}),
                    (select list(distinct source order by source) from agg_ingest_reconciliation
                     where as_of_date = date '{LAST_DAY}')
                """,
            )
            notes = connection.execute(
                f"select source, kind from agg_source_notes where as_of_date = date '{LAST_DAY}' and severity = 'error'"
            ).fetchall()
        assert sessions > 0
        assert published == LAST_DAY
        assert taken == ["shop_events", "shop_order_items", "shop_users"]
        assert notes == [("shop_orders", "failed_source")]

    def test_the_command_line_says_it_at_the_end(
        self, broken_day: tuple[Settings, subprocess.CompletedProcess[str]]
    ) -> None:
        settings, _ = broken_day
        done = userops(settings.home, settings.config, "ingest", "--as-of", LAST_DAY.isoformat())
        assert done.returncode == 2
        assert "(4/4) source_health" in done.stderr
        assert "shop_orders" in done.stderr
        assert "sum_of_all" in done.stderr
        assert "what to do" in done.stderr
        assert "Traceback" not in done.stderr
