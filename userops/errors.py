"""Errors a user is meant to read: where, what was found, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Collection

#: A message names at most this many things, each in at most this many characters: names come out of strangers' files.
_NAMED, _CHARACTERS = 20, 60


def shown_name(name: str) -> str:
    """Return a name out of somebody's file as a message can hold it: what cannot be printed escaped, cut where long."""
    plain = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in name[: _CHARACTERS + 1])
    return plain if len(name) <= _CHARACTERS else f"{plain[:_CHARACTERS]}... ({len(name)} characters)"


def shown_names(names: Collection[str]) -> str:
    """Return names out of somebody's file, separated by commas; of many the first, and how many more there are."""
    shown = [shown_name(name) for name in list(names)[:_NAMED]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


class UseropsError(Exception):
    """An error with four answers for its reader.

    Attributes:
        where: file (with line or key) or step that the error is about.
        found: what is there.
        expected: what should be there.
        fix: what to do next, as an instruction.
    """

    def __init__(self, where: str, found: str, expected: str, fix: str) -> None:
        self.where = where
        self.found = found
        self.expected = expected
        self.fix = fix
        super().__init__(f"{where}: found {found}; expected {expected}. What to do: {fix}")


class PassingError(UseropsError):
    """Something that may pass by itself, a lock or a server that does not answer: the same call may work later."""


class ConfigError(UseropsError):
    """A configuration file or environment variable cannot be used."""


class SourceFileError(UseropsError):
    """A landing file, or a landing folder, cannot be read."""


class GateError(UseropsError):
    """A Great Expectations gate failed; nothing behind the gate was changed."""


class BuildError(UseropsError):
    """A dbt build failed."""


class PublishError(UseropsError):
    """The marts could not be published; what was published before is still served."""


class PublishDelayedError(PublishError, PassingError):
    """The marts could not be published because a server does not answer, or the disk is full."""


class DeliveryError(UseropsError):
    """A list could not be sent; it stays published, and what reached others is not sent again."""


class DeliveryDelayedError(DeliveryError, PassingError):
    """A list could not be sent because a server is unreachable or busy."""


class ModelError(UseropsError):
    """A model, of churn or of segments, cannot be trained, loaded or applied."""


class TooLittleHistoryError(ModelError):
    """There is not enough to learn a churn model from yet; more history mends it."""


class LockedError(PassingError):
    """Another userops process is writing to the same USEROPS_HOME."""
