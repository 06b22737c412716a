"""Which files a source has now, and which of them are complete: the eyes of `ingest`."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import structlog

from userops.config import Settings
from userops.errors import ConfigError, SourceFileError
from userops.ingest.connections import LOCAL, access_of, protocol_of
from userops.ingest.fetching import FetchProgress, fetch_all
from userops.ingest.found import Found, PathPattern, is_marker, markers_of
from userops.ingest.mirror import Mirror
from userops.ingest.readers import LandingFile
from userops.ingest.remote import Changed, MissingFolder, RemoteFolder, remote_folder
from userops.ingest.sources import Source, did_you_mean

log = structlog.get_logger(__name__)

#: Fetches that may fail one after another before the source is given up for this run.
_FAILURES_IN_A_ROW = 3


@dataclass
class Listing:
    """What a source has now.

    Attributes:
        files: complete files, ready to be read, by relative path. That of a local file counts from landing/, that of
            any other begins with the source's name.
        waiting: "relative path: why" of files that are there and not complete.
        notes: what else is worth telling.
        failures: relative path and error of files that are there and cannot be had; the others are not affected.
        present: relative paths of everything that is there: files, waiting and failures.
    """

    files: list[LandingFile] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: dict[str, SourceFileError] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)


def list_source(
    settings: Settings, source: Source, progress: FetchProgress | None = None, latest: int | None = None
) -> Listing:
    """Return the files of a source; those of other machines are fetched first, as far as they are new or changed.

    Args:
        settings: of the instance.
        source: what to list.
        progress: told of the bytes that are fetched.
        latest: fetch and return no more than this many files, the last by name (for a look at a sample).

    Raises:
        ConfigError: pattern, URL or Airflow connection cannot be used.
        SourceFileError: the folder is not there (unless the source is optional), leads out of landing/, or does not
            answer.
        LockedError: another process is fetching for the same source.
    """
    pattern = _pattern(source)
    if source.files.path is not None:
        root = settings.paths.landing / source.files.path
        listing = _list_local(settings, source, pattern, root, settings.paths.landing, source.files.path, latest)
    elif protocol_of(source) == LOCAL:
        access_of(settings, source)  # checks the URL
        root = Path(unquote(urlsplit(source.files.url or "").path))
        listing = _list_local(settings, source, pattern, root, root, source.source, latest)
    else:
        listing = _list_remote(settings, source, pattern, progress, latest)
    if not listing.present and not source.files.optional:
        place = source.files.url or settings.paths.landing / str(source.files.path)
        listing.notes.append(f"source `{source.source}`: no file matches {source.files.pattern} in {place}")
    return listing


def _pattern(source: Source) -> PathPattern:
    try:
        return PathPattern(source.files.pattern)
    except ValueError:
        raise ConfigError(
            f"source `{source.source}`, key `files.pattern`",
            f"`{source.files.pattern}`",
            "`**` as a whole part of the path, as in **/*.csv",
            "correct the pattern",
        ) from None


# Folders of this machine


def _list_local(
    settings: Settings,
    source: Source,
    pattern: PathPattern,
    root: Path,
    boundary: Path,
    prefix: str,
    latest: int | None,
) -> Listing:
    """List `root`; links may lead anywhere inside `boundary`. Relative paths begin with `prefix`."""
    listing = Listing()
    if not root.is_dir():
        if not source.files.optional or root.exists():
            raise _no_folder(source, root)
        return listing
    walk = _LocalWalk(root, prefix, pattern, Path(os.path.realpath(boundary)))
    if not Path(os.path.realpath(root)).is_relative_to(walk.limit):
        raise _leads_out(f"source `{source.source}`, key `files.path`", root, boundary)
    found = list(walk.files())
    mirror = Mirror(settings.paths.fetched / source.source, str(root))
    files = _complete(source, pattern, found, mirror, listing, prefix)
    listing.files = [LandingFile(Path(file.name), _relative(prefix, file)) for file in _last(files, latest)]
    listing.failures |= walk.failures
    listing.present |= set(walk.failures)
    return listing


@dataclass
class _LocalWalk:
    """A walk through the folders that can hold files of the pattern.

    Attributes:
        limit: links that lead out of this folder are failures.
        failures: what matches the pattern and cannot be read, by relative path.
    """

    root: Path
    prefix: str
    pattern: PathPattern
    limit: Path
    failures: dict[str, SourceFileError] = field(default_factory=dict)

    def files(self) -> Iterator[Found]:
        """Yield every file of these folders, of the pattern or not."""
        yield from self._folder("", (os.path.realpath(self.root),))

    def _folder(self, folder: str, above: tuple[str, ...]) -> Iterator[Found]:
        for entry in self._entries(self.root / folder):
            relative = f"{folder}/{entry.name}" if folder else entry.name
            if _is_folder(entry):
                real = os.path.realpath(entry.path)
                if not self.pattern.may_hold(relative):
                    self._fail_if_meant(relative, "a folder")
                    continue
                if not Path(real).is_relative_to(self.limit):
                    self._fail(relative, _leads_out(self._shown(relative), Path(entry.path), self.limit))
                elif real not in above:  # a link that leads upwards has no end
                    yield from self._folder(relative, (*above, real))
            elif entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(self.limit):
                if self.pattern.matches(relative):
                    self._fail(relative, _leads_out(self._shown(relative), Path(entry.path), self.limit))
            else:
                yield from self._file(entry, relative)

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return list(entries)
        except OSError as error:
            raise SourceFileError(
                str(folder),
                f"a folder that cannot be listed ({error.strerror})",
                "a readable folder",
                "give the user that runs userops the right to list it",
            ) from None

    def _file(self, entry: os.DirEntry[str], relative: str) -> Iterator[Found]:
        reason = "no regular file"
        try:
            status = entry.stat()
            if stat.S_ISREG(status.st_mode):
                version = f"{status.st_mtime_ns}, {status.st_size}"
                yield Found(entry.path, relative, status.st_size, status.st_mtime, version)
                return
        except OSError as error:
            reason = f"a file that cannot be opened ({error.strerror})"
        self._fail_if_meant(relative, reason)

    def _fail_if_meant(self, relative: str, found: str) -> None:
        if self.pattern.matches(relative):
            fix = "move it away, or make `files.pattern` of its source narrower"
            self._fail(relative, SourceFileError(self._shown(relative), found, "a readable file", fix))

    def _shown(self, relative: str) -> str:
        return _relative(self.prefix, Found("", relative))

    def _fail(self, relative: str, error: SourceFileError) -> None:
        self.failures[self._shown(relative)] = error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder, or a link to one; a link that leads nowhere, or to itself, is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _no_folder(source: Source, root: Path) -> SourceFileError:
    siblings = [item.name for item in root.parent.iterdir() if item.is_dir()] if root.parent.is_dir() else []
    key = "path" if source.files.path is not None else "url"
    return SourceFileError(
        f"source `{source.source}`, key `files.{key}`",
        f"{'a file' if root.exists() else 'no folder'} {root}",
        "the folder the export is dropped into",
        " ".join(
            filter(
                None,
                [
                    did_you_mean(root.name, siblings),
                    f"create it, correct `files.{key}`, or set `files.optional: true`",
                ],
            )
        ),
    )


def _leads_out(where: str, link: Path, boundary: Path) -> SourceFileError:
    return SourceFileError(
        where,
        f"{link}, a link that leads out of {boundary}",
        f"files that lie below {boundary}",
        "move the files there; to read them where they are, use `files.url: file:///that/folder`",
    )


# Folders of other machines


def _list_remote(
    settings: Settings, source: Source, pattern: PathPattern, progress: FetchProgress | None, latest: int | None
) -> Listing:
    listing = Listing()
    with remote_folder(settings, source) as remote:
        mirror = Mirror(settings.paths.fetched / source.source, remote.access.url)
        with mirror.locked():
            try:
                everything = remote.files(pattern, source.files.complete)
            except MissingFolder:
                if not source.files.optional:
                    raise
                listing.notes.append(f"{remote.where}: not there; the source is optional")
                return listing
            files = _complete(source, pattern, everything, mirror, listing, source.source, remote.described)
            files = _last(files, latest)
            lost = _fetch(remote, mirror, files, listing, source, progress)
    listing.files = [
        LandingFile(mirror.path(file), _relative(source.source, file)) for file in files if file not in lost
    ]
    return listing


def _fetch(
    remote: RemoteFolder,
    mirror: Mirror,
    files: Sequence[Found],
    listing: Listing,
    source: Source,
    progress: FetchProgress | None,
) -> set[Found]:
    """Fetch what is not here yet; return the files that could not be had."""
    missing = [file for file in files if not mirror.holds(file)]
    lost: set[Found] = set()
    started, in_a_row = time.monotonic(), 0
    with closing(fetch_all(remote, mirror, missing, source.source, progress)) as outcomes:
        for file, error in outcomes:
            relative = _relative(source.source, file)
            if isinstance(error, Changed):
                lost.add(file)
                listing.waiting.append(f"{relative}: {error}")
            elif error is not None:
                lost.add(file)
                listing.failures[relative] = error
                in_a_row += 1
                if in_a_row == _FAILURES_IN_A_ROW:
                    raise error
            else:
                in_a_row = 0
    if missing:
        log.info(
            "remote files fetched",
            source=source.source,
            files=len(missing) - len(lost),
            not_fetched=len(lost),
            bytes=sum(file.size or 0 for file in missing),
            seconds=round(time.monotonic() - started, 1),
        )
    return lost


# Which are complete


def _complete(
    source: Source,
    pattern: PathPattern,
    everything: Sequence[Found],
    mirror: Mirror,
    listing: Listing,
    prefix: str,
    describe: Callable[[Sequence[Found]], Sequence[Found]] = list,
) -> list[Found]:
    """Return the files of the pattern that may be taken, by path; the others become waiting or failures."""
    spec = source.files.complete
    names = {file.relative for file in everything}
    meant = [file for file in everything if pattern.matches(file.relative) and not is_marker(spec, file.relative)]
    described = sorted(describe(meant), key=lambda file: file.shown)
    ready: list[Found] = []
    doubtful: list[Found] = []
    for file in described:
        relative = _relative(prefix, file)
        if file.problem or relative in listing.present:
            why = file.problem or "a second file whose name looks the same"
            listing.failures[relative] = SourceFileError(relative, why, "a file that can be read", "correct its source")
            continue
        listing.present.add(relative)
        absent = [marker for marker in markers_of(spec, file.relative) if marker not in names]
        seconds = _seconds_unchanged(file, mirror, doubtful) if spec.stable_seconds else 0.0
        if absent:
            listing.waiting.append(f"{relative}: no {absent[0].rpartition('/')[2]} yet")
        elif seconds < spec.stable_seconds:
            listing.waiting.append(f"{relative}: changed {seconds:.0f} s ago, taken after {spec.stable_seconds} s")
        else:
            ready.append(file)
    mirror.forget_others(doubtful)
    return ready


def _seconds_unchanged(file: Found, mirror: Mirror, doubtful: list[Found]) -> float:
    """Return how long the file has been as it is: by its time stamp or, without one, by what runs have seen."""
    age = time.time() - file.modified if file.modified is not None else -1.0
    if age >= 0:
        return age
    doubtful.append(file)
    return mirror.seen_for(file)


def _last(files: list[Found], latest: int | None) -> list[Found]:
    return files if latest is None else files[-latest:]


def _relative(prefix: str, file: Found) -> str:
    return f"{Path(prefix).as_posix()}/{file.shown}"
