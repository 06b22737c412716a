"""Score files: whole, one version per date, the same in any batch size, and light to import."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from models_ml.churn.bgnbd import BgNbd
from models_ml.churn.calibrate import Calibrator
from models_ml.churn.dataset import Observations
from models_ml.churn.drift import references
from models_ml.churn.learners import fit_logistic
from models_ml.churn.registry import ChurnModel
from models_ml.churn.rhythms import Rhythms
from models_ml.churn.score import ServedModel, score_day

DAY = date(2024, 5, 1)
FEATURES = ("days_silent", "silence_ratio", "event_days_total", "probability_alive")


class Users:
    """Users in memory, handed out in batches of `size`."""

    def __init__(self, observations: Observations, size: int = 500) -> None:
        self._all, self._size = observations, size

    def count(self) -> int:
        return len(self._all)

    def batches(self, _rows: int) -> Iterator[Observations]:
        for start in range(0, len(self._all), self._size):
            place = np.arange(len(self._all))
            yield self._all.where((place >= start) & (place < start + self._size))

    def of(self, user_ids: Sequence[str], _rows: int) -> Iterator[Observations]:
        chosen = self._all.where(np.isin(self._all.user_ids.astype(str), list(user_ids)))
        order = np.argsort(chosen.user_ids.astype(str))
        yield Observations(
            chosen.names, chosen.user_ids[order], chosen.as_of, chosen.matrix[order], chosen.churned,
            chosen.bucket[order],
        )  # fmt: skip


@pytest.fixture
def users(make_observations: Callable[..., Observations]) -> Observations:
    made = make_observations([DAY], users=500)
    return made.with_columns(("user_value",), np.linspace(1.0, 50.0, len(made))[:, None])


@pytest.fixture
def served(users: Observations) -> ServedModel:
    rhythms = Rhythms(BgNbd(0.8, 8.0, 0.5, 2.0), None, 30)
    prepared = rhythms.add_to(users)
    learner = fit_logistic(FEATURES, prepared.columns(FEATURES), users.churned)
    model = ChurnModel(learner, Calibrator("sigmoid", 500, slope=0.9, intercept=0.1), rhythms)
    watched = {name: prepared.columns((name,))[:, 0] for name in FEATURES}
    watched["churn_probability"] = model.probability(model.margin(users))
    return ServedModel(model, "m1", references(watched))


def test_the_batch_size_does_not_matter(users: Observations, served: ServedModel, tmp_path: Path) -> None:
    whole = score_day(Users(users), served, tmp_path / "a", DAY, "CNY")
    parts = score_day(Users(users, 37), served, tmp_path / "b", DAY, "CNY")
    assert whole.file is not None
    assert parts.file is not None
    assert pq.read_table(whole.file).equals(pq.read_table(parts.file))
    assert whole.drift == parts.drift
    assert whole.users == parts.users == 500
    assert whole.file == tmp_path / "a" / "churn" / "as_of_date=2024-05-01" / "m1.parquet"


def test_reasons_are_told_of_those_nearest_to_the_list(
    users: Observations, served: ServedModel, tmp_path: Path
) -> None:
    everybody = score_day(Users(users), served, tmp_path / "a", DAY, "CNY")
    some = score_day(Users(users), served, tmp_path / "b", DAY, "CNY", explained=60)
    assert everybody.file is not None
    assert some.file is not None
    full, partial = pq.read_table(everybody.file).to_pylist(), pq.read_table(some.file).to_pylist()
    assert all(row["reason_1_en"] for row in full)
    losses = sorted((row["churn_probability"] * row["user_value"] for row in partial), reverse=True)
    for row, complete in zip(partial, full, strict=True):
        told = row["churn_probability"] * row["user_value"] >= losses[59]
        assert row == complete if told else row["reason_1_code"] is None


def test_the_season_sets_the_level_and_nothing_else(users: Observations, served: ServedModel, tmp_path: Path) -> None:
    plain = score_day(Users(users), served, tmp_path / "a", DAY, "CNY")
    seasonal = score_day(Users(users), replace(served, expected_rate=0.25), tmp_path / "b", DAY, "CNY")
    assert plain.file is not None
    assert seasonal.file is not None
    before, after = (pq.read_table(one.file).to_pylist() for one in (plain, seasonal))
    assert seasonal.expected_churners / 500 == pytest.approx(0.25, abs=1e-3)
    assert plain.expected_churners / 500 != pytest.approx(0.25, abs=1e-2)
    assert [row["raw_score"] for row in before] == [row["raw_score"] for row in after]


def test_drift_is_written_beside_the_scores(users: Observations, served: ServedModel, tmp_path: Path) -> None:
    shifted = users.with_columns(("days_silent",), users.columns(("days_silent",)) + 30)
    scored = score_day(Users(shifted), replace(served, is_degraded=True), tmp_path, DAY, "CNY")
    assert scored.file is not None
    assert set(pq.read_table(scored.file).column("model_is_degraded").to_pylist()) == {True}
    rows = pq.read_table(tmp_path / "churn_monitoring" / f"as_of_date={DAY}" / "m1.parquet").to_pylist()
    moved = {row["feature"]: row["psi"] for row in rows}
    assert set(moved) == {*FEATURES, "churn_probability"}
    assert moved["days_silent"] > 0.25
    assert moved["event_days_total"] == 0.0
    assert moved["churn_probability"] > 0.1


def test_repeating_a_date_replaces_it_whatever_the_model(
    users: Observations, served: ServedModel, tmp_path: Path
) -> None:
    score_day(Users(users), served, tmp_path, DAY, "CNY")
    other_day = score_day(Users(users), served, tmp_path, date(2024, 4, 30), "CNY")
    again = score_day(Users(users), replace(served, version="m2"), tmp_path, DAY, "CNY")
    assert again.file is not None
    assert [path.name for path in again.file.parent.iterdir()] == ["m2.parquet"]
    assert other_day.file is not None
    assert other_day.file.exists()


def test_a_failure_leaves_the_scores_of_the_date_as_they_were(
    users: Observations, served: ServedModel, tmp_path: Path
) -> None:
    first = score_day(Users(users), served, tmp_path, DAY, "CNY")
    assert first.file is not None
    before = first.file.read_bytes()

    class Broken(Users):
        def of(self, user_ids: Sequence[str], _rows: int) -> Iterator[Observations]:
            raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        score_day(Broken(users), served, tmp_path, DAY, "CNY")
    assert first.file.read_bytes() == before
    assert [path.name for path in first.file.parent.glob("*.parquet")] == ["m1.parquet"]


def test_nobody_to_score_empties_the_date(users: Observations, served: ServedModel, tmp_path: Path) -> None:
    score_day(Users(users), served, tmp_path, DAY, "CNY")
    empty = score_day(Users(users.where(np.zeros(500, dtype=bool))), served, tmp_path, DAY, "CNY")
    assert (empty.file, empty.users) == (None, 0)
    assert list((tmp_path / "churn").iterdir()) == []


def test_the_logistic_contributions_add_up_to_the_margin(users: Observations, served: ServedModel) -> None:
    learner = served.model.learner
    matrix = served.model.prepared(users).columns(FEATURES)
    assert np.ptp(learner.margin(matrix) - learner.contributions(matrix).sum(axis=1)) < 1e-12


def test_importing_the_steps_is_light() -> None:
    heavy = ("lightgbm", "sklearn", "pandas", "pyarrow", "duckdb", "mlflow", "optuna", "matplotlib")
    code = f"import sys, models_ml.churn.steps; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
