"""Traits that may tell volumes apart: one for each attribute that is not the same on all slices.

From the header and the functional groups that are read already; or, where that does not do and only then, from
every element of the whole header. Says nothing of which attribute decides: that is `partition`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hounsfield.ct.instance.header import ATTRIBUTES
from hounsfield.ct.instance.planes import joined
from hounsfield.ct.series.slices import Slice, as_people_count
from hounsfield.dicom.vr import BYTES
from hounsfield.errors import HounsfieldError

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

KNOWN = (
    "NominalPercentageOfCardiacPhase",
    "NominalPercentageOfRespiratoryPhase",
    "TemporalPositionIndex",
    "TemporalPositionIdentifier",
    "TemporalPositionTimeOffset",
    "NominalCardiacTriggerDelayTime",
    "NominalRespiratoryTriggerDelayTime",
    "TriggerTime",
    "MonoenergeticEnergyEquivalent",
    "KVP",
    "ConvolutionKernel",
    "ConvolutionKernelGroup",
    "ContrastBolusAgent",
    "ContrastBolusAgentPhase",
    "ContrastBolusAgentAdministered",
    "ContrastBolusAgentNumber",
    "SliceThickness",
    "FilterType",
    "PatientPosition",
    "ImageType",
    "AcquisitionNumber",
    "FrameAcquisitionNumber",
    "SeriesDescription",
    "ImageComments",
    "FrameComments",
    "FrameLabel",
    "ActualCardiacTriggerDelayTime",
    "AcquisitionDateTime",
    "FrameAcquisitionDateTime",
    "FrameReferenceDateTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "ContentTime",
)
"""Attributes that are asked first, those that say most to a person first; times come last, since they may differ on
every slice of one volume."""

GAPS = "gaps"
"""Asks for the slabs between the gaps of a series, where no attribute parts them."""

DIMENSION = "DimensionIndexValues"
IN_ORDER = (
    "AcquisitionDateTime",
    "FrameAcquisitionDateTime",
    "FrameReferenceDateTime",
    "AcquisitionTime",
    "ContentTime",
    "TriggerTime",
    "InstanceNumber",
    "frame",
)
"""Traits that rise from volume to volume where they differ on every slice; a frame's number is the file's order."""

_OF_FRAMES = frozenset({"ImageType", "frame"})  # what every plane has, whatever its functional groups say
_NUMBERS = frozenset({"KVP", "SliceThickness", "TriggerTime"})  # "120" and "120.0" are one value
_LONGEST_VALUE = 256  # characters: what is longer is no name of a volume
_DEEPEST = 4  # sequences within sequences
# Geometry, pixels and their values, identity of the instance: differs within one volume, or is judged elsewhere.
_NEVER = frozenset(
    {
        "ContentDate",
        "FrameOfReferenceUID",
        "ImageOrientationPatient",
        "ImagePositionPatient",
        "InStackPositionNumber",
        "InstanceCreationTime",
        "InstanceNumber",
        "SOPInstanceUID",
        "SliceLocation",
        "StackID",
        DIMENSION,
    }
)
_NEVER_GROUPS = frozenset({0x0002, 0x0028, 0x0040, 0x7FE0})


@dataclass(frozen=True)
class Trait:
    """The values of one attribute on each slice, (slices,); "" where it says nothing. `keyword`: a DICOM keyword, a
    tag (gggg,eeee), or a dimension as `DimensionIndexValues[1]`.
    """

    keyword: str
    values: tuple[str, ...]

    @cached_property
    def codes(self) -> npt.NDArray[np.intp]:
        """The value of each slice as a number, in the order in which a person counts, (slices,)."""
        places = {value: place for place, value in enumerate(sorted(set(self.values), key=natural))}
        return np.array([places[value] for value in self.values], np.intp)

    @property
    def kinds(self) -> int:
        """The number of different values."""
        return len(set(self.values))


def natural(value: str) -> tuple[float, list[tuple[int, str]]]:
    """A key that sorts numbers by size, and before words as people count."""
    try:
        number = float(value)
    except ValueError:
        number = np.inf
    return (number, []) if np.isfinite(number) else (np.inf, as_people_count(value))


def value_of(item: Slice, keyword: str) -> str:
    """Return what one slice says under a keyword of `KNOWN` or `IN_ORDER`."""
    if keyword == "ImageType":
        return "\\".join(item.plane.frame_type)
    if keyword == "frame":
        return str(item.plane.frame)
    text = item.plane.phase.get(keyword)
    if text is None:
        text = item.instance.header.text(keyword) if keyword in ATTRIBUTES else ""
    return _plain_number(text) if keyword in _NUMBERS else text


def _plain_number(text: str) -> str:
    try:
        return f"{float(text):.6g}"
    except ValueError:
        return text


def known_traits(slices: Sequence[Slice], keywords: Iterable[str] = KNOWN) -> list[Trait]:
    """Those of `keywords` that differ between slices."""
    # The common case is a look at bytes: single frames, of which hardly any attribute differs.
    headers = [item.instance.header.values for item in slices]
    of_groups = {keyword for item in slices for keyword in item.plane.phase}
    traits: list[Trait] = []
    for keyword in keywords:
        if keyword in ATTRIBUTES and keyword not in of_groups and keyword != "ImageType":
            tag = ATTRIBUTES[keyword][0]
            if len({values.get(tag) for values in headers}) == 1:
                continue
        elif keyword not in of_groups and keyword not in _OF_FRAMES:
            continue
        trait = Trait(keyword, tuple(value_of(item, keyword) for item in slices))
        if trait.kinds > 1:
            traits.append(trait)
    return traits


def dimension_traits(slices: Sequence[Slice]) -> list[Trait]:
    """Each dimension of Dimension Index Values (0020,9157), PS3.3 C.7.6.17."""
    indexes = [item.plane.phase.get(DIMENSION, "").split("\\") for item in slices]
    if len({len(index) for index in indexes}) > 1 or indexes[0] == [""]:
        return []
    traits = [
        Trait(f"{DIMENSION}[{place + 1}]", values) for place, values in enumerate(zip(*indexes, strict=True))
    ]
    return [trait for trait in traits if trait.kinds > 1]


def all_traits(slices: Sequence[Slice]) -> list[Trait]:
    """Every element of the headers that differs between slices and may tell volumes apart, standard ones first."""
    of_slices = [*_elements_of(slices, lambda element: not _is_never(element))]
    tags = dict.fromkeys(tag for elements in of_slices for tag in elements)
    traits = [Trait(tag, tuple(elements.get(tag, "") for elements in of_slices)) for tag in tags]
    return sorted(
        (trait for trait in traits if trait.kinds > 1), key=lambda trait: trait.keyword.startswith("(")
    )


def trait_of(slices: Sequence[Slice], keyword: str) -> Trait:
    """Return what slices say under a keyword or tag, as `asked_keywords` gives it, wherever in the header it is."""
    from hounsfield.dicom.dictionary import find_tag

    if keyword.startswith(DIMENSION):
        dimensions = (trait for trait in dimension_traits(slices) if trait.keyword == keyword)
        return next(dimensions, Trait(keyword, ("",) * len(slices)))
    if found := known_traits(slices, (keyword,)):
        return found[0]
    tag = find_tag(keyword)
    of_slices = _elements_of(slices, lambda element: element.tag == tag)
    return Trait(keyword, tuple(elements.get(keyword, "") for elements in of_slices))


def asked_keywords(split_by: str | Iterable[str] | None) -> tuple[str, ...]:
    """Parse what slices shall be parted by: keywords or tags, one by one or joined by commas, or `GAPS`.

    Raises `SelectionError` for what names no attribute.
    """
    if split_by is None:
        return ()
    from hounsfield.dicom.dictionary import (  # brings pydicom, a fifth of a second
        attribute,
        find_tag,
        written,
    )

    if isinstance(split_by, str):
        # A tag has a comma of its own.
        split_by = re.findall(r"\(?\b[0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\b\)?|[^,]+", split_by)
    asked: list[str] = []
    for word in (each.strip() for each in split_by):
        if word.casefold() == GAPS or re.fullmatch(rf"{DIMENSION}\[\d+\]", word):
            asked.append(GAPS if word.casefold() == GAPS else word)
            continue
        tag = find_tag(word)
        asked.append(attribute(tag).keyword or written(tag))
    return tuple(dict.fromkeys(asked))


def _elements_of(slices: Sequence[Slice], wanted: Callable[[DataElement], bool]) -> Iterator[dict[str, str]]:
    """For each slice the first value of each wanted element: its frame's before its instance's."""
    from hounsfield.ct.instance.reading import pydicom_tolerated

    read: dict[int, tuple[dict[str, str], Sequence[Dataset]]] = {}
    for item in slices:
        key, name = id(item.instance), item.instance.name
        try:
            with pydicom_tolerated(name):
                if key not in read:
                    read[key] = {}, ()
                    dataset = item.instance.dataset()
                    frames: Any = dataset.get("PerFrameFunctionalGroupsSequence", ())
                    dataset.pop("PerFrameFunctionalGroupsSequence", None)
                    read[key] = dict(_walk(dataset, wanted)), frames
                of_all, of_frames = read[key]
                is_among = item.plane.frame < len(of_frames)
                of_slices = (
                    {**of_all, **dict(_walk(of_frames[item.plane.frame], wanted))} if is_among else of_all
                )
        except HounsfieldError:
            # What cannot be read tells nothing apart; reading the slices for their pixels will say so.
            of_slices = {}
        yield of_slices


def _walk(
    dataset: Dataset, wanted: Callable[[DataElement], bool], depth: int = 0
) -> Iterator[tuple[str, str]]:
    """Keyword (or tag) and value of wanted elements, the outermost of one keyword last, so that it counts."""
    from hounsfield.dicom.dictionary import written

    elements = list(dataset)
    for element in elements:
        if element.VR == "SQ" and depth < _DEEPEST:
            for nested in element.value or ():
                yield from _walk(nested, wanted, depth + 1)
    for element in elements:
        if element.VR not in ("SQ", *BYTES) and wanted(element):
            text = joined(element.value).strip()
            if len(text) <= _LONGEST_VALUE:
                yield element.keyword or written(int(element.tag)), text


def _is_never(element: DataElement) -> bool:
    return (
        element.keyword in _NEVER
        or element.tag.group in _NEVER_GROUPS
        or 0x6000 <= element.tag.group <= 0x60FF
    )
