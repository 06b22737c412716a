"""One day in the shop: visits, the events of each visit, and the orders paid.

Times are milliseconds since local midnight. A visit never crosses midnight.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from userops.simulate import catalogue
from userops.simulate.arrays import Bools, Floats, Ints
from userops.simulate.options import SimulationOptions
from userops.simulate.population import Population

#: "No user", "no order", "no product" in an index array.
NONE = -1
_LAST_MS = 86_400_000 - 1
_NO_LOGIN = 10**6


class Event(IntEnum):
    """Event kinds; the lower-case name is the shop's own event name."""

    PAGE = 0
    VIEW = 1
    SEARCH = 2
    LIKE = 3
    REVIEW = 4
    CART = 5
    CHECKOUT = 6
    PAY = 7
    LOGIN = 8
    SIGNUP = 9


class VisitKind(IntEnum):
    """Who is visiting: a registered user, somebody not (yet) known, or somebody who registers in this visit."""

    REGISTERED = 0
    ANONYMOUS = 1
    SIGNUP = 2


_BROWSE = np.array([Event.VIEW, Event.PAGE, Event.SEARCH, Event.LIKE, Event.REVIEW])
_BROWSE_SHARE = np.array([0.56, 0.24, 0.13, 0.05, 0.02])
#: What follows browsing: cart, checkout, pay, and the page that thanks.
_TAIL = np.array([Event.CART, Event.CHECKOUT, Event.PAY, Event.PAGE])
_CHECKOUT_AFTER_CART, _PAY_AFTER_CHECKOUT, _BUY_NOW = 0.60, 0.80, 0.01
_MEAN_BROWSE = 4.6


@dataclass(frozen=True)
class PlannedVisits:
    """Visits that are certain, sorted by day: before signup, at signup, and of people who never register."""

    day: Ints
    user: Ints
    device: Ints
    kind: Ints

    def of_day(self, day: int) -> slice:
        """The visits of one day."""
        low, high = np.searchsorted(self.day, [day, day + 1])
        return slice(int(low), int(high))


@dataclass(frozen=True)
class World:
    """Everything a day depends on. Devices 2u and 2u+1 belong to user u, those from 2 x users on to strangers."""

    options: SimulationOptions
    population: Population
    planned: PlannedVisits
    prices: Ints
    device_class: Ints


@dataclass(frozen=True)
class Orders:
    """The orders of one day, in order of payment; money in hundredths of CNY.

    `line_*` arrays hold the order lines: `line_order` is the index of the order, `line_number` starts at 1.
    """

    user: Ints
    paid_ms: Ints
    channel: Ints
    total: Ints
    discount: Ints
    coupon: Ints
    line_order: Ints
    line_number: Ints
    line_product: Ints
    line_quantity: Ints


@dataclass(frozen=True)
class Day:
    """All that happened on one day; event arrays are sorted by time.

    Attributes:
        session: index of the visit within the day. order: index into `orders` for a pay event, else NONE.
        user: user known at that moment, else NONE. amount: hundredths of CNY, or NONE. detail: search category, stars.
        signup_user, signup_ms: who registered today, and when.
    """

    day: int
    ms: Ints
    kind: Ints
    user: Ints
    device: Ints
    session: Ints
    channel: Ints
    product: Ints
    amount: Ints
    order: Ints
    detail: Ints
    orders: Orders
    signup_user: Ints
    signup_ms: Ints


@dataclass(frozen=True)
class _Visits:
    """One value per visit of a day."""

    user: Ints
    device: Ints
    kind: Ints
    channel: Ints
    category: Ints
    focus: Ints
    browse: Ints
    login_at: Ints
    login_event: Bools
    never_known: Bools
    cart: Bools
    checkout: Bools
    pay: Bools

    @property
    def length(self) -> Ints:
        """Events of each visit: landing page, browsing, login, and what the purchase adds."""
        return 1 + self.browse + self.login_event + self.cart + self.checkout + 2 * self.pay


