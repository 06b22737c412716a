"""Hostile text files: encodings, lines, quotes, headers."""

from __future__ import annotations

import codecs

from .corpus import COLUMNS, HEADER, IDS, Case, Refused, Taken, csv_of, good, line, loaded, text

_MB = 1_000_000
_PAGE = {**COLUMNS, "page": "page"}
_PAGE_HEADER = "id,ts,event,uid,page\n"
_BROKEN = {"broken_line": 1}


def _encoded(encoding: str) -> dict[str, object]:
    return {"format": {"type": "csv", "encoding": encoding}}


def _paged(*pages: tuple[str, str]) -> str:
    return _PAGE_HEADER + "".join(f"{name},2026-01-05 10:00:00,view,u,{page}\n" for name, page in pages)


def _pages(*pages: tuple[str, str | None], **changes: object) -> Taken:
    return Taken(len(pages), columns="event_id, page", rows=sorted(pages), **changes)  # type: ignore[arg-type]


_WITH_PAGE = {"columns": _PAGE}
_FORMULAS = ["=cmd|'/C calc'!A0", "+1+1", "-2+3", "@SUM(A1:A9)", '=HYPERLINK("http://x.example","y")']

_ENCODINGS = [
    Case("invalid_utf8", "one line with bytes that are no UTF-8", loaded("a", "c", quarantined=1, reasons=_BROKEN),
         lambda: (good("a") + line("b")).encode().replace(b"b,", b"\xff\xfe,") + line("c").encode()),
    Case("two_encodings", "UTF-8 and GB18030 lines in one file",
         loaded("a", "中", quarantined=1, reasons=_BROKEN),
         lambda: good("a", "中").encode() + line("文件").encode("gb18030")),
    Case("surrogates_in_utf8", "CESU-8: an emoji as two encoded surrogates",
         loaded("a", quarantined=1, reasons=_BROKEN),
         lambda: good("a").encode() + line("X").encode().replace(b"X", b"\xed\xa0\xbd\xed\xb8\x80")),
    Case("overlong_utf8", "a slash in two bytes, to slip past filters", loaded("a", quarantined=1, reasons=_BROKEN),
         lambda: good("a").encode() + line("X").encode().replace(b"X", b"\xc0\xaf")),
    Case("cut_utf8", "the file ends within a sign", loaded("a", quarantined=1, reasons=_BROKEN),
         lambda: good("a").encode() + b"b,2026-01-05,view,\xe4\xb8"),
    Case("utf16_little_endian", "Excel's Unicode text", loaded("a", "表情😀"),
         lambda: codecs.BOM_UTF16_LE + good("a", "表情😀").encode("utf-16-le"), source=_encoded("utf-16")),
    Case("utf16_big_endian", "the other byte order, told by its mark", loaded("a", "表情😀"),
         lambda: codecs.BOM_UTF16_BE + good("a", "表情😀").encode("utf-16-be"), source=_encoded("utf-16")),
    Case("utf16_without_mark", "the YAML says the byte order, as the file does not", loaded("a", "表情😀"),
         lambda: good("a", "表情😀").encode("utf-16-be"), source=_encoded("utf-16-be")),
    Case("utf16_odd_byte", "UTF-16 that ends within a sign", loaded("a", quarantined=1, reasons=_BROKEN),
         lambda: good("a").encode("utf-16-le") + line("b").encode("utf-16-le")[:-2] + b"x",
         source=_encoded("utf-16-le")),
    Case("utf16_read_as_utf8", "the mark is proof, whatever the YAML says", loaded("a", notes=("file_warning",)),
         lambda: codecs.BOM_UTF16_LE + good("a").encode("utf-16-le")),
    Case("gb18030_four_bytes", "signs beyond GBK, of four bytes each", loaded("㐀", "𠮷", "😀"),
         text(good("㐀", "𠮷", "😀"), "gb18030"), source=_encoded("gb18030")),
    Case("gb18030_broken", "bytes GB18030 does not know", loaded("中", quarantined=1, reasons=_BROKEN),
         lambda: good("中").encode("gb18030") + b"\xff\xff" + line("b").encode(), source=_encoded("gb18030")),
    Case("latin1", "every byte is a sign", loaded("é", "ÿ"), text(good("é", "ÿ"), "latin-1"),
         source=_encoded("latin-1")),
    Case("mark_only", "a byte-order mark and nothing else", Taken(0, notes=("empty_file",)),
         lambda: codecs.BOM_UTF8),
    Case("mark_before_header", "a byte-order mark is no part of the first name", loaded("a"),
         lambda: codecs.BOM_UTF8 + good("a").encode()),
    Case("two_marks", "two tools put a mark each", loaded("a"),
         lambda: codecs.BOM_UTF8 * 2 + good("a").encode()),
    Case("mark_in_the_middle", "cat a.csv b.csv: the second header is a record that nothing can read",
         loaded("a", "b", quarantined=1, reasons=_BROKEN),
         lambda: codecs.BOM_UTF8 + good("a").encode() + codecs.BOM_UTF8 + good("b").encode()),
    Case("nul_bytes", "a NUL within a text", _pages(("b", "z"), quarantined=1, reasons=_BROKEN, raws=("x\\x00y",)),
         text(_paged(("a", "x\0y"), ("b", "z"))), source=_WITH_PAGE),
    Case("nul_tail", "a preallocated file: zeros after the last line", loaded("a", quarantined=1),
         lambda: good("a").encode() + b"\0" * 4096),
    Case("all_nul", "a disk that lost its blocks", Refused("NUL"), lambda: b"\0" * 10_000),
]  # fmt: skip

