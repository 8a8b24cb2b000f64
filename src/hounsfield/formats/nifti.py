"""NIfTI: `.nii` and `.nii.gz`, axes (column, row, slice), RAS.

The only place where LPS becomes RAS. The header is nibabel's; the voxels go out as they lie in memory, since
NIfTI's first axis is its fastest.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.volume import Volume
from hounsfield.errors import UnsupportedError
from hounsfield.formats.deflate import blocks, write_gzip, write_raw
from hounsfield.formats.description import Compression
from hounsfield.language import say
from hounsfield.outputs import whole_file

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

QFORM_TOLERANCE = 0.01
"""A qform is written only if it puts every corner within this share of a voxel's shortest side of the sform's: they
must not disagree."""

LONGEST_NIFTI1_AXIS = 32767
SCANNER_ANATOMICAL = 1


def nifti_cautions(volume: Volume) -> tuple[str, ...]:
    """Return what programs that read a NIfTI of this volume may not take."""
    if not volume.is_sheared:
        return ()
    tilt = say(
        "tilted by {degrees}°: SimpleITK, and what is built on ITK, refuses such a NIfTI; rectify it (--rectify), or "
        "write .nrrd or .mha",
        degrees=f"{volume.tilt_degrees:.1f}",
    )
    return (tilt,)


def write_nifti(volume: Volume, path: Path, force: bool, compression: Compression) -> tuple[Path, ...]:
    """Write one `.nii` or `.nii.gz`; `UnsupportedError` for a number type that NIfTI lacks."""
    with whole_file(path, force=force) as temporary:
        header = nifti_header(volume)
        with temporary.open("wb") as file:
            start = memoryview(header.binaryblock + b"\0\0\0\0")
            if path.name.lower().endswith(".gz"):
                write_gzip(
                    file, (block for part in ((start,), blocks(volume.array)) for block in part), compression
                )
            else:
                file.write(start)
                write_raw(file, blocks(volume.array))
    return (path,)


def ras_affine(volume: Volume) -> NDArray[np.float64]:
    """4×4, `ras_affine @ (column, row, slice, 1)` is the RAS position in mm."""
    affine: NDArray[np.float64] = LPS_TO_RAS @ volume.affine[:, [2, 1, 0, 3]]
    return affine


def nifti_header(volume: Volume) -> Any:
    """A NIfTI-1 header for a single file (NIfTI-2 where an axis is longer than it can say)."""
    shape = volume.shape[::-1]
    kind: Any = nibabel.Nifti1Header if max(shape) <= LONGEST_NIFTI1_AXIS else nibabel.Nifti2Header
    header = kind(endianness="<")
    try:
        header.set_data_dtype(volume.array.dtype)
    except nibabel.spatialimages.HeaderDataError as error:
        raise UnsupportedError(
            say("NIfTI has no {name}", name=volume.array.dtype.name), remedy="load as int16 or float32"
        ) from error
    affine = ras_affine(volume)
    header.set_data_shape(shape)
    header.set_zooms(np.linalg.norm(affine[:3, :3], axis=0))
    if not volume.is_sheared:
        header.set_qform(affine, code=SCANNER_ANATOMICAL)
        if not _same_corners(header.get_qform(), affine, shape):
            header["qform_code"] = 0
    header.set_sform(affine, code=SCANNER_ANATOMICAL)
    header.set_xyzt_units("mm")
    header["descrip"] = _description(volume).encode("ascii", "replace")[:79]
    _set_intent(header, volume)
    header["vox_offset"] = header.sizeof_hdr + 4
    # Explicit, so that no reader is left to guess what an empty slope means.
    header.set_slope_inter(1, 0)
    return header


def _description(volume: Volume) -> str:
    """The writer, the unit, and what was done."""
    report = volume.report
    done = [word for word in ("resampled", "cropped") if getattr(report, word)]
    done += ["slices filled"] if report.filled else []
    return "; ".join([f"hounsfield {version('hounsfield')}", f"unit {volume.unit}", *done])


def _set_intent(header: Any, volume: Volume) -> None:
    """Set the meaning of a voxel as NIfTI codes it: a label, dimensionless for HU, or only the name of its unit."""
    if "Segment0_Name" in volume.header:
        header.set_intent("label", name="labels")
        return
    name = volume.unit[:15].encode("ascii", "replace").decode()
    header.set_intent("dimensionless" if volume.is_hounsfield else "none", name=name)


def _same_corners(one: NDArray[Any], other: NDArray[Any], shape: tuple[int, ...]) -> bool:
    corners = np.array([(*corner, 1) for corner in np.ndindex(2, 2, 2)]) * (*(np.array(shape) - 1), 1)
    apart = corners @ (np.asarray(one) - np.asarray(other))[:3].T
    side = np.linalg.norm(np.asarray(other)[:3, :3], axis=0).min()
    return bool(np.abs(apart).max() <= QFORM_TOLERANCE * side)
