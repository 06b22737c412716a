"""Text, Parquet and Excel to records: every record accounted for, with its number and line."""

from __future__ import annotations

import csv
import functools
import gzip
import io
import json
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from userops.errors import SourceFileError
from userops.ingest import decode
from userops.ingest.readers import (
    EXTRAS,
    LINE,
    ODD,
    PADDED,
    RAW,
    RECORD,
    LandingFile,
    folder_keys,
    found_keys,
    json_document,
    json_records,
    lines,
    probe_file,
    read_records,
    source_columns,
)
from userops.ingest.readers import csv as csv_reader
from userops.ingest.sources import Source
from userops.sqltext import identifier

Rows = list[tuple[Any, ...]]


class Reading:
    """What one file gave: columns, records in all, rows of the file's columns, and refused records."""

    def __init__(
        self, folder, data: bytes, wanted=None, relative="shop/file", limit=None, ignore=(), connection=None, **spec
    ):
        path = folder / relative.replace("/", "_")
        path.write_bytes(data)
        self.file = LandingFile(path, relative)
        self.source = Source.model_validate(
            {
                "source": "shop",
                "entity": "events",
                "files": {"path": "shop", "pattern": "*"},
                "format": {"type": "csv", **spec},
                "columns": {"event_id": "id"},
                "ignore": ignore,
            }
        )
        self.connection = connection or duckdb.connect(config={"threads": 2})
        self.probe = probe_file(self.file, self.source.format, folder / "spool", limit)
        self.columns = source_columns(self.connection, self.file, self.probe, self.source)
        names = list(wanted or ()) if self.columns is None else list(self.columns)
        self.count = read_records(self.connection, self.file, self.probe, self.source, names)
        self.names = names

    def rows(self, *columns: str) -> Rows:
        selected = ", ".join(identifier(name) for name in columns or self.names)
        return self.query(f"select {selected} from source_rows order by {RECORD}")

    def rejects(self, columns: str = "record_number, line_number, raw") -> Rows:
        return self.query(f"select {columns} from structural_rejects order by record_number")

    def query(self, sql: str) -> Rows:
        return self.connection.execute(sql).fetchall()

    def numbered(self) -> Rows:
        return self.query(f"select {RECORD}, {LINE} from source_rows order by 1")

    def accounts(self) -> int:
        """Records in source_rows plus refused ones."""
        return self.query("select (select count(*) from source_rows) + (select count(*) from structural_rejects)")[0][0]


@functools.cache
def shared() -> duckdb.DuckDBPyConnection:
    """One connection for all examples of a property: as in a run, where one connection reads file after file."""
    return duckdb.connect(config={"threads": 2})


@pytest.fixture
def read(tmp_path):
    def reading(data: bytes | str, **options: Any) -> Reading:
        found = Reading(tmp_path, data.encode() if isinstance(data, str) else data, **options)
        assert found.accounts() == found.count
        return found

    return reading


