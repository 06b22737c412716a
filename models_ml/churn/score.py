"""Scoring: features of one date in, one Parquet file of probabilities and reasons out, in bounded memory.

Everybody gets a probability; reasons cost more, so they are told for those nearest to the list only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from models_ml.churn.dataset import GROUP_OF_FEATURE, Floats, Observations
from models_ml.churn.drift import SAMPLE, SCORE, Reference, Watch
from models_ml.churn.explain import REASONS, explain
from models_ml.churn.levels import shift_to
from models_ml.churn.registry import ChurnModel

#: Users per batch: about 100 MB with features; half of that with contributions and texts.
BATCH_ROWS = 50_000
EXPLAINED_ROWS = 20_000
#: Users nearest to the list whose reasons are told.
EXPLAINED_USERS = 100_000


class UsersToScore(Protocol):
    """The users of one date with their features and the column `user_value`."""

    def count(self) -> int:
        """Return how many users there are."""

    def batches(self, rows: int) -> Iterator[Observations]:
        """Yield everybody, at most `rows` users at a time."""

    def of(self, user_ids: Sequence[str], rows: int) -> Iterator[Observations]:
        """Yield the users asked for, ordered by id."""


@dataclass(frozen=True)
class ServedModel:
    """A model with its name and what it needs on the day.

    Attributes:
        expected_rate: churn rate the season lets expect (`levels`); None: the level the model was judged at last.
        is_degraded: whether its realised quality has fallen behind.
    """

    model: ChurnModel
    version: str
    references: dict[str, Reference]
    expected_rate: float | None = None
    is_degraded: bool = False


@dataclass(frozen=True)
class ScoredDay:
    """What was written for one as-of date.

    Attributes:
        file: None when there was nobody to score.
        expected_churners: sum of the probabilities.
        drift: see `drift.Watch.rows`.
    """

    file: Path | None
    users: int
    expected_churners: float
    drift: tuple[dict[str, Any], ...] = ()


def score_day(
    users: UsersToScore, served: ServedModel, scores: Path, as_of: date, currency: str, explained: int = EXPLAINED_USERS
) -> ScoredDay:
    """Score `users` and replace what `scores` (lake/scores) holds for `as_of`: churn and churn_monitoring.

    Each new file takes its place in one step; files of other model versions for the same date go after that, so that a
    date has one version and repeating a date replaces it. With nobody to score the date is emptied.
    """
    ranked = _rank(users, served)
    if ranked is None:
        for kind in ("churn", "churn_monitoring"):
            _replace(scores, kind, as_of, served.version, None)
        return ScoredDay(None, 0, 0.0)
    reasons = _reasons(users, served, ranked.nearest_to_the_list(explained), currency)
    drift = ranked.watch.rows(GROUP_OF_FEATURE)
    file = _replace(scores, "churn", as_of, served.version, _score_table(ranked, served, reasons))
    _replace(scores, "churn_monitoring", as_of, served.version, _drift_table(drift, served.version))
    return ScoredDay(file, len(ranked.user_ids), float(ranked.probability.sum()), tuple(drift))


@dataclass(frozen=True)
class _Ranked:
    """Everybody, ordered by user id; `user_ids` is an Arrow array of text."""

    user_ids: Any
    margin: Floats
    value: Floats
    probability: Floats
    watch: Watch

    def nearest_to_the_list(self, count: int) -> Any:
        """Return the ids, ascending, of the users with the highest expected loss; ties by probability."""
        order = np.lexsort((-self.probability, -self.probability * self.value))[:count]
        return self.user_ids.take(np.sort(order))


def _rank(users: UsersToScore, served: ServedModel) -> _Ranked | None:
    import pyarrow

    sampled = min(1.0, SAMPLE / max(1, users.count()))
    watch = Watch(served.references)
    ids, margins, values = [], [], []
    sampled_margins = []
    for batch in users.batches(BATCH_ROWS):
        prepared = served.model.prepared(batch)
        margin = served.model.learner.margin(prepared.columns(served.model.features))
        ids.append(pyarrow.array(batch.user_ids, pyarrow.string()))
        margins.append(margin)
        values.append(batch.columns(("user_value",))[:, 0])
        watched = prepared.bucket < sampled
        sampled_margins.append(margin[watched])
        for index, name in enumerate(prepared.names):
            watch.add(name, prepared.matrix[watched, index])
    if not ids:
        return None
    user_ids = pyarrow.chunked_array(ids).combine_chunks()
    order = pyarrow.compute.sort_indices(user_ids).to_numpy()
    margin = np.concatenate(margins)[order]
    shift = None
    if served.expected_rate is not None:
        shift = shift_to(served.model.calibrator, margin, served.expected_rate)
    watch.add(SCORE, served.model.probability(np.concatenate(sampled_margins), shift))
    return _Ranked(
        user_ids.take(order), margin, np.concatenate(values)[order], served.model.probability(margin, shift), watch
    )


def _reasons(users: UsersToScore, served: ServedModel, wanted: Any, currency: str) -> Any:
    """Return an Arrow table: user_id and the reason columns of the users wanted, ordered by user id."""
    import pyarrow

    parts = []
    for batch in users.of(wanted.to_pylist(), EXPLAINED_ROWS):
        prepared = served.model.prepared(batch)
        contributions = served.model.learner.contributions(prepared.columns(served.model.features))
        told = explain(prepared, contributions, served.model.features, currency)
        columns: dict[str, Any] = {"user_id": pyarrow.array(batch.user_ids, pyarrow.string())}
        for place in range(REASONS):
            strength = told.contributions[:, place]
            columns[f"reason_{place + 1}_code"] = pyarrow.array(told.codes[:, place], pyarrow.string())
            columns[f"reason_{place + 1}_en"] = pyarrow.array(told.en[:, place], pyarrow.string())
            columns[f"reason_{place + 1}_zh"] = pyarrow.array(told.zh[:, place], pyarrow.string())
            columns[f"reason_{place + 1}_contribution"] = pyarrow.array(strength, mask=np.isnan(strength))
        parts.append(pyarrow.table(columns))
    return pyarrow.concat_tables(parts)


def _score_table(ranked: _Ranked, served: ServedModel, reasons: Any) -> Any:
    """Return the rows of the score file, ordered by user id; reasons are null where none were asked for."""
    import pyarrow

    from userops.ingest.lake import score_schema

    count = len(ranked.user_ids)
    explained = pyarrow.compute.index_in(ranked.user_ids, reasons.column("user_id").combine_chunks())
    columns: dict[str, Any] = {
        "user_id": ranked.user_ids,
        "model_version": pyarrow.repeat(served.version, count),
        "churn_probability": ranked.probability,
        "raw_score": ranked.margin,
        "user_value": ranked.value,
        "model_is_degraded": pyarrow.repeat(served.is_degraded, count),
    }
    for name in reasons.schema.names:
        if name != "user_id":
            columns[name] = reasons.column(name).combine_chunks().take(explained)
    schema = score_schema("churn")
    return pyarrow.table({name: columns[name] for name in schema.names}, schema=schema)


def _drift_table(drift: Sequence[dict[str, Any]], version: str) -> Any:
    import pyarrow

    from userops.ingest.lake import score_schema

    return pyarrow.Table.from_pylist(
        [{**row, "model_version": version} for row in drift], score_schema("churn_monitoring")
    )


def _replace(scores: Path, kind: str, as_of: date, version: str, table: Any) -> Path | None:
    """Write `table` as the only file of a date, or empty the date where there is none."""
    import pyarrow.parquet

    folder = scores / kind / f"as_of_date={as_of.isoformat()}"
    target = folder / f"{version}.parquet"
    if table is not None:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f".{version}.parquet.unfinished"
        pyarrow.parquet.write_table(table, unfinished, compression="zstd")
        unfinished.replace(target)
    elif not folder.exists():
        return None
    for other in sorted(folder.iterdir()):
        if table is None or other != target:
            other.unlink()
    if table is None:
        folder.rmdir()
        return None
    return target
