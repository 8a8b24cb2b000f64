"""Validation of the parts of a store request: the record of an instance that may be stored, or why it is refused.

Reads the header and where fragments begin, never pixels; knows nothing of multipart, files or the index.
"""

from __future__ import annotations

import io
import logging
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, BinaryIO, cast

from hounsfield.attributes.header_text import read_header_text
from hounsfield.ct.instance import Instance, Source
from hounsfield.ct.instance.reading import open_pixels
from hounsfield.dicom.encapsulation import missing_bytes
from hounsfield.dicom.full_walk import FullWalk
from hounsfield.dicom.part10 import file_parts, first_encoding
from hounsfield.dicom.uids import DEFLATED, IMPLICIT_LITTLE
from hounsfield.errors import HounsfieldError, LocationError, TruncatedError
from hounsfield.server.archive.index import Record
from hounsfield.server.archive.index.records import record_of
from hounsfield.server.ingest.header_limits import in_turn, too_much
from hounsfield.transcode.part10 import read_part10

DUPLICATE, NOT_UNDERSTOOD, MISMATCH, NO_ROOM, FAILED = 0x0111, 0xC000, 0xA900, 0xA700, 0x0110
"""Failure Reasons (PS3.18 Table I.2-2)."""

MAX_DOCUMENT = 256 * 1024 * 1024
"""Bytes of an instance beside its pixels, unless a limit says otherwise."""

MAX_FRAGMENTS = 1 << 21
"""Of one instance's Pixel Data: each costs time and memory whenever one of its frames is looked for."""

MAX_ELEMENTS = 100_000
"""Data elements at the root of an instance, unless a limit says otherwise: some thirty times what any device writes."""

WALKED_BYTES = 64 * 1024 * 1024
"""Instances without pixels up to this size are walked to their end."""

_PREAMBLE = 128

log = logging.getLogger("hounsfield.server")


@dataclass(frozen=True, slots=True)
class Refused:
    """A part that is not stored, and why."""

    code: int
    reason: str
    sop_instance: str = ""
    sop_class: str = ""


def validate(
    source: Source,
    *,
    size: int,
    study: str | None = None,
    instance: str | None = None,
    header: int,
    document: int = MAX_DOCUMENT,
    elements: int = MAX_ELEMENTS,
) -> Record | Refused:
    """The record (without a key) of an instance of `size` bytes, or why it is none.

    `study`: the only one it may be of, `instance`: the only one it may be. `header`: bytes that its header may have,
    deflated; `document`: bytes that it may have beside its pixels, `elements`: how many data elements at its root.
    Raises `LocationError` where the source cannot be read.
    """
    record: Record | None = None
    try:
        with source.open() as stream:
            if stream.read(_PREAMBLE + 4)[_PREAMBLE:] != b"DICM":
                return Refused(NOT_UNDERSTOOD, "not a DICOM file: no DICM after a preamble")
        if reason := too_much(source, size, document=document, elements=elements):
            return Refused(NO_ROOM, reason)
        with in_turn(source, size):
            text = read_header_text(source)
        record = record_of(text, key="", size=size)
        if instance is not None and record.instance != instance:
            reason = "its SOP Instance UID is not the one that it was sent under"
            return Refused(MISMATCH, reason, record.instance, record.sop_class)
        return _problem(record, text.instance, size, study, header) or record
    except LocationError:
        raise
    except HounsfieldError as error:
        error.where = None
        return Refused(NOT_UNDERSTOOD, str(error), record.instance if record else "")
    except Exception as error:
        log.error("an instance could not be validated", exc_info=error)
        return Refused(FAILED, "internal server error")


def _problem(record: Record, instance: Instance, size: int, study: str | None, header: int) -> Refused | None:
    def refused(code: int, reason: str) -> Refused:
        return Refused(code, reason, record.instance, record.sop_class)

    if not record.sop_class:
        return refused(MISMATCH, "no SOP Class UID")
    if study is not None and record.study != study:
        return refused(MISMATCH, "its study is not the one in the URL")
    if wrong := _mislabelled(record, instance, size) or _truncated(instance, size):
        return refused(NOT_UNDERSTOOD, wrong)
    if len(record.header) > header:
        return refused(NO_ROOM, f"a header of more than {header} bytes")
    return None


def _mislabelled(record: Record, instance: Instance, size: int) -> str:
    """Return what a Transfer Syntax UID says wrongly of the VRs; "" where it is right, or harmless."""
    if record.syntax != IMPLICIT_LITTLE:
        return ""
    with instance.source.open() as stream:
        walk = FullWalk(stream, size)
        parts = file_parts(walk)
        if first_encoding(walk.read(parts.begin, 8), parts.syntax).implicit:
            return ""
    return "its data set is in Explicit VR, and its Transfer Syntax UID says Implicit VR Little Endian"


def _truncated(instance: Instance, size: int) -> str:
    """Return what a file lacks of what it declares; "" for nothing that is known."""
    if instance.header.pixels is not None:
        missing = _missing_bytes(instance, size)
    else:
        missing = _missing_elements(instance) if size <= WALKED_BYTES else ""
    return f"truncated: {missing}" if missing else ""


def _missing_bytes(instance: Instance, size: int) -> str:
    """Return what a file lacks of the pixel data it declares; "" for nothing."""
    pixels = instance.header.pixels
    assert pixels is not None
    if instance.header.transfer_syntax == DEFLATED:
        with open_pixels(instance.source, instance.header) as stream:
            size = stream.seek(0, io.SEEK_END)
    if pixels.length is not None:
        missing = pixels.offset + pixels.length - size
        return f"{missing} bytes of Pixel Data are missing" if missing > 0 else ""
    with open_pixels(instance.source, instance.header) as stream:
        return missing_bytes(stream, pixels.offset, most=MAX_FRAGMENTS)


def _missing_elements(instance: Instance) -> str:
    """Return what a file without pixels lacks of the elements it declares; "" for nothing that is known."""
    syntax = instance.syntax
    if syntax.deflated:
        return ""
    with instance.source.open() as stream:
        content = stream.read()
    try:
        read_part10(content)
    except TruncatedError as error:
        return error.found
    except HounsfieldError:
        # Odd in another way; it was read all the same.
        return ""
    return ""


class HeldSource:
    """A part that is still in memory, in the pieces in which it came."""

    name = "a part of the request"

    def __init__(self, pieces: Sequence[bytes | memoryview]) -> None:
        self._pieces = pieces
        self._ends = list(accumulate(map(len, pieces)))

    def open(self) -> BinaryIO:
        return cast(BinaryIO, _Pieces(self._pieces, self._ends))


class _Pieces(io.RawIOBase):
    """A seekable stream over pieces, which are not joined."""

    def __init__(self, pieces: Sequence[bytes | memoryview], ends: Sequence[int]) -> None:
        super().__init__()
        self._pieces, self._ends = pieces, ends
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        base = {0: 0, 1: self._position, 2: self._ends[-1] if self._ends else 0}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        got = 0
        number = bisect_right(self._ends, self._position)
        while got < len(buffer) and number < len(self._pieces):
            piece = self._pieces[number]
            start = self._position - self._ends[number] + len(piece)
            part = piece[start : start + len(buffer) - got]
            buffer[got : got + len(part)] = part
            got += len(part)
            self._position += len(part)
            number += 1
        return got
