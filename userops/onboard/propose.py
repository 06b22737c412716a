"""From column profiles to a source YAML in the making: every line with its reason, every doubt with a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from userops.config import Settings
from userops.contracts.entities import ENTITIES
from userops.errors import ConfigError, SourceFileError
from userops.ingest.sources import load_preset
from userops.onboard.columns import ColumnProfile, is_id_like, profile_table
from userops.onboard.entity import Assigned, assign_columns, guess_entities, outcome_flags
from userops.onboard.outreach import answer_mapping, is_row_counter, left_out_because, list_mapping
from userops.onboard.placement import Placement, place_files, source_name
from userops.onboard.tables import Table, read_table
from userops.onboard.vocabulary import leaf_of, vocabulary
from userops.sqltext import identifier, literal

#: More names than this make a column of free text, not of event names.
_MOST_EVENT_NAMES = 200
_ANY_ROW = "'row-' || _row"
_REQUIRED_NOTHING = {"expr": "null"}


@dataclass(frozen=True)
class Line:
    """One key of the YAML: its value, why it is proposed, and what a person should check, if anything."""

    key: str
    value: Any
    why: str
    check: str = ""


@dataclass
class Proposal:
    """A source YAML in the making.

    Attributes:
        entity_why: the columns that speak for the entity.
        preset: name of the preset it stands on, or None.
        event_names: (name in the export, canonical name, times seen) of names that are mapped.
        other_events: (name, times seen) of names that stay as they are.
        ignore: (column, kind of personal data).
        kept: columns that go to `properties`, or nowhere (`drops_unmapped`).
        companions: presets for the same files.
    """

    source: str
    entity: str
    entity_why: str
    entity_check: str
    placement: Placement
    table: Table
    profiles: list[ColumnProfile]
    timezone: Line
    files: list[Path]
    preset: str | None = None
    columns: list[Line] = field(default_factory=list)
    event_names: list[tuple[str, str, int]] = field(default_factory=list)
    other_events: list[tuple[str, int]] = field(default_factory=list)
    ignore: list[tuple[str, str]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    companions: tuple[str, ...] = ()

    @property
    def drops_unmapped(self) -> bool:
        """Whether columns that are not mapped are left out: in call lists they may be notes about people."""
        return self.entity == "outreach" and self.preset is None

    @property
    def checks(self) -> list[str]:
        """Every open question, as one line each."""
        found = [f"entity: {self.entity_check}"] if self.entity_check else []
        found += [f"format.{key}: {text}" for key, text in self.table.checks.items()]
        found += [f"timezone: {self.timezone.check}"] if self.timezone.check else []
        return found + [f"columns.{line.key}: {line.check}" for line in self.columns if line.check]


@dataclass(frozen=True)
class Wishes:
    """What the user said on the command line."""

    source: str | None = None
    entity: str | None = None
    preset: str | None = None


def propose_sources(files: Sequence[Path], settings: Settings, wishes: Wishes) -> list[Proposal]:
    """Look at the files and propose one source for every set of columns among them.

    Raises:
        SourceFileError: a file cannot be read.
        ConfigError: no entity fits, or the one that was asked for does not exist.
    """
    if wishes.entity is not None and wishes.entity not in ENTITIES:
        raise ConfigError("--entity", f"`{wishes.entity}`", f"one of {', '.join(ENTITIES)}", "correct the name")
    groups: dict[tuple[str, ...], list[tuple[Path, Table]]] = {}
    for file in files:
        table = read_table(file)
        # Records of one JSON source need not all have the same keys.
        columns = () if table.format["type"] in ("json", "jsonl") else tuple(name.lower() for name in table.columns)
        groups.setdefault((table.format["type"], *columns), []).append((file, table))
    proposals: list[Proposal] = []
    taken: set[str] = set()
    for group in groups.values():
        paths = [file for file, _ in group]
        others = [file for file in files if file not in paths]
        proposal = _propose(paths, _merged([table for _, table in group]), settings, wishes, others)
        name, number = proposal.source, 2
        while proposal.source in taken:
            proposal.source, number = f"{name}_{number}", number + 1
        taken.add(proposal.source)
        proposals.append(proposal)
    return proposals


def _merged(tables: list[Table]) -> Table:
    """The samples of several files of one source as one; the first file's format stands."""
    first = tables[0]
    for table in tables[1:]:
        new = [name for name in table.columns if name not in first.columns]
        first.columns += new
        for row in first.rows:
            row += [None] * len(new)
        places = {name: place for place, name in enumerate(table.columns)}
        first.rows += [[row[places[name]] if name in places else None for name in first.columns] for row in table.rows]
        first.native |= {name: kind for name, kind in table.native.items() if name not in first.native}
        first.checks |= (
            {"type": f"the files differ in how they are written ({table.format} and {first.format})"}
            if table.format != first.format
            else {}
        )
        first.looked_at_all &= table.looked_at_all
    return first


