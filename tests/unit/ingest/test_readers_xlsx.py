"""Excel workbooks: what a person sees in a cell is what is read."""

from __future__ import annotations

import datetime as dt
import io
import zipfile

import openpyxl
import pytest

from tests.unit.ingest.test_readers import Reading, read  # noqa: F401
from userops.errors import SourceFileError
from userops.ingest.readers import LINE, RECORD


def workbook(*sheets: tuple[str, list[list[object]]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def one(*rows: list[object]) -> bytes:
    return workbook(("Orders", [["id", "v"], *rows]))


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("12345678901234567890", "12345678901234567890"),
        ("123456789012345678", "123456789012345678"),
        ("9007199254740993", "9007199254740993"),
        ("00123", "00123"),
        (13085, "13085"),
        (13085.0, "13085"),
        (123456789012345, "123456789012345"),
        (9007199254740991, "9007199254740991"),
        (9007199254740992, "9.0071992547409920e+15"),
        (123456789012345678, "1.2345678901234570e+17"),
        (-(2**60), "-1.1529215046068470e+18"),
        (0.1, "0.1"),
        (-12.5, "-12.5"),
        (dt.date(2026, 1, 5), "2026-01-05 00:00:00"),
        (dt.datetime(2026, 1, 5, 10, 0, 1), "2026-01-05 10:00:01"),
        (dt.datetime(2026, 1, 5, 10, 0, 1, 500_000), "2026-01-05 10:00:01.500"),
        (dt.time(9, 30), "09:30:00"),
        (True, "true"),
        (False, "false"),
        ("浏览 é 😀", "浏览 é 😀"),
        ("a\nb", "a\nb"),
        ("#N/A", None),
        (None, None),
    ],
)
def test_cells(read, cell, text):  # noqa: F811
    found = read(one(["1", cell], ["2", "text"]), type="xlsx")
    assert found.rows() == [("1", text), ("2", "text")]


def test_a_column_of_long_text_and_long_numbers(read):  # noqa: F811
    found = read(one(["1", "9007199254740992"], ["2", 9007199254740992], ["3", None], ["4", "t"]), type="xlsx")
    assert [row[1] for row in found.rows()] == ["9007199254740992", "9.0071992547409920e+15", None, "t"]


def test_sheets_rows_and_lines(read):  # noqa: F811
    data = workbook(
        ("empty", []),
        ("数据", [["Report of today"], [], ["id", "v", None], ["1", "a"], [None, None], ["2", None], []]),
    )
    for sheet in ("数据", 2):
        found = read(data, type="xlsx", sheet=sheet, skip_lines=1)
        assert found.rows() == [("1", "a"), ("2", None)]
        assert found.query(f"select {RECORD}, {LINE} from source_rows order by 1") == [(1, 4), (2, 6)]


def test_names_instead_of_a_header(read):  # noqa: F811
    data = workbook(("s", [["1", "a"], ["2", "b"]]))
    assert read(data, type="xlsx", header=False, names=["id", "v", "more"]).rows() == [
        ("1", "a", None),
        ("2", "b", None),
    ]
    with pytest.raises(SourceFileError, match="values in 2 columns"):
        read(data, type="xlsx", header=False, names=["id"])


@pytest.mark.parametrize("header", [["id", "ID"], ["id", None], ["id", " "]])
def test_a_header_that_leaves_a_column_without_a_name(read, header):  # noqa: F811
    with pytest.raises(SourceFileError, match=r"shop/file:1: found .*column"):
        read(workbook(("s", [header, ["1", "2"]])), type="xlsx")


def test_a_sheet_without_a_row(read):  # noqa: F811
    assert read(workbook(("s", [["id"]])), type="xlsx").count == 0
    assert read(workbook(("s", [])), type="xlsx").count == 0


@pytest.mark.parametrize("sheet", ["Orders ", 3])
def test_no_such_sheet(read, sheet):  # noqa: F811
    with pytest.raises(SourceFileError, match=r"format\.sheet"):
        read(one(["1", "2"]), type="xlsx", sheet=sheet)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"id,v\n1,2\n", "no workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), r"before 2007 \(.xls\)"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le"),
            "a workbook with a password",
        ),
    ],
)
def test_what_is_no_workbook(read, data, found):  # noqa: F811
    with pytest.raises(SourceFileError, match=found):
        read(data, type="xlsx")


def test_a_workbook_cut_short(read):  # noqa: F811
    with pytest.raises(SourceFileError, match=r"damaged|no workbook"):
        read(one(["1", "2"])[:-100], type="xlsx")


def test_a_stray_cell_far_away_is_refused_before_memory_is_taken(read):  # noqa: F811
    book = openpyxl.Workbook()
    book.active["A1"] = "id"
    book.active["XFD1048576"] = "far"
    out = io.BytesIO()
    book.save(out)
    with pytest.raises(SourceFileError, match="a sheet of 1048576 rows and 16384 columns"):
        read(out.getvalue(), type="xlsx")


def test_a_workbook_in_a_zip(read):  # noqa: F811
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("export.xlsx", one(["1", "a"]))
    assert read(out.getvalue(), type="xlsx").rows() == [("1", "a")]


def test_a_look_at_a_file(read):  # noqa: F811
    assert read(one(*([str(row), "a"] for row in range(50))), type="xlsx", limit=7).count == 7


def test_two_files_one_after_the_other(tmp_path):
    """The cells of one file are never taken for those of another."""
    first = Reading(tmp_path, one(["1", "a"]), type="xlsx", relative="s/one")
    assert first.rows() == [("1", "a")]
    second = Reading(tmp_path, one(["2", "b"]), type="xlsx", relative="s/two")
    assert second.rows() == [("2", "b")]
