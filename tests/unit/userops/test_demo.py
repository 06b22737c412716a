"""What the demo shows while Airflow works."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from userops.config import PROJECT_ROOT, load_settings
from userops.demo import progress_of, refuse_real_instance
from userops.errors import ConfigError

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


@pytest.fixture
def demo_config(tmp_path):
    folder = tmp_path / "config"
    shutil.copytree(PROJECT_ROOT / "config", folder)
    return folder


def test_the_demo_runs_on_a_new_home_and_on_an_earlier_demos(tmp_path, demo_config):
    settings = load_settings(home=str(tmp_path / "home"), config=str(demo_config))
    refuse_real_instance(settings)
    (settings.paths.landing / "shop" / "events").mkdir(parents=True)
    refuse_real_instance(settings)


def test_the_demo_does_not_run_beside_real_files(tmp_path, demo_config):
    settings = load_settings(home=str(tmp_path / "home"), config=str(demo_config))
    (settings.paths.landing / "crm").mkdir(parents=True)
    with pytest.raises(ConfigError, match="landing: found crm; expected nothing, or shop alone"):
        refuse_real_instance(settings)


def test_the_demo_does_not_run_on_other_sources(tmp_path, demo_config):
    (demo_config / "sources" / "crm.yml").write_text("source: crm\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="found crm, shop_events"):
        refuse_real_instance(load_settings(home=str(tmp_path), config=str(demo_config)))
    shutil.rmtree(demo_config / "sources")
    with pytest.raises(ConfigError, match="found no source"):
        refuse_real_instance(load_settings(home=str(tmp_path), config=str(demo_config)))


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("USEROPS_PUBLISH__POSTGRES_URL", "postgresql://reader@db.example.invalid/bi", "publish.postgres_url"),
        ("USEROPS_DELIVERY__EMAIL__ENABLED", "true", "delivery"),
    ],
)
def test_the_demo_shows_nothing_to_anybody_else(tmp_path, demo_config, monkeypatch, variable, value, named):
    monkeypatch.setenv(variable, value)
    recipients = '{"churn_warning": {"all": ["ops@example.invalid"]}}'
    for name, text in {
        "HOST": "smtp.example.invalid",
        "SENDER": "ops@example.invalid",
        "RECIPIENTS": recipients,
    }.items():
        monkeypatch.setenv(f"USEROPS_DELIVERY__EMAIL__{name}", text)
    with pytest.raises(ConfigError, match=f"setting `{named}`"):
        refuse_real_instance(load_settings(home=str(tmp_path), config=str(demo_config)))


def test_make_demo_leaves_out_what_is_set_for_a_real_instance():
    shown = subprocess.run(
        ["make", "--dry-run", "demo"], cwd=PROJECT_ROOT, text=True, capture_output=True, check=True,
        env={**os.environ, "USEROPS_CONFIG": "/real/config", "USEROPS_PUBLISH__POSTGRES_URL": "postgresql://db/bi"},
    ).stdout  # fmt: skip
    (command,) = [line for line in shown.splitlines() if line.endswith("userops demo")]
    assert "-u USEROPS_CONFIG" in command
    assert "-u USEROPS_PUBLISH__POSTGRES_URL" in command
    assert f"USEROPS_HOME={PROJECT_ROOT}/var/demo" in command
