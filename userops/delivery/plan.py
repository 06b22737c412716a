"""Who is to get what, and what of it was sent already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from userops.delivery.notice import Occasion
from userops.delivery.published import PublishedList
from userops.delivery.settings import DeliverySettings
from userops.ingest.ledger import Delivery
from userops.lists.content import ListContent

#: Why nothing is sent: what the destination has is what is published.
Action = Occasion | Literal["unchanged"]


@dataclass(frozen=True)
class Destination:
    """Where a list goes.

    Attributes:
        name: what the ledger and people know it by; it holds no whole address and no token.
        address: of an e-mail.
        robot: name of a robot.
        team: the only team whose rows go there; None: everybody's.
    """

    list_name: str
    name: str
    address: str | None = None
    robot: str | None = None
    team: str | None = None


@dataclass(frozen=True)
class Planned:
    """One message that is to be sent, or need not be."""

    destination: Destination
    published: PublishedList
    content: ListContent
    fingerprint: str
    action: Action
    before: Delivery | None

    @property
    def is_due(self) -> bool:
        """Whether it is to be sent."""
        return self.action != "unchanged"


def destinations(settings: DeliverySettings) -> Iterator[Destination]:
    """Yield every destination of the settings that is switched on."""
    if settings.email.enabled:
        for list_name, recipients in settings.email.recipients.items():
            for address in recipients.all:
                yield Destination(list_name, f"email:{masked(address)}", address=address)
            for team, addresses in recipients.teams.items():
                for address in addresses:
                    yield Destination(list_name, f"email:{masked(address)}/{team}", address=address, team=team)
    for name, robot in settings.robots.items():
        if robot.enabled:
            for list_name in dict.fromkeys(robot.lists):
                yield Destination(list_name, f"robot:{name}", robot=name, team=robot.team)


def masked(address: str) -> str:
    """Return an address so that its owner knows it, nobody else can write to it, and no two are the same."""
    user, _, host = address.partition("@")
    return f"{user[0]}***@{host}#{hashlib.sha256(address.encode()).hexdigest()[:8]}"


def plan(
    settings: DeliverySettings, lists: Mapping[str, PublishedList], known: Sequence[Delivery], again: bool
) -> tuple[list[Planned], list[str]]:
    """Return one entry per destination that can get its list, and a sentence for everyone who gets nothing.

    Args:
        known: what the ledger knows about this business date.
        again: send what was sent already, too.
    """
    sent = {(delivery.list_name, delivery.destination): delivery for delivery in known}
    planned, warnings = [], []
    for destination in destinations(settings):
        published = lists.get(destination.list_name)
        if published is None:
            warnings.append(f"{destination.name}: list {destination.list_name} is not published for this date")
        elif destination.team is not None and "team" not in published.content.types:
            warnings.append(f"{destination.name}: list {destination.list_name} has no teams")
        else:
            content = published.content
            content = content if destination.team is None else content.of_team(destination.team)
            fingerprint = content.fingerprint()
            before = sent.get((destination.list_name, destination.name))
            action = _action(fingerprint, before, again)
            planned.append(Planned(destination, published, content, fingerprint, action, before))
    return planned, [*warnings, *_without_recipient(settings, lists)]


def _action(fingerprint: str, before: Delivery | None, again: bool) -> Action:
    if before is None or before.sent_fingerprint is None:
        return "new"
    if before.sent_fingerprint != fingerprint:
        return "updated"
    return "again" if again else "unchanged"


def _without_recipient(settings: DeliverySettings, lists: Mapping[str, PublishedList]) -> Iterator[str]:
    """Tell of teams on a list that is sent by team, to whom nothing is sent."""
    for list_name, recipients in settings.email.recipients.items():
        if not settings.email.enabled or not recipients.teams or recipients.all or list_name not in lists:
            continue
        for team in lists[list_name].content.teams:
            if team not in recipients.teams:
                rows = lists[list_name].content.column("team").count(team)
                yield f"list {list_name}: {rows} rows of {team or 'no team'} go to nobody"
