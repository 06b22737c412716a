"""The steps `ingest` (stage_landing) and `load` (load_staged) of the daily run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import structlog

from userops.config import Settings
from userops.errors import SourceFileError, UseropsError
from userops.ingest import control, lake
from userops.ingest.ledger import COMMITTED, FAILED, STAGED, Batch, Ledger, SeenBytes, open_ledger
from userops.ingest.readers import LandingFile, sha256_of
from userops.ingest.sources import Source, did_you_mean, load_sources
from userops.ingest.stage import Stager, batch_id_of, failed_batch, stager
from userops.ingest.transform import date_bounds
from userops.steps import StepContext, StepReport

log = structlog.get_logger(__name__)

#: Called after every landing file with (files done, files in all, path relative to landing/).
Progress = Callable[[int, int, str], None]

_LOG_EVERY = 100
_NAMED_IN_ERRORS = 10


@dataclass
class _Run:
    """What one `ingest` has done so far."""

    staged: list[Batch] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    failures: list[UseropsError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seen_bytes: list[SeenBytes] = field(default_factory=list)


def stage_landing(context: StepContext, progress: Progress | None = None) -> StepReport:
    """Stage every landing file whose bytes were not taken before.

    What an earlier run left uncommitted is thrown away and staged afresh. A file that cannot be staged is
    marked failed and the others go on; the error comes at the end.

    Raises:
        ConfigError: a source YAML cannot be used.
        SourceFileError: a landing folder is missing, or files could not be staged (all are named).
    """
    settings = context.settings
    sources = load_sources(settings)
    _refuse_lost_ledger(settings)
    run = _Run()
    bounds = date_bounds(settings, datetime.now(settings.tz).date(), context.as_of)
    with open_ledger(settings.paths.ledger_db) as ledger, stager(settings, bounds) as worker:
        for source in sources:
            worker.check_mapping(source)
        files = [(source, path) for source in sources for path in _landing_files(settings, source, run)]
        _discard_uncommitted(settings, ledger)
        lake.ensure_lake(settings)
        committed = {batch.batch_id: batch for batch in ledger.batches(COMMITTED)}
        known_bytes = ledger.known_bytes()
        taken = set(committed)
        for number, (source, path) in enumerate(files, start=1):
            file = LandingFile(path, path.relative_to(settings.paths.landing).as_posix())
            _stage_file(source, file, worker, ledger, known_bytes, taken, committed, run)
            if progress:
                progress(number, len(files), file.relative)
            if number % _LOG_EVERY == 0 or number == len(files):
                log.info("landing files read", done=number, files=len(files), staged=len(run.staged))
        ledger.remember_bytes(run.seen_bytes)
        _warn_of_mappings(sources, worker, committed, run)
    if run.failures:
        raise _all_failures(run)
    return _staged_report(settings, run)


def load_staged(context: StepContext) -> StepReport:
    """Move every staged batch into raw and quarantine, batch by batch, and rewrite the control tables.

    Killed at any point, it can simply be run again.

    Raises:
        SourceFileError: a staged file has disappeared.
    """
    settings = context.settings
    lake.ensure_lake(settings)
    with open_ledger(settings.paths.ledger_db) as ledger:
        staged = ledger.batches(STAGED)
        days_of = ledger.dates()
        for batch in staged:
            _load_batch(settings, ledger, batch, sorted(days_of.get(batch.batch_id, {})))
        control.write_batches(settings, ledger)
    rows = sum(batch.rows_loaded for batch in staged)
    return StepReport(
        summary=f"{len(staged)} batches with {rows} rows are in the lake",
        counts={"batches": len(staged), "rows_loaded": rows},
        outputs={"raw": str(settings.paths.raw), "quarantine": str(settings.paths.quarantine)},
    )


def reconciliation(settings: Settings) -> list[Batch]:
    """Return what became of every landing file: committed batches in their order, then staged and failed ones."""
    with open_ledger(settings.paths.ledger_db) as ledger:
        return ledger.batches()


def _landing_files(settings: Settings, source: Source, run: _Run) -> Iterator[Path]:
    folder = settings.paths.landing / source.files.path
    if not folder.is_dir():
        if source.files.optional and not folder.exists():
            return
        siblings = [item.name for item in folder.parent.iterdir() if item.is_dir()] if folder.parent.is_dir() else []
        hint = did_you_mean(folder.name, siblings)
        raise SourceFileError(
            f"source `{source.source}`, key `files.path`",
            f"{'a file' if folder.exists() else 'no folder'} {folder}",
            "the folder the export is dropped into",
            " ".join(filter(None, [hint, "create it, correct `files.path`, or set `files.optional: true`"])),
        )
    found = sorted(folder.glob(source.files.pattern))
    if not found and not source.files.optional:
        run.warnings.append(f"source `{source.source}`: no file matches {source.files.pattern} in {folder}")
    yield from found


def _stage_file(
    source: Source,
    file: LandingFile,
    worker: Stager,
    ledger: Ledger,
    known_bytes: dict[tuple[str, str], tuple[int, int, str]],
    taken: set[str],
    committed: dict[str, Batch],
    run: _Run,
) -> None:
    if not file.path.is_file():
        run.failures.append(
            SourceFileError(
                file.relative,
                "a directory" if file.path.is_dir() else "no regular file",
                "a file",
                f"move it away, or make `files.pattern` of source `{source.source}` narrower",
            )
        )
        return
    before = file.path.stat()
    size, mtime_ns, sha256 = known_bytes.get((source.source, file.relative), (-1, -1, ""))
    if (size, mtime_ns) != (before.st_size, before.st_mtime_ns):
        try:
            sha256 = sha256_of(file.path)
        except OSError as error:
            run.failures.append(_no_access(file, error))
            return
        run.seen_bytes.append(SeenBytes(source.source, file.relative, before.st_size, before.st_mtime_ns, sha256))
    batch_id = batch_id_of(source.source, sha256)
    if batch_id in taken:
        first = committed.get(batch_id)
        (run.skipped if first and first.file_path == file.relative else run.duplicates).append(file.relative)
        return
    taken.add(batch_id)
    try:
        staged = worker.stage(source, file, sha256)
        after = file.path.stat()
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise SourceFileError(
                file.relative,
                "a file that changed while it was read",
                "a file that is complete",
                "let the export finish (write elsewhere, then rename), and run again",
            )
    except UseropsError as error:
        _drop_staged(worker.settings, source.entity, batch_id)
        ledger.record(failed_batch(source, file, sha256, before.st_size, error), {})
        run.failures.append(error)
        return
    ledger.record(staged.batch, staged.dates)
    lake.reached("batch staged")
    run.staged.append(staged.batch)
    run.warnings.extend(staged.warnings)


def _no_access(file: LandingFile, error: OSError) -> SourceFileError:
    return SourceFileError(
        file.relative,
        f"a file that cannot be opened ({error.strerror})",
        "a readable file",
        "give the user that runs userops the right to read it",
    )


def _drop_staged(settings: Settings, entity: str, batch_id: str) -> None:
    for file in settings.paths.incoming.glob(f"{entity}/event_date=*/{batch_id}.parquet"):
        file.unlink()
    lake.quarantine_file(lake.incoming_quarantine(settings.paths), entity, batch_id).unlink(missing_ok=True)


def _discard_uncommitted(settings: Settings, ledger: Ledger) -> None:
    """Throw away what no `load` has committed. Files go first: the ledger must know of them until they are gone."""
    days_of = ledger.dates()
    lake.clear_incoming(settings.paths)
    for batch in ledger.batches(STAGED, FAILED):
        lake.remove_batch(settings.paths, batch.entity, batch.batch_id, days_of.get(batch.batch_id, {}))
        lake.reached("batch files discarded")
        ledger.discard(batch.batch_id)


def _load_batch(settings: Settings, ledger: Ledger, batch: Batch, days: Sequence[date]) -> None:
    paths = settings.paths
    name = f"{batch.batch_id}.parquet"
    for day in days:
        target = lake.partition(paths.raw, batch.entity, day)
        lake.publish_file(lake.partition(paths.incoming, batch.entity, day) / name, target / name)
        lake.sync_folder(target)
    if batch.rows_quarantined:
        final = lake.quarantine_file(paths.quarantine, batch.entity, batch.batch_id)
        lake.publish_file(lake.quarantine_file(lake.incoming_quarantine(paths), batch.entity, batch.batch_id), final)
        lake.sync_folder(final.parent)
    lake.reached("batch moved")
    ledger.commit(batch.batch_id)
    lake.reached("batch committed")


def _refuse_lost_ledger(settings: Settings) -> None:
    paths = settings.paths
    if not paths.ledger_db.exists() and lake.has_loaded_data(paths):
        raise UseropsError(
            str(paths.ledger_db),
            "no ledger, while the lake holds data",
            "the ledger of that lake",
            f"restore {paths.ledger_db.name} from a backup, or remove {paths.lake} to take every landing file again",
        )


def _warn_of_mappings(sources: list[Source], worker: Stager, committed: dict[str, Batch], run: _Run) -> None:
    for source in sources:
        for key in worker.missing_keys(source):
            hint = worker.key_hint(source, key)
            run.warnings.append(
                f"source `{source.source}`: no record of the new files has the key `{key}`"
                + (f"; {hint}" if hint else "")
            )
        older = [
            batch
            for batch in committed.values()
            if batch.source == source.source and batch.mapping_fingerprint != source.fingerprint
        ]
        if older:
            run.warnings.append(
                f"source `{source.source}`: its YAML has changed since {len(older)} of its files were taken; "
                "those keep the mapping they were taken with"
            )


def _all_failures(run: _Run) -> SourceFileError:
    if len(run.failures) == 1 and isinstance(run.failures[0], SourceFileError):
        return run.failures[0]
    named = run.failures[:_NAMED_IN_ERRORS]
    more = len(run.failures) - len(named)
    return SourceFileError(
        ", ".join(dict.fromkeys(error.where for error in named)) + (f" and {more} more" if more else ""),
        "; ".join(dict.fromkeys(error.found for error in named)),
        "; ".join(dict.fromkeys(error.expected for error in named)),
        "; ".join(dict.fromkeys(error.fix for error in named))
        + "; then run again (the other files are staged, nothing is published)",
    )


def _staged_report(settings: Settings, run: _Run) -> StepReport:
    totals = {
        name: sum(int(getattr(batch, name)) for batch in run.staged)
        for name in ("rows_read", "rows_loaded", "rows_deduplicated", "rows_quarantined", "rows_filtered")
    }
    return StepReport(
        summary=(
            f"{len(run.staged)} files staged, {len(run.skipped)} taken before, "
            f"{len(run.duplicates)} with bytes already taken: "
            f"{totals['rows_read']} rows read = {totals['rows_loaded']} to load "
            f"+ {totals['rows_deduplicated']} deduplicated + {totals['rows_quarantined']} quarantined "
            f"+ {totals['rows_filtered']} filtered"
        ),
        counts={
            "files_staged": len(run.staged),
            "files_skipped": len(run.skipped),
            "files_duplicate": len(run.duplicates),
            **totals,
        },
        outputs={"incoming": str(settings.paths.incoming)},
        warnings=run.warnings,
    )
