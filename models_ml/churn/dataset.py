"""Features and labels at observation dates, and how these dates are cut into train, calibration and test.

The features come from the dbt model `int_churn_features`, for training and scoring alike; this module knows their
names, which human reason each one speaks for, and how to read them as one float64 matrix (null = NaN).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from userops.config import ChurnSettings, Settings
from userops.errors import ModelError, TooLittleHistoryError
from userops.warehouse.lookup import has_table, single_value

if TYPE_CHECKING:
    import duckdb

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[Any]

#: Feature columns of `int_churn_features` by the reason group they speak for (see `explain`).
FEATURE_GROUPS: dict[str, tuple[str, ...]] = {
    "silence": (
        "days_silent", "usual_gap_days", "median_gap_days", "std_gap_days", "longest_gap_days", "recent_gap_days",
        "gap_variation", "silence_ratio", "silence_to_longest_gap", "silence_score",
        "probability_alive", "expected_active_days", "probability_absent",
    ),
    "order_silence": (
        "days_since_last_order", "usual_order_gap_days", "std_order_gap_days", "order_gap_variation",
        "order_silence_ratio", "order_silence_score", "order_probability_alive", "expected_order_days",
    ),
    "activity": (
        "active_days_total", "activity_rate", "active_days_7", "active_days_14", "active_days_30", "active_days_60",
        "active_days_90", "active_days_180", "active_days_prev_7", "active_days_prev_14", "active_days_prev_30",
        "active_days_prev_60", "active_days_prev_90", "activity_trend_7", "activity_trend_14", "activity_trend_30",
        "activity_trend_60", "activity_trend_90", "event_days_total",
    ),
    "depth": (
        "sessions_30", "sessions_prev_30", "sessions_90", "sessions_total",
        "page_views_30", "page_views_prev_30", "page_views_90", "page_views_total",
        "active_seconds_30", "active_seconds_prev_30", "active_seconds_90", "active_seconds_total",
        "page_views_per_session_90", "seconds_per_session_90",
    ),
    "interaction": (
        "interactions_30", "interactions_prev_30", "interactions_90", "interactions_total",
        "contributions_30", "contributions_prev_30", "contributions_90", "contributions_total",
    ),
    "breadth": (
        "categories_per_day_30", "categories_per_day_prev_30", "categories_per_day_total", "distinct_channels_90",
    ),
    "orders": (
        "orders_30", "orders_90", "orders_180", "orders_prev_30", "orders_prev_90", "orders_total", "order_days_total",
        "order_trend_30", "order_trend_90",
    ),
    "spending": (
        "net_revenue_30", "net_revenue_90", "net_revenue_180", "net_revenue_prev_90", "net_revenue_total",
        "net_revenue_trend_90", "order_value_90", "order_value_total", "order_value_trend",
    ),
    "discounts": ("discount_share_180", "discount_share_total"),
    "refunds": ("refund_share_180", "refund_share_total"),
    "feedback": ("feedback_180", "tickets_180", "open_tickets", "feedback_score_180"),
    "newness": ("tenure_days", "days_since_first_order"),
    "calendar": ("weekday_share", "active_days_year_before"),
}  # fmt: skip
FEATURES: tuple[str, ...] = tuple(name for names in FEATURE_GROUPS.values() for name in names)
GROUP_OF_FEATURE: dict[str, str] = {name: group for group, names in FEATURE_GROUPS.items() for name in names}
#: Features that a BG/NBD model of the training gives; the dbt model has all others.
BGNBD_FEATURES: tuple[str, ...] = (
    "probability_alive", "expected_active_days", "probability_absent", "order_probability_alive", "expected_order_days",
)  # fmt: skip
STORED_FEATURES: tuple[str, ...] = tuple(name for name in FEATURES if name not in BGNBD_FEATURES)

#: Training reads at most this many user-dates; above it a fixed share of users is taken, by hash of the user id.
MAX_TRAINING_ROWS = 400_000
#: Origins of the backtest are moved closer together so that the oldest one has so many dates to train on.
TRAINING_DATES_OF_OLDEST_ORIGIN = 4

Scheme = Literal["dates", "dates_then_users", "users"]


@dataclass(frozen=True)
class Part:
    """Which observations belong to train, calibration or test.

    Attributes:
        dates: observation dates.
        users: half-open range of user buckets in [0, 1); (0, 1) is everybody.
    """

    dates: tuple[date, ...]
    users: tuple[float, float] = (0.0, 1.0)

    def mask(self, observations: Observations) -> Bools:
        """Return which rows of `observations` belong to this part."""
        on_date = np.isin(observations.as_of, np.array(self.dates, dtype="datetime64[D]"))
        chosen: Bools = on_date & (observations.bucket >= self.users[0]) & (observations.bucket < self.users[1])
        return chosen


@dataclass(frozen=True)
class Split:
    """One origin of the backtest: what is fitted, calibrated and judged on; see `plan_observations` for the schemes."""

    scheme: Scheme
    train: Part
    calibration: Part
    test: Part

    @property
    def origin(self) -> date:
        """The date that is judged."""
        return self.test.dates[0]


@dataclass(frozen=True)
class Backtest:
    """Rolling origins, oldest first, all of one scheme.

    Attributes:
        note: how it was cut, for logs and the model card.
    """

    origins: tuple[Split, ...]
    note: str

    @property
    def scheme(self) -> Scheme:
        """How the parts are kept apart."""
        return self.origins[-1].scheme


@dataclass(frozen=True)
class ObservationPlan:
    """Observation dates of one training.

    Attributes:
        backtests: the possible ones, the strictest first.
        serving: the dates on which the served model is fitted in the end.
    """

    backtests: tuple[Backtest, ...]
    serving: tuple[date, ...]

    @property
    def all_dates(self) -> tuple[date, ...]:
        """Every date whose features are needed, ascending."""
        dates = set(self.serving)
        for split in (origin for backtest in self.backtests for origin in backtest.origins):
            dates.update(split.train.dates, split.calibration.dates, split.test.dates)
        return tuple(sorted(dates))


@dataclass(frozen=True)
class Observations:
    """Labelled (or not yet labelled) users at observation dates, ordered by date and user.

    Attributes:
        names: feature names, one per column of `matrix`.
        matrix: float64, NaN for null.
        churned: True where the user had no active day in the horizon; all False where no label was read.
        bucket: a fixed place of the user in [0, 1), from a hash of its id.
    """

    names: tuple[str, ...]
    user_ids: Texts
    as_of: npt.NDArray[np.datetime64]
    matrix: Floats
    churned: Bools
    bucket: Floats

    def __len__(self) -> int:
        return len(self.user_ids)

    def where(self, mask: Bools) -> Observations:
        """Return the rows where `mask` is true."""
        return Observations(
            self.names, self.user_ids[mask], self.as_of[mask], self.matrix[mask], self.churned[mask], self.bucket[mask]
        )

    def columns(self, names: Sequence[str]) -> Floats:
        """Return the features `names`, in that order.

        Raises:
            ModelError: a feature is not there.
        """
        missing = [name for name in names if name not in self.names]
        if missing:
            raise ModelError(
                "int_churn_features", f"no column {', '.join(missing)}", "every feature the model was trained with",
                "train again with `userops train`",
            )  # fmt: skip
        return self.matrix[:, [self.names.index(name) for name in names]]

    def with_columns(self, names: Sequence[str], values: Floats) -> Observations:
        """Return the same rows with features added or replaced, one column of `values` each."""
        kept = [index for index, name in enumerate(self.names) if name not in names]
        return Observations(
            (*(self.names[index] for index in kept), *names), self.user_ids, self.as_of,
            np.column_stack([self.matrix[:, kept], values]), self.churned, self.bucket,
        )  # fmt: skip

    def fingerprint(self) -> str:
        """Return a sha256 over users, dates, features and labels: equal data, equal text."""
        digest = hashlib.sha256("\x1f".join(self.names).encode())
        digest.update("\x1f".join(self.user_ids.tolist()).encode())
        for array in (self.as_of.astype("datetime64[D]").astype(np.int64), self.matrix, self.churned):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def plan_observations(as_of: date, first_date: date, churn: ChurnSettings) -> ObservationPlan:
    """Choose observation dates backwards from the last one whose horizon has passed at `as_of`.

    Schemes, strictest first; training takes the first one whose parts all hold both classes:
      dates: rolling origins. Each origin is judged on its own date; calibration = one label window (lead + horizon,
        rounded up to whole steps) before it; train = dates one label window before that and earlier. No label window
        reaches past the next part's observation date. The newest origin is the last date, the others lie one label
        window apart, or closer together where history is short (never closer than one step); there are fewer where
        even that is too much.
      dates_then_users: one origin; train purged against the last date, whose users are halved into calibration and
        test.
      users: all dates, users cut 60/20/20; the test is on users never trained on, but not on later time.

    Args:
        first_date: first business date with activity. Observations start one horizon after it, because a user's
            rhythm cannot be seen sooner.

    Raises:
        TooLittleHistoryError: no observation date has both a past to look at and a horizon that has passed.
    """
    window = timedelta(days=churn.lead_days + churn.horizon_days)
    earliest = first_date + timedelta(days=churn.horizon_days)
    last = as_of - window
    if last < earliest:
        needed = window.days + churn.horizon_days
        raise TooLittleHistoryError(
            "train", f"{(as_of - first_date).days} days of activity, from {first_date} to {as_of}",
            f"at least {needed} days (horizon {churn.horizon_days} to look back, lead {churn.lead_days} and horizon "
            f"{churn.horizon_days} to look ahead)",
            "load more history, or shorten churn.horizon_days in userops.yml",
        )  # fmt: skip
    serving = _backwards(last, earliest, churn)
    return ObservationPlan(tuple(_backtests(last, earliest, serving, churn)), serving)


def _backtests(last: date, earliest: date, serving: tuple[date, ...], churn: ChurnSettings) -> Iterator[Backtest]:
    step = churn.step_days
    window = timedelta(days=-(-(churn.lead_days + churn.horizon_days) // step) * step)
    origins = tuple(
        Split("dates", Part(_backwards(day - 2 * window, earliest, churn)), Part((day - window,)), Part((day,)))
        for day in _origin_dates(last, earliest, window, churn)
    )
    if origins:
        wanted = churn.backtest_origins
        short = "" if len(origins) == wanted else f" (history is too short for the {wanted} of churn.backtest_origins)"
        yield Backtest(
            origins,
            f"{len(origins)} rolling origins{short}, {origins[0].origin}..{last}; each calibrated {window.days} days "
            f"and trained at least {2 * window.days} days before it; label windows are apart",
        )
    train = _backwards(last - window, earliest, churn)
    if train:
        yield Backtest(
            (Split("dates_then_users", Part(train), Part((last,), (0.0, 0.5)), Part((last,), (0.5, 1.0))),),
            f"one origin; too little history for a calibration date of its own: train on {train[0]}..{train[-1]}, "
            f"calibrate on half of the users of {last}, test on the other half",
        )
    yield Backtest(
        (Split("users", Part(serving, (0.0, 0.6)), Part(serving, (0.6, 0.8)), Part((last,), (0.8, 1.0))),),
        f"one origin; too little history to test on later time: train, calibration and test hold different users of "
        f"{serving[0]}..{last}; expect the real quality to be lower",
    )


def _origin_dates(last: date, earliest: date, window: timedelta, churn: ChurnSettings) -> list[date]:
    """Return the origins, ascending: as many as wanted while each has a date to train on, and spread so that the
    oldest has a few of them where history allows."""
    step, wanted = churn.step_days, churn.backtest_origins
    room = (last - 2 * window - earliest).days
    if room < 0:
        return []
    count = min(wanted, 1 + room // step)
    if count == 1:
        return [last]
    comfortable = (room - (TRAINING_DATES_OF_OLDEST_ORIGIN - 1) * step) // (count - 1)
    spacing = min(window.days, max(step, comfortable // step * step))
    return [last - timedelta(days=spacing * place) for place in reversed(range(count))]


def _backwards(last: date, earliest: date, churn: ChurnSettings) -> tuple[date, ...]:
    """Return `last` and dates one step apart before it, not before `earliest`, ascending."""
    steps = range(churn.max_observations)
    dates = (last - timedelta(days=step * churn.step_days) for step in steps)
    return tuple(sorted(day for day in dates if day >= earliest))


def first_activity_date(connection: duckdb.DuckDBPyConnection) -> date | None:
    """Return the first business date with an active day of an identified user; None when there is none."""
    found: date | None = single_value(connection, "select min(activity_date) from fct_user_days where is_identified")
    return found


def has_features(settings: Settings, as_of: date) -> bool:
    """Return whether the warehouse holds features at `as_of`.

    Raises:
        BuildError: there is no warehouse.
    """
    from userops.warehouse.connect import read_warehouse

    with read_warehouse(settings) as connection:
        if not has_table(connection, "int_churn_features"):
            return False
        counted = f"select count(*) from int_churn_features where as_of_date = date '{as_of}'"
        return bool(single_value(connection, counted))


def read_labelled(connection: duckdb.DuckDBPyConnection, dates: Sequence[date]) -> Observations:
    """Read the labelled observations of `dates`, ordered by date and user, at most about MAX_TRAINING_ROWS of them."""
    listed = _date_list(dates)
    rows = single_value(connection, f"select count(*) from int_churn_labels where as_of_date in ({listed})")
    share = min(1.0, MAX_TRAINING_ROWS / rows) if rows else 1.0
    query = f"""
        select features.user_id, features.as_of_date, labels.is_churned, {_BUCKET} as bucket, {_feature_list()}
        from int_churn_features as features
        inner join int_churn_labels as labels using (user_id, as_of_date)
        where features.as_of_date in ({listed}) and {_SAMPLE_PLACE} < {share!r}
        order by features.as_of_date, features.user_id
    """
    batches = list(_read(connection, query, 100_000))
    return _concatenate(batches)


class DayFeatures:
    """The users to score at one date, read from the warehouse in batches; labels are all False."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, as_of: date) -> None:
        self._connection = connection
        self._as_of = as_of

    def count(self) -> int:
        """Return how many users there are."""
        return int(single_value(self._connection, f"select count(*) from int_churn_features where {self._on_date}"))

    def batches(self, rows: int) -> Iterator[Observations]:
        """Yield everybody, at most `rows` users at a time, in no particular order; with the column `user_value`."""
        return _read(self._connection, f"{self._select} where {self._on_date}", rows)

    def of(self, user_ids: Sequence[str], rows: int) -> Iterator[Observations]:
        """Yield the users asked for, ordered by id."""
        import pyarrow

        wanted = pyarrow.table({"user_id": pyarrow.array(user_ids, pyarrow.string())})
        self._connection.register("wanted_users", wanted)
        chosen = f"{self._on_date} and features.user_id in (select user_id from wanted_users)"
        yield from _read(self._connection, f"{self._select} where {chosen} order by features.user_id", rows)
        self._connection.unregister("wanted_users")

    @property
    def _on_date(self) -> str:
        return f"as_of_date = date '{self._as_of}'"

    @property
    def _select(self) -> str:
        return (
            f"select user_id, as_of_date, false as is_churned, {_BUCKET} as bucket, user_value, {_feature_list()} "
            "from int_churn_features as features"
        )


