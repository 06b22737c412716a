"""Source YAMLs: where an export lies, what it looks like, and which canonical column each of its fields fills."""

from __future__ import annotations

import codecs
import difflib
import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from userops.config import Settings
from userops.contracts.entities import ENTITIES, Entity
from userops.errors import ConfigError
from userops.yamlfile import load_model

#: Column name, inside `expr` and `filter`, of the file's path relative to landing/.
FILE_COLUMN = "_file"
EPOCH_FORMATS = ("epoch_s", "epoch_ms")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FilesSpec(_Section):
    """Which files below landing/ belong to the source."""

    path: str = Field(description="folder below landing/")
    pattern: str = Field(description="file name pattern below that folder, such as events_*.jsonl.gz")
    optional: bool = Field(False, description="whether the folder may be missing or empty")

    @field_validator("path", "pattern")
    @classmethod
    def _inside_landing(cls, value: str) -> str:
        if not value.strip() or PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts:
            raise ValueError("a relative path below landing/, without `..`")
        return value


class FormatSpec(_Section):
    """How the bytes of a file are read."""

    type: Literal["csv", "jsonl", "parquet"]
    compression: Literal["auto", "none", "gzip"] = Field("auto", description="auto looks at the file's first bytes")
    delimiter: str = Field(",", min_length=1, max_length=4)
    quote: str = Field('"', max_length=1)
    escape: str = Field('"', max_length=1)
    header: bool = True
    encoding: str = "utf-8"
    names: tuple[str, ...] = Field((), description="column names of a csv without a header line")

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            return codecs.lookup(value).name
        except LookupError:
            raise ValueError("an encoding Python knows, such as utf-8, gb18030 or latin-1") from None

    @model_validator(mode="after")
    def _names_only_without_header(self) -> Self:
        if self.type == "csv" and not self.header and not self.names:
            raise ValueError("`names`, one per column, because `header` is false")
        if self.names and (self.header or self.type != "csv"):
            raise ValueError("`names` only together with type csv and `header: false`")
        if len({name.lower() for name in self.names}) != len(self.names):
            raise ValueError("`names` that differ by more than upper and lower case")
        return self


class ColumnMapping(_Section):
    """What fills one canonical column: exactly one of a source column, an expression and a constant."""

    column: str | None = None
    expr: str | None = None
    value: str | int | float | bool | None = None
    format: str | None = Field(None, description="strptime format, epoch_s or epoch_ms; default ISO 8601")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(item is not None for item in (self.column, self.expr, self.value)) != 1:
            raise ValueError("exactly one of `column`, `expr` and `value`")
        return self

    @property
    def constant(self) -> str | None:
        """The constant as text, or None."""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return None if self.value is None else str(self.value)


def _column_name_shorthand(value: Any) -> Any:
    """`event_id: id` is short for `event_id: {column: id}`."""
    if isinstance(value, str):
        return {"column": value}
    if not isinstance(value, dict | ColumnMapping):
        raise ValueError("a source column name, or a mapping with `column`, `expr` or `value`")
    return value


