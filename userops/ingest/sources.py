"""Source YAMLs: where an export lies, what it looks like, and which canonical column each of its fields fills."""

from __future__ import annotations

import codecs
import difflib
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import as_file
from importlib.resources import files as package_files
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from userops.config import Settings, time_zones
from userops.contracts.entities import ENTITIES, Entity
from userops.errors import ConfigError, UseropsError
from userops.ingest.failures import told
from userops.yamlfile import config_error, read_mapping

#: Column name, inside `expr` and `filter`, of the file's path relative to landing/.
FILE_COLUMN = "_file"
#: Column name, inside `expr` and `filter`, of the 1-based number of the record in its file.
ROW_COLUMN = "_row"
#: DuckDB types of the columns every file has besides its own.
PSEUDO_COLUMNS = {FILE_COLUMN: "VARCHAR", ROW_COLUMN: "BIGINT"}
EPOCH_FORMATS = ("epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
#: Format of a time that is a number of days since `anchor`.
RELATIVE_DAYS = "relative_days"
#: What a source may be called.
SOURCE_NAME = r"^[a-z][a-z0-9_]*$"
#: Format delimiter that stands for runs of spaces and tabs.
WHITESPACE = "whitespace"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CompleteSpec(_Section):
    """When a file may be taken: all that is given must hold."""

    stable_seconds: int = Field(0, ge=0, description="size and time stamp unchanged for at least this long")
    marker: str | None = Field(None, description="name of a file in the same folder, such as _SUCCESS")
    marker_suffix: str | None = Field(None, description="suffix of a file beside each one: data.csv and data.csv.done")

    @field_validator("marker", "marker_suffix")
    @classmethod
    def _plain_name(cls, value: str | None) -> str | None:
        if value is not None and (not value.strip() or "/" in value):
            raise ValueError("a file name or suffix without `/`, such as _SUCCESS or .done")
        return value


class FilesSpec(_Section):
    """Which files belong to the source: a folder below landing/ (`path`), or a folder anywhere (`url`)."""

    path: str | None = Field(None, description="folder below landing/")
    url: str | None = Field(None, description="fsspec URL of a folder: s3://, gs://, sftp://, http(s)://, file://")
    connection: str | None = Field(None, description="id of the Airflow connection with the credentials of `url`")
    pattern: str = Field(description="file pattern below that folder: events_*.jsonl.gz, dt=*/part-*.parquet, **/*.csv")
    optional: bool = Field(False, description="whether the folder may be missing or empty")
    complete: CompleteSpec = CompleteSpec()

    @field_validator("path", "pattern")
    @classmethod
    def _inside_folder(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not value.strip() or PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts:
            raise ValueError("a relative path, without `..`")
        return value

    @field_validator("url")
    @classmethod
    def _no_password(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if not parts.scheme or "://" not in value:
            raise ValueError("a URL such as s3://bucket/folder or sftp://host/folder")
        if parts.password is not None:
            raise ValueError("a URL without a password; credentials belong in an Airflow connection")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise ValueError("exactly one of `path` (a folder below landing/) and `url` (a folder anywhere)")
        if self.connection is not None and self.url is None:
            raise ValueError("`connection` only together with `url`")
        return self


class FormatSpec(_Section):
    """How the bytes of a file are read."""

    type: Literal["csv", "fixed", "jsonl", "json", "parquet", "xlsx"]
    compression: Literal["auto", "none", "gzip", "zstd", "zip"] = Field(
        "auto", description="auto looks at the file's first bytes"
    )
    member: str | None = Field(None, description="zip: pattern of the one file to read, such as orders_*.csv")
    delimiter: str = Field(",", min_length=1, description=f"1 to 4 characters, or `{WHITESPACE}`: runs of spaces")
    quote: str = Field('"', max_length=1)
    escape: str = Field('"', max_length=1)
    header: bool = True
    skip_lines: int = Field(0, ge=0, description="csv, fixed, xlsx: lines above the header (or the first record)")
    encoding: str = "utf-8"
    names: tuple[str, ...] = Field((), description="column names of a csv, fixed or xlsx file without a header line")
    widths: tuple[PositiveInt, ...] = Field((), description="fixed: width of each column in characters")
    records: str | None = Field(None, description="json: JSON path of the array of records; default: the document")
    sheet: str | int = Field(1, description="xlsx: name or 1-based number of the sheet")

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            return codecs.lookup(value).name
        except LookupError:
            raise ValueError("an encoding Python knows, such as utf-8, gb18030, utf-16 or latin-1") from None

    @field_validator("delimiter")
    @classmethod
    def _short_delimiter(cls, value: str) -> str:
        if len(value) > 4 and value != WHITESPACE:
            raise ValueError(f"1 to 4 characters, or `{WHITESPACE}`")
        return value

    @field_validator("records")
    @classmethod
    def _json_path(cls, value: str | None) -> str | None:
        return None if value is None else checked_json_path(value)

    @model_validator(mode="after")
    def _names_only_without_header(self) -> Self:
        tabular = self.type in ("csv", "fixed", "xlsx")
        if tabular and not self.header and not self.names:
            raise ValueError("`names`, one per column, because `header` is false")
        if self.names and (self.header or not tabular):
            raise ValueError("`names` only together with type csv, fixed or xlsx and `header: false`")
        if len({name.lower() for name in self.names}) != len(self.names):
            raise ValueError("`names` that differ by more than upper and lower case")
        return self

    @model_validator(mode="after")
    def _options_of_the_type(self) -> Self:
        if (self.type == "fixed") != bool(self.widths):
            raise ValueError("`widths`, one per column, exactly when `type` is fixed")
        if self.names and self.widths and len(self.names) != len(self.widths):
            raise ValueError("as many `names` as `widths`")
        if self.records is not None and self.type != "json":
            raise ValueError("`records` only together with type json")
        if self.skip_lines and self.type not in ("csv", "fixed", "xlsx"):
            raise ValueError("`skip_lines` only together with type csv, fixed or xlsx")
        if self.type in ("parquet", "xlsx") and self.encoding != "utf-8":
            raise ValueError(f"no `encoding` for type {self.type}: its text is Unicode")
        return self


def checked_json_path(value: str) -> str:
    """Return a JSON path as DuckDB takes it: `$.user.id`, `$.items[0]`, keys with other characters in double quotes.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(r"""\$(\.(\w+|"[^"]+")|\[\d+\])*""", value):
        raise ValueError('a JSON path such as $.user.id, $.items[0].sku or $.properties."$os"')
    return value


class ColumnMapping(_Section):
    """What fills one canonical column: exactly one of a source column, a JSON path, an expression and a constant."""

    column: str | None = None
    path: str | None = Field(None, description="jsonl and json: JSON path of a nested field, such as $.user.id")
    expr: str | None = None
    value: str | int | float | bool | None = None
    format: str | None = Field(
        None,
        description="times: strptime format, epoch_s, epoch_ms, epoch_us, epoch_ns or relative_days; default ISO 8601",
    )
    anchor: date | None = Field(None, description="relative_days: the date of day 0, in the source's zone")
    decimal: Literal[".", ","] | None = Field(
        None, description='money and numbers: the decimal sign, default "."; the other one groups thousands'
    )

    @field_validator("path")
    @classmethod
    def _json_path(cls, value: str | None) -> str | None:
        return None if value is None else checked_json_path(value)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(item is not None for item in (self.column, self.path, self.expr, self.value)) != 1:
            raise ValueError("exactly one of `column`, `path`, `expr` and `value`")
        if (self.format == RELATIVE_DAYS) != (self.anchor is not None):
            raise ValueError("`anchor`, the date of day 0, exactly when `format` is relative_days")
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
        raise ValueError("a source column name, or a mapping with `column`, `path`, `expr` or `value`")
    return value


class TypeDriftSpec(_Section):
    """When values of the wrong type hold the whole file instead of their own rows."""

    share: float = Field(0.01, ge=0.0, le=1.0, description="largest share of a file's rows with an unreadable value")
    rows: PositiveInt = Field(10, description="fewer unreadable rows than this never hold a file")


class VolumeSpec(_Section):
    """What an unusual number of rows on a business date does.

    `stop`: the source is red, and the new files of an excess stay out of the lake (`on_failure: stop_day`: the day
    stops); `flag`: a warning; `ignore`: nothing.
    """

    empty: Literal["stop", "flag", "ignore"] = "flag"
    excess: Literal["stop", "flag", "ignore"] = "flag"
    factor: float = Field(10.0, gt=1.0, description="excess: at least this many times the expected rows")
    min_expected: PositiveInt = Field(20, description="days expected to have fewer rows than this are not judged")


class Source(_Section):
    """One source YAML."""

    source: str = Field(pattern=SOURCE_NAME, description="unique name")
    preset: str | None = Field(
        None, description="name of a preset with defaults for everything but `source` and `files`"
    )
    entity: str
    files: FilesSpec
    format: FormatSpec
    timezone: str = Field("", description="zone of times without an offset; default: the project's")
    columns: dict[str, Annotated[ColumnMapping, BeforeValidator(_column_name_shorthand)]] = Field(min_length=1)
    event_names: dict[str, str] = Field(default_factory=dict)
    unknown_events: Literal["keep", "quarantine"] = "keep"
    filter: str | None = Field(None, min_length=1, description="rows for which this is not true are filtered")
    ignore: tuple[str, ...] = Field((), description="columns that are known and not wanted: neither kept nor reported")
    new_columns: Literal["keep", "drop"] = Field(
        "keep", description="columns neither mapped nor ignored: kept in `properties`, or left out; reported either way"
    )
    type_drift: TypeDriftSpec = TypeDriftSpec()
    volume: VolumeSpec = VolumeSpec()
    on_failure: Literal["continue", "stop_day"] = Field(
        "continue", description="a file or source that cannot be taken: the others go on, or the day stops"
    )
    max_quarantine_share: float | None = Field(None, ge=0.0, le=1.0)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value and value not in time_zones():
            raise ValueError("an IANA time zone such as Asia/Shanghai or Europe/Amsterdam")
        return value

    @property
    def contract(self) -> Entity:
        """The canonical entity the source feeds."""
        return ENTITIES[self.entity]

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change when anything that shapes rows changes."""
        apart = {"files", "max_quarantine_share", "volume", "on_failure", "preset"}
        document = self.model_dump(mode="json", exclude=apart)
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class BrokenSource:
    """A source YAML that cannot be used.

    Attributes:
        source: the name it gives itself or, where it cannot be read that far, the name of its file.
        error: what is wrong with it.
        on_failure: what it says itself, where it can be read that far; else the others go on.
    """

    source: str
    error: UseropsError
    on_failure: Literal["continue", "stop_day"] = "continue"


@dataclass(frozen=True)
class Sources:
    """What the configuration directory has, each part ordered by source name."""

    usable: list[Source] = field(default_factory=list)
    broken: list[BrokenSource] = field(default_factory=list)

    def named(self, name: str) -> Source:
        """Return the usable source of that name.

        Raises:
            ConfigError: there is none.
            UseropsError: its YAML cannot be used.
        """
        for source in self.usable:
            if source.source == name:
                return source
        for broken in self.broken:
            if name in (broken.source, Path(broken.source).stem):
                raise broken.error
        known = [source.source for source in self.usable]
        raise ConfigError(
            "source",
            f"no source `{name}`",
            f"one of {', '.join(known) or '(there are none)'}",
            did_you_mean(name, known) or "correct the name, or propose a source with: userops onboard FILE",
        )

    @property
    def names(self) -> list[str]:
        """The names of all, usable or not, each once."""
        return sorted({source.source for source in self.usable} | {broken.source for broken in self.broken})


def source_files(settings: Settings) -> list[Path]:
    """Return the source YAMLs of the configuration directory; none when there is no such directory."""
    folder = settings.paths.sources
    return sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]) if folder.is_dir() else []


def read_sources(settings: Settings) -> Sources:
    """Read every source YAML of the configuration directory; one that cannot be used does not stop the others.

    Of two files with the same name neither is used: which of them is meant, nobody can tell.

    Raises:
        ConfigError: there is none.
    """
    files = source_files(settings)
    if not files:
        raise ConfigError(
            str(settings.paths.sources),
            "no source YAML",
            "at least one file *.yml that describes an export",
            "propose one with `userops onboard FILE`, or point USEROPS_CONFIG at the directory that has them",
        )
    read = [(file, _read_source(file, settings)) for file in files]
    claims: dict[str, list[tuple[Path, Source | BrokenSource]]] = {}
    for file, item in read:
        claims.setdefault(item.source, []).append((file, item))
    sources = Sources()
    for name, claimants in sorted(claims.items()):
        whole = [item for _, item in claimants if isinstance(item, Source)]
        sources.broken.extend(item for _, item in claimants if isinstance(item, BrokenSource))
        if len(claimants) == 1:
            sources.usable.extend(whole)
        elif whole:
            sources.broken.append(_namesakes(name, claimants))
    return sources


def _namesakes(name: str, claimants: Sequence[tuple[Path, Source | BrokenSource]]) -> BrokenSource:
    *others, last = [file for file, _ in claimants]
    error = ConfigError(
        f"{last}, key `source`",
        f"`{name}`, which {', '.join(map(str, others))} uses already",
        "a name of its own for every source",
        "rename one of the two",
    )
    stops = any(item.on_failure == "stop_day" for _, item in claimants)
    return BrokenSource(name, error, "stop_day" if stops else "continue")


def _read_source(file: Path, settings: Settings) -> Source | BrokenSource:
    try:
        return load_source(file, settings)
    except Exception as error:  # noqa: BLE001 - one YAML must not stop the others, whatever is in it
        plain = told(error, str(file))
    try:
        document = with_preset(read_mapping(file), str(file))
    except Exception:  # noqa: BLE001 - the first error says why
        return BrokenSource(file.name, plain)
    name = document.get("source")
    known = isinstance(name, str) and re.fullmatch(SOURCE_NAME, name) is not None
    stops = document.get("on_failure") == "stop_day"
    return BrokenSource(str(name) if known else file.name, plain, "stop_day" if stops else "continue")


def load_source(file: Path, settings: Settings) -> Source:
    """Read and check one source YAML; its time zone is filled in from the project's when it names none.

    Raises:
        ConfigError: with the key, what was found, what was expected.
    """
    document = with_preset(read_mapping(file), str(file))
    try:
        source = Source.model_validate(document)
    except ValidationError as error:
        raise config_error(error, file, Source, document) from None
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


def preset_names() -> list[str]:
    """Return the names of the presets this version ships."""
    folder = package_files("userops.ingest").joinpath("presets")
    return sorted(item.name.removesuffix(".yml") for item in folder.iterdir() if item.name.endswith(".yml"))


def load_preset(name: str, where: str = "preset") -> dict[str, Any]:
    """Return the keys of a preset: a source YAML without `source` and `files`.

    Raises:
        ConfigError: there is no preset of that name.
    """
    known = preset_names()
    if name not in known:
        raise ConfigError(
            where, f"`{name}`", f"one of {', '.join(known)}", did_you_mean(str(name), known) or "correct the preset"
        )
    with as_file(package_files("userops.ingest").joinpath("presets", f"{name}.yml")) as file:
        return read_mapping(file)


def with_preset(document: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a source YAML's keys over those of the preset it names.

    Its own keys win. `format`, `columns` and `event_names` are merged key by key, where a key set to null takes the
    preset's away; `ignore` names further columns.

    Raises:
        ConfigError: there is no preset of that name.
    """
    if document.get("preset") is None:
        return document
    preset = load_preset(document["preset"], f"{where}, key `preset`")
    merged = preset | document
    for key in ("format", "columns", "event_names", "ignore"):
        default, own = preset.get(key), document.get(key)
        if isinstance(default, dict) and isinstance(own, dict):
            merged[key] = {name: value for name, value in (default | own).items() if value is not None}
        elif isinstance(default, list) and isinstance(own, list):
            merged[key] = [*default, *(item for item in own if item not in default)]
    return merged


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
        if mapping.path is not None and source.format.type not in ("jsonl", "json"):
            raise ConfigError(
                f"{where}.path",
                f"a JSON path in a source of type {source.format.type}",
                "`path` in jsonl and json sources only",
                "use `column` or `expr`",
            )
        if mapping.decimal is not None and contract.column(name).type.duckdb != "DECIMAL(18,4)":
            raise ConfigError(
                f"{where}.decimal",
                f"a decimal sign on a column of type {contract.column(name).type.value}",
                "`decimal` on money and numbers only",
                "remove `decimal`",
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
