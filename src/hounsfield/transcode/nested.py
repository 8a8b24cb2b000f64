"""Images within sequences, icons above all, that are compressed as the image around them is (PS3.5 A.4).

In a file of another transfer syntax they would be in the wrong one, so they are decoded: native pixels may stand in a
sequence whatever the syntax of the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hounsfield.codecs.native import encode_native
from hounsfield.ct.instance import Header
from hounsfield.dicom.encoding import EXPLICIT_LITTLE, encode_element
from hounsfield.dicom.fast_walk import PixelElement
from hounsfield.dicom.full_walk import PIXEL_DATA, Element, FullWalk
from hounsfield.dicom.syntaxes import TransferSyntax
from hounsfield.errors import HounsfieldError, UnsupportedError
from hounsfield.language import say
from hounsfield.transcode.part10 import EXTENDED_LENGTHS, EXTENDED_OFFSETS, TOTAL_LENGTH, Part10
from hounsfield.transcode.pixels import open_pixels

_ENCAPSULATED = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
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
    header = Header(values, syntax.uid, PixelElement("PixelData", pixel.value, None))
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
