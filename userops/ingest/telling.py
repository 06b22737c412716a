"""What a run of `ingest` tells: of every file that was taken, of every source, and of itself."""

from __future__ import annotations

from userops.errors import shown_name
from userops.ingest.ledger import COMMITTED, Batch
from userops.ingest.plan import Take
from userops.ingest.run import Feed, IngestRun
from userops.ingest.stage import StagedFile
from userops.steps import StepReport

_ACCOUNTS = ("rows_read", "rows_loaded", "rows_deduplicated", "rows_quarantined", "rows_filtered")


def note_staged(run: IngestRun, feed: Feed, take: Take, staged: StagedFile) -> None:
    """Note what a person should know about a file that was taken."""
    name, notes = feed.source.source, run.notes
    replaced = [path.file_path for path in take.paths if path.file_path in feed.plan.replaced]
    if staged.held:
        run.unreplaced.update((name, path) for path in replaced)
        stays = _stays(served=bool(replaced) or take.take > 1)
        notes.add(name, "held", "error", f"{staged.held}{stays}", take.file_path)
    else:
        for path in replaced:
            notes.add(
                name, "replaced", "info", f"{path} has new bytes: they replace the rows of its earlier version", path
            )
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


def note_still_held(run: IngestRun, feed: Feed, path: str, batch: Batch, *, served: bool) -> None:
    """Note a file that an earlier day held and nobody has settled since: its source stays red.

    Args:
        served: whether an earlier version's rows are in the lake.
    """
    if batch.as_of_date == run.context.as_of:
        return  # the note of the run that took it still holds
    since = f" since {batch.as_of_date}" if batch.as_of_date else ""
    text = f"{path}: held whole{since}, {batch.rows_quarantined} rows wait in quarantine{_stays(served=served)}"
    run.notes.add(feed.source.source, "held", "error", text, path)


def _stays(*, served: bool) -> str:
    if not served:
        return ""
    return (
        "; it replaces nothing: the rows of its earlier version stay in the lake until it is taken again "
        "(`userops quarantine retry`) or dropped"
    )


def note_mappings(run: IngestRun) -> None:
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


def staged_report(run: IngestRun) -> StepReport:
    """Return what the run did, in figures and in one line."""
    totals = {name: sum(int(getattr(batch, name)) for batch in run.staged) for name in _ACCOUNTS}
    plans = [feed.plan for feed in run.feeds]
    replaced = {(feed.source.source, path) for feed in run.feeds for path in feed.plan.replaced}
    counts: dict[str, int | float] = {
        "files_staged": len(run.staged),
        "files_skipped": sum(len(plan.skipped) for plan in plans),
        "files_duplicate": sum(len(plan.duplicates) for plan in plans),
        "files_replaced": len(replaced - run.unreplaced),
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
