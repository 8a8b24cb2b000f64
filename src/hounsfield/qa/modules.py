"""Measurements of each kind of module: inserts, nodes, uniformity, low contrast; each number with its slices."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from hounsfield.phantom.qa import Model, Module
from hounsfield.qa.noise import Noise
from hounsfield.qa.placement import Placement, slab_sample
from hounsfield.qa.regions import region, statistics
from hounsfield.qa.sharpness import transfer
from hounsfield.qa.stack import Stack, Values

ROI_SHARE = 0.7
"""Of an insert's radius that an ROI takes: a pixel and the point spread stay outside."""


CLEAR_SIGMAS = 3.3
"""Of the point spread between an ROI and the insert's edge: less than 0.1 % of the contrast comes in."""


def inserts(
    stack: Stack, placement: Placement, model: Model, module: Module, numbers: list[int], noise: Noise | None
) -> list[dict[str, Any]]:
    """Return the numbers of every insert, in the order of the model."""
    floor, ceiling = limits_of(stack)
    found = []
    centres = {
        rod.name: (rod.centre[0] * placement.scale, rod.centre[1] * placement.scale) for rod in module.rods
    }
    edges = {rod.name: transfer(stack, placement, rod, centres[rod.name], numbers) for rod in module.rods}
    sigma = _sigma(list(edges.values()))
    for rod in module.rods:
        centre = centres[rod.name]
        size = max(min(ROI_SHARE * rod.radius, rod.radius - CLEAR_SIGMAS * sigma), 0.35 * rod.radius)
        part = region(stack, placement, centre, size, numbers)
        material = model.materials.get(rod.material, {})
        numbers_of = statistics(part, noise, floor, ceiling)
        nominal = model.nominal(rod.material)
        off = (
            None if nominal is None or numbers_of["mean"] is None else round(numbers_of["mean"] - nominal, 3)
        )
        found.append(
            {
                "name": rod.name,
                "material": rod.material,
                **numbers_of,
                "nominal": nominal,
                "nominal_kv": model.kv,
                "range": material.get("range"),
                "difference": off,
                "source": material.get("source"),
                "place": [
                    round(float(each), 2)
                    for each in placement.outside(np.array(centre[0]), np.array(centre[1]), 0.0)
                ],
                "radius": round(size, 3),
                "ttf": edges[rod.name],
            }
        )
    return found


def _sigma(edges: list[dict[str, Any] | None]) -> float:
    """Return the point spread's sigma in mm by the edge of the largest contrast, 0 where there is none."""
    sharp = [each for each in edges if each is not None and each["sigma"] is not None]
    return float(max(sharp, key=lambda each: abs(each["contrast"]))["sigma"]) if sharp else 0.0


def limits_of(stack: Stack) -> tuple[float, float]:
    """Return the values at and beyond which the data seems cut off: the lowest and highest there are."""
    array = stack.volume.array
    return float(array.min()), float(array.max())


