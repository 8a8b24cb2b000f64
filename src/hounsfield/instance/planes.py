"""One frame's place in the patient and its way to output values, from a plain header or from functional groups.

Reads attributes only: per-frame over shared over root (PS3.3 C.7.6.16.1.1). What was missing or senseless becomes
a note, and the value that the standard or common sense gives in its stead; nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hounsfield.errors import MalformedError
from hounsfield.hu import ModalityLut, Rescale
from hounsfield.instance.placement import RootGeometry, frame_positions
from hounsfield.reasons import reason

if TYPE_CHECKING:
    from pydicom import Dataset

    from hounsfield.instance.header import Header

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


def plane_of_header(header: Header, lut: ModalityLut | None) -> Plane:
    """The plane of a single-frame instance; `lut` as read from its Modality LUT Sequence."""
    notes: list[str] = []
    rescale = _rescale(_single(header, "RescaleSlope"), _single(header, "RescaleIntercept"), lut, notes)
    return Plane(
        frame=0,
        position=_sized(header.numbers("ImagePositionPatient"), 3),
        orientation=_sized(header.numbers("ImageOrientationPatient"), 6),
        spacing=_spacing(_sized(header.numbers("PixelSpacing"), 2)),
        rescale=rescale,
        rescale_type=header.text("RescaleType") if lut is None else lut.kind,
        frame_type=header.texts("ImageType"),
        notes=tuple(notes),
    )


def planes_of_groups(dataset: Dataset, header: Header) -> tuple[Plane, ...]:
    """The planes of an Enhanced or Legacy Converted multi-frame object, in frame order (not in space)."""
    shared = _first_item(dataset, "SharedFunctionalGroupsSequence")
    frames = list(_items(dataset, "PerFrameFunctionalGroupsSequence"))
    count = header.number_of_frames
    if len(frames) not in (0, count):
        raise MalformedError(
            f"{len(frames)} items in Per-Frame Functional Groups Sequence (5200,9230)",
            expected=f"{count}, the Number of Frames",
        )
    root_lut = modality_lut(dataset)
    of_all = _telling(shared, _at_root(dataset))
    if frames:
        planes = tuple(
            replace(
                _plane_of_groups(index, _Groups(frame, shared, dataset), header, root_lut),
                phase=_telling(frame, of_all),
            )
            for index, frame in enumerate(frames)
        )
    else:
        first = replace(_plane_of_groups(0, _Groups(None, shared, dataset), header, root_lut), phase=of_all)
        planes = tuple(replace(first, frame=index) for index in range(count))
    if any(plane.position is not None for plane in planes):
        return planes
    step = _Groups(None, shared, dataset).value("PixelMeasuresSequence", "SpacingBetweenSlices")
    root = _sized(header.numbers("ImagePositionPatient"), 3)
    return _placed(planes, header, root, _floats((step,), 1))


def planes_of_frames(header: Header, lut: ModalityLut | None, dataset: Dataset | None) -> tuple[Plane, ...]:
    """The planes of a multi-frame object without functional groups: one rescale for all, placed by its root.

    `dataset`: its header where that has a Detector Information Sequence, which places the frames of emission
    tomography (PS3.3 C.8.4.11.1.2).
    """
    detector = None if dataset is None else _first_item(dataset, "DetectorInformationSequence")
    first = plane_of_header(header, lut)
    position, orientation = first.position, first.orientation
    if detector is not None:
        position = position or _floats(_value(detector, "ImagePositionPatient"), 3)
        orientation = orientation or _floats(_value(detector, "ImageOrientationPatient"), 6)
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


def modality_lut(dataset: Dataset) -> ModalityLut | None:
    """The first item of Modality LUT Sequence (PS3.3 C.11.1.1); None without one. Raises `MalformedError`."""
    item = _first_item(dataset, "ModalityLUTSequence")
    if item is None or "LUTData" not in item:
        return None
    try:
        entries, first, bits = (int(n) for n in _value(item, "LUTDescriptor"))
        entries = entries & 0xFFFF or 0x10000  # written as US or SS, and 0 for 65536
        data = _value(item, "LUTData")
        little = dataset.original_encoding[1] is not False
        values = _lut_values(data, entries, bits, little) if isinstance(data, bytes) else _several(data)
    except (TypeError, ValueError) as error:
        raise MalformedError(f"Modality LUT Sequence (0028,3000) cannot be read ({error})") from error
    signed = _value(dataset, "PixelRepresentation") == 1
    first = first - 0x10000 if signed and first >= 0x8000 else first
    if len(values) < entries:
        raise MalformedError(
            f"{len(values)} values in the Modality LUT", expected=f"{entries}, by its LUT Descriptor"
        )
    return ModalityLut(first, values[:entries], str(_value(item, "ModalityLUTType") or ""))


def _lut_values(data: bytes, entries: int, bits: int, little: bool) -> Numbers:
    """LUT Data of VR OW: 16-bit entries, or 8-bit ones packed two a word where that is all there is."""
    if bits <= 8 and len(data) < 2 * entries:
        return tuple(map(float, data))
    pairs = range(0, len(data) - 1, 2)
    return tuple(float(int.from_bytes(data[i : i + 2], "little" if little else "big")) for i in pairs)


def _several(data: Any) -> Numbers:
    return tuple(float(n) for n in data) if hasattr(data, "__iter__") else (float(data),)


@dataclass(frozen=True, slots=True)
class _Groups:
    """Per-frame over shared over root, for one frame."""

    frame: Dataset | None
    shared: Dataset | None
    root: Dataset | None

    def value(self, sequence: str, keyword: str) -> Any:
        """The attribute in its functional group, nearest first; None when no level has it."""
        for level in (self.frame, self.shared):
            item = None if level is None else _first_item(level, sequence)
            if item is not None and keyword in item:
                return _value(item, keyword)
        return _value(self.root, keyword) if self.root is not None and keyword in self.root else None


def _plane_of_groups(index: int, groups: _Groups, header: Header, lut: ModalityLut | None) -> Plane:
    notes: list[str] = []
    transformation = "PixelValueTransformationSequence"
    rescale = _rescale(
        _written(groups.value(transformation, "RescaleSlope")),
        _written(groups.value(transformation, "RescaleIntercept")),
        lut,
        notes,
    )
    frame_type = groups.value("CTImageFrameTypeSequence", "FrameType")
    return Plane(
        frame=index,
        # The root's is that of the first frame alone: `_placed` knows what to make of it.
        position=_floats(
            replace(groups, root=None).value("PlanePositionSequence", "ImagePositionPatient"), 3
        ),
        orientation=_floats(groups.value("PlaneOrientationSequence", "ImageOrientationPatient"), 6),
        spacing=_spacing(_floats(groups.value("PixelMeasuresSequence", "PixelSpacing"), 2)),
        rescale=rescale,
        rescale_type=str(groups.value(transformation, "RescaleType") or "") if lut is None else lut.kind,
        frame_type=tuple(str(part) for part in frame_type) if frame_type else header.texts("ImageType"),
        stack=str(groups.value("FrameContentSequence", "StackID") or ""),
        notes=tuple(notes),
    )


def _at_root(dataset: Dataset) -> dict[str, str]:
    """What the root says under keywords of functional groups, for all frames."""
    keywords = {keyword for keywords in _TELLING.values() for keyword in keywords if keyword in dataset}
    return {keyword: text for keyword in keywords if (text := joined(_value(dataset, keyword)))}


def _telling(level: Dataset | None, inherited: Mapping[str, str]) -> dict[str, str]:
    """`inherited`, overruled by what one frame, or all of them, say in their functional groups."""
    told = dict(inherited)
    for sequence, keywords in _TELLING.items() if level is not None else ():
        item = _first_item(level, sequence) if level is not None and sequence in level else None
        for keyword in keywords if item is not None else ():
            if item is not None and keyword in item and (text := joined(_value(item, keyword))):
                told[keyword] = text
    return told


def joined(value: Any) -> str:
    """A value as text, several joined as DICOM joins them (PS3.5 6.4)."""
    if value is None:
        return ""
    several = not isinstance(value, (str, bytes)) and hasattr(value, "__iter__")
    return "\\".join(map(str, value)) if several else str(value)


def _rescale(slope: str | None, intercept: str | None, lut: ModalityLut | None, notes: list[str]) -> Rescale:
    """Each half by itself: a slope that is missing, empty, zero or no number is 1, such an intercept 0 (trap 17)."""
    if lut is not None:
        return Rescale(lut=lut)
    return Rescale(
        _half(slope, 1.0, "Rescale Slope (0028,1053)", notes, zero_is_valid=False),
        _half(intercept, 0.0, "Rescale Intercept (0028,1052)", notes, zero_is_valid=True),
    )


def _half(text: str | None, default: float, name: str, notes: list[str], *, zero_is_valid: bool) -> float:
    if text is None or not text.strip():
        key = "rescale-missing" if text is None else "rescale-empty"
        notes.append(reason(key, name=name, value=f"{default:g}"))
        return default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isfinite(number) and (number != 0 or zero_is_valid):
        return number
    notes.append(reason("rescale-senseless", name=name, written=repr(text.strip()), value=f"{default:g}"))
    return default


def _single(header: Header, keyword: str) -> str | None:
    raw = header.raw(keyword)
    return None if raw is None else raw.split(b"\\")[0].decode("latin-1")


def _written(value: Any) -> str | None:
    return None if value is None else str(getattr(value, "original_string", value))


def _sized(numbers: Numbers | None, size: int) -> Numbers | None:
    """So many numbers, none of them senseless, or None."""
    if numbers is None or len(numbers) != size:
        return None
    return numbers if all(abs(number) <= _FARTHEST_MM for number in numbers) else None


def _spacing(numbers: Numbers | None) -> Numbers | None:
    """Two positive distances, or None."""
    return numbers if numbers is not None and len(numbers) == 2 and min(numbers) >= _FINEST_MM else None


def _floats(value: Any, size: int) -> Numbers | None:
    try:
        numbers = tuple(float(n) for n in value)
    except (TypeError, ValueError):
        return None
    return _sized(numbers, size) if all(map(math.isfinite, numbers)) else None


def _value(dataset: Dataset, keyword: str) -> Any:
    try:
        return dataset[keyword].value
    except Exception:  # noqa: BLE001 (pydicom raises many kinds on a broken element; it then counts as absent)
        return None


def _items(dataset: Dataset, keyword: str) -> Iterable[Dataset]:
    value = _value(dataset, keyword) if keyword in dataset else None
    return value if value is not None and not isinstance(value, (bytes, str)) else ()


def _first_item(dataset: Dataset, keyword: str) -> Dataset | None:
    return next(iter(_items(dataset, keyword)), None)
