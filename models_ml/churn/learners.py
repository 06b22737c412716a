"""The models: gradient-boosted trees, and logistic regression as baseline and stand-in.

Both give a margin (log-odds before calibration) and additive contributions to it, and are stored as text or JSON:
nothing is ever unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from models_ml.churn.dataset import Bools, Floats

#: Small trees and strong regularisation: steady on a few thousand users, enough for a few hundred thousand.
TREE_PARAMETERS: dict[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.03,
    "num_leaves": 8,
    "min_data_in_leaf": 50,
    "lambda_l2": 10.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "max_bin": 127,
    # The same seed and data give the same model, byte for byte: no choice of the histogram order by stopwatch.
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
#: On less data a second thread mostly waits for the first, and badly so on a busy machine.
ROWS_WORTH_A_SECOND_THREAD = 50_000
MAX_ROUNDS = 500
PATIENCE = 40
MIN_ROUNDS = 10
#: Boosters of one model, alike but for their seed: the mean of a few ranks a little better and steadier than one.
MEMBERS = 3
#: What the regression below the trees sees.
BASE_FEATURES = (
    "days_silent", "active_days_90", "active_days_total", "orders_total", "net_revenue_total", "tenure_days",
    "probability_absent",
)  # fmt: skip
_NEXT_MEMBER = "\n=== next member ===\n"


class Learner(Protocol):
    """A fitted model over named features."""

    @property
    def features(self) -> tuple[str, ...]:
        """Feature names, in the order of the matrix columns."""

    @property
    def kind(self) -> str:
        """`lightgbm` or `logistic`."""

    def margin(self, matrix: Floats) -> Floats:
        """Return log-odds of churn before calibration, one per row; columns as in `features`."""

    def contributions(self, matrix: Floats) -> Floats:
        """Return each feature's addition to the margin against an average user, rows x features."""

    def importance(self) -> dict[str, float]:
        """Return the weight of each feature in the model, largest first."""

    def to_text(self) -> str:
        """Return the model as text that `learner_from_text` reads."""


@dataclass(frozen=True)
class TreeModel:
    """LightGBM on top of a logistic regression, kept as its own text format.

    The trees learn what the straight lines of the regression leave over: with little data they add little, and the
    model is no worse than the regression. The margin is that of the regression and the mean of the members'.
    """

    features: tuple[str, ...]
    members: tuple[str, ...]
    base: LogisticModel

    @property
    def kind(self) -> str:
        return "lightgbm"

    @cached_property
    def _boosters(self) -> tuple[Any, ...]:
        import lightgbm

        return tuple(lightgbm.Booster(model_str=text) for text in self.members)

    @property
    def rounds(self) -> int:
        """Number of trees of each member."""
        return int(self._boosters[0].num_trees())

    def margin(self, matrix: Floats) -> Floats:
        threads = _threads(matrix)
        parts = [booster.predict(matrix, raw_score=True, num_threads=threads) for booster in self._boosters]
        return np.asarray(self.base.margin(matrix[:, self._base_columns]) + sum(parts) / len(parts), dtype=np.float64)

    def contributions(self, matrix: Floats) -> Floats:
        # The last column is the expected value: the average user, no feature's doing.
        threads = _threads(matrix)
        parts = [booster.predict(matrix, pred_contrib=True, num_threads=threads)[:, :-1] for booster in self._boosters]
        total = np.asarray(sum(parts) / len(parts), dtype=np.float64)
        total[:, self._base_columns] += self.base.contributions(matrix[:, self._base_columns])
        return total

    def importance(self) -> dict[str, float]:
        """Return the gains of the trees alone: what they add to the regression."""
        gains = sum(booster.feature_importance(importance_type="gain") for booster in self._boosters)
        total = float(gains.sum()) or 1.0
        return _largest_first({name: float(gain) / total for name, gain in zip(self.features, gains, strict=True)})

    def to_text(self) -> str:
        return _NEXT_MEMBER.join((self.base.to_text(), *self.members))

    @property
    def _base_columns(self) -> list[int]:
        return [self.features.index(name) for name in self.base.features]


@dataclass(frozen=True)
class LogisticModel:
    """Logistic regression on standardised signed logarithms; an unknown value counts as the average."""

    features: tuple[str, ...]
    center: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    @property
    def kind(self) -> str:
        return "logistic"

    def margin(self, matrix: Floats) -> Floats:
        return np.asarray(self.contributions(matrix).sum(axis=1) + self.intercept, dtype=np.float64)

    def contributions(self, matrix: Floats) -> Floats:
        standardised = _standardised(matrix, np.array(self.center), np.array(self.scale))
        return np.asarray(standardised * np.array(self.weights), dtype=np.float64)

    def importance(self) -> dict[str, float]:
        total = sum(abs(weight) for weight in self.weights) or 1.0
        return _largest_first({n: abs(w) / total for n, w in zip(self.features, self.weights, strict=True)})

    def to_text(self) -> str:
        return json.dumps(
            {
                "features": self.features, "center": self.center, "scale": self.scale, "weights": self.weights,
                "intercept": self.intercept,
            },
            indent=1,
        )  # fmt: skip


