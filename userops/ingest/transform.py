"""Source rows into canonical rows, as one SQL statement per file.

Decisions that hold for every source:

- Text is trimmed (also of tabs, returns, no-break and ideographic spaces); what is empty then is null.
- Ids are text. A number with an empty fraction loses it, in text as well: `13085.0` is `13085`, because a spreadsheet
  or a float column put it there. An id from a float column of 2^53 or more has lost digits already and is refused.
- A time with an offset is honoured; one without is local time of the source's zone. Stored times are naive UTC.
- A value that is there but cannot be read refuses its row; so does a missing required one. Nothing is guessed.
- A business date before `gates.earliest_date`, or later than the later of today and the run's business date plus
  `gates.max_future_days`, refuses its row, so that one bad row does not hold up a whole batch at the gate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb

from userops.config import Settings
from userops.contracts.entities import Column, ColumnType, Entity
from userops.errors import ConfigError
from userops.ingest.lake import NO_DATE
from userops.ingest.readers import LINE, RAW, RECORD
from userops.ingest.sources import EPOCH_FORMATS, FILE_COLUMN, ColumnMapping, Source, did_you_mean
from userops.sqltext import identifier, literal

_SPACES = "' ' || chr(9) || chr(10) || chr(13) || chr(160) || chr(12288)"
_BLANK = r"[\s\x{a0}\x{3000}]"
_OFFSET = r":\d\d([.,]\d+)?\s*(Z|z|[+-]\d\d(:?\d\d)?)$"
_INTEGER_TYPES = {
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
}
_FLOAT_EXACT = {"FLOAT": 2**24, "DOUBLE": 2**53}
_NATIVE_TIMES = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE"}
_WITH_ZONE = "TIMESTAMP WITH TIME ZONE"
_TRUE = ("true", "t", "yes", "y", "1", "1.0", "on", "是")
_FALSE = ("false", "f", "no", "n", "0", "0.0", "off", "否")


@dataclass(frozen=True)
class DateBounds:
    """First and last business date that is let in."""

    first: date
    last: date


@dataclass(frozen=True)
class _Field:
    """A canonical column on its way: `source` is the cleaned source value's SQL name, `kind` its DuckDB type."""

    column: Column
    mapping: ColumnMapping
    kind: str


@dataclass(frozen=True)
class _Rule:
    """A reason to refuse a row: SQL test, code, canonical column, SQL of what was found, what was expected."""

    test: str
    code: str
    column: str
    found: str
    expected: str


@dataclass(frozen=True)
class CanonicalSql:
    """Two statements over `source_rows`.

    Attributes:
        rows: record_number, state (loaded, filtered, refused), the canonical columns, _row_hash, event_date.
        refusals: record_number, line_number, reason_code, column_name, found, expected, raw of the refused rows. Apart
            from `rows`, because planning it costs as much and most files have none.
    """

    rows: str
    refusals: str


def date_bounds(settings: Settings, today: date, as_of: date) -> DateBounds:
    """Return the business dates that are let in by a run on `today` for business date `as_of`."""
    return DateBounds(settings.gates.earliest_date, max(today, as_of) + timedelta(days=settings.gates.max_future_days))


def wanted_keys(connection: duckdb.DuckDBPyConnection, source: Source, where: str) -> list[str]:
    """Return the keys of a JSON lines file that the mapping speaks of.

    Raises:
        ConfigError: an expression is no SQL expression, or two keys differ in upper and lower case only.
    """
    keys: dict[str, None] = {}
    for key, text in _expressions(source).items():
        for name in _column_references(connection, text, f"{where}, key `{key}`"):
            keys.setdefault(name)
    for mapping in source.columns.values():
        if mapping.column is not None:
            keys.setdefault(mapping.column)
    keys.pop(FILE_COLUMN, None)
    lowered = [key.lower() for key in keys]
    clash = sorted(key for key in keys if lowered.count(key.lower()) > 1)
    if clash:
        raise ConfigError(
            f"{where}, key `columns`",
            f"the keys {', '.join(clash)}",
            "keys that differ by more than upper and lower case",
            "write the key the same way everywhere",
        )
    return list(keys)


