"""How long the marts take: everything from 20 million events, and one more day on a short and on a long history.

python benchmarks/marts.py                                  everything: hours of data, about 60 GB of disk
python benchmarks/marts.py full                             20 million events, 500 thousand users, against one scan
python benchmarks/marts.py day                              one day on 10 and on 100 million events of history
python benchmarks/marts.py full --events 2000000 --users 50000
python benchmarks/marts.py day --short 1000000 --long 5000000 --users 50000

The lake is written here, by DuckDB, in the form that `load` leaves it in; every value follows from day and number. What
is measured is `dbt build` of the daily run's layer `base`, tests included: the process's wall-clock time and its CPU
time (to compare on a machine that does other things too), the time of the models and tests alone, and its peak memory.
dbt's own overhead (start, parsing) is what the process takes beyond its models and tests.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from userops.config import Settings, load_settings
from userops.contracts import ENTITIES
from userops.ingest.control_tables import CONTROL_COLUMNS
from userops.ingest.lake import arrow_schema, control_file, ensure_lake, lake_columns, write_table
from userops.sqltext import identifier
from userops.steps import StepContext
from userops.warehouse.build import build_base

EVENTS_PER_DAY = 100_000
EVENTS_PER_SESSION = 8
LAST_DAY = date(2026, 6, 29)
ENTITIES_WITH_DAYS = ("events", "orders", "order_items", "users")
#: Days that are written by one statement.
DAYS_AT_ONCE = 25
#: A number that looks random and is the same in every run, below `modulus`.
NOISE = "(hash({seed}) % {modulus})"


@dataclass(frozen=True)
class Built:
    """One `dbt build`: seconds of the process, of its processors, its models and its tests, the slowest, peak MB."""

    seconds: float
    cpu_seconds: float
    model_seconds: float
    test_seconds: float
    slowest: tuple[tuple[str, float], ...]
    megabytes: float


def main() -> None:
    """Run the wanted parts and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("all", "full", "day"), nargs="?", default="all")
    parser.add_argument("--events", type=int, default=20_000_000, help="events of the full build")
    parser.add_argument("--short", type=int, default=10_000_000, help="events of the short history")
    parser.add_argument("--long", type=int, default=100_000_000, help="events of the long history")
    parser.add_argument("--users", type=int, default=500_000)
    parser.add_argument("--memory", default="6GB", help="DuckDB's memory limit")
    parser.add_argument("--folder", type=Path, default=None, help="where the data goes; default: a temporary folder")
    parser.add_argument("--child", nargs=2, metavar=("HOME", "AS_OF"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child_build(Path(arguments.child[0]), date.fromisoformat(arguments.child[1]))
        return
    os.environ["USEROPS_ENGINE__MEMORY_LIMIT"] = arguments.memory
    print(f"{os.cpu_count()} cores; DuckDB {duckdb.__version__}, memory limit {arguments.memory}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if arguments.part in ("all", "full"):
            full_build(Path(folder) / "full", arguments.events, arguments.users)
        if arguments.part in ("all", "day"):
            seconds = [
                one_day(Path(folder) / name, events, arguments.users)
                for name, events in (("short", arguments.short), ("long", arguments.long))
            ]
            for label, short, long in zip(("whole process", "CPU", "models and tests"), *seconds, strict=True):
                print(f"one day, {label}: long history / short history = {long / short:.2f}")


def full_build(home: Path, events: int, users: int) -> None:
    """Build everything once and compare with one scan of the events."""
    days = -(-events // EVENTS_PER_DAY)
    write_lake(home, days, users)
    scan = min(scan_seconds(home) for _ in range(3))
    built = build(home, LAST_DAY)
    tell(f"full build of {days * EVENTS_PER_DAY:,} events, {users:,} users", built)
    print(
        f"  one scan of all columns {scan:.2f} s: ratio {built.seconds / scan:.1f}; without dbt's own overhead "
        f"{(built.model_seconds + built.test_seconds) / scan:.1f}; models alone {built.model_seconds / scan:.1f}"
    )
    shutil.rmtree(home)


def one_day(home: Path, events: int, users: int) -> tuple[float, float, float]:
    """Build a history, then one more day; return the day's seconds: of the process, of CPU, of its models and tests."""
    days = events // EVENTS_PER_DAY + 1
    write_lake(home, days, users, leave_out_last=True)
    tell(f"history of {events:,} events", build(home, LAST_DAY - timedelta(days=1)))
    write_lake(home, days, users, only_last=True)
    built = build(home, LAST_DAY)
    tell(f"one more day of {EVENTS_PER_DAY:,} events", built)
    shutil.rmtree(home)
    return built.seconds, built.cpu_seconds, built.model_seconds + built.test_seconds


def build(home: Path, as_of: date) -> Built:
    """Run the layer `base` in a process of its own."""
    command = [sys.executable, __file__, "--child", str(home), as_of.isoformat()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-5000:] + done.stderr[-5000:])
    found = json.loads(done.stdout.splitlines()[-1])
    return Built(**{**found, "slowest": tuple(map(tuple, found["slowest"]))})


def child_build(home: Path, as_of: date) -> None:
    """Build, and print the figures for the parent process."""
    settings = settings_of(home)
    started = time.perf_counter()
    build_base(StepContext(settings, as_of))
    seconds = time.perf_counter() - started
    results = json.loads((settings.paths.dbt_target / "run_results.json").read_text())["results"]
    nodes = [(*item["unique_id"].split(".")[:3:2], item["execution_time"]) for item in results]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu_seconds": used.ru_utime + used.ru_stime,
                "model_seconds": sum(took for kind, _, took in nodes if kind != "test"),
                "test_seconds": sum(took for kind, _, took in nodes if kind == "test"),
                "slowest": sorted(((name, took) for _, name, took in nodes), key=lambda node: -node[1])[:12],
                "megabytes": used.ru_maxrss / 1024,
            }
        )
    )


