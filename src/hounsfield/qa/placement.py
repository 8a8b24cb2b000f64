"""The place of a phantom in the patient: centre, rotation and the size of its ring, from the inserts themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hounsfield.phantom.qa import Model, Module, Rod
from hounsfield.qa.axis import Axis
from hounsfield.qa.stack import Stack, Values

LEAST_CONTRAST = 60.0
"""HU below which an insert's own centroid is worse than the place that the others give it."""

_END_CONTRAST = 150.0


@dataclass(frozen=True)
class Placement:
    """`rotation` (3, 3): the phantom's (u, v, w) to LPS; `centre` (3,) LPS mm of the module of inserts."""

    centre: Values
    rotation: Values
    roll: float
    is_mirrored: bool
    is_reversed: bool
    tilt: float
    scale: float = 1.0
    residual: float | None = None

    def inside(self, places: Values) -> Values:
        """Return (u, v, w) of LPS mm, (3, …)."""
        moved = places - self.centre.reshape(3, *[1] * (places.ndim - 1))
        found: Values = np.tensordot(self.rotation.T, moved, 1)
        return found

    def outside(self, u: Values, v: Values, w: Values | float) -> Values:
        """Return LPS mm, (3, …), of the phantom's coordinates."""
        stacked = np.stack(np.broadcast_arrays(u, v, w))
        found: Values = np.tensordot(self.rotation, stacked, 1)
        return found + self.centre.reshape(3, *[1] * (stacked.ndim - 1))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values: degrees, mm, and the 4×4 affine of (u, v, w, 1) to LPS."""
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = self.rotation, self.centre
        return {
            "roll": round(self.roll, 4),
            "tilt": round(self.tilt, 4),
            "scale": round(self.scale, 5),
            "centre": [round(float(each), 4) for each in self.centre],
            "axis": [round(float(each), 6) for each in self.rotation[:, 2]],
            "residual_mm": None if self.residual is None else round(self.residual, 4),
            "affine": [[round(float(each), 6) for each in row] for row in affine],
        }


def placed(axis: Axis, z: float, turn: float, *, mirrored: bool, reversed_: bool) -> Placement:
    """Return the placement of a phantom whose ring was met at a height, turned by so many degrees on the image."""
    is_flipped = mirrored != reversed_
    # Mirrored, the ring runs the other way: image angle 180° − (angle + roll).
    roll = -turn if is_flipped else turn
    roll = (roll + 180) % 360 - 180
    x, y = axis.point(z)
    return Placement(
        np.array([x, y, z]), _rotation(axis, roll, mirrored, reversed_), roll, mirrored, reversed_, axis.tilt
    )


def _rotation(axis: Axis, roll: float, mirrored: bool, reversed_: bool) -> Values:
    angle = math.radians(roll)
    turn = np.array(
        [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1.0]]
    )
    flip = np.diag([-1.0 if mirrored else 1.0, 1.0, 1.0])
    end = np.diag([-1.0, 1.0, -1.0]) if reversed_ else np.eye(3)
    direction = axis.direction
    cross = np.array([-direction[1], direction[0], 0.0])
    skew = np.array([[0, 0, cross[1]], [0, 0, -cross[0]], [-cross[1], cross[0], 0]])
    lean = np.eye(3) + skew + skew @ skew / (1 + direction[2])
    found: Values = lean @ flip @ end @ turn
    return found


def slab(stack: Stack, placement: Placement, z: float, half: float) -> list[int]:
    """Return the slices whose middle is within `half` mm of a height on the axis, in the phantom's coordinates."""
    centre = placement.outside(np.array(0.0), np.array(0.0), z)
    reach = abs(float(placement.rotation[2, 2])) * half
    heights = [stack.height(number, float(centre[0]), float(centre[1])) for number in range(stack.count)]
    return [number for number, each in enumerate(heights) if abs(each - centre[2]) <= reach + 1e-6]