class TestCsv:
    @pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
    def test_plain(self, read, ends):
        found = read(ends.join(["id,name", "1,a", "2,浏览", ""]))
        assert found.columns == {"id": "VARCHAR", "name": "VARCHAR"}
        assert found.rows() == [("1", "a"), ("2", "浏览")]
        assert found.numbered() == [(1, 2), (2, 3)]

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "||", "::", "~|~", "<=>|", "\x01", " "])
    def test_delimiters(self, read, delimiter):
        found = read(f'id{delimiter}name\n1{delimiter}"a{delimiter}b"\n2{delimiter}\n', delimiter=delimiter)
        assert found.rows() == [("1", f"a{delimiter}b"), ("2", None)]

    def test_quote_and_escape(self, read):
        assert read("id,name\n1,'it''s'\n2,\"x\"\n", quote="'", escape="'").rows() == [("1", "it's"), ("2", '"x"')]
        assert read('id,name\n1,"a\\"b,\\\\"\n', escape="\\").rows() == [("1", 'a"b,\\')]
        assert read('id,name\n1,"a\n2,b"\n', quote="", escape="").rows() == [("1", '"a'), ("2", 'b"')]

    def test_names_instead_of_a_header(self, read):
        found = read("1,a\n2,b\n", header=False, names=["id", "name"])
        assert (found.rows(), found.numbered()) == ([("1", "a"), ("2", "b")], [(1, 1), (2, 2)])

    @pytest.mark.parametrize("pack", [bytes, gzip.compress])
    def test_lines_above_the_header(self, read, pack):
        found = read(pack(b'Report\n"of, today\n\nid,name\n1,a\n2\n'), skip_lines=2)
        assert (found.rows(), found.numbered(), found.rejects()) == ([("1", "a")], [(1, 5)], [(2, 6, "2")])

    def test_values_of_several_lines(self, read):
        found = read('id,name\n1,"a\nb\n\nc"\n2,"x\r\ny"\n3,z\n')
        assert found.rows() == [("1", "a\nb\n\nc"), ("2", "x\ny"), ("3", "z")]
        assert found.numbered() == [(1, 2), (2, 6), (3, 8)]

    def test_a_header_of_several_lines(self, read):
        found = read('id,"first\nname"\n1,"a\nb"\n2,c\n')
        assert found.rows("first\nname") == [("a\nb",), ("c",)]
        assert found.numbered() == [(1, 3), (2, 5)]

    def test_ragged_lines_blank_lines_and_values_of_several_lines_together(self, read):
        found = read('id,name\n\n1,"a\nb"\n\nshort\n2,c\n\n\n3,d,more\n4,"e"\n\n')
        assert found.rows() == [("1", "a\nb"), ("2", "c"), ("4", "e")]
        assert found.numbered() == [(1, 3), (3, 7), (5, 11)]
        assert found.rejects() == [(2, 6, "short"), (4, 10, "3,d,more")]

    def test_an_open_quote_refuses_its_line_only(self, read):
        found = read('id,name\n1,a\n2,"open\n3,c\n4,"d"\n5,"e"x\n6,f\n7,"open\n8,h')
        assert [row[0] for row in found.rows()] == ["1", "3", "4", "6", "8"]
        assert found.rejects() == [(2, 3, '2,"open'), (5, 6, '5,"e"x'), (7, 8, '7,"open')]

    def test_an_open_quote_before_megabytes(self, read):
        found = read('id,name\n0,"open\n' + "".join(f"{row},some text in a line\n" for row in range(1, 200_000)))
        assert found.count == 200_000
        assert found.rejects() == [(1, 2, '0,"open')]
        assert found.query(f"select max({RECORD}), max({LINE}), count(*) from source_rows") == [
            (200_000, 200_001, 199_999)
        ]

    def test_a_quote_within_a_value_is_text(self, read):
        assert read('id,name\n1,5" pipe\n2,b\n').rows() == [("1", '5" pipe'), ("2", "b")]

    def test_blanks_behind_a_closing_quote(self, read):
        regular = read('id,name\n1,"b"  \n"2" ,c\n')
        odd = read('id,name\n\n\n1,"b"  \n"2" ,c\n')
        assert regular.rows() == odd.rows() == [("1", "b"), ("2", "c")]

    @pytest.mark.parametrize(
        ("line", "found"),
        [
            (b"2,a\0b", "NUL byte"),
            (b"2,\xff", "no text in the file's encoding"),
            (b'2,"\xff\xfe"', "no text in the file's encoding"),
            (b"2,a\rb", "a return on its own outside quotes"),
            (b"2", "Expected Number of Columns"),
            (b"id,name", "the header line once more"),
            (b'"id","name"', "the header line once more"),
            (b"\xef\xbb\xbfid,name", "the header line once more"),
        ],
    )
    def test_a_line_that_is_no_record(self, read, line, found):
        reading = read(b"id,name\n1,a\n" + line + b"\n3,c\n")
        assert reading.rows() == [("1", "a"), ("3", "c")]
        assert reading.numbered() == [(1, 2), (3, 4)]
        ((record, number, text),) = reading.rejects("record_number, line_number, found")
        assert (record, number) == (2, 3)
        assert found in text

    def test_true_bytes_of_a_refused_line_are_kept(self, read):
        found = read(b"id,name\n1,a\0b\xff\n")
        assert found.rejects("raw") == [("1,a\\x00b\\xff",)]

    def test_a_return_within_quotes_is_text(self, read):
        assert read(b'id,name\n1,"a\rb"\n2,c\n').rows() == [("1", "a\rb"), ("2", "c")]

    def test_byte_order_marks_at_line_starts_are_dropped(self, read):
        mark = b"\xef\xbb\xbf"
        found = read(mark + b"id,name\n1,a\n" + mark + b'"2",b\n3,' + mark + b"c\n")
        assert found.rows() == [("1", "a"), ("2", "b"), ("3", "\ufeffc")]

    def test_a_line_beyond_the_limit(self, read, monkeypatch):
        for module in (csv_reader, lines):
            monkeypatch.setattr(module, "MAX_RECORD_BYTES", 100_000)
        long = "x" * 150_000
        found = read(f'id,name\n1,a\n2,{long}\n3,"{long}\n4,d\n5,{long[:50_000]}\n')
        assert [row[0] for row in found.rows()] == ["1", "4", "5"]
        assert [text[:14] for (text,) in found.rejects("found")] == ["150002 bytes i", "150003 bytes i"]
        assert [row[:2] for row in found.rejects()] == [(2, 3), (3, 4)]

    @pytest.mark.parametrize("header", ["id,ID", "id,name,id", "id,,name", 'id,""', "id,"])
    def test_a_header_that_leaves_a_column_without_a_name_of_its_own(self, read, header):
        with pytest.raises(SourceFileError, match=r"shop/file:1: found .*column"):
            read(header + "\n")

    def test_a_header_of_nul_bytes(self, read):
        with pytest.raises(SourceFileError, match="NUL bytes where the column names should be"):
            read(bytes(10_000))

    def test_a_file_name_that_is_no_text(self, read):
        found = read("id\n1\n", relative="shop/a\udcff.csv")
        assert found.rows("id", "_file") == [("1", "shop/a\\udcff.csv")]

    def test_header_only(self, read):
        assert read("id,name\n").count == 0
        assert read("\n\nid,name").count == 0

    def test_one_column(self, read):
        found = read("id\n1\n\n2\n\n\n")
        assert (found.rows(), found.numbered()) == ([("1",), ("2",)], [(1, 2), (2, 4)])

    def test_all_records_refused(self, read):
        assert read(b"id,name\n1\0,\n").rejects("record_number") == [(1,)]

    def test_a_look_at_a_file(self, read):
        assert read("id,name\n" + "1,a\n" * 5000, limit=7).count == 7

    def test_a_part_of_a_long_delimiter_behind_a_quote_is_no_text(self, read):
        found = read('id, name\n1, "a"\n"2",, \n3, "b, c"\n', delimiter=", ")
        assert found.rows() == [("1", "a"), ("3", "b, c")]
        assert found.rejects("record_number, raw") == [(2, '"2",, ')]

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        content=st.text(alphabet='ab", \n', max_size=40),
        delimiter=st.sampled_from([",", ", "]),
        chunk=st.sampled_from([1, 4, 1 << 20]),
    )
    def test_the_careful_way_agrees_with_the_fast_one(self, tmp_path, content, delimiter, chunk):
        """Where DuckDB alone takes a whole file, cutting it into records first gives the same rows and numbers."""
        data = ("id" + delimiter + "name\n" + content).encode()
        connection = shared()
        found = []
        for careful in (False, True):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(csv_reader, "_CHUNK", chunk)
                if careful:
                    patch.setattr(csv_reader, "_read_regular", lambda *_: False)
                reading = Reading(tmp_path, data, connection=connection, delimiter=delimiter)
            assert reading.accounts() == reading.count
            found.append((reading.count, reading.rows(), reading.numbered(), reading.rejects()))
        assert found[0] == found[1]

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        rows=st.lists(
            st.tuples(*[st.text(st.characters(exclude_characters="\0\r", exclude_categories=("Cs",)), max_size=8)] * 2)
        )
    )
    def test_what_a_csv_writer_writes_is_read_back(self, tmp_path, rows):
        import csv
        import io

        out = io.StringIO()
        csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("id", "name"), *rows])
        reading = Reading(tmp_path, out.getvalue().encode(), connection=shared())
        kept = [row for row in rows if row != ("id", "name")]
        assert reading.rows() == [tuple(value or None for value in row) for row in kept]


