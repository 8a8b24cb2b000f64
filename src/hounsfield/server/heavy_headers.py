"""Instances whose header would fill the memory: what is not pixels is read in one piece, and is held to a size.

Looks at where elements begin, in a mapped file; reads none of their values.
"""

from __future__ import annotations

import contextlib
import mmap
import threading
from collections.abc import Iterator
from typing import BinaryIO

from hounsfield.errors import HounsfieldError
from hounsfield.instance import Source
from hounsfield.instance.elements import PIXEL_TAGS, file_meta
from hounsfield.syntaxes import transfer_syntax
from hounsfield.transcode.elements import Encoding, walk

LARGE = 64 * 1024 * 1024
"""Instances above this, and deflated ones, are read two at a time in one process."""

_META_BYTES = 64 * 1024
_alone = threading.BoundedSemaphore(2)


def is_too_heavy(source: Source, size: int, limit: int) -> bool:
    """Whether an instance has more than `limit` bytes before its pixels, or none and more bytes."""
    if size <= limit:
        return False
    with source.open() as stream:
        syntax, begin = file_meta(stream.read(_META_BYTES))
        try:
            known = transfer_syntax(syntax)
            if known.deflated:
                return False  # what it inflates to has a limit of its own
            with _content(stream, size) as content:
                encoding = Encoding(known.implicit_vr, known.little_endian)
                for element in walk(content, begin, size, encoding):  # type: ignore[arg-type]
                    if element.start > limit or element.tag in PIXEL_TAGS:
                        return element.start > limit
        except (HounsfieldError, OSError, ValueError):
            # Nothing that can be stepped through has a place for pixels.
            return True
    return True


@contextlib.contextmanager
def _content(stream: BinaryIO, size: int) -> Iterator[bytes | mmap.mmap]:
    """All of a stream: mapped, or what is in memory anyway."""
    if size <= LARGE:
        stream.seek(0)
        yield stream.read()
        return
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


@contextlib.contextmanager
def in_turn(source: Source, size: int) -> Iterator[None]:
    """Wait while two others of the large are read."""
    with source.open() as stream:
        deflated = b"1.2.840.10008.1.2.1.99" in stream.read(_META_BYTES)
    with _alone if deflated or size > LARGE else contextlib.nullcontext():
        yield
