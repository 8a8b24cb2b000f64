"""A volume on another grid: a tilt made upright, slices made even. Linear, and padding never bleeds.

Not for display (see `hounsfield.pictures`) and not a general resampler: rows and columns keep their spacing.
Works slice by slice, so memory is the output and a few slices. A voxel whose neighbours hold padding takes
the nearest neighbour's value instead of a blend with −1024 (ct_traps 31).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, floor, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.sampling import ON_GRID
from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError
from hounsfield.language import say

LARGEST_GRID_BYTES = 64 << 30
"""Refused above this: a step mistyped by a thousand must not ask for a terabyte."""


def rectify(volume: Volume) -> Volume:
    """The volume with its slices shifted in their planes until they stack along their normal.

    Slice k stays the slice it was (same UID, same plane in the patient); rows and columns are added, padded
    with −1024, so that nothing is cut off. The affine's axes are orthogonal afterwards. A volume that is not
    tilted comes back as it is.
    """
    if not volume.is_sheared:
        return volume
    slices, rows, columns = volume.shape
    normal = volume.normal
    upright = float(volume.affine[:3, 0] @ normal) * normal
    drift = np.linalg.lstsq(volume.affine[:3, 1:3], volume.affine[:3, 0] - upright, rcond=None)[0]
    low, high = _reach(float(drift[0]), slices), _reach(float(drift[1]), slices)
    shape = (slices, rows + low[1] - low[0], columns + high[1] - high[0])
    array = _empty(shape, volume)
    for index in range(slices):
        offsets = (index * float(drift[0]) - low[0], index * float(drift[1]) - high[0])
        array[index] = _shifted(volume.array[index], shape[1:], offsets, volume.padding_value)
    affine = volume.affine.copy()
    affine[:3, 3] += low[0] * affine[:3, 1] + high[0] * affine[:3, 2]
    affine[:3, 0] = upright
    note = f"a tilt of {volume.tilt_degrees:.2f}° was made upright by shifting slices in their planes"
    report = replace(
        volume.report, verdict="regular", warnings=(*volume.report.warnings, note), resampled=True
    )
    spacing = (float(np.linalg.norm(upright)), *volume.spacing[1:])
    return replace(volume, array=array, affine=affine, spacing=spacing, report=report)


def resample(
    volume: Volume,
    step: float,
    *,
    positions: Sequence[float] | NDArray[np.float64] | None = None,
    padding: NDArray[np.bool_] | None = None,
) -> Volume:
    """The volume with slices every `step` mm along their normal, from the first slice to the last.

    `positions` (slices,) mm along the normal, rising: where the slices truly lie when they are not even; by
    default the affine says. `padding` (slices, rows, columns) is true where nothing was measured; by default
    wherever the value is the volume's padding value. New slices have no UID; one that falls on an old slice
    keeps its values and its UID. Under tilt it interpolates along the tilted stack, and the tilt stays.

    Raises `GeometryError` for positions that do not rise or a step that is not above zero.
    """
    along = float(volume.affine[:3, 0] @ volume.normal)
    places = _checked_positions(volume, along, positions)
    count = _count(float(places[-1] - places[0]), step, volume)
    if padding is not None and padding.shape != volume.shape:
        raise GeometryError(
            say("a padding mask of shape {shape}", shape=padding.shape), expected=str(volume.shape)
        )
    array = _empty((count, *volume.shape[1:]), volume)
    uids: list[str] = []
    for index in range(count):
        place = min(float(places[0] + index * step), float(places[-1]))
        before = min(int(np.searchsorted(places, place, side="right")) - 1, max(len(places) - 2, 0))
        gap = float(places[before + 1] - places[before]) if len(places) > 1 else 1.0
        share = (place - float(places[before])) / gap
        uids.append(_blend(volume, padding, before, share, array[index]))
    affine = volume.affine.copy()
    affine[:3, 0] *= step / along
    note = f"slices were interpolated to a step of {step:g} mm"
    report = replace(
        volume.report,
        verdict="sheared" if volume.is_sheared else "regular",
        filled=tuple(index for index, uid in enumerate(uids) if not uid),
        spacing_notes=(*volume.report.spacing_notes, note),
        resampled=True,
    )
    spacing = (float(step), *volume.spacing[1:])
    return replace(volume, array=array, affine=affine, spacing=spacing, uids=tuple(uids), report=report)


def _reach(drift: float, slices: int) -> tuple[int, int]:
    """First and last whole voxel that the drifting slices reach beyond the first one's edge."""
    total = drift * (slices - 1)
    return floor(min(total, 0.0) + ON_GRID), ceil(max(total, 0.0) - ON_GRID)


