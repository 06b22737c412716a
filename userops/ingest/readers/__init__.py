"""A landing file as a DuckDB table of its records, plus the lines that are no record at all.

Two steps behind `decode.probe_file`, so that a wrong mapping is found before a record is parsed:

1. `source_columns` tells the names (and, in Parquet, types) of the file's columns.
2. `read_records` fills the temporary tables (or views) `source_rows` and `structural_rejects`.

`source_rows` may be a view that reads the file anew each time it is scanned: what is needed several times should be
kept by who needs it.

`in_one_pass` takes the place of the second step for a csv, jsonl or json file in which every record is like the others:
nothing is read before `source_rows` is scanned. Where one record is unusual, `read_records` is to read the file.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from userops.ingest.decode import LandingFile, Probe, probe_file, sha256_of
from userops.ingest.readers.common import (
    EXTRAS,
    LINE,
    ODD,
    PADDED,
    RAW,
    RECORD,
    OnePass,
    folder_keys,
    own_columns,
    unreadable,
)
from userops.ingest.readers.csv import csv_columns, csv_in_one_pass, read_csv_records
from userops.ingest.readers.json_records import found_keys, json_in_one_pass, read_json_records
from userops.ingest.readers.parquet import parquet_columns, read_parquet_records
from userops.ingest.readers.text_lines import line_columns, read_line_records
from userops.ingest.readers.xlsx import read_xlsx_records, xlsx_columns
from userops.ingest.sources import WHITESPACE, FormatSpec, Source

__all__ = [
    "EXTRAS",
    "LINE",
    "ODD",
    "PADDED",
    "RAW",
    "RECORD",
    "LandingFile",
    "OnePass",
    "Probe",
    "folder_keys",
    "found_keys",
    "in_one_pass",
    "probe_file",
    "read_records",
    "sha256_of",
    "source_columns",
]


def source_columns(
    connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, source: Source
) -> dict[str, str] | None:
    """Return the file's own columns and their DuckDB types, in order; None for JSON, which names none in advance.

    Folder keys are not among them; a column that a folder key shadows is left out.

    Raises:
        SourceFileError: the header repeats a column or leaves one without a name, or the file cannot be read.
    """
    spec = source.format
    if spec.type in ("jsonl", "json"):
        return None
    try:
        columns = _columns(connection, file, probe, spec)
    except duckdb.Error as error:
        raise unreadable(file, f"a {spec.type} file", error) from None
    return {name: columns[name] for name in own_columns(file, columns)}


def read_records(
    connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, source: Source, columns: Sequence[str]
) -> int:
    """Fill `source_rows` and `structural_rejects`, and return the number of records in both.

    `source_rows` holds RECORD (1-based; blank lines are no records), LINE (null in Parquet), ODD, PADDED,
    RAW and EXTRAS (jsonl and json), `_file`, the folder keys and the file's columns; `structural_rejects` holds
    record_number, line_number, found, expected, raw.

    Args:
        columns: of jsonl and json, the keys and JSON paths wanted; of other formats, what `source_columns` gave.

    Raises:
        SourceFileError: the file cannot be read, or its records do not add up.
    """
    spec = source.format
    try:
        if spec.type in ("jsonl", "json"):
            return read_json_records(connection, file, probe, source, columns)
        if spec.type == "parquet":
            return read_parquet_records(connection, file, probe)
        if spec.type == "xlsx":
            return read_xlsx_records(connection, file, probe, spec)
        if _is_lines(spec):
            return read_line_records(connection, file, probe, spec)
        return read_csv_records(connection, file, probe, spec)
    except duckdb.Error as error:
        raise unreadable(file, f"a {spec.type} file", error) from None


def in_one_pass(
    connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, source: Source, columns: Sequence[str]
) -> OnePass | None:
    """Make `source_rows` the records of a file, not read yet, and `structural_rejects` empty; None where it cannot be.

    To be scanned whole, once at a time; for a probe without a limit. The scan ends in an error at a record that may not
    be as it seems.

    Args:
        columns: as for `read_records`.
    """
    try:
        if source.format.type in ("jsonl", "json"):
            return json_in_one_pass(connection, file, probe, source, columns)
        if source.format.type == "csv" and not _is_lines(source.format):
            return csv_in_one_pass(connection, file, probe, source)
    except duckdb.Error:
        return None
    return None


def _columns(
    connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, spec: FormatSpec
) -> dict[str, str]:
    if spec.type == "parquet":
        return parquet_columns(connection, file, probe)
    if spec.type == "xlsx":
        return xlsx_columns(connection, file, probe, spec)
    if _is_lines(spec):
        return line_columns(connection, file, probe, spec)
    return csv_columns(file, probe, spec)


def _is_lines(spec: FormatSpec) -> bool:
    return spec.type == "fixed" or spec.delimiter == WHITESPACE
