"""The format of stored pixels, by the header alone (PS3.3 C.7.6.3): read once for all slices that say the same."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from hounsfield.ct.hu import StoredFormat
from hounsfield.ct.instance.header import ATTRIBUTES, Header
from hounsfield.errors import MalformedError, UnsupportedError
from hounsfield.language import say

if TYPE_CHECKING:
    from hounsfield.codecs import FrameFormat

BITS_ALLOCATED = (8, 16, 32)
REAL_BITS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
"""Bits of real-valued pixels, which need not say more of themselves (PS3.3 C.7.6.24, C.7.6.25)."""

_DECIDING = tuple(
    ATTRIBUTES[keyword][0]
    for keyword in (
        *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"),
        *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    )
)


def declared_formats(header: Header) -> tuple[StoredFormat, FrameFormat]:
    """Bits and sign, lenient about High Bit, and what a decoder must know of a frame.

    Raises `MalformedError`, `UnsupportedError`.
    """
    pixels = header.pixels
    real = 0 if pixels is None else REAL_BITS.get(pixels.keyword, 0)
    return _formats(tuple(map(header.values.get, _DECIDING)), real)


@lru_cache(maxsize=512)
def _formats(values: tuple[bytes | None, ...], real: int) -> tuple[StoredFormat, FrameFormat]:
    from hounsfield.codecs import FrameFormat

    present = {tag: value for tag, value in zip(_DECIDING, values, strict=True) if value is not None}
    header = Header(present, "", None)
    stored = StoredFormat(real, real, real - 1, signed=True) if real else _stored_format(header)
    return stored, FrameFormat(
        rows=required(header, "Rows"),
        columns=required(header, "Columns"),
        samples_per_pixel=header.integer("SamplesPerPixel", 1) or 1,
        bits_allocated=stored.bits_allocated,
        bits_stored=stored.bits_stored,
        high_bit=stored.high_bit,
        pixel_representation=int(stored.signed),
        photometric_interpretation=header.text("PhotometricInterpretation") or "MONOCHROME2",
        planar_configuration=header.integer("PlanarConfiguration", 0) or 0,
    )


def _stored_format(header: Header) -> StoredFormat:
    allocated = required(header, "BitsAllocated")
    stored = header.integer("BitsStored", allocated) or allocated
    high = header.integer("HighBit")
    if allocated not in BITS_ALLOCATED:
        raise UnsupportedError(
            say("Bits Allocated is {allocated}", allocated=allocated), expected="8, 16 or 32"
        )
    if stored > allocated:
        raise MalformedError(
            say(
                "Bits Stored {stored} is above Bits Allocated {allocated}", stored=stored, allocated=allocated
            )
        )
    if high is None or not stored - 1 <= high < allocated:
        high = stored - 1
    return StoredFormat(allocated, stored, high, header.integer("PixelRepresentation", 0) == 1)


def required(header: Header, keyword: str) -> int:
    """A number without which there are no pixels. Raises `MalformedError`."""
    value = header.integer(keyword)
    if value is None or value < 1:
        raise MalformedError(
            say("{keyword} is missing or zero", keyword=keyword), expected="a positive whole number"
        )
    return value


def format_notes(header: Header, stored: StoredFormat) -> Iterator[str]:
    """Yield a note for each of (0028,0101–0102) that had to be taken otherwise than it is written."""
    written = header.integer("HighBit")
    if not stored.is_plain:
        yield f"High Bit {stored.high_bit} with Bits Stored {stored.bits_stored}: shifted"
    elif written is not None and written != stored.high_bit:
        yield f"High Bit {written} cannot be, with Bits Stored {stored.bits_stored}: taken as {stored.high_bit}"
    if "BitsStored" not in header:
        yield f"Bits Stored (0028,0101) is missing: taken as {stored.bits_stored}"
