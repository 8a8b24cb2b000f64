"""A process-wide budget of decode memory, shared by all requests."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from hounsfield.errors import DicomwebError
from hounsfield.language import say

PATIENCE = 60.0
"""Seconds that a request waits for others to be done with their memory."""


class MemoryBudget:
    """`total` bytes; whoever needs some takes it for as long as it works, and waits while there is too little."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._taken = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """`size` bytes. Raises `DicomwebError` 413 for more than there ever is, 503 where it takes too long."""
        if size > self.total:
            raise DicomwebError(
                say("{size} bytes to decode", size=size),
                expected=say("at most {total}", total=self.total),
                status=413,
            )
        with self._changed:
            if not self._changed.wait_for(lambda: self._taken + size <= self.total, PATIENCE):
                raise DicomwebError("the decode memory budget is used up", status=503)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()
