"""Folders on other machines: what lies in them, and one file of them copied to here."""

from __future__ import annotations

import asyncio
import errno
import html.parser
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urljoin, urlsplit

import structlog
import tenacity
from fsspec.asyn import sync
from fsspec.callbacks import Callback

from userops.config import Settings
from userops.errors import SourceFileError, UseropsError
from userops.ingest.connections import GCS, HTTP, S3, SFTP, Access, access_of
from userops.ingest.found import Found, PathPattern, markers_of
from userops.ingest.sources import CompleteSpec, Source

log = structlog.get_logger(__name__)

#: Tries of one request, and the longest wait before the first and any later repetition, in seconds.
TRIES = 4
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0

_CONNECT_SECONDS, _SILENCE_SECONDS = 15, 60
_HEADS_AT_ONCE = 16
#: Files under way at once, where a server takes several requests over one session; SFTP servers often do not.
FILES_AT_ONCE = 8
#: Parts of a large object under way at once: this much of it is in memory.
_S3_PARTS_AT_ONCE, _S3_PART = 4, 8 * 1024 * 1024

MISSING, REFUSED, UNUSABLE, DISK = "missing", "refused", "unusable", "disk"
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

_Answer = TypeVar("_Answer")


class Changed(Exception):
    """A remote file is not, or no longer, what the listing said; the next run sees it anew."""


class CutShort(Exception):
    """Fewer bytes arrived than the file has."""


