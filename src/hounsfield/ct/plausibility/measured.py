"""Measurements that the rules look at: blocks of a few slices, pooled, and a sample of their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hounsfield.ct.plausibility.blocks import NOTHING, Array, Blocks, Floats, Mask, blocks_of, pooled

MOST_SLICES = 12
"""Slices that are looked at, spread over a volume: more change no verdict."""

SMALL_FIELD_MM = 50.0
"""Field of view below which bone or one tissue may fill everything, so that most rules are off."""

AIR = (-1060.0, -900.0)
"""HU of flat patches that are air: real scanners give −1003 … −947."""

AIR_SHARE = 0.003
"""Share of the field that must be flat air for it to be an anchor."""

TISSUE_SHARE = 0.04
"""Share of the matter that must be flat tissue for it to be an anchor."""

PLATEAU_HALF = 7.5  # HU; the mode is the middle of the fullest 15 HU
SHARP_NOISE = 25.0  # HU; clipping at the floor moves the mean of noisier air
_MATTER = -300.0  # HU above which a block is no air, lung or foam
WATER = (-200.0, 400.0)  # HU of tissue, fluid and plastic
FEWEST_PIXELS = 200
"""Slices of fewer pixels show no body: what fills their corners is taken for padding, and little is left."""

_VALUES_A_SLICE = 1 << 14  # sampled, to count how many different ones there are


@dataclass(frozen=True, slots=True)
class Sample:
    """One slice to be judged: `values` (rows, columns) in HU before the clamp, `padded` where padding is declared."""

    values: Array
    padded: Mask | None = None


@dataclass(frozen=True)
class Measured:
    """The measurements: blocks of all slices, and a sample of the values."""

    blocks: Blocks
    levels: int
    step: float
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
            pooled([blocks_of(samples[i].values, samples[i].padded) for i in chosen]) if samples else NOTHING
        )
        values = _sampled([samples[i] for i in chosen])
        levels, counts = np.unique(values, return_counts=True)
        ends = max(counts[0], counts[-1]) / len(values) if len(values) else 0.0
        return cls(
            blocks=blocks,
            levels=len(levels),
            step=float(np.diff(levels.astype(np.float64)).min()) if len(levels) > 1 else 0.0,
            least=blocks.low,
            greatest=blocks.high,
            ends=float(ends),
            quantile=float(np.quantile(values, 0.005)) if len(values) else np.nan,
            is_small=(field_mm is not None and field_mm < SMALL_FIELD_MM)
            or any(samples[i].values.size < FEWEST_PIXELS for i in chosen),
        )

    @cached_property
    def flat(self) -> Floats:
        """Means of the flat blocks."""
        return self.blocks.flat_means

    def share(self, low: float, high: float = np.inf) -> float:
        """Share of the kept blocks whose mean lies in `low` … `high`."""
        mean = self.blocks.mean
        return float(np.count_nonzero((mean >= low) & (mean <= high)) / len(mean))

    def flat_share(self, low: float, high: float = np.inf) -> float:
        """Share of the kept blocks that are flat and lie in `low` … `high`."""
        flat = self.flat
        return float(np.count_nonzero((flat >= low) & (flat <= high)) / self.blocks.count)

    def plateau(self, low: float, high: float) -> float | None:
        """The commonest mean of flat blocks in `low` … `high`; None without any."""
        flat = self.flat
        return mode(flat[(flat >= low) & (flat <= high)])

    @cached_property
    def air(self) -> float | None:
        """HU of flat air, None where there is too little of it."""
        return self.plateau(*AIR) if self.flat_share(*AIR) >= AIR_SHARE else None

    @cached_property
    def air_noise(self) -> float:
        """Median SD of the blocks of flat air, in HU."""
        flat, sd = self.flat, self.blocks.sd[self.blocks.flat]
        inside = sd[(flat >= AIR[0]) & (flat <= AIR[1])]
        return float(np.median(inside)) if len(inside) else 0.0

    @cached_property
    def matter(self) -> float:
        return self.share(_MATTER)

    @cached_property
    def water_of_matter(self) -> float:
        """Share of the matter that lies where water, tissue and plastic do."""
        return self.share(*WATER) / self.matter if self.matter else 0.0

    @cached_property
    def tissue(self) -> float | None:
        """HU of the tissue plateau, None where too little of the matter is flat."""
        enough = self.flat_share(*WATER) >= TISSUE_SHARE * max(self.matter, 1e-9)
        return self.plateau(*WATER) if enough and self.matter > 0 else None

    @cached_property
    def lowest_plateau(self) -> float | None:
        """The lowest HU at which at least one block in a hundred is flat."""
        flat = np.sort(self.flat)
        needed = max(1, int(np.ceil(0.01 * self.blocks.count)))
        if len(flat) < needed:
            return None
        # The first value from which on `needed` flat blocks follow within the width of a plateau.
        within = np.searchsorted(flat, flat + 2 * PLATEAU_HALF, side="right") - np.arange(len(flat))
        first = np.flatnonzero(within >= needed)
        if len(first) == 0:
            return None
        start = flat[first[0]]
        return mode(flat[(flat >= start) & (flat <= start + 60.0)])


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
    ends = np.searchsorted(ordered, ordered + 2 * PLATEAU_HALF, side="right")
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
