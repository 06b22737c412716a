"""How a file is to be read, found out from samples of it."""

from __future__ import annotations

import gzip
import io
import json
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from userops.errors import SourceFileError
from userops.onboard import sampling
from userops.onboard.tables import read_table

ROWS = [("u1", "2024-01-05 10:00:00", "pay", "1.5"), ("u2", "2024-01-06 11:00:00", "view", "2"),
        ("u3", "2024-01-07 12:00:00", "view", "30")]  # fmt: skip
HEADER = ("user_id", "time", "event", "amount")


def text(delimiter: str = ",", header: bool = True, rows=ROWS) -> str:
    lines = [HEADER, *rows] if header else list(rows)
    return "".join(delimiter.join(line) + "\n" for line in lines)


def table_of(tmp_path, data: bytes | str, name: str = "export.csv"):
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_table(path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "\x01", "^", "||", "::"])
def test_delimiters(tmp_path, delimiter):
    # Times hold colons, so that a text must not be cut at one of them.
    table = table_of(tmp_path, text(delimiter))
    assert table.format == {"type": "csv", **({"delimiter": delimiter} if delimiter != "," else {})}
    assert tuple(table.columns) == HEADER
    assert [tuple(row) for row in table.rows] == ROWS
    assert table.looked_at_all


def test_commas_in_quotes_are_no_delimiters(tmp_path):
    table = table_of(tmp_path, 'id;note\n1;"a, b; c"\n2;"d, e"\n3;"f, g"\n')
    assert table.format["delimiter"] == ";"
    assert table.values("note") == ["a, b; c", "d, e", "f, g"]


def test_runs_of_blanks(tmp_path):
    table = table_of(tmp_path, "u1   10   pay\nu22  9    view\nu3 100 view\n")
    assert table.format["delimiter"] == "whitespace"
    assert table.format["header"] is False
    assert "names" in table.checks


def test_fixed_columns(tmp_path):
    lines = ["00001 Ann Lee     Paris", "00002 Bo          Rome", "00003 Cy van Dam  New York"]
    table = table_of(tmp_path, "".join(f"{line:<30}\n" for line in lines))
    assert table.format["type"] == "fixed"
    assert table.format["widths"][0] == 6
    assert table.values(table.columns[-1]) == ["Paris", "Rome", "New York"]
    assert "widths" in table.checks


