"""A model is degraded when what came true falls behind what its backtest promised."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from models_ml.churn.watch import Realised, decline, read_realised

METRICS = {"served": "lightgbm", "candidates": {"lightgbm": {"mean": {"auc": 0.80}}}}


@pytest.mark.parametrize(
    ("auc", "error", "told"),
    [(0.79, 0.03, None), (0.74, 0.03, "AUC 0.740"), (0.79, 0.12, "calibration error 0.120")],
)
def test_decline_is_told_in_numbers(auc: float, error: float, told: str | None) -> None:
    found = decline(METRICS, Realised(7, date(2024, 5, 1), auc, error), 0.05)
    assert (found is None) if told is None else (told in str(found))


def test_what_is_not_realised_yet_is_no_decline() -> None:
    assert decline(METRICS, None, 0.05) is None


def test_the_newest_dates_of_the_version_count() -> None:
    with duckdb.connect() as connection:
        assert read_realised(connection, "m", date(2024, 6, 1)) is None
        connection.execute(
            "create table agg_churn_model_quality as select date '2024-05-01' + cast(n as integer) as as_of_date, "
            "'m' as model_version, case when n <> 3 then cast(n / 100.0 as double) end as auc, "
            "cast(0.02 as double) as calibration_error from range(12) as numbers (n) "
            "union all select date '2024-05-11', 'other', 0.9, 0.0"
        )
        found = read_realised(connection, "m", date(2024, 5, 12))
    assert found == Realised(7, date(2024, 5, 11), pytest.approx(0.07), pytest.approx(0.02))
