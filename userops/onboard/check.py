"""What a source would do with a sample of a file: shown, never written."""

from __future__ import annotations

import fnmatch
import tempfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from userops.business_date import yesterday
from userops.config import Settings
from userops.errors import SourceFileError
from userops.ingest.listing import Listing, list_source
from userops.ingest.readers import LandingFile
from userops.ingest.sources import Source, Sources, read_sources, source_files
from userops.ingest.stage import Preview, stager
from userops.ingest.transform import date_bounds
from userops.onboard.taxonomy import known_events
from userops.pii import mask_json, mask_text, mask_value

_SHOWN_ROWS = 5
_SHOWN_NAMES = 20
_WIDEST_CELL = 60


def check_source(settings: Settings, name: str, file: str | None, rows: int, console: Console) -> Preview:
    """Print what about the first `rows` records of a source's file would become; write nothing.

    Args:
        file: relative path (or a pattern) of the file; None for the last one by name.

    Raises:
        ConfigError: there is no such source, or its YAML cannot be used.
        SourceFileError: it has no file to look at, or the file cannot be read.
    """
    source = find_source(settings, name)
    listing = list_source(settings, source, latest=1 if file is None else None)
    chosen = _choose(source, listing, file)
    bounds = date_bounds(settings, datetime.now(settings.tz).date(), yesterday(settings.tz))
    with (
        tempfile.TemporaryDirectory(prefix="userops_check_") as scratch,
        # A home of its own: an ingest may be running, and its temporary files are not ours.
        stager(settings.model_copy(update={"home": Path(scratch)}), bounds) as worker,
    ):
        preview = worker.preview(source, chosen, rows)
    _print_preview(source, chosen.relative, preview, settings, console)
    for waiting in listing.waiting:
        console.print(f"Not complete yet: {waiting}", markup=False, highlight=False)
    return preview


def find_source(settings: Settings, name: str) -> Source:
    """Return the source called `name`; the YAMLs of others need not be in order.

    Raises:
        ConfigError: there is none of that name, or its YAML cannot be used.
    """
    return (read_sources(settings) if source_files(settings) else Sources()).named(name)


def _choose(source: Source, listing: Listing, file: str | None) -> LandingFile:
    fitting = [
        item
        for item in listing.files
        if file is None or item.relative == file or item.path.name == file or fnmatch.fnmatchcase(item.relative, file)
    ]
    if fitting:
        return fitting[-1]
    for error in listing.failures.values():
        raise error
    there = ", ".join(item.relative for item in listing.files[:10]) or "; ".join([*listing.waiting, *listing.notes])
    raise SourceFileError(
        f"source `{source.source}`", f"no file {file or 'to look at'}", there or f"a file like {source.files.pattern}",
        "put a file there, or correct `files` in the source YAML",
    )  # fmt: skip


def _print_preview(source: Source, file: str, preview: Preview, settings: Settings, console: Console) -> None:
    say = _Sayer(console)
    say.heading(
        f"{source.source} ({source.entity}): the first {preview.rows_read:,} records of {file}; nothing was written"
    )
    total = max(preview.rows_read, 1)
    for fate, count, meaning in (
        ("loaded", preview.loaded, "into the lake"),
        ("deduplicated", preview.deduplicated, "equal to another record looked at"),
        ("quarantined", preview.quarantined, "refused, kept whole with the reason"),
        ("filtered", preview.filtered, "left out by `filter`"),
    ):
        say.line(f"  {fate:<13}{count:>10,}  {100 * count / total:5.1f} %  {meaning}")
    if preview.held:
        say.warning(f"The whole file would be held in quarantine: {preview.held}")
    _print_loaded(preview, say)
    _print_quarantined(preview, say)
    _print_facts(source, preview, settings, say)
    for warning in preview.warnings:
        say.warning(warning)


