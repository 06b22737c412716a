"""What a dbt child process runs: `python -m userops.warehouse.dbt_process build --vars ...`.

dbt parses the whole project again whenever `--vars` differ from those of the last parse, which is every business date
and every training: several seconds each. No model is configured by a variable, only its SQL is (tested), so the project
is parsed without variables, which dbt does from its own cache, and the command runs on what was parsed.

Nor is the project written down again when it has not changed: manifest.json is ten megabytes of it, and takes dbt as
long as fifty small models.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult

#: Commands that run nodes of the project; what others do (parse, docs, debug, clean ...) is left to dbt alone.
RUNS_NODES = frozenset({"build", "run", "test"})
_OPTIONS = ("--no-use-colors", "--no-version-check")


def main(arguments: Sequence[str]) -> int:
    """Run dbt with `arguments`, the command first, and return dbt's own exit code: 0, 1 a node failed, 2 an error."""
    gc.disable()  # dbt's classes and the parsed project stay to the end: walking them over and over frees nothing
    from dbt.artifacts.schemas.run import RunExecutionResult
    from dbt.cli.main import dbtRunner

    if arguments[0] not in RUNS_NODES:
        gc.enable()
        return exit_code(dbtRunner().invoke([*_OPTIONS, *arguments]))
    parsed = dbtRunner().invoke([*_OPTIONS, "--quiet", "--no-write-json", "parse"])
    if not parsed.success:
        return exit_code(parsed)
    gc.enable()
    runner = dbtRunner(manifest=parsed.result)  # type: ignore[arg-type]
    target = Path(os.environ["DBT_TARGET_PATH"])
    if not is_written_down(target):
        return exit_code(runner.invoke([*_OPTIONS, *arguments]))
    done = runner.invoke([*_OPTIONS, "--no-write-json", *arguments])
    if isinstance(done.result, RunExecutionResult):
        done.result.write(str(target / "run_results.json"))
    return exit_code(done)


def is_written_down(target: Path) -> bool:
    """Whether manifest.json in dbt's target folder tells of the project as it was parsed last."""
    manifest, parsed = target / "manifest.json", target / "partial_parse.msgpack"
    return manifest.exists() and parsed.exists() and manifest.stat().st_mtime_ns > parsed.stat().st_mtime_ns


def exit_code(result: dbtRunnerResult) -> int:
    """Return dbt's exit code of a result; an error that is not a node's is told on stderr."""
    if result.success:
        return 0
    if result.exception is None:
        return 1
    sys.stderr.write(f"{result.exception}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
