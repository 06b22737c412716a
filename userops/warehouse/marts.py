"""Which tables of the warehouse are marts: the dbt models in the folders `marts` and `exports`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from userops.config import Settings
from userops.docs.bilingual import on_one_line
from userops.errors import BuildError
from userops.sqltext import identifier

#: Folders below dbt_project/models whose models people may read.
PUBLISHED_FOLDERS = ("marts", "exports")


@dataclass(frozen=True)
class TableComments:
    """What a table and its columns mean, each on one line; empty where nothing is written."""

    table: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Mart:
    """One mart: where it lies in the warehouse and what it means."""

    name: str
    schema: str
    comments: TableComments

    def relation(self, database: str | None = None) -> str:
        """Return the SQL name, in attached database `database` when given."""
        parts = [part for part in (database, self.schema, self.name) if part]
        return ".".join(identifier(part) for part in parts)


def read_marts(settings: Settings) -> dict[str, Mart]:
    """Return the marts by name, in alphabetical order.

    Raises:
        BuildError: dbt has not built this instance yet, or its project has no marts.
    """
    manifest = settings.paths.dbt_target / "manifest.json"
    if not manifest.exists():
        raise BuildError(str(manifest), "no such file", "the manifest that dbt writes", "run `userops build` first")
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"].values()
    marts = [_mart(node) for node in nodes if node["resource_type"] == "model" and node["fqn"][1] in PUBLISHED_FOLDERS]
    if not marts:
        raise BuildError(
            str(manifest), "no model in the folders marts and exports", "marts", "run `userops build` first"
        )
    return {mart.name: mart for mart in sorted(marts, key=lambda mart: mart.name)}


def _mart(node: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Mart:
    columns = {name: on_one_line(column["description"]) for name, column in node["columns"].items()}
    return Mart(str(node["alias"]), str(node["schema"]), TableComments(on_one_line(str(node["description"])), columns))
