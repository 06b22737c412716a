"""The steps train and score and the list they lead to, on real dbt and DuckDB."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from models_ml.churn import steps
from userops.config import Settings
from userops.errors import BuildError, ModelError
from userops.steps import StepContext
from userops.warehouse.connect import read_warehouse
from userops.warehouse.dbt import run_dbt

pytestmark = pytest.mark.usefixtures("dbt_in_process")

FIRST, AS_OF = date(2024, 1, 1), date(2024, 7, 18)
USERS = 400


def _shop_queries(small_lake: SimpleNamespace, last: date, seed: int = 5) -> tuple[dict[str, str], dict[str, date]]:
    """Users with their own rhythm and, for half of them, a day after which they never come back."""
    generator = np.random.default_rng(seed)
    events, orders, leaves = [], [], {}
    for number in range(USERS):
        user, gap = f"u{number:04d}", generator.uniform(2, 25)
        day = FIRST + timedelta(days=int(generator.integers(0, 40)))
        leaves[user] = FIRST + timedelta(days=int(generator.integers(60, 400)))
        while day <= min(last, leaves[user]):
            events.append((f"e{len(events)}", user, f"d{number}", f"{day} 12:00:00", "page_viewed", day))
            if generator.random() < 0.4:
                amount = round(float(generator.gamma(2, 40)) + 1, 2)
                orders.append((f"o{len(orders)}", user, f"{day} 12:30:00", "paid", amount, f"{day} 12:30:00", day))
            day += timedelta(days=max(1, round(gap * generator.uniform(0.6, 1.4))))
    event_columns = ("event_id", "user_id", "anonymous_id", "event_time", "event_name", "event_date")
    order_columns = ("order_id", "user_id", "order_time", "status", "gross_amount", "updated_at", "event_date")
    queries = {
        "events": "select * replace (cast(event_time as timestamp) as event_time, "
        f"cast(event_date as date) as event_date) from ({small_lake.rows(event_columns, events)})",
        "orders": "select * replace (cast(order_time as timestamp) as order_time, cast(updated_at as timestamp) as "
        "updated_at, cast(event_date as date) as event_date, cast(gross_amount as decimal(18, 4)) as gross_amount) "
        f"from ({small_lake.rows(order_columns, orders)})",
        "users": "select * replace (cast(event_date as date) as event_date) from (select 'u0001' as user_id, "
        f"false as consent_email, false as consent_sms, false as consent_push, '{FIRST}' as event_date)",
    }
    return queries, leaves


def _base(settings: Settings, as_of: date) -> None:
    run_dbt(settings, as_of, ("build", "--resource-type", "model", "--resource-type", "seed"), selector="base")


def _query(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with read_warehouse(settings) as connection:
        return connection.execute(sql).fetchall()


def test_from_the_warehouse_to_the_list_and_again(
    instance: Callable[..., Settings], small_lake: SimpleNamespace
) -> None:
    settings = instance(
        "project: {timezone: UTC, currency: EUR}\nwarning_list: {max_users: 30}\n"
        "churn: {tuning_trials: 3, max_observations: 6, backtest_origins: 2}\n"
    )
    queries, leaves = _shop_queries(small_lake, AS_OF)
    small_lake.write(settings.paths.lake, queries)
    yesterday, today = StepContext(settings, AS_OF - timedelta(days=1)), StepContext(settings, AS_OF)

    # The first day has no model: score trains one, and builds the features that nobody has built.
    _base(settings, yesterday.as_of)
    first = steps.score(yesterday)
    champion = json.loads((settings.paths.models / "churn" / "aliases.json").read_text(encoding="utf-8"))["champion"]
    seen = f"select count(distinct user_id) from fct_user_days where activity_date > date '{yesterday.as_of}' - 90"
    assert _query(settings, seen) == [(first.counts["users"],)]
    assert (settings.paths.models / "churn" / champion / "model_card.md").stat().st_size > 2_000
    _check_training_again(yesterday, champion)
    _check_mlflow(settings, champion)
    run_dbt(settings, yesterday.as_of, selector="lists")
    list_of_yesterday = _query(settings, "select * from churn_warning_list order by as_of_date, rank")

    # The next day scores with the same model; yesterday's list stays, today's is made once however often it runs.
    _base(settings, today.as_of)
    run_dbt(settings, today.as_of, selector="features")
    steps.score(today)
    for _ in range(2):
        run_dbt(settings, today.as_of, selector="lists")
    listed = _query(settings, "select * from churn_warning_list order by as_of_date, rank")
    assert [row for row in listed if row[0] == yesterday.as_of] == list_of_yesterday
    handed_out = _query(settings, "select as_of_date from export_churn_warning_list")
    assert len([row for row in handed_out if row[0] == today.as_of]) == 30

    drift = _query(
        settings, f"select count(*), count(distinct feature) from agg_churn_feature_drift where as_of_date = '{AS_OF}'"
    )
    assert drift[0][0] == drift[0][1] > 20

    # Drop-outs stand above the loyal, as far as anything can tell of somebody who left yesterday.
    scored = _query(
        settings,
        "select s.user_id, s.churn_probability, f.silence_ratio, s.model_version, s.user_value, f.user_value "
        f"from fct_churn_scores s join int_churn_features f using (user_id, as_of_date) where as_of_date = '{AS_OF}'",
    )
    gone = [leaves[row[0]] <= AS_OF for row in scored]
    assert {row[3] for row in scored} == {champion}
    assert all(row[4] == row[5] for row in scored)
    assert roc_auc_score(gone, [row[1] for row in scored]) > 0.94

    _check_the_list(settings)


def _check_training_again(context: StepContext, version: str) -> None:
    """The same data give the same model, byte for byte, and training takes nothing away from the day's features."""
    folder = context.settings.paths.models / "churn" / version
    written = {path.name: path.read_bytes() for path in folder.iterdir()}
    features = f"select * from int_churn_features where as_of_date = '{context.as_of}' order by user_id"
    before = _query(context.settings, features)
    assert steps.train(context).outputs["model"] == str(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == written
    assert _query(context.settings, features) == before
    assert before


def _check_mlflow(settings: Settings, champion: str) -> None:
    """One run for two equal trainings, with the artefact's files, and the alias on it."""
    from mlflow import MlflowClient

    uri = f"sqlite:///{settings.paths.mlflow_db}"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    found = client.get_model_version_by_alias(f"{settings.project.name}-churn", "champion")
    assert found.tags["userops_version"] == champion
    experiment = client.get_experiment_by_name(f"{settings.project.name}-churn")
    (run,) = client.search_runs([experiment.experiment_id])
    assert 0.5 < run.data.metrics["lightgbm.auc"] <= 1
    assert {"model/model_card.md", "model/model.txt"} <= {
        file.path for file in client.list_artifacts(run.info.run_id, "model")
    }


def _check_the_list(settings: Settings) -> None:
    rows = _query(
        settings,
        "select rank, expected_loss, churn_probability, user_id, days_silent, usual_gap_days, reason_1_code, "
        f"reason_1_en, action_code from export_churn_warning_list where as_of_date = '{AS_OF}' order by rank",
    )
    assert [row[0] for row in rows] == list(range(1, 31))
    assert [row[1] for row in rows] == sorted((row[1] for row in rows), reverse=True)
    assert all(row[2] >= settings.warning_list.stay_probability for row in rows)
    assert "u0001" not in {row[3] for row in rows}, "refused every contact"
    assert all(row[8] for row in rows)
    told = [row for row in rows if row[6] == "silent_beyond_rhythm"]
    assert told
    for row in told:
        assert f"silent for {row[4]} day" in row[7]
        told_gap = re.search(r"every (\d+) days", row[7])
        assert abs((int(told_gap[1]) if told_gap else 1) - row[5]) < 0.6


def test_too_little_history_gives_a_warning_no_scores_and_an_error_on_train(
    instance: Callable[..., Settings], small_lake: SimpleNamespace
) -> None:
    settings = instance("project: {timezone: UTC}\n")
    queries, _ = _shop_queries(small_lake, FIRST + timedelta(days=45))
    small_lake.write(settings.paths.lake, queries)
    context = StepContext(settings, FIRST + timedelta(days=45))
    with pytest.raises(BuildError, match="no warehouse file"):
        steps.score(context)
    _base(settings, context.as_of)
    with pytest.raises(ModelError, match="at least 60 days"):
        steps.train(context)
    report = steps.score(context)
    assert "no model can be trained yet" in report.summary
    assert "earlier lists stay" in report.warnings[0]
    assert [path.name for path in (settings.paths.scores / "churn").iterdir()] == ["as_of_date=1970-01-01"]


def test_a_leak_stops_the_first_score_too(
    instance: Callable[..., Settings], small_lake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too little history is a matter of time; a feature that has seen the future is not, and must not look like it."""
    settings = instance("project: {timezone: UTC}\nmlflow: {enabled: false}\n")
    as_of = FIRST + timedelta(days=100)
    small_lake.write(settings.paths.lake, _shop_queries(small_lake, as_of)[0])
    context = StepContext(settings, as_of)
    _base(settings, as_of)

    def build_and_look_ahead(settings: Settings, as_of: date, *args: Any, **others: Any) -> None:
        run_dbt(settings, as_of, *args, **others)
        if others.get("selector") == "training":
            with duckdb.connect(str(settings.paths.warehouse)) as connection:
                connection.execute("update int_churn_features set orders_30 = orders_30 + 1 where user_id = 'u0003'")

    monkeypatch.setattr("userops.warehouse.dbt.run_dbt", build_and_look_ahead)
    with pytest.raises(ModelError, match="other values of orders_30 for the same users"):
        steps.score(context)
    assert not list(settings.paths.models.glob("churn/churn-*"))


@pytest.mark.realdata
@pytest.mark.slow
def test_online_retail_beats_the_known_figures(
    instance: Callable[..., Settings], small_lake: SimpleNamespace, shared_data: Path
) -> None:
    """Trained on earlier dates only, scored on the day, compared with what happened: orders only, no events."""
    lines = shared_data / "online_retail"
    query = f"""
        select 'l' || row_number() over () as line_id, * from (
            select invoice as order_id, stockcode as product_id, quantity, price as unit_price,
                cast(cast("Customer ID" as bigint) as varchar) as user_id, cast(invoicedate as timestamp) as order_time,
                cast(invoicedate as date) as event_date
            from '{lines}/sheet_2009_2010.parquet' where invoicedate < timestamp '2010-12-01'
            union all
            select invoiceno, stockcode, quantity, unitprice, cast(cast(customerid as bigint) as varchar),
                cast(invoicedate as timestamp), cast(invoicedate as date)
            from '{lines}/sheet_2010_2011.parquet'
        ) where user_id is not null
    """
    settings = instance(
        "project: {timezone: UTC, currency: GBP}\nmlflow: {enabled: false}\n"
        "churn: {tuning_trials: 2, backtest_origins: 2}\n"  # a short search has to be enough
    )
    small_lake.write(settings.paths.lake, {"order_items": query})
    files = {}
    for as_of, horizon in ((date(2011, 9, 10), 90), (date(2011, 11, 9), 30)):
        churn = settings.churn.model_copy(update={"horizon_days": horizon})
        context = StepContext(settings.model_copy(update={"churn": churn}), as_of)
        _days(context.settings, as_of)
        steps.train(context)
        files[as_of] = steps.score(context).outputs["scores"]
    _days(settings, date(2011, 12, 9))
    assert _auc(settings, files[date(2011, 9, 10)], date(2011, 9, 10)) > 0.751
    assert _auc(settings, files[date(2011, 11, 9)], date(2011, 11, 9)) > 0.740


def _days(settings: Settings, as_of: date) -> None:
    run_dbt(settings, as_of, command=("run",), select=["+fct_user_days"])


def _auc(settings: Settings, scores: str, as_of: date) -> float:
    """Rank the scored users by risk against who was not seen again up to the end of the data."""
    scored = _query(
        settings,
        f"""select s.churn_probability, count(d.user_id) = 0 from '{scores}' as s
        left join fct_user_days as d on s.user_id = d.user_id and d.activity_date > date '{as_of}'
        group by s.user_id, s.churn_probability""",
    )
    return float(roc_auc_score([row[1] for row in scored], [row[0] for row in scored]))
