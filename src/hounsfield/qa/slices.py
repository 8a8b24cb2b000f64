"""Thickness of the slices by the ramps of a module: all wires and all slices at once.

A wire rises along its run by tan 23°, so each sample along it in each slice is a point of one slice profile.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hounsfield.phantom.qa import Module
from hounsfield.qa.placement import Placement, slab, slab_sample
from hounsfield.qa.stack import Stack, Values

_BIN_SHARE = 0.08
_LEAST_SIGNAL = 6.0
"""Peak over the scatter of the profile's tail below which the ramps say nothing."""


def thickness(stack: Stack, placement: Placement, module: Module, psf: float | None) -> dict[str, Any] | None:
    """Return the thickness in mm with its 95 % interval, and how far the module's middle is off; None without ramps.

    `psf` is the sigma in the plane, mm, which smears a ramp by its tan 23°.
    """
    ramps = module.more.get("ramps")
    if ramps is None:
        return None
    numbers = slab(
        stack,
        placement,
        0,
        min(module.length / 2 - 1, ramps["length"] / 2 * math.tan(math.radians(ramps["angle"]))),
    )
    if len(numbers) < 2:
        return None
    wires = [
        _wire(stack, placement, numbers, ramps, side, is_u) for is_u in (True, False) for side in (1, -1)
    ]
    found = [each for each in wires if each is not None]
    if not found:
        return {"fwhm": None, "reason": "no ramp above the noise", "slices": numbers}
    q, s = np.concatenate([each[0] for each in found]), np.concatenate([each[1] for each in found])
    smear = 0.0 if psf is None else psf * math.tan(math.radians(ramps["angle"]))
    width = _fwhm(q, s, stack.step, smear)
    parts = [_fwhm(*each[:2], stack.step, smear) for each in found]
    error = float(np.std(parts, ddof=1)) / math.sqrt(len(parts)) if len(parts) > 1 else 0.5 * width
    reach = 12.7 if len(parts) == 2 else 4.3 if len(parts) == 3 else 3.18
    return {
        "fwhm": round(width, 3),
        "interval": [round(max(width - reach * error, 0.0), 3), round(width + reach * error, 3)],
        "ramps": len(found),
        "each": [round(each, 3) for each in parts],
        "centre_offset": round(float(np.mean([each[2] for each in found])), 3),
        "slices": numbers,
    }


def _wire(
    stack: Stack, placement: Placement, numbers: list[int], ramps: dict[str, Any], side: int, is_u: bool
) -> tuple[Values, Values, float] | None:
    """Return heights from the wire in mm, and signal; its own height at the middle; None when it is not seen."""
    along = np.arange(-ramps["length"] / 2 + 1, ramps["length"] / 2 - 1, 0.5)
    across = side * ramps["distance"] + np.array(
        [-6, -5.5, -5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 5, 5.5, 6]
    )
    a, t = np.meshgrid(across, along, indexing="ij")
    values = slab_sample(stack, placement, numbers, *((a, t) if is_u else (t, a)))
    signal = values[:, 3:12].mean(axis=1) - (values[:, :3].mean(axis=1) + values[:, 12:].mean(axis=1)) / 2
    if not np.isfinite(signal).all():
        return None
    turn = placement.rotation
    heights = np.array(
        [stack.height(n, float(placement.centre[0]), float(placement.centre[1])) for n in numbers]
    )
    off = side * ramps["distance"]
    lean = turn[2, 0] * off + turn[2, 1] * along if is_u else turn[2, 0] * along + turn[2, 1] * off
    w = (heights[:, None] - placement.centre[2] - lean[None]) / turn[2, 2]
    rise = math.tan(math.radians(ramps["angle"]))
    tried = [_aligned(w - sign * rise * along, signal, stack.step) for sign in (1, -1)]
    q, s, middle, ratio = max(tried, key=lambda each: each[3])
    return (q, s, middle) if ratio > _LEAST_SIGNAL else None


def _aligned(q: Values, s: Values, step: float) -> tuple[Values, Values, float, float]:
    """Return heights from the profile's middle, signal, the middle, and how far the peak is above the scatter."""
    q, s = q.ravel(), s.ravel()
    centres, means = _binned(q, s, max(step * 0.25, 0.25))
    if len(centres) < 5:
        return q, s, 0.0, 0.0
    base = float(np.median(means))
    scatter = 1.4826 * float(np.median(np.abs(means - base))) + 1e-6
    top = int(means.argmax())
    peak = float(means[top]) - base
    near = np.abs(centres - centres[top]) < 3 * max(step, 1.0)
    weight = np.clip(means - base - 0.3 * peak, 0, None) * near
    middle = float((weight * centres).sum() / max(weight.sum(), 1e-9))
    return q - middle, s, middle, peak / scatter


def _binned(q: Values, s: Values, width: float) -> tuple[Values, Values]:
    index = np.round(q / width).astype(int)
    index -= index.min()
    count = np.bincount(index)
    kept = count >= max(3, int(np.median(count) // 4))
    sums, places = np.bincount(index, s), np.bincount(index, q)
    return (places / np.maximum(count, 1))[kept], (sums / np.maximum(count, 1))[kept]


def _fwhm(q: Values, s: Values, step: float, smear: float) -> float:
    """Return the full width at half maximum of a box over a Gaussian, fitted to the profile by least squares."""
    reach = max(6 * step, 6.0)
    near = np.abs(q) < reach
    centres, means = _binned(q[near], s[near], _BIN_SHARE * max(step, 0.6))
    best, least = (step, 0.3), math.inf
    boxes, sigmas = np.geomspace(0.2, 4 * step + 4, 40), np.linspace(0.05, 2.0, 25)
    for _ in range(3):
        for box in boxes:
            for sigma in sigmas:
                error = _misfit(centres, means, box, math.hypot(sigma, smear))
                if error < least:
                    best, least = (float(box), float(sigma)), error
        boxes = np.linspace(best[0] * 0.9, best[0] * 1.1, 15)
        sigmas = np.linspace(max(best[1] - 0.1, 0.02), best[1] + 0.1, 13)
    heights = np.linspace(-reach, reach, 4001)
    shape = _shape(heights, *best)
    above = heights[shape > shape.max() / 2]
    return float(above[-1] - above[0])


def _misfit(centres: Values, means: Values, box: float, sigma: float) -> float:
    shape = _shape(centres, box, sigma)
    shape, level = shape - shape.mean(), means - means.mean()
    size = float(shape @ shape)
    scale = float(shape @ level) / size if size > 0 else 0.0
    return float(((level - max(scale, 0.0) * shape) ** 2).sum())


def _shape(q: Values, box: float, sigma: float) -> Values:
    """Return a box over a Gaussian (logistic to within 1 %, scaled to the same variance)."""
    rate = 1.702 / sigma
    upper = 1 / (1 + np.exp(-np.clip(rate * (q + box / 2), -60, 60)))
    lower = 1 / (1 + np.exp(-np.clip(rate * (q - box / 2), -60, 60)))
    found: Values = upper - lower
    return found
