"""Whether a file is read in one pass or at leisure, record by record, its batch is the same."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from userops.errors import SourceFileError
from userops.ingest import stage
from userops.ingest.decode import LandingFile, sha256_of
from userops.ingest.readers import json_records
from userops.ingest.stage import Stager

from .conftest import Instance, make_instance
from .test_staging import opened

NEVER = 1 << 60
COLUMNS = {
    "csv": {"event_id": "id", "event_time": "ts", "event_name": "event", "user_id": "uid"},
    "jsonl": {
        "event_id": "id",
        "event_time": "ts",
        "event_name": {"expr": "lower(event)"},
        "user_id": "uid",
        "value": "v",
        "properties": "props",
    },
}
HEADER = b"id,ts,event,uid,skipped,more\n"
#: Records of which none is like the usual one, and those that only look so.
PIECES: dict[str, dict[str, bytes]] = {
    "csv": {
        "usual": b"%d,2026-01-05 10:00:00,view,u1,s,m\n",
        "other day": b"%d,2026-01-06,view,u1,,\n",
        "repeated": b"same,2026-01-05,view,u1,s,m\n",
        "short": b"%d,2026-01-05\n",
        "long": b"%d,2026-01-05,view,u1,s,m,x\n",
        "several lines": b'%d,2026-01-05,"vi\n\new",u1,s,m\n',
        "quoted": b'%d,2026-01-05," vi ""e"" w ","u,1",s,m\n',
        "header again": HEADER,
        "no UTF-8 in a value that is left out": b"%d,2026-01-05,view,u1,\xff,m\n",
        "no UTF-8": b"%d,2026-01-05,vi\xe4,u1,s,m\n",
        "NUL": b"%d,2026-01-05,vi\0ew,u1,s,m\n",
        "blank line": b"\n",
        "windows": b"%d,2026-01-05,view,u1,s,m\r\n",
        "open quote": b'%d,2026-01-05,"view,u1,s,m\n',
        "wide blank": "%d,2026-01-05,\u3000view\u00a0,u1,s,m\n".encode(),
        "bad time": b"%d,yesterday,view,u1,s,m\n",
        "dropped": b"%d,2026-01-05,drop,u1,s,m\n",
    },
    "jsonl": {
        "usual": b'{"id":%d,"ts":"2026-01-05 10:00:00","event":"View","uid":"u1","v":1.5,"props":{"k": 1}}\n',
        "other day": b'{"id":%d,"ts":"2026-01-06","event":"View","uid":null,"v":null,"props":{}}\n',
        "repeated": b'{"id":"same","ts":"2026-01-05","event":"View","uid":"u1","v":1,"props":null}\n',
        "other order": b'{"ts":"2026-01-05","id":%d,"event":"View","uid":"u1","v":2,"props":null}\n',
        "missing key": b'{"id":%d,"ts":"2026-01-05","event":"View","uid":"u1"}\n',
        "new key": b'{"id":%d,"ts":"2026-01-05","event":"View","uid":"u1","new":[1],"v":1,"props":{"k":2}}\n',
        "personal inside": b'{"id":%d,"ts":"2026-01-05","event":"View","uid":"u1","who":{"email":"e"}}\n',
        "twice": b'{"id":%d,"ts":"2026-01-05","event":"View","uid":"u1","uid":"u2","v":1,"props":null}\n',
        "twice instead": b'{"id":%d,"ts":"2026-01-05","event":"View","uid":"u1","v":1,"v":1}\n',
        "no object": b'["id",%d]\n',
        "empty object": b"{}\n",
        "broken": b'{"id":%d,"ts":"2026-01-05","event":"View"\n',
        "two in a line": b'{"id":%d} {"id":1}\n',
        "NUL escaped": b'{"id":%d,"ts":"2026-01-05","event":"a\\u0000b","uid":"u1","v":1,"props":null}\n',
        "NUL": b'{"id":%d,"ts":"2026-01-05","event":"a\0b","uid":"u1","v":1,"props":null}\n',
        "no UTF-8": b'{"id":%d,"ts":"2026-01-05","event":"\xff","uid":"u1","v":1,"props":null}\n',
        "odd escape": b'{"id":%d,"ts":"2026-01-05","event":"\\tView","uid":"u1\\u3000","v":1,"props":"{ }"}\n',
        "wide blank": '{"id":%d,"ts":"2026-01-05","event":"View","uid":"\u00a0u1","v":1,"props":null}\n'.encode(),
        "blank line": b" \n",
        "windows": b'{"id":%d,"ts":"2026-01-05","event":"View","uid":"u1","v":1,"props":null}\r\n',
        "lost digits": b'{"id":%d,"ts":"2026-01-05","event":"View","uid":1e21,"v":1e2,"props":[]}\n',
        "bad time": b'{"id":%d,"ts":"soon","event":"View","uid":"u1","v":1,"props":null}\n',
        "dropped": b'{"id":%d,"ts":"2026-01-05","event":"drop","uid":"u1","v":1,"props":null}\n',
    },
}


@dataclass
class Ways:
    """An instance with one source per kind, and a file that is read both ways."""

    instance: Instance
    kind: str

    def content(self, names: list[str]) -> bytes:
        pieces = (PIECES[self.kind][name].replace(b"%d", str(number).encode()) for number, name in enumerate(names))
        return (HEADER if self.kind == "csv" else b"") + b"".join(pieces)

    def staged(self, worth: int, names: list[str]) -> dict[str, Any]:
        """Stage the file and return all that staging gave and wrote."""
        path = self.instance.land(f"shop/events_1.{self.kind}", self.content(names))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stage, "_WORTH_ONE_PASS", worth)
            patch.setattr(json_records, "_BEGINNING", 3)
            with opened(self.instance) as (worker, source):
                file = LandingFile(path, f"shop/{path.name}")
                try:
                    found: Any = worker.stage(source, file, sha256_of(path))
                except SourceFileError as error:
                    found = str(error)
                keys = dict(worker.seen_keys)
        incoming = self.instance.home / "lake" / "incoming"
        written = {
            file.relative_to(incoming).as_posix(): self._rows(file) for file in sorted(incoming.rglob("*.parquet"))
        }
        shutil.rmtree(incoming, ignore_errors=True)
        return {"staged": found, "keys": keys, "written": written}

    def _rows(self, file: Path) -> list[tuple[Any, ...]]:
        """Rows in the order of the file; which of several like rows of one file is the first is part of it."""
        return self.instance.query(f"select * from read_parquet('{file}', hive_partitioning=false)")


@functools.cache
def ways_of(folder: Path, kind: str) -> Ways:
    with pytest.MonkeyPatch.context() as patch:
        instance = make_instance(folder / kind, patch)
    instance.source(
        files={"path": "shop", "pattern": f"*.{kind}"},
        format={"type": kind},
        columns=COLUMNS[kind],
        filter="event <> 'drop'",
        ignore=["skipped"],
        type_drift={"share": 1.0},
    )
    return Ways(instance, kind)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("ways")
    ways_of.cache_clear()


CASES = [(kind, name) for kind, pieces in PIECES.items() for name in pieces]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_each_kind_of_record(folder, kind, name):
    names = [*["usual"] * 6, name, "usual"]
    ways = ways_of(folder, kind)
    assert ways.staged(0, names) == ways.staged(NEVER, names)


@pytest.mark.parametrize("name", ["twice", "no object", "broken", "NUL escaped", "no UTF-8"])
def test_a_bad_record_at_the_beginning(folder, name):
    ways = ways_of(folder, "jsonl")
    found = ways.staged(0, [name, *["usual"] * 5, name])
    assert found["staged"].batch.rows_quarantined == 2
    assert found == ways.staged(NEVER, [name, *["usual"] * 5, name])


@pytest.mark.parametrize("worth", [0, NEVER])
@pytest.mark.parametrize("name", ["odd escape", "wide blank"])
@pytest.mark.parametrize("kind", list(PIECES))
def test_blanks_of_any_kind_are_cut(folder, kind, name, worth):
    name = name if name in PIECES[kind] else "wide blank"
    found = ways_of(folder, kind).staged(worth, [*["usual"] * 5, name])
    values = [row[: len(row) - 4] for rows in found["written"].values() for row in rows]
    texts = [value for row in values for value in row if isinstance(value, str)]
    assert len(values) == 6
    assert [text for text in texts if text != text.strip()] == []


@pytest.mark.parametrize("kind", list(PIECES))
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_mixture(folder, kind, data):
    names = data.draw(st.lists(st.sampled_from([*["usual"] * 10, *PIECES[kind]]), min_size=1, max_size=14))
    ways = ways_of(folder, kind)
    assert ways.staged(0, names) == ways.staged(NEVER, names)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("csv", ["usual", "other day", "usual", "repeated", "repeated", "quoted", "wide blank", "dropped"]),
        (
            "jsonl",
            ["usual", "other order", "other day", "repeated", "other order", "odd escape", "dropped", "bad time"],
        ),
    ],
)
def test_usual_files_are_read_once(folder, monkeypatch, kind, names):
    def fail(*_: object) -> None:
        raise AssertionError("read at leisure")

    monkeypatch.setattr(Stager, "_read_at_leisure", fail)
    batch = ways_of(folder, kind).staged(0, names)["staged"].batch
    assert (batch.rows_read, batch.rows_filtered) == (8, 1)


def test_after_one_unusual_file_a_source_is_read_at_leisure(folder, monkeypatch):
    ways = ways_of(folder, "csv")
    path = ways.instance.land("shop/events_1.csv", ways.content(["usual", "short"]))
    tried = []
    real = stage.in_one_pass
    monkeypatch.setattr(stage, "_WORTH_ONE_PASS", 0)
    monkeypatch.setattr(stage, "in_one_pass", lambda *arguments: tried.append(1) or real(*arguments))
    with opened(ways.instance) as (worker, source):
        for _ in range(3):
            assert worker.preview(source, LandingFile(path, "shop/events_1.csv"), 10).rows_read == 2
        assert tried == []  # a preview never reads a whole file
        for take in range(3):
            worker.stage(source, LandingFile(path, "shop/events_1.csv"), sha256_of(path), f"{take:016}")
    assert tried == [1]


def test_a_source_that_needs_record_numbers_has_them(instance, monkeypatch):
    monkeypatch.setattr(stage, "_WORTH_ONE_PASS", 0)
    instance.source(columns={**COLUMNS["csv"], "event_id": {"expr": "'r' || _row"}})
    instance.land("shop/events_1.csv", "id,ts,event,uid\na,2026-01-05,view,u\nb,2026-01-05,view,u\n")
    instance.ingest()
    assert instance.lake("events", "event_id") == [("r1",), ("r2",)]
