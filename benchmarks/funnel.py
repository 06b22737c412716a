"""How fast the funnel models are, against ClickHouse's windowFunnel (chdb) on the same Parquet file.

python benchmarks/funnel.py                          20 million events, 500,000 users
python benchmarks/funnel.py --events 2000000 --users 50000

The compiled model runs on DuckDB: fct_funnel_progress tells every entry of every user with the times of its steps.
windowFunnel tells one number per user, so it is given less to do; its answer is compared with the model's furthest step
of every user. Both engines have two threads. Ratios of one run count, not seconds.

`user's events in one list` is as little as DuckDB can do for it: read the funnel's events and group them by user, in
order.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import chdb
import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from userops.config import Settings, load_settings
from userops.definitions.funnels import write_funnels
from userops.ingest.lake import ensure_lake
from userops.warehouse.dbt import dbt_environment, dbt_vars

STEPS = ("product_viewed", "cart_added", "checkout_started", "order_paid")
WINDOW_DAYS = 7
DAYS = 180
AS_OF = date(2024, 12, 31)
THREADS = 2
FUNNEL = f"""
funnels:
  - id: purchase
    name_en: Purchase
    name_zh: 购买
    window: {WINDOW_DAYS} days
    steps: [{", ".join(f"{{name: {name}, events: [{name}]}}" for name in STEPS)}]
"""
#: Sessions of 1 to 13 events, by users of very different diligence; 42 % of the events are product views.
EVENTS = """
copy (
    with sessions as (
        select number, hash(number * 7 + 1) as who, hash(number * 13 + 5) as moment, hash(number * 17 + 3) as size
        from range(cast({events} / 7 as bigint)) as numbers (number)
    ),
    events as (
        select number, position, who, moment, hash(number * 64 + position) as what
        from sessions, range(13) as positions (position)
        where position <= size % 13
    )
    select
        'e' || number || '-' || position as event_id,
        'u' || lpad(cast(floor({users} * pow((who % 1000003) / 1000003.0, 1.5)) as bigint)::varchar, 7, '0') as user_id,
        timestamp '2024-01-01' + to_seconds(cast(moment % ({days} * 86400) + position * 45 + what % 40 as bigint))
            as event_time,
        case
            when what % 1000 < 330 then 'page_viewed' when what % 1000 < 750 then 'product_viewed'
            when what % 1000 < 840 then 'product_searched' when what % 1000 < 870 then 'product_liked'
            when what % 1000 < 920 then 'cart_added' when what % 1000 < 950 then 'checkout_started'
            when what % 1000 < 970 then 'order_paid' else 'logged_in'
        end as event_name,
        ['app', 'web', 'mini_program', 'ads'][cast(1 + moment % 4 as bigint)] as channel,
        ['ios', 'android', 'pc'][cast(1 + moment % 3 as bigint)] as device,
        cast(event_time + interval 8 hour as date) as event_date
    from events
) to '{file}' (format parquet)
"""


def main() -> None:
    """Make the events, run both engines by turns, compare their answers, print the best of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--users", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=2, help="runs of each engine; the fastest counts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        file = root / "events.parquet"
        duckdb.execute(EVENTS.format(events=arguments.events, users=arguments.users, days=DAYS, file=file))
        models = compiled_models(root)
        print(f"{arguments.events:,} events, {file.stat().st_size / 1e6:.0f} MB of Parquet, {THREADS} threads")
        rounds = [one_round(root, file, models) for _ in range(arguments.rounds)]
    best = {name: min(taken[name] for taken in rounds) for name in rounds[0]}
    for name, seconds in best.items():
        print(f"{name:<58} {seconds:8.2f} s   {seconds / best['chdb windowFunnel, one number per user']:6.2f}")


