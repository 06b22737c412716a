"""Hostile JSON: lines and documents that are almost JSON, or more JSON than anyone asked for."""

from __future__ import annotations

import json
from typing import Any

from .corpus import COLUMNS, IDS, Case, Fate, Refused, Taken, good, loaded, text

_LINES = {"files": {"pattern": "*.jsonl"}, "format": {"type": "jsonl"}}
_DOCUMENT = {"files": {"pattern": "*.json"}, "format": {"type": "json"}}
_BROKEN = {"broken_line": 1}


def _record(name: str, extra: str = "", **fields: Any) -> str:
    """One record as JSON text; `extra` is put in as it is."""
    document = {"id": name, "ts": "2026-01-05 10:00:00", "event": "view", "uid": "u", **fields}
    body = json.dumps(document, ensure_ascii=False)
    return f"{body[:-1]}, {extra}}}" if extra else body


def _lines(name: str, why: str, lines: list[str], fate: Fate, **source: Any) -> Case:
    """A file of these lines between the good records `a` and `z`."""
    content = "".join(f"{item}\n" for item in (_record("a"), *lines, _record("z")))
    return Case(
        name,
        why,
        fate,
        lambda: content.encode("utf-8", "surrogatepass"),
        file="events_1.jsonl",
        source={**_LINES, **source},
    )


def _document(name: str, why: str, content: str, fate: Fate, **source: Any) -> Case:
    return Case(name, why, fate, text(content), file="events_1.json", source={**_DOCUMENT, **source})


def _around(*names: str, **changes: Any) -> Taken:
    return loaded("a", *names, "z", **changes)


_ONE_REFUSED = _around(quarantined=1, reasons=_BROKEN)
_VALUE = {**COLUMNS, "value": "x"}
_OBJECT = {**COLUMNS, "object_id": "x"}

