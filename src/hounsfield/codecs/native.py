"""Uncompressed pixels (PS3.5 8.1.1, A.1–A.3, annex D): cells reinterpreted, nothing masked or scaled."""

from __future__ import annotations

from typing import Any

import numpy as np

from hounsfield.codecs.frame_format import FrameFormat, Pixels
from hounsfield.errors import MalformedError, TruncatedError


def decode_native(
    data: bytes | memoryview,
    frame_format: FrameFormat,
    *,
    little_endian: bool = True,
    swap_words: bool = False,
    bit_offset: int = 0,
) -> Pixels:
    """Stored cells of one native frame, (rows, columns[, samples]); may share memory with `data`.

    `swap_words` is for 8-bit pixels of VR OW in a big endian data set, whose bytes come in swapped pairs
    (PS3.5 D.1). `bit_offset` says at which bit of the first byte a single-bit frame starts (PS3.5 8.1.1: such
    frames follow each other without padding).
    """
    if frame_format.bits_allocated == 1:
        return _decode_bits(data, frame_format, bit_offset)
    _check_length(data, frame_format.native_bytes)
    cells = np.frombuffer(data, np.uint8)
    if swap_words and frame_format.cell_bytes == 1:
        even = len(cells) // 2 * 2
        cells = np.concatenate([cells[:even].reshape(-1, 2)[:, ::-1].ravel(), cells[even:]])
    typed = cells[: frame_format.native_bytes].view(_stored_dtype(frame_format, little_endian))
    typed = typed.astype(frame_format.dtype, copy=False)
    if frame_format.subsampled:
        return _upsample(typed, frame_format)
    if frame_format.samples_per_pixel > 1 and frame_format.planar_configuration == 1:
        planes = typed.reshape(frame_format.samples_per_pixel, frame_format.rows, frame_format.columns)
        return np.ascontiguousarray(np.moveaxis(planes, 0, -1))
    return typed.reshape(frame_format.shape)


def encode_native(array: Pixels, frame_format: FrameFormat, *, little_endian: bool = True) -> bytes:
    """The native bytes of stored values, always colour by pixel unless Planar Configuration is 1."""
    if frame_format.bits_allocated == 1:
        return np.packbits(np.ascontiguousarray(array, np.uint8).ravel(), bitorder="little").tobytes()
    if frame_format.subsampled:
        return _subsample(array, frame_format, little_endian)
    if frame_format.samples_per_pixel > 1 and frame_format.planar_configuration == 1:
        array = np.moveaxis(array, -1, 0)
    return array.astype(_stored_dtype(frame_format, little_endian)).tobytes()


def _stored_dtype(frame_format: FrameFormat, little_endian: bool) -> np.dtype[Any]:
    return frame_format.dtype.newbyteorder("<" if little_endian else ">")


def _check_length(data: bytes | memoryview, expected: int) -> None:
    if len(data) < expected:
        raise TruncatedError(
            f"{len(data)} bytes of native pixels",
            expected=f"{expected} bytes by Rows, Columns and Bits Allocated",
            found_bytes=len(data),
            expected_bytes=expected,
        )


def _decode_bits(data: bytes | memoryview, frame_format: FrameFormat, bit_offset: int) -> Pixels:
    if not 0 <= bit_offset < 8:
        raise MalformedError(f"a frame that starts at bit {bit_offset} of a byte", expected="0 to 7")
    count = frame_format.rows * frame_format.columns * frame_format.samples_per_pixel
    needed = (bit_offset + count + 7) // 8
    _check_length(data, needed)
    bits = np.unpackbits(np.frombuffer(data, np.uint8, count=needed), bitorder="little")
    return (
        bits[bit_offset : bit_offset + count]
        .reshape(frame_format.shape)
        .astype(frame_format.dtype, copy=False)
    )


def _upsample(cells: Pixels, frame_format: FrameFormat) -> Pixels:
    """Y Y Cb Cr of two pixels → (rows, columns, 3), chrominance repeated."""
    pairs = cells.reshape(frame_format.rows, -1, 4)
    full = np.empty((frame_format.rows, pairs.shape[1] * 2, 3), cells.dtype)
    full[:, 0::2, 0] = pairs[..., 0]
    full[:, 1::2, 0] = pairs[..., 1]
    full[:, :, 1] = pairs[..., 2].repeat(2, axis=1)
    full[:, :, 2] = pairs[..., 3].repeat(2, axis=1)
    return full[:, : frame_format.columns]


def _subsample(array: Pixels, frame_format: FrameFormat, little_endian: bool) -> bytes:
    """The reverse of `_upsample`; exact for pixels that came from it (the first of each pair's chrominance)."""
    if frame_format.columns % 2:
        array = np.concatenate([array, array[:, -1:]], axis=1)
    pairs = np.stack([array[:, 0::2, 0], array[:, 1::2, 0], array[:, 0::2, 1], array[:, 0::2, 2]], axis=-1)
    return pairs.astype(_stored_dtype(frame_format, little_endian)).tobytes()
