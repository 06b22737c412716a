"""Trained models on disk: one folder per version, and who is champion and who challenger.

    models/churn/<model_version>/
        model.txt             LightGBM's own text, or JSON of a logistic regression
        features.json         names in model order, reason groups, dropped features and why, which data there were
        calibrator.json       margin -> probability, and the shift to the newest level
        rhythms.json          the BG/NBD models behind some of the features
        reference.json        what features and scores looked like, for drift
        config.json           settings, parameters and dates it was trained with
        metrics.json          the backtest: quality of every candidate at every origin
        data.json             fingerprint and size of the training data, library versions
        model_card.md, *.png  the same for people
    models/churn/aliases.json     champion, challenger, and every change of the champion; replaced atomically

Only text and JSON are read back: loading a model never runs code from it. The version names the content (a hash) and
the as-of date, never the clock, so the same data and settings give the same version.
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

from models_ml.churn.calibrate import Calibrator
from models_ml.churn.dataset import GROUP_OF_FEATURE, Floats, Observations
from models_ml.churn.drift import Reference
from models_ml.churn.learners import Learner, learner_from_text
from models_ml.churn.rhythms import Rhythms
from models_ml.jsontext import json_text
from userops.errors import ModelError

_ALIASES = "aliases.json"
CARD = "model_card.md"


@dataclass(frozen=True)
class ChurnModel:
    """What is needed to score.

    Attributes:
        level_shift: added to margins before calibration: the level of the newest date it was judged on.
    """

    learner: Learner
    calibrator: Calibrator
    rhythms: Rhythms
    level_shift: float = 0.0

    @property
    def features(self) -> tuple[str, ...]:
        """Feature names in the order of the model's columns."""
        return self.learner.features

    def prepared(self, observations: Observations) -> Observations:
        """Return the observations with the features that this model's own BG/NBD gives."""
        return self.rhythms.add_to(observations)

    def margin(self, observations: Observations) -> Floats:
        """Return log-odds before calibration of observations that hold the features of the warehouse."""
        return self.learner.margin(self.prepared(observations).columns(self.features))

    def probability(self, margin: Floats, shift: float | None = None) -> Floats:
        """Return calibrated churn probabilities; `shift` takes the place of `level_shift`."""
        return self.calibrator.probability(margin + (self.level_shift if shift is None else shift))


@dataclass(frozen=True)
class Artefact:
    """A trained model with everything one needs to know about it.

    Attributes:
        dropped: features left out of training, and why.
        config: settings, parameters and observation dates.
        metrics: the backtest, reliability, segments, importance.
        data: fingerprint and size of the training data, library versions.
        reference: what features and scores looked like.
    """

    model: ChurnModel
    as_of: date
    dropped: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    reference: Mapping[str, Reference] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """`churn-<as-of date>-<hash of everything that decides a score>`."""
        digest = hashlib.sha256()
        files = self.files()
        for name in ("model.txt", "features.json", "calibrator.json", "rhythms.json", "config.json"):
            digest.update(files[name].encode())
        return f"churn-{self.as_of:%Y%m%d}-{digest.hexdigest()[:12]}"

    def files(self) -> dict[str, str]:
        """Return the text of each file that is not made from the others for people."""
        features = {
            "kind": self.model.learner.kind,
            "features": [{"name": name, "group": GROUP_OF_FEATURE[name]} for name in self.model.features],
            "dropped": self.dropped,
            "kinds_of_data": self.data.get("kinds", {}),
        }
        calibrator = {**self.model.calibrator.to_json(), "level_shift": self.model.level_shift}
        return {
            "model.txt": self.model.learner.to_text(),
            "features.json": json_text(features),
            "calibrator.json": json_text(calibrator),
            "rhythms.json": json_text(self.model.rhythms.to_json()),
            "reference.json": json_text({name: asdict(one) for name, one in self.reference.items()}),
            "config.json": json_text(self.config),
            "metrics.json": json_text(self.metrics),
            "data.json": json_text(self.data),
        }


@dataclass(frozen=True)
class Promotion:
    """One change of the champion: from which as-of date on it serves, and why it was made."""

    model_version: str
    as_of: str
    why: str


@dataclass(frozen=True)
class Aliases:
    """Who is who.

    Attributes:
        history: every champion in the order of promotion; the last one is the champion of now.
    """

    challenger: str | None = None
    history: tuple[Promotion, ...] = ()

    @property
    def champion(self) -> str | None:
        """The version that serves."""
        return self.history[-1].model_version if self.history else None


