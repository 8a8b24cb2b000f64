"""Volumes → files of other programs, chosen by suffix from the table in `formats.table`.

Not a converter of DICOM: it takes a `Volume` that is right already and loses nothing of it that the format
can hold. Contract, enforced by `hounsfield.testing.FormatContract` for every format: a reader finds the same values bit
for bit, at the same positions to 1e-4 mm, under tilt too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hounsfield.dicom.extensions import named
from hounsfield.errors import UnsupportedError
from hounsfield.formats.description import Compression
from hounsfield.formats.table import (
    FORMATS,
    VolumeFormat,
    sidecars_of,
    volume_format,
    volume_formats,
    volume_suffixes,
)
from hounsfield.language import say

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hounsfield.ct.series import LoadOptions, Series
    from hounsfield.ct.volume import Volume

__all__ = [
    "FORMATS",
    "Compression",
    "VolumeFormat",
    "sidecars_of",
    "volume_format",
    "volume_formats",
    "volume_suffixes",
    "write_series",
    "write_volume",
]


def write_volume(
    volume: Volume, path: str | Path, *, force: bool = False, compression: Compression | None = None
) -> tuple[Path, ...]:
    """Write a volume in the format that the suffix of `path` names; the paths that were written.

    `path` may be an address in a bucket (`s3://bucket/name.nii.gz`), and then no path is. Outputs appear whole or not
    at all. Raises `UnsupportedError` for an unknown suffix and `OutputExistsError` for an existing output without
    `force`, both before any work.
    """
    from hounsfield.formats import buckets

    compression = compression or Compression()
    found = volume_format(path)
    if not buckets.is_address(path):
        return found.write(volume, Path(path).absolute(), force, compression)
    if found.storer:
        named(found.storer)(volume, str(path), force, compression)
    elif found.folder:
        raise UnsupportedError(say("{name} is not written into a bucket", name=found.name), where=str(path))
    else:
        buckets.upload(str(path), lambda here: found.write(volume, here, False, compression), force=force)
    return ()


def write_series(
    series: Series,
    path: str | Path,
    options: LoadOptions | None = None,
    *,
    phase: int | None = None,
    force: bool = False,
    compression: Compression | None = None,
    seen: Callable[[int, NDArray[Any]], None] = lambda start, slab: None,
) -> Volume:
    """Write a series with a slab of slices in memory at a time, in a format that allows it (`streamer`: OME-Zarr).

    Returns what `load` would, but that the array is the middle slice, repeated. `seen` is called with each slab
    (first slice, (slices, rows, columns)). The values written are those of `write_volume`, bit for bit. Raises what
    loading and writing raise; `UnsupportedError` for another format, or options that need the whole volume.
    """
    found = volume_format(path)
    if not found.streamer:
        raise UnsupportedError(say("{name} is not written slice by slice", name=found.name), where=str(path))
    from hounsfield.ct.series.streaming import Stream

    stream = Stream(series, options, phase=phase)
    named(found.streamer)(stream, path, force, compression or Compression(), seen)
    return stream.volume()
