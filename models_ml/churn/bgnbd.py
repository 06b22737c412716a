"""BG/NBD: how often a user returns, and whether the user still does at all.

The beta-geometric / negative-binomial model of P. S. Fader, B. G. S. Hardie and K. L. Lee, "'Counting Your Customers'
the Easy Way: An Alternative to the Pareto/NBD Model", Marketing Science 24 (2005), 275-284. A user returns at a rate of
his own (gamma over users: `r`, `alpha`) and after each return leaves for good with a probability of his own (beta over
users: `a`, `b`). What is known of a user is how many returns there were (x), how long after the first day the last one
was (t_x), and how long ago the first day is (T). Time is in days; a return is an active day (or a day with an order)
after the first one, so that ten orders of one afternoon are one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models_ml.churn.dataset import Floats

#: Fewest users, and fewest users with a return, from whom four parameters can be told.
MIN_USERS = 50
#: The likelihood looks at no more distinct histories than this (the most frequent ones come first).
MAX_HISTORIES = 5_000
_BOUND = 12.0


@dataclass(frozen=True)
class BgNbd:
    """Fitted parameters.

    Attributes:
        r, alpha: shape and rate (days) of the gamma distribution of return rates.
        a, b: of the beta distribution of the chance to leave after a return.
    """

    r: float
    alpha: float
    a: float
    b: float

    def probability_alive(self, repeats: Floats, recency: Floats, age: Floats) -> Floats:
        """Return P(still a user at T | x, t_x, T)."""
        return np.asarray(1.0 / (1.0 + self._odds_gone(repeats, recency, age)))

    def expected_returns(self, repeats: Floats, recency: Floats, age: Floats, days: float) -> Floats:
        """Return E(number of returns in the `days` after T | x, t_x, T)."""
        from scipy.special import hyp2f1

        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        span = alpha + age + days
        fading = ((alpha + age) / span) ** (r + repeats)
        series = hyp2f1(r + repeats, b + repeats, a + b + repeats - 1.0, days / span)
        numerator = (a + b + repeats - 1.0) / (a - 1.0) * (1.0 - fading * series)
        expected = numerator / (1.0 + self._odds_gone(repeats, recency, age))
        return np.asarray(np.where(np.isfinite(expected), np.clip(expected, 0.0, days), np.nan))

    def probability_absent(self, repeats: Floats, recency: Floats, age: Floats, days: float) -> Floats:
        """Return P(no return in the `days` after T | x, t_x, T): gone, or still there and not returning.

        The integral of the likelihood with T + days in place of T: exp(-rate * days) is the chance of no return.
        """
        alive = self.probability_alive(repeats, recency, age)
        quiet = ((self.alpha + age) / (self.alpha + age + days)) ** (self.r + repeats)
        return np.asarray(1.0 - alive + alive * quiet)

    def _odds_gone(self, repeats: Floats, recency: Floats, age: Floats) -> Floats:
        log_ratio = (self.r + repeats) * np.log((self.alpha + age) / (self.alpha + recency))
        odds = self.a / (self.b + np.maximum(repeats, 1.0) - 1.0) * np.exp(np.minimum(log_ratio, 500.0))
        return np.asarray(np.where(repeats > 0, odds, 0.0))

    def to_json(self) -> dict[str, float]:
        """Return a JSON-able form."""
        return {"r": self.r, "alpha": self.alpha, "a": self.a, "b": self.b}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> BgNbd:
        """Read what `to_json` gave."""
        return cls(**{name: float(value) for name, value in stored.items()})


def fit_bgnbd(
    repeats: Floats, recency: Floats, age: Floats, users: Floats, before: BgNbd | None = None
) -> BgNbd | None:
    """Fit by maximum likelihood; None where there are too few users or the search fails.

    Args:
        repeats, recency, age: one entry per distinct history: x, t_x, T (days).
        users: how many users have that history.
        before: where the search starts, for instance the model of an earlier date.
    """
    from scipy.optimize import minimize

    total = float(users.sum())
    if total < MIN_USERS or float(users[repeats > 0].sum()) < MIN_USERS:
        return None
    if len(users) > MAX_HISTORIES:
        # Thinned by even steps through the sorted histories, weights kept: the shape of the likelihood stays.
        order = np.lexsort((recency, repeats, age))
        chosen = order[np.linspace(0, len(order) - 1, MAX_HISTORIES).astype(np.int64)]
        repeats, recency, age, users = repeats[chosen], recency[chosen], age[chosen], users[chosen]
        total = float(users.sum())
    # In units of the mean age all four parameters are of the order of one.
    unit = max(float((age * users).sum() / total), 1.0)
    scaled_recency, scaled_age = recency / unit, age / unit

    def loss(logs: Floats) -> float:
        r, alpha, a, b = np.exp(np.clip(logs, -_BOUND, _BOUND))
        each = log_likelihood(r, alpha, a, b, repeats, scaled_recency, scaled_age)
        # A whisper of a prior keeps parameters that the data say nothing about from running to infinity.
        return float(-(each * users).sum() / total + 1e-4 * float((logs**2).sum()))

    start = np.zeros(4) if before is None else np.log([before.r, before.alpha / unit, before.a, before.b])
    best = minimize(loss, np.clip(start, -_BOUND, _BOUND), method="L-BFGS-B", bounds=[(-_BOUND, _BOUND)] * 4)
    if not np.all(np.isfinite(best.x)):
        return None
    r, alpha, a, b = (float(f"{value:.8g}") for value in np.exp(best.x) * np.array([1.0, unit, 1.0, 1.0]))
    return BgNbd(r, alpha, a, b)


def log_likelihood(r: float, alpha: float, a: float, b: float, repeats: Floats, recency: Floats, age: Floats) -> Floats:
    """Return the log likelihood of each history.

    Equation 6 of the paper, in logarithms; the second term only exists for users who have returned.
    """
    from scipy.special import betaln, gammaln

    start = gammaln(r + repeats) - gammaln(r) + r * np.log(alpha)
    staying = betaln(a, b + repeats) - betaln(a, b) - (r + repeats) * np.log(alpha + age)
    past = np.maximum(repeats, 1.0)
    leaving = betaln(a + 1.0, b + past - 1.0) - betaln(a, b) - (r + repeats) * np.log(alpha + recency)
    return np.asarray(start + np.where(repeats > 0, np.logaddexp(staying, leaving), staying))