_LINES = [
    Case("empty", "no byte at all", Taken(0, notes=("empty_file",)), text("")),
    Case("header_only", "a day without rows", Taken(0), text(HEADER)),
    Case("only_blanks", "a header of three spaces names no column", Refused("`id`", "failed_source"),
         text("\n\n   \n\t\n")),
    Case("no_last_newline", "the last record has no line end", loaded("a", "b"), text(good("a", "b").rstrip("\n"))),
    Case("blank_lines", "blank lines between the records are no records", loaded("a", "b"),
         text(HEADER + "\n" + line("a") + "\n\n" + line("b") + "\n\n\n")),
    Case("blank_line_first", "a blank line above the header", loaded("a"), text("\n" + good("a"))),
    Case("returns_only", "the line ends of an old Mac", loaded("a", "b"), text(good("a", "b").replace("\n", "\r"))),
    Case("mixed_line_ends", "CRLF and LF in turn", loaded("a", "b", "c"),
         text(HEADER.replace("\n", "\r\n") + line("a") + line("b").replace("\n", "\r\n") + line("c"))),
    Case("other_separators", "U+2028, U+0085 and vertical tab end no line", _pages(("a", "x\u2028y\x85z\x0bw")),
         text(_paged(("a", "x\u2028y\x85z\x0bw"))), source=_WITH_PAGE),
    Case("line_of_1_mb", "long, but a line like any other",
         Taken(2, columns="event_id, length(page)", rows=[("a", _MB), ("b", 1)]),
         lambda: _paged(("a", "x" * _MB), ("b", "y")).encode(), source=_WITH_PAGE),
    Case("line_of_20_mb", "longer than any record: refused, the others stay",
         Taken(2, 1, reasons=_BROKEN, columns="event_id, page", rows=[("a", "x"), ("c", "z")]),
         lambda: _paged(("a", "x"), ("b", "y" * 20 * _MB), ("c", "z")).encode(), source=_WITH_PAGE, alone=True),
    Case("line_of_20_mb_jsonl", "the same in JSON lines",
         loaded("a", "c", quarantined=1, reasons=_BROKEN),
         lambda: "".join(
             f'{{"id": "{name}", "ts": "2026-01-05", "event": "view", "uid": "u", "page": "{page}"}}\n'
             for name, page in (("a", "x"), ("b", "y" * 20 * _MB), ("c", "z"))
         ).encode(), file="events_1.jsonl",
         source={"format": {"type": "jsonl"}, "files": {"pattern": "*.jsonl"}, "ignore": ["page"]},
         alone=True),
    Case("no_line_end_at_all", "20 MB of one sign", Refused("header"), lambda: b"x" * 20 * _MB, alone=True),
    Case("short_lines", "a record cut off in the middle", loaded("a", "c", quarantined=1, reasons=_BROKEN),
         text(good("a") + "b,2026-01-05\n" + line("c"))),
    Case("long_lines", "more fields than the header has", loaded("a", "c", quarantined=1, reasons=_BROKEN),
         text(good("a") + line("b").rstrip() + ",more,fields\n" + line("c"))),
    Case("trailing_delimiter", "every line ends with a comma but the header: an empty field of no column",
         loaded("a", "b"), text(HEADER + "a,2026-01-05,view,u,\nb,2026-01-05,view,u,\n")),
    Case("other_delimiter", "semicolons where commas are stated: everything is one column",
         Refused("id;ts;event;uid", "failed_source"), text(good("a").replace(",", ";"))),
    Case("sql_in_text", "an injection is a text like any other", _pages(("a", "'); drop table events; --")),
         text(_paged(("a", "'); drop table events; --"))), source=_WITH_PAGE),
    Case("formulas", "what a spreadsheet would run stays as it is in the lake",
         _pages(*((f"f{number}", value) for number, value in enumerate(_FORMULAS))),
         lambda: csv_of(("id", "ts", "event", "uid", "page"),
                        [(f"f{number}", "2026-01-05", "view", "u", value) for number, value in enumerate(_FORMULAS)]),
         source=_WITH_PAGE),
]  # fmt: skip

