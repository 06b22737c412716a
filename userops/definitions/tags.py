"""Tags of users: config/tags.yml into the control table that `fct_user_tags` is compiled from.

A tag is a list of conditions on columns of `dim_user_personas`; a user has the tag when all of them hold. Nothing of
the file becomes SQL as it stands: columns must exist, operators are a closed list, values are checked against the
column's type and written as literals by dbt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from userops.config import PROJECT_ROOT, Settings
from userops.ingest.lake import write_control_table
from userops.ingest.sources import did_you_mean
from userops.yamlfile import load_model

#: Where the columns of personas and their types are written down.
PERSONA_CONTRACT = PROJECT_ROOT / "dbt_project" / "models" / "marts" / "persona" / "dim_user_personas.yml"

Operator = Literal[
    "=", "!=", "in", "not_in", ">=", ">", "<=", "<", "between", "is_null", "is_not_null", "is_true", "is_false",
    "top_share",
]  # fmt: skip
ValueType = Literal["text", "number", "date", "boolean"]
Value = bool | int | float | date | str

_OPERATORS: tuple[str, ...] = get_args(Operator)
_WITHOUT_VALUE = ("is_null", "is_not_null", "is_true", "is_false")
_WITH_LIST = ("in", "not_in")
_IN_ORDER = (">=", ">", "<=", "<", "between")


class Condition(BaseModel):
    """One condition on one column of dim_user_personas.

    Attributes:
        value: one value; a list for `in` and `not_in`; two for `between` (both included); a share between 0 and 1 for
            `top_share`; none for `is_...`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str
    op: Operator
    value: Value | tuple[Value, ...] | None = None

    @field_validator("column")
    @classmethod
    def _known_column(cls, column: str) -> str:
        return _known(column)

    @field_validator("op", mode="before")
    @classmethod
    def _known_operator(cls, operator: Any) -> Any:
        if operator not in _OPERATORS:
            hint = did_you_mean(str(operator), list(_OPERATORS))
            raise ValueError(f"one of {', '.join(_OPERATORS)}; {hint}".rstrip("; "))
        return operator

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        _check_operator(self.op, self.value_type)
        if self.op in _WITHOUT_VALUE:
            if self.value is not None:
                raise ValueError(f"no `value` with `{self.op}`")
        elif self.op == "top_share":
            share = self.value
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
                raise ValueError("a share above 0 and below 1 with `top_share`, such as 0.1")
        else:
            _check_count(self.op, self.value)
            for value in self.values:
                _check_type(value, self.value_type, self.column)
        return self

    @property
    def value_type(self) -> ValueType:
        """Type of the column."""
        return persona_columns()[self.column]

    @property
    def values(self) -> tuple[Value, ...]:
        """The values, none for `is_...`."""
        if self.value is None:
            return ()
        return self.value if isinstance(self.value, tuple) else (self.value,)


class Tag(BaseModel):
    """One tag; `shows` is the column whose value goes with it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name_en: str = Field(min_length=1)
    name_zh: str = Field(min_length=1)
    group: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    shows: str | None = None
    rule: tuple[Condition, ...] = Field(min_length=1)

    @field_validator("shows")
    @classmethod
    def _known_column(cls, column: str | None) -> str | None:
        return None if column is None else _known(column)


class TagFile(BaseModel):
    """tags.yml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tags: tuple[Tag, ...] = ()

    @model_validator(mode="after")
    def _unique_ids(self) -> Self:
        ids = [tag.id for tag in self.tags]
        repeated = sorted({name for name in ids if ids.count(name) > 1})
        if repeated:
            raise ValueError(f"an `id` of its own for every tag; {', '.join(repeated)} is used twice")
        return self


@cache
def persona_columns() -> Mapping[str, ValueType]:
    """Return the type of every column of dim_user_personas a tag may look at, from its dbt contract."""
    (model,) = yaml.safe_load(PERSONA_CONTRACT.read_text(encoding="utf-8"))["models"]
    return {column["name"]: _value_type(column["data_type"]) for column in model["columns"]}