def slab_sample(stack: Stack, placement: Placement, numbers: list[int], u: Values, v: Values) -> Values:
    """Return values at (u, v) of each slice, (slices, …)."""
    turn = placement.rotation
    found = []
    for number in numbers:
        height = stack.height(number, float(placement.centre[0]), float(placement.centre[1]))
        w = (height - placement.centre[2] - turn[2, 0] * u - turn[2, 1] * v) / turn[2, 2]
        x, y, _ = placement.outside(u, v, w)
        found.append(stack.sample(number, x, y))
    return np.array(found)


@dataclass(frozen=True)
class Ends:
    """The ends of a module along the axis, w in mm; None for an end that was not scanned."""

    low: float | None
    high: float | None


def centred(
    stack: Stack, axis: Axis, placement: Placement, model: Model, module: Module
) -> tuple[Placement, Ends]:
    """Return the placement with its centre in the middle of the module of inserts, by the ends of its inserts."""
    numbers = [
        n for n in range(stack.count) if abs(float(axis.heights[n]) - placement.centre[2]) < module.length + 8
    ]
    ends = _ends(stack, placement, model, module, numbers)
    half = module.length / 2
    if ends.low is not None and ends.high is not None:
        shift = (ends.low + ends.high) / 2
    elif ends.low is not None:
        shift = ends.low + half
    elif ends.high is not None:
        shift = ends.high - half
    else:
        shift = 0.0
    moved = placement.outside(np.array(0.0), np.array(0.0), shift)
    x, y = axis.point(float(moved[2]))
    return replace(placement, centre=np.array([x, y, float(moved[2])])), Ends(
        None if ends.low is None else ends.low - shift, None if ends.high is None else ends.high - shift
    )


