"""Agreement of places: where a file and the headers put each voxel; axis order, flips, and the largest distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.geometry import normal_of
from hounsfield.language import Sentence, listed, say

PLACE_TOLERANCE_MM = 0.05
"""Distance that is no difference: NIfTI keeps single precision, DICOM positions have few decimals; the smallest
voxels of a CT are four times as large."""

SHEAR_DEGREES = 0.1
"""Angle between stack and normal above which slices count as tilted."""

Floats = NDArray[np.float64]

_AXES = ("slices", "rows", "columns")


@dataclass(frozen=True)
class Grid:
    """The grid of slices: `origins` (slices, 3) LPS mm of each one's first voxel, even where steps are not.

    `down`, `across`: LPS mm from one row, and from one column, to the next. `shape`: (slices, rows, columns).
    """

    origins: Floats
    down: Floats
    across: Floats
    shape: tuple[int, int, int]

    @property
    def affine(self) -> Floats:
        """4×4, (slice, row, column, 1) → LPS mm, the straight line through first and last slice."""
        count = len(self.origins)
        normal = normal_of(np.concatenate([self.across, self.down]))
        made = np.eye(4)
        made[:3, 0] = (self.origins[-1] - self.origins[0]) / (count - 1) if count > 1 else normal
        made[:3, 1], made[:3, 2], made[:3, 3] = self.down, self.across, self.origins[0]
        return made

    @property
    def tilt_degrees(self) -> float:
        """Angle between the slices' normal and the way they are stacked."""
        step = self.affine[:3, 0]
        normal = normal_of(np.concatenate([self.across, self.down]))
        return float(np.degrees(np.arccos(np.clip(abs(step @ normal) / np.linalg.norm(step), 0, 1))))

    def corners(self) -> Floats:
        """(slices, 4, 3) LPS mm of every slice's corner voxels."""
        rows, columns = self.shape[1:]
        moved = [
            row * self.down + column * self.across for row in (0, rows - 1) for column in (0, columns - 1)
        ]
        return self.origins[:, None] + np.array(moved)[None]


@dataclass(frozen=True)
class Alignment:
    """The alignment of a file's array with the series: transposed by `axes`, then `flipped` along some."""

    axes: tuple[int, int, int] = (0, 1, 2)
    flipped: tuple[bool, bool, bool] = (False, False, False)

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """The same voxels in the order of the series: a view."""
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)
        return array.transpose(self.axes)[steps]

    def affine_of(self, affine: Floats, shape: Sequence[int]) -> Floats:
        """The affine of the applied array; `shape` is the file's own."""
        made = affine[:, [*self.axes, 3]].copy()
        for axis, flip in enumerate(self.flipped):
            if flip:
                made[:3, 3] += (shape[self.axes[axis]] - 1) * made[:3, axis]
                made[:3, axis] *= -1
        return made

    @property
    def is_plain(self) -> bool:
        return self == Alignment()

    def sentence(self) -> Sentence:
        """Return what is turned in the file, as a person says it; "" for nothing."""
        order = listed([say(_AXES[self.axes.index(axis)]) for axis in range(3)], ", ")
        turned = say("its axes are {order}", order=order) if self.axes != (0, 1, 2) else say("")
        names = [say(name) for name, flip in zip(_AXES, self.flipped, strict=True) if flip]
        flips = say("{axes} run the other way", axes=listed(names, " and ")) if names else say("")
        return say("{turned}; {flips}", turned=turned, flips=flips) if turned and flips else turned or flips


def alignments(file: Sequence[int], series: Sequence[int]) -> list[Alignment]:
    """Every way in which an array of shape `file` can be one of shape `series`, the plainest first."""
    flips = [(i, j, k) for i, j, k in product((False, True), repeat=3)]
    orders = [
        (i, j, k) for i, j, k in permutations((0, 1, 2)) if (file[i], file[j], file[k]) == tuple(series)
    ]
    return [Alignment(axes, flipped) for axes in orders for flipped in flips]


def align(affine: Floats, shape: Sequence[int], grid: Grid) -> Alignment | None:
    """The alignment that the affines ask for: each axis to the nearest one of the series. None where shapes differ."""
    found = alignments(shape, grid.shape)
    if not found:
        return None
    directions = _directions(grid.affine)

    def agreement(alignment: Alignment) -> float:
        turned = _directions(alignment.affine_of(affine, shape))
        return float((turned * directions).sum())

    return max(found, key=agreement)


