"""Hostile archives: cut short, damaged, lying, exploding, and names that lead elsewhere."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

import zstandard

from .corpus import HEADER, Case, Refused, Taken, good, line, loaded, text, zipped

_ANY = {"files": {"pattern": "events_*"}}
#: Where a member with an absolute name would land.
ABSOLUTE = "/userops_hostile_escaped.csv"
_NOISE = HEADER + "".join(line(f"{zlib.crc32(str(number).encode()):08x}", f"u{number}") for number in range(3000))
_BOMB_BLOCK = 1 << 20
#: The bombs expand to 256 MB: one compressed block of zeros again and again.
_BOMB_BLOCKS = 256


def _cut(data: bytes, share: float = 0.5) -> bytes:
    return data[: int(len(data) * share)]


def _flip(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]


def _zip(members: dict[str, str], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 5, 0, 0, 0)), content, compress_type=compression)
    return out.getvalue()


def _encrypted_zip() -> bytes:
    """A zip whose flags say that the member is encrypted, in both of its headers."""
    data = bytearray(_zip({"events.csv": good("a")}, zipfile.ZIP_STORED))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def _zstd(value: str, checksum: bool = True) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=checksum).compress(value.encode())


def _gzip_bomb() -> bytes:
    return zipped(HEADER) + zipped("\0" * _BOMB_BLOCK) * _BOMB_BLOCKS


def _zstd_bomb() -> bytes:
    return _zstd(HEADER) + _zstd("\0" * _BOMB_BLOCK) * _BOMB_BLOCKS


def _zip_bomb(claimed: int) -> bytes:
    """A zip of zeros whose directory claims `claimed` bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packer.compress(b"\0" * _BOMB_BLOCK)
    packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b"\0" * _BOMB_BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)  # ends on a byte border
    packed = block * _BOMB_BLOCKS + zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    name = b"events.csv"
    common = struct.pack("<HHHHH", 20, 0, 8, 0, 0x5C25) + struct.pack("<LLL", 0, len(packed), claimed)
    common += struct.pack("<HH", len(name), 0)
    local = b"PK\x03\x04" + common + name
    central = b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHLL", 0, 0, 0, 0, 0) + name
    end = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(central), len(local) + len(packed), 0)
    return local + packed + central + end


def _nested_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("events.zip"), _zip({"events.csv": good("a")}))
    return out.getvalue()


def _case(
    name: str, why: str, fate: Refused | Taken, content: Callable[[], bytes], file: str, **source: object
) -> Case:
    return Case(name, why, fate, content, file=file, source={**_ANY, **source})


