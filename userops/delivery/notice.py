"""What is told about a list, whatever it is told through: figures, links, and user ids only where asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from userops.lists.content import ListContent
from userops.lists.registry import Language, both, value_words
from userops.lists.words import dimension_words, summary_lines

#: Why a list is sent: for the first time, because it has changed since, or because somebody asked for it again.
Occasion = Literal["new", "updated", "again"]

_LONGEST_VALUE, _LONGEST_LINE = 60, 200
#: Signs with which a value of the data could make links, mentions of people or markup in a chat, and what is shown.
_HARMLESS = str.maketrans("<>[]@*`#", "＜＞［］＠＊｀＃")


@dataclass(frozen=True)
class Notice:
    """A list in words.

    Attributes:
        title: with business date, team, and whether it is sent anew.
        lines: (label, text) of the figures.
        groups: (what is counted, (value, rows) of each).
        users: ids from the top of the list; empty unless configured.
        link: web address of the workbook; None where there is none.
    """

    title: str
    lines: tuple[tuple[str, str], ...]
    groups: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    users: tuple[str, ...]
    users_label: str
    link: str | None
    link_label: str


def make_notice(
    content: ListContent, occasion: Occasion, language: Language, link: str | None = None, name_users: int = 0
) -> Notice:
    """Return the notice of a list; every value that comes out of the data is harmless in mail headers and chats."""
    summary = content.summary()
    title = f"{content.export.title(language)} {content.as_of.isoformat()}"
    if content.team is not None:
        title += f" · {harmless(content.team)}"
    if occasion != "new":
        words = {"updated": ("已更新", "updated"), "again": ("重发", "sent again")}[occasion]
        title = f"[{both(*words, language)}] {title}"
    users = [harmless(str(user)) for user in content.column("user_id")[:name_users]]
    return Notice(
        title=f"[userops] {title}",
        lines=tuple((label, harmless(text, _LONGEST_LINE)) for label, text in summary_lines(summary, language)),
        groups=tuple(
            (dimension_words(name, language), _shown(name, counts, language))
            for name, counts in summary.counts.items()
            if counts and not (name == "team" and content.team is not None)
        ),
        users=tuple(users),
        users_label=both("优先联系", "First to call", language),
        link=link,
        link_label=both("打开名单", "Open the list", language),
    )


def harmless(text: str, longest: int = _LONGEST_VALUE) -> str:
    """Return a value of the data as plain words on one line."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text).translate(_HARMLESS)
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"


def text_lines(notice: Notice) -> list[str]:
    """Return the notice as lines of plain text, the title left out."""
    lines = [f"{label}: {text}" for label, text in notice.lines]
    for label, counts in notice.groups:
        lines.append(f"{label}: " + _joined(counts))
    if notice.users:
        lines.append(f"{notice.users_label}: {', '.join(notice.users)}")
    if notice.link:
        lines.append(f"{notice.link_label}: {notice.link}")
    return lines


def markdown_lines(notice: Notice) -> list[str]:
    """Return the notice as lines of the Markdown that all three chat platforms understand, the title left out."""
    lines = [f"**{label}**: {text}" for label, text in notice.lines]
    for label, counts in notice.groups:
        lines.append(f"**{label}**: " + _joined(counts))
    if notice.users:
        lines.append(f"**{notice.users_label}**: {', '.join(notice.users)}")
    if notice.link:
        lines.append(f"[{notice.link_label}]({notice.link})")
    return lines


def _joined(counts: Sequence[tuple[str, int]]) -> str:
    return " · ".join(f"{value} {number:,}" for value, number in counts)


def _shown(name: str, counts: Sequence[tuple[str | None, int]], language: Language) -> tuple[tuple[str, int], ...]:
    none = both("（无）", "(none)", language)
    return tuple(
        (none if value is None else harmless(value_words(name, value, language)), number) for value, number in counts
    )
