"""Children that decode, for all threads of this process: lent out singly, replaced when they die.

A frame over which a child dies, or that takes far more CPU than its size explains, is an error that says so. It is
refused at once when it comes again; nothing beside it is disturbed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from hounsfield.codecs.isolation.arena import size_for
from hounsfield.codecs.isolation.callers import cpu_spent, still_wanted
from hounsfield.codecs.isolation.launch import Child, Launcher, launcher
from hounsfield.errors import HounsfieldError, MalformedError, TruncatedError, UnsupportedError
from hounsfield.language import say

WORK = "hounsfield.codecs.isolated"
"""The module whose operations children do."""

FREE_SECONDS = 0.3
BYTES_A_SECOND = 2_000_000
"""CPU that a frame may take: some, and its decoded bytes at a tenth of the slowest codec's speed."""

_WALL_RATIO, _WALL_FREE = 10, 10.0  # how much longer it may take by the clock: the machine may be busy
_SLICE = 0.05  # seconds between two looks at whether anybody still waits
_REMEMBERED = 1024  # frames that killed
_LONGEST_ANSWER = 1 << 16
_LONGEST_CONTENT = 1 << 30
_ALIGNED = 4096
_ERRORS = {kind.__name__: kind for kind in (MalformedError, TruncatedError, UnsupportedError)}

Value = TypeVar("Value")


class Died(Exception):
    """A child that ended over a request. `overdue`: since it took too long."""

    def __init__(self, how: str, *, overdue: bool) -> None:
        super().__init__(how)
        self.how, self.overdue = how, overdue


