"""What all tests share: a clean instance per test and the real data sets where they are present."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from userops.config import Settings, load_settings

if TYPE_CHECKING:
    from tests.parsed_project import ParsedProject

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"

GIGABYTE = 2**30


def memory_file_system() -> Path | None:
    """Return the folder of a file system in memory with room for all that the tests write, or None.

    What they write need not survive a power cut, and on a disk they wait for it more than a third of their time: the
    ledger, DuckDB and the lake have every step written down for good.
    """
    shared_memory, memory = Path("/dev/shm"), Path("/proc/meminfo")
    if not (shared_memory.is_dir() and os.access(shared_memory, os.W_OK) and memory.exists()):
        return None
    (available,) = (line.split()[1] for line in memory.read_text().splitlines() if line.startswith("MemAvailable"))
    roomy = shutil.disk_usage(shared_memory).free > 2 * GIGABYTE and int(available) * 1024 > 5 * GIGABYTE
    return shared_memory if roomy else None


if (_in_memory := memory_file_system()) is not None:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_in_memory))

# dbt's debug log is a fifth of the time of a build, and no test reads it; what dbt prints is kept all the same.
os.environ.setdefault("DBT_LOG_LEVEL_FILE", "none")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case of bytes by its argument: packed bytes hold the time of packing, and xdist's workers must agree."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of every later garbage collection: it stays to the end."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let the interpreter's last collection see everything again: DuckDB's binding lists what is left as leaked."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _no_outer_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own USEROPS_* variables must not decide a test."""
    for name in [name for name in os.environ if name.startswith("USEROPS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Return a maker of settings for an instance below tmp_path: `instance(userops_yml="...", churn={...})`."""

    def make(userops_yml: str = "", **overrides: Any) -> Settings:
        config = tmp_path / "config"
        (config / "sources").mkdir(parents=True, exist_ok=True)
        (config / "userops.yml").write_text(userops_yml, encoding="utf-8")
        monkeypatch.setenv("USEROPS_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("USEROPS_CONFIG", str(config))
        return load_settings(**overrides)

    return make


@pytest.fixture(scope="session")
def between_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all workers of this test run share; what is made in it is made under a lock."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "between_workers"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def dbt_project(between_workers: Path) -> ParsedProject:
    """Return the dbt project, parsed once for all workers, to be run in the process of the tests."""
    from tests.parsed_project import parse

    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("USEROPS_")]:
            patch.delenv(name)
        return parse(between_workers / "parsed_dbt_project")


@pytest.fixture
def dbt_in_process(dbt_project: ParsedProject) -> Iterator[None]:
    """`run_dbt` starts no child."""
    with dbt_project.instead_of_a_child():
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data sets, or skip."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data sets are not on this machine (../shared/data)")
    return SHARED_DATA
