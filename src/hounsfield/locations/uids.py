"""The UIDs that are written in the bytes of an instance, and whether those bytes are whole."""

from __future__ import annotations

import io
import os

from hounsfield.ct.instance.reading import read_header
from hounsfield.ct.instance.source import BytesSource, Source
from hounsfield.dicom.fast_walk import scan_elements
from hounsfield.dicomweb.uids import is_uid
from hounsfield.errors import HounsfieldError, MalformedError, TruncatedError
from hounsfield.language import say

HEAD_BYTES = 64 * 1024
"""Bytes kept in memory of a file that is being written, to read its header from."""

_SOP_INSTANCE = 0x00080018
_UIDS = {0x0020000D: b"UI", 0x0020000E: b"UI", _SOP_INSTANCE: b"UI"}


class _Head(io.BytesIO):
    """Bytes that come all at once, so that a header is walked over once."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read()


def written_uids(source: Source, head: bytes = b"", size: int = 0) -> tuple[str, str, str]:
    """(study, series, instance) UIDs of a whole file; an error for what is no DICOM, is cut, or has none.

    `head` and `size`, where they are known, save reading the file again.
    """
    elements = scan_elements(_Head(head), _UIDS) if head else None
    if elements is None:
        with source.open() as stream:
            elements = scan_elements(stream, _UIDS)
            size = stream.seek(0, os.SEEK_END)
    if elements is None:
        header = read_header(source)
        texts = [header.text(f"{each}InstanceUID") for each in ("Study", "Series", "SOP")]
    else:
        texts = [elements.values.get(tag, b"").rstrip(b"\0 ").decode("latin-1") for tag in _UIDS]
        pixels = elements.pixels
        if pixels is not None and pixels.length is not None and pixels.offset + pixels.length > size:
            raise TruncatedError(
                say("{size} bytes", size=size),
                expected=f"{pixels.offset + pixels.length}",
                where=source.name,
                found_bytes=size,
                expected_bytes=pixels.offset + pixels.length,
            )
    if not all(map(is_uid, texts)):
        raise MalformedError("an instance without its UIDs", where=source.name)
    return texts[0], texts[1], texts[2]


def sop_instance_uid(content: bytes) -> str | None:
    """The SOP Instance UID in the bytes of an instance; None where they are none."""
    elements = scan_elements(io.BytesIO(content), {_SOP_INSTANCE: b"UI"})
    if elements is not None and (value := elements.values.get(_SOP_INSTANCE)):
        return value.rstrip(b"\0 ").decode("latin-1")
    try:
        return read_header(BytesSource("an instance", content)).text("SOPInstanceUID") or None
    except HounsfieldError:
        return None
