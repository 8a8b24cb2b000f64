"""The parts of a DICOM file (PS3.10 7.1): preamble, file meta group, data set, and how the last is written.

What real files lack or have too much of is decided here, once for every verb: the preamble, the meta group, stray
bytes in it, a data set in another encoding than its transfer syntax says, the frame of a deflated one.
"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from hounsfield.dicom.encoding import EXPLICIT_LITTLE, UNDEFINED, Encoding, encoding_of
from hounsfield.dicom.full_walk import Element, FullWalk
from hounsfield.dicom.uids import BIG_ENDIAN, DEFLATED, IMPLICIT_LITTLE
from hounsfield.dicom.uids import EXPLICIT_LITTLE as EXPLICIT_LITTLE_SYNTAX
from hounsfield.dicom.vr import KNOWN
from hounsfield.errors import MalformedError, NotDicomError
from hounsfield.language import say

META_GROUP_LENGTH, SYNTAX = 0x00020000, 0x00020010
# What a deflated data set may grow to: CT deflates to a half or a third, a bomb to a thousandth.
INFLATED_LIMIT = 2 * 1024**3
INFLATED_RATIO = 100
INFLATED_FREE = 64 * 1024**2  # up to here any ratio will do
_BLOCK, _INFLATED_BLOCK = 1 << 18, 1 << 22
_META_TAG = b"\x02\x00"
_LAST_IMAGE_LEVEL_0008 = 0x2112  # no data set begins with a later element of group 0008
_PLAUSIBLE_FIRST_LENGTH = 1024  # bytes: the first element is a group length, a character set or a UID
_BIG_ENDIAN_GROUPS = (b"\0\x02", b"\0\x04", b"\0\x08", b"\0\x10")


@dataclass(frozen=True, slots=True)
class FileParts:
    """`meta` elements and how they are written, where the data set begins, and its transfer syntax as it is named.

    `start` is where the meta group begins: 132, or less without a preamble. `deflated` is as the bytes show it.
    """

    start: int
    meta: tuple[Element, ...]
    meta_encoding: Encoding
    begin: int
    syntax: str
    deflated: bool


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set: where its elements lie, in `walk`, from `begin` on; `syntax` is the one that fits its bytes."""

    walk: FullWalk
    begin: int
    encoding: Encoding
    syntax: str


def file_parts(walk: FullWalk) -> FileParts:
    """The parts of the file that `walk` walks. Raises `NotDicomError`, `MalformedError`."""
    head = walk.read(0, 132)
    if not head:
        raise NotDicomError("an empty file")
    start = 132 if head[128:] == b"DICM" else 4 if head[:4] == b"DICM" else 0
    if start == 0 and not _starts_like_dataset(head):
        raise NotDicomError("not DICOM: neither a DICM preamble nor a data set at its start")
    encoding = walk.sniffed(start, walk.size, EXPLICIT_LITTLE)
    meta, begin = _meta(walk, start, encoding)
    syntax = next((_uid(walk, element) for element in meta if element.tag == SYNTAX), "")
    deflated = syntax == DEFLATED and not _is_plain(walk.read(begin, 8))
    return FileParts(start, meta, encoding, begin, syntax, deflated)


def open_data_set(walk: FullWalk, parts: FileParts, into: BinaryIO | None = None) -> DataSet:
    """The data set of a file; that of a deflated one is inflated `into` a file, or memory. Raises `MalformedError`."""
    begin = parts.begin
    if parts.deflated:
        memory = io.BytesIO()
        size = _inflate(walk, begin, memory if into is None else into)
        walk = FullWalk(memory.getvalue()) if into is None else FullWalk(into, size)
        begin = 0
    head = walk.read(begin, 8)
    encoding = first_encoding(head, parts.syntax)
    return DataSet(walk, begin, encoding, _fitting_syntax(parts, encoding))


