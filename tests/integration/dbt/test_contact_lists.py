"""The lists, day by day on a warehouse of that day, and all at once: the same lists; and what operators sent back."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from typing import Any

import pytest

FIRST_DAY = date(2024, 1, 1)
LIST_DAYS = (100, 101, 102)
USERS = [f"u{number}" for number in range(60)]
LISTS = (
    "int_contact_lists", "churn_warning_list", "winback_list", "agg_list_suppressions", "agg_winback_triggers",
    "export_churn_warning_list", "export_winback_list",
)  # fmt: skip
SELECTED = ("--select", "+export_churn_warning_list", "+export_winback_list", "+agg_list_suppressions",
            "+agg_outreach_effect", "+fct_outreach")  # fmt: skip
OUTREACH = {
    "teams": [
        {"name": "north", "regions": ["north"], "channels": [], "value_tiers": [], "share": None,
         "max_warning_users": 4, "max_winback_users": None},
        {"name": "rest", "regions": [], "channels": [], "value_tiers": [], "share": None,
         "max_warning_users": None, "max_winback_users": None},
    ],
    "holdout": {"share": 0.2, "salt": "test", "window": "year"},
    "suppression": {"contacted_days": 14, "complaint_kinds": ["complaint"], "open_statuses": ["open"],
                    "complaint_max_days": 90},
    "effect": {"window_days": 1, "interval_z": 1.959964},
}  # fmt: skip


@pytest.fixture(scope="module")
def world() -> dict[str, list[dict[str, Any]]]:
    """Sixty users, some of whom fell silent; all that was ever delivered, with what was known when in its times."""
    rng = random.Random(5)
    orders, users = [], []
    for number, user in enumerate(USERS):
        rhythm, last = rng.choice([2, 3, 5, 12]), rng.choice([35, 60, 85, 95, 98, 101, 102])
        if user == "u2":
            rhythm, last = 3, 95
        days = [day for day in range(rng.randrange(6), last, rhythm) if not (number % 4 == 0 and 30 < day < 65)]
        if number % 7 == 0:
            days.append(101)  # back between two lists
        for day in days:
            orders.append(
                {"order_id": f"o{user}-{day}", "user_id": user, "order_time": _moment(day), "gross_amount": 10 + number,
                 "coupon_code": "back" if number % 4 == 0 else None, "channel": "app"}
            )  # fmt: skip
        users.append({"user_id": user, "region": "north" if number % 3 else "south", "consent_push": number % 11 != 5,
                      "consent_sms": False, "consent_email": False, "updated_at": _moment(1)})  # fmt: skip
    users.append({"user_id": "u1", "consent_push": False, "consent_sms": False, "consent_email": False,
                  "updated_at": _moment(101, 60)})  # fmt: skip
    feedback = [
        {"feedback_id": "f1", "user_id": "u2", "feedback_time": _moment(99), "kind": "complaint", "status": "open",
         "updated_at": _moment(99)},
        {"feedback_id": "f1", "user_id": "u2", "feedback_time": _moment(99), "kind": "complaint", "status": "closed",
         "resolved_at": _moment(102), "updated_at": _moment(102)},
    ]  # fmt: skip
    outreach = [
        {"outreach_id": f"c{user}", "user_id": user, "outreach_time": _moment(101, 3600), "contacted": True}
        for user in USERS[20:40]
    ]
    return {"orders": orders, "users": users, "feedback": feedback, "outreach": outreach}


def test_lists_day_by_day_are_those_made_at_once(lake: Any, warehouse: Any, world: Any) -> None:
    _fill(lake, world)
    settings = {
        "outreach": OUTREACH,
        "warning_list": {**warehouse.settings.warning_list.model_dump(mode="json"), "max_users": 10},
    }
    for day in LIST_DAYS:
        warehouse.run(_day(day), *SELECTED, **settings)
    day_by_day = {name: warehouse.query(f"from {name} order by all") for name in LISTS}
    handed_out = _facts(warehouse)
    assert handed_out == {
        "a team keeps to its limit": True, "somebody is held out": True, "nobody held out is handed out": True,
        "somebody stays": True, "somebody leaves after coming back": True, "the contacted are left alone": True,
        "the complaint was open and then settled": [("complaint_open", 100), ("complaint_open", 101)],
        "put on by hand": [("u59", 101), ("u59", 102)],
        "nobody is on both lists": True, "someone is on the win-back list": True, "both lists have their reasons": True,
    }  # fmt: skip
    effect = warehouse.query(
        "select listed_users + holdout_users from agg_outreach_effect where segment_type = 'all' order by list_name"
    )
    assert effect, "the lists of the first two days are over"
    assert all(users > 0 for (users,) in effect)
    contacts = warehouse.query("select count(*), count(list_name), bool_or(is_on_list) from fct_outreach")
    assert contacts[0][0] == 20
    assert contacts[0][1] > 0, "an export that names no list gets the one the user was on"

    warehouse.reset()
    warehouse.run(_day(LIST_DAYS[-1]), *SELECTED, **settings)
    different = [name for name in LISTS if warehouse.query(f"from {name} order by all") != day_by_day[name]]
    assert different == []

    warehouse.run(_day(LIST_DAYS[-1]), "--select", "+export_crm_contacts", **settings)
    assert _contacts_told_otherwise(warehouse) == []
    paths = (
        "intermediate/outreach", "marts/outreach", "marts/churn/fct_churn_scores.sql",
        "marts/churn/churn_warning_list.sql", "marts/churn/winback_list.sql", "exports",
    )  # fmt: skip
    tests = warehouse.run(
        _day(LIST_DAYS[-1]), "--select", *(f"path:models/{path}" for path in paths), command="test", **settings
    )
    assert sum(result.node.resource_type == "unit_test" for result in tests) >= 10


def _contacts_told_otherwise(warehouse: Any) -> list[Any]:
    """Return the users of whom the CRM would hear something else than operators do."""
    today = f"as_of_date = date '{_day(LIST_DAYS[-1])}'"
    handed_out = " union all ".join(
        f"select user_id, '{name}' as on_list from export_{name}_list where {today}"
        for name in ("churn_warning", "winback")
    )
    told = warehouse.query("select on_list, count(*) from export_crm_contacts where on_list is not null group by all")
    assert {name for name, _ in told} == {"churn_warning", "winback"}
    return warehouse.query(
        f"select user_id, contacts.on_list, lists.on_list from export_crm_contacts as contacts "
        f"full join ({handed_out}) as lists using (user_id) where contacts.on_list is distinct from lists.on_list"
    )


def _facts(warehouse: Any) -> dict[str, Any]:
    def true(sql: str) -> bool:
        return bool(warehouse.query(f"select {sql}")[0][0])

    warned = "select user_id, as_of_date from churn_warning_list"
    return {
        "a team keeps to its limit": true(
            "max(n) = 4 from (select count(*) as n from export_churn_warning_list where team = 'north' "
            "group by as_of_date)"
        ),
        "somebody is held out": true("count(*) > 0 from churn_warning_list where is_holdout"),
        "nobody held out is handed out": true(
            "count(*) = 0 from export_churn_warning_list semi join (from churn_warning_list where is_holdout) "
            "using (user_id, as_of_date)"
        ),
        "somebody stays": true("max(days_on_list) = 3 from churn_warning_list"),
        "somebody leaves after coming back": true(
            "count(*) > 0 from agg_list_suppressions "
            f"where reason = 'active_again' and as_of_date >= date '{_day(101)}'"
        ),
        "the contacted are left alone": true(
            "count(*) = 0 from export_churn_warning_list semi join fct_outreach using (user_id) "
            f"where as_of_date > date '{_day(100)}'"
        ),
        "the complaint was open and then settled": [
            (reason, (day - FIRST_DAY).days)
            for reason, day in warehouse.query(
                "select suppression_reason, as_of_date from int_contact_lists where user_id = 'u2' "
                "and suppression_reason = 'complaint_open' order by as_of_date"
            )
        ],
        "put on by hand": [
            (user, (day - FIRST_DAY).days)
            for user, day in warehouse.query(f"{warned} where is_manual and not is_holdout order by as_of_date")
        ],
        "nobody is on both lists": true(
            "count(*) = 0 from export_churn_warning_list semi join export_winback_list using (user_id, as_of_date)"
        ),
        "someone is on the win-back list": true("count(*) > 0 from export_winback_list"),
        "both lists have their reasons": true(
            "(select count(*) = count(suggested_action_zh) and count(*) = count(incentive_zh) "
            "from export_winback_list) "
            "and (select count(*) = count(suggested_action_zh) from export_churn_warning_list)"
        ),
    }


def _fill(lake: Any, world: Any) -> None:
    for entity, rows in world.items():
        lake.add_batch(entity, rows)
    lake.set_control("list_overrides", [("churn_warning", "u59", "add", _day(101), None)])
    rng = random.Random(6)
    chance = {user: rng.uniform(0.1, 0.9) for user in USERS} | {"u2": 0.9, "u59": 0.05}
    for day in LIST_DAYS:
        lake.set_scores(
            _day(day),
            [
                {"user_id": user, "churn_probability": chance[user], "raw_score": 0.0,
                 "user_value": 100.0 if user == "u2" else float(10 + number % 13),
                 "reason_1_code": "order_overdue", "reason_1_en": "silent",
                 "reason_1_zh": "沉默"}
                for number, user in enumerate(USERS)
                if _active_lately(user, day, world)
            ],
        )  # fmt: skip


def _active_lately(user: str, day: int, world: Any) -> bool:
    return any(
        row["user_id"] == user and _moment(day - 60) <= row["order_time"] <= _moment(day) for row in world["orders"]
    )


def _day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


def _moment(day: int, seconds: int = 0) -> datetime:
    """UTC time of a local (Asia/Shanghai) day: 00:00 local plus some seconds."""
    return datetime(2023, 12, 31, 16) + timedelta(days=day, seconds=seconds)
