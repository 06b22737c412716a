"""Dirt is in the files as the ground truth counts it, and takes nothing away."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from userops.simulate import DirtKind, SimulationOptions, SimulationResult, simulate

COLUMNS = {"orders": 11, "order_items": 9}


def recorded(result: SimulationResult) -> Counter[tuple[str, str]]:
    table = pq.read_table(result.ground_truth / "dirt.parquet").to_pylist()
    return Counter({(row["file"], row["kind"]): row["rows"] for row in table})


def lines(file: Path) -> list[str]:
    data = file.read_bytes()
    text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode()
    return text.splitlines()[0 if ".jsonl" in file.name else 1 :]


def files(result: SimulationResult, stream: str) -> Iterator[tuple[str, date, list[str]]]:
    """Files in order of days: name as in the ground truth, day, and lines without the header."""
    for file in sorted((result.landing / stream).iterdir()):
        yield f"shop/{stream}/{file.name}", date.fromisoformat(file.name.split(".")[0][-10:]), lines(file)


def kind_of_event_line(line: str) -> str | None:
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return "truncated_json"
    if record["amount"] == "abc":
        return "bad_amount"
    if record["event"] in ("mystery_tap", "legacy_banner", "beta_widget"):
        return "unknown_event"
    return "bad_timestamp" if record["ts"].startswith("2026-13") else None


def kind_of_csv_line(line: str, stream: str) -> str | None:
    cells = next(csv.reader([line]))
    if len(cells) != COLUMNS[stream]:
        return "too_few_columns" if len(cells) < COLUMNS[stream] else "too_many_columns"
    if "abc" in cells:
        return "bad_amount"
    return "bad_timestamp" if any(cell.startswith("2026-13") for cell in cells) else None


def day_of(line: str, stream: str) -> date:
    """The day whose file the line belongs to."""
    if stream == "events":
        return datetime.fromisoformat(json.loads(line)["ts"]).date()
    return date.fromisoformat(line.split(",")[-1][:10])


@pytest.mark.parametrize("stream", ["events", "orders", "order_items"])
def test_dirt_is_counted_file_by_file(dirty: SimulationResult, stream: str) -> None:
    found: Counter[tuple[str, str]] = Counter()
    seen: set[str] = set()
    for name, day, content in files(dirty, stream):
        in_this_file: set[str] = set()
        for line in content:
            kind = kind_of_event_line(line) if stream == "events" else kind_of_csv_line(line, stream)
            if kind is None and line in in_this_file:
                kind = "duplicate_in_file"
            elif kind is None and line in seen:
                kind = "duplicate_between_files"
            elif kind is None and day_of(line, stream) < day:
                kind = "late"
            if kind is not None:
                found[name, kind] += 1
            in_this_file.add(line)
        seen |= in_this_file
    expected: Counter[tuple[str, str]] = Counter()
    for (name, kind), rows in recorded(dirty).items():
        if name.startswith(f"shop/{stream}/"):
            expected[name, "late" if kind.startswith("late") else kind] += rows
    assert found == expected
    # Orders are few: not every kind need have hit one.
    assert len({kind for _, kind in found}) == 7 if stream == "events" else len(found) > 20


def test_dirt_among_profiles_is_counted(dirty: SimulationResult) -> None:
    found: Counter[str] = Counter()
    seen: set[str] = set()
    for file in sorted((dirty.landing / "users").iterdir()):
        day = date.fromisoformat(file.stem[-10:])
        for row in pq.read_table(file).to_pylist():
            if str(row) in seen:
                found["duplicate"] += 1
            elif row["updated_at"].date() < day:
                found["late"] += 1
            seen.add(str(row))
    expected: Counter[str] = Counter()
    for (name, kind), rows in recorded(dirty).items():
        if name.startswith("shop/users/"):
            expected[kind.split("_")[0]] += rows
    assert found == expected
    assert set(found) == {"duplicate", "late"}


@pytest.mark.parametrize("stream", ["events", "orders", "order_items"])
def test_every_good_row_is_still_delivered(clean: SimulationResult, dirty: SimulationResult, stream: str) -> None:
    good = {line for _, _, content in files(clean, stream) for line in content}
    delivered = {line for _, _, content in files(dirty, stream) for line in content}
    assert good <= delivered


def test_good_profiles_are_still_delivered(clean: SimulationResult, dirty: SimulationResult) -> None:
    with duckdb.connect() as connection:
        good, delivered = (f"from '{result.landing}/users/*.parquet'" for result in (clean, dirty))
        missing = connection.execute(f"select count(*) from ({good} except {delivered})").fetchone()
    assert missing == (0,)


def test_unknown_events_have_ids_of_their_own(dirty: SimulationResult) -> None:
    unknown: list[str] = []
    known: set[str] = set()
    for _, _, content in files(dirty, "events"):
        for line in content:
            kind = kind_of_event_line(line)
            if kind == "unknown_event":
                unknown.append(json.loads(line)["id"])
            elif kind is None:
                known.add(json.loads(line)["id"])
    assert len(unknown) == len(set(unknown)) > 100
    assert known.isdisjoint(unknown)


def test_rows_come_one_to_five_days_late(dirty: SimulationResult) -> None:
    delays: set[timedelta] = set()
    for _, day, content in files(dirty, "events"):
        delays |= {day - day_of(line, "events") for line in content if kind_of_event_line(line) is None}
    assert delays >= {timedelta(days=number) for number in range(6)}
    assert min(delays) == timedelta(0)


def test_a_late_file_is_missing_on_its_own_day(tmp_path: Path) -> None:
    options = SimulationOptions(users=300, days=40, seed=3, dirt=0.2, dirt_kinds=(DirtKind.LATE,))
    result = simulate(tmp_path, options)
    late = {name for (name, kind), _ in recorded(result).items() if kind == "late_file_row"}
    present = {file.name for file in (result.landing / "events").iterdir()}
    assert late
    assert len(present) < 40


def test_only_the_kinds_asked_for_appear(tmp_path: Path) -> None:
    options = SimulationOptions(users=300, days=10, dirt=0.05, dirt_kinds=(DirtKind.BROKEN, DirtKind.WRONG_TYPES))
    found = set(recorded(simulate(tmp_path, options)))
    of_events = {kind for name, kind in found if name.startswith("shop/events/")}
    assert of_events == {"truncated_json", "bad_amount", "bad_timestamp"}
    assert {kind for _, kind in found} <= of_events | {"too_few_columns", "too_many_columns"}


def test_a_clean_simulation_records_no_dirt(clean: SimulationResult) -> None:
    assert recorded(clean) == Counter()
    assert clean.dirt_rows == 0


def test_the_share_of_dirt_is_what_was_asked_for(dirty: SimulationResult) -> None:
    rows = dirty.events + dirty.orders + dirty.order_items + dirty.user_versions
    scattered = sum(count for (_, kind), count in recorded(dirty).items() if kind != "late_file_row")
    assert 0.03 < scattered / rows < 0.06
