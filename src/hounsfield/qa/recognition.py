"""Which phantom it is, how it is turned and whether it is mirrored: by the shape of its ring of inserts.

The ring of every slice is correlated with the ring of every model over all angles, as it is and mirrored. A correlation
knows neither HU nor scale, so a cone beam's 0.47 of a value is no other phantom.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from hounsfield.errors import SelectionError
from hounsfield.language import say
from hounsfield.phantom.qa import Model, Module
from hounsfield.qa.axis import Axis
from hounsfield.qa.stack import Stack, Values

LEAST_SCORE = 0.80
"""Correlation of a right ring: 0.93 to 0.98 on real scans, also cone beams."""

LEAST_MARGIN = 0.04
"""Above the next kind of ring, which comes to 0.90 to 0.93."""

LEAST_MIRROR_MARGIN = 0.10
"""Above the same ring mirrored, which comes to 0.65 to 0.76."""

STEPS = 720
_WIDTH_MM = (-2.0, -1.0, 0.0, 1.0, 2.0)
_SLAB_MM = 4.0
_FAR_APART_MM = 60.0


@dataclass(frozen=True)
class Ring:
    """A ring of inserts met in a scan: the models that have it, its place and turn, how well it fits.

    `along` and `either` are the correlations of every slice: of the hand that fits, and the better of both.
    """

    models: tuple[Model, ...]
    score: float
    next_kind: tuple[str, float]
    other_hand: float
    is_mirrored: bool
    turn: float
    z: float
    along: Values
    either: Values


def recognise(stack: Stack, axis: Axis, models: tuple[Model, ...], wanted: tuple[Model, ...]) -> Ring | None:
    """Return the ring of one of the `wanted` models; None where no ring is met at all.

    Raises `SelectionError` for a ring of another model, for two kinds too near, and for two phantoms in a row.
    """
    kinds = _kinds(models)
    met = [_met(stack, axis, kind) for kind in kinds]
    best = max(met, key=lambda ring: ring.score)
    if best.score < LEAST_SCORE:
        return None
    others = [ring for ring in met if ring is not best]
    # At the same height: at a module's slanted end part of a ring may look like another one.
    height = int(best.along.argmax())
    follower = max(others, key=lambda ring: float(ring.either[height]), default=None)
    following = ("", 0.0) if follower is None else (follower.models[0].title, float(follower.either[height]))
    names = {each.name for each in wanted}
    if not names & {each.name for each in best.models}:
        found = " or ".join(each.title for each in best.models)
        raise SelectionError(
            say(
                "the inserts are those of {found} (correlation {score})",
                found=found,
                score=format(best.score, ".2f"),
            ),
            expected=" or ".join(each.title for each in wanted),
            remedy=say("--phantom {name}", name=best.models[0].name),
        )
    if best.score - following[1] < LEAST_MARGIN:
        raise SelectionError(
            say(
                "two models fit alike: {title} {score}, {following} {following2}",
                title=best.models[0].title,
                score=format(best.score, ".2f"),
                following=following[0],
                following2=format(following[1], ".2f"),
            ),
            expected=say("a margin of {least_margin}", least_margin=format(LEAST_MARGIN, "g")),
            remedy="scan the whole module, thinner or with less noise",
        )
    if best.score - best.other_hand < LEAST_MIRROR_MARGIN:
        raise SelectionError(
            say(
                "the ring fits mirrored as well ({score}, {other_hand})",
                score=format(best.score, ".2f"),
                other_hand=format(best.other_hand, ".2f"),
            ),
            expected=say(
                "a margin of {least_mirror_margin}", least_mirror_margin=format(LEAST_MIRROR_MARGIN, "g")
            ),
        )
    _check_alone(axis, best)
    kept = tuple(each for each in best.models if each.name in names)
    return Ring(
        kept,
        best.score,
        following,
        best.other_hand,
        best.is_mirrored,
        best.turn,
        best.z,
        best.along,
        best.either,
    )


def profiles(stack: Stack, axis: Axis, radius: float, offsets: tuple[float, ...] = _WIDTH_MM) -> Values:
    """Return the values on a ring of each slice, (slices, STEPS), clockwise from 3 o'clock; NaN outside."""
    angles = np.arange(STEPS) * (2 * math.pi / STEPS)
    radii = radius + np.asarray(offsets)[:, None]
    found = np.full((stack.count, STEPS), np.nan)
    for number in axis.slices:
        x, y = axis.point(float(axis.heights[number]))
        found[number] = stack.sample(number, x + radii * np.cos(angles), y + radii * np.sin(angles)).mean(
            axis=0
        )
    return found


