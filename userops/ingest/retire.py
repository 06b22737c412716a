"""Taking a replaced batch's rows out of the lake, and nothing else.

The order of things makes it safe to be killed anywhere and run again: rows that other batches also have are written
under their new owners (`handover`), then the ledger moves their accounts in one transaction, then the old files go,
then the ledger says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import structlog

from userops.config import Settings
from userops.ingest import lake
from userops.ingest.engine import memory_engine
from userops.ingest.handover import Place, hand_over
from userops.ingest.ledger import COMMITTED, RETIRING, Batch, Ledger

log = structlog.get_logger(__name__)


def finish_retirements(settings: Settings, ledger: Ledger) -> list[Batch]:
    """Take the rows of every retiring batch out of the lake; return those batches.

    Nothing may be staged in part while this runs: files of batches that are neither committed nor retiring must not
    lie in raw.
    """
    retiring = ledger.batches(RETIRING)
    if not retiring:
        return []
    committed = ledger.batches(COMMITTED)
    raw = lake.files_by_batch(settings.paths.raw, retiring)
    duplicates = lake.files_by_batch(settings.paths.duplicates, retiring)
    place = Place((settings.paths.raw,), settings.paths.duplicates)
    with memory_engine(settings, "retire") as connection:
        for number, batch in enumerate(retiring, start=1):
            name = batch.batch_id
            heirs = [other for other in committed if other.entity == batch.entity]
            if batch.retired_seq is None:
                moved = hand_over(connection, settings, place, batch, raw[name], heirs, {name})
                lake.reached("rows handed over")
                ledger.leave_rows(name, moved)
                lake.reached("accounts moved")
            _remove(settings, batch, [*raw[name], *duplicates[name]])
            lake.reached("retired files removed")
            ledger.retired(name)
            lake.reached("batch retired")
            log.info("replaced rows taken out of the lake", source=batch.source, done=number, batches=len(retiring))
    return retiring


def _remove(settings: Settings, batch: Batch, files: Sequence[Path]) -> None:
    for number, file in enumerate(files):
        lake.remove_files([file])
        if number == 0:
            lake.reached("first retired file removed")
    lake.remove_files([lake.quarantine_file(settings.paths.quarantine, batch.entity, batch.batch_id)])
