"""The encoders as a table by transfer syntax, and the one function that uses it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from hounsfield.codecs.deflated_frame import encode_deflated_frame
from hounsfield.codecs.frame_format import FrameFormat, Pixels
from hounsfield.codecs.jpeg import encode_jpeg, encode_jpeg_lossless, encode_jpeg_ls
from hounsfield.codecs.jpeg2000 import encode_htj2k, encode_jpeg2000
from hounsfield.codecs.jpeg_xl import encode_jpeg_xl
from hounsfield.codecs.native import encode_native
from hounsfield.codecs.pixel_kinds import PixelKind, refuse_unheld
from hounsfield.codecs.rate import Rate
from hounsfield.codecs.rle import encode_rle
from hounsfield.dicom.syntaxes import TransferSyntax
from hounsfield.errors import MalformedError, UnsupportedError

_Encoder = Callable[[Pixels, FrameFormat, Rate], bytes]

_BEST_PREDICTOR = 4  # of the seven, the smallest on CT; readers of .57 have them all
_JPEG_BASELINE = partial(encode_jpeg, most_bits=8)  # PS3.5 8.2.1: process 1 and no other
_JPEG_LOSSLESS = partial(encode_jpeg_lossless, predictor=1)
_JPEG_LOSSLESS_ANY = partial(encode_jpeg_lossless, predictor=_BEST_PREDICTOR)
_HTJ2K_RPCL = partial(encode_htj2k, by_resolution=True)

_ENCODERS: MappingProxyType[str, _Encoder] = MappingProxyType(
    {
        "encapsulated": lambda array, form, rate: encode_native(array, form),
        "deflated-frame": lambda array, form, rate: encode_deflated_frame(array, form),
        "rle": lambda array, form, rate: encode_rle(array, form),
        "jpeg": _JPEG_BASELINE,
        "jpeg-extended": encode_jpeg,
        "jpeg-lossless-14": lambda array, form, rate: _JPEG_LOSSLESS_ANY(array, form),
        "jpeg-lossless": lambda array, form, rate: _JPEG_LOSSLESS(array, form),
        "jpeg-ls": lambda array, form, rate: encode_jpeg_ls(array, form, replace(rate, near=0)),
        "jpeg-ls-near": encode_jpeg_ls,
        "jpeg2000": lambda array, form, rate: encode_jpeg2000(array, form, None),
        "jpeg2000-lossy": encode_jpeg2000,
        "htj2k": lambda array, form, rate: encode_htj2k(array, form, None),
        "htj2k-rpcl": lambda array, form, rate: _HTJ2K_RPCL(array, form, None),
        "htj2k-lossy": encode_htj2k,
        "jpeg-xl": partial(encode_jpeg_xl, lossless=True),
        "jpeg-xl-lossy": partial(encode_jpeg_xl, lossless=False),
    }
)


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
            f"pixels of shape {array.shape} and type {array.dtype}",
            expected=f"{frame_format.shape} and {frame_format.dtype}",
        )
    if not syntax.encapsulated:
        return encode_native(array, frame_format, little_endian=syntax.little_endian)
    encoder = _ENCODERS.get(syntax.keyword) if syntax.writable else None
    if encoder is None:
        why = "it only holds JPEGs recompressed" if syntax.keyword == "jpeg-xl-jpeg" else syntax.note
        raise UnsupportedError(
            f"{syntax.name} ({syntax.uid}) cannot be encoded: {why or 'no encoder'}", syntax=syntax.uid
        )
    refuse_unheld(syntax, PixelKind.of(frame_format))
    return encoder(array, frame_format, rate or Rate())


def decoded_photometric(photometric_interpretation: str) -> str:
    """The colour space of what `decode_frame` gives for a header that says `photometric_interpretation`.

    Decoders undo YBR_RCT, YBR_ICT and XYB, and give every pixel its own chrominance.
    """
    if photometric_interpretation in ("YBR_RCT", "YBR_ICT", "XYB"):
        return "RGB"
    return "YBR_FULL" if photometric_interpretation == "YBR_FULL_422" else photometric_interpretation


def encoded_photometric(syntax: TransferSyntax, photometric_interpretation: str) -> str:
    """The Photometric Interpretation of what `encode_frame` makes of such pixels (PS3.5 8.2)."""
    if photometric_interpretation == "YBR_FULL" and syntax.keyword in ("jpeg", "jpeg-extended"):
        return "YBR_FULL_422"
    if photometric_interpretation != "RGB":
        return photometric_interpretation
    if syntax.keyword in ("jpeg", "jpeg-extended"):
        return "YBR_FULL_422"
    if syntax.family in ("jpeg2000", "htj2k"):
        return "YBR_RCT" if syntax.lossless else "YBR_ICT"
    return "XYB" if syntax.keyword == "jpeg-xl-lossy" else "RGB"
