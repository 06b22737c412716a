"""Realised quality of churn scores: judged when the horizon has passed, and again when late activity changes it."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from models_ml.churn.evaluate import calibration_error
from tests.integration.dbt.conftest import Lake, Warehouse
from userops.ingest.lake import score_schema

FIRST, USERS = date(2024, 3, 1), 60
SCORED = [FIRST + timedelta(days=days) for days in (40, 41, 47, 65)]
MODELS = ("--select", "+fct_user_days", "fct_churn_scores", "agg_churn_model_quality")
QUALITY = "select * from agg_churn_model_quality order by as_of_date, model_version"


def _write_scores(root: Path, day: date, version: str, seed: int) -> None:
    chance = random.Random(seed)
    rows = [
        {
            "user_id": f"u{number:02d}", "model_version": version, "churn_probability": round(chance.random(), 2),
            "raw_score": 0.0, "user_value": 1.0, "model_is_degraded": False,
        }
        for number in range(USERS)
    ]  # fmt: skip
    folder = root / "scores" / "churn" / f"as_of_date={day}"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    pq.write_table(pa.Table.from_pylist(rows, schema=score_schema("churn")), folder / f"{version}.parquet")


def _orders(days: range, seed: int) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    return [
        {
            "order_id": f"{seed}-{day}-{user}", "user_id": f"u{user:02d}", "status": "paid", "gross_amount": 10,
            "order_time": datetime(2024, 3, 1, 4) + timedelta(days=day),
        }
        for day in days
        for user in range(USERS)
        if chance.random() < 0.02
    ]  # fmt: skip


def _by_hand(warehouse: Warehouse, day: date) -> tuple[int, float, float]:
    """Return churned users, AUC and calibration error of one date, worked out in Python."""
    scored = warehouse.query(
        f"""select churn_probability, user_id not in (select user_id from fct_user_days
            where activity_date > date '{day}' and activity_date <= date '{day}' + 30)
        from fct_churn_scores where as_of_date = date '{day}' order by churn_probability, user_id"""
    )
    probability, churned = pa.array([row[0] for row in scored]).to_numpy(), [row[1] for row in scored]
    observed = pa.array(churned).to_numpy(zero_copy_only=False)
    return sum(churned), float(roc_auc_score(churned, probability)), calibration_error(observed, probability)


def test_quality_comes_with_the_end_of_the_horizon_and_follows_late_data(lake: Lake, warehouse: Warehouse) -> None:
    for number, day in enumerate(SCORED):
        _write_scores(lake.root, day, "churn-a", number)
    lake.add_batch("orders", _orders(range(0, 75), seed=1), as_of=FIRST + timedelta(days=75))

    warehouse.run(SCORED[0] + timedelta(days=29), *MODELS)
    assert warehouse.query(QUALITY) == []
    warehouse.run(SCORED[0] + timedelta(days=31), *MODELS)
    judged = warehouse.query(
        "select as_of_date, users, churned_users, auc, calibration_error from agg_churn_model_quality"
    )
    assert sorted(row[0] for row in judged) == SCORED[:2]
    for day, users, churned_users, auc, error in judged:
        churned, by_hand, error_by_hand = _by_hand(warehouse, day)
        assert (users, churned_users) == (USERS, churned)
        assert auc == pytest.approx(by_hand)
        assert error == pytest.approx(error_by_hand, abs=1e-6)

    # Orders that arrive late, on days of horizons that were judged; and one date scored again by another model.
    before = warehouse.query(QUALITY)
    lake.add_batch("orders", _orders(range(60, 70), seed=2), as_of=FIRST + timedelta(days=80))
    _write_scores(lake.root, SCORED[2], "churn-b", 9)
    for days in (80, 96):
        warehouse.run(FIRST + timedelta(days=days), *MODELS)
    after = warehouse.query(QUALITY)
    assert [row[:2] for row in after] == [
        (SCORED[0], "churn-a"), (SCORED[1], "churn-a"), (SCORED[2], "churn-b"), (SCORED[3], "churn-a")
    ]  # fmt: skip
    assert after[:2] != before

    warehouse.run(FIRST + timedelta(days=96), *MODELS, "--full-refresh")
    assert warehouse.query(QUALITY) == after, "incremental = full refresh"
    warehouse.run(SCORED[0] + timedelta(days=30), *MODELS)
    assert [row[0] for row in warehouse.query(QUALITY)] == [SCORED[0]], "an earlier day knows no later quality"


def test_another_horizon_or_length_of_the_list_judges_everything_again(lake: Lake, warehouse: Warehouse) -> None:
    """And a setting that quality does not depend on judges nothing again."""
    for number, day in enumerate(SCORED):
        _write_scores(lake.root, day, "churn-a", number)
    lake.add_batch("orders", _orders(range(0, 75), seed=1), as_of=FIRST + timedelta(days=75))
    as_of, settings = FIRST + timedelta(days=75), warehouse.settings
    churn, listed = settings.churn.model_dump(mode="json"), settings.warning_list.model_dump(mode="json")
    built: dict[tuple[int, int], Any] = {}
    for horizon, users in ((10, 1), (20, 1), (20, 2)):
        variables = {"churn": {**churn, "horizon_days": horizon}, "warning_list": {**listed, "max_users": users}}
        warehouse.run(as_of, *MODELS, **variables)
        built[horizon, users] = warehouse.query(QUALITY)
    assert len({str(rows) for rows in built.values()}) == len(built)

    runs = "select count(*) from pipeline_state.rebuilt_dates where model_name = 'agg_churn_model_quality'"
    before = warehouse.query(runs)
    variables["churn"] = {**variables["churn"], "seed": 1}
    warehouse.run(as_of, *MODELS, **variables)
    assert warehouse.query(runs) == before
    warehouse.run(as_of, *MODELS, "--full-refresh", **variables)
    assert warehouse.query(QUALITY) == built[20, 2]
