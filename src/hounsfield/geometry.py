"""Where slices lie: order, spacing, tilt, gaps, and the affine, from positions and orientation alone.

numpy only, LPS, mm; no pixels, no files. Instance Number, Slice Location, Slice Thickness and Spacing Between
Slices are never asked: real files contradict themselves there (PS3.3 C.7.6.2.1.1 defines position and orientation).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from hounsfield.reasons import reason

Vector = npt.NDArray[np.float64]

ORIENTATION_TOLERANCE = 1e-4  # in direction cosines: what six written decimals lose, with a margin
ORIENTATION_GROUP_TOLERANCE = (
    1e-3  # beyond this two slices are of different orientations, not of one jittery one
)
SPACING_TOLERANCE = (
    0.01  # share of the step by which a spacing may jitter (positions are written in 0.01 mm) …
)
SPACING_TOLERANCE_MM = 0.01  # … or this much, whichever is more
SAME_POSITION_MM = 0.01  # nearer than this along the normal, two slices are at one position
TILT_FLAG_DEGREES = 0.1  # below it the shear is rounding; the affine stays exact all the same
SHEAR_TOLERANCE_MM = 0.05  # how far a slice may lie in-plane from the straight line through first and last
DRIFT_TOLERANCE = 0.05  # share of the step by which a slice may lie off the even grid along the normal, small
# jitters adding up; or SHEAR_TOLERANCE_MM, whichever is more


class Verdict(StrEnum):
    """What a set of slices makes."""

    REGULAR = "regular"
    SHEARED = "sheared"
    GAPS = "gaps"
    IRREGULAR = "irregular"
    NOT_A_VOLUME = "not a volume"

    @property
    def is_loadable(self) -> bool:
        """Whether the slices fill an affine grid as they are."""
        return self in (Verdict.REGULAR, Verdict.SHEARED)


@dataclass(frozen=True)
class Stack:
    """Slices in order along row × column direction, and what they make.

    `order`     indexes of the given slices, (slices,)
    `positions` LPS mm of each ordered slice's first voxel, (slices, 3)
    `distances` their projections on the normal, (slices,) mm, ascending
    `step`      mm between neighbours along the normal: the base step where there are gaps
    `affine`    4×4 for (slice, row, column, 1) → LPS mm; None where slices fill no grid
    `grid`      grid index of each ordered slice: 0, 1, 2 … unless there are gaps, (slices,); None if irregular
    `missing`   grid indexes that no slice fills
    `repeated`  index pairs (into the given slices) that share one position
    `tilt_degrees`  angle between the normal and the line of the slices
    `is_straight`   whether one line goes through all slices: only then can they be resampled
    `reasons`   why the verdict is what it is
    """

    verdict: Verdict
    order: tuple[int, ...]
    positions: Vector
    distances: Vector
    step: float
    affine: Vector | None = None
    grid: tuple[int, ...] | None = None
    missing: tuple[int, ...] = ()
    repeated: tuple[tuple[int, int], ...] = ()
    tilt_degrees: float = 0.0
    is_straight: bool = True
    reasons: tuple[str, ...] = ()


def normal_of(orientation: npt.ArrayLike) -> Vector:
    """Row × column direction of Image Orientation (Patient), (6,) → unit normal (3,); zeros if degenerate."""
    cosines = np.asarray(orientation, np.float64)
    normal = np.cross(cosines[:3], cosines[3:])
    length = float(np.linalg.norm(normal))
    return np.zeros(3) if length < ORIENTATION_TOLERANCE else normal / length


def is_orthonormal(orientation: npt.ArrayLike) -> bool:
    """Whether the six cosines are two perpendicular unit vectors, as PS3.3 C.7.6.2.1.1 requires."""
    row, column = np.asarray(orientation, np.float64).reshape(2, 3)
    lengths = np.array([row @ row, column @ column])
    return bool(np.all(np.abs(lengths - 1) < 0.01) and abs(float(row @ column)) < 0.01)


def assess(positions: npt.ArrayLike, orientation: npt.ArrayLike, pixel_spacing: npt.ArrayLike) -> Stack:
    """What slices of one orientation make.

    `positions` (slices, 3) LPS mm of the first voxel of each, `orientation` (6,), `pixel_spacing` (2,) as
    (row, column) mm. Any order. The verdict's options are the caller's to offer.
    """
    points = np.asarray(positions, np.float64).reshape(-1, 3)
    projected = points @ normal_of(orientation)
    order = np.argsort(projected, kind="stable")
    stack = _Slices(points[order], projected[order], tuple(int(i) for i in order))
    frame = np.asarray(orientation, np.float64), np.asarray(pixel_spacing, np.float64)
    if len(points) == 1:
        return stack.single(*frame)
    close = np.flatnonzero(np.diff(stack.distances) < SAME_POSITION_MM)
    if len(close):
        return stack.repeats(close)
    return stack.spread(*frame)


def affine_of(origin: Vector, step: Vector, orientation: Vector, pixel_spacing: Vector) -> Vector:
    """4×4 affine for (slice, row, column, 1) → LPS mm (PS3.3 C.7.6.2.1.1; trap 45: spacing is row, then column).

    Cosines written with few digits are not of unit length; only their direction counts, Pixel Spacing is the length.
    """
    row, column = orientation.reshape(2, 3)
    affine = np.eye(4)
    affine[:3, 0] = step
    # The next row lies along the column direction.
    affine[:3, 1] = column / np.linalg.norm(column) * pixel_spacing[0]
    affine[:3, 2] = row / np.linalg.norm(row) * pixel_spacing[1]
    affine[:3, 3] = origin
    return affine


@dataclass(frozen=True)
class _Slices:
    """Sorted slices on their way to a verdict."""

    points: Vector
    distances: Vector
    order: tuple[int, ...]

    def single(self, orientation: Vector, pixel_spacing: Vector) -> Stack:
        """One slice: its own little volume, a step of 1 mm by convention, since there is no neighbour to measure."""
        affine = affine_of(self.points[0], normal_of(orientation), orientation, pixel_spacing)
        return Stack(
            Verdict.REGULAR,
            self.order,
            self.points,
            self.distances,
            1.0,
            affine,
            (0,),
            reasons=(reason("one-slice"),),
        )

    def repeats(self, close: npt.NDArray[np.intp]) -> Stack:
        """Slices at one position: bolus tracking if that is all there is, phases or duplicates otherwise."""
        pairs = tuple((self.order[i], self.order[i + 1]) for i in close)
        everywhere = bool(self.distances[-1] - self.distances[0] < SAME_POSITION_MM)
        count = len(self.order)
        if everywhere:
            why = reason("one-position", count=count)
        elif len(pairs) == 1:
            why = reason("repeats-one", count=count)
        else:
            why = reason("repeats", repeated=len(pairs), count=count)
        verdict = Verdict.NOT_A_VOLUME if everywhere else Verdict.IRREGULAR
        return Stack(verdict, self.order, self.points, self.distances, 0.0, repeated=pairs, reasons=(why,))

    def spread(self, orientation: Vector, pixel_spacing: Vector) -> Stack:
        """Slices at different positions: a grid, a grid with gaps, or neither."""
        grid, problem = self._grid()
        along = (self.distances - self.distances[0]) / (self.distances[-1] - self.distances[0])
        line = self.points[-1] - self.points[0]
        # Both ends project alike, so what is off the line is off it sideways, in the plane of the slices.
        aside = float(np.abs(self.points - self.points[0] - along[:, None] * line).max())
        crooked = (reason("sideways", mm=f"{aside:.2f}"),)
        is_straight = aside <= SHEAR_TOLERANCE_MM
        if grid is None or not is_straight:
            return Stack(
                verdict=Verdict.IRREGULAR,
                order=self.order,
                positions=self.points,
                distances=self.distances,
                step=float(np.median(np.diff(self.distances))),
                is_straight=is_straight,
                reasons=(*(() if is_straight else crooked), *((problem,) if problem else ())),
            )
        step = line / grid[-1]
        normal = normal_of(orientation)
        tilt = _angle(step, normal)
        missing = tuple(sorted(set(range(grid[-1] + 1)) - set(grid)))
        verdict, reasons = self._verdict(missing, tilt, step)
        return Stack(
            verdict=verdict,
            order=self.order,
            positions=self.points,
            distances=self.distances,
            step=float(step @ normal),
            affine=affine_of(self.points[0], step, orientation, pixel_spacing),
            grid=grid,
            missing=missing,
            tilt_degrees=tilt,
            reasons=reasons,
        )

    def _grid(self) -> tuple[tuple[int, ...] | None, str]:
        """Grid index of every slice, or None and why there is no even grid."""
        steps = np.diff(self.distances)
        uneven = reason("uneven", least=f"{steps.min():.3f}", most=f"{steps.max():.3f}")
        counted = np.concatenate([[0], np.cumsum(np.rint(steps / _base_step(steps)))])
        # More holes than slices is not a volume with gaps but slices of two spacings, or scattered ones.
        if not counted[-1] < 2 * len(counted) or not np.all(np.diff(counted) > 0):
            return None, uneven
        grid = counted.astype(np.int64)
        base = (self.distances[-1] - self.distances[0]) / grid[-1]
        tolerance = max(SPACING_TOLERANCE * base, SPACING_TOLERANCE_MM)
        if np.any(np.abs(steps - np.diff(grid) * base) > tolerance):
            return None, uneven
        drift = float(np.abs(self.distances - self.distances[0] - grid * base).max())
        if drift > max(DRIFT_TOLERANCE * base, SHEAR_TOLERANCE_MM):
            return None, reason("drift", mm=f"{drift:.2f}")
        return tuple(grid.tolist()), ""

    def _verdict(
        self, missing: tuple[int, ...], tilt: float, step: Vector
    ) -> tuple[Verdict, tuple[str, ...]]:
        if missing:
            first = float(self.distances[0])
            base = (float(self.distances[-1]) - first) / (len(self.order) + len(missing) - 1)
            places = ", ".join(f"{first + index * base:.2f}" for index in missing[:8])
            if len(missing) == 1:
                return Verdict.GAPS, (reason("missing-one", places=places),)
            if len(missing) <= 8:
                return Verdict.GAPS, (reason("missing", count=len(missing), places=places),)
            more = len(missing) - 8
            return Verdict.GAPS, (reason("missing-more", count=len(missing), places=places, more=more),)
        if tilt > TILT_FLAG_DEGREES:
            along = ", ".join(f"{value:.3f}" for value in step)
            return Verdict.SHEARED, (reason("tilted", degrees=f"{tilt:.2f}", step=along),)
        return Verdict.REGULAR, ()


def _base_step(steps: Vector) -> float:
    """The step that all others are whole multiples of: the median of the steps near the least one."""
    least = float(steps.min())
    return float(np.median(steps[steps < 1.5 * least]))


def _angle(step: Vector, normal: Vector) -> float:
    along = float(step @ normal)
    aside = float(np.linalg.norm(step - along * normal))
    return float(np.degrees(np.arctan2(aside, along)))
