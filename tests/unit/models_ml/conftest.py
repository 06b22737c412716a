"""Made-up observations for the churn tests: a shop whose users leave the likelier the longer they are silent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pytest

from models_ml.churn.dataset import FEATURES, Observations

MakeObservations = Callable[..., Observations]


def made_up(dates: list[date], users: int = 300, seed: int = 1, signal: float = 1.0) -> Observations:
    """Return `users` observations per date; `signal` says how much silence and rhythm tell about churn."""
    generator = np.random.default_rng(seed)
    count = users * len(dates)
    matrix = np.full((count, len(FEATURES)), np.nan)

    def put(name: str, values: np.ndarray) -> np.ndarray:
        matrix[:, FEATURES.index(name)] = values
        return values

    gap = put("usual_gap_days", generator.lognormal(2.0, 0.9, count) + 1)
    silent = put("days_silent", np.floor(generator.exponential(gap)))
    put("silence_ratio", silent / gap)
    put("active_days_total", generator.integers(3, 60, count).astype(float))
    put("active_days_90", generator.integers(1, 30, count).astype(float))
    put("event_days_total", generator.integers(1, 60, count).astype(float))
    orders = put("orders_total", generator.poisson(3, count).astype(float))
    put("net_revenue_total", orders * generator.gamma(2.0, 50.0, count))
    put("tenure_days", generator.integers(10, 400, count).astype(float))
    put("active_days_year_before", generator.integers(0, 9, count).astype(float))
    # Not monotone in recency alone: what counts is silence against the user's own rhythm.
    log_odds = signal * (2.0 * (silent / gap) - 1.5 - 0.2 * orders)
    churned = generator.random(count) < 1 / (1 + np.exp(-log_odds))
    user_ids = np.array([f"u{index % users}" for index in range(count)], dtype=object)
    buckets = generator.random(users)
    return Observations(
        FEATURES,
        user_ids,
        np.repeat(np.array(dates, dtype="datetime64[D]"), users),
        matrix,
        churned,
        np.tile(buckets, len(dates)),
    )


@pytest.fixture
def make_observations() -> MakeObservations:
    return made_up
