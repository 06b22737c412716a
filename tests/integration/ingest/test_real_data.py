"""Ingest of real exports through source YAMLs alone; every line accounted for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from .conftest import Instance

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT.parent / "shared" / "data"
CONFIG = ROOT / "tests" / "data_sources"

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not in ../shared/data"),
]


def real_instance(folder: Path, name: str) -> Instance:
    made = Instance(folder / "home", CONFIG / name)
    target = made.landing / name
    target.mkdir(parents=True)
    for file in (DATA / name).iterdir():
        shutil.copy(file, target / file.name)
    return made


@pytest.fixture(autouse=True)
def no_instance_in_the_environment(monkeypatch):
    for name in ("USEROPS_HOME", "USEROPS_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def test_online_retail(tmp_path):
    instance = real_instance(tmp_path, "online_retail")
    instance.ingest()
    first, second = instance.batches()
    assert (first.rows_read, second.rows_read) == (525_461, 541_909)
    for batch in (first, second):
        assert (
            batch.rows_read
            == batch.rows_loaded + batch.rows_deduplicated + batch.rows_quarantined + batch.rows_filtered
        )
        assert batch.rows_quarantined == batch.rows_filtered == 0
    distinct = distinct_lines_by_pandas()
    assert first.rows_loaded + second.rows_loaded == distinct == 1_033_035
    rows, customers, with_fraction, missing = instance.lake(
        "order_items",
        "count(*), count(distinct user_id), count(*) filter (contains(user_id, '.')), "
        "count(*) filter (user_id is null)",
    )[0]
    assert (rows, customers, with_fraction) == (distinct, 5_942, 0)
    assert missing > 200_000
    assert instance.lake("order_items", "count(*)", "order_id like 'C%' and quantity < 0")[0][0] > 19_000
    # Noon in London in summer is 11:00 UTC: the stored time must be UTC, the date London's.
    shift = "count(*) filter (event_date <> cast(timezone('Europe/London', timezone('UTC', order_time)) as date))"
    assert instance.lake("order_items", shift) == [(0,)]
    assert float(instance.lake("order_items", "sum(quantity * unit_price)")[0][0]) == pytest.approx(
        revenue_by_pandas(), abs=1
    )


def distinct_lines_by_pandas() -> int:
    return len(both_sheets().drop_duplicates())


def revenue_by_pandas() -> float:
    lines = both_sheets().drop_duplicates()
    return float((lines["Quantity"] * lines["Price"]).sum())


def both_sheets() -> pd.DataFrame:
    sheets = [
        pd.read_parquet(DATA / "online_retail" / f"sheet_{years}.parquet") for years in ("2009_2010", "2010_2011")
    ]
    sheets[1].columns = sheets[0].columns
    return pd.concat(sheets, ignore_index=True)


def test_bpic_2012(tmp_path):
    instance = real_instance(tmp_path, "bpic2012")
    instance.ingest()
    (batch,) = instance.batches()
    assert (batch.rows_read, batch.rows_loaded, batch.rows_deduplicated) == (262_200, 262_200, 0)
    lake = f"read_parquet('{instance.home}/lake/raw/events/*/*.parquet')"
    reached = dict(instance.query(f"select event_name, count(distinct user_id) from {lake} group by event_name"))
    expected = {
        "A_SUBMITTED": 13_087,
        "A_PREACCEPTED": 7_367,
        "A_ACCEPTED": 5_113,
        "A_FINALIZED": 5_015,
        "A_APPROVED": 2_246,
    }
    assert {name: reached[name] for name in expected} == expected
    source = pd.read_csv(DATA / "bpic2012" / "events.csv.gz", dtype=str)
    first = pd.to_datetime(source["timestamp"], utc=True, format="ISO8601")
    span = instance.lake("events", "min(event_time), max(event_time)")[0]
    assert span == (first.min().tz_localize(None), first.max().tz_localize(None))
