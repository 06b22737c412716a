"""A list as an e-mail: a summary as text and HTML, the file attached, through an SMTP server."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from pathlib import Path
from types import TracebackType
from typing import Self

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from userops.delivery.notice import Notice, text_lines
from userops.delivery.sending import SendError, persistently
from userops.delivery.settings import EmailSettings, variable
from userops.pii import mask_text

_TYPES = {"xlsx": ("application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet"), "csv": ("text", "csv")}


@dataclass(frozen=True)
class Attachment:
    """A file of the mail; the ending of its name is xlsx or csv."""

    name: str
    content: bytes


def make_mail(
    settings: EmailSettings,
    address: str,
    notice: Notice,
    remarks: Sequence[str],
    attachments: Sequence[Attachment],
    identity: str,
) -> EmailMessage:
    """Return the mail.

    Args:
        remarks: sentences below the figures: where the file lies, what was not attached.
        identity: what makes this mail this mail. The same one gives the same Message-ID, by which mail programs know
            a mail that came twice because the line broke before the server's word of having it.
    """
    sender = str(settings.sender)
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = notice.title
    mail["From"] = f"userops <{sender}>"
    mail["To"] = address
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{hashlib.sha256(identity.encode()).hexdigest()[:40]}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n".join([notice.title, "", *text_lines(notice), "", *remarks]) + "\n")
    mail.add_alternative(_template().render(notice=notice, remarks=remarks), subtype="html")
    for attachment in attachments:
        maintype, subtype = _TYPES[attachment.name.rpartition(".")[2]]
        mail.add_attachment(attachment.content, maintype=maintype, subtype=subtype, filename=attachment.name)
    return mail


class Mailer:
    """A line to the SMTP server, opened when the first mail is sent."""

    def __init__(self, settings: EmailSettings, timeout_seconds: float, attempts: int) -> None:
        self._settings = settings
        self._timeout = timeout_seconds
        self._attempts = attempts
        self._server: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()

    def send(self, mail: EmailMessage, destination: str) -> None:
        """Send a mail to the one address in its To.

        Raises:
            SendError: the server did not take it.
        """
        persistently(lambda: self._send_once(mail), self._attempts, destination)

    def _send_once(self, mail: EmailMessage) -> None:
        try:
            if self._server is None:
                self._server = self._connected()
            self._server.send_message(mail)
        except SendError:
            self._hang_up()
            raise
        except (smtplib.SMTPException, OSError) as error:
            self._hang_up()
            raise _told(error) from None

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        host, port = str(settings.host), settings.server_port
        if settings.username is not None and settings.password is None:
            raise SendError(f"{variable('delivery.email.password')} is not set", passing=False)
        if settings.security == "plain":
            return smtplib.SMTP(host, port, timeout=self._timeout)
        context = ssl.create_default_context()
        if settings.ca_file is not None:
            context.load_verify_locations(settings.ca_file)
        server: smtplib.SMTP
        if settings.security == "ssl":
            server = smtplib.SMTP_SSL(host, port, timeout=self._timeout, context=context)
        else:
            server = smtplib.SMTP(host, port, timeout=self._timeout)
        try:
            if settings.security == "starttls":
                server.starttls(context=context)
            if settings.username is not None and settings.password is not None:
                server.login(settings.username, settings.password.get_secret_value())
        except BaseException:
            server.close()
            raise
        return server

    def _hang_up(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            # The server may be gone already; that the mail before it arrived is known by then.
            with suppress(smtplib.SMTPException, OSError):
                server.quit()
            server.close()


def _told(error: smtplib.SMTPException | OSError) -> SendError:
    """Say what happened without addresses, and whether it may pass: SMTP codes 4xx, broken lines."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        return _refused("recipient refused", code, text)
    if isinstance(error, smtplib.SMTPResponseException):
        what = "login refused" if isinstance(error, smtplib.SMTPAuthenticationError) else "refused"
        return _refused(what, error.smtp_code, error.smtp_error)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return SendError(mask_text(f"the server cannot do it: {error}"), passing=False)
    if isinstance(error, ssl.SSLCertVerificationError):
        return SendError(f"certificate refused: {error.verify_message}", passing=False)
    if isinstance(error, ssl.SSLError):
        return SendError(f"no encrypted line ({error.reason}); see `security` and `port`", passing=False)
    if isinstance(error, FileNotFoundError):
        return SendError("no such file as `ca_file` names", passing=False)
    return SendError(mask_text(f"no line to the server ({type(error).__name__}: {error})"), passing=True)


def _refused(what: str, code: int, text: bytes | str) -> SendError:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return SendError(mask_text(f"{what}: {code} {words}"), passing=400 <= code < 500)


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("mail.html.j2")
