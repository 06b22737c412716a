"""The lineage picture: a Mermaid diagram of domains, small enough to read, drawn from the models' own references.

A box is a group of models (`models/_groups.yml`) with the tables people read in it. An arrow that longer ways say
already is left out; groups that read each other are drawn with an arrow at both ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from userops.docs.project import Project

_SOURCES = {"lake": "lake/raw", "lake_control": "lake/control", "scores": "lake/scores"}
_SHOWN_TABLES = 8

Edges = Mapping[str, Set[str]]


def lineage_diagram(project: Project) -> str:
    """Return the Mermaid text of the picture."""
    edges = _without_detours(_edges(project))
    lines = ["flowchart LR"]
    lines += [f"  {_id(name)}[({label})]" for name, label in sorted(_SOURCES.items()) if name in edges]
    lines += [f'  {_id(group)}["{_box(project, group)}"]' for group in _groups(project)]
    lines += [f'  {_id(item.name)}(["{item.label or item.name}"])' for item in project.of_kind("exposure")]
    drawn: set[frozenset[str]] = set()
    for start in sorted(edges):
        for end in sorted(edges[start]):
            mutual = start in edges.get(end, set())
            if frozenset((start, end)) not in drawn or not mutual:
                lines.append(f"  {_id(start)} {'<-->' if mutual else '-->'} {_id(end)}")
            drawn.add(frozenset((start, end)))
    return "\n".join(lines)


def _groups(project: Project) -> list[str]:
    return sorted({model.group for model in project.models.values() if model.group})


def _box(project: Project, group: str) -> str:
    """Return the text of a box: its name, and the tables people read in it."""
    tables = [model.name for model in project.of_layer("marts", "exports") if model.group == group]
    more = [f"and {len(tables) - _SHOWN_TABLES} more"] if len(tables) > _SHOWN_TABLES else []
    return "<br/>".join([f"<b>{group}</b>", *tables[:_SHOWN_TABLES], *more])


def _id(name: str) -> str:
    return f"n_{name}"


def _edges(project: Project) -> dict[str, set[str]]:
    """Return which groups read which sources and groups, and which exposures read which groups."""
    group_of = {model.name: model.group for model in project.models.values()}
    edges: dict[str, set[str]] = {}
    for model in project.models.values():
        for source in model.sources:
            edges.setdefault(source.split(".")[0], set()).add(model.group)
        for name in model.models:
            edges.setdefault(group_of.get(name, ""), set()).add(model.group)
    for item in project.of_kind("exposure"):
        for name in item.needs:
            edges.setdefault(group_of.get(name, ""), set()).add(item.name)
    return {start: {end for end in ends if end and end != start} for start, ends in edges.items() if start}


def _without_detours(edges: Edges) -> dict[str, set[str]]:
    """Return the edges that no longer way replaces; groups that reach each other count as one on such a way."""
    members = _rings(edges)
    kept: dict[str, set[str]] = {}
    for start in sorted(edges):
        for end in sorted(edges[start]):
            ring = members.get(start, frozenset({start})) | members.get(end, frozenset({end}))
            detours = [other for other in edges[start] if other not in ring]
            same_ring = end in members.get(start, frozenset())
            if same_ring or not any(end in _reached(edges, other) for other in detours):
                kept.setdefault(start, set()).add(end)
    return kept


def _rings(edges: Edges) -> dict[str, frozenset[str]]:
    """Return, for each node, the nodes it reaches and that reach it, itself included."""
    nodes = set(edges) | {end for ends in edges.values() for end in ends}
    reached = {node: _reached(edges, node) for node in nodes}
    return {node: frozenset({node} | {end for end in reached[node] if node in reached[end]}) for node in nodes}


def _reached(edges: Edges, start: str) -> set[str]:
    """Return all nodes that can be reached from a node."""
    found: set[str] = set()
    waiting: Sequence[str] = [start]
    while waiting:
        ends = {end for node in waiting for end in edges.get(node, ())} - found
        found |= ends
        waiting = sorted(ends)
    return found
