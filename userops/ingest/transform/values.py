"""Texts, ids, amounts, flags and JSON objects: SQL that turns a source value into a canonical one, or into null.

- Text is trimmed (also of tabs, returns, no-break and ideographic spaces); what is empty then is null.
- Ids are text. A number with an empty fraction loses it, in text as well: `13085.0` is `13085`, because a spreadsheet
  or a float column put it there. Digits that are lost already are refused: a float of 2^53 or more, `1.2E+20` as text.
- Amounts are plain numbers (`-12.5`, `1.5e3`), or written for people: thousands grouped by the sign that is not the
  decimal one, by a blank or by an apostrophe, every group whole (`1,234,567.89`, Indian `12,34,567.89`), full-width
  digits, a minus before or after, accounting brackets, one currency sign or ISO code before or after. Anything else is
  refused. More than four decimals are rounded, half away from zero. More than 14 digits before them are refused.
- A currency in an amount must agree with the currency of its row (`currency`, else the project's); in a column that is
  no money it is refused.
- NaN in a float column is how data frames write "nothing"; as text it is refused, as infinity always is.
"""

from __future__ import annotations

from collections.abc import Iterable

from userops.ingest.decode import WIDE_BLANKS
from userops.ingest.sources import Source
from userops.ingest.transform.currencies import ISO_CODES, SIGNS
from userops.ingest.transform.fields import FLOAT_EXACT, INTEGER_TYPES, Field
from userops.sqltext import literal

_SPACES = literal("".join(map(chr, (32, 9, 10, 11, 12, 13, *WIDE_BLANKS))))
_TRUE = ("true", "t", "yes", "y", "1", "1.0", "on", "是")
_FALSE = ("false", "f", "no", "n", "0", "0.0", "off", "否")
_WORDS = ((_TRUE, "true"), (_FALSE, "false"))
#: Signs of amounts in other scripts, and what they mean here.
_FULL_WIDTH = "０１２３４５６７８９．，（）＋－−﹣￥＄￡￦’＇\u00a0\u2007\u2009\u202f\u3000"
_ASCII = "0123456789.,()+---¥$£₩''     "
#: Stands for a unit in a written amount, which is in upper case.
_ANY_UNIT = "u"


def trimmed(value: str, kind: str, odd: str, padded: str) -> str:
    """Return SQL of a source value without blanks around it; null where nothing is left, or where a float is NaN.

    Args:
        odd: SQL of whether the value may have control characters or wide blanks in it.
        padded: SQL of whether it may end in a blank.
    """
    if kind == "VARCHAR":
        # Looking for a blank is far cheaper than trimming a set of characters, and knowing that no value of a file ends
        # in one is cheaper still. An empty text is below '!' too.
        wide = " or ".join(f"contains({value}, {literal(chr(sign))})" for sign in WIDE_BLANKS)
        may_end_odd = f"({padded} and suffix({value}, ' ')) or ({odd} and ({value}[-1] < ' ' or {wide}))"
        return f"case when {value} < '!' or {may_end_odd} then nullif(trim({value}, {_SPACES}), '') else {value} end"
    if kind in FLOAT_EXACT:
        return f"case when not isnan({value}) then {value} end"
    return value


def id_text(value: str, kind: str) -> str:
    """Return SQL of an id, digit for digit; null where digits are lost."""
    if kind in FLOAT_EXACT:
        whole = f"cast(cast({value} as bigint) as varchar)"
        text = f"case when {value} = trunc({value}) then {whole} else cast({value} as varchar) end"
        return f"case when abs({value}) < {FLOAT_EXACT[kind]} then {text} end"
    if kind in INTEGER_TYPES:
        return f"cast({value} as varchar)"
    text = value if kind == "VARCHAR" else f"cast({value} as varchar)"
    whole = f"regexp_replace({text}, '^(-?\\d+)\\.0+$', '\\1')"
    lost = f"regexp_full_match({text}, '[+-]?\\d(\\.\\d+)?[eE]\\+\\d+|[+-]?\\d\\.\\d+[eE]\\d+')"
    # A text that begins with a letter is no number: one look at its first sign, instead of two at all of them.
    may_be_number = f"contains({text}, '.') or contains({text}, '+')"
    return f"case when {text} > ':' or not ({may_be_number}) then {text} when not {lost} then {whole} end"


def boolean(value: str, kind: str) -> str:
    """Return SQL of a flag."""
    if kind == "BOOLEAN":
        return value
    text = f"lower(cast({value} as varchar))"
    # DuckDB makes a join of a long IN list, and behind a join rows are no longer in the file's order.
    arms = [f"when {literal(word)} then {answer}" for words, answer in _WORDS for word in words]
    return f"case {text} {' '.join(arms)} end"


def json_object(value: str, kind: str) -> str:
    """Return SQL of a JSON object as text, without blanks between its parts."""
    if kind.startswith(("STRUCT", "MAP")):
        return f"cast(to_json({value}) as varchar)"
    text = f"cast({value} as varchar)"
    return f"case when left({text}, 1) = '{{' then cast(try(json({text})) as varchar) end"


