"""An array sampled on another grid: nearest, linear, or a cubic B-spline; padding never blends into anything.

Arrays in, arrays out: an affine from target to source indexes says where samples lie. Where it only scales, flips and
moves, each axis is interpolated by itself, slice by slice, which costs a tenth of the general way.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from math import sqrt
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Interpolation: TypeAlias = Literal["linear", "nearest", "cubic"]

ON_GRID = 1e-3
"""Fraction of a voxel within which a sample is taken as it is instead of interpolated."""

_POLE = sqrt(3.0) - 2.0
_SLICES_AT_ONCE = 32


def sample(
    source: Array,
    to_source: NDArray[np.float64],
    shape: tuple[int, int, int],
    padding: int,
    interpolation: Interpolation,
    workers: int | None = None,
) -> tuple[Array, bool]:
    """`source` (slices, rows, columns) at the places `to_source @ (slice, row, column, 1)` of a grid of `shape`.

    Returns the array, of the source's type, and whether any sample lies within the source. Outside is `padding`;
    a sample that a padding voxel has a share in takes its nearest voxel.
    """
    out = np.full(shape, padding, source.dtype)
    values = _coefficients(source) if interpolation == "cubic" else source
    task = _Task(source, values, to_source, out, padding, interpolation)
    fill = task.along_axes if _only_scales(to_source) else task.anywhere
    starts = range(0, shape[0], _SLICES_AT_ONCE)
    with ThreadPoolExecutor(max(1, min(workers or os.cpu_count() or 1, len(starts)))) as pool:
        met = list(pool.map(fill, starts))
    return out, any(met)


def _only_scales(to_source: NDArray[np.float64]) -> bool:
    """Return whether each target axis runs along the same axis of the source."""
    turned = to_source[:3, :3] - np.diag(np.diag(to_source[:3, :3]))
    return bool((np.abs(turned) < 1e-9).all())


@dataclass(frozen=True)
class _Taps:
    """Source indexes and weights of samples, (samples, taps); `nearest` (samples,), `inside` (samples,)."""

    indexes: NDArray[np.intp]
    weights: NDArray[np.float32]
    nearest: NDArray[np.intp]
    inside: NDArray[np.bool_]


@dataclass(frozen=True)
class _Task:
    source: Array
    values: Array
    to_source: NDArray[np.float64]
    out: Array
    padding: int
    interpolation: Interpolation

    def along_axes(self, start: int) -> bool:
        """Fill some slices from `start`, one axis after the other; whether a sample lies within the source."""
        numbers = np.arange(start, min(start + _SLICES_AT_ONCE, len(self.out)), dtype=np.float64)
        places = (numbers, *(np.arange(size, dtype=np.float64) for size in self.out.shape[1:]))
        taps = [
            _taps(self.to_source[axis, axis] * place + self.to_source[axis, 3], size, self.interpolation)
            for axis, (place, size) in enumerate(zip(places, self.source.shape, strict=True))
        ]
        across, rows, columns = taps
        if not all(each.inside.any() for each in taps):
            return False
        plane = _Planes(self, rows, columns)
        inside, everywhere = np.ix_(rows.inside, columns.inside), rows.inside.all() and columns.inside.all()
        for number, index in enumerate(range(start, start + len(numbers))):
            if across.inside[number]:
                found = self._blended(plane, across, number)
                if everywhere:
                    self.out[index] = found
                else:
                    self.out[index][inside] = found[inside]
        return True

    def _blended(self, plane: _Planes, across: _Taps, number: int) -> Array:
        if self.interpolation == "nearest":
            return self._nearest(plane, across, number)
        total: Array | None = None
        padded: Array | None = None
        for index, weight in zip(across.indexes[number], across.weights[number], strict=True):
            if not weight:
                continue
            values, holds = plane.at(int(index))
            part = values * weight
            total = part if total is None else np.add(total, part, out=total)
            if holds is not None:
                padded = holds if padded is None else padded | holds
        assert total is not None
        found = self._as_stored(total)
        if padded is not None:
            np.copyto(found, self._nearest(plane, across, number), where=padded)
        return found

    def _nearest(self, plane: _Planes, across: _Taps, number: int) -> Array:
        nearest: Array = self.source[across.nearest[number]][plane.rows.nearest][:, plane.columns.nearest]
        return nearest

    def anywhere(self, start: int) -> bool:
        """The same for any direction, by all neighbours of each sample."""
        met = False
        rows, columns = np.indices(self.out.shape[1:])
        for index in range(start, min(start + _SLICES_AT_ONCE, len(self.out))):
            target = np.stack([np.full(rows.size, index), rows.ravel(), columns.ravel(), np.ones(rows.size)])
            places = self.to_source[:3] @ target
            taps = [_taps(p, n, self.interpolation) for p, n in zip(places, self.source.shape, strict=True)]
            inside = taps[0].inside & taps[1].inside & taps[2].inside
            if not inside.any():
                continue
            met = True
            found = self._gathered([_chosen(each, inside) for each in taps])
            self.out[index].reshape(-1)[inside] = found
        return met

    def _gathered(self, taps: list[_Taps]) -> Array:
        nearest = self.source[taps[0].nearest, taps[1].nearest, taps[2].nearest]
        if self.interpolation == "nearest":
            return nearest
        total = np.zeros(nearest.shape, np.float32 if self.source.dtype.itemsize <= 2 else np.float64)
        padded = np.zeros(nearest.shape, np.bool_)
        for where in product(*(range(each.indexes.shape[1]) for each in taps)):
            place = tuple(each.indexes[:, k] for each, k in zip(taps, where, strict=True))
            weight = np.prod([each.weights[:, k] for each, k in zip(taps, where, strict=True)], axis=0)
            total += self.values[place] * weight
            padded |= (self.source[place] == self.padding) & (weight != 0)
        found = self._as_stored(total)
        np.copyto(found, nearest, where=padded)
        return found

    def _as_stored(self, values: Array) -> Array:
        if self.source.dtype.kind == "f":
            return values.astype(self.source.dtype, copy=False)
        np.rint(values, out=values)
        if self.interpolation == "cubic":
            # A spline overshoots; below padding nothing is measured.
            limits = np.iinfo(self.source.dtype)
            np.clip(values, self.padding if self.padding < 0 else limits.min, limits.max, out=values)
        return values.astype(self.source.dtype)


class _Planes:
    """Slices of the source, interpolated along rows and columns once each, while they are needed."""

    def __init__(self, task: _Task, rows: _Taps, columns: _Taps) -> None:
        self.rows, self.columns = rows, columns
        self._task = task
        self._kept: dict[int, tuple[Array, Array | None]] = {}

    def at(self, index: int) -> tuple[Array, Array | None]:
        """The values, and where padding has a share in them; None for nowhere."""
        if index not in self._kept:
            while len(self._kept) > 4:
                self._kept.pop(min(self._kept))
            self._kept[index] = self._made(index)
        return self._kept[index]

    def _made(self, index: int) -> tuple[Array, Array | None]:
        precise = np.float32 if self._task.source.dtype.itemsize <= 2 else np.float64
        values = self._task.values[index].astype(precise, copy=False)
        values = _along(values, self.rows, 0)
        values = _along(values, self.columns, 1)
        padding = self._task.source[index] == self._task.padding
        if not padding.any():
            return values, None
        return values, _touched(_touched(padding, self.rows, 0), self.columns, 1)


def _along(values: Array, taps: _Taps, axis: int) -> Array:
    total: Array | None = None
    for k in range(taps.indexes.shape[1]):
        weight = taps.weights[:, k] if axis else taps.weights[:, k, None]
        if not weight.any():
            continue
        part = np.take(values, taps.indexes[:, k], axis=axis)
        part *= weight.astype(values.dtype)
        total = part if total is None else np.add(total, part, out=total)
    assert total is not None
    return total


def _touched(padding: Array, taps: _Taps, axis: int) -> Array:
    found = np.take(padding, taps.nearest, axis=axis) & False
    for k in range(taps.indexes.shape[1]):
        has = taps.weights[:, k] != 0
        found |= np.take(padding, taps.indexes[:, k], axis=axis) & (has if axis else has[:, None])
    return found


def _taps(places: NDArray[np.float64], size: int, interpolation: Interpolation) -> _Taps:
    """Neighbours of samples at `places` (samples,) along an axis of `size` voxels."""
    inside = (places >= -0.5 - ON_GRID) & (places < size - 0.5 + ON_GRID)
    nearest = np.clip(np.floor(places + 0.5), 0, size - 1).astype(np.intp)
    places = np.where(np.abs(places - nearest) <= ON_GRID, nearest, places)
    if interpolation == "cubic":
        indexes, weights = _cubic(places, size)
    else:
        places = np.clip(places, 0, size - 1)
        before = np.floor(places).astype(np.intp)
        share = places - before
        indexes = np.stack([before, np.minimum(before + 1, size - 1)], axis=1)
        weights = np.stack([1 - share, share], axis=1)
    return _Taps(indexes, weights.astype(np.float32), nearest, inside)


def _cubic(places: NDArray[np.float64], size: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Four neighbours of the cubic B-spline, mirrored at the edges."""
    before = np.floor(places)
    t = places - before
    weights = np.stack([(1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3], axis=1)
    indexes = before[:, None].astype(np.intp) + np.arange(-1, 3)
    if size == 1:
        return np.zeros_like(indexes), weights / 6
    period = 2 * (size - 1)
    indexes = np.abs(indexes) % period
    return np.where(indexes >= size, period - indexes, indexes), weights / 6


def _chosen(taps: _Taps, which: NDArray[np.bool_]) -> _Taps:
    return _Taps(taps.indexes[which], taps.weights[which], taps.nearest[which], taps.inside[which])


def _coefficients(source: Array) -> Array:
    """B-spline coefficients, so that the spline passes through every voxel; mirrored at the edges."""
    precise = np.float32 if source.dtype.itemsize <= 2 else np.float64
    values = source.astype(precise)
    for axis in range(3):
        _prefilter(np.moveaxis(values, axis, 0))
    return values


def _prefilter(lines: Array) -> None:
    """Filter along the first axis in place: a causal and an anticausal recursion with the pole √3 − 2."""
    count = len(lines)
    if count == 1:
        return
    lines *= 6.0
    # Beyond this many terms the pole's power is below the precision of what is summed.
    terms = min(count, 28)
    lines[0] = sum((lines[k] * lines.dtype.type(_POLE**k) for k in range(1, terms)), start=lines[0].copy())
    pole = lines.dtype.type(_POLE)
    for k in range(1, count):
        lines[k] += pole * lines[k - 1]
    lines[-1] = pole / (pole * pole - 1) * (lines[-1] + pole * lines[-2])
    for k in range(count - 2, -1, -1):
        lines[k] = pole * (lines[k + 1] - lines[k])
