"""Volumes → files of other programs, chosen by suffix: NIfTI, NRRD, MetaImage, NumPy, OME-Zarr.

Not a converter of DICOM: it takes a `Volume` that is right already and loses nothing of it that the format
can hold. Contract, enforced by `tests/test_export.py` for every format here: an independent reader finds the
same values bit for bit, at the same positions to 1e-4 mm, under tilt too.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hounsfield.ct.volume import Volume
from hounsfield.errors import UnsupportedError
from hounsfield.formats.description import Compression as Compression

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hounsfield.ct.series import LoadOptions, Series


@dataclass(frozen=True)
class VolumeFormat:
    """A file format for volumes; `writer` names the function of this package that writes it."""

    name: str
    suffixes: tuple[str, ...]
    writer: str


FORMATS = (
    VolumeFormat("NIfTI", (".nii.gz", ".nii"), "nifti.write_nifti"),
    VolumeFormat("NRRD", (".nrrd",), "nrrd.write_nrrd"),
    VolumeFormat("MetaImage", (".mha",), "metaimage.write_metaimage"),
    VolumeFormat("NumPy", (".npy",), "npy.write_npy"),
    VolumeFormat("OME-Zarr", (".ome.zarr", ".zarr"), "omezarr.write_omezarr"),
)
"""Every format that `write_volume` knows, with its suffixes, the longest first."""


def volume_format(path: str | Path) -> VolumeFormat:
    """The format that a path's suffix asks for, in any case; `UnsupportedError` for an unknown one."""
    name = Path(path).name.lower()
    for known in FORMATS:
        if name.endswith(known.suffixes):
            return known
    raise UnsupportedError(
        "no format for a volume by that suffix",
        expected=", ".join(suffix for known in FORMATS for suffix in known.suffixes),
        where=str(path),
        remedy="give the output one of these suffixes",
    )


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
    write = _writer(path)
    if not buckets.is_address(path):
        return write(volume, Path(path).absolute(), force, compression)
    if volume_format(path).name == "OME-Zarr":
        from hounsfield.formats.omezarr import store_omezarr

        store_omezarr(volume, str(path), force, compression)
    else:
        buckets.upload(str(path), lambda here: write(volume, here, False, compression), force=force)
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
    """Write a series as OME-Zarr with a slab of slices in memory at a time; what `load` would tell of it.

    The array of what is returned is the middle slice, repeated. `seen` is called with each slab (first slice,
    (slices, rows, columns)). The values written are those of `write_volume`, bit for bit. Raises what loading and
    writing raise; `UnsupportedError` for another format, or options that need the whole volume.
    """
    if volume_format(path).name != "OME-Zarr":
        raise UnsupportedError("only OME-Zarr is written slice by slice", where=str(path))
    from hounsfield.ct.series.streaming import Stream
    from hounsfield.formats.omezarr import stream_omezarr

    stream = Stream(series, options, phase=phase)
    stream_omezarr(stream, path, force, compression or Compression(), seen)
    return stream.volume()


def _writer(path: str | Path) -> Callable[[Volume, Path, bool, Compression], tuple[Path, ...]]:
    module, function = volume_format(path).writer.split(".")
    writer: Callable[[Volume, Path, bool, Compression], tuple[Path, ...]]
    writer = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    return writer
