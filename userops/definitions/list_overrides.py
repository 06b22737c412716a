"""Decisions by hand on the lists: config/warning_list_manual.csv, checked, edited, and as the table dbt reads.

One line is one decision: `user_id` is put on (`add`) or kept off (`remove`) `list` from the as-of date `from` to
`until`, both included, without an end where `until` is empty. `by` and `note` are for people; they stay in the file. A
decision that has had its time is ended, not deleted: lists of earlier dates were made with it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from userops.config import Settings
from userops.errors import ConfigError, LockedError, UseropsError
from userops.ingest.control import csv_rows
from userops.ingest.lake import write_control_table
from userops.ingest.sources import did_you_mean

LISTS = ("churn_warning", "winback")
BOTH = "both"
ACTIONS = ("add", "remove")
_LOCK_SECONDS = 10
COLUMNS = ("list", "user_id", "action", "from", "until", "by", "note")


@dataclass(frozen=True)
class Decision:
    """One line of the file.

    Attributes:
        list_name: churn_warning, winback or both.
        valid_from, valid_until: first and last as-of date it holds for; None: no end.
        where: file and line, for messages; empty for one that is not in the file yet.
    """

    list_name: str
    user_id: str
    action: str
    valid_from: date
    valid_until: date | None
    by: str
    note: str
    where: str = ""

    @property
    def lists(self) -> tuple[str, ...]:
        """The lists it is about."""
        return LISTS if self.list_name == BOTH else (self.list_name,)

    def holds_on(self, day: date) -> bool:
        """Whether it counts for the lists of `day`."""
        return self.valid_from <= day and (self.valid_until is None or day <= self.valid_until)

    def overlaps(self, other: Decision) -> bool:
        """Whether both say something about one user, list and date."""
        return (
            self.user_id == other.user_id
            and bool(set(self.lists) & set(other.lists))
            and (other.valid_until is None or self.valid_from <= other.valid_until)
            and (self.valid_until is None or other.valid_from <= self.valid_until)
        )


def load_decisions(settings: Settings) -> list[Decision]:
    """Return the decisions in the order of the file; none when there is no file.

    Raises:
        ConfigError: a column is missing or unknown, a field cannot be used, or two decisions on one user overlap.
    """
    file = settings.paths.manual_list_file
    if not file.exists():
        return []
    decisions = [_decision(where, row) for where, row in csv_rows(file, list(COLUMNS))]
    _refuse_overlaps(decisions)
    return decisions


def write_list_overrides(settings: Settings) -> Path:
    """Write list_overrides.parquet from warning_list_manual.csv (no file: no rows) and return its path.

    Raises:
        ConfigError: warning_list_manual.csv cannot be used.
    """
    rows = [
        {
            "list_name": list_name,
            "user_id": decision.user_id,
            "action": decision.action,
            "valid_from": decision.valid_from,
            "valid_until": decision.valid_until,
        }
        for decision in load_decisions(settings)
        for list_name in decision.lists
    ]
    return write_control_table(settings, "list_overrides", rows)


def decide(settings: Settings, decision: Decision) -> list[Decision]:
    """Add a decision to the file, and end those on the same user and list that hold on its first day.

    Returns:
        The decisions that were ended by it, as they are now.

    Raises:
        ConfigError: the file, or the decision, cannot be used, or the file not be written.
        LockedError: somebody else is changing the file.
        UseropsError: a decision on the same user begins on that day or later.
    """
    _check(decision, "the new decision")
    with _edited(settings) as decisions:
        ended = []
        for number, other in enumerate(decisions):
            if not other.overlaps(decision):
                continue
            if other.valid_from >= decision.valid_from or other.list_name != decision.list_name:
                raise UseropsError(
                    other.where,
                    f"{other.action} {other.user_id} ({other.list_name}) from {other.valid_from}",
                    f"no other decision on this user that reaches beyond {decision.valid_from}",
                    f"end it first: userops list end {other.user_id} --list {other.list_name}",
                )
            decisions[number] = replace(other, valid_until=decision.valid_from - timedelta(days=1))
            ended.append(decisions[number])
        decisions.append(decision)
    return ended


def end(settings: Settings, user_id: str, list_name: str, on: date) -> list[Decision]:
    """End the decisions on a user that reach beyond `on`: that day is the last one; those that begin later go.

    Returns:
        The decisions as they were before.

    Raises:
        ConfigError: the file cannot be used, or not be written.
        LockedError: somebody else is changing it.
        UseropsError: there is no such decision.
    """
    with _edited(settings) as decisions:
        concerned = [
            decision
            for decision in decisions
            if decision.user_id == user_id
            and decision.list_name == list_name
            and (decision.valid_until is None or decision.valid_until > on)
        ]
        if not concerned:
            raise UseropsError(
                str(settings.paths.manual_list_file), f"no decision on `{user_id}` ({list_name}) that holds after {on}",
                "a decision that can be ended", "see them with `userops list show --all`",
            )  # fmt: skip
        decisions[:] = [
            replace(decision, valid_until=on) if decision in concerned else decision
            for decision in decisions
            if decision not in concerned or decision.valid_from <= on
        ]
    return concerned


@contextmanager
def _edited(settings: Settings) -> Iterator[list[Decision]]:
    """Give the decisions to be changed and write them back in one step; an error leaves the file as it was.

    Raises:
        ConfigError: the file cannot be used, or not be written.
        LockedError: somebody else has been changing it for ten seconds.
    """
    file = settings.paths.manual_list_file
    try:
        with FileLock(file.with_name(f".{file.name}.lock"), timeout=_LOCK_SECONDS):
            decisions = load_decisions(settings)
            yield decisions
            unfinished = file.with_name(f".{file.name}.unfinished")
            with unfinished.open("w", encoding="utf-8", newline="") as target:
                writer = csv.writer(target, lineterminator="\n")
                writer.writerow(COLUMNS)
                writer.writerows(_fields(decision) for decision in decisions)
            unfinished.replace(file)
    except Timeout:
        raise LockedError(
            str(file), "another process changing it", "one change at a time", "run the command again in a moment"
        ) from None
    except OSError as error:
        raise ConfigError(
            str(file), f"a file that cannot be written ({error.strerror})", "a directory that this user may write to",
            "correct its rights; in the compose file /config is read-only: change it on the host",
        ) from None  # fmt: skip


def _fields(decision: Decision) -> Sequence[str]:
    until = "" if decision.valid_until is None else decision.valid_until.isoformat()
    return (
        decision.list_name, decision.user_id, decision.action, decision.valid_from.isoformat(), until, decision.by,
        decision.note,
    )  # fmt: skip


def _decision(where: str, row: Mapping[str, str]) -> Decision:
    decision = Decision(
        list_name=row["list"],
        user_id=row["user_id"],
        action=row["action"],
        valid_from=_date(where, "from", row["from"]),
        valid_until=_date(where, "until", row["until"]) if row["until"] else None,
        by=row["by"],
        note=row["note"],
        where=where,
    )
    _check(decision, where)
    return decision


def _check(decision: Decision, where: str) -> None:
    if not decision.user_id:
        raise ConfigError(where, "an empty user_id", "the id of a user", "fill it in, or remove the line")
    if re.search(r"[\r\n]", decision.user_id + decision.by + decision.note):
        raise ConfigError(where, "a line break within a field", "one line per decision", "put it on one line")
    for column, value, known in (
        ("list", decision.list_name, (*LISTS, BOTH)), ("action", decision.action, ACTIONS),
    ):  # fmt: skip
        if value not in known:
            raise ConfigError(
                where, f"{column} `{value}`", f"one of {', '.join(known)}",
                did_you_mean(value, list(known)) or f"correct {column}",
            )  # fmt: skip
    if decision.valid_until is not None and decision.valid_until < decision.valid_from:
        raise ConfigError(
            where, f"until {decision.valid_until}, before from {decision.valid_from}", "an end that is not before it",
            "correct from or until",
        )  # fmt: skip


def _date(where: str, column: str, text: str) -> date:
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass  # a date that no calendar has: the same error as any other text
    raise ConfigError(where, f"{column} `{text}`", "a date such as 2024-01-31", f"correct {column}")


def _refuse_overlaps(decisions: Iterable[Decision]) -> None:
    earlier_of: dict[str, list[Decision]] = {}
    for decision in decisions:
        for earlier in earlier_of.setdefault(decision.user_id, []):
            if decision.overlaps(earlier):
                raise ConfigError(
                    decision.where, f"a second decision on {decision.user_id}, besides {earlier.where}",
                    "one decision per user, list and date", "give the earlier one an `until`, or remove one of the two",
                )  # fmt: skip
        earlier_of[decision.user_id].append(decision)
