"""Whatever way the data came and the runs went, the warehouse is what one build from scratch gives (invariant 2)."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

World = dict[str, list[dict[str, Any]]]  # rows by entity

# the default instance lives in Asia/Shanghai
DAYS = 30
FIRST_DAY = date(2024, 1, 1)
USERS = ["u1", "u2", "u3", "u4"]
DEVICES = ["phone", "tablet", "laptop", "watch", "tv"]
EVENTS = ["product_viewed", "cart_added", "order_paid", "review_posted", "logged_in", "unlisted"]
# tell of files, not of business: they depend on how the data was split
ABOUT_FILES = {"agg_ingest_reconciliation", "agg_late_data", "int_late_sessions"}
# of the five devices some are used by three users, and some users have three: too many here
IDENTITY = {"max_users_per_device": 2, "max_devices_per_user": 2, "merge_accounts": False}
# tables that seeds, the configuration and the calendar fill
NOT_FROM_DATA = {
    "churn_actions", "winback_actions", "city_tiers", "rfm_segments", "int_funnel_event_names", "int_tier_dates",
    "dim_settings",
}  # fmt: skip
# enough of the project for tests that look at user days and what comes before them
USER_DAYS = ("--select", "+fct_user_days")
PEOPLE = (*USER_DAYS, "+dim_users")


def test_first_steps_of_a_warehouse_that_has_no_data_at_all(lake: Any, warehouse: Any) -> None:
    lake.set_funnel("purchase", 3600, [["product_viewed"], ["cart_added"]])
    warehouse.run(FIRST_DAY)
    warehouse.run(FIRST_DAY + timedelta(days=1))
    filled = {name for name, rows in warehouse.tables().items() if rows}
    assert filled == NOT_FROM_DATA


@settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # an example takes seconds: a failing one is told, not shrunk
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    seed=st.integers(0, 10**6),
    runs=st.lists(st.integers(5, DAYS), min_size=2, max_size=3),
    merge_accounts=st.booleans(),
)
def test_incremental_runs_give_what_one_full_refresh_gives(
    lake: Any, warehouse: Any, seed: int, runs: list[int], merge_accounts: bool
) -> None:
    """Rows come in any order and more than once, files are taken back, identities and rates are mended on the way."""
    rng = random.Random(seed)
    world = _world(rng)
    pieces = _split(rng, world, len(runs))
    identity = {**IDENTITY, "merge_accounts": merge_accounts}

    lake.reset()
    warehouse.reset()
    _set_funnels(lake)
    mistakes = [lake.add_batch(entity, rows) for entity, rows in _mistaken(rng, world).items()]
    for number, (day, piece) in enumerate(zip(runs, pieces, strict=True), start=1):
        for entity, rows in piece.items():
            lake.add_batch(entity, rows, as_of=_day(day))
        if number == len(runs):
            _set_identities_and_rates(lake)
            for batch in mistakes:
                lake.retire(batch)
        else:
            lake.set_control("exchange_rates", [(_day(3), "USD", 6.5)])
        limits = identity if number == len(runs) else {**identity, "max_users_per_device": 1}
        warehouse.run(_day(day), identity=limits, has_exchange_rates=True)
    step_by_step = warehouse.tables()

    lake.reset()
    warehouse.reset()
    _set_funnels(lake)
    _set_identities_and_rates(lake)
    for entity, rows in world.items():
        lake.add_batch(entity, rows, as_of=_day(runs[-1]))
    warehouse.run(_day(runs[-1]), identity=identity, has_exchange_rates=True)
    at_once = warehouse.tables()

    assert step_by_step["fct_user_days"], "the example must not be empty"
    different = [name for name in at_once if name not in ABOUT_FILES and at_once[name] != step_by_step[name]]
    assert different == []


def test_all_data_tests_and_unit_tests_pass_on_a_messy_world(lake: Any, warehouse: Any) -> None:
    _set_funnels(lake)
    for entity, rows in _world(random.Random(3)).items():
        lake.add_batch(entity, rows)
    warehouse.run(_day(DAYS), command="build")
    counted = warehouse.query(
        "select events.user_id, event_date, count(distinct object_id), count(distinct object_category) "
        "from int_events as events semi join fct_user_days as days "
        "on events.user_id = days.user_id and event_date = activity_date group by all order by all"
    )
    assert counted == warehouse.query(
        "select user_id, activity_date, distinct_objects, distinct_categories from fct_user_days where events > 0 "
        "order by all"
    )


def test_a_device_that_logs_in_later_moves_its_past_and_a_second_run_changes_nothing(lake: Any, warehouse: Any) -> None:
    lake.add_batch("events", [_event("e1", 1, anonymous_id="phone"), _event("e2", 2, anonymous_id="tablet")])
    warehouse.run(_day(5), *PEOPLE)
    assert warehouse.query("select distinct user_id from fct_sessions order by 1") == [
        ("anon:phone",),
        ("anon:tablet",),
    ]

    lake.add_batch("events", [_event("e3", 9, user_id="u1", anonymous_id="phone")])
    warehouse.run(_day(9), *PEOPLE)
    days = "select user_id, activity_date from fct_user_days order by 1, 2"
    assert warehouse.query(days) == [("anon:tablet", _day(2)), ("u1", _day(1)), ("u1", _day(9))]
    assert warehouse.query("select user_id from dim_users order by 1") == [("anon:tablet",), ("u1",)]
    rebuilt = _rebuilt_dates(warehouse, "int_events")
    assert _day(1) in rebuilt, "the date of the anonymous visit is rebuilt"
    assert _day(2) not in rebuilt, "the other device's date is left alone"

    before = warehouse.tables()
    log = warehouse.query("from pipeline_state.rebuilt_dates")
    warehouse.run(_day(9), *PEOPLE)
    assert warehouse.tables() == before
    assert warehouse.query("from pipeline_state.rebuilt_dates") == log, "nothing new, nothing rebuilt"

    # back before the login nobody can know whose phone it is
    warehouse.run(_day(5), *PEOPLE)
    assert warehouse.query(days) == [("anon:phone", _day(1)), ("anon:tablet", _day(2))]


def test_a_days_run_reads_the_touched_dates_only(lake: Any, warehouse: Any) -> None:
    lake.add_batch("events", [_event(f"e{day}", day, user_id="u1") for day in range(20)])
    warehouse.run(_day(19), *USER_DAYS)
    lake.add_batch("events", [_event("late", 3, user_id="u2"), _event("today", 20, user_id="u2")])
    warehouse.run(_day(20), *USER_DAYS)
    for model in ("int_events", "fct_sessions", "fct_user_days"):
        assert _rebuilt_dates(warehouse, model) == {_day(3), _day(20)}, model


def test_an_orders_new_version_rebuilds_the_day_it_left_and_the_day_it_came_to(lake: Any, warehouse: Any) -> None:
    lake.add_batch("orders", [_order("o1", 3, 100, updated=3), _order("o2", 4, 50, updated=4)])
    warehouse.run(_day(10), *USER_DAYS)
    lake.add_batch("orders", [_order("o1", 6, 80, updated=8)])
    warehouse.run(_day(10), *USER_DAYS)
    days = warehouse.query("select activity_date, orders, net_revenue from fct_user_days order by 1")
    assert days == [(_day(4), 1, 50), (_day(6), 1, 80)]
    assert _rebuilt_dates(warehouse, "fct_user_days") == {_day(3), _day(6)}


def test_a_changed_taxonomy_rebuilds_everything(lake: Any, warehouse: Any) -> None:
    lake.add_batch("events", [_event("e1", 1, user_id="u1", event_name="logged_in")])
    warehouse.run(_day(5), *USER_DAYS)
    assert warehouse.query("from fct_user_days") == []
    name, category, _, *rest = lake.control["event_taxonomy"][-1]
    lake.control["event_taxonomy"][-1] = (name, category, True, *rest)
    lake.set_funnel("any", 60, [["logged_in"]])
    warehouse.run(_day(5), *USER_DAYS)
    assert warehouse.query("select user_id, activity_date from fct_user_days") == [("u1", _day(1))]


def test_a_mended_label_rebuilds_nothing(lake: Any, warehouse: Any) -> None:
    lake.add_batch("events", [_event("e1", 1, user_id="u1")])
    warehouse.run(_day(5), *USER_DAYS)
    *meaning, _ = lake.control["event_taxonomy"][0]
    lake.control["event_taxonomy"][0] = (*meaning, "看商品")
    lake.add_batch("events", [_event("e2", 4, user_id="u1")])
    warehouse.run(_day(5), *USER_DAYS)
    for model in ("int_events", "fct_sessions", "fct_user_days"):
        assert _rebuilt_dates(warehouse, model) == {_day(4)}, model


def test_a_model_that_failed_after_its_input_was_rebuilt_catches_up(lake: Any, warehouse: Any) -> None:
    lake.add_batch("events", [_event("e1", 1, anonymous_id="phone")])
    warehouse.run(_day(5), *USER_DAYS)
    lake.add_batch("events", [_event("e2", 4, user_id="u1", anonymous_id="phone")])
    warehouse.run(_day(5), "--select", "+int_events")  # the run dies here
    warehouse.run(_day(5), *USER_DAYS)
    sessions = warehouse.query("select user_id, session_date from fct_sessions order by 2")
    assert sessions == [("u1", _day(1)), ("u1", _day(4))]


def _world(rng: random.Random) -> World:
    """Everything that ever happened: duplicates, equal times, shared devices, order versions, orders without header."""
    events: list[dict[str, Any]] = []
    for number in range(70):
        logged_in = rng.random() < 0.5
        event = _event(
            f"e{number}",
            rng.randrange(DAYS),
            seconds=rng.choice([0, 0, 600, 1800, 3600, 57_600, 57_601]),
            user_id=rng.choice(USERS) if logged_in else None,
            anonymous_id=rng.choice(DEVICES) if rng.random() < 0.8 or not logged_in else None,
            event_name=rng.choice(EVENTS),
            session_id=rng.choice([None, None, "s1", "s2"]),
            channel=rng.choice([None, "app", "web"]),
            device=rng.choice([None, "ios", "pc"]),
            page=rng.choice([None, "/a", "/b"]),
            object_id=rng.choice([None, "p1", "p2", "p3"]),
            object_category=rng.choice([None, "c1", "c2"]),
            value=rng.choice([None, 5]),
            currency=rng.choice([None, None, "USD", "EUR"]),
        )
        events.append(event)
        if rng.random() < 0.2:  # the same event told differently: one of the two must win, always the same
            events.append({**event, "page": f"/{number}", "event_name": rng.choice(EVENTS)})
    orders = [
        _order(
            f"o{rng.randrange(12)}",
            rng.randrange(DAYS),
            rng.choice([0, 10, 10, 25]),
            updated=rng.choice([None, rng.randrange(DAYS)]),
            user_id=rng.choice([*USERS, None]),
            status=rng.choice(["paid", "cancelled", None]),
            discount_amount=rng.choice([None, 2]),
            refund_amount=rng.choice([None, 5]),
            channel=rng.choice([None, "app", "web"]),
            currency=rng.choice([None, None, "USD", "EUR"]),
        )
        for _ in range(20)
    ]
    lines = [
        {
            "line_id": rng.choice([f"l{number}", "1", "2"]),  # ids of their own, or numbers within the order
            "order_id": f"o{rng.randrange(16)}",
            "product_id": rng.choice(["p1", "p2"]),
            "category": rng.choice([None, "c1", "c2"]),
            "quantity": rng.choice([1, 2, -1]),
            "unit_price": rng.choice([3, 4]),
            "user_id": rng.choice(USERS),
            "order_time": rng.choice([None, _moment(rng.randrange(DAYS))]),
            "currency": rng.choice([None, None, "USD"]),
        }
        for number in range(30)
    ]
    users = [
        {
            "user_id": rng.choice(["u1", "u2", "u9"]),
            "registered_at": _moment(rng.randrange(10)),
            "gender": rng.choice([None, "female", "male"]),
            "birth_date": date(1990, 2, 3),
            "updated_at": rng.choice([None, _moment(rng.randrange(DAYS))]),
        }
        for _ in range(6)
    ]
    links = [
        {
            "link_id": f"k{number}",
            "anonymous_id": rng.choice(DEVICES),
            "linked_anonymous_id": rng.choice([*DEVICES, None]),
            "linked_user_id": rng.choice([None, None, None, *USERS]),
            "link_time": rng.choice([None, _moment(rng.randrange(DAYS))]),
        }
        for number in range(5)
    ]
    links = [link for link in links if link["linked_anonymous_id"] or link["linked_user_id"]]
    feedback = [
        {
            "feedback_id": f"f{rng.randrange(4)}",
            "user_id": rng.choice(USERS),
            "feedback_time": _moment(rng.randrange(DAYS)),
            "status": rng.choice(["open", "closed"]),
            "updated_at": rng.choice([None, _moment(rng.randrange(DAYS))]),
        }
        for _ in range(8)
    ]
    touches = [
        {
            "touch_id": f"t{rng.randrange(5)}",
            "campaign_id": "c1",
            "user_id": rng.choice(USERS),
            "touch_time": rng.choice([None, _moment(rng.randrange(3))]),
            "outcome": rng.choice(["sent", "clicked", "bounced", None]),
        }
        for _ in range(12)
    ]
    products = [
        {
            "product_id": rng.choice(["p1", "p3"]),
            "product_name": rng.choice(["tea", "cup"]),
            "unit_price": rng.choice([3, 4]),
            "currency": rng.choice([None, "USD"]),
            "updated_at": rng.choice([None, _moment(rng.randrange(DAYS))]),
        }
        for _ in range(5)
    ]
    return {
        "events": events, "orders": orders, "order_items": lines, "users": users, "identity_links": links,
        "feedback": feedback, "campaign_touches": touches, "products": products,
    }  # fmt: skip


def _mistaken(rng: random.Random, world: World) -> World:
    """Files that will be taken back: half of their rows are in no other file, the others in one that comes later."""
    wrong: World = {
        "events": [_event(f"wrong{number}", 2 + number, user_id="u1", anonymous_id="tv") for number in range(3)],
        "orders": [_order("o1", 4, 999, updated=DAYS), _order("wrong", 2, 7, updated=None)],
        "order_items": [{"line_id": "wrong", "order_id": "o1", "product_id": "p9", "quantity": 1, "unit_price": 1}],
        "users": [{"user_id": "u1", "city": "nowhere", "updated_at": _moment(DAYS)}],
        "identity_links": [{"link_id": "wrong", "anonymous_id": "tv", "linked_user_id": "u4", "link_time": _moment(4)}],
    }
    return {entity: [*rows, *rng.sample(world[entity], min(2, len(world[entity])))] for entity, rows in wrong.items()}


def _split(rng: random.Random, world: World, parts: int) -> list[World]:
    """Deal every row to one of the deliveries, in any order, some of them twice: rows come late, early and again."""
    pieces: list[World] = [{} for _ in range(parts)]
    for entity, rows in world.items():
        shuffled = rng.sample(rows, len(rows))
        for row in shuffled:
            for part in {rng.randrange(parts), rng.randrange(parts)}:
                pieces[part].setdefault(entity, []).append(row)
    return pieces


def _set_identities_and_rates(lake: Any) -> None:
    lake.set_control("identity_unbind", [("phone", "u2"), ("watch", "u3")])
    lake.set_control("exchange_rates", [(_day(3), "USD", 7.0), (_day(12), "USD", 7.25), (_day(9), "EUR", 7.8)])


def _set_funnels(lake: Any) -> None:
    lake.set_funnel("purchase", 2 * 86_400, [["product_viewed"], ["cart_added"], ["order_paid"]])
    lake.set_funnel("again", 5 * 86_400, [["product_viewed"], ["product_viewed", "unlisted"], ["product_viewed"]])


def _rebuilt_dates(warehouse: Any, model: str) -> set[date]:
    """Dates the model's latest run rebuilt."""
    rows = warehouse.query(
        f"""
        select business_date from pipeline_state.rebuilt_dates
        where model_name = '{model}'
        qualify rebuild = max(rebuild) over ()
        """
    )
    return {row[0] for row in rows}


def _day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


def _moment(day: int, seconds: int = 0) -> datetime:
    """UTC time of a local (Asia/Shanghai) day: 00:00 local plus some seconds."""
    return datetime(2023, 12, 31, 16) + timedelta(days=day, seconds=seconds)


def _event(event_id: str, day: int, seconds: int = 0, **columns: Any) -> dict[str, Any]:
    return {"event_id": event_id, "event_time": _moment(day, seconds), "event_name": "product_viewed", **columns}


def _order(order_id: str, day: int, gross: int, updated: int | None, **columns: Any) -> dict[str, Any]:
    moment = None if updated is None else _moment(updated, 60)
    return {
        "order_id": order_id, "user_id": "u1", "order_time": _moment(day), "gross_amount": gross, "updated_at": moment,
        **columns,
    }  # fmt: skip
