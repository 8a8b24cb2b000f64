"""In which unit rescaled values are: Hounsfield, a cousin of it, or something else (PS3.3 C.11.1.1.2, C.8.2.1).

Decides from Rescale Type (0028,1054) and Modality alone; it never looks at values.
"""

from __future__ import annotations

from dataclasses import dataclass

from hounsfield.reasons import reason

HOUNSFIELD = "HU"
MODIFIED_HOUNSFIELD = "HU_MOD"
UNSPECIFIED = "unspecified"


@dataclass(frozen=True, slots=True)
class Unit:
    """`name` as shown; `hounsfield`: whether −1024 is a floor and padding means air; `warning` "" when all is well."""

    name: str
    hounsfield: bool
    warning: str = ""


def unit_of(rescale_type: str, modality: str) -> Unit:
    """The unit of a CT image's rescaled values. Without a Rescale Type a CT is in HU: the standard says so."""
    kind = rescale_type.strip().upper()
    if modality.strip().upper() not in ("CT", ""):
        name = kind if kind and kind != "US" else UNSPECIFIED
        return Unit(name, False, reason("not-ct", modality=modality))
    if kind in ("", HOUNSFIELD):
        return Unit(HOUNSFIELD, True)
    if kind == MODIFIED_HOUNSFIELD:
        return Unit(MODIFIED_HOUNSFIELD, True, reason("modified-hu"))
    if kind == "US":
        return Unit(UNSPECIFIED, False, reason("unspecified"))
    return Unit(kind, False, reason("other-unit", unit=kind))