def make_world(options: SimulationOptions, population: Population, rng: np.random.Generator) -> World:
    """Draw the products and the visits that are certain."""
    strangers = int(0.45 * len(population))
    stranger_class = catalogue.pick(rng, catalogue.DEVICE_SHARE, strangers)
    return World(
        options=options,
        population=population,
        planned=_plan_visits(options, population, strangers, rng),
        prices=catalogue.product_prices(rng),
        device_class=np.concatenate([population.devices.reshape(-1), stranger_class]),
    )


def live_day(world: World, day: int) -> Day:
    """Simulate `day`; depends on the seed and the day alone, so days can be made in any order."""
    rng = np.random.default_rng([world.options.seed, 2, day])
    weekday = (world.options.first_date.weekday() + day) % 7
    visits = _make_visits(world, day, weekday, rng)
    return _play(world, day, weekday, visits, rng)


def _plan_visits(
    options: SimulationOptions, population: Population, strangers: int, rng: np.random.Generator
) -> PlannedVisits:
    newcomers = np.flatnonzero(population.signup_day >= 0)
    looks = rng.poisson(1.2, len(newcomers))
    looker = np.repeat(newcomers, looks)
    look_day = population.signup_day[looker] - rng.integers(1, 13, len(looker))
    first_seen = rng.integers(0, options.days, strangers)
    returns = rng.geometric(0.6, strangers)
    stranger = np.repeat(np.arange(strangers), returns)
    stranger_day = first_seen[stranger] + rng.integers(0, 15, len(stranger))
    parts = [
        (population.signup_day[newcomers], newcomers, 2 * newcomers, VisitKind.SIGNUP),
        (look_day, looker, 2 * looker, VisitKind.ANONYMOUS),
        (stranger_day, np.full(len(stranger), NONE), 2 * len(population) + stranger, VisitKind.ANONYMOUS),
    ]
    day = np.concatenate([part[0] for part in parts])
    user = np.concatenate([part[1] for part in parts])
    device = np.concatenate([part[2] for part in parts])
    kind = np.concatenate([np.full(len(part[0]), part[3]) for part in parts])
    inside = (day >= 0) & (day < options.days)
    order = np.flatnonzero(inside)[np.argsort(day[inside], kind="stable")]
    return PlannedVisits(day=day[order], user=user[order], device=device[order], kind=kind[order])


def _make_visits(world: World, day: int, weekday: int, rng: np.random.Generator) -> _Visits:
    people, planned = world.population, world.planned
    regular = np.repeat(np.arange(len(people)), rng.poisson(people.expected_visits(day, weekday)))
    second = rng.random(len(regular)) < people.second_device_share[regular]
    today = planned.of_day(day)
    user = np.concatenate([regular, planned.user[today]])
    device = np.concatenate([2 * regular + second, planned.device[today]])
    kind = np.concatenate([np.full(len(regular), VisitKind.REGISTERED), planned.kind[today]])
    count, known = len(user), user != NONE

    health = np.where(known, people.health(day)[user], 1.0)
    likes_category = known & (rng.random(count) < 0.7)
    category = np.where(likes_category, people.category[user], catalogue.pick(rng, catalogue.CATEGORY_SHARE, count))
    usual_way = known & (rng.random(count) < 0.5)
    channel = np.where(usual_way, people.visit_channel[user], catalogue.pick(rng, catalogue.VISIT_SHARE, count))
    browse = 1 + rng.poisson(_MEAN_BROWSE * rng.gamma(1.6, 1 / 1.6, count) * (0.55 + 0.45 * health))

    draw = rng.random(count)
    registered = kind == VisitKind.REGISTERED
    login_event = (registered & (draw < 0.28)) | (kind == VisitKind.SIGNUP)
    never_known = (registered & (draw >= 0.90)) | (kind == VisitKind.ANONYMOUS)
    login_at = 1 + (rng.random(count) * (browse + 1)).astype(np.int64)

    # A purchase needs a cart, a checkout and a payment: the cart's share is what makes the product the user's own rate.
    wants = np.where(known, people.purchase_share[user] * (0.35 + 0.65 * health), 0.02)
    cart_share = np.minimum(0.9, wants / (_CHECKOUT_AFTER_CART * _PAY_AFTER_CHECKOUT))
    cart = rng.random(count) < cart_share
    checkout = rng.random(count) < np.where(cart, _CHECKOUT_AFTER_CART, _BUY_NOW)
    checkout &= ~never_known
    return _Visits(
        user=user,
        device=device,
        kind=kind,
        channel=channel,
        category=category,
        focus=_pick_product(rng, category),
        browse=browse,
        login_at=np.where(login_event, login_at, _NO_LOGIN),
        login_event=login_event,
        never_known=never_known,
        cart=cart,
        checkout=checkout,
        pay=checkout & (rng.random(count) < _PAY_AFTER_CHECKOUT),
    )


