"""Instances whose header would fill the memory: what is not pixels is read in one piece, and is held to a size.

Looks at where elements begin, in a mapped file; reads none of their values.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import threading
from collections.abc import Iterator
from typing import BinaryIO

from hounsfield.ct.instance import Source
from hounsfield.dicom.encoding import PIXEL_TAGS
from hounsfield.dicom.full_walk import FullWalk
from hounsfield.dicom.part10 import file_parts, open_data_set
from hounsfield.dicom.uids import DEFLATED
from hounsfield.errors import HounsfieldError

LARGE = 64 * 1024 * 1024
"""Instances above this, and deflated ones, are read two at a time in one process."""

_LEAST_ELEMENT = 8  # bytes: a header without a value
_META_BYTES = 64 * 1024
_alone = threading.BoundedSemaphore(2)


def too_much(source: Source, size: int, *, document: int, elements: int) -> str:
    """Return which limit an instance of `size` bytes exceeds; "" where it may be read.

    `document`: bytes before its pixels, or all of them where it has none; `elements`: data elements before them.
    """
    if size <= min(document, elements * _LEAST_ELEMENT):
        return ""
    with source.open() as stream:
        try:
            with _content(stream, size) as content:
                walk = FullWalk(content)
                parts = file_parts(walk)
                if parts.deflated:
                    return ""  # what it inflates to has a limit of its own
                data = open_data_set(walk, parts)
                found = walk.elements(data.begin, size, data.encoding, past_pixels=False)
                for count, element in enumerate(found, 1):
                    if element.start > document:
                        break
                    if element.tag in PIXEL_TAGS:
                        return ""
                    if count > elements:
                        return f"more than {elements} data elements"
        except (HounsfieldError, OSError, ValueError):
            pass  # nothing that can be stepped through has a place for pixels
    return f"more than {document} bytes beside Pixel Data" if size > document else ""


@contextlib.contextmanager
def _content(stream: BinaryIO, size: int) -> Iterator[bytes | mmap.mmap]:
    """All of a stream: mapped where it is a file, else what is in memory anyway."""
    if size <= LARGE and not isinstance(stream, io.FileIO):
        stream.seek(0)
        yield stream.read()
        return
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


@contextlib.contextmanager
def in_turn(source: Source, size: int) -> Iterator[None]:
    """Wait while two others of the large are read."""
    with source.open() as stream:
        deflated = DEFLATED.encode() in stream.read(_META_BYTES)
    with _alone if deflated or size > LARGE else contextlib.nullcontext():
        yield
