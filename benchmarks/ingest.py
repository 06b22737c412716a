"""How fast `ingest` and `load` are: daily gzip JSON lines files of a made-up shop.

python benchmarks/ingest.py --days 180 --events-per-day 17000
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb

from userops.config import load_settings
from userops.ingest.runner import load_staged, stage_landing
from userops.steps import StepContext

SOURCE = """
source: shop_events
entity: events
files: {path: shop, pattern: "events_*.jsonl.gz"}
format: {type: jsonl}
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
  currency: {value: CNY}
  properties: props
event_names: {view: product_viewed, cart: cart_added, pay: order_paid}
"""


def write_export(folder: Path, days: int, events_per_day: int) -> None:
    """Write one file per day; every value follows from day and row number."""
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        for number in range(days):
            day = date(2026, 1, 1) + timedelta(days=number)
            connection.execute(
                f"""
                copy (
                    select
                        'e{day}-' || i as id,
                        strftime(
                            timestamp '{day}' + to_seconds(i * 86399 // {events_per_day}), '%Y-%m-%dT%X+08:00'
                        ) as ts,
                        ['view', 'search', 'cart', 'pay', 'page'][1 + i % 5] as event,
                        case when i % 3 > 0 then 'u' || (i * 7919) % 20000 end as uid,
                        'd' || i % 5000 as device_id,
                        's' || i // 5 as sid,
                        'web' as channel,
                        'ios' as device,
                        '/p/' || i % 100 as page,
                        i % 1000 as item,
                        'c' || i % 9 as cat,
                        case when i % 5 = 3 then 1.5 end as amount,
                        {{'k': i % 7, 'q': '中文'}} as props
                    from range({events_per_day}) as numbers (i)
                ) to '{folder}/events_{day}.jsonl.gz' (format json, compression gzip)
                """
            )


def main() -> None:
    """Write the export, ingest it twice, print seconds, rows per second and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=180)
    parser.add_argument("--events-per-day", type=int, default=17_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config"
        (config / "sources").mkdir(parents=True)
        (config / "sources" / "events.yml").write_text(SOURCE)
        settings = load_settings(home=Path(folder) / "home", config=config)
        write_export(settings.paths.landing / "shop", arguments.days, arguments.events_per_day)
        context = StepContext(settings, date(2026, 1, 1) + timedelta(days=arguments.days))
        for label, step in (("ingest", stage_landing), ("load", load_staged), ("ingest again", stage_landing)):
            started = time.perf_counter()
            report = step(context)
            seconds = time.perf_counter() - started
            print(f"{label}: {seconds:.1f} s; {report.summary}")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