def _play(world: World, day: int, weekday: int, visits: _Visits, rng: np.random.Generator) -> Day:
    length = visits.length
    session = np.repeat(np.arange(len(length)), length)
    starts = np.cumsum(length) - length
    position = np.arange(len(session)) - starts[session]
    ms = _event_times(rng, weekday, starts, length, session)

    login_at = visits.login_at[session]
    known = ~visits.never_known[session] & ((position >= login_at) | ~visits.login_event[session])
    kind = _event_kinds(rng, visits, session, position, login_at, known)

    product = _event_products(rng, visits, session, kind)
    pay_at = np.flatnonzero(kind == Event.PAY)
    pay_at = pay_at[np.argsort(ms[pay_at], kind="stable")]
    orders = _make_orders(world, visits, session[pay_at], ms[pay_at], rng)
    order = np.full(len(session), NONE)
    order[pay_at] = np.arange(len(pay_at))
    amount = np.where(kind == Event.CART, world.prices[product], NONE)
    amount[pay_at] = orders.total - orders.discount
    at_checkout = kind == Event.CHECKOUT
    amount[at_checkout] = _checkout_amounts(world, visits, session[pay_at], orders)[session[at_checkout]]
    detail = np.where(kind == Event.REVIEW, 1 + np.minimum(4, rng.poisson(3.2, len(session))), visits.category[session])

    signed_up = np.flatnonzero(kind == Event.SIGNUP)
    by_time = np.argsort(ms, kind="stable")
    return Day(
        day=day,
        ms=ms[by_time],
        kind=kind[by_time],
        user=np.where(known, visits.user[session], NONE)[by_time],
        device=visits.device[session][by_time],
        session=session[by_time],
        channel=visits.channel[session][by_time],
        product=product[by_time],
        amount=amount[by_time],
        order=order[by_time],
        detail=detail[by_time],
        orders=orders,
        signup_user=visits.user[session[signed_up]],
        signup_ms=ms[signed_up],
    )


def _event_times(rng: np.random.Generator, weekday: int, starts: Ints, length: Ints, session: Ints) -> Ints:
    """Milliseconds of each event: the visit's start by hour of day, then one dwell after another."""
    dwell = np.clip(rng.exponential(38_000.0, len(session)), 1_500, 900_000).astype(np.int64)
    elapsed = np.cumsum(dwell)
    elapsed -= elapsed[starts][session]
    duration = elapsed[starts + length - 1]
    hour = np.searchsorted(catalogue.hour_distribution(weekday), rng.random(len(length)), side="right")
    start = ((hour + rng.random(len(length))) * 3_600_000).astype(np.int64)
    start = np.maximum(0, np.minimum(start, _LAST_MS - duration))
    ms: Ints = np.minimum(start[session] + elapsed, _LAST_MS)
    return ms


