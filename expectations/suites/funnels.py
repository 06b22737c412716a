"""What is expected of funnels: entries, conversions that only ever go down, segments that add up."""

from __future__ import annotations

from expectations.checks import Suite, between, no_rows, where
from expectations.tables import Tables

_COHORT = "funnel_id, cohort_date, segment_type, segment_value"


def suites(tables: Tables) -> list[Suite]:
    """Return the suites of this domain for the tables that are built."""
    found = tables.suite(
        "fct_funnel_progress", "Funnel entries", "漏斗进度", ["funnel_id", "user_id", "entry_number"],
        [
            between("max_step", "every entry reached step 1", "每次进入至少到达第 1 步", minimum=1),
            where("step_1_at < entered_at", ("entered_at", "step_1_at"),
                  "the attempt that got furthest does not start before its entry", "最佳一次尝试不早于进入时间"),
        ],
    )  # fmt: skip
    found += tables.suite(
        "agg_funnel_conversion", "Funnel conversion", "漏斗转化",
        ["funnel_id", "cohort_date", "segment_type", "segment_value", "step_number"],
        [
            tables.not_after("cohort_date"),
            where("reached > entered or reached < 0", ("entered", "reached"),
                  "no step is reached by more than entered", "到达人次不超过进入人次"),
            where("step_number = 1 and reached <> entered", ("step_number", "entered", "reached"),
                  "everybody who entered reached step 1", "进入即到达第 1 步"),
            between("step_conversion", "a conversion lies between 0 and 1", "转化率在 0 与 1 之间", 0, 1),
            between("overall_conversion", "a conversion lies between 0 and 1", "转化率在 0 与 1 之间", 0, 1),
            no_rows(
                f"select * from (select *, lag(reached) over (partition by {_COHORT} order by step_number) "
                "as reached_before from {batch}) as steps where reached > reached_before",
                ("step_number", "reached"),
                "no step is reached by more than the step before", "后一步到达人次不超过前一步"),
        ],
    )  # fmt: skip
    return found
