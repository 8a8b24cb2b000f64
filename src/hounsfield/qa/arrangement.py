"""Which of the models with the same ring it is, and whether the data is mirrored or the phantom turned end for end.

A ring that runs the wrong way is seen in both cases: what lies before it and behind it along the axis decides. The
gauge of line pairs is the module that can be met without knowing anything else: nothing else has that much fine
structure.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from hounsfield.phantom.qa import Model
from hounsfield.qa.axis import Axis
from hounsfield.qa.recognition import Ring, over_slabs, profiles
from hounsfield.qa.stack import Stack, Values

CLEAR_LEAD = 0.15
"""Of an arrangement over the next one; with less they are named together."""

_MIRROR_COST, _REVERSE_COST = 0.30, 0.05
_RADIUS_COST, _ROLL_COST = 0.20, 0.15
_NEAR_MM = 6.0


@dataclass(frozen=True)
class Arrangement:
    """The model, and all that fit as well (itself among them); `is_sure` of mirror and end."""

    model: Model
    alike: tuple[Model, ...]
    is_mirrored: bool
    is_reversed: bool
    is_sure: bool


@dataclass(frozen=True)
class _Evidence:
    heights: Values
    fine: Values
    uneven: Values
    seen: bool


def arrange(stack: Stack, axis: Axis, ring: Ring) -> Arrangement:
    """Return the arrangement that agrees best with what is before and behind the ring."""
    evidence = _evidence(stack, axis, ring)
    scored = []
    for model, is_mirrored, is_reversed in itertools.product(ring.models, (False, True), (False, True)):
        if (is_mirrored != is_reversed) != ring.is_mirrored:
            continue
        roll = -ring.turn if ring.is_mirrored else ring.turn
        off = abs((roll + 180) % 360 - 180) / 180
        score = _agreement(evidence, axis, ring, model, is_reversed)
        score -= _MIRROR_COST * is_mirrored + _REVERSE_COST * is_reversed + _ROLL_COST * off
        score -= _RADIUS_COST * min(abs(axis.radius - model.radius), 5.0)
        scored.append((score, model, is_mirrored, is_reversed))
    scored.sort(key=lambda each: -each[0])
    best, model, is_mirrored, is_reversed = scored[0]
    alike = tuple(dict.fromkeys(each[1].name for each in scored if best - each[0] < CLEAR_LEAD))
    other_way = [each for each in scored if (each[2], each[3]) != (is_mirrored, is_reversed)]
    return Arrangement(
        model=model,
        alike=tuple(each for each in ring.models if each.name in alike),
        is_mirrored=is_mirrored,
        is_reversed=is_reversed,
        is_sure=evidence.seen and all(best - each[0] >= CLEAR_LEAD for each in other_way),
    )


def _evidence(stack: Stack, axis: Axis, ring: Ring) -> _Evidence:
    bars = ring.models[0].module("bars")
    at = 47.0 if bars is None else float(bars.more["r"])
    fine = _largest([_fine(profiles(stack, axis, at + off, (0.0,))) for off in (-2.0, 0.0, 2.0)])
    wide = [over_slabs(axis, profiles(stack, axis, radius)) for radius in (15.0, 30.0, 50.0)]
    uneven = _largest([_uneven(each) for each in wide])
    heights = axis.heights
    outside = np.abs(heights - ring.z) > 18
    usable = np.isfinite(fine)
    level = float(np.nanmedian(fine[usable])) if usable.any() else 0.0
    top = float(np.nanmax(np.where(outside & usable, fine, -np.inf))) if (outside & usable).any() else 0.0
    return _Evidence(heights, fine / max(top, 1e-9), uneven, top > 3 * level > 0)


def _largest(found: list[Values]) -> Values:
    """Return the largest of several values for each slice, NaN where one is."""
    largest: Values = np.max(found, axis=0)
    return largest


def _fine(ring: Values) -> Values:
    """Return the scatter of a ring about its own moving mean over 15°: bars."""
    with np.errstate(invalid="ignore"):
        wide = np.fft.irfft(
            np.fft.rfft(ring, axis=1) * (np.arange(ring.shape[1] // 2 + 1) < 24), ring.shape[1], axis=1
        )
        rest: Values = np.percentile(np.abs(ring - wide), 97, axis=1)
    return rest


def _uneven(ring: Values) -> Values:
    """Return the range of a ring smoothed over 10°: inserts, bars, discs, nodes; nothing in a uniform module."""
    with np.errstate(invalid="ignore"):
        smooth = np.fft.irfft(
            np.fft.rfft(ring, axis=1) * (np.arange(ring.shape[1] // 2 + 1) < 36), ring.shape[1], axis=1
        )
        low, high = np.percentile(smooth, (1, 99), axis=1)
    found: Values = high - low
    return found


def _agreement(evidence: _Evidence, axis: Axis, ring: Ring, model: Model, is_reversed: bool) -> float:
    """Return how well a model's modules lie where fine and no structure are: about −1 to 2."""
    score = 0.0
    sign = -1 if is_reversed else 1
    bars, uniform = model.module("bars"), model.module("uniform")
    if bars is not None and evidence.seen:
        seen = _at(evidence, evidence.fine, ring.z + sign * bars.z)
        score += 0.0 if seen is None else 1.6 * min(seen, 1.0) - 0.8
    if uniform is not None:
        seen = _at(evidence, evidence.uneven, ring.z + sign * uniform.z)
        usual = float(np.nanmedian(evidence.uneven))
        quiet = float(np.nanmin(evidence.uneven))
        if seen is not None and usual > quiet > 0:
            score += 0.5 * (1 - min((seen - quiet) / (usual - quiet), 2.0))
    return score


def _at(evidence: _Evidence, values: Values, z: float) -> float | None:
    """Return the median of values within a few mm of a height; None where nothing was scanned."""
    near = (np.abs(evidence.heights - z) <= _NEAR_MM) & np.isfinite(values)
    return float(np.median(values[near])) if near.any() else None
