"""Instances with something staged, and a warehouse whose marts are all as they should be."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb
import pytest

from userops.config import Settings
from userops.steps import StepContext

DAY = date(2024, 6, 30)

SOURCE_YAML = """
source: shop_orders
entity: orders
files: {path: shop/orders, pattern: "orders_*.csv"}
format: {type: csv}
timezone: Asia/Shanghai
columns:
  order_id: order_no
  user_id: uid
  order_time: order_time
  gross_amount: total
  refund_amount: refund
"""
EVENTS_YAML = """
source: shop_events
entity: events
files: {path: shop/events, pattern: "events_*.jsonl.gz", optional: true}
format: {type: jsonl}
timezone: Asia/Shanghai
columns: {event_id: id, user_id: uid, anonymous_id: device, event_time: ts, event_name: event}
"""

#: Marts of three users: u1 pays twice, u2 looks once, anon:d3 visits and never acts.
MARTS = {
    "dim_users": """
        select *, 10 * orders::decimal(18, 4) as net_revenue from (values
            ('u1', date '2024-06-28', date '2024-06-28', date '2024-06-30', 2, 2),
            ('u2', date '2024-06-29', date '2024-06-29', date '2024-06-29', 1, 0),
            ('anon:d3', date '2024-06-30', null, null, 0, 0)
        ) as t (user_id, first_seen_date, first_active_date, last_active_date, active_days, orders)""",
    "fct_user_tiers": """
        select user_id, case when orders > 0 then 'high' else 'none' end as value_tier, 'low' as frequency_tier,
            'none' as buyer_tier, 'none' as author_tier, 1 as level, net_revenue as trailing_net_revenue,
            null::varchar as value_tier_previous, null::date as value_tier_changed_on
        from dim_users""",
    "fct_user_tier_moves": """
        select 'u1' as user_id, 'level' as tier_kind, date '2024-06-23' as moved_after, date '2024-06-30' as moved_on,
            '1' as from_tier, '2' as to_tier""",
    "dim_user_personas": """
        select users.*, tiers.* exclude (user_id), 'not_scored' as churn_risk_band, last_active_date as last_order_date,
            case when orders > 0 then 3 end as recency_score,
            0.5 as interest_1_share, 0.3 as interest_2_share, 0.2 as interest_3_share,
            users.user_id not like 'anon:%' as is_identified
        from dim_users as users join fct_user_tiers as tiers using (user_id)""",
    "dim_user_personas_history": """
        select user_id, first_seen_date as valid_from, null::date as valid_to, true as is_current from dim_users""",
    "fct_user_tags": "select user_id, 'reachable' as tag_id from dim_users",
    "fct_sessions": """
        select * from (values
            ('s1', 'u1', date '2024-06-28', timestamp '2024-06-28 01:00:00', timestamp '2024-06-28 01:10:00', 600, 5),
            ('s2', 'u2', date '2024-06-29', timestamp '2024-06-29 01:00:00', timestamp '2024-06-29 01:00:00', 0, 1)
        ) as t (session_key, user_id, session_date, started_at, ended_at, duration_seconds, events)""",
    "fct_user_days": """
        select *, net_revenue as gross_revenue, 0::decimal(18, 4) as discount_amount, 0::decimal(18, 4) as refund_amount
        from (values
            ('u1', date '2024-06-28', 5, 1, 10.5::decimal(18, 4)), ('u1', date '2024-06-30', 0, 1, 20::decimal(18, 4)),
            ('u2', date '2024-06-29', 1, 0, 0::decimal(18, 4))
        ) as t (user_id, activity_date, activity_events, orders, net_revenue)""",
    "fct_orders": """
        select *, net_amount as gross_amount, 0::decimal(18, 4) as discount_amount, 0::decimal(18, 4) as refund_amount,
            true as is_purchase, false as is_cancelled
        from (values
            ('o1', 'u1', date '2024-06-28', 10.5::decimal(18, 4)), ('o2', 'u1', date '2024-06-30', 20::decimal(18, 4))
        ) as t (order_id, user_id, order_date, net_amount)""",
    "fct_order_items": """
        select order_id, order_id || '-1' as line_id, order_date as line_date, order_date from fct_orders""",
    "fct_lifecycle_stages": """
        select *, valid_to is null as is_current from (values
            ('u1', 'new', date '2024-06-28', date '2024-06-30'), ('u1', 'growing', date '2024-06-30', null),
            ('u2', 'new', date '2024-06-29', null), ('anon:d3', 'visitor', date '2024-06-30', null)
        ) as t (user_id, stage, valid_from, valid_to)""",
    "agg_lifecycle_daily": """
        select * from (values
            (date '2024-06-28', 'new', 1, 1, 0), (date '2024-06-29', 'new', 2, 1, 0),
            (date '2024-06-30', 'new', 1, 0, 1),
            (date '2024-06-30', 'growing', 1, 1, 0), (date '2024-06-30', 'visitor', 1, 1, 0)
        ) as t (stage_date, stage, users, entered, left_stage)""",
    "agg_growth_accounting": """
        select * from (values
            ('day', date '2024-06-28', 1, 0, 0, 0, 1), ('day', date '2024-06-29', 1, 0, 0, 1, 1),
            ('day', date '2024-06-30', 0, 0, 1, 1, 1)
        ) as t (grain, period_start, new_users, returning_users, resurrecting_users, dormant_users, active_users)""",
    "agg_growth_accounting_by_segment": """
        select 'all' as segment_type, 'all' as segment_value, * from agg_growth_accounting""",
    "agg_lifecycle_transitions": """
        select * from (values
            (date '2024-06-28', 'none', 'new', 1), (date '2024-06-29', 'none', 'new', 1),
            (date '2024-06-30', 'new', 'growing', 1), (date '2024-06-30', 'none', 'visitor', 1)
        ) as t (transition_date, from_stage, to_stage, users)""",
    "dim_product_stage": """
        select date '2024-06-01' as month_start, true as is_complete, 'cold_start' as stage,
            'acquisition' as principal_problem, 2 as new_users, 0 as returning_users, 0 as resurrecting_users, 2 as mau,
            1 as activated_users, 1 as paying_users, 0 as dormant_before""",
    "dim_dates": "select date '2024-06-28' + day::integer as date_day from range(3) as t (day)",
    "agg_aarrr_monthly": """
        select date '2024-06-01' as cohort_month, 'all' as segment_type, 'all' as segment_value, number as stage_number,
            stage, users, users_through
        from (values (1, 'acquired', 3, 3), (2, 'activated', 2, 2)) as t (number, stage, users, users_through)""",
    "agg_engagement_daily": """
        select day as activity_date, 'all' as segment_type, 'all' as segment_value, 1 as dau, least(n, 2) as wau,
            2 as mau, 0.5 as stickiness, 0.2 as bounce_rate, 0.0 as contribution_rate, 0.0 as interaction_rate,
            new_users, sign(revenue)::bigint as paying_users, sign(revenue) as paying_rate,
            sign(revenue)::bigint as orders, revenue::decimal(18, 4) as revenue, 1 as visitors, 1 as new_visitors,
            1 as sessions
        from (values
            (date '2024-06-28', 1, 1, 10.5), (date '2024-06-29', 2, 1, 0), (date '2024-06-30', 2, 0, 20)
        ) as t (day, n, new_users, revenue)""",
    "agg_user_paths": """
        select *, 1 as sessions, date '2024-06-30' as window_end
        from (values (1, 'home', 'search'), (2, 'search', '(end)')) as t (position, from_step, to_step)""",
    "agg_retention_cohorts": """
        select *, 'day' as grain, 'all' as segment_type, 'all' as segment_value, 1 as cohort_users,
            cohort_start + number as period_start, number as period_number,
            (retained or number < last)::bigint as retained_unbounded, retained::bigint as retained_users
        from (values
            ('first_ever', date '2024-06-28', 0, true, 2), ('first_ever', date '2024-06-28', 1, false, 2),
            ('first_ever', date '2024-06-28', 2, true, 2), ('first_ever', date '2024-06-29', 0, true, 0),
            ('recurring', date '2024-06-28', 0, true, 2), ('recurring', date '2024-06-28', 1, false, 2),
            ('recurring', date '2024-06-29', 0, true, 0), ('recurring', date '2024-06-30', 0, true, 0)
        ) as t (cohort_kind, cohort_start, number, retained, last)""",
    "agg_repeat_purchase": """
        select date '2024-06-01' as cohort_month, 'all' as segment_type, 'all' as segment_value, horizon_days,
            1 as buyers, repeat_buyers
        from (values (1, 0), (30, 1)) as t (horizon_days, repeat_buyers)""",
    "agg_purchase_numbers": "select number as purchase_number, 1 as buyers from range(1, 3) as t (number)",
    "agg_activation_candidates": """
        select 'event' as behaviour_kind, 'searched' as behaviour, 1 as min_times, 3 as new_users, 2 as users_with,
            1 as users_without, 1 as retained_with, 0 as retained_without, 0.5 as risk_difference,
            -0.2 as risk_difference_low, 0.8 as risk_difference_high""",
    "agg_referrals": """
        select grain, date '2024-06-01' as period_start, 1 as inviters, 1 as invitees, 1 as active_invitees,
            0 as paying_invitees, 3 as new_users
        from (values ('month'), ('total')) as t (grain)""",
    "fct_funnel_progress": """
        select 'purchase' as funnel_id, 'u1' as user_id, 1 as entry_number,
            timestamp '2024-06-28 01:00:00' as entered_at, 2 as max_step,
            timestamp '2024-06-28 01:00:00' as step_1_at""",
    "agg_funnel_conversion": """
        select 'purchase' as funnel_id, date '2024-06-28' as cohort_date, 'all' as segment_type, 'all' as segment_value,
            step as step_number, 4 as entered, reached, reached / coalesce(lag(reached) over (order by step), 4)
            as step_conversion, reached / 4 as overall_conversion
        from (values (1, 4), (2, 2), (3, 1)) as t (step, reached)""",
    "fct_churn_scores": """
        select user_id, date '2024-06-30' as as_of_date, 'churn-1' as model_version, p as churn_probability,
            'silent for 12 days' as reason_1_en, '已沉默 12 天' as reason_1_zh
        from (values ('u1', 0.9), ('u2', 0.6)) as t (user_id, p)""",
    "churn_warning_list": """
        select *, 'call' as suggested_action_en, '电话回访' as suggested_action_zh,
            row_number() over (order by user_id)::integer as rank, 'high' as risk_band,
            (100 * churn_probability)::decimal(18, 4) as expected_loss, 'default' as team, 1 as days_on_list,
            as_of_date as first_warned_on, false as is_manual, false as is_holdout
        from fct_churn_scores""",
    "export_churn_warning_list": "select * exclude (is_holdout) from churn_warning_list where not is_holdout",
    "winback_list": """
        select date '2024-06-30' as as_of_date, 'anon:d3' as user_id, number as rank, 0.2 as return_probability,
            10.0 - number as expected_value, 'default' as team, number = 2 as is_holdout, false as is_manual,
            5 as similar_users, 1 as similar_returned
        from (values (1)) as t (number)""",
    "export_winback_list": "select * exclude (is_holdout) from winback_list where not is_holdout",
    "export_crm_contacts": "select user_id from dim_user_personas where is_identified",
    "agg_list_suppressions": """
        select 'winback' as list_name, date '2024-06-30' as as_of_date, 'opted_out' as reason, 3 as users""",
    "agg_winback_triggers": """
        select date '2024-06-30' as as_of_date, 'high' as value_tier, 1 as silence_band, 'coupon' as trigger_kind,
            'c1' as trigger_value, 2 as returns_after, 5 as similar_returns""",
    "fct_outreach": """
        select 'o1' as outreach_id, 'u1' as user_id, date '2024-06-20' as outreach_date, date '2024-06-19' as list_date,
            date '2024-06-28' as returned_on, false as is_holdout, true as is_contacted""",
    "agg_outreach_effect": """
        select 'churn_warning' as list_name, date '2024-04-01' as experiment_from, 'all' as segment_type,
            'all' as segment_value, 90 as listed_users, 10 as holdout_users, 60 as contacted_users,
            45 as listed_returned, 4 as holdout_returned, 30 as contacted_returned,
            0.5 as listed_return_rate, 0.4 as listed_return_rate_low, 0.6 as listed_return_rate_high,
            0.4 as holdout_return_rate, 0.2 as holdout_return_rate_low, 0.7 as holdout_return_rate_high,
            0.1 as return_rate_difference, -0.2 as return_rate_difference_low, 0.4 as return_rate_difference_high,
            true as is_sample_ratio_ok""",
    "fct_persona_segments": """
        select user_id, date '2024-06-30' as as_of_date, 'S01' as segment_id, 0.5 as distance
        from (values ('u1'), ('u2')) as t (user_id)""",
    "dim_persona_segments": """
        select date '2024-06-30' as as_of_date, 'S01' as segment_id, 'Frequent buyers' as segment_name_en,
            '高频买家' as segment_name_zh, 'orders 3 (all 1)' as distinguishing_en,
            '订单数 3（全体 1）' as distinguishing_zh,
            2 as users, 1.0 as user_share, 1 as previous_users, 1 as users_stayed, 0 as users_moved_in,
            1 as users_entered, 0 as users_moved_out, 0 as users_left, 0.3 as silhouette""",
    "agg_ingest_reconciliation": """
        select 'orders' as entity, batch_id, rows_read, rows_read - rows_filtered as rows_loaded,
            0 as rows_deduplicated, 0 as rows_quarantined, rows_filtered, rows_dropped, state, retired_seq
        from (values
            ('b1', 2, 0, 0, 'committed', null::bigint), ('b0', 3, 1, 1, 'retired', 4)
        ) as t (batch_id, rows_read, rows_filtered, rows_dropped, state, retired_seq)""",
    "agg_source_notes": """
        select date '2024-06-30' as as_of_date, 'shop' as source, step, 'held' as kind, 'error' as severity,
            'orders_1.csv' as file_path, 'held' as message
        from (values ('ingest'), ('gate')) as t (step)""",
    "agg_late_data": """
        select 'shop' as source, 'orders' as entity, date '2024-06-30' as as_of_date, late as days_late,
            date '2024-06-30' - late as event_date, false as is_first_load, 10 as loaded_rows, 0.5 as share_of_run,
            0 as replacing_rows, restated as dates_restated, 0 as sessions_restated
        from (values (0, 0), (2, 1)) as t (late, restated)""",
    "dim_identities": """
        select * from (values
            ('user', 'u1', 'u1', 'own', false, 2), ('device', 'd1', 'u1', 'login', false, 2),
            ('user', 'u0', 'u1', 'merged', false, 2), ('device', 'd3', 'anon:d3', 'hub', true, 1)
        ) as t (kind, id, user_id, link, is_hub, linked_ids)""",
    "agg_identity_hubs": "select 'device' as kind, 'd3' as id, 'user' as linked_kind, 40 as links",
    "fct_campaign_touches": """
        select touch_id, 'c1' as campaign_id, 'u1' as user_id, touched_at, touched_at::date as touch_date
        from (values ('t1', timestamp '2024-06-30 01:00:00'), ('t2', null)) as t (touch_id, touched_at)""",
    "fct_feedback": "select 'f1' as feedback_id, 'u1' as user_id, date '2024-06-30' as feedback_date",
    "dim_products": """
        select product_id, day as first_ordered_date, day as last_ordered_date, lines as order_lines, true as is_listed
        from (values ('p1', date '2024-06-30', 2), ('p2', null, 0)) as t (product_id, day, lines)""",
}


@pytest.fixture
def context(instance: Callable[..., Settings]) -> StepContext:
    """An empty instance with two sources."""
    settings = instance("project: {timezone: Asia/Shanghai}")
    (settings.paths.sources / "orders.yml").write_text(SOURCE_YAML, encoding="utf-8")
    (settings.paths.sources / "events.yml").write_text(EVENTS_YAML, encoding="utf-8")
    (settings.paths.landing / "shop" / "orders").mkdir(parents=True)
    (settings.paths.landing / "shop" / "events").mkdir(parents=True)
    return StepContext(settings, DAY)


@pytest.fixture
def stage(context: StepContext) -> Callable[..., None]:
    """Drop an export of orders and one of events, and run `ingest`."""
    from userops.ingest.runner import stage_landing

    def _stage(orders: int = 40, broken: int = 0, name: str = "orders_1.csv") -> None:
        landing = context.settings.paths.landing / "shop"
        lines = ["order_no,uid,order_time,total,refund"]
        lines += [f"o{number},u{number % 7},2024-06-30 07:00:0{number % 10},12.50,0" for number in range(orders)]
        lines += [f"x{number},u1,not a time,12.50,0" for number in range(broken)]
        (landing / "orders" / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        events = [
            {"id": f"e{number}", "uid": None, "device": "d1", "ts": "2024-06-30T23:59:59+08:00", "event": "page_viewed"}
            for number in range(20)
        ]
        with gzip.open(landing / "events" / "events_1.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(event) + "\n" for event in events)
        stage_landing(context)

    return _stage


@pytest.fixture
def staged_file(context: StepContext) -> Callable[[str], Path]:
    """Return the only staged Parquet file of an entity."""

    def _staged_file(entity: str) -> Path:
        (file,) = context.settings.paths.incoming.glob(f"{entity}/event_date=*/*.parquet")
        return file

    return _staged_file


@pytest.fixture(scope="session")
def sound_marts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a warehouse file with the tables of MARTS, to be copied."""
    file = tmp_path_factory.mktemp("sound_marts") / "marts.duckdb"
    with closing(duckdb.connect(str(file))) as connection:
        for name, sql in MARTS.items():
            connection.execute(f"create table {name} as {sql}")
    return file


@pytest.fixture
def warehouse(context: StepContext, sound_marts: Path) -> Callable[..., None]:
    """Write the warehouse of MARTS; arguments are SQL statements to run on it afterwards."""

    def _warehouse(*changes: str) -> None:
        settings = context.settings
        settings.paths.warehouse_dir.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sound_marts, settings.paths.warehouse)
        if changes:
            with closing(duckdb.connect(str(settings.paths.warehouse))) as connection:
                for change in changes:
                    connection.execute(change)
        nodes = {
            f"model.userops.{name}": {
                "resource_type": "model", "fqn": ["userops", "marts", "shop", name], "schema": "main", "alias": name,
                "description": "", "columns": {},
            }
            for name in MARTS
        }  # fmt: skip
        settings.paths.dbt_target.mkdir(parents=True, exist_ok=True)
        (settings.paths.dbt_target / "manifest.json").write_text(json.dumps({"nodes": nodes}), encoding="utf-8")

    return _warehouse
