"""A Part 10 file taken apart into spans, and put together again with some elements replaced (PS3.10 7).

Preamble, file meta and data set are kept byte for byte but for what is edited.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from hounsfield.ct.instance import Header, Source
from hounsfield.ct.instance.reading import open_pixels
from hounsfield.dicom.encapsulation import Frame
from hounsfield.dicom.encoding import EXPLICIT_LITTLE, LARGEST_HEADER, Encoding, encode_element
from hounsfield.dicom.full_walk import PIXEL_DATA, Element, FullWalk
from hounsfield.dicom.part10 import FileParts, file_parts, first_encoding, open_data_set
from hounsfield.dicom.recoding import Recoder
from hounsfield.dicom.syntaxes import TransferSyntax, transfer_syntax
from hounsfield.dicom.uids import DEFLATED

EXTENDED_OFFSETS, EXTENDED_LENGTHS = 0x7FE00001, 0x7FE00002
TOTAL_LENGTH = 0x7FE00003  # of an encapsulated Pixel Data value: no longer true once that is replaced
PIXEL_ELEMENTS = (EXTENDED_OFFSETS, EXTENDED_LENGTHS, TOTAL_LENGTH, PIXEL_DATA)
_META_LENGTH, _META_VERSION = 0x00020000, 0x00020001
_SOP_CLASS_META, _SOP_INSTANCE_META, _SYNTAX_META = 0x00020002, 0x00020003, 0x00020010
_IMPLEMENTATION = 0x00020012
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_PIXEL_REPRESENTATION = 0x00280103
_PIXEL_GROUP, _PIXEL_GROUP_BYTES = 0x7FE00000, b"\xe0\x7f"
_LONGEST_BEFORE_PIXELS = 64  # bytes: a group length and a total length, which the header does not keep
IMPLEMENTATION_UID = b"2.25.237312217405937154712104963571902634013"


@dataclass(frozen=True)
class Part10:
    """One file in memory: `start` is preamble and file meta, the data set lies in `dataset` from `begin` on.

    It is inflated where the file is deflated. `pixels`: where Pixel Data starts if nothing else of its group is there
    and nothing follows; then a file in which only the pixels change is written without a walk over its elements.
    """

    start: bytes
    dataset: bytes
    encoding: Encoding
    begin: int = 0
    pixels: int | None = None

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """The elements of the data set. Raises `MalformedError` where it cannot be walked."""
        return self.walk.whole_elements(self.begin, len(self.dataset), self.encoding)

    @cached_property
    def walk(self) -> FullWalk:
        return FullWalk(self.dataset)

    @property
    def end(self) -> int:
        """Return where the last element ends; what is behind it belongs to none, and is left out of what is written."""
        if self.pixels is not None or not self.elements:
            return len(self.dataset)
        return self.elements[-1].stop

    def find(self, tag: int) -> bytes | None:
        """The value bytes of a top-level element, as they are; `None` when it is absent."""
        for element in self.elements:
            if element.tag == tag:
                return self.walk.value(element)
        return None

    def vr(self, tag: int) -> bytes:
        return next((element.vr for element in self.elements if element.tag == tag), b"")


def inflated(source: Source, header: Header) -> bytes | None:
    """The data set of a deflated file, in which its header's offsets count; None for any other."""
    if header.transfer_syntax != DEFLATED:
        return None
    with open_pixels(source, header) as stream:
        return stream.read()


def read_part10(content: bytes, data_set: bytes | None = None, *, pixels: int | None = None) -> Part10:
    """Take `content` apart; `data_set` is what that of a deflated file was `inflated` to.

    `pixels` is what `last_element` says; without it every element is walked over, and what is odd raises.
    """
    walk = FullWalk(content)
    parts = file_parts(walk)
    dataset, begin = (content, parts.begin) if data_set is None else (data_set, 0)
    if data_set is None and parts.deflated:
        inner = io.BytesIO()
        open_data_set(walk, parts, inner)
        dataset, begin = inner.getvalue(), 0
    encoding = first_encoding(dataset[begin : begin + 8], parts.syntax)
    part = Part10(_start_of(content, walk, parts), dataset, encoding, begin, pixels)
    if pixels is None:
        _ = part.elements
    return part


def _start_of(content: bytes, walk: FullWalk, parts: FileParts) -> bytes:
    """Preamble, prefix and meta group as they ought to be (PS3.10 7.1); nothing where there is no meta group."""
    if not parts.meta:
        return b""
    preamble = content[:128] if parts.start == 132 else bytes(128)
    if parts.meta_encoding.implicit:
        recoder = Recoder(walk, EXPLICIT_LITTLE, signed=False)
        meta = [recoder.element(element, parts.meta_encoding) for element in parts.meta]
    else:
        meta = [content[element.start : element.stop] for element in parts.meta]
    return preamble + b"DICM" + b"".join(meta)


