"""The step `segment`, as the DAG and the command line call it."""

from __future__ import annotations

import structlog

from userops.steps import StepContext, StepReport

log = structlog.get_logger(__name__)


def segment(ctx: StepContext) -> StepReport:
    """Put the users of `ctx.as_of` into segments and replace that date's files in the lake.

    The newest fit of an earlier date assigns, so that users do not jump from day to day; after `segments.refit_days`,
    or when the settings changed, a new fit is made that continues ids and names. Running a date again gives the same.
    With too few users the date has no segments, which is a warning: the day goes on.

    Raises:
        ModelError: the warehouse holds no personas of this date, or a fit cannot be read.
        BuildError: nothing was built yet.
    """
    from models_ml.segments.fit import fit_segments, is_due
    from models_ml.segments.registry import Registry
    from models_ml.segments.score import assign_day, forget_day
    from models_ml.segments.traits import read_people
    from userops.warehouse.connect import read_warehouse

    settings = ctx.settings.segments
    with read_warehouse(ctx.settings) as connection:
        people = read_people(connection, ctx.as_of, settings.active_window_days)
    if len(people) < settings.min_users:
        forget_day(ctx.settings.paths.scores, ctx.as_of)
        return _none(
            ctx,
            f"{len(people)} identified users were active in the last {settings.active_window_days} days, fewer than "
            f"{settings.min_users} (segments.min_users)",
        )
    registry = Registry(ctx.settings.paths.models / "segments")
    last = registry.latest_before(ctx.as_of)
    fit = last
    outputs = {}
    if fit is None or is_due(last, ctx.as_of, settings):
        log.info("fitting segments", users=len(people), follows=None if last is None else last.version)
        fit = fit_segments(people, ctx.as_of, settings, last)
        if fit is None:
            forget_day(ctx.settings.paths.scores, ctx.as_of)
            return _none(ctx, f"{len(people)} users are too much alike for {settings.min_segments} segments")
        outputs["model"] = str(registry.save(fit))
    assigned = assign_day(people, fit, ctx.settings.paths.scores, ctx.as_of)
    kept = 0 if last is None else len({one.id for one in fit.segments} & {one.id for one in last.segments})
    return StepReport(
        summary=(
            f"put {len(people)} users into {len(assigned.users)} segments at {ctx.as_of} with {fit.version}"
            + (f" (new fit, {kept} ids kept)" if outputs else "")
        ),
        counts={"users": len(people), "segments": len(assigned.users), "silhouette": fit.silhouette},
        outputs={**outputs, "segments": str(assigned.file)},
    )


def _none(ctx: StepContext, why: str) -> StepReport:
    return StepReport(
        f"no segments at {ctx.as_of}", {"users": 0, "segments": 0}, warnings=[f"no segments at {ctx.as_of}: {why}"]
    )