def canonical_sql(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    columns: Mapping[str, str],
    settings: Settings,
    bounds: DateBounds,
    where: str,
) -> CanonicalSql:
    """Return the statements that turn `source_rows` into canonical rows and into refusals.

    Args:
        columns: names and DuckDB types of the file's columns.
        where: what an error about the mapping names.

    Raises:
        ConfigError: the mapping names a column the file does not have, or an expression does not fit it.
    """
    contract = source.contract
    fields = _fields(connection, source, columns, where)
    rules = _rules(contract, fields, source, bounds)
    names = ", ".join(identifier(name) for name in contract.column_names)
    rows = f"""
    with {_judged(contract, fields, rules, source, settings, raw="")},
    fingerprinted as (
        select *, {_fingerprint(contract)} as fingerprint
        from judged
    ),
    keyed as (
        select * {_derived_key(contract)}
        from fingerprinted
    )
    select
        record_number,
        state,
        {names},
        cast(md5_number_lower(fingerprint || coalesce({identifier(contract.key)}, '')) >> 1 as bigint) as _row_hash,
        event_date
    from keyed
    """
    reasons = ",\n            ".join(_reason(rule) for rule in rules)
    refusals = f"""
    with {_judged(contract, fields, rules, source, settings, raw=f", {_raw_row(source, columns)} as raw")},
    refused as (
        select
            record_number,
            line_number,
            cast(raw as varchar) as raw,
            list_filter([
            {reasons}
            ], lambda reason: reason is not null) as reasons
        from judged
        where state = 'refused'
    )
    select
        record_number,
        line_number,
        {_joined("code")} as reason_code,
        {_joined("column")} as column_name,
        {_joined("found")} as found,
        {_joined("expected")} as expected,
        raw
    from refused
    """
    return CanonicalSql(rows, refusals)


def _judged(
    contract: Entity, fields: list[_Field], rules: list[_Rule], source: Source, settings: Settings, raw: str
) -> str:
    """The common table expressions up to `judged`: canonical columns, event_date, and the state of every row."""
    mapped = [f"{RECORD} as record_number", f"{LINE} as line_number{raw}"]
    if source.filter:
        mapped.append(f"try({{'v': cast(({source.filter}) as boolean)}}) as kept")
    mapped += [f"{_mapped(field.mapping)} as {_raw_name(field)}" for field in fields]
    cleaned = [f"{_cleaned(field)} as {_source_name(field)}" for field in fields]
    cleaned += [
        f"{_raw_name(field)} is null as {_failed_name(field)}" for field in fields if field.mapping.expr is not None
    ]
    typed = [f"{_typed(field, source)} as {identifier(field.column.name)}" for field in fields]
    typed += [
        f"cast(null as {column.type.duckdb}) as {identifier(column.name)}"
        for column in contract.stored_columns
        if column.name not in source.columns
    ]
    refused = " or ".join(f"({rule.test})" for rule in rules)
    return f"""mapped as (
        select {", ".join(mapped)}
        from source_rows
    ),
    cleaned as (
        select * exclude ({", ".join(_raw_name(field) for field in fields)}), {", ".join(cleaned)}
        from mapped
    ),
    typed as (
        select *, {", ".join(typed)}
        from cleaned
    ),
    dated as (
        select *, {_business_date(contract, settings)} as event_date
        from typed
    ),
    judged as (
        select *, case when {_filtered(source)} then 'filtered' when {refused} then 'refused' else 'loaded' end as state
        from dated
    )"""


