"""`userops check`: what a sample would become, before anything is loaded."""

from __future__ import annotations

import pytest

from userops.errors import ConfigError, SourceFileError

SOURCE = """
source: shop
entity: events
files: {path: shop, pattern: "*.csv"}
format: {type: csv}
timezone: UTC
columns:
  user_id: uid
  event_time: ts
  event_name: event
  value: price
filter: "event <> 'test'"
"""
ROWS = [
    "uid,ts,event,price,colour,phone",
    "u1,2026-01-05 10:00:00,view,1.5,red,13812345678",
    ",2026-01-05 10:00:00,view,1.5,red,13812345678",
    "u2,2026-01-06 10:00:00,pay,9.9,blue,15900001111",
    "u2,nonsense,pay,9.9,blue,15900001111",
    "u2,2026-01-06 10:00:00,test,9.9,blue,15900001111",
]


@pytest.fixture
def shop(settings):
    """A source with one file of five records."""
    (settings.paths.sources / "shop.yml").write_text(SOURCE, encoding="utf-8")
    folder = settings.paths.landing / "shop"
    folder.mkdir(parents=True)
    (folder / "shop-2026-01-05.csv").write_text("\n".join(ROWS) + "\n", encoding="utf-8")
    return settings


def test_the_fate_of_every_record_is_told(run, shop):
    lines = run("check", "shop").splitlines()
    counts = {
        words[0]: words[1] for line in lines if len(words := line.split()) > 2 and words[2].replace(".", "").isdigit()
    }
    assert counts == {"loaded": "2", "deduplicated": "0", "quarantined": "2", "filtered": "1"}


def test_loaded_rows_are_shown_as_canonical_columns(run, shop):
    output = run("check", "shop")
    assert "event_name" in output
    assert "colour" in output  # kept in properties
    assert "Business dates: 2026-01-05 to 2026-01-06 (Europe/Paris)" in output
    assert "Rows without a user: 0" in output
    assert "Event names: 2, of which 2 are not in event_taxonomy.csv" in output


def test_quarantined_rows_come_with_reason_and_line(run, shop):
    output = run("check", "shop")
    assert "nonsense" in output
    assert "line 5" in output
    assert "event_time" in output


def test_personal_columns_are_told_and_their_values_never_shown(run, shop):
    output = run("check", "shop")
    assert "Personal by their names, left out: phone" in output
    assert "13812345678" not in output
    assert "15900001111" not in output
    assert "***" in output  # in the quarantined record


def test_nothing_is_written(run, shop):
    before = sorted(str(path) for path in [*shop.home.rglob("*"), *shop.config.rglob("*")])
    run("check", "shop")
    assert sorted(str(path) for path in [*shop.home.rglob("*"), *shop.config.rglob("*")]) == before


def test_the_last_file_is_looked_at_unless_told(run, shop):
    (shop.paths.landing / "shop" / "shop-2026-01-06.csv").write_text(ROWS[0] + "\n" + ROWS[1] + "\n", encoding="utf-8")
    assert "shop-2026-01-06.csv" in run("check", "shop")
    assert "shop-2026-01-05.csv" in run("check", "shop", "--file", "shop-2026-01-05.csv")
    assert "shop-2026-01-05.csv" in run("check", "shop", "--file", "*-05.csv")


def test_an_unknown_source_or_file_says_what_there_is(run, shop):
    with pytest.raises(ConfigError, match="did you mean `shop`"):
        run("check", "shp")
    with pytest.raises(SourceFileError, match=r"shop-2026-01-05\.csv"):
        run("check", "shop", "--file", "other.csv")


def test_another_source_may_be_broken(run, shop):
    (shop.paths.sources / "other.yml").write_text("source: [", encoding="utf-8")
    assert "loaded" in run("check", "shop")


def test_a_wrong_column_is_told_with_the_right_ones(run, shop):
    (shop.paths.sources / "shop.yml").write_text(SOURCE.replace("value: price", "value: prise"), encoding="utf-8")
    with pytest.raises(ConfigError, match="did you mean `price`"):
        run("check", "shop")


def test_only_about_as_many_records_as_asked_are_read(run, shop):
    rows = [f"u{number},2026-01-05 10:00:00,view,1,red,1" for number in range(5000)]
    (shop.paths.landing / "shop" / "big.csv").write_text("\n".join([ROWS[0], *rows]) + "\n", encoding="utf-8")
    output = run("check", "shop", "--file", "big.csv", "--rows", "100")
    read = int(output.split("the first ")[1].split(" records")[0].replace(",", ""))
    assert 100 <= read < 1000
