"""The list files as the people who open them find them."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb
import openpyxl
import pytest

from userops.config import Settings
from userops.steps import StepContext
from userops.warehouse.exports import CHURN_WARNING, csv_bytes, xlsx_bytes
from userops.warehouse.publish import publish


@pytest.fixture
def folder(context: StepContext) -> Path:
    publish(context)
    return context.settings.paths.published_exports / "churn_warning" / "as_of_date=2024-06-30"


def test_csv_opens_in_excel_with_chinese_and_without_formulas(folder: Path) -> None:
    content = (folder / "churn_warning.csv").read_bytes()
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))

    assert content.startswith(b"\xef\xbb\xbf")
    assert [row["用户 ID user_id"] for row in rows] == ["12345678901234567890", "'=1+1", "u2"]
    assert rows[0]["流失概率 churn_probability"] == "0.9500"
    assert rows[0]["预期损失 expected_loss"] == "1234.50"
    assert rows[0]["原因 1 reason_1_zh"] == "已沉默 12 天"
    assert rows[0]["统计日期 as_of_date"] == "2024-06-30"


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-1", "@sum(a1)", "\t=1", "\r=1"])
def test_csv_never_starts_a_text_cell_with_a_formula_character(text: str) -> None:
    row = [text if column.name == "user_id" else None for column in CHURN_WARNING.columns]

    rows = list(csv.reader(io.StringIO(csv_bytes(CHURN_WARNING, [row]).decode("utf-8-sig"), newline="")))

    assert rows[1][1] == f"'{text}"


def test_xlsx_is_ready_to_work_with(folder: Path) -> None:
    sheet = openpyxl.load_workbook(folder / "churn_warning.xlsx").active

    assert sheet is not None
    cells = {cell.value.split("\n")[1]: sheet.cell(2, cell.column) for cell in sheet[1]}
    assert cells["User"].value == "12345678901234567890"
    assert cells["User"].data_type == "s"
    assert sheet.cell(3, cells["User"].column).value == "=1+1"
    assert sheet.cell(3, cells["User"].column).data_type == "s"  # text, not a formula
    assert cells["Churn probability"].value == pytest.approx(0.95)
    assert cells["Churn probability"].number_format == "0.0%"
    assert cells["Expected loss"].number_format == "#,##0.00"
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("C2", "A1:V4")
    assert sheet.title == "流失预警名单"


def test_xlsx_takes_characters_that_xml_cannot_hold() -> None:
    row = ["a\x00b\x0bc" if column.name == "user_id" else None for column in CHURN_WARNING.columns]

    workbook = openpyxl.load_workbook(io.BytesIO(xlsx_bytes(CHURN_WARNING, [row], date(2024, 6, 30))))

    assert workbook.worksheets[0].cell(2, 2).value == "abc"


def test_parquet_keeps_the_types_of_the_mart(folder: Path, settings: Settings) -> None:
    with closing(duckdb.connect(str(settings.paths.warehouse), read_only=True)) as connection:
        mart = connection.execute("describe marts.churn_warning_list").fetchall()

    assert duckdb.execute(f"describe from '{folder / 'churn_warning.parquet'}'").fetchall() == mart


def test_xlsx_carries_no_clock() -> None:
    content = xlsx_bytes(CHURN_WARNING, [], date(2024, 6, 30))

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {item.date_time for item in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        properties = archive.read("docProps/core.xml").decode()
    assert re.findall(r">(\d{4}-[^<]*)</dcterms", properties) == ["2024-06-30T00:00:00Z"] * 2