def _fields(
    connection: duckdb.DuckDBPyConnection, source: Source, columns: Mapping[str, str], where: str
) -> list[_Field]:
    """Bind every mapping against the file's columns, so that errors come before the file is read."""
    relation = _empty_relation(columns)
    fields = []
    for column in source.contract.stored_columns:
        mapping = source.columns.get(column.name)
        if mapping is None:
            continue
        key = f"columns.{column.name}"
        if mapping.column is not None:
            if mapping.column not in columns:
                raise _unknown_column(mapping.column, columns, f"{where}, key `{key}`")
            kind = columns[mapping.column]
        elif mapping.expr is not None:
            kind = _bound_type(connection, mapping.expr, relation, columns, f"{where}, key `{key}.expr`")
        else:
            kind = "VARCHAR"
        field = _Field(column, mapping, kind)
        _check_time_kind(field, f"{where}, key `{key}`")
        fields.append(field)
    if source.filter:
        _bound_type(connection, f"cast(({source.filter}) as boolean)", relation, columns, f"{where}, key `filter`")
    return fields


def _empty_relation(columns: Mapping[str, str]) -> str:
    nulls = [f"cast(null as {kind}) as {identifier(name)}" for name, kind in columns.items()]
    if FILE_COLUMN not in {name.lower() for name in columns}:
        nulls.append(f"cast(null as varchar) as {identifier(FILE_COLUMN)}")
    return f"(select {', '.join(nulls)})"


def _bound_type(
    connection: duckdb.DuckDBPyConnection, expression: str, relation: str, columns: Mapping[str, str], where: str
) -> str:
    for name in _column_references(connection, expression, where):
        if name.lower() not in {known.lower() for known in (*columns, FILE_COLUMN)}:
            raise _unknown_column(name, columns, where)
    try:
        row = connection.execute(f"describe select try({{'v': ({expression})}}).v from {relation}").fetchone()
    except duckdb.Error as error:
        raise _bad_expression(expression, error, where) from None
    assert row is not None
    return str(row[1])


def _column_references(connection: duckdb.DuckDBPyConnection, expression: str, where: str) -> list[str]:
    """Return the columns an expression names; parameters of its lambdas are none."""
    row = connection.execute("select json_serialize_sql(?)", [f"select ({expression})"]).fetchone()
    assert row is not None
    tree = json.loads(row[0])
    if tree.get("error") or len(tree["statements"]) != 1:
        raise _bad_expression(expression, ValueError(tree.get("error_message", "more than one statement")), where)
    found: dict[str, None] = {}

    def walk(node: object, bound: frozenset[str]) -> None:
        if isinstance(node, list):
            for item in node:
                walk(item, bound)
        elif isinstance(node, dict):
            if node.get("class") == "SUBQUERY":
                raise _bad_expression(expression, ValueError("a subquery"), where)
            if node.get("class") == "LAMBDA":
                parameters = frozenset(_names_in(node.get("lhs")))
                walk(node.get("expr"), bound | parameters)
            elif node.get("class") == "COLUMN_REF":
                name = node["column_names"][0]
                if name not in bound:
                    found.setdefault(name)
            else:
                for value in node.values():
                    walk(value, bound)

    walk(tree["statements"][0]["node"]["select_list"], frozenset())
    return list(found)


def _names_in(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["column_names"][0]] if node.get("class") == "COLUMN_REF" else []
        return own + [name for value in node.values() for name in _names_in(value)]
    if isinstance(node, list):
        return [name for item in node for name in _names_in(item)]
    return []


def _expressions(source: Source) -> dict[str, str]:
    found = {
        f"columns.{name}.expr": mapping.expr for name, mapping in source.columns.items() if mapping.expr is not None
    }
    return {**found, "filter": source.filter} if source.filter else found


def _unknown_column(name: str, columns: Mapping[str, str], where: str) -> ConfigError:
    known = list(columns)
    return ConfigError(
        where,
        f"source column `{name}`, which the file does not have",
        f"one of {', '.join(known)}",
        did_you_mean(name, known) or "correct the name; text constants need single quotes in an `expr`, or use `value`",
    )


