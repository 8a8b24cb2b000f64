"""The analysis of a phantom's scan: find, place, measure, compare with limits that were named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError, NotHounsfieldError, SelectionError, UnsupportedError
from hounsfield.language import say
from hounsfield.phantom.qa import Model, Module, model, names
from hounsfield.qa import limits as limit_sets
from hounsfield.qa import modules as measuring
from hounsfield.qa.arrangement import Arrangement, arrange
from hounsfield.qa.axis import LEAST_SLICES, Axis, axis, check_level
from hounsfield.qa.noise import Noise, measure, usable
from hounsfield.qa.placement import Ends, Placement, centred, fitted, placed, slab
from hounsfield.qa.recognition import LEAST_SCORE, Ring, recognise
from hounsfield.qa.result import Result
from hounsfield.qa.slices import thickness
from hounsfield.qa.stack import Stack
from hounsfield.qa.water import water

HOUNSFIELD_SLOPES = (0.95, 1.05)
"""Slope of measured over nominal HU beyond which the values are not HU, whatever the header says."""

_RADII = (92.0, 106.0)


def analyse(
    volume: Volume,
    phantom: str | Path = "auto",
    limits: str | Path | None = None,
    *,
    unconfirmed_limits: bool = False,
    roll: float | None = None,
) -> Result:
    """Find the phantom in a volume and measure it.

    - `volume`: axial slices of HU, loaded with `clamp=False` so that air keeps what is below −1024
    - `phantom`: "auto", a name of `hounsfield.phantom.qa.names()`, or a JSON file that describes one
    - `limits`: a set of limits by name or file; without one nothing is judged
    - `unconfirmed_limits`: judge also by limits whose text was not at hand
    - `roll`: degrees, overrides what was found

    Raises `NotHounsfieldError` for another unit, `SelectionError` when no phantom, another one, two, or two models
    alike are met, `GeometryError` for slices that show no axis or lean, `UnsupportedError` for lossy data.
    """
    _check_volume(volume)
    chosen = None if limits is None else limit_sets.named(limits, unconfirmed=unconfirmed_limits)
    stack = Stack(volume)
    known = tuple(model(each) for each in names())
    wanted = known if str(phantom) == "auto" else (model(phantom),)
    everything = (
        known if str(phantom) == "auto" else tuple({each.name: each for each in (*known, *wanted)}.values())
    )
    found = (
        None
        if all(each.module("inserts") is None for each in wanted)
        else _ringed(stack, everything, wanted, roll)
    )
    if found is None:
        found = water(stack, wanted)
    result = _judged(found, chosen)
    return replace(
        result, details={**result.details, "scanner": _scanner(volume), "protocol": _protocol(volume)}
    )


def _check_volume(volume: Volume) -> None:
    if not volume.is_hounsfield:
        raise NotHounsfieldError(
            say("values are in {unit}", unit=volume.unit), expected="HU", remedy="analyse the series in HU"
        )
    if len(volume.array) < LEAST_SLICES:
        raise GeometryError(
            say("{count} slices", count=len(volume.array)),
            expected=say("at least {least_slices}", least_slices=LEAST_SLICES),
            remedy="scan a whole module",
        )
    if any("lossy" in each.lower() for each in volume.report.warnings):
        raise UnsupportedError("the images were compressed with loss", expected="original values")
    if len(set(volume.array[len(volume.array) // 2].ravel()[::7].tolist())) < 8:
        raise UnsupportedError("slices hold next to no different values", expected="CT numbers")


@dataclass(frozen=True)
class _Found:
    """Everything that is known before measuring."""

    stack: Stack
    axis: Axis
    ring: Ring
    arrangement: Arrangement
    placement: Placement
    ends: Ends

    @property
    def model(self) -> Model:
        return self.arrangement.model


def _ringed(
    stack: Stack, everything: tuple[Model, ...], wanted: tuple[Model, ...], roll: float | None
) -> Result | None:
    sizes = [each.radius for each in wanted if each.module("inserts") is not None]
    line = axis(stack, (min(_RADII[0], *sizes, *sizes) - 4, max(_RADII[1], *sizes, *sizes) + 4))
    ring = None if line is None else recognise(stack, line, everything, wanted)
    if line is None or ring is None:
        if any(each.module("inserts") is None for each in wanted):
            return None
        seen = (
            "no circle of its size" if line is None else f"no slice whose ring correlates by {LEAST_SCORE:g}"
        )
        raise SelectionError(
            say("no phantom met: {seen}", seen=seen), expected=" or ".join(each.title for each in wanted)
        )
    check_level(line)
    arrangement = arrange(stack, line, ring)
    module = _inserts_of(arrangement.model)
    place = placed(
        line, ring.z, ring.turn, mirrored=arrangement.is_mirrored, reversed_=arrangement.is_reversed
    )
    place, ends = centred(stack, line, place, arrangement.model, module)
    inner = _inner_slices(stack, place, module, ends)
    place = fitted(stack, place, arrangement.model, module, inner)
    if roll is not None:
        turn = -roll if ring.is_mirrored else roll
        turned = placed(line, ring.z, turn, mirrored=place.is_mirrored, reversed_=place.is_reversed)
        place = replace(turned, centre=place.centre)
    return _measured(_Found(stack, line, ring, arrangement, place, ends))


def _inserts_of(phantom: Model) -> Module:
    module = phantom.module("inserts")
    if module is None:
        raise SelectionError(
            say("{title} has no inserts", title=phantom.title), expected="a phantom with a ring of inserts"
        )
    return module


def _inner_slices(stack: Stack, place: Placement, module: Module, ends: Ends) -> list[int]:
    """Return the slices that lie within the module of inserts, one slice away from either end."""
    half = module.length / 2 - max(1.2 * stack.step, 3.0)
    numbers = slab(stack, place, 0.0, max(half, 0.6 * stack.step))
    if not numbers:
        raise GeometryError("no slice lies within the module of inserts", expected="thinner slices")
    gaps = set(numbers) & set(stack.volume.report.filled)
    if gaps:
        raise GeometryError(
            say("slices are missing inside {name}", name=module.name),
            expected="all of them",
            slices=sorted(gaps),
        )
    return numbers


def _measured(found: _Found) -> Result:
    stack, place, phantom = found.stack, found.placement, found.model
    module = _inserts_of(phantom)
    inner = _inner_slices(stack, place, module, found.ends)
    is_known = len(found.arrangement.alike) == 1
    missing: list[str] = []
    slices_of = {module.name: inner}
    for other in phantom.modules:
        if other is not module:
            numbers = _slices_of(found, other) if is_known else []
            if numbers:
                slices_of[other.name] = numbers
            else:
                missing.append(other.name)
    noise = _noise(stack, place, phantom, slices_of)
    inserts = measuring.inserts(stack, place, phantom, module, inner, noise)
    line = measuring.linearity(inserts)
    return Result(
        phantom=phantom.name,
        model=phantom,
        placement=place,
        details={
            "phantom": _named(found),
            "modules": [
                {"name": name, "kind": _kind(phantom, name), "slices": n} for name, n in slices_of.items()
            ],
            "inserts": inserts,
            "linearity": line,
            **_others(found, slices_of, noise, inserts),
        },
        missing=tuple(missing),
        warnings=tuple(_warnings(found, line, inserts)),
    )


def _slices_of(found: _Found, module: Module) -> list[int]:
    """Return the slices of a module that has no inserts; none when it was not scanned or has gaps."""
    numbers = usable(found.stack, found.placement, module.z, module.length)
    scanned = set(found.axis.slices)
    kept = [number for number in numbers if number in scanned]
    return [] if set(kept) & set(found.stack.volume.report.filled) else kept


def _kind(phantom: Model, name: str) -> str:
    return next(each.kind for each in phantom.modules if each.name == name)


def _noise(stack: Stack, place: Placement, phantom: Model, slices_of: dict[str, list[int]]) -> Noise | None:
    uniform = phantom.module("uniform")
    if uniform is None or uniform.name not in slices_of:
        return None
    return measure(stack, place, slices_of[uniform.name])


def _others(
    found: _Found, slices_of: dict[str, list[int]], noise: Noise | None, inserts: list[dict[str, Any]]
) -> dict[str, Any]:
    stack, place, phantom = found.stack, found.placement, found.model
    module = _inserts_of(phantom)
    sharp = [each["ttf"] for each in inserts if each["ttf"] is not None and each["ttf"]["sigma"] is not None]
    psf = max(sharp, key=lambda each: abs(each["contrast"]))["sigma"] if sharp else None

    def of(kind: str, make: Callable[[Module, list[int]], Any]) -> Any:
        one = phantom.module(kind)
        return None if one is None or one.name not in slices_of else make(one, slices_of[one.name])

    uniform = of("uniform", lambda one, n: measuring.uniformity(stack, place, one, n, noise, phantom.radius))
    return {
        "thickness": thickness(stack, place, module, psf),
        "geometry": measuring.nodes(stack, place, module, slices_of[module.name]),
        "uniformity": uniform,
        "noise": noise_of(noise, inserts),
        "nps": None if noise is None else noise.spectrum,
        "low_contrast": of(
            "low contrast", lambda one, n: measuring.low_contrast(stack, place, one, n, noise)
        ),
        "detectability": of("uniform", lambda one, n: measuring.detectability(stack, place, n)),
    }


def noise_of(noise: Noise | None, inserts: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the noise in HU, and in percent of what lies between water and air where air was measured."""
    if noise is None:
        return None
    air = [each["mean"] for each in inserts if each["material"] == "air" and each["mean"] is not None]
    span = -air[0] if air else 1000.0
    return {
        "sd": round(noise.sd, 3),
        "percent": round(noise.sd / span * 100, 4),
        "percent_of": round(span, 1),
    }