class Registry:
    """The models below one folder (`paths.models / "churn"`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, artefact: Artefact) -> Path:
        """Write the artefact, its card and its plots, and return its folder.

        A version appears whole or not at all; one that is there already, and may serve, can be loaded at every moment.
        """
        from models_ml.churn.card import model_card
        from models_ml.churn.plots import draw

        target = self.folder / artefact.version
        for left_by_a_kill in self.folder.glob(".churn-*.unfinished"):
            shutil.rmtree(left_by_a_kill)
        unfinished = self.folder / f".{artefact.version}.unfinished"
        unfinished.mkdir(parents=True)
        for name, text in artefact.files().items():
            (unfinished / name).write_text(text, encoding="utf-8")
        plots = draw(artefact, unfinished)
        (unfinished / CARD).write_text(model_card(artefact, plots), encoding="utf-8")
        if target.exists():
            # The same content by name: replaced only to refresh what is outside the hash (metrics, versions), file by
            # file, because a folder cannot take another's place at once.
            for file in unfinished.iterdir():
                file.replace(target / file.name)
            unfinished.rmdir()
        else:
            unfinished.replace(target)
        return target

    def versions(self) -> list[str]:
        """Return all versions on disk, by as-of date and name."""
        if not self.folder.exists():
            return []
        return sorted(folder.name for folder in self.folder.glob("churn-*") if (folder / "config.json").exists())

    def promote(self, version: str, as_of: date, why: str) -> None:
        """Make `version` the champion from `as_of` on; it is no challenger any more.

        Raises:
            ModelError: there is no such version.
        """
        self.load(version)
        aliases = self.aliases()
        challenger = None if aliases.challenger == version else aliases.challenger
        if aliases.champion == version:
            return
        # A model of an earlier date takes its place in the past: champions after it stay.
        later = [one for one in aliases.history if trained_as_of(one.model_version) > as_of]
        earlier = aliases.history[: len(aliases.history) - len(later)]
        if set(later) != set(aliases.history[len(earlier) :]):
            earlier, later = aliases.history, []  # rolled back or promoted by hand out of order
        self._write(Aliases(challenger, (*earlier, Promotion(version, as_of.isoformat(), why), *later)))

    def promote_by_hand(self, version: str) -> None:
        """Make `version` the champion of now, whatever its age.

        Raises:
            ModelError: there is no such version.
        """
        self.load(version)
        aliases = self.aliases()
        if aliases.champion != version:
            challenger = None if aliases.challenger == version else aliases.challenger
            promotion = Promotion(version, trained_as_of(version).isoformat(), "promoted by hand")
            self._write(Aliases(challenger, (*aliases.history, promotion)))

    def challenge(self, version: str) -> None:
        """Make `version` the challenger."""
        aliases = self.aliases()
        if aliases.champion != version:
            self._write(Aliases(version, aliases.history))

    def roll_back(self) -> str:
        """Give the title back to the champion before this one, which becomes the challenger; return the new champion.

        Raises:
            ModelError: there was none before, or it cannot be used any more.
        """
        aliases = self.aliases()
        if len(aliases.history) < 2:
            raise ModelError(
                str(self.folder / _ALIASES), f"{len(aliases.history)} champions so far", "one before the present one",
                "choose a version yourself: `userops models list`, `userops models promote VERSION`",
            )  # fmt: skip
        before = aliases.history[-2].model_version
        self.load(before)
        self._write(Aliases(aliases.champion, aliases.history[:-1]))
        return before

    def aliases(self) -> Aliases:
        """Return who is champion and who challenger.

        Raises:
            ModelError: the file cannot be read.
        """
        file = self.folder / _ALIASES
        if not file.exists():
            return Aliases()
        try:
            stored = json.loads(file.read_text(encoding="utf-8"))
            return Aliases(stored["challenger"], tuple(Promotion(**one) for one in stored["history"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(
                str(file), f"unreadable content ({error})", '{"challenger": ..., "history": [...]}',
                "restore the file, or delete it and train again with `userops train`",
            ) from error  # fmt: skip

    def serving_version(self, as_of: date) -> str | None:
        """Return the version that may score `as_of`: the newest champion trained no later; None when there is none.

        A model trained on later data would know how the users of that date went on.
        """
        for promotion in reversed(self.aliases().history):
            if trained_as_of(promotion.model_version) <= as_of:
                return promotion.model_version
        return None

    def read_json(self, version: str, name: str) -> Any:
        """Return the content of one of a version's JSON files.

        Raises:
            ModelError: it is not there or cannot be read.
        """
        file = self.folder / version / name
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _unusable(self.folder / version, error) from error

    def references(self, version: str) -> dict[str, Reference]:
        """Return what features and scores looked like when `version` was trained."""
        stored = self.read_json(version, "reference.json")
        return {name: Reference(tuple(one["edges"]), tuple(one["shares"])) for name, one in stored.items()}

    def load(self, version: str) -> ChurnModel:
        """Return the model `version`.

        Raises:
            ModelError: it is not there, or its files cannot be used.
        """
        folder = self.folder / version
        features = self.read_json(version, "features.json")
        curve = self.read_json(version, "calibrator.json")
        rhythms = self.read_json(version, "rhythms.json")
        try:
            names = [feature["name"] for feature in features["features"]]
            learner = learner_from_text(features["kind"], names, (folder / "model.txt").read_text(encoding="utf-8"))
            shift = float(curve.pop("level_shift"))
            return ChurnModel(learner, Calibrator.from_json(curve), Rhythms.from_json(rhythms), shift)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unusable(folder, error) from error

    def _write(self, aliases: Aliases) -> None:
        file = self.folder / _ALIASES
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(json_text({"champion": aliases.champion, **asdict(aliases)}), encoding="utf-8")
        unfinished.replace(file)


def trained_as_of(version: str) -> date:
    """Return the as-of date that a version names."""
    digits = version.split("-")[1]
    return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))


def _unusable(folder: Path, error: Exception) -> ModelError:
    return ModelError(
        str(folder), f"no usable model ({type(error).__name__}: {error})", "the files of a trained model",
        "train again with `userops train`",
    )  # fmt: skip
