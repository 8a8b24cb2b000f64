"""Shapes on a slice, and which whole-numbered places they hold. Points are (row, column), voxel centres whole numbers.

No values here: a shape is the same on a slice of voxels and on a lattice of samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.roi.filling import windings
from hounsfield.errors import GeometryError
from hounsfield.language import say

Kind = Literal["probe", "length", "bidirectional", "angle", "cobb", "rectangle", "ellipse", "freehand"]
LINES: frozenset[Kind] = frozenset({"length", "bidirectional", "angle", "cobb"})
"""Kinds that hold no voxel."""

Points = tuple[tuple[float, float], ...]

MAX_POINTS = 100_000
"""Of one freehand region; more is no drawing."""

FARTHEST = 1e9
"""Samples or mm: nothing is drawn, and no plane lies, so far away; beyond it numbers would overflow in the end."""

_POINTS: Mapping[str, tuple[int, int]] = {
    "probe": (1, 1),
    "length": (2, 2),
    "bidirectional": (4, 4),
    "angle": (3, 3),
    "cobb": (4, 4),
    "rectangle": (2, 2),
    "ellipse": (2, 2),
    "freehand": (3, MAX_POINTS),
}


@dataclass(frozen=True)
class Roi:
    """A region drawn on slice `slice` (index into the volume): `points` are (row, column).

    rectangle and ellipse: two opposite corners of the box; freehand: a closed polygon, even–odd; angle: at the
    second of three points; bidirectional and cobb: two lines, two points each. Raises `GeometryError` for another
    number of points, or one that is not finite or beyond `FARTHEST`.
    """

    kind: Kind
    slice: int
    points: Points
    label: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", checked(self.kind, self.points))

    def mask(self, rows: int, columns: int) -> NDArray[np.bool_]:
        """(rows, columns): which voxels lie inside; none for a line or an angle, one for a probe."""
        inside = np.zeros((rows, columns), bool)
        top, left, bottom, right = box(self.kind, self.points)
        top, left = (int(np.clip(value, 0, size)) for value, size in ((top, rows), (left, columns)))
        bottom, right = (
            int(np.clip(value, -1, size - 1)) for value, size in ((bottom, rows), (right, columns))
        )
        grid = np.mgrid[top : bottom + 1, left : right + 1]
        if grid.size:
            inside[top : bottom + 1, left : right + 1] = contains(self.kind, self.points, grid[0], grid[1])
        return inside


def checked(kind: Kind, points: Sequence[Sequence[float]]) -> Points:
    """`points` as floats. Raises `GeometryError` for a kind that is none, or points it cannot have."""
    if kind not in get_args(Kind):
        raise GeometryError(
            say("a region of kind {kind}", kind=repr(kind)), expected=", ".join(get_args(Kind))
        )
    found = tuple((float(row), float(column)) for row, column in points)
    least, most = _POINTS[kind]
    if not least <= len(found) <= most or not all(is_near(value) for point in found for value in point):
        wanted = str(least) if least == most else f"{least} to {most}"
        raise GeometryError(
            say("a {kind} of {count} points", kind=kind, count=len(found)),
            expected=say("{wanted}, all finite and near", wanted=wanted),
        )
    return found


def is_near(value: float) -> bool:
    """Return whether it is a number, and within `FARTHEST`."""
    return abs(value) <= FARTHEST


def box(kind: Kind, points: Points) -> tuple[float, float, float, float]:
    """(top, left, bottom, right), whole numbers, both ends belonging to it; empty (bottom < top) for a line."""
    places = np.array(points)
    if kind == "probe":
        row, column = np.floor(places[0] + 0.5)
        return float(row), float(column), float(row), float(column)
    if kind in LINES:
        return 0.0, 0.0, -1.0, -1.0
    low, high = np.ceil(places.min(axis=0)), np.floor(places.max(axis=0))
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def contains(kind: Kind, points: Points, row: NDArray[Any], column: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which of the places in the `box` lie inside; `row` and `column` of one shape."""
    places = np.array(points)
    if kind == "ellipse":
        low, high = places.min(axis=0), places.max(axis=0)
        half, centre = (high - low) / 2, (low + high) / 2
        if not (half > 0).all():
            return np.zeros(row.shape, bool)
        y, x = (row - centre[0]) / half[0], (column - centre[1]) / half[1]
        return np.asarray(y * y + x * x <= 1)
    if kind == "freehand":
        return _in_polygon(places, row, column)
    return np.ones(row.shape, bool)


def _in_polygon(points: NDArray[Any], row: NDArray[Any], column: NDArray[Any]) -> NDArray[np.bool_]:
    """Even–odd rule of the closed polygon, at the places of its box."""
    if not row.size:
        return np.zeros(row.shape, bool)
    first = int(row[0, 0]), int(column[0, 0])
    found = windings(points, *row.shape, first=first)
    inside = np.zeros(row.shape, bool)
    top, left = found.top - first[0], found.left - first[1]
    height, width = found.numbers.shape
    inside[top : top + height, left : left + width] = found.inside
    return inside
