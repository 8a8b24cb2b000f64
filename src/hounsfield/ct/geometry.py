"""The order, spacing, tilt and gaps of slices, and their affine, from positions and orientation alone.

numpy only, LPS, mm; no pixels, no files. Instance Number, Slice Location, Slice Thickness and Spacing Between
Slices are never asked: real files contradict themselves there (PS3.3 C.7.6.2.1.1 defines position and orientation).
No tolerance is a length: each is a share of the pixel spacing or of the slice step, so that a micro-CT of 5 µm and
a whole body are judged alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from hounsfield.language.reasons import reason

Vector = npt.NDArray[np.float64]

ORIENTATION_TOLERANCE = 1e-4  # in direction cosines: what six written decimals lose, with a margin
ORIENTATION_GROUP_TOLERANCE = (
    1e-3  # beyond this two slices are of different orientations, not of one jittery one
)
SPACING_TOLERANCE = 0.01  # share of the step by which a spacing may jitter …
SPACING_TOLERANCE_PIXELS = 0.02  # … or this share of a pixel (0.014 mm of 0.7), whichever is more …
SPACING_TOLERANCE_AT_MOST = 0.05  # … but no more than this share of the step
SAME_POSITION_PIXELS = (
    0.02  # nearer than this share of a pixel along the normal, two slices are at one position
)
TILT_FLAG_DEGREES = 0.1  # below it the shear is rounding; the affine stays exact all the same
SHEAR_TOLERANCE_PIXELS = (
    0.1  # share of a pixel by which a slice may lie in-plane off the line from first to last
)
DRIFT_TOLERANCE = 0.05  # share of the step by which a slice may lie off the even grid along the normal, small
# jitters adding up …
DRIFT_TOLERANCE_PIXELS = 0.1  # … or this share of a pixel, whichever is more …
DRIFT_TOLERANCE_AT_MOST = 0.1  # … but no more than this share of the step
ROUNDING_AT_MOST = 1 / 3  # of the step (aside, of a pixel): coarser decimals tell no grid from another
ROUNDING_EVIDENCE = 8  # slices: of fewer, most uneven positions of few decimals can be called rounded
SLACK = 1e-6  # share of the unit of the last decimal that arithmetic may lose
WRITTEN_DECIMALS = range(-4, 10)  # positions with more decimals than these were not rounded on purpose
WIDE_STEP = 1.5  # times the step beside it: from here on slabs are cut where they are asked for
HOLE_STEPS = 4  # a distance of more steps than this is a hole: nobody is offered to interpolate across it


class Verdict(StrEnum):
    """The kind of stack that a set of slices makes."""

    REGULAR = "regular"
    SHEARED = "sheared"
    GAPS = "gaps"
    IRREGULAR = "irregular"
    NOT_A_VOLUME = "not a volume"

    @property
    def is_loadable(self) -> bool:
        """Return whether the slices fill an affine grid as they are."""
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
    `holes`     pairs of neighbours (into the ordered slices) farther apart than `HOLE_STEPS` steps
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
    holes: tuple[tuple[int, int], ...] = ()
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
    """Return whether the six cosines are two perpendicular unit vectors, as PS3.3 C.7.6.2.1.1 requires."""
    row, column = np.asarray(orientation, np.float64).reshape(2, 3)
    lengths = np.array([row @ row, column @ column])
    return bool(np.all(np.abs(lengths - 1) < 0.01) and abs(float(row @ column)) < 0.01)


def assess(positions: npt.ArrayLike, orientation: npt.ArrayLike, pixel_spacing: npt.ArrayLike) -> Stack:
    """Return the stack that slices of one orientation make.

    `positions` (slices, 3) LPS mm of the first voxel of each, `orientation` (6,), `pixel_spacing` (2,) as
    (row, column) mm. Any order. The verdict's options are the caller's to offer.
    """
    points = np.asarray(positions, np.float64).reshape(-1, 3)
    cosines, spacing = np.asarray(orientation, np.float64), np.asarray(pixel_spacing, np.float64)
    projected = points @ normal_of(cosines)
    order = np.argsort(projected, kind="stable")
    stack = _Slices(points[order], projected[order], tuple(int(i) for i in order), cosines, spacing)
    if len(points) == 1:
        return stack.single()
    close = np.flatnonzero(at_one_position(stack.distances, spacing))
    if len(close):
        return stack.repeats(close)
    return stack.spread()


def at_one_position(distances: Vector, pixel_spacing: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return whether each of the ascending `distances` (slices,) is where the one before it is, (slices - 1,)."""
    near = SAME_POSITION_PIXELS * float(np.min(pixel_spacing))
    return np.asarray(np.diff(distances) < near)


