"""From margins to probabilities: fitted on later data than the trees, stored as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models_ml.churn.dataset import Bools, Floats

#: Below these a two-parameter sigmoid is steadier than isotonic steps.
ISOTONIC_MIN_ROWS = 2_000
ISOTONIC_MIN_CLASS = 300


@dataclass(frozen=True)
class Calibrator:
    """A rising curve from margin to churn probability.

    Attributes:
        kind: `sigmoid` (slope, intercept) or `isotonic` (straight lines between `margins` and `probabilities`).
        rows: observations it was fitted on.
    """

    kind: str
    rows: int
    slope: float = 1.0
    intercept: float = 0.0
    margins: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()

    def probability(self, margin: Floats) -> Floats:
        """Return the churn probability of each margin, in (0, 1)."""
        if self.kind == "isotonic":
            return np.interp(margin, self.margins, self.probabilities)
        return _sigmoid(self.slope * margin + self.intercept)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        if self.kind == "isotonic":
            return {
                "kind": self.kind, "rows": self.rows, "margins": self.margins, "probabilities": self.probabilities,
            }  # fmt: skip
        return {"kind": self.kind, "rows": self.rows, "slope": self.slope, "intercept": self.intercept}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Calibrator:
        """Read what `to_json` gave."""
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
        return cls(**values)


def fit_calibrator(margin: Floats, churned: Bools) -> Calibrator:
    """Fit isotonic steps joined by straight lines where there are enough rows, else a sigmoid."""
    smaller_class = min(int(churned.sum()), int((~churned).sum()))
    if len(churned) >= ISOTONIC_MIN_ROWS and smaller_class >= ISOTONIC_MIN_CLASS:
        return _fit_isotonic(margin, churned)
    return _fit_sigmoid(margin, churned)


def _fit_isotonic(margin: Floats, churned: Bools) -> Calibrator:
    """Pool adjacent violators, then join the blocks' centres: unlike steps, this keeps the order of users.

    Each block is drawn a little towards the base rate, so that no user gets exactly 0 or 1.
    """
    from sklearn.isotonic import IsotonicRegression

    order = np.argsort(margin, kind="stable")
    sorted_margin, sorted_churned = margin[order], churned[order].astype(np.float64)
    steps = IsotonicRegression(out_of_bounds="clip").fit(sorted_margin, sorted_churned).predict(sorted_margin)
    _, starts = np.unique(steps, return_index=True)
    sizes = np.diff(np.append(starts, len(steps)))
    centers = np.add.reduceat(sorted_margin, starts) / sizes
    rates = (np.add.reduceat(sorted_churned, starts) + sorted_churned.mean()) / (sizes + 1)
    return Calibrator(
        "isotonic",
        len(churned),
        margins=tuple(_rounded(value) for value in centers),
        probabilities=tuple(_rounded(value) for value in np.maximum.accumulate(rates)),
    )


def _fit_sigmoid(margin: Floats, churned: Bools) -> Calibrator:
    """Platt's method with smoothed targets, by Newton steps; the slope is kept from turning the ranking round."""
    positives, negatives = float(churned.sum()), float((~churned).sum())
    target = np.where(churned, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    slope, intercept = 1.0, 0.0
    for _ in range(100):
        probability = _sigmoid(slope * margin + intercept)
        weight = np.maximum(probability * (1 - probability), 1e-9)
        residual = target - probability
        gradient = np.array([(residual * margin).sum(), residual.sum()])
        hessian = np.array(
            [[(weight * margin**2).sum(), (weight * margin).sum()], [(weight * margin).sum(), weight.sum()]]
        )
        # Steps are kept short: from a bad start Newton would leave the region where its parabola is true.
        step = np.clip(np.linalg.solve(hessian + 1e-6 * np.eye(2), gradient), -1.0, 1.0)
        slope, intercept = slope + step[0], intercept + step[1]
        if np.abs(step).max() < 1e-10:
            break
    if not np.isfinite(slope) or slope < 0.05:
        slope = 0.05
        intercept = float(np.log(target.mean() / (1 - target.mean())) - slope * margin.mean())
    return Calibrator("sigmoid", len(churned), _rounded(slope), _rounded(intercept))


def _sigmoid(log_odds: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(log_odds, -35.0, 35.0))))


def _rounded(value: float) -> float:
    return float(f"{value:.10g}")
