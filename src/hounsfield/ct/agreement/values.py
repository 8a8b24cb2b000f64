"""Agreement of values: what was done to HU on their way into a file; a scale, a window, a clip, rounding, noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.language import Sentence, say

FLOOR = -1024.0
"""HU at or below which nothing was measured: padding, and what a clamp may have raised."""

AIR_LIKE = -1000.0
"""HU at or below which a file may hold anything where the series is at the floor."""

SAME_SLOPE = 0.002
"""Share by which a fitted slope may differ from one that explains it."""

SAME_OFFSET = 1.0
"""HU by which a fitted offset may differ from one that explains it."""

ROUNDED = 0.5 + 1e-3
"""HU within which rounding to whole numbers stays, single precision allowed for."""

RELATED = 0.9
"""Correlation below which a file is not made of these values at all."""

CLIPPED_SHARE = 0.002
"""Share of voxels held at an end, beyond what the fit says of them, that shows a clip."""

_SAMPLE = 1 << 20  # voxels that a line is fitted through
_SLAB_VOXELS = 1 << 24  # compared at once

Array = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ValueAgreement:
    """The relation of a file's values to HU: file = `slope` × HU + `offset`, `largest` HU apart at most.

    `verdict`: "equal" (bit for bit, where something was measured), "rounded", "padded" (equal, but something else
    than air where nothing was measured), "rescaled-twice", "offset-lost", "slope-lost", "scaled", "inverted",
    "windowed", "clipped", "noise", "differs" (no line explains it).
    """

    verdict: str
    slope: float
    offset: float
    largest: float
    sentence: str

    @property
    def is_equal(self) -> bool:
        return self.verdict == "equal"


def compare_values(file: Array, hu: Array, rescale: tuple[float, float] = (1.0, FLOOR)) -> ValueAgreement:
    """Hold a file's values against the HU of the series, (slices, rows, columns) both, not clamped.

    `rescale`: Rescale Slope and Intercept of the series, which name what was lost or done twice.
    """
    largest, at_floor = _differences(file, hu)
    if largest == 0.0 and at_floor <= AIR_LIKE:
        return ValueAgreement("equal", 1.0, 0.0, 0.0, say("equal: bit for bit what the DICOM says"))
    if largest == 0.0:
        why = say(
            "equal, but {number} where nothing was measured, which is no air", number=_number(at_floor, "d")
        )
        return ValueAgreement("padded", 1.0, 0.0, 0.0, why)
    line = _Line.through(*_sampled(file, hu))
    return _named(line, largest, rescale)


def likeness(file: Array, hu: Array) -> float:
    """Correlation of a file's values with HU, −1 … 1, by a sample; 0 where either is constant."""
    values, reference = _sampled(file, hu)
    return _correlation(values, reference)


def _differences(file: Array, hu: Array) -> tuple[float, float]:
    """The largest difference where something was measured, and the largest value where nothing was."""
    largest, at_floor = 0.0, -np.inf
    for values, reference in _slabs(file, hu):
        measured = reference > FLOOR
        apart = np.abs(values - reference)[measured]
        if apart.size:
            worst = float(apart.max())
            largest = max(largest, np.inf if np.isnan(worst) else worst)
        outside = values[~measured]
        if outside.size:
            at_floor = max(at_floor, float(np.nan_to_num(outside, nan=-np.inf).max()))
    return largest, at_floor


