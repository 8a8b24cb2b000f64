"""Task transfer of inserts: how much of a circular edge is left at each spatial frequency (AAPM TG-233)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hounsfield.phantom.qa import Rod
from hounsfield.qa.placement import Placement
from hounsfield.qa.stack import Stack, Values

LEAST_CONTRAST = 80.0
"""HU of an edge below which its transfer is noise."""

_REACH_MM = 4.0


def transfer(
    stack: Stack, placement: Placement, rod: Rod, centre: tuple[float, float], numbers: list[int]
) -> dict[str, Any] | None:
    """Return f50 and f10 in 1/mm, the sigma of the nearest Gaussian, contrast and curve; None for a faint edge."""
    r, values = _edge(stack, placement, rod, centre, numbers)
    near = np.abs(r - rod.radius) < _REACH_MM
    if near.sum() < 200:
        return None
    bin_mm = max(0.1 * stack.pixel, 0.02)
    index = np.floor((r[near] - rod.radius + _REACH_MM) / bin_mm).astype(int)
    count = np.bincount(index)
    kept = count > 0
    x = (np.bincount(index, r[near]) / np.maximum(count, 1))[kept] - rod.radius
    y = (np.bincount(index, values[near]) / np.maximum(count, 1))[kept]
    inner, outer = float(np.mean(y[x < -2.5])), float(np.mean(y[x > 2.5]))
    if abs(inner - outer) < LEAST_CONTRAST:
        return None
    grid = np.arange(-_REACH_MM + bin_mm, _REACH_MM - bin_mm, bin_mm)
    edge = (np.interp(grid, x, y) - outer) / (inner - outer)
    spread = -np.gradient(edge, bin_mm)
    spread *= 0.5 + 0.5 * np.cos(np.pi * np.clip((np.abs(grid) - 2.0) / (_REACH_MM - 2.0), 0, 1))
    f = np.arange(0, 1.2, 0.01)
    curve = np.abs(np.exp(-2j * np.pi * np.outer(f, grid)) @ spread) * bin_mm
    curve = curve / max(float(curve[0]), 1e-9) / np.sinc(f * bin_mm)
    f50, f10 = _falls_to(f, curve, 0.5), _falls_to(f, curve, 0.1)
    return {
        "f50": f50,
        "f10": f10,
        "sigma": None if f50 is None else round(math.sqrt(math.log(2) / 2) / (math.pi * f50), 4),
        "contrast": round(inner - outer, 1),
        "f": [round(float(each), 3) for each in f[::5]],
        "ttf": [round(float(each), 4) for each in curve[::5]],
        "slices": numbers,
    }


def _edge(
    stack: Stack, placement: Placement, rod: Rod, centre: tuple[float, float], numbers: list[int]
) -> tuple[Values, Values]:
    radii, values = [], []
    reach = (rod.radius + _REACH_MM + 1) / min(stack.volume.spacing[1:])
    for number in numbers:
        height = stack.height(number, float(placement.centre[0]), float(placement.centre[1]))
        x, y, _ = placement.outside(
            np.array(centre[0]),
            np.array(centre[1]),
            (height - placement.centre[2]) / placement.rotation[2, 2],
        )
        row, column = (float(each) for each in stack.pixels(number, x, y))
        rows = np.arange(max(int(row - reach), 0), min(int(row + reach) + 2, stack.volume.shape[1]))
        columns = np.arange(max(int(column - reach), 0), min(int(column + reach) + 2, stack.volume.shape[2]))
        if not len(rows) or not len(columns):
            continue
        u, v, _ = placement.inside(stack.places(number, *np.meshgrid(rows, columns, indexing="ij")))
        radii.append(np.hypot(u - centre[0], v - centre[1]).ravel())
        values.append(
            stack.volume.array[number, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].ravel()
        )
    if not radii:
        return np.empty(0), np.empty(0)
    return np.concatenate(radii), np.concatenate(values).astype(float)


def _falls_to(f: Values, curve: Values, level: float) -> float | None:
    below = np.nonzero(curve < level)[0]
    if not len(below) or below[0] == 0:
        return None
    i = int(below[0])
    return round(float(f[i - 1] + (f[i] - f[i - 1]) * (curve[i - 1] - level) / (curve[i - 1] - curve[i])), 4)
