"""The steps of the daily run, by name: the one list that the DAGs and the command line both walk.

Steps of `models_ml` and `expectations` are found through the entry-point group `userops.steps`, because `userops`
imports neither package.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import entry_points
from typing import Any

import structlog
from filelock import FileLock, Timeout

from userops.config import Settings, make_home
from userops.errors import LockedError, UseropsError

log = structlog.get_logger(__name__)

#: What `user_ops_daily` and `userops run` execute, in order.
DAILY_STEPS = (
    "ingest", "gate_lake", "load", "build", "features", "score", "segment", "lists", "gate_marts", "publish",
    "deliver", "source_health",
)  # fmt: skip
#: What `userops train` executes, in order.
TRAINING_STEPS = ("build", "train")
#: What `churn_model_weekly` executes, in order: red at the end when the model that serves has declined.
WEEKLY_STEPS = (*TRAINING_STEPS, "model_health")
#: Steps that only read what is published and write nothing but the ledger: they need not wait for the writer.
_READING_STEPS = frozenset({"deliver", "source_health"})
#: Steps behind publishing that do not need each other: when one fails, the others are run all the same.
INDEPENDENT_STEPS = ("deliver", "source_health")

_OWN_STEPS = {
    "ingest": "userops.ingest.runner:stage_landing",
    "load": "userops.ingest.runner:load_staged",
    "build": "userops.warehouse.build:build_base",
    "features": "userops.warehouse.build:build_features",
    "lists": "userops.warehouse.build:build_lists",
    "publish": "userops.warehouse.publish:publish",
    "deliver": "userops.delivery.deliver:deliver",
    "source_health": "userops.ingest.health:source_health",
}


@dataclass(frozen=True)
class StepContext:
    """What a step may know.

    Attributes:
        as_of: business date it works for.
        source: the only source it works for, where a step can be run for one alone; None: all of them.
    """

    settings: Settings
    as_of: date
    source: str | None = None


@dataclass
class StepReport:
    """What a step did, for people and for XCom: JSON-able values only.

    Attributes:
        summary: one line.
        counts: figures by name.
        outputs: where results lie, by name (paths as text).
        warnings: things that went on but that a person should read.
    """

    summary: str
    counts: dict[str, int | float] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "summary": self.summary, "counts": self.counts, "outputs": self.outputs, "warnings": self.warnings,
        }  # fmt: skip


Step = Callable[[StepContext], StepReport]


def find_step(name: str) -> Step:
    """Return the step called `name`.

    Raises:
        UseropsError: no such step, or the package that holds it is not installed.
    """
    for point in entry_points(group="userops.steps", name=name):
        found: Step = point.load()
        return found
    if name in _OWN_STEPS:
        module_name, _, attribute = _OWN_STEPS[name].partition(":")
        module = __import__(module_name, fromlist=[attribute])
        own: Step = getattr(module, attribute)
        return own
    raise UseropsError(
        "step", f"`{name}`", f"one of {', '.join(sorted(all_step_names()))}",
        "install the project with `make setup`, or correct the name",
    )  # fmt: skip


def all_step_names() -> set[str]:
    """Names of all steps that can be run here."""
    return set(_OWN_STEPS) | {point.name for point in entry_points(group="userops.steps")}


def run_step(name: str, context: StepContext, patience_seconds: float = 0, step: Step | None = None) -> StepReport:
    """Run one step, under the writer's lock unless it only reads, and log what it did.

    Args:
        patience_seconds: how long to wait for another writer.
        step: what to run in place of the step of that name.

    Raises:
        UseropsError: whatever the step raises.
        LockedError: another process is writing to this USEROPS_HOME.
    """
    step = step or find_step(name)
    started = time.monotonic()
    about = {"step": name} if context.source is None else {"step": name, "source": context.source}
    log.info("step started", **about, as_of=context.as_of.isoformat())
    with nullcontext() if name in _READING_STEPS else writer_lock(context.settings, patience_seconds):
        report = step(context)
    for warning in report.warnings:
        log.warning(warning, **about)
    log.info(
        "step finished",
        **about,
        summary=report.summary,
        seconds=round(time.monotonic() - started, 1),
        **_flat(report.outputs),
    )
    return report


@contextmanager
def writer_lock(settings: Settings, patience_seconds: float = 0) -> Iterator[None]:
    """Hold the only permission to write below USEROPS_HOME; the lock dies with its process.

    Raises:
        ConfigError: nothing can be written below USEROPS_HOME.
        LockedError: somebody else holds it, for longer than `patience_seconds`.
    """
    make_home(settings)
    lock = FileLock(settings.paths.lock_file)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if patience_seconds:
                log.info("waiting for another writer", lock=str(settings.paths.lock_file), seconds=patience_seconds)
            lock.acquire(timeout=patience_seconds)
    except Timeout:
        raise LockedError(
            str(settings.paths.lock_file), "another userops process writing here", "one writer at a time",
            "wait until it has finished (in Airflow: pool `duckdb_writer` has one slot)",
        ) from None  # fmt: skip
    try:
        yield
    finally:
        lock.release()


def _flat(outputs: Mapping[str, str]) -> dict[str, str]:
    return {f"output_{name}": path for name, path in outputs.items()}
