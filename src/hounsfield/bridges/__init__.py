"""A `Volume` as what other libraries work with, and back: SimpleITK, nibabel; to xarray and torch; in `dataset` many.

`to_sitk`, `to_xarray` and `to_torch` take masks on the volume's grid along. Where segments overlap, labels have an axis
of layers in front.

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
    from numpy.typing import NDArray

    from hounsfield.ct.volume import Volume
    from hounsfield.segmentation import Masks

TORCH_HAS = frozenset({"uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"})
"""Types that torch computes with; what it merely names (uint16 …) becomes the next larger of these."""

FACTS = ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "SeriesDescription", "Modality")
"""Attributes that go along as metadata: nothing that names the patient."""


def to_sitk(volume: Volume, *, masks: Masks | None = None) -> Any:
    """A `SimpleITK.Image`: size (columns, rows, slices), LPS mm as ITK has it; the values are copied.

    With `masks` a pair, the second the image of labels at the same place: of a vector a voxel where segments overlap.
    Names stand in its metadata as 3D Slicer has them (`Segment0_LabelValue`, `Segment0_Name`, `Segment0_Layer`).
    Raises `GeometryError` for masks of another grid.

    A tilt is a direction matrix whose axes are not perpendicular. ITK places every voxel of it right; filters that
    take the axes for perpendicular do not. A volume loaded with `rectify=True` has none.
    """
    sitk = _library("SimpleITK", "SimpleITK")
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array))
    _place(image, volume)
    image.SetMetaData("Unit", volume.unit)
    for keyword in FACTS:
        if volume.header.get(keyword):
            image.SetMetaData(keyword, str(volume.header[keyword]))
    if masks is None:
        return image
    layers = _label_array(masks, volume)
    labels = sitk.GetImageFromArray(
        layers if layers.ndim == 3 else np.moveaxis(layers, 0, -1), isVector=layers.ndim == 4
    )
    _place(labels, volume)
    for place, segment in enumerate(masks.segments):
        meaning = {"LabelValue": segment.number, "Name": segment.name, "Layer": segment.layer}
        for word, value in meaning.items():
            labels.SetMetaData(f"Segment{place}_{word}", str(value))
    return image, labels


def _place(image: Any, volume: Volume) -> None:
    """Set spacing, origin and direction of a `SimpleITK.Image`."""
    axes = volume.affine[:3, [2, 1, 0]]
    lengths = np.linalg.norm(axes, axis=0)
    image.SetSpacing([float(mm) for mm in lengths])
    image.SetOrigin([float(mm) for mm in volume.affine[:3, 3]])
    image.SetDirection([float(part) for part in (axes / lengths).ravel()])


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


def to_xarray(volume: Volume, *, masks: Masks | None = None) -> Any:
    """An `xarray.DataArray` with the dimensions slice, row, column, whose data is the volume's own memory.

    Where the grid runs along the patient's axes, the coordinates z, y, x are LPS mm. Otherwise (oblique, tilted) one
    number a dimension cannot say where a voxel is; the coordinates are then mm from the first voxel along each axis.
    `attrs["affine"]` (slice, row, column, 1) → LPS mm is exact in either case. Also `unit`, `report`, `uids`.

    With `masks` an `xarray.Dataset` of `values` and `labels`, in the masks' own memory where there is one label array;
    `labels.attrs["segments"]` says what they mean. Raises `GeometryError` for masks of another grid.
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
    values = xarray.DataArray(
        volume.array, dims=dimensions, coords=coordinates, attrs=attributes, name=volume.unit
    )
    if masks is None:
        return values
    layers = _label_array(masks, volume)
    labels = xarray.DataArray(
        layers,
        dims=dimensions if layers.ndim == 3 else ("layer", *dimensions),
        coords=coordinates,
        attrs={"segments": [segment.to_json() for segment in masks.segments]},
    )
    return xarray.Dataset({"values": values, "labels": labels}, attrs=attributes)


def to_torch(volume: Volume, *, dtype: Any = None, masks: Masks | None = None) -> Any:
    """A `torch.Tensor` (slices, rows, columns) of the volume's type, or of `dtype`; the values are copied.

    With `masks` a pair, the second the labels: uint8, or int32 beyond 255, (slices, rows, columns), and (layers,
    slices, rows, columns) where segments overlap. A tensor has no place in the patient: take `volume.affine` along.
    Raises `GeometryError` for masks of another grid.
    """
    torch = _library("torch", "torch")
    tensor = torch.from_numpy(_for_torch(volume.array))
    tensor = tensor if dtype is None else tensor.to(dtype)
    return tensor if masks is None else (tensor, torch.from_numpy(_for_torch(_label_array(masks, volume))))


def _for_torch(array: NDArray[Any]) -> NDArray[Any]:
    """A copy in C order, of a type that torch computes with."""
    if array.dtype.name not in TORCH_HAS:
        array = array.astype({"uint16": np.int32, "uint32": np.int64}.get(array.dtype.name, np.float64))
    return np.array(array, order="C")


def _label_array(masks: Masks, volume: Volume) -> NDArray[Any]:
    """(slices, rows, columns), or (layers, slices, rows, columns) of segments that overlap."""
    masks.refuse_other_grid(volume)
    return masks.layers[0] if len(masks.layers) == 1 else np.stack(masks.layers)


def _library(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnsupportedError(
            say("{package} is not installed", package=package),
            remedy=say("pip install {package}", package=package),
        ) from error
