"""The data dictionary: one page per language, every mart with its key, columns, allowed values and neighbours.

A section is a group of models (`models/_groups.yml`), as in the lineage picture. The pages are written from
the manifest alone and in a fixed order, so that the same project gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from userops.docs.bilingual import Bilingual, split_languages
from userops.docs.project import Column, Described, Model, Project
from userops.warehouse.publication import PUBLICATION_COLUMNS, PUBLICATION_COMMENTS, PUBLICATION_TABLE

#: Heading of the section about the table that publishing itself writes.
_PUBLICATION = "publication"

_EN = {
    "title": "Data dictionary",
    "other": "[中文](data_dictionary.zh-CN.md)",
    "made": "Written by `userops docs dictionary` from the dbt project; edit the descriptions there, not here.",
    "how": (
        "Every table of `published/marts.duckdb`, of the Parquet beside it and of the PostgreSQL schema `marts`. "
        "Unless a description says otherwise, money is in the project's currency, times are UTC, dates are business "
        "dates, and everything is the state at the end of the as-of date. Terms are explained in the "
        "[glossary](glossary.md), and figures that share a name but not a definition under "
        "[one name, two figures](questions.md#one-name-two-figures--同名不同义)."
    ),
    "contents": "Contents",
    "domain": "domain",
    "tables": "tables",
    "key": "Key",
    "holds": "Always true",
    "from": "Built from",
    "read": "Read by",
    "terms": "Terms",
    "column": "column",
    "type": "type",
    "meaning": "meaning",
    "values": "values",
    "publication": "What is published, and as of which date.",
    "not_null": "never null",
    "unique": "unique",
    "metrics": "Metrics",
    "metrics_how": (
        "Ask for them with `userops metrics query --metrics dau,orders --group-by metric_time__day`; "
        "`userops metrics list dimensions --metrics dau` names what a metric can be cut by."
    ),
    "metric": "metric",
    "label": "name",
    "behind": "Behind the marts",
    "behind_how": "Models nobody needs to read, but that the tables above are built from.",
    "model": "model",
    "uses": "Who uses what",
    "exposure": "use",
    "and": ", ",
    "then": "; ",
}
_ZH = {
    "title": "数据字典",
    "other": "[English](data_dictionary.md)",
    "made": "由 `userops docs dictionary` 根据 dbt 项目生成；请修改 dbt 中的描述，不要修改本页。",
    "how": (
        "包含 `published/marts.duckdb`、同目录 Parquet 以及 PostgreSQL 模式 `marts` 中的全部表。"
        "除另有说明外，金额为项目本位币，时间为 UTC，日期为业务日；所有内容均为截止日日终状态。"
        "“定义”为空的列，见其“含义”即可。名词解释见[术语表](glossary.md)；名称相同而口径不同的指标见"
        "[同名不同义](questions.md#one-name-two-figures--同名不同义)。"
    ),
    "contents": "目录",
    "domain": "业务域",
    "tables": "表",
    "key": "主键（每行的粒度）",
    "holds": "恒成立",
    "from": "来源",
    "read": "下游",
    "terms": "术语",
    "column": "列",
    "type": "类型",
    "meaning": "含义",
    "definition": "定义",
    "values": "取值",
    "publication": "本次发布的内容与截止日",
    "not_null": "非空",
    "unique": "唯一",
    "metrics": "指标",
    "metrics_how": (
        "查询方式：`userops metrics query --metrics dau,orders --group-by metric_time__day`；可用维度："
        "`userops metrics list dimensions --metrics dau`。"
    ),
    "metric": "指标",
    "label": "名称",
    "behind": "中间模型",
    "behind_how": "一般无需直接读取，上面各表由它们构建而成。",
    "model": "模型",
    "uses": "下游使用",
    "exposure": "用途",
    "and": "、",
    "then": "；",
}


@dataclass(frozen=True)
class Term:
    """One line of the glossary."""

    en: str
    zh: str


def read_glossary(text: str) -> list[Term]:
    """Return the terms of a glossary page: the first two columns of its table."""
    rows = [line.strip().strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [Term(row[0].strip(), row[1].strip()) for row in rows[2:] if len(row) >= 2]


def dictionary_page(project: Project, glossary: Sequence[Term], chinese: bool) -> str:
    """Return the dictionary as Markdown, in English or in Chinese."""
    return _Page(project, glossary, chinese).text()


class _Page:
    def __init__(self, project: Project, glossary: Sequence[Term], chinese: bool) -> None:
        self.project = project
        self.glossary = glossary
        self.chinese = chinese
        self.words: Mapping[str, str] = _ZH if chinese else _EN
        self.marts = project.of_layer("marts", "exports")
        self.groups = sorted({model.group for model in self.marts})

    def text(self) -> str:
        word = self.words
        lines = [f"# {word['title']}", "", word["other"], "", word["made"], "", word["how"], ""]
        lines += [f"## {word['contents']}", "", *self._contents(), ""]
        for group in self.groups:
            lines += [f"## {group}", "", self._meaning_of_group(group), ""]
            for model in self._of_group(group):
                lines += [*self._mart(model), ""]
        lines += [f"## {_PUBLICATION}", "", word["publication"], "", *self._publication(), ""]
        lines += [f"## {word['metrics']}", "", word["metrics_how"], "", *self._metrics(), ""]
        lines += [f"## {word['uses']}", "", *self._exposures(), ""]
        lines += [f"## {word['behind']}", "", word["behind_how"], "", *self._behind()]
        return "\n".join(lines) + "\n"

    def _of_group(self, group: str) -> list[Model]:
        return [model for model in self.marts if model.group == group]

    def _meaning_of_group(self, name: str) -> str:
        meanings = {group.name: self._said(group.description) for group in self.project.of_kind("group")}
        return meanings.get(name, "")

    def _said(self, description: Bilingual) -> str:
        return description.zh if self.chinese else description.en

    def _contents(self) -> list[str]:
        rows = []
        for group in self.groups:
            tables = [f"[{model.name}](#{model.name})" for model in self._of_group(group)]
            rows.append([group, self._meaning_of_group(group), ", ".join(tables)])
        rows.append([_PUBLICATION, self.words["publication"], f"[{PUBLICATION_TABLE}](#{PUBLICATION_TABLE})"])
        return _table([self.words["domain"], self.words["meaning"], self.words["tables"]], rows)

    def _mart(self, model: Model) -> list[str]:
        columns = [self._column(column, *self._values(model, column)) for column in model.columns]
        return [*self._heading(model.name, model.description), *self._facts(model), "", *self._columns(columns)]

    def _publication(self) -> list[str]:
        """Return the table that publishing writes beside the marts; dbt does not know it."""
        columns = [
            self._column(Column(name, column.data_type, column.text, column.not_null))
            for name, column in PUBLICATION_COLUMNS.items()
        ]
        heading = self._heading(PUBLICATION_TABLE, split_languages(PUBLICATION_COMMENTS.table))
        return [*heading, *self._columns(columns)]

    def _heading(self, table: str, description: Bilingual) -> list[str]:
        if not self.chinese:
            return [f"### {table}", "", description.en, ""]
        definition = [description.definition_zh, ""] if description.definition_zh else []
        return [f"### {table}", "", f"**{description.term_zh}**", "", *definition]

    def _columns(self, rows: Sequence[Sequence[str]]) -> list[str]:
        word = self.words
        meaning = [word["meaning"], word["definition"]] if self.chinese else [word["meaning"]]
        return _table([word["column"], word["type"], *meaning, word["values"]], rows)

    def _facts(self, model: Model) -> Iterator[str]:
        word, joined = self.words, self.words["and"]
        if model.key:
            zh_of = {column.name: f"（{column.description.term_zh}）" for column in model.columns if self.chinese}
            named = [f"`{name}`{zh_of.get(name, '')}" for name in model.key]
            yield f"- **{word['key']}**: {joined.join(named)}"
        holds = [check.arguments["expression"] for check in model.checks if check.kind == "expression_is_true"]
        if holds:
            yield f"- **{word['holds']}**: " + joined.join(f"`{' '.join(expression.split())}`" for expression in holds)
        needs = [self._linked(name) for name in model.models] + [f"`{name}`" for name in [*model.seeds, *model.sources]]
        if needs:
            yield f"- **{word['from']}**: {joined.join(needs)}"
        readers = [self._linked(name) for name in self.project.readers(model.name)]
        if readers:
            yield f"- **{word['read']}**: {joined.join(readers)}"
        terms = self._terms(model)
        if terms:
            yield f"- **{word['terms']}**: [{joined.join(terms)}](glossary.md)"

    def _linked(self, name: str) -> str:
        model = self.project.models.get(name)
        return f"[{name}](#{name})" if model is not None and model in self.marts else f"`{name}`"

    def _terms(self, model: Model) -> list[str]:
        """Return the words of the glossary that the table's descriptions use.

        Of one common word (`new`, `lift`) that is only sure where its Chinese term stands there as well.
        """
        said = " ".join([model.text, *(column.text for column in model.columns)]).lower()
        used = [
            term
            for term in self.glossary
            if re.search(rf"\b{re.escape(term.en.lower())}s?\b", said) and (" " in term.en or term.zh in said)
        ]
        return [term.zh if self.chinese else term.en for term in used]

    def _column(self, column: Column, *notes: str) -> list[str]:
        """Return the row of a column; `notes` say which values it has."""
        said = column.description
        meaning = [said.term_zh, said.definition_zh] if self.chinese else [said.en]
        not_null = [self.words["not_null"]] if column.not_null else []
        return [f"`{column.name}`", column.data_type, *meaning, self.words["then"].join([*notes, *not_null])]

    def _values(self, model: Model, column: Column) -> list[str]:
        values = _accepted_values(model, column)
        notes = [", ".join(f"`{value}`" for value in values)] if values else []
        return [*notes, self.words["unique"]] if [column.name] == model.key else notes

    def _metrics(self) -> list[str]:
        rows = [self._labelled(item) for item in self.project.of_kind("metric")]
        return _table([self.words["metric"], self.words["label"], self.words["meaning"]], rows)

    def _exposures(self) -> list[str]:
        rows = [
            [*self._labelled(item)[1:], ", ".join(self._linked(name) for name in item.needs)]
            for item in self.project.of_kind("exposure")
        ]
        return _table([self.words["exposure"], self.words["meaning"], self.words["tables"]], rows)

    def _labelled(self, item: Described) -> list[str]:
        return [f"`{item.name}`", item.label, self._said(item.description)]

    def _behind(self) -> list[str]:
        models = self.project.of_layer("staging", "intermediate")
        rows = [[f"`{model.name}`", self._said(model.description)] for model in models]
        return _table([self.words["model"], self.words["meaning"]], rows)


def _accepted_values(model: Model, column: Column) -> list[str]:
    for check in model.checks:
        if check.kind == "accepted_values" and check.column == column.name:
            return [str(value) for value in check.arguments["values"]]
    return []


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [headers, ["---"] * len(headers), *rows]
    return ["| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