class TestLines:
    def test_fixed_widths_count_characters(self, read):
        text = "id  name  city\n1   张三  上海\n2   b     \n3\n".replace("张三  ", "张三    ")
        found = read(text, type="fixed", widths=[4, 6, 4])
        assert list(found.columns) == ["id", "name", "city"]
        assert found.rows() == [("1", "张三", "上海"), ("2", "b", ""), ("3", "", "")]
        assert found.numbered() == [(1, 2), (2, 3), (3, 4)]

    def test_fixed_with_names(self, read):
        found = read("001浏览a\n\n002购买b\r\n", type="fixed", widths=[3, 2, 1], header=False, names=["id", "e", "k"])
        assert found.rows() == [("001", "浏览", "a"), ("002", "购买", "b")]
        assert found.numbered() == [(1, 1), (2, 3)]

    def test_text_behind_the_last_column(self, read):
        found = read("1a\n2b   \n3c x\n", type="fixed", widths=[1, 1], header=False, names=["id", "k"])
        assert found.rows() == [("1", "a"), ("2", "b")]
        assert found.rejects() == [(3, 3, "3c x")]

    def test_runs_of_blanks(self, read):
        text = b" id   day  amount\n\n 00004 19970101   29.33\n00005\t19970102 \t 1\r\n 6 7\n7 8 9 10\n8 \xff 9\n"
        found = read(text, delimiter="whitespace")
        assert found.rows() == [("00004", "19970101", "29.33"), ("00005", "19970102", "1")]
        assert found.numbered() == [(1, 3), (2, 4)]
        assert [row[:2] for row in found.rejects()] == [(3, 5), (4, 6), (5, 7)]

    def test_quotes_between_blanks(self, read):
        found = read('id what\n1 "a b"\n2 "say ""x"""\n3 "open\n4 a"b\n', delimiter="whitespace")
        assert found.rows() == [("1", "a b"), ("2", 'say "x"'), ("4", 'a"b')]
        assert found.rejects() == [(3, 4, '3 "open')]

    def test_lines_above(self, read):
        found = read("x\ny\nid k\n1 a\n", delimiter="whitespace", skip_lines=2)
        assert (found.rows(), found.numbered()) == ([("1", "a")], [(1, 4)])

    def test_header_that_repeats_a_column(self, read):
        with pytest.raises(SourceFileError, match=r"shop/file:1.*more than once"):
            read("id id\n", delimiter="whitespace")

    @pytest.mark.parametrize("chunk", [1, 5, 64])
    def test_chunks_do_not_matter(self, read, monkeypatch, chunk):
        monkeypatch.setattr(decode, "_CHUNK", chunk)
        found = read("id k\n" + "".join(f"{row} 浏览{row}\n" for row in range(50)), delimiter="whitespace")
        assert found.rows() == [(str(row), f"浏览{row}") for row in range(50)]


