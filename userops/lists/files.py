"""The files of one list: CSV, XLSX and Parquet, with the same rows in the same order.

The same rows always give the same bytes, because publishing compares them.

- CSV: UTF-8 with a byte-order mark, so that Excel shows 中文. Text that a spreadsheet would run as a formula is
  prefixed with an apostrophe. Excel cuts ids of more than 15 digits when it opens a CSV; the XLSX keeps them.
- XLSX: see `userops.lists.workbook`.
- Parquet: the table's own columns and types, also those that the sheet does not show.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from userops.lists.content import ListContent, read_list
from userops.lists.registry import CellFormat, Language, ListColumn, ListExport, order_columns
from userops.lists.workbook import xlsx_bytes
from userops.sqltext import identifier, literal

#: Signs that make a formula of a cell, the wide ones of East Asian keyboards too.
FORMULA_START = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def write_list(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    docs: Mapping[str, str],
    export: ListExport,
    as_of: date,
    folder: Path,
    language: Language = "both",
) -> int:
    """Write one list at `as_of` as CSV, XLSX and Parquet into `folder` and return its number of rows.

    Args:
        connection: DuckDB with the table of the list.
        relation: SQL name of that table in it.
        docs: documentation by column, English and Chinese in one text.
        folder: `exports/<list>/as_of_date=<as_of>`; created when missing.

    A list without rows is written too: nobody to call is an answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = read_list(connection, export, as_of, rows_from=relation, all_dates=relation, docs=docs)
    order = ", ".join(identifier(name) for name in order_columns(export, content.types))
    connection.execute(
        f"copy (select * from {relation} where as_of_date = {literal(as_of)} order by {order}) "
        f"to {literal(str(folder / f'{export.name}.parquet'))} (format parquet, compression zstd)"
    )
    (folder / f"{export.name}.csv").write_bytes(csv_bytes(content, language))
    (folder / f"{export.name}.xlsx").write_bytes(xlsx_bytes(content, language))
    return len(content.rows)


def csv_bytes(content: ListContent, language: Language = "both") -> bytes:
    """Return the list as CSV: BOM, one header line, one line per row, CRLF."""
    columns = content.sheet(language)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([_safe(_header(column, language)) for column in columns])
    for row in content.sheet_rows(columns):
        writer.writerow([_value(value, column.format) for column, value in zip(columns, row, strict=True)])
    return text.getvalue().encode("utf-8-sig")


def _header(column: ListColumn, language: Language) -> str:
    if language == "both":
        return f"{column.header_zh} {column.name}"
    return column.header_zh if language == "zh" else column.header_en


def _value(value: Any, cell_format: CellFormat) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _safe(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal | float):
        places = {CellFormat.MONEY: 2, CellFormat.PERCENT: 4, CellFormat.NUMBER: 1, CellFormat.INTEGER: 0}
        return f"{value:.{places.get(cell_format, 6)}f}"
    return str(value)


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA_START) else text
