"""Business dates and Airflow's data intervals."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pendulum
import pytest

from userops.business_date import business_date_of, logical_date_for, parse_business_date
from userops.errors import ConfigError

SHANGHAI = ZoneInfo("Asia/Shanghai")


def test_the_business_date_is_the_last_complete_local_date():
    assert business_date_of(datetime(2026, 6, 29, 19, 0, tzinfo=UTC), SHANGHAI) == date(2026, 6, 29)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/Los_Angeles", "Europe/London", "Pacific/Kiritimati"])
@pytest.mark.parametrize("day", [date(2026, 3, 8), date(2026, 3, 29), date(2026, 6, 28), date(2026, 10, 25)])
def test_a_manual_daily_run_works_for_the_date_it_was_asked_for(zone, day):
    from airflow.timetables.interval import CronDataIntervalTimetable

    timetable = CronDataIntervalTimetable("0 3 * * *", timezone=zone)
    logical = pendulum.instance(logical_date_for(day, ZoneInfo(zone)))
    interval = timetable.infer_manual_data_interval(run_after=logical)
    assert business_date_of(interval.end, ZoneInfo(zone)) == day


def test_a_wrong_date_says_how_to_write_it():
    with pytest.raises(ConfigError, match="YYYY-MM-DD"):
        parse_business_date("29.06.2026")
