"""RLE Lossless (PS3.5 annex G): byte planes, each packed; the most significant byte of a sample first."""

from __future__ import annotations

import struct
from itertools import accumulate, pairwise, product

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
    try:
        unpacked = call_decoder(
            "RLE",
            lambda stream: memoryview(imagecodecs.dicomrle_decode(stream, f"<{unsigned}", out=target)),
            data,
        )
    except MalformedError:
        unpacked = _unpack_each(data, segments, frame_format)
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


def _unpack_each(
    data: bytes, segments: list[tuple[int, int]], frame_format: FrameFormat
) -> NDArray[np.uint8]:
    """Segments of which some unpack to a few bytes more than the frame has, as some writers' do: those are left out."""
    import imagecodecs

    plane, width = frame_format.rows * frame_format.columns, frame_format.cell_bytes
    cells = np.empty((frame_format.samples_per_pixel, plane, width), np.uint8)
    for index, (begin, end) in enumerate(segments):
        room = np.empty(plane + _SLACK, np.uint8)
        unpacked = call_decoder("RLE", imagecodecs.packbits_decode, data[begin:end], out=room)
        more, row = len(unpacked) - plane, frame_format.columns
        if more < 0 or (more and more % row == 0):  # whole rows more are another image
            raise (TruncatedError if more < 0 else MalformedError)(
                f"RLE segment {index + 1} unpacks to {len(unpacked)} bytes", expected=f"{plane}"
            )
        sample, byte = divmod(index, width)
        cells[sample, :, width - 1 - byte] = np.frombuffer(
            unpacked, np.uint8, plane
        )  # the highest byte first
    return cells.reshape(-1)


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
    segments = []
    for sample, byte in product(range(samples), reversed(range(width))):
        # A shift and a narrowing cast are five times as quick as a copy of every second byte.
        segment = _packed((cells[:, :, sample] >> (8 * byte)).astype(np.uint8))
        segments.append(segment + b"\0" * (len(segment) % 2))
    starts = [_HEADER, *(_HEADER + end for end in accumulate(map(len, segments)))][:count]
    header = struct.pack("<16I", count, *starts, *[0] * (_MAX_SEGMENTS - count))
    return header + b"".join(segments)


def _packed(plane: Pixels) -> bytes:
    """A byte plane, (rows, columns): runs where there are enough of them, else all of it as it is."""
    import imagecodecs

    equal = plane[:, 1:] == plane[:, :-1]
    runs = np.count_nonzero(equal[:, 1:] & equal[:, :-1])
    if runs < LEAST_RUNS * plane.size:
        return _literal(plane)
    packed: bytes = call_encoder("RLE", imagecodecs.packbits_encode, plane, axis=-1)
    return packed


def _literal(plane: Pixels) -> bytes:
    """Literal runs of at most 128 bytes, none across rows (PS3.5 G.3.1)."""
    rows, columns = plane.shape
    runs = -(-columns // _LONGEST_RUN)
    packed = np.empty((rows, columns + runs), np.uint8)
    for run in range(runs):
        begin = run * _LONGEST_RUN
        end = min(begin + _LONGEST_RUN, columns)
        packed[:, begin + run] = end - begin - 1
        packed[:, begin + run + 1 : end + run + 1] = plane[:, begin:end]
    return packed.tobytes()


def begins_as_rle(data: bytes, frame_format: FrameFormat) -> bool:
    """Return whether bytes begin with the header of a frame of this format: number of segments, the
    first at byte 64.
    """
    segments = frame_format.samples_per_pixel * frame_format.cell_bytes
    return data[:8] == segments.to_bytes(4, "little") + (64).to_bytes(4, "little")
