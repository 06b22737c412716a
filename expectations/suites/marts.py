"""What is expected of the marts before people see them: every domain's suites, and those about all tables at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

from expectations.checks import Suite, no_rows, row_count
from expectations.runner import is_personal_column
from expectations.suites import (
    behaviour,
    churn,
    contacts,
    funnels,
    growth,
    identity,
    ingest,
    lifecycle,
    orders,
    persona,
    retention,
    segments,
    users,
)
from expectations.tables import Tables
from userops.config import Settings
from userops.sqltext import literal

#: Tables that BI and the lists rely on. A run that does not build them all is not published.
CONTRACT_TABLES = (
    "dim_users", "fct_sessions", "fct_user_days", "fct_orders", "fct_order_items", "dim_user_personas",
    "dim_user_personas_history", "fct_user_tiers", "fct_user_tier_moves", "fct_user_tags",
    "fct_lifecycle_stages", "agg_lifecycle_daily", "agg_growth_accounting", "fct_funnel_progress",
    "agg_funnel_conversion", "agg_engagement_daily", "fct_churn_scores", "churn_warning_list", "winback_list",
    "agg_ingest_reconciliation", "agg_retention_cohorts", "agg_repeat_purchase", "agg_purchase_numbers",
    "agg_activation_candidates", "agg_referrals", "agg_user_paths", "dim_dates",
    "agg_lifecycle_transitions", "agg_growth_accounting_by_segment", "dim_product_stage",
    "agg_aarrr_monthly", "export_crm_contacts",
)  # fmt: skip
#: In the order in which the report shows them.
_DOMAINS = (
    users, persona, segments, identity, orders, behaviour, contacts, lifecycle, growth, retention, funnels, ingest,
)  # fmt: skip
#: Largest share of its published rows a table may lose in one run that does not go back in time.
MAX_ROW_LOSS = 0.5
#: Tables with fewer published rows than this are not judged by their loss.
_FEWEST_ROWS = 100
#: Tables that may shrink by their nature: today's list says nothing about yesterday's length, and an unbind list or a
#: higher limit ends hubs; paths and activation candidates look at the last weeks only.
_MAY_SHRINK = frozenset(
    {
        "churn_warning_list",
        "export_churn_warning_list",
        "winback_list",
        "export_winback_list",
        "fct_user_tags",
        "agg_identity_hubs",
        "agg_user_paths",
        "agg_activation_candidates",
    }
)


def marts_suites(
    settings: Settings,
    as_of: date,
    built: Mapping[str, str],
    columns: Collection[str],
    published_rows: Mapping[str, int],
) -> list[Suite]:
    """Return the suites for the marts in the warehouse.

    Args:
        built: schema by name of the marts that are in the warehouse.
        columns: names of all columns in the warehouse, whatever their table.
        published_rows: rows by table of what is published now; empty when nothing is, or the run goes back in time.
    """
    tables = Tables(built, as_of)
    suites = [_contract(built), _no_personal_data(columns)]
    for domain in _DOMAINS:
        suites += domain.suites(tables)
    suites += churn.suites(tables, settings.warning_list, settings.winback_list, settings.outreach)
    kept = [suite for suite in suites if suite.schema != "information_schema"]
    return [suite for suite in suites if suite not in kept] + [
        _with_row_count(suite, published_rows.get(suite.table, 0)) for suite in kept
    ]


def _contract(built: Mapping[str, str]) -> Suite:
    wanted = ", ".join(f"({literal(name)})" for name in CONTRACT_TABLES)
    present = ", ".join(literal(name) for name in built) or "null"
    return Suite(
        name="published_tables",
        table="tables",
        schema="information_schema",
        title_en="Tables of the contract",
        title_zh="约定的数据表",
        checks=(
            no_rows(
                f"select * from (values {wanted}) as contract (missing_table) "
                f"where missing_table not in ({present}) and (select count(*) from {{batch}}) >= 0",
                ("missing_table",),
                "every table of the contract is built",
                "约定的数据表均已生成",
            ),
        ),
    )


def _no_personal_data(columns: Collection[str]) -> Suite:
    names = ", ".join(literal(name) for name in sorted(columns) if is_personal_column(name)) or "null"
    return Suite(
        name="no_personal_data",
        table="columns",
        schema="information_schema",
        title_en="No personal data in the warehouse",
        title_zh="数仓不含个人信息",
        checks=(
            no_rows(
                "select table_schema, table_name, column_name from {batch} "
                f"where column_name in ({names}) and table_schema not in ('information_schema', 'pg_catalog')",
                ("column_name",),
                "no column named like personal data (name, phone, e-mail, address, ...) in any table",
                "任何表都没有姓名、手机号、邮箱、地址等个人信息字段",
            ),
        ),
    )


def _with_row_count(suite: Suite, published: int) -> Suite:
    if published < _FEWEST_ROWS or suite.table in _MAY_SHRINK:
        return suite
    fewest = int(published * (1 - MAX_ROW_LOSS))
    check = row_count(
        f"not fewer than {fewest:,} rows: {published:,} are published, a loss of over {MAX_ROW_LOSS:.0%} is a fault",
        f"不少于 {fewest:,} 行：当前已发布 {published:,} 行，减少超过 {MAX_ROW_LOSS:.0%} 视为异常",
        minimum=fewest,
    )
    return Suite(
        suite.name, suite.table, suite.title_en, suite.title_zh, (*suite.checks, check), suite.schema, suite.shown
    )
