"""One table through every format, compression and encoding: the same rows reach the lake from each."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable

import duckdb
import openpyxl
import pytest
import zstandard

from userops.ingest import stage

NAMES = ("id", "ts", "event", "uid", "page")
ROWS = [
    ("12345678901234567890", "2026-01-05 10:00:00", "view", "u-1", "/a?q=浏览"),
    ("00012", "2026-01-05 23:59:59", "view", "99999999999999999999999", "plain"),
    ("x3", "2026-01-06 00:00:00", "buy", "u-2", "/中文"),
]
COLUMNS = {"event_id": "id", "event_time": "ts", "event_name": "event", "user_id": "uid", "page": "page"}


def delimited(delimiter: str, header: bool = True) -> bytes:
    rows = [NAMES, *ROWS] if header else ROWS
    return "".join(delimiter.join(f'"{value}"' for value in row) + "\n" for row in rows).encode()


def fixed() -> bytes:
    return "".join(
        "".join(value.ljust(width) for value, width in zip(row, (24, 20, 6, 24, 12), strict=True)).rstrip() + "\n"
        for row in (NAMES, *ROWS)
    ).encode()


def records() -> list[dict[str, str]]:
    return [dict(zip(NAMES, row, strict=True)) for row in ROWS]


def numeric_json(record: dict[str, str]) -> str:
    """Ids that are integers as JSON numbers, of any length."""
    return json.dumps(record, ensure_ascii=False).replace('"12345678901234567890"', "12345678901234567890")


def parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table({name: [row[place] for row in ROWS] for place, name in enumerate(NAMES)}), out)
    return out.getvalue()


def xlsx() -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (NAMES, *ROWS):
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


FORMATS: dict[str, tuple[dict[str, object], bytes]] = {
    "csv": ({"type": "csv"}, delimited(",")),
    "tsv": ({"type": "csv", "delimiter": "\t"}, delimited("\t")),
    "four characters": ({"type": "csv", "delimiter": "<=>|"}, delimited("<=>|")),
    "no header": ({"type": "csv", "header": False, "names": list(NAMES)}, delimited(",", header=False)),
    "whitespace": ({"type": "csv", "delimiter": "whitespace"}, delimited("  \t ")),
    "fixed": ({"type": "fixed", "widths": [24, 20, 6, 24, 12]}, fixed()),
    "jsonl": ({"type": "jsonl"}, "".join(numeric_json(record) + "\n" for record in records()).encode()),
    "json": ({"type": "json"}, f"[{','.join(map(numeric_json, records()))}]".encode()),
    "json records": (
        {"type": "json", "records": "$.data.rows"},
        f'{{"total": 3, "data": {{"rows": [{", ".join(map(numeric_json, records()))}]}}}}'.encode(),
    ),
    "parquet": ({"type": "parquet"}, parquet()),
    "xlsx": ({"type": "xlsx"}, xlsx()),
}


def in_a_zip(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("export", data)
    return out.getvalue()


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "none": ("", bytes),
    "gzip": (".gz", gzip.compress),
    "zstd": (".zst", zstandard.compress),
    "zip": (".zip", in_a_zip),
}
#: Every text format in every compression; other encodings with one of each kind of reader.
CASES = [(name, pack, "utf-8") for name in FORMATS for pack in PACKERS] + [
    (name, pack, encoding)
    for name, pack in (("csv", "none"), ("whitespace", "gzip"), ("fixed", "zip"), ("jsonl", "zstd"), ("json", "gzip"))
    for encoding in ("utf-8-sig", "utf-16", "gb18030", "gbk")
]


@pytest.mark.parametrize(("name", "pack", "encoding"), CASES)
def test_the_same_rows_from_every_format(instance, name, pack, encoding):
    spec, data = FORMATS[name]
    if encoding != "utf-8":
        spec = {**spec, "encoding": encoding}
        data = data.decode().encode(encoding)
    suffix, packed = PACKERS[pack]
    instance.source(files={"path": "shop", "pattern": "**/*"}, format=spec, columns=COLUMNS)
    path = instance.landing / "shop" / f"export{suffix or '.txt'}"
    path.write_bytes(packed(data))
    report = instance.ingest()
    assert report.warnings == []
    assert (report.counts["rows_read"], report.counts["rows_loaded"]) == (3, 3), instance.quarantine()
    assert instance.lake("events", "event_id, event_time, event_name, user_id, page") == sorted(
        (key, as_utc(time), event, user, page) for key, time, event, user, page in ROWS
    )


def as_utc(local: str) -> object:
    query = f"select timezone('UTC', timezone('Asia/Shanghai', timestamp '{local}'))"
    return duckdb.sql(query).fetchall()[0][0]


def test_paths_into_nested_records_and_folder_keys(instance):
    instance.source(
        files={"path": "shop", "pattern": "dt=*/*.jsonl"},
        format={"type": "jsonl"},
        columns={
            "event_id": {"path": "$.message.id"},
            "event_time": {"expr": "dt || ' 12:00:00'"},
            "event_name": "event",
            "user_id": {"path": "$.context.user.id"},
        },
        ignore=["message", "context"],
    )
    record = {"event": "view", "message": {"id": 12345678901234567890}, "context": {"user": {"id": "u"}}}
    instance.land_json("shop/dt=2026-01-05/a.jsonl", record)
    instance.ingest()
    assert instance.lake("events", "event_id, user_id, event_date::varchar") == [
        ("12345678901234567890", "u", "2026-01-05")
    ]


@pytest.mark.parametrize("uid", [{"column": "uid"}, {"path": "$.u.id"}, {"expr": "lower(uid)"}])
@pytest.mark.parametrize("worth", [0, 1 << 60])
def test_an_id_written_as_a_float_in_json(instance, monkeypatch, uid, worth):
    monkeypatch.setattr(stage, "_WORTH_ONE_PASS", worth)
    instance.source(
        files={"path": "shop", "pattern": "*.jsonl"},
        format={"type": "jsonl"},
        columns={"event_id": "id", "event_time": "ts", "event_name": "event", "user_id": uid},
        new_columns="drop",
        type_drift={"share": 1.0},
    )
    lost = ["1e21", "-1e21", "1e16", "12345678901234567.0", "1.5e300"]
    kept = {"13085.0": "13085", "12345678901234567890123": "12345678901234567890123", '"1e21"': "1e21", '"7.5"': "7.5"}
    record = '{"id":"e%d","ts":"2026-01-05 10:00:00","event":"view","uid":%s,"u":{"id":%s}}\n'
    values = [*lost, *kept]
    instance.land("shop/a.jsonl", "".join(record % (place, text, text) for place, text in enumerate(values)))
    instance.ingest()
    assert {row for (row,) in instance.lake("events", "user_id")} == set(kept.values())
    assert instance.quarantine("events", "record_number, string_split(reason_code, ';')[1]") == [
        (number, "id_digits_lost") for number in range(1, len(lost) + 1)
    ]
