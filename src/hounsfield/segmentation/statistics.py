"""First-order statistics of the values inside a segment, by the definitions of the IBSI reference manual, 3.3 and 3.4.

Exact for whole numbers: everything is computed from how often each value occurs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (5, 10, 15, 25, 50, 75, 90, 95)
BIN_WIDTH = 25.0
"""HU; of the histogram, whose entropy depends on it. Bins begin at `BIN_ORIGIN`, so that those of two scans agree."""
BIN_ORIGIN = -1000.0


@dataclass(frozen=True, eq=False)
class Distribution:
    """A histogram of exact values: `values` ascending, all different, and `counts` of them, each above 0."""

    values: NDArray[np.float64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, values: NDArray[Any]) -> Distribution:
        """That of any numbers; NaN is none."""
        numbers = values[~np.isnan(values)] if values.dtype.kind == "f" else values
        found, counts = np.unique(numbers, return_counts=True)
        return cls(found.astype(np.float64), counts.astype(np.int64))

    @property
    def total(self) -> int:
        """Number of values."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        """Their mean; NaN of none."""
        return float(self.values @ self.counts / self.total) if self.total else float("nan")

    def moment(self, order: int) -> float:
        """Central moment, divided by their number."""
        return float((self.values - self.mean) ** order @ self.counts / self.total)

    def percentile(self, percent: float) -> float:
        """Between the two values around that share of their order, linearly."""
        place = percent / 100 * (self.total - 1)
        ends = np.cumsum(self.counts)
        below, above = (
            self.values[np.searchsorted(ends, index, side="right")]
            for index in (np.floor(place), np.ceil(place))
        )
        return float(below + (above - below) * (place - np.floor(place)))

    def share(self, low: float = -np.inf, high: float = np.inf) -> float:
        """Share of values with low ≤ value < high."""
        inside = (self.values >= low) & (self.values < high)
        return float(self.counts[inside].sum() / self.total) if self.total else float("nan")

    def histogram(
        self, width: float = BIN_WIDTH, origin: float = BIN_ORIGIN
    ) -> tuple[float, NDArray[np.int64]]:
        """The lower edge of the first bin that holds something, and the counts from there to the last."""
        bins = np.floor((self.values - origin) / width).astype(np.int64)
        first = int(bins.min())
        counts = np.bincount(bins - first, weights=self.counts).astype(np.int64)
        return origin + first * width, counts


def first_order(found: Distribution, *, bin_width: float = BIN_WIDTH) -> dict[str, float]:
    """IBSI's intensity statistics, and entropy (bits) and uniformity of the histogram; empty for no value.

    `sd` and variance are divided by the number of values, kurtosis is the excess over a normal distribution.
    """
    if not found.total:
        return {}
    p = {percent: found.percentile(percent) for percent in PERCENTILES}
    variance = found.moment(2)
    _, bins = found.histogram(bin_width)
    shares = bins[bins > 0] / found.total
    energy = float(found.values**2 @ found.counts)
    return {
        "mean": found.mean,
        "sd": float(np.sqrt(variance)),
        "variance": variance,
        "skewness": found.moment(3) / variance**1.5 if variance > 0 else 0.0,
        "kurtosis": found.moment(4) / variance**2 - 3 if variance > 0 else 0.0,
        "minimum": float(found.values[0]),
        "maximum": float(found.values[-1]),
        "median": p[50],
        **{f"p{percent}": value for percent, value in p.items() if percent != 50},
        "interquartile_range": p[75] - p[25],
        "range": float(found.values[-1] - found.values[0]),
        **_deviations(found, p),
        "energy": energy,
        "root_mean_square": float(np.sqrt(energy / found.total)),
        "entropy": float(-(shares * np.log2(shares)).sum()) + 0.0,
        "uniformity": float((shares**2).sum()),
    }


def _deviations(found: Distribution, p: dict[int, float]) -> dict[str, float]:
    inner = (found.values >= p[10]) & (found.values <= p[90])
    middle = Distribution(found.values[inner], found.counts[inner])
    return {
        "mean_absolute_deviation": _absolute(found, found.mean),
        "robust_mean_absolute_deviation": _absolute(middle, middle.mean),
        "median_absolute_deviation": _absolute(found, p[50]),
    }


def _absolute(found: Distribution, centre: float) -> float:
    return float(np.abs(found.values - centre) @ found.counts / found.total) if found.total else 0.0
