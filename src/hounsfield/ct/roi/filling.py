"""The one rule by which outlines hold voxels: those whose centres lie inside, by crossings of the lines of rows.

Points are (row, column) in voxels, centres at whole numbers. An edge from r₁ to r₂ crosses the rows r with
r₁ > r ≠ r₂ > r: a centre on an edge that faces lower rows or columns belongs to the outline, on the opposite one it
does not, so that two outlines that share an edge share no voxel and leave none out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Windings:
    """Winding numbers of a closed outline around each voxel of a box: `numbers` (rows, columns), odd ones lie inside.

    `top` and `left` are the place of the box in the slice.
    """

    top: int
    left: int
    numbers: NDArray[np.int32]

    @property
    def inside(self) -> NDArray[np.bool_]:
        """(rows, columns) of the box, by the even–odd rule: of a keyhole what lies between its two edges."""
        odd: NDArray[np.bool_] = (self.numbers & 1).astype(bool)
        return odd

    @property
    def crosses_itself(self) -> bool:
        """Return whether some voxels are run around the other way than others, or more than once."""
        return int(self.numbers.max(initial=0)) - int(self.numbers.min(initial=0)) > 1


def windings(points: Points, rows: int, columns: int, *, first: tuple[int, int] = (0, 0)) -> Windings:
    """The windings of a closed polygon, (points, 2), in `rows` × `columns` voxels from the one at `first` on.

    The last point joins the first. Costs as much as the rows that its edges cross, and its box.
    """
    start = np.array(first, np.int64)
    end = start + np.array((rows, columns)) - 1
    top, left = np.maximum(
        np.ceil(np.minimum(points.min(axis=0), end + 1.0)).astype(np.int64), start
    ).tolist()
    bottom, right = np.minimum(
        np.floor(np.maximum(points.max(axis=0), start - 1.0)).astype(np.int64), end
    ).tolist()
    height, width = max(bottom - top + 1, 0), max(right - left + 1, 0)
    if not height or not width:
        return Windings(top, left, np.zeros((height, width), np.int32))
    row, column, sign = _crossings(points, top, bottom)
    # A centre lies before the crossing where its column is less: so many columns of the box do.
    before = np.clip(np.ceil(column) - left, 0, width).astype(np.int64)
    counts = np.bincount((row - top) * (width + 1) + before, weights=sign, minlength=height * (width + 1))
    table = counts.reshape(height, width + 1)
    # The number at a column is the sum of all crossings beyond it.
    numbers = np.cumsum(table[:, :0:-1], axis=1)[:, ::-1].astype(np.int32)
    return Windings(top, left, numbers)


def filled(outlines: Iterable[Points], rows: int, columns: int) -> NDArray[np.bool_]:
    """(rows, columns): the voxels inside an odd number of the outlines, so that an outline within another is a hole."""
    inside = np.zeros((rows, columns), bool)
    for points in outlines:
        found = windings(points, rows, columns)
        height, width = found.numbers.shape
        inside[found.top : found.top + height, found.left : found.left + width] ^= found.inside
    return inside


def _crossings(points: Points, top: int, bottom: int) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    """Row, column and direction (±1) of each crossing of an edge with the line of a row, `top` … `bottom`."""
    before = np.roll(points, 1, axis=0)
    (r1, c1), (r2, c2) = points.T, before.T
    # Rows r with min ≤ r < max: those where one end is beyond the row and the other is not.
    first = np.maximum(np.ceil(np.minimum(r1, r2)), top).astype(np.int64)
    last = np.minimum(np.ceil(np.maximum(r1, r2)) - 1, bottom).astype(np.int64)
    counts = np.maximum(last - first + 1, 0)
    edge = np.repeat(np.arange(len(points)), counts)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    r1, r2, c1, c2 = r1[edge], r2[edge], c1[edge], c2[edge]
    with np.errstate(all="ignore"):  # rows that differ by next to nothing
        column = (c2 - c1) * (row - r1) / (r2 - r1) + c1
    return row, np.nan_to_num(column, nan=-np.inf), np.where(r2 > r1, 1.0, -1.0)