def scan_seconds(home: Path) -> float:
    """Return the seconds DuckDB alone needs to read every column of the events."""
    files = settings_of(home).paths.raw / "events" / "*" / "*.parquet"
    with duckdb.connect(config={"threads": settings_of(home).engine.threads}) as connection:
        started = time.perf_counter()
        connection.execute(f"select max(columns(*)) from read_parquet('{files}')").fetchall()
        return time.perf_counter() - started


def tell(what: str, built: Built) -> None:
    """Print one build."""
    print(
        f"{what}: {built.seconds:.1f} s (CPU {built.cpu_seconds:.1f} s), of which models {built.model_seconds:.1f} s, "
        f"tests {built.test_seconds:.1f} s; peak {built.megabytes:,.0f} MB"
    )
    print("  slowest: " + ", ".join(f"{name} {took:.1f}" for name, took in built.slowest), flush=True)


def settings_of(home: Path) -> Settings:
    """Return the settings of one of the benchmark's homes; funnels and taxonomy are the project's."""
    return load_settings(home=home)


def write_lake(home: Path, days: int, users: int, leave_out_last: bool = False, only_last: bool = False) -> None:
    """Write the lake of a shop of `days` days that end on LAST_DAY, one batch per entity; or only its last day."""
    settings = settings_of(home)
    ensure_lake(settings)
    first = days - 1 if only_last else 0
    last = days - 1 if leave_out_last else days
    with duckdb.connect(config={"memory_limit": "4GB", "threads": settings.engine.threads}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for start in range(first, last, DAYS_AT_ONCE):
            write_days(connection, settings, days, users, start, min(start + DAYS_AT_ONCE, last))
    write_batches(settings)


def write_days(
    connection: duckdb.DuckDBPyConnection, settings: Settings, days: int, users: int, first: int, last: int
) -> None:
    """Write days number `first` to `last` (exclusive) of every entity."""
    connection.execute(f"create or replace temp table made as {events_sql(days, users, first, last)}")
    for name in ENTITIES_WITH_DAYS:
        rows = {"events": "made", "orders": f"({ORDERS})", "order_items": f"({LINES})"}.get(
            name, f"({users_sql(days, users, first, last)})"
        )
        found = {row[0] for row in connection.execute(f"describe select * from {rows} as found").fetchall()}
        columns = [
            f"cast({identifier(column) if column in found else 'null'} as {kind}) as {identifier(column)}"
            for column, kind in lake_columns(ENTITIES[name])
            if not column.startswith("_")
        ]
        batch = f"{name}_{first:06}"
        connection.execute(
            f"copy (select {', '.join(columns)}, '{batch}' as _batch_id, 'shop_{name}' as _source, "
            f"row_number() over () as _row_number, 0::bigint as _row_hash, event_date from {rows} as found) "
            f"to '{settings.paths.raw / name}' (format parquet, compression zstd, partition_by (event_date), "
            f"filename_pattern '{batch}_{{i}}', overwrite_or_ignore)"
        )


def events_sql(days: int, users: int, first: int, last: int) -> str:
    """Sessions of eight events; a few users come often, new ones turn up every day, one visit in six is anonymous, one
    in five by another channel and device than the user's own."""
    sessions = EVENTS_PER_DAY // EVENTS_PER_SESSION
    seed = "day * 1000003 + session"
    spread = NOISE.format(seed=f"'u', {seed}", modulus=1_000_000)
    return f"""
        with sessions as (
            select
                day,
                session,
                date '{LAST_DAY}' - ({days} - 1 - day::integer) as event_date,
                floor(pow({spread} / 1e6, 2.5) * {users} * (0.3 + 0.7 * day / {days}))::bigint as person,
                {NOISE.format(seed=f"'a', {seed}", modulus=6)} = 0 as is_anonymous,
                {NOISE.format(seed=f"'d', {seed}", modulus=5)} = 0 as is_elsewhere,
                {NOISE.format(seed=f"'t', {seed}", modulus=80_000)} as second
            from range({first}, {last}) as all_days (day)
            cross join range({sessions}) as all_sessions (session)
        ),
        numbered as (
            select *, {NOISE.format(seed="'e', day, session, step", modulus=100)} as chance
            from sessions
            cross join range({EVENTS_PER_SESSION}) as steps (step)
        )
        select
            'e' || day || '-' || session || '-' || step as event_id,
            case when not is_anonymous then 'u' || person end as user_id,
            'd' || person || '-' || session % 2 as anonymous_id,
            event_date::timestamp - interval 8 hours + to_seconds(second + step * 40) as event_time,
            case
                when step = 0 then 'page_viewed'
                when step in (1, 2, 3) then 'product_viewed'
                when step = 4 and chance < 30 then 'cart_added'
                when step = 5 and chance < 25 then 'checkout_started'
                when step = 6 and chance < 16 and not is_anonymous then 'order_paid'
                when step = 7 and chance < 5 then 'review_posted'
                when chance % 3 = 0 then 'product_searched'
                else 'product_viewed'
            end as event_name,
            ['web', 'app', 'mini_program', 'ads'][1 + (person + is_elsewhere::integer) % 4] as channel,
            ['ios', 'android', 'desktop'][1 + (person + is_elsewhere::integer) % 3] as device,
            '/p/' || chance as page,
            'p' || (person * 7 + chance) % 5000 as object_id,
            'c' || (person + chance) % 20 as object_category,
            case when step = 6 and chance < 16 then 10 + chance end as value,
            day,
            session,
            event_date
        from numbered
    """


ORDERS = """
    select
        'o' || day || '-' || session as order_id,
        user_id,
        event_time as order_time,
        case when hash(event_id) % 25 = 0 then 'cancelled' else 'paid' end as status,
        value * 2 as gross_amount,
        case when hash(event_id) % 4 = 0 then 5 else 0 end as discount_amount,
        case when hash(event_id) % 30 = 0 then value else 0 end as refund_amount,
        'CNY' as currency,
        channel,
        event_time as updated_at,
        event_date
    from made
    where event_name = 'order_paid'
"""
#: Lines of exported orders have no time of their own.
LINES = """
    select
        'l' || day || '-' || session || '-' || line as line_id,
        'o' || day || '-' || session as order_id,
        object_id as product_id,
        object_category as category,
        1 as quantity,
        value as unit_price,
        date '1970-01-01' as event_date
    from made
    cross join range(2) as lines (line)
    where event_name = 'order_paid'
"""


def users_sql(days: int, users: int, first: int, last: int) -> str:
    """Profiles, spread over the days by the day the user can first turn up."""
    return f"""
        select
            'u' || person as user_id,
            event_date::timestamp as registered_at,
            ['female', 'male'][1 + person % 2] as gender,
            date '1970-01-01' + (person % 14000)::integer as birth_date,
            'region ' || person % 30 as region,
            'city ' || person % 300 as city,
            ['ads', 'search', 'friends', 'store'][1 + person % 4] as acquisition_channel,
            case when person % 9 = 0 then 'u' || (person // 9) end as referrer_user_id,
            true as consent_email,
            event_date::timestamp as updated_at,
            event_date
        from (
            select
                person,
                greatest(0, ceil((person / {users} - 0.3) / 0.7 * {days}))::integer as day,
                date '{LAST_DAY}' - ({days} - 1 - day) as event_date
            from range({users}) as people (person)
        )
        where day >= {first} and day < {last}
    """


def write_batches(settings: Settings) -> None:
    """Write the control tables as `load` does: a batch for each written file."""
    batches: list[dict[str, Any]] = []
    dates: list[dict[str, Any]] = []
    with duckdb.connect() as connection:
        for entity in ENTITIES_WITH_DAYS:
            found = connection.execute(
                "select _batch_id, event_date, count(*) from read_parquet("
                f"'{settings.paths.raw / entity}/*/{entity}_*.parquet', hive_partitioning=true, "
                "hive_types={'event_date': date}) group by all order by _batch_id, event_date"
            ).fetchall()
            by_batch: dict[str, dict[date, int]] = {}
            for batch_id, day, rows in found:
                by_batch.setdefault(batch_id, {})[day] = rows
            for batch_id, rows_of in by_batch.items():
                batches.append(batch_row(entity, batch_id, sum(rows_of.values())))
                dates += [date_row(entity, batch_id, day, rows) for day, rows in rows_of.items()]
    batches.sort(key=lambda row: (row["batch_id"].rpartition("_")[2], row["batch_id"]))
    number_of = {row["batch_id"]: number for number, row in enumerate(batches, start=1)}
    for row in (*batches, *dates):
        row["batch_seq"] = number_of[row["batch_id"]]
    for name, rows in (("ingest_batches", batches), ("ingest_batch_dates", dates)):
        table = pa.Table.from_pylist(rows, schema=arrow_schema(CONTROL_COLUMNS[name]))
        write_table(control_file(settings.paths, name), table)


def batch_row(entity: str, batch_id: str, rows: int) -> dict[str, Any]:
    """Return a batch as the ledger tells of it."""
    return {
        "batch_id": batch_id, "source": f"shop_{entity}", "entity": entity, "file_path": f"{batch_id}.csv",
        "file_sha256": batch_id, "file_bytes": rows, "rows_read": rows, "rows_loaded": rows, "rows_deduplicated": 0,
        "rows_quarantined": 0, "rows_filtered": 0, "rows_dropped": 0, "state": "committed", "take": 1,
        "retired_seq": None, "as_of_date": LAST_DAY, "committed_at": None,
    }  # fmt: skip


def date_row(entity: str, batch_id: str, day: date, rows: int) -> dict[str, Any]:
    """Return the rows a batch has on one date."""
    return {
        "batch_id": batch_id, "entity": entity, "source": f"shop_{entity}", "as_of_date": LAST_DAY, "event_date": day,
        "rows_loaded": rows,
    }  # fmt: skip


if __name__ == "__main__":
    main()