@cache
def persona_values() -> Mapping[str, tuple[str, ...]]:
    """Return the only values that columns of dim_user_personas can have, where its dbt contract lists them."""
    (model,) = yaml.safe_load(PERSONA_CONTRACT.read_text(encoding="utf-8"))["models"]
    return {
        column["name"]: tuple(map(str, test["accepted_values"]["arguments"]["values"]))
        for column in model["columns"]
        for test in column.get("data_tests", [])
        if isinstance(test, dict) and "accepted_values" in test
    }


def load_tags(settings: Settings) -> tuple[Tag, ...]:
    """Return the configured tags; none when there is no tags.yml.

    Raises:
        ConfigError: tags.yml cannot be used.
    """
    file = settings.paths.tags_file
    return load_model(file, TagFile).tags if file.exists() else ()


def write_tags(settings: Settings) -> Path:
    """Write tag_definitions.parquet from tags.yml (no file: no rows) and return its path.

    Raises:
        ConfigError: tags.yml cannot be used.
    """
    rows = definition_rows(load_tags(settings))
    return write_control_table(settings, "tag_definitions", rows)


def definition_rows(tags: Iterable[Tag]) -> list[dict[str, Any]]:
    """Return the rows of tag_definitions: one per value of a condition, and one for a condition without values."""
    return [
        {
            "tag_id": tag.id,
            "tag_name_en": tag.name_en,
            "tag_name_zh": tag.name_zh,
            "tag_group": tag.group,
            "shown_column": tag.shows,
            "condition_number": number,
            "column_name": condition.column,
            "value_type": condition.value_type,
            "operator": condition.op,
            "value_number": value_number,
            "value": None if value is None else _text(value),
        }
        for tag in tags
        for number, condition in enumerate(tag.rule, start=1)
        for value_number, value in enumerate(condition.values or (None,), start=1)
    ]


def _known(column: str) -> str:
    known = list(persona_columns())
    if column not in known:
        hint = did_you_mean(column, known)
        raise ValueError(f"a column of dim_user_personas; {hint}".rstrip("; "))
    return column


def _value_type(data_type: str) -> ValueType:
    kind = data_type.split("(")[0].lower()
    if kind in ("bigint", "integer", "decimal", "double"):
        return "number"
    if kind in ("date", "timestamp"):
        return "date"
    return "boolean" if kind == "boolean" else "text"


def _check_operator(operator: str, kind: ValueType) -> None:
    if operator in ("is_true", "is_false") and kind != "boolean":
        raise ValueError(f"`{operator}` on a column that is true or false; this one holds {kind}")
    if operator == "top_share" and kind != "number":
        raise ValueError(f"`top_share` on a column of numbers; this one holds {kind}")
    if operator in _IN_ORDER and kind not in ("number", "date"):
        raise ValueError(f"`{operator}` on a column of numbers or dates; this one holds {kind}")


def _check_count(operator: str, value: Value | tuple[Value, ...] | None) -> None:
    if operator in _WITH_LIST:
        if not isinstance(value, tuple) or not value:
            raise ValueError(f"a list of values with `{operator}`, such as [a, b]")
    elif operator == "between":
        if not isinstance(value, tuple) or len(value) != 2:
            raise ValueError("two values with `between`, such as [1, 5]")
    elif value is None or isinstance(value, tuple):
        raise ValueError(f"one value with `{operator}`")


def _check_type(value: Value, kind: ValueType, column: str) -> None:
    fits = {
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "date": isinstance(value, date),
        "boolean": isinstance(value, bool),
        "text": isinstance(value, str),
    }[kind]
    if not fits:
        raise ValueError(f"a {kind} for `{column}`, not {value!r}")
    possible = persona_values().get(column)
    if kind == "text" and possible and value not in possible:
        hint = did_you_mean(str(value), list(possible))
        raise ValueError(f"one of {', '.join(possible)} for `{column}`, not {value!r}; {hint}".rstrip("; "))


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)
