"""The gate before publishing: every expectation can fail, and a failure keeps what is published."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from expectations.steps import gate_marts
from userops.errors import BuildError, GateError
from userops.steps import StepContext
from userops.warehouse.publish import publish

Warehouse = Callable[..., None]


def test_sound_marts_pass_and_the_results_are_kept(context: StepContext, warehouse: Warehouse) -> None:
    warehouse()

    report = gate_marts(context)

    folder = context.settings.paths.quality / "marts" / "as_of=2024-06-30"
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert result["success"] is True
    assert result["checks"] == report.counts["expectations"] > 90
    assert {suite["table"] for suite in result["suites"]} >= {"dim_users", "churn_warning_list", "columns"}
    assert report.outputs["report"] == str(folder / "index.html")


BREAKS = {
    "a duplicate key": ("insert into dim_users from dim_users limit 1", "dim_users", "rows_with_this_key=2"),
    "a null key": ("update fct_sessions set session_key = null where user_id = 'u1'", "fct_sessions", "session_key"),
    "a row of the future": (
        "update fct_orders set order_date = '2024-07-01' where order_id = 'o1'",
        "fct_orders",
        "order_date=2024-07-01",
    ),
    "an amount that does not add up": (
        "update fct_orders set net_amount = 11 where order_id = 'o1'",
        "fct_orders",
        "o1",
    ),
    "a line without its order": ("update fct_order_items set order_id = 'o9'", "fct_order_items", "order_id=o9"),
    "a gap in a life": (
        "update fct_lifecycle_stages set valid_to = '2024-06-29' where valid_to is not null",
        "fct_lifecycle_stages",
        "u1",
    ),
    "an overlap in a life": (
        "insert into fct_lifecycle_stages values ('u2', 'new', '2024-06-30', null, true)",
        "fct_lifecycle_stages",
        "u2",
    ),
    "an unknown stage": ("update fct_lifecycle_stages set stage = 'asleep'", "fct_lifecycle_stages", "stage=asleep"),
    "a user without a stage": (
        "delete from fct_lifecycle_stages where user_id = 'anon:d3'",
        "fct_lifecycle_stages",
        "user_id=anon:d3",
    ),
    "a day that misses a user": (
        "delete from agg_lifecycle_daily where stage = 'visitor'",
        "agg_lifecycle_daily",
        "users_in_stages=2, users_seen=3",
    ),
    "entered and left that do not add up": (
        "update agg_lifecycle_daily set entered = 2 where stage_date = '2024-06-29'",
        "agg_lifecycle_daily",
        "entered=2",
    ),
    "growth that does not add up": (
        "update agg_growth_accounting set new_users = 2 where period_start = '2024-06-29'",
        "agg_growth_accounting",
        "2",
    ),
    "dormant users that do not add up": (
        "update agg_growth_accounting set dormant_users = 5 where period_start = '2024-06-29'",
        "agg_growth_accounting",
        "dormant_users=5",
    ),
    "active users that differ from the active days": (
        "insert into fct_user_days from (select * replace ('u2' as user_id) from fct_user_days "
        "where activity_date = '2024-06-30')",
        "agg_growth_accounting",
        "users_in_user_days=2",
    ),
    "an active day without activity": (
        "update fct_user_days set activity_events = 0 where user_id = 'u2'",
        "fct_user_days",
        "u2",
    ),
    "daily users above weekly users": ("update agg_engagement_daily set wau = 0", "agg_engagement_daily", "wau=0"),
    "a day's revenue that is not its orders'": (
        "update agg_engagement_daily set revenue = 21 where activity_date = '2024-06-30'",
        "agg_engagement_daily",
        "revenue=21",
    ),
    "paths that lose somebody": ("delete from agg_user_paths where position = 2", "agg_user_paths", "step=search"),
    "more people retained than there were": (
        "update agg_retention_cohorts set retained_users = 2 where period_number = 2",
        "agg_retention_cohorts",
        "retained_users=2",
    ),
    "a cohort that is not the new users": (
        "delete from agg_retention_cohorts where cohort_kind = 'first_ever' and cohort_start = '2024-06-29'",
        "agg_retention_cohorts",
        "new_users_in_cohorts=null",
    ),
    "fewer repeat buyers in a longer time": (
        "update agg_repeat_purchase set repeat_buyers = 1 - repeat_buyers",
        "agg_repeat_purchase",
        "horizon_days=30",
    ),
    "more buyers of a second purchase than of a first": (
        "update agg_purchase_numbers set buyers = 2 where purchase_number = 2",
        "agg_purchase_numbers",
        "buyers=2",
    ),
    "an interval beside its difference": (
        "update agg_activation_candidates set risk_difference_high = 0.4",
        "agg_activation_candidates",
        "risk_difference_high=0.4",
    ),
    "more invited users than new ones": (
        "update agg_referrals set new_users = 0 where grain = 'month'",
        "agg_referrals",
        "new_users=0",
    ),
    "a session that ends before it starts": (
        "update fct_sessions set ended_at = started_at - interval 1 second",
        "fct_sessions",
        "s1",
    ),
    "a funnel that widens": (
        "update agg_funnel_conversion set reached = 3 where step_number = 3",
        "agg_funnel_conversion",
        "reached=3",
    ),
    "a conversion above one": (
        "update agg_funnel_conversion set step_conversion = 1.5",
        "agg_funnel_conversion",
        "1.5",
    ),
    "a probability above one": ("update fct_churn_scores set churn_probability = 1.2", "fct_churn_scores", "1.2"),
    "a score without a reason": ("update fct_churn_scores set reason_1_zh = ' '", "fct_churn_scores", "reason_1_zh"),
    "a listed user nobody knows": (
        "update churn_warning_list set user_id = 'ghost' where rank = 1",
        "churn_warning_list",
        "user_id=ghost",
    ),
    "a gap in the ranks": (
        "update churn_warning_list set rank = 3 where rank = 2",
        "churn_warning_list",
        "last_rank=3",
    ),
    "a list out of order": (
        "update churn_warning_list set expected_loss = 1000 where rank = 2",
        "churn_warning_list",
        "expected_loss=1000",
    ),
    "somebody below the limit": (
        "update churn_warning_list set churn_probability = 0.1 where rank = 2",
        "churn_warning_list",
        "0.1",
    ),
    "a list that is too long for its team": (
        "insert into churn_warning_list select listed.* replace (2 + number as rank, 'u2' as user_id) "
        "from churn_warning_list as listed, range(1, 501) as more (number) where rank = 2",
        "churn_warning_list",
        "listed=502",
    ),
    "somebody held out who is handed out": (
        "update churn_warning_list set is_holdout = true where rank = 2",
        "export_churn_warning_list",
        "user_id=u2",
    ),
    "somebody on both lists": (
        "update export_winback_list set user_id = 'u1'",
        "export_winback_list",
        "user_id=u1",
    ),
    "a contact whom nobody knows": (
        "insert into export_crm_contacts values ('anon:d3')",
        "export_crm_contacts",
        "user_id=anon:d3",
    ),
    "a user the CRM does not hear of": (
        "delete from export_crm_contacts where user_id = 'u2'",
        "export_crm_contacts",
        "user_id=u2",
    ),
    "a chance to come back that is none": (
        "update winback_list set return_probability = 0",
        "winback_list",
        "return_probability",
    ),
    "an effect outside its interval": (
        "update agg_outreach_effect set return_rate_difference = 0.5",
        "agg_outreach_effect",
        "0.5",
    ),
    "a return before the contact": (
        "update fct_outreach set returned_on = date '2024-06-20'",
        "fct_outreach",
        "returned_on",
    ),
    "accounts that do not add up": (
        "update agg_ingest_reconciliation set rows_quarantined = 1",
        "agg_ingest_reconciliation",
        "rows_quarantined=1",
    ),
    "more rows dropped than filtered": (
        "update agg_ingest_reconciliation set rows_dropped = 2",
        "agg_ingest_reconciliation",
        "rows_dropped=2",
    ),
    "a replaced batch without its number": (
        "update agg_ingest_reconciliation set retired_seq = null",
        "agg_ingest_reconciliation",
        "state=retired",
    ),
    "a batch that was never committed": (
        "update agg_ingest_reconciliation set state = 'staged'",
        "agg_ingest_reconciliation",
        "state=staged",
    ),
    "a note of no severity": ("update agg_source_notes set severity = 'bad'", "agg_source_notes", "severity=bad"),
    "rows later than they are": (
        "update agg_late_data set days_late = 3 where days_late = 2",
        "agg_late_data",
        "days_late=3",
    ),
    "more rows replaced than brought": (
        "update agg_late_data set replacing_rows = 11",
        "agg_late_data",
        "replacing_rows=11",
    ),
    "a first load that restates sessions": (
        "update agg_late_data set is_first_load = true, sessions_restated = 1 where days_late = 2",
        "agg_late_data",
        "sessions_restated=1",
    ),
    "rows on time that restate a date": (
        "update agg_late_data set dates_restated = 1 where days_late = 0",
        "agg_late_data",
        "days_late=0",
    ),
    "an id that counts as two users": (
        "insert into dim_identities select * replace ('u2' as user_id) from dim_identities where id = 'd1'",
        "dim_identities",
        "rows_with_this_key=2",
    ),
    "a shared device that joins somebody": (
        "update dim_identities set user_id = 'u1' where is_hub",
        "dim_identities",
        "kind=device, id=d3, user_id=u1",
    ),
    "a user merged into one that is merged itself": (
        "update dim_identities set user_id = 'u9' where kind = 'user' and id = 'u1'",
        "dim_identities",
        "id=u0, user_id=u1",
    ),
    "an id joined in an unknown way": ("update dim_identities set link = 'guess'", "dim_identities", "link=guess"),
    "a hub nobody knows": ("update agg_identity_hubs set id = 'd9'", "agg_identity_hubs", "id=d9"),
    "a hub without links": ("update agg_identity_hubs set links = 0", "agg_identity_hubs", "links=0"),
    "a touch twice on a day": (
        "insert into fct_campaign_touches from fct_campaign_touches where touch_date is null",
        "fct_campaign_touches",
        "rows_with_this_key=2",
    ),
    "a touch without a campaign": (
        "update fct_campaign_touches set campaign_id = null",
        "fct_campaign_touches",
        "campaign_id=null",
    ),
    "a touch with a time and no date": (
        "update fct_campaign_touches set touch_date = null",
        "fct_campaign_touches",
        "touch_date=null",
    ),
    "feedback of the future": (
        "update fct_feedback set feedback_date = '2024-07-01'",
        "fct_feedback",
        "feedback_date=2024-07-01",
    ),
    "a product nobody lists or buys": (
        "update dim_products set is_listed = false",
        "dim_products",
        "product_id=p2",
    ),
    "a personal column in any table": ("create table scratch as select 'x' as Phone", "columns", "table_name=scratch"),
    "a missing table": ("drop table agg_engagement_daily", "tables", "missing_table=agg_engagement_daily"),
    "a missing column": ("alter table fct_sessions drop column events", "fct_sessions", "itself raised"),
}


def _only_suites_of(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the other suites: a whole gate takes two seconds, and other tests run it."""
    from expectations.suites import marts

    every = marts.marts_suites
    monkeypatch.setattr(
        marts, "marts_suites", lambda *given: [suite for suite in every(*given) if suite.table == table]
    )


