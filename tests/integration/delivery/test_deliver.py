"""A published list reaches everybody once: again only when it changed, failed, or somebody asked."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date
from pathlib import Path

import openpyxl
import pytest
import yaml
from pydantic import SecretStr

from tests.integration.delivery.conftest import LOGIN, PASSWORD, SECRET, TOKEN, ChatPlatform, MailServer
from tests.integration.warehouse.conftest import DAY, build_warehouse
from userops import cli
from userops.config import Settings, load_settings
from userops.delivery.deliver import deliver, send_lists
from userops.delivery.settings import DeliverySettings
from userops.errors import DeliveryDelayedError, DeliveryError
from userops.ingest.ledger import open_ledger
from userops.steps import StepContext
from userops.warehouse.publish import publish

BOSS, NORTH = "boss@example.com", "north@example.com"
PUBLISHED_FROM = "churn_warning/as_of_date=2024-06-30"


def delivery_of(mail_server: MailServer, chat: ChatPlatform, **email: object) -> dict[str, object]:
    """Return the section `delivery` of a settings file."""
    return {
        "attempts": 2,
        "link_base": "https://files.example.com/userops/",
        "email": {
            "enabled": True, "host": "127.0.0.1", "port": mail_server.port, "ca_file": str(mail_server.ca_file),
            "username": LOGIN, "sender": "userops@example.com", "attach": ["xlsx", "csv"],
            "recipients": {"churn_warning": {"all": [BOSS], "teams": {}}}, **email,
        },
        "robots": {"group": {"platform": "dingtalk"}},
    }  # fmt: skip


@pytest.fixture
def published(tmp_path: Path, mail_server: MailServer, chat: ChatPlatform, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An instance whose list is published and whose warehouse is gone."""
    config = tmp_path / "config"
    config.mkdir()
    document = {"delivery": delivery_of(mail_server, chat)}
    (config / "userops.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    monkeypatch.setenv("USEROPS_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("USEROPS_CONFIG", str(config))
    monkeypatch.setenv("USEROPS_DELIVERY__EMAIL__PASSWORD", PASSWORD)
    monkeypatch.setenv("USEROPS_DELIVERY__ROBOTS__GROUP__URL", chat.url("dingtalk"))
    monkeypatch.setenv("USEROPS_DELIVERY__ROBOTS__GROUP__SECRET", SECRET)
    settings = load_settings()
    publish_list(settings)
    return settings


def publish_list(settings: Settings, **figures: int) -> None:
    build_warehouse(settings, **figures)
    publish(StepContext(settings, DAY))
    settings.paths.warehouse.unlink()  # what is sent comes from what is published, and from nowhere else


def test_a_list_goes_out_once_and_again_when_it_changed(
    published: Settings, mail_server: MailServer, chat: ChatPlatform
) -> None:
    first = send_lists(published, DAY)
    assert (first.counts["sent"], first.counts["unchanged"]) == (2, 0)
    second = send_lists(published, DAY)
    assert (second.counts["sent"], second.counts["unchanged"]) == (0, 2)
    assert (len(mail_server.mails), len(chat.taken)) == (1, 1)

    publish_list(published, orders=1001)  # another publication of the same list
    assert send_lists(published, DAY).counts["sent"] == 0
    publish_list(published, listed=2)
    third = send_lists(published, DAY)
    assert (third.counts["sent"], third.counts["updated"]) == (2, 2)

    subjects = [str(mail["Subject"]) for mail in mail_server.to(BOSS)]
    assert ["[已更新 updated]" in subject for subject in subjects] == [False, True]
    assert "[已更新 updated]" in chat.taken[1]["markdown"]["title"]
    assert len({mail["Message-ID"] for mail in mail_server.to(BOSS)}) == 2


def test_a_mail_carries_the_published_files_and_a_chat_only_figures(
    published: Settings, mail_server: MailServer, chat: ChatPlatform
) -> None:
    send_lists(published, DAY)
    (mail,) = mail_server.to(BOSS)
    folder = published.paths.published_exports / "churn_warning" / "as_of_date=2024-06-30"
    attached = {part.get_filename(): part.get_payload(decode=True) for part in mail.iter_attachments()}
    assert attached == {
        f"churn_warning_2024-06-30.{ending}": (folder / f"churn_warning.{ending}").read_bytes()
        for ending in ("xlsx", "csv")
    }
    link = f"https://files.example.com/userops/exports/{PUBLISHED_FROM}/churn_warning.xlsx"
    text = chat.taken[0]["markdown"]["text"]
    assert link in text
    assert "今日新增 New today**: 0" in text  # the mart has the list of the day before, with the same users
    assert "12345678901234567890" not in text
    body = mail.get_body(("plain",))
    assert body is not None
    assert str(folder) in body.get_content()


def test_a_destination_that_failed_is_tried_again_and_the_others_are_left_alone(
    published: Settings, mail_server: MailServer, chat: ChatPlatform
) -> None:
    mail_server.refusals[BOSS] = ["550 mailbox closed"]
    with pytest.raises(
        DeliveryError, match=r"churn_warning to email:b\*\*\*@example.com#\w+: recipient refused"
    ) as bad:
        send_lists(published, DAY)
    assert not isinstance(bad.value, DeliveryDelayedError)
    assert BOSS not in str(bad.value)
    assert (len(mail_server.mails), len(chat.taken)) == (0, 1)

    assert send_lists(published, DAY).counts["sent"] == 1
    assert (len(mail_server.mails), len(chat.taken)) == (1, 1)
    assert "已更新" not in str(mail_server.to(BOSS)[0]["Subject"])

    publish_list(published, listed=2)
    chat.answers = [(503, {})] * 2
    with pytest.raises(DeliveryDelayedError, match="robot:group: HTTP 503"):
        send_lists(published, DAY)
    with open_ledger(published) as ledger:
        states = {item.destination.partition(":")[0]: item for item in ledger.deliveries(DAY)}
    assert (states["robot"].state, states["robot"].times_sent) == ("failed", 1)
    assert states["robot"].sent_fingerprint not in (None, states["robot"].fingerprint)
    assert states["email"].state == "sent"
    send_lists(published, DAY)
    assert "已更新" in chat.taken[1]["markdown"]["title"]  # it had the first one
    assert len(mail_server.to(BOSS)) == 2


def test_a_team_gets_its_own_rows(
    published: Settings, mail_server: MailServer, chat: ChatPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.integration.warehouse.conftest._LIST_SQL", with_team(), raising=True)
    publish_list(published)
    recipients = {"churn_warning": {"all": [BOSS], "teams": {"=north": [NORTH], "empty": [NORTH]}}}
    document = delivery_of(mail_server, chat, recipients=recipients, password=SecretStr(PASSWORD)) | {"robots": {}}
    settings = published.model_copy(update={"delivery": DeliverySettings.model_validate(document)})

    send_lists(settings, DAY)

    team, empty = mail_server.to(NORTH)
    assert str(team["Subject"]).endswith("· =north")
    files = {part.get_filename(): part.get_payload(decode=True) for part in team.iter_attachments()}
    sheet = openpyxl.load_workbook(io.BytesIO(bytes(files["churn_warning_2024-06-30_north.xlsx"]))).worksheets[0]
    assert [row[1].value for row in sheet.iter_rows(min_row=3)] == ["12345678901234567890", "u2"]
    assert "files.example.com" not in str(team.get_body(("plain",)))  # the link leads to everybody's rows
    assert str(empty["Subject"]).endswith("· empty")
    assert send_lists(settings, DAY).counts["sent"] == 0


def with_team() -> str:
    from tests.integration.warehouse import conftest

    return conftest._LIST_SQL.replace(
        "'CNY' as currency", "'CNY' as currency, case when u.i = 1 then 'south' else '=north' end as team"
    )


def test_a_file_that_is_too_large_stays_where_it_is_and_the_mail_says_so(
    published: Settings, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("userops.delivery.deliver.BYTES_OF_A_MB", 10)
    send_lists(published, DAY)
    (mail,) = mail_server.to(BOSS)
    assert list(mail.iter_attachments()) == []
    body = mail.get_body(("plain",))
    assert body is not None
    assert "too large to be attached" in body.get_content()


class TestTheStep:
    def test_it_sends_nothing_when_delivery_is_off(self, published: Settings) -> None:
        settings = published.model_copy(update={"delivery": DeliverySettings()})
        assert deliver(StepContext(settings, DAY)).summary == "delivery is off"

    def test_an_old_date_that_is_run_again_writes_to_nobody(
        self, published: Settings, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("userops.delivery.deliver.yesterday", lambda zone: date(2024, 7, 3))
        report = deliver(StepContext(published, DAY))
        assert "older than delivery.max_age_days" in report.summary
        assert mail_server.mails == []
        monkeypatch.setattr("userops.delivery.deliver.yesterday", lambda zone: date(2024, 7, 2))
        assert deliver(StepContext(published, DAY)).counts["sent"] == 2


class TestTheCommand:
    @pytest.fixture
    def run(self, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
        def run(*arguments: str) -> str:
            with pytest.raises(SystemExit) as done:
                cli.main(["deliver", *arguments])
            shown = capsys.readouterr()
            assert done.value.code == 0, shown.err
            return shown.out

        return run

    def test_dry_run_shows_what_would_go_where_and_sends_nothing(
        self, published: Settings, mail_server: MailServer, chat: ChatPlatform, run: Callable[..., str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.delenv("USEROPS_DELIVERY__EMAIL__PASSWORD")  # who only looks needs no secrets
        told = run("--as-of", "2024-06-30", "--dry-run")
        assert "robot:group" in told
        assert "email:b***@example.com#" in told
        assert told.count(" new ") == 2
        assert (mail_server.mails, chat.requests) == ([], 0)

    def test_again_sends_what_arrived_once_more_and_status_tells_of_it(
        self, published: Settings, mail_server: MailServer, chat: ChatPlatform, run: Callable[..., str]
    ) -> None:
        run("--as-of", "2024-06-30")
        assert "0 deliveries as of 2024-06-30; 2 had the list already" in run("--as-of", "2024-06-30")
        run("--as-of", "2024-06-30", "--again")
        assert "[重发 sent again]" in str(mail_server.to(BOSS)[1]["Subject"])
        assert len({mail["Message-ID"] for mail in mail_server.to(BOSS)}) == 2
        told = run("--status", "--as-of", "2024-06-30")
        assert told.count("sent ") >= 2
        assert "robot:group" in told
        for secret in (TOKEN, SECRET, PASSWORD, BOSS):
            assert secret not in told

    def test_a_date_without_a_list_is_an_error_that_says_what_to_do(
        self, published: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as done:
            cli.main(["deliver", "--as-of", "2020-01-01"])
        assert done.value.code == 2
        assert "no list of 2020-01-01" in capsys.readouterr().err


def test_a_delivery_that_fails_leaves_the_steps_beside_it_and_the_publication_alone(
    published: Settings, chat: ChatPlatform, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("userops.delivery.deliver.yesterday", lambda zone: DAY)
    chat.answers = [(200, {"errcode": 310000, "errmsg": "keywords not in content"})]
    before = (published.paths.published / "current").readlink()
    with pytest.raises(SystemExit) as done:
        cli.main(["step", "deliver", "--as-of", "2024-06-30"])
    assert done.value.code == 2
    assert "310000" in capsys.readouterr().err
    assert (published.paths.published / "current").readlink() == before

    ran = []
    monkeypatch.setattr(cli, "DAILY_STEPS", ("deliver", "source_health"))
    original = cli.run_step
    monkeypatch.setattr(
        cli, "run_step", lambda name, *rest, **options: ran.append(name) or original(name, *rest, **options)
    )
    chat.answers = [(200, {"errcode": 310000, "errmsg": "keywords not in content"})]
    with pytest.raises(SystemExit):
        cli.main(["run", "--as-of", "2024-06-30"])
    assert ran == ["deliver", "source_health"]
