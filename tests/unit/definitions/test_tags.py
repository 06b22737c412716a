"""tags.yml: what is accepted, what is refused and how, and the rows dbt gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from userops.config import Settings
from userops.definitions.tags import PERSONA_CONTRACT, load_tags, persona_columns, write_tags
from userops.errors import ConfigError

TAG = "tags:\n  - {{id: t, name_en: T, name_zh: 标签, group: g, rule: [{condition}]}}\n"


@pytest.fixture
def write(instance: Callable[..., Settings]) -> Callable[[str], Settings]:
    """Return a maker of settings with this tags.yml."""

    def make(text: str) -> Settings:
        settings = instance()
        settings.paths.tags_file.write_text(text, encoding="utf-8")
        return settings

    return make


def _condition(text: str) -> str:
    return TAG.format(condition="{" + text + "}")


def test_columns_and_types_come_from_the_contract_of_the_personas() -> None:
    columns = persona_columns()
    assert (columns["orders"], columns["net_revenue"], columns["city"]) == ("number", "number", "text")
    assert (columns["last_active_date"], columns["registered_at"], columns["is_buyer"]) == ("date", "date", "boolean")
    assert PERSONA_CONTRACT.name == "dim_user_personas.yml"


def test_no_file_no_tags(instance: Callable[..., Settings]) -> None:
    settings = instance()
    assert load_tags(settings) == ()
    assert pq.read_table(write_tags(settings)).num_rows == 0


def test_a_definition_becomes_one_row_per_value(write: Callable[[str], Settings]) -> None:
    text = """
tags:
  - id: odd
    name_en: It's odd
    name_zh: 奇
    group: test
    shows: orders
    rule:
      - {column: city, op: "not_in", value: ["x'; drop", 北京]}
      - {column: is_buyer, op: "is_true"}
      - {column: last_active_date, op: ">=", value: 2024-01-31}
      - {column: net_revenue, op: "top_share", value: 0.05}
"""
    rows = pq.read_table(write_tags(write(text))).to_pylist()
    columns = ("condition_number", "value_number", "operator", "value_type", "value")
    assert [tuple(row[column] for column in columns) for row in rows] == [
        (1, 1, "not_in", "text", "x'; drop"),
        (1, 2, "not_in", "text", "北京"),
        (2, 1, "is_true", "boolean", None),
        (3, 1, ">=", "date", "2024-01-31"),
        (4, 1, "top_share", "number", "0.05"),
    ]
    assert {(row["tag_id"], row["tag_name_en"], row["shown_column"]) for row in rows} == {("odd", "It's odd", "orders")}


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("column: ordres, op: '=', value: 1", "did you mean `orders`?"),
        ("column: orders, op: '==', value: 1", "one of =, !=, in"),
        ("column: orders, op: '=', value: many", "a number for `orders`, not 'many'"),
        ("column: orders, op: '=', value: true", "a number for `orders`, not True"),
        ("column: city, op: '=', value: 3", "a text for `city`, not 3"),
        ("column: value_tier, op: '=', value: hihg", "did you mean `high`?"),
        ("column: city, op: '>', value: a", "on a column of numbers or dates"),
        ("column: orders, op: is_true", "on a column that is true or false"),
        ("column: is_buyer, op: is_true, value: true", "no `value` with `is_true`"),
        ("column: orders, op: between, value: [1]", "two values with `between`"),
        ("column: orders, op: in, value: 1", "a list of values with `in`"),
        ("column: orders, op: '>='", "one value with `>=`"),
        ("column: orders, op: top_share, value: 5", "a share above 0 and below 1"),
        ("column: city, op: top_share, value: 0.1", "`top_share` on a column of numbers"),
        ("column: orders, operator: '=', value: 1", "unknown key"),
    ],
)
def test_an_error_names_file_line_and_fix(write: Callable[[str], Settings], condition: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_tags(write(_condition(condition)))
    assert message in str(caught.value)
    assert "tags.yml:2" in caught.value.where


def test_an_id_is_used_once(write: Callable[[str], Settings]) -> None:
    tag = "  - {id: t, name_en: T, name_zh: 标签, group: g, rule: [{column: is_buyer, op: is_true}]}\n"
    with pytest.raises(ConfigError, match="t is used twice"):
        load_tags(write("tags:\n" + tag + tag))


def test_the_tags_that_come_with_the_project_are_valid() -> None:
    shipped = Path(__file__).resolve().parents[3] / "config"
    tags = load_tags(Settings(config=shipped))
    assert len(tags) >= 20
    assert len({tag.group for tag in tags}) >= 5
