"""The step `ingest`: landing files that are new, changed or wanted again become staged batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import date, datetime

import structlog

from userops.config import Settings
from userops.errors import ConfigError, LockedError, SourceFileError, UseropsError
from userops.ingest import lake, quarantine, retire
from userops.ingest.failures import all_in_one, told
from userops.ingest.fetching import LoggedProgress
from userops.ingest.ledger import COMMITTED, FAILED, STAGED, Ledger, SeenBytes, open_ledger
from userops.ingest.listing import list_source
from userops.ingest.notes import NoteBook
from userops.ingest.plan import Take, plan_source
from userops.ingest.readers import LandingFile, sha256_of
from userops.ingest.run import Feed, HashedFile, IngestRun
from userops.ingest.sources import Source, Sources, read_sources
from userops.ingest.stage import failed_batch, stager
from userops.ingest.telling import note_mappings, note_staged, note_still_held, staged_report
from userops.ingest.transform import date_bounds
from userops.steps import StepContext, StepReport

log = structlog.get_logger(__name__)

_LOG_SECONDS = 10.0


def stage_landing(
    context: StepContext,
    again: Collection[str] = frozenset(),
) -> StepReport:
    """Stage every landing file whose bytes are not in the lake.

    What an earlier run left uncommitted is thrown away and staged afresh; retirements it left are finished. A source
    or file that cannot be taken is noted and the others go on.

    Args:
        again: sources whose present files are all taken once more, under the YAML of now.

    Raises:
        ConfigError: there is no source YAML, or `again` names none that can be used.
        UseropsError: a source with `on_failure: stop_day` could not be taken; ledger and lake do not belong together.
    """
    sources = read_sources(context.settings)
    for name in again:
        sources.named(name)
    return _stage(context, sources, lambda feed: feed.files if feed.source.source in again else ())


def stage_again(
    context: StepContext,
    wanted: Mapping[str, Collection[str]],
) -> StepReport:
    """Stage just these landing files (paths by source name), also when their bytes are in the lake.

    Raises:
        ConfigError: there is no source YAML for a name, or it cannot be used.
        SourceFileError: a file is not there any more, or cannot be taken; its rows stay where they are.
    """
    sources = read_sources(context.settings)
    chosen = [sources.named(name).model_copy(update={"on_failure": "stop_day"}) for name in sorted(wanted)]
    return _stage(context, Sources(chosen), lambda feed: wanted[feed.source.source], wanted)


def _stage(
    context: StepContext,
    sources: Sources,
    again: Callable[[Feed], Collection[str]],
    only: Mapping[str, Collection[str]] | None = None,
) -> StepReport:
    settings = context.settings
    bounds = date_bounds(settings, datetime.now(settings.tz).date(), context.as_of)
    with open_ledger(settings) as ledger, stager(settings, bounds) as worker:
        _refuse_strangers(settings, ledger)
        run = IngestRun(context, ledger, worker, NoteBook(context.as_of, ledger.notes()), ledger.known_bytes())
        _clear_the_table(settings, ledger)
        lake.ensure_lake(settings)
        for broken in sources.broken:
            run.fail_source(broken, broken.error)
        for source in sources.usable:
            _open_source(run, source)
        for feed in run.feeds:
            _hash_files(run, feed, None if only is None else only[feed.source.source])
        _decide(run, again, whole=only is None)
        _stage_feeds(run)
        note_mappings(run)
        notes = run.notes.with_earlier(run.touched, _held_paths(ledger), partial=only is not None)
        ledger.replace_notes(context.as_of, "ingest", notes)
    if run.stopping:
        raise all_in_one(run.stopping)
    return staged_report(run)


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
        for files in lake.files_by_batch(root, staged).values():
            lake.remove_files(files)
    for batch in [*staged, *ledger.batches(FAILED)]:
        lake.remove_files([lake.quarantine_file(settings.paths.quarantine, batch.entity, batch.batch_id)])
        lake.reached("batch files discarded")
        ledger.discard(batch.batch_id)
    ledger.clear_pending()
    quarantine.finish_drops(settings, ledger)
    retire.finish_retirements(settings, ledger)


def _open_source(run: IngestRun, source: Source) -> None:
    try:
        run.worker.check_mapping(source)
        listing = list_source(run.settings, source, LoggedProgress(source.source))
    except LockedError:
        raise
    except Exception as error:  # noqa: BLE001 - one source must not stop the others, whatever happens to it
        run.fail_source(source, told(error, f"source `{source.source}`"))
        return
    run.feeds.append(Feed(source, listing))


def _held_paths(ledger: Ledger) -> set[tuple[str, str]]:
    """Return (source, path) of the landing files that wait in quarantine as a whole."""
    held = {batch.batch_id for batch in ledger.batches(COMMITTED) if batch.held}
    return {path for path, seen in ledger.landing().items() if seen.latest in held}


def _hash_files(run: IngestRun, feed: Feed, only: Collection[str] | None) -> None:
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
            run.fail_file(feed.source, file.relative, error)
            continue
        feed.files[file.relative] = hashed
        if known != (hashed.size, hashed.mtime_ns, hashed.sha256):
            seen.append(SeenBytes(name, file.relative, hashed.size, hashed.mtime_ns, hashed.sha256))
    run.ledger.remember_bytes(seen)
    for path, failure in feed.listing.failures.items():
        if only is None or path in only:
            run.touched.add((name, path))
            run.fail_file(feed.source, path, failure)
    for path in sorted(set(only or ()) - {file.relative for file in feed.listing.files} - {*feed.listing.failures}):
        missing = SourceFileError(
            path,
            f"no such file of source `{name}` now",
            "the landing file whose rows are in quarantine",
            "put it back where it was and try again; its rows stay in quarantine",
        )
        run.fail_file(feed.source, path, missing)


def _hash(file: LandingFile, known: tuple[int, int, str] | None) -> HashedFile:
    try:
        stat = file.path.stat()
        if known and known[:2] == (stat.st_size, stat.st_mtime_ns):
            return HashedFile(file, stat.st_size, stat.st_mtime_ns, known[2])
        return HashedFile(file, stat.st_size, stat.st_mtime_ns, sha256_of(file.path))
    except OSError as error:
        raise SourceFileError(
            file.relative,
            f"a file that cannot be opened ({error.strerror})",
            "a readable file",
            "give the user that runs userops the right to read it",
        ) from None


def _decide(run: IngestRun, again: Callable[[Feed], Collection[str]], *, whole: bool) -> None:
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
        run.touched.update((name, path.file_path) for path in plan.points)
        for path, batch in plan.held.items() if whole else ():
            seen = landing.get((name, path))
            note_still_held(run, feed, path, batch, served=seen is not None and seen.held_batch_id is not None)
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


def _stage_feeds(run: IngestRun) -> None:
    todo = [(feed, take) for feed in run.feeds for take in feed.plan.takes]
    size = sum(feed.files[take.file_path].size for feed, take in todo)
    done, number, told = 0, 0, time.monotonic()
    for feed in run.feeds:
        for take in feed.plan.takes:
            number += 1
            if not _stage_take(run, feed, take):
                break
            done += feed.files[take.file_path].size
            if time.monotonic() - told > _LOG_SECONDS or number == len(todo):
                log.info("landing files read", done=number, files=len(todo), bytes_done=done, bytes=size)
                told = time.monotonic()


def _stage_take(run: IngestRun, feed: Feed, take: Take) -> bool:
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
        run.fail_source(source, error, take.file_path)
        return False
    except Exception as error:  # noqa: BLE001 - one file must not stop the others, whatever happens to it
        _drop_staged(run.settings, source.entity, take.batch_id)
        plain = told(error, take.file_path)
        _record_failure(run, source, take, hashed, plain)
        run.fail_file(source, take.file_path, plain, in_lake=take.file_path in feed.plan.replaced)
        return True
    batch = replace(
        staged.batch, take=take.take, as_of_date=run.context.as_of, batch_id=take.batch_id, held=bool(staged.held)
    )
    run.ledger.record(batch, staged.dates, take.paths)
    lake.reached("batch staged")
    run.staged.append(batch)
    note_staged(run, feed, take, staged)
    return True


def _record_failure(run: IngestRun, source: Source, take: Take, hashed: HashedFile, error: UseropsError) -> None:
    failed = failed_batch(source, hashed.file, take.sha256, hashed.size, error)
    run.ledger.record(replace(failed, batch_id=take.batch_id, take=take.take, as_of_date=run.context.as_of), {})


def _take_back(run: IngestRun, source: Source, take: Take) -> None:
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
