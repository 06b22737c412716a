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
        select * from (values
            ('u1', date '2024-06-28', date '2024-06-28', date '2024-06-30', 2, 2),
            ('u2', date '2024-06-29', date '2024-06-29', date '2024-06-29', 1, 0),
            ('anon:d3', date '2024-06-30', null, null, 0, 0)
        ) as t (user_id, first_seen_date, first_active_date, last_active_date, active_days, orders)""",
    "dim_user_personas": "select user_id from dim_users",
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
            true as is_purchase
        from (values
            ('o1', 'u1', date '2024-06-28', 10.5::decimal(18, 4)), ('o2', 'u1', date '2024-06-30', 20::decimal(18, 4))
        ) as t (order_id, user_id, order_date, net_amount)""",
    "fct_order_items": "select order_id, order_id || '-1' as line_id, order_date from fct_orders",
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
    "agg_engagement_daily": """
        select day as activity_date, 'all' as segment_type, 'all' as segment_value, 1 as dau, least(n, 2) as wau,
            2 as mau, 0.5 as stickiness, 0.2 as bounce_rate, 0.0 as contribution_rate, 0.0 as interaction_rate
        from (values (date '2024-06-28', 1), (date '2024-06-29', 2), (date '2024-06-30', 2)) as t (day, n)""",
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
            (100 * churn_probability)::decimal(18, 4) as expected_loss
        from fct_churn_scores""",
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
