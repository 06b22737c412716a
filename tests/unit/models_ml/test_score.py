"""Score files: whole, one version per date, the same in any batch size, and light to import."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from models_ml.churn.calibrate import Calibrator
from models_ml.churn.dataset import Observations
from models_ml.churn.learners import fit_logistic
from models_ml.churn.registry import ChurnModel
from models_ml.churn.score import score_day

DAY = date(2024, 5, 1)
FEATURES = ("days_silent", "silence_ratio", "event_days_total")


@pytest.fixture
def users(make_observations: Callable[..., Observations]) -> Observations:
    made = make_observations([DAY], users=500)
    matrix = np.column_stack([made.matrix, np.full(len(made), 12.5)])
    return replace(made, names=(*made.names, "user_value"), matrix=matrix)


@pytest.fixture
def model(users: Observations) -> ChurnModel:
    learner = fit_logistic(FEATURES, users.columns(FEATURES), users.churned)
    return ChurnModel(learner, Calibrator("sigmoid", 500, slope=0.9, intercept=0.1))


def _batches(users: Observations, size: int) -> Iterator[Observations]:
    for start in range(0, len(users), size):
        yield users.where((np.arange(len(users)) >= start) & (np.arange(len(users)) < start + size))


def test_the_batch_size_does_not_matter(users: Observations, model: ChurnModel, tmp_path: Path) -> None:
    whole = score_day(_batches(users, 500), model, "m1", tmp_path / "a", DAY, "CNY")
    parts = score_day(_batches(users, 37), model, "m1", tmp_path / "b", DAY, "CNY")
    assert whole.file is not None
    assert parts.file is not None
    assert pq.read_table(whole.file).equals(pq.read_table(parts.file))
    assert whole.users == parts.users == 500
    assert whole.file == tmp_path / "a" / "churn" / "as_of_date=2024-05-01" / "m1.parquet"


def test_repeating_a_date_replaces_it_whatever_the_model(
    users: Observations, model: ChurnModel, tmp_path: Path
) -> None:
    score_day(_batches(users, 500), model, "m1", tmp_path, DAY, "CNY")
    other_day = score_day(_batches(users, 500), model, "m1", tmp_path, date(2024, 4, 30), "CNY")
    again = score_day(_batches(users, 500), model, "m2", tmp_path, DAY, "CNY")
    assert again.file is not None
    assert [path.name for path in again.file.parent.iterdir()] == ["m2.parquet"]
    assert other_day.file is not None
    assert other_day.file.exists()


def test_a_failure_leaves_the_scores_of_the_date_as_they_were(
    users: Observations, model: ChurnModel, tmp_path: Path
) -> None:
    first = score_day(_batches(users, 500), model, "m1", tmp_path, DAY, "CNY")
    assert first.file is not None
    before = first.file.read_bytes()

    def broken() -> Iterator[Observations]:
        yield users
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        score_day(broken(), model, "m1", tmp_path, DAY, "CNY")
    assert first.file.read_bytes() == before
    assert [path.name for path in first.file.parent.glob("*.parquet")] == ["m1.parquet"]


def test_nobody_to_score_empties_the_date(users: Observations, model: ChurnModel, tmp_path: Path) -> None:
    score_day(_batches(users, 500), model, "m1", tmp_path, DAY, "CNY")
    empty = score_day(iter(()), model, "m1", tmp_path, DAY, "CNY")
    assert (empty.file, empty.users) == (None, 0)
    assert list((tmp_path / "churn").iterdir()) == []


def test_the_logistic_contributions_add_up_to_the_margin(users: Observations, model: ChurnModel) -> None:
    matrix = users.columns(FEATURES)
    total = model.learner.contributions(matrix).sum(axis=1)
    assert np.ptp(model.learner.margin(matrix) - total) < 1e-12


def test_importing_the_steps_is_light() -> None:
    code = (
        "import sys, models_ml.churn.steps; "
        "print([m for m in ('lightgbm', 'sklearn', 'pandas', 'pyarrow', 'duckdb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
