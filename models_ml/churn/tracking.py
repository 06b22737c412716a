"""MLflow beside the folder of models: one run per training, and the registered model `<project>-churn` with aliases.

The folder is what serves; MLflow is where a data scientist compares trainings. A tracking server that does not answer,
or a damaged local store, costs a warning, never a training. MLflow's own file store is closed for new use, so the local
store is SQLite.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from models_ml.churn.registry import Aliases
from userops.config import Settings

log = structlog.get_logger(__name__)

_VERSION_TAG = "userops_version"


def record(settings: Settings, folder: Path, metrics: Mapping[str, Any], config: Mapping[str, Any]) -> str | None:
    """Record one training with all files of `folder` as artefacts; return a warning when that failed.

    The same version is recorded once, however often it is trained.
    """
    version = folder.name

    def work(client: Any) -> None:
        if _model_version(client, settings, version) is not None:
            return
        run = client.create_run(_experiment(client, settings), run_name=version, tags={_VERSION_TAG: version})
        run_id = run.info.run_id
        for name, value in _flat("", config).items():
            client.log_param(run_id, name, value)
        for candidate, figures in metrics["candidates"].items():
            for metric, value in figures["mean"].items():
                client.log_metric(run_id, f"{candidate}.{metric}", value)
            for step, at_origin in enumerate(figures["by_origin"]):
                client.log_metric(run_id, f"{candidate}.auc_by_origin", at_origin["auc"], step=step)
        client.log_artifacts(run_id, str(folder), "model")
        client.set_terminated(run_id)
        name = _name(settings)
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name, description="Churn model 流失模型")
        client.create_model_version(name, f"{run.info.artifact_uri}/model", run_id, tags={_VERSION_TAG: version})

    return _in_store(settings, work)


def point(settings: Settings, aliases: Aliases) -> str | None:
    """Let MLflow's aliases name the same versions as the folder's; return a warning when that failed."""

    def work(client: Any) -> None:
        name = _name(settings)
        for alias, version in (("champion", aliases.champion), ("challenger", aliases.challenger)):
            found = None if version is None else _model_version(client, settings, version)
            if found is not None:
                client.set_registered_model_alias(name, alias, found)
            elif client.search_registered_models(f"name = '{name}'"):
                client.delete_registered_model_alias(name, alias)

    return _in_store(settings, work)


def _in_store(settings: Settings, work: Callable[[Any], None]) -> str | None:
    """Do `work` with a client, telemetry off; what goes wrong with the store is logged and becomes a warning."""
    if not settings.mlflow.enabled:
        return None
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    from mlflow import MlflowClient

    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    uri = settings.mlflow.tracking_uri
    if uri is None:
        settings.paths.models.mkdir(parents=True, exist_ok=True)
        uri = f"sqlite:///{settings.paths.mlflow_db}"
    try:
        work(MlflowClient(tracking_uri=uri, registry_uri=uri))
    except Exception as error:  # noqa: BLE001
        # A side record must not fail the step, and its stores raise what their drivers do: SQLAlchemy's and alembic's
        # errors of a damaged database, those of an HTTP client. By now the champion may have changed.
        log.warning("MLflow could not be written", kind=type(error).__name__, error=str(error)[:500])
        return "MLflow did not take the training's record (see the log); the model itself is saved and serves"
    return None


def _experiment(client: Any, settings: Settings) -> str:
    name = _name(settings)
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    local = settings.mlflow.tracking_uri is None
    return str(client.create_experiment(name, settings.paths.mlflow_artifacts.as_uri() if local else None))


def _model_version(client: Any, settings: Settings, version: str) -> str | None:
    """Return MLflow's number of a version; None when it has none."""
    found = client.search_model_versions(f"name = '{_name(settings)}' and tags.{_VERSION_TAG} = '{version}'")
    return str(found[0].version) if found else None


def _name(settings: Settings) -> str:
    return f"{settings.project.name}-churn"


def _flat(prefix: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Return nested settings as parameters, `a.b`; long texts are cut, MLflow's limit is 6000."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flat(f"{prefix}{name}.", value))
        else:
            flat[f"{prefix}{name}"] = str(value)[:500]
    return flat
