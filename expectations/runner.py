"""Running suites with Great Expectations on a DuckDB file, pushed down as SQL."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from expectations.checks import Check, Suite
from expectations.results import CheckResult, Status, SuiteResult
from userops.config import EngineSettings
from userops.contracts.entities import ENTITIES
from userops.pii import looks_personal_name, mask_value
from userops.sqltext import identifier

SAMPLE_ROWS = 5
_FIGURE_ROWS = 200
#: Severity, in Great Expectations' words, of what a check that does not hold brings about.
_SEVERITY = {"stop_day": "critical", "leave_out": "critical", "report": "critical", "flag": "warning"}
_LONGEST_VALUE = 120


def is_personal_column(name: str) -> bool:
    """Whether a column holds personal data, by its name: such a one is never in a sample, never in a mart.

    Of a canonical column the contract says it: `line_id` is a line of an order there, and not somebody's LINE.
    """
    folded = name.lower()
    told = [column.pii for entity in ENTITIES.values() for column in entity.columns if column.name == folded]
    return any(told) if told else looks_personal_name(name) is not None


def run_suites(database: Path, suites: Sequence[Suite], engine: EngineSettings) -> list[SuiteResult]:
    """Run `suites` on the tables of `database`, which is opened read only, and return what came out, in order.

    An expectation that raises gives status `error`, whatever Great Expectations itself says about its success.
    """
    with _great_expectations(database, engine) as (context, source):
        return [_run_suite(context, source, suite) for suite in suites]


@contextmanager
def _great_expectations(database: Path, engine: EngineSettings) -> Iterator[tuple[Any, Any]]:
    """Yield a context that keeps nothing and sends nothing, and its data source."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        from expectations import dialect

        dialect.register()
        try:
            context = gx.get_context(mode="ephemeral")
            context.variables.progress_bars = ProgressBarsConfig(globally=False)
            source = context.data_sources.add_sql(  # type: ignore[call-arg]  # its stub lacks `kwargs`
                "duckdb",
                connection_string=_url(dialect.SCHEME, database),
                create_temp_table=False,
                kwargs={
                    "connect_args": {
                        "read_only": True,
                        "config": {"memory_limit": engine.memory_limit, "threads": engine.threads},
                    }
                },
            )
            yield context, source
        finally:
            dialect.close_connections()


def _url(scheme: str, database: Path) -> str:
    """Return the connection URL; Great Expectations would replace an unescaped `$` by a variable."""
    from sqlalchemy.engine import URL

    url = URL.create(scheme, database=str(database)).render_as_string(hide_password=False)
    return url.replace("$", r"\$")


def _run_suite(context: Any, source: Any, suite: Suite) -> SuiteResult:
    import great_expectations as gx

    asset = source.add_table_asset(suite.name, table_name=suite.table, schema_name=suite.schema)
    expectations = [_expectation(check, number) for number, check in enumerate(suite.checks)]
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(
            name=suite.name,
            data=asset.add_batch_definition_whole_table(suite.name),
            suite=context.suites.add(gx.ExpectationSuite(name=suite.name, expectations=expectations)),
        )
    )
    outcome = definition.run(result_format={"result_format": "BASIC", "partial_unexpected_count": SAMPLE_ROWS})
    by_number = {item.expectation_config.meta["number"]: item.to_json_dict() for item in outcome.results}
    relation = f"{identifier(suite.schema)}.{identifier(suite.table)}"
    with source.get_engine().connect() as connection:
        total = connection.exec_driver_sql(f"select count(*) from {relation}").fetchall()[0][0]
        checks = [
            _check_result(connection, suite, check, by_number.get(number), relation, total)
            for number, check in enumerate(suite.checks)
        ]
        figures = _figures(connection, suite, relation)
    return SuiteResult(suite.name, suite.table, suite.title_en, suite.title_zh, total, checks, figures)


def _expectation(check: Check, number: int) -> Any:
    import great_expectations.expectations as gxe

    meta = {"number": number, "en": check.note_en, "zh": check.note_zh}
    return getattr(gxe, check.type)(**check.arguments, severity=_SEVERITY[check.consequence], meta=meta)


def _check_result(
    connection: Any, suite: Suite, check: Check, outcome: Mapping[str, Any] | None, relation: str, total: int
) -> CheckResult:
    status, message = _status(outcome)
    result = dict(outcome["result"]) if outcome else {}
    unexpected = _unexpected(check, result) if status == "failed" else 0
    sample = _sample(connection, suite, check, relation) if status == "failed" and check.bad_rows else []
    if status == "failed" and not check.bad_rows:
        message = f"observed {result.get('observed_value')}; allowed {_bounds(check)}"
    compact = {
        key: value for key, value in result.items() if key != "details" and not key.startswith("partial_unexpected")
    }
    return CheckResult(
        check.type, check.columns, check.note_en, check.note_zh, status, unexpected, total, sample, message, compact,
        check.consequence,
    )  # fmt: skip


def _status(outcome: Mapping[str, Any] | None) -> tuple[Status, str | None]:
    """Return the status of a result and, for an error, what was raised."""
    if outcome is None:
        return "error", "Great Expectations returned no result"
    raised = _raised(outcome["exception_info"])
    if raised is not None:
        return "error", raised
    return ("passed", None) if outcome["success"] else ("failed", None)


def _raised(exception_info: Mapping[str, Any] | None) -> str | None:
    """Return the first exception message; the information is one record, or one record per metric."""
    if not exception_info:
        return None
    records = [exception_info] if "raised_exception" in exception_info else list(exception_info.values())
    for record in records:
        if record["raised_exception"]:
            return str(record["exception_message"]).strip().splitlines()[0][:500]
    return None


def _unexpected(check: Check, result: Mapping[str, Any]) -> int:
    if check.type == "UnexpectedRowsExpectation":
        return int(result.get("observed_value") or 0)
    return int(result.get("unexpected_count") or 0)


def _bounds(check: Check) -> str:
    minimum, maximum = check.arguments.get("min_value"), check.arguments.get("max_value")
    return f"{'any' if minimum is None else minimum} to {'any' if maximum is None else maximum}"


def _sample(connection: Any, suite: Suite, check: Check, relation: str) -> list[dict[str, str]]:
    """Return up to five bad rows: the columns of the check and those that find the row again, never personal data."""
    assert check.bad_rows is not None
    query = check.bad_rows.format(batch=relation)
    rows = connection.exec_driver_sql(f"select * from ({query}) as bad_rows limit {SAMPLE_ROWS}")
    wanted = [*suite.shown, *check.columns]
    own = check.type == "UnexpectedRowsExpectation" and not query.startswith("select *")
    return [
        {name: _shown(value) for name, value in row.items() if (own or name in wanted) and not is_personal_column(name)}
        for row in rows.mappings()
    ]


def _figures(connection: Any, suite: Suite, relation: str) -> list[dict[str, str]]:
    """Return the figures of a small table, in its own order."""
    if not suite.figures:
        return []
    names = ", ".join(identifier(name) for name in suite.figures)
    rows = connection.exec_driver_sql(f"select {names} from {relation} limit {_FIGURE_ROWS}")
    return [{name: _shown(value) for name, value in row.items()} for row in rows.mappings()]


def _shown(value: Any) -> str:
    """Return a value as text: short, and with what is personal in it masked."""
    text = "null" if value is None else str(mask_value("", value))
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."
