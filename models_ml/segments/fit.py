"""One fit: scales, groups, the ids they had before, and names."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import date
from importlib.metadata import version as library_version
from typing import Any

import numpy as np

from models_ml.segments.clusters import assign, fit_clusters, match, next_ids
from models_ml.segments.names import Told, distances_from_all, name_segment
from models_ml.segments.registry import Fit, Segment
from models_ml.segments.scaling import Scaler, fit_scaler
from models_ml.segments.traits import NAMES, THEME_WEIGHTS, Floats, People
from userops.config import SegmentSettings


def shaping_settings(settings: SegmentSettings) -> dict[str, Any]:
    """Return what shapes a fit: when any of it changes, a new one is due."""
    shaping = settings.model_dump(mode="json", exclude={"refit_days", "min_users", "max_move"})
    return {**shaping, "traits": list(NAMES), "theme_weights": THEME_WEIGHTS}


def is_due(last: Fit | None, as_of: date, settings: SegmentSettings) -> bool:
    """Return whether `as_of` needs a new fit: there is none, it has served its days, or the settings changed."""
    if last is None or last.settings != shaping_settings(settings):
        return True
    return (as_of - last.as_of).days >= settings.refit_days


def fit_segments(people: People, as_of: date, settings: SegmentSettings, last: Fit | None) -> Fit | None:
    """Find the segments of `people`; None when they are too much alike. The same arguments give the same fit.

    Args:
        last: the fit whose ids and names are continued.
    """
    scaler = fit_scaler(people)
    if not scaler.scales:
        return None
    scores = scaler.scores(people)
    points = scores * scaler.weights.astype(np.float32)
    found = fit_clusters(points, people.place, settings, _old_centers(scaler, last))
    if found is None:
        return None
    ids, last_number = _ids(scaler, found.centers, settings, last)
    labels, _ = assign(points, found.centers)
    distances = distances_from_all(scores, labels, len(ids))
    segments = _named(ids, found.centers, distances, scaler, people, labels, as_of, last)
    return Fit(
        as_of, scaler, segments, last_number, found.silhouette, None if last is None else last.version,
        shaping_settings(settings), _quality(people, found.candidates),
    )  # fmt: skip


def _old_centers(scaler: Scaler, last: Fit | None) -> Floats | None:
    """Return the last centers in the new space to start from; a dimension they lack starts at the average."""
    if last is None:
        return None
    translated, _ = scaler.translate(last.centers, last.scaler)
    return np.nan_to_num(translated, nan=0.0)


def _ids(scaler: Scaler, centers: Floats, settings: SegmentSettings, last: Fit | None) -> tuple[list[str], int]:
    if last is None:
        return next_ids([None] * len(centers), (), 0)
    translated, shared = scaler.translate(last.centers, last.scaler)
    matched = match(translated[:, shared], centers[:, shared], settings.max_move)
    return next_ids(matched, [segment.id for segment in last.segments], last.last_number)


def _named(
    ids: list[str],
    centers: Floats,
    distances: Floats,
    scaler: Scaler,
    people: People,
    labels: Any,
    as_of: date,
    last: Fit | None,
) -> tuple[Segment, ...]:
    """Return the segments by id; who keeps its id keeps its name."""
    known = {} if last is None else {segment.id: segment for segment in last.segments}
    taken = [Told(known[one].name_en, known[one].name_zh) for one in ids if one in known]
    segments = []
    for index in sorted(range(len(ids)), key=lambda place: ids[place]):
        center = tuple(float(value) for value in centers[index])
        before = known.get(ids[index])
        if before:
            segments.append(Segment(before.id, before.name_en, before.name_zh, before.since, center))
            continue
        name = name_segment(distances[index], scaler.names, people, labels == index, taken)
        taken.append(name)
        segments.append(Segment(ids[index], name.en, name.zh, as_of, center))
    return tuple(segments)


def _quality(people: People, candidates: Mapping[int, float]) -> dict[str, Any]:
    return {
        "users": len(people),
        "silhouette_by_segments": {str(number): value for number, value in candidates.items()},
        "libraries": {name: library_version(name) for name in ("scikit-learn", "scipy", "numpy", "duckdb")},
        "python": platform.python_version(),
    }
