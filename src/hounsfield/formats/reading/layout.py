"""Description of the voxels of a volume file, and the checks that every format shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hounsfield.errors import MalformedError, UnsupportedError
from hounsfield.language import say

HEADER_BYTES = 16 << 20
"""Longest header that is read; ours, with the UIDs of ten thousand slices, has a megabyte."""

LONGEST_AXIS = 65535
"""Rows and columns that a DICOM image can have (PS3.3 C.7.6.3.1.2, VR US)."""

MOST_SLICES = 100_000
"""Slices of all volumes in one file; more is damage or an attack."""

LARGEST_PLANE = 1 << 32
"""Bytes that a pixel element of one slice can have (PS3.5 7.1.2)."""

Encoding = Literal["raw", "gzip", "zlib", "bzip2"]


@dataclass(frozen=True, slots=True)
class Beginning:
    """First bytes of a file, expanded where it is compressed as a whole; `packed` says how.

    `beside(name)` gives the text of another file in the same folder, None without it.
    """

    name: str
    head: bytes
    packed: Encoding = "raw"
    beside: Callable[[str], str | None] = lambda _: None

    def malformed(self, found: str, **more: str) -> MalformedError:
        return MalformedError(
            found, where=self.name, remedy="the file is damaged; get it again from where it came", **more
        )


@dataclass(frozen=True)
class VolumeLayout:
    """The layout of a file: where its voxels are, and what they mean.

    - `shape`: (volumes, slices, rows, columns), columns fastest in the file unless `slices_fastest`
    - `dtype`: with its byte order
    - `affine`: 4×4, (slice, row, column, 1) → LPS mm; None where the file has no place in the patient
    - `spacing`: (slice, row, column) mm where the file says them, with or without an affine
    - `offset`: of the first voxel, in the data once `encoding` is undone; from the end of the file where negative
    - `packed_from`: offset at which the encoded bytes begin
    - `data_file`: name of the file beside that holds the voxels, "" for the file itself
    - `slope`, `intercept`: stored × slope + intercept is the value
    - `unit`: "" where the file states none
    - `facts`: plain facts by DICOM keyword
    - `notes`: oddities that a reader should know
    """

    format: str
    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]
    affine: NDArray[np.float64] | None
    spacing: tuple[float, float, float] | None = None
    offset: int = 0
    encoding: Encoding = "raw"
    packed_from: int = 0
    data_file: str = ""
    slices_fastest: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    unit: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Bytes of all voxels, as stored."""
        count = 1
        for length in self.shape:
            count *= length  # Python's own integers: a hostile size must not wrap
        return count * self.dtype.itemsize

    def plane_bytes(self, cell: int) -> int:
        """Bytes of one slice with cells of so many bytes."""
        return self.shape[2] * self.shape[3] * cell

    def checked(self, name: str) -> VolumeLayout:
        """Itself. Raises `MalformedError` for sizes that no volume has, `UnsupportedError` for other numbers."""
        if any(length < 1 for length in self.shape):
            raise MalformedError(
                say("a volume of {sides}", sides=_sides(self.shape)), expected="no empty axis", where=name
            )
        volumes, slices, *sides = self.shape
        if (
            max(sides) > LONGEST_AXIS
            or volumes * slices > MOST_SLICES
            or self.plane_bytes(8) >= LARGEST_PLANE
        ):
            raise MalformedError(
                say("a volume of {sides}", sides=_sides(self.shape)),
                expected=say(
                    "at most {longest_axis} rows and columns, 4 GiB a slice, {most_slices} slices",
                    longest_axis=LONGEST_AXIS,
                    most_slices=MOST_SLICES,
                ),
                where=name,
            )
        if self.dtype.kind not in "iufb" or self.dtype.itemsize > 8:
            raise not_real(str(self.dtype), name)
        if not np.isfinite([self.slope, self.intercept]).all() or self.slope == 0:
            raise MalformedError(
                say("a scale of {slope} and {intercept}", slope=self.slope, intercept=self.intercept),
                expected="finite, not 0",
                where=name,
            )
        return self


def not_real(kind: str, name: str) -> UnsupportedError:
    """Colour, vectors, complex numbers, fields: no Hounsfield units."""
    return UnsupportedError(
        say("voxels of {kind}", kind=kind), expected="one whole or real number a voxel: HU are", where=name
    )


def grid(sizes: list[int], kind: str, name: str) -> tuple[int, int, int, int]:
    """(volumes, slices, rows, columns) of sizes with the fastest axis first. Raises `UnsupportedError`."""
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes = sizes[:-1]
    if not 2 <= len(sizes) <= 4:
        raise UnsupportedError(
            say("{kind} of {count} dimensions", kind=kind, count=len(sizes)),
            expected="three, or four of which the last counts volumes",
            where=name,
        )
    columns, rows, slices, volumes = (*sizes, 1, 1)[:4]
    return volumes, slices, rows, columns


def usable(affine: NDArray[np.float64]) -> bool:
    """Return whether a 4×4 affine is finite and its axes span space."""
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or np.abs(affine).max() > 1e7:
        return False
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    return bool((lengths > 0).all() and abs(np.linalg.det(affine[:3, :3] / lengths)) > 1e-6)


def affine_of_axes(axes: NDArray[np.float64], origin: NDArray[np.float64]) -> NDArray[np.float64]:
    """4×4 from `axes` (3, 3), whose columns are the steps of (column, row, slice) in LPS mm."""
    affine = np.eye(4)
    affine[:3, :3] = axes[:, ::-1]
    affine[:3, 3] = origin
    return affine


def _sides(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape[1:] if shape[0] == 1 else shape))
