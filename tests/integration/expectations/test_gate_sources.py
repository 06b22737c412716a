"""The lake gate and single sources: what is wrong with one of them neither stops nor touches the others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.steps import gate_lake
from userops.errors import GateError
from userops.ingest import lake
from userops.ingest.health import SourceHealthError, source_health, source_names
from userops.ingest.ledger import COMMITTED, FAILED, STAGED, Batch, SourceNote, open_ledger
from userops.ingest.runner import load_staged, stage_landing
from userops.steps import StepContext

DAY = date(2024, 6, 30)
Stage = Callable[..., None]
Export = Callable[..., None]


class Killed(BaseException):
    """The process dies here."""


def edit_source(context: StepContext, text: str) -> None:
    """Add keys to the YAML of shop_orders."""
    yaml = context.settings.paths.sources / "orders.yml"
    yaml.write_text(yaml.read_text(encoding="utf-8") + text + "\n", encoding="utf-8")


def batches(context: StepContext, *states: str) -> list[Batch]:
    with open_ledger(context.settings) as ledger:
        return ledger.batches(*states)


def notes(context: StepContext) -> list[tuple[str, str, str]]:
    with open_ledger(context.settings) as ledger:
        return [(note.source, note.kind, note.severity) for note in ledger.notes(context.as_of) if note.step == "gate"]


def lake_ids(context: StepContext, entity: str = "orders", key: str = "order_id") -> set[str]:
    """Return the keys of an entity's rows in the lake; each is there once."""
    files = [str(file) for file in context.settings.paths.raw.glob(f"{entity}/event_date=*/[!_]*.parquet")]
    if not files:
        return set()
    with closing(duckdb.connect()) as connection:
        ids = [row[0] for row in connection.execute(f"select {key} from read_parquet({files})").fetchall()]
    assert len(ids) == len(set(ids))
    return set(ids)


def quality_page(context: StepContext) -> str:
    page = context.settings.paths.quality / "lake" / f"as_of={context.as_of}" / "index.html"
    return page.read_text(encoding="utf-8")


@pytest.fixture
def export(context: StepContext) -> Export:
    """Drop an export of orders with so many rows per business date."""

    def _export(
        rows_by_day: Mapping[date, int], name: str = "orders_1.csv", folder: str = "shop/orders", prefix: str = "o"
    ) -> None:
        lines = ["order_no,uid,order_time,total,refund"]
        lines += [
            f"{prefix}{day:%m%d}-{number},u{number % 7},{day} 07:00:00,12.50,0"
            for day, rows in rows_by_day.items()
            for number in range(rows)
        ]
        file = context.settings.paths.landing / folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    return _export


