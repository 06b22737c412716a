"""How fast `ingest` and `load` are, against DuckDB alone reading the same files and writing Parquet.

python benchmarks/ingest.py                                 10 million events, 300 days of history
python benchmarks/ingest.py --events 1000000 --history-rows 300000

The export covers the last days of the history and repeats a part of its rows, so that every row is compared with the
lake. Each figure is taken in a process of its own; its peak memory is that process's. The cost of one day's file is
taken twice, with a short and with the whole history. All data is made here; every value follows from day and number.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from userops.config import Settings, load_settings
from userops.ingest.runner import load_staged, stage_landing
from userops.steps import StepContext

FIRST_DAY = date(2025, 1, 1)
SHORT_HISTORY_DAYS = 30
EXPORT_DAYS = 10
#: Share of a history day's rows that the export has again.
REPEATED = 0.1
SOURCE = """
source: shop_{name}
entity: events
files: {{path: {name}, pattern: "*", optional: true}}
format: {{type: {type}}}
columns:
  event_id: id
  event_time: ts
  event_name: event
  user_id: uid
  anonymous_id: device_id
  session_id: sid
  channel: channel
  device: device
  page: page
  object_id: item
  object_category: cat
  value: amount
  currency: {{value: CNY}}
  properties: props
event_names: {{view: product_viewed, cart: cart_added, pay: order_paid}}
"""
READERS = {"jsonl": "read_json", "csv": "read_csv"}


@dataclass(frozen=True)
class Measured:
    """Wall-clock seconds, rows and peak memory in MB of one child process."""

    seconds: float
    rows: int
    megabytes: float


def main() -> None:
    """Make the data, run every case, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000, help="rows of the export")
    parser.add_argument("--files", type=int, default=10, help="files of the export in the case of several files")
    parser.add_argument("--history-days", type=int, default=300)
    parser.add_argument("--history-rows", type=int, default=3_000_000)
    parser.add_argument("--day-rows", type=int, default=200_000, help="rows of the single day's file")
    parser.add_argument("--folder", type=Path, default=None, help="where the data goes; default: a temporary folder")
    parser.add_argument("--child", nargs=3, metavar=("TASK", "ROOT", "KIND"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        task, root, kind = arguments.child
        {"ingest": child_ingest, "bare": child_bare}[task](Path(root), kind)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        run(Path(folder), arguments)


def run(root: Path, sizes: argparse.Namespace) -> None:
    """Run every case below `root`."""
    per_day = sizes.history_rows // sizes.history_days
    histories = {days: root / f"history_{days}" for days in (SHORT_HISTORY_DAYS, sizes.history_days)}
    print(f"{sizes.events:,} events over {EXPORT_DAYS} days; {os.cpu_count()} cores; DuckDB {duckdb.__version__}")
    for days, home in histories.items():
        write_config(home)
        write_history(home, sizes.history_days - days, sizes.history_days, per_day)
        done = in_child("ingest", home, "history")
        print(f"history of {days} days: {done.rows:,} rows in {done.seconds:.0f} s")
    exports = {
        "jsonl, several files": write_export(root / "export_jsonl_files", "jsonl", sizes, per_day, sizes.files),
        "jsonl, one file": write_export(root / "export_jsonl", "jsonl", sizes, per_day, 1),
        "csv, one file": write_export(root / "export_csv", "csv", sizes, per_day, 1),
    }
    print(f"\n{'case':24}{'seconds':>9}{'bare':>9}{'ratio':>7}{'rows/s':>11}{'peak MB':>9}")
    for label, export in exports.items():
        kind = "csv" if label.startswith("csv") else "jsonl"
        bare = in_child("bare", export, kind)
        home = branch(histories[sizes.history_days], root / "run")
        shutil.copytree(export, home / "landing" / kind, copy_function=os.link, dirs_exist_ok=True)
        found = in_child("ingest", home, kind)
        ratio = found.seconds / bare.seconds
        print(
            f"{label:24}{found.seconds:9.1f}{bare.seconds:9.1f}{ratio:7.2f}{found.rows / found.seconds:11,.0f}"
            f"{found.megabytes:9,.0f}"
        )
        shutil.rmtree(home)
    seconds = {}
    for days, history in histories.items():
        seconds[days] = min(one_day(history, root / "run", sizes, per_day) for _ in range(3))
        print(f"one day of {sizes.day_rows:,} rows after {days} days of history: {seconds[days]:.2f} s")
    print(f"ratio of the two: {seconds[sizes.history_days] / seconds[SHORT_HISTORY_DAYS]:.2f}")


def one_day(history: Path, home: Path, sizes: argparse.Namespace, per_day: int) -> float:
    """Return the seconds one more file for the history's last day takes."""
    branch(history, home)
    last = sizes.history_days - 1
    write_events(home / "landing" / "csv" / "day.csv", "csv", last, 1, per_day // 2, per_day // 2 + sizes.day_rows)
    done = in_child("ingest", home, "csv")
    shutil.rmtree(home)
    return done.seconds


def write_config(home: Path) -> None:
    """Write the configuration: one source for the history, one per kind of export."""
    for name, kind in (("history", "csv"), ("jsonl", "jsonl"), ("csv", "csv")):
        file = home / "config" / "sources" / f"{name}.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SOURCE.format(name=name, type=kind))
        (home / "landing" / name).mkdir(parents=True, exist_ok=True)


def write_history(home: Path, first: int, last: int, per_day: int) -> None:
    """Write the history's files, thirty days each."""
    for start in range(first, last, 30):
        days = min(30, last - start)
        write_events(home / "landing" / "history" / f"from_{start:04}.csv", "csv", start, days, 0, per_day)


def write_export(folder: Path, kind: str, sizes: argparse.Namespace, per_day: int, files: int) -> Path:
    """Write the export, cut by day into `files` files of about equal size; return its folder."""
    first = sizes.history_days - EXPORT_DAYS
    begin = int(per_day * (1 - REPEATED))
    end = begin + sizes.events // EXPORT_DAYS
    suffix = "jsonl.gz" if kind == "jsonl" else kind
    if files == 1:
        write_events(folder / f"export.{suffix}", kind, first, EXPORT_DAYS, begin, end)
        return folder
    step = -(-EXPORT_DAYS // files)
    for start in range(0, EXPORT_DAYS, step):
        days = min(step, EXPORT_DAYS - start)
        write_events(folder / f"export_{start}.{suffix}", kind, first + start, days, begin, end)
    return folder


def write_events(file: Path, kind: str, first_day: int, days: int, begin: int, end: int) -> None:
    """Write events number `begin` to `end` (exclusive) of each day, by day and number."""
    file.parent.mkdir(parents=True, exist_ok=True)
    options = "format json, compression gzip" if kind == "jsonl" else "format csv, header"
    properties = "{'k': i % 7, 'q': '中文'}"
    with duckdb.connect() as connection:
        connection.execute(
            f"""
            copy (
                select
                    'e' || day || '-' || i as id,
                    strftime(
                        timestamp '{FIRST_DAY}' + to_days(day::integer) + to_microseconds(i * 7919 % 86399000000),
                        '%Y-%m-%dT%H:%M:%S.%g+08:00'
                    ) as ts,
                    ['view', 'search', 'cart', 'pay', 'page'][1 + i % 5] as event,
                    case when i % 3 > 0 then 'u' || (i * 7919) % 200000 end as uid,
                    'd' || (i * 31) % 50000 as device_id,
                    's' || i // 5 as sid,
                    'web' as channel,
                    'ios' as device,
                    '/p/' || i % 100 as page,
                    i % 1000 as item,
                    'c' || i % 9 as cat,
                    case when i % 5 = 3 then 1.5 end as amount,
                    {properties if kind == "jsonl" else f"to_json({properties})"} as props
                from range({first_day}, {first_day + days}) as all_days (day)
                cross join range({begin}, {end}) as numbers (i)
                order by day, i
            ) to '{file}' ({options})
            """
        )
    # Old enough for the ledger to trust the time stamp: what was taken is not hashed again.
    os.utime(file, (1_700_000_000, 1_700_000_000))


def branch(history: Path, home: Path) -> Path:
    """Return a home with the history's lake and ledger, without copying the lake's bytes."""
    write_config(home)
    shutil.copytree(history / "lake", home / "lake", copy_function=os.link)
    for file in history.glob("ledger.sqlite*"):
        shutil.copy2(file, home)
    shutil.copytree(history / "landing" / "history", home / "landing" / "history", dirs_exist_ok=True)
    return home


def in_child(task: str, root: Path, kind: str) -> Measured:
    """Run one task in a process of its own."""
    command = [sys.executable, __file__, "--child", task, str(root), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def child_ingest(home: Path, kind: str) -> None:
    """Ingest and load what is new below `home`."""
    context = StepContext(settings_of(home), FIRST_DAY + timedelta(days=1000))
    started = time.perf_counter()
    report = stage_landing(context)
    loaded = load_staged(context)
    seconds = time.perf_counter() - started
    assert loaded.counts["rows_loaded"] > 0, (kind, report.summary, report.warnings)
    tell(seconds, report.counts["rows_read"])


def child_bare(export: Path, kind: str) -> None:
    """Let DuckDB alone turn the export into Parquet, with the threads and the memory that userops has."""
    engine = settings_of(export.parent / "history_30").engine
    target = export.parent / "bare.parquet"
    with duckdb.connect(config={"threads": engine.threads, "memory_limit": engine.memory_limit}) as connection:
        started = time.perf_counter()
        query = f"copy (select * from {READERS[kind]}('{export}/*')) to '{target}' (format parquet)"
        rows = connection.execute(query).fetchall()[0][0]
        seconds = time.perf_counter() - started
    target.unlink()
    tell(seconds, rows)


def settings_of(home: Path) -> Settings:
    """Return the settings of one of the benchmark's homes."""
    return load_settings(home=home, config=home / "config")


def tell(seconds: float, rows: int) -> None:
    """Print the figures for the parent process."""
    # Not ru_maxrss, which a child takes over from its parent.
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    print(json.dumps({"seconds": seconds, "rows": rows, "megabytes": peak}))


if __name__ == "__main__":
    main()
