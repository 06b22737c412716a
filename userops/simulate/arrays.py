"""Array types, and text made of arrays.

Text files are built without a Python object per row: a `LineLayout` is a fixed-width record type, one field per piece
of the line; unused bytes stay zero and are squeezed out when the file is written. Rows stay addressable until then,
which is how dirt is put in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.bytes_]
Rows = npt.NDArray[np.void]


@dataclass(frozen=True)
class Field:
    """A piece of the line that differs between rows: at most `width` bytes of UTF-8."""

    name: str
    width: int


class LineLayout:
    """The pieces of one text line, in order: bytes are the same in every row, a `Field` is filled per row."""

    def __init__(self, pieces: Sequence[bytes | Field]) -> None:
        names = [piece.name if isinstance(piece, Field) else f"_{i}" for i, piece in enumerate(pieces)]
        widths = [piece.width if isinstance(piece, Field) else len(piece) for piece in pieces]
        self.dtype = np.dtype([(name, f"S{width}") for name, width in zip(names, widths, strict=True)])
        self._template = np.zeros(1, self.dtype)
        for name, piece in zip(names, pieces, strict=True):
            if isinstance(piece, bytes):
                self._template[name] = piece

    def rows(self, count: int) -> Rows:
        """Return `count` rows with the constant pieces filled in and every field empty."""
        return np.repeat(self._template, count)

    def offset(self, name: str) -> int:
        """Byte position of field `name` within a row."""
        fields = self.dtype.fields
        assert fields is not None
        return int(fields[name][1])


def row_bytes(rows: Rows) -> npt.NDArray[np.uint8]:
    """Return a writable (rows, width) byte view of contiguous `rows`."""
    return rows.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)


def to_text(rows: Rows) -> bytes:
    """Return the text of `rows`, unused bytes removed."""
    return np.ascontiguousarray(rows).tobytes().translate(None, b"\0")


def table(values: Iterable[str | None], quoted: bool = False) -> Texts:
    """Return UTF-8 texts to be indexed; `quoted` makes JSON values of them (None becomes null)."""
    if quoted:
        return np.array([b"null" if value is None else f'"{value}"'.encode() for value in values])
    return np.array([(value or "").encode() for value in values])


def digits(values: Ints, width: int) -> Texts:
    """Return `values` (not negative) as decimal texts of exactly `width` digits, zero-padded."""
    cells = np.empty((len(values), width), np.uint8)
    rest = values.astype(np.int64)
    for position in range(width - 1, -1, -1):
        rest, digit = np.divmod(rest, 10)
        cells[:, position] = digit + ord("0")
    return cells.view(f"S{width}").reshape(-1)


def money(cents: Ints) -> Texts:
    """Return amounts in hundredths as `123.45`: at most ten digits before the point, no padding after `to_text`."""
    whole, fraction = np.divmod(cents, 100)
    integer = digits(whole, 10).view(np.uint8).reshape(-1, 10).copy()
    for position in range(9):
        integer[whole < 10 ** (9 - position), position] = 0
    return glue(integer.view("S10").reshape(-1), b".", digits(fraction, 2))


def glue(*pieces: Texts | bytes) -> Texts:
    """Concatenate texts row by row (zero bytes inside a piece stay until `to_text`)."""
    count = next(len(piece) for piece in pieces if not isinstance(piece, bytes))
    arrays = [np.full(count, piece) if isinstance(piece, bytes) else piece for piece in pieces]
    joined = np.empty(count, np.dtype([(str(i), array.dtype) for i, array in enumerate(arrays)]))
    for i, array in enumerate(arrays):
        joined[str(i)] = array
    return joined.view(f"S{joined.dtype.itemsize}")


def squeeze(texts: Texts) -> list[str]:
    """Return texts without their zero bytes as Python strings, for small tables only."""
    return [bytes(text).replace(b"\0", b"").decode() for text in texts]


#: '00:00:00' .. '23:59:59'
CLOCK: Texts = table(f"{h:02d}:{m:02d}:{s:02d}" for h in range(24) for m in range(60) for s in range(60))
#: '000000' .. '235959'
CLOCK_COMPACT: Texts = table(f"{h:02d}{m:02d}{s:02d}" for h in range(24) for m in range(60) for s in range(60))
#: '000' .. '999'
MILLIS: Texts = table(f"{ms:03d}" for ms in range(1000))
