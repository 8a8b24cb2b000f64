"""JPEG XL (ISO/IEC 18181-1): PS3.5 A.4.12–A.4.14, 8.2.15. A bare codestream or one in a container."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

from hounsfield.codecs.foreign import call_decoder, call_encoder
from hounsfield.codecs.frame_format import CodestreamHeader, FrameFormat, Pixels, decoding_target, to_stored
from hounsfield.codecs.isolation import is_isolated, run_in_child
from hounsfield.codecs.jpeg import decode_jpeg
from hounsfield.codecs.rate import Rate, as_unsigned, narrowed, used_bits
from hounsfield.errors import MalformedError, TruncatedError, UnsupportedError
from hounsfield.language import say

_SIGNATURE = b"\xff\x0a"
_CONTAINER = b"\x00\x00\x00\x0cJXL \r\n\x87\n"
_HEADER_BYTES = 256  # the size and image metadata headers fit well within these
_LOSSY_EFFORT = 3
_ONE_GROUP = 256  # rows and columns
_DISTANCE_OF_STEP = 400.0  # Butteraugli distance of a step as large as the range, by measurement on CT
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class _Bits:
    """Bits of a codestream header, least significant first (18181-1 B.2)."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        if count > self._left:
            raise TruncatedError("JPEG XL codestream ends within its header")
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return value

    def choose(self, *ways: tuple[int, int]) -> int:
        """U32 of four (constant, bits) distributions."""
        constant, count = ways[self.take(2)]
        return constant + self.take(count)


def _boxes(data: bytes) -> tuple[bytes, bool]:
    """The start of the codestream in a container, and whether the container can rebuild a JPEG."""
    position, found, rebuilds = 0, b"", False
    while position + 8 <= len(data) and len(found) < _HEADER_BYTES:
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        begin = position + 8
        if length == 1:
            length = int.from_bytes(data[begin : begin + 8], "big")
            begin += 8
        end = position + length if length else len(data)
        if end <= position:
            break
        rebuilds |= kind == b"jbrd"
        if kind == b"jxlc":
            found = data[begin : min(end, begin + _HEADER_BYTES)]
        elif kind == b"jxlp":
            found += data[begin + 4 : min(end, begin + 4 + _HEADER_BYTES)]
        position = end
    return found, rebuilds


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)

    def side() -> int:
        return (bits.take(5) + 1) * 8 if small else bits.choose((1, 9), (1, 13), (1, 18), (1, 30))

    height = side()
    ratio = bits.take(3)
    if ratio == 0:
        return height, side()
    numerator, denominator = _RATIOS[ratio - 1]
    return height, height * numerator // denominator


class JpegXlHeader(NamedTuple):
    """Size and image metadata (18181-1 D.2, D.3); `rebuilds`: a JPEG can be made again of the container.

    `xyb`: colours, or grey, in the space of the eye, which is never exact.
    """

    codestream: CodestreamHeader
    rebuilds: bool
    xyb: bool


def read_jpeg_xl_header(data: bytes) -> JpegXlHeader:
    """The header of a codestream or of one in a container. Raises `MalformedError`, `UnsupportedError`."""
    rebuilds = False
    if data.startswith(_CONTAINER):
        data, rebuilds = _boxes(data)
    if data[:2] != _SIGNATURE:
        raise MalformedError(
            say("starts with {data}", data=data[:4].hex() or "nothing"), expected="JPEG XL signature FF0A"
        )
    bits = _Bits(data[2:_HEADER_BYTES])
    rows, columns = _size(bits)
    if bits.take(1):  # all default: 8-bit RGB
        return JpegXlHeader(CodestreamHeader(rows, columns, 3, 8), rebuilds, xyb=True)
    if bits.take(1):  # orientation, intrinsic size, preview, animation
        bits.take(3)
        if bits.take(1):
            _size(bits)
        if bits.take(1) or bits.take(1):
            raise UnsupportedError("JPEG XL codestream with a preview or an animation")
    if bits.take(1):
        raise UnsupportedError("JPEG XL codestream of floating point samples")
    precision = bits.choose((8, 0), (10, 0), (12, 0), (1, 6))
    bits.take(1)
    if bits.choose((0, 0), (1, 0), (2, 4), (1, 12)):
        raise UnsupportedError("JPEG XL codestream with extra channels")
    xyb = bool(bits.take(1))
    components = 3
    if not bits.take(1):  # colour encoding is not the default, sRGB
        bits.take(1)
        components = 1 if bits.choose((0, 0), (1, 0), (2, 4), (18, 6)) == 1 else 3
    return JpegXlHeader(CodestreamHeader(rows, columns, components, precision), rebuilds, xyb)


