"""Histograms of voxels, counted a slice at a time: of whole numbers each by itself, of real ones in bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_BINS = 4096  # of a histogram of real values
_OFFSET = 32768  # int16 values shifted to count them


@dataclass(frozen=True)
class Histogram:
    """A histogram: `counts[i]` voxels are from `first + i * step` to less than a step more.

    Every whole number has a place of its own in Hounsfield units, where padding is among them, at −1024; in other
    units `step` is a fraction of the range. `ends`: the least and the greatest value, exact.
    """

    first: float
    counts: npt.NDArray[np.int64]
    step: float = 1.0
    ends: tuple[float, float] | None = None

    @property
    def range(self) -> tuple[float, float]:
        """Least and greatest value."""
        return self.ends or (self.first, self.first + len(self.counts) - 1)

    def percentile(self, share: float) -> float:
        """The value that `share` (0 … 1) of the voxels do not exceed, but for a step."""
        cumulative = np.cumsum(self.counts)
        return self.first + int(np.searchsorted(cumulative, share * cumulative[-1])) * self.step

    def rebinned(self, bins: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """(edges, counts) of `bins` equal bins over the range."""
        size = len(self.counts)
        edges = np.linspace(self.first, self.first + size * self.step, bins + 1)
        values = self.first + (np.arange(size) + 0.5) * self.step
        counts, _ = np.histogram(values, edges, weights=self.counts.astype(np.float64))
        return edges, counts.astype(np.int64)


class WholeNumbers:
    """Counts of int16 values, each by itself."""

    def __init__(self) -> None:
        self._counts = np.zeros(2 * _OFFSET, np.int64)

    def add(self, plane: npt.NDArray[Any]) -> None:
        self._counts += np.bincount(plane.ravel().astype(np.int32) + _OFFSET, minlength=2 * _OFFSET)

    def histogram(self) -> Histogram | None:
        present = np.flatnonzero(self._counts)
        low, high = int(present[0]), int(present[-1])
        return Histogram(low - _OFFSET, self._counts[low : high + 1])


class Bins:
    """Counts of real values in bins that double in width while the range grows: one pass, whatever comes."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._first, self._step = 0.0, 0.0
        self._low, self._high = np.inf, -np.inf

    def add(self, plane: npt.NDArray[Any]) -> None:
        values = plane[np.isfinite(plane)].astype(np.float64)
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        self._low, self._high = min(self._low, low), max(self._high, high)
        if not self._step:
            # Of a first slice of one value the bins are narrow: they widen, and never narrow.
            self._first, self._step = low, (high - low) / (_BINS - 1) or max(abs(low), 1e-30) * 1e-6
        while low < self._first or high >= self._first + _BINS * self._step:
            self._widen(to_the_left=low < self._first)
        places = np.clip((values - self._first) / self._step, 0, _BINS - 1).astype(np.int64)
        self._counts += np.bincount(places, minlength=_BINS)

    def _widen(self, *, to_the_left: bool) -> None:
        halved = self._counts.reshape(-1, 2).sum(axis=1)
        nothing = np.zeros_like(halved)
        if to_the_left:
            self._first -= _BINS * self._step
        self._counts = np.concatenate((nothing, halved) if to_the_left else (halved, nothing))
        self._step *= 2

    def histogram(self) -> Histogram | None:
        present = np.flatnonzero(self._counts)
        if not present.size:
            return None
        low, high = int(present[0]), int(present[-1])
        return Histogram(
            self._first + low * self._step, self._counts[low : high + 1], self._step, (self._low, self._high)
        )
