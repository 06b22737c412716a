"""Each convention, broken once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.docs.projects import GOOD_SQL, HOOKED, good_manifest, model
from userops.docs.conventions import check_conventions
from userops.docs.project import read_manifest

Manifest = dict[str, Any]


def _node(manifest: Manifest, name: str) -> dict[str, Any]:
    node: dict[str, Any] = manifest["nodes"][f"model.userops.{name}"]
    return node


def _set(name: str, **values: Any) -> Callable[[Manifest], None]:
    return lambda manifest: _node(manifest, name).update(values)


def _configure(name: str, **values: Any) -> Callable[[Manifest], None]:
    return lambda manifest: _node(manifest, name)["config"].update(values)


def _sql(name: str, sql: str) -> Callable[[Manifest], None]:
    return _set(name, raw_code=sql)


def _column(name: str, column: str, **values: Any) -> Callable[[Manifest], None]:
    return lambda manifest: _node(manifest, name)["columns"][column].update(values)


def _reads(name: str, *needs: str) -> Callable[[Manifest], None]:
    return _set(name, depends_on={"nodes": list(needs)})


def _add(node: dict[str, Any]) -> Callable[[Manifest], None]:
    return lambda manifest: manifest["nodes"].update({node["unique_id"]: node})


def _describe(kind: str, unique_id: str, text: str) -> Callable[[Manifest], None]:
    return lambda manifest: manifest[kind][unique_id].update(description=text)


def _add_macro(name: str, sql: str) -> Callable[[Manifest], None]:
    macro = {"package_name": "userops", "name": name, "original_file_path": "macros/x.sql", "macro_sql": sql}
    return lambda manifest: manifest["macros"].update({name: macro})


def _add_test(sql: str) -> Callable[[Manifest], None]:
    test = {"unique_id": "test.userops.x", "package_name": "userops", "resource_type": "test", "name": "x",
            "original_file_path": "tests/x.sql", "raw_code": sql, "config": {},
            "depends_on": {"nodes": []}}  # fmt: skip
    return _add(test)


def _without_test(manifest: Manifest) -> None:
    del manifest["nodes"]["test.userops.unique_dim_users"]


def _export_from_staging(manifest: Manifest) -> None:
    _add(model("export_users", "exports", ["model.userops.stg_users"]))(manifest)
    _configure("export_users", contract={"enforced": True})(manifest)


def _scores_before_their_time(manifest: Manifest) -> None:
    _configure("int_users", tags=["after_scores"])(manifest)


BROKEN: list[tuple[str, Callable[[Manifest], None], str, str]] = [
    ("name", _add(model("users_staged", "staging", [])), "models/staging/users_staged.sql", "stg_..."),
    ("name", _add(model("int_orders", "marts/users", [])), "models/marts/users/int_orders.sql", "fct|dim|agg"),
    ("layer-folder", _add(model("tmp_users", "drafts", [])), "models/drafts/tmp_users.sql", "drafts"),
    ("domain-folder", _add(model("dim_orders", "marts", [])), "models/marts/dim_orders.sql", "<domain>"),
    ("layer-source", _reads("dim_users", "source.userops.lake.users"), "dim_users.sql", "lake.users"),
    ("layer", _reads("stg_users", "model.userops.dim_users"), "stg_users.sql", "dim_users"),
    ("layer", _export_from_staging, "export_users.sql", "exports may read marts"),
    ("layer-aggregate", _reads("int_users", "model.userops.agg_users"), "int_users.sql", "agg_users"),
    ("run-layer", _scores_before_their_time, "dim_users.sql", "after_scores"),
    ("own-yaml", _set("dim_users", patch_path="userops://models/all.yml"), "dim_users.sql", "models/all.yml"),
    ("own-yaml", _set("dim_users", patch_path=None), "dim_users.sql", "models/marts/users/dim_users.yml"),
    ("grain", _set("dim_users", description="Users. 用户表。每个用户一行。"), "dim_users.sql", "One row per"),
    ("grain-zh", _set("dim_users", description="One row per user. 用户表"), "dim_users.yml", "tells no grain"),
    ("described", _set("dim_users", description="One row per user."), "dim_users.yml", "中文"),
    ("described", _column("stg_users", "user_id", description="用户 ID"), "stg_users.yml", "no English"),
    ("described", _column("int_users", "user_id", description=""), "int_users.yml", "no English and no 中文"),
    ("described", _describe("metrics", "metric.userops.users", "All."), "semantic/users.yml", "metric users"),
    ("described", _describe("sources", "source.userops.lake.users", ""), "_sources.yml", "lake.users"),
    ("columns", _set("stg_users", columns={}), "stg_users.yml", "no columns"),
    ("hidden-model", _set("dim_users", description="One row per user, see int_users. 用户表。每个用户一行。"),
     "dim_users.yml", "int_users"),
    ("hidden-model", _column("dim_users", "user_id", description="As in stg_users. 用户 ID。见 stg_users。"),
     "dim_users.yml", "dim_users.user_id"),
    ("hidden-model", _describe("metrics", "metric.userops.users", "As in int_users. 用户数"),
     "semantic/users.yml", "metric users"),
    ("group", _configure("int_users", group=None), "int_users.sql", "dbt_project.yml"),
    ("contract", _configure("dim_users", contract={"enforced": False}), "dim_users.sql", "enforced"),
    ("data-type", _column("dim_users", "user_id", data_type=None), "dim_users.sql", "user_id"),
    ("key", _without_test, "dim_users.sql", "unique_combination"),
    ("select-star", _sql("dim_users", GOOD_SQL.replace("    user_id,", "    users.*,")), "dim_users.sql", "users.*"),
    ("hooks", _configure("int_users", incremental_strategy="touched_dates"), "int_users.sql", "save_watermarks"),
    ("hooks", _configure("int_users", incremental_strategy="touched_users", **HOOKED), "int_users.sql", "users"),
    ("portable", _sql("int_users", "select arg_min(a, b) from t"), "int_users.sql", "arg_min("),
    ("portable", _sql("int_users", "select median(a) from t"), "int_users.sql", "median("),
    ("portable", _sql("stg_users", "select a::date from t"), "stg_users.sql", "::"),
    ("portable", _add_macro("days", "{% macro days(a) %} unnest({{ a }}) {% endmacro %}"), "macros/x.sql", "unnest("),
    ("portable", _add_test("select * from t group by all"), "tests/x.sql", "group by all"),
    ("repeatable", _sql("int_users", "select any_value(a), b from t"), "int_users.sql", "any_value("),
    ("repeatable", _sql("int_users", "select current_date as today from t"), "int_users.sql", "current_date"),
]  # fmt: skip


def test_a_good_project_has_no_findings() -> None:
    assert check_conventions(read_manifest(good_manifest())) == []


@pytest.mark.parametrize(
    ("rule", "spoil", "file", "said"), BROKEN, ids=[f"{rule}-{number}" for number, (rule, *_) in enumerate(BROKEN)]
)
def test_each_rule_finds_what_breaks_it(rule: str, spoil: Callable[[Manifest], None], file: str, said: str) -> None:
    manifest = good_manifest()
    spoil(manifest)
    found = [finding for finding in check_conventions(read_manifest(manifest)) if finding.rule == rule]
    assert found, rule
    assert any(finding.file.startswith("dbt_project/") and finding.file.endswith(file) for finding in found), found
    assert any(said in str(finding) for finding in found), found


ALLOWED: list[Callable[[Manifest], None]] = [
    _add_macro("duckdb__days", "{% macro duckdb__days(a) %} unnest({{ a }}) {% endmacro %}"),
    _sql("int_users", "-- unnest(a)\nselect '::' as text, {{ unnest('a') }} as days, first_value(a) over (w)\nfrom t"),
    _configure("int_users", incremental_strategy="touched_dates", **HOOKED),
    _reads("int_users", "model.userops.dim_users"),
    _sql("stg_users", "select *\nfrom t"),
    lambda manifest: (
        _reads("int_users", "source.userops.lake.users")(manifest),
        _configure("int_users", meta={"reads_source": "all versions count"})(manifest),
    )[0],
]  # fmt: skip


@pytest.mark.parametrize("change", ALLOWED, ids=range(len(ALLOWED)))
def test_what_is_allowed_is_not_found(change: Callable[[Manifest], None]) -> None:
    manifest = good_manifest()
    change(manifest)
    assert [str(finding) for finding in check_conventions(read_manifest(manifest))] == []