def _bad_expression(expression: str, error: Exception, where: str) -> ConfigError:
    message = " ".join(line.strip() for line in str(error).splitlines()[:2] if line.strip())
    return ConfigError(
        where, f"`{expression}` ({message})", "one DuckDB expression over the file's columns", "correct the expression"
    )


def _check_time_kind(field: _Field, where: str) -> None:
    is_time = field.column.type is ColumnType.TIMESTAMP
    if is_time and field.mapping.format is None and (field.kind in _INTEGER_TYPES or field.kind in _FLOAT_EXACT):
        raise ConfigError(
            where,
            f"a number ({field.kind}) as a time",
            "a time, or a number with its unit",
            "add `format: epoch_s` or `format: epoch_ms`",
        )


def _raw_name(field: _Field) -> str:
    return identifier(f"raw_{field.column.name}")


def _source_name(field: _Field) -> str:
    return identifier(f"source_{field.column.name}")


def _failed_name(field: _Field) -> str:
    return identifier(f"failed_{field.column.name}")


def _raw_row(source: Source, columns: Mapping[str, str]) -> str:
    """The whole source row, for quarantine: its line where that is kept, else all its fields as JSON."""
    if source.format.type == "jsonl":
        return RAW
    fields = ", ".join(f"{literal(name)}: {identifier(name)}" for name in columns)
    return f"to_json({{{fields}}})"


def _mapped(mapping: ColumnMapping) -> str:
    if mapping.column is not None:
        return identifier(mapping.column)
    if mapping.expr is not None:
        # The struct tells an expression that failed (null) from one that gave null.
        return f"try({{'v': ({mapping.expr})}})"
    return f"cast({literal(mapping.constant)} as varchar)"


def _cleaned(field: _Field) -> str:
    value = _raw_name(field) + (".v" if field.mapping.expr is not None else "")
    if field.kind == "VARCHAR":
        # Most values hold no blank at all, and looking for one is far cheaper than trimming a set of characters.
        has_blank = f"regexp_matches({value}, {literal(_BLANK)})"
        return f"nullif(case when {has_blank} then trim({value}, {_SPACES}) else {value} end, '')"
    if field.kind in _FLOAT_EXACT:
        return f"case when not isnan({value}) then {value} end"
    return value


def _typed(field: _Field, source: Source) -> str:
    value, kind = _source_name(field), field.kind
    match field.column.type:
        case ColumnType.ID:
            typed = _id(value, kind)
        case ColumnType.TEXT:
            typed = f"cast({value} as varchar)"
        case ColumnType.TIMESTAMP:
            typed = _timestamp(value, kind, field.mapping.format, source.timezone)
        case ColumnType.DATE:
            typed = _date(value, kind, field.mapping.format, source.timezone)
        case ColumnType.MONEY | ColumnType.NUMBER:
            typed = f"try_cast({value} as decimal(18, 4))"
        case ColumnType.BOOLEAN:
            typed = _boolean(value, kind)
        case ColumnType.JSON:
            typed = _json_object(value, kind)
    if field.column.name == "event_name":
        return _canonical_event(typed, source)
    return typed


def _id(value: str, kind: str) -> str:
    if kind in _FLOAT_EXACT:
        whole = f"cast(cast({value} as bigint) as varchar)"
        text = f"case when {value} = trunc({value}) then {whole} else cast({value} as varchar) end"
        return f"case when abs({value}) < {_FLOAT_EXACT[kind]} then {text} end"
    if kind in _INTEGER_TYPES:
        return f"cast({value} as varchar)"
    text = f"cast({value} as varchar)"
    whole = f"regexp_replace({text}, '^(-?\\d+)\\.0+$', '\\1')"
    return f"case when suffix({text}, '0') and contains({text}, '.') then {whole} else {text} end"


