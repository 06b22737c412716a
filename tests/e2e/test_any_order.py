"""Invariant 2 from the files to the marts: any order, any split, any repetition, and files that were something else.

A small made-up world is exported twice: whole, one file per source, taken in one run; and cut into files that overlap,
repeat themselves, come late, come again under other names, or held something else at first, with marts built in
between. The marts must be equal, row for row.
"""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.integration.dbt.conftest import Warehouse
from tests.parsed_project import ParsedProject, environment_of
from userops.config import Settings, load_settings
from userops.ingest.lake import ensure_lake
from userops.steps import StepContext, run_step
from userops.warehouse import build
from userops.warehouse.dbt import DbtResult, dbt_environment

Row = dict[str, Any]

DAYS = 30
FIRST_DAY = datetime(2026, 1, 1)
LAST_DAY = DAYS - 1
#: Tables that tell of files, not of business: they depend on how the data was cut.
ABOUT_FILES = {"agg_ingest_reconciliation", "agg_late_data", "agg_source_notes", "int_late_sessions"}

USERS = ["u1", "u2", "u3", "12345678901234567890"]
DEVICES = ["phone", "tablet", "laptop", "kiosk"]
EVENTS = ["product_viewed", "cart_added", "order_paid", "review_posted", "logged_in", "unlisted"]

CONFIG = {
    "userops.yml": "project: {timezone: Asia/Shanghai}\nidentity: {max_users_per_device: 2}\n",
    "event_taxonomy.csv": (
        "event_name,category,is_activity,is_page_view,is_interaction,is_contribution,label_en,label_zh\n"
        "product_viewed,view,true,true,false,false,Product viewed,浏览商品\n"
        "cart_added,cart,true,false,true,false,Added to cart,加入购物车\n"
        "order_paid,purchase,true,false,true,false,Order paid,支付订单\n"
        "review_posted,contribution,true,false,true,true,Review posted,发表评价\n"
        "logged_in,system,false,false,false,false,Logged in,登录\n"
    ),
    "funnels.yml": yaml.safe_dump({"funnels": [{
        "id": "purchase", "name_en": "Purchase", "name_zh": "购买", "window": "2 days",
        "steps": [{"name": name, "events": [name]} for name in ("product_viewed", "cart_added", "order_paid")],
    }]}),
}  # fmt: skip


@dataclass(frozen=True)
class Export:
    """One source: its YAML, and how rows become a file. `columns` maps canonical names to those of the export."""

    name: str
    entity: str
    kind: str
    columns: Mapping[str, str]
    extra: Mapping[str, Any] = field(default_factory=dict)

    def yaml(self) -> str:
        document = {
            "source": self.name,
            "entity": self.entity,
            "files": {"path": self.name, "pattern": f"*.{self.kind}", "optional": True},
            "format": {"type": self.kind},
            "columns": dict(self.columns),
            **self.extra,
        }
        return yaml.safe_dump(document, allow_unicode=True)

    def file(self, rng: random.Random, rows: Sequence[Row]) -> bytes:
        """The rows as a file of this source; columns or keys come in any order."""
        if self.kind == "jsonl":
            return "".join(json.dumps(dict(rng.sample(list(row.items()), len(row)))) + "\n" for row in rows).encode()
        out = io.StringIO()
        names = list(self.columns.values())
        writer = csv.DictWriter(out, rng.sample(names, len(names)), lineterminator=rng.choice(["\n", "\r\n"]))
        writer.writeheader()
        writer.writerows({name: row.get(name) for name in names} for row in rows)
        return out.getvalue().encode()


