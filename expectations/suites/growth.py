"""What is expected of growth accounting and daily engagement."""

from __future__ import annotations

from expectations.checks import Check, Suite, in_set, no_rows, where
from expectations.tables import Tables


def suites(tables: Tables) -> list[Suite]:
    """Return the suites of this domain for the tables that are built."""
    figures = ("new_users", "returning_users", "resurrecting_users", "dormant_users", "active_users")
    return tables.suite(
        "agg_growth_accounting", "Growth accounting", "增长核算", ["grain", "period_start"],
        [
            tables.not_after("period_start"),
            in_set("grain", ("day", "week", "month"), "grain is day, week or month", "粒度为日、周、月之一"),
            where(f"least({', '.join(figures)}) < 0", figures, "no negative number of users", "用户数不为负"),
            where("new_users + returning_users + resurrecting_users <> active_users", figures[:3],
                  "new + returning + resurrecting = active", "新增 + 留存 + 回流 = 活跃"),
            no_rows(
                "select * from (select *, lag(active_users) over (partition by grain order by period_start) "
                "as active_before from {batch}) as periods "
                "where active_before is not null and dormant_users <> active_before - returning_users",
                ("dormant_users", "returning_users", "active_users"),
                "dormant = active of the period before - returning", "沉睡 = 上期活跃 - 留存"),
            *_agrees_with_active_days(tables),
        ],
    )  # fmt: skip


def _agrees_with_active_days(tables: Tables) -> list[Check]:
    if not tables.has("fct_user_days"):
        return []
    return [
        no_rows(
            "with days as (select activity_date, count(distinct user_id) as users "
            f"from {tables.sql('fct_user_days')} group by activity_date) "
            "select growth.period_start, growth.active_users, coalesce(days.users, 0) as users_in_user_days "
            "from {batch} as growth left join days on growth.period_start = days.activity_date "
            "where growth.grain = 'day' and growth.active_users <> coalesce(days.users, 0)",
            ("active_users",),
            "active users of a day are those of fct_user_days",
            "每日活跃用户数与用户活跃日表一致",
        )
    ]
