"""Noise of a uniform module: its spectrum, its correlation, and how many independent values an ROI holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.qa.placement import Placement, slab
from hounsfield.qa.stack import Stack, Values

LEAST_ROIS = 32
"""Squares a spectrum is averaged over (AAPM TG-233 asks for many; with fewer it is said)."""

_SIDES = (64, 48, 32)
"""Pixels a side, the largest of which there are enough."""

_REACH_MM = 52.0
_LAGS = 16


@dataclass(frozen=True)
class Noise:
    """`correlation` (2·lags+1, 2·lags+1) over rows and columns, 1 at the centre; `along` by slices apart, from 0."""

    sd: float
    correlation: Values
    along: Values
    spectrum: dict[str, Any]

    def effective(self, masks: list[NDArray[np.bool_]]) -> float:
        """Return how many independent values have the same scatter of their mean as an ROI (one mask a slice)."""
        counts = np.array([mask.sum() for mask in masks], float)
        total = float(counts.sum())
        variance = 0.0
        sums = [self._sum(mask) for mask in masks]
        for i, first in enumerate(sums):
            for j, second in enumerate(sums):
                apart = abs(i - j)
                if apart < len(self.along):
                    variance += float(self.along[apart]) * math.sqrt(first * second)
        return total**2 / max(variance, 1e-9)

    def _sum(self, mask: NDArray[np.bool_]) -> float:
        """Return the variance of a sum over the mask, for noise of variance 1."""
        shape = [size + 2 * _LAGS for size in mask.shape]
        wave = np.fft.rfft2(mask, shape)
        overlap = np.fft.fftshift(np.fft.irfft2(np.abs(wave) ** 2, shape))
        row, column = shape[0] // 2, shape[1] // 2
        part = overlap[row - _LAGS : row + _LAGS + 1, column - _LAGS : column + _LAGS + 1]
        return max(float((part * self.correlation).sum()), 0.02 * float(mask.sum()))


def measure(stack: Stack, placement: Placement, numbers: list[int]) -> Noise | None:
    """Return the noise of the uniform slices, or None when not even one square fits."""
    squares: list[Values] = []
    for side in _SIDES:
        squares = [square for number in numbers for square in _squares(stack, placement, number, side)]
        if len(squares) >= LEAST_ROIS:
            break
    if not squares:
        return None
    side = squares[0].shape[0]
    design = _quadratic(side)
    flat = np.stack([square.ravel() for square in squares])
    flat = flat - flat @ design.T @ np.linalg.pinv(design @ design.T) @ design
    rest = flat.reshape(-1, side, side)
    variance = float((rest**2).mean()) * side**2 / (side**2 - 6)
    return Noise(
        math.sqrt(variance),
        _correlation(rest),
        _along(stack, placement, numbers, side),
        _spectrum(stack, rest, variance),
    )


def _squares(stack: Stack, placement: Placement, number: int, side: int) -> list[Values]:
    """Return squares of a slice that lie in the uniform disc, half overlapping."""
    side = min(side, int(1.3 * _REACH_MM / stack.pixel))
    height = stack.height(number, float(placement.centre[0]), float(placement.centre[1]))
    centre = (
        placement.centre
        + placement.rotation[:, 2] * (height - placement.centre[2]) / placement.rotation[2, 2]
    )
    row, column = (float(each) for each in stack.pixels(number, np.array(centre[0]), np.array(centre[1])))
    reach = _REACH_MM / stack.pixel
    found = []
    steps = np.arange(-3, 4) * (side // 2)
    for down in steps:
        for right in steps:
            corner = max(abs(down), abs(right)) + side / 2, min(abs(down), abs(right)) + side / 2
            if math.hypot(*corner) > reach:
                continue
            top, left = round(row + down - side / 2), round(column + right - side / 2)
            part = stack.volume.array[number, max(top, 0) : top + side, max(left, 0) : left + side]
            if part.shape == (side, side):
                found.append(part.astype(float))
    return found


def _quadratic(side: int) -> Values:
    """Return the six polynomials of second order over a square, (6, pixels)."""
    y, x = (axis.ravel() for axis in np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j])
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])


def _correlation(rest: Values) -> Values:
    side = rest.shape[1]
    shape = (2 * side, 2 * side)
    power = (np.abs(np.fft.rfft2(rest, shape)) ** 2).mean(axis=0)
    sums = np.fft.fftshift(np.fft.irfft2(power, shape))
    overlap = np.outer(*[side - np.abs(np.arange(-side, side))] * 2)
    part = slice(side - _LAGS, side + _LAGS + 1)
    found = (sums / np.maximum(overlap, 1))[part, part]
    scaled: Values = found / max(float(found[_LAGS, _LAGS]), 1e-12)
    return scaled


def _along(stack: Stack, placement: Placement, numbers: list[int], side: int) -> Values:
    """Return the correlation of slices 0, 1, 2 … apart; what is smaller than its own scatter is 0."""
    planes = []
    for number in numbers:
        squares = _squares(stack, placement, number, side)
        if not squares:
            return np.array([1.0])
        plane = squares[len(squares) // 2].ravel()
        design = _quadratic(squares[0].shape[0])
        planes.append(plane - np.linalg.pinv(design @ design.T) @ (design @ plane) @ design)
    found = [1.0]
    for apart in range(1, min(4, len(planes))):
        pairs = [
            float(a @ b) / math.sqrt(float(a @ a) * float(b @ b) + 1e-12)
            for a, b in zip(planes, planes[apart:], strict=False)
        ]
        mean = float(np.mean(pairs))
        if abs(mean) < 3 / math.sqrt(len(pairs) * planes[0].size / 4):
            break
        found.append(mean)
    return np.array(found)


def _spectrum(stack: Stack, rest: Values, variance: float) -> dict[str, Any]:
    """Return the radial noise power spectrum: f in 1/mm, p in HU² mm², and what its integral is to the variance."""
    dy, dx = stack.volume.spacing[1:]
    count, side, _ = rest.shape
    power = (np.abs(np.fft.fft2(rest)) ** 2).mean(axis=0) * dx * dy / side**2
    fy, fx = np.fft.fftfreq(side, dy)[:, None], np.fft.fftfreq(side, dx)[None]
    f = np.hypot(fx, fy)
    step = 1 / (side * max(dx, dy))
    bins = np.round(f / step).astype(int)
    last = int(0.5 / max(dx, dy) / step)
    weight = np.bincount(bins.ravel())
    radial = (np.bincount(bins.ravel(), power.ravel()) / np.maximum(weight, 1))[1 : last + 1]
    centres = (np.bincount(bins.ravel(), f.ravel()) / np.maximum(weight, 1))[1 : last + 1]
    integral = float(power.sum()) / (side**2 * dx * dy)
    smooth = np.convolve(np.pad(radial, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    return {
        "f": [round(float(each), 4) for each in centres],
        "p": [round(float(each), 4) for each in radial],
        "peak": _peak(centres, smooth),
        "mean_f": round(float((centres * radial * centres).sum() / max((radial * centres).sum(), 1e-12)), 4),
        "integral_to_variance": round(integral / variance, 4) if variance else None,
        "rois": count,
        "enough": count >= LEAST_ROIS,
    }


def _peak(f: Values, p: Values) -> float:
    """Return the frequency of the peak: a parabola through what is above 70 % of it."""
    top = int(p.argmax())
    near = (p > 0.7 * p[top]) & (np.abs(np.arange(len(p)) - top) <= max(2, len(p) // 5))
    if near.sum() < 3:
        return round(float(f[top]), 4)
    a, b, _ = np.polyfit(f[near], p[near], 2)
    at = -b / (2 * a) if a < 0 else f[top]
    return round(float(np.clip(at, f[near].min(), f[near].max())), 4)


def usable(stack: Stack, placement: Placement, z: float, length: float) -> list[int]:
    """Return the slices of a module that lie well within it."""
    return slab(stack, placement, z, max(length / 2 - max(1.2 * stack.step, 4.0), 1.0))
