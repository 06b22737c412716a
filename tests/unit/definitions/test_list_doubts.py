"""What the commands say of a decision that will change nothing: against a published file with three users."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from userops.definitions.list_doubts import doubts_about
from userops.definitions.list_overrides import Decision


@pytest.fixture
def settings(instance):
    settings = instance()
    path = settings.paths.published_duckdb
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            """
            create table dim_users as select unnest(['scored', 'once scored', 'silent', 'long silent']) as user_id;
            create table fct_churn_scores as
            select * from (values ('scored', date '2024-05-02'), ('once scored', date '2024-05-01')) as scores (
                user_id, as_of_date
            );
            create table dim_user_personas as
            select * from (
                values ('scored', 3), ('once scored', null), ('silent', 45), ('long silent', 400)
            ) as personas (user_id, days_since_last_active)
            """
        )
    return settings


def decision(user_id: str, list_name: str = "churn_warning", action: str = "add") -> Decision:
    return Decision(list_name, user_id, action, date(2024, 5, 3), None, "ann", "")


@pytest.mark.parametrize(
    ("user_id", "list_name", "told"),
    [
        ("scored", "churn_warning", []),
        ("once scored", "churn_warning", ["no churn score"]),
        ("silent", "winback", []),
        ("scored", "winback", ["silent for 30 to 365 days"]),
        ("long silent", "winback", ["silent for 30 to 365 days"]),
        ("once scored", "both", ["no churn score", "silent for 30 to 365 days"]),
        ("silent", "both", ["no churn score"]),
        ("nobody", "both", ["No user `nobody`"]),
    ],
)
def test_who_cannot_be_on_the_list_just_now(settings, user_id, list_name, told):
    found = doubts_about(settings, decision(user_id, list_name))
    assert len(found) == len(told)
    assert all(part in text for part, text in zip(told, found, strict=True))


def test_keeping_somebody_off_who_is_not_on_is_no_mistake(settings):
    assert doubts_about(settings, decision("once scored", "both", action="remove")) == []
    assert len(doubts_about(settings, decision("nobody", action="remove"))) == 1


def test_before_anything_is_published_nothing_is_known(settings):
    settings.paths.published_duckdb.unlink()
    assert doubts_about(settings, decision("nobody")) == []
