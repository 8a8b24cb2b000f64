"""RLE Lossless (PS3.5 annex G): byte planes, each packed; the most significant byte of a sample first."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.codecs.foreign import call_decoder, call_encoder
from hounsfield.codecs.frame_format import FrameFormat, Pixels, is_holding
from hounsfield.errors import MalformedError, TruncatedError
from hounsfield.language import say

_HEADER = 64
_MAX_SEGMENTS = 15
_LONGEST_RUN = 128  # bytes
_MAX_EXPANSION = 64  # a replicate run makes 128 bytes of 2
_SLACK = 4096  # bytes that a segment may unpack to beyond its frame

_SAMPLED = 8  # one row of so many tells whether a plane has runs

Segment = bytes | memoryview
Runs = tuple[NDArray[np.uint8], NDArray[np.uint8]]

LEAST_RUNS = 0.05
"""Share of a plane's bytes that must equal the two before them for runs to be looked for.

The low bytes of CT are noise: below this share, runs save at most a thousandth of the plane (measured: 0.1 % at 0.043,
2 % at 0.09), and to look for them takes two thirds of the time of coding.
"""


def _check_segments(data: bytes, frame_format: FrameFormat) -> list[tuple[int, int]]:
    """Begin and end of each segment. Raises `MalformedError` where they cannot be those of such a frame."""
    if len(data) < _HEADER:
        raise TruncatedError(
            say("RLE frame of {count} bytes", count=len(data)), expected="a header of 64 bytes at least"
        )
    count, *offsets = struct.unpack("<16I", data[:_HEADER])
    expected = frame_format.samples_per_pixel * frame_format.cell_bytes
    if count != expected:
        raise MalformedError(
            say("RLE frame of {count} segments", count=count),
            expected=say("{expected}, one for each byte of a pixel", expected=expected),
            segments=count,
        )
    used = [*offsets[:count], len(data)]
    if used[0] != _HEADER or any(b <= a for a, b in pairwise(used)):
        kind = TruncatedError if used[-2] >= len(data) else MalformedError
        raise kind(f"RLE segment offsets {used[:-1]} in {len(data)} bytes", expected="increasing from 64")
    plane = frame_format.rows * frame_format.columns
    segments = list(pairwise(used))
    for index, (begin, end) in enumerate(segments):
        if (end - begin) * _MAX_EXPANSION < plane:
            raise TruncatedError(
                say("RLE segment {number} of {number2} bytes", number=index + 1, number2=end - begin),
                expected=say("enough for {plane} pixels", plane=plane),
            )
    return segments


def decode_rle(data: bytes, frame_format: FrameFormat, out: Pixels | None = None) -> Pixels:
    """One frame of RLE; the result's size is known before it is unpacked, and nothing more is written."""
    import imagecodecs

    segments = _check_segments(data, frame_format)
    unsigned = f"u{frame_format.cell_bytes}"
    target = _flat(out, frame_format)
    literal = [_literal_runs(data, segment, frame_format) for segment in segments]
    try:
        if any(runs is not None for runs in literal):
            unpacked = _unpack_each(data, segments, literal, target, frame_format)
        else:
            unpacked = call_decoder(
                "RLE",
                lambda stream: memoryview(imagecodecs.dicomrle_decode(stream, f"<{unsigned}", out=target)),
                data,
            )
    except MalformedError:
        unpacked = _unpack_each(data, segments, literal, target, frame_format)
    if unpacked.size != frame_format.decoded_bytes:
        raise TruncatedError(
            say("RLE frame unpacks to {size} bytes", size=unpacked.size),
            expected=f"{frame_format.decoded_bytes}",
        )
    cells: Pixels = unpacked.view(f"<{unsigned}").astype(unsigned, copy=False).view(frame_format.dtype)
    if frame_format.samples_per_pixel == 1:
        return cells.reshape(frame_format.shape)
    planes = cells.reshape(frame_format.samples_per_pixel, frame_format.rows, frame_format.columns)
    return np.ascontiguousarray(np.moveaxis(planes, 0, -1))


def _literal_runs(data: bytes, segment: tuple[int, int], frame_format: FrameFormat) -> Runs | None:
    """The full literal runs of a segment in which every row is such runs and one of the rest, as noise is coded.

    Each with its count before it, (rows, runs, 1 + 128), and the rests, (rows, 1 + rest or 0). None for another
    segment.
    """
    rows, columns = frame_format.rows, frame_format.columns
    whole, rest = divmod(columns, _LONGEST_RUN)
    width = columns + whole + (rest > 0)
    begin, end = segment
    if end - begin - rows * width not in (0, 1):
        return None
    packed = np.frombuffer(data, np.uint8, rows * width, begin).reshape(rows, width)
    runs = packed[:, : whole * (1 + _LONGEST_RUN)].reshape(rows, whole, 1 + _LONGEST_RUN)
    rests = packed[:, whole * (1 + _LONGEST_RUN) :]
    if not (runs[:, :, 0] == _LONGEST_RUN - 1).all() or not (rests[:, :1] == rest - 1).all():
        return None
    return runs, rests


