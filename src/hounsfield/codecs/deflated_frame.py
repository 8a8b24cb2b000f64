"""Deflated Image Frame Compression (PS3.5 A.4.15): each frame's native bytes as one raw deflate stream."""

from __future__ import annotations

import zlib

from hounsfield.codecs.frame_format import FrameFormat, Pixels
from hounsfield.codecs.native import decode_native, encode_native
from hounsfield.errors import MalformedError, TruncatedError
from hounsfield.language import say

_RAW = -15


def decode_deflated_frame(data: bytes, frame_format: FrameFormat, out: Pixels | None = None) -> Pixels:
    """Inflates at most as many bytes as the frame has, into memory of its own (`out` is not used)."""
    expected = frame_format.native_bytes
    inflater = zlib.decompressobj(_RAW)
    try:
        native = inflater.decompress(data, expected + 2)
    except zlib.error as error:
        raise MalformedError(
            say("deflated frame does not inflate: {error}", error=error), expected="raw deflate"
        ) from error
    if len(native) < expected:
        raise TruncatedError(
            say("deflated frame gives {count} bytes", count=len(native)),
            expected=f"{expected}",
            found_bytes=len(native),
            expected_bytes=expected,
        )
    if len(native) > expected + 1 or not inflater.eof:  # one byte may pad the frame to even length
        raise MalformedError(
            say("deflated frame that does not end after {expected} bytes", expected=expected),
            expected="one whole deflate stream of the frame's size",
            remedy="the frame is damaged; get it again from where it came",
        )
    return decode_native(native, frame_format)


def encode_deflated_frame(array: Pixels, frame_format: FrameFormat) -> bytes:
    """The frame's native bytes, deflated at zlib's usual level."""
    deflater = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, _RAW)
    return deflater.compress(encode_native(array, frame_format)) + deflater.flush()
