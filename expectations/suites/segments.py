"""What is expected of segments: known users, sizes that agree with the assignments, moves that add up, names."""

from __future__ import annotations

from expectations.checks import Check, Suite, between, no_rows, where
from expectations.suites.users import known_users
from expectations.tables import Tables


def suites(tables: Tables) -> list[Suite]:
    """Return the suites of this domain for the tables that are built."""
    today = f"as_of_date = date '{tables.as_of.isoformat()}'"
    found = tables.suite(
        "fct_persona_segments", "Segments of users", "人群归属", ["user_id", "as_of_date"],
        [
            tables.not_after("as_of_date"),
            between("distance", "a distance is not negative", "距离不为负", minimum=0),
            *known_users(tables, today),
            *_described(tables),
        ],
    )  # fmt: skip
    found += tables.suite(
        "dim_persona_segments", "Segments", "人群画像", ["as_of_date", "segment_id"],
        [
            tables.not_after("as_of_date"),
            where("users <> users_stayed + users_moved_in + users_entered "
                  "or previous_users <> users_stayed + users_moved_out + users_left",
                  ("users", "previous_users"), "who came and who went adds up", "人群迁入、迁出与人数相符"),
            no_rows("select as_of_date, sum(user_share) as shares from {batch} group by as_of_date "
                    "having abs(sum(user_share) - 1) > 0.000001",
                    ("user_share",), "the shares of a date add up to 1", "同一日期的人数占比之和为 1"),
            where("coalesce(trim(segment_name_en), '') = '' or coalesce(trim(segment_name_zh), '') = '' "
                  "or coalesce(trim(distinguishing_en), '') = '' or coalesce(trim(distinguishing_zh), '') = ''",
                  ("segment_name_en", "segment_name_zh"),
                  "every segment has a name and what sets it apart in English and 中文",
                  "每个人群都有中英文名称与特征"),
            no_rows("select segment_id, count(distinct segment_name_en) as names from {batch} group by segment_id "
                    "having count(distinct segment_name_en) > 1",
                    ("segment_id", "segment_name_en"), "a segment keeps its name as long as its id",
                    "人群编号不变则名称不变"),
            between("silhouette", "a silhouette lies between -1 and 1", "轮廓系数在 -1 与 1 之间", -1, 1),
            *_same_sizes(tables),
        ],
    )  # fmt: skip
    return found


def _described(tables: Tables) -> list[Check]:
    if not tables.has("dim_persona_segments"):
        return []
    return [
        no_rows(
            "select distinct members.as_of_date, members.segment_id from {batch} as members "
            f"left join {tables.sql('dim_persona_segments')} as segments "
            "on members.as_of_date = segments.as_of_date and members.segment_id = segments.segment_id "
            "where segments.segment_id is null",
            ("as_of_date", "segment_id"), "every segment of a user is described", "每个归属的人群都有画像",
        )
    ]  # fmt: skip


def _same_sizes(tables: Tables) -> list[Check]:
    if not tables.has("fct_persona_segments"):
        return []
    return [
        no_rows(
            "select segments.as_of_date, segments.segment_id, segments.users, members.users as assigned_users "
            "from {batch} as segments left join ("
            f"select as_of_date, segment_id, count(*) as users from {tables.sql('fct_persona_segments')} group by all"
            ") as members on segments.as_of_date = members.as_of_date and segments.segment_id = members.segment_id "
            "where members.users is distinct from segments.users",
            ("users",), "a segment has as many users as are assigned to it", "人群人数与归属用户数一致",
        )
    ]  # fmt: skip
