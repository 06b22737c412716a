"""Profiles: every user as registered, and again whenever something changes.

A few changes are told to the shop shortly before somebody leaves: consent is withdrawn more often then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from userops.simulate import catalogue
from userops.simulate.arrays import Bools, Ints, Texts, squeeze
from userops.simulate.behaviour import World

_MS_PER_DAY = 86_400_000
_ROLES = np.array(["buyer", "buyer,author", "buyer,author,seller"], dtype=object)
_REFERRAL = catalogue.SOURCE_CHANNELS.index("referral")
_CHANGE_SHARE, _OPT_OUT_SHARE = 0.12, 0.25
_CONSENT_SHARE = {"email": 0.55, "sms": 0.7, "push": 0.75}
#: What made a version.
_MOVED, _OPTED_OUT, _PROMOTED, _REGISTERED = 0, 1, 2, 3


Objects = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Versions:
    """All profile versions in the order of the files; `day` is the day whose file holds the row."""

    day: Ints
    rows: pa.Table


@dataclass(frozen=True)
class _Changes:
    """One row per version of a user; `kind` is what changed."""

    user: Ints
    day: Ints
    ms: Ints
    kind: Ints


def make_versions(world: World, signup_ms: Ints, user_ids: Texts) -> Versions:
    """Return every profile version. `signup_ms`: when each user registered, in milliseconds since local midnight."""
    rng = np.random.default_rng([world.options.seed, 5])
    count = len(world.population)
    changes = _draw_changes(world, signup_ms, rng)
    moves, opt_outs, promotions = (_running_count(changes, kind) for kind in (_MOVED, _OPTED_OUT, _PROMOTED))
    city = (rng.integers(0, len(catalogue.CITIES), count)[changes.user] + 7 * moves) % len(catalogue.CITIES)
    role = np.minimum(2, catalogue.pick(rng, np.array([0.91, 0.06, 0.03]), count)[changes.user] + promotions)
    staying = opt_outs == 0
    consent = {name: (rng.random(count) < share)[changes.user] for name, share in _CONSENT_SHARE.items()}
    first_ms = np.datetime64(world.options.first_date, "ms").astype(np.int64)
    signup = first_ms + world.population.signup_day * _MS_PER_DAY + signup_ms
    ids = np.array(squeeze(user_ids[:count]), dtype=object)
    rows = pa.table(
        {
            "uid": pa.array(ids[changes.user], pa.string()),
            "signup_time": pa.array(signup[changes.user].astype("datetime64[ms]")),
            "gender": pa.array(_genders(rng, count)[changes.user], pa.string()),
            "birthday": _birthdays(world, rng).take(changes.user),
            "province": pa.array(_texts(catalogue.PROVINCES)[city // catalogue.CITIES_PER_PROVINCE], pa.string()),
            "city": pa.array(_texts(catalogue.CITIES)[city], pa.string()),
            "source_channel": pa.array(
                _texts(catalogue.SOURCE_CHANNELS)[world.population.source[changes.user]], pa.string()
            ),
            "invited_by": _inviters(world, ids, rng).take(changes.user),
            "roles": pa.array(_ROLES[role], pa.string()),
            "email_ok": consent["email"] & staying,
            "sms_ok": consent["sms"] & staying,
            "push_ok": consent["push"] & (opt_outs < 2),
            "updated_at": pa.array((first_ms + changes.day * _MS_PER_DAY + changes.ms).astype("datetime64[ms]")),
        }
    )
    return Versions(day=changes.day, rows=rows)


def _draw_changes(world: World, signup_ms: Ints, rng: np.random.Generator) -> _Changes:
    """Registration first, then up to two ordinary changes and one withdrawal of consent per user, in order of time."""
    people = world.population
    count = len(people)
    first = np.maximum(people.signup_day, 0)
    last = np.minimum(people.drop_out_day, world.options.days) - 1
    # Those who were there before come with the full dump taken at the start of the first day.
    users, days, times = [np.arange(count)], [first], [np.where(people.signup_day < 0, 0, signup_ms)]
    kinds = [np.full(count, _REGISTERED)]

    def add(who: Bools, day: Ints, kind: Ints) -> None:
        chosen = np.flatnonzero(who & (day > first) & (day <= last))
        users.append(chosen)
        days.append(day[chosen])
        times.append(rng.integers(8 * 3_600_000, 23 * 3_600_000, len(chosen)))
        kinds.append(kind[chosen])

    for _ in range(2):
        day = first + 1 + (rng.random(count) * np.maximum(last - first, 0)).astype(np.int64)
        add(rng.random(count) < _CHANGE_SHARE, day, catalogue.pick(rng, np.array([0.5, 0.25, 0.25]), count))
    leaving = ~people.loyal & (rng.random(count) < _OPT_OUT_SHARE)
    before = 1 + (rng.random(count) * people.fade_days).astype(np.int64)
    add(leaving, people.drop_out_day - before, np.full(count, _OPTED_OUT))

    user, day, ms = np.concatenate(users), np.concatenate(days), np.concatenate(times)
    by_file = np.lexsort((ms, user, day))
    return _Changes(user[by_file], day[by_file], ms[by_file], np.concatenate(kinds)[by_file])


def _running_count(changes: _Changes, kind: int) -> Ints:
    """For each version, how many changes of `kind` its user has had so far, this one included."""
    user, flags = changes.user, (changes.kind == kind).astype(np.int64)
    by_user = np.argsort(user, kind="stable")
    total = np.cumsum(flags[by_user])
    starts = np.flatnonzero(np.diff(user[by_user], prepend=-1))
    before = np.repeat(total[starts] - flags[by_user][starts], np.diff(np.append(starts, len(user))))
    running = np.empty_like(total)
    running[by_user] = total - before
    return running


def _genders(rng: np.random.Generator, count: int) -> Objects:
    return np.array(["female", "male", None], dtype=object)[catalogue.pick(rng, np.array([0.46, 0.42, 0.12]), count)]


def _birthdays(world: World, rng: np.random.Generator) -> pa.Array:
    count = len(world.population)
    age_days = (365.25 * np.clip(16 + rng.gamma(3.0, 6.0, count), 16, 85)).astype(np.int64)
    born = np.datetime64(world.options.first_date, "D") - age_days.astype("timedelta64[D]")
    return pa.array(born, pa.date32(), mask=rng.random(count) < 0.25)


def _inviters(world: World, ids: Objects, rng: np.random.Generator) -> pa.Array:
    """Users won by referral were invited by somebody who had registered on an earlier day."""
    people = world.population
    by_signup = np.argsort(people.signup_day, kind="stable")
    earlier = np.searchsorted(people.signup_day[by_signup], people.signup_day, side="left")
    inviter = by_signup[(rng.random(len(people)) * earlier).astype(np.int64)]
    invited = (people.source == _REFERRAL) & (earlier > 0)
    return pa.array(ids[inviter], pa.string(), mask=~invited)


def _texts(values: tuple[str, ...]) -> Objects:
    return np.array(values, dtype=object)
