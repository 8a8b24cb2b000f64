"""Slices that take turns: two reconstructions or acquisitions interleaved in one series, by their noise and tissue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hounsfield.ct.plausibility.blocks import BLOCK, Array, Floats

FEWEST_SLICES = 16
"""Neighbouring slices from which on an alternation is no chance: in 7 real stacks it was at most 0.46."""

ALTERNATES = 0.8
"""Share of slices whose noise differs from their neighbours' by turns."""

RELATIVE = 0.08
"""Size of that difference beside the noise itself: real stacks 0.003 … 0.057, two kernels 1.39."""

TISSUE_ALTERNATES, TISSUE_HU = 0.9, 8.0
"""The same for the level of tissue, in HU."""

CROP = 256
"""Side of the middle of each slice that is looked at, in pixels."""

_TISSUE = (-200.0, 300.0)
_BELOW_AIR = -1060.0


@dataclass(frozen=True, slots=True)
class SliceLevel:
    """Noise (25 % quantile of the blocks' SD) and tissue (median of their means) of one slice, in HU; NaN for none."""

    noise: float
    tissue: float


def level_of(values: Array) -> SliceLevel:
    """Noise and tissue of the middle of one slice, (rows, columns) in HU."""
    rows, columns = values.shape
    top, left = max(0, (rows - CROP) // 2), max(0, (columns - CROP) // 2)
    middle = values[top : top + CROP, left : left + CROP]
    down, across = (length // BLOCK for length in middle.shape)
    if not down or not across:
        return SliceLevel(np.nan, np.nan)
    blocks = middle[: down * BLOCK, : across * BLOCK].astype(np.float32)
    blocks = blocks.reshape(down, BLOCK, across, BLOCK).swapaxes(1, 2).reshape(down * across, BLOCK * BLOCK)
    mean, sd = blocks.mean(axis=1), blocks.std(axis=1)
    kept = (sd > 0) & (mean > _BELOW_AIR)
    tissue = mean[(mean > _TISSUE[0]) & (mean < _TISSUE[1])]
    return SliceLevel(
        float(np.quantile(sd[kept], 0.25)) if kept.any() else np.nan,
        float(np.median(tissue)) if len(tissue) else np.nan,
    )


def looks_interleaved(levels: Sequence[SliceLevel]) -> bool:
    """Return whether neighbouring slices of one volume alternate in noise, or in the level of tissue."""
    noise = np.array([level.noise for level in levels])
    tissue = np.array([level.tissue for level in levels])
    share, size = _alternation(noise)
    if share >= ALTERNATES and size >= RELATIVE * float(np.nanmedian(noise)):
        return True
    share, size = _alternation(tissue)
    return share >= TISSUE_ALTERNATES and size >= TISSUE_HU


def _alternation(values: Floats) -> tuple[float, float]:
    """Share of slices that differ from their neighbours by turns, 0 … 1, and the median of that difference."""
    if len(values) < FEWEST_SLICES or np.isnan(values).any():
        return 0.0, 0.0
    apart = values[1:-1] - (values[:-2] + values[2:]) / 2
    turns = np.where(np.arange(len(apart)) % 2, -1.0, 1.0)
    return float(abs((np.sign(apart) * turns).mean())), float(np.median(np.abs(apart)))
