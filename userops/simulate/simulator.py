"""Runs a simulation: day after day into files, then the truth beside them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from userops.errors import UseropsError
from userops.simulate import catalogue, exports
from userops.simulate.arrays import Ints, Rows, squeeze
from userops.simulate.behaviour import World, live_day, make_world
from userops.simulate.dirt import Delivery
from userops.simulate.exports import OrderRows, Renderer, write_text
from userops.simulate.options import SimulationOptions
from userops.simulate.population import make_population
from userops.simulate.profiles import make_versions

LANDING = Path("landing") / "shop"
GROUND_TRUTH = Path("ground_truth")
RECORD_FILE = "simulation.json"
_LOOK_AHEAD_DAYS = 4


@dataclass(frozen=True)
class SimulationProgress:
    """How far a simulation is."""

    days_done: int
    days: int
    events: int


@dataclass(frozen=True)
class SimulationResult:
    """What a simulation wrote.

    Attributes:
        landing: folder of the export files. ground_truth: folder of the truth.
        created: False when the very same simulation was there already and nothing was written.
        events, orders, order_items, user_versions: good rows, each counted once (an order's later version not counted).
        dirt_rows: rows that are late, repeated, damaged or unknown.
    """

    landing: Path
    ground_truth: Path
    created: bool
    first_date: date
    last_date: date
    users: int
    files: int
    events: int
    orders: int
    order_items: int
    user_versions: int
    dirt_rows: int
    seconds: float


Progress = Callable[[SimulationProgress], None]


@dataclass
class _Counts:
    events: int = 0
    orders: int = 0
    order_items: int = 0
    user_versions: int = 0
    files: int = 0
    dirt_rows: int = 0


@dataclass
class _DayRows:
    """The rows of one simulated day, before they are put into files."""

    events: Rows
    orders: OrderRows
    signup_user: Ints
    signup_ms: Ints


@dataclass
class _Run:
    """One simulation under way."""

    world: World
    renderer: Renderer
    shop: Path
    signup_ms: Ints
    streams: dict[str, Delivery]
    changed_orders: dict[int, list[Rows]] = field(default_factory=dict)
    counts: _Counts = field(default_factory=_Counts)
    writing: deque[Future[None]] = field(default_factory=deque)

    def file(self, stream: str, day: int) -> Path:
        """Where the file of `stream` for `day` goes."""
        moment = self.world.options.first_date + timedelta(days=day)
        return self.shop / stream / f"{stream}_{moment.isoformat()}{_SUFFIX[stream]}"


_SUFFIX = {"events": ".jsonl.gz", "orders": ".csv", "order_items": ".csv.gz", "users": ".parquet"}
_HEADER = {"events": b"", "orders": exports.ORDER_HEADER, "order_items": exports.ITEM_HEADER}


def simulate(home: Path, options: SimulationOptions, progress: Progress | None = None) -> SimulationResult:
    """Write the exports of a simulated shop below `home`/landing/shop and the truth below `home`/ground_truth.

    Nothing appears under landing before everything is written. Files that a simulation with the same options has
    written before are left alone.

    Raises:
        UseropsError: `home`/landing/shop holds something else.
    """
    started = time.monotonic()
    shop, truth = home / LANDING, home / GROUND_TRUTH
    done = _earlier_run(shop, truth, options)
    if done is not None:
        return _result(home, options, _Counts(**done), created=False, seconds=time.monotonic() - started)
    draft = home / ".simulation"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        counts = _write_all(draft / "shop", draft / "truth", options, progress)
        record = {**options.record(), "counts": vars(counts)}
        (draft / "truth" / RECORD_FILE).write_text(
            json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8"
        )
        # The exports come last: whoever sees them may rely on the truth being there.
        shutil.rmtree(truth, ignore_errors=True)
        shop.parent.mkdir(parents=True, exist_ok=True)
        (draft / "truth").replace(truth)
        if shop.is_dir():
            shop.rmdir()
        (draft / "shop").replace(shop)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return _result(home, options, counts, created=True, seconds=time.monotonic() - started)


def _earlier_run(shop: Path, truth: Path, options: SimulationOptions) -> dict[str, int] | None:
    """Return the counts of an earlier, equal simulation; None when the place is free."""
    if not shop.exists() or (shop.is_dir() and not any(shop.iterdir())):
        return None
    record_file = truth / RECORD_FILE
    record = json.loads(record_file.read_text(encoding="utf-8")) if record_file.is_file() else {}
    counts: dict[str, int] = record.pop("counts", {})
    if record == options.record():
        return counts
    raise UseropsError(
        str(shop),
        "exports of another simulation" if record else "files that no simulation recorded",
        "an empty folder, or exports of the same options",
        "choose another USEROPS_HOME, or remove the old instance with `make clean`",
    )


def _result(
    home: Path, options: SimulationOptions, counts: _Counts, *, created: bool, seconds: float
) -> SimulationResult:
    return SimulationResult(
        landing=home / LANDING,
        ground_truth=home / GROUND_TRUTH,
        created=created,
        first_date=options.first_date,
        last_date=options.last_date,
        users=options.users,
        seconds=seconds,
        **vars(counts),
    )


def _write_all(shop: Path, truth: Path, options: SimulationOptions, progress: Progress | None) -> _Counts:
    run = _start(shop, options)
    for folder in (*(shop / stream for stream in run.streams), truth):
        folder.mkdir(parents=True)
    workers = max(1, min(4, os.cpu_count() or 1))
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[_DayRows]] = deque()
        for day in range(min(_LOOK_AHEAD_DAYS, options.days)):
            ahead.append(pool.submit(_make_day, run, day))
        for day in range(options.days):
            rows = ahead.popleft().result()
            if day + _LOOK_AHEAD_DAYS < options.days:
                ahead.append(pool.submit(_make_day, run, day + _LOOK_AHEAD_DAYS))
            _deliver_day(run, day, rows, pool)
            if progress is not None:
                progress(SimulationProgress(day + 1, options.days, run.counts.events))
        while run.writing:
            run.writing.popleft().result()
    _write_users(run)
    _write_truth(run, truth)
    return run.counts


def _start(shop: Path, options: SimulationOptions) -> _Run:
    rng = np.random.default_rng([options.seed, 1])
    population = make_population(options, rng)
    world = make_world(options, population, rng)
    return _Run(
        world=world,
        renderer=Renderer(world),
        shop=shop,
        # Those who registered before the first day never show their signup; newcomers' times are filled in.
        signup_ms=rng.integers(0, 86_400_000, options.users),
        streams={
            "events": Delivery(options, 0, exports.EVENT_DAMAGE),
            "orders": Delivery(options, 1, exports.ORDER_DAMAGE),
            "order_items": Delivery(options, 2, exports.ITEM_DAMAGE),
            "users": Delivery(options, 3, {}),
        },
    )


def _make_day(run: _Run, day: int) -> _DayRows:
    lived = live_day(run.world, day)
    return _DayRows(run.renderer.event_rows(lived), run.renderer.order_rows(lived), lived.signup_user, lived.signup_ms)


def _deliver_day(run: _Run, day: int, rows: _DayRows, pool: ThreadPoolExecutor) -> None:
    run.signup_ms[rows.signup_user] = rows.signup_ms
    orders = rows.orders
    for later in np.unique(orders.changed_day):
        run.changed_orders.setdefault(int(later), []).append(orders.changed[orders.changed_day == later])
    today = {
        "events": rows.events,
        "orders": np.concatenate([orders.placed, *run.changed_orders.pop(day, [])]),
        "order_items": orders.items,
    }
    run.counts.events += len(rows.events)
    run.counts.orders += len(orders.placed)
    run.counts.order_items += len(orders.items)
    for stream, belonging in today.items():
        in_file = run.streams[stream].deliver(day, belonging)
        if len(in_file):
            run.counts.files += 1
            run.writing.append(pool.submit(write_text, run.file(stream, day), _HEADER[stream], in_file))
    while len(run.writing) > 3 * _LOOK_AHEAD_DAYS:
        run.writing.popleft().result()


def _write_users(run: _Run) -> None:
    versions = make_versions(run.world, run.signup_ms, run.renderer.users)
    bounds = np.searchsorted(versions.day, np.arange(run.world.options.days + 1))
    run.counts.user_versions = len(versions.day)
    for day in range(run.world.options.days):
        chosen = run.streams["users"].deliver(day, np.arange(bounds[day], bounds[day + 1]))
        if len(chosen):
            run.counts.files += 1
            pq.write_table(versions.rows.take(chosen), run.file("users", day), compression="zstd")


def _write_truth(run: _Run, truth: Path) -> None:
    """Write users.parquet (one row per user) and dirt.parquet (one row per file and kind of dirt)."""
    people, first = run.world.population, run.world.options.first_date
    start = np.datetime64(first, "D")
    users = pa.table(
        {
            "user_id": pa.array(squeeze(run.renderer.users[:-1])),
            "visit_rate": people.visit_rate,
            "purchase_share": people.purchase_share,
            "purchase_rate": people.visit_rate * people.purchase_share,
            "signup_date": pa.array(start + people.signup_day.astype("timedelta64[D]")),
            "drop_out_date": pa.array(start + people.drop_out_day.astype("timedelta64[D]"), mask=people.loyal),
            "fade_days": pa.array(people.fade_days, mask=people.loyal),
            "burst_period_days": pa.array(people.burst_period, mask=people.burst_period == 0),
            "acquisition_channel": pa.array(np.array(catalogue.SOURCE_CHANNELS, dtype=object)[people.source]),
            "favourite_category": pa.array(np.array(catalogue.CATEGORIES, dtype=object)[people.category]),
            "deal_affinity": people.deal_affinity,
        }
    )
    pq.write_table(users, truth / "users.parquet", compression="zstd")
    found: dict[tuple[str, str], int] = {}
    for stream, delivery in run.streams.items():
        for entry in delivery.record:
            key = ((Path(LANDING.name) / run.file(stream, entry.day).relative_to(run.shop)).as_posix(), entry.kind)
            found[key] = found.get(key, 0) + entry.rows
    run.counts.dirt_rows = sum(found.values())
    dirt = pa.table(
        {
            "file": pa.array([file for file, _ in found], pa.string()),
            "kind": pa.array([kind for _, kind in found], pa.string()),
            "rows": pa.array(list(found.values()), pa.int64()),
        }
    )
    pq.write_table(dirt.sort_by([("file", "ascending"), ("kind", "ascending")]), truth / "dirt.parquet")
