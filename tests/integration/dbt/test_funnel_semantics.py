"""The funnel models against the definition, read literally and computed by brute force, on random logs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

START = datetime(2024, 1, 1)
AS_OF = date(2024, 3, 1)
UNIT_SECONDS = 600
USERS = 120

# letters are event names; "AB" is a step that either of two events fulfils
FUNNELS = {
    "plain": (6, ["A", "B", "C", "D"]),
    "short_window": (2, ["A", "B", "C"]),
    "zero_window": (0, ["A", "B"]),
    "long_window": (1000, ["A", "B", "C", "D"]),
    "alternatives": (8, ["A", "BC", "D"]),
    "same_event_twice": (7, ["A", "A", "B"]),
    "overlapping_steps": (7, ["AB", "A", "B", "C"]),
    "one_step": (3, ["A"]),
}


class Event(NamedTuple):
    """One event of one user; time in units, so that equal times are frequent."""

    time: int
    name: str
    event_id: str


def test_progress_of_every_entry_equals_the_definition(lake: Any, warehouse: Any) -> None:
    logs = _random_logs(random.Random(7))
    lake.add_batch("events", [_row(user, event) for user, events in logs.items() for event in events])
    for funnel_id, (window, steps) in FUNNELS.items():
        lake.set_funnel(funnel_id, window * UNIT_SECONDS, steps)
    warehouse.run(AS_OF, "--select", "+fct_funnel_progress")

    built = warehouse.query(
        "select funnel_id, user_id, entry_number, entered_at, max_step from fct_funnel_progress order by all"
    )
    expected = sorted(
        (funnel_id, user, number, START + timedelta(seconds=entry * UNIT_SECONDS), best)
        for funnel_id, (window, steps) in FUNNELS.items()
        for user, events in logs.items()
        for number, (entry, best) in enumerate(_entries(events, steps, window), start=1)
    )
    assert len(expected) > 1000
    assert {row[4] for row in expected} == {1, 2, 3, 4}, "the logs reach every step"
    assert built == expected

    best_rows = warehouse.query("select funnel_id, user_id, max(max_step) from fct_funnel_progress group by all")
    best_of_user = {(funnel_id, user): best for funnel_id, user, best in best_rows}
    for funnel_id, (window, steps) in FUNNELS.items():
        for user, events in logs.items():
            assert best_of_user.get((funnel_id, user), 0) == _window_funnel(events, steps, window), (funnel_id, user)


def test_times_of_the_best_chain_are_in_order_and_inside_the_window(lake: Any, warehouse: Any) -> None:
    logs = _random_logs(random.Random(8))
    lake.add_batch("events", [_row(user, event) for user, events in logs.items() for event in events])
    window, steps = FUNNELS["plain"]
    lake.set_funnel("plain", window * UNIT_SECONDS, steps)
    warehouse.run(AS_OF, "--select", "+fct_funnel_progress")
    rows = warehouse.query(
        "select max_step, step_1_at, step_2_at, step_3_at, step_4_at, step_5_at from fct_funnel_progress"
    )
    assert rows
    for max_step, *times in rows:
        reached = [time for time in times if time is not None]
        assert len(reached) == max_step
        assert times[:max_step] == reached
        assert all(earlier <= later for earlier, later in pairwise(reached))
        assert reached[-1] - reached[0] <= timedelta(seconds=window * UNIT_SECONDS)


def _random_logs(rng: random.Random) -> dict[str, list[Event]]:
    logs = {}
    for user in range(USERS):
        length = rng.randrange(1, 14)
        span = rng.choice([3, 10, 40])
        names = rng.choice(["ABCD", "AABCD", "ABCDE", "AAAAB"])
        logs[f"u{user}"] = [
            Event(rng.randrange(span), rng.choice(names), f"u{user}-{rng.random()}") for _ in range(length)
        ]
    return logs


def _window_funnel(events: Sequence[Event], steps: Sequence[str], window: int) -> int:
    """Longest prefix of steps in any chain of different events within the window: every chain is tried."""
    ordered = _in_order(events, steps)
    starts = [position for position, event in enumerate(ordered) if event.name in steps[0]]
    return max((_longest(ordered, steps, window, start) for start in starts), default=0)


def _longest(ordered: Sequence[Event], steps: Sequence[str], window: int, start: int) -> int:
    deadline = ordered[start].time + window
    best = 1
    chains = [(start, 1)]
    while chains:
        position, reached = chains.pop()
        best = max(best, reached)
        if reached < len(steps):
            chains += [
                (later, reached + 1)
                for later in range(position + 1, len(ordered))
                if ordered[later].name in steps[reached] and ordered[later].time <= deadline
            ]
    return best


def _entries(events: Sequence[Event], steps: Sequence[str], window: int) -> list[tuple[int, int]]:
    """(time of entry, furthest step of the chains that start in its window), one entry after the other."""
    ordered = _in_order(events, steps)
    starts = [position for position, event in enumerate(ordered) if event.name in steps[0]]
    entries: list[tuple[int, int]] = []
    for start in starts:
        time = ordered[start].time
        reached = _longest(ordered, steps, window, start)
        if entries and time <= entries[-1][0] + window:
            entries[-1] = (entries[-1][0], max(entries[-1][1], reached))
        else:
            entries.append((time, reached))
    return entries


def _in_order(events: Sequence[Event], steps: Sequence[str]) -> list[Event]:
    """By time; equal times by the first step an event can fulfil, then by id."""
    useful = [event for event in events if any(event.name in step for step in steps)]
    first_step = {name: next(i for i, step in enumerate(steps) if name in step) for name in {e.name for e in useful}}
    return sorted(useful, key=lambda event: (event.time, first_step[event.name], event.event_id))


def _row(user: str, event: Event) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "user_id": user,
        "event_time": START + timedelta(seconds=event.time * UNIT_SECONDS),
        "event_name": event.name,
    }