def slab_numbers(distances: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """The slab of each of the ascending, different `distances` (slices,): cut where a step is a hole among its
    neighbours, be it of one slice or of a hundred.
    """
    steps = np.diff(np.asarray(distances, np.float64))
    around = np.full((2, len(steps)), np.inf)
    around[0, 1:], around[1, :-1] = steps[:-1], steps[1:]
    wide = steps > WIDE_STEP * around.min(axis=0, initial=np.inf)
    return np.concatenate([[0], np.cumsum(wide)]).astype(np.intp)


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
    orientation: Vector
    pixel_spacing: Vector

    @property
    def pixel(self) -> float:
        """The smaller side of a pixel, mm."""
        return float(self.pixel_spacing.min())

    def single(self) -> Stack:
        """One slice: its own little volume, a step of 1 mm by convention, since there is no neighbour to measure."""
        normal = normal_of(self.orientation)
        affine = affine_of(self.points[0], normal, self.orientation, self.pixel_spacing)
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
        everywhere = len(pairs) == len(self.order) - 1
        count = len(self.order)
        if everywhere:
            why = reason("one-position", count=count)
        elif len(pairs) == 1:
            why = reason("repeats-one", count=count)
        else:
            why = reason("repeats", repeated=len(pairs), count=count)
        verdict = Verdict.NOT_A_VOLUME if everywhere else Verdict.IRREGULAR
        return Stack(verdict, self.order, self.points, self.distances, 0.0, repeated=pairs, reasons=(why,))

    def spread(self) -> Stack:
        """Slices at different positions: a grid, a grid with gaps, or neither."""
        grid, problem = self._grid()
        along = (self.distances - self.distances[0]) / (self.distances[-1] - self.distances[0])
        line = self.points[-1] - self.points[0]
        # Both ends project alike, so what is off the line is off it sideways, in the plane of the slices.
        aside = float(np.abs(self.points - self.points[0] - along[:, None] * line).max())
        crooked = (reason("sideways", mm=_decimals(aside, self.pixel, 2)),)
        is_straight = aside <= self._aside_allowed()
        if grid is None or not is_straight:
            step = float(np.median(np.diff(self.distances)))
            return Stack(
                verdict=Verdict.IRREGULAR,
                order=self.order,
                positions=self.points,
                distances=self.distances,
                step=step,
                holes=self._holes(step),
                is_straight=is_straight,
                reasons=(*(() if is_straight else crooked), *((problem,) if problem else ())),
            )
        step_vector = line / grid[-1]
        normal = normal_of(self.orientation)
        step = float(step_vector @ normal)
        tilt = _angle(step_vector, normal)
        missing = tuple(sorted(set(range(grid[-1] + 1)) - set(grid)))
        verdict, reasons = self._verdict(missing, tilt, step_vector)
        return Stack(
            verdict=verdict,
            order=self.order,
            positions=self.points,
            distances=self.distances,
            step=step,
            affine=affine_of(self.points[0], step_vector, self.orientation, self.pixel_spacing),
            grid=grid,
            missing=missing,
            holes=self._holes(step),
            tilt_degrees=tilt,
            reasons=(*reasons, *((problem,) if problem else ())),
        )

    def _grid(self) -> tuple[tuple[int, ...] | None, str]:
        """Grid index of every slice, or None; and why there is no even grid, or by what allowance there is one."""
        steps = np.diff(self.distances)
        uneven = reason(
            "uneven",
            least=_decimals(float(steps.min()), float(steps.min()), 3),
            most=_decimals(float(steps.max()), float(steps.min()), 3),
        )
        counted = np.concatenate([[0], np.cumsum(np.rint(steps / _base_step(steps)))])
        # More holes than slices is not a volume with gaps but slices of two spacings, or scattered ones.
        if not counted[-1] < 2 * len(counted) or not np.all(np.diff(counted) > 0):
            return None, uneven
        grid = counted.astype(np.int64)
        base = float(self.distances[-1] - self.distances[0]) / int(grid[-1])
        uneven_by = np.abs(steps - np.diff(grid) * base).max()
        drift = float(np.abs(self.distances - self.distances[0] - grid * base).max())
        indexes = tuple(grid.tolist())
        is_even = uneven_by <= _allowed(
            base, self.pixel, SPACING_TOLERANCE, SPACING_TOLERANCE_PIXELS, SPACING_TOLERANCE_AT_MOST
        )
        if is_even and drift <= _allowed(
            base, self.pixel, DRIFT_TOLERANCE, DRIFT_TOLERANCE_PIXELS, DRIFT_TOLERANCE_AT_MOST
        ):
            return indexes, ""
        if self._is_rounded(grid, base):
            return indexes, reason("rounded-positions", mm=f"{base:.4g}")
        return None, reason("drift", mm=_decimals(drift, base, 2)) if is_even else uneven

    def _is_rounded(self, grid: npt.NDArray[np.int64], base: float) -> bool:
        """Return whether an even grid, rounded to as many decimals as positions are written with, gives them."""
        unit = float(np.abs(normal_of(self.orientation)) @ _written_units(self.points))
        if not 0 < unit <= ROUNDING_AT_MOST * base or len(grid) < ROUNDING_EVIDENCE:
            return False
        # The step from first to last is off by one unit at most; the best one leaves every slice half a unit off.
        low, high = (base + sign * unit / int(grid[-1]) for sign in (-1, 1))
        step = _narrowest(self.distances, grid, low, high)
        off = self.distances - grid * step
        # A slice that is one unit off all others would have them all rounded from just between two decimals.
        between = (off > off.min() + SLACK * unit) & (off < off.max() - SLACK * unit)
        return float(np.ptp(off)) <= unit * (1 + SLACK) and bool(between.any())

    def _aside_allowed(self) -> float:
        """Return how far a slice may lie in its plane off the line: a share of a pixel, or what rounding does to it."""
        units = _written_units(self.points)
        # A coordinate that ends where it began was no other in between, however it was rounded.
        units[np.abs(self.points[-1] - self.points[0]) < units * (1 - SLACK)] = 0
        in_plane = np.sqrt(np.clip(1 - normal_of(self.orientation) ** 2, 0, None))
        is_fine = float(units.max()) <= ROUNDING_AT_MOST * self.pixel
        rounding = float(units @ in_plane) * (1 + SLACK) if is_fine else 0.0
        return max(SHEAR_TOLERANCE_PIXELS * self.pixel, rounding)

    def _holes(self, step: float) -> tuple[tuple[int, int], ...]:
        # Half a step of slack: four steps and a jitter are not a fifth step.
        wide = np.flatnonzero(np.diff(self.distances) > (HOLE_STEPS + 0.5) * step)
        return tuple((int(index), int(index) + 1) for index in wide)

    def _verdict(
        self, missing: tuple[int, ...], tilt: float, step: Vector
    ) -> tuple[Verdict, tuple[str, ...]]:
        if missing:
            first = float(self.distances[0])
            base = (float(self.distances[-1]) - first) / (len(self.order) + len(missing) - 1)
            places = ", ".join(_decimals(first + index * base, base, 2) for index in missing[:8])
            if len(missing) == 1:
                return Verdict.GAPS, (reason("missing-one", places=places),)
            if len(missing) <= 8:
                return Verdict.GAPS, (reason("missing", count=len(missing), places=places),)
            more = len(missing) - 8
            return Verdict.GAPS, (reason("missing-more", count=len(missing), places=places, more=more),)
        if tilt > TILT_FLAG_DEGREES:
            along = ", ".join(_decimals(float(value), float(np.linalg.norm(step)), 3) for value in step)
            return Verdict.SHEARED, (reason("tilted", degrees=f"{tilt:.2f}", step=along),)
        return Verdict.REGULAR, ()


def _allowed(step: float, pixel: float, of_step: float, of_pixel: float, at_most: float) -> float:
    """A tolerance in mm: a share of the step or of a pixel, whichever is more, within another share of the step."""
    return max(of_step * step, min(of_pixel * pixel, at_most * step))


def _written_units(points: Vector) -> Vector:
    """The unit of the last decimal with which each coordinate of (slices, 3) is written.

    0 where there are many decimals, and for a coordinate that is the same on all slices: it moves none of them.
    """
    units = np.zeros(3)
    for axis in np.flatnonzero(np.ptp(points, axis=0) > 0):
        for decimals in WRITTEN_DECIMALS:
            scaled = points[:, axis] * 10.0**decimals
            if np.ptp(np.rint(scaled)) > 0 and np.all(np.abs(scaled - np.rint(scaled)) < SLACK):
                units[axis] = 10.0**-decimals
                break
    return units


def _narrowest(distances: Vector, grid: npt.NDArray[np.int64], low: float, high: float) -> float:
    """The step from `low` to `high` of the narrowest band along `grid` that holds all `distances`.

    The width is convex in the step, so the thirds that hold no minimum are left out until none remain.
    """

    def width(step: float) -> float:
        return float(np.ptp(distances - grid * step))

    for _ in range(60):
        third = (high - low) / 3
        if width(low + third) <= width(high - third):
            high -= third
        else:
            low += third
    return (low + high) / 2


def _decimals(length: float, scale: float, usual: int) -> str:
    """A length in mm with `usual` decimals, or as many as tell lengths of `scale` apart."""
    needed = 0 if scale <= 0 else 1 - int(np.floor(np.log10(scale)))
    return f"{length:.{min(max(usual, needed), 9)}f}"


def _base_step(steps: Vector) -> float:
    """The step that all others are whole multiples of: the median of the steps near the least one."""
    least = float(steps.min())
    return float(np.median(steps[steps < 1.5 * least]))


def _angle(step: Vector, normal: Vector) -> float:
    along = float(step @ normal)
    aside = float(np.linalg.norm(step - along * normal))
    return float(np.degrees(np.arctan2(aside, along)))
