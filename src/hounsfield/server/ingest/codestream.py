"""Attributes read from a compressed frame, for metadata that leave them out (PS3.18 10.5.2).

Headers of codestreams only; nothing is decoded. JPEG XL, RLE and video do not tell, or not in so few words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hounsfield.codecs.jpeg import read_jpeg_header
from hounsfield.codecs.jpeg2000 import read_jpeg2000_header
from hounsfield.dicom.syntaxes import TransferSyntax
from hounsfield.errors import MalformedError
from hounsfield.language import say

if TYPE_CHECKING:
    from pydicom import Dataset

HEAD_BYTES = 1 << 20
"""Bytes of a frame that are looked at; colour profiles may stand before what is sought."""

_HELD = ("Rows", "Columns", "SamplesPerPixel")
_JP2 = b"\x00\x00\x00\x0cjP  "


def bare_at(head: bytes) -> int:
    """Return where the codestream begins: after the boxes of JP2 and JPH files, which DICOM forbids (PS3.5 A.4.4)."""
    position = 0
    while head.startswith(_JP2) and position + 16 <= len(head):
        length, kind = int.from_bytes(head[position : position + 4], "big"), head[position + 4 : position + 8]
        wide = 8 if length == 1 else 0
        if kind == b"jp2c":
            return position + 8 + wide
        length = int.from_bytes(head[position + 8 : position + 16], "big") if wide else length
        if length < 8:
            break
        position += length
    return 0


def describe(dataset: Dataset, head: bytes, syntax: TransferSyntax) -> None:
    """Fill in what `dataset` does not say of its pixels. Raises `MalformedError` where it says something else."""
    found = _described(head, syntax)
    for name, value in found.items():
        present = dataset.get(name)
        if present in (None, ""):
            setattr(dataset, name, value)
        elif name in _HELD and str(present) != str(value):
            raise MalformedError(
                say(
                    "{name} is {present}, and {value} in the codestream",
                    name=name,
                    present=str(present)[:20],
                    value=value,
                ),
                expected="the same",
            )


def _described(head: bytes, syntax: TransferSyntax) -> dict[str, int | str]:
    if syntax.family in {"jpeg", "jpeg-lossless", "jpeg-ls"}:
        header = read_jpeg_header(head).codestream
    elif syntax.family in {"jpeg2000", "htj2k"}:
        header = read_jpeg2000_header(head)
    else:
        return {}
    allocated = 8 if header.precision <= 8 else 16 if header.precision <= 16 else 32
    found: dict[str, int | str] = {
        "SamplesPerPixel": header.components,
        "PhotometricInterpretation": _photometric(head, syntax) if header.components == 3 else "MONOCHROME2",
        "Rows": header.rows,
        "Columns": header.columns,
        "BitsAllocated": allocated,
        "BitsStored": header.precision,
        "HighBit": header.precision - 1,
        "PixelRepresentation": int(bool(header.signed)),
    }
    return found | ({"PlanarConfiguration": 0} if header.components > 1 else {})


def _photometric(head: bytes, syntax: TransferSyntax) -> str:
    """The colour space of three components (PS3.5 8.2)."""
    if syntax.family == "jpeg":
        adobe = head.find(b"\xff\xee\x00\x0eAdobe")
        return "RGB" if adobe >= 0 and head[adobe + 15 : adobe + 16] == b"\0" else "YBR_FULL_422"
    if syntax.family in {"jpeg2000", "htj2k"}:
        coding = head.find(b"\xff\x52")
        if coding >= 0 and head[coding + 8 : coding + 9] == b"\1":
            return "YBR_RCT" if head[coding + 13 : coding + 14] == b"\1" else "YBR_ICT"
    return "RGB"
