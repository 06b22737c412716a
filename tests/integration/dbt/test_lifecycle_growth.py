"""Lifecycle, growth and product stage against their definitions, read literally and computed by brute force.

Random lives of many users are one lake. What a day means is worked out here from the rows alone: once per user and day
for stages, once per period as sets of users for growth. The same lake is then delivered in parts, late and out of
order, while the as-of date moves on by one day or several.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pandas as pd

Rows = dict[str, list[dict[str, Any]]]  # rows by entity

# the default instance lives in Asia/Shanghai
FIRST_DAY = date(2024, 1, 1)
DAYS = 150
# short thresholds, so that every stage comes up within the days
LIFECYCLE = {
    "new_days": 4, "mature_active_days": 6, "default_gap_days": 5, "at_risk_factor": 1.5, "at_risk_min_days": 3,
    "churned_after_days": 12, "returned_days": 5,
}  # fmt: skip
STAGES = {"visitor", "new", "growing", "mature", "at_risk", "churned", "returned"}
SEGMENT_TYPES = ("acquisition_channel", "region", "gender")
MARTS = (
    "fct_lifecycle_stages", "agg_lifecycle_daily", "agg_lifecycle_transitions", "agg_growth_accounting",
    "agg_growth_accounting_by_segment", "dim_product_stage",
)  # fmt: skip
BUILD = ("--select", *(f"+{mart}" for mart in MARTS))


@dataclass
class Life:
    """What the rows say about one person."""

    seen: set[date] = field(default_factory=set)
    identified: set[date] = field(default_factory=set)
    active: set[date] = field(default_factory=set)
    paying: set[date] = field(default_factory=set)
    channels: list[tuple[datetime, str]] = field(default_factory=list)
    profile: Mapping[str, Any] = field(default_factory=dict)


def test_stages_growth_and_product_are_what_the_definitions_say(lake: Any, warehouse: Any) -> None:
    world = _world(random.Random(11), users=160)
    for entity, rows in world.items():
        lake.add_batch(entity, rows)
    as_of = _day(DAYS - 10)  # the last ten days have not happened yet
    warehouse.run(as_of, *BUILD, lifecycle=LIFECYCLE)

    lives = _lives(world, as_of)
    stages = {user: _stages(life, as_of) for user, life in lives.items() if life.seen}
    assert {stage for days in stages.values() for stage in days.values()} == STAGES, "the lives show every stage"
    assert sum(user.startswith("anon:") for user in stages) > 10, "some never log in"
    assert _built_intervals(warehouse) == _intervals(stages)
    assert _built_prospects(warehouse) == {user: _prospect(lives[user], stages[user], as_of) for user in stages}
    assert _built_days(warehouse) == _stage_days(stages, as_of)
    assert _built_transitions(warehouse) == _transitions(stages)

    assert _built_growth(warehouse) == _growth(lives, as_of)
    assert _built_product(warehouse) == _product(lives, as_of)


def test_going_on_day_by_day_gives_what_one_full_refresh_gives(lake: Any, warehouse: Any) -> None:
    """Single days, days without a run, late rows, a profile that changes: after each run everything is right."""
    rng = random.Random(12)
    world = _world(rng, users=60)
    runs = [_day(60), _day(61), _day(75), _day(110)]
    delivered: Rows = defaultdict(list)
    for as_of, piece in zip(runs, _deliveries(rng, world, runs), strict=True):
        for entity, rows in piece.items():
            lake.add_batch(entity, rows, as_of=as_of)
            delivered[entity] += rows
        warehouse.run(as_of, *BUILD, lifecycle=LIFECYCLE)
        lives = _lives(delivered, as_of)
        stages = {user: _stages(life, as_of) for user, life in lives.items() if life.seen}
        assert _built_intervals(warehouse) == _intervals(stages), as_of
        assert _built_growth(warehouse) == _growth(lives, as_of), as_of
    everyone = warehouse.query(
        "select model_name, count(*) from pipeline_state.user_rebuilds where is_everyone group by all"
    )
    once = dict.fromkeys(("int_user_activity", "int_user_rhythm", "int_user_periods", "fct_lifecycle_stages"), 1)
    assert {**dict(everyone), **once} == dict(everyone), "only the first run builds everyone, else nothing is shown"

    step_by_step = warehouse.tables()
    warehouse.reset()
    warehouse.run(runs[-1], *BUILD, lifecycle=LIFECYCLE)
    at_once = warehouse.tables()
    assert [name for name in at_once if at_once[name] != step_by_step[name]] == []


def test_silence_moves_those_who_are_due_and_nobody_else(lake: Any, warehouse: Any) -> None:
    """No row comes in: `due` and `today` cross a threshold by the second run, `later` does not, `lost` never will."""
    stages_only = ("--select", "+fct_lifecycle_stages")
    events = [
        _event("e1", _day(20), "due"),
        _event("e2", _day(22), "later"),
        _event("e3", _day(1), "lost"),
        _event("e4", _day(24), "today"),
    ]
    lake.add_batch("events", events)
    warehouse.run(_day(27), *stages_only, lifecycle=LIFECYCLE)
    current = (
        "select user_id, stage, next_change_date, next_stage from fct_lifecycle_stages where is_current order by 1"
    )
    assert warehouse.query(current) == [
        ("due", "growing", _day(29), "at_risk"),
        ("later", "growing", _day(31), "at_risk"),
        ("lost", "churned", None, None),
        ("today", "new", _day(28), "growing"),
    ]

    warehouse.run(_day(29), *stages_only, lifecycle=LIFECYCLE)
    assert _rebuilt_users(warehouse, "fct_lifecycle_stages") == {"due", "today"}
    assert _rebuilt_users(warehouse, "int_user_rhythm") == set()
    assert warehouse.query(current) == [
        ("due", "at_risk", _day(32), "churned"),
        ("later", "growing", _day(31), "at_risk"),
        ("lost", "churned", None, None),
        ("today", "growing", _day(33), "at_risk"),
    ]

    # an account that was made before the first visit becomes known, and a new one: two lives begin on other dates
    lake.add_batch("users", [_profile("later", _day(21)), _profile("fresh", _day(29))])
    warehouse.run(_day(29), *stages_only, lifecycle=LIFECYCLE)
    assert _rebuilt_users(warehouse, "fct_lifecycle_stages") == {"later", "fresh"}
    first = warehouse.query("select user_id, stage, valid_from from fct_lifecycle_stages where previous_stage is null")
    assert sorted(first)[1:3] == [("fresh", "new", _day(29)), ("later", "new", _day(21))]


# the definitions


def _stages(life: Life, last: date) -> dict[date, str]:
    """The stage on every day of a life up to `last`."""
    return {day: _stage(life, day) for day in _span(min(life.seen), last)}


def _stage(life: Life, day: date) -> str:
    """The first rule of the lifecycle that matches, from what is known on that day."""
    known = [other for other in life.identified if other <= day]
    if not known:
        return "visitor"
    identified = min(known)
    active = sorted(other for other in life.active if other <= day)
    gaps = [(later - earlier).days for earlier, later in pairwise(active)]
    new_until = max(active[0], identified) if active else identified
    new_until += timedelta(days=LIFECYCLE["new_days"])
    if day < new_until:
        return "new"
    silence = (day - (active[-1] if active else identified)).days
    if silence >= LIFECYCLE["churned_after_days"]:
        return "churned"
    if silence > _patience(gaps):
        return "at_risk"
    if not active:
        return "new"
    comebacks = [
        later for later, gap in zip(active[1:], gaps, strict=True) if gap > LIFECYCLE["churned_after_days"]
    ]  # fmt: skip
    if comebacks and comebacks[-1] > new_until and (day - comebacks[-1]).days < LIFECYCLE["returned_days"]:
        return "returned"
    return "growing" if len(active) < LIFECYCLE["mature_active_days"] else "mature"


def _patience(gaps: Sequence[int]) -> int:
    """Silence, in days, beyond which a user with these gaps between active days is at risk."""
    usual = [gap for gap in gaps if gap <= LIFECYCLE["churned_after_days"]]
    total, number = (sum(usual), len(usual)) if len(usual) >= 2 else (LIFECYCLE["default_gap_days"], 1)
    days = math.ceil(total * LIFECYCLE["at_risk_factor"] / number)
    return min(max(days, int(LIFECYCLE["at_risk_min_days"])), int(LIFECYCLE["churned_after_days"]) - 1)


def _intervals(stages: Mapping[str, Mapping[date, str]]) -> list[tuple[Any, ...]]:
    """Runs of equal stages: (user, stage, stage before, first day, first day after it)."""
    found: list[tuple[Any, ...]] = []
    for user, days in stages.items():
        starts = [day for day in days if days[day] != days.get(day - timedelta(days=1))]
        for start, end in zip(starts, [*starts[1:], None], strict=True):
            found.append((user, days[start], days.get(start - timedelta(days=1)), start, end))
    return sorted(found, key=lambda row: (row[0], row[3]))


def _prospect(life: Life, days: Mapping[date, str], as_of: date) -> tuple[date | None, str | None]:
    """When the stage changes and to what, if the user does nothing any more; half a year ahead is far enough."""
    past = Life(life.seen, life.identified, {day for day in life.active if day <= as_of})
    for ahead in _span(as_of + timedelta(days=1), as_of + timedelta(days=180)):
        if (stage := _stage(past, ahead)) != days[as_of]:
            return ahead, stage
    return None, None


def _stage_days(stages: Mapping[str, Mapping[date, str]], as_of: date) -> dict[tuple[date, str], tuple[int, int, int]]:
    """(users, entered, left) per date and stage."""
    users: Counter[tuple[date, str]] = Counter()
    entered: Counter[tuple[date, str]] = Counter()
    left: Counter[tuple[date, str]] = Counter()
    for days in stages.values():
        for day, stage in days.items():
            before = days.get(day - timedelta(days=1))
            users[day, stage] += 1
            entered[day, stage] += before != stage
            if before not in (None, stage):
                left[day, str(before)] += 1
    first = min(min(days) for days in stages.values())
    keys = [(day, stage) for day in _span(first, as_of) for stage in STAGES]
    return {key: (users[key], entered[key], left[key]) for key in keys}


def _transitions(stages: Mapping[str, Mapping[date, str]]) -> dict[tuple[date, str, str], int]:
    return dict(Counter((start, before or "none", stage) for _, stage, before, start, _ in _intervals(stages)))


def _growth(lives: Mapping[str, Life], as_of: date) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Growth accounting of everybody and of each segment, each period by comparing sets of users."""
    rows = [
        {"user": user, "day": day, **_segments(life)} for user, life in lives.items() for day in life.active
    ]  # fmt: skip
    log = pd.DataFrame(rows).assign(all="all")
    first_day = min(log["day"])
    accounts: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for grain, frequency in (("day", "D"), ("week", "W-SUN"), ("month", "M")):
        log["period"] = pd.PeriodIndex(pd.to_datetime(log["day"]), freq=frequency)
        calendar = pd.period_range(first_day, as_of, freq=frequency)
        for segment_type in ("all", *SEGMENT_TYPES):
            for value, part in log.groupby(segment_type):
                active = {period: set(users) for period, users in part.groupby("period")["user"]}
                ever: set[str] = set()
                before: set[str] = set()
                for period in calendar[calendar >= min(active)]:
                    now = active.get(period, set())
                    new, stayed, gone = now - ever, now & before, before - now
                    back = now - new - stayed
                    accounts[segment_type, value, grain, period.start_time.date()] = (
                        len(new), len(stayed), len(back), len(gone), len(now), period.end_time.date() <= as_of,
                        len(stayed) / len(before) if before else None,
                        (len(new) + len(back)) / len(gone) if gone else None,
                    )  # fmt: skip
                    ever, before = ever | now, now
    return accounts


