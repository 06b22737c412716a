"""What is expected of cohorts: who comes back, who buys again, what goes with it, and whom users bring along."""

from __future__ import annotations

from expectations.checks import Check, Suite, between, in_set, no_rows, where
from expectations.tables import Tables


def suites(tables: Tables) -> list[Suite]:
    """Return the suites of this domain for the tables that are built."""
    return [*_cohorts(tables), *_purchases(tables), *_activation(tables), *_referrals(tables)]


def _cohorts(tables: Tables) -> list[Suite]:
    return tables.suite(
        "agg_retention_cohorts", "Retention of cohorts", "群组留存",
        ["grain", "cohort_kind", "cohort_start", "segment_type", "segment_value", "period_number"],
        [
            tables.not_after("period_start"),
            in_set("grain", ("day", "week", "month"), "grain is day, week or month", "粒度为日、周、月之一"),
            in_set("cohort_kind", ("first_ever", "recurring"), "cohort_kind is one of the two", "群组类型为两种之一"),
            where("retained_users > retained_unbounded or retained_unbounded > cohort_users",
                  ("retained_users", "retained_unbounded", "cohort_users"),
                  "retained <= retained or later <= cohort", "当期留存 <= 无界留存 <= 群组人数"),
            where("period_number = 0 and retained_users <> cohort_users", ("retained_users", "cohort_users"),
                  "period 0 is 100 %", "第 0 期留存为 100 %"),
            *_cohorts_agree_with_growth(tables),
        ],
    )  # fmt: skip


def _cohorts_agree_with_growth(tables: Tables) -> list[Check]:
    if not tables.has("agg_growth_accounting"):
        return []
    return [
        no_rows(
            "with cohorts as (select grain, period_start, "
            "sum(cohort_users) filter (cohort_kind = 'first_ever' and period_number = 0) as new_users, "
            "sum(cohort_users) filter (cohort_kind = 'recurring' and period_number = 0) as active_users, "
            "sum(retained_users) filter (cohort_kind = 'recurring' and period_number = 1) as returning_users "
            "from {batch} where segment_type = 'all' group by grain, period_start) "
            "select grain, period_start, growth.new_users, cohorts.new_users as new_users_in_cohorts, "
            "growth.active_users, cohorts.active_users as active_users_in_cohorts, "
            "growth.returning_users, cohorts.returning_users as returning_users_in_cohorts "
            f"from {tables.sql('agg_growth_accounting')} as growth left join cohorts using (grain, period_start) "
            "where growth.new_users <> coalesce(cohorts.new_users, 0) "
            "or growth.active_users <> coalesce(cohorts.active_users, 0) "
            "or growth.returning_users <> coalesce(cohorts.returning_users, 0)",
            ("cohort_users", "retained_users"),
            "cohorts are the new and active users of growth accounting, and their next period its returning users",
            "群组人数与次期留存等于增长核算的新增、活跃与持续活跃",
        )
    ]


def _purchases(tables: Tables) -> list[Suite]:
    found = tables.suite(
        "agg_repeat_purchase", "Repeat purchase", "复购",
        ["cohort_month", "segment_type", "segment_value", "horizon_days"],
        [
            tables.not_after("cohort_month"),
            where("repeat_buyers > buyers", ("repeat_buyers", "buyers"),
                  "those who buy again have bought", "复购用户不多于首购用户"),
            no_rows(
                "select * from (select *, lag(repeat_buyers) over (partition by cohort_month, segment_type, "
                "segment_value order by horizon_days) as repeat_buyers_before from {batch}) as horizons "
                "where repeat_buyers < repeat_buyers_before",
                ("repeat_buyers",), "a longer horizon has no fewer repeat buyers", "观察期越长复购用户不减少"),
        ],
    )  # fmt: skip
    found += tables.suite(
        "agg_purchase_numbers", "Purchases by number", "购买次数", ["purchase_number"],
        [
            between("purchase_number", "counting begins with 1", "次数从 1 开始", minimum=1),
            no_rows(
                "select * from (select *, lag(buyers) over (order by purchase_number) as buyers_before from {batch}) "
                "as numbers where buyers > buyers_before",
                ("buyers",), "no more buyers reach a number than the one before", "达到更高次数的用户不增加"),
        ],
    )  # fmt: skip
    return found


def _activation(tables: Tables) -> list[Suite]:
    return tables.suite(
        "agg_activation_candidates", "Activation candidates", "激活候选行为",
        ["behaviour_kind", "behaviour", "min_times"],
        [
            where("users_with + users_without <> new_users", ("users_with", "users_without", "new_users"),
                  "with + without = all new users", "有该行为 + 无该行为 = 全部新用户"),
            where("retained_with > users_with or retained_without > users_without",
                  ("retained_with", "retained_without"), "the retained are some of all", "留存用户不多于用户"),
            where("risk_difference not between risk_difference_low and risk_difference_high "
                  "or risk_difference_low < -1 or risk_difference_high > 1",
                  ("risk_difference_low", "risk_difference", "risk_difference_high"),
                  "the interval holds the difference", "置信区间包含差值"),
        ],
    )  # fmt: skip


def _referrals(tables: Tables) -> list[Suite]:
    return tables.suite(
        "agg_referrals", "Referrals", "邀请", ["grain", "period_start"],
        [
            tables.not_after("period_start"),
            in_set("grain", ("month", "total"), "grain is month or total", "粒度为月或总计"),
            where("inviters > invitees or active_invitees > invitees or paying_invitees > active_invitees "
                  "or invitees > new_users",
                  ("inviters", "invitees", "active_invitees", "paying_invitees", "new_users"),
                  "new users >= invited >= active >= paying", "新用户 >= 被邀请 >= 活跃 >= 付费"),
        ],
    )  # fmt: skip
