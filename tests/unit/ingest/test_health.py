"""What the last step of the day says about the sources."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from userops.config import Settings
from userops.ingest.health import SourceHealthError, source_health, source_names
from userops.ingest.ledger import SourceNote, open_ledger
from userops.steps import StepContext

DAY = date(2024, 6, 30)
SOURCE_YAML = """
source: {name}
entity: orders
files: {{path: shop, pattern: "*.csv"}}
format: {{type: csv}}
columns: {{order_id: id, user_id: uid, order_time: time, gross_amount: total}}
"""


@pytest.fixture
def context(instance: Callable[..., Settings]) -> StepContext:
    settings = instance()
    for name in ("alpha", "beta"):
        (settings.paths.sources / f"{name}.yml").write_text(SOURCE_YAML.format(name=name), encoding="utf-8")
    return StepContext(settings, DAY)


@pytest.fixture
def note(context: StepContext) -> Callable[..., None]:
    """Write what ingest noted: (source, kind, severity, message, file)."""

    def _note(*rows: tuple[str, str, str, str, str], day: date = DAY) -> None:
        with open_ledger(context.settings) as ledger:
            ledger.replace_notes(
                day,
                "ingest",
                [
                    SourceNote(day, source, "ingest", kind, severity, message, file_path)
                    for source, kind, severity, message, file_path in rows
                ],
            )

    return _note


def test_a_day_without_notes_is_well(context: StepContext) -> None:
    report = source_health(context)

    assert report.summary == "every source is well"
    assert report.counts == {"errors": 0, "warnings": 0}


def test_warnings_are_told_and_do_not_fail(context: StepContext, note: Callable[..., None]) -> None:
    note(
        ("alpha", "vanished", "warning", "x.csv is gone", "x.csv"),
        ("beta", "moved", "info", "y.csv is now z.csv", "z.csv"),
    )

    report = source_health(context)

    assert report.summary == "every source is well, with 1 warnings"
    assert report.warnings == ["`alpha`: x.csv is gone"]


def test_an_error_names_source_file_what_happened_and_what_to_do(
    context: StepContext, note: Callable[..., None]
) -> None:
    note(
        ("alpha", "failed_file", "error", "a damaged gzip stream", "shop/x.csv.gz"),
        ("beta", "held", "error", "column `total`: 40 of 50 values are no amounts", "shop/y.csv"),
        ("beta", "held", "error", "column `total`: 41 of 50 values are no amounts", "shop/z.csv"),
        ("beta", "vanished", "warning", "w.csv is gone", "w.csv"),
    )

    with pytest.raises(SourceHealthError) as caught:
        source_health(context)

    error = caught.value
    assert error.where == "sources `alpha`, `beta`"
    assert "`alpha`: a damaged gzip stream (shop/x.csv.gz)" in error.found
    assert "41 of 50" in error.found
    assert "w.csv" not in error.found
    assert "alpha: mend the file" in error.fix
    assert error.fix.count("beta: `userops quarantine list`") == 1


def test_each_source_fails_for_its_own_notes_only(context: StepContext, note: Callable[..., None]) -> None:
    note(("alpha", "failed_source", "error", "no folder shop", ""))

    with pytest.raises(SourceHealthError, match="source `alpha`: found"):
        source_health(StepContext(context.settings, DAY, "alpha"))
    assert source_health(StepContext(context.settings, DAY, "beta")).summary == "source beta is well"


def test_another_date_has_its_own_health(context: StepContext, note: Callable[..., None]) -> None:
    note(("alpha", "failed_source", "error", "no folder shop", ""), day=date(2024, 6, 29))

    assert source_health(context).counts["errors"] == 0


def test_of_many_errors_the_first_ten_are_told(context: StepContext, note: Callable[..., None]) -> None:
    note(*(("alpha", "failed_file", "error", f"file {number} is damaged", "") for number in range(13)))

    with pytest.raises(SourceHealthError) as caught:
        source_health(context)

    assert "file 9 is damaged" in caught.value.found
    assert "file 10 is damaged" not in caught.value.found
    assert caught.value.found.endswith("and 3 more")


def test_the_sources_are_those_of_the_configuration_of_now(context: StepContext, note: Callable[..., None]) -> None:
    """A new YAML shows without a change of the DAG, and so does one that was removed after the run had a word on it."""
    assert source_names(context) == ["alpha", "beta"]
    (context.settings.paths.sources / "gamma.yml").write_text(SOURCE_YAML.format(name="gamma"), encoding="utf-8")
    note(("removed", "failed_source", "error", "no folder", ""))

    assert source_names(context) == ["alpha", "beta", "gamma", "removed"]
