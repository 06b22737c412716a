"""Which time format a column's texts have, decided by evidence, and whether they carry an offset."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

#: Share of the values that must be times of one format for the column to be one.
_SHARE = 0.95
_ISO = re.compile(
    r"\d{4}[-/]\d{1,2}[-/]\d{1,2}"
    r"(?P<clock>[T ]\d{1,2}:\d\d(:\d\d([.,]\d+)?)?)?(?P<offset> ?(Z|UTC|GMT|[+-]\d\d(:?\d\d)?))?"
)
#: Digits of an epoch, and the first and last number of them that are times of 1990 to 2040 in seconds.
_EPOCH_SECONDS = (631_152_000, 2_240_000_000)
_EPOCHS = (("epoch_s", 1), ("epoch_ms", 10**3), ("epoch_us", 10**6), ("epoch_ns", 10**9))
_DAY_FIRST = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(.*)")
_CLOCK = re.compile(
    r"(?P<gap>[ ,T]*)(?P<hour>\d{1,2}):\d\d(?P<second>:\d\d)?(?P<fraction>\.\d+)?(?P<half> ?[AaPp][Mm])?"
)
#: What a time of one of the formats below begins with: many texts can be told from times by their first signs.
_MAY_BE_TIME = re.compile(
    r"\d{1,4}[-./ T年]\w|\d{8}[ T]|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? "
    r"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* \d"
)
_DATES = (
    "%Y年%m月%d日", "%Y.%m.%d", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y",
)  # fmt: skip
_CLOCKS = ("", " %H:%M", " %H:%M:%S", "%H:%M:%S", " %H时%M分%S秒", " %I:%M:%S %p", ", %I:%M:%S %p")
_WHOLE_FORMATS = (
    *(date + clock for date in _DATES for clock in _CLOCKS),
    "%Y%m%d %H:%M:%S", "%Y%m%dT%H%M%S", "%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S %z", "%d/%b/%Y:%H:%M:%S %z",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %I:%M:%S %p", "%Y-%m-%d %I:%M %p", "%Y/%m/%d %I:%M:%S %p", "%Y-%m-%d-%H.%M.%S", "%Y-%m-%d %H-%M-%S",
)  # fmt: skip


@dataclass(frozen=True)
class TimeGuess:
    """What a time column is.

    Attributes:
        format: as the YAML takes it; None for ISO 8601.
        offset: whether the values carry an offset or are counted from an epoch, so that the zone does not matter.
        date_only: whether there is no time of day.
        sure: False where the name has to speak too: digits that could be a time could be an id.
        check: what evidence did not decide; empty where it did.
        why: what was seen.
    """

    format: str | None
    offset: bool
    date_only: bool
    sure: bool
    why: str
    check: str = ""


def guess_time(values: Sequence[str], us_dates: bool = False) -> TimeGuess | None:
    """Return what kind of time `values` (not empty, without blanks around) are, or None.

    Args:
        us_dates: what to propose for dates such as 3/4/2024 that fit both orders: month first.
    """
    sample = list(dict.fromkeys(values))[:2000]
    if not sample:
        return None
    iso = [match for value in sample if (match := _ISO.fullmatch(value))]
    if len(iso) >= _SHARE * len(sample):
        offset = sum(match["offset"] is not None for match in iso) > len(iso) / 2
        date_only = all(match["clock"] is None for match in iso)
        words = "ISO 8601 with an offset" if offset else "ISO dates" if date_only else "ISO 8601 without an offset"
        return TimeGuess(None, offset, date_only, True, words)
    digits = sum(value.isascii() and re.fullmatch(r"\d+(\.0+)?", value) is not None for value in sample)
    if digits >= _SHARE * len(sample):
        return _digits([value.partition(".")[0] for value in sample])
    return _two_digit_order(sample, us_dates) or _whole_format(sample)


def _digits(sample: list[str]) -> TimeGuess | None:
    for length, format_ in ((8, "%Y%m%d"), (14, "%Y%m%d%H%M%S")):
        plausible = sum(len(value) == length and "1900" <= value[:4] <= "2100" for value in sample)
        if plausible >= _SHARE * len(sample) and _parses(sample, format_):
            return TimeGuess(format_, False, length == 8, False, f"{length} digits that are all dates")
    for format_, factor in _EPOCHS:
        first, last = (bound * factor for bound in _EPOCH_SECONDS)
        if sum(value.isdigit() and first <= int(value) <= last for value in sample) >= _SHARE * len(sample):
            return TimeGuess(format_, True, False, False, f"numbers of the size of {format_}")
    return None


def _two_digit_order(sample: list[str], us_dates: bool) -> TimeGuess | None:
    matches = [match for value in sample if (match := _DAY_FIRST.fullmatch(value))]
    if len(matches) < _SHARE * len(sample):
        return None
    # Formats are taken from the value that shows most of them: seconds can be missing in none or in all.
    clock = _clock_format(max((match[5] for match in matches), key=len))
    if clock is None:
        return None
    separator = matches[0][2]
    year = "%Y" if len(matches[0][4]) == 4 else "%y"
    first, second = max(int(match[1]) for match in matches), max(int(match[3]) for match in matches)
    orders = {
        "day": f"%d{separator}%m{separator}{year}{clock}",
        "month": f"%m{separator}%d{separator}{year}{clock}",
    }
    check = ""
    if first > 12 >= second:
        order, why = "day", f"day first: {first} in the first place"
    elif second > 12 >= first:
        order, why = "month", f"month first: {second} in the second place"
    elif first > 12 and second > 12:
        order, why = "day", "both orders occur"
        check = "some dates have a day above 12 in the first place, some in the second: two formats in one column"
    else:
        order, why = ("month", "month first assumed") if us_dates else ("day", "day first assumed")
        check = f"no day above 12 in the sample: could also be {orders['day' if us_dates else 'month']}"
    return TimeGuess(orders[order], "%z" in clock, not clock, True, why, check)


def _clock_format(text: str) -> str | None:
    """strptime format of what follows a date: "" for nothing, None for what is no time of day."""
    if not text.strip():
        return ""
    match = re.fullmatch(_CLOCK.pattern + r"(?P<zone> ?[+-]\d\d:?\d\d)?", text)
    if match is None:
        return None
    seconds = ":%S" if match["second"] else ""
    fraction = ".%f" if match["fraction"] else ""
    half = match["half"]
    zone = match["zone"]
    return (
        match["gap"] + ("%I" if half else "%H") + ":%M" + seconds + fraction
        + ((" %p" if half.startswith(" ") else "%p") if half else "")
        + ((" %z" if zone.startswith(" ") else "%z") if zone else "")
    )  # fmt: skip


def _whole_format(sample: list[str]) -> TimeGuess | None:
    if sum(_MAY_BE_TIME.match(value) is not None for value in sample) < _SHARE * len(sample):
        return None
    for format_ in _WHOLE_FORMATS:
        if _parses(sample, format_):
            return TimeGuess(format_, "%z" in format_, "%H" not in format_ and "%I" not in format_, True, format_)
    return None


def _parses(sample: list[str], format_: str) -> bool:
    """Whether DuckDB, which reads the files later, reads the values by this format."""
    row = (
        _connection()
        .execute(
            "select count(*) filter (try_strptime(value, $format) is not null) from (select unnest($values) as value)",
            {"format": format_, "values": sample[:200]},
        )
        .fetchone()
    )
    return row is not None and row[0] >= _SHARE * len(sample[:200])


@functools.cache
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()
