"""Retention, repeat purchase and activation against the definitions, computed by brute force, on a random shop."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from datetime import date, timedelta
from statistics import median
from typing import Any

import pytest

from tests.integration.dbt import random_shop as shop

LIMITS = {"day": 9, "week": 4, "month": 2}
RETENTION = {
    "max_days": LIMITS["day"], "max_weeks": LIMITS["week"], "max_months": LIMITS["month"],
    "repeat_purchase_days": [5, 30], "max_purchase_number": 4,
}  # fmt: skip
ACTIVATION = {
    "window_days": 7, "retained_from_day": 8, "retained_to_day": 14, "cohort_days": 45, "min_times": [1, 2, 4],
    "min_users": 3, "interval_z": 1.959964,
}  # fmt: skip
MARTS = ("agg_retention_cohorts", "agg_repeat_purchase", "agg_purchase_numbers", "agg_activation_candidates")
SELECTION = ("--select", *(f"+{mart}" for mart in MARTS))


def test_marts_equal_the_definitions_on_every_run_and_a_full_refresh(lake: Any, warehouse: Any) -> None:
    early, late = shop.deliveries(random.Random(11))
    variables = {"retention": RETENTION, "activation": ACTIVATION}
    for number, run in enumerate(shop.RUNS):
        if number < 2:
            shop.deliver(lake, (early, late)[number])
        as_of = shop.day(run)
        warehouse.run(as_of, *SELECTION, **variables)
        _check_cohorts(warehouse, as_of)
        _check_repeat_purchase(warehouse, as_of)
        _check_activation(warehouse, as_of)
    step_by_step = warehouse.tables()
    warehouse.run(shop.day(shop.RUNS[-1]), "--full-refresh", *SELECTION, **variables)
    at_once = warehouse.tables()
    assert [name for name in at_once if at_once[name] != step_by_step[name]] == []


def test_counts_are_corrected_for_all_that_became_of_the_touched_users_since_the_last_count(
    lake: Any, warehouse: Any
) -> None:
    early, _ = shop.deliveries(random.Random(11))
    shop.deliver(lake, early)
    event = {**early.events[0], "event_name": "product_viewed", "user_id": "known", "anonymous_id": None}
    visit = {**event, "user_id": None, "anonymous_id": "visitor"}
    lake.add_batch("events", [{**visit, "event_id": f"{day}", "event_time": shop._moment(day)} for day in (2, 9, 40)])
    lake.add_batch(
        "events", [{**event, "event_id": f"known-{day}", "event_time": shop._moment(day)} for day in (30, 33)]
    )
    counted, not_counted = (
        ("--select", "+int_retention_returns"),
        ("--select", "+int_user_periods", "+int_user_segments"),
    )
    warehouse.run(shop.day(44), *counted, retention=RETENTION)
    first = warehouse.query("from int_retention_returns order by all")
    lake.add_batch("events", [{**event, "event_id": "today", "event_time": shop._moment(45)}])
    warehouse.run(shop.day(45), *not_counted, retention=RETENTION)
    # an earlier day of the same user comes late, the visitor turns out to be u1, and u2 to have been won elsewhere
    lake.add_batch("events", [{**event, "event_id": "late", "event_time": shop._moment(28)}])
    login = {"event_id": "login", "user_id": "u1", "anonymous_id": "visitor", "event_time": shop._moment(41)}
    lake.add_batch("events", [{**event, **login}])
    lake.add_batch("users", [{"user_id": "u2", "acquisition_channel": "fair", "updated_at": shop._moment(43)}])
    warehouse.run(shop.day(45), *not_counted, retention=RETENTION)
    warehouse.run(shop.day(45), *counted, retention=RETENTION)
    corrected = warehouse.query("from int_retention_returns order by all")
    touched = warehouse.query(
        """
        select user_id from pipeline_state.rebuilt_users
        where model_name = 'int_retention_returns' qualify rebuild = max(rebuild) over ()
        """
    )
    assert {"known", "u1", "u2", "anon:visitor"} <= {user for (user,) in touched}
    assert len(touched) < len(warehouse.query("select distinct user_id from int_user_periods"))
    warehouse.run(shop.day(45), "--full-refresh", "--select", "int_retention_returns", retention=RETENTION)
    assert corrected == warehouse.query("from int_retention_returns order by all") != first


@pytest.mark.parametrize(
    ("first", "second", "interval"),
    [
        # Newcombe (1998), table II, method 10, contrasts (a) and (b)
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
    ],
)
def test_the_interval_here_is_the_published_one(
    first: tuple[int, int], second: tuple[int, int], interval: tuple[float, float]
) -> None:
    assert _newcombe(*first, *second) == pytest.approx(interval, abs=5e-5)


def _check_cohorts(warehouse: Any, as_of: date) -> None:
    channels = dict(
        warehouse.query("select user_id, coalesce(acquisition_channel, 'unknown') from dim_users order by user_id")
    )
    days = warehouse.query("select user_id, activity_date from fct_user_days")
    expected = sorted(
        row
        for grain in LIMITS
        for segment, users in _segments(channels).items()
        for row in _cohorts(grain, segment, [(user, day) for user, day in days if user in users], as_of)
    )
    built = warehouse.query(
        """
        select
            grain, cohort_kind, segment_type, segment_value, cohort_start, period_number, period_start, cohort_users,
            retained_users, retained_unbounded, is_complete
        from agg_retention_cohorts order by all
        """
    )
    assert len(expected) > 1000
    assert built == expected


def _segments(channels: dict[str, str]) -> dict[tuple[str, str], set[str]]:
    segments = {("all", "all"): set(channels)}
    for channel in set(channels.values()):
        segments["acquisition_channel", channel] = {user for user in channels if channels[user] == channel}
    return segments


def _cohorts(grain: str, segment: tuple[str, str], days: list[tuple[str, date]], as_of: date) -> list[tuple[Any, ...]]:
    active: dict[date, set[str]] = defaultdict(set)
    for user, day in days:
        active[_start(grain, day)].add(user)
    first: dict[date, set[str]] = defaultdict(set)
    for period in sorted(active):
        first[period] = active[period] - set().union(*(users for other, users in active.items() if other < period))
    rows = []
    for kind, cohorts in (("first_ever", first), ("recurring", active)):
        for cohort_start, users in cohorts.items():
            for number in range(LIMITS[grain] + 1):
                period = _after(grain, cohort_start, number)
                if users and period <= as_of:
                    later = set().union(*(others for start, others in active.items() if start >= period))
                    complete = _after(grain, period, 1) <= as_of + timedelta(days=1)
                    counts = (len(users), len(users & active.get(period, set())), len(users & later))
                    rows.append((grain, kind, *segment, cohort_start, number, period, *counts, complete))
    return rows


def _start(grain: str, day: date) -> date:
    if grain == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if grain == "week" else day


def _after(grain: str, period: date, number: int) -> date:
    if grain == "month":
        months = period.year * 12 + period.month - 1 + number
        return date(months // 12, months % 12 + 1, 1)
    return period + timedelta(days=number * (7 if grain == "week" else 1))


def _check_repeat_purchase(warehouse: Any, as_of: date) -> None:
    purchases: dict[str, list[date]] = defaultdict(list)
    for user, day in warehouse.query(
        "select user_id, order_date from fct_orders where is_purchase and user_id is not null "
        "order by ordered_at, order_id"
    ):
        purchases[user].append(day)
    expected = []
    for month in {_start("month", dates[0]) for dates in purchases.values()}:
        cohort = [dates for dates in purchases.values() if _start("month", dates[0]) == month]
        gaps = [(dates[1] - dates[0]).days for dates in cohort if len(dates) > 1]
        for horizon in RETENTION["repeat_purchase_days"]:
            within = [gap for gap in gaps if gap <= horizon]
            last_day = _after("month", month, 1) + timedelta(days=horizon - 1)
            middle = median(within) if within else None
            expected.append((month, horizon, len(cohort), len(within), middle, last_day <= as_of))
    built = warehouse.query(
        """
        select cohort_month, horizon_days, buyers, repeat_buyers, median_days_to_second, is_complete
        from agg_repeat_purchase where segment_type = 'all' order by all
        """
    )
    assert built == sorted(expected, key=lambda row: row[:2])

    reached = [sum(len(dates) >= number for dates in purchases.values()) for number in (1, 2, 3, 4)]
    orders = [*reached[:3], sum(max(len(dates) - 3, 0) for dates in purchases.values())]
    assert warehouse.query("select buyers, orders from agg_purchase_numbers order by purchase_number") == list(
        zip(reached, orders, strict=True)
    )


def _check_activation(warehouse: Any, as_of: date) -> None:
    last = as_of - timedelta(days=14)
    first = last - timedelta(days=44)
    newcomers = {
        user: day
        for user, day in warehouse.query("select user_id, first_active_date from dim_users")
        if day is not None and first <= day <= last
    }
    times: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    stayed = set()
    for user, day, orders in warehouse.query("select user_id, activity_date, orders from fct_user_days"):
        age = (day - newcomers[user]).days if user in newcomers else None
        if age is not None and 8 <= age <= 14:
            stayed.add(user)
        if age is not None and age < 7:
            times["active_day", "active day"][user] += 1
            times["order", "purchase"][user] += orders
    for user, day, name in warehouse.query("select user_id, event_date, event_name from int_events"):
        if user in newcomers and 0 <= (day - newcomers[user]).days < 7:
            times["event", name][user] += 1
    expected = []
    for (kind, behaviour), counts in times.items():
        for least in ACTIVATION["min_times"]:
            with_it = {user for user, count in counts.items() if count >= least}
            without = set(newcomers) - with_it
            if min(len(with_it), len(without)) >= ACTIVATION["min_users"]:
                kept = (len(with_it & stayed), len(with_it), len(without & stayed), len(without))
                expected.append((kind, behaviour, least, *kept, *_newcombe(*kept)))
    built = warehouse.query(
        """
        select
            behaviour_kind, behaviour, min_times, retained_with, users_with, retained_without, users_without,
            risk_difference_low, risk_difference_high
        from agg_activation_candidates order by all
        """
    )
    assert len(expected) >= 5
    assert [row[:7] for row in built] == [row[:7] for row in sorted(expected)]
    for row, wanted in zip(built, sorted(expected), strict=True):
        assert row[7:] == pytest.approx(wanted[7:], abs=1e-9)
    ranked = warehouse.query("select lift, reach, score from agg_activation_candidates order by candidate_rank")
    scores = [score for _, _, score in ranked if score is not None]
    assert scores == sorted(scores, reverse=True)
    assert all(score == pytest.approx((lift - 1) * reach) for lift, reach, score in ranked if score is not None)


def _newcombe(part: int, whole: int, other_part: int, other_whole: int) -> tuple[float, float]:
    low, high = _wilson(part, whole)
    other_low, other_high = _wilson(other_part, other_whole)
    share, other = part / whole, other_part / other_whole
    return (
        share - other - math.hypot(share - low, other_high - other),
        share - other + math.hypot(high - share, other - other_low),
    )


def _wilson(part: int, whole: int) -> tuple[float, float]:
    """Both solutions p of |p - part/whole| = z * sqrt(p * (1 - p) / whole)."""
    share, square = part / whole, ACTIVATION["interval_z"] ** 2
    root = math.sqrt((2 * whole * share + square) ** 2 - 4 * (whole + square) * whole * share**2)
    middle = 2 * whole * share + square
    return (middle - root) / (2 * (whole + square)), (middle + root) / (2 * (whole + square))
