"""The project as it is: it keeps its own conventions, and no column of any model goes undescribed."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from typing import Any

from userops.docs.conventions import check_conventions
from userops.docs.project import read_manifest
from userops.warehouse.dbt import dbt_vars

A_DAY = date(2024, 1, 2)


def test_project_keeps_its_conventions(parsed_project: Any) -> None:
    project = read_manifest(parsed_project.writable_manifest().to_dict())
    assert project.models
    assert [str(finding) for finding in check_conventions(project)] == []


def test_every_column_that_is_built_is_described(lake: Any, warehouse: Any, parsed_project: Any) -> None:
    """Contracts see to that for marts; views and intermediate tables have none."""
    assert lake.batches == {}
    warehouse.run(A_DAY, "--select", "resource_type:seed", command="seed")
    warehouse.run(A_DAY, "--empty", "--select", "resource_type:model")
    built: dict[str, set[str]] = {}
    for table, column in warehouse.query(
        "select table_name, column_name from information_schema.columns where table_schema = 'main'"
    ):
        built.setdefault(table, set()).add(column)
    models = [node for node in parsed_project.nodes.values() if node.resource_type == "model"]
    missing = {node.name: built[node.name] ^ set(node.columns) for node in models}
    undescribed = {
        node.name: sorted(column for column in missing[node.name] if not _is_one_of_many(column, node.description))
        for node in models
    }
    assert {name: columns for name, columns in undescribed.items() if columns} == {}


def test_the_sites_first_page_leads_to_models_that_people_may_read(parsed_project: Any) -> None:
    (page,) = [
        block
        for block in parsed_project.docs.values()
        if block.name == "__overview__" and block.package_name == "userops"
    ]
    linked = re.findall(r"\[(\w+)\]\(#!/model/(model\.userops\.\w+)\)", page.block_contents)
    assert linked
    assert page.block_contents.count("](") == len(linked), "every link is one to a model"
    for text, model_id in linked:
        assert model_id == f"model.userops.{text}"
        assert parsed_project.nodes[model_id].path.startswith(("marts/", "exports/"))


def _is_one_of_many(column: str, description: str) -> bool:
    """Whether the model says what `is_step_3` is by telling of `is_step_1` to `is_step_n`."""
    return bool(re.search(r"\d$", column)) and re.sub(r"\d+$", "1", column) in description


def test_freshness_counts_business_dates_up_to_the_as_of_date(lake: Any, warehouse: Any) -> None:
    """Events stop on day 10 (a row from after the as-of date does not count); there are no order lines at all."""
    lake.add_batch("events", [_event("a", 9), _event("b", 10), _event("c", 30)])
    lake.add_batch("orders", [{"order_id": "o", "order_time": datetime(2024, 1, 13, 8), "gross_amount": 1}])
    for day, expected in (
        (10, {"events": "pass", "orders": "pass", "order_items": "pass"}),
        (14, {"events": "warn", "orders": "pass", "order_items": "pass"}),
        (22, {"events": "error", "orders": "warn", "order_items": "pass"}),
    ):
        assert _freshness(warehouse, date(2024, 1, day)) == expected, day


def _event(event_id: str, day: int) -> dict[str, Any]:
    return {
        "event_id": event_id, "user_id": "u", "event_time": datetime(2024, 1, day, 8), "event_name": "cart_added",
    }  # fmt: skip


def _freshness(warehouse: Any, as_of: date) -> dict[str, str]:
    """Return the status by table of `dbt source freshness`."""
    variables = json.dumps(dbt_vars(warehouse.settings, as_of, 1))
    done = warehouse.project.invoke(warehouse.settings.paths.lake, ["source", "freshness", "--vars", variables])
    assert done.exception is None
    return {result.node.name: str(result.status) for result in done.result.results if "source" in result.node.unique_id}
