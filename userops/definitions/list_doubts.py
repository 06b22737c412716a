"""Why a decision by hand may have no effect, by what is published: the user is unknown, or no list can have one yet."""

from __future__ import annotations

import duckdb

from userops.config import Settings
from userops.definitions.list_overrides import Decision
from userops.warehouse.connect import read_only


def doubts_about(settings: Settings, decision: Decision) -> list[str]:
    """Return why the decision will change nothing as things stand; empty where it will, or where nothing is published.

    A user who is put on a list still has to be one the list is made of: scored for churn, or silent for so long that
    winning back is the word. The decision stays, and counts as soon as that holds.
    """
    path = settings.paths.published_duckdb
    if not path.exists():
        return []
    with read_only(path, settings) as connection:
        if not _found(connection, "select 1 from dim_users where user_id = ?", decision.user_id):
            return [f"No user `{decision.user_id}` is published: check the id. 已发布数据中没有该用户。"]
        if decision.action != "add":
            return []
        doubts = []
        if "churn_warning" in decision.lists and not _found(connection, _SCORED, decision.user_id):
            doubts.append(
                f"`{decision.user_id}` has no churn score, and the warning list is of scored users (active in the last "
                f"{settings.churn.active_window_days} days): the decision counts once there is one. "
                "该用户暂无流失评分，评分后才会进入预警名单。"
            )
        first, last = settings.lifecycle.churned_after_days, settings.winback_list.max_silence_days
        if "winback" in decision.lists and not _found(connection, _SILENT, decision.user_id, first, last):
            doubts.append(
                f"`{decision.user_id}` is not silent for {first} to {last} days, as users of the win-back list are: "
                "the decision counts once that is so. 该用户的沉默天数不在召回范围内，满足后才会进入召回名单。"
            )
        return doubts


_SCORED = """
    select 1 from fct_churn_scores
    where user_id = ? and as_of_date = (select max(as_of_date) from fct_churn_scores)
"""
_SILENT = "select 1 from dim_user_personas where user_id = ? and days_since_last_active between ? and ?"


def _found(connection: duckdb.DuckDBPyConnection, query: str, *values: object) -> bool:
    return connection.execute(query, list(values)).fetchone() is not None
