"""Assignments and profiles of one date: two Parquet files in the lake, each of which appears whole or not at all.

    lake/scores/segments/as_of_date=.../<model_version>.parquet            one row per user
    lake/scores/segment_profiles/as_of_date=.../<model_version>.parquet    one row per segment

Both carry `run_version`, a hash of the assignments: the marts take a date only where the two files belong together, and
see that a date has been assigned again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models_ml.segments.clusters import Labels, assign
from models_ml.segments.names import distances_from_all, median, what_sets_apart
from models_ml.segments.registry import Fit
from models_ml.segments.traits import Floats, Matrix, People
from userops.ingest import lake

if TYPE_CHECKING:
    import pyarrow

ASSIGNMENTS, PROFILES = "segments", "segment_profiles"
#: Figures of a profile: column of the file by trait.
_MEDIANS = {
    "median_days_since_last_active": "days_since_last_active",
    "median_active_days": "active_days",
    "median_usual_gap_days": "usual_gap_days",
    "median_orders": "orders",
    "median_net_revenue": "net_revenue",
    "median_discount_share": "discount_share",
    "median_page_views_per_day": "page_views_per_day",
    "median_interactions_per_day": "interactions_per_day",
    "median_tenure_days": "tenure_days",
}


@dataclass(frozen=True)
class Assigned:
    """What was written for one as-of date."""

    file: Path
    users: dict[str, int]


def assign_day(people: People, fit: Fit, scores: Path, as_of: date) -> Assigned:
    """Assign `people` with `fit` and replace what `scores` (lake/scores) holds for `as_of`."""
    traits = fit.scaler.scores(people)
    labels, distances = assign(traits * fit.scaler.weights.astype(np.float32), fit.centers)
    version = fit.version
    assignments = _assignments(people, fit, version, labels, distances)
    profiles = _profiles(people, fit, version, traits, labels, distances, assignments["run_version"][0].as_py())
    file = _replace(assignments, scores / ASSIGNMENTS, as_of, version)
    lake.reached("segments assigned")
    _replace(profiles, scores / PROFILES, as_of, version)
    return Assigned(file, dict(zip(profiles["segment_id"].to_pylist(), profiles["users"].to_pylist(), strict=True)))


def forget_day(scores: Path, as_of: date) -> None:
    """Remove what the lake holds for `as_of`: nobody could be put into a segment."""
    for kind in (PROFILES, ASSIGNMENTS):
        folder = _folder(scores / kind, as_of)
        if folder.is_dir():
            for file in sorted(folder.iterdir()):
                file.unlink()
            folder.rmdir()


def _assignments(people: People, fit: Fit, version: str, labels: Labels, distances: Floats) -> pyarrow.Table:
    import pyarrow

    ids = pyarrow.array([segment.id for segment in fit.segments], pyarrow.string())
    table = pyarrow.table(
        {
            "user_id": people.user_ids,
            "segment_id": ids.take(pyarrow.array(labels)),
            "distance": distances,
            "model_version": _repeated(version, len(people)),
        }
    )
    stamped = table.append_column("run_version", _repeated(_fingerprint(table), len(people)))
    return stamped.cast(lake.score_schema(ASSIGNMENTS))


def _repeated(text: str, times: int) -> Any:
    import pyarrow

    return pyarrow.DictionaryArray.from_arrays(np.zeros(times, dtype=np.int32), [text]).cast(pyarrow.string())


def _fingerprint(table: pyarrow.Table) -> str:
    """Return 16 hex digits that differ when any row does."""
    import pyarrow

    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()[:16]


def _profiles(
    people: People, fit: Fit, version: str, traits: Matrix, labels: Labels, distances: Floats, run_version: str
) -> pyarrow.Table:
    import pyarrow

    from_all = distances_from_all(traits, labels, len(fit.segments))
    rows = []
    for index, segment in enumerate(fit.segments):
        members = labels == index
        users = int(members.sum())
        if not users:  # nobody is in it today; it keeps its id for when somebody is
            continue
        told = what_sets_apart(from_all[index], fit.scaler.names, people, members)
        rows.append(
            {
                "segment_id": segment.id,
                "name_en": segment.name_en,
                "name_zh": segment.name_zh,
                "distinguishing_en": told.en,
                "distinguishing_zh": told.zh,
                "segmented_users": len(people),
                "users": users,
                "buyers": int((people.figure("orders")[members] > 0).sum()),
                **{column: median(people.figure(trait)[members]) for column, trait in _MEDIANS.items()},
                "mean_distance": round(float(distances[members].mean()), 6),
                "silhouette": fit.silhouette,
                "since": segment.since,
                "fitted_on": fit.as_of,
                "model_version": version,
                "run_version": run_version,
            }
        )
    return pyarrow.Table.from_pylist(rows, schema=lake.score_schema(PROFILES))


def _folder(root: Path, as_of: date) -> Path:
    return root / f"as_of_date={as_of.isoformat()}"


def _replace(table: pyarrow.Table, root: Path, as_of: date, version: str) -> Path:
    """Put a file in place of all that the date has: first the new one in one step, then others go."""
    folder = _folder(root, as_of)
    target = folder / f"{version}.parquet"
    lake.write_table(target, table)
    for other in sorted(folder.iterdir()):
        if other != target:
            other.unlink()
    return target
