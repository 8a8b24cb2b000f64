"""How long the making of one answer may take, known to whoever makes it: pixels are decoded frame by frame, and
before each of them it is asked whether anybody still waits.

A thread cannot be stopped from outside. It stops here by itself, and keeps its place among the busy ones until then.
"""

from __future__ import annotations

import time
from contextvars import ContextVar

from hounsfield.errors import DicomwebError


class Deadline:
    """`seconds` from now on. `begun`: whether a thread works on it already."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.begun = False
        self._end = time.monotonic() + seconds

    def stop(self) -> None:
        """Nobody waits any more."""
        self._end = 0.0

    def error(self) -> DicomwebError:
        if self.begun:
            found, remedy = "making the answer takes too long", "ask for less at once"
        else:
            found, remedy = "the server is busy with other requests for pixels", "try again"
        return DicomwebError(found, expected=f"at most {self.seconds:g} s", remedy=remedy, status=503)

    def check(self) -> None:
        """Raise `DicomwebError` 503 when it is over."""
        if time.monotonic() > self._end:
            raise self.error()


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def set_deadline(deadline: Deadline) -> None:
    """The deadline of what this task does from now on, in the threads that it asks, too."""
    _current.set(deadline)


def check() -> None:
    """Raise `DicomwebError` 503 when the answer that this thread makes is over its time."""
    deadline = _current.get()
    if deadline is not None:
        deadline.check()
