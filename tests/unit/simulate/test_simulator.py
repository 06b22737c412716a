"""Reproducibility, where things are written, and what is refused."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from userops.errors import UseropsError
from userops.simulate import DirtKind, SimulationOptions, SimulationProgress, simulate, simulator

SMALL = SimulationOptions(users=200, days=12, seed=11, dirt=0.05)


def fingerprints(home: Path) -> dict[str, str]:
    return {
        file.relative_to(home).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(home.rglob("*"))
        if file.is_file()
    }


def test_equal_options_give_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(tmp_path / "a", SMALL)
    monkeypatch.setattr(simulator.os, "cpu_count", lambda: 1)  # nor does the number of threads matter
    simulate(tmp_path / "b", SMALL)
    first = fingerprints(tmp_path / "a")
    assert first == fingerprints(tmp_path / "b")
    assert len(first) > 40


def test_gzip_files_carry_no_time_stamp(tmp_path: Path) -> None:
    simulate(tmp_path, SMALL)
    for file in (tmp_path / "landing").rglob("*.gz"):
        assert file.read_bytes()[4:8] == b"\0\0\0\0"


def test_another_seed_gives_another_shop(tmp_path: Path) -> None:
    simulate(tmp_path / "a", SMALL)
    simulate(tmp_path / "b", SimulationOptions(users=200, days=12, seed=12, dirt=0.05))
    a, b = fingerprints(tmp_path / "a"), fingerprints(tmp_path / "b")
    assert all(a[name] != b[name] for name in a.keys() & b.keys())


def test_the_truth_is_not_under_landing(tmp_path: Path) -> None:
    result = simulate(tmp_path, SMALL)
    assert not result.ground_truth.is_relative_to(tmp_path / "landing")
    assert {file.name for file in result.ground_truth.iterdir()} == {"users.parquet", "dirt.parquet", "simulation.json"}
    assert {path.name for path in (tmp_path / "landing" / "shop").iterdir()} == {
        "events", "orders", "order_items", "users",
    }  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {"landing", "ground_truth"}
    truth = pq.read_table(result.ground_truth / "users.parquet")
    assert {"user_id", "visit_rate", "purchase_rate", "signup_date", "drop_out_date"} <= set(truth.column_names)


def test_a_second_run_writes_nothing(tmp_path: Path) -> None:
    first = simulate(tmp_path, SMALL)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    second = simulate(tmp_path, SMALL)
    assert first.created
    assert not second.created
    assert second.events == first.events
    assert second.dirt_rows == first.dirt_rows
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before


def test_other_exports_are_never_overwritten(tmp_path: Path) -> None:
    simulate(tmp_path, SMALL)
    before = fingerprints(tmp_path)
    with pytest.raises(UseropsError, match="another simulation"):
        simulate(tmp_path, SimulationOptions(users=201, days=12))
    foreign = tmp_path / "other" / "landing" / "shop"
    foreign.mkdir(parents=True)
    (foreign / "orders.csv").write_text("order_no\n")
    with pytest.raises(UseropsError, match="no simulation recorded"):
        simulate(tmp_path / "other", SMALL)
    assert (foreign / "orders.csv").read_text() == "order_no\n"
    assert {name: value for name, value in fingerprints(tmp_path).items() if not name.startswith("other/")} == before


def test_an_interrupted_simulation_leaves_no_exports_and_can_be_repeated(tmp_path: Path) -> None:
    def stop(progress: SimulationProgress) -> None:
        if progress.days_done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "a", SMALL, stop)
    assert not (tmp_path / "a" / "landing").exists()
    simulate(tmp_path / "a", SMALL)
    simulate(tmp_path / "b", SMALL)
    assert fingerprints(tmp_path / "a") == fingerprints(tmp_path / "b")


def test_progress_counts_days_and_events(tmp_path: Path) -> None:
    seen: list[SimulationProgress] = []
    result = simulate(tmp_path, SMALL, seen.append)
    assert [step.days_done for step in seen] == list(range(1, 13))
    assert seen[-1].events == result.events


def test_the_smallest_shop_works(tmp_path: Path) -> None:
    result = simulate(tmp_path, SimulationOptions(users=1, days=1, start_date=date(2026, 3, 1), dirt=0.5))
    assert result.first_date == result.last_date == date(2026, 3, 1)
    assert pq.read_table(tmp_path / "landing" / "shop" / "users" / "users_2026-03-01.parquet").num_rows >= 1


def test_start_and_end_date_say_the_same() -> None:
    by_start = SimulationOptions(days=10, start_date=date(2026, 1, 1))
    by_end = SimulationOptions(days=10, end_date=date(2026, 1, 10))
    assert (by_start.first_date, by_start.last_date) == (by_end.first_date, by_end.last_date)
    assert by_start.record() == by_end.record()


@pytest.mark.parametrize(
    "wrong",
    [
        {"users": 0},
        {"days": 0},
        {"seed": -1},
        {"dirt": 0.6},
        {"dirt": -0.1},
        {"dirt": 0.1, "dirt_kinds": ()},
        {"start_date": date(2026, 1, 1), "end_date": date(2026, 1, 2)},
    ],
)
def test_impossible_options_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(UseropsError) as caught:
        SimulationOptions(**wrong)  # type: ignore[arg-type]
    assert next(reversed(wrong)) in caught.value.where or next(iter(wrong)) in caught.value.where


def test_dirt_kinds_do_not_matter_where_there_is_no_dirt() -> None:
    assert SimulationOptions().record() == SimulationOptions(dirt_kinds=(DirtKind.LATE,)).record()
