"""One run of `ingest`: what it works on, and what it has done so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from userops.config import Settings
from userops.errors import UseropsError
from userops.ingest.ledger import Batch, Ledger
from userops.ingest.listing import Listing
from userops.ingest.notes import NoteBook
from userops.ingest.plan import Plan
from userops.ingest.readers import LandingFile
from userops.ingest.sources import BrokenSource, Source
from userops.ingest.stage import Stager
from userops.steps import StepContext


@dataclass(frozen=True)
class HashedFile:
    """A landing file and what it holds; `size` and `mtime_ns` are those from before its bytes were read."""

    file: LandingFile
    size: int
    mtime_ns: int
    sha256: str


@dataclass
class Feed:
    """One source in one run: its files, and what is to be done about them."""

    source: Source
    listing: Listing
    files: dict[str, HashedFile] = field(default_factory=dict)
    plan: Plan = field(default_factory=Plan)


@dataclass
class IngestRun:
    """What one `ingest` has done so far.

    Attributes:
        known_bytes: size, modification time in ns and sha256 by (source, path) of files that need not be hashed again.
        staged: batches that `load` may load.
        touched: (source, path) of the files whose earlier notes no longer hold.
        unreplaced: (source, path) of the files whose new bytes replace nothing: they failed, or are held.
        currencies: currencies of the rows, by source.
        stopping: failures for which the day stops once all sources were looked at.
    """

    context: StepContext
    ledger: Ledger
    worker: Stager
    notes: NoteBook
    known_bytes: dict[tuple[str, str], tuple[int, int, str]]
    feeds: list[Feed] = field(default_factory=list)
    staged: list[Batch] = field(default_factory=list)
    touched: set[tuple[str, str]] = field(default_factory=set)
    unreplaced: set[tuple[str, str]] = field(default_factory=set)
    currencies: dict[str, set[str]] = field(default_factory=dict)
    stopping: list[UseropsError] = field(default_factory=list)
    failed_files: int = 0
    failed_sources: int = 0

    @property
    def settings(self) -> Settings:
        """The settings of the instance."""
        return self.context.settings

    def fail_source(self, source: Source | BrokenSource, error: UseropsError, file_path: str = "") -> None:
        """Note that nothing of a source is taken."""
        self.failed_sources += 1
        self.notes.add(source.source, "failed_source", "error", f"nothing of it is taken: {error}", file_path)
        if source.on_failure == "stop_day":
            self.stopping.append(error)

    def fail_file(self, source: Source, file_path: str, error: UseropsError, in_lake: bool = False) -> None:
        """Note that a file is not taken.

        Args:
            in_lake: whether rows of an earlier version of it are in the lake.
        """
        self.failed_files += 1
        self.unreplaced.add((source.source, file_path))
        stays = "; the rows of its earlier version stay in the lake" if in_lake else ""
        self.notes.add(source.source, "failed_file", "error", f"{error}{stays}", file_path)
        if source.on_failure == "stop_day":
            self.stopping.append(error)
