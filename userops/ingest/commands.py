"""The commands `userops ingest` and `userops quarantine ...`: what a person sees of the ledger and of refused rows."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from userops.config import Settings, load_settings
from userops.errors import UseropsError
from userops.ingest import quarantine, retire
from userops.ingest.control import write_batches
from userops.ingest.ledger import COMMITTED, FAILED, STAGED, Batch, LandingPath, Ledger, SourceNote, open_ledger
from userops.ingest.loading import load_staged
from userops.ingest.notes import notes_of_last_run
from userops.ingest.quarantine import Selection
from userops.ingest.sources import read_sources
from userops.ingest.staging import stage_again
from userops.steps import StepContext, find_step, writer_lock
from userops.terminal import AsOf, business_date, print_table

quarantine_app = typer.Typer(help="Refused rows: list, show, retry, drop.", no_args_is_help=True)
console = Console()
_ROWS = ("rows_read", "rows_loaded", "rows_deduplicated", "rows_quarantined", "rows_filtered")
_PERSONAL = "Quarantined rows may hold personal data: do not share this output. 隔离数据可能含个人信息，请勿外传。"

SourceOption = Annotated[str | None, typer.Option("--source", help="Only this source.")]
FileOption = Annotated[
    str | None, typer.Option("--file", help="Only this file: its path, or a pattern such as '*/2026-01-*'.")
]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Only rows refused for this reason code.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def print_status(settings: Settings, source: str | None, as_json: bool) -> None:
    """Print every file of the ledger with its batch, state and rows by fate, then the notes of the last run.

    Raises:
        ConfigError: neither the configuration nor the ledger knows a source of that name.
    """
    with open_ledger(settings) as ledger:
        batches, notes = ledger.batches(), notes_of_last_run(ledger)
        landing = ledger.landing()
    if source is not None:
        known = {batch.source for batch in batches} | {note.source for note in notes}
        if source not in known and source not in (sources := read_sources(settings)).names:
            sources.named(source)  # which says what there is
        batches = [batch for batch in batches if batch.source == source]
        notes = [note for note in notes if note.source == source]
    if as_json:
        files = [{**asdict(batch), "vanished_on": _vanished_on(batch, landing)} for batch in batches]
        _print_json({"files": files, "notes": [asdict(note) for note in notes]})
        return
    _status_table(batches, landing)
    _notes_table(notes)


@quarantine_app.command("list")
def list_command(source: SourceOption = None, file: FileOption = None, as_json: JsonOption = False) -> None:
    """Count the rows in quarantine by source, file, reason and column."""
    settings = load_settings()
    with open_ledger(settings) as ledger:
        groups = quarantine.groups(settings, ledger, Selection(source, file))
    if as_json:
        _print_json([asdict(group) for group in groups])
        return
    if not groups:
        console.print("Nothing is in quarantine.")
        return
    columns = ("source", "file_path", "reason_code", "column_name", "rows", "first_seen", "last_seen")
    table = _table("Rows in quarantine", columns, right=("rows",))
    for group in groups:
        table.add_row(*(_text(getattr(group, name)) for name in columns))
    print_table(table)
    console.print(f"{sum(group.rows for group in groups):,} rows. See them: userops quarantine show")


@quarantine_app.command("show")
def show_command(
    source: SourceOption = None,
    file: FileOption = None,
    reason: ReasonOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows to print.")] = 20,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write all of them to this new CSV file instead.")] = None,
    jsonl: Annotated[Path | None, typer.Option("--jsonl", help="Write all of them, verbatim, as JSON lines.")] = None,
) -> None:
    """Print refused rows whole, with what was found and what was expected. They may hold personal data."""
    settings = load_settings()
    selection = Selection(source, file, reason)
    with open_ledger(settings) as ledger:
        targets: list[tuple[Path | None, Literal["csv", "jsonl"]]] = [(csv, "csv"), (jsonl, "jsonl")]
        for target, kind in targets:
            if target is not None:
                count = quarantine.export(settings, ledger, selection, target, kind)
                console.print(f"{count:,} rows written to {target}", highlight=False, soft_wrap=True)
        rows = [] if csv or jsonl else quarantine.rows(settings, ledger, selection, limit)
    for row in rows:
        place = f"{row['file_path']}:{row['line_number'] or row['record_number']}"
        console.print(f"[bold]{row['source']}[/] {place}", highlight=False, soft_wrap=True)
        for name in ("reason_code", "column_name", "found", "expected", "raw"):
            console.print(f"    {name}: {row[name]}", highlight=False, markup=False, soft_wrap=True)
    if not rows and not (csv or jsonl):
        console.print("No such row is in quarantine.")
        return
    console.print(_PERSONAL, style="yellow", soft_wrap=True)


@quarantine_app.command("retry")
def retry_command(source: SourceOption = None, file: FileOption = None, as_of: AsOf = None) -> None:
    """Take whole files again whose rows are in quarantine, under the source YAML of now; each replaces its own rows."""
    settings = load_settings()
    context = StepContext(settings, business_date(as_of, settings))
    with writer_lock(settings):
        with open_ledger(settings) as ledger:
            before = quarantine.quarantined_batches(ledger, Selection(source, file))
        if not before:
            console.print("No such file has rows in quarantine.")
            return
        before = list({(batch.source, batch.file_path): batch for batch in before}.values())  # of two, the newer one
        wanted: dict[str, set[str]] = {}
        for batch in before:
            wanted.setdefault(batch.source, set()).add(batch.file_path)
        for step in (partial(stage_again, wanted=wanted), find_step("gate_lake"), load_staged):
            for warning in step(context).warnings:
                console.print(warning, style="yellow", markup=False, highlight=False, soft_wrap=True)
        with open_ledger(settings) as ledger:
            after = {(batch.source, batch.file_path): batch for batch in ledger.batches(COMMITTED)}
            _refuse_failures(ledger, wanted)
    _print_retried(before, after)


@quarantine_app.command("drop")
def drop_command(
    source: SourceOption = None,
    file: FileOption = None,
    reason: ReasonOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take refused rows out of quarantine for good; they count as filtered. They are kept in quarantine/_dropped."""
    selection = Selection(source, file, reason)
    if selection == Selection():
        raise UseropsError(
            "userops quarantine drop", "no choice of rows", "--source, --file or --reason",
            "say which rows are meant; `userops quarantine list` shows what is there",
        )  # fmt: skip
    settings = load_settings()
    with writer_lock(settings), open_ledger(settings) as ledger:
        count = quarantine.count(settings, ledger, selection)
        if not count:
            console.print("No such row is in quarantine.")
            return
        ending = quarantine.ending(settings, ledger, selection)
        if ending:
            console.print(
                f"No row of {', '.join(ending)} is left then: the rows of its earlier version leave the lake, too. "
                "To keep them, put the earlier file back instead. "
                "该文件旧版本的数据也将移出数据湖；若要保留，请放回旧文件。",
                style="yellow", markup=False, highlight=False, soft_wrap=True,
            )  # fmt: skip
        if not yes:
            typer.confirm(f"Drop {count:,} rows from quarantine for good?", abort=True)
        dropped = quarantine.drop(settings, ledger, selection)
        if not ledger.batches(STAGED):  # else files of theirs may lie in raw: `load` finishes everything
            retire.finish_retirements(settings, ledger)
            write_batches(settings, ledger)
    console.print(f"{dropped:,} rows dropped; they count as filtered now", highlight=False)


