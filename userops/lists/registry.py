"""Every list that is published: its table, its title, and what its sheet looks like.

A new list is one `ListExport` in `LISTS`. The words and formats of columns are shared by all lists (`COLUMNS`); a
column of the table that is named nowhere here is shown behind the others, under the words of its documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from userops.docs.bilingual import split_languages

#: In which language headers and sentences are: one of the two, or both.
Language = Literal["zh", "en", "both"]

_ID_COLUMN = "user_id"
_LONGEST_HEADER = 24


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
        name: column of the table.
        width: width in the workbook, in characters.
    """

    name: str
    header_en: str
    header_zh: str
    format: CellFormat = CellFormat.TEXT
    width: int = 14

    @property
    def language(self) -> str | None:
        """`en` or `zh` for a column of sentences that the other language has a column for, too; else None."""
        ending = self.name.rpartition("_")[2]
        return ending if ending in ("en", "zh") else None


@dataclass(frozen=True)
class ListExport:
    """One list.

    Attributes:
        name: folder and file name below `exports/`, and the name in the settings.
        table: published table with the columns `as_of_date` and `user_id`: an export model, without the held-out users.
        order_by: columns that order the rows; ties go by user.
        columns: names of columns in the order of the sheet; those the table lacks are left out.
        hidden: columns of the table that the sheet does not show; the Parquet file has them.
    """

    name: str
    table: str
    title_en: str
    title_zh: str
    columns: tuple[str, ...]
    order_by: tuple[str, ...] = ("rank",)
    hidden: tuple[str, ...] = ()

    def title(self, language: Language) -> str:
        """Return the title in `language`."""
        return both(self.title_zh, self.title_en, language)


_TEXT, _INTEGER, _NUMBER = CellFormat.TEXT, CellFormat.INTEGER, CellFormat.NUMBER
_MONEY, _PERCENT, _DATE = CellFormat.MONEY, CellFormat.PERCENT, CellFormat.DATE

#: Words, formats and widths of the columns that lists have.
COLUMNS: Mapping[str, ListColumn] = {
    column.name: column
    for column in (
        ListColumn("rank", "Rank", "排名", _INTEGER, 8),
        ListColumn("user_id", "User", "用户 ID", _TEXT, 20),
        ListColumn("team", "Team", "团队", _TEXT, 14),
        ListColumn("risk_band", "Risk", "风险等级", _TEXT, 12),
        ListColumn("churn_probability", "Churn probability", "流失概率", _PERCENT, 12),
        ListColumn("return_probability", "Return probability", "回流概率", _PERCENT, 12),
        ListColumn("expected_loss", "Expected loss", "预期损失", _MONEY, 14),
        ListColumn("expected_value", "Expected value", "预期价值", _MONEY, 14),
        ListColumn("user_value", "User value", "用户价值", _MONEY, 14),
        ListColumn("currency", "Currency", "币种", _TEXT, 10),
        ListColumn("value_tier", "Value tier", "价值层级", _TEXT, 12),
        ListColumn("lifecycle_stage", "Stage", "生命周期阶段", _TEXT, 16),
        ListColumn("days_silent", "Days silent", "沉默天数", _INTEGER, 11),
        ListColumn("usual_gap_days", "Usual gap (days)", "平时间隔（天）", _NUMBER, 13),
        ListColumn("first_warned_on", "First warned on", "首次预警日期", _DATE, 13),
        ListColumn("first_listed_on", "First listed on", "首次入选日期", _DATE, 13),
        ListColumn("days_on_list", "Days on the list", "在名单天数", _INTEGER, 11),
        ListColumn("last_active_date", "Last active", "最近活跃日", _DATE, 12),
        ListColumn("similar_users", "Similar users", "相似用户数", _INTEGER, 11),
        ListColumn("similar_returned", "Of them came back", "其中回流人数", _INTEGER, 12),
        ListColumn("trigger_en", "What brought them back", "回流诱因（英文）", _TEXT, 42),
        ListColumn("trigger_zh", "What brought them back (Chinese)", "回流诱因", _TEXT, 36),
        ListColumn("reason_1_en", "Reason 1", "原因 1（英文）", _TEXT, 42),
        ListColumn("reason_1_zh", "Reason 1 (Chinese)", "原因 1", _TEXT, 36),
        ListColumn("reason_2_en", "Reason 2", "原因 2（英文）", _TEXT, 42),
        ListColumn("reason_2_zh", "Reason 2 (Chinese)", "原因 2", _TEXT, 36),
        ListColumn("reason_3_en", "Reason 3", "原因 3（英文）", _TEXT, 42),
        ListColumn("reason_3_zh", "Reason 3 (Chinese)", "原因 3", _TEXT, 36),
        ListColumn("suggested_action_en", "Suggested action", "建议动作（英文）", _TEXT, 42),
        ListColumn("suggested_action_zh", "Suggested action (Chinese)", "建议动作", _TEXT, 36),
        ListColumn("incentive_en", "Suggested incentive", "建议激励（英文）", _TEXT, 30),
        ListColumn("incentive_zh", "Suggested incentive (Chinese)", "建议激励", _TEXT, 26),
        ListColumn("preferred_channel", "Preferred channel", "首选渠道", _TEXT, 16),
        ListColumn("is_manual", "Added by hand", "人工加入", _TEXT, 10),
        ListColumn("team_rank", "Rank in the team", "团队内排名", _INTEGER, 10),
        ListColumn("action_code", "Action code", "动作代码", _TEXT, 18),
        ListColumn("as_of_date", "As of", "统计日期", _DATE, 12),
        ListColumn("model_version", "Model", "模型版本", _TEXT, 24),
        ListColumn("model_is_degraded", "Model has declined", "模型已退化", _TEXT, 12),
    )
}