def last_element(content: bytes, header: Header, extents: Sequence[Frame] = ()) -> int | None:
    """Return where Pixel Data starts in a plain file that ends with it; None where only a walk can tell what is there.

    `extents` are the fragments of encapsulated frames.
    """
    pixels = header.pixels
    syntax = transfer_syntax(header.transfer_syntax)
    if pixels is None or not pixels.strict or syntax.implicit_vr or pixels.keyword != "PixelData":
        return None
    start = pixels.offset - LARGEST_HEADER
    if content.rfind(_PIXEL_GROUP_BYTES, start - _LONGEST_BEFORE_PIXELS, start) >= 0:
        return None
    if any(tag > _PIXEL_GROUP for tag in header.values):
        return None
    if pixels.length is not None:
        return start if pixels.offset + pixels.length == len(content) else None
    end = max((offset + length + length % 2 for frame in extents for offset, length in frame), default=0)
    delimiter = EXPLICIT_LITTLE.sequence_end
    return start if end + len(delimiter) == len(content) and content.endswith(delimiter) else None


def recoded(part: Part10, syntax: TransferSyntax) -> Part10:
    """`part` in the encoding of `syntax`; its pixels are left out where that differs, since they are replaced."""
    target = Encoding(syntax.implicit_vr, syntax.little_endian)
    if target == part.encoding:
        return part
    recoder = Recoder(part.walk, target, signed=b"\x01" in (part.find(_PIXEL_REPRESENTATION) or b""))
    kept = (element for element in part.elements if element.tag not in PIXEL_ELEMENTS)
    dataset = b"".join(recoder.element(element, part.encoding) for element in kept)
    return Part10(part.start, dataset, target)


Edit = bytes | Sequence[bytes]
"""A whole element, or its pieces; nothing deletes it."""


def write_part10(
    part: Part10, syntax: TransferSyntax, edits: Mapping[int, Edit], *, instance_uid: bytes | None = None
) -> bytes:
    """The file in `syntax`, with `edits` in place: whole elements by tag; an empty one deletes.

    `part` is in the encoding of `syntax` already (`recoded`). `instance_uid` replaces the Media Storage SOP
    Instance UID. Group lengths of touched groups go: they are retired, and would be wrong.
    """
    touched = {tag >> 16 for tag in edits}
    start = _start(part, syntax, instance_uid)
    pieces = _spliced(part, {**{group << 16: b"" for group in touched}, **edits})
    if syntax.deflated:
        dataset = b"".join(pieces)
        deflater = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -zlib.MAX_WBITS)
        dataset = deflater.compress(dataset) + deflater.flush()
        pieces = [dataset, b"\0" * (len(dataset) % 2)]
    return b"".join([start, *pieces])


def _spliced(part: Part10, edits: Mapping[int, Edit]) -> list[bytes | memoryview]:
    """Unedited runs in one slice each, edits and new elements in the order of their tags."""
    data = memoryview(part.dataset)
    new = sorted(edits)
    if part.pixels is not None and PIXEL_DATA in edits and new[0] >= _PIXEL_GROUP:
        return [data[part.begin : part.pixels], *(piece for tag in new for piece in _pieces(edits[tag]))]
    pieces: list[bytes | memoryview] = []
    run = stop = part.begin
    for element in part.elements:
        if element.start != stop:  # what stands between elements belongs to none
            pieces.append(data[run:stop])
            run = element.start
        stop = element.stop
        if not new or element.tag < new[0]:
            continue
        pieces.append(data[run : element.start])
        run = element.start
        while new and new[0] < element.tag:
            pieces += _pieces(edits[new.pop(0)])
        if new and new[0] == element.tag:
            pieces += _pieces(edits[new.pop(0)])
            run = element.stop
    pieces.append(data[run : stop if part.pixels is None else len(data)])
    pieces.extend(piece for tag in new for piece in _pieces(edits[tag]))
    return pieces


def _pieces(edit: Edit) -> Sequence[bytes]:
    return (edit,) if isinstance(edit, bytes) else edit


def _start(part: Part10, syntax: TransferSyntax, instance_uid: bytes | None) -> bytes:
    """Preamble and file meta with the new transfer syntax; made from scratch where there were none."""
    preamble = part.start[:128] or bytes(128)
    uid = encode_element(_SYNTAX_META, b"UI", syntax.uid.encode("ascii"), EXPLICIT_LITTLE)
    changes = {_META_LENGTH: b"", _SYNTAX_META: uid}
    if instance_uid is not None or not part.start:
        instance_uid = instance_uid or (part.find(_SOP_INSTANCE) or b"").rstrip(b"\0 ")
        changes[_SOP_INSTANCE_META] = encode_element(_SOP_INSTANCE_META, b"UI", instance_uid, EXPLICIT_LITTLE)
    if not part.start:
        sop_class = (part.find(_SOP_CLASS) or b"").rstrip(b"\0 ")
        changes[_META_VERSION] = encode_element(_META_VERSION, b"OB", b"\0\x01", EXPLICIT_LITTLE)
        changes[_SOP_CLASS_META] = encode_element(_SOP_CLASS_META, b"UI", sop_class, EXPLICIT_LITTLE)
        changes[_IMPLEMENTATION] = encode_element(_IMPLEMENTATION, b"UI", IMPLEMENTATION_UID, EXPLICIT_LITTLE)
    elements = b"".join(_spliced(Part10(b"", part.start[132:], EXPLICIT_LITTLE), changes))
    length = encode_element(_META_LENGTH, b"UL", len(elements).to_bytes(4, "little"), EXPLICIT_LITTLE)
    return preamble + b"DICM" + length + elements
