"""Pieces of segments: scales that can be translated, groups found again whatever their order, names nobody shares."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models_ml.segments.clusters import assign, match, next_ids
from models_ml.segments.names import Told, name_segment
from models_ml.segments.registry import Fit, Registry, Segment
from models_ml.segments.scaling import fit_scaler
from models_ml.segments.traits import NAMES, People


def people(users: int = 300, seed: int = 1, **figures: float) -> People:
    """Return users with random figures, and these figures where given."""
    random = np.random.default_rng(seed)
    matrix = random.gamma(2, 5, (users, len(NAMES))).astype(np.float32)
    for name in ("night", "morning", "afternoon", "evening", "weekend"):
        matrix[:, NAMES.index(name)] = random.random(users) < 0.3
    for name, value in figures.items():
        matrix[:, NAMES.index(name)] = value
    ids = pa.array([f"u{number:04d}" for number in range(users)])
    return People(ids, matrix, random.random(users))


@settings(deadline=None)  # the first call imports scipy
@given(
    old=st.integers(2, 8),
    seed=st.integers(0, 10_000),
    order=st.randoms(use_true_random=False),
    jitter=st.floats(0, 0.2),
)
def test_centers_that_moved_a_little_are_matched_in_any_order(old, seed, order, jitter):
    random = np.random.default_rng(seed)
    centers = random.normal(0, 3, (old, 6))
    apart = np.linalg.norm(centers[:, None] - centers[None], axis=2) + np.eye(old) * 1e9
    assume(apart.min() > 0.1)
    directions = random.normal(size=centers.shape)
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    places = list(range(old))
    order.shuffle(places)
    moved = (centers + directions * apart.min() * jitter)[places]
    assert match(centers, moved, 0.5) == places


@settings(deadline=None)
@given(old=st.integers(2, 6), new=st.integers(1, 8), seed=st.integers(0, 10_000))
def test_no_old_center_is_two_new_ones_and_none_moves_too_far(old, new, seed):
    random = np.random.default_rng(seed)
    centers, found = random.normal(size=(old, 3)), random.normal(size=(new, 3))
    matched = match(centers, found, 0.5)
    kept = [one for one in matched if one is not None]
    assert len(matched) == new
    assert len(set(kept)) == len(kept)
    for index, one in enumerate(matched):
        if one is not None:
            others = np.delete(centers, one, axis=0)
            nearest = np.linalg.norm(others - centers[one], axis=1).min()
            assert np.linalg.norm(found[index] - centers[one]) <= 0.5 * nearest


def test_a_group_far_from_all_old_ones_is_new_and_does_not_disturb_the_others():
    old = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    new = np.array([[30.0, 30.0], [0.1, 10.2], [9.8, 0.1], [0.2, 0.1]])
    assert match(old, new, 0.5) == [None, 2, 1, 0]
    assert next_ids([None, 2, 1, 0], ["S01", "S02", "S05"], 7) == (["S08", "S05", "S02", "S01"], 8)


def test_an_assignment_does_not_depend_on_who_else_is_there():
    random = np.random.default_rng(1)
    points, centers = random.normal(size=(500, 8)).astype(np.float32), random.normal(size=(5, 8))
    labels, distances = assign(points, centers)
    for start in range(0, 500, 100):
        part_labels, part_distances = assign(points[start : start + 7], centers)
        assert (part_labels == labels[start : start + 7]).all()
        assert (part_distances == distances[start : start + 7]).all()
    assert distances == pytest.approx(np.linalg.norm(points - centers[labels], axis=1), abs=1e-5)


def test_a_center_says_the_same_in_the_space_of_another_scaler():
    mine, theirs = fit_scaler(people(seed=1)), fit_scaler(people(seed=2, refund_share=0.0))
    assert "refund_share" in mine.names
    assert "refund_share" not in theirs.names
    centers = np.random.default_rng(3).normal(size=(4, len(theirs.scales)))
    there, shared = mine.translate(centers, theirs)
    assert [mine.names[index] for index in shared] == list(theirs.names)
    assert np.isnan(there[:, mine.names.index("refund_share")]).all()
    back, _ = theirs.translate(np.nan_to_num(there), mine)
    assert back == pytest.approx(centers)


def test_one_giant_does_not_stretch_the_scale_and_the_unknown_is_average():
    crowd = people()
    giant = people()
    giant.figures[0, NAMES.index("net_revenue")] = 1e9
    giant.figures[1, NAMES.index("usual_gap_days")] = np.nan
    before, after = fit_scaler(crowd), fit_scaler(giant)
    place = after.names.index("net_revenue")
    assert after.scales[place].spread == pytest.approx(before.scales[place].spread, rel=0.1)
    assert after.scores(giant)[0, place] < 4
    assert after.scores(giant)[1, after.names.index("usual_gap_days")] == 0


def test_what_is_the_same_for_all_or_unknown_is_no_dimension():
    names = fit_scaler(people(orders=0.0, discount_share=np.nan)).names
    assert "orders" not in names
    assert "discount_share" not in names
    assert "active_days" in names


def _named(users: People, taken: list[Told], **apart: float) -> Told:
    distances = np.zeros(len(NAMES))
    for name, distance in apart.items():
        distances[NAMES.index(name)] = distance
    return name_segment(distances, NAMES, users, np.ones(len(users), dtype=bool), taken)


def test_a_name_tells_the_strongest_traits_one_per_theme():
    buyers, nobody_buys = people(orders=3.0), people(orders=0.0)
    apart = {"active_days": 1.2, "net_revenue": 1.5, "orders": 1.4, "night": 0.9, "channels_used": 0.4}
    assert _named(buyers, [], **apart) == Told("Frequent high-value night buyers", "高频高值夜间买家")
    assert _named(nobody_buys, [], days_since_last_active=2.0, net_revenue=-1.0).en == "Lapsing users"
    assert _named(buyers, []) == Told("Ordinary buyers", "普通买家")


def test_a_taken_name_gets_another_word_and_at_last_a_number():
    buyers = people(orders=3.0)
    apart = {"active_days": 1.2, "net_revenue": 1.5, "night": 0.9, "channels_used": 0.4}
    first = _named(buyers, [], **apart)
    second = _named(buyers, [first], **apart)
    third = _named(buyers, [first, second], **apart)
    fourth = _named(buyers, [first, second, third], **apart)
    assert second == Told("Frequent high-value multi-channel night buyers", "高频高值多渠道夜间买家")
    assert third == Told(f"{second.en} 2", f"{second.zh}2")
    assert fourth.en == f"{second.en} 3"


def _fit(as_of: date, center: float) -> Fit:
    segment = Segment("S01", "Frequent buyers", "高频买家", as_of, (center,))
    return Fit(as_of, fit_scaler(people()), (segment,), 1, 0.25, None, {"seed": 1}, {"users": 300})


def test_the_registry_gives_the_newest_fit_before_a_date(tmp_path):
    registry = Registry(tmp_path)
    assert registry.latest_before(date(2024, 7, 1)) is None
    january, june, june_again = _fit(date(2024, 1, 1), 1.0), _fit(date(2024, 6, 1), 2.0), _fit(date(2024, 6, 1), 3.0)
    for fit in (june, january, june_again):
        registry.save(fit)
    assert registry.latest_before(date(2024, 1, 1)) is None
    assert registry.latest_before(date(2024, 6, 1)).version == january.version
    found = registry.latest_before(date(2024, 6, 2))
    assert found.version == june_again.version != june.version
    assert found.scaler == june_again.scaler
    assert (tmp_path / june.version / "model.json").exists(), "assignments of then name it"
