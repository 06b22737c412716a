"""The daily run under Airflow's own runner, as its users would see it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from userops.business_date import logical_date_for
from userops.config import PROJECT_ROOT, Settings, load_settings
from userops.demo import LAST_DAY, run_demo
from userops.orchestration import WRITER_POOL, airflow_environment
from userops.simulate.truth import ranking_quality

REAL_CONFIG = PROJECT_ROOT / "tests" / "data_sources"


def airflow(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "airflow", *arguments],
        env=airflow_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )


def prepare_airflow(settings: Settings) -> None:
    settings.paths.airflow_home.mkdir(parents=True, exist_ok=True)
    assert airflow(settings, "db", "migrate").returncode == 0
    assert airflow(settings, "pools", "set", WRITER_POOL, "1", "one writer").returncode == 0


def dag_run(settings: Settings, dag_id: str, day: date) -> subprocess.CompletedProcess[str]:
    return airflow(settings, "dags", "test", dag_id, logical_date_for(day, settings.tz).isoformat())


def succeed(settings: Settings, dag_id: str, day: date) -> None:
    done = dag_run(settings, dag_id, day)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]


def fingerprint(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def make_instance(tmp: Path, config: Path) -> Settings:
    patch = pytest.MonkeyPatch()
    patch.setenv("USEROPS_HOME", str(tmp / "home"))
    patch.setenv("USEROPS_CONFIG", str(config))
    try:
        return load_settings()
    finally:
        patch.undo()


def marts(settings: Settings) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(settings.paths.published_duckdb), read_only=True)


def one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple:
    return connection.execute(sql).fetchone()


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    settings = make_instance(tmp_path_factory.mktemp("shop"), PROJECT_ROOT / "config")
    console = Console(record=True, width=140)
    run_demo(settings, console, users=3_000, days=150)
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
        run_demo(settings, Console(quiet=True), users=3_000, days=150)
        after = fingerprint(settings.paths.published_parquet) | fingerprint(settings.paths.published_exports)
        assert after == before


class TestOneCommandBadInput:
    """What a wrong input looks like to the person who ran the command."""

    def run(self, tmp_path: Path, *arguments: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
        import os

        environment = {**os.environ, "USEROPS_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
        environment["USEROPS_CONFIG"] = str(config or tmp_path / "config")
        return subprocess.run(
            [sys.executable, "-m", "userops.cli", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def test_a_typo_in_a_source_yaml(self, tmp_path):
        shutil.copytree(PROJECT_ROOT / "config", tmp_path / "config")
        file = tmp_path / "config" / "sources" / "shop_orders.yml"
        file.write_text(file.read_text(encoding="utf-8").replace("entity:", "entitty:"), encoding="utf-8")
        done = self.run(tmp_path, "ingest")
        assert done.returncode == 2
        assert "shop_orders.yml" in done.stderr
        assert "did you mean `entity`" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_missing_landing_folder(self, tmp_path):
        done = self.run(tmp_path, "ingest", config=PROJECT_ROOT / "config")
        assert done.returncode == 2
        assert "landing" in done.stderr
        assert "what to do" in done.stderr

    def test_nothing_published_yet(self, tmp_path):
        done = self.run(tmp_path, "show", config=PROJECT_ROOT / "config")
        assert done.returncode == 2
        assert "userops run" in done.stderr


@pytest.fixture(scope="module")
def retail(tmp_path_factory, shared_data):
    settings = make_instance(tmp_path_factory.mktemp("retail"), REAL_CONFIG / "online_retail")
    shutil.copytree(shared_data / "online_retail", settings.paths.landing / "online_retail")
    prepare_airflow(settings)
    succeed(settings, "user_ops_daily", date(2011, 12, 9))
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
                       count(*) filter (order_id like 'C%' and (is_purchase or refund_amount < 0))
                from fct_orders
                """,
            )
        assert credit_notes > 8_000
        assert wrong == 0

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


@pytest.fixture(scope="module")
def loans(tmp_path_factory, shared_data):
    settings = make_instance(tmp_path_factory.mktemp("loans"), REAL_CONFIG / "bpic2012")
    shutil.copytree(shared_data / "bpic2012", settings.paths.landing / "bpic2012")
    prepare_airflow(settings)
    succeed(settings, "user_ops_daily", date(2012, 3, 14))
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
