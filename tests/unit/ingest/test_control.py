"""Tables of the configuration and the ledger's notes, and the small Parquet tables made from them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from userops.config import Settings, load_settings
from userops.definitions.funnels import write_funnels
from userops.definitions.list_overrides import write_list_overrides
from userops.errors import ConfigError
from userops.ingest import lake
from userops.ingest.control import (
    ExchangeRate,
    load_exchange_rates,
    write_exchange_rates,
    write_notes,
    write_taxonomy,
    write_unbind,
)
from userops.ingest.ledger import SourceNote, open_ledger

HEADER = "event_name,category,is_activity,is_page_view,is_interaction,is_contribution,label_en,label_zh\n"
FUNNELS = """
funnels:
  - id: purchase
    name_en: Purchase
    name_zh: 购买
    window: 7 days
    steps:
      - {name: viewed, events: [product_viewed, product_searched]}
      - {name: paid, events: [order_paid]}
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("USEROPS_HOME", "USEROPS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return load_settings(config=tmp_path, home=tmp_path / "home")


def test_taxonomy(settings):
    text = HEADER + "page_viewed,view,true,1,no,,Page viewed,浏览页面\n"
    settings.paths.taxonomy_file.write_text(text, encoding="utf-8-sig")
    rows = pq.read_table(write_taxonomy(settings)).to_pylist()
    assert rows == [
        {
            "event_name": "page_viewed",
            "category": "view",
            "is_activity": True,
            "is_page_view": True,
            "is_interaction": False,
            "is_contribution": False,
            "label_en": "Page viewed",
            "label_zh": "浏览页面",
        }
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("event_name,categorie\n", r"csv:1.*did you mean `category`"),
        (HEADER.replace(",label_zh", ""), "add label_zh"),
        (HEADER + "a,veiw,true,true,true,true,A,甲\n", r"csv:2.*did you mean `view`"),
        (HEADER + "a,view,maybe,true,true,true,A,甲\n", r"csv:2.*is_activity `maybe`"),
        (HEADER + "a,view,true\n", r"csv:2.*fields"),
        (HEADER + ",view,true,true,true,true,A,甲\n", "empty event_name"),
        (
            HEADER + "a,view,true,true,true,true,A,甲\n" * 2,
            r"taxonomy\.csv:3: found `a`, which .*taxonomy\.csv:2 has too",
        ),
    ],
)
def test_taxonomy_errors(settings, text, message):
    settings.paths.taxonomy_file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        write_taxonomy(settings)


def test_no_files_give_empty_tables(settings):
    for write in (write_taxonomy, write_funnels, write_unbind, write_exchange_rates, write_list_overrides):
        assert pq.read_table(write(settings)).num_rows == 0


def test_exchange_rates(settings):
    text = "rate_date,currency,rate\n2024-02-01,USD,7.1\n2024-01-01, USD ,7.0\n2024-01-01,EUR,7.8\n2024-01-01,CNY,1\n"
    settings.paths.exchange_rates_file.write_text(text, encoding="utf-8-sig")
    assert load_exchange_rates(settings) == [
        ExchangeRate(date(2024, 1, 1), "CNY", 1.0),
        ExchangeRate(date(2024, 1, 1), "EUR", 7.8),
        ExchangeRate(date(2024, 1, 1), "USD", 7.0),
        ExchangeRate(date(2024, 2, 1), "USD", 7.1),
    ]
    rows = pq.read_table(write_exchange_rates(settings)).to_pylist()
    assert rows[-1] == {"rate_date": date(2024, 2, 1), "currency": "USD", "rate": 7.1}
    assert len(rows) == 4


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2024-01-32,USD,7", r"csv:3.*rate_date `2024-01-32`"),
        ("01/02/2024,USD,7", r"csv:3.*rate_date `01/02/2024`"),
        ("2024-01-02,usd,7", r"csv:3.*currency `usd`"),
        ("2024-01-02,US,7", r"csv:3.*currency `US`"),
        ("2024-01-02,USD,0", r"csv:3.*rate `0`"),
        ("2024-01-02,USD,-7", r"csv:3.*rate `-7`"),
        ("2024-01-02,USD,nan", r"csv:3.*rate `nan`"),
        ("2024-01-02,USD,inf", r"csv:3.*rate `inf`"),
        ("2024-01-02,USD,1e-12", r"csv:3.*rate `1e-12`"),
        ('2024-01-02,USD,"7,1"', r"csv:3.*rate `7,1`"),
        ("2024-01-02,CNY,7", r"csv:3.*the project's own currency"),
        ("2024-01-01,USD,7.2", r"csv:3.*second rate of USD for 2024-01-01.*csv:2"),
        ("2024-01-02,USD", r"csv:3.*fields"),
    ],
)
def test_exchange_rate_errors(settings, line, message):
    settings.paths.exchange_rates_file.write_text(f"rate_date,currency,rate\n2024-01-01,USD,7.0\n{line}\n")
    with pytest.raises(ConfigError, match=message):
        write_exchange_rates(settings)


