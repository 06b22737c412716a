"""The commands `userops list ...`: who is put on a list, or kept off it, by hand."""

from __future__ import annotations

import getpass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from userops.config import Settings, load_settings
from userops.definitions.list_overrides import Decision, decide, end, load_decisions

list_app = typer.Typer(
    help="Put users on the churn-warning or win-back list, or keep them off, by hand. 人工调整预警与召回名单",
    no_args_is_help=True,
)
console = Console()


class ListName(StrEnum):
    """The lists a decision can be about."""

    CHURN_WARNING = "churn_warning"
    WINBACK = "winback"
    BOTH = "both"


UserArgument = Annotated[str, typer.Argument(help="User id. 用户 ID")]
ListOption = Annotated[ListName, typer.Option("--list", help="Which list. 名单")]
FromOption = Annotated[
    datetime | None,
    typer.Option("--from", formats=["%Y-%m-%d"], help="Date of the first list; today when left out. 生效日期"),
]
UntilOption = Annotated[
    datetime | None,
    typer.Option("--until", formats=["%Y-%m-%d"], help="Date of the last list; without an end when left out. 截止日期"),
]
ByOption = Annotated[str | None, typer.Option("--by", help="Who decides; your login when left out. 决定人")]
NoteOption = Annotated[str, typer.Option("--note", help="Why; nothing personal about the user, please. 备注")]


@list_app.command("add")
def add_command(
    user_id: UserArgument,
    list_name: ListOption = ListName.CHURN_WARNING,
    valid_from: FromOption = None,
    until: UntilOption = None,
    by: ByOption = None,
    note: NoteOption = "",
) -> None:
    """Put a user on a list, whatever the score: never held out, but not against the user's own refusal. 加入名单"""
    _decide("add", user_id, list_name, valid_from, until, by, note)


@list_app.command("remove")
def remove_command(
    user_id: UserArgument,
    list_name: ListOption = ListName.CHURN_WARNING,
    valid_from: FromOption = None,
    until: UntilOption = None,
    by: ByOption = None,
    note: NoteOption = "",
) -> None:
    """Keep a user off a list. 移出名单"""
    _decide("remove", user_id, list_name, valid_from, until, by, note)


@list_app.command("end")
def end_command(
    user_id: UserArgument,
    list_name: ListOption = ListName.CHURN_WARNING,
    on: Annotated[
        datetime | None,
        typer.Option("--on", formats=["%Y-%m-%d"], help="Date of the last list; yesterday when left out. 最后生效日期"),
    ] = None,
) -> None:
    """End a decision: for the lists of later dates the rules alone decide again. 结束人工调整

    A decision that begins later goes altogether.
    """
    settings = load_settings()
    last_day = on.date() if on else _today(settings) - timedelta(days=1)
    for decision in end(settings, user_id, list_name.value, last_day):
        told = (
            f"ended: {_told(decision)}; last list {last_day}"
            if decision.valid_from <= last_day
            else f"removed: {_told(decision)}; it would have begun after {last_day}"
        )
        console.print(told, markup=False, highlight=False, soft_wrap=True)


@list_app.command("show")
def show_command(
    everything: Annotated[bool, typer.Option("--all", help="Also those that have ended. 包括已结束的")] = False,
) -> None:
    """Print the decisions that hold now or will. 查看人工调整"""
    settings = load_settings()
    today = _today(settings)
    decisions = [
        decision
        for decision in load_decisions(settings)
        if everything or decision.valid_until is None or decision.valid_until >= today
    ]
    if not decisions:
        console.print("No decision by hand holds. 没有生效中的人工调整。")
        return
    table = Table()
    for header in (
        "user · 用户",
        "list · 名单",
        "action · 动作",
        "from · 起",
        "until · 止",
        "now · 生效中",
        "by",
        "note",
    ):
        table.add_column(header, overflow="fold")
    for decision in decisions:
        until = "" if decision.valid_until is None else decision.valid_until.isoformat()
        now = "yes 是" if decision.holds_on(today) else "no 否"
        table.add_row(
            decision.user_id, decision.list_name, decision.action, decision.valid_from.isoformat(), until, now,
            decision.by, decision.note,
        )  # fmt: skip
    console.print(table, markup=False)


def _decide(
    action: str,
    user_id: str,
    list_name: ListName,
    valid_from: datetime | None,
    until: datetime | None,
    by: str | None,
    note: str,
) -> None:
    settings = load_settings()
    decision = Decision(
        list_name=list_name.value,
        user_id=user_id.strip(),
        action=action,
        valid_from=valid_from.date() if valid_from else _today(settings),
        valid_until=until.date() if until else None,
        by=getpass.getuser() if by is None else by,
        note=note,
    )
    for ended in decide(settings, decision):
        console.print(f"ended: {_told(ended)}", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{_told(decision)}; {_first_list(decision, _today(settings))}", markup=False, highlight=False, soft_wrap=True
    )
    console.print(f"written to {settings.paths.manual_list_file}", markup=False, highlight=False, soft_wrap=True)
    _tell_effect(settings, decision)


def _tell_effect(settings: Settings, decision: Decision) -> None:
    """Say where the decision, which stands already, changes nothing for now, or where that cannot be known."""
    import duckdb

    from userops.definitions.list_effect import notices_on

    file = settings.paths.published_duckdb
    try:
        notices = notices_on(settings, decision)
    except duckdb.IOException:
        _warn(f"Whether it has an effect is not known: {file} cannot be read now. 暂时无法读取已发布数据，未核对。")
        return
    if notices is None:
        _warn("Whether there is such a user is not known: nothing is published yet. 尚未发布数据，未核对。")
        return
    for notice in notices:
        _warn(str(notice))


def _warn(text: str) -> None:
    console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _told(decision: Decision) -> str:
    until = "" if decision.valid_until is None else f" to {decision.valid_until}"
    return f"{decision.action} {decision.user_id} ({decision.list_name}) from {decision.valid_from}{until}"


def _first_list(decision: Decision, today: date) -> str:
    """Say which lists a decision is in time for: the daily run makes the list of a date on the day after."""
    first = decision.valid_from
    if first < today:
        return f"counts for lists of {first} and later that are made from now on"
    return f"counts from the list of {first} on, which the daily run makes on {first + timedelta(days=1)}"


def _today(settings: Settings) -> date:
    return datetime.now(settings.tz).date()
