"""The search for LightGBM's parameters: small, bounded, seeded, on data older than everything it is judged on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from models_ml.churn.dataset import Bools, Floats
from models_ml.churn.learners import TREE_PARAMETERS, fit_trees

#: Rows of each part the search looks at; more tell it little.
TUNING_ROWS = 15_000
#: A find has to be better than the defaults by this share of log loss: on a few thousand rows less is luck.
WORTH_A_CHANGE = 0.002
_TUNED = ("num_leaves", "min_data_in_leaf", "lambda_l2", "feature_fraction", "learning_rate")


def tune_trees(
    features: Sequence[str], train: tuple[Floats, Bools], later: tuple[Floats, Bools], seed: int, trials: int
) -> dict[str, Any]:
    """Return the parameters that replace defaults; empty where the search finds nothing clearly better.

    The first try is the defaults; the judge is log loss on `later`. The same arguments give the same answer.
    """
    if trials < 2:
        return {}
    import optuna
    from sklearn.metrics import log_loss

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    fitted_on, judged_on = _thinned(train, seed), _thinned(later, seed + 1)

    def loss(trial: Any) -> float:
        chosen = {
            "num_leaves": trial.suggest_int("num_leaves", 3, 31, log=True),
            "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 20, 300, log=True),
            "lambda_l2": trial.suggest_float("lambda_l2", 1.0, 100.0, log=True),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.2, 0.9),
            "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.1, log=True),
        }
        model = fit_trees(features, *fitted_on, seed, chosen, later=judged_on)
        return float(log_loss(judged_on[1], 1.0 / (1.0 + np.exp(-model.margin(judged_on[0])))))

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=5))
    study.enqueue_trial({name: TREE_PARAMETERS[name] for name in _TUNED})
    study.optimize(loss, n_trials=trials)
    by_default = study.trials[0].value
    if by_default is None or study.best_value > by_default * (1.0 - WORTH_A_CHANGE):
        return {}
    return {
        name: value if isinstance(value, int) else float(f"{value:.4g}") for name, value in study.best_params.items()
    }


def _thinned(part: tuple[Floats, Bools], seed: int) -> tuple[Floats, Bools]:
    matrix, churned = part
    if len(churned) <= TUNING_ROWS:
        return part
    rows = np.sort(np.random.default_rng(seed).choice(len(churned), TUNING_ROWS, replace=False))
    return matrix[rows], churned[rows]