def _slabs(file: Array, hu: Array) -> Iterator[tuple[Floats, Floats]]:
    depth = max(1, _SLAB_VOXELS // max(1, hu[0].size))
    for start in range(0, len(hu), depth):
        yield file[start : start + depth].astype(np.float64), hu[start : start + depth].astype(np.float64)


def _sampled(file: Array, hu: Array) -> tuple[Floats, Floats]:
    """Voxels of all the volume in which something was measured, some million of them: (file, HU), one axis each."""
    step = max(1, int(np.ceil((hu.size / _SAMPLE) ** (1 / 3))))
    values, reference = (each[::step, ::step, ::step].astype(np.float64).ravel() for each in (file, hu))
    measured = (reference > FLOOR) & np.isfinite(values)
    return values[measured], reference[measured]


def _correlation(one: Floats, other: Floats) -> float:
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


@dataclass(frozen=True)
class _Line:
    """A fit through a sample: slope, offset, the spread around it, and what the ends of the file hide."""

    slope: float
    offset: float
    correlation: float
    spread: float
    low: float
    high: float
    low_clipped: float
    high_clipped: float

    @classmethod
    def through(cls, values: Floats, reference: Floats) -> _Line:
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
        inside = (values > low) & (values < high)
        x, y = reference[inside], values[inside]
        if len(x) < 2 or np.ptp(x) == 0:
            return cls(0.0, low, 0.0, 0.0, low, high, 0.0, 0.0)
        slope, offset = np.polyfit(x, y, 1)
        for _ in range(3):  # without what lies off the line: a few voxels of another kind must not tilt it
            off = np.abs(y - slope * x - offset)
            kept = off <= max(3.0 * float(np.median(off)), 1e-9)
            if kept.sum() < 2 or np.ptp(x[kept]) == 0:
                break
            slope, offset = np.polyfit(x[kept], y[kept], 1)
        off = y - slope * x - offset
        predicted = slope * reference + offset
        margin = 1.5 * abs(slope) + 3.0 * float(np.median(np.abs(off)))
        return cls(
            float(slope),
            float(offset),
            _correlation(x, y),
            float(np.std(off)),
            low,
            high,
            float(np.mean(predicted < low - margin)),
            float(np.mean(predicted > high + margin)),
        )

    @property
    def is_low_clipped(self) -> bool:
        return self.low_clipped > CLIPPED_SHARE

    @property
    def is_high_clipped(self) -> bool:
        return self.high_clipped > CLIPPED_SHARE

    def is_like(self, slope: float, offset: float) -> bool:
        near = abs(self.slope - slope) <= SAME_SLOPE * abs(slope)
        return near and abs(self.offset - offset) <= SAME_OFFSET * max(1.0, abs(slope))


def _named(line: _Line, largest: float, rescale: tuple[float, float]) -> ValueAgreement:
    """The fit as something that people do to values."""
    if abs(line.correlation) < RELATED:
        why = say(
            "no line through HU explains the values (correlation {correlation}): another series, or a resampled one",
            correlation=f"{line.correlation:.2f}",
        )
        return ValueAgreement("differs", line.slope, line.offset, largest, why)
    if line.is_like(1.0, 0.0):
        return ValueAgreement(*_near(line, largest))
    verdict, why = _changed(line, rescale)
    said = say("file = {formula}: {why}", formula=_formula(line), why=why)
    return ValueAgreement(verdict, line.slope, line.offset, largest, said)


def _near(line: _Line, largest: float) -> tuple[str, float, float, float, str]:
    """Return what may be on the scale of HU and yet not equal."""
    if largest <= ROUNDED:
        verdict, why = (
            "rounded",
            say("HU rounded to whole numbers, by {largest} at most", largest=f"{largest:.2f}"),
        )
    elif line.is_low_clipped and line.is_high_clipped:
        verdict, why = (
            "clipped",
            say("HU clipped below {low} and above {high}", low=_number(line.low), high=_number(line.high)),
        )
    elif line.is_low_clipped:
        verdict, why = "clipped", say("HU clipped below {low}", low=_number(line.low))
    elif line.is_high_clipped:
        verdict, why = "clipped", say("HU clipped above {high}", high=_number(line.high))
    else:
        verdict, why = (
            "noise",
            say(
                "HU, but noise or a filter changed them: SD {spread}, {largest} HU at most",
                spread=f"{line.spread:.2f}",
                largest=f"{largest:.0f}",
            ),
        )
    return verdict, line.slope, line.offset, largest, why


def _changed(line: _Line, rescale: tuple[float, float]) -> tuple[str, Sentence]:
    """(verdict, why) of another scale than that of HU."""
    if line.is_low_clipped and line.is_high_clipped:
        low, high = sorted(((line.low - line.offset) / line.slope, (line.high - line.offset) / line.slope))
        return "windowed", say(
            "a window of {low} … {high} HU: a picture, not values",
            low=_number(low, "d"),
            high=_number(high, "d"),
        )
    if line.slope < 0:
        return "inverted", say("the values are inverted")
    verdict, why = _cause(line, rescale)
    if line.is_low_clipped or line.is_high_clipped:
        end = _number(line.low if line.is_low_clipped else line.high)
        why = say("{why}, and clipped at {end}", why=why, end=end)
    return verdict, why


def _cause(line: _Line, rescale: tuple[float, float]) -> tuple[str, Sentence]:
    slope, intercept = rescale
    lost = say("stored values, without Rescale Slope and Intercept")
    causes = (
        ("rescaled-twice", slope, intercept, say("the rescale was applied twice")),
        ("offset-lost", 1.0 / slope, -intercept / slope, lost),
        (
            "slope-lost",
            1.0 / slope,
            intercept - intercept / slope,
            say("Rescale Slope {slope} was left out", slope=f"{slope:g}"),
        ),
        ("offset-lost", 1.0, -FLOOR, say("an offset was left out")),
        ("offset-lost", 1.0, 1000.0, say("CT numbers on which water is 1000")),
    )
    found = ((verdict, why) for verdict, a, b, why in causes if line.is_like(a, b))
    return next(found, ("scaled", say("another scale")))


def _formula(line: _Line) -> str:
    sign = "−" if line.offset < 0 else "+"
    slope = f"{line.slope:.3f}" if abs(line.slope) >= 0.1 else f"{line.slope:.4g}"
    return f"{slope} × HU {sign} {abs(line.offset):.4g}".replace("-", "−")


def _number(value: float, kind: str = "g") -> str:
    """A number with a true minus sign; `kind` "d" is a whole one."""
    return (f"{value:.0f}" if kind == "d" else f"{value:g}").replace("-", "−")
