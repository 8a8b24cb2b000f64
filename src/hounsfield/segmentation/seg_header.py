"""The header of a DICOM Segmentation: its segments, and of each frame the segment, the place and the source slices.

Thousands of frames repeat most of their functional groups; the house's quick walk takes them apart, pydicom what that
does not accept (PS3.3 C.8.20).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hounsfield.ct.instance import Instance
from hounsfield.ct.instance.items import Level, first_item, items, value
from hounsfield.ct.instance.numbers import read_decimals
from hounsfield.ct.instance.raw_items import raw_dataset
from hounsfield.ct.instance.reading import pydicom_tolerated, read_dataset
from hounsfield.dicom.fast_walk import Unrecognised
from hounsfield.errors import MalformedError, UnsupportedError
from hounsfield.language import say
from hounsfield.segmentation.colours import rgb_of_cielab
from hounsfield.segmentation.found import LABEL_MAP_SEGMENTATION
from hounsfield.segmentation.grids import referenced
from hounsfield.segmentation.masks import Code, Segment

Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SegFrame:
    """One frame: the number of its segment, 0 in a label map; what it was made from; its plane where it says it.

    `position` LPS mm, `orientation` row and column cosines, `spacing` (row, column) mm, `reach` mm from one plane to
    the next, 0 where unknown.
    """

    segment: int
    uids: tuple[str, ...]
    position: Numbers | None
    orientation: Numbers | None
    spacing: Numbers | None
    reach: float


@dataclass(frozen=True)
class SegHeader:
    """`kind` is BINARY, FRACTIONAL or LABELMAP; `full` the value that a whole voxel has in a fractional one."""

    kind: str
    full: int
    frame_of_reference: str
    segments: tuple[Segment, ...]
    frames: tuple[SegFrame, ...]

    def named(self, number: int) -> str:
        """A segment as messages name it; the label map for 0."""
        if not number:
            return say("the label map")
        name = next((each.name for each in self.segments if each.number == number), say("not described"))
        return say("segment {number} ({name})", number=number, name=name)

    def where(self, name: str, index: int) -> str:
        """A frame as messages name it, counted from 0 here and from 1 there."""
        return say(
            "{name}, frame {number}, {segment}",
            name=name,
            number=index + 1,
            segment=self.named(self.frames[index].segment),
        )


def read_seg_header(instance: Instance) -> SegHeader:
    """The header of a segmentation. Raises `MalformedError`, `UnsupportedError`."""
    with pydicom_tolerated(instance.name):
        with suppress(Unrecognised):
            raw = raw_dataset(instance.source) if not hasattr(instance.source, "metadata") else None
            if raw is not None:
                return _header(instance, raw)
        return _header(instance, read_dataset(instance.source))


def _header(instance: Instance, dataset: Level) -> SegHeader:
    kind = _text(dataset, "SegmentationType").upper()
    if not kind and instance.header.text("SOPClassUID") == LABEL_MAP_SEGMENTATION:
        kind = "LABELMAP"
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise UnsupportedError(
            say("Segmentation Type (0062,0001) is {kind}", kind=repr(kind)),
            expected="BINARY, FRACTIONAL or LABELMAP",
            where=instance.name,
        )
    count = instance.header.number_of_frames
    groups = tuple(items(dataset, "PerFrameFunctionalGroupsSequence"))
    if len(groups) != count:
        raise MalformedError(
            say(
                "Number of Frames is {count}, functional groups are of {count2}",
                count=count,
                count2=len(groups),
            ),
            expected="one for each",
            where=instance.name,
            remedy="the file is damaged; get it again from where it came",
        )
    shared = first_item(dataset, "SharedFunctionalGroupsSequence")
    reader = _Frames(shared)
    return SegHeader(
        kind,
        int(_number(dataset, "MaximumFractionalValue") or 255),
        _text(dataset, "FrameOfReferenceUID"),
        tuple(segment for item in items(dataset, "SegmentSequence") if (segment := _segment(item)).number),
        tuple(reader.read(group) for group in groups),
    )


class _Frames:
    """Reads functional groups: a frame's own over those that all share."""

    def __init__(self, shared: Level | None) -> None:
        self._shared = shared

    def read(self, group: Level) -> SegFrame:
        measures = self._item(group, "PixelMeasuresSequence")
        segment = self._item(group, "SegmentIdentificationSequence")
        return SegFrame(
            segment=int(_number(segment, "ReferencedSegmentNumber") or 0),
            uids=self._sources(group),
            position=_numbers(self._item(group, "PlanePositionSequence"), "ImagePositionPatient", 3),
            orientation=_numbers(self._item(group, "PlaneOrientationSequence"), "ImageOrientationPatient", 6),
            spacing=_numbers(measures, "PixelSpacing", 2),
            reach=_number(measures, "SpacingBetweenSlices") or _number(measures, "SliceThickness") or 0.0,
        )

    def _item(self, group: Level, keyword: str) -> Level | None:
        found = first_item(group, keyword)
        if found is None and self._shared is not None:
            found = first_item(self._shared, keyword)
        return found

    def _sources(self, group: Level) -> tuple[str, ...]:
        derivation = self._item(group, "DerivationImageSequence")
        if derivation is None:
            return ()
        return tuple(
            name
            for item in items(derivation, "SourceImageSequence")
            for name in referenced(
                _text(item, "ReferencedSOPInstanceUID"), _listed(item, "ReferencedFrameNumber")
            )
        )


def _segment(item: Level) -> Segment:
    number = int(_number(item, "SegmentNumber") or 0)
    lab = value(item, "RecommendedDisplayCIELabValue")
    return Segment(
        number=number,
        name=_text(item, "SegmentLabel") or f"segment {number}",
        category=_code(item, "SegmentedPropertyCategoryCodeSequence"),
        kind=_code(item, "SegmentedPropertyTypeCodeSequence"),
        algorithm=_text(item, "SegmentAlgorithmType"),
        algorithm_name=_text(item, "SegmentAlgorithmName"),
        colour=rgb_of_cielab(tuple(lab)) if lab is not None and not isinstance(lab, (str, int)) else None,
    )


def _code(item: Level, keyword: str) -> Code | None:
    found = first_item(item, keyword)
    if found is None:
        return None
    coded = _text(found, "CodeValue") or _text(found, "LongCodeValue")
    return Code(coded, _text(found, "CodingSchemeDesignator"), _text(found, "CodeMeaning"))


def _text(level: Level | None, keyword: str) -> str:
    found = None if level is None else value(level, keyword)
    return "" if found is None else str(found).strip(" \0")


def _listed(level: Level, keyword: str) -> str:
    """Numbers as text between backslashes, whatever gives them."""
    text = _text(level, keyword)
    return text.strip("[]").replace(", ", "\\")


def _number(level: Level | None, keyword: str) -> float | None:
    found = _numbers(level, keyword, 1)
    return None if found is None else found[0]


def _numbers(level: Level | None, keyword: str, count: int) -> Numbers | None:
    found: Any = None if level is None else value(level, keyword)
    if found is None:
        return None
    if isinstance(found, str):
        numbers = read_decimals(found)
    else:
        numbers = tuple(float(part) for part in found) if hasattr(found, "__iter__") else (float(found),)
    return numbers if numbers is not None and len(numbers) == count else None
