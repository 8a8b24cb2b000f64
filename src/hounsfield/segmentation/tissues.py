"""Body, lungs, air and bone by HU and connectivity alone, where nobody drew anything. No networks; no anatomy.

What they are: thresholds and connected parts, which disease, metal and a table that is pressed against the body can
lead astray. Names say so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.volume import Volume
from hounsfield.errors import NotHounsfieldError
from hounsfield.language import say
from hounsfield.segmentation.connected import connected
from hounsfield.segmentation.masks import Masks, Segment

BODY_HU = -300
"""Above it is tissue; foam of tables, clothes and lungs are below."""
AIR_HU = -400
BONE_HU = 200
THIN_MM = 6.0
"""Parts thinner than this, and not the body, fall away: the shells of tables, blankets, tubes."""
SMALLEST_LUNG_ML = 100.0
LUNG_HU = (-940.0, -500.0)
"""Medians of a lung; those of gas alone, in bowels, airways and hollow things, are below, whatever their walls."""
SMALLEST_BONE_ML = 0.1

NAMES = (
    "body (above −300 HU, its holes filled)",
    "lungs (below −400 HU in the body)",
    "other air (below −400 HU in the body)",
    "bone and calcium (above 200 HU in the body)",
)

Mask = NDArray[np.bool_]


def tissues(volume: Volume) -> Masks:
    """Body, lungs, other air and bone of a volume in HU; the body lies in a layer of its own.

    Raises `NotHounsfieldError` for another unit.
    """
    if not volume.is_hounsfield:
        raise NotHounsfieldError(
            say("values are in {unit}", unit=volume.unit), expected="HU, to tell tissues by"
        )
    voxel_ml = abs(float(np.linalg.det(volume.affine[:3, :3]))) / 1000
    body = _body(volume)
    inner = np.zeros(volume.shape, np.uint8)
    _mark_air(volume, body, voxel_ml, inner)
    bone = connected(body & (volume.array >= BONE_HU))
    inner[bone.mask(bone.sizes * voxel_ml >= SMALLEST_BONE_ML)] = 4
    segments = tuple(
        Segment(
            number,
            name,
            0 if number == 1 else 1,
            algorithm="AUTOMATIC",
            algorithm_name="threshold, connectivity",
        )
        for number, name in enumerate(NAMES, 1)
    )
    note = "by HU and connectivity, not by anatomy"
    return Masks((body.astype(np.uint8), inner), segments, volume.affine, "thresholds", (note,))


def _body(volume: Volume) -> Mask:
    """The largest part that is not thin, with what it encloses on each slice."""
    dense = volume.array > BODY_HU
    # Filled before anything thin falls away: a skull is thin, and what it encloses is not.
    for index, plane in enumerate(dense):
        dense[index] |= _enclosed(plane)
    reach = [max(round(THIN_MM / 2 / mm), 1) for mm in volume.spacing[1:]]
    core = connected(_eroded(dense, reach)).largest()
    return _dilated(core, reach) & dense


def _mark_air(volume: Volume, body: Mask, voxel_ml: float, inner: NDArray[np.uint8]) -> None:
    air = body & (volume.array < AIR_HU)
    parts = connected(air)
    if not len(parts.sizes):
        return
    lungs = parts.sizes * voxel_ml >= SMALLEST_LUNG_ML
    for part in np.flatnonzero(lungs):
        # Not the mean, to which the wall of a hollow head adds what it takes to be a lung's.
        median = float(np.median(volume.array[parts.mask(np.arange(len(lungs)) == part)]))
        lungs[part] = LUNG_HU[0] <= median <= LUNG_HU[1]
    inner[air] = 3
    inner[parts.mask(lungs)] = 2


def _eroded(mask: Mask, reach: list[int]) -> Mask:
    """Rows and columns within `reach` of the outside fall away; outside the slice counts as inside."""
    return ~_dilated(~mask, reach)


def _dilated(mask: Mask, reach: list[int]) -> Mask:
    out = mask.copy()
    for axis, steps in zip((1, 2), reach, strict=True):
        grown = out.copy()
        for step in range(1, min(steps, mask.shape[axis] - 1) + 1):
            low: list[slice] = [slice(None)] * 3
            high: list[slice] = [slice(None)] * 3
            low[axis], high[axis] = slice(0, -step), slice(step, None)
            grown[tuple(low)] |= out[tuple(high)]
            grown[tuple(high)] |= out[tuple(low)]
        out = grown
    return out


def _enclosed(plane: Mask) -> Mask:
    """(rows, columns): what no path outside of the mask joins to the edge of the slice."""
    around = np.pad(~plane, 1, constant_values=True)
    parts = connected(around)
    wanted = np.ones(len(parts.sizes), bool)
    wanted[parts.part[0]] = False
    return parts.mask(wanted)[1:-1, 1:-1]