def _directions(affine: Floats) -> Floats:
    directions: Floats = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return directions


@dataclass(frozen=True)
class Placement:
    """The verdict on a file's places: whether voxels are where the headers put them. `largest_mm`: the farthest apart,
    None without an affine.

    `verdict`: "equal", "none" (no affine), "tilt" (a gantry tilt is not in the affine), "shifted" (all by the same),
    "turned" (the values lie otherwise than the affine says), "uneven" (slices have no even step), "other".
    """

    verdict: str
    largest_mm: float | None
    sentence: str

    @property
    def is_equal(self) -> bool:
        return self.verdict == "equal"


def place(affine: Floats | None, shape: Sequence[int], grid: Grid, alignment: Alignment) -> Placement:
    """Hold the affine of a file of that shape, its values aligned so, against the grid of the series."""
    if affine is None:
        return Placement("none", None, say("the file has no affine: where it lies is not known"))
    turned = alignment.affine_of(affine, shape)
    apart = _corners(turned, grid.shape) - grid.corners()
    distances = np.linalg.norm(apart, axis=2)
    largest = float(distances.max())
    if largest <= PLACE_TOLERANCE_MM:
        same = say("at the same place, within {mm} mm", mm=f"{largest:.2f}")
        return Placement("equal", largest, same)
    where = _where(int(distances.max(axis=1).argmax()), len(grid.origins))
    verdict, why = _explained(apart, turned, affine, shape, grid, alignment)
    said = say("{mm} mm apart {where}: {why}", mm=f"{largest:.2f}", where=where, why=why)
    return Placement(verdict, largest, said)


def _corners(affine: Floats, shape: tuple[int, int, int]) -> Floats:
    """(slices, 4, 3) LPS mm of every slice's corner voxels, by an affine."""
    slices, rows, columns = shape
    index = np.array([(k, i, j, 1.0) for k in range(slices) for i in (0, rows - 1) for j in (0, columns - 1)])
    corners: Floats = (index @ affine[:3].T).reshape(slices, 4, 3)
    return corners


def _where(index: int, count: int) -> Sentence:
    if count == 1:
        return say("in its slice")
    ends = {0: say("at the first slice"), count - 1: say("at the last slice")}
    return ends.get(index, say("at slice {number}", number=index + 1))


def _explained(
    apart: Floats, turned: Floats, affine: Floats, shape: Sequence[int], grid: Grid, alignment: Alignment
) -> tuple[str, Sentence]:
    """(verdict, why) of a file that lies elsewhere."""
    moved = apart.mean(axis=(0, 1))
    if np.linalg.norm(apart - moved, axis=2).max() <= PLACE_TOLERANCE_MM:
        by = ", ".join(f"{mm:.2f}" for mm in moved)
        return "shifted", say("everything is shifted by ({mm}) mm (LPS)", mm=by)
    if alignment != align(affine, shape, grid):
        return "turned", say("the values lie otherwise than its affine says: an axis was flipped or swapped")
    along = (
        np.linalg.norm(apart - apart[:, :1], axis=2).max() <= PLACE_TOLERANCE_MM
    )  # a slice moves as a whole
    straight = np.linalg.norm(grid.corners() - _corners(grid.affine, grid.shape), axis=2).max()
    if along and straight > PLACE_TOLERANCE_MM:
        return "uneven", say("the slices of the series have no even step, which an affine cannot say")
    if along and grid.tilt_degrees > SHEAR_DEGREES and _is_upright(turned, grid):
        tilt = f"{grid.tilt_degrees:.1f}"
        return "tilt", say("the gantry tilt of {degrees}° is not in its affine", degrees=tilt)
    if along:
        return "other", say("the slices have another step in its affine")
    return "other", say("its affine is another one")


def _is_upright(turned: Floats, grid: Grid) -> bool:
    """Return whether slices are stacked otherwise than the tilted ones of the series are."""
    one, other = turned[:3, 0], grid.affine[:3, 0]
    return float(np.linalg.norm(one - other)) * (len(grid.origins) - 1) > PLACE_TOLERANCE_MM
