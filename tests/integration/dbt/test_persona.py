"""Personas, tiers, tags and the history of profiles against a second reading of their definitions in Python."""

from __future__ import annotations

import math
import random
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from userops.config import PROJECT_ROOT, PersonaSettings, TierSettings
from userops.definitions.tags import Condition, Tag, TagFile, definition_rows, persona_columns
from userops.yamlfile import load_model

AS_OF = date(2024, 6, 28)  # a Friday
FIRST_DAY = date(2023, 11, 1)
VALUE_DAYS = 180
USERS = [f"u{number:02}" for number in range(70)]
#: Low thresholds, so that random users are found in every tier.
TIERS = TierSettings(
    window_days=120, frequency_high_days=5, frequency_medium_days=3, loyal_orders=4, author_high_contributions=5,
    author_medium_contributions=2, reader_high_page_views=6, reader_medium_page_views=3,
    moderation_events=("post_hidden", "it's; drop table x --"), level_points=(15, 40, 60, 90),
)  # fmt: skip
PERSONA = PersonaSettings(window_days=90)
#: Mirrors the test lake's taxonomy: activity, page view, interaction, contribution.
MEANING = {
    "product_viewed": (True, True, False, False),
    "cart_added": (True, False, True, False),
    "review_posted": (True, False, True, True),
    "logged_in": (False, False, False, False),
    "post_hidden": (True, False, False, False),  # not listed: an activity and nothing else
}
KINDS = (
    "value_tier", "frequency_tier", "tenure_tier", "buyer_tier", "seller_tier", "author_tier", "reader_tier",
    "moderator_tier", "level",
)  # fmt: skip
QUESTIONS = PROJECT_ROOT / "docs" / "questions.md"

Row = dict[str, Any]
_built: dict[str, Path] = {}


@pytest.fixture
def world() -> dict[str, list[Row]]:
    """What happened: logged-in events, orders of several sellers, lines, profiles; some of it after the as-of date."""
    rng = random.Random(11)
    days = (AS_OF - FIRST_DAY).days + 8
    activity = {user: rng.choice([2, 8, 25, 45]) for user in USERS[:-5]}
    events = [
        {
            "event_id": f"{user}-{number}", "user_id": user, "event_time": _moment(rng, days),
            "event_name": rng.choices(list(MEANING), [6, 3, 2, 1, 0.2])[0],
            "object_category": rng.choice(["tea", "cups", "books", "art", "toys", None]),
            "channel": rng.choice(["app", "web", None]), "device": rng.choice(["ios", "pc", None]),
        }
        for user, count in activity.items() for number in range(rng.randrange(count))
    ]  # fmt: skip
    orders = [
        {
            "order_id": f"o{number}", "user_id": rng.choice(USERS[:40]), "order_time": _moment(rng, days),
            "gross_amount": rng.choice([0, 10, 20, 50, 80]), "discount_amount": rng.choice([None, 0, 1, 5]),
            "refund_amount": rng.choice([None, None, 10]), "status": rng.choice(["paid"] * 6 + ["cancelled"]),
            "seller_id": rng.choice([*USERS[:8], "shop", None]), "updated_at": None,
        }
        for number in range(260)
    ]  # fmt: skip
    lines = [
        {
            "line_id": f"l{number}", "order_id": order["order_id"], "user_id": order["user_id"], "product_id": "p1",
            "category": rng.choice(["tea", "cups", "books", None]), "quantity": rng.choice([1, 1, -1]),
            "unit_price": 3, "order_time": order["order_time"],
        }
        for number, order in enumerate(orders)
    ]  # fmt: skip
    users = [
        {
            "user_id": user, "registered_at": _moment(rng, days) if rng.random() < 0.8 else None,
            "birth_date": date(rng.randrange(1950, 2015), 6, 28),
            "city": rng.choice(["Beijing", "成都市", "Nowhere", None]),
            "roles": rng.choice([None, "buyer, Moderator", "seller"]), "consent_push": rng.choice([True, False, None]),
        }
        for user in USERS
    ]  # fmt: skip
    return {"events": events, "orders": orders, "order_items": lines, "users": users}


