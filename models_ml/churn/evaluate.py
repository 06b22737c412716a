"""How good the probabilities are: ranking, sharpness, calibration, and what the list's length catches."""

from __future__ import annotations

from typing import Any

import numpy as np

from models_ml.churn.dataset import Bools, Floats

RELIABILITY_BINS = 10


def metrics(churned: Bools, probability: Floats, list_size: int) -> dict[str, float]:
    """Return the quality of `probability` against what happened; both classes must occur.

    Keys: users, churn_rate, auc, pr_auc, log_loss, brier, calibration_error (expected, ten bins of equal size),
    lift_at_list (churn rate of the `list_size` most at risk over the base rate), lift_at_10pct.
    """
    from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    return {
        "users": float(len(churned)),
        "churn_rate": _rounded(churned.mean()),
        "auc": _rounded(roc_auc_score(churned, probability)),
        "pr_auc": _rounded(average_precision_score(churned, probability)),
        "log_loss": _rounded(log_loss(churned, clipped)),
        "brier": _rounded(brier_score_loss(churned, clipped)),
        "calibration_error": _rounded(calibration_error(churned, probability)),
        "lift_at_list": _rounded(lift(churned, probability, list_size)),
        "lift_at_10pct": _rounded(lift(churned, probability, max(1, len(churned) // 10))),
    }


def reliability(churned: Bools, probability: Floats) -> list[dict[str, Any]]:
    """Return predicted against observed churn in bins of about equal size, lowest risk first."""
    order = np.argsort(probability, kind="stable")
    return [
        {
            "users": len(part),
            "predicted": _rounded(probability[part].mean()),
            "observed": _rounded(churned[part].mean()),
        }
        for part in np.array_split(order, RELIABILITY_BINS)
        if len(part)
    ]


def calibration_error(churned: Bools, probability: Floats) -> float:
    """Return the expected calibration error: mean gap between predicted and observed churn over the bins."""
    bins = reliability(churned, probability)
    return float(sum(b["users"] * abs(b["predicted"] - b["observed"]) for b in bins) / len(churned))


def lift(churned: Bools, probability: Floats, size: int) -> float:
    """Return the churn rate among the `size` users most at risk, over the churn rate of all."""
    top = np.argsort(-probability, kind="stable")[: max(1, size)]
    return float(churned[top].mean() / churned.mean())


def _rounded(value: float) -> float:
    return round(float(value), 6)
