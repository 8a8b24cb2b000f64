"""Encoding of one frame by the row of its transfer syntax (`codecs.table`), and the colour space it ends in."""

from __future__ import annotations

from hounsfield.codecs.frame_format import FrameFormat, Pixels
from hounsfield.codecs.native import encode_native
from hounsfield.codecs.pixel_kinds import refuse_unheld
from hounsfield.codecs.rate import Rate
from hounsfield.codecs.rows import PixelKind
from hounsfield.codecs.table import coding_of
from hounsfield.dicom.extensions import named
from hounsfield.dicom.syntaxes import TransferSyntax
from hounsfield.errors import MalformedError, UnsupportedError
from hounsfield.language import say


def encode_frame(
    array: Pixels, syntax: TransferSyntax, frame_format: FrameFormat, *, rate: Rate | None = None
) -> bytes:
    """One frame's codestream, without padding to even length.

    `array` is (rows, columns) or (rows, columns, samples) of `frame_format.dtype`, in the colour space of
    `frame_format`; `encoded_photometric` says in which it ends. `rate` is for lossy syntaxes. Lossless ones hold
    every bit of the cells, those above Bits Stored too.

    Raises `UnsupportedError` where the syntax does not hold such pixels (`hounsfield.codecs.pixel_kinds`).
    """
    frame_format.check()
    if array.shape != frame_format.shape or array.dtype != frame_format.dtype:
        raise MalformedError(
            say("pixels of shape {shape} and type {dtype}", shape=array.shape, dtype=array.dtype),
            expected=say("{shape} and {dtype}", shape=frame_format.shape, dtype=frame_format.dtype),
        )
    if not syntax.encapsulated:
        return encode_native(array, frame_format, little_endian=syntax.little_endian)
    coding = coding_of(syntax.keyword) if syntax.writable else None
    if coding is None or not coding.encode:
        why = "it only holds JPEGs recompressed" if syntax.keyword == "jpeg-xl-jpeg" else syntax.note
        raise UnsupportedError(
            say(
                "{name} ({uid}) cannot be encoded: {why}",
                name=syntax.name,
                uid=syntax.uid,
                why=why or "no encoder",
            ),
            syntax=syntax.uid,
        )
    refuse_unheld(syntax, PixelKind.of(frame_format))
    codestream: bytes = named(coding.encode)(array, frame_format, rate or Rate())
    return codestream


def decoded_photometric(photometric_interpretation: str) -> str:
    """The colour space of what `decode_frame` gives for a header that says `photometric_interpretation`.

    Decoders undo YBR_RCT, YBR_ICT and XYB, and give every pixel its own chrominance.
    """
    if photometric_interpretation in ("YBR_RCT", "YBR_ICT", "XYB"):
        return "RGB"
    return "YBR_FULL" if photometric_interpretation == "YBR_FULL_422" else photometric_interpretation


def encoded_photometric(syntax: TransferSyntax, photometric_interpretation: str) -> str:
    """The Photometric Interpretation of what `encode_frame` makes of such pixels (PS3.5 8.2)."""
    coding = coding_of(syntax.keyword)
    changed = {} if coding is None else coding.photometrics
    return changed.get(photometric_interpretation, photometric_interpretation)
