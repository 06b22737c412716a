"""The steps `ingest` (stage_landing) and `load` (load_staged) of the daily run."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

import structlog

from userops.config import Settings
from userops.errors import ConfigError, LockedError, SourceFileError, UseropsError, shown_name
from userops.ingest import control, lake, quarantine, retire
from userops.ingest.leave_out import tidy_incoming
from userops.ingest.ledger import COMMITTED, FAILED, STAGED, Batch, Ledger, SeenBytes, SourceNote, open_ledger
from userops.ingest.listing import Listing, list_source
from userops.ingest.notes import NoteBook
from userops.ingest.plan import Plan, Take, plan_source
from userops.ingest.readers import LandingFile, sha256_of
from userops.ingest.sources import Source, load_sources
from userops.ingest.stage import StagedFile, Stager, failed_batch, stager
from userops.ingest.transform import date_bounds
from userops.steps import StepContext, StepReport

log = structlog.get_logger(__name__)

_LOG_SECONDS = 10.0
_NAMED_IN_ERRORS = 10
_ACCOUNTS = ("rows_read", "rows_loaded", "rows_deduplicated", "rows_quarantined", "rows_filtered")


@dataclass(frozen=True)
class Progress:
    """How far reading the landing files is; `current` is the path just done, relative to landing/."""

    files_done: int
    files: int
    bytes_done: int
    bytes: int
    current: str


@dataclass(frozen=True)
class _Hashed:
    """A landing file and what it holds; `size` and `mtime_ns` are those from before its bytes were read."""

    file: LandingFile
    size: int
    mtime_ns: int
    sha256: str


@dataclass
class _Feed:
    """One source in one run: its files, and what is to be done about them."""

    source: Source
    listing: Listing
    files: dict[str, _Hashed] = field(default_factory=dict)
    plan: Plan = field(default_factory=Plan)


@dataclass
class _Run:
    """What one `ingest` has done so far."""

    context: StepContext
    ledger: Ledger
    worker: Stager
    notes: NoteBook
    known_bytes: dict[tuple[str, str], tuple[int, int, str]]
    feeds: list[_Feed] = field(default_factory=list)
    staged: list[Batch] = field(default_factory=list)
    touched: set[tuple[str, str]] = field(default_factory=set)
    currencies: dict[str, set[str]] = field(default_factory=dict)
    stopping: list[UseropsError] = field(default_factory=list)
    failed_files: int = 0
    failed_sources: int = 0

    @property
    def settings(self) -> Settings:
        return self.context.settings


def stage_landing(
    context: StepContext,
    progress: Callable[[Progress], None] | None = None,
    again: Collection[str] = frozenset(),
) -> StepReport:
    """Stage every landing file whose bytes are not in the lake.

    What an earlier run left uncommitted is thrown away and staged afresh; retirements it left are finished. A source
    or file that cannot be taken is noted and the others go on.

    Args:
        again: sources whose present files are all taken once more, under the YAML of now.

    Raises:
        ConfigError: a source YAML cannot be read, or `again` names no source.
        UseropsError: a source with `on_failure: stop_day` could not be taken; ledger and lake do not belong together.
    """
    sources = load_sources(context.settings)
    _refuse_unknown(again, sources)
    return _stage(context, sources, progress, lambda feed: feed.files if feed.source.source in again else ())


def stage_again(
    context: StepContext,
    wanted: Mapping[str, Collection[str]],
    progress: Callable[[Progress], None] | None = None,
) -> StepReport:
    """Stage just these landing files (paths by source name), also when their bytes are in the lake.

    Raises:
        ConfigError: a source YAML cannot be read, or there is none for a name.
        SourceFileError: a file is not there any more, or cannot be taken; its rows stay where they are.
    """
    sources = load_sources(context.settings)
    _refuse_unknown(wanted, sources)
    chosen = [source.model_copy(update={"on_failure": "stop_day"}) for source in sources if source.source in wanted]
    return _stage(context, chosen, progress, lambda feed: wanted[feed.source.source], wanted)


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
        incoming = _files_by_batch(settings.paths.incoming, staged)
        duplicates = _files_by_batch(lake.incoming_duplicates(settings.paths), staged)
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


def reconciliation(settings: Settings) -> list[Batch]:
    """Return what became of every landing file: numbered batches in their order, then staged and failed ones."""
    with open_ledger(settings) as ledger:
        return ledger.batches()


def _stage(
    context: StepContext,
    sources: Sequence[Source],
    progress: Callable[[Progress], None] | None,
    again: Callable[[_Feed], Collection[str]],
    only: Mapping[str, Collection[str]] | None = None,
) -> StepReport:
    settings = context.settings
    bounds = date_bounds(settings, datetime.now(settings.tz).date(), context.as_of)
    with open_ledger(settings) as ledger, stager(settings, bounds) as worker:
        _refuse_strangers(settings, ledger)
        run = _Run(context, ledger, worker, NoteBook(context.as_of, ledger.notes()), ledger.known_bytes())
        _clear_the_table(settings, ledger)
        lake.ensure_lake(settings)
        for source in sources:
            _open_source(run, source)
        for feed in run.feeds:
            _hash_files(run, feed, None if only is None else only[feed.source.source])
        _decide(run, again, whole=only is None)
        _stage_feeds(run, progress)
        _note_mappings(run)
        ledger.replace_notes(context.as_of, "ingest", run.notes.with_earlier(run.touched, partial=only is not None))
    if run.stopping:
        raise _all_failures(run.stopping)
    return _staged_report(run)


def _refuse_unknown(names: Iterable[str], sources: Sequence[Source]) -> None:
    known = [source.source for source in sources]
    for name in names:
        if name not in known:
            raise ConfigError("source", f"`{name}`", f"one of {', '.join(known)}", "correct the source's name")


def _refuse_strangers(settings: Settings, ledger: Ledger) -> None:
    """Refuse a lake without its ledger, and a ledger without its lake: each is half of the truth."""
    paths = settings.paths
    holds_data = lake.has_loaded_data(paths)
    if ledger.is_empty() and holds_data:
        raise UseropsError(
            ledger.where,
            "no file in the ledger, while the lake holds data",
            "the ledger of that lake",
            "restore the ledger (ledger.sqlite, or schema `userops` in PostgreSQL) from a backup, or remove "
            f"{paths.lake} to take every landing file again",
        )
    if not holds_data and any(batch.rows_loaded for batch in ledger.batches(COMMITTED)):
        raise UseropsError(
            ledger.where,
            f"a ledger of loaded rows, while {paths.raw} holds none",
            "the lake of that ledger; each USEROPS_HOME needs a ledger of its own",
            "restore the lake from a backup, correct USEROPS_HOME or USEROPS_LEDGER__URL, or start both anew: remove "
            "ledger.sqlite (in PostgreSQL: drop schema userops)",
        )


def _clear_the_table(settings: Settings, ledger: Ledger) -> None:
    """Throw away what no `load` has committed, then finish what an earlier one began.

    Files go before the ledger forgets them: it must know of them until they are gone.
    """
    lake.clear_incoming(settings.paths)
    staged = ledger.batches(STAGED)
    for root in (settings.paths.raw, settings.paths.duplicates):
        for files in _files_by_batch(root, staged).values():
            lake.remove_files(files)
    for batch in [*staged, *ledger.batches(FAILED)]:
        lake.remove_files([lake.quarantine_file(settings.paths.quarantine, batch.entity, batch.batch_id)])
        lake.reached("batch files discarded")
        ledger.discard(batch.batch_id)
    ledger.clear_pending()
    quarantine.finish_drops(settings, ledger)
    retire.finish_retirements(settings, ledger)


def _open_source(run: _Run, source: Source) -> None:
    try:
        run.worker.check_mapping(source)
        listing = list_source(run.settings, source)
    except LockedError:
        raise
    except Exception as error:  # noqa: BLE001 - one source must not stop the others, whatever happens to it
        _fail_source(run, source, _told(error, f"source `{source.source}`"))
        return
    run.feeds.append(_Feed(source, listing))


def _fail_source(run: _Run, source: Source, error: UseropsError, file_path: str = "") -> None:
    run.failed_sources += 1
    run.notes.add(source.source, "failed_source", "error", f"nothing of it is taken: {error}", file_path)
    if source.on_failure == "stop_day":
        run.stopping.append(error)


def _fail_file(run: _Run, source: Source, file_path: str, error: UseropsError, in_lake: bool = False) -> None:
    run.failed_files += 1
    stays = "; the rows of its earlier version stay in the lake" if in_lake else ""
    run.notes.add(source.source, "failed_file", "error", f"{error}{stays}", file_path)
    if source.on_failure == "stop_day":
        run.stopping.append(error)


def _hash_files(run: _Run, feed: _Feed, only: Collection[str] | None) -> None:
    """Find out what each file holds; bytes that were hashed before are not read again."""
    name = feed.source.source
    seen: list[SeenBytes] = []
    for file in feed.listing.files:
        if only is not None and file.relative not in only:
            continue
        known = run.known_bytes.get((name, file.relative))
        try:
            hashed = _hash(file, known)
        except UseropsError as error:
            run.touched.add((name, file.relative))
            _fail_file(run, feed.source, file.relative, error)
            continue
        feed.files[file.relative] = hashed
        if known != (hashed.size, hashed.mtime_ns, hashed.sha256):
            seen.append(SeenBytes(name, file.relative, hashed.size, hashed.mtime_ns, hashed.sha256))
    run.ledger.remember_bytes(seen)
    for path, failure in feed.listing.failures.items():
        if only is None or path in only:
            run.touched.add((name, path))
            _fail_file(run, feed.source, path, failure)
    for path in sorted(set(only or ()) - {file.relative for file in feed.listing.files} - {*feed.listing.failures}):
        missing = SourceFileError(
            path,
            f"no such file of source `{name}` now",
            "the landing file whose rows are in quarantine",
            "put it back where it was and try again; its rows stay in quarantine",
        )
        _fail_file(run, feed.source, path, missing)


def _hash(file: LandingFile, known: tuple[int, int, str] | None) -> _Hashed:
    try:
        stat = file.path.stat()
        if known and known[:2] == (stat.st_size, stat.st_mtime_ns):
            return _Hashed(file, stat.st_size, stat.st_mtime_ns, known[2])
        return _Hashed(file, stat.st_size, stat.st_mtime_ns, sha256_of(file.path))
    except OSError as error:
        raise SourceFileError(
            file.relative,
            f"a file that cannot be opened ({error.strerror})",
            "a readable file",
            "give the user that runs userops the right to read it",
        ) from None


def _decide(run: _Run, again: Callable[[_Feed], Collection[str]], *, whole: bool) -> None:
    """Plan every source; note which files are gone, back, renamed, changed or not complete yet."""
    landing = run.ledger.landing()
    batches = run.ledger.batches()
    gone: dict[tuple[str, str], date] = {}
    back: list[tuple[str, str]] = []
    for feed in run.feeds:
        name = feed.source.source
        known = [seen for (source, _), seen in landing.items() if source == name]
        feed.plan = plan = plan_source(
            name,
            {path: hashed.sha256 for path, hashed in feed.files.items()},
            known,
            batches,
            unseen=feed.listing.present - set(feed.files) if whole else None,
            again=again(feed),
        )
        run.ledger.point_later(plan.points)
        for path in plan.vanished:
            since = landing[name, path].vanished_on or run.context.as_of
            gone[name, path] = since
            if since == run.context.as_of:
                run.notes.add(name, "vanished", "warning", f"{path} is gone; its rows stay in the lake", path)
        back += [(name, path) for path in plan.back]
        gone.update({(name, path): run.context.as_of for path in plan.moved})
        for old, new in plan.moved.items():
            run.notes.add(name, "moved", "info", f"{old} is now {new}: the same bytes, nothing to take", new)
        if whole:
            for text in feed.listing.waiting:
                run.notes.add(name, "waiting", "warning", f"not taken yet: {text}", text.partition(": ")[0])
    run.ledger.note_presence(gone, back)


def _stage_feeds(run: _Run, progress: Callable[[Progress], None] | None) -> None:
    todo = [(feed, take) for feed in run.feeds for take in feed.plan.takes]
    size = sum(feed.files[take.file_path].size for feed, take in todo)
    done, number, told = 0, 0, time.monotonic()
    for feed in run.feeds:
        for take in feed.plan.takes:
            number += 1
            if not _stage_take(run, feed, take):
                break
            done += feed.files[take.file_path].size
            if progress:
                progress(Progress(number, len(todo), done, size, take.file_path))
            if time.monotonic() - told > _LOG_SECONDS or number == len(todo):
                log.info("landing files read", done=number, files=len(todo), bytes_done=done, bytes=size)
                told = time.monotonic()


def _stage_take(run: _Run, feed: _Feed, take: Take) -> bool:
    """Stage one file; return whether the source's other files may follow."""
    source, hashed = feed.source, feed.files[take.file_path]
    run.touched.update((source.source, path.file_path) for path in take.paths)
    try:
        staged = run.worker.stage(source, hashed.file, take.sha256, take.batch_id, take.leave_out)
        stat = hashed.file.path.stat()
        if (stat.st_size, stat.st_mtime_ns) != (hashed.size, hashed.mtime_ns):
            raise SourceFileError(
                take.file_path,
                "a file that changed while it was read",
                "a file that is complete",
                "let the export finish (write elsewhere, then rename), or set `files.complete`, and run again",
            )
    except ConfigError as error:
        _take_back(run, source, take)
        _record_failure(run, source, take, hashed, error)
        _fail_source(run, source, error, take.file_path)
        return False
    except Exception as error:  # noqa: BLE001 - one file must not stop the others, whatever happens to it
        _drop_staged(run.settings, source.entity, take.batch_id)
        plain = _told(error, take.file_path)
        _record_failure(run, source, take, hashed, plain)
        _fail_file(run, source, take.file_path, plain, in_lake=take.file_path in feed.plan.replaced)
        return True
    batch = replace(staged.batch, take=take.take, as_of_date=run.context.as_of, batch_id=take.batch_id)
    run.ledger.record(batch, staged.dates, take.paths)
    lake.reached("batch staged")
    run.staged.append(batch)
    _note_staged(run, feed, take, staged)
    return True


