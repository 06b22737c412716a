"""The level of churn at a date: the share of users that is to be expected to leave, given the season.

A shop's churn swings with the calendar far more than any user's own numbers tell: who bought in August comes back for
Christmas, who bought in December does not come back in January. A curve fitted on the last known month carries that
month's level into the next one. Where the same weeks of the year before foretold the level better than the last known
one did, again and again, the level of the year before is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from models_ml.churn.calibrate import Calibrator
from models_ml.churn.dataset import Floats
from userops.config import ChurnSettings

if TYPE_CHECKING:
    import duckdb

#: 52 weeks: the same weekday a year before.
YEAR = timedelta(days=364)
#: Dates on which both ways are compared, the newest first, this many days apart.
CHECKS, CHECK_STEP_DAYS = 8, 14
MIN_CHECKS = 4
#: The year before is believed when its mean error is below this share of the other's.
CLEARLY_BETTER = 0.75
#: Users that levels are counted from at most, chosen by hash.
SAMPLE_USERS = 20_000
#: Fewest users of a date whose level means something.
MIN_USERS = 100


@dataclass(frozen=True)
class Levels:
    """Observed churn rates by observation date, as far as their horizon has passed.

    Attributes:
        window_days: lead + horizon.
    """

    rates: Mapping[date, float]
    window_days: int

    def expected(self, day: date) -> float | None:
        """Return the churn rate to expect at `day` from what was known then; None: that of the last known date."""
        if not self._known(day - YEAR, day):
            return None
        window = timedelta(days=self.window_days)
        errors = []
        for place in range(CHECKS):
            past = day - window - timedelta(days=place * CHECK_STEP_DAYS)
            if all(self._known(one, day) for one in (past, past - YEAR, past - window)):
                actual = _logit(self.rates[past])
                errors.append(
                    (abs(_logit(self.rates[past - YEAR]) - actual), abs(_logit(self.rates[past - window]) - actual))
                )
        if len(errors) < MIN_CHECKS:
            return None
        by_year, by_last = np.mean(errors, axis=0)
        return self.rates[day - YEAR] if by_year < CLEARLY_BETTER * by_last else None

    def _known(self, past: date, day: date) -> bool:
        return past in self.rates and past + timedelta(days=self.window_days) <= day


def needed_dates(day: date, churn: ChurnSettings) -> set[date]:
    """Return the dates whose rates `Levels.expected(day)` may look at."""
    window = timedelta(days=churn.lead_days + churn.horizon_days)
    dates = {day - YEAR}
    for place in range(CHECKS):
        past = day - window - timedelta(days=place * CHECK_STEP_DAYS)
        dates |= {past, past - YEAR, past - window}
    return dates


def read_levels(
    connection: duckdb.DuckDBPyConnection, days: Sequence[date], first_date: date, as_of: date, churn: ChurnSettings
) -> Levels:
    """Count the churn rates that `Levels.expected` needs at `days`; dates too early or too late are left out."""
    window = churn.lead_days + churn.horizon_days
    earliest, latest = first_date + timedelta(days=churn.horizon_days), as_of - timedelta(days=window)
    wanted = sorted({one for day in days for one in needed_dates(day, churn) if earliest <= one <= latest})
    if not wanted:
        return Levels({}, window)
    listed = ", ".join(f"(date '{day}')" for day in wanted)
    rows = connection.execute(
        f"""
        with chosen as (
            select user_id from fct_user_days where is_identified group by user_id order by md5(user_id), user_id
            limit {SAMPLE_USERS}
        ), active_days as (
            select user_id, activity_date from fct_user_days where user_id in (select user_id from chosen)
        ), dates (as_of_date) as (values {listed}), observed as (
            select distinct as_of_date, user_id from dates, active_days
            where activity_date <= as_of_date and activity_date > as_of_date - {churn.active_window_days}
        ), returned as (
            select distinct as_of_date, user_id from dates, active_days
            where activity_date > as_of_date + {churn.lead_days} and activity_date <= as_of_date + {window}
        )
        select as_of_date, count(*), count(*) filter (returned.user_id is null)
        from observed left join returned using (as_of_date, user_id)
        group by as_of_date order by as_of_date
        """
    ).fetchall()
    return Levels({day: (churned + 0.5) / (users + 1) for day, users, churned in rows if users >= MIN_USERS}, window)


def shift_to(calibrator: Calibrator, margin: Floats, rate: float) -> float:
    """Return what has to be added to all margins so that the mean probability is `rate`; at most 5 either way."""
    low, high = -5.0, 5.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if calibrator.probability(margin + middle).mean() < rate else (low, middle)
    return float(f"{(low + high) / 2:.10g}")


def _logit(rate: float) -> float:
    return float(np.log(rate / (1 - rate)))
