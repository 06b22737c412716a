"""Conversion is counted again for the cohorts whose entries, users or completeness changed, and for no others."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

FIRST_DAY = date(2024, 1, 1)
CONVERSION = ("--select", "+agg_funnel_conversion")
REACHED = "select cohort_date, entered, reached from agg_funnel_conversion where step_number = 2 " \
    "and segment_type = 'all' order by 1"  # fmt: skip


def test_cohorts_whose_entries_changed_are_counted_again(lake: Any, warehouse: Any) -> None:
    lake.set_funnel("purchase", 86_400, [["product_viewed"], ["cart_added"]])
    lake.add_batch("events", [_event("u1", day, "product_viewed") for day in (0, 4, 8)])
    lake.add_batch("events", [_event("u2", day, "product_viewed") for day in (0, 6)])
    warehouse.run(_day(20), *CONVERSION)
    assert _counted_again(warehouse) == {None}, "all of them"

    # the event falls into the window of one entry; later entries of its user are made again, and are what they were
    lake.add_batch("events", [_event("u1", 4, "cart_added", hour=2)])
    warehouse.run(_day(20), *CONVERSION)
    assert _counted_again(warehouse) == {_day(4)}
    assert warehouse.query(REACHED) == [
        (_day(0), 2, 0),
        (_day(4), 1, 1),
        (_day(6), 1, 0),
        (_day(8), 1, 0),
    ]


def test_cohorts_of_a_user_whose_segment_changed_are_counted_again(lake: Any, warehouse: Any) -> None:
    regions = "select cohort_date, segment_value from agg_funnel_conversion where segment_type = 'region' " \
        "and step_number = 1 order by 1, 2"  # fmt: skip
    lake.set_funnel("purchase", 86_400, [["product_viewed"], ["cart_added"]], segments=["region"])
    lake.add_batch("users", [_user("u1", "north", day=0), _user("u2", "north", day=0)])
    lake.add_batch("events", [_event("u1", day, "product_viewed") for day in (1, 4)])
    lake.add_batch("events", [_event("u2", day, "product_viewed") for day in (4, 8)])
    warehouse.run(_day(20), *CONVERSION)
    lake.add_batch("users", [_user("u2", "south", day=15)])
    warehouse.run(_day(20), *CONVERSION)
    assert _counted_again(warehouse) == {_day(4), _day(8)}
    assert warehouse.query(regions) == [
        (_day(1), "north"),
        (_day(4), "north"),
        (_day(4), "south"),
        (_day(8), "south"),
    ]


def test_a_cohort_becomes_complete_when_two_windows_are_over(lake: Any, warehouse: Any) -> None:
    complete = "select cohort_date, is_complete from agg_funnel_conversion where step_number = 1 and " \
        "segment_type = 'all' order by 1"  # fmt: skip
    lake.set_funnel("purchase", 86_400, [["product_viewed"], ["cart_added"]])
    lake.add_batch("events", [_event("u1", day, "product_viewed") for day in (1, 4)])
    warehouse.run(_day(4), *CONVERSION)
    assert warehouse.query(complete) == [(_day(1), True), (_day(4), False)]
    warehouse.run(_day(5), *CONVERSION)
    assert warehouse.query(complete) == [(_day(1), True), (_day(4), False)]
    warehouse.run(_day(6), *CONVERSION)
    assert _counted_again(warehouse) == {_day(4)}
    assert warehouse.query(complete) == [(_day(1), True), (_day(4), True)]


def _counted_again(warehouse: Any) -> set[date | None]:
    """Return the cohort dates of the latest run of agg_funnel_conversion that counted anything."""
    log = "from pipeline_state.rebuilt_dates where model_name = 'agg_funnel_conversion'"
    found = warehouse.query(f"select business_date {log} and rebuild = (select max(rebuild) {log})")
    return {business_date for (business_date,) in found}


def _day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


def _event(user_id: str, day: int, event_name: str, hour: int = 1) -> dict[str, Any]:
    moment = datetime(2024, 1, 1, hour) + timedelta(days=day)
    return {
        "event_id": f"{user_id}-{day}-{event_name}", "user_id": user_id, "event_time": moment, "event_name": event_name,
    }  # fmt: skip


def _user(user_id: str, region: str, day: int) -> dict[str, Any]:
    moment = datetime(2024, 1, 1) + timedelta(days=day)
    return {"user_id": user_id, "region": region, "registered_at": datetime(2024, 1, 1), "updated_at": moment}
