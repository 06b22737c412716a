"""Patterns of file names, places below landing/, names of sources."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.onboard.placement import common_pattern, place_files, source_name


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["orders.csv"], "orders.csv"),
        (["events_20240105.jsonl.gz"], "events_*.jsonl.gz"),
        (["events-2024-01-05.csv"], "events-*.csv"),
        (["orders_export_1.csv"], "orders_export_*.csv"),
        (["a-2024-01-05.csv", "a-2024-01-06.csv"], "a-*.csv"),
        (["dt=2024-01-05/part-0001.parquet", "dt=2024-01-06/part-0002.parquet"], "dt=*/part-*.parquet"),
        (["jan.csv", "feb.csv"], "*.csv"),
        (["x[1].csv"], "x?1?.csv"),
        (["2024年1月订单.csv"], "*年1月订单.csv"),
    ],
)
def test_patterns(names, pattern):
    assert common_pattern(names, []) == pattern


def test_a_pattern_does_not_catch_the_files_of_another_source():
    assert common_pattern(["sheet_2009_2010.csv"], ["sheet_2010_2011.csv"]) == "sheet_2009_2010.csv"


@given(st.lists(st.from_regex(r"[a-z\[\]0-9_-]{1,12}\.(csv|gz)", fullmatch=True), min_size=1, max_size=5))
def test_a_pattern_matches_its_files(names):
    pattern = common_pattern(names, [])
    assert all(fnmatch.fnmatchcase(name, pattern) for name in names)


def test_files_below_landing_stay_where_they_are(tmp_path):
    folder = tmp_path / "landing" / "shop" / "events"
    files = [folder / "dt=2024-01-05" / "p-1.csv", folder / "dt=2024-01-06" / "p-2.csv"]
    placed = place_files(files, tmp_path / "landing", "shop_events")
    assert (placed.path, placed.pattern, placed.to_move) == ("shop/events", "dt=*/p-*.csv", False)
    one = place_files(files[:1], tmp_path / "landing", "shop_events")
    assert (one.path, one.pattern) == ("shop/events", "dt=*/p-*.csv")


def test_files_elsewhere_are_to_be_put_below_landing(tmp_path):
    placed = place_files([tmp_path / "downloads" / "orders.csv"], tmp_path / "landing", "orders")
    assert (placed.path, placed.pattern, placed.to_move) == ("orders", "orders.csv", True)


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (["Orders Export 2024-01-05.csv"], "orders_export"),
        (["a/shop/events.csv.gz"], "shop_events"),
        (["sales_jan.csv", "sales_feb.csv"], "sales"),
        (["20240105.csv"], "a"),
        (["订单明细.csv"], "a"),
    ],
)
def test_names(files, name):
    assert source_name([Path("/data/a") / file for file in files], "events") == name
