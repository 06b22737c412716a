"""The project is parsed once, without a day's variables, and run with them: no node may be configured by a variable."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from tests.integration.dbt.conftest import set_dbt_environment
from userops.config import Settings
from userops.warehouse.dbt import dbt_vars

#: What a run takes from the parsed node; its SQL, and the arguments of a data test, it renders anew.
PARSED = ("raw_code", "config", "columns", "contract", "alias", "schema")


def test_variables_change_nothing_in_what_is_parsed(
    dbt_home: Settings, parsed_project: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = parsed(parsed_project)
    assert len(plain) > 150
    other = Settings.model_validate(
        {
            **dbt_home.model_dump(),
            "project": {"timezone": "America/New_York", "currency": "USD"},
            "identity": {"max_users_per_device": 2, "merge_accounts": True},
        }
    )
    variables = dbt_vars(
        other,
        date(2031, 5, 6),
        3,
        {"has_exchange_rates": True, "unlisted_is_activity": False, "feature_dates": ["2031-01-02", "2031-05-06"]},
    )
    set_dbt_environment(monkeypatch, dbt_home)
    result = dbtRunner().invoke(["parse", "--quiet", "--no-partial-parse", "--vars", json.dumps(variables)])
    DuckDBConnectionManager.close_all_connections()
    assert isinstance(result.result, Manifest), result.exception
    with_variables = parsed(result.result)
    assert [name for name in {**plain, **with_variables} if plain.get(name) != with_variables.get(name)] == []


def parsed(manifest: Manifest) -> dict[str, dict[str, Any]]:
    """What dbt keeps of every node, by its id."""
    nodes: dict[str, dict[str, Any]] = {}
    for name, node in manifest.nodes.items():
        whole = node.to_dict()
        nodes[name] = {key: whole.get(key) for key in PARSED}
        nodes[name]["depends_on"] = set(node.depends_on_nodes)  # one ref in a loop over dates is one ref
    return nodes
