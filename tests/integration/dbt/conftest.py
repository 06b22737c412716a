"""A small lake written as the ingest writes it, and dbt on it in this process: parsed once, a run takes seconds."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from userops.config import PROJECT_ROOT, Settings, load_settings
from userops.contracts.entities import ENTITIES, Entity
from userops.warehouse.dbt import dbt_environment, dbt_vars

PROJECT_DIR = PROJECT_ROOT / "dbt_project"
UNDATED = date(1970, 1, 1)
FUNNEL_STEPS = 4

Row = Mapping[str, Any]

TAXONOMY = [
    ("product_viewed", "view", True, True, False, False, "Product viewed", "浏览商品"),
    ("cart_added", "cart", True, False, True, False, "Added to cart", "加入购物车"),
    ("order_paid", "purchase", True, False, True, False, "Order paid", "支付订单"),
    ("review_posted", "contribution", True, False, True, True, "Review posted", "发表评价"),
    ("logged_in", "system", False, False, False, False, "Logged in", "登录"),
]
CONTROL_TABLES = {
    "ingest_batches": (
        "batch_id VARCHAR, batch_seq BIGINT, source VARCHAR, entity VARCHAR, file_path VARCHAR, file_sha256 VARCHAR,"
        " file_bytes BIGINT, rows_read BIGINT, rows_loaded BIGINT, rows_deduplicated BIGINT, rows_quarantined BIGINT,"
        " rows_filtered BIGINT, committed_at TIMESTAMP"
    ),
    "ingest_batch_dates": "batch_id VARCHAR, batch_seq BIGINT, entity VARCHAR, event_date DATE, rows_loaded BIGINT",
    "event_taxonomy": (
        "event_name VARCHAR, category VARCHAR, is_activity BOOLEAN, is_page_view BOOLEAN, is_interaction BOOLEAN,"
        " is_contribution BOOLEAN, label_en VARCHAR, label_zh VARCHAR"
    ),
    "funnel_steps": (
        "funnel_id VARCHAR, funnel_name_en VARCHAR, funnel_name_zh VARCHAR, window_seconds BIGINT,"
        " step_number INTEGER, step_name VARCHAR, event_name VARCHAR"
    ),
}


@dataclass
class Lake:
    """The lake of one test: write batches, read nothing."""

    root: Path
    zone: ZoneInfo
    batches: int = 0
    seen: set[tuple[str, date, str, int]] = field(default_factory=set)
    control: dict[str, list[Sequence[Any]]] = field(default_factory=dict)
    connection: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)

    def reset(self) -> None:
        """Start an empty lake: every entity exists and has no rows."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.batches, self.seen = 0, set()
        self.control = {name: [] for name in CONTROL_TABLES}
        self.control["event_taxonomy"] = [*TAXONOMY]
        for entity in ENTITIES.values():
            schema = self.root / "raw" / entity.name / f"event_date={UNDATED}" / "_schema.parquet"
            self._write_table(schema, _lake_columns(entity), [])
        empty_scores = self.root / "scores/churn/as_of_date=1970-01-01/_schema.parquet"
        reasons = ", ".join(f"reason_{i}_{part} VARCHAR" for i in (1, 2, 3) for part in ("code", "en", "zh"))
        contributions = ", ".join(f"reason_{i}_contribution DOUBLE" for i in (1, 2, 3))
        self._write_table(
            empty_scores,
            "user_id VARCHAR, model_version VARCHAR, churn_probability DOUBLE, raw_score DOUBLE, user_value DOUBLE, "
            f"{reasons}, {contributions}",
            [],
        )
        self._write_control()

    def set_funnel(self, funnel_id: str, window_seconds: int, steps: Sequence[Sequence[str]]) -> None:
        """Add a funnel; each step is the list of event names that fulfil it."""
        for number, names in enumerate(steps, start=1):
            for name in names:
                row = (funnel_id, funnel_id, funnel_id, window_seconds, number, f"step {number}", name)
                self.control["funnel_steps"].append(row)
        self._write_control()

    def add_batch(self, entity_name: str, rows: Sequence[Row]) -> None:
        """Write one file's rows; rows the lake has already are dropped, as on ingest."""
        entity = ENTITIES[entity_name]
        self.batches += 1
        batch_id = f"{entity_name}-{self.batches}"
        stored: list[list[Any]] = []
        for number, row in enumerate(rows, start=1):
            values = [row.get(column) for column in entity.column_names]
            row_hash = int.from_bytes(hashlib.md5(repr(values).encode()).digest()[:8], "big") >> 1
            moment = next((row[column] for column in entity.time_columns if row.get(column)), None)
            event_date = self.local_date(moment) if moment else UNDATED
            identity = (entity_name, event_date, str(row[entity.key]), row_hash)
            if identity not in self.seen:
                self.seen.add(identity)
                stored.append([*values, batch_id, "test", number, row_hash, event_date])
        self._write_rows(entity, batch_id, stored)
        loaded = len(stored)
        for event_date, count in sorted(Counter(row[-1] for row in stored).items()):
            self.control["ingest_batch_dates"].append((batch_id, self.batches, entity_name, event_date, count))
        counts = (len(rows), loaded, len(rows) - loaded, 0, 0)
        self.control["ingest_batches"].append(
            (batch_id, self.batches, "test", entity_name, batch_id, "", 0, *counts, datetime(2026, 1, 1))
        )
        self._write_control()

    def local_date(self, utc: datetime) -> date:
        """Business date of a naive UTC time."""
        return utc.replace(tzinfo=ZoneInfo("UTC")).astimezone(self.zone).date()

    def _write_rows(self, entity: Entity, batch_id: str, rows: list[list[Any]]) -> None:
        folder = self.root / "raw" / entity.name
        self._fill_table(f"{_lake_columns(entity)}, event_date DATE", rows)
        self.connection.execute(
            f"copy t to '{folder}' (format parquet, partition_by (event_date), overwrite_or_ignore,"
            f" filename_pattern '{batch_id}-{{i}}')"
        )

    def _write_control(self) -> None:
        for name, columns in CONTROL_TABLES.items():
            self._write_table(self.root / "control" / f"{name}.parquet", columns, self.control[name])

    def _write_table(self, path: Path, columns: str, rows: Sequence[Sequence[Any]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fill_table(columns, rows)
        self.connection.execute(f"copy t to '{path}' (format parquet)")

    def _fill_table(self, columns: str, rows: Sequence[Sequence[Any]]) -> None:
        self.connection.execute(f"create or replace table t ({columns})")
        if rows:
            placeholders = f"({', '.join('?' for _ in rows[0])})"
            values = [value for row in rows for value in row]
            self.connection.execute(f"insert into t values {', '.join([placeholders] * len(rows))}", values)


def _lake_columns(entity: Entity) -> str:
    columns = [f'"{column.name}" {column.type.duckdb}' for column in entity.stored_columns]
    return ", ".join([*columns, "_batch_id VARCHAR", "_source VARCHAR", "_row_number BIGINT", "_row_hash BIGINT"])


@dataclass
class Warehouse:
    """dbt on one lake and one DuckDB file."""

    settings: Settings
    runner: dbtRunner

    def reset(self) -> None:
        """Forget everything built so far."""
        self.settings.paths.warehouse.unlink(missing_ok=True)
        self.settings.paths.warehouse_dir.mkdir(parents=True, exist_ok=True)

    def run(self, as_of: date, *arguments: str, command: str = "run", **variables: Any) -> None:
        """Run dbt without churn models, as of a date; fails the test when dbt fails."""
        chosen = dbt_vars(self.settings, as_of, FUNNEL_STEPS, variables)
        selection = [] if "--select" in arguments else ["--exclude", "tag:churn"]
        result = self.runner.invoke([command, "--vars", json.dumps(chosen), "--quiet", *selection, *arguments])
        DuckDBConnectionManager.close_all_connections()  # in one process the adapter would keep the old file open
        if not result.success:
            nodes = getattr(result.result, "results", [])
            failed = [
                f"{node.node.name}: {node.message}" for node in nodes if str(node.status) not in ("success", "pass")
            ]
            pytest.fail(f"dbt {command} failed: {result.exception or failed}")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query on what was built."""
        with duckdb.connect(str(self.settings.paths.warehouse), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all rows of every table that dbt built, sorted, by table name."""
        names = self.query("select table_name from duckdb_tables() where schema_name = 'main' order by all")
        return {name: self.query(f'select * from "{name}" order by all') for (name,) in names}


@pytest.fixture(scope="session")
def dbt_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a throw-away instance: the defaults, whatever the developer's own variables say."""
    home = tmp_path_factory.mktemp("dbt_home")
    config = home / "config"
    config.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("USEROPS_")]:
            patch.delenv(name)
        return load_settings(home=str(home), config=str(config))


@pytest.fixture(scope="session")
def parsed_project(dbt_home: Settings) -> Manifest:
    """The dbt project, parsed once for all tests."""
    Lake(dbt_home.paths.lake, dbt_home.tz).reset()
    with pytest.MonkeyPatch.context() as patch:
        _set_dbt_environment(patch, dbt_home)
        result = dbtRunner().invoke(["parse", "--quiet", "--no-partial-parse"])
        DuckDBConnectionManager.close_all_connections()
    assert isinstance(result.result, Manifest), result.exception
    return result.result


@pytest.fixture
def lake(dbt_home: Settings) -> Lake:
    """An empty lake."""
    empty = Lake(dbt_home.paths.lake, dbt_home.tz)
    empty.reset()
    return empty


@pytest.fixture
def warehouse(dbt_home: Settings, parsed_project: Manifest, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """An empty warehouse beside the lake."""
    _set_dbt_environment(monkeypatch, dbt_home)
    empty = Warehouse(dbt_home, dbtRunner(manifest=parsed_project))
    empty.reset()
    return empty


def _set_dbt_environment(patch: pytest.MonkeyPatch, settings: Settings) -> None:
    for name, value in {**dbt_environment(settings), "DBT_LOG_LEVEL_FILE": "none"}.items():
        patch.setenv(name, value)
