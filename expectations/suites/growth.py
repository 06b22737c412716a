"""What is expected of growth accounting, whole and by segment, and of the product's own stage."""

from __future__ import annotations

from expectations.checks import Check, Suite, in_set, no_rows, where
from expectations.tables import Tables

FIGURES = ("new_users", "returning_users", "resurrecting_users", "dormant_users", "active_users")
PRODUCT_STAGES = ("cold_start", "growth", "maturity", "decline")
PROBLEMS = ("acquisition", "activation", "conversion", "retention", "recall", "none")


def suites(tables: Tables) -> list[Suite]:
    """Return the suites of this domain for the tables that are built."""
    return [*_accounts(tables), *_accounts_by_segment(tables), *_product_stage(tables)]


def _accounts(tables: Tables) -> list[Suite]:
    return tables.suite(
        "agg_growth_accounting", "Growth accounting", "增长核算", ["grain", "period_start"],
        [
            tables.not_after("period_start"),
            in_set("grain", ("day", "week", "month"), "grain is day, week or month", "粒度为日、周、月之一"),
            where(f"least({', '.join(FIGURES)}) < 0", FIGURES, "no negative number of users", "用户数不为负"),
            where("new_users + returning_users + resurrecting_users <> active_users", FIGURES[:3],
                  "new + returning + resurrecting = active", "新增 + 持续活跃 + 复活 = 活跃"),
            no_rows(
                "select * from (select *, lag(active_users) over (partition by grain order by period_start) "
                "as active_before from {batch}) as periods "
                "where active_before is not null and dormant_users <> active_before - returning_users",
                ("dormant_users", "returning_users", "active_users"),
                "dormant = active of the period before - returning", "沉睡 = 上期活跃 - 留存"),
            *_agrees_with_active_days(tables),
        ],
    )  # fmt: skip


def _accounts_by_segment(tables: Tables) -> list[Suite]:
    return tables.suite(
        "agg_growth_accounting_by_segment", "Growth accounting by segment", "分群增长核算",
        ["segment_type", "segment_value", "grain", "period_start"],
        [
            tables.not_after("period_start"),
            where("new_users + returning_users + resurrecting_users <> active_users", FIGURES[:3],
                  "new + returning + resurrecting = active", "新增 + 持续活跃 + 复活 = 活跃"),
            no_rows(
                "select * from (select *, lag(active_users) over (partition by segment_type, segment_value, grain "
                "order by period_start) as active_before from {batch}) as periods "
                "where coalesce(active_before, 0) - returning_users <> dormant_users",
                ("dormant_users", "returning_users", "active_users"),
                "dormant = active of the period before - returning, in each segment", "各分群：沉睡 = 上期活跃 - 留存"),
            *_segments_add_up(tables),
        ],
    )  # fmt: skip


def _segments_add_up(tables: Tables) -> list[Check]:
    if not tables.has("agg_growth_accounting"):
        return []
    sums = ", ".join(f"sum({figure}) as {figure}" for figure in FIGURES)
    differs = " or ".join(f"growth.{figure} is distinct from segments.{figure}" for figure in FIGURES)
    return [
        no_rows(
            f"with segments as (select segment_type, grain, period_start, {sums} from {{batch}} group by all), "
            "types as (select distinct segment_type from {batch}) "
            "select types.segment_type, growth.grain, growth.period_start, growth.active_users, "
            "segments.active_users as active_users_of_segments "
            f"from {tables.sql('agg_growth_accounting')} as growth cross join types "
            "left join segments using (segment_type, grain, period_start) "
            f"where {differs}",
            FIGURES,
            "the segments of each type add up to growth accounting",
            "各维度分群之和等于整体增长核算",
        )
    ]


def _product_stage(tables: Tables) -> list[Suite]:
    return tables.suite(
        "dim_product_stage", "Product stage", "产品阶段", ["month_start"],
        [
            tables.not_after("month_start"),
            in_set("stage", PRODUCT_STAGES, "stage is one of the four", "阶段为约定的四种之一"),
            in_set("principal_problem", PROBLEMS,
                   "principal problem is one of the five, or none", "主要问题为五种之一或无"),
            where("new_users + returning_users + resurrecting_users <> mau", ("new_users", "returning_users", "mau"),
                  "new + returning + resurrecting = MAU", "新增 + 持续活跃 + 复活 = 月活"),
            where("activated_users > new_users or paying_users > mau or resurrecting_users > dormant_before",
                  ("activated_users", "paying_users", "resurrecting_users"),
                  "no part is larger than its whole", "部分不大于整体"),
            where("not is_complete and month_start <> (select max(month_start) from {batch})", ("is_complete",),
                  "only the last month may still run", "仅最后一个月可以未结束"),
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
