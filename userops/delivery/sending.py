"""What the ways of sending share: an error that says whether to try again, and the trying again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog
import tenacity

log = structlog.get_logger(__name__)

#: Seconds before the second try, and the longest between two.
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
_SHOWN_SIGNS = 300

_Answer = TypeVar("_Answer")


class SendError(Exception):
    """A message was not taken. Its text holds no secret and no address.

    Attributes:
        passing: whether the same call may work later.
        retry_after: seconds that the server asked to wait; 0 when it named none.
    """

    def __init__(self, reason: str, *, passing: bool, retry_after: float = 0) -> None:
        super().__init__(" ".join(reason.split())[:_SHOWN_SIGNS])
        self.passing = passing
        self.retry_after = retry_after


def persistently(call: Callable[[], _Answer], attempts: int, destination: str) -> _Answer:
    """Call until it works, at most `attempts` times, with growing waits; only errors that may pass are tried again.

    Raises:
        SendError: the last one.
    """

    def note(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("delivery failed, trying again", destination=destination, error=str(error))

    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts),
        wait=_wait,
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, SendError) and error.passing),
        before_sleep=note,
        reraise=True,
    )
    return retrying(call)


def _wait(state: tenacity.RetryCallState) -> float:
    growing: float = tenacity.wait_exponential_jitter(multiplier=FIRST_WAIT, max=LONGEST_WAIT, jitter=FIRST_WAIT)(state)
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, SendError) else 0
    return min(max(growing, asked), LONGEST_WAIT)
