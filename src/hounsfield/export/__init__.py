"""Volumes → files of other programs, chosen by suffix: NIfTI, NRRD, MetaImage, NumPy, OME-Zarr.

Not a converter of DICOM: it takes a `Volume` that is right already and loses nothing of it that the format
can hold. Contract, enforced by `tests/test_export.py` for every format here: an independent reader finds the
same values bit for bit, at the same positions to 1e-4 mm, under tilt too.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hounsfield.errors import UnsupportedError
from hounsfield.volume import Volume


@dataclass(frozen=True)
class VolumeFormat:
    """A file format for volumes; `writer` names the function of this package that writes it."""

    name: str
    suffixes: tuple[str, ...]
    writer: str


@dataclass(frozen=True)
class Compression:
    """How hard to press: `level` 0 not at all, 1 fast … 9 small; `threads` None for every core."""

    level: int = 1
    threads: int | None = None


FORMATS = (
    VolumeFormat("NIfTI", (".nii.gz", ".nii"), "nifti.write_nifti"),
    VolumeFormat("NRRD", (".nrrd",), "nrrd.write_nrrd"),
    VolumeFormat("MetaImage", (".mha",), "metaimage.write_metaimage"),
    VolumeFormat("NumPy", (".npy",), "npy.write_npy"),
    VolumeFormat("OME-Zarr", (".ome.zarr", ".zarr"), "omezarr.write_omezarr"),
)
"""Every format that `write_volume` knows, with its suffixes, the longest first."""


IDENTITY = frozenset({"PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "AccessionNumber"})
"""Facts that stay out of exported files: whoever holds the DICOM gets back to the patient by the UIDs."""


def described(volume: Volume) -> dict[str, Any]:
    """Everything but the numbers and the patient's identity, as plain JSON values."""
    told: dict[str, Any] = json.loads(json.dumps(volume.to_json(), default=str))
    told["header"] = {key: value for key, value in told["header"].items() if key not in IDENTITY}
    return told


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

    They appear whole or not at all. Raises `UnsupportedError` for an unknown suffix and `OutputExistsError`
    for an existing output without `force`, both before any work.
    """
    module, function = volume_format(path).writer.split(".")
    write: Callable[[Volume, Path, bool, Compression], tuple[Path, ...]]
    write = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    return write(volume, Path(path).absolute(), force, compression or Compression())
