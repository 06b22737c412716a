"""Source YAMLs: what is accepted, and what the error says when it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from userops.config import Settings, load_settings
from userops.errors import ConfigError
from userops.ingest.sources import did_you_mean, load_sources

GOOD = """
source: shop
entity: events
files: {path: shop, pattern: "*.csv"}
format: {type: csv}
columns:
  user_id: uid
  event_time: {column: ts, format: epoch_s}
  event_name: {expr: "lower(event)"}
  currency: {value: CNY}
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("USEROPS_HOME", "USEROPS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "sources").mkdir()
    return load_settings(config=tmp_path, home=tmp_path / "home")


def write(settings: Settings, text: str, name: str = "shop.yml") -> None:
    (settings.paths.sources / name).write_text(text)


def test_good_source(settings):
    write(settings, GOOD)
    (source,) = load_sources(settings)
    assert source.timezone == "Asia/Shanghai"  # the project's
    assert source.columns["user_id"].column == "uid"
    assert source.columns["event_time"].format == "epoch_s"
    assert source.columns["event_name"].expr == "lower(event)"
    assert source.columns["currency"].constant == "CNY"


def test_sources_come_in_the_order_of_their_names(settings):
    write(settings, GOOD.replace("source: shop", "source: b"), "1.yml")
    write(settings, GOOD.replace("source: shop", "source: a"), "2.yaml")
    assert [source.source for source in load_sources(settings)] == ["a", "b"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("columns:", "colums:", "did you mean `columns`"),
        ("pattern:", "patern:", "files.patern.*did you mean `pattern`"),
        ("entity: events", "entity: event", "did you mean `events`"),
        ("user_id: uid", "usr_id: uid", r"columns\.usr_id.*did you mean `user_id`"),
        ("type: csv", "type: xlsx", "format.type"),
        ("type: csv", "type: csv, encoding: utf9", "format.encoding.*an encoding"),
        ("type: csv", "type: csv, header: false", "`names`, one per column"),
        ("type: csv", "type: csv, names: [a]", "header: false"),
        ("path: shop", "path: /etc", "below landing"),
        ("path: shop", "path: ../shop", "below landing"),
        ("source: shop", "source: Shop Events", "key `source`"),
        ("source: shop", "source: shop\ntimezone: Mars/Base", "IANA"),
        ("event_time: {column: ts, format: epoch_s}", "event_time: {column: ts, value: x}", "exactly one of"),
        ("event_time: {column: ts, format: epoch_s}", "event_time: 5", "source column name"),
        ("currency: {value: CNY}", 'currency: {value: CNY, format: "%Y"}', r"columns\.currency\.format"),
        ('  event_name: {expr: "lower(event)"}\n', "", "no mapping for event_name"),
        ("  user_id: uid\n", "", "neither user_id nor anonymous_id"),
        ("source: shop", "source: shop\nsource: shop", "already given"),
        ("source: shop", "source: shop\nmax_quarantine_share: 2", "max_quarantine_share"),
    ],
)
def test_errors_name_file_key_and_fix(settings, old, new, message):
    assert old in GOOD
    write(settings, GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=f"(?s)shop.yml.*{message}|{message}.*shop.yml") as error:
        load_sources(settings)
    assert error.value.fix


def test_personal_data_is_refused(settings):
    users = "source: u\nentity: users\nfiles: {path: u, pattern: x}\nformat: {type: csv}\n"
    write(settings, users + "columns: {user_id: id, phone: tel}\n")
    with pytest.raises(ConfigError, match="PII columns are not stored until the vault exists; leave it out") as error:
        load_sources(settings)
    assert "columns.phone" in error.value.where


def test_event_names_only_on_events(settings):
    users = "source: u\nentity: users\nfiles: {path: u, pattern: x}\nformat: {type: csv}\ncolumns: {user_id: id}\n"
    write(settings, users + "event_names: {a: b}\n")
    with pytest.raises(ConfigError, match="event_names"):
        load_sources(settings)


def test_two_sources_of_one_name(settings):
    write(settings, GOOD, "1.yml")
    write(settings, GOOD, "2.yml")
    with pytest.raises(ConfigError, match=r"2\.yml.*1\.yml uses already"):
        load_sources(settings)


def test_no_source_at_all(settings):
    with pytest.raises(ConfigError, match="no source YAML"):
        load_sources(settings)


def test_fingerprint_follows_the_mapping_only(settings):
    write(settings, GOOD)
    before = load_sources(settings)[0].fingerprint
    write(settings, GOOD.replace("*.csv", "*.txt") + "max_quarantine_share: 0.5\n")
    assert load_sources(settings)[0].fingerprint == before
    write(settings, GOOD.replace("user_id: uid", "user_id: id"))
    assert load_sources(settings)[0].fingerprint != before


def test_did_you_mean_ignores_case():
    assert did_you_mean("customerid", ["CustomerID", "Country"]) == "did you mean `CustomerID`?"
    assert did_you_mean("zzz", ["CustomerID"]) == ""
