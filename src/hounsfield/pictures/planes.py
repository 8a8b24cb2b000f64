"""Planes through a volume as a radiologist holds them: axial, coronal, sagittal, in HU, nothing drawn yet.

The patient's right is on the left, anterior on top of an axial plane, the head on top of the others; a sagittal
plane is seen from the left. Slices as they were acquired are shown as they are, only flipped. Every other plane
of a tilted or oblique volume is sampled in LPS, where it truly lies, and never read along the array's axes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.volume import TILT_TOLERANCE_DEGREES, Volume
from hounsfield.errors import GeometryError, SelectionError
from hounsfield.language import say
from hounsfield.pictures.sampling import sampled

Plane = Literal["axial", "coronal", "sagittal"]

LETTERS = ("L", "R"), ("P", "A"), ("H", "F")
"""Toward larger and smaller x, y and z of LPS."""

OBLIQUE = 0.38
"""A direction's second letter is shown from here, the sine of 22.5°: "PF" is nearer than "P"."""

LONGEST_SIDE = 4096
"""Samples across a sampled plane at most; a coarser grid beyond."""


class View(NamedTuple):
    """The view of a plane: LPS directions of the picture's right and bottom, and the axis it looks along."""

    right: tuple[int, int, int]
    bottom: tuple[int, int, int]
    axis: int


VIEWS: Mapping[str, View] = {
    "axial": View((1, 0, 0), (0, 1, 0), 2),
    "coronal": View((1, 0, 0), (0, 0, -1), 1),
    "sagittal": View((0, 1, 0), (0, 0, -1), 0),
}


@dataclass(frozen=True, eq=False)
class Cut:
    """One plane: `values` (rows, columns) in the volume's unit, and all that a caption may say of it.

    `spacing` (row, column) mm; `edges` the letters at (left, right, top, bottom); `position` mm of its middle
    along the patient's axis it cuts; `corner` LPS of the first value's centre; `steps` (3, 2) LPS mm a row and a
    column; `uid` of the acquired slice, or "".
    """

    plane: str
    values: NDArray[Any]
    spacing: tuple[float, float]
    corner: NDArray[np.float64]
    steps: NDArray[np.float64]
    position: float
    number: int
    count: int
    uid: str = ""

    @property
    def edges(self) -> tuple[str, str, str, str]:
        bottom, right = self.steps.T
        return letters(-right), letters(right), letters(-bottom), letters(bottom)

    @property
    def place(self) -> str:
        """The place as a reader says it: "H 12.5 mm"."""
        toward, away = LETTERS[VIEWS[self.plane].axis]
        return f"{toward if self.position >= 0 else away} {abs(self.position):.1f} mm"


class Stack(Protocol):
    """All the planes of one kind through a volume, in order; `positions` (planes,) mm along the cut axis."""

    @property
    def positions(self) -> NDArray[np.float64]: ...

    def cut(self, number: int) -> Cut: ...

    def extreme(self, first: int, last: int, *, highest: bool) -> NDArray[Any]:
        """Highest or lowest values of planes `first` … `last`, both included: (rows, columns)."""
        ...


def stack(volume: Volume, plane: str) -> Stack:
    """The planes of a kind: as acquired where the volume has them, sampled in LPS otherwise."""
    if plane not in VIEWS:
        raise SelectionError(
            say("no plane {plane}", plane=repr(plane)), expected=", ".join(VIEWS), choices=tuple(VIEWS)
        )
    if plane == acquired_plane(volume) or _aligned(volume).all():
        return AcquiredStack(volume, plane)
    return SampledStack(volume, plane)


def nearest(planes: Stack, position: float) -> int:
    """Number of the plane nearest to a position in mm; `SelectionError` for one outside the volume."""
    places = planes.positions
    low, high = float(places.min()), float(places.max())
    margin = 0.5 * (high - low) / max(len(places) - 1, 1) + 1e-6 if len(places) > 1 else np.inf
    if not low - margin <= position <= high + margin:
        raise SelectionError(
            say("no plane at {position} mm", position=format(position, "g")),
            expected=say("{low} … {high} mm", low=format(low, ".1f"), high=format(high, ".1f")),
        )
    return int(np.abs(places - position).argmin())


