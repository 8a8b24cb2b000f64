"""Stored values → Hounsfield units: bits, sign, padding, rescale, clamp. Arrays in, arrays out; no files.

Order of transformations, always this one (PS3.5 8.1.1, PS3.3 C.7.5.1.1.2, C.11.1.1.2):

1. cells → stored values: shift by High Bit, mask to Bits Stored, extend the sign;
2. padding is looked for among the *stored* values;
3. value × slope + intercept, or the Modality LUT, by the slice's own;
4. padded voxels become −1024;
5. what lies below −1024 becomes −1024 (on request it stays);
6. int16: rounded to nearest, saturated at ±32767, both counted. float32: exact.

MONOCHROME1 plays no part: a display is inverted, Hounsfield units never are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

AIR_FLOOR = (
    -1024
)  # HU; the least a CT number means: what is below is padding, noise or a reconstruction artefact
HIGHEST_OF_AIR = -200.0  # HU; whatever holds air, at its edges too, has values below this
SAMPLED = 7  # every seventh voxel of a slice is looked at for it: a number that divides no usual width
SHARE_OF_AIR = 0.25  # of voxels within 200 HU of 0, from which on they may be its air
SHARE_OF_STRAYS = 1e-3  # of voxels that are below it by noise or as single odd cells
HIGHEST = 32767  # HU; no scale of CT numbers goes higher: 63536 in 16 unsigned bits is −2000 written wrongly
PADDING_CEILING = (
    -900.0
)  # HU; a declared padding value above this may occur in anatomy (0 in HU data is water)

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class StoredFormat:
    """The format of a pixel cell: the attributes (0028,0100–0103)."""

    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool

    @property
    def is_plain(self) -> bool:
        """The value fills its cell's low bits (High Bit = Bits Stored − 1)."""
        return self.high_bit == self.bits_stored - 1

    @property
    def range(self) -> tuple[int, int]:
        """Least and greatest stored value."""
        if self.signed:
            return -(1 << self.bits_stored - 1), (1 << self.bits_stored - 1) - 1
        return 0, (1 << self.bits_stored) - 1