def jsonl(*records: Any) -> bytes:
    return "".join(
        (record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)) + "\n" for record in records
    ).encode()


def document(*records: Any) -> bytes:
    return (
        "[\n"
        + ",\n".join(
            record if isinstance(record, str) else json.dumps(record, ensure_ascii=False) for record in records
        )
        + "\n]\n"
    ).encode()


@pytest.mark.parametrize(("type_", "write", "first"), [("jsonl", jsonl, 1), ("json", document, 2)])
class TestJson:
    def test_records(self, read, type_, write, first):
        found = read(write({"id": "a", "n": 1}, {"id": "b", "n": None}), type=type_, wanted=["id", "n"])
        assert found.columns is None
        assert found.rows() == [("a", "1"), ("b", None)]
        assert found.numbered() == [(1, first), (2, first + 1)]
        assert found.rows(RAW) == [('{"id": "a", "n": 1}',), ('{"id": "b", "n": null}',)]
        assert found_keys(found.connection) == {"id": 2, "n": 2}

    @pytest.mark.parametrize("wanted", [["id"], ["id", "$.user.id"]])
    def test_values_keep_their_text(self, read, type_, write, first, wanted):
        values = [
            "12345678901234567890",
            "123456789012345678901234567890",
            "-99999999999999999999",
            '"00012"',
            '"1.50"',
            "0.1",
            "true",
            '{"a":[1,22222222222222222222]}',
            '"e\\u0301 \\ud83d\\ude00 \\n\\t\\"\\\\"',
        ]
        found = read(write(*(f'{{"id": {value}}}' for value in values)), type=type_, wanted=wanted)
        texts = [*values[:3], "00012", "1.50", "0.1", "true", values[7], 'e\u0301 😀 \n\t"\\']
        assert found.rows("id") == [(text,) for text in texts]

    def test_paths(self, read, type_, write, first):
        record = {
            "user": {"id": 12345678901234567890, "tags": ["x", {"y": 1}], "a b": "c", "$os": "iOS"},
            "id": 7,
            "odd/key~": "odd",
        }
        wanted = ["id", "$.user.id", "$.user.tags[0]", "$.user.tags[1].y", '$.user."a b"', '$.user."$os"', "$.no.such"]
        found = read(write(record, {"user": "none"}), type=type_, wanted=[*wanted, "odd/key~"])
        assert found.rows() == [
            ("7", "12345678901234567890", "x", "1", "c", "iOS", None, "odd"),
            (None,) * 8,
        ]

    def test_keys_that_nobody_speaks_of(self, read, type_, write, first):
        records = [
            {"id": 1, "new": "x", "big": 12345678901234567890, "known": 1},
            {"id": 2},
            {"id": 3, "other": {"deep": None}, "user": {"id": 1, "rest": 2}},
        ]
        found = read(write(*records), type=type_, wanted=["id", "$.user.id"], ignore=["known"])
        extras = [text and json.loads(text) for (text,) in found.rows(EXTRAS)]
        assert extras == [{"new": "x", "big": 12345678901234567890}, None, {"other": {"deep": None}}]
        assert "12345678901234567890" in found.rows(EXTRAS)[0][0]
        assert found_keys(found.connection) == {"big": 1, "id": 3, "known": 1, "new": 1, "other": 1, "user": 1}

    def test_no_extras(self, read, type_, write, first):
        assert read(write({"id": 1}), type=type_, wanted=["id"]).rows(EXTRAS) == [(None,)]

    def test_records_that_are_none(self, read, type_, write, first):
        odd = ["[1, 2]", '"text"', "12", "null", '{"id": 1, "id": 2}', '{"id": "a\\u0000b"}', '{"id": "\\ud83d"}']
        found = read(write({"id": "a"}, *odd, {"id": "b"}), type=type_, wanted=["id"])
        assert found.rows() == [("a",), ("b",)]
        assert found.numbered() == [(1, first), (9, first + 8)]
        assert found.rejects("record_number, line_number, raw, found") == [
            (2, first + 1, odd[0], "JSON of type array"),
            (3, first + 2, odd[1], "JSON of type varchar"),
            (4, first + 3, odd[2], "JSON of type ubigint"),
            (5, first + 4, odd[3], "JSON of type null"),
            (6, first + 5, odd[4], "a JSON object with a key twice"),
            (7, first + 6, odd[5], "text with a NUL character (\\u0000)"),
            (8, first + 7, odd[6], "text that is not JSON"),
        ]

    def test_bytes_that_are_no_text(self, read, type_, write, first):
        data = write({"id": "a"}, {"id": "?"}, {"id": "c"}, {"id": "d"}).replace(b"?", b"\xff")
        found = read(data.replace(b'"c"', b'"\0"'), type=type_, wanted=["id"])
        assert found.rows() == [("a",), ("d",)]
        assert found.rejects("record_number, line_number, raw") == [
            (2, first + 1, '{"id": "\\xff"}'),
            (3, first + 2, '{"id": "\\x00"}'),
        ]

    def test_a_record_beyond_the_limit(self, read, monkeypatch, type_, write, first):
        for module in (lines, json_document):
            monkeypatch.setattr(module, "MAX_RECORD_BYTES", 3_000_000)
        found = read(
            write({"id": 1}, {"id": 2, "x": "y" * 9_000_000}, {"id": 3}, {"id": "z" * 2_000_000}),
            type=type_,
            wanted=["id"],
        )
        assert [row[0][:3] for row in found.rows()] == ["1", "3", "zzz"]
        ((record, line, size),) = found.rejects("record_number, line_number, found")
        assert (record, line) == (2, first + 1)
        assert "bytes in one record" in size

    @pytest.mark.parametrize("chunk", [1, 2, 3, 7, 50])
    def test_chunks_do_not_matter(self, read, monkeypatch, type_, write, first, chunk):
        monkeypatch.setattr(decode, "_CHUNK", chunk)
        monkeypatch.setattr(json_document, "_CHUNK", chunk)
        records = [{"id": f"{row}\\\\\\" + '"},{[' * (row % 3), "浏览": [{"a": "]"}, row]} for row in range(30)]
        found = read(write(*records), type=type_, wanted=["id", "浏览"])
        assert [row[0] for row in found.rows()] == [record["id"] for record in records]
        assert found.numbered() == [(row + 1, row + first) for row in range(30)]

    def test_a_folder_key_wins(self, read, type_, write, first):
        found = read(write({"id": 1, "dt": "inside"}), type=type_, wanted=["id", "dt"], relative="shop/dt=2026-01-05/f")
        assert found.rows("id", "dt", "_file", EXTRAS) == [("1", "2026-01-05", "shop/dt=2026-01-05/f", None)]

    def test_a_look_at_a_file(self, read, type_, write, first):
        assert read(write(*({"id": row} for row in range(100))), type=type_, wanted=["id"], limit=7).count == 7

    def test_nothing_wanted(self, read, type_, write, first):
        assert read(write({"id": 1}, "x"), type=type_, wanted=[]).count == 2

    def test_damage_found_while_reading_is_told_as_damage(self, tmp_path, type_, write, first):
        import os

        records = [{"id": os.urandom(30).hex()} for _ in range(60_000)]
        data = gzip.compress(write(*records))
        with pytest.raises(SourceFileError, match="gzip data that is cut short or damaged"):
            Reading(tmp_path, data[: len(data) - 20], type=type_, wanted=["id"])


