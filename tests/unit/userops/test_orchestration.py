"""A step inside Airflow: which date it works for, and what is tried again."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from userops import orchestration
from userops.errors import (
    DeliveryDelayedError,
    DeliveryError,
    GateError,
    LockedError,
    PublishDelayedError,
    UseropsError,
)
from userops.ingest.ledger import LedgerUnavailableError
from userops.steps import StepReport

END = datetime(2026, 6, 29, 19, 0, tzinfo=UTC)  # 03:00 of the 30th in Shanghai


@pytest.fixture
def step(monkeypatch, instance):
    """Make the next step do what the test says, and record what it was asked."""
    instance()
    asked = []

    def behave(outcome):
        def run_step(name, context, patience_seconds):
            assert patience_seconds >= 3600
            asked.append((name, context.as_of, context.source))
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(orchestration, "run_step", run_step)
        return asked

    return behave


def test_a_step_works_for_the_day_that_ended_and_reports_plain_values(step):
    asked = step(StepReport("done", counts={"rows": 3}))
    report = orchestration.run_task_step("build", END)
    assert asked == [("build", date(2026, 6, 29), None)]
    assert report == {"summary": "done", "counts": {"rows": 3}, "outputs": {}, "warnings": []}


def test_a_step_for_one_source_is_told_which(step):
    asked = step(StepReport("done"))
    orchestration.run_task_step("source_health", END, "shop_events")
    assert asked == [("source_health", date(2026, 6, 29), "shop_events")]


def test_unusable_settings_are_not_tried_again(step, instance):
    from airflow.sdk.exceptions import AirflowFailException

    step(StepReport("done"))
    (instance().config / "userops.yml").write_text("project: {time_zone: Asia/Shanghai}", encoding="utf-8")
    with pytest.raises(AirflowFailException, match="did you mean"):
        orchestration.run_task_step("build", END)


def test_a_red_source_is_not_tried_again(step):
    from airflow.sdk.exceptions import AirflowFailException

    step(UseropsError("source `shop`", "a held file", "a file let through", "correct the mapping"))
    with pytest.raises(AirflowFailException, match="source `shop`: found a held file"):
        orchestration.run_task_step("source_health", END, "shop")


def test_what_a_person_must_mend_is_not_tried_again(step):
    from airflow.sdk.exceptions import AirflowFailException

    step(GateError("gate marts", "3 rows", "none", "mend them"))
    with pytest.raises(AirflowFailException, match="GateError: gate marts: found 3 rows"):
        orchestration.run_task_step("gate_marts", END)


@pytest.mark.parametrize(
    "error",
    [
        LockedError("lock", "held", "free", "wait"), OSError("disk"),
        LedgerUnavailableError("ledger", "connection refused", "a server", "wait"),
        PublishDelayedError("PostgreSQL", "connection refused", "a server", "wait"),
    ],
)  # fmt: skip
def test_what_may_pass_and_a_crash_are_tried_again(step, error):
    step(error)
    with pytest.raises(type(error)):
        orchestration.run_task_step("load", END)


def test_a_run_without_a_data_interval_says_so(step):
    from airflow.sdk.exceptions import AirflowFailException

    step(StepReport("done"))
    with pytest.raises(AirflowFailException, match="logical date"):
        orchestration.run_task_step("load", None)


def test_a_delivery_is_tried_again_only_when_it_may_work_later(step):
    from airflow.sdk.exceptions import AirflowFailException

    step(DeliveryDelayedError("deliver", "HTTP 503", "an answer", "wait"))
    with pytest.raises(DeliveryDelayedError):
        orchestration.run_task_step("deliver", END)
    step(DeliveryError("deliver", "login refused", "a login", "correct the password"))
    with pytest.raises(AirflowFailException, match="login refused"):
        orchestration.run_task_step("deliver", END)