class Pool:
    """At most `most` children, begun when there is work for them; `work` names the module of their operations."""

    def __init__(self, most: int, work: str = WORK) -> None:
        self._most, self._work = most, work
        self._launcher: Launcher | None = None
        self._idle: list[Child] = []
        self._count = 0
        self._changed = threading.Condition()
        self._launching = threading.Lock()
        self._guilty: OrderedDict[bytes, str] = OrderedDict()

    def run(
        self,
        request: dict[str, Any],
        data: bytes,
        take: Callable[[memoryview], Value],
        *,
        room: int,
    ) -> Value | bytes:
        """Run an operation on `data` in a child: `take(memory)` of the `room` bytes it wrote, or bytes it sent.

        Raises what the operation raises of our errors; `MalformedError` for data that kill, in more than one child,
        or take too long; and what `still_wanted` raises.
        """
        if self._guilty and (how := self._guilty.get(_key(request, data))) is not None:
            raise _error_of(how)
        try:
            return self._attempt(request, data, take, room=room, fresh=False)
        except Died as first:
            died = first
        if not died.overdue:
            # Perhaps what was decoded before it left that child damaged: a new one tells.
            try:
                return self._attempt(request, data, take, room=room, fresh=True)
            except Died as second:
                died = second
        with self._changed:
            self._guilty[_key(request, data)] = died.how
            while len(self._guilty) > _REMEMBERED:
                self._guilty.popitem(last=False)
        raise _error_of(died.how)

    def _attempt(
        self,
        request: dict[str, Any],
        data: bytes,
        take: Callable[[memoryview], Value],
        *,
        room: int,
        fresh: bool,
    ) -> Value | bytes:
        offset = -(-len(data) // _ALIGNED) * _ALIGNED
        seconds = FREE_SECONDS + max(room, len(data)) / BYTES_A_SECOND
        with self._lent(fresh=fresh) as child:
            size = size_for(offset + room, len(child.arena.memory))
            try:
                child.arena.resize(size)
            except OSError as error:
                raise HounsfieldError(
                    say(
                        "no {size} bytes of memory to share with a decoder: {strerror}",
                        size=size,
                        strerror=error.strerror or error,
                    ),
                    remedy="use a machine with more memory",
                ) from error
            child.arena.memory[: len(data)] = data
            about = {"length": len(data), "offset": offset, "arena": size, "seconds": seconds}
            answer = _asked(child, json.dumps(request | about).encode(), seconds)
            cpu_spent.get()(float(answer.get("cpu", 0.0)))
            if "error" in answer:
                raise _told(answer)
            if answer["content"]:
                return _received(child, _WALL_FREE, _LONGEST_CONTENT)
            return take(child.arena.memory[offset : offset + room])

    @contextlib.contextmanager
    def _lent(self, *, fresh: bool) -> Iterator[Child]:
        child = self._taken(fresh=fresh)
        try:
            yield child
        except HounsfieldError as error:
            # One that the child itself reported leaves it sound; any other came while it was at work.
            if not error.data.get("isolated"):
                self._ended(child)
                raise
            del error.data["isolated"]
            self._given_back(child)
            raise
        except Died as died:
            code = self._ended(child)
            raise Died(_how(code, died), overdue=died.overdue or _is_overdue(code)) from None
        except BaseException:
            self._ended(child)
            raise
        else:
            self._given_back(child)

    def _taken(self, *, fresh: bool) -> Child:
        """An idle child, or a new one, or the next that is given back."""
        while True:
            with self._changed:
                spare = self._idle.pop() if self._idle else None
                if spare is not None and not fresh:
                    return spare
                if spare is None and self._count >= self._most:
                    self._changed.wait(_SLICE)
                elif spare is None:
                    self._count += 1
                    break
            if spare is not None:
                self._ended(spare)
            still_wanted.get()()
        try:
            return self._launched()
        except BaseException:
            self._forgotten()
            raise

    def _launched(self) -> Child:
        try:
            with self._launching:
                for is_last in (False, True):
                    if self._launcher is None:
                        self._launcher = launcher(self._work)
                    try:
                        return self._launcher.launch()
                    except ConnectionError:
                        # What makes children was killed; another will.
                        self._launcher.close()
                        self._launcher = None
                        if is_last:
                            raise
        except OSError as error:
            raise HounsfieldError(
                say("no process to decode in can be started: {strerror}", strerror=error.strerror or error),
                remedy="is the machine out of memory or processes? HOUNSFIELD_ISOLATE=never does without",
            ) from error
        raise AssertionError("unreachable")

    def _ended(self, child: Child) -> int:
        with self._launching:
            code = child.end()
        self._forgotten()
        return code

    def _forgotten(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify()

    def _given_back(self, child: Child) -> None:
        with self._changed:
            self._idle.append(child)
            self._changed.notify()

    def close(self) -> None:
        """End the children that are idle; those at work end when their work is done."""
        with self._changed:
            idle, self._idle = self._idle, []
            self._count -= len(idle)
        with self._launching:
            for child in idle:
                child.end()
            if self._launcher is not None:
                self._launcher.close()
                self._launcher = None

    def abandon(self) -> None:
        """In a process forked from the pool's own: close what came with it, so that it does not keep them alive."""
        for child in self._idle:
            child.abandon()
        if self._launcher is not None:
            self._launcher.abandon()


def _key(request: dict[str, Any], data: bytes) -> bytes:
    known = hashlib.blake2b(repr(request).encode(), digest_size=16)
    known.update(data)
    return known.digest()


def _asked(child: Child, request: bytes, seconds: float) -> dict[str, Any]:
    try:
        child.connection.send_bytes(request)
    except OSError as error:
        raise Died(str(error), overdue=False) from error
    try:
        answer = json.loads(_received(child, _WALL_FREE + _WALL_RATIO * seconds, _LONGEST_ANSWER))
    except ValueError as error:
        raise Died("an answer that is none", overdue=False) from error
    if not isinstance(answer, dict):
        raise Died("an answer that is none", overdue=False)
    return answer


def _received(child: Child, seconds: float, most: int) -> bytes:
    """Receive what the child sends within `seconds` by the clock, while it is still wanted. Raises `Died`."""
    end = time.monotonic() + seconds
    while not child.speaks_within(_SLICE):
        still_wanted.get()()
        if time.monotonic() > end:
            raise Died(f"does not end within {seconds:.0f} s", overdue=True)
    try:
        return child.connection.recv_bytes(most)
    except (EOFError, OSError) as error:
        raise Died(str(error), overdue=False) from error


def _is_overdue(code: int) -> bool:
    return os.name == "posix" and code == -signal.SIGPROF


def _how(code: int, died: Died) -> str:
    if died.overdue:
        return died.how
    if _is_overdue(code):
        return "does not end in any time that fits its size"
    with contextlib.suppress(ValueError):
        return f"kills its decoder ({signal.Signals(-code).name})"
    return f"ends its decoder (exit code {code})"


def _error_of(how: str) -> MalformedError:
    return MalformedError(
        say("the codestream {how}", how=how),
        expected="one that decodes",
        remedy="it was decoded in a process of its own, and nothing else was disturbed; "
        "get the file again from where it came",
        decoder=how,
    )


def _told(answer: dict[str, Any]) -> HounsfieldError:
    kind = _ERRORS.get(str(answer["error"]), HounsfieldError)
    expected, remedy = answer.get("expected"), answer.get("remedy")
    data = answer.get("data")
    return kind(
        str(answer.get("found", "")),
        expected=None if expected is None else str(expected),
        remedy=None if remedy is None else str(remedy),
        **(data if isinstance(data, dict) else {}) | {"isolated": True},
    )
