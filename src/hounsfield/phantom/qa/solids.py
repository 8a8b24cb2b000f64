"""Analytic solids in one slice: discs, holes, wires on a ramp and groups of bars, by the share of a pixel they cover.

Values are additive: every solid is the difference to what it lies in. Not the image: point spread and noise come later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hounsfield.phantom.qa.description import Model, Module
from hounsfield.phantom.qa.scan import Scan

Plane = NDArray[np.float64]
Covered = tuple[tuple[NDArray[np.intp], ...], Plane]
"""Indexes of pixels, and the share of each that a solid covers."""

SUBSAMPLES = 8
"""Along each side of a pixel at an edge."""

WIRE_SIGMA = 0.35
"""mm across a wire."""


@dataclass(frozen=True)
class Slice:
    """The (u, v) of every pixel of a slice, (rows, columns) each, in mm, and the step of a pixel.

    `w` is (rows, columns) as well, or (1, 1) where the slice lies across the axis; `discs` keeps what was covered.
    """

    u: Plane
    v: Plane
    w: Plane
    pixel: float
    discs: dict[tuple[float, float, float], Covered] = field(default_factory=dict)


def paint(out: Plane, plane: Slice, model: Model, scan: Scan) -> None:
    """Add the phantom to `out`, (rows, columns), which holds air; HU without noise."""
    ends = [(each.z - each.length / 2, each.z + each.length / 2) for each in model.modules]
    body = _slab(plane, min(low for low, _ in ends) - 10, max(high for _, high in ends) + 10, scan)
    shell = model.shell.get("thickness", 0.0)
    if shell:
        _add(out, plane, (0, 0, model.radius), (model.shell["hu"] + 1000) * body)
        _add(out, plane, (0, 0, model.radius - shell), (model.hu - model.shell["hu"]) * body)
    else:
        _add(out, plane, (0, 0, model.radius), (model.hu + 1000) * body)
    reach = scan.thickness / 2 + 8 * scan.blur
    for module, (low, high) in zip(model.modules, ends, strict=True):
        is_near = plane.w.max() > low - reach and plane.w.min() < high + reach
        if module.name not in scan.missing and is_near:
            _paint_module(out, plane, module, model, scan, _slab(plane, low, high, scan))


def _paint_module(out: Plane, plane: Slice, module: Module, model: Model, scan: Scan, within: Plane) -> None:
    _add(out, plane, (0, 0, module.radius), (module.hu - model.hu) * within)
    for rod in module.rods:
        hu = rod.hu if rod.hu is not None else model.nominal(rod.material)
        if hu is not None:
            _add(out, plane, (*rod.centre, rod.radius), (hu - module.hu) * within)
    nodes = module.more.get("nodes")
    if nodes is not None:
        half = nodes["spacing"] / 2
        places = ((half, half), (-half, half), (-half, -half), (half, -half))
        for (u, v), material in zip(places, nodes["materials"], strict=True):
            hu = 1000.0 if material == "Teflon" else -1000.0
            _add(out, plane, (u, v, nodes["radius"]), (hu - module.hu) * within)
    _paint_ramps(out, plane, module, scan)
    _paint_bars(out, plane, module, within)


def _paint_ramps(out: Plane, plane: Slice, module: Module, scan: Scan) -> None:
    """Add four wires, each rising along its run; those that face each other rise opposite ways."""
    ramps = module.more.get("ramps")
    if ramps is None:
        return
    rise = math.tan(math.radians(ramps["angle"]))
    at, half, diameter = ramps["distance"], ramps["length"] / 2, ramps["diameter"]
    w = np.broadcast_to(plane.w, plane.u.shape)
    for across, along in ((plane.u, plane.v), (plane.v, plane.u)):
        for side in (1, -1):
            near = (np.abs(across - side * at) < 3) & (np.abs(along) < half)
            height = w[near] - module.z - side * rise * along[near]
            profile = profile_integral(height + diameter / 2, scan) - profile_integral(
                height - diameter / 2, scan
            )
            spread = np.exp(-0.5 * ((across[near] - side * at) / WIRE_SIGMA) ** 2)
            out[near] += (ramps["hu"] - module.hu) * profile * spread


def _paint_bars(out: Plane, plane: Slice, module: Module, within: Plane) -> None:
    weight = np.broadcast_to(within, plane.u.shape)
    for group in module.more.get("groups", ()):
        angle = math.radians(group["angle"])
        along = plane.u * math.cos(angle) + plane.v * math.sin(angle) - module.more["r"]
        across = -plane.u * math.sin(angle) + plane.v * math.cos(angle)
        width = 5 / group["lp_per_cm"]
        near = (np.abs(along) < 5) & (np.abs(across) < 5 * width + 2)
        offsets = (np.arange(SUBSAMPLES) + 0.5) / SUBSAMPLES - 0.5
        fine = across[near][:, None] + offsets * plane.pixel
        bars = (np.abs(fine) < 4.5 * width) & (np.floor((fine + 4.5 * width) / width) % 2 == 0)
        out[near] += (module.more["bar_hu"] - module.hu) * weight[near] * bars.mean(axis=1)


def _add(out: Plane, plane: Slice, disc: tuple[float, float, float], hu: Plane) -> None:
    """Add `hu`, (rows, columns) or (1, 1), where a disc (u, v, radius) lies, by the share of each pixel it covers."""
    if disc not in plane.discs:
        plane.discs[disc] = _disc(plane, *disc)
    where, share = plane.discs[disc]
    out[where] += share * (hu[0, 0] if hu.size == 1 else hu[where])


def _disc(plane: Slice, u: float, v: float, radius: float) -> Covered:
    squared = (plane.u - u) ** 2 + (plane.v - v) ** 2
    where = np.nonzero(squared < (radius + plane.pixel) ** 2)
    found = squared[where]
    share = (found < radius**2).astype(np.float64)
    edge = found > max(radius - plane.pixel, 0) ** 2
    offsets = ((np.arange(SUBSAMPLES) + 0.5) / SUBSAMPLES - 0.5) * plane.pixel
    du, dv = (axis.ravel() for axis in np.meshgrid(offsets, offsets))
    fine_u, fine_v = plane.u[where][edge][:, None] - u + du, plane.v[where][edge][:, None] - v + dv
    share[edge] = (fine_u**2 + fine_v**2 < radius**2).mean(axis=1)
    return where, share


def _slab(plane: Slice, low: float, high: float, scan: Scan) -> Plane:
    """Return the share of the slice profile at each w that lies between two heights."""
    return profile_integral(plane.w - low, scan) - profile_integral(plane.w - high, scan)


def profile_integral(height: Plane, scan: Scan) -> Plane:
    """Return the integral of the slice profile, a box blurred by a Gaussian, from −∞ to `height`."""
    half, sigma = scan.thickness / 2, max(scan.blur, 1e-3)

    def ramp(x: Plane) -> Plane:
        scaled = x / sigma
        density = np.exp(-0.5 * scaled**2) / math.sqrt(2 * math.pi)
        found: Plane = sigma * (scaled * _normal(scaled) + density)
        return found

    found: Plane = (ramp(height + half) - ramp(height - half)) / scan.thickness
    return found


def _normal(x: Plane) -> Plane:
    """Return the normal distribution function, from a table."""
    found: Plane = np.interp(x, _GRID, _TABLE)
    return found


_GRID = np.linspace(-8, 8, 8001)
_TABLE = np.array([0.5 * (1 + math.erf(x / math.sqrt(2))) for x in _GRID])
