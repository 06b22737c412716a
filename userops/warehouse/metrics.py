"""The metrics of the semantic layer, asked of what is published.

`userops metrics ...` is MetricFlow's own command line (`mf ...`) on `published/marts.duckdb`: the pipeline's private
file is never opened, so that nobody who asks holds up the run. MetricFlow wants a dbt project with a profile and a
semantic manifest in its target folder; a small one is made for each call and thrown away after it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from userops.config import Settings
from userops.errors import BuildError

#: MetricFlow without its look at a package index.
_CHILD = "userops.warehouse.metricflow_offline"


def run_metricflow(settings: Settings, arguments: Sequence[str], child: Sequence[str] = ("-m", _CHILD)) -> int:
    """Run `mf <arguments>` on the published marts, on this process's terminal, and return its exit code.

    Asking for help needs no marts.

    Args:
        child: what Python runs; the tests put their own guard before MetricFlow.

    Raises:
        BuildError: nothing was published yet, or dbt has not written its semantic manifest.
    """
    with tempfile.TemporaryDirectory(prefix="userops-metrics-") as folder:
        asks_for_help = not arguments or "--help" in arguments
        project = Path(folder) if asks_for_help else prepare_project(settings, Path(folder))
        completed = subprocess.run(
            [sys.executable, *child, *arguments], env=_environment(project), cwd=Path.cwd(), check=False
        )
    return completed.returncode


def prepare_project(settings: Settings, folder: Path) -> Path:
    """Make `folder` a dbt project that MetricFlow can ask the published marts through, and return it.

    Raises:
        BuildError: nothing was published yet, or dbt has not written its semantic manifest.
    """
    published = settings.paths.published_duckdb
    if not published.exists():
        raise BuildError(
            str(published), "nothing published", "a published marts.duckdb", "run `userops run --as-of YYYY-MM-DD`"
        )
    manifest = settings.paths.dbt_target / "semantic_manifest.json"
    if not manifest.exists():
        raise BuildError(
            str(manifest), "no such file", "the semantic manifest that dbt writes", "run `userops build` first"
        )
    (folder / "target").mkdir()
    (folder / "target" / "semantic_manifest.json").write_bytes(manifest.read_bytes())
    _write_yaml(folder / "dbt_project.yml", {"name": "userops", "version": "1.0", "profile": "userops"})
    _write_yaml(folder / "profiles.yml", _profile(settings, published.resolve(), folder))
    return folder


def _profile(settings: Settings, published: Path, folder: Path) -> dict[str, Any]:
    """Return a profile that knows the published file, read only, under the name that the warehouse file has."""
    target = {
        "type": "duckdb",
        "path": ":memory:",
        "threads": 1,
        "attach": [{"path": str(published), "alias": settings.paths.warehouse.stem, "read_only": True}],
        "settings": {
            "memory_limit": settings.engine.memory_limit,
            "threads": settings.engine.threads,
            "temp_directory": str(folder / "spill"),
            "timezone": "UTC",
        },
    }
    return {"userops": {"target": "published", "outputs": {"published": target}}}


def _write_yaml(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(dict(document), allow_unicode=True), encoding="utf-8")


def _environment(project: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("DBT_")},
        "DBT_PROJECT_DIR": str(project),
        "DBT_PROFILES_DIR": str(project),
        "DBT_LOG_PATH": str(project / "logs"),
        "DBT_TARGET_PATH": str(project / "target"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
