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


#: Points of a stored curve.
CURVE_POINTS = 101


def curves(churned: Bools, probability: Floats) -> dict[str, list[float]]:
    """Return what ROC, precision-recall, gain and lift are drawn from.

    By share of users contacted, riskiest first (`contacted`): the share of leavers found (`found`), of stayers
    contacted (`disturbed`), and of leavers among the contacted (`precision`).
    """
    order = np.argsort(-probability, kind="stable")
    lost = np.concatenate([[0.0], np.cumsum(churned[order])])
    places = np.unique(np.linspace(0, len(churned), CURVE_POINTS).astype(np.int64))
    total = float(churned.sum())
    contacted = np.where(places == 0, places[1], places)  # of nobody there is no share: the first point stands in
    return {
        "contacted": [_rounded(value) for value in places / len(churned)],
        "found": [_rounded(value) for value in lost[places] / total],
        "disturbed": [_rounded(value) for value in (places - lost[places]) / (len(churned) - total)],
        "precision": [_rounded(value) for value in lost[contacted] / contacted],
    }


def weighted_auc(churned: Bools, score: Floats, weights: Floats) -> float:
    """Return the AUC with weighted users; NaN where a class has no weight. Ties count half."""
    order = np.argsort(score, kind="stable")
    lost, kept = weights[order] * churned[order], weights[order] * ~churned[order]
    _, starts = np.unique(score[order], return_index=True)
    lost, kept = np.add.reduceat(lost, starts), np.add.reduceat(kept, starts)
    total = float(lost.sum()) * float(kept.sum())
    below = np.cumsum(kept) - kept
    return float((lost * (below + kept / 2)).sum() / total) if total > 0 else float("nan")


#: How users are cut into parts for the model card: feature, lower bounds of the parts after the first.
SEGMENTS: dict[str, tuple[float, ...]] = {
    "tenure_days": (30, 90, 180, 365),
    "days_silent": (7, 14, 30, 60),
    "active_days_90": (2, 5, 10, 30),
    "orders_total": (1, 2, 5, 10),
}
_MIN_SEGMENT_USERS = 30


def segment_performance(features: dict[str, Floats], churned: Bools, probability: Floats) -> list[dict[str, Any]]:
    """Return AUC and predicted against observed churn of parts of the users; parts of fewer than 30 are left out."""
    found = []
    for name, bounds in SEGMENTS.items():
        place = np.digitize(features[name], bounds)
        for part in range(len(bounds) + 1):
            rows = place == part
            if rows.sum() < _MIN_SEGMENT_USERS:
                continue
            low = 0 if part == 0 else bounds[part - 1]
            label = f"{low:g}+" if part == len(bounds) else f"{low:g}-{bounds[part] - 1:g}"
            auc = weighted_auc(churned[rows], probability[rows], np.ones(int(rows.sum())))
            found.append(
                {
                    "segment": name,
                    "range": label,
                    "users": int(rows.sum()),
                    "auc": None if np.isnan(auc) else _rounded(auc),
                    "predicted": _rounded(probability[rows].mean()),
                    "observed": _rounded(churned[rows].mean()),
                }
            )
    return found


def _rounded(value: float) -> float:
    return round(float(value), 6)
