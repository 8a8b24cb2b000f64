"""Philips/Elscint PMSCT_RLE1: pixels in private (07A1,100A), where (07A1,1011) is "PMSCT_RLE1".

Two passes, neither of them in the standard. Bytes first: A5 n v stands for n + 1 times v. Then words: 5A lo hi
is a value, and any other byte is the signed difference from the value before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.codecs.frame_format import FrameFormat, Pixels
from hounsfield.errors import MalformedError, TruncatedError
from hounsfield.language import say

_RUN = 0xA5
_VALUE = 0x5A


def _tokens(data: NDArray[np.uint8], token: int) -> NDArray[np.int64]:
    """Positions of tokens with their two operands whole; a token byte within operands is none."""
    found = []
    free = 0
    for position in np.flatnonzero(data[:-2] == token).tolist():
        if position >= free:
            found.append(position)
            free = position + 3
    return np.asarray(found, np.int64)


def _without_operands(length: int, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
    kept = np.ones(length, bool)
    kept[tokens + 1] = False
    kept[tokens + 2] = False
    return kept


def _expand_runs(data: NDArray[np.uint8], limit: int) -> NDArray[np.uint8]:
    tokens = _tokens(data, _RUN)
    counts = np.ones(len(data), np.int64)
    counts[tokens] = data[tokens + 1].astype(np.int64) + 1
    values = data.copy()
    values[tokens] = data[tokens + 2]
    kept = _without_operands(len(data), tokens)
    if int(counts[kept].sum()) > limit:
        raise MalformedError(say("PMSCT_RLE1 runs expand beyond {limit} bytes", limit=limit))
    return np.repeat(values[kept], counts[kept])


def _add_differences(data: NDArray[np.uint8]) -> NDArray[np.uint16]:
    tokens = _tokens(data, _VALUE)
    steps = data.view(np.int8).astype(np.int64)
    steps[tokens] = 0
    kept = _without_operands(len(data), tokens)
    order = np.cumsum(kept) - 1
    running = np.cumsum(steps[kept])
    absolute = data[tokens + 1].astype(np.int64) | data[tokens + 2].astype(np.int64) << 8
    starts = order[tokens]
    bases: NDArray[Any] = np.zeros(len(running), np.int64)
    bases[starts] = np.diff(absolute - running[starts], prepend=0)
    words: NDArray[np.uint16] = (running + np.cumsum(bases)).astype(np.uint16)
    return words


def decode_pmsct_rle(data: bytes, frame_format: FrameFormat) -> Pixels:
    """Stored values (rows, columns) of one PMSCT_RLE1 frame, in 16-bit cells.

    Use Pixel Data (7FE0,0010) where a file has it; this is for those that only have the private element.
    """
    if frame_format.bits_allocated != 16 or frame_format.samples_per_pixel != 1:
        raise MalformedError(
            say(
                "PMSCT_RLE1 with {samples_per_pixel} × {bits_allocated} bits",
                samples_per_pixel=frame_format.samples_per_pixel,
                bits_allocated=frame_format.bits_allocated,
            ),
            expected="one sample of 16 bits",
        )
    frame_format.check(len(data))
    if not data:
        raise TruncatedError("PMSCT_RLE1 frame without a byte", found_pixels=0)
    count = frame_format.rows * frame_format.columns
    words = _add_differences(_expand_runs(np.frombuffer(data, np.uint8), 3 * count + 2))
    if len(words) < count:
        raise TruncatedError(
            say("PMSCT_RLE1 frame of {count} pixels", count=len(words)),
            expected=f"{count}",
            found_pixels=len(words),
        )
    return words[:count].view(frame_format.dtype).reshape(frame_format.shape)
