"""The step `segment` on a real warehouse file: known groups are found and found again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import adjusted_rand_score

from models_ml.segments.steps import segment
from userops.config import PROJECT_ROOT, Settings
from userops.errors import BuildError, ModelError
from userops.steps import StepContext, StepReport

DAY = date(2024, 6, 30)
REFIT = DAY + timedelta(days=28)
#: Typical figures of five kinds of users; each user differs from them by chance.
KINDS: dict[str, dict[str, Any]] = {
    "night_buyers": {"active_days": 60, "silent": 2, "gap": 2, "orders": 20, "value": 100, "views": 6, "night": 0.95},
    "bargain_hunters": {"active_days": 4, "silent": 20, "gap": 9, "orders": 1, "value": 30, "discount": 0.5},
    "browsers": {"active_days": 15, "silent": 4, "gap": 5, "views": 40},
    "authors": {"active_days": 40, "silent": 2, "gap": 3, "views": 8, "contributions": 30, "interactions": 9},
    "lost_buyers": {"active_days": 10, "silent": 100, "gap": 6, "orders": 5, "value": 80, "views": 5},
}
NEWCOMERS = {"active_days": 1, "silent": 1, "tenure": 2, "views": 2, "channels": 1}
SIZES = {"night_buyers": 150, "bargain_hunters": 260, "browsers": 220, "authors": 100, "lost_buyers": 180}


def people(
    sizes: Mapping[str, int], as_of: date = DAY, seed: int = 1, kinds: Mapping[str, Mapping[str, Any]] | None = None
) -> pd.DataFrame:
    """Return the personas of `sizes[kind]` users of each kind; `kind` is the truth, which nobody reads."""
    frames = []
    for number, (kind, users) in enumerate(sizes.items()):
        typical = {**KINDS, "newcomers": NEWCOMERS, **(kinds or {})}[kind]
        random = np.random.default_rng([seed, number])

        def around(name: str, default: float, random: Any = random, users: int = users, typical: Any = typical) -> Any:
            return typical.get(name, default) * np.exp(random.normal(0, 0.15, users))

        active_days = np.maximum(1, np.round(around("active_days", 10)))
        orders = np.round(around("orders", 0))
        tenure = np.round(around("tenure", 150))
        night = random.random(users) < typical.get("night", 0.05)
        frames.append(
            pd.DataFrame(
                {
                    "user_id": [f"{kind}-{user:05d}" for user in range(users)],
                    "kind": kind,
                    "is_identified": True,
                    "active_days": active_days.astype(int),
                    "days_since_last_active": np.round(around("silent", 5)).astype(int),
                    "usual_gap_days": around("gap", 5),
                    "orders": orders.astype(int),
                    "net_revenue": orders * around("value", 50),
                    "average_order_value": around("value", 50),
                    "discount_share": np.where(orders > 0, np.minimum(around("discount", 0.05), 1), np.nan),
                    "refund_share": np.where(orders > 0, 0.0, np.nan),
                    "sessions": np.round(active_days * 1.2).astype(int),
                    "page_views": np.round(active_days * around("views", 3)).astype(int),
                    "interactions": np.round(active_days * around("interactions", 0.2)).astype(int),
                    "contributions": np.round(around("contributions", 0)).astype(int),
                    "active_daypart": np.where(night, "night", random.choice(["morning", "evening"], users)),
                    "active_weekday": random.integers(1, 8, users),
                    "channels_used": np.maximum(1, np.round(around("channels", 3))).astype(int),
                    "devices_used": 2,
                    "interest_1_share": np.minimum(1, around("interest", 0.5)),
                    "first_active_date": [as_of - timedelta(days=int(days)) for days in tenure],
                    "as_of_date": as_of,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def warehouse(settings: Settings, personas: pd.DataFrame) -> None:
    """Put the personas into the warehouse file, in the order given."""
    settings.paths.warehouse_dir.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(settings.paths.warehouse)) as connection:
        connection.register("personas", personas)
        connection.execute(
            "create or replace table int_user_personas as select * replace (cast(as_of_date as date) as as_of_date, "
            "cast(first_active_date as date) as first_active_date, cast(net_revenue as decimal(18, 4)) as net_revenue) "
            "from personas"
        )


def run(settings: Settings, personas: pd.DataFrame, as_of: date = DAY) -> StepReport:
    """Run the step on these personas."""
    warehouse(settings, personas.assign(as_of_date=as_of))
    return segment(StepContext(settings, as_of))


def assigned(settings: Settings, as_of: date = DAY) -> dict[str, str]:
    """Return segment by user."""
    rows = read(settings, "segments", as_of)
    return dict(zip(rows["user_id"], rows["segment_id"], strict=True))


def read(settings: Settings, kind: str, as_of: date) -> pd.DataFrame:
    (file,) = (settings.paths.scores / kind / f"as_of_date={as_of}").glob("*.parquet")
    frame: pd.DataFrame = pq.read_table(file, partitioning=None).to_pandas()
    return frame


def segment_of_kind(settings: Settings, personas: pd.DataFrame, as_of: date = DAY) -> dict[str, str]:
    """Return the segment most users of each kind are in."""
    by_user = assigned(settings, as_of)
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in personas["kind"]}
    for user, kind in zip(personas["user_id"], personas["kind"], strict=True):
        counts[kind][by_user[user]] += 1
    return {kind: counter.most_common(1)[0][0] for kind, counter in counts.items()}


def names(settings: Settings, as_of: date = DAY) -> dict[str, str]:
    rows = read(settings, "segment_profiles", as_of)
    return dict(zip(rows["segment_id"], rows["name_en"], strict=True))


def written(folder: Path) -> dict[str, bytes]:
    """Return every file below `folder` by relative name."""
    return {
        str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()
    }  # fmt: skip


@pytest.fixture
def settings(instance: Callable[..., Settings]) -> Settings:
    return instance("project: {timezone: UTC, currency: EUR}\nsegments: {min_users: 100}\n")


def test_known_groups_are_found_and_named_after_what_sets_them_apart(settings: Settings) -> None:
    personas = people(SIZES)
    report = run(settings, personas)
    by_user = assigned(settings)
    truth = dict(zip(personas["user_id"], personas["kind"], strict=True))
    assert adjusted_rand_score([truth[user] for user in by_user], list(by_user.values())) > 0.9
    assert report.counts["users"] == len(personas) == len(by_user)
    found, named = segment_of_kind(settings, personas), names(settings)
    assert len(set(found.values())) == len(KINDS)
    assert "night buyers" in named[found["night_buyers"]]
    assert "deal-seeking" in named[found["bargain_hunters"]]
    assert "deep-browsing" in named[found["browsers"]]
    assert named[found["browsers"]].endswith("browsers")
    assert "contributing" in named[found["authors"]] or named[found["authors"]].endswith("authors")
    assert "apsing" in named[found["lost_buyers"]]
    profiles = read(settings, "segment_profiles", DAY).set_index("segment_id")
    assert profiles["users"].sum() == profiles["segmented_users"].iloc[0] == len(personas)
    lost = personas[[by_user[user] == found["lost_buyers"] for user in personas["user_id"]]]
    silent = lost["days_since_last_active"].median()
    assert profiles.loc[found["lost_buyers"], "median_days_since_last_active"] == silent
    assert f"median days since last active {silent:.0f} (all" in profiles.loc[found["lost_buyers"], "distinguishing_en"]
    assert f"距最近活跃天数中位数 {silent:.0f}（全体" in profiles.loc[found["lost_buyers"], "distinguishing_zh"]


def test_the_order_of_rows_makes_no_difference(settings: Settings) -> None:
    personas = people(SIZES)
    run(settings, personas)
    before = written(settings.paths.scores), written(settings.paths.models)
    _forget(settings)
    run(settings, personas.sample(frac=1, random_state=3))
    assert (written(settings.paths.scores), written(settings.paths.models)) == before


def _forget(settings: Settings) -> None:
    for folder in (settings.paths.scores, settings.paths.models):
        for file in sorted(folder.rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()


def test_running_a_date_again_gives_the_same_even_after_later_fits(settings: Settings) -> None:
    first, later = people(SIZES), people({**SIZES, "newcomers": 120}, REFIT)
    run(settings, first)
    run(settings, first.assign(days_since_last_active=first["days_since_last_active"] + 1), DAY + timedelta(days=1))
    run(settings, later, REFIT)
    before = written(settings.paths.scores), written(settings.paths.models)
    run(settings, later, REFIT)
    run(settings, first)
    run(settings, first.assign(days_since_last_active=first["days_since_last_active"] + 1), DAY + timedelta(days=1))
    assert (written(settings.paths.scores), written(settings.paths.models)) == before


def test_between_fits_the_last_fit_assigns_and_a_run_for_an_earlier_date_does_not_see_it(settings: Settings) -> None:
    personas = people(SIZES)
    run(settings, personas)
    run(settings, personas, DAY + timedelta(days=27))
    versions = [read(settings, "segments", DAY + timedelta(days=days))["model_version"].iloc[0] for days in (0, 27)]
    assert versions[0] == versions[1]
    assert assigned(settings, DAY + timedelta(days=27)) == assigned(settings)
    run(settings, personas, DAY - timedelta(days=1))
    earlier = read(settings, "segments", DAY - timedelta(days=1))["model_version"].iloc[0]
    assert earlier.startswith("segments-20240629-")
    changed = settings.model_copy(update={"segments": settings.segments.model_copy(update={"max_segments": 6})})
    assert "new fit" in run(changed, personas, DAY + timedelta(days=27)).summary, "settings changed: not 28 days later"


@pytest.mark.parametrize(
    "sizes",
    [
        {kind: round(users * 1.05) for kind, users in SIZES.items()},
        {**SIZES, "bargain_hunters": 60, "authors": 300},
        dict(reversed(SIZES.items())),
    ],
    ids=["5 % new users", "the largest becomes the smallest", "other users, other order"],
)
def test_a_new_fit_keeps_ids_and_names(settings: Settings, sizes: dict[str, int]) -> None:
    before, after = people(SIZES), people(sizes, REFIT, seed=2)
    run(settings, before)
    report = run(settings, after, REFIT)
    assert "new fit" in report.summary
    assert segment_of_kind(settings, after, REFIT) == segment_of_kind(settings, before)
    assert names(settings, REFIT) == names(settings)


def test_a_group_that_was_not_there_gets_an_id_that_nobody_had(settings: Settings) -> None:
    before = people(SIZES)
    run(settings, before)
    ids = segment_of_kind(settings, before)
    grown = people({**SIZES, "newcomers": 200}, REFIT)
    run(settings, grown, REFIT)
    after = segment_of_kind(settings, grown, REFIT)
    assert {kind: after[kind] for kind in SIZES} == ids
    assert after["newcomers"] == "S06"
    assert len(set(names(settings, REFIT).values())) == 6

    # The group goes, another one comes: it is not given the id of the one that went.
    third = REFIT + timedelta(days=28)
    other = {"giants": {"active_days": 170, "silent": 1, "gap": 1, "orders": 160, "value": 900, "discount": 0.3}}
    changed = people({**SIZES, "giants": 200}, third, kinds=other)
    run(settings, changed, third)
    found = segment_of_kind(settings, changed, third)
    assert {kind: found[kind] for kind in SIZES} == ids
    assert found["giants"] == "S07"


def test_too_few_users_are_a_warning_and_take_the_date_away(settings: Settings) -> None:
    run(settings, people(SIZES))
    few = people(dict.fromkeys(KINDS, 10))
    report = run(settings, few)
    assert report.counts == {"users": 0, "segments": 0}
    assert "50 identified users" in report.warnings[0]
    assert "segments.min_users" in report.warnings[0]
    assert not list(settings.paths.scores.rglob("*.parquet"))


def test_who_is_silent_or_unknown_has_no_segment_and_equal_users_are_no_segments(settings: Settings) -> None:
    personas = people(SIZES)
    personas.loc[:9, "days_since_last_active"] = 180
    personas.loc[10:19, "is_identified"] = False
    personas.loc[20:29, "active_days"] = 0
    run(settings, personas)
    assert set(assigned(settings)) == set(personas["user_id"][30:])
    twins = pd.concat([personas.iloc[[100]]] * 300).assign(user_id=[f"t{number}" for number in range(300)])
    assert "too much alike" in run(settings, twins).warnings[0]


def test_personas_of_another_date_and_no_personas_are_told(settings: Settings) -> None:
    with pytest.raises(BuildError, match="no warehouse file"):
        segment(StepContext(settings, DAY))
    warehouse(settings, people(SIZES))
    with pytest.raises(ModelError, match="personas as of 2024-06-30"):
        segment(StepContext(settings, DAY - timedelta(days=1)))


def test_a_broken_fit_is_told_and_not_worked_around(settings: Settings) -> None:
    personas = people(SIZES)
    run(settings, personas)
    (file,) = settings.paths.models.rglob("model.json")
    file.write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="no usable fit"):
        run(settings, personas, DAY + timedelta(days=1))


_KILLED = """
import itertools, os, sys
from datetime import date
from models_ml.segments.steps import segment
from userops.config import load_settings
from userops.ingest import lake
from userops.steps import StepContext

