"""Bytes to text: unpacked, checked, decoded; and what is refused on the way."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import zipfile

import pytest
import zstandard

from userops.errors import SourceFileError
from userops.ingest import decode
from userops.ingest.decode import LandingFile, probe_file, text_blocks
from userops.ingest.sources import FormatSpec

PLAIN = "id,name\n1,浏览é😀\n2,b\n".encode()


def landing(tmp_path, data: bytes, name: str = "file") -> LandingFile:
    path = tmp_path / name
    path.write_bytes(data)
    return LandingFile(path, name)


def probe(tmp_path, data: bytes, name: str = "file", **spec):
    file = landing(tmp_path, data, name)
    found = probe_file(file, FormatSpec(**{"type": "csv", **spec}), tmp_path / "spool")
    return found, found.readable.read_bytes()


def text(tmp_path, data: bytes, name: str = "file", **spec) -> bytes:
    """The text of a file of lines, which is never copied."""
    file = landing(tmp_path, data, name)
    found = probe_file(file, FormatSpec(**{"type": "jsonl", **spec}), tmp_path / "spool")
    assert found.readable == file.path
    return b"".join(text_blocks(file, found.text))


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__slash__", "/"), data)
    return out.getvalue()


def encrypted_zip(data: bytes) -> bytes:
    """A zip file whose member is marked as encrypted, in both of its headers."""
    plain = bytearray(zipped(**{"a.csv": data}))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        plain[plain.index(magic) + offset] |= 1
    return bytes(plain)


PACKED = {
    "none": PLAIN,
    "gzip": gzip.compress(PLAIN),
    "gzip of two members": gzip.compress(PLAIN[:9]) + gzip.compress(PLAIN[9:]),
    "zstd": zstandard.compress(PLAIN),
    "zstd of two frames": zstandard.compress(PLAIN[:9]) + zstandard.compress(PLAIN[9:]),
    "zip": zipped(**{"a.csv": PLAIN}),
}


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_what_a_file_is_packed_with_is_seen_in_its_bytes(tmp_path, monkeypatch, kind, chunk):
    monkeypatch.setattr(decode, "_CHUNK", chunk)
    monkeypatch.setattr(decode, "_ZSTD_BITE", chunk)
    assert probe(tmp_path, PACKED[kind])[1] == PLAIN
    assert text(tmp_path, PACKED[kind]) == PLAIN


@pytest.mark.parametrize(("name", "kind"), [("a.gz", "zstd"), ("a.csv", "gzip"), ("a.zip", "none"), ("a.zst", "zip")])
def test_a_wrong_suffix_is_a_warning(tmp_path, name, kind):
    found, content = probe(tmp_path, PACKED[kind], name)
    assert content == PLAIN
    assert name in found.warnings[0]
    assert kind.replace("none", "not packed") in found.warnings[0]


@pytest.mark.parametrize(("name", "kind"), [("a.gz", "gzip"), ("a.csv", "none"), ("a.ZIP", "zip"), ("a.zst", "zstd")])
def test_a_right_suffix_is_none(tmp_path, name, kind):
    assert probe(tmp_path, PACKED[kind], name)[0].warnings == ()


@pytest.mark.parametrize("kind", ["gzip", "zstd", "zip"])
@pytest.mark.parametrize("damage", ["truncated", "garbage behind", "flipped", "head only"])
@pytest.mark.parametrize("type_", ["csv", "jsonl"])
def test_damage_refuses_the_file(tmp_path, kind, damage, type_):
    body = b"".join(b"%d,%s\n" % (row, os.urandom(20).hex().encode()) for row in range(20_000))
    if kind == "gzip":
        data = bytearray(gzip.compress(body))
    elif kind == "zstd":
        data = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(body))
    else:
        data = bytearray(zipped(**{"a.csv": body}))
    if damage == "truncated":
        data = data[: len(data) * 2 // 3]
    elif damage == "garbage behind":
        # A zip file is read from its end: enough garbage hides it, a little does no harm.
        data += b"these bytes are no packed data" * (3000 if kind == "zip" else 1)
    elif damage == "flipped":
        data[len(data) // 2] ^= 0xFF
    else:
        data = data[:20]
    with pytest.raises(SourceFileError, match=rf"file: found {kind} data that is cut short or damaged"):
        text(tmp_path, bytes(data)) if type_ == "jsonl" else probe(tmp_path, bytes(data))


@pytest.mark.parametrize("kind", ["gzip", "zstd", "zip"])
def test_a_stated_compression_must_be_there(tmp_path, kind):
    with pytest.raises(SourceFileError, match=f"bytes that are no {kind} data.*format.compression"):
        probe(tmp_path, PLAIN, compression=kind)


def test_stated_none_reads_the_bytes_as_they_are(tmp_path):
    assert probe(tmp_path, PACKED["gzip"], compression="none")[1] == PACKED["gzip"]


def test_other_packers_are_named(tmp_path):
    with pytest.raises(SourceFileError, match="a bzip2 file"):
        probe(tmp_path, bz2.compress(PLAIN))


@pytest.mark.parametrize("outer", ["gzip", "zip"])
def test_a_file_packed_twice_is_refused(tmp_path, outer):
    inner = PACKED["gzip"]
    data = gzip.compress(inner) if outer == "gzip" else zipped(**{"a.csv.gz": inner})
    with pytest.raises(SourceFileError, match=f"a {outer} file with gzip data in it"):
        probe(tmp_path, data)


def test_the_only_real_file_of_a_zip_is_read(tmp_path):
    noise = {"__MACOSX__slash__._a.csv": b"x", ".DS_Store": b"x", "folder__slash__": b"", "d__slash__.hidden": b"x"}
    assert probe(tmp_path, zipped(**noise, **{"folder__slash__a.csv": PLAIN}))[1] == PLAIN


@pytest.mark.parametrize("member", ["b*.csv", "in/b*", "b1.csv"])
def test_a_pattern_chooses_among_files_of_a_zip(tmp_path, member):
    data = zipped(**{"a.csv": b"other", "in__slash__b1.csv": PLAIN})
    assert probe(tmp_path, data, member=member)[1] == PLAIN


@pytest.mark.parametrize(
    ("data", "member", "found"),
    [
        (zipped(**{"a.csv": PLAIN, "b.csv": PLAIN}), None, r"2 files \(a.csv, b.csv\)"),
        (zipped(**{"a.csv": PLAIN, "b.csv": PLAIN}), "*.csv", r"2 files \(a.csv, b.csv\)"),
        (zipped(**{"a.csv": PLAIN}), "orders*", r"no file to read among 1 files \(a.csv\)"),
        (zipped(), None, "no file to read"),
        (zipped(**{f"{n}.csv": b"" for n in range(9)}), None, r"9 files .*4.csv, \.\.\."),
        (zipped(**{"a\nb.csv": b"", "c": b""}), None, r"a\\nb.csv"),
        (encrypted_zip(PLAIN), None, "encrypted"),
    ],
)
def test_a_zip_that_does_not_say_what_to_read_is_refused(tmp_path, data, member, found):
    with pytest.raises(SourceFileError, match=found):
        probe(tmp_path, data, member=member)


@pytest.mark.parametrize("name", ["../../escape.csv", "/etc/userops-test", "..\\..\\escape.csv", "C:\\escape.csv"])
def test_names_in_a_zip_are_no_paths(tmp_path, name):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    assert probe(folder, zipped(**{name: PLAIN}))[1] == PLAIN
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["file", "spool"]


@pytest.mark.parametrize("kind", ["gzip", "zstd", "zip"])
@pytest.mark.parametrize("type_", ["csv", "jsonl"])
def test_a_bomb_is_stopped(tmp_path, monkeypatch, kind, type_):
    monkeypatch.setattr(decode, "EXPANSION_FLOOR", 1 << 20)
    body = b"a\n" * (4 << 20)
    data = {"gzip": gzip.compress, "zstd": zstandard.compress, "zip": lambda body: zipped(a=body)}[kind](body)
    assert len(data) * decode.MAX_EXPANSION < len(body)
    with pytest.raises(SourceFileError, match="unpack to more than"):
        text(tmp_path, data) if type_ == "jsonl" else probe(tmp_path, data)
    assert not (tmp_path / "spool").exists() or (tmp_path / "spool").stat().st_size <= 3 << 20


def test_a_small_file_of_equal_lines_is_no_bomb(tmp_path):
    body = b"a,b\n" * (4 << 20)
    assert probe(tmp_path, gzip.compress(body))[1] == body


def test_a_full_disk_is_not_filled_to_the_brim(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "MIN_FREE_BYTES", 1 << 60)
    with pytest.raises(SourceFileError, match="MB of free disk"):
        probe(tmp_path, PACKED["gzip"])


ENCODED = [
    ("utf-8", PLAIN.decode()),
    ("utf-8-sig", PLAIN.decode()),
    ("utf-16", PLAIN.decode()),
    ("utf-16-le", PLAIN.decode()),
    ("utf-16-be", PLAIN.decode()),
    ("utf-32", PLAIN.decode()),
    ("gb18030", PLAIN.decode()),
    ("gbk", "id,name\n1,浏览\n"),
    ("big5", "id,name\n1,中文\n"),
    ("shift_jis", "id,name\n1,日本\n"),
    ("latin-1", "id,name\n1,é\n"),
    ("cp1252", "id,name\n1,€\n"),
]


@pytest.mark.parametrize(("encoding", "content"), ENCODED)
@pytest.mark.parametrize("chunk", [1, 5, 1 << 20])
def test_encodings(tmp_path, monkeypatch, encoding, content, chunk):
    monkeypatch.setattr(decode, "_CHUNK", chunk)
    data = content.encode(encoding)
    assert text(tmp_path, data, encoding=encoding).decode() == content
    assert probe(tmp_path, data, encoding=encoding)[1].decode("utf-8-sig") == content


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("stated", ["utf-8", "gb18030", "latin-1"])
def test_a_byte_order_mark_wins_over_the_encoding(tmp_path, mark, stated):
    data = PLAIN.decode().encode(mark)
    found, content = probe(tmp_path, data, encoding=stated)
    assert content == PLAIN or stated == "utf-8"
    assert content.decode("utf-8-sig").encode() == PLAIN
    assert bool(found.warnings) == (mark != "utf-8-sig" or stated != "utf-8")


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("utf-8", b"a\n\xff\nb\n"),
        ("gb18030", b"a\n\xff\nb\n"),
        ("gbk", b"a\n\x80\nb\n"),
        ("utf-16-le", "a\n".encode("utf-16-le") + b"\x41\xdc" + "\nb\n".encode("utf-16-le")),
        ("utf-16-le", "a\n?\nb".encode("utf-16-le").replace(b"?\0", b"\x00\xd8") + b"\n"),
        ("ascii", "a\né\nb\n".encode("latin-1")),
    ],
)
def test_undecodable_bytes_stay_undecodable_in_their_line_only(tmp_path, encoding, data):
    lines = text(tmp_path, data, encoding=encoding).splitlines()
    assert lines[0] == b"a"
    with pytest.raises(UnicodeDecodeError):
        lines[1].decode()


@pytest.mark.parametrize("chunk", [1, 2, 3, 1 << 20])
@pytest.mark.parametrize(
    ("data", "content", "lines"),
    [
        (b"a\nb\n", b"a\nb\n", 2),
        (b"a\nb", b"a\nb", 2),
        (b"a\r\nb\r\n", b"a\nb\n", 2),
        (b"a\r\nb\nc\r\n", b"a\nb\nc\n", 3),
        (b"a\rb\rc\r", b"a\nb\nc\n", 3),
        (b'a\n"b\rc"\n', b'a\n"b\rc"\n', 2),
        (b"a\n\n\n", b"a\n\n\n", 1),
        (b"a\r\n\r\n", b"a\n\n", 1),
    ],
)
def test_line_ends(tmp_path, monkeypatch, chunk, data, content, lines):
    monkeypatch.setattr(decode, "_CHUNK", chunk)
    found, read = probe(tmp_path, data)
    assert (read, found.lines) == (content, lines)


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 1 << 20])
@pytest.mark.parametrize(
    ("data", "irregular"),
    [
        (b"a\nb\n", False),
        (b"a\r\nb\r\n", False),
        (b"a\nb\n\n\n", False),
        (b"a\n\nb\n", True),
        (b"\na\nb\n", True),
        (b"a\r\n\r\nb\r\n", True),
        (b"a\0\nb\n", True),
        (b"a\rb\nc\n", True),
        (b"a\nb\r", True),
        (b"a\n\xef\xbb\xbfb\n", True),
        (b"a\nc\xef\xbb\xbfb\n", False),
    ],
)
def test_odd_things_in_a_csv_file_are_noticed(tmp_path, monkeypatch, chunk, data, irregular):
    monkeypatch.setattr(decode, "_CHUNK", chunk)
    assert probe(tmp_path, data)[0].irregular is irregular


@pytest.mark.parametrize("data", [b"", gzip.compress(b""), b"\xef\xbb\xbf", b"\n\n", zstandard.compress(b"")])
def test_empty_content(tmp_path, data):
    assert probe(tmp_path, data)[0].empty


def test_a_plain_file_is_read_where_it_lies(tmp_path):
    assert probe(tmp_path, PLAIN)[0].readable.name == "file"
    assert not (tmp_path / "spool").exists()


@pytest.mark.parametrize("data", [PLAIN, PACKED["gzip"]])
def test_lines_above_the_header_are_left_out(tmp_path, data):
    assert probe(tmp_path, data, skip_lines=1)[1] == PLAIN.split(b"\n", 1)[1]


def test_a_look_at_a_file_reads_its_beginning_only(tmp_path):
    file = landing(tmp_path, gzip.compress(b"id\n" + b"1\n" * 100))
    found = probe_file(file, FormatSpec(type="csv"), tmp_path / "spool", limit=3)
    assert found.readable.read_bytes() == b"id\n1\n1\n1\n"
