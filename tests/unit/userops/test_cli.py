"""The command line: what a person sees when they ask for help, and that no command writes beside another."""

from __future__ import annotations

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from userops import cli
from userops.cli import app
from userops.errors import LockedError, UseropsError
from userops.steps import DAILY_STEPS, WEEKLY_STEPS, StepContext, StepReport


def test_help_names_every_verb():
    shown = CliRunner().invoke(app, ["--help"]).output
    for verb in ("simulate", "ingest", "quarantine", "build", "train", "score", "publish", "deliver", "run", "show"):
        assert verb in shown
    shown = CliRunner().invoke(app, ["quarantine", "--help"]).output
    for verb in ("list", "show", "retry", "drop"):
        assert verb in shown


def test_every_step_of_the_runs_is_named_where_one_can_be_run():
    shown = CliRunner().invoke(app, ["step", "--help"], env={"COLUMNS": "200"}).output
    assert [name for name in (*DAILY_STEPS, *WEEKLY_STEPS) if name not in shown] == []


@pytest.fixture
def done(monkeypatch, instance) -> list[str]:
    """Names of the steps that were run, none of which does anything."""
    instance()
    names: list[str] = []
    monkeypatch.setattr(cli, "run_step", lambda name, *_, **__: names.append(name) or StepReport(f"{name} is done"))
    return names


def test_the_verbs_together_are_the_daily_run(done):
    """`ingest` ends with the health of the sources; in a whole day that comes last."""
    for verb in ("ingest", "build", "score", "publish"):
        assert CliRunner().invoke(app, [verb, "--as-of", "2026-01-31"]).exit_code == 0
    assert done[3] == DAILY_STEPS[-1] == "source_health"
    assert (*done[:3], *done[4:], "deliver", done[3]) == DAILY_STEPS  # `deliver` is a verb of its own
    done.clear()
    CliRunner().invoke(app, ["run", "--as-of", "2026-01-31"])
    assert tuple(done) == DAILY_STEPS


def test_what_was_done_before_a_step_failed_is_printed(done, monkeypatch):
    real = cli.run_step

    def run_step(name: str, context: StepContext, **options: object) -> StepReport:
        if name == "source_health":
            raise UseropsError("source `shop`", "red", "green", "mend it")
        return real(name, context, **options)

    monkeypatch.setattr(cli, "run_step", run_step)
    result = CliRunner().invoke(app, ["ingest"])
    assert isinstance(result.exception, UseropsError)
    assert "load: load is done" in result.output


def test_a_source_can_be_taken_again_as_a_step_like_any_other(instance, monkeypatch, capfd):
    from userops.ingest import runner

    instance()
    asked = []
    monkeypatch.setattr(
        runner,
        "stage_landing",
        lambda context, again: asked.append(again) or StepReport("again", warnings=["[mind] the brackets"]),
    )
    monkeypatch.setattr("userops.steps.find_step", lambda name: lambda context: StepReport(f"{name} is done"))
    result = CliRunner().invoke(app, ["ingest", "--again", "shop", "--again", "other"])
    assert result.exit_code == 0, result.output
    assert asked == [frozenset({"shop", "other"})]
    assert "ingest: again" in result.output
    assert "load: load is done" in result.output
    for told in ("step started", "[mind] the brackets", "step finished"):
        assert told in result.stderr


@pytest.mark.parametrize("options", [["--source", "shop"], ["--json"]])
def test_options_of_the_status_do_not_start_an_ingest(done, options):
    result = CliRunner().invoke(app, ["ingest", *options])
    assert isinstance(result.exception, UseropsError)
    assert "add --status" in str(result.exception)
    assert done == []


def test_a_number_of_rows_below_one_is_refused_before_anything_is_read(instance):
    instance()
    result = CliRunner().invoke(app, ["show", "--rows", "-3"])
    assert result.exit_code == 2
    assert "greater than or equal to 1" in result.output


def test_a_dbt_command_by_hand_does_not_write_beside_a_running_step(instance):
    settings = instance()
    settings.home.mkdir(parents=True)
    with FileLock(settings.paths.lock_file):
        result = CliRunner().invoke(app, ["dbt", "ls"])
    assert isinstance(result.exception, LockedError)
