"""Native (uncompressed) pixel cells from a stream, into the caller's array where they fit: one copy, no decoder."""

from __future__ import annotations

import os
import sys
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from hounsfield.errors import MalformedError, TruncatedError
from hounsfield.instance.elements import PixelElement

Array = npt.NDArray[Any]

FILL_FREE_BYTES = 1 << 26  # a truncated frame up to this size is filled however little is left of it,
FILL_RATIO = 100  # a larger one where it is not the header that is damaged


def read_native(
    stream: BinaryIO,
    pixels: PixelElement,
    frame: int,
    *,
    shape: tuple[int, ...],
    cell: np.dtype[Any],
    out: Array | None = None,
    fill: int | None = None,
) -> Array:
    """Frame `frame` (from 0) as an array of `shape` and of `cell`'s width, in the machine's byte order.

    `cell` carries the byte order of the file. `out` is used when it is C-contiguous and of the same shape and
    width. `fill` takes the place of cells that are not there; without it they are a `TruncatedError`. Nothing is
    allocated before the stream is known to be long enough, or `fill` was asked for.
    """
    if pixels.length is None:
        raise MalformedError("native pixels of undefined length", expected="a length (PS3.5 A.1)")
    size = int(np.prod(shape, dtype=np.int64)) * cell.itemsize
    start = pixels.offset + frame * size
    end = min(stream.seek(0, os.SEEK_END), pixels.offset + pixels.length)
    available = max(0, end - start)
    _check_available(frame, available, size, is_filled=fill is not None)
    cells = _target(out, shape, cell)
    if available < size:
        cells[...] = fill
        available -= available % cell.itemsize
    stream.seek(start)
    _read_into(stream, cells.reshape(-1).view(np.uint8).data[: min(available, size)])
    return _native_order(cells, cell, min(available, size) // cell.itemsize)


def _check_available(frame: int, available: int, size: int, *, is_filled: bool) -> None:
    """`TruncatedError` unless the frame is there, or may be filled: nothing is allocated for a size that lies."""
    if available >= size:
        return
    remedy = "get the file again, or read it with truncated='fill' (--truncated fill)"
    if is_filled:
        if size <= max(FILL_FREE_BYTES, FILL_RATIO * available):
            return
        remedy = "too little is left of it to fill the rest"
    raise TruncatedError(
        f"frame {frame + 1} has {available} bytes of pixels",
        expected=f"{size}",
        remedy=remedy,
        found_bytes=available,
        expected_bytes=size,
    )


def read_swapped(
    stream: BinaryIO, pixels: PixelElement, frame: int, *, shape: tuple[int, ...], fill: int | None = None
) -> Array:
    """The same for 8-bit cells whose bytes come in swapped pairs, over the borders of odd frames too."""
    size = int(np.prod(shape, dtype=np.int64))
    begin = frame * size // 2 * 2
    words = (frame * size + size - begin + 1) // 2
    rest = None if pixels.length is None else max(0, pixels.length - begin)
    here = PixelElement(pixels.keyword, pixels.offset + begin, rest)
    pairs = read_native(stream, here, 0, shape=(words,), cell=np.dtype(">u2"), fill=fill)
    cells: Array = pairs.astype("<u2", copy=False).view(np.uint8)[frame * size - begin :][:size]
    return cells.reshape(shape)


def _target(out: Array | None, shape: tuple[int, ...], cell: np.dtype[Any]) -> Array:
    native = cell.newbyteorder("=")
    if (
        out is not None
        and out.shape == shape
        and out.dtype.kind in "iu"
        and cell.kind in "iu"
        and out.dtype.itemsize == cell.itemsize
        and out.flags.c_contiguous
    ):
        return out.view(native)
    return np.empty(shape, native)


def _native_order(cells: Array, cell: np.dtype[Any], count: int) -> Array:
    """Swap the bytes of the first `count` cells, those that came from the file, if it has the other order."""
    order = (
        sys.byteorder[0]
        if cell.byteorder == "="
        else {"<": "l", ">": "b", "|": sys.byteorder[0]}[cell.byteorder]
    )
    if order != sys.byteorder[0]:
        cells.reshape(-1)[:count].byteswap(inplace=True)
    return cells


def _read_into(stream: BinaryIO, view: memoryview) -> None:
    """Fill `view` from an unbuffered stream, which may give less than asked for at once."""
    done = 0
    while done < len(view):
        count = stream.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            raise TruncatedError(f"the file ended after {done} of {len(view)} bytes of a frame")
        done += count
