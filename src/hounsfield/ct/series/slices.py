"""Slices: one frame of one instance each, and the judgement whether it can be part of a CT volume at all.

What cannot is left out with a reason a person can act on; it is never dropped silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from hounsfield.ct.instance import Instance, Plane, Skipped
from hounsfield.ct.units import HOUNSFIELD, Unit, unit_of
from hounsfield.language.reasons import reason

LOCALIZER = "LOCALIZER"
LONGEST_TOLD = 64
_OF_SCREENS = ("SCREEN", "REPORT", "CAPTURE")  # in Image Type: what is on it may look like a CT, and is none
_IMAGE_PLANE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and its multi-frame cousins, by prefix (PS3.4 B.5)


@dataclass(frozen=True, slots=True)
class Slice:
    """One frame: its instance, and where and how it lies."""

    instance: Instance
    plane: Plane

    @property
    def uid(self) -> str:
        """SOP Instance UID."""
        return self.instance.header.text("SOPInstanceUID")

    @property
    def is_localizer(self) -> bool:
        """A scout, by Image Type value 3 or later (PS3.3 C.8.2.1.1.1)."""
        return any(part.upper() == LOCALIZER for part in self.plane.frame_type[2:])

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)"""
        header = self.instance.header
        return header.integer("Rows", 0) or 0, header.integer("Columns", 0) or 0

    @property
    def unit(self) -> Unit:
        """The unit of its rescaled values, by what its header says."""
        header = self.instance.header
        return unit_of(self.plane.rescale_type, header.text("Modality"), header.text("SOPClassUID"))

    @property
    def name(self) -> str:
        """The name as messages give it."""
        frames = self.instance.header.number_of_frames
        return self.instance.name if frames == 1 else f"{self.instance.name}#frame {self.plane.frame + 1}"


def reason_to_leave_out(instance: Instance) -> str | None:
    """Why an object's values cannot be Hounsfield units, or None when they may."""
    header = instance.header
    sop_class = header.text("SOPClassUID")
    if "Rows" not in header or "Columns" not in header:
        if not sop_class:
            return reason("no-class")
        kind = printable(_class_name(sop_class))
        return reason("damaged-image" if "Image Storage" in kind else "no-image", kind=kind)
    samples = header.integer("SamplesPerPixel", 1) or 1
    photometric = header.text("PhotometricInterpretation")
    if samples != 1 or photometric == "PALETTE COLOR":
        kind = printable(photometric)
        return reason("colour", kind=kind) if kind else reason("samples", count=samples)
    if is_capture(instance):
        kind = printable("\\".join(header.texts("ImageType")[2:]))
        return reason("capture-kind", kind=kind) if kind else reason("capture")
    return None


def is_capture(instance: Instance) -> bool:
    """Return whether it is a Secondary Capture, of one frame or several."""
    return instance.header.text("SOPClassUID").startswith(_SECONDARY_CAPTURE)


def is_ct_capture(instance: Instance, *, unit: str | None) -> bool:
    """A Secondary Capture with the whole Image Plane Module whose values are HU by Rescale Type, or by the user's
    word: what many programs write instead of a CT Image.
    """
    if not is_capture(instance):  # as nearly every instance of a scan
        return False
    header = instance.header
    is_placed = all(header.raw(keyword) for keyword in _IMAGE_PLANE)
    is_screen = any(word in part.upper() for part in header.texts("ImageType")[2:] for word in _OF_SCREENS)
    is_grey = (header.integer("SamplesPerPixel", 1) or 1) == 1 and "Rows" in header
    said = header.text("RescaleType").upper() == HOUNSFIELD and header.text("Modality") in ("CT", "")
    return is_placed and is_grey and not is_screen and (said or unit is not None)


def printable(text: str) -> str:
    """A header's text fit for a line: a damaged one may be long and hold anything (PS3.5 6.2: LO has 64)."""
    clipped = text if len(text) <= LONGEST_TOLD else f"{text[:LONGEST_TOLD]}…"
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in clipped)


def as_people_count(text: str) -> list[tuple[int, str]]:
    """A key by which texts sort as people count: slice 2 before slice 10."""
    parts = re.split(r"(\d+)", text)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def slices_of(instance: Instance) -> Iterator[Slice]:
    """Every frame of an image. Raises `MalformedError`."""
    for plane in instance.planes:
        yield Slice(instance, plane)


def left_out(slices: list[Slice], why: str) -> list[Skipped]:
    """The slices as skipped entries."""
    return [Skipped(item.name, why) for item in slices]


def _class_name(uid: str) -> str:
    from pydicom import config
    from pydicom.uid import UID

    return UID(uid, config.IGNORE).name
