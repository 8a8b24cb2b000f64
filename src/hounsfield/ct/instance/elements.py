"""The hot path: the few elements a CT reader needs, straight from the bytes of a Part 10 file.

pydicom takes half a millisecond for a header; this walk takes a tenth. It knows Explicit and Implicit VR Little
Endian with a file meta group, strictly, and returns None at the first thing it does not recognise: then pydicom
reads the header, tolerantly (`reading.py`). `tests/test_elements.py` checks that both agree on every file in reach.

Not a general parser: values stay bytes, sequences are stepped over, nothing after Pixel Data is seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct
from typing import BinaryIO

FIRST_READ = 16 * 1024  # most CT headers end before; one read, one page-cache copy
HEADER_LIMIT = 32 * 1024 * 1024  # an Enhanced CT of 10 000 frames; larger headers are left to pydicom
UNDEFINED = 0xFFFFFFFF
LARGEST_ELEMENT_HEADER = 12  # bytes: tag, VR, two reserved, a 32-bit length (PS3.5 7.1.2)

_EXPLICIT = Struct("<HH2sH").unpack_from
_IMPLICIT = Struct("<HHI").unpack_from
_LONG_LENGTH = Struct("<I").unpack_from

# PS3.5 7.1.2: these carry two reserved bytes and a 32-bit length.
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_BINARY_VRS = frozenset(b"US SS UL SL FL FD".split())
TEXT_VRS = SHORT_VRS - _BINARY_VRS - {b"AT"}

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_ITEM_TAG = b"\xfe\xff\x00\xe0"
_PAST_META = 0x00030000
_PIXELS = 0x7FE00008  # the least of the pixel elements; what is wanted of group 7FE0 lies before it
PIXEL_TAGS = {0x7FE00010: "PixelData", 0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData"}

TRANSFER_SYNTAX = 0x00020010
IMPLICIT_LITTLE = b"1.2.840.10008.1.2"
_IMPLICIT_SYNTAXES = frozenset(
    {IMPLICIT_LITTLE, b"1.2.840.113619.5.2"}
)  # the second but for its pixels (`syntaxes`)
# Explicit VR Little Endian is also the encoding around every encapsulated syntax (PS3.5 A.4); these two are not it.
_NOT_LITTLE_EXPLICIT = frozenset({b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2"})


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where a pixel element's value begins in its stream; `length` None when undefined (encapsulated).

    `swapped`: VR OW in a big endian data set, where 8-bit cells come in swapped pairs (PS3.5 A.3, D).
    `strict`: found by this walk, so that every tag before it is lower and every element is well formed.
    """

    keyword: str
    offset: int
    length: int | None
    swapped: bool = False
    strict: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Elements:
    """Wanted elements of one header as little-endian value bytes, and where the pixels are.

    `values` maps a tag (group << 16 | element) to its value; a sequence that is present maps to b"".
    """

    values: dict[int, bytes]
    transfer_syntax: str
    pixels: PixelElement | None


class Unrecognised(Exception):
    """Something this walk leaves to pydicom."""


@dataclass(slots=True)
class Trace:
    """Where the elements of a header lie in `buffer`: their tags, where each starts (and, last, where the pixels
    do), where each value does, and where the data set begins after the file meta group.
    """

    buffer: bytes = b""
    tags: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    data_set: int = 0
    implicit: bool = False

    def begin(self, buffer: bytes) -> None:
        self.buffer = buffer
        for found in (self.tags, self.starts, self.values):
            found.clear()

    def add(self, tag: int, start: int, value: int) -> None:
        self.tags.append(tag)
        self.starts.append(start)
        self.values.append(value)


