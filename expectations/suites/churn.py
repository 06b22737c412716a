"""What is expected of churn scores and of the churn-warning list."""

from __future__ import annotations

from expectations.checks import Check, Suite, in_set, no_rows, not_null, unique, where
from expectations.suites.users import known_users
from expectations.tables import Tables
from userops.config import OutreachSettings, WarningListSettings, WinbackListSettings
from userops.sqltext import literal

#: Shares of a table's rate columns that have to lie between 0 and 1, and in which order.
_INTERVALS = ("listed_return_rate", "holdout_return_rate")


def suites(
    tables: Tables, limits: WarningListSettings, winback: WinbackListSettings, outreach: OutreachSettings
) -> list[Suite]:
    """Return the suites of this domain for the tables that are built.

    Args:
        limits: what the instance lets onto its warning list.
        winback: what it lets onto its win-back list.
        outreach: its teams and their limits.
    """
    today = f"as_of_date = date '{tables.as_of.isoformat()}'"
    users = known_users(tables, today)
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
            where(f"{today} and days_on_list = 1 and not is_manual and churn_probability < {limits.min_probability}",
                  ("churn_probability",),
                  f"nobody enters today's list below probability {limits.min_probability}",
                  f"当日新入选者的流失概率不低于 {limits.min_probability}"),
            in_set("risk_band", ("low", "medium", "high"), "risk band is low, medium or high",
                   "风险等级为 low、medium、high 之一"),
            *_ranks("expected_loss", "ranked by expected loss, highest first", "按预期损失从高到低排序"),
            _team_limits(today, limits.max_users,
                         {team.name: team.max_warning_users for team in outreach.teams}),
            where("first_warned_on > as_of_date or days_on_list < 1", ("first_warned_on", "days_on_list"),
                  "nobody is warned about later than on the list", "首次预警不晚于名单日期"),
            *users,
            *_reasons(),
            where("coalesce(trim(suggested_action_en), '') = '' or coalesce(trim(suggested_action_zh), '') = ''",
                  ("suggested_action_en", "suggested_action_zh"),
                  "every user has a suggested action in English and 中文", "每人都有中英文建议动作"),
        ],
    )  # fmt: skip
    found += tables.suite(
        "winback_list", "Win-back list", "召回名单", ["as_of_date", "user_id"],
        [
            tables.not_after("as_of_date"),
            where("return_probability <= 0 or return_probability >= 1", ("return_probability",),
                  "a chance to come back lies between 0 and 1", "回流概率在 0 与 1 之间"),
            *_ranks("expected_value", "ranked by expected value, highest first", "按预期价值从高到低排序"),
            _team_limits(today, winback.max_users, {team.name: team.max_winback_users for team in outreach.teams}),
            where("similar_returned > similar_users", ("similar_users", "similar_returned"),
                  "not more similar users came back than there were", "回流的相似用户不多于相似用户"),
            *users,
        ],
    )  # fmt: skip
    if tables.has("churn_warning_list", "winback_list"):
        found += tables.suite(
            "export_winback_list", "Win-back list as handed out", "召回名单（导出）", ["as_of_date", "user_id"],
            [
                _nobody_held_out(tables, "winback_list"),
                no_rows("select user_id from {batch} "
                        f"where {today} and user_id in (select user_id from {tables.sql('churn_warning_list')} "
                        f"where {today} and not is_manual) and not is_manual",
                        ("user_id",), "nobody is on both lists of today", "同一用户不同时出现在两份名单"),
            ],
        )  # fmt: skip
        found += tables.suite(
            "export_churn_warning_list", "Churn-warning list as handed out", "流失预警名单（导出）",
            ["as_of_date", "user_id"],
            [_nobody_held_out(tables, "churn_warning_list")],
        )  # fmt: skip
    return found + _outreach(tables)


