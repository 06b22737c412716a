"""Reasons: only what is true of the user, in words, strongest first."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_ml.churn.dataset import FEATURE_GROUPS, FEATURES, Observations
from models_ml.churn.explain import MIN_CONTRIBUTION, Reasons, explain, reason_codes

ACTIONS = Path(__file__).resolve().parents[3] / "dbt_project" / "seeds" / "churn_actions.csv"


def _users(*users: dict[str, float]) -> Observations:
    """Return one observation per dict, of users with events; other features not named are NaN."""
    matrix = np.array([[{"event_days_total": 5, **user}.get(name, np.nan) for name in FEATURES] for user in users])
    count = len(users)
    return Observations(
        FEATURES, np.array([f"u{i}" for i in range(count)], dtype=object),
        np.full(count, np.datetime64(date(2024, 5, 1))), matrix, np.zeros(count, dtype=bool), np.zeros(count),
    )  # fmt: skip


def _explain(user: dict[str, float], model_features: tuple[str, ...] = FEATURES, **raised: float) -> Reasons:
    """Explain one user whose named features raise the risk by so much."""
    contributions = np.array([[raised.get(name, 0.0) for name in model_features]])
    return explain(_users(user), contributions, model_features, "CNY")


def test_silence_beyond_the_own_rhythm_is_told_with_the_users_numbers() -> None:
    reasons = _explain({"active_days_total": 9, "usual_gap_days": 4.2, "days_silent": 21}, silence_ratio=0.8)
    assert reasons.codes[0].tolist() == ["silent_beyond_rhythm", None, None]
    assert reasons.en[0, 0] == "Usually active every 4 days, silent for 21 days."
    assert reasons.zh[0, 0] == "平均每 4 天活跃一次，已沉默 21 天。"
    assert reasons.contributions[0, 0] == pytest.approx(0.8)


def test_one_day_reads_like_one_day() -> None:
    reasons = _explain({"active_days_total": 9, "usual_gap_days": 1.2, "days_silent": 8}, days_silent=0.8)
    assert reasons.en[0, 0] == "Usually active every day, silent for 8 days."
    assert reasons.zh[0, 0] == "平均每天活跃一次，已沉默 8 天。"
    reasons = _explain({"active_days_30": 1, "active_days_prev_30": 4}, active_days_30=0.3)
    assert reasons.en[0, 0] == "Active on 1 day in the last 30 days, on 4 in the 30 days before."


def test_a_rise_is_never_told_as_a_fall() -> None:
    rising = {"orders_90": 5, "orders_prev_90": 2, "orders_total": 12, "orders_180": 7, "tenure_days": 400}
    reasons = _explain(rising, orders_90=0.9)
    assert reasons.codes[0].tolist() == [None, None, None]


def test_a_difference_that_rounds_away_is_not_told() -> None:
    user = {"net_revenue_90": 99.6, "net_revenue_prev_90": 100.4, "orders_total": 0}
    assert _explain(user, net_revenue_90=0.9).codes[0, 0] is None


def test_what_lowers_the_risk_is_no_reason() -> None:
    user = {"active_days_total": 9, "usual_gap_days": 4, "days_silent": 21}
    assert _explain(user, silence_ratio=-0.8).codes[0].tolist() == ["no_single_cause", None, None]
    assert _explain(user, silence_ratio=MIN_CONTRIBUTION / 2).codes[0, 0] == "no_single_cause"


def test_a_user_without_a_strong_reason_still_gets_the_bare_facts() -> None:
    reasons = _explain({"active_days_total": 1, "days_silent": 3})
    assert reasons.en[0].tolist() == ["No single cause: days since last active 3, active on 1 day in all.", None, None]
    assert reasons.zh[0, 0] == "没有单一突出原因：距上次活跃 3 天，累计活跃 1 天。"
    assert np.isnan(reasons.contributions[0]).all()


def test_the_strongest_three_groups_come_first_in_order() -> None:
    user = {
        "active_days_total": 9, "usual_gap_days": 4, "days_silent": 21, "orders_90": 0, "orders_prev_90": 3,
        "net_revenue_90": 0, "net_revenue_prev_90": 480, "refund_share_180": 0.4,
    }  # fmt: skip
    reasons = _explain(
        user, days_silent=0.2, silence_ratio=0.2, orders_90=0.3, net_revenue_90=0.5, refund_share_180=0.1
    )
    assert reasons.codes[0].tolist() == ["spending_down", "silent_beyond_rhythm", "fewer_orders"]
    assert reasons.en[0, 0] == "Spent CNY 0 in the last 90 days, CNY 480 in the 90 days before."
    assert reasons.contributions[0].tolist() == pytest.approx([0.5, 0.4, 0.3])


def test_where_there_are_only_orders_silence_is_told_once_as_orders() -> None:
    user = {
        "active_days_total": 5, "usual_gap_days": 12, "days_silent": 31,
        "order_days_total": 5, "usual_order_gap_days": 12, "days_since_last_order": 31, "event_days_total": 0,
    }  # fmt: skip
    reasons = _explain(user, silence_ratio=0.5, order_silence_ratio=0.4)
    assert reasons.codes[0].tolist() == ["order_overdue", None, None]
    assert reasons.en[0, 0] == "Usually orders every 12 days, last order 31 days ago."
    assert reasons.contributions[0, 0] == pytest.approx(0.9)


def test_a_baseline_speaks_of_visits_where_there_are_visits() -> None:
    user = {"active_days_total": 9, "usual_gap_days": 4, "days_silent": 21, "days_since_last_order": 50}
    assert _explain(user, ("days_silent",), days_silent=0.5).codes[0].tolist() == ["silent_beyond_rhythm", None, None]


def test_a_batch_gives_each_user_the_own_numbers() -> None:
    users = _users(*({"days_silent": 7 + n % 50, "active_days_total": 1} for n in range(500)))
    contributions = np.zeros((500, len(FEATURES)))
    contributions[:, FEATURES.index("days_silent")] = 1.0
    texts = explain(users, contributions, FEATURES, "CNY").en[:, 0]
    assert texts.tolist() == [f"No activity for {7 + n % 50} days." for n in range(500)]


_COUNTS = st.one_of(st.just(float("nan")), st.integers(0, 400).map(float))
_FALLS = {
    "fewer_orders": ("orders_90", "orders_prev_90"),
    "fewer_visits": ("sessions_30", "sessions_prev_30"),
    "shallower_visits": ("page_views_30", "page_views_prev_30"),
    "spending_down": ("net_revenue_90", "net_revenue_prev_90"),
    "fewer_interactions": ("interactions_30", "interactions_prev_30"),
    "silent_beyond_rhythm": ("usual_gap_days", "days_silent"),
    "order_overdue": ("usual_order_gap_days", "days_since_last_order"),
}


@settings(max_examples=150, deadline=None)
@given(st.lists(_COUNTS, min_size=len(FEATURES), max_size=len(FEATURES)), st.randoms(use_true_random=False))
def test_no_sentence_contradicts_the_users_numbers(values: list[float], random: object) -> None:
    user = dict(zip(FEATURES, values, strict=True))
    raised = {names[0]: random.random() for names in FEATURE_GROUPS.values()}  # type: ignore[attr-defined]
    reasons = _explain(user, **raised)
    told = [code for code in reasons.codes[0] if code]
    assert len(told) == len(set(told))
    for code, text in zip(reasons.codes[0], reasons.en[0], strict=True):
        if code is None:
            assert text is None
            continue
        assert "nan" not in text
        if code in _FALLS:
            smaller, larger = _FALLS[code]
            assert user[smaller] < user[larger]
            numbers = [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", text)]
            assert any(number == round(user[larger]) for number in numbers)
    zh_numbers = [re.findall(r"[\d,.]+", text) for text in reasons.zh[0] if text]
    assert all("nan" not in text for text in reasons.zh[0] if text)
    assert len(zh_numbers) == len(told)


def test_missing_numbers_make_no_sentence() -> None:
    observations = _users({})
    contributions = np.ones((1, len(FEATURES)))
    reasons = explain(replace(observations), contributions, FEATURES, "CNY")
    assert reasons.codes[0].tolist() == [None, None, None]


def test_action_rules_name_only_reasons_that_exist() -> None:
    with ACTIONS.open(encoding="utf-8", newline="") as file:
        rules = list(csv.DictReader(file))
    assert {rule["reason_code"] for rule in rules} <= {*reason_codes(), "*"}
    assert any(rule["risk_band"] == rule["value_tier"] == rule["reason_code"] == "*" for rule in rules)
