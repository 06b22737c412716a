"""Traits made comparable: logarithm, outliers drawn in, mean 0, spread 1, then the weight of the theme."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models_ml.segments.traits import NAMES, THEME_WEIGHTS, TRAITS_BY_NAME, Floats, Matrix, People, columns_of

#: Values beyond these quantiles count as the quantile: one giant must not be a segment of its own.
_OUTLIERS = (0.01, 0.99)
#: A rare habit would stand apart by its rarity alone if it were divided by its spread; this is the largest spread.
_FLAG_SPREAD = 0.5
_NO_SPREAD = 1e-6


@dataclass(frozen=True)
class TraitScale:
    """How one trait is scaled: `(clip(shape(x), low, high) - center) / spread`, shape as TRAITS says."""

    name: str
    low: float
    high: float
    center: float
    spread: float


@dataclass(frozen=True)
class Scaler:
    """The scales of the traits that differ between users at all; one dimension of the common space each."""

    scales: tuple[TraitScale, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Trait names, one per dimension."""
        return tuple(scale.name for scale in self.scales)

    @property
    def weights(self) -> Floats:
        """What each dimension counts: its theme's weight, shared among the theme's dimensions."""
        themes = Counter(TRAITS_BY_NAME[name].theme for name in self.names)
        shared = [
            THEME_WEIGHTS[TRAITS_BY_NAME[name].theme] / np.sqrt(themes[TRAITS_BY_NAME[name].theme])
            for name in self.names
        ]
        return np.array(shared, dtype=np.float64)

    def scores(self, people: People) -> Matrix:
        """Return how far each user is from the average, in spreads, users x dimensions; unknown counts as average."""
        scaled = np.empty((len(people), len(self.scales)), dtype=np.float32)
        for index, (scale, column) in enumerate(zip(self.scales, columns_of(self.names), strict=True)):
            shaped = np.clip(_shaped(scale.name, people.figures[:, column]), scale.low, scale.high)
            scaled[:, index] = np.nan_to_num((shaped - scale.center) / scale.spread, nan=0.0)
        return scaled

    def translate(self, centers: Floats, theirs: Scaler) -> tuple[Floats, list[int]]:
        """Return centers of another scaler's weighted space in this one's, and the dimensions both have.

        Dimensions the other one lacks are NaN.
        """
        translated = np.full((len(centers), len(self.scales)), np.nan)
        shared = []
        for index, (scale, weight) in enumerate(zip(self.scales, self.weights, strict=True)):
            if scale.name not in theirs.names:
                continue
            other = theirs.names.index(scale.name)
            there = theirs.scales[other]
            shaped = centers[:, other] / theirs.weights[other] * there.spread + there.center
            translated[:, index] = (shaped - scale.center) / scale.spread * weight
            shared.append(index)
        return translated, shared

    def to_json(self) -> list[dict[str, Any]]:
        """Return a JSON-able form."""
        return [asdict(scale) for scale in self.scales]

    @classmethod
    def from_json(cls, stored: list[Mapping[str, Any]]) -> Scaler:
        """Read what `to_json` gave."""
        return cls(tuple(TraitScale(**scale) for scale in stored))


def fit_scaler(people: People) -> Scaler:
    """Return the scales for these users; traits that nobody has, or that are the same for all, are left out."""
    scales = []
    for index, name in enumerate(NAMES):
        shaped = _shaped(name, people.figures[:, index])
        known = shaped[~np.isnan(shaped)]
        if known.size == 0:
            continue
        low, high = (float(bound) for bound in np.quantile(known, _OUTLIERS))
        if TRAITS_BY_NAME[name].scale == "flag":
            low, high = 0.0, 1.0
        drawn_in = np.clip(known, low, high)
        spread = float(drawn_in.std())
        if spread < _NO_SPREAD:
            continue
        if TRAITS_BY_NAME[name].scale == "flag":
            spread = _FLAG_SPREAD
        rounded = (float(f"{value:.9g}") for value in (low, high, float(drawn_in.mean()), spread))
        scales.append(TraitScale(name, *rounded))
    return Scaler(tuple(scales))


def _shaped(name: str, values: Matrix) -> Floats:
    """Return float64 values in the shape in which differences mean the same everywhere."""
    wide = values.astype(np.float64)
    return np.log1p(wide) if TRAITS_BY_NAME[name].scale == "log" else wide
