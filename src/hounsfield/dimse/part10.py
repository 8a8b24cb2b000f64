"""A data set that came over DIMSE as a file (PS3.10): the meta group before it, and what does not belong into it.

The same instance always makes the same bytes: nothing of who sent it, or when, is in the meta group.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

from hounsfield.dimse.pdus import IMPLEMENTATION_CLASS

_META = 0x0002
_BEFORE_DATA = frozenset({0x0000, _META})
_LONG_VRS = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
_HEAD_BYTES, _BLOCK_BYTES = 64 * 1024, 256 * 1024
"""Bytes of a file in which its meta group ends, and that are read at once."""

_MAX_STRAY = 1024
"""Bytes of one stray element that is left out; a longer one is no element of a meta group."""


def file_start(sop_class: str, sop_instance: str, transfer_syntax: str) -> bytes:
    """Preamble, prefix and file meta group (PS3.10 7.1) of an instance."""
    elements = b"".join(
        (
            struct.pack("<HH2sHI", _META, 0x0001, b"OB", 0, 2) + b"\0\1",
            _uid(0x0002, sop_class),
            _uid(0x0003, sop_instance),
            _uid(0x0010, transfer_syntax),
            _uid(0x0012, IMPLEMENTATION_CLASS),
        )
    )
    length = struct.pack("<HH2sHI", _META, 0, b"UL", 4, len(elements))
    return bytes(128) + b"DICM" + length + elements


def _uid(element: int, uid: str) -> bytes:
    value = uid.encode("ascii", "replace")
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HH2sH", _META, element, b"UI", len(value)) + value


def data_set_pieces(open_stream: Callable[[], BinaryIO]) -> Iterator[memoryview]:
    """The data set of a file, as it is behind preamble and meta group, block by block."""
    with open_stream() as stream:
        head = stream.read(_HEAD_BYTES)
        yield memoryview(head)[_start_of_data(head, _HEAD_BYTES, implicit=False) :]
        while block := stream.read(_BLOCK_BYTES):
            yield memoryview(block)


def meta_bytes(stream: BinaryIO) -> bytes:
    """Preamble, prefix and meta group of a file."""
    head = stream.read(_HEAD_BYTES)
    return head[: _start_of_data(head, _HEAD_BYTES, implicit=False)]


def stray_bytes(start: bytes, *, implicit: bool) -> int:
    """How many bytes at the `start` of a data set in little endian belong to groups 0000 and 0002, or to a preamble.

    Some senders pass a whole file on, or its meta group; that group may be explicit where the rest is implicit.
    """
    return _start_of_data(start, _MAX_STRAY, implicit=implicit)


def _start_of_data(start: bytes, longest: int, *, implicit: bool) -> int:
    """Where the first element of no meta group begins; none of those is longer than `longest`."""
    position = 132 if start[128:132] == b"DICM" else 0
    while len(start) - position >= 8:
        (group,) = struct.unpack_from("<H", start, position)
        if group not in _BEFORE_DATA:
            break
        size = _element_size(start, position, implicit=implicit)
        if size is None or size > longest or position + size > len(start):
            break
        position += size
    return position


def _element_size(start: bytes, position: int, *, implicit: bool) -> int | None:
    vr = start[position + 4 : position + 6]
    if not (vr.isalpha() and vr.isupper()):
        if not implicit:
            return None
        return 8 + int(struct.unpack_from("<I", start, position + 4)[0])
    if vr in _LONG_VRS:
        if len(start) - position < 12:
            return None
        return 12 + int(struct.unpack_from("<I", start, position + 8)[0])
    return 8 + int(struct.unpack_from("<H", start, position + 6)[0])