@pytest.fixture
def built(world: dict[str, list[Row]], lake: Any, warehouse: Any, tmp_path_factory: Any) -> Any:
    """A warehouse with the personas of that world; built by the first test, copied for the others."""
    if "file" not in _built:
        for entity, rows in world.items():
            lake.add_batch(entity, rows)
        names = ("tag_id", "tag_name_en", "tag_name_zh", "tag_group", "shown_column", "condition_number", "column_name",
                 "value_type", "operator", "value_number", "value")  # fmt: skip
        lake.set_control("tag_definitions", [[row[name] for name in names] for row in definition_rows(_tags())])
        lake.set_funnel("purchase", 7 * 86_400, [["product_viewed"], ["cart_added"], ["review_posted"]])
        marts = sorted({"fct_user_tags", "dim_user_personas_history", *_marts_asked()})
        warehouse.run(
            AS_OF, "--select", *[f"+{mart}" for mart in marts], "--exclude", "path:models/intermediate/churn",
            tiers=TIERS.model_dump(mode="json"), persona=PERSONA.model_dump(mode="json"),
        )  # fmt: skip
        _built["file"] = tmp_path_factory.mktemp("built") / "userops.duckdb"
        shutil.copy(warehouse.settings.paths.warehouse, _built["file"])
    shutil.copy(_built["file"], warehouse.settings.paths.warehouse)
    return warehouse


def test_tiers_and_moves_equal_a_reading_of_their_definitions(built: Any, world: dict[str, list[Row]]) -> None:
    judged = _judged(world)
    current = {row["user_id"]: row for row in _rows(built, "select * from fct_user_tiers")}
    assert len(current) == len(_rows(built, "select * from dim_users"))
    for kind in KINDS:
        found = {tiers[kind] for history in judged.values() for tiers in history.values()}
        assert len(found) > 1, f"the example must hold several values of {kind}"

    moves = defaultdict(list)
    for user, history in judged.items():
        for (before, old), (day, new) in zip(list(history.items()), list(history.items())[1:], strict=False):
            for kind in KINDS:
                if old[kind] != new[kind]:
                    moves[user, kind].append((before, day, str(old[kind]), str(new[kind])))
    expected_moves = sorted((user, kind, *move) for (user, kind), found in moves.items() for move in found)
    columns = "user_id, tier_kind, moved_after, moved_on, from_tier, to_tier"
    assert built.query(f"select {columns} from fct_user_tier_moves order by all") == expected_moves
    assert len(expected_moves) > 300

    for user, history in judged.items():
        for kind in KINDS:
            last = moves[user, kind][-1] if moves[user, kind] else (None, None, None, None)
            previous = int(last[2]) if kind == "level" and last[2] else last[2]
            assert (
                current[user][kind], current[user][f"{kind}_previous"], current[user][f"{kind}_changed_on"],
            ) == (history[AS_OF][kind], previous, last[1]), (user, kind)  # fmt: skip


def test_rfm_scores_are_quintiles_and_segments_are_the_seeds(built: Any, world: dict[str, list[Row]]) -> None:
    orders = _orders(world)
    buyers = orders[orders.is_purchase].groupby("user_id").agg(orders=("day", "size"), last=("order_time", "max"))
    buyers["net"] = orders.groupby("user_id").net.sum()
    buyers = buyers.reset_index()
    expected = pd.DataFrame(
        {
            "user_id": buyers.user_id,
            "recency_score": _quintiles(buyers, ["last", "orders", "user_id"]),
            "frequency_score": _quintiles(buyers, ["orders", "net", "user_id"]),
            "monetary_score": _quintiles(buyers, ["net", "orders", "user_id"]),
        }
    ).sort_values("user_id")
    found = built.query(
        "select user_id, recency_score, frequency_score, monetary_score from dim_user_personas "
        "where orders > 0 order by user_id"
    )
    assert found == list(expected.itertuples(index=False, name=None))
    segments = built.query(
        "select personas.rfm_segment <> seed.rfm_segment from dim_user_personas as personas "
        "join rfm_segments as seed using (recency_score, frequency_score, monetary_score)"
    )
    assert [row[0] for row in segments] == [False] * len(expected)
    assert len(built.query("from rfm_segments")) == 125


