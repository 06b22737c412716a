"""What is expected of the accounts of ingest: what was read is accounted for, and what was noticed is told."""

from __future__ import annotations

from expectations.checks import Suite, between, in_set, where
from expectations.tables import Tables

STATES = ("committed", "retired")
SEVERITIES = ("error", "warning", "info")


def suites(tables: Tables) -> list[Suite]:
    """Return the suites of this domain for the tables that are built."""
    found = tables.suite(
        "agg_ingest_reconciliation", "Accounts of ingest", "入湖行数核对", ["entity", "batch_id"],
        [
            where("rows_read <> rows_loaded + rows_deduplicated + rows_quarantined + rows_filtered",
                  ("rows_read", "rows_loaded", "rows_deduplicated", "rows_quarantined", "rows_filtered"),
                  "rows read = loaded + deduplicated + quarantined + filtered, for every file",
                  "每个文件：读取行数 = 入湖 + 去重 + 隔离 + 过滤"),
            where("rows_dropped > rows_filtered", ("rows_dropped", "rows_filtered"),
                  "rows dropped from quarantine are part of the filtered ones", "从隔离区丢弃的行计入过滤行"),
            in_set("state", STATES, "a batch is committed or retired", "批次状态为 committed 或 retired"),
            where("(state = 'retired') <> (retired_seq is not null)", ("state", "retired_seq"),
                  "a batch that was replaced says when", "被替换的批次都注明替换序号"),
        ],
    )  # fmt: skip
    found += tables.suite(
        "agg_source_notes", "Notes about sources", "数据源提示",
        ["as_of_date", "source", "step", "kind", "file_path", "message"],
        [in_set("severity", SEVERITIES, "severity is error, warning or info", "严重程度为 error、warning、info 之一")],
    )  # fmt: skip
    found += tables.suite(
        "agg_late_data", "Late rows", "迟到数据", ["source", "entity", "as_of_date", "days_late"],
        [
            where("days_late <> date_diff('day', event_date, as_of_date)", ("event_date", "as_of_date", "days_late"),
                  "days late = the run's business date - the rows' own", "迟到天数 = 运行业务日期 - 数据业务日期"),
            where("replacing_rows < 0 or replacing_rows > loaded_rows", ("replacing_rows", "loaded_rows"),
                  "rows that replace others are part of the rows", "替换行数不超过入湖行数"),
            between("share_of_run", "a share lies between 0 and 1", "占比在 0 与 1 之间", 0, 1),
            where("days_late <= 0 and dates_restated > 0", ("days_late", "dates_restated"),
                  "only late rows restate a date", "仅迟到数据才会重述业务日期"),
            where("(days_late <= 0 or is_first_load) and sessions_restated > 0",
                  ("days_late", "is_first_load", "sessions_restated"),
                  "only late rows, and no first load, restate sessions", "仅迟到数据才会重述会话；首次加载不重述"),
        ],
    )  # fmt: skip
    return found
