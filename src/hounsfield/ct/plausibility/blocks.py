"""Statistics of small blocks of a slice, from which plateaus of one material are read. Arrays in, arrays out.

A block averages the noise of 64 voxels away, so that a sharp kernel's air is as easy to find as a smooth one's. What
is padding, or filled by one constant, is no measurement and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

BLOCK = 8
"""Side of a block in pixels; half of it where a slice is smaller than `SMALL_SLICE`."""

SMALL_SLICE = 200
"""Rows or columns below which blocks of 8 pixels would be too few."""

FLAT_RANGE = 60.0
"""HU within which a block's mean and those of its four neighbours lie in a patch of one material."""

UNDECLARED_PADDING = -1200
"""HU at or below which the value of a slice's corner is padding that no header declares: no air is there."""

SAME_PADDING = 6
"""HU around an undeclared padding value that are padding too, since lossy coding blurs it; a corner that varies by more
than that to both sides is noise, of air that was rescaled twice."""

RIM = 0.9
"""Share of the inscribed circle's radius beyond which a block is at the rim."""

RECONSTRUCTION_CIRCLE = 0.97
"""Share of the inscribed circle's radius that is kept where the corners hold no measurement."""

EMPTY_CORNERS = 0.6
"""Share of the corners' blocks that must be constant or padding for the circle to be cut out."""

