"""Business dates and the instants Airflow speaks of."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from userops.errors import ConfigError

#: Local hour at which the daily run for the day before starts: late enough for the night's exports to have landed.
DAILY_RUN_HOUR = 3


def business_date_of(data_interval_end: datetime, zone: ZoneInfo) -> date:
    """Return the business date of an Airflow data interval: the last local date that is complete at its end.

    Counted from the end, so that the weekly run works for the evening before it, not for a week ago.
    """
    return data_interval_end.astimezone(zone).date() - timedelta(days=1)


def logical_date_for(business_date: date, zone: ZoneInfo) -> datetime:
    """Return an instant for `airflow dags test DAG <instant>` that makes it run for `business_date`.

    A manual run takes the last complete interval before its logical date; noon of the next day is after the daily
    interval for `business_date` has ended and before the next one has. A weekly DAG takes the last week that was
    complete by then.
    """
    return datetime.combine(business_date + timedelta(days=1), time(12), tzinfo=zone)


def yesterday(zone: ZoneInfo) -> date:
    """Return the last complete business date."""
    return datetime.now(zone).date() - timedelta(days=1)


def parse_business_date(text: str) -> date:
    """Parse `YYYY-MM-DD`.

    Raises:
        ConfigError: it is no such date.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError("--as-of", f"`{text}`", "a date as YYYY-MM-DD", "write it like 2026-01-31") from None
