"""A landing file's bytes as plain UTF-8 text: unpacked, checked, decoded.

Decisions that hold for every text format:

- What a file is packed with is read from its first bytes, not from its name. A name that says otherwise is worth a
  warning, no more. Damaged, cut short, encrypted or trailing bytes refuse the whole file: half of it is never taken.
- A byte order mark is proof: it wins over `encoding`. One at the start of a later line (files glued together) is no
  data either and is dropped; one within a line is text and stays.
- Bytes the encoding does not know refuse the line they are in, and only that one (where they are UTF-8, they are read
  as that).
- CRLF and LF are the same line end, also inside quotes, so that a file that went through a Windows machine gives the
  same rows. A file whose first megabyte has returns and no line feed has returns as line ends.
"""

from __future__ import annotations

import codecs
import fnmatch
import hashlib
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import zstandard
from isal import igzip, isal_zlib

from userops.errors import SourceFileError
from userops.ingest.sources import WHITESPACE, FormatSpec

#: A file may grow to this many times its packed size (ordinary logs reach 5 to 50, the best about 150) ...
MAX_EXPANSION = 200
#: ... or to this size, whichever is more: a small file of equal lines is no attack.
EXPANSION_FLOOR = 1 << 30
#: No copy is written that would leave less than this on the disk.
MIN_FREE_BYTES = 256 << 20

#: Larger blocks are given back to the system each time they are freed, which costs more than reading them.
_CHUNK = 1 << 19
_PEEK = 1 << 20
#: zstd can unpack 128 KB from 4 bytes: small bites keep one step's output in bounds.
_ZSTD_BITE = 1 << 13
_DISK_CHECK = 64 << 20
#: So much of a text tells whether blanks stand before its quotes, as layout does.
_LOOK_BYTES = 1 << 12

_GZIP, _ZSTD, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_SUFFIXES = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd", ".zip": "zip"}
_FOREIGN = {
    **{b"BZh%d1AY&" % level: "bzip2" for level in range(1, 10)},
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!\x1a\x07": "RAR",
    b"\x04\x22\x4d\x18": "lz4",
}
#: Longest first: the mark of UTF-32 LE begins like that of UTF-16 LE.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UTF8 = ("utf-8", "utf-8-sig")
#: No-break and ideographic space: blanks beside the usual one that stand around values people typed.
WIDE_BLANKS = (0xA0, 0x3000)
_WIDE_BLANKS = tuple(chr(sign).encode() for sign in WIDE_BLANKS)
_BLANK, _LINE_FEED = 32, 10
#: What the unpackers raise for bytes that are not what they should be.
_DAMAGE: tuple[type[Exception], ...] = (
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    zlib.error,
    cast(type[Exception], isal_zlib.IsalError),
    zipfile.BadZipFile,
    zstandard.ZstdError,
)
_LISTED = 5


@dataclass(frozen=True)
class LandingFile:
    """A file below landing/: `relative` is its path relative to landing/, with slashes."""

    path: Path
    relative: str


@dataclass(frozen=True)
class Text:
    """How the text of a landing file is had: what it is packed with and written in.

    Attributes:
        compression: none, gzip, zstd or zip.
        member: of a zip file, the name of the one file in it.
        encoding: that of the unpacked bytes, by their byte order mark or by the source YAML.
        mark: bytes of the byte order mark.
        newline: the line end, `\\r` where the file has no line feeds.
        empty: no byte of content.
        warnings: what a person should know of the file.
    """

    compression: str
    member: str | None
    encoding: str
    mark: int
    newline: str
    empty: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Probe:
    """What is known of a file before its records are read.

    Attributes:
        readable: the file to parse: the landing file itself, or a plain copy of it.
        empty: no byte of content.
        lines: csv: physical lines, without those above the header and without blank ones at the end; else 0.
        text: how to read `readable` as text.
        irregular: csv: there are NUL bytes, returns within lines, blank lines or byte order marks in the middle.
        odd_signs: there may be control characters beside line ends, or wide blanks; csv knows, others say there may.
        padded: a value may end in a blank; csv knows, others say it may.
        scratch: a path where a reader may write a copy of its own.
        limit: read about so many records only, for a look at a file; None: all.
        warnings: what a person should know of the file.
    """

    readable: Path
    empty: bool
    scratch: Path
    lines: int = 0
    text: Text = Text("none", None, "utf-8", 0, "\n", empty=False)
    irregular: bool = False
    odd_signs: bool = True
    padded: bool = True
    limit: int | None = None
    warnings: tuple[str, ...] = ()


