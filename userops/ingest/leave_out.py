"""Keeping a source's staged batches out of the lake after the gate has found fault with it, and nothing else.

A row that several files have is staged once, by the first of them. When that file stays out, the row moves to the next
file that has it, in the order in which the files would be loaded. The order of things makes it safe to be killed
anywhere and run again: moved rows are written, then the ledger changes in one transaction, then the files go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

from userops.config import Settings
from userops.ingest import lake
from userops.ingest.engine import memory_engine
from userops.ingest.handover import Place, hand_over
from userops.ingest.ledger import FAILED, STAGED, Batch, Ledger


def leave_out(settings: Settings, ledger: Ledger, reasons: Mapping[str, str]) -> list[Batch]:
    """Take every staged batch of these sources out of what `load` will load, and return them.

    They become `failed` with the reason as their error; the next `ingest` stages them afresh.

    Args:
        reasons: why, by source name.
    """
    staged = ledger.batches(STAGED)
    leaving = [batch for batch in staged if batch.source in reasons]
    if not leaving:
        return []
    staying = [batch for batch in staged if batch.source not in reasons]
    moved = _move_shared_rows(settings, leaving, staying)
    lake.reached("shared rows moved")
    ledger.reject({batch.batch_id: reasons[batch.source] for batch in leaving}, moved)
    lake.reached("batches rejected")
    tidy_incoming(settings, ledger)
    return leaving


def tidy_incoming(settings: Settings, ledger: Ledger) -> None:
    """Finish or undo a `leave_out` that was killed: remove files of failed batches, and rows moved from staged ones."""
    staged = {batch.batch_id for batch in ledger.batches(STAGED)}
    failed = {batch.batch_id for batch in ledger.batches(FAILED)}
    for file in settings.paths.incoming.rglob(".*.tmp"):  # what a kill left half written
        file.unlink()
    for file in sorted(settings.paths.incoming.rglob("*.parquet")):
        if lake.owner_of(file) in failed or any(batch_id in staged for batch_id in lake.moved_from(file)):
            file.unlink()


def _move_shared_rows(
    settings: Settings, leaving: Sequence[Batch], staying: Sequence[Batch]
) -> dict[str, dict[date, int]]:
    """Write the rows that a staying batch also has into files of its own; return how many, by batch and date."""
    paths = settings.paths
    place = Place((paths.raw, paths.incoming), lake.incoming_duplicates(paths))
    gone = {batch.batch_id for batch in leaving}
    files = lake.files_by_batch(paths.incoming, leaving)
    moved: dict[str, Counter[date]] = {}
    with memory_engine(settings, "leave_out") as connection:
        for batch in leaving:
            heirs = [other for other in staying if other.entity == batch.entity]
            inherited = hand_over(connection, settings, place, batch, files[batch.batch_id], heirs, gone)
            for heir, rows in inherited.items():
                moved.setdefault(heir, Counter()).update(rows)
    return {batch_id: dict(rows) for batch_id, rows in moved.items()}
