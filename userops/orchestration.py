"""Airflow's side of the steps: the environment it runs in, and a step as a task.

Airflow itself is imported only inside functions, so that the library works, and is tested, without it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from userops.business_date import business_date_of
from userops.config import PROJECT_ROOT, Settings, load_settings
from userops.errors import PassingError, UseropsError
from userops.steps import StepContext, run_step

WRITER_POOL = "duckdb_writer"
#: Airflow's own pool, for tasks that do not open the warehouse file.
READER_POOL = "default_pool"

#: Each try of a task waits so long for another writer: a long load by hand must not cost the night.
LOCK_PATIENCE_SECONDS = 3600
#: A task waits 1, 2, 4 minutes between tries: long enough for a server to start again or a disk to be mended.
DEFAULT_ARGS: dict[str, Any] = {
    "owner": "data-engineering",
    "retries": 3,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "pool": WRITER_POOL,
}

_Result = TypeVar("_Result")


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Return the environment for an `airflow` child process of this instance: its own home, telemetry off."""
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


def step_task(name: str, doc: str, pool: str = WRITER_POOL) -> Any:
    """Return, inside a DAG, an Airflow task that runs the step `name` for the business date of the data interval."""
    from airflow.sdk import task

    @task(task_id=name, doc_md=doc, pool=pool)
    def run(data_interval_end: datetime | None = None) -> dict[str, Any]:
        return run_task_step(name, data_interval_end)

    return run()


def source_step_task(name: str, doc: str, sources: Any) -> Any:
    """Return a mapped task that runs the step `name` once per source, each instance called after its source.

    It only reads, so it does not stand in the writer's queue.

    Args:
        sources: the task that lists the sources at run time (`sources_task`).
    """
    from airflow.sdk import task

    @task(task_id=name, doc_md=doc, map_index_template="{{ task.op_kwargs['source'] }}", pool=READER_POOL)
    def run(source: str, data_interval_end: datetime | None = None) -> dict[str, Any]:
        return run_task_step(name, data_interval_end, source)

    return run.expand(source=sources)


def sources_task() -> Any:
    """Return an Airflow task that lists the sources, so that a new source YAML shows without a change of the DAG."""
    from airflow.sdk import task

    @task(
        task_id="sources",
        doc_md="The sources of the configuration, and every other that this run has a note about.",
        pool=READER_POOL,
    )
    def list_sources(data_interval_end: datetime | None = None) -> list[str]:
        from userops.ingest.health import source_names

        return _for_business_date(data_interval_end, source_names)

    return list_sources()


def run_task_step(name: str, data_interval_end: datetime | None, source: str | None = None) -> dict[str, Any]:
    """Run one step inside Airflow, for `source` alone when there is one, and return its report for XCom.

    Raises:
        AirflowFailException: bad configuration, bad input, a failed gate, a red source: a second try would fail in
            the same way.
        PassingError: a database, mail server or chat platform does not answer, or another writer is at work for
            longer than LOCK_PATIENCE_SECONDS; Airflow tries again.
    """
    return _for_business_date(
        data_interval_end,
        lambda context: run_step(name, replace(context, source=source), LOCK_PATIENCE_SECONDS).as_dict(),
    )


def _for_business_date(data_interval_end: datetime | None, work: Callable[[StepContext], _Result]) -> _Result:
    """Do `work` for the business date of the data interval; turn what a person must mend into a failure for good."""
    from airflow.sdk.exceptions import AirflowFailException

    if data_interval_end is None:
        raise AirflowFailException("the run has no data interval; trigger it with a logical date")
    try:
        settings = load_settings()
        return work(StepContext(settings, business_date_of(data_interval_end, settings.tz)))
    except PassingError:
        raise
    except UseropsError as error:
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error
