"""OME-Zarr: a folder, NGFF 0.5 over Zarr 3, a pyramid of the volume for viewers and clusters.

NGFF 0.5 knows scale and translation only, no direction and no shear: the exact affine, the unit, the UIDs
and the report are in the group's attribute `hounsfield`. The pyramid's lower levels are for looking, level 0
alone is for measuring; they are labelled so.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.volume import Volume
from hounsfield.formats.buckets import is_address, zarr_store
from hounsfield.formats.description import Compression, described
from hounsfield.formats.zarr_package import zarr_package
from hounsfield.outputs import whole_folder

if TYPE_CHECKING:
    from hounsfield.ct.series.streaming import Stream

zarr = zarr_package()
BloscCodec = zarr_package("zarr.codecs").BloscCodec

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


SLAB_BYTES = 64 << 20
"""Bytes that are brought to a chunk's form at a time, unless one row of chunks is more."""

Slab = NDArray[Any]


class Level(NamedTuple):
    """One array of the pyramid: its shape, where its voxels lie along (z, y, x) in mm, and how the next halves it."""

    shape: tuple[int, ...]
    scale: tuple[float, ...]
    translation: tuple[float, ...]
    factors: tuple[int, ...]


def write_omezarr(volume: Volume, path: Path, force: bool, compression: Compression) -> tuple[Path, ...]:
    """Write one OME-Zarr folder, compressed by Zstandard after a bit shuffle unless the level is 0."""
    with whole_folder(path, force=force) as temporary:
        _write(volume, str(temporary), path.name, compression)
    return (path,)


def store_omezarr(volume: Volume, address: str, force: bool, compression: Compression) -> None:
    """The same below an address in a bucket; what tells a reader of it is written last."""
    with zarr_store(address, force=force) as store:
        _write(volume, store, address.rpartition("/")[2], compression)


