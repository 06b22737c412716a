"""What a hostile file is, and the means to write one down: its bytes, its source YAML, and the fate it must have."""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEADER = "id,ts,event,uid\n"
COLUMNS = {"event_id": "id", "event_time": "ts", "event_name": "event", "user_id": "uid"}
#: What the lake holds of the lines `line("a")`, `line("b")`.
IDS = "event_id, user_id"


@dataclass(frozen=True)
class Taken:
    """The file is taken, and every record of it has the fate told here.

    Attributes:
        reasons: quarantined rows by reason code (several reasons of one row are joined by `; `).
        columns: SQL of the columns that `rows` shows, ordered by their values.
        rows: what the lake holds of the file; None: only the number counts.
        notes: kinds of the notes a person must find.
        raws: pieces of text that the quarantined rows must show whole.
    """

    loaded: int
    quarantined: int = 0
    deduplicated: int = 0
    filtered: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    columns: str = IDS
    rows: Sequence[tuple[Any, ...]] | None = None
    notes: tuple[str, ...] = ()
    raws: tuple[str, ...] = ()

    @property
    def read(self) -> int:
        return self.loaded + self.quarantined + self.deduplicated + self.filtered


@dataclass(frozen=True)
class Refused:
    """Nothing of the file is taken; a note of severity error says `words` (a regular expression)."""

    words: str
    kind: str = "failed_file"


@dataclass(frozen=True)
class Waiting:
    """The file is not complete yet: nothing of it is taken, and a note says why."""

    words: str


@dataclass(frozen=True)
class Unseen:
    """The file is none of the source's: not taken, and no word about it."""


Fate = Taken | Refused | Waiting | Unseen


@dataclass(frozen=True)
class Case:
    """One hostile file.

    Attributes:
        content: makes the bytes of landing/<name>/<file>.
        place: puts something else than a plain file there; gets the path of landing/<name>/<file>.
        source: what the source YAML says besides the defaults.
        alone: the file gets an instance of its own, because time and memory are the point.
        child: it is read by a process of its own, because it may take its reader with it.
        seconds: longest time the ingest of a file alone may take.
        megabytes: most memory it may need on top of what the process had.
    """

    name: str
    why: str
    fate: Fate
    content: Callable[[], bytes] | None = None
    place: Callable[[Path], None] | None = None
    file: str = "events_1.csv"
    source: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False
    child: bool = False
    seconds: float = 30.0
    megabytes: int = 600

    def put(self, folder: Path) -> None:
        """Write the file below `folder`."""
        path = folder / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.place:
            self.place(path)
        else:
            assert self.content is not None
            path.write_bytes(self.content())


@dataclass(frozen=True)
class Bad:
    """In a table of values: this one is refused, for this reason."""

    reason: str = "bad_type"


def line(name: str, user: str = "u", time: str = "2026-01-05 10:00:00") -> str:
    """One good record of a csv file."""
    return f"{name},{time},view,{user}\n"


def good(*names: str) -> str:
    """A csv file of good records."""
    return HEADER + "".join(line(name) for name in names)


def loaded(*names: str, **changes: Any) -> Taken:
    """Exactly the records `line(name)` are in the lake."""
    return Taken(len(names), rows=[(name, "u") for name in sorted(names)], **changes)


def text(value: str, encoding: str = "utf-8") -> Callable[[], bytes]:
    """Content that is this text."""
    return lambda: value.encode(encoding)


def zipped(value: str) -> bytes:
    """The text as gzip, always the same bytes."""
    return gzip.compress(value.encode(), mtime=0)


def csv_of(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """A csv file, quoted where it must be."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode()


def values(
    name: str, why: str, column: str, table: Sequence[tuple[str, str | Bad | None]], shown: str = "", **mapping: Any
) -> Case:
    """A csv file with one value per record in `column`, and what becomes of each.

    Args:
        table: the text of the file and the text the lake shows (None: null), or the reason it is refused for.
        shown: SQL that shows the column as text; default: a cast.
        mapping: what the column's mapping says besides the source column.
    """
    named = [(f"v{number:03}", given, expected) for number, (given, expected) in enumerate(table)]
    kept = [(key, expected) for key, _, expected in named if not isinstance(expected, Bad)]
    reasons = Counter(expected.reason for _, _, expected in named if isinstance(expected, Bad))
    columns = {**COLUMNS, column: {"column": "value", **mapping}}
    return Case(
        name,
        why,
        Taken(
            len(kept),
            reasons.total(),
            reasons=reasons,
            columns=f"event_id, {shown or f'cast({column} as varchar)'}",
            rows=kept,
        ),
        content=lambda: csv_of(
            ("id", "ts", "event", "uid", "value"), [(key, "2026-01-05", "view", "u", given) for key, given, _ in named]
        ),
        # In a table of times or users, `ts` or `uid` fills nothing.
        source={"columns": columns, "ignore": ["ts", "uid"], "type_drift": {"share": 1.0}},
    )
