"""The environment in which Airflow runs this project on one machine: its home, its DAGs, telemetry off."""

from __future__ import annotations

import os

from userops.config import PROJECT_ROOT, Settings

WRITER_POOL = "duckdb_writer"


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Return the environment variables for an `airflow` child process of this instance."""
    return {
        **os.environ,
        "AIRFLOW_HOME": str(settings.paths.airflow_home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT_ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "USEROPS_HOME": str(settings.home),
        "USEROPS_CONFIG": str(settings.config),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "GX_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
