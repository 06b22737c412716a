"""The daily run: landing files in, marts and warning list out, for the business date of the data interval."""

from __future__ import annotations

import pendulum
from airflow.sdk import chain, dag
from airflow.timetables.interval import CronDataIntervalTimetable

from userops.business_date import DAILY_RUN_HOUR
from userops.config import load_settings
from userops.orchestration import DEFAULT_ARGS, READER_POOL, source_step_task, sources_task, step_task

_TIMEZONE = load_settings().project.timezone

#: Every step with the words its operator sees; the order, LAST_STEPS and SOURCE_STEPS behind it, is that of
#: userops.steps.DAILY_STEPS (tested).
STEPS = {
    "ingest": "Stage every new landing file: canonical columns, deduplicated, refused rows to quarantine.",
    "gate_lake": "Great Expectations on what was staged. A source that fails it is left out; a broken run stops here.",
    "load": "Move what passed the gate into the lake and commit the ledger, file by file.",
    "build": "dbt: staging, intermediate and marts with their tests, as of the business date.",
    "features": "dbt: point-in-time churn features at the business date.",
    "score": "Score with the champion model; trains a first one when there is none.",
    "segment": "Put alike users into segments: the last fit assigns, a new one is made every few weeks.",
    "lists": "dbt: scores, segments, personas, tags and the ranked churn-warning list.",
    "gate_marts": "Great Expectations on the marts. On failure yesterday's tables stay published.",
    "publish": "Swap in marts.duckdb, Parquet, the list as CSV/XLSX/Parquet, and PostgreSQL when configured.",
}

#: Steps behind publishing that nothing waits for: one that fails is red alone.
LAST_STEPS = {
    "deliver": "Send the published lists by e-mail and to chat robots, where configured; nobody gets one twice.",
}

#: Steps that are run once per source, after all others.
SOURCE_STEPS = {
    "source_health": "Red for a source that could not be taken whole; the others are published all the same.",
}


@dag(
    dag_id="user_ops_daily",
    schedule=CronDataIntervalTimetable(f"0 {DAILY_RUN_HOUR} * * *", timezone=_TIMEZONE),
    start_date=pendulum.datetime(1990, 1, 1, tz=_TIMEZONE),
    catchup=False,  # a run for an old date is asked for by hand; the early start date lets it be
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["userops", "daily"],
    doc_md=f"""
### The daily run · 每日任务
For business date **D** (the last complete local date, in {_TIMEZONE}, at the end of the data interval) it takes what
has landed and ends with marts and lists *as of D*. Running D again replaces D and nothing else; a failed gate
leaves what is published untouched. Every task that writes sits in the one-slot pool `duckdb_writer`.
A source that is broken does not stop the others: `source_health`, one instance per source, is red for it at the end.
A list that could not be sent makes `deliver` red, and nothing else.

业务日 **D** 为数据区间结束时最后一个完整的当地日期。重跑 D 只会替换 D；
质量门失败时，已发布的数据保持不变。某个数据源出错不影响其他数据源：最后的 `source_health`
按数据源逐一显示，出错者为红色。名单投递失败只影响 `deliver`。
""",
)
def user_ops_daily() -> None:
    sources = sources_task()
    tasks = [step_task(name, doc) for name, doc in STEPS.items()]
    chain(*tasks, [sources, *(step_task(name, doc, READER_POOL) for name, doc in LAST_STEPS.items())])
    for name, doc in SOURCE_STEPS.items():
        source_step_task(name, doc, sources)


user_ops_daily()
