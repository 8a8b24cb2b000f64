"""JPEG 2000 (ISO/IEC 15444-1) and High-Throughput JPEG 2000 (15444-15): PS3.5 A.4.4, A.4.11, 8.2.4, 8.2.14.

A JP2 container is opened and its codestream taken: DICOM says what the components mean.
"""

from __future__ import annotations

import functools
import math
import struct
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hounsfield.codecs.foreign import call_decoder, call_encoder, raising_swallowed, refuse_unproven
from hounsfield.codecs.frame_format import CodestreamHeader, FrameFormat, Pixels, decoding_target, to_stored
from hounsfield.codecs.isolation.choice import imagecodecs_version
from hounsfield.codecs.jpeg2000_segments import MOST_BITPLANES, Coding, check_segments
from hounsfield.codecs.rate import Rate, narrowed, used_bits
from hounsfield.errors import MalformedError, TruncatedError, UnsupportedError
from hounsfield.language import say

_SOC_SIZ = b"\xff\x4f\xff\x51"
_SIZ = struct.Struct(">HH8IH").unpack_from
_SOUND_OPENJPH = (2026, 10)  # of imagecodecs
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_MAX_TILES = 65_535
_LONGEST_OF_BOTH = 16  # bits
_OPENJPEG_BITS = 24  # imagecodecs writes deeper ones, but wrongly
_HTJ2K_LEVELS = 5
_LOWEST_RESOLUTION = 64
_TRANSFORMED = ("RGB", "YBR_RCT", "YBR_ICT")

_preparing, _prepared = threading.Lock(), threading.Event()


def prepare_openjph() -> None:
    """One small image by one thread: OpenJPH fills the tables of its encoder at its first use, without a lock, and
    threads that come to it at the same time would write codestreams by half a table.
    """
    import imagecodecs

    if _prepared.is_set():
        return
    with _preparing:
        if not _prepared.is_set():
            imagecodecs.htj2k_encode(np.zeros((4, 4), np.uint8), reversible=True)
            _prepared.set()


def bare_codestream(data: bytes) -> bytes:
    """The codestream of a JP2 or JPH file, or `data` itself when it is one."""
    if not data.startswith(_JP2_SIGNATURE):
        return data
    position = 0
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        begin = position + 8
        if length == 1:
            length = int.from_bytes(data[begin : begin + 8], "big")
            begin += 8
        if kind == b"jp2c":
            return data[begin : position + length] if length else data[begin:]
        if length < 8:
            break
        position += length
    raise MalformedError("JP2 file without a codestream box", expected="a jp2c box")


def read_jpeg2000_header(data: bytes) -> CodestreamHeader:
    """The SIZ segment (15444-1 A.5.1) of a bare codestream, its geometry checked."""
    return _read_siz(data)[0]


class _Siz(NamedTuple):
    """The image as the SIZ segment gives it; `subsampled`: two colour components have fewer samples across."""

    header: CodestreamHeader
    tiles: int
    subsampled: bool


def _read_siz(data: bytes) -> _Siz:
    if data[:4] != _SOC_SIZ:
        raise MalformedError(
            say("starts with {data}", data=data[:4].hex() or "nothing"),
            expected="JPEG 2000 start of codestream FF4FFF51",
        )
    if len(data) < 42:
        raise TruncatedError("JPEG 2000 codestream ends within its SIZ segment", found_bytes=len(data))
    length, _, width, height, left, top, *tile, count = _SIZ(data, 4)
    components = data[42 : 42 + 3 * count]
    if count < 1 or len(components) < 3 * count:
        raise TruncatedError("JPEG 2000 codestream ends within its SIZ segment", found_bytes=len(data))
    if length != 38 + 3 * count:
        raise MalformedError(
            say("JPEG 2000 SIZ segment of {length} bytes", length=length), expected=f"{38 + 3 * count}"
        )
    tiles = _count_tiles(width, height, left, top, tile)
    depths = set(components[0::3])
    subsampled = is_subsampled(data)
    if len(depths) > 1 or not (subsampled or set(components[1::3]) | set(components[2::3]) == {1}):
        raise UnsupportedError("JPEG 2000 components of different depth, or subsampled in an unusual way")
    depth = depths.pop()
    header = CodestreamHeader(height - top, width - left, count, (depth & 0x7F) + 1, bool(depth & 0x80))
    return _Siz(header, tiles, subsampled)