def _propose(files: list[Path], table: Table, settings: Settings, wishes: Wishes, others: Sequence[Path]) -> Proposal:
    profiles = profile_table(table, us_dates=settings.project.timezone.startswith("America/"))
    preset = wishes.preset or (None if wishes.entity else _preset_of(table))
    if preset is not None:
        return _from_preset(preset, files, table, profiles, settings, wishes, others)
    entity, why, check = _entity(files[0], profiles, wishes)
    source = wishes.source or source_name(files, entity)
    proposal = Proposal(
        source, entity, why, check, place_files(files, settings.paths.landing, source, others), table, profiles,
        Line("timezone", settings.project.timezone, ""), files,
    )  # fmt: skip
    assigned = assign_columns(entity, profiles)
    proposal.columns = _mappings(proposal, assigned, settings)
    proposal.timezone = _timezone(assigned, settings)
    if "event_name" in assigned:
        _name_events(proposal, assigned["event_name"].profile)
    _sort_the_rest(proposal)
    return proposal


def _preset_of(table: Table) -> str | None:
    names = set(table.columns)
    return next((name for name, columns in vocabulary().signatures.items() if names.issuperset(columns)), None)


def _from_preset(
    preset: str, files: list[Path], table: Table, profiles: list[ColumnProfile], settings: Settings, wishes: Wishes,
    others: Sequence[Path],
) -> Proposal:  # fmt: skip
    document = load_preset(preset)
    entity = wishes.entity or str(document["entity"])
    # One preset of several for the same files: the name says which one it is.
    source = wishes.source or f"{source_name(files, entity)}_{entity}"
    zone = Line("timezone", settings.project.timezone, "for times without an offset")
    proposal = Proposal(
        source, entity, f"preset {preset}", "", place_files(files, settings.paths.landing, source, others), table,
        profiles, zone, files, preset=preset,
    )  # fmt: skip
    settled = {**document.get("format", {})}
    table.format = {key: value for key, value in table.format.items() if settled.get(key) != value}
    if "names" in settled:
        table.checks.pop("names", None)
        table.format = {key: value for key, value in table.format.items() if key not in ("names", "header")}
        if len(table.columns) != len(settled["names"]):
            raise ConfigError(
                f"preset {preset}", f"{len(table.columns)} columns in {files[0].name}",
                f"{len(settled['names'])}: {', '.join(settled['names'])}", "use onboard without --preset",
            )  # fmt: skip
    known = {str(name) for name in document.get("event_names", {})}
    for profile in profiles:
        if entity == "events" and leaf_of(profile.name) in ("event", "event_name"):
            proposal.other_events = [item for item in profile.all_values if item[0] not in known][:_MOST_EVENT_NAMES]
    ignored = {str(name) for name in document.get("ignore", ())}
    mapped = str(document["columns"])
    for profile in profiles:
        top = not profile.name.startswith("$.")
        if top and profile.personal and profile.name not in ignored and profile.name not in mapped:
            proposal.ignore.append((profile.name, profile.personal))
    proposal.companions = vocabulary().companions.get(preset, ())
    return proposal


