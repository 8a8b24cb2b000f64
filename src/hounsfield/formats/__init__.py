"""Volumes → files of other programs, chosen by suffix from the table in `formats.table`.

Not a converter of DICOM: it takes a `Volume` that is right already and loses nothing of it that the format
can hold. Contract, enforced by `hounsfield.testing.FormatContract` for every format: a reader finds the same values bit
for bit, at the same positions to 1e-4 mm, under tilt too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hounsfield.dicom.extensions import named
from hounsfield.errors import UnsupportedError
from hounsfield.formats.description import Compression
from hounsfield.formats.table import (
    FORMATS,
    VolumeFormat,
    format_by_keyword,
    sidecars_of,
    volume_format,
    volume_formats,
    volume_suffixes,
)
from hounsfield.language import say

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

    from hounsfield.ct.series import LoadOptions, Series
    from hounsfield.ct.volume import Volume

__all__ = [
    "FORMATS",
    "Compression",
    "VolumeFormat",
    "format_by_keyword",
    "format_for",
    "sidecars_of",
    "volume_format",
    "volume_formats",
    "volume_suffixes",
    "write_series",
    "write_volume",
]


def write_volume(
    volume: Volume,
    path: str | Path,
    *,
    force: bool = False,
    compression: Compression | None = None,
    like: Sequence[Dataset] = (),
    format: str | None = None,
) -> tuple[Path, ...]:
    """Write a volume in the format that the suffix of `path` names, or `format`; the paths that were written.

    `path` may be an address in a bucket (`s3://bucket/name.nii.gz`), and then no path is. Outputs appear whole or not
    at all. `format`: a keyword, for a folder of DICOM under any name. `like`, for DICOM alone: headers of the scan
    whose patient and study it is of (`volume.save` reads them from a location).

    Raises `UnsupportedError` for an unknown suffix and `OutputExistsError` for an existing output without `force`,
    both before any work.
    """
    from hounsfield.formats import buckets

    compression = compression or Compression()
    found = format_for(path, format)
    if not buckets.is_address(path):
        return found.write(volume, Path(path).absolute(), force, compression, like)
    if found.storer:
        named(found.storer)(volume, str(path), force, compression)
    elif found.folder:
        raise UnsupportedError(say("{name} is not written into a bucket", name=found.name), where=str(path))
    else:
        buckets.upload(
            str(path), lambda here: found.write(volume, here, False, compression, like), force=force
        )
    return ()


def format_for(path: str | Path, keyword: str | None) -> VolumeFormat:
    """The format of that keyword, or of a path's suffix. Raises `UnsupportedError`."""
    if keyword is None:
        return volume_format(path)
    found = format_by_keyword(keyword)
    # DICOM is known by its content, the others by their suffixes.
    if not found.sourced and not str(path).lower().endswith(found.suffixes):
        raise UnsupportedError(
            say("{name} is no name for {name2}", name=Path(path).name, name2=found.name),
            expected=" or ".join(found.suffixes),
            where=str(path),
        )
    return found


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
