"""MLflow beside the folder: whatever goes wrong with it is a warning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from structlog.testing import capture_logs

from models_ml.churn import tracking
from models_ml.churn.registry import Aliases
from userops.config import Settings

METRICS: dict[str, Any] = {"candidates": {}}


def test_a_damaged_store_costs_a_warning(instance: Callable[..., Settings]) -> None:
    settings = instance()
    settings.paths.models.mkdir(parents=True)
    settings.paths.mlflow_db.write_bytes(b"no database at all" * 1000)
    folder = settings.paths.models / "churn" / "churn-20240701-000000000000"
    with capture_logs() as logged:
        told = [tracking.record(settings, folder, METRICS, {}), tracking.point(settings, Aliases())]
    assert all(warning is not None and "the model itself is saved and serves" in warning for warning in told)
    assert [entry["kind"] for entry in logged] == ["DatabaseError"] * 2