def scan_elements(
    stream: BinaryIO, wanted: dict[int, bytes], *, trace: Trace | None = None
) -> Elements | None:
    """Read the `wanted` elements from the start of `stream`; None when the file is not of the plain kind.

    `wanted` maps a tag to its expected VR (PS3.6). Reads up to the pixel element and no further. `trace` is told
    where every element was.
    """
    buffer = stream.read(FIRST_READ)
    if buffer[128:132] != b"DICM":
        return None
    try:
        while True:
            elements = _walk(buffer, wanted, trace)
            if elements is not None:
                return elements
            more = stream.read(len(buffer)) if len(buffer) < HEADER_LIMIT else b""
            if not more:
                return None
            buffer += more
    except (Unrecognised, RecursionError):
        return None


def file_meta(start: bytes) -> tuple[str, int]:
    """(Transfer Syntax UID, where the data set begins) of a Part 10 file (PS3.10 7.1); ("", 0) without meta."""
    if start[128:132] != b"DICM":
        return "", 0
    values: dict[int, bytes] = {}
    try:
        position = _walk_explicit(start, 132, values, {TRANSFER_SYNTAX: b"UI"}, _PAST_META)
    except (Unrecognised, RecursionError):
        return "", 0
    syntax = values.get(TRANSFER_SYNTAX, b"").rstrip(b"\0 ")
    return ("", 0) if position is None else (syntax.decode("ascii", "replace"), position)


def _walk(buffer: bytes, wanted: dict[int, bytes], trace: Trace | None) -> Elements | None:
    """One pass over the buffered header; None when it ends before Pixel Data does begin."""
    values: dict[int, bytes] = {}
    if trace is not None:  # the pass before ended with its buffer
        trace.begin(buffer)
    position = _walk_explicit(buffer, 132, values, {TRANSFER_SYNTAX: b"UI"}, _PAST_META, trace)
    if position is None:
        return None
    syntax = values.pop(TRANSFER_SYNTAX, b"").rstrip(b"\0 ")
    if not syntax or syntax in _NOT_LITTLE_EXPLICIT:
        raise Unrecognised
    implicit = syntax in _IMPLICIT_SYNTAXES
    if trace is not None:
        trace.data_set, trace.implicit = position, implicit
    walk = _walk_implicit if implicit else _walk_explicit
    position = walk(buffer, position, values, wanted, _PIXELS, trace)
    if position is None:
        return None
    if trace is not None:
        trace.starts.append(position)
    pixels = pixel_element(buffer, position, implicit=implicit)
    return None if pixels is None else Elements(values, syntax.decode("ascii", "replace"), pixels)


def _walk_explicit(
    buffer: bytes,
    position: int,
    values: dict[int, bytes],
    wanted: dict[int, bytes],
    beyond: int,
    trace: Trace | None = None,
) -> int | None:
    """Step over Explicit VR Little Endian elements; the position of the first one whose tag is not below `beyond`.

    The loop that headers are read in: some 130 turns a file, so it calls nothing that it need not call.
    """
    last_start = len(buffer) - LARGEST_ELEMENT_HEADER
    last = 0
    while position <= last_start:
        group, element, vr, length = _EXPLICIT(buffer, position)
        tag = group << 16 | element
        if tag >= beyond:
            return position
        if tag <= last:
            raise Unrecognised
        last = tag
        position += 8
        if vr in LONG_VRS:
            (length,) = _LONG_LENGTH(buffer, position)
            position += 4
            if length == UNDEFINED:
                length = undefined_length(buffer, position, vr)
        elif vr not in SHORT_VRS:
            raise Unrecognised
        start = position
        position += length
        if trace is not None:
            trace.add(tag, start - (12 if vr in LONG_VRS else 8), start)
        if tag in wanted:
            if position > len(buffer):
                return None
            if vr == wanted[tag] and vr != b"SQ":
                values[tag] = buffer[start:position]
            else:
                keep_value(values, buffer, tag, vr, start, position, wanted[tag])
    return None


def undefined_length(buffer: bytes, start: int, vr: bytes, *, implicit: bool = False) -> int:
    """Length of a sequence that ends by its delimiter; beyond the buffer when that ends first."""
    if vr != b"SQ" and not implicit:
        raise Unrecognised
    return _skip_items(buffer, start, implicit=implicit) - start


