"""The command `userops deliver`."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from userops.business_date import parse_business_date
from userops.config import Settings, load_settings
from userops.ingest.ledger import open_ledger
from userops.log import configure_logging
from userops.terminal import AsOf, business_date, print_table

console = Console()
_SHOWN = 200


def deliver_command(
    as_of: AsOf = None,
    again: Annotated[bool, typer.Option("--again", help="Send what arrived already once more, marked so.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go where.")] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Only show what was sent (of one date with --as-of).")
    ] = False,
) -> None:
    """Send published lists by e-mail and to chat robots, to whoever does not have them yet."""
    from userops.delivery.deliver import planned_deliveries, send_lists

    settings = load_settings()
    configure_logging(settings.log_format)
    if status:
        _print_status(settings, parse_business_date(as_of) if as_of else None)
        return
    day = business_date(as_of, settings)
    if not settings.delivery.is_on:
        console.print("Delivery is off: see `delivery:` in userops.yml. 未启用投递，见 userops.yml 的 delivery。")
        return
    if dry_run:
        planned, warnings = planned_deliveries(settings, day, again)
        table = _table(f"What would be sent as of {day} · 投递预览", ("list", "destination", "rows", "action"))
        for item in planned:
            destination = item.destination
            table.add_row(destination.list_name, destination.name, f"{len(item.content.rows):,}", item.action)
        print_table(table)
    else:
        report = send_lists(settings, day, again)
        warnings = report.warnings
        console.print(report.summary, markup=False, highlight=False)
    for warning in warnings:
        console.print(warning, style="yellow", markup=False)


def _print_status(settings: Settings, day: date | None) -> None:
    with open_ledger(settings) as ledger:
        deliveries = ledger.deliveries(day)[-_SHOWN:]
    columns = ("as of", "list", "destination", "state", "rows", "times sent", "last sent (UTC)", "error")
    table = _table("Deliveries · 投递记录", columns)
    for delivery in deliveries:
        sent_at = delivery.sent_at.strftime("%Y-%m-%d %H:%M:%S") if delivery.sent_at else ""
        table.add_row(
            delivery.as_of_date.isoformat(),
            delivery.list_name,
            delivery.destination,
            delivery.state,
            f"{delivery.rows:,}",
            str(delivery.times_sent),
            sent_at,
            delivery.error or "",
        )
    print_table(table)


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
