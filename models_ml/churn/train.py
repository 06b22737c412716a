"""Training: judge honestly on the past, then fit once more on the newest dates for serving.

1. Judge. Candidates are fitted, calibrated and judged at rolling origins (`backtest`). The candidate with the best mean
   AUC serves: LightGBM has to beat the baselines.
2. Serve. The same recipe is fitted on the newest dates, all users. Its curve comes from the margins that the models of
   the origins gave to users and dates they had not seen; its level is that of the newest origin, or at scoring that of
   the season (`levels`).
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version as library_version
from typing import Any

import numpy as np

from models_ml.churn.backtest import MAIN, Judged, Outcome, run_backtest
from models_ml.churn.calibrate import Calibrator, fit_calibrator
from models_ml.churn.dataset import Backtest, ObservationPlan, Observations
from models_ml.churn.drift import SCORE, Reference, references
from models_ml.churn.evaluate import calibration_error, curves, reliability, segment_performance, weighted_auc
from models_ml.churn.learners import TREE_PARAMETERS, TreeModel
from models_ml.churn.levels import Levels, shift_to
from models_ml.churn.registry import Artefact, ChurnModel
from models_ml.churn.rhythms import Rhythms
from userops.config import Settings
from userops.errors import TooLittleHistoryError

#: Fewest churned, and fewest kept, users in each of train, calibration and test.
MIN_CLASS_ROWS = 10


@dataclass(frozen=True)
class Trained:
    """A training's outcome.

    Attributes:
        judged: what the served recipe answered at the origins, for a comparison with the champion.
    """

    artefact: Artefact
    judged: tuple[Judged, ...]


def train_model(
    observations: Observations,
    plan: ObservationPlan,
    settings: Settings,
    as_of: date,
    levels: Levels,
    rhythms: Mapping[date, Rhythms],
) -> Trained:
    """Train, judge and return the model to serve. Deterministic: the same arguments give the same artefact.

    Args:
        observations: with the BG/NBD features of each date.
        rhythms: the models these came from.

    Raises:
        TooLittleHistoryError: too few labelled users, or only one class.
    """
    _check_size(observations, settings)
    backtest = _strictest_usable_backtest(observations, plan)
    outcome = run_backtest(observations, backtest.origins, settings)
    best = outcome.best()
    serving = observations.where(np.isin(observations.as_of, np.array(plan.serving, dtype="datetime64[D]")))
    learner = best.fit(serving, best.rounds)
    calibrator, level_shift = _curve(best.judged)
    model = ChurnModel(learner, calibrator, rhythms[plan.serving[-1]], level_shift)
    final = [_with_level(one, calibrator, levels) for one in best.judged]
    config = {
        "as_of": as_of.isoformat(),
        "churn": settings.churn.model_dump(mode="json"),
        "served": best.name,
        "scheme": backtest.scheme,
        "backtest": backtest.note,
        "serving_dates": [day.isoformat() for day in plan.serving],
        "parameters": {**TREE_PARAMETERS, **outcome.tuned, "rounds": learner.rounds, "members": len(learner.members)}
        if isinstance(learner, TreeModel)
        else {},
        "tuned": dict(outcome.tuned),
    }
    last = best.judged[-1]
    measured = {
        "scheme": backtest.scheme,
        "served": best.name,
        "origins": [one.origin.isoformat() for one in best.judged],
        "candidates": {
            candidate.name: {
                "mean": {metric: round(candidate.mean(metric), 6) for metric in last.metrics},
                "by_origin": [dict(one.metrics) for one in candidate.judged],
            }
            for candidate in outcome.candidates
        },
        "calibration": [
            {
                "origin": one.origin.isoformat(),
                "level": "season" if levels.expected(one.origin) is not None else "last known date",
                "predicted": round(float(probability.mean()), 6),
                "observed": round(float(one.churned.mean()), 6),
                "calibration_error": round(calibration_error(one.churned, probability), 6),
            }
            for one, probability in zip(best.judged, final, strict=True)
        ],
        "reliability": reliability(last.churned, final[-1]),
        "segments": _segments(observations, last, final[-1]),
        "curves": curves(last.churned, final[-1]),
        "importance": learner.importance(),
        "beats_baselines": best.name == MAIN,
        "advantage": _advantage(outcome, settings.churn.seed),
    }
    data = {
        "fingerprint": observations.fingerprint(),
        "rows": len(observations),
        "churned": int(observations.churned.sum()),
        "serving_rows": len(serving),
        "kinds": kinds_of_data(observations),
        "libraries": {
            name: library_version(name) for name in ("lightgbm", "scikit-learn", "numpy", "duckdb", "optuna")
        },
        "python": platform.python_version(),
    }
    reference = _reference(model, observations, plan.serving[-1])
    return Trained(Artefact(model, as_of, outcome.dropped, config, measured, data, reference), best.judged)


def kinds_of_data(observations: Observations) -> dict[str, bool]:
    """Return what the features could be made of: events, orders, feedback, a year of history."""

    def any_above_zero(name: str) -> bool:
        return bool(np.nansum(observations.columns((name,))) > 0)

    return {
        "events": any_above_zero("event_days_total"),
        "orders": any_above_zero("orders_total"),
        "revenue": bool(np.nansum(np.abs(observations.columns(("net_revenue_total",)))) > 0),
        "feedback": any_above_zero("feedback_180"),
        "year_before": bool(np.isfinite(observations.columns(("active_days_year_before",))).any()),
    }


def _curve(judged: Sequence[Judged]) -> tuple[Calibrator, float]:
    """Return the curve of all origins together, and the shift that gives it the level of the newest one."""
    margin = np.concatenate([one.margin for one in judged])
    churned = np.concatenate([one.churned for one in judged])
    calibrator = fit_calibrator(margin, churned)
    newest = judged[-1]
    return calibrator, shift_to(calibrator, newest.margin, float(newest.churned.mean()))


def _with_level(one: Judged, calibrator: Calibrator, levels: Levels) -> Any:
    """Return the probabilities of an origin as serving would have given them: with its season's level where that was
    to be expected, else as the calibration date before the origin had it."""
    expected = levels.expected(one.origin)
    if expected is None:
        return one.probability
    return calibrator.probability(one.margin + shift_to(calibrator, one.margin, expected))


def _advantage(outcome: Outcome, seed: int) -> dict[str, float] | None:
    """Return how much better LightGBM ranks than the best baseline, mean over the origins, with its 95 % interval."""
    main = next((one for one in outcome.candidates if one.name == MAIN), None)
    others = [one for one in outcome.candidates if one.name != MAIN]
    if main is None or not others:
        return None
    return paired_auc_difference(main.judged, max(others, key=lambda one: one.mean("auc")).judged, seed)


def paired_auc_difference(
    first: Sequence[Judged], second: Sequence[Judged], seed: int, rounds: int = 200
) -> dict[str, float]:
    """Return mean AUC of `first` minus that of `second` over the same origins, with a 95 % bootstrap interval.

    Users are drawn, each with all of its dates: two dates of one user are not two independent facts.
    """
    users = np.unique(np.concatenate([one.user_ids.astype(str) for one in first]))
    places = [np.searchsorted(users, one.user_ids.astype(str)) for one in first]
    generator = np.random.default_rng(seed)

    def difference(weights: Any) -> float:
        return float(
            np.mean(
                [
                    weighted_auc(a.churned, a.margin, weights[place])
                    - weighted_auc(b.churned, b.margin, weights[place])
                    for a, b, place in zip(first, second, places, strict=True)
                ]
            )
        )

    drawn = [
        difference(np.bincount(generator.integers(0, len(users), len(users)), minlength=len(users)).astype(np.float64))
        for _ in range(rounds)
    ]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return {
        "difference": round(difference(np.ones(len(users))), 6), "low": round(float(low), 6),
        "high": round(float(high), 6),
    }  # fmt: skip


def _segments(observations: Observations, last: Judged, probability: Any) -> list[dict[str, Any]]:
    """Return how well parts of the newest origin's users are served."""
    rows = observations.where(observations.as_of == np.datetime64(last.origin))
    order = {user: place for place, user in enumerate(rows.user_ids.tolist())}
    chosen = np.array([order[user] for user in last.user_ids.tolist()], dtype=np.int64)
    names = ("tenure_days", "days_silent", "active_days_90", "orders_total")
    values = rows.columns(names)[chosen]
    return segment_performance(dict(zip(names, values.T, strict=True)), last.churned, probability)


