"""Native (uncompressed) pixel cells from a stream, into the caller's array where they fit: one copy, no decoder."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from hounsfield.dicom.fast_walk import PixelElement
from hounsfield.errors import MalformedError, TruncatedError
from hounsfield.language import say

if TYPE_CHECKING:
    from hounsfield.codecs import FrameFormat

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
        say("frame {number} has {available} bytes of pixels", number=frame + 1, available=available),
        expected=f"{size}",
        remedy=remedy,
        found_bytes=available,
        expected_bytes=size,
    )


def read_arranged(
    stream: BinaryIO,
    pixels: PixelElement,
    frame: int,
    form: FrameFormat,
    *,
    little_endian: bool,
    fill: int | None = None,
) -> Array:
    """The same for frames that are not simply cell after cell: planes, shared chrominance, words of other cells."""
    from hounsfield.codecs.native import decode_native, native_extent

    start, length, bit_offset = native_extent(form, frame, words=pixels.swapped)
    end = min(stream.seek(0, os.SEEK_END), pixels.offset + (pixels.length or 0))
    available = min(length, max(0, end - pixels.offset - start))
    before, size = bit_offset // 8, form.native_bytes
    _check_available(frame, max(0, available - before), size, is_filled=fill is not None)
    if available >= before + size:
        octets = np.empty(available, np.uint8)
    else:
        octets = _blank(fill or 0, form.dtype, length, swapped=pixels.swapped, little_endian=little_endian)
        available -= (available - before) % (2 if pixels.swapped else form.cell_bytes)
    stream.seek(pixels.offset + start)
    _read_into(stream, octets.data[: max(0, available)])
    return decode_native(
        octets.data,
        form,
        little_endian=little_endian,
        swap_words=pixels.swapped,
        bit_offset=bit_offset,
    )


def _blank(fill: int, cell: np.dtype[Any], length: int, *, swapped: bool, little_endian: bool) -> Array:
    """`length` bytes of cells that hold `fill`, as the file would have them."""
    cells = np.full(
        -(-length // cell.itemsize) + 1, fill, cell.newbyteorder("<" if little_endian or swapped else ">")
    )
    octets = cells.view(np.uint8)
    if swapped:
        octets = octets[: len(octets) // 2 * 2].reshape(-1, 2)[:, ::-1].ravel()
    return octets[:length].copy()


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
            raise TruncatedError(
                say("the file ended after {done} of {count} bytes of a frame", done=done, count=len(view))
            )
        done += count
