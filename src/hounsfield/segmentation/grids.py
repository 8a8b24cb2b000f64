"""Places of the planes and boxes of a mask on the grid of a volume: exactly, or by how many mm not.

All in index space: a plane that fits has its rows and columns along those of the volume (either way, or exchanged)
and its first voxel on a voxel. Onto a grid that was resampled itself (`Report.resampled`), and on request, every voxel
takes what the mask has at its centre. Nothing is shifted otherwise.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError
from hounsfield.language import say

Vector = NDArray[np.float64]

ON_VOXEL = 0.1
"""Share of a voxel by which a mask may lie off the voxels and be on them: positions are written with few digits, and
geometry of masks in single precision; half of it would be a tenth of what changes a voxel."""

ON_SLICE = 0.1
"""Share of the slice step by which a plane may lie off a slice; `geometry.DRIFT_TOLERANCE_AT_MOST` of the series."""

ON_OWN_SLICE = 0.35
"""The same for a plane that names its slice by UID: positions of few decimals are a third of a step off the grid
(`geometry.ROUNDING_AT_MOST`)."""


def name_of_frame(uid: str, frame: int) -> str:
    """The text by which a frame of an instance, from 1, is known here."""
    return f"{uid}#{frame}"


def referenced(uid: str, frames: str) -> tuple[str, ...]:
    """The names that a reference to an instance has: of the frames that it lists between backslashes, else its UID."""
    numbers = [part.strip() for part in frames.split("\\") if part.strip().isdigit()]
    return tuple(name_of_frame(uid, int(number)) for number in numbers) or (uid,)


@dataclass(frozen=True)
class Target:
    """The grid of a volume, as masks are placed on it.

    `slice_of_uid`: by UID where an instance is one slice, and by `name_of_frame`; `instances`: UIDs of all.
    `is_resampled`: by centres where nothing else fits. `is_cropped`: what lies beside it may be left out.
    """

    affine: Vector
    shape: tuple[int, int, int]
    slice_of_uid: dict[str, int]
    instances: frozenset[str]
    is_resampled: bool
    is_cropped: bool = False

    @classmethod
    def of(cls, volume: Volume, *, nearest: bool | None = None) -> Target:
        """The grid of `volume`; `nearest` None: by centres only where the volume was resampled."""
        counts = Counter(volume.uids)
        known = {uid: index for index, uid in enumerate(volume.uids) if uid and counts[uid] == 1}
        # All slices of an Enhanced CT have one UID, and each a frame of its own.
        known |= {
            name_of_frame(uid, getattr(uid, "frame", 1)): index
            for index, uid in enumerate(volume.uids)
            if uid
        }
        resampled = volume.report.resampled if nearest is None else nearest
        instances = frozenset(str(uid) for uid in counts if uid)
        return cls(volume.affine, volume.shape, known, instances, resampled, volume.report.cropped)

    def holds(self, name: str) -> bool:
        """Return whether a reference, an instance's UID or `name_of_frame`, is to a slice of this volume."""
        return name in self.slice_of_uid or name in self.instances

    @property
    def inverse(self) -> Vector:
        """3×3, LPS mm → (slice, row, column) steps."""
        return np.asarray(np.linalg.inv(self.affine[:3, :3]), np.float64)

    def index(self, lps: Vector) -> Vector:
        """(…, 3) fractional (slice, row, column) of places in LPS mm."""
        found: Vector = (lps - self.affine[:3, 3]) @ self.inverse.T
        return found

    def mm(self, steps: Vector) -> float:
        """Length in mm of a difference in (slice, row, column)."""
        return float(np.linalg.norm(self.affine[:3, :3] @ steps))

    @property
    def normal(self) -> Vector:
        """Unit normal of the slices, along which `distance` counts."""
        across = np.cross(self.affine[:3, 1], self.affine[:3, 2])
        sign = -1.0 if across @ self.affine[:3, 0] < 0 else 1.0
        found: Vector = np.asarray(across * (sign / float(np.linalg.norm(across))), np.float64)
        return found

    @property
    def step(self) -> float:
        """mm between neighbouring slices along the normal."""
        return float(self.affine[:3, 0] @ self.normal)

    def describe(self) -> str:
        """Shape in words, as messages give it."""
        return " × ".join(map(str, self.shape)) + " voxels"


