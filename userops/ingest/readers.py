"""A landing file as a DuckDB table of its records, plus the lines that are no record at all.

Three steps, so that a wrong mapping is found before a byte of data is parsed:

1. `probe_file` reads the bytes once: sha256, gzip checksum, line counts, and a plain UTF-8 copy where DuckDB needs one.
2. `source_columns` tells the names (and, in Parquet, types) of the file's columns.
3. `read_records` fills the temporary tables `source_rows` and `structural_rejects`.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import duckdb

from userops.errors import SourceFileError
from userops.ingest.sources import FILE_COLUMN, FormatSpec, Source
from userops.sqltext import identifier, literal

#: Columns the readers add to a file's own.
RECORD, LINE, RAW = "__userops_record", "__userops_line", "__userops_raw"

#: Longest line of a csv or jsonl file, in bytes; a longer one is quarantined as a broken line.
MAX_LINE_BYTES = 8 * 1024 * 1024

_CHUNK = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_UTF8_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class LandingFile:
    """A file below landing/: `relative` is its path relative to landing/, with slashes."""

    path: Path
    relative: str


@dataclass(frozen=True)
class Probe:
    """What one pass over the bytes found.

    Attributes:
        readable: the file to parse: the landing file itself, or a plain UTF-8 copy of it.
        empty: no byte of content.
        lines: physical lines of the content, the last one with or without its line end (0 for Parquet).
        newline: the line end of a csv file.
    """

    readable: Path
    empty: bool
    lines: int
    newline: str


def sha256_of(path: Path) -> str:
    """Return the sha256 of the file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def probe_file(file: LandingFile, spec: FormatSpec, spool: Path) -> Probe:
    """Read the whole file once, checking gzip frames and checksums, and write a plain copy to `spool` where needed.

    DuckDB checks no gzip checksum and refuses mixed line ends; both are taken care of here.

    Raises:
        SourceFileError: the gzip data is cut short or damaged, or is no gzip data.
    """
    with file.path.open("rb") as handle:
        head = handle.read(len(_GZIP_MAGIC))
    if spec.type == "parquet":
        return Probe(file.path, empty=not head, lines=0, newline="\n")
    zipped = spec.compression == "gzip" or (spec.compression == "auto" and head == _GZIP_MAGIC)
    if not head:
        return Probe(file.path, empty=True, lines=0, newline="\n")
    facts = _scan(file, spec, zipped, spool if zipped or spec.encoding != "utf-8" else None)
    if facts.clean(spec):
        readable = spool if facts.copied else file.path
    else:
        facts = _scan(file, spec, zipped, spool, plain_newlines=True)
        readable = spool
    return Probe(readable, empty=facts.size == 0, lines=facts.lines, newline="\r\n" if facts.crlf else "\n")


def source_columns(
    connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, source: Source
) -> dict[str, str] | None:
    """Return the file's columns and their DuckDB types, in order; None for JSON lines, which name none in advance.

    Raises:
        SourceFileError: the header repeats a column, or the Parquet file cannot be read.
    """
    if source.format.type == "jsonl":
        return None
    if source.format.type == "parquet":
        query = f"describe select * from read_parquet({literal(file.path)}, hive_partitioning=false)"
        try:
            return {row[0]: row[1] for row in connection.execute(query).fetchall()}
        except duckdb.Error as error:
            raise _unreadable(file, "a Parquet file", error) from None
    names = list(source.format.names) or _csv_header(file, probe, source.format)
    return dict.fromkeys(names, "VARCHAR")


def read_records(
    connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, source: Source, columns: Sequence[str]
) -> int:
    """Fill the temporary tables `source_rows` and `structural_rejects`, and return the number of records in both.

    `source_rows` holds RECORD (1-based), LINE (null where unknown), RAW (jsonl only), `_file` and the source columns;
    `structural_rejects` holds record_number, line_number, found, expected, raw. Of JSON lines, `columns` are the keys
    wanted.

    Raises:
        SourceFileError: the file cannot be read, or its records do not add up to the lines `probe_file` counted.
    """
    try:
        if source.format.type == "parquet":
            return _read_parquet(connection, file, columns)
        if source.format.type == "jsonl":
            return _read_jsonl(connection, file, probe, columns)
        return _read_csv(connection, file, probe, source.format, columns)
    except duckdb.Error as error:
        raise _unreadable(file, f"a {source.format.type} file", error) from None


