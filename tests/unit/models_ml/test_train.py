"""Training: honest origins, the better candidate serves, the same input gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from models_ml.churn import backtest
from models_ml.churn.backtest import BASELINES, Judged
from models_ml.churn.bgnbd import BgNbd
from models_ml.churn.dataset import ObservationPlan, Observations, plan_observations
from models_ml.churn.levels import Levels
from models_ml.churn.promotion import judge
from models_ml.churn.registry import Registry
from models_ml.churn.rhythms import Rhythms, add_rhythm_features
from models_ml.churn.train import Trained, train_model
from tests.unit.models_ml.conftest import made_up
from userops.config import ChurnSettings, Settings
from userops.errors import ModelError

AS_OF = date(2024, 7, 1)
SETTINGS = Settings(churn=ChurnSettings(tuning_trials=3, max_observations=6))
RHYTHMS = Rhythms(BgNbd(0.8, 8.0, 0.5, 2.0), None, SETTINGS.churn.horizon_days)
NO_LEVELS = Levels({}, SETTINGS.churn.horizon_days)


def _plan(days: int = 400) -> ObservationPlan:
    return plan_observations(AS_OF, AS_OF - timedelta(days=days), SETTINGS.churn)


def _train(observations: Observations, plan: ObservationPlan, settings: Settings = SETTINGS) -> Trained:
    rhythms = dict.fromkeys(plan.all_dates, RHYTHMS)
    return train_model(add_rhythm_features(observations, rhythms), plan, settings, AS_OF, NO_LEVELS, rhythms)


@pytest.fixture
def observations(make_observations: Callable[..., Observations]) -> Observations:
    return make_observations(list(_plan().all_dates))


@cache
def _trained() -> Trained:
    """One training that all tests look at."""
    return _train(made_up(list(_plan().all_dates)), _plan())


@pytest.fixture
def trained() -> Trained:
    return _trained()


def test_the_same_seed_and_data_give_the_same_files(
    observations: Observations, trained: Trained, tmp_path: Path
) -> None:
    again = _train(observations, _plan()).artefact
    assert again.files() == trained.artefact.files()
    assert again.version == trained.artefact.version
    first, second = (Registry(tmp_path / name).save(one) for name, one in (("a", trained.artefact), ("b", again)))
    written = {path.name: path.read_bytes() for path in first.iterdir()}
    assert {path.name: path.read_bytes() for path in second.iterdir()} == written
    assert len([name for name in written if name.endswith(".png")]) == 5


def test_the_model_ranks_users_it_has_never_seen(
    trained: Trained, make_observations: Callable[..., Observations]
) -> None:
    fresh = make_observations([AS_OF], users=4000, seed=99)
    model = trained.artefact.model
    probability = model.probability(model.margin(fresh))
    recency = roc_auc_score(fresh.churned, fresh.columns(("days_silent",))[:, 0])
    assert roc_auc_score(fresh.churned, probability) > recency + 0.03
    assert abs(probability.mean() - fresh.churned.mean()) < 0.05


def test_every_candidate_is_judged_at_every_origin(observations: Observations, trained: Trained) -> None:
    origins = [split.origin for split in _plan().backtests[0].origins]
    assert trained.artefact.metrics["origins"] == [day.isoformat() for day in origins]
    assert set(trained.artefact.metrics["candidates"]) == {"lightgbm", *BASELINES}
    for figures in trained.artefact.metrics["candidates"].values():
        users = [int((observations.as_of == np.datetime64(day)).sum()) for day in origins]
        assert [one["users"] for one in figures["by_origin"]] == users


def test_what_an_origin_is_judged_on_decides_nothing_about_its_models(
    observations: Observations, trained: Trained
) -> None:
    """Turn the labels of the newest origin round: its models were fitted without them, so their ranking turns round."""
    newest = _plan().backtests[0].origins[-1]
    turned = np.where(newest.test.mask(observations), ~observations.churned, observations.churned)
    other = _train(replace(observations, churned=turned), _plan()).artefact
    for name in ("lightgbm", "rfm_logistic"):
        auc = trained.artefact.metrics["candidates"][name]["by_origin"][-1]["auc"]
        assert other.metrics["candidates"][name]["by_origin"][-1]["auc"] == pytest.approx(1 - auc, abs=1e-6)
    assert other.version != trained.artefact.version


def test_a_baseline_serves_when_lightgbm_does_not_beat_it(
    observations: Observations, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real_fit = backtest.fit_trees

    def fit_noise(features: Any, matrix: Any, churned: Any, seed: int, *_: Any, **__: Any) -> Any:
        return real_fit(features, matrix, np.random.default_rng(0).permutation(churned), seed, rounds=20)

    monkeypatch.setattr(backtest, "fit_trees", fit_noise)
    artefact = _train(
        observations, _plan(), Settings(churn=ChurnSettings(tuning_trials=0, max_observations=6))
    ).artefact
    assert artefact.metrics["beats_baselines"] is False
    assert artefact.metrics["served"] in BASELINES
    assert artefact.model.learner.kind == "logistic"
    card = (Registry(tmp_path).save(artefact) / "model_card.md").read_text(encoding="utf-8")
    assert "LightGBM did not rank better than the baseline" in card


def test_the_search_is_bounded_and_starts_from_the_defaults(trained: Trained) -> None:
    tuned = trained.artefact.config["tuned"]
    assert set(tuned) in (
        set(), {"num_leaves", "min_data_in_leaf", "lambda_l2", "feature_fraction", "learning_rate"}
    )  # fmt: skip
    assert {**trained.artefact.config["parameters"], **tuned} == trained.artefact.config["parameters"]


def test_the_contributions_of_trees_and_regression_add_up_to_the_margin(
    trained: Trained, observations: Observations
) -> None:
    model = trained.artefact.model
    assert model.learner.kind == "lightgbm"
    matrix = model.prepared(observations).columns(model.features)[:200]
    assert np.ptp(model.learner.margin(matrix) - model.learner.contributions(matrix).sum(axis=1)) < 1e-9


def test_short_history_is_measured_on_other_users(
    make_observations: Callable[..., Observations], tmp_path: Path
) -> None:
    plan = _plan(days=80)
    artefact = _train(make_observations(list(plan.all_dates), users=800), plan).artefact
    assert artefact.metrics["scheme"] == "users"
    card = (Registry(tmp_path).save(artefact) / "model_card.md").read_text(encoding="utf-8")
    assert "too little history" in card


def test_an_origin_without_both_classes_is_left_out(observations: Observations) -> None:
    oldest = _plan().backtests[0].origins[0]
    one_class = replace(observations, churned=observations.churned & ~oldest.test.mask(observations))
    artefact = _train(one_class, _plan()).artefact
    assert oldest.origin.isoformat() not in artefact.metrics["origins"]
    assert len(artefact.metrics["origins"]) >= 1
    assert "left out" in artefact.config["backtest"]


def test_too_few_users_is_a_clear_error(make_observations: Callable[..., Observations]) -> None:
    plan = _plan()
    with pytest.raises(ModelError, match=r"labelled user-dates.*at least 200 .*min_users"):
        _train(make_observations(list(plan.serving[-1:]), users=150), plan)


@pytest.mark.parametrize("value", [True, False])
def test_one_class_only_is_a_clear_error(observations: Observations, value: bool) -> None:
    one_class = replace(observations, churned=np.full(len(observations), value))
    with pytest.raises(ModelError, match="only one class"):
        _train(one_class, _plan())


def test_hardly_any_churn_is_a_clear_error(observations: Observations) -> None:
    churned = np.zeros(len(observations), dtype=bool)
    churned[:5] = True
    with pytest.raises(ModelError, match="at least 10 churned"):
        _train(replace(observations, churned=churned), _plan())


def test_the_artefact_says_which_data_its_features_had(trained: Trained) -> None:
    assert trained.artefact.data["kinds"] == {
        "events": True, "orders": True, "revenue": True, "feedback": False, "year_before": True,
    }  # fmt: skip


class TestRegistry:
    """Versions, aliases, rollback."""

    def test_it_gives_back_what_it_was_given(
        self, trained: Trained, observations: Observations, tmp_path: Path
    ) -> None:
        artefact, registry = trained.artefact, Registry(tmp_path / "churn")
        assert registry.aliases().champion is None
        folder = registry.save(artefact)
        registry.promote(artefact.version, AS_OF, "the first model")
        assert registry.aliases().champion == artefact.version
        assert {*artefact.files(), "model_card.md"} <= {path.name for path in folder.iterdir()}
        loaded = registry.load(artefact.version)
        margin = loaded.margin(observations)
        assert np.array_equal(margin, artefact.model.margin(observations))
        assert np.array_equal(loaded.probability(margin), artefact.model.probability(margin))
        assert registry.references(artefact.version) == dict(artefact.reference)

    def test_champions_follow_each_other_and_a_rollback_goes_back(self, trained: Trained, tmp_path: Path) -> None:
        registry = Registry(tmp_path)
        first = replace(trained.artefact, as_of=AS_OF - timedelta(days=60))
        for artefact in (first, trained.artefact):
            registry.save(artefact)
            registry.challenge(artefact.version)
            registry.promote(artefact.version, artefact.as_of, "better")
        assert registry.aliases().champion == trained.artefact.version
        assert registry.aliases().challenger is None
        assert registry.serving_version(AS_OF) == trained.artefact.version
        assert registry.serving_version(AS_OF - timedelta(days=1)) == first.version, "a later model has seen too much"
        assert registry.serving_version(AS_OF - timedelta(days=61)) is None
        assert registry.roll_back() == first.version
        assert (registry.aliases().champion, registry.aliases().challenger) == (first.version, trained.artefact.version)
        with pytest.raises(ModelError, match="1 champions so far"):
            registry.roll_back()
        registry.promote_by_hand(trained.artefact.version)
        assert registry.aliases().champion == trained.artefact.version

    def test_a_model_of_an_earlier_date_does_not_push_the_champion_out(self, trained: Trained, tmp_path: Path) -> None:
        registry = Registry(tmp_path)
        early = replace(trained.artefact, as_of=AS_OF - timedelta(days=60))
        for artefact in (trained.artefact, early):
            registry.save(artefact)
            registry.promote(artefact.version, artefact.as_of, "the first model")
        assert registry.aliases().champion == trained.artefact.version
        assert registry.serving_version(AS_OF - timedelta(days=1)) == early.version

    def test_a_broken_or_missing_model_is_not_promoted(self, trained: Trained, tmp_path: Path) -> None:
        registry, version = Registry(tmp_path / "churn"), trained.artefact.version
        folder = registry.save(trained.artefact)
        registry.promote(version, AS_OF, "the first model")
        with pytest.raises(ModelError, match="no usable model"):
            registry.promote("churn-20240101-000000000000", AS_OF, "")
        (folder / "calibrator.json").write_text("{", encoding="utf-8")
        with pytest.raises(ModelError, match="no usable model"):
            registry.promote_by_hand(version)
        assert registry.aliases().champion == version

    def test_a_kill_while_the_champion_is_saved_again_leaves_it_serving(
        self, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The same data give the same version, so training again writes over the files that serve."""
        registry, artefact = Registry(tmp_path / "churn"), trained.artefact
        folder = registry.save(artefact)
        registry.promote(artefact.version, AS_OF, "the first model")
        names = {path.name for path in folder.iterdir()}
        real = Path.replace
        for survived in (0, 5):
            left = iter(range(survived))

            def replace_or_die(self: Path, target: Path, left: Iterator[int] = left) -> Path:
                if next(left, None) is None:
                    raise KeyboardInterrupt
                return real(self, target)

            with monkeypatch.context() as patch:
                patch.setattr(Path, "replace", replace_or_die)
                with pytest.raises(KeyboardInterrupt):
                    registry.save(artefact)
            assert {path.name for path in folder.iterdir()} == names
            registry.load(artefact.version)
        registry.save(artefact)
        assert {path.name for path in registry.folder.iterdir()} == {artefact.version, "aliases.json"}

    def test_a_broken_alias_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "aliases.json").write_text("oops", encoding="utf-8")
        with pytest.raises(ModelError, match=r"aliases\.json"):
            Registry(tmp_path).aliases()