_SENTENCES = tuple(name for name, column in COLUMNS.items() if column.language)
_ABOUT_THE_ROW = (
    "preferred_channel", "is_manual", "team_rank", "as_of_date", "model_version", "model_is_degraded",
)  # fmt: skip
#: For programs; the sheet has the sentences.
_CODES = (
    "reason_1_code", "reason_2_code", "reason_3_code", "action_code", "incentive_code", "trigger_kind",
    "silence_days", "similar_campaign", "similar_coupon", "similar_category", "similar_channel",
)  # fmt: skip

CHURN_WARNING = ListExport(
    name="churn_warning",
    table="export_churn_warning_list",
    title_en="Churn warning list",
    title_zh="流失预警名单",
    columns=(
        "rank", "user_id", "team", "risk_band", "churn_probability", "expected_loss", "user_value", "currency",
        "value_tier", "lifecycle_stage", "days_silent", "usual_gap_days", "first_warned_on", "days_on_list",
        *_SENTENCES, *_ABOUT_THE_ROW,
    ),
    hidden=_CODES,
)  # fmt: skip

WINBACK = ListExport(
    name="winback",
    table="export_winback_list",
    title_en="Win-back list",
    title_zh="流失召回名单",
    columns=(
        "rank", "user_id", "team", "return_probability", "expected_value", "user_value", "currency", "value_tier",
        "last_active_date", "days_silent", "usual_gap_days", "first_listed_on", "days_on_list", "similar_users",
        "similar_returned", *_SENTENCES, *_ABOUT_THE_ROW,
    ),
    hidden=_CODES,
)  # fmt: skip

#: Every list that is published, once its table exists.
LISTS: tuple[ListExport, ...] = (CHURN_WARNING, WINBACK)

#: English and Chinese words for values that are codes, by column.
VALUE_WORDS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "risk_band": {"high": ("High", "高"), "medium": ("Medium", "中"), "low": ("Low", "低")},
    "value_tier": {"high": ("High", "高"), "medium": ("Medium", "中"), "low": ("Low", "低")},
    "lifecycle_stage": {
        "visitor": ("Visitor", "访客"), "new": ("New", "新手期"), "growing": ("Growing", "成长期"),
        "mature": ("Mature", "成熟期"), "at_risk": ("At risk", "衰退/沉默预警"), "churned": ("Churned", "流失"),
        "returned": ("Returned", "回流"),
    },
    "preferred_channel": {
        "push": ("Push", "推送"), "sms": ("SMS", "短信"), "email": ("E-mail", "邮件"), "app": ("App", "App"),
        "web": ("Web", "网页"),
    },
}  # fmt: skip


def both(zh: str, en: str, language: Language) -> str:
    """Return the words of `language`; of both, one after the other, once when they are the same."""
    if language == "zh":
        return zh
    return en if language == "en" or zh == en else f"{zh} {en}"


def value_words(column: str, value: str, language: Language) -> str:
    """Return the words for a code of a column; a value that is no known code is returned as it is."""
    words = VALUE_WORDS.get(column, {}).get(value)
    return both(words[1], words[0], language) if words else value


def sheet_columns(
    export: ListExport, types: Mapping[str, str], docs: Mapping[str, str], language: Language
) -> tuple[ListColumn, ...]:
    """Return the columns of a sheet in order.

    Args:
        types: DuckDB type of every column the table has.
        docs: documentation of its columns.
        language: sentences of the other language are left out.
    """
    named = [COLUMNS.get(name) or _unnamed(name, types[name], docs) for name in export.columns if name in types]
    others = [name for name in types if name not in {*export.columns, *export.hidden}]
    shown = [*named, *(COLUMNS.get(name) or _unnamed(name, types[name], docs) for name in others)]
    return tuple(column for column in shown if language == "both" or column.language in (None, language))


def order_columns(export: ListExport, names: Iterable[str]) -> Sequence[str]:
    """Return the columns that order the rows of a list among those the table has, the user last."""
    present = set(names)
    return [*(name for name in export.order_by if name in present and name != _ID_COLUMN), _ID_COLUMN]


def _unnamed(name: str, type_name: str, docs: Mapping[str, str]) -> ListColumn:
    english = name.replace("_", " ").capitalize()
    chinese = split_languages(docs.get(name, "")).zh
    return ListColumn(
        name, english, chinese if 0 < len(chinese) <= _LONGEST_HEADER else english, _format(name, type_name)
    )


def _format(name: str, type_name: str) -> CellFormat:
    kind = type_name.upper()
    if kind == "DATE":
        return _DATE
    if kind.endswith("INT") or kind in ("INTEGER", "UINTEGER"):
        return _INTEGER
    if kind.startswith("DECIMAL"):
        return _MONEY
    if kind in ("DOUBLE", "FLOAT"):
        return _PERCENT if name.endswith(("_probability", "_share", "_rate")) else _NUMBER
    return _TEXT
