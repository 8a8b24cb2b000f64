"""The decoders as a table by family, and the one function that uses it."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np

from hounsfield.codecs.codestreams import traits_of
from hounsfield.codecs.deflated_frame import decode_deflated_frame
from hounsfield.codecs.foreign import Unproven
from hounsfield.codecs.frame_format import CodestreamHeader, FrameFormat, Pixels
from hounsfield.codecs.isolation import decode_in_child, is_isolated
from hounsfield.codecs.jpeg import decode_jpeg, decode_jpeg_ls, read_jpeg_header
from hounsfield.codecs.jpeg2000 import bare_codestream, decode_jpeg2000, read_jpeg2000_header
from hounsfield.codecs.jpeg_xl import decode_jpeg_xl
from hounsfield.codecs.native import decode_native
from hounsfield.codecs.rle import decode_rle
from hounsfield.dicom.syntaxes import TransferSyntax
from hounsfield.errors import HounsfieldError, UnsupportedError

_DECODERS: MappingProxyType[str, Callable[[bytes, FrameFormat, Pixels | None], Pixels]] = MappingProxyType(
    {
        "uncompressed": lambda data, frame_format, out: decode_native(data, frame_format),
        "deflated-frame": decode_deflated_frame,
        "rle": decode_rle,
        "jpeg": decode_jpeg,
        "jpeg-lossless": decode_jpeg,
        "jpeg-ls": decode_jpeg_ls,
        "jpeg2000": decode_jpeg2000,
        "htj2k": decode_jpeg2000,
        "jpeg-xl": decode_jpeg_xl,
    }
)

_SIGNATURES = {
    "rle": (b"",),
    "jpeg": (b"\xff\xd8",),
    "jpeg-lossless": (b"\xff\xd8",),
    "jpeg-ls": (b"\xff\xd8",),
    "jpeg2000": (b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP"),
    "htj2k": (b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP"),
    "jpeg-xl": (b"\xff\x0a", b"\x00\x00\x00\x0cJXL"),
}


def is_native_disguised(data: bytes, syntax: TransferSyntax, frame_format: FrameFormat) -> bool:
    """True for native pixels in a file that declares a compressed syntax: right length, no codestream's start."""
    native = frame_format.native_bytes
    signatures = _SIGNATURES.get(syntax.family)
    if signatures is None or len(data) not in (native, native + native % 2):
        return False
    if syntax.family == "rle":
        segments = frame_format.samples_per_pixel * frame_format.cell_bytes
        return data[:8] != segments.to_bytes(4, "little") + (64).to_bytes(4, "little")
    return not data.startswith(signatures)


def codestream_header(data: bytes, syntax: TransferSyntax) -> CodestreamHeader | None:
    """Return the header of a frame's codestream; None for codings without one of their own, and for damage."""
    reader = _HEADERS.get(syntax.family)
    try:
        return None if reader is None else reader(data)
    except HounsfieldError:
        return None


_HEADERS: MappingProxyType[str, Callable[[bytes], CodestreamHeader]] = MappingProxyType(
    {
        **dict.fromkeys(("jpeg", "jpeg-lossless", "jpeg-ls"), lambda data: read_jpeg_header(data).codestream),
        **dict.fromkeys(("jpeg2000", "htj2k"), lambda data: read_jpeg2000_header(bare_codestream(data))),
    }
)


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
    if syntax.family not in _DECODERS or not syntax.readable:
        raise UnsupportedError(
            f"{syntax.name} ({syntax.uid}) cannot be decoded: {syntax.note}", syntax=syntax.uid
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
    return _DECODERS[syntax.family](data, frame_format, out)
