"""Segments come back from the lake date by date: who came and went is counted, whatever was assigned again since."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.integration.dbt.conftest import Lake, Warehouse
from userops.ingest.lake import score_schema

DAYS = [date(2024, 6, 24), date(2024, 6, 25), date(2024, 6, 28), date(2024, 6, 30)]
MODELS = ("--select", "fct_persona_segments", "dim_persona_segments")

Assignment = dict[str, str]


def write_day(root: Path, day: date, assignment: Assignment, model_version: str = "segments-1") -> None:
    """Write the two files of a date, as the step `segment` does."""
    run_version = hashlib.sha256(repr(sorted(assignment.items())).encode()).hexdigest()[:16]
    versions = {"model_version": model_version, "run_version": run_version}
    members = [
        {"user_id": user, "segment_id": segment, "distance": 1.0, **versions} for user, segment in assignment.items()
    ]
    profiles = [
        {
            "segment_id": segment, "name_en": f"Name of {segment}", "name_zh": segment, "distinguishing_en": "much",
            "distinguishing_zh": "多", "segmented_users": len(assignment), "users": users, "buyers": 0,
            "median_net_revenue": 12.5, "mean_distance": 1.0, "silhouette": 0.2, "since": day, "fitted_on": day,
            **versions,
        }
        for segment, users in Counter(assignment.values()).items()
    ]  # fmt: skip
    for kind, rows in (("segments", members), ("segment_profiles", profiles)):
        shutil.rmtree(root / "scores" / kind / f"as_of_date={day}", ignore_errors=True)
        file = root / "scores" / kind / f"as_of_date={day}" / f"{model_version}.parquet"
        file.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=score_schema(kind)), file)


def random_days() -> dict[date, Assignment]:
    """Return who is in which segment: some stay, some move, some come, some go; S4 exists from the third date on."""
    chance = random.Random(7)
    users = [f"u{number:03d}" for number in range(120)]
    days: dict[date, Assignment] = {}
    before: Assignment = {}
    for number, day in enumerate(DAYS):
        segments = ["S01", "S02", "S03", "S04"][: 3 + (number > 1)]
        days[day] = {
            user: before[user] if user in before and chance.random() < 0.6 else chance.choice(segments)
            for user in users
            if chance.random() < 0.8
        }
        before = days[day]
    return days


def expected_rows(days: Mapping[date, Assignment]) -> list[tuple[Any, ...]]:
    """Return the moves of each date and segment, counted user by user."""
    rows = []
    previous_day: date | None = None
    before: Assignment = {}
    for day, now in sorted(days.items()):
        for segment in sorted(set(now.values())):
            here = {user for user, where in now.items() if where == segment}
            there = {user for user, where in before.items() if where == segment}
            rows.append(
                (
                    day, segment, len(here), len(here) / len(now), previous_day, len(there), len(here & there),
                    sum(user in before for user in here - there), sum(user not in before for user in here),
                    sum(user in now for user in there - here), sum(user not in now for user in there),
                )
            )  # fmt: skip
        previous_day, before = day, now
    return rows


def stored_rows(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.query(
        "select as_of_date, segment_id, users, user_share, previous_as_of_date, previous_users, users_stayed, "
        "users_moved_in, users_entered, users_moved_out, users_left from dim_persona_segments order by 1, 2"
    )


def stored_assignments(warehouse: Warehouse) -> dict[date, Assignment]:
    found: dict[date, Assignment] = {}
    for user, day, segment in warehouse.query("select user_id, as_of_date, segment_id from fct_persona_segments"):
        found.setdefault(day, {})[user] = segment
    return found


def _check(warehouse: Warehouse, days: Mapping[date, Assignment]) -> None:
    assert stored_assignments(warehouse) == days
    assert stored_rows(warehouse) == expected_rows(days)


def test_moves_are_counted_user_by_user_and_follow_every_date_that_is_assigned_again(
    lake: Lake, warehouse: Warehouse
) -> None:
    warehouse.run(DAYS[0], *MODELS)
    _check(warehouse, {})

    days = random_days()
    for day in DAYS:
        write_day(lake.root, day, days[day])
    warehouse.run(DAYS[1], *MODELS)
    _check(warehouse, {day: days[day] for day in DAYS[:2]})
    warehouse.run(DAYS[3], *MODELS)
    _check(warehouse, days)
    rows = stored_rows(warehouse)
    assert all(any(row[place] for row in rows) for place in range(5, 11)), "every kind of move happened"

    # The second date is assigned again by the same fit: the third one's moves change, though nobody ran that day again.
    days[DAYS[1]] = {user: "S02" for user in days[DAYS[1]] if user != "u001"}
    write_day(lake.root, DAYS[1], days[DAYS[1]])
    warehouse.run(DAYS[3], *MODELS)
    _check(warehouse, days)
    incremental = warehouse.tables()
    warehouse.run(DAYS[3], *MODELS, "--full-refresh")
    assert warehouse.tables() == incremental

    # Back in time later dates are gone; a date whose profiles belong to another assignment has no segments.
    profiles = lake.root / "scores" / "segment_profiles" / f"as_of_date={DAYS[2]}"
    write_day(lake.root, DAYS[2], {"u002": "S01"})
    kept = profiles.rename(profiles.with_name("kept"))
    write_day(lake.root, DAYS[2], days[DAYS[2]])
    shutil.rmtree(profiles)
    kept.rename(profiles)
    warehouse.run(DAYS[2], *MODELS)
    _check(warehouse, {day: days[day] for day in DAYS[:2]})
