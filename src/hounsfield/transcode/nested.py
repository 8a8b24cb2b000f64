"""Images within sequences, icons above all, that are compressed as the image around them is (PS3.5 A.4).

In a file of another transfer syntax they would be in the wrong one, so they are decoded: native pixels may stand in a
sequence whatever the syntax of the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hounsfield.codecs.native import encode_native
from hounsfield.ct.instance import Header
from hounsfield.ct.instance.elements import PixelElement
from hounsfield.dicom.syntaxes import TransferSyntax
from hounsfield.errors import HounsfieldError, UnsupportedError
from hounsfield.transcode.elements import EXPLICIT_LITTLE, Element, encode_element, items, walk
from hounsfield.transcode.part10 import EXTENDED_LENGTHS, EXTENDED_OFFSETS, PIXEL_DATA, TOTAL_LENGTH, Part10
from hounsfield.transcode.pixels import open_pixels

_ENCAPSULATED = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
_PHOTOMETRIC, _PLANAR = 0x00280004, 0x00280006
_ITEM_START = b"\xfe\xff\x00\xe0"


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
        rewritten = b"".join(_rewritten(part.dataset, part.elements, syntax, before=limit))
    except HounsfieldError as error:
        raise UnsupportedError(
            f"a nested image (an icon) is compressed too, and cannot be decoded: {error.found}",
            remedy="remove Icon Image Sequence (0088,0200) first",
        ) from error
    return replace(part, dataset=rewritten + part.dataset[limit:], begin=0, pixels=None)


def _rewritten(
    data: bytes, elements: Sequence[Element], syntax: TransferSyntax, *, before: int
) -> list[bytes]:
    """Each element that starts before byte `before`, sequences with compressed images rewritten."""
    return [
        _sequence(data, element, syntax)
        if element.vr == b"SQ" and data.find(_ENCAPSULATED, element.start, element.stop) >= 0
        else data[element.start : element.stop]
        for element in elements
        if element.start < before
    ]


def _sequence(data: bytes, element: Element, syntax: TransferSyntax) -> bytes:
    content = []
    for start, length, after in items(data, element.value, element.end, EXPLICIT_LITTLE):
        stop = after if length is not None else after - 8
        item = _item(data, tuple(walk(data, start, stop, EXPLICIT_LITTLE)), syntax)
        content.append(_ITEM_START + len(item).to_bytes(4, "little") + item)
    return encode_element(element.tag, b"SQ", b"".join(content), EXPLICIT_LITTLE)


def _item(data: bytes, elements: Sequence[Element], syntax: TransferSyntax) -> bytes:
    edits: Mapping[int, bytes] = {}
    if any(element.tag == PIXEL_DATA and element.length is None for element in elements):
        edits = _native(data, elements, syntax)
    others = [element for element in elements if element.tag not in edits]
    kept = dict(zip((e.tag for e in others), _rewritten(data, others, syntax, before=len(data)), strict=True))
    merged = kept | dict(edits)
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