reached = itertools.count()
lake.reached = lambda point: os._exit(9) if next(reached) == int(sys.argv[1]) else None
segment(StepContext(load_settings(), date.fromisoformat(sys.argv[2])))
"""


def test_a_kill_between_two_writes_leaves_nothing_half_and_running_again_mends_it(settings: Settings) -> None:
    personas = people(SIZES)
    run(settings, personas)
    whole = written(settings.paths.scores), written(settings.paths.models)
    _forget(settings)
    for point in range(3):
        command = [sys.executable, "-c", _KILLED, str(point), str(DAY)]
        done = subprocess.run(command, cwd=PROJECT_ROOT, check=False, capture_output=True, text=True)
        assert done.returncode == 9, done.stderr
        for file in settings.paths.scores.rglob("[!.]*.parquet"):
            assert pq.read_table(file).num_rows > 0
    run(settings, personas)
    assert (written(settings.paths.scores), written(settings.paths.models)) == whole


def test_the_step_is_one_of_the_day_between_scores_and_lists() -> None:
    from userops.steps import DAILY_STEPS

    place = DAILY_STEPS.index("segment")
    assert DAILY_STEPS[place - 1 : place + 2] == ("score", "segment", "lists")


def test_a_fit_tells_its_quality_in_text(settings: Settings) -> None:
    run(settings, people(SIZES))
    (folder,) = (path for path in (settings.paths.models / "segments").iterdir() if path.is_dir())
    assert sorted(file.name for file in folder.iterdir()) == ["model.json", "quality.json"]
    quality = json.loads((folder / "quality.json").read_text(encoding="utf-8"))
    assert quality["users"] == sum(SIZES.values())
    assert max(quality["silhouette_by_segments"], key=quality["silhouette_by_segments"].get) == "5"
