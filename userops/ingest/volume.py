"""How many rows a source should have on a business date, from the four weeks before it, and what is unusual.

Pure figures over the ledger's rows per business date; the lake gate turns them into expectations.

- *Expected* on a date: the median of the same weekday in the 28 days before it when at least three of them lie in the
  source's life, else the median of all days of that window in its life. A source's life begins with its first business
  date; a day of it without a row counts as 0. Holidays are not known.
- *Judged*: the business date of the run, and every date of the last 7 (a source whose excess stops: 28) days for which
  rows are staged. Not judged: a first load (nothing of the source is in the lake), a back-fill (more than 28 business
  dates at once), a date with fewer than three days of life before it, a date expected to have fewer rows than
  `volume.min_expected`.
- *Empty*: no row on the business date of the run. A source with rows on fewer than half of the 28 days does not come
  daily: its empty days are not judged.
- *Excess*: at least `volume.factor` times the expected rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import Literal

from userops.ingest.sources import VolumeSpec

WINDOW_DAYS = 28
#: A file that comes later than this is no news about its business date.
JUDGED_DAYS = 7
#: What was stopped stays stopped for as long as there is a window to compare it with.
STOPPED_DAYS = WINDOW_DAYS
#: Fewer days than this have no median worth the name: of one weekday, or of a source's life.
FEWEST_DAYS = 3

Verdict = Literal["usual", "empty", "excess"]
Action = Literal["stop", "flag", "ignore"]


@dataclass(frozen=True)
class DayVolume:
    """The rows of one source on one business date, beside what was expected.

    Attributes:
        basis: `weekday` or `window`: which days the expected rows are the median of.
        rows: in the lake and staged, without those that staged files will replace.
        action: what the source's YAML wants done; `ignore` for a usual day.
    """

    source: str
    business_date: date
    expected: float
    basis: Literal["weekday", "window"]
    rows_in_lake: int
    rows_staged: int
    verdict: Verdict
    action: Action

    @property
    def rows(self) -> int:
        """All rows of that date."""
        return self.rows_in_lake + self.rows_staged


@dataclass(frozen=True)
class Expected:
    """The rows a source should have on a date.

    Attributes:
        days_with_rows: days of the 28 before that have any.
    """

    rows: float
    basis: Literal["weekday", "window"]
    days_with_rows: int


def expected_rows(rows_by_date: Mapping[date, int], day: date) -> Expected | None:
    """Return what the 28 days before `day` let expect; None when fewer than three of them lie in the source's life.

    Args:
        rows_by_date: rows by business date; the first date with any begins the source's life.
    """
    first = min((found for found, rows in rows_by_date.items() if rows > 0), default=day)
    window = [day - timedelta(days=back) for back in range(1, WINDOW_DAYS + 1)]
    life = [past for past in window if past >= first]
    if len(life) < FEWEST_DAYS:
        return None
    with_rows = sum(rows_by_date.get(past, 0) > 0 for past in life)
    same_weekday = [past for past in life if past.weekday() == day.weekday()]
    if len(same_weekday) >= FEWEST_DAYS:
        return Expected(median(rows_by_date.get(past, 0) for past in same_weekday), "weekday", with_rows)
    return Expected(median(rows_by_date.get(past, 0) for past in life), "window", with_rows)


def judge_source(
    source: str, spec: VolumeSpec, in_lake: Mapping[date, int], staged: Mapping[date, int], as_of: date
) -> list[DayVolume]:
    """Return every judged business date of one source, in order; empty for a first load and for a back-fill.

    Args:
        in_lake: committed rows by business date, without rows that have none and without batches to be replaced.
        staged: staged rows by business date.
        as_of: business date of the run.
    """
    arriving = sorted(day for day, rows in staged.items() if rows > 0)
    if not any(in_lake.values()) or len(arriving) > WINDOW_DAYS:
        return []
    together = {day: in_lake.get(day, 0) + staged.get(day, 0) for day in {*in_lake, *staged}}
    reach = STOPPED_DAYS if spec.excess == "stop" else JUDGED_DAYS
    recent = {day for day in arriving if as_of - timedelta(days=reach) < day <= as_of}
    judged = [_judge_day(source, spec, in_lake, staged, together, day) for day in sorted({*recent, as_of})]
    return [day for day in judged if day is not None]


def _judge_day(
    source: str,
    spec: VolumeSpec,
    in_lake: Mapping[date, int],
    staged: Mapping[date, int],
    together: Mapping[date, int],
    day: date,
) -> DayVolume | None:
    expected = expected_rows(together, day)
    if expected is None or expected.rows < spec.min_expected:
        return None
    rows = together.get(day, 0)
    verdict: Verdict = "usual"
    action: Action = "ignore"
    if rows == 0 and expected.days_with_rows * 2 >= WINDOW_DAYS:
        verdict, action = "empty", spec.empty
    elif rows >= spec.factor * expected.rows:
        verdict, action = "excess", spec.excess
        if action == "stop" and not staged.get(day, 0):
            action = "flag"  # it was let in before: nothing is left to stop
    return DayVolume(
        source, day, expected.rows, expected.basis, in_lake.get(day, 0), staged.get(day, 0), verdict, action
    )
