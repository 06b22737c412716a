"""Excel workbooks (.xlsx), read by calamine, all cells as text.

Decisions:

- A number is the digits Excel stores: `13085`, never `13085.0`. One of 2^53 or more has lost digits in Excel already;
  it comes as a number with an exponent, so that an id is refused instead of taken wrong. Text keeps every digit.
- Dates and times are ISO text in local time of whoever typed them; a time without a date is HH:MM:SS.
- A cell with an error (#N/A, #DIV/0!) and a formula without a stored result have no value.
- Rows and columns without any value are none. Columns begin at the first one that is used.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path
from typing import Literal

import duckdb
import fastexcel
import pyarrow as pa

from userops.errors import SourceFileError
from userops.ingest.decode import EXPANSION_FLOOR, MAX_EXPANSION, LandingFile, Probe
from userops.ingest.readers.common import (
    LINE,
    RAW,
    RECORD,
    check_names,
    no_rejects,
    one_row,
    own_columns,
    pseudo_columns,
    scalar,
    sign_items,
)
from userops.ingest.sources import FormatSpec
from userops.sqltext import identifier, literal

_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_LONG_NUMBER = r"^-?\d{16,}(\.\d+)?$"
_DAY_ZERO = "1899-12-31 "
_EXACT = 2**53
#: Largest table a sheet may span, in cells: the reader's memory is about 30 bytes for each, filled or not.
MAX_SPAN = 100_000_000
_ROW = re.compile(rb'<(?:\w+:)?row\b[^>]*?\br="(\d{1,9})"')
_WIDE_CELL = re.compile(rb'\br="([A-Z]{2,3})\d')
_OVERLAP = 256


def xlsx_columns(
    connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, spec: FormatSpec
) -> dict[str, str]:
    """Return the columns of a sheet, by its header row or by `names`.

    Raises:
        SourceFileError: it is no workbook, has no such sheet, or a column with values has no name of its own.
    """
    _load(connection, file, probe, spec)
    return dict.fromkeys(_places(connection, file, spec), "VARCHAR")


def read_xlsx_records(connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, spec: FormatSpec) -> int:
    """Fill `source_rows` from a sheet; return its number of rows."""
    _load(connection, file, probe, spec)
    places = _places(connection, file, spec)
    items = sign_items(file) + pseudo_columns(file, list(places))
    items += [f"cast({places[name]} as varchar) as {identifier(name)}" for name in own_columns(file, places)]
    limit = "" if probe.limit is None else f"limit {probe.limit}"
    connection.execute(
        f"""
        create or replace temp table sheet_records as
        select row_number() over (order by sheet_row) as record_number, *
        from sheet_cells
        where sheet_row > {_last_row_above(connection, spec)}
        order by sheet_row
        {limit}
        """
    )
    connection.execute(
        f"""
        create or replace temp view source_rows as
        select
            record_number as {RECORD}, sheet_row as {LINE}, cast(null as varchar) as {RAW},
            {", ".join(items)}
        from sheet_records
        """
    )
    no_rejects(connection)
    return scalar(connection, "select count(*) from sheet_records")


def _load(connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, spec: FormatSpec) -> None:
    """Fill the table `sheet_cells` (sheet_row, v0, v1, ...) with the rows that have a value, once per file."""
    path = probe.readable
    mark = f"{path}:{path.stat().st_mtime_ns}:{path.stat().st_size}:{spec.sheet}"
    if one_row(connection, "select getvariable('sheet_loaded')")[0] == mark:
        return
    _refuse_other_office_files(file, path)
    _refuse_bombs(file, path)
    sheet_id = spec.sheet - 1 if isinstance(spec.sheet, int) else spec.sheet
    try:
        reader = fastexcel.read_excel(str(path))
        cells = _cells(reader, sheet_id, "string")
        connection.register("sheet_text", cells)
        long_columns = _long_numbers(connection, cells.num_columns)
        if long_columns:
            connection.register("sheet_numbers", _cells(reader, sheet_id, "boolean"))
    except fastexcel.FastExcelError as error:
        raise SourceFileError(
            file.relative,
            f"no workbook with a sheet {spec.sheet} that can be read ({_first_line(error)})",
            "an Excel workbook (.xlsx) that has the sheet",
            "check `format.sheet` (a name, or a number from 1) in the source YAML, or save the file again as .xlsx",
        ) from None
    names = [f"v{place}" for place in range(cells.num_columns)]
    values = [f"{_text(name, name in long_columns)} as {name}" for name in names]
    filled = " or ".join(f"{name} is not null" for name in names)
    numbers = "positional join sheet_numbers as numbers" if long_columns else ""
    connection.execute(
        f"""
        create or replace temp table sheet_cells as
        select *
        from (select row_number() over () as sheet_row{"".join(f", {value}" for value in values)}
              from sheet_text as text {numbers})
        where {filled}
        """
    )
    connection.execute(f"set variable sheet_loaded = {literal(mark)}")


def _cells(reader: fastexcel.ExcelReader, sheet: int | str, kind: Literal["string", "boolean"]) -> pa.RecordBatch:
    """Return all cells of a sheet, converted to one type: row i is row i + 1 of the sheet."""
    loaded = reader.load_sheet(sheet, header_row=None, skip_rows=0, dtypes=kind)
    batch = loaded.to_arrow()
    if not batch.num_columns:
        return pa.record_batch({"v0": pa.array([], pa.string())})
    return batch.rename_columns([f"v{place}" for place in range(batch.num_columns)])


def _long_numbers(connection: duckdb.DuckDBPyConnection, columns: int) -> set[str]:
    """Return the columns in which some cell might be a number that has lost digits."""
    tests = [f"coalesce(bool_or(regexp_matches(v{place}, {literal(_LONG_NUMBER)})), false)" for place in range(columns)]
    row = one_row(connection, f"select {', '.join(tests)} from sheet_text")
    return {f"v{place}" for place, found in enumerate(row) if found}


def _text(column: str, may_be_long: bool) -> str:
    value = f"text.{column}"
    time_only = f"starts_with({value}, {literal(_DAY_ZERO)})"
    text = f"case when {time_only} then substr({value}, {len(_DAY_ZERO) + 1}) else {value} end"
    if not may_be_long:
        return f"nullif({text}, '')"
    # A cell that converts to a boolean is a number; text that looks like one does not.
    number = f"try_cast({value} as double)"
    lost = f"numbers.{column} is not null and abs({number}) >= {_EXACT}"
    return f"case when {lost} then format('{{:.16e}}', {number}) else nullif({text}, '') end"


def _places(connection: duckdb.DuckDBPyConnection, file: LandingFile, spec: FormatSpec) -> dict[str, str]:
    """Return the column of `sheet_cells` that holds each named column."""
    described = connection.execute("describe sheet_cells").fetchall()
    values = [row[0] for row in described if row[0] != "sheet_row"]
    above = _last_row_above(connection, spec)
    counts = one_row(
        connection,
        f"select {', '.join(f'count({name})' for name in values)} from sheet_cells where sheet_row > {above}",
    )
    used = {name for name, count in zip(values, counts, strict=True) if count}
    if not spec.header:
        nameless = [name for name in values[len(spec.names) :] if name in used]
        if nameless:
            raise SourceFileError(
                file.relative,
                f"values in {len(spec.names) + len(nameless)} columns",
                f"the {len(spec.names)} columns of `format.names`",
                "name every column of the sheet in `format.names`, from the first one that is used",
            )
        padded = [*values, *["null"] * len(spec.names)]
        return dict(zip(spec.names, padded, strict=False))
    headers = connection.execute(
        f"select {', '.join(f'trim({name})' for name in values)} from sheet_cells where sheet_row = {above}"
    ).fetchall()
    if not headers:
        return {}
    named = [(name or "", value) for name, value in zip(headers[0], values, strict=True) if name or value in used]
    check_names(file, [name for name, _ in named], str(above))
    return dict(named)


def _last_row_above(connection: duckdb.DuckDBPyConnection, spec: FormatSpec) -> int:
    """Return the number of the last row that is no record: the header, or the last one to skip."""
    if not spec.header:
        return spec.skip_lines
    query = f"select coalesce(min(sheet_row), {spec.skip_lines}) from sheet_cells where sheet_row > {spec.skip_lines}"
    return scalar(connection, query)


def _refuse_other_office_files(file: LandingFile, path: Path) -> None:
    """An encrypted workbook and the format before 2007 share a container that is no xlsx."""
    with path.open("rb") as handle:
        if handle.read(len(_OLD_OFFICE)) != _OLD_OFFICE:
            return
        tail = b""
        encrypted = False
        while not encrypted and (block := handle.read(1 << 20)):
            encrypted = _ENCRYPTED in tail + block
            tail = block[-len(_ENCRYPTED) :]
    raise SourceFileError(
        file.relative,
        "a workbook with a password" if encrypted else "an Excel file of the format before 2007 (.xls)",
        "an Excel workbook (.xlsx) without a password",
        "save it without a password" if encrypted else "save it as .xlsx",
    )


def _refuse_bombs(file: LandingFile, path: Path) -> None:
    """One cell at the far end of a sheet makes a table of billions of cells; a little zip data may be gigabytes."""
    bound = max(EXPANSION_FLOOR, MAX_EXPANSION * path.stat().st_size)
    size = 0
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                rows, columns, tail = 0, 26, b""
                with archive.open(member) as handle:
                    while block := handle.read(1 << 20):
                        size += len(block)
                        if size > bound:
                            raise _too_large(file, f"{path.stat().st_size} bytes that unpack to more than {bound}")
                        if member.filename.startswith("xl/worksheets/"):
                            text = tail + block
                            rows = max([rows, *map(int, set(_ROW.findall(text)))])
                            columns = max([columns, *map(_column_number, set(_WIDE_CELL.findall(text)))])
                            tail = text[-_OVERLAP:]
                if rows * columns > MAX_SPAN:
                    raise _too_large(file, f"a sheet of {rows} rows and {columns} columns")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError):
        return  # no workbook: the reader itself says what it is


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _too_large(file: LandingFile, found: str) -> SourceFileError:
    return SourceFileError(
        file.relative,
        found,
        f"sheets that span at most {MAX_SPAN} cells, and unpack to at most {MAX_EXPANSION} times their size",
        "delete the stray cells far from the table and save it again, or export it as csv",
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
