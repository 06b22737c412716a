"""Results of a gate, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

Status = Literal["passed", "failed", "error"]


@dataclass(frozen=True)
class CheckResult:
    """What came out of one check.

    Attributes:
        status: `error` when the expectation itself raised; that is never a pass.
        unexpected: rows (or groups of rows) that break it.
        total: rows of the table.
        sample: up to five of them, without personal data; values as text.
        result: Great Expectations' own result, compacted.
    """

    type: str
    columns: tuple[str, ...]
    note_en: str
    note_zh: str
    status: Status
    unexpected: int
    total: int
    sample: list[dict[str, str]] = field(default_factory=list)
    message: str | None = None
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SuiteResult:
    """What came out of one suite."""

    name: str
    table: str
    title_en: str
    title_zh: str
    rows: int
    checks: list[CheckResult]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.status == "passed" for check in self.checks)


@dataclass(frozen=True)
class GateResult:
    """What came out of one gate at one business date.

    Attributes:
        gate: `lake` or `marts`.
        ran_at: UTC, to the second, ISO 8601.
        note_en: said instead of results when there was nothing to check.
    """

    gate: str
    as_of: date
    ran_at: str
    seconds: float
    suites: list[SuiteResult]
    note_en: str = ""
    note_zh: str = ""

    @property
    def passed(self) -> bool:
        """Whether every suite passed."""
        return all(suite.passed for suite in self.suites)

    @property
    def failures(self) -> list[tuple[SuiteResult, CheckResult]]:
        """Every check that did not pass, with its suite."""
        return [(suite, check) for suite in self.suites for check in suite.checks if check.status != "passed"]

    @property
    def check_count(self) -> int:
        """Number of checks."""
        return sum(len(suite.checks) for suite in self.suites)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        content = asdict(self)
        content["as_of"] = self.as_of.isoformat()
        return {"success": self.passed, "checks": self.check_count, "failed": len(self.failures), **content}
