"""What of a persona segments are made of, and how it is read: one float32 matrix, null = NaN, ordered by user id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from userops.errors import ModelError
from userops.warehouse.lookup import has_table, single_value

if TYPE_CHECKING:
    import duckdb

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]

#: How a trait is made comparable: `log` for amounts and counts, `share` as it is, `flag` for yes (1) or no (0).
Scale = Literal["log", "share", "flag"]


@dataclass(frozen=True)
class Trait:
    """One figure of a user.

    Attributes:
        sql: over the columns of `int_user_personas`; null where the user says nothing about it.
        theme: traits of one theme tell the same story; a theme weighs the same however many traits it has.
    """

    name: str
    sql: str
    scale: Scale
    theme: str


def _per_active_day(column: str) -> str:
    return f"{column} / nullif(active_days, 0)"


def _flag(condition: str) -> str:
    return f"cast({condition} as integer)"


TRAITS: tuple[Trait, ...] = (
    Trait("days_since_last_active", "days_since_last_active", "log", "recency"),
    Trait("active_days", "active_days", "log", "frequency"),
    Trait("usual_gap_days", "usual_gap_days", "log", "frequency"),
    Trait("net_revenue", "greatest(net_revenue, 0)", "log", "value"),
    Trait("orders", "orders", "log", "value"),
    Trait("average_order_value", "case when orders > 0 then greatest(average_order_value, 0) end", "log", "value"),
    Trait("discount_share", "discount_share", "share", "price"),
    Trait("refund_share", "refund_share", "share", "price"),
    Trait("sessions_per_day", _per_active_day("sessions"), "log", "depth"),
    Trait("page_views_per_day", _per_active_day("page_views"), "log", "depth"),
    Trait("interactions_per_day", _per_active_day("interactions"), "log", "community"),
    Trait("contributions", "contributions", "log", "community"),
    Trait("night", _flag("active_daypart = 'night'"), "flag", "daypart"),
    Trait("morning", _flag("active_daypart = 'morning'"), "flag", "daypart"),
    Trait("afternoon", _flag("active_daypart = 'afternoon'"), "flag", "daypart"),
    Trait("evening", _flag("active_daypart = 'evening'"), "flag", "daypart"),
    Trait("weekend", _flag("active_weekday >= 6"), "flag", "weekday"),
    Trait("channels_used", "nullif(channels_used, 0)", "log", "reach"),
    Trait("devices_used", "nullif(devices_used, 0)", "log", "reach"),
    Trait("interest_share", "interest_1_share", "share", "interest"),
    Trait("tenure_days", "as_of_date - first_active_date", "log", "tenure"),
)
TRAITS_BY_NAME = {trait.name: trait for trait in TRAITS}
NAMES = tuple(trait.name for trait in TRAITS)

#: What a theme counts beside the others. How often, how lately and how much somebody buys leads; habits follow.
THEME_WEIGHTS = {
    "recency": 1.0, "frequency": 1.0, "value": 1.0, "depth": 0.7, "community": 0.7, "price": 0.5, "daypart": 0.5,
    "weekday": 0.25, "reach": 0.5, "interest": 0.5, "tenure": 0.5,
}  # fmt: skip


@dataclass(frozen=True)
class People:
    """Users to be put into segments, ordered by id.

    Attributes:
        user_ids: Arrow string array.
        figures: one column per trait of TRAITS, float32, NaN for null.
        place: a fixed place of each user in [0, 1), from a hash of the id: samples are the same in any order of rows.
    """

    user_ids: Any
    figures: Matrix
    place: Floats

    def __len__(self) -> int:
        return len(self.user_ids)

    def figure(self, name: str) -> Matrix:
        """Return the column of one trait."""
        column: Matrix = self.figures[:, NAMES.index(name)]
        return column


def read_people(connection: duckdb.DuckDBPyConnection, as_of: date, active_window_days: int) -> People:
    """Read the identified users who were active in the last `active_window_days` days up to `as_of`.

    Visitors nobody can name are left out: nobody can address them, and they would outnumber everybody else.

    Raises:
        ModelError: there are no personas, or they are those of another date.
    """
    _check_date(connection, as_of)
    columns = ", ".join(f"cast({trait.sql} as float) as {trait.name}" for trait in TRAITS)
    query = f"""
        select
            user_id, cast(('0x' || substr(md5(user_id), 1, 8)) as bigint) / 4294967296.0 as place, {columns}
        from int_user_personas
        where is_identified and active_days > 0 and days_since_last_active < {int(active_window_days)}
        order by user_id
    """
    table = connection.sql(query).to_arrow_table()
    figures = np.empty((table.num_rows, len(TRAITS)), dtype=np.float32)
    for index, name in enumerate(NAMES):
        figures[:, index] = table.column(name).to_numpy()
    return People(table.column("user_id").combine_chunks(), figures, table.column("place").to_numpy())


def _check_date(connection: duckdb.DuckDBPyConnection, as_of: date) -> None:
    if not has_table(connection, "int_user_personas"):
        raise ModelError("int_user_personas", "no such table in the warehouse", "personas", "run `userops build` first")
    built = single_value(connection, "select max(as_of_date) from int_user_personas")
    if built is not None and built != as_of:
        raise ModelError(
            "int_user_personas", f"personas as of {built}", f"personas as of {as_of}",
            f"run `userops build --as-of {as_of}` first",
        )  # fmt: skip


def columns_of(names: Sequence[str]) -> list[int]:
    """Return the places of traits in the columns of `People.figures`.

    Raises:
        ModelError: a fit was made with a trait that is no longer read.
    """
    unknown = [name for name in names if name not in TRAITS_BY_NAME]
    if unknown:
        raise ModelError(
            "segments", f"a fit with traits {', '.join(unknown)}", f"traits of {', '.join(NAMES)}",
            "remove that fit's folder below models/segments: the next run fits again",
        )  # fmt: skip
    return [NAMES.index(name) for name in names]