class RemoteFolder(ABC):
    """The folder a source's URL names. Every call is tried again a few times when the network is to blame.

    Up to `at_once` threads may call it at the same time.

    Raises, from every method: SourceFileError.
    """

    #: Errors that may be gone the next time.
    passing: tuple[type[Exception], ...] = (OSError, EOFError, TimeoutError, CutShort)
    tries = TRIES
    #: Whether a folder can be there and hold nothing.
    has_empty_folders = True
    #: Files fetched at the same time, over one connection.
    at_once = 1

    def __init__(self, access: Access, source: Source) -> None:
        self.access = access
        self.source = source
        self._opened: Any = None
        self._left: list[Any] = []
        self._connecting = threading.Lock()

    @property
    def where(self) -> str:
        """What messages call this folder."""
        return f"source `{self.source.source}`, {self.access.url}"

    def files(self, pattern: PathPattern, complete: CompleteSpec) -> list[Found]:
        """Return every file of the folders in which files of that pattern can lie, markers included.

        Raises:
            MissingFolder: there is no such folder.
        """

        def list_once() -> list[Found]:
            found = list(self._files(pattern, complete))
            if not found and not self.has_empty_folders:
                raise FileNotFoundError(self.access.url)
            return found

        return self._persistently(list_once, self.where)

    def described(self, files: Sequence[Found]) -> list[Found]:
        """Return the files with size and version, asked for where the listing did not tell; gone ones are left out."""
        return self._persistently(lambda: self._described(files), self.where)

    def fetch(self, file: Found, target: Path, progress: Callable[[int], None]) -> None:
        """Copy one file to `target`, whole, in the version of the listing. `progress` gets the bytes so far.

        Raises:
            Changed: it has another version by now, or is gone.
        """

        def fetch_once() -> None:
            self._fetch(file, target, _Bytes(progress))
            found = target.stat().st_size
            if found != file.size:
                self._refuse_changed(file)
                raise CutShort(f"{found} of {file.size} bytes")

        where = f"{self.where}, file {file.shown}"
        try:
            self._persistently(fetch_once, where)
            self._persistently(lambda: self._refuse_changed(file), where)
        except MissingFolder:
            raise Changed("it is listed, but was not there when it was to be fetched") from None

    def close(self) -> None:
        """Hang up. The next call connects again."""
        with self._connecting:
            for opened in [*self._left, self._opened]:
                if opened is not None:
                    with suppress(Exception):
                        self._hang_up(opened)
            self._left, self._opened = [], None

    @property
    def _fs(self) -> Any:
        with self._connecting:
            if self._opened is None:
                self._opened = self._connect()
            return self._opened

    def _give_up(self, failed: Any) -> None:
        """Connect anew with the next call. Where other calls may be under way, they finish over the old connection."""
        if self.at_once == 1:
            self.close()
            return
        with self._connecting:
            if failed is not None and failed is self._opened:
                self._left.append(failed)
                self._opened = None

    @abstractmethod
    def _connect(self) -> Any: ...

    @abstractmethod
    def _hang_up(self, opened: Any) -> None: ...

    @abstractmethod
    def _files(self, pattern: PathPattern, complete: CompleteSpec) -> Iterator[Found]: ...

    @abstractmethod
    def _current(self, file: Found) -> Found: ...

    def _described(self, files: Sequence[Found]) -> list[Found]:
        return list(files)

    def _fetch(self, file: Found, target: Path, callback: Callback) -> None:
        self._fs.get_file(file.name, str(target), callback=callback)

    def _lasting(self, error: Exception) -> str | None:
        """Say why trying again cannot help: missing, refused, unusable; None when it can."""
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return MISSING
        if isinstance(error, PermissionError):
            return REFUSED
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            return DISK
        return None if isinstance(error, self.passing) else UNUSABLE

    def _refuse_changed(self, file: Found) -> None:
        now = self._current(file)
        if (now.size, now.version) != (file.size, file.version):
            raise Changed("changed while it was fetched")

    def _persistently(self, call: Callable[[], _Answer], where: str) -> _Answer:
        used: Any = None

        def attempt() -> _Answer:
            nonlocal used
            used = self._fs
            return call()

        def before_sleep(state: tenacity.RetryCallState) -> None:
            self._note_retry(state, where)
            self._give_up(used)

        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.tries),
            wait=tenacity.wait_exponential_jitter(multiplier=FIRST_WAIT, max=LONGEST_WAIT),
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, Exception) and self._may_pass(error)),
            before_sleep=before_sleep,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except (UseropsError, Changed):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a client library raises must stop this source only
            raise self._told(error, where) from None

    def _may_pass(self, error: Exception) -> bool:
        return not isinstance(error, UseropsError | Changed) and self._lasting(error) is None

    def _note_retry(self, state: tenacity.RetryCallState, where: str) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("remote request failed, trying again", where=where, error=self._short(error))

    def _short(self, error: BaseException | None) -> str:
        text = "; ".join(filter(None, map(str.strip, str(error).splitlines())))
        return self.access.redacted(f"{type(error).__name__}: {text}")[:300]

    def _told(self, error: Exception, where: str) -> SourceFileError:
        identity = f"connection `{self.access.connection}`" if self.access.connection else "no connection"
        reason = self._lasting(error)
        if reason == MISSING:
            return MissingFolder(
                where, "nothing of that name", "the folder the export is dropped into",
                "correct `files.url`, or set `files.optional: true`",
            )  # fmt: skip
        if reason == REFUSED:
            return SourceFileError(
                where,
                f"access refused to {identity} ({self._short(error)})",
                "credentials that may list and read there",
                "correct the Airflow connection, or name one in `files.connection`",
            )
        if reason == DISK:
            return SourceFileError(
                where,
                f"a disk that takes no more of it ({self._short(error)})",
                "room for the file below USEROPS_HOME",
                "make room, and run again; what was fetched is kept",
            )
        if reason == UNUSABLE:
            return SourceFileError(
                where,
                f"an answer that cannot be used ({self._short(error)})",
                f"a server that speaks {self.access.protocol}",
                "check `files.url` and the connection; if both are right, report the message",
            )
        return SourceFileError(
            where,
            f"no connection that lasts, after {self.tries} tries ({self._short(error)})",
            "a server that answers",
            "check host, port and network, and run again; what was fetched is kept",
        )


