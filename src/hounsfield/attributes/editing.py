"""Copies of a file that differ in a few elements only: everything else is kept byte for byte.

The elements' places are found (`elements`), changes are planned as splices of the bytes, and the copy is streamed:
pixels are never decoded and never held in memory. A deflated data set is inflated, changed and deflated again.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, NamedTuple, cast

from hounsfield.attributes.edits import Edit
from hounsfield.attributes.encoding import encode_value
from hounsfield.ct.instance.source import Source
from hounsfield.dicom.charsets import decode_strictly, is_foreign
from hounsfield.dicom.dictionary import attribute, written
from hounsfield.dicom.encoding import PIXEL_TAGS, UNDEFINED, Encoding
from hounsfield.dicom.full_walk import Element, FullWalk
from hounsfield.dicom.part10 import META_GROUP_LENGTH, FileParts, file_parts, open_data_set
from hounsfield.dicom.uids import MEDIA_DIRECTORY
from hounsfield.dicom.vr import LOCALIZED
from hounsfield.errors import HounsfieldError, MalformedError, SelectionError, UnsupportedError
from hounsfield.language import say

_CHUNK = 1 << 20
_CHARACTER_SET, _PIXEL_REPRESENTATION = 0x00080005, 0x00280103
_IN_MEMORY = 32 << 20  # inflated data sets beyond this wait on disk


class Splice(NamedTuple):
    """Bytes `start` to `end` give way to `content`."""

    start: int
    end: int
    content: bytes

    @property
    def growth(self) -> int:
        return len(self.content) - (self.end - self.start)


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of an edit: what a data set or item knows of how to write in it."""

    encoding: Encoding
    charsets: tuple[str, ...] = ()
    signed: bool = False
    depth: int = 0


def write_edited(source: Source, edits: Sequence[Edit], out: BinaryIO) -> None:
    """Write the file of `source` with `edits` made to `out`.

    Removing what is not there is no error. Raises `MalformedError` for a file that cannot be walked or a value its
    VR or character set does not allow, `SelectionError` for an item that does not exist, `UnsupportedError` for
    what is not changed this way; the message names `source`.
    """
    try:
        with source.open() as opened:
            walk = FullWalk(opened)
            _write(walk, file_parts(walk), edits, out)
    except HounsfieldError as error:
        error.at(source.name)
        raise


def _write(walk: FullWalk, parts: FileParts, edits: Sequence[Edit], out: BinaryIO) -> None:
    meta_edits = [edit for edit in edits if edit.path[0].tag >> 16 == 0x0002]
    data_edits = [edit for edit in edits if edit.path[0].tag >> 16 != 0x0002]
    _refuse_directory(walk, parts)
    splices = _plan_meta(walk, parts, meta_edits) if parts.meta else []
    if not parts.deflated:
        data = open_data_set(walk, parts)
        splices += _plan_data(walk, data.begin, data.encoding, data_edits)
        _copy(walk, 0, splices, out.write)
        return
    if not data_edits:
        _copy(walk, 0, splices, out.write)
        return
    _copy(FullWalk(walk.stream, parts.begin), 0, splices, out.write)
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        data = open_data_set(walk, parts, cast(BinaryIO, file))
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        count = 0

        def deflate(content: bytes) -> None:
            nonlocal count
            count += out.write(deflater.compress(content))

        _copy(data.walk, 0, _plan_data(data.walk, 0, data.encoding, data_edits), deflate)
        count += out.write(deflater.flush())
        out.write(b"\0" * (count % 2))  # PS3.5 A.5: padded to an even length


def _refuse_directory(walk: FullWalk, parts: FileParts) -> None:
    for element in parts.meta:
        if element.tag == 0x00020002:
            uid = walk.read(element.value, min(element.end - element.value, 64)).rstrip(b"\0 ")
            if uid.decode("ascii", "replace") == MEDIA_DIRECTORY:
                raise UnsupportedError(
                    "a DICOMDIR counts bytes in itself",
                    remedy="make a new one for changed files",
                    directory=True,
                )


