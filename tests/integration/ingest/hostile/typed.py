"""Hostile values: dates, money and ids no calendar, purse or register has."""

from __future__ import annotations

from dataclasses import replace

from .corpus import Bad, Case, values

_LATE, _UNREADABLE = Bad("out_of_range"), Bad("bad_timestamp")
#: The project counts in CNY; an amount that says something else is not added to it unseen.
_OTHER_MONEY = Bad("currency_conflict")
_LOST = Bad("id_digits_lost; missing_one_of")
_TIME = "strftime(event_time, '%Y-%m-%d %H:%M:%S.%f')"


def _times(name: str, why: str, table: list[tuple[str, str | Bad]], **mapping: str) -> Case:
    """Times in, UTC out; microseconds are written only where there are any."""
    full = [(given, f"{expected}.000000" if isinstance(expected, str) and "." not in expected else expected)
            for given, expected in table]  # fmt: skip
    return values(name, why, "event_time", full, _TIME, **mapping)


def _zoned(name: str, why: str, table: list[tuple[str, str | Bad]]) -> Case:
    """Times of a source in Amsterdam."""
    case = _times(name, why, table)
    return replace(case, source={**case.source, "timezone": "Europe/Amsterdam"})


_DATES = [
    _times("times_iso", "ISO 8601 in its many dresses, Asia/Shanghai where no offset is given", [
        ("2026-01-05 10:00:00", "2026-01-05 02:00:00"),
        ("2026-01-05T10:00:00Z", "2026-01-05 10:00:00"),
        ("2026-01-05T10:00:00+08:00", "2026-01-05 02:00:00"),
        ("2026-01-05T10:00:00-0330", "2026-01-05 13:30:00"),
        ("2026-01-05T10:00:00+14:00", "2026-01-04 20:00:00"),
        ("2026-01-05", "2026-01-04 16:00:00"),
        ("2026-01-05 10:00:00.123456789", "2026-01-05 02:00:00.123456"),
        (" 2026-01-05 10:00:00 ", "2026-01-05 02:00:00"),
        ("2024-02-29 00:00:00", "2024-02-28 16:00:00"),
        ("1990-01-01 00:00:00", "1989-12-31 16:00:00"),
    ]),
    _times("times_absurd", "days that never were, and times from another world", [
        ("2026-02-30 10:00:00", _UNREADABLE),
        ("2025-02-29", _UNREADABLE),
        ("2026-13-01", _UNREADABLE),
        ("2026-00-10", _UNREADABLE),
        ("0000-00-00 00:00:00", _UNREADABLE),
        ("2026-01-05 25:00:00", _UNREADABLE),
        ("2026-01-05 10:61:00", _UNREADABLE),
        ("epoch", _UNREADABLE),
        ("infinity", _UNREADABLE),
        ("-infinity", _UNREADABLE),
        ("now", _UNREADABLE),
        ("today", _UNREADABLE),
        ("1767578400", _UNREADABLE),
        ("45662.4166", _UNREADABLE),
        ("05/01/2026", _UNREADABLE),
        ("5 Jan 2026", _UNREADABLE),
        ("2026年1月5日", _UNREADABLE),
        ("NULL", _UNREADABLE),
        ("0000-01-01 00:00:00", _UNREADABLE),
        ("1969-12-31 23:59:59", _LATE),
        ("1989-12-31 23:59:59", _LATE),
        ("9999-12-31 00:00:00", _LATE),
        ("10000-01-01 00:00:00", _UNREADABLE),
        ("294247-01-10 04:00:54", _UNREADABLE),
    ]),
    _times("times_leap", "a leap second, and the hour that ends a day", [
        ("2016-12-31T23:59:60Z", _UNREADABLE),
        ("2016-12-31 23:59:59", "2016-12-31 15:59:59"),
        ("2026-01-05 24:00:00", "2026-01-05 16:00:00"),
    ]),
    _zoned("times_gap_and_fold", "clocks that jump and repeat: the gap is read on, of the fold the second counts", [
        ("2026-03-29 01:59:59", "2026-03-29 00:59:59"),
        ("2026-03-29 02:30:00", "2026-03-29 01:30:00"),
        ("2026-03-29 03:00:00", "2026-03-29 01:00:00"),
        ("2025-10-26 02:30:00", "2025-10-26 01:30:00"),
        ("2025-10-26T02:30:00+02:00", "2025-10-26 00:30:00"),
        ("1995-03-26 02:30:00", "1995-03-26 01:30:00"),
    ]),
    _times("times_epoch_s", "seconds, and what is none", [
        ("1767578400", "2026-01-05 02:00:00"),
        ("1767578400.5", "2026-01-05 02:00:00.500000"),
        ("1.7675784e9", _UNREADABLE),
        ("-1", _LATE),
        ("0", _LATE),
        ("1767578400000", _UNREADABLE),
        ("99999999999999999999", _UNREADABLE),
        ("1e400", _UNREADABLE),
        ("NaN", _UNREADABLE),
        ("2026-01-05", _UNREADABLE),
    ], format="epoch_s"),
    _times("times_epoch_ms", "milliseconds, and seconds by mistake", [
        ("1767578400123", "2026-01-05 02:00:00.123000"),
        ("1767578400", _LATE),
        ("-62135596800001", _UNREADABLE),
        ("-62135596800000", _UNREADABLE),
        ("9223372036854775807", _UNREADABLE),
        ("18446744073709551616", _UNREADABLE),
    ], format="epoch_ms"),
    _times("times_epoch_ns", "nanoseconds are cut down to the microsecond before", [
        ("1767578400123456789", "2026-01-05 02:00:00.123456"),
        ("1767578400123456999", "2026-01-05 02:00:00.123456"),
        ("1767578400", _LATE),
    ], format="epoch_ns"),
    _times("times_compact", "YYYYMMDD, stated", [
        ("20260105", "2026-01-04 16:00:00"),
        ("20260230", _UNREADABLE),
        ("2026015", _UNREADABLE),
        ("202601050", _UNREADABLE),
        ("00000000", _UNREADABLE),
    ], format="%Y%m%d"),
    _times("times_day_first", "d/m/Y, stated: 13 is no month", [
        ("05/01/2026", "2026-01-04 16:00:00"),
        ("5/1/2026", "2026-01-04 16:00:00"),
        ("01/13/2026", _UNREADABLE),
        ("31/04/2026", _UNREADABLE),
    ], format="%d/%m/%Y"),
]  # fmt: skip

