"""Small manifests: a project that keeps every convention, to be spoiled by the tests."""

from __future__ import annotations

from typing import Any

HOOKED = {"pre-hook": [{"sql": "{{ log_rebuilt_dates() }}"}], "post-hook": [{"sql": "{{ save_watermarks() }}"}]}

GOOD_SQL = """with users as (

    select users.*
    from {{ ref("int_users") }} as users

)

select
    user_id,
    {{ share("orders", "days") }} as orders_per_day
from users
"""


def good_manifest() -> dict[str, Any]:
    """Return one source, a model per layer, an exposure and a metric, in the form dbt writes them."""
    nodes = [
        model("stg_users", "staging", ["source.userops.lake.users"]),
        model("int_users", "intermediate/users", ["model.userops.stg_users"]),
        model("dim_users", "marts/users", ["model.userops.int_users"]),
        model("agg_users", "marts/users", ["model.userops.dim_users"]),
        key_test("dim_users"),
        key_test("agg_users"),
    ]
    source = {"source_name": "lake", "name": "users", "original_file_path": "models/staging/_sources.yml",
              "description": "users 用户", "columns": {}}  # fmt: skip
    exposure = {"name": "board", "label": "Board 看板", "original_file_path": "models/exposures.yml",
                "description": "Seen by all. 看板", "depends_on": {"nodes": ["model.userops.agg_users"]}}  # fmt: skip
    metric = {"name": "users", "label": "Users 用户数", "original_file_path": "models/semantic/users.yml",
              "description": "All of them. 用户数。含访客", "depends_on": {"nodes": []}}  # fmt: skip
    group = {"name": "users", "original_file_path": "models/_groups.yml", "description": "Users. 用户"}
    return {
        "nodes": {node["unique_id"]: node for node in nodes},
        "sources": {"source.userops.lake.users": source},
        "exposures": {"exposure.userops.board": exposure},
        "metrics": {"metric.userops.users": metric},
        "semantic_models": {},
        "groups": {"group.userops.users": group},
        "macros": {},
    }


def model(name: str, folder: str, needs: list[str]) -> dict[str, Any]:
    """Return the node of a model with two columns that keeps every convention of its folder."""
    is_mart = folder.startswith("marts")
    return {
        "unique_id": f"model.userops.{name}",
        "package_name": "userops",
        "resource_type": "model",
        "name": name,
        "fqn": ["userops", *folder.split("/"), name],
        "original_file_path": f"models/{folder}/{name}.sql",
        "patch_path": f"userops://models/{folder}/{name}.yml",
        "description": "One row per user; see business date. 用户表。每个用户一行。",
        "columns": {
            "user_id": column("user_id", "User id. 用户 ID", [{"type": "not_null"}]),
            "orders_per_day": column("orders_per_day", "Orders / days. 日均订单数。订单数÷天数；无活跃日为空", []),
        },
        "depends_on": {"nodes": needs},
        "raw_code": GOOD_SQL,
        "config": {
            "materialized": "table",
            "contract": {"enforced": is_mart},
            "group": "users",
            "tags": [],
            "meta": {},
            "pre-hook": [],
            "post-hook": [],
        },
    }


def column(name: str, description: str, constraints: list[dict[str, str]]) -> dict[str, Any]:
    """Return a column of a model."""
    return {"name": name, "data_type": "varchar", "description": description, "constraints": constraints}


def key_test(name: str) -> dict[str, Any]:
    """Return the test that `user_id` is the key of a model."""
    return {
        "unique_id": f"test.userops.unique_{name}",
        "package_name": "userops",
        "resource_type": "test",
        "name": f"unique_{name}",
        "original_file_path": f"models/marts/users/{name}.yml",
        "attached_node": f"model.userops.{name}",
        "column_name": "user_id",
        "test_metadata": {"name": "unique", "kwargs": {"column_name": "user_id"}},
        "depends_on": {"nodes": [f"model.userops.{name}"]},
        "raw_code": "",
        "config": {},
    }
