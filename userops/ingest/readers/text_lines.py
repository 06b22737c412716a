"""Files of lines whose columns stand at fixed places (`fixed`) or between runs of blanks (delimiter `whitespace`).

Decisions:

- Widths count characters, not bytes: a Chinese character is one. A line may be shorter (blanks at its end are often
  cut off): its last columns are empty then. Text beyond the last column refuses the line.
- Between blanks, a value in quotes may hold blanks; everything else is cut at every run of blanks and tabs. A line
  with more or fewer values than columns is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import duckdb

from userops.ingest.decode import LandingFile, Probe
from userops.ingest.readers.common import (
    LINE,
    RAW,
    RECORD,
    check_names,
    no_rejects,
    own_columns,
    pseudo_columns,
    scalar,
    sign_items,
)
from userops.ingest.readers.lines import FAULT, TEXT, line_stream
from userops.ingest.sources import FormatSpec
from userops.sqltext import identifier, literal

_STREAM = "landing_records"
_GAP = r"[ \t]+"
_BLANKS = "chr(32) || chr(9) || chr(13) || chr(10)"


def line_columns(
    connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, spec: FormatSpec
) -> dict[str, str]:
    """Return the columns of a file of lines, by its header or by `names`.

    Raises:
        SourceFileError: the header leaves a column without a name of its own.
    """
    names = list(spec.names) or _header(connection, file, probe, spec)
    return dict.fromkeys(names, "VARCHAR")


def read_line_records(connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, spec: FormatSpec) -> int:
    """Fill `source_rows` and `structural_rejects` from a file of lines; return the records in both."""
    columns = list(line_columns(connection, file, probe, spec))
    stream = line_stream(file, probe, spec.skip_lines)
    stream.register(connection, _STREAM)
    try:
        return _read(connection, file, spec, columns)
    except duckdb.Error:
        if stream.failure is not None:
            raise stream.failure from None
        raise


def _read(connection: duckdb.DuckDBPyConnection, file: LandingFile, spec: FormatSpec, columns: Sequence[str]) -> int:
    header = 1 if spec.header else 0
    cut = _fixed(spec) if spec.widths else _between_blanks(spec)
    connection.execute(
        f"""
        create or replace temp view cut_lines as
        select
            {RECORD} - {header} as {RECORD},
            {LINE},
            {TEXT},
            {FAULT},
            {cut} as fields
        from {_STREAM}
        where {RECORD} > {header}
        """
    )
    no_rejects(connection)
    connection.execute(
        f"""
        insert into structural_rejects
        select
            {RECORD},
            {LINE},
            coalesce({FAULT}, {_fault(spec)}),
            {literal(_expected(spec, len(columns)))},
            rtrim({TEXT}, chr(13) || chr(10))
        from cut_lines
        where {FAULT} is not null or {_is_broken(spec, len(columns))}
        """
    )
    own = own_columns(file, columns)
    places = {name: place for place, name in enumerate(columns, start=1)}
    items = [RECORD, LINE, f"cast(null as varchar) as {RAW}", *sign_items(file)]
    items += pseudo_columns(file, columns)
    items += [f"fields[{places[name]}] as {identifier(name)}" for name in own]
    broken = scalar(connection, "select count(*) from structural_rejects")
    kept = f"anti join structural_rejects as refused on refused.record_number = cut_lines.{RECORD}" if broken else ""
    connection.execute(f"create or replace temp view source_rows as select {', '.join(items)} from cut_lines {kept}")
    return scalar(connection, "select count(*) from cut_lines")


def _header(connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, spec: FormatSpec) -> list[str]:
    line_stream(file, probe, spec.skip_lines).register(connection, _STREAM)
    cut = _fixed(spec) if spec.widths else _between_blanks(spec)
    rows = connection.execute(f"select {LINE}, {cut} from {_STREAM} where {RECORD} = 1").fetchall()
    names = list(rows[0][1] or []) if rows else []
    check_names(file, names, str(rows[0][0]) if rows else "1")
    return names


def _fixed(spec: FormatSpec) -> str:
    begins = [1 + sum(spec.widths[:place]) for place in range(len(spec.widths))]
    pieces = [
        f"trim(substring({TEXT}, {begin}, {width}), {_BLANKS})"
        for begin, width in zip(begins, spec.widths, strict=True)
    ]
    return f"[{', '.join(pieces)}]"


def _between_blanks(spec: FormatSpec) -> str:
    text = f"trim({TEXT}, {_BLANKS})"
    plain = f"regexp_split_to_array({text}, {literal(_GAP)})"
    if not spec.quote:
        return plain
    quote = re.escape(spec.quote)
    value = rf"(?:{quote}(?:[^{quote}]|{quote}{quote})*{quote}|[^\s{quote}]\S*)"
    line = rf"{value}(?:[ \t]+{value})*"
    unquoted = (
        f"case when starts_with(part, {literal(spec.quote)}) "
        f"then replace(part[2:-2], {literal(spec.quote * 2)}, {literal(spec.quote)}) else part end"
    )
    quoted = (
        f"case when regexp_full_match({text}, {literal(line)}) then "
        f"list_transform(regexp_extract_all({text}, {literal(value)}), lambda part: {unquoted}) end"
    )
    return f"case when contains({TEXT}, {literal(spec.quote)}) then {quoted} else {plain} end"


def _is_broken(spec: FormatSpec, columns: int) -> str:
    if spec.widths:
        return f"trim(substring({TEXT}, {1 + sum(spec.widths)}), {_BLANKS}) <> ''"
    return f"fields is null or len(fields) <> {columns}"


def _fault(spec: FormatSpec) -> str:
    if spec.widths:
        return f"'text behind the last column: ' || length(rtrim({TEXT}, {_BLANKS})) || ' characters'"
    return "case when fields is null then 'a quote that is not closed' else len(fields) || ' values' end"


def _expected(spec: FormatSpec, columns: int) -> str:
    return f"at most {sum(spec.widths)} characters" if spec.widths else f"{columns} values between blanks"