def acquired_plane(volume: Volume) -> Plane:
    """The plane that the slices lie in, or lie nearest to."""
    axis = int(np.abs(volume.normal).argmax())
    planes: tuple[Plane, Plane, Plane] = ("sagittal", "coronal", "axial")
    return planes[axis]


def letters(direction: NDArray[np.float64]) -> str:
    """Return where a direction in LPS points: "L", "PF" …"""
    unit = direction / np.linalg.norm(direction)
    order = np.argsort(-np.abs(unit), kind="stable")
    named = [LETTERS[axis][0 if unit[axis] > 0 else 1] for axis in order if abs(unit[axis]) > OBLIQUE]
    return "".join(named[:2])


class AcquiredStack:
    """Planes along the array's own axes, flipped and turned into the radiologist's view."""

    def __init__(self, volume: Volume, plane: str) -> None:
        self._volume, self._plane = volume, plane
        view = VIEWS[plane]
        axes = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
        self._through = 0 if plane == acquired_plane(volume) else int(np.abs(axes[view.axis]).argmax())
        one, other = (axis for axis in range(3) if axis != self._through)
        if abs(view.right @ axes[:, one]) > abs(view.right @ axes[:, other]):
            one, other = other, one
        self._down, self._across = one, other
        self._flip_down = bool(view.bottom @ axes[:, one] < 0)
        self._flip_across = bool(view.right @ axes[:, other] < 0)

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        middle = (np.array(self._volume.shape) - 1) / 2
        count = self._volume.shape[self._through]
        voxels = np.repeat(middle[None], count, axis=0)
        voxels[:, self._through] = np.arange(count)
        axis = VIEWS[self._plane].axis
        places: NDArray[np.float64] = voxels @ self._volume.affine[axis, :3] + self._volume.affine[axis, 3]
        return places

    def cut(self, number: int) -> Cut:
        volume = self._volume
        first = np.zeros(3)
        first[self._through] = number
        steps = volume.affine[:3, [self._down, self._across]].copy()
        for side, (axis, flipped) in enumerate(
            ((self._down, self._flip_down), (self._across, self._flip_across))
        ):
            if flipped:
                first[axis] = volume.shape[axis] - 1
                steps[:, side] *= -1
        row, column = (float(mm) for mm in np.linalg.norm(steps, axis=0))
        return Cut(
            self._plane,
            # Not `take`: of an array that repeats one slice (a stream's) it would make all of it first.
            self._held(np.moveaxis(volume.array, self._through, 0)[number].copy()),
            (row, column),
            volume.lps(*first),
            steps,
            float(self.positions[number]),
            number,
            len(self.positions),
            volume.uids[number] if self._through == 0 else "",
        )

    def extreme(self, first: int, last: int, *, highest: bool) -> NDArray[Any]:
        chosen = [slice(None)] * 3
        chosen[self._through] = slice(first, last + 1)
        slab = self._volume.array[tuple(chosen)]
        reduce = np.maximum.reduce if highest else np.minimum.reduce
        return self._held(reduce(slab, axis=self._through))

    def _held(self, values: NDArray[Any]) -> NDArray[Any]:
        if self._down > self._across:
            values = values.T
        return values[:: -1 if self._flip_down else 1, :: -1 if self._flip_across else 1]


