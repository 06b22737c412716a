"""`userops models ...`: which churn models there are, who serves, and changing that by hand."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from userops.config import Settings, load_settings
from userops.steps import writer_lock

models_app = typer.Typer(
    help="Churn models 流失模型: list them, promote one, roll back to the champion before.", no_args_is_help=True
)
console = Console()


@models_app.command("list")
def list_models() -> None:
    """List every trained model with its quality in the backtest and who is champion and challenger."""
    from models_ml.churn.registry import Registry

    registry = Registry(load_settings().paths.models / "churn")
    aliases = registry.aliases()
    # Versions are copied from here into `promote`: they stay whole however narrow the terminal.
    whole = [Column(name, no_wrap=True) for name in ("version", "alias")]
    table = Table(*whole, "serves", "origins", "AUC", "lift at list", "calibration error")
    for version in registry.versions():
        metrics = registry.read_json(version, "metrics.json")
        mean = metrics["candidates"][metrics["served"]]["mean"]
        alias = {aliases.champion: "champion", aliases.challenger: "challenger"}.get(version, "")
        table.add_row(
            version, alias, metrics["served"], str(len(metrics["origins"])), f"{mean['auc']:.4f}",
            f"{mean['lift_at_list']:.2f}", f"{metrics['calibration'][-1]['calibration_error']:.4f}",
        )  # fmt: skip
    console.print(table)
    for promotion in aliases.history:
        console.print(f"{promotion.as_of}: {promotion.model_version} champion, {promotion.why}", highlight=False)


@models_app.command()
def promote(version: Annotated[str, typer.Argument(help="A version of `userops models list`.")]) -> None:
    """Make a version the champion: it scores from the next run on."""
    from models_ml.churn.registry import Registry

    settings = load_settings()
    with writer_lock(settings):
        Registry(settings.paths.models / "churn").promote_by_hand(version)
        _tell_mlflow(settings)
    console.print(f"{version} is champion")


@models_app.command()
def rollback() -> None:
    """Give the title back to the champion before the present one, which becomes the challenger."""
    from models_ml.churn.registry import Registry

    settings = load_settings()
    with writer_lock(settings):
        before = Registry(settings.paths.models / "churn").roll_back()
        _tell_mlflow(settings)
    console.print(f"{before} is champion again")


def _tell_mlflow(settings: Settings) -> None:
    from models_ml.churn import tracking
    from models_ml.churn.registry import Registry

    warning = tracking.point(settings, Registry(settings.paths.models / "churn").aliases())
    if warning:
        console.print(warning, style="yellow")
