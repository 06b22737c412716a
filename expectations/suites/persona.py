"""What is expected of personas, their history, tiers and tags: they describe the users of dim_users, and agree."""

from __future__ import annotations

from expectations.checks import Check, Suite, between, exists_in, in_set, no_rows, where
from expectations.tables import Tables

BANDS = ("none", "low", "medium", "high")
RISKS = ("high", "medium", "low", "not_scored")
#: Persona columns that repeat another mart, by that mart.
_REPEATED = {
    "dim_users": ("net_revenue", "orders", "active_days", "last_active_date"),
    "fct_user_tiers": ("value_tier", "frequency_tier", "buyer_tier", "author_tier", "level", "trailing_net_revenue"),
}


def suites(tables: Tables) -> list[Suite]:
    """Return the suites of this domain for the tables that are built."""
    return [*_personas(tables), *_history(tables), *_tiers(tables), *_moves(tables), *_tags(tables), *_contacts(tables)]


def _personas(tables: Tables) -> list[Suite]:
    return tables.suite(
        "dim_user_personas", "Personas", "用户画像", ["user_id"],
        [
            tables.not_after("last_active_date"),
            tables.not_after("last_order_date"),
            in_set("churn_risk_band", RISKS, "the risk band is one of four", "流失风险等级为约定的四种之一"),
            where("orders > 0 and recency_score is null or orders = 0 and recency_score is not null",
                  ("orders", "recency_score"), "buyers, and only they, have RFM scores", "仅买家有 RFM 得分"),
            *(between(f"interest_{place}_share", f"the share of interest {place} lies between 0 and 1",
                      f"第 {place} 兴趣占比在 0 与 1 之间", 0, 1) for place in (1, 2, 3)),
            *_same_people(tables, "dim_users", "dim_users and the personas describe the same users",
                          "用户维表与画像的用户一致"),
            *(check for mart, columns in _REPEATED.items() for check in _same_figures(tables, mart, columns)),
        ],
    )  # fmt: skip


def _history(tables: Tables) -> list[Suite]:
    return tables.suite(
        "dim_user_personas_history", "History of profiles", "用户画像历史", ["user_id", "valid_from"],
        [
            tables.not_after("valid_from"),
            no_rows(
                "select user_id, valid_from, valid_to, next_valid_from from (select *, "
                "lead(valid_from) over (partition by user_id order by valid_from) as next_valid_from from {batch}"
                ") as intervals where valid_to is distinct from next_valid_from",
                ("valid_from", "valid_to"),
                "a user's intervals tile without gap or overlap, and the last one is open",
                "同一用户的区间首尾相接，无空档、无重叠，最后一个未结束"),
            *([exists_in("user_id", tables.sql("dim_users"), "user_id", "every user is in dim_users",
                         "用户都在用户维表中")] if tables.has("dim_users") else []),
        ],
    )  # fmt: skip


def _tiers(tables: Tables) -> list[Suite]:
    return tables.suite(
        "fct_user_tiers", "Tiers", "用户分层", ["user_id"],
        [
            in_set("value_tier", BANDS, "value_tier is one of four", "价值层级为约定的四种之一"),
            between("level", "a level lies between 1 and 5", "等级在 1 与 5 之间", 1, 5),
            where("(value_tier = 'none') <> (trailing_net_revenue <= 0)",
                  ("value_tier", "trailing_net_revenue"),
                  "a value tier goes with trailing revenue", "有近期净收入才有价值层级"),
            *_same_people(tables, "dim_users", "dim_users and the tiers describe the same users",
                          "用户维表与分层的用户一致"),
        ],
    )  # fmt: skip


def _moves(tables: Tables) -> list[Suite]:
    return tables.suite(
        "fct_user_tier_moves", "Moves between tiers", "分层变动", ["user_id", "tier_kind", "moved_on"],
        [
            tables.not_after("moved_on"),
            where("from_tier = to_tier", ("from_tier", "to_tier"), "a move goes somewhere", "变动前后不同"),
            *([no_rows(
                "select moves.user_id, moves.to_tier, tiers.value_tier from {batch} as moves "
                f"inner join {tables.sql('fct_user_tiers')} as tiers on moves.user_id = tiers.user_id "
                "and moves.moved_on = tiers.value_tier_changed_on "
                "where moves.tier_kind = 'value_tier' and (moves.to_tier <> tiers.value_tier "
                "or moves.from_tier <> tiers.value_tier_previous)",
                ("to_tier",), "the last move leads to the tier of today", "最近一次变动与当前层级一致",
            )] if tables.has("fct_user_tiers") else []),
        ],
    )  # fmt: skip


def _tags(tables: Tables) -> list[Suite]:
    return tables.suite(
        "fct_user_tags", "Tags", "用户标签", ["user_id", "tag_id"],
        [exists_in("user_id", tables.sql("dim_users"), "user_id", "every tagged user is in dim_users",
                   "打标签的用户都在用户维表中")] if tables.has("dim_users") else [],
    )  # fmt: skip


def _contacts(tables: Tables) -> list[Suite]:
    return tables.suite(
        "export_crm_contacts", "CRM contacts", "CRM 联系人", ["user_id"],
        [
            no_rows(
                "select coalesce(contacts.user_id, personas.user_id) as user_id from {batch} as contacts full join "
                f"(select user_id from {tables.sql('dim_user_personas')} where is_identified) as personas "
                "on contacts.user_id = personas.user_id where contacts.user_id is null or personas.user_id is null",
                ("user_id",), "the contacts are the identified users", "联系人即已识别用户",
            ),
        ] if tables.has("dim_user_personas") else [],
    )  # fmt: skip


def _same_people(tables: Tables, other: str, note_en: str, note_zh: str) -> list[Check]:
    if not tables.has(other):
        return []
    return [
        no_rows(
            "select coalesce(one.user_id, other.user_id) as user_id from {batch} as one "
            f"full join {tables.sql(other)} as other on one.user_id = other.user_id "
            "where one.user_id is null or other.user_id is null",
            ("user_id",), note_en, note_zh,
        )
    ]  # fmt: skip


def _same_figures(tables: Tables, other: str, columns: tuple[str, ...]) -> list[Check]:
    if not tables.has(other):
        return []
    differs = " or ".join(f"one.{column} is distinct from other.{column}" for column in columns)
    shown = ", ".join(f"one.{column}, other.{column} as other_{column}" for column in columns)
    return [
        no_rows(
            f"select one.user_id, {shown} from {{batch}} as one "
            f"inner join {tables.sql(other)} as other on one.user_id = other.user_id where {differs}",
            columns,
            f"personas and {other} tell the same figures",
            f"画像与 {other} 的数字一致",
        )
    ]