def _kinds(models: tuple[Model, ...]) -> list[tuple[Model, ...]]:
    """Return models in groups that have the same ring."""
    groups: dict[tuple[tuple[str, float], ...], list[Model]] = {}
    for each in models:
        module = each.module("inserts")
        if module is not None and module.rods:
            key = tuple(
                sorted((rod.material, round(rod.angle % 360, 1), round(rod.r / 10)) for rod in module.rods)
            )
            groups.setdefault(key, []).append(each)  # type: ignore[arg-type]
    return [tuple(group) for group in groups.values()]


def _met(stack: Stack, axis: Axis, kind: tuple[Model, ...]) -> Ring:
    module = kind[0].module("inserts")
    if module is None:
        raise TypeError("a kind of ring without inserts")
    radius = float(np.mean([rod.r for rod in module.rods]))
    rings = over_slabs(axis, profiles(stack, axis, radius))
    shape = template(kind[0], module)
    straight, mirrored = _correlated(rings, shape), _correlated(rings, shape[-np.arange(STEPS) + STEPS // 2])
    scores = np.array([straight.max(axis=1), mirrored.max(axis=1)])
    hand, number = np.unravel_index(int(scores.argmax()), scores.shape)
    row = (straight, mirrored)[hand][number]
    return Ring(
        models=kind,
        score=float(row.max()),
        next_kind=("", 0.0),
        other_hand=float(scores[1 - hand, number]),
        is_mirrored=bool(hand),
        turn=_peak(row) * 360 / STEPS,
        z=float(axis.heights[number]),
        along=scores[hand],
        either=scores.max(axis=0),
    )


@cache
def _shape(rods: tuple[tuple[float, float, float, float], ...], radius: float) -> Values:
    angles = np.arange(STEPS) * (2 * math.pi / STEPS)
    found = np.zeros(STEPS)
    for u, v, size, contrast in rods:
        for offset in _WIDTH_MM:
            away = np.hypot((radius + offset) * np.cos(angles) - u, (radius + offset) * np.sin(angles) - v)
            found += contrast * np.clip((size - away) / 1.2 + 0.5, 0, 1) / len(_WIDTH_MM)
    return found


def template(model: Model, module: Module) -> Values:
    """Return the contrast on the ring of a module, (STEPS,), clockwise from 3 o'clock."""
    rods = []
    for rod in module.rods:
        hu = model.nominal(rod.material)
        if hu is not None:
            rods.append((*rod.centre, rod.radius, hu - module.hu))
    return _shape(tuple(rods), float(np.mean([rod.r for rod in module.rods])))


def over_slabs(axis: Axis, rings: Values) -> Values:
    """Return each ring averaged with its neighbours, where noise is larger than the ends of the module matter."""
    z = axis.heights
    found = np.full_like(rings, np.nan)
    for number in axis.slices:
        near = np.abs(z - z[number]) <= _SLAB_MM
        near &= np.isfinite(rings).mean(axis=1) > 0.5
        if near.any():
            found[number] = rings[near].mean(axis=0)
    return found


def _correlated(rings: Values, shape: Values) -> Values:
    """Return the correlation of each ring with the shape turned by each step, (slices, STEPS); −1 without a ring."""
    found = np.full(rings.shape, -1.0)
    missing = ~np.isfinite(rings)
    usable = missing.mean(axis=1) < 0.3
    filled = np.where(missing, 0.0, rings)
    for number in np.nonzero(usable)[0]:
        present = (~missing[number]).astype(float)
        ring = filled[number] - filled[number].sum() / present.sum() * present
        wave = np.conj(np.fft.rfft(shape))
        sums = np.fft.irfft(np.fft.rfft(ring) * wave, STEPS)
        # Moments of the shape over the steps that the slice has; with a whole ring they are constants.
        weight = np.fft.rfft(present)
        mean = np.fft.irfft(weight * wave, STEPS) / present.sum()
        square = np.fft.irfft(weight * np.conj(np.fft.rfft(shape**2)), STEPS)
        spread = np.sqrt(np.maximum(square - present.sum() * mean**2, 1e-9) * max(float(ring @ ring), 1e-9))
        found[number] = sums / spread
    return found


def _peak(row: Values) -> float:
    """Return the step of the largest value, with a fraction."""
    index = int(row.argmax())
    before, here, after = row[index - 1], row[index], row[(index + 1) % STEPS]
    bend = before - 2 * here + after
    return index + (0.5 * float((before - after) / bend) if bend < 0 else 0.0)


def _check_alone(axis: Axis, ring: Ring) -> None:
    above = np.nonzero(ring.along > max(LEAST_SCORE, ring.score - 0.1))[0]
    z = axis.heights[above]
    if len(z) and float(np.ptp(z)) > _FAR_APART_MM:
        raise SelectionError(
            say("two rings of inserts, {ptp} mm apart", ptp=format(np.ptp(z), ".0f")),
            expected="one phantom",
            remedy="scan one at a time",
        )