def _timestamp(value: str, kind: str, format_: str | None, zone: str) -> str:
    if kind == _WITH_ZONE:
        return f"case when isfinite({value}) then timezone('UTC', {value}) end"
    if kind in _NATIVE_TIMES:
        return f"case when isfinite({value}) then {_local_to_utc(f'cast({value} as timestamp)', zone)} end"
    text = f"cast({value} as varchar)"
    if format_ in EPOCH_FORMATS:
        scale = 1_000_000 if format_ == "epoch_s" else 1_000
        # The bounds are the years 1 to 9999: beyond them the conversion would overflow.
        seconds = f"try_cast({text} as decimal(26, 6)) * {scale} / 1000000"
        inside = f"{seconds} between -62135596800 and 253402300799"
        return (
            f"case when {inside} then make_timestamp(cast(try_cast({text} as decimal(26, 6)) * {scale} as bigint)) end"
        )
    if format_ is not None:
        parsed = f"try_strptime({text}, {literal(format_)})"
        return f"timezone('UTC', {parsed})" if "%z" in format_ or "%Z" in format_ else _local_to_utc(parsed, zone)
    with_offset = f"timezone('UTC', try_cast({text} as timestamptz))"
    without = _local_to_utc(f"try_cast({text} as timestamp)", zone)
    # DuckDB reads the words epoch and infinity as times; an export means no time by them.
    looks_like_time = f"{text} between '0' and ':'"
    return (
        f"case when not ({looks_like_time}) then null "
        f"when regexp_matches({text}, {literal(_OFFSET)}) then {with_offset} else {without} end"
    )


def _local_to_utc(local: str, zone: str) -> str:
    return local if zone == "UTC" else f"timezone('UTC', timezone({literal(zone)}, {local}))"


def _date(value: str, kind: str, format_: str | None, zone: str) -> str:
    if kind == _WITH_ZONE:
        return f"cast(timezone({literal(zone)}, {value}) as date)"
    if kind in _NATIVE_TIMES:
        return f"cast({value} as date)"
    text = f"cast({value} as varchar)"
    if format_ in EPOCH_FORMATS:
        return f"cast(timezone({literal(zone)}, timezone('UTC', {_timestamp(value, kind, format_, zone)})) as date)"
    if format_ is not None:
        return f"cast(try_strptime({text}, {literal(format_)}) as date)"
    read = f"coalesce(try_cast({text} as date), cast(try_cast({text} as timestamp) as date))"
    return f"case when {text} between '0' and ':' then {read} end"


def _boolean(value: str, kind: str) -> str:
    if kind == "BOOLEAN":
        return value
    text = f"lower(cast({value} as varchar))"
    options = (", ".join(literal(word) for word in words) for words in (_TRUE, _FALSE))
    return "case when {0} in ({1}) then true when {0} in ({2}) then false end".format(text, *options)


def _json_object(value: str, kind: str) -> str:
    if kind.startswith(("STRUCT", "MAP")):
        return f"cast(to_json({value}) as varchar)"
    text = f"cast({value} as varchar)"
    return f"case when left({text}, 1) = '{{' and json_valid({text}) then cast(json({text}) as varchar) end"


def _canonical_event(name: str, source: Source) -> str:
    if not source.event_names:
        return name if source.unknown_events == "keep" else "cast(null as varchar)"
    arms = " ".join(f"when {literal(old)} then {literal(new)}" for old, new in source.event_names.items())
    other = f"else {name} " if source.unknown_events == "keep" else ""
    return f"case {name} {arms} {other}end"


def _business_date(contract: Entity, settings: Settings) -> str:
    first = f"coalesce({', '.join(identifier(name) for name in contract.time_columns)})"
    local = f"cast(timezone({literal(settings.project.timezone)}, timezone('UTC', {first})) as date)"
    return f"coalesce({local}, {literal(NO_DATE)})"


def _filtered(source: Source) -> str:
    """True where the filter could be evaluated and is not true; where it could not, the row is refused."""
    return "kept is not null and coalesce(kept.v, false) = false" if source.filter else "false"