_OF_LINES = [
    _lines("jsonl_array", "an array where an object should be", [f"[{_record('b')}]"], _ONE_REFUSED),
    _lines("jsonl_scalars", "values, but no objects", ["1", '"text"', "null", "true", "-1.5e3"],
           _around(quarantined=5, reasons={"broken_line": 5})),
    _lines("jsonl_two_on_a_line", "two records without a line end between them",
           [_record("b") + _record("c")], _ONE_REFUSED),
    _lines("jsonl_cut", "a record cut off", [_record("b")[:-9]], _ONE_REFUSED),
    _lines("jsonl_rubbish", "a line of a log that got in", ["2026-01-05 INFO exporting", "}{", "{id: 1}", "{'id': 1}"],
           _around(quarantined=4, reasons={"broken_line": 4}, raws=("2026-01-05 INFO exporting",))),
    _lines("jsonl_commas_at_the_end", "a list of JSON objects, one a line, with a comma each", [_record("b") + ","],
           _ONE_REFUSED),
    _lines("jsonl_deep", "ten thousand brackets", [_record("b", f'"x": {"[" * 10_000}{"]" * 10_000}')],
           _around("b"), ignore=["x"]),
    _lines("jsonl_very_deep_kept", "a hundred thousand brackets in a key nobody mapped",
           [_record("b", f'"x": {"[" * 100_000}{"]" * 100_000}')],
           Taken(3, columns="event_id, length(properties)", rows=[("a", None), ("b", 200_006), ("z", None)])),
    _lines("jsonl_deep_objects", "a thousand objects in each other",
           [_record("b", '"x": ' + '{"k":' * 1000 + "1" + "}" * 1000)],
           _around("b"), ignore=["x"]),
    _lines("jsonl_duplicate_keys", "one key, two values: nobody knows which one counts",
           [_record("b", '"uid": "other"')], _ONE_REFUSED),
    _lines("jsonl_not_a_number", "NaN is no JSON number; as money it is nothing that could be added",
           [_record("b", '"x": NaN'), _record("c", '"x": Infinity'), _record("d", '"x": -Infinity')],
           Taken(2, 3, columns=IDS), columns=_VALUE),
    _lines("jsonl_too_large", "1e400 is beyond every number", [_record("b", '"x": 1e400')],
           _around(quarantined=1, reasons={"bad_type": 1}), columns=_VALUE),
    _lines("jsonl_long_ids", "ids of 20 and 40 digits, as numbers",
           [_record("b", f'"x": {"12345678901234567890"}'), _record("c", f'"x": {"9" * 40}'),
            _record("d", '"x": 9007199254740993')],
           Taken(5, columns="event_id, object_id", rows=[
               ("a", None), ("b", "12345678901234567890"), ("c", "9" * 40), ("d", "9007199254740993"), ("z", None)]),
           columns=_OBJECT),
    _lines("jsonl_long_numbers_kept", "the same in a key nobody mapped, and a decimal",
           [_record("b", '"n": 12345678901234567890, "d": 0.1234567890123456')],
           Taken(3, columns="event_id, properties", rows=[
               ("a", None), ("b", '{"d":0.1234567890123456,"n":12345678901234567890}'), ("z", None)])),
    _lines("jsonl_lone_surrogates", "half an emoji", [_record("b", r'"x": "\ud83d"')], _ONE_REFUSED),
    _lines("jsonl_nul_escape", "a NUL, escaped", [_record("b", r'"x": "p\u0000q"')], _ONE_REFUSED, columns=_OBJECT),
    _lines("jsonl_nul_byte", "a NUL, as it is", [_record("b").replace("view", "vi\0ew")], _ONE_REFUSED),
    _lines("jsonl_raw_control", "a tab within a text must be escaped in JSON", [_record("b").replace("view", "vi\tew")],
           _ONE_REFUSED),
    _lines("jsonl_invalid_utf8", "an encoded surrogate", [_record("b", uid="\ud800")], _ONE_REFUSED),
    _lines("jsonl_sql_key", "a key that tries to leave its quotes",
           [_record("b", r'''"\"; drop table source_rows; --": "x"''')],
           Taken(3, columns="event_id, object_id", rows=[("a", None), ("b", "x"), ("z", None)]),
           columns={**COLUMNS, "object_id": '"; drop table source_rows; --'}),
    _lines("jsonl_sql_key_kept", "the same in a key nobody mapped", [_record("b", '''"'); drop table t; --": "x"''')],
           Taken(3, columns="event_id, properties", rows=[
               ("a", None), ("b", '''{"'); drop table t; --":"x"}'''), ("z", None)])),
    _lines("jsonl_path_signs", "keys that read like JSON paths",
           [_record("b", '"$.uid": "x", "a.b": "y", "/uid": "w"')],
           Taken(3, columns=f"{IDS}, properties", rows=[
               ("a", "u", None), ("b", "u", '{"$.uid":"x","/uid":"w","a.b":"y"}'), ("z", "u", None)])),
    _lines("jsonl_key_of_10_kb", "a key of ten thousand signs", [_record("b", f'"{"k" * 10_000}": 1')],
           Taken(3, columns="event_id, length(properties)", rows=[("a", None), ("b", 10_006), ("z", None)])),
    _lines("jsonl_5000_keys", "every record with keys of its own",
           [_record(f"r{n}", ", ".join(f'"k{n}_{m}": {m}' for m in range(50))) for n in range(100)],
           Taken(102, columns="sum(len(json_keys(properties)))", rows=[(5000,)])),
    _lines("jsonl_keys_differ_in_case", "JSON tells Uid from uid", [_record("b", '"Uid": "other", "UID": "third"')],
           _around("b")),
    _lines("jsonl_keys_of_ours", "keys named like the pipeline's own",
           [_record("b", '"__userops_record": 9, "_file": "x", "_source": "x", "_row_hash": 1, "event_date": "1999"')],
           Taken(3, columns=f"{IDS}, _source = channel", rows=[(name, "u", True) for name in "abz"])),
    _lines("jsonl_empty_objects", "records without a word", ["{}", "{ }"],
           _around(quarantined=2, reasons={"missing_required; missing_required; missing_one_of": 2})),
    _lines("jsonl_object_as_id", "a structure where an id should be is taken as its text",
           [_record("b", uid={"id": 7}), _record("c", uid=[7])],
           Taken(4, rows=[("a", "u"), ("b", '{"id":7}'), ("c", "[7]"), ("z", "u")])),
    _lines("jsonl_boolean_as_id", "true is nobody's id", [_record("b", uid=True)], Taken(3, columns=IDS)),
    _lines("jsonl_float_ids", "what pandas makes of an integer column", [_record("b", uid=13085.0)],
           Taken(3, rows=[("a", "u"), ("b", "13085"), ("z", "u")])),
    _lines("jsonl_blank_lines", "lines without a record", ["", "   ", "\t"], _around()),
    _lines("jsonl_separators", "U+2028 within a text ends no line", [_record("b", page="x\u2028y")],
           Taken(3, columns="event_id, page", rows=[("a", None), ("b", "x\u2028y"), ("z", None)]),
           columns={**COLUMNS, "page": "page"}),
    Case("jsonl_with_mark", "a byte-order mark before the first brace", loaded("a"),
         text("\ufeff" + _record("a") + "\n"), file="events_1.jsonl", source=_LINES),
    Case("jsonl_mark_in_the_middle", "cat a.jsonl b.jsonl, each with a mark", loaded("a", "b"),
         text("\ufeff" + _record("a") + "\n\ufeff" + _record("b") + "\n"), file="events_1.jsonl", source=_LINES),
    Case("jsonl_crlf", "JSON lines of Windows", loaded("a", "b"), text(f"{_record('a')}\r\n{_record('b')}\r\n"),
         file="events_1.jsonl", source=_LINES),
    Case("jsonl_returns_only", "JSON lines of an old Mac", loaded("a", "b"),
         text(f"{_record('a')}\r{_record('b')}\r"), file="events_1.jsonl", source=_LINES),
    Case("jsonl_that_is_a_document", "a pretty-printed array where lines are stated",
         Taken(0, 14), text(json.dumps([json.loads(_record(name)) for name in "ab"], indent=1)),
         file="events_1.jsonl", source=_LINES),
    Case("jsonl_that_is_csv", "the wrong file in the folder", Taken(0, 2, reasons={"broken_line": 2}),
         text(good("a")), file="events_1.jsonl", source=_LINES),
]  # fmt: skip