def _segments(life: Life) -> dict[str, str]:
    first_channel = min(life.channels)[1] if life.channels else None
    return {
        "acquisition_channel": life.profile.get("acquisition_channel") or first_channel or "unknown",
        "region": life.profile.get("region") or "unknown",
        "gender": life.profile.get("gender") or "unknown",
    }


def _product(lives: Mapping[str, Life], as_of: date) -> dict[date, tuple[Any, ...]]:
    """(MAU, new users activated, paying users, dormant when the month began, of these back) per month."""
    months: dict[date, tuple[Any, ...]] = {}
    first_day = min(day for life in lives.values() for day in life.active)
    for start in sorted({day.replace(day=1) for day in _span(first_day, as_of)}):
        counts = [0, 0, 0, 0, 0]
        for life in lives.values():
            active = {day for day in life.active if day.replace(day=1) == start}
            earlier = {day.replace(day=1) for day in life.active if day < start}
            dormant = bool(earlier) and (start - timedelta(days=1)).replace(day=1) not in earlier
            counts[0] += bool(active)
            counts[1] += len(active) >= 2 and not earlier
            counts[2] += any(day.replace(day=1) == start for day in life.paying)
            counts[3] += dormant
            counts[4] += dormant and bool(active)
        months[start] = tuple(counts)
    return months