def _rules(contract: Entity, fields: list[_Field], source: Source, bounds: DateBounds) -> list[_Rule]:
    rules = []
    if source.filter:
        rules.append(
            _Rule("kept is null", "bad_expression", "", literal("the filter fails on this row"), source.filter)
        )
    for field in fields:
        rules.extend(_field_rules(field))
    if contract.one_of:
        nobody = " and ".join(f"{identifier(name)} is null" for name in contract.one_of)
        rules.append(
            _Rule(
                nobody,
                "missing_one_of",
                ", ".join(contract.one_of),
                literal("no value"),
                f"a value in {' or '.join(contract.one_of)}",
            )
        )
    times = " or ".join(f"{identifier(name)} is not null" for name in contract.time_columns)
    outside = f"({times}) and event_date not between {literal(bounds.first)} and {literal(bounds.last)}"
    expected = f"a business date from {bounds.first} to {bounds.last}"
    rules.append(_Rule(outside, "out_of_range", contract.time_columns[0], "cast(event_date as varchar)", expected))
    return rules


def _field_rules(field: _Field) -> list[_Rule]:
    name, value, typed = field.column.name, _source_name(field), identifier(field.column.name)
    found = f"left(cast({value} as varchar), 100)"
    code, expected = _conversion_failure(field)
    rules = [_Rule(f"{value} is not null and {typed} is null", code, name, found, expected)]
    present = ""
    if field.mapping.expr is not None:
        failed = _failed_name(field)
        present = f"not {failed} and "
        rules.append(
            _Rule(failed, "bad_expression", name, literal("the expression fails on this row"), field.mapping.expr)
        )
    if field.column.required:
        rules.append(
            _Rule(f"{present}{value} is null", "missing_required", name, literal("no value"), f"a value in {name}")
        )
    return rules


def _conversion_failure(field: _Field) -> tuple[str, str]:
    if field.column.name == "event_name":
        return "unknown_event", "an event name listed in event_names"
    match field.column.type:
        case ColumnType.ID:
            return "id_digits_lost", "an id as text or integer: a float this large has lost digits"
        case ColumnType.TIMESTAMP | ColumnType.DATE:
            format_ = field.mapping.format
            return "bad_timestamp", f"a time in the format {format_}" if format_ else "an ISO 8601 date or time"
        case ColumnType.MONEY | ColumnType.NUMBER:
            return "bad_type", "a number of at most 14 digits before the decimal point, without thousands separators"
        case ColumnType.BOOLEAN:
            return "bad_type", "true or false"
        case _:
            return "bad_type", "a JSON object"


def _reason(rule: _Rule) -> str:
    return (
        f"case when {rule.test} then {{'code': {literal(rule.code)}, 'column': {literal(rule.column)}, "
        f"'found': {rule.found}, 'expected': {literal(rule.expected)}}} end"
    )


def _joined(part: str) -> str:
    return f"list_aggregate(list_transform(reasons, lambda reason: reason.{identifier(part)}), 'string_agg', '; ')"


def _fingerprint(contract: Entity) -> str:
    """All canonical columns but the key as one text: lengths first, so that no two different rows read the same."""
    texts = [_stable_text(column) for column in contract.stored_columns if column.name != contract.key]
    lengths = [f"coalesce(strlen({text}), -1)" for text in texts]
    return f"concat_ws('|', {', '.join([*lengths, *texts])})"


def _stable_text(column: Column) -> str:
    name = identifier(column.name)
    if column.type is ColumnType.TIMESTAMP:
        return f"cast(epoch_us({name}) as varchar)"
    return name if column.type.duckdb == "VARCHAR" else f"cast({name} as varchar)"


def _derived_key(contract: Entity) -> str:
    if not contract.derived_key:
        return ""
    key = identifier(contract.key)
    return f"replace (coalesce({key}, md5(fingerprint)) as {key})"
