"""Outlines that hold exactly the voxels of a mask: along the edges of voxels, half way between centres."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
_Corner = tuple[int, int]


def outlines(mask: NDArray[np.bool_]) -> list[Points]:
    """Closed outlines, (points, 2) as (row, column), of a mask (rows, columns); a hole is an outline of its own.

    Filled by the rule of `hounsfield.ct.roi.filling` they hold the mask's voxels and no others: no point is nearer to
    a centre than half a voxel.
    """
    following = _edges(mask)
    found = []
    while following:
        start = next(iter(following))
        found.append(_loop(start, following))
    return found


def _edges(mask: NDArray[np.bool_]) -> dict[_Corner, list[_Corner]]:
    """Corner → the corners to which edges of the mask lead from it, the mask to the right."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    following: dict[_Corner, list[_Corner]] = defaultdict(list)
    # Of each voxel: its neighbour on one side, and the corners of that side, clockwise.
    sides = (
        (padded[:-2, 1:-1], (0, 0), (0, 1)),
        (padded[1:-1, 2:], (0, 1), (1, 1)),
        (padded[2:, 1:-1], (1, 1), (1, 0)),
        (padded[1:-1, :-2], (1, 0), (0, 0)),
    )
    for neighbour, begin, end in sides:
        rows, columns = np.nonzero(inside & ~neighbour)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            following[row + begin[0], column + begin[1]].append((row + end[0], column + end[1]))
    return following


def _loop(start: _Corner, following: dict[_Corner, list[_Corner]]) -> Points:
    """One outline from `start`; its edges are taken out of `following`. Points within straight edges are left out."""
    corners: list[_Corner] = [start]
    here, before = start, (0, 0)
    while True:
        ends = following[here]
        # Two voxels that meet at a corner stay apart: to the right, along the same voxel.
        right = (here[0] + before[1], here[1] - before[0])
        there = ends.pop(ends.index(right) if len(ends) > 1 and right in ends else 0)
        if not ends:
            del following[here]
        step = (there[0] - here[0], there[1] - here[1])
        if step == before:
            corners[-1] = there
        else:
            corners.append(there)
        here, before = there, step
        if here == start:
            return np.array(corners[:-1], np.float64) - 0.5
