"""Drift: how far features and scores of a day have moved from those the model was fitted on.

Measured by the population stability index, PSI = sum over bins of (now - then) * ln(now / then), over ten bins of equal
size in training and one bin for "unknown". By custom, below 0.1 nothing has moved, above 0.25 much has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models_ml.churn.dataset import Floats

BINS = 10
LARGE = 0.25
#: The name under which the probability itself is watched.
SCORE = "churn_probability"
#: Users of a day that are looked at, about; the share of a bin is then known to a third of a percent.
SAMPLE = 50_000
_EMPTY = 1e-4


@dataclass(frozen=True)
class Reference:
    """What a feature looked like in training.

    Attributes:
        edges: inner edges of the bins, ascending and distinct.
        shares: of each bin; the last one is "unknown".
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]

    @property
    def unknown(self) -> float:
        """Share of unknown values."""
        return self.shares[-1]


def reference_of(values: Floats) -> Reference:
    """Return the reference of one column, NaN for unknown."""
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if known.size else np.empty(0)
    counts = _counts(values, edges)
    shares = counts / max(1.0, counts.sum())
    return Reference(tuple(float(f"{e:.10g}") for e in edges), tuple(float(f"{s:.6g}") for s in shares))


def references(columns: Mapping[str, Floats]) -> dict[str, Reference]:
    """Return the references of named columns."""
    return {name: reference_of(values) for name, values in columns.items()}


@dataclass
class Watch:
    """Counts of a day against references; columns are added batch by batch."""

    references: Mapping[str, Reference]
    counts: dict[str, Floats] = field(default_factory=dict)

    def add(self, name: str, values: Floats) -> None:
        """Count the values of one column, if it is watched."""
        if name in self.references:
            found = _counts(values, np.array(self.references[name].edges))
            self.counts[name] = self.counts.get(name, np.zeros_like(found)) + found

    def rows(self, group_of: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return one row per watched column, by name: psi and shares of unknown values now and in training."""
        return [
            {
                "feature": name,
                "reason_group": group_of.get(name, "score"),
                "psi": stability_index(self.references[name].shares, found),
                "unknown_share": float(found[-1] / max(1.0, found.sum())),
                "unknown_share_training": self.references[name].unknown,
                "users": int(found.sum()),
            }
            for name, found in sorted(self.counts.items())
        ]


def stability_index(then: Sequence[float], counts_now: Floats) -> float:
    """Return the PSI of counts against shares; empty bins count as one in ten thousand."""
    now = np.maximum(counts_now / max(1.0, float(counts_now.sum())), _EMPTY)
    before = np.maximum(np.array(then), _EMPTY)
    return round(float(((now - before) * np.log(now / before)).sum()), 6)


def _counts(values: Floats, edges: Floats) -> Floats:
    """Return how many values lie in each bin (an edge belongs to the bin below it); the last one counts NaN."""
    unknown = np.isnan(values)
    places = np.searchsorted(edges, values[~unknown], side="left")
    return np.append(np.bincount(places, minlength=len(edges) + 1), unknown.sum()).astype(np.float64)
