"""Concurrency limits with a fair share for each client."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Hashable, Iterator

from hounsfield.errors import DicomwebError
from hounsfield.language import say


class FairShare:
    """So many places for `what`. A client gets another one while it has less than twice as many as are free.

    Who is alone gets two thirds; while it holds them the next one gets two thirds of the rest, and so on: however many
    one client takes, another finds a place.
    """

    def __init__(self, count: int, what: str) -> None:
        self._free, self._what = count, what
        self._taken: Counter[Hashable] = Counter()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def taken(self, client: Hashable) -> Iterator[None]:
        """Hold a place while the block runs. Raises `DicomwebError` 503 where there is none for this client."""
        with self._lock:
            if not self._free:
                raise DicomwebError(
                    say("too many {what} at once", what=self._what), remedy="try again", status=503
                )
            if self._taken[client] >= 2 * self._free:
                raise DicomwebError(
                    say("too many {what} at once from one client", what=self._what),
                    expected=say("at most {taken} now", taken=self._taken[client]),
                    remedy="try again",
                    status=503,
                )
            self._free -= 1
            self._taken[client] += 1
        try:
            yield
        finally:
            with self._lock:
                self._free += 1
                self._taken[client] -= 1
                if not self._taken[client]:
                    del self._taken[client]
