"""What is published, on the terminal: the top of the warning list, stages, funnel, and where every output lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from userops.config import Settings
from userops.errors import BuildError
from userops.warehouse.connect import read_only

_STAGES_SQL = """
select stage, any_value(stage_zh) as stage_zh, count(*) as users
from fct_lifecycle_stages
where is_current
group by stage
order by users desc, stage
"""

# Entries that may still get further would make the last steps look worse than they are. A funnel whose window is longer
# than the data has no others.
_FUNNEL_SQL = """
with cohorts as (
    select *, bool_or(is_complete) over (partition by funnel_id) as has_complete
    from agg_funnel_conversion
    where segment_type = 'all'
)

select funnel_id, has_complete, step_number, step_name, sum(reached) as reached
from cohorts
where is_complete or not has_complete
group by all
order by funnel_id, step_number
"""

_LIST_SQL = """
select
    rank, user_id, risk_band, churn_probability, expected_loss, currency,
    reason_1_en, reason_1_zh,
    suggested_action_en, suggested_action_zh
from export_churn_warning_list
where as_of_date = (select max(as_of_date) from export_churn_warning_list)
order by rank
limit ?
"""


def show_published(settings: Settings, console: Console, rows: int) -> None:
    """Print the published state of this instance.

    Raises:
        BuildError: nothing was published yet.
    """
    path = settings.paths.published_duckdb
    if not path.exists():
        raise BuildError(
            str(path), "nothing published", "a published marts.duckdb", "run `userops run --as-of YYYY-MM-DD`"
        )
    with read_only(path, settings) as connection:
        _print_stages(connection, console)
        _print_funnels(connection, console)
        _print_warning_list(connection, console, rows)
    _print_places(settings, console)


def _print_stages(connection: duckdb.DuckDBPyConnection, console: Console) -> None:
    records = connection.execute(_STAGES_SQL).fetchall()
    total = sum(users for _, _, users in records)
    table = Table(title="Lifecycle stages · 生命周期阶段", title_justify="left")
    table.add_column("stage · 阶段")
    table.add_column("users · 用户数", justify="right")
    table.add_column("share · 占比", justify="right")
    for stage, stage_zh, users in records:
        table.add_row(f"{stage} {stage_zh}", f"{users:,}", f"{users / total:.1%}")
    console.print(table)


def _print_funnels(connection: duckdb.DuckDBPyConnection, console: Console) -> None:
    records = connection.execute(_FUNNEL_SQL).fetchall()
    for funnel, has_complete in dict.fromkeys(record[:2] for record in records):
        steps = [record[2:] for record in records if record[0] == funnel]
        kind = "entries whose time is over · 已成熟" if has_complete else "entries that still run · 未成熟"
        table = Table(title=f"Funnel · 漏斗 `{funnel}` ({kind})", title_justify="left")
        table.add_column("step · 步骤", no_wrap=True)
        for column in ("reached · 到达", "of step before · 上步转化", "of first · 总转化"):
            table.add_column(column, justify="right")
        before = first = steps[0][2]
        for number, name, reached in steps:
            table.add_row(f"{number}. {name}", f"{reached:,}", _share(reached, before), _share(reached, first))
            before = reached
        console.print(table)


def _print_warning_list(connection: duckdb.DuckDBPyConnection, console: Console, rows: int) -> None:
    latest = connection.execute("select max(as_of_date), count(*) from export_churn_warning_list").fetchone()
    as_of = latest[0] if latest else None
    if as_of is None:
        console.print(
            "[yellow]The churn-warning list is empty: nobody was scored yet (see the log of step `score`).[/]"
        )
        return
    records = connection.execute(_LIST_SQL, [rows]).fetchall()
    table = Table(title=f"Churn-warning list as of {as_of} · 流失预警名单", title_justify="left", show_lines=True)
    table.add_column("#", justify="right")
    table.add_column("user\n用户", no_wrap=True)
    table.add_column("risk\n风险", justify="right")
    table.add_column("expected loss\n预期损失", justify="right")
    table.add_column("why · 原因", ratio=3, overflow="fold")
    table.add_column("what to do · 建议动作", ratio=2, overflow="fold")
    for rank, user_id, band, probability, loss, currency, *texts in records:
        reason_en, reason_zh, action_en, action_zh = texts
        table.add_row(
            str(rank),
            user_id,
            f"{_percent(probability)}\n{band}",
            f"{loss:,.2f}\n{currency}",
            f"{reason_en}\n{reason_zh}",
            f"{action_en}\n{action_zh}",
        )
    console.print(table, markup=False)


def _print_places(settings: Settings, console: Console) -> None:
    paths = settings.paths
    lists = sorted(paths.published_exports.glob("churn_warning/as_of_date=*"))
    places: list[tuple[str, Path]] = [
        ("marts for BI (DuckDB, read only)", paths.published_duckdb),
        ("marts as Parquet", paths.published_parquet),
        *([("today's list (CSV, XLSX, Parquet)", lists[-1])] if lists else []),
        ("data quality results (HTML)", paths.quality / "index.html"),
        ("churn model and its card", paths.models / "churn"),
        ("refused rows", paths.quarantine),
        ("exports as they came", paths.landing),
    ]
    console.print("Where everything is · 文件位置", style="italic")
    for label, path in places:
        console.print(f"  {label:36}{path}", soft_wrap=True, highlight=False)


def _percent(probability: float) -> str:
    return ">99%" if probability > 0.99 else f"{probability:.0%}"


def _share(part: Any, whole: Any) -> str:
    return f"{part / whole:.1%}" if whole else "–"