def _told(error: Exception, where: str) -> UseropsError:
    """Return an error as a person can read it; one that nobody foresaw leaves its traceback in the log."""
    if isinstance(error, UseropsError):
        return error
    if isinstance(error, OSError):
        return SourceFileError(
            where,
            f"something that cannot be read ({error.strerror or type(error).__name__})",
            "readable files, and room on the disk",
            "see to the disk or the files' rights, and run again",
        )
    # The frames alone: an engine's message may quote a row, and a row may hold personal data.
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("unforeseen error while reading a source", where=where, error=type(error).__name__, frames=frames)
    return SourceFileError(
        where,
        f"an unforeseen {type(error).__name__}",
        "data the readers know",
        "report it as a bug, with the frames in the log; nothing of it was taken",
    )


def _record_failure(run: _Run, source: Source, take: Take, hashed: _Hashed, error: UseropsError) -> None:
    failed = failed_batch(source, hashed.file, take.sha256, hashed.size, error)
    run.ledger.record(replace(failed, batch_id=take.batch_id, take=take.take, as_of_date=run.context.as_of), {})


def _take_back(run: _Run, source: Source, take: Take) -> None:
    """Unstage what this run staged of a source: its files stand or fall together when the mapping does not fit.

    No batch of another source can miss a row for it: sources are staged one after another, and this one is the last.
    """
    _drop_staged(run.settings, source.entity, take.batch_id)
    for batch in [batch for batch in run.staged if batch.source == source.source]:
        _drop_staged(run.settings, source.entity, batch.batch_id)
        run.ledger.discard(batch.batch_id)
        run.staged.remove(batch)
    run.notes.forget_taken(source.source)
    run.currencies.pop(source.source, None)


