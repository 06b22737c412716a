"""What is expected of staged rows before they enter the lake, and of the accounts of the files they came from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from expectations.checks import Check, Consequence, Suite, between, no_rows, not_null, unique, where
from userops.contracts.entities import Entity
from userops.ingest.lake import NO_DATE
from userops.sqltext import identifier, literal

#: Amounts that the contract calls "not negative".
_NOT_NEGATIVE = ("discount_amount", "refund_amount")

_EN: dict[Consequence, str] = {
    "stop_day": "else the day stops",
    "leave_out": "else the source's new files are left out",
    "report": "else the source is red",
    "flag": "else a warning",
}
_ZH: dict[Consequence, str] = {
    "stop_day": "否则停止当日流程",
    "leave_out": "否则剔除该来源的新文件",
    "report": "否则该来源告警",
    "flag": "否则提示",
}
_VOLUME_EN = {
    "empty": "rows on the business date of the run, where the four weeks before let expect them",
    "excess": "fewer rows than the expected ones times volume.factor",
}
_VOLUME_ZH = {
    "empty": "按前四周的规律应有数据的业务日不为空",
    "excess": "行数低于预期的 volume.factor 倍",
}


def staged_entity_suite(
    entity: Entity, first: date, last: date, timezone: str, staged_table: str, lake_table: str | None
) -> Suite:
    """Return the suite of one entity's staged rows.

    Args:
        first: first business date that is let in; `last`: the last one.
        timezone: the project's time zone, in which business dates are counted.
        lake_table: view of the rows of the same business dates that are in the lake already; None when there are none.
    """
    checks = [
        *_required(entity),
        _one_of(entity),
        unique(
            ["event_date", entity.key, "_row_hash"],
            "no row twice within its business date",
            "同一业务日期内没有重复行",
        ),
        _not_loaded_before(entity, lake_table),
        _dates_in_bounds(entity, first, last),
        _dates_are_local(entity, timezone),
        *_amounts(entity),
        _properties(entity),
        not_null("_batch_id", "every row says which batch brought it", "每行都注明来源批次"),
    ]
    return Suite(
        name=staged_table,
        table=staged_table,
        title_en=f"Staged rows of {entity.name}",
        title_zh=f"待入湖数据：{entity.name}",
        checks=tuple(check for check in checks if check is not None),
        shown=("_source", "_batch_id", "_row_number", "event_date", entity.key),
    )


def staged_batches_suite() -> Suite:
    """Return the suite of the files' accounts: what was read is what was loaded, dropped, quarantined and filtered."""
    accounts = ("rows_read", "rows_loaded", "rows_deduplicated", "rows_quarantined", "rows_filtered")
    return Suite(
        name="staged_batches",
        table="staged_batches",
        title_en="Accounts of the staged files",
        title_zh="待入湖文件的行数核对",
        checks=(
            unique(["batch_id"], "every batch once", "批次不重复"),
            where(
                "rows_read <> rows_loaded + rows_deduplicated + rows_quarantined + rows_filtered",
                accounts,
                "rows read = loaded + deduplicated + quarantined + filtered, for every file",
                "每个文件：读取行数 = 入湖 + 去重 + 隔离 + 过滤",
            ),
            where(
                "least(rows_read, rows_loaded, rows_deduplicated, rows_quarantined, rows_filtered) < 0",
                accounts,
                "no negative number of rows",
                "行数不为负",
            ),
            where(
                "rows_loaded <> rows_in_files",
                ("rows_loaded", "rows_in_files"),
                "the staged Parquet files hold exactly the rows the ledger says",
                "待入湖 Parquet 文件的行数与台账一致",
            ),
            where(
                "rows_quarantined <> rows_in_quarantine",
                ("rows_quarantined", "rows_in_quarantine"),
                "the quarantine files hold exactly the rows the ledger says",
                "隔离文件的行数与台账一致",
            ),
        ),
        shown=("source", "file_path", "batch_id"),
    )


def staged_sources_suite(consequences: Iterable[Consequence]) -> Suite:
    """Return the suite of each source's quarantined share; files held whole are told elsewhere and do not count.

    Args:
        consequences: what the staged sources want done, as far as it occurs.
    """
    figures = ("rows_read", "rows_quarantined", "quarantined_share", "max_quarantine_share", "commonest_reason")
    return Suite(
        name="staged_sources",
        table="staged_sources",
        title_en="Quarantined share of each source",
        title_zh="各数据源隔离率",
        checks=tuple(
            where(
                f"quarantined_share > max_quarantine_share and consequence = {literal(consequence)}",
                figures,
                f"no source has more of its rows quarantined than max_quarantine_share; {_EN[consequence]}",
                f"各数据源的隔离率不超过上限 max_quarantine_share；{_ZH[consequence]}",
                consequence,
            )
            for consequence in consequences
        ),
        shown=("source",),
        figures=("source", *figures),
    )