class MissingFolder(SourceFileError):
    """There is nothing at the URL."""


class _Bytes(Callback):  # type: ignore[misc]  # fsspec has no types
    """Counts the bytes of one fetch."""

    def __init__(self, progress: Callable[[int], None]) -> None:
        super().__init__()
        self._progress = progress

    def call(self, hook_name: str | None = None, **kwargs: Any) -> None:  # noqa: ARG002
        self._progress(int(self.value))


class _ObjectStore(RemoteFolder):
    """A bucket, or what has a prefix in it: one flat listing, 1000 names a request."""

    has_empty_folders = False
    at_once = FILES_AT_ONCE

    def _files(self, pattern: PathPattern, complete: CompleteSpec) -> Iterator[Found]:  # noqa: ARG002
        root = self._root
        listing: dict[str, dict[str, Any]] = self._fs.find(root, detail=True)
        folders = {name.rpartition("/")[0] for name in listing}
        for name, info in listing.items():
            if name.startswith(f"{root}/") and not _is_placeholder(name, info, folders):
                yield self._found(name, info)

    @property
    def _root(self) -> str:
        parts = urlsplit(self.access.url)
        return self.access.url.partition("://")[2].rstrip("/") if parts.netloc else ""

    def _found(self, name: str, info: dict[str, Any]) -> Found:
        modified = info.get("LastModified") or info.get("updated")
        version = str(info.get("ETag") or info.get("generation") or "")
        return Found(
            name=name,
            relative=name[len(self._root) + 1 :],
            size=int(info["size"]),
            modified=_seconds(modified),
            version=version or str(modified or ""),
            exact=bool(version),
        )

    def _current(self, file: Found) -> Found:
        return self._found(file.name, self._fs.info(file.name))


def _is_placeholder(name: str, info: dict[str, Any], folders: set[str]) -> bool:
    """Whether an object only stands for a folder, as consoles and Hadoop make them."""
    if info.get("type") != "file" or name.endswith("/"):
        return True
    return info.get("size") == 0 and (name in folders or name.endswith("_$folder$"))


def _seconds(moment: Any) -> float | None:
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return moment.timestamp() if isinstance(moment, datetime) else None


#: What s3fs makes of requests that S3 calls wrong, such as a bucket of another region or no bucket name at all.
_S3_REFUSALS = (errno.EINVAL, errno.EPERM, errno.ENOSYS, errno.EREMCHG, errno.ENAMETOOLONG, errno.EMSGSIZE)


def _patience() -> Any:
    """Time limits that a large file never meets: for connecting, and for silence."""
    import aiohttp

    return aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)


