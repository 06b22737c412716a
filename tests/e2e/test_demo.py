"""`make demo` in small: a dirty shop, history by the command line, training and the last day under Airflow."""

from __future__ import annotations

import pytest
from rich.console import Console

from tests.e2e.instances import copy_airflow, fingerprint, make_instance, marts, one
from userops.config import PROJECT_ROOT
from userops.demo import LAST_DAY, run_demo
from userops.simulate.truth import ranking_quality


@pytest.fixture(scope="module")
def shop(tmp_path_factory, between_workers):
    settings = make_instance(tmp_path_factory.mktemp("shop"), PROJECT_ROOT / "config")
    copy_airflow(settings, between_workers)
    console = Console(record=True, width=140)
    run_demo(settings, console, users=1_500, days=120)
    return settings, console.export_text()


class TestDemo:
    """`make demo` in small: a dirty shop, history by the command line, training and the last day under Airflow."""

    def test_it_shows_list_stages_funnel_and_places(self, shop):
        settings, screen = shop
        for words in (
            "Churn-warning list as of 2026-06-29",
            "mature 成熟期",
            "order_paid",
            str(settings.paths.published_duckdb),
        ):
            assert words in screen
        assert "DAG run succeeded" in screen

    def test_the_list_is_one_an_operator_could_act_on(self, shop):
        settings, _ = shop
        with marts(settings) as connection:
            rows, ranks, users, actions, reasons = one(
                connection,
                f"""
                select count(*), max(rank), count(distinct user_id), count(suggested_action_zh), count(reason_1_zh)
                from churn_warning_list where as_of_date = date '{LAST_DAY}'
                """,
            )
        assert rows > 50
        assert rows == ranks == users == actions == reasons

    def test_the_list_is_delivered_in_three_formats(self, shop):
        settings, _ = shop
        folder = settings.paths.published_exports / "churn_warning" / f"as_of_date={LAST_DAY}"
        assert {path.suffix for path in folder.iterdir()} == {".csv", ".xlsx", ".parquet"}
        assert next(folder.glob("*.csv")).read_bytes().startswith(b"\xef\xbb\xbf")

    def test_known_drop_outs_rank_clearly_above_the_loyal_and_better_than_by_recency(self, shop):
        settings, _ = shop
        truth = settings.home / "demo_exports" / "ground_truth"
        quality = ranking_quality(settings.paths.published_duckdb, truth, LAST_DAY)
        assert quality.dropped > 200
        assert quality.model_auc > 0.85
        assert quality.model_auc > quality.recency_auc

    def test_every_row_of_every_file_is_accounted_for(self, shop):
        settings, _ = shop
        with marts(settings) as connection:
            batches, wrong, quarantined = one(
                connection,
                """
                select count(*),
                       count(*) filter (rows_read
                           <> rows_loaded + rows_deduplicated + rows_quarantined + rows_filtered),
                       sum(rows_quarantined)
                from agg_ingest_reconciliation
                """,
            )
        assert batches == len([path for path in settings.paths.landing.rglob("*") if path.is_file()])
        assert wrong == 0
        assert quarantined > 0  # the dirt was asked for

    def test_landing_is_as_it_was_exported(self, shop):
        settings, _ = shop
        exported = fingerprint(settings.home / "demo_exports" / "landing")
        assert fingerprint(settings.paths.landing) == exported

    def test_a_second_demo_changes_nothing(self, shop):
        settings, _ = shop
        before = fingerprint(settings.paths.published_parquet) | fingerprint(settings.paths.published_exports)
        run_demo(settings, Console(quiet=True), users=1_500, days=120)
        after = fingerprint(settings.paths.published_parquet) | fingerprint(settings.paths.published_exports)
        assert len(before) > 15
        assert after == before
