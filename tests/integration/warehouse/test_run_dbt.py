"""A real dbt child: what fails in it becomes one error that names the nodes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import duckdb
import pytest

from tests.integration.dbt.conftest import Lake
from userops.config import Settings
from userops.errors import BuildError
from userops.ingest.control_tables import CONTROL_COLUMNS
from userops.warehouse.dbt import run_dbt

DAY = date(2024, 1, 9)


def test_a_failing_model_a_failing_data_test_and_a_wrong_command(instance: Callable[..., Settings]) -> None:
    settings = instance()
    lake = Lake(settings.paths.lake, settings.tz)
    lake.reset()
    lake.set_control("ingest_batches", [[None for _ in CONTROL_COLUMNS["ingest_batches"]]])
    unbound = settings.paths.lake / "control" / "identity_unbind.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"copy (select 1 as something_else) to '{unbound}' (format parquet)")
    staging = ["stg_ingest_batches", "stg_identity_unbind", "stg_event_taxonomy"]

    with pytest.raises(BuildError) as failed:
        run_dbt(settings, DAY, select=staging)

    assert "model.userops.stg_identity_unbind" in failed.value.found
    assert "anonymous_id" in failed.value.found
    assert "not_null_stg_ingest_batches_source" in failed.value.found
    assert "(1 failing rows)" in failed.value.found
    assert "stg_event_taxonomy" not in failed.value.found

    parsed = settings.paths.dbt_target / "partial_parse.msgpack"
    parsed_at = parsed.stat().st_mtime_ns
    manifest = settings.paths.dbt_target / "manifest.json"
    written_at = manifest.stat().st_mtime_ns
    # The next run is another day's: it parses nothing anew, writes nothing of the project, and finds everything mended.
    lake.reset()
    done = run_dbt(settings, date(2024, 1, 10), select=staging)
    assert done.counts["model"] == len(staging)
    assert set(done.statuses.values()) == {"success", "pass"}
    assert parsed.stat().st_mtime_ns == parsed_at
    assert manifest.stat().st_mtime_ns == written_at

    with pytest.raises(BuildError, match="nobody_wrote_this"):
        run_dbt(settings, DAY, selector="nobody_wrote_this")
    with pytest.raises(BuildError, match="biuld") as mistyped:
        run_dbt(settings, DAY, command=["biuld"])
    assert mistyped.value.expected == "a dbt command that ends without an error"
