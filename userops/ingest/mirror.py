"""Copies of remote files below fetched/<source>/: only new and changed files are fetched, and only whole ones appear.

A copy is named after the file's address and version, so that its mere existence says "this version is here, whole": it
is written under a temporary name, compared with the listing, forced to disk and only then renamed. There is no other
state, and so none that a killed process could leave wrong. The folder may be removed at any time.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from userops.errors import LockedError, SourceFileError
from userops.ingest.found import Found
from userops.ingest.lake import reached, sync_file, sync_folder
from userops.ingest.remote import RemoteFolder

#: A file written this short a time before it was fetched may have got new bytes under the same time stamp since.
_RACY_SECONDS = 3.0
#: Free space that a fetch leaves on the disk.
_SPARE_BYTES = 256 * 1024 * 1024
_LOCK_SECONDS = 60
_LONGEST_TAIL = 80


class Mirror:
    """The copies of one source's remote files.

    Args:
        folder: fetched/<source>; only its lock may exist beside it.
        address: the source's URL: another URL has other files.
    """

    def __init__(self, folder: Path, address: str) -> None:
        self._folder = folder
        self._address = address
        self._copies: dict[str, set[str]] = {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from fetching for the same source, and clear away what a killed one began.

        Raises:
            LockedError: another process has been fetching for a minute.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder.with_name(f"{self._folder.name}.lock"))
        try:
            lock.acquire(timeout=_LOCK_SECONDS)
        except Timeout:
            raise LockedError(
                str(self._folder), "another userops process that is fetching", "one at a time", "wait until it is done"
            ) from None
        try:
            for part in self._folder.glob("*.part"):
                part.unlink()
            self._copies = {}  # looked up once: a folder may hold very many
            for copy in self._folder.glob("*-*"):
                self._copies.setdefault(copy.name.partition("-")[0], set()).add(copy.name)
            yield
        finally:
            lock.release()

    def path(self, file: Found) -> Path:
        """Return where the copy of that version of the file lies, or would lie.

        Digests keep apart what differs, whatever a file system makes of case, length, slashes or odd signs in names.
        """
        tail = re.sub(r"[^A-Za-z0-9._=-]", "_", file.relative.rpartition("/")[2])[-_LONGEST_TAIL:].lstrip(".")
        return self._folder / f"{self._digest(file)}-{_hex(file.version, 8)}-{tail or 'file'}"

    def holds(self, file: Found) -> bool:
        """Whether the copy is here and can be no other bytes than those of the listing."""
        path = self.path(file)
        if not file.version or not path.is_file() or path.stat().st_size != file.size:
            return False
        return file.exact or (file.modified or 0.0) + _RACY_SECONDS < path.stat().st_mtime

    def fetch(self, remote: RemoteFolder, file: Found, progress: Callable[[int], None]) -> None:
        """Copy the file, whole, in the version of the listing, and drop the copies of its older versions.

        Only inside `locked`; several threads may fetch different files at the same time.

        Raises:
            Changed: it has another version by now, or is gone.
            SourceFileError: it cannot be read, or there is no room for it.
        """
        self._require_room(remote, file)
        final = self.path(file)
        part = final.with_name(f"{final.name}.part")
        try:
            remote.fetch(file, part, progress)
            sync_file(part)
            reached("file fetched")
            part.replace(final)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(self._folder)
        for name in self._copies.get(self._digest(file), set()) - {final.name}:
            (self._folder / name).unlink(missing_ok=True)
        self._copies[self._digest(file)] = {final.name}

    def seen_for(self, file: Found) -> float:
        """Return for how many seconds runs have seen the file in this version; 0.0 the first time."""
        memory = self._sighting(file)
        now = time.time()
        if not memory.exists():
            memory.parent.mkdir(parents=True, exist_ok=True)
            memory.touch()
            return 0.0
        return now - memory.stat().st_mtime

    def forget_others(self, files: Sequence[Found]) -> None:
        """Forget since when files and versions were seen that are not among these."""
        kept = {self._sighting(file) for file in files}
        for memory in (self._folder / "seen").glob("*"):
            if memory not in kept:
                memory.unlink()

    def _sighting(self, file: Found) -> Path:
        return self._folder / "seen" / f"{self._digest(file)}-{_hex(f'{file.version} {file.size} {file.modified}', 8)}"

    def _digest(self, file: Found) -> str:
        return _hex(f"{self._address}\0{file.relative}", 16)

    def _require_room(self, remote: RemoteFolder, file: Found) -> None:
        free = shutil.disk_usage(self._folder).free
        if (file.size or 0) + _SPARE_BYTES > free:
            raise SourceFileError(
                f"{remote.where}, file {file.shown}",
                f"{file.size} bytes, with {free} bytes free in {self._folder}",
                f"room for the file and {_SPARE_BYTES} bytes more",
                "make room, and run again; what was fetched is kept",
            )


def _hex(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:digits]
