"""Why a user is at risk, as sentences an operator would say, in English and 中文.

SHAP contributions of single features are added up by reason group (`dataset.FEATURE_GROUPS`). A group that raises the
user's risk speaks through the first of its sentences that is *true for this user's own numbers*: a fall in orders is
only told when there was one. Everything is computed on columns; text is built once per distinct set of numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models_ml.churn.dataset import FEATURE_GROUPS, Bools, Floats, Observations, Texts

#: Contributions to the log-odds below this are noise, not reasons.
MIN_CONTRIBUTION = 0.02
REASONS = 3

Formatter = Callable[[float], str]
Numbers = Mapping[str, Floats]


@dataclass(frozen=True)
class Sentence:
    """One thing that can be said about a user.

    Attributes:
        code: stable name, also the key of the action rules (seed churn_actions).
        is_true: from the rounded numbers, for which users it holds.
        values: the numbers it tells, in the order of the placeholders.
        en, zh: texts with `{0}`, `{1}`, ... ; `formats_en`, `formats_zh`: how each number is written.
    """

    code: str
    is_true: Callable[[Numbers], Bools]
    values: tuple[str, ...]
    en: str
    zh: str
    formats_en: tuple[Formatter, ...] = ()
    formats_zh: tuple[Formatter, ...] = ()


@dataclass(frozen=True)
class Reasons:
    """The top reasons of a batch of users, strongest first; None where fewer are true.

    Attributes:
        codes, en, zh: users x REASONS, text or None; the first is always there.
        contributions: users x REASONS, log-odds, NaN where there is no reason.
    """

    codes: Texts
    en: Texts
    zh: Texts
    contributions: Floats


def explain(observations: Observations, contributions: Floats, model_features: Sequence[str], currency: str) -> Reasons:
    """Return the top reasons of each user.

    Args:
        observations: all features of the users, also those the model does not use.
        contributions: users x model features, log-odds.
        currency: ISO code put before amounts.
    """
    groups = _group_contributions(observations, contributions, model_features)
    numbers = _numbers(observations)
    sentences = _sentences(currency)
    names = [name for name in groups if name in sentences]
    count = len(observations)
    strength = np.full((count, len(names)), -np.inf)
    chosen = np.full((count, len(names)), -1, dtype=np.int64)
    for column, name in enumerate(names):
        for index in reversed(range(len(sentences[name]))):
            chosen[sentences[name][index].is_true(numbers), column] = index
        speaks = (chosen[:, column] >= 0) & (groups[name] >= MIN_CONTRIBUTION)
        strength[speaks, column] = groups[name][speaks]
    reasons = Reasons(_blank(count), _blank(count), _blank(count), np.full((count, REASONS), np.nan))
    order = np.argsort(-strength, axis=1, kind="stable")
    for place in range(min(REASONS, len(names))):
        _fill_place(reasons, place, order[:, place], strength, chosen, [sentences[name] for name in names], numbers)
    _fill_gaps(reasons, numbers)
    return reasons


def _fill_gaps(reasons: Reasons, numbers: Numbers) -> None:
    """Tell the bare facts of every user for whom no reason is both true and strong: a list needs a word for each."""
    for sentence in _NO_SINGLE_CAUSE:
        untold = np.array([code is None for code in reasons.codes[:, 0]], dtype=bool)
        rows = np.flatnonzero(untold & sentence.is_true(numbers))
        if rows.size:
            values = [numbers[value][rows] for value in sentence.values]
            reasons.codes[rows, 0] = sentence.code
            reasons.en[rows, 0] = _texts(sentence.en, values, sentence.formats_en)
            reasons.zh[rows, 0] = _texts(sentence.zh, values, sentence.formats_zh)


def _fill_place(
    reasons: Reasons,
    place: int,
    group_at_place: Any,
    strength: Floats,
    chosen: Any,
    sentences: Sequence[Sequence[Sentence]],
    numbers: Numbers,
) -> None:
    """Write the reason at `place` for every user that has one, one sentence at a time."""
    rows = np.arange(len(group_at_place))
    strength_here = strength[rows, group_at_place]
    chosen_here = chosen[rows, group_at_place]
    for column, group in enumerate(sentences):
        for index, sentence in enumerate(group):
            told = np.flatnonzero((group_at_place == column) & (chosen_here == index) & np.isfinite(strength_here))
            if told.size:
                reasons.codes[told, place] = sentence.code
                reasons.contributions[told, place] = strength_here[told]
                values = [numbers[value][told] for value in sentence.values]
                reasons.en[told, place] = _texts(sentence.en, values, sentence.formats_en)
                reasons.zh[told, place] = _texts(sentence.zh, values, sentence.formats_zh)


def _texts(template: str, values: Sequence[Floats], formats: Sequence[Formatter]) -> Texts:
    """Fill the template once per distinct set of numbers, and hand the texts out."""
    if not values:
        return np.array([template], dtype=object)
    distinct, place = np.unique(np.column_stack(values), axis=0, return_inverse=True)
    texts = [
        template.format(*(write(value) for write, value in zip(formats, row, strict=True))) for row in distinct.tolist()
    ]
    return np.array(texts, dtype=object)[place.reshape(-1)]


def _group_contributions(
    observations: Observations, contributions: Floats, model_features: Sequence[str]
) -> dict[str, Floats]:
    """Add contributions up by reason group.

    For a user without any event every active day is an order day: silence and activity then speak as orders do, so
    that the same fact is not told twice, and not in words for visits nobody has recorded.
    """
    groups = {
        group: contributions[:, [index for index, name in enumerate(model_features) if name in features]].sum(axis=1)
        for group, features in FEATURE_GROUPS.items()
    }
    event_days = observations.matrix[:, observations.names.index("event_days_total")]
    orders_only = ~(event_days > 0)
    for group, spoken_as in (("silence", "order_silence"), ("activity", "orders")):
        groups[spoken_as] = groups[spoken_as] + np.where(orders_only, groups[group], 0.0)
        groups[group] = np.where(orders_only, 0.0, groups[group])
    return groups


def _blank(count: int) -> Texts:
    return np.full((count, REASONS), None, dtype=object)


def _numbers(observations: Observations) -> dict[str, Floats]:
    """Return the numbers as they are told, rounded; conditions look at these, so that text and condition agree."""

    def told(name: str) -> Floats:
        return np.asarray(np.rint(observations.matrix[:, observations.names.index(name)]))

    def percent(name: str) -> Floats:
        return np.asarray(np.rint(observations.matrix[:, observations.names.index(name)] * 100))

    numbers = {name: told(name) for names in FEATURE_GROUPS.values() for name in names}
    for name in ("discount_share_180", "refund_share_180"):
        numbers[name] = percent(name)
    categories = ("categories_per_day_30", "categories_per_day_prev_30")
    for name in categories:
        numbers[name] = np.round(observations.matrix[:, observations.names.index(name)], 1)
    # A gap of less than a day and a half is told as "every day".
    numbers["usual_gap_days"] = np.maximum(numbers["usual_gap_days"], 1)
    numbers["usual_order_gap_days"] = np.maximum(numbers["usual_order_gap_days"], 1)
    return numbers


def _count_en(noun: str) -> Formatter:
    return lambda value: f"{value:,.0f} {noun}" if value == 1 else f"{value:,.0f} {noun}s"


def _every_en(value: float) -> str:
    return "every day" if value == 1 else f"every {value:,.0f} days"


def _every_zh(value: float) -> str:
    return "每天" if value == 1 else f"每 {value:,.0f} 天"


def _plain(value: float) -> str:
    return f"{value:,.0f}"


def _tenths(value: float) -> str:
    return f"{value:.1f}"


_DAYS = _count_en("day")
_ORDERS = _count_en("order")
_PAGES = _count_en("page")
_SESSIONS = _count_en("session")


#: For users whose numbers all speak for staying, and who are on a list for their worth: the bare facts.
_NO_SINGLE_CAUSE = (
    Sentence(
        "no_single_cause",
        lambda n: np.asarray((n["active_days_total"] >= 3) & np.isfinite(n["usual_gap_days"] + n["days_silent"])),
        ("days_silent", "usual_gap_days", "active_days_total"),
        "No single cause: last active {0} ago, usually {1}, on {2} in all.",
        "没有单一突出原因：距上次活跃 {0} 天，平均{1}活跃一次，累计活跃 {2} 天。",
        (_DAYS, _every_en, _DAYS), (_plain, _every_zh, _plain),
    ),
    Sentence(
        "no_single_cause",
        lambda n: np.asarray(np.isfinite(n["days_silent"]) & np.isfinite(n["active_days_total"])),
        ("days_silent", "active_days_total"),
        "No single cause: days since last active {0}, active on {1} in all.",
        "没有单一突出原因：距上次活跃 {0} 天，累计活跃 {1} 天。", (_plain, _DAYS), (_plain, _plain),
    ),
)  # fmt: skip


def _fell(recent: str, before: str) -> Callable[[Numbers], Bools]:
    """True where the recent number is below the earlier one; unknown numbers are never below."""
    return lambda numbers: np.asarray(numbers[recent] < numbers[before])


def _sentences(currency: str) -> dict[str, tuple[Sentence, ...]]:
    """Return, by reason group, what can be said, the most telling sentence first."""

    def money(value: float) -> str:
        return f"{currency} {value:,.0f}"

    return {
        "silence": (
            Sentence(
                "silent_beyond_rhythm",
                lambda n: (n["active_days_total"] >= 3) & (n["days_silent"] > n["usual_gap_days"]),
                ("usual_gap_days", "days_silent"),
                "Usually active {0}, silent for {1}.", "平均{0}活跃一次，已沉默 {1} 天。",
                (_every_en, _DAYS), (_every_zh, _plain),
            ),
            Sentence(
                "silent", lambda n: n["days_silent"] >= 7, ("days_silent",),
                "No activity for {0}.", "已 {0} 天没有任何活动。", (_DAYS,), (_plain,),
            ),
            Sentence(
                "slow_rhythm", lambda n: (n["active_days_total"] >= 3) & (n["usual_gap_days"] >= 7),
                ("usual_gap_days",),
                "Usually active only {0}.", "平均{0}才活跃一次。", (_every_en,), (_every_zh,),
            ),
        ),
        "order_silence": (
            Sentence(
                "order_overdue",
                lambda n: (n["order_days_total"] >= 3) & (n["days_since_last_order"] > n["usual_order_gap_days"]),
                ("usual_order_gap_days", "days_since_last_order"),
                "Usually orders {0}, last order {1} ago.", "平均{0}下单一次，距上次下单已 {1} 天。",
                (_every_en, _DAYS), (_every_zh, _plain),
            ),
            Sentence(
                "no_recent_order",
                lambda n: (n["order_days_total"] >= 3) & (n["days_since_last_order"] >= 14)
                & np.isfinite(n["usual_order_gap_days"]),
                ("days_since_last_order", "usual_order_gap_days"),
                "Last order was {0} ago, usually orders {1}.", "距上次下单已 {0} 天，平均{1}下单一次。",
                (_DAYS, _every_en), (_plain, _every_zh),
            ),
            Sentence(
                "no_recent_order", lambda n: n["days_since_last_order"] >= 14, ("days_since_last_order",),
                "Last order was {0} ago.", "距上次下单已 {0} 天。", (_DAYS,), (_plain,),
            ),
            Sentence(
                "slow_order_rhythm", lambda n: (n["order_days_total"] >= 3) & (n["usual_order_gap_days"] >= 30),
                ("usual_order_gap_days",),
                "Usually orders only {0}.", "平均{0}才下单一次。", (_every_en,), (_every_zh,),
            ),
            Sentence("never_ordered", lambda n: n["orders_total"] == 0, (), "Has not ordered yet.", "尚未下过单。"),
        ),
        "activity": (
            Sentence(
                "fewer_active_days", _fell("active_days_30", "active_days_prev_30"),
                ("active_days_30", "active_days_prev_30"),
                "Active on {0} in the last 30 days, on {1} in the 30 days before.",
                "近 30 天活跃 {0} 天，此前 30 天活跃 {1} 天。", (_DAYS, _plain), (_plain, _plain),
            ),
            Sentence(
                "fewer_active_days", _fell("active_days_90", "active_days_prev_90"),
                ("active_days_90", "active_days_prev_90"),
                "Active on {0} in the last 90 days, on {1} in the 90 days before.",
                "近 90 天活跃 {0} 天，此前 90 天活跃 {1} 天。", (_DAYS, _plain), (_plain, _plain),
            ),
            Sentence(
                "rarely_active", lambda n: (n["active_days_90"] <= 3) & (n["tenure_days"] >= 90), ("active_days_90",),
                "Active on only {0} in the last 90 days.", "近 90 天仅活跃 {0} 天。", (_DAYS,), (_plain,),
            ),
            Sentence(
                "rarely_active", lambda n: (n["active_days_30"] <= 2) & (n["tenure_days"] >= 30), ("active_days_30",),
                "Active on only {0} in the last 30 days.", "近 30 天仅活跃 {0} 天。", (_DAYS,), (_plain,),
            ),
        ),
        "depth": (
            Sentence(
                "fewer_visits", _fell("sessions_30", "sessions_prev_30"), ("sessions_30", "sessions_prev_30"),
                "{0} in the last 30 days, {1} in the 30 days before.", "近 30 天访问 {0} 次，此前 30 天 {1} 次。",
                (_SESSIONS, _plain), (_plain, _plain),
            ),
            Sentence(
                "shallower_visits", _fell("page_views_30", "page_views_prev_30"),
                ("page_views_30", "page_views_prev_30"),
                "{0} viewed in the last 30 days, {1} in the 30 days before.",
                "近 30 天浏览 {0} 个页面，此前 30 天 {1} 个。", (_PAGES, _plain), (_plain, _plain),
            ),
            Sentence(
                "short_visits", lambda n: (n["page_views_per_session_90"] <= 2) & (n["sessions_90"] >= 2),
                ("page_views_per_session_90",),
                "Looks at only about {0} per visit.", "每次访问平均只看约 {0} 个页面。", (_PAGES,), (_plain,),
            ),
        ),
        "interaction": (
            Sentence(
                "fewer_interactions", _fell("interactions_30", "interactions_prev_30"),
                ("interactions_30", "interactions_prev_30"),
                "{0} in the last 30 days, {1} in the 30 days before.", "近 30 天互动 {0} 次，此前 30 天 {1} 次。",
                (_count_en("interaction"), _plain), (_plain, _plain),
            ),
            Sentence(
                "fewer_contributions", _fell("contributions_30", "contributions_prev_30"),
                ("contributions_30", "contributions_prev_30"),
                "{0} in the last 30 days, {1} in the 30 days before.", "近 30 天发布 {0} 次，此前 30 天 {1} 次。",
                (_count_en("contribution"), _plain), (_plain, _plain),
            ),
        ),
        "breadth": (
            Sentence(
                "shrinking_breadth", _fell("categories_per_day_30", "categories_per_day_prev_30"),
                ("categories_per_day_30", "categories_per_day_prev_30"),
                "Looks at {0} categories per active day lately, {1} in the 30 days before.",
                "近 30 天每个活跃日浏览 {0} 个类目，此前 30 天为 {1} 个。", (_tenths, _tenths), (_tenths, _tenths),
            ),
        ),
        "orders": (
            Sentence(
                "fewer_orders", _fell("orders_90", "orders_prev_90"), ("orders_90", "orders_prev_90"),
                "{0} in the last 90 days, {1} in the 90 days before.", "近 90 天下单 {0} 次，此前 90 天 {1} 次。",
                (_ORDERS, _plain), (_plain, _plain),
            ),
            Sentence(
                "ordered_once", lambda n: n["orders_total"] == 1, (), "Has ordered only once.", "只下过 1 单。",
            ),
            Sentence(
                "few_orders", lambda n: (n["orders_total"] >= 2) & (n["orders_total"] <= 4), ("orders_total",),
                "Has placed only {0} so far.", "累计只下过 {0} 单。", (_ORDERS,), (_plain,),
            ),
            Sentence(
                "no_recent_orders", lambda n: (n["orders_90"] == 0) & (n["orders_total"] > 0), ("orders_total",),
                "No orders in the last 90 days, {0} in all.", "近 90 天没有下单，累计 {0} 单。", (_ORDERS,), (_plain,),
            ),
            Sentence(
                "infrequent_orders", lambda n: (n["orders_180"] <= 3) & (n["tenure_days"] >= 180), ("orders_180",),
                "Has placed only {0} in the last 180 days.", "近 180 天只下过 {0} 单。", (_ORDERS,), (_plain,),
            ),
        ),
        "spending": (
            Sentence(
                "spending_down", _fell("net_revenue_90", "net_revenue_prev_90"),
                ("net_revenue_90", "net_revenue_prev_90"),
                "Spent {0} in the last 90 days, {1} in the 90 days before.", "近 90 天消费 {0}，此前 90 天 {1}。",
                (money, money), (money, money),
            ),
            Sentence(
                "smaller_orders", lambda n: n["order_value_90"] < 0.8 * n["order_value_total"],
                ("order_value_90", "order_value_total"),
                "Average order {0} in the last 90 days, {1} over all time.", "近 90 天客单价 {0}，历史平均 {1}。",
                (money, money), (money, money),
            ),
            Sentence(
                "low_spending", lambda n: (n["orders_total"] >= 1) & (n["net_revenue_total"] >= 0),
                ("net_revenue_total",),
                "Has spent {0} in all.", "累计消费 {0}。", (money,), (money,),
            ),
        ),
        "discounts": (
            Sentence(
                "discount_dependent", lambda n: n["discount_share_180"] >= 15, ("discount_share_180",),
                "Discounts made up {0}% of the order value in the last 180 days.", "近 180 天订单金额中优惠占 {0}%。",
                (_plain,), (_plain,),
            ),
        ),
        "refunds": (
            Sentence(
                "refunds", lambda n: n["refund_share_180"] >= 5, ("refund_share_180",),
                "Refunds made up {0}% of the order value in the last 180 days.", "近 180 天订单金额中退款占 {0}%。",
                (_plain,), (_plain,),
            ),
        ),
        "feedback": (
            Sentence(
                "open_complaint", lambda n: n["open_tickets"] >= 1, ("open_tickets",),
                "Waits for an answer to {0}.", "有 {0} 个工单或投诉尚未解决。", (_count_en("ticket"),), (_plain,),
            ),
            Sentence(
                "many_tickets", lambda n: n["tickets_180"] >= 1, ("tickets_180",),
                "Raised {0} in the last 180 days.", "近 180 天提交过 {0} 个工单或投诉。",
                (_count_en("ticket"),), (_plain,),
            ),
        ),
        "calendar": (
            Sentence(
                "not_the_season", lambda n: n["active_days_year_before"] == 0, (),
                "Did not come in the same weeks of last year either.", "去年同期也没有活跃。",
            ),
        ),
        "newness": (
            Sentence(
                "new_not_settled", lambda n: (n["tenure_days"] <= 30) & (n["active_days_total"] <= 5),
                ("tenure_days", "active_days_total"),
                "New: first active {0} ago, active on {1} so far.", "新用户：首次活跃于 {0} 天前，至今活跃 {1} 天。",
                (_DAYS, _DAYS), (_plain, _plain),
            ),
            Sentence(
                "never_settled", lambda n: (n["tenure_days"] > 30) & (n["active_days_total"] <= 3),
                ("active_days_total", "tenure_days"),
                "Active on only {0} since first seen {1} ago.", "首次出现至今 {1} 天，仅活跃 {0} 天。",
                (_DAYS, _DAYS), (_plain, _plain),
            ),
            Sentence(
                "recent_customer", lambda n: n["tenure_days"] <= 90, ("tenure_days",),
                "With us for only {0}.", "成为用户仅 {0} 天。", (_DAYS,), (_plain,),
            ),
        ),
    }  # fmt: skip


def reason_codes() -> tuple[str, ...]:
    """Return every code a reason can have, in order."""
    codes = [sentence.code for group in _sentences("").values() for sentence in group]
    return (*dict.fromkeys(codes), _NO_SINGLE_CAUSE[0].code)
