"""The deadline of one response, known to whoever makes it: pixels are decoded frame by frame, and before each
of them, and while a decoder is at work on one, the deadline is checked.

A thread cannot be stopped from outside. It stops here by itself, and keeps its place among the busy ones until then.
"""

from __future__ import annotations

import math
import threading
import time
from contextvars import ContextVar

from hounsfield.codecs.isolation import cpu_spent, still_wanted
from hounsfield.errors import DicomwebError
from hounsfield.language import say


class Deadline:
    """`seconds` from now on, and `cpu` seconds of computing. `begun`: whether a thread works on it already."""

    def __init__(self, seconds: float, *, cpu: float = math.inf) -> None:
        self.seconds, self.cpu = seconds, cpu
        self.begun = False
        self._end = time.monotonic() + seconds
        self._spent = 0.0
        self._thread, self._thread_began = 0, 0.0

    def begin(self) -> None:
        """This thread makes the answer."""
        self.begun = True
        self._thread, self._thread_began = threading.get_ident(), time.thread_time()

    def stop(self) -> None:
        """Nobody waits any more."""
        self._end = 0.0

    def spend(self, seconds: float) -> None:
        """CPU that a decoder took for it in a process of its own."""
        self._spent += seconds

    def error(self) -> DicomwebError:
        if self.begun:
            found, remedy = "the request timed out", "request less at once"
        else:
            found, remedy = "the server is busy with other requests for pixels", "try again"
        return DicomwebError(
            found,
            expected=say("at most {seconds} s", seconds=format(self.seconds, "g")),
            remedy=remedy,
            status=503,
        )

    def check(self) -> None:
        """Raise `DicomwebError` 503 when it is over, or has cost too much."""
        if time.monotonic() > self._end:
            raise self.error()
        own = time.thread_time() - self._thread_began if threading.get_ident() == self._thread else 0.0
        if self._spent + own > self.cpu:
            raise DicomwebError(
                "the request used too much CPU time",
                expected=say("at most {cpu} s of CPU", cpu=format(self.cpu, "g")),
                remedy="request less at once",
                status=503,
            )


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def set_deadline(deadline: Deadline) -> None:
    """The deadline of what this task does from now on, in the threads that it asks and their decoders, too."""
    _current.set(deadline)
    still_wanted.set(deadline.check)
    cpu_spent.set(deadline.spend)


def check() -> None:
    """Raise `DicomwebError` 503 when the answer that this thread makes is over its time."""
    deadline = _current.get()
    if deadline is not None:
        deadline.check()
