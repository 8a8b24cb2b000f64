"""OME-Zarr: a folder, NGFF 0.5 over Zarr 3, a pyramid of the volume for viewers and clusters.

NGFF 0.5 knows scale and translation only, no direction and no shear: the exact affine, the unit, the UIDs
and the report are in the group's attribute `hounsfield`. The pyramid's lower levels are for looking, level 0
alone is for measuring; they are labelled so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from hounsfield.export import Compression, described
from hounsfield.outputs import whole_folder
from hounsfield.volume import Volume

NGFF_VERSION = "0.5"
AXES = ("z", "y", "x")

SLAB_SLICES = 8
"""Slices in a chunk: a viewer reads few too many, a cluster's task many at once."""

LARGEST_CHUNK_SIDE = 512
SMALLEST_LEVEL_SIDE = 128
"""The pyramid ends when rows and columns are both this short: a thumbnail."""

EVEN_ENOUGH = 1.5
"""An axis is halved when its spacing is at most this many times the finest one, so that voxels grow cubic."""

BLEND = "half the size by the mean of what was measured; padding where most of the block is padding"


class Level(NamedTuple):
    """One array of the pyramid and where its voxels lie along (z, y, x) in mm."""

    array: NDArray[Any]
    scale: tuple[float, float, float]
    translation: tuple[float, float, float]


def write_omezarr(volume: Volume, path: Path, force: bool, compression: Compression) -> tuple[Path, ...]:
    """Write one OME-Zarr folder, compressed by Zstandard after a bit shuffle unless the level is 0."""
    with whole_folder(path, force=force) as temporary:
        group = zarr.open_group(str(temporary), mode="w", zarr_format=3)
        levels: list[Level] = []
        level: Level | None = Level(volume.array, volume.spacing, _origin(volume))
        while level is not None:
            _write_level(group, str(len(levels)), level, volume, compression)
            levels.append(level._replace(array=level.array[:0]))
            level = _halved(level, volume.padding_value)
        group.attrs.update({"ome": _ome(volume, path, levels), "hounsfield": described(volume)})
    return (path,)


def _write_level(group: Any, name: str, level: Level, volume: Volume, compression: Compression) -> None:
    shape = level.array.shape
    kind = level.array.dtype.newbyteorder("<")
    # Levels as elsewhere: 1 is quick; Zstandard hardly gains above 5.
    packed = BloscCodec(
        cname="zstd", clevel=min(compression.level, 9), shuffle="bitshuffle", typesize=kind.itemsize
    )
    array = group.create_array(
        name,
        shape=shape,
        chunks=tuple(
            min(*pair) for pair in zip(shape, (SLAB_SLICES, *[LARGEST_CHUNK_SIDE] * 2), strict=True)
        ),
        dtype=kind,
        compressors=[packed] if compression.level else None,
        dimension_names=AXES,
        fill_value=volume.padding_value if kind.kind != "u" else 0,
    )
    array[...] = level.array


def _halved(level: Level, padding: int) -> Level | None:
    """The next level of the pyramid; None when this one is small enough."""
    shape = np.array(level.array.shape)
    finest = (
        min(mm for mm, length in zip(level.scale, shape, strict=True) if length > 1)
        if (shape > 1).any()
        else 0.0
    )
    factors = [
        2 if length > 1 and mm <= EVEN_ENOUGH * finest else 1
        for mm, length in zip(level.scale, shape, strict=True)
    ]
    if max(shape[1:]) <= SMALLEST_LEVEL_SIDE or max(factors) == 1:
        return None
    array = np.concatenate(
        [
            _mean(level.array[start : start + factors[0]], factors, padding)
            for start in range(0, int(shape[0]), factors[0])
        ]
    )
    scale = [mm * factor for mm, factor in zip(level.scale, factors, strict=True)]
    # The centre of a block of two lies half a voxel beyond the centre of its first.
    moved = [
        place + mm * (factor - 1) / 2
        for place, mm, factor in zip(level.translation, level.scale, factors, strict=True)
    ]
    return Level(array, (scale[0], scale[1], scale[2]), (moved[0], moved[1], moved[2]))


def _mean(slab: NDArray[Any], factors: list[int], padding: int) -> NDArray[Any]:
    """(≤ factor, rows, columns) → (1, rows / factor, columns / factor), padding left out of the mean."""
    over = [(-length) % factor for length, factor in zip(slab.shape, factors, strict=True)]
    if any(over):
        slab = np.pad(slab, [(0, more) for more in over], mode="edge")
    # Sums of strided views: several times as fast as NumPy's sum over short inner axes.
    parts = [
        slab[tuple(slice(o, None, f) for o, f in zip(at, factors, strict=True))]
        for at in np.ndindex(*factors)
    ]
    count = sum((part != padding).astype(np.uint8) for part in parts)
    total = sum(np.where(part != padding, part, 0).astype(np.float32) for part in parts)
    mean = total / np.maximum(count, 1)
    if slab.dtype.kind != "f":
        np.rint(mean, out=mean)
    return np.where(count * 2 >= np.prod(factors), mean, padding).astype(slab.dtype)


def _origin(volume: Volume) -> tuple[float, float, float]:
    """LPS position (z, y, x) of the first voxel where NGFF can tell it; else zero, and `hounsfield` tells."""
    straight = np.diag(volume.spacing)[:, ::-1]
    if np.allclose(volume.affine[:3, :3].T, straight, atol=1e-6):
        x, y, z = (float(mm) for mm in volume.affine[:3, 3])
        return z, y, x
    return 0.0, 0.0, 0.0


def _ome(volume: Volume, path: Path, levels: list[Level]) -> dict[str, Any]:
    """The attribute `ome` (NGFF 0.5, multiscales and omero)."""
    datasets = [
        {
            "path": str(number),
            "coordinateTransformations": [
                {"type": "scale", "scale": list(level.scale)},
                {"type": "translation", "translation": list(level.translation)},
            ],
        }
        for number, level in enumerate(levels)
    ]
    multiscale = {
        "name": str(volume.header.get("SeriesDescription") or path.name.split(".")[0]),
        "axes": [{"name": axis, "type": "space", "unit": "millimeter"} for axis in AXES],
        "datasets": datasets,
        "type": "mean",
        "metadata": {"description": BLEND, "measure_on": "0", "unit": volume.unit},
    }
    return {"version": NGFF_VERSION, "multiscales": [multiscale], "omero": {"channels": [_channel(volume)]}}


def _channel(volume: Volume) -> dict[str, Any]:
    """How a viewer should first show it: a soft tissue window for a CT, all there is for a map."""
    low, high = float(volume.array.min()), float(volume.array.max())
    start, end = (-160.0, 240.0) if volume.is_hounsfield else (low, high)
    window = {"min": low, "max": high, "start": start, "end": end}
    return {"label": volume.unit, "color": "FFFFFF", "active": True, "window": window}