class S3Folder(_ObjectStore):
    """s3://bucket/prefix, of AWS or any server that speaks its protocol."""

    _no_credentials: tuple[type[Exception], ...] = ()
    _mistakes: tuple[type[Exception], ...] = ()

    def _connect(self) -> Any:
        import aiohttp
        import botocore.exceptions
        import s3fs

        self.passing = (*RemoteFolder.passing, botocore.exceptions.BotoCoreError, aiohttp.ClientError)
        self._no_credentials = (
            botocore.exceptions.NoCredentialsError,
            botocore.exceptions.PartialCredentialsError,
            botocore.exceptions.ProfileNotFound,
        )
        self._mistakes = (
            botocore.exceptions.ParamValidationError,
            botocore.exceptions.ValidationError,
            botocore.exceptions.InvalidRegionError,
        )
        options = dict(self.access.options)
        config = {
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": _SILENCE_SECONDS,
            "retries": {"max_attempts": 0},  # tries are counted here, once
            **(options.pop("config_kwargs", None) or {}),
        }
        opened = s3fs.S3FileSystem(
            **options,
            config_kwargs=config,
            default_block_size=_S3_PART,
            max_concurrency=_S3_PARTS_AT_ONCE,
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        opened.retries = 1
        opened.connect()  # here, where one thread does it for all
        return opened

    def _hang_up(self, opened: Any) -> None:
        if opened._s3 is not None:
            opened.close_session(opened.loop, opened._s3)

    def _lasting(self, error: Exception) -> str | None:
        if isinstance(error, self._no_credentials):
            return REFUSED
        if isinstance(error, self._mistakes) or (isinstance(error, OSError) and error.errno in _S3_REFUSALS):
            return UNUSABLE
        return super()._lasting(error)


class GcsFolder(_ObjectStore):
    """gs://bucket/prefix."""

    tries = 2  # gcsfs itself tries each request six times, with pauses of its own

    _http_error: tuple[type[Exception], ...] = ()
    _no_credentials: tuple[type[Exception], ...] = ()

    def _connect(self) -> Any:
        import aiohttp
        import google.auth.exceptions
        from gcsfs.core import GCSFileSystem
        from gcsfs.retry import HttpError

        self.passing = (*RemoteFolder.passing, HttpError, aiohttp.ClientError, google.auth.exceptions.TransportError)
        self._http_error = (HttpError,)
        self._no_credentials = (google.auth.exceptions.GoogleAuthError,)
        # The class `gcsfs` shows first asks every bucket over gRPC whether it is a zonal one; reading needs none of it.
        return GCSFileSystem(
            **{"project": "", **self.access.options},
            access="read_only",
            requests_timeout=_patience(),
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    def _hang_up(self, opened: Any) -> None:
        if opened._session is not None:
            opened.close_session(opened.loop, opened._session)

    def _lasting(self, error: Exception) -> str | None:
        code = getattr(error, "code", None) if isinstance(error, self._http_error) else None
        if str(code) in ("401", "403") or str(error).startswith("Forbidden:"):
            return REFUSED
        if isinstance(error, self._no_credentials) and not isinstance(error, self.passing):
            return REFUSED
        return super()._lasting(error)


class SftpFolder(RemoteFolder):
    """sftp://host/folder; sftp://host/~/folder counts from the user's own folder."""

    _large_requests = True

    def _connect(self) -> Any:
        from userops.ingest.sftp import SftpFiles

        return SftpFiles(
            **self.access.options,
            timeout=_CONNECT_SECONDS,
            banner_timeout=_CONNECT_SECONDS,
            auth_timeout=_CONNECT_SECONDS,
            silence=_SILENCE_SECONDS,
            skip_instance_cache=True,
        )

    def _hang_up(self, opened: Any) -> None:
        opened.client.close()

    @property
    def _root(self) -> str:
        path = urlsplit(self.access.url).path.rstrip("/")
        if path == "/~" or path.startswith("/~/"):
            return path[3:] or "."
        return path or "/"

    def _files(self, pattern: PathPattern, complete: CompleteSpec) -> Iterator[Found]:  # noqa: ARG002
        yield from self._walk("", pattern)

    def _walk(self, folder: str, pattern: PathPattern) -> Iterator[Found]:
        for info in self._fs.ls("/".join(filter(None, [self._root.rstrip("/"), folder])) or "/", detail=True):
            relative = f"{folder}/{info['name'].rpartition('/')[2]}".lstrip("/")
            if info["type"] == "directory":
                if pattern.may_hold(relative):
                    yield from self._walk(relative, pattern)
                continue
            told = self._behind_link(info) if info["type"] == "link" else info
            if told["type"] == "file":
                yield self._found(info["name"], relative, told)

    def _behind_link(self, info: dict[str, Any]) -> dict[str, Any]:
        """A link to a file counts as that file; one that leads to a folder, or nowhere, is passed over."""
        try:
            told: dict[str, Any] = self._fs.info(info["name"])
        except FileNotFoundError:
            return info
        return told

    def _found(self, name: str, relative: str, info: dict[str, Any]) -> Found:
        return Found(
            name=name,
            relative=relative,
            size=info["size"],
            modified=_seconds(info["mtime"]),
            version=f"{info['mtime'].isoformat()}, {info['size']}",
        )

    def _current(self, file: Found) -> Found:
        return self._found(file.name, file.relative, self._fs.info(file.name))

    def _fetch(self, file: Found, target: Path, callback: Callback) -> None:
        large, self._large_requests = self._large_requests, False  # unless they are seen to work
        self._fs.get_file(file.name, str(target), callback=callback, large_requests=large)
        self._large_requests = large

    def _lasting(self, error: Exception) -> str | None:
        from userops.ingest.sftp import REFUSALS, SshError

        if isinstance(error, REFUSALS):
            return REFUSED
        if isinstance(error, SshError):
            return None
        return super()._lasting(error)

    def _told(self, error: Exception, where: str) -> SourceFileError:
        from userops.ingest.sftp import BadHostKeyException, UnknownHostKey

        if isinstance(error, UnknownHostKey):
            return SourceFileError(
                where,
                f"a server nobody has vouched for: {error.told}",
                "a host key that is known",
                "compare it with what the server's administrator says; then put it as `host_key` into the connection's "
                "extra field, or add the line to ~/.ssh/known_hosts",
            )
        if isinstance(error, BadHostKeyException):
            return SourceFileError(
                where,
                "another host key than the one that is known: the server was set up anew, or somebody poses as it",
                "the known host key",
                "ask the server's administrator; only then replace `host_key` or the line in known_hosts",
            )
        return super()._told(error, where)


class HttpFolder(RemoteFolder):
    """http(s)://host/folder/ with an index page: HTML with links, or plain text with a name on each line.

    A pattern without wildcards names its file itself and needs no page.
    """

    at_once = FILES_AT_ONCE

    def _connect(self) -> Any:
        import aiohttp
        from fsspec.implementations.http import HTTPFileSystem

        self.passing = (*RemoteFolder.passing, aiohttp.ClientError)
        client = dict(self.access.options.get("client_kwargs", {}))
        client["headers"] = {**client.get("headers", {}), "Accept-Encoding": "identity"}
        # Bytes are kept as they come: a .gz file that the server calls "gzip-encoded text" stays what it is.
        client |= {"auto_decompress": False, "trust_env": True}
        client["timeout"] = _patience()
        return HTTPFileSystem(client_kwargs=client, use_listings_cache=False, skip_instance_cache=True)

    def _hang_up(self, opened: Any) -> None:
        if opened._session is not None:
            opened.close_session(opened.loop, opened._session)

    @property
    def _root(self) -> str:
        return self.access.url.rstrip("/") + "/"

    def _files(self, pattern: PathPattern, complete: CompleteSpec) -> Iterator[Found]:
        if pattern.literal is None:
            yield from self._walk(self._root, "", pattern)
            return
        for relative in (pattern.literal, *markers_of(complete, pattern.literal)):
            file = Found(urljoin(self._root, quote(relative)), relative)
            yield from self._described([file])

    def _walk(self, page: str, folder: str, pattern: PathPattern) -> Iterator[Found]:
        names = sync(self._fs.loop, self._links, page)
        if not names and not folder:
            raise _NoIndex(page)
        for link in names:
            relative = folder + unquote(link, errors="surrogateescape")
            if not link.endswith("/"):
                yield Found(page + link, relative)
            elif pattern.may_hold(relative.rstrip("/")):
                yield from self._walk(page + link, relative, pattern)

    async def _links(self, page: str) -> list[str]:
        """Return what the page links to below itself, relative to it, each once."""
        session = await self._fs.set_session()
        async with session.get(self._fs.encode_url(page)) as answer:
            answer.raise_for_status()
            text = await answer.text(errors="replace")
            plain = answer.content_type == "text/plain"
            base = str(answer.url).partition("?")[0]
        links = text.split("\n") if plain else _hrefs(text)
        found = (urljoin(base, quote(link.strip(), safe=_URL_SIGNS)) for link in links if link.strip())
        below = (link[len(base) :] for link in found if link.startswith(base) and not re.search("[?#]", link))
        return sorted(set(filter(None, below)))

    def _described(self, files: Sequence[Found]) -> list[Found]:
        return [file for file in sync(self._fs.loop, self._heads, files) if file is not None]

    async def _heads(self, files: Sequence[Found]) -> list[Found | None]:
        places = asyncio.Semaphore(_HEADS_AT_ONCE)

        async def head(file: Found) -> Found | None:
            async with places:
                return await self._head(file)

        return list(await asyncio.gather(*map(head, files)))

    async def _head(self, file: Found) -> Found | None:
        session = await self._fs.set_session()
        for method in ("HEAD", "GET"):
            async with session.request(method, self._fs.encode_url(file.name), allow_redirects=True) as answer:
                if method == "HEAD" and answer.status in (405, 501):
                    continue
                if answer.status in (404, 410):
                    return None
                answer.raise_for_status()
                return _told_by_headers(file, answer.headers)
        raise AssertionError("a GET is answered or raises")

    def _current(self, file: Found) -> Found:
        now = self._described([file])
        if not now:
            raise FileNotFoundError(file.relative)
        return now[0]

    def _lasting(self, error: Exception) -> str | None:
        status = getattr(error, "status", None)
        if isinstance(error, _NoIndex):
            return UNUSABLE
        if status in (401, 403, 407):
            return REFUSED
        if status in (404, 410):
            return MISSING
        if isinstance(status, int) and 400 <= status < 500 and status not in (408, 425, 429):
            return UNUSABLE
        return super()._lasting(error)

    def _told(self, error: Exception, where: str) -> SourceFileError:
        if isinstance(error, _NoIndex):
            return SourceFileError(
                where,
                "a page without links to anything below it",
                "an index page: HTML with links to the files, or plain text with a name on each line",
                "switch the server's index pages on, or give `files.pattern` without wildcards: the name of one file",
            )
        return super()._told(error, where)


#: What may stand in a link as it is; everything else is percent-encoded.
_URL_SIGNS = "%/:=&?~#+!$,;'@()*[]"


class _NoIndex(Exception):
    """A page that links to nothing below it."""


class _Hrefs(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def _hrefs(text: str) -> list[str]:
    parser = _Hrefs()
    parser.feed(text)
    return parser.found


def _told_by_headers(file: Found, headers: Mapping[str, str]) -> Found:
    size, stamp, tag = headers.get("Content-Length", ""), headers.get("Last-Modified"), headers.get("ETag")
    problem = ""
    if not size.isdigit():
        problem = "the server does not say how long it is, so that a transfer cut short would go unnoticed"
    if headers.get("Content-Type", "").startswith("text/html") and not re.search(r"\.html?$", file.relative):
        problem = "the server answers with an HTML page: its login or error page, most likely"
    return replace(
        file,
        size=int(size) if size.isdigit() else None,
        modified=_seconds_of_header(stamp),
        version=f"{tag or stamp}, {size}" if tag or stamp else "",
        exact=bool(tag) and not str(tag).startswith("W/"),
        problem=problem,
    )


def _seconds_of_header(stamp: str | None) -> float | None:
    try:
        return parsedate_to_datetime(stamp).timestamp() if stamp else None
    except ValueError:
        return None


_FOLDERS: dict[str, type[RemoteFolder]] = {S3: S3Folder, GCS: GcsFolder, SFTP: SftpFolder, HTTP: HttpFolder}


@contextmanager
def remote_folder(settings: Settings, source: Source) -> Iterator[RemoteFolder]:
    """Give the folder of the source's URL; the connection is closed at the end.

    Raises:
        ConfigError: the URL or its Airflow connection cannot be used.
    """
    access = access_of(settings, source)
    folder = _FOLDERS[access.protocol](access, source)
    try:
        yield folder
    finally:
        folder.close()
