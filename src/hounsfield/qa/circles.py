"""Circles in a slice: where one is, by votes of edges, and exactly where, by rays from its centre.

A rim that is faint, cut off or touched by a table is still a circle: outliers are weighted down, and 120° of arc do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hounsfield.qa.stack import Stack, Values

LEAST_ARC = 120.0
"""Degrees of rim that fix a circle; with less its centre moves with the noise."""

LEAST_AIR = -1200.0
"""HU below which nothing was measured: padding."""

_COARSE_MM = 2.0
_RAYS = 240
_REACH_MM, _STEP_MM = 9.0, 0.35
_INLIER_MM = 0.8


@dataclass(frozen=True)
class Circle:
    """A circle in a slice: centre and radius in LPS mm, degrees of arc that lie on it."""

    x: float
    y: float
    radius: float
    arc: float


def find(stack: Stack, number: int, radii: tuple[float, float]) -> list[Circle]:
    """Return the circles of a slice whose radius is within bounds, the most voted first, at most three apart."""
    edges = _edges(stack, number)
    if edges is None:
        return []
    x, y, ux, uy = edges
    sizes = np.arange(radii[0], radii[1] + 1e-6, _COARSE_MM)
    low_x, low_y = x.min() - 20, y.min() - 20
    nx, ny = int((np.ptp(x) + 40) / _COARSE_MM) + 1, int((np.ptp(y) + 40) / _COARSE_MM) + 1
    votes = np.zeros((len(sizes), ny, nx), np.float32)
    for number_of, size in enumerate(sizes):
        cx = ((x + size * ux - low_x) / _COARSE_MM).astype(np.intp)
        cy = ((y + size * uy - low_y) / _COARSE_MM).astype(np.intp)
        good = (cx >= 0) & (cy >= 0) & (cx < nx) & (cy < ny)
        count = np.bincount(cy[good] * nx + cx[good], minlength=nx * ny).reshape(ny, nx)
        votes[number_of] = _boxed(count.astype(np.float32))
    found: list[Circle] = []
    for _ in range(3):
        index, row, column = np.unravel_index(int(votes.argmax()), votes.shape)
        centre = low_x + (column + 0.5) * _COARSE_MM, low_y + (row + 0.5) * _COARSE_MM
        size = float(sizes[index])
        off = np.hypot(x + size * ux - centre[0], y + size * uy - centre[1])
        angle = np.arctan2(y - centre[1], x - centre[0])[off < 3 * _COARSE_MM]
        arc = _arc(angle)
        if arc < LEAST_ARC / 2:
            break
        found.append(Circle(*centre, size, arc))
        gy, gx = np.ogrid[:ny, :nx]
        votes[:, np.hypot(gx - column, gy - row) * _COARSE_MM < size] = 0
    return found


def refine(stack: Stack, number: int, near: Circle) -> Circle | None:
    """Return the circle through the edges that rays from `near`'s centre meet, or None where they make none."""
    angles = np.linspace(-math.pi, math.pi, _RAYS, endpoint=False)
    radii = np.arange(near.radius - _REACH_MM, near.radius + _REACH_MM, _STEP_MM)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    values = stack.sample(number, near.x + radii * cos, near.y + radii * sin)
    at, drop = _steepest(values, radii)
    usable = np.isfinite(at)
    if usable.sum() < _RAYS * LEAST_ARC / 360:
        return None
    usable &= drop > 0.4 * np.nanpercentile(drop[usable], 75)
    x, y = near.x + at * cos[:, 0], near.y + at * sin[:, 0]
    fitted = _circle(x[usable], y[usable])
    if fitted is None:
        return None
    cx, cy, radius = fitted
    inlier = np.abs(np.hypot(x - cx, y - cy) - radius) < _INLIER_MM
    return Circle(cx, cy, radius, _arc(np.arctan2(y - cy, x - cx)[inlier & usable]))


