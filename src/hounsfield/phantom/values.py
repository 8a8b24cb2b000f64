"""From the body to stored values, from those to bits; and, apart from any reader, what they mean in HU.

`truth` is the oracle of every test of reading: it follows PS3.3 C.11.1 and C.7.5.1.1.2 over the very integers that
are written, so that a right reader agrees with it bit for bit.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hounsfield.phantom.body import sample
from hounsfield.phantom.placement import Placement, outside_circle, placements, plane
from hounsfield.phantom.spec import PhantomSpec

FLOOR = -1024.0
"""HU of what was not imaged, and the least that is believed."""
ANATOMY_FLOOR = -900.0
"""A declared padding value of more HU than this is taken for tissue, not padding (trap 29)."""
LUT_ENTRIES = 2048

_NOISE, _GARBAGE, _PADDING = 2, 3, 4
_HOUNSFIELD_TYPES = (None, "HU", "HU_MOD")


def hounsfield(spec: PhantomSpec, placement: Placement) -> NDArray[np.float32]:
    """(rows, columns): HU with noise, before anything is quantised."""
    x, y, z = plane(spec, placement.origin)
    hu = sample(x, y, z, phase=placement.phase, table=spec.table, metal=spec.metal)
    if spec.noise:
        noise = _random(spec, placement, _NOISE).standard_normal(hu.shape, dtype=np.float32)
        hu += noise * np.float32(spec.noise)
    return hu


def stored(spec: PhantomSpec, placement: Placement) -> NDArray[np.int64]:
    """(rows, columns): the integers that Pixel Data holds, whatever the bits around them."""
    slope, intercept = _at(spec.slope, placement), _at(spec.intercept, placement)
    hu = hounsfield(spec, placement).astype(np.float64)
    values = np.rint((hu - intercept) / slope).astype(np.int64)
    np.clip(values, *spec.stored_range, out=values)
    if spec.padding is not None:
        outside = outside_circle(spec)
        if spec.padding_limit is None:
            values[outside] = spec.padding
        else:
            ends = sorted((spec.padding, spec.padding_limit))
            spread = _random(spec, placement, _PADDING).integers(ends[0], ends[1] + 1, values.shape)
            values[outside] = spread[outside]
    return values


def cells(spec: PhantomSpec, placement: Placement, values: NDArray[np.int64]) -> NDArray[np.unsignedinteger]:
    """(rows, columns) of native-endian uint8, 16 or 32: the stored values shifted to their bits, and the other bits."""
    dtype = np.dtype(f"u{spec.bits_allocated // 8}")
    below = spec.top_bit + 1 - spec.bits_stored
    mask = ((1 << spec.bits_stored) - 1) << below
    everything = (1 << spec.bits_allocated) - 1
    raw = values << below
    if not (spec.signed and spec.sign_extended):
        raw &= mask
    if spec.garbage:
        noise = _random(spec, placement, _GARBAGE).integers(0, 1 << spec.bits_allocated, values.shape)
        raw = (raw & mask) | (noise & ~mask)
    if spec.overlay_bit is not None:
        bit = 1 << spec.overlay_bit
        raw = np.where(overlay(spec), raw | bit, raw & ~bit)
    return (raw & everything).astype(dtype)


def overlay(spec: PhantomSpec) -> NDArray[np.bool_]:
    """(rows, columns): the ring that the embedded overlay draws."""
    down, along = np.ogrid[-1 : 1 : spec.rows * 1j, -1 : 1 : spec.columns * 1j]
    radius = np.hypot(down, along)
    ring: NDArray[np.bool_] = (radius > 0.3) & (radius < 0.6)
    return ring


def rescale_texts(spec: PhantomSpec, placement: Placement) -> tuple[str | None, str | None]:
    """Slope and intercept as they are written: a text, or None for no element."""
    slope = decimal(_at(spec.slope, placement)) if spec.slope_tag == "as used" else spec.slope_tag
    intercept = (
        decimal(_at(spec.intercept, placement)) if spec.intercept_tag == "as used" else spec.intercept_tag
    )
    return slope, intercept


def decimal(number: float) -> str:
    """A Decimal String of at most 16 characters (PS3.5 6.2)."""
    for digits in range(16, 4, -1):
        text = f"{number:.{digits}g}"
        if len(text) <= 16:
            return text
    return f"{number:.4g}"


def declared_padding(spec: PhantomSpec) -> int | None:
    """Return Pixel Padding Value as the signedness of the pixels means it."""
    return spec.padding if spec.padding_tag == "as present" else spec.padding_tag


def modality_table(spec: PhantomSpec) -> tuple[int, NDArray[np.uint16]]:
    """First stored value, and the entries from there on: HU from 0 up."""
    first = round(-_first(spec.intercept) / _first(spec.slope))
    return first, (np.arange(LUT_ENTRIES) * _first(spec.slope)).astype(np.uint16)


def truth(
    spec: PhantomSpec, *, phase: int = 0, masked: bool = True, clamp: bool = True
) -> NDArray[np.float64]:
    """Exact HU (slices, rows, columns) along the stack, as the written integers and tags mean them.

    Noise is in it as quantised. `masked`: what the header declares as padding is -1024. `clamp`: nothing is below
    -1024. Neither is done to values whose Rescale Type is another unit, where -1024 would mean nothing (trap 22).
    Second copies of a slice are left out; so are slices that are missing.
    """
    in_hu = spec.modality_lut or spec.rescale_type in _HOUNSFIELD_TYPES
    here = [one for one in placements(spec) if one.phase == phase and one.copy == 0]
    volume = np.empty((len(here), spec.rows, spec.columns), dtype=np.float64)
    for number, placement in enumerate(here):
        values = stored(spec, placement)
        volume[number] = meaning(spec, placement, values)
        if masked and in_hu:
            volume[number][_declared_as_padding(spec, placement, values)] = FLOOR
    if clamp and in_hu:
        np.maximum(volume, FLOOR, out=volume)
    return volume


def meaning(spec: PhantomSpec, placement: Placement, values: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what stored values are after the Modality LUT, or the rescale as far as its texts are numbers."""
    if spec.modality_lut:
        first, table = modality_table(spec)
        return table[np.clip(values - first, 0, len(table) - 1)].astype(np.float64)
    slope_text, intercept_text = rescale_texts(spec, placement)
    rescaled = values.astype(np.float64) * (_number(slope_text) or 1.0)
    return np.asarray(rescaled + (_number(intercept_text) or 0.0), dtype=np.float64)


def _declared_as_padding(
    spec: PhantomSpec, placement: Placement, values: NDArray[np.int64]
) -> NDArray[np.bool_]:
    value = declared_padding(spec)
    if value is None:
        return np.zeros(values.shape, dtype=np.bool_)
    ends = sorted((value, value if spec.padding_limit is None else spec.padding_limit))
    if meaning(spec, placement, np.asarray(ends)).max() > ANATOMY_FLOOR:
        return np.zeros(values.shape, dtype=np.bool_)
    return np.asarray((values >= ends[0]) & (values <= ends[1]))


def _at(number: float | tuple[float, ...], placement: Placement) -> float:
    return number[placement.index % len(number)] if isinstance(number, tuple) else number


def _first(number: float | tuple[float, ...]) -> float:
    return number[0] if isinstance(number, tuple) else number


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _random(spec: PhantomSpec, placement: Placement, use: int) -> np.random.Generator:
    copy = placement.copy if spec.duplicates_differ else 0
    return np.random.default_rng([spec.seed, use, placement.index, placement.phase, copy])
