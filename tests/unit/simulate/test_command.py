"""`userops simulate` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from userops.errors import UseropsError
from userops.simulate.command import simulate_command


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setenv("USEROPS_HOME", str(tmp_path / "home"))
    (tmp_path / "config").mkdir()
    monkeypatch.setenv("USEROPS_CONFIG", str(tmp_path / "config"))
    application = typer.Typer()
    application.command()(simulate_command)
    return application


def test_it_writes_below_userops_home_and_says_where(app: typer.Typer, tmp_path: Path) -> None:
    arguments = [
        "--users",
        "50",
        "--days",
        "5",
        "--end-date",
        "2026-02-05",
        "--seed",
        "3",
        "--dirt",
        "0.1",
        "--dirt-kind",
        "late",
        "--dirt-kind",
        "broken",
    ]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    events = sorted(file.name for file in (tmp_path / "home" / "landing" / "shop" / "events").iterdir())
    assert events[-1] == "events_2026-02-05.jsonl.gz"
    assert "2026-02-01 .. 2026-02-05" in result.output
    again = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert "nothing was written" in again.output


def test_an_impossible_option_is_a_readable_error(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["--users", "0"])
    assert isinstance(result.exception, UseropsError)
    assert "`users`" in str(result.exception)
