"""A small userops instance on disk, for tests that run the real ingest on it."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from userops.config import Settings, load_settings
from userops.ingest.ledger import Batch, SourceNote, open_ledger
from userops.ingest.runner import load_staged, reconciliation, stage_landing
from userops.steps import StepContext, StepReport

EVENTS_SOURCE = {
    "source": "shop_events",
    "entity": "events",
    "files": {"path": "shop", "pattern": "events_*.csv"},
    "format": {"type": "csv"},
    "columns": {"event_id": "id", "event_time": "ts", "event_name": "event", "user_id": "uid"},
}


@dataclass
class Instance:
    """USEROPS_HOME and USEROPS_CONFIG of one test."""

    home: Path
    config: Path

    @property
    def settings(self) -> Settings:
        return load_settings(home=self.home, config=self.config)

    @property
    def context(self) -> StepContext:
        return StepContext(self.settings, date(2026, 1, 31))

    @property
    def landing(self) -> Path:
        return self.home / "landing"

    def source(self, **changes: Any) -> None:
        """Write a source YAML: the events source above with `changes`."""
        document = {**EVENTS_SOURCE, **changes}
        (self.config / "sources" / f"{document['source']}.yml").write_text(yaml.safe_dump(document, allow_unicode=True))

    def land(self, relative: str, content: str | bytes) -> Path:
        """Put a file below landing/; a name that ends in .gz is compressed."""
        path = self.landing / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data, mtime=0) if relative.endswith(".gz") else data)
        return path

    def land_json(self, relative: str, *records: Any) -> Path:
        return self.land(relative, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))

    def stage(self) -> StepReport:
        return stage_landing(self.context)

    def load(self) -> StepReport:
        return load_staged(self.context)

    def ingest(self) -> StepReport:
        """Stage and load; the report is that of staging."""
        report = self.stage()
        self.load()
        return report

    def batches(self) -> list[Batch]:
        return reconciliation(self.settings)

    def notes(self, kind: str | None = None) -> list[SourceNote]:
        """Return the notes of the business date, or those of one kind."""
        with open_ledger(self.settings) as ledger:
            return [note for note in ledger.notes(self.context.as_of) if kind in (None, note.kind)]

    def note(self, kind: str) -> str:
        """Return the message of the only note of a kind."""
        (note,) = self.notes(kind)
        return note.message

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return _reader().execute(sql).fetchall()

    def lake(self, entity: str, columns: str = "*", where: str = "true") -> list[tuple[Any, ...]]:
        """Return rows of raw, in a stable order."""
        files = self.home / "lake" / "raw" / entity / "*" / "*.parquet"
        return self.query(
            f"select {columns} from read_parquet('{files}', hive_partitioning=true, union_by_name=true) "
            f"where {where} order by all"
        )

    def quarantine(self, entity: str = "events", columns: str = "*") -> list[tuple[Any, ...]]:
        folder = self.home / "lake" / "quarantine" / entity
        if not folder.is_dir():
            return []
        return self.query(f"select {columns} from read_parquet('{folder}/*.parquet') order by file_path, record_number")


@cache
def _reader() -> duckdb.DuckDBPyConnection:
    """Return the connection that reads what tests find: to start an engine costs more than most of their queries."""
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set enable_external_file_cache = false")  # files change below it
    return connection


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    return make_instance(tmp_path, monkeypatch)


def make_instance(
    folder: Path, monkeypatch: pytest.MonkeyPatch, settings: str = "project: {timezone: Asia/Shanghai}\n"
) -> Instance:
    for name in ("USEROPS_HOME", "USEROPS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    made = Instance(folder / "home", folder / "config")
    (made.config / "sources").mkdir(parents=True)
    (made.config / "userops.yml").write_text(settings)
    (made.landing / "shop").mkdir(parents=True)
    return made


def tree_digest(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file below a folder."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
