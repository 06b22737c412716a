"""Call lists become entity `outreach`: their words, their notes, and what they must not be mistaken for."""

from __future__ import annotations

import csv
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
import yaml

from userops.ingest.sources import load_source
from userops.lists.registry import LISTS
from userops.onboard.entity import guess_entities
from userops.onboard.propose import Wishes, propose_sources
from userops.onboard.vocabulary import vocabulary
from userops.simulate import CampaignOptions, simulate_campaign

ROOT = Path(__file__).resolve().parents[3]
ROWS = 60


def cycle(*values):
    return lambda number: values[number % len(values)]


def time_of(number):
    return datetime(2024, 1, 13, 9) + timedelta(hours=7 * number)


USER = {"user_id": lambda number: f"U{number % 37:08}"}


@pytest.fixture
def propose(tmp_path, settings):
    """Return a maker of one proposal from columns: {header: value of row number}."""

    def make(columns, name="calls.csv", **wishes):
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as target:
            writer = csv.writer(target)
            writer.writerow(columns)
            writer.writerows([value(number) for value in columns.values()] for number in range(ROWS))
        (proposal,) = propose_sources([path], settings, Wishes(**wishes))
        return proposal

    return make


def values(proposal):
    return {line.key: line.value for line in proposal.columns}


def checks(proposal):
    return {line.key: line.check for line in proposal.columns if line.check}


