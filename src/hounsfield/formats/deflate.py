"""Bytes → one gzip or zlib stream (RFC 1950–1952), compressed on every core.

Not a file format: NIfTI, NRRD and MetaImage all wrap their voxels in one of these. Blocks are compressed
apart, each flushed to a byte's border, and set one after another in a single member, which every reader
takes, also those that stop at the end of a first member.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from hounsfield.formats.description import Compression

BLOCK_BYTES = 2 << 20
"""Voxels in one block: far above deflate's 32 KiB window, so that starting anew costs nothing."""

RAW_DEFLATE = -15
LAST_BLOCK = b"\x03\x00"
"""An empty final block, fixed codes (RFC 1951, 3.2.3)."""


def blocks(array: NDArray[Any]) -> Iterator[memoryview]:
    """An array's bytes, C order, little-endian, in blocks of about `BLOCK_BYTES`, copied only if need be."""
    slices = max(1, BLOCK_BYTES // max(array[0].nbytes, 1))
    little = array.dtype.newbyteorder("<")
    for start in range(0, len(array), slices):
        slab = np.ascontiguousarray(array[start : start + slices], dtype=little)
        yield slab.reshape(-1).view(np.uint8).data


def write_raw(file: BinaryIO, data: Iterable[memoryview]) -> None:
    """Write blocks as they are."""
    for block in data:
        file.write(block)


def write_gzip(file: BinaryIO, data: Iterable[memoryview], compression: Compression) -> None:
    """Write blocks as one gzip member (RFC 1952), without name or time: equal input is equal output."""
    file.write(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")
    checksum, length = 0, 0
    for block, compressed in _deflated(data, compression):
        checksum = isal_zlib.crc32(block, checksum)
        length += len(block)
        file.write(compressed)
    file.write(LAST_BLOCK + struct.pack("<II", checksum, length & 0xFFFFFFFF))


def write_zlib(file: BinaryIO, data: Iterable[memoryview], compression: Compression) -> None:
    """Write blocks as one zlib stream (RFC 1950)."""
    file.write(b"\x78\x01")
    checksum = 1
    for block, compressed in _deflated(data, compression):
        checksum = isal_zlib.adler32(block, checksum)
        file.write(compressed)
    file.write(LAST_BLOCK + struct.pack(">I", checksum))


def _deflated(data: Iterable[memoryview], compression: Compression) -> Iterator[tuple[memoryview, bytes]]:
    """Each block with its deflate blocks, in order; no more than two a thread are under way."""
    threads = compression.threads or os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[memoryview, Future[bytes]]] = deque()
        for block in data:
            waiting.append((block, pool.submit(_deflate, block, compression.level)))
            if len(waiting) >= 2 * threads:
                first, future = waiting.popleft()
                yield first, future.result()
        for block, future in waiting:
            yield block, future.result()


def _deflate(block: memoryview, level: int) -> bytes:
    if level == 1:
        # ISA-L: four times as fast as zlib's level 1 over CT, and 4 % larger.
        fast = isal_zlib.compressobj(2, isal_zlib.DEFLATED, RAW_DEFLATE)
        return bytes(fast.compress(block) + fast.flush(isal_zlib.Z_FULL_FLUSH))
    small = zlib.compressobj(level, zlib.DEFLATED, RAW_DEFLATE)
    return small.compress(block) + small.flush(zlib.Z_FULL_FLUSH)
