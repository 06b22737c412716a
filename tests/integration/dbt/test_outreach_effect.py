"""The interval of a campaign's estimated effect holds the true one (benchmarks/outreach_effect.py in small)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from benchmarks.outreach_trials import Trial, write_trials
from userops.simulate import CampaignOptions

SEEDS, USERS = 100, 3_000
EFFECTS = {"return": "return_rate_difference", "contact": "contact_effect", "revenue": "revenue_difference"}


@pytest.fixture(scope="module")
def trials(dbt_project: Any, dbt_home: Any) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[Trial]]]:
    """One hundred experiments and what the compiled model says of them, in table `effect`."""
    from tests.integration.dbt.conftest import Warehouse, set_dbt_environment

    with pytest.MonkeyPatch.context() as patch:
        set_dbt_environment(patch, dbt_home)
        sql = Warehouse(dbt_home, dbt_project).compiled("agg_outreach_effect")
    with duckdb.connect() as connection:
        connection.execute("attach ':memory:' as userops")
        connection.execute("use userops")
        made = write_trials(connection, range(SEEDS), USERS, CampaignOptions(effect=0.2))
        connection.execute(f"create table effect as {sql}")
        connection.execute("create table compiled as select ? as sql", [sql])
        yield connection, made


@pytest.mark.parametrize("name", EFFECTS)
def test_the_interval_holds_the_true_effect_in_at_least_ninety_of_a_hundred(trials: Any, name: str) -> None:
    connection, made = trials
    truth = {trial.experiment_from: getattr(trial, f"{name}_effect") for trial in made}
    rows = connection.execute(
        f"select experiment_from, {EFFECTS[name]}_low, {EFFECTS[name]}, {EFFECTS[name]}_high from effect "
        "where segment_type = 'all'"
    ).fetchall()
    assert len(rows) == SEEDS
    assert sum(low <= truth[day] <= high for day, low, _, high in rows) >= 90
    assert sum(low <= 0 <= high for _, low, _, high in rows) < 90, "an interval that holds everything says nothing"
    mean_truth, mean_estimate = sum(truth.values()) / SEEDS, sum(row[2] for row in rows) / SEEDS
    assert mean_estimate == pytest.approx(mean_truth, rel=0.15)


def test_contacted_against_held_out_is_the_wrong_comparison(trials: Any) -> None:
    """Operators call those who come back less by themselves: the plain difference is too small by a margin."""
    connection, made = trials
    (naive,) = connection.execute(
        "select avg(contacted_return_rate - holdout_return_rate) from effect where segment_type = 'all'"
    ).fetchone()
    assert naive < sum(trial.contact_effect for trial in made) / SEEDS - 0.01


def test_the_sample_ratio_is_in_order_and_a_broken_draw_is_not(trials: Any) -> None:
    connection, _ = trials
    healthy = "select count(*) from {} where segment_type = 'all' and is_sample_ratio_ok"
    assert connection.execute(healthy.format("effect")).fetchone()[0] >= SEEDS - 2
    with duckdb.connect() as other:
        other.execute("attach ':memory:' as userops")
        other.execute("use userops")
        write_trials(other, range(5), USERS, CampaignOptions())
        other.execute("delete from churn_warning_list where is_holdout and user_id like '%1'")
        other.execute("delete from churn_warning_list where is_holdout and user_id like '%3'")
        other.execute("delete from churn_warning_list where is_holdout and hash(user_id) % 2 = 0")
        other.execute(f"create table broken as {connection.execute('select sql from compiled').fetchone()[0]}")
        assert other.execute(healthy.format("broken")).fetchone()[0] == 0


def test_reasons_add_up_to_all(trials: Any) -> None:
    connection, _ = trials
    assert connection.execute(
        "select experiment_from, segment_type from effect group by all having sum(listed_users) <> any_value("
        "(select listed_users from effect as whole where whole.segment_type = 'all' "
        "and whole.experiment_from = effect.experiment_from))"
    ).fetchall() == []  # fmt: skip
