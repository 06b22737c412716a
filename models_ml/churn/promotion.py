"""Whether a newly trained model takes the champion's place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from models_ml.churn.backtest import Judged
from models_ml.churn.dataset import Observations
from models_ml.churn.evaluate import calibration_error
from models_ml.churn.levels import Levels, shift_to
from models_ml.churn.registry import Artefact, ChurnModel, trained_as_of
from models_ml.churn.train import paired_auc_difference
from userops.config import Settings
from userops.errors import ModelError


@dataclass(frozen=True)
class Verdict:
    """The decision and its reason, for logs, the card and the history of aliases."""

    promote: bool
    why: str


def judge(
    artefact: Artefact,
    judged: Sequence[Judged],
    champion: ChurnModel | None,
    champion_version: str | None,
    champion_churn: dict[str, Any],
    observations: Observations,
    levels: Levels,
    settings: Settings,
) -> Verdict:
    """Compare the challenger with the champion on the origins that the champion has not seen.

    The challenger is judged by the models of its backtest, which had not seen them either. It wins when it ranks better
    by more than noise (95 % bootstrap interval of the AUC difference above 0) and is calibrated at the newest origin;
    or when the champion is out of calibration there while the challenger is not and ranks no worse. Without a champion,
    or when the champion answers another question than the settings ask now, it wins at once.
    """
    if champion is None or champion_version is None:
        return Verdict(True, "the first model")
    asked = {name: getattr(settings.churn, name) for name in ("active_window_days", "lead_days", "horizon_days")}
    if any(champion_churn.get(name) != value for name, value in asked.items()):
        return Verdict(True, "the champion answers another question than the settings ask now")
    limit = settings.churn.max_calibration_error
    own_error = float(artefact.metrics["calibration"][-1]["calibration_error"])
    seen_up_to = trained_as_of(champion_version)
    unseen = [one for one in judged if (one.origin - seen_up_to).days >= -settings.churn.lead_days]
    if not unseen:
        return Verdict(False, f"no origin yet that the champion has not seen: the first one will be {seen_up_to}")
    try:
        theirs = [_champion_at(champion, one, observations, levels) for one in unseen]
    except ModelError as error:
        return Verdict(True, f"the champion cannot be used any more: {error.found}")
    gain = paired_auc_difference(unseen, theirs, settings.churn.seed)
    told = (
        f"AUC difference {gain['difference']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}] at {len(unseen)} origins"
    )
    if own_error > limit:
        return Verdict(False, f"not calibrated: error {own_error:.3f} above {limit}; {told}")
    if gain["low"] > 0:
        return Verdict(True, f"ranks better than the champion: {told}")
    their_error = calibration_error(unseen[-1].churned, theirs[-1].probability)
    if their_error > limit and gain["high"] >= 0:
        return Verdict(True, f"the champion is out of calibration ({their_error:.3f} above {limit}); {told}")
    return Verdict(False, f"not better than the champion by more than noise: {told}")


def _champion_at(champion: ChurnModel, one: Judged, observations: Observations, levels: Levels) -> Judged:
    """Return the champion's answers for the users of an origin, in the challenger's order."""
    import numpy as np

    rows = observations.where(observations.as_of == np.datetime64(one.origin))
    order = {user: place for place, user in enumerate(rows.user_ids.tolist())}
    margin = champion.margin(rows)[[order[user] for user in one.user_ids.tolist()]]
    expected = levels.expected(one.origin)
    shift = None if expected is None else shift_to(champion.calibrator, margin, expected)
    return replace(one, margin=margin, probability=champion.probability(margin, shift))