_EVENT = {
    "event_id": "id", "event_time": "ts", "event_name": "event", "user_id": "uid", "anonymous_id": "device_id",
    "session_id": "sid", "channel": "channel", "page": "page",
}  # fmt: skip
_ORDER = {
    "order_id": "no", "user_id": "buyer", "order_time": "ts", "status": "state", "gross_amount": "gross",
    "discount_amount": "discount", "refund_amount": "refund", "updated_at": "changed",
}  # fmt: skip
_LINE = {
    "line_id": "line", "order_id": "no", "product_id": "sku", "category": "category", "quantity": "pieces",
    "unit_price": "price", "user_id": "buyer", "order_time": "ts",
}  # fmt: skip
_USER = {"user_id": "uid", "registered_at": "since", "gender": "gender", "city": "city", "updated_at": "changed"}
_LINK = {"anonymous_id": "a", "linked_anonymous_id": "b", "linked_user_id": "uid", "link_time": "ts"}

EXPORTS = (
    Export("app_events", "events", "csv", _EVENT),
    Export("web_events", "events", "jsonl", _EVENT),
    Export("log_events", "events", "csv", {name: _EVENT[name] for name in ("event_time", "event_name", "user_id")}),
    Export("orders", "orders", "csv", _ORDER),
    Export("order_lines", "order_items", "csv", _LINE),
    Export("members", "users", "jsonl", _USER),
    Export("logins", "identity_links", "csv", _LINK),
)


class World(dict[str, list[Row]]):
    """Rows by source."""

    def __repr__(self) -> str:
        return "<world>"  # hypothesis would print it whole


class Tables(dict[str, list[tuple[Any, ...]]]):
    """Rows by mart."""

    def __repr__(self) -> str:
        return "<tables>"


