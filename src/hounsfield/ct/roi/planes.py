"""Regions on planes across slices: coronal, sagittal, oblique. The samples of a plane are a lattice in the patient.

A lattice that runs through the centres of voxels, as one along the axes of an upright volume does, takes the voxels'
own values, and measures voxels. Any other (under gantry tilt, or along the patient's axes in a turned volume) takes
values interpolated linearly between the eight voxels around a sample, which is what the viewer draws; its numbers are
those of samples. Nothing outside the volume, by more than half a voxel, belongs to a region.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.roi.regions import Kind, Points, box, checked, contains, is_near
from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError
from hounsfield.language import say

ON_VOXEL = 1e-6
"""Fraction of a voxel within which a sample is the voxel itself: more than rounding, less than anybody can draw."""

MOST_SAMPLES = 16_000_000
"""In the box of one region; a plane that is shown has less than a million."""

Place = tuple[float, float, float]


@dataclass(frozen=True)
class Plane:
    """A lattice of samples, LPS mm: the centre of sample (0, 0), the steps to the next column and to the next row.

    Raises `GeometryError` for numbers that are not finite or beyond `FARTHEST`, or steps that span no plane.
    """

    origin: Place
    across: Place
    down: Place

    def __post_init__(self) -> None:
        for name in ("origin", "across", "down"):
            x, y, z = (float(value) for value in getattr(self, name))
            object.__setattr__(self, name, (x, y, z))
        numbers = (*self.origin, *self.across, *self.down)
        if not all(map(is_near, numbers)) or not self.area > 0:
            raise GeometryError(
                "steps that span no plane", expected="two directions of three finite and near numbers, mm"
            )

    @property
    def area(self) -> float:
        """Of one sample, mm²."""
        return float(np.linalg.norm(np.cross(self.across, self.down)))

    def lps(self, row: float, column: float) -> Place:
        """LPS mm of a place on the plane, (0, 0) the centre of the first sample."""
        x, y, z = np.array(self.origin) + row * np.array(self.down) + column * np.array(self.across)
        return float(x), float(y), float(z)


@dataclass(frozen=True)
class PlaneRoi:
    """A region drawn on `plane`: `points` are (row, column) of its lattice, kinds those of `Roi`."""

    kind: Kind
    plane: Plane
    points: Points
    label: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", checked(self.kind, self.points))


@dataclass(frozen=True)
class Samples:
    """The values of a region: (samples,) float64. `are_voxels`: each is a voxel's own value."""

    values: NDArray[np.float64]
    are_voxels: bool


def samples(volume: Volume, roi: PlaneRoi) -> Samples:
    """The samples of `roi` that lie in `volume`. Raises `GeometryError` for a region too large to be one."""
    top, left, bottom, right = box(roi.kind, roi.points)
    height, width = bottom - top + 1, right - left + 1
    # Each by itself too: a lattice without a row may have any number of columns.
    if max(height, width) > MOST_SAMPLES or height * width > MOST_SAMPLES:
        raise GeometryError(
            "a region of too many samples", expected=say("at most {most_samples}", most_samples=MOST_SAMPLES)
        )
    row, column = np.mgrid[top : bottom + 1, left : right + 1]
    inside = contains(roi.kind, roi.points, row, column)
    index = _indexes(volume, roi.plane, row[inside], column[inside])
    index = np.where(_on_voxel(index), np.rint(index), index)
    # Half a voxel beyond the outermost centres still belongs to the volume.
    index = index[((index >= -0.5) & (index < np.array(volume.shape) - 0.5)).all(axis=1)]
    return Samples(_linear(volume.array, index), _runs_along_voxels(volume, roi.plane))


def _on_voxel(index: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(index - np.rint(index)) < ON_VOXEL)


def _runs_along_voxels(volume: Volume, plane: Plane) -> bool:
    """Return whether every sample of the plane is a voxel's centre: a corner is, and the steps are whole ones."""
    corners = _indexes(volume, plane, np.array([0, 0, 1]), np.array([0, 1, 0]))
    return bool(_on_voxel(corners).all())


def _indexes(volume: Volume, plane: Plane, row: NDArray[Any], column: NDArray[Any]) -> NDArray[np.float64]:
    """(samples, 3): fractional (slice, row, column) in the volume of places on the lattice."""
    inverse = np.linalg.inv(volume.affine[:3, :3])
    start = inverse @ (np.array(plane.origin) - volume.affine[:3, 3])
    steps = np.stack([inverse @ plane.down, inverse @ plane.across])
    found: NDArray[np.float64] = start + np.stack([row, column], axis=1) @ steps
    return found


def _linear(array: NDArray[Any], index: NDArray[np.float64]) -> NDArray[np.float64]:
    """Between the eight voxels around each place; beyond the outermost centres their values go on."""
    last = np.array(array.shape) - 1
    place = np.clip(index, 0, last)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, last)
    part = place - low
    values = np.zeros(len(place))
    for corner in np.ndindex(2, 2, 2):
        above = np.array(corner) == 1
        weight = np.where(above, part, 1 - part).prod(axis=1)
        s, r, c = np.where(above, high, low).T
        values += weight * array[s, r, c]
    return values