# what the rows say


def _lives(world: Rows, as_of: date) -> dict[str, Life]:
    """Everybody's life as known at the end of `as_of`; a device belongs to the user who logged in on it."""
    events = [row for row in world["events"] if _local(row["event_time"]) <= as_of]
    owners = {row["anonymous_id"]: row["user_id"] for row in events if row["user_id"] and row["anonymous_id"]}
    lives: dict[str, Life] = defaultdict(Life)
    for row in events:
        user = row["user_id"] or owners.get(row["anonymous_id"], f"anon:{row['anonymous_id']}")
        life, day = lives[user], _local(row["event_time"])
        life.seen.add(day)
        if row["user_id"]:
            life.identified.add(day)
        if row["event_name"] != "logged_in":
            life.active.add(day)
        if row["channel"]:
            life.channels.append((row["event_time"], row["channel"]))
    for row in world["orders"]:
        if (day := _local(row["order_time"])) > as_of:
            continue
        life = lives[row["user_id"]]
        life.seen.add(day)
        life.identified.add(day)
        if row["status"] == "paid":
            life.active.add(day)
            life.paying.add(day)
    for row in sorted(world["users"], key=lambda row: row["updated_at"]):
        if _local(row["updated_at"]) <= as_of:
            life, day = lives[row["user_id"]], _local(row["registered_at"])
            life.seen.add(day)
            life.identified.add(day)
            life.profile = row
    return dict(lives)


