"""`userops simulate`: the simulator on the command line."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from userops.config import load_settings
from userops.simulate.campaign import CampaignOptions, simulate_campaign
from userops.simulate.options import ALL_DIRT, DEFAULT_END_DATE, DirtKind, SimulationOptions
from userops.simulate.simulator import SimulationProgress, SimulationResult, simulate


def simulate_command(
    users: Annotated[int, typer.Option(help="Registered users; anonymous visitors come on top. 注册用户数")] = 20_000,
    days: Annotated[int, typer.Option(help="Days, one set of export files each. 天数")] = 180,
    end_date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help=f"Last local date; {DEFAULT_END_DATE} when left out. 最后一天"),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes. 随机种子")] = 20_240_101,
    dirt: Annotated[float, typer.Option(help="Share of rows hit by dirt, 0 to 0.5; 0 is clean. 脏数据比例")] = 0.0,
    dirt_kind: Annotated[
        list[DirtKind] | None,
        typer.Option(help="Only this kind of dirt; may be repeated. 脏数据种类"),
    ] = None,
) -> None:
    """Write the daily exports of a simulated shop to landing/shop, and the truth about its users to ground_truth.

    生成模拟商城的每日导出文件（landing/shop）及其真值（ground_truth，流水线不读取）。
    """
    options = SimulationOptions(
        users=users,
        days=days,
        end_date=_as_date(end_date),
        seed=seed,
        dirt=dirt,
        dirt_kinds=tuple(dict.fromkeys(dirt_kind)) if dirt_kind else ALL_DIRT,
    )
    console = Console()
    with Progress(
        TextColumn("simulating 模拟中"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("days 天, {task.fields[events]:,} events 事件"),
        TimeElapsedColumn(),
        console=console,
    ) as bar:
        task = bar.add_task("simulate", total=options.days, events=0)

        def show(progress: SimulationProgress) -> None:
            bar.update(task, completed=progress.days_done, events=progress.events)

        result = simulate(load_settings().home, options, show)
        bar.update(task, completed=options.days, events=result.events)
    console.print(_summary(result))
    if not result.created:
        console.print("These exports were there already; nothing was written. 导出文件已存在，未做改动。")


def campaign_command(
    as_of: Annotated[datetime, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Date of the list. 名单日期")],
    effect: Annotated[float, typer.Option(help="Chance that a contact brings a user back. 触达带回用户的概率")] = 0.2,
    contact_share: Annotated[float, typer.Option(help="Share of the listed users contacted. 触达比例")] = 0.7,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes. 随机种子")] = 20_240_101,
) -> None:
    """Run a simulated campaign with a known effect on the published warning list; what it leaves goes to landing/shop.

    对已发布的预警名单模拟一次效果已知的触达，导出文件写入 landing/shop。
    """
    settings = load_settings()
    result = simulate_campaign(
        settings.home,
        settings.paths.published_duckdb,
        as_of.date(),
        CampaignOptions(effect=effect, contact_share=contact_share, seed=seed),
    )
    grid = Table.grid(padding=(0, 2))
    for label, value in (
        ("listed 名单人数", f"{result.listed:,}"),
        ("held out 对照组", f"{result.held_out:,}"),
        ("contacted 已触达", f"{result.contacted:,}"),
        ("brought back 因触达回流", f"{result.brought_back:,}"),
        ("outreach export 触达导出", str(result.outreach)),
        ("their visits 回流访问", str(result.visits)),
        ("ground truth 真值", str(result.truth)),
    ):
        grid.add_row(label, value)
    Console().print(grid)


def _as_date(moment: datetime | None) -> date | None:
    return moment.date() if moment is not None else None


def _summary(result: SimulationResult) -> Table:
    grid = Table.grid(padding=(0, 2))
    rows = [
        ("period 时间段", f"{result.first_date} .. {result.last_date}"),
        ("users 用户", f"{result.users:,}"),
        ("events 事件", f"{result.events:,}"),
        ("orders 订单", f"{result.orders:,} ({result.order_items:,} lines 明细)"),
        ("profile versions 用户资料版本", f"{result.user_versions:,}"),
        ("dirty rows 脏数据行", f"{result.dirt_rows:,}"),
        ("files 文件", f"{result.files:,}"),
        ("exports 导出文件", str(result.landing)),
        ("ground truth 真值", str(result.ground_truth)),
        ("seconds 用时（秒）", f"{result.seconds:.1f}"),
    ]
    for label, value in rows:
        grid.add_row(label, value)
    return grid
