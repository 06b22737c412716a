"""The last step of the day: which source is red, although all the others went through to what is published.

`ingest` and `gate_lake` leave notes in the ledger about each source. This step reads those of its business date and
fails for every note of severity `error`. In Airflow it runs once per source, so that the grid names the red ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from userops.errors import UseropsError
from userops.ingest.ledger import SourceNote, open_ledger
from userops.ingest.sources import read_sources, source_files
from userops.pii import mask_text
from userops.steps import StepContext, StepReport

_NAMED_NOTES = 10

#: What to do about an error, by kind of note.
_REMEDIES = {
    "failed_source": "correct its YAML, its folder or its connection",
    "failed_file": "mend the file, export it again, or move it away",
    "held": "`userops quarantine list` shows the drifting column: correct its mapping and `userops quarantine retry`",
    "quarantine_share": "correct the mapping or the filter, or raise `max_quarantine_share` in its YAML",
    "volume_excess": "look for a doubled or mixed export; when its rows are right, set `volume.excess` to flag",
    "volume_empty": "get the missing export; when nothing was due, set `volume.empty` to flag or ignore",
}
_ANY_REMEDY = "mend what the note says"


class SourceHealthError(UseropsError):
    """A source is red; everything that could be taken was taken and published."""


def source_health(context: StepContext) -> StepReport:
    """Report what ingest and gate noted about the sources, or about `context.source` alone.

    Raises:
        SourceHealthError: a note is an error; every red source is named with what happened and what to do.
    """
    with open_ledger(context.settings) as ledger:
        notes = ledger.notes(context.as_of)
    notes += _unreadable_now(context, notes)
    if context.source is not None:
        notes = [note for note in notes if note.source == context.source]
    errors = [note for note in notes if note.severity == "error"]
    if errors:
        raise _red(errors)
    warnings = [note for note in notes if note.severity == "warning"]
    who = f"source {context.source}" if context.source is not None else "every source"
    return StepReport(
        summary=f"{who} is well" + (f", with {len(warnings)} warnings" if warnings else ""),
        counts={"errors": 0, "warnings": len(warnings)},
        warnings=[_told(note) for note in warnings],
    )


def source_names(context: StepContext) -> list[str]:
    """Return every source of the configuration, and every other one with a note of this business date, by name.

    Raises:
        ConfigError: there is no source YAML.
    """
    with open_ledger(context.settings) as ledger:
        noted = {note.source for note in ledger.notes(context.as_of)}
    return sorted(noted.union(read_sources(context.settings).names))


def _unreadable_now(context: StepContext, notes: Sequence[SourceNote]) -> list[SourceNote]:
    """Return an error about every source YAML that `ingest` has not noted as one that cannot be used, and that is."""
    if not source_files(context.settings):
        return []
    noted = {note.source for note in notes if note.kind == "failed_source"}
    return [
        SourceNote(context.as_of, broken.source, "health", "failed_source", "error", mask_text(str(broken.error)))
        for broken in read_sources(context.settings).broken
        if broken.source not in noted
    ]


def _red(errors: Sequence[SourceNote]) -> SourceHealthError:
    names = list(dict.fromkeys(note.source for note in errors))
    named = errors[:_NAMED_NOTES]
    more = len(errors) - len(named)
    return SourceHealthError(
        f"{'source' if len(names) == 1 else 'sources'} {', '.join(f'`{name}`' for name in names)}",
        "; ".join(_told(note) for note in named) + (f"; and {more} more" if more else ""),
        "every source taken and let through; what could be taken of the others is loaded and published",
        "; ".join(_remedies(errors)) + "; then run again: `ingest` takes afresh whatever was left out",
    )


def _told(note: SourceNote) -> str:
    place = f" ({note.file_path})" if note.file_path and note.file_path not in note.message else ""
    message = note.message if note.source in note.message else f"`{note.source}`: {note.message}"
    return f"{message}{place}"


def _remedies(errors: Iterable[SourceNote]) -> list[str]:
    by_source: dict[str, list[str]] = {}
    for note in errors:
        found = by_source.setdefault(_REMEDIES.get(note.kind, _ANY_REMEDY), [])
        if note.source not in found:
            found.append(note.source)
    return [f"{', '.join(sources)}: {remedy}" for remedy, sources in by_source.items()]
