"""The place of frames whose object gives it once, at its root, and not for each of them (PS3.3 C.7.6.6).

Dental and micro-CT, dose grids and what converters write: one Image Position (Patient), that of the first frame, and
a step or a vector of places along the normal. All of it is a claim about frames that have no position of their
own, so whatever is used is named in a note.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hounsfield.ct.geometry import SPACING_TOLERANCE, is_orthonormal, normal_of
from hounsfield.language.reasons import reason

if TYPE_CHECKING:
    from hounsfield.ct.instance.header import Header

Numbers = tuple[float, ...]
Vector = npt.NDArray[np.float64]

_TIMES = (b"\x18\x00\x63\x10", b"\x18\x00\x65\x10")  # Frame Time (0018,1063), Frame Time Vector (0018,1065)
_STRAIGHT = 0.999  # cosine from which a normal runs along the patient's axis


@dataclass(frozen=True, slots=True)
class RootGeometry:
    """The geometry that the root gives for all frames: LPS mm of the first, six cosines, (row, column) mm."""

    position: Numbers | None
    orientation: Numbers | None
    spacing: Numbers | None
    spacing_between_slices: float | None


def frame_positions(
    header: Header, count: int, root: RootGeometry
) -> tuple[tuple[Numbers | None, ...], tuple[str, ...]]:
    """The position of each of `count` frames, None where nothing places them, and notes that say by what."""
    every = header.numbers("ImagePositionPatient")
    if every is not None and count > 1 and len(every) == 3 * count:
        note = reason("root-placed", source="Image Position (Patient) (0020,0032), one for each frame")
        return tuple(every[start : start + 3] for start in range(0, 3 * count, 3)), (note,)
    offsets, source = _offsets(header, count, root)
    if offsets is None or root.position is None or root.orientation is None:
        return (None,) * count, ()
    points = np.asarray(root.position) + offsets[:, None] * normal_of(root.orientation)
    return tuple(tuple(map(float, point)) for point in points), (reason("root-placed", source=source),)


def _offsets(header: Header, count: int, root: RootGeometry) -> tuple[Vector | None, str]:
    """Return how far each frame lies from the first along the normal, mm, and the attribute that says so."""
    if root.position is None or root.orientation is None or not is_orthonormal(root.orientation):
        return None, ""
    for keyword, source in (
        ("GridFrameOffsetVector", "Grid Frame Offset Vector (3004,000C)"),
        ("SliceLocationVector", "Slice Location Vector (0018,2005)"),
    ):
        vector = header.numbers(keyword)
        if vector is not None and len(vector) == count:
            return _along_normal(np.asarray(vector, np.float64), root), source
    step, source = root.spacing_between_slices, "Spacing Between Slices (0018,0088)"
    if not step:
        step, source = _cubic_step(header, root), "Slice Thickness (0018,0050), which is a pixel's side"
    # A negative Spacing Between Slices stacks against the normal (PS3.3 C.8.4.15.1).
    return (None, "") if not step else (np.arange(count, dtype=np.float64) * step, source)


def _along_normal(places: Vector, root: RootGeometry) -> Vector:
    """Offsets from the first place. Places that begin at the first frame's own coordinate run along the patient's
    axis, whichever way the normal points (PS3.3 C.8.8.3.2); all others run along the normal.
    """
    assert root.position is not None and root.orientation is not None
    upward = float(normal_of(root.orientation)[2])
    is_coordinate = places[0] != 0 and np.isclose(places[0], root.position[2]) and abs(upward) > _STRAIGHT
    offsets: Vector = places - places[0]
    return -offsets if is_coordinate and upward < 0 else offsets


def _cubic_step(header: Header, root: RootGeometry) -> float | None:
    """Slice Thickness where it is the side of a square pixel, as voxels reconstructed as cubes have it.

    In any other place it says nothing of the step, nor where frames follow each other in time.
    """
    thickness = header.number("SliceThickness")
    if (
        thickness is None
        or root.spacing is None
        or (header.raw("FrameIncrementPointer") or b"")[:4] in _TIMES
    ):
        return None
    sides = np.asarray(root.spacing)
    return thickness if np.all(np.abs(sides - thickness) <= SPACING_TOLERANCE * thickness) else None
