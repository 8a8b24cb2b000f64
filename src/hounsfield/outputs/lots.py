"""Work that costs many items little more than one, such as a wait for the disk: a thread that takes them in lots."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

_LOT = 64  # items that are settled together
_LOT_SECONDS = 0.1  # how long the first of them waits for others

Waiting = TypeVar("Waiting")


class Lots(Generic[Waiting]):
    """A thread of its own for what waits for the disk: it takes what is put in lots, since a lot costs little more
    than one. `settle` does the work, and tells whoever waits for each item. The block ends when all is settled.
    """

    def __init__(self, settle: Callable[[list[Waiting]], None]) -> None:
        self._settle = settle
        self._waiting: SimpleQueue[Waiting | None] = SimpleQueue()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="outputs", daemon=True)

    def __enter__(self) -> Lots[Waiting]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        self.confirm()
        self._thread.join()

    def put(self, item: Waiting) -> None:
        """Hand over an item; any threads may."""
        self._waiting.put(item)

    def confirm(self) -> None:
        """Have what is there settled now, without a wait for more."""
        self._waiting.put(None)

    def _run(self) -> None:
        while not (self._ending and self._waiting.empty()):
            if lot := self._next_lot():
                self._settle(lot)

    def _next_lot(self) -> list[Waiting]:
        """Return what comes within a moment of the first."""
        lot: list[Waiting] = []
        until = float("inf")
        while len(lot) < _LOT:
            try:
                item = self._waiting.get(timeout=max(0.0, until - time.monotonic()) if lot else None)
            except Empty:
                break
            if item is None:
                break
            if not lot:
                until = time.monotonic() + _LOT_SECONDS
            lot.append(item)
        return lot
