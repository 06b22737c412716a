"""What operators send back, entity `outreach`: the words of call lists, and what about people stays outside."""

from __future__ import annotations

import re
from typing import Any

from userops.onboard.columns import ColumnProfile
from userops.onboard.vocabulary import vocabulary
from userops.pii import mask_text
from userops.sqltext import identifier, literal

_NOTES = "notes about people"
_STAFF_NAMES = "names of staff, it seems; operator_id takes a staff number"
#: Words of a column that a question names at most.
_MOST_NAMED = 5
_PRESENT = 0.25
#: A field inside a JSON object: the key of the column that holds the object, and the way from there.
_NESTED = re.compile(r'\$\.(?P<key>"[^"]+"|[^."]+)(?P<rest>\..+)')


def may_be_code(profile: ColumnProfile) -> bool:
    """Whether a column may fill one of the entity's columns: notes about people never do."""
    return vocabulary().match(profile.name, "note") <= _PRESENT and not profile.free_text


def is_row_counter(profile: ColumnProfile) -> bool:
    """Whether a column counts the rows of the file: 1, 2, 3, ..., in any order."""
    numbers = {int(value) for value, _ in profile.all_values if value.isdecimal()}
    return profile.unique and len(numbers) == len(profile.all_values) and numbers == set(range(1, len(numbers) + 1))


def left_out_because(profile: ColumnProfile) -> str | None:
    """Return why an unmapped column must be ignored, beyond what looks personal anyway; None where it need not be."""
    words = vocabulary()
    if words.match(profile.name, "operator_id") > _PRESENT and profile.kind == "text":
        return _STAFF_NAMES
    if words.match(profile.name, "note") > _PRESENT or profile.free_text:
        return _NOTES
    return None


def answer_mapping(profile: ColumnProfile) -> tuple[Any, str]:
    """Return the mapping of a yes/no column, and a question about words that are neither.

    A word nobody mapped refuses its row: left empty, an attempt that reached nobody would count as a contact.
    """
    if profile.kind != "text":
        return _column(profile), ""
    words = vocabulary()
    said: dict[bool | None, list[str]] = {True: [], False: [], None: []}
    for value in dict.fromkeys(_folded(value) for value, _ in profile.all_values):
        said[words.answer(value)].append(value)
    text = f"lower({_text(profile)})"
    arms = [
        f"when {text} in ({', '.join(literal(value) for value in values)}) then {literal(str(answer).lower())}"
        for answer, values in said.items()
        if answer is not None and values
    ]
    question = _unknown(said[None], "yes or no? add it to one of the two; until then such rows are refused")
    return {"expr": f"case {' '.join(arms)} else {text} end"}, question


def list_mapping(profile: ColumnProfile) -> tuple[Any, str]:
    """Return the mapping of the list's name under the names in the settings, and a question about other words."""
    words = vocabulary()
    values = list(dict.fromkeys(_folded(value) for value, _ in profile.all_values))
    names = {value: words.list_of(value) for value in values}
    question = _unknown(
        [value for value, name in names.items() if name is None],
        "neither churn_warning nor winback, so another occasion than the two lists; is it?",
    )
    if all(name in (value, None) for value, name in names.items()):
        return _column(profile), question
    text = _text(profile)
    arms = [f"when {literal(value)} then {literal(name)}" for value, name in names.items() if name is not None]
    return {"expr": f"case lower({text}) {' '.join(arms)} else {text} end"}, question


def _unknown(values: list[str], meaning: str) -> str:
    if not values:
        return ""
    more = f" and {len(values) - _MOST_NAMED} more" if len(values) > _MOST_NAMED else ""
    return f"{', '.join(mask_text(value) for value in values[:_MOST_NAMED])}{more}: {meaning}"


def _folded(value: str) -> str:
    return value.strip().lower()


def _column(profile: ColumnProfile) -> Any:
    return {"path": profile.name} if profile.name.startswith("$.") else profile.name


def _text(profile: ColumnProfile) -> str:
    """SQL of a column's text, without blanks at its ends."""
    nested = _NESTED.fullmatch(profile.name)
    if nested is None:
        return f"trim(cast({identifier(profile.name)} as varchar))"
    column = identifier(nested["key"].strip('"'))
    return f"trim(json_extract_string({column}, {literal('$' + nested['rest'])}))"
