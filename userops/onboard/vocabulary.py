"""What column and event names mean: `vocabulary.yml`, read once, and the comparing of names with it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from userops.pii import split_words


@dataclass(frozen=True)
class Role:
    """What a column can be: its kind as in `ColumnProfile.fits`, and its names, best first.

    Attributes:
        names: each as its words.
    """

    name: str
    kind: str
    names: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class EntityShape:
    """Which roles fill an entity's columns, and which speak for or against it."""

    name: str
    columns: dict[str, tuple[str, ...]]
    needs: tuple[tuple[str, ...], ...]
    signs: dict[str, float]
    against: dict[str, float]
    unique: str | None


@dataclass(frozen=True)
class KnownEvent:
    """A canonical event: names it has elsewhere (words run together), its taxonomy (category, four flags), 中文名."""

    name: str
    names: frozenset[str]
    taxonomy: tuple[Any, ...]
    zh: str


@dataclass(frozen=True)
class Vocabulary:
    """Everything of `vocabulary.yml`."""

    roles: dict[str, Role]
    entities: dict[str, EntityShape]
    events: dict[str, KnownEvent]
    id_words: frozenset[str]
    answers: dict[str, bool]
    list_titles: dict[str, str]
    signatures: dict[str, tuple[str, ...]]
    companions: dict[str, tuple[str, ...]]

    def match(self, column: str, role: str) -> float:
        """Return how well a column's name fits a role: 1 for a listed name (less down the list), half for a part."""
        return _match(tuple(split_words(leaf_of(column))), self.roles[role].names)

    def knows(self, name: str) -> bool:
        """Whether `name` is a listed column name of any role."""
        return any(self.match(name, role) > 0.5 for role in self.roles)

    def event(self, name: str) -> KnownEvent | None:
        """Return the canonical event that `name` is a known name of, or None."""
        joined = "".join(split_words(name))
        return next((event for event in self.events.values() if joined in event.names), None)

    def answer(self, value: str) -> bool | None:
        """Return what a value of a call list says: True, False, or None for a word that is not known."""
        return self.answers.get("".join(split_words(value)))

    def list_of(self, value: str) -> str | None:
        """Return the name in the settings of the list that a value of a call list means, or None."""
        return self.list_titles.get("".join(split_words(value)))

    def looks_like_id(self, column: str) -> bool:
        """Whether the name ends with a word for id."""
        words = split_words(leaf_of(column))
        return bool(words) and (words[-1] in self.id_words or words[-1].endswith(("编号", "号", "id", "代码")))


@functools.lru_cache(maxsize=50_000)
def _match(words: tuple[str, ...], names: tuple[tuple[str, ...], ...]) -> float:
    if not words:
        return 0.0
    joined = "".join(words)
    best = 0.0
    for place, parts in enumerate(names):
        known = "".join(parts)
        fading = 0.2 * place / len(names)
        if joined == known:
            return 1.0 - fading
        chinese = not known.isascii()
        if len(known) > 3 or (chinese and len(known) > 1):
            inside = words[-len(parts) :] == parts or words[: len(parts)] == parts
            if inside or (chinese and joined.endswith(known)):
                best = max(best, 0.5 - fading)
    return best


def leaf_of(column: str) -> str:
    """Return the last key of a JSON path, and any other name as it is."""
    if not column.startswith("$."):
        return column
    return column.rpartition('."')[2].rstrip('"') if column.endswith('"') else column.rpartition(".")[2]


@functools.cache
def vocabulary() -> Vocabulary:
    """Return the vocabulary of this package."""
    document: dict[str, Any] = yaml.safe_load(
        files("userops.onboard").joinpath("vocabulary.yml").read_text(encoding="utf-8")
    )
    return Vocabulary(
        roles={
            name: Role(name, item["kind"], tuple(tuple(split_words(str(known))) for known in item["names"]))
            for name, item in document["roles"].items()
        },
        entities={
            name: EntityShape(
                name,
                {column: tuple(roles) for column, roles in item["columns"].items()},
                tuple(tuple(need) for need in item["needs"]),
                item["signs"],
                item.get("against", {}),
                item.get("unique"),
            )
            for name, item in document["entities"].items()
        },
        events={
            name: KnownEvent(
                name,
                frozenset("".join(split_words(str(known))) for known in (name, *item["names"])),
                tuple(item["taxonomy"]),
                item["zh"],
            )
            for name, item in document["events"].items()
        },
        answers={
            "".join(split_words(word)): says == "yes" for says, words in document["answers"].items() for word in words
        },
        list_titles={
            "".join(split_words(title)): name for name, titles in document["list_titles"].items() for title in titles
        },
        id_words=frozenset(str(word) for word in document["id_words"]),
        signatures={name: tuple(columns) for name, columns in document["preset_signatures"].items()},
        companions={name: tuple(others) for name, others in document["preset_companions"].items()},
    )