def _outreach(tables: Tables) -> list[Suite]:
    found = tables.suite(
        "agg_list_suppressions", "Users left alone", "名单免打扰统计", ["list_name", "as_of_date", "reason"],
        [
            tables.not_after("as_of_date"),
            where("users < 1", ("users",), "every reason has users", "每个原因至少一人"),
        ],
    )  # fmt: skip
    found += tables.suite(
        "agg_winback_triggers", "What preceded returns", "回流诱因",
        ["as_of_date", "value_tier", "silence_band", "trigger_kind", "trigger_value"],
        [
            tables.not_after("as_of_date"),
            where("returns_after > similar_returns", ("returns_after", "similar_returns"),
                  "a part is not more than the whole", "部分不大于整体"),
        ],
    )  # fmt: skip
    found += tables.suite(
        "fct_outreach", "Outreach", "触达记录", ["outreach_id"],
        [
            tables.not_after("outreach_date"),
            where("returned_on <= outreach_date", ("returned_on", "outreach_date"),
                  "a return follows the contact", "回流在触达之后"),
            where("is_holdout and is_contacted", ("user_id", "list_date"),
                  "nobody held out is contacted: the comparison is spoilt", "对照组未被触达，否则无法比较", "flag"),
        ],
    )  # fmt: skip
    found += tables.suite(
        "agg_outreach_effect", "Effect of the lists", "触达效果",
        ["list_name", "experiment_from", "segment_type", "segment_value"],
        [
            where("listed_returned > listed_users or holdout_returned > holdout_users "
                  "or contacted_users > listed_users or contacted_returned > contacted_users",
                  ("listed_users", "holdout_users"), "no part is more than its whole", "部分不大于整体"),
            *(where(f"not ({rate}_low <= {rate} and {rate} <= {rate}_high)", (rate,),
                    f"{rate} lies within its interval", f"{rate} 在其区间内") for rate in _INTERVALS),
            where("not (return_rate_difference_low <= return_rate_difference "
                  "and return_rate_difference <= return_rate_difference_high)", ("return_rate_difference",),
                  "the difference lies within its interval", "差值在其区间内"),
            where("segment_type = 'all' and not is_sample_ratio_ok", ("listed_users", "holdout_users"),
                  "the two arms are as large as the draw makes them", "两组人数符合抽样比例", "flag"),
        ],
    )  # fmt: skip
    return found


def _ranks(worth: str, note_en: str, note_zh: str) -> list[Check]:
    """Held-out users come after all others, so each part has an order of its own."""
    return [
        unique(["as_of_date", "rank"], "no rank twice", "名次不重复"),
        no_rows(
            "select as_of_date, min(rank) as first_rank, max(rank) as last_rank, count(*) as listed "
            "from {batch} group by as_of_date having min(rank) <> 1 or max(rank) <> count(*)",
            ("rank",), "ranks run from 1 without a gap", "名次从 1 开始连续"),
        no_rows(
            f"select * from (select *, lag({worth}) over (partition by as_of_date, is_holdout order by rank) "
            f"as worth_before from {{batch}}) as ranked where {worth} > worth_before",
            ("rank", worth), note_en, note_zh),
    ]  # fmt: skip


def _team_limits(today: str, limit: int, of_team: dict[str, int | None]) -> Check:
    own = " ".join(f"when {literal(name)} then {most}" for name, most in of_team.items() if most is not None)
    most_users = f"case team {own} else {limit} end" if own else str(limit)
    return no_rows(
        f"select team, count(*) as listed from {{batch}} where {today} and not is_holdout "
        f"group by team having count(*) > {most_users}",
        ("team",), "no team has more users today than it can deal with", "每个团队的当日名单不超过上限",
    )  # fmt: skip


def _nobody_held_out(tables: Tables, list_table: str) -> Check:
    return no_rows(
        "select exported.as_of_date, exported.user_id from {batch} as exported "
        f"inner join {tables.sql(list_table)} as listed on exported.as_of_date = listed.as_of_date "
        "and exported.user_id = listed.user_id where listed.is_holdout",
        ("user_id",), "nobody held out is handed out", "对照组用户不出现在交付名单中",
    )  # fmt: skip


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