def sha256_of(path: Path) -> str:
    """Return the sha256 of the file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def probe_file(file: LandingFile, spec: FormatSpec, spool: Path, limit: int | None = None) -> Probe:
    """Find out how a file is to be read, and write a plain copy to `spool` where its reader needs one.

    csv and json files are read through once, checked and counted; files of lines (jsonl, fixed, delimiter whitespace)
    are checked while their records are read, without a copy.

    Args:
        limit: read about so many records only.

    Raises:
        SourceFileError: the file is damaged, encrypted, packed in a way that is not read here, or expands beyond
            measure.
    """
    scratch = spool.with_name(f"{spool.name}.clean")
    if spec.type in ("parquet", "xlsx"):
        return _probe_binary(file, spec, spool, scratch, limit)
    text = text_of(file, spec)
    if text.empty:
        return Probe(file.path, True, scratch, text=text, warnings=text.warnings)
    if spec.type == "json":
        plain = text.compression == "none" and text.encoding in _UTF8
        readable = file.path if plain else spool
        if not plain:
            _copy(file, text_blocks(file, text), spool)
            text = Text("none", None, "utf-8", 0, "\n", empty=False)
        return Probe(readable, False, scratch, text=text, limit=limit, warnings=text.warnings)
    if spec.type != "csv" or spec.delimiter == WHITESPACE:
        return Probe(file.path, False, scratch, text=text, limit=limit, warnings=text.warnings)
    return _probe_csv(file, spec, text, spool, scratch, limit)


def text_of(file: LandingFile, spec: FormatSpec) -> Text:
    """Find out what a file is packed with and written in; only its beginning is read.

    Raises:
        SourceFileError: it cannot be unpacked.
    """
    with file.path.open("rb") as handle:
        head = handle.read(8)
    compression, warnings = _compression(file, spec, head)
    member = _zip_member(file, spec.member) if compression == "zip" else None
    start = next(_gathered(_unpacked(file, compression, member), _PEEK), b"")
    packed = _packed_with(start)
    if packed and (compression != "none" or spec.compression == "auto"):
        raise SourceFileError(
            file.relative,
            f"a {compression} file with {packed} data in it",
            "a file that is packed once, with gzip, zstd or zip",
            "unpack it once, or export it again",
        )
    encoding, mark = spec.encoding, 0
    for bytes_, name in _MARKS:
        if start.startswith(bytes_):
            encoding, mark = name, len(bytes_)
            stated = codecs.lookup(spec.encoding).name
            if not name.startswith(stated.removesuffix("-sig")):
                warnings.append(
                    f"{file.relative}: read as {name.upper()}, as its byte order mark says, not as {spec.encoding}"
                )
            break
    wide = encoding.startswith(("utf-16", "utf-32"))
    probe = start[mark:] if not wide else start[mark:].decode(encoding, "replace").encode()
    newline = "\r" if b"\r" in probe and b"\n" not in probe else "\n"
    return Text(compression, member, encoding, mark, newline, len(start) <= mark, tuple(warnings))


def text_blocks(file: LandingFile, text: Text) -> Iterator[bytes]:
    """Yield the file's content as UTF-8, without its byte order mark; undecodable bytes stay what they are not: UTF-8.

    Raises:
        SourceFileError: the packed data is damaged or cut short, or expands beyond measure.
    """
    blocks = _without_mark(_unpacked(file, text.compression, text.member), text.mark)
    blocks = _utf8_blocks(blocks, text.encoding)
    if text.newline == "\r":
        return (block.replace(b"\r", b"\n") for block in blocks)
    return blocks


def _probe_binary(file: LandingFile, spec: FormatSpec, spool: Path, scratch: Path, limit: int | None) -> Probe:
    with file.path.open("rb") as handle:
        head = handle.read(8)
    if not head:
        return Probe(file.path, True, scratch)
    # An xlsx file is a zip file itself.
    itself = spec.type == "xlsx" and spec.compression != "zip" and _is_workbook(file.path)
    compression, warnings = ("none", []) if itself else _compression(file, spec, head)
    if compression == "none" and _is_text(file.path):
        return Probe(file.path, False, scratch, limit=limit, warnings=tuple(warnings))
    member = _zip_member(file, spec.member) if compression == "zip" else None
    size = _copy(file, _unpacked(file, compression, member), spool)
    return Probe(spool, size == 0, scratch, limit=limit, warnings=tuple(warnings))


def _is_text(path: Path) -> bool:
    """Whether the path is text: DuckDB opens no file whose name is other bytes."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_workbook(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "[Content_Types].xml" in archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def _probe_csv(file: LandingFile, spec: FormatSpec, text: Text, spool: Path, scratch: Path, limit: int | None) -> Probe:
    def content() -> Iterator[bytes]:
        blocks = without_lines(text_blocks(file, text), spec.skip_lines)
        return blocks if limit is None else _first_lines(blocks, limit + 1)

    ends = b"\n\r" + spec.delimiter.encode()[:1] + spec.quote.encode()
    facts = _Facts(ends)
    plain = text.compression == "none" and text.encoding in _UTF8 and text.newline == "\n" and not text.mark
    in_place = plain and not spec.skip_lines and limit is None and _is_text(file.path)
    if in_place:
        for block in content():
            facts.take(block)
        in_place = facts.crlf == 0
    if not in_place:
        facts = _Facts(ends)
        _copy(file, facts.watch(_line_feeds(content())), spool)
    return Probe(
        file.path if in_place else spool,
        facts.lines == 0,
        scratch,
        lines=facts.lines,
        irregular=facts.irregular,
        odd_signs=facts.odd_signs,
        padded=facts.padded,
        limit=limit,
        warnings=text.warnings,
    )