def _named(found: _Found) -> dict[str, Any]:
    ring, arrangement = found.ring, found.arrangement
    alike = [each.name for each in arrangement.alike]
    return {
        "model": found.model.name,
        "title": found.model.title
        if len(alike) == 1
        else " or ".join(each.title for each in arrangement.alike),
        "alike": alike,
        "score": round(ring.score, 4),
        "next": {"model": ring.next_kind[0], "score": round(ring.next_kind[1], 4)},
        "mirror_score": round(ring.other_hand, 4),
        "mirror": arrangement.is_mirrored,
        "end": "reversed" if arrangement.is_reversed else "normal",
        "sure": arrangement.is_sure,
        "radius": round(found.axis.radius, 2),
        "arc": round(found.axis.arc, 0),
    }


def _warnings(found: _Found, line: dict[str, Any] | None, inserts: list[dict[str, Any]]) -> list[str]:
    said = []
    arrangement = found.arrangement
    if len(arrangement.alike) > 1:
        said.append(f"only the module of inserts tells: {' or '.join(e.title for e in arrangement.alike)}")
    if arrangement.is_mirrored:
        said.append("the data is mirrored: left and right are not what the header says")
    if arrangement.is_reversed:
        said.append("the phantom lies end for end")
    if found.ring.is_mirrored and not arrangement.is_sure:
        said.append("mirrored data and a phantom turned end for end cannot be told apart by what was scanned")
    if line is not None and not HOUNSFIELD_SLOPES[0] <= line["slope"] <= HOUNSFIELD_SLOPES[1]:
        said.append(
            f"not HU: measured over nominal has a slope of {line['slope']:.3f} and an offset of {line['offset']:.0f}"
        )
    for each in inserts:
        if each["censored"]:
            said.append(
                f"{each['name']}: {each['floor']:.0%} of the ROI is cut off below; a censored estimate is given"
            )
        elif each["mean"] is None:
            said.append(f"{each['name']}: {each['floor']:.0%} of the ROI is cut off; no value")
    if None in (found.ends.low, found.ends.high):
        said.append("an end of the module of inserts was not scanned")
    if found.axis.arc < 355:
        said.append(f"the rim is seen over {found.axis.arc:.0f}° only")
    return said


