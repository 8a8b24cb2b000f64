"""pydicom's data sets out of the full walk: pydicom is the data model and the writer, the elements are found here.

So a file has one verdict, whatever reads it, and nothing depends on how another library forgives. Values are converted
by pydicom, and items of sequences walked over, when they are looked at: nobody pays for what he does not read. The
walk over the top has then held each sequence to the limit on depth, so a data set that was given raises nothing later.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from hounsfield.dicom.charsets import is_foreign
from hounsfield.dicom.content import Content
from hounsfield.dicom.encoding import PIXEL_TAGS, UNDEFINED, Encoding
from hounsfield.dicom.fast_walk import PixelElement
from hounsfield.dicom.full_walk import Element, FullWalk
from hounsfield.dicom.part10 import DataSet, FileParts, file_parts, open_data_set
from hounsfield.dicom.vr import KNOWN, dictionary_vr
from hounsfield.errors import MalformedError, TruncatedError
from hounsfield.language import say

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement, RawDataElement
    from pydicom.dataset import FileDataset, FileMetaDataset

_CHARACTER_SET, _PIXEL_REPRESENTATION = 0x00080005, 0x00280103
_MAY_BE_SEQUENCES = frozenset({b"", b"SQ", b"UN"})
_NAMES: dict[bytes, str | None] = {b"": None, **{vr: vr.decode() for vr in KNOWN}}


@dataclass(frozen=True, slots=True)
class _Level:
    """The traits that elements inherit from the data set or item that they are in.

    `base`: where in the data the content of `walk` begins.
    """

    walk: FullWalk
    encoding: Encoding
    depth: int = 0
    base: int = 0
    charset: Any = "iso8859"
    signed: bool = False


def read_dataset(
    data: DataSet,
    parts: FileParts | None = None,
    file: FullWalk | None = None,
    *,
    pixels: bool = False,
) -> tuple[FileDataset, PixelElement | None]:
    """The data set, and where its pixel element is; that and what follows are in it only with `pixels`.

    `parts` of `file` give it its preamble and file meta group. The data need not stay open. Raises `MalformedError`,
    with `pixels` also `TruncatedError` for data that end too soon; values that cannot be converted raise when they are
    looked at.
    """
    from pydicom.dataset import FileDataset

    level = _Level(data.walk, data.encoding)
    dataset, pixel = _dataset(level, data.begin, data.walk.size, pixels=pixels)
    implicit, little = data.encoding.implicit, data.encoding.little
    meta = _file_meta(file, parts) if parts is not None and file is not None else None
    preamble = file.read(0, 128) if parts is not None and file is not None and parts.start == 132 else None
    whole = FileDataset("", dataset, preamble, meta, implicit, little)
    whole.set_original_encoding(implicit, little, dataset._character_set)
    return whole, pixel


def read_file(content: Content, *, pixels: bool = True) -> FileDataset:
    """The data set of a whole file, its meta group too. Raises as `read_dataset`, and `NotDicomError`."""
    walk = FullWalk(content)
    parts = file_parts(walk)
    return read_dataset(open_data_set(walk, parts), parts, walk, pixels=pixels)[0]


def dataset_of(content: bytes, encoding: Encoding) -> Dataset:
    """The data set of elements alone, without a file around them. Raises `MalformedError`."""
    return _dataset(_Level(FullWalk(content), encoding), 0, len(content), pixels=True)[0]


def _file_meta(walk: FullWalk, parts: FileParts) -> FileMetaDataset:
    from pydicom.dataset import FileMetaDataset
    from pydicom.tag import BaseTag

    level = _Level(walk, parts.meta_encoding)
    meta = FileMetaDataset({BaseTag(element.tag): _raw(level, element) for element in parts.meta})
    meta.set_original_encoding(parts.meta_encoding.implicit, True)
    return meta


def _dataset(level: _Level, start: int, end: int, *, pixels: bool) -> tuple[Dataset, PixelElement | None]:
    from pydicom import Dataset
    from pydicom.tag import BaseTag

    inherited = level.charset
    found: dict[BaseTag, DataElement | RawDataElement] = {}
    pixel = None
    elements = level.walk.elements(
        start, end, level.encoding, depth=level.depth, past_pixels=pixels or level.depth > 0
    )
    for element in elements:
        tag = element.tag
        if pixels and element.cut and level.depth == 0:
            raise _cut_off(tag)
        if tag in PIXEL_TAGS and level.depth == 0:
            pixel = _pixel_element(element, level.encoding)
            if not pixels:
                break
        if tag == 0:
            continue
        if element.vr in _MAY_BE_SEQUENCES and _is_sequence(level, element, found):
            found[BaseTag(tag)] = _deferred(level, element)
            continue
        raw = found[BaseTag(tag)] = _raw(level, element)
        if tag == _CHARACTER_SET:
            level = replace(level, charset=_charset(raw))
        elif tag == _PIXEL_REPRESENTATION:
            order = "little" if level.encoding.little else "big"
            level = replace(level, signed=int.from_bytes(raw.value or b"", order) == 1)  # type: ignore[arg-type]
    dataset = Dataset(found, parent_encoding=inherited)
    dataset.set_original_encoding(level.encoding.implicit, level.encoding.little, level.charset)
    return dataset, pixel


def _cut_off(tag: int | None) -> TruncatedError:
    from hounsfield.dicom.dictionary import written

    return TruncatedError(say("the data end within {which}", which=written(tag) if tag else "an element"))


def _pixel_element(element: Element, encoding: Encoding) -> PixelElement:
    return PixelElement(
        PIXEL_TAGS[element.tag],
        element.value,
        None if element.undefined else element.end - element.value,
        swapped=not encoding.little and element.vr == b"OW",
    )


def _is_sequence(level: _Level, element: Element, before: dict[Any, Any]) -> bool:
    """By its VR, by its undefined length (PS3.5 6.2.2 note 2), or where it has none by the dictionaries."""
    if element.vr not in (b"", b"UN") or element.tag in PIXEL_TAGS:
        return element.vr == b"SQ"
    if element.undefined or not element.tag >> 16 & 1:
        return element.undefined or dictionary_vr(element.tag) == "SQ"
    creator = before.get(element.tag & 0xFFFF0000 | element.tag >> 8 & 0xFF)
    name = getattr(creator, "value", None)
    if not isinstance(name, bytes):
        return False
    # Not above: the dictionary is pydicom's, which costs more to import than a series to load.
    from hounsfield.dicom.dictionary import attribute

    return attribute(element.tag, name.rstrip(b"\0 ").decode("ascii", "replace")).vr == "SQ"


def _deferred(level: _Level, sequence: Element) -> DataElement:
    """A sequence whose items are built when it is looked at, out of bytes of its own: its file may be closed then."""
    from hounsfield.dicom.deferred import DeferredElement

    tell = level.base + sequence.value
    content = b""
    if level.depth == 0:
        content = level.walk.value(sequence)
        sequence = sequence._replace(start=0, value=0, end=len(content), stop=len(content))
        level = replace(level, walk=FullWalk(content), base=tell)
    return DeferredElement(
        sequence.tag,
        tell,
        lambda: _sequence(level, sequence),
        length=sequence.end - sequence.value,
        foreign=level.depth > 0 or is_foreign(content),
    )


def _sequence(level: _Level, element: Element) -> DataElement:
    """A sequence with its items; one whose inside cannot be walked is kept as unknown bytes."""
    from pydicom.dataelem import DataElement
    from pydicom.sequence import Sequence

    tell = level.base + element.value
    items = []
    try:
        for item, encoding in level.walk.items(element, level.encoding, depth=level.depth):
            inner = replace(level, encoding=encoding, depth=level.depth + 1)
            dataset, _ = _dataset(inner, item.value, item.end, pixels=True)
            dataset.is_undefined_length_sequence_item = item.undefined
            dataset.seq_item_tell = dataset.file_tell = level.base + item.start
            items.append(dataset)
    except MalformedError:
        kept = DataElement(element.tag, "OB", level.walk.value(element), tell, already_converted=True)
        kept.VR = "UN"  # given at once, it would become SQ again
        return kept
    sequence = Sequence(items)
    sequence.is_undefined_length = element.undefined
    return DataElement(element.tag, "SQ", sequence, tell, element.undefined)


@cache
def _pydicom() -> tuple[Any, Any, Any]:
    """Lookups in pydicom that each element needs, made once."""
    from pydicom.dataelem import RawDataElement, empty_value_for_VR
    from pydicom.tag import BaseTag

    return BaseTag, RawDataElement, empty_value_for_VR


def _raw(level: _Level, element: Element) -> RawDataElement:
    base_tag, raw_element, empty = _pydicom()
    tag, vr_bytes, _, start, end, _, undefined, _ = element
    vr = _NAMES[vr_bytes]
    if vr is None and dictionary_vr(tag) == "US or SS":
        vr = "SS" if level.signed else "US"
    content = level.walk.read(start, end - start)
    length = UNDEFINED if undefined else len(content)
    encoding = level.encoding
    found: RawDataElement = raw_element(
        base_tag(tag),
        vr,
        length,
        content if content else empty(vr, raw=True),
        level.base + start,
        encoding.implicit,
        encoding.little,
    )
    return found


def _charset(raw: RawDataElement) -> Any:
    """pydicom's encodings of a Specific Character Set; its default for one that it does not know."""
    from pydicom.charset import convert_encodings
    from pydicom.dataelem import convert_raw_data_element

    # Whatever a converter raises or warns of, now or when an item is looked at, the rest is read.
    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return convert_encodings(convert_raw_data_element(raw).value)
    return "iso8859"