class SampledStack:
    """Planes of LPS through a grid that does not follow it, by trilinear interpolation.

    Outside the volume is padding, and so is a sample whose nearest voxel is: neither is blended into tissue.
    """

    def __init__(self, volume: Volume, plane: str) -> None:
        self._volume, self._plane = volume, plane
        last = np.array(volume.shape) - 1
        corners = np.array([volume.lps(*(np.array(corner) * last)) for corner in np.ndindex(2, 2, 2)])
        low, high = corners.min(axis=0), corners.max(axis=0)
        self._step = max(min(volume.spacing), float((high - low).max()) / LONGEST_SIDE)
        counts = np.floor((high - low) / self._step + 1e-6).astype(int) + 1
        view = VIEWS[plane]
        right, bottom = np.array(view.right), np.array(view.bottom)
        self._shape = int(counts @ np.abs(bottom)), int(counts @ np.abs(right))
        self._first = np.where(right + bottom < 0, low + (counts - 1) * self._step, low)
        self._steps = np.stack([bottom, right], axis=1) * self._step
        self.positions: NDArray[np.float64] = low[view.axis] + np.arange(counts[view.axis]) * self._step

    def cut(self, number: int) -> Cut:
        corner = self._corner(number)
        values = sampled(self._volume, corner, self._steps, self._shape)
        spacing = (self._step, self._step)
        position = float(self.positions[number])
        return Cut(self._plane, values, spacing, corner, self._steps, position, number, len(self.positions))

    def extreme(self, first: int, last: int, *, highest: bool) -> NDArray[Any]:
        reduce = np.maximum if highest else np.minimum
        flat = self._flattened(first, last, reduce)
        if flat is not None:
            return sampled(flat, self._corner(first), self._steps, self._shape)
        found = self.cut(first).values
        threads = os.cpu_count() or 1
        with ThreadPoolExecutor(threads) as pool:
            # A few planes at a time, so that memory stays small however thick the slab.
            for start in range(first + 1, last + 1, 4 * threads):
                numbers = range(start, min(start + 4 * threads, last + 1))
                for cut in pool.map(self.cut, numbers):
                    reduce(found, cut.values, out=found)
        return found

    def _corner(self, number: int) -> NDArray[np.float64]:
        corner: NDArray[np.float64] = self._first.copy()
        corner[VIEWS[self._plane].axis] = self.positions[number]
        return corner

    def _flattened(self, first: int, last: int, reduce: np.ufunc) -> Volume | None:
        """The slab pressed into one layer at its first plane, where an axis of the array looks through it."""
        volume, axis = self._volume, VIEWS[self._plane].axis
        lean = np.abs(volume.affine[axis, :3]) * (np.array(volume.shape) - 1)
        through = int(lean.argmax())
        if not _aligned(volume)[through] or np.delete(lean, through).max() > min(volume.spacing) / 2:
            return None
        step, start = volume.affine[axis, through], volume.affine[axis, 3]
        ends = np.rint((self.positions[[first, last]] - start) / step).clip(0, volume.shape[through] - 1)
        chosen = [slice(None)] * 3
        chosen[through] = slice(int(ends.min()), int(ends.max()) + 1)
        layer = reduce.reduce(volume.array[tuple(chosen)], axis=through, keepdims=True)
        affine = volume.affine.copy()
        affine[axis, 3] = self.positions[first]
        return replace(volume, array=layer, affine=affine, uids=())


def slab_range(planes: Stack, number: int, slab: float | None) -> tuple[int, int]:
    """First and last plane within a slab of `slab` mm about plane `number`; all of them for None."""
    places = planes.positions
    if slab is None:
        return 0, len(places) - 1
    if not slab > 0:
        raise GeometryError(
            say("a slab of {slab} mm", slab=format(slab, "g")), expected="a thickness above zero, in mm"
        )
    # The slab's faces lie half a plane's step beyond the planes' centres; the slack is for rounding.
    within = np.flatnonzero(np.abs(places - places[number]) <= slab / 2 + 1e-6)
    return int(within[0]), int(within[-1])


def _aligned(volume: Volume) -> NDArray[np.bool_]:
    """(3,) which axes of the array run along one of the patient's."""
    axes = np.abs(volume.affine[:3, :3]) / np.linalg.norm(volume.affine[:3, :3], axis=0)
    straight: NDArray[np.bool_] = axes.max(axis=0) >= np.cos(np.radians(TILT_TOLERANCE_DEGREES))
    return straight
