"""The export files of the simulated shop: their columns, and how a simulated day becomes their rows.

All files lie below `<home>/landing/shop/`, one per local day and kind; a day without rows has no file. Local time is
Asia/Shanghai (+08:00, no daylight saving). Ids are text: users `U00000001`, orders 20 digits.

`events/events_YYYY-MM-DD.jsonl.gz`, one JSON object per line, in order of time:
    id          text, unique
    ts          ISO 8601 with milliseconds and the offset +08:00
    event       page, view, search, like, review, cart, checkout, pay, login, signup
    uid         user id; null before login
    device_id   id of the device or browser, always there
    sid         session id
    channel     direct, organic_search, search_ad, social, push, email, mini_program
    device      android, ios, web, mini_program
    page        path of the page
    item        product id or null
    cat         category of `item` or null
    amount      CNY with two decimals for cart, checkout, pay; else null
    props       object: {"q"} for search, {"stars"} for review, {"order_no"} for pay, else {}

`orders/orders_YYYY-MM-DD.csv`, one line per new or changed order:
    order_no (20 digits), uid, order_time ('YYYY-MM-DD HH:MM:SS', local, no offset),
    status (paid, cancelled, refunded), total (before discount), discount, refund (all CNY), channel,
    coupon (may be empty), seller, updated_at (as order_time).
    `total - discount` is the amount of the order's pay event. A cancellation or refund comes as a second line with the
    same order_no and a later updated_at, in the file of the day on which it happened.

`order_items/order_items_YYYY-MM-DD.csv.gz`, the lines of the orders placed that day:
    order_no, line_no (from 1), sku, sku_name, cat, qty, price (CNY per piece), uid, order_time

`users/users_YYYY-MM-DD.parquet`, new and changed users; the first file also holds everybody who was there before:
    uid, signup_time (timestamp, local), gender (female, male, null), birthday (date or null), province, city,
    source_channel, invited_by (user id or null), roles (comma-separated), email_ok, sms_ok, push_ok,
    updated_at (timestamp, local; the start of the first day for everybody who was there before)
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import numpy as np

from userops.simulate import catalogue
from userops.simulate.arrays import (
    CLOCK,
    CLOCK_COMPACT,
    MILLIS,
    Field,
    Ints,
    LineLayout,
    Rows,
    Texts,
    digits,
    glue,
    money,
    row_bytes,
    table,
    to_text,
)
from userops.simulate.behaviour import NONE, Day, Event, World
from userops.simulate.options import DirtKind

Damage = Callable[[Rows, np.random.Generator], list[tuple[str, Rows]]]

#: Longest time, in days, after which an order is still refunded.
MAX_REFUND_DAYS = 20
_CANCELLED_SHARE, _REFUNDED_SHARE, _PARTIAL_REFUND_SHARE = 0.02, 0.06, 0.3

EVENT_LINE = LineLayout(
    [
        b'{"id":"', Field("id_mark", 1), Field("id_day", 8), b"-", Field("id_number", 7),
        b'","ts":"', Field("ts", 23),
        b'+08:00","event":"', Field("event", 16),
        b'","uid":', Field("uid", 11),
        b',"device_id":"', Field("device_id", 13),
        b'","sid":"', Field("sid", 17),
        b'","channel":"', Field("channel", 14),
        b'","device":"', Field("device", 12),
        b'","page":"', Field("page", 20),
        b'","item":', Field("item", 8),
        b',"cat":', Field("cat", 13),
        b',"amount":', Field("amount", 13),
        b',"props":', Field("props", 35),
        b"}", Field("end", 1),
    ]
)  # fmt: skip

ORDER_HEADER = b"order_no,uid,order_time,status,total,discount,refund,channel,coupon,seller,updated_at\n"
ORDER_LINE = LineLayout(
    [
        Field("order_no", 20), b",", Field("uid", 9), b",", Field("order_time", 19), b",", Field("status", 9), b",",
        Field("total", 13), b",", Field("discount", 13), b",", Field("refund", 13), b",", Field("channel", 14),
        Field("rest", 1), Field("coupon", 6), b",", Field("seller", 5), b",", Field("updated_at", 19),
        Field("surplus", 8), Field("end", 1),
    ]
)  # fmt: skip

ITEM_HEADER = b"order_no,line_no,sku,sku_name,cat,qty,price,uid,order_time\n"
ITEM_LINE = LineLayout(
    [
        Field("order_no", 20), b",", Field("line_no", 1), b",", Field("sku", 6), b",", Field("sku_name", 24), b",",
        Field("cat", 11), b",", Field("qty", 1), b",", Field("price", 13),
        Field("rest", 1), Field("uid", 9), b",", Field("order_time", 19), Field("surplus", 8), Field("end", 1),
    ]
)  # fmt: skip

_PAGES = ("/home", "/home", "/category", "/account", "/help")
_PAGE_OF_EVENT = {
    Event.VIEW: "/product",
    Event.SEARCH: "/search",
    Event.LIKE: "/product",
    Event.REVIEW: "/product/reviews",
    Event.CART: "/cart",
    Event.CHECKOUT: "/checkout",
    Event.PAY: "/pay",
    Event.LOGIN: "/login",
    Event.SIGNUP: "/signup",
}


@dataclass(frozen=True)
class OrderRows:
    """The rows of one day's orders: as placed, their lines, and later versions with the day each is exported on."""

    placed: Rows
    items: Rows
    changed: Rows
    changed_day: Ints


