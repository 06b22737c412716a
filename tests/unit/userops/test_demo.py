"""What the demo shows while Airflow works."""

from __future__ import annotations

import pytest

from userops.demo import progress_of

STAMP = "2026-06-30T03:00:00.000000Z"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            f"{STAMP} [info     ] step started    [userops.steps] as_of=2026-06-29 loc=steps.py:1 step=build",
            "build ...",
        ),
        (
            f"{STAMP} [info     ] step finished   [userops.steps] loc=x seconds=2.5 step=build summary='all built'",
            "build: all built (2.5 s)",
        ),
        (
            f"{STAMP} [info     ] 3 of 9 OK created model main.stg_users [OK in 0.05s] [userops.warehouse.dbt] loc=x",
            "    3 of 9 OK created model main.stg_users [OK in 0.05s]",
        ),
        (f"{STAMP} [warning  ] 2 features say nothing [userops.steps] loc=x", "warning: 2 features say nothing"),
        (f"{STAMP} [error    ] Task failed [task] loc=x", "error: Task failed"),
        (f"{STAMP} [warning  ] Could not import graphviz. [py.warnings] category=UserWarning", None),
        (f"{STAMP} [info     ] 4 of 9 PASS unique_users [PASS in 0.05s] [userops.warehouse.dbt] loc=x", None),
        ("no log line at all", None),
    ],
)
def test_a_log_line_tells_only_what_a_waiting_person_wants_to_know(line, told):
    assert progress_of(line) == told