_BELOW_ALL_AIR = -1300.0  # HU: a mean of the corners that only padding has

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks of one slice, or of several pooled: one entry each, in HU.

    `mean`, `sd`: of the kept blocks. `flat`: which of those lie in a patch of one material. `constant`: the values of
    blocks inside the field that hold one value only. `rim`: means of kept blocks at the rim of the field, where air
    is around a body. `low`, `high`: extremes of all voxels that are not padding.
    """

    mean: Floats
    sd: Floats
    flat: Mask
    constant: Floats
    rim: Floats
    low: float
    high: float

    @property
    def count(self) -> int:
        return len(self.mean)

    @property
    def flat_means(self) -> Floats:
        return self.mean[self.flat]


NOTHING = Blocks(
    np.zeros(0), np.zeros(0), np.zeros(0, bool), np.zeros(0), np.zeros(0), float("nan"), float("nan")
)
"""Blocks of a slice that is smaller than one."""


def block_side(rows: int, columns: int) -> int:
    """Side of the blocks of such a slice, in pixels."""
    return BLOCK if min(rows, columns) >= SMALL_SLICE else BLOCK // 2


def blocks_of(values: Array, padded: Mask | None = None) -> Blocks:
    """Statistics of one slice of `values`, (rows, columns), in HU before any clamp.

    `padded`, of the same shape, is True where the header declares padding.
    """
    side = block_side(*values.shape)
    rows, columns = (length // side for length in values.shape)
    if not rows or not columns:
        return NOTHING
    grid = values[: rows * side, : columns * side]
    mean, sd, low, high = _statistics(grid, rows, columns, side)
    dropped = _holds_padding(grid, padded, low, rows, columns, side)
    constant = (low == high) & ~dropped
    outside = _beyond(RECONSTRUCTION_CIRCLE, rows, columns)
    if _has_empty_corners(mean, dropped | constant):
        dropped, constant = dropped | outside, constant & ~outside
    kept = ~(dropped | constant)
    flat = _flat(mean, kept)
    measured = ~dropped
    return Blocks(
        mean=mean[kept],
        sd=sd[kept],
        flat=flat[kept],
        constant=low[constant].astype(np.float64),
        rim=mean[kept & _beyond(RIM, *mean.shape)],
        low=float(low[measured].min()) if measured.any() else np.nan,
        high=float(high[measured].max()) if measured.any() else np.nan,
    )


def pooled(blocks: list[Blocks]) -> Blocks:
    """The blocks of several slices as one set."""
    return Blocks(
        mean=np.concatenate([each.mean for each in blocks]),
        sd=np.concatenate([each.sd for each in blocks]),
        flat=np.concatenate([each.flat for each in blocks]),
        constant=np.concatenate([each.constant for each in blocks]),
        rim=np.concatenate([each.rim for each in blocks]),
        low=float(np.nanmin([each.low for each in blocks])) if _any_measured(blocks) else np.nan,
        high=float(np.nanmax([each.high for each in blocks])) if _any_measured(blocks) else np.nan,
    )


def _any_measured(blocks: list[Blocks]) -> bool:
    return any(not np.isnan(each.low) for each in blocks)


def _statistics(grid: Array, rows: int, columns: int, side: int) -> tuple[Floats, Floats, Array, Array]:
    """Mean, SD, least and greatest value of each block, (rows, columns); along rows first, where memory is."""
    wide = grid.astype(np.float32)
    bands = wide.reshape(rows, side, columns * side)
    ones = np.ones(side, np.float32)
    mean = (bands.sum(axis=1).reshape(rows, columns, side) @ ones).astype(np.float64) / side**2
    squares = np.einsum("ijk,ijk->ik", bands, bands).reshape(rows, columns, side) @ ones
    sd = np.sqrt(np.maximum(squares.astype(np.float64) / side**2 - mean**2, 0.0))
    cells = grid.reshape(rows, side, columns * side)
    low, high = cells.min(axis=1), cells.max(axis=1)
    # A reduction over every eighth column is six times as quick as one over eight neighbours.
    return (
        mean,
        sd,
        np.minimum.reduce([low[:, offset::side] for offset in range(side)]),
        np.maximum.reduce([high[:, offset::side] for offset in range(side)]),
    )


def _holds_padding(grid: Array, padded: Mask | None, low: Array, rows: int, columns: int, side: int) -> Mask:
    """Return which blocks hold a voxel of declared padding, or of what a corner shows to be padding."""
    held: Mask = np.zeros((rows, columns), bool)
    if padded is not None and padded.any():
        bands = padded[: rows * side, : columns * side].reshape(rows, side, columns * side)
        held = np.asarray(bands.any(axis=1).reshape(rows, columns, side).any(axis=2))
    corner = float(grid[0, 0])
    if corner <= UNDECLARED_PADDING and float(np.ptp(grid[:side, :side])) <= 2 * SAME_PADDING:
        # Nothing lies below padding but noise of lossy coding around it.
        held |= low <= corner + SAME_PADDING
    return held


@lru_cache(maxsize=16)
def _beyond(radius: float, rows: int, columns: int) -> Mask:
    """Return which blocks lie beyond that share of the inscribed circle's radius."""
    row = (np.arange(rows) + 0.5) / rows * 2 - 1
    column = (np.arange(columns) + 0.5) / columns * 2 - 1
    outside: Mask = np.hypot(row[:, None], column[None, :]) > radius
    return outside


def _has_empty_corners(mean: Floats, empty: Mask) -> bool:
    corners = _beyond(RECONSTRUCTION_CIRCLE, *mean.shape)
    if not corners.any():
        return False
    return float(empty[corners].mean()) > EMPTY_CORNERS or float(mean[corners].mean()) < _BELOW_ALL_AIR


def _flat(mean: Floats, kept: Mask) -> Mask:
    """Kept blocks whose four neighbours are kept too, all five means within `FLAT_RANGE`."""
    flat = np.zeros(mean.shape, bool)
    if min(mean.shape) < 3:
        return flat
    around = [
        (slice(1, -1), slice(1, -1)),
        (slice(None, -2), slice(1, -1)),
        (slice(2, None), slice(1, -1)),
        (slice(1, -1), slice(None, -2)),
        (slice(1, -1), slice(2, None)),
    ]
    means = [mean[place] for place in around]
    spread = np.maximum.reduce(means) - np.minimum.reduce(means)
    flat[1:-1, 1:-1] = np.logical_and.reduce([kept[place] for place in around]) & (spread <= FLAT_RANGE)
    return flat