def test_interests_equal_a_reading_of_their_definition(built: Any, world: dict[str, list[Row]]) -> None:
    last_day = dict(built.query("select user_id, last_active_date from dim_users"))
    scores: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    weights = PERSONA.interest_weights
    weight_of = {
        name: weights.interaction if interaction else weights.view
        for name, (activity, _, interaction, _) in MEANING.items()
        if activity or interaction
    }
    traces = [
        (row["user_id"], row["object_category"], _day(row["event_time"]), weight_of[row["event_name"]])
        for row in world["events"] if row["event_name"] in weight_of
    ] + [
        (row["user_id"], row["category"], _day(row["order_time"]), weights.order_line)
        for row in world["order_items"] if row["quantity"] > 0
    ]  # fmt: skip
    for user, category, day, weight in traces:
        age = (last_day[user] - day).days if last_day.get(user) else -1
        if category and 0 <= age < PERSONA.window_days:
            scores[user][category] += weight * round(1e6 * 0.5 ** (age / PERSONA.interest_half_life_days))
    expected = {}
    for user, by_category in scores.items():
        strongest = sorted(by_category.items(), key=lambda item: (-item[1], item[0]))[:3]
        total = sum(by_category.values())
        expected[user] = [(category, score / total) for category, score in strongest]
    found: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for user, category, part in built.query(
        "select user_id, category, interest_share from int_user_interests order by user_id, interest_rank"
    ):
        found[user].append((category, part))
    assert found == expected
    assert len(expected) > 40
    persona = built.query("select interest_1, interest_1_share from dim_user_personas where user_id = 'u00'")[0]
    assert persona == (expected["u00"][0] if "u00" in expected else (None, None))


def test_tags_equal_a_python_reading_of_the_same_rules(built: Any) -> None:
    personas = _rows(built, "select * from dim_user_personas")
    expected = sorted(
        (persona["user_id"], tag.id)
        for tag in _tags()
        for persona in personas
        if all(_holds(condition, persona, personas) for condition in tag.rule)
    )
    assert built.query("select user_id, tag_id from fct_user_tags order by all") == expected
    used = {tag_id for _, tag_id in expected}
    operators = {condition.op for tag in _tags() if tag.id in used for condition in tag.rule}
    assert operators >= {"=", "!=", "in", "not_in", ">=", ">", "<=", "<", "between", "is_null", "is_not_null",
                         "is_true", "is_false", "top_share"}, "every operator is seen at work"  # fmt: skip
    shown = built.query("select tag_value from fct_user_tags where tag_id = 'odd' limit 1")
    assert shown == [("Nowhere",)]


def test_every_question_of_the_page_has_an_answer(built: Any) -> None:
    queries = re.findall(r"```sql\n(.*?)```", QUESTIONS.read_text(encoding="utf-8"), re.DOTALL)
    assert len(queries) >= 8
    empty = [query for query in queries if not built.query(query)]
    assert empty == []