_OF_DOCUMENTS = [
    _document("json_array", "the plain case, over several lines", json.dumps([json.loads(_record("a"))], indent=2),
              loaded("a")),
    _document("json_array_cut", "an upload that broke off", f"[{_record('a')},{_record('b')}"[:-5], Refused("JSON")),
    _document("json_array_empty", "a day without rows", "[]", Taken(0)),
    _document("json_null", "no data, said in JSON", "null", Refused("JSON|array")),
    _document("json_scalar", "a number is no export", "42", Refused("JSON|array")),
    _document("json_mixed_array", "objects and other things",
              f"[{_record('a')}, 1, null, \"x\", [], {_record('b')}]", loaded("a", "b", quarantined=4,
                                                                              reasons={"broken_line": 4})),
    _document("json_long_ids", "ids of 20 digits, as numbers", f"[{_record('a')[:-1]}, \"x\": 12345678901234567890}}]",
              Taken(1, columns="object_id", rows=[("12345678901234567890",)]), columns=_OBJECT),
    _document("json_garbage_after", "a document and something behind it", f"[{_record('a')}] trailing",
              Refused("JSON")),
    _document("json_two_documents", "two arrays one after another", f"[{_record('a')}][{_record('b')}]",
              Refused("JSON")),
    _document("json_error_page", "the exporter saved the server's error",
              "<!DOCTYPE html><html><body>502 Bad Gateway</body></html>", Refused("JSON")),
    _document("json_error_object", "the exporter saved the API's error", '{"error": "rate limited"}', Refused("."),
              format={"type": "json", "records": "$.data"}),
    _document("json_records_elsewhere", "the array lies two levels down",
              '{"meta": {"n": 1}, "data": {"rows": [' + _record("a") + "]}}", loaded("a"),
              format={"type": "json", "records": "$.data.rows"}),
    _document("json_deep", "ten thousand brackets: an array with one element, which is no object",
              "[" * 10_000 + "]" * 10_000, Taken(0, 1, reasons=_BROKEN)),
    _document("json_mark", "a byte-order mark before the bracket", f"\ufeff[{_record('a')}]", loaded("a")),
    Case("json_utf16", "a document in UTF-16", loaded("表"), text(f"[{_record('表')}]", "utf-16"),
         file="events_1.json", source={**_DOCUMENT, "format": {"type": "json", "encoding": "utf-16"}}),
]  # fmt: skip

CASES = [*_OF_LINES, *_OF_DOCUMENTS]
