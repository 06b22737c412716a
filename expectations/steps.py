"""The gates, as steps of the daily run. A failing gate raises; nothing behind it has been touched then.

Every gate leaves its results in `quality/<gate>/as_of=YYYY-MM-DD/`, also when it fails.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from userops.config import Settings
from userops.errors import BuildError, GateError
from userops.steps import StepContext, StepReport

if TYPE_CHECKING:
    from expectations.results import GateResult, SuiteResult

_NAMED_FAILURES = 5
_FIX = {
    "lake": (
        "mend the export, or its source YAML (max_quarantine_share, columns, filter), and run again: `ingest` stages "
        "everything afresh; the lake and the published tables are as before"
    ),
    "marts": (
        "find the cause with the sample (`userops build`, `userops score` rebuild the tables); the published tables "
        "are still those of the last good run"
    ),
}


def gate_lake(context: StepContext) -> StepReport:
    """Check what `ingest` staged, and its accounts, before `load` lets it into the lake.

    Raises:
        GateError: an expectation failed or raised; the staged files stay where they are and nothing is loaded.
    """
    return _run_gate("lake", context, _check_staged)


def gate_marts(context: StepContext) -> StepReport:
    """Check the marts in the warehouse file before `publish` lets people see them.

    Raises:
        BuildError: there is no warehouse.
        GateError: an expectation failed or raised; what is published stays.
    """
    return _run_gate("marts", context, _check_marts)


Suites = list["SuiteResult"]


def _run_gate(gate: str, context: StepContext, check: Callable[[StepContext], tuple[Suites, str, str]]) -> StepReport:
    from expectations.report import write_report
    from expectations.results import GateResult

    started = time.monotonic()
    ran_at = datetime.now(UTC).isoformat(timespec="seconds")
    suites, note_en, note_zh = check(context)
    result = GateResult(
        gate, context.as_of, ran_at, round(time.monotonic() - started, 1), suites, note_en=note_en, note_zh=note_zh
    )
    page = write_report(context.settings, result)
    if not result.passed:
        raise _gate_error(result, page)
    rows = sum(suite.rows for suite in result.suites)
    summary = note_en or f"{result.check_count} expectations in {len(suites)} suites passed on {rows:,} rows"
    return StepReport(
        summary=summary,
        counts={"suites": len(suites), "expectations": result.check_count, "rows": rows},
        outputs={"report": str(page)},
    )


def _check_staged(context: StepContext) -> tuple[Suites, str, str]:
    from expectations.runner import run_suites
    from expectations.staged import describe_staged
    from expectations.suites.lake import (
        staged_batches_suite,
        staged_entity_suite,
        staged_sources_suite,
        strangers_suite,
    )  # fmt: skip
    from userops.contracts.entities import ENTITIES
    from userops.ingest.transform import date_bounds

    settings = context.settings
    bounds = date_bounds(settings, datetime.now(settings.tz).date(), context.as_of)
    with tempfile.TemporaryDirectory(prefix="userops-gate-") as folder:
        database = Path(folder) / "staged.duckdb"
        staged = describe_staged(settings, database)
        if not database.exists():
            return [], "nothing is staged: nothing to check", "没有待入湖数据，无需检查"
        suites = [staged_batches_suite(), staged_sources_suite(), strangers_suite()]
        suites += [
            staged_entity_suite(
                ENTITIES[name], bounds.first, bounds.last, settings.project.timezone, view, staged.loaded.get(name)
            )
            for name, view in staged.entities.items()
        ]
        return run_suites(database, suites, settings.engine), "", ""


def _check_marts(context: StepContext) -> tuple[Suites, str, str]:
    from expectations.runner import run_suites
    from expectations.suites.marts import marts_suites
    from userops.warehouse.connect import read_warehouse
    from userops.warehouse.marts import read_marts

    settings = context.settings
    marts = read_marts(settings)
    with read_warehouse(settings) as connection:
        tables = {
            (schema, name)
            for schema, name in connection.execute(
                "select table_schema, table_name from information_schema.tables"
            ).fetchall()
        }
    built = {name: mart.schema for name, mart in marts.items() if (mart.schema, name) in tables}
    suites = marts_suites(settings, context.as_of, built, _published_rows(settings, context.as_of))
    return run_suites(settings.paths.warehouse, suites, settings.engine), "", ""


def _published_rows(settings: Settings, as_of: date) -> dict[str, int]:
    """Return the rows of every published table; nothing when none are, or when the run goes back in time."""
    import duckdb

    from userops.warehouse.connect import read_only
    from userops.warehouse.publication import PUBLICATION_TABLE

    path = settings.paths.published_duckdb
    if not path.exists():
        return {}
    try:
        with read_only(path, settings) as connection:
            published = connection.execute(f"select as_of_date from {PUBLICATION_TABLE}").fetchone()
            if published is None or published[0] > as_of:
                return {}
            names = [name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()]
            return {
                name: int(connection.execute(f'select count(*) from "{name}"').fetchall()[0][0])
                for name in names
                if name != PUBLICATION_TABLE
            }
    except duckdb.Error as error:
        raise BuildError(
            str(path), str(error).splitlines()[0], "the file that publishing wrote",
            f"move {path} away if it is damaged, and run again",
        ) from error  # fmt: skip


def _gate_error(result: GateResult, page: Path) -> GateError:
    """Name suite, expectation, table, column, counts and a sample of every failure (the first five at length)."""
    named = result.failures[:_NAMED_FAILURES]
    more = len(result.failures) - len(named)
    where = [
        f"suite `{suite.name}`, expectation `{check.type}`, table {suite.table}"
        + (f", column {', '.join(check.columns)}" if check.columns else "")
        for suite, check in named
    ]
    found = []
    for _, check in named:
        if check.status == "error":
            found.append(f"the expectation itself raised: {check.message}")
        elif check.message:
            found.append(check.message)
        else:
            found.append(
                f"{check.unexpected:,} unexpected of {check.total:,} rows, such as {_sample_text(check.sample)}"
            )
    expected = [f"{check.note_en} ({check.note_zh})" for _, check in named]
    return GateError(
        f"gate {result.gate}: " + "; ".join(where) + (f"; and {more} more" if more else ""),
        "; ".join(found), "; ".join(expected), f"{_FIX[result.gate]}. Every result: {page}",
    )  # fmt: skip


def _sample_text(sample: list[dict[str, str]]) -> str:
    return " | ".join(", ".join(f"{name}={value}" for name, value in row.items()) for row in sample)
