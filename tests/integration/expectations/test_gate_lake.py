"""The gate before the lake: what `ingest` staged, and the accounts of its files."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from expectations.steps import gate_lake
from userops.errors import GateError
from userops.ingest.runner import load_staged
from userops.steps import StepContext

Stage = Callable[..., None]


def rewrite(file: Path, select: str) -> None:
    """Rewrite a staged file as `select` over its rows, called `staged`."""
    with closing(duckdb.connect()) as connection:
        connection.execute(f"create table staged as from read_parquet('{file}', hive_partitioning = false)")
        connection.execute(f"copy ({select}) to '{file}' (format parquet)")


def change_ledger(context: StepContext, assignment: str) -> None:
    with closing(sqlite3.connect(context.settings.paths.ledger_db)) as ledger:
        ledger.execute(f"update ingest_files set {assignment} where entity = 'orders'")
        ledger.commit()


def test_nothing_staged_passes_with_a_note(context: StepContext) -> None:
    report = gate_lake(context)

    assert report.summary == "nothing is staged: nothing to check"
    page = context.settings.paths.quality / "lake" / "as_of=2024-06-30" / "index.html"
    assert "没有待入湖数据" in page.read_text(encoding="utf-8")


def test_what_ingest_staged_passes(context: StepContext, stage: Stage) -> None:
    stage()

    report = gate_lake(context)

    result = json.loads((context.settings.paths.quality / "lake/as_of=2024-06-30/result.json").read_text())
    assert {suite["name"]: suite["rows"] for suite in result["suites"]} == {
        "staged_batches": 2, "staged_sources": 2, "staged_files": 2, "staged_events": 20, "staged_orders": 40,
    }  # fmt: skip
    assert report.counts["expectations"] == result["checks"] >= 24


ROW_BREAKS = {
    "a missing required value": (
        "orders", "select * replace (nullif(gross_amount, 12.5 * (_row_number - 2)) as gross_amount) from staged",
        "ExpectColumnValuesToNotBeNull", "1 unexpected of 40 rows", "gross_amount=null",
    ),
    "neither user nor device": (
        "events", "select * replace (null::varchar as anonymous_id) from staged",
        "UnexpectedRowsExpectation", "20 unexpected of 20 rows", "anonymous_id=null",
    ),
    "a negative refund": (
        "orders", "select * replace (-1::decimal(18, 4) as refund_amount) from staged",
        "ExpectColumnValuesToBeBetween", "40 unexpected of 40 rows", "refund_amount=-1.0000",
    ),
    "a business date that is not the local date": (
        "events", "select * replace (event_time + interval 1 second as event_time) from staged",
        "UnexpectedRowsExpectation", "20 unexpected of 20 rows", "event_time=2024-06-30 16:00:00",
    ),
    "a row twice": (
        "orders", "select * from staged where _row_number <> 2 union all select * from staged where _row_number = 1",
        "UnexpectedRowsExpectation", "1 unexpected of 40 rows", "rows_with_this_key=2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("broken", ROW_BREAKS)
def test_a_bad_row_is_named_with_its_place(
    context: StepContext, stage: Stage, staged_file: Callable[[str], Path], broken: str
) -> None:
    entity, select, expectation, counts, sample = ROW_BREAKS[broken]
    stage()
    rewrite(staged_file(entity), select)

    with pytest.raises(GateError) as caught:
        gate_lake(context)

    assert f"suite `staged_{entity}`, expectation `{expectation}`" in caught.value.where
    assert counts in caught.value.found
    assert sample in caught.value.found


def test_a_date_out_of_bounds_is_refused(
    context: StepContext, stage: Stage, staged_file: Callable[[str], Path]
) -> None:
    stage()
    file = staged_file("orders")
    future = file.parents[1] / "event_date=2999-01-01" / file.name
    future.parent.mkdir()
    file.rename(future)

    with pytest.raises(GateError, match=r"event_date=2999-01-01"):
        gate_lake(context)


def test_a_row_that_is_in_the_lake_already_is_refused(
    context: StepContext, stage: Stage, staged_file: Callable[[str], Path]
) -> None:
    stage()
    load_staged(context)
    stage(orders=41, name="orders_2.csv")  # 40 known rows, deduplicated by ingest, and one new one
    gate_lake(context)
    raw = context.settings.paths.raw / "orders" / "event_date=2024-06-30"
    (known,) = raw.glob("[!_]*.parquet")
    rewrite(staged_file("orders"), f"from read_parquet('{known}', hive_partitioning = false) limit 1")

    with pytest.raises(GateError) as caught:
        gate_lake(context)
    assert "no row that is in the lake already" in caught.value.expected


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("rows_read = 41", "rows read = loaded + deduplicated + quarantined + filtered"),
        ("rows_read = 39, rows_loaded = 39", "the staged Parquet files hold exactly the rows the ledger says"),
        ("rows_read = 41, rows_quarantined = 1", "the quarantine files hold exactly the rows the ledger says"),
    ],
)
def test_accounts_that_do_not_add_up_are_refused(
    context: StepContext, stage: Stage, assignment: str, says: str
) -> None:
    stage()
    change_ledger(context, assignment)

    with pytest.raises(GateError) as caught:
        gate_lake(context)
    assert says in caught.value.expected
    assert "orders_1.csv" in caught.value.found


def test_a_file_nobody_accounts_for_is_refused(
    context: StepContext, stage: Stage, staged_file: Callable[[str], Path]
) -> None:
    stage()
    file = staged_file("orders")
    (file.parent / "stranger.parquet").write_bytes(file.read_bytes())

    with pytest.raises(GateError, match=r"stranger\.parquet"):
        gate_lake(context)


def test_a_home_with_odd_characters_can_be_checked(
    context: StepContext, stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    odd = tmp_path / "数据 $HOME %20 #"
    odd.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(odd))
    stage()

    gate_lake(context)
