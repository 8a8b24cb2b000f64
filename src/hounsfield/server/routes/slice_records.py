"""Many slices in one response: records of a head of 32 bytes and a body, one after another (`docs/wire.md`).

Slices are made two ahead of what goes out, in the order in which they are asked for; one that fails is a record with
its status and reason, and stops no other.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.errors import HounsfieldError
from hounsfield.server.http.response import error_response

HEAD = struct.Struct("<8I")
"""Index, status, bytes of the body, its CRC-32; voxels that were padded, clamped, saturated, rounded."""

AHEAD = 2
"""Slices that are made while others go out."""

Counted = tuple[int, int, int, int]
NOTHING_DONE: Counted = (0, 0, 0, 0)
Made = tuple[NDArray[Any], Counted]

_makers = ThreadPoolExecutor(4, thread_name_prefix="slices")


def outwards(count: int, centre: int) -> Iterator[int]:
    """Indices 0 … count − 1, nearest to `centre` first, the following one before the preceding."""
    start = min(max(centre, 0), max(count - 1, 0))
    for away in range(count):
        if start + away < count:
            yield start + away
        if away and start - away >= 0:
            yield start - away


def records(indices: Iterable[int], make: Callable[[int], Made]) -> Iterator[bytes]:
    """A record for each index, in that order; `make` gives its values (rows, columns) and what was done to them."""
    waiting: deque[tuple[int, Future[bytes]]] = deque()
    coming = iter(indices)
    try:
        while True:
            while len(waiting) < AHEAD and (index := next(coming, None)) is not None:
                waiting.append((index, _makers.submit(_record, index, make)))
            if not waiting:
                return
            yield waiting.popleft()[1].result()
    finally:
        for _, each in waiting:
            each.cancel()


def _record(index: int, make: Callable[[int], Made]) -> bytes:
    try:
        values, done = make(index)
    except HounsfieldError as error:
        said = error.found.encode()
        return (
            HEAD.pack(index, error_response(error).status, len(said), zlib.crc32(said), *NOTHING_DONE) + said
        )
    raw = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    # One copy of the values, behind their head: two writes would be two chunks on the wire.
    out = bytearray(HEAD.size + raw.nbytes)
    HEAD.pack_into(out, 0, index, 200, raw.nbytes, zlib.crc32(raw.data), *done)
    out[HEAD.size :] = raw.data.cast("B")
    return out  # type: ignore[return-value]


def gzipped(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks as one gzip member, quickly."""
    from isal import isal_zlib

    packer = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 31)
    for block in blocks:
        if packed := packer.compress(block):
            yield packed
    yield packer.flush()
