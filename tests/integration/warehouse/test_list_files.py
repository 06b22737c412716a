"""The list files as the people who open them find them in published/."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb
import openpyxl
import pytest

from tests.integration.warehouse.conftest import DAY
from userops.config import Settings
from userops.steps import StepContext
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


def test_xlsx_is_ready_to_work_with(folder: Path) -> None:
    sheet = openpyxl.load_workbook(folder / "churn_warning.xlsx").worksheets[0]

    cells = {cell.value: sheet.cell(3, cell.column) for cell in sheet[2]}
    assert cells["User"].value == "12345678901234567890"
    assert cells["User"].data_type == "s"
    assert sheet.cell(4, cells["User"].column).value == "=1+1"
    assert sheet.cell(4, cells["User"].column).data_type == "s"  # text, not a formula
    assert cells["Churn probability"].value == pytest.approx(0.95)
    assert cells["Churn probability"].number_format == "0.0%"
    assert cells["Expected loss"].number_format == "#,##0.00"
    assert cells["As of"].number_format == "yyyy-mm-dd"
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("C3", "A2:U5")
    assert sheet.title == "流失预警名单"


def test_the_workbook_tells_who_is_new_by_the_dates_before(folder: Path, context: StepContext) -> None:
    publish(StepContext(context.settings, date(2024, 6, 29)))
    first = folder.with_name("as_of_date=2024-06-29") / "churn_warning.xlsx"

    def figures(file: Path) -> dict[str, str]:
        legend = openpyxl.load_workbook(file).worksheets[1]
        return {str(row[0].value): str(row[1].value) for row in legend.iter_rows()}

    assert figures(folder / "churn_warning.xlsx")["今日新增 New today"] == "0"
    assert "今日新增 New today" not in figures(first)  # the mart knows no date before


def test_parquet_keeps_the_types_of_the_mart(folder: Path, settings: Settings) -> None:
    with closing(duckdb.connect(str(settings.paths.warehouse), read_only=True)) as connection:
        mart = connection.execute("describe marts.export_churn_warning_list").fetchall()

    assert duckdb.execute(f"describe from '{folder / 'churn_warning.parquet'}'").fetchall() == mart


def test_a_column_that_nobody_named_is_shown_last_under_its_documentation(context: StepContext) -> None:
    settings = context.settings
    with closing(duckdb.connect(str(settings.paths.warehouse))) as connection:
        connection.execute("alter table marts.export_churn_warning_list add column team varchar default 'north'")
        connection.execute("alter table marts.export_churn_warning_list add column brand_new varchar default 'x'")
    manifest = settings.paths.dbt_target / "manifest.json"
    document = json.loads(manifest.read_text(encoding="utf-8"))
    document["nodes"]["model.userops.export_churn_warning_list"]["columns"] = {
        "brand_new": {"description": "A column nobody named. 新字段"}
    }
    manifest.write_text(json.dumps(document), encoding="utf-8")

    publish(context)

    file = settings.paths.published_exports / "churn_warning" / f"as_of_date={DAY}" / "churn_warning.xlsx"
    headers = [cell.value for cell in openpyxl.load_workbook(file).worksheets[0][1]]
    assert headers[:3] == ["排名", "用户 ID", "团队"]
    assert headers[-1] == "新字段"
