"""Several remote files at a time into their mirror, told of in the order of the listing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from userops.errors import SourceFileError
from userops.ingest.found import Found
from userops.ingest.mirror import Mirror
from userops.ingest.remote import Changed, RemoteFolder

log = structlog.get_logger(__name__)

#: Called while remote files are fetched, with (relative path of the file, bytes fetched so far, bytes to fetch in all).
FetchProgress = Callable[[str, int, int], None]

#: Files from this size on come one at a time: their parts are fetched side by side already, and lie in memory.
_LARGE_BYTES = 8 * 1024 * 1024
_LOG_SECONDS = 10.0


def fetch_all(
    remote: RemoteFolder, mirror: Mirror, files: Sequence[Found], prefix: str, progress: FetchProgress | None
) -> Generator[tuple[Found, Changed | SourceFileError | None]]:
    """Fetch files, up to `remote.at_once` at a time; yield each with what was wrong, in the order given.

    Which error comes first does not depend on which transfer was faster. Closed early, it begins no further file and
    waits for those under way.

    Args:
        prefix: what relative paths begin with in what `progress` is told.
        progress: called by one thread at a time.
    """
    meter = _Meter(prefix, sum(file.size or 0 for file in files), progress)
    one_large_one = threading.Lock()

    def fetch(file: Found) -> Changed | SourceFileError | None:
        try:
            if (file.size or 0) < _LARGE_BYTES:
                mirror.fetch(remote, file, lambda size: meter.told(file, size))
            else:
                with one_large_one:
                    mirror.fetch(remote, file, lambda size: meter.told(file, size))
        except (Changed, SourceFileError) as error:
            return error
        return None

    pool = ThreadPoolExecutor(max_workers=remote.at_once, thread_name_prefix="fetch")
    try:
        for file, outcome in zip(files, pool.map(fetch, files), strict=True):
            meter.told(file, file.size or 0)
            yield file, outcome
    finally:
        pool.shutdown(cancel_futures=True)


class _Meter:
    """Adds up the bytes of transfers side by side; a transfer that begins anew never takes the sum down."""

    def __init__(self, prefix: str, total: int, progress: FetchProgress | None) -> None:
        self._prefix, self._total, self._progress = prefix, total, progress
        self._sizes: dict[Found, int] = {}
        self._done = 0
        self._lock = threading.Lock()

    def told(self, file: Found, size: int) -> None:
        """Note that `size` bytes of a file are here."""
        with self._lock:
            more = size - self._sizes.get(file, 0)
            if more > 0:
                self._sizes[file] = size
                self._done += more
            if self._progress is not None:
                self._progress(f"{self._prefix}/{file.shown}", self._done, self._total)


class LoggedProgress:
    """A progress that goes to the log, every ten seconds."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._told = time.monotonic()

    def __call__(self, relative: str, done: int, total: int) -> None:
        """Log how far it is, unless that was done just now."""
        if time.monotonic() - self._told > _LOG_SECONDS:
            self._told = time.monotonic()
            log.info("fetching remote files", source=self._source, file=relative, bytes_done=done, bytes=total)
