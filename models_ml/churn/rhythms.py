"""Features from BG/NBD: is the user still one, and how often will the user come in the horizon.

One model per kind of day: active days, and days with an order where these differ. For training each observation date
has models of its own, fitted on what was known at that date; the served model keeps those of its newest date, so that a
score follows from the artefact and the user's own numbers alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from models_ml.churn.bgnbd import BgNbd, fit_bgnbd
from models_ml.churn.dataset import BGNBD_FEATURES, Floats, Observations

Histories = Mapping[tuple[date, str], Floats]


@dataclass(frozen=True)
class Rhythms:
    """BG/NBD models of one date.

    Attributes:
        active_days, order_days: None where there are too few users or, for orders, no other active days.
        horizon_days: days that expectations look ahead. The lead is left out: who is absent is absent in it as well.
    """

    active_days: BgNbd | None
    order_days: BgNbd | None
    horizon_days: int

    def features(self, observations: Observations) -> Floats:
        """Return the columns BGNBD_FEATURES, NaN where there is no model or no such day."""
        columns = {name: np.full(len(observations), np.nan) for name in BGNBD_FEATURES}
        days = float(self.horizon_days)
        if self.active_days is not None:
            total, silent, tenure = observations.columns(("active_days_total", "days_silent", "tenure_days")).T
            history = (total - 1.0, np.maximum(tenure - silent, 0.0), tenure)
            columns["probability_alive"] = self.active_days.probability_alive(*history)
            columns["expected_active_days"] = self.active_days.expected_returns(*history, days)
            columns["probability_absent"] = self.active_days.probability_absent(*history, days)
        if self.order_days is not None:
            names = ("order_days_total", "days_since_last_order", "days_since_first_order")
            total, silent, tenure = observations.columns(names).T
            buyers = total > 0
            history = (total[buyers] - 1.0, np.maximum(tenure[buyers] - silent[buyers], 0.0), tenure[buyers])
            columns["order_probability_alive"][buyers] = self.order_days.probability_alive(*history)
            columns["expected_order_days"][buyers] = self.order_days.expected_returns(*history, days)
        return np.column_stack([columns[name] for name in BGNBD_FEATURES])

    def add_to(self, observations: Observations) -> Observations:
        """Return the observations with these features, in the place of those of another date where there are some."""
        return observations.with_columns(BGNBD_FEATURES, self.features(observations))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return {
            "active_days": self.active_days and self.active_days.to_json(),
            "order_days": self.order_days and self.order_days.to_json(),
            "horizon_days": self.horizon_days,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Rhythms:
        """Read what `to_json` gave."""
        active, orders = (
            BgNbd.from_json(stored[kind]) if stored[kind] else None for kind in ("active_days", "order_days")
        )
        return cls(active, orders, int(stored["horizon_days"]))


def fit_rhythms(histories: Histories, dates: Sequence[date], horizon_days: int) -> dict[date, Rhythms]:
    """Fit the models of each date on the histories known at that date."""
    found: dict[date, Rhythms] = {}
    before: Rhythms | None = None
    for day in sorted(dates):
        active, orders = histories.get((day, "active_days")), histories.get((day, "order_days"))
        if orders is not None and active is not None and np.array_equal(active, orders):
            orders = None  # orders are all there is: the same model twice
        active_before, orders_before = (before.active_days, before.order_days) if before else (None, None)
        before = Rhythms(_fit(active, active_before), _fit(orders, orders_before), horizon_days)
        found[day] = before
    return found


def _fit(histories: Floats | None, before: BgNbd | None) -> BgNbd | None:
    if histories is None or not len(histories):
        return None
    repeats, recency, age, users = histories.T
    return fit_bgnbd(repeats, recency, age, users, before)


def add_rhythm_features(observations: Observations, rhythms: Mapping[date, Rhythms]) -> Observations:
    """Return the observations with the BG/NBD features of each row's own date."""
    values = np.full((len(observations), len(BGNBD_FEATURES)), np.nan)
    for day, fitted in rhythms.items():
        rows = observations.as_of == np.datetime64(day)
        if rows.any():
            values[rows] = fitted.features(observations.where(rows))
    return observations.with_columns(BGNBD_FEATURES, values)
