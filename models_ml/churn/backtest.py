"""The backtest: every candidate fitted, calibrated and judged at each origin, as it would have been at that date."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from models_ml.churn.calibrate import fit_calibrator
from models_ml.churn.dataset import Bools, Floats, Observations, Split, Texts, usable_features
from models_ml.churn.evaluate import metrics
from models_ml.churn.learners import MEMBERS, Learner, TreeModel, fit_logistic, fit_trees
from models_ml.churn.tune import tune_trees
from userops.config import Settings

#: What a spreadsheet or a textbook would rank by, the simplest first: of two equal baselines the simpler one serves.
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
    "bg_nbd": ("probability_absent",),
}
MAIN = "lightgbm"
#: Rows that a model of the backtest is fitted on at most; the served one sees all.
BACKTEST_ROWS = 60_000


@dataclass(frozen=True)
class Judged:
    """One candidate at one origin, on users of a date that played no part in fitting or calibrating it."""

    origin: date
    user_ids: Texts
    churned: Bools
    margin: Floats
    probability: Floats
    rounds: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Candidate:
    """One way to model churn.

    Attributes:
        fit: fits it on other observations: the features that are usable there, and the parameters found.
        judged: by origin, oldest first.
    """

    name: str
    fit: Callable[[Observations, int], Learner]
    judged: tuple[Judged, ...]

    def mean(self, metric: str) -> float:
        """Return the mean of a metric over the origins."""
        return float(np.mean([one.metrics[metric] for one in self.judged]))

    @property
    def rounds(self) -> int:
        """Trees that were right at the origins: their median; 0 for baselines."""
        return int(np.median([one.rounds for one in self.judged]))


@dataclass(frozen=True)
class Outcome:
    """What the backtest found.

    Attributes:
        tuned: parameters of LightGBM that replace defaults.
        features: of the newest origin, in order; `dropped`: the others, and why.
    """

    candidates: tuple[Candidate, ...]
    tuned: Mapping[str, Any]
    features: tuple[str, ...]
    dropped: Mapping[str, str]

    def best(self) -> Candidate:
        """Return LightGBM unless a baseline ranks at least as well over the origins."""
        return max(self.candidates, key=lambda candidate: (candidate.mean("auc"), candidate.name != MAIN))


def run_backtest(observations: Observations, origins: Sequence[Split], settings: Settings) -> Outcome:
    """Judge all candidates at every origin.

    LightGBM's parameters are searched once, on the train and calibration parts of the oldest origin: these lie before
    everything that is judged.
    """
    seed = settings.churn.seed
    tuned: dict[str, Any] = {}
    names: tuple[str, ...] = ()
    dropped: Mapping[str, str] = {}
    judged: dict[str, list[Judged]] = {}
    for place, split in enumerate(origins):
        train = _thinned(observations.where(split.train.mask(observations)), seed)
        calibration = observations.where(split.calibration.mask(observations))
        test = observations.where(split.test.mask(observations))
        names, dropped = usable_features(train.matrix, train.names)
        later = (calibration.columns(names), calibration.churned)
        if place == 0:
            parts = (train.columns(names), train.churned)
            tuned = tune_trees(names, parts, later, seed, settings.churn.tuning_trials)
        learners: dict[str, Learner] = {
            name: fit_logistic(usable, train.columns(usable), train.churned)
            for name, wanted in BASELINES.items()
            if (usable := [feature for feature in wanted if feature in names])
        }
        learners[MAIN] = fit_trees(
            names, train.columns(names), train.churned, seed, tuned, later=later, members=MEMBERS
        )
        for name, learner in learners.items():
            one = _judge(learner, calibration, test, split.origin, settings.warning_list.max_users)
            judged.setdefault(name, []).append(one)
    candidates = tuple(
        Candidate(name, _recipe(name, tuned, seed), tuple(found))
        for name, found in judged.items()
        if len(found) == len(origins)
    )
    return Outcome(candidates, tuned, names, dropped)


def _judge(learner: Learner, calibration: Observations, test: Observations, origin: date, list_size: int) -> Judged:
    curve = fit_calibrator(learner.margin(calibration.columns(learner.features)), calibration.churned)
    margin = learner.margin(test.columns(learner.features))
    probability = curve.probability(margin)
    rounds = learner.rounds if isinstance(learner, TreeModel) else 0
    quality = metrics(test.churned, probability, list_size)
    return Judged(origin, test.user_ids, test.churned, margin, probability, rounds, quality)


def _recipe(name: str, tuned: Mapping[str, Any], seed: int) -> Callable[[Observations, int], Learner]:
    def fit(observations: Observations, rounds: int) -> Learner:
        usable, _ = usable_features(observations.matrix, observations.names)
        if name == MAIN:
            matrix = observations.columns(usable)
            return fit_trees(usable, matrix, observations.churned, seed, tuned, rounds=rounds, members=MEMBERS)
        wanted = [feature for feature in BASELINES[name] if feature in usable]
        return fit_logistic(wanted, observations.columns(wanted), observations.churned)

    return fit


def _thinned(observations: Observations, seed: int) -> Observations:
    if len(observations) <= BACKTEST_ROWS:
        return observations
    chosen = np.zeros(len(observations), dtype=bool)
    chosen[np.random.default_rng(seed).choice(len(observations), BACKTEST_ROWS, replace=False)] = True
    return observations.where(chosen)