def is_subsampled(data: bytes) -> bool:
    """Three components, of which the last two have half of the samples across, and perhaps down (4:2:2, 4:2:0).

    OpenJPEG takes such for YCbCr, and gives RGB.
    """
    steps = [data[43 + 3 * index : 45 + 3 * index] for index in range(3)]
    return data[40:42] == b"\0\3" and steps[0] == b"\1\1" and steps[1] == steps[2] in (b"\2\1", b"\2\2")


def _count_tiles(width: int, height: int, left: int, top: int, tile: Sequence[int]) -> int:
    """Count the tiles; the first must hold a part of the image (A.5.1, B-1 to B-5)."""
    tile_width, tile_height, tile_left, tile_top = tile
    if left >= width or top >= height or not tile_width or not tile_height:
        raise MalformedError("JPEG 2000 SIZ segment of an empty image or tile")
    if not (tile_left <= left < tile_left + tile_width and tile_top <= top < tile_top + tile_height):
        raise MalformedError(
            say(
                "JPEG 2000 SIZ segment: tiles of {tile_width} × {tile_height} from {tile_left}, {tile_top}",
                tile_width=tile_width,
                tile_height=tile_height,
                tile_left=tile_left,
                tile_top=tile_top,
            ),
            expected=say(
                "the first to hold a part of the image, which begins at {left}, {top}", left=left, top=top
            ),
        )
    tiles = -(-(width - tile_left) // tile_width) * -(-(height - tile_top) // tile_height)
    if tiles > _MAX_TILES:
        raise MalformedError(
            say("JPEG 2000 codestream of {tiles} tiles", tiles=tiles),
            expected=say("at most {max_tiles}", max_tiles=_MAX_TILES),
        )
    return tiles


def decode_jpeg2000(data: bytes, frame_format: FrameFormat, out: Pixels | None = None) -> Pixels:
    """Either kind of block coder, distinguished by the codestream and not by the transfer syntax."""
    import imagecodecs

    data = bare_codestream(data)
    header, tiles, subsampled = _read_siz(data)
    header.check(frame_format, "JPEG 2000")
    target = decoding_target(out, header, frame_format)
    coding = check_segments(data, components=header.components, tiles=tiles)
    if coding.unproven:
        refuse_unproven(coding.unproven)
    if subsampled:
        refuse_unproven("subsampled components")
        return to_stored(_decode_by_openjpeg(data, target), header, frame_format)
    if coding.is_deep and not _decodes_deep():
        return to_stored(_decode_deep(data, coding, target), header, frame_format)
    if coding.high_throughput:
        prepare_openjph()
        decoder = raising_swallowed(imagecodecs.htj2k_decode)
        samples = call_decoder("HTJ2K", decoder, data, planar=False, out=target)
    if not coding.high_throughput or (
        coding.irreversible and _may_have_wrapped(samples, header, frame_format)
    ):
        samples = _decode_by_openjpeg(data, target)
    elif coding.irreversible:
        top = (1 << header.precision - bool(header.signed)) - 1
        np.minimum(samples, top, out=samples)
    return to_stored(samples, header, frame_format)


def _decode_by_openjpeg(data: bytes, target: Pixels | None) -> Pixels:
    import imagecodecs

    samples: Pixels = call_decoder(
        "JPEG 2000", imagecodecs.jpeg2k_decode, data, planar=False, numthreads=1, out=target
    )
    return samples


@functools.cache
def _decodes_deep() -> bool:
    """Return whether OpenJPH is one that decodes, or refuses, more magnitude bits than it has a decoder for."""
    numbers = imagecodecs_version().split(".")[:2]
    return all(number.isdigit() for number in numbers) and tuple(map(int, numbers)) >= _SOUND_OPENJPH


def _decode_deep(data: bytes, coding: Coding, target: Pixels | None) -> Pixels:
    """OpenJPEG, slower, tries what OpenJPH would die of."""
    try:
        return _decode_by_openjpeg(data, target)
    except MalformedError as error:
        raise UnsupportedError(
            say("HTJ2K codestream of {bitplanes} magnitude bits does not decode", bitplanes=coding.bitplanes),
            expected=say("at most {most_bitplanes}", most_bitplanes=MOST_BITPLANES),
            remedy="if it is not damaged, imagecodecs 2026.10.10 may decode it (Python 3.12 or later)",
        ) from error


def _may_have_wrapped(samples: Pixels, header: CodestreamHeader, frame_format: FrameFormat) -> bool:
    """OpenJPH rounds what overshoots to one above the highest value, which in a full cell is the lowest.

    Only where the cell is full, by the header too, and the lowest value occurs, can that have been; OpenJPEG,
    slower, then decodes it.
    """
    is_full = header.precision == samples.dtype.itemsize * 8 <= frame_format.bits_stored <= _LONGEST_OF_BOTH
    return is_full and bool((samples == np.iinfo(samples.dtype).min).any())


def encode_jpeg2000(array: Pixels, frame_format: FrameFormat, rate: Rate | None) -> bytes:
    """JPEG 2000 Part 1, one tile and layer; reversible 5/3 without `rate`, irreversible 9/7 with it."""
    import imagecodecs

    bits = used_bits(array, frame_format)
    if bits > _OPENJPEG_BITS:
        raise UnsupportedError(
            say("JPEG 2000 of cells that use {bits} bits", bits=bits),
            expected=say("at most {openjpeg_bits}, as Bits Stored says", openjpeg_bits=_OPENJPEG_BITS),
        )
    level = 0 if rate is None else _signal_to_noise(rate, bits)
    return call_encoder(
        "JPEG 2000",
        imagecodecs.jpeg2k_encode,
        narrowed(array, bits),
        level=level,
        codecformat="j2k",
        reversible=rate is None,
        mct=frame_format.photometric_interpretation in _TRANSFORMED,
        bitspersample=bits,
        numthreads=1,
    )


def encode_htj2k(
    array: Pixels, frame_format: FrameFormat, rate: Rate | None, *, by_resolution: bool = False
) -> bytes:
    """High-Throughput JPEG 2000, RPCL order; `by_resolution` adds what .202 demands (PS3.5 A.4.11).

    That is a tile-part for each resolution, TLM segments, and levels enough for a lowest of at most 64 × 64.
    """
    import imagecodecs

    options: dict[str, Any] = {}
    if rate is not None:
        options["level"] = min(0.5, rate.step / 2.0 ** (array.dtype.itemsize * 8))
    if by_resolution:
        levels = max(1, math.ceil(math.log2(max(array.shape[:2]) / _LOWEST_RESOLUTION)))
        options |= {"tlm": True, "tilepart": imagecodecs.HTJ2K.TILEPART.RESOLUTIONS}
        options["resolutions"] = max(_HTJ2K_LEVELS, levels)
    prepare_openjph()
    return call_encoder(
        "HTJ2K",
        imagecodecs.htj2k_encode,
        np.ascontiguousarray(array),
        reversible=rate is None,
        rgb=frame_format.photometric_interpretation in _TRANSFORMED,
        planar=False,
        **options,
    )


def _signal_to_noise(rate: Rate, bits: int) -> float:
    """OpenJPEG takes a PSNR in dB: that of a uniform quantiser of the wanted step."""
    return max(1.0, 20.0 * math.log10(((1 << bits) - 1) * math.sqrt(12.0) / rate.step))


def read_codestream_header(data: bytes) -> CodestreamHeader:
    """Return what a codestream, in a JP2 file or bare, says of itself; `MalformedError` for none."""
    return read_jpeg2000_header(bare_codestream(data))
