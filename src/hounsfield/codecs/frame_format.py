"""The format of a frame by its header, and the checks that hold a codestream to it before anything is allocated.

No codec here: shapes, cell types and caps only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from hounsfield.errors import MalformedError, UnsupportedError
from hounsfield.language import say

MAX_FRAME_BYTES = 2**31
"""Largest decoded frame accepted, in bytes; a larger one is refused before it is allocated."""

MAX_EXPANSION = 20_000
"""Largest plausible ratio of decoded to encoded bytes, for frames over `EXPANSION_FREE_BYTES`."""

EXPANSION_FREE_BYTES = 2**26
"""Decoded frames up to this size may be any ratio: a blank image compresses without bound."""

Pixels = NDArray[Any]
"""Stored values: (rows, columns) or (rows, columns, samples), integers in native byte order."""


@dataclass(frozen=True, slots=True)
class FrameFormat:
    """The Image Pixel Module (PS3.3 C.7.6.3) of one frame; field names are the DICOM keywords'."""

    rows: int
    columns: int
    samples_per_pixel: int = 1
    bits_allocated: int = 16
    bits_stored: int = 16
    high_bit: int = 15
    pixel_representation: int = 0
    photometric_interpretation: str = "MONOCHROME2"
    planar_configuration: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns), or (rows, columns, samples) of colour."""
        plane = (self.rows, self.columns)
        return plane if self.samples_per_pixel == 1 else (*plane, self.samples_per_pixel)

    @property
    def signed(self) -> bool:
        return self.pixel_representation == 1

    @property
    def cell_bytes(self) -> int:
        """Bytes of one decoded sample; 1 for single-bit pixels."""
        return max(1, self.bits_allocated // 8)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of decoded samples: 8, 16 or 32 bits by Bits Allocated, signed by Pixel Representation."""
        return np.dtype(f"{'i' if self.signed else 'u'}{self.cell_bytes}")

    @property
    def decoded_bytes(self) -> int:
        """Bytes of the decoded array."""
        return self.rows * self.columns * self.samples_per_pixel * self.cell_bytes

    @property
    def subsampled(self) -> bool:
        """Native YBR_FULL_422: two pixels share their chrominance (PS3.3 C.7.6.3.1.2)."""
        return self.photometric_interpretation == "YBR_FULL_422" and self.samples_per_pixel == 3

    @property
    def native_bytes(self) -> int:
        """Bytes of the frame in native form, without padding to even length."""
        if self.bits_allocated == 1:
            return (self.rows * self.columns * self.samples_per_pixel + 7) // 8
        if self.subsampled:
            return self.rows * ((self.columns + 1) // 2) * 4 * self.cell_bytes
        return self.decoded_bytes

    def check(self, encoded_bytes: int | None = None) -> None:
        """Refuse a header that makes no frame, and one whose frame is too large for what encodes it."""
        if self.rows < 1 or self.columns < 1 or self.samples_per_pixel < 1:
            raise MalformedError(
                say(
                    "a frame of {rows} rows, {columns} columns, {samples_per_pixel} samples",
                    rows=self.rows,
                    columns=self.columns,
                    samples_per_pixel=self.samples_per_pixel,
                ),
                expected="at least one of each",
            )
        if self.bits_allocated not in (1, 8, 16, 32):
            raise UnsupportedError(
                say("Bits Allocated is {bits_allocated}", bits_allocated=self.bits_allocated),
                expected="1, 8, 16 or 32",
                bits=self.bits_allocated,
            )
        size = self.decoded_bytes
        if size > MAX_FRAME_BYTES:
            raise UnsupportedError(
                say("a frame of {size} bytes", size=size),
                expected=say("at most {max_frame_bytes}", max_frame_bytes=MAX_FRAME_BYTES),
                decoded_bytes=size,
            )
        if encoded_bytes is not None and size > max(EXPANSION_FREE_BYTES, MAX_EXPANSION * encoded_bytes):
            raise MalformedError(
                say(
                    "{encoded_bytes} bytes that claim to be a frame of {size} bytes",
                    encoded_bytes=encoded_bytes,
                    size=size,
                ),
                expected=say("an expansion of at most {max_expansion} times", max_expansion=MAX_EXPANSION),
                decoded_bytes=size,
            )


@dataclass(frozen=True, slots=True)
class CodestreamHeader:
    """The header of a codestream; `signed` is `None` where the coding has no notion of sign."""

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool | None = None

    def check(self, frame_format: FrameFormat, name: str) -> None:
        """Raise `MalformedError` where codestream and DICOM header disagree; the precision may be smaller."""
        found = (self.rows, self.columns, self.components)
        expected = (frame_format.rows, frame_format.columns, frame_format.samples_per_pixel)
        if found != expected:
            raise MalformedError(
                say(
                    "{name} codestream of {found} × {found2} × {found3}",
                    name=name,
                    found=found[0],
                    found2=found[1],
                    found3=found[2],
                ),
                expected="{} rows × {} columns × {} samples of the header".format(*expected),
                found_shape=found,
                expected_shape=expected,
            )
        if not 1 <= self.precision <= max(8, frame_format.bits_allocated):
            raise MalformedError(
                say("{name} codestream of {precision} bits", name=name, precision=self.precision),
                expected=say(
                    "at most the {bits_allocated} bits allocated", bits_allocated=frame_format.bits_allocated
                ),
                precision=self.precision,
            )


def is_holding(out: Pixels | None, frame_format: FrameFormat) -> TypeGuard[Pixels]:
    """Return whether `out` is memory for the cells of such a frame in their order, signed or not."""
    return (
        out is not None
        and out.shape == frame_format.shape
        and out.dtype.kind in "iu"
        and out.dtype.itemsize == frame_format.cell_bytes
        and out.flags.c_contiguous
    )


def decoding_target(out: Pixels | None, header: CodestreamHeader, frame_format: FrameFormat) -> Pixels | None:
    """`out` as the samples that a decoder of such a codestream writes; None where it does not hold them."""
    cell = 1 if header.precision <= 8 else 2 if header.precision <= 16 else 4
    if not is_holding(out, frame_format) or frame_format.cell_bytes != cell:
        return None
    # By way of one row, since numpy leaves the stride of a single row or column open, and decoders do not.
    return out.reshape(-1).view(f"{'i' if header.signed else 'u'}{cell}").reshape(out.shape)


def to_stored(samples: Pixels, header: CodestreamHeader, frame_format: FrameFormat) -> Pixels:
    """Decoded samples as stored values of the header's type.

    A coding without sign, or of the other sign, is reinterpreted at the codestream's own precision: the bits
    are right, only the reading of the highest one differs. Done in place: `samples` are the caller's to give.
    """
    if samples.shape != frame_format.shape:
        raise MalformedError(
            say("decoded to shape {shape}", shape=samples.shape),
            expected=f"{frame_format.shape}",
            found_shape=samples.shape,
        )
    target = frame_format.dtype
    if bool(header.signed) == frame_format.signed:
        return samples.astype(target, copy=False)
    unsigned = samples.astype(f"u{target.itemsize}", copy=False)
    if header.precision >= target.itemsize * 8:
        return unsigned.view(target)
    if frame_format.signed:
        sign = target.type(1 << (header.precision - 1))
        stored: Pixels = unsigned.view(target)
        stored ^= sign
        stored -= sign
        return stored
    unsigned &= unsigned.dtype.type((1 << header.precision) - 1)
    return unsigned
