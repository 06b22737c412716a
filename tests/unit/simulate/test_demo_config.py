"""The shipped configuration fits the simulated shop, and the simulated shop goes through ingest as promised."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
import yaml

from tests.sources import load_sources
from userops.config import PROJECT_ROOT, Settings, load_settings
from userops.ingest.runner import load_staged, stage_landing
from userops.simulate import SimulationOptions, simulate
from userops.simulate.behaviour import Event
from userops.steps import StepContext

CONFIG = PROJECT_ROOT / "config"
QUARANTINED = {"truncated_json", "too_few_columns", "too_many_columns", "bad_amount", "bad_timestamp"}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("USEROPS_CONFIG", str(CONFIG))
    monkeypatch.setenv("USEROPS_HOME", str(tmp_path))
    return load_settings()


def test_userops_yml_shows_every_setting_with_its_default(settings: Settings) -> None:
    defaults = Settings()
    document = yaml.safe_load((CONFIG / "userops.yml").read_text(encoding="utf-8"))
    assert set(document) == set(Settings.model_fields) - {"home", "config"}
    for name, shown in document.items():
        section = getattr(defaults, name)
        assert getattr(settings, name) == section
        if isinstance(shown, dict):
            assert set(shown) == set(type(section).model_fields)


def test_every_event_of_the_shop_has_a_canonical_name_in_the_taxonomy(settings: Settings) -> None:
    events = next(source for source in load_sources(settings) if source.source == "shop_events")
    assert set(events.event_names) == {event.name.lower() for event in Event}
    with settings.paths.taxonomy_file.open(encoding="utf-8", newline="") as file:
        taxonomy = {row["event_name"]: row for row in csv.DictReader(file)}
    assert set(events.event_names.values()) == set(taxonomy)
    assert all(row["label_en"] and row["label_zh"] for row in taxonomy.values())
    funnels = yaml.safe_load(settings.paths.funnels_file.read_text(encoding="utf-8"))["funnels"]
    assert {event for funnel in funnels for step in funnel["steps"] for event in step["events"]} <= set(taxonomy)


def test_dirty_exports_fill_the_lake_like_clean_ones(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakes = {}
    for name, dirt in (("clean", 0.0), ("dirty", 0.06)):
        home = tmp_path / name
        monkeypatch.setenv("USEROPS_HOME", str(home))
        result = simulate(home, SimulationOptions(users=300, days=8, dirt=dirt, seed=5))
        context = StepContext(load_settings(), result.last_date)
        staged = stage_landing(context)
        load_staged(context)
        lakes[name] = home / "lake"
        kinds: Counter[str] = Counter()
        for row in pq.read_table(result.ground_truth / "dirt.parquet").to_pylist():
            kinds[row["kind"]] += row["rows"]
        duplicates = kinds["duplicate_in_file"] + kinds["duplicate_between_files"]
        assert staged.counts["rows_quarantined"] == sum(kinds[kind] for kind in QUARANTINED)
        assert staged.counts["rows_deduplicated"] == duplicates
    added = {entity: _rows_added(lakes["clean"], lakes["dirty"], entity) for entity in ("events", "orders", "users")}
    assert added == {"events": kinds["unknown_event"], "orders": 0, "users": 0}
    assert _rows_added(lakes["dirty"], lakes["clean"], "events") == 0


def _rows_added(before: Path, after: Path, entity: str) -> int:
    with duckdb.connect() as connection:
        rows = (
            f"select * exclude (_batch_id, _row_number) from read_parquet('{lake}/raw/{entity}/*/*.parquet')"
            for lake in (after, before)
        )
        found = connection.execute(f"select count(*) from ({' except '.join(rows)})").fetchone()
    assert found is not None
    return int(found[0])
