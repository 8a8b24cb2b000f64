"""Mean HU of every rod, found by its place in the patient: proof of the numbers and of the geometry at once.

Takes whatever has an `array` and an `affine`; does not import `hounsfield.ct.volume`, and interpolates nothing.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hounsfield.phantom.body import Insert, inserts

CORE = 0.7
"""The part of a rod's radius and length that is measured: its rim changes as soon as anyone interpolates."""


class VolumeLike(Protocol):
    """`array` (slices, rows, columns) in HU; `affine @ (slice, row, column, 1)` = LPS mm of a voxel's centre."""

    @property
    def array(self) -> NDArray[Any]: ...

    @property
    def affine(self) -> NDArray[np.float64]: ...


@dataclass(frozen=True)
class InsertMeasurement:
    """HU of one rod as a volume shows it; `mean` and `sd` are NaN where the volume has no voxel of it."""

    name: str
    nominal: float
    mean: float
    sd: float
    count: int

    @property
    def difference(self) -> float:
        """Measured less nominal, in HU."""
        return self.mean - self.nominal

    @property
    def tolerance(self) -> float:
        """HU within which the mean of `count` voxels must be: half a unit of rounding and four standard errors."""
        return 0.5 + 4 * self.sd / math.sqrt(max(self.count, 1))

    @property
    def agrees(self) -> bool:
        """Return whether the rod was found, and as dense as it is."""
        return self.count > 0 and abs(self.difference) <= self.tolerance


def measure(volume: VolumeLike) -> list[InsertMeasurement]:
    """Every rod of the phantom, measured in `volume` at the place where the patient has it."""
    return [_measure(volume, insert) for insert in inserts()]


def _measure(volume: VolumeLike, insert: Insert) -> InsertMeasurement:
    box = _box(volume, insert)
    indices = np.meshgrid(*(np.arange(part.start, part.stop) for part in box), indexing="ij")
    affine = np.asarray(volume.affine, dtype=np.float64)
    x, y, z = (sum(affine[axis, i] * indices[i] for i in range(3)) + affine[axis, 3] for axis in range(3))
    across = (x - insert.centre_mm[0]) ** 2 + (y - insert.centre_mm[1]) ** 2
    core = (across < (CORE * insert.radius_mm) ** 2) & (
        np.abs(z - insert.centre_mm[2]) < CORE * insert.half_length_mm
    )
    values = np.asarray(volume.array[box], dtype=np.float64)[core]
    if values.size == 0:
        return InsertMeasurement(insert.name, insert.hu, float("nan"), float("nan"), 0)
    return InsertMeasurement(
        insert.name, insert.hu, float(values.mean()), float(values.std()), int(values.size)
    )


def _box(volume: VolumeLike, insert: Insert) -> tuple[slice, slice, slice]:
    """The indices that can hold the rod: those between the corners of its bounding box, cut at the volume's."""
    reach = np.array([insert.radius_mm, insert.radius_mm, insert.half_length_mm])
    corners = np.array(list(itertools.product((-1, 1), repeat=3))) * reach + np.asarray(insert.centre_mm)
    inverse = np.linalg.inv(np.asarray(volume.affine, dtype=np.float64))
    indices = corners @ inverse[:3, :3].T + inverse[:3, 3]
    low = np.floor(indices.min(axis=0)).astype(int)
    high = np.ceil(indices.max(axis=0)).astype(int) + 1
    first, second, third = (
        slice(max(0, int(a)), max(0, min(int(b), size)))
        for a, b, size in zip(low, high, volume.array.shape, strict=True)
    )
    return first, second, third