@pytest.mark.parametrize(
    ("encoding", "found"),
    [("utf-8", None), ("utf-8-sig", None), ("gb18030", "gb18030"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16-le")],
)
def test_encodings(tmp_path, encoding, found):
    rows = [("用户一", "2024-01-05", "浏览商品", "1"), ("用户二", "2024-01-06", "提交订单", "2")] * 5
    data = ("用户ID,时间,事件,数值\n" + "".join(",".join(row) + "\n" for row in rows)).encode(encoding)
    table = table_of(tmp_path, data)
    assert table.format.get("encoding") == found
    assert table.columns == ["用户ID", "时间", "事件", "数值"]
    assert table.values("事件")[0] == "浏览商品"


def test_western_text_is_not_taken_for_chinese(tmp_path):
    words = ["café au lait", "crème brûlée", "pâté maison", "bœuf", "œufs à la neige", "thé glacé", "garçon élève"]
    data = ("id,produit\n" + "".join(f"{at},{word}\n" for at, word in enumerate(words * 4))).encode("cp1252")
    table = table_of(tmp_path, data)
    assert table.format["encoding"] not in ("gb18030", "utf-8")
    assert "guessed" in table.checks["encoding"]
    assert table.values("produit")[0] == "café au lait"


@pytest.mark.parametrize("pack", [
    gzip.compress,
    lambda data: zstandard.ZstdCompressor().compress(data),
    lambda data: zipped({"export.csv": data, "__MACOSX/export.csv": b"x", ".hidden": b"y"}),
], ids=["gzip", "zstd", "zip"])  # fmt: skip
def test_packed_files(tmp_path, pack):
    table = table_of(tmp_path, pack(text().encode()), "export.bin")
    assert table.format == {"type": "csv"}
    assert [tuple(row) for row in table.rows] == ROWS


def test_an_archive_of_several_files_asks_which(tmp_path):
    data = zipped({"orders_2024-01-05.csv": text().encode(), "readme.txt": b"hello"})
    table = table_of(tmp_path, data, "export.zip")
    assert table.format["member"] == "orders_*.csv"
    assert "2 files" in table.checks["member"]


def zipped(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target.getvalue()


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress], ids=["plain", "gzip"])
def test_of_a_large_file_start_middle_and_end_are_seen(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(sampling, "HEAD_BYTES", 4096)
    monkeypatch.setattr(sampling, "PIECE_BYTES", 1024)
    lines = [f"u{number},2024-01-05 10:00:00,pay,{number}" for number in range(20_000)]
    data = ("user_id,time,event,amount\n" + "\n".join(lines) + "\n").encode()
    table = table_of(tmp_path, pack(data))
    seen = [int(value) for value in table.values("amount")]
    assert (seen[0], seen[-1]) == (0, 19_999)
    assert any(8_000 < value < 12_000 for value in seen)
    assert len(seen) < 2_000
    assert not table.looked_at_all
    assert seen == sorted(seen)  # whole lines only, none twice


@pytest.mark.parametrize(
    ("data", "header"),
    [
        (text(), True),
        (text(header=False), False),
        ("用户,城市\n张,北京\n李,上海\n", True),
        ("red,Paris\nblue,Rome\nred,Oslo\n", False),
        ("colour,place\nred,Paris\nblue,Rome\nred,Oslo\n", True),
        ("a,b\n1,2\n3,4\n", True),
    ],
)
def test_headers(tmp_path, data, header):
    table = table_of(tmp_path, data)
    assert table.format.get("header", True) is header
    assert len(table.rows) == len(data.splitlines()) - header


def test_lines_above_the_header_are_skipped(tmp_path):
    table = table_of(tmp_path, "Sales report\nJanuary 2024\n" + text())
    assert table.format["skip_lines"] == 2
    assert tuple(table.columns) == HEADER


def test_a_header_that_repeats_a_name_is_replaced(tmp_path):
    table = table_of(tmp_path, "user_id,amount,Amount\nu1,1,2\nu2,3,4\n")
    assert table.format["header"] is False
    assert table.format["names"] == ["user_id", "amount", "Amount_3"]
    assert table.format["skip_lines"] == 1
    assert len(table.rows) == 2


def test_json_lines_with_nested_fields(tmp_path):
    records = [{"id": 90071992547409930000, "user": {"id": "u1", "$os": "iOS"}, "tags": [1], "ok": True}] * 3
    table = table_of(tmp_path, "".join(json.dumps(record) + "\n" for record in records), "e.jsonl")
    assert table.format == {"type": "jsonl"}
    assert table.columns == ["id", "user", "$.user.id", '$.user."$os"', "tags", "ok"]
    assert table.values("id")[0] == "90071992547409930000"
    assert table.values('$.user."$os"')[0] == "iOS"
    assert table.native == {"user": "object", "tags": "list", "ok": "boolean"}


@pytest.mark.parametrize(
    ("document", "records"),
    [
        ([{"id": 1}, {"id": 2}], None),
        ({"meta": {"page": 1}, "data": {"orders": [{"id": 1}, {"id": 2}]}}, "$.data.orders"),
        ({"orders": [{"id": 1}, {"id": 2}]}, "$.orders"),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_json_documents(tmp_path, document, records, indent):
    table = table_of(tmp_path, json.dumps(document, indent=indent), "e.json")
    if records is not None and indent is None:
        # One object on one line is one record of JSON lines, and may be meant so.
        assert table.format["type"] in ("json", "jsonl")
        return
    assert table.format == {"type": "json", **({"records": records} if records else {})}
    assert table.values("id") == ["1", "2"]


def test_parquet(tmp_path):
    path = tmp_path / "e.parquet"
    columns = {"Customer ID": [13085.0, None], "n": [1, 2], "at": pa.array([0, 1], pa.timestamp("us", tz="UTC"))}
    pq.write_table(pa.table(columns), path)
    table = read_table(path)
    assert table.values("Customer ID") == ["13085.0", None]
    assert table.native == {"Customer ID": "float", "n": "integer", "at": "time_with_zone"}


def test_workbook(tmp_path, workbook):
    table = read_table(workbook([["Report"], [], ["用户ID", "金额"], ["u1", 1.5], ["u2", 2]]))
    assert table.format["type"] == "xlsx"
    assert table.columns == ["用户ID", "金额"]
    assert table.values("金额") == ["1.5", "2"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty file"),
        (b"\xef\xbb\xbf\n", "empty file"),
        (b"user_id,time\n", "no rows"),
        (b"\xd0\xcf\x11\xe0rest", "old Excel"),
        (gzip.compress(b"a,b\n1,2\n")[:-6], "cannot be read"),
        (b"PAR1 and no more", "cannot be read"),
        (b"PK\x03\x04broken", "cannot be read"),
        (bytes(range(256)) * 50, "no text|no rows|cannot"),
    ],
)
def test_unusable_files_say_so(tmp_path, data, words):
    with pytest.raises(SourceFileError, match=words):
        table_of(tmp_path, data)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(SourceFileError, match="no such file"):
        read_table(tmp_path / "nothing.csv")
