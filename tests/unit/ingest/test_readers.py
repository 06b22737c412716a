"""The one pass over a file's bytes before DuckDB sees them."""

from __future__ import annotations

import gzip

import pytest

from userops.ingest import readers
from userops.ingest.readers import LandingFile, probe_file
from userops.ingest.sources import FormatSpec


def probe(tmp_path, data: bytes, **spec):
    path = tmp_path / "file"
    path.write_bytes(data)
    found = probe_file(LandingFile(path, "file"), FormatSpec(**{"type": "csv", **spec}), tmp_path / "spool")
    return found, found.readable.read_bytes()


@pytest.mark.parametrize(
    ("data", "lines", "newline"),
    [(b"a\nb\n", 2, "\n"), (b"a\nb", 2, "\n"), (b"a\r\nb\r\n", 2, "\r\n"), (b"\n", 1, "\n"), (b"a", 1, "\n")],
)
def test_plain_files_are_read_in_place(tmp_path, data, lines, newline):
    found, _ = probe(tmp_path, data)
    assert (found.readable.name, found.lines, found.newline, found.empty) == ("file", lines, newline, False)


@pytest.mark.parametrize("data", [b"", gzip.compress(b""), b"\xef\xbb\xbf"])
def test_empty_content(tmp_path, data):
    assert probe(tmp_path, data)[0].empty


def test_gzip_of_several_members_is_read_to_its_end(tmp_path):
    found, content = probe(tmp_path, gzip.compress(b"a\n") + gzip.compress(b"b\n"))
    assert (content, found.lines) == (b"a\nb\n", 2)


@pytest.mark.parametrize("chunk", [1, 2, 3, 1 << 20])
def test_mixed_line_ends_become_one_kind_at_any_chunk_size(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(readers, "_CHUNK", chunk)
    assert probe(tmp_path, b"a\r\nb\nc\r\n")[1] == b"a\nb\nc\n"
    assert probe(tmp_path, b'{"a":1}\r\n{\r}\r\n', type="jsonl")[1] == b'{"a":1}\n{ }\n'


@pytest.mark.parametrize("chunk", [1, 5, 1 << 20])
def test_other_encodings_at_any_chunk_size(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(readers, "_CHUNK", chunk)
    assert probe(tmp_path, "浏览,é\n".encode("gb18030"), encoding="gb18030")[1].decode() == "浏览,é\n"
    assert probe(tmp_path, "a,b\n".encode("utf-16"), encoding="utf-16")[1] == b"a,b\n"


def test_undecodable_bytes_survive_to_be_refused(tmp_path):
    assert probe(tmp_path, b"a\n\xff\nb\n", encoding="gb18030")[1] == b"a\n\xff\nb\n"
