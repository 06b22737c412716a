"""Delimited text, read by DuckDB in parallel, with every record accounted for.

Most files are regular: one pass of DuckDB's parser reads them. Where anything is odd (a line it refuses, NUL bytes,
blank lines in the middle, returns within lines, an open quote), the file is cut into records here first: what cannot
be a record is set aside with its number and line, the rest is read by DuckDB, and both must add up.

Decisions:

- A quote opens a value only at its beginning or behind one blank. A quote that is never closed, or is followed by more
  than blanks, refuses the line it stands in; reading goes on with the next line, so that one stray quote does not
  swallow the file.
- A line with more or fewer values than columns is refused. So is a line that repeats the header (files glued together).
- A return on its own is text within quotes and refuses its line elsewhere. A line with a NUL byte is refused.
- With a delimiter of several bytes and quotes, every file is cut into records here.
"""

from __future__ import annotations

import csv
import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import duckdb
import numpy as np
import pyarrow as pa

from userops.errors import SourceFileError
from userops.ingest.decode import LandingFile, Probe
from userops.ingest.readers.common import (
    LINE,
    MAX_RECORD_BYTES,
    RAW,
    RECORD,
    OnePass,
    check_names,
    guarded,
    mapped,
    no_rejects,
    own_columns,
    pseudo_columns,
    scalar,
    shown,
    sign_items,
)
from userops.ingest.readers.lines import fault_of
from userops.ingest.sources import ROW_COLUMN, FormatSpec, Source
from userops.sqltext import identifier, literal

_CHUNK = 1 << 20
#: Longest line of a usual file. Threads get pieces of several such lines: with few long pieces one core stays idle.
_USUAL_LINE_BYTES = 1 << 22
_MARK = b"\xef\xbb\xbf"
_CUT = "a line that can be cut into its columns"


def csv_columns(file: LandingFile, probe: Probe, spec: FormatSpec) -> dict[str, str]:
    """Return the columns of a csv file, by its header or by `names`.

    Raises:
        SourceFileError: the header cannot be read, or leaves a column without a name of its own.
    """
    names = list(spec.names)
    if not names:
        names, _ = _header(file, probe, spec)
        check_names(file, names, str(spec.skip_lines + 1))
    return dict.fromkeys(names, "VARCHAR")


def read_csv_records(connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, spec: FormatSpec) -> int:
    """Fill `source_rows` and `structural_rejects` from a csv file; return the records in both."""
    names = list(csv_columns(file, probe, spec))
    header = _header(file, probe, spec)[1] if spec.header else 0
    no_rejects(connection)
    if _needs_care(probe, spec) or not _read_regular(connection, probe, spec, len(names), header):
        _read_irregular(connection, file, probe, spec, len(names), header)
    repeats = " and ".join(f"c{place} = {literal(name)}" for place, name in enumerate(names) if spec.header) or "false"
    repeated = scalar(connection, f"select count(*) from numbered_rows where {repeats}")
    if repeated:
        connection.execute(
            f"""
            insert into structural_rejects
            select record_number, line_number, 'the header line once more', 'a line of values',
                {literal(spec.delimiter.join(names))}
            from numbered_rows
            where {repeats}
            """
        )
    places = {name: place for place, name in enumerate(names)}
    items = [f"record_number as {RECORD}", f"line_number as {LINE}", f"cast(null as varchar) as {RAW}"]
    # Fewer records than lines: line feeds stand within values.
    several_lines = probe.lines > header + scalar(connection, "select count(*) from csv_lines")
    items += sign_items(file, probe.odd_signs or several_lines, probe.padded) + pseudo_columns(file, names)
    items += [f"c{places[name]} as {identifier(name)}" for name in own_columns(file, names)]
    connection.execute(
        f"""
        create or replace temp view source_rows as
        select {", ".join(items)}
        from numbered_rows
        {f"where ({repeats}) is not true" if repeated else ""}
        """
    )
    return scalar(connection, "select (select count(*) from csv_lines) + count(*) from structural_rejects") - repeated


