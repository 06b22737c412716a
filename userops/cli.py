"""`userops ...`: every step of the DAGs as a command, calling the same functions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from importlib.metadata import entry_points
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from userops import __version__
from userops.config import load_settings
from userops.definitions.list_commands import list_app
from userops.delivery.command import deliver_command
from userops.docs.commands import docs_app
from userops.errors import UseropsError
from userops.ingest.commands import print_status, quarantine_app
from userops.log import configure_logging
from userops.onboard.command import check_command, onboard_command
from userops.simulate.command import campaign_command, simulate_command
from userops.steps import (
    DAILY_STEPS,
    INDEPENDENT_STEPS,
    TRAINING_STEPS,
    WEEKLY_STEPS,
    Step,
    StepContext,
    StepReport,
    run_step,
    writer_lock,
)
from userops.terminal import AsOf, business_date

app = typer.Typer(
    name="userops",
    help="Self-hosted user operations (用户运营): ingest exports, build marts, score churn, publish lists.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console()
errors = Console(stderr=True)

app.command("simulate")(simulate_command)
app.command("simulate-campaign")(campaign_command)
app.command("onboard")(onboard_command)
app.command("check")(check_command)
app.command("deliver")(deliver_command)


app.add_typer(quarantine_app, name="quarantine")
app.add_typer(list_app, name="list")
app.add_typer(docs_app, name="docs")
for _point in entry_points(group="userops.commands"):  # of packages that `userops` itself may not import
    app.add_typer(_point.load(), name=_point.name)


@app.command()
def ingest(
    as_of: AsOf = None,
    status: Annotated[bool, typer.Option("--status", help="Only show what was taken from every file.")] = False,
    source: Annotated[str | None, typer.Option("--source", help="With --status: only this source.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --status: machine-readable.")] = False,
    again: Annotated[
        list[str] | None,
        typer.Option("--again", help="Take all present files of this source again, under its YAML of now."),
    ] = None,
) -> None:
    """Take new files from the landing folder: stage them, gate them, load them into the lake."""
    if status:
        print_status(load_settings(), source, as_json)
        return
    if source is not None or as_json:
        raise UseropsError(
            "userops ingest", "--source or --json without --status", "an ingest of all sources, or --status",
            "leave them out, or add --status to see what was taken; a source alone is taken again with --again",
        )  # fmt: skip
    _run(("ingest", "gate_lake", "load", "source_health"), as_of, again=frozenset(again or ()))


@app.command()
def build(as_of: AsOf = None) -> None:
    """Build and test the marts with dbt (all but scores, segments, personas and lists)."""
    _run(("build",), as_of)


@app.command()
def train(as_of: AsOf = None) -> None:
    """Train the churn model on what was known at the business date; it becomes champion if it is clearly better."""
    _run(TRAINING_STEPS, as_of)


@app.command()
def score(as_of: AsOf = None) -> None:
    """Score churn risk, assign segments, and rebuild personas and lists."""
    _run(("features", "score", "segment", "lists"), as_of)


@app.command()
def publish(as_of: AsOf = None) -> None:
    """Gate the marts and publish them: DuckDB file, Parquet, lists, and PostgreSQL when configured."""
    _run(("gate_marts", "publish"), as_of)


@app.command()
def run(as_of: AsOf = None) -> None:
    """Run the whole day, exactly the steps of the DAG `user_ops_daily`."""
    _run(DAILY_STEPS, as_of)


@app.command()
def step(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(dict.fromkeys((*DAILY_STEPS, *WEEKLY_STEPS)))}.")],
    as_of: AsOf = None,
) -> None:
    """Run one step by name."""
    _run((name,), as_of)


@app.command()
def show(
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows of the warning list to print.")] = 15,
) -> None:
    """Print the published warning list, stages and funnel, and where every output lies."""
    from userops.show import show_published

    show_published(load_settings(), console, rows)


@app.command()
def demo(
    users: Annotated[int, typer.Option(help="Simulated users.")] = 20_000,
    days: Annotated[int, typer.Option(help="Simulated days.")] = 180,
) -> None:
    """Simulated shop, one historical load, then the real DAGs under Airflow; what `make demo` runs."""
    from userops.demo import run_demo

    run_demo(load_settings(), console, users=users, days=days)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def dbt(context: typer.Context, as_of: AsOf = None) -> None:
    """Run any dbt command with this instance's variables, for instance `userops dbt docs generate`."""
    from userops.warehouse.dbt import run_dbt

    settings = load_settings()
    with writer_lock(settings):
        run_dbt(settings, business_date(as_of, settings), command=context.args)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    short_help="Ask for metrics of the published marts, for instance `userops metrics query --metrics dau`.",
)
def metrics(context: typer.Context) -> None:
    """MetricFlow on the published marts: `list metrics`, `query --metrics dau --group-by metric_time__day`, ..."""
    from userops.warehouse.metrics import run_metricflow

    raise typer.Exit(run_metricflow(load_settings(), context.args))


@app.command()
def version() -> None:
    """Print the version."""
    console.print(__version__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: a UseropsError becomes one readable message and exit code 2."""
    try:
        configure_logging("console")
        app(args=list(arguments) if arguments is not None else None)
    except UseropsError as error:
        print_error(error)
        sys.exit(2)


def print_error(error: UseropsError) -> None:
    """Print the four answers of an error to standard error."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for label, text in (
        ("where", error.where), ("found", error.found), ("expected", error.expected), ("what to do", error.fix),
    ):  # fmt: skip
        table.add_row(label, text)
    errors.print(f"[bold red]{type(error).__name__}[/]")
    errors.print(table, markup=False)


def _run(steps: Sequence[str], as_of: str | None, again: frozenset[str] = frozenset()) -> None:
    settings = load_settings()
    configure_logging(settings.log_format)
    context = StepContext(settings, business_date(as_of, settings))
    reports: list[tuple[str, StepReport]] = []
    failed: list[UseropsError] = []
    try:
        for number, name in enumerate(steps, start=1):
            errors.print(f"[bold cyan]({number}/{len(steps)}) {name}[/] as of {context.as_of}")
            try:
                report = run_step(name, context, step=_taking_again(again) if name == "ingest" and again else None)
            except UseropsError as error:
                if name not in INDEPENDENT_STEPS:
                    raise
                failed.append(error)
            else:
                reports.append((name, report))
    finally:  # what was done before a step failed is worth knowing, too
        _print_reports(reports)
    for earlier in failed[:-1]:
        print_error(earlier)
    if failed:
        raise failed[-1]


def _print_reports(reports: Sequence[tuple[str, StepReport]]) -> None:
    for name, report in reports:
        console.print(f"[bold]{name}[/]: {report.summary}", highlight=False)
        for label, path in report.outputs.items():
            console.print(f"    {label}: {path}", highlight=False, soft_wrap=True)


def _taking_again(again: frozenset[str]) -> Step:
    from userops.ingest.runner import stage_landing

    return partial(stage_landing, again=again)


if __name__ == "__main__":
    main()