CASES = [
    _case("gzip_truncated", "an upload that broke off", Refused("cut short|damaged"),
          lambda: _cut(zipped(_NOISE)), "events_1.csv.gz"),
    _case("gzip_no_trailer", "all data there, checksum not", Refused("cut short|damaged"),
          lambda: zipped(_NOISE)[:-8], "events_1.csv.gz"),
    _case("gzip_bit_flip", "one byte changed on the way", Refused("cut short|damaged"),
          lambda: _flip(zipped(_NOISE), -6), "events_1.csv.gz"),
    _case("gzip_trailing_garbage", "something appended to the archive", Refused("damaged|garbage|after the end|gzip"),
          lambda: zipped(good("a")) + b"garbage", "events_1.csv.gz"),
    _case("gzip_members", "cat a.gz b.gz > c.gz is a gzip file", loaded("a", "b", "c"),
          lambda: zipped(good("a")) + zipped(line("b") + line("c")), "events_1.csv.gz"),
    _case("gzip_twice", "compressed by two tools in a row", Refused("gzip data in it"),
          lambda: __import__("gzip").compress(zipped(good("a")), mtime=0), "events_1.csv.gz"),
    _case("gzip_of_nothing", "an empty day, compressed", Taken(0, notes=("empty_file",)),
          lambda: zipped(""), "events_1.csv.gz"),
    _case("gzip_stated_but_plain", "the YAML says gzip and the bytes do not", Refused("gzip"),
          text(good("a")), "events_1.csv", format={"type": "csv", "compression": "gzip"}),
    _case("plain_named_gz", "suffix says gzip, bytes are text", loaded("a", "b"),
          text(good("a", "b")), "events_1.csv.gz"),
    _case("gzip_named_csv", "suffix says text, bytes are gzip", loaded("a"),
          lambda: zipped(good("a")), "events_1.csv"),
    _case("zstd_named_gz", "suffix says gzip, bytes are zstd", loaded("a"),
          lambda: _zstd(good("a")), "events_1.csv.gz"),
    _case("zip_named_zst", "suffix says zstd, bytes are zip", loaded("a"),
          lambda: _zip({"x.csv": good("a")}), "events_1.csv.zst"),
    _case("zstd_truncated", "an upload that broke off", Refused("cut short|damaged"),
          lambda: _cut(_zstd(_NOISE)), "events_1.csv.zst"),
    _case("zstd_bad_checksum", "one byte changed on the way", Refused("cut short|damaged"),
          lambda: _flip(_zstd(_NOISE), -2), "events_1.csv.zst"),
    _case("zstd_frames", "zstd frames one after another are one file", loaded("a", "b"),
          lambda: _zstd(good("a")) + _zstd(line("b")), "events_1.csv.zst"),
    _case("zip_truncated", "a zip without its directory", Refused("zip"),
          lambda: _cut(_zip({"events.csv": _NOISE})), "events_1.zip"),
    _case("zip_bad_checksum", "the member does not match its checksum", Refused("cut short|damaged|checksum|CRC"),
          lambda: _zip({"events.csv": good("a")}, zipfile.ZIP_STORED).replace(b"a,2026", b"b,2026"), "events_1.zip"),
    _case("zip_empty", "an archive with nothing in it", Refused("zip|member"), lambda: _zip({}), "events_1.zip"),
    _case("zip_two_members", "which of the two is the export?", Refused("one\\.csv.*two\\.csv|member"),
          lambda: _zip({"one.csv": good("a"), "two.csv": good("b")}), "events_1.zip"),
    _case("zip_two_members_one_meant", "`member` says which", loaded("b"),
          lambda: _zip({"one.csv": good("a"), "two.csv": good("b")}), "events_1.zip",
          format={"type": "csv", "member": "tw*.csv"}),
    _case("zip_of_a_mac", "resource forks and folders are no data", loaded("a"),
          lambda: _zip({"data/": "", "data/events.csv": good("a"), "__MACOSX/data/._events.csv": "\0\5\x16\7",
                        "data/.DS_Store": "x"}), "events_1.zip"),
    _case("zip_climbs", "a member named ../../../escaped.csv", loaded("a"),
          lambda: _zip({"../../../escaped.csv": good("a")}), "events_1.zip"),
    _case("zip_absolute", "a member with an absolute name", loaded("a"),
          lambda: _zip({ABSOLUTE: good("a")}), "events_1.zip"),
    _case("zip_windows_path", "a member with a drive and backslashes", loaded("a"),
          lambda: _zip({"..\\..\\C:\\escaped.csv": good("a")}), "events_1.zip"),
    _case("zip_encrypted", "nobody gave us the password", Refused("encrypted|password"),
          _encrypted_zip, "events_1.zip"),
    _case("zip_nested", "a zip in a zip is no csv", Refused("zip data in it"),
          _nested_zip, "events_1.zip"),
    Case("gzip_bomb", "256 MB of zeros in 270 kB", Refused("expand|large|bomb|times"), _gzip_bomb,
         file="events_1.csv.gz", source=_ANY, alone=True),
    Case("zstd_bomb", "256 MB of zeros in 14 kB", Refused("expand|large|bomb|times"), _zstd_bomb,
         file="events_1.csv.zst", source=_ANY, alone=True),
    Case("zip_bomb", "256 MB of zeros and a directory that says so", Refused("expand|large|bomb|times"),
         lambda: _zip_bomb(_BOMB_BLOCKS * _BOMB_BLOCK), file="events_1.zip", source=_ANY, alone=True),
    Case("zip_bomb_that_lies", "256 MB that claim to be 100 bytes", Refused("expand|large|bomb|times|damaged"),
         lambda: _zip_bomb(100), file="events_1.zip", source=_ANY, alone=True),
]  # fmt: skip
