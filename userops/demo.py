"""`make demo`: a simulated shop, one historical load, then the real DAGs under Airflow."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console

from userops.business_date import logical_date_for
from userops.config import Settings
from userops.errors import BuildError, ConfigError, shown_names
from userops.orchestration import WRITER_POOL, airflow_environment
from userops.show import show_published
from userops.simulate import SimulationOptions, simulate
from userops.simulate.truth import ranking_quality
from userops.steps import StepContext, run_step

#: A Monday, so that the weekly training of the evening before falls on a complete week.
LAST_DAY = date(2026, 6, 29)
#: The simulated shop: its sources are called shop_..., its files land below shop/.
SHOP = "shop"
#: Lies in Airflow's home when its database is complete.
PREPARED = ".prepared"
_LOG_LINE = re.compile(r"^\S+ \[(?P<level>\w+)\s*\] (?P<event>.*?)\s+\[(?P<logger>[\w.]+)\] ?(?P<fields>.*)$")
_FIELD = re.compile(r"(?P<name>step|summary|seconds)=(?P<value>'[^']*'|\"[^\"]*\"|\S+)")


def run_demo(settings: Settings, console: Console, users: int, days: int) -> None:
    """Run the demonstration; running it again finds its work done and changes nothing.

    Raises:
        BuildError: a DAG run failed; the message names its log.
        ConfigError: the instance is, or would reach, somebody's real one.
    """
    refuse_real_instance(settings)
    started = time.monotonic()
    exports = settings.home / "demo_exports"
    history = LAST_DAY - timedelta(days=1)

    _headline(console, 1, f"Simulating {users:,} users over {days} days")
    result = simulate(exports, SimulationOptions(users=users, days=days, end_date=LAST_DAY, dirt=0.002))
    made = "made" if result.created else "were there already, kept as they are"
    console.print(f"{result.events:,} events, {result.orders:,} orders, {users:,} users {made}: {exports}")

    _headline(console, 2, f"Historical load: every export up to {history}")
    delivered = _deliver(exports / "landing", settings.paths.landing, upto=history)
    console.print(f"{delivered} new export files in {settings.paths.landing}")
    for name in ("ingest", "gate_lake", "load"):
        console.print(f"{name}: {run_step(name, StepContext(settings, history)).summary}", highlight=False)

    environment = airflow_environment(settings)
    prepare_airflow(settings, console)
    if not list((settings.paths.models / "churn").glob("*/metrics.json")):
        _headline(console, 3, f"Airflow: DAG churn_model_weekly for {history}")
        _dag_run("churn_model_weekly", history, settings, console, environment)

    _headline(console, 4, f"Airflow: DAG user_ops_daily for {LAST_DAY}")
    _deliver(exports / "landing", settings.paths.landing, upto=LAST_DAY)
    _dag_run("user_ops_daily", LAST_DAY, settings, console, environment)

    _headline(console, 5, "What came out")
    show_published(settings, console, rows=10)
    quality = ranking_quality(settings.paths.published_duckdb, result.ground_truth, LAST_DAY)
    console.print(
        f"\nAgainst the simulator's ground truth "
        f"({quality.dropped:,} of {quality.users:,} scored users have left for good): "
        f"AUC {quality.model_auc:.3f}, by days of silence alone {quality.recency_auc:.3f}; "
        f"{quality.listed_dropped} of {quality.listed} listed users have left."
    )
    console.print(f"\nDone in {time.monotonic() - started:.0f} s. All of it is in {settings.home}.")


def refuse_real_instance(settings: Settings) -> None:
    """Refuse to mix the simulated shop with real data, or to show it to anybody but who runs the demo.

    Raises:
        ConfigError: there are other sources or files than the shop's, or results would leave this machine.
    """
    landing, sources = settings.paths.landing, settings.paths.sources
    others = sorted(path.name for path in landing.iterdir() if path.name != SHOP) if landing.is_dir() else []
    if others:
        raise ConfigError(
            str(landing), shown_names(others), f"nothing, or {SHOP} alone: the demo simulates a shop",
            "set USEROPS_HOME to a new folder for the demo (`make demo` does)",
        )  # fmt: skip
    found = sorted(path.stem for path in sources.glob("*.y*ml"))
    if not found or not all(name.startswith(f"{SHOP}_") for name in found):
        raise ConfigError(
            str(sources), shown_names(found) or "no source", f"the sources of the simulated shop alone, {SHOP}_*.yml",
            "set USEROPS_CONFIG to the folder config as the project brings it, without other sources",
        )  # fmt: skip
    if settings.publish.postgres_url is not None or settings.delivery.is_on:
        key = "delivery" if settings.publish.postgres_url is None else "publish.postgres_url"
        raise ConfigError(
            f"setting `{key}`", "that results leave this machine", "a demo which nobody else sees",
            "switch it off for the demo, in userops.yml of USEROPS_CONFIG or in the environment",
        )  # fmt: skip


def _headline(console: Console, number: int, text: str) -> None:
    console.rule(f"[bold cyan]{number}/5[/] {text}", align="left")


def _deliver(exports: Path, landing: Path, upto: date) -> int:
    """Copy the daily files dated `upto` or before that have not landed yet; return how many."""
    copied = 0
    for source in sorted(path for path in exports.rglob("*_????-??-??.*") if path.is_file()):
        day = date.fromisoformat(source.name.partition(".")[0][-10:])
        target = landing / source.relative_to(exports)
        if day > upto or target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        shutil.copyfile(source, partial)
        partial.replace(target)
        copied += 1
    return copied


def prepare_airflow(settings: Settings, console: Console) -> None:
    """Create Airflow's database and the writer's pool where they are missing.

    Raises:
        BuildError: Airflow failed; the message names its log.
    """
    environment = airflow_environment(settings)
    settings.paths.airflow_home.mkdir(parents=True, exist_ok=True)
    done = settings.paths.airflow_home / PREPARED
    if done.exists():
        return
    console.print("preparing Airflow's database ...")
    log = settings.paths.airflow_home / "prepare.log"
    for arguments in (["db", "migrate"], ["pools", "set", WRITER_POOL, "1", "one writer of the DuckDB file"]):
        with log.open("a", encoding="utf-8") as sink:
            result = subprocess.run(
                [*_airflow(), *arguments], env=environment, stdout=sink, stderr=subprocess.STDOUT, check=False
            )
        if result.returncode != 0:
            raise BuildError("airflow " + " ".join(arguments), f"exit code {result.returncode}", "0", f"read {log}")
    done.touch()


def _dag_run(
    dag_id: str, business_date: date, settings: Settings, console: Console, environment: dict[str, str]
) -> None:
    """Run one DAG run in this process tree with Airflow's own runner, showing its steps and keeping its whole log."""
    logical = logical_date_for(business_date, settings.tz).isoformat()
    log = settings.paths.airflow_home / "logs" / f"{dag_id}_{business_date}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [*_airflow(), "dags", "test", dag_id, logical]
    steps_run = 0
    with (
        log.open("w", encoding="utf-8") as sink,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as child,
    ):
        assert child.stdout is not None
        for line in child.stdout:
            sink.write(line)
            steps_run += "step finished" in line
            if told := progress_of(line):
                console.print(f"  {told}", markup=False, highlight=False, soft_wrap=True)
    if child.returncode != 0 or not steps_run:
        raise BuildError(
            f"airflow dags test {dag_id} {logical}",
            f"exit code {child.returncode}, {steps_run} steps run",
            "a successful DAG run",
            f"read {log}",
        )
    console.print(f"DAG run succeeded; its whole log: {log}")


def progress_of(line: str) -> str | None:
    """Return what a line of Airflow's log says to somebody who waits: steps, models built, warnings; or None."""
    parsed = _LOG_LINE.match(line)
    if parsed is None:
        return None
    event = parsed["event"]
    if not parsed["logger"].startswith("userops"):
        return f"{parsed['level']}: {event}" if parsed["level"] in {"error", "critical"} else None
    fields = {field["name"]: field["value"].strip("'\"") for field in _FIELD.finditer(parsed["fields"])}
    if event == "step started":
        return f"{fields['step']} ..."
    if event == "step finished":
        return f"{fields['step']}: {fields['summary']} ({fields['seconds']} s)"
    if parsed["level"] == "warning":
        return f"warning: {event}"
    return f"    {event}" if " OK created " in event else None


def _airflow() -> list[str]:
    return [sys.executable, "-m", "airflow"]