def _drop_staged(settings: Settings, entity: str, batch_id: str) -> None:
    for root in (settings.paths.incoming, lake.incoming_duplicates(settings.paths)):
        lake.remove_files(lake.files_of(root, entity, [batch_id])[batch_id])
    lake.quarantine_file(lake.incoming_quarantine(settings.paths), entity, batch_id).unlink(missing_ok=True)


def _note_staged(run: _Run, feed: _Feed, take: Take, staged: StagedFile) -> None:
    """Note what a person should know about a file that was taken."""
    name, notes = feed.source.source, run.notes
    for path in take.paths:
        if path.file_path in feed.plan.replaced:
            text = f"{path.file_path} has new bytes: they replace the rows of its earlier version"
            notes.add(name, "replaced", "info", text, path.file_path)
    if staged.held:
        notes.add(name, "held", "error", staged.held, take.file_path)
    for text in staged.warnings:
        kind = "empty_file" if not staged.batch.rows_read else "file_warning"
        notes.add(name, kind, "warning", text, take.file_path)
    if not staged.batch.rows_read and not staged.warnings:
        notes.add(name, "empty_file", "warning", f"{take.file_path} has no rows", take.file_path)
    for column in staged.new_columns:
        kept = "kept in `properties`" if feed.source.new_columns == "keep" else "left out (`new_columns: drop`)"
        text = f"source `{name}`: new column `{shown_name(column)}` is {kept}; map it, or list it under `ignore`"
        notes.add_once(name, "new_column", "warning", text, take.file_path)
    for column in staged.personal_columns:
        shown = shown_name(column)
        text = f"source `{name}`: column `{shown}` looks like personal data and is left out; list it under `ignore`"
        notes.add_once(name, "personal_column", "warning", text, take.file_path)
    run.currencies.setdefault(name, set()).update(staged.currencies)


