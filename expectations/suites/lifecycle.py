"""What is expected of lifecycle stages: intervals that tile each user's life, and daily figures that add up."""

from __future__ import annotations

from expectations.checks import Check, Suite, between, exists_in, in_set, no_rows, where
from expectations.tables import Tables

STAGES = ("visitor", "new", "growing", "mature", "at_risk", "churned", "returned")


def suites(tables: Tables) -> list[Suite]:
    """Return the suites of this domain for the tables that are built."""
    found = tables.suite(
        "fct_lifecycle_stages", "Lifecycle stages", "生命周期阶段", ["user_id", "valid_from"],
        [
            in_set("stage", STAGES, "stage is one of the seven", "阶段为约定的七种之一"),
            tables.not_after("valid_from"),
            where("valid_to <= valid_from", ("valid_from", "valid_to"),
                  "an interval ends after it starts", "区间结束晚于开始"),
            where("is_current <> (valid_to is null)", ("is_current", "valid_to"),
                  "the open interval, and only it, is current", "仅未结束的区间为当前区间"),
            no_rows(
                "select user_id, valid_from, valid_to, next_valid_from from (select *, "
                "lead(valid_from) over (partition by user_id order by valid_from) as next_valid_from from {batch}"
                ") as intervals where valid_to is distinct from next_valid_from",
                ("valid_from", "valid_to"),
                "a user's intervals tile without gap or overlap, and the last one is open",
                "同一用户的区间首尾相接，无空档、无重叠，最后一个未结束"),
            *_everybody_has_a_stage(tables),
        ],
    )  # fmt: skip
    found += tables.suite(
        "agg_lifecycle_daily", "Lifecycle per day", "生命周期日报", ["stage_date", "stage"],
        [
            tables.not_after("stage_date"),
            in_set("stage", STAGES, "stage is one of the seven", "阶段为约定的七种之一"),
            between("users", "users is not negative", "用户数不为负", minimum=0),
            *_daily_sums_agree(tables),
            no_rows(
                "select * from (select stage, stage_date, users, entered, left_stage, "
                "lag(users) over (partition by stage order by stage_date) as users_before, "
                "lag(stage_date) over (partition by stage order by stage_date) as day_before from {batch}) as days "
                "where day_before = stage_date - 1 and users <> users_before + entered - left_stage",
                ("users", "entered", "left_stage"),
                "users of a stage = those of the day before + entered - left",
                "阶段人数 = 前一日人数 + 进入 - 离开"),
        ],
    )  # fmt: skip
    found += tables.suite(
        "agg_lifecycle_transitions", "Lifecycle moves", "生命周期阶段转移",
        ["transition_date", "from_stage", "to_stage"],
        [
            tables.not_after("transition_date"),
            in_set("from_stage", (*STAGES, "none"), "the stage left is one of the seven, or none when a life begins",
                   "原阶段为约定的七种之一，新用户为 none"),
            in_set("to_stage", STAGES, "the stage entered is one of the seven", "新阶段为约定的七种之一"),
            where("from_stage = to_stage", ("from_stage", "to_stage"), "a move is a change", "转移前后阶段不同"),
            between("users", "somebody moves", "转移人数为正", minimum=1),
            *_moves_are_entries_and_exits(tables),
        ],
    )  # fmt: skip
    return found


def _moves_are_entries_and_exits(tables: Tables) -> list[Check]:
    """Per date and stage, the moves into and out of it are what the daily figures say."""
    if not tables.has("agg_lifecycle_daily"):
        return []
    return [
        no_rows(
            "with moves as (select transition_date as stage_date, to_stage as stage, users as entered, "
            "0 as left_stage from {batch} union all "
            "select transition_date, from_stage, 0, users from {batch} where from_stage <> 'none'), "
            "days as (select stage_date, stage, sum(entered) as entered, sum(left_stage) as left_stage "
            "from moves group by all) "
            "select stage_date, stage, daily.entered, daily.left_stage, days.entered as moved_in, "
            f"days.left_stage as moved_out from {tables.sql('agg_lifecycle_daily')} as daily "
            "full join days using (stage_date, stage) "
            "where coalesce(daily.entered, 0) <> coalesce(days.entered, 0) "
            "or coalesce(daily.left_stage, 0) <> coalesce(days.left_stage, 0)",
            ("users",),
            "moves into and out of a stage are the entered and left of the daily figures",
            "转移人数与生命周期日报的进入、离开人数一致",
        )
    ]


def _everybody_has_a_stage(tables: Tables) -> list[Check]:
    if not tables.has("dim_users"):
        return []
    return [
        exists_in("user_id", tables.sql("dim_users"), "user_id", "every user is in dim_users", "用户都在用户维表中"),
        no_rows(
            f"select user_id, first_seen_date from {tables.sql('dim_users')} "
            "where first_seen_date is not null and user_id not in (select user_id from {batch})",
            ("user_id",),
            "every user who was seen has a stage",
            "每个出现过的用户都有生命周期阶段",
        ),
    ]


def _daily_sums_agree(tables: Tables) -> list[Check]:
    """Every day, the stages together hold everybody who was seen by then."""
    if not tables.has("dim_users"):
        return []
    return [
        no_rows(
            "with days as (select stage_date, sum(users) as users_in_stages from {batch} group by stage_date), "
            "first_days as (select first_seen_date, count(*) as users "
            f"from {tables.sql('dim_users')} where first_seen_date is not null group by first_seen_date), "
            "seen as (select first_seen_date, sum(users) over (order by first_seen_date) as users_seen "
            "from first_days) "
            "select days.stage_date, days.users_in_stages, coalesce(seen.users_seen, 0) as users_seen "
            "from days asof left join seen on days.stage_date >= seen.first_seen_date "
            "where days.users_in_stages <> coalesce(seen.users_seen, 0)",
            ("users",),
            "every day, the stages together hold everybody dim_users had seen by then",
            "每天各阶段人数之和等于截至当日出现过的用户数",
        )
    ]