def event_name(name: str, source: Source) -> str:
    """Return SQL of the canonical event name; null for one that is unknown and not let in."""
    if not source.event_names:
        return name if source.unknown_events == "keep" else "cast(null as varchar)"
    arms = " ".join(f"when {literal(old)} then {literal(new)}" for old, new in source.event_names.items())
    other = f"else {name} " if source.unknown_events == "keep" else ""
    return f"case {name} {arms} {other}end"


def currency_code(value: str, kind: str) -> str:
    """Return SQL of a currency code: three letters, in upper case."""
    text = f"upper({value if kind == 'VARCHAR' else f'cast({value} as varchar)'})"
    return f"case when regexp_full_match({text}, '[A-Z]{{3}}') then {text} end"


def written_amount(field: Field) -> str | None:
    """Return SQL of the text of an amount that is no plain number, in one spelling; None where values are numbers."""
    if field.kind != "VARCHAR":
        return None
    one_width = f"upper(translate({field.value}, {literal(_FULL_WIDTH)}, {literal(_ASCII)}))"
    return f"case when not regexp_full_match({field.value}, {literal(_plain(field))}) then {one_width} end"


def amount(field: Field) -> str:
    """Return SQL of an amount over the column of `written_amount`."""
    if field.kind != "VARCHAR":
        return f"try_cast({field.value} as decimal(18, 4))"
    written = field.helper("written")
    point = _decimal_sign(field)
    digits = f"replace(regexp_replace({written}, {literal(f'[^0-9{point}]')}, '', 'g'), {literal(point)}, '.')"
    negative = f"contains({written}, '-') or contains({written}, '(')"
    unsigned = f"try_cast({digits} as decimal(18, 4))"
    signed = f"case when {negative} then -{unsigned} else {unsigned} end"
    well_formed = f"regexp_full_match({_with_unit(written)}, {literal(_pattern(field))}) and {_is_unit(_unit(written))}"
    plain = f"try_cast({field.value} as decimal(18, 4))"
    return f"case when {written} is null then {plain} when {well_formed} then {signed} end"


def is_one_of(code: str, codes: Iterable[str]) -> str:
    """Return SQL of whether a code of three letters is in a list, without the join DuckDB makes of a long IN list."""
    return f"contains({literal(' '.join(codes))}, {code})"


def disagrees_with_currency(field: Field, currency: str) -> str | None:
    """Return SQL of whether a written amount names another currency than the row's; None where it cannot name one."""
    if field.kind != "VARCHAR" or field.column.type.value != "money":
        return None
    written = field.helper("written")
    sign = _unit(written)
    arms = " ".join(f"when {literal(text)} then not {is_one_of(currency, codes)}" for text, codes in SIGNS.items())
    return f"{written} is not null and case {sign} when '' then false {arms} else {currency} <> {sign} end"


def _unit(written: str) -> str:
    """SQL of the first currency sign or code in a written amount; '' where it has none."""
    return f"regexp_extract({written}, {literal('|'.join([*map(_escaped, SIGNS), '[A-Z]{3}']))})"


def _with_unit(written: str) -> str:
    """SQL of a written amount with _ANY_UNIT for its unit: a pattern of every code takes long to prepare."""
    return f"case {_unit(written)} when '' then {written} else replace({written}, {_unit(written)}, '{_ANY_UNIT}') end"


def _is_unit(unit: str) -> str:
    units = literal(f"  {' '.join([*SIGNS, *ISO_CODES])} ")
    return f"contains({units}, ' ' || {unit} || ' ')"


def _decimal_sign(field: Field) -> str:
    return field.mapping.decimal or "."


def _plain(field: Field) -> str:
    """Numbers as programs write them: no grouping. With a decimal comma, 1.500 would be one; there it is none."""
    if _decimal_sign(field) == ",":
        return r"[+-]?\d+"
    return r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?"


def _pattern(field: Field) -> str:
    point = _escaped(_decimal_sign(field))
    other = r"\." if _decimal_sign(field) == "," else ","
    whole = [r"\d+"]
    if _decimal_sign(field) == ".":
        whole.append(rf"[1-9]\d?({other}\d\d)+{other}\d{{3}}")
    whole += [rf"[1-9]\d{{0,2}}({group}\d{{3}})+" for group in (other, " ", "'")]
    number = rf"((?:{'|'.join(whole)})(?:{point}\d*)?|{point}\d+)"
    if field.column.type.value != "money":
        return rf"[+-]? ?{number}|{number} ?-|\({number}\)"
    before, after = f"(?:{_ANY_UNIT} ?)", f"(?: ?{_ANY_UNIT})"
    return "|".join(
        [
            rf"[+-]? ?{before}?{number}",
            rf"{before}[+-]? ?{number}",
            rf"[+-]? ?{number}{after}",
            rf"{before}?{number} ?-",
            rf"{number} ?-{after}",
            rf"{number}{after} ?-",
            rf"\({before}?{number}\)",
            rf"\({number}{after}\)",
        ]
    )


def _escaped(text: str) -> str:
    return "".join(f"\\{sign}" if sign in ".$" else sign for sign in text)