def _refuse_failures(ledger: Ledger, wanted: Mapping[str, Collection[str]]) -> None:
    """Say which of the files the gate did not let in."""
    failed = [batch for batch in ledger.batches(FAILED) if batch.file_path in wanted.get(batch.source, ())]
    if failed:
        raise UseropsError(
            ", ".join(batch.file_path for batch in failed),
            "; ".join(dict.fromkeys(batch.error or "a failed gate" for batch in failed)),
            "files that the gate lets into the lake",
            "mend the source YAML and retry; what was in the lake and in quarantine is as before",
        )


def _status_table(batches: Sequence[Batch], landing: dict[tuple[str, str], LandingPath]) -> None:
    columns = ("source", "file", "bytes", "sha256", "state", *_ROWS, "batch", "take", "staged", "committed")
    table = _table("What was taken from every file (times UTC)", columns, right=("bytes", *_ROWS, "batch", "take"))
    for batch in batches:
        gone = _vanished_on(batch, landing)
        state = f"{batch.state}, file gone {gone}" if gone and batch.state == "committed" else batch.state
        values = (
            batch.source, batch.file_path, f"{batch.file_bytes:,}", batch.file_sha256[:8], state,
            *(f"{getattr(batch, name):,}" for name in _ROWS), batch.batch_seq, batch.take,
            batch.staged_at, batch.committed_at,
        )  # fmt: skip
        table.add_row(*(_text(value) for value in values))
    print_table(table)


def _notes_table(notes: Sequence[SourceNote]) -> None:
    if not notes:
        return
    table = _table(f"Notes of {notes[0].as_of_date}", ("source", "step", "severity", "kind", "message"))
    for note in notes:
        table.add_row(note.source, note.step, note.severity, note.kind, note.message)
    print_table(table)


def _print_retried(before: Collection[Batch], after: dict[tuple[str, str], Batch]) -> None:
    columns = ("source", "file", "quarantined before", "now", "loaded before", "now ")
    table = _table("Taken again", columns, right=columns[2:])
    for batch in before:
        new = after.get((batch.source, batch.file_path), batch)
        counts = (batch.rows_quarantined, new.rows_quarantined, batch.rows_loaded, new.rows_loaded)
        table.add_row(batch.source, batch.file_path, *(f"{count:,}" for count in counts))
    print_table(table)
    left = sum(after.get((batch.source, batch.file_path), batch).rows_quarantined for batch in before)
    total = sum(batch.rows_quarantined for batch in before)
    console.print(f"{total:,} rows were in quarantine, {left:,} are now", highlight=False)


def _vanished_on(batch: Batch, landing: dict[tuple[str, str], LandingPath]) -> date | None:
    seen = landing.get((batch.source, batch.file_path))
    return seen.vanished_on if seen and batch.batch_id in (seen.batch_id, seen.held_batch_id) else None


def _table(title: str, columns: Sequence[str], right: Sequence[str] = ()) -> Table:
    table = Table(title=title)
    for column in columns:
        table.add_column(
            column.strip().removeprefix("rows_"), justify="right" if column in right else "left", overflow="fold"
        )
    return table


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False, default=_json_value, indent=2))


def _json_value(value: Any) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
