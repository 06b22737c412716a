"""What one sampled column is: empty share, distinct values, kind, time format, amounts, personal data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from userops.onboard.tables import Table
from userops.onboard.times import TimeGuess, guess_time
from userops.onboard.vocabulary import leaf_of, vocabulary
from userops.pii import MASK, detect_personal_values, looks_personal_name, mask_text

_SHARE = 0.95
_INTEGER = re.compile(r"[+-]?\d+")
_FLOAT_ID = re.compile(r"\d+\.0+")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_AMOUNT = re.compile(
    r"\(?[-+]? ?(?P<before>[A-Z]{3}|US\$|HK\$|NT\$|R\$|RMB|[¥￥$€£₹₩元])? ?[-+]?(?P<digits>\d[\d.,' \u00a0]*) ?"
    r"(?P<after>[A-Z]{3}|[¥￥$€£₹₩元])?-?\)?"
)
_FLAGS = frozenset(("0", "1", "true", "false", "yes", "no", "y", "n", "t", "f", "是", "否"))
#: Signs that stand for one currency only.
_SURE_SIGNS = {
    "€": "EUR", "₹": "INR", "₩": "KRW", "RMB": "CNY", "元": "CNY",
    "HK$": "HKD", "NT$": "TWD", "R$": "BRL", "US$": "USD",
}  # fmt: skip
_LIKELY_SIGNS = {"$": "USD", "£": "GBP", "¥": "CNY", "￥": "CNY"}
_MOST_EXAMPLES = 3
#: Distinct values of a column that are searched for personal data.
_MOST_JUDGED = 2000
_LONGEST_EXAMPLE = 32
#: What tells words that come again and again from sentences: their length, how many there are, how often each comes.
_LONGEST_WORD = 40
_MOST_WORDS = 30
_FEWEST_REPEATS = 3.0
_SENTENCE = re.compile(r"\s|[\u4e00-\u9fff]")


@dataclass(frozen=True)
class ColumnProfile:
    """What the sample says of a column.

    Attributes:
        kind: empty, time, integer, float_id (13085.0), number, amount (number written for people), flag, object, list,
            text.
        filled: share of the rows with a value.
        distinct: distinct values in the sample; `repeats` is the mean number of rows per value.
        personal: kind of personal data, or None. Then `examples` are masked.
        decimal: decimal sign to state in the YAML, or None for the usual one.
        currency: currency code that signs in the values speak for, or None; `currency_sure`: the sign has no other.
        all_values: distinct values with their counts, most frequent first; empty for personal columns.
    """

    name: str
    kind: str
    rows: int
    filled: float
    distinct: int
    examples: tuple[str, ...]
    time: TimeGuess | None = None
    personal: str | None = None
    decimal: str | None = None
    decimal_check: str = ""
    currency: str | None = None
    currency_sure: bool = False
    longest: int = 0
    zero_share: float = 0.0
    all_values: tuple[tuple[str, int], ...] = ()

    @property
    def unique(self) -> bool:
        """Whether (nearly) every row has a value of its own."""
        return self.filled > 0 and self.distinct >= 0.98 * self.rows * self.filled

    @property
    def repeats(self) -> float:
        """Mean number of rows per distinct value."""
        return self.rows * self.filled / self.distinct if self.distinct else 0.0

    @property
    def free_text(self) -> bool:
        """Whether these are sentences somebody wrote, not words that come again and again, or codes."""
        written = self.longest > _LONGEST_WORD or any(_SENTENCE.search(value) for value, _ in self.all_values)
        repeated = self.distinct <= _MOST_WORDS or self.repeats >= _FEWEST_REPEATS
        return self.kind == "text" and (self.longest > _LONGEST_WORD or (written and not repeated))

    def fits(self, kind: str) -> bool:
        """Whether the values can be of a role's kind.

        `yes_no` is a flag or words such as 已接通 and no answer; `staff_number` an id without people's names.
        """
        if self.kind == "empty":
            return kind in ("any", "text", "id", "number", "flag", "yes_no", "staff_number")
        if kind == "yes_no":
            return self.kind == "flag" or (self.kind == "text" and self._share(_is_answer) > 0.5)
        if kind == "staff_number":
            return self.fits("id") and self._share(_has_digit) >= _SHARE
        allowed = {
            "id": ("integer", "float_id", "text", "number", "flag"),
            "time": ("time",),
            "date": ("time",),
            "text": ("text", "flag", "integer", "number"),
            "number": ("integer", "float_id", "number", "amount", "flag"),
            "flag": ("flag",),
            "object": ("object",),
        }
        if kind == "time" and self.time is not None:
            return True
        return kind == "any" or self.kind in allowed[kind]

    def _share(self, test: Callable[[str], bool]) -> float:
        """Share of the rows with a value whose value passes a test; 0 for personal columns."""
        counted = sum(count for _, count in self.all_values)
        return sum(count for value, count in self.all_values if test(value)) / counted if counted else 0.0


def profile_table(table: Table, us_dates: bool = False) -> list[ColumnProfile]:
    """Return what every column of a sample is."""
    return [_profile(table, name, us_dates) for name in table.columns]


def _profile(table: Table, name: str, us_dates: bool) -> ColumnProfile:
    values = [value for value in table.values(name) if value is not None]
    counts = Counter(values)
    rows = len(table.rows)
    native = table.native.get(name, "")
    personal = looks_personal_name(leaf_of(name))
    if personal is None and native not in ("object", "list", "time", "time_with_zone", "date", "boolean"):
        personal = detect_personal_values(list(counts)[:_MOST_JUDGED])
    kind, time = _kind(values, counts, native, us_dates)
    decimal, decimal_check, currency, currency_sure = None, "", None, False
    if kind == "amount":
        decimal, decimal_check = _decimal_sign(counts)
        currency, currency_sure = _currency(counts)
    frequent = [value for value, _ in counts.most_common(_MOST_EXAMPLES)]
    examples = (MASK,) if personal and values else tuple(_shown(value) for value in frequent)
    return ColumnProfile(
        name=name,
        kind=kind,
        rows=rows,
        filled=len(values) / rows if rows else 0.0,
        distinct=len(counts),
        examples=examples,
        time=time,
        personal=personal,
        decimal=decimal,
        decimal_check=decimal_check,
        currency=currency,
        currency_sure=currency_sure,
        longest=max(map(len, counts), default=0),
        zero_share=sum(count for value, count in counts.items() if _is_zero(value)) / len(values) if values else 0.0,
        all_values=() if personal else tuple(counts.most_common(500)),
    )


def _is_answer(value: str) -> bool:
    return vocabulary().answer(value) is not None


def _has_digit(value: str) -> bool:
    return any(sign.isdigit() for sign in value)


def _is_zero(value: str) -> bool:
    return value.strip("0.") == "" and value != "."


def _shown(value: str) -> str:
    masked = mask_text(" ".join(value.split()))
    return masked if len(masked) <= _LONGEST_EXAMPLE else masked[: _LONGEST_EXAMPLE - 1] + "…"


def _kind(values: list[str], counts: Counter[str], native: str, us_dates: bool) -> tuple[str, TimeGuess | None]:
    if not values:
        return "empty", None
    if native in ("time", "time_with_zone", "date"):
        offset = native == "time_with_zone"
        return "time", TimeGuess(None, offset, native == "date", True, f"typed as a {native.replace('_', ' ')}")
    if native in ("object", "list"):
        return native, None
    if native == "boolean" or {value.lower() for value in counts} <= _FLAGS:
        return "flag", None
    time = guess_time(list(counts), us_dates)
    if time is not None and time.sure:
        return "time", time
    distinct = list(counts)
    for kind, pattern in (("integer", _INTEGER), ("float_id", _FLOAT_ID), ("number", _DECIMAL), ("amount", _AMOUNT)):
        if sum(pattern.fullmatch(value) is not None for value in distinct) >= _SHARE * len(distinct):
            return kind, time
    return "text", None


def _amounts(counts: Counter[str]) -> Iterator[re.Match[str]]:
    return (match for value in counts if (match := _AMOUNT.fullmatch(value)))


def _decimal_sign(counts: Counter[str]) -> tuple[str | None, str]:
    """Return the decimal sign to state (None: the usual one) and what should be checked."""
    comma = point = 0
    open_question = 0
    for match in _amounts(counts):
        digits = match["digits"].strip()
        last = max(digits.rfind(","), digits.rfind("."))
        if last < 0:
            continue
        sign, behind = digits[last], len(digits) - last - 1
        other = "." if sign == "," else ","
        if other in digits:
            comma, point = comma + (sign == ","), point + (sign == ".")
        elif digits.count(sign) > 1:
            comma, point = comma + (sign == "."), point + (sign == ",")
        elif behind != 3:
            comma, point = comma + (sign == ","), point + (sign == ".")
        else:
            open_question += 1
    if comma > point:
        return ",", "" if not point else "both occur as the decimal separator"
    if open_question and not point:
        return None, "1,234 could be thousands or a decimal comma; read as thousands"
    return None, "" if not comma else "both occur as the decimal separator"


def _currency(counts: Counter[str]) -> tuple[str | None, bool]:
    signs = Counter(sign for match in _amounts(counts) if (sign := match["before"] or match["after"]))
    if len(signs) != 1:
        return None, False
    sign = next(iter(signs))
    if sign in _SURE_SIGNS:
        return _SURE_SIGNS[sign], True
    if sign in _LIKELY_SIGNS:
        return _LIKELY_SIGNS[sign], False
    return (sign, True) if len(sign) == 3 else (None, False)


def is_id_like(profile: ColumnProfile) -> bool:
    """Whether a column without a known name could be an id: by a word in its name, or long digits and codes."""
    few = profile.distinct < 20 or profile.distinct < 0.005 * profile.rows
    if profile.personal or few or profile.kind not in ("integer", "float_id", "text"):
        return False
    if vocabulary().looks_like_id(profile.name):
        return True
    return profile.kind in ("integer", "float_id") and profile.longest >= 6
