"""What children of the tests do: decode as ever, and what a codestream says in so many bytes that it does to them.

No test itself: a module of operations, as `hounsfield.codecs.isolated` is one.
"""

from __future__ import annotations

import ctypes
import os
import time
from typing import Any

from hounsfield.codecs import isolated

KILL, SPIN, SLEEP, HOG, EXIT, ONCE = b"=KILL=", b"=SPIN=", b"=SLEEP=", b"=HOG=", b"=EXIT=", b"=ONCE="


def _decode(request: dict[str, Any], data: bytes, memory: memoryview) -> bytes | None:
    if KILL in data:
        ctypes.string_at(0)
    while SPIN in data:
        pass
    if SLEEP in data:
        time.sleep(600)
    if HOG in data:
        _ = bytearray(1 << 40)
    if EXIT in data:
        os._exit(3)
    if ONCE in data:
        # Only a child that did something before dies.
        if _Before.decoded:
            ctypes.string_at(0)
        data = data.replace(ONCE, b"")
    _Before.decoded = True
    return isolated.OPERATIONS["decode"](request, data, memory)


def _busy(request: dict[str, Any], data: bytes, memory: memoryview) -> bytes:
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    return b""


class _Before:
    decoded = False


OPERATIONS = isolated.OPERATIONS | {
    "decode": _decode,
    "pid": lambda request, data, memory: str(os.getpid()).encode(),
    "environment": lambda request, data, memory: repr(dict(os.environ)).encode(),
    "busy": _busy,
    "open": lambda request, data, memory: open(data, "rb").read(),  # noqa: SIM115
}
