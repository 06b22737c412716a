"""What is expected of who the users are: dim_users, dim_user_personas."""

from __future__ import annotations

from expectations.checks import Suite, between, exists_in, where
from expectations.tables import Tables


def suites(tables: Tables) -> list[Suite]:
    """Return the suites of this domain for the tables that are built."""
    found = tables.suite(
        "dim_users", "Users", "用户维表", ["user_id"],
        [
            tables.not_after("first_seen_date"),
            tables.not_after("last_active_date"),
            where("first_active_date > last_active_date", ("first_active_date", "last_active_date"),
                  "the first active day is not after the last", "首次活跃日不晚于最近活跃日"),
            where("active_days = 0 and last_active_date is not null or active_days > 0 and last_active_date is null",
                  ("active_days", "last_active_date"),
                  "a user has a last active day exactly when there are active days", "有活跃天数才有最近活跃日"),
            between("active_days", "active_days is not negative", "活跃天数不为负", minimum=0),
            between("orders", "orders is not negative", "订单数不为负", minimum=0),
        ],
    )  # fmt: skip
    if tables.has("dim_users"):
        found += tables.suite(
            "dim_user_personas", "Personas", "用户画像", ["user_id"],
            [exists_in("user_id", tables.sql("dim_users"), "user_id",
                       "every persona is a user of dim_users", "画像用户都在用户维表中")],
        )  # fmt: skip
    return found
