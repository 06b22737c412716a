"""What the commands have in common: the business date they are asked for, and tables on the terminal."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from userops.business_date import parse_business_date, yesterday
from userops.config import Settings

#: Width of tables, in characters, when the output is no terminal.
_WIDE = 240

AsOf = Annotated[
    str | None,
    typer.Option("--as-of", help="Business date YYYY-MM-DD, in the project's time zone; yesterday when left out."),
]


def business_date(as_of: str | None, settings: Settings) -> date:
    """Return the date of `--as-of`, or yesterday in the project's time zone.

    Raises:
        ConfigError: it is no date.
    """
    return parse_business_date(as_of) if as_of else yesterday(settings.tz)


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal is; where there is none, wide enough for paths to stay whole."""
    console = Console()
    (console if console.is_terminal else Console(width=_WIDE)).print(table, markup=False)
