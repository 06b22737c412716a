"""Sending the published lists: every destination once per list, business date and content.

What arrived is written to the ledger destination by destination, at once. So a second run sends nothing, a list that
has changed since goes out marked as updated, and a destination that failed is tried again while the others are left
alone. A process that dies between the server's word and the ledger's entry sends that one message again: at least once.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta

import structlog
from filelock import FileLock, Timeout

from userops.business_date import yesterday
from userops.config import Settings, make_home
from userops.delivery.mail import Attachment, Mailer, make_mail
from userops.delivery.notice import make_notice
from userops.delivery.plan import Planned, plan
from userops.delivery.published import PublishedList, published_lists
from userops.delivery.robots import tell_robot
from userops.delivery.sending import SendError
from userops.errors import DeliveryDelayedError, DeliveryError, LockedError
from userops.ingest.ledger import Delivery, Ledger, open_ledger
from userops.lists.content import ListContent
from userops.lists.files import csv_bytes
from userops.lists.registry import both
from userops.lists.workbook import xlsx_bytes
from userops.steps import StepContext, StepReport

log = structlog.get_logger(__name__)

_LOCK_WAIT_SECONDS = 60
BYTES_OF_A_MB = 1_000_000


def deliver(context: StepContext) -> StepReport:
    """Send the lists of `context.as_of`; the step of the daily run.

    A list of long ago is left alone: running an old date again must not write to anybody.

    Raises:
        DeliveryError: as `send_lists`.
    """
    settings = context.settings
    if not settings.delivery.is_on:
        return StepReport("delivery is off")
    oldest = yesterday(settings.tz) - timedelta(days=settings.delivery.max_age_days)
    if context.as_of < oldest:
        return StepReport(
            f"the list of {context.as_of} is older than delivery.max_age_days allows; nothing is sent "
            f"(by hand: userops deliver --as-of {context.as_of})"
        )
    return send_lists(settings, context.as_of)


def planned_deliveries(settings: Settings, as_of: date, again: bool = False) -> tuple[list[Planned], list[str]]:
    """Return what `send_lists` would do now, and what is to be said about it. Nothing is sent.

    Raises:
        DeliveryError: no list of that date is published.
    """
    with open_ledger(settings) as ledger:
        return _planned(settings, as_of, ledger, again)


def send_lists(settings: Settings, as_of: date, again: bool = False) -> StepReport:
    """Send the published lists of a business date to everybody who does not have them as they are.

    Args:
        again: send what arrived already once more.

    Raises:
        DeliveryError: no list is published, or one or more destinations failed; all others were served.
        DeliveryDelayedError: as above, and every failure may pass.
        LockedError: another process is sending.
    """
    with _one_at_a_time(settings), open_ledger(settings) as ledger:
        planned, warnings = _planned(settings, as_of, ledger, again)
        email = settings.delivery.email
        failed: list[tuple[Planned, SendError]] = []
        with Mailer(email, settings.delivery.timeout_seconds, settings.delivery.attempts) as mailer:
            for item in planned:
                if not item.is_due:
                    continue
                try:
                    _send(settings, item, mailer)
                except SendError as error:
                    ledger.record_delivery(_outcome(item, error))
                    failed.append((item, error))
                else:
                    ledger.record_delivery(_outcome(item, None))
                    log.info("delivered", list=item.destination.list_name, to=item.destination.name, what=item.action)
    if failed:
        raise _failure(as_of, failed)
    return _report(as_of, planned, warnings)


def _planned(settings: Settings, as_of: date, ledger: Ledger, again: bool) -> tuple[list[Planned], list[str]]:
    lists = published_lists(settings, as_of)
    return plan(settings.delivery, lists, ledger.deliveries(as_of), again)


def _one_at_a_time(settings: Settings) -> AbstractContextManager[object]:
    """Two processes that plan at the same time would both send."""
    make_home(settings)
    lock = FileLock(settings.paths.delivery_lock_file, timeout=_LOCK_WAIT_SECONDS)
    try:
        return lock.acquire()
    except Timeout:
        raise LockedError(
            str(settings.paths.delivery_lock_file), "another userops process sending lists", "one at a time",
            "wait until it has finished, and run again",
        ) from None  # fmt: skip


def _send(settings: Settings, item: Planned, mailer: Mailer) -> None:
    destination, delivery = item.destination, settings.delivery
    language = settings.lists.language
    occasion = item.action
    if occasion == "unchanged":
        raise ValueError("nothing is due")
    link = _link(settings, item.published) if destination.team is None else None
    if destination.robot is not None:
        robot = delivery.robots[destination.robot]
        notice = make_notice(item.content, occasion, language, link, robot.name_users)
        tell_robot(destination.robot, robot, notice, delivery.timeout_seconds, delivery.attempts)
        return
    notice = make_notice(item.content, occasion, language, link)
    attachments, remarks = _attachments(settings, item)
    times = item.before.times_sent if item.before else 0
    identity = f"{destination.list_name} {item.content.as_of} {destination.name} {item.fingerprint} {times}"
    address = str(destination.address)
    mailer.send(make_mail(delivery.email, address, notice, remarks, attachments, identity), destination.name)


def _attachments(settings: Settings, item: Planned) -> tuple[list[Attachment], list[str]]:
    """Return the files of a mail and the sentences about them: of a team, files of its own rows only."""
    language, email = settings.lists.language, settings.delivery.email
    files = _files(settings, item.content, item.published)
    stem = "_".join(filter(None, (item.content.export.name, item.content.as_of.isoformat(), _file_word(item.content))))
    fits = sum(map(len, files.values())) <= email.max_attachment_mb * BYTES_OF_A_MB
    attachments = [Attachment(f"{stem}.{ending}", content) for ending, content in files.items()] if fits else []
    remarks = []
    if not fits:
        remarks.append(both("文件过大，未附上。", "The file is too large to be attached.", language))
    if item.content.team is None:
        remarks.append(f"{both('文件位置：', 'Files:', language)} {item.published.folder}")
    return attachments, remarks


def _files(settings: Settings, content: ListContent, published: PublishedList) -> dict[str, bytes]:
    makers = {"xlsx": xlsx_bytes, "csv": csv_bytes}
    return {
        ending: published.files[ending] if content.team is None else makers[ending](content, settings.lists.language)
        for ending in dict.fromkeys(settings.delivery.email.attach)
    }


def _file_word(content: ListContent) -> str:
    """Return the team as part of a file name, where it can be one."""
    return "".join(sign for sign in content.team or "" if sign.isalnum())[:40]


def _link(settings: Settings, published: PublishedList) -> str | None:
    base = settings.delivery.link_base
    if base is None:
        return None
    below = published.folder.relative_to(settings.paths.published).as_posix()
    return f"{base.rstrip('/')}/{below}/{published.content.export.name}.xlsx"


def _outcome(item: Planned, error: SendError | None) -> Delivery:
    before, now = item.before, datetime.now(UTC).replace(tzinfo=None)
    arrived = error is None
    times = before.times_sent if before else 0
    earlier = before.sent_fingerprint if before else None
    return Delivery(
        list_name=item.destination.list_name,
        as_of_date=item.content.as_of,
        destination=item.destination.name,
        state="sent" if arrived else "failed",
        fingerprint=item.fingerprint,
        sent_fingerprint=item.fingerprint if arrived else earlier,
        rows=len(item.content.rows),
        times_sent=times + arrived,
        tried_at=now,
        sent_at=now if arrived else (before.sent_at if before else None),
        error=None if error is None else str(error),
    )


def _failure(as_of: date, failed: Sequence[tuple[Planned, SendError]]) -> DeliveryError:
    kind = DeliveryDelayedError if all(error.passing for _, error in failed) else DeliveryError
    return kind(
        f"deliver, business date {as_of}",
        "; ".join(f"{item.destination.list_name} to {item.destination.name}: {error}" for item, error in failed),
        "every destination takes its list",
        f"mend what the message says and run `userops deliver --as-of {as_of}`: only what failed is sent again",
    )


def _report(as_of: date, planned: Sequence[Planned], warnings: list[str]) -> StepReport:
    sent = [item for item in planned if item.is_due]
    updated = sum(1 for item in sent if item.action == "updated")
    unchanged = len(planned) - len(sent)
    changes = f" ({updated} of them updated)" if updated else ""
    return StepReport(
        summary=f"{len(sent)} deliveries as of {as_of}{changes}; {unchanged} had the list already",
        counts={"sent": len(sent), "updated": updated, "unchanged": unchanged},
        warnings=warnings,
    )
