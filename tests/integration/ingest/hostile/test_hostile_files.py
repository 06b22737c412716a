"""Every hostile file has the fate written down for it, and nobody else is hurt: not the neighbours, not the disk.

The files of one module of the corpus lie in one instance, each in a source of its own. When an ingest of them all ends
in an exception, each is tried alone, so that the guilty one is named.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pytest

from userops.config import PROJECT_ROOT
from userops.ingest import decode
from userops.ingest.ledger import COMMITTED, FAILED, Batch, SourceNote, open_ledger
from userops.sqltext import literal

from ..conftest import Instance, make_instance
from . import compressed, jsons, names, tables, texts, typed
from .corpus import COLUMNS, Case, Refused, Taken, good

MODULES: tuple[ModuleType, ...] = (compressed, texts, names, jsons, typed, tables)
SETTINGS = "project: {timezone: Asia/Shanghai}\nengine: {memory_limit: 512MB, threads: 2}\n"
LONGEST_MESSAGE = 4000
CHILD_BYTES = 8 << 30


def _all() -> list[tuple[ModuleType, Case]]:
    return [(module, case) for module in MODULES for case in module.CASES]


class Run:
    """One instance with hostile files, one ingest of it, and what was there before and after.

    Attributes:
        crash: the exception that ended the ingest, if any.
    """

    def __init__(self, folder: Path, cases: Sequence[Case]) -> None:
        ingest = _ingest_in_child if any(case.child for case in cases) else Instance.ingest
        with pytest.MonkeyPatch.context() as patch:
            self.instance = _instance(folder, cases, patch)
            before = _contents(self.instance.landing), self._elsewhere(folder)
            patch.chdir(folder / "outside")
            # A bomb of a gigabyte shows no more than one of 64 MB, and costs a quarter of a minute.
            patch.setattr(decode, "EXPANSION_FLOOR", 64 << 20)
            started, memory = time.monotonic(), _Memory()
            self.crash: Exception | None = None
            try:
                ingest(self.instance)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told for the file that causes it
                self.crash = error
            self.seconds, self.megabytes = time.monotonic() - started, memory.megabytes
            self.leftovers = _leftovers(self.instance)
            self.escaped = Path(compressed.ABSOLUTE).exists()
            self.unchanged = (_contents(self.instance.landing), self._elsewhere(folder)) == before
        self.lake = _tables(self.instance)
        self.batches = self.instance.batches()
        with open_ledger(self.instance.settings) as ledger:
            self.notes = ledger.notes(date(2026, 1, 31))

    def _elsewhere(self, folder: Path) -> dict[bytes, Any]:
        return _contents(folder, without=self.instance.home)

    def check(self, case: Case) -> None:
        """Assert the fate of one file, and that all is well around it."""
        if self.crash:
            raise self.crash
        _check_fate(case, self)
        _check_accounts(self)
        assert self.loaded("good_neighbour", "event_id") == [("g1",), ("g2",)]
        assert self.unchanged, "landing/ is as it was, and nothing is written outside of USEROPS_HOME"
        assert self.leftovers == []
        assert not self.escaped

    def loaded(self, source: str, columns: str) -> list[tuple[Any, ...]]:
        """Rows of the lake that came from one source."""
        query = f"select {columns} from events where _source = {literal(source)} order by all"
        return self.lake.execute(query).fetchall()

    def quarantined(self, source: str) -> list[tuple[str, str]]:
        """Reason code and text of the refused rows of one source."""
        query = f"select reason_code, raw from refused where source = {literal(source)} order by all"
        return self.lake.execute(query).fetchall()


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Runs over all cases of a module, by the module's name, made when they are asked for."""

    class Together(dict[str, Run]):
        def __missing__(self, name: str) -> Run:
            (module,) = (module for module in MODULES if module.__name__ == name)
            cases = [case for case in module.CASES if not case.alone]
            self[name] = Run(tmp_path_factory.mktemp(name.rpartition(".")[2]), cases)
            return self[name]

    return Together()


def test_corpus_is_large_and_its_names_are_unique() -> None:
    cases = Counter(case.name for _, case in _all())
    assert len(cases) >= 60
    assert [name for name, times in cases.items() if times > 1] == []


@pytest.mark.parametrize(("module", "case"), [pytest.param(*found, id=found[1].name) for found in _all()])
def test_hostile_file(module: ModuleType, case: Case, together: dict[str, Run], tmp_path: Path) -> None:
    run = Run(tmp_path, [case]) if case.alone or together[module.__name__].crash else together[module.__name__]
    run.check(case)
    if case.alone:
        assert run.seconds < case.seconds
        assert run.megabytes < case.megabytes


def test_what_was_taken_is_not_taken_again_whatever_its_name(together: dict[str, Run]) -> None:
    run = together[names.__name__]
    assert not run.crash
    rows = run.instance.lake("events", "_source, event_id")
    again = run.instance.ingest()
    assert again.counts["files_staged"] == 0
    assert run.instance.lake("events", "_source, event_id") == rows


def _instance(folder: Path, cases: Sequence[Case], patch: pytest.MonkeyPatch) -> Instance:
    """An instance with the hostile files, a good one of another source, and a place beside it where nothing may go."""
    instance = make_instance(folder / "instance", patch, SETTINGS)
    (folder / "outside").mkdir()
    for case in cases:
        columns = case.source.get("columns", COLUMNS)
        files = {"pattern": "events_*", "path": case.name, **case.source.get("files", {})}
        # Rows of other cases are never the same rows: each has its case's name in it.
        named = {**columns, "channel": {"value": case.name}}
        instance.source(
            **{"format": {"type": "csv"}, **case.source, "source": case.name, "files": files, "columns": named}
        )
        (instance.landing / case.name).mkdir()
        case.put(instance.landing / case.name)
    instance.source(source="good_neighbour", files={"path": "good_neighbour", "pattern": "*.csv"})
    instance.land("good_neighbour/good.csv", good("g1", "g2"))
    return instance


