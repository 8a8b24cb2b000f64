"""Decoding of one frame by the row of its family (`codecs.table`), and what its codestream says of itself."""

from __future__ import annotations

import numpy as np

from hounsfield.codecs.codestreams import traits_of
from hounsfield.codecs.foreign import Unproven
from hounsfield.codecs.frame_format import CodestreamHeader, FrameFormat, Pixels
from hounsfield.codecs.isolation import decode_in_child, is_isolated
from hounsfield.codecs.native import decode_native
from hounsfield.codecs.table import codec_of, decoder_of
from hounsfield.dicom.extensions import named
from hounsfield.dicom.syntaxes import TransferSyntax
from hounsfield.errors import HounsfieldError, UnsupportedError
from hounsfield.language import say


def is_native_disguised(data: bytes, syntax: TransferSyntax, frame_format: FrameFormat) -> bool:
    """True for native pixels in a file that declares a compressed syntax: right length, no codestream's start."""
    native, codec = frame_format.native_bytes, codec_of(syntax.family)
    if codec is None or len(data) not in (native, native + native % 2):
        return False
    if codec.begins:
        return not named(codec.begins)(data, frame_format)
    return bool(codec.signatures) and not data.startswith(codec.signatures)


def codestream_header(data: bytes, syntax: TransferSyntax) -> CodestreamHeader | None:
    """Return what a frame's codestream says of itself; None for codings without a header of their own,
    and for damage.
    """
    codec = codec_of(syntax.family)
    if codec is None or not codec.header:
        return None
    try:
        header: CodestreamHeader = named(codec.header)(data)
    except HounsfieldError:
        return None
    return header


def decode_frame(
    data: bytes,
    syntax: TransferSyntax,
    frame_format: FrameFormat,
    *,
    out: Pixels | None = None,
    swap_words: bool = False,
    bit_offset: int = 0,
) -> Pixels:
    """Stored values of one frame: (rows, columns) or (rows, columns, samples), native byte order.

    The type is 8, 16 or 32 bits by Bits Allocated and signed by Pixel Representation. Encapsulated frames are
    sign-extended at the codestream's precision; native cells are only reinterpreted (masking above Bits Stored
    is left to `hounsfield.ct.hu`). Colour stays in the codestream's space; `hounsfield.codecs.colour` converts.
    Native bytes under a compressed syntax are read as native (`is_native_disguised` tells).

    The codestream's own header is held against `frame_format` before anything is allocated: disagreement is a
    `MalformedError`, missing bytes a `TruncatedError`, a coding without decoder an `UnsupportedError`.
    `out`: memory to decode into where that saves a copy, C-contiguous and with cells of the right width; what is
    returned may be a view of it or not, and whatever `out` held is lost even where decoding fails.
    `swap_words` and `bit_offset` are those of `hounsfield.codecs.native.decode_native`.
    """
    if not syntax.encapsulated:
        frame_format.check()
        return decode_native(
            data,
            frame_format,
            little_endian=syntax.little_endian_pixels,
            swap_words=swap_words,
            bit_offset=bit_offset,
        )
    if not syntax.readable or codec_of(syntax.family) is None:
        raise UnsupportedError(
            say(
                "{name} ({uid}) cannot be decoded: {note}", name=syntax.name, uid=syntax.uid, note=syntax.note
            ),
            syntax=syntax.uid,
        )
    frame_format.check(len(data))
    if is_native_disguised(data, syntax, frame_format):
        return decode_native(data, frame_format)
    if is_isolated(syntax.family, frame_format.decoded_bytes):
        cells = decode_in_child(data, syntax, frame_format, out)
    else:
        try:
            cells = decode_here(data, syntax, frame_format, out)
        except Unproven:
            cells = decode_in_child(data, syntax, frame_format, out)
    return cells if syntax.lossless else _bounded(cells, data, syntax, frame_format)


def _bounded(cells: Pixels, data: bytes, syntax: TransferSyntax, frame_format: FrameFormat) -> Pixels:
    """Bound values that a lossy coding of wider cells took past the highest that Bits Stored holds, or the lowest.

    Whoever masks it to Bits Stored would take it for one of the other end.
    """
    bits = frame_format.bits_stored
    if not 0 < bits < frame_format.bits_allocated or frame_format.high_bit != bits - 1 or not cells.size:
        return cells
    low = -(1 << bits - 1) if frame_format.signed else 0
    high = low + (1 << bits) - 1
    if (cells.min() < low or cells.max() > high) and traits_of(data, syntax).method:
        np.clip(cells, low, high, out=cells)
    return cells


def decode_here(
    data: bytes, syntax: TransferSyntax, frame_format: FrameFormat, out: Pixels | None = None
) -> Pixels:
    """`decode_frame` of an encapsulated frame in this process, whatever the codestream may do to it.

    Raises `Unproven` where only a child may try.
    """
    decoder = decoder_of(syntax.family)
    assert decoder is not None, "decode_frame looks before it leaps"
    return decoder(data, frame_format, out)
