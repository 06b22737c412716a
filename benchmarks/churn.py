"""How long scoring takes: probabilities of a million users, and reasons of the hundred thousand nearest to the list.

python benchmarks/churn.py [--users 1000000] [--explained 100000] [--folder DIR]

Features of made-up users are written into a DuckDB file by DuckDB itself; the model is a real one, LightGBM with three
members and the number of trees a training ends with, fitted on a part of them. Measured is what the step `score` does
after the model is chosen: read features in batches, score, look at drift, tell reasons, write the files. Wall clock,
CPU seconds and the peak memory of the process are printed; DuckDB works with two threads.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from datetime import date
from pathlib import Path

import duckdb
import numpy as np

from models_ml.churn import score as scoring
from models_ml.churn.bgnbd import BgNbd
from models_ml.churn.calibrate import fit_calibrator
from models_ml.churn.dataset import STORED_FEATURES, DayFeatures, Observations
from models_ml.churn.drift import references
from models_ml.churn.learners import fit_trees
from models_ml.churn.registry import ChurnModel
from models_ml.churn.rhythms import Rhythms
from models_ml.churn.score import ServedModel, score_day

DAY = date(2026, 6, 29)
FIT_USERS, ROUNDS, MEMBERS = 50_000, 150, 3
_WHOLE = {"days_silent": 60, "active_days_total": 80, "tenure_days": 700, "orders_total": 12, "event_days_total": 80}


def main() -> None:
    """Write the features, fit the model, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--explained", type=int, default=scoring.EXPLAINED_USERS)
    parser.add_argument("--folder", type=Path, default=None, help="where the data goes; default: a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        warehouse = Path(folder) / "warehouse.duckdb"
        _write_features(warehouse, arguments.users)
        with duckdb.connect(str(warehouse), read_only=True, config={"threads": 2, "memory_limit": "2GB"}) as connection:
            users = DayFeatures(connection, DAY)
            served = _fit(next(iter(users.batches(FIT_USERS))))
            print(f"{arguments.users:,} users, {len(served.model.features)} features, {MEMBERS} x {ROUNDS} trees")
            _measure("probabilities and drift", lambda: scoring._rank(users, served))
            _measure(
                f"all, reasons for {arguments.explained:,}",
                lambda: score_day(users, served, Path(folder) / "scores", DAY, "CNY", arguments.explained),
            )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


def _write_features(warehouse: Path, users: int) -> None:
    def column(place: int, name: str) -> str:
        noise = f"(hash(i * 1000 + {place}) % 100000) / 100000.0"
        if name in _WHOLE:
            return f"cast(floor(-ln(1 - {noise}) * {_WHOLE[name]} / 3) + 1 as double) as {name}"
        return f"case when {noise} < 0.9 then round(-ln(1 - {noise}) * 20, 2) end as {name}"

    listed = ", ".join(column(place, name) for place, name in enumerate(STORED_FEATURES))
    with duckdb.connect(str(warehouse), config={"threads": 2, "memory_limit": "3GB"}) as connection:
        connection.execute(
            f"create table int_churn_features as select 'u' || i as user_id, date '{DAY}' as as_of_date, {listed}, "
            f"(hash(i) % 100000) / 100.0 as user_value from range({users}) as numbers (i)"
        )
        connection.execute("update int_churn_features set tenure_days = tenure_days + days_silent + active_days_total")


def _fit(batch: Observations) -> ServedModel:
    rhythms = Rhythms(BgNbd(0.8, 8.0, 0.5, 2.0), BgNbd(0.4, 20.0, 0.6, 2.0), 30)
    prepared = rhythms.add_to(batch)
    features = tuple(name for name in prepared.names if name != "user_value")
    matrix = prepared.columns(features)
    silent, alive = prepared.columns(("days_silent", "probability_alive")).T
    odds = silent / 20 - 3 * alive + np.random.default_rng(1).logistic(0, 1, len(batch))
    churned = odds > np.median(odds)
    learner = fit_trees(features, matrix, churned, seed=1, rounds=ROUNDS, members=MEMBERS)
    margin = learner.margin(matrix)
    model = ChurnModel(learner, fit_calibrator(margin, churned), rhythms)
    watched = {name: prepared.columns((name,))[:, 0] for name in features}
    watched["churn_probability"] = model.probability(margin)
    return ServedModel(model, "churn-20260629-benchmark", references(watched), expected_rate=0.4)


def _measure(what: str, work: object) -> None:
    before, wall = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    work()  # type: ignore[operator]
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{what}: {time.monotonic() - wall:.1f} s, {cpu:.1f} s of CPU", flush=True)


if __name__ == "__main__":
    main()