@dataclass
class House:
    """One instance, wiped before each history, with dbt in this process."""

    settings: Settings
    warehouse: Warehouse

    def wipe(self) -> None:
        """Back to a fresh instance without a file."""
        for path in (self.settings.paths.landing, self.settings.paths.lake):
            shutil.rmtree(path, ignore_errors=True)
        for path in self.settings.home.glob("ledger.sqlite*"):
            path.unlink()
        self.warehouse.reset()

    def land(self, files: Mapping[str, bytes | None]) -> None:
        """Write files below landing/; None removes one."""
        for name, content in files.items():
            path = self.settings.paths.landing / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content)

    def run(self, day: int) -> None:
        """Take what lies there and build the marts, as of a day."""
        context = StepContext(self.settings, (FIRST_DAY + timedelta(days=day)).date())
        for step in ("ingest", "load", "build"):
            run_step(step, context)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, dbt_project: ParsedProject) -> Iterator[House]:
    home = tmp_path_factory.mktemp("any_order")
    config = home / "config"
    (config / "sources").mkdir(parents=True)
    for name, content in CONFIG.items():
        (config / name).write_text(content, encoding="utf-8")
    for export in EXPORTS:
        (config / "sources" / f"{export.name}.yml").write_text(export.yaml(), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("USEROPS_HOME", str(home))
        patch.setenv("USEROPS_CONFIG", str(config))
        chosen = load_settings()
    ensure_lake(chosen)
    warehouse = Warehouse(chosen, dbt_project)

    def in_this_process(_: Settings, as_of: date, **__: Any) -> DbtResult:
        """Parsed once, and without the tests and models of churn."""
        with environment_of(dbt_environment(chosen)):
            warehouse.run(as_of)
        return DbtResult({}, chosen.paths.dbt_target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "run_dbt", in_this_process)
        yield House(chosen, warehouse)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(random.Random(20260101))


@pytest.fixture(scope="module")
def at_once(house: House, world: World) -> Tables:
    """The marts of one run over one file per source."""
    house.wipe()
    rng = random.Random(0)
    house.land({f"{export.name}/all.{export.kind}": export.file(rng, world[export.name]) for export in EXPORTS})
    house.run(LAST_DAY)
    tables = Tables(house.warehouse.tables())
    for name in ("fct_sessions", "fct_orders", "fct_funnel_progress", "dim_users", "agg_retention_cohorts"):
        assert tables.get(name, [()]), f"{name} must not be empty"
    return tables


_EXAMPLES = settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # an example takes many seconds: a failing one is told, not shrunk
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@_EXAMPLES
@given(seed=st.integers(0, 10**6), earlier=st.integers(5, LAST_DAY))
def test_any_cut_order_and_repetition_gives_the_same_marts(
    house: House, world: World, at_once: Tables, seed: int, earlier: int
) -> None:
    house.wipe()
    days = [earlier, LAST_DAY]
    for day, files in zip(days, cut(random.Random(seed), world, len(days)), strict=True):
        house.land(files)
        house.run(day)
    assert_same_marts(Tables(house.warehouse.tables()), at_once)


@pytest.mark.parametrize("seed", [7])
def test_files_that_held_something_else_at_first_leave_no_trace(
    house: House, world: World, at_once: Tables, seed: int
) -> None:
    rng = random.Random(seed)
    house.wipe()
    first, second = cut(rng, world, 2)
    house.land({**first, **disguise(rng, world, first)})
    house.run(LAST_DAY - 3)
    assert house.warehouse.tables()["dim_users"] != at_once["dim_users"], "the first version must show"
    house.land({**first, **second})
    house.run(LAST_DAY)
    assert_same_marts(Tables(house.warehouse.tables()), at_once)


def assert_same_marts(found: Tables, expected: Tables) -> None:
    assert sorted(found) == sorted(expected)
    different = {
        name: {"too many": sorted(set(found[name]) - set(rows), key=str)[:3],
               "missing": sorted(set(rows) - set(found[name]), key=str)[:3]}
        for name, rows in expected.items()
        if name not in ABOUT_FILES and found[name] != rows
    }  # fmt: skip
    assert different == {}


def cut(rng: random.Random, world: World, runs: int) -> list[dict[str, bytes | None]]:
    """Deal the world's rows to files and the files to runs.

    Every row is in one file or two, some twice in one; a file may come again under another name, or be renamed.
    """
    deliveries: list[dict[str, bytes | None]] = [{} for _ in range(runs)]
    for export in EXPORTS:
        hands: list[list[Row]] = [[] for _ in range(rng.randint(2, 4))]
        for row in world[export.name]:
            for hand in {rng.randrange(len(hands)), rng.randrange(len(hands))}:
                hands[hand] += [row] * rng.choice([1, 1, 1, 2])
        for number, hand in enumerate(hands):
            name, run = f"{export.name}/{rng.randrange(10**6)}_{number}.{export.kind}", rng.randrange(runs)
            content = export.file(rng, rng.sample(hand, len(hand)))
            deliveries[run][name] = content
            if run + 1 < runs and rng.random() < 0.5:
                deliveries[run + 1][f"{export.name}/moved_{number}.{export.kind}"] = content
                if rng.random() < 0.5:
                    deliveries[run + 1][name] = None
    return deliveries


def disguise(rng: random.Random, world: World, files: Mapping[str, bytes | None]) -> dict[str, bytes]:
    """What every second of the files held at first: some rows of the world, and some that were withdrawn later."""
    ghosts = make_world(random.Random(99), prefix="ghost_")
    exports = {export.name: export for export in EXPORTS}
    chosen = [name for number, name in enumerate(sorted(files)) if number % 2 == 0]
    held = {}
    for name in chosen:
        export = exports[name.split("/")[0]]
        # On some days there will be nothing left: nobody touches them but the withdrawal.
        withdrawn = [{**row, **({"ts": f"2025-12-{day} 12:00:00"} if day % 2 else {})}
                     for day, row in enumerate(ghosts[export.name][:6], start=10)]  # fmt: skip
        rows = rng.sample(world[export.name], len(world[export.name]) // 2) + withdrawn
        held[name] = export.file(rng, rng.sample(rows, len(rows)))
    return held


def make_world(rng: random.Random, prefix: str = "") -> World:
    """Everything that happened; with a prefix, other events and orders of the same people and devices.

    Duplicates with the same and with other content, equal times, shared devices, several versions of orders and users,
    late rows, and rows that are refused.
    """
    events = [_event(rng, f"{prefix}e{number}") for number in range(80)]
    events += [{**event, "page": "/told/otherwise"} for event in rng.sample(events, 10)]
    events += [{**events[0], "id": f"{prefix}bad", "ts": "soon"}]
    app = [event for event in events if rng.random() < 0.6]
    web = [event for event in events if event not in app or rng.random() < 0.2]
    web += [{**event, "theme": rng.choice(["dark", "light"])} for event in rng.sample(web, 8)]
    log = [{**event, "uid": rng.choice(USERS)} for event in rng.sample(events, 15)]
    return World(
        app_events=app,
        web_events=web,
        log_events=log,
        orders=[_order(rng, prefix) for _ in range(30)],
        order_lines=[_line(rng, f"{prefix}l{number}", prefix) for number in range(30)],
        members=[_member(rng) for _ in range(12)],
        logins=[_link(rng) for _ in range(6)],
    )


def _time(rng: random.Random, days: int = DAYS) -> str:
    """Local time; full hours and half hours around midnight meet the edges of sessions and days."""
    second = rng.choice([0, 0, 600, 1800, 3600, 43_200, 57_600, 86_399])
    return (FIRST_DAY + timedelta(days=rng.randrange(days), seconds=second)).isoformat(" ")


def _maybe(rng: random.Random, make: Callable[[], Any], share: float = 0.5) -> Any:
    return make() if rng.random() < share else None


def _event(rng: random.Random, name: str) -> Row:
    user = _maybe(rng, lambda: rng.choice(USERS))
    return {
        "id": name,
        "ts": _time(rng),
        "event": rng.choice(EVENTS),
        "uid": user,
        "device_id": rng.choice(DEVICES) if user is None else _maybe(rng, lambda: rng.choice(DEVICES), 0.7),
        "sid": rng.choice([None, None, "s1", "s2"]),
        "channel": rng.choice([None, "app", "web"]),
        "page": rng.choice([None, "/a", "/b"]),
    }


def _order(rng: random.Random, prefix: str) -> Row:
    return {
        "no": f"{prefix}o{rng.randrange(12)}",
        "buyer": rng.choice([*USERS, None]),
        "ts": _time(rng),
        "state": rng.choice(["paid", "cancelled", None]),
        "gross": rng.choice(["0", "10", "10.00", "25.5", "1,200.00"]),
        "discount": rng.choice([None, "2"]),
        "refund": rng.choice([None, "5"]),
        "changed": _maybe(rng, lambda: _time(rng), 0.8),
    }


def _line(rng: random.Random, name: str, prefix: str) -> Row:
    return {
        "line": name,
        "no": f"{prefix}o{rng.randrange(16)}",
        "sku": rng.choice(["p1", "p2"]),
        "category": rng.choice([None, "c1", "c2"]),
        "pieces": rng.choice([1, 2, -1]),
        "price": rng.choice(["3", "4.5"]),
        "buyer": rng.choice(USERS),
        "ts": _maybe(rng, lambda: _time(rng)),
    }


def _member(rng: random.Random) -> Row:
    return {
        "uid": rng.choice([*USERS, "never_seen"]),
        "since": _time(rng, 10),
        "gender": rng.choice([None, "female", "male"]),
        "city": rng.choice(["上海", "Utrecht"]),
        "changed": _maybe(rng, lambda: _time(rng), 0.7),
        **rng.choice([{}, {"plan": "gold"}]),
    }


def _link(rng: random.Random) -> Row:
    device, other = rng.sample([*DEVICES, "watch"], 2)
    to_user = rng.random() < 0.5
    return {
        "a": device,
        "b": None if to_user else other,
        "uid": rng.choice(USERS) if to_user else None,
        "ts": _time(rng),
    }
