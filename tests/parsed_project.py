"""dbt in the process of the tests, on a project parsed once: a child would start and parse again for every call."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest
from filelock import FileLock

from userops.config import load_settings
from userops.warehouse import dbt
from userops.warehouse.dbt import dbt_environment
from userops.warehouse.dbt_process import exit_code

_OPTIONS = ("--quiet", "--log-level", "none", "--no-version-check")  # results tell all that a test wants to know


class ParsedProject:
    """The dbt project as parsed for a lake that is nowhere; each run is told where its lake lies."""

    def __init__(self, manifest: Manifest, lake: Path) -> None:
        self.manifest = manifest
        self._parsed_for = str(lake)
        self._locations = {name: source.meta["external_location"] for name, source in manifest.sources.items()}
        assert all(self._parsed_for in location for location in self._locations.values())

    def invoke(self, lake: Path, arguments: Sequence[str]) -> dbtRunnerResult:
        """Run dbt on a lake, in the environment that is set, and let go of the warehouse file."""
        for name, location in self._locations.items():
            self.manifest.sources[name].meta["external_location"] = location.replace(self._parsed_for, str(lake))
        try:
            return dbtRunner(manifest=self.manifest).invoke([*_OPTIONS, *arguments])
        finally:
            DuckDBConnectionManager.close_all_connections()  # in one process the adapter would keep the file open

    @contextmanager
    def instead_of_a_child(self) -> Iterator[None]:
        """Let `run_dbt` run dbt here; all else it does stays."""

        def run_here(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, list[str]]:
            command = arguments[arguments.index("userops.warehouse.dbt_process") + 1 :]
            with environment_of(environment):
                result = self.invoke(Path(environment["USEROPS_LAKE"]), command)
            return exit_code(result), [str(result.exception)]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dbt, "_stream", run_here)
            yield


def parse(shared: Path) -> ParsedProject:
    """Parse the project, or read what another worker of this test run has parsed below `shared`."""
    (shared / "config").mkdir(parents=True, exist_ok=True)
    with FileLock(shared / "parse.lock"):
        chosen = load_settings(home=str(shared), config=str(shared / "config"))
        with environment_of(dbt_environment(chosen)):
            result = dbtRunner().invoke([*_OPTIONS, "--no-write-json", "parse"])
            DuckDBConnectionManager.close_all_connections()
    assert isinstance(result.result, Manifest), result.exception
    gc.freeze()  # hundreds of thousands of objects that stay to the end
    return ParsedProject(result.result, chosen.paths.lake)


@contextmanager
def environment_of(values: Mapping[str, str]) -> Iterator[None]:
    """Set what profiles.yml and the sources read, for dbt in this process, without its log file."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**values, "DBT_LOG_LEVEL_FILE": "none"}.items():
            if os.environ.get(name) != value:
                patch.setenv(name, value)
        yield