def _world(rng: random.Random, users: int) -> Rows:
    """Lives of every kind: steady, rare, one visit, coming back after months, never logged in, never active."""
    world: Rows = {"events": [], "orders": [], "users": []}
    for number in range(users):
        user, device = f"u{number}", f"d{number}"
        channel = rng.choice([None, "app", "web"])
        days = sorted(_active_days(rng))
        login = rng.choice([0, 0, 0, 1, 3, 99])  # the visit on which the user logs in; before it, only a device
        for visit, day in enumerate(days):
            for _ in range(rng.choice([1, 1, 2])):
                event = _event(f"e{number}-{len(world['events'])}", _day(day), None, rng.randrange(80_000))
                event |= {"anonymous_id": device, "channel": channel if rng.random() < 0.7 else None}
                event["event_name"] = rng.choice(["product_viewed", "product_viewed", "unlisted", "logged_in"])
                if visit >= login:
                    event["user_id"] = user
                world["events"].append(event)
        if days and login == 99 and rng.random() < 0.5:  # a second device of a user, never linked: a visitor
            world["events"].append({**_event(f"v{number}", _day(days[0]), None), "anonymous_id": f"other{number}"})
        if rng.random() < 0.3:
            world["orders"] += [_order(f"o{number}-{k}", user, _day(rng.randrange(DAYS)), rng) for k in range(3)]
        if rng.random() < 0.4:
            registered = rng.randrange(max(days[0], 1) if days else DAYS)
            for version in range(rng.choice([1, 2])):
                profile = _profile(user, _day(registered), _day(min(registered + 40 * version, DAYS)))
                profile |= {"gender": rng.choice([None, "female", "male"]), "region": rng.choice([None, "x", "y", "z"])}
                world["users"].append({**profile, "acquisition_channel": rng.choice([None, None, "ads"])})
    return world


def _active_days(rng: random.Random) -> set[int]:
    kind = rng.choice(["steady", "steady", "rare", "once", "back", "back", "never"])
    start = rng.randrange(DAYS)
    if kind == "never":
        return set()
    if kind == "once":
        return {start}
    days, day = {start}, start
    for visit in range(rng.randrange(2, 25)):
        away = rng.randrange(13, 60) if kind == "back" and visit % 4 == 3 else 0
        day += away or rng.choice([1, 1, 2, 3] if kind != "rare" else [5, 9, 12, 13])
        days.add(day)
    return {day for day in days if day < DAYS}


