"""`userops ingest --status` and `userops quarantine list|show|retry|drop`, as a person would use them."""

from __future__ import annotations

import csv
import io
import json
import logging

import pytest
from typer.testing import CliRunner, Result

from userops.cli import app
from userops.errors import ConfigError, SourceFileError, UseropsError
from userops.ingest.quarantine import Selection

from .conftest import Instance

HEADER = "id,ts,event,uid\n"
COLUMNS = {"event_id": "id", "event_name": "event", "user_id": "uid", "event_time": "ts"}
#: Takes the dates of the file as they are; the first YAML does not.
MENDED = {**COLUMNS, "event_time": {"column": "ts", "format": "%d.%m.%Y"}}


@pytest.fixture
def shop(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Three files with rows in quarantine: the dates of two sources, and a user without an id."""
    monkeypatch.setenv("USEROPS_HOME", str(instance.home))
    monkeypatch.setenv("USEROPS_CONFIG", str(instance.config))
    (instance.config / "userops.yml").write_text("gates: {max_quarantine_share: 1.0}\n")
    instance.source()
    instance.source(source="other", files={"path": "other", "pattern": "*.csv"})
    days = "".join(f"d{number},0{number}.01.2026,view,=u{number}\n" for number in range(1, 6))
    instance.land("shop/events_1.csv", HEADER + days + "e1,2026-01-05,view,u\nbroken\n")
    instance.land("shop/events_2.csv", HEADER + "e2,2026-01-05,view,u\nn,2026-01-05,view,\n")
    instance.land("other/1.csv", HEADER + "o,01.01.2026,view,u\n")
    instance.ingest()
    return instance


def run(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=answer)


def output_of(*arguments: str, answer: str | None = None) -> str:
    result = run(*arguments, answer=answer)
    assert result.exit_code == 0, result.output or result.exception
    return result.stdout


def accounts(instance: Instance, state: str = "committed") -> dict[str, tuple[int, ...]]:
    return {
        batch.file_path: (
            batch.rows_read, batch.rows_loaded, batch.rows_deduplicated, batch.rows_quarantined, batch.rows_filtered,
        )
        for batch in instance.batches()
        if batch.state == state
    }  # fmt: skip


def test_list_counts_by_source_file_reason_and_column(shop):
    found = json.loads(output_of("quarantine", "list", "--json"))
    counted = [(row["source"], row["file_path"], row["reason_code"], row["column_name"], row["rows"]) for row in found]
    assert counted == [
        ("other", "other/1.csv", "bad_timestamp", "event_time", 1),
        ("shop_events", "shop/events_1.csv", "bad_timestamp", "event_time", 5),
        ("shop_events", "shop/events_1.csv", "broken_line", "", 1),
        ("shop_events", "shop/events_2.csv", "missing_one_of", "user_id, anonymous_id", 1),
    ]
    assert found[0]["first_seen"] == found[0]["last_seen"] is not None
    table = output_of("quarantine", "list", "--source", "shop_events", "--file", "*_1.csv")
    assert "6 rows" in table
    assert "bad_timestamp" in table
    assert "other" not in table
    assert "Nothing" in output_of("quarantine", "list", "--source", "nobody")


def test_show_prints_rows_whole_and_says_what_they_may_be(shop, caplog):
    caplog.set_level(logging.DEBUG)
    shown = output_of("quarantine", "show", "--reason", "broken_line")
    for part in ("shop/events_1.csv:8", "raw: broken", "reason_code: broken_line", "personal data", "个人信息"):
        assert part in shown
    assert len(output_of("quarantine", "show", "--limit", "2").split("raw:")) == 3
    assert "No such row" in output_of("quarantine", "show", "--reason", "nonsense")
    assert caplog.text == ""


def test_rows_are_exported_whole(shop, tmp_path):
    lines, table = tmp_path / "rows.jsonl", tmp_path / "rows.csv"
    assert "7 rows" in output_of("quarantine", "show", "--source", "shop_events", "--jsonl", str(lines))
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert json.loads(rows[0]["raw"]) == {"id": "d1", "ts": "01.01.2026", "event": "view", "uid": "=u1"}
    output_of("quarantine", "show", "--source", "shop_events", "--csv", str(table))
    content = table.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    parsed = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert [row["raw"] for row in parsed] == [row["raw"] for row in rows]
    assert table.stat().st_mode & 0o077 == 0
    error = run("quarantine", "show", "--csv", str(table)).exception
    assert isinstance(error, UseropsError)
    assert "choose another name" in str(error)
    assert table.read_bytes() == content


def test_an_export_that_failed_leaves_nothing_and_can_be_tried_again(shop, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    file = next((shop.home / "lake" / "quarantine" / "events").glob("*.parquet"))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert run("quarantine", "show", "--csv", str(folder / "rows.csv")).exit_code != 0
    assert list(folder.iterdir()) == []
    file.write_bytes(whole)
    output_of("quarantine", "show", "--csv", str(folder / "rows.csv"))
    assert [path.name for path in folder.iterdir()] == ["rows.csv"]


def test_exported_text_does_not_run_in_a_spreadsheet(shop, tmp_path):
    shop.land("shop/events_3.csv", HEADER + "=cmd()\n")
    shop.ingest()
    table = tmp_path / "rows.csv"
    output_of("quarantine", "show", "--file", "shop/events_3.csv", "--csv", str(table))
    (row,) = csv.DictReader(io.StringIO(table.read_text("utf-8-sig")))
    assert row["raw"] == "'=cmd()"


def test_retry_after_mending_the_yaml_closes_the_accounts(shop):
    before = accounts(shop)
    shop.source(columns=MENDED)
    shown = output_of("quarantine", "retry", "--file", "shop/events_1.csv", "--as-of", "2026-01-31")
    assert "6 rows were in quarantine, 2 are now" in shown
    assert "its YAML has changed" in shown, "what the steps warn of"
    assert accounts(shop) == {**before, "shop/events_1.csv": (7, 5, 0, 2, 0)}
    assert accounts(shop, "retired") == {"shop/events_1.csv": (7, 1, 0, 6, 0)}
    # One file is under one mapping: the row that fitted the old YAML only is in quarantine now, not lost.
    reasons = shop.quarantine(columns="file_path, record_number, reason_code")
    assert [row for row in reasons if row[0] == "shop/events_1.csv"] == [
        ("shop/events_1.csv", 6, "bad_timestamp"),
        ("shop/events_1.csv", 7, "broken_line"),
    ]
    assert [row[0] for row in shop.lake("events", "event_id")] == ["d1", "d2", "d3", "d4", "d5", "e2"]
    assert [batch.take for batch in shop.batches() if batch.file_path == "shop/events_1.csv"] == [1, 2]
    table = shop.query(
        "select sum(rows_read), sum(rows_loaded + rows_deduplicated + rows_quarantined + rows_filtered) "
        f"from '{shop.home}/lake/control/ingest_batches.parquet' where state = 'committed'"
    )
    assert table == [(10, 10)]


def test_retry_of_a_source_takes_its_files_only(shop):
    shop.source(source="other", files={"path": "other", "pattern": "*.csv"}, columns=MENDED)
    assert "1 rows were in quarantine, 0 are now" in output_of("quarantine", "retry", "--source", "other")
    assert {batch.source for batch in shop.batches() if batch.take == 2} == {"other"}
    assert "No such file" in output_of("quarantine", "retry", "--source", "other")


def test_retry_of_a_file_that_is_gone_says_so_and_loses_nothing(shop):
    before = accounts(shop), shop.quarantine()
    (shop.landing / "shop" / "events_1.csv").unlink()
    error = run("quarantine", "retry", "--file", "shop/events_1.csv").exception
    assert isinstance(error, SourceFileError)
    assert "rows stay in quarantine" in str(error)
    shop.ingest()
    assert (accounts(shop), shop.quarantine()) == before


def test_retry_under_a_yaml_that_does_not_fit_changes_nothing(shop):
    before = accounts(shop), shop.quarantine(), shop.lake("events")
    shop.source(columns={**COLUMNS, "user_id": "nobody"})
    error = run("quarantine", "retry", "--source", "shop_events").exception
    assert isinstance(error, ConfigError)
    shop.source()
    shop.ingest()
    assert (accounts(shop), shop.quarantine(), shop.lake("events")) == before


def test_drop_asks_and_counts_rows_as_filtered(shop):
    before = accounts(shop)
    refused = run("quarantine", "drop", "--reason", "bad_timestamp", answer="n\n")
    assert refused.exit_code == 1
    assert "Drop 6 rows" in refused.output
    assert accounts(shop) == before
    assert "6 rows dropped" in output_of("quarantine", "drop", "--reason", "bad_timestamp", answer="y\n")
    assert accounts(shop) == {
        **before, "other/1.csv": (1, 0, 0, 0, 1), "shop/events_1.csv": (7, 1, 0, 1, 5),
    }  # fmt: skip
    assert [row[0] for row in shop.quarantine(columns="reason_code")] == ["broken_line", "missing_one_of"]
    kept = f"{shop.home}/lake/quarantine/_dropped/events/*.parquet"
    assert shop.query(f"select count(*), count(distinct raw) from '{kept}'") == [(6, 6)]
    assert shop.query(f"select sum(rows_dropped) from '{shop.home}/lake/control/ingest_batches.parquet'") == [(6,)]
    # The rest of the same file: what was dropped before stays dropped.
    output_of("quarantine", "drop", "--file", "shop/events_1.csv", "--yes")
    assert accounts(shop)["shop/events_1.csv"] == (7, 1, 0, 0, 6)
    assert shop.query(f"select count(*) from '{kept}'") == [(7,)]
    assert "No such row" in output_of("quarantine", "drop", "--file", "shop/events_1.csv", "--yes")


def test_drop_without_a_choice_is_refused(shop):
    assert isinstance(run("quarantine", "drop", "--yes").exception, UseropsError)
    assert len(shop.quarantine()) == 8


def test_a_row_with_two_reasons_is_found_by_either(shop):
    shop.land("shop/events_3.csv", HEADER + "x,when,,u\n")
    shop.ingest()
    for reason in ("bad_timestamp", "missing_required"):
        shown = output_of("quarantine", "show", "--file", "shop/events_3.csv", "--reason", reason)
        assert "bad_timestamp; missing_required" in shown
    assert Selection(reason="bad").row_condition != "true"
    assert "No such row" in output_of("quarantine", "show", "--reason", "bad")


def test_status_shows_every_file_and_the_last_notes(shop):
    shop.land("shop/events_2.csv", HEADER + "e2,2026-01-05,view,u\n")
    (shop.landing / "other" / "1.csv").unlink()
    shop.land("shop/events_9.csv", "id,ts,event,uid,UID\n")
    shop.ingest()
    document = json.loads(output_of("ingest", "--status", "--json"))
    states = sorted((row["file_path"], row["state"], row["take"]) for row in document["files"])
    assert states == [
        ("other/1.csv", "committed", 1),
        ("shop/events_1.csv", "committed", 1),
        ("shop/events_2.csv", "committed", 1),
        ("shop/events_2.csv", "retired", 1),
        ("shop/events_9.csv", "failed", 1),
    ]
    gone = {row["file_path"]: row["vanished_on"] for row in document["files"]}
    assert gone["other/1.csv"] == "2026-01-31"
    assert gone["shop/events_1.csv"] is None
    assert {note["kind"] for note in document["notes"]} >= {"failed_file", "vanished", "replaced"}
    table = output_of("ingest", "--status", "--source", "shop_events")
    for part in ("shop/events_2.csv", "retired", shop.batches()[1].file_sha256[:8], "failed_file", "events_9.csv"):
        assert part in table
    assert "other/1.csv" not in table
    refused = CliRunner().invoke(app, ["ingest", "--status", "--source", "shop_event"])
    assert isinstance(refused.exception, ConfigError)
    assert "did you mean `shop_events`" in str(refused.exception)
