"""The simulated campaign: who is contacted, what it does, and the exports it leaves."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from userops.errors import UseropsError
from userops.simulate import CampaignOptions, simulate_campaign
from userops.simulate.campaign import run_campaign

DAY = date(2025, 11, 20)


def _published(path: Path, users: int) -> Path:
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            f"""
            create table churn_warning_list as
            select date '{DAY}' as as_of_date, 'u' || number as user_id, number % 5 = 0 as is_holdout, 'north' as team,
                0.5 as churn_probability, {users} - number as expected_loss
            from range({users}) as t (number)
            """
        )
    return path


def test_the_effect_is_the_one_that_was_asked_for_and_nobody_held_out_is_called():
    holdout = np.arange(40_000) % 10 == 0
    campaign = run_campaign(holdout, CampaignOptions(effect=0.25, contact_share=0.6), np.random.default_rng(1))
    assert not (campaign.contacted & holdout).any()
    listed = ~holdout
    assert campaign.contacted[listed].mean() == pytest.approx(0.6, abs=0.02)
    assert campaign.brought_back[campaign.contacted].mean() == pytest.approx(0.25, abs=0.02)
    top, bottom = campaign.contacted[listed][:9_000], campaign.contacted[listed][-9_000:]
    assert top.mean() > bottom.mean() + 0.3, "operators prefer the top of the list"
    assert (campaign.return_day > campaign.contact_day).all()


def test_a_campaign_writes_what_it_leaves_and_the_truth_the_same_each_time(tmp_path):
    published = _published(tmp_path / "marts.duckdb", 200)
    first = simulate_campaign(tmp_path / "a", published, DAY, CampaignOptions(effect=0.5))
    again = simulate_campaign(tmp_path / "b", published, DAY, CampaignOptions(effect=0.5))
    for name in ("outreach", "visits", "truth"):
        assert getattr(first, name).read_bytes() == getattr(again, name).read_bytes(), name
    calls = list(csv.DictReader(first.outreach.read_text(encoding="utf-8").splitlines()))
    truth = {row["user_id"]: row for row in pq.read_table(first.truth).to_pylist()}
    assert len(calls) == first.contacted == sum(row["contacted"] for row in truth.values()) > 50
    assert {call["uid"] for call in calls} == {user for user, row in truth.items() if row["contacted"]}
    assert first.held_out == 40
    assert first.listed == 160
    visits = [json.loads(line) for line in gzip.decompress(first.visits.read_bytes()).splitlines()]
    assert {(visit["uid"], visit["ts"][:10]) for visit in visits} == {
        (user, str(row["returns_on"])) for user, row in truth.items() if row["brought_back"]
    }
    assert first.brought_back == len(visits) / 2 > 20


def test_a_list_that_is_not_there_and_options_out_of_range(tmp_path):
    published = _published(tmp_path / "marts.duckdb", 5)
    with pytest.raises(UseropsError, match="no churn-warning list of 2025-11-21"):
        simulate_campaign(tmp_path, published, date(2025, 11, 21), CampaignOptions())
    with pytest.raises(UseropsError, match="`effect`"):
        CampaignOptions(effect=1.5)
    with pytest.raises(UseropsError, match="`return_days`"):
        CampaignOptions(return_days=0)
