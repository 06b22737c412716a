"""Training: honest parts, the better candidate serves, the same input gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from models_ml.churn import train as training
from models_ml.churn.dataset import ObservationPlan, Observations, plan_observations
from models_ml.churn.registry import Artefact, Registry
from models_ml.churn.train import train_model
from userops.config import Settings
from userops.errors import ModelError

AS_OF = date(2024, 7, 1)
SETTINGS = Settings()


def _plan(days: int = 400) -> ObservationPlan:
    return plan_observations(AS_OF, AS_OF - timedelta(days=days), SETTINGS.churn)


@pytest.fixture
def observations(make_observations: Callable[..., Observations]) -> Observations:
    return make_observations(list(_plan().all_dates))


@pytest.fixture
def artefact(observations: Observations) -> Artefact:
    return train_model(observations, _plan(), SETTINGS, AS_OF)


def test_the_same_seed_and_data_give_the_same_files(observations: Observations, artefact: Artefact) -> None:
    again = train_model(observations, _plan(), SETTINGS, AS_OF)
    assert again.files() == artefact.files()
    assert (again.version, again.card) == (artefact.version, artefact.card)


def test_other_data_give_another_version(observations: Observations, artefact: Artefact) -> None:
    churned = observations.churned.copy()
    churned[:50] = ~churned[:50]
    other = train_model(replace(observations, churned=churned), _plan(), SETTINGS, AS_OF)
    assert other.version != artefact.version


def test_the_model_ranks_users_it_has_never_seen(
    artefact: Artefact, make_observations: Callable[..., Observations]
) -> None:
    fresh = make_observations([AS_OF], users=4000, seed=99)
    probability = artefact.model.probability(fresh.columns(artefact.model.features))
    recency = roc_auc_score(fresh.churned, fresh.columns(("days_silent",))[:, 0])
    assert roc_auc_score(fresh.churned, probability) > recency + 0.03
    assert abs(probability.mean() - fresh.churned.mean()) < 0.05


def test_every_candidate_is_measured_on_the_last_date_only(observations: Observations, artefact: Artefact) -> None:
    last_users = int((observations.as_of == np.datetime64(_plan().splits[0].test.dates[0])).sum())
    assert set(artefact.metrics["candidates"]) == {"lightgbm", "recency", "rfm_logistic"}
    assert all(figures["users"] == last_users for figures in artefact.metrics["candidates"].values())


def test_the_test_part_decides_nothing_but_who_serves(observations: Observations, artefact: Artefact) -> None:
    """Turn the labels of the last date round: the measured LightGBM was fitted without them, so its scores stay."""
    split = _plan().splits[0]
    turned = np.where(split.test.mask(observations), ~observations.churned, observations.churned)
    other = train_model(replace(observations, churned=turned), _plan(), SETTINGS, AS_OF)
    auc = artefact.metrics["candidates"]["lightgbm"]["auc"]
    assert other.metrics["candidates"]["lightgbm"]["auc"] == pytest.approx(1 - auc, abs=1e-6)


def test_a_baseline_serves_when_lightgbm_does_not_beat_it(
    observations: Observations, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_fit = training.fit_trees

    def fit_noise(features, matrix, churned, seed, rounds=None, later=None):  # type: ignore[no-untyped-def]
        shuffled = np.random.default_rng(0).permutation(churned)
        return real_fit(features, matrix, shuffled, seed, rounds=20)

    monkeypatch.setattr(training, "fit_trees", fit_noise)
    artefact = train_model(observations, _plan(), SETTINGS, AS_OF)
    assert artefact.metrics["beats_baselines"] is False
    assert artefact.metrics["served"] in training.BASELINES
    assert artefact.model.learner.kind == "logistic"
    assert "did not rank the last date better" in artefact.card


def test_short_history_is_measured_on_other_users(make_observations: Callable[..., Observations]) -> None:
    plan = _plan(days=80)
    artefact = train_model(make_observations(list(plan.all_dates), users=800), plan, SETTINGS, AS_OF)
    assert artefact.metrics["scheme"] == "users"
    assert "too little history" in artefact.card


def test_a_part_without_both_classes_falls_back_to_the_next_scheme(observations: Observations) -> None:
    calibration = _plan().splits[0].calibration.mask(observations)
    one_class = replace(observations, churned=observations.churned & ~calibration)
    assert train_model(one_class, _plan(), SETTINGS, AS_OF).metrics["scheme"] == "dates_then_users"


def test_too_few_users_is_a_clear_error(make_observations: Callable[..., Observations]) -> None:
    plan = _plan()
    with pytest.raises(ModelError, match=r"labelled user-dates.*at least 200 .*min_users"):
        train_model(make_observations(list(plan.serving[-1:]), users=150), plan, SETTINGS, AS_OF)


@pytest.mark.parametrize("value", [True, False])
def test_one_class_only_is_a_clear_error(observations: Observations, value: bool) -> None:
    one_class = replace(observations, churned=np.full(len(observations), value))
    with pytest.raises(ModelError, match="only one class"):
        train_model(one_class, _plan(), SETTINGS, AS_OF)


def test_hardly_any_churn_is_a_clear_error(observations: Observations) -> None:
    churned = np.zeros(len(observations), dtype=bool)
    churned[:5] = True
    with pytest.raises(ModelError, match="at least 10 churned"):
        train_model(replace(observations, churned=churned), _plan(), SETTINGS, AS_OF)


def test_the_registry_gives_back_what_it_was_given(
    artefact: Artefact, observations: Observations, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "churn")
    assert registry.champion_version() is None
    folder = registry.save(artefact)
    registry.promote(artefact.version)
    assert registry.champion_version() == artefact.version
    assert {path.name for path in folder.iterdir()} == {*artefact.files(), "model_card.md"}
    matrix = observations.columns(artefact.model.features)
    loaded = registry.load(artefact.version)
    assert np.array_equal(loaded.probability(matrix), artefact.model.probability(matrix))


def test_a_broken_or_missing_model_is_not_promoted(artefact: Artefact, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "churn")
    folder = registry.save(artefact)
    registry.promote(artefact.version)
    with pytest.raises(ModelError, match="no usable model"):
        registry.promote("churn-20240101-000000000000")
    (folder / "calibrator.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="no usable model"):
        registry.promote(artefact.version)
    assert registry.champion_version() == artefact.version


def test_a_broken_pointer_names_the_file(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    (tmp_path / "champion.json").write_text("oops", encoding="utf-8")
    with pytest.raises(ModelError, match=r"champion\.json"):
        registry.champion_version()
