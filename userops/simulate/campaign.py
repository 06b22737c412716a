"""A simulated campaign on a list, with a known effect: who is contacted, and who comes back because of it.

What a contact does is a fact of the simulation: with probability `effect` it brings back a user who would not have come
back in time, whatever else the user would have done. Operators prefer the upper part of the list, whose users come back
less often by themselves, so the plain comparison of contacted users with all others is wrong; held-out users are never
contacted.

`run_campaign` is the draw; `simulate_campaign` runs one on a published list and writes the exports it would leave:

`landing/shop/outreach/outreach_YYYY-MM-DD.csv`, one line per listed user that was tried:
    call_no, uid, called_at ('YYYY-MM-DD HH:MM:SS', local), list, list_date, operator_no, team, reached (yes, no),
    channel, answered (yes, no), offer (may be empty), outcome
`landing/shop/events/events_YYYY-MM-DD_campaign.jsonl.gz`, the visits of those who were brought back: page and view
    events as in `userops.simulate.exports`, on the day on which they come back
`ground_truth/campaign_YYYY-MM-DD.parquet`, one row per user of the list, held-out ones included:
    user_id, is_holdout, contacted, brought_back, returns_on (date of the visit or null)
The date in the names is that of the list.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from userops.errors import UseropsError
from userops.simulate.arrays import Bools, Floats, Ints

_CHANNELS = ("phone", "sms", "wechat")
_ANSWERED_SHARE = 0.6


@dataclass(frozen=True)
class CampaignOptions:
    """How a campaign is run.

    Attributes:
        effect: chance that a contact brings back a user who would not have come back otherwise.
        contact_share: share of the listed users who are contacted; more at the top of the list than at its end.
        contact_days: contacts are spread over so many days from the day after the list on.
        return_days: who is brought back comes within so many days after the contact.

    Raises:
        UseropsError: a value is out of its range.
    """

    effect: float = 0.2
    contact_share: float = 0.7
    contact_days: int = 5
    return_days: int = 10
    seed: int = 20_240_101

    def __post_init__(self) -> None:
        for name, share in (("effect", self.effect), ("contact_share", self.contact_share)):
            if not 0.0 <= share <= 1.0:
                raise UseropsError(f"campaign option `{name}`", str(share), "0 to 1", f"correct `{name}`")
        for name, days in (("contact_days", self.contact_days), ("return_days", self.return_days)):
            if days < 1:
                raise UseropsError(f"campaign option `{name}`", str(days), "at least 1", f"correct `{name}`")


@dataclass(frozen=True)
class Campaign:
    """What became of each user of a list; all arrays are of the users' length.

    Attributes:
        contact_chance: chance to be contacted if not held out.
        contacted: false for held-out users.
        contact_day: days from the list to the contact, from 1.
        brought_back: whether the contact brings the user back.
        return_day: days from the list to that visit.
    """

    contact_chance: Floats
    contacted: Bools
    contact_day: Ints
    brought_back: Bools
    return_day: Ints


def run_campaign(holdout: Bools, options: CampaignOptions, rng: np.random.Generator) -> Campaign:
    """Draw a campaign on a list.

    Args:
        holdout: of each user, in the order of the list, whether the user is held out.
    """
    count = len(holdout)
    place = np.linspace(1.0, -1.0, count) if count > 1 else np.zeros(count)
    spread = min(options.contact_share, 1.0 - options.contact_share)
    chance = options.contact_share + spread * place
    contacted = ~holdout & (rng.random(count) < chance)
    contact_day = rng.integers(1, options.contact_days + 1, count)
    return Campaign(
        contact_chance=chance,
        contacted=contacted,
        contact_day=contact_day,
        brought_back=contacted & (rng.random(count) < options.effect),
        return_day=contact_day + rng.integers(1, options.return_days + 1, count),
    )


@dataclass(frozen=True)
class CampaignResult:
    """What a campaign wrote.

    Attributes:
        outreach: the export of the operators' results. visits: the export of the visits of those brought back.
        truth: what was drawn.
    """

    outreach: Path
    visits: Path
    truth: Path
    listed: int
    held_out: int
    contacted: int
    brought_back: int


def simulate_campaign(home: Path, published: Path, list_date: date, options: CampaignOptions) -> CampaignResult:
    """Run a campaign on the churn-warning list published for `list_date` and write its exports below `home`.

    The same list and options give the same bytes.

    Raises:
        UseropsError: there is no such list.
    """
    with duckdb.connect(str(published), read_only=True) as connection:
        rows = connection.execute(
            "select user_id, is_holdout, coalesce(team, '') from churn_warning_list where as_of_date = ? "
            "order by expected_loss desc, churn_probability desc, user_id",
            [list_date],
        ).fetchall()
    if not rows:
        raise UseropsError(
            str(published), f"no churn-warning list of {list_date}", "a published list", "publish one, or name its date"
        )
    users, teams = [row[0] for row in rows], [row[2] for row in rows]
    holdout = np.array([row[1] for row in rows], dtype=np.bool_)
    rng = np.random.default_rng([options.seed, 7, list_date.toordinal()])
    campaign = run_campaign(holdout, options, rng)

    shop = home / "landing" / "shop"
    outreach = shop / "outreach" / f"outreach_{list_date}.csv"
    visits = shop / "events" / f"events_{list_date}_campaign.jsonl.gz"
    truth = home / "ground_truth" / f"campaign_{list_date}.parquet"
    for file in (outreach, visits, truth):
        file.parent.mkdir(parents=True, exist_ok=True)
    outreach.write_bytes(_outreach_csv(users, teams, campaign, list_date, rng))
    visits.write_bytes(_visits_jsonl(users, campaign, list_date))
    _write_truth(truth, users, holdout, campaign, list_date)
    return CampaignResult(
        outreach, visits, truth, int((~holdout).sum()), int(holdout.sum()), int(campaign.contacted.sum()),
        int(campaign.brought_back.sum()),
    )  # fmt: skip


def _outreach_csv(
    users: list[str], teams: list[str], campaign: Campaign, list_date: date, rng: np.random.Generator
) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ("call_no", "uid", "called_at", "list", "list_date", "operator_no", "team", "reached", "channel", "answered",
         "offer", "outcome")
    )  # fmt: skip
    answered = rng.random(len(users)) < _ANSWERED_SHARE
    channel = rng.integers(0, len(_CHANNELS), len(users))
    for number in np.flatnonzero(campaign.contacted):
        day = list_date + timedelta(days=int(campaign.contact_day[number]))
        came = bool(answered[number])
        writer.writerow(
            (f"{list_date:%Y%m%d}-{number:06d}", users[number], f"{day} {9 + number % 9:02d}:{number % 60:02d}:00",
             "churn_warning", list_date, f"op{number % 4 + 1}", teams[number], "yes", _CHANNELS[channel[number]],
             "yes" if came else "no", "coupon_7d" if came else "", "interested" if came else "no_answer")
        )  # fmt: skip
    return text.getvalue().encode()


def _visits_jsonl(users: list[str], campaign: Campaign, list_date: date) -> bytes:
    lines = []
    for number in np.flatnonzero(campaign.brought_back):
        day = list_date + timedelta(days=int(campaign.return_day[number]))
        for position, (event, page) in enumerate((("page", "/"), ("view", "/product"))):
            lines.append(
                json.dumps(
                    {
                        "id": f"campaign-{list_date:%Y%m%d}-{number:06d}-{position}",
                        "ts": f"{day}T{10 + number % 10:02d}:{number % 60:02d}:{position * 20:02d}.000+08:00",
                        "event": event,
                        "uid": users[number],
                        "device_id": f"campaign-{users[number]}",
                        "sid": f"campaign-{list_date:%Y%m%d}-{number:06d}",
                        "channel": "push",
                        "device": "android",
                        "page": page,
                        "item": None,
                        "cat": None,
                        "amount": None,
                        "props": {},
                    }
                )
            )
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed:
        packed.write("".join(f"{line}\n" for line in lines).encode())
    return buffer.getvalue()


def _write_truth(file: Path, users: list[str], holdout: Bools, campaign: Campaign, list_date: date) -> None:
    returns_on = np.datetime64(list_date, "D") + campaign.return_day.astype("timedelta64[D]")
    table = pa.table(
        {
            "user_id": pa.array(users),
            "is_holdout": pa.array(holdout),
            "contacted": pa.array(campaign.contacted),
            "brought_back": pa.array(campaign.brought_back),
            "returns_on": pa.array(returns_on, mask=~campaign.brought_back),
        }
    )
    pq.write_table(table, file, compression="zstd")
