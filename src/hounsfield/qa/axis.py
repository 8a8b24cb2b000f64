"""The axis of a phantom in the patient: a line through the circles of its slices."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from hounsfield.errors import GeometryError, SelectionError
from hounsfield.language import say
from hounsfield.qa.circles import LEAST_ARC, Circle, find, refine
from hounsfield.qa.stack import Stack, Values

GREATEST_TILT = 5.0
"""Degrees between axis and z beyond which a slab no longer lies in a few slices."""

LEAST_SLICES = 4
"""With fewer neither an axis nor a module's ends can be seen."""

_LOOKED_AT = 28
_NEAR_MM, _ALIKE_MM = 4.0, 4.0


@dataclass(frozen=True)
class Axis:
    """A line, x and y as a function of z (LPS mm), the radius round it and the slices it goes through."""

    at_zero: tuple[float, float]
    slope: tuple[float, float]
    radius: float
    arc: float
    slices: tuple[int, ...]
    heights: Values

    def point(self, z: float) -> tuple[float, float]:
        """(x, y) at a height."""
        return self.at_zero[0] + self.slope[0] * z, self.at_zero[1] + self.slope[1] * z

    @property
    def direction(self) -> Values:
        """Unit vector towards greater z, (3,)."""
        found = np.array([*self.slope, 1.0])
        return found / float(np.linalg.norm(found))

    @property
    def tilt(self) -> float:
        """Degrees between the axis and z."""
        return math.degrees(math.atan(math.hypot(*self.slope)))


def axis(stack: Stack, radii: tuple[float, float]) -> Axis | None:
    """Return the axis of the phantom whose radius is within bounds; None where no slices agree on one.

    Raises `SelectionError` for two phantoms side by side.
    """
    numbers = np.unique(np.linspace(0, stack.count - 1, _LOOKED_AT).astype(int))
    found = {int(number): find(stack, int(number), radii) for number in numbers}
    _check_alone(found)
    seen = [(number, circle) for number, circles in found.items() for circle in circles[:2]]
    line = _agreed(stack, seen)
    if line is None:
        return None
    exact = _refined(stack, line)
    if len(exact) < min(LEAST_SLICES, stack.count):
        return None
    return _fitted(stack, exact)


def check_level(found: Axis) -> None:
    """Raise `GeometryError` for a phantom that leans too much."""
    if found.tilt > GREATEST_TILT:
        raise GeometryError(
            say("the phantom leans by {tilt}°", tilt=format(found.tilt, ".1f")),
            expected=say("at most {greatest_tilt}°", greatest_tilt=format(GREATEST_TILT, "g")),
            remedy="level it and scan again",
        )


def _check_alone(found: dict[int, list[Circle]]) -> None:
    twice = 0
    for circles in found.values():
        if len(circles) > 1:
            first, second = circles[:2]
            apart = math.hypot(first.x - second.x, first.y - second.y)
            twice += second.arc > 240 and first.arc > 240 and apart > 1.5 * first.radius
    if twice >= max(2, len(found) // 8):
        raise SelectionError(
            "two phantoms side by side", expected="one", remedy="scan them one after the other"
        )


def _agreed(stack: Stack, seen: list[tuple[int, Circle]]) -> tuple[Values, Values, float] | None:
    """Return the line (x and y by z) and radius that most of the circles share."""
    if len(seen) < 2:
        return None
    z = np.array([stack.height(number, circle.x, circle.y) for number, circle in seen])
    places = np.array([(circle.x, circle.y) for _, circle in seen])
    radius = np.array([circle.radius for _, circle in seen])
    arc = np.array([circle.arc for _, circle in seen])
    best, score = None, 0.0
    for i, j in itertools.combinations(range(len(seen)), 2):
        span = z[j] - z[i]
        if abs(span) < 1e-3 or abs(radius[i] - radius[j]) > _ALIKE_MM:
            continue
        slope = (places[j] - places[i]) / span
        if np.hypot(*slope) > 0.4:
            continue
        away = np.hypot(*(places - places[i] - slope * (z - z[i])[:, None]).T)
        inlier = (away < _NEAR_MM) & (np.abs(radius - (radius[i] + radius[j]) / 2) < _ALIKE_MM)
        if (total := float(arc[inlier].sum())) > score:
            best, score = inlier, total
    if best is None:
        return None
    size = float(np.median(radius[best]))
    if np.ptp(z[best]) < 15:
        return np.zeros(2), places[best].mean(axis=0), size
    design = np.stack([z[best], np.ones(int(best.sum()))], axis=1)
    slope, start = np.linalg.lstsq(design, places[best], rcond=None)[0]
    return slope, start, size


def _refined(stack: Stack, line: tuple[Values, Values, float]) -> list[tuple[int, float, Circle]]:
    slope, start, size = line
    found = []
    for number in range(stack.count):
        z = stack.height(number, float(start[0]), float(start[1]))
        x, y = start + slope * z
        circle = refine(stack, number, Circle(float(x), float(y), size, 0.0))
        if circle is not None:
            near = (
                math.hypot(circle.x - x, circle.y - y) < 2 * _NEAR_MM
                and abs(circle.radius - size) < _ALIKE_MM
            )
            if near and circle.arc >= LEAST_ARC:
                found.append((number, z, circle))
    return found


def _fitted(stack: Stack, exact: list[tuple[int, float, Circle]]) -> Axis:
    z = np.array([height for _, height, _ in exact])
    places = np.array([(circle.x, circle.y) for _, _, circle in exact])
    weight = np.ones(len(z))
    is_short = np.ptp(z) < 15
    line: Values = np.zeros((2, 2))
    for _ in range(6):
        design = np.stack([np.zeros_like(z) if is_short else z, np.ones_like(z)], axis=1)
        line = np.linalg.lstsq(design * weight[:, None], places * weight[:, None], rcond=None)[0]
        away = np.hypot(*(places - design @ line).T)
        scale = max(4 * 1.4826 * float(np.median(away)), 0.2)
        weight = np.where(away < scale, 1 - (away / scale) ** 2, 0.0) + 1e-6
    radius = float(np.median([circle.radius for _, _, circle in exact]))
    kept = [number for number, _, circle in exact if abs(circle.radius - radius) < 2.0]
    heights = np.array([stack.height(number, *map(float, line[1])) for number in range(stack.count)])
    return Axis(
        at_zero=(float(line[1, 0]), float(line[1, 1])),
        slope=(float(line[0, 0]), float(line[0, 1])),
        radius=radius,
        arc=float(np.median([circle.arc for _, _, circle in exact])),
        slices=tuple(kept),
        heights=heights,
    )
