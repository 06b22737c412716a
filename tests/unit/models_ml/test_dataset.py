"""Observation dates, the time split, and what is dropped."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_ml.churn.dataset import FEATURE_GROUPS, FEATURES, ObservationPlan, plan_observations, usable_features
from userops.config import ChurnSettings
from userops.errors import TooLittleHistoryError

AS_OF = date(2024, 7, 1)


def _label_window_end(day: date, churn: ChurnSettings) -> date:
    return day + timedelta(days=churn.lead_days + churn.horizon_days)


def test_with_enough_history_there_are_four_origins_each_with_its_own_past() -> None:
    churn = ChurnSettings(horizon_days=30, lead_days=7)
    backtest = plan_observations(AS_OF, date(2023, 1, 1), churn).backtests[0]
    assert backtest.scheme == "dates"
    assert [split.origin for split in backtest.origins] == [
        AS_OF - timedelta(days=37 + 40 * place) for place in (3, 2, 1, 0)
    ]  # a window is counted in whole steps of ten days
    newest = backtest.origins[-1]
    assert len(newest.train.dates) == churn.max_observations
    assert max(newest.train.dates) < newest.calibration.dates[0] < newest.test.dates[0]


@given(
    history=st.integers(1, 900),
    horizon=st.integers(1, 120),
    lead=st.integers(0, 30),
    step=st.none() | st.integers(1, 40),
    observations=st.integers(1, 12),
    origins=st.integers(1, 6),
)
def test_no_label_window_reaches_past_the_next_part(
    history: int, horizon: int, lead: int, step: int | None, observations: int, origins: int
) -> None:
    churn = ChurnSettings(
        horizon_days=horizon, lead_days=lead, observation_step_days=step, max_observations=observations,
        backtest_origins=origins,
    )  # fmt: skip
    first = AS_OF - timedelta(days=history)
    try:
        plan = plan_observations(AS_OF, first, churn)
    except TooLittleHistoryError:
        assert history < lead + 2 * horizon
        return
    assert all(_label_window_end(day, churn) <= AS_OF for day in plan.all_dates)
    assert all(day >= first + timedelta(days=horizon) for day in plan.serving)
    assert len(plan.serving) <= observations
    for backtest in plan.backtests:
        assert len({split.origin for split in backtest.origins}) == len(backtest.origins) <= origins
        for split in backtest.origins:
            later = min(split.test.dates[0], *split.calibration.dates)
            assert split.train.dates
            if split.scheme == "dates":
                assert all(_label_window_end(day, churn) <= split.calibration.dates[0] for day in split.train.dates)
                assert _label_window_end(split.calibration.dates[0], churn) <= split.test.dates[0]
            elif split.scheme == "dates_then_users":
                assert all(_label_window_end(day, churn) <= later for day in split.train.dates)
                assert split.calibration.users[1] <= split.test.users[0]
            else:
                assert split.train.users[1] <= split.calibration.users[0]
                assert split.calibration.users[1] <= split.test.users[0]


def test_schemes_relax_in_a_stated_order() -> None:
    churn = ChurnSettings(horizon_days=30)

    def schemes(days: int) -> list[tuple[str, int]]:
        plan = plan_observations(AS_OF, AS_OF - timedelta(days=days), churn)
        return [(backtest.scheme, len(backtest.origins)) for backtest in plan.backtests]

    assert schemes(400) == [("dates", 4), ("dates_then_users", 1), ("users", 1)]
    assert schemes(130) == [("dates", 2), ("dates_then_users", 1), ("users", 1)]
    assert schemes(119) == [("dates_then_users", 1), ("users", 1)]
    assert schemes(89) == [("users", 1)]
    assert schemes(60) == [("users", 1)]


def test_fewer_origins_than_wanted_are_told() -> None:
    plan = plan_observations(AS_OF, AS_OF - timedelta(days=130), ChurnSettings(horizon_days=30))
    assert "history is too short for the 4 of churn.backtest_origins" in plan.backtests[0].note
    plan = plan_observations(AS_OF, AS_OF - timedelta(days=400), ChurnSettings(horizon_days=30))
    assert "too short" not in plan.backtests[0].note


def test_too_little_history_says_what_is_there_and_what_is_needed() -> None:
    with pytest.raises(TooLittleHistoryError) as caught:
        plan_observations(AS_OF, AS_OF - timedelta(days=59), ChurnSettings(horizon_days=30))
    assert "59 days" in caught.value.found
    assert "60 days" in caught.value.expected
    assert "horizon_days" in caught.value.fix


def test_all_dates_hold_what_measuring_and_serving_need() -> None:
    plan: ObservationPlan = plan_observations(AS_OF, date(2022, 1, 1), ChurnSettings(horizon_days=90))
    needed = set(plan.serving)
    for split in (split for backtest in plan.backtests for split in backtest.origins):
        needed |= set(split.train.dates) | set(split.calibration.dates) | set(split.test.dates)
    assert set(plan.all_dates) == needed
    assert list(plan.all_dates) == sorted(needed)


def test_features_that_say_nothing_are_dropped_with_a_reason() -> None:
    matrix = np.array([[1.0, np.nan, 5.0, np.nan], [2.0, np.nan, 5.0, 3.0]])
    kept, dropped = usable_features(matrix, ["varies", "empty", "same", "sometimes"])
    assert kept == ("varies", "sometimes")
    assert dropped == {"empty": "always null", "same": "always 5"}


def test_each_feature_speaks_for_one_group() -> None:
    assert len(FEATURES) == len(set(FEATURES))
    assert set(FEATURES) == {name for names in FEATURE_GROUPS.values() for name in names}
