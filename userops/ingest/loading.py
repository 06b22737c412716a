"""The step `load`: staged batches into the lake, and what they replace out of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from userops.config import Settings
from userops.ingest import control, lake, quarantine, retire
from userops.ingest.leave_out import tidy_incoming
from userops.ingest.ledger import STAGED, Batch, Ledger, open_ledger
from userops.steps import StepContext, StepReport


def load_staged(context: StepContext) -> StepReport:
    """Move every staged batch into raw and quarantine, take out what was replaced, and rewrite the control tables.

    Killed at any point, it can simply be run again.

    Raises:
        SourceFileError: a staged file has disappeared.
    """
    settings = context.settings
    lake.ensure_lake(settings)
    with open_ledger(settings) as ledger:
        tidy_incoming(settings, ledger)
        quarantine.finish_drops(settings, ledger)
        ledger.settle_paths()
        lake.reached("paths settled")
        staged = ledger.batches(STAGED)
        days_of = ledger.dates()
        incoming = lake.files_by_batch(settings.paths.incoming, staged)
        duplicates = lake.files_by_batch(lake.incoming_duplicates(settings.paths), staged)
        for batch in staged:
            name = batch.batch_id
            _load_batch(settings, ledger, batch, sorted(days_of.get(name, {})), incoming[name], duplicates[name])
        retired = retire.finish_retirements(settings, ledger)
        control.write_batches(settings, ledger)
    rows = sum(batch.rows_loaded for batch in staged)
    return StepReport(
        summary=f"{len(staged)} batches with {rows} rows are in the lake"
        + (f"; {len(retired)} batches they replace are out of it" if retired else ""),
        counts={"batches": len(staged), "rows_loaded": rows, "batches_retired": len(retired)},
        outputs={"raw": str(settings.paths.raw), "quarantine": str(settings.paths.quarantine)},
    )


def _load_batch(
    settings: Settings,
    ledger: Ledger,
    batch: Batch,
    days: Sequence[date],
    incoming: Sequence[Path],
    duplicates: Sequence[Path],
) -> None:
    """Move one batch's files into the lake, then say so in the ledger.

    Data may lie in several files of a date: the batch's own, and rows it has instead of a batch that was left out.
    """
    paths = settings.paths
    _move(duplicates, paths.duplicates / batch.entity)
    _move(incoming, paths.raw / batch.entity)
    for day in days:
        target = lake.partition(paths.raw, batch.entity, day)
        if not any(lake.owner_of(file) == batch.batch_id for file in lake.data_files(target)):
            name = f"{batch.batch_id}.parquet"
            lake.publish_file(lake.partition(paths.incoming, batch.entity, day) / name, target / name)
    if batch.rows_quarantined:
        final = lake.quarantine_file(paths.quarantine, batch.entity, batch.batch_id)
        lake.publish_file(lake.quarantine_file(lake.incoming_quarantine(paths), batch.entity, batch.batch_id), final)
        lake.sync_folder(final.parent)
    lake.reached("batch moved")
    ledger.commit(batch.batch_id)
    lake.reached("batch committed")


def _move(files: Sequence[Path], target: Path) -> None:
    """Move staged files into the same partitions below `target`."""
    for file in files:
        lake.publish_file(file, target / file.parent.name / file.name)
        lake.sync_folder(target / file.parent.name)
