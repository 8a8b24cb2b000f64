"""The elements of a data set as spans of bytes, in each of the four encodings (PS3.5 7.1, annex A).

Nothing is interpreted: what is not edited is copied as it stands. Where a data set must change its encoding
(a compressed one is Explicit VR Little Endian, PS3.5 A.4), values stay as they are but for the order of their
bytes; a private element that came without a VR gets UN.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

import numpy as np

from hounsfield.ct.instance.elements import ITEM, LONG_VRS, SEQUENCE_END, SHORT_VRS, UNDEFINED
from hounsfield.errors import MalformedError, TruncatedError

_WIDTHS = {
    **dict.fromkeys(b"AT OW SS US".split(), 2),
    **dict.fromkeys(b"FL OF OL SL UL".split(), 4),
    **dict.fromkeys(b"FD OD OV SV UV".split(), 8),
}
_LONGEST_SHORT = 0xFFFE
_MAX_DEPTH = 64
_HEADS = {True: Struct("<HHI"), False: Struct(">HHI")}
_SHORT_HEAD = Struct("<HH2sH").unpack_from
_LENGTHS = {True: (Struct("<H"), Struct("<I")), False: (Struct(">H"), Struct(">I"))}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a data set is written; the default is Explicit VR Little Endian."""

    implicit: bool = False
    little: bool = True


EXPLICIT_LITTLE = Encoding()


class Element(NamedTuple):
    """One element: from `start` its header, from `value` its value, to `stop` with any delimiter.

    `length` is `None` where it is undefined. `vr` is empty in Implicit VR.
    """

    tag: int
    vr: bytes
    start: int
    value: int
    stop: int
    length: int | None

    @property
    def end(self) -> int:
        """Where the value ends, before a delimiter."""
        return self.stop if self.length is not None else self.stop - 8


def walk(data: bytes, start: int, stop: int, encoding: Encoding) -> Iterator[Element]:
    """The elements between `start` and `stop`, sequences in one piece. Raises `MalformedError`."""
    position = start
    is_plain = encoding == EXPLICIT_LITTLE
    while position < stop:
        element = None
        if is_plain and position + 8 <= stop:
            # Nine of ten elements are of this kind, and this is where rewriting a file spends its time.
            group, number, vr, length = _SHORT_HEAD(data, position)
            value = position + 8
            if vr in SHORT_VRS and value + length <= stop:
                element = Element(group << 16 | number, vr, position, value, value + length, length)
        if element is None:
            element = _element(data, position, stop, encoding, 0)
        yield element
        position = element.stop


def _element(data: bytes, position: int, stop: int, encoding: Encoding, depth: int) -> Element:
    if position + 8 > stop:
        if not any(data[position:stop]):
            return Element(0xFFFCFFFC, b"", position, position, stop, stop - position)
        raise TruncatedError(f"the data set ends within an element at byte {position}")
    group, number, length = _HEADS[encoding.little].unpack_from(data, position)
    tag, vr, value = group << 16 | number, b"", position + 8
    if tag == SEQUENCE_END:  # one too many, behind the pixels: some writers do
        return Element(tag, vr, position, value, value, 0)
    if not encoding.implicit:
        vr = data[position + 4 : position + 6]
        short, long = _LENGTHS[encoding.little]
        if vr in SHORT_VRS:
            (length,) = short.unpack_from(data, position + 6)
        elif vr in LONG_VRS and position + 12 <= stop:
            (length,) = long.unpack_from(data, position + 8)
            value += 4
        else:
            raise MalformedError(
                f"element ({group:04X},{number:04X}) at byte {position} has VR {vr!r}",
                remedy="the file cannot be rewritten byte for byte; repair it first",
            )
    if length != UNDEFINED:
        if value + length > stop:
            raise TruncatedError(
                f"element ({group:04X},{number:04X}) ends {value + length - stop} bytes after the data does"
            )
        return Element(tag, vr, position, value, value + length, length)
    inside = Encoding(True, True) if vr == b"UN" else encoding
    return Element(tag, vr, position, value, _after_items(data, value, stop, inside, depth + 1), None)


def _after_items(data: bytes, position: int, stop: int, encoding: Encoding, depth: int) -> int:
    """The position after the delimiter of a sequence or of encapsulated pixels."""
    for _, _, end in items(data, position, stop, encoding, depth):
        position = end
    return position + 8


