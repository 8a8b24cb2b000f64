"""A volume: numbers, where each of them lies in the patient, their unit, and what was done to get them.

Not a reader, not a resampler and not an image: `hounsfield.load` makes volumes, `hounsfield.ct.resample` changes
their grid, `hounsfield.formats` and `hounsfield.pictures` show them to others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import degrees
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.attachments import attached
from hounsfield.ct.plausibility import Plausibility, judge_array
from hounsfield.ct.units import HOUNSFIELD_UNITS
from hounsfield.errors import GeometryError
from hounsfield.language import say

PADDING_HU = -1024
"""The value of a voxel outside the reconstructed field: below any tissue, the lowest value of a 12-bit CT."""

TILT_TOLERANCE_DEGREES = 0.1
"""Below this the slice step counts as perpendicular to the slices: positions are written with few digits."""

SPACING_TOLERANCE = 0.01
"""Share by which `spacing` may differ from the lengths in the affine (PixelSpacing is often rounded)."""


@dataclass(frozen=True)
class Report:
    """A report of what happened to the numbers between the files and the array; counts are of voxels.

    `slope` and `intercept` are those of every slice, or None where slices differ (or a table was used).
    `filled` names the slices (indexes into the array) that no file held. `verdict` is the geometry found:
    "regular", "sheared", "gaps", "irregular" or "not a volume". `resampled`: its grid is not that of the files;
    `cropped`: it is a part of it. `judge` computes `plausibility`.
    """

    warnings: tuple[str, ...] = ()
    padded: int = 0
    clamped: int = 0
    saturated: int = 0
    rounded: int = 0
    verdict: str = "regular"
    slope: float | None = None
    intercept: float | None = None
    filled: tuple[int, ...] = ()
    spacing_notes: tuple[str, ...] = ()
    resampled: bool = False
    cropped: bool = False
    judge: Callable[[], Plausibility | None] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def plausibility(self) -> Plausibility | None:
        """The verdict of physics on the numbers, before any clamp where slices are at hand; None for another unit.

        Computed when it is first asked for, from at most twelve slices: a volume that nobody asks pays nothing.
        """
        return None if self.judge is None else self.judge()

    def to_json(self) -> dict[str, Any]:
        """Every field as plain JSON values."""
        return {
            "verdict": self.verdict,
            "warnings": list(self.warnings),
            "padded": int(self.padded),
            "clamped": int(self.clamped),
            "saturated": int(self.saturated),
            "rounded": int(self.rounded),
            "slope": self.slope,
            "intercept": self.intercept,
            "filled": [int(index) for index in self.filled],
            "spacing_notes": list(self.spacing_notes),
            "resampled": self.resampled,
            "cropped": self.cropped,
            **self._judged(),
        }

    def _judged(self) -> dict[str, Any]:
        """The verdict of physics where somebody asked for it: describing a volume reads no slices."""
        found = self.__dict__.get("plausibility")
        return {} if found is None else {"plausibility": found.to_json()}


class FrameUid(str):
    """The SOP Instance UID of an instance of several frames, with the number of one, `frame`, from 1."""

    frame: int

    def __new__(cls, uid: str, frame: int) -> Self:
        made = super().__new__(cls, uid)
        made.frame = frame
        return made

    def __getnewargs__(self) -> tuple[str, int]:  # type: ignore[override]
        return str(self), self.frame


@dataclass(frozen=True, eq=False, repr=False)
class Volume:
    """Values on a grid in the patient.

    - `array`: (slices, rows, columns), int16, float32 or another real type
    - `affine`: 4×4 float64; `affine @ (slice, row, column, 1)` is the LPS position in mm of a voxel's centre,
      exact under gantry tilt (PS3.3 C.7.6.2.1.1)
    - `spacing`: (slice, row, column) in mm; the first along the slices' normal
    - `unit`: "HU", "HU_MOD", "unspecified", or a map's own unit (PS3.3 C.11.1.1.2)
    - `uids`: SOP Instance UID of each slice, "" for one that no file held; of a frame among several a `FrameUid`
    - `report`: warnings and counts
    - `header`: a few plain facts of the series, by DICOM keyword

    Raises `GeometryError` when the parts contradict each other.
    """

    array: NDArray[Any]
    affine: NDArray[np.float64]
    spacing: tuple[float, float, float]
    unit: str = "HU"
    uids: tuple[str, ...] = ()
    report: Report = field(default_factory=Report)
    header: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_array(self.array)
        object.__setattr__(self, "affine", _checked_affine(self.affine))
        object.__setattr__(self, "spacing", tuple(float(mm) for mm in self.spacing))
        _check_spacing(self.spacing, self.affine)
        uids = tuple(self.uids) or ("",) * len(self.array)
        if len(uids) != len(self.array):
            raise GeometryError(
                say("{count} UIDs", count=len(uids)),
                expected=say("one for each of {count} slices", count=len(self.array)),
            )
        object.__setattr__(self, "uids", uids)
        if self.is_hounsfield and getattr(self.report.judge, "func", judge_array) is judge_array:
            # Without slices to ask, and never bound to the array of the volume that this one was made of.
            judged = replace(self.report, judge=partial(judge_array, self.array, self.spacing))
            object.__setattr__(self, "report", judged)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)"""
        slices, rows, columns = self.array.shape
        return slices, rows, columns

    @property
    def is_hounsfield(self) -> bool:
        """Return whether the values are on the Hounsfield scale."""
        return self.unit in HOUNSFIELD_UNITS

    @property
    def padding_value(self) -> int:
        """The value that means "nothing was measured here": −1024 in Hounsfield units, 0 in any other."""
        return PADDING_HU if self.is_hounsfield else 0

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit normal of the slices, pointing the way they are stacked: (3,) LPS."""
        normal = _unit_normal(self.affine)
        return -normal if normal @ self.affine[:3, 0] < 0 else normal

    @property
    def tilt_degrees(self) -> float:
        """Angle between the slices' normal and the way they are stacked; 0 for an upright gantry."""
        step = self.affine[:3, 0]
        along = float(step @ self.normal)
        aside = float(np.linalg.norm(step - along * self.normal))
        return degrees(float(np.arctan2(aside, along)))

    @property
    def is_sheared(self) -> bool:
        """Return whether the grid is tilted: slices shifted in their plane from one to the next."""
        return len(self.array) > 1 and self.tilt_degrees > TILT_TOLERANCE_DEGREES

    def lps(self, slice_: float, row: float, column: float) -> NDArray[np.float64]:
        """(3,) LPS position in mm of a voxel's centre; fractions lie between centres."""
        position: NDArray[np.float64] = self.affine[:3] @ (slice_, row, column, 1.0)
        return position

    def index(self, lps: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """(3,) fractional (slice, row, column) of an LPS position in mm; may lie outside the array."""
        offset = np.asarray(lps, dtype=np.float64) - self.affine[:3, 3]
        index: NDArray[np.float64] = np.linalg.inv(self.affine[:3, :3]) @ offset
        return index

    def hu_at(self, lps: Sequence[float] | NDArray[np.float64]) -> float:
        """Value of the voxel that holds an LPS position in mm, not interpolated.

        Raises `GeometryError` outside the volume.
        """
        index = np.floor(self.index(lps) + 0.5).astype(int)
        if (index < 0).any() or (index >= self.shape).any():
            place = tuple(float(mm) for mm in lps)
            voxel = f"slice {index[0]}, row {index[1]}, column {index[2]}"
            raise GeometryError(
                say("{place} mm lies outside the volume, at {voxel}", place=place, voxel=voxel),
                expected=self._extent(),
                position=place,
            )
        return float(self.array[tuple(index)])

    @classmethod
    def from_array(cls, array: NDArray[Any], affine: NDArray[Any], *, unit: str = "HU") -> Volume:
        """A volume of an array, (slices, rows, columns), and its 4×4 affine, (slice, row, column, 1) → LPS mm.

        The array is taken as it is, not copied. Raises `GeometryError` for what makes no volume.
        """
        affine = _checked_affine(affine)
        row, column = np.linalg.norm(affine[:3, 1:3], axis=0)
        step = abs(float(affine[:3, 0] @ _unit_normal(affine)))
        return cls(np.asarray(array), affine, (step, float(row), float(column)), unit)

    @classmethod
    def from_sitk(cls, image: Any, *, unit: str = "HU") -> Volume:
        """The volume of a `SimpleITK.Image`; see `hounsfield.bridges`, as for the next one."""
        made: Volume = attached("bridges").from_sitk(image, unit=unit)
        return made

    @classmethod
    def from_nibabel(cls, image: Any, *, unit: str = "HU") -> Volume:
        """The volume of a `nibabel` image, its scale applied."""
        made: Volume = attached("bridges").from_nibabel(image, unit=unit)
        return made

    def resampled(self, **how: Any) -> Volume:
        """This volume on another grid: `voxel=` mm or `like=` a volume; see `hounsfield.ct.grid`."""
        made: Volume = attached("grid").resampled(self, **how)
        return made

    def cropped(self, box: Sequence[slice | tuple[int | None, int | None]]) -> Volume:
        """A part of it: (start, stop) or a slice for slices, rows and columns."""
        made: Volume = attached("grid").cropped(self, box)
        return made

    def oriented(self, axes: str) -> Volume:
        """The same voxels with axes such as "RAS": where columns, rows and slices rise to."""
        made: Volume = attached("grid").oriented(self, axes)
        return made

    def save(self, path: Any, *, format: str | None = None, like: Any = None, force: bool = False) -> Any:
        """Write it where `path` says, in the format of its suffix or of `format`, such as "dicom"; see
        `hounsfield.verbs.save`. `like`, for DICOM: a location whose patient and study it is of. The paths written.
        """
        return attached("save").save(self, path, format=format, like=like, force=force)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The voxels, for `numpy.asarray(volume)`."""
        return np.array(self.array, dtype=dtype, copy=copy)

    def to_sitk(self, *, masks: Any = None) -> Any:
        """A `SimpleITK.Image` at the same place; see `hounsfield.bridges`, as for the next three.

        With `masks` on its grid (`hounsfield.masks`) also their labels.
        """
        return attached("bridges").to_sitk(self, masks=masks)

    def to_nibabel(self) -> Any:
        """A `nibabel` image, axes (column, row, slice), RAS."""
        return attached("bridges").to_nibabel(self)

    def to_xarray(self, *, masks: Any = None) -> Any:
        """An `xarray.DataArray` with the dimensions slice, row, column; with `masks` a `Dataset` that has `labels`."""
        return attached("bridges").to_xarray(self, masks=masks)

    def to_torch(self, *, dtype: Any = None, masks: Any = None) -> Any:
        """A `torch.Tensor` (slices, rows, columns); with `masks` also the tensor of their labels."""
        return attached("bridges").to_torch(self, dtype=dtype, masks=masks)

    def to_json(self) -> dict[str, Any]:
        """Everything but the numbers, as plain JSON values."""
        return {
            "shape": list(self.shape),
            "dtype": self.array.dtype.name,
            "axes": ["slice", "row", "column"],
            "affine": self.affine.tolist(),
            "affine_frame": "LPS, mm: affine @ (slice, row, column, 1)",
            "spacing": list(self.spacing),
            "unit": self.unit,
            "uids": list(self.uids),
            "report": self.report.to_json(),
            "header": dict(self.header),
        }

    def __repr__(self) -> str:
        shape = "×".join(str(length) for length in self.shape)
        spacing = "×".join(f"{mm:.4g}" for mm in self.spacing)
        tilt = f", tilted {self.tilt_degrees:.1f}°" if self.is_sheared else ""
        notes = f", {len(self.report.warnings)} warnings" if self.report.warnings else ""
        return f"<Volume {shape} {self.array.dtype.name} {self.unit}, {spacing} mm{tilt}{notes}>"

    def _repr_html_(self) -> str:
        """In a notebook: the middle slice and the report."""
        shown: str = attached("report").preview_html(self)
        return shown

    def _extent(self) -> str:
        last = np.array(self.shape) - 1
        corners = np.array([self.lps(*(np.array(corner) * last)) for corner in np.ndindex(2, 2, 2)])
        pairs = zip("LPS", corners.min(axis=0), corners.max(axis=0), strict=True)
        return ", ".join(f"{axis} {low:.1f}…{high:.1f}" for axis, low, high in pairs)


def _check_array(array: NDArray[Any]) -> None:
    if array.ndim != 3 or 0 in array.shape:
        raise GeometryError(
            say("an array of shape {shape}", shape=array.shape),
            expected="(slices, rows, columns), none empty",
        )
    if array.dtype.kind not in "iuf":
        raise GeometryError(
            say("an array of {name}", name=array.dtype.name), expected="whole or real numbers"
        )


def _checked_affine(affine: NDArray[Any]) -> NDArray[np.float64]:
    affine = np.array(affine, dtype=np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.array_equal(affine[3], (0, 0, 0, 1)):
        raise GeometryError(
            say("an affine of {tolist}", tolist=affine.tolist()), expected="4×4, finite, last row 0 0 0 1"
        )
    directions = affine[:3, :3]
    lengths = np.linalg.norm(directions, axis=0)
    # The determinant of the unit directions, so that the test does not depend on the voxels' size.
    if (lengths == 0).any() or abs(np.linalg.det(directions / lengths)) < 1e-6:
        raise GeometryError(
            say("an affine of {tolist}", tolist=affine.tolist()), expected="three axes that span space"
        )
    affine.setflags(write=False)
    return affine


def _unit_normal(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    across: NDArray[np.float64] = np.cross(affine[:3, 1], affine[:3, 2])
    return across / np.float64(np.linalg.norm(across))


def _check_spacing(spacing: Sequence[float], affine: NDArray[np.float64]) -> None:
    if len(spacing) != 3 or not all(np.isfinite(mm) and mm > 0 for mm in spacing):
        raise GeometryError(
            say("a spacing of {spacing}", spacing=spacing), expected="three lengths above zero, in mm"
        )
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    # Under tilt the spacing along the normal is shorter than the step between neighbouring voxels.
    shortest = np.array([abs(affine[:3, 0] @ _unit_normal(affine)), lengths[1], lengths[2]])
    given = np.asarray(spacing)
    if (given > lengths * (1 + SPACING_TOLERANCE)).any() or (
        given < shortest * (1 - SPACING_TOLERANCE)
    ).any():
        raise GeometryError(
            say("a spacing of {tolist} mm", tolist=tuple(given.tolist())),
            expected=say("{tolist} by the affine", tolist=tuple(shortest.round(4).tolist())),
        )
