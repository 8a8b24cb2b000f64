"""Images within sequences, icons above all, that are compressed: as the image around them (PS3.5 A.4), or otherwise.

In a file of another transfer syntax they would be in the wrong one, so they are decoded: native pixels may stand in a
sequence whatever the syntax of the file. Some writers leave a JPEG icon in a file of any syntax, so the codestream
says what it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hounsfield.codecs.jpeg import jpeg_syntax
from hounsfield.codecs.native import encode_native
from hounsfield.ct.instance import Header
from hounsfield.ct.instance.pixels import ITEM_TAG
from hounsfield.dicom.encoding import EXPLICIT_LITTLE, encode_element
from hounsfield.dicom.fast_walk import PixelElement
from hounsfield.dicom.full_walk import PIXEL_DATA, Element, FullWalk
from hounsfield.dicom.syntaxes import TransferSyntax
from hounsfield.errors import HounsfieldError, UnsupportedError
from hounsfield.language import say
from hounsfield.transcode.part10 import EXTENDED_LENGTHS, EXTENDED_OFFSETS, TOTAL_LENGTH, Part10
from hounsfield.transcode.pixels import open_pixels

_ENCAPSULATED = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
_RLE, _JPEG2000, _HTJ2K = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201"
_PHOTOMETRIC, _PLANAR = 0x00280004, 0x00280006


def with_native_icons(part: Part10, syntax: TransferSyntax) -> Part10:
    """`part`, whose pixels are in `syntax`, with the images in its sequences decoded; itself where there is none.

    Raises `UnsupportedError` where one cannot be decoded.
    """
    limit = part.pixels
    if limit is None:
        limit = next((e.start for e in part.elements if e.tag == PIXEL_DATA), len(part.dataset))
    if part.encoding != EXPLICIT_LITTLE or part.dataset.find(_ENCAPSULATED, part.begin, limit) < 0:
        return part
    try:
        rewritten = b"".join(_rewritten(part.dataset, part.elements, syntax, before=limit, depth=0))
    except HounsfieldError as error:
        raise UnsupportedError(
            say(
                "a nested image (an icon) is compressed too, and cannot be decoded: {found}",
                found=error.found,
            ),
            remedy="remove Icon Image Sequence (0088,0200) first",
        ) from error
    return replace(part, dataset=rewritten + part.dataset[limit:], begin=0, pixels=None)


def _rewritten(
    data: bytes, elements: Sequence[Element], syntax: TransferSyntax, *, before: int, depth: int
) -> list[bytes]:
    """Each element that starts before byte `before`, sequences with compressed images rewritten."""
    return [
        _sequence(data, element, syntax, depth)
        if element.vr == b"SQ" and data.find(_ENCAPSULATED, element.start, element.stop) >= 0
        else data[element.start : element.stop]
        for element in elements
        if element.start < before
    ]


def _sequence(data: bytes, element: Element, syntax: TransferSyntax, depth: int) -> bytes:
    walk = FullWalk(data)
    content: list[bytes] = []
    for item, encoding in walk.items(element, EXPLICIT_LITTLE, depth=depth):
        elements = walk.whole_elements(item.value, item.end, encoding, depth=depth + 1)
        inner = _item(data, elements, syntax, depth + 1)
        content += (EXPLICIT_LITTLE.item(len(inner)), inner)
    return encode_element(element.tag, b"SQ", b"".join(content), EXPLICIT_LITTLE)


def _item(data: bytes, elements: Sequence[Element], syntax: TransferSyntax, depth: int) -> bytes:
    edits: Mapping[int, bytes] = {}
    if any(element.tag == PIXEL_DATA and element.undefined for element in elements):
        edits = _native(data, elements, syntax)
    others = [element for element in elements if element.tag not in edits]
    rewritten = _rewritten(data, others, syntax, before=len(data), depth=depth)
    merged = dict(zip((e.tag for e in others), rewritten, strict=True)) | dict(edits)
    return b"".join(merged[tag] for tag in sorted(merged))


def _native(data: bytes, elements: Sequence[Element], syntax: TransferSyntax) -> dict[int, bytes]:
    """The elements of an image that change when its pixels are decoded."""
    values = {element.tag: data[element.value : element.end] for element in elements}
    (pixel,) = (element for element in elements if element.tag == PIXEL_DATA)
    own = _own_syntax(data[pixel.value : pixel.end]) or syntax.uid
    header = Header(values, own, PixelElement("PixelData", pixel.value, None))
    pixels = open_pixels(data, header)
    form = pixels.decoded_format
    content = b"".join(encode_native(pixels.cells(index), form) for index in range(pixels.count))
    vr = b"OB" if form.bits_allocated <= 8 else b"OW"
    colour = form.photometric_interpretation.encode("ascii")
    edits = {
        PIXEL_DATA: encode_element(PIXEL_DATA, vr, content, EXPLICIT_LITTLE),
        _PHOTOMETRIC: encode_element(_PHOTOMETRIC, b"CS", colour, EXPLICIT_LITTLE, filler=b" "),
        **dict.fromkeys((EXTENDED_OFFSETS, EXTENDED_LENGTHS, TOTAL_LENGTH), b""),
    }
    if form.samples_per_pixel > 1:
        edits[_PLANAR] = encode_element(_PLANAR, b"US", b"\0\0", EXPLICIT_LITTLE)
    return edits


def _own_syntax(fragments: bytes) -> str | None:
    """The transfer syntax that the first codestream in `fragments` shows; None for one that does not tell."""
    position = 0
    while fragments.startswith(ITEM_TAG, position):
        length = int.from_bytes(fragments[position + 4 : position + 8], "little")
        stream = fragments[position + 8 : position + 8 + length]
        if stream.startswith(b"\xff\xd8"):
            return jpeg_syntax(stream)
        if stream.startswith((b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")):
            return (
                _HTJ2K
                if stream.startswith(b"\xff\x50", 6 + int.from_bytes(stream[4:6], "big") - 2)
                else _JPEG2000
            )
        # The table of a single RLE fragment: as many segments, the first right behind it (PS3.5 G.5).
        if length >= 64 and stream[1:8] == b"\0\0\0\x40\0\0\0" and 1 <= stream[0] <= 15:
            return _RLE
        position += 8 + length
    return None
