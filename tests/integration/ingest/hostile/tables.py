"""Hostile Parquet files and workbooks."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from .corpus import COLUMNS, IDS, Case, Fate, Refused, Taken, good, loaded, text

_PARQUET = {"files": {"pattern": "*.parquet"}, "format": {"type": "parquet"}}
_XLSX = {"files": {"pattern": "*.xlsx"}, "format": {"type": "xlsx"}}
_PAGE = {"columns": {**COLUMNS, "page": "page"}}
_MOMENT = datetime(2026, 1, 5, 10)
#: 2026-01-05 10:00:00.123456789 UTC
_NANOSECONDS = 1767607200123456789


def _parquet_bytes(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, compression="none")
    return out.getvalue()


def _table(**columns: Any) -> pa.Table:
    """Two good rows `a` and `b`, with the columns given put in."""
    return pa.table({"id": ["a", "b"], "ts": [_MOMENT] * 2, "event": ["view"] * 2, "uid": ["u"] * 2, **columns})


def _parquet(name: str, why: str, fate: Fate, content: Callable[[], bytes], **source: Any) -> Case:
    return Case(name, why, fate, content, file="events_1.parquet", source={**_PARQUET, **source})


def _twice_named() -> bytes:
    arrays = [pa.array(["a"]), pa.array([_MOMENT]), pa.array(["view"]), pa.array(["u"]), pa.array(["other"])]
    return _parquet_bytes(pa.Table.from_arrays(arrays, names=["id", "ts", "event", "uid", "UID"]))


def _invalid_text() -> bytes:
    """A text column whose second value is no UTF-8."""
    return _parquet_bytes(_table(uid=["u", "XYZ"])).replace(b"XYZ", b"\xff\xfe\xfd")


_OF_PARQUET = [
    _parquet("parquet_cut", "an upload that broke off", Refused("Parquet"), lambda: _parquet_bytes(_table())[:-100]),
    _parquet("parquet_head_only", "four bytes of a Parquet file", Refused("Parquet"), lambda: b"PAR1"),
    _parquet("parquet_empty", "no byte at all", Taken(0, notes=("empty_file",)), lambda: b""),
    _parquet("parquet_encrypted", "an encrypted footer", Refused("Parquet|encrypt"),
             lambda: _parquet_bytes(_table()).replace(b"PAR1", b"PARE")),
    _parquet("parquet_foreign", "a footer that is none", Refused("Parquet"),
             lambda: b"PAR1" + b"\x15" * 200 + (200).to_bytes(4, "little") + b"PAR1"),
    _parquet("parquet_footer_too_long", "a footer length beyond the file", Refused("Parquet"),
             lambda: _parquet_bytes(_table())[:-8] + (2**31).to_bytes(4, "little") + b"PAR1"),
    _parquet("parquet_that_is_csv", "the wrong file in the folder", Refused("Parquet"), text(good("a"))),
    Case("csv_that_is_parquet", "the wrong file in the folder", Refused("NUL"),
         lambda: _parquet_bytes(_table())),
    _parquet("parquet_no_rows", "a day without rows", Taken(0), lambda: _parquet_bytes(_table().slice(0, 0))),
    _parquet("parquet_column_missing", "the column of the user is gone", Refused("`uid`", "failed_source"),
             lambda: _parquet_bytes(_table().drop_columns(["uid"]))),
    _parquet("parquet_names_differ_in_case", "Parquet tells uid from UID, and so does the mapping",
             Taken(1, columns=f"{IDS}, properties", rows=[("a", "u", '{"UID_1":"other"}')]), _twice_named),
    _parquet("parquet_number_as_time", "a number without its unit", Refused("epoch", "failed_source"),
             lambda: _parquet_bytes(_table(ts=[1767578400, 1767578400]))),
    _parquet("parquet_boolean_as_time", "true is no time", Taken(0, 2, reasons={"bad_timestamp": 2}),
             lambda: _parquet_bytes(_table(ts=[True, False]))),
    _parquet("parquet_nested_id", "a structure where an id should be is taken as its text",
             Taken(2, rows=[("a", "{'id': u}"), ("b", "{'id': v}")]),
             lambda: _parquet_bytes(_table(uid=[{"id": "u"}, {"id": "v"}]))),
    _parquet("parquet_list_as_text", "a list where a text should be is shown as one",
             Taken(2, columns="event_id, page", rows=[("a", "[x]"), ("b", "[y]")]),
             lambda: _parquet_bytes(_table(page=[["x"], ["y"]])), **_PAGE),
    _parquet("parquet_nested_kept", "structures nobody mapped are kept whole",
             Taken(2, columns="event_id, properties",
                   rows=[("a", '{"x":{"k":[1,2]}}'), ("b", '{"x":{"k":[]}}')]),
             lambda: _parquet_bytes(_table(x=[{"k": [1, 2]}, {"k": []}]))),
    _parquet("parquet_float_ids", "ids that went through a float",
             Taken(1, 1, reasons={"id_digits_lost; missing_one_of": 1}, rows=[("a", "13085")]),
             lambda: _parquet_bytes(_table(uid=[13085.0, 1.2345678901234567e19]))),
    _parquet("parquet_large_ids", "ids beyond int64, as uint64 and decimal",
             Taken(2, columns="user_id, object_id",
                   rows=[("18446744073709551615", "1" * 38), ("7", "7")]),
             lambda: _parquet_bytes(_table(uid=pa.array([2**64 - 1, 7], pa.uint64()),
                                           x=pa.array([Decimal("1" * 38), Decimal(7)], pa.decimal128(38, 0)))),
             columns={**COLUMNS, "object_id": "x"}),
    _parquet("parquet_not_a_number", "NaN in a column of money is no value; infinity is no sum",
             Taken(1, 1, reasons={"bad_type": 1}, columns="event_id, value", rows=[("a", None)]),
             lambda: _parquet_bytes(_table(x=[float("nan"), float("inf")])), columns={**COLUMNS, "value": "x"}),
    _parquet("parquet_invalid_text", "a text column with bytes that are no UTF-8", Refused("."), _invalid_text),
    _parquet("parquet_nanoseconds", "nanoseconds are cut, zones are honoured",
             Taken(2, columns="event_id, strftime(event_time, '%Y-%m-%d %H:%M:%S.%f')",
                   rows=[("a", "2026-01-05 10:00:00.123456"), ("b", "2026-01-05 10:00:00.123456")]),
             lambda: _parquet_bytes(_table(ts=pa.array([_NANOSECONDS] * 2, pa.timestamp("ns", "Europe/Paris"))))),
    _parquet("parquet_columns_of_ours", "columns named like the reader's own",
             Taken(2, columns=f"{IDS}, _source = channel", rows=[("a", "u", True), ("b", "u", True)]),
             lambda: _parquet_bytes(_table(_batch_id=[9, 9], _source=["x", "x"],
                                           filename=["x", "x"], event_date=["x", "x"]))),
    _parquet("parquet_reserved", "the name the reader gives its row numbers", Refused("file_row_number"),
             lambda: _parquet_bytes(_table(file_row_number=[9, 9]))),
    _parquet("parquet_sql_name", "a column name that tries to leave its quotes", loaded("a", "b"),
             lambda: _parquet_bytes(_table(**{'x"; drop table source_rows; --': ["x", "x"]})), new_columns="drop"),
]  # fmt: skip


def _xlsx_bytes(rows: list[list[Any]], **changes: Any) -> bytes:
    """A workbook; `edit` may change the sheet, `book` the workbook."""
    workbook = openpyxl.Workbook()
    sheet = workbook.worksheets[0]
    for row in rows:
        sheet.append(row)
    for change in ("edit", "book"):
        if change in changes:
            changes[change](sheet if change == "edit" else workbook)
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


def _sheet(*rows: list[Any], header: tuple[str, ...] = ("id", "ts", "event", "uid")) -> list[list[Any]]:
    return [[*header], *rows]


def _row(name: str, uid: Any = "u", ts: Any = _MOMENT) -> list[Any]:
    return [name, ts, "view", uid]


def _xlsx(name: str, why: str, fate: Fate, content: Callable[[], bytes], **source: Any) -> Case:
    return Case(
        name,
        why,
        fate,
        content,
        file="events_1.xlsx",
        source={**_XLSX, **source},
        alone="bomb" in name,
        child="far" in name,
    )


def _error_cell(sheet: Any) -> None:
    sheet["D3"].value, sheet["D3"].data_type = "#N/A", "e"


def _hide_first(workbook: Any) -> None:
    other = workbook.create_sheet("seen")
    for row in _sheet(_row("b")):
        other.append(row)
    workbook.worksheets[0].sheet_state = "hidden"


def _without_rows(workbook: Any) -> None:
    del workbook.worksheets[0]["A1:D9"]


def _edited(name: str, old: bytes, new: bytes) -> bytes:
    """A workbook with one good row, one of its parts edited."""
    out = io.BytesIO()
    source = zipfile.ZipFile(io.BytesIO(_xlsx_bytes(_sheet(_row("a")))))
    with source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for item in source.infolist():
            content = source.read(item)
            if item.filename == name:
                assert old in content
                content = content.replace(old, new)
            target.writestr(item.filename, content)
    return out.getvalue()


def _blanks_bomb() -> bytes:
    """A sheet that expands to 300 MB of blanks."""
    return _edited("xl/worksheets/sheet1.xml", b"</sheetData>", b" " * (300 << 20) + b"</sheetData>")


def _far_cell() -> bytes:
    """One more cell, in the last row and column there can be: a table of 17 billion cells to whom believes it."""
    cell = b'<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>far</t></is></c></row></sheetData>'
    return _edited("xl/worksheets/sheet1.xml", b"</sheetData>", cell)


def _plain_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("events.csv", good("a"))
    return out.getvalue()


_OF_WORKBOOKS = [
    _xlsx("xlsx_types", "dates, times, numbers and text ids of a sheet",
          Taken(4, columns="user_id, strftime(event_time, '%Y-%m-%d %H:%M')",
                rows=[("00123", "2026-01-04 16:00"), ("12345678901234567890", "2026-01-05 02:00"),
                      ("13085", "2026-01-05 02:00"), ("true", "2026-01-05 02:00")]),
          lambda: _xlsx_bytes(_sheet(_row("a", 13085.0), _row("b", "00123", date(2026, 1, 5)),
                                     _row("c", "12345678901234567890"), _row("d", True)))),
    _xlsx("xlsx_formulas", "a formula nobody calculated is an empty cell",
          Taken(1, 1, reasons={"missing_one_of": 1}, rows=[("b", "u")]),
          lambda: _xlsx_bytes(_sheet(_row("a", '=CONCAT("u","1")'), _row("b")))),
    _xlsx("xlsx_errors", "an error cell holds no value",
          Taken(1, 1, reasons={"missing_one_of": 1}, rows=[("a", "u")]),
          lambda: _xlsx_bytes(_sheet(_row("a"), _row("b")), edit=_error_cell)),
    _xlsx("xlsx_merged", "of merged cells only the first one has the value",
          Taken(1, 1, reasons={"missing_one_of": 1}, rows=[("a", "u")]),
          lambda: _xlsx_bytes(_sheet(_row("a"), _row("b")), edit=lambda sheet: sheet.merge_cells("D2:D3"))),
    _xlsx("xlsx_hidden_sheet", "the first sheet is the first sheet, seen or not", loaded("a"),
          lambda: _xlsx_bytes(_sheet(_row("a")), book=_hide_first)),
    _xlsx("xlsx_sheet_by_name", "the sheet that is meant, by name", loaded("b"),
          lambda: _xlsx_bytes(_sheet(_row("a")), book=_hide_first), format={"type": "xlsx", "sheet": "seen"}),
    _xlsx("xlsx_no_such_sheet", "a sheet the workbook does not have", Refused("Umsatz"),
          lambda: _xlsx_bytes(_sheet(_row("a"))), format={"type": "xlsx", "sheet": "Umsatz"}),
    _xlsx("xlsx_empty_sheet", "a sheet without a cell", Taken(0), lambda: _xlsx_bytes([])),
    _xlsx("xlsx_header_only", "a day without rows", Taken(0), lambda: _xlsx_bytes(_sheet())),
    _xlsx("xlsx_empty_rows", "rows without a value are no records", loaded("a", "b"),
          lambda: _xlsx_bytes(_sheet(_row("a"), [None] * 4, _row("b")))),
    _xlsx("xlsx_header_twice_a_name", "which of the two is the user?", Refused("more than once"),
          lambda: _xlsx_bytes([["id", "ts", "event", "uid", "UID"], [*_row("a"), "v"]])),
    _xlsx("xlsx_title_above", "lines above the header, skipped as stated", loaded("a"),
          lambda: _xlsx_bytes([["Monthly report"], [], *_sheet(_row("a"))]),
          format={"type": "xlsx", "skip_lines": 2}),
    _xlsx("xlsx_time_cell", "a clock time without a day is no time", Taken(0, 1, reasons={"bad_timestamp": 1}),
          lambda: _xlsx_bytes(_sheet(_row("a", ts=time(10, 0))))),
    _xlsx("xlsx_float_id", "a long id in a number cell has lost its digits",
          Taken(0, 1, reasons={"id_digits_lost; missing_one_of": 1}),
          lambda: _xlsx_bytes(_sheet(_row("a", 1.2345678901234567e19)))),
    _xlsx("xlsx_cut", "an upload that broke off", Refused("xlsx|workbook"),
          lambda: _xlsx_bytes(_sheet(_row("a")))[:-300]),
    _xlsx("xlsx_encrypted", "a password: an OLE container, no zip", Refused("password|encrypt|xlsx"),
          lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 5000),
    _xlsx("xlsx_that_is_csv", "a csv that was renamed", Refused("xlsx|workbook"), text(good("a"))),
    _xlsx("xlsx_that_is_a_zip", "a zip that is no workbook", Refused("xlsx|workbook"), _plain_zip),
    _xlsx("xlsx_bomb", "a sheet of 300 MB of blanks in 300 kB", loaded("a"), _blanks_bomb),
    _xlsx("xlsx_far_cell_bomb", "a cell at the far end of the sheet: 17 billion cells, were they all there",
          Refused("."), _far_cell),
]  # fmt: skip


CASES = [*_OF_PARQUET, *_OF_WORKBOOKS]