@dataclass
class _Facts:
    copied: bool
    size: int = 0
    newlines: int = 0
    crlf: int = 0
    returns: int = 0
    last: bytes = b""

    @property
    def lines(self) -> int:
        return self.newlines + (1 if self.size and self.last != b"\n" else 0)

    def clean(self, spec: FormatSpec) -> bool:
        """Whether DuckDB can read the line ends as they are."""
        if spec.type == "jsonl":
            return self.returns == 0
        return self.crlf in (0, self.newlines)

    def take(self, block: bytes, previous: bytes) -> None:
        self.size += len(block)
        self.newlines += block.count(b"\n")
        self.returns += block.count(b"\r")
        self.crlf += block.count(b"\r\n") + (1 if previous == b"\r" and block[:1] == b"\n" else 0)
        self.last = block[-1:]


def _scan(
    file: LandingFile, spec: FormatSpec, zipped: bool, spool: Path | None, plain_newlines: bool = False
) -> _Facts:
    facts = _Facts(copied=spool is not None)
    blocks = _utf8_blocks(_content_blocks(file, zipped), spec.encoding)
    if plain_newlines:
        blocks = _plain_newlines(blocks, lone_returns=spec.type == "jsonl")
    out: IO[bytes] | None = spool.open("wb") if spool else None
    try:
        for block in blocks:
            facts.take(block, facts.last)
            if out:
                out.write(block)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceFileError(
            file.relative,
            f"gzip data that is cut short or damaged ({error})",
            "a complete gzip file",
            "export or copy the file again; nothing of it was taken",
        ) from None
    finally:
        if out:
            out.close()
    return facts


def _content_blocks(file: LandingFile, zipped: bool) -> Iterator[bytes]:
    with gzip.open(file.path, "rb") if zipped else file.path.open("rb") as handle:
        first = True
        while block := handle.read(_CHUNK):
            if first:
                block, first = block.removeprefix(_UTF8_BOM), False
            if block:
                yield block