_VERSION = st.tuples(
    st.one_of(st.none(), st.integers(0, 12)),  # day of updated_at
    st.integers(0, 2),  # and its hour
    st.sampled_from(["Beijing", "成都市", None]),
    st.sampled_from([None, "app"]),
)


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    lives=st.lists(st.lists(_VERSION, min_size=1, max_size=6), min_size=20, max_size=40),
    first_days=st.lists(st.integers(0, 9), min_size=40, max_size=40),
    shuffle=st.randoms(use_true_random=False),
)
def test_histories_tile_and_say_what_profiles_said_whatever_came_first(
    lake: Any, warehouse: Any, lives: list[list[Any]], first_days: list[int], shuffle: random.Random
) -> None:
    lake.reset()
    warehouse.reset()
    start = date(2024, 6, 1)
    versions: list[Row] = []
    for number, life in enumerate(lives):
        for day, hour, city, channel in life:
            moment = None if day is None else datetime(2024, 6, 1, hour) + timedelta(days=day)
            versions.append(
                {"user_id": f"u{number}", "city": city, "acquisition_channel": channel, "updated_at": moment}
            )
    shuffle.shuffle(versions)
    half = len(versions) // 2
    lake.add_batch("users", versions[:half])
    lake.add_batch("users", versions[half:])
    lake.add_batch("orders", [
        {"order_id": f"o{number}", "user_id": f"u{number}", "gross_amount": 1,
         "order_time": datetime(2024, 6, 1, 1) + timedelta(days=first_days[number])}
        for number in range(len(lives)) if first_days[number] < 6
    ])  # fmt: skip
    as_of = start + timedelta(days=8)
    warehouse.run(as_of, "--select", "+dim_user_personas_history")

    intervals: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for user, *rest in warehouse.query(
        "select user_id, valid_from, valid_to, city from dim_user_personas_history order by user_id, valid_from"
    ):
        intervals[user].append(tuple(rest))
    hashes = {
        (row[0], row[1], row[2], row[3]): row[4]
        for row in warehouse.query(
            "select user_id, updated_at, city, acquisition_channel, row_hash from stg_user_versions"
        )
    }
    for number, life in enumerate(lives):
        user = f"u{number}"
        moments = [
            None if day is None else datetime(2024, 6, 1, hour) + timedelta(days=day) for day, hour, _, _ in life
        ]
        known = [
            (moment, hashes[user, moment, city, channel], city)
            for moment, (_, _, city, channel) in zip(moments, life, strict=True)
            if moment is None or _day(moment) <= as_of
        ]
        seen = [_day(moment) for moment, _, _ in known if moment]
        first_seen = start + timedelta(days=first_days[number]) if first_days[number] < 6 else None
        beginning = min([*seen, *([first_seen] if first_seen and known else [])], default=None)
        said = []
        day = beginning
        while day is not None and day <= as_of:
            dated = [item for item in known if item[0] and _day(item[0]) <= day]
            undated = [item for item in known if item[0] is None]
            pool = dated or undated or [min((item for item in known), key=lambda item: _day(item[0]))]
            if not dated and not undated:  # before the first version: what the first day said
                first = min(_day(item[0]) for item in known)
                pool = [item for item in known if _day(item[0]) == first]
            said.append((day, max(pool, key=lambda item: (item[0] or datetime.min, item[1]))[2]))
            day += timedelta(days=1)
        told = [
            (
                day,
                next(
                    city for valid_from, valid_to, city in intervals[user] if valid_from <= day < (valid_to or date.max)
                ),
            )
            for day, _ in said
        ]
        assert told == said, user
        assert (intervals[user][0][0] if intervals[user] else None) == beginning
        assert all(one[1] == other[0] for one, other in zip(intervals[user], intervals[user][1:], strict=False))


def _judged(world: Mapping[str, list[Row]]) -> dict[str, dict[date, Row]]:
    """Return the tiers of every user at every judged date from the first trace on."""
    orders, days = _orders(world), _user_days(world)
    first_seen = _first_seen(world)
    history: dict[str, dict[date, Row]] = defaultdict(dict)
    undated = {row["user_id"] for row in world["users"] if row["registered_at"] is None}
    everybody = undated | set(first_seen)
    for judged_on in _judged_dates():
        here = [user for user in sorted(everybody) if first_seen.get(user, AS_OF) <= judged_on]
        valued = orders[(orders.day <= judged_on) & (orders.day > judged_on - timedelta(days=VALUE_DAYS))]
        value = _ranked(valued.groupby("user_id").net.sum().to_dict(), lambda user: True)
        sales = _ranked(valued.groupby("seller_id").net.sum().to_dict(), lambda user: user in everybody)
        purchases = orders[(orders.day <= judged_on) & orders.is_purchase].groupby("user_id").size().to_dict()
        window = days[(days.day <= judged_on) & (days.day > judged_on - timedelta(days=TIERS.window_days))]
        sums = window.groupby("user_id")[["page_views", "interactions", "contributions", "orders", "moderated"]].sum()
        active = window.groupby("user_id").size().to_dict()
        recent = days[(days.day <= judged_on) & (days.day > judged_on - timedelta(days=TIERS.frequency_window_days))]
        frequency = recent.groupby("user_id").size().to_dict()
        for user in here:
            done = sums.loc[user].to_dict() if user in sums.index else defaultdict(int)
            points = (
                active.get(user, 0) + done["interactions"] + 5 * done["contributions"] + 10 * done["orders"]
            )  # fmt: skip
            bought = purchases.get(user, 0)
            history[user][judged_on] = {
                "value_tier": value.get(user, "none"),
                "frequency_tier": _by_count(frequency.get(user, 0), 5, 3),
                "tenure_tier": "new" if (judged_on - first_seen.get(user, AS_OF)).days < TIERS.new_user_days else "old",
                "buyer_tier": "loyal" if bought >= 4 else {0: "none", 1: "one_time"}.get(bought, "repeat"),
                "seller_tier": sales.get(user, "none"),
                "author_tier": _by_count(done["contributions"], 5, 2),
                "reader_tier": _by_count(done["page_views"], 6, 3),
                "moderator_tier": "active" if done["moderated"] else "none",
                "level": 1 + sum(points >= threshold for threshold in TIERS.level_points),
            }
    return history


