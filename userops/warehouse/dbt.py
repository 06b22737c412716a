"""Running dbt as a child process, with one set of variables for every invocation.

A child process, not dbt's in-process runner: it gives its memory back, it releases the DuckDB file whatever happens,
and a kill of the task kills the build. The price is about three seconds of start-up per layer.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import structlog

from userops.config import PROJECT_ROOT, Settings
from userops.errors import BuildError
from userops.warehouse.dbt_process import RUNS_NODES

log = structlog.get_logger(__name__)

PROJECT_DIR = PROJECT_ROOT / "dbt_project"
_DBT_CLOCK = re.compile(r"^\d\d:\d\d:\d\d\s*")  # our own log lines carry the time already
_FAILED = {"error", "fail", "runtime error"}


@dataclass(frozen=True)
class DbtResult:
    """What one dbt invocation did.

    Attributes:
        statuses: dbt status by node id, for nodes that ran.
        run_results: path of dbt's run_results.json.
    """

    statuses: Mapping[str, str]
    run_results: Path

    @property
    def counts(self) -> dict[str, int]:
        """Number of nodes by kind (model, seed, test, unit_test)."""
        kinds: dict[str, int] = {}
        for node in self.statuses:
            kind = node.split(".", 1)[0]
            kinds[kind] = kinds.get(kind, 0) + 1
        return kinds


def dbt_vars(
    settings: Settings, as_of: date, funnel_max_steps: int, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the variables of the dbt project for business date `as_of`."""
    variables: dict[str, Any] = {
        "as_of_date": as_of.isoformat(),
        "timezone": settings.project.timezone,
        "currency": settings.project.currency,
        "has_exchange_rates": has_exchange_rates(settings),
        "macros_fingerprint": macros_fingerprint(),
        "identity": settings.identity.model_dump(mode="json"),
        "session_gap_minutes": settings.sessions.gap_minutes,
        "unlisted_is_activity": settings.taxonomy.unlisted_is_activity,
        "orders": settings.orders.model_dump(mode="json"),
        "lifecycle": settings.lifecycle.model_dump(mode="json"),
        "product_stage": settings.product_stage.model_dump(mode="json"),
        "persona": settings.persona.model_dump(mode="json"),
        "tiers": settings.tiers.model_dump(mode="json"),
        "retention": settings.retention.model_dump(mode="json"),
        "activation": settings.activation.model_dump(mode="json"),
        "user_paths": settings.user_paths.model_dump(mode="json"),
        "referral": settings.referral.model_dump(mode="json"),
        "aarrr": settings.aarrr.model_dump(mode="json"),
        "churn": settings.churn.model_dump(mode="json"),
        "warning_list": settings.warning_list.model_dump(mode="json"),
        "winback_list": settings.winback_list.model_dump(mode="json"),
        "outreach": settings.outreach.model_dump(mode="json"),
        "funnel_max_steps": funnel_max_steps,
        "funnels_fingerprint": _funnels_fingerprint(settings),
        "feature_dates": [as_of.isoformat()],
    }
    variables.update(extra or {})
    return variables


def dbt_environment(settings: Settings) -> dict[str, str]:
    """Return the environment that profiles.yml and the sources read, telemetry off."""
    return {
        **os.environ,
        "USEROPS_LAKE": str(settings.paths.lake),
        "USEROPS_WAREHOUSE": str(settings.paths.warehouse),
        "USEROPS_MEMORY_LIMIT": settings.engine.memory_limit,
        "USEROPS_THREADS": str(settings.engine.threads),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        "DBT_PROJECT_DIR": str(PROJECT_DIR),
        "DBT_PROFILES_DIR": str(PROJECT_DIR),
        "DBT_TARGET_PATH": str(settings.paths.dbt_target),
        "DBT_LOG_PATH": str(settings.paths.dbt_logs),
        "PYTHONUNBUFFERED": "1",
    }