def _note_mappings(run: _Run) -> None:
    """Note what concerns a source as a whole: keys no record has, a changed YAML, several currencies."""
    for feed in run.feeds:
        name = feed.source.source
        for key in run.worker.missing_keys(feed.source):
            hint = run.worker.key_hint(feed.source, key)
            text = f"source `{name}`: no record of the new files has the key `{key}`" + (f"; {hint}" if hint else "")
            run.notes.add(name, "missing_key", "warning", text)
        used = {*run.currencies.get(name, ())}
        own, rates = run.settings.project.currency, run.settings.paths.exchange_rates_file
        if used - {own} and not rates.exists():
            text = f"source `{name}`: amounts in {', '.join(sorted(used))} are added up as {own}; give {rates.name}"
            run.notes.add(name, "mixed_currency", "warning", text)
    older = {
        batch.source
        for batch in run.ledger.batches(COMMITTED)
        for feed in run.feeds
        if feed.source.source == batch.source and feed.source.fingerprint != batch.mapping_fingerprint
    }
    for feed in run.feeds:
        if feed.source.source in older:
            text = (
                f"source `{feed.source.source}`: its YAML has changed (to {feed.source.fingerprint}) since files were "
                f"taken; those keep the mapping they were taken with until `userops ingest --again "
                f"{feed.source.source}`"
            )
            run.notes.add_once(feed.source.source, "mapping_changed", "warning", text)


