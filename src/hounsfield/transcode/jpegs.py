"""Baseline JPEGs packed as JPEG XL and unpacked again: no coefficient is touched, so that nothing is decoded."""

from __future__ import annotations

from hounsfield.codecs.jpeg_xl import rebuild_jpeg, recompress_jpeg
from hounsfield.dicom.syntaxes import TransferSyntax
from hounsfield.errors import HounsfieldError, UnsupportedError
from hounsfield.language import say
from hounsfield.transcode.pixels import PixelSource


def whole_jpegs(pixels: PixelSource, syntax: TransferSyntax) -> list[bytes] | None:
    """The frames as codestreams of `syntax`; None where the way is not from JPEG to recompressed JPEG or back.

    Raises `UnsupportedError` for a JPEG that does not come back byte for byte.
    """
    if pixels.native:
        return None
    way = (pixels.syntax.keyword, syntax.keyword)
    if way == ("jpeg", "jpeg-xl-jpeg"):
        return [_recompressed(pixels, index) for index in range(pixels.count)]
    if way == ("jpeg-xl-jpeg", "jpeg"):
        return [rebuild_jpeg(pixels.encoded(index)) for index in range(pixels.count)]
    return None


def photometric_of_jpeg(pixels: PixelSource) -> str:
    """Photometric Interpretation of JPEGs that stay as they are: the header's, unless their markers say otherwise."""
    if not pixels.is_mislabelled:
        return pixels.frame_format.photometric_interpretation
    return "RGB" if pixels.colour == "RGB" else "YBR_FULL_422"


def _recompressed(pixels: PixelSource, index: int) -> bytes:
    original = pixels.encoded(index).rstrip(b"\0")
    try:
        packed = recompress_jpeg(original)
        if rebuild_jpeg(packed) == original:
            return packed
        reason = "is not rebuilt byte for byte from it"
    except HounsfieldError as error:
        reason = error.found
    raise UnsupportedError(
        say("frame {number}: JPEG XL does not take this JPEG: {reason}", number=index + 1, reason=reason),
        frame=index,
    )