def _ends(stack: Stack, placement: Placement, model: Model, module: Module, numbers: list[int]) -> Ends:
    """Return the ends of a module: the median of where its inserts have half their contrast."""
    found = []
    for rod, contrast in strong(model, module, _END_CONTRAST):
        inner = np.nanmean(
            slab_sample(stack, placement, numbers, *ring_points(rod, 0.5 * rod.radius)), axis=1
        )
        outer = np.nanmedian(
            slab_sample(stack, placement, numbers, *ring_points(rod, rod.radius + 3.0)), axis=1
        )
        difference = (inner - outer) * math.copysign(1, contrast)
        if not np.isfinite(difference).all():
            continue
        top = float(np.median(np.sort(difference)[-max(3, len(difference) // 4) :]))
        w = np.array([_axial(stack, placement, number, rod.centre) for number in numbers])
        order = np.argsort(w)
        if top > 0:
            found.append(_half_crossings(w[order], (difference / top)[order]))
    lows, highs = [e.low for e in found if e.low is not None], [e.high for e in found if e.high is not None]
    return Ends(
        float(np.median(lows)) if len(lows) * 2 > len(found) else None,
        float(np.median(highs)) if len(highs) * 2 > len(found) else None,
    )


def _axial(stack: Stack, placement: Placement, number: int, at: tuple[float, float]) -> float:
    """Return w of a slice where it meets the line (u, v)."""
    turn = placement.rotation
    height = stack.height(number, float(placement.centre[0]), float(placement.centre[1]))
    return float((height - placement.centre[2] - turn[2, 0] * at[0] - turn[2, 1] * at[1]) / turn[2, 2])


def strong(model: Model, module: Module, least: float) -> Iterator[tuple[Rod, float]]:
    """Yield the inserts of at least so much contrast, with it."""
    for rod in module.rods:
        hu = model.nominal(rod.material)
        if hu is not None and abs(hu - module.hu) >= least:
            yield rod, hu - module.hu


def ring_points(rod: Rod, radius: float, scale: float = 1.0) -> tuple[Values, Values]:
    """Return 48 points (u, v) round an insert's centre."""
    angles = np.arange(48) * (2 * math.pi / 48)
    u, v = rod.centre
    return u * scale + radius * np.cos(angles), v * scale + radius * np.sin(angles)


def _half_crossings(w: Values, share: Values) -> Ends:
    inside = np.nonzero(share > 0.5)[0]
    if not len(inside):
        return Ends(None, None)
    middle = int(np.argmin(np.abs(w)))
    start = middle if share[middle] > 0.5 else int(inside[np.argmin(np.abs(inside - middle))])
    low = high = start
    while low > 0 and share[low - 1] > 0.5:
        low -= 1
    while high < len(w) - 1 and share[high + 1] > 0.5:
        high += 1

    def crossing(a: int, b: int) -> float:
        return float(w[a] + (w[b] - w[a]) * (share[a] - 0.5) / (share[a] - share[b]))

    return Ends(
        crossing(low, low - 1) if low > 0 else None,
        crossing(high, high + 1) if high < len(w) - 1 else None,
    )


def fitted(stack: Stack, placement: Placement, model: Model, module: Module, numbers: list[int]) -> Placement:
    """Return the placement that the inserts' centroids give: centre, roll and size of the ring, outliers left out."""
    for _ in range(2):
        placement = _fitted_once(stack, placement, model, module, numbers)
    return placement


def _fitted_once(
    stack: Stack, placement: Placement, model: Model, module: Module, numbers: list[int]
) -> Placement:
    wanted, seen, weights = [], [], []
    for rod, contrast in strong(model, module, LEAST_CONTRAST):
        centroid = _centroid(stack, placement, rod, numbers)
        if centroid is not None:
            wanted.append(complex(*rod.centre))
            seen.append(complex(*centroid))
            weights.append(min(abs(contrast), 600.0) ** 2)
    if len(wanted) < 3:
        return placement
    ideal, found, weight = np.array(wanted), np.array(seen), np.array(weights)
    shift, turn, away = 0j, 1 + 0j, np.zeros(len(ideal))
    for _ in range(5):
        total = weight.sum()
        ideal_mean, found_mean = (weight * ideal).sum() / total, (weight * found).sum() / total
        turn = (weight * (found - found_mean) * np.conj(ideal - ideal_mean)).sum() / (
            weight * np.abs(ideal - ideal_mean) ** 2
        ).sum()
        shift = found_mean - turn * ideal_mean
        away = np.abs(found - shift - turn * ideal)
        scale = max(4 * 1.4826 * float(np.median(away)), 0.15)
        weight = np.array(weights) * np.where(away < scale, (1 - (away / scale) ** 2) ** 2, 1e-9)
    if abs(shift) > 4 or abs(abs(turn) - 1) > 0.03:
        return placement
    angle = math.degrees(math.atan2(turn.imag, turn.real))
    small = math.radians(angle)
    about = np.array(
        [[math.cos(small), -math.sin(small), 0], [math.sin(small), math.cos(small), 0], [0, 0, 1.0]]
    )
    centre = placement.outside(np.array(shift.real), np.array(shift.imag), 0.0)
    return replace(
        placement,
        centre=np.asarray(centre, float).reshape(3),
        rotation=placement.rotation @ about,
        roll=(placement.roll + angle + 180) % 360 - 180,
        scale=float(abs(turn)),
        residual=float(np.median(away)),
    )


def _centroid(stack: Stack, placement: Placement, rod: Rod, numbers: list[int]) -> tuple[float, float] | None:
    """Return the centroid (u, v) of an insert in the mean of the slices."""
    u0, v0 = (each * placement.scale for each in rod.centre)
    for _ in range(2):
        offsets = np.arange(-rod.radius - 3, rod.radius + 3.01, 0.4)
        du, dv = np.meshgrid(offsets, offsets)
        values = slab_sample(stack, placement, numbers, u0 + du, v0 + dv).mean(axis=0)
        away = np.hypot(du, dv)
        inner, outer = values[away < 0.6 * rod.radius], values[away > rod.radius + 1.5]
        if not np.isfinite(values).all():
            return None
        contrast = float(np.median(inner) - np.median(outer))
        if contrast == 0:
            return None
        share = np.clip(((values - np.median(outer)) / contrast - 0.25) / 0.5, 0, 1) * (
            away < rod.radius + 2.5
        )
        total = float(share.sum())
        if total <= 0:
            return None
        u0, v0 = u0 + float((share * du).sum()) / total, v0 + float((share * dv).sum()) / total
    return u0, v0
