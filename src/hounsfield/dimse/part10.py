"""A data set that came over DIMSE as a file (PS3.10): the meta group before it, and what does not belong into it.

The same instance always makes the same bytes: nothing of who sent it, or when, is in the meta group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from hounsfield.dicom.encoding import EXPLICIT_LITTLE, IMPLICIT_VR_LITTLE, encode_element
from hounsfield.dicom.full_walk import FullWalk
from hounsfield.dimse.pdus import IMPLEMENTATION_CLASS

_META = 0x0002
_BEFORE_DATA = frozenset({0x0000, _META})
_HEAD_BYTES, _BLOCK_BYTES = 64 * 1024, 256 * 1024
"""Bytes of a file in which its meta group ends, and that are read at once."""

_MAX_STRAY = 1024
"""Bytes of one stray element that is left out; a longer one is no element of a meta group."""


def file_start(sop_class: str, sop_instance: str, transfer_syntax: str) -> bytes:
    """Preamble, prefix and file meta group (PS3.10 7.1) of an instance."""
    named = {0x0002: sop_class, 0x0003: sop_instance, 0x0010: transfer_syntax, 0x0012: IMPLEMENTATION_CLASS}
    version = encode_element(_META << 16 | 0x0001, b"OB", b"\0\1", EXPLICIT_LITTLE)
    elements = version + b"".join(
        encode_element(_META << 16 | element, b"UI", uid.encode("ascii", "replace"), EXPLICIT_LITTLE)
        for element, uid in named.items()
    )
    length = EXPLICIT_LITTLE.header(_META << 16, b"UL", 4) + EXPLICIT_LITTLE.length(len(elements))
    return bytes(128) + b"DICM" + length + elements


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
    """Return how many bytes at the `start` of a data set in little endian belong to groups 0000 and 0002, or to a
    preamble.

    Some senders pass a whole file on, or its meta group; that group may be explicit where the rest is implicit.
    """
    return _start_of_data(start, _MAX_STRAY, implicit=implicit)


def _start_of_data(start: bytes, longest: int, *, implicit: bool) -> int:
    """Return where the first element of no meta group begins; none of those is longer than `longest`."""
    position = 132 if start[128:132] == b"DICM" else 0
    walk = FullWalk(start)
    while int.from_bytes(start[position : position + 2], "little") in _BEFORE_DATA:
        vr = start[position + 4 : position + 6]
        encoding = EXPLICIT_LITTLE if vr.isalpha() and vr.isupper() else IMPLICIT_VR_LITTLE
        if encoding.implicit and not implicit:
            break
        element = next(walk.elements(position, len(start), encoding), None)
        if element is None or element.cut or element.stop - position > longest:
            break
        position = element.stop
    return position
