"""The dbt layers of the daily run, as steps."""

from __future__ import annotations

from userops.definitions.funnels import write_funnels
from userops.definitions.list_overrides import write_list_overrides
from userops.definitions.tags import write_tags
from userops.ingest.control import (
    write_batches,
    write_exchange_rates,
    write_notes,
    write_taxonomy,
    write_unbind,
)
from userops.ingest.lake import ensure_lake
from userops.ingest.ledger import open_ledger
from userops.steps import StepContext, StepReport
from userops.warehouse.dbt import DbtResult, run_dbt


def build_base(context: StepContext) -> StepReport:
    """Build and test everything that depends neither on churn scores nor on segments, as of the business date."""
    settings = context.settings
    ensure_lake(settings)
    write_taxonomy(settings)
    write_funnels(settings)
    write_tags(settings)
    write_unbind(settings)
    write_list_overrides(settings)
    write_exchange_rates(settings)
    with open_ledger(settings) as ledger:
        write_notes(settings, ledger)
        if ledger.batches():  # written by `load` already, but perhaps by one of an older version, with fewer columns
            write_batches(settings, ledger)
    return _report("staging, intermediate and marts", run_dbt(settings, context.as_of, selector="base"), context)


def build_features(context: StepContext) -> StepReport:
    """Build and test the churn features at the business date."""
    return _report("churn features", run_dbt(context.settings, context.as_of, selector="features"), context)


def build_lists(context: StepContext) -> StepReport:
    """Build and test scores, segments, personas, tags and the lists made from them."""
    return _report(
        "scores, segments, personas and lists", run_dbt(context.settings, context.as_of, selector="lists"), context
    )


def _report(what: str, result: DbtResult, context: StepContext) -> StepReport:
    counts: dict[str, int | float] = {kind: count for kind, count in result.counts.items() if kind != "operation"}
    built = ", ".join(f"{count} {kind.replace('_', ' ')}s" for kind, count in counts.items())
    return StepReport(
        summary=f"built {what} as of {context.as_of}: {built}",
        counts=counts,
        outputs={"warehouse": str(context.settings.paths.warehouse), "dbt_results": str(result.run_results)},
    )
