"""Chat groups' robots: DingTalk 钉钉, WeCom 企业微信 and Feishu 飞书.

All three take JSON by POST at an address that holds the robot's token. They answer HTTP 200 to refusals, too: what
happened is the code in the body (`errcode`, in Feishu `code`, formerly `StatusCode`), and only 0 is success.

- DingTalk: signed with HMAC-SHA256 of "<milliseconds>\\n<secret>" under the secret, Base64, in the query; 20 messages
  a minute; bodies up to 20,000 bytes.
- Feishu: signed with HMAC-SHA256 of nothing under "<seconds>\\n<secret>", Base64, in the body; 100 messages a minute;
  bodies up to 20 KB.
- WeCom: no signature; 20 messages a minute; Markdown up to 4,096 and text up to 2,048 bytes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx

from userops.delivery.notice import Notice, markdown_lines, text_lines
from userops.delivery.sending import SendError, persistently
from userops.delivery.settings import RobotSettings, variable

_CUT_MARK = "…"
_FEISHU_LIMIT = 20_000


@dataclass(frozen=True)
class _Message:
    """One message before it is signed."""

    title: str
    lines: list[str]
    is_markdown: bool

    @property
    def text(self) -> str:
        return "\n".join([self.title, *self.lines])


@dataclass(frozen=True)
class _Wire:
    """How one platform wants messages.

    Attributes:
        payload: message to JSON body.
        size: what of the body counts against the limit, in bytes; by body and whether it is Markdown.
        limit: in bytes; by whether it is Markdown.
        sign: (url, body, secret, Unix time in seconds) to (url, body) with the signature; None: it has none.
        codes: keys of the answer that may hold the code.
        busy: codes that pass: rate limits and a busy system.
    """

    payload: Callable[[_Message], dict[str, Any]]
    size: Callable[[Mapping[str, Any], bool], int]
    limit: Callable[[bool], int]
    sign: Callable[[str, dict[str, Any], str, float], tuple[str, dict[str, Any]]] | None
    codes: tuple[str, ...]
    busy: frozenset[int]


def tell_robot(name: str, robot: RobotSettings, notice: Notice, timeout_seconds: float, attempts: int) -> None:
    """Send a notice to a robot.

    Raises:
        SendError: it was not taken.
    """
    if robot.url is None:
        raise SendError(f"{variable(f'delivery.robots.{name}.url')} is not set", passing=False)
    url = robot.url.get_secret_value()
    secret = robot.secret.get_secret_value() if robot.secret else None
    if secret and _WIRES[robot.platform].sign is None:
        raise SendError(
            f"{robot.platform} has no signature: take {variable(f'delivery.robots.{name}.secret')} away", passing=False
        )
    body = robot_body(robot, notice)
    # httpx logs every address it calls at level INFO, and the address is the secret.
    for logger in ("httpx", "httpcore"):
        logging.getLogger(logger).setLevel(logging.WARNING)
    with httpx.Client(timeout=timeout_seconds, follow_redirects=False) as client:
        persistently(lambda: _post(client, robot, url, secret, body), attempts, f"robot:{name}")


def robot_body(robot: RobotSettings, notice: Notice) -> dict[str, Any]:
    """Return the unsigned JSON body; lines that do not fit into the platform's limit are cut off at the end."""
    wire, is_markdown = _WIRES[robot.platform], robot.format == "markdown"
    lines = markdown_lines(notice) if is_markdown else text_lines(notice)
    message = _Message(notice.title, lines, is_markdown)
    body = wire.payload(message)
    while wire.size(body, is_markdown) > wire.limit(is_markdown) and lines:
        lines = lines[:-1]
        message = _Message(notice.title, [*lines, _CUT_MARK], is_markdown)
        body = wire.payload(message)
    return body


