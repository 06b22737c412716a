"""The command line: what a person sees when they ask for help, and that no command writes beside another."""

from __future__ import annotations

from filelock import FileLock
from typer.testing import CliRunner

from userops.cli import app
from userops.errors import LockedError
from userops.steps import DAILY_STEPS


def test_help_names_every_verb():
    shown = CliRunner().invoke(app, ["--help"]).output
    for verb in ("simulate", "ingest", "build", "train", "score", "publish", "run", "show"):
        assert verb in shown


def test_the_verbs_together_are_the_daily_run(monkeypatch, instance):
    import userops.cli as cli

    instance()
    done = []
    monkeypatch.setattr(cli, "run_step", lambda name, context: done.append(name) or cli.StepReport("done"))
    for verb in ("ingest", "build", "score", "publish"):
        assert CliRunner().invoke(app, [verb, "--as-of", "2026-01-31"]).exit_code == 0
    assert tuple(done) == DAILY_STEPS
    done.clear()
    CliRunner().invoke(app, ["run", "--as-of", "2026-01-31"])
    assert tuple(done) == DAILY_STEPS


def test_a_dbt_command_by_hand_does_not_write_beside_a_running_step(instance):
    settings = instance()
    settings.home.mkdir(parents=True)
    with FileLock(settings.paths.lock_file):
        result = CliRunner().invoke(app, ["dbt", "ls"])
    assert isinstance(result.exception, LockedError)
