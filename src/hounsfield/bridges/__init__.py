"""A `Volume` as what other libraries work with, and back: SimpleITK, nibabel; to xarray and torch; in `dataset` many.

Not files: those are `hounsfield.formats`'s. Each bridge keeps the geometry in that library's own terms, so that the
same voxel lies at the same place in the patient; where a library cannot say a tilt, the docstring says what it gets.
The libraries are not installed with `hounsfield`: a bridge that lacks its own says what to install.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from hounsfield.errors import GeometryError, UnsupportedError
from hounsfield.language import say

if TYPE_CHECKING:
    from hounsfield.ct.volume import Volume

TORCH_HAS = frozenset({"uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"})
"""Types that torch computes with; what it merely names (uint16 …) becomes the next larger of these."""

FACTS = ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "SeriesDescription", "Modality")
"""Attributes that go along as metadata: nothing that names the patient."""


def to_sitk(volume: Volume) -> Any:
    """A `SimpleITK.Image`: size (columns, rows, slices), LPS mm as ITK has it; the values are copied.

    A tilt is a direction matrix whose axes are not perpendicular. ITK places every voxel of it right; filters that
    take the axes for perpendicular do not. A volume loaded with `rectify=True` has none.
    """
    sitk = _library("SimpleITK", "SimpleITK")
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array))
    axes = volume.affine[:3, [2, 1, 0]]
    lengths = np.linalg.norm(axes, axis=0)
    image.SetSpacing([float(mm) for mm in lengths])
    image.SetOrigin([float(mm) for mm in volume.affine[:3, 3]])
    image.SetDirection([float(part) for part in (axes / lengths).ravel()])
    image.SetMetaData("Unit", volume.unit)
    for keyword in FACTS:
        if volume.header.get(keyword):
            image.SetMetaData(keyword, str(volume.header[keyword]))
    return image


def to_nibabel(volume: Volume) -> Any:
    """A `nibabel.Nifti1Image` (`Nifti2Image` beyond 32767): axes (column, row, slice), RAS mm; exact under tilt.

    Its data is the volume's own memory, seen from the other side. Raises `UnsupportedError` for a type NIfTI lacks.
    """
    import nibabel

    from hounsfield.formats.nifti import nifti_header, ras_affine

    header = nifti_header(volume)
    kind: Any = nibabel.Nifti1Image if isinstance(header, nibabel.Nifti1Header) else nibabel.Nifti2Image
    return kind(volume.array.transpose(2, 1, 0), ras_affine(volume), header)


def from_sitk(image: Any, *, unit: str = "HU") -> Volume:
    """The volume of a `SimpleITK.Image` of three dimensions, at the same place; the values are copied.

    Raises `GeometryError` for vectors and other dimensions.
    """
    from hounsfield.ct.volume import Volume

    sitk = _library("SimpleITK", "SimpleITK")
    if image.GetDimension() != 3:
        raise GeometryError(
            say("an image of {GetDimension} dimensions", GetDimension=image.GetDimension()), expected="three"
        )
    affine = np.eye(4)
    axes = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, :3] = axes[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return Volume.from_array(sitk.GetArrayFromImage(image), affine, unit=unit)


def from_nibabel(image: Any, *, unit: str = "HU") -> Volume:
    """The volume of a `nibabel` image of three dimensions, at the same place; its scale is applied.

    The first axis of the image becomes the columns, the last the slices, none is flipped. Values are of the file's
    type where it has no scale, else float64. Raises `GeometryError` for other dimensions or an affine that spans no
    space.
    """
    from hounsfield.ct.volume import Volume
    from hounsfield.formats.nifti import LPS_TO_RAS

    array = np.asanyarray(image.dataobj)
    affine = (LPS_TO_RAS @ np.asarray(image.affine, np.float64))[:, [2, 1, 0, 3]]
    return Volume.from_array(array.transpose(), affine, unit=unit)


def to_xarray(volume: Volume) -> Any:
    """An `xarray.DataArray` with the dimensions slice, row, column, whose data is the volume's own memory.

    Where the grid runs along the patient's axes, the coordinates z, y, x are LPS mm. Otherwise (oblique, tilted) one
    number a dimension cannot say where a voxel is; the coordinates are then mm from the first voxel along each axis.
    `attrs["affine"]` (slice, row, column, 1) → LPS mm is exact in either case. Also `unit`, `report`, `uids`.
    """
    xarray = _library("xarray", "xarray")
    dimensions = ("slice", "row", "column")
    axes = volume.affine[:3, :3]
    straight = np.allclose(axes, np.fliplr(np.diag([axes[0, 2], axes[1, 1], axes[2, 0]])), atol=1e-6)
    coordinates = {}
    for number, (dimension, name) in enumerate(zip(dimensions, ("z", "y", "x"), strict=True)):
        steps = np.arange(volume.shape[number], dtype=np.float64)
        patient_axis = 2 - number
        if straight:
            values = volume.affine[patient_axis, 3] + steps * axes[patient_axis, number]
        else:
            name, values = f"{dimension}_mm", steps * float(np.linalg.norm(axes[:, number]))  # noqa: PLW2901 (its other name)
        coordinates[name] = (dimension, values, {"units": "mm"})
    attributes = {
        "units": volume.unit,
        "affine": volume.affine.tolist(),
        "affine_frame": "LPS, mm: affine @ (slice, row, column, 1)",
        "spacing": list(volume.spacing),
        "uids": list(volume.uids),
        "report": volume.report.to_json(),
        **{keyword: str(volume.header[keyword]) for keyword in FACTS if volume.header.get(keyword)},
    }
    return xarray.DataArray(
        volume.array, dims=dimensions, coords=coordinates, attrs=attributes, name=volume.unit
    )


def to_torch(volume: Volume, *, dtype: Any = None) -> Any:
    """A `torch.Tensor` (slices, rows, columns) of the volume's type, or of `dtype`; the values are copied.

    A tensor has no place in the patient: take `volume.affine` along.
    """
    torch = _library("torch", "torch")
    array = volume.array
    if array.dtype.name not in TORCH_HAS:
        array = array.astype({"uint16": np.int32, "uint32": np.int64}.get(array.dtype.name, np.float64))
    tensor = torch.from_numpy(np.array(array, order="C"))
    return tensor if dtype is None else tensor.to(dtype)


def _library(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnsupportedError(
            say("{package} is not installed", package=package),
            remedy=say("pip install {package}", package=package),
        ) from error
