"""The values inside a cylinder of the phantom, and what they say: mean, median, scatter, standard error, cut-off share.

Voxels are chosen by where they lie in the phantom's coordinates: no interpolation, whatever the tilt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.qa.noise import Noise
from hounsfield.qa.placement import Placement
from hounsfield.qa.stack import Stack, Values

CENSORED_ABOVE = 0.01
"""Share of an ROI at the floor above which its plain mean is no mean of what was there."""

HOPELESS_ABOVE = 0.55
"""Share at the floor above which nothing is left to estimate from: half, and the scatter of a count that is just half
where air of −1000 HU is cut off at −1000."""


@dataclass(frozen=True)
class Region:
    """Values of an ROI, and one mask a slice of where they were."""

    values: Values
    masks: list[NDArray[np.bool_]]
    slices: tuple[int, ...]


def region(
    stack: Stack, placement: Placement, centre: tuple[float, float], radius: float, numbers: list[int]
) -> Region:
    """Return the voxels within `radius` mm of (u, v), in the slices given."""
    values, masks, slices = [], [], []
    for number in numbers:
        height = stack.height(number, float(placement.centre[0]), float(placement.centre[1]))
        w = (height - placement.centre[2]) / placement.rotation[2, 2]
        x, y, _ = placement.outside(np.array(centre[0]), np.array(centre[1]), w)
        row, column = (float(each) for each in stack.pixels(number, x, y))
        reach = radius / min(stack.volume.spacing[1:]) + 2
        rows = np.arange(max(int(row - reach), 0), min(int(row + reach) + 2, stack.volume.shape[1]))
        columns = np.arange(max(int(column - reach), 0), min(int(column + reach) + 2, stack.volume.shape[2]))
        if not len(rows) or not len(columns):
            continue
        grid_rows, grid_columns = np.meshgrid(rows, columns, indexing="ij")
        u, v, _ = placement.inside(stack.places(number, grid_rows, grid_columns))
        mask = (u - centre[0]) ** 2 + (v - centre[1]) ** 2 < radius**2
        if mask.any():
            values.append(
                stack.volume.array[number, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1][mask]
            )
            masks.append(mask)
            slices.append(number)
    flat = np.concatenate(values).astype(float) if values else np.empty(0)
    return Region(flat, masks, tuple(slices))


def statistics(found: Region, noise: Noise | None, floor: float, ceiling: float) -> dict[str, Any]:
    """Return the numbers of an ROI, HU; mean, median and SE are None where most of it is cut off."""
    values = found.values
    at_floor = float((values <= floor).mean()) if values.size else 1.0
    at_ceiling = float((values >= ceiling).mean()) if values.size else 0.0
    result: dict[str, Any] = {
        "n": int(values.size),
        "floor": round(at_floor, 4),
        "ceiling": round(at_ceiling, 4),
        "slices": [int(each) for each in found.slices],
        "censored": CENSORED_ABOVE < at_floor <= HOPELESS_ABOVE,
    }
    if values.size < 5 or at_floor > HOPELESS_ABOVE or at_ceiling > HOPELESS_ABOVE:
        return {**result, "mean": None, "median": None, "sd": None, "se": None, "n_eff": None}
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    if result["censored"]:
        mean, sd = censored(values, floor)
    effective = noise.effective(found.masks) if noise is not None else values.size / 4
    # The grid of integers adds a scatter of its own, which noise below 0.3 HU no longer averages out.
    error = math.sqrt(sd**2 / max(effective, 1.0) + (0.01 if sd > 0.5 else 1 / 12))
    return {
        **result,
        "mean": round(mean, 3),
        "median": round(float(np.median(values)), 3),
        "sd": round(sd, 3),
        "n_eff": round(effective, 1),
        "se": round(error, 4),
        "estimate": "censored" if result["censored"] else "mean",
    }


def censored(values: Values, floor: float) -> tuple[float, float]:
    """Return mean and SD of the normal distribution whose part below `floor` was put at the floor (by EM)."""
    is_cut = values <= floor
    share, rest = float(is_cut.mean()), values[~is_cut]
    cut = floor + 0.5
    mean, sd = float(values.mean()), float(values.std())
    for _ in range(500):
        scaled = (cut - mean) / sd
        below = max(0.5 * math.erfc(-scaled / math.sqrt(2)), 1e-12)
        ratio = math.exp(-0.5 * scaled**2) / math.sqrt(2 * math.pi) / below
        first = mean - sd * ratio
        second = sd**2 * (1 - scaled * ratio - ratio**2) + first**2
        new_mean = share * first + (1 - share) * float(rest.mean())
        variance = share * second + (1 - share) * float((rest**2).mean()) - new_mean**2
        new_sd = math.sqrt(max(variance, 1e-6))
        if abs(new_mean - mean) + abs(new_sd - sd) < 1e-5:
            break
        mean, sd = new_mean, new_sd
    return mean, sd
