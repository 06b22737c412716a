"""Pieces of a file of any size: its start, its end and places evenly spread between, in bounded memory and time.

Compressed files cannot be entered in the middle: they are unpacked as a stream, of which evenly spread pieces are kept.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import zstandard
from isal import igzip, igzip_lib

from userops.errors import SourceFileError

HEAD_BYTES = 2 << 20
PIECE_BYTES = 256 << 10
PIECES = 12
#: Unpacked bytes of a compressed file that are looked at: about ten seconds of work.
MOST_UNPACKED = 1 << 30
_GZIP, _ZSTD, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"
#: zipfile raises RuntimeError for an encrypted member.
_UNREADABLE = (
    OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile, zstandard.ZstdError, igzip_lib.IsalError,
)  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """Bytes of a file and whether they begin at its start or reach its end."""

    data: bytes
    at_start: bool
    at_end: bool


@dataclass(frozen=True)
class Sampled:
    """What is kept of a file.

    Attributes:
        compression: none, gzip, zstd or zip.
        member: name of the file inside a zip archive, or None.
        members: how many files a zip archive holds that could be meant.
        looked_at_all: whether every byte was looked at.
    """

    pieces: tuple[Piece, ...]
    compression: str
    member: str | None
    members: int
    looked_at_all: bool

    @property
    def head(self) -> bytes:
        """The first bytes."""
        return self.pieces[0].data


def sample_file(path: Path) -> Sampled:
    """Return pieces of `path`, unpacked.

    Raises:
        SourceFileError: it cannot be opened, is damaged, or is an archive without a usable file.
    """
    if not path.is_file():
        raise SourceFileError(
            str(path), "no such file" if not path.exists() else "no plain file", "a file with exported rows",
            "check the path; quote names with spaces",
        )  # fmt: skip
    try:
        compression = compression_of(path)
        if compression == "none":
            return _sample_plain(path)
        with unpacked_stream(path) as (stream, member, members):
            return _sample_stream(stream, compression, member, members)
    except _UNREADABLE as error:  # type: ignore[misc]  # the stubs call IsalError a value
        raise SourceFileError(
            str(path), f"bytes that cannot be read ({type(error).__name__})",
            "a plain, gzip, zstd or zip file that is whole and not encrypted", "export or copy the file again",
        ) from None  # fmt: skip


def compression_of(path: Path) -> str:
    """Return none, gzip, zstd or zip by the first bytes; a workbook (xlsx), which is a zip archive, counts as none."""
    with path.open("rb") as handle:
        start = handle.read(4)
    if start.startswith(_GZIP):
        return "gzip"
    if start == _ZSTD:
        return "zstd"
    if start == _ZIP:
        with zipfile.ZipFile(path) as archive:
            return "none" if "xl/workbook.xml" in archive.namelist() else "zip"
    return "none"


@contextmanager
def unpacked_stream(path: Path) -> Iterator[tuple[IO[bytes], str | None, int]]:
    """Open `path` for reading its unpacked bytes: stream, name of the zip member, number of possible members."""
    compression = compression_of(path)
    if compression == "gzip":
        with igzip.open(path, "rb") as stream:  # type: ignore[no-untyped-call]
            yield stream, None, 1
    elif compression == "zstd":
        with path.open("rb") as handle:
            reader = zstandard.ZstdDecompressor().stream_reader(handle, read_across_frames=True)
            yield io.BufferedReader(reader, 1 << 20), None, 1
    elif compression == "zip":
        with zipfile.ZipFile(path) as archive:
            members = [item for item in archive.infolist() if _is_data(item)]
            if not members:
                raise SourceFileError(str(path), "a zip archive without a file", "one file with rows in it",
                                      "export the file again")  # fmt: skip
            largest = max(members, key=lambda item: item.file_size)
            with archive.open(largest) as stream:
                yield stream, largest.filename, len(members)
    else:
        with path.open("rb") as stream:
            yield stream, None, 1


@contextmanager
def unpacked_file(path: Path) -> Iterator[Path]:
    """Give `path` itself, or a temporary unpacked copy of it, for readers that need to seek."""
    if compression_of(path) == "none":
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="userops_onboard_") as folder:
        copy = Path(folder) / "unpacked"
        with unpacked_stream(path) as (stream, _, _), copy.open("wb") as target:
            shutil.copyfileobj(_Limited(stream, MOST_UNPACKED), target)
        yield copy


class _Limited(io.RawIOBase):
    """A stream that ends with an error instead of filling the disk."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream, self._left = stream, limit

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size if size >= 0 else 1 << 20)
        self._left -= len(data)
        if self._left < 0:
            raise SourceFileError(
                "the packed file", f"more than {MOST_UNPACKED >> 30} GiB inside",
                "a packed parquet or xlsx file of usual size", "unpack it and onboard that",
            )  # fmt: skip
        return data


def _is_data(item: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(item.filename).parts
    return not item.is_dir() and "__MACOSX" not in parts and not any(part.startswith(".") for part in parts)


def _sample_plain(path: Path) -> Sampled:
    size = path.stat().st_size
    with path.open("rb") as handle:
        if size <= HEAD_BYTES + (PIECES + 1) * PIECE_BYTES:
            return Sampled((Piece(handle.read(), True, True),), "none", None, 1, True)
        pieces = [Piece(handle.read(HEAD_BYTES), True, False)]
        step = (size - HEAD_BYTES - PIECE_BYTES) // PIECES
        for number in range(PIECES + 1):
            # Even offsets: UTF-16 has two bytes to a unit.
            handle.seek((HEAD_BYTES + number * step) // 4 * 4 if number < PIECES else (size - PIECE_BYTES) // 4 * 4)
            data = handle.read(PIECE_BYTES if number < PIECES else -1)
            pieces.append(Piece(data, False, number == PIECES))
    return Sampled(tuple(pieces), "none", None, 1, False)


def _sample_stream(stream: IO[bytes], compression: str, member: str | None, members: int) -> Sampled:
    head = _read_exactly(stream, HEAD_BYTES)
    kept: list[bytes] = []
    stride, number, seen, last = 1, 0, len(head), b""
    while seen < MOST_UNPACKED and (data := _read_exactly(stream, PIECE_BYTES)):
        seen += len(data)
        if number % stride == 0:
            kept.append(data)
            if len(kept) > PIECES:
                kept, stride = kept[::2], stride * 2
        number, last = number + 1, data
    whole = not stream.read(1)
    if kept and kept[-1] is not last:
        kept.append(last)
    pieces = [Piece(head, True, not kept and whole)]
    pieces += [Piece(data, False, whole and data is last) for data in kept]
    return Sampled(tuple(pieces), compression, member, members, whole)


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    parts, left = [], size
    while left and (data := stream.read(left)):
        parts.append(data)
        left -= len(data)
    return b"".join(parts)
