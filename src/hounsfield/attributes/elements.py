"""Where every element of a DICOM file stands in its bytes (PS3.5 7, PS3.10 7.1): positions, never values.

The file meta group, top-level elements, items of a sequence and the elements in them; Explicit and Implicit VR,
both byte orders, defined and undefined lengths. Unlike `instance.elements`, which reads a few values fast, this walk
must account for every byte, since what it does not name is copied as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from hounsfield.ct.instance.elements import (
    ITEM,
    ITEM_END,
    LONG_VRS,
    PIXEL_TAGS,
    SEQUENCE_END,
    SHORT_VRS,
    UNDEFINED,
)
from hounsfield.dicom.dictionary import written
from hounsfield.errors import MalformedError, TruncatedError

PIXEL_DATA = frozenset(PIXEL_TAGS)

MAX_DEPTH = 64
"""Sequences within sequences; deeper is an attack."""

MAX_ELEMENTS = 200_000
"""Elements in one data set or item; no CT has a hundredth of it."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a data set is written."""

    explicit: bool
    little: bool

    @property
    def order(self) -> str:
        """The byte order as `struct` writes it."""
        return "<" if self.little else ">"

    def header(self, tag: int, vr: bytes, length: int) -> bytes:
        """Tag, VR where there is one, and length (PS3.5 7.1.2, 7.1.3)."""
        start = struct.pack(self.order + "HH", tag >> 16, tag & 0xFFFF)
        if not self.explicit:
            return start + struct.pack(self.order + "I", length)
        if vr in LONG_VRS:
            return start + vr + b"\0\0" + struct.pack(self.order + "I", length)
        if length > 0xFFFF:
            raise MalformedError(
                f"a value of {length} bytes for {written(tag)}", expected=f"at most 65534 in VR {vr.decode()}"
            )
        return start + vr + struct.pack(self.order + "H", length)


EXPLICIT_LITTLE = Encoding(explicit=True, little=True)
IMPLICIT_LITTLE = Encoding(explicit=False, little=True)


@dataclass(frozen=True, slots=True)
class Element:
    """One element, or one item: header from `start`, value from `value` to `end`, in bytes of the stream.

    With undefined length `end` is behind the delimiter. `vr` is empty in Implicit VR and for items. `cut` says that
    the stream ends before the value does.
    """

    tag: int
    vr: bytes
    start: int
    value: int
    end: int
    undefined: bool = False
    cut: bool = False


class Walk:
    """A walk over one stream of `size` bytes; every position it gives is absolute in the stream."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream = stream
        self.size = size

    def read(self, start: int, length: int) -> bytes:
        """`length` bytes at `start`, fewer at the end of the stream."""
        self.stream.seek(start)
        content = self.stream.read(length)
        while content and len(content) < length and (more := self.stream.read(length - len(content))):
            content += more
        return content

    def elements(self, start: int, end: int, encoding: Encoding, *, depth: int = 0) -> Iterator[Element]:
        """The elements from `start` on, until `end` or, among undefined lengths, an item's delimiter.

        Bytes behind Pixel Data that are no element, and zeros, end the walk: they are padding, and are kept.
        """
        position, seen_pixels, count = start, False, 0
        while position + 8 <= end:
            if self.read(position, 8).count(0) == 8:
                return
            try:
                element = self._element(position, encoding, depth)
            except MalformedError:
                if seen_pixels:
                    return
                raise
            if element.tag == ITEM_END:
                return
            yield element
            seen_pixels = seen_pixels or element.tag in PIXEL_DATA
            position = element.end
            count += 1
            if count > MAX_ELEMENTS:
                raise MalformedError(f"more than {MAX_ELEMENTS} elements in one data set")

    def items(self, sequence: Element, encoding: Encoding, *, depth: int = 0) -> Iterator[Element]:
        """The items of `sequence`; `value` to `end` of each are its elements, with the delimiter if it has one."""
        position = sequence.value
        while position + 8 <= sequence.end:
            head = self.read(position, 8)
            tag = _tag(head, encoding)
            if tag == SEQUENCE_END:
                return
            item = self._item(position, head, encoding, depth)
            yield item
            position = item.end

    def item_encoding(self, sequence: Element, encoding: Encoding) -> Encoding:
        """How the items of `sequence` are written: unknown VR hides Implicit Little Endian (PS3.5 6.2.2 note 2)."""
        return IMPLICIT_LITTLE if sequence.vr == b"UN" else encoding

    def _element(self, position: int, encoding: Encoding, depth: int) -> Element:
        head = self.read(position, 12)
        tag = _tag(head, encoding)
        vr, value, length = b"", position + 8, 0
        if not encoding.explicit or tag >> 16 == 0xFFFE:
            (length,) = struct.unpack_from(encoding.order + "I", head, 4)
        else:
            vr = head[4:6]
            if vr in SHORT_VRS:
                (length,) = struct.unpack_from(encoding.order + "H", head, 6)
            elif vr in LONG_VRS and len(head) == 12:
                (length,) = struct.unpack_from(encoding.order + "I", head, 8)
                value = position + 12
            else:
                raise _unreadable(position, tag)
        if tag == ITEM_END:
            return Element(tag, vr, position, value, value)
        if length == UNDEFINED:
            return Element(tag, vr, position, value, self._delimited(tag, vr, value, encoding, depth), True)
        end = value + length
        return Element(tag, vr, position, value, min(end, self.size), cut=end > self.size)

    def _delimited(self, tag: int, vr: bytes, position: int, encoding: Encoding, depth: int) -> int:
        """Behind the delimiter of a sequence, or of encapsulated pixels, of undefined length."""
        if depth > MAX_DEPTH:
            raise MalformedError(f"sequences nested deeper than {MAX_DEPTH}", where=written(tag))
        inner = IMPLICIT_LITTLE if vr == b"UN" else encoding
        while True:
            head = self.read(position, 8)
            if len(head) < 8:
                if tag in PIXEL_DATA:
                    return self.size  # truncated pixels: everything there is belongs to them
                raise TruncatedError(
                    f"the file ends inside {written(tag)}", expected="its sequence delimiter"
                )
            if _tag(head, inner) == SEQUENCE_END:
                return position + 8
            position = self._item(position, head, inner, depth).end

    def _item(self, position: int, head: bytes, encoding: Encoding, depth: int) -> Element:
        if _tag(head, encoding) != ITEM:
            raise _unreadable(position, _tag(head, encoding))
        (length,) = struct.unpack_from(encoding.order + "I", head, 4)
        if length != UNDEFINED:
            end = position + 8 + length
            return Element(ITEM, b"", position, position + 8, min(end, self.size), cut=end > self.size)
        end = position + 8
        for element in self.elements(end, self.size, encoding, depth=depth + 1):
            end = element.end
        if _tag(self.read(end, 4), encoding) != ITEM_END:
            raise TruncatedError(f"an item at byte {position} does not end", expected="its item delimiter")
        return Element(ITEM, b"", position, position + 8, end + 8, undefined=True)


def _tag(head: bytes, encoding: Encoding) -> int:
    if len(head) < 4:
        return 0
    group, element = struct.unpack_from(encoding.order + "HH", head)
    return int(group) << 16 | int(element)


def _unreadable(position: int, tag: int) -> MalformedError:
    return MalformedError(
        f"what stands at byte {position}, {written(tag)}, is no element",
        expected="a tag, a VR and a length",
        remedy="the file is damaged; it cannot be changed safely",
    )
