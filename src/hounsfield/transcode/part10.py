"""A Part 10 file taken apart into spans, and put together again with some elements replaced (PS3.10 7).

Preamble, file meta and data set are kept byte for byte but for what is edited.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from hounsfield.ct.instance import Header, Source
from hounsfield.ct.instance.elements import SEQUENCE_END, file_meta
from hounsfield.ct.instance.reading import open_pixels
from hounsfield.dicom.encapsulation import Frame
from hounsfield.dicom.syntaxes import TransferSyntax, transfer_syntax
from hounsfield.errors import MalformedError
from hounsfield.transcode.elements import EXPLICIT_LITTLE, Element, Encoding, Recoder, encode_element, walk

EXTENDED_OFFSETS, EXTENDED_LENGTHS, PIXEL_DATA = 0x7FE00001, 0x7FE00002, 0x7FE00010
TOTAL_LENGTH = 0x7FE00003  # of an encapsulated Pixel Data value: no longer true once that is replaced
PIXEL_ELEMENTS = (EXTENDED_OFFSETS, EXTENDED_LENGTHS, TOTAL_LENGTH, PIXEL_DATA)
_META_LENGTH, _META_VERSION = 0x00020000, 0x00020001
_SOP_CLASS_META, _SOP_INSTANCE_META, _SYNTAX_META = 0x00020002, 0x00020003, 0x00020010
_IMPLEMENTATION = 0x00020012
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_PIXEL_REPRESENTATION = 0x00280103
_PIXEL_GROUP, _PIXEL_GROUP_BYTES = 0x7FE00000, b"\xe0\x7f"
_LONGEST_BEFORE_PIXELS = 64  # bytes: a group length and a total length, which the header does not keep
SEQUENCE_END_ITEM = b"\xfe\xff\xdd\xe0\0\0\0\0"
_PIXEL_HEADER = 12  # bytes of an element with a 32-bit length (PS3.5 7.1.2)
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
        """The spans of the data set. Raises `MalformedError` where it cannot be walked."""
        return tuple(_walked(self.dataset, self.begin, self.encoding))

    @property
    def end(self) -> int:
        """Where the last element ends; what is behind it belongs to none, and is left out of what is written."""
        if self.pixels is not None or not self.elements:
            return len(self.dataset)
        return self.elements[-1].stop

    def find(self, tag: int) -> bytes | None:
        """The value bytes of a top-level element, as they are; `None` when it is absent."""
        for element in self.elements:
            if element.tag == tag:
                return self.dataset[element.value : element.end]
        return None

    def vr(self, tag: int) -> bytes:
        return next((element.vr for element in self.elements if element.tag == tag), b"")


def inflated(source: Source, header: Header) -> bytes | None:
    """The data set of a deflated file, in which its header's offsets count; None for any other."""
    if not transfer_syntax(header.transfer_syntax).deflated:
        return None
    with open_pixels(source, header) as stream:
        return stream.read()


def read_part10(
    content: bytes, syntax: TransferSyntax, data_set: bytes | None = None, *, pixels: int | None = None
) -> Part10:
    """Take `content` apart; `data_set` is what that of a deflated file was `inflated` to.

    `pixels` is what `last_element` says; without it every element is walked over, and what is odd raises.
    """
    begin = file_meta(content)[1] if content[128:132] == b"DICM" else 0
    if begin == 0 and content[128:132] == b"DICM":
        raise MalformedError("the file meta group cannot be walked", remedy="repair the file first")
    dataset, first = (content, begin) if data_set is None else (data_set, 0)
    encoding = Encoding(syntax.implicit_vr or _has_no_vr(dataset, first), syntax.little_endian)
    part = Part10(content[:begin], dataset, encoding, first, pixels)
    if pixels is None:
        _ = part.elements
    return part


def _walked(dataset: bytes, begin: int, encoding: Encoding) -> Iterator[Element]:
    """Every element; behind Pixel Data only those that belong there, since anything may follow a data set."""
    found, is_behind = walk(dataset, begin, len(dataset), encoding), False
    while True:
        try:
            element = next(found, None)
        except MalformedError:
            if is_behind:
                return
            raise
        if element is None or (is_behind and not _belongs_behind_pixels(element)):
            return
        yield element
        is_behind = is_behind or element.tag == PIXEL_DATA


def _belongs_behind_pixels(element: Element) -> bool:
    """Signatures and Data Set Trailing Padding; no delimiter too many, and no zeros that are not even a header."""
    return element.tag > PIXEL_DATA and element.tag != SEQUENCE_END and element.value > element.start


def _has_no_vr(dataset: bytes, first: int) -> bool:
    """Implicit VR under a syntax that is explicit, as some writers of compressed files have it."""
    vr = dataset[first + 4 : first + 6]
    return len(vr) == 2 and not (vr.isalpha() and vr.isupper())


def last_element(content: bytes, header: Header, extents: Sequence[Frame] = ()) -> int | None:
    """Where Pixel Data starts in a plain file that ends with it; None where only a walk can tell what is there.

    `extents` are the fragments of encapsulated frames.
    """
    pixels = header.pixels
    syntax = transfer_syntax(header.transfer_syntax)
    if pixels is None or not pixels.strict or syntax.implicit_vr or pixels.keyword != "PixelData":
        return None
    start = pixels.offset - _PIXEL_HEADER
    if content.rfind(_PIXEL_GROUP_BYTES, start - _LONGEST_BEFORE_PIXELS, start) >= 0:
        return None
    if any(tag > _PIXEL_GROUP for tag in header.values):
        return None
    if pixels.length is not None:
        return start if pixels.offset + pixels.length == len(content) else None
    end = max((offset + length + length % 2 for frame in extents for offset, length in frame), default=0)
    return (
        start
        if end + len(SEQUENCE_END_ITEM) == len(content) and content.endswith(SEQUENCE_END_ITEM)
        else None
    )


def recoded(part: Part10, syntax: TransferSyntax) -> Part10:
    """`part` in the encoding of `syntax`; its pixels are left out where that differs, since they are replaced."""
    target = Encoding(syntax.implicit_vr, syntax.little_endian)
    if target == part.encoding:
        return part
    recoder = Recoder(part.encoding, target, signed=b"\x01" in (part.find(_PIXEL_REPRESENTATION) or b""))
    kept = (element for element in part.elements if element.tag not in PIXEL_ELEMENTS)
    dataset = b"".join(recoder.element(part.dataset, element) for element in kept)
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
    run = part.begin
    for element in part.elements:
        if not new or element.tag < new[0]:
            continue
        pieces.append(data[run : element.start])
        run = element.start
        while new and new[0] < element.tag:
            pieces += _pieces(edits[new.pop(0)])
        if new and new[0] == element.tag:
            pieces += _pieces(edits[new.pop(0)])
            run = element.stop
    pieces.append(data[run : part.end])
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
