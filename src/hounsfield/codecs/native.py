"""Uncompressed pixels (PS3.5 8.1.1, A.1–A.3, annex D): cells reinterpreted, nothing masked or scaled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hounsfield.codecs.frame_format import FrameFormat, Pixels
from hounsfield.errors import MalformedError, TruncatedError
from hounsfield.language import say


class NativeExtent(NamedTuple):
    """The extent of a native frame: bytes from `start` of the pixels' value, and the bits of them before its own."""

    start: int
    length: int
    bit_offset: int


def native_extent(frame_format: FrameFormat, frame: int, *, words: bool = False) -> NativeExtent:
    """The bytes that hold frame `frame` (from 0): whole ones, and in 16-bit `words` whole words (PS3.5 8.1.1)."""
    form = frame_format
    bits = form.native_bytes * 8
    if form.bits_allocated == 1:
        bits = form.rows * form.columns * form.samples_per_pixel
    unit = 16 if words else 8
    start = bits * frame // unit
    end = -(-bits * (frame + 1) // unit)
    return NativeExtent(start * unit // 8, (end - start) * unit // 8, bits * frame - start * unit)


def decode_native(
    data: bytes | memoryview,
    frame_format: FrameFormat,
    *,
    little_endian: bool = True,
    swap_words: bool = False,
    bit_offset: int = 0,
) -> Pixels:
    """Stored cells of one native frame, (rows, columns[, samples]); may share memory with `data`.

    `swap_words` is for VR OW in a big endian data set, which is one of 16-bit words whatever the cells are: swapped
    by words it is what little endian has (PS3.5 A.3, D). Cells of 32 bits have no other VR.
    `bit_offset` says at which bit of `data` the frame begins (`native_extent`): single bits follow each other
    without padding, as do 8-bit frames of odd length.
    """
    octets = np.frombuffer(data, np.uint8)
    is_words = swap_words or not (little_endian or frame_format.bits_allocated != 32)
    if is_words and frame_format.bits_allocated != 16:
        octets = _swapped(octets)
        little_endian = True
    if frame_format.bits_allocated == 1:
        return _decode_bits(octets, frame_format, bit_offset)
    octets = octets[bit_offset // 8 :]
    _check_length(len(octets), frame_format.native_bytes)
    typed = octets[: frame_format.native_bytes].view(_stored_dtype(frame_format, little_endian))
    typed = typed.astype(frame_format.dtype, copy=False)
    if frame_format.subsampled:
        return _upsample(typed, frame_format)
    if frame_format.samples_per_pixel > 1 and frame_format.planar_configuration == 1:
        planes = typed.reshape(frame_format.samples_per_pixel, frame_format.rows, frame_format.columns)
        return np.ascontiguousarray(np.moveaxis(planes, 0, -1))
    return typed.reshape(frame_format.shape)


def _swapped(octets: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bytes of 16-bit words in the other order; one that is left over stays."""
    even = len(octets) // 2 * 2
    return np.concatenate([octets[:even].reshape(-1, 2)[:, ::-1].ravel(), octets[even:]])


def encode_native(array: Pixels, frame_format: FrameFormat, *, little_endian: bool = True) -> bytes:
    """The native bytes of stored values, always colour by pixel unless Planar Configuration is 1.

    Big endian ones of more than 8 bits are those of VR OW: 16-bit words, of which the first of two is the lower.
    """
    if frame_format.bits_allocated == 1:
        return np.packbits(np.ascontiguousarray(array, np.uint8).ravel(), bitorder="little").tobytes()
    if frame_format.subsampled:
        return _subsample(array, frame_format, little_endian)
    if frame_format.samples_per_pixel > 1 and frame_format.planar_configuration == 1:
        array = np.moveaxis(array, -1, 0)
    if frame_format.bits_allocated == 32 and not little_endian:
        return array.astype(_stored_dtype(frame_format, True)).view("<u2").astype(">u2").tobytes()
    return array.astype(_stored_dtype(frame_format, little_endian)).tobytes()


def _stored_dtype(frame_format: FrameFormat, little_endian: bool) -> np.dtype[Any]:
    return frame_format.dtype.newbyteorder("<" if little_endian else ">")


def _check_length(found: int, expected: int) -> None:
    if found < expected:
        raise TruncatedError(
            say("{found} bytes of native pixels", found=found),
            expected=say("{expected} bytes by Rows, Columns and Bits Allocated", expected=expected),
            found_bytes=found,
            expected_bytes=expected,
        )


def _decode_bits(octets: NDArray[np.uint8], frame_format: FrameFormat, bit_offset: int) -> Pixels:
    if not 0 <= bit_offset < 16:
        raise MalformedError(
            say("a frame that starts at bit {bit_offset} of a word", bit_offset=bit_offset),
            expected="0 to 15",
        )
    count = frame_format.rows * frame_format.columns * frame_format.samples_per_pixel
    needed = (bit_offset + count + 7) // 8
    _check_length(len(octets), needed)
    bits = np.unpackbits(octets[:needed], bitorder="little")
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


def decode_uncompressed(data: bytes, frame_format: FrameFormat, out: Pixels | None = None) -> Pixels:
    """A frame that is encapsulated uncompressed (PS3.5 A.4.11): little endian, as native ones are."""
    return decode_native(data, frame_format)
