"""The steps `train` and `score`, as the DAGs and the command line call them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import structlog

from userops.errors import ModelError
from userops.steps import StepContext, StepReport

log = structlog.get_logger(__name__)


def train(ctx: StepContext) -> StepReport:
    """Train the churn model on dates whose horizon has passed at `ctx.as_of`, and make it the one that serves.

    Raises:
        ModelError: too little history, too few users, or one class only; the serving model stays.
        BuildError: dbt could not build features or labels.
    """
    from models_ml.churn.dataset import first_activity_date, plan_observations, read_labelled
    from models_ml.churn.registry import Registry
    from models_ml.churn.train import train_model
    from userops.warehouse.connect import read_warehouse
    from userops.warehouse.dbt import run_dbt

    settings = ctx.settings
    with read_warehouse(settings) as connection:
        first = first_activity_date(connection)
    if first is None:
        raise ModelError(
            "train", "no identified user with an active day", "a warehouse with activity",
            "load exports and run `userops build` first",
        )  # fmt: skip
    plan = plan_observations(ctx.as_of, first, settings.churn)
    log.info("observation dates", serving=_listed(plan.serving), measuring=plan.splits[0].note)
    run_dbt(settings, ctx.as_of, selector="training", extra_vars={"feature_dates": _listed(plan.all_dates)})
    with read_warehouse(settings) as connection:
        observations = read_labelled(connection, plan.all_dates)
    artefact = train_model(observations, plan, settings, ctx.as_of)
    registry = Registry(settings.paths.models / "churn")
    folder = registry.save(artefact)
    registry.promote(artefact.version)
    served = str(artefact.metrics["served"])
    quality = artefact.metrics["candidates"][served]
    return StepReport(
        summary=(
            f"trained {artefact.version} ({served}) on {artefact.data['serving_rows']} user-dates; "
            f"AUC {quality['auc']:.3f} when measured ({artefact.config['split']})"
        ),
        counts={
            "user_dates": len(observations),
            "features_used": len(artefact.model.features),
            "features_dropped": len(artefact.dropped),
            **{
                f"{metric}_{name}": figures[metric]
                for name, figures in artefact.metrics["candidates"].items()
                for metric in ("auc", "log_loss", "calibration_error", "lift_at_list")
            },
        },
        outputs={"model": str(folder), "model_card": str(folder / "model_card.md")},
        warnings=_training_warnings(artefact.metrics, str(artefact.config["split"]), artefact.dropped),
    )


def score(ctx: StepContext) -> StepReport:
    """Score the users of `ctx.as_of` with the serving model and replace that date's file in the lake.

    Without a model one is trained first. When that is impossible the run goes on with a warning and without new
    scores: the lists of earlier days stay as they are.

    Raises:
        ModelError: the serving model cannot be read, or does not fit the features.
        BuildError: nothing was built yet, or dbt failed.
    """
    from models_ml.churn.dataset import has_features, read_batches
    from models_ml.churn.registry import Registry
    from models_ml.churn.score import BATCH_ROWS, score_day
    from userops.warehouse.connect import read_warehouse
    from userops.warehouse.dbt import run_dbt

    settings = ctx.settings
    registry = Registry(settings.paths.models / "churn")
    warnings: list[str] = []
    version = registry.champion_version()
    if version is None:
        log.info("no churn model yet: training one first")
        try:
            warnings += train(ctx).warnings
        except ModelError as error:
            return StepReport(
                summary=f"no churn scores for {ctx.as_of}: no model can be trained yet",
                warnings=[f"no churn scores for {ctx.as_of}; earlier lists stay as they are. {error}"],
            )
        version = registry.champion_version()
        assert version is not None
    model = registry.load(version)
    if not has_features(settings, ctx.as_of):
        log.info("no features at this date yet: building them", as_of=ctx.as_of.isoformat())
        run_dbt(settings, ctx.as_of, selector="features")
    with read_warehouse(settings) as connection:
        batches = read_batches(connection, ctx.as_of, BATCH_ROWS)
        scored = score_day(batches, model, version, settings.paths.scores, ctx.as_of, settings.project.currency)
    if scored.file is None:
        warnings.append(
            f"nobody to score at {ctx.as_of}: no identified user was active in the last "
            f"{settings.churn.active_window_days} days; earlier lists stay as they are"
        )
        return StepReport(f"no users to score at {ctx.as_of}", {"users": 0}, warnings=warnings)
    return StepReport(
        summary=(
            f"scored {scored.users} users at {ctx.as_of} with {version}: {scored.expected_churners:.0f} likely to leave"
        ),
        counts={"users": scored.users, "expected_churners": round(scored.expected_churners, 1)},
        outputs={"scores": str(scored.file)},
        warnings=warnings,
    )


def _training_warnings(measured: Mapping[str, Any], split_note: str, dropped: Mapping[str, str]) -> list[str]:
    warnings = []
    if measured["scheme"] != "dates":
        warnings.append(f"churn model: {split_note}")
    if not measured["beats_baselines"]:
        warnings.append(
            f"churn model: LightGBM did not beat the baselines on the last date; `{measured['served']}` serves"
        )
    if dropped:
        warnings.append(f"churn model: {len(dropped)} features say nothing here and are left out: {', '.join(dropped)}")
    return warnings


def _listed(dates: tuple[date, ...]) -> list[str]:
    return [day.isoformat() for day in dates]
