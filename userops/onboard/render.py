"""A proposal as the text of a source YAML, as lines of the event taxonomy, and as tables on the screen."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table as RichTable

from userops.onboard.propose import Line, Proposal
from userops.onboard.vocabulary import vocabulary
from userops.pii import MASK

_MOST_EVENT_LINES = 40
TAXONOMY_COLUMNS = (
    "event_name", "category", "is_activity", "is_page_view", "is_interaction", "is_contribution",
    "label_en", "label_zh",
)  # fmt: skip


def source_yaml(proposal: Proposal) -> str:
    """Return the commented source YAML of a proposal; open questions are marked `# CHECK:`."""
    names = ", ".join(file.name for file in proposal.files[:3]) + (" ..." if len(proposal.files) > 3 else "")
    lines = [
        f"# Proposed by `userops onboard` from {names}. Read it, settle the lines marked CHECK, then run",
        f"# `userops check {proposal.source}`. 由 userops onboard 生成；请确认标有 CHECK 的行，再运行 userops check。",
        f"source: {proposal.source}",
    ]
    if proposal.preset:
        lines.append(_commented(f"preset: {proposal.preset}", "defaults for every key that is not here; your keys win"))
        lines += [
            f"# The same files also feed the preset {name}: userops onboard --preset {name} ..."
            for name in proposal.companions
        ]
    else:
        lines.append(
            _commented(f"entity: {proposal.entity}", f"because of {proposal.entity_why}", proposal.entity_check)
        )
    lines += _files(proposal) + _format(proposal) + [_zone(proposal)] + _columns(proposal) + _events(proposal)
    lines += _rest(proposal)
    return "\n".join(lines) + "\n"


def taxonomy_lines(proposals: Sequence[Proposal], known: set[str]) -> str:
    """Return a CSV, with its header, of the events the taxonomy does not know yet; empty when there are none.

    Args:
        known: event names of the taxonomy.
    """
    rows: dict[str, list[Any]] = {}
    for proposal in proposals:
        named = [canonical for _, canonical, _ in proposal.event_names]
        for name in [*named, *(name for name, _ in proposal.other_events)]:
            if name in known or name in rows:
                continue
            event = vocabulary().events.get(name)
            judged = event.taxonomy if event else ("other", True, False, False, False)
            flags = [str(flag).lower() for flag in judged[1:]]
            rows[name] = [name, judged[0], *flags, name.replace("_", " "), event.zh if event else name]
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(TAXONOMY_COLUMNS)
    writer.writerows(rows.values())
    return text.getvalue()


def print_proposal(proposal: Proposal, console: Console) -> None:
    """Show what was seen in the files and what is proposed."""
    table = RichTable(title=f"{proposal.source}: {proposal.entity}", title_justify="left")
    for heading in ("column", "kind", "filled", "distinct", "example", "becomes"):
        table.add_column(heading, overflow="fold", justify="right" if heading in ("filled", "distinct") else "left")
    becomes = _fates(proposal)
    for profile in proposal.profiles:
        example = MASK if profile.personal else ", ".join(profile.examples[:2])
        table.add_row(
            profile.name, profile.kind, f"{100 * profile.filled:.0f} %", f"{profile.distinct:,}", example,
            becomes.get(profile.name, ""),
        )  # fmt: skip
    console.print(table, markup=False)
    rows = len(proposal.table.rows)
    seen = "all there are" if proposal.table.looked_at_all else "a sample from start, middle and end"
    console.print(
        f"Looked at {rows:,} rows ({seen}); why {proposal.entity}: {proposal.entity_why}", markup=False, highlight=False
    )
    if proposal.ignore:
        listed = ", ".join(f"{name} ({kind})" for name, kind in proposal.ignore)
        console.print(f"Personal data, left out: {listed}", markup=False, highlight=False)
    if proposal.checks:
        console.print("To settle (marked CHECK in the YAML):", style="bold yellow")
        for number, text in enumerate(proposal.checks, start=1):
            console.print(f"  {number}. {text}", markup=False, highlight=False)
    else:
        console.print("Nothing to settle.", style="green")


def where_to_put(proposal: Proposal, landing: Path) -> str:
    """Return what to do with files that do not lie below landing/ yet; empty when they do."""
    if not proposal.placement.to_move:
        return ""
    return f"Put the file(s) into {landing / proposal.placement.path}/"


def _fates(proposal: Proposal) -> dict[str, str]:
    fates = dict.fromkeys(proposal.kept, "left out" if proposal.drops_unmapped else "properties")
    fates |= {name: f"left out ({kind})" for name, kind in proposal.ignore}
    for line in reversed(proposal.columns):
        name = line.value if isinstance(line.value, str) else line.value.get("column") or line.value.get("path")
        if name:
            fates[name] = line.key
        else:
            expression = str(line.value.get("expr", ""))
            for profile in proposal.profiles:
                if f'"{profile.name}"' in expression:
                    fates[profile.name] = line.key
    if proposal.preset:
        fates = {name: fate for name, fate in fates.items() if fate.startswith("left out")}
    return fates


def _files(proposal: Proposal) -> list[str]:
    placement = proposal.placement
    path = _commented(f"  path: {_scalar(placement.path)}", "folder below landing/")
    if placement.to_move:
        path = _commented(
            f"  path: {_scalar(placement.path)}", f"below landing/: put the files into landing/{placement.path}/"
        )
    return ["files:", path, f"  pattern: {_scalar(placement.pattern)}"]


def _format(proposal: Proposal) -> list[str]:
    if not proposal.table.format:
        return []
    lines = ["format:"]
    for key, value in proposal.table.format.items():
        lines.append(_commented(f"  {key}: {_scalar(value)}", "", proposal.table.checks.get(key, "")))
    return lines


def _zone(proposal: Proposal) -> str:
    line = proposal.timezone
    return _commented(f"timezone: {line.value}", line.why, line.check)


def _columns(proposal: Proposal) -> list[str]:
    if not proposal.columns:
        return []
    return ["columns:", *(_column(line) for line in proposal.columns)]


def _column(line: Line) -> str:
    return _commented(f"  {line.key}: {_scalar(line.value)}", line.why, line.check)


def _events(proposal: Proposal) -> list[str]:
    lines = []
    if proposal.event_names:
        lines.append("event_names: # name in the export: canonical name. 原事件名: 规范事件名")
        for name, canonical, count in proposal.event_names:
            lines.append(_commented(f"  {_scalar(name)}: {canonical}", f"{count:,} in the sample"))
    if proposal.other_events:
        listed = proposal.other_events[:_MOST_EVENT_LINES]
        lines.append("# These names are kept as they are; map them above, under event_names, where you know better:")
        lines += [f"#   {' '.join(name.split())}  ({count:,})" for name, count in listed]
        if len(proposal.other_events) > len(listed):
            lines.append(f"#   ... and {len(proposal.other_events) - len(listed)} more")
    return lines


def _rest(proposal: Proposal) -> list[str]:
    lines = []
    if proposal.ignore:
        lines.append("ignore: # personal data: never stored. 个人信息，不入库")
        lines += [_commented(f"  - {_scalar(name)}", kind) for name, kind in proposal.ignore]
    if proposal.drops_unmapped:
        lines.append("new_columns: drop # a column not mapped may be a note about a person. 未映射的列可能是备注")
    if proposal.kept and not proposal.preset:
        names = ", ".join(" ".join(name.split()) for name in proposal.kept)
        if proposal.drops_unmapped:
            return [*lines, f"# Left out, as they are not mapped: {names}"]
        lines.append(f"# Kept in `properties` under their own names: {names}")
    return lines


def _commented(text: str, why: str, check: str = "") -> str:
    """A YAML line with its reason; a question goes first."""
    parts = [f"CHECK: {' '.join(check.split())}"] if check else []
    parts += [" ".join(why.split())] if why else []
    comment = " | ".join(parts)
    if not comment:
        return text
    return f"{text} # {comment}"


def _scalar(value: Any) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