_QUOTES = [
    Case("quoted_delimiter", "a comma within quotes", _pages(("a", "x,y")), text(_paged(("a", '"x,y"'))),
         source=_WITH_PAGE),
    Case("quoted_line_end", "a line end within quotes", _pages(("a", "x\ny"), ("b", "z")),
         text(_paged(("a", '"x\ny"'), ("b", "z"))), source=_WITH_PAGE),
    Case("quoted_crlf", "a CRLF within quotes in a file of LF", _pages(("a", "x\ny"), ("b", "z")),
         text(_paged(("a", '"x\r\ny"'), ("b", "z"))), source=_WITH_PAGE),
    Case("doubled_quotes", "a quote within quotes", _pages(("a", 'x"y')), text(_paged(("a", '"x""y"'))),
         source=_WITH_PAGE),
    Case("open_quote_at_the_end", "the last record never closes its quote: that one is refused",
         _pages(("a", "x"), ("b", "y"), quarantined=1, reasons=_BROKEN),
         text(_paged(("a", "x"), ("b", "y"), ("c", '"open'))), source=_WITH_PAGE),
    Case("text_after_quote", "a quote closes and the text goes on",
         _pages(("a", "x"), ("c", "z"), quarantined=1, reasons=_BROKEN),
         text(_paged(("a", "x"), ("b", '"y" more'), ("c", "z"))), source=_WITH_PAGE),
    Case("quote_within_text", "a quote in a text that is not quoted is a sign",
         _pages(("a", 'a 5" nail'), ("b", "z")), text(_paged(("a", 'a 5" nail'), ("b", "z"))), source=_WITH_PAGE),
    Case("quotes_off", "`quote: ''` makes every quote a sign", _pages(("a", '"x'), ("b", "z")),
         text(_paged(("a", '"x'), ("b", "z"))),
         source={**_WITH_PAGE, "format": {"type": "csv", "quote": "", "escape": ""}}),
]  # fmt: skip

_HEADERS = [
    Case("header_twice_a_name", "which of the two is the user?", Refused("uid.*more than once"),
         text("id,ts,event,uid,uid\na,2026-01-05,view,u,v\n")),
    Case("header_differs_in_case", "SQL cannot tell uid from UID", Refused("more than once"),
         text("id,ts,event,uid,UID\na,2026-01-05,view,u,v\n")),
    Case("header_empty_cell", "a column nobody named", Refused("without a name"),
         text("id,ts,event,uid,\na,2026-01-05,view,u,v\n")),
    Case("header_missing_column", "the column of the user is gone", Refused("`uid`", "failed_source"),
         text("id,ts,event,user\na,2026-01-05,view,u\n")),
    Case("header_in_the_middle", "cat a.csv b.csv", loaded("a", "b", quarantined=1, reasons=_BROKEN),
         text(good("a") + good("b"))),
    Case("header_of_sql", "column names that try to leave their quotes",
         Taken(1, columns="event_id, page", rows=[("a", "p")]),
         text('id,ts,event,uid,"x""; drop table source_rows; --"\na,2026-01-05,view,u,p\n'),
         source={"columns": {**COLUMNS, "page": 'x"; drop table source_rows; --'}}),
    Case("header_of_ours", "columns named like the pipeline's own",
         Taken(1, columns=f"{IDS}, _source = channel", rows=[("a", "u", True)]),
         text("id,ts,event,uid,_source,_batch_id,_row_hash,event_date,state,record_number,filename,raw,_file\n"
              "a,2026-01-05,view,u,x,x,1,1999-01-01,refused,99,99,x,x\n")),
    Case("header_reserved", "the names the pipeline keeps for itself", Refused("."),
         text("id,ts,event,uid,__userops_record,__userops_raw\na,2026-01-05,view,u,9,x\n")),
    Case("header_of_10_kb", "one name of ten thousand signs",
         Taken(1, columns="event_id, length(json_keys(properties)[1])", rows=[("a", 10_000)]),
         text(f"id,ts,event,uid,{'x' * 10_000}\na,2026-01-05,view,u,v\n")),
    Case("header_of_300_columns", "a table as wide as a pivot",
         Taken(1, columns="event_id, len(json_keys(properties))", rows=[("a", 300)]),
         lambda: csv_of(["id", "ts", "event", "uid", *(f"c{n}" for n in range(300))],
                        [["a", "2026-01-05", "view", "u", *(f"v{n}" for n in range(300))]])),
    Case("personal_columns", "nobody mapped them, so nothing may keep them",
         Taken(1, columns="event_id, properties", rows=[("a", None)], notes=("personal_column",)),
         text("id,ts,event,uid,手机号,email,phone_number\na,2026-01-05,view,u,13812345678,a@b.example,+8613812345678\n")),
    Case("held_file", "half of the times are unreadable: the whole file waits for a person",
         Taken(0, 40, reasons={"bad_timestamp": 20, "type_drift": 20}, notes=("held",)),
         text(HEADER + "".join(line(f"e{n}", time="2026-01-05" if n % 2 else "soon") for n in range(40)))),
]  # fmt: skip

CASES = [*_ENCODINGS, *_LINES, *_QUOTES, *_HEADERS]
