"""`userops models`: what there is, who serves, and back again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from typer.testing import CliRunner

from models_ml.churn.registry import Registry
from tests.unit.models_ml.test_train import AS_OF, _trained
from userops.cli import app
from userops.config import Settings


def test_models_are_listed_promoted_and_rolled_back(instance: Callable[..., Settings]) -> None:
    settings = instance("mlflow: {enabled: false}\n")
    registry = Registry(settings.paths.models / "churn")
    newest = _trained().artefact
    first = replace(newest, as_of=AS_OF - timedelta(days=60))
    for artefact in (first, newest):
        registry.save(artefact)
    registry.promote(first.version, first.as_of, "the first model")
    registry.challenge(newest.version)
    run = CliRunner().invoke

    listed = run(app, ["models", "list"], env={"COLUMNS": "200"})
    assert listed.exit_code == 0, listed.output
    rows = {
        name: line for line in listed.output.splitlines() for name in (first.version, newest.version) if name in line
    }
    assert set(rows) == {first.version, newest.version}
    assert "challenger" in rows[newest.version]

    assert run(app, ["models", "promote", newest.version]).exit_code == 0
    assert registry.aliases().champion == newest.version
    assert f"{first.version} is champion again" in " ".join(run(app, ["models", "rollback"]).output.split())
    assert (registry.aliases().champion, registry.aliases().challenger) == (first.version, newest.version)
