"""How many rows are expected on a date, and which days are unusual."""

from __future__ import annotations

from datetime import date, timedelta
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.ingest.sources import VolumeSpec
from userops.ingest.volume import WINDOW_DAYS, DayVolume, expected_rows, judge_source

SUNDAY = date(2024, 6, 30)
SPEC = VolumeSpec(empty="flag", excess="stop", factor=10.0, min_expected=20)


def history(rows: int = 100, days: int = 60, until: date = SUNDAY) -> dict[date, int]:
    """The same number of rows on each of `days` days before `until`."""
    return {until - timedelta(days=back): rows for back in range(1, days + 1)}


def verdicts(found: list[DayVolume]) -> dict[date, str]:
    return {day.business_date: day.verdict for day in found}


class TestExpected:
    def test_a_weekday_is_compared_with_its_own_kind(self) -> None:
        rows = {day: 10 if day.weekday() >= 5 else 400 for day in history()}

        expected = expected_rows(rows, SUNDAY)

        assert expected is not None
        assert (expected.rows, expected.basis) == (10, "weekday")

    def test_a_shop_that_is_closed_on_sundays_expects_nothing_on_a_sunday(self) -> None:
        rows = {day: count for day, count in history().items() if day.weekday() != 6}

        expected = expected_rows(rows, SUNDAY)

        assert expected is not None
        assert expected.rows == 0

    def test_a_young_source_is_compared_with_all_its_days(self) -> None:
        rows = {SUNDAY - timedelta(days=back): 10 * back for back in range(1, 16)}  # two Sundays only

        expected = expected_rows(rows, SUNDAY)

        assert expected is not None
        assert (expected.rows, expected.basis) == (80, "window")

    @pytest.mark.parametrize(("days", "known"), [(0, False), (2, False), (3, True)])
    def test_fewer_than_three_days_of_life_let_expect_nothing(self, days: int, known: bool) -> None:
        assert (expected_rows(history(days=days), SUNDAY) is not None) == known

    def test_a_day_without_rows_inside_the_life_counts_as_nought(self) -> None:
        rows = {SUNDAY - timedelta(days=back): 100 for back in (1, 5)}

        expected = expected_rows(rows, SUNDAY)

        assert expected is not None
        assert (expected.rows, expected.days_with_rows) == (0, 2)

    def test_days_before_the_window_and_from_the_day_on_say_nothing(self) -> None:
        rows = history(days=WINDOW_DAYS)
        noisy = rows | {SUNDAY - timedelta(days=29): 10**6, SUNDAY: 10**6, SUNDAY + timedelta(days=7): 10**6}

        assert expected_rows(noisy, SUNDAY) == expected_rows(rows, SUNDAY)

    @given(rows=st.lists(st.integers(0, 10**6), min_size=28, max_size=28))
    def test_one_wild_day_never_leaves_the_range_of_the_others(self, rows: list[int]) -> None:
        """The reason for a median: yesterday's tenfold day must not make today's look usual."""
        calm = {SUNDAY - timedelta(days=back + 1): count for back, count in enumerate(rows)}
        calm[SUNDAY - timedelta(days=WINDOW_DAYS)] = max(rows[-1], 1)  # the source's life has begun
        wild = calm | {SUNDAY - timedelta(days=7): 10**12}

        expected = expected_rows(wild, SUNDAY)

        assert expected is not None
        sundays = [calm[SUNDAY - timedelta(days=back)] for back in (7, 14, 21, 28)]
        assert min(sundays) <= expected.rows <= max(sundays[1:])
        assert expected.rows == median([10**12, *sundays[1:]])


