"""Whether numbers can be HU, by physics alone: where air and tissue lie, and what no body and no phantom can show.

Judged before the clamp, since what lies below −1024 is evidence. Nothing is changed, and what cannot be known is
`unknown`: a field without air, lungs alone, a cone beam. Each rule says what is impossible; `plausible` needs two
anchors. The thresholds were set on real scans of eight makers; docs/trust.md has their margins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hounsfield.ct.plausibility.blocks import Array, Blocks, Floats, Mask, blocks_of, pooled
from hounsfield.ct.plausibility.evidence import Evidence, Physics, Plausibility

MOST_SLICES = 12
"""Slices that are looked at, spread over a volume: more change no verdict."""

SMALL_FIELD_MM = 50.0
"""Field of view below which bone or one tissue may fill everything, so that most rules are off."""

AIR = (-1060.0, -900.0)
"""HU of flat patches that are air: real scanners give −1003 … −947."""

AIR_SHARE = 0.003
"""Share of the field that must be flat air for it to be an anchor."""

TRUSTED_AIR = (-1012.0, -940.0)
"""HU of the air plateau of a calibrated scanner; scatter and a narrow rim raise it, nothing lowers it."""

TRUSTED_TISSUE = (-140.0, 180.0)
"""HU of the tissue plateau: fat knees −107, contrast in the heart 143."""

TISSUE_SHARE = 0.04
"""Share of the matter that must be flat tissue for it to be an anchor."""

_PLATEAU_HALF = 7.5  # HU; the mode is the middle of the fullest 15 HU
_SHARP_NOISE = 25.0  # HU; clipping at the floor moves the mean of noisier air
_MATTER = -300.0  # HU above which a block is no air, lung or foam
_WATER = (-200.0, 400.0)  # HU of tissue, fluid and plastic
_VALUES_A_SLICE = 1 << 14  # sampled, to count how many different ones there are


@dataclass(frozen=True, slots=True)
class Sample:
    """One slice to be judged: `values` (rows, columns) in HU before the clamp, `padded` where padding is declared."""

    values: Array
    padded: Mask | None = None


def judge(samples: Sequence[Sample], *, field_mm: float | None = None) -> Plausibility:
    """Judge slices of one volume. `field_mm`: the shorter side of a slice, in mm; unknown counts as large.

    Evidence comes most telling first. An empty list, or nothing but padding, is `unknown`.
    """
    measured = Measured.of(samples, field_mm)
    if measured.blocks.count == 0:
        return Plausibility(Physics.UNKNOWN, (Evidence("nothing-measured"),))
    for rule in _RULES:
        found = rule(measured)
        if found is not None:
            key, evidence = found
            return Plausibility(Physics.IMPLAUSIBLE, (evidence, *_anchors(measured)), key)
    verdict = Physics.PLAUSIBLE if _has_two_anchors(measured) else Physics.UNKNOWN
    return Plausibility(verdict, _anchors(measured))


@dataclass(frozen=True)
class Measured:
    """What rules look at: blocks of all slices, and a sample of the values."""

    blocks: Blocks
    levels: int
    least: float
    greatest: float
    ends: float
    quantile: float
    is_small: bool

    @classmethod
    def of(cls, samples: Sequence[Sample], field_mm: float | None) -> Measured:
        """Measure at most `MOST_SLICES` of `samples`, spread evenly."""
        chosen = spread(len(samples), MOST_SLICES)
        blocks = (
            pooled([blocks_of(samples[i].values, samples[i].padded) for i in chosen]) if samples else _NONE
        )
        values = _sampled([samples[i] for i in chosen])
        levels, counts = np.unique(values, return_counts=True)
        ends = max(counts[0], counts[-1]) / len(values) if len(values) else 0.0
        return cls(
            blocks=blocks,
            levels=len(levels),
            least=blocks.low,
            greatest=blocks.high,
            ends=float(ends),
            quantile=float(np.quantile(values, 0.005)) if len(values) else np.nan,
            is_small=field_mm is not None and field_mm < SMALL_FIELD_MM,
        )

    def share(self, low: float, high: float = np.inf) -> float:
        """Share of the kept blocks whose mean lies in `low` … `high`."""
        mean = self.blocks.mean
        return float(np.count_nonzero((mean >= low) & (mean <= high)) / len(mean))

    def flat_share(self, low: float, high: float = np.inf) -> float:
        """Share of the kept blocks that are flat and lie in `low` … `high`."""
        flat = self.blocks.flat_means
        return float(np.count_nonzero((flat >= low) & (flat <= high)) / self.blocks.count)

    def plateau(self, low: float, high: float) -> float | None:
        """The commonest mean of flat blocks in `low` … `high`; None without any."""
        flat = self.blocks.flat_means
        return mode(flat[(flat >= low) & (flat <= high)])

    @cached_property
    def air(self) -> float | None:
        """HU of flat air, None where there is too little of it."""
        return self.plateau(*AIR) if self.flat_share(*AIR) >= AIR_SHARE else None

    @cached_property
    def air_noise(self) -> float:
        """Median SD of the blocks of flat air, in HU."""
        flat, sd = self.blocks.flat_means, self.blocks.sd[self.blocks.flat]
        inside = sd[(flat >= AIR[0]) & (flat <= AIR[1])]
        return float(np.median(inside)) if len(inside) else 0.0

    @cached_property
    def matter(self) -> float:
        return self.share(_MATTER)

    @cached_property
    def water_of_matter(self) -> float:
        """Share of the matter that lies where water, tissue and plastic do."""
        return self.share(*_WATER) / self.matter if self.matter else 0.0

    @cached_property
    def tissue(self) -> float | None:
        """HU of the tissue plateau, None where too little of the matter is flat."""
        enough = self.flat_share(*_WATER) >= TISSUE_SHARE * max(self.matter, 1e-9)
        return self.plateau(*_WATER) if enough and self.matter > 0 else None

    @cached_property
    def lowest_plateau(self) -> float | None:
        """The lowest HU at which at least one block in a hundred is flat."""
        flat = np.sort(self.blocks.flat_means)
        needed = max(1, int(np.ceil(0.01 * self.blocks.count)))
        if len(flat) < needed:
            return None
        # The first value from which on `needed` flat blocks follow within the width of a plateau.
        within = np.searchsorted(flat, flat + 2 * _PLATEAU_HALF, side="right") - np.arange(len(flat))
        first = np.flatnonzero(within >= needed)
        if len(first) == 0:
            return None
        start = flat[first[0]]
        return mode(flat[(flat >= start) & (flat <= start + 60.0)])


_NONE = Blocks(np.zeros(0), np.zeros(0), np.zeros(0, bool), np.zeros(0), np.zeros(0), np.nan, np.nan)


def spread(count: int, most: int) -> list[int]:
    """At most `most` indices of `count`, evenly spread, ends left out where there is a choice."""
    if count <= most:
        return list(range(count))
    return [int((index + 0.5) * count / most) for index in range(most)]


def mode(values: Floats) -> float | None:
    """The middle of the fullest 15 HU, refined by the mean of what lies there."""
    if len(values) == 0:
        return None
    ordered = np.sort(values)
    ends = np.searchsorted(ordered, ordered + 2 * _PLATEAU_HALF, side="right")
    begin = int(np.argmax(ends - np.arange(len(ordered))))
    return float(ordered[begin : ends[begin]].mean())


def _sampled(samples: Sequence[Sample]) -> Array:
    """Values of all slices, some thousand of each, padding left out."""
    taken: list[Array] = []
    for sample in samples:
        step = max(1, int(np.sqrt(sample.values.size / _VALUES_A_SLICE)))
        values = sample.values[::step, ::step]
        if sample.padded is not None:
            values = values[~sample.padded[::step, ::step]]
        taken.append(values.ravel())
    return np.concatenate(taken) if taken else np.zeros(0)


Finding = tuple[str, Evidence]


def _below_vacuum(measured: Measured) -> Finding | None:
    """Attenuation is never negative, so no mean lies below −1000 but for noise and artefacts."""
    mean, sd = measured.blocks.mean, measured.blocks.sd
    lowest = AIR[0] - 0.5 * np.clip(sd - _SHARP_NOISE, 0.0, 125.0)
    share = float(np.mean(mean < lowest))
    if share < 0.08:
        return None
    return _low_kind(measured), Evidence("below-vacuum", 100 * share)


def _low_kind(measured: Measured) -> str:
    """What makes values too low: an offset subtracted twice, a scale, or a shift of another size."""
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


def _nothing_between(measured: Measured) -> Finding | None:
    """Foam is −950, lung −850 … −700, fat −100: nothing uniform lies between, unless it is air or water rescaled."""
    between = measured.plateau(-650.0, -250.0)
    if measured.is_small or between is None:
        return None
    share = measured.flat_share(between - 20.0, between + 20.0)
    is_lowest = measured.air is None and share >= 0.04 and measured.quantile >= between - 150.0
    replaces_water = share >= 0.03 and measured.share(*_WATER) < 0.01
    return ("scaled", Evidence("between-air-and-tissue", between)) if is_lowest or replaces_water else None


def _no_water(measured: Measured) -> Finding | None:
    """Even a field of bone has marrow and partial volume."""
    if measured.is_small or measured.matter < 0.05:
        return None
    if measured.share(*_WATER) >= 0.01 and measured.water_of_matter >= 0.12:
        return None
    lowest = measured.lowest_plateau
    key = "offset-lost" if lowest is not None and -120.0 <= lowest <= 120.0 else "scaled"
    return key, Evidence("no-water", 100 * measured.water_of_matter)


def _too_quiet(measured: Measured) -> Finding | None:
    """Quantum noise: the quietest real tissue had an SD of 2 HU."""
    sd, flat = measured.blocks.sd[measured.blocks.flat], measured.blocks.flat_means
    inside = sd[(flat >= _WATER[0]) & (flat <= _WATER[1])]
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
    inside = measured.blocks.constant
    total = len(inside) + measured.blocks.count
    floor = float(np.count_nonzero(inside <= -1000.0) / total)
    noisy = measured.flat_share(*AIR) * measured.blocks.count / total
    if floor < 0.20 or noisy < 0.03 or measured.share(-900.0) < 0.005:
        return None
    if measured.water_of_matter >= 0.03 and measured.share(*_WATER) >= 0.03:
        return None
    return "rescaled-twice", Evidence("floor-beside-air", 100 * floor)


def _beyond_bone(measured: Measured) -> Finding | None:
    share = measured.share(4200.0)
    return ("scaled", Evidence("beyond-bone", 100 * share)) if share >= 0.05 else None


_RULES: tuple[Callable[[Measured], Finding | None], ...] = (
    _fractions,
    _grey_levels,
    _below_vacuum,
    _beyond_bone,
    _uniform_high,
    _air_at_zero,
    _nothing_between,
    _no_water,
    _too_quiet,
    _floor_beside_air,
)


def _anchors(measured: Measured) -> tuple[Evidence, ...]:
    """Where air and tissue lie, or that they are not there."""
    air = Evidence("no-air") if measured.air is None else Evidence("air", round(measured.air, 1))
    tissue = (
        Evidence("no-tissue") if measured.tissue is None else Evidence("tissue", round(measured.tissue, 1))
    )
    return air, tissue


def _has_two_anchors(measured: Measured) -> bool:
    """Air and tissue where scanners put them, or fat and muscle the right way apart where there is no air."""
    tissue = measured.tissue
    if measured.air is not None:
        lowest = TRUSTED_AIR[0] - 0.45 * max(0.0, measured.air_noise - _SHARP_NOISE)
        if tissue is None or not lowest <= measured.air <= TRUSTED_AIR[1]:
            return False
        raised = measured.air > -965.0 and tissue > 75.0
        return TRUSTED_TISSUE[0] <= tissue <= TRUSTED_TISSUE[1] and not raised
    return _fat_and_muscle(measured)


def _fat_and_muscle(measured: Measured) -> bool:
    fat, muscle = measured.plateau(-140.0, -60.0), measured.plateau(5.0, 120.0)
    if fat is None or muscle is None or not (-125.0 <= fat <= -70.0 and 15.0 <= muscle <= 85.0):
        return False
    if not 100.0 <= muscle - fat <= 190.0:
        return False
    shares = [measured.flat_share(centre - 15.0, centre + 15.0) for centre in (fat, muscle)]
    middle = (fat + muscle) / 2
    valley = measured.flat_share(middle - 15.0, middle + 15.0)
    return min(shares) >= 0.005 and valley < 0.5 * min(shares)
