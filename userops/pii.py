"""Personal data by name and by value: what is never mapped, never kept in `properties`, never shown.

Names are compared with `pii_names.yml`; values with the shapes below. Both are meant to err on the side of privacy: a
column that was left out by mistake can be mapped by hand, a phone number in the lake cannot be taken back.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Any

import phonenumbers
import yaml

#: What stands in place of a personal value wherever one would be shown.
MASK = "***"
#: Share of a column's values that must have the shape of personal data for the column to count as personal.
_SHARE = 0.3
#: An e-mail address inside longer text (comments, messages) makes it personal at this share already.
_SHARE_IN_TEXT = 0.01
#: Share that shapes need which other numbers fit by chance: every tenth number passes the check of a bank card.
_SHARE_BY_CHANCE = 0.9
_FEWEST_BY_CHANCE = 5

_EMAIL = re.compile(r"[\w.%+'-]+@[\w-]+(?:\.[\w-]+)*\.[a-zA-Z\u4e00-\u9fff]{2,}")
_CHINESE_MOBILE = re.compile(r"(?<![\d.])(?:(?:\+|00)?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?![\d.])")
_CHINESE_ID = re.compile(r"(?<!\d)[1-9]\d{16}[\dXx](?!\d)")
_INTERNATIONAL = re.compile(r"(?<!\w)\+\d[\d ().-]{6,18}\d(?!\w)")
_WRITTEN_PHONE = re.compile(r"\(?0?\d{2,4}\)?[ -]\d{3,4}[ -]?\d{3,4}")
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)")
_BANK_CARD = re.compile(r"\d{4}([ -]?)\d{4}\1\d{4}\1\d{4,7}")
_CHINESE_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHINESE_ID_CHECK = "10X98765432"
#: Regions whose national notation of a phone number is tried where a value carries no country code.
_REGIONS = ("CN", "US", "GB")
_DOTTED_FLOAT = re.compile(r"(\d+)\.0+")


@dataclass(frozen=True)
class _Names:
    owners: frozenset[str]
    plain: dict[str, str]
    chinese: dict[str, str]
    not_at_end: tuple[str, ...]
    not_with: tuple[str, ...]


@functools.cache
def _names() -> _Names:
    document: dict[str, Any] = yaml.safe_load(files("userops").joinpath("pii_names.yml").read_text(encoding="utf-8"))
    return _Names(
        owners=frozenset(document["owners"]),
        plain={name: kind for kind, names in document["kinds"].items() for name in names},
        chinese={word: kind for kind, words in document["chinese"].items() for word in words},
        not_at_end=tuple(document["chinese_not_at_end"]),
        not_with=tuple(document["chinese_not_with"]),
    )


@functools.lru_cache(maxsize=10_000)
def looks_personal_name(name: str) -> str | None:
    """Return the kind of personal data a column of this name holds (phone, email, name, address, ...), or None.

    Of a nested field (`$.user.phone`, `billing.lastName`) the last key counts as well as the whole.
    """
    names = _names()
    leaf = name.rpartition(".")[2]
    if leaf != name and leaf and (kind := looks_personal_name(leaf)) is not None:
        return kind
    if re.search(r"[\u4e00-\u9fff]", name):
        return _chinese_kind(name, names)
    words = split_words(name)
    while words and words[-1].isdigit():
        words.pop()
    for start in range(len(words)):
        kind = names.plain.get(" ".join(words[start:]))
        if kind is not None:
            return kind
        if words[start] not in names.owners:
            return None
    return None


def _chinese_kind(name: str, names: _Names) -> str | None:
    if name.endswith(names.not_at_end) or any(word in name for word in names.not_with):
        return None
    folded = name.lower()
    return next((kind for word, kind in names.chinese.items() if word.lower() in folded), None)


def split_words(name: str) -> list[str]:
    """Return the lower-case words of a column name: `shippingAddress1`, `Shipping Address 1` -> shipping address 1."""
    spaced = re.sub(r"([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3 \2\4", name)
    spaced = re.sub(r"([A-Za-z])(\d)", r"\1 \2", spaced)
    return [word for word in re.split(r"[^0-9a-z\u4e00-\u9fff]+", spaced.lower()) if word]


def detect_personal_values(values: Iterable[str]) -> str | None:
    """Return the kind of personal data most like `values` (a sample of one column), or None.

    Empty values do not count. Kinds: email, id_number, phone, bank_card, ip_address.
    """
    sample = [text for value in values if (text := value.strip())]
    if not sample:
        return None
    numbers = [_DOTTED_FLOAT.sub(r"\1", text) for text in sample]
    if _share(sample, lambda text: _EMAIL.search(text) is not None) >= _SHARE_IN_TEXT:
        return "email"
    if _share(numbers, _is_chinese_id) >= _SHARE:
        return "id_number"
    if _share(numbers, _is_phone) >= _SHARE or _share(numbers, _is_written_phone) >= _SHARE_BY_CHANCE:
        return "phone"
    if _share(sample, lambda text: _IPV4.fullmatch(text) is not None) >= _SHARE_BY_CHANCE:
        return "ip_address"
    enough = len(set(sample)) >= _FEWEST_BY_CHANCE
    if enough and _share(numbers, _is_bank_card) >= _SHARE_BY_CHANCE:
        return "bank_card"
    return None


def mask_text(text: str) -> str:
    """Return `text` with the e-mail addresses, phone numbers and Chinese ID numbers in it masked."""
    for pattern in (_EMAIL, _CHINESE_ID, _INTERNATIONAL, _CHINESE_MOBILE):
        text = pattern.sub(MASK, text)
    return text


def mask_value(name: str, value: Any) -> Any:
    """Return `value` of a column or key called `name` fit to be shown: objects and lists all the way down."""
    if value is None:
        return None
    if looks_personal_name(name):
        return MASK
    if isinstance(value, dict):
        return {key: mask_value(str(key), item) for key, item in value.items()}
    if isinstance(value, list):
        return [mask_value(name, item) for item in value]
    if isinstance(value, str):
        return mask_json(value) if value.lstrip().startswith(("{", "[")) else mask_text(value)
    return value if mask_text(str(value)) == str(value) else MASK


def mask_json(text: str) -> str:
    """Return a JSON object or list as text with its personal values masked; other text is masked as text."""
    try:
        document = json.loads(text)
    except ValueError:
        return mask_text(text)
    if not isinstance(document, dict | list):
        return mask_text(text)
    return json.dumps(mask_value("", document), ensure_ascii=False)


def _share(values: list[str], test: Callable[[str], bool]) -> float:
    return sum(1 for value in values if test(value)) / len(values)


def _is_chinese_id(text: str) -> bool:
    if not _CHINESE_ID.fullmatch(text):
        return False
    try:
        date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(text, _CHINESE_ID_WEIGHTS, strict=False))
    return _CHINESE_ID_CHECK[total % 11] == text[17].upper()


def _is_phone(text: str) -> bool:
    if _CHINESE_MOBILE.fullmatch(text):
        return True
    return _INTERNATIONAL.fullmatch(text) is not None and _valid_phone(text, None)


def _is_written_phone(text: str) -> bool:
    """In a country's own notation, which order numbers with dashes can fit by chance."""
    return _WRITTEN_PHONE.fullmatch(text) is not None and any(_valid_phone(text, region) for region in _REGIONS)


def _valid_phone(text: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text, region))
    except phonenumbers.NumberParseException:
        return False


def _is_bank_card(text: str) -> bool:
    if not _BANK_CARD.fullmatch(text):
        return False
    digits = [int(sign) for sign in text if sign.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