def refuse_too_large(shape: tuple[int, ...], dtype: np.dtype[Any], *, remedy: str) -> None:
    """Raise `GeometryError` for a grid whose voxels would take more than `LARGEST_GRID_BYTES`."""
    size = prod(shape) * dtype.itemsize
    if size > LARGEST_GRID_BYTES:
        raise GeometryError(
            say(
                "a grid of {listed} voxels ({number} GiB)",
                listed="×".join(map(str, shape)),
                number=size >> 30,
            ),
            remedy=remedy,
        )


def _empty(shape: tuple[int, ...], volume: Volume) -> NDArray[Any]:
    refuse_too_large(shape, volume.array.dtype, remedy="choose a larger step")
    return np.empty(shape, dtype=volume.array.dtype)


def _shifted(
    image: NDArray[Any], shape: tuple[int, ...], offsets: tuple[float, float], pad: int
) -> NDArray[Any]:
    """`image` (rows, columns) moved by `offsets` voxels into a field of `shape`, padded around."""
    row, column = (floor(offset + ON_GRID) for offset in offsets)
    canvas = np.full((shape[0] + 2, shape[1] + 2), pad, dtype=image.dtype)
    canvas[row + 1 : row + 1 + image.shape[0], column + 1 : column + 1 + image.shape[1]] = image
    # A shift by row + fraction: each target lies `fraction` before the source voxel that landed on it.
    down = max(offsets[0] - row, 0.0)
    right = max(offsets[1] - column, 0.0)
    mixed = _mixed(canvas[1:-1, :], canvas[:-2, :], canvas[1:-1, :] == pad, canvas[:-2, :] == pad, down)
    return _mixed(mixed[:, 1:-1], mixed[:, :-2], mixed[:, 1:-1] == pad, mixed[:, :-2] == pad, right)


def _blend(
    volume: Volume, padding: NDArray[np.bool_] | None, before: int, share: float, out: NDArray[Any]
) -> str:
    """Fill `out` (rows, columns) from two neighbouring slices; the UID where it is one of them."""
    for index, distance in ((before, share), (before + 1, 1 - share)):
        if abs(distance) <= ON_GRID:
            out[...] = volume.array[index]
            return volume.uids[index]
    near, far = volume.array[before], volume.array[before + 1]
    if padding is None:
        masks = (near == volume.padding_value, far == volume.padding_value)
    else:
        masks = (padding[before], padding[before + 1])
    out[...] = _mixed(near, far, *masks, share)
    return ""


def _mixed(
    near: NDArray[Any],
    far: NDArray[Any],
    near_padding: NDArray[np.bool_],
    far_padding: NDArray[np.bool_],
    share: float,
) -> NDArray[Any]:
    """`near` and `far` blended by `share` of `far`; the closer of both where either is padding."""
    if share <= ON_GRID:
        return near
    if share >= 1 - ON_GRID:
        return far
    precise = np.float64 if near.dtype.itemsize > 2 else np.float32
    blend = near * precise(1 - share) + far * precise(share)
    if near.dtype.kind != "f":
        np.rint(blend, out=blend)
    mixed = blend.astype(near.dtype)
    edge = near_padding | far_padding
    np.copyto(mixed, near if share < 0.5 else far, where=edge)
    return mixed


def _checked_positions(volume: Volume, along: float, positions: Any) -> NDArray[np.float64]:
    if positions is None:
        return np.arange(len(volume.array), dtype=np.float64) * along
    places = np.asarray(positions, dtype=np.float64)
    if places.shape != (len(volume.array),) or not np.isfinite(places).all() or (np.diff(places) <= 0).any():
        raise GeometryError(
            "slice positions that do not rise one by one",
            expected=say("{count} rising positions in mm", count=len(volume.array)),
            positions=places.tolist(),
        )
    return places


def _count(length: float, step: float, volume: Volume) -> int:
    if not (np.isfinite(step) and step > 0):
        raise GeometryError(say("a step of {step} mm", step=step), expected="a length above zero, in mm")
    slices = length / step
    if slices * volume.array[0].nbytes > LARGEST_GRID_BYTES:
        raise GeometryError(
            say("a step of {step} mm over {length} mm", step=step, length=format(length, "g")),
            remedy="choose a larger step",
        )
    if step > length > 0:
        raise GeometryError(
            say("a step of {step} mm over {length} mm", step=format(step, "g"), length=format(length, "g")),
            remedy="choose a smaller step",
        )
    # A last slice that misses the grid by rounding is still on it.
    return floor(slices + ON_GRID) + 1
