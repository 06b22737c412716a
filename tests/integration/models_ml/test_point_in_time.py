"""Invariant 5: features at D have seen nothing after D, whatever happened later and whenever they are built."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from models_ml.churn.leakage import check_no_leakage
from userops.config import Settings
from userops.errors import ModelError
from userops.warehouse.connect import read_warehouse
from userops.warehouse.dbt import run_dbt

pytestmark = pytest.mark.usefixtures("dbt_in_process")

FIRST, D, END = date(2024, 1, 1), date(2024, 4, 1), date(2024, 5, 15)
EVENT_COLUMNS = ("event_id", "user_id", "anonymous_id", "event_time", "event_name", "object_category", "event_date")
ORDER_COLUMNS = (
    "order_id", "user_id", "order_time", "status", "gross_amount", "discount_amount", "refund_amount", "updated_at",
    "event_date",
)  # fmt: skip
LINE_COLUMNS = ("line_id", "order_id", "product_id", "quantity", "unit_price", "user_id", "order_time", "event_date")

Rows = list[tuple[Any, ...]]


def _noon(day: date, minutes: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, 12) + timedelta(minutes=minutes)


class History:
    """Events, order versions and order lines of a few users; each row ends with its business date."""

    def __init__(self, seed: int, last: date) -> None:
        self.random = random.Random(seed)
        self.events: Rows = []
        self.orders: Rows = []
        self.lines: Rows = []
        for number in range(25):
            self._live(f"u{number}", last)

    def _live(self, user: str, last: date) -> None:
        day = FIRST + timedelta(days=self.random.randint(0, 30))
        while day <= last:
            # Half of the visits are anonymous, on a device that a later login names.
            logged_in = self.random.random() < 0.5
            for minute in range(self.random.randint(1, 4)):
                self.visit(user if logged_in else None, f"device-{user}", day, minute * 20)
            if self.random.random() < 0.3:
                self.order(user, day, refunded_after=self.random.choice([None, None, 3, 40]))
            if self.random.random() < 0.2:
                self.line(user, day, returned_after=self.random.choice([None, 5, 35]))
            day += timedelta(days=self.random.randint(1, 14))

    def visit(self, user: str | None, device: str, day: date, minute: int = 0) -> None:
        name = self.random.choice(["page_viewed", "page_viewed", "heartbeat"])
        category = self.random.choice(["a", "b", "c"])
        event_id = f"e{len(self.events)}-{day}"
        self.events.append((event_id, user, device, _noon(day, minute), name, category, day))

    def order(self, user: str, day: date, refunded_after: int | None = None) -> None:
        number, gross = f"o{len(self.orders)}", self.random.randint(10, 500)
        self.orders.append((number, user, _noon(day), "paid", gross, 5, 0, _noon(day), day))
        if refunded_after is not None:
            status = self.random.choice(["refunded", "cancelled"])
            later = _noon(day + timedelta(days=refunded_after))
            self.orders.append((number, user, _noon(day), status, gross, 5, gross, later, day))

    def line(self, user: str, day: date, returned_after: int | None = None) -> None:
        order_id, price = f"l{len(self.lines)}", self.random.randint(5, 50)
        self.lines.append((f"{order_id}-1", order_id, "p", 2, price, user, _noon(day), day))
        if returned_after is not None:
            back = day + timedelta(days=returned_after)
            self.lines.append((f"{order_id}-2", order_id, "p", -2, price, user, _noon(back), back))

    def without_anything_after(self, day: date) -> None:
        """Forget what was not known at the end of `day`, refunds of older orders included."""
        self.events = [row for row in self.events if row[-1] <= day]
        self.lines = [row for row in self.lines if row[-1] <= day]
        self.orders = [row for row in self.orders if row[-1] <= day and row[-2].date() <= day]

    def with_another_future(self, day: date) -> None:
        """Rewrite everything after `day`: other visits, other owners of devices, every older order refunded."""
        self.without_anything_after(day)
        for number in range(25):
            later = day + timedelta(days=1 + number)
            self.visit(f"u{(number + 7) % 25}", f"device-u{number}", later)
            self.visit(f"newcomer{number}", f"device-u{number}", later + timedelta(days=1))
            self.order(f"u{number}", later)
        latest = {row[0]: row for row in self.orders if row[-1] <= day}
        for row in latest.values():
            self.orders.append((*row[:3], "cancelled", row[4], 0, row[4], _noon(day + timedelta(days=2)), row[-1]))
        returned = day + timedelta(days=2)
        for row in [row for row in self.lines if row[3] > 0]:
            self.lines.append((f"{row[1]}-9", row[1], "p", -1, 1, row[5], _noon(returned), returned))

    def write(self, lake: Path, small_lake: SimpleNamespace) -> None:
        queries = {
            "events": _typed(small_lake, EVENT_COLUMNS, self.events, event_time="timestamp"),
            "orders": _typed(small_lake, ORDER_COLUMNS, self.orders, order_time="timestamp", updated_at="timestamp"),
            "order_items": _typed(small_lake, LINE_COLUMNS, self.lines, order_time="timestamp"),
        }
        small_lake.write(lake, {entity: query for entity, query in queries.items() if query})


def _typed(small_lake: SimpleNamespace, columns: tuple[str, ...], values: Rows, **types: str) -> str | None:
    if not values:
        return None
    types = {**types, "event_date": "date"}
    replaced = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in types.items())
    return f"select * replace ({replaced}) from ({small_lake.rows(columns, values)})"


Build = Callable[[History, date, list[date]], list[dict[str, Any]]]


@pytest.fixture
def build(instance: Callable[..., Settings], tmp_path: Path, small_lake: SimpleNamespace) -> Build:
    """Return a builder: history, as-of date and observation dates in, all features at D out, in order."""
    settings = instance("project: {timezone: UTC}\n")
    count = 0

    def run(history: History, as_of: date, dates: list[date]) -> list[dict[str, Any]]:
        nonlocal count
        count += 1
        here = settings.model_copy(update={"home": tmp_path / f"home{count}"})
        history.write(here.paths.lake, small_lake)
        wanted = {"feature_dates": [day.isoformat() for day in dates]}
        run_dbt(here, as_of, command=("run",), select=["+int_churn_features"], extra_vars=wanted)
        with read_warehouse(here) as connection:
            query = f"select * from int_churn_features where as_of_date = date '{D}' order by user_id"
            found = connection.execute(query)
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    return run


def test_features_are_the_same_whatever_comes_later(build: Build) -> None:
    truth = build(History(1, END), END, [D - timedelta(days=15), D, D + timedelta(days=15)])
    assert len(truth) == 25

    known_then = History(1, END)
    known_then.without_anything_after(D)
    assert build(known_then, D, [D]) == truth, "training at a later date sees what scoring on the day saw"

    other_future = History(1, END)
    other_future.with_another_future(D)
    assert build(other_future, END, [D]) == truth, "another future changes nothing at D"


def test_the_gate_lets_honest_features_through_and_stops_those_that_have_seen_the_future(
    instance: Callable[..., Settings], small_lake: SimpleNamespace
) -> None:
    settings = instance("project: {timezone: UTC}\n")
    History(1, END).write(settings.paths.lake, small_lake)
    run_dbt(
        settings, END, command=("run",), select=["+int_churn_features"], extra_vars={"feature_dates": [D.isoformat()]}
    )
    check_no_leakage(settings, D)
    with duckdb.connect(str(settings.paths.warehouse)) as connection:
        connection.execute("update int_churn_features set orders_30 = orders_30 + 1 where user_id = 'u3'")
    with pytest.raises(ModelError, match="other values of orders_30 for the same users"):
        check_no_leakage(settings, D)
    with duckdb.connect(str(settings.paths.warehouse)) as connection:
        connection.execute("delete from int_churn_features where user_id = 'u3'")
    with pytest.raises(ModelError, match="24 users, 25 without later data; for instance u3"):
        check_no_leakage(settings, D)
    assert not (settings.paths.warehouse_dir / "leakage_check").exists()


def test_features_count_what_was_known(build: Build) -> None:
    """One user by hand: two logged-in visits, one anonymous visit named at once, one order refunded after D."""
    history = History(1, FIRST - timedelta(days=1))
    history.visit("u1", "dev", D - timedelta(days=20))
    history.visit(None, "dev", D - timedelta(days=10))
    history.visit(None, "unknown-dev", D - timedelta(days=1))
    history.events = [(*row[:4], "page_viewed", *row[5:]) for row in history.events]
    placed = D - timedelta(days=4)
    history.orders = [
        ("o1", "u1", _noon(placed), "paid", 100, 20, 0, _noon(placed), placed),
        ("o1", "u1", _noon(placed), "paid", 100, 20, 30, _noon(D), placed),
        ("o1", "u1", _noon(placed), "refunded", 100, 20, 80, _noon(D + timedelta(days=1)), placed),
    ]
    (found,) = build(history, END, [D])
    expected = {
        "user_id": "u1", "days_silent": 4, "active_days_total": 3, "tenure_days": 20, "usual_gap_days": 8,
        "median_gap_days": 8, "longest_gap_days": 10, "silence_ratio": 0.5, "active_days_7": 1, "active_days_14": 2,
        "sessions_30": 2, "page_views_30": 2, "orders_30": 1, "net_revenue_30": 50, "refund_share_180": 0.3,
        "discount_share_180": 0.2, "days_since_last_order": 4, "usual_order_gap_days": None,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert found["user_value"] == pytest.approx(50 * 30 / 180)
    assert found["std_gap_days"] == pytest.approx(8**0.5)
