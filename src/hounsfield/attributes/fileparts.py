"""The parts of a DICOM file (PS3.10 7.1): preamble, file meta group, data set, and how the last is written."""

from __future__ import annotations

import io
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from hounsfield.attributes.elements import EXPLICIT_LITTLE, Element, Encoding, Walk
from hounsfield.ct.instance.elements import LONG_VRS, SHORT_VRS
from hounsfield.ct.instance.reading import INFLATED_LIMIT
from hounsfield.errors import MalformedError, NotDicomError

DEFLATED = "1.2.840.10008.1.2.1.99"
_IMPLICIT = "1.2.840.10008.1.2"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_BLOCK, _INFLATED_BLOCK = 1 << 18, 1 << 22
_IN_MEMORY = 32 << 20  # inflated data sets beyond this wait on disk
_PLAUSIBLE_FIRST_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class FileParts:
    """`meta` elements, where the data set begins, its transfer syntax ("" if untold) and encoding.

    For a deflated file `encoding` is that of what it inflates to.
    """

    meta: tuple[Element, ...]
    begin: int
    syntax: str
    encoding: Encoding

    @property
    def deflated(self) -> bool:
        return self.syntax == DEFLATED


def file_parts(walk: Walk, name: str) -> FileParts:
    """The parts of the file that `walk` walks. Raises `NotDicomError`, `MalformedError`."""
    start = 132 if walk.read(128, 4) == b"DICM" else 0
    meta: list[Element] = []
    if walk.read(start, 2) == b"\x02\x00":
        if walk.read(start + 4, 2) not in SHORT_VRS | LONG_VRS:
            raise MalformedError(
                "the file meta group is not in Explicit VR", where=name, remedy="rewrite the file first"
            )
        for element in walk.elements(start, walk.size, EXPLICIT_LITTLE):
            if element.tag >> 16 != 0x0002:
                break
            meta.append(element)
            if element.cut:
                raise MalformedError("the file ends inside its file meta group", where=name)
            if walk.read(element.end, 2) != b"\x02\x00":
                break
    begin = meta[-1].end if meta else start
    syntax = next((_text(walk, element) for element in meta if element.tag == 0x00020010), "")
    if syntax == DEFLATED:
        return FileParts(tuple(meta), begin, syntax, EXPLICIT_LITTLE)
    head = walk.read(begin, 8)
    if start == 0 and not meta and head[:2] not in {b"\x08\x00", b"\x00\x08"}:
        raise NotDicomError("not DICOM: neither a DICM preamble nor a data set at its start", where=name)
    encoding = _sniffed(head, syntax)
    if encoding is None:
        raise NotDicomError("no data set where one should begin", where=name)
    return FileParts(tuple(meta), begin, syntax, encoding)


@contextmanager
def inflated(walk: Walk, begin: int, name: str) -> Iterator[Walk]:
    """A walk over what the deflated data set at `begin` inflates to (PS3.5 A.5), kept on disk if it is large."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        walk.stream.seek(begin)
        size = 0
        try:
            while not inflater.eof:
                block = inflater.unconsumed_tail or walk.stream.read(_BLOCK)
                if not block:
                    break
                size += file.write(inflater.decompress(block, _INFLATED_BLOCK))
                if size > INFLATED_LIMIT:
                    raise MalformedError(
                        f"the deflated data set grows past {INFLATED_LIMIT >> 30} GiB",
                        where=name,
                        remedy="refused as a bomb",
                    )
        except zlib.error as error:
            raise MalformedError(f"the deflated data set is damaged ({error})", where=name) from error
        yield Walk(cast(BinaryIO, file), size)


def buffered(stream: BinaryIO) -> BinaryIO:
    """`stream` with a buffer, since the walk reads a few bytes at a time."""
    return io.BufferedReader(stream, 1 << 16) if isinstance(stream, io.RawIOBase) else stream


def _text(walk: Walk, element: Element) -> str:
    return (
        walk.read(element.value, min(element.end - element.value, 64))
        .rstrip(b"\0 ")
        .decode("ascii", "replace")
    )


def _sniffed(head: bytes, syntax: str) -> Encoding | None:
    """The encoding, as the first element shows it: transfer syntaxes are sometimes wrong about the VR."""
    little = syntax != _BIG_ENDIAN
    if not syntax and len(head) == 8 and struct.unpack_from("<H", head)[0] > 0x00FF:
        little = False
    if len(head) < 8:
        return Encoding(explicit=syntax != _IMPLICIT, little=little) if syntax and not head else None
    if head[4:6] in SHORT_VRS | LONG_VRS:
        return Encoding(explicit=True, little=little)
    (length,) = struct.unpack_from("<I" if little else ">I", head, 4)
    plausible = bool(syntax) or length <= _PLAUSIBLE_FIRST_LENGTH
    return Encoding(explicit=False, little=little) if plausible else None
