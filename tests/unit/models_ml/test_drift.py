"""Drift: the population stability index against figures by hand, and what a day is compared with."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models_ml.churn.drift import LARGE, Watch, reference_of, references, stability_index


def test_the_index_is_the_published_sum() -> None:
    expected = (0.7 - 0.5) * math.log(0.7 / 0.5) + (0.3 - 0.5) * math.log(0.3 / 0.5)
    assert stability_index([0.5, 0.5], np.array([70.0, 30.0])) == pytest.approx(expected, abs=1e-6)


def test_the_same_users_have_not_moved_and_others_have() -> None:
    generator = np.random.default_rng(3)
    then = {"a": generator.normal(0, 1, 5_000), "b": generator.poisson(0.3, 5_000).astype(float)}
    watch = Watch(references(then))
    for values in np.array_split(generator.normal(0, 1, 5_000), 3):
        watch.add("a", values)
    watch.add("b", generator.poisson(2.0, 5_000).astype(float))
    watch.add("not watched", np.ones(3))
    found = {row["feature"]: row for row in watch.rows({"a": "silence"})}
    assert set(found) == {"a", "b"}
    assert found["a"]["psi"] < 0.02
    assert found["a"]["users"] == 5_000
    assert found["b"]["psi"] > LARGE
    assert (found["a"]["reason_group"], found["b"]["reason_group"]) == ("silence", "score")


def test_values_that_became_unknown_are_drift() -> None:
    then = np.arange(100.0)
    watch = Watch(references({"a": then}))
    watch.add("a", np.where(then < 40, np.nan, then))
    (row,) = watch.rows({})
    assert row["unknown_share_training"] == 0.0
    assert row["unknown_share"] == 0.4
    assert row["psi"] > LARGE


def test_a_column_that_was_always_unknown_can_be_watched() -> None:
    assert reference_of(np.full(5, np.nan)).unknown == 1.0