def linearity(found: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return slope, offset and r of measured over nominal, and the largest deviation from that line."""
    pairs = [
        (each["nominal"], each["mean"])
        for each in found
        if each["nominal"] is not None and each["mean"] is not None
    ]
    if len(pairs) < 3:
        return None
    nominal, mean = np.array(pairs, float).T
    slope, offset = np.polyfit(nominal, mean, 1)
    rest = mean - slope * nominal - offset
    return {
        "slope": round(float(slope), 5),
        "offset": round(float(offset), 2),
        "r": round(float(np.corrcoef(nominal, mean)[0, 1]), 6),
        "largest_residual": round(float(np.abs(rest).max()), 2),
        "largest_difference": round(float(np.abs(mean - nominal).max()), 2),
        "inserts": len(pairs),
    }


def nodes(stack: Stack, placement: Placement, module: Module, numbers: list[int]) -> dict[str, Any] | None:
    """Return the distances between the four nodes in mm; None for a module without."""
    wanted = module.more.get("nodes")
    if wanted is None:
        return None
    half = wanted["spacing"] / 2
    places = [
        _node(stack, placement, numbers, u, v)
        for u, v in ((half, half), (-half, half), (-half, -half), (half, -half))
    ]
    seen = [place for place in places if place is not None]
    if len(seen) < 4:
        return {"distances": [], "mean": None, "reason": f"{len(seen)} of 4 nodes seen", "slices": numbers}
    sides = [math.dist(a, b) for a, b in zip(seen, [*seen[1:], seen[0]], strict=True)]
    return {
        "distances": [round(each, 3) for each in sides],
        "mean": round(float(np.mean(sides)), 3),
        "nominal": wanted["spacing"],
        "largest_difference": round(max(abs(each - wanted["spacing"]) for each in sides), 3),
        "slices": numbers,
    }


def _node(
    stack: Stack, placement: Placement, numbers: list[int], u: float, v: float
) -> tuple[float, float] | None:
    for _ in range(3):
        offsets = np.arange(-5, 5.01, 0.25)
        du, dv = np.meshgrid(offsets, offsets)
        values = slab_sample(stack, placement, numbers, u + du, v + dv).mean(axis=0)
        if not np.isfinite(values).all():
            return None
        away = values - np.median(values[np.hypot(du, dv) > 3.5])
        scatter = 1.4826 * float(np.median(np.abs(away)))
        if np.abs(away).max() < max(6 * scatter, 20):
            return None
        sign = 1 if away.max() > -away.min() else -1
        weight = np.clip(sign * away - 0.2 * float((sign * away).max()), 0, None)
        top = np.unravel_index(int(weight.argmax()), weight.shape)
        weight = weight * (np.hypot(du - du[top], dv - dv[top]) < 3.0)
        u += float((weight * du).sum() / weight.sum())
        v += float((weight * dv).sum() / weight.sum())
    return u, v


def uniformity(
    stack: Stack, placement: Placement, module: Module, numbers: list[int], noise: Noise | None, radius: float
) -> dict[str, Any]:
    """Return centre and edges of a uniform module, HU, and how cupped it is.

    `acr` is the largest |edge − centre|, `iec` the same of ROIs of a tenth of the diameter, 10 mm from the rim, `cup`
    the fall from rim to centre of a parabola through all of it.
    """
    floor, ceiling = limits_of(stack)
    r, size = float(module.more["r"]), float(module.more["roi"])
    places = {
        "centre": (0.0, 0.0),
        "right": (r, 0.0),
        "bottom": (0.0, r),
        "left": (-r, 0.0),
        "top": (0.0, -r),
    }
    rois = {
        name: statistics(region(stack, placement, place, size, numbers), noise, floor, ceiling)
        for name, place in places.items()
    }
    centre = rois["centre"]["mean"]
    edges = [each["mean"] for name, each in rois.items() if name != "centre"]
    off: list[float] = [edge - centre for edge in edges if edge is not None and centre is not None]
    values = [each for each in (centre, *edges) if each is not None]
    spread = max(values) - min(values) if len(values) > 1 else None
    return {
        "mean": centre,
        "rois": rois,
        "acr": round(max(map(abs, off)), 3) if len(off) == 4 else None,
        "signed": round(sorted(off, key=lambda each: each**2)[-1], 3) if len(off) == 4 else None,
        "iec": _iec(stack, placement, module, numbers, radius),
        "inu": None if spread is None else round(spread / (max(values) + min(values) + 2000), 6),
        "cup": _cup(stack, placement, module, numbers, radius),
        "slices": numbers,
    }


def _iec(
    stack: Stack, placement: Placement, module: Module, numbers: list[int], radius: float
) -> float | None:
    size = 0.1 * module.radius
    r = min(module.radius, radius) - 10 - size
    means = []
    for u, v in ((0.0, 0.0), (r, 0.0), (0.0, r), (-r, 0.0), (0.0, -r)):
        found = region(stack, placement, (u, v), size, numbers).values
        if not found.size:
            return None
        means.append(float(found.mean()))
    return round(max(abs(each - means[0]) for each in means[1:]), 3)


def _cup(
    stack: Stack, placement: Placement, module: Module, numbers: list[int], radius: float
) -> float | None:
    """Return c of value = a − c·(1 − r²/R²), R the phantom's radius, over the uniform disc."""
    part = [_radial(stack, placement, module, number) for number in numbers]
    r = np.concatenate([each[0] for each in part])
    values = np.concatenate([each[1] for each in part])
    if values.size < 100:
        return None
    slope, _ = np.polyfit((r / radius) ** 2, values, 1)
    return round(float(slope), 3)


def _radial(stack: Stack, placement: Placement, module: Module, number: int) -> tuple[Values, Values]:
    step = 3
    rows, columns = np.meshgrid(
        np.arange(0, stack.volume.shape[1], step), np.arange(0, stack.volume.shape[2], step), indexing="ij"
    )
    u, v, _ = placement.inside(stack.places(number, rows, columns))
    r = np.hypot(u, v)
    near = r < 0.85 * module.radius
    return r[near], stack.volume.array[number][::step, ::step][near].astype(float)


def low_contrast(
    stack: Stack, placement: Placement, module: Module, numbers: list[int], noise: Noise | None
) -> list[dict[str, Any]]:
    """Return contrast and contrast to noise of each disc of a module of low contrast."""
    found = []
    for rod in module.rods:
        inner = region(stack, placement, rod.centre, ROI_SHARE * rod.radius, numbers)
        around = [
            _beside(stack, placement, rod.angle + side, rod.r, rod.radius, numbers) for side in (-14, 14)
        ]
        if module.rods == (rod,):
            around = [_beside(stack, placement, rod.angle - 25, rod.r, 6.0, numbers)]
        outer = np.concatenate(around)
        if inner.values.size < 5 or outer.size < 5:
            continue
        difference, sd = float(inner.values.mean() - outer.mean()), float(outer.std(ddof=1))
        effective = noise.effective(inner.masks) if noise is not None else inner.values.size / 4
        found.append(
            {
                "name": rod.name,
                "diameter": 2 * rod.radius,
                "contrast": round(difference, 2),
                "cnr": round(abs(difference) / sd, 3) if sd else None,
                "se": round(sd * math.sqrt(1 / effective + 4 / outer.size), 3),
                "slices": list(inner.slices),
            }
        )
    return found


def _beside(
    stack: Stack, placement: Placement, angle: float, r: float, radius: float, numbers: list[int]
) -> Values:
    turn = math.radians(angle)
    shift = 0.62 * r if radius < 10 else r
    return region(
        stack, placement, (shift * math.cos(turn), shift * math.sin(turn)), min(radius, 5.0), numbers
    ).values


def detectability(stack: Stack, placement: Placement, numbers: list[int]) -> list[dict[str, Any]]:
    """Return the least contrast that discs of some diameters can have and be seen: 3.29 × SD of means (95 %)."""
    found = []
    for diameter in (3.0, 5.0, 9.0, 15.0):
        steps = np.arange(-40, 40.1, diameter)
        means = [
            float(part.mean())
            for number, u, v in itertools.product(numbers[:: max(1, (len(numbers) + 1) // 2)], steps, steps)
            if math.hypot(u, v) < 42
            and (part := region(stack, placement, (float(u), float(v)), diameter / 2, [number]).values).size
        ]
        if len(means) > 20:
            found.append(
                {
                    "diameter": diameter,
                    "contrast": round(3.29 * float(np.std(means, ddof=1)), 3),
                    "discs": len(means),
                }
            )
    return found