def csv_in_one_pass(
    connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, source: Source
) -> OnePass | None:
    """Make `source_rows` the records of a csv file as DuckDB's parser passes them on; None where that cannot be."""
    spec = source.format
    if _needs_care(probe, spec) or _speaks_of_row_numbers(source):
        return None
    names = list(csv_columns(file, probe, spec))
    rows = probe.lines - (_header(file, probe, spec)[1] if spec.header else 0)
    # Every column is named here, or the parser would not check the text of those the mapping leaves out.
    repeats = " and ".join(f"c{place} = {literal(name)}" for place, name in enumerate(names))
    places = {name: place for place, name in enumerate(names)}
    items = [f"cast(null as bigint) as {name}" for name in (RECORD, LINE)]
    items += [f"cast(null as varchar) as {RAW}", *sign_items(file, probe.odd_signs, probe.padded)]
    items += pseudo_columns(file, [*names, ROW_COLUMN])
    items += [f"c{places[name]} as {identifier(name)}" for name in own_columns(file, names)]
    no_rejects(connection)
    _forget_rejects(connection)
    connection.execute(
        f"""
        create or replace temp view source_rows as
        select {", ".join(items)}
        from {_parsed(probe.readable, spec, len(names), spec.header, _USUAL_LINE_BYTES)}
        where {guarded(f"({repeats}) is not true")}
        """
    )

    def counted() -> int | None:
        return None if scalar(connection, "select count(*) from reject_errors") else rows

    return OnePass(counted, numbered=False)


def _needs_care(probe: Probe, spec: FormatSpec) -> bool:
    """Whether DuckDB alone must not cut the file: behind a quote it takes part of a long delimiter for text."""
    return probe.irregular or (bool(spec.quote) and len(spec.delimiter.encode()) > 1)


def _speaks_of_row_numbers(source: Source) -> bool:
    mappings = source.columns.values()
    texts = [source.filter, *(text for mapping in mappings for text in (mapping.column, mapping.expr))]
    return any(ROW_COLUMN in text.lower() for text in texts if text)


def _header(file: LandingFile, probe: Probe, spec: FormatSpec) -> tuple[list[str], int]:
    """Return the names in the header and the physical lines down to its end."""
    lines, begun = 0, False

    def filled() -> Iterator[str]:
        nonlocal begun, lines
        for line in handle:
            lines += 1
            if line.strip("\r\n") or begun:
                begun = True
                yield line

    doubled = spec.escape == spec.quote or not spec.escape
    with probe.readable.open(encoding="utf-8-sig", errors="replace", newline="\n") as handle:
        try:
            names = next(
                csv.reader(
                    filled(),
                    delimiter=spec.delimiter if len(spec.delimiter) == 1 else "\x1f",
                    quotechar=spec.quote or None,
                    quoting=csv.QUOTE_MINIMAL if spec.quote else csv.QUOTE_NONE,
                    doublequote=doubled,
                    escapechar=None if doubled else spec.escape,
                ),
                [],
            )
        except csv.Error as error:
            raise SourceFileError(
                f"{file.relative}:{spec.skip_lines + 1}",
                f"a header that cannot be read ({error})",
                "one line of column names",
                "check delimiter, quote and encoding in the source YAML",
            ) from None
    if len(spec.delimiter) > 1 and names:
        names = [part.strip(spec.quote) if spec.quote else part for part in names[0].split(spec.delimiter)]
    return names, lines


def _read_regular(
    connection: duckdb.DuckDBPyConnection, probe: Probe, spec: FormatSpec, width: int, header: int
) -> bool:
    """Read a file that has nothing odd in it; False when it has, or when records do not add up to lines."""
    try:
        _parse(connection, probe.readable, spec, width, header=spec.header)
    except duckdb.Error:
        return False
    if scalar(connection, "select count(*) from reject_errors"):
        return False
    offset = spec.skip_lines + header
    kept = scalar(connection, "select count(*) from csv_lines")
    if kept + header == probe.lines:
        connection.execute(
            "create or replace temp view numbered_rows as "
            f"select rowid + 1 as record_number, rowid + 1 + {offset} as line_number, * from csv_lines"
        )
        return True
    columns = [f"c{place}" for place in range(width)]
    breaks = " + ".join(f"coalesce(strlen({name}) - strlen(replace({name}, chr(10), '')), 0)" for name in columns)
    found: pa.Table = connection.sql(
        f"select rowid as place, ({breaks})::bigint as breaks from csv_lines "
        f"where {' or '.join(f'contains({name}, chr(10))' for name in columns)} order by rowid"
    ).to_arrow_table()
    places, inner = found["place"].to_numpy(), found["breaks"].to_numpy()
    if kept + header + int(inner.sum()) != probe.lines:
        return False
    earlier = np.zeros(kept + 1, dtype=np.int64)
    earlier[places + 1] = inner
    numbers = np.arange(1, kept + 1)
    _number(connection, numbers, offset + numbers + np.cumsum(earlier)[:kept])
    return True