def _meta(walk: FullWalk, start: int, encoding: Encoding) -> tuple[tuple[Element, ...], int]:
    """The elements of group 0002, and where they end; two bytes too many between them are passed over."""
    found: list[Element] = []
    position, declared_end = start, 0
    while walk.read(position, 2) == _META_TAG:
        element = next(walk.elements(position, walk.size, encoding), None)
        if element is None or element.cut:
            raise MalformedError("the file ends inside its file meta group")
        found.append(element)
        position = element.stop
        if element.tag == META_GROUP_LENGTH and element.end - element.value == 4:
            declared_end = position + int.from_bytes(walk.value(element), "little")
        following = walk.read(position, 8)
        is_stray = following[:2] != _META_TAG and following[2:4] == _META_TAG and following[6:] in KNOWN
        if is_stray and position < declared_end:
            position += 2
    return tuple(found), position


def _uid(walk: FullWalk, element: Element) -> str:
    content = walk.read(element.value, min(element.end - element.value, 64))
    return content.partition(b"\0")[0].strip().decode("ascii", "replace")


def _starts_like_dataset(start: bytes) -> bool:
    """Group 0002 or 0008 first, in either byte order, with a plausible VR or length (ACR-NEMA, bare data sets)."""
    if len(start) < 8:
        return False
    for order in ("little", "big"):
        group, element, length = (int.from_bytes(start[a:b], order) for a, b in ((0, 2), (2, 4), (4, 8)))
        if group in (0x0002, 0x0008) and element <= _LAST_IMAGE_LEVEL_0008:
            vr = start[4:6]
            if (vr.isalpha() and vr.isupper()) or length <= _PLAUSIBLE_FIRST_LENGTH:
                return True
    return False


def _is_plain(head: bytes) -> bool:
    return head[:2] == b"\x08\0" and head[4:6] in KNOWN


def first_encoding(head: bytes, syntax: str) -> Encoding:
    """Return how a data set is written, as its first element shows it: transfer syntaxes are sometimes
    wrong about it.
    """
    named = encoding_of(syntax)
    if len(head) < 8:
        return named
    little = named.little
    if head[:2] in _BIG_ENDIAN_GROUPS:
        little = False
    elif head[1:2] == b"\0" and head[:1] != b"\0":
        little = True
    return Encoding(head[4:6] not in KNOWN and not _is_blank_vr(head, little), little)


def _is_blank_vr(head: bytes, little: bool) -> bool:
    """Return whether a first element has a VR that is none, but has one: read as a length it would be
    beyond any file.
    """
    length = int.from_bytes(head[4:8], "little" if little else "big")
    return length > _PLAUSIBLE_FIRST_LENGTH and length != UNDEFINED and head[4:6].isascii()


def _fitting_syntax(parts: FileParts, encoding: Encoding) -> str:
    """The transfer syntax that is named, or the native one that the bytes show where that cannot be."""
    is_named = parts.syntax not in ("", DEFLATED) and encoding_of(parts.syntax).little == encoding.little
    if parts.deflated or is_named:
        return parts.syntax
    if not encoding.little:
        return BIG_ENDIAN
    return IMPLICIT_LITTLE if encoding.implicit else EXPLICIT_LITTLE_SYNTAX


def _inflate(walk: FullWalk, begin: int, into: BinaryIO) -> int:
    """Write what the deflated data set at `begin` inflates to (PS3.5 A.5), and give its size.

    What follows the deflated data is left out; a zlib or gzip header, which does not belong there, is understood.
    """
    try:
        return _inflated(walk, begin, into, -zlib.MAX_WBITS)
    except zlib.error as error:
        into.seek(0)
        into.truncate()
        try:
            return _inflated(walk, begin, into, 32 + zlib.MAX_WBITS)
        except zlib.error:
            raise MalformedError(say("the deflated data set is damaged ({error})", error=error)) from error


def _inflated(walk: FullWalk, begin: int, into: BinaryIO, window: int) -> int:
    limit = min(INFLATED_LIMIT, max(INFLATED_FREE, INFLATED_RATIO * walk.size))
    inflater = zlib.decompressobj(window)
    total = 0
    while not inflater.eof:
        block = inflater.unconsumed_tail
        if not block:
            block = walk.read(begin, _BLOCK)
            begin += len(block)
        if not block:
            break
        total += into.write(inflater.decompress(block, _INFLATED_BLOCK))
        if total > limit:
            raise MalformedError(
                say("the deflated data set grows past {number} MiB", number=limit >> 20),
                remedy="refused as a bomb",
            )
    return total
