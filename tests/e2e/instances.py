"""What the end-to-end tests share: an instance of its own, Airflow's own runner, and looks at what is published."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest
from filelock import FileLock

from userops.business_date import logical_date_for
from userops.config import PROJECT_ROOT, Settings, load_settings
from userops.orchestration import WRITER_POOL, airflow_environment

REAL_CONFIG = PROJECT_ROOT / "tests" / "data_sources"


def airflow(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "airflow", *arguments],
        env=airflow_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )


def prepare_airflow(settings: Settings, between_workers: Path) -> None:
    """Give the instance an Airflow database: a copy of the one that the first test in need of it has made."""
    first = load_settings(home=str(between_workers / "airflow_instance"), config=str(settings.config))
    done_before = first.home / "done"
    with FileLock(between_workers / "airflow.lock"):
        if not done_before.exists():
            first.paths.airflow_home.mkdir(parents=True, exist_ok=True)
            for arguments in (("db", "migrate"), ("pools", "set", WRITER_POOL, "1", "one writer")):
                done = airflow(first, *arguments)
                assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            done_before.touch()
    settings.paths.airflow_home.mkdir(parents=True, exist_ok=True)
    shutil.copy(first.paths.airflow_home / "airflow.db", settings.paths.airflow_home)


def dag_run(settings: Settings, dag_id: str, day: date) -> subprocess.CompletedProcess[str]:
    return airflow(settings, "dags", "test", dag_id, logical_date_for(day, settings.tz).isoformat())


def succeed(settings: Settings, dag_id: str, day: date) -> None:
    done = dag_run(settings, dag_id, day)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    assert "step finished" in done.stdout  # Airflow calls a run without a task to do a success


def fingerprint(folder: Path) -> dict[str, str]:
    folder = folder.resolve()  # published folders are links, which rglob would not follow
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def make_instance(tmp: Path, config: Path) -> Settings:
    patch = pytest.MonkeyPatch()
    patch.setenv("USEROPS_HOME", str(tmp / "home"))
    patch.setenv("USEROPS_CONFIG", str(config))
    try:
        return load_settings()
    finally:
        patch.undo()


def marts(settings: Settings) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(settings.paths.published_duckdb), read_only=True)


def one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple:
    return connection.execute(sql).fetchone()