def read_histories(connection: duckdb.DuckDBPyConnection, dates: Sequence[date]) -> dict[tuple[date, str], Floats]:
    """Return, by observation date and kind of day, a matrix of histories: repeats, recency, age (days) and users."""
    rows = connection.execute(
        "select as_of_date, kind, repeat_days, recency_days, age_days, users from int_churn_histories "
        f"where as_of_date in ({_date_list(dates)}) order by all"
    ).fetchall()
    found: dict[tuple[date, str], list[Any]] = {}
    for as_of, kind, *history in rows:
        found.setdefault((as_of, kind), []).append(history)
    return {key: np.array(histories, dtype=np.float64) for key, histories in found.items()}


#: Two independent places of a user in [0, 1), from the hash of its id: one for the split, one for the sample.
_BUCKET = "cast(('0x' || substr(md5(features.user_id), 1, 8)) as bigint) / 4294967296.0"
_SAMPLE_PLACE = "cast(('0x' || substr(md5(features.user_id), 9, 8)) as bigint) / 4294967296.0"


def _feature_list() -> str:
    return ", ".join(f"features.{name}" for name in STORED_FEATURES)


def _date_list(dates: Sequence[date]) -> str:
    return ", ".join(f"date '{day}'" for day in dates)


def _read(connection: duckdb.DuckDBPyConnection, query: str, rows: int) -> Iterator[Observations]:
    for batch in connection.sql(query).to_arrow_reader(rows):
        if batch.num_rows:
            yield _from_arrow(batch)


