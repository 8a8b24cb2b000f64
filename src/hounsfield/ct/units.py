"""In which unit rescaled values are: Hounsfield, a cousin of it, or something else (PS3.3 C.11.1.1.2, C.8.2.1).

Decides from what the header says (Rescale Type, Modality, SOP class); it never looks at values.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from hounsfield.language.reasons import reason

HOUNSFIELD = "HU"
MODIFIED_HOUNSFIELD = "HU_MOD"
UNSPECIFIED = "unspecified"
HOUNSFIELD_UNITS = frozenset({HOUNSFIELD, MODIFIED_HOUNSFIELD})
"""Units on the Hounsfield scale; HU_MOD has been altered by the scanner (PS3.3 C.11.1.1.2)."""

UCUM_HOUNSFIELD = "[hnsf'U]"
"""The code of Hounsfield units in Measurement Units Code Sequence (PS3.16 CID 84)."""

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_CT_CLASSES = frozenset(_STORAGE + last for last in ("2", "2.1", "2.2"))
# SOP classes whose values are another quantity unless they say so themselves (PS3.4 B.5). A class that is not here
# may be a CT's: odd UIDs are met on sound files.
_OTHER_CLASSES = MappingProxyType(
    {
        "1": "Computed Radiography",
        "1.1": "Digital X-Ray",
        "3.1": "Ultrasound",
        "4": "MR",
        "4.1": "MR",
        "4.3": "MR",
        "4.4": "MR",
        "6.1": "Ultrasound",
        "12.1": "X-Ray Angiographic",
        "12.2": "X-Ray Radiofluoroscopic",
        "20": "Nuclear Medicine",
        "30": "Parametric Map",
        "128": "Positron Emission Tomography",
        "128.1": "Positron Emission Tomography",
        "130": "Positron Emission Tomography",
        "481.1": "RT Image",
        "481.2": "RT Dose",
    }
)


@dataclass(frozen=True, slots=True)
class Unit:
    """`name` as shown; `hounsfield`: whether −1024 is a floor and padding means air; `warning` "" when all is well."""

    name: str
    hounsfield: bool
    warning: str = ""


@lru_cache(maxsize=256)
def unit_of(rescale_type: str, modality: str, sop_class: str = "") -> Unit:
    """The unit of an image's rescaled values. Without a Rescale Type a CT is in HU: the standard says so.

    `rescale_type` may be the UCUM code of a Real World Value Mapping too, which needs no modality to be believed.
    """
    kind, modality = rescale_type.strip(), modality.strip().upper()
    if kind == UCUM_HOUNSFIELD:
        return Unit(HOUNSFIELD, True)
    is_ct = modality in ("CT", "")
    other_class = _OTHER_CLASSES.get(sop_class.removeprefix(_STORAGE))
    if is_ct and other_class is None:
        return _unit_of_ct(kind)
    if kind.upper() in HOUNSFIELD_UNITS and (is_ct or sop_class in _CT_CLASSES):
        doubt = reason("hu-class", kind=other_class) if is_ct else reason("ct-class", modality=modality)
        return Unit(kind.upper(), True, doubt)
    why = reason("not-ct-class", kind=other_class) if is_ct else reason("not-ct", modality=modality)
    # What is not Hounsfield is never called so, whatever a Rescale Type says.
    return Unit(UNSPECIFIED if kind.upper() in ("", "US", *HOUNSFIELD_UNITS) else kind, False, why)


def _unit_of_ct(kind: str) -> Unit:
    if kind.upper() in ("", HOUNSFIELD):
        return Unit(HOUNSFIELD, True)
    if kind.upper() == MODIFIED_HOUNSFIELD:
        return Unit(MODIFIED_HOUNSFIELD, True, reason("modified-hu"))
    if kind.upper() == "US":
        return Unit(UNSPECIFIED, False, reason("unspecified"))
    return Unit(kind, False, reason("other-unit", unit=kind))


def hounsfield_on_request(unit: Unit) -> Unit:
    """HU by the word of whoever loads it, for files whose Rescale Type is wrong; the warning keeps what they say."""
    if unit.name in HOUNSFIELD_UNITS:
        return unit
    return Unit(HOUNSFIELD, True, reason("hu-on-request", unit=unit.name))
