"""What one run does about the files of one source: which bytes to take, and what became of every path since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from userops.ingest.ledger import COMMITTED, NUMBERED, Batch, LandingPath, PendingPath
from userops.ingest.stage import batch_id_of


@dataclass(frozen=True)
class Take:
    """Bytes to be taken.

    Attributes:
        file_path: the path they are read from.
        batch_id: the batch they become.
        take: 1, or more when the same bytes were taken before.
        leave_out: batches that retire for certain once this one is committed; their rows do not count as loaded.
        paths: all paths that hold these bytes.
    """

    file_path: str
    sha256: str
    batch_id: str
    take: int
    leave_out: frozenset[str]
    paths: tuple[PendingPath, ...]


@dataclass
class Plan:
    """What to do about one source's files.

    Attributes:
        takes: bytes to take, by path.
        points: paths that hold bytes of a batch that is in the lake already, but were last known with other bytes.
        skipped: paths whose bytes were taken from there before.
        duplicates: paths whose bytes are taken from another path.
        replaced: paths whose bytes differ from those that are in the lake.
        held: paths whose bytes are those of a committed batch that is held, by batch.
        moved: path by the path where the same bytes lay before.
        vanished: paths that are gone, their rows still in the lake.
        back: paths that were gone and are there again.
    """

    takes: list[Take] = field(default_factory=list)
    points: list[PendingPath] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    held: dict[str, Batch] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    vanished: list[str] = field(default_factory=list)
    back: list[str] = field(default_factory=list)


def plan_source(
    source: str,
    present: Mapping[str, str],
    landing: Iterable[LandingPath],
    batches: Iterable[Batch],
    *,
    unseen: Collection[str] | None = (),
    again: Collection[str] = (),
) -> Plan:
    """Decide about the files of one source.

    Args:
        present: sha256 by path of the files that may be taken now.
        landing: what the ledger knows of the source's paths.
        batches: the source's batches.
        unseen: known paths that are there but cannot be taken now; None: do not ask which paths are gone.
        again: paths whose bytes are taken again although they are in the lake.
    """
    known = {path.file_path: path for path in landing}
    own = {batch.batch_id: batch for batch in batches if batch.source == source}
    committed = {batch.file_sha256: batch for batch in own.values() if batch.state == COMMITTED}
    earlier = Counter(batch.file_sha256 for batch in own.values() if batch.state in NUMBERED)
    pointer = {path: seen.batch_id for path, seen in known.items() if seen.batch_id in own}
    latest = {path: seen.latest for path, seen in known.items() if seen.latest in own}
    if unseen is None:
        gone = [path for path in pointer if known[path].vanished_on and path not in present]
    else:
        gone = sorted(path for path in pointer if path not in present and path not in unseen)
    plan = Plan()
    by_bytes = _by_bytes(present)
    staying = {  # their bytes are still there, if under another name than before
        batch.batch_id
        for batch in own.values()
        if batch.state == COMMITTED and batch.file_sha256 in by_bytes
        if not any(path in again for path in by_bytes[batch.file_sha256])
    }
    # Beside a held version that is renamed the batch that serves goes on serving.
    lost = [path for path in gone if known[path].held_batch_id is None]
    for sha256, paths in by_bytes.items():
        batch = committed.get(sha256)
        other = [path for path in paths if path in pointer and own[pointer[path]].file_sha256 != sha256]
        if batch is not None and not any(path in again for path in paths):
            plan.replaced += [path for path in other if not batch.held]
            plan.held.update(dict.fromkeys(paths if batch.held else (), batch))
            _point(plan, batch, paths, latest, gone if unseen is not None else ())
            continue
        plan.replaced += other
        take = earlier[sha256] + 1
        batch_id = batch_id_of(source, sha256, take)
        leave_out = _leaving_for_certain(paths, pointer, lost) - staying | ({batch.batch_id} if batch else set())
        waiting = tuple(PendingPath(source, path, batch_id) for path in paths)
        plan.takes.append(Take(paths[0], sha256, batch_id, take, frozenset(leave_out), waiting))
        plan.duplicates += paths[1:]
    plan.takes.sort(key=lambda item: item.file_path)
    if unseen is not None:
        there = {*present, *unseen}
        plan.vanished = [path for path in gone if path not in plan.moved]
        plan.back = sorted(path for path, seen in known.items() if seen.vanished_on and path in there)
    return plan


def _by_bytes(present: Mapping[str, str]) -> dict[str, list[str]]:
    paths: dict[str, list[str]] = {}
    for path, sha256 in sorted(present.items()):
        paths.setdefault(sha256, []).append(path)
    return paths


def _point(plan: Plan, batch: Batch, paths: list[str], latest: Mapping[str, str], gone: Collection[str]) -> None:
    """Account for paths whose bytes are in the lake as `batch`: known there, copied, renamed, or back again."""
    new = [path for path in paths if latest.get(path) != batch.batch_id]
    before = [path for path in gone if latest.get(path) == batch.batch_id]
    # A path that is gone has moved to a new one, or, copied first and removed later, to one that is known.
    moved_from = dict(zip([*new, *(path for path in paths if path not in new)], before, strict=False))
    plan.moved.update({old: path for path, old in moved_from.items()})
    plan.points += [
        PendingPath(batch.source, path, batch.batch_id, moved_from.get(path))
        for path in paths
        if path in new or path in moved_from
    ]
    for path in paths:
        from_here = batch.file_path in (path, moved_from.get(path))
        (plan.skipped if from_here else plan.duplicates).append(path)


def _leaving_for_certain(paths: Collection[str], pointer: Mapping[str, str], lost: Collection[str]) -> set[str]:
    """Return the batches that no path but these, and those that are lost, points at."""
    pointed_at_elsewhere = {batch_id for path, batch_id in pointer.items() if path not in lost and path not in paths}
    return {pointer[path] for path in paths if path in pointer} - pointed_at_elsewhere