def _read_irregular(
    connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, spec: FormatSpec, width: int, header: int
) -> None:
    """Cut the file into records, set aside what is none, and have DuckDB read the rest."""
    cut = _Cut(spec, spec.skip_lines + header)
    with probe.scratch.open("wb") as out:
        cut.read(probe.readable, header, out)
    numbers, lines = cut.numbers(), cut.lines()
    if len(numbers):
        _parse(connection, probe.scratch, spec, width, header=False)
    else:
        _no_lines(connection, width)
    refused = connection.execute(
        """
        select
            line,
            string_agg(distinct error_message, '; ' order by error_message) as found,
            any_value(csv_line) as raw
        from reject_errors
        group by line
        order by line
        """
    ).fetchall()
    kept = scalar(connection, "select count(*) from csv_lines")
    if kept + len(refused) != len(numbers):
        raise SourceFileError(
            file.relative,
            f"{kept} + {len(refused)} records as DuckDB reads them",
            f"the {len(numbers)} records that were counted",
            "check delimiter, quote and escape in the source YAML; if they are right, report this file as a bug",
        )
    places = np.array([line - 1 for line, _, _ in refused], dtype=np.int64)
    rejects = [
        *cut.broken,
        *((int(numbers[line - 1]), int(lines[line - 1]), found, raw.strip("\r\n")) for line, found, raw in refused),
    ]
    if rejects:
        columns = zip(*sorted(rejects, key=lambda reject: reject[0]), strict=True)
        names = ("record_number", "line_number", "found", "raw")
        connection.register("cut_rejects", pa.table(dict(zip(names, map(list, columns), strict=True))))
        connection.execute(
            "insert into structural_rejects "
            f"select record_number, line_number, found, {literal(_CUT)}, raw from cut_rejects"
        )
    _number(connection, np.delete(numbers, places), np.delete(lines, places))


def _parse(connection: duckdb.DuckDBPyConnection, path: Path, spec: FormatSpec, width: int, header: bool) -> None:
    _forget_rejects(connection)
    connection.execute(f"create or replace temp table csv_lines as select * from {_parsed(path, spec, width, header)}")


