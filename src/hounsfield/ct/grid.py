"""A volume on any other grid: other voxels, the grid of another volume, a part of it, other axes.

`hounsfield.ct.resample` moves slices along their normal and keeps rows and columns; here all three axes may change.
Sample centres and edges are ITK's: a grid begins at its first voxel's centre, a voxel reaches half a step around it.
A sample that would take part of a padding voxel takes its nearest voxel as it is (ct_traps 31); outside is padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from math import floor
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.resample import LARGEST_GRID_BYTES, refuse_too_large
from hounsfield.ct.sampling import ON_GRID, Interpolation, sample
from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError
from hounsfield.language import say

Shape: TypeAlias = tuple[int, int, int]
Side: TypeAlias = tuple[int | None, int | None]
Box: TypeAlias = tuple[Side, Side, Side]
"""(start, stop) of slices, rows and columns, from 0, stop excluded; None is the edge."""
Letter: TypeAlias = Literal["R", "L", "A", "P", "S", "I"]

_TOWARDS = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}


@dataclass(frozen=True)
class Grid:
    """Places of voxels: `shape` (slices, rows, columns), `affine` 4×4, (slice, row, column, 1) → LPS mm, as rows."""

    shape: Shape
    affine: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, volume: Volume) -> Grid:
        """The grid of a volume."""
        return cls(volume.shape, tuple(tuple(map(float, row)) for row in volume.affine))


def resampled(
    volume: Volume,
    *,
    voxel: float | Sequence[float] | None = None,
    like: Volume | Grid | None = None,
    interpolation: Interpolation = "linear",
    workers: int | None = None,
) -> Volume:
    """The volume on another grid, by exactly one of two rules.

    - `voxel`: mm, one length or (slice, row, column), the first along the slices' normal; axes, tilt and the centre
      of the first voxel stay, and the last sample is the last within the old centres
    - `like`: the grid of another volume, wherever it lies; `Grid` for one without voxels
    - `interpolation`: "linear", "nearest" or "cubic" (B-spline of order 3); whole numbers are rounded
    - `workers`: threads; None for one a core

    A slice keeps its UID where nothing of it changed. Raises `GeometryError` for lengths that are none, for a grid
    beyond memory, and for one that does not meet the volume.
    """
    if (voxel is None) == (like is None):
        raise GeometryError("a new grid of no or of two kinds", expected="either voxel= or like=")
    if interpolation not in get_args(Interpolation):
        raise GeometryError(
            say("interpolation={interpolation}", interpolation=repr(interpolation)),
            expected=" or ".join(map(repr, get_args(Interpolation))),
        )
    grid = _with_voxels(volume, voxel) if voxel is not None else _grid(like)
    refuse_too_large(grid.shape, volume.array.dtype, remedy="choose larger voxels")
    affine = np.array(grid.affine)
    to_source = np.linalg.inv(volume.affine) @ affine
    array, met = sample(volume.array, to_source, grid.shape, volume.padding_value, interpolation, workers)
    if not met:
        raise GeometryError("a grid that does not meet the volume", expected="both in one place, LPS mm")
    lengths = "×".join(f"{mm:.4g}" for mm in _spacing(affine))
    note = f"resampled to voxels of {lengths} mm ({interpolation})"
    return _on(volume, array, affine, _uids(volume, to_source, grid.shape), note)


def box_of(sides: Sequence[slice | Side]) -> Box:
    """Three slices or (start, stop) as plain numbers. Raises `GeometryError` for another number, or steps."""
    if len(sides) != 3:
        raise GeometryError(
            say("a box of {count} sides", count=len(sides)), expected="three: slices, rows, columns"
        )
    first, second, third = map(_side, sides)
    return first, second, third


def cropped(volume: Volume, box: Sequence[slice | Side]) -> Volume:
    """A part of the volume: `box` is (start, stop) or a slice for slices, rows and columns, from 0, stop excluded.

    None is the edge; the voxels are copied. Raises `GeometryError` for a box that holds nothing or is not inside.
    """
    sides = [side_within(side, size) for side, size in zip(box_of(box), volume.shape, strict=True)]
    (first, end), rows, columns = sides
    array = np.array(volume.array[first:end, slice(*rows), slice(*columns)])
    affine = volume.affine.copy()
    affine[:3, 3] = volume.lps(first, rows[0], columns[0])
    filled = tuple(index - first for index in volume.report.filled if first <= index < end)
    report = replace(volume.report, filled=filled, cropped=True)
    return replace(volume, array=array, affine=affine, uids=volume.uids[first:end], report=report)


def oriented(volume: Volume, axes: str) -> Volume:
    """The same voxels with other array axes: `axes` are three letters, such as "RAS", for (column, row, slice).

    Each letter is where the index rises to: R or L, A or P, S or I (nibabel's `aff2axcodes`). Under tilt or an oblique
    scan each axis is the nearest one; the affine stays exact. Raises `GeometryError` for other letters.
    """
    letters = axes.upper()
    if sorted(_TOWARDS[letter][0] for letter in letters if letter in _TOWARDS) != [0, 1, 2] or len(axes) != 3:
        raise GeometryError(
            say("axes {axes}", axes=repr(axes)), expected="one each of R/L, A/P and S/I, such as RAS"
        )
    directions = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    wanted = [_TOWARDS[letter] for letter in reversed(letters)]
    order = max(
        permutations(range(3)),
        key=lambda each: sum(abs(directions[axis, s]) for (axis, _), s in zip(wanted, each, strict=True)),
    )
    affine = volume.affine.copy()
    affine[:3, :3] = volume.affine[:3, list(order)]
    array = volume.array.transpose(order)
    uids = volume.uids if order[0] == 0 else ("",) * array.shape[0]
    filled = volume.report.filled if order[0] == 0 else ()
    for place, (axis, sign) in enumerate(wanted):
        if affine[axis, place] * sign < 0:
            affine[:3, 3] += affine[:3, place] * (array.shape[place] - 1)
            affine[:3, place] *= -1
            array = np.flip(array, place)
            if place == 0:
                uids, filled = uids[::-1], tuple(len(array) - 1 - index for index in reversed(filled))
    report = replace(volume.report, filled=filled)
    array = np.ascontiguousarray(array)
    return replace(volume, array=array, affine=affine, spacing=_spacing(affine), uids=uids, report=report)


def side_within(side: Side, size: int) -> tuple[int, int]:
    """(start, stop) of a side of `size` voxels. Raises `GeometryError` where it holds nothing or is not inside."""
    start, stop = side[0] or 0, size if side[1] is None else side[1]
    if not 0 <= start < stop <= size:
        raise GeometryError(
            say("a box of {start}:{stop}", start=start, stop=stop),
            expected=say("something within 0:{size}", size=size),
        )
    return start, stop


def _with_voxels(volume: Volume, voxel: float | Sequence[float]) -> Grid:
    lengths = (voxel,) * 3 if isinstance(voxel, int | float) else tuple(map(float, voxel))
    if len(lengths) != 3 or not all(np.isfinite(mm) and mm > 0 for mm in lengths):
        raise GeometryError(
            say("voxels of {voxel} mm", voxel=voxel), expected="one length or three, above zero, in mm"
        )
    affine, shape = volume.affine.copy(), []
    for axis, (new, old) in enumerate(zip(lengths, _spacing(volume.affine), strict=True)):
        steps = (volume.shape[axis] - 1) * old / new
        if steps > LARGEST_GRID_BYTES:
            raise GeometryError(
                say("voxels of {new} mm", new=format(new, "g")), remedy="choose a larger length"
            )
        shape.append(floor(steps + ON_GRID) + 1)
        affine[:3, axis] *= new / old
    return Grid((shape[0], shape[1], shape[2]), tuple(tuple(map(float, row)) for row in affine))


def _grid(like: Volume | Grid | None) -> Grid:
    return like if isinstance(like, Grid) else Grid.of(like)  # type: ignore[arg-type]


def _spacing(affine: NDArray[np.float64]) -> tuple[float, float, float]:
    """(slice, row, column) mm, the first along the normal of rows and columns."""
    row, column = (float(np.linalg.norm(affine[:3, axis])) for axis in (1, 2))
    normal = np.cross(affine[:3, 1], affine[:3, 2]) / (row * column)
    return abs(float(affine[:3, 0] @ normal / np.linalg.norm(normal))), row, column


def _uids(volume: Volume, to_source: NDArray[np.float64], shape: Shape) -> tuple[str, ...]:
    """Those of slices of which nothing changed."""
    same = np.allclose(to_source[1:3], np.eye(4)[1:3], atol=ON_GRID) and shape[1:] == volume.shape[1:]
    if not same or not np.allclose(to_source[0, 1:3], 0, atol=ON_GRID):
        return ("",) * shape[0]
    places = to_source[0, 0] * np.arange(shape[0]) + to_source[0, 3]
    nearest = np.rint(places).astype(int)
    held = (np.abs(places - nearest) <= ON_GRID) & (nearest >= 0) & (nearest < volume.shape[0])
    return tuple(volume.uids[k] if there else "" for k, there in zip(nearest, held, strict=True))


def _on(
    volume: Volume, array: NDArray[Any], affine: NDArray[np.float64], uids: tuple[str, ...], note: str
) -> Volume:
    notes = (*volume.report.spacing_notes, note)
    report = replace(volume.report, verdict="regular", filled=(), spacing_notes=notes, resampled=True)
    made = replace(volume, array=array, affine=affine, spacing=_spacing(affine), uids=uids, report=report)
    return replace(made, report=replace(report, verdict="sheared")) if made.is_sheared else made


def _side(side: slice | Side) -> Side:
    if not isinstance(side, slice):
        return side
    if side.step not in (None, 1):
        raise GeometryError(
            say("a box with steps of {step}", step=side.step), expected="every voxel", remedy="resample"
        )
    return side.start, side.stop
