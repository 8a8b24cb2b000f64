"""The pace of a long run: so many bytes a second, and a window of the day.

A run waits before it takes up its next file; what it has begun it finishes. Times are local ones of this machine's
clock, looked at again every minute at least, so that a changed clock or a machine that slept does no harm.
"""

from __future__ import annotations

import dataclasses
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from hounsfield.errors import HounsfieldError, SelectionError
from hounsfield.language import say
from hounsfield.runs.engines import Engine

Item = TypeVar("Item")

_WINDOW = re.compile(r"\s*(\d{1,2}):(\d{2})\s*[-–]\s*(\d{1,2}):(\d{2})\s*")
_LONGEST_SLEEP = 60.0
_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of the day in which work is allowed, from `start` up to `end`, in minutes since midnight.

    Overnight where `end` is before `start`.
    """

    start: int
    end: int

    def opens_in(self, now: datetime) -> float:
        """Seconds until the window is open; 0 while it is."""
        minute = now.hour * 60 + now.minute
        if (minute - self.start) % _DAY < (self.end - self.start) % _DAY:
            return 0.0
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        opening = midnight + timedelta(minutes=self.start)
        if opening <= now:
            opening += timedelta(days=1)
        return (opening - now).total_seconds()

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (self.start, self.end))


def window(text: str) -> Window:
    """The window that `20:00-06:00` names; 24:00 is midnight. Raises `SelectionError`."""
    found = _WINDOW.fullmatch(text)
    numbers = [int(number) for number in found.groups()] if found else []
    minutes = [hour * 60 + minute for hour, minute in zip(numbers[::2], numbers[1::2], strict=True)]
    if not minutes or max(minutes) > _DAY or max(numbers[1::2]) > 59:
        raise SelectionError(
            say("{text} is no window of the day", text=repr(text)),
            expected="HH:MM-HH:MM, such as 20:00-06:00",
        )
    if (minutes[1] - minutes[0]) % _DAY == 0:
        raise SelectionError(
            say("{text} begins when it ends", text=repr(text)),
            expected="two different times",
            remedy="leave it out for all day",
        )
    return Window(minutes[0] % _DAY, minutes[1] % _DAY)


@dataclass(eq=False)
class Pace:
    """The limits of one run, shared by its workers; any threads may wait at once.

    `bytes_per_second`: of what is read, on average. `on_wait` is called once for each time the window is closed.
    """

    bytes_per_second: float | None = None
    hours: Window | None = None
    on_wait: Callable[[Window], None] = lambda window: None
    now: Callable[[], datetime] = datetime.now
    _stopped: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _free_at: float = 0.0
    _has_said: bool = False

    def wait(self, size: int) -> None:
        """Return when the next file, of `size` bytes, may be begun. Raises `HounsfieldError` once it is stopped."""
        while (closed := self._closed_for()) > 0:
            self._sleep(min(closed, _LONGEST_SLEEP))
        if self.bytes_per_second is not None:
            with self._lock:
                begin = max(self._free_at, time.monotonic())
                self._free_at = begin + size / self.bytes_per_second
            while (early := begin - time.monotonic()) > 0:
                self._sleep(min(early, _LONGEST_SLEEP))

    def stop(self) -> None:
        """Let go of whoever waits, with an error."""
        self._stopped.set()

    def each(self, items: Iterable[Item], size: Callable[[Item], int]) -> Iterator[Item]:
        """The items, each handed on when it may be begun: for workers that cannot share this object."""
        for item in items:
            self.wait(size(item))
            yield item

    def stopping(self, engine: Engine) -> Engine:
        """The engine; whoever waits here for it is let go when it is closed."""

        def close(executor: Executor) -> None:
            self.stop()
            engine.close(executor)

        return dataclasses.replace(engine, close=close)

    def _closed_for(self) -> float:
        if self.hours is None:
            return 0.0
        closed = self.hours.opens_in(self.now())
        with self._lock:
            tells, self._has_said = closed > 0 and not self._has_said, closed > 0
        if tells:
            self.on_wait(self.hours)
        return closed

    def _sleep(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise HounsfieldError("not begun: the run was stopped")
