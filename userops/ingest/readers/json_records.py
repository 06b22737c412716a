"""Records that are JSON objects: the lines of a jsonl file, or the elements of an array in a json document.

Decisions:

- A record is refused when it is no JSON object, or has a key twice: which of the two is meant nobody knows.
- Numbers keep every digit of an integer, however long. A number with a fraction or an exponent is read as a double;
  what fills an id, or goes through an expression, is spelled as DuckDB spells doubles, which tells whether digits are
  lost: the JSON functions spell 1e16 like an integer, and 1e21 like a text that an id may well be.
- Text with \\u0000 in it is refused: neither Parquet readers nor PostgreSQL agree on such text.
- A key is spoken of when it is mapped, named in an expression, ignored, a folder key, or when a path begins with it;
  all others are EXTRAS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import duckdb

from userops.contracts.entities import ColumnType
from userops.ingest.decode import LandingFile, Probe
from userops.ingest.readers.common import (
    EXTRAS,
    LINE,
    ODD,
    PADDED,
    RAW,
    RECORD,
    OnePass,
    folder_keys,
    guarded,
    no_rejects,
    own_columns,
    pseudo_columns,
    scalar,
    sign_items,
)
from userops.ingest.readers.json_document import element_stream
from userops.ingest.readers.lines import FAULT, TEXT, RecordStream, line_stream
from userops.ingest.sources import PSEUDO_COLUMNS, Source
from userops.sqltext import identifier, json_pointer, literal, literal_list

_STREAM = "landing_records"
_BREAK = "chr(1)"
_FIRST_STEP = re.compile(r'\$\.(?:"([^"]+)"|(\w+))')
_EXPECTED = "one JSON object per record, each key once"
#: The keys of a text in one text, and what makes a text none that PostgreSQL takes.
_KEYS, _HAS_NUL = f"array_to_string(json_keys({TEXT}), {_BREAK})", f"contains({TEXT}, '\\u0000')"
#: So many records from the beginning tell which keys records have; more kinds of records than this are many.
_BEGINNING, _FEW_KINDS = 5000, 30


def read_json_records(
    connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, source: Source, keys: Sequence[str]
) -> int:
    """Fill `source_rows` and `structural_rejects` from a jsonl or json file; return the records in both."""
    stream = _stream(file, probe, source)
    stream.register(connection, _STREAM)
    try:
        return _read(connection, file, source, keys)
    except duckdb.Error:
        if stream.failure is not None:
            raise stream.failure from None
        raise


def json_in_one_pass(
    connection: duckdb.DuckDBPyConnection, file: LandingFile, probe: Probe, source: Source, keys: Sequence[str]
) -> OnePass | None:
    """Make `source_rows` the records of a jsonl or json file, cut as it is scanned; None where that cannot be.

    The first records tell which keys there are. One that has others later on, a key twice, or is no JSON object, ends
    the scan in an error.
    """
    stream = _stream(file, probe, source)
    stream.beginning(_BEGINNING, scans=1).register(connection, _STREAM)
    try:
        _find_key_sets(connection)
    except duckdb.Error:
        return None
    kinds = connection.execute("select keys, is_object and not repeats and not is_broken from key_sets").fetchall()
    if not kinds or len(kinds) > _FEW_KINDS or not all(usual for _, usual in kinds):
        return None
    no_rejects(connection)
    # Lists are compared in two thirds of the time that making texts of them takes.
    known = [literal_list(keys) for keys, _ in kinds]
    is_known = f"list_contains([{', '.join(known)}], json_keys({TEXT}))"
    usual = guarded(f"{FAULT} is null and {is_known} and not ({ODD} and {_HAS_NUL})")
    stream.spare = 1
    stream.register(connection, _STREAM)
    _make_source_rows(connection, file, source, keys, f"where {usual}")
    return OnePass(lambda: stream.passed, numbered=True)


def _stream(file: LandingFile, probe: Probe, source: Source) -> RecordStream:
    if source.format.type == "jsonl":
        return line_stream(file, probe)
    return element_stream(file, probe, source.format)


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
) -> int:
    _find_key_sets(connection)
    no_rejects(connection)
    if scalar(connection, "select count(*) from key_sets where is_broken or repeats or not is_object"):
        _collect_rejects(connection)
    broken = scalar(connection, "select count(*) from structural_rejects")
    kept = f"anti join structural_rejects as refused on refused.record_number = {_STREAM}.{RECORD}" if broken else ""
    _make_source_rows(connection, file, source, keys, kept)
    return scalar(connection, "select coalesce(sum(records), 0)::bigint from key_sets")


def _find_key_sets(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill `key_sets` with the different sets of keys that records have."""
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
                {FAULT} is not null or {_HAS_NUL} as has_fault,
                count(*) as records
            from {_STREAM}
            group by all
        )
        """
    )


def _make_source_rows(
    connection: duckdb.DuckDBPyConnection, file: LandingFile, source: Source, keys: Sequence[str], kept: str
) -> None:
    """Make `source_rows` the records of the stream; `kept` is SQL behind it that keeps some of them."""
    own = [key for key in own_columns(file, keys) if key not in PSEUDO_COLUMNS]
    fields = _fields(own, _exact_keys(source, own))
    items = [RECORD, LINE, f"trim({TEXT}, chr(10) || chr(13) || chr(9) || ' ') as {RAW}"]
    items += [
        *sign_items(file, ODD, PADDED),
        _extras(connection, file, source, keys),
        *pseudo_columns(file, own),
        *fields,
    ]
    connection.execute(
        f"""
        create or replace temp view source_rows as
        select {", ".join(items)}
        from (
            select {RECORD}, {LINE}, {TEXT}, {ODD}, {PADDED}, {", ".join(_parsed(own))} from {_STREAM} {kept}
        ) as parsed
        """
    )


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


def _parsed(keys: Sequence[str]) -> list[str]:
    """Return the select items that parse a record: `fields`, a struct of its keys, and `deeper`, a list by path."""
    fields = {key: "VARCHAR" for key in keys if not is_path(key)}
    paths = [key for key in keys if is_path(key)]
    items = []
    if fields:
        items.append(f"json_transform({TEXT}, {literal(json.dumps(fields, ensure_ascii=False))}) as fields")
    if paths:
        items.append(f"json_extract_string({TEXT}, {literal_list(paths)}) as deeper")
    return items or ["null as fields"]


def _fields(keys: Sequence[str], exact: frozenset[str]) -> list[str]:
    """Return the select items that take the keys from what `_parsed` gives.

    Args:
        exact: keys whose doubles must not look like integers or texts.
    """
    places = {key: place for place, key in enumerate(filter(is_path, keys), start=1)}
    items = []
    for key in keys:
        value = f"deeper[{places[key]}]" if key in places else f"struct_extract(fields, {literal(key)})"
        if key in exact:
            path = key if key in places else json_pointer(key)
            like_number = f"{value} < ':' and (contains({value}, '.') or contains({value}, 'e'))"
            is_double = f"json_type({TEXT}, {literal(path)}) = 'DOUBLE'"
            spelled = f"coalesce(cast(try_cast({value} as double) as varchar), {value})"
            value = f"case when {like_number} and {is_double} then {spelled} else {value} end"
        items.append(f"{value} as {identifier(key)}")
    return items


def _exact_keys(source: Source, keys: Sequence[str]) -> frozenset[str]:
    """Return the keys that fill an id or may be named in an expression."""
    mapped = [(source.contract.column(name), mapping) for name, mapping in source.columns.items()]
    ids = {mapping.column or mapping.path for column, mapping in mapped if column.type is ColumnType.ID}
    texts = [source.filter or "", *(mapping.expr or "" for _, mapping in mapped)]
    return frozenset(key for key in keys if key in ids or any(key.lower() in text.lower() for text in texts))


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
