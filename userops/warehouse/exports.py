"""The lists people open: CSV, XLSX and Parquet of one list at one business date.

A list is a small declaration (`ListExport`): its table, its columns, their headers in English and 中文, their formats.
All three files hold the same rows in the same order, and the same rows always give the same bytes.

- CSV: UTF-8 with a byte-order mark, so that Excel shows 中文. Text that a spreadsheet would run as a formula is
  prefixed with an apostrophe. Excel cuts ids of more than 15 digits when it opens a CSV; the XLSX keeps them.
- XLSX: frozen header, filter, widths, percent and money formats; ids and text are text cells, never formulas.
- Parquet: the mart's own columns and types.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import duckdb

from userops.sqltext import identifier, literal

_FORMULA_START = ("=", "+", "-", "@", "\t", "\r", "\n")
_ILLEGAL_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
#: The oldest time a ZIP entry can carry; a fixed one, so that equal content gives equal bytes.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


class CellFormat(StrEnum):
    """How a column is shown; the value is the Excel number format."""

    TEXT = "@"
    INTEGER = "#,##0"
    NUMBER = "#,##0.0"
    MONEY = "#,##0.00"
    PERCENT = "0.0%"
    DATE = "yyyy-mm-dd"


@dataclass(frozen=True)
class ListColumn:
    """One column of a list.

    Attributes:
        name: column of the mart.
        width: width in the workbook, in characters.
    """

    name: str
    header_en: str
    header_zh: str
    format: CellFormat = CellFormat.TEXT
    width: int = 14


@dataclass(frozen=True)
class ListExport:
    """One list.

    Attributes:
        name: folder and file name below `exports/`.
        table: mart with the columns `as_of_date` and those of `columns`.
        order_by: columns that order the rows.
    """

    name: str
    table: str
    title_en: str
    title_zh: str
    columns: tuple[ListColumn, ...]
    order_by: tuple[str, ...]


_TEXT, _INTEGER, _NUMBER = CellFormat.TEXT, CellFormat.INTEGER, CellFormat.NUMBER
_MONEY, _PERCENT, _DATE = CellFormat.MONEY, CellFormat.PERCENT, CellFormat.DATE

CHURN_WARNING = ListExport(
    name="churn_warning",
    table="churn_warning_list",
    title_en="Churn warning list",
    title_zh="流失预警名单",
    order_by=("rank",),
    columns=(
        ListColumn("rank", "Rank", "排名", _INTEGER, 8),
        ListColumn("user_id", "User", "用户 ID", _TEXT, 20),
        ListColumn("risk_band", "Risk", "风险等级", _TEXT, 10),
        ListColumn("churn_probability", "Churn probability", "流失概率", _PERCENT, 12),
        ListColumn("expected_loss", "Expected loss", "预期损失", _MONEY, 14),
        ListColumn("user_value", "User value", "用户价值", _MONEY, 14),
        ListColumn("currency", "Currency", "币种", _TEXT, 10),
        ListColumn("lifecycle_stage", "Stage", "生命周期阶段", _TEXT, 13),
        ListColumn("days_silent", "Days silent", "沉默天数", _INTEGER, 11),
        ListColumn("usual_gap_days", "Usual gap (days)", "平时间隔（天）", _NUMBER, 13),
        ListColumn("reason_1_en", "Reason 1", "原因 1（英文）", _TEXT, 42),
        ListColumn("reason_1_zh", "Reason 1 (Chinese)", "原因 1", _TEXT, 36),
        ListColumn("reason_2_en", "Reason 2", "原因 2（英文）", _TEXT, 42),
        ListColumn("reason_2_zh", "Reason 2 (Chinese)", "原因 2", _TEXT, 36),
        ListColumn("reason_3_en", "Reason 3", "原因 3（英文）", _TEXT, 42),
        ListColumn("reason_3_zh", "Reason 3 (Chinese)", "原因 3", _TEXT, 36),
        ListColumn("suggested_action_en", "Suggested action", "建议动作（英文）", _TEXT, 42),
        ListColumn("suggested_action_zh", "Suggested action (Chinese)", "建议动作", _TEXT, 36),
        ListColumn("preferred_channel", "Preferred channel", "首选渠道", _TEXT, 16),
        ListColumn("action_code", "Action code", "动作代码", _TEXT, 18),
        ListColumn("as_of_date", "As of", "统计日期", _DATE, 12),
        ListColumn("model_version", "Model", "模型版本", _TEXT, 24),
    ),
)

#: Every list that is published.
LISTS: tuple[ListExport, ...] = (CHURN_WARNING,)


def write_list(
    connection: duckdb.DuckDBPyConnection, relation: str, export: ListExport, as_of: date, folder: Path
) -> int:
    """Write one list at `as_of` as CSV, XLSX and Parquet into `folder` and return its number of rows.

    Args:
        connection: DuckDB with the mart.
        relation: SQL name of the mart in that connection.
        folder: `exports/<list>/as_of_date=<as_of>`; created when missing.

    A list without rows is written too: nobody to call is an answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    order = ", ".join(identifier(column) for column in export.order_by)
    of_the_day = f"from {relation} where as_of_date = {literal(as_of)} order by {order}"
    wanted = ", ".join(identifier(column.name) for column in export.columns)
    rows = connection.execute(f"select {wanted} {of_the_day}").fetchall()
    parquet = folder / f"{export.name}.parquet"
    connection.execute(f"copy (select * {of_the_day}) to {literal(str(parquet))} (format parquet, compression zstd)")
    (folder / f"{export.name}.csv").write_bytes(csv_bytes(export, rows))
    (folder / f"{export.name}.xlsx").write_bytes(xlsx_bytes(export, rows, as_of))
    return len(rows)