def dingtalk_signature(timestamp_ms: int, secret: str) -> str:
    """Return DingTalk's signature, Base64; it goes URL-encoded into the query."""
    digest = hmac.new(secret.encode(), f"{timestamp_ms}\n{secret}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def feishu_signature(timestamp_s: int, secret: str) -> str:
    """Return Feishu's signature, Base64; unlike DingTalk's it signs nothing, under a key that holds the time."""
    digest = hmac.new(f"{timestamp_s}\n{secret}".encode(), b"", hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def _post(client: httpx.Client, robot: RobotSettings, url: str, secret: str | None, body: dict[str, Any]) -> None:
    wire = _WIRES[robot.platform]
    signed_url, signed_body = url, body
    if secret and wire.sign:
        signed_url, signed_body = wire.sign(url, body, secret, time.time())  # anew at each try: a signature ages
    content = json.dumps(signed_body, ensure_ascii=False).encode()
    try:
        answer = client.post(signed_url, content=content, headers={"Content-Type": "application/json; charset=utf-8"})
    except httpx.InvalidURL:
        raise SendError("the robot's address is no URL", passing=False) from None
    except httpx.HTTPError as error:
        # The message of the error stays out: it may hold the address.
        raise SendError(f"no answer ({type(error).__name__})", passing=True) from None
    _judge(answer, wire, _hidden(url, secret))


def _judge(answer: httpx.Response, wire: _Wire, hide: Callable[[str], str]) -> None:
    code, message = _code_of(answer, wire)
    if answer.is_success and code == 0:
        return
    busy = code in wire.busy or answer.status_code >= 500 or answer.status_code == 429
    if code is None:
        reason = f"HTTP {answer.status_code} without a code"
    else:
        reason = f"HTTP {answer.status_code}, code {code}: {hide(message)}"
    raise SendError(reason, passing=busy, retry_after=_retry_after(answer))


def _code_of(answer: httpx.Response, wire: _Wire) -> tuple[int | None, str]:
    try:
        body = answer.json()
    except ValueError:
        return None, ""
    if not isinstance(body, dict):
        return None, ""
    code = next((body[key] for key in wire.codes if isinstance(body.get(key), int)), None)
    message = next((body[key] for key in ("errmsg", "msg", "StatusMessage") if isinstance(body.get(key), str)), "")
    return code, message


def _retry_after(answer: httpx.Response) -> float:
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0


def _hidden(url: str, secret: str | None) -> Callable[[str], str]:
    """Return a function that takes address, token and secret out of a text."""
    parts = urlsplit(url)
    words = [url, secret or "", parts.path.rpartition("/")[2], *(value for _, value in parse_qsl(parts.query))]

    def hide(text: str) -> str:
        for word in sorted(filter(lambda word: len(word) > 5, words), key=len, reverse=True):
            text = text.replace(word, "***")
        return text

    return hide


def _sign_dingtalk(url: str, body: dict[str, Any], secret: str, now: float) -> tuple[str, dict[str, Any]]:
    timestamp = int(now * 1000)
    parts = urlsplit(url)
    signed = [*parse_qsl(parts.query), ("timestamp", str(timestamp)), ("sign", dingtalk_signature(timestamp, secret))]
    return urlunsplit(parts._replace(query=urlencode(signed))), body


def _sign_feishu(url: str, body: dict[str, Any], secret: str, now: float) -> tuple[str, dict[str, Any]]:
    timestamp = int(now)
    return url, {"timestamp": str(timestamp), "sign": feishu_signature(timestamp, secret), **body}


def _dingtalk(message: _Message) -> dict[str, Any]:
    if not message.is_markdown:
        return {"msgtype": "text", "text": {"content": message.text}}
    text = "\n\n".join([f"### {message.title}", *message.lines])  # one line break alone is none in its Markdown
    return {"msgtype": "markdown", "markdown": {"title": message.title, "text": text}}


def _wecom(message: _Message) -> dict[str, Any]:
    if not message.is_markdown:
        return {"msgtype": "text", "text": {"content": message.text}}
    return {"msgtype": "markdown", "markdown": {"content": "\n".join([f"### {message.title}", *message.lines])}}


def _feishu(message: _Message) -> dict[str, Any]:
    if not message.is_markdown:
        return {"msg_type": "text", "content": {"text": message.text}}
    card = {
        "config": {"wide_screen_mode": True},
        "header": {"title": {"tag": "plain_text", "content": message.title}},
        "elements": [{"tag": "markdown", "content": "\n".join(message.lines)}],
    }
    return {"msg_type": "interactive", "card": card}


def _body_bytes(body: Mapping[str, Any], _is_markdown: bool) -> int:
    return len(json.dumps(body, ensure_ascii=False).encode())


def _content_bytes(body: Mapping[str, Any], is_markdown: bool) -> int:
    return len(body["markdown" if is_markdown else "text"]["content"].encode())


_ERRCODE = ("errcode",)
_WIRES: Mapping[str, _Wire] = {
    # 130101: more than 20 messages in a minute; 410100: rate limit; -1: the system is busy.
    "dingtalk": _Wire(
        _dingtalk, _body_bytes, lambda _: 20_000, _sign_dingtalk, _ERRCODE, frozenset({-1, 130101, 410100})
    ),
    # 45009: more than 20 messages in a minute; -1: the system is busy.
    "wecom": _Wire(
        _wecom, _content_bytes, lambda markdown: 4096 if markdown else 2048, None, _ERRCODE, frozenset({-1, 45009})
    ),
    # 11232, 11233: rate limits of messages; 99991400: rate limit of the platform. Room is left for the signature.
    "feishu": _Wire(
        _feishu, _body_bytes, lambda _: _FEISHU_LIMIT - 200, _sign_feishu, ("code", "StatusCode"),
        frozenset({11232, 11233, 99991400}),
    ),
}  # fmt: skip
