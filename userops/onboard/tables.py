"""A sample of a file as a table of texts: which format, encoding and delimiter, which columns, which rows."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import charset_normalizer
import fastexcel
import pyarrow as pa
import pyarrow.parquet as pq

from userops.errors import SourceFileError
from userops.ingest.sources import WHITESPACE
from userops.onboard.sampling import Piece, Sampled, sample_file, unpacked_file
from userops.onboard.vocabulary import vocabulary

MOST_ROWS = 20_000
_JSON_DEPTH = 3
_DELIMITERS = (",", "\t", ";", "|", "\x01", "^", "~", "||", "::", "|~|")
_SNIFFED_LINES = 200
#: Lines above a header: titles and dates of reports.
_MOST_SKIPPED = 10
#: Share of the lines that must have the same number of fields for a delimiter to be believed.
_AGREEMENT = 0.8
_PLAIN_KEY = re.compile(r"\w+")
_VALUE_LIKE = re.compile(r"[-+(]?[¥￥$€£]?\s?\d[\d.,:/T Z+-]*\)?%?")


@dataclass
class Table:
    """The sample of one file.

    Attributes:
        format: keys of the source YAML's `format` that are not the default.
        columns: names as the YAML must write them; a nested JSON field as a JSON path.
        rows: values as texts, None where there is nothing, in the order of `columns`.
        native: what a typed file says of its columns: text, integer, float, decimal, time, time_with_zone, date,
            boolean, object, list.
        checks: what could not be decided, as sentences for a `# CHECK:` comment, by key of `format`.
        looked_at_all: whether the sample is the whole file.
    """

    format: dict[str, Any]
    columns: list[str]
    rows: list[list[str | None]]
    native: dict[str, str] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)
    looked_at_all: bool = False

    def values(self, column: str) -> list[str | None]:
        """Return the sampled values of one column."""
        place = self.columns.index(column)
        return [row[place] for row in self.rows]


def read_table(path: Path) -> Table:
    """Sample `path` and find out how it is to be read.

    Raises:
        SourceFileError: it cannot be read, is empty, or has no shape that is known.
    """
    sampled = sample_file(path)
    if not sampled.head.strip(b"\x00 \r\n\t\xef\xbb\xbf\xff\xfe"):
        raise SourceFileError(str(path), "an empty file", "a file with rows", "take a file of a usual day")
    if sampled.head.startswith(b"PAR1"):
        table = _parquet(path)
    elif sampled.head.startswith(b"PK\x03\x04"):
        table = _workbook(path)
    elif sampled.head.startswith(b"\xd0\xcf\x11\xe0"):
        raise SourceFileError(str(path), "an old Excel workbook (.xls)", "xlsx, csv, jsonl, json or parquet",
                              "open it and save it as .xlsx or as CSV UTF-8")  # fmt: skip
    else:
        table = _text(path, sampled)
    if sampled.member and sampled.members > 1:
        table.format["member"] = _member_pattern(sampled.member)
        table.checks["member"] = f"the archive holds {sampled.members} files; the largest one was looked at"
    if not table.columns or not table.rows:
        raise SourceFileError(str(path), "no rows", "a header and rows, or records", "take a file of a usual day")
    return table


def _member_pattern(member: str) -> str:
    return re.sub(r"\d{4,}", "*", re.sub(r"\d{4}[-_]\d{2}[-_]\d{2}", "*", member))


# Text


def _text(path: Path, sampled: Sampled) -> Table:
    encoding, check = detect_encoding(sampled.pieces)
    if _is_binary(sampled.head, encoding):
        raise SourceFileError(
            str(path), "bytes that are no text", "csv, jsonl, json, parquet or xlsx",
            "export the data in one of these formats",
        )  # fmt: skip
    texts = [_decoded(piece, encoding) for piece in sampled.pieces]
    head = texts[0].lstrip("\ufeff")
    start = head.lstrip()
    if start.startswith("["):
        table = _json(head)
    elif start.startswith("{"):
        table = _json_lines(texts) if _is_json(start.split("\n", 1)[0]) else _json(head)
    else:
        table = _delimited(texts)
    if encoding != "utf-8":
        table.format["encoding"] = encoding
    if check:
        table.checks["encoding"] = check
    single = len(sampled.pieces) == 1 and sampled.pieces[0].at_end
    table.looked_at_all = single and len(table.rows) < MOST_ROWS - 1
    return table


def detect_encoding(pieces: Sequence[Piece]) -> tuple[str, str]:
    """Return the encoding of a text and, where it is a guess, why it should be checked."""
    head = pieces[0].data
    if head.startswith(b"\xef\xbb\xbf"):
        return "utf-8", ""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", ""
    nulls = (head[:4096:2].count(0), head[1:4096:2].count(0))
    if max(nulls) > len(head[:4096]) // 8:
        return ("utf-16-le" if nulls[1] > nulls[0] else "utf-16-be"), "UTF-16 without a byte order mark"
    whole_lines = [_whole_lines(piece) for piece in pieces]
    if all(_decodes(data, "utf-8") for data in whole_lines):
        return "utf-8", ""
    odd = b"\n".join(line for data in whole_lines for line in data.split(b"\n") if not line.isascii())[: 256 << 10]
    share = _common_chinese_share(odd)
    if share > 0.8 and _decodes(odd, "gb18030"):
        return "gb18030", ""
    if _mostly_utf8(odd):
        return "utf-8", "some bytes are not UTF-8; the lines they are in will be quarantined"
    best = charset_normalizer.from_bytes(odd).best()
    guess = (best.encoding if best is not None else "latin-1").replace("_", "-")
    return guess, "guessed from few characters; look at names with accents"


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _mostly_utf8(data: bytes) -> bool:
    lines = data.split(b"\n")
    return sum(_decodes(line, "utf-8") for line in lines) > 0.5 * len(lines)


def _common_chinese_share(data: bytes) -> float:
    """Share of the two-byte characters that lie where GB2312 has its signs and characters."""
    pairs = common = place = 0
    while place < len(data) - 1:
        if data[place] < 0x80:
            place += 1
            continue
        pairs += 1
        common += 0xA1 <= data[place] <= 0xF7 and data[place + 1] >= 0xA1
        place += 2
    return common / pairs if pairs else 0.0


def _whole_lines(piece: Piece) -> bytes:
    """The lines of a piece that are whole: the bytes at its edges can be parts of a character."""
    data = piece.data
    if not piece.at_start:
        data = data.partition(b"\n")[2]
    if not piece.at_end:
        data = data.rpartition(b"\n")[0] if b"\n" in data else data[: len(data) // 2]
    return data


def _decoded(piece: Piece, encoding: str) -> str:
    text = piece.data.decode(encoding, errors="replace") if piece.at_start or "16" not in encoding else (
        piece.data.decode("utf-16-be" if encoding.endswith("be") else "utf-16-le", errors="replace")
    )  # fmt: skip
    if not piece.at_start:
        text = text.partition("\n")[2]
    if not piece.at_end:
        text = text.rpartition("\n")[0] if "\n" in text else text
    return text


def _delimited(texts: list[str]) -> Table:
    head = texts[0].lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    # A quoted field may hold line ends: the csv reader cuts records, not lines.
    lines = [line for line in head.split("\n")[: _SNIFFED_LINES + 1] if line.strip()][:_SNIFFED_LINES]
    delimiter, quote = _delimiter(lines)
    spec: dict[str, Any] = {"type": "csv"}
    if delimiter is None:
        widths = _fixed_columns(lines)
        if widths:
            return _fixed(lines, texts, widths)
        delimiter = ","
    if delimiter != ",":
        spec["delimiter"] = delimiter
    if quote != '"':
        spec["quote"] = quote
    records = list(_records(head, delimiter, quote, limit=MOST_ROWS))
    width = Counter(len(record) for record in records[:_SNIFFED_LINES]).most_common(1)[0][0]
    skipped = next((place for place, record in enumerate(records) if len(record) == width), 0)
    if skipped:
        spec["skip_lines"] = skipped
    records = records[skipped:]
    header = _is_header(records)
    checks: dict[str, str] = {}
    if header:
        names = [name.strip() for name in records[0]]
        records = records[1:]
    else:
        names = [f"column_{place}" for place in range(1, width + 1)]
        spec["header"] = False
        spec["names"] = names
        checks["names"] = "the file has no header: name the columns"
    repeated = len({name.lower() for name in names}) != len(names) or "" in names
    if header and repeated:
        names = _unique_names(names)
        spec |= {"header": False, "skip_lines": skipped + 1, "names": names}
        checks["names"] = "the header repeats a name or leaves one out: it is skipped and these names are used"
    share = max(1, MOST_ROWS // len(texts))
    rows = [record for record in records[: MOST_ROWS - share * (len(texts) - 1)] if len(record) == width]
    for text in texts[1:]:
        plain = text.replace("\r\n", "\n").replace("\r", "\n")
        rows += [record for record in _records(plain, delimiter, quote, limit=share) if len(record) == width]
    return Table(spec, names, [[_text_or_none(cell) for cell in row] for row in rows], checks=checks)


def _text_or_none(cell: str) -> str | None:
    return cell.strip(" \t\r\n\u00a0\u3000") or None


def _unique_names(names: list[str]) -> list[str]:
    seen: set[str] = set()
    unique = []
    for place, name in enumerate(names, start=1):
        wanted = name or f"column_{place}"
        while wanted.lower() in seen:
            wanted = f"{wanted}_{place}"
        seen.add(wanted.lower())
        unique.append(wanted)
    return unique


def _delimiter(lines: list[str]) -> tuple[str | None, str]:
    """Return the delimiter whose field counts agree best, and the quote; None for a file without one."""
    found: list[tuple[float, int, str, str]] = []
    for delimiter in _DELIMITERS:
        if not any(delimiter in line for line in lines[:20]):
            continue
        for quote in ('"', "'"):
            agreement, skipping, width = _agreement(lines, delimiter, quote)
            quoted = sum(line.count(quote + delimiter) for line in lines[:50])
            # Empty fields look like a doubled delimiter; such a one has to be there in every line.
            enough = _AGREEMENT if len(delimiter) == 1 else 0.99
            if width > 1 and skipping >= enough and (quote == '"' or quoted > len(lines[:50])):
                found.append((round(agreement, 2), width, delimiter, quote))
    longest = [item for item in found if not any(item[2] != other[2] and item[2] in other[2] for other in found)]
    best = max(longest, key=lambda item: item[:2], default=None)
    spaced = Counter(len(line.split()) for line in lines)
    width, agreeing = spaced.most_common(1)[0] if spaced else (0, 0)
    if best is None and width > 1 and agreeing >= _AGREEMENT * len(lines) and not _fixed_columns(lines):
        return WHITESPACE, '"'
    return (best[2], best[3]) if best else (None, '"')


def _agreement(lines: list[str], delimiter: str, quote: str) -> tuple[float, float, int]:
    """Share of the records that have the usual number of fields: of all, and from the first such one on; the number."""
    widths = [len(record) for record in _records("\n".join(lines), delimiter, quote, len(lines))]
    if not widths:
        return 0.0, 0.0, 0
    usual = Counter(widths).most_common(1)[0][0]
    first = widths.index(usual)
    table = widths[first:] if first <= _MOST_SKIPPED else widths
    return widths.count(usual) / len(widths), table.count(usual) / len(table), usual


def _records(text: str, delimiter: str, quote: str, limit: int) -> Iterator[list[str]]:
    if delimiter == WHITESPACE:
        rows: Iterator[list[str]] = (line.split() for line in text.split("\n") if line.strip())
    elif len(delimiter) > 1:
        rows = ([cell.strip(quote) for cell in line.split(delimiter)] for line in text.split("\n") if line.strip())
    else:
        csv.field_size_limit(16 << 20)
        lines = (line for line in text.splitlines(keepends=True))
        rows = (record for record in csv.reader(lines, delimiter=delimiter, quotechar=quote) if record)
    try:
        for number, record in enumerate(rows):
            if number >= limit:
                return
            yield record
    except csv.Error:
        return


def _is_header(records: list[list[str]]) -> bool:
    """A first record of names: hardly any like a value, and known words or values of another kind below."""
    if not records:
        return True
    first = [cell.strip() for cell in records[0]]
    like_values = sum(_VALUE_LIKE.fullmatch(cell) is not None for cell in first)
    known = sum(vocabulary().knows(cell) for cell in first)
    if like_values and (known < 2 or like_values > known):
        return False
    if known:
        return True
    below = records[1 : _SNIFFED_LINES + 1]
    if not below:
        return True
    for place in range(len(first)):
        values = [record[place].strip() for record in below if len(record) > place and record[place].strip()]
        if values and sum(bool(_VALUE_LIKE.fullmatch(value)) for value in values) > 0.8 * len(values):
            return True
    return first[0] not in {record[0].strip() for record in below if record} and all(first)


def _fixed_columns(lines: list[str]) -> list[int]:
    """Widths of columns that blanks keep apart in every line at the same places; empty when there are none."""
    if len(lines) < 3:
        return []
    longest = max(len(line) for line in lines)
    if longest < 4 or min(len(line.rstrip()) for line in lines) < longest // 2:
        return []
    blank = [all(place >= len(line) or line[place] == " " for line in lines) for place in range(longest)]
    starts = [place for place in range(longest) if not blank[place] and (place == 0 or blank[place - 1])]
    split_by_blanks = {len(line.split()) for line in lines}
    if len(starts) < 2 or split_by_blanks == {len(starts)}:
        return []
    edges = [0, *starts[1:], longest]
    return [right - left for left, right in pairwise(edges)]


def _fixed(lines: list[str], texts: list[str], widths: list[int]) -> Table:
    edges = [sum(widths[:place]) for place in range(len(widths) + 1)]

    def cut(line: str) -> list[str]:
        return [line[left:right].strip() for left, right in pairwise(edges)]

    header = _is_header([cut(line) for line in lines])
    names = _unique_names(cut(lines[0])) if header else [f"column_{place}" for place in range(1, len(widths) + 1)]
    spec: dict[str, Any] = {"type": "fixed", "widths": widths}
    checks = {"widths": "measured from the spaces in the first lines; compare with the layout of the export"}
    if not header:
        spec |= {"header": False, "names": names}
        checks["names"] = "the file has no header: name the columns"
    rows = [cut(line) for text in texts for line in text.splitlines() if line.strip()][header : MOST_ROWS + header]
    return Table(spec, names, [[_text_or_none(cell) for cell in row] for row in rows], checks=checks)


def _is_binary(head: bytes, encoding: str) -> bool:
    """Whether one sign in fifty is a control character no text has (\x01 and \x1f can be delimiters)."""
    start = head[:4096]
    odd = sum(byte < 0x20 and byte not in b"\t\n\r\x01\x1b\x1f" for byte in start)
    return "16" not in encoding and odd > len(start) / 50


# JSON


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _loads(text: str) -> Any:
    """Numbers stay as they are written: ids of 20 digits and amounts alike."""
    return json.loads(text, parse_int=_Number, parse_float=_Number)


class _Number(str):
    """The digits of a JSON number."""

    __slots__ = ()


def _json_lines(texts: list[str]) -> Table:
    share = max(1, MOST_ROWS // len(texts))
    records = []
    for text in texts:
        for number, line in enumerate(text.splitlines()):
            if number >= share:
                break
            try:
                record = _loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                records.append(record)
    return _flattened({"type": "jsonl"}, records)


def _json(text: str) -> Table:
    spec: dict[str, Any] = {"type": "json"}
    start = text.find("[")
    if text.lstrip().startswith("{"):
        key = re.search(r'"((?:[^"\\]|\\.)+)"\s*:\s*\[\s*\{', text)
        if key is None:
            raise SourceFileError(
                "the JSON document", "no list of records in it", "a JSON array, or one record per line",
                "export an array, or JSON lines",
            )  # fmt: skip
        start = text.index("[", key.end(1))
        path = _path_above(text[: key.start()], key[1])
        spec["records"] = path
    decoder = json.JSONDecoder(parse_int=_Number, parse_float=_Number)
    records: list[dict[str, Any]] = []
    place = start + 1
    while len(records) < MOST_ROWS:
        place = next((at for at in range(place, len(text)) if text[at] not in " \t\r\n,"), len(text))
        try:
            record, place = decoder.raw_decode(text, place)
        except (ValueError, IndexError):
            break
        if isinstance(record, dict):
            records.append(record)
    return _flattened(spec, records)


def _path_above(text: str, key: str) -> str:
    """JSON path of `key`, given the text of the document before it."""
    stack: list[str] = []
    for match in re.finditer(r'"((?:[^"\\]|\\.)*)"\s*:\s*\{|"(?:[^"\\]|\\.)*"|[{}]', text):
        if match[0] == "}":
            stack = stack[:-1]
        elif match[0] == "{":
            stack = [*stack, ""]
        elif match[1] is not None:
            stack = [*stack, match[1]]
    return json_path([*(part for part in stack if part), key])


def json_path(keys: Sequence[str]) -> str:
    """Return keys as a JSON path; those with other characters in double quotes."""
    return "$" + "".join(f".{key}" if _PLAIN_KEY.fullmatch(key) else f'."{key}"' for key in keys)


def _flattened(spec: dict[str, Any], records: list[dict[str, Any]]) -> Table:
    paths: dict[tuple[str, ...], Counter[str]] = {}

    def visit(record: dict[str, Any], prefix: tuple[str, ...]) -> None:
        for key, value in record.items():
            path = (*prefix, key)
            if value is None:
                paths.setdefault(path, Counter())
                continue
            paths.setdefault(path, Counter())[_json_kind(value)] += 1
            if isinstance(value, dict) and len(path) < _JSON_DEPTH:
                visit(value, path)

    for record in records[:2000]:
        visit(record, ())
    # A key that a JSON path cannot say (double quotes in it) is left to `properties`.
    usable = [path for path in paths if all('"' not in key for key in path)]
    names = [path[0] if len(path) == 1 else json_path(path) for path in usable]
    native = {
        name: kinds.most_common(1)[0][0]
        for name, path in zip(names, usable, strict=True)
        if (kinds := paths[path]) and kinds.most_common(1)[0][0] in ("object", "list", "boolean")
    }
    rows = [[_json_text(_lookup(record, path)) for path in usable] for record in records]
    return Table(spec, names, rows, native=native)


def _json_kind(value: Any) -> str:
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "list"
    return "boolean" if isinstance(value, bool) else "text"


def _lookup(record: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(record, dict):
            return None
        record = record.get(key)
    return record


def _json_text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return _text_or_none(str(value))


# Parquet and workbooks


def _parquet(path: Path) -> Table:
    try:
        return _parquet_sample(path)
    except pa.ArrowException as error:
        raise SourceFileError(
            str(path), f"a parquet file that cannot be read ({type(error).__name__})", "a whole parquet file",
            "export or copy the file again",
        ) from None  # fmt: skip


def _parquet_sample(path: Path) -> Table:
    with unpacked_file(path) as plain, pq.ParquetFile(plain) as file:
        groups = file.metadata.num_row_groups
        chosen = sorted({0, groups // 2, groups - 1}) if groups else []
        per_group = MOST_ROWS // max(1, len(chosen))
        batches = []
        for group in chosen:
            rows = 0
            for batch in file.iter_batches(batch_size=5000, row_groups=[group]):
                batches.append(batch)
                rows += batch.num_rows
                if rows >= per_group:
                    break
        schema = file.schema_arrow
        whole = sum(batch.num_rows for batch in batches) == file.metadata.num_rows
    native = {item.name: _arrow_kind(item.type) for item in schema}
    columns = [
        [_arrow_text(value) for batch in batches for value in batch.column(place).to_pylist()]
        for place in range(len(schema.names))
    ]
    rows_out = [list(row) for row in zip(*columns, strict=True)]
    return Table({"type": "parquet"}, list(schema.names), rows_out, native=native, looked_at_all=whole)


def _arrow_kind(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "time_with_zone" if kind.tz else "time"
    for name, test in (
        ("date", pa.types.is_date), ("boolean", pa.types.is_boolean), ("integer", pa.types.is_integer),
        ("float", pa.types.is_floating), ("decimal", pa.types.is_decimal),
        ("object", pa.types.is_struct), ("object", pa.types.is_map), ("list", pa.types.is_list),
    ):  # fmt: skip
        if test(kind):
            return name
    if pa.types.is_dictionary(kind):
        return _arrow_kind(kind.value_type)
    return "text"


def _arrow_text(value: Any) -> str | None:
    if value is None or value != value:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, Decimal):
        return format(value, "f")
    return _text_or_none(str(value))


def _workbook(path: Path) -> Table:
    spec: dict[str, Any] = {"type": "xlsx"}
    checks: dict[str, str] = {}
    with unpacked_file(path) as plain:
        try:
            book = fastexcel.read_excel(plain)
            sheets = book.sheet_names
            frame = book.load_sheet(0, header_row=None, n_rows=MOST_ROWS, dtypes="string").to_arrow()
        except fastexcel.FastExcelError as error:
            raise SourceFileError(
                str(path), f"a workbook that cannot be read ({type(error).__name__})", "an xlsx workbook",
                "open it and save it again",
            ) from None  # fmt: skip
    records = [[cell or "" for cell in row.values()] for row in frame.to_pylist()]
    filled = [sum(bool(cell.strip()) for cell in record) for record in records]
    width = Counter(filled[:_SNIFFED_LINES]).most_common(1)[0][0] if filled else 0
    skipped = next((place for place, count in enumerate(filled) if count >= width), 0)
    if skipped:
        spec["skip_lines"] = skipped
    if len(sheets) > 1:
        spec["sheet"] = sheets[0]
        checks["sheet"] = f"the workbook has {len(sheets)} sheets; the first one was looked at"
    header = _is_header(records[skipped:])
    count = len(records[0]) if records else 0
    names = _unique_names([cell.strip() for cell in records[skipped]]) if header else [
        f"column_{place}" for place in range(1, count + 1)
    ]  # fmt: skip
    if not header:
        spec |= {"header": False, "names": names}
        checks["names"] = "the sheet has no header: name the columns"
    body = records[skipped + header :]
    return Table(spec, names, [[_text_or_none(cell) for cell in row] for row in body], checks=checks,
                 looked_at_all=len(records) < MOST_ROWS)  # fmt: skip
