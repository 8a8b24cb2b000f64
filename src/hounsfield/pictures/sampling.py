"""Values of a volume on any plane of the patient, by trilinear interpolation; padding never bleeds.

Outside the volume is padding; where a neighbour is padding the sample takes the nearest voxel's value instead
of a blend (ct_traps 31). Knows grids and no pictures.
"""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.volume import Volume

ON_GRID = 1e-4
"""Fraction of a voxel within which a sample lies on it: no blend that only adds rounding."""


class Neighbours(NamedTuple):
    """Along one axis: the voxels before and after each sample, the share of the latter, the nearer one."""

    before: NDArray[np.int64]
    after: NDArray[np.int64]
    share: NDArray[np.float32]
    nearest: NDArray[np.int64]

    @property
    def sides(self) -> tuple[tuple[NDArray[np.int64], NDArray[np.float32]], ...]:
        """(indexes, weights) to be summed: one where every sample lies on a voxel, else two."""
        if len(self.share) == 0 or float(self.share.max()) <= ON_GRID:
            return ((self.before, np.ones_like(self.share)),)
        return (self.before, 1 - self.share), (self.after, self.share)


def sampled(
    volume: Volume, corner: NDArray[np.float64], steps: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Values at `corner + row · steps[:, 0] + column · steps[:, 1]` (LPS mm), (rows, columns) float32."""
    inverse = np.linalg.inv(volume.affine[:3, :3])
    start = inverse @ (corner - volume.affine[:3, 3])
    down, across = (inverse @ steps).T
    sideways = max(abs(across[0]), abs(across[1])) * shape[1] + abs(down[2]) * shape[0]
    if sideways <= ON_GRID:
        return _by_lines(volume, start, down, across, shape)
    return _by_points(volume, start, down, across, shape)


def _by_points(
    volume: Volume, start: NDArray[Any], down: NDArray[Any], across: NDArray[Any], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Any plane: eight neighbours a point."""
    rows, columns = np.arange(shape[0])[:, None], np.arange(shape[1])[None]
    places = [start[axis] + down[axis] * rows + across[axis] * columns for axis in range(3)]
    inside = np.ones(shape, dtype=bool)
    for place, length in zip(places, volume.shape, strict=True):
        inside &= _within(place, length)
    values = np.full(shape, volume.padding_value, dtype=np.float32)
    near = [_neighbours(place[inside], length) for place, length in zip(places, volume.shape, strict=True)]
    total = np.zeros(len(near[0].share), dtype=np.float32)
    edge = np.zeros(len(total), dtype=bool)
    for (z, z_weight), (y, y_weight), (x, x_weight) in product(*(axis.sides for axis in near)):
        corner = volume.array[z, y, x]
        edge |= corner == volume.padding_value
        total += corner * (z_weight * y_weight * x_weight)
    nearest = (axis.nearest[edge] for axis in near)
    total[edge] = volume.array[tuple(nearest)]
    values[inside] = total
    return values


def _by_lines(
    volume: Volume, start: NDArray[Any], down: NDArray[Any], across: NDArray[Any], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """A plane whose rows run along the array's rows, as every coronal one under gantry tilt: whole lines at once."""
    rows, columns = np.arange(shape[0]), np.arange(shape[1])
    z, y = (start[axis] + down[axis] * rows for axis in (0, 1))
    x = start[2] + across[2] * columns
    tall = _within(z, volume.shape[0]) & _within(y, volume.shape[1])
    wide = _within(x, volume.shape[2])
    values = np.full(shape, volume.padding_value, dtype=np.float32)
    near = [_neighbours(z[tall], volume.shape[0]), _neighbours(y[tall], volume.shape[1])]
    lines = np.zeros((int(tall.sum()), volume.shape[2]), dtype=np.float32)
    edge = np.zeros(lines.shape, dtype=bool)
    for (z_at, z_weight), (y_at, y_weight) in product(*(axis.sides for axis in near)):
        line = volume.array[z_at, y_at]
        edge |= line == volume.padding_value
        lines += line * (z_weight * y_weight)[:, None]
    np.copyto(lines, volume.array[near[0].nearest, near[1].nearest], where=edge)
    values[np.ix_(tall, wide)] = _along(lines, _neighbours(x[wide], volume.shape[2]), volume.padding_value)
    return values


def _along(lines: NDArray[np.float32], near: Neighbours, padding: int) -> NDArray[np.float32]:
    """(lines, voxels) → (lines, samples) by the neighbours of each sample."""
    if len(near.sides) == 1:
        return lines[:, near.before]
    before, after = lines[:, near.before], lines[:, near.after]
    blend = before * (1 - near.share) + after * near.share
    np.copyto(blend, lines[:, near.nearest], where=(before == padding) | (after == padding))
    return blend


def _within(place: NDArray[Any], length: int) -> NDArray[np.bool_]:
    """Return which voxel coordinates lie in a voxel of an axis, to its very edge."""
    inside: NDArray[np.bool_] = (place > -0.5 - ON_GRID) & (place < length - 0.5 + ON_GRID)
    return inside


def _neighbours(place: NDArray[Any], length: int) -> Neighbours:
    within = np.clip(place, 0, length - 1)
    before = np.floor(within + ON_GRID)
    share = np.maximum(within - before, 0).astype(np.float32)
    index = before.astype(np.int64)
    return Neighbours(index, np.minimum(index + 1, length - 1), share, np.rint(within).astype(np.int64))
