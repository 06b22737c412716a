"""The pictures of the model card, drawn without a screen and without a date: the same model, the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models_ml.churn.registry import Artefact

_BLUE, _RED, _GREY = "#1f6f8b", "#c8553d", "#9a9a9a"


def draw(artefact: Artefact, folder: Path) -> dict[str, str]:
    """Draw all plots into `folder` and return their file names by what they show."""
    import matplotlib

    matplotlib.use("Agg")
    plots: dict[str, Callable[[Artefact, Any], None]] = {
        "ranking": _ranking, "calibration": _calibration, "stability": _stability, "importance": _importance,
        "segments": _segments,
    }  # fmt: skip
    return {name: _save(artefact, plot, folder / f"{name}.png") for name, plot in plots.items()}


def _save(artefact: Artefact, plot: Callable[[Artefact, Any], None], file: Path) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), dpi=90, layout="constrained")
    plot(artefact, figure)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    figure.savefig(file, metadata={"Software": None})
    return file.name


def _ranking(artefact: Artefact, figure: Any) -> None:
    curves = artefact.metrics["curves"]
    rate = artefact.metrics["reliability"] and curves["precision"][-1]
    roc, precision, gain, lift = figure.subplots(1, 4)
    roc.plot(curves["disturbed"], curves["found"], color=_BLUE)
    roc.plot([0, 1], [0, 1], color=_GREY, linestyle=":")
    _label(roc, "ROC", "stayers contacted", "leavers found")
    precision.plot(curves["found"], curves["precision"], color=_BLUE)
    precision.axhline(rate, color=_GREY, linestyle=":")
    _label(precision, "Precision and recall", "leavers found", "leavers among contacted", top=True)
    gain.plot(curves["contacted"], curves["found"], color=_BLUE)
    gain.plot([0, rate, 1], [0, 1, 1], color=_GREY, linestyle=":")
    gain.plot([0, 1], [0, 1], color=_GREY, linestyle=":")
    _label(gain, "Gain", "users contacted", "leavers found")
    lift.plot(curves["contacted"][1:], [value / rate for value in curves["precision"][1:]], color=_BLUE)
    lift.axhline(1, color=_GREY, linestyle=":")
    _label(lift, "Lift", "users contacted", "times the average")


def _calibration(artefact: Artefact, figure: Any) -> None:
    bins = artefact.metrics["reliability"]
    curve, counts = figure.subplots(1, 2)
    curve.plot([0, 1], [0, 1], color=_GREY, linestyle=":")
    curve.plot([b["predicted"] for b in bins], [b["observed"] for b in bins], color=_BLUE, marker="o", markersize=4)
    curve.set_xlim(0, 1)
    _label(curve, "Calibration at the newest origin", "predicted churn", "observed churn", top=True)
    found = artefact.metrics["calibration"]
    places = range(len(found))
    counts.plot(places, [one["predicted"] for one in found], color=_BLUE, marker="o", label="predicted")
    counts.plot(places, [one["observed"] for one in found], color=_RED, marker="o", label="observed")
    counts.set_xticks(list(places), [one["origin"] for one in found])
    counts.legend(frameon=False, fontsize=8)
    _label(counts, "Level of churn by origin", "", "share of users", top=True)


def _stability(artefact: Artefact, figure: Any) -> None:
    auc, lift = figure.subplots(1, 2)
    origins = artefact.metrics["origins"]
    for axes, metric, title in ((auc, "auc", "AUC by origin"), (lift, "lift_at_list", "Lift at the list's length")):
        for name, figures in artefact.metrics["candidates"].items():
            served = name == artefact.metrics["served"]
            axes.plot(
                range(len(origins)), [one[metric] for one in figures["by_origin"]], label=name, marker="o",
                markersize=4, linewidth=2.2 if served else 1, alpha=1 if served else 0.7,
            )  # fmt: skip
        axes.set_xticks(range(len(origins)), origins)
        _label(axes, title, "", "")
    auc.legend(frameon=False, fontsize=8)


def _importance(artefact: Artefact, figure: Any) -> None:
    strongest = list(artefact.metrics["importance"].items())[:15][::-1]
    axes = figure.subplots()
    axes.barh([name for name, _ in strongest], [weight for _, weight in strongest], color=_BLUE)
    _label(axes, "Strongest features", "share of what the model gains", "")


def _segments(artefact: Artefact, figure: Any) -> None:
    found = artefact.metrics["segments"]
    axes = figure.subplots()
    places = list(range(len(found)))
    axes.bar([p - 0.2 for p in places], [one["predicted"] for one in found], width=0.4, color=_BLUE, label="predicted")
    axes.bar([p + 0.2 for p in places], [one["observed"] for one in found], width=0.4, color=_RED, label="observed")
    axes.set_xticks(places, [f"{one['segment']} {one['range']}" for one in found], rotation=60, ha="right")
    axes.legend(frameon=False, fontsize=8)
    _label(axes, "Churn by part of the users, newest origin", "", "share of users")


def _label(axes: Any, title: str, x: str, y: str, top: bool = False) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(x, fontsize=8)
    axes.set_ylabel(y, fontsize=8)
    if top:
        axes.set_ylim(0, 1)