def line_feeds(text: bytes) -> int:
    """Return how many line feeds there are, several times as fast as `bytes.count`."""
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == _LINE_FEED))


def has_wide_blank(text: bytes) -> bool:
    """Whether UTF-8 text has a no-break or an ideographic space."""
    # Looking for one byte is ten times as fast as looking for a sign, and enough for most text.
    return any(sign[:1] in text and sign in text for sign in _WIDE_BLANKS)


def has_blank_before(text: bytes, signs: bytes) -> bool:
    """Whether a blank stands before one of these one-byte signs."""
    if b" " not in text:
        return False
    # Where blanks are layout the beginning has some.
    return _blank_before(text[:_LOOK_BYTES], signs) or _blank_before(text, signs)


def _blank_before(text: bytes, signs: bytes) -> bool:
    is_sign = np.zeros(256, bool)
    is_sign[list(signs)] = True
    codes = np.frombuffer(text, np.uint8)
    return bool(is_sign[codes[np.flatnonzero(codes[:-1] == _BLANK) + 1]].any())


class _Facts:
    """What one pass over the text of a csv file tells. `crlf` counts from the blocks as they come.

    Args:
        ends: bytes that may stand behind a value.
    """

    def __init__(self, ends: bytes) -> None:
        self._ends = ends
        self.padded = False
        self.size = 0
        self.newlines = 0
        self.returns = 0
        self.crlf = 0
        self.odd_signs = False
        self._odd = False
        self._run = 1
        self._tail = b"\n"

    @property
    def irregular(self) -> bool:
        return self._odd or self.returns > self.crlf

    @property
    def lines(self) -> int:
        unfinished = 1 if self.size and self._tail[-1:] != b"\n" else 0
        return self.newlines + unfinished - max(0, self._run - 1)

    def watch(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            self.take(block)
            yield block

    def take(self, block: bytes) -> None:
        feeds = np.flatnonzero(np.frombuffer(block, np.uint8) == _LINE_FEED)
        self.newlines += len(feeds)
        if b"\r" in block or self._tail[-1:] == b"\r":
            self.returns += block.count(b"\r")
            self.crlf += (self._tail[-1:] + block).count(b"\r\n")
        seam = self._tail + block[:3]
        # Looking for one byte is ten times as fast as looking for several.
        has_mark = b"\xef" in block and b"\n\xef\xbb\xbf" in block
        if b"\0" in block or has_mark or b"\n\xef\xbb\xbf" in seam:
            self._odd = True
        self._note_blank_lines(block, feeds)
        self._note_odd_signs(block, len(feeds))
        self.padded = self.padded or block.endswith(b" ") or has_blank_before(block, self._ends)
        self.size += len(block)
        self._tail = (self._tail + block)[-3:] if len(block) < 3 else block[-3:]

    def _note_blank_lines(self, block: bytes, feeds: np.ndarray) -> None:
        """Blank lines at the end are none within; `_run` is the line feeds in a row up to here.

        Args:
            feeds: where the line feeds are.
        """
        content = block.rstrip(b"\n")
        if not content:
            self._run += len(block)
            return
        leading = len(block) - len(block.lstrip(b"\n"))
        within = feeds[leading : np.searchsorted(feeds, len(content))]
        if self._run + leading >= 2 or (np.diff(within) == 1).any():
            self._odd = True
        self._run = len(block) - len(content)

    def _note_odd_signs(self, block: bytes, newlines: int) -> None:
        if not self.odd_signs:
            controls = int(np.count_nonzero(np.frombuffer(block, np.uint8) < _BLANK))
            self.odd_signs = controls > newlines or has_wide_blank(block) or has_wide_blank(self._tail + block[:2])


def without_lines(blocks: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Leave out the first `count` physical lines."""
    for block in blocks:
        while count and block:
            end = block.find(b"\n") + 1
            block = block[end:] if end else b""
            count -= 1 if end else 0
        if block:
            yield block


def _first_lines(blocks: Iterator[bytes], count: int) -> Iterator[bytes]:
    for block in blocks:
        here = block.count(b"\n")
        if here >= count:
            end = 0
            for _ in range(count):
                end = block.find(b"\n", end) + 1
            yield block[:end]
            return
        count -= here
        yield block


def _line_feeds(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """CRLF becomes LF; a return on its own stays."""
    held = b""
    for block in blocks:
        if held or b"\r" in block:
            data = held + block
            held = b"\r" if data.endswith(b"\r") else b""
            block = data.removesuffix(b"\r").replace(b"\r\n", b"\n")
        if block:
            yield block
    if held:
        yield held


def _copy(file: LandingFile, blocks: Iterator[bytes], target: Path) -> int:
    """Write the blocks to `target`, watching the disk, and return their size."""
    size, checked = 0, -_DISK_CHECK
    with target.open("wb") as out:
        for block in blocks:
            if size - checked >= _DISK_CHECK:
                checked = size
                _check_disk(file, target)
            out.write(block)
            size += len(block)
    return size


def _check_disk(file: LandingFile, target: Path) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < MIN_FREE_BYTES:
        raise SourceFileError(
            file.relative,
            f"{free >> 20} MB of free disk below USEROPS_HOME while unpacking it",
            f"at least {MIN_FREE_BYTES >> 20} MB left",
            "free some disk, or give USEROPS_HOME a larger one, and run again",
        )


def _packed_with(head: bytes) -> str | None:
    for magic, name in ((_GZIP, "gzip"), (_ZSTD, "zstd"), (_ZIP, "zip"), (_EMPTY_ZIP, "zip")):
        if head.startswith(magic):
            return name
    return next((name for magic, name in _FOREIGN.items() if head.startswith(magic)), None)


def _compression(file: LandingFile, spec: FormatSpec, head: bytes) -> tuple[str, list[str]]:
    packed = _packed_with(head)
    if spec.compression == "none":
        return "none", []
    if packed in _FOREIGN.values():
        raise SourceFileError(
            file.relative,
            f"a {packed} file",
            "a plain file, or one packed with gzip, zstd or zip",
            "unpack it, or export it packed with gzip",
        )
    if spec.compression != "auto":
        if head and packed != spec.compression:
            raise SourceFileError(
                file.relative,
                f"{f'{packed} data' if packed else f'bytes that are no {spec.compression} data'}",
                f"{spec.compression} data, as `format.compression` says",
                "remove `format.compression` (the first bytes tell), or export the file again",
            )
        return spec.compression, []
    named = _SUFFIXES.get(file.path.suffix.lower(), "none")
    if head and named != (packed or "none"):
        is_packed = f"packed with {packed}" if packed else "not packed"
        warning = f"{file.relative}: its name ends in {file.path.suffix}, but it is {is_packed}; it was read so"
        return packed or "none", [warning]
    return packed or "none", []


def _zip_member(file: LandingFile, pattern: str | None) -> str:
    """Return the name of the one file to read. Names are looked up in the archive, never used as paths."""
    try:
        with zipfile.ZipFile(file.path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _damaged(file, "zip", error) from None
    real = [
        member
        for member in members
        if not member.filename.startswith("__MACOSX/") and not _base(member.filename).startswith(".")
    ]
    if pattern:
        real = [
            member
            for member in real
            if fnmatch.fnmatchcase(member.filename, pattern) or fnmatch.fnmatchcase(_base(member.filename), pattern)
        ]
    if len(real) != 1:
        raise SourceFileError(
            file.relative,
            _listed(real) if real else f"no file to read among {_listed(members)}",
            f"exactly one file that matches {pattern}" if pattern else "exactly one file in the zip file",
            "set `format.member` to a pattern that only the wanted file matches, or export one file per zip",
        )
    if real[0].flag_bits & 1:
        raise SourceFileError(
            file.relative,
            "a zip file that is encrypted",
            "a zip file without a password",
            "export it without a password, or decrypt it before it lands",
        )
    return real[0].filename


def _listed(members: list[zipfile.ZipInfo]) -> str:
    names = [repr(member.filename)[1:-1][:80] for member in members[:_LISTED]]
    more = ", ..." if len(members) > _LISTED else ""
    return f"{len(members)} files" + (f" ({', '.join(names)}{more})" if names else "")


def _base(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def _unpacked(file: LandingFile, compression: str, member: str | None) -> Iterator[bytes]:
    """Yield the unpacked bytes, all checksums checked, within the bounds of expansion."""
    if compression == "none":
        with file.path.open("rb") as handle:
            while block := handle.read(_CHUNK):
                yield block
        return
    openers: dict[str, Callable[[], Iterator[bytes]]] = {
        "gzip": lambda: _gunzipped(file),
        "zstd": lambda: _unzstd(file),
        "zip": lambda: _unzipped(file, member),
    }
    bound = max(EXPANSION_FLOOR, MAX_EXPANSION * file.path.stat().st_size)
    size = 0
    try:
        for block in openers[compression]():
            size += len(block)
            if size > bound:
                raise SourceFileError(
                    file.relative,
                    f"{file.path.stat().st_size} bytes that unpack to more than {bound}",
                    f"at most {MAX_EXPANSION} times the packed size, or {EXPANSION_FLOOR >> 30} GB",
                    "check where the file comes from; if it is genuine, unpack it before it lands",
                )
            yield block
    except _DAMAGE as error:
        raise _damaged(file, compression, error) from None


def _gunzipped(file: LandingFile) -> Iterator[bytes]:
    with igzip.IGzipFile(file.path) as handle:  # type: ignore[no-untyped-call]
        while block := handle.read(_CHUNK):
            yield block


def _unzstd(file: LandingFile) -> Iterator[bytes]:
    """Every frame to its end: the library's stream reader takes a file that is cut short for a whole one."""
    decompressor = zstandard.ZstdDecompressor()
    with file.path.open("rb") as handle:
        frame = None
        while bite := handle.read(_ZSTD_BITE):
            while bite:
                frame = frame or decompressor.decompressobj()
                if block := frame.decompress(bite):
                    yield block
                bite = frame.unused_data if frame.eof else b""
                frame = None if frame.eof else frame
        if frame is not None:
            raise EOFError("the last frame has no end")


def _unzipped(file: LandingFile, member: str | None) -> Iterator[bytes]:
    assert member is not None
    with zipfile.ZipFile(file.path) as archive, archive.open(member) as handle:
        while block := handle.read(_CHUNK):
            yield block


def _damaged(file: LandingFile, compression: str, error: Exception) -> SourceFileError:
    return SourceFileError(
        file.relative,
        f"{compression} data that is cut short or damaged ({error})",
        f"a complete {compression} file",
        "export or copy the file again; nothing of it was taken",
    )


def _gathered(blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Join blocks until they have at least `size` bytes."""
    parts: list[bytes] = []
    for block in blocks:
        parts.append(block)
        if sum(map(len, parts)) >= size:
            yield b"".join(parts)
            parts = []
    if parts:
        yield b"".join(parts)


def _without_mark(blocks: Iterator[bytes], length: int) -> Iterator[bytes]:
    for block in blocks:
        skipped = min(length, len(block))
        length -= skipped
        if skipped < len(block):
            yield block[skipped:]


def _keep_bytes(error: UnicodeError) -> tuple[str, int]:
    """Carry undecodable bytes over in a form that is no UTF-8 again, so that the line they are in is refused."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(chr(0xDC00 + byte) if byte > 127 else f"\udcff\\x{byte:02x}" for byte in bad), error.end


codecs.register_error("userops.keep_bytes", _keep_bytes)


def _utf8_blocks(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    if encoding in _UTF8:
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="userops.keep_bytes")
    for block in blocks:
        if text := decoder.decode(block):
            yield _encoded(text)
    if rest := decoder.decode(b"", final=True):
        yield _encoded(rest)


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # Half a surrogate pair from a lenient codec: bytes that are no UTF-8 either.
        return text.encode("utf-8", "surrogatepass")
