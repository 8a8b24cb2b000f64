"""A phantom of water: a cylinder of any size that is even inside. No inserts: its turn and ends cannot be seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hounsfield.errors import SelectionError
from hounsfield.language import say
from hounsfield.phantom.qa import Model, model
from hounsfield.qa import modules as measuring
from hounsfield.qa.axis import Axis, axis, check_level
from hounsfield.qa.noise import Noise, measure
from hounsfield.qa.placement import placed
from hounsfield.qa.recognition import profiles
from hounsfield.qa.result import Result
from hounsfield.qa.stack import Stack, Values

RADII = (60.0, 170.0)
"""mm: from a paediatric head to a body phantom."""

UNEVEN_HU = 25.0
"""Range over the interior, smoothed, of anything that is no patient: cupping of a cone beam is along the radius."""

LEAST_ARC = 300.0
"""Degrees of rim that must be a circle to within 0.8 mm: heads are not."""

LEAST_EVEN = 0.65
"""Share of the slices with an outline that must be even inside: other phantoms have one even module among many."""

_LEAST_LENGTH_MM = 10.0


def water(stack: Stack, wanted: tuple[Model, ...]) -> Result:
    """Return the analysis of a water phantom; raises `SelectionError` where there is none."""
    named = next((each for each in wanted if each.module("inserts") is None), model("water"))
    line = axis(stack, RADII)
    titles = " or ".join(each.title for each in wanted)
    if line is None:
        raise SelectionError("no phantom met: no circle that slices agree on", expected=titles)
    even = _even(stack, line)
    if (
        len(even) < LEAST_EVEN * len(line.slices)
        or line.arc < LEAST_ARC
        or len(even) * stack.step < _LEAST_LENGTH_MM
        or len(even) < 3
    ):
        raise SelectionError(
            say(
                "no phantom met: a round outline of {radius} mm, {count} slices even inside",
                radius=format(line.radius, ".0f"),
                count=len(even),
            ),
            expected=titles,
        )
    check_level(line)
    place = replace(
        placed(line, float(np.median(line.heights[even])), 0.0, mirrored=False, reversed_=False), roll=0.0
    )
    scaled = line.radius / named.radius
    module = named.module("uniform")
    if module is None:
        raise SelectionError(
            say("{title} has no uniform module", title=named.title), expected="one to measure"
        )
    shell = float(named.shell.get("thickness", 0.0))
    module = replace(
        module, radius=line.radius - shell - 3, more={**module.more, "r": float(module.more["r"]) * scaled}
    )
    noise = measure(stack, place, even)
    body = measuring.uniformity(stack, place, module, even, noise, line.radius)
    return Result(
        phantom=named.name,
        model=named,
        placement=place,
        details={
            "phantom": _named(named, line),
            "modules": [{"name": module.name, "kind": module.kind, "slices": even}],
            "inserts": [_insert(body["rois"]["centre"], place.centre, module.more["roi"])],
            "linearity": None,
            "thickness": None,
            "geometry": {"diameter": round(2 * line.radius, 2)},
            "uniformity": body,
            "noise": _noise(noise),
            "nps": None if noise is None else noise.spectrum,
            "low_contrast": None,
            "detectability": measuring.detectability(stack, place, even),
        },
        warnings=("turn, mirroring and ends of a phantom without inserts cannot be seen",),
    )


def _even(stack: Stack, line: Axis) -> list[int]:
    """Return the run of slices whose interior has no structure: rings of six radii are flat."""
    spans = np.max(
        [_range(profiles(stack, line, share * line.radius)) for share in (0.15, 0.3, 0.45, 0.6, 0.75)], axis=0
    )
    centre = np.array([_level(stack, line, number, 0.2) for number in range(stack.count)])
    outside = np.array([_level(stack, line, number, 1.15) for number in range(stack.count)])
    contrast = centre - outside
    usual = float(np.nanmedian(contrast)) if np.isfinite(contrast).any() else 0.0
    edge = np.array([_level(stack, line, number, 0.75) for number in range(stack.count)])
    good = (
        (spans < UNEVEN_HU)
        & (contrast > 0.8 * usual)
        & (usual > 200)
        & (np.abs(edge - centre) < 0.08 * abs(usual))
    )
    level = float(np.median(centre[good])) if good.any() else 0.0
    numbers = [number for number in line.slices if good[number] and abs(centre[number] - level) < UNEVEN_HU]
    return numbers[1:-1] if len(numbers) > 6 else numbers


def _range(rings: Values) -> Values:
    with np.errstate(invalid="ignore"):
        smooth = np.fft.irfft(
            np.fft.rfft(rings, axis=1) * (np.arange(rings.shape[1] // 2 + 1) < 12), rings.shape[1], axis=1
        )
        low, high = np.percentile(smooth, (1, 99), axis=1)
    found: Values = high - low
    return found


def _level(stack: Stack, line: Axis, number: int, share: float) -> float:
    x, y = line.point(float(line.heights[number]))
    angles = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    values = stack.sample(
        number, x + share * line.radius * np.cos(angles), y + share * line.radius * np.sin(angles)
    )
    return float(np.nanmedian(values)) if np.isfinite(values).sum() > 30 else float("nan")


def _named(named: Model, line: Axis) -> dict[str, Any]:
    return {
        "model": named.name,
        "title": named.title,
        "alike": [named.name],
        "score": round(line.arc / 360, 4),
        "next": {"model": "", "score": 0.0},
        "mirror_score": None,
        "mirror": None,
        "end": None,
        "sure": False,
        "radius": round(line.radius, 2),
        "arc": round(line.arc, 0),
    }


def _insert(numbers: dict[str, Any], place: Values, radius: float) -> dict[str, Any]:
    off = None if numbers["mean"] is None else round(numbers["mean"], 3)
    return {
        "name": "water",
        "material": "water",
        **numbers,
        "nominal": 0.0,
        "nominal_kv": None,
        "range": [-7, 7],
        "difference": off,
        "source": "definition of the Hounsfield scale",
        "place": [round(float(each), 2) for each in place],
        "radius": radius,
        "ttf": None,
    }


def _noise(noise: Noise | None) -> dict[str, Any] | None:
    if noise is None:
        return None
    return {"sd": round(noise.sd, 3), "percent": round(noise.sd / 10, 4), "percent_of": 1000.0}
