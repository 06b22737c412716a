"""Mails through a real SMTP server: encrypted, with a login, readable, and failures told without addresses."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.integration.delivery.conftest import LOGIN, PASSWORD, MailServer, free_port
from tests.unit.lists.make import make_list
from userops.delivery.mail import Attachment, Mailer, make_mail
from userops.delivery.notice import make_notice
from userops.delivery.sending import SendError
from userops.delivery.settings import EmailSettings

TO = "boss@example.com"


def settings_for(server: MailServer, security="starttls", **other):
    values = {
        "enabled": True, "host": "127.0.0.1", "port": server.port, "security": security, "ca_file": server.ca_file,
        "sender": "userops@example.com", "recipients": {"churn_warning": {"all": [TO]}},
    }  # fmt: skip
    if security != "plain":
        values |= {"username": LOGIN, "password": SecretStr(PASSWORD)}
    return EmailSettings.model_validate(values | other)


def mail_for(settings, content=None, **link):
    notice = make_notice(content or make_list({}), "new", "both", **link)
    return make_mail(settings, TO, notice, ["<b>remark</b>"], [Attachment("list.xlsx", b"PK\x00\xff")], "identity")


def send(settings, attempts=1, mail=None):
    with Mailer(settings, 10, attempts) as mailer:
        mailer.send(mail or mail_for(settings), "email:b***")


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # the whole line is encrypted there
@pytest.mark.parametrize(
    ("mail_server", "security"),
    [("starttls", "starttls"), ("ssl", "ssl"), ("plain", "plain")],
    indirect=["mail_server"],
)
def test_a_mail_arrives_over_each_kind_of_line(mail_server, security):
    settings = settings_for(mail_server, security)
    send(settings)
    (mail,) = mail_server.to(TO)
    assert mail["Subject"] == "[userops] 流失预警名单 Churn warning list 2026-06-29"
    assert (mail["To"], mail["From"]) == (TO, "userops <userops@example.com>")
    assert mail_server.encrypted == [security != "plain"]
    assert mail_server.logins == [None if security == "plain" else LOGIN]


def test_text_html_and_attachment_say_the_same(mail_server):
    settings = settings_for(mail_server)
    content = make_list({"team": "<script>north</script>"}, {"risk_band": "low"}, before=set())
    send(settings, mail=mail_for(settings, content, link="https://files.example.com/list.xlsx"))
    (mail,) = mail_server.to(TO)
    text, html = mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()
    for words in ("今日新增 New today", "https://files.example.com/list.xlsx", "2026-06-29"):
        assert words in text
        assert words in html
    assert "高 High 1" in text
    assert "<script>" not in html
    assert "&lt;b&gt;remark" in html
    (attached,) = mail.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("list.xlsx", b"PK\x00\xff")
    assert attached.get_content_type().endswith("spreadsheetml.sheet")


def test_the_same_list_has_the_same_message_id_another_one_another():
    settings = settings_for(MailServer(port=1))
    notice = make_notice(make_list({}), "new", "zh")
    ids = {make_mail(settings, TO, notice, [], [], identity)["Message-ID"] for identity in ("a", "a", "b")}
    assert len(ids) == 2


def test_a_wrong_password_is_told_and_not_shown(mail_server):
    with pytest.raises(SendError, match="login refused: 535") as caught:
        send(settings_for(mail_server, password=SecretStr("obviously-wrong")), attempts=3)
    assert not caught.value.passing
    assert "obviously-wrong" not in str(caught.value)
    assert mail_server.mails == []


def test_without_a_password_the_variable_is_named(mail_server):
    with pytest.raises(SendError, match="USEROPS_DELIVERY__EMAIL__PASSWORD is not set"):
        send(settings_for(mail_server, password=None))


def test_a_server_nobody_vouches_for_gets_no_mail_and_no_password(mail_server):
    with pytest.raises(SendError, match="certificate refused") as caught:
        send(settings_for(mail_server, ca_file=None), attempts=3)
    assert not caught.value.passing
    assert mail_server.mails == []


@pytest.mark.parametrize("mail_server", ["plain"], indirect=True)
def test_a_server_without_starttls_gets_nothing_over_an_open_line(mail_server):
    with pytest.raises(SendError, match="STARTTLS") as caught:
        send(settings_for(mail_server))
    assert not caught.value.passing
    assert mail_server.mails == []


def test_a_refusal_that_may_pass_is_tried_again(mail_server):
    mail_server.refusals[TO] = ["451 greylisted, come back", "451 greylisted"]
    send(settings_for(mail_server), attempts=3)
    assert len(mail_server.to(TO)) == 1


def test_a_refusal_for_good_is_not_and_names_nobody(mail_server):
    mail_server.refusals[TO] = [f"550 no such user {TO}"] * 3
    with pytest.raises(SendError, match="recipient refused: 550 no such user") as caught:
        send(settings_for(mail_server), attempts=3)
    assert not caught.value.passing
    assert TO not in str(caught.value)
    assert len(mail_server.refusals[TO]) == 2


def test_nobody_there_may_pass():
    server = MailServer(port=free_port())
    with pytest.raises(SendError, match="no line to the server") as caught:
        send(settings_for(server, "plain", ca_file=None), attempts=2)
    assert caught.value.passing


def test_a_missing_certificate_file_is_named(mail_server):
    with pytest.raises(SendError, match="ca_file"):
        send(settings_for(mail_server, ca_file=Path("/nowhere/ca.pem")))


def test_several_mails_share_one_line(mail_server, monkeypatch):
    settings = settings_for(mail_server)
    with Mailer(settings, 10, 1) as mailer:
        mailer.send(mail_for(settings), "email:b***")
        monkeypatch.setattr(Mailer, "_connected", None)
        mailer.send(mail_for(settings), "email:b***")
    assert len(mail_server.to(TO)) == 2