def _unpack_each(
    data: bytes,
    segments: Sequence[tuple[int, int]],
    literal: Sequence[Runs | None],
    target: memoryview[int],
    frame_format: FrameFormat,
) -> NDArray[np.uint8]:
    """Segment by segment: what is all `literal` runs is copied, the others are unpacked.

    Some writers' unpack to a few bytes more than the frame has: those are left out.
    """
    rows, columns, width = frame_format.rows, frame_format.columns, frame_format.cell_bytes
    cells = np.frombuffer(target, f"<u{width}").reshape(frame_format.samples_per_pixel, rows, columns)
    full = columns - columns % _LONGEST_RUN
    for index, segment in enumerate(segments):
        sample, byte = divmod(index, width)
        plane, shift = cells[sample], 8 * (width - 1 - byte)  # the highest byte first
        found = literal[index]
        if found is None:
            _put(plane, _unpacked(data, segment, index, frame_format), shift, is_first=byte == 0)
            continue
        runs, rests = found
        by_run = plane[:, :full].reshape(rows, -1, _LONGEST_RUN)
        _put(by_run, runs[:, :, 1:], shift, is_first=byte == 0)
        _put(plane[:, full:], rests[:, 1:], shift, is_first=byte == 0)
    return cells.reshape(-1).view(np.uint8)


def _put(cells: NDArray[Any], plane: NDArray[np.uint8], shift: int, *, is_first: bool) -> None:
    """A byte plane into its bits of cells; the first replaces whatever is there."""
    if is_first:
        np.left_shift(plane, shift, out=cells, dtype=cells.dtype)
    elif shift:
        cells |= plane.astype(cells.dtype) << shift
    else:
        cells |= plane


def _unpacked(
    data: bytes, segment: tuple[int, int], index: int, frame_format: FrameFormat
) -> NDArray[np.uint8]:
    """The byte plane of one segment, (rows, columns)."""
    import imagecodecs

    rows, columns = frame_format.rows, frame_format.columns
    room = np.empty(rows * columns + _SLACK, np.uint8)
    unpacked = call_decoder("RLE", imagecodecs.packbits_decode, data[slice(*segment)], out=room)
    more = len(unpacked) - rows * columns
    if more < 0 or (more and more % columns == 0):  # whole rows more are another image
        raise (TruncatedError if more < 0 else MalformedError)(
            f"RLE segment {index + 1} unpacks to {len(unpacked)} bytes", expected=f"{rows * columns}"
        )
    return np.frombuffer(unpacked, np.uint8, rows * columns).reshape(rows, columns)


def _flat(out: Pixels | None, frame_format: FrameFormat) -> memoryview[int]:
    """The bytes to unpack into: those of `out` where it holds cells of this width in their order."""
    if is_holding(out, frame_format) and frame_format.samples_per_pixel == 1:
        return out.reshape(-1).view(np.uint8).data
    return np.empty(frame_format.decoded_bytes, np.uint8).data


def encode_rle(array: Pixels, frame_format: FrameFormat) -> bytes:
    """One frame of RLE: rows packed one by one, segments of even length (PS3.5 G.3, G.4, G.5)."""
    samples, width = frame_format.samples_per_pixel, frame_format.cell_bytes
    count = samples * width
    cells = np.ascontiguousarray(array).view(f"u{width}")
    cells = cells.reshape(frame_format.rows, frame_format.columns, samples)
    segments: list[Segment] = []
    for sample, byte in product(range(samples), reversed(range(width))):
        segments.append(_packed(cells[:, :, sample], 8 * byte))
    lengths = [len(segment) + len(segment) % 2 for segment in segments]
    starts = [_HEADER, *(_HEADER + end for end in accumulate(lengths))][:count]
    header = struct.pack("<16I", count, *starts, *[0] * (_MAX_SEGMENTS - count))
    padded = ((segment, b"\0" * (len(segment) % 2)) for segment in segments)
    return b"".join([header, *chain.from_iterable(padded)])


def _packed(cells: Pixels, shift: int) -> Segment:
    """The byte plane at bit `shift` of cells, (rows, columns): runs where there are enough of them, else as it is."""
    import imagecodecs

    sample = _plane(cells[::_SAMPLED], shift)
    equal = sample[:, 1:] == sample[:, :-1]
    runs = np.count_nonzero(equal[:, 1:] & equal[:, :-1])
    if runs < LEAST_RUNS * sample.size:
        return _literal(cells, shift)
    packed: bytes = call_encoder("RLE", imagecodecs.packbits_encode, _plane(cells, shift), axis=-1)
    return packed


def _plane(cells: Pixels, shift: int) -> Pixels:
    # A shift and a narrowing cast are five times as quick as a copy of every second byte.
    return (cells >> shift if shift else cells).astype(np.uint8)


def _literal(cells: Pixels, shift: int) -> Segment:
    """Literal runs of at most 128 bytes, none across rows (PS3.5 G.3.1)."""
    rows, columns = cells.shape
    whole, rest = divmod(columns, _LONGEST_RUN)
    packed = np.empty((rows, columns + whole + (rest > 0)), np.uint8)
    shifted = cells >> shift if shift else cells
    full = columns - rest
    runs = packed[:, : full + whole].reshape(
        rows, whole, 1 + _LONGEST_RUN
    )  # a view: all full runs in one copy
    runs[:, :, 0] = _LONGEST_RUN - 1
    runs[:, :, 1:] = shifted[:, :full].reshape(rows, whole, _LONGEST_RUN)  # narrowed as it is copied
    if rest:
        packed[:, full + whole] = rest - 1
        packed[:, full + whole + 1 :] = shifted[:, full:]
    return packed.reshape(-1).data


def begins_as_rle(data: bytes, frame_format: FrameFormat) -> bool:
    """Return whether bytes begin with the header of a frame of this format: number of segments, the
    first at byte 64.
    """
    segments = frame_format.samples_per_pixel * frame_format.cell_bytes
    return data[:8] == segments.to_bytes(4, "little") + (64).to_bytes(4, "little")
