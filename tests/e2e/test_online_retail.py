"""Every step of the day on orders only: Online Retail, both sheets, through source YAMLs alone."""

from __future__ import annotations

import shutil
from datetime import date

import pytest

from tests.e2e.instances import REAL_CONFIG, make_instance, marts, one, with_short_training
from userops.steps import DAILY_STEPS, StepContext, run_step


@pytest.fixture(scope="module")
def retail(tmp_path_factory, shared_data, dbt_project):
    settings = with_short_training(make_instance(tmp_path_factory.mktemp("retail"), REAL_CONFIG / "online_retail"))
    shutil.copytree(shared_data / "online_retail", settings.paths.landing / "online_retail")
    with dbt_project.instead_of_a_child():
        for step in DAILY_STEPS:
            run_step(step, StepContext(settings, date(2011, 12, 9)))
    return settings


@pytest.mark.realdata
class TestOnlineRetail:
    """Orders only, no events: two sheets as found."""

    def test_every_line_is_accounted_for_and_the_overlap_counts_once(self, retail):
        with marts(retail) as connection:
            read, accounted, loaded = one(
                connection,
                """
                select sum(rows_read), sum(rows_loaded + rows_deduplicated + rows_quarantined + rows_filtered),
                       sum(rows_loaded)
                from agg_ingest_reconciliation
                """,
            )
            lines = one(connection, "select count(*) from fct_order_items")[0]
        assert read == accounted == 525_461 + 541_909
        assert loaded == lines

    def test_customers_are_the_known_5942_with_ids_as_text(self, retail):
        with marts(retail) as connection:
            users, floats = one(connection, "select count(*), count(*) filter (user_id like '%.%') from dim_users")
        assert users == 5_942
        assert floats == 0

    def test_cancellations_are_refunds(self, retail):
        with marts(retail) as connection:
            credit_notes, wrong = one(
                connection,
                """
                select count(*) filter (order_id like 'C%'),
                       list(order_id) filter (order_id like 'C%' and (is_purchase or refund_amount < 0))
                from fct_orders
                """,
            )
        assert credit_notes > 8_000
        assert wrong == ["C496350"]  # as found: a "Manual" line of +1 piece on a C invoice, 373.57 GBP

    def test_the_marts_are_sensible_without_events(self, retail):
        with marts(retail) as connection:
            sessions, stages, scored, listed = one(
                connection,
                """
                select (select count(*) from fct_sessions),
                       (select count(distinct stage) from fct_lifecycle_stages where is_current),
                       (select count(*) from fct_churn_scores),
                       (select count(*) from churn_warning_list)
                """,
            )
        assert sessions == 0
        assert stages >= 4
        assert scored > 1_000
        assert listed > 50
