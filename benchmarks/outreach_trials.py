"""Many simulated campaigns at once, as the tables that `agg_outreach_effect` reads, each with its true effect.

One trial is one experiment of the churn-warning list: users with their own chance to come back and to buy, a hold-out
drawn by a hash as the lists do it, a campaign of `userops.simulate.campaign`. The true effects follow from the chances,
not from what happened. The benchmark `outreach_effect.py` and the tests of the estimate are made of these.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np
import pyarrow as pa

from userops.simulate.arrays import Bools, Floats, Ints
from userops.simulate.campaign import Campaign, CampaignOptions, run_campaign

#: Days in which a return counts, as `outreach.effect.window_days` by default.
WINDOW_DAYS = 30
HOLDOUT_SHARE = 0.1
_FIRST_DAY, _DAYS_APART = date(2001, 1, 1), 40
_BUYS, _LOG_MEAN, _LOG_SD = 0.4, 4.0, 0.6
_REASONS = ("order_overdue", "fewer_visits", "ordered_once")


@dataclass(frozen=True)
class Trial:
    """What one trial was made with.

    Attributes:
        experiment_from: its date, by which its rows are found.
        return_effect: true effect of being listed on the share of users who come back.
        contact_effect: true effect of a contact on the share of contacted users who come back.
        revenue_effect: true effect of being listed on the revenue of a user.
    """

    experiment_from: date
    return_effect: float
    contact_effect: float
    revenue_effect: float


def write_trials(
    connection: duckdb.DuckDBPyConnection, seeds: Sequence[int], users: int, options: CampaignOptions
) -> list[Trial]:
    """Create the tables that the model reads in the connection's schema.

    Args:
        users: users of each list, held-out ones included.
        options: the campaign; its seed is not used, `seeds` are.
    """
    for name, columns in _TABLES.items():
        connection.execute(f"create or replace table {name} ({columns})")
    trials = []
    for number, seed in enumerate(seeds):
        day = _FIRST_DAY + timedelta(days=_DAYS_APART * number)
        trials.append(_write_trial(connection, day, seed, users, options))
    return trials


_LIST_COLUMNS = (
    "as_of_date date, user_id varchar, {} varchar, action_code varchar, value_tier varchar, team varchar, "
    "is_manual boolean, is_holdout boolean, experiment_from date, holdout_share double"
)
_TABLES = {
    "churn_warning_list": _LIST_COLUMNS.format("reason_1_code"),
    "winback_list": _LIST_COLUMNS.format("trigger_kind"),
    "fct_user_days": "user_id varchar, activity_date date",
    "fct_orders": "user_id varchar, order_date date, is_cancelled boolean, net_amount decimal(18, 4)",
    "int_identity_accounts": "account_id varchar, user_id varchar",
    "int_outreach": "user_id varchar, outreach_date date, list_name varchar, is_contacted boolean",
}


def _write_trial(
    connection: duckdb.DuckDBPyConnection, day: date, seed: int, users: int, options: CampaignOptions
) -> Trial:
    rng = np.random.default_rng([seed, 8])
    ids = [f"{seed}-{number}" for number in range(users)]
    holdout = np.array([_drawn_share(f"trial:{day}:{user}") < HOLDOUT_SHARE for user in ids], dtype=np.bool_)
    # The top of the list comes back less often by itself, as it should.
    chance = 0.1 + 0.5 * np.linspace(0.0, 1.0, users) * rng.random(users)
    campaign = run_campaign(holdout, options, rng)
    came = rng.random(users) < chance
    came_day = rng.integers(1, WINDOW_DAYS + 1, users)
    spent = np.where(rng.random(users) < _BUYS, rng.lognormal(_LOG_MEAN, _LOG_SD, users), 0.0).round(2)
    _insert_list(connection, day, ids, holdout)
    _insert_days(connection, day, ids, came, came_day, spent)
    _insert_days(
        connection, day, ids, campaign.brought_back, campaign.return_day, np.where(came, 0.0, spent)
    )  # fmt: skip
    _insert_contacts(connection, day, ids, campaign)
    gained = campaign.contact_chance * options.effect * (1.0 - chance)
    return Trial(
        experiment_from=day,
        return_effect=float(gained.mean()),
        contact_effect=float(gained.sum() / campaign.contact_chance.sum()),
        revenue_effect=float(gained.mean()) * _BUYS * math.exp(_LOG_MEAN + _LOG_SD**2 / 2),
    )


def _drawn_share(text: str) -> float:
    """Return the number in [0, 1) that the dbt macro `drawn_share` draws for a text."""
    return int(hashlib.md5(text.encode()).hexdigest()[:8], 16) / 2**32


def _insert_list(connection: duckdb.DuckDBPyConnection, day: date, ids: list[str], holdout: Bools) -> None:
    count = len(ids)
    rows = pa.table(
        {
            "as_of_date": pa.array([day] * count),
            "user_id": ids,
            "reason_1_code": [_REASONS[number % 3] for number in range(count)],
            "action_code": ["call"] * count,
            "value_tier": ["high" if number < count / 5 else "low" for number in range(count)],
            "team": ["default"] * count,
            "is_manual": [False] * count,
            "is_holdout": pa.array(holdout),
            "experiment_from": pa.array([day] * count),
            "holdout_share": [HOLDOUT_SHARE] * count,
        }
    )
    _insert(connection, "churn_warning_list", rows)


def _insert_days(
    connection: duckdb.DuckDBPyConnection, day: date, ids: list[str], came: Bools, days_later: Ints, spent: Floats
) -> None:
    active = np.flatnonzero(came)
    users = [ids[number] for number in active]
    dates = pa.array(np.datetime64(day, "D") + days_later[active].astype("timedelta64[D]"))
    _insert(connection, "fct_user_days", pa.table({"user_id": users, "activity_date": dates}))
    orders = {
        "user_id": users,
        "order_date": dates,
        "is_cancelled": [False] * len(users),
        "net_amount": pa.array(spent[active]),
    }
    _insert(connection, "fct_orders", pa.table(orders))


def _insert_contacts(connection: duckdb.DuckDBPyConnection, day: date, ids: list[str], campaign: Campaign) -> None:
    contacted = np.flatnonzero(campaign.contacted)
    rows = pa.table(
        {
            "user_id": [ids[number] for number in contacted],
            "outreach_date": pa.array(
                np.datetime64(day, "D") + campaign.contact_day[contacted].astype("timedelta64[D]")
            ),
            "list_name": ["churn_warning"] * len(contacted),
            "is_contacted": [True] * len(contacted),
        }
    )
    _insert(connection, "int_outreach", rows)


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    connection.register("new_rows", rows)
    connection.execute(f"insert into {table} by name select * from new_rows")
    connection.unregister("new_rows")
