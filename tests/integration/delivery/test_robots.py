"""Robots over HTTP: taken only when signed, code and not status decides, and the token shows nowhere."""

from __future__ import annotations

import logging

import pytest
from pydantic import SecretStr

from tests.integration.delivery.conftest import SECRET, TOKEN, ChatPlatform, free_port
from tests.unit.lists.make import make_list
from userops.delivery.notice import make_notice
from userops.delivery.robots import tell_robot
from userops.delivery.sending import SendError
from userops.delivery.settings import RobotSettings

PLATFORMS = ("dingtalk", "wecom", "feishu")
BUSY = {"dingtalk": (200, {"errcode": 130101, "errmsg": "send too fast"}),
        "wecom": (200, {"errcode": 45009, "errmsg": "api freq out of limit"}),
        "feishu": (400, {"code": 11232, "msg": "frequency limited"})}  # fmt: skip


def robot_of(chat, platform, secret=SECRET, **other):
    signing = None if platform == "wecom" or secret is None else SecretStr(secret)
    return RobotSettings(platform=platform, url=SecretStr(chat.url(platform)), secret=signing, **other)


def tell(robot, attempts=3, timeout=5.0):
    tell_robot("ops", robot, make_notice(make_list({}), "new", "both"), timeout, attempts)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("written", ["markdown", "text"])
def test_a_message_is_taken(chat: ChatPlatform, platform, written):
    tell(robot_of(chat, platform, format=written))
    assert len(chat.taken) == 1
    assert "流失预警名单" in str(chat.taken[0])


@pytest.mark.parametrize("platform", ["dingtalk", "feishu"])
@pytest.mark.parametrize("secret", ["SEC-another", None])
def test_a_wrong_or_missing_signature_is_a_failure_although_http_says_200(chat, platform, secret):
    with pytest.raises(SendError, match=r"310000|19021") as caught:
        tell(robot_of(chat, platform, secret))
    assert not caught.value.passing
    assert (chat.taken, chat.requests) == ([], 1)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_busy_platform_is_asked_again(chat, platform):
    chat.answers = [BUSY[platform], (502, "bad gateway"), None]
    tell(robot_of(chat, platform), attempts=4)
    assert (len(chat.taken), chat.requests) == (1, 4)


@pytest.mark.parametrize(
    ("answer", "passing", "requests", "words"),
    [
        (BUSY["wecom"], True, 2, "code 45009: api freq out of limit"),
        ((429, {}), True, 2, "HTTP 429"),
        ((503, "<html>"), True, 2, "HTTP 503"),
        ((200, "<html>"), False, 1, "without a code"),
        ((200, {"ok": True}), False, 1, "without a code"),
        ((200, {"errcode": 93000, "errmsg": f"invalid webhook key={TOKEN}"}), False, 1, "code 93000"),
        ((302, {}), False, 1, "HTTP 302"),
        ((404, {"errcode": 0}), False, 1, "HTTP 404"),
    ],
)
def test_what_is_no_success_is_a_failure(chat, answer, passing, requests, words):
    chat.answers = [answer] * 2
    with pytest.raises(SendError) as caught:
        tell(robot_of(chat, "wecom"), attempts=2)
    assert (caught.value.passing, chat.requests) == (passing, requests)
    assert words in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_each_try_is_signed_anew(chat, monkeypatch):
    seen = []
    chat.answers = [(500, {})]
    monkeypatch.setattr("userops.delivery.robots.dingtalk_signature", lambda *arguments: seen.append(arguments) or "x")
    with pytest.raises(SendError):
        tell(robot_of(chat, "dingtalk"))
    assert len(seen) == 2


def test_nobody_there_is_told_without_the_address():
    chat = ChatPlatform(port=free_port())
    with pytest.raises(SendError) as caught:
        tell(robot_of(chat, "wecom"), attempts=2)
    assert caught.value.passing
    assert str(caught.value) == "no answer (ConnectError)"


def test_no_log_line_holds_token_or_secret(chat, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    chat.answers = [(500, {}), None]
    tell(robot_of(chat, "dingtalk"), attempts=3)
    said = caplog.text + "".join(capsys.readouterr())
    assert "robot:ops" in said  # the retries are told
    assert TOKEN not in said
    assert SECRET not in said


def test_a_robot_without_address_says_which_variable_is_missing():
    with pytest.raises(SendError, match="USEROPS_DELIVERY__ROBOTS__OPS__URL is not set"):
        tell(RobotSettings(platform="wecom"))


def test_a_secret_for_a_platform_without_signature_is_a_mistake(chat):
    robot = RobotSettings(platform="wecom", url=SecretStr(chat.url("wecom")), secret=SecretStr(SECRET))
    with pytest.raises(SendError, match="no signature"):
        tell(robot)
