"""Scoring: features of one date in, one Parquet file of probabilities and reasons out, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from models_ml.churn.dataset import Observations
from models_ml.churn.explain import REASONS, explain
from models_ml.churn.registry import ChurnModel

#: Users per batch: about 200 MB with features, contributions and texts.
BATCH_ROWS = 50_000


@dataclass(frozen=True)
class ScoredDay:
    """What was written for one as-of date.

    Attributes:
        file: None when there was nobody to score.
        expected_churners: sum of the probabilities.
    """

    file: Path | None
    users: int
    expected_churners: float


def score_day(
    batches: Iterable[Observations], model: ChurnModel, version: str, scores: Path, as_of: date, currency: str
) -> ScoredDay:
    """Score `batches` and replace what `scores` (lake/scores) holds for `as_of`.

    The new file takes its place in one step; files of other model versions for the same date go after that, so that a
    date has one version and repeating a date replaces it. With nobody to score the date is emptied.
    """
    folder = scores / "churn" / f"as_of_date={as_of.isoformat()}"
    target = folder / f"{version}.parquet"
    unfinished = folder / f".{version}.parquet.unfinished"
    folder.mkdir(parents=True, exist_ok=True)
    users, expected = _write(batches, model, version, currency, unfinished)
    if users:
        unfinished.replace(target)
    for other in sorted(folder.iterdir()):
        if not users or other != target:
            other.unlink()
    if not users:
        folder.rmdir()
    return ScoredDay(target if users else None, users, expected)


def _write(
    batches: Iterable[Observations], model: ChurnModel, version: str, currency: str, file: Path
) -> tuple[int, float]:
    import pyarrow.parquet

    schema = _schema()
    users, expected = 0, 0.0
    with pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            table = score_batch(batch, model, version, currency)
            writer.write_table(table)
            users += table.num_rows
            expected += float(np.sum(table.column("churn_probability").to_numpy()))
    return users, expected


def score_batch(batch: Observations, model: ChurnModel, version: str, currency: str) -> Any:
    """Return the score file's rows for one batch, as an Arrow table."""
    import pyarrow

    matrix = batch.columns(model.features)
    margin = model.learner.margin(matrix)
    reasons = explain(batch, model.learner.contributions(matrix), model.features, currency)
    columns: dict[str, Any] = {
        "user_id": batch.user_ids,
        "model_version": np.full(len(batch), version, dtype=object),
        "churn_probability": model.calibrator.probability(margin),
        "raw_score": margin,
        "user_value": batch.columns(("user_value",))[:, 0],
    }
    for place in range(REASONS):
        contribution = reasons.contributions[:, place]
        columns[f"reason_{place + 1}_code"] = reasons.codes[:, place]
        columns[f"reason_{place + 1}_en"] = reasons.en[:, place]
        columns[f"reason_{place + 1}_zh"] = reasons.zh[:, place]
        columns[f"reason_{place + 1}_contribution"] = pyarrow.array(contribution, mask=np.isnan(contribution))
    return pyarrow.table(columns, schema=_schema())


def _schema() -> Any:
    import pyarrow

    fields = [("user_id", pyarrow.string()), ("model_version", pyarrow.string())]
    fields += [(name, pyarrow.float64()) for name in ("churn_probability", "raw_score", "user_value")]
    for place in range(1, REASONS + 1):
        fields += [(f"reason_{place}_{part}", pyarrow.string()) for part in ("code", "en", "zh")]
        fields.append((f"reason_{place}_contribution", pyarrow.float64()))
    return pyarrow.schema(fields)
