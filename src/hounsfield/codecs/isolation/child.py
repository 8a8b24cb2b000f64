"""The loop of a child process: take a codestream out of the arena, decode it, put the pixels there; again and again.

It trusts its parent, and its parent does not trust it: answers are JSON and pixels of a known size. Whatever happens
in a decoder ends here at the latest: the kernel ends a child that uses more CPU or memory than its frame may.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from hounsfield.codecs.isolation.arena import Arena
from hounsfield.errors import HounsfieldError

Work = Callable[[dict[str, Any], bytes, memoryview], bytes | None]
"""(request, codestream, memory for the result) → bytes of another kind of result, or None."""

_PARENT_DEATH_SIGNAL = 1  # of prctl(2)
_MEMORY = 1 << 29  # bytes beside what the frame itself may take
_MEMORY_RATIO = 12  # bytes a decoder may take for each of its result
_FIRST_TO_GO = "900"  # of 1000: whom the kernel ends when memory does


def prepare(module: str) -> dict[str, Work]:
    """Import all that decoding needs: the operations of `module`, by name. Done once, before any limit is set."""
    operations: dict[str, Work] = importlib.import_module(module).OPERATIONS
    return operations


def serve(connection: Connection, arena: Arena, operations: dict[str, Work]) -> None:
    """Answer requests until the parent goes away."""
    limits, spent = _Limits(), time.process_time()
    while True:
        try:
            request = json.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return
        arena.resize(request["arena"])
        limits.set(request["seconds"], request["arena"])
        answer, content = _answered(operations, request, arena)
        spent, before = time.process_time(), spent
        answer["cpu"] = spent - before
        try:
            connection.send_bytes(json.dumps(answer, default=str).encode())
            if content is not None:
                connection.send_bytes(content)
        except OSError:
            return


def _answered(
    operations: dict[str, Work], request: dict[str, Any], arena: Arena
) -> tuple[dict[str, Any], bytes | None]:
    data = bytes(arena.memory[: request["length"]])
    try:
        content = operations[request["operation"]](request, data, arena.memory[request["offset"] :])
    except HounsfieldError as error:
        stated = {name: getattr(error, name) for name in ("found", "expected", "remedy", "data")}
        return {"error": type(error).__name__, **stated}, None
    except Exception as error:  # noqa: BLE001 (the parent tells it; a child that ends says nothing)
        return {"error": "", "found": f"{type(error).__name__}: {error}"}, None
    return {"content": content is not None}, content


class _Limits:
    """Resource limits of this process. Where the kernel has none (Windows), the parent's own clock must do."""

    def __init__(self) -> None:
        self._largest = self._address_space = 0
        if sys.platform == "win32":
            return
        import resource

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's to hear
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write(_FIRST_TO_GO)
        self._address_space = _address_space()
        # Descriptors below the free one are in use, and a mapped arena takes that: nothing else can be opened.
        free = os.dup(0)
        os.close(free)
        for limit, value in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, free + 1)):
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(limit, (value, value))

    def set(self, seconds: float, size: int) -> None:
        """CPU seconds from now on, and address space for an arena of `size` bytes; waiting takes none of either."""
        if sys.platform == "win32":
            return
        import resource

        signal.setitimer(signal.ITIMER_PROF, seconds)
        if size != self._largest:
            self._largest = size
            with contextlib.suppress(OSError, ValueError):
                most = self._address_space + _MEMORY + _MEMORY_RATIO * size
                resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def _address_space() -> int:
    """Bytes of address space that this process has now; far more than any where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 1 << 40
