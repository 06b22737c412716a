"""What is expected of who the users are: dim_users."""

from __future__ import annotations

from expectations.checks import Check, Suite, between, where
from expectations.tables import Tables


def suites(tables: Tables) -> list[Suite]:
    """Return the suites of this domain for the tables that are built."""
    return tables.suite(
        "dim_users", "Users", "用户维表", ["user_id"],
        [
            tables.not_after("first_seen_date"),
            tables.not_after("last_active_date"),
            where("first_seen_date > first_active_date", ("first_seen_date", "first_active_date"),
                  "nobody is active before being seen", "首次活跃不早于首次出现"),
            where("first_active_date > last_active_date", ("first_active_date", "last_active_date"),
                  "the first active day is not after the last", "首次活跃日不晚于最近活跃日"),
            where("active_days = 0 and last_active_date is not null or active_days > 0 and last_active_date is null",
                  ("active_days", "last_active_date"),
                  "a user has a last active day exactly when there are active days", "有活跃天数才有最近活跃日"),
            between("active_days", "active_days is not negative", "活跃天数不为负", minimum=0),
            between("orders", "orders is not negative", "订单数不为负", minimum=0),
        ],
    )  # fmt: skip


def known_users(tables: Tables, today: str) -> list[Check]:
    """Return the check that users of today's rows are in dim_users; `today` is the condition for these rows.

    Today's only: since an earlier date a visitor may have become a user, or an account another person's.
    """
    if not tables.has("dim_users"):
        return []
    return [
        where(
            f"{today} and user_id not in (select user_id from {tables.sql('dim_users')})",
            ("user_id",), "everybody of today is in dim_users", "当日用户都在用户维表中",
        )
    ]  # fmt: skip
