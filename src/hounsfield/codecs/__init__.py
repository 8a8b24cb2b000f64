"""Frames to stored values and back: one table of codecs, chosen by the family of a transfer syntax.

What goes in and comes out is one frame. Where its bytes lie is the business of `hounsfield.dicom.encapsulation`,
what its values mean that of `hounsfield.ct.hu`. imagecodecs does the work; it releases the GIL and is held to one
thread a call, so that callers decode frames in parallel.
"""

from __future__ import annotations

from hounsfield.codecs.decoding import codestream_header, decode_frame, is_native_disguised
from hounsfield.codecs.encoding import decoded_photometric, encode_frame, encoded_photometric
from hounsfield.codecs.frame_format import MAX_FRAME_BYTES, CodestreamHeader, FrameFormat, Pixels
from hounsfield.codecs.pixel_kinds import (
    best_lossless,
    bits_after,
    holders,
    holds,
    refuse_unheld,
    written_format,
)
from hounsfield.codecs.rate import Rate
from hounsfield.codecs.rows import Codec, Coding, PixelKind, Row, Trial
from hounsfield.codecs.table import CODECS

__all__ = [
    "CODECS",
    "MAX_FRAME_BYTES",
    "Codec",
    "CodestreamHeader",
    "Coding",
    "FrameFormat",
    "PixelKind",
    "Pixels",
    "Rate",
    "Row",
    "Trial",
    "best_lossless",
    "bits_after",
    "codestream_header",
    "decode_frame",
    "decoded_photometric",
    "encode_frame",
    "encoded_photometric",
    "holders",
    "holds",
    "is_native_disguised",
    "refuse_unheld",
    "written_format",
]
