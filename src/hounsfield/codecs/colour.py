"""YBR and palette colour to RGB (PS3.3 C.7.6.3.1.2, C.7.6.3.1.5). Not colour management: no ICC profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hounsfield.codecs.frame_format import Pixels
from hounsfield.errors import MalformedError, UnsupportedError
from hounsfield.language import say

_DECODED_TO_RGB = ("RGB", "YBR_RCT", "YBR_ICT", "XYB")
"""YBR_RCT, YBR_ICT and XYB are undone by their decoders (PS3.5 8.2.4): the samples are RGB already."""

_FULL = np.array(
    [[1.0, 0.0, 1.402], [1.0, -0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587], [1.0, 1.772, 0.0]]
)


@dataclass(frozen=True, slots=True)
class PaletteChannel:
    """One lookup table: its descriptor (entries, first mapped, bits; PS3.3 C.7.6.3.1.5) and its entries."""

    first: int
    bits: int
    entries: Sequence[int] | Pixels


def to_rgb(array: Pixels, photometric_interpretation: str) -> Pixels:
    """(rows, columns, 3), or frames of such, in the given colour space → RGB of the same unsigned type and depth.

    RGB, YBR_RCT, YBR_ICT and XYB come back as they are.
    """
    if photometric_interpretation in _DECODED_TO_RGB:
        return array
    if photometric_interpretation not in ("YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420"):
        raise UnsupportedError(
            say(
                "{photometric_interpretation} to RGB",
                photometric_interpretation=repr(photometric_interpretation[:32]),
            ),
            expected="RGB or YBR_…",
        )
    if array.ndim < 3 or array.shape[-1] != 3 or array.dtype.kind != "u":
        raise MalformedError(
            say(
                "{photometric_interpretation} of shape {shape} and type {dtype}",
                photometric_interpretation=photometric_interpretation,
                shape=array.shape,
                dtype=array.dtype,
            ),
            expected="three unsigned samples a pixel",
        )
    peak = float(np.iinfo(array.dtype).max)
    centre = (peak + 1) / 2
    values = array.astype(np.float64) - (0.0, centre, centre)
    if photometric_interpretation.startswith("YBR_PARTIAL"):
        scale = (peak + 1) / 256
        values -= (16 * scale, 0.0, 0.0)
        values *= (255 / 219, 255 / 224, 255 / 224)
    rgb: Pixels = np.clip(np.rint(values @ _FULL.T), 0, peak).astype(array.dtype)
    return rgb


def palette_to_rgb(array: Pixels, channels: Sequence[PaletteChannel]) -> Pixels:
    """Indices (rows, columns) → (rows, columns, 3), uint8 for 8-bit tables and uint16 for deeper ones.

    Indices outside a table take its first or last entry.
    """
    if len(channels) != 3 or any(len(channel.entries) == 0 for channel in channels):
        raise MalformedError(
            "palette without red, green and blue tables", expected="three tables with entries"
        )
    cell = np.uint8 if all(channel.bits <= 8 for channel in channels) else np.uint16
    planes = []
    for channel in channels:
        table = np.asarray(channel.entries).astype(cell)
        index = np.clip(array.astype(np.int64) - channel.first, 0, len(table) - 1)
        planes.append(table[index])
    return np.stack(planes, axis=-1)
