"""What a run of `ingest` wants a person to know, source by source."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

from userops.ingest.ledger import Ledger, SourceNote
from userops.pii import mask_text

#: Kinds that say something about the way a file was taken: they stay true until it is taken again.
_OF_TAKEN_FILES = frozenset(
    {"held", "empty_file", "file_warning", "new_column", "personal_column", "replaced", "moved"}
)
_SPOKEN_PER_KIND = 10


class NoteBook:
    """The notes of one run for one business date, and those of the runs before it."""

    def __init__(self, as_of: date, earlier: Sequence[SourceNote]) -> None:
        self._as_of = as_of
        self._earlier = [note for note in earlier if note.step == "ingest"]
        self._told_before = {
            (note.source, note.kind, note.message) for note in self._earlier if note.as_of_date != as_of
        }
        self._notes: dict[tuple[str, str, str], SourceNote] = {}

    def add(self, source: str, kind: str, severity: str, message: str, file_path: str = "") -> None:
        """Note something; the same words about the same source are noted once.

        Notes are published: what an engine quoted from a row must not take personal data along.
        """
        message = mask_text(message)
        note = SourceNote(self._as_of, source, "ingest", kind, severity, message, file_path)
        self._notes.setdefault((source, kind, message), note)

    def add_once(self, source: str, kind: str, severity: str, message: str, file_path: str = "") -> None:
        """Note something that is worth saying on one business date only, the first."""
        if (source, kind, mask_text(message)) not in self._told_before:
            self.add(source, kind, severity, message, file_path)

    def forget_taken(self, source: str) -> None:
        """Take back what was noted about files of a source that were taken: they are not, after all."""
        self._notes = {
            key: note for key, note in self._notes.items() if note.source != source or note.kind not in _OF_TAKEN_FILES
        }

    def spoken(self) -> list[str]:
        """Return the messages of errors and warnings; of many of a kind the first ten, and how many more there are."""
        groups: dict[tuple[str, str], list[str]] = {}
        for note in self._notes.values():
            if note.severity != "info":
                groups.setdefault((note.source, note.kind), []).append(note.message)
        lines = []
        for (source, kind), messages in groups.items():
            lines += messages[:_SPOKEN_PER_KIND]
            if len(messages) > _SPOKEN_PER_KIND:
                more = len(messages) - _SPOKEN_PER_KIND
                lines.append(f"source `{source}`: {more} more notes of kind {kind} (`userops ingest --status`)")
        return lines

    def with_earlier(
        self, touched: Collection[tuple[str, str]], held: Collection[tuple[str, str]] | None = None, *, partial: bool
    ) -> list[SourceNote]:
        """Return all notes of the business date: those of this run, and those of earlier runs that still hold.

        Args:
            touched: (source, path) of the files this run took or tried to take.
            held: (source, path) of the files that are held: notes about others that were are settled; None: not known.
            partial: whether this run looked at some files only; what was noted about all others still holds.
        """
        kept = [
            note
            for note in self._earlier
            if note.as_of_date == self._as_of
            and (partial or note.kind in _OF_TAKEN_FILES)
            and (not note.file_path or (note.source, note.file_path) not in touched)
            and (held is None or note.kind != "held" or (note.source, note.file_path) in held)
            and (note.source, note.kind, note.message) not in self._notes
        ]
        return sorted([*kept, *self._notes.values()], key=lambda note: note.source)


def notes_of_last_run(ledger: Ledger) -> list[SourceNote]:
    """Return the notes of the latest business date that has any."""
    notes = ledger.notes()
    return [note for note in notes if note.as_of_date == notes[-1].as_of_date] if notes else []
