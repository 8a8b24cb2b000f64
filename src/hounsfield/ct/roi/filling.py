"""The one rule by which outlines hold voxels: those whose centres lie inside, by crossings of the lines of rows.

Points are (row, column) in voxels, centres at whole numbers. An edge from r₁ to r₂ crosses the rows r with
r₁ > r ≠ r₂ > r: a centre on an edge that faces lower rows or columns belongs to the outline, on the opposite one it
does not, so that two outlines that share an edge share no voxel and leave none out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


@dataclass(frozen=True)
class StackFilling:
    """Voxels inside many outlines on the slices of a stack, and what each outline holds.

    - `voxels`: indexes into the flat stack (slices, rows, columns), ascending: those inside an odd number of the
      outlines on their slice
    - `counts`: voxels inside each outline by itself; `crossing`: whether it crosses itself
    """

    voxels: NDArray[np.int64]
    counts: NDArray[np.int64]
    crossing: NDArray[np.bool_]


def filled_stack(
    points: Points, lengths: Sequence[int], slices: Sequence[int], rows: int, columns: int
) -> StackFilling:
    """Fill outlines, one behind another in `points` (points, 2), of `lengths` points each, that lie on `slices`.

    The rule is that of `windings`; all crossings are sorted once, and no outline costs more than its edges.
    """
    sizes = np.asarray(lengths, np.int64)
    count = len(sizes)
    outline = np.repeat(np.arange(count), sizes)
    ends = np.cumsum(sizes)
    before = np.arange(len(points)) - 1
    before[(ends - sizes)[sizes > 0]] = ends[sizes > 0] - 1
    row, column, sign, edge = _edge_crossings(points, points[before], 0, rows - 1)
    place = np.clip(np.ceil(column), 0, columns).astype(np.int64)
    # One number a crossing that sorts by outline, row and column.
    line = outline[edge] * rows + row
    order = np.argsort(line * (columns + 1) + place)
    line, place = line[order], place[order]
    # Every line of a closed outline sums to nothing, so that one sum runs through all of them.
    numbers = np.cumsum(sign[order]).astype(np.int64)
    length = np.zeros(len(place), np.int64)
    length[:-1] = np.where(line[1:] == line[:-1], place[1:] - place[:-1], 0)
    counts, crossing = _outline_facts(line // rows, numbers, length, count)
    slice_ = np.asarray(slices, np.int64)
    flat = slice_[line // rows] * rows + line % rows
    if len(set(slice_.tolist())) < count:
        order = np.argsort(flat * (columns + 1) + place)
        flat, place = flat[order], place[order]
        starts, stops = place[::2], place[1::2]
        flat = flat[::2]
    else:
        odd = np.flatnonzero((numbers & 1).astype(bool) & (length > 0))
        order = odd[np.argsort(flat[odd], kind="stable")]
        flat, starts, stops = flat[order], place[order], place[order] + length[order]
    return StackFilling(_ranges(flat * columns + starts, stops - starts), counts, crossing)


def _outline_facts(
    outline: NDArray[np.int64], numbers: NDArray[np.int64], length: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Voxels inside each outline, and whether some are run around the other way than others, or more than once."""
    counts = np.bincount(outline, weights=length * (numbers & 1), minlength=count).astype(np.int64)
    highest, lowest = np.zeros(count, np.int64), np.zeros(count, np.int64)
    used = length > 0
    np.maximum.at(highest, outline[used], numbers[used])
    np.minimum.at(lowest, outline[used], numbers[used])
    return counts, highest - lowest > 1


def _ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """All numbers of runs of `lengths` from `starts` on."""
    ends = np.cumsum(lengths)
    found: NDArray[np.int64] = np.repeat(starts - (ends - lengths), lengths)
    return found + np.arange(len(found))


def _crossings(points: Points, top: int, bottom: int) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    """Row, column and direction (±1) of each crossing of an edge with the line of a row, `top` … `bottom`."""
    return _edge_crossings(points, np.roll(points, 1, axis=0), top, bottom)[:3]


def _edge_crossings(
    points: Points, before: Points, top: int, bottom: int
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any], NDArray[np.intp]]:
    """The same of edges from `before` to `points`, and the edge of each crossing."""
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
    return row, np.nan_to_num(column, nan=-np.inf), np.where(r2 > r1, 1.0, -1.0), edge
