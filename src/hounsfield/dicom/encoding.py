"""The encoding of elements (PS3.5 7.1): explicit or implicit VR, either byte order, and headers as bytes."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from hounsfield.dicom import vr as vrs
from hounsfield.dicom.uids import BIG_ENDIAN, GE_PRIVATE, IMPLICIT_LITTLE

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
DELIMITERS = 0xFFFE
"""The group of items and delimiters (PS3.5 7.5), which are no elements."""

PIXEL_TAGS = {0x7FE00010: "PixelData", 0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData"}
LARGEST_HEADER = 12
"""Bytes of a tag, a VR, two reserved bytes and a length of 32 bits (PS3.5 7.1.2)."""

_LONGEST_SHORT = 0xFFFE
_HEADS = {True: Struct("<HHI"), False: Struct(">HHI")}
_LENGTHS = {True: (Struct("<H"), Struct("<I")), False: (Struct(">H"), Struct(">I"))}


@dataclass(frozen=True, slots=True)
class Encoding:
    """The encoding of a data set; the default is Explicit VR Little Endian."""

    implicit: bool = False
    little: bool = True

    @property
    def order(self) -> str:
        """The byte order as `struct` writes it."""
        return "<" if self.little else ">"

    def length(self, value: int) -> bytes:
        """A length, or another number, of 32 bits."""
        return _LENGTHS[self.little][1].pack(value)

    def item(self, length: int = UNDEFINED, tag: int = ITEM) -> bytes:
        """The header of an item or of a delimiter: a tag and a length, whatever the VRs (PS3.5 7.5)."""
        return _HEADS[self.little].pack(tag >> 16, tag & 0xFFFF, length)

    @property
    def item_end(self) -> bytes:
        return self.item(0, ITEM_END)

    @property
    def sequence_end(self) -> bytes:
        return self.item(0, SEQUENCE_END)

    def header(self, tag: int, vr: bytes, length: int) -> bytes:
        """Tag, VR where there is one, and length; a value too long for its VR's 16 bits goes as UN (PS3.5 6.2.2)."""
        head = self.item(length, tag)
        if self.implicit:
            return head
        short, long = _LENGTHS[self.little]
        if vr in vrs.SHORT and length <= _LONGEST_SHORT:
            return head[:4] + vr + short.pack(length)
        return head[:4] + (vr if vr in vrs.LONG else b"UN") + b"\0\0" + long.pack(length)


EXPLICIT_LITTLE = Encoding()
IMPLICIT_VR_LITTLE = Encoding(implicit=True)


def encoding_of(syntax: str) -> Encoding:
    """The encoding of a transfer syntax: Explicit VR Little Endian for every encapsulated one (PS3.5 A.4)."""
    return Encoding(syntax in (IMPLICIT_LITTLE, GE_PRIVATE), syntax != BIG_ENDIAN)


def encode_element(
    tag: int, vr: bytes, value: bytes, encoding: Encoding, *, undefined: bool = False, filler: bytes = b"\0"
) -> bytes:
    """One element in `encoding`; `value` is in its byte order already and is padded to even length.

    With `undefined` the length is, and `value` brings its own delimiter.
    """
    if len(value) % 2:
        value += filler
    return encoding.header(tag, vr, UNDEFINED if undefined else len(value)) + value
