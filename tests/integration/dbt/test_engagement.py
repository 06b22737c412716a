"""Daily engagement, paths and referrals against the definitions, computed by brute force, on a random shop."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from tests.integration.dbt import random_shop as shop

PATHS = {"window_days": 20, "step": "event_name", "max_steps": 4, "top_steps": 4}
MARTS = ("agg_engagement_daily", "agg_user_paths", "agg_referrals")
SELECTION = ("--select", *(f"+{mart}" for mart in MARTS))
SEGMENTS = ("all", "acquisition_channel", "channel", "device")


def test_marts_equal_the_definitions_on_every_run_and_a_full_refresh(lake: Any, warehouse: Any) -> None:
    early, late = shop.deliveries(random.Random(5))
    for number, run in enumerate(shop.RUNS):
        if number < 2:
            shop.deliver(lake, (early, late)[number])
        as_of = shop.day(run)
        warehouse.run(as_of, *SELECTION, user_paths=PATHS)
        _check_engagement(warehouse, as_of)
        _check_paths(warehouse, as_of, PATHS)
        _check_referrals(warehouse, as_of)
    step_by_step = warehouse.tables()
    warehouse.run(shop.day(shop.RUNS[-1]), "--full-refresh", *SELECTION, user_paths=PATHS)
    at_once = warehouse.tables()
    assert [name for name in at_once if at_once[name] != step_by_step[name]] == []


def test_paths_over_pages(lake: Any, warehouse: Any) -> None:
    early, _ = shop.deliveries(random.Random(6))
    shop.deliver(lake, early)
    paths = {**PATHS, "step": "page", "top_steps": 2}
    warehouse.run(shop.day(44), "--select", "+agg_user_paths", user_paths=paths)
    _check_paths(warehouse, shop.day(44), paths)


def test_a_day_rebuilds_itself_only(lake: Any, warehouse: Any) -> None:
    early, _ = shop.deliveries(random.Random(5))
    shop.deliver(lake, early)
    select = ("--select", "+int_engagement_sessions", "+int_path_days")
    warehouse.run(shop.day(44), *select)
    template = {**early.events[0], "user_id": "u0", "anonymous_id": None, "event_name": "product_viewed"}
    lake.add_batch("events", [{**template, "event_id": "late", "event_time": shop._moment(41)}])
    lake.add_batch("events", [{**template, "event_id": "today", "event_time": shop._moment(45)}])
    warehouse.run(shop.day(45), *select)
    for model in ("int_engagement_sessions", "int_path_days"):
        assert _rebuilt(warehouse, model) == {shop.day(41), shop.day(45)}


def test_a_channel_told_later_moves_the_past_of_that_user(lake: Any, warehouse: Any) -> None:
    early, _ = shop.deliveries(random.Random(5))
    shop.deliver(lake, early)
    warehouse.run(shop.day(44), "--select", "+agg_engagement_daily")
    days = {row[0] for row in warehouse.query("select activity_date from fct_user_days where user_id = 'u3'")}
    sessions = {row[0] for row in warehouse.query("select session_date from fct_sessions where user_id = 'u3'")}
    lake.add_batch("users", [{"user_id": "u3", "acquisition_channel": "fair", "updated_at": shop._moment(43)}])
    warehouse.run(shop.day(44), "--select", "+agg_engagement_daily")
    assert _rebuilt(warehouse, "int_user_segments") == sessions
    counted = warehouse.query("select activity_date from agg_engagement_daily where segment_value = 'fair' and dau > 0")
    assert {row[0] for row in counted} == days
    _check_engagement(warehouse, shop.day(44))


def _rebuilt(warehouse: Any, model: str) -> set[date]:
    rows = warehouse.query(
        f"""
        select business_date from pipeline_state.rebuilt_dates
        where model_name = '{model}' qualify rebuild = max(rebuild) over ()
        """
    )
    return {row[0] for row in rows}


def _check_engagement(warehouse: Any, as_of: date) -> None:
    channels = dict(warehouse.query("select user_id, coalesce(acquisition_channel, 'unknown') from dim_users"))
    days = _by_segment(
        (user, (channels[user], channel, device), (user, day, *rest))
        for user, channel, device, day, *rest in warehouse.query(
            """
            select
                user_id, coalesce(primary_channel, 'unknown'), coalesce(primary_device, 'unknown'), activity_date,
                contributions > 0, interactions > 0, orders, net_revenue
            from fct_user_days
            """
        )
    )
    sessions = _by_segment(
        (user, (channels[user], channel, device), (user, day, *rest))
        for user, channel, device, day, *rest in warehouse.query(
            """
            select
                user_id, coalesce(channel, 'unknown'), coalesce(device, 'unknown'), session_date, is_bounce,
                duration_seconds, events, page_views
            from fct_sessions
            """
        )
    )
    refunds = _refunds_without_purchase(warehouse, channels)
    first_active: dict[str, date] = {}
    for user, day, *_ in days["all", "all"]:
        first_active[user] = min(day, first_active.get(user, day))
    first_visit: dict[str, date] = {}
    for user, day, *_ in sessions["all", "all"]:
        first_visit[user] = min(day, first_visit.get(user, day))

    expected = []
    for segment in sorted(days.keys() | sessions.keys() | refunds.keys()):
        on_day: dict[date, list[Any]] = defaultdict(list)
        visits: dict[date, list[Any]] = defaultdict(list)
        for row in days[segment]:
            on_day[row[1]].append(row)
        for row in sessions[segment]:
            visits[row[1]].append(row)
        day = min([*on_day, *visits, *refunds[segment]])
        while day <= as_of:
            active = {row[0] for row in on_day[day]}
            visitors = {row[0] for row in visits[day]}
            expected.append(
                (
                    *segment,
                    day,
                    len(active),
                    *(
                        len({row[0] for back in range(window) for row in on_day[day - timedelta(days=back)]})
                        for window in (7, 30)
                    ),
                    sum(first_active[user] == day for user in active),
                    len(visitors),
                    sum(first_visit[user] == day for user in visitors),
                    len(visits[day]),
                    *(sum(row[position] for row in visits[day]) for position in (2, 3, 4, 5)),
                    *(sum(row[position] for row in on_day[day]) for position in (2, 3)),
                    sum(row[4] > 0 for row in on_day[day]),
                    sum(row[4] for row in on_day[day]),
                    sum((row[5] for row in on_day[day]), Decimal(0)) + refunds[segment][day],
                )
            )
            day += timedelta(days=1)
    built = warehouse.query(
        """
        select
            segment_type, segment_value, activity_date, dau, wau, mau, new_users, visitors, new_visitors, sessions,
            bounces, cast(coalesce(round(average_dwell_seconds * sessions), 0) as bigint), events, page_views,
            contributing_users, interacting_users, paying_users, orders, revenue
        from agg_engagement_daily order by all
        """
    )
    assert len(expected) > 500
    assert built == expected


def _by_segment(rows: Iterable[tuple[str, tuple[str, str, str], Any]]) -> dict[tuple[str, str], list[Any]]:
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for _, values, row in rows:
        for kind, value in zip(SEGMENTS, ("all", *values), strict=True):
            found[kind, value].append(row)
    return found


def _refunds_without_purchase(warehouse: Any, channels: dict[str, str]) -> dict[tuple[str, str], dict[date, Decimal]]:
    orders: dict[tuple[str, date], list[Any]] = defaultdict(list)
    for user, day, *rest in warehouse.query(
        "select user_id, order_date, channel, net_amount, is_purchase from fct_orders "
        "where user_id is not null and not is_cancelled order by order_id"
    ):
        orders[user, day].append(rest)
    found: dict[tuple[str, str], dict[date, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for (user, day), group in orders.items():
        if not any(is_purchase for *_, is_purchase in group):
            for channel, amount, _ in group:
                values = ("all", channels[user], channel or "unknown", "unknown")
                for kind, value in zip(SEGMENTS, values, strict=True):
                    found[kind, value][day] += amount
    return found


def _check_paths(warehouse: Any, as_of: date, settings: dict[str, Any]) -> None:
    steps: dict[Any, list[Any]] = defaultdict(list)
    for user, day, source_id, moment, event_id, name, page, is_page_view in warehouse.query(
        """
        select user_id, event_date, source_session_id, event_time, event_id, event_name, page, is_page_view
        from int_events
        """
    ):
        step = name if settings["step"] == "event_name" else page if is_page_view else None
        if as_of - timedelta(days=settings["window_days"]) < day:
            steps[user, day, source_id].append((moment, event_id, step))
    moves: Counter[tuple[int, str, str]] = Counter()
    for user, day, source_id, started, ended, events in warehouse.query(
        "select user_id, session_date, source_session_id, started_at, ended_at, events from fct_sessions"
    ):
        held = sorted(row for row in steps[user, day, source_id] if started <= row[0] <= ended)
        assert len(held) in (0, events), "every event lies in one session"
        path = [step for *_, step in held if step is not None]
        path = [step for position, step in enumerate(path) if position == 0 or path[position - 1] != step]
        for number, (step, following) in enumerate(pairwise([*path, "(end)"]), start=1):
            cut = number == settings["max_steps"] and following != "(end)"
            if number <= settings["max_steps"]:
                moves[number, step, "(more)" if cut else following] += 1
    uses: Counter[str] = Counter()
    for (_, step, _), sessions in moves.items():
        uses[step] += sessions
    shown = {step for step, _ in sorted(uses.items(), key=lambda item: (-item[1], item[0]))[: settings["top_steps"]]}
    assert len(shown) < len(uses), "some steps are folded"
    expected: Counter[tuple[int, str, str]] = Counter()
    for (number, step, following), sessions in moves.items():
        folded = [name if name in shown | {"(end)", "(more)"} else "(other)" for name in (step, following)]
        expected[number, folded[0], folded[1]] += sessions
    built = warehouse.query(
        "select position, from_step, to_step, sessions, share_of_step, share_of_sessions from agg_user_paths"
    )
    assert {row[:3]: row[3] for row in built} == expected
    for number, step, _, sessions, of_step, of_all in built:
        at_step = sum(count for (n, s, _), count in expected.items() if (n, s) == (number, step))
        assert of_step == pytest.approx(sessions / at_step)
        assert of_all == pytest.approx(sessions / sum(count for (n, *_), count in expected.items() if n == 1))


def _check_referrals(warehouse: Any, as_of: date) -> None:
    users = warehouse.query(
        "select user_id, referrer_user_id, first_seen_date, first_active_date, orders from dim_users "
        "where first_seen_date is not null"
    )
    known = {user for (user,) in warehouse.query("select user_id from dim_users where is_identified")}
    active = warehouse.query("select user_id, activity_date from fct_user_days")
    sent = warehouse.query("select user_id, event_date from int_events where event_name = 'invitation_sent'")
    months = sorted({shop.day(number).replace(day=1) for number in range((as_of - shop.FIRST_DAY).days + 1)})
    first_month = min(day for _, _, day, *_ in users).replace(day=1)
    expected = []
    for grain, period in [("month", month) for month in months if month >= first_month] + [("total", first_month)]:

        def inside(day: date, grain: str = grain, period: date = period) -> bool:
            return grain == "total" or day.replace(day=1) == period

        new = [row for row in users if inside(row[2])]
        invited = [row for row in new if row[1] in known and row[1] != row[0]]
        senders = [user for user, day in sent if inside(day)]
        active_users = len({user for user, day in active if inside(day)})
        expected.append(
            (
                grain, period, len(set(senders)), len(senders), len({row[1] for row in invited}), len(invited),
                sum(row[3] is not None for row in invited), sum(row[4] > 0 for row in invited), len(new), active_users,
                len(invited) / active_users,
            )
        )  # fmt: skip
    built = warehouse.query(
        """
        select
            grain, period_start, senders, invitations_sent, inviters, invitees, active_invitees, paying_invitees,
            new_users, active_users, k_factor
        from agg_referrals order by all
        """
    )
    assert built == expected
