"""What a dbt child process runs: `python -m userops.warehouse.dbt_process build --vars ...`.

dbt parses the whole project again whenever `--vars` differ from those of the last parse, which is every business date
and every training: several seconds each. No model is configured by a variable, only its SQL is (tested), so the project
is parsed without variables, which dbt does from its own cache, and the command runs on what was parsed.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult

#: Commands that run nodes of the project; what others do (parse, docs, debug, clean ...) is left to dbt alone.
RUNS_NODES = frozenset({"build", "run", "test"})
_OPTIONS = ("--no-use-colors", "--no-version-check")


def main(arguments: Sequence[str]) -> int:
    """Run dbt with `arguments`, the command first, and return dbt's own exit code: 0, 1 a node failed, 2 an error."""
    gc.disable()  # dbt's classes and the parsed project stay to the end: walking them over and over frees nothing
    from dbt.cli.main import dbtRunner

    runner = dbtRunner()
    if arguments[0] in RUNS_NODES:
        # The command itself writes manifest.json.
        parsed = runner.invoke([*_OPTIONS, "--quiet", "--no-write-json", "parse"])
        if not parsed.success:
            return exit_code(parsed)
        runner = dbtRunner(manifest=parsed.result)  # type: ignore[arg-type]
    gc.enable()
    return exit_code(runner.invoke([*_OPTIONS, *arguments]))


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
