"""Values → stored values of at most 16 bits, with the slope and intercept that bring them back (PS3.3 C.11.1.1.2).

Whole numbers survive always, as far as 16 bits reach; real ones where a scale is found that gives each of them again,
and else within half a step, which is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log2, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.volume import PADDING_HU, Volume
from hounsfield.errors import UnsupportedError
from hounsfield.language import say

_TWELVE_BITS, _SIXTEEN_BITS = 1 << 12, 1 << 16
_EXACT_HALVINGS = 10
"""Halvings of a slope that are tried for real numbers: 2 to the −10th has 11 characters of a DS's 16."""

_FINEST_HALVING = 13
"""The last power of two that a DS of 16 characters holds exactly."""


@dataclass(frozen=True, slots=True)
class Scale:
    """`stored` × `slope` + `intercept` is the value; both are exactly what their texts of 16 characters (DS) say.

    `error`: the largest distance of a value from what is read again, 0.0 where all survive.
    """

    slope: float
    intercept: float
    bits_stored: int
    signed: bool
    error: float = 0.0

    @property
    def texts(self) -> tuple[str, str]:
        """Rescale Slope and Rescale Intercept as written."""
        return decimal(self.slope), decimal(self.intercept)

    def stored(self, values: NDArray[Any]) -> NDArray[Any]:
        """Cells of 16 bits, little endian, of the same shape."""
        if values.dtype.kind != "f" and self.slope == 1:
            cells = values.astype(np.int64) - int(self.intercept)
        else:
            cells = np.rint((values.astype(np.float64) - self.intercept) / self.slope)
        low, high = (-32768, 32767) if self.signed else (0, 65535)
        return np.clip(cells, low, high).astype("<i2" if self.signed else "<u2")

    def values(self, cells: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        """The values that a reader finds, as `hounsfield.load` computes them."""
        return (cells.astype(np.float64) * self.slope + self.intercept).astype(dtype)


def scale_of(volume: Volume) -> Scale:
    """The scale by which a volume is written.

    In this order: whole numbers with slope 1, as unsigned 12 or 16 bits from −1024 up or as signed 16 bits; the slope
    and intercept of the files it was read from; a slope that is a power of two; the finest step that covers the range.
    Raises `UnsupportedError` for values that are no numbers.
    """
    array = volume.array
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        count = int(array.size - np.count_nonzero(np.isfinite(array)))
        raise UnsupportedError(
            say("{count} values that are no numbers", count=count),
            expected="finite values, which is all that DICOM holds",
            remedy=say("set them to {padding_value}", padding_value=volume.padding_value),
        )
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind != "f" or all(bool((each == np.rint(each)).all()) for each in array):
        whole = _whole(low, high)
        if whole is not None:
            return whole
    if array.dtype.kind == "f":
        for slope, intercept in _likely(volume, low):
            scale = _ranged(slope, intercept, low, high)
            if scale is not None and all(_survives(scale, each) for each in array):
                return scale
    return _finest(low, high)


def dicom_cautions(volume: Volume) -> tuple[str, ...]:
    """Return what a DICOM of this volume does not keep."""
    error = scale_of(volume).error
    if not error:
        return ()
    kept = say(
        "real numbers in 16 bits: each is kept within {error} {unit}; .nrrd keeps them exactly",
        error=f"{error:.2g}",
        unit=volume.unit,
    )
    return (kept,)


def decimal(number: float) -> str:
    """A number as a DS of at most 16 characters (PS3.5 6.2), exactly where they allow it."""
    from pydicom.valuerep import format_number_as_ds

    number = float(number) + 0.0  # no negative zero
    text = repr(number).removesuffix(".0")
    return text if len(text) <= 16 else str(format_number_as_ds(number))


def _whole(low: float, high: float) -> Scale | None:
    if low >= PADDING_HU and high - PADDING_HU < _SIXTEEN_BITS:
        bits = 12 if high - PADDING_HU < _TWELVE_BITS else 16
        return Scale(1.0, float(PADDING_HU), bits, False)
    if low >= -32768 and high <= 32767:
        return Scale(1.0, 0.0, 16, True)
    return Scale(1.0, low, 16, False) if high - low < _SIXTEEN_BITS else None


def _likely(volume: Volume, low: float) -> list[tuple[float, float]]:
    """Slopes and intercepts that real numbers may have come from."""
    report, found = volume.report, []
    if report.slope and report.intercept is not None:
        found.append((float(decimal(report.slope)), float(decimal(report.intercept))))
    return found + [(0.5**halvings, float(floor(low))) for halvings in range(1, _EXACT_HALVINGS + 1)]


def _ranged(slope: float, intercept: float, low: float, high: float) -> Scale | None:
    ends = sorted(((low - intercept) / slope, (high - intercept) / slope))
    if ends[0] >= -0.5 and ends[1] < _SIXTEEN_BITS - 0.5:
        return Scale(slope, intercept, 16, False)
    is_within = ends[0] >= -32768.5 and ends[1] < 32767.5
    return Scale(slope, intercept, 16, True) if is_within else None


def _survives(scale: Scale, values: NDArray[Any]) -> bool:
    return bool(np.array_equal(scale.values(scale.stored(values), values.dtype), values))


def _finest(low: float, high: float) -> Scale:
    """The finest slope that covers the range: a power of two where a DS holds it, else 1, 2 or 5 in its first place."""
    intercept = float(decimal(floor(low) if high - low > 1 else low))
    least = (high - intercept) / (_SIXTEEN_BITS - 2)
    halvings = floor(-log2(least)) if least else 0
    if halvings <= _FINEST_HALVING:
        slope = 0.5**halvings
    else:
        power = 10.0 ** floor(log10(least))
        slope = float(decimal(next(step * power for step in (1, 2, 5, 10) if step * power >= least)))
    if abs(intercept) < slope * ceil(abs(low) / slope) and low == round(low):
        intercept = float(low)
    return Scale(slope, intercept, 16, False, slope / 2)
