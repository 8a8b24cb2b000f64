"""Headers that came without their pixels, held against the instance itself: who states one may have made it up."""

from __future__ import annotations

from hounsfield.ct.instance.header import Header
from hounsfield.errors import HounsfieldError

PLANE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
"""Attributes that the Image Plane module has at least (PS3.3 C.7.6.2)."""

RESCALE = ("RescaleSlope", "RescaleIntercept")
DECISIVE = (*PLANE, *RESCALE, "PixelPaddingValue")
"""Attributes by which values and places of voxels are made."""


def disagreement(stated: Header, found: Header) -> str | None:
    """Return the first decisive attribute that is stated otherwise than the instance has it; None where all agree.

    A rescale that is not stated though the instance has one is a disagreement, too.
    """
    for keyword in DECISIVE:
        is_stated = keyword in stated or (keyword in RESCALE and keyword in found)
        if is_stated and _numbers(stated, keyword) != _numbers(found, keyword):
            return keyword
    return None


def _numbers(header: Header, keyword: str) -> tuple[float, ...] | str | None:
    try:
        return header.numbers(keyword)
    except HounsfieldError:
        return header.text(keyword)
