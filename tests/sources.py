"""All sources of a configuration at once, for tests: one that cannot be used is an error."""

from __future__ import annotations

from userops.config import Settings
from userops.ingest.sources import Source, read_sources


def load_sources(settings: Settings) -> list[Source]:
    """Return every source by name, or raise what is wrong with the first that cannot be used."""
    sources = read_sources(settings)
    for broken in sources.broken:
        raise broken.error
    return sources.usable