class Renderer:
    """Turns simulated days into rows of the export files; holds the texts that rows are put together from."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._prices: Texts = money(world.prices)

    @cached_property
    def users(self) -> Texts:
        """User ids; NONE gives an empty text."""
        return np.append(glue(b"U", digits(1 + np.arange(len(self._world.population)), 8)), [b""])

    @cached_property
    def dates(self) -> Texts:
        """Local dates 'YYYY-MM-DD' by day, as far as orders can still change."""
        first = self._world.options.first_date
        days = self._world.options.days + MAX_REFUND_DAYS + 2
        return table((first + timedelta(days=day)).isoformat() for day in range(days))

    @cached_property
    def _users_json(self) -> Texts:
        return np.append(glue(b'"', self.users[:-1], b'"'), [b"null"])

    @cached_property
    def _devices(self) -> Texts:
        return glue(b"dev-", digits(np.arange(len(self._world.device_class)), 9))

    @cached_property
    def _products(self) -> Texts:
        return table(f"P{number:05d}" for number in range(len(self._world.prices)))

    @cached_property
    def _product_names(self) -> Texts:
        return table(
            f"示例{catalogue.CATEGORIES_ZH[number // catalogue.PRODUCTS_PER_CATEGORY]}{number:05d}"
            for number in range(len(self._world.prices))
        )

    @cached_property
    def _product_categories(self) -> Texts:
        return np.repeat(table(catalogue.CATEGORIES), catalogue.PRODUCTS_PER_CATEGORY)

    @cached_property
    def _items_json(self) -> Texts:
        return np.append(glue(b'"', self._products, b'"'), [b"null"])

    @cached_property
    def _categories_json(self) -> Texts:
        return np.append(glue(b'"', self._product_categories, b'"'), [b"null"])

    def event_rows(self, day: Day) -> Rows:
        """Return the event lines of one day."""
        rows = EVENT_LINE.rows(len(day.ms))
        date = self.dates[day.day]
        compact = date.replace(b"-", b"")
        second, millisecond = np.divmod(day.ms, 1000)
        rows["id_mark"] = b"e"
        rows["id_day"] = compact
        rows["id_number"] = digits(np.arange(len(rows)), 7)
        rows["ts"] = glue(date + b"T", CLOCK[second], b".", MILLIS[millisecond])
        rows["event"] = table(event.name.lower() for event in Event)[day.kind]
        rows["uid"] = self._users_json[day.user]
        rows["device_id"] = self._devices[day.device]
        sessions = int(day.session.max()) + 1 if len(day.session) else 0
        rows["sid"] = glue(b"s" + compact + b"-", digits(np.arange(sessions), 7))[day.session]
        rows["channel"] = table(catalogue.VISIT_CHANNELS)[day.channel]
        rows["device"] = table(catalogue.DEVICES)[self._world.device_class[day.device]]
        rows["page"] = _pages(day)
        rows["item"] = self._items_json[day.product]
        rows["cat"] = self._categories_json[day.product]
        rows["amount"] = b"null"
        priced = np.flatnonzero(day.amount != NONE)
        rows["amount"][priced] = money(day.amount[priced])
        rows["props"] = self._props(day)
        rows["end"] = b"\n"
        return rows

    def order_rows(self, day: Day) -> OrderRows:
        """Return the rows that the orders of one day give, now and later."""
        orders, world = day.orders, self._world
        rng = np.random.default_rng([world.options.seed, 4, day.day])
        second = orders.paid_ms // 1000
        time = glue(self.dates[day.day] + b" ", CLOCK[second])
        numbers = self._order_numbers(day)
        placed = ORDER_LINE.rows(len(numbers))
        placed["order_no"] = numbers
        placed["uid"] = self.users[orders.user]
        placed["order_time"] = time
        placed["status"] = b"paid"
        placed["total"] = money(orders.total)
        placed["discount"] = money(orders.discount)
        placed["refund"] = b"0.00"
        placed["channel"] = table(catalogue.VISIT_CHANNELS)[orders.channel]
        placed["rest"] = b","
        placed["coupon"] = table([*(f"SAVE{percent:02d}" for percent in catalogue.COUPON_PERCENT), None])[orders.coupon]
        first_product = orders.line_product[orders.line_number == 1]
        placed["seller"] = glue(b"S", digits(first_product % catalogue.SELLERS, 4))
        placed["updated_at"] = time
        placed["end"] = b"\n"
        changed, changed_day = self._changes(day, placed, rng)
        return OrderRows(placed, self._item_rows(day, numbers, time), changed, changed_day)

    def _item_rows(self, day: Day, numbers: Texts, time: Texts) -> Rows:
        orders = day.orders
        items = ITEM_LINE.rows(len(orders.line_order))
        items["order_no"] = numbers[orders.line_order]
        items["line_no"] = digits(orders.line_number, 1)
        items["sku"] = self._products[orders.line_product]
        items["sku_name"] = self._product_names[orders.line_product]
        items["cat"] = self._product_categories[orders.line_product]
        items["qty"] = digits(orders.line_quantity, 1)
        items["price"] = self._prices[orders.line_product]
        items["rest"] = b","
        items["uid"] = self.users[orders.user][orders.line_order]
        items["order_time"] = time[orders.line_order]
        items["end"] = b"\n"
        return items

    def _changes(self, day: Day, placed: Rows, rng: np.random.Generator) -> tuple[Rows, Ints]:
        """Cancellations within ten hours, refunds within `MAX_REFUND_DAYS`; a third of the refunds is partial."""
        count = len(placed)
        fate = rng.random(count)
        cancelled = fate < _CANCELLED_SHARE
        changing = np.flatnonzero(fate < _CANCELLED_SHARE + _REFUNDED_SHARE)
        soon = day.orders.paid_ms // 1000 + rng.integers(300, 36_000, count)
        later = 86_400 * rng.integers(1, MAX_REFUND_DAYS + 1, count) + rng.integers(9 * 3600, 21 * 3600, count)
        delay, second = np.divmod(np.where(cancelled, soon, later)[changing], 86_400)
        paid = (day.orders.total - day.orders.discount)[changing]
        partial = (rng.random(count) < _PARTIAL_REFUND_SHARE)[changing] & ~cancelled[changing]
        changed = placed[changing]
        changed["status"] = np.where(cancelled[changing], b"cancelled", b"refunded")
        changed["refund"] = money(np.where(partial, paid // 2, paid))
        changed["updated_at"] = glue(self.dates[day.day + delay], b" ", CLOCK[second])
        return changed, day.day + delay

    def _order_numbers(self, day: Day) -> Texts:
        compact = self.dates[day.day].replace(b"-", b"")
        paid_ms = day.orders.paid_ms
        return glue(compact, CLOCK_COMPACT[paid_ms // 1000], digits(np.arange(len(paid_ms)), 6))

    def _props(self, day: Day) -> Texts:
        searches = [f'{{"q":"{word}"}}' for word in catalogue.CATEGORIES_ZH]
        reviews = [f'{{"stars":{stars}}}' for stars in range(1, 6)]
        texts = table(["{}", *searches, *reviews]).astype("S35")
        index = np.where(day.kind == Event.SEARCH, 1 + day.detail, 0)
        index = np.where(day.kind == Event.REVIEW, len(searches) + day.detail, index)
        props = texts[index]
        pays = np.flatnonzero(day.kind == Event.PAY)
        props[pays] = glue(b'{"order_no":"', self._order_numbers(day)[day.order[pays]], b'"}')
        return props


def _pages(day: Day) -> Texts:
    pages = table([*_PAGES, *(_PAGE_OF_EVENT.get(event, "") for event in Event)])
    plain = (day.session + day.detail) % len(_PAGES)
    return pages[np.where(day.kind == Event.PAGE, plain, len(_PAGES) + day.kind)]


def write_text(path: Path, header: bytes, rows: Rows) -> None:
    """Write `rows` to `path`, gzipped (level 1, no time stamp, so equal rows are equal bytes) when it ends in .gz."""
    text = header + to_text(rows)
    if path.suffix == ".gz":
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        text = packer.compress(text) + packer.flush()
    path.write_bytes(text)


def _cut_json(rows: Rows, rng: np.random.Generator) -> list[tuple[str, Rows]]:
    cells = row_bytes(rows)
    cuts = rng.integers(20, EVENT_LINE.offset("props"), len(rows))
    cells[np.arange(cells.shape[1]) >= cuts[:, None]] = 0
    rows["end"] = b"\n"
    return [("truncated_json", rows)]


def _rename_events(rows: Rows, rng: np.random.Generator) -> list[tuple[str, Rows]]:
    rows["id_mark"] = b"x"
    rows["event"] = table(["mystery_tap", "legacy_banner", "beta_widget"])[rng.integers(0, 3, len(rows))]
    return [("unknown_event", rows)]


def _change_columns(layout: LineLayout) -> Damage:
    def change(rows: Rows, rng: np.random.Generator) -> list[tuple[str, Rows]]:
        few, many = _halves(rows, rng)
        row_bytes(few)[:, layout.offset("rest") : layout.offset("end")] = 0
        many["surplus"] = b",,extra"
        return [("too_few_columns", few), ("too_many_columns", many)]

    return change


def _change_types(amount: str, time: str) -> Damage:
    def change(rows: Rows, rng: np.random.Generator) -> list[tuple[str, Rows]]:
        bad_amount, bad_time = _halves(rows, rng)
        # A JSON amount carries its own quotes.
        bad_amount[amount] = b'"abc"' if amount == "amount" else b"abc"
        bad_time[time] = b"2026-13-45 99:99:99"
        return [("bad_amount", bad_amount), ("bad_timestamp", bad_time)]

    return change


def _halves(rows: Rows, rng: np.random.Generator) -> tuple[Rows, Rows]:
    first = rng.random(len(rows)) < 0.5
    return rows[first], rows[~first]


EVENT_DAMAGE: dict[DirtKind, Damage] = {
    DirtKind.BROKEN: _cut_json,
    DirtKind.UNKNOWN_EVENTS: _rename_events,
    DirtKind.WRONG_TYPES: _change_types("amount", "ts"),
}
ORDER_DAMAGE: dict[DirtKind, Damage] = {
    DirtKind.BROKEN: _change_columns(ORDER_LINE),
    DirtKind.WRONG_TYPES: _change_types("total", "order_time"),
}
ITEM_DAMAGE: dict[DirtKind, Damage] = {
    DirtKind.BROKEN: _change_columns(ITEM_LINE),
    DirtKind.WRONG_TYPES: _change_types("price", "order_time"),
}
