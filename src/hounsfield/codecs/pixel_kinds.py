"""The table of pixels that each transfer syntax may hold and can be written with here (PS3.5 8.2), and questions to it.

A *kind* of pixels is what the Image Pixel Module says of them apart from their number: Bits Allocated, Bits Stored,
sign, Photometric Interpretation, Samples per Pixel. Everybody asks this table, so that the choice of a target, an
estimate, an encoder and an error message never disagree::

    kind = PixelKind.of(frame_format)            # of decoded pixels: see `decoded_photometric`
    holds(transfer_syntax("jpeg"), kind)         # may it be written so?
    refuse_unheld(transfer_syntax("jpeg"), kind) # raises UnsupportedError, which names the syntaxes that hold it
    holders(kind, lossless=True)                 # every syntax that does, in the order of the table of syntaxes
    best_lossless(kind)                          # the one to take where another cannot; None where none is better
    bits_after(transfer_syntax("jpeg"), kind)    # Bits Stored of the result; `written_format` for a whole format

The rows are PS3.5's tables 8.2.1-1 to 8.2.15-1, narrowed to what the libraries here write and others read, and wider
in two places only: RLE of 32 bits, which every reader opens (table 8.2.2-1 ends at 16), and native or uncompressed
frames, which hold whatever there is. Nothing here looks at a pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from hounsfield.codecs.frame_format import FrameFormat
from hounsfield.dicom.syntaxes import SYNTAXES, TransferSyntax
from hounsfield.errors import UnsupportedError

GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = ("PALETTE COLOR",)


@dataclass(frozen=True, slots=True)
class PixelKind:
    """The traits of an image that decide whether a syntax holds it; the colour space is that of the decoded samples."""

    bits_allocated: int
    bits_stored: int
    signed: bool = False
    photometric_interpretation: str = "MONOCHROME2"
    samples_per_pixel: int = 1

    @classmethod
    def of(cls, frame_format: FrameFormat) -> PixelKind:
        """The kind of pixels of this format."""
        stored = frame_format.bits_stored
        return cls(
            frame_format.bits_allocated,
            stored if 0 < stored <= frame_format.bits_allocated else frame_format.bits_allocated,
            frame_format.signed,
            frame_format.photometric_interpretation,
            frame_format.samples_per_pixel,
        )

    def __str__(self) -> str:
        cell = "" if self.bits_allocated in (1, _cell_of(self.bits_stored)) else f" in {self.bits_allocated}"
        sign = "signed" if self.signed else "unsigned"
        return f"{sign} {self.bits_stored}-bit{cell} {self.photometric_interpretation}"


def _cell_of(bits: int) -> int:
    return next(cell for cell in (8, 16, 32, bits) if bits <= cell)


@dataclass(frozen=True, slots=True)
class Row:
    """Kinds that a syntax holds: any of `photometrics` with any of `allocated` and of `stored` bits.

    `bits_after` is Bits Stored of what is written: as it was where it is None, else this; 0 for the whole cell,
    where the coding may return a value a little above the highest.
    """

    photometrics: tuple[str, ...]
    allocated: tuple[int, ...]
    stored: range
    signed: bool = False
    bits_after: int | None = None

    def holds(self, kind: PixelKind) -> bool:
        return (
            kind.photometric_interpretation in self.photometrics
            and kind.bits_allocated in self.allocated
            and kind.bits_stored in self.stored
            and (self.signed or not kind.signed)
            and kind.samples_per_pixel == (1 if kind.photometric_interpretation in GREY + PALETTE else 3)
        )

    def __str__(self) -> str:
        bits = (
            f"{self.stored.start} to {self.stored.stop - 1}"
            if len(self.stored) > 1
            else f"{self.stored.start}"
        )
        sign = "" if self.signed else "unsigned "
        return (
            f"{sign}{'/'.join(self.photometrics)} of {bits} bits in {' or '.join(map(str, self.allocated))}"
        )


def _upto(most: int, least: int = 1) -> range:
    return range(least, most + 1)


_JPEG_8 = Row((*GREY, "RGB", "YBR_FULL"), (8,), _upto(8), bits_after=8)
_JPEG_LOSSLESS = (
    Row(GREY, (8, 16), _upto(16), signed=True),
    Row((*PALETTE, "RGB", "YBR_FULL"), (8, 16), _upto(16)),
)
_WAVELET_COLOUR = ("RGB", "YBR_FULL")
_JPEG_2000 = (
    Row(GREY, (8, 16, 32), _upto(24), signed=True),  # 38 by PS3.5; OpenJPEG writes 24
    Row(_WAVELET_COLOUR, (8, 16), _upto(16)),
)
_HTJ2K_GREY = Row(GREY, (8, 16), _upto(16), signed=True)  # deeper by PS3.5, but OpenJPEG opens no more
_HTJ2K = (_HTJ2K_GREY, Row((*PALETTE, *_WAVELET_COLOUR), (8, 16), _upto(16)))

HELD: Mapping[str, tuple[Row, ...]] = MappingProxyType(
    {
        "rle": (
            Row(GREY, (8, 16, 32), _upto(32), signed=True),
            Row((*PALETTE, "RGB"), (8, 16), _upto(16)),
            Row(("YBR_FULL",), (8,), _upto(8)),
        ),
        "jpeg": (_JPEG_8,),
        "jpeg-extended": (
            Row(GREY, (8,), _upto(8), bits_after=8),
            Row(GREY, (16,), _upto(12), bits_after=12),
        ),
        "jpeg-lossless-14": _JPEG_LOSSLESS,
        "jpeg-lossless": _JPEG_LOSSLESS,
        "jpeg-ls": (
            Row(GREY, (8, 16), _upto(16, 2), signed=True),
            Row((*PALETTE, "RGB"), (8, 16), _upto(16, 2)),
            Row(("YBR_FULL",), (8,), _upto(8, 2)),
        ),
        "jpeg-ls-near": (
            Row(GREY, (8, 16), _upto(16, 2), signed=True, bits_after=0),
            Row(("RGB",), (8, 16), _upto(16, 2), bits_after=0),
            Row(("YBR_FULL",), (8,), _upto(8, 2), bits_after=0),
        ),
        "jpeg2000": (*_JPEG_2000, Row(PALETTE, (8, 16), _upto(16))),
        "jpeg2000-lossy": _JPEG_2000,
        "htj2k": _HTJ2K,
        "htj2k-rpcl": _HTJ2K,
        "htj2k-lossy": (
            Row(GREY, (8, 16), _upto(16), signed=True, bits_after=0),
            Row(_WAVELET_COLOUR, (8, 16), _upto(16), bits_after=0),
        ),
        "jpeg-xl": (Row(GREY, (8, 16), _upto(16), signed=True), Row(("RGB",), (8, 16), _upto(16))),
        "jpeg-xl-jpeg": (
            Row(("MONOCHROME2", "RGB", "YBR_FULL"), (8,), _upto(8, 8)),
        ),  # of a baseline JPEG only
        "jpeg-xl-lossy": (Row((*GREY, "RGB"), (8, 16), _upto(16)),),
    }
)
"""Keyword of a syntax → what it holds. A writable syntax that is not here holds everything: native frames, and those
that are encapsulated uncompressed or deflated one by one (PS3.5 8.1, 8.2.16)."""

_LOSSLESS_CHOICE = ("jpeg-ls", "rle")
"""What takes the place of a syntax that does not hold an image, best first: small, and read by everybody."""


def holds(syntax: TransferSyntax, kind: PixelKind) -> bool:
    """Return whether `kind` may be written in `syntax`, and is here."""
    if not syntax.writable:
        return False
    rows = HELD.get(syntax.keyword)
    return rows is None or any(row.holds(kind) for row in rows)


def holders(kind: PixelKind, *, lossless: bool | None = None) -> tuple[TransferSyntax, ...]:
    """The syntaxes that hold `kind`; `lossless` true or false restricts to those that lose nothing, or something."""
    return tuple(
        syntax
        for syntax in SYNTAXES.values()
        if holds(syntax, kind) and lossless in (None, syntax.lossless) and syntax.keyword != "jpeg-xl-jpeg"
    )


def best_lossless(kind: PixelKind) -> TransferSyntax | None:
    """The compressed syntax to take for `kind` where another does not hold it; None where no common one does."""
    keywords = {syntax.keyword: syntax for syntax in holders(kind, lossless=True)}
    return next((keywords[keyword] for keyword in _LOSSLESS_CHOICE if keyword in keywords), None)


def bits_after(syntax: TransferSyntax, kind: PixelKind) -> int:
    """Bits Stored of `kind` once it is written in `syntax`, which holds it."""
    row = next((row for row in HELD.get(syntax.keyword, ()) if row.holds(kind)), None)
    if row is None or row.bits_after is None:
        return kind.bits_stored
    return row.bits_after or kind.bits_allocated


def written_format(syntax: TransferSyntax, frame_format: FrameFormat) -> FrameFormat:
    """The format of such frames once they are written in `syntax`, which holds them: Bits Stored as `bits_after`."""
    bits = bits_after(syntax, PixelKind.of(frame_format))
    if bits == frame_format.bits_stored:
        return frame_format
    return replace(frame_format, bits_stored=bits, high_bit=bits - 1)


def refuse_unheld(syntax: TransferSyntax, kind: PixelKind) -> None:
    """Raise `UnsupportedError` unless `syntax` holds `kind`; it says what the syntax holds, and what holds the kind."""
    if not syntax.writable or holds(syntax, kind):
        return
    raise UnsupportedError(
        f"{syntax.keyword} does not hold {kind} pixels",
        expected="; ".join(map(str, HELD[syntax.keyword])),
        remedy=_others(syntax, kind),
        syntax=syntax.uid,
    )


def _others(syntax: TransferSyntax, kind: PixelKind) -> str:
    """Name what to use in its place: of the same kind of loss where there is any, and compressed."""
    same = holders(kind, lossless=syntax.lossless) or holders(kind)
    named = [other.keyword for other in same if other.keyword in HELD]
    return f"use {', '.join(named or [other.keyword for other in same if other.encapsulated])}"
