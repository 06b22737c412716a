"""A source YAML that cannot be used makes its own source red; the others go on, and nothing of it is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from typer.testing import CliRunner

from tests.sources import load_sources
from userops.cli import app
from userops.errors import ConfigError, SourceFileError
from userops.ingest.health import SourceHealthError, source_health, source_names
from userops.ingest.ledger import open_ledger
from userops.ingest.runner import load_staged, stage_again, stage_landing
from userops.ingest.sources import read_sources
from userops.steps import StepContext, find_step

from .conftest import Instance
from .test_replace import ROWS, check_accounts, csv, ids

OTHER = {"source": "other", "files": {"path": "other", "pattern": "*.csv"}}


@pytest.fixture
def shop(instance: Instance) -> Instance:
    """Two sources with a file each, both in the lake; then new files of both."""
    instance.source()
    instance.source(**OTHER)
    instance.land("shop/events_a.csv", csv(ROWS[:2]))
    instance.land("other/a.csv", csv(ROWS[2:3]))
    instance.ingest()
    instance.land("shop/events_b.csv", csv(ROWS[3:4]))
    instance.land("other/b.csv", csv(ROWS[4:5]))
    return instance


def spoil(instance: Instance, text: str, name: str = "shop_events.yml") -> None:
    (instance.config / "sources" / name).write_text(text)


def day(instance: Instance, as_of: date = date(2026, 1, 31)) -> StepContext:
    return StepContext(instance.settings, as_of)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("source: shop_events\n  entity: [\n", r"shop_events\.yml:2"),
        ("source: a\nsource: b\n", r"shop_events\.yml:2.*already given"),
        ("- a\n- b\n", r"shop_events\.yml.*a list"),
        ("a: 2026-13-45\n", r"shop_events\.yml.*month"),
        ("? [a]\n: b\n", r"shop_events\.yml"),
        ("a: \x07\n", r"shop_events\.yml.*special characters"),
        ("", r"shop_events\.yml.*`source`"),
    ],
)
def test_the_others_go_on_and_its_own_rows_stay(shop, text, told):
    spoil(shop, text)
    report = shop.ingest()
    assert ids(shop) == ["e0", "e1", "e2", "e4"]
    assert (report.counts["sources_failed"], report.counts["files_vanished"]) == (1, 0)
    (note,) = [note for note in shop.notes() if note.severity == "error"]
    assert (note.source, note.kind) == ("shop_events.yml", "failed_source")
    assert shop.notes("vanished") == []
    with pytest.raises(ConfigError, match=f"(?s){told}"):
        load_sources(shop.settings)
    with pytest.raises(SourceHealthError, match=told):
        source_health(day(shop))
    with pytest.raises(SourceHealthError, match=told):
        source_health(replace(day(shop), source="shop_events.yml"))
    assert source_health(replace(day(shop), source="other")).counts["errors"] == 0
    check_accounts(shop)


def test_mended_it_goes_on_where_it_was(shop):
    whole = (shop.config / "sources" / "shop_events.yml").read_text()
    spoil(shop, "source: [")
    for as_of in (date(2026, 2, 1), date(2026, 2, 2)):
        stage_landing(day(shop, as_of))
        load_staged(day(shop, as_of))
    spoil(shop, whole)
    report = stage_landing(day(shop, date(2026, 2, 3)))
    load_staged(day(shop, date(2026, 2, 3)))
    assert (report.counts["files_staged"], report.counts["files_skipped"]) == (1, 3)
    assert ids(shop) == ["e0", "e1", "e2", "e3", "e4"]
    assert all(batch.state == "committed" for batch in shop.batches())
    assert source_health(day(shop, date(2026, 2, 3))).counts["errors"] == 0


def test_one_that_can_be_read_is_called_by_its_own_name(shop):
    shop.source(entity="event")
    shop.ingest()
    assert shop.notes("failed_source")[0].source == "shop_events"
    assert source_names(day(shop)) == ["other", "shop_events"]


def test_one_that_cannot_be_read_is_called_by_its_file(shop):
    spoil(shop, "source: [")
    assert source_names(day(shop)) == ["other", "shop_events.yml"]


def test_two_broken_ones_are_both_red(shop):
    spoil(shop, "source: [")
    shop.source(**{**OTHER, "colour": "red"})
    report = shop.ingest()
    assert report.counts["sources_failed"] == 2
    assert ids(shop) == ["e0", "e1", "e2"]
    assert source_names(day(shop)) == ["other", "shop_events.yml"]
    for name in source_names(day(shop)):
        with pytest.raises(SourceHealthError):
            source_health(replace(day(shop), source=name))


def test_of_two_with_one_name_neither_is_taken(shop):
    spoil(shop, (shop.config / "sources" / "other.yml").read_text(), "zzz.yml")
    shop.ingest()
    assert ids(shop) == ["e0", "e1", "e2", "e3"]
    (note,) = shop.notes("failed_source")
    assert note.source == "other"
    assert "zzz.yml" in note.message
    assert "other.yml uses already" in note.message


def test_a_broken_copy_and_its_original_are_not_told_apart(shop):
    text = (shop.config / "sources" / "other.yml").read_text()
    spoil(shop, text + "colour: red\n", "other_copy.yml")
    shop.ingest()
    assert [note.source for note in shop.notes("failed_source")] == ["other", "other"]
    assert ids(shop) == ["e0", "e1", "e2", "e3"]


def test_stop_day_is_honoured_as_far_as_it_can_be_read(shop):
    shop.source(on_failure="stop_day", colour="red")
    with pytest.raises(ConfigError, match="colour"):
        shop.stage()
    spoil(shop, "on_failure: stop_day\nsource: [")
    shop.stage()


def test_one_that_breaks_after_ingest_is_red_all_the_same(shop):
    shop.ingest()
    spoil(shop, "source: [")
    with pytest.raises(SourceHealthError, match=r"shop_events\.yml"):
        source_health(day(shop))


def test_the_gate_judges_the_others(shop):
    spoil(shop, "source: [")
    shop.stage()
    find_step("gate_lake")(day(shop))
    shop.load()
    assert ids(shop) == ["e0", "e1", "e2", "e4"]


def test_the_gate_needs_the_yaml_of_what_is_staged(shop):
    shop.stage()
    spoil(shop, "source: [")
    with pytest.raises(ConfigError, match="shop_events"):
        find_step("gate_lake")(day(shop))


def test_asked_for_by_name_it_says_what_is_wrong(shop):
    spoil(shop, "source: [")
    with pytest.raises(ConfigError, match=r"shop_events\.yml"):
        stage_landing(day(shop), again={"shop_events"})
    with pytest.raises(ConfigError, match=r"shop_events\.yml"):
        stage_again(day(shop), {"shop_events": {"shop/events_a.csv"}})
    stage_again(day(shop), {"other": {"other/a.csv"}})
    with pytest.raises(SourceFileError):
        stage_again(day(shop), {"other": {"other/no.csv"}})


def test_the_command_line_names_file_and_line(shop, monkeypatch):
    monkeypatch.setenv("USEROPS_HOME", str(shop.home))
    monkeypatch.setenv("USEROPS_CONFIG", str(shop.config))
    spoil(shop, "source: shop_events\nentity: [\n")
    for command in (["check", "shop_events"], ["ingest", "--as-of", "2026-01-31"]):
        error = CliRunner().invoke(app, command).exception
        assert "shop_events.yml:" in str(error)
        assert "expected valid YAML" in str(error)
    assert ids(shop) == ["e0", "e1", "e2", "e4"]
    assert CliRunner().invoke(app, ["check", "other"]).exit_code == 0


def test_a_folder_of_that_name_is_one_of_them(shop):
    (shop.config / "sources" / "shop_events.yml").unlink()
    (shop.config / "sources" / "shop_events.yml").mkdir()
    sources = read_sources(shop.settings)
    assert [broken.source for broken in sources.broken] == ["shop_events.yml"]
    assert [source.source for source in sources.usable] == ["other"]
    with open_ledger(shop.settings) as ledger:
        assert len(ledger.batches("committed")) == 2