def _ingest_in_child(instance: Instance) -> None:
    code = (
        "import resource, sys, datetime as d; from userops.config import load_settings; "
        "from userops.ingest.runner import load_staged, stage_landing; from userops.steps import StepContext; "
        f"resource.setrlimit(resource.RLIMIT_AS, ({CHILD_BYTES}, {CHILD_BYTES})); "
        "context = StepContext(load_settings(home=sys.argv[1], config=sys.argv[2]), d.date(2026, 1, 31)); "
        "stage_landing(context); load_staged(context)"
    )
    command = [sys.executable, "-c", code, str(instance.home), str(instance.config)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, f"the ingest ended with {done.returncode}: {done.stderr[-2000:]}"


def _check_fate(case: Case, run: Run) -> None:
    batches = [batch for batch in run.batches if batch.source == case.name]
    notes = [note for note in run.notes if note.source == case.name]
    if isinstance(case.fate, Taken):
        _check_taken(case, case.fate, run, batches, notes)
        return
    assert run.loaded(case.name, "event_id") == []
    assert run.quarantined(case.name) == []
    assert [batch for batch in batches if batch.state != FAILED] == []
    errors = [note for note in notes if note.severity == "error"]
    if isinstance(case.fate, Refused):
        assert [note.kind for note in errors] == [case.fate.kind], notes
        assert re.search(case.fate.words, errors[0].message), errors[0].message
        assert len(errors[0].message) < LONGEST_MESSAGE, "a message is for people"
    else:
        assert errors == []


def _check_taken(case: Case, fate: Taken, run: Run, batches: list[Batch], notes: list[SourceNote]) -> None:
    assert [batch.state for batch in batches] == [COMMITTED], notes
    (batch,) = batches
    found = (
        batch.rows_read,
        batch.rows_loaded,
        batch.rows_deduplicated,
        batch.rows_quarantined,
        batch.rows_filtered,
    )
    refused = run.quarantined(case.name)
    reasons = Counter(reason for reason, _ in refused)
    assert found == (fate.read, fate.loaded, fate.deduplicated, fate.quarantined, fate.filtered), refused
    if fate.reasons:
        assert reasons == Counter(fate.reasons), refused
    assert all(raw for _, raw in refused), "refused rows are kept whole"
    for piece in fate.raws:
        assert any(piece in raw for _, raw in refused)
    if fate.rows is not None:
        assert run.loaded(case.name, fate.columns) == list(fate.rows)
    assert set(fate.notes) <= {note.kind for note in notes}
    assert all(len(note.message) < LONGEST_MESSAGE for note in notes), "a message is for people"


def _check_accounts(run: Run) -> None:
    """Invariant 1, and that ledger and lake tell the same."""
    for batch in run.batches:
        parts = batch.rows_loaded + batch.rows_deduplicated + batch.rows_quarantined + batch.rows_filtered
        assert batch.rows_read == parts
    committed = [batch for batch in run.batches if batch.state == COMMITTED]
    stored = run.lake.execute("select _batch_id, count(*) from events group by all").fetchall()
    assert dict(stored) == {batch.batch_id: batch.rows_loaded for batch in committed if batch.rows_loaded}
    refused = run.lake.execute("select batch_id, count(*) from refused group by all").fetchall()
    assert dict(refused) == {batch.batch_id: batch.rows_quarantined for batch in committed if batch.rows_quarantined}


def _tables(instance: Instance) -> duckdb.DuckDBPyConnection:
    """Lake and quarantine as the tables `events` and `refused`: read once, asked for every file."""
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    lake = instance.home / "lake"
    connection.execute("create table refused (batch_id varchar, source varchar, reason_code varchar, raw varchar)")
    if (lake / "raw" / "events").is_dir():
        files = literal(lake / "raw" / "events" / "*" / "*.parquet")
        connection.execute(
            f"create table events as from read_parquet({files}, hive_partitioning=true, union_by_name=true)"
        )
    if (lake / "quarantine" / "events").is_dir():
        files = literal(lake / "quarantine" / "events" / "*.parquet")
        connection.execute(f"insert into refused select batch_id, source, reason_code, raw from read_parquet({files})")
    return connection


def _contents(root: Path, without: Path | None = None) -> dict[bytes, Any]:
    """What lies below a folder; links and pipes as such."""
    found: dict[bytes, Any] = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if Path(folder, name) != without]
        for name in [*files, *folders]:
            path = Path(folder, name)
            about = path.lstat()
            if stat.S_ISREG(about.st_mode):
                found[os.fsencode(path)] = (hashlib.sha256(path.read_bytes()).hexdigest(), about.st_mtime_ns)
            else:
                found[os.fsencode(path)] = path.readlink() if path.is_symlink() else about.st_mode
    return found


def _leftovers(instance: Instance) -> list[str]:
    """Files that should be gone once the run is over: staged ones and temporary copies."""
    places = (instance.home / "lake" / "incoming", instance.home / "tmp")
    return [str(path) for place in places for path in place.rglob("*") if path.is_file()]


class _Memory:
    """Peak of this process's memory since the object was made, above what it was then, in megabytes."""

    def __init__(self) -> None:
        try:
            Path("/proc/self/clear_refs").write_text("5")  # starts the peak anew
        except OSError:
            self._before = None
        else:
            self._before = self._peak()

    @property
    def megabytes(self) -> int:
        """0 where the kernel does not tell."""
        return 0 if self._before is None else (self._peak() or 0) - self._before

    @staticmethod
    def _peak() -> int | None:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) // 1024
        return None