class TestJsonLines:
    def test_blank_lines_are_no_records(self, read):
        found = read('\n{"id": 1}\n  \n\r\n\t{"id": 2}\r\n\n', type="jsonl", wanted=["id"])
        assert (found.rows(), found.numbered()) == ([("1",), ("2",)], [(1, 2), (2, 5)])

    def test_byte_order_marks_at_line_starts(self, read):
        mark = "\ufeff"
        found = read(f'{mark}{{"id": 1}}\n{mark}{{"id": 2}}\n', type="jsonl", wanted=["id"])
        assert found.rows() == [("1",), ("2",)]

    @pytest.mark.parametrize("encoding", ["utf-16", "gb18030"])
    def test_encodings(self, read, encoding):
        data = '{"id": "浏览"}\n{"id": 2}\n'.encode(encoding)
        assert read(data, type="jsonl", encoding=encoding, wanted=["id"]).rows() == [("浏览",), ("2",)]

    def test_a_document_read_as_lines_is_refused_line_by_line(self, read):
        found = read('[\n{"id": 1},\n{"id": 2}\n]\n', type="jsonl", wanted=["id"])
        assert [record for (record,) in found.rejects("record_number")] == [1, 2, 4]


class TestJsonDocument:
    @pytest.mark.parametrize(
        ("text", "records"),
        [
            ('{"data": [{"id": 1}, {"id": 2}]}', "$.data"),
            ('{"a": "}]\\"", "x": {"data": [9]}, "r": {"data": [{"id": 1},{"id": 2}], "n": [3]}, "z": 1}', "$.r.data"),
            ('[[0], [{"id": 1}, {"id": 2}]]', "$[1]"),
            ('{"a": [[], {"b": [{"id": 1}, {"id": 2}]}]}', "$.a[1].b"),
            ('{"a b": [{"id": 1}, {"id": 2}]}', '$."a b"'),
            ('{"\\u4e2d": [{"id": 1}, {"id": 2}]}', "$.中"),
            ('\ufeff [ {"id": 1} , {"id": 2} , ] \n', None),
        ],
    )
    def test_where_the_records_are(self, read, text, records):
        assert read(text, type="json", records=records, wanted=["id"]).rows() == [("1",), ("2",)]

    @pytest.mark.parametrize(
        ("text", "records", "found"),
        [
            ('{"data": [1]}', None, r"an object at \$;.*format.records"),
            ('{"data": {"x": 1}}', "$.data", r"an object at \$.data"),
            ('{"data": 5}', "$.data", r"a value at \$.data"),
            ('{"other": [1]}', "$.data", r"nothing at \$.data"),
            ("[1]", "$.data", r"an array at \$"),
            ("[[1]]", "$[3]", r"nothing at \$\[3\]"),
            ("   ", None, r"nothing at \$"),
            ('[{"id": 1}', None, "cut short"),
            ('[{"id": "1', None, "cut short"),
            ('{"data": [{"id": 1}]', "$.data", "cut short"),
            ('{"data": [{"id": 1}], "x": "', "$.data", "cut short"),
            ('[{"id": 1}] [2]', None, "more text behind the end"),
            ('{"data": []} {}', "$.data", "more text behind the end"),
            ('[{"id": 1}}', None, "does not match"),
        ],
    )
    def test_documents_that_are_refused(self, read, text, records, found):
        with pytest.raises(SourceFileError, match=found):
            read(text, type="json", records=records, wanted=["id"])

    @pytest.mark.parametrize("text", ["[]", "[ \n ]", '{"data": []}'])
    def test_no_records(self, read, text):
        assert read(text, type="json", records="$.data" if "{" in text else None, wanted=["id"]).count == 0

    def test_a_broken_record_is_refused_alone(self, read):
        found = read('[{"id": 1}, {"id": x}, , {"id": 4}]', type="json", wanted=["id"])
        assert found.rows() == [("1",), ("4",)]
        assert found.rejects("record_number, raw") == [(2, '{"id": x}'), (3, "")]

    def test_lines_of_a_pretty_document(self, read):
        text = json.dumps([{"id": row, "x": ["a", "b"]} for row in range(3)], indent=2)
        assert read(text, type="json", wanted=["id"]).numbered() == [(1, 2), (2, 9), (3, 16)]

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        values=st.lists(
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers()
                | st.text(st.characters(exclude_categories=("Cs",)), max_size=5),
                lambda inner: (
                    st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3)
                ),
                max_leaves=8,
            ),
            max_size=6,
        ),
        indent=st.sampled_from([None, 1]),
        chunk=st.sampled_from([2, 5, 1 << 20]),
    )
    def test_any_document_is_cut_into_its_elements(self, tmp_path, values, indent, chunk):
        data = json.dumps(values, indent=indent, ensure_ascii=False).encode()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(json_document, "_CHUNK", chunk)
            found = Reading(tmp_path, data, connection=shared(), type="json", wanted=[])
            texts = found.query(
                f"select {RECORD} as n, {RAW} as raw from source_rows "
                "union all select record_number, raw from structural_rejects order by n"
            )
        assert [json.loads(text) for _, text in texts] == values


