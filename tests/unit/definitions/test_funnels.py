"""funnels.yml: what it may say, what it becomes, and what its errors tell."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from userops.config import PROJECT_ROOT, Settings, load_settings
from userops.definitions.funnels import MAX_STEPS, funnels_fingerprint, load_funnels, write_funnels
from userops.errors import ConfigError
from userops.ingest.lake import control_file

FUNNELS = """
funnels:
  - id: purchase
    name_en: Purchase
    name_zh: 购买
    window: 7 days
    steps:
      - {name: viewed, events: [product_viewed, product_searched]}
      - {name: in_cart, events: [cart_added]}
      - {name: paid, events: [order_paid]}
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("USEROPS_HOME", "USEROPS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return load_settings(config=tmp_path, home=tmp_path / "home")


def rows(settings: Settings, table: str) -> list[dict]:
    return pq.read_table(control_file(settings.paths, table)).to_pylist()


def test_steps(settings):
    settings.paths.funnels_file.write_text(FUNNELS)
    write_funnels(settings)
    assert [(row["step_number"], row["step_name"], row["event_name"]) for row in rows(settings, "funnel_steps")] == [
        (1, "viewed", "product_viewed"),
        (1, "viewed", "product_searched"),
        (2, "in_cart", "cart_added"),
        (3, "paid", "order_paid"),
    ]
    assert {
        (row["funnel_id"], row["funnel_name_zh"], row["window_seconds"]) for row in rows(settings, "funnel_steps")
    } == {("purchase", "购买", 604_800)}


def test_what_is_not_said_is_ordered_by_channel_without_exclusions(settings):
    settings.paths.funnels_file.write_text(FUNNELS)
    write_funnels(settings)
    assert rows(settings, "funnels") == [{"funnel_id": "purchase", "step_order": "ordered"}]
    assert rows(settings, "funnel_segments") == [{"funnel_id": "purchase", "segment_type": "channel"}]
    assert rows(settings, "funnel_exclusions") == []


def test_order_segments_and_exclusions(settings):
    settings.paths.funnels_file.write_text(
        FUNNELS
        + """
    order: strict
    segments: [device, gender]
    exclude:
      - {events: [cart_emptied], between: [in_cart, paid]}
      - {events: [logged_out, cart_emptied]}
"""
    )
    write_funnels(settings)
    assert rows(settings, "funnels") == [{"funnel_id": "purchase", "step_order": "strict"}]
    assert [row["segment_type"] for row in rows(settings, "funnel_segments")] == ["device", "gender"]
    assert [(row["event_name"], row["after_step"]) for row in rows(settings, "funnel_exclusions")] == [
        ("cart_emptied", 1),
        ("cart_emptied", 2),
        ("logged_out", 1),
        ("logged_out", 2),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("window: 7 days", "window: 7 dyas", "`7 days`"),
        ("window: 7 days", "window: 0 days", "`7 days`"),
        ("name_zh: 购买", "name_cn: 购买", "name_zh"),
        ("events: [order_paid]", "events: []", r"steps\.2\.events"),
        ("window: 7 days", "window: 7 days\n    order: strickt", "'ordered', 'strict' or 'any'"),
        ("window: 7 days", "window: 7 days\n    segments: [colour]", "'channel', 'device'"),
        ("window: 7 days", "window: 7 days\n    segments: [channel, channel]", "every segment once"),
        ("events: [order_paid]", "events: [cart_added]}\n    order: any\n    exclude: []", "YAML"),
    ],
)
def test_errors_name_the_key_and_what_is_expected(settings, old, new, message):
    settings.paths.funnels_file.write_text(FUNNELS.replace(old, new))
    with pytest.raises(ConfigError, match=message) as raised:
        load_funnels(settings)
    assert str(settings.paths.funnels_file) in raised.value.where


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("exclude: [{events: [order_paid]}]", "no step of the funnel; order_paid is one"),
        ("exclude: [{events: [x], between: [in_cart, payed]}]", "viewed, in_cart, paid; found payed"),
        ("exclude: [{events: [x], between: [paid, viewed]}]", "viewed comes before paid"),
        ("exclude: [{events: [x], between: [viewed]}]", "between"),
        (
            "order: any\n    exclude: [{events: [x], between: [viewed, paid]}]",
            "no `between` where the steps have no order",
        ),
    ],
)
def test_exclusions_that_cannot_be_meant(settings, more, message):
    settings.paths.funnels_file.write_text(f"{FUNNELS}    {more}\n")
    with pytest.raises(ConfigError, match=message):
        load_funnels(settings)


@pytest.mark.parametrize("order", ["strict", "any"])
def test_only_an_ordered_funnel_may_have_an_event_in_two_steps(settings, order):
    twice = FUNNELS.replace("events: [order_paid]", "events: [order_paid, cart_added]")
    settings.paths.funnels_file.write_text(twice)
    assert len(load_funnels(settings)) == 1
    settings.paths.funnels_file.write_text(f"{twice}    order: {order}\n")
    with pytest.raises(ConfigError, match="cart_added is in several"):
        load_funnels(settings)


@pytest.mark.parametrize("steps", [1, MAX_STEPS + 1])
def test_number_of_steps(settings, steps):
    head = FUNNELS.split("    steps:\n")[0]
    listed = "".join(f"      - {{name: s{number}, events: [e{number}]}}\n" for number in range(steps))
    settings.paths.funnels_file.write_text(f"{head}    steps:\n{listed}")
    with pytest.raises(ConfigError, match="steps"):
        load_funnels(settings)


def test_ids_are_unique(settings):
    settings.paths.funnels_file.write_text(FUNNELS + FUNNELS.split("funnels:\n")[1])
    with pytest.raises(ConfigError, match="purchase is used twice"):
        load_funnels(settings)


def test_the_fingerprint_changes_with_a_definition_and_with_nothing_else(settings):
    settings.paths.funnels_file.write_text(FUNNELS)
    before = funnels_fingerprint(settings)
    settings.paths.funnels_file.write_text(f"# a comment\n{FUNNELS}    order: ordered\n")
    assert funnels_fingerprint(settings) == before
    settings.paths.funnels_file.write_text(FUNNELS.replace("7 days", "8 days"))
    assert funnels_fingerprint(settings) != before


def test_the_shipped_file_is_valid_and_the_widest_table_holds_it():
    funnels = load_funnels(load_settings(config=PROJECT_ROOT / "config"))
    assert {funnel.order for funnel in funnels} == {"ordered", "strict", "any"}
    macro = (PROJECT_ROOT / "dbt_project" / "macros" / "funnel" / "definitions.sql").read_text(encoding="utf-8")
    assert f"funnel_step_columns() %}}{{{{ return({MAX_STEPS}) }}}}" in macro
