"""What both DAGs share: a step of userops as an Airflow task."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowFailException

from userops.airflow_env import WRITER_POOL
from userops.business_date import business_date_of
from userops.config import Settings, load_settings
from userops.errors import LockedError, UseropsError
from userops.steps import StepContext, run_step

#: A task waits 1, 2, 4 minutes between tries: long enough for a lock to clear or a disk to be mended.
DEFAULT_ARGS = {
    "owner": "data-engineering",
    "retries": 3,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "pool": WRITER_POOL,
}


def step_task(name: str, doc: str) -> Any:
    """Return an Airflow task that runs the step `name` for the business date of the run's data interval."""

    @task(task_id=name, doc_md=doc)
    def run(data_interval_end: datetime | None = None) -> dict[str, Any]:
        return run_named_step(name, load_settings(), data_interval_end)

    return run()


def run_named_step(name: str, settings: Settings, data_interval_end: datetime | None) -> dict[str, Any]:
    """Run one step; what a person must mend first is not retried, a lock or a crash is.

    Raises:
        AirflowFailException: bad configuration, bad input, a failed gate: trying again would fail again.
    """
    if data_interval_end is None:
        raise AirflowFailException("the run has no data interval; trigger it with a logical date")
    as_of = business_date_of(data_interval_end, settings.tz)
    try:
        return run_step(name, StepContext(settings, as_of)).as_dict()
    except LockedError:
        raise
    except UseropsError as error:
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error