CALL_LISTS = [
    (
        {
            **USER, "contacted_at": time_of, "channel": cycle("phone", "sms"), "answered": cycle("yes", "no"),
            "result": cycle("interested", "refused"), "offer": cycle("coupon_7d", ""), "operator": cycle("op1", "op2"),
        },
        {
            "user_id": "user_id", "outreach_time": "contacted_at", "channel": "channel", "answered": "answered",
            "result": "result", "offer": "offer", "operator_id": "operator",
        },
    ),
    (
        {
            "Customer ID": USER["user_id"], "Call ID": lambda number: f"C{number}", "Call Date": time_of,
            "Reached": cycle("Y", "N"), "Disposition": cycle("Interested", "Voicemail"), "Agent ID": cycle(1001, 1002),
            "Team": cycle("north"), "List Date": cycle("2024-01-12"), "List": cycle("churn_warning", "winback"),
        },
        {
            "outreach_id": "Call ID", "user_id": "Customer ID", "outreach_time": "Call Date", "contacted": "Reached",
            "result": "Disposition", "operator_id": "Agent ID", "team": "Team", "list_date": "List Date",
            "list_name": "List",
        },
    ),
    (
        {
            "用户ID": USER["user_id"], "联系时间": time_of, "是否接通": cycle("是", "否"), "结果": cycle("好", "否"),
            "优惠": cycle("满100减20", ""), "触达渠道": cycle("电话", "微信"), "工号": cycle(1001, 1002),
        },
        {
            "user_id": "用户ID", "outreach_time": "联系时间", "answered": "是否接通", "result": "结果", "offer": "优惠",
            "channel": "触达渠道", "operator_id": "工号",
        },
    ),
    (
        {
            "会员编号": USER["user_id"], "时间": time_of, "动作": cycle("外呼"), "是否接听": cycle("是", "否"),
            "通话结果": cycle("成交", "考虑"), "坐席工号": cycle("A1", "A2"),
        },
        {
            "user_id": "会员编号", "outreach_time": "时间", "answered": "是否接听", "result": "通话结果",
            "operator_id": "坐席工号",
        },
    ),
    (
        {
            **USER, "campaign": cycle("winback Q1"), "contact date": time_of, "channel": cycle("phone"),
            "answered": cycle("y", "n"), "agent id": cycle(100, 101),
        },
        {
            "user_id": "user_id", "outreach_time": "contact date", "channel": "channel", "answered": "answered",
            "operator_id": "agent id",
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "mapped"), CALL_LISTS, ids=[" ".join(columns) for columns, _ in CALL_LISTS])
def test_call_lists(propose, columns, mapped):
    proposal = propose(columns)
    assert proposal.entity == "outreach"
    assert values(proposal) == mapped
    assert not proposal.entity_check
    assert not checks(proposal)


OTHERS = [
    (
        "campaign_touches",
        {
            "活动ID": cycle("c1"), "用户ID": USER["user_id"], "触达时间": time_of, "触达渠道": cycle("sms"),
            "触达结果": cycle("sent", "clicked"),
        },
    ),
    (
        "campaign_touches",
        {
            "campaign_id": cycle("c1"), **USER, "contacted_at": time_of, "variant": cycle("A", "B"),
            "outcome": cycle("sent", "opened"), "offer": cycle("coupon"),
        },
    ),
    (
        "events",
        {
            **USER, "time": time_of, "action": cycle("login", "pay"), "operator": cycle(1, 2), "result": cycle("ok"),
            "channel": cycle("web"),
        },
    ),
    (
        "events",
        {
            **USER, "event_time": time_of, "event": cycle("message"), "session_id": cycle("s1", "s2"),
            "agent_id": cycle(100, 101), "answered": cycle("yes", "no"),
        },
    ),
    (
        "orders",
        {
            "订单编号": lambda number: f"2024{number:08}", "用户ID": USER["user_id"], "下单时间": time_of,
            "订单金额": lambda number: number + 0.5, "优惠券": cycle("A", ""), "渠道": cycle("app"), "客服": cycle(1),
            "结果": cycle("成功"),
        },
    ),
    (
        "users",
        {
            "user_id": lambda number: f"U{number}", "registered_at": time_of, "gender": cycle("f"),
            "city": cycle("Rome"), "last contact date": time_of, "last contact result": cycle("ok"),
        },
    ),
    (
        "users",
        {
            "customer id": lambda number: f"U{number}", "name": cycle("Ann"), "phone": lambda number: f"138{number:08}",
            "contact owner": cycle(1001), "last contact date": time_of,
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("entity", "columns"), OTHERS, ids=[" ".join(columns) for _, columns in OTHERS])
def test_what_is_no_call_list(propose, entity, columns):
    proposal = propose(columns)
    assert proposal.entity == entity
    assert not proposal.entity_check
    rest = [guess for guess in guess_entities(proposal.profiles) if guess.name == "outreach"]
    assert all(guess.score < 4 for guess in rest), "far from it"


def test_the_export_of_the_demo_is_mapped_as_its_source_says(tmp_path, settings):
    published = tmp_path / "marts.duckdb"
    with duckdb.connect(str(published)) as connection:
        connection.execute(
            "create table churn_warning_list as select date '2025-11-20' as as_of_date, 'u' || number as user_id, "
            "false as is_holdout, 'north' as team, 0.5 as churn_probability, 100 - number as expected_loss "
            "from range(100) as t (number)"
        )
    file = simulate_campaign(tmp_path, published, date(2025, 11, 20), CampaignOptions()).outreach
    (proposal,) = propose_sources([file], settings, Wishes())
    source = yaml.safe_load((ROOT / "config" / "sources" / "shop_outreach.yml").read_text(encoding="utf-8"))
    assert proposal.entity == "outreach"
    assert values(proposal) == source["columns"]
    assert proposal.drops_unmapped == (source["new_columns"] == "drop")


def answers_of(propose, said, header="接通状态"):
    proposal = propose({**USER, "联系时间": time_of, header: cycle(*said)})
    (line,) = [line for line in proposal.columns if line.key in ("answered", "contacted")]
    query = f'select {line.value["expr"]} from (select unnest($1) as "{header}")'
    return line, [answer for (answer,) in duckdb.execute(query, [list(said)]).fetchall()]


def test_words_of_call_lists_are_yes_and_no(propose):
    line, answers = answers_of(propose, ("已接通", "无人接听", " 关机", "拒接"))
    assert line.key == "answered"
    assert answers == ["true", "false", "false", "false"]
    assert not line.check
    line, answers = answers_of(propose, ("Reached", "Not reached", "no-answer"), "contacted")
    assert line.key == "contacted"
    assert answers == ["true", "false", "false"]


def test_a_word_that_is_neither_yes_nor_no_is_a_question_and_no_answer(propose):
    line, answers = answers_of(propose, ("已接通", "未接通", "挂断"))
    assert answers == ["true", "false", "挂断"], "ingest refuses it, with the word"
    assert line.check.startswith("挂断: yes or no?")


def test_a_column_of_names_is_no_answer(propose):
    proposal = propose({**USER, "contacted_at": time_of, "result": cycle("ok"), "answered": cycle("Ann", "Bob", "yes")})
    assert proposal.entity == "outreach"
    assert "answered" not in values(proposal)


def test_lists_get_their_names(propose):
    columns = {**USER, "联系时间": time_of, "结果": cycle("ok"), "名单": cycle("流失预警名单", "召回名单", "生日")}
    (line,) = [line for line in propose(columns).columns if line.key == "list_name"]
    query = f'select {line.value["expr"]} from (select unnest($1) as "名单")'
    names = duckdb.execute(query, [["流失预警名单", "召回名单", "生日"]]).fetchall()
    assert names == [("churn_warning",), ("winback",), ("生日",)]
    assert line.check.startswith("生日: neither")


def test_the_titles_of_the_lists_are_known():
    for item in LISTS:
        for title in (item.name, item.title_en, item.title_zh):
            assert vocabulary().list_of(title) == item.name, title


def test_words_inside_json_are_translated_too(tmp_path, settings):
    path = tmp_path / "calls.jsonl"
    line = '{{"uid": "u{n}", "called_at": "2024-01-13T10:00:{n}Z", "call": {{"result": "ok", "answered": "{word}"}}}}\n'
    path.write_text(
        "".join(line.format(n=n, word=("已接通", "未接通")[n % 2]) for n in range(10, 50)), encoding="utf-8"
    )
    (proposal,) = propose_sources([path], settings, Wishes())
    found = values(proposal)
    assert found["result"] == {"path": "$.call.result"}
    query = f"""select {found["answered"]["expr"]} from (select '{{"answered": "未接通"}}'::json as call)"""
    assert duckdb.execute(query).fetchall() == [("false",)]


def test_notes_and_names_of_staff_stay_outside(propose):
    columns = {
        **USER, "联系时间": time_of, "结果": lambda number: f"客户说第 {number} 天再来", "通话结果": cycle("考虑"),
        "备注": cycle("vip"), "结果备注": cycle("a", "b"), "坐席": cycle("王丽", "李雷"), "姓名": cycle("张三"),
        "通话时长": cycle(5, 9),
    }  # fmt: skip
    proposal = propose(columns)
    assert values(proposal) == {"user_id": "user_id", "outreach_time": "联系时间", "result": "通话结果"}
    assert {name: kind.split(",")[0] for name, kind in proposal.ignore} == {
        "结果": "notes about people", "备注": "notes about people", "结果备注": "notes about people",
        "坐席": "names of staff", "姓名": "name",
    }  # fmt: skip
    assert proposal.kept == ["通话时长"]


def test_no_note_becomes_a_result(propose):
    columns = {**USER, "contacted_at": time_of, "answered": cycle("yes", "no"), "result notes": cycle("a", "b")}
    written = {**columns, "call outcome": lambda number: f"wants to think about it for {number} days"}
    for proposal in (propose(columns), propose(written)):
        assert proposal.entity == "outreach"
        assert "result" not in values(proposal)
        assert {kind for _, kind in proposal.ignore} == {"notes about people"}


def test_a_number_that_starts_again_in_every_file_is_no_id(propose):
    columns = {**USER, "联系时间": time_of, "结果": cycle("ok")}
    assert "outreach_id" not in values(propose({"序号": lambda number: number + 1, **columns}))
    assert "outreach_id" not in values(propose({"call_no": lambda number: number // 2 + 5000, **columns})), "repeats"
    assert values(propose({"id": lambda number: number + 5000, **columns}))["outreach_id"] == "id"
    counted = propose({"call_no": lambda number: number + 1, **columns})
    assert values(counted)["outreach_id"] == "call_no"
    assert "starts at 1 again" in checks(counted)["outreach_id"]
    versions = propose({"call_no": lambda number: number // 2 + 5000, "updated_at": time_of, **columns})
    assert values(versions)["outreach_id"] == "call_no", "versions are told apart by updated_at"


def test_the_yaml_is_written_loads_and_checks(run, settings):
    folder = settings.paths.landing / "calls"
    folder.mkdir(parents=True)
    file = folder / "calls_2024-01-13.csv"
    file.write_text(
        "用户ID,姓名,联系时间,接通状态,结果,时长\n"
        + "".join(f"u{n},张三,2024-01-13 10:{n}:00,{('已接通', '未接通')[n % 2]},考虑,{n}\n" for n in range(10, 50)),
        encoding="utf-8",
    )
    output = run("onboard", file)
    text = (settings.paths.sources / "calls.yml").read_text(encoding="utf-8")
    source = load_source(settings.paths.sources / "calls.yml", settings)
    assert (source.entity, source.new_columns, source.ignore) == ("outreach", "drop", ("姓名",))
    assert "# Left out, as they are not mapped: 时长" in text
    assert "properties" not in text + output
    assert "张三" not in text + output
    checked = run("check", "calls")
    loaded = next(line.split() for line in checked.splitlines() if line.startswith("  loaded"))
    assert loaded[1] == "40", checked
    assert "True" in checked
    assert "False" in checked
