"""Decoding in child processes: which frames go there, and the one pool of this process."""

from __future__ import annotations

import atexit
import functools
import os
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from hounsfield.codecs.frame_format import FrameFormat, Pixels, is_holding
from hounsfield.codecs.isolation.callers import cpu_spent, still_wanted
from hounsfield.codecs.isolation.choice import (
    TRIALS,
    VARIABLE,
    IsolationMode,
    is_isolated,
    isolation_mode,
    require_isolation,
)
from hounsfield.dicom.syntaxes import TransferSyntax

if TYPE_CHECKING:
    from hounsfield.codecs.isolation.pool import Pool

__all__ = [
    "TRIALS",
    "VARIABLE",
    "IsolationMode",
    "cpu_spent",
    "decode_in_child",
    "is_isolated",
    "isolation_mode",
    "require_isolation",
    "run_in_child",
    "still_wanted",
]

_LEAST_CHILDREN = 2  # so that one frame that takes long does not stop the others


class _Shared:
    """The pool of this process, made when first needed."""

    lock = threading.Lock()
    pool: Pool | None = None


def shared_pool() -> Pool:
    """A child for each core that this process may use; begun one by one, as threads ask at the same time."""
    from hounsfield.codecs.isolation.pool import (
        Pool,  # what it needs takes longer to import than all decoders
    )

    with _Shared.lock:
        if _Shared.pool is None:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            _Shared.pool = Pool(max(_LEAST_CHILDREN, cores))
        return _Shared.pool


def _close() -> None:
    if _Shared.pool is not None:
        _Shared.pool.close()


def _after_fork() -> None:
    pool, _Shared.pool, _Shared.lock = _Shared.pool, None, threading.Lock()
    if pool is not None:
        pool.abandon()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def decode_in_child(
    data: bytes, syntax: TransferSyntax, frame_format: FrameFormat, out: Pixels | None = None
) -> Pixels:
    """`decode_frame` of a frame that was checked already, in a child process."""

    def taken(memory: memoryview) -> Pixels:
        found = np.frombuffer(memory, np.uint8).view(frame_format.dtype).reshape(frame_format.shape)
        if not is_holding(out, frame_format):
            return found.copy()
        target = out.reshape(-1).view(frame_format.dtype).reshape(out.shape)
        np.copyto(target, found)
        return target

    cells = shared_pool().run(
        _request(syntax.uid, frame_format), data, taken, room=frame_format.decoded_bytes
    )
    assert not isinstance(cells, bytes)
    return cells


@functools.lru_cache(256)  # all frames of a series are of one
def _request(syntax: str, frame_format: FrameFormat) -> dict[str, Any]:
    return {"operation": "decode", "syntax": syntax, "format": asdict(frame_format)}


def run_in_child(operation: str, data: bytes) -> bytes:
    """Bytes that an operation of `codecs.isolated` makes of `data`."""
    made = shared_pool().run({"operation": operation}, data, lambda _: b"", room=0)
    assert isinstance(made, bytes)
    return made