def _edges(stack: Stack, number: int) -> tuple[Values, Values, Values, Values] | None:
    """Return x, y of pixels on an edge and the unit vector towards its denser side; None for a slice without any."""
    image, factor = _coarse(stack, number)
    if min(image.shape) < 8:
        return None
    # Padding far below air would make every real edge look faint.
    image = np.maximum(image, LEAST_AIR)
    low, high = np.percentile(image, (2, 98))
    body = image[image > (low + high) / 2]
    contrast = float(np.median(body)) - low if body.size else 0.0
    if contrast <= 0:
        return None
    image = np.clip(image, low, low + 1.3 * contrast)
    down, right = np.gradient(image)
    size = np.hypot(down, right)
    rows, columns = np.nonzero(size > 0.15 * contrast)
    if len(rows) < 30:
        return None
    matrix = stack.volume.affine[:2, 1:3]
    # A gradient of columns and rows becomes one of x and y by the inverse transpose.
    turned = np.linalg.inv(matrix).T @ np.stack([down[rows, columns], right[rows, columns]])
    turned /= np.hypot(*turned)
    places = stack.places(number, (rows + 0.5) * factor - 0.5, (columns + 0.5) * factor - 0.5)
    return places[0], places[1], turned[0], turned[1]


def _coarse(stack: Stack, number: int) -> tuple[Values, int]:
    factor = max(1, round(_COARSE_MM / stack.pixel))
    image = stack.volume.array[number]
    rows, columns = image.shape[0] // factor, image.shape[1] // factor
    blocks = image[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    return blocks.mean(axis=(1, 3), dtype=np.float64), factor


def _boxed(count: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return sums over 3 × 3."""
    padded = np.pad(count, 1)
    found: NDArray[np.float32] = padded[:-2] + padded[1:-1] + padded[2:]
    return found[:, :-2] + found[:, 1:-1] + found[:, 2:]


def _arc(angles: Values) -> float:
    """Return the degrees of arc that angles (rad) cover, by sectors of 5°."""
    return 5.0 * len(np.unique(np.floor(np.degrees(angles) % 360 / 5)))


def _steepest(values: Values, radii: Values) -> tuple[Values, Values]:
    """Return where each ray falls most steeply, mm, and by how much over 3 mm; NaN where it leaves the slice."""
    width = 4
    fall = values[:, :-width] - values[:, width:]
    usable = np.isfinite(fall).sum(axis=1) > fall.shape[1] // 2
    filled = np.where(np.isfinite(fall), fall, -np.inf)
    index = np.clip(filled.argmax(axis=1), 1, fall.shape[1] - 2)
    rays = np.arange(len(fall))
    before, here, after = (filled[rays, index + step] for step in (-1, 0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        bend = before - 2 * here + after
        shift = np.where(bend < 0, 0.5 * (before - after) / bend, 0.0)
    usable &= np.isfinite(shift) & (here > 0)
    at = radii[index] + (width / 2 + np.clip(np.nan_to_num(shift), -1, 1)) * _STEP_MM
    return np.where(usable, at, np.nan), np.where(usable, here, np.nan)


def _circle(x: Values, y: Values) -> tuple[float, float, float] | None:
    """Return centre and radius through points, outliers weighted down (Tukey's biweight)."""
    weight = np.ones_like(x)
    cx = cy = radius = 0.0
    for round_ in range(8):
        if weight.sum() < 20:
            return None
        design = np.stack([x, y, np.ones_like(x)], axis=1) * weight[:, None]
        a, b, c = np.linalg.lstsq(design, (x**2 + y**2) * weight, rcond=None)[0]
        cx, cy = a / 2, b / 2
        radius = math.sqrt(max(c + cx**2 + cy**2, 1e-6))
        away = np.hypot(x - cx, y - cy) - radius
        scale = max(1.4826 * float(np.median(np.abs(away))), 0.1) * (6 if round_ < 3 else 4)
        weight = np.where(np.abs(away) < scale, (1 - (away / scale) ** 2) ** 2, 0.0)
    return float(cx), float(cy), radius