def _write(volume: Volume, store: Any, name: str, compression: Compression) -> None:
    depth = max(1, SLAB_BYTES // max(volume.array[0].nbytes, 1) // SLAB_SLICES) * SLAB_SLICES
    pyramid = Pyramid(store, volume, compression)
    for start in range(0, len(volume.array), depth):
        pyramid.add(volume.array[start : start + depth])
    pyramid.finish(volume, name)


def stream_omezarr(
    stream: Stream, path: str | Path, force: bool, compression: Compression, seen: Callable[[int, Slab], None]
) -> None:
    """A series into a folder or bucket with a slab of slices in memory at a time; `seen` is shown each slab."""
    if is_address(path):
        with zarr_store(str(path), force=force) as store:
            _stream(stream, store, str(path).rpartition("/")[2], compression, seen)
        return
    path = Path(path).absolute()
    with whole_folder(path, force=force) as temporary:
        _stream(stream, str(temporary), path.name, compression, seen)


def _stream(
    stream: Stream, store: Any, name: str, compression: Compression, seen: Callable[[int, Slab], None]
) -> None:
    pyramid = Pyramid(store, stream.outline, compression)
    for start, slab in stream.slabs():
        pyramid.add(slab)
        seen(start, slab)
    pyramid.finish(stream.volume(), name)


class Pyramid:
    """An OME-Zarr that is written from its first slice to its last, a slab at a time, every level as far as it can be.

    `store` is a path or a Zarr store. `outline` gives shape, type and place; its values are not looked at. The
    metadata of the group, without which no reader takes it for an image, is written by `finish`.
    """

    def __init__(self, store: Any, outline: Volume, compression: Compression) -> None:
        self.group = zarr.open_group(store, mode="w", zarr_format=3)
        self.padding = outline.padding_value
        self.levels = _levels(outline)
        kind = outline.array.dtype.newbyteorder("<")
        self.arrays = [
            _create(self.group, str(number), level.shape, kind, self.padding, compression)
            for number, level in enumerate(self.levels)
        ]
        self.written = [0] * len(self.levels)
        self.waiting = [np.empty((0, *level.shape[1:]), outline.array.dtype) for level in self.levels]
        self.low, self.high = float("inf"), float("-inf")

    def add(self, slab: Slab) -> None:
        """The next slices, (slices, rows, columns); any number of them, only the last slab not whole chunks."""
        self.low, self.high = min(self.low, float(slab.min())), max(self.high, float(slab.max()))
        self._add(0, slab)

    def _add(self, number: int, slab: Slab) -> None:
        """Write all whole chunks that there are by now, hand their halves on, and keep the rest."""
        level, waiting = self.levels[number], self.waiting[number]
        slab = slab if not len(waiting) else np.concatenate([waiting, slab])
        begin = self.written[number]
        ready = len(slab) if begin + len(slab) == level.shape[0] else len(slab) // SLAB_SLICES * SLAB_SLICES
        self.waiting[number] = slab[ready:].copy() if ready < len(slab) else slab[:0]
        if not ready:
            return
        self.arrays[number][begin : begin + ready] = slab[:ready]
        self.written[number] += ready
        if number + 1 < len(self.levels):
            step = level.factors[0]
            halves = [
                _mean(slab[at : min(at + step, ready)], level.factors, self.padding)
                for at in range(0, ready, step)
            ]
            self._add(number + 1, np.concatenate(halves))

    def finish(self, volume: Volume, name: str) -> None:
        """Write what a reader looks for first; `volume` brings report and UIDs, its values are not looked at."""
        ome = _ome(volume, name, self.levels, (self.low, self.high))
        self.group.attrs.update({"ome": ome, "hounsfield": described(volume)})


def _create(
    group: Any, name: str, shape: tuple[int, ...], kind: np.dtype[Any], padding: int, compression: Compression
) -> Any:
    # Levels as elsewhere: 1 is quick; Zstandard hardly gains above 5.
    packed = BloscCodec(
        cname="zstd", clevel=min(compression.level, 9), shuffle="bitshuffle", typesize=kind.itemsize
    )
    sides = (SLAB_SLICES, LARGEST_CHUNK_SIDE, LARGEST_CHUNK_SIDE)
    return group.create_array(
        name,
        shape=shape,
        chunks=tuple(min(pair) for pair in zip(shape, sides, strict=True)),
        dtype=kind,
        compressors=[packed] if compression.level else None,
        dimension_names=AXES,
        fill_value=padding if kind.kind != "u" else 0,
    )


def _levels(volume: Volume) -> list[Level]:
    """Every level from the volume's own down to a thumbnail."""
    shape, scale, translation = tuple(volume.array.shape), tuple(volume.spacing), _origin(volume)
    levels = []
    while True:
        factors = _factors(shape, scale)
        levels.append(Level(shape, scale, translation, factors))
        if max(shape[1:]) <= SMALLEST_LEVEL_SIDE or max(factors) == 1:
            return levels
        # The centre of a block of two lies half a voxel beyond the centre of its first.
        translation = tuple(
            place + mm * (factor - 1) / 2
            for place, mm, factor in zip(translation, scale, factors, strict=True)
        )
        shape = tuple(-(-length // factor) for length, factor in zip(shape, factors, strict=True))
        scale = tuple(mm * factor for mm, factor in zip(scale, factors, strict=True))


def _factors(shape: tuple[int, ...], scale: tuple[float, ...]) -> tuple[int, ...]:
    """By how much the next level is smaller along (z, y, x): coarse axes wait for the others."""
    pairs = list(zip(shape, scale, strict=True))
    finest = min((mm for length, mm in pairs if length > 1), default=0.0)
    return tuple(2 if length > 1 and mm <= EVEN_ENOUGH * finest else 1 for length, mm in pairs)


def _mean(slab: Slab, factors: tuple[int, ...], padding: int) -> NDArray[Any]:
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


def _origin(volume: Volume) -> tuple[float, ...]:
    """LPS position (z, y, x) of the first voxel where NGFF can tell it; else zero, and `hounsfield` tells."""
    straight = np.diag(volume.spacing)[:, ::-1]
    if np.allclose(volume.affine[:3, :3].T, straight, atol=1e-6):
        x, y, z = (float(mm) for mm in volume.affine[:3, 3])
        return z, y, x
    return 0.0, 0.0, 0.0


def _ome(volume: Volume, name: str, levels: list[Level], ends: tuple[float, float]) -> dict[str, Any]:
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
        "name": str(volume.header.get("SeriesDescription") or name.partition(".")[0]),
        "axes": [{"name": axis, "type": "space", "unit": "millimeter"} for axis in AXES],
        "datasets": datasets,
        "type": "mean",
        "metadata": {"description": BLEND, "measure_on": "0", "unit": volume.unit},
    }
    return {
        "version": NGFF_VERSION,
        "multiscales": [multiscale],
        "omero": {"channels": [_channel(volume, ends)]},
    }


def _channel(volume: Volume, ends: tuple[float, float]) -> dict[str, Any]:
    """Return how a viewer should first show it: a soft tissue window for a CT, all there is for a map."""
    low, high = ends
    start, end = (-160.0, 240.0) if volume.is_hounsfield else (low, high)
    window = {"min": low, "max": high, "start": start, "end": end}
    return {"label": volume.unit, "color": "FFFFFF", "active": True, "window": window}
