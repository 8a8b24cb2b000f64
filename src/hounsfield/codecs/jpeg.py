"""JPEG (ISO/IEC 10918-1) and JPEG-LS (ISO/IEC 14495-1): PS3.5 A.4.1, A.4.3, 8.2.1, 8.2.3.

Samples come out as they are in the codestream: no colour conversion, no scaling to 8 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hounsfield.codecs.foreign import call_decoder, call_encoder, refuse_unproven
from hounsfield.codecs.frame_format import CodestreamHeader, FrameFormat, Pixels, decoding_target, to_stored
from hounsfield.codecs.rate import Rate, as_unsigned, narrowed, used_bits
from hounsfield.errors import HounsfieldError, MalformedError, TruncatedError, UnsupportedError
from hounsfield.language import say

_SOI = b"\xff\xd8"
_EOI = b"\xff\xd9"
_SOS = 0xDA
_LOSSLESS = 0xC3
_LS = 0xF7
_ADOBE = 0xEE
_DCT_BITS = 12
_LEAST_BITS = 2  # of lossless JPEG (10918-1 table B.2)
_MAX_NEAR = 255
_RESTARTS = range(0xD0, 0xD8)
_END = 0xD9
_RESTART_INTERVAL = 0xDD
_BETWEEN_SCANS = {0xC4, _SOS, 0xDB, 0xDC, _RESTART_INTERVAL, *range(0xE0, 0xF0), 0xFE}
_WORST_GROWTH = 5  # a code is at most four times its sample (14495-1, LIMIT); stuffed bits come on top
_HEADER_ROOM = 1024
_TRAILER = 64  # bytes other than padding that may follow the end of image
_SEQUENTIAL = {0xC0, 0xC1, 0xC2}
_PROCESSES = {0xC0: "50", 0xC1: "51", 0xC2: "55", 0xC3: "70", _LS: "80"}
"""Frame header markers and the last part of the transfer syntax that each stands for."""
_FRAME_MARKERS = {*range(0xC0, 0xD0), _LS} - {0xC4, 0xC8, 0xCC}
_MOST_SCANS = 64
"""Encoders make some ten. Each goes over the whole image, though it may have but ten bytes."""
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}


def jpeg_syntax(head: bytes) -> str | None:
    """The transfer syntax of a JPEG or JPEG-LS codestream, by its process; None for one that has none."""
    try:
        process = _PROCESSES.get(read_jpeg_header(head).marker)
    except MalformedError:
        return None
    return f"1.2.840.10008.1.2.4.{process}" if process else None


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """The frame header (SOF) of a JPEG or JPEG-LS codestream: its marker and what it says."""

    marker: int
    codestream: CodestreamHeader


def read_jpeg_header(data: bytes) -> JpegHeader:
    """The first frame header after SOI. Raises `MalformedError` where there is none before the scan."""
    if data[:2] != _SOI:
        raise MalformedError(
            say("starts with {data}", data=data[:4].hex() or "nothing"), expected="JPEG start of image FFD8"
        )
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            break
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in _WITHOUT_LENGTH:
            position += 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if marker in _FRAME_MARKERS and length >= 8 and position + 10 <= len(data):
            return JpegHeader(
                marker,
                CodestreamHeader(
                    rows=int.from_bytes(data[position + 5 : position + 7], "big"),
                    columns=int.from_bytes(data[position + 7 : position + 9], "big"),
                    components=data[position + 9],
                    precision=data[position + 4],
                ),
            )
        if marker == _SOS or length < 2:
            break
        position += 2 + length
    if position + 4 > len(data):
        raise TruncatedError("JPEG codestream ends within its header", found_bytes=len(data))
    raise MalformedError("JPEG codestream without a frame header before its scan", expected="an SOF marker")


def check_end_of_image(data: bytes) -> None:
    """The end marker must be there: CharLS takes many seconds to find that a stream was cut."""
    end = data.rfind(_EOI)
    if end < 0 or len(data[end:].rstrip(b"\0")) > _TRAILER:
        raise _endless(data)


def _endless(data: bytes) -> TruncatedError:
    return TruncatedError(
        say("JPEG codestream of {count} bytes ends without its end-of-image marker", count=len(data)),
        expected="FFD9 at its end",
        found_bytes=len(data),
    )


def check_scans(data: bytes) -> int:
    """Walk from marker to marker to the end of image, in a twentieth of the time that decoding takes: the scans.

    libjpeg stops at a marker that a damaged byte made within a scan, fills the rest with grey, and tells nobody.
    What is found: markers that cannot be there, restarts out of turn, an end before the end.
    Damage that makes no marker is not found: JPEG has no checksum.
    """
    octets = np.frombuffer(data, np.uint8)
    found = np.flatnonzero(octets[:-1] == 0xFF)
    kinds = octets[found + 1]
    is_marker = (kinds != 0) & (kinds != 0xFF)  # stuffed and fill bytes
    position, restarts, has_restarts, scans = 2, 0, False, 0
    for at, kind in zip(found[is_marker].tolist(), kinds[is_marker].tolist(), strict=True):
        if at < position:
            continue  # within a segment
        if kind == _END:
            _check_rest(data, at + 2)
            return scans
        if kind in _RESTARTS and has_restarts and scans and kind == _RESTARTS[restarts % 8]:
            restarts += 1
            continue
        if kind not in _BETWEEN_SCANS and (scans or kind not in _FRAME_MARKERS):
            raise MalformedError(
                say(
                    "JPEG codestream with marker FF{kind} at byte {at}, where none can be",
                    kind=format(kind, "02X"),
                    at=at,
                ),
                expected="compressed data",
                remedy="the frame is damaged; get it again from where it came",
            )
        position = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if kind == _RESTART_INTERVAL:
            has_restarts = any(data[at + 4 : at + 6])
        elif kind == _SOS:
            restarts, scans = 0, scans + 1
    raise _endless(data)


def _check_rest(data: bytes, end: int) -> None:
    """Behind the end of image there is padding, a few bytes, or another image."""
    rest = data[end:].strip(b"\0")
    if len(rest) > _TRAILER and not rest.startswith(_SOI):
        raise MalformedError(
            say("JPEG codestream that ends at byte {end} of {count}", end=end, count=len(data)),
            expected="its end-of-image marker at its end",
            remedy="the frame is damaged; get it again from where it came",
        )


def decode_jpeg(data: bytes, frame_format: FrameFormat, out: Pixels | None = None) -> Pixels:
    """Every JPEG process libjpeg-turbo has (baseline, extended, progressive, lossless), 2 to 16 bits.

    The differences of lossless JPEG are modulo 2^16 (10918-1 H.1.2.1); some writers take them modulo their precision,
    so samples are reduced to that.
    """
    import imagecodecs

    header = read_jpeg_header(data)
    if header.marker == _LS:
        return decode_jpeg_ls(data, frame_format, out)
    if header.marker not in _SEQUENTIAL and header.marker != _LOSSLESS:
        raise UnsupportedError(
            say("JPEG process with frame marker FF{marker}", marker=format(header.marker, "02X")),
            expected="baseline, extended, progressive or lossless, Huffman coded",
        )
    stream = header.codestream
    stream.check(frame_format, "JPEG")
    if (scans := check_scans(data)) > _MOST_SCANS:
        refuse_unproven(f"{scans} scans")
    # The same colour space in and out makes libjpeg leave samples alone.
    space = {1: None, 3: "YCbCr", 4: "CMYK"}.get(stream.components, 0)
    try:
        samples = call_decoder(
            "JPEG",
            imagecodecs.jpeg8_decode,
            data,
            colorspace=space,
            outcolorspace=space,
            out=decoding_target(out, stream, frame_format),
        )
    except MalformedError:
        if header.marker != _LOSSLESS:
            raise
        # Lossless streams that libjpeg-turbo refuses: restart intervals off the line, subsampling.
        samples = call_decoder("JPEG lossless", imagecodecs.jpegsof3_decode, data)
    if header.marker == _LOSSLESS and stream.precision < samples.dtype.itemsize * 8:
        samples &= samples.dtype.type((1 << stream.precision) - 1)
    return to_stored(samples, stream, frame_format)


def decode_jpeg_ls(data: bytes, frame_format: FrameFormat, out: Pixels | None = None) -> Pixels:
    """JPEG-LS, lossless or near-lossless; it has no sign, so signed pixels are extended at its precision."""
    import imagecodecs

    header = read_jpeg_header(data)
    if header.marker != _LS:
        return decode_jpeg(data, frame_format, out)
    header.codestream.check(frame_format, "JPEG-LS")
    check_end_of_image(data)
    target = decoding_target(out, header.codestream, frame_format)
    samples = call_decoder("JPEG-LS", imagecodecs.jpegls_decode, data, out=target)
    return to_stored(samples, header.codestream, frame_format)


def encode_jpeg(array: Pixels, frame_format: FrameFormat, rate: Rate, *, most_bits: int = _DCT_BITS) -> bytes:
    """Baseline for 8 bits, extended (Huffman, process 4) for 9 to 12: unsigned only, PS3.5 8.2.1.

    RGB is turned to YBR and its chrominance halved across, `YBR_FULL_422`; YBR is written as it is.
    """
    import imagecodecs

    bits = used_bits(array, frame_format)
    if bits > most_bits:
        raise UnsupportedError(
            say("JPEG of cells that use {bits} bits", bits=bits),
            expected=say("at most {most_bits}, as Bits Stored says", most_bits=most_bits),
        )
    cells = narrowed(array, bits)
    options: dict[str, Any] = {"bitspersample": 8 if cells.dtype.itemsize == 1 else _DCT_BITS}
    if frame_format.samples_per_pixel == 3:
        options["subsampling"] = "422"
        if frame_format.photometric_interpretation != "RGB":
            options |= {"colorspace": "YCbCr", "outcolorspace": "YCbCr"}
    quality = round(min(100.0, max(1.0, rate.quality)))
    return call_encoder("JPEG", imagecodecs.jpeg8_encode, cells, level=quality, **options)


def encode_jpeg_lossless(array: Pixels, frame_format: FrameFormat, *, predictor: int) -> bytes:
    """JPEG Lossless (process 14, PS3.5 8.2.2); `predictor` 1 is what .70 demands. At most 16 bits."""
    import imagecodecs

    bits = max(_LEAST_BITS, used_bits(array, frame_format))
    options: dict[str, Any] = {}
    if frame_format.samples_per_pixel == 3:
        options = {"colorspace": "RGB", "outcolorspace": "RGB"}  # the same, so that samples are left alone
    stream = call_encoder(
        "JPEG lossless",
        imagecodecs.jpeg8_encode,
        narrowed(as_unsigned(array, bits), bits),
        lossless=True,
        predictor=predictor,
        bitspersample=bits,
        **options,
    )
    is_named = frame_format.samples_per_pixel == 3 and frame_format.photometric_interpretation != "RGB"
    return _without_colours(stream) if is_named else stream


def _without_colours(stream: bytes) -> bytes:
    """The same without its Adobe segment, and with components 1, 2, 3: nothing that calls them red, green and blue."""
    content, position = bytearray(stream), len(_SOI)
    while content[position + 1] != _SOS:
        length = 2 + int.from_bytes(content[position + 2 : position + 4], "big")
        if content[position + 1] == _ADOBE:
            del content[position : position + length]
            continue
        if content[position + 1] == _LOSSLESS:
            content[position + 10 : position + length : 3] = b"\1\2\3"
        position += length
    content[position + 5 : position + 11 : 2] = b"\1\2\3"
    return bytes(content)


def largest_near(frame_format: FrameFormat) -> int:
    """The largest error that JPEG-LS of such cells can have (14495-1 C.2.3): 127 of 8 bits, 255 of more."""
    return min(_MAX_NEAR, ((1 << frame_format.cell_bytes * 8) - 1) // 2)


def encode_jpeg_ls(array: Pixels, frame_format: FrameFormat, rate: Rate) -> bytes:
    """JPEG-LS of the whole cell (8 or 16 bits); `rate.near` is the largest error, 0 for lossless."""
    import imagecodecs

    if not 0 <= rate.near <= largest_near(frame_format):
        raise UnsupportedError(
            say("JPEG-LS with an error of {near}", near=rate.near),
            expected=say("0 to {largest_near}", largest_near=largest_near(frame_format)),
        )
    cells = as_unsigned(array, array.dtype.itemsize * 8)
    try:
        stream = call_encoder("JPEG-LS", imagecodecs.jpegls_encode, cells, level=rate.near)
    except HounsfieldError:
        # Noise becomes longer than it was, which imagecodecs leaves no room for.
        room = cells.nbytes * _WORST_GROWTH + _HEADER_ROOM
        stream = call_encoder("JPEG-LS", imagecodecs.jpegls_encode, cells, level=rate.near, out=room)
    # The SPIFF header is not wanted in DICOM; some readers stop at it.
    return stream[:2] + stream[stream.index(bytes([0xFF, _LS])) :]


def read_codestream_header(data: bytes) -> CodestreamHeader:
    """Return what a codestream of any JPEG says of itself; `MalformedError` for none."""
    return read_jpeg_header(data).codestream
