"""What a simulation can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from userops.errors import UseropsError

#: Raised whenever the same options would give other bytes than before.
GENERATOR_VERSION = 1
DEFAULT_END_DATE = date(2025, 12, 31)
MAX_USERS = 5_000_000
MAX_DAYS = 3_660


class DirtKind(StrEnum):
    """Kinds of dirt.

    All but `UNKNOWN_EVENTS` only add rows or delay them: every good row is still delivered once, so a correct pipeline
    builds the same tables from clean and from dirty exports.
    """

    DUPLICATES = "duplicates"
    LATE = "late"
    BROKEN = "broken"
    UNKNOWN_EVENTS = "unknown_events"
    WRONG_TYPES = "wrong_types"


ALL_DIRT = tuple(DirtKind)


@dataclass(frozen=True)
class SimulationOptions:
    """Options of one simulation; equal options give byte-identical files.

    Attributes:
        users: registered users over the whole period (anonymous visitors come on top).
        days: length of the period in local days, one set of export files each.
        start_date: first local date; give this or `end_date`, not both.
        end_date: last local date; 2025-12-31 when neither is given.
        seed: seed of every random choice.
        dirt: share of the rows of each file that is hit by dirt, spread evenly over `dirt_kinds`; 0 is clean.
        dirt_kinds: which kinds of dirt.

    Raises:
        UseropsError: a value is out of its range.
    """

    users: int = 20_000
    days: int = 180
    start_date: date | None = None
    end_date: date | None = None
    seed: int = 20_240_101
    dirt: float = 0.0
    dirt_kinds: tuple[DirtKind, ...] = ALL_DIRT

    def __post_init__(self) -> None:
        _require(1 <= self.users <= MAX_USERS, "users", self.users, f"1 to {MAX_USERS}")
        _require(1 <= self.days <= MAX_DAYS, "days", self.days, f"1 to {MAX_DAYS}")
        _require(self.seed >= 0, "seed", self.seed, "a number that is not negative")
        _require(0.0 <= self.dirt <= 0.5, "dirt", self.dirt, "a share between 0 and 0.5")
        _require(bool(self.dirt_kinds), "dirt_kinds", "none", "at least one kind (for clean files give dirt 0)")
        both = self.start_date is not None and self.end_date is not None
        _require(not both, "start_date", "start_date and end_date", "one of the two; `days` gives the other")

    @property
    def first_date(self) -> date:
        """First local date of the period."""
        if self.start_date is not None:
            return self.start_date
        return (self.end_date or DEFAULT_END_DATE) - timedelta(days=self.days - 1)

    @property
    def last_date(self) -> date:
        """Last local date of the period, included."""
        return self.first_date + timedelta(days=self.days - 1)

    def record(self) -> dict[str, object]:
        """Everything that decides the bytes of the files, JSON-able."""
        return {
            "generator_version": GENERATOR_VERSION,
            "users": self.users,
            "days": self.days,
            "first_date": self.first_date.isoformat(),
            "seed": self.seed,
            "dirt": self.dirt,
            "dirt_kinds": sorted(kind.value for kind in self.dirt_kinds) if self.dirt else [],
        }


def _require(holds: bool, name: str, found: object, expected: str) -> None:
    if not holds:
        raise UseropsError(f"simulation option `{name}`", str(found), expected, f"correct `{name}`")
