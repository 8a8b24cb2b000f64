"""Agreement of a volume with the series it was made of: its values, and where it lies.

Arrays and affines only: which file and which series is decided by `hounsfield.verbs.check`.
"""

from __future__ import annotations

from hounsfield.ct.agreement.grids import (
    PLACE_TOLERANCE_MM,
    Alignment,
    Grid,
    Placement,
    align,
    alignments,
    place,
)
from hounsfield.ct.agreement.values import ValueAgreement, compare_values, likeness

__all__ = [
    "PLACE_TOLERANCE_MM",
    "Alignment",
    "Grid",
    "Placement",
    "ValueAgreement",
    "align",
    "alignments",
    "compare_values",
    "likeness",
    "place",
]
