"""How well a published ranking finds the simulator's known drop-outs. For demonstrations and tests only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

# AUC as the rank-sum statistic: the chance that a drop-out ranks above a loyal user, ties counting half.
_AUC_SQL = """
with ranked as (
    select dropped, avg(position) over (partition by {score}) as mean_position
    from (select *, row_number() over (order by {score}) as position from judged)
)

select
    (sum(mean_position) filter (dropped) - count(*) filter (dropped) * (count(*) filter (dropped) + 1) / 2.0)
    / nullif(count(*) filter (dropped) * count(*) filter (not dropped), 0)
from ranked
"""


@dataclass(frozen=True)
class RankingQuality:
    """AUC of two rankings over the scored users, drop-outs against loyal users.

    Attributes:
        users: scored users that are either loyal for good or have dropped out by the day.
        dropped: how many of them have dropped out.
        model_auc: AUC of the published churn probability.
        recency_auc: AUC of "days since the last active day", the ranking a spreadsheet would give.
        listed: users on the day's warning list with a known fate.
        listed_dropped: how many of those have dropped out.
    """

    users: int
    dropped: int
    model_auc: float
    recency_auc: float
    listed: int
    listed_dropped: int


def ranking_quality(published: Path, ground_truth: Path, as_of: date) -> RankingQuality:
    """Compare the scores published for `as_of` with the simulator's truth.

    Args:
        published: the published marts.duckdb. ground_truth: folder written by the simulator.
    """
    with duckdb.connect(str(published), read_only=True) as connection:
        connection.execute(
            f"""
            create temp table judged as
            select scores.user_id, scores.churn_probability,
                   date '{as_of}' - users.last_active_date as days_silent,
                   truth.drop_out_date is not null as dropped
            from fct_churn_scores as scores
            inner join dim_users as users on scores.user_id = users.user_id
            inner join read_parquet('{ground_truth / "users.parquet"}') as truth on scores.user_id = truth.user_id
            where
                scores.as_of_date = date '{as_of}'
                and (truth.drop_out_date is null or truth.drop_out_date <= date '{as_of}')
            """
        )
        users, dropped = _row(connection, "select count(*), count(*) filter (dropped) from judged")
        (model_auc,) = _row(connection, _AUC_SQL.format(score="churn_probability"))
        (recency_auc,) = _row(connection, _AUC_SQL.format(score="days_silent"))
        listed, listed_dropped = _row(
            connection,
            f"""
            select count(*), count(*) filter (dropped)
            from churn_warning_list inner join judged using (user_id)
            where as_of_date = date '{as_of}'
            """,
        )
    return RankingQuality(users, dropped, model_auc, recency_auc, listed, listed_dropped)


def _row(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple:  # type: ignore[type-arg]
    row = connection.execute(sql).fetchone()
    assert row is not None  # an aggregate always gives one row
    return row
