"""One frame's place in the patient and its way to output values, from a plain header or from functional groups.

Reads attributes only: per-frame over shared over root (PS3.3 C.7.6.16.1.1). What was missing or senseless becomes
a note, and the value that the standard or common sense gives in its stead; nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hounsfield.ct.hu import ModalityLut, Rescale
from hounsfield.ct.instance.items import Level, Unconverted
from hounsfield.ct.instance.items import first_item as _first_item
from hounsfield.ct.instance.items import items as _items
from hounsfield.ct.instance.items import value as _value
from hounsfield.ct.instance.numbers import read_decimals, unreadable
from hounsfield.ct.instance.placement import RootGeometry, frame_positions
from hounsfield.ct.instance.raw_items import raw_dataset
from hounsfield.ct.instance.reading import pydicom_tolerated, read_dataset
from hounsfield.ct.instance.scales import (
    PARAMETRIC_MAP,
    Scale,
    modality_lut,
    real_world_scale,
    scale_of_texts,
    several,
)
from hounsfield.ct.instance.source import has_metadata
from hounsfield.dicom.fast_walk import Unrecognised
from hounsfield.errors import MalformedError
from hounsfield.language import say
from hounsfield.language.reasons import reason

if TYPE_CHECKING:
    from hounsfield.ct.instance.header import Header
    from hounsfield.ct.instance.source import Source

Numbers = tuple[float, ...]

_OF_SINGLE_FRAMES = (  # what a converter keeps of the files that frames were (PS3.3 C.7.6.16.2.25)
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "KVP",
    "ConvolutionKernel",
    "ContrastBolusAgent",
    "SeriesDescription",
    "ImageComments",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "ContentTime",
)
# Functional group → what in it may tell frames at one position apart, or frames that are unlike (PS3.3 C.7.6.16.2).
_TELLING: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "FrameContentSequence": (
            "TemporalPositionIndex",
            "FrameAcquisitionNumber",
            "FrameAcquisitionDateTime",
            "FrameReferenceDateTime",
            "FrameComments",
            "FrameLabel",
            "DimensionIndexValues",
        ),
        "TemporalPositionSequence": ("TemporalPositionTimeOffset",),
        "CardiacSynchronizationSequence": (
            "NominalPercentageOfCardiacPhase",
            "NominalCardiacTriggerDelayTime",
            "ActualCardiacTriggerDelayTime",
        ),
        "RespiratorySynchronizationSequence": (
            "NominalPercentageOfRespiratoryPhase",
            "NominalRespiratoryTriggerDelayTime",
        ),
        "CTXRayDetailsSequence": ("KVP",),
        "CTReconstructionSequence": ("ConvolutionKernel", "ConvolutionKernelGroup"),
        "ContrastBolusUsageSequence": (
            "ContrastBolusAgentNumber",
            "ContrastBolusAgentAdministered",
            "ContrastBolusAgentPhase",
        ),
        "PixelMeasuresSequence": ("SliceThickness",),
        "MultienergyCTCharacteristicsSequence": ("MonoenergeticEnergyEquivalent",),
        "UnassignedPerFrameConvertedAttributesSequence": _OF_SINGLE_FRAMES,
    }
)
_POSITION, _ORIENTATION, _SPACING, _STEP = 0x00200032, 0x00200037, 0x00280030, 0x00180088
_LENGTHS = (
    (_POSITION, "Image Position (Patient) (0020,0032)"),
    (_ORIENTATION, "Image Orientation (Patient) (0020,0037)"),
    (_SPACING, "Pixel Spacing (0028,0030)"),
    (_STEP, "Spacing Between Slices (0018,0088)"),
)

_FARTHEST_MM = 1e6  # no patient is a kilometre long: a larger coordinate or spacing is damage, not geometry
_FINEST_MM = 1e-9


@dataclass(frozen=True, slots=True)
class Plane:
    """Frame-level attributes.

    `position` LPS mm of the first voxel's centre, `orientation` row then column direction cosines, `spacing`
    (row, column) mm: PS3.3 C.7.6.2.1.1; None where the object has none. `origin`: LPS mm of the object's first frame
    where its frames have no position of their own; `position` is then what follows from it, if anything does.
    `phase` holds what functional groups say that may tell apart frames at one position, by keyword.
    """

    frame: int
    position: Numbers | None
    orientation: Numbers | None
    spacing: Numbers | None
    rescale: Rescale
    rescale_type: str
    frame_type: tuple[str, ...]
    stack: str = ""
    origin: Numbers | None = None
    phase: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def plane_of_header(header: Header, scale: Scale) -> Plane:
    """The plane of a single-frame instance. Raises `MalformedError` for numbers that cannot be read."""
    found = header.values.get
    notes = [reason("decimal-commas", name=name) for tag, name in _LENGTHS if b"," in found(tag, b"")]
    return Plane(
        frame=0,
        position=_sized(header.numbers("ImagePositionPatient"), 3),
        orientation=_sized(header.numbers("ImageOrientationPatient"), 6),
        spacing=_spacing(_sized(header.numbers("PixelSpacing"), 2)),
        rescale=scale.rescale,
        rescale_type=scale.kind,
        frame_type=header.texts("ImageType"),
        notes=(*scale.notes, *notes),
    )


def read_planes_of_groups(source: Source, header: Header) -> tuple[Plane, ...]:
    """`planes_of_groups` of what `source` holds: by the quick reader where that can, by pydicom where it cannot."""
    with pydicom_tolerated(source.name):
        if not has_metadata(source):
            with suppress(Unrecognised):
                raw = raw_dataset(source)
                if raw is not None:
                    return planes_of_groups(raw, header)
        return planes_of_groups(read_dataset(source), header)


def planes_of_groups(dataset: Level, header: Header) -> tuple[Plane, ...]:
    """The planes of an Enhanced or Legacy Converted multi-frame object, in frame order (not in space)."""
    shared = _first_item(dataset, "SharedFunctionalGroupsSequence")
    frames = list(_items(dataset, "PerFrameFunctionalGroupsSequence"))
    count = header.number_of_frames
    if len(frames) not in (0, count):
        raise MalformedError(
            say("{count} items in Per-Frame Functional Groups Sequence (5200,9230)", count=len(frames)),
            expected=say("{count}, the Number of Frames", count=count),
        )
    root_lut = modality_lut(dataset)
    of_all = _telling(shared, _at_root(dataset))
    if frames:
        planes = tuple(
            _plane_of_groups(
                index, _Groups(frame, shared, dataset), header, root_lut, _telling(frame, of_all)
            )
            for index, frame in enumerate(frames)
        )
    else:
        first = _plane_of_groups(0, _Groups(None, shared, dataset), header, root_lut, of_all)
        planes = tuple(replace(first, frame=index) for index in range(count))
    if any(plane.position is not None for plane in planes):
        return planes
    step = _Groups(None, shared, dataset).value("PixelMeasuresSequence", "SpacingBetweenSlices")
    root = _sized(header.numbers("ImagePositionPatient"), 3)
    return _placed(planes, header, root, _floats(step, _STEP, 1))


def planes_of_frames(header: Header, scale: Scale, dataset: Level | None) -> tuple[Plane, ...]:
    """The planes of a multi-frame object without functional groups: one rescale for all, placed by its root.

    `dataset`: its header where that has a Detector Information Sequence, which places the frames of emission
    tomography (PS3.3 C.8.4.11.1.2).
    """
    detector = None if dataset is None else _first_item(dataset, "DetectorInformationSequence")
    first = plane_of_header(header, scale)
    position, orientation = first.position, first.orientation
    if detector is not None:
        position = position or _floats(_value(detector, "ImagePositionPatient"), _POSITION, 3)
        orientation = orientation or _floats(_value(detector, "ImageOrientationPatient"), _ORIENTATION, 6)
    planes = tuple(
        replace(first, frame=index, position=None, orientation=orientation)
        for index in range(header.number_of_frames)
    )
    return _placed(planes, header, position, header.numbers("SpacingBetweenSlices"))


def _placed(
    planes: tuple[Plane, ...], header: Header, origin: Numbers | None, step: Numbers | None
) -> tuple[Plane, ...]:
    """Frames without a position of their own, placed by what the root says of them all."""
    first = planes[0]
    if len(planes) == 1:
        return (replace(first, position=origin),)
    root = RootGeometry(origin, first.orientation, first.spacing, step[0] if step else None)
    positions, notes = frame_positions(header, len(planes), root)
    return tuple(
        replace(plane, position=_sized(position, 3), origin=origin, notes=(*plane.notes, *notes))
        for plane, position in zip(planes, positions, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Groups:
    """Per-frame over shared over root, for one frame."""

    frame: Level | None
    shared: Level | None
    root: Level

    def value(self, sequence: str, keyword: str, *, at_root: bool = True) -> Any:
        """The attribute in its functional group, nearest first; None when no level has it."""
        for level in (self.frame, self.shared):
            item = None if level is None else _first_item(level, sequence)
            if item is not None and keyword in item:
                return _value(item, keyword)
        return _value(self.root, keyword) if at_root and keyword in self.root else None

    def items(self, sequence: str) -> list[Level]:
        """The items of a functional group that may have several, of the nearest level that has any."""
        levels = [level for level in (self.frame, self.shared, self.root) if level is not None]
        return next((found for level in levels if (found := list(_items(level, sequence)))), [])


def _plane_of_groups(
    index: int, groups: _Groups, header: Header, lut: ModalityLut | None, phase: dict[str, str]
) -> Plane:
    scale = Scale(Rescale(lut=lut), lut.kind) if lut is not None else _scale_of_groups(groups, header)
    frame_type = groups.value("CTImageFrameTypeSequence", "FrameType")
    return Plane(
        frame=index,
        # The root's is that of the first frame alone: `_placed` knows what to make of it.
        position=_floats(
            groups.value("PlanePositionSequence", "ImagePositionPatient", at_root=False), _POSITION, 3
        ),
        orientation=_floats(
            groups.value("PlaneOrientationSequence", "ImageOrientationPatient"), _ORIENTATION, 6
        ),
        spacing=_spacing(_floats(groups.value("PixelMeasuresSequence", "PixelSpacing"), _SPACING, 2)),
        rescale=scale.rescale,
        rescale_type=scale.kind,
        frame_type=tuple(joined(frame_type).split("\\")) if frame_type else header.texts("ImageType"),
        stack=str(groups.value("FrameContentSequence", "StackID") or ""),
        phase=phase,
        notes=scale.notes,
    )


def _at_root(dataset: Level) -> dict[str, str]:
    """Return the root's values under keywords of functional groups, which hold for all frames."""
    keywords = {keyword for keywords in _TELLING.values() for keyword in keywords if keyword in dataset}
    return {keyword: text for keyword in keywords if (text := joined(_value(dataset, keyword)))}