def _judged_dates() -> list[date]:
    weeks_from = AS_OF - timedelta(days=7 * TIERS.judged_weeks)
    every_day = [date(2023, 12, 1) + timedelta(days=number) for number in range(400)]
    return [
        day for day in every_day
        if day == AS_OF
        or (weeks_from < day < AS_OF and day.isoweekday() == 7)
        or (day <= weeks_from and (day + timedelta(days=1)).day == 1)
    ]  # fmt: skip


def test_top_category_counts_what_was_bought(world: dict[str, list[Row]], built: Any) -> None:
    """Neither lines of cancelled orders nor returns are bought; equally many: the first in order."""
    bought: dict[str, Counter[str]] = defaultdict(Counter)
    purchases = {order.order_id for order in _orders(world).itertuples() if order.is_purchase}
    for line in world["order_items"]:
        if line["order_id"] in purchases and line["category"] and line["quantity"] > 0:
            bought[line["user_id"]][line["category"]] += 1
    expected = {user: min(counts, key=lambda name: (-counts[name], name)) for user, counts in bought.items()}
    found = built.query("select user_id, top_category from dim_user_personas where top_category is not null")
    assert dict(found) == expected


def _orders(world: Mapping[str, list[Row]]) -> pd.DataFrame:
    frame = pd.DataFrame(world["orders"])
    frame["day"] = [_day(moment) for moment in frame.order_time]
    frame["net"] = (
        frame.gross_amount - frame.discount_amount.astype(float).fillna(0) - frame.refund_amount.astype(float).fillna(0)
    )
    frame["is_purchase"] = frame.gross_amount > 0
    return frame[(frame.day <= AS_OF) & (frame.status != "cancelled")]


def _user_days(world: Mapping[str, list[Row]]) -> pd.DataFrame:
    """One row per user and active day, with what was done on it."""
    done: dict[tuple[str, date], Row] = defaultdict(
        lambda: {"active": False, "page_views": 0, "interactions": 0, "contributions": 0, "orders": 0, "moderated": 0}
    )
    for event in world["events"]:
        activity, view, interaction, contribution = MEANING[event["event_name"]]
        day = done[event["user_id"], _day(event["event_time"])]
        day["active"] |= activity
        day["page_views"] += view
        day["interactions"] += interaction
        day["contributions"] += contribution
        day["moderated"] += event["event_name"] in TIERS.moderation_events
    for order in _orders(world).itertuples():
        if order.is_purchase:
            day = done[order.user_id, order.day]
            day["active"] = True
            day["orders"] += 1
    return pd.DataFrame(
        [{"user_id": user, "day": day, **what} for (user, day), what in done.items() if what["active"] and day <= AS_OF]
    )


def _first_seen(world: Mapping[str, list[Row]]) -> dict[str, date]:
    seen: dict[str, date] = {}
    moments = [(row["user_id"], row["event_time"]) for row in world["events"]]
    moments += [(row["user_id"], row["order_time"]) for row in world["orders"]]
    moments += [(row["user_id"], row["registered_at"]) for row in world["users"] if row["registered_at"]]
    for user, moment in moments:
        if _day(moment) <= AS_OF:
            seen[user] = min(seen.get(user, date.max), _day(moment))
    return seen


def _ranked(amounts: Mapping[str, float], counts: Callable[[str], bool]) -> dict[str, str]:
    earners = sorted(
        ((user, amount) for user, amount in amounts.items() if amount > 0 and counts(user)),
        key=lambda item: (-item[1], item[0]),
    )
    high, medium = math.ceil(len(earners) / 5), math.ceil(len(earners) / 2)
    return {
        user: "high" if place <= high else "medium" if place <= medium else "low"
        for place, (user, _) in enumerate(earners, start=1)
    }


