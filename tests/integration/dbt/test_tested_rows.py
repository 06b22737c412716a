"""Data tests of incremental models look at what was rebuilt since they last passed, and at nothing twice."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pytest

SESSIONS = ("--select", "+fct_sessions", "--exclude-resource-type", "unit_test", "--indirect-selection", "buildable")
ITS_TESTS = ("--select", "fct_sessions,test_type:generic")
REPEAT = "insert into fct_sessions from fct_sessions where session_date = '{day}'"


def test_a_repeated_key_is_found_until_it_is_mended_and_only_among_new_rows(lake: Any, warehouse: Any) -> None:
    lake.add_batch("events", [_event("a", 1), _event("b", 2)])
    warehouse.run(_day(2), *SESSIONS, command="build")
    _change(warehouse, REPEAT.format(day=_day(1)))
    warehouse.run(_day(2), *ITS_TESTS, command="test")  # passed before, and nothing of it was built since

    lake.add_batch("events", [_event("c", 3)])
    warehouse.run(_day(3), *SESSIONS)
    _change(warehouse, REPEAT.format(day=_day(3)))
    for _ in range(2):  # what failed is looked at again, though nothing was built in between
        with pytest.raises(pytest.fail.Exception, match="unique_fct_sessions_session_key: Got 1 result"):
            warehouse.run(_day(3), *ITS_TESTS, command="test")
    _change(warehouse, f"delete from fct_sessions where session_date = '{_day(3)}'")
    warehouse.run(_day(3), *ITS_TESTS, command="test")

    warehouse.run(_day(3), *SESSIONS, "--full-refresh")
    _change(warehouse, REPEAT.format(day=_day(1)))
    with pytest.raises(pytest.fail.Exception, match="unique_fct_sessions_session_key"):
        warehouse.run(_day(3), *ITS_TESTS, command="test")


@pytest.mark.parametrize("change", [
    "insert into int_user_activity from int_user_activity where user_id = 'u1'",
    "update int_user_activity set user_id = null where user_id = 'u1'",
])  # fmt: skip
def test_a_grain_is_broken_by_a_repeated_key_and_by_none(lake: Any, warehouse: Any, change: str) -> None:
    grain = ("--select", "unique_combination_int_user_activity_user_id")
    lake.add_batch("events", [_event("a", 1), {**_event("b", 2), "user_id": "u2"}])
    warehouse.run(_day(2), "--select", "+int_user_activity")
    _change(warehouse, change)
    with pytest.raises(pytest.fail.Exception, match="unique_combination_int_user_activity_user_id: Got 1 result"):
        warehouse.run(_day(2), *grain, command="test")
    _change(warehouse, "delete from int_user_activity where user_id = 'u1' or user_id is null")
    warehouse.run(_day(2), *grain, command="test")


def _change(warehouse: Any, statement: str) -> None:
    with duckdb.connect(str(warehouse.settings.paths.warehouse)) as connection:
        connection.execute(statement)


def _day(number: int) -> date:
    return date(2024, 1, 1) + timedelta(days=number)


def _event(event_id: str, day: int) -> dict[str, Any]:
    moment = datetime(2024, 1, 1, 4) + timedelta(days=day)
    return {"event_id": event_id, "user_id": "u1", "event_time": moment, "event_name": "product_viewed"}
