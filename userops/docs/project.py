"""The dbt project as its manifest tells it: models with columns, checks and neighbours, sources, metrics, exposures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from userops.docs.bilingual import Bilingual, split_languages
from userops.errors import BuildError
from userops.warehouse.dbt import PROJECT_DIR

_PACKAGE = "userops"
#: Schema tests of the project (and dbt's own) that say a table has one row per key.
_KEY_TESTS = frozenset({"unique", "unique_combination"})


@dataclass(frozen=True)
class Check:
    """One data test of a model.

    Attributes:
        kind: name of the generic test, for instance `accepted_values`.
        column: column it stands at; None for a test of the table.
        arguments: what it was given.
    """

    name: str
    kind: str
    column: str | None
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One described column; `data_type` is empty where no contract gives it."""

    name: str
    data_type: str
    text: str
    not_null: bool

    @property
    def description(self) -> Bilingual:
        """The description in both languages."""
        return split_languages(self.text)


@dataclass(frozen=True)
class Model:
    """One model of the project.

    Attributes:
        path: its SQL file, relative to the dbt project.
        patch_path: the YAML file that describes it, relative to the dbt project; empty without one.
        layer: first folder below models: staging, intermediate, marts or exports.
        models, sources, seeds: names of what it reads.
        tags: layers of the daily run hang on them.
    """

    name: str
    path: str
    patch_path: str
    layer: str
    text: str
    columns: Sequence[Column]
    checks: Sequence[Check]
    models: Sequence[str]
    sources: Sequence[str]
    seeds: Sequence[str]
    sql: str
    materialized: str
    strategy: str
    contract: bool
    group: str
    tags: Sequence[str]
    meta: Mapping[str, Any]
    hooks: str

    @property
    def description(self) -> Bilingual:
        """The description in both languages; its first English sentence is the grain."""
        return split_languages(self.text)

    @property
    def key(self) -> list[str]:
        """Columns of which no two rows have the same values; empty when no test says so."""
        for check in self.checks:
            if check.kind == "unique_combination":
                return [str(column) for column in check.arguments.get("columns", [])]
        return [check.column for check in self.checks if check.kind == "unique" and check.column][:1]

    @property
    def has_key_test(self) -> bool:
        """Whether a test says what a row is."""
        return any(check.kind in _KEY_TESTS for check in self.checks)


@dataclass(frozen=True)
class Described:
    """Something else that carries a description: a source, seed, metric, exposure, semantic model or a part of one.

    Attributes:
        kind: what it is, for messages.
        path: file it is written in, relative to the dbt project.
        needs: names of the models it reads.
        label: name for people, metrics and exposures only.
    """

    kind: str
    name: str
    path: str
    text: str
    needs: Sequence[str] = ()
    label: str = ""

    @property
    def description(self) -> Bilingual:
        """The description in both languages."""
        return split_languages(self.text)


@dataclass(frozen=True)
class Macro:
    """One macro of the project."""

    name: str
    path: str
    sql: str


@dataclass(frozen=True)
class Project:
    """What the manifest says, in alphabetical order."""

    models: Mapping[str, Model]
    described: Sequence[Described]
    macros: Sequence[Macro]
    tests_sql: Mapping[str, str]

    def of_layer(self, *layers: str) -> list[Model]:
        """Return the models of some layers."""
        return [model for model in self.models.values() if model.layer in layers]

    def of_kind(self, kind: str) -> list[Described]:
        """Return what carries a description and is of one kind."""
        return [item for item in self.described if item.kind == kind]

    def readers(self, name: str) -> list[str]:
        """Return the names of the models that read model `name`."""
        return [model.name for model in self.models.values() if name in model.models]