class TestOddSigns:
    """ODD may be true for nothing, but never false where a value has a control character or a wide blank."""

    @pytest.mark.parametrize(
        ("text", "odd"),
        [
            ("id,x\n1,plain 中。文\n", False),
            ('id,x\n1,"quoted, ""twice"""\n', False),
            ("id,x\r\n1,2\r\n", False),
            ("id,x\n1,\ta\n", True),
            ("id,x\n1,a\x1f\n", True),
            ("id,x\n1,a\u00a0\n", True),
            ("id,x\n1,\u3000a\n", True),
            ('id,x\n1,"a\n"\n', True),
            ("id,x\n1,a\n\n2,b\0\n", True),
        ],
    )
    def test_of_csv(self, read, text, odd):
        found = read(text.encode())
        assert found.query(f"select distinct {ODD} from source_rows") == [(odd,)]

    @pytest.mark.parametrize("chunk", [1, 2, 3, 5])
    @pytest.mark.parametrize("sign", ["\u00a0", "\u3000"])
    def test_of_csv_across_blocks(self, read, monkeypatch, chunk, sign):
        monkeypatch.setattr(decode, "_CHUNK", chunk)
        found = read(f"id,x\n1,中{sign}a\n".encode())
        assert found.query(f"select distinct {ODD} from source_rows") == [(True,)]

    @pytest.mark.parametrize(
        ("value", "odd"),
        [
            ("plain 中。文", False),
            (r"\"quoted\" \u4e2d \/ \\", False),
            *(
                (value, True)
                for value in (r"\ta", r"a\n", r"\r", r"\u001f", r"\u0009", r"\u00A0", r"\u00a0a", r"a\u3000")
            ),
            ("\u00a0a", True),
            ("a\u3000", True),
        ],
    )
    @pytest.mark.parametrize("kind", ["jsonl", "json"])
    def test_of_json(self, read, kind, value, odd):
        text = f'{{"id": "{value}"}}'
        found = read((text if kind == "jsonl" else f"[{text}]").encode(), wanted=["id"], type=kind)
        assert found.query(f"select distinct {ODD} from source_rows") == [(odd,)]

    def test_json_texts_have_no_bare_control_characters(self, read):
        """What makes it enough to look for escapes."""
        found = read(b'{"id": "a\tb"}\n{"id": "a\x1fb"}\n', wanted=["id"], type="jsonl")
        assert [number for number, *_ in found.rejects()] == [1, 2]

    def test_of_a_folder(self, read):
        found = read(b"id,x\n1,2\n", relative="shop/dt=%C2%A0a/file")
        assert found.query(f"select distinct {ODD} from source_rows") == [(True,)]