def _plan_meta(walk: FullWalk, parts: FileParts, edits: Sequence[Edit]) -> list[Splice]:
    """Splices of the file meta group, with its length made right (PS3.10 7.1)."""
    if not edits:
        return []
    splices = _plan(walk, parts.meta, parts.begin, edits, _Place(parts.meta_encoding), keep_lengths=True)
    first = parts.meta[0]
    if first.tag == META_GROUP_LENGTH and first.end - first.value == 4:
        length = parts.begin - first.stop + sum(splice.growth for splice in splices)
        splices.append(Splice(first.value, first.end, parts.meta_encoding.length(length)))
    return splices


def _plan_data(walk: FullWalk, begin: int, encoding: Encoding, edits: Sequence[Edit]) -> list[Splice]:
    if not edits:
        return []
    elements = walk.whole_elements(begin, walk.size, encoding)
    place = _place_in(walk, elements, _Place(encoding))
    charset = next((edit.value for edit in edits if edit.path == ((_CHARACTER_SET, None),)), None)
    if charset is not None or any(edit.path == ((_CHARACTER_SET, None),) for edit in edits):
        charsets = tuple((charset or "").split("\\"))
        changed = {edit.path[0].tag for edit in edits if len(edit.path) == 1}
        if any(edit.relabels for edit in edits):
            _require_decodable(walk, elements, place, chr(92).join(charsets), changed)
        elif charsets != place.charsets:
            _refuse_reinterpretation(walk, elements, place, changed)
        place = replace(place, charsets=charsets)
    return _plan(walk, elements, elements[-1].stop if elements else begin, edits, place)


def _place_in(walk: FullWalk, elements: Iterable[Element], place: _Place) -> _Place:
    """`place` as the elements of one data set or item change it."""
    for element in elements:
        content = walk.read(element.value, min(element.end - element.value, 1024))
        if element.tag == _CHARACTER_SET:
            text = content.rstrip(b"\0 ").decode("ascii", "replace")
            place = replace(place, charsets=tuple(part.strip() for part in text.split("\\")))
        elif element.tag == _PIXEL_REPRESENTATION and len(content) == 2:
            place = replace(place, signed=struct.unpack(place.encoding.order + "H", content)[0] == 1)
        elif element.tag > _PIXEL_REPRESENTATION:
            break
    return place


def _plan(
    walk: FullWalk,
    elements: Sequence[Element],
    end: int,
    edits: Sequence[Edit],
    place: _Place,
    *,
    keep_lengths: bool = False,
) -> list[Splice]:
    """Splices that make `edits` in one data set or item, whose elements end at `end`."""
    splices: list[Splice] = []
    growth: dict[int, int] = {}
    heads = sorted({edit.path[0].tag for edit in edits})
    for tag in heads:
        here = [edit for edit in edits if edit.path[0].tag == tag]
        found = [element for element in elements if element.tag == tag]
        if len(here[0].path) > 1 or len(here) > 1:
            made = _plan_items(walk, found, here, place)
        else:
            made = _plan_element(walk, elements, found, end, here[0], place)
        growth[tag >> 16] = growth.get(tag >> 16, 0) + sum(splice.growth for splice in made)
        splices += made
    if not keep_lengths:
        splices += _group_lengths(walk, elements, growth, place)
    return sorted(splices, key=lambda splice: splice.start)


def _plan_element(
    walk: FullWalk, elements: Sequence[Element], found: Sequence[Element], end: int, edit: Edit, place: _Place
) -> list[Splice]:
    if edit.value is None:
        return [Splice(element.start, element.stop, b"") for element in found]
    tag = edit.path[0].tag
    if not found:
        later = next((element.start for element in elements if element.tag > tag), end)
        return [Splice(later, later, _written(walk, elements, None, edit, place))]
    return [
        Splice(element.start, element.stop, _written(walk, elements, element, edit, place))
        for element in found
    ]


