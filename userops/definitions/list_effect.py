"""Whether a decision by hand can have an effect on the next list, by what is published; told, never refused.

A user can be put on the warning list only while the model scores the user, and on the win-back list only while silent
for as long as that list wants. Both change from day to day, so a decision without effect today may have one tomorrow.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb

from userops.config import Settings
from userops.definitions.list_overrides import BOTH, Decision
from userops.warehouse.connect import read_only
from userops.warehouse.publication import PUBLICATION_TABLE


@dataclass(frozen=True)
class Notice:
    """Why a decision changes nothing for now; nothing about the user but the id it was made with.

    Attributes:
        found, expected: what the published data say, and what an effect wants.
        fix: what to do, as an instruction.
        zh: the same in short, 中文.
    """

    found: str
    expected: str
    fix: str
    zh: str

    def __str__(self) -> str:
        return f"No effect for now: found {self.found}; expected {self.expected}. What to do: {self.fix}. {self.zh}"


@dataclass(frozen=True)
class _Standing:
    """What is published of one user.

    Attributes:
        is_known: whether the id is one of a user, also of an account that counts as another one.
        scored_on: last date that users were scored for; None: never. `is_scored`: whether this one was, then.
        last_active_date: None for a user who was never active.
    """

    as_of_date: date
    is_known: bool
    scored_on: date | None
    is_scored: bool
    last_active_date: date | None


def notices_on(settings: Settings, decision: Decision) -> Sequence[Notice] | None:
    """Return why a decision has no effect on the next list; empty where it has one, None where nothing is published.

    Only reads, and only what is published.

    Raises:
        duckdb.IOException: the published file cannot be read, because a program holds it for writing, for instance.
    """
    if not settings.paths.published_duckdb.exists():
        return None
    with read_only(settings.paths.published_duckdb, settings) as connection:
        standing = _standing(connection, decision.user_id)
    if standing is None:
        return None
    if not standing.is_known:
        return [_unknown(decision.user_id, standing)]
    if decision.action != "add":
        return []
    by_list = {
        "churn_warning": lambda: _not_scored(settings, decision, standing),
        "winback": lambda: _not_churned(settings, decision, standing),
    }
    found = [notice for name in decision.lists if (notice := by_list[name]()) is not None]
    # On both lists: a user who is scored is not churned yet, so one of the two is enough.
    return found if len(found) == len(decision.lists) else []


def _standing(connection: duckdb.DuckDBPyConnection, user_id: str) -> _Standing | None:
    tables = {name for (name,) in connection.execute("select table_name from information_schema.tables").fetchall()}
    if not {PUBLICATION_TABLE, "dim_users"} <= tables:
        return None
    published = connection.execute(f"select max(as_of_date) from {PUBLICATION_TABLE}").fetchone()
    if published is None or published[0] is None:
        return None
    is_account = False
    person = user_id
    if "dim_identities" in tables:
        account = connection.execute(
            "select user_id from dim_identities where kind = 'user' and id = ?", [user_id]
        ).fetchone()
        is_account, person = account is not None, account[0] if account else user_id
    user = connection.execute("select last_active_date from dim_users where user_id = ?", [person]).fetchone()
    scored_on, is_scored = None, False
    if "fct_churn_scores" in tables:
        scored = connection.execute(
            "select max(as_of_date), count(*) filter (where user_id = ?) > 0 from fct_churn_scores "
            "where as_of_date = (select max(as_of_date) from fct_churn_scores)",
            [person],
        ).fetchone()
        scored_on, is_scored = scored or (None, False)
    return _Standing(
        published[0], is_account or user is not None, scored_on, is_scored, None if user is None else user[0]
    )


def _unknown(user_id: str, standing: _Standing) -> Notice:
    return Notice(
        f"no user `{user_id}` in the data published for {standing.as_of_date}",
        "the id of a user, exactly as in the data",
        "correct the id, or leave it: a right one counts from the day the data have the user",
        "已发布数据中没有该用户，暂不生效。",
    )  # fmt: skip


def _not_scored(settings: Settings, decision: Decision, standing: _Standing) -> Notice | None:
    if standing.is_scored:
        return None
    if standing.scored_on is None:
        return Notice(
            f"no churn scores in the data published for {standing.as_of_date}",
            "a model that scores users: the warning list is made of them",
            "train one with `userops train`, and leave this: it counts from the first scores of the user on",
            "尚无流失评分，暂不生效。",
        )  # fmt: skip
    days = settings.churn.active_window_days
    return Notice(
        f"no churn score of `{decision.user_id}` on {standing.scored_on}",
        f"a user the model scores: one with a user id, active within the last {days} days",
        "leave it, it counts from the user's next score on" + _rather(decision, "a user lost for longer", "winback"),
        "该用户没有流失评分，暂不生效。",
    )  # fmt: skip


def _not_churned(settings: Settings, decision: Decision, standing: _Standing) -> Notice | None:
    fewest = settings.lifecycle.churned_after_days
    most = min(settings.winback_list.max_silence_days, settings.winback_list.lookback_days - 1)
    next_list = standing.as_of_date + timedelta(days=1)
    if standing.last_active_date is not None and fewest <= (next_list - standing.last_active_date).days <= most:
        return None
    return Notice(
        f"that `{decision.user_id}` will not be silent for {fewest} to {most} days on {next_list}",
        "a user silent for that long, whom the win-back list can take",
        "leave it, it counts once the user is" + _rather(decision, "a user who is still active", "churn_warning"),
        "该用户沉默天数不在召回范围内，暂不生效。",
    )  # fmt: skip


def _rather(decision: Decision, whom: str, list_name: str) -> str:
    """The command that puts the user on the other list, unless the decision is about both."""
    if decision.list_name == BOTH:
        return ""
    return f"; for {whom}, `userops list add {shlex.quote(decision.user_id)} --list {list_name}`"
