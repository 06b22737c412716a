"""Trained models on disk: one folder per version, and a pointer to the one that serves.

    models/churn/<model_version>/
        model.txt             LightGBM's own text, or JSON of a logistic regression
        features.json         names in model order, reason groups, dropped features and why
        calibrator.json       margin -> probability
        config.json           settings, parameters and dates it was trained with
        metrics.json          quality of every candidate on the last date
        data.json             fingerprint and size of the training data, library versions
        model_card.md         the same for people
    models/churn/champion.json    {"model_version": ...}, replaced atomically

Only text and JSON: loading a model never runs code from it. The version names the content (a hash) and the as-of date,
never the clock, so the same data and settings give the same version.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from models_ml.churn.calibrate import Calibrator
from models_ml.churn.dataset import FEATURE_GROUPS, Floats
from models_ml.churn.learners import Learner, learner_from_text
from userops.errors import ModelError

_CHAMPION = "champion.json"


@dataclass(frozen=True)
class ChurnModel:
    """A learner with its calibration: what is needed to score."""

    learner: Learner
    calibrator: Calibrator

    @property
    def features(self) -> tuple[str, ...]:
        """Feature names in the order of the model's columns."""
        return self.learner.features

    def probability(self, matrix: Floats) -> Floats:
        """Return calibrated churn probabilities; columns as in `features`."""
        return self.calibrator.probability(self.learner.margin(matrix))


@dataclass(frozen=True)
class Artefact:
    """A trained model with everything one needs to know about it.

    Attributes:
        dropped: features left out of training, and why.
        config: settings, parameters and observation dates.
        metrics: quality by candidate, reliability, importance.
        data: fingerprint and size of the training data, library versions.
        card: the model card, Markdown.
    """

    model: ChurnModel
    as_of: date
    dropped: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    card: str = ""

    @property
    def version(self) -> str:
        """`churn-<as-of date>-<hash of everything that decides a score>`."""
        digest = hashlib.sha256()
        for name in ("model.txt", "features.json", "calibrator.json", "config.json"):
            digest.update(self.files()[name].encode())
        return f"churn-{self.as_of:%Y%m%d}-{digest.hexdigest()[:12]}"

    def files(self) -> dict[str, str]:
        """Return the text of each file but the card (which carries the version)."""
        groups = {name: group for group, names in FEATURE_GROUPS.items() for name in names}
        features = {
            "kind": self.model.learner.kind,
            "features": [{"name": name, "group": groups[name]} for name in self.model.features],
            "dropped": self.dropped,
        }
        return {
            "model.txt": self.model.learner.to_text(),
            "features.json": _json(features),
            "calibrator.json": _json(self.model.calibrator.to_json()),
            "config.json": _json(self.config),
            "metrics.json": _json(self.metrics),
            "data.json": _json(self.data),
        }


class Registry:
    """The models below one folder (`paths.models / "churn"`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, artefact: Artefact) -> Path:
        """Write the artefact whole or not at all, and return its folder."""
        target = self.folder / artefact.version
        unfinished = self.folder / f".{artefact.version}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for name, text in artefact.files().items():
            (unfinished / name).write_text(text, encoding="utf-8")
        (unfinished / "model_card.md").write_text(artefact.card, encoding="utf-8")
        if target.exists():
            # The same content by name: replaced only to refresh what is outside the hash (metrics, versions).
            shutil.rmtree(target)
        unfinished.replace(target)
        return target

    def promote(self, version: str) -> None:
        """Make `version` the one that serves.

        Raises:
            ModelError: there is no such version.
        """
        self.load(version)
        pointer = self.folder / _CHAMPION
        unfinished = pointer.with_suffix(".unfinished")
        unfinished.write_text(_json({"model_version": version}), encoding="utf-8")
        unfinished.replace(pointer)

    def champion_version(self) -> str | None:
        """Return the version that serves; None before the first training.

        Raises:
            ModelError: the pointer cannot be read.
        """
        pointer = self.folder / _CHAMPION
        if not pointer.exists():
            return None
        try:
            return str(json.loads(pointer.read_text(encoding="utf-8"))["model_version"])
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(
                str(pointer), f"unreadable content ({error})", '{"model_version": "churn-..."}',
                "train again with `userops train`, or restore the file",
            ) from error  # fmt: skip

    def load(self, version: str) -> ChurnModel:
        """Return the model `version`.

        Raises:
            ModelError: it is not there, or its files cannot be used.
        """
        folder = self.folder / version
        try:
            features = json.loads((folder / "features.json").read_text(encoding="utf-8"))
            names = [feature["name"] for feature in features["features"]]
            learner = learner_from_text(features["kind"], names, (folder / "model.txt").read_text(encoding="utf-8"))
            calibrator = Calibrator.from_json(json.loads((folder / "calibrator.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                str(folder), f"no usable model ({type(error).__name__}: {error})", "the files of a trained model",
                "train again with `userops train`",
            ) from error  # fmt: skip
        return ChurnModel(learner, calibrator)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, default=str) + "\n"