def _written(
    walk: FullWalk, elements: Sequence[Element], present: Element | None, edit: Edit, place: _Place
) -> bytes:
    """The whole element, header and value, that `edit` asks for."""
    tag = edit.path[0].tag
    vr, vm = _vr_of(walk, elements, present, tag, place)
    if vr == "SQ":
        raise UnsupportedError(
            say("{name} is a sequence", name=edit.name),
            expected="an attribute in it, such as Sequence[0].Keyword",
        )
    content = encode_value(
        edit.value or "", vr=vr, vm=vm, charsets=place.charsets, little=place.encoding.little, what=edit.name
    )
    return place.encoding.header(tag, vr.encode("ascii"), len(content)) + content


def _vr_of(
    walk: FullWalk, elements: Sequence[Element], present: Element | None, tag: int, place: _Place
) -> tuple[str, str]:
    """VR and multiplicity to write: the file's VR where the dictionary allows it, else the dictionary's."""
    known = attribute(tag, _creator(walk, elements, tag))
    stands = present.vr.decode("ascii") if present is not None else ""
    choices = known.vr.split(" or ")
    if stands not in {"", "UN"} and (stands in choices or choices == ["UN"]):
        return stands, known.vm
    if choices == ["UN"]:
        raise UnsupportedError(
            say("nothing here knows the VR of {written}", written=written(tag)),
            remedy="set attributes of the standard, or private ones whose creator is in the file and known",
        )
    if {"US", "SS"} <= set(choices):
        return ("SS" if place.signed else "US"), known.vm
    return choices[0], known.vm


def _creator(walk: FullWalk, elements: Sequence[Element], tag: int) -> str | None:
    block = tag >> 8 & 0xFF
    if not tag >> 16 & 1 or block < 0x10:
        return None
    wanted = tag & 0xFFFF0000 | block
    for element in elements:
        if element.tag == wanted:
            content = walk.read(element.value, min(element.end - element.value, 64))
            return content.rstrip(b"\0 ").decode("ascii", "replace") or None
    return None


def _plan_items(
    walk: FullWalk, found: Sequence[Element], edits: Sequence[Edit], place: _Place
) -> list[Splice]:
    """Splices inside items of one sequence, and the lengths of item and sequence where they are written."""
    name = edits[0].name
    if any(len(edit.path) == 1 for edit in edits):
        raise SelectionError(
            say("{name} is changed as a whole and inside", name=name), remedy="do one of both"
        )
    if not found:
        if all(edit.value is None for edit in edits):
            return []
        raise SelectionError(
            say("{name}: that sequence is not in the file", name=name),
            remedy="only sequences that are there change",
        )
    sequence = found[0]
    if sequence.vr not in {b"", b"SQ", b"UN"} or sequence.cut or sequence.tag in PIXEL_TAGS:
        raise SelectionError(
            say("{written} is no sequence", written=written(sequence.tag)), remedy="name a sequence"
        )
    items = list(walk.items(sequence, place.encoding, depth=place.depth))
    splices: list[Splice] = []
    for number in sorted({edit.path[0].item or 0 for edit in edits}):
        within = [replace(edit, path=edit.path[1:]) for edit in edits if edit.path[0].item == number]
        if number < len(items):
            item, encoding = items[number]
            inner = replace(place, encoding=encoding, depth=place.depth + 1)
            splices += _plan_item(walk, item, within, inner)
        elif any(edit.value is not None for edit in within):
            raise SelectionError(
                say("{name}: the sequence has {count} items", name=name, count=len(items)),
                expected=say("0 to {number}", number=len(items) - 1) if items else None,
            )
    return splices + _length(sequence, splices, place.encoding)


def _plan_item(walk: FullWalk, item: Element, edits: Sequence[Edit], place: _Place) -> list[Splice]:
    if item.cut:
        raise MalformedError(say("the file ends inside the item at byte {start}", start=item.start))
    elements = walk.whole_elements(item.value, item.end, place.encoding, depth=place.depth)
    splices = _plan(walk, elements, item.end, edits, _place_in(walk, elements, place))
    return splices + _length(item, splices, place.encoding)


