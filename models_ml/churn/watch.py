"""Realised quality: what the marts found out about past scores, against what the backtest promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from userops.warehouse.lookup import has_table

if TYPE_CHECKING:
    import duckdb

#: Realised dates that are averaged, the newest ones: one odd day is no decline.
DATES = 7
#: An AUC so much below the backtest's mean is a decline.
AUC_TOLERANCE = 0.05
#: A realised calibration error above this multiple of churn.max_calibration_error is one, too.
CALIBRATION_FACTOR = 2.0


@dataclass(frozen=True)
class Realised:
    """Mean quality over the newest dates whose horizon has passed."""

    dates: int
    newest: date
    auc: float
    calibration_error: float


def read_realised(connection: duckdb.DuckDBPyConnection, version: str, before: date) -> Realised | None:
    """Return the realised quality of a version known before `before`; None when there is none yet."""
    if not has_table(connection, "agg_churn_model_quality"):
        return None
    rows: Sequence[Any] = connection.execute(
        "select as_of_date, auc, calibration_error from agg_churn_model_quality "
        "where model_version = ? and as_of_date < ? and auc is not null order by as_of_date desc limit ?",
        [version, before, DATES],
    ).fetchall()
    if not rows:
        return None
    return Realised(
        len(rows), rows[0][0], sum(row[1] for row in rows) / len(rows), sum(row[2] for row in rows) / len(rows)
    )


def decline(metrics: Mapping[str, Any], realised: Realised | None, max_calibration_error: float) -> str | None:
    """Return in words how far the model has fallen behind its backtest; None when it has not."""
    if realised is None:
        return None
    promised = float(metrics["candidates"][metrics["served"]]["mean"]["auc"])
    found = []
    if realised.auc < promised - AUC_TOLERANCE:
        found.append(f"AUC {realised.auc:.3f}, {promised:.3f} in the backtest")
    if realised.calibration_error > CALIBRATION_FACTOR * max_calibration_error:
        found.append(f"calibration error {realised.calibration_error:.3f}, at most {max_calibration_error:g} wanted")
    return f"realised on {realised.dates} dates up to {realised.newest}: {'; '.join(found)}" if found else None