@dataclass(frozen=True, slots=True)
class ModalityLut:
    """Modality LUT Sequence (PS3.3 C.11.1.1): `values[i]` is the output for stored value `first + i`.

    `kind` is its Modality LUT Type (0028,3004), which names the unit as Rescale Type does.
    """

    first: int
    values: tuple[float, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Rescale:
    """One slice's way from stored values to output units (PS3.3 C.11.1.1.2); a LUT wins over slope and intercept."""

    slope: float = 1.0
    intercept: float = 0.0
    lut: ModalityLut | None = None

    def apply(self, stored: Array) -> npt.NDArray[np.float64]:
        """Output values, float64, same shape."""
        if self.lut is None:
            with np.errstate(over="ignore", invalid="ignore"):  # a senseless slope saturates, and is counted
                return stored.astype(np.float64) * self.slope + self.intercept
        table = np.asarray(self.lut.values, np.float64)
        index = np.clip(stored.astype(np.int64) - self.lut.first, 0, len(table) - 1)
        return table[index]

    def value(self, stored: float) -> float:
        """The output value of one stored value."""
        return float(self.apply(np.asarray([stored]))[0])


@dataclass(frozen=True, slots=True)
class Padding:
    """Pixel Padding Value and Range Limit (0028,0120–0121): stored values `low` … `high`, both included.

    Whole numbers but for Float Pixel Data, whose padding is real (0028,0122–0125).
    """

    low: float
    high: float

    @classmethod
    def declared(cls, value: int, limit: int | None, stored: StoredFormat) -> Padding:
        """From the two attributes' 16-bit cells, whichever of US or SS they were written as (PS3.3 C.7.5.1.1.2)."""
        ends = [_as_stored(v, stored) for v in (value, value if limit is None else limit)]
        return cls(min(ends), max(ends))

    def is_safe(self, rescale: Rescale) -> bool:
        """Return whether no padding value can be anatomy: all lie at or below `PADDING_CEILING`, or above any CT
        number.
        """
        values = rescale.value(self.low), rescale.value(self.high)
        return max(values) <= PADDING_CEILING or min(values) > HIGHEST


def _as_stored(cell: int, stored: StoredFormat) -> int:
    """63536 over signed pixels is −2000; −2000 over unsigned ones is 63536."""
    cell &= 0xFFFF
    return cell - 0x10000 if stored.signed and cell >= 0x8000 else cell


@dataclass(slots=True)
class Counts:
    """Counts of voxels that were changed, summed over slices."""

    padded: int = 0
    clamped: int = 0
    saturated: int = 0
    rounded: int = 0
    airless: int = 0  # slices that look like stored values rather than HU: air is near 0
    masked: int = 0  # cells with something above Bits Stored
    padding_ignored: int = 0  # cells equal to a padding value that may be anatomy

    def __iadd__(self, other: Counts) -> Counts:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


@dataclass(frozen=True, slots=True)
class Conversion:
    """Everything that decides one slice's values. `hounsfield` false: another unit, so no padding, no clamp."""

    stored: StoredFormat
    rescale: Rescale
    padding: Padding | None = None
    clamp: bool = True
    hounsfield: bool = True


def convert(cells: Array, conversion: Conversion, out: Array) -> Counts:
    """Convert one slice, and see whether what it says to be HU already has air in it.

    `cells` (rows, columns): pixel cells as decoded, integer (or float: no stored format then). `out`
    (rows, columns): int16 or float32, written whole; it may share memory with `cells` when both are 16 bits wide,
    which is what makes the uncompressed path one copy.
    """
    counts = _convert(cells, conversion, out)
    rescale = conversion.rescale
    if conversion.hounsfield and rescale.lut is None and rescale.intercept >= 0:
        counts.airless = int(_is_airless(out, is_padded=bool(counts.padded)))
    return counts


def _is_airless(values: Array, *, is_padded: bool) -> bool:
    """Return whether next to nothing lies below −200 HU, and much of it near 0: air is missing, or is what lies there.

    Stored values that were never rescaled look so (air is 24 where water is 1064), and pictures of 8 bits.
    """
    some = values.ravel()[::SAMPLED]
    if is_padded:
        some = some[some > AIR_FLOOR]
    below = np.count_nonzero(some < HIGHEST_OF_AIR)
    if not some.size or below > some.size * SHARE_OF_STRAYS:
        return False
    near = np.count_nonzero(some <= -HIGHEST_OF_AIR) - below
    return bool(near >= some.size * SHARE_OF_AIR)


def _convert(cells: Array, conversion: Conversion, out: Array) -> Counts:
    counts = Counts()
    if cells.dtype.kind == "f":
        padded = _float_padding(cells, conversion)
        return _convert_values(conversion.rescale.apply(cells), padded, conversion, out, counts)
    raw_padding = _raw_padding(cells, conversion)
    values, low, high = _ranged_values(cells, conversion.stored, counts)
    padded = raw_padding if raw_padding is not None else _padding_mask(values, low, high, conversion, counts)
    if _is_plain_shift(low, high, conversion, out):
        return _shift(values, padded, low, conversion, out, counts)
    return _convert_values(conversion.rescale.apply(values), padded, conversion, out, counts)


def unclamped(cells: Array, conversion: Conversion) -> tuple[npt.NDArray[np.float32], Array | None]:
    """One slice's values, (rows, columns), as they are before padding and clamp, and where padding is; None without.

    For judging them: `convert` makes volumes.
    """
    if cells.dtype.kind == "f":
        return conversion.rescale.apply(cells).astype(np.float32), _float_padding(cells, conversion)
    padded = _raw_padding(cells, conversion)
    values, low, high = _ranged_values(cells, conversion.stored, Counts())
    if padded is None:
        padded = _padding_mask(values, low, high, conversion, Counts())
    return conversion.rescale.apply(values).astype(np.float32), padded


def stored_values(cells: Array, stored: StoredFormat, counts: Counts | None = None) -> Array:
    """Cells → stored values (PS3.5 8.1.1): nothing may be assumed of the bits outside Bits Stored.

    Gives a view when every cell already is its value, a new array otherwise; counts what had to be masked.
    """
    return _ranged_values(cells, stored, counts or Counts())[0]


def _ranged_values(cells: Array, stored: StoredFormat, counts: Counts) -> tuple[Array, int, int]:
    """Stored values with their least and greatest: two passes over the slice decide nearly everything."""
    width = cells.dtype.itemsize * 8
    values = cells.view(f"{'i' if stored.signed else 'u'}{cells.dtype.itemsize}")
    if not values.size:
        return values, 0, 0
    low, high = int(values.min()), int(values.max())
    least, greatest = stored.range
    if stored.is_plain and low >= least and high <= greatest:
        return values, low, high
    unsigned = cells.view(f"u{cells.dtype.itemsize}")
    left = np.array(width - 1 - stored.high_bit, unsigned.dtype)
    right = np.array(width - stored.bits_stored, values.dtype)
    masked: Array = (unsigned << left).view(values.dtype) >> right
    if stored.is_plain:
        # Bits above that are all zero are no garbage: a sign that was not extended (PS3.5 8.1.1).
        above = unsigned >> np.array(stored.bits_stored, unsigned.dtype)
        counts.masked += int(np.count_nonzero((above != 0) & (masked != values)))
    return masked, int(masked.min()), int(masked.max())


def _raw_padding(cells: Array, conversion: Conversion) -> Array | None:
    """The mask of a padding value that Bits Stored cannot hold (−2000 over 12 unsigned bits): found in the cells."""
    padding, stored = conversion.padding, conversion.stored
    if padding is None or not conversion.hounsfield or padding.low != padding.high:
        return None
    least, greatest = stored.range
    if least <= padding.low <= greatest or cells.dtype.itemsize != 2:
        return None
    mask: Array = cells.view(np.uint16) == (int(padding.low) & 0xFFFF)
    return mask if mask.any() else None


def _float_padding(cells: Array, conversion: Conversion) -> Array | None:
    """Return which real-valued cells hold no value: NaN, or what is declared (PS3.3 C.7.6.24); None in another unit."""
    if not conversion.hounsfield:
        return None
    mask: Array = np.isnan(cells)
    padding = conversion.padding
    if padding is not None and padding.is_safe(conversion.rescale):
        mask |= (cells >= padding.low) & (cells <= padding.high)
    return mask


def _padding_mask(values: Array, low: int, high: int, conversion: Conversion, counts: Counts) -> Array | None:
    """Return which voxels hold a padding value; None when none does, or when what is declared may be anatomy."""
    padding = conversion.padding
    if padding is None or not conversion.hounsfield or padding.high < low or padding.low > high:
        return None
    if padding.low <= low and high <= padding.high:
        mask = np.ones(values.shape, bool)
    else:
        mask = (values >= max(padding.low, low)) & (values <= min(padding.high, high))
    if padding.is_safe(conversion.rescale):
        return mask
    counts.padding_ignored += int(np.count_nonzero(mask))
    return None


def _is_plain_shift(low: int, high: int, conversion: Conversion, out: Array) -> bool:
    """Slope 1 and a whole intercept, all within int16: one addition is exact."""
    rescale = conversion.rescale
    if rescale.lut is not None or rescale.slope != 1.0 or out.dtype != np.int16:
        return False
    if rescale.intercept != int(rescale.intercept):
        return False
    limits = np.iinfo(np.int16)
    shift = int(rescale.intercept)
    return limits.min <= low + shift and high + shift <= limits.max and abs(shift) <= limits.max


def _shift(
    values: Array, padded: Array | None, low: int, conversion: Conversion, out: Array, counts: Counts
) -> Counts:
    """HU = stored + intercept in 16-bit arithmetic, which wraps back to the right value by `_is_plain_shift`."""
    shift = np.int16(int(conversion.rescale.intercept))
    cells = values.view(np.int16) if values.dtype.itemsize == 2 else values.astype(np.int16)
    np.add(cells, shift, out=out)
    if padded is not None:
        counts.padded += int(np.count_nonzero(padded))
        out[padded] = AIR_FLOOR
    if conversion.clamp and conversion.hounsfield and low + int(shift) < AIR_FLOOR:
        counts.clamped += int(np.count_nonzero(out < AIR_FLOOR))
        np.maximum(out, np.int16(AIR_FLOOR), out=out)
    return counts


def _convert_values(
    values: npt.NDArray[np.float64], padded: Array | None, conversion: Conversion, out: Array, counts: Counts
) -> Counts:
    """The general way: float64 values, padding, clamp, then the output type."""
    if padded is not None and padded.any():
        counts.padded += int(np.count_nonzero(padded))
        values[padded] = AIR_FLOOR
    if conversion.clamp and conversion.hounsfield:
        below = values < AIR_FLOOR
        counts.clamped += int(np.count_nonzero(below))
        values[below] = AIR_FLOOR
    if out.dtype != np.int16:
        with np.errstate(over="ignore"):
            out[...] = values
        return counts
    rounded = np.rint(values)
    counts.rounded += int(np.count_nonzero((rounded != values) & ~np.isnan(values)))
    limits = np.iinfo(np.int16)
    outside = (rounded < limits.min) | (rounded > limits.max)
    counts.saturated += int(np.count_nonzero(outside))
    out[...] = np.clip(np.nan_to_num(rounded), limits.min, limits.max)
    return counts