class TestPadding:
    """PADDED may be true for nothing, but never false where a value ends in a blank."""

    @pytest.mark.parametrize(
        ("text", "padded"),
        [
            ("id,x\n1,2026-01-05 10:00:00\n", False),
            ("id,x\n1, a b\n", False),
            ('id,x\n1," a, b c"\n', False),
            ("id,x\n1 ,a\n", True),
            ("id,x\n1,a \n", True),
            ("id,x\n1,a \r\n", True),
            ("id,x\n1,a ", True),
            ('id,x\n1,"a "\n', True),
            ("id,x\n1,a \n\n2,b\n", True),
        ],
    )
    def test_of_csv(self, read, text, padded):
        found = read(text.encode())
        assert found.query(f"select distinct {PADDED} from source_rows") == [(padded,)]

    @pytest.mark.parametrize("chunk", [1, 2, 3, 5, 7])
    def test_of_csv_across_blocks(self, read, monkeypatch, chunk):
        monkeypatch.setattr(decode, "_CHUNK", chunk)
        found = read(b"id,x\n1,abc \n2,d\n")
        assert found.query(f"select distinct {PADDED} from source_rows") == [(True,)]

    @pytest.mark.parametrize(
        ("text", "padded"),
        [
            ('{"id":"a b","x":1}', False),
            ('{"id":" a", "x": "b"}', True),  # layout looks like a value that ends in a blank
            ('{"id":"a "}', True),
            (r'{"id":"a\u0020"}', True),
            (r'{"id":"a\u0021"}', False),
            (f'{{"id":"{"a b" * 4000}","x":"c "}}', True),
        ],
    )
    @pytest.mark.parametrize("kind", ["jsonl", "json"])
    def test_of_json(self, read, kind, text, padded):
        found = read((text if kind == "jsonl" else f"[{text}]").encode(), wanted=["id"], type=kind)
        assert found.query(f"select distinct {PADDED} from source_rows") == [(padded,)]

    @pytest.mark.parametrize("kind", ["csv", "jsonl", "json"])
    @settings(max_examples=30, deadline=None)
    @given(data=st.data())
    def test_a_blank_at_an_end_is_never_missed(self, tmp_path_factory, kind, data):
        text = st.text(st.sampled_from(' a,:"\\{}中;'), max_size=6)
        rows = data.draw(st.lists(st.tuples(text, text), min_size=1, max_size=4))
        if kind == "csv":
            out = io.StringIO()
            quoting = data.draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
            csv.writer(out, quoting=quoting, lineterminator="\n").writerows([("id", "x"), *rows])
            content, spec = out.getvalue(), {}
        else:
            layout = data.draw(st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]))
            records = [json.dumps({"id": a, "x": b}, separators=layout, ensure_ascii=False) for a, b in rows]
            content = "\n".join(records) if kind == "jsonl" else f"[{','.join(records)}]"
            spec = {"type": kind, "wanted": ["id", "x"]}
        found = Reading(tmp_path_factory.mktemp("padding"), content.encode(), connection=shared(), **spec)
        missed = found.query(f"select id, x from source_rows where not {PADDED} and (id like '% ' or x like '% ')")
        assert missed == []

    def test_of_a_folder(self, read):
        found = read(b"id,x\n1,2\n", relative="shop/dt=a%20/file")
        assert found.query(f"select distinct {PADDED} from source_rows") == [(True,)]