class Source(_Section):
    """One source YAML."""

    source: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="unique name")
    entity: str
    files: FilesSpec
    format: FormatSpec
    timezone: str = Field("", description="zone of times without an offset; default: the project's")
    columns: dict[str, Annotated[ColumnMapping, BeforeValidator(_column_name_shorthand)]] = Field(min_length=1)
    event_names: dict[str, str] = Field(default_factory=dict)
    unknown_events: Literal["keep", "quarantine"] = "keep"
    filter: str | None = Field(None, min_length=1, description="rows for which this is not true are filtered")
    max_quarantine_share: float | None = Field(None, ge=0.0, le=1.0)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value and value not in available_timezones():
            raise ValueError("an IANA time zone such as Asia/Shanghai or Europe/Amsterdam")
        return value

    @property
    def contract(self) -> Entity:
        """The canonical entity the source feeds."""
        return ENTITIES[self.entity]

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change when anything but the file pattern or the gate's threshold changes."""
        document = self.model_dump(mode="json", exclude={"files", "max_quarantine_share"})
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def load_sources(settings: Settings) -> list[Source]:
    """Read every source YAML of the configuration directory, ordered by source name.

    Raises:
        ConfigError: there is none, one cannot be used, or two have the same name.
    """
    folder = settings.paths.sources
    files = sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]) if folder.is_dir() else []
    if not files:
        raise ConfigError(
            str(folder),
            "no source YAML",
            "at least one file *.yml that describes an export",
            "write one (docs: sources), or point USEROPS_CONFIG at the directory that has them",
        )
    by_name: dict[str, Path] = {}
    sources = []
    for file in files:
        source = load_source(file, settings)
        if source.source in by_name:
            raise ConfigError(
                f"{file}, key `source`",
                f"`{source.source}`, which {by_name[source.source]} uses already",
                "a name of its own for every source",
                "rename one of the two",
            )
        by_name[source.source] = file
        sources.append(source)
    return sorted(sources, key=lambda source: source.source)


def load_source(file: Path, settings: Settings) -> Source:
    """Read and check one source YAML; its time zone is filled in from the project's when it names none.

    Raises:
        ConfigError: with the key, what was found, what was expected.
    """
    source = load_model(file, Source)
    if source.entity not in ENTITIES:
        raise ConfigError(
            f"{file}, key `entity`",
            f"`{source.entity}`",
            f"one of {', '.join(ENTITIES)}",
            did_you_mean(source.entity, list(ENTITIES)) or "correct the entity",
        )
    _check_columns(source, file)
    if source.timezone:
        return source
    return source.model_copy(update={"timezone": settings.project.timezone})


def did_you_mean(name: str, known: list[str]) -> str:
    """Return "did you mean `x`?" for the closest known name, or an empty string."""
    lowered = {item.lower(): item for item in reversed(known)}
    close = difflib.get_close_matches(name.lower(), list(lowered), n=1)
    return f"did you mean `{lowered[close[0]]}`?" if close else ""


def _check_columns(source: Source, file: Path) -> None:
    contract = source.contract
    known = list(contract.column_names)
    pii = {column.name for column in contract.columns if column.pii}
    for name, mapping in source.columns.items():
        where = f"{file}, key `columns.{name}`"
        if name in pii:
            raise ConfigError(
                where,
                f"the personal-data column `{name}`",
                f"only these columns of `{contract.name}`: {', '.join(known)}",
                "PII columns are not stored until the vault exists; leave it out",
            )
        if name not in known:
            raise ConfigError(
                where,
                f"`{name}`, which `{contract.name}` does not have",
                f"one of {', '.join(known)}",
                did_you_mean(name, known) or "correct the name, or put the field into `properties`",
            )
        if mapping.format is not None and contract.column(name).type.duckdb not in ("TIMESTAMP", "DATE"):
            raise ConfigError(
                f"{file}, key `columns.{name}.format`",
                f"a time format on a column of type {contract.column(name).type.value}",
                "`format` on times and dates only",
                "remove `format`",
            )
    missing = [
        column.name for column in contract.stored_columns if column.required and column.name not in source.columns
    ]
    if missing:
        raise ConfigError(
            f"{file}, key `columns`",
            f"no mapping for {', '.join(missing)}",
            f"every required column of `{contract.name}`",
            f"map {', '.join(missing)} to a source column, an `expr` or a constant `value`",
        )
    if contract.one_of and not set(contract.one_of) & set(source.columns):
        raise ConfigError(
            f"{file}, key `columns`",
            f"neither {' nor '.join(contract.one_of)}",
            f"at least one of {', '.join(contract.one_of)}",
            "map the column that says who did it",
        )
    if (source.event_names or source.unknown_events == "quarantine") and "event_name" not in known:
        raise ConfigError(
            f"{file}, key `event_names`",
            f"an event-name map for `{contract.name}`",
            "event names on `events` only",
            "remove `event_names` and `unknown_events`",
        )
