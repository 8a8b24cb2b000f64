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
from hounsfield.ct.instance.elements import PIXEL_TAGS, file_meta
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.errors import HounsfieldError, MalformedError, TruncatedError
from hounsfield.transcode.elements import Element, Encoding, walk

LARGE = 64 * 1024 * 1024
"""Instances above this, and deflated ones, are read two at a time in one process."""

_LEAST_ELEMENT = 8  # bytes: a header without a value
_META_BYTES = 64 * 1024
_alone = threading.BoundedSemaphore(2)


def too_much(source: Source, size: int, *, document: int, elements: int) -> str:
    """What an instance of `size` bytes has too much of; "" where it may be read.

    `document`: bytes before its pixels, or all of them where it has none; `elements`: data elements before them.
    """
    if size <= min(document, elements * _LEAST_ELEMENT):
        return ""
    with source.open() as stream:
        syntax, begin = file_meta(stream.read(_META_BYTES))
        try:
            known = transfer_syntax(syntax)
            if known.deflated:
                return ""  # what it inflates to has a limit of its own
            with _content(stream, size) as content:
                encoding = Encoding(known.implicit_vr, known.little_endian)
                for count, element in enumerate(_stepped(content, begin, size, encoding), 1):
                    if element.start > document:
                        break
                    if element.tag in PIXEL_TAGS:
                        return ""
                    if count > elements:
                        return f"more than {elements} data elements"
        except (HounsfieldError, OSError, ValueError):
            pass  # nothing that can be stepped through has a place for pixels
    return f"more than {document} bytes beside Pixel Data" if size > document else ""


def _stepped(content: bytes | mmap.mmap, start: int, stop: int, encoding: Encoding) -> Iterator[Element]:
    """The elements, also those of a VR that is none, which are then read with a length of 16 bits."""
    while start < stop:
        try:
            for element in walk(content, start, stop, encoding):  # type: ignore[arg-type]
                yield element
                start = element.stop
        except TruncatedError:
            raise
        except MalformedError:
            length = int.from_bytes(content[start + 6 : start + 8], "little" if encoding.little else "big")
            if encoding.implicit:
                raise
            yield Element(0, b"UN", start, start + 8, start + 8 + length, length)
            start += 8 + length


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
        deflated = b"1.2.840.10008.1.2.1.99" in stream.read(_META_BYTES)
    with _alone if deflated or size > LARGE else contextlib.nullcontext():
        yield
