"""The rate of an encoder, how much it may lose: one set of options for all of them, and the scale of its quality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hounsfield.codecs.frame_format import FrameFormat, Pixels

FINEST_STEP = 0.25
"""Quantiser step, in stored values, at quality 100."""

POINTS_PER_DOUBLING = 10.0
"""Points of quality by which the quantiser step doubles."""


@dataclass(frozen=True, slots=True)
class Rate:
    """The goal of a lossy encoder; the default is as near to lossless as the syntax goes.

    `near` is the largest error in stored values and is for JPEG-LS alone (ISO/IEC 14495-1 NEAR). `quality` is
    for the transform coders: JPEG's own 1 to 100; for JPEG 2000, HTJ2K and JPEG XL a scale where 100 is a step of
    a quarter of a stored value and 10 points less double it. `effort` is JPEG XL's 1 (quickest) to 9.
    """

    near: int = 0
    quality: float = 90.0
    effort: int = 1

    @property
    def step(self) -> float:
        """The quantiser step in stored values."""
        return float(FINEST_STEP * 2 ** ((100.0 - self.quality) / POINTS_PER_DOUBLING))


def used_bits(array: Pixels, frame_format: FrameFormat) -> int:
    """The precision that holds every cell: Bits Stored, or Bits Allocated where bits above it are in use."""
    stored, allocated = frame_format.bits_stored, frame_format.bits_allocated
    if not 0 < stored < allocated or array.size == 0:
        return allocated
    low, high = int(array.min()), int(array.max())
    lowest = -(1 << (stored - 1)) if frame_format.signed else 0
    return stored if lowest <= low and high < lowest + (1 << stored) else allocated


def as_unsigned(array: Pixels, bits: int) -> Pixels:
    """Cells without sign for codings that have none, two's complement in the low `bits`."""
    unsigned = np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")
    if array.dtype.kind == "u" or bits == array.dtype.itemsize * 8:
        return unsigned
    masked: Pixels = unsigned & unsigned.dtype.type((1 << bits) - 1)
    return masked


def narrowed(array: Pixels, bits: int) -> Pixels:
    """Cells no wider than `bits` need: encoders take no other precision than one of the cell's upper half."""
    width = 1 if bits <= 8 else 2 if bits <= 16 else 4
    return array.astype(f"{array.dtype.kind}{width}", order="C", copy=False)