_MONEY = [
    values("money", "numbers as people write them; what could mean two things is refused", "value", [
        ("12.5", "12.5000"),
        ("+12.5", "12.5000"),
        ("-12.5", "-12.5000"),
        ("12.50-", "-12.5000"),
        ("(12.50)", "-12.5000"),
        ("1,234.56", "1234.5600"),
        ("1,234,567.891", "1234567.8910"),
        ("¥5", "5.0000"),
        ("-¥5", "-5.0000"),
        ("￥1,000", "1000.0000"),
        ("$1,000.00", _OTHER_MONEY),
        ("12.50 €", _OTHER_MONEY),
        ("12.50 CNY", "12.5000"),
        ("１２３．５", "123.5000"),
        ("1e5", "100000.0000"),
        ("99999999999999.9999", "99999999999999.9999"),
        ("0.00001", "0.0000"),
        (".5", "0.5000"),
        ("", None),
        ("   ", None),
    ]),
    values("money_refused", "ambiguous, endless or no number at all", "value", [
        ("1.234,56", Bad()),
        ("12,5", Bad()),
        ("1,2345.6", Bad()),
        ("1,,234", Bad()),
        ("1.2.3", Bad()),
        ("--5", Bad()),
        ("(-5)", Bad()),
        ("5 %", Bad()),
        ("NaN", Bad()),
        ("inf", Bad()),
        ("-Infinity", Bad()),
        ("1e400", Bad()),
        ("100000000000000", Bad()),
        ("123456789012345.67", Bad()),
        ("0x1F", Bad()),
        ("1_000", Bad()),
        ("#N/A", Bad()),
        ("N/A", Bad()),
        ("免费", Bad()),
        ("5 $ 6", Bad()),
        ("true", Bad()),
    ]),
    values("money_decimal_comma", "the other decimal sign, stated", "value", [
        ("1.234,56", "1234.5600"),
        ("12,5", "12.5000"),
        ("1 234,56", "1234.5600"),
        ("-12,50 €", _OTHER_MONEY),
        ("12,50 ¥", "12.5000"),
        ("1.234", "1234.0000"),
        ("1.23", Bad()),
        ("1,234.56", Bad()),
    ], decimal=","),
]  # fmt: skip

_IDS = [
    values("ids", "ids are text, exactly as they stand", "user_id", [
        ("12345678901234567890", "12345678901234567890"),
        ("1" * 40, "1" * 40),
        ("007", "007"),
        ("13085.0", "13085"),
        ("13085.50", "13085.50"),
        ("-5", "-5"),
        ("0", "0"),
        ("true", "true"),
        ("NULL", "NULL"),
        ("nan", "nan"),
        ("None", "None"),
        ("\\N", "\\N"),
        ("👩‍👩‍👧‍👦", "👩‍👩‍👧‍👦"),
        ("مستخدم", "مستخدم"),
        ("\u202euser", "\u202euser"),
        ("a\u200db", "a\u200db"),
        ("e\u0301", "e\u0301"),
        ("é", "é"),
        ("A" * 10_000, "A" * 10_000),
        (" x ", "x"),
        ("\u3000用户\u00a0", "用户"),
        ("o'x\"y`z;--", "o'x\"y`z;--"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("", Bad("missing_one_of")),
        (" \t ", Bad("missing_one_of")),
        ("\u3000", Bad("missing_one_of")),
        ("1.2345E+19", _LOST),
        ("1.2e+20", _LOST),
    ], "user_id"),
]  # fmt: skip

CASES = [*_DATES, *_MONEY, *_IDS]
