"""Calibration: probabilities mean what they say, keep the ranking, and survive JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models_ml.churn.calibrate import Calibrator, fit_calibrator
from models_ml.churn.evaluate import calibration_error


def _overconfident(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Margins twice as extreme as the truth, and shifted."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(-0.5, 1.0, rows)
    churned = generator.random(rows) < 1 / (1 + np.exp(-truth))
    return 2 * truth + 1, churned


@pytest.mark.parametrize(("rows", "kind"), [(600, "sigmoid"), (8_000, "isotonic")])
def test_the_error_on_fresh_users_shrinks(rows: int, kind: str) -> None:
    calibrator = fit_calibrator(*_overconfident(rows, seed=1))
    margin, churned = _overconfident(20_000, seed=2)
    before = calibration_error(churned, 1 / (1 + np.exp(-margin)))
    after = calibration_error(churned, calibrator.probability(margin))
    assert calibrator.kind == kind
    assert before > 0.1
    assert after < 0.04


@pytest.mark.parametrize("rows", [600, 8_000])
def test_the_ranking_is_kept_and_nobody_is_certain(rows: int) -> None:
    calibrator = fit_calibrator(*_overconfident(rows, seed=1))
    probability = calibrator.probability(np.linspace(-12, 12, 500))
    assert np.all(np.diff(probability) >= 0)
    assert 0 < probability[0] < probability[-1] < 1


def test_margins_that_rank_the_wrong_way_do_not_turn_the_ranking_round() -> None:
    margin, churned = _overconfident(600, seed=1)
    probability = fit_calibrator(-margin, churned).probability(np.array([-3.0, 3.0]))
    assert probability[0] < probability[1]
    assert abs(probability.mean() - churned.mean()) < 0.1


@pytest.mark.parametrize("rows", [600, 8_000])
def test_json_gives_the_same_curve_back(rows: int) -> None:
    calibrator = fit_calibrator(*_overconfident(rows, seed=1))
    again = Calibrator.from_json(json.loads(json.dumps(calibrator.to_json())))
    assert again == calibrator
