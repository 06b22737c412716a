"""What is expected of what users were sent and what they said: campaign touches and feedback."""

from __future__ import annotations

from expectations.checks import Suite, not_null, where
from expectations.tables import Tables


def suites(tables: Tables) -> list[Suite]:
    """Return the suites of this domain for the tables that are built."""
    found = tables.suite(
        "fct_campaign_touches", "Campaign touches", "营销触达", ["touch_id", "touch_date"],
        [
            tables.not_after("touch_date"),
            not_null("campaign_id", "every touch belongs to a campaign", "每次触达都属于一个活动"),
            not_null("user_id", "every touch has a user", "每次触达都有用户"),
            where("(touch_date is null) <> (touched_at is null)", ("touch_date", "touched_at"),
                  "a touch has a business date exactly when it has a time", "有触达时间才有业务日期"),
        ],
        nullable=["touch_date"],
    )  # fmt: skip
    found += tables.suite(
        "fct_feedback", "Feedback", "用户反馈", ["feedback_id"],
        [
            tables.not_after("feedback_date"),
            not_null("user_id", "every feedback has a user", "每条反馈都有用户"),
        ],
    )  # fmt: skip
    return found
