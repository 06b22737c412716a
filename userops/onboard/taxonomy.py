"""The events that the taxonomy knows already."""

from __future__ import annotations

import csv
from pathlib import Path


def known_events(taxonomy: Path) -> set[str]:
    """Return the names of the events in event_taxonomy.csv, whatever else is wrong with the file."""
    if not taxonomy.exists():
        return set()
    with taxonomy.open(encoding="utf-8-sig", newline="") as handle:
        return {row["event_name"] for row in csv.DictReader(handle) if row.get("event_name")}