def _walk_implicit(
    buffer: bytes,
    position: int,
    values: dict[int, bytes],
    wanted: dict[int, bytes],
    beyond: int,
    trace: Trace | None = None,
) -> int | None:
    """The same for Implicit VR Little Endian, where the VR is the dictionary's."""
    end = len(buffer)
    last = 0
    while position + 8 <= end:
        group, element, length = _IMPLICIT(buffer, position)
        tag = group << 16 | element
        if tag >= beyond:
            return position
        if tag <= last:
            raise Unrecognised
        last = tag
        start = position + 8
        if length == UNDEFINED:
            length = undefined_length(buffer, start, b"SQ", implicit=True)
        if trace is not None:
            trace.add(tag, position, start)
        position = start + length
        if tag in wanted:
            if position > end:
                return None
            keep_value(values, buffer, tag, wanted[tag], start, position, wanted[tag])
    return None


def keep_value(
    values: dict[int, bytes], buffer: bytes, tag: int, vr: bytes, start: int, stop: int, expected: bytes
) -> None:
    """Keep one wanted value, if it is written with a VR that means what the dictionary's does.

    A sequence without an item counts as absent.
    """
    if expected == b"SQ":
        if vr not in (b"SQ", b"UN"):
            raise Unrecognised
        if buffer[start : min(start + 4, stop)] == _ITEM_TAG:
            values[tag] = b""
        return
    if vr != expected and not (
        (vr in TEXT_VRS and expected in TEXT_VRS) or (vr in (b"US", b"SS") and expected in (b"US", b"SS"))
    ):
        raise Unrecognised
    values[tag] = buffer[start:stop]


def _skip_items(buffer: bytes, position: int, *, implicit: bool = False) -> int:
    """The position after an undefined-length sequence's delimiter (PS3.5 7.5); past the buffer when it ends first."""
    end = len(buffer)
    while position + 8 <= end:
        group, element, length = _IMPLICIT(buffer, position)
        tag = group << 16 | element
        position += 8
        if tag == SEQUENCE_END:
            return position
        if tag != ITEM:
            raise Unrecognised
        if length == UNDEFINED:
            position = _skip_item(buffer, position, implicit=implicit)
        else:
            position += length
    return end + 1


def _skip_item(buffer: bytes, position: int, *, implicit: bool) -> int:
    """The position after an undefined-length item's delimiter; past the buffer when it ends first."""
    end = len(buffer)
    while position + 8 <= end:
        group, element, length = _IMPLICIT(buffer, position)
        if group << 16 | element == ITEM_END:
            return position + 8
        position += 8
        vr = b"SQ" if implicit else buffer[position - 4 : position - 2]
        if not implicit:
            if vr in SHORT_VRS:
                length >>= 16
            elif vr in LONG_VRS and position + 4 <= end:
                (length,) = _LONG_LENGTH(buffer, position)
                position += 4
            else:
                raise Unrecognised
        if length == UNDEFINED:
            position += undefined_length(buffer, position, vr, implicit=implicit)
        else:
            position += length
    return end + 1


def pixel_element(buffer: bytes, position: int, *, implicit: bool) -> PixelElement | None:
    """The pixel element whose header starts at `position`; None when the buffer ends inside that header."""
    group, element, length = _IMPLICIT(buffer, position)
    start = position + 8
    if not implicit:
        if buffer[position + 4 : position + 6] not in LONG_VRS:
            raise Unrecognised
        if start + 4 > len(buffer):
            return None
        (length,) = _LONG_LENGTH(buffer, start)
        start += 4
    keyword = PIXEL_TAGS.get(group << 16 | element)
    if keyword is None:
        raise Unrecognised
    return PixelElement(keyword, start, None if length == UNDEFINED else length, strict=True)