def staged_volume_suite(consequences: Iterable[tuple[str, Consequence]]) -> Suite:
    """Return the suite of the rows of each judged source and business date, beside the expected ones.

    Args:
        consequences: (`empty` or `excess`, what the judged sources want done), as far as it occurs.
    """
    figures = ("business_date", "expected_rows", "actual_rows", "rows_staged", "verdict")
    return Suite(
        name="staged_volume",
        table="staged_volume",
        title_en="Rows per source and business date",
        title_zh="各数据源每日数据量",
        checks=tuple(
            where(
                f"verdict = {literal(verdict)} and consequence = {literal(consequence)}",
                figures,
                f"{_VOLUME_EN[verdict]}; {_EN[consequence]}",
                f"{_VOLUME_ZH[verdict]}；{_ZH[consequence]}",
                consequence,
            )
            for verdict, consequence in consequences
        ),
        shown=("source",),
        figures=("source", *figures, "consequence"),
    )


def strangers_suite() -> Suite:
    """Return the suite of staged files that no batch of the ledger accounts for."""
    return Suite(
        name="staged_files",
        table="staged_files",
        title_en="Staged files",
        title_zh="待入湖文件",
        checks=(
            no_rows(
                "select file_name, rows_in_file from {batch} "
                "where batch_id not in (select batch_id from staged_batches)",
                ("file_name",),
                "every staged file belongs to a batch of the ledger",
                "每个待入湖文件都属于台账中的批次",
            ),
        ),
    )


def _required(entity: Entity) -> list[Check]:
    names = [entity.key, *(column.name for column in entity.stored_columns if column.required)]
    return [not_null(name, f"{name} is always there", f"{name} 不为空") for name in dict.fromkeys(names)]


def _one_of(entity: Entity) -> Check | None:
    if not entity.one_of:
        return None
    condition = " and ".join(f"{identifier(name)} is null" for name in entity.one_of)
    listed = ", ".join(entity.one_of)
    return where(condition, entity.one_of, f"at least one of {listed} is there", f"{listed} 至少有一个不为空")


def _not_loaded_before(entity: Entity, lake_table: str | None) -> Check | None:
    if lake_table is None:
        return None
    key = ["event_date", entity.key, "_row_hash"]
    names = ", ".join(identifier(name) for name in key)
    return no_rows(
        f"select * from {{batch}} as staged semi join {identifier(lake_table)} as loaded using ({names})",
        key,
        "no row that is in the lake already",
        "没有已经入湖的行",
    )


def _dates_in_bounds(entity: Entity, first: date, last: date) -> Check:
    if any(entity.column(name).required for name in entity.time_columns):
        return between(
            "event_date", f"business dates from {first} to {last}", f"业务日期在 {first} 至 {last} 之间", first, last
        )
    return where(
        f"event_date <> {literal(NO_DATE)} and event_date not between {literal(first)} and {literal(last)}",
        ("event_date", *entity.time_columns),
        f"business dates from {first} to {last}, or none where the row has no time",
        f"业务日期在 {first} 至 {last} 之间；无时间的行没有业务日期",
    )


def _dates_are_local(entity: Entity, timezone: str) -> Check:
    times = ", ".join(identifier(name) for name in entity.time_columns)
    local = f"cast(timezone({literal(timezone)}, timezone('UTC', coalesce({times}))) as date)"
    return where(
        f"event_date <> coalesce({local}, {literal(NO_DATE)})",
        ("event_date", *entity.time_columns),
        f"the business date is the local date in {timezone}",
        f"业务日期等于 {timezone} 的当地日期",
    )


def _properties(entity: Entity) -> Check | None:
    if "properties" not in entity.column_names:
        return None
    return where(
        "properties is not null and coalesce(json_type(try_cast(properties as json)), '') <> 'OBJECT'",
        (),  # no sample of them: nobody knows what they hold
        "properties are a JSON object",
        "properties 为 JSON 对象",
    )


def _amounts(entity: Entity) -> list[Check]:
    return [
        between(name, f"{name} is not negative", f"{name} 不为负", minimum=0)
        for name in entity.column_names
        if name in _NOT_NEGATIVE
    ]