@pytest.mark.parametrize("broken", BREAKS)
def test_what_is_broken_is_named_with_counts_and_sample(
    context: StepContext, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    change, table, sample = BREAKS[broken]
    _only_suites_of(table, monkeypatch)
    warehouse(change)

    with pytest.raises(GateError) as caught:
        gate_marts(context)

    assert f"table {table}" in caught.value.where
    assert "suite `" in caught.value.where
    assert sample in caught.value.found
    assert " unexpected of " in caught.value.found or "itself raised" in caught.value.found
    assert "index.html" in caught.value.fix
    result = json.loads((context.settings.paths.quality / "marts/as_of=2024-06-30/result.json").read_text())
    assert result["success"] is False


def gate_and_publish(context: StepContext) -> None:
    """The end of the daily run."""
    for step in (gate_marts, publish):
        step(context)


def test_a_failing_gate_leaves_what_is_published(
    context: StepContext, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    _only_suites_of("fct_orders", monkeypatch)
    warehouse()
    gate_and_publish(context)
    before = context.settings.paths.published_duckdb.read_bytes()
    warehouse("update fct_orders set net_amount = 99")

    with pytest.raises(GateError):
        gate_and_publish(context)

    assert context.settings.paths.published_duckdb.read_bytes() == before
    with closing(duckdb.connect(str(context.settings.paths.published_duckdb), read_only=True)) as connection:
        assert connection.execute("select max(net_amount)::double from fct_orders").fetchall() == [(20.0,)]


_MANY_ITEMS = """
insert into fct_order_items
select 'o1' as order_id, 'more-' || i as line_id, date '2024-06-28' as line_date, date '2024-06-28' as order_date
from range(200) as more (i)
"""


def test_a_table_that_lost_most_of_its_published_rows_is_refused(
    context: StepContext, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("userops.warehouse.publish.LISTS", ())
    _only_suites_of("fct_order_items", monkeypatch)
    warehouse(_MANY_ITEMS)
    publish(context)
    warehouse()

    with pytest.raises(GateError, match=r"observed 2; allowed 101 to any") as caught:
        gate_marts(context)
    assert "table fct_order_items" in caught.value.where

    earlier = StepContext(context.settings, context.as_of.replace(day=29))
    with pytest.raises(GateError) as back_in_time:  # rows of the 30th are then in the future
        gate_marts(earlier)
    assert "observed" not in back_in_time.value.found


def test_bad_rows_show_no_personal_data(context: StepContext, warehouse: Warehouse) -> None:
    warehouse(
        "alter table dim_users add column email varchar",
        "update dim_users set email = 'li@example.com', user_id = 'wang@example.com 13812345678' where user_id = 'u2'",
    )

    with pytest.raises(GateError) as caught:
        gate_marts(context)

    folder = context.settings.paths.quality / "marts" / "as_of=2024-06-30"
    for text in (str(caught.value), (folder / "result.json").read_text(), (folder / "index.html").read_text()):
        assert "example.com" not in text
        assert "13812345678" not in text
        assert "*** ***" in text


def test_the_page_opens_without_a_network(context: StepContext, warehouse: Warehouse) -> None:
    warehouse("update dim_users set user_id = '<b>bold</b>' where user_id = 'u2'")
    with pytest.raises(GateError):
        gate_marts(context)

    quality = context.settings.paths.quality
    pages = [quality / "index.html", quality / "marts" / "as_of=2024-06-30" / "index.html"]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "http" not in text
        assert "<script" not in text
        assert "@import" not in text
    assert "每个 user_id 只有一行" in pages[1].read_text(encoding="utf-8")
    assert "<b>bold" not in pages[1].read_text(encoding="utf-8")
    assert 'href="marts/as_of=2024-06-30/index.html"' in pages[0].read_text(encoding="utf-8")


def test_without_a_warehouse_the_error_says_what_to_do(context: StepContext) -> None:
    with pytest.raises(BuildError, match="userops build"):
        gate_marts(context)


def test_nothing_is_written_beside_the_warehouse(
    context: StepContext, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    _only_suites_of("fct_orders", monkeypatch)
    warehouse()
    before = sorted(path.name for path in context.settings.paths.warehouse_dir.iterdir())
    content = context.settings.paths.warehouse.read_bytes()

    gate_marts(context)

    assert sorted(path.name for path in context.settings.paths.warehouse_dir.iterdir()) == before
    assert Path(context.settings.paths.warehouse).read_bytes() == content