def _deliveries(rng: random.Random, world: Rows, runs: Sequence[date]) -> Iterator[Rows]:
    """Each row comes with the first run on or after its date, one of eight with a later one."""
    pieces: list[Rows] = [defaultdict(list) for _ in runs]
    for entity, rows in world.items():
        for row in rows:
            moment = row.get("event_time") or row.get("order_time") or row["updated_at"]
            due = next((number for number, run in enumerate(runs) if _local(moment) <= run), None)
            if due is not None:
                late = rng.randrange(due, len(runs)) if rng.random() < 0.125 else due
                pieces[late][entity].append(row)
    return iter(pieces)


def _event(event_id: str, day: date, user: str | None, seconds: int = 0) -> dict[str, Any]:
    return {
        "event_id": event_id, "event_time": _moment(day, seconds), "event_name": "product_viewed", "user_id": user,
        "anonymous_id": None, "channel": None,
    }  # fmt: skip


def _order(order_id: str, user: str, day: date, rng: random.Random) -> dict[str, Any]:
    return {
        "order_id": order_id, "user_id": user, "order_time": _moment(day, 60), "gross_amount": 10,
        "status": rng.choice(["paid", "paid", "cancelled"]),
    }  # fmt: skip


def _profile(user: str, registered: date, updated: date | None = None) -> dict[str, Any]:
    return {"user_id": user, "registered_at": _moment(registered), "updated_at": _moment(updated or registered)}


def _span(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


def _moment(day: date, seconds: int = 0) -> datetime:
    """UTC time of a local (Asia/Shanghai) day: 00:00 local plus some seconds."""
    return datetime(day.year, day.month, day.day) - timedelta(hours=8) + timedelta(seconds=seconds)


def _local(utc: datetime) -> date:
    return (utc + timedelta(hours=8)).date()


# what was built


def _built_intervals(warehouse: Any) -> list[tuple[Any, ...]]:
    rows = warehouse.query("select user_id, stage, previous_stage, valid_from, valid_to from fct_lifecycle_stages")
    return sorted(rows, key=lambda row: (row[0], row[3]))


def _built_prospects(warehouse: Any) -> dict[str, tuple[date | None, str | None]]:
    rows = warehouse.query("select user_id, next_change_date, next_stage from fct_lifecycle_stages where is_current")
    return {user: (day, stage) for user, day, stage in rows}


def _built_days(warehouse: Any) -> dict[tuple[date, str], tuple[int, int, int]]:
    rows = warehouse.query("select stage_date, stage, users, entered, left_stage from agg_lifecycle_daily")
    return {(day, stage): (users, entered, left) for day, stage, users, entered, left in rows}


def _built_transitions(warehouse: Any) -> dict[tuple[date, str, str], int]:
    rows = warehouse.query("select transition_date, from_stage, to_stage, users from agg_lifecycle_transitions")
    return {(day, before, after): users for day, before, after, users in rows}


def _built_growth(warehouse: Any) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    rows = warehouse.query(
        "select segment_type, segment_value, grain, period_start, new_users, returning_users, resurrecting_users, "
        "dormant_users, active_users, is_complete, retention_rate, quick_ratio from agg_growth_accounting_by_segment"
    )
    return {row[:4]: row[4:] for row in rows}


def _built_product(warehouse: Any) -> dict[date, tuple[Any, ...]]:
    rows = warehouse.query(
        "select month_start, mau, activated_users, paying_users, dormant_before, resurrecting_users "
        "from dim_product_stage"
    )
    return {row[0]: row[1:] for row in rows}


def _rebuilt_users(warehouse: Any, model: str) -> set[str]:
    """Users the model's latest run rebuilt; fails when it rebuilt everyone."""
    last = f"(select max(rebuild) from pipeline_state.user_rebuilds where model_name = '{model}')"
    assert warehouse.query(f"select is_everyone from pipeline_state.user_rebuilds where rebuild = {last}") == [(False,)]
    rows = warehouse.query(
        f"select user_id from pipeline_state.rebuilt_users where model_name = '{model}' and rebuild = {last}"
    )
    return {user for (user,) in rows}