def one_round(root: Path, file: Path, models: dict[str, str]) -> dict[str, float]:
    """Return seconds by name of the work.

    Raises:
        SystemExit: the two engines do not agree.
    """
    warehouse = root / "bench.duckdb"
    warehouse.unlink(missing_ok=True)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(f"set threads = {THREADS}; set memory_limit = '4GB'; set preserve_insertion_order = false")
        connection.execute(f"create view int_events as from '{file}'")
        connection.execute(f"create table int_funnel_event_names as {models['int_funnel_event_names']}")
        taken = {
            "one scan of all columns": timed(lambda: scan(connection, file)),
            "user's events in one list": timed(lambda: group(connection)),
            "fct_funnel_progress (stored)": timed(lambda: store(connection, "fct_funnel_progress", models)),
        }
        ours = connection.execute("select user_id, max(max_step) from fct_funnel_progress group by all").fetchall()
    levels: dict[str, int] = {}
    taken["chdb windowFunnel, one number per user"] = timed(lambda: levels.update(window_funnel(file)))
    if dict(ours) != {user: level for user, level in levels.items() if level > 0}:
        raise SystemExit("the models and windowFunnel do not agree on the furthest step of every user")
    return taken


def timed(work: Callable[[], Any]) -> float:
    """Return the wall-clock seconds that some work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def scan(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Read every column of the file."""
    columns = connection.execute(f"select name from parquet_schema('{file}') where num_children is null").fetchall()
    connection.execute(f"select {', '.join(f'max(hash({name}))' for (name,) in columns)} from '{file}'").fetchall()


def group(connection: duckdb.DuckDBPyConnection) -> None:
    """Read the events of the funnel and put those of a user into one sorted list."""
    connection.execute(
        "select sum(len(times)) from (select user_id, list_sort(list(epoch_us(event_time))) as times from int_events "
        f"where event_name in {STEPS} group by user_id)"
    ).fetchall()


def store(connection: duckdb.DuckDBPyConnection, model: str, models: dict[str, str]) -> None:
    """Build a model as a table."""
    connection.execute(f"create table {model} as {models[model]}")


def window_funnel(file: Path) -> dict[str, int]:
    """Return the level of every user as ClickHouse finds it."""
    names = ", ".join(f"'{name}'" for name in STEPS)
    steps = ", ".join(f"event_name = '{name}'" for name in STEPS)
    answer = chdb.query(
        f"select user_id, windowFunnel({WINDOW_DAYS * 86_400})(toDateTime(event_time), {steps}) "
        f"from file('{file}', Parquet) where event_name in ({names}) group by user_id "
        f"settings max_threads = {THREADS}",
        "TabSeparated",
    )
    return {user: int(level) for user, level in (line.split("\t") for line in str(answer).splitlines())}


def compiled_models(root: Path) -> dict[str, str]:
    """Return the SQL of the funnel models as dbt compiles it for a first build, reading plain table names."""
    config = root / "config"
    config.mkdir()
    (config / "funnels.yml").write_text(FUNNEL, encoding="utf-8")
    settings = load_settings(home=str(root / "home"), config=str(config))
    ensure_lake(settings)
    write_funnels(settings)
    return {name: _compile(settings, name) for name in ("int_funnel_event_names", "fct_funnel_progress")}


def _compile(settings: Settings, model: str) -> str:
    settings.paths.warehouse_dir.mkdir(parents=True, exist_ok=True)
    os.environ.update(dbt_environment(settings))
    variables = json.dumps(dbt_vars(settings, AS_OF, len(STEPS)))
    with duckdb.connect(str(settings.paths.warehouse)) as connection:
        connection.execute("create schema if not exists pipeline_state")
    with contextlib.redirect_stdout(io.StringIO()):  # dbt shows what it compiles
        invoked = dbtRunner().invoke(["compile", "--quiet", "--select", model, "--vars", variables])
    DuckDBConnectionManager.close_all_connections()
    nodes = getattr(invoked.result, "results", [])
    if not invoked.success:
        raise SystemExit(f"dbt cannot compile {model}: {invoked.exception or [node.message for node in nodes]}")
    compiled = next(str(node.node.compiled_code) for node in nodes if node.node.name == model)
    plain = compiled.replace(f'"{settings.paths.warehouse.stem}"."main".', "")
    for staged in ("stg_funnel_steps", "stg_funnels", "stg_funnel_exclusions"):
        source = settings.paths.control / f"{staged.removeprefix('stg_')}.parquet"
        plain = plain.replace(f'"{staged}"', f"'{source}'")
    return plain


if __name__ == "__main__":
    main()
