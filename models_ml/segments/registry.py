"""Fits on disk: one folder per version, and which one serves from which date on.

    models/segments/<model_version>/
        model.json            scales, centers, ids and names: all that decides an assignment
        quality.json          silhouette by number of groups, users, library versions
    models/segments/served.json   {"<as-of date>": "<model_version>", ...}, replaced atomically

Only text: loading a fit never runs code from it. The version names the content (a hash) and the as-of date, never the
clock. A date fitted again serves its new fit; the old one stays on disk, because assignments of then name it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from models_ml.jsontext import json_text
from models_ml.segments.scaling import Scaler
from models_ml.segments.traits import Floats
from userops.errors import ModelError

_SERVED = "served.json"


@dataclass(frozen=True)
class Segment:
    """One group.

    Attributes:
        id: `S01`, `S02`, ...: never used for another group.
        since: as-of date of the fit that first found it.
        center: in the weighted space of the fit.
    """

    id: str
    name_en: str
    name_zh: str
    since: date
    center: tuple[float, ...]


@dataclass(frozen=True)
class Fit:
    """What one fit found.

    Attributes:
        last_number: number of the newest id given out so far.
        follows: version of the fit whose ids it continues; None for the first.
        settings: the settings that shape a fit; when they change, the next run fits again.
        quality: figures for people, not part of the version.
    """

    as_of: date
    scaler: Scaler
    segments: tuple[Segment, ...]
    last_number: int
    silhouette: float
    follows: str | None
    settings: Mapping[str, Any]
    quality: Mapping[str, Any] = field(default_factory=dict)

    @property
    def centers(self) -> Floats:
        """Groups x dimensions."""
        return np.array([segment.center for segment in self.segments], dtype=np.float64)

    @property
    def version(self) -> str:
        """`segments-<as-of date>-<hash of everything that decides an assignment>`."""
        return f"segments-{self.as_of:%Y%m%d}-{hashlib.sha256(self.to_text().encode()).hexdigest()[:12]}"

    def to_text(self) -> str:
        """Return the text of model.json."""
        return json_text(
            {
                "as_of": self.as_of,
                "follows": self.follows,
                "last_number": self.last_number,
                "scales": self.scaler.to_json(),
                "segments": [asdict(segment) for segment in self.segments],
                "settings": self.settings,
                "silhouette": self.silhouette,
            }
        )

    @classmethod
    def from_text(cls, text: str) -> Fit:
        """Read what `to_text` gave."""
        stored = json.loads(text)
        segments = tuple(
            Segment(one["id"], one["name_en"], one["name_zh"], date.fromisoformat(one["since"]), tuple(one["center"]))
            for one in stored["segments"]
        )
        return cls(
            date.fromisoformat(stored["as_of"]), Scaler.from_json(stored["scales"]), segments, stored["last_number"],
            stored["silhouette"], stored["follows"], stored["settings"],
        )  # fmt: skip


class Registry:
    """The fits below one folder (`paths.models / "segments"`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, fit: Fit) -> Path:
        """Write the fit whole or not at all, let it serve from its date on, and return its folder."""
        target = self.folder / fit.version
        if not target.exists():
            unfinished = self.folder / f".{fit.version}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            (unfinished / "model.json").write_text(fit.to_text(), encoding="utf-8")
            (unfinished / "quality.json").write_text(json_text(fit.quality), encoding="utf-8")
            unfinished.replace(target)
        served = {**self._served(), fit.as_of.isoformat(): fit.version}
        pointer = self.folder / _SERVED
        unfinished = pointer.with_suffix(".unfinished")
        unfinished.write_text(json_text(served), encoding="utf-8")
        unfinished.replace(pointer)
        return target

    def latest_before(self, as_of: date) -> Fit | None:
        """Return the newest fit of a date before `as_of`; None when there is none.

        Raises:
            ModelError: its files cannot be read.
        """
        earlier = sorted(day for day in self._served() if day < as_of.isoformat())
        return self._load(self._served()[earlier[-1]]) if earlier else None

    def _load(self, version: str) -> Fit:
        file = self.folder / version / "model.json"
        try:
            return Fit.from_text(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                str(file), f"no usable fit ({type(error).__name__}: {error})", "the file of a fit",
                f"restore it, or remove its line from {self.folder / _SERVED}: the next run fits again",
            ) from error  # fmt: skip

    def _served(self) -> dict[str, str]:
        pointer = self.folder / _SERVED
        if not pointer.exists():
            return {}
        try:
            return {str(day): str(version) for day, version in json.loads(pointer.read_text(encoding="utf-8")).items()}
        except (ValueError, AttributeError) as error:
            raise ModelError(
                str(pointer), f"unreadable content ({error})", '{"2024-06-30": "segments-..."}',
                "restore the file, or remove it: the next run fits again and counts ids from S01",
            ) from error  # fmt: skip
