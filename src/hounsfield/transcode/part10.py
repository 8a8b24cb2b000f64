"""A Part 10 file taken apart into spans, and put together again with some elements replaced (PS3.10 7).

Preamble, file meta and data set are kept byte for byte but for what is edited.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from hounsfield.errors import MalformedError
from hounsfield.instance import Header, Source
from hounsfield.instance.elements import file_meta
from hounsfield.instance.reading import open_pixels
from hounsfield.syntaxes import TransferSyntax, transfer_syntax
from hounsfield.transcode.elements import EXPLICIT_LITTLE, Element, Encoding, Recoder, encode_element, walk

EXTENDED_OFFSETS, EXTENDED_LENGTHS, PIXEL_DATA = 0x7FE00001, 0x7FE00002, 0x7FE00010
PIXEL_ELEMENTS = (EXTENDED_OFFSETS, EXTENDED_LENGTHS, PIXEL_DATA)
_META_LENGTH, _META_VERSION = 0x00020000, 0x00020001
_SOP_CLASS_META, _SOP_INSTANCE_META, _SYNTAX_META = 0x00020002, 0x00020003, 0x00020010
_IMPLEMENTATION = 0x00020012
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_PIXEL_REPRESENTATION = 0x00280103
IMPLEMENTATION_UID = b"2.25.237312217405937154712104963571902634013"


@dataclass(frozen=True, slots=True)
class Part10:
    """One file in memory: `start` is preamble and file meta, the data set lies in `dataset` from `begin` on.

    It is inflated where the file is deflated; `elements` are its spans.
    """

    start: bytes
    dataset: bytes
    encoding: Encoding
    elements: tuple[Element, ...]
    begin: int = 0

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


def read_part10(content: bytes, syntax: TransferSyntax, data_set: bytes | None = None) -> Part10:
    """Take `content` apart; `data_set` is what that of a deflated file was `inflated` to."""
    begin = file_meta(content)[1] if content[128:132] == b"DICM" else 0
    if begin == 0 and content[128:132] == b"DICM":
        raise MalformedError("the file meta group cannot be walked", remedy="repair the file first")
    dataset, first = (content, begin) if data_set is None else (data_set, 0)
    encoding = Encoding(syntax.implicit_vr, syntax.little_endian)
    elements = tuple(walk(dataset, first, len(dataset), encoding))
    return Part10(content[:begin], dataset, encoding, elements, first)


def recoded(part: Part10, syntax: TransferSyntax) -> Part10:
    """`part` in the encoding of `syntax`; its pixels are left out where that differs, since they are replaced."""
    target = Encoding(syntax.implicit_vr, syntax.little_endian)
    if target == part.encoding:
        return part
    recoder = Recoder(part.encoding, target, signed=b"\x01" in (part.find(_PIXEL_REPRESENTATION) or b""))
    kept = (element for element in part.elements if element.tag not in PIXEL_ELEMENTS)
    dataset = b"".join(recoder.element(part.dataset, element) for element in kept)
    return Part10(part.start, dataset, target, tuple(walk(dataset, 0, len(dataset), target)))


def write_part10(
    part: Part10, syntax: TransferSyntax, edits: Mapping[int, bytes], *, instance_uid: bytes | None = None
) -> bytes:
    """The file in `syntax`, with `edits` in place: whole elements by tag; b"" deletes.

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


def _spliced(part: Part10, edits: Mapping[int, bytes]) -> list[bytes]:
    """Unedited runs in one slice each, edits and new elements in the order of their tags."""
    pieces: list[bytes] = []
    new = sorted(edits)
    run = part.begin
    for element in part.elements:
        if not new or element.tag < new[0]:
            continue
        pieces.append(part.dataset[run : element.start])
        run = element.start
        while new and new[0] < element.tag:
            pieces.append(edits[new.pop(0)])
        if new and new[0] == element.tag:
            pieces.append(edits[new.pop(0)])
            run = element.stop
    pieces.append(part.dataset[run:])
    pieces.extend(edits[tag] for tag in new)
    return pieces


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
    meta = Part10(b"", part.start[132:], EXPLICIT_LITTLE, ())
    if part.start:
        found = tuple(walk(meta.dataset, 0, len(meta.dataset), EXPLICIT_LITTLE))
        meta = Part10(b"", meta.dataset, EXPLICIT_LITTLE, found)
    elements = b"".join(_spliced(meta, changes))
    length = encode_element(_META_LENGTH, b"UL", len(elements).to_bytes(4, "little"), EXPLICIT_LITTLE)
    return preamble + b"DICM" + length + elements
