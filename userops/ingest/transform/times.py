"""Times and dates: which texts and numbers are one, and which moment they name.

A time is read in two columns: `utc_x` where the value carries its own offset, `local_x` where it is local time of the
source's zone. A later layer brings the second into UTC.

- ISO 8601, also with a blank for the T, `/` for `-`, a comma before the fraction, a blank before the offset, and the
  words UTC and GMT for it. Offsets reach to 14 hours. What a 12-hour clock adds (AM, PM) needs a `format`.
- 23:59:60, a leap second, is refused: neither DuckDB nor Python has that moment, and any other would be a guess.
- Fractions are cut to microseconds, toward the past.
- `%Y%m%d` and other formats without separators need every digit: 2026105 is refused, not read as 5 October.
- The years 1 to 9999 are let in; what `gates` allow is decided on the business date.
"""

from __future__ import annotations

import re
from datetime import date, datetime

import duckdb

from userops.contracts.entities import ColumnType
from userops.ingest.sources import EPOCH_FORMATS, RELATIVE_DAYS
from userops.ingest.transform.fields import FLOAT_EXACT, INTEGER_TYPES, Field
from userops.ingest.transform.values import id_text
from userops.ingest.transform.zones import local_time, utc_time
from userops.sqltext import literal

_WITH_ZONE = "TIMESTAMP WITH TIME ZONE"
_NATIVE_TIMES = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE")
#: A day is left at either end for the offset.
_FIRST, _LAST = datetime(1, 1, 2), datetime(9999, 12, 31)

_ISO_DATE = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}"
_ISO_CLOCK = r"[T ]\d{1,2}:\d\d(:\d\d(\.\d+)?)?"
_ISO = rf"{_ISO_DATE}({_ISO_CLOCK}(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)?)?"
#: Microseconds in one unit of a format.
_MICROSECONDS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}


def spelled_time(field: Field) -> str | None:
    """Return SQL of a text in the one spelling `read_time` reads; None where the value is not read as ISO 8601."""
    if not _is_iso(field):
        return None
    text = f"cast({field.value} as varchar)"
    blanks = f"regexp_replace(replace({text}, ',', '.'), '\\s+', ' ', 'g')"
    offset = f"regexp_replace({blanks}, ' ?(z|UTC|GMT)$', 'Z')"
    other = f"regexp_replace({offset}, ' (Z|[+-]\\d\\d:?\\d*)$', '\\1')"
    return f"case when {_is_possible(text)} then {text} when {_is_possible(other)} then {other} end"


def read_time(field: Field) -> tuple[str, str]:
    """Return SQL of the naive UTC time and of the naive local time a value names.

    The first wins where it is not null; both are null for a value that is no time of the mapping's format.
    """
    value, kind, format_ = field.value, field.kind, field.mapping.format
    nothing = "cast(null as timestamp)"
    if kind == _WITH_ZONE:
        return f"case when isfinite({value}) then timezone('UTC', {value}) end", nothing
    if kind in _NATIVE_TIMES:
        return nothing, f"case when isfinite({value}) then cast({value} as timestamp) end"
    if format_ in EPOCH_FORMATS:
        return _epoch(value, kind, format_), nothing
    if format_ == RELATIVE_DAYS:
        assert field.mapping.anchor is not None
        return nothing, _relative_days(value, kind, field.mapping.anchor)
    if format_ is not None:
        parsed = _formatted(id_text(value, kind), format_)
        with_zone = "%z" in format_ or "%Z" in format_
        return (f"timezone('UTC', {parsed})", nothing) if with_zone else (nothing, parsed)
    spelled = field.helper("spelled")
    has_offset = _has_offset(spelled)
    local = f"try_cast({spelled} as timestamp)"
    if field.column.type is ColumnType.DATE:
        # A date written with a time and an offset is that day where it was written: no zone changes it.
        return nothing, local
    # What timezone('UTC', ...) gives, in a fraction of the time.
    moment = f"make_timestamp(epoch_us(try_cast({spelled} as timestamptz)))"
    return f"case when {has_offset} then {moment} end", f"case when {has_offset} then null else {local} end"


def converted_time(connection: duckdb.DuckDBPyConnection, field: Field, zone: str) -> str:
    """Return SQL of the canonical value over the two columns of `read_time`: naive UTC, or the local day of a date."""
    utc, local = field.helper("utc"), field.helper("local")
    if field.column.type is ColumnType.DATE:
        from_utc = local_time(connection, utc, zone)
        return f"cast(case when {_in_range(utc)} then {from_utc} {_arm(local, local)} end as date)"
    return f"case when {_in_range(utc)} then {utc} {_arm(local, utc_time(connection, local, zone))} end"


def _has_offset(spelled: str) -> str:
    """SQL of whether a text that matches the pattern of ISO 8601 ends in an offset.

    A plus is nowhere else. A minus may be one of the date's: behind a date with a clock the offset begins in the last
    six signs, and the date ends before them.
    """
    minus = f"strlen({spelled}) > 10 and contains(right({spelled}, 6), '-')"
    return f"contains({spelled}, '+') or suffix({spelled}, 'Z') or ({minus})"


def _arm(time: str, result: str) -> str:
    return f"when {_in_range(time)} then {result}"


def _in_range(time: str) -> str:
    return f"{time} between TIMESTAMP '{_FIRST}' and TIMESTAMP '{_LAST}'"


def _is_iso(field: Field) -> bool:
    is_time = field.column.type in (ColumnType.TIMESTAMP, ColumnType.DATE)
    return is_time and field.mapping.format is None and field.kind not in (_WITH_ZONE, *_NATIVE_TIMES)


def _is_possible(text: str) -> str:
    # Year 0 is the year 1 BC to DuckDB; MySQL writes 0000-00-00 for nothing.
    return f"regexp_full_match({text}, {literal(_ISO)}) and {text} >= '0001'"


def _epoch(value: str, kind: str, format_: str) -> str:
    number = _exact_number(value, kind)
    if format_ == "epoch_ns":
        nanos = f"try_cast(floor({number}) as bigint)"
        return f"try(make_timestamp(({nanos} - (({nanos} % 1000) + 1000) % 1000) // 1000))"
    return f"try(make_timestamp(try_cast(floor({number} * {_MICROSECONDS[format_]}) as bigint)))"


def _relative_days(value: str, kind: str, anchor: date) -> str:
    micros = f"try_cast(floor({_exact_number(value, kind)} * 86400000000) as bigint)"
    return f"try(TIMESTAMP '{anchor} 00:00:00' + to_microseconds({micros}))"


def _exact_number(value: str, kind: str) -> str:
    if kind in INTEGER_TYPES or kind in FLOAT_EXACT:
        return f"try_cast({value} as decimal(27, 6))"
    text = f"cast({value} as varchar)"
    return f"case when regexp_full_match({text}, '[+-]?\\d+(\\.\\d*)?') then try_cast({text} as decimal(27, 6)) end"


def _formatted(text: str, format_: str) -> str:
    # DuckDB reads these words as times in any format.
    tests = [f"lower({text}) not in ('infinity', '-infinity', 'epoch')"]
    if re.fullmatch(r"(%[YmdHMS])+", format_):
        digits = sum(4 if sign == "Y" else 2 for sign in format_[1::2])
        tests.append(f"regexp_full_match({text}, '\\d{{{digits}}}')")
    return f"case when {' and '.join(tests)} then try_strptime({text}, {literal(format_)}) end"
