"""Lists: what is on a sheet, figures, and files that are safe, typed and the same bytes each time."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from decimal import Decimal

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.lists.make import DAY, TYPES, make_list
from userops.lists.content import ListContent
from userops.lists.files import FORMULA_START, csv_bytes
from userops.lists.registry import COLUMNS, LISTS, VALUE_WORDS, sheet_columns
from userops.lists.workbook import xlsx_bytes


def csv_rows(content: ListContent, language="both"):
    return list(csv.reader(io.StringIO(csv_bytes(content, language).decode("utf-8-sig"), newline="")))


def workbook(content: ListContent, language="both"):
    return openpyxl.load_workbook(io.BytesIO(xlsx_bytes(content, language)))


class TestSheet:
    @pytest.mark.parametrize(("language", "expected"), [("zh", ["zh"]), ("en", ["en"]), ("both", ["en", "zh"])])
    def test_sentences_are_in_the_chosen_language(self, language, expected):
        columns = make_list().sheet(language)
        assert [column.language for column in columns if column.name.startswith("reason")] == expected

    def test_codes_are_hidden_and_unknown_columns_come_last_under_their_own_words(self):
        types = {**TYPES, "is_vip": "BOOLEAN", "discount_share": "DOUBLE", "odd": "DECIMAL(9,2)", "seen": "DATE"}
        docs = {"is_vip": "Whether the user is a VIP (会员). 是否会员"}
        columns = sheet_columns(LISTS[0], types, docs, "both")
        names = [column.name for column in columns]
        assert "reason_1_code" not in names
        assert names[-4:] == ["is_vip", "discount_share", "odd", "seen"]
        assert (columns[-4].header_en, columns[-4].header_zh) == ("Is vip", "是否会员")
        assert [column.format.name for column in columns[-4:]] == ["TEXT", "PERCENT", "MONEY", "DATE"]

    @pytest.mark.parametrize("export", LISTS, ids=lambda export: export.name)
    def test_every_list_names_columns_with_words(self, export):
        assert set(export.columns) <= set(COLUMNS)
        assert {"user_id", "as_of_date"} <= set(export.columns)
        assert len(set(export.columns)) == len(export.columns)

    def test_stages_have_words_for_all_the_warehouse_knows(self):
        from userops.config import PROJECT_ROOT

        macro = (PROJECT_ROOT / "dbt_project" / "macros" / "lifecycle.sql").read_text(encoding="utf-8")
        stages = re.search(r"macro lifecycle_stages.*?return\(\[(.*?)\]\)", macro, re.DOTALL)
        assert stages
        assert set(re.findall(r'"(\w+)"', stages[1])) == set(VALUE_WORDS["lifecycle_stage"])


class TestSummary:
    def test_counts_are_in_the_order_people_expect(self):
        content = make_list({"risk_band": "low"}, {"risk_band": "high"}, {"risk_band": "high", "team": "b"})
        counts = content.summary().counts
        assert counts["risk_band"] == (("high", 2), ("low", 1))
        assert counts["team"] == (("b", 1), (None, 2))
        assert list(counts) == ["risk_band", "value_tier", "team", "lifecycle_stage"]

    def test_new_are_those_who_were_not_on_the_list_before(self):
        assert make_list({}, {}, {}, before={"u2", "gone"}).summary().new == 2
        assert make_list({}, {}).summary().new is None

    def test_the_lists_own_word_on_who_is_new_wins(self):
        types = {**TYPES, "first_warned_on": "DATE"}
        content = make_list(
            {"first_warned_on": DAY}, {"first_warned_on": DAY.replace(day=1)}, before=set(), types=types
        )
        assert content.summary().new == 1

    def test_a_degraded_model_is_told(self):
        types = {**TYPES, "model_is_degraded": "BOOLEAN"}
        assert make_list({"model_is_degraded": True}, types=types).summary().model_is_degraded is True
        assert make_list({"model_is_degraded": False}, types=types).summary().model_is_degraded is False
        assert make_list({}).summary().model_is_degraded is None

    def test_money_is_added_up_exactly_and_never_over_currencies(self):
        one = make_list({"expected_loss": Decimal("0.10")}, {"expected_loss": Decimal("0.20")})
        assert one.summary().money == ("expected_loss", "CNY", Decimal("0.30"))
        assert make_list({}, {"currency": "USD"}).summary().money is None

    def test_a_teams_list_is_its_rows_only(self):
        content = make_list({"team": "a"}, {"team": "b"}, {"team": "a"}).of_team("a")
        assert content.column("user_id") == ["u1", "u3"]
        assert content.fingerprint() != make_list({"team": "a"}, {"team": "b"}, {"team": "a"}).fingerprint()

    def test_the_fingerprint_follows_values_not_words(self):
        assert make_list({}).fingerprint() == make_list({}, before={"x"}).fingerprint()
        assert make_list({}).fingerprint() != make_list({"churn_probability": 0.91}).fingerprint()


class TestCsv:
    @settings(deadline=None, max_examples=50)
    @given(st.sampled_from(FORMULA_START), st.text(max_size=8))
    def test_no_text_cell_begins_like_a_formula(self, sign, rest):
        rows = csv_rows(make_list({"user_id": sign + rest}))
        assert rows[1][1].startswith("'" + sign)

    @pytest.mark.parametrize(("language", "header"), [("both", "用户 ID user_id"), ("zh", "用户 ID"), ("en", "User")])
    def test_one_header_line_in_the_chosen_language(self, language, header):
        rows = csv_rows(make_list({"user_id": "00012345678901234567"}), language)
        assert rows[0][1] == header
        assert rows[1][1] == "00012345678901234567"

    def test_it_begins_with_a_byte_order_mark(self):
        assert csv_bytes(make_list()).startswith(b"\xef\xbb\xbf" + "排名".encode())


class TestWorkbook:
    @pytest.mark.parametrize(
        ("language", "headers", "frozen"),
        [("both", ["排名", "Rank"], "C3"), ("zh", ["排名"], "C2"), ("en", ["Rank"], "C2")],
    )
    def test_header_rows_are_frozen_and_the_last_one_filters(self, language, headers, frozen):
        sheet = workbook(make_list({}, {}), language).worksheets[0]
        assert [sheet.cell(row, 1).value for row in range(1, len(headers) + 1)] == headers
        assert sheet.freeze_panes == frozen
        assert sheet.auto_filter.ref.startswith(f"A{len(headers)}:")
        assert sheet.auto_filter.ref.endswith(str(len(headers) + 2))

    def test_numbers_dates_and_ids_have_their_types(self):
        sheet = workbook(make_list({"user_id": "00123"}), "en").worksheets[0]
        cells = {cell.value: sheet.cell(2, cell.column) for cell in sheet[1]}
        assert (cells["User"].value, cells["User"].data_type, cells["User"].number_format) == ("00123", "s", "@")
        assert (cells["Churn probability"].value, cells["Churn probability"].number_format) == (0.9, "0.0%")
        assert (cells["Expected loss"].value, cells["Expected loss"].number_format) == (10.0, "#,##0.00")
        assert cells["As of"].value.date() == DAY
        assert cells["As of"].number_format == "yyyy-mm-dd"

    @settings(deadline=None, max_examples=20)
    @given(st.text(max_size=12))
    def test_any_text_stays_text(self, text):
        content = make_list({"user_id": "=" + text, "reason_1_zh": text, "team": "+" + text})
        sheet = workbook(content, "zh").worksheets[0]
        kinds = {cell.data_type for cell in sheet[2]}
        assert "f" not in kinds
        assert sheet.cell(2, 2).value.startswith("=")

    def test_no_cell_of_either_sheet_is_a_formula(self):
        hostile = dict.fromkeys(("user_id", "team", "risk_band", "reason_1_en", "model_version", "currency"), "=1+1")
        content = make_list(hostile)
        content.docs["user_id"] = "=HYPERLINK(1) 公式"
        book = workbook(content)
        assert not [cell.coordinate for sheet in book for row in sheet for cell in row if cell.data_type == "f"]

    def test_risk_bands_are_coloured_each_in_its_own(self):
        content = make_list({"risk_band": "high"}, {"risk_band": "medium"}, {"risk_band": "low"}, {"risk_band": "?"})
        sheet = workbook(content, "zh").worksheets[0]
        column = next(cell.column for cell in sheet[1] if cell.value == "风险等级")
        assert [sheet.cell(row, column).value for row in (2, 3, 4, 5)] == ["高", "中", "低", "?"]
        fills = [sheet.cell(row, column).fill.fgColor.rgb for row in (2, 3, 4, 5)]
        assert len(set(fills)) == 4

    def test_the_second_sheet_has_the_figures_and_what_every_column_means(self):
        content = make_list({}, {"risk_band": "low"}, before={"u1"})
        legend = workbook(content).worksheets[1]
        lines = [[cell.value for cell in row] for row in legend.iter_rows()]
        assert legend.title == "说明 Legend"
        assert ["人数 Users", "2", None, None] in lines
        assert ["今日新增 New today", "1", None, None] in lines
        assert ["高 High", 1, None, None] in lines
        assert [
            "流失概率",
            "Churn probability",
            "churn_probability",
            "流失概率\nCalibrated probability of churn.",
        ] in lines
        named = {line[2] for line in lines if line[2]}
        assert {column.name for column in content.sheet("both")} <= named

    def test_signs_that_xml_cannot_hold_and_numbers_that_are_none_are_left_out(self):
        content = make_list({"user_id": "a\x00b\x0bc\ud800", "churn_probability": float("nan")})
        sheet = workbook(content, "en").worksheets[0]
        assert sheet.cell(2, 2).value == "abc"
        cells = {cell.value: sheet.cell(2, cell.column).value for cell in sheet[1]}
        assert cells["Churn probability"] is None

    def test_equal_lists_give_equal_bytes_without_a_clock(self):
        content = xlsx_bytes(make_list({}))
        assert xlsx_bytes(make_list({})) == content
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert {item.date_time for item in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            properties = archive.read("docProps/core.xml").decode()
        assert re.findall(r">(\d{4}-[^<]*)</dcterms", properties) == ["2026-06-29T00:00:00Z"] * 2