def csv_bytes(export: ListExport, rows: Sequence[Sequence[Any]]) -> bytes:
    """Return the list as CSV: BOM, header `中文 name`, one line per row, CRLF."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([f"{column.header_zh} {column.name}" for column in export.columns])
    for row in rows:
        writer.writerow([_csv_value(value, column.format) for column, value in zip(export.columns, row, strict=True)])
    return text.getvalue().encode("utf-8-sig")


def xlsx_bytes(export: ListExport, rows: Sequence[Sequence[Any]], as_of: date) -> bytes:
    """Return the list as an Excel workbook whose bytes depend on nothing but the arguments."""
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter

    workbook = Workbook()
    sheet = workbook.worksheets[0]
    sheet.title = export.title_zh
    workbook.properties.title = f"{export.title_en} · {export.title_zh} · {as_of}"
    workbook.properties.creator = "userops"
    for index, column in enumerate(export.columns, start=1):
        header = sheet.cell(row=1, column=index, value=f"{column.header_zh}\n{column.header_en}")
        header.font = Font(bold=True, color="FFFFFF")
        header.fill = PatternFill("solid", fgColor="1F4E78")
        header.alignment = Alignment(wrap_text=True, vertical="center", horizontal="center")
        sheet.column_dimensions[get_column_letter(index)].width = column.width
        for row_number, row in enumerate(rows, start=2):
            _fill_cell(sheet.cell(row=row_number, column=index), row[index - 1], column.format)
    sheet.row_dimensions[1].height = 34
    sheet.freeze_panes = "C2"
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(export.columns))}{len(rows) + 1}"
    buffer = io.BytesIO()
    workbook.save(buffer)
    return _without_clock(buffer.getvalue(), as_of)


def _fill_cell(cell: Any, value: Any, cell_format: CellFormat) -> None:
    cell.number_format = cell_format.value
    if value is None:
        return
    if isinstance(value, str):
        cell.value = _ILLEGAL_IN_XML.sub("", value)
        cell.data_type = "s"  # text that starts with `=` stays text
    else:
        cell.value = float(value) if isinstance(value, Decimal) else value


def _csv_value(value: Any, cell_format: CellFormat) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA_START) else value
    if isinstance(value, Decimal | float):
        places = {CellFormat.MONEY: 2, CellFormat.PERCENT: 4, CellFormat.NUMBER: 1, CellFormat.INTEGER: 0}
        return f"{value:.{places.get(cell_format, 6)}f}"
    return str(value)


def _without_clock(workbook: bytes, as_of: date) -> bytes:
    """Rewrite the archive with fixed times: openpyxl stamps the time of saving into it."""
    fixed = datetime(as_of.year, as_of.month, as_of.day).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    stamp = re.compile(rb"(<dcterms:(created|modified)[^>]*>)[^<]*(</dcterms:)")
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for item in source.infolist():
            content = source.read(item)
            if item.filename == "docProps/core.xml":
                content = stamp.sub(rb"\g<1>" + fixed + rb"\g<3>", content)
            entry = zipfile.ZipInfo(item.filename, _ZIP_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return target.getvalue()
