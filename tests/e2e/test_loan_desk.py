"""Every step of the day on events only: BPIC 2012, where a loan application is the user."""

from __future__ import annotations

import shutil
from datetime import date

import pytest

from tests.e2e.instances import REAL_CONFIG, make_instance, marts, one, with_short_training
from userops.steps import DAILY_STEPS, StepContext, run_step


@pytest.fixture(scope="module")
def loans(tmp_path_factory, shared_data, dbt_project):
    settings = with_short_training(make_instance(tmp_path_factory.mktemp("loans"), REAL_CONFIG / "bpic2012"))
    shutil.copytree(shared_data / "bpic2012", settings.paths.landing / "bpic2012")
    with dbt_project.instead_of_a_child():
        for step in DAILY_STEPS:
            run_step(step, StepContext(settings, date(2012, 3, 14)))
    return settings


@pytest.mark.realdata
class TestLoanDesk:
    """Events only, no orders: BPIC 2012, a loan application is the user."""

    def test_the_funnel_gives_the_known_counts(self, loans):
        with marts(loans) as connection:
            reached = connection.execute(
                """
                select count(distinct user_id) filter (max_step >= 1), count(distinct user_id) filter (max_step >= 2),
                       count(distinct user_id) filter (max_step >= 3), count(distinct user_id) filter (max_step >= 4),
                       count(distinct user_id) filter (max_step >= 5)
                from fct_funnel_progress where funnel_id = 'loan'
                """
            ).fetchone()
            conversion = connection.execute(
                """
                select sum(reached) from agg_funnel_conversion
                where funnel_id = 'loan' and segment_type = 'all' group by step_number order by step_number
                """
            ).fetchall()
        assert reached == (13_087, 7_367, 5_113, 5_015, 2_246)
        assert tuple(int(row[0]) for row in conversion) == reached

    def test_the_marts_are_sensible_without_orders(self, loans):
        with marts(loans) as connection:
            users, orders, revenue = one(
                connection,
                "select count(*), (select count(*) from fct_orders), coalesce(sum(net_revenue), 0) from dim_users",
            )
        assert users == 13_087
        assert orders == 0
        assert revenue == 0
