"""Finding groups, and finding them again: k-means, the number of groups by silhouette, ids by the nearest old center.

Everything here runs on one thread: sums of floats depend on who adds first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models_ml.segments.traits import Floats, Matrix
from userops.config import SegmentSettings

#: Centers are found on at most so many users, those with the lowest place; everybody is assigned.
FIT_USERS = 200_000
#: The silhouette compares each user with each other one: so many are enough to tell two numbers of groups apart.
SILHOUETTE_USERS = 4_000
_STARTS = 5
#: Another number of groups than last time must be better by this silhouette (behaviour is a continuum: real silhouettes
#: differ by less between 4 and 8 groups, and a team that works with eight must not wake up with four), another solution
#: of the same number by this inertia.
_KEEP_NUMBER, _KEEP_CENTERS = 0.05, 0.02
_ASSIGNED_AT_ONCE = 100_000

Labels = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Clustering:
    """Groups found in a space of points.

    Attributes:
        centers: groups x dimensions, largest group first.
        silhouette: of the chosen number of groups, -1 to 1.
        candidates: silhouette by number of groups tried.
    """

    centers: Floats
    silhouette: float
    candidates: Mapping[int, float]


def fit_clusters(
    points: Matrix, place: Floats, settings: SegmentSettings, previous: Floats | None = None
) -> Clustering | None:
    """Return the groups in `points`; None when there are fewer different points than groups.

    Args:
        points: users x weighted dimensions.
        place: fixed place of each user in [0, 1): decides who is in a sample.
        previous: centers of the last fit in this space, which are kept where nothing better is found.
    """
    from sklearn.metrics import silhouette_score
    from threadpoolctl import threadpool_limits

    sample = points[np.sort(_lowest(place, FIT_USERS))]
    judged = points[np.sort(_lowest(place, SILHOUETTE_USERS))]
    different = len(np.unique(judged, axis=0))
    solutions: dict[int, tuple[Floats, float, float]] = {}
    with threadpool_limits(limits=1):
        for number in range(settings.min_segments, min(settings.max_segments, different - 1) + 1):
            centers = _centers(sample, number, settings.seed, previous)
            labels, _ = assign(judged, centers)
            if len(np.unique(labels)) < number:
                continue
            share = np.bincount(assign(sample, centers)[0], minlength=number).min() / len(sample)
            solutions[number] = (centers, float(share), round(float(silhouette_score(judged, labels)), 6))
    if not solutions:
        return None
    best = _best_number(solutions, settings, None if previous is None else len(previous))
    centers, _, silhouette = solutions[best]
    return Clustering(
        _largest_first(sample, centers), silhouette, {number: found[2] for number, found in solutions.items()}
    )


def _lowest(place: Floats, count: int) -> npt.NDArray[np.intp]:
    return np.argsort(place, kind="stable")[:count]


def _centers(sample: Matrix, number: int, seed: int, previous: Floats | None) -> Floats:
    from sklearn.cluster import KMeans

    fresh = KMeans(number, n_init=_STARTS, random_state=seed).fit(sample)
    chosen = fresh
    if previous is not None and len(previous) == number:
        kept = KMeans(number, init=previous.astype(np.float32), n_init=1, random_state=seed).fit(sample)
        chosen = kept if kept.inertia_ <= fresh.inertia_ * (1 + _KEEP_CENTERS) else fresh
    centers: Floats = np.round(chosen.cluster_centers_.astype(np.float64), 6)
    return centers


def _best_number(
    solutions: Mapping[int, tuple[Floats, float, float]], settings: SegmentSettings, last: int | None
) -> int:
    """Return the number of groups with the best silhouette, without crumbs where possible; of equals the smallest."""
    whole = [number for number, (_, share, _) in solutions.items() if share >= settings.min_share]
    if not whole:
        largest = max(share for _, share, _ in solutions.values())
        whole = [number for number, (_, share, _) in solutions.items() if share == largest]
    return max(whole, key=lambda number: (solutions[number][2] + _KEEP_NUMBER * (number == last), -number))


def _largest_first(sample: Matrix, centers: Floats) -> Floats:
    users = np.bincount(assign(sample, centers)[0], minlength=len(centers))
    order = sorted(range(len(centers)), key=lambda index: (-users[index], *centers[index]))
    ordered: Floats = centers[order]
    return ordered


def assign(points: Matrix, centers: Floats) -> tuple[Labels, Floats]:
    """Return the nearest center of each point, and the distance to it rounded to six decimals.

    Row by row in float64, so that a user's result does not depend on who else is there.
    """
    labels = np.empty(len(points), dtype=np.int32)
    distances = np.empty(len(points), dtype=np.float64)
    for start in range(0, len(points), _ASSIGNED_AT_ONCE):
        block = points[start : start + _ASSIGNED_AT_ONCE].astype(np.float64)
        squared = np.stack([((block - center) ** 2).sum(axis=1) for center in centers], axis=1)
        nearest = np.argmin(np.round(squared, 9), axis=1)
        labels[start : start + len(block)] = nearest
        distances[start : start + len(block)] = np.sqrt(squared[np.arange(len(block)), nearest])
    return labels, np.round(distances, 6)


def match(old: Floats, new: Floats, max_move: float) -> list[int | None]:
    """Return for each new center which old one it is, or None for a group that was not there.

    Pairs are chosen together, with the least distance in all. A center may have moved by at most `max_move` times the
    way from its old place to the nearest other old center (with one old center: any way).

    Args:
        old: old groups x dimensions, in the same space as `new`.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    moved = cdist(old, new)
    apart = cdist(old, old)
    np.fill_diagonal(apart, np.inf)
    allowed = max_move * apart.min(axis=1)
    found: list[int | None] = [None] * len(new)
    # A pair that is not allowed costs more than all others together: it must not push two good pairs apart.
    barred = moved > allowed[:, None]
    cost = np.where(barred, moved[~barred].sum() + moved.max() + 1.0, moved)
    for old_index, new_index in zip(*linear_sum_assignment(cost), strict=True):
        if not barred[old_index, new_index]:
            found[int(new_index)] = int(old_index)
    return found


def next_ids(matched: Sequence[int | None], old_ids: Sequence[str], last_number: int) -> tuple[list[str], int]:
    """Return an id for each group, new ones counting on from `last_number`, and the last number given out."""
    ids = []
    for old_index in matched:
        if old_index is None:
            last_number += 1
        ids.append(f"S{last_number:02d}" if old_index is None else old_ids[old_index])
    return ids, last_number