def _entity(file: Path, profiles: Sequence[ColumnProfile], wishes: Wishes) -> tuple[str, str, str]:
    guesses = guess_entities(profiles)
    if wishes.entity is not None:
        own = next((guess for guess in guesses if guess.name == wishes.entity), None)
        return wishes.entity, own.why if own else "as told", ""
    if not guesses or guesses[0].score <= 0:
        raise SourceFileError(
            str(file),
            f"the columns {', '.join(profile.name for profile in profiles)}, which make no entity"
            + ("" if any(profile.time for profile in profiles) else " (no column reads as a time)"),
            "who did what and when (events), orders, order lines, users, campaign touches, results of contacts "
            "(outreach), feedback or products",
            "say which one it is with --entity; look-up tables without a user, order or product of their own have no "
            "entity and stay outside",
        )
    first, *rest = guesses
    close = [guess.name for guess in rest if guess.score > 0 and guess.score > 0.8 * first.score]
    return first.name, first.why, f"could also be {' or '.join(close)}" if close else ""


# Columns


def _mappings(proposal: Proposal, assigned: dict[str, Assigned], settings: Settings) -> list[Line]:
    contract = ENTITIES[proposal.entity]
    lines: dict[str, Line] = {}
    if "properties" in assigned:
        lines["properties"] = _properties(proposal, assigned["properties"].profile)
    for target, item in assigned.items():
        if target != "properties":
            lines[target] = _mapped(target, item)
    if proposal.entity == "order_items":
        _complete_order_lines(proposal, lines)
    if proposal.entity == "campaign_touches":
        _complete_touches(proposal, lines)
    if proposal.entity == "outreach":
        _complete_outreach(assigned, lines)
    if contract.one_of and not set(contract.one_of) & set(lines):
        lines[contract.one_of[0]] = _fallback_id(proposal, lines, contract.one_of[0])
    for column in contract.stored_columns:
        if column.required and column.name not in lines:
            lines[column.name] = _required(proposal, column.name, lines)
    _add_currency(proposal, lines, settings)
    return [lines[name] for name in contract.column_names if name in lines]


def _mapped(target: str, item: Assigned) -> Line:
    profile = item.profile
    where = {"path": profile.name} if profile.name.startswith("$.") else {"column": profile.name}
    why = _example(profile)
    check = "" if item.fit > 0.4 else "recognised by a part of its name only"
    if profile.personal and target == "user_id":
        text = f"cast({identifier(profile.name)} as varchar)"
        return Line(
            target, {"expr": f"sha256({text})"}, f"values look like {profile.personal}: a digest stands for them",
            "better an id that is no personal data, if the export can have one",
        )  # fmt: skip
    extra: dict[str, Any] = {}
    kind = vocabulary().roles[item.role].kind
    if kind in ("time", "date") and profile.time is not None:
        if profile.time.format:
            extra["format"] = profile.time.format
        check = profile.time.check or check
        why = f"{profile.time.why}, such as {profile.examples[0]}" if profile.examples else profile.time.why
    if profile.kind == "amount":
        if profile.decimal:
            extra["decimal"] = profile.decimal
        check = profile.decimal_check or check
    return Line(target, _shortest(where | extra), why, check)


def _shortest(mapping: dict[str, Any]) -> Any:
    return mapping["column"] if set(mapping) == {"column"} else mapping


def _example(profile: ColumnProfile) -> str:
    parts = [f"such as {profile.examples[0]}"] if profile.examples else ["empty in the sample"]
    if profile.examples and profile.filled < 0.995:
        parts.append(f"{100 - 100 * profile.filled:.0f} % empty")
    if profile.kind == "float_id":
        parts.append("the .0 is taken off")
    return ", ".join(parts)


def _properties(proposal: Proposal, profile: ColumnProfile) -> Line:
    """The object as it is, without the keys in it that are personal."""
    prefix = f"$.{profile.name}" if not profile.name.startswith("$.") else profile.name
    personal = [
        item
        for item in proposal.profiles
        if item.personal and item.name != profile.name and item.name.startswith(f"{prefix}.")
    ]
    if not personal or profile.name.startswith("$."):
        where = {"path": profile.name} if profile.name.startswith("$.") else {"column": profile.name}
        return Line("properties", _shortest(where), "everything in this object")
    nothing = "{" + ", ".join(f'"{leaf_of(item.name)}": null' for item in personal) + "}"
    expression = f"json_merge_patch({identifier(profile.name)}, {literal(nothing)})"
    kinds = ", ".join(sorted({str(item.personal) for item in personal}))
    return Line("properties", {"expr": expression}, f"everything in this object but the personal keys ({kinds})")


