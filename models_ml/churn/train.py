"""Training: measure honestly on the past, then fit once more on the newest dates for serving.

1. Measure. Candidates are fitted on the training part, calibrated on a later part and compared on the last part
   (`dataset.plan_observations`). The candidate with the best AUC there serves: LightGBM has to beat the baselines.
2. Serve. The same recipe (kind, features, number of trees) is fitted on the newest dates, all users. Its calibration
   curve comes from margins for observations that the models giving them had not seen and that lie later than their
   training: those of the calibration part and those of the test part.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version as library_version
from typing import Any

import numpy as np

from models_ml.churn.calibrate import Calibrator, fit_calibrator
from models_ml.churn.dataset import Floats, ObservationPlan, Observations, Split, usable_features
from models_ml.churn.evaluate import metrics, reliability
from models_ml.churn.learners import TREE_PARAMETERS, Learner, TreeModel, fit_logistic, fit_trees
from models_ml.churn.registry import Artefact, ChurnModel
from userops.config import Settings
from userops.errors import ModelError

#: Fewest churned, and fewest kept, users in each of train, calibration and test.
MIN_CLASS_ROWS = 10

#: What a spreadsheet would rank by. Recency first: of two equal baselines the simpler one serves.
BASELINES: dict[str, tuple[str, ...]] = {
    "recency": ("days_silent",),
    "rfm_logistic": (
        "days_silent",
        "active_days_90",
        "active_days_total",
        "orders_total",
        "net_revenue_total",
        "tenure_days",
    ),
}
MAIN = "lightgbm"

Fit = Callable[[Observations], Learner]


@dataclass(frozen=True)
class Candidate:
    """One way to model churn, fitted on the training part and calibrated on the calibration part."""

    name: str
    model: ChurnModel
    metrics: dict[str, float]


def train_model(observations: Observations, plan: ObservationPlan, settings: Settings, as_of: date) -> Artefact:
    """Train, measure and return the model to serve. Deterministic: the same arguments give the same artefact.

    Raises:
        ModelError: too few labelled users, or only one class.
    """
    _check_size(observations, settings)
    split = _strictest_usable_split(observations, plan)
    train = observations.where(split.train.mask(observations))
    calibration = observations.where(split.calibration.mask(observations))
    test = observations.where(split.test.mask(observations))
    names, dropped = usable_features(train.matrix, train.names)
    candidates = _candidates(names, train, calibration, test, settings)
    best = _best(candidates)
    serving = observations.where(np.isin(observations.as_of, np.array(plan.serving, dtype="datetime64[D]")))
    refit = _recipe(best, names, settings)
    model = ChurnModel(refit(serving), _serving_calibrator(best, refit, observations, split, calibration, test))
    config = {
        "as_of": as_of.isoformat(),
        "churn": settings.churn.model_dump(mode="json"),
        "served": best.name,
        "scheme": split.scheme,
        "split": split.note,
        "serving_dates": [day.isoformat() for day in plan.serving],
        "parameters": {**TREE_PARAMETERS, "rounds": model.learner.rounds}
        if isinstance(model.learner, TreeModel)
        else {},
    }
    measured = {
        "scheme": split.scheme,
        "served": best.name,
        "candidates": {candidate.name: candidate.metrics for candidate in candidates},
        "reliability": reliability(test.churned, best.model.probability(test.columns(best.model.features))),
        "importance": model.learner.importance(),
        "beats_baselines": best.name == MAIN,
    }
    data = {
        "fingerprint": observations.fingerprint(),
        "rows": len(observations),
        "churned": int(observations.churned.sum()),
        "serving_rows": len(serving),
        "libraries": {name: library_version(name) for name in ("lightgbm", "scikit-learn", "numpy", "duckdb")},
        "python": platform.python_version(),
    }
    artefact = Artefact(model, as_of, dropped, config, measured, data)
    return Artefact(model, as_of, dropped, config, measured, data, model_card(artefact, split))


def _check_size(observations: Observations, settings: Settings) -> None:
    found, needed = len(observations), settings.churn.min_users
    if found < needed:
        raise ModelError(
            "train", f"{found} labelled user-dates", f"at least {needed} (churn.min_users)",
            "load more history, or lower churn.min_users in userops.yml",
        )  # fmt: skip
    churned = int(observations.churned.sum())
    if churned in (0, found):
        raise ModelError(
            "train", f"{churned} of {found} labelled user-dates churned: only one class",
            "both users who left and users who stayed",
            "choose churn.horizon_days nearer to how often users come back, or load more history",
        )  # fmt: skip


def _strictest_usable_split(observations: Observations, plan: ObservationPlan) -> Split:
    counts = []
    for split in plan.splits:
        smallest = min(
            _smaller_class(observations.churned[part.mask(observations)])
            for part in (split.train, split.calibration, split.test)
        )
        if smallest >= MIN_CLASS_ROWS:
            return split
        counts.append(f"{split.scheme}: {smallest}")
    raise ModelError(
        "train", f"smallest class in the smallest part by scheme: {', '.join(counts)}",
        f"at least {MIN_CLASS_ROWS} churned and {MIN_CLASS_ROWS} kept users in each of train, calibration and test",
        "load more history, or choose churn.horizon_days nearer to how often users come back",
    )  # fmt: skip


def _smaller_class(churned: Any) -> int:
    positives = int(churned.sum())
    return min(positives, len(churned) - positives)


def _candidates(
    names: Sequence[str], train: Observations, calibration: Observations, test: Observations, settings: Settings
) -> list[Candidate]:
    later = (calibration.columns(names), calibration.churned)
    learners: dict[str, Learner] = {
        MAIN: fit_trees(names, train.columns(names), train.churned, settings.churn.seed, later=later)
    }
    for name, wanted in BASELINES.items():
        usable = [feature for feature in wanted if feature in names]
        if usable:
            learners[name] = fit_logistic(usable, train.columns(usable), train.churned)
    candidates = []
    for name, learner in learners.items():
        curve = fit_calibrator(learner.margin(calibration.columns(learner.features)), calibration.churned)
        model = ChurnModel(learner, curve)
        quality = metrics(
            test.churned, model.probability(test.columns(model.features)), settings.warning_list.max_users
        )
        candidates.append(Candidate(name, model, quality))
    return candidates


def _best(candidates: Sequence[Candidate]) -> Candidate:
    """Return LightGBM unless a baseline ranks the last date better."""
    return max(candidates, key=lambda candidate: (candidate.metrics["auc"], candidate.name == MAIN))


def _recipe(best: Candidate, names: Sequence[str], settings: Settings) -> Fit:
    """Return how to fit the chosen kind of model on other observations."""
    learner = best.model.learner
    if isinstance(learner, TreeModel):
        rounds = learner.rounds
        return lambda data: fit_trees(names, data.columns(names), data.churned, settings.churn.seed, rounds=rounds)
    return lambda data: fit_logistic(learner.features, data.columns(learner.features), data.churned)


def _serving_calibrator(
    best: Candidate, refit: Fit, observations: Observations, split: Split, calibration: Observations, test: Observations
) -> Calibrator:
    """Fit the served curve on margins of unseen, later observations: calibration part and test part together.

    The test part is scored by a model that was also given the calibration part where that keeps it unseen (other
    dates), so that its margins resemble those of the model that serves.
    """
    features = best.model.features
    first: Floats = best.model.learner.margin(calibration.columns(features))
    if split.scheme == "dates":
        earlier = split.train.mask(observations) | split.calibration.mask(observations)
        second = refit(observations.where(earlier)).margin(test.columns(features))
    else:
        second = best.model.learner.margin(test.columns(features))
    return fit_calibrator(np.concatenate([first, second]), np.concatenate([calibration.churned, test.churned]))


def model_card(artefact: Artefact, split: Split) -> str:
    """Return the model card: what it predicts, on what, how well, and what it must not be used for."""
    served, measured, churn = artefact.config["served"], artefact.metrics, artefact.config["churn"]
    lines = [
        f"# Churn model {artefact.version}",
        "",
        f"Trained as of {artefact.as_of}. Serves: **{served}**"
        + ("." if measured["beats_baselines"] else ", because LightGBM did not rank the last date better than it."),
        "",
        "## What it predicts",
        f"The probability that a user active in the last {churn['active_window_days']} days has no active day in the "
        f"{churn['horizon_days']} days after a lead of {churn['lead_days']} days. "
        f"过去 {churn['active_window_days']} 天内活跃的用户，在提前 {churn['lead_days']} 天之后的 "
        f"{churn['horizon_days']} 天内没有任何活跃日的概率。",
        "",
        "## How it was measured",
        f"Scheme `{split.scheme}`: {split.note}. All metrics are on the test part.",
        "",
        "| candidate | AUC | PR-AUC | log loss | Brier | calibration error | lift at list | lift at 10% |",
        "|---|---|---|---|---|---|---|---|",
    ]
    columns = ("auc", "pr_auc", "log_loss", "brier", "calibration_error", "lift_at_list", "lift_at_10pct")
    for name, quality in measured["candidates"].items():
        lines.append(f"| {name} | " + " | ".join(f"{quality[column]:.4f}" for column in columns) + " |")
    served_quality = measured["candidates"][served]
    lines += [
        "",
        f"Test users: {served_quality['users']:.0f}, of whom {served_quality['churn_rate']:.1%} churned.",
        "",
        "| users | predicted churn | observed churn |",
        "|---|---|---|",
        *(f"| {b['users']} | {b['predicted']:.3f} | {b['observed']:.3f} |" for b in measured["reliability"]),
        "",
        "## What serves",
        f"Fitted again on {artefact.data['serving_rows']} user-dates of {', '.join(artefact.config['serving_dates'])}. "
        f"Calibration: {artefact.model.calibrator.kind}, fitted on {artefact.model.calibrator.rows} observations later "
        "than, or of other users than, the data of the models that scored them.",
        "",
        "## Features",
        "Strongest: " + ", ".join(f"{n} ({w:.0%})" for n, w in list(measured["importance"].items())[:12]) + ".",
        "",
        f"Used: {len(artefact.model.features)}. Dropped: "
        + (", ".join(f"{name} ({why})" for name, why in artefact.dropped.items()) or "none") + ".",
        "",
        "## Limits",
        "Reasons are what raised this user's risk in the model, not causes. A probability holds while season and "
        "business are like those of the training dates. 原因是模型中提高该用户风险的因素，并非因果关系。",
        "",
    ]  # fmt: skip
    return "\n".join(lines)
