"""Encapsulated pixels in their stream: where the frames are, and all bytes of a single one by one call. No decoder."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, BinaryIO

from hounsfield.ct.instance.header import Header

if TYPE_CHECKING:
    from hounsfield.dicom.encapsulation import Frame

_MORE_THAN_NATIVE = 1 << 16  # bytes by which a codestream and what follows it may exceed the native frame
_READ_AT_ONCE = 1 << 24  # bytes


def frames_behind(
    stream: BinaryIO, header: Header, offset: int, *, truncated: bool = False
) -> tuple[Frame, ...]:
    """Locate each frame's bytes by `header`, whose pixels begin at `offset` in `stream` (`locate_frames`)."""
    from hounsfield.dicom.encapsulation import locate_frames

    return locate_frames(
        stream,
        offset=offset,
        number_of_frames=header.number_of_frames,
        extended_offsets=header.offsets("ExtendedOffsetTable"),
        extended_lengths=header.offsets("ExtendedOffsetTableLengths"),
        truncated=truncated,
    )


def read_rest(stream: BinaryIO, offset: int, *, frame_bytes: int) -> bytes | None:
    """The file from its pixels on, by one call: with each, threads that decode beside it give way to each other.

    None where that is more than one frame can be, or the stream is no file.
    """
    if not isinstance(stream, io.FileIO) or not hasattr(os, "pread"):
        return None
    most = frame_bytes + _MORE_THAN_NATIVE
    rest = os.pread(stream.fileno(), most, offset) if most <= _READ_AT_ONCE else b""
    return rest if 0 < len(rest) < most else None
