"""From stored values to output values, as a header says it: Modality LUT, rescale, dose grid, or real world mapping.

One of them decides, in this order: a Modality LUT Sequence (PS3.3 C.11.1); the Dose Grid Scaling of an RT Dose
(C.8.8.3); Rescale Slope and Intercept, each half by itself; where there is neither, a Real World Value Mapping
(C.7.6.16.2.11), with its unit. A value that is missing is the one that the standard or common sense gives, with a note;
one that is written and cannot be read is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hounsfield.ct.hu import ModalityLut, Rescale
from hounsfield.ct.instance.header import ATTRIBUTES, Header
from hounsfield.ct.instance.items import Level, first_item, items, value
from hounsfield.ct.instance.numbers import read_decimal, unreadable
from hounsfield.ct.units import UCUM_HOUNSFIELD
from hounsfield.errors import MalformedError
from hounsfield.language import say
from hounsfield.language.reasons import reason

Numbers = tuple[float, ...]

RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"
PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"
_DECIDING = tuple(
    ATTRIBUTES[keyword][0]
    for keyword in (
        *(
            "SOPClassUID",
            "Modality",
            "SpecificCharacterSet",
            "RescaleSlope",
            "RescaleIntercept",
            "RescaleType",
        ),
        *("Units", "DoseUnits", "DoseGridScaling"),
    )
)
UNSPECIFIED = "US"  # Rescale Type of values in no unit that is known
_SLOPE = (0x00281053, "Rescale Slope (0028,1053)")
_INTERCEPT = (0x00281052, "Rescale Intercept (0028,1052)")
_DOSE = (0x3004000E, "Dose Grid Scaling (3004,000E)")


@dataclass(frozen=True, slots=True)
class Scale:
    """`kind` names the unit as a Rescale Type does, or is a UCUM code; `notes` what had to be taken otherwise."""

    rescale: Rescale
    kind: str
    notes: tuple[str, ...] = ()


def scale_of_header(header: Header, dataset: Level | None) -> Scale:
    """The scale of a plain header; `dataset`: its whole, where `has_scale_in_sequences` says that it is needed."""
    if dataset is None:
        return _scale_of_values(tuple(map(header.values.get, _DECIDING)))
    lut = modality_lut(dataset)
    if lut is not None:
        return Scale(Rescale(lut=lut), lut.kind)
    return _scale(header, items(dataset, "RealWorldValueMappingSequence"))


@lru_cache(maxsize=1024)  # most slices of a series have the same
def _scale_of_values(values: tuple[bytes | None, ...]) -> Scale:
    """The scale of a header of which only what decides on it is there, in the order of `_DECIDING`."""
    present = {tag: value for tag, value in zip(_DECIDING, values, strict=True) if value is not None}
    return _scale(Header(present, "", None), ())


def _scale(header: Header, mappings: Iterable[Level]) -> Scale:
    slope, intercept, scaling = (
        _text(header.raw(keyword)) for keyword in ("RescaleSlope", "RescaleIntercept", "DoseGridScaling")
    )
    if header.text("SOPClassUID") == RT_DOSE:
        return _scale_of_dose(scaling, header.text("DoseUnits"))
    kind = header.text("RescaleType")
    if not kind and header.text("Modality") == "PT":
        kind = header.text("Units")
    return scale_of_texts(slope, intercept, kind, mappings)


def _scale_of_dose(scaling: str | None, unit: str) -> Scale:
    """That of a dose grid; without the scaling its numbers are no dose in whatever unit that would be."""
    notes: list[str] = []
    factor = _half(scaling, 1.0, _DOSE, notes)
    return Scale(Rescale(factor), unit if scaling else UNSPECIFIED, tuple(notes))


def has_scale_in_sequences(header: Header) -> bool:
    """Return whether `scale_of_header` needs more than the header tells."""
    if "ModalityLUTSequence" in header:
        return True
    if "RealWorldValueMappingSequence" not in header:
        return False
    return not header.raw("RescaleSlope") and not header.raw("RescaleIntercept")


def scale_of_texts(slope: str | None, intercept: str | None, kind: str, mappings: Iterable[Level]) -> Scale:
    """The scale of two texts, None where an element is missing; of `mappings` where there is neither.

    Each half by itself: a slope that is missing, empty or zero is 1, such an intercept 0 (trap 17). Raises
    `MalformedError` for one that is no number.
    """
    if not (slope or "").strip() and not (intercept or "").strip():
        mapped = real_world_scale(mappings)
        if mapped is not None:
            return mapped
    return _scale_of_halves(slope, intercept, kind)


@lru_cache(maxsize=1024)  # most slices of a series, and frames of an object, have the same
def _scale_of_halves(slope: str | None, intercept: str | None, kind: str) -> Scale:
    notes: list[str] = []
    rescale = Rescale(_half(slope, 1.0, _SLOPE, notes), _half(intercept, 0.0, _INTERCEPT, notes))
    return Scale(rescale, kind, tuple(notes))


def real_world_scale(mappings: Iterable[Level]) -> Scale | None:
    """The first mapping in Hounsfield units, or the first of all; None where none is one of numbers."""
    found = [scale for scale in map(_mapping, mappings) if scale is not None]
    return next((scale for scale in found if scale.kind == UCUM_HOUNSFIELD), found[0] if found else None)


def _mapping(item: Level) -> Scale | None:
    """One item of Real World Value Mapping Sequence (PS3.3 C.7.6.16.2.11)."""
    code = first_item(item, "MeasurementUnitsCodeSequence")
    unit = "" if code is None else str(value(code, "CodeValue") or "").strip()
    note = reason("mapping", unit=unit or "no unit")
    first, table = value(item, "RealWorldValueFirstValueMapped"), value(item, "RealWorldValueLUTData")
    if table is not None and isinstance(first, int):
        return Scale(Rescale(lut=ModalityLut(first, several(table))), unit or UNSPECIFIED, (note,))
    pair = value(item, "RealWorldValueSlope"), value(item, "RealWorldValueIntercept")
    if not all(isinstance(number, (int, float)) and math.isfinite(number) for number in pair) or not pair[0]:
        return None
    return Scale(Rescale(float(pair[0]), float(pair[1])), unit or UNSPECIFIED, (note,))


def _half(text: str | None, default: float, attribute: tuple[int, str], notes: list[str]) -> float:
    tag, name = attribute
    if text is None or not text.strip(" \0"):
        key = "rescale-missing" if text is None else "rescale-empty"
        notes.append(reason(key, name=name, value=f"{default:g}"))
        return default
    whole = text.strip(" \0")
    text, *others = text.split("\\")
    number = read_decimal(text)
    if number is None:
        raise unreadable(tag, whole)
    if others:
        notes.append(reason("several-values", name=name, written=whole, value=f"{number:g}"))
    if "," in text:
        notes.append(reason("decimal-comma", name=name, written=text.strip(" \0"), value=f"{number:g}"))
    if number == 0 and default != 0:
        notes.append(reason("rescale-senseless", name=name, written=repr(text.strip()), value=f"{default:g}"))
        return default
    return number


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("latin-1")


def modality_lut(dataset: Level) -> ModalityLut | None:
    """The first item of Modality LUT Sequence (PS3.3 C.11.1.1); None without one. Raises `MalformedError`."""
    item = first_item(dataset, "ModalityLUTSequence")
    if item is None or "LUTData" not in item:
        return None
    try:
        entries, first, bits = (int(n) for n in value(item, "LUTDescriptor"))
        entries = entries & 0xFFFF or 0x10000  # written as US or SS, and 0 for 65536
        data = value(item, "LUTData")
        little = dataset.original_encoding[1] is not False
        values = _lut_values(data, entries, bits, little) if isinstance(data, bytes) else several(data)
    except (TypeError, ValueError) as error:
        raise MalformedError(
            say("Modality LUT Sequence (0028,3000) cannot be read ({error})", error=error)
        ) from error
    signed = value(dataset, "PixelRepresentation") == 1
    first = first - 0x10000 if signed and first >= 0x8000 else first
    if len(values) < entries:
        raise MalformedError(
            say("{count} values in the Modality LUT", count=len(values)),
            expected=say("{entries}, by its LUT Descriptor", entries=entries),
        )
    return ModalityLut(first, values[:entries], str(value(item, "ModalityLUTType") or ""))


def _lut_values(data: bytes, entries: int, bits: int, little: bool) -> Numbers:
    """LUT Data of VR OW: 16-bit entries, or 8-bit ones packed two a word where that is all there is."""
    if bits <= 8 and len(data) < 2 * entries:
        return tuple(map(float, data))
    pairs = range(0, len(data) - 1, 2)
    return tuple(float(int.from_bytes(data[i : i + 2], "little" if little else "big")) for i in pairs)


def several(data: Any) -> Numbers:
    """A value, or several, as numbers."""
    return tuple(float(n) for n in data) if hasattr(data, "__iter__") else (float(data),)
