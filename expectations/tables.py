"""The marts a gate finds: which are built, in which schema, as of which date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from expectations.checks import Check, Suite, between, not_null, unique
from userops.sqltext import identifier


@dataclass(frozen=True)
class Tables:
    """The marts in the warehouse.

    Attributes:
        schemas: schema by table name.
        as_of: business date the run is about; nothing later may be in any table.
    """

    schemas: Mapping[str, str]
    as_of: date

    def has(self, *names: str) -> bool:
        """Whether all of these are built."""
        return all(name in self.schemas for name in names)

    def sql(self, name: str) -> str:
        """Return the SQL name of a table."""
        return f"{identifier(self.schemas[name])}.{identifier(name)}"

    def suite(
        self,
        name: str,
        title_en: str,
        title_zh: str,
        grain: Sequence[str],
        checks: Sequence[Check],
        nullable: Sequence[str] = (),
    ) -> list[Suite]:
        """Return the suite of table `name`, its grain checked first; none when it is not built.

        Args:
            nullable: columns of the grain that may be null; null is a value like any other then.
        """
        if name not in self.schemas:
            return []
        keys = [
            not_null(column, f"{column} is always there", f"{column} 不为空")
            for column in grain
            if column not in nullable
        ]
        listed = ", ".join(grain)
        grain_check = unique(grain, f"one row per {listed}", f"每个 {listed} 只有一行")
        return [Suite(name, name, title_en, title_zh, (*keys, grain_check, *checks), self.schemas[name], tuple(grain))]

    def not_after(self, column: str) -> Check:
        """Expect no date after the business date of the run."""
        return between(
            column, f"{column} is not after {self.as_of}", f"{column} 不晚于 {self.as_of}", maximum=self.as_of
        )