def run_dbt(
    settings: Settings,
    as_of: date,
    command: Sequence[str] = ("build",),
    selector: str | None = None,
    select: Sequence[str] = (),
    extra_vars: Mapping[str, Any] | None = None,
    full_refresh: bool = False,
) -> DbtResult:
    """Run `dbt <command>` on the project and stream its lines to the log.

    Args:
        selector: a name in selectors.yml; or give `select`.
        extra_vars: variables that replace those of `dbt_vars`.

    Raises:
        BuildError: dbt failed; the error names the failing nodes and their messages.
    """
    for folder in (settings.paths.warehouse_dir, settings.paths.dbt_target, settings.paths.dbt_logs):
        folder.mkdir(parents=True, exist_ok=True)
    variables = dbt_vars(settings, as_of, funnel_max_steps(settings), extra_vars)
    arguments = [
        sys.executable, "-m", "userops.warehouse.dbt_process", *command, "--vars", json.dumps(variables),
    ]  # fmt: skip
    if selector:
        arguments += ["--selector", selector]
    if select:
        arguments += ["--select", *select]
    if full_refresh:
        arguments.append("--full-refresh")
    run_results = settings.paths.dbt_target / "run_results.json"
    run_results.unlink(missing_ok=True)
    returncode, tail = _stream(arguments, dbt_environment(settings))
    statuses, failures = _read_results(run_results)
    if returncode != 0 or failures:
        runs_nodes = bool(RUNS_NODES.intersection(command[:1]))
        raise BuildError(
            f"dbt {' '.join(command)} {selector or ' '.join(select)}".strip(),
            "; ".join(failures) or " | ".join(tail),
            "every model built and every test passed" if runs_nodes else "a dbt command that ends without an error",
            f"read {settings.paths.dbt_logs / 'dbt.log'}; the published tables are still those of the last good run",
        )
    return DbtResult(statuses, run_results)


def funnel_max_steps(settings: Settings) -> int:
    """Return the number of steps of the longest configured funnel (at least 1)."""
    from userops.definitions.funnels import load_funnels

    return max((len(funnel.steps) for funnel in load_funnels(settings)), default=1)


def _funnels_fingerprint(settings: Settings) -> str:
    from userops.definitions.funnels import funnels_fingerprint

    return funnels_fingerprint(settings)


@cache
def macros_fingerprint() -> str:
    """Return 16 hex digits that change with any macro: rows stored by incremental models were shaped by them."""
    digest = hashlib.sha256()
    for file in sorted((PROJECT_DIR / "macros").rglob("*.sql")):
        digest.update(file.relative_to(PROJECT_DIR).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def has_exchange_rates(settings: Settings) -> bool:
    """Whether a rate table is given: only then are amounts converted."""
    from userops.ingest.control import load_exchange_rates

    return bool(load_exchange_rates(settings))


def _stream(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, list[str]]:
    """Run a child, log its lines as they come, and return its exit code with its last lines."""
    tail: deque[str] = deque(maxlen=15)
    with subprocess.Popen(
        list(arguments),
        env=dict(environment),
        cwd=PROJECT_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        assert child.stdout is not None
        try:
            for line in child.stdout:
                text = _DBT_CLOCK.sub("", line.rstrip())
                if text:
                    tail.append(text)
                    log.info(text, tool="dbt")
        except BaseException:
            child.kill()
            raise
    return child.returncode, list(tail)


def _read_results(path: Path) -> tuple[dict[str, str], list[str]]:
    """Return (status by node, readable failures) of a run_results.json; both empty when dbt wrote none."""
    if not path.exists():
        return {}, []
    results = json.loads(path.read_text(encoding="utf-8"))["results"]
    statuses = {item["unique_id"]: item["status"] for item in results}
    failures = []
    for item in results:
        if item["status"] in _FAILED:
            message = " ".join(str(item.get("message") or "").split())
            rows = f" ({item['failures']} failing rows)" if item.get("failures") else ""
            failures.append(f"{item['unique_id']}{rows}: {message[:300]}")
    return statuses, failures
