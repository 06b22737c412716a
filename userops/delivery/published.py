"""The lists of one business date as they are published; nothing else is read here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from userops.config import Settings
from userops.errors import DeliveryError
from userops.lists.content import ListContent, read_list
from userops.lists.registry import LISTS, ListExport
from userops.sqltext import literal
from userops.warehouse.connect import read_only


@dataclass(frozen=True)
class PublishedList:
    """One published list.

    Attributes:
        folder: where its files lie, below the links that never change.
        files: its files as they were when it was read, by ending: csv, xlsx.
    """

    content: ListContent
    folder: Path
    files: Mapping[str, bytes]


def published_lists(settings: Settings, as_of: date) -> dict[str, PublishedList]:
    """Return the published lists of a business date by name.

    All of it comes out of one publication, even when another one is put in its place meanwhile.

    Raises:
        DeliveryError: no list of that date is published.
    """
    current = (settings.paths.published / "current").resolve()
    found: dict[str, PublishedList] = {}
    if (current / "marts.duckdb").exists():
        with read_only(current / "marts.duckdb", settings) as connection:
            tables = {str(name) for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()}
            for export in LISTS:
                below = Path(export.name) / f"as_of_date={as_of.isoformat()}"
                folder = current / "exports" / below
                if export.table in tables and (folder / f"{export.name}.parquet").exists():
                    content = _content(connection, export, as_of, folder)
                    files = {ending: (folder / f"{export.name}.{ending}").read_bytes() for ending in ("csv", "xlsx")}
                    found[export.name] = PublishedList(content, settings.paths.published_exports / below, files)
    if not found:
        raise DeliveryError(
            str(settings.paths.published_exports), f"no list of {as_of}", "a published list of that date",
            f"run `userops run --as-of {as_of}`, or choose a date that is there",
        )  # fmt: skip
    return found


def _content(connection: duckdb.DuckDBPyConnection, export: ListExport, as_of: date, folder: Path) -> ListContent:
    comments = connection.execute(
        "select column_name, comment from duckdb_columns() where table_name = ? and comment is not null", [export.table]
    ).fetchall()
    return read_list(
        connection,
        export,
        as_of,
        rows_from=f"read_parquet({literal(str(folder / f'{export.name}.parquet'))})",
        all_dates=export.table,
        docs={str(name): str(comment) for name, comment in comments},
    )
