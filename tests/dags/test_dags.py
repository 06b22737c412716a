"""The DAGs as Airflow sees them: import without errors or warnings, thin, in the order of the step list."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys

import pytest

from tests.e2e.instances import copy_airflow
from userops.config import PROJECT_ROOT
from userops.orchestration import READER_POOL, WRITER_POOL, airflow_environment
from userops.steps import DAILY_STEPS, INDEPENDENT_STEPS, WEEKLY_STEPS

_INSPECT = """
import json, sys, warnings
import airflow, airflow.models, airflow.sdk
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.dag_processing.dagbag import DagBag
seconds = {}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    before = set(sys.modules)
    bag = DagBag(dag_folder=DAGS)
    imported = set(sys.modules) - before
print("RESULT" + json.dumps({
    "errors": bag.import_errors,
    "warnings": [str(w.message) for w in caught if DAGS in str(w.filename)],
    "captured": {str(k): str(v) for k, v in getattr(bag, "captured_warnings", {}).items()},
    "imported": sorted({name.partition(".")[0] for name in imported}),
    "dags": {
        dag_id: {
            "tasks": [t.task_id for t in dag.topological_sort()],
            "pools": {t.task_id: t.pool for t in dag.tasks},
            "mapped": [t.task_id for t in dag.tasks if t.is_mapped],
            "instance_names": {t.task_id: t.map_index_template for t in dag.tasks if t.is_mapped},
            "retries": sorted({t.retries for t in dag.tasks}),
            "backoff": all(t.retry_exponential_backoff for t in dag.tasks),
            "owner": dag.owner, "tags": sorted(dag.tags), "doc": bool(dag.doc_md),
            "max_active_runs": dag.max_active_runs,
            "edges": sorted([t.task_id, d] for t in dag.tasks for d in t.downstream_task_ids),
        }
        for dag_id, dag in bag.dags.items()
    },
}))
"""


@pytest.fixture(scope="module")
def inspected(tmp_path_factory, between_workers):
    from userops.config import load_settings

    home = tmp_path_factory.mktemp("airflow")
    settings = load_settings().model_copy(update={"home": home})
    copy_airflow(settings, between_workers)
    environment = airflow_environment(settings)
    code = _INSPECT.replace("DAGS", repr(str(PROJECT_ROOT / "dags")))
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    return json.loads(line.removeprefix("RESULT"))


def test_the_dags_import_without_errors_or_warnings(inspected):
    assert inspected["errors"] == {}
    assert inspected["warnings"] == []
    assert inspected["captured"] == {}
    assert set(inspected["dags"]) == {"user_ops_daily", "churn_model_weekly"}


def test_parsing_the_dags_imports_nothing_heavy(inspected):
    heavy = {"dbt", "duckdb", "great_expectations", "lightgbm", "numpy", "pandas", "pyarrow", "scipy", "sklearn"}
    assert "userops" in inspected["imported"]
    assert not heavy & set(inspected["imported"])


@pytest.mark.parametrize(("dag_id", "steps"), [("user_ops_daily", DAILY_STEPS), ("churn_model_weekly", WEEKLY_STEPS)])
def test_a_dag_is_the_chain_of_the_step_list(inspected, dag_id, steps):
    dag = inspected["dags"][dag_id]
    tasks = dag["tasks"]
    assert set(tasks) - {"sources"} == set(steps)
    chain = [step for step in steps if step not in INDEPENDENT_STEPS]
    assert [task for task in tasks if task in chain] == chain
    behind = (
        [["publish", "deliver"], ["publish", "sources"], ["sources", "source_health"]] if "publish" in steps else []
    )
    assert dag["edges"] == sorted([*([a, b] for a, b in itertools.pairwise(chain)), *behind])


def test_the_health_of_the_sources_is_one_task_each_listed_when_all_else_is_published(inspected):
    dag = inspected["dags"]["user_ops_daily"]
    assert dag["mapped"] == ["source_health"]
    assert dag["instance_names"] == {"source_health": "{{ task.op_kwargs['source'] }}"}


@pytest.mark.parametrize("dag_id", ["user_ops_daily", "churn_model_weekly"])
def test_a_dag_has_what_a_person_on_call_needs(inspected, dag_id):
    dag = inspected["dags"][dag_id]
    readers = {"deliver", "sources", "source_health"}
    assert {task for task, pool in dag["pools"].items() if pool == READER_POOL} == readers & set(dag["tasks"])
    assert {pool for task, pool in dag["pools"].items() if task not in readers} == {WRITER_POOL}
    assert dag["retries"] == [3]
    assert dag["backoff"]
    assert dag["max_active_runs"] == 1
    assert dag["owner"] == "data-engineering"
    assert "userops" in dag["tags"]
    assert dag["doc"]


def test_telemetry_is_off(inspected):
    from userops.config import load_settings

    environment = airflow_environment(load_settings())
    assert environment["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"
    assert environment["GX_ANALYTICS_ENABLED"] == "false"
    assert os.environ.get("AIRFLOW_HOME") != environment["AIRFLOW_HOME"]
