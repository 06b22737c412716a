"""Metrics against figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models_ml.churn.evaluate import calibration_error, lift, metrics, reliability

CHURNED = np.array([True, True, False, False, False, False, False, False, False, False])
PROBABILITY = np.array([0.9, 0.4, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])


def test_lift_is_the_top_over_the_average() -> None:
    assert lift(CHURNED, PROBABILITY, 1) == pytest.approx(5.0)
    assert lift(CHURNED, PROBABILITY, 2) == pytest.approx(2.5)
    assert lift(CHURNED, PROBABILITY, 10) == pytest.approx(1.0)
    assert lift(CHURNED, PROBABILITY, 500) == pytest.approx(1.0)


def test_auc_counts_pairs_in_the_right_order() -> None:
    # 16 pairs of one who left and one who stayed; the one at 0.4 is behind the one at 0.5.
    assert metrics(CHURNED, PROBABILITY, 3)["auc"] == pytest.approx(15 / 16)


def test_calibration_error_is_zero_only_when_rates_match() -> None:
    probability = np.repeat([0.2, 0.8], 500)
    churned = np.concatenate([np.arange(500) % 5 == 0, np.arange(500) % 5 != 0])
    assert calibration_error(churned, probability) == pytest.approx(0.0, abs=1e-6)
    assert calibration_error(churned, 1 - probability) == pytest.approx(0.6, abs=1e-6)


def test_reliability_bins_hold_everybody_once() -> None:
    generator = np.random.default_rng(3)
    probability = generator.random(1003)
    bins = reliability(generator.random(1003) < probability, probability)
    assert sum(item["users"] for item in bins) == 1003
    assert [item["predicted"] for item in bins] == sorted(item["predicted"] for item in bins)
