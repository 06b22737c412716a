"""Real servers on loopback: a chat platform that checks signatures as documented, and SMTP with TLS and a login."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from userops.delivery import sending

TOKEN, SECRET = "obviously-fake-token-1234", "SECobviouslyfake"
LOGIN, PASSWORD = "ops", "obviously-fake-password"


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait hardly at all between tries, and ask no proxy for the way to loopback."""
    monkeypatch.setattr(sending, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(sending, "LONGEST_WAIT", 0.02)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@dataclass
class ChatPlatform:
    """What the robots of all three platforms answer.

    Attributes:
        answers: for each coming request, what is answered in place of the truth: (HTTP status, JSON body); a text is
            sent as it is; None closes the line without a word.
        taken: bodies that were taken.
    """

    port: int = 0
    answers: list[tuple[int, Any] | None] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    requests: int = 0

    def url(self, platform: str) -> str:
        path = {
            "dingtalk": f"/robot/send?access_token={TOKEN}",
            "wecom": f"/cgi-bin/webhook/send?key={TOKEN}",
            "feishu": f"/open-apis/bot/v2/hook/{TOKEN}",
        }[platform]
        return f"http://127.0.0.1:{self.port}{path}"

    def judge(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        parts = urlsplit(path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path == "/robot/send" and query["access_token"] == TOKEN:
            return self._dingtalk(query, body)
        if parts.path == "/cgi-bin/webhook/send" and query["key"] == TOKEN:
            content = body[body["msgtype"]]["content"]
            if len(content.encode()) > {"markdown": 4096, "text": 2048}[body["msgtype"]]:
                return {"errcode": 40058, "errmsg": "exceed max length"}
            return self._take(body, {"errcode": 0, "errmsg": "ok"})
        if parts.path == f"/open-apis/bot/v2/hook/{TOKEN}":
            return self._feishu(body)
        return {"errcode": 93000, "errmsg": f"invalid webhook {path}"}

    def _dingtalk(self, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        signed = f"{query.get('timestamp')}\n{SECRET}".encode()
        expected = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
        fresh = abs(time.time() * 1000 - int(query.get("timestamp", 0))) < 3_600_000
        if query.get("sign") != expected or not fresh:
            return {"errcode": 310000, "errmsg": f"sign not match, more: {query}"}
        assert set(body[body["msgtype"]]) == ({"title", "text"} if body["msgtype"] == "markdown" else {"content"})
        return self._take(body, {"errcode": 0, "errmsg": "ok"})

    def _feishu(self, body: dict[str, Any]) -> dict[str, Any]:
        key = f"{body.get('timestamp')}\n{SECRET}".encode()
        expected = base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()
        if body.get("sign") != expected or abs(time.time() - int(body.get("timestamp", 0))) > 3600:
            return {"code": 19021, "msg": "sign match fail or timestamp is not within one hour from current time"}
        assert ("card" in body) if body["msg_type"] == "interactive" else ("text" in body["content"])
        return self._take(body, {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"})

    def _take(self, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        self.taken.append(body)
        return answer


@pytest.fixture
def chat() -> Iterator[ChatPlatform]:
    platform = ChatPlatform()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            platform.requests += 1
            told = platform.answers.pop(0) if platform.answers else (200, platform.judge(self.path, body))
            if told is None:
                self.close_connection = True
                return
            status, answer = told
            content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    platform.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield platform
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class MailServer:
    """An SMTP server and what came in.

    Attributes:
        refusals: for each coming RCPT of this address, what is answered in place of 250.
        encrypted: for each mail, whether it came over an encrypted line.
    """

    port: int = 0
    ca_file: Path = Path()
    refusals: dict[str, list[str]] = field(default_factory=dict)
    mails: list[tuple[str, EmailMessage]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    logins: list[str | None] = field(default_factory=list)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.refusals.get(address):
            return self.refusals[address].pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails += [(address, mail) for address in envelope.rcpt_tos]
        self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        self.logins.append(session.auth_data)
        return "250 OK"

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for to, mail in self.mails if to == address]


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (LOGIN.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=good, auth_data=LOGIN if good else None)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return certificate and key of 127.0.0.1; it vouches for itself."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "cert.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


@pytest.fixture(params=["starttls"])
def mail_server(request: pytest.FixtureRequest, certificate: tuple[Path, Path]) -> Iterator[MailServer]:
    """An SMTP server that wants a login, by STARTTLS or SSL; with `plain` it wants neither."""
    server = MailServer(ca_file=certificate[0])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    options: dict[str, Any] = {}
    if request.param != "plain":
        options = {"authenticator": authenticate, "auth_required": True, "auth_require_tls": request.param != "ssl"}
    if request.param == "starttls":
        options |= {"tls_context": context, "require_starttls": True}

    class Loopback(Controller):
        def factory(self) -> SMTP:
            return SMTP(self.handler, hostname="127.0.0.1", **options)

    controller = Loopback(server, hostname="127.0.0.1", port=0, ssl_context=context if request.param == "ssl" else None)
    controller.port = free_port()
    controller.start()
    server.port = controller.port
    yield server
    controller.stop()


def free_port() -> int:
    """Return a port on which nobody listens."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