def parse_project(project_dir: Path = PROJECT_DIR) -> Project:
    """Let dbt parse the project (no warehouse, no instance needed) and return what it found.

    Raises:
        BuildError: dbt cannot parse it.
    """
    target = project_dir / "target"
    environment = {
        **os.environ,
        "DBT_PROJECT_DIR": str(project_dir),
        "DBT_PROFILES_DIR": str(project_dir),
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(project_dir / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
    completed = subprocess.run(
        [sys.executable, "-c", "from dbt.cli.main import cli; cli()",
         "--quiet", "--no-use-colors", "--no-version-check", "parse"],
        env=environment, cwd=project_dir, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if completed.returncode != 0:
        said = " ".join(f"{completed.stdout} {completed.stderr}".split())
        raise BuildError("dbt parse", said[-600:], "a project that dbt can parse", "mend the file that dbt names")
    return read_manifest(json.loads((target / "manifest.json").read_text(encoding="utf-8")))


def read_manifest(manifest: Mapping[str, Any]) -> Project:
    """Return the project that a manifest tells of."""
    nodes = [node for node in manifest["nodes"].values() if node["package_name"] == _PACKAGE]
    checks = _checks(nodes)
    models = [_model(node, checks) for node in nodes if node["resource_type"] == "model"]
    macros = [
        Macro(macro["name"], macro["original_file_path"], macro["macro_sql"])
        for macro in manifest["macros"].values()
        if macro["package_name"] == _PACKAGE
    ]
    tests_sql = {
        node["original_file_path"]: node["raw_code"]
        for node in nodes
        if node["resource_type"] == "test" and not node.get("test_metadata")
    }
    return Project(
        models={model.name: model for model in sorted(models, key=lambda model: model.name)},
        described=sorted(_described(manifest), key=lambda item: (item.kind, item.name)),
        macros=sorted(macros, key=lambda macro: macro.name),
        tests_sql=dict(sorted(tests_sql.items())),
    )


def _checks(nodes: Sequence[Mapping[str, Any]]) -> dict[str, list[Check]]:
    """Return the generic tests by the id of the model they are about."""
    found: dict[str, list[Check]] = {}
    for node in sorted(nodes, key=lambda node: str(node["unique_id"])):
        metadata = node.get("test_metadata")
        if node["resource_type"] != "test" or not metadata or not node.get("attached_node"):
            continue
        arguments = metadata["kwargs"].get("arguments", metadata["kwargs"])
        found.setdefault(node["attached_node"], []).append(
            Check(node["name"], metadata["name"], node.get("column_name"), arguments)
        )
    return found


def _model(node: Mapping[str, Any], checks: Mapping[str, Sequence[Check]]) -> Model:
    own = checks.get(node["unique_id"], [])
    layer = (node["fqn"][1:-1] or [""])[0]
    needs = [str(unique_id) for unique_id in node["depends_on"]["nodes"]]
    config = node["config"]
    return Model(
        name=node["name"],
        path=node["original_file_path"],
        patch_path=str(node.get("patch_path") or "").split("://")[-1],
        layer=layer,
        text=node["description"],
        columns=[_column(column, own) for column in node["columns"].values()],
        checks=own,
        models=sorted(need.split(".")[2] for need in needs if need.startswith("model.")),
        sources=sorted(".".join(need.split(".")[2:]) for need in needs if need.startswith("source.")),
        seeds=sorted(need.split(".")[2] for need in needs if need.startswith("seed.")),
        sql=node["raw_code"],
        materialized=config["materialized"],
        strategy=config.get("incremental_strategy") or "",
        contract=bool((config.get("contract") or {}).get("enforced")),
        group=config.get("group") or "",
        tags=sorted(config.get("tags") or []),
        meta=config.get("meta") or {},
        hooks=json.dumps([config.get("pre-hook"), config.get("post-hook")]),
    )


def _column(column: Mapping[str, Any], checks: Sequence[Check]) -> Column:
    constrained = any(constraint["type"] == "not_null" for constraint in column.get("constraints") or [])
    tested = any(check.kind == "not_null" and check.column == column["name"] for check in checks)
    return Column(column["name"], column.get("data_type") or "", column["description"], constrained or tested)


def _described(manifest: Mapping[str, Any]) -> list[Described]:
    found = []
    for source in manifest["sources"].values():
        found.append(_item("source", source, name=f"{source['source_name']}.{source['name']}"))
        found += _parts("column of a source", source, source["columns"].values())
    for node in manifest["nodes"].values():
        if node["resource_type"] == "seed":
            found.append(_item("seed", node, path=str(node.get("patch_path") or "").split("://")[-1]))
            found += _parts("column of a seed", node, node["columns"].values())
    for exposure in manifest["exposures"].values():
        found.append(_item("exposure", exposure, label=exposure.get("label") or ""))
    for metric in manifest["metrics"].values():
        found.append(_item("metric", metric, label=metric.get("label") or ""))
    for semantic in manifest["semantic_models"].values():
        found.append(_item("semantic model", semantic))
        found += _parts("dimension", semantic, semantic["dimensions"])
        found += _parts("measure", semantic, semantic["measures"])
    for group in manifest["groups"].values():
        found.append(Described("group", group["name"], group["original_file_path"], group.get("description") or ""))
    return found


def _item(
    kind: str, node: Mapping[str, Any], name: str | None = None, path: str | None = None, label: str = ""
) -> Described:
    needs = sorted(need.split(".")[2] for need in node.get("depends_on", {}).get("nodes", []) if need[:6] == "model.")
    text = node.get("description") or ""
    return Described(kind, name or node["name"], path or node["original_file_path"], text, needs, label)


def _parts(kind: str, whole: Mapping[str, Any], parts: Any) -> list[Described]:
    path = str(whole.get("patch_path") or "").split("://")[-1] or whole["original_file_path"]
    return [Described(kind, f"{whole['name']}.{part['name']}", path, part.get("description") or "") for part in parts]