@dataclass(frozen=True)
class Fit:
    """The place of a plane, (rows, columns), upon a slice: which of its rows and columns each voxel takes.

    `top` and `left`: the first voxel that takes something. `rows`, `columns`: indexes into the plane, once `is_turned`
    exchanged its axes. `cut`: voxels of the plane lie outside the slice.
    """

    top: int
    left: int
    rows: NDArray[np.intp] | slice
    columns: NDArray[np.intp] | slice
    is_turned: bool
    cut: bool

    def apply(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Return what the voxels from (`top`, `left`) on take."""
        turned = plane.T if self.is_turned else plane
        if isinstance(self.rows, slice) and isinstance(self.columns, slice):
            return turned[self.rows, self.columns]
        rows = np.arange(turned.shape[0])[self.rows]
        columns = np.arange(turned.shape[1])[self.columns]
        taken: NDArray[Any] = turned[np.ix_(rows, columns)]
        return taken


def fit_plane(target: Target, first: Vector, steps: Vector, shape: tuple[int, int], where: str) -> Fit:
    """The fit of a plane of `shape` (rows, columns) upon a slice of the target.

    `first` (2,): (row, column) of its first voxel in the slice; `steps` (2, 2): what one row and one column of the
    plane are in (row, column) of the slice. Raises `GeometryError` with the mm by which it does not fit.
    """
    is_turned = abs(steps[0, 0]) < abs(steps[0, 1])
    along = steps[::-1] if is_turned else steps
    sizes = shape[::-1] if is_turned else shape
    skew = np.abs(np.array([along[0, 1] * (sizes[0] - 1), along[1, 0] * (sizes[1] - 1)]))
    if skew.max() > ON_VOXEL:
        raise GeometryError(
            say(
                "is turned in the plane by {mm} mm at its far end",
                mm=format(target.mm(np.array([0, *skew])), ".3g"),
            ),
            expected="rows and columns along the CT's",
            where=where,
            remedy="resample the mask onto the CT first",
        )
    axes = [
        _axis(target, axis, float(first[axis]), float(along[axis, axis]), sizes[axis], where)
        for axis in (0, 1)
    ]
    (top, rows, cut_rows), (left, columns, cut_columns) = axes
    return Fit(top, left, rows, columns, bool(is_turned), cut_rows or cut_columns)


def _axis(
    target: Target, axis: int, first: float, step: float, size: int, where: str
) -> tuple[int, NDArray[np.intp] | slice, bool]:
    """First voxel, indexes into the plane, and whether some of it lies outside, along one axis."""
    length = target.shape[1 + axis]
    sign = 1 if step > 0 else -1
    off = max(abs(first - round(first)), abs(first + step * (size - 1) - round(first) - sign * (size - 1)))
    if off <= ON_VOXEL or (target.is_resampled and abs(step * (size - 1) - sign * (size - 1)) <= ON_VOXEL):
        # Nearest: a centre on the edge of two voxels of the mask is in the later one.
        low = _nearest(first) if sign > 0 else _nearest(first) - (size - 1)
        begin, end = max(low, 0), min(low + size, length)
        if end <= begin:
            return 0, slice(0, 0), True
        taken = slice(begin - low, end - low)
        if sign < 0:
            taken = slice(
                size - 1 - (begin - low),
                (size - 1 - (end - low)) if size - 1 - (end - low) >= 0 else None,
                -1,
            )
        return begin, taken, low < 0 or low + size > length
    if not target.is_resampled:
        mm = off * float(np.linalg.norm(target.affine[:3, 1 + axis]))
        raise GeometryError(
            say(
                "lies {mm} mm off the CT's voxels along its {value}",
                mm=format(mm, ".3g"),
                value=("columns", "rows")[axis],
            ),
            expected=say("the grid of {describe}", describe=target.describe()),
            where=where,
            remedy="is it of this series? nearest=True (--nearest) takes what it has at each voxel's centre",
        )
    source = np.floor((np.arange(length) - first) / step + 0.5).astype(np.intp)
    inside = np.flatnonzero((source >= 0) & (source < size))
    if not len(inside):
        return 0, slice(0, 0), True
    far = first + step * (size - 1)
    is_cut = min(first, far) < -0.5 - ON_VOXEL or max(first, far) > length - 0.5 + ON_VOXEL
    return int(inside[0]), source[inside], is_cut


def _nearest(place: float) -> int:
    return int(np.floor(place + 0.5))


def slices_of_planes(target: Target, distances: Vector, reach: float) -> list[tuple[int, ...]]:
    """For planes of one stack: the slices of a resampled target that take each of them, (planes,).

    `distances` (planes,) mm from the first slice along the normal, ascending; a plane reaches half way to the next,
    and no further than `reach` / 2 mm.
    """
    places = np.arange(target.shape[0]) * target.step
    after = np.clip(np.searchsorted(distances, places), 1, max(len(distances) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(distances) - 1)
    nearest = np.where(places - distances[before] < distances[after] - places, before, after)
    taken = np.abs(places - distances[nearest]) <= reach / 2 * (1 + ON_SLICE)
    return [tuple(np.flatnonzero(taken & (nearest == plane)).tolist()) for plane in range(len(distances))]
