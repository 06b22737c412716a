"""The small tables below lake/control/ that dbt reads: ingested batches, event taxonomy, funnel definitions."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from userops.config import Settings
from userops.errors import ConfigError
from userops.ingest.control_tables import CONTROL_COLUMNS
from userops.ingest.lake import arrow_schema, control_file, write_table
from userops.ingest.ledger import COMMITTED, Ledger
from userops.ingest.sources import did_you_mean
from userops.yamlfile import load_model

CATEGORIES = ("view", "search", "interaction", "contribution", "cart", "checkout", "purchase", "system", "other")
_FLAGS = ("is_activity", "is_page_view", "is_interaction", "is_contribution")
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no", "")
_UNIT_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}


class FunnelStep(BaseModel):
    """One step: a name and the event names that take a user there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    events: tuple[str, ...] = Field(min_length=1)


class Funnel(BaseModel):
    """An ordered funnel; `window` is measured from step 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name_en: str = Field(min_length=1)
    name_zh: str = Field(min_length=1)
    window: str
    steps: tuple[FunnelStep, ...] = Field(min_length=2)

    @field_validator("window")
    @classmethod
    def _readable_window(cls, value: str) -> str:
        _seconds(value)
        return value

    @property
    def window_seconds(self) -> int:
        """The window in seconds."""
        return _seconds(self.window)


class FunnelFile(BaseModel):
    """funnels.yml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    funnels: tuple[Funnel, ...] = ()

    @model_validator(mode="after")
    def _unique_ids(self) -> FunnelFile:
        ids = [funnel.id for funnel in self.funnels]
        repeated = sorted({name for name in ids if ids.count(name) > 1})
        if repeated:
            raise ValueError(f"an `id` of its own for every funnel; {', '.join(repeated)} is used twice")
        return self


def load_funnels(settings: Settings) -> tuple[Funnel, ...]:
    """Return the configured funnels; none when there is no funnels.yml.

    Raises:
        ConfigError: funnels.yml cannot be used.
    """
    file = settings.paths.funnels_file
    return load_model(file, FunnelFile).funnels if file.exists() else ()


def write_funnels(settings: Settings) -> Path:
    """Write funnel_steps.parquet, one row per accepted event name of a step, and return its path.

    Raises:
        ConfigError: funnels.yml cannot be used.
    """
    rows = [
        {
            "funnel_id": funnel.id,
            "funnel_name_en": funnel.name_en,
            "funnel_name_zh": funnel.name_zh,
            "window_seconds": funnel.window_seconds,
            "step_number": number,
            "step_name": step.name,
            "event_name": event_name,
        }
        for funnel in load_funnels(settings)
        for number, step in enumerate(funnel.steps, start=1)
        for event_name in dict.fromkeys(step.events)
    ]
    return _write(settings, "funnel_steps", rows)


def write_taxonomy(settings: Settings) -> Path:
    """Write event_taxonomy.parquet from event_taxonomy.csv (no file: no rows) and return its path.

    Raises:
        ConfigError: a column is missing or unknown, a flag is not true/false, a category is unknown, or an event
            is listed twice.
    """
    file = settings.paths.taxonomy_file
    return _write(settings, "event_taxonomy", _read_taxonomy(file) if file.exists() else [])


def write_batches(settings: Settings, ledger: Ledger) -> None:
    """Write ingest_batches.parquet and ingest_batch_dates.parquet: all committed batches, ordered by batch_seq."""
    committed = ledger.batches(COMMITTED)
    days_of: Mapping[str, Mapping[date, int]] = ledger.dates()
    names = [name for name, _ in CONTROL_COLUMNS["ingest_batches"]]
    _write(
        settings,
        "ingest_batch_dates",
        (
            {
                "batch_id": batch.batch_id,
                "batch_seq": batch.batch_seq,
                "entity": batch.entity,
                "event_date": day,
                "rows_loaded": rows,
            }
            for batch in committed
            for day, rows in days_of.get(batch.batch_id, {}).items()
        ),
    )
    _write(settings, "ingest_batches", ({name: getattr(batch, name) for name in names} for batch in committed))


def _write(settings: Settings, name: str, rows: Iterable[Mapping[str, Any]]) -> Path:
    file = control_file(settings.paths, name)
    write_table(file, pa.Table.from_pylist(list(rows), schema=arrow_schema(CONTROL_COLUMNS[name])))
    return file


def _read_taxonomy(file: Path) -> list[dict[str, Any]]:
    names = [name for name, _ in CONTROL_COLUMNS["event_taxonomy"]]
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle)
            _check_taxonomy_header(file, list(reader.fieldnames or []), names)
            rows = [_taxonomy_row(f"{file}:{reader.line_num}", row, names) for row in reader]
    except UnicodeDecodeError as error:
        raise ConfigError(
            str(file), f"bytes that are not UTF-8 ({error.reason})", "UTF-8", "save it as UTF-8"
        ) from None
    seen: set[str] = set()
    for row in rows:
        if row["event_name"] in seen:
            raise ConfigError(
                str(file),
                f"`{row['event_name']}` twice",
                "every event name once",
                f"keep one line of `{row['event_name']}`",
            )
        seen.add(row["event_name"])
    return rows


def _check_taxonomy_header(file: Path, header: list[str], names: list[str]) -> None:
    if sorted(header) == sorted(names):
        return
    unknown = [name for name in header if name not in names]
    hint = (
        did_you_mean(unknown[0], names) if unknown else f"add {', '.join(name for name in names if name not in header)}"
    )
    raise ConfigError(
        f"{file}:1",
        f"columns {', '.join(header) or '(none)'}",
        f"the columns {', '.join(names)}",
        hint or f"remove `{unknown[0]}`",
    )


def _taxonomy_row(where: str, row: Mapping[str | None, Any], names: list[str]) -> dict[str, Any]:
    if None in row or None in row.values():
        raise ConfigError(
            where,
            "more or fewer fields than the header has",
            f"{len(names)} fields",
            "mend the commas or quotes of the line",
        )
    found: dict[str, Any] = {name: row[name].strip() for name in names}
    if not found["event_name"]:
        raise ConfigError(where, "an empty event_name", "the name of an event", "fill it in, or remove the line")
    if found["category"] not in CATEGORIES:
        raise ConfigError(
            where,
            f"category `{found['category']}`",
            f"one of {', '.join(CATEGORIES)}",
            did_you_mean(found["category"], list(CATEGORIES)) or "correct the category",
        )
    for flag in _FLAGS:
        text = found[flag].lower()
        if text not in (*_TRUE, *_FALSE):
            raise ConfigError(where, f"{flag} `{found[flag]}`", "true or false", f"correct {flag}")
        found[flag] = text in _TRUE
    return found


def _seconds(text: str) -> int:
    match = re.fullmatch(r"(\d+)\s*(second|minute|hour|day|week)s?", text.strip())
    if not match or int(match[1]) == 0:
        raise ValueError("a number and a unit, such as `7 days`, `12 hours` or `30 minutes`")
    return int(match[1]) * _UNIT_SECONDS[match[2]]
