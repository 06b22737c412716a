"""What the onboarding tests share: a maker of workbooks, and an instance with the commands run in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from openpyxl import Workbook
from typer.testing import CliRunner

from userops.config import Settings
from userops.onboard.command import check_command, onboard_command

Run = Callable[..., str]


@pytest.fixture
def workbook(tmp_path: Path) -> Callable[[Sequence[Sequence[Any]]], Path]:
    """Return a maker of xlsx files: `workbook(rows)`."""

    def make(rows: Sequence[Sequence[Any]]) -> Path:
        book = Workbook()
        for row in rows:
            book.active.append(list(row))
        path = tmp_path / "book.xlsx"
        book.save(path)
        return path

    return make


@pytest.fixture
def settings(instance: Callable[..., Settings]) -> Settings:
    """An empty instance; the commands find it through the environment."""
    return instance("project: {timezone: Europe/Paris, currency: EUR}\n")


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a runner of `onboard ...` and `check ...`: what was printed, or the error that was raised."""
    monkeypatch.setenv("COLUMNS", "250")
    app = typer.Typer()
    app.command("onboard")(onboard_command)
    app.command("check")(check_command)

    def invoke(*arguments: str | Path) -> str:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    return invoke