class TestJudged:
    def test_a_usual_day_is_shown_beside_what_was_expected(self) -> None:
        (found,) = judge_source("shop", SPEC, history(), {SUNDAY: 90}, SUNDAY)

        assert (found.verdict, found.action, found.expected, found.rows) == ("usual", "ignore", 100, 90)

    @pytest.mark.parametrize(("rows", "verdict"), [(999, "usual"), (1000, "excess"), (1001, "excess")])
    def test_the_factor_itself_is_too_many(self, rows: int, verdict: str) -> None:
        assert verdicts(judge_source("shop", SPEC, history(), {SUNDAY: rows}, SUNDAY)) == {SUNDAY: verdict}

    def test_rows_in_the_lake_and_staged_ones_count_together(self) -> None:
        (found,) = judge_source("shop", SPEC, history() | {SUNDAY: 600}, {SUNDAY: 400}, SUNDAY)

        assert (found.verdict, found.rows_in_lake, found.rows_staged) == ("excess", 600, 400)

    @pytest.mark.parametrize(("usual", "judged"), [(19, False), (20, True)])
    def test_small_days_are_not_judged(self, usual: int, judged: bool) -> None:
        found = judge_source("shop", SPEC, history(usual), {SUNDAY: 10**6}, SUNDAY)

        assert bool(found) == judged

    def test_a_day_without_any_row_is_empty(self) -> None:
        (found,) = judge_source("shop", SPEC, history(), {}, SUNDAY)

        assert (found.verdict, found.action, found.rows) == ("empty", "flag", 0)

    def test_one_row_is_not_empty(self) -> None:
        assert verdicts(judge_source("shop", SPEC, history(), {SUNDAY: 1}, SUNDAY)) == {SUNDAY: "usual"}

    @pytest.mark.parametrize(("days", "verdict"), [(13, "usual"), (14, "empty")])
    def test_a_source_that_does_not_come_daily_may_stay_away(self, days: int, verdict: str) -> None:
        rows = history(days=days)

        assert verdicts(judge_source("shop", SPEC, rows, {}, SUNDAY)) == {SUNDAY: verdict}

    def test_a_monthly_dump_alarms_neither_by_coming_nor_by_staying_away(self) -> None:
        dumps = {date(2024, month, 1): 50_000 for month in range(1, 7)}

        assert judge_source("users", SPEC, dumps, {}, SUNDAY) == []
        assert judge_source("users", SPEC, dumps, {date(2024, 7, 1): 50_000}, date(2024, 7, 1)) == []

    def test_a_first_load_is_not_judged(self) -> None:
        assert judge_source("shop", SPEC, {}, history(days=10) | {SUNDAY: 10**6}, SUNDAY) == []

    def test_a_back_fill_is_not_judged(self) -> None:
        staged = {SUNDAY - timedelta(days=back): 10**6 for back in range(WINDOW_DAYS)}
        longer = staged | {SUNDAY - timedelta(days=WINDOW_DAYS): 10**6}

        assert judge_source("shop", SPEC, history(), staged, SUNDAY) != []
        assert judge_source("shop", SPEC, history(), longer, SUNDAY) == []

    def test_a_late_file_says_nothing_about_its_old_date(self) -> None:
        flagging = SPEC.model_copy(update={"excess": "flag"})
        week_old, older = SUNDAY - timedelta(days=6), SUNDAY - timedelta(days=7)

        found = judge_source("shop", flagging, history(), {older: 10**6, week_old: 10**6, SUNDAY: 90}, SUNDAY)

        assert verdicts(found) == {week_old: "excess", SUNDAY: "usual"}

    def test_what_was_stopped_stays_stopped_when_it_is_a_week_old(self) -> None:
        tenfold = SUNDAY - timedelta(days=20)

        found = judge_source("shop", SPEC, history(), {tenfold: 10**6, SUNDAY: 90}, SUNDAY)

        assert verdicts(found) == {tenfold: "excess", SUNDAY: "usual"}

    @pytest.mark.parametrize("action", ["stop", "flag", "ignore"])
    def test_each_action_is_that_of_the_source(self, action: str) -> None:
        spec = VolumeSpec.model_validate({"empty": action, "excess": action})

        (empty,) = judge_source("shop", spec, history(), {}, SUNDAY)
        (excess,) = judge_source("shop", spec, history(), {SUNDAY: 1000}, SUNDAY)

        assert (empty.verdict, empty.action, excess.verdict, excess.action) == ("empty", action, "excess", action)

    def test_what_was_let_in_before_can_only_be_flagged(self) -> None:
        (found,) = judge_source("shop", SPEC, history() | {SUNDAY: 1000}, {}, SUNDAY)

        assert (found.verdict, found.action) == ("excess", "flag")

    def test_running_an_old_date_again_looks_at_that_date_only(self) -> None:
        rows = history(until=SUNDAY + timedelta(days=30), days=90) | {SUNDAY: 100}

        assert verdicts(judge_source("shop", SPEC, rows, {}, SUNDAY)) == {SUNDAY: "usual"}

    @given(
        usual=st.integers(20, 10**6),
        factor=st.floats(1.01, 100.0),
        rows=st.integers(0, 10**8),
        split=st.floats(0.0, 1.0),
    )
    def test_the_verdict_depends_on_the_sum_alone(self, usual: int, factor: float, rows: int, split: float) -> None:
        """Whether a day's rows came in one run or in two must not matter."""
        spec = VolumeSpec(factor=factor)
        earlier = int(rows * split)

        (found,) = judge_source("shop", spec, history(usual) | {SUNDAY: earlier}, {SUNDAY: rows - earlier}, SUNDAY)

        wanted = "empty" if rows == 0 else "excess" if rows >= factor * usual else "usual"
        assert found.verdict == wanted
