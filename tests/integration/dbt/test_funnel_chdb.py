"""The funnel models against an independent engine: the furthest step of every user is ClickHouse's windowFunnel."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pytest

AS_OF = date(2024, 3, 1)
MAX_STEPS = 6
USERS = 3000
DAY = 86_400
EPOCH = 1_704_067_200  # 2024-01-01
LOAN_STEPS = ("A_SUBMITTED", "A_PREACCEPTED", "A_ACCEPTED", "A_FINALIZED", "A_APPROVED")
OFFER_STEPS = ("O_SELECTED|O_CREATED", "O_SENT", "O_SENT_BACK", "O_ACCEPTED|O_DECLINED|O_CANCELLED")


class Funnel(NamedTuple):
    """Window in seconds; a step's event names are separated by |."""

    window: int
    steps: tuple[str, ...]
    order: str
    mode: str


RANDOM_FUNNELS = {
    # where no event fits two steps, an event cannot serve twice: the default mode, with events at equal times
    "plain": Funnel(60, ("A", "B", "C", "D"), "ordered", ""),
    "short": Funnel(10, ("A", "B", "C"), "ordered", ""),
    "long": Funnel(9000, ("A", "B", "C", "D", "E", "A2"), "ordered", ""),
    "alternatives": Funnel(40, ("A|E", "B", "C|D"), "ordered", ""),
    # an event that fits two steps serves one of them
    "again": Funnel(60, ("A", "A", "B"), "ordered", "strict_once"),
    "overlapping": Funnel(50, ("A|B", "A", "B|C", "C"), "ordered", "strict_once"),
    "strict": Funnel(60, ("A", "B", "C", "D"), "strict", "strict_order"),
    "strict_long": Funnel(9000, ("A", "B|E", "C"), "strict", "strict_order"),
}
LOAN_FUNNELS = {
    f"{name}_{order}_{days}": Funnel(days * DAY, steps, order, mode)
    for name, steps in (("loan", LOAN_STEPS), ("offer", OFFER_STEPS))
    for order, mode in (("ordered", ""), ("strict", "strict_order"))
    for days in (1, 8, 30, 365)
}
#: ClickHouse tries every order of events at equal times, the models one: compared on logs without equal times.
WITHOUT_TIES = {"again", "overlapping"}


def test_furthest_step_equals_window_funnel_on_random_logs(lake: Any, warehouse: Any, tmp_path: Path) -> None:
    file = tmp_path / "events.parquet"
    _random_events(file)
    built = _progress(lake, warehouse, RANDOM_FUNNELS, file)
    for funnel_id, funnel in RANDOM_FUNNELS.items():
        expected = _window_funnel(funnel, file)
        ours = {user: built.get((funnel_id, user), 0) for user in expected}
        if funnel_id in WITHOUT_TIES:
            ours, expected = (
                {user: n for user, n in levels.items() if "tie" not in user} for levels in (ours, expected)
            )
        assert len(set(expected.values())) >= len(funnel.steps), f"{funnel_id}: the logs reach every step"
        assert ours == expected, funnel_id


@pytest.mark.realdata
def test_furthest_step_equals_window_funnel_on_a_loan_desk(
    lake: Any, warehouse: Any, tmp_path: Path, shared_data: Path
) -> None:
    file = tmp_path / "events.parquet"
    duckdb.execute(
        "copy (select cast(application_id as varchar) as user_id, activity as event_name, "
        "cast(epoch(cast(timestamp as timestamptz)) as bigint) as seconds "
        f"from read_csv('{shared_data / 'bpic2012' / 'events.csv.gz'}') where transition = 'COMPLETE') to '{file}'"
    )
    built = _progress(lake, warehouse, LOAN_FUNNELS, file)
    for funnel_id, funnel in LOAN_FUNNELS.items():
        expected = _window_funnel(funnel, file)
        assert len(expected) > 5000
        assert {user: built.get((funnel_id, user), 0) for user in expected} == expected, funnel_id
    assert sum(level >= 5 for (funnel_id, _), level in built.items() if funnel_id == "loan_ordered_365") == 2_246


def _random_events(file: Path) -> None:
    rng = random.Random(11)
    rows: list[tuple[str, str, int]] = []
    for number in range(USERS):
        ties = number % 2 == 0
        span = rng.choice([12, 40, 200])
        names = rng.choice(
            [("A", "B", "C", "D"), ("A", "A", "B", "C", "D", "E", "A2"), ("A", "B", "C"), ("A", "B", "C", "X")]
        )
        length = rng.randrange(1, 12)
        seconds = rng.choices(range(span), k=length) if ties else rng.sample(range(span), length)
        user = f"{'tie' if ties else 'user'}{number}"
        rows += [(user, rng.choice(names), EPOCH + second) for second in seconds]
    columns = list(zip(*rows, strict=True))
    table = pa.table(dict(zip(("user_id", "event_name", "seconds"), columns, strict=True)))
    duckdb.from_arrow(table).write_parquet(str(file))


def _progress(lake: Any, warehouse: Any, funnels: dict[str, Funnel], file: Path) -> dict[tuple[str, str], int]:
    """Build the funnel models on the events of a file; return the furthest step by funnel and user."""
    for funnel_id, funnel in funnels.items():
        lake.set_funnel(funnel_id, funnel.window, [step.split("|") for step in funnel.steps], order=funnel.order)
    with duckdb.connect(str(warehouse.settings.paths.warehouse)) as connection:
        connection.execute(
            "create table int_events as select cast(make_timestamp(seconds * 1000000) as date) as event_date, "
            "user_id, make_timestamp(seconds * 1000000) as event_time, event_name, cast(null as varchar) as channel, "
            f"cast(null as varchar) as device from '{file}'"
        )
    models = ("stg_funnels", "stg_funnel_steps", "stg_funnel_exclusions", "int_funnel_event_names")
    warehouse.run(AS_OF, "--select", *models, "fct_funnel_progress", funnel_max_steps=MAX_STEPS)
    rows = warehouse.query("select funnel_id, user_id, max(max_step) from fct_funnel_progress group by all")
    return {(funnel_id, user): level for funnel_id, user, level in rows}


def _window_funnel(funnel: Funnel, file: Path) -> dict[str, int]:
    """Level by user according to ClickHouse, of the funnel's own events.

    `strict_order` ends a user's whole log at the first event out of order, and lets a step reached in one attempt
    excuse another; here it judges every attempt by itself.
    """
    import chdb

    names = ", ".join(f"'{name}'" for step in funnel.steps for name in step.split("|"))
    steps = ", ".join(
        "event_name in ({})".format(", ".join(f"'{name}'" for name in step.split("|"))) for step in funnel.steps
    )
    events = f"select user_id, event_name, seconds from file('{file}', Parquet) where event_name in ({names})"
    mode = f", '{funnel.mode}'" if funnel.mode else ""
    level = f"windowFunnel({funnel.window}{mode})(toUInt64(seconds), {steps})"
    if funnel.order == "strict":
        first = ", ".join(f"'{name}'" for name in funnel.steps[0].split("|"))
        query = (
            f"select user_id, max(level) from (select user_id, starts.started as started, {level} as level from "
            f"({events}) as events inner join (select distinct user_id, seconds as started from ({events}) "
            f"where event_name in ({first})) as starts using user_id "
            f"where seconds between started and started + {funnel.window} group by user_id, started) group by user_id"
        )
    else:
        query = f"select user_id, {level} from ({events}) group by user_id"
    rows = [line.split("\t") for line in str(chdb.query(query, "TabSeparated")).splitlines()]
    return {user: int(furthest) for user, furthest in rows}
