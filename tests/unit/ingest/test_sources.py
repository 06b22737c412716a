"""Source YAMLs: what is accepted, and what the error says when it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sources import load_sources
from userops.config import Settings, load_settings
from userops.errors import ConfigError
from userops.ingest.sources import did_you_mean, load_preset, preset_names

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
        ("type: csv", "type: xls", "format.type"),
        ("type: csv", "type: csv, widths: [1]", "`widths`, one per column, exactly when `type` is fixed"),
        ("type: csv", "type: csv, records: $.rows", "`records` only together with type json"),
        ("type: csv", "type: parquet, encoding: gb18030", "no `encoding`"),
        ("path: shop", "path: shop, url: s3://bucket/folder", "exactly one of `path`"),
        ("path: shop,", "url: sftp://me:secret@host/folder,", "without a password"),
        ("path: shop", "path: shop, connection: my_s3", "`connection` only together with `url`"),
        ("user_id: uid", "user_id: {path: $.user.id}", "JSON path in a source of type csv"),
        ("event_time: {column: ts, format: epoch_s}", "event_time: {column: ts, format: relative_days}", "`anchor`"),
        ("currency: {value: CNY}", 'currency: {value: CNY, decimal: ","}', "`decimal` on money"),
        ("source: shop", "source: shop\npreset: log33", "did you mean `log3`"),
        ("source: shop", "source: shop\nnew_columns: forget", "new_columns"),
        ("type: csv", "type: csv, encoding: utf9", "format.encoding.*an encoding"),
        ("type: csv", "type: csv, header: false", "`names`, one per column"),
        ("type: csv", "type: csv, names: [a]", "header: false"),
        ("path: shop", "path: /etc", "a relative path"),
        ("path: shop", "path: ../shop", "without `..`"),
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


class TestPresets:
    """`preset: NAME` gives defaults; the YAML's own keys win."""

    LOG3 = "source: log\npreset: log3\nfiles: {path: log, pattern: '*.log'}\n"

    def load(self, settings, text):
        write(settings, text, "log.yml")
        (source,) = load_sources(settings)
        return source

    @pytest.mark.parametrize("name", preset_names())
    def test_every_preset_needs_no_more_than_name_and_files(self, settings, name):
        source = self.load(settings, self.LOG3.replace("log3", name))
        assert source.preset == name
        assert source.columns
        assert source.entity == load_preset(name)["entity"]

    def test_without_own_keys_the_preset_stands(self, settings):
        source = self.load(settings, self.LOG3)
        assert (source.entity, source.format.names) == ("events", ("user_id", "event_time", "event_name"))

    def test_own_keys_win_and_columns_merge_key_by_key(self, settings):
        source = self.load(
            settings,
            self.LOG3 + 'format: {delimiter: "|"}\ntimezone: UTC\n'
            "columns: {event_time: {column: event_time, format: epoch_s}, channel: {value: web}}\n",
        )
        assert source.format.delimiter == "|"
        assert source.format.header is False  # still the preset's
        assert source.timezone == "UTC"
        assert source.columns["event_time"].format == "epoch_s"
        assert source.columns["channel"].constant == "web"
        assert source.columns["user_id"].column == "user_id"

    def test_null_takes_a_column_of_the_preset_away(self, settings):
        text = self.LOG3.replace("log3", "shopify_orders") + "columns: {user_id: null}\n"
        assert "user_id" not in self.load(settings, text).columns

    def test_event_names_merge_and_ignore_adds(self, settings):
        text = self.LOG3.replace("log3", "ga4_events") + "event_names: {wishlist: product_liked}\nignore: [noise]\n"
        source = self.load(settings, text)
        assert source.event_names["wishlist"] == "product_liked"
        assert source.event_names["page_view"] == "page_viewed"
        assert {"noise", "event_date"} <= set(source.ignore)

    def test_an_error_in_an_own_key_is_told_with_its_line(self, settings):
        write(settings, self.LOG3 + "columns:\n  evnt_name: x\n", "log.yml")
        with pytest.raises(ConfigError, match=r"columns\.evnt_name.*did you mean `event_name`"):
            load_sources(settings)

    def test_the_fingerprint_is_that_of_what_it_stands_for(self, settings):
        written_out = (
            "source: log\nentity: events\nfiles: {path: log, pattern: '*.log'}\n"
            "format: {type: csv, header: false, names: [user_id, event_time, event_name]}\n"
            "columns: {user_id: user_id, event_time: event_time, event_name: event_name}\n"
        )
        assert self.load(settings, self.LOG3).fingerprint == self.load(settings, written_out).fingerprint
