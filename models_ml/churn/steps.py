"""The steps `train`, `score` and `model_health`, as the DAGs and the command line call them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import structlog

from userops.errors import ModelError, TooLittleHistoryError
from userops.steps import StepContext, StepReport

log = structlog.get_logger(__name__)


def train(ctx: StepContext) -> StepReport:
    """Train the churn model on dates whose horizon has passed at `ctx.as_of`; make it champion or challenger.

    Raises:
        TooLittleHistoryError: too little history, too few users, or one class only; the serving model stays.
        ModelError: features have seen the future; the serving model stays.
        BuildError: dbt could not build features or labels.
    """
    from models_ml.churn import tracking
    from models_ml.churn.dataset import first_activity_date, plan_observations, read_histories, read_labelled
    from models_ml.churn.leakage import check_no_leakage
    from models_ml.churn.levels import read_levels
    from models_ml.churn.promotion import judge
    from models_ml.churn.registry import CARD, Registry
    from models_ml.churn.rhythms import add_rhythm_features, fit_rhythms
    from models_ml.churn.train import train_model
    from userops.warehouse.connect import read_warehouse
    from userops.warehouse.dbt import run_dbt

    settings = ctx.settings
    churn = settings.churn
    with read_warehouse(settings) as connection:
        first = first_activity_date(connection)
    if first is None:
        raise TooLittleHistoryError(
            "train", "no identified user with an active day", "a warehouse with activity",
            "load exports and run `userops build` first",
        )  # fmt: skip
    plan = plan_observations(ctx.as_of, first, churn)
    log.info("observation dates", serving=_listed(plan.serving), backtest=plan.backtests[0].note)
    run_dbt(settings, ctx.as_of, selector="training", extra_vars={"feature_dates": _listed(plan.all_dates)})
    check_no_leakage(settings, plan.serving[-1])
    with read_warehouse(settings) as connection:
        stored = read_labelled(connection, plan.all_dates)
        histories = read_histories(connection, plan.all_dates)
        origins = [split.origin for backtest in plan.backtests for split in backtest.origins]
        levels = read_levels(connection, origins, first, ctx.as_of, churn)
    rhythms = fit_rhythms(histories, plan.all_dates, churn.horizon_days)
    observations = add_rhythm_features(stored, rhythms)
    trained = train_model(observations, plan, settings, ctx.as_of, levels, rhythms)
    artefact = trained.artefact
    registry = Registry(settings.paths.models / "churn")
    champion = registry.serving_version(ctx.as_of)
    folder = registry.save(artefact)
    verdict = judge(
        artefact,
        trained.judged,
        registry.load(champion) if champion else None,
        champion,
        registry.read_json(champion, "config.json")["churn"] if champion else {},
        observations,
        levels,
        settings,
    )
    if verdict.promote:
        registry.promote(artefact.version, ctx.as_of, verdict.why)
    else:
        registry.challenge(artefact.version)
    unrecorded = tracking.record(settings, folder, artefact.metrics, artefact.config)
    unrecorded = tracking.point(settings, registry.aliases()) or unrecorded
    served = str(artefact.metrics["served"])
    quality = artefact.metrics["candidates"][served]["mean"]
    return StepReport(
        summary=(
            f"trained {artefact.version} ({served}) on {artefact.data['serving_rows']} user-dates; AUC "
            f"{quality['auc']:.3f} ({artefact.config['backtest']}); "
            + (f"champion: {verdict.why}" if verdict.promote else f"challenger of {champion}: {verdict.why}")
        ),
        counts={
            "user_dates": len(observations),
            "origins": len(trained.judged),
            "features_used": len(artefact.model.features),
            "features_dropped": len(artefact.dropped),
            "promoted": int(verdict.promote),
            **{
                f"{metric}_{name}": figures["mean"][metric]
                for name, figures in artefact.metrics["candidates"].items()
                for metric in ("auc", "log_loss", "calibration_error", "lift_at_list")
            },
        },
        outputs={"model": str(folder), "model_card": str(folder / CARD)},
        warnings=[
            *_training_warnings(artefact.metrics, artefact.config, artefact.dropped, churn.backtest_origins),
            *([unrecorded] if unrecorded else []),
        ],
    )


def score(ctx: StepContext) -> StepReport:
    """Score the users of `ctx.as_of` with the serving model and replace that date's files in the lake.

    Without a model trained by then one is trained first. When there is too little history for one, the run goes on with
    a warning and without new scores: the lists of earlier days stay as they are.

    Raises:
        ModelError: the serving model cannot be read, or does not fit the features; or the first training failed for
            another reason than too little history, such as features that have seen the future.
        BuildError: nothing was built yet, or dbt failed.
    """
    from models_ml.churn.dataset import DayFeatures, first_activity_date, has_features
    from models_ml.churn.drift import LARGE, SCORE
    from models_ml.churn.levels import read_levels
    from models_ml.churn.registry import Registry
    from models_ml.churn.score import ServedModel, score_day
    from userops.warehouse.connect import read_warehouse
    from userops.warehouse.dbt import run_dbt

    settings = ctx.settings
    registry = Registry(settings.paths.models / "churn")
    warnings: list[str] = []
    version = registry.serving_version(ctx.as_of)
    if version is None:
        log.info("no churn model yet: training one first")
        try:
            warnings += train(ctx).warnings
        except TooLittleHistoryError as error:
            return StepReport(
                summary=f"no churn scores for {ctx.as_of}: no model can be trained yet",
                warnings=[f"no churn scores for {ctx.as_of}; earlier lists stay as they are. {error}"],
            )
        version = registry.serving_version(ctx.as_of)
        assert version is not None
    model = registry.load(version)
    if not has_features(settings, ctx.as_of):
        log.info("no features at this date yet: building them", as_of=ctx.as_of.isoformat())
        run_dbt(settings, ctx.as_of, selector="features")
    declined = _decline(ctx, registry, version)
    with read_warehouse(settings) as connection:
        first = first_activity_date(connection)
        expected = None
        if first is not None:
            expected = read_levels(connection, [ctx.as_of], first, ctx.as_of, settings.churn).expected(ctx.as_of)
        served = ServedModel(model, version, registry.references(version), expected, declined is not None)
        users = DayFeatures(connection, ctx.as_of)
        scored = score_day(users, served, settings.paths.scores, ctx.as_of, settings.project.currency)
    if scored.file is None:
        warnings.append(
            f"nobody to score at {ctx.as_of}: no identified user was active in the last "
            f"{settings.churn.active_window_days} days; earlier lists stay as they are"
        )
        return StepReport(f"no users to score at {ctx.as_of}", {"users": 0}, warnings=warnings)
    moved = [row["feature"] for row in scored.drift if row["psi"] > LARGE]
    if SCORE in moved:
        warnings.append(f"churn model: scores have moved away from training (PSI above {LARGE}); train again")
    if declined:
        warnings.append(f"churn model {version} is degraded, {declined}; train again or roll back")
    level = "of the model" if expected is None else f"of the season, {expected:.1%}"
    return StepReport(
        summary=(
            f"scored {scored.users} users at {ctx.as_of} with {version}: {scored.expected_churners:.0f} likely to "
            f"leave (level {level})"
        ),
        counts={
            "users": scored.users,
            "expected_churners": round(scored.expected_churners, 1),
            "features_drifted": len([name for name in moved if name != SCORE]),
        },
        outputs={"scores": str(scored.file)},
        warnings=warnings,
    )


def model_health(ctx: StepContext) -> StepReport:
    """Say whether the model that serves `ctx.as_of` is as good as its backtest promised.

    Raises:
        ModelError: it is not.
    """
    from models_ml.churn.registry import Registry

    registry = Registry(ctx.settings.paths.models / "churn")
    version = registry.serving_version(ctx.as_of)
    if version is None:
        return StepReport("no churn model yet")
    declined = _decline(ctx, registry, version)
    if declined:
        raise ModelError(
            version, declined, "the quality of its backtest",
            "train again with `userops train`, or go back with `userops models rollback`; the list is out, marked",
        )  # fmt: skip
    return StepReport(f"{version} is not known to have declined")


def _decline(ctx: StepContext, registry: Any, version: str) -> str | None:
    from models_ml.churn.watch import decline, read_realised
    from userops.warehouse.connect import read_warehouse

    with read_warehouse(ctx.settings) as connection:
        realised = read_realised(connection, version, ctx.as_of)
    return decline(registry.read_json(version, "metrics.json"), realised, ctx.settings.churn.max_calibration_error)


def _training_warnings(
    measured: Mapping[str, Any], config: Mapping[str, Any], dropped: Mapping[str, str], origins_wanted: int
) -> list[str]:
    warnings = []
    if measured["scheme"] != "dates" or len(measured["origins"]) < origins_wanted:
        warnings.append(f"churn model: {config['backtest']}")
    if not measured["beats_baselines"]:
        warnings.append(
            f"churn model: LightGBM did not beat the baselines over the origins; `{measured['served']}` serves"
        )
    if dropped:
        warnings.append(f"churn model: {len(dropped)} features say nothing here and are left out: {', '.join(dropped)}")
    return warnings


def _listed(dates: tuple[date, ...]) -> list[str]:
    return [day.isoformat() for day in dates]
