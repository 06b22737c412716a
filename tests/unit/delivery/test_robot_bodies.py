"""What a robot is told: within the platform's limits, signed as documented, and nothing that identifies a user."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.lists.make import make_list
from userops.delivery.notice import harmless, make_notice
from userops.delivery.robots import dingtalk_signature, feishu_signature, robot_body
from userops.delivery.settings import RobotSettings

PLATFORMS = ("dingtalk", "wecom", "feishu")
FORMATS = ("markdown", "text")


def body_of(content, platform, written="markdown", name_users=0, link=None):
    robot = RobotSettings(platform=platform, format=written, name_users=name_users)
    return robot_body(robot, make_notice(content, "new", "both", link, name_users))


def size_that_counts(body, platform, written):
    if platform == "wecom":
        return len(body[written]["content"].encode())
    return len(json.dumps(body, ensure_ascii=False).encode())


LIMITS = {("wecom", "markdown"): 4096, ("wecom", "text"): 2048}


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("written", FORMATS)
def test_figures_are_told_and_users_are_not(platform, written):
    content = make_list({"user_id": "13800138000"}, {"risk_band": "low"}, before=set())
    told = json.dumps(body_of(content, platform, written, link="https://files.example.com/x.xlsx"), ensure_ascii=False)
    for word in ("流失预警名单 Churn warning list 2026-06-29", "今日新增 New today", "高 High 1", "files.example.com"):
        assert word in told
    assert "13800138000" not in told
    assert "u2" not in told


@pytest.mark.parametrize("platform", PLATFORMS)
def test_users_are_named_where_somebody_asked_for_it(platform):
    told = json.dumps(body_of(make_list({}, {}, {}), platform, name_users=2))
    assert "u1, u2" in told
    assert "u3" not in told


@settings(deadline=None, max_examples=30)
@given(
    teams=st.lists(st.text(max_size=80), max_size=400), platform=st.sampled_from(PLATFORMS),
    written=st.sampled_from(FORMATS),
)  # fmt: skip
def test_no_message_is_larger_than_its_platform_takes(teams, platform, written):
    content = make_list(*({"team": f"团队 {number} {team}"} for number, team in enumerate(teams)))
    body = body_of(content, platform, written)
    assert size_that_counts(body, platform, written) <= LIMITS.get((platform, written), 20_000)
    assert "流失预警名单" in json.dumps(body, ensure_ascii=False)


def test_what_is_cut_off_is_marked():
    content = make_list(*({"team": f"团队 {number} {'很长的名字' * 8}"} for number in range(100)))
    text = body_of(content, "wecom")["markdown"]["content"]
    assert text.endswith("…")
    assert "人数 Users" in text


@pytest.mark.parametrize(
    "team", ["<at id=all></at>", "<@all>", "@everybody", "[open](https://evil.example)", "a\n### b", "**x**", "`y`"]
)
def test_a_value_of_the_data_can_not_mention_people_or_make_links(team):
    notice = make_notice(make_list({"team": team}), "new", "zh")
    told = json.dumps(robot_body(RobotSettings(platform="feishu"), notice), ensure_ascii=False)
    assert team not in told
    assert not set(harmless(team)) & set("<>@[]*`#\n")


def test_dingtalks_signature_is_the_documented_one():
    expected = hmac.new(b"SEC000", b"1700000000000\nSEC000", hashlib.sha256).digest()
    assert dingtalk_signature(1700000000000, "SEC000") == base64.b64encode(expected).decode()


def test_feishus_signature_signs_nothing_with_time_and_secret_as_the_key():
    expected = hmac.new(b"1700000000\nSEC000", b"", hashlib.sha256).digest()
    assert feishu_signature(1700000000, "SEC000") == base64.b64encode(expected).decode()
    assert feishu_signature(1700000000, "SEC000") != dingtalk_signature(1700000000, "SEC000")


@pytest.mark.parametrize(("occasion", "word"), [("updated", "[已更新 updated]"), ("again", "[重发 sent again]")])
def test_a_list_that_comes_again_says_so(occasion, word):
    assert word in make_notice(make_list({}), occasion, "both").title


def test_a_degraded_model_is_told_first():
    from tests.unit.lists.make import TYPES

    content = make_list({"model_degraded": True}, types={**TYPES, "model_degraded": "BOOLEAN"})
    label, text = make_notice(content, "new", "both").lines[0]
    assert "模型" in label
    assert text.endswith("ask the data team")