def _length(container: Element, splices: Iterable[Splice], encoding: Encoding) -> list[Splice]:
    """The splice of the length of an item or sequence around `splices`; none where it is undefined."""
    growth = sum(splice.growth for splice in splices)
    if container.undefined or not growth:
        return []
    length = container.end - container.value + growth
    if length >= UNDEFINED:
        raise MalformedError(say("{written} would grow past 4 GiB", written=written(container.tag)))
    return [Splice(container.value - 4, container.value, encoding.length(length))]


def _group_lengths(
    walk: FullWalk, elements: Sequence[Element], growth: dict[int, int], place: _Place
) -> list[Splice]:
    """Retired group lengths (gggg,0000), where a file still has them, follow their groups (PS3.5 7.2)."""
    splices = []
    for element in elements:
        grown = growth.get(element.tag >> 16, 0)
        if element.tag & 0xFFFF == 0 and grown and element.end - element.value == 4:
            code = place.encoding.order + "I"
            (length,) = struct.unpack(code, walk.read(element.value, 4))
            splices.append(
                Splice(element.value, element.end, struct.pack(code, max(0, length + grown) & UNDEFINED))
            )
    return splices


def _texts(
    walk: FullWalk, elements: Iterable[Element], place: _Place, changed: set[int], *, labelled: bool
) -> Iterator[tuple[Element, str, bytes]]:
    """Texts whose meaning hangs on the character set, as (element, VR, value), but those that are `changed`.

    Those in items, too; of items that have a label of their own where `labelled`.
    """
    for element in elements:
        if element.tag in changed or element.tag in PIXEL_TAGS:
            continue
        vr = element.vr.decode("ascii", "replace") or attribute(element.tag).vr
        if vr == "SQ":
            for item, encoding in walk.items(element, place.encoding, depth=place.depth):
                inner = replace(place, encoding=encoding, depth=place.depth + 1)
                nested = list(walk.elements(item.value, item.end, encoding, depth=inner.depth))
                if labelled or all(each.tag != _CHARACTER_SET for each in nested):
                    yield from _texts(walk, nested, inner, set(), labelled=labelled)
        elif vr in LOCALIZED:
            yield element, vr, walk.read(element.value, element.end - element.value)


def _refuse_reinterpretation(
    walk: FullWalk, elements: Iterable[Element], place: _Place, changed: set[int]
) -> None:
    """A new character set must not give other text another meaning: that text must be plain ASCII."""
    for element, _, content in _texts(walk, elements, place, changed, labelled=True):
        if not content.isascii() or b"\x1b" in content:
            name = attribute(element.tag).keyword or written(element.tag)
            raise UnsupportedError(
                say(
                    "{name} is written in the present character set, {listed}",
                    name=name,
                    listed=chr(92).join(place.charsets) or "none",
                ),
                expected="text in ASCII only where the character set changes",
                remedy=say("set {name} too", name=name),
            )


def _require_decodable(
    walk: FullWalk, elements: Iterable[Element], place: _Place, charset: str, changed: set[int]
) -> None:
    """Texts must be in the set that they get the label of; items with a label of their own keep it."""
    for element, vr, value in _texts(walk, elements, place, changed, labelled=False):
        content = value.rstrip(b"\0 ")
        if is_foreign(content) and decode_strictly(content, charset, person=vr == "PN") is None:
            name = attribute(element.tag).keyword or written(element.tag)
            raise UnsupportedError(
                say("{name} is not in {charset}", name=name, charset=charset),
                expected="texts that are in the set whose label they get",
                remedy=say("name the set that they are in, or set {name} too", name=name),
            )


def _copy(walk: FullWalk, start: int, splices: Iterable[Splice], write: Callable[[bytes], object]) -> None:
    """Write the stream from `start` on with `splices` made, a chunk at a time."""
    position = start
    for splice in sorted(splices, key=lambda splice: splice.start):
        _copy_range(walk, position, splice.start, write)
        write(splice.content)
        position = splice.end
    _copy_range(walk, position, walk.size, write)


def _copy_range(walk: FullWalk, start: int, end: int, write: Callable[[bytes], object]) -> None:
    while start < end:
        content = walk.read(start, min(end - start, _CHUNK))
        if not content:
            raise MalformedError("the file became shorter while it was copied")
        write(content)
        start += len(content)
