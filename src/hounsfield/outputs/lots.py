"""Files that wait for the disk together, since a wait for many costs little more than one: a thread that takes lots.

What a lot goes through is its owner's; here are the thread, what it is given, and the steps that any owner has.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Generic, Self, TypeVar

_LOT = 64  # items that are settled together
_LOT_SECONDS = 0.1  # how long the first of them waits for others
_SYNCED_AT_ONCE = 16
"""Files whose syncs are under way together: a journal commits what waits for it at once (64 files on ext4: 230 ms one
by one, 30 ms so)."""

Explaining = Callable[[Path], AbstractContextManager[None]]
"""Turns what the disk says of a path into an error of the house."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A file to be at `path`, written under a temporary name; `done` once the disk has confirmed it."""

    path: Path
    temporary: Path
    done: Future[None] = field(default_factory=Future)

    def fail(self, error: BaseException) -> None:
        """Leave nothing behind, and let whoever waits know."""
        with contextlib.suppress(OSError):
            self.temporary.unlink()
        self.done.set_exception(error)


Item = TypeVar("Item", bound=Waiting)


class Lots(Generic[Item]):
    """A thread of its own that takes in lots what is put. `settle` does the work, and ends each item's `done`.

    The block ends when all is settled.
    """

    def __init__(self, settle: Callable[[list[Item]], None]) -> None:
        self._settle_lot = settle
        self._waiting: SimpleQueue[Item | None] = SimpleQueue()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="outputs", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        self.confirm()
        self._thread.join()

    def put(self, item: Item, fill: Callable[[], None]) -> Future[None]:
        """Fill the temporary file of an item, then hand it over; any threads may. Raises what `fill` raises."""
        try:
            fill()
        except BaseException:
            with contextlib.suppress(OSError):
                item.temporary.unlink()
            raise
        self._waiting.put(item)
        return item.done

    def confirm(self) -> None:
        """Have what is there settled now, without a wait for more."""
        self._waiting.put(None)

    def _run(self) -> None:
        while not (self._ending and self._waiting.empty()):
            if lot := self._next_lot():
                self._settle_lot(lot)

    def _next_lot(self) -> list[Item]:
        """Return what comes within a moment of the first."""
        lot: list[Item] = []
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


def passed(lot: Iterable[Item], step: Callable[[Item], None], explaining: Explaining) -> list[Item]:
    """Return the items that took the step; each other one fails, and leaves nothing behind."""
    return [item for item in lot if _took(item, step, explaining)]


def _took(item: Item, step: Callable[[Item], None], explaining: Explaining) -> bool:
    try:
        with explaining(item.path):
            step(item)
    except Exception as error:  # noqa: BLE001 (whatever it is, whoever waits for this file gets it)
        item.fail(error)
        return False
    return True


def on_disk(lot: list[Item], explaining: Explaining) -> list[Item]:
    """Return the items whose temporary file is on the disk, as `passed` does; all are waited for at once."""

    def took(item: Item) -> bool:
        return _took(item, lambda item: sync(item.temporary), explaining)

    with ThreadPoolExecutor(_SYNCED_AT_ONCE, "sync") as pool:
        return [item for item, is_there in zip(lot, pool.map(took, lot), strict=True) if is_there]


def synced(lot: list[Item], folder_of: Callable[[Item], Path], explaining: Explaining) -> list[Item]:
    """Return the items whose folder is on the disk, synced once for all of them."""
    failed: dict[Path, Exception] = {}
    for folder in dict.fromkeys(map(folder_of, lot)):
        try:
            with explaining(folder):
                sync(folder)
        except Exception as error:  # noqa: BLE001 (as above)
            failed[folder] = error
    for item in lot:
        if folder_of(item) in failed:
            item.fail(failed[folder_of(item)])
    return [item for item in lot if folder_of(item) not in failed]


def sync(path: Path) -> None:
    """Flush a file or folder to the disk, so that a rename never outlives its content."""
    if os.name == "nt":
        # Windows flushes a folder with its volume, and a file only through a writable descriptor.
        if path.is_dir():
            return
        descriptor = os.open(path, os.O_RDWR)
    else:
        descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