def _files_by_batch(root: Path, batches: Sequence[Batch]) -> dict[str, list[Path]]:
    """Return the partitioned files below `root` by the batch that owns them; one walk for all of an entity."""
    found: dict[str, list[Path]] = {}
    for entity in sorted({batch.entity for batch in batches}):
        ids = [batch.batch_id for batch in batches if batch.entity == entity]
        found.update(lake.files_of(root, entity, ids))
    return found


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


def _all_failures(failures: Sequence[UseropsError]) -> UseropsError:
    if len(failures) == 1:
        return failures[0]
    named = failures[:_NAMED_IN_ERRORS]
    more = len(failures) - len(named)
    return SourceFileError(
        ", ".join(dict.fromkeys(error.where for error in named)) + (f" and {more} more" if more else ""),
        "; ".join(dict.fromkeys(error.found for error in named)),
        "; ".join(dict.fromkeys(error.expected for error in named)),
        "; ".join(dict.fromkeys(error.fix for error in named))
        + "; then run again (the other files are staged, nothing is published)",
    )


def _staged_report(run: _Run) -> StepReport:
    totals = {name: sum(int(getattr(batch, name)) for batch in run.staged) for name in _ACCOUNTS}
    plans = [feed.plan for feed in run.feeds]
    counts: dict[str, int | float] = {
        "files_staged": len(run.staged),
        "files_skipped": sum(len(plan.skipped) for plan in plans),
        "files_duplicate": sum(len(plan.duplicates) for plan in plans),
        "files_replaced": sum(len(plan.replaced) for plan in plans),
        "files_moved": sum(len(plan.moved) for plan in plans),
        "files_vanished": sum(len(plan.vanished) for plan in plans),
        "files_waiting": sum(len(feed.listing.waiting) for feed in run.feeds),
        "files_failed": run.failed_files,
        "sources_failed": run.failed_sources,
        **totals,
    }
    troubles = [
        f"{counts[name]} {label}"
        for name, label in (("files_failed", "files failed"), ("sources_failed", "sources failed"))
        if counts[name]
    ]
    return StepReport(
        summary=(
            f"{counts['files_staged']} files staged, {counts['files_skipped']} taken before, "
            f"{counts['files_duplicate']} with bytes already taken: "
            f"{totals['rows_read']} rows read = {totals['rows_loaded']} to load "
            f"+ {totals['rows_deduplicated']} deduplicated + {totals['rows_quarantined']} quarantined "
            f"+ {totals['rows_filtered']} filtered"
        )
        + "".join(f"; {text}" for text in troubles),
        counts=counts,
        outputs={"incoming": str(run.settings.paths.incoming)},
        warnings=[*run.notes.spoken(), *(text for feed in run.feeds for text in feed.listing.notes)],
    )


def notes_of_last_run(ledger: Ledger) -> list[SourceNote]:
    """Return the notes of the latest business date that has any."""
    notes = ledger.notes()
    return [note for note in notes if note.as_of_date == notes[-1].as_of_date] if notes else []
