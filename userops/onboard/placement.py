"""Where files lie below landing/, and the pattern that their names have in common."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_DATE = re.compile(
    r"(?<!\d)(?:19|20)\d{2}[-_.]?(?:0[1-9]|1[0-2])(?:[-_.]?(?:0[1-9]|[12]\d|3[01]))?(?:[-_T]?\d{2,6})?(?!\d)"
)
_COUNTER = re.compile(r"(?<![0-9A-Za-z])(?:\d{3,}(?!\d)|\d{1,2}(?=\.))")
#: Names of files that only the folder tells apart.
_NOTHING = "data event events export item items log logs order orders output part product products user users"
_SAYS_NOTHING = frozenset(("", *_NOTHING.split()))
_GLOB_SIGNS = re.compile(r"[\[\]*?]")


@dataclass(frozen=True)
class Placement:
    """`files.path` and `files.pattern` of a source, and whether the files have to be put there first."""

    path: str
    pattern: str
    to_move: bool


def place_files(files: Sequence[Path], landing: Path, source: str, others: Sequence[Path] = ()) -> Placement:
    """Return where a source's files are to be found.

    Args:
        others: files given together with these that belong to other sources: the pattern must not catch them.
    """
    inside = [_below(file, landing) for file in files]
    if all(item is not None for item in inside):
        relative = [item for item in inside if item is not None]
        folder = _common_folder(relative)
        names = [str(item.relative_to(folder)) for item in relative]
        other_names = [
            str(item.relative_to(folder))
            for other in others
            if (item := _below(other, landing)) is not None and item.is_relative_to(folder)
        ]
        return Placement(str(folder), common_pattern(names, other_names), False)
    names = [file.name for file in files]
    return Placement(source, common_pattern(names, [other.name for other in others]), True)


def source_name(files: Sequence[Path], entity: str) -> str:
    """Return a name for a source from what its files' names have in common: lower-case letters, digits and _."""
    stem = files[0].name.partition(".")[0]
    for file in files[1:]:
        other = file.name.partition(".")[0]
        stem = _common_start([stem, other])
    plain = re.sub(r"[^a-z0-9]+", "_", _DATE.sub("", stem).lower()).strip("_")
    if plain in _SAYS_NOTHING:
        folder = re.sub(r"[^a-z0-9]+", "_", _DATE.sub("", files[0].resolve().parent.name).lower()).strip("_")
        plain = f"{folder}_{plain}".strip("_")
    if not re.match(r"[a-z]", plain):
        plain = f"{entity}_{plain}".strip("_")
    return plain[:60]


def common_pattern(names: Sequence[str], others: Sequence[str]) -> str:
    """Return a pattern that matches `names` and tomorrow's names of their kind, and none of `others`."""
    general = {_generalised(name) for name in names}
    if len(general) > 1:
        general = {_spanned(names)}
    pattern = general.pop()
    if any(fnmatch.fnmatchcase(other, pattern) for other in others) or not all(
        fnmatch.fnmatchcase(name, pattern) for name in names
    ):
        return _escaped(names[0]) if len(names) == 1 else _spanned(names)
    return pattern


def _generalised(name: str) -> str:
    return _squeezed(_COUNTER.sub("*", _DATE.sub("*", _escaped(name))))


def _spanned(names: Sequence[str]) -> str:
    """What names begin and end with, within each part of the path."""
    parts = [PurePosixPath(name).parts for name in names]
    if len({len(item) for item in parts}) > 1:
        return "**/*" + _common_end(names)
    return "/".join(_span(list(level)) for level in zip(*parts, strict=True))


def _span(parts: list[str]) -> str:
    if len(set(parts)) == 1:
        return _escaped(parts[0])
    start = _common_start(parts)
    end = _common_end([part[len(start) :] for part in parts])
    return _squeezed(f"{_escaped(start)}*{_escaped(end)}")


def _common_start(texts: Sequence[str]) -> str:
    shortest = min(texts, key=len)
    return next((shortest[:at] for at in range(len(shortest)) if len({text[at] for text in texts}) > 1), shortest)


def _common_end(texts: Sequence[str]) -> str:
    return _common_start([text[::-1] for text in texts])[::-1]


def _escaped(text: str) -> str:
    """A sign that means something in a pattern becomes `?`, which any one sign matches."""
    return _GLOB_SIGNS.sub("?", text)


def _squeezed(pattern: str) -> str:
    return re.sub(r"\*+(?:[-_.]?\*+)+", "*", re.sub(r"\*\*+", "*", pattern))


def _below(file: Path, landing: Path) -> PurePosixPath | None:
    resolved, root = file.resolve(), landing.resolve()
    return PurePosixPath(resolved.relative_to(root).as_posix()) if resolved.is_relative_to(root) else None


def _common_folder(files: Sequence[PurePosixPath]) -> PurePosixPath:
    """The deepest folder all files share, not counting partition folders such as dt=2026-01-01."""
    shared = list(files[0].parent.parts)
    for file in files[1:]:
        parts = file.parent.parts
        differing = (at for at, pair in enumerate(zip(shared, parts, strict=False)) if pair[0] != pair[1])
        shared = shared[: next(differing, min(len(shared), len(parts)))]
    plain = next((at for at, part in enumerate(shared) if "=" in part or _DATE.fullmatch(part)), len(shared))
    return PurePosixPath(*shared[:plain]) if shared[:plain] else PurePosixPath(".")
