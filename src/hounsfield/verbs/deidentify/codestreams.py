"""Codestreams without what no decoder needs: comments, application data, boxes of metadata, bytes behind the image.

Segments are taken out whole; a byte of coded samples is never touched, so every decoder gives the same samples as
before. Nothing here decodes. What cannot be walked is refused, since what is in it is not known.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate, pairwise
from types import MappingProxyType

from hounsfield.codecs.jpeg2000 import bare_codestream
from hounsfield.codecs.jpeg_xl import rebuild_jpeg, recompress_jpeg
from hounsfield.errors import MalformedError, TruncatedError, UnsupportedError
from hounsfield.language import say

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_SOS, _COM, _JPEG_LS = 0xDA, 0xFE, 0xF7
_APPLICATION = range(0xE0, 0xF0)
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a segment
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_NEXT_MARKER_LS = re.compile(
    rb"\xff[\x80-\xcf\xd8-\xfe]"
)  # after FF a coded bit of 0 is stuffed (14495-1 A.1)

_SOC_SIZ, _SOT, _SOD, _EOC, _J2K_COM, _TLM = b"\xff\x4f\xff\x51", 0x90, 0x93, b"\xff\xd9", 0x64, 0x55
_JXL_SIGNATURE = b"\x00\x00\x00\x0cJXL "
_JXL_BOXES = (b"JXL ", b"ftyp", b"jxll", b"jxli", b"jxlc", b"jxlp", b"jbrd")
_RLE_HEADER = 64


def bare_jpeg(data: bytes) -> bytes:
    """A JPEG or JPEG-LS image from SOI to EOI, of its application segments those that decide on colour alone."""
    if data[:2] != _SOI:
        raise MalformedError(
            say("starts with {data}", data=data[:4].hex() or "nothing"), expected="JPEG start of image FFD8"
        )
    parts, position, is_ls = [_SOI], 2, False
    while True:
        at = data.find(b"\xff", position)
        if at < 0 or at + 2 > len(data):
            raise _cut(data)
        position, marker = at + 1, data[at + 1]
        if marker in (0x00, 0xFF):
            continue  # fill bytes
        if marker == _EOI[1]:
            return b"".join((*parts, _EOI))
        if marker in _ALONE:
            position = at + 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end < at + 4 or end > len(data):
            raise _cut(data)
        parts.append(_jpeg_segment(marker, data[at:end]))
        is_ls = is_ls or marker == _JPEG_LS
        position = end
        if marker == _SOS:
            found = (_NEXT_MARKER_LS if is_ls else _NEXT_MARKER).search(data, end)
            if found is None:
                raise _cut(data)
            position = found.start()
            parts.append(data[end:position])


def _cut(data: bytes) -> TruncatedError:
    return TruncatedError(
        say("JPEG codestream of {count} bytes ends without its end-of-image marker", count=len(data)),
        expected="FFD9 at its end",
    )


def _jpeg_segment(marker: int, segment: bytes) -> bytes:
    """The segment, or what of it a decoder needs: JFIF without its thumbnail, Adobe's and HP's colour transforms."""
    if marker == _COM:
        return b""
    if marker not in _APPLICATION:
        return segment
    payload = segment[4:]
    if marker == 0xE0 and payload[:5] == b"JFIF\0" and len(payload) >= 14:
        return b"\xff\xe0\x00\x10" + payload[:12] + b"\0\0"
    if marker == 0xEE and payload[:5] == b"Adobe" and len(payload) >= 12:
        return b"\xff\xee\x00\x0e" + payload[:12]
    if marker == 0xE8 and payload[:4] == b"mrfx" and len(payload) >= 5:
        return b"\xff\xe8\x00\x07" + payload[:5]
    return b""


def bare_jpeg2000(data: bytes) -> bytes:
    """A JPEG 2000 or HTJ2K codestream to its end, without the boxes of a JP2 file and without comments.

    Comments of the main header are taken out; in a tile-part, whose length stands in several places, they are
    overwritten with zeros.
    """
    stream = bare_codestream(data)
    if stream[:4] != _SOC_SIZ:
        raise MalformedError(
            say("starts with {stream}", stream=stream[:4].hex() or "nothing"),
            expected="JPEG 2000 start of codestream FF4FFF51",
        )
    parts = [stream[:2]]
    position = 2
    while stream[position + 1 : position + 2] != bytes([_SOT]):
        end = _segment_end(stream, position)
        if stream[position + 1] != _J2K_COM:
            parts.append(stream[position:end])
        position = end
    while stream[position : position + 2] == bytes([0xFF, _SOT]):
        end = _tile_part_end(stream, position)
        parts.append(_without_comments(stream, position, end))
        position = end
    if stream[position : position + 2] != _EOC:
        raise TruncatedError(
            say(
                "JPEG 2000 codestream without its end at byte {position} of {count}",
                position=position,
                count=len(stream),
            ),
            expected="FFD9",
        )
    return b"".join((*parts, _EOC))


def _segment_end(stream: bytes, position: int) -> int:
    length = int.from_bytes(stream[position + 2 : position + 4], "big")
    end = position + 2 + length
    if stream[position : position + 1] != b"\xff" or length < 2 or end > len(stream):
        raise MalformedError(
            say("no marker segment at byte {position} of {count}", position=position, count=len(stream)),
            expected="FF and a length",
        )
    return end


def _tile_part_end(stream: bytes, position: int) -> int:
    """By Psot (15444-1 A.4.2); 0 is up to the end of the codestream."""
    length = int.from_bytes(stream[position + 6 : position + 10], "big")
    end = position + length if length else stream.rfind(_EOC)
    if not position + 12 < end <= len(stream):
        raise TruncatedError(
            say(
                "a tile-part at byte {position} ends at {end} of {count}",
                position=position,
                end=end,
                count=len(stream),
            )
        )
    return end


def _without_comments(stream: bytes, begin: int, end: int) -> bytes:
    position, content = _segment_end(stream, begin), bytearray(stream[begin:end])
    while stream[position : position + 2] != bytes([0xFF, _SOD]):
        stop = _segment_end(stream, position)
        if stop > end:
            raise MalformedError(
                say("a header of a tile-part that is longer than it, at byte {position}", position=position)
            )
        if stream[position + 1] == _J2K_COM:
            content[position + 4 - begin : stop - begin] = bytes(stop - position - 4)
        position = stop
    return bytes(content)


def bare_jpeg_xl(data: bytes) -> bytes:
    """JPEG XL without boxes of metadata, and a recompressed JPEG without the segments that `bare_jpeg` takes out.

    A codestream without boxes (FF0A) has no end that can be found without decoding it: it stays as it is.
    """
    if not data.startswith(_JXL_SIGNATURE):
        return data
    boxes = list(_boxes(data))
    if any(kind == b"jbrd" for kind, _ in boxes):
        jpeg = rebuild_jpeg(data)
        bare = bare_jpeg(jpeg)
        if bare != jpeg:
            return bare_jpeg_xl(recompress_jpeg(bare))
    return b"".join(box for kind, box in boxes if kind in _JXL_BOXES)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and all bytes of each box (18181-2 9.1), up to what is none behind the codestream."""
    position, has_codestream = 0, False
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        if length == 1:
            length = int.from_bytes(data[position + 8 : position + 16], "big")
        end = position + length if length else len(data)
        if end < position + 8 or end > len(data) or not kind.strip(b"\0"):
            break
        has_codestream = has_codestream or kind in (b"jxlc", b"jxlp")
        yield kind, data[position:end]
        position = end
    if not has_codestream:
        raise MalformedError(
            say("no codestream in {count} bytes", count=len(data)), expected="a jxlc or jxlp box of JPEG XL"
        )