def test_unbind(settings):
    text = "anonymous_id,user_id\nphone,u2\nphone, u1\n00123,00045\n"
    settings.paths.identity_unbind_file.write_text(text)
    assert pq.read_table(write_unbind(settings)).to_pylist() == [
        {"anonymous_id": "00123", "user_id": "00045"},
        {"anonymous_id": "phone", "user_id": "u1"},
        {"anonymous_id": "phone", "user_id": "u2"},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("anonymous_id,user\nphone,u1\n", r"csv:1.*did you mean `user_id`"),
        ("anonymous_id,user_id\nphone,\n", r"csv:2.*empty user_id"),
        ("anonymous_id,user_id\nphone\n", r"csv:2.*fields"),
        ("anonymous_id,user_id\nphone,u1\nphone,u1\n", r"csv:3.*same pair as .*csv:2"),
    ],
)
def test_unbind_errors(settings, text, message):
    settings.paths.identity_unbind_file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        write_unbind(settings)


def test_a_table_that_is_not_utf8_is_an_error(settings):
    settings.paths.identity_unbind_file.write_bytes("anonymous_id,user_id\n手机,u1\n".encode("gb18030"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        write_unbind(settings)


def test_notes_are_written_once_each(settings):
    day = date(2024, 1, 2)
    note = SourceNote(day, "shop", "ingest", "vanished", "warning", "it was here", "shop/a.csv")
    other = SourceNote(day, "shop", "ingest", "failed_source", "error", "no such column")
    with open_ledger(settings) as ledger:
        ledger.replace_notes(day, "ingest", [note, note, other])
        rows = pq.read_table(write_notes(settings, ledger)).to_pylist()
    assert [(row["kind"], row["file_path"], row["message"]) for row in rows] == [
        ("failed_source", "", "no such column"),
        ("vanished", "shop/a.csv", "it was here"),
    ]
    assert {(row["as_of_date"], row["source"], row["step"]) for row in rows} == {(day, "shop", "ingest")}


def test_a_table_is_replaced_whole_or_not_at_all(settings, monkeypatch):
    settings.paths.funnels_file.write_text(FUNNELS)
    file = write_funnels(settings)
    before = file.read_bytes()

    def crash(point: str) -> None:
        raise RuntimeError(point)

    monkeypatch.setattr(lake, "reached", crash)
    settings.paths.funnels_file.write_text("funnels: []\n")
    with pytest.raises(RuntimeError):
        write_funnels(settings)
    assert file.read_bytes() == before


def test_ensure_lake_makes_every_table_and_overwrites_none(settings):
    settings.paths.funnels_file.write_text(FUNNELS)
    write_funnels(settings)
    lake.ensure_lake(settings)
    assert pq.read_table(lake.control_file(settings.paths, "funnel_steps")).num_rows == 3
    assert {file.stem for file in settings.paths.control.iterdir()} == set(lake.CONTROL_COLUMNS)


def test_ensure_lake_renews_a_schema_file_of_an_older_version(settings):
    lake.ensure_lake(settings)
    file = settings.paths.raw / "events" / "event_date=1970-01-01" / lake.SCHEMA_FILE
    expected = pq.read_schema(file)
    lake.write_table(file, lake.arrow_schema([("event_id", "VARCHAR")]).empty_table())
    lake.ensure_lake(settings)
    assert pq.read_schema(file).equals(expected)