def _telling(level: Level | None, inherited: Mapping[str, str]) -> dict[str, str]:
    """`inherited`, overruled by what one frame, or all of them, say in their functional groups."""
    stated = dict(inherited)
    if level is None:
        return stated
    for sequence, keywords in _TELLING.items():
        item = _first_item(level, sequence) if sequence in level else None
        if item is None:
            continue
        for keyword in keywords:
            if keyword in item and (text := joined(_value(item, keyword))):
                stated[keyword] = text
    return stated


def joined(value: Any) -> str:
    """A value as text, several joined as DICOM joins them (PS3.5 6.4)."""
    if value is None:
        return ""
    several = not isinstance(value, (str, bytes)) and hasattr(value, "__iter__")
    return "\\".join(map(str, value)) if several else str(value)


def _scale_of_groups(groups: _Groups, header: Header) -> Scale:
    mappings = groups.items("RealWorldValueMappingSequence")
    if header.text("SOPClassUID") == PARAMETRIC_MAP and (real := real_world_scale(mappings)) is not None:
        # Its rescale is none: slope 1 to no unit (PS3.3 A.75.3.3, Identity Pixel Value Transformation).
        return real
    transformation = "PixelValueTransformationSequence"
    slope, intercept = (
        _written(groups.value(transformation, keyword)) for keyword in ("RescaleSlope", "RescaleIntercept")
    )
    kind = str(groups.value(transformation, "RescaleType") or "")
    return scale_of_texts(slope, intercept, kind, mappings)


def _written(value: Any) -> str | None:
    """The first of one or several numbers as it stands in the file."""
    if value is None or isinstance(value, str):
        return value
    first = next(iter(value), "") if hasattr(value, "__iter__") else value
    return str(getattr(first, "original_string", first))


def _sized(numbers: Numbers | None, size: int) -> Numbers | None:
    """So many numbers, none of them senseless, or None."""
    if numbers is None or len(numbers) != size:
        return None
    return numbers if all(abs(number) <= _FARTHEST_MM for number in numbers) else None


def _spacing(numbers: Numbers | None) -> Numbers | None:
    """Two positive distances, or None."""
    return numbers if numbers is not None and len(numbers) == 2 and min(numbers) >= _FINEST_MM else None


def _floats(value: Any, tag: int, size: int) -> Numbers | None:
    """So many numbers of a functional group; None where there are none. Raises `MalformedError` for what is none."""
    if value is None or (hasattr(value, "__len__") and not len(value)):
        return None
    if isinstance(value, Unconverted):
        numbers = read_decimals(value)
        if numbers is None:
            raise unreadable(tag, value)
    else:
        numbers = several(value)
    return _sized(numbers, size) if all(map(math.isfinite, numbers)) else None
