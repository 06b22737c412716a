"""`userops onboard` as a new user meets it: what is written, printed, refused."""

from __future__ import annotations

import csv
import json

import pytest

from userops.errors import ConfigError, SourceFileError
from userops.ingest.sources import load_source

PERSONAL = ("Ann Lee", "ann@example.com", "13812345678", "11010519491231002X", "1 Main Street")


@pytest.fixture
def events_file(tmp_path):
    """An export of behaviour with personal columns, a naive time and four event names."""
    path = tmp_path / "app_log-2024-01-05.csv"
    names = ["view", "add_to_cart", "pay", "frobnicate"]
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["uid", "time", "event", "colour", "name", "mail", "mobile", "id_card", "address"])
        for number in range(200):
            writer.writerow([f"u{number % 9}", "2024-01-05 10:00:00", names[number % 4], "red", *PERSONAL])
    return path


def test_the_yaml_is_written_and_can_be_loaded(run, settings, events_file):
    output = run("onboard", events_file)
    file = settings.paths.sources / "app_log.yml"
    source = load_source(file, settings)
    assert source.entity == "events"
    assert source.files.pattern == "app_log-*.csv"
    assert source.columns["event_time"].column == "time"
    assert source.event_names == {"view": "product_viewed", "add_to_cart": "cart_added", "pay": "order_paid"}
    assert set(source.ignore) == {"name", "mail", "mobile", "id_card", "address"}
    assert "# CHECK: time: no offset" in file.read_text(encoding="utf-8")
    assert "in which zone" in output
    assert f"Put the file(s) into {settings.paths.landing / 'app_log'}/" in output
    assert "userops check app_log" in output


def test_every_mapping_says_why(run, settings, events_file):
    run("onboard", events_file)
    lines = (settings.paths.sources / "app_log.yml").read_text(encoding="utf-8").splitlines()
    start = lines.index("columns:") + 1
    mappings = lines[start : start + 3]
    assert all(" # " in line for line in mappings), mappings


def test_no_personal_value_is_printed_or_written(run, settings, events_file):
    output = run("onboard", events_file)
    written = "".join(file.read_text(encoding="utf-8") for file in settings.config.rglob("*") if file.is_file())
    assert "***" in output
    assert not [value for value in PERSONAL if value in output or value in written]


def test_new_events_are_proposed_for_the_taxonomy(run, settings, events_file):
    settings.paths.taxonomy_file.write_text(
        "event_name,category,is_activity,is_page_view,is_interaction,is_contribution,label_en,label_zh\n"
        "order_paid,purchase,true,false,true,false,order paid,支付订单\n",
        encoding="utf-8",
    )
    run("onboard", events_file)
    with (settings.config / "event_taxonomy.proposed.csv").open(encoding="utf-8", newline="") as handle:
        rows = {row["event_name"]: row for row in csv.DictReader(handle)}
    assert set(rows) == {"product_viewed", "cart_added", "frobnicate"}
    assert rows["cart_added"]["category"] == "cart"
    assert rows["cart_added"]["label_zh"] == "加入购物车"
    assert rows["frobnicate"]["is_activity"] == "true"


def test_without_writing_it_is_only_printed(run, settings, events_file):
    output = run("onboard", "--no-write", events_file)
    assert "source: app_log" in output
    assert "event_name,category" in output
    assert not list(settings.config.rglob("*.yml.draft"))
    assert not list(settings.paths.sources.glob("*"))


def test_nothing_is_overwritten_unasked(run, settings, events_file):
    run("onboard", events_file)
    file = settings.paths.sources / "app_log.yml"
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="--force"):
        run("onboard", events_file)
    assert file.read_text(encoding="utf-8") == "mine"
    run("onboard", "--force", events_file)
    assert load_source(file, settings).source == "app_log"
    run("onboard", "--source", "other", events_file)
    assert load_source(settings.paths.sources / "other.yml", settings).source == "other"


def test_of_several_sources_none_is_written_when_one_is_in_the_way(run, settings, events_file, tmp_path):
    orders = tmp_path / "sales.csv"
    orders.write_text("order_id,user_id,order_time,amount\n" + "1,u,2024-01-05 10:00:00,5\n" * 9, encoding="utf-8")
    (settings.paths.sources / "sales.yml").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"sales\.yml"):
        run("onboard", events_file, orders)
    assert [file.name for file in settings.paths.sources.glob("*")] == ["sales.yml"]


def test_files_below_landing_stay_there(run, settings, events_file):
    folder = settings.paths.landing / "shop" / "log"
    folder.mkdir(parents=True)
    here = events_file.rename(folder / events_file.name)
    output = run("onboard", here)
    source = load_source(settings.paths.sources / "app_log.yml", settings)
    assert (source.files.path, source.files.pattern) == ("shop/log", "app_log-*.csv")
    assert "Put the file" not in output


def test_presets_are_listed(run):
    output = run("onboard", "--list-presets")
    assert "ga4_events" in output
    assert "identity_links" in output


def test_a_known_export_is_recognised(run, settings, tmp_path):
    path = tmp_path / "tracks.jsonl"
    record = {"distinct_id": "d1", "time": 1705140000000, "type": "track", "event": "Weird", "properties": {"a": 1}}
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    output = run("onboard", path)
    text = (settings.paths.sources / "tracks_events.yml").read_text(encoding="utf-8")
    assert "preset: sensors_events" in text
    assert "sensors_users and sensors_links" in output
    run("onboard", "--preset", "sensors_links", path)
    assert load_source(settings.paths.sources / "tracks_identity_links.yml", settings).entity == "identity_links"


def test_a_preset_that_does_not_exist(run, events_file):
    with pytest.raises(ConfigError, match="did you mean `ga4_events`"):
        run("onboard", "--preset", "ga4_event", events_file)


def test_the_three_column_log(run, settings, tmp_path):
    path = tmp_path / "app.log"
    path.write_text("u1|2024-01-05 10:00:00|view\nu2|2024-01-05 10:00:01|pay\n", encoding="utf-8")
    run("onboard", "--preset", "log3", "--source", "applog", path)
    source = load_source(settings.paths.sources / "applog.yml", settings)
    assert source.format.delimiter == "|"
    assert source.format.names == ("user_id", "event_time", "event_name")


def test_an_unreadable_file_is_one_clear_error(run, tmp_path):
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(SourceFileError, match="empty file"):
        run("onboard", tmp_path / "empty.csv")


def test_odd_column_names_make_a_valid_yaml(run, settings, tmp_path):
    """Names that YAML, SQL or a comment could trip over."""
    path = tmp_path / "odd.csv"
    names = ["user id: #1", "it's", 'say "hi"', "- dash", "{brace}", "yes", "123", "@at", "中文 # 列"]
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["user_id", "event_time", "event", *names])
        for number in range(30):
            writer.writerow([f"u{number}", "2024-01-05 10:00:00", "pay: #1 'x'", *["v"] * len(names)])
    run("onboard", path)
    source = load_source(settings.paths.sources / "odd.yml", settings)
    assert source.columns["user_id"].column == "user_id"