def _print_loaded(preview: Preview, say: _Sayer) -> None:
    rows = preview.samples.get("loaded", [])[:_SHOWN_ROWS]
    if not rows:
        return
    table = Table(title="Loaded rows would look like this (times in UTC)", title_justify="left", show_lines=False)
    table.add_column("column", style="bold")
    for number in range(1, len(rows) + 1):
        table.add_column(str(number), overflow="fold")
    for column in rows[0]:
        table.add_row(column, *(_cell(column, row[column]) for row in rows))
    say.console.print(table, markup=False)


def _print_quarantined(preview: Preview, say: _Sayer) -> None:
    if not preview.reasons:
        return
    table = Table(title="Quarantined, by reason", title_justify="left")
    for heading in ("reason", "column", "rows", "found, for instance", "expected"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "rows" else "left")
    for code, column, count, found, expected in preview.reasons:
        table.add_row(code, column, f"{count:,}", _short(str(mask_value(column, found))), expected)
    say.console.print(table, markup=False)
    for row in preview.samples.get("quarantined", [])[:_SHOWN_ROWS]:
        where = f"line {row['line_number']}" if row.get("line_number") else f"record {row['record_number']}"
        raw = " ".join(mask_json(str(row.get("raw") or "")).split())
        say.line(f"  {where}: {row['reason_code']}: {raw if len(raw) < 300 else raw[:299] + '…'}")


def _print_facts(source: Source, preview: Preview, settings: Settings, say: _Sayer) -> None:
    if preview.first_date is not None:
        say.line(f"Business dates: {preview.first_date} to {preview.last_date} ({settings.project.timezone})")
    if preview.first_date == date(1970, 1, 1):
        say.line("  1970-01-01 stands for rows without a time.")
    if preview.rows_without_user is not None and preview.loaded:
        share = 100 * preview.rows_without_user / preview.loaded
        say.line(f"Rows without a user: {preview.rows_without_user:,} ({share:.1f} %)")
    if preview.currencies:
        say.line(f"Currencies: {', '.join(preview.currencies)}")
    if preview.event_names:
        _print_events(preview, settings, say)
    if preview.new_columns:
        fate = "kept in `properties`" if source.new_columns == "keep" else "left out (new_columns: drop)"
        say.line(f"Columns that are not mapped: {', '.join(preview.new_columns)}: {fate}")
    if preview.personal_columns:
        say.warning(
            f"Personal by their names, left out: {', '.join(preview.personal_columns)}; "
            "list them under `ignore` to settle it"
        )


def _print_events(preview: Preview, settings: Settings, say: _Sayer) -> None:
    known = known_events(settings.paths.taxonomy_file)
    names = sorted(preview.event_names.items(), key=lambda item: -item[1])
    unknown = [(name, count) for name, count in names if name not in known]
    say.line(f"Event names: {len(names)}, of which {len(unknown)} are not in {settings.paths.taxonomy_file.name}")
    for name, count in unknown[:_SHOWN_NAMES]:
        say.line(f"  {mask_text(name)}  ({count:,})")
    if len(unknown) > _SHOWN_NAMES:
        say.line(f"  ... and {len(unknown) - _SHOWN_NAMES} more")
    if unknown:
        active = "count as activity" if settings.taxonomy.unlisted_is_activity else "do not count as activity"
        say.line(f"  They {active}; map them under event_names, or list them in the taxonomy.")


def _cell(column: str, value: Any) -> str:
    """A canonical value fit to be shown; ids stay whole, for ids are what a person compares."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    text = str(mask_value(column, value)) if not column.endswith("_id") else mask_text(str(value))
    return _short(text)


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST_CELL else text[: _WIDEST_CELL - 1] + "…"


class _Sayer:
    """Plain lines on a console: no markup, because data may hold brackets."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def heading(self, text: str) -> None:
        """Print a line in bold."""
        self.console.print(text, style="bold", markup=False, highlight=False, soft_wrap=True)

    def line(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def warning(self, text: str) -> None:
        """Print a line that should be read."""
        self.console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)
