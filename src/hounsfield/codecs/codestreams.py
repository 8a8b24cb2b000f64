"""Markers of codestreams, read without decoding: whether something was lost, and its colours.

Headers forget the one and mistake the other: an image decompressed and stored again no longer says that it was JPEG,
and one that is labelled RGB may hold the YCbCr of a JFIF. Where a marker says nothing, nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hounsfield.codecs.jpeg2000 import bare_codestream, is_subsampled
from hounsfield.codecs.jpeg_xl import read_jpeg_xl_header, rebuild_jpeg
from hounsfield.codecs.table import codec_of
from hounsfield.dicom.extensions import named
from hounsfield.dicom.syntaxes import TransferSyntax
from hounsfield.errors import HounsfieldError

_SOS, _EOI, _APP0, _APP8, _APP14 = 0xDA, 0xD9, 0xE0, 0xE8, 0xEE
_SOF = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_REVERSIBLE = {0xC3, 0xC7, 0xCB, 0xCF}  # lossless processes of 10918-1
_JPEG_LS = 0xF7
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a segment
_RGB_IDS = (b"RGB", b"rgb")
_CAP, _COD, _J2K_SOT = 0x50, 0x52, 0x90
_MCT, _WAVELET = 4, 9  # bytes of a COD segment's body (15444-1 A.6.1)


@dataclass(frozen=True, slots=True)
class Traits:
    """The traits that markers state: `method` is the term of Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1) where
    something was lost, "" where not, or where it cannot be known. `colour` is the space of the decoded samples: RGB,
    YBR_FULL, or "" where only the header's label says so.
    """

    method: str = ""
    colour: str = ""


def traits_of(data: bytes, syntax: TransferSyntax) -> Traits:
    """The traits of one frame's codestream in `syntax`; none at all of what is damaged or has no markers."""
    codec = codec_of(syntax.family)
    if codec is None or not codec.traits:
        return Traits()
    try:
        traits: Traits = named(codec.traits)(data)
        return traits
    except HounsfieldError:
        pass  # its decoder will say what is wrong
    return Traits()


def decoded_colour(data: bytes, syntax: TransferSyntax, labelled: str) -> str:
    """The colour space of a decoded frame whose samples the header labels `labelled` once they are decoded."""
    found = traits_of(data, syntax).colour
    if found == "YBR_FULL" and labelled.startswith("YBR_"):
        return labelled
    return found or labelled


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, body) of each segment of a JPEG up to its first scan, that one included."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF or marker in _ALONE:
            position += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == _EOI or length < 2:
            return
        yield marker, data[position + 4 : position + 2 + length]
        if marker == _SOS:
            return
        position += 2 + length


def jpeg_traits(data: bytes) -> Traits:
    """10918-1, and 14495-1 whose NEAR is in the header of the scan (C.2.3)."""
    process, near, colour = 0, 0, ""
    components: list[bytes] = []
    for marker, body in _segments(data):
        if marker in _SOF and len(body) >= 6:
            process = marker
            components = [body[6 + 3 * index : 9 + 3 * index] for index in range(body[5])]
        elif marker == _SOS and body:
            near = body[1 + 2 * body[0]] if len(body) > 1 + 2 * body[0] else 0
        colour = _colour_of_application(marker, body, colour)
    method = "ISO_10918_1" if process and process not in _REVERSIBLE else ""
    if process == _JPEG_LS:
        method = "ISO_14495_1" if near else ""
    return Traits(method, _colour_of_jpeg(components, colour) if len(components) == 3 else "")


def _colour_of_application(marker: int, body: bytes, known: str) -> str:
    """By APP0 of JFIF, which is YCbCr always, APP14 of Adobe, or APP8 of a JPEG-LS transform that decoders undo."""
    if marker == _APP0 and body.startswith(b"JFIF\0"):
        return "YBR_FULL"
    if marker == _APP14 and body.startswith(b"Adobe") and len(body) >= 12:
        return known or {0: "RGB", 1: "YBR_FULL"}.get(body[11], "")
    if marker == _APP8 and body.startswith(b"mrfx") and body[4:5] not in (b"", b"\0"):
        return "RGB"
    return known


def _colour_of_jpeg(components: list[bytes], by_application: str) -> str:
    """Components that are called R, G and B are that; ones of different sampling are no RGB."""
    if b"".join(component[:1] for component in components) in _RGB_IDS:
        return "RGB"
    if len({component[1:2] for component in components}) > 1:
        return "YBR_FULL"
    return by_application


def jpeg2000_traits(data: bytes) -> Traits:
    """The component transform is one of RGB, and the decoder undoes it (15444-1 G.2, G.3), as it does with 4:2:2."""
    data = bare_codestream(data)
    position, high_throughput, body = 2, False, b""
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != _J2K_SOT:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if length < 2:
            break
        high_throughput |= marker == _CAP
        body = data[position + 4 : position + 2 + length] if marker == _COD else body
        position += 2 + length
    if len(body) <= _WAVELET:
        return Traits()
    method = "ISO_15444_15" if high_throughput else "ISO_15444_1"
    return Traits("" if body[_WAVELET] else method, "RGB" if body[_MCT] or is_subsampled(data) else "")


def jpeg_xl_traits(data: bytes) -> Traits:
    """XYB is for the eye and never exact; a recompressed JPEG is what that JPEG was."""
    header = read_jpeg_xl_header(data)
    if header.rebuilds:
        is_colour = header.codestream.components == 3
        return jpeg_traits(rebuild_jpeg(data)) if is_colour else Traits("ISO_10918_1")
    return Traits("ISO_18181_1", "RGB") if header.xyb else Traits()