def _by_count(count: int, high: int, medium: int) -> str:
    return "high" if count >= high else "medium" if count >= medium else "low" if count else "none"


def _quintiles(frame: pd.DataFrame, order: list[str]) -> pd.Series[int]:
    """Return 1 to 5 per row; the first quintiles are one larger where the rows do not divide."""
    size, larger = divmod(len(frame), 5)
    scores = [score for score in range(1, 6) for _ in range(size + (score <= larger))]
    return pd.Series(scores, index=frame.sort_values(order).index).reindex(frame.index)


def _tags() -> list[Tag]:
    """The tags that come with the project, and others that use every operator and odd text."""
    shipped = load_model(PROJECT_ROOT / "config" / "tags.yml", TagFile).tags
    rules: dict[str, list[tuple[Any, ...]]] = {
        "odd": [("city", "not_in", ("it's'); drop table dim_users; --", "Beijing", "成都市"))],
        "not_beijing": [("city", "!=", "Beijing")],
        "no_city": [("city", "is_null"), ("is_identified", "is_true")],
        "never_bought": [("is_buyer", "is_false")],
        "recent": [("last_active_date", ">", date(2024, 6, 1)), ("age", "<=", 40)],
        "dated": [("first_seen_date", "between", (date(2024, 1, 1), date(2024, 3, 31)))],
        "cheap": [("average_order_value", "<", 35.5)],
        "top_third": [("page_views", "top_share", 0.33), ("level", ">=", 2)],
        "pushed": [("consent_push", "=", True), ("city_tier_zh", "in", ("一线城市", "新一线城市"))],
        "reads": [("interest_2", "is_not_null")],
    }
    assert all(condition[0] in persona_columns() for rule in rules.values() for condition in rule)
    return [*shipped] + [
        Tag(
            id=name, name_en=f"It's {name}", name_zh="测试'标签", group="test", shows="city" if name == "odd" else None,
            rule=tuple(
                Condition(column=column, op=op, value=value[0] if value else None) for column, op, *value in rule
            ),
        )
        for name, rule in rules.items()
    ]  # fmt: skip


def _holds(condition: Condition, persona: Row, everybody: list[Row]) -> bool:
    found, values = persona[condition.column], condition.values
    if condition.op == "is_null":
        return found is None
    if found is None:
        return False
    if condition.op == "top_share":
        column = condition.column
        ranked = sorted(
            (-row[column], row["user_id"]) for row in everybody if row[column] is not None and row[column] > 0
        )
        first = math.ceil(round(len(ranked) * float(values[0]), 6))  # type: ignore[arg-type]
        return (-found, persona["user_id"]) in ranked[:first]
    found = float(found) if condition.value_type == "number" else found
    return {
        "=": lambda: found == values[0], "!=": lambda: found != values[0], "in": lambda: found in values,
        "not_in": lambda: found not in values, ">=": lambda: found >= values[0], ">": lambda: found > values[0],
        "<=": lambda: found <= values[0], "<": lambda: found < values[0],
        "between": lambda: values[0] <= found <= values[1], "is_not_null": lambda: True,
        "is_true": lambda: found is True, "is_false": lambda: found is False,
    }[condition.op]()  # fmt: skip


def _marts_asked() -> set[str]:
    """Marts that the questions read."""
    text = QUESTIONS.read_text(encoding="utf-8")
    marts = {file.stem for file in (PROJECT_ROOT / "dbt_project" / "models" / "marts").rglob("*.sql")}
    return {name for name in re.findall(r"(?:from|join)\s+(\w+)", text) if name in marts}


def _rows(warehouse: Any, sql: str) -> list[Row]:
    names = [row[0] for row in warehouse.query(f"describe {sql}")]
    return [dict(zip(names, row, strict=True)) for row in warehouse.query(sql)]


def _moment(rng: random.Random, days: int) -> datetime:
    return datetime(2023, 11, 1) + timedelta(days=rng.randrange(days), seconds=rng.randrange(86_400))


def _day(utc: datetime) -> date:
    return (utc + timedelta(hours=8)).date()
