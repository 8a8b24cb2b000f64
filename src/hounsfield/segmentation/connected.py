"""Connected parts of a mask, by the faces of voxels: runs along rows, joined where they touch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a mask of `shape`: of each run along a row its first and last voxel, in C order, and its part.

    `sizes`: voxels of each part. Parts are numbered from 0.
    """

    shape: tuple[int, ...]
    starts: Index
    ends: Index
    part: Index
    sizes: Index

    def mask(self, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """True in the parts for which `wanted` (parts,) is."""
        kept = wanted[self.part]
        marks = np.zeros(int(np.prod(self.shape)) + 1, np.int8)
        np.add.at(marks, self.starts[kept], 1)
        np.add.at(marks, self.ends[kept] + 1, -1)
        inside = np.cumsum(marks[:-1], dtype=np.int8).astype(bool)
        return inside.reshape(self.shape)

    def largest(self) -> NDArray[np.bool_]:
        """True in the largest part; nowhere if there is none."""
        wanted = np.zeros(len(self.sizes), bool)
        if len(wanted):
            wanted[np.argmax(self.sizes)] = True
        return self.mask(wanted)

    def sums(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The sum of values, of the mask's shape, in each part."""
        totals = np.concatenate([[0.0], np.cumsum(values.ravel(), dtype=np.float64)])
        runs = totals[self.ends + 1] - totals[self.starts]
        return np.bincount(self.part, weights=runs, minlength=len(self.sizes)).astype(np.float64)


def connected(mask: NDArray[np.bool_]) -> Parts:
    """The parts of a mask of two or three axes; voxels that share a face are of one part."""
    rows = mask.reshape(-1, mask.shape[-1])
    edges = np.diff(rows.astype(np.int8), axis=1, prepend=0, append=0)
    row, start = np.nonzero(edges == 1)
    _, end = np.nonzero(edges == -1)
    width = mask.shape[-1]
    starts, ends = row * width + start, row * width + end - 1
    steps = [width] if mask.ndim == 2 else [width, width * mask.shape[1]]
    pairs = [_touching(starts, ends, step) for step in steps]
    if mask.ndim == 3:
        # The last row of a slice and the first of the next are neighbours in memory alone.
        first, second = pairs[0]
        height = mask.shape[1]
        same = row[first] // height == row[second] // height
        pairs[0] = first[same], second[same]
    part = _joined(len(starts), np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs]))
    _, part = np.unique(part, return_inverse=True)
    sizes = (
        np.bincount(part, weights=ends - starts + 1).astype(np.int64) if len(part) else np.zeros(0, np.int64)
    )
    return Parts(mask.shape, starts, ends, part, sizes)


def _touching(starts: Index, ends: Index, step: int) -> tuple[Index, Index]:
    """Pairs of runs of which the second, `step` voxels further, lies beside the first."""
    low = np.searchsorted(ends, starts + step)
    high = np.searchsorted(starts, ends + step, side="right")
    counts = np.maximum(high - low, 0)
    first = np.repeat(np.arange(len(starts)), counts)
    second = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(low, counts)
    return first, second


def _joined(count: int, first: Index, second: Index) -> Index:
    """For each of `count` runs the least run of its part: pairs are hooked and chains shortened until none changes."""
    root = np.arange(count)
    while len(first):
        a, b = root[first], root[second]
        apart = a != b
        if not apart.any():
            break
        first, second = first[apart], second[apart]
        np.minimum.at(root, np.maximum(a, b)[apart], np.minimum(a, b)[apart])
        while True:
            further = root[root]
            if np.array_equal(further, root):
                break
            root = further
    return root