def bare_rle(data: bytes, native_bytes: int) -> bytes:
    """An RLE frame whose segments end where they have unpacked to all their bytes (PS3.5 G.3, G.5)."""
    if len(data) < _RLE_HEADER:
        raise TruncatedError(
            say("RLE frame of {count} bytes", count=len(data)), expected="a header of 64 bytes at least"
        )
    count, *offsets = struct.unpack("<16I", data[:_RLE_HEADER])
    starts = offsets[:count]
    if not 0 < count <= 15 or starts[0] != _RLE_HEADER or sorted(starts) != starts or starts[-1] >= len(data):
        raise MalformedError(
            say("RLE segment offsets {starts} in {count} bytes", starts=starts, count=len(data)),
            expected="increasing from 64",
        )
    bounds = pairwise((*starts, len(data)))
    segments = [_packed(data[begin:end], native_bytes // count) for begin, end in bounds]
    starts = [*accumulate(map(len, segments), initial=_RLE_HEADER)][:count]
    header = struct.pack("<16I", count, *starts, *[0] * (15 - count))
    return b"".join((header, *segments))


def _packed(segment: bytes, size: int) -> bytes:
    """The bytes that unpack to `size`, and one of padding where that makes them even."""
    from imagecodecs import PackbitsError, packbits_decode

    try:
        if len(packbits_decode(segment)) == size:
            return segment
    except PackbitsError:
        pass  # what follows the last run is no run
    position = made = 0
    while made < size and position < len(segment):
        code = segment[position]
        made += code + 1 if code < 128 else 257 - code if code > 128 else 0
        position += code + 2 if code < 128 else 2 if code > 128 else 1
    if made < size or position > len(segment):
        raise TruncatedError(say("RLE segment unpacks to {made} bytes", made=made), expected=str(size))
    return segment[:position] + b"\0" * (position % 2)


def bare_deflated(data: bytes, native_bytes: int) -> bytes:
    """A deflated frame (PS3.5 A.4.15) without what follows its last block."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflater.decompress(data, native_bytes + 2)
    except zlib.error as error:
        raise MalformedError(
            say("a deflated frame that cannot be inflated ({error})", error=error)
        ) from error
    if not inflater.eof:
        raise MalformedError(
            "a deflated frame that does not end with its pixels",
            expected=say("{native_bytes} bytes", native_bytes=native_bytes),
        )
    return data[: len(data) - len(inflater.unused_data)]


def bare(data: bytes, family: str, native_bytes: int) -> bytes:
    """One frame of a transfer syntax of `family` (`dicom.syntaxes`); `native_bytes` is its size when decoded.

    Raises `MalformedError` or `TruncatedError` where it cannot be taken apart, `UnsupportedError` for a family that
    is not known here.
    """
    if family in _BARE:
        return _BARE[family](data)
    if family == "rle":
        return bare_rle(data, native_bytes)
    if family == "deflated-frame":
        return bare_deflated(data, native_bytes)
    if family == "uncompressed":
        return data[:native_bytes]
    raise UnsupportedError(
        say("frames of {family}", family=family), expected="a codestream that can be taken apart"
    )


_BARE: Mapping[str, Callable[[bytes], bytes]] = MappingProxyType(
    {
        "jpeg": bare_jpeg,
        "jpeg-lossless": bare_jpeg,
        "jpeg-ls": bare_jpeg,
        "jpeg2000": bare_jpeg2000,
        "htj2k": bare_jpeg2000,
        "jpeg-xl": bare_jpeg_xl,
    }
)
