"""One list as an Excel workbook: the sheet to work with, and one that says what is on it.

The first sheet has a frozen header (one row, or one row per language), a filter, widths, number, percent and date
formats and coloured risk bands. The second one has the figures of the list and what every column means. Ids and all
other text are text cells, never formulas. The bytes depend on nothing but the list and the language.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from userops.docs.bilingual import split_languages
from userops.lists.content import ListContent
from userops.lists.registry import COLUMNS, CellFormat, Language, ListColumn, both, value_words
from userops.lists.words import dimension_words, summary_lines

if TYPE_CHECKING:
    from openpyxl.cell.cell import Cell
    from openpyxl.worksheet.worksheet import Worksheet

_ILLEGAL_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
#: The oldest time a ZIP entry can carry; a fixed one, so that equal content gives equal bytes.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_LONGEST_CELL = 32_767  # Excel's own limit
_HEADER_COLOUR, _HEADING_COLOUR = "1F4E78", "DDEBF7"
_BAND_COLOURS = {"high": "FFC7CE", "medium": "FFEB9C", "low": "E2EFDA"}
_LEGEND_TITLE = ("说明", "Legend")


def xlsx_bytes(content: ListContent, language: Language = "both") -> bytes:
    """Return the list as a workbook."""
    from openpyxl import Workbook

    workbook = Workbook()
    sheet = workbook.worksheets[0]
    workbook.properties.title = f"{content.export.title_en} · {content.export.title_zh} · {content.as_of}"
    workbook.properties.creator = "userops"
    columns = content.sheet(language)
    _fill_list(sheet, content, columns, language)
    _fill_legend(workbook.create_sheet(), content, columns, language)
    buffer = io.BytesIO()
    workbook.save(buffer)
    return _without_clock(buffer.getvalue(), content.as_of)


def _fill_list(sheet: Worksheet, content: ListContent, columns: tuple[ListColumn, ...], language: Language) -> None:
    from openpyxl.styles import PatternFill
    from openpyxl.utils import get_column_letter

    sheet.title = content.export.title_en if language == "en" else content.export.title_zh
    headers = [[column.header_zh for column in columns], [column.header_en for column in columns]]
    rows_of_headers = headers if language == "both" else [headers[0] if language == "zh" else headers[1]]
    for number, texts in enumerate(rows_of_headers, start=1):
        for index, text in enumerate(texts, start=1):
            _header(sheet.cell(row=number, column=index), text)
        sheet.row_dimensions[number].height = 30
    first = len(rows_of_headers) + 1
    colours = {band: PatternFill("solid", fgColor=colour) for band, colour in _BAND_COLOURS.items()}
    for row_number, row in enumerate(content.sheet_rows(columns), start=first):
        for index, (column, value) in enumerate(zip(columns, row, strict=True), start=1):
            cell: Any = sheet.cell(row=row_number, column=index)
            _fill(cell, column, value, language)
            if column.name == "risk_band" and value in colours:
                cell.fill = colours[value]
    for index, column in enumerate(columns, start=1):
        sheet.column_dimensions[get_column_letter(index)].width = column.width
    names = [column.name for column in columns]
    frozen = names.index("user_id") + 2 if "user_id" in names else 1
    sheet.freeze_panes = f"{get_column_letter(frozen)}{first}"
    last = f"{get_column_letter(len(columns))}{first - 1 + len(content.rows)}"
    sheet.auto_filter.ref = f"A{first - 1}:{last}"
    sheet.print_title_rows = f"1:{first - 1}"
    sheet.page_setup.orientation = "landscape"


def _fill_legend(sheet: Worksheet, content: ListContent, columns: tuple[ListColumn, ...], language: Language) -> None:
    sheet.title = both(*_LEGEND_TITLE, language)
    for letter, width in zip("ABCD", (26, 26, 24, 100), strict=True):
        sheet.column_dimensions[letter].width = width
    row = 1
    _heading(sheet, row, [f"{content.export.title(language)} · {content.as_of.isoformat()}"])
    summary = content.summary()
    for label, text in summary_lines(summary, language):
        row += 1
        _line(sheet, row, [label, text])
    for name, counts in summary.counts.items():
        row += 1
        _heading(sheet, row, [dimension_words(name, language), both("人数", "Users", language)])
        for value, number in counts:
            row += 1
            _line(sheet, row, [_shown_value(name, value, language), number])
    row += 1
    row += 1
    headings = [("列", "Column"), ("列（英文）", "Column (English)"), ("字段", "Field"), ("含义", "Meaning")]
    _heading(sheet, row, [both(zh, en, language) for zh, en in headings])
    for column in columns:
        row += 1
        meaning = split_languages(content.docs.get(column.name, ""))
        parts = {"zh": [meaning.zh or meaning.en], "en": [meaning.en or meaning.zh], "both": [meaning.zh, meaning.en]}
        text = "\n".join(part for part in parts[language] if part)
        _line(sheet, row, [column.header_zh, column.header_en, column.name, text])


def _shown_value(name: str, value: str | None, language: Language) -> str:
    return both("（无）", "(none)", language) if value is None else value_words(name, value, language)


def _header(cell: Any, text: str) -> None:
    from openpyxl.styles import Alignment, Font, PatternFill

    _put_text(cell, text)
    cell.font = Font(bold=True, color="FFFFFF")
    cell.fill = PatternFill("solid", fgColor=_HEADER_COLOUR)
    cell.alignment = Alignment(wrap_text=True, vertical="center", horizontal="center")


def _heading(sheet: Worksheet, row: int, texts: list[str]) -> None:
    from openpyxl.styles import Font, PatternFill

    for index, text in enumerate(texts, start=1):
        cell: Any = sheet.cell(row=row, column=index)
        _put_text(cell, text)
        cell.font = Font(bold=True)
        cell.fill = PatternFill("solid", fgColor=_HEADING_COLOUR)


def _line(sheet: Worksheet, row: int, values: list[str | int]) -> None:
    from openpyxl.styles import Alignment

    for index, value in enumerate(values, start=1):
        cell: Any = sheet.cell(row=row, column=index)
        cell.alignment = Alignment(wrap_text=True, vertical="top", horizontal="left")
        if isinstance(value, int):
            cell.value = value
            cell.number_format = CellFormat.INTEGER.value
        else:
            _put_text(cell, value)


def _fill(cell: Any, column: ListColumn, value: Any, language: Language) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        _put_text(cell, both("是" if value else "否", "yes" if value else "no", language))
    elif isinstance(value, str):
        _put_text(cell, value_words(column.name, value, language) if column.name in COLUMNS else value)
    elif isinstance(value, Decimal | float | int):
        cell.number_format = column.format.value
        number = float(value) if isinstance(value, Decimal) else value
        cell.value = number if math.isfinite(number) else None  # a workbook has no infinity
    elif type(value) is date:
        cell.number_format = column.format.value
        cell.value = value
    else:
        _put_text(cell, str(value))


def _put_text(cell: Cell | Any, text: str) -> None:
    """Make it a text cell, whatever it begins with, that stays one when a person edits it."""
    cell.number_format = CellFormat.TEXT.value
    cell.value = _ILLEGAL_IN_XML.sub("", text)[:_LONGEST_CELL]
    cell.data_type = "s"


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
