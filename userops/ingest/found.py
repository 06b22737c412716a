"""Files of a source, wherever they lie: what is known of one before it is read, and which names a pattern means."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote

from fsspec.utils import glob_translate

from userops.ingest.sources import CompleteSpec

#: Name of the marker Spark and Hadoop leave: never data, whether or not a source waits for it.
SUCCESS_MARKER = "_SUCCESS"
_RECURSIVE = "**"


@dataclass(frozen=True)
class Found:
    """A file as a listing tells of it.

    Attributes:
        name: what its file system calls it: a path, a bucket and key, a URL.
        relative: its path below the source's folder, with slashes, exactly as it is there.
        size: in bytes; None when the listing does not say.
        modified: seconds since 1970 UTC; None when unknown.
        version: text that changes when the content does; empty when there is nothing to tell versions apart by.
        exact: whether equal versions are equal bytes (an ETag), not just equal times and sizes.
        problem: why it cannot be taken, whatever its name.
    """

    name: str
    relative: str
    size: int | None = None
    modified: float | None = None
    version: str = ""
    exact: bool = False
    problem: str = ""

    @property
    def shown(self) -> str:
        """The relative path as ledger and messages have it: it never leads upwards, and every tool can store it."""
        return shown_path(self.relative)


def shown_path(relative: str) -> str:
    """Return a relative path as it is, or percent-encoded when a part is empty, dots, or holds control characters."""
    parts = relative.split("/")
    if not any(part in ("", ".", "..") or any(_unfit(sign) for sign in part) for part in parts):
        return relative
    encoded = [quote(part, safe=" ", errors="surrogateescape") for part in parts]
    return "/".join(part.replace(".", "%2E") if part in (".", "..") else part or "%" for part in encoded)


def _unfit(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cs")


class PathPattern:
    """`files.pattern`: `*`, `?` and `[...]` within a name, `**` for any folders in between.

    Names that begin with a dot count only when the pattern says so: exports in the making often have such names.
    A trailing slash means every file of the folder.
    """

    def __init__(self, pattern: str) -> None:
        parts = [*PurePosixPath(pattern).parts, *(["*"] if pattern.endswith("/") else [])]
        self.literal = "/".join(parts) if not any(sign in pattern for sign in "*?[") and parts else None
        self._whole = re.compile(glob_translate("/".join(parts)))
        self._folders = [re.compile(glob_translate(part)) for part in _before_recursion(parts)]
        self._depth = None if _RECURSIVE in parts else len(parts)
        self._hidden = any(part.startswith(".") for part in parts)

    def matches(self, relative: str) -> bool:
        """Whether the file of that path is meant."""
        return (self._hidden or not _is_hidden(relative)) and self._whole.match(relative) is not None

    def may_hold(self, folder: str) -> bool:
        """Whether files below the folder of that path can be meant."""
        names = folder.split("/")
        if (self._depth is not None and len(names) >= self._depth) or (not self._hidden and _is_hidden(folder)):
            return False
        return all(part.match(name) for part, name in zip(self._folders, names, strict=False))


def _before_recursion(parts: list[str]) -> list[str]:
    return parts[: parts.index(_RECURSIVE)] if _RECURSIVE in parts else parts


def _is_hidden(relative: str) -> bool:
    return any(part.startswith(".") and part not in (".", "..") for part in relative.split("/"))


def markers_of(complete: CompleteSpec, relative: str) -> list[str]:
    """Return the relative paths of the markers that must exist before the file of that path is taken."""
    folder = relative.rpartition("/")[0]
    beside = f"{folder}/{complete.marker}" if folder else complete.marker
    return [
        *([beside] if complete.marker and beside else []),
        *([relative + complete.marker_suffix] if complete.marker_suffix else []),
    ]


def is_marker(complete: CompleteSpec, relative: str) -> bool:
    """Whether the file of that path is a marker and so no data."""
    name = relative.rpartition("/")[2]
    return name in (SUCCESS_MARKER, complete.marker) or bool(
        complete.marker_suffix and name.endswith(complete.marker_suffix)
    )