def _fallback_id(proposal: Proposal, lines: dict[str, Line], target: str) -> Line:
    """No column is called a user: the one that looks most like an id, or the row itself."""
    used = {_column_of(line) for line in lines.values()}
    candidates = [
        item for item in proposal.profiles if item.name not in used and is_id_like(item) and item.filled > 0.5
    ]
    if candidates:
        best = max(
            candidates, key=lambda item: (vocabulary().looks_like_id(item.name), item.repeats > 1.2, item.filled)
        )
        where = {"path": best.name} if best.name.startswith("$.") else {"column": best.name}
        return Line(target, _shortest(where), f"the only id there is, {_example(best)}",
                    "no column is named after a user: is this who it is about?")  # fmt: skip
    return Line(
        target, {"expr": _ANY_ROW}, "the file names no user: every row is one",
        "right for one snapshot file with one row per user; the ids mean nothing in other files",
    )  # fmt: skip


def _required(proposal: Proposal, target: str, lines: dict[str, Line]) -> Line:
    column = ENTITIES[proposal.entity].column(target)
    if target == "user_id":
        return _fallback_id(proposal, lines, target)
    used = {_column_of(line) for line in lines.values()}
    if column.type.duckdb == "TIMESTAMP":
        times = [item for item in proposal.profiles if item.time is not None and item.name not in used]
        if times:
            best = max(times, key=lambda item: (item.time is not None and item.time.sure, item.filled))
            line = _mapped(target, Assigned(best, "time", 1.0))
            return Line(target, line.value, line.why, line.check or "the only time there is: is it this one?")
    return Line(target, _REQUIRED_NOTHING, "required", f"nothing in the file looks like it: {column.description}")


def _complete_order_lines(proposal: Proposal, lines: dict[str, Line]) -> None:
    """Exports without a unit price have what was paid for the line: then the line counts as one piece, to the cent."""
    if "unit_price" not in lines:
        amount = _best(proposal, "line_amount", lines)
        if amount is not None:
            value = _mapped("unit_price", Assigned(amount, "line_amount", 1.0)).value
            lines["unit_price"] = Line("unit_price", value, f"sum of the whole line, {_example(amount)}")
            if "quantity" in lines:
                lines["quantity"] = Line(
                    "quantity", {"value": 1},
                    "one, as the price is the line's: sums stay right to the cent; the pieces stay in `properties`",
                )  # fmt: skip
    if "quantity" not in lines:
        lines["quantity"] = Line(
            "quantity", {"value": 1}, "no column counts pieces: one per line", "is it one piece a line?"
        )
    if "product_id" not in lines and "product_name" in lines:
        lines["product_id"] = Line("product_id", lines["product_name"].value, "the file has no product id: its name")


def _complete_touches(proposal: Proposal, lines: dict[str, Line]) -> None:
    if "campaign_id" not in lines:
        lines["campaign_id"] = Line(
            "campaign_id", {"value": proposal.source}, "the file names no campaign: its own name"
        )
    if "channel" in lines and not {"touch_id", "touch_time"} & set(lines):
        check = "the channel of the touch, or one the customer buys through? then: channel: {value: email}"
        lines["channel"] = replace(lines["channel"], check=lines["channel"].check or check)
    flags = outcome_flags(proposal.profiles)
    if "outcome" not in lines and flags:
        arms = " ".join(f"when {_is_set(profile)} then {literal(outcome)}" for outcome, profile in flags)
        names = ", ".join(profile.name for _, profile in flags)
        lines["outcome"] = Line("outcome", {"expr": f"case {arms} else 'none' end"}, f"from the flags {names}")


def _complete_outreach(assigned: dict[str, Assigned], lines: dict[str, Line]) -> None:
    """Words of call lists become yes, no and names of lists; a number that starts again in every file is no id."""
    for target, mapping_of in (
        ("contacted", answer_mapping), ("answered", answer_mapping), ("list_name", list_mapping),
    ):  # fmt: skip
        if target in assigned:
            value, question = mapping_of(assigned[target].profile)
            lines[target] = replace(lines[target], value=value, check=question or lines[target].check)
    if "outreach_id" not in lines:
        return
    item = assigned["outreach_id"]
    if not item.profile.unique and "updated_at" not in lines:
        del lines["outreach_id"]
    elif is_row_counter(item.profile):
        if item.role == "plain_id":
            del lines["outreach_id"]
        else:
            check = "counts from 1 on: if the next file starts at 1 again, take this line away, or contacts are lost"
            lines["outreach_id"] = replace(lines["outreach_id"], check=check)


