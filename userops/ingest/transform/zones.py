"""Local time and UTC as plain additions.

DuckDB asks its calendar library for every single value, which costs more than reading the value. A zone's offset
changes twice a year at most, so the changes of the years most rows come from are looked up once, with DuckDB itself,
and become the arms of a CASE, newest first. Older and newer times still go through the library: the result is the same.

What does not exist or exists twice on a clock, as the library has it: a time inside the hour that is skipped in spring
counts as that much after the change (02:30 is 03:30), a time of the hour that is repeated in autumn as the second one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from userops.sqltext import literal

_FIRST = datetime(2018, 1, 1)
_LAST = datetime(2030, 1, 1)
#: Found changes by zone: they are the same for every connection of this process.
_CHANGES: dict[str, tuple[Change, ...]] = {}


@dataclass(frozen=True)
class Change:
    """From `utc` on the zone is `offset_seconds` ahead of UTC."""

    utc: datetime
    offset_seconds: int


def local_time(connection: duckdb.DuckDBPyConnection, utc: str, zone: str) -> str:
    """Return SQL of the local time of naive UTC column `utc`."""
    if zone == "UTC":
        return utc
    arms = [(change.utc, change.offset_seconds) for change in _changes(connection, zone)]
    return _by_offset(utc, arms, f"timezone({literal(zone)}, timezone('UTC', {utc}))")


def utc_time(connection: duckdb.DuckDBPyConnection, local: str, zone: str) -> str:
    """Return SQL of the naive UTC time of local column `local`."""
    if zone == "UTC":
        return local
    arms = [
        (change.utc + timedelta(seconds=change.offset_seconds), -change.offset_seconds)
        for change in _changes(connection, zone)
    ]
    return _by_offset(local, arms, f"timezone('UTC', timezone({literal(zone)}, {local}))")


def _by_offset(time: str, arms: list[tuple[datetime, int]], otherwise: str) -> str:
    tests = " ".join(
        f"when {time} >= TIMESTAMP '{start}' then {time} + to_seconds({seconds})" for start, seconds in arms
    )
    return f"case when {time} >= TIMESTAMP '{_LAST}' then {otherwise} {tests} else {otherwise} end"


def _changes(connection: duckdb.DuckDBPyConnection, zone: str) -> tuple[Change, ...]:
    """The zone's changes, newest first; the last of them is the offset in force at the beginning of the table."""
    if zone not in _CHANGES:
        days = _changes_between(connection, zone, _FIRST, _LAST, "1 day")
        found = [
            exact
            for day in days
            for exact in _changes_between(connection, zone, day.utc - timedelta(days=1), day.utc, "1 minute")
        ]
        # The library has the local time of the first moment: a local time before it may still follow the arm.
        start = _FIRST + timedelta(days=1)
        _CHANGES[zone] = (*reversed(found), Change(start, _offset(connection, zone, start)))
    return _CHANGES[zone]


def _changes_between(
    connection: duckdb.DuckDBPyConnection, zone: str, first: datetime, last: datetime, step: str
) -> list[Change]:
    rows = connection.execute(
        f"""
        select utc, cast(seconds as bigint)
        from (
            select utc, seconds, lag(seconds) over (order by utc) as seconds_before
            from (
                select utc, epoch(timezone({literal(zone)}, timezone('UTC', utc))) - epoch(utc) as seconds
                from (
                    select unnest(generate_series(TIMESTAMP '{first}', TIMESTAMP '{last}', interval {step})) as utc
                ) as moments
            ) as offsets
        ) as neighbours
        where seconds <> seconds_before
        order by utc
        """
    ).fetchall()
    return [Change(*row) for row in rows]


def _offset(connection: duckdb.DuckDBPyConnection, zone: str, utc: datetime) -> int:
    row = connection.execute(
        f"select cast(epoch(timezone({literal(zone)}, timezone('UTC', TIMESTAMP '{utc}'))) "
        f"- epoch(TIMESTAMP '{utc}') as bigint)"
    ).fetchall()[0]
    return int(row[0])
