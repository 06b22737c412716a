"""Records that are JSON objects: the lines of a jsonl file, or the elements of an array in a json document.

Decisions:

- A record is refused when it is no JSON object, or has a key twice: which of the two is meant nobody knows.
- Numbers keep every digit of an integer, however long. A number with a fraction or an exponent is read as a double.
- Text with \\u0000 in it is refused: neither Parquet readers nor PostgreSQL agree on such text.
- A key is spoken of when it is mapped, named in an expression, ignored, a folder key, or when a path begins with it;
  all others are EXTRAS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import duckdb

from userops.ingest.decode import LandingFile, Probe
from userops.ingest.readers.common import (
    EXTRAS,
    LINE,
    RAW,
    RECORD,
    folder_keys,
    no_rejects,
    odd_item,
    own_columns,
    pseudo_columns,
    scalar,
)
from userops.ingest.readers.json_document import element_stream
from userops.ingest.readers.lines import FAULT, TEXT, RecordStream, line_stream
from userops.ingest.sources import PSEUDO_COLUMNS, Source
from userops.sqltext import identifier, literal

_STREAM = "landing_records"
_BREAK = "chr(1)"
_FIRST_STEP = re.compile(r'\$\.(?:"([^"]+)"|(\w+))')
_EXPECTED = "one JSON object per record, each key once"


def read_json_records(
    connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, source: Source, keys: Sequence[str]
) -> int:
    """Fill `source_rows` and `structural_rejects` from a jsonl or json file; return the records in both."""
    stream = line_stream(file, probe) if source.format.type == "jsonl" else element_stream(file, probe, source.format)
    stream.register(connection, _STREAM)
    try:
        return _read(connection, file, source, keys, stream)
    except duckdb.Error:
        if stream.failure is not None:
            raise stream.failure from None
        raise


def found_keys(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return the top-level keys of the JSON records read last, and how many records have each."""
    rows = connection.execute(
        """
        select key, sum(records)::bigint
        from (select unnest(keys) as key, records from key_sets where is_object)
        group by key
        order by key
        """
    ).fetchall()
    return dict(rows)


def is_path(key: str) -> bool:
    """Whether a wanted key is a JSON path rather than a top-level key."""
    return key.startswith(("$.", "$["))


def first_keys(keys: Sequence[str]) -> list[str]:
    """Return the top-level keys that wanted keys and paths begin with."""
    found: dict[str, None] = {}
    for key in keys:
        if not is_path(key):
            found.setdefault(key)
        elif step := _FIRST_STEP.match(key):
            found.setdefault(step[1] or step[2])
    return list(found)


def _read(
    connection: duckdb.DuckDBPyConnection,
    file: LandingFile,
    source: Source,
    keys: Sequence[str],
    stream: RecordStream,
) -> int:
    # One pass finds out three things of every record, because parsing costs the most: whether it is JSON, whether it
    # has a key twice, and which keys there are. Records of one kind share their keys, so the result is small.
    connection.execute(
        f"""
        create or replace temp table key_sets as
        select
            string_split(keys, {_BREAK}) as keys,
            keys <> '' as is_object,
            coalesce(len(string_split(keys, {_BREAK})) > len(list_distinct(string_split(keys, {_BREAK}))), false)
                as repeats,
            has_fault or keys is null as is_broken,
            records
        from (
            select
                case when {FAULT} is null then array_to_string(try(json_keys({TEXT})), {_BREAK}) end as keys,
                {FAULT} is not null or contains({TEXT}, '\\u0000') as has_fault,
                count(*) as records
            from {_STREAM}
            group by all
        )
        """
    )
    no_rejects(connection)
    if scalar(connection, "select count(*) from key_sets where is_broken or repeats or not is_object"):
        _collect_rejects(connection)
    broken = scalar(connection, "select count(*) from structural_rejects")
    kept = f"anti join structural_rejects as refused on refused.record_number = {_STREAM}.{RECORD}" if broken else ""
    own = [key for key in own_columns(file, keys) if key not in PSEUDO_COLUMNS]
    parsed, fields = _fields(own)
    items = [RECORD, LINE, f"trim({TEXT}, chr(10) || chr(13) || chr(9) || ' ') as {RAW}"]
    items += [
        odd_item(file, stream.odd_signs),
        _extras(connection, file, source, keys),
        *pseudo_columns(file, own),
        *fields,
    ]
    connection.execute(
        f"""
        create or replace temp view source_rows as
        select {", ".join(items)}
        from (select {RECORD}, {LINE}, {TEXT}, {parsed} as fields from {_STREAM} {kept}) as parsed
        """
    )
    return scalar(connection, "select coalesce(sum(records), 0)::bigint from key_sets")


def _collect_rejects(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        f"""
        insert into structural_rejects
        select
            {RECORD},
            {LINE},
            case
                when {FAULT} is not null then {FAULT}
                when kind is null then 'text that is not JSON'
                when kind <> 'OBJECT' then 'JSON of type ' || lower(kind)
                when len(keys) > len(list_distinct(keys)) then 'a JSON object with a key twice'
                else 'text with a NUL character (\\u0000)'
            end,
            {literal(_EXPECTED)},
            trim({TEXT}, chr(10) || chr(13) || chr(9) || ' ')
        from (
            select *, try(json_type({TEXT})) as kind, try(json_keys({TEXT})) as keys
            from {_STREAM}
        )
        where
            {FAULT} is not null
            or kind is null
            or kind <> 'OBJECT'
            or len(keys) > len(list_distinct(keys))
            or contains({TEXT}, '\\u0000')
        """
    )


def _fields(keys: Sequence[str]) -> tuple[str, list[str]]:
    """Return the expression that parses a record once, and the select items that take the keys from it."""
    if not keys:
        return "null", []
    if any(is_path(key) for key in keys):
        paths = ", ".join(literal(key if is_path(key) else _pointer(key)) for key in keys)
        items = [f"fields[{place}] as {identifier(key)}" for place, key in enumerate(keys, start=1)]
        return f"json_extract_string({TEXT}, [{paths}])", items
    shape = json.dumps(dict.fromkeys(keys, "VARCHAR"), ensure_ascii=False)
    items = [f"fields.{identifier(key)} as {identifier(key)}" for key in keys]
    return f"json_transform({TEXT}, {literal(shape)})", items


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _extras(connection: duckdb.DuckDBPyConnection, file: LandingFile, source: Source, keys: Sequence[str]) -> str:
    known = {*first_keys(keys), *source.ignore, *folder_keys(file)}
    present = set(_names(connection))
    if present <= known:
        return f"cast(null as varchar) as {EXTRAS}"
    patch = json.dumps(dict.fromkeys(sorted(known & present)), ensure_ascii=False)
    return f"nullif(cast(json_merge_patch({TEXT}, {literal(patch)}) as varchar), '{{}}') as {EXTRAS}"


def _names(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    rows = connection.execute("select distinct unnest(keys) from key_sets where is_object").fetchall()
    return (name for (name,) in rows)
