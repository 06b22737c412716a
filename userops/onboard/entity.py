"""Which canonical entity a file's columns make, and which column fills which canonical one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from userops.onboard.columns import ColumnProfile
from userops.onboard.outreach import may_be_code
from userops.onboard.vocabulary import EntityShape, leaf_of, vocabulary
from userops.pii import split_words

#: A role counts as present from this fit on: half of a name's words, not far down the list.
_PRESENT = 0.25
#: A table of things must not name a thing twice; versions of one are told apart by `updated_at`.
_PENALTY_FOR_REPEATS = 4.0
_FLAG_ROLES = ("flag_converted", "flag_clicked", "flag_visited", "flag_opened", "flag_sent")


@dataclass(frozen=True)
class Assigned:
    """A column that fills a canonical column: the role it was recognised by and how well it fits (0 to 1)."""

    profile: ColumnProfile
    role: str
    fit: float


@dataclass(frozen=True)
class EntityGuess:
    """An entity with its columns, a score to compare entities by, and the reason in words."""

    name: str
    score: float
    assigned: dict[str, Assigned]
    why: str


def guess_entities(profiles: Sequence[ColumnProfile]) -> list[EntityGuess]:
    """Return the entities the columns can make, most likely first."""
    guesses = [guess for shape in vocabulary().entities.values() if (guess := _guess(shape, profiles)) is not None]
    return sorted(guesses, key=lambda guess: -guess.score)


def assign_columns(entity: str, profiles: Sequence[ColumnProfile]) -> dict[str, Assigned]:
    """Return the best column for every canonical column of `entity`; every column is used once."""
    words = vocabulary()
    shape = words.entities[entity]
    candidates = []
    for order, (target, roles) in enumerate(shape.columns.items()):
        for preference, role in enumerate(roles):
            for profile in profiles:
                if not _may_be_used(entity, target, profile) or not profile.fits(words.roles[role].kind):
                    continue
                fit = words.match(profile.name, role)
                if fit > _PRESENT:
                    # A column with values is worth more than an empty one, a top-level field more than a nested one.
                    worth = fit * (1 - 0.08 * preference) * (1.0 if profile.filled else 0.6)
                    worth *= 0.9 if profile.name.startswith("$.") else 1.0
                    candidates.append((worth, -order, target, role, profile))
    assigned: dict[str, Assigned] = {}
    used: set[str] = set()
    for worth, _, target, role, profile in sorted(candidates, key=lambda item: item[:2], reverse=True):
        if target not in assigned and profile.name not in used:
            assigned[target] = Assigned(profile, role, worth)
            used.add(profile.name)
    return {target: assigned[target] for target in shape.columns if target in assigned}


def outcome_flags(profiles: Sequence[ColumnProfile]) -> list[tuple[str, ColumnProfile]]:
    """Return the 0/1 columns that together tell a campaign's outcome, strongest first: (outcome, column)."""
    found = []
    for role in _FLAG_ROLES:
        best = max(profiles, key=lambda profile: _role_fit(role, profile))
        if _role_fit(role, best) > 0.5:
            found.append((role.removeprefix("flag_"), best))
    return found


def _guess(shape: EntityShape, profiles: Sequence[ColumnProfile]) -> EntityGuess | None:
    fits = {role: _best_fit(role, profiles) for role in vocabulary().roles}
    fits["personal"] = 0.5 * min(2, sum(profile.personal is not None for profile in profiles))
    if not any(all(fits[role] > _PRESENT for role in need) for need in shape.needs):
        return None
    assigned = assign_columns(shape.name, profiles)
    roles_used = {item.role for item in assigned.values()}
    placed = {role for roles in shape.columns.values() for role in roles}
    score = sum(
        weight * fits[role]
        for role, weight in shape.signs.items()
        if fits[role] > _PRESENT and (role in roles_used or role not in placed)
    )
    score -= sum(weight * fits[role] for role, weight in shape.against.items() if fits[role] > 0.5)
    if shape.unique in assigned and not assigned[shape.unique].profile.unique and "updated_at" not in assigned:
        score -= _PENALTY_FOR_REPEATS
    telling = sorted(assigned.items(), key=lambda item: -shape.signs.get(item[1].role, 0.0) * item[1].fit)[:4]
    why = ", ".join(f"{leaf_of(item.profile.name)} ({target})" for target, item in telling)
    return EntityGuess(shape.name, score, assigned, why)


def _best_fit(role: str, profiles: Sequence[ColumnProfile]) -> float:
    return max((_role_fit(role, profile) for profile in profiles), default=0.0)


def _role_fit(role: str, profile: ColumnProfile) -> float:
    words = vocabulary()
    return words.match(profile.name, role) if profile.fits(words.roles[role].kind) else 0.0


def _may_be_used(entity: str, target: str, profile: ColumnProfile) -> bool:
    """Personal columns fill nothing but, as a digest, a user id; a product's bare `name` is no person's."""
    if profile.personal is None:
        return entity != "outreach" or target in ("user_id", "outreach_id") or may_be_code(profile)
    if entity == "products" and target == "product_name" and split_words(profile.name) == ["name"]:
        return True
    return target == "user_id" and vocabulary().match(profile.name, "user_id") > 0.5