class TestPromotion:
    """Better by more than noise and calibrated, on origins that the champion has not seen."""

    CHURN = SETTINGS.churn.model_dump(mode="json")
    OLD = "churn-20240101-aaaaaaaaaaaa"
    #: 300 users per date are not enough for a calibration error below 0.05 by more than luck.
    LENIENT = Settings(churn=SETTINGS.churn.model_copy(update={"max_calibration_error": 0.15}))

    def _judge(self, trained: Trained, observations: Observations, spoil: float = 0.0, **changed: Any) -> Any:
        """Judge against a champion that is the same model with margins spoilt by noise."""
        rhythms = dict.fromkeys(_plan().all_dates, RHYTHMS)
        arguments: dict[str, Any] = {
            "artefact": trained.artefact, "judged": trained.judged, "champion": _Noisy(trained.judged, spoil),
            "champion_version": self.OLD, "champion_churn": self.CHURN,
            "observations": add_rhythm_features(observations, rhythms), "levels": NO_LEVELS, "settings": self.LENIENT,
        }  # fmt: skip
        return judge(**{**arguments, **changed})

    def test_the_first_model_serves(self, trained: Trained, observations: Observations) -> None:
        assert self._judge(trained, observations, champion=None, champion_version=None).promote

    def test_noise_is_no_reason(self, trained: Trained, observations: Observations) -> None:
        verdict = self._judge(trained, observations, spoil=0.0)
        assert not verdict.promote
        assert "more than noise" in verdict.why

    def test_clearly_better_is(self, trained: Trained, observations: Observations) -> None:
        verdict = self._judge(trained, observations, spoil=3.0)
        assert verdict.promote
        assert "ranks better" in verdict.why

    def test_but_not_out_of_calibration(self, trained: Trained, observations: Observations) -> None:
        strict = Settings(churn=SETTINGS.churn.model_copy(update={"max_calibration_error": 1e-6}))
        verdict = self._judge(trained, observations, spoil=3.0, settings=strict)
        assert not verdict.promote
        assert "not calibrated" in verdict.why

    def test_a_champion_is_not_judged_on_what_it_was_trained_on(
        self, trained: Trained, observations: Observations
    ) -> None:
        verdict = self._judge(trained, observations, spoil=3.0, champion_version="churn-20240625-aaaaaaaaaaaa")
        assert not verdict.promote
        assert "has not seen" in verdict.why

    def test_a_champion_for_another_question_gives_way(self, trained: Trained, observations: Observations) -> None:
        assert self._judge(trained, observations, champion_churn={**self.CHURN, "horizon_days": 90}).promote


class _Noisy:
    """A champion that answers as the challenger did, plus noise."""

    def __init__(self, judged: tuple[Judged, ...], spoil: float) -> None:
        self._margins = {one.origin: dict(zip(one.user_ids.tolist(), one.margin, strict=True)) for one in judged}
        self._spoil = spoil

    def margin(self, rows: Observations) -> np.ndarray:
        known = self._margins[rows.as_of[0].astype(date)]
        noise = np.random.default_rng(1).normal(0, 1, len(rows)) * self._spoil
        return np.array([known[user] for user in rows.user_ids.tolist()]) + noise

    def probability(self, margin: np.ndarray, _shift: float | None = None) -> np.ndarray:
        return 1 / (1 + np.exp(-margin))
