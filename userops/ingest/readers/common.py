"""What all readers share: the columns they add, and the table of lines that are no record."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb

from userops.errors import SourceFileError, shown_names
from userops.ingest.decode import LandingFile, has_wide_blank
from userops.ingest.sources import FILE_COLUMN, ROW_COLUMN
from userops.sqltext import identifier, literal

#: Columns the readers add to a file's own: the record's number (1-based, blank lines are no records), its first
#: physical line (null where there are none), its text (jsonl and json), and the keys of a JSON record that the
#: mapping does not speak of, as a JSON object (null when there are none).
RECORD, LINE, RAW, EXTRAS = ("__userops_record", "__userops_line", "__userops_raw", "__userops_extras")

#: Whether a value of the row may have control characters or wide blanks in it, and whether one may end in a blank:
#: nearly always known to be false.
ODD, PADDED = "__userops_odd", "__userops_padded"

#: Longest record of a text file, in bytes; a longer one is refused and its beginning is kept.
MAX_RECORD_BYTES = 8 * 1024 * 1024

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class OnePass:
    """A file whose `source_rows` reads the landing file itself and ends in an error at the first unusual record.

    Attributes:
        counted: how many records a whole scan has passed, asked behind one; None: some of them were left out.
        numbered: whether `source_rows` has RECORD and LINE; else both are null, and the place of a row is its number.
    """

    counted: Callable[[], int | None]
    numbered: bool


def folder_keys(file: LandingFile) -> dict[str, str]:
    """Return the `key=value` parts of the file's folders, such as dt=2026-01-05; a folder for "no value" gives ''."""
    found: dict[str, str] = {}
    for part in file.relative.split("/")[:-1]:
        key, sign, value = part.partition("=")
        if key and sign:
            found[unquote(key)] = "" if value == _NO_VALUE else unquote(value)
    return found


def own_columns(file: LandingFile, columns: Iterable[str]) -> list[str]:
    """Return the columns that come from the file's content: a folder key wins over a column of its name."""
    shadowed = {key.lower() for key in folder_keys(file)}
    return [column for column in columns if column.lower() not in shadowed]


def pseudo_columns(file: LandingFile, columns: Sequence[str]) -> list[str]:
    """Return the select items of the folder keys, `_file` and `_row`; a file's own column of such a name wins.

    They stand behind the select item that is called RECORD.
    """
    found = folder_keys(file)
    items = [f"{literal(value)} as {identifier(key)}" for key, value in found.items()]
    taken = {name.lower() for name in (*columns, *found)}
    shown_path = file.relative.encode("utf-8", "backslashreplace").decode("utf-8")
    own = {FILE_COLUMN: literal(shown_path), ROW_COLUMN: RECORD}
    return items + [f"{value} as {identifier(name)}" for name, value in own.items() if name not in taken]


def sign_items(file: LandingFile, odd: bool | str = True, padded: bool | str = True) -> list[str]:
    """Return the select items ODD and PADDED: what the reader knows of the text, and what folders and name add.

    Args:
        odd, padded: known of all rows, or the name of a column that tells it of each.
    """
    path = unquote(file.relative)
    in_path = any(sign < " " for sign in path) or has_wide_blank(path.encode("utf-8", "surrogatepass"))
    return [_sign_item(odd, in_path, ODD), _sign_item(padded, " " in path, PADDED)]


def _sign_item(known: bool | str, in_path: bool, name: str) -> str:
    return f"{known if isinstance(known, str) and not in_path else literal(bool(known) or in_path)} as {name}"


def guarded(condition: str) -> str:
    """Return SQL of a filter that lets each row pass and ends the query in an error where the condition is not true."""
    return f"case when {condition} then true else error('an unusual record') end"


def check_names(file: LandingFile, names: Sequence[str], place: str) -> None:
    """Refuse a header that leaves a column without a name of its own.

    Raises:
        SourceFileError: a name is empty, there twice, or no text.
    """
    if any("\0" in name for name in names):
        raise SourceFileError(
            f"{file.relative}:{place}",
            "NUL bytes where the column names should be",
            "a line of column names",
            "export or copy the file again; of text in UTF-16, set `format.encoding: utf-16`",
        )
    lowered = [name.lower() for name in names]
    repeated = sorted({name for name in names if lowered.count(name.lower()) > 1 and name})
    if not repeated and "" not in names:
        return
    raise SourceFileError(
        f"{file.relative}:{place}",
        f"the column(s) {shown_names(repeated)} more than once" if repeated else "a column without a name",
        "a header with a name of its own for every column (upper and lower case are the same)",
        "rename the columns in the export, or use `header: false` with `names`",
    )


def no_rejects(connection: duckdb.DuckDBPyConnection) -> None:
    """Create `structural_rejects`, empty."""
    connection.execute(
        "create or replace temp table structural_rejects "
        "(record_number bigint, line_number bigint, found varchar, expected varchar, raw varchar)"
    )


def scalar(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """Return the one number a query gives."""
    return int(one_row(connection, query)[0])


def one_row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """Return the one row a query gives, read to its end: an open result would be in the way of `register`."""
    (row,) = connection.execute(query).fetchall()
    return tuple(row)


def mapped(path: Path) -> mmap.mmap:
    """Return the file's bytes without reading them yet; freed with the last match or slice that refers to them."""
    with path.open("rb") as handle:
        return mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)


def shown(piece: bytes) -> str:
    """Return bytes as text a person and a database can hold: what is no UTF-8, and NUL, as \\xNN."""
    return piece[:MAX_RECORD_BYTES].decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def unreadable(file: LandingFile, expected: str, error: Exception) -> SourceFileError:
    """Return the error for bytes that the engine cannot read at all."""
    message = str(error).splitlines()[0]
    return SourceFileError(
        file.relative,
        f"bytes DuckDB cannot read ({message})",
        expected,
        "check `format` in the source YAML, or export the file again",
    )
