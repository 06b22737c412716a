"""How rows reach their files: cleanly, or late, twice, and with damaged copies beside them.

What was done is recorded per file. Damaged rows are copies beside the good row, and every good row is delivered
at least once, so dirt never takes anything away from the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from userops.simulate.arrays import Floats, Ints
from userops.simulate.exports import Damage
from userops.simulate.options import DirtKind, SimulationOptions

_MAX_LATE_DAYS = 5

#: Records of a file (`arrays.Rows`), or indices of them.
AnyRows = npt.NDArray[Any]


@dataclass(frozen=True)
class DirtEntry:
    """So many rows of `kind` are in the file of `day`."""

    day: int
    kind: str
    rows: int


class Delivery:
    """Puts the rows of one kind of export into daily files. Call `deliver` once per day, in order of days."""

    def __init__(self, options: SimulationOptions, stream: int, damage: Mapping[DirtKind, Damage]) -> None:
        self._options = options
        self._stream = stream
        self._damage = damage
        self._kinds = frozenset(options.dirt_kinds) if options.dirt else frozenset()
        self._share = options.dirt / len(options.dirt_kinds)
        self._coming: dict[int, list[tuple[str, AnyRows]]] = {}
        self.record: list[DirtEntry] = []

    def deliver(self, day: int, rows: AnyRows) -> AnyRows:
        """Return the rows of the file of `day` (none: there is no file), given the rows that belong there."""
        if not self._kinds:
            return rows
        rng = np.random.default_rng([self._options.seed, 3, self._stream, day])
        arriving = self._coming.pop(day, [])
        if self._is_late_file(day, rng):
            target = self._later(day, 1, rng)[0]
            self._coming.setdefault(int(target), []).extend([*arriving, ("late_file_row", rows)])
            return rows[:0]
        rows = self._hold_back(day, rows, rng)
        parts = [rows]
        places: list[Floats] = [np.arange(len(rows), dtype=np.float64)]
        for kind, copies, at in self._copies(day, rows, rng):
            self._note(day, kind, copies)
            parts.append(copies)
            places.append(at.astype(np.float64) + 0.5)
        for kind, late in arriving:
            self._note(day, kind, late)
            parts.append(late)
            places.append(np.full(len(late), float(len(rows))))
        return np.concatenate(parts)[np.argsort(np.concatenate(places), kind="stable")]

    def _is_late_file(self, day: int, rng: np.random.Generator) -> bool:
        return DirtKind.LATE in self._kinds and day < self._options.days - 1 and rng.random() < self._share

    def _hold_back(self, day: int, rows: AnyRows, rng: np.random.Generator) -> AnyRows:
        """Take the late rows out and put them into later files."""
        if DirtKind.LATE not in self._kinds or day == self._options.days - 1:
            return rows
        late = self._some(len(rows), rng)
        self._send(day, "late_row", rows[late], rng)
        return np.delete(rows, late)

    def _copies(self, day: int, rows: AnyRows, rng: np.random.Generator) -> list[tuple[str, AnyRows, Ints]]:
        """Copies for this very file, with the row each one follows; copies for later files are sent on their way."""
        copies: list[tuple[str, AnyRows, Ints]] = []
        if DirtKind.DUPLICATES in self._kinds:
            twice = self._some(len(rows), rng)
            here = rng.random(len(twice)) < 0.5
            copies.append(("duplicate_in_file", rows[twice[here]], twice[here]))
            if day < self._options.days - 1:
                self._send(day, "duplicate_between_files", rows[twice[~here]], rng)
        for kind, damage in self._damage.items():
            if kind in self._kinds:
                at = self._some(len(rows), rng)
                for name, damaged in damage(rows[at], rng):
                    copies.append((name, damaged, rng.integers(0, max(1, len(rows)), len(damaged))))
        return copies

    def _send(self, day: int, kind: str, rows: AnyRows, rng: np.random.Generator) -> None:
        targets = self._later(day, len(rows), rng)
        for target in np.unique(targets):
            self._coming.setdefault(int(target), []).append((kind, rows[targets == target]))

    def _later(self, day: int, count: int, rng: np.random.Generator) -> Ints:
        return np.minimum(day + rng.integers(1, _MAX_LATE_DAYS + 1, count), self._options.days - 1)

    def _some(self, count: int, rng: np.random.Generator) -> Ints:
        """Distinct rows, as many as the share asks for: the fraction left over is rounded by chance."""
        return np.sort(rng.permutation(count)[: int(count * self._share + rng.random())])

    def _note(self, day: int, kind: str, rows: AnyRows) -> None:
        if len(rows):
            self.record.append(DirtEntry(day, kind, len(rows)))