def _event_kinds(
    rng: np.random.Generator, visits: _Visits, session: Ints, position: Ints, login_at: Ints, known: Bools
) -> Ints:
    step = position - (position > login_at)
    browse = visits.browse[session]
    kind = _BROWSE[catalogue.pick(rng, _BROWSE_SHARE, len(session))]
    # Likes and reviews need an account.
    kind = np.where(~known & ((kind == Event.LIKE) | (kind == Event.REVIEW)), Event.VIEW, kind)
    buys = visits.cart[session] | visits.checkout[session]
    kind = np.where((step == browse) & buys, Event.VIEW, kind)
    kind = np.where(step == 0, Event.PAGE, kind)
    tail = step - browse - 1 + ~visits.cart[session]
    kind = np.where(step > browse, _TAIL[np.clip(tail, 0, 3)], kind)
    login = np.where(visits.kind[session] == VisitKind.SIGNUP, Event.SIGNUP, Event.LOGIN)
    return np.where(position == login_at, login, kind).astype(np.int64)


def _event_products(rng: np.random.Generator, visits: _Visits, session: Ints, kind: Ints) -> Ints:
    """The product an event is about, or NONE; a purchase is about the product looked at last."""
    browsed = _pick_product(rng, visits.category[session])
    focus = visits.focus[session]
    last_view = np.zeros(len(kind), dtype=np.bool_)
    last_view[:-1] = (kind[1:] == Event.CART) | (kind[1:] == Event.CHECKOUT)
    sure = last_view | np.isin(kind, [Event.CART, Event.CHECKOUT, Event.PAY])
    product = np.where(sure | (rng.random(len(kind)) < 0.4), focus, browsed)
    return np.where(np.isin(kind, [Event.PAGE, Event.SEARCH, Event.LOGIN, Event.SIGNUP]), NONE, product)


def _make_orders(world: World, visits: _Visits, visit: Ints, paid_ms: Ints, rng: np.random.Generator) -> Orders:
    count = len(visit)
    lines = 1 + np.minimum(3, rng.poisson(0.6, count))
    line_order = np.repeat(np.arange(count), lines)
    starts = np.cumsum(lines) - lines
    line_number = 1 + np.arange(len(line_order)) - starts[line_order]
    others = _pick_product(rng, visits.category[visit][line_order])
    line_product = np.where(line_number == 1, visits.focus[visit][line_order], others)
    line_quantity = 1 + np.minimum(3, rng.poisson(0.25, len(line_order)))
    total = np.zeros(count, np.int64)
    np.add.at(total, line_order, line_quantity * world.prices[line_product])

    affinity = world.population.deal_affinity[visits.user[visit]]
    with_coupon = rng.random(count) < 0.08 + 0.7 * affinity
    coupon = np.where(with_coupon, catalogue.pick(rng, catalogue.COUPON_SHARE, count), NONE)
    discount = np.where(with_coupon, total * catalogue.COUPON_PERCENT[coupon] // 100, 0)
    return Orders(
        user=visits.user[visit],
        paid_ms=paid_ms,
        channel=visits.channel[visit],
        total=total,
        discount=discount,
        coupon=coupon,
        line_order=line_order,
        line_number=line_number,
        line_product=line_product,
        line_quantity=line_quantity,
    )


def _checkout_amounts(world: World, visits: _Visits, paying_visit: Ints, orders: Orders) -> Ints:
    """What each visit would pay at checkout: the order's amount, or the one product of an abandoned checkout."""
    amounts = world.prices[visits.focus]
    amounts[paying_visit] = orders.total - orders.discount
    return amounts


def _pick_product(rng: np.random.Generator, category: Ints) -> Ints:
    """A product of each category; the first ones of a category sell best."""
    rank: Floats = catalogue.PRODUCTS_PER_CATEGORY * rng.random(len(category)) ** 2
    product: Ints = category * catalogue.PRODUCTS_PER_CATEGORY + rank.astype(np.int64)
    return product
