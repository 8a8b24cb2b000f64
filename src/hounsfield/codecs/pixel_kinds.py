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

The rows are in the table of codecs (`codecs.table`). Nothing here looks at a pixel.
"""

from __future__ import annotations

from dataclasses import replace

from hounsfield.codecs.frame_format import FrameFormat
from hounsfield.codecs.rows import PixelKind, Row
from hounsfield.codecs.table import coding_of
from hounsfield.dicom.syntaxes import SYNTAXES, TransferSyntax
from hounsfield.errors import UnsupportedError
from hounsfield.language import say

_LOSSLESS_CHOICE = ("jpeg-ls", "rle")
"""Codings that take the place of a syntax that does not hold an image, best first: small, and read by everybody."""


def held_rows(keyword: str) -> tuple[Row, ...] | None:
    """The kinds that the syntax of this keyword holds; None for one that holds whatever there is: native frames, and
    those that are encapsulated uncompressed or deflated one by one (PS3.5 8.1, 8.2.16).
    """
    coding = coding_of(keyword)
    return None if coding is None else coding.holds


def holds(syntax: TransferSyntax, kind: PixelKind) -> bool:
    """Return whether `kind` may be written in `syntax`, and is here."""
    if not syntax.writable:
        return False
    rows = held_rows(syntax.keyword)
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
    row = next((row for row in held_rows(syntax.keyword) or () if row.holds(kind)), None)
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
        say("{keyword} does not hold {kind} pixels", keyword=syntax.keyword, kind=kind),
        expected="; ".join(map(str, held_rows(syntax.keyword) or ())),
        remedy=_others(syntax, kind),
        syntax=syntax.uid,
    )


def _others(syntax: TransferSyntax, kind: PixelKind) -> str:
    """Name what to use in its place: of the same kind of loss where there is any, and compressed."""
    same = holders(kind, lossless=syntax.lossless) or holders(kind)
    named = [other.keyword for other in same if held_rows(other.keyword) is not None]
    return f"use {', '.join(named or [other.keyword for other in same if other.encapsulated])}"
