"""Metrics against the marts that hold the same figures, through MetricFlow's own command line; it talks to nobody."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt.parser.manifest import write_semantic_manifest

from userops.config import PROJECT_ROOT, Settings
from userops.errors import BuildError
from userops.warehouse.metrics import prepare_project, run_metricflow

FIRST_DAY = date(2024, 1, 1)
LAST_DAY = date(2024, 4, 10)
BUILT = (
    "--select", "+dim_dates", "+agg_engagement_daily", "+agg_growth_accounting", "+agg_lifecycle_daily",
    "+agg_funnel_conversion", "+fct_order_items", "+agg_growth_accounting_by_segment", "+agg_retention_cohorts",
    "+agg_repeat_purchase", "+agg_referrals",
)  # fmt: skip
#: Pages whose examples are asked as well.
PAGES = [PROJECT_ROOT / page for page in ("README.md", "README.zh-CN.md", "docs/questions.md")]
EXAMPLE = re.compile(r"^\.venv/bin/userops metrics (query .*)$", re.MULTILINE)

#: Runs `mf` several times in one process, under a guard that lets nothing out: name of the answer -> arguments.
GUARDED = """
import json, sys
calls, wire = json.loads(sys.argv[1]), sys.argv[2]
def guard(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        with open(wire, "a") as log:
            print(event, arguments[-1], file=log)
        raise PermissionError(event)
sys.addaudithook(guard)
from userops.warehouse.metricflow_offline import main
for arguments in calls:
    sys.argv = ["mf", *arguments]
    try:
        main()
    except SystemExit as done:
        if done.code:
            raise
"""

Answer = list[dict[str, str]]


class Metrics:
    """What MetricFlow answered."""

    def __init__(self, answers: Mapping[str, Answer], wire: str) -> None:
        self.answers = answers
        self.wire = wire

    def column(self, answer: str, metric: str, *keys: str) -> dict[tuple[str, ...], float]:
        """Return a metric by its group-by values, without groups where it is null or 0."""
        rows = self.answers[answer]
        values = {tuple(row[key][:10] for key in keys): float(row[metric] or 0) for row in rows}
        return {key: value for key, value in values.items() if value}


DAY, WEEK, MONTH, PERSON, STAGE, FUNNEL, STEP = (
    "metric_time__day", "metric_time__week", "metric_time__month", "person__acquisition_channel",
    "lifecycle_day__stage", "funnel_step__funnel_id", "funnel_step__step_number",
)  # fmt: skip
GROWTH_CHANNEL, COHORT_CHANNEL, NUMBER, BUYER_CHANNEL, HORIZON = (
    "growth_period__acquisition_channel", "retention_cohort__acquisition_channel", "retention_cohort__period_number",
    "repeat_purchase__acquisition_channel", "repeat_purchase__horizon_days",
)  # fmt: skip
BY_DAY = (
    "dau", "wau", "mau", "stickiness", "new_users", "new_user_share", "sessions", "events", "page_views", "visitors",
    "bounces", "bounce_rate", "pages_per_session", "average_dwell_seconds", "contribution_rate", "interaction_rate",
    "paying_users", "paying_rate", "revenue", "arpu", "arppu",
)  # fmt: skip
BY_PERIOD = ("active_users", "new_users", "existing_active_users", "dau", "wau", "mau")
TOTALS = (
    "users", "identified_users", "orders", "cancelled_orders", "buyers", "gross_revenue", "discount_amount",
    "refund_amount", "net_revenue", "average_order_value", "refund_share", "units_sold", "line_amount",
    "churn_warnings", "expected_loss",
)  # fmt: skip
GRAINS = {"day": "daily", "week": "weekly", "month": "monthly"}
#: Of marts that hold counts and shares of them: metric (behind the grain's name where it has one) -> the mart's own.
GROWTH = {
    "new_users": "sum(new_users)",
    "returning_users": "sum(returning_users)",
    "resurrecting_users": "sum(resurrecting_users)",
    "dormant_users": "sum(dormant_users)",
    "active_retention_rate": "sum(returning_users) / nullif(sum(returning_users + dormant_users), 0)",
    "quick_ratio": "sum(new_users + resurrecting_users) / nullif(sum(dormant_users), 0)",
}
RETENTION = {
    "cohort_users": "sum(cohort_users)",
    "retained_users": "sum(retained_users)",
    "retention_rate": "sum(retained_users) / nullif(sum(cohort_users), 0)",
}
FIRST_RETURNS = {
    "day_1": ("day", 1), "day_7": ("day", 7), "day_30": ("day", 30), "week_1": ("week", 1), "month_1": ("month", 1),
}  # fmt: skip
REPEAT = {
    "first_time_buyers": "sum(buyers)",
    "repeat_buyers": "sum(repeat_buyers)",
    "repeat_rate": "sum(repeat_buyers) / nullif(sum(buyers), 0)",
}
REFERRAL = {
    "invitations_sent": "sum(invitations_sent)",
    "invitees": "sum(invitees)",
    "active_invitees": "sum(active_invitees)",
    "paying_invitees": "sum(paying_invitees)",
    "inviters": "max_by(inviters, period_start)",
    "first_seen_users": "sum(new_users)",
    "monthly_active_users": "sum(active_users)",
    "referral_share": "sum(invitees) / nullif(sum(new_users), 0)",
    "k_factor": "sum(invitees) / nullif(sum(active_users), 0)",
    "acceptance_rate": "sum(invitees) / nullif(sum(invitations_sent), 0)",
}
FUNNEL_FIGURES = {
    "funnel_entered": "sum(entered)",
    "funnel_reached": "sum(reached)",
    "funnel_reached_previous_step": "sum(reached_previous_step)",
    "funnel_conversion": "sum(reached) / nullif(sum(entered), 0)",
    "funnel_step_conversion": "sum(reached) / nullif(sum(reached_previous_step), 0)",
}
COHORTS = "from agg_retention_cohorts where is_complete and cohort_kind = 'first_ever'"
OF_GROWTH = [f"{adverb}_{name}" for adverb in GRAINS.values() for name in GROWTH]
OF_RETENTION = [f"{adverb}_{name}" for adverb in GRAINS.values() for name in RETENTION]
QUESTIONS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "day": (BY_DAY, (DAY,)),
    "week": (BY_PERIOD, ("metric_time__week",)),
    "month": (BY_PERIOD, ("metric_time__month",)),
    "total": (TOTALS, ()),
    "channel": (("net_revenue", "buyers", "sessions"), (PERSON,)),
    "stage": (("lifecycle_users", "lifecycle_entered", "lifecycle_left"), (DAY, STAGE)),
    "stage_today": (("lifecycle_users",), (STAGE,)),
    "funnel": ([*FUNNEL_FIGURES], (FUNNEL, STEP)),
    "funnel_week": ([*FUNNEL_FIGURES], (WEEK, FUNNEL, STEP)),
    "growth_channel": (OF_GROWTH, (DAY, GROWTH_CHANNEL)),
    "growth_month": (OF_GROWTH, (MONTH,)),
    "retention_day": (OF_RETENTION, (DAY, NUMBER)),
    "retention_channel": (OF_RETENTION, (COHORT_CHANNEL, NUMBER)),
    "first_returns": ([f"{name}_retention_rate" for name in FIRST_RETURNS], (COHORT_CHANNEL,)),
    "first_returns_month": ([f"{name}_retention_rate" for name in FIRST_RETURNS], (MONTH,)),
    "repeat": ([*REPEAT], (MONTH, BUYER_CHANNEL, HORIZON)),
    "repeat_total": ([*REPEAT], (HORIZON,)),
    "referral": ([*REFERRAL], (MONTH,)),
    "referral_total": ([*REFERRAL], ()),
}


@pytest.fixture(scope="module")
def random_shop() -> dict[str, list[dict[str, Any]]]:
    """Forty users and visitors for fourteen weeks: sessions, bounces, purchases, refunds, cancelled orders."""
    chance = random.Random(20240101)
    events, orders, lines = [], [], []
    users = [{"user_id": f"u{number}", "registered_at": _moment(number, 1), "acquisition_channel": f"c{number % 3}",
              "referrer_user_id": f"u{number % 4}" if number % 5 == 4 else None, "updated_at": _moment(number, 1)}
             for number in range(30)]  # fmt: skip
    users.append({"user_id": "guest", "registered_at": _moment(70, 1), "referrer_user_id": "u1",
                  "updated_at": _moment(70, 1)})  # fmt: skip
    for number in range(40):
        user = {"user_id": f"u{number}"} if number < 30 else {"anonymous_id": f"d{number}"}
        for day in sorted(chance.sample(range((LAST_DAY - FIRST_DAY).days + 5), chance.randint(2, 14))):
            at = _moment(day, chance.randint(0, 80_000))
            names = chance.choices(
                ["product_viewed", "cart_added", "review_posted", "logged_in", "invitation_sent"], [6, 2, 1, 1, 1], k=5
            )
            for name in names[: chance.randint(1, 5)]:
                at += timedelta(seconds=chance.choice([20, 200, 2_500]))
                events.append({**user, "event_id": f"e{len(events)}", "event_time": at, "event_name": name,
                               "channel": chance.choice(["web", "app", None])})  # fmt: skip
            if number < 30 and chance.random() < 0.4:
                events.append({**user, "event_id": f"e{len(events)}", "event_time": at + timedelta(seconds=9),
                               "event_name": "order_paid"})  # fmt: skip
                orders.append({
                    "order_id": f"o{len(orders)}", "user_id": chance.choice([user["user_id"]] * 9 + [None]),
                    "order_time": at, "updated_at": at, "gross_amount": chance.randint(5, 500),
                    "discount_amount": chance.choice([0, 3]), "refund_amount": chance.choice([0, 0, 0, 2]),
                    "status": chance.choice(["paid"] * 5 + ["cancelled"]),
                })  # fmt: skip
                lines += [{"line_id": f"l{len(lines)}", "order_id": orders[-1]["order_id"], "order_time": at,
                           "product_id": "p", "category": chance.choice(["a", "b", None]),
                           "quantity": chance.randint(1, 3), "unit_price": 7}]  # fmt: skip
    # a buyer of whom nobody knows where they came from
    at = _moment(3, 0)
    orders.append({"order_id": "till", "user_id": "till", "order_time": at, "updated_at": at, "gross_amount": 70,
                   "discount_amount": 0, "refund_amount": 0, "status": "paid"})  # fmt: skip
    return {"users": users, "events": events, "orders": orders, "order_items": lines}


@pytest.fixture
def metrics(random_shop: Mapping[str, Any], lake: Any, warehouse: Any, tmp_path: Path) -> Metrics:
    """The answers to all questions, from a copy of the warehouse standing where the published file stands."""
    for entity, rows in random_shop.items():
        lake.add_batch(entity, rows)
    lake.set_funnel("buying", 7 * 86_400, [["product_viewed"], ["cart_added"], ["order_paid"]])
    warehouse.run(LAST_DAY, *BUILT)
    settings = warehouse.settings
    write_semantic_manifest(warehouse.project.manifest, str(settings.paths.dbt_target))  # runs of tests write none
    settings.paths.published.mkdir(exist_ok=True)
    shutil.copy(settings.paths.warehouse, settings.paths.published_duckdb)
    with duckdb.connect(str(settings.paths.published_duckdb)) as published:
        published.execute(
            "create or replace table export_churn_warning_list as select * from "
            "(values (DATE '2024-04-10', 'u1', 9.5, 'high'), (DATE '2024-04-10', 'u2', 0.5, 'low')) "
            "as list (as_of_date, user_id, expected_loss, risk_band)"
        )
    wire = tmp_path / "wire.txt"
    examples = sorted({example for page in PAGES for example in EXAMPLE.findall(page.read_text(encoding="utf-8"))})
    assert examples, "the pages show no query any more"
    calls = [
        ["query", "--quiet", "--metrics", ",".join(names), "--csv", str(tmp_path / f"{answer}.csv"),
         *(["--group-by", ",".join(keys)] if keys else [])]
        for answer, (names, keys) in QUESTIONS.items()
    ] + [[*example.split(), "--quiet", "--csv", str(tmp_path / "example.csv")] for example in examples]  # fmt: skip
    assert run_metricflow(settings, [json.dumps(calls), str(wire)], child=["-c", GUARDED]) == 0
    return Metrics(
        {answer: _read(tmp_path / f"{answer}.csv") for answer in QUESTIONS}, wire.read_text() if wire.exists() else ""
    )


def test_metrics_equal_the_marts(metrics: Metrics, warehouse: Any) -> None:
    assert metrics.wire == "", "MetricFlow tried to reach somebody"
    daily = "from agg_engagement_daily where segment_type = 'all'"
    for name in BY_DAY:
        _same(metrics.column("day", name, DAY), _numbers(warehouse, f"select activity_date, {name} {daily}"), name)
    for grain in ("week", "month"):
        key = f"metric_time__{grain}"
        for metric, column in (
            ("active_users", "active_users"), ("new_users", "new_users"),
            ("existing_active_users", "returning_users + resurrecting_users"),
        ):  # fmt: skip
            mart = f"select period_start, {column} from agg_growth_accounting where grain = '{grain}'"
            _same(metrics.column(grain, metric, key), _numbers(warehouse, mart), f"{metric} by {grain}")
        period = f"cast(date_trunc('{grain}', activity_date) as date)"
        for metric, day in (
            ("dau", "avg(nullif(dau, 0))"),
            ("wau", "max_by(wau, activity_date)"),
            ("mau", "max_by(mau, activity_date)"),
        ):
            by_period = _numbers(warehouse, f"select {period}, {day} {daily} group by 1")
            _same(metrics.column(grain, metric, key), by_period, f"{metric} by {grain}")

    counted, bought = "filter (where not is_cancelled)", "filter (where is_purchase)"
    totals = {
        "users": "select count(*) from dim_users",
        "identified_users": "select count(*) from dim_users where is_identified",
        "orders": "select count(*) from fct_orders where is_purchase",
        "cancelled_orders": "select count(*) from fct_orders where is_cancelled",
        "buyers": "select count(distinct user_id) from fct_orders where is_purchase",
        "gross_revenue": f"select sum(gross_amount) {counted} from fct_orders",
        "discount_amount": f"select sum(discount_amount) {counted} from fct_orders",
        "refund_amount": f"select sum(refund_amount) {counted} from fct_orders",
        "net_revenue": f"select sum(net_amount) {counted} from fct_orders",
        "average_order_value": f"select sum(net_amount) {counted} / count(*) {bought} from fct_orders",
        "refund_share": f"select sum(refund_amount) {counted} / sum(gross_amount) {counted} from fct_orders",
        "units_sold": "select sum(quantity) from fct_order_items semi join "
        "(from fct_orders where not is_cancelled) using (order_id)",
        "line_amount": "select sum(line_amount) from fct_order_items semi join "
        "(from fct_orders where not is_cancelled) using (order_id)",
        "churn_warnings": "select 2",
        "expected_loss": "select 10",
    }
    for name in TOTALS:
        _same(metrics.column("total", name), _numbers(warehouse, totals[name]), name)

    buyers = "from fct_orders left join dim_users using (user_id) group by 1"
    channel = "select case when user_id is not null then coalesce(acquisition_channel, 'unknown') else '' end"
    _same(metrics.column("channel", "net_revenue", PERSON),
          _numbers(warehouse, f"{channel}, sum(net_amount) {counted} {buyers}"), "net revenue by channel")  # fmt: skip
    assert metrics.column("channel", "net_revenue", PERSON)["unknown",] == 70
    for name, column in (
        ("lifecycle_users", "users"),
        ("lifecycle_entered", "entered"),
        ("lifecycle_left", "left_stage"),
    ):
        mart = f"select stage_date, stage, {column} from agg_lifecycle_daily"
        _same(metrics.column("stage", name, DAY, STAGE), _numbers(warehouse, mart), name)
    today = f"select stage, users from agg_lifecycle_daily where stage_date = '{LAST_DAY}'"
    _same(metrics.column("stage_today", "lifecycle_users", STAGE), _numbers(warehouse, today), "stages of today")

    for answer, figures, mart, keys in _figures_of_marts():
        for metric, figure in figures.items():
            columns = ", ".join([*keys.values(), figure])
            expected = _numbers(warehouse, f"select {columns} {mart} {'group by all' if keys else ''}")
            _same(metrics.column(answer, metric, *keys), expected, f"{answer}: {metric}")


def _figures_of_marts() -> Iterator[tuple[str, Mapping[str, str], str, Mapping[str, str]]]:
    """Yield answers with what a mart says: answer, figures by metric, the mart's rows, its columns by group-by."""
    channel, everybody = "segment_type = 'acquisition_channel'", "segment_type = 'all'"
    week, month = "date_trunc('week', cohort_date)::date", "date_trunc('month', {})::date"
    funnel = f"from agg_funnel_conversion where {everybody} and is_complete"
    yield "funnel", FUNNEL_FIGURES, funnel, {FUNNEL: "funnel_id", STEP: "step_number"}
    yield "funnel_week", FUNNEL_FIGURES, funnel, {WEEK: week, FUNNEL: "funnel_id", STEP: "step_number"}
    for grain, adverb in GRAINS.items():
        growth = {f"{adverb}_{name}": figure for name, figure in GROWTH.items()}
        periods = f"from agg_growth_accounting_by_segment where grain = '{grain}' and is_complete"
        of_channel = {DAY: "period_start", GROWTH_CHANNEL: "segment_value"}
        yield "growth_channel", growth, f"{periods} and {channel}", of_channel
        yield "growth_month", growth, f"{periods} and {everybody}", {MONTH: month.format("period_start")}
        retention = {f"{adverb}_{name}": figure for name, figure in RETENTION.items()}
        cohorts = f"{COHORTS} and grain = '{grain}'"
        by_day, of_channel = {DAY: "cohort_start"}, {COHORT_CHANNEL: "segment_value"}
        yield "retention_day", retention, f"{cohorts} and {everybody}", {**by_day, NUMBER: "period_number"}
        yield "retention_channel", retention, f"{cohorts} and {channel}", {**of_channel, NUMBER: "period_number"}
    for name, (grain, number) in FIRST_RETURNS.items():
        rate = {f"{name}_retention_rate": RETENTION["retention_rate"]}
        cohorts = f"{COHORTS} and grain = '{grain}' and period_number = {number}"
        yield "first_returns", rate, f"{cohorts} and {channel}", {COHORT_CHANNEL: "segment_value"}
        yield "first_returns_month", rate, f"{cohorts} and {everybody}", {MONTH: month.format("cohort_start")}
    buyers, of_horizon = "from agg_repeat_purchase where is_complete", {HORIZON: "horizon_days"}
    of_channel = {MONTH: "cohort_month", BUYER_CHANNEL: "segment_value", **of_horizon}
    yield "repeat", REPEAT, f"{buyers} and {channel}", of_channel
    yield "repeat_total", REPEAT, f"{buyers} and {everybody}", of_horizon
    months = "from agg_referrals where grain = 'month' and is_complete"
    yield "referral", REFERRAL, months, {MONTH: "period_start"}
    yield "referral_total", REFERRAL, months, {}


def test_without_a_publication_there_is_nothing_to_ask(dbt_home: Settings, tmp_path: Path) -> None:
    elsewhere = dbt_home.model_copy(update={"home": tmp_path / "nowhere"})
    with pytest.raises(BuildError, match="nothing published"):
        prepare_project(elsewhere, tmp_path)


def test_help_needs_no_publication(instance: Callable[..., Settings], capfd: pytest.CaptureFixture[str]) -> None:
    assert run_metricflow(instance(), ["query", "--help"]) == 0
    assert "--group-by" in capfd.readouterr().out


def _read(path: Path) -> Answer:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _numbers(warehouse: Any, sql: str) -> dict[tuple[str, ...], float]:
    """Return the last column by the others, without rows where it is null or 0."""
    return {tuple(str(key) for key in keys): float(value) for *keys, value in warehouse.query(sql) if value}


def _same(metric: Mapping[Any, float], mart: Mapping[Any, float], what: str) -> None:
    assert mart, f"{what}: the example has nothing to compare"
    assert metric.keys() == mart.keys(), what
    assert metric == pytest.approx(mart, rel=1e-9), what


def _moment(day: int, seconds: int) -> datetime:
    return datetime.combine(FIRST_DAY, datetime.min.time()) + timedelta(days=day, seconds=seconds)
