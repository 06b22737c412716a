"""New columns: what the YAML does not speak of is kept in `properties`, under its own name, unless it looks personal.

The object's keys are sorted by name, so that equal rows are equal text whatever the order of the file's columns.
Nulls and empty texts are left out; a key of mapped `properties` wins over a new column of that name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from userops.ingest.readers import EXTRAS, ODD, PADDED
from userops.ingest.transform.values import trimmed
from userops.sqltext import identifier, json_pointer, literal, literal_list

#: Files with more different new keys than this have their objects built key by key, which is slower.
_FEW_KEYS = 100


@dataclass(frozen=True)
class NewColumns:
    """The new columns of one file.

    Attributes:
        tabular: columns to keep, with their DuckDB types, of a file whose columns are known in advance.
        keys: keys to keep of the JSON object EXTRAS.
        found: names of all new columns that are not personal, kept or not.
        personal: names that look like personal data: never kept. `a.b` is a key b inside the column a.
        inside: names that no kept JSON value may have inside.
    """

    tabular: tuple[tuple[str, str], ...] = ()
    keys: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether there is anything to keep."""
        return bool(self.tabular or self.keys)

    def guarded(self, paths: Sequence[tuple[str, ...]]) -> NewColumns:
        """Leave out values with personal names inside. It depends on the row alone, not on the others of its file."""
        inside = tuple(sorted({path[-1] for path in paths}))
        personal = tuple(sorted({*self.personal, *(".".join(path) for path in paths)}))
        return replace(self, inside=inside, personal=personal)


def new_tabular_columns(columns: Sequence[tuple[str, str]], keep: bool) -> NewColumns:
    """Sort unmapped columns, as (name, DuckDB type), into those to keep and those that look personal."""
    looks_personal_name = _name_test()
    personal = tuple(sorted(name for name, _ in columns if looks_personal_name(name)))
    usual = tuple(sorted((name, kind) for name, kind in columns if name not in personal))
    return NewColumns(tabular=usual if keep else (), found=tuple(name for name, _ in usual), personal=personal)


def new_json_keys(keys: Sequence[str], keep: bool) -> NewColumns:
    """Sort unmapped keys into those to keep and those that look personal."""
    looks_personal_name = _name_test()
    personal = tuple(key for key in sorted(keys) if looks_personal_name(key))
    usual = tuple(key for key in sorted(keys) if key not in personal)
    return NewColumns(keys=usual if keep else (), found=usual, personal=personal)


def personal_paths(paths: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the paths, names from the record's key inwards, whose last name looks like personal data."""
    looks_personal_name = _name_test()
    return [path for path in paths if looks_personal_name(path[-1])]


def gathered(new: NewColumns) -> str:
    """Return SQL over `source_rows` of what the new columns hold: their values, or already the object of them."""
    if new.tabular:
        values = [(name, trimmed(identifier(name), kind, ODD, PADDED)) for name, kind in new.tabular]
        return _object_of([(name, f"to_json({value})") for name, value in values])
    if len(new.keys) <= _FEW_KEYS:
        return f"json_extract({identifier(EXTRAS)}, {literal_list(json_pointer(key) for key in new.keys)})"
    return _object_of_entries(_entries(identifier(EXTRAS), literal_list(new.keys), "list_contains", new.inside))


def extras_object(new: NewColumns, gathered_name: str) -> str:
    """Return SQL of the object of the new columns over the column of `gathered`; null for a row that has none."""
    if new.tabular or len(new.keys) > _FEW_KEYS:
        return gathered_name
    values = [(key, f"{gathered_name}[{place}]") for place, key in enumerate(new.keys, start=1)]
    return _object_of([(key, f"case when {_has_content(value, new.inside)} then {value} end") for key, value in values])


def merged(properties: str, extras: str) -> str:
    """Return SQL of the mapped object `properties` with the members of `extras` it has no key of."""
    own = f"list_zip(json_keys({properties}), json_extract({properties}, '$.*'))"
    others = _entries(extras, f"json_keys({properties})", "not list_contains")
    both = _object_of_entries(f"list_concat({own}, {others})")
    return f"case when {extras} is null then {properties} when {properties} is null then {extras} else {both} end"


def _object_of(values: list[tuple[str, str]]) -> str:
    """An object of (key, SQL of a JSON value or null), in this order; null without any value."""
    parts = ", ".join(f"{literal(json.dumps(key, ensure_ascii=False) + ':')} || {value}" for key, value in values)
    return f"nullif('{{' || concat_ws(',', {parts}) || '}}', '{{}}')"


def _entries(document: str, keys: str, test: str, inside: Sequence[str] = ()) -> str:
    """Key and value of an object's members whose key passes; nulls and empty texts left out."""
    kept = f"{test}({keys}, entry[1]) and {_has_content('entry[2]', inside)}"
    return f"list_filter(list_zip(json_keys({document}), json_extract({document}, '$.*')), lambda entry: {kept})"


def _object_of_entries(entries: str) -> str:
    members = f"list_transform(list_sort({entries}), lambda entry: to_json(entry[1]) || ':' || entry[2])"
    return f"nullif('{{' || array_to_string({members}, ',') || '}}', '{{}}')"


def _has_content(value: str, inside: Sequence[str]) -> str:
    test = f"{value} not in ('null', '\"\"')"
    if not inside:
        return test
    names = "|".join(re.escape(json.dumps(name, ensure_ascii=False)) for name in inside)
    return f"{test} and not regexp_matches({value}, {literal(f'({names}):')})"


def _name_test() -> Callable[[str], str | None]:
    # Imported when the first new column turns up: it brings the tables of all telephone numbers with it.
    from userops.pii import looks_personal_name

    return looks_personal_name