def _utf8_blocks(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Bytes the encoding does not know stay as they are, so that the line they are in is refused, and only that one."""
    if encoding in ("utf-8", "utf-8-sig"):
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="surrogateescape")
    for block in blocks:
        if text := decoder.decode(block):
            yield text.encode("utf-8", "surrogateescape")
    if rest := decoder.decode(b"", final=True):
        yield rest.encode("utf-8", "surrogateescape")


def _plain_newlines(blocks: Iterator[bytes], lone_returns: bool) -> Iterator[bytes]:
    """CRLF becomes LF and, where asked, a return on its own becomes a space."""
    held = b""
    for block in blocks:
        data = held + block
        held = b"\r" if data.endswith(b"\r") else b""
        data = data.removesuffix(b"\r").replace(b"\r\n", b"\n")
        yield data.replace(b"\r", b" ") if lone_returns else data
    if held:
        yield b" " if lone_returns else held


def _csv_header(file: LandingFile, probe: Probe, spec: FormatSpec) -> list[str]:
    with probe.readable.open(encoding="utf-8-sig", errors="replace", newline="") as handle:
        doubled = spec.escape == spec.quote or not spec.escape
        try:
            names = next(
                csv.reader(
                    (line for line in handle if line.strip()),
                    delimiter=spec.delimiter[0] if len(spec.delimiter) == 1 else "\x1f",
                    quotechar=spec.quote or None,
                    quoting=csv.QUOTE_MINIMAL if spec.quote else csv.QUOTE_NONE,
                    doublequote=doubled,
                    escapechar=None if doubled else spec.escape,
                ),
                [],
            )
        except csv.Error as error:
            raise SourceFileError(
                f"{file.relative}:1",
                f"a header that cannot be read ({error})",
                "one line of column names",
                "check delimiter, quote and encoding in the source YAML",
            ) from None
    if len(spec.delimiter) > 1 and names:
        names = [part.strip(spec.quote) if spec.quote else part for part in names[0].split(spec.delimiter)]
    lowered = [name.lower() for name in names]
    repeated = sorted({name for name in names if lowered.count(name.lower()) > 1})
    if repeated or "" in names:
        found = f"the column(s) {', '.join(repeated)} more than once" if repeated else "a column without a name"
        raise SourceFileError(
            f"{file.relative}:1",
            found,
            "a header with a name of its own for every column (upper and lower case are the same)",
            "rename the columns in the export, or use `header: false` with `names`",
        )
    return names


def _read_parquet(connection: duckdb.DuckDBPyConnection, file: LandingFile, columns: Sequence[str]) -> int:
    pseudo = "".join(f"{item}," for item in _file_column(file, columns))
    connection.execute(
        f"""
        create or replace temp view source_rows as
        select
            file_row_number + 1 as {RECORD},
            cast(null as bigint) as {LINE},
            cast(null as varchar) as {RAW},
            {pseudo}
            * exclude (file_row_number)
        from read_parquet({literal(file.path)}, hive_partitioning=false, file_row_number=true)
        """
    )
    _no_rejects(connection)
    return _scalar(
        connection, f"select coalesce(sum(num_rows), 0)::bigint from parquet_file_metadata({literal(file.path)})"
    )


def _read_csv(
    connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, spec: FormatSpec, columns: Sequence[str]
) -> int:
    types = ", ".join(f"{literal(f'c{position}')}: 'VARCHAR'" for position in range(len(columns)))
    _read_lines(
        connection,
        f"{literal(probe.readable)}, columns={{{types}}}, header={literal(spec.header)}, "
        f"delim={literal(spec.delimiter)}, quote={literal(spec.quote)}, "
        f"escape={literal(spec.escape)}, strict_mode=true",
    )
    kept = _scalar(connection, "select count(*) from file_lines")
    broken = _collect_rejects(connection, probe, header_lines=1 if spec.header else 0)
    # One record per physical line holds unless quoted fields contain line ends or blank lines were skipped.
    line = f"record_number + {1 if spec.header else 0}"
    known_line = line if probe.lines == kept + broken + (1 if spec.header else 0) else "cast(null as bigint)"
    fields = [f"c{position} as {identifier(name)}" for position, name in enumerate(columns)]
    _number_rows(connection, f"{known_line} as {LINE}, cast(null as varchar) as {RAW}", file, columns, fields, broken)
    connection.execute(f"update structural_rejects set line_number = {known_line}")
    return kept + broken


def _read_jsonl(connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, keys: Sequence[str]) -> int:
    _read_lines(
        connection,
        f"{literal(probe.readable)}, columns={{'raw': 'VARCHAR'}}, header=false, delim=chr(31), quote='', escape='', "
        "strict_mode=false, new_line='\\n'",
    )
    kept = _scalar(connection, "select count(*) from file_lines")
    broken = _collect_rejects(connection, probe, header_lines=0)
    if kept + broken != probe.lines:
        raise SourceFileError(
            file.relative,
            f"{kept} + {broken} lines as DuckDB reads them",
            f"the {probe.lines} lines that were counted",
            "report this file as a bug; nothing of it was taken",
        )
    _number_rows(connection, f"record_number as {LINE}, raw as {RAW}", file, (), (), broken, table="numbered_lines")
    shape = json.dumps(dict.fromkeys(keys, "VARCHAR"), ensure_ascii=False)
    fields = "".join(f", fields.{identifier(key)} as {identifier(key)}" for key in keys)
    connection.execute(
        f"""
        create or replace temp table parsed_lines as
        select
            {RECORD}, {LINE}, {RAW}, {identifier(FILE_COLUMN)},
            case
                when left(ltrim({RAW}), 1) = '{{' and json_valid({RAW})
                    then json_transform({RAW}, {literal(shape)})
            end as fields
        from numbered_lines
        where trim({RAW}) <> ''
        """
        if keys
        else f"""
        create or replace temp table parsed_lines as
        select
            {RECORD}, {LINE}, {RAW}, {identifier(FILE_COLUMN)},
            case when left(ltrim({RAW}), 1) = '{{' and json_valid({RAW}) then true end as fields
        from numbered_lines
        where trim({RAW}) <> ''
        """
    )
    connection.execute(
        f"""
        create or replace temp view source_rows as
        select {RECORD}, {LINE}, {RAW}, {identifier(FILE_COLUMN)}{fields}
        from parsed_lines
        where fields is not null
        """
    )
    connection.execute(
        f"""
        insert into structural_rejects
        select
            {RECORD}, {LINE},
            case
                when json_valid({RAW}) then 'JSON of type ' || lower(json_type({RAW}))
                else 'text that is not JSON'
            end,
            'one JSON object per line',
            {RAW}
        from parsed_lines
        where fields is null
        """
    )
    return _scalar(connection, "select count(*) from parsed_lines") + broken


def _read_lines(connection: duckdb.DuckDBPyConnection, arguments: str) -> None:
    """Fill `file_lines`, in the file's order, and `reject_errors` with the lines that could not be cut into fields."""
    connection.execute("drop table if exists reject_errors")
    connection.execute("drop table if exists reject_scans")
    connection.execute(
        f"""
        create or replace temp table file_lines as
        select *
        from read_csv(
            {arguments}, auto_detect=false, store_rejects=true, null_padding=false, max_line_size={MAX_LINE_BYTES}
        )
        """
    )


def _collect_rejects(connection: duckdb.DuckDBPyConnection, probe: Probe, header_lines: int) -> int:
    """Fill `structural_rejects` from DuckDB's reject table, one row per refused record, and return their number."""
    _no_rejects(connection)
    if not _scalar(connection, "select count(*) from reject_errors"):
        return 0
    connection.execute(
        f"""
        insert into structural_rejects
        select
            line - {header_lines},
            cast(null as bigint),
            string_agg(distinct error_message, '; ' order by error_message),
            'a line that can be cut into its columns',
            ltrim(any_value(csv_line), chr(10) || chr(13))
        from reject_errors
        group by line
        """
    )
    _restore_undecodable(connection, probe, header_lines)
    return _scalar(connection, "select count(*) from structural_rejects")


def _restore_undecodable(connection: duckdb.DuckDBPyConnection, probe: Probe, header_lines: int) -> None:
    """DuckDB shows bytes that are not UTF-8 as `?`; put the line's true bytes, as \\xNN, in their place."""
    places = connection.execute(
        "select line, min(line_byte_position), min(byte_position) from reject_errors "
        "where error_type = 'INVALID ENCODING' group by line"
    ).fetchall()
    if not places:
        return
    lines = []
    with probe.readable.open("rb") as handle:
        for line, start, position in places:
            handle.seek((start if start is not None else position) - 1)
            raw = handle.readline(MAX_LINE_BYTES).rstrip(b"\r\n")
            lines.append((line - header_lines, raw.decode("utf-8", "backslashreplace")))
    connection.execute("create or replace temp table true_lines (record_number bigint, raw varchar)")
    connection.executemany("insert into true_lines values (?, ?)", lines)
    connection.execute(
        "update structural_rejects set raw = true_lines.raw from true_lines "
        "where structural_rejects.record_number = true_lines.record_number"
    )


def _number_rows(
    connection: duckdb.DuckDBPyConnection,
    extra: str,
    file: LandingFile,
    columns: Sequence[str],
    fields: Sequence[str],
    broken: int,
    table: str = "source_rows",
) -> None:
    """Give kept lines their record number: their rank plus the number of refused lines before them."""
    selected = [f"record_number as {RECORD}", extra, *_file_column(file, columns), *fields]
    if broken:
        numbered = """
            select
                file_lines.* exclude (kept_number),
                file_lines.kept_number + coalesce(refused.refused_before, 0) as record_number
            from (select *, rowid + 1 as kept_number from file_lines) as file_lines
            asof left join (
                select record_number - refused_before as kept_before, max(refused_before) as refused_before
                from (
                    select record_number, row_number() over (order by record_number) as refused_before
                    from structural_rejects
                ) as ranked
                group by all
            ) as refused
                on file_lines.kept_number > refused.kept_before
        """
    else:
        numbered = "select *, rowid + 1 as record_number from file_lines"
    connection.execute(
        f"""
        create or replace temp view {table} as
        select {", ".join(selected)}
        from ({numbered}) as numbered
        """
    )


def _file_column(file: LandingFile, columns: Sequence[str]) -> list[str]:
    """The pseudo column `_file`, unless the file has a column of that name itself."""
    if FILE_COLUMN in {column.lower() for column in columns}:
        return []
    return [f"{literal(file.relative)} as {identifier(FILE_COLUMN)}"]


def _no_rejects(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "create or replace temp table structural_rejects "
        "(record_number bigint, line_number bigint, found varchar, expected varchar, raw varchar)"
    )


def _scalar(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _unreadable(file: LandingFile, expected: str, error: duckdb.Error) -> SourceFileError:
    message = str(error).splitlines()[0]
    return SourceFileError(
        file.relative,
        f"bytes DuckDB cannot read ({message})",
        expected,
        "check `format` in the source YAML, or export the file again",
    )
