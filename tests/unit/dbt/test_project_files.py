"""What every model of the dbt project owes its readers, checked on the files alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[3] / "dbt_project"
MODELS = sorted((PROJECT / "models").rglob("*.sql"))
MARTS = [model for model in MODELS if "marts" in model.relative_to(PROJECT).parts]
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def _properties(model: Path) -> dict[str, Any]:
    document = yaml.safe_load(model.with_suffix(".yml").read_text(encoding="utf-8"))
    (properties,) = [item for item in document["models"] if item["name"] == model.stem]
    return dict(properties)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.stem)
def test_model_has_its_own_yaml_that_begins_with_the_grain(model: Path) -> None:
    assert model.with_suffix(".yml").exists(), f"write {model.stem}.yml beside {model.name}"
    description = _properties(model)["description"]
    assert description.startswith("One row per "), "the first sentence of a description is the grain"
    assert CHINESE.search(description), "the description carries the Chinese term"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.stem)
def test_every_described_column_carries_english_and_chinese(model: Path) -> None:
    columns = _properties(model)["columns"]
    assert columns
    silent = [column["name"] for column in columns if not CHINESE.search(column.get("description", ""))]
    assert silent == []


@pytest.mark.parametrize("model", MARTS, ids=lambda model: model.stem)
def test_mart_tests_its_grain(model: Path) -> None:
    properties = _properties(model)
    on_table = [next(iter(test)) for test in properties.get("data_tests", []) if isinstance(test, dict)]
    on_columns = [test for column in properties["columns"] for test in column.get("data_tests", [])]
    assert "unique_combination" in on_table or "unique" in on_columns


def test_marts_have_enforced_contracts_and_selectors_name_the_layers() -> None:
    project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    assert project["models"]["userops"]["marts"]["+contract"] == {"enforced": True}
    selectors = yaml.safe_load((PROJECT / "selectors.yml").read_text(encoding="utf-8"))["selectors"]
    assert {"base", "features", "lists"} <= {selector["name"] for selector in selectors}


def test_the_folder_for_spilling_is_set_when_the_file_is_opened() -> None:
    """Set with each connection, the first node after one that spilled fails: DuckDB does not take the folder again."""
    profile = yaml.safe_load((PROJECT / "profiles.yml").read_text(encoding="utf-8"))
    target = profile["userops"]["outputs"]["warehouse"]
    assert "temp_directory" in target["config_options"]
    assert "temp_directory" not in target["settings"]


def test_engine_dialect_stays_in_dispatched_macros() -> None:
    """DuckDB's own words may only stand in a macro called `duckdb__...`, so that another engine can be added."""
    only_duckdb = re.compile(r"\b(arg_min|arg_max|unnest|list_reduce|asof|qualify|generate_series|date_diff)\b|::")
    offenders = [
        f"{model.relative_to(PROJECT)}: {match.group()}"
        for model in MODELS
        for match in [only_duckdb.search(re.sub(r"--.*|\{#.*?#\}", "", model.read_text(encoding="utf-8")))]
        if match
    ]
    assert offenders == []