def test_first_keys():
    assert json_records.first_keys(["a", "$.b.c", '$."d e".f', "$[0].x", "$.b.d"]) == ["a", "b", "d e"]


class TestFolderKeys:
    def test_they_are_columns_and_win(self, read):
        found = read("id,Dt\n1,inside\n", relative="shop/dt=2026-01-05/region=a%20b/part.csv")
        assert list(found.columns) == ["id"]
        assert found.rows("id", "dt", "region", "_file") == [
            ("1", "2026-01-05", "a b", "shop/dt=2026-01-05/region=a%20b/part.csv")
        ]

    def test_what_is_one(self, tmp_path):
        keys = folder_keys(LandingFile(tmp_path, "s/a=1/b==x/=y/c=__HIVE_DEFAULT_PARTITION__/d/e=f.csv"))
        assert keys == {"a": "1", "b": "=x", "c": ""}

    def test_a_column_of_the_name_file(self, read):
        assert read("id,_file\n1,own\n").rows("_file") == [("own",)]


class TestParquet:
    def parquet(self, tmp_path, query: str) -> bytes:
        duckdb.sql(f"copy ({query}) to '{tmp_path}/made.parquet' (format parquet)")
        return (tmp_path / "made.parquet").read_bytes()

    @pytest.mark.parametrize("pack", [bytes, gzip.compress])
    def test_typed_columns(self, read, tmp_path, pack):
        data = self.parquet(
            tmp_path, "select i::hugeint * 100000000000000000000 as id, i::double as n from range(3) t(i)"
        )
        found = read(pack(data), type="parquet", relative="shop/dt=2026-01-05/x.parquet")
        assert found.columns["n"] == "DOUBLE"
        assert found.query(f"select {RECORD}, {LINE}, n, dt from source_rows order by 1") == [
            (1, None, 0.0, "2026-01-05"),
            (2, None, 1.0, "2026-01-05"),
            (3, None, 2.0, "2026-01-05"),
        ]

    def test_a_look_at_a_file(self, read, tmp_path):
        assert read(self.parquet(tmp_path, "select i as id from range(1000) t(i)"), type="parquet", limit=7).count == 7

    @pytest.mark.parametrize("data", [b"PAR1 this is not parquet PAR1", b"id,name\n1,a\n", b"PAR1"])
    def test_what_is_no_parquet(self, read, data):
        with pytest.raises(SourceFileError, match="a Parquet file"):
            read(data, type="parquet")

    def test_cut_short(self, read, tmp_path):
        data = self.parquet(tmp_path, "select i as id from range(1000) t(i)")
        with pytest.raises(SourceFileError, match="a Parquet file"):
            read(data[:-10], type="parquet")
