"""Decisions by hand: what the file may say, how it is edited, and the commands that do it."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pyarrow.parquet as pq
import pytest
from filelock import FileLock
from typer.testing import CliRunner

from userops import cli
from userops.config import Settings
from userops.definitions.list_overrides import Decision, decide, end, load_decisions, write_list_overrides
from userops.errors import ConfigError, LockedError, UseropsError

HEADER = "list,user_id,action,from,until,by,note\n"


@pytest.fixture
def settings(instance) -> Settings:
    return instance()


def _write(settings: Settings, *lines: str) -> None:
    settings.paths.manual_list_file.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8-sig")


def _decision(user: str = "u1", action: str = "add", start: int = 10, **fields) -> Decision:
    given = {"list_name": "churn_warning", "valid_until": None, "by": "ann", "note": ""} | fields
    return Decision(user_id=user, action=action, valid_from=date(2024, 5, start), **given)


def test_no_file_is_no_decision(settings):
    assert load_decisions(settings) == []
    assert pq.read_table(write_list_overrides(settings)).num_rows == 0


def test_dbt_gets_a_row_per_list_and_nothing_about_who_decided(settings):
    _write(
        settings,
        "both,00123456789012345678,remove,2024-05-01,,ann,on holiday",
        "winback,u2,add,2024-05-01,2024-05-09,,",
    )
    assert pq.read_table(write_list_overrides(settings)).to_pylist() == [
        {"list_name": "churn_warning", "user_id": "00123456789012345678", "action": "remove",
         "valid_from": date(2024, 5, 1), "valid_until": None},
        {"list_name": "winback", "user_id": "00123456789012345678", "action": "remove",
         "valid_from": date(2024, 5, 1), "valid_until": None},
        {"list_name": "winback", "user_id": "u2", "action": "add",
         "valid_from": date(2024, 5, 1), "valid_until": date(2024, 5, 9)},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["churn_warnin,u1,add,2024-05-01,,,"], r"csv:2.*list `churn_warnin`.*did you mean `churn_warning`"),
        (["winback,u1,ad,2024-05-01,,,"], r"csv:2.*action `ad`.*one of add, remove"),
        (["winback,,add,2024-05-01,,,"], r"csv:2.*empty user_id"),
        (["winback,u1,add,,,,"], r"csv:2.*from ``.*2024-01-31"),
        (["winback,u1,add,20240501,,,"], r"csv:2.*from `20240501`"),
        (["winback,u1,add,2024-02-30,,,"], r"csv:2.*from `2024-02-30`"),
        (["winback,u1,add,2024-05-02,2024-05-01,,"], r"csv:2.*before from"),
        (["winback,u1,add,2024-05-01"], r"csv:2.*fields"),
        (["winback,u1,add,2024-05-01,,,", "both,u1,remove,2024-06-01,,,"], r"csv:3.*second decision on u1.*csv:2"),
    ],
)
def test_a_mistake_names_line_value_and_fix(settings, lines, message):
    _write(settings, *lines)
    with pytest.raises(ConfigError, match=message):
        load_decisions(settings)


def test_decisions_one_after_the_other_may_be_about_one_user(settings):
    _write(
        settings,
        "winback,u1,add,2024-05-01,2024-05-09,,",
        "winback,u1,remove,2024-05-10,,,",
        "churn_warning,u1,add,2024-05-01,,,",
    )
    assert len(load_decisions(settings)) == 3


def test_a_new_decision_ends_the_one_before(settings):
    assert decide(settings, _decision(start=1, note="a, b")) == []
    (ended,) = decide(settings, _decision(action="remove", start=10))
    assert (ended.action, ended.valid_until) == ("add", date(2024, 5, 9))
    lines = settings.paths.manual_list_file.read_text(encoding="utf-8").splitlines()
    assert lines[1:] == [
        'churn_warning,u1,add,2024-05-01,2024-05-09,ann,"a, b"', "churn_warning,u1,remove,2024-05-10,,ann,"
    ]  # fmt: skip


def test_a_decision_that_cannot_be_made_leaves_the_file_alone(settings):
    decide(settings, _decision(start=10))
    before = settings.paths.manual_list_file.read_bytes()
    with pytest.raises(UseropsError, match="userops list end u1"):
        decide(settings, _decision(action="remove", start=5))
    with pytest.raises(ConfigError, match="line break"):
        decide(settings, _decision(user="u2", note="a\nb"))
    _write(settings, "winback,u1,nothing,2024-05-01,,,")
    broken = settings.paths.manual_list_file.read_bytes()
    with pytest.raises(ConfigError, match="action `nothing`"):
        decide(settings, _decision(user="u3"))
    assert settings.paths.manual_list_file.read_bytes() == broken != before
    assert not list(settings.paths.config.glob("*.unfinished"))


def test_an_ended_decision_keeps_its_past_and_one_that_has_not_begun_goes(settings):
    decide(settings, _decision(start=1, valid_until=date(2024, 5, 20)))
    decide(settings, _decision(action="remove", start=21))
    end(settings, "u1", "churn_warning", date(2024, 5, 10))
    assert [(d.action, d.valid_until) for d in load_decisions(settings)] == [("add", date(2024, 5, 10))]
    with pytest.raises(UseropsError, match="no decision on `u1`"):
        end(settings, "u1", "churn_warning", date(2024, 5, 10))


def test_a_file_that_another_process_changes_or_nobody_may_write_is_told(settings, monkeypatch):
    monkeypatch.setattr("userops.definitions.list_overrides._LOCK_SECONDS", 0.1)
    file = settings.paths.manual_list_file
    with FileLock(file.with_name(f".{file.name}.lock")), pytest.raises(LockedError, match="one change at a time"):
        decide(settings, _decision())
    file.with_name(f".{file.name}.unfinished").mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        decide(settings, _decision())
    assert load_decisions(settings) == []


def test_the_commands(settings):
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli.app, ["list", *arguments], env={"COLUMNS": "200"})
        assert done.exit_code == 0, done.output
        return done.output

    today = datetime.now(settings.tz).date()
    yesterday, tomorrow = today - timedelta(days=1), today + timedelta(days=1)
    assert "No decision" in run("show")
    added = run("add", "u1", "--by", "ann", "--note", "VIP")
    assert f"add u1 (churn_warning) from {today}; counts from the list of {today} on" in added
    assert f"the daily run makes on {tomorrow}" in added
    removed = run("remove", "u2", "--list", "both", "--from", "2024-05-01", "--until", "2024-05-31")
    assert "counts for lists of 2024-05-01 and later that are made from now on" in removed
    shown = run("show")
    assert "u1" in shown
    assert "u2" not in shown, "it has ended"
    assert "u2" in run("show", "--all")
    assert f"removed: add u1 (churn_warning) from {today}; it would have begun after {yesterday}" in run("end", "u1")
    assert load_decisions(settings)[0].user_id == "u2", "begun today, it never counted"
    assert len(load_decisions(settings)) == 1
    run("add", "u3", "--from", "2024-05-01")
    assert f"ended: add u3 (churn_warning) from 2024-05-01; last list {yesterday}" in run("end", "u3")
