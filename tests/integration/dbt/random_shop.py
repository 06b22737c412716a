"""A random shop of many users, told in two deliveries: what comes late moves first days, channels and identities."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

FIRST_DAY = date(2024, 1, 1)
#: As-of dates of the runs, in order: a first one, a later one after the second delivery, and one that goes back.
RUNS = (44, 75, 61)
USERS = [f"u{number}" for number in range(60)]
CHANNELS = ["app", "web", "mini", None]
EVENTS = ["product_viewed", "cart_added", "order_paid", "review_posted", "logged_in", "page_viewed", "invitation_sent"]

Rows = list[dict[str, Any]]


class Delivery(NamedTuple):
    """Rows of one delivery by entity."""

    events: Rows
    orders: Rows
    users: Rows


def deliveries(rng: random.Random) -> tuple[Delivery, Delivery]:
    """Return both deliveries. The second one holds later days, and some events, orders and profiles of earlier ones."""
    events = [event for user in USERS for event in _life(rng, user)]
    orders = [_order(rng, number) for number in range(160)]
    in_time = [row for row in events if _day_of(row["event_time"]) <= RUNS[0] and rng.random() < 0.93]
    orders_in_time = [row for row in orders if _day_of(row["order_time"]) <= RUNS[0] and rng.random() < 0.93]
    early = Delivery(in_time, orders_in_time, [_profile(rng, user, 1) for user in USERS[:40]])
    late = Delivery(
        [row for row in events if row not in in_time],
        [row for row in orders if row not in orders_in_time],
        [_profile(rng, user, 50) for user in rng.sample(USERS, 12)],
    )
    return early, late


def deliver(lake: Any, delivery: Delivery) -> None:
    """Write a delivery into the lake."""
    for entity, rows in delivery._asdict().items():
        lake.add_batch(entity, rows)


def day(number: int) -> date:
    """Return the date of a day number."""
    return FIRST_DAY + timedelta(days=number)


def _life(rng: random.Random, user: str) -> Rows:
    """Visits of one person, at times without logging in."""
    visits = sorted(rng.sample(range(max(RUNS)), rng.choice([1, 2, 5, 12, 25])))
    device_id = f"device-{user}" if rng.random() < 0.7 else None
    found = []
    for visit in visits:
        channel, device = rng.choice(CHANNELS), rng.choice(["ios", "pc", None])
        session_id = rng.choice([None, f"s{visit}"])
        seconds = rng.randrange(0, 80_000)
        for _ in range(rng.choice([1, 1, 2, 4, 9])):
            seconds += rng.choice([0, 5, 90, 2_400])
            known = device_id is None or rng.random() < 0.5
            found.append(
                {
                    "event_id": f"{user}-{visit}-{len(found)}",
                    "user_id": user if known else None,
                    "anonymous_id": device_id,
                    "event_time": _moment(visit, seconds),
                    "event_name": rng.choices(EVENTS, [8, 3, 1, 1, 2, 8, 1])[0],
                    "session_id": session_id,
                    "channel": channel,
                    "device": device,
                    "page": rng.choice(["/", "/a", "/b", "/c", None]),
                }
            )
    return found


def _order(rng: random.Random, number: int) -> dict[str, Any]:
    kind = rng.choice(["paid", "paid", "paid", "refund", "cancelled"])
    return {
        "order_id": f"o{number}",
        "user_id": rng.choice([*USERS[:25], None]),
        "order_time": _moment(rng.randrange(max(RUNS)), rng.randrange(80_000)),
        "status": "refunded" if kind == "refund" else kind,
        "gross_amount": 0 if kind == "refund" else rng.choice([10, 20.5, 99]),
        "refund_amount": 7.25 if kind == "refund" else None,
        "channel": rng.choice(CHANNELS),
    }


def _profile(rng: random.Random, user: str, updated: int) -> dict[str, Any]:
    return {
        "user_id": user,
        "registered_at": _moment(rng.randrange(0, 40)),
        "acquisition_channel": rng.choice(["ads", "friends", None]),
        "referrer_user_id": rng.choice([None, None, *rng.sample(USERS, 3)]),
        "updated_at": _moment(updated),
    }


def _moment(number: int, seconds: int = 0) -> datetime:
    """UTC time of a local (Asia/Shanghai) day: 00:00 local plus some seconds."""
    return datetime(2023, 12, 31, 16) + timedelta(days=number, seconds=seconds)


def _day_of(moment: datetime) -> int:
    return (moment - _moment(0)).days
