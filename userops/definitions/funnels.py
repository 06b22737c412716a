"""Funnels of config/funnels.yml: their steps, how strictly they are read, and the small tables dbt reads them from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from userops.config import Settings
from userops.ingest.lake import write_control_table
from userops.yamlfile import load_model

#: ordered: other events may come in between; strict: no later step may; any: the steps in any order.
StepOrder = Literal["ordered", "strict", "any"]
#: What conversion can be told by: of the entering event, and of the user.
Segment = Literal["channel", "device", "acquisition_channel", "region", "gender"]
#: Step columns of fct_funnel_progress: its contract has this many.
MAX_STEPS = 10
_UNIT_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}


class FunnelStep(BaseModel):
    """One step: a name and the event names that take a user there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    events: tuple[str, ...] = Field(min_length=1)


class FunnelExclusion(BaseModel):
    """Events that end an attempt; `between` two steps, by name, or anywhere in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: tuple[str, ...] = Field(min_length=1)
    between: tuple[str, str] | None = None


class Funnel(BaseModel):
    """A funnel; `window` is measured from the first step an attempt takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name_en: str = Field(min_length=1)
    name_zh: str = Field(min_length=1)
    window: str
    order: StepOrder = "ordered"
    segments: tuple[Segment, ...] = ("channel",)
    steps: tuple[FunnelStep, ...] = Field(min_length=2, max_length=MAX_STEPS)
    exclude: tuple[FunnelExclusion, ...] = ()

    @field_validator("window")
    @classmethod
    def _readable_window(cls, value: str) -> str:
        _seconds(value)
        return value

    @field_validator("segments")
    @classmethod
    def _segments_once(cls, value: tuple[Segment, ...]) -> tuple[Segment, ...]:
        if len(set(value)) < len(value):
            raise ValueError("every segment once")
        return value

    @model_validator(mode="after")
    def _each_step_its_own_events(self) -> Self:
        """Only an ordered funnel can tell which of two steps an event that fits both is meant for."""
        if self.order != "ordered":
            names = [name for step in self.steps for name in dict.fromkeys(step.events)]
            shared = sorted({name for name in names if names.count(name) > 1})
            if shared:
                raise ValueError(
                    f"with `order: {self.order}` every event in one step only; {', '.join(shared)} is in several. "
                    "Use `order: ordered`, or give the steps events of their own"
                )
        return self

    @model_validator(mode="after")
    def _usable_exclusions(self) -> Self:
        in_steps = {name for step in self.steps for name in step.events}
        for exclusion in self.exclude:
            both = sorted(in_steps.intersection(exclusion.events))
            if both:
                raise ValueError(f"under `exclude` events that are no step of the funnel; {', '.join(both)} is one")
            if exclusion.between is not None:
                self._check_between(exclusion.between)
        return self

    def _check_between(self, between: tuple[str, str]) -> None:
        names = [step.name for step in self.steps]
        if self.order == "any":
            raise ValueError("no `between` where the steps have no order: an excluded event ends the attempt anywhere")
        unknown = [name for name in between if names.count(name) != 1]
        if unknown:
            raise ValueError(
                f"under `between` names that exactly one step has: {', '.join(names)}; found {', '.join(unknown)}"
            )
        if names.index(between[0]) >= names.index(between[1]):
            raise ValueError(f"under `between` the earlier step first: {between[1]} comes before {between[0]}")

    @property
    def window_seconds(self) -> int:
        """The window in seconds."""
        return _seconds(self.window)

    def step_number(self, name: str) -> int:
        """Return the number, from 1, of the step with this name."""
        return [step.name for step in self.steps].index(name) + 1


class FunnelFile(BaseModel):
    """funnels.yml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    funnels: tuple[Funnel, ...] = ()

    @model_validator(mode="after")
    def _unique_ids(self) -> Self:
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


def funnels_fingerprint(settings: Settings) -> str:
    """Return 16 hex digits that change with any funnel definition: stored progress was shaped by the old ones.

    Raises:
        ConfigError: funnels.yml cannot be used.
    """
    definitions = [funnel.model_dump(mode="json") for funnel in load_funnels(settings)]
    return hashlib.sha256(json.dumps(definitions, sort_keys=True).encode()).hexdigest()[:16]


def write_funnels(settings: Settings) -> Path:
    """Write funnels.yml as the tables funnels, funnel_steps, funnel_exclusions and funnel_segments.

    Returns:
        The path of funnel_steps.parquet, one row per accepted event name of a step.

    Raises:
        ConfigError: funnels.yml cannot be used.
    """
    funnels = load_funnels(settings)
    write_control_table(
        settings, "funnels", ({"funnel_id": funnel.id, "step_order": funnel.order} for funnel in funnels)
    )
    write_control_table(settings, "funnel_exclusions", (row for funnel in funnels for row in _exclusion_rows(funnel)))
    write_control_table(
        settings,
        "funnel_segments",
        ({"funnel_id": funnel.id, "segment_type": segment} for funnel in funnels for segment in funnel.segments),
    )
    return write_control_table(settings, "funnel_steps", (row for funnel in funnels for row in _step_rows(funnel)))


def _step_rows(funnel: Funnel) -> Iterable[Mapping[str, Any]]:
    for number, step in enumerate(funnel.steps, start=1):
        for event_name in dict.fromkeys(step.events):
            yield {
                "funnel_id": funnel.id,
                "funnel_name_en": funnel.name_en,
                "funnel_name_zh": funnel.name_zh,
                "window_seconds": funnel.window_seconds,
                "step_number": number,
                "step_name": step.name,
                "event_name": event_name,
            }


def _exclusion_rows(funnel: Funnel) -> Iterable[Mapping[str, Any]]:
    """One row per excluded event and gap between two steps that follow each other, named by the step before it."""
    gaps = {
        (event_name, gap)
        for exclusion in funnel.exclude
        for event_name in exclusion.events
        for gap in _gaps(funnel, exclusion)
    }
    for event_name, gap in sorted(gaps):
        yield {"funnel_id": funnel.id, "event_name": event_name, "after_step": gap}


def _gaps(funnel: Funnel, exclusion: FunnelExclusion) -> range:
    if exclusion.between is None:
        return range(1, len(funnel.steps))
    first, last = exclusion.between
    return range(funnel.step_number(first), funnel.step_number(last))


def _seconds(text: str) -> int:
    match = re.fullmatch(r"(\d+)\s*(second|minute|hour|day|week)s?", text.strip())
    if not match or int(match[1]) == 0:
        raise ValueError("a number and a unit, such as `7 days`, `12 hours` or `30 minutes`")
    return int(match[1]) * _UNIT_SECONDS[match[2]]
