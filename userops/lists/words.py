"""The figures of a list as words people read, in the workbook, in a mail and in a chat."""

from __future__ import annotations

from userops.lists.content import ListSummary
from userops.lists.registry import COLUMNS, Language, both

_MODEL_WARNING = (
    "模型效果下降：请谨慎使用名单，并联系数据团队",
    "degraded: use the list with care and ask the data team",
)


def dimension_words(name: str, language: Language) -> str:
    """Return what a list is counted by."""
    column = COLUMNS[name]
    return both(column.header_zh, column.header_en, language)


def summary_lines(summary: ListSummary, language: Language) -> list[tuple[str, str]]:
    """Return (label, figure) of everything but the counts by dimension; a degraded model comes first."""
    lines = []
    if summary.model_is_degraded:
        lines.append((both("⚠ 模型", "Model", language), both(*_MODEL_WARNING, language)))
    lines.append((both("人数", "Users", language), f"{summary.rows:,}"))
    if summary.new is not None:
        lines.append((both("今日新增", "New today", language), f"{summary.new:,}"))
    if summary.money is not None:
        name, currency, amount = summary.money
        label = both(f"{COLUMNS[name].header_zh}合计", f"{COLUMNS[name].header_en} in all", language)
        lines.append((label, f"{amount:,.2f} {currency}".strip()))
    if summary.model_versions:
        lines.append((both("模型版本", "Model version", language), ", ".join(summary.model_versions)))
    return lines