def _judged(result: Result, chosen: limit_sets.LimitSet | None) -> Result:
    if chosen is None:
        return result
    line = result.details.get("linearity")
    if line is not None and not HOUNSFIELD_SLOPES[0] <= line["slope"] <= HOUNSFIELD_SLOPES[1]:
        raise NotHounsfieldError(
            say("slope {line} of measured over nominal", line=format(line["slope"], ".3f")),
            expected="0.95 to 1.05 for limits of CT",
            remedy="judge a cone beam by its own baseline, without --limits",
        )
    return replace(
        result,
        verdicts=tuple(chosen.verdicts(result)),
        details={
            **result.details,
            "limits": {"name": chosen.name, "title": chosen.title, "source": chosen.source},
        },
    )


def _scanner(volume: Volume) -> dict[str, Any]:
    keys = {"manufacturer": "Manufacturer", "model": "ManufacturerModelName", "station": "StationName"}
    return {key: volume.header.get(keyword) for key, keyword in keys.items()}


def _protocol(volume: Volume) -> dict[str, Any]:
    return {
        "kv": volume.header.get("KVP"),
        "kernel": volume.header.get("ConvolutionKernel"),
        "step_mm": round(float(volume.spacing[0]), 4),
        "pixel_mm": round(float(volume.spacing[1]), 4),
        "slices": int(volume.shape[0]),
    }