def _forget_rejects(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("drop table if exists reject_errors")
    connection.execute("drop table if exists reject_scans")


def _parsed(path: Path, spec: FormatSpec, width: int, header: bool, longest: int = MAX_RECORD_BYTES) -> str:
    """Return SQL of a file's lines as DuckDB's parser cuts them, into c0, c1, ...; it refuses into `reject_errors`."""
    types = ", ".join(f"{literal(f'c{place}')}: 'VARCHAR'" for place in range(width))
    return f"""
        read_csv(
            {literal(path)}, columns={{{types}}}, header={literal(header)}, auto_detect=false,
            delim={literal(spec.delimiter)}, quote={literal(spec.quote)}, escape={literal(spec.escape)},
            strict_mode=true, null_padding=false, new_line='\\n', max_line_size={longest},
            store_rejects=true, rejects_line_size_limit={MAX_RECORD_BYTES}
        )
        """


def _no_lines(connection: duckdb.DuckDBPyConnection, width: int) -> None:
    columns = ", ".join(f"c{place} varchar" for place in range(width))
    connection.execute(f"create or replace temp table csv_lines ({columns})")
    connection.execute(
        "create or replace temp table reject_errors (line bigint, error_message varchar, csv_line varchar)"
    )


def _number(connection: duckdb.DuckDBPyConnection, records: np.ndarray, lines: np.ndarray) -> None:
    """Make `numbered_rows` the rows of `csv_lines` with these numbers, in order."""
    connection.register("row_numbers", pa.table({"record_number": records, "line_number": lines}))
    connection.execute(
        "create or replace temp view numbered_rows as select * from row_numbers positional join csv_lines"
    )


@dataclass
class _Cut:
    """Cuts text into records: whole chunks of plain lines at once, anything else record by record.

    Attributes:
        line: physical lines so far.
        record: records so far, blank lines not counted.
        broken: record and line number, what is wrong, and the text, of what cannot be a record.
    """

    spec: FormatSpec
    line: int
    record: int = 0
    broken: list[tuple[int, int, str, str]] = field(default_factory=list)
    _kept: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def numbers(self) -> np.ndarray:
        """Return the numbers of the records that were written, in order."""
        return np.concatenate([np.empty(0, np.int64), *(numbers for numbers, _ in self._kept)])

    def lines(self) -> np.ndarray:
        """Return the first lines of the records that were written, in order."""
        return np.concatenate([np.empty(0, np.int64), *(lines for _, lines in self._kept)])

    def read(self, path: Path, header: int, out: IO[bytes]) -> None:
        """Write all records below the header to `out`, one after the other, with a line feed at the end of each."""
        pattern = _record_pattern(self.spec)
        text = mapped(path)
        at = 0
        for _ in range(header):
            at = text.find(b"\n", at) + 1 or len(text)
        while at < len(text):
            end = text.find(b"\n", at + _CHUNK, at + _CHUNK + MAX_RECORD_BYTES) + 1
            end = end or min(len(text), at + _CHUNK + MAX_RECORD_BYTES)
            chunk = text[at:end]
            if self._is_plain(chunk):
                self._take_lines(chunk, out)
                at = end
            else:
                at = self._take_records(text, at, end, pattern, out)

    def _is_plain(self, chunk: bytes) -> bool:
        odd = (b"\0", b"\r", b"\n\n", b"\n" + _MARK, *([self.spec.quote.encode()] if self.spec.quote else []))
        if any(sign in chunk for sign in odd) or chunk.startswith((b"\n", _MARK)) or len(chunk) > MAX_RECORD_BYTES:
            return False
        return fault_of(chunk) is None

    def _take_lines(self, chunk: bytes, out: IO[bytes]) -> None:
        if not chunk.endswith(b"\n"):
            chunk += b"\n"
        count = chunk.count(b"\n")
        numbers = np.arange(1, count + 1)
        self._kept.append((self.record + numbers, self.line + numbers))
        self.record += count
        self.line += count
        out.write(chunk)

    def _take_records(self, text: mmap.mmap, at: int, end: int, pattern: re.Pattern[bytes], out: IO[bytes]) -> int:
        """Take records one by one until `end` is passed; return where the next one begins."""
        kept: list[tuple[int, int]] = []
        while at < end:
            at += len(_MARK) if text[at : at + len(_MARK)] == _MARK else 0
            match = pattern.match(text, at)
            stop = match.end() if match else text.find(b"\n", at) + 1 or len(text)
            piece = text[at : min(stop, at + MAX_RECORD_BYTES)].removesuffix(b"\n")
            breaks = 1 if stop - at <= len(piece) + 1 and b"\n" not in piece else _line_feeds(text, at, stop)
            at, length = stop, stop - at
            if piece:
                self.record += 1
                fault = fault_of(piece, max(0, length - 1 - len(piece))) or (None if match else _quote_fault(piece))
                if fault:
                    self.broken.append((self.record, self.line + 1, fault, shown(piece)))
                else:
                    kept.append((self.record, self.line + 1))
                    out.write(piece + b"\n")
            self.line += breaks
        if kept:
            pairs = np.array(kept, dtype=np.int64)
            self._kept.append((pairs[:, 0], pairs[:, 1]))
        return at


def _line_feeds(text: mmap.mmap, begin: int, end: int) -> int:
    return sum(text[at : min(at + _CHUNK, end)].count(b"\n") for at in range(begin, end, _CHUNK))


def _quote_fault(piece: bytes) -> str:
    return "a return on its own outside quotes" if b"\r" in piece else "a quote that is not closed, or text behind one"


def _record_pattern(spec: FormatSpec) -> re.Pattern[bytes]:
    """Return the pattern of one well-formed record with its line end, as DuckDB's strict mode reads it.

    Only single signs are repeated possessively: Python before 3.11.5 gets possessive groups wrong. To give one of the
    groups up never helps, and is found out at the next sign.
    """
    delimiter = re.escape(spec.delimiter.encode())
    quote, escape = re.escape(spec.quote.encode()), re.escape(spec.escape.encode())
    blanks = b"" if spec.delimiter.startswith(" ") else b" *+"
    before = blanks and b" ?+"
    not_quoted = b"(?!" + before + quote + b")" if quote else b""
    first, rest = spec.delimiter.encode()[:1], spec.delimiter.encode()[1:]
    signs = b"[^" + re.escape(first) + rb"\r\n]*+"
    if rest:
        signs += b"(?:" + re.escape(first) + b"(?!" + re.escape(rest) + b")" + signs + b")*"
    value = plain = not_quoted + signs
    if quote:
        inside = b"[^" + quote + b"]*+"
        if escape and escape != quote:
            inside = b"[^" + quote + escape + b"]*+"
            inside += b"(?:" + escape + rb"[\s\S]" + inside + b")*"
        elif escape:
            inside += b"(?:" + quote + quote + inside + b")*"
        value = b"(?:" + before + quote + inside + quote + blanks + b"|" + plain + b")"
    return re.compile(value + b"(?:" + delimiter + value + rb")*(?:\n|\Z)")