def decode_jpeg_xl(data: bytes, frame_format: FrameFormat, out: Pixels | None = None) -> Pixels:
    """Modular or VarDCT pixels; a recompressed JPEG is rebuilt first, so its samples are those it had."""
    import imagecodecs

    header, rebuilds, _ = read_jpeg_xl_header(data)
    header.check(frame_format, "JPEG XL")
    if rebuilds:
        return decode_jpeg(rebuild_jpeg_here(data), frame_format, out)
    samples = call_decoder(
        "JPEG XL",
        imagecodecs.jpegxl_decode,
        data,
        keeporientation=True,
        numthreads=1,
        out=decoding_target(out, header, frame_format),
    )
    return to_stored(samples, header, frame_format)


def encode_jpeg_xl(array: Pixels, frame_format: FrameFormat, rate: Rate, *, lossless: bool) -> bytes:
    """A bare codestream: modular of the whole cell if lossless, VarDCT for unsigned pixels if not."""
    import imagecodecs

    if lossless:
        cells = as_unsigned(array, array.dtype.itemsize * 8)
        return call_encoder(
            "JPEG XL",
            imagecodecs.jpegxl_encode,
            cells,
            lossless=True,
            effort=max(rate.effort, _least_effort(cells)),
            numthreads=1,
        )
    bits = used_bits(array, frame_format)
    return call_encoder(
        "JPEG XL",
        imagecodecs.jpegxl_encode,
        narrowed(array, bits),
        distance=min(25.0, max(0.01, _DISTANCE_OF_STEP * rate.step / 2.0**bits)),
        effort=max(rate.effort, _LOSSY_EFFORT),
        bitspersample=bits,
        numthreads=1,
    )


def _least_effort(cells: Pixels) -> int:
    """1, and 2 where libjxl 0.11 at effort 1 writes beyond its memory, or other pixels.

    It sets 16 bits a pixel aside for an image of one group, but codes deep noise with up to 25; of noise in three
    colours it loses a pixel now and then.
    """
    is_hard = cells.dtype.itemsize == 2 or cells.ndim == 3
    return 2 if is_hard and max(cells.shape[:2]) <= _ONE_GROUP else 1


def recompress_jpeg(data: bytes) -> bytes:
    """A baseline JPEG as JPEG XL from which it can be rebuilt byte for byte (PS3.5 A.4.13)."""
    return run_in_child("recompress_jpeg", data) if is_isolated("jpeg-xl") else recompress_jpeg_here(data)


def recompress_jpeg_here(data: bytes) -> bytes:
    """`recompress_jpeg` in this process."""
    import imagecodecs

    return call_encoder("JPEG XL", imagecodecs.jpegxl_encode_jpeg, data.rstrip(b"\0"), numthreads=1)


def rebuild_jpeg(data: bytes) -> bytes:
    """The JPEG that `recompress_jpeg` was given."""
    return run_in_child("rebuild_jpeg", data) if is_isolated("jpeg-xl") else rebuild_jpeg_here(data)


def rebuild_jpeg_here(data: bytes) -> bytes:
    """`rebuild_jpeg` in this process."""
    import imagecodecs

    # Its stub asks for `numthreads`, which the function itself does not take.
    rebuild = cast("Callable[[bytes], Any]", imagecodecs.jpegxl_decode_jpeg)
    return bytes(call_decoder("JPEG XL", lambda stream: bytearray(rebuild(stream)), data))
