"""JPEG (ISO/IEC 10918-1) and JPEG-LS (ISO/IEC 14495-1): PS3.5 A.4.1, A.4.3, 8.2.1, 8.2.3.

Samples come out as they are in the codestream: no colour conversion, no scaling to 8 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hounsfield.codecs.foreign import call_decoder, call_encoder
from hounsfield.codecs.frame_format import CodestreamHeader, FrameFormat, Pixels, decoding_target, to_stored
from hounsfield.codecs.rate import Rate, as_unsigned, used_bits
from hounsfield.errors import MalformedError, TruncatedError, UnsupportedError

_SOI = b"\xff\xd8"
_EOI = b"\xff\xd9"
_SOS = 0xDA
_LOSSLESS = 0xC3
_LS = 0xF7
_DCT_BITS = 12
_MAX_NEAR = 255
_TRAILER = 64  # bytes other than padding that may follow the end of image
_SEQUENTIAL = {0xC0, 0xC1, 0xC2}
_FRAME_MARKERS = {*range(0xC0, 0xD0), _LS} - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """The frame header (SOF) of a JPEG or JPEG-LS codestream: its marker and what it says."""

    marker: int
    codestream: CodestreamHeader


def read_jpeg_header(data: bytes) -> JpegHeader:
    """The first frame header after SOI. Raises `MalformedError` where there is none before the scan."""
    if data[:2] != _SOI:
        raise MalformedError(
            f"starts with {data[:4].hex() or 'nothing'}", expected="JPEG start of image FFD8"
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
    """Cut streams: libjpeg fills what is missing with grey and does not say so; the end marker must be there."""
    end = data.rfind(_EOI)
    if end < 0 or len(data[end:].rstrip(b"\0")) > _TRAILER:
        raise TruncatedError(
            f"JPEG codestream of {len(data)} bytes ends without its end-of-image marker",
            expected="FFD9 at its end",
            found_bytes=len(data),
        )


def decode_jpeg(data: bytes, frame_format: FrameFormat, out: Pixels | None = None) -> Pixels:
    """Every JPEG process libjpeg-turbo has (baseline, extended, progressive, lossless), 2 to 16 bits."""
    import imagecodecs

    header = read_jpeg_header(data)
    if header.marker == _LS:
        return decode_jpeg_ls(data, frame_format, out)
    if header.marker not in _SEQUENTIAL and header.marker != _LOSSLESS:
        raise UnsupportedError(
            f"JPEG process with frame marker FF{header.marker:02X}",
            expected="baseline, extended, progressive or lossless, Huffman coded",
        )
    stream = header.codestream
    stream.check(frame_format, "JPEG")
    check_end_of_image(data)
    # The same colour space in and out is how libjpeg is told to leave samples alone.
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
    return to_stored(samples, stream, frame_format)


def decode_jpeg_ls(data: bytes, frame_format: FrameFormat, out: Pixels | None = None) -> Pixels:
    """JPEG-LS, lossless or near-lossless; it has no sign, so signed pixels are extended at its precision."""
    import imagecodecs

    header = read_jpeg_header(data)
    if header.marker != _LS:
        return decode_jpeg(data, frame_format, out)
    header.codestream.check(frame_format, "JPEG-LS")
    check_end_of_image(data)  # CharLS notices too, but may take seconds
    target = decoding_target(out, header.codestream, frame_format)
    samples = call_decoder("JPEG-LS", imagecodecs.jpegls_decode, data, out=target)
    return to_stored(samples, header.codestream, frame_format)


def encode_jpeg(array: Pixels, frame_format: FrameFormat, rate: Rate) -> bytes:
    """Baseline for 8 bits, extended (Huffman, process 4) for 9 to 12: unsigned only, PS3.5 8.2.1.

    RGB is turned to YBR and its chrominance halved across, `YBR_FULL_422`; YBR is written as it is.
    """
    import imagecodecs

    bits = used_bits(array, frame_format)
    if frame_format.signed or bits > _DCT_BITS:
        raise UnsupportedError(
            f"JPEG of {'signed' if frame_format.signed else 'unsigned'} {bits}-bit pixels",
            expected="unsigned pixels of at most 12 bits",
            remedy="use jpeg-ls-near, jpeg2000-lossy or htj2k-lossy",
        )
    options: dict[str, Any] = {"bitspersample": 8 if array.dtype.itemsize == 1 else _DCT_BITS}
    if frame_format.samples_per_pixel == 3:
        options["subsampling"] = "422"
        if frame_format.photometric_interpretation != "RGB":
            options |= {"colorspace": "YCbCr", "outcolorspace": "YCbCr"}
    quality = round(min(100.0, max(1.0, rate.quality)))
    return call_encoder("JPEG", imagecodecs.jpeg8_encode, array, level=quality, **options)


def encode_jpeg_lossless(array: Pixels, frame_format: FrameFormat, *, predictor: int) -> bytes:
    """JPEG Lossless (process 14, PS3.5 8.2.2); `predictor` 1 is what .70 demands. At most 16 bits."""
    import imagecodecs

    if array.dtype.itemsize > 2:
        raise UnsupportedError(
            "JPEG lossless of 32-bit pixels", expected="at most 16 bits", remedy="use htj2k"
        )
    bits = used_bits(array, frame_format)
    options: dict[str, Any] = {}
    if frame_format.samples_per_pixel == 3:
        options = {"colorspace": "RGB", "outcolorspace": "RGB"}
    return call_encoder(
        "JPEG lossless",
        imagecodecs.jpeg8_encode,
        as_unsigned(array, bits),
        lossless=True,
        predictor=predictor,
        bitspersample=max(2, bits),
        **options,
    )


def encode_jpeg_ls(array: Pixels, frame_format: FrameFormat, rate: Rate) -> bytes:
    """JPEG-LS of the whole cell (8 or 16 bits); `rate.near` is the largest error, 0 for lossless."""
    import imagecodecs

    if array.dtype.itemsize > 2:
        raise UnsupportedError("JPEG-LS of 32-bit pixels", expected="at most 16 bits", remedy="use htj2k")
    if not 0 <= rate.near <= _MAX_NEAR:
        raise UnsupportedError(f"JPEG-LS with an error of {rate.near}", expected=f"0 to {_MAX_NEAR}")
    cells = as_unsigned(array, array.dtype.itemsize * 8)
    stream = call_encoder("JPEG-LS", imagecodecs.jpegls_encode, cells, level=rate.near)
    # The SPIFF header is not wanted in DICOM; some readers stop at it.
    return stream[:2] + stream[stream.index(bytes([0xFF, _LS])) :]
