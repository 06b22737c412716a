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
from dbt.contracts.graph.manifest import Manifest

from tests.parsed_project import ParsedProject
from userops.config import PROJECT_ROOT, Settings, load_settings
from userops.contracts.entities import ENTITIES, Entity
from userops.ingest.control_tables import CONTROL_COLUMNS
from userops.ingest.lake import SCORE_COLUMNS
from userops.warehouse.dbt import dbt_environment, dbt_vars

PROJECT_DIR = PROJECT_ROOT / "dbt_project"
UNDATED = date(1970, 1, 1)
FUNNEL_STEPS = 4
#: What a run without a selection builds: all but features and lists (nobody is scored, and lists of each run are kept).
WITHOUT_CHURN = [
    "--exclude", "path:models/intermediate/churn", "path:models/intermediate/outreach", "path:models/marts/outreach",
    "path:models/exports", "churn_warning_list", "winback_list",
]  # fmt: skip

Row = Mapping[str, Any]

TAXONOMY = [
    ("product_viewed", "view", True, True, False, False, "Product viewed", "浏览商品"),
    ("cart_added", "cart", True, False, True, False, "Added to cart", "加入购物车"),
    ("order_paid", "purchase", True, False, True, False, "Order paid", "支付订单"),
    ("review_posted", "contribution", True, False, True, True, "Review posted", "发表评价"),
    ("logged_in", "system", False, False, False, False, "Logged in", "登录"),
]
CONTROL_TABLES = {
    name: ", ".join(f"{column} {kind}" for column, kind in columns) for name, columns in CONTROL_COLUMNS.items()
}
TECHNICAL_NAMES = ("_batch_id", "_source", "_row_number", "_row_hash")


@dataclass
class Delivered:
    """One batch: which rows its file held, and which of them the lake took from it (business date by identity)."""

    entity: Entity
    source: str
    as_of: date | None
    sequence: int
    rows: dict[tuple[date, str, int], list[Any]]
    owned: set[tuple[date, str, int]]


