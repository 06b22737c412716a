"""The funnel models against the definition, read literally and computed by brute force, on random logs."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import zip_longest
from typing import Any, NamedTuple

START = datetime(2024, 1, 1)
AS_OF = date(2024, 3, 1)
UNIT_SECONDS = 12 * 3600  # logs of some days, so that a late event leaves entries that are over as they are
USERS = 400
MAX_STEPS = 4


class Funnel(NamedTuple):
    """Letters are event names; "AB" is a step that either of two events fulfils. Window in units."""

    window: int
    steps: tuple[str, ...]
    order: str = "ordered"
    exclusions: tuple[tuple[str, int], ...] = ()


FUNNELS = {
    "plain": Funnel(6, ("A", "B", "C", "D")),
    "short_window": Funnel(2, ("A", "B", "C")),
    "zero_window": Funnel(0, ("A", "B")),
    "long_window": Funnel(1000, ("A", "B", "C", "D")),
    "alternatives": Funnel(8, ("A", "BC", "D")),
    "same_event_twice": Funnel(7, ("A", "A", "B")),
    "overlapping_steps": Funnel(7, ("AB", "A", "B", "C")),
    "one_step": Funnel(3, ("A",)),
    "long_shared": Funnel(1000, ("AB", "A", "B", "C")),
    "long_excluded": Funnel(30, ("A", "B", "C", "D"), exclusions=(("X", 2), ("E", 3))),
    "excluded_between": Funnel(9, ("A", "B", "C", "D"), exclusions=(("X", 2),)),
    "excluded_everywhere": Funnel(9, ("A", "B", "C"), exclusions=(("X", 1), ("X", 2), ("D", 1))),
    "strict": Funnel(9, ("A", "B", "C", "D"), "strict"),
    "strict_alternatives": Funnel(5, ("A", "BE", "C"), "strict"),
    "strict_excluded": Funnel(9, ("A", "B", "C"), "strict", (("X", 1), ("E", 2))),
    "strict_long": Funnel(1000, ("A", "B", "C", "D"), "strict", (("X", 1),)),
    "any_long": Funnel(50, ("A", "B", "CE", "D"), "any", (("X", 1), ("X", 2), ("X", 3))),
    "any": Funnel(6, ("A", "B", "C", "D"), "any"),
    "any_alternatives": Funnel(3, ("AE", "B", "C"), "any"),
    "any_excluded": Funnel(9, ("A", "B", "C"), "any", (("X", 1), ("X", 2))),
}


class Event(NamedTuple):
    """One event of one user; time in units, so that equal times are frequent."""

    time: int
    name: str
    event_id: str
    channel: str | None


class Attempt(NamedTuple):
    """Times of the steps an attempt reached, and their numbers in the order they were reached."""

    times: tuple[int, ...]
    steps: tuple[int, ...]


def test_progress_of_every_entry_equals_the_definition(lake: Any, warehouse: Any) -> None:
    """On a first build, after later days, and after a late file and one taken back change a few days long past."""
    logs = random_logs(random.Random(7)) | crowded_logs(random.Random(8))
    late = {event for log in list(logs.values())[::5] for event in log if event.time in (5, 13)}
    known = {user: [event for event in log if event not in late] for user, log in logs.items()}
    wrong = {user: [Event(9, "A", f"wrong-{user}", "app")] for user in list(logs)[::7]}
    set_funnels(lake)

    deliver(lake, _between(known, 0, 12))
    mistake = deliver(lake, wrong)
    warehouse.run(AS_OF, "--select", "+fct_funnel_progress")
    deliver(lake, _between(known, 12, 24))
    warehouse.run(AS_OF, "--select", "+fct_funnel_progress")
    so_far = {user: log + wrong.get(user, []) for user, log in _between(known, 0, 24).items()}
    assert _different_entries(warehouse, so_far) == []

    lake.retire(mistake)
    deliver(lake, {user: [event for event in log if event in late] for user, log in logs.items()})
    deliver(lake, _between(known, 24, 1000))
    warehouse.run(AS_OF, "--select", "+fct_funnel_progress")
    assert _different_entries(warehouse, logs) == []


def test_the_first_fitting_event_is_the_best_to_take() -> None:
    """An attempt takes every step at the first event that fits: no other choice gets further."""
    for events in random_logs(random.Random(9)).values():
        for funnel in FUNNELS.values():
            if funnel.order == "ordered" and not funnel.exclusions:
                ordered = _in_order(events, funnel)
                for start in _starts(ordered, funnel):
                    assert len(_attempt(ordered, funnel, start).times) == _longest(ordered, funnel, start)


def random_logs(rng: random.Random, users: int = USERS) -> dict[str, list[Event]]:
    """Return events by user: short and long logs, crowded and sparse ones, with many equal times."""
    logs = {}
    for user in range(users):
        span = rng.choice([3, 10, 40])
        names = rng.choice(["ABCD", "AABCD", "ABCDE", "AAAAB", "ABCDX", "AABBCCDDX"])
        logs[f"u{user}"] = [
            Event(rng.randrange(span), rng.choice(names), f"u{user}-{number}", rng.choice(["app", "web", None]))
            for number in range(rng.randrange(1, 14))
        ]
    return logs


def crowded_logs(rng: random.Random) -> dict[str, list[Event]]:
    """Return logs with dozens of attempts in one entry, that get far only now and then."""
    return {
        f"crowd{user}": [
            Event(rng.randrange(100), rng.choice("AAAABBBX" + rare), f"crowd{user}-{number}", rng.choice(["app", None]))
            for number in range(150)
        ]
        for user, rare in enumerate(["", "C", "D", "CD", "CDE", "E", "CCDD", "EE"] * 5)
    }


def set_funnels(lake: Any) -> None:
    """Put all funnels into the lake."""
    for funnel_id, funnel in FUNNELS.items():
        lake.set_funnel(
            funnel_id, funnel.window * UNIT_SECONDS, funnel.steps, order=funnel.order, exclusions=funnel.exclusions
        )


def deliver(lake: Any, logs: Mapping[str, Sequence[Event]]) -> str:
    """Put the logs into the lake as one batch; return its id."""
    batch: str = lake.add_batch("events", [_row(user, event) for user, log in logs.items() for event in log])
    return batch


def _between(logs: Mapping[str, Sequence[Event]], start: int, end: int) -> dict[str, list[Event]]:
    """The events of some units of time, the last one excluded."""
    return {user: [event for event in log if start <= event.time < end] for user, log in logs.items()}


def _different_entries(warehouse: Any, logs: Mapping[str, Sequence[Event]]) -> list[tuple[Any, Any]]:
    """(Built, defined) rows of the entries of these logs where the two differ."""
    times = ", ".join(f"step_{step}_at" for step in range(1, MAX_STEPS + 1))
    built = warehouse.query(
        f"select funnel_id, user_id, entry_number, entered_at, channel, max_step, steps_reached, {times} "
        "from fct_funnel_progress order by all"
    )
    expected = [
        (funnel_id, user, number, *row)
        for funnel_id, funnel in FUNNELS.items()
        for user, events in logs.items()
        for number, row in enumerate(_entry_rows(events, funnel), start=1)
    ]
    assert len(expected) > 5000
    assert {(FUNNELS[row[0]].order, row[5]) for row in expected} == {
        (order, level) for order in ("ordered", "strict", "any") for level in range(1, MAX_STEPS + 1)
    }, "the logs reach every step"
    return [
        (theirs, ours)
        for theirs, ours in zip_longest(built, sorted(expected, key=lambda row: row[:3]))
        if theirs != ours
    ]


def _entry_rows(events: Sequence[Event], funnel: Funnel) -> list[tuple[Any, ...]]:
    """(time of entry, its channel, furthest step, steps reached, their times) of one entry after the other."""
    ordered = _in_order(events, funnel)
    entries: list[tuple[Event, list[Attempt]]] = []
    for start in _starts(ordered, funnel):
        if not entries or ordered[start].time > entries[-1][0].time + funnel.window:
            entries.append((ordered[start], []))
        entries[-1][1].append(_attempt(ordered, funnel, start))
    return [_entry_row(opening, attempts, funnel) for opening, attempts in entries]


def _entry_row(opening: Event, attempts: Sequence[Attempt], funnel: Funnel) -> tuple[Any, ...]:
    furthest = max(len(attempt.times) for attempt in attempts)
    best = [attempt for attempt in attempts if len(attempt.times) == furthest][-1]
    if furthest == 1:
        best = Attempt((opening.time,), (_fitting_steps(opening, funnel)[0],))
    times = [_moment(time) for time in best.times] + [None] * (MAX_STEPS - furthest)
    reached = ",".join(str(step) for step in sorted(best.steps))
    return (_moment(opening.time), opening.channel, furthest, reached, *times)


def _attempt(ordered: Sequence[Event], funnel: Funnel, start: int) -> Attempt:
    """Walk through the events from a start on, as an operator would read the log."""
    first = ordered[start]
    steps = [_fitting_steps(first, funnel)[0]] if funnel.order == "any" else [1]
    times = [first.time]
    for event in ordered[start + 1 :]:
        if event.time > first.time + funnel.window or len(steps) == len(funnel.steps):
            break
        fitting = _fitting_steps(event, funnel)
        if funnel.order == "any":
            wanted = [step for step in fitting if step not in steps]
        else:
            wanted = [step for step in fitting if step == steps[-1] + 1]
        if wanted:
            steps.append(wanted[0])
            times.append(event.time)
        elif _ends(event, fitting, steps[-1], funnel):
            break
    return Attempt(tuple(times), tuple(steps))


def _ends(event: Event, fitting: Sequence[int], reached: int, funnel: Funnel) -> bool:
    """Whether an event that takes the attempt no further ends it."""
    if not fitting:
        return funnel.order == "any" or (event.name, reached) in funnel.exclusions
    return funnel.order == "strict" and fitting[0] > reached + 1


def _longest(ordered: Sequence[Event], funnel: Funnel, start: int) -> int:
    """Longest prefix of steps in any chain of different events within the window: every chain is tried."""
    deadline = ordered[start].time + funnel.window
    best = 1
    chains = [(start, 1)]
    while chains:
        position, reached = chains.pop()
        best = max(best, reached)
        if reached < len(funnel.steps):
            chains += [
                (later, reached + 1)
                for later in range(position + 1, len(ordered))
                if ordered[later].name in funnel.steps[reached] and ordered[later].time <= deadline
            ]
    return best


def _starts(ordered: Sequence[Event], funnel: Funnel) -> list[int]:
    return [
        position
        for position, event in enumerate(ordered)
        if (fitting := _fitting_steps(event, funnel)) and (funnel.order == "any" or fitting[0] == 1)
    ]


def _fitting_steps(event: Event, funnel: Funnel) -> list[int]:
    return [number for number, names in enumerate(funnel.steps, start=1) if event.name in names]


def _in_order(events: Sequence[Event], funnel: Funnel) -> list[Event]:
    """By time; equal times by the first step an event can fulfil (exclusions last), name and channel."""
    excluded = {name for name, _ in funnel.exclusions}
    useful = [event for event in events if _fitting_steps(event, funnel) or event.name in excluded]

    def key(event: Event) -> tuple[Any, ...]:
        first_step = min(_fitting_steps(event, funnel), default=len(funnel.steps) + 1)
        return (event.time, first_step, event.name, event.channel is None, event.channel or "")

    return sorted(useful, key=key)


def _row(user: str, event: Event) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "user_id": user,
        "event_time": _moment(event.time),
        "event_name": event.name,
        "channel": event.channel,
    }


def _moment(time: int) -> datetime:
    return START + timedelta(seconds=time * UNIT_SECONDS)
