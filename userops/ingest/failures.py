"""What went wrong with a source or a file, as a person can read it."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

import structlog

from userops.errors import SourceFileError, UseropsError

log = structlog.get_logger(__name__)

_NAMED_IN_ERRORS = 10


def told(error: Exception, where: str) -> UseropsError:
    """Return an error as a person can read it; one that nobody foresaw leaves its traceback in the log."""
    if isinstance(error, UseropsError):
        return error
    if isinstance(error, OSError):
        return SourceFileError(
            where,
            f"something that cannot be read ({error.strerror or type(error).__name__})",
            "readable files, and room on the disk",
            "see to the disk or the files' rights, and run again",
        )
    # The frames alone: an engine's message may quote a row, and a row may hold personal data.
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("unforeseen error while reading a source", where=where, error=type(error).__name__, frames=frames)
    return SourceFileError(
        where,
        f"an unforeseen {type(error).__name__}",
        "data the readers know",
        "report it as a bug, with the frames in the log; nothing of it was taken",
    )


def all_in_one(failures: Sequence[UseropsError]) -> UseropsError:
    """Return one error that names all of these, the first ten at length."""
    if len(failures) == 1:
        return failures[0]
    named = failures[:_NAMED_IN_ERRORS]
    more = len(failures) - len(named)
    return SourceFileError(
        ", ".join(dict.fromkeys(error.where for error in named)) + (f" and {more} more" if more else ""),
        "; ".join(dict.fromkeys(error.found for error in named)),
        "; ".join(dict.fromkeys(error.expected for error in named)),
        "; ".join(dict.fromkeys(error.fix for error in named))
        + "; then run again (the other files are staged, nothing is published)",
    )