def _is_set(profile: ColumnProfile) -> str:
    if {value for value, _ in profile.all_values} <= {"0", "1"}:
        return f"{identifier(profile.name)} = '1'"
    return f"lower(cast({identifier(profile.name)} as varchar)) in ('1', 'true', 'yes', 'y', 't', '是')"


def _add_currency(proposal: Proposal, lines: dict[str, Line], settings: Settings) -> None:
    if "currency" not in ENTITIES[proposal.entity].column_names or "currency" in lines:
        return
    money = [column.name for column in ENTITIES[proposal.entity].stored_columns if column.type.value == "money"]
    profiles = {item.name: item for item in proposal.profiles}
    for name in money:
        profile = profiles.get(_column_of(lines[name])) if name in lines else None
        if profile is not None and profile.currency:
            check = "" if profile.currency_sure else "the sign stands for several currencies"
            lines["currency"] = Line("currency", {"value": profile.currency}, "the sign at the amounts", check)
            return
    if any(name in lines for name in money):
        lines["currency"] = Line(
            "currency", {"value": settings.project.currency}, "no currency in the file: the project's (userops.yml)"
        )


def _best(proposal: Proposal, role: str, lines: dict[str, Line]) -> ColumnProfile | None:
    words = vocabulary()
    used = {_column_of(line) for line in lines.values()}
    fitting = [
        (words.match(item.name, role), item)
        for item in proposal.profiles
        if item.name not in used and not item.personal and item.fits(words.roles[role].kind)
    ]
    best = max(fitting, key=lambda pair: pair[0], default=(0.0, None))
    return best[1] if best[0] > 0.25 else None


def _column_of(line: Line) -> str:
    if isinstance(line.value, str):
        return line.value
    return str(line.value.get("column") or line.value.get("path") or "")


# The rest of the file


def _timezone(assigned: dict[str, Assigned], settings: Settings) -> Line:
    times = [item.profile for item in assigned.values() if item.profile.time is not None and
             vocabulary().roles[item.role].kind == "time"]  # fmt: skip
    naive = [item.name for item in times if item.time is not None and not item.time.offset]
    if not times:
        return Line("timezone", settings.project.timezone, "the project's")
    if not naive:
        return Line(
            "timezone", settings.project.timezone, "the times carry their own offset; this is for those without"
        )
    return Line(
        "timezone", settings.project.timezone, "the project's",
        f"{', '.join(naive)}: no offset; in which zone were the times written?",
    )  # fmt: skip


def _name_events(proposal: Proposal, profile: ColumnProfile) -> None:
    if profile.distinct > _MOST_EVENT_NAMES:
        return
    for name, count in profile.all_values:
        known = vocabulary().event(name)
        if known is not None and known.name != name:
            proposal.event_names.append((name, known.name, count))
        else:
            proposal.other_events.append((name, count))


def _sort_the_rest(proposal: Proposal) -> None:
    """Columns that are not mapped: personal ones are ignored, the others go to `properties`, or are left out."""
    used = {_column_of(line) for line in proposal.columns}
    spoken = " ".join(str(line.value.get("expr", "")) for line in proposal.columns if isinstance(line.value, dict))
    objects = [item.name for item in proposal.profiles if item.kind == "object" and not item.name.startswith("$.")]
    for profile in proposal.profiles:
        if profile.name in used or identifier(profile.name) in spoken or profile.name.startswith("$."):
            continue
        inside = [item for item in proposal.profiles if item.name.startswith(f"$.{profile.name}.") and item.personal]
        if profile.personal or (profile.name in objects and inside):
            kinds = (
                profile.personal or f"an object that holds {', '.join(sorted({str(item.personal) for item in inside}))}"
            )
            proposal.ignore.append((profile.name, kinds))
        elif proposal.drops_unmapped and (reason := left_out_because(profile)) is not None:
            proposal.ignore.append((profile.name, reason))
        else:
            proposal.kept.append(profile.name)
