"""What the runner makes of Great Expectations' answers, and of values that must not be shown."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb
import pytest

from expectations.checks import (
    Check,
    Consequence,
    Suite,
    between,
    in_set,
    not_null,
    row_count,
    unique,
    where,
)
from expectations.results import CheckResult, GateResult
from expectations.runner import _shown, is_personal_column, run_suites
from userops.config import EngineSettings

SMALL = EngineSettings(memory_limit="1GB", threads=1)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "some.duckdb"
    with closing(duckdb.connect(str(path))) as connection:
        connection.execute(
            "create table numbers as select i as n, 'a' || i % 3 as word, null as nothing from range(9) r(i)"
        )
        connection.execute("create table no_rows as from numbers limit 0")
    return path


def outcome(database: Path, check: Check, table: str = "numbers") -> CheckResult:
    suite = Suite("one", table, "One", "一", (check,), shown=("n",))
    (result,) = run_suites(database, [suite], SMALL)
    return result.checks[0]


PASSING = [
    not_null("n", "", ""), unique(["n", "word"], "", ""), between("n", "", "", 0, 8),
    in_set("word", ["a0", "a1", "a2"], "", ""),
    row_count("", "", 9, 9), where("n < 0", ["n"], "", ""),
]  # fmt: skip
FAILING = [
    (not_null("nothing", "", ""), 9), (unique(["word"], "", ""), 3), (unique(["nothing"], "", ""), 1),
    (between("n", "", "", 1, 6), 3), (in_set("word", ["a0"], "", ""), 6),
    (where("n > 6", ["n"], "", ""), 2),
]  # fmt: skip


@pytest.mark.parametrize("check", PASSING, ids=lambda check: check.type)
def test_what_holds_passes(database: Path, check: Check) -> None:
    assert outcome(database, check).status == "passed"


@pytest.mark.parametrize(
    ("condition", "consequence", "status", "outcome_"),
    [
        ("n < 0", "leave_out", "passed", "passed"),
        ("n > 6", "stop_day", "failed", "failed"),
        ("n > 6", "leave_out", "failed", "noticed"),
        ("n > 6", "report", "failed", "noticed"),
        ("n > 6", "flag", "failed", "noticed"),
        ("no_such_column > 6", "flag", "error", "failed"),
    ],
)
def test_only_what_stops_the_day_fails_the_gate_and_an_error_always_does(
    database: Path, condition: str, consequence: Consequence, status: str, outcome_: str
) -> None:
    check = where(condition, ["n"], "", "", consequence)
    (suite,) = run_suites(database, [Suite("one", "numbers", "One", "一", (check,))], SMALL)
    result = GateResult("lake", date(2024, 6, 30), "", 0.0, [suite])

    assert (suite.checks[0].status, suite.checks[0].outcome, suite.outcome) == (status, outcome_, outcome_)
    assert result.passed == (outcome_ != "failed")
    assert len(result.notices) == (outcome_ == "noticed")
    assert result.as_dict()["noticed"] == len(result.notices)


def test_the_figures_of_a_small_table_are_kept_whole(database: Path) -> None:
    suite = Suite("one", "numbers", "One", "一", (where("n < 0", ["n"], "", ""),), figures=("word", "n"))
    (result,) = run_suites(database, [suite], SMALL)

    assert len(result.figures) == 9
    assert result.figures[4] == {"word": "a1", "n": "4"}


@pytest.mark.parametrize(("check", "unexpected"), FAILING, ids=lambda value: getattr(value, "type", str(value)))
def test_what_does_not_hold_fails_with_counts_and_sample(database: Path, check: Check, unexpected: int) -> None:
    result = outcome(database, check)

    assert (result.status, result.unexpected, result.total) == ("failed", unexpected, 9)
    assert len(result.sample) == min(5, unexpected)
    assert all(set(row) <= {"n", "word", "nothing", "rows_with_this_key"} for row in result.sample)


def test_a_row_count_out_of_bounds_says_what_was_found(database: Path) -> None:
    result = outcome(database, row_count("", "", minimum=10))

    assert (result.status, result.message) == ("failed", "observed 9; allowed 10 to any")


@pytest.mark.parametrize("check", [*PASSING[:4], PASSING[5]], ids=lambda check: check.type)
def test_an_empty_table_passes(database: Path, check: Check) -> None:
    assert outcome(database, check, "no_rows").status == "passed"


@pytest.mark.parametrize(
    "check",
    [
        not_null("absent", "", ""),
        where("absent > 1", ["n"], "", ""),
        where("cast(word as integer) > 1", ["n"], "", ""),
        Check("ExpectColumnValuesToMatchRegex", {"column": "word", "regex": "^a"}, ("word",), "", "", None),
    ],
    ids=["no such column", "no such column in SQL", "a failing cast", "unsupported by the dialect"],
)
def test_an_expectation_that_raises_is_an_error_not_a_result(database: Path, check: Check) -> None:
    result = outcome(database, check)

    assert result.status == "error"
    assert result.message


def test_the_file_is_free_again_afterwards(database: Path) -> None:
    outcome(database, PASSING[0])

    with closing(duckdb.connect(str(database))) as connection:
        connection.execute("create table more as select 1 as one")


def test_personal_values_are_masked() -> None:
    assert _shown("write to li.wei@example.com") == "write to ***"
    for number in ("13812345678", 13812345678, "138 0013 8000", "110101199003074514", "+44 20 7946 0958"):
        assert _shown(number) == "***"
    assert _shown('{"name": "李伟", "page": "/cart"}') == '{"name": "***", "page": "/cart"}'
    assert _shown("12345678901234567890") == "12345678901234567890"  # a long id is no telephone number
    assert _shown(None) == "null"
    assert len(_shown("x" * 500)) == 120


@pytest.mark.parametrize(
    ("name", "personal"),
    [
        ("email", True), ("Phone", True), ("id_number", True), ("recipient_phone", True), ("line_id", False),
        ("user_id", False), ("step_name", False),
    ],
)  # fmt: skip
def test_personal_columns_are_known_by_name(name: str, personal: bool) -> None:
    assert is_personal_column(name) == personal


def test_importing_the_steps_is_light() -> None:
    code = (
        "import sys, expectations.steps; sys.exit('great_expectations' in sys.modules or 'sqlalchemy' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_is_sent_anywhere(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GX_ANALYTICS_ENABLED", "true")

    outcome(database, PASSING[0])

    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"


def test_a_flood_of_bad_rows_is_counted_but_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "many.duckdb"
    with closing(duckdb.connect(str(path))) as connection:
        connection.execute("create table numbers as select i as n from range(200000) r(i)")
    from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy

    from expectations import dialect

    largest = []

    class Counting(FullyBufferedCursorFetchStrategy):  # type: ignore[type-arg]
        def __init__(self, cursor: object, initial_buffer: list[object]) -> None:
            largest.append(len(initial_buffer))
            super().__init__(cursor, initial_buffer=initial_buffer)

    monkeypatch.setattr(dialect, "FullyBufferedCursorFetchStrategy", Counting)

    result = outcome(path, where("n >= 0", ["n"], "", ""))

    assert (result.status, result.unexpected) == ("failed", 200_000)
    assert max(largest) <= 10_000
