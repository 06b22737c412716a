"""Who gets what, and what of it is due."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tests.unit.lists.make import DAY, TYPES, make_list
from userops.delivery.plan import destinations, masked, plan
from userops.delivery.published import PublishedList
from userops.delivery.settings import DeliverySettings
from userops.ingest.ledger import Delivery

SETTINGS = DeliverySettings.model_validate(
    {
        "email": {
            "enabled": True, "host": "mail", "sender": "userops@example.com",
            "recipients": {
                "churn_warning": {"all": ["boss@example.com"], "teams": {"north": ["n@example.com", "m@example.com"]}}
            },
        },
        "robots": {
            "group": {"platform": "wecom", "lists": ["churn_warning", "winback"]},
            "off": {"platform": "wecom", "enabled": False},
        },
    }
)  # fmt: skip


def published(content):
    return {"churn_warning": PublishedList(content, Path("x"), {})}


def delivery(planned, sent, state="sent"):
    return Delivery(
        "churn_warning", DAY, planned.destination.name, state, planned.fingerprint, sent, 1, 1, datetime(2026, 6, 30)
    )


def test_everybody_who_is_switched_on_is_a_destination_of_their_own():
    found = [(item.list_name, item.address, item.robot, item.team) for item in destinations(SETTINGS)]
    assert found == [
        ("churn_warning", "boss@example.com", None, None),
        ("churn_warning", "n@example.com", None, "north"),
        ("churn_warning", "m@example.com", None, "north"),
        ("churn_warning", None, "group", None),
        ("winback", None, "group", None),
    ]
    names = [item.name for item in destinations(SETTINGS)]
    assert not [name for name in names if "boss@" in name]
    assert len({(item.list_name, item.name) for item in destinations(SETTINGS)}) == 5


def test_two_addresses_that_look_alike_masked_are_two():
    assert masked("alice@example.com") != masked("anna@example.com")
    assert masked("alice@example.com").startswith("a***@example.com#")


def test_what_is_due_follows_what_arrived():
    content = make_list({"team": "north"}, {"team": "south"})
    first, _ = plan(SETTINGS, published(content), [], again=False)
    assert [item.action for item in first] == ["new"] * 4
    known = [delivery(first[0], first[0].fingerprint), delivery(first[1], "older"), delivery(first[2], None, "failed")]
    later, _ = plan(SETTINGS, published(content), known, again=False)
    assert [item.action for item in later] == ["unchanged", "updated", "new", "new"]
    asked, _ = plan(SETTINGS, published(content), known, again=True)
    assert [item.action for item in asked] == ["again", "updated", "new", "new"]


def test_a_team_is_told_again_only_when_its_own_rows_change():
    before, _ = plan(SETTINGS, published(make_list({"team": "north"}, {"team": "south"})), [], again=False)
    known = [delivery(item, item.fingerprint) for item in before]
    changed = make_list({"team": "north"}, {"team": "south", "risk_band": "low"})
    later, _ = plan(SETTINGS, published(changed), known, again=False)
    assert [item.action for item in later] == ["updated", "unchanged", "unchanged", "updated"]


def test_who_gets_nothing_is_told():
    types = {name: kind for name, kind in TYPES.items() if name != "team"}
    planned, warnings = plan(SETTINGS, published(make_list({}, types=types)), [], again=False)
    assert len(planned) == 2
    assert sum("has no teams" in warning for warning in warnings) == 2
    assert [warning for warning in warnings if "winback is not published" in warning]


@pytest.mark.parametrize(("everybody", "expected"), [([], 2), (["boss@example.com"], 0)])
def test_rows_of_teams_without_a_recipient_are_told(everybody, expected):
    teams_only = DeliverySettings.model_validate(
        {
            "email": {
                "enabled": True, "host": "mail", "sender": "userops@example.com",
                "recipients": {"churn_warning": {"all": everybody, "teams": {"north": ["n@example.com"]}}},
            }
        }
    )  # fmt: skip
    content = make_list({"team": "north"}, {"team": "south"}, {})
    _, warnings = plan(teams_only, published(content), [], again=False)
    assert sum("go to nobody" in warning for warning in warnings) == expected
