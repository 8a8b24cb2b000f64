"""The full, tolerant walk over elements: every encoding, from bytes, a mapped file or a stream.

What is odd in a file is decided here, once for every verb: VRs that are none, delimiters out of place, items written
in another encoding than their surroundings, what lies behind the pixels, an end that comes too soon. Positions are
given, never values. What lies within a sequence of defined length does not decide on what is around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from hounsfield.dicom.content import ContentReader
from hounsfield.dicom.encoding import (
    DELIMITERS,
    IMPLICIT_VR_LITTLE,
    ITEM,
    ITEM_END,
    PIXEL_TAGS,
    SEQUENCE_END,
    UNDEFINED,
    Encoding,
)
from hounsfield.dicom.miscounted import true_length
from hounsfield.dicom.nesting import LEAST_DEEP, MAX_DEPTH, is_deep, no_element, too_deep
from hounsfield.dicom.vr import KNOWN, LOCALIZED_BYTES, LONG, SHORT
from hounsfield.errors import MalformedError, TruncatedError
from hounsfield.language import say

PIXEL_DATA = 0x7FE00010
MAX_ELEMENTS = 200_000
"""Elements in one data set or item; no CT has a hundredth of it."""

_TAGS = {True: Struct("<HH").unpack_from, False: Struct(">HH").unpack_from}
_HEADS = {True: Struct("<HHI").unpack_from, False: Struct(">HHI").unpack_from}
_EXPLICIT = {True: Struct("<HH2sH").unpack_from, False: Struct(">HH2sH").unpack_from}
_SHORT_LENGTH = {True: Struct("<H").unpack_from, False: Struct(">H").unpack_from}
_LONG_LENGTH = {True: Struct("<I").unpack_from, False: Struct(">I").unpack_from}
_ZEROS = bytes(8)
_BLOCK = 1 << 16


class Element(NamedTuple):
    """One element or item: its header from `start`, its value from `value` to `end`, the next one from `stop`.

    Between `end` and `stop` is the delimiter of an undefined length. `vr` is b"" in Implicit VR and for items, "UN"
    for one that is none. `cut`: the data end before the value does.
    """

    tag: int
    vr: bytes
    start: int
    value: int
    end: int
    stop: int
    undefined: bool = False
    cut: bool = False


class FullWalk(ContentReader):
    """Walks over the elements of one content; every position is absolute in it.

    `miscounted`: tags of texts whose length was written in characters, and that were read to their end all the same.
    """

    miscounted: tuple[int, ...] = ()

    def value(self, element: Element) -> bytes:
        return self.read(element.value, element.end - element.value)

    def elements(
        self, start: int, end: int, encoding: Encoding, *, depth: int = 0, past_pixels: bool = True
    ) -> Iterator[Element]:
        """The elements between `start` and `end`, sequences in one piece; delimiters out of place are passed over.

        At the top (`depth` 0) the data set ends where nothing but zeros follows, and behind Pixel Data with the first
        thing that cannot stand there: what is behind belongs to no element. An element that the data end in is the
        last, and `cut`. Without `past_pixels` the walk ends with the header of the pixel element, whose value is not
        looked at. Raises `MalformedError`.
        """
        position, behind_pixels, count = start, False, 0
        while position < end:
            count += 1
            if count > MAX_ELEMENTS:
                raise MalformedError(
                    say("more than {max_elements} elements in one data set", max_elements=MAX_ELEMENTS)
                )
            if not behind_pixels:
                # Nine of ten elements are plain, and this is where reading and rewriting a file spend their time.
                element = self._plain(position, end, encoding)
                if element is not None:
                    yield element
                    position = element.stop
                    continue
            head = self.read(position, min(12, end - position))
            is_cut = len(head) < 8 or (len(head) < 12 and not encoding.implicit and head[4:6] in LONG)
            if is_cut or head[:8] == _ZEROS:
                if behind_pixels or self._is_blank(position, end):
                    return
                if is_cut:
                    yield Element(0, b"UN", position, position, end, end, cut=True)
                    return
            tag = _tag(head, encoding)
            if tag >> 16 == DELIMITERS or head[:8] == _ZEROS:
                position += 8
                continue
            if not past_pixels and tag in PIXEL_TAGS:
                yield self._pixels_begin(tag, head, position, encoding)
                return
            try:
                element = self._element(position, head, end, encoding, depth)
            except MalformedError:
                if behind_pixels:
                    return
                raise
            if behind_pixels and not (tag > PIXEL_DATA and not element.cut and self._has_vr(head, encoding)):
                return
            yield element
            position = element.stop
            behind_pixels = behind_pixels or (tag in PIXEL_TAGS and depth == 0)

    def _plain(self, position: int, end: int, encoding: Encoding) -> Element | None:
        """An element of a known VR with a short length, that is whole; None for any other."""
        held, at = self._held, position
        if held is None:
            at -= self._window_start
            if at < 0 or at + 12 > len(self._window):
                self.read(position, 12)
                at = position - self._window_start
            held = self._window
        if position + 12 > end or at < 0 or at + 12 > len(held):
            return None
        vr = b""
        value = position + 8
        if encoding.implicit:
            group, number, length = _HEADS[encoding.little](held, at)
            if length >= LEAST_DEEP:
                return None
        else:
            group, number, vr, length = _EXPLICIT[encoding.little](held, at)
            if vr not in SHORT:
                if vr not in LONG:
                    return None
                (length,) = _LONG_LENGTH[encoding.little](held, at + 8)
                value += 4
                if length >= LEAST_DEEP:
                    return None
        stop = value + length
        tag = group << 16 | number
        if stop > end or group == DELIMITERS or tag in PIXEL_TAGS or not tag:
            return None
        if vr in LOCALIZED_BYTES and not self.read(value, length).isascii():
            stop = self._end_of_text(tag, value, stop, end, encoding)
        return Element(tag, vr, position, value, stop, stop)

    def _end_of_text(self, tag: int, value: int, stop: int, end: int, encoding: Encoding) -> int:
        """`stop`, or where a text really ends whose length counts characters and not bytes."""
        if self._may_follow(tag, stop, end, encoding):
            return stop

        def may_end(count: int) -> bool:
            head = self.read(value + count, min(12, end - value - count))
            if len(head) < 12 or head[4:6] not in KNOWN or _tag(head, encoding) <= tag:
                return False
            _, following, length = self._head(head, value + count, end, encoding)
            return length == UNDEFINED or following + length <= end

        content = self.read(value, min(5 * (stop - value) + 12, end - value))
        length = true_length(content, stop - value, may_end)
        if length is not None:
            self.miscounted += (tag,)
        return stop if length is None else value + length

    def whole_elements(
        self, start: int, end: int, encoding: Encoding, *, depth: int = 0
    ) -> tuple[Element, ...]:
        """The same, all of them. Raises `TruncatedError` where the data end in one that is no Pixel Data."""
        found = tuple(self.elements(start, end, encoding, depth=depth))
        if found and found[-1].cut and found[-1].tag not in PIXEL_TAGS:
            raise TruncatedError(
                say("the data end within the element at byte {start}", start=found[-1].start)
            )
        return found

    def items(
        self, sequence: Element, encoding: Encoding, *, depth: int = 0
    ) -> Iterator[tuple[Element, Encoding]]:
        """The items of `sequence`, which lies `depth` sequences deep, and how the elements of each are written.

        Raises `MalformedError` for what is no item, and for items that lie too deep.
        """
        if depth >= MAX_DEPTH:
            raise too_deep(_written(sequence.tag))
        inner = item_encoding(sequence, encoding)
        position = sequence.value
        while position + 8 <= sequence.end:
            head = self.read(position, 8)
            tag = _tag(head, inner)
            if tag in (SEQUENCE_END, ITEM_END):
                position += 8
                continue
            item = self._item(position, head, sequence.end, inner, depth + 1, is_last=True)
            yield item, self.sniffed(item.value, item.end, inner)
            position = item.stop

    def sniffed(self, start: int, end: int, encoding: Encoding) -> Encoding:
        """`encoding`, or what the first element between `start` and `end` shows instead: explicit or implicit VR."""
        head = self.read(start, min(8, end - start))
        if len(head) < 8 or _tag(head, encoding) >> 16 == DELIMITERS:
            return encoding
        is_known, fits = head[4:6] in KNOWN, self._fits(head, start, end, encoding)
        if encoding.implicit and is_known and not fits:
            return Encoding(False, encoding.little)
        if not encoding.implicit and not is_known and fits and not _is_printable(head[4:6]):
            return Encoding(True, encoding.little)
        return encoding

    def _fits(self, head: bytes, start: int, end: int, encoding: Encoding) -> bool:
        """Return whether an element of Implicit VR could stand at `start`."""
        length: int = _LONG_LENGTH[encoding.little](head, 4)[0]
        return length == UNDEFINED or start + 8 + length <= end

    def _has_vr(self, head: bytes, encoding: Encoding) -> bool:
        return encoding.implicit or head[4:6] in KNOWN

    def _is_blank(self, start: int, end: int) -> bool:
        """Return whether there is nothing but zeros from `start` on."""
        while start < end:
            block = self.read(start, min(_BLOCK, end - start))
            if not block or block.count(0) != len(block):
                return not block
            start += len(block)
        return True

    def _pixels_begin(self, tag: int, head: bytes, position: int, encoding: Encoding) -> Element:
        vr, value, length = self._head(head, position, self.size, encoding)
        if length == UNDEFINED:
            return Element(tag, vr, position, value, self.size, self.size, undefined=True)
        end = value + length
        return Element(tag, vr, position, value, end, min(end, self.size), cut=end > self.size)

    def _head(self, head: bytes, position: int, stop: int, encoding: Encoding) -> tuple[bytes, int, int]:
        """VR, where the value begins, and its length as it is written (PS3.5 7.1.2, 7.1.3)."""
        if encoding.implicit:
            return b"", position + 8, _LONG_LENGTH[encoding.little](head, 4)[0]
        vr = head[4:6]
        if vr in SHORT:
            return vr, position + 8, _SHORT_LENGTH[encoding.little](head, 6)[0]
        if vr in LONG:
            if len(head) < 12:
                raise TruncatedError(
                    say("the data end within the element at byte {position}", position=position)
                )
            return vr, position + 12, _LONG_LENGTH[encoding.little](head, 8)[0]
        return self._head_without_vr(head, position, stop, encoding)

    def _head_without_vr(
        self, head: bytes, position: int, stop: int, encoding: Encoding
    ) -> tuple[bytes, int, int]:
        """The same of an element whose VR is none (blank, of the future, left out): by what can follow it.

        Letters: a VR of the future has a length of 32 bits (PS3.5 7.1.2). Other signs stand before one of 16 bits, or
        are the length of an element in Implicit VR.
        """
        vr, little = head[4:6], encoding.little
        short = b"UN", position + 8, _SHORT_LENGTH[little](head, 6)[0]
        implicit = b"", position + 8, _LONG_LENGTH[little](head, 4)[0]
        readings = [short, implicit] if _is_printable(vr) or vr == b"\0\0" else [implicit, short]
        if len(head) == 12 and head[6:8] == b"\0\0":
            long = b"UN", position + 12, _LONG_LENGTH[little](head, 8)[0]
            readings.insert(0 if vr.isalpha() and vr.isupper() else 1, long)
        fitting = [reading for reading in readings if reading[1] + reading[2] <= stop]
        tag = _tag(head, encoding)
        for reading in fitting:
            if self._may_follow(tag, reading[1] + reading[2], stop, encoding):
                return reading
        if not fitting:
            raise no_element(tag, position)
        return fitting[0]

    def _may_follow(self, tag: int, position: int, stop: int, encoding: Encoding) -> bool:
        """Return whether an element of a higher tag, a delimiter, or the end stands at `position`."""
        head = self.read(position, min(8, stop - position))
        if len(head) < 8:
            return not head.strip(b"\0")
        following = _tag(head, encoding)
        return following > tag and (following >> 16 == DELIMITERS or self._has_vr(head, encoding))

    def _element(self, position: int, head: bytes, stop: int, encoding: Encoding, depth: int) -> Element:
        tag = _tag(head, encoding)
        vr, value, length = self._head(head, position, stop, encoding)
        if length != UNDEFINED:
            end = value + length
            found = Element(tag, vr, position, value, min(end, stop), min(end, stop), cut=end > stop)
        else:
            try:
                end, behind = self._delimited(tag, vr, value, stop, encoding, depth + 1)
            except TruncatedError:
                if depth:
                    raise
                return Element(tag, vr, position, value, stop, stop, undefined=True, cut=True)
            found = Element(tag, vr, position, value, end, behind, undefined=True)
        if depth == 0 and tag not in PIXEL_TAGS and found.end - value >= LEAST_DEEP:
            self._check_depth(found, encoding)
        return found

    def _check_depth(self, element: Element, encoding: Encoding) -> None:
        if _tag(self.read(element.value, 4), encoding) != ITEM:
            return
        content, start, end = self._held, element.value, element.end
        if content is None or isinstance(content, bytearray):
            content, start, end = self.value(element), 0, element.end - element.value
        if is_deep(content, start, end, little=item_encoding(element, encoding).little):
            raise too_deep(_written(element.tag))

    def _delimited(
        self, tag: int, vr: bytes, position: int, stop: int, encoding: Encoding, depth: int
    ) -> tuple[int, int]:
        """Return where a value of undefined length ends, and behind its delimiter."""
        if depth > MAX_DEPTH:
            raise too_deep(_written(tag))
        inner = IMPLICIT_VR_LITTLE if vr == b"UN" else encoding
        while True:
            head = self.read(position, min(8, stop - position))
            if len(head) < 8:
                if tag in PIXEL_TAGS:  # truncated pixels: everything there is belongs to them
                    return stop, stop
                raise TruncatedError(
                    say("the data end inside {written}", written=_written(tag)),
                    expected="its sequence delimiter",
                )
            if _tag(head, inner) == SEQUENCE_END:
                return position, position + 8
            try:
                item = self._item(position, head, stop, inner, depth)
            except MalformedError:
                if tag in PIXEL_TAGS:  # what follows the last fragment without a delimiter is none of them
                    return position, position
                raise
            position = item.stop

    def _item(
        self, position: int, head: bytes, stop: int, encoding: Encoding, depth: int, *, is_last: bool = False
    ) -> Element:
        if _tag(head, encoding) != ITEM:
            raise no_element(_tag(head, encoding), position)
        value = position + 8
        (length,) = _LONG_LENGTH[encoding.little](head, 4)
        if length != UNDEFINED:
            end = value + length
            return Element(ITEM, b"", position, value, min(end, stop), min(end, stop), cut=end > stop)
        end, behind = self._item_end(value, stop, self.sniffed(value, stop, encoding), depth, is_last=is_last)
        return Element(ITEM, b"", position, value, end, behind, undefined=True)

    def _item_end(
        self, position: int, stop: int, encoding: Encoding, depth: int, *, is_last: bool
    ) -> tuple[int, int]:
        """Return where the elements of an item end, and behind its delimiter; that of its sequence ends it too.

        `is_last`: so does `stop`, where the sequence is known to end.
        """
        start = position
        while True:
            head = self.read(position, min(12, stop - position))
            if is_last and position == stop:
                return stop, stop
            if len(head) < 8:
                raise TruncatedError(
                    say("the item at byte {start} does not end", start=start), expected="its delimiter"
                )
            tag = _tag(head, encoding)
            if tag == ITEM_END:
                return position, position + 8
            if tag in (SEQUENCE_END, ITEM):
                return position, position
            element = self._element(position, head, stop, encoding, depth)
            if element.cut:
                raise TruncatedError(
                    say("the item at byte {start} does not end", start=start), expected="its delimiter"
                )
            position = element.stop


def item_encoding(sequence: Element, encoding: Encoding) -> Encoding:
    """Return how the items of `sequence` are written: unknown VR hides Implicit Little Endian (PS3.5 6.2.2 note 2)."""
    return IMPLICIT_VR_LITTLE if sequence.vr == b"UN" else encoding


def _tag(head: bytes, encoding: Encoding) -> int:
    if len(head) < 4:
        return 0
    group, number = _TAGS[encoding.little](head)
    return int(group) << 16 | int(number)


def _is_printable(vr: bytes) -> bool:
    return all(0x20 <= sign < 0x7F for sign in vr)


def _written(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
