"""The gate against leakage: features of a past date, built again from a lake cut off at that date, must be the same.

Features are built with everything the warehouse knows; that they have not looked past their observation date is shown,
not assumed. One date is built a second time in a warehouse of its own whose as-of date is the observation date, and
both are compared value by value. A training whose features fail stops here.
"""

from __future__ import annotations

import shutil
from datetime import date
from typing import TYPE_CHECKING, Any

import structlog

from userops.errors import ModelError

if TYPE_CHECKING:
    from userops.config import Settings

log = structlog.get_logger(__name__)


def check_no_leakage(settings: Settings, observed: date) -> None:
    """Build the features of `observed` again as that evening would have, and compare.

    Raises:
        ModelError: a feature differs; the error names features and users.
        BuildError: dbt failed.
    """
    from userops.warehouse.dbt import run_dbt

    scratch = settings.paths.warehouse_dir / "leakage_check"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        (scratch / "lake").symlink_to(settings.paths.lake.resolve(), target_is_directory=True)
        cut_off = settings.model_copy(update={"home": scratch})
        run_dbt(cut_off, observed, command=("run",), select=["+int_churn_features"])
        compare(settings, cut_off, observed)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def compare(settings: Settings, cut_off: Settings, observed: date) -> None:
    """Compare the features of `observed` in both warehouses.

    Raises:
        ModelError: they differ.
    """
    now, then = _features(settings, observed), _features(cut_off, observed)
    if now.equals(then):
        log.info("features have not seen the future", as_of=observed.isoformat(), users=now.num_rows)
        return
    raise ModelError(
        f"features at {observed}", _difference(now, then), "the same features from a lake that ends on that date",
        "find what looks past its observation date in dbt_project/models/intermediate/churn; no model was trained",
    )  # fmt: skip


def _features(settings: Settings, observed: date) -> Any:
    from userops.warehouse.connect import read_warehouse

    with read_warehouse(settings) as connection:
        query = f"select * from int_churn_features where as_of_date = date '{observed}' order by user_id"
        table = connection.sql(query).to_arrow_table()
    return table.select(sorted(table.column_names))


def _difference(now: Any, then: Any) -> str:
    users_now, users_then = (set(table.column("user_id").to_pylist()) for table in (now, then))
    if users_now != users_then:
        some = ", ".join(sorted(users_now ^ users_then)[:5])
        return f"{len(users_now)} users, {len(users_then)} without later data; for instance {some}"
    names = sorted(set(now.column_names) | set(then.column_names))
    differing = [
        name
        for name in names
        if name not in now.column_names
        or name not in then.column_names
        or not now.column(name).equals(then.column(name))
    ]
    return f"other values of {', '.join(differing)} for the same users"