def _from_arrow(batch: Any) -> Observations:
    fixed = ("user_id", "as_of_date", "is_churned", "bucket")
    names = tuple(name for name in batch.schema.names if name not in fixed)
    matrix = np.empty((batch.num_rows, len(names)), dtype=np.float64)
    for index, name in enumerate(names):
        matrix[:, index] = batch.column(name).to_numpy(zero_copy_only=False)
    return Observations(
        names,
        np.array(batch.column("user_id").to_pylist(), dtype=object),
        batch.column("as_of_date").to_numpy(zero_copy_only=False).astype("datetime64[D]"),
        matrix,
        batch.column("is_churned").to_numpy(zero_copy_only=False).astype(np.bool_),
        batch.column("bucket").to_numpy(zero_copy_only=False).astype(np.float64),
    )


def _concatenate(batches: Sequence[Observations]) -> Observations:
    if not batches:
        empty = np.empty(0)
        return Observations(
            STORED_FEATURES, np.empty(0, dtype=object), empty.astype("datetime64[D]"),
            np.empty((0, len(STORED_FEATURES))), empty.astype(np.bool_), empty,
        )  # fmt: skip
    return Observations(
        batches[0].names,
        np.concatenate([batch.user_ids for batch in batches]),
        np.concatenate([batch.as_of for batch in batches]),
        np.concatenate([batch.matrix for batch in batches]),
        np.concatenate([batch.churned for batch in batches]),
        np.concatenate([batch.bucket for batch in batches]),
    )


def usable_features(matrix: Floats, names: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the features worth training on, and why each other one is dropped (all null, or constant)."""
    kept, dropped = [], {}
    for index, name in enumerate(names):
        column = matrix[:, index]
        known = column[~np.isnan(column)]
        if known.size == 0:
            dropped[name] = "always null"
        elif known.size == column.size and np.all(known == known[0]):
            dropped[name] = f"always {known[0]:g}"
        else:
            kept.append(name)
    return tuple(kept), dropped