@dataclass
class Lake:
    """The lake of one test: write batches, read nothing."""

    root: Path
    zone: ZoneInfo
    sequence: int = 0
    batches: dict[str, Delivered] = field(default_factory=dict)
    control: dict[str, list[Sequence[Any]]] = field(default_factory=dict)
    written: dict[str, list[Sequence[Any]]] = field(default_factory=dict)  # control tables as their files hold them
    connection: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)

    def reset(self) -> None:
        """Start an empty lake: every entity exists and has no rows."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.sequence, self.batches, self.written = 0, {}, {}
        self.control = {name: [] for name in CONTROL_TABLES}
        self.control["event_taxonomy"] = [*TAXONOMY]
        for entity in ENTITIES.values():
            self.write_schema(entity.name)
        for kind, columns in SCORE_COLUMNS.items():
            empty_scores = self.root / "scores" / kind / "as_of_date=1970-01-01/_schema.parquet"
            self._write_table(empty_scores, ", ".join(f"{name} {data_type}" for name, data_type in columns), [])
        self._write_control()

    def set_funnel(
        self,
        funnel_id: str,
        window_seconds: int,
        steps: Sequence[Sequence[str]],
        order: str = "ordered",
        exclusions: Sequence[tuple[str, int]] = (),
        segments: Sequence[str] = ("channel",),
    ) -> None:
        """Add a funnel.

        Args:
            steps: of each step the list of event names that fulfil it.
            exclusions: event names that end an attempt, each with the number of the step after which it does.
        """
        for number, names in enumerate(steps, start=1):
            for name in names:
                row = (funnel_id, funnel_id, funnel_id, window_seconds, number, f"step {number}", name)
                self.control["funnel_steps"].append(row)
        self.control["funnels"].append((funnel_id, order))
        self.control["funnel_exclusions"] += [(funnel_id, name, after_step) for name, after_step in exclusions]
        self.control["funnel_segments"] += [(funnel_id, segment) for segment in segments]
        self._write_control()

    def write_schema(self, entity_name: str, without: Sequence[str] = ()) -> None:
        """Write the empty file of an entity, which the marts learn its columns from."""
        file = self.root / "raw" / entity_name / f"event_date={UNDATED}" / "_schema.parquet"
        self._write_table(file, _lake_columns(ENTITIES[entity_name], without), [])

    def set_scores(self, day: date, rows: Sequence[Row], version: str = "m1") -> None:
        """Write the churn scores of one date; columns a row does not name are null."""
        names = [name for name, _ in SCORE_COLUMNS["churn"]]
        columns = ", ".join(f"{name} {data_type}" for name, data_type in SCORE_COLUMNS["churn"])
        values = [[{**row, "model_version": version}.get(name) for name in names] for row in rows]
        self._write_table(self.root / "scores" / "churn" / f"as_of_date={day}" / f"{version}.parquet", columns, values)

    def set_control(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """Replace a control table."""
        self.control[name] = [*rows]
        self._write_control()

    def add_batch(
        self, entity_name: str, rows: Sequence[Row], source: str = "test", as_of: date | None = None,
        without: Sequence[str] = (),
    ) -> str:  # fmt: skip
        """Write one file's rows and return the batch; rows the lake has already are dropped, as on ingest.

        Args:
            as_of: business date of the run that takes the file.
            without: columns the lake file does not have, as one of an older version.
        """
        entity = ENTITIES[entity_name]
        self.sequence += 1
        batch_id = f"{entity_name}-{self.sequence}"
        held: dict[tuple[date, str, int], list[Any]] = {}
        for row in rows:
            values = [row.get(column) for column in entity.column_names]
            row_hash = int.from_bytes(hashlib.md5(repr(values).encode()).digest()[:8], "big") >> 1
            moment = next((row[column] for column in entity.time_columns if row.get(column)), None)
            event_date = self.local_date(moment) if moment else UNDATED
            held[event_date, str(row[entity.key]), row_hash] = values
        taken = {key for other in self.batches.values() if other.entity is entity for key in other.owned}
        batch = Delivered(entity, source, as_of, self.sequence, held, set(held) - taken)
        self.batches[batch_id] = batch
        self._write_rows(batch_id, batch, batch.owned, batch_id, without)
        self._account(batch_id, batch, read=len(rows), loaded=len(batch.owned))
        self._write_control()
        return batch_id

    def retire(self, batch_id: str) -> None:
        """Take a batch's rows out again; those that another file has too become that batch's, as `load` does it."""
        batch = self.batches.pop(batch_id)
        self.sequence += 1
        for file in (self.root / "raw" / batch.entity.name).glob(f"*/{batch_id}*"):
            if file.name.split(".")[0] == batch_id:
                file.unlink()
        for other_id, other in sorted(self.batches.items(), key=lambda item: item[1].sequence):
            promoted = batch.owned.intersection(other.rows) if other.entity is batch.entity else set()
            batch.owned -= promoted
            other.owned |= promoted
            if promoted:
                self._write_rows(other_id, other, promoted, f"{other_id}.{batch_id}")
                self._forget_account(other_id)
                self._account(other_id, other, read=len(other.rows), loaded=len(other.owned))
        for day in {key[0] for key in batch.rows}:
            self._control_row(
                "ingest_batch_dates", batch_id=batch_id, batch_seq=self.sequence, entity=batch.entity.name,
                source=batch.source, as_of_date=batch.as_of, event_date=day, rows_loaded=0,
            )  # fmt: skip
        names = [name for name, _ in CONTROL_COLUMNS["ingest_batches"]]
        for number, row in enumerate(self.control["ingest_batches"]):
            if row[0] == batch_id:
                changed = {**dict(zip(names, row, strict=True)), "state": "retired", "retired_seq": self.sequence}
                self.control["ingest_batches"][number] = [changed[name] for name in names]
        self._write_control()

    def _account(self, batch_id: str, batch: Delivered, read: int, loaded: int) -> None:
        common = {
            "batch_id": batch_id, "batch_seq": batch.sequence, "entity": batch.entity.name, "source": batch.source,
            "as_of_date": batch.as_of,
        }  # fmt: skip
        for event_date, count in sorted(Counter(key[0] for key in batch.owned).items()):
            self._control_row("ingest_batch_dates", **common, event_date=event_date, rows_loaded=count)
        self._control_row(
            "ingest_batches", **common, file_path=batch_id, file_sha256="", file_bytes=0, rows_read=read,
            rows_loaded=loaded, rows_deduplicated=read - loaded, rows_quarantined=0, rows_filtered=0, rows_dropped=0,
            state="committed", take=1, committed_at=datetime(2026, 1, 1),
        )  # fmt: skip

    def _forget_account(self, batch_id: str) -> None:
        for name in ("ingest_batches", "ingest_batch_dates"):
            self.control[name] = [row for row in self.control[name] if row[0] != batch_id]

    def _control_row(self, table: str, **values: Any) -> None:
        self.control[table].append([values.get(name) for name, _ in CONTROL_COLUMNS[table]])

    def local_date(self, utc: datetime) -> date:
        """Business date of a naive UTC time."""
        return utc.replace(tzinfo=ZoneInfo("UTC")).astimezone(self.zone).date()

    def _write_rows(
        self, batch_id: str, batch: Delivered, keys: set[tuple[date, str, int]], file_name: str,
        without: Sequence[str] = (),
    ) -> None:  # fmt: skip
        columns = [name for name in batch.entity.column_names if name not in without]
        rows_by_date: dict[date, list[list[Any]]] = {}
        for number, key in enumerate(sorted(keys), start=1):
            values = dict(zip(batch.entity.column_names, batch.rows[key], strict=True))
            technical = [batch_id, batch.source, number, key[2]]
            rows_by_date.setdefault(key[0], []).append([*(values[name] for name in columns), *technical])
        for day, rows in rows_by_date.items():
            file = self.root / "raw" / batch.entity.name / f"event_date={day}" / f"{file_name}.parquet"
            self._write_table(file, _lake_columns(batch.entity, without), rows)

    def _write_control(self) -> None:
        for name, columns in CONTROL_TABLES.items():
            if self.written.get(name) != self.control[name]:
                self._write_table(self.root / "control" / f"{name}.parquet", columns, self.control[name])
                self.written[name] = [*self.control[name]]

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


def _lake_columns(entity: Entity, without: Sequence[str] = ()) -> str:
    kept = [column for column in entity.stored_columns if column.name not in without]
    columns = [f'"{column.name}" {column.type.duckdb}' for column in kept]
    technical = [f"{name} {'VARCHAR' if name in ('_batch_id', '_source') else 'BIGINT'}" for name in TECHNICAL_NAMES]
    return ", ".join([*columns, *technical])


@dataclass
class Warehouse:
    """dbt on one lake and one DuckDB file."""

    settings: Settings
    project: ParsedProject

    def reset(self) -> None:
        """Forget everything built so far."""
        self.settings.paths.warehouse.unlink(missing_ok=True)
        self.settings.paths.warehouse_dir.mkdir(parents=True, exist_ok=True)

    def run(self, as_of: date, *arguments: str, command: str = "run", **variables: Any) -> list[Any]:
        """Run dbt without churn features and lists, as of a date, and return its results; a failure fails the test.

        Args:
            command: a dbt command; `run` builds seeds as well, and tests nothing.
        """
        chosen = dbt_vars(self.settings, as_of, FUNNEL_STEPS, variables)
        selection = [] if "--select" in arguments else WITHOUT_CHURN
        invoked = ["build", "--resource-type", "model", "--resource-type", "seed"] if command == "run" else [command]
        result = self.project.invoke(
            self.settings.paths.lake,
            [*invoked, "--no-write-json", "--vars", json.dumps(chosen), *selection, *arguments],
        )
        if not result.success:
            nodes = getattr(result.result, "results", [])
            failed = [
                f"{node.node.name}: {node.message}" for node in nodes if str(node.status) not in ("success", "pass")
            ]
            pytest.fail(f"dbt {command} failed: {result.exception or failed}")
        return list(getattr(result.result, "results", []))

    def compiled(self, model: str) -> str:
        """Return the SQL of a model that reads nothing but other models, which need not be built."""
        results = self.run(date(2024, 1, 1), "--select", model, command="compile")
        return next(str(result.node.compiled_code) for result in results if result.node.name == model)

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
def parsed_project(dbt_project: ParsedProject) -> Manifest:
    """The dbt project, parsed once for all tests."""
    return dbt_project.manifest


@pytest.fixture
def lake(dbt_home: Settings) -> Lake:
    """An empty lake."""
    empty = Lake(dbt_home.paths.lake, dbt_home.tz)
    empty.reset()
    return empty


@pytest.fixture
def warehouse(dbt_home: Settings, dbt_project: ParsedProject, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """An empty warehouse beside the lake."""
    set_dbt_environment(monkeypatch, dbt_home)
    empty = Warehouse(dbt_home, dbt_project)
    empty.reset()
    return empty


def set_dbt_environment(patch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Set what profiles.yml and the sources read, for dbt in this process."""
    for name, value in {**dbt_environment(settings), "DBT_LOG_LEVEL_FILE": "none"}.items():
        patch.setenv(name, value)
