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
from rich.console import Console

from userops.business_date import logical_date_for
from userops.config import PROJECT_ROOT, Settings, load_settings
from userops.demo import PREPARED, prepare_airflow
from userops.orchestration import airflow_environment

REAL_CONFIG = PROJECT_ROOT / "tests" / "data_sources"


def copy_airflow(settings: Settings, between_workers: Path) -> None:
    """Give the instance an Airflow database: a copy of the one that the first test in need of it has made."""
    first = load_settings(home=str(between_workers / "airflow_instance"), config=str(settings.config))
    with FileLock(between_workers / "airflow.lock"):
        prepare_airflow(first, Console(quiet=True))
    settings.paths.airflow_home.mkdir(parents=True, exist_ok=True)
    for name in ("airflow.db", PREPARED):
        shutil.copy(first.paths.airflow_home / name, settings.paths.airflow_home)


def dag_run(settings: Settings, dag_id: str, day: date) -> subprocess.CompletedProcess[str]:
    logical_date = logical_date_for(day, settings.tz).isoformat()
    return subprocess.run(
        [sys.executable, "-m", "airflow", "dags", "test", dag_id, logical_date],
        env=airflow_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )


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


def with_short_training(settings: Settings) -> Settings:
    """Return the settings with a training as short as can be: how good a model is, other tests say."""
    churn = settings.churn.model_copy(update={"tuning_trials": 0, "backtest_origins": 1})
    mlflow = settings.mlflow.model_copy(update={"enabled": False})
    return settings.model_copy(update={"churn": churn, "mlflow": mlflow})


def marts(settings: Settings) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(settings.paths.published_duckdb), read_only=True)


def one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple:
    return connection.execute(sql).fetchone()
