"""What is expected of churn scores and of the churn-warning list."""

from __future__ import annotations

from expectations.checks import Check, Suite, in_set, no_rows, not_null, unique, where
from expectations.tables import Tables
from userops.config import WarningListSettings


def suites(tables: Tables, limits: WarningListSettings) -> list[Suite]:
    """Return the suites of this domain for the tables that are built.

    Args:
        limits: what the instance lets onto its warning list.
    """
    today = f"as_of_date = date '{tables.as_of.isoformat()}'"
    users = _known_users(tables, today)
    found = tables.suite(
        "fct_churn_scores", "Churn scores", "流失评分", ["user_id", "as_of_date", "model_version"],
        [
            tables.not_after("as_of_date"),
            *_probability(),
            *users,
            *_reasons_in_both_languages(),
        ],
    )  # fmt: skip
    found += tables.suite(
        "churn_warning_list", "Churn-warning list", "流失预警名单", ["as_of_date", "user_id"],
        [
            tables.not_after("as_of_date"),
            *_probability(),
            where(f"{today} and churn_probability < {limits.min_probability}", ("churn_probability",),
                  f"nobody below probability {limits.min_probability} on today's list",
                  f"当日名单的流失概率不低于 {limits.min_probability}"),
            in_set("risk_band", ("low", "medium", "high"), "risk band is low, medium or high",
                   "风险等级为 low、medium、high 之一"),
            unique(["as_of_date", "rank"], "no rank twice", "名次不重复"),
            no_rows(
                "select as_of_date, min(rank) as first_rank, max(rank) as last_rank, count(*) as listed "
                "from {batch} group by as_of_date having min(rank) <> 1 or max(rank) <> count(*)",
                ("rank",), "ranks run from 1 without a gap", "名次从 1 开始连续"),
            no_rows(
                "select as_of_date, count(*) as listed from {batch} "
                f"where {today} group by as_of_date having count(*) > {limits.max_users}",
                ("rank",), f"at most {limits.max_users} users on today's list",
                f"当日名单不超过 {limits.max_users} 人"),
            no_rows(
                "select * from (select *, lag(expected_loss) over (partition by as_of_date order by rank) "
                "as loss_before from {batch}) as ranked where expected_loss > loss_before",
                ("rank", "expected_loss"), "ranked by expected loss, highest first", "按预期损失从高到低排序"),
            *users,
            *_reasons(),
            where("coalesce(trim(suggested_action_en), '') = '' or coalesce(trim(suggested_action_zh), '') = ''",
                  ("suggested_action_en", "suggested_action_zh"),
                  "every user has a suggested action in English and 中文", "每人都有中英文建议动作"),
        ],
    )  # fmt: skip
    return found


def _known_users(tables: Tables, today: str) -> list[Check]:
    """Today's rows only: a visitor scored earlier may since have become a user with another id."""
    if not tables.has("dim_users"):
        return []
    return [
        where(
            f"{today} and user_id not in (select user_id from {tables.sql('dim_users')})",
            ("user_id",),
            "everybody of today is in dim_users",
            "当日用户都在用户维表中",
        )
    ]


def _probability() -> list[Check]:
    return [
        not_null("churn_probability", "every score has a probability", "流失概率不为空"),
        where(
            "churn_probability < 0 or churn_probability > 1 or isnan(churn_probability::double)",
            ("churn_probability",),
            "a probability lies between 0 and 1",
            "流失概率在 0 与 1 之间",
        ),
    ]


def _reasons_in_both_languages() -> list[Check]:
    """Reasons are told of those nearest to the list only; but then in both languages."""
    return [
        where(
            "(reason_1_en is null) <> (reason_1_zh is null) or trim(reason_1_en) = '' or trim(reason_1_zh) = ''",
            ("reason_1_en", "reason_1_zh"),
            "a reason is told in English and in 中文",
            "原因须同时有中英文",
        )
    ]


def _reasons() -> list[Check]:
    return [
        where(
            "coalesce(trim(reason_1_en), '') = '' or coalesce(trim(reason_1_zh), '') = ''",
            ("reason_1_en", "reason_1_zh"),
            "there is a first reason in English and 中文",
            "至少有一条中英文原因",
        )
    ]
