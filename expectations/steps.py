"""The gates, as steps of the daily run. A failing gate raises; nothing behind it has been touched then.

What is wrong with one source only need not stop the day: the lake gate leaves its new files out and notes it as red.

Every gate leaves its results in `quality/<gate>/as_of=YYYY-MM-DD/`, also when it fails.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from userops.config import Settings
from userops.errors import BuildError, GateError
from userops.steps import StepContext, StepReport

if TYPE_CHECKING:
    from expectations.results import GateResult, SuiteResult
    from expectations.staged import Finding
    from userops.ingest.ledger import Ledger, SourceNote

#: Name of the step in the notes of the lake gate.
_GATE_STEP = "gate"

_NAMED_FAILURES = 5
_FIX = {
    "lake": (
        "mend the export, or its source YAML (max_quarantine_share, columns, filter, volume), and run again: `ingest` "
        "stages everything afresh; the lake and the published tables are as before"
    ),
    "marts": (
        "find the cause with the sample (`userops build`, `userops score` rebuild the tables); the published tables "
        "are still those of the last good run"
    ),
}


@dataclass(frozen=True)
class _Checked:
    """What a gate looked at: the suites, or a note why there are none, and what they mean for single sources."""

    suites: list[SuiteResult]
    note_en: str = ""
    note_zh: str = ""
    findings: list[Finding] = field(default_factory=list)


def gate_lake(context: StepContext) -> StepReport:
    """Check what `ingest` staged, and its accounts, before `load` lets it into the lake.

    A source that has too much in quarantine, or far too many rows, stays out of the lake with its new files and is
    noted as red, unless its `on_failure` is `stop_day`; the others go on. Run again, the gate finds the same.

    Raises:
        GateError: an expectation about accounts or contract failed or raised, or one about a source whose failure
            stops the day; the staged files stay where they are and nothing is loaded.
    """
    from userops.ingest.leave_out import leave_out, tidy_incoming
    from userops.ingest.ledger import open_ledger

    settings = context.settings
    with open_ledger(settings) as ledger:
        tidy_incoming(settings, ledger)
    checked, result, page = _evaluate("lake", context, _check_staged)
    broken = {suite.name for suite, _ in (*result.failures, *result.notices)}
    findings = [finding for finding in checked.findings if finding.suite in broken]
    reasons: dict[str, str] = {}
    for finding in findings:
        if finding.consequence == "leave_out":
            reasons[finding.source] = "; ".join(filter(None, [reasons.get(finding.source), finding.message]))
    with open_ledger(settings) as ledger:
        ledger.replace_notes(
            context.as_of, _GATE_STEP, [*_standing_notes(ledger, context.as_of), *_notes(findings, context.as_of)]
        )
        if result.passed:
            leave_out(settings, ledger, reasons)
    report = _report(checked, result, page)
    report.warnings += [finding.message for finding in findings]
    report.counts["sources_left_out"] = len(reasons)
    return report


def gate_marts(context: StepContext) -> StepReport:
    """Check the marts in the warehouse file before `publish` lets people see them.

    Raises:
        BuildError: there is no warehouse.
        GateError: an expectation failed or raised; what is published stays.
    """
    return _report(*_evaluate("marts", context, _check_marts))


def _evaluate(
    gate: str, context: StepContext, check: Callable[[StepContext], _Checked]
) -> tuple[_Checked, GateResult, Path]:
    """Run a gate and write its report."""
    from expectations.report import write_report
    from expectations.results import GateResult

    started = time.monotonic()
    ran_at = datetime.now(UTC).isoformat(timespec="seconds")
    checked = check(context)
    seconds = round(time.monotonic() - started, 1)
    result = GateResult(
        gate, context.as_of, ran_at, seconds, checked.suites, note_en=checked.note_en, note_zh=checked.note_zh
    )
    return checked, result, write_report(context.settings, result)


def _report(checked: _Checked, result: GateResult, page: Path) -> StepReport:
    """Say what the gate found.

    Raises:
        GateError: the day stops here.
    """
    if not result.passed:
        raise _gate_error(result, page)
    rows = sum(suite.rows for suite in result.suites)
    holding = result.check_count - len(result.notices)
    passed = f"{holding} of {result.check_count}" if result.notices else str(result.check_count)
    return StepReport(
        summary=checked.note_en
        or f"{passed} expectations in {len(result.suites)} suites passed on {rows:,} rows"
        + (f"; {len(result.notices)} are about single sources" if result.notices else ""),
        counts={
            "suites": len(result.suites), "expectations": result.check_count, "noticed": len(result.notices),
            "rows": rows,
        },
        outputs={"report": str(page)},
    )  # fmt: skip


def _standing_notes(ledger: Ledger, as_of: date) -> list[SourceNote]:
    """Return the notes about sources that this gate has left out before, and that `ingest` has not taken up again."""
    from userops.ingest.ledger import FAILED

    left_out = [(batch.source, batch.error or "") for batch in ledger.batches(FAILED)]
    return [
        note
        for note in ledger.notes(as_of)
        if note.step == _GATE_STEP and any(note.source == name and note.message in error for name, error in left_out)
    ]


def _notes(findings: Sequence[Finding], as_of: date) -> list[SourceNote]:
    from userops.ingest.ledger import SourceNote

    return [
        SourceNote(
            as_of_date=as_of,
            source=finding.source,
            step=_GATE_STEP,
            kind=finding.kind,
            severity="warning" if finding.consequence == "flag" else "error",
            message=finding.message,
        )
        for finding in findings
    ]


def _check_staged(context: StepContext) -> _Checked:
    from expectations.runner import run_suites
    from expectations.staged import describe_staged
    from expectations.suites.lake import (
        staged_batches_suite,
        staged_entity_suite,
        staged_sources_suite,
        staged_volume_suite,
        strangers_suite,
    )  # fmt: skip
    from userops.contracts.entities import ENTITIES
    from userops.ingest.transform import date_bounds

    settings = context.settings
    bounds = date_bounds(settings, datetime.now(settings.tz).date(), context.as_of)
    with tempfile.TemporaryDirectory(prefix="userops-gate-") as folder:
        database = Path(folder) / "staged.duckdb"
        staged = describe_staged(settings, database, context.as_of)
        if not database.exists():
            return _Checked([], "nothing is staged: nothing to check", "没有待入湖数据，无需检查")
        suites = [staged_volume_suite(staged.volume_checks)] if staged.volume_checks else []
        if staged.batches:
            suites += [staged_batches_suite(), staged_sources_suite(staged.source_checks)]
        suites.append(strangers_suite())
        suites += [
            staged_entity_suite(
                ENTITIES[name], bounds.first, bounds.last, settings.project.timezone, view, staged.loaded.get(name)
            )
            for name, view in staged.entities.items()
        ]
        return _Checked(run_suites(database, suites, settings.engine), findings=staged.findings)


def _check_marts(context: StepContext) -> _Checked:
    from expectations.runner import run_suites
    from expectations.suites.marts import marts_suites
    from userops.warehouse.connect import read_warehouse
    from userops.warehouse.marts import read_marts

    settings = context.settings
    marts = read_marts(settings)
    with read_warehouse(settings) as connection:
        found = connection.execute("select table_schema, table_name, column_name from information_schema.columns")
        columns = found.fetchall()
    tables = {(schema, name) for schema, name, _ in columns}
    built = {name: mart.schema for name, mart in marts.items() if (mart.schema, name) in tables}
    suites = marts_suites(
        settings, context.as_of, built, {name for *_, name in columns}, _published_rows(settings, context.as_of)
    )
    return _Checked(run_suites(settings.paths.warehouse, suites, settings.engine))


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
