"""A small warehouse file with marts as dbt leaves them, and its manifest."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from userops.config import Settings, load_settings
from userops.steps import StepContext

DAY = date(2024, 6, 30)

_LIST_SQL = """
create or replace table marts.export_churn_warning_list as
select
    day.as_of_date, row_number() over (partition by day.as_of_date order by u.i)::integer as rank,
    case u.i when 0 then '12345678901234567890' when 1 then '=1+1' else 'u' || u.i end as user_id,
    0.95 - u.i * 0.1 as churn_probability, 'high' as risk_band, (1234.5 - u.i)::decimal(18, 4) as expected_loss,
    (2000 + u.i)::decimal(18, 4) as user_value, 'at_risk' as lifecycle_stage, 12 + u.i as days_silent,
    3.5 as usual_gap_days, 'silent for 12 days' as reason_1_en, '已沉默 12 天' as reason_1_zh,
    'fewer orders' as reason_2_en, '订单减少' as reason_2_zh,
    null::varchar as reason_3_en, null::varchar as reason_3_zh,
    'call_back' as action_code, 'call' as suggested_action_en, '电话回访' as suggested_action_zh,
    'app' as preferred_channel, 'churn-1' as model_version, 'CNY' as currency
from (values (date '2024-06-29'), (date '2024-06-30'), (date '2024-07-01')) as day (as_of_date)
cross join range({users}) as u (i)
"""


def build_warehouse(settings: Settings, orders: int = 1000, listed: int = 3) -> None:
    """Write (or rewrite) the warehouse: `orders` orders, `listed` users on the list of every day."""
    settings.paths.warehouse_dir.mkdir(parents=True, exist_ok=True)
    with closing(duckdb.connect(str(settings.paths.warehouse))) as connection:
        connection.execute("create schema if not exists marts")
        connection.execute("create schema if not exists staging")
        connection.execute("create or replace table staging.stg_orders as select 1 as private_to_the_pipeline")
        connection.execute(
            f"""
            create or replace table marts.fct_orders as
            select
                'o' || i as order_id, timestamp '2024-06-30 08:00:00' as ordered_at, date '2024-06-30' as order_date,
                (i * 1.25)::decimal(18, 4) as net_amount, i % 7 = 0 as is_purchase, 'x' || chr(0) || '中文' as note
            from range({orders}) as orders (i)
            """
        )
        connection.execute(
            "create or replace table marts.fct_churn_scores as select 'u1' as user_id, 'churn-1' as model_version, "
            "date '2024-06-30' as as_of_date"
        )
        connection.execute(_LIST_SQL.format(users=listed))
    nodes = {
        f"model.userops.{name}": _node(name) for name in ("fct_churn_scores", "export_churn_warning_list", "fct_orders")
    }
    nodes["model.userops.stg_orders"] = {**_node("stg_orders"), "fqn": ["userops", "staging", "stg_orders"]}
    nodes["test.userops.unique"] = {"resource_type": "test"}
    nodes["model.userops.fct_orders"] |= {
        "description": "Orders, one row each.\n订单",
        "columns": {
            "order_id": {"description": "id of the order 订单 ID"},
            "gone": {"description": "not in the table"},
        },
    }
    manifest = {"nodes": nodes}
    settings.paths.dbt_target.mkdir(parents=True, exist_ok=True)
    (settings.paths.dbt_target / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _node(name: str) -> dict[str, Any]:
    return {
        "resource_type": "model", "fqn": ["userops", "marts", "shop", name], "schema": "marts", "alias": name,
        "description": "", "columns": {},
    }  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an empty instance."""
    monkeypatch.delenv("USEROPS_HOME", raising=False)
    monkeypatch.delenv("USEROPS_CONFIG", raising=False)
    (tmp_path / "config").mkdir()
    return load_settings(home=tmp_path / "var", config=tmp_path / "config")


@pytest.fixture
def rebuild(settings: Settings) -> Callable[..., None]:
    """Write the warehouse again, with other figures."""

    def _rebuild(**figures: Any) -> None:
        build_warehouse(settings, **figures)

    return _rebuild


@pytest.fixture
def context(settings: Settings, rebuild: Callable[..., None]) -> StepContext:
    """Context of an instance whose warehouse is built as of DAY."""
    rebuild()
    return StepContext(settings, DAY)
