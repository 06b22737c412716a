"""Results of a gate, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

from expectations.checks import Consequence

Status = Literal["passed", "failed", "error"]
#: `noticed`: something does not hold that stops no more than the sources it is about.
Outcome = Literal["passed", "noticed", "failed"]


@dataclass(frozen=True)
class CheckResult:
    """What came out of one check.

    Attributes:
        status: `error` when the expectation itself raised; that is never a pass.
        unexpected: rows (or groups of rows) that break it.
        total: rows of the table.
        sample: up to five of them, without personal data; values as text.
        result: Great Expectations' own result, compacted.
        consequence: what it means that the check does not hold.
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
    consequence: Consequence = "stop_day"

    @property
    def outcome(self) -> Outcome:
        """Whether it holds, and whether the day stops when it does not."""
        if self.status == "passed":
            return "passed"
        return "failed" if self.status == "error" or self.consequence == "stop_day" else "noticed"


@dataclass(frozen=True)
class SuiteResult:
    """What came out of one suite.

    Attributes:
        figures: the rows of a small table, for the report; values as text.
    """

    name: str
    table: str
    title_en: str
    title_zh: str
    rows: int
    checks: list[CheckResult]
    figures: list[dict[str, str]] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of its checks."""
        outcomes = {check.outcome for check in self.checks}
        return "failed" if "failed" in outcomes else "noticed" if "noticed" in outcomes else "passed"


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
        """Whether the day goes on."""
        return not self.failures

    @property
    def failures(self) -> list[tuple[SuiteResult, CheckResult]]:
        """Every check that stops the day, with its suite."""
        return self._with_outcome("failed")

    @property
    def notices(self) -> list[tuple[SuiteResult, CheckResult]]:
        """Every check that does not hold and stops no more than the sources it is about, with its suite."""
        return self._with_outcome("noticed")

    @property
    def check_count(self) -> int:
        """Number of checks."""
        return sum(len(suite.checks) for suite in self.suites)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        content = asdict(self)
        content["as_of"] = self.as_of.isoformat()
        return {
            "success": self.passed, "checks": self.check_count, "failed": len(self.failures),
            "noticed": len(self.notices), **content,
        }  # fmt: skip

    def _with_outcome(self, outcome: Outcome) -> list[tuple[SuiteResult, CheckResult]]:
        return [(suite, check) for suite in self.suites for check in suite.checks if check.outcome == outcome]