def items(
    data: bytes, position: int, stop: int, encoding: Encoding, depth: int = 1
) -> Iterator[tuple[int, int | None, int]]:
    """(start of the content, its length or `None`, where the next item begins) up to a delimiter or `stop`."""
    if depth > _MAX_DEPTH:
        raise MalformedError(f"sequences nested deeper than {_MAX_DEPTH}")
    while position + 8 <= stop:
        group, number, length = _HEADS[encoding.little].unpack_from(data, position)
        tag = group << 16 | number
        if tag == SEQUENCE_END:
            return
        if tag != ITEM:
            raise MalformedError(f"({group:04X},{number:04X}) at byte {position}", expected="an item")
        content = position + 8
        if length != UNDEFINED:
            position = content + length
            if position > stop:
                raise TruncatedError(f"an item ends {position - stop} bytes after the data does")
            yield content, length, position
            continue
        position = content
        while True:
            if data[position : position + 8] == _HEADS[encoding.little].pack(0xFFFE, 0xE00D, 0):
                break
            position = _element(data, position, stop, encoding, depth).stop
        yield content, None, position + 8
        position += 8


def encode_element(
    tag: int, vr: bytes, value: bytes, encoding: Encoding, *, undefined: bool = False, filler: bytes = b"\0"
) -> bytes:
    """One element in `encoding`; `value` is in its byte order already and is padded to even length.

    With `undefined` the length is, and `value` brings its own delimiter.
    """
    if len(value) % 2:
        value += filler
    group, number = tag >> 16, tag & 0xFFFF
    length = UNDEFINED if undefined else len(value)
    if encoding.implicit:
        return _HEADS[encoding.little].pack(group, number, length) + value
    head = _HEADS[encoding.little].pack(group, number, 0)[:4]
    short, long = _LENGTHS[encoding.little]
    if vr in SHORT_VRS and length <= _LONGEST_SHORT:
        return head + vr + short.pack(length) + value
    # PS3.5 6.2.2: a value too long for its VR's 16-bit length goes as UN.
    return head + (vr if vr in LONG_VRS else b"UN") + b"\0\0" + long.pack(length) + value


class Recoder:
    """Rewrites elements from one encoding to another. `signed` decides VRs that PS3.6 gives as US or SS."""

    def __init__(self, source: Encoding, target: Encoding, *, signed: bool) -> None:
        self.source = source
        self.target = target
        self.signed = signed

    def element(self, data: bytes, element: Element) -> bytes:
        """`element` of `data` in the target encoding; a group length, no longer true, or stray delimiter vanishes."""
        if element.tag & 0xFFFF == 0 or element.tag == SEQUENCE_END:
            return b""
        vr = element.vr or self._vr(element)
        value = data[element.value : element.end]
        if vr == b"SQ":
            return self._sequence(data, element)
        if element.length is None:  # UN of undefined length: implicit inside, whatever is around it
            tail = _HEADS[self.target.little].pack(0xFFFE, 0xE0DD, 0)
            return encode_element(element.tag, vr, value + tail, self.target, undefined=True)
        width = _WIDTHS.get(vr, 1)
        if width > 1 and self.source.little != self.target.little and len(value) % width == 0:
            value = np.frombuffer(value, f"u{width}").byteswap().tobytes()
        return encode_element(element.tag, vr, value, self.target)

    def _sequence(self, data: bytes, element: Element) -> bytes:
        content: list[bytes] = []
        for start, length, after in items(data, element.value, element.end, self.source):
            stop = after if length is not None else after - 8
            item = b"".join(self.element(data, e) for e in walk(data, start, stop, self.source))
            head = _HEADS[self.target.little]
            content.append(head.pack(0xFFFE, 0xE000, UNDEFINED if length is None else len(item)) + item)
            if length is None:
                content.append(head.pack(0xFFFE, 0xE00D, 0))
        if element.length is None:
            content.append(_HEADS[self.target.little].pack(0xFFFE, 0xE0DD, 0))
        return encode_element(
            element.tag, b"SQ", b"".join(content), self.target, undefined=element.length is None
        )

    def _vr(self, element: Element) -> bytes:
        """The VR of an implicit element by PS3.6; UN for what the dictionary does not know."""
        if element.length is None:
            return b"SQ"
        if element.tag >> 16 & 1:
            return b"LO" if 0x10 <= element.tag & 0xFFFF <= 0xFF else b"UN"
        from pydicom.datadict import dictionary_VR

        try:
            vr = dictionary_VR(element.tag)
        except KeyError:
            return b"UN"
        if vr == "US or SS":
            return b"SS" if self.signed else b"US"
        return b"OW" if " or " in vr else vr.encode("ascii")
