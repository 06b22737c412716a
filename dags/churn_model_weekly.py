"""The weekly training of the churn model, one hour after Monday's daily run."""

from __future__ import annotations

import pendulum
from airflow.sdk import chain, dag
from airflow.timetables.interval import CronDataIntervalTimetable

from userops.business_date import DAILY_RUN_HOUR
from userops.config import load_settings
from userops.orchestration import DEFAULT_ARGS, step_task

_TIMEZONE = load_settings().project.timezone

#: The order is that of userops.steps.WEEKLY_STEPS (tested).
STEPS = {
    "build": "dbt: the marts as of the business date, so that training sees what that evening knew.",
    "train": "Judge at rolling origins, fit, calibrate, write the model card; champion only if clearly better.",
    "model_health": "Red when the model that serves has fallen behind what its backtest promised.",
}


@dag(
    dag_id="churn_model_weekly",
    schedule=CronDataIntervalTimetable(f"0 {DAILY_RUN_HOUR + 1} * * 1", timezone=_TIMEZONE),
    start_date=pendulum.datetime(1990, 1, 1, tz=_TIMEZONE),
    catchup=False,  # a run for an old date is asked for by hand; the early start date lets it be
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["userops", "weekly", "churn"],
    doc_md="""
### Training the churn model · 流失模型训练
Trains as of the last business date before the run, compares with simple baselines, writes a model card below
`USEROPS_HOME/models/churn/`. The new model becomes `champion` if it is better by more than noise and calibrated,
else `challenger`; the daily run scores with the champion. Features that have seen the future stop the run.
Back to the champion before: `userops models rollback`.

以运行前最后一个业务日为截止日训练模型，与简单基线比较，写出模型卡；显著更优且校准合格时成为 champion，
否则为 challenger。特征若含未来信息则停止训练。回退：`userops models rollback`。
""",
)
def churn_model_weekly() -> None:
    chain(*(step_task(name, doc) for name, doc in STEPS.items()))


churn_model_weekly()