def _reference(model: ChurnModel, observations: Observations, newest: date) -> dict[str, Reference]:
    """Return what features and scores looked like on the newest date of training."""
    rows = model.prepared(observations.where(observations.as_of == np.datetime64(newest)))
    columns = {name: rows.columns((name,))[:, 0] for name in model.features}
    columns[SCORE] = model.probability(model.learner.margin(rows.columns(model.features)))
    return references(columns)


def _check_size(observations: Observations, settings: Settings) -> None:
    found, needed = len(observations), settings.churn.min_users
    if found < needed:
        raise TooLittleHistoryError(
            "train", f"{found} labelled user-dates", f"at least {needed} (churn.min_users)",
            "load more history, or lower churn.min_users in userops.yml",
        )  # fmt: skip
    churned = int(observations.churned.sum())
    if churned in (0, found):
        raise TooLittleHistoryError(
            "train", f"{churned} of {found} labelled user-dates churned: only one class",
            "both users who left and users who stayed",
            "choose churn.horizon_days nearer to how often users come back, or load more history",
        )  # fmt: skip


def _strictest_usable_backtest(observations: Observations, plan: ObservationPlan) -> Backtest:
    """Return the strictest backtest with origins whose parts all hold both classes; the other origins are left out."""
    counts = []
    for backtest in plan.backtests:
        smallest = [
            min(
                _smaller_class(observations.churned[part.mask(observations)])
                for part in (split.train, split.calibration, split.test)
            )
            for split in backtest.origins
        ]
        usable = tuple(split for split, rows in zip(backtest.origins, smallest, strict=True) if rows >= MIN_CLASS_ROWS)
        if usable:
            left_out = len(smallest) - len(usable)
            note = f"; {left_out} left out: fewer than {MIN_CLASS_ROWS} of one class" if left_out else ""
            return Backtest(usable, backtest.note + note)
        counts.append(f"{backtest.scheme}: {max(smallest)}")
    raise TooLittleHistoryError(
        "train", f"smallest class in the smallest part by scheme: {', '.join(counts)}",
        f"at least {MIN_CLASS_ROWS} churned and {MIN_CLASS_ROWS} kept users in each of train, calibration and test",
        "load more history, or choose churn.horizon_days nearer to how often users come back",
    )  # fmt: skip


def _smaller_class(churned: Any) -> int:
    positives = int(churned.sum())
    return min(positives, len(churned) - positives)
