"""Findings that no body and no phantom can show, a function each: the rules that make numbers implausible.

Each gives what the numbers look like (a key of `LOOKS_LIKE`) and its evidence, or None. The thresholds were set on
real scans of eight makers; docs/trust.md has their margins.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hounsfield.ct.plausibility.evidence import Evidence
from hounsfield.ct.plausibility.measured import AIR, SHARP_NOISE, WATER, Measured

Finding = tuple[str, Evidence]


def _below_vacuum(measured: Measured) -> Finding | None:
    """Attenuation is never negative, so no mean lies below −1000 but for noise and artefacts."""
    mean, sd = measured.blocks.mean, measured.blocks.sd
    lowest = AIR[0] - 0.5 * np.clip(sd - SHARP_NOISE, 0.0, 125.0)
    share = float(np.mean(mean < lowest))
    if share < 0.08:
        return None
    return _low_kind(measured), Evidence("below-vacuum", 100 * share)


def _low_kind(measured: Measured) -> str:
    """Return what makes values too low: an offset subtracted twice, a scale, or a shift of another size."""
    lowest = measured.lowest_plateau
    if lowest is None or lowest > -1500.0:
        return "shifted"
    return "rescaled-twice" if measured.flat_share(-1150.0, -850.0) >= 0.005 else "scaled"


def _uniform_high(measured: Measured) -> Finding | None:
    """Cortical bone is thin and graded, Teflon rods are 12 mm: nothing is uniform over 20 mm above +780."""
    top = measured.plateau(780.0, np.inf)
    if measured.is_small or top is None:
        return None
    share = measured.flat_share(780.0)
    if share < 0.03 or measured.flat_share(top - 100.0, top + 100.0) < 0.03:
        return None
    lowest = measured.lowest_plateau
    rim = measured.blocks.rim
    has_air_at_zero = lowest is not None and -150.0 <= lowest <= 150.0
    if has_air_at_zero and (len(rim) == 0 or float(np.median(rim)) < 500.0):
        key = "offset-lost"
    else:
        key = (
            "scaled" if measured.share(-np.inf, -1200.0) > 0.01 or measured.greatest > 5000.0 else "inverted"
        )
    return key, Evidence("uniform-high", 100 * share)


def _grey_levels(measured: Measured) -> Finding | None:
    """The noise of a CT makes more than 350 different values."""
    extent = measured.greatest - measured.least
    few = measured.levels <= 256 and extent <= 256 and measured.least >= -1 and measured.ends >= 0.03
    bytes_only = measured.least >= 0 and measured.greatest <= 255 and extent >= 100
    coarse = measured.levels <= 16 and measured.least >= -1 and measured.greatest <= 255 and extent >= 12
    if few or bytes_only or coarse:
        return "windowed", Evidence("grey-levels", float(measured.levels))
    return None


def _fractions(measured: Measured) -> Finding | None:
    extent = measured.greatest - measured.least
    if extent >= 12 or extent <= 0:
        return None
    return "fraction", Evidence("fractions", extent)


def _tissue_at_1000(measured: Measured) -> Finding | None:
    """A small object whose offset was lost: most of the field at 0, and a little uniform matter 1000 above it."""
    lowest, top = measured.lowest_plateau, measured.plateau(780.0, np.inf)
    if measured.is_small or lowest is None or top is None or not -150.0 <= lowest <= 150.0:
        return None
    if (
        measured.flat_share(lowest - 20.0, lowest + 20.0) < 0.4
        or measured.share(-np.inf, lowest - 60.0) >= 0.02
    ):
        return None
    if not 850.0 <= top - lowest <= 1400.0 or measured.flat_share(top - 100.0, top + 100.0) < 0.004:
        return None
    return "offset-lost", Evidence("air-at-zero", lowest)


def _nothing_between(measured: Measured) -> Finding | None:
    """Foam is −950, lung −850 … −700, fat −100: nothing uniform lies between, unless it is air or water rescaled."""
    between = measured.plateau(-650.0, -250.0)
    if measured.is_small or between is None:
        return None
    share = measured.flat_share(between - 20.0, between + 20.0)
    is_lowest = measured.air is None and share >= 0.04 and measured.quantile >= between - 150.0
    replaces_water = share >= 0.03 and measured.share(*WATER) < 0.01
    if not (is_lowest or replaces_water or _outweighs_water(measured, share)):
        return None
    # Beside a clamped floor what lies between is bone, a thousand too low.
    key = "rescaled-twice" if _floor(measured) >= 0.20 else "scaled"
    return key, Evidence("between-air-and-tissue", between)


def _outweighs_water(measured: Measured, share: float) -> bool:
    """A small object in air, uniform where nothing is: a body that ends within the field has more tissue than that."""
    rim = measured.blocks.rim
    if measured.air is None or len(rim) == 0 or float(np.median(rim)) > AIR[1]:
        return False
    return share >= 0.004 and measured.flat_share(*WATER) * 2.0 <= share and measured.matter < 0.05


def _no_water(measured: Measured) -> Finding | None:
    """Even a field of bone has marrow and partial volume."""
    if measured.is_small or measured.matter < 0.05:
        return None
    if measured.share(*WATER) >= 0.01 and measured.water_of_matter >= 0.12:
        return None
    lowest = measured.lowest_plateau
    key = "offset-lost" if lowest is not None and -120.0 <= lowest <= 120.0 else "scaled"
    return key, Evidence("no-water", 100 * measured.water_of_matter)


def _too_quiet(measured: Measured) -> Finding | None:
    """Quantum noise: the quietest real tissue had an SD of 2 HU."""
    sd, flat = measured.blocks.sd[measured.blocks.flat], measured.blocks.flat_means
    inside = sd[(flat >= WATER[0]) & (flat <= WATER[1])]
    if measured.air is not None or len(inside) == 0 or measured.greatest - measured.least >= 500:
        return None
    noise = float(np.median(inside))
    return ("scaled", Evidence("too-quiet", noise)) if noise < 1.0 else None


def _air_at_zero(measured: Measured) -> Finding | None:
    """Bone falls off with height; shifted tissue, 1000 above shifted air, does not."""
    lowest = measured.lowest_plateau
    if measured.is_small or lowest is None or not -120.0 <= lowest <= 120.0:
        return None
    if (
        measured.flat_share(lowest - 20.0, lowest + 20.0) < 0.20
        or measured.share(-np.inf, lowest - 60.0) >= 0.02
    ):
        return None
    far, between = measured.share(lowest + 850.0), measured.share(lowest + 200.0, lowest + 850.0)
    if far < 0.03 or far <= 1.2 * between:
        return None
    return "offset-lost", Evidence("air-at-zero", lowest)


def _floor_beside_air(measured: Measured) -> Finding | None:
    """Air has one level: a clamped floor beside noisy “air” is air beside tissue, both a thousand too low."""
    floor = _floor(measured)
    total = len(measured.blocks.constant) + measured.blocks.count
    noisy = measured.flat_share(*AIR) * measured.blocks.count / total
    if floor < 0.20 or noisy < 0.03 or measured.share(-900.0) < 0.005:
        return None
    if measured.water_of_matter >= 0.03 and measured.share(*WATER) >= 0.03:
        return None
    return "rescaled-twice", Evidence("floor-beside-air", 100 * floor)


def _floor(measured: Measured) -> float:
    """Share of the field that holds one value only, that of air or less."""
    inside = measured.blocks.constant
    return float(np.count_nonzero(inside <= -1000.0) / (len(inside) + measured.blocks.count))


def _beyond_bone(measured: Measured) -> Finding | None:
    share = measured.share(4200.0)
    return ("scaled", Evidence("beyond-bone", 100 * share)) if share >= 0.05 else None


RULES: tuple[Callable[[Measured], Finding | None], ...] = (
    _fractions,
    _grey_levels,
    _below_vacuum,
    _beyond_bone,
    _uniform_high,
    _air_at_zero,
    _tissue_at_1000,
    _nothing_between,
    _no_water,
    _too_quiet,
    _floor_beside_air,
)