@pytest.fixture(scope="module")
def home_with_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the first test that needs a history leaves it for the others."""
    return tmp_path_factory.mktemp("history") / "home"


@pytest.fixture
def history(context: StepContext, export: Export, home_with_history: Path) -> None:
    """Load 35 days of 30 orders each, up to the day before."""
    if not home_with_history.exists():
        export({DAY - timedelta(days=back): 30 for back in range(1, 36)}, name="orders_history.csv")
        yesterday = StepContext(context.settings, DAY - timedelta(days=1))
        stage_landing(yesterday)
        gate_lake(yesterday)
        load_staged(yesterday)
        shutil.copytree(context.settings.home, home_with_history)
    shutil.copytree(home_with_history, context.settings.home, dirs_exist_ok=True)


class TestQuarantinedShare:
    """Too much of a source in quarantine."""

    def test_the_source_is_left_out_and_the_others_go_on(self, context: StepContext, stage: Stage) -> None:
        stage(orders=17, broken=3)

        report = gate_lake(context)
        load_staged(context)

        assert "shop_orders" in report.warnings[0]
        assert "15.0%" in report.warnings[0]
        assert "order_time" in report.warnings[0]
        assert report.counts["sources_left_out"] == 1
        assert lake_ids(context) == set()
        assert len(lake_ids(context, "events", "event_id")) == 20
        assert [(batch.source, batch.state) for batch in batches(context)] == [
            ("shop_events", COMMITTED), ("shop_orders", FAILED),
        ]  # fmt: skip
        assert notes(context) == [("shop_orders", "quarantine_share", "error")]
        assert not [path for path in context.settings.paths.incoming.rglob("*.parquet") if "orders" in str(path)]

    def test_the_page_says_so_in_both_languages(self, context: StepContext, stage: Stage) -> None:
        stage(orders=17, broken=3)

        gate_lake(context)

        page = quality_page(context)
        for words in ("left out · 已剔除", "The day goes on", "流程继续", "shop_orders", "0.15"):
            assert words in page
        result = json.loads((context.settings.paths.quality / "lake/as_of=2024-06-30/result.json").read_text())
        assert (result["success"], result["failed"], result["noticed"]) == (True, 0, 1)

    def test_it_is_red_at_the_end_of_the_day_and_alone(self, context: StepContext, stage: Stage) -> None:
        stage(orders=17, broken=3)
        gate_lake(context)

        with pytest.raises(SourceHealthError) as caught:
            source_health(context)
        assert caught.value.where == "source `shop_orders`"
        assert "max_quarantine_share" in caught.value.fix
        with pytest.raises(SourceHealthError):
            source_health(StepContext(context.settings, DAY, "shop_orders"))
        assert source_health(StepContext(context.settings, DAY, "shop_events")).counts["errors"] == 0
        assert source_names(context) == ["shop_events", "shop_orders"]

    def test_a_second_look_says_the_same(self, context: StepContext, stage: Stage) -> None:
        stage(orders=17, broken=3)
        gate_lake(context)

        gate_lake(context)

        assert notes(context) == [("shop_orders", "quarantine_share", "error")]

    def test_a_mended_yaml_heals_it(self, context: StepContext, stage: Stage) -> None:
        stage(orders=17, broken=3)
        gate_lake(context)
        load_staged(context)
        edit_source(context, "max_quarantine_share: 0.15")

        stage_landing(context)
        gate_lake(context)
        load_staged(context)

        assert len(lake_ids(context)) == 17
        assert notes(context) == []
        assert {batch.state for batch in batches(context)} == {COMMITTED}

    def test_a_source_may_stop_the_day_instead(self, context: StepContext, stage: Stage) -> None:
        edit_source(context, "on_failure: stop_day")
        stage(orders=17, broken=3)

        with pytest.raises(GateError) as caught:
            gate_lake(context)

        assert "suite `staged_sources`" in caught.value.where
        assert "source=shop_orders" in caught.value.found
        assert "quarantined_share=0.15" in caught.value.found
        assert "order_time" in caught.value.found
        assert "max_quarantine_share" in caught.value.fix
        assert len(batches(context, STAGED)) == 2
        assert notes(context) == [("shop_orders", "quarantine_share", "error")]

    def test_a_source_may_set_its_own_limit(self, context: StepContext, stage: Stage) -> None:
        edit_source(context, "max_quarantine_share: 0.15")
        stage(orders=17, broken=3)

        assert gate_lake(context).counts["sources_left_out"] == 0

    def test_a_file_that_is_held_whole_is_reported_already(self, context: StepContext, stage: Stage) -> None:
        stage(orders=0, broken=5)
        (held,) = [batch for batch in batches(context, STAGED) if batch.source == "shop_orders"]
        note = SourceNote(DAY, "shop_orders", "ingest", "held", "error", "held", held.file_path)
        with open_ledger(context.settings) as ledger:
            ledger.replace_notes(DAY, "ingest", [note])

        report = gate_lake(context)

        assert report.counts["sources_left_out"] == 0
        assert len(batches(context, STAGED)) == 2


class TestExcess:
    """Ten times the usual rows on a day."""

    @pytest.mark.usefixtures("history")
    def test_a_usual_day_passes_and_is_shown(self, context: StepContext, export: Export) -> None:
        export({DAY: 31})
        stage_landing(context)

        report = gate_lake(context)

        assert report.warnings == []
        page = quality_page(context)
        assert "各数据源每日数据量" in page
        assert "<td>30.0</td><td>31</td>" in page

    @pytest.mark.usefixtures("history")
    def test_flag_lets_it_in_with_a_warning(self, context: StepContext, export: Export) -> None:
        export({DAY: 300})
        stage_landing(context)

        report = gate_lake(context)
        load_staged(context)

        assert "300 rows on 2024-06-30, 30 expected" in report.warnings[0]
        assert notes(context) == [("shop_orders", "volume_excess", "warning")]
        assert len(lake_ids(context)) == 35 * 30 + 300
        assert "flagged · 提示" in quality_page(context)
        assert source_health(context).counts == {"errors": 0, "warnings": 1}

    @pytest.mark.usefixtures("history")
    def test_stop_leaves_the_new_files_of_that_source_out(
        self, context: StepContext, export: Export, stage: Stage
    ) -> None:
        edit_source(context, "volume: {excess: stop}")
        stage(orders=300)

        gate_lake(context)
        load_staged(context)

        assert notes(context) == [("shop_orders", "volume_excess", "error")]
        assert len(lake_ids(context)) == 35 * 30
        assert len(lake_ids(context, "events", "event_id")) == 20

    @pytest.mark.usefixtures("history")
    def test_stop_may_stop_the_day(self, context: StepContext, export: Export) -> None:
        edit_source(context, "volume: {excess: stop}\non_failure: stop_day")
        export({DAY: 300})
        stage_landing(context)

        with pytest.raises(GateError, match="suite `staged_volume`") as caught:
            gate_lake(context)

        assert "expected_rows=30.0, actual_rows=300" in caught.value.found

    @pytest.mark.usefixtures("history")
    def test_ignore_says_nothing(self, context: StepContext, export: Export) -> None:
        edit_source(context, "volume: {excess: ignore}")
        export({DAY: 300})
        stage_landing(context)

        assert gate_lake(context).warnings == []
        assert notes(context) == []

    @pytest.mark.usefixtures("history")
    def test_a_new_version_of_a_file_counts_once(self, context: StepContext, export: Export) -> None:
        """Until `load`, the rows of both versions are there: the old one's in the lake, the new one's staged."""
        edit_source(context, "volume: {excess: stop, factor: 1.5}")
        for rows in (30, 31):
            export({DAY: rows})
            stage_landing(context)
            report = gate_lake(context)
            load_staged(context)

            assert report.warnings == []
            assert len(lake_ids(context)) == 35 * 30 + rows

    def test_a_first_load_is_no_excess(self, context: StepContext, export: Export) -> None:
        edit_source(context, "volume: {excess: stop}")
        export({DAY - timedelta(days=back): 30 for back in range(1, 15)} | {DAY: 3000})
        stage_landing(context)

        assert gate_lake(context).warnings == []


class TestEmpty:
    """No row on the business date of the run."""

    @pytest.mark.usefixtures("history")
    @pytest.mark.parametrize(("action", "severity"), [("flag", "warning"), ("stop", "error")])
    def test_it_is_noted_although_nothing_is_staged(self, context: StepContext, action: str, severity: str) -> None:
        edit_source(context, f"volume: {{empty: {action}}}")
        stage_landing(context)

        report = gate_lake(context)

        assert "0 rows on 2024-06-30, 30 expected" in report.warnings[0]
        assert notes(context) == [("shop_orders", "volume_empty", severity)]

    @pytest.mark.usefixtures("history")
    def test_stop_may_stop_the_day(self, context: StepContext) -> None:
        edit_source(context, "volume: {empty: stop}\non_failure: stop_day")
        stage_landing(context)

        with pytest.raises(GateError, match="suite `staged_volume`"):
            gate_lake(context)

    @pytest.mark.usefixtures("history")
    def test_ignore_says_nothing(self, context: StepContext) -> None:
        edit_source(context, "volume: {empty: ignore}")
        stage_landing(context)

        assert gate_lake(context).warnings == []

    @pytest.mark.usefixtures("history")
    def test_what_came_later_ends_the_alarm(self, context: StepContext, export: Export) -> None:
        stage_landing(context)
        gate_lake(context)
        load_staged(context)
        export({DAY: 25})
        stage_landing(context)

        assert gate_lake(context).warnings == []
        assert notes(context) == []

    @pytest.mark.usefixtures("history")
    def test_a_source_that_is_red_already_is_not_told_to_be_empty(self, context: StepContext) -> None:
        stage_landing(context)
        with open_ledger(context.settings) as ledger:
            ledger.replace_notes(
                DAY, "ingest", [SourceNote(DAY, "shop_orders", "ingest", "failed_source", "error", "x")]
            )

        assert gate_lake(context).warnings == []


@pytest.fixture
def two_shops(context: StepContext, export: Export) -> dict[str, Any]:
    """Two sources of orders; both have the rows x*, the first one far too many others."""
    yaml = (context.settings.paths.sources / "orders.yml").read_text(encoding="utf-8")
    second = yaml.replace("source: shop_orders", "source: shop_twin").replace("shop/orders", "shop/twin")
    (context.settings.paths.sources / "twin.yml").write_text(second, encoding="utf-8")
    (context.settings.paths.sources / "orders.yml").write_text(yaml + "max_quarantine_share: 0\n", encoding="utf-8")
    days = {DAY: 12, DAY - timedelta(days=1): 8}
    export(days, prefix="x")
    own = context.settings.paths.landing / "shop" / "orders" / "orders_1.csv"
    lines = own.read_text(encoding="utf-8")
    own.write_text(lines + f"a-1,u1,{DAY} 07:00:00,1,0\na-2,u1,no time,1,0\n", encoding="utf-8")
    export(days, prefix="x", folder="shop/twin", name="orders_twin.csv")
    twin = context.settings.paths.landing / "shop" / "twin" / "orders_twin.csv"
    twin.write_text(twin.read_text(encoding="utf-8") + f"b-1,u1,{DAY} 07:00:00,1,0\n", encoding="utf-8")
    wanted = {f"x{day:%m%d}-{number}" for day, rows in days.items() for number in range(rows)} | {"b-1"}
    return {"wanted": wanted, "rows": len(wanted)}


class TestSharedRows:
    """Rows that a file of another source has as well must not go with the one that is left out."""

    def assert_the_twin_has_all_its_rows(self, context: StepContext, two_shops: dict[str, Any]) -> None:
        assert lake_ids(context) == two_shops["wanted"]
        (twin,) = batches(context, COMMITTED)
        assert (twin.source, twin.rows_loaded, twin.rows_deduplicated) == ("shop_twin", two_shops["rows"], 0)
        with open_ledger(context.settings) as ledger:
            assert ledger.dates()[twin.batch_id] == {DAY: 13, DAY - timedelta(days=1): 8}

    def test_they_move_to_the_file_that_has_them(self, context: StepContext, two_shops: dict[str, Any]) -> None:
        stage_landing(context)
        assert [batch.rows_loaded for batch in batches(context, STAGED)] == [21, 1]

        gate_lake(context)
        gate_lake(context)  # the accounts hold
        load_staged(context)

        self.assert_the_twin_has_all_its_rows(context, two_shops)

    @pytest.mark.parametrize("point", ["shared rows moved", "batches rejected"])
    def test_a_gate_that_was_killed_is_simply_run_again(
        self, context: StepContext, two_shops: dict[str, Any], monkeypatch: pytest.MonkeyPatch, point: str
    ) -> None:
        def die(reached: str) -> None:
            if reached == point:
                raise Killed(reached)

        stage_landing(context)
        with monkeypatch.context() as patch:
            patch.setattr(lake, "reached", die)
            with pytest.raises(Killed):
                gate_lake(context)

        gate_lake(context)
        load_staged(context)

        self.assert_the_twin_has_all_its_rows(context, two_shops)
        assert notes(context) == [("shop_orders", "quarantine_share", "error")]
