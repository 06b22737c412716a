"""The level of churn to expect: the season's where it foretold better, else the last known one."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from models_ml.churn.calibrate import Calibrator
from models_ml.churn.levels import Levels, needed_dates, shift_to
from userops.config import ChurnSettings

DAY = date(2024, 9, 1)
CHURN = ChurnSettings(horizon_days=90)


def _levels(rate_of: dict[date, float] | None = None, first: date = date(2022, 6, 1), swing: float = 0.2) -> Levels:
    """Return the rates known at DAY of a shop whose churn swings over the year."""

    def rate(day: date) -> float:
        return 0.4 + swing * np.sin(2 * np.pi * day.timetuple().tm_yday / 365)

    last = DAY - timedelta(days=90)
    rates = {day: rate(day) for day in needed_dates(DAY, CHURN) if first <= day <= last}
    return Levels({**rates, **(rate_of or {})}, 90)


def test_a_season_that_repeats_itself_sets_the_level() -> None:
    levels = _levels()
    assert levels.expected(DAY) == levels.rates[DAY - timedelta(days=364)]


def test_without_a_year_of_history_the_last_level_stays() -> None:
    assert _levels(first=date(2023, 12, 1)).expected(DAY) is None


def test_a_year_that_was_another_world_is_not_believed() -> None:
    days = [day for day in _levels().rates if day < DAY - timedelta(days=364 + 60)]
    assert _levels(dict.fromkeys(days, 0.9), swing=0.02).expected(DAY) is None


def test_a_level_is_never_taken_from_after_the_date() -> None:
    """What is known later changes nothing: rates whose horizon ends after DAY are not looked at."""
    known = _levels()
    future = {DAY - timedelta(days=days): 0.99 for days in range(90)}
    assert Levels({**future, **known.rates}, 90).expected(DAY) == known.expected(DAY)
    early = DAY - timedelta(days=200)
    cut_off = {day: rate for day, rate in known.rates.items() if day + timedelta(days=90) <= early}
    assert known.expected(early) == Levels(cut_off, 90).expected(early)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_the_shift_gives_the_rate_and_keeps_the_ranking(rate: float) -> None:
    calibrator = Calibrator("isotonic", 10, margins=(-4.0, 0.0, 4.0), probabilities=(0.02, 0.4, 0.97))
    margin = np.random.default_rng(1).normal(0.0, 1.5, 2_000)
    probability = calibrator.probability(margin + shift_to(calibrator, margin, rate))
    assert probability.mean() == pytest.approx(rate, abs=1e-3)
    assert np.all(np.diff(probability[np.argsort(margin)]) >= 0)