def learner_from_text(kind: str, features: Sequence[str], text: str) -> Learner:
    """Return the model that `to_text` wrote.

    Raises:
        ValueError: an unknown kind.
    """
    if kind == "lightgbm":
        base, *members = text.split(_NEXT_MEMBER)
        return TreeModel(tuple(features), tuple(members), _logistic_from_text(base))
    if kind == "logistic":
        return _logistic_from_text(text)
    raise ValueError(kind)


def _logistic_from_text(text: str) -> LogisticModel:
    stored = json.loads(text)
    return LogisticModel(
        tuple(stored["features"]), tuple(stored["center"]), tuple(stored["scale"]), tuple(stored["weights"]),
        stored["intercept"],
    )  # fmt: skip


def fit_trees(
    features: Sequence[str],
    matrix: Floats,
    churned: Bools,
    seed: int,
    chosen: Mapping[str, Any] | None = None,
    rounds: int | None = None,
    later: tuple[Floats, Bools] | None = None,
    members: int = 1,
) -> TreeModel:
    """Fit LightGBM on top of a logistic regression on those of BASE_FEATURES that are there.

    Args:
        chosen: parameters that replace those of TREE_PARAMETERS.
        rounds: number of trees; or give `later`.
        later: matrix and labels of a later part: the number of trees is the one with the least log loss there.
        members: boosters with seeds of their own.
    """
    import lightgbm

    parameters: dict[str, Any] = {**TREE_PARAMETERS, **(chosen or {}), "num_threads": _threads(matrix)}
    parameters["min_data_in_leaf"] = min(parameters["min_data_in_leaf"], max(5, len(churned) // 50))

    base_columns = [place for place, name in enumerate(features) if name in BASE_FEATURES]
    base = fit_logistic([features[place] for place in base_columns], matrix[:, base_columns], churned)

    def data() -> Any:  # Feature names go in by position: LightGBM changes names it does not like.
        start = base.margin(matrix[:, base_columns])
        return lightgbm.Dataset(matrix, churned.astype(np.float64), init_score=start, params={"verbosity": -1})

    if later is None:
        count = rounds or MIN_ROUNDS
        boosters = [
            lightgbm.train({**parameters, "seed": seed + place}, data(), num_boost_round=count)
            for place in range(members)
        ]
        return TreeModel(tuple(features), tuple(booster.model_to_string() for booster in boosters), base)
    train = data()
    start_later = base.margin(later[0][:, base_columns])
    check = lightgbm.Dataset(later[0], later[1].astype(np.float64), init_score=start_later, reference=train)
    booster = lightgbm.train(
        {**parameters, "seed": seed, "metric": "binary_logloss"},
        train,
        num_boost_round=MAX_ROUNDS,
        valid_sets=[check],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    best = max(MIN_ROUNDS, booster.best_iteration)
    first = TreeModel(tuple(features), (booster.model_to_string(num_iteration=best),), base)
    if members == 1:
        return first
    others = fit_trees(features, matrix, churned, seed + 1, chosen, rounds=best, members=members - 1)
    return TreeModel(tuple(features), (*first.members, *others.members), base)


def fit_logistic(features: Sequence[str], matrix: Floats, churned: Bools) -> LogisticModel:
    """Fit logistic regression with a mild ridge penalty."""
    from sklearn.linear_model import LogisticRegression

    logged = _signed_log(matrix)
    known = ~np.isnan(logged)
    counts = np.maximum(known.sum(axis=0), 1)
    center = np.where(known, logged, 0.0).sum(axis=0) / counts
    spread = np.sqrt((np.where(known, logged - center, 0.0) ** 2).sum(axis=0) / counts)
    scale = np.where(spread > 0, spread, 1.0)
    fitted = LogisticRegression(C=0.1, max_iter=1000).fit(_standardised(matrix, center, scale), churned)
    return LogisticModel(
        tuple(features), _rounded(center), _rounded(scale), _rounded(fitted.coef_[0]), _rounded(fitted.intercept_)[0]
    )


def _threads(matrix: Floats) -> int:
    return 2 if len(matrix) >= ROWS_WORTH_A_SECOND_THREAD else 1


def _signed_log(matrix: Floats) -> Floats:
    return np.asarray(np.sign(matrix) * np.log1p(np.abs(matrix)))


def _standardised(matrix: Floats, center: Floats, scale: Floats) -> Floats:
    return np.nan_to_num((_signed_log(matrix) - center) / scale, nan=0.0)


def _rounded(values: Floats) -> tuple[float, ...]:
    """Ten significant digits: the last bits of a solver's answer are not worth a new model version."""
    return tuple(float(f"{value:.10g}") for value in values)


def _largest_first(weights: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(weights.items(), key=lambda item: (-item[1], item[0])))
