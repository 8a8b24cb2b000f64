"""Stored values → Hounsfield units, against a slow and obvious reference: one voxel, one step at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.ct.hu import (
    AIR_FLOOR,
    Conversion,
    Counts,
    ModalityLut,
    Padding,
    Rescale,
    StoredFormat,
    convert,
    stored_values,
)

FULL_SIGNED = StoredFormat(16, 16, 15, True)
FULL_UNSIGNED = StoredFormat(16, 16, 15, False)


def stored_of(cell: int, stored: StoredFormat) -> int:
    """PS3.5 8.1.1, in whole numbers of any size: the bits from High Bit down, read with or without a sign."""
    value = (cell >> (stored.high_bit + 1 - stored.bits_stored)) % (1 << stored.bits_stored)
    if stored.signed and value >= 1 << (stored.bits_stored - 1):
        value -= 1 << stored.bits_stored
    return value


@dataclass
class Slow:
    """One slice by the rules as written in the standard, with what was counted."""

    values: list[float]
    counts: Counts


def slow(cells: list[int], conversion: Conversion, dtype: str) -> Slow:
    counts, values = Counts(), []
    stored, rescale, padding = conversion.stored, conversion.rescale, conversion.padding
    for cell in cells:
        value = stored_of(cell, stored)
        if rescale.lut is not None:
            index = min(max(value - rescale.lut.first, 0), len(rescale.lut.values) - 1)
            hu = rescale.lut.values[index]
        else:
            hu = value * rescale.slope + rescale.intercept
        if padding is not None and conversion.hounsfield and padding.low <= value <= padding.high:
            if padding.is_safe(rescale):
                hu, counts.padded = AIR_FLOOR, counts.padded + 1
            else:
                counts.padding_ignored += 1
        if conversion.clamp and conversion.hounsfield and hu < AIR_FLOOR:
            hu, counts.clamped = AIR_FLOOR, counts.clamped + 1
        if dtype == "int16":
            whole = round(hu)  # half to even, as numpy
            counts.rounded += whole != hu
            bounded = min(max(whole, -32768), 32767)
            counts.saturated += bounded != whole
            hu = bounded
        values.append(hu)
    return Slow(values, counts)


@st.composite
def conversions(draw: st.DrawFn) -> Conversion:
    allocated = draw(st.sampled_from([8, 16, 32]))
    bits = draw(st.integers(1, allocated) | st.just(allocated) | st.just(min(12, allocated)))
    high = draw(st.just(bits - 1) | st.integers(bits - 1, allocated - 1))
    stored = StoredFormat(allocated, bits, high, draw(st.booleans()))
    least, greatest = stored.range
    slope = draw(st.sampled_from([1.0, 1.0, 1.0, 0.5, 2.0, -1.0, 0.1, 32.1216]))
    intercept = draw(st.sampled_from([-1024.0, 0.0, 1.0, -1000.5, 40000.0, -8192.0]))
    lut = None
    if draw(st.integers(0, 9)) == 0:
        values = draw(st.lists(st.integers(-2000, 4000).map(float), min_size=1, max_size=9))
        lut = ModalityLut(draw(st.integers(least, greatest)), tuple(values))
    padding = None
    if draw(st.booleans()):
        ends = draw(st.tuples(st.integers(least, greatest), st.integers(least, greatest)))
        ends = draw(st.just((ends[0], ends[0])) | st.just((min(ends), max(ends))))
        padding = Padding(*ends)
    rescale = Rescale(slope, intercept, lut)
    return Conversion(stored, rescale, padding, draw(st.booleans()), draw(st.booleans()))


@st.composite
def slices(draw: st.DrawFn, conversion: Conversion) -> list[int]:
    """Cells of 2 × 5, some of them padding, some with anything in the bits that hold no value."""
    stored = conversion.stored
    shift, bits = stored.high_bit + 1 - stored.bits_stored, stored.bits_stored
    tidy = st.integers(*stored.range).map(lambda value: value % (1 << bits) << shift)
    anything = st.integers(0, (1 << stored.bits_allocated) - 1)
    near_water = st.integers(-3000, 5000).map(lambda value: value % (1 << bits) << shift)
    cells = [tidy, anything, near_water]
    if conversion.padding is not None:
        cells.append(st.just(conversion.padding.low % (1 << bits) << shift))
    some = draw(st.sampled_from([tidy, anything, st.one_of(*cells)]))
    return draw(st.lists(some, min_size=10, max_size=10))


@given(st.data(), st.sampled_from(["int16", "float32"]), st.booleans())
@settings(max_examples=400)
def test_conversion_equals_the_rules_voxel_by_voxel(data: st.DataObject, dtype: str, in_place: bool) -> None:
    conversion = data.draw(conversions())
    cells = data.draw(slices(conversion))
    width = conversion.stored.bits_allocated // 8
    array = np.array(cells, f"u{width}").reshape(2, 5)
    if conversion.stored.signed:
        array = array.view(f"i{width}")
    out = np.full((2, 5), 77, dtype)
    if in_place and dtype == "int16" and width == 2:
        out = array.view(np.int16)  # as the reader does: converted where it was read
    expected = slow(cells, conversion, dtype)
    counts = convert(array, conversion, out)
    np.testing.assert_array_equal(out.ravel(), np.array(expected.values).astype(dtype))
    assert (counts.padded, counts.clamped, counts.padding_ignored) == (
        expected.counts.padded,
        expected.counts.clamped,
        expected.counts.padding_ignored,
    )
    assert (counts.saturated, counts.rounded) == (expected.counts.saturated, expected.counts.rounded)


@given(st.data())
@settings(max_examples=200)
def test_stored_values_are_the_bits_from_high_bit_down(data: st.DataObject) -> None:
    conversion = data.draw(conversions())
    cells = data.draw(slices(conversion))
    array = np.array(cells, f"u{conversion.stored.bits_allocated // 8}")
    found = stored_values(array, conversion.stored)
    assert found.tolist() == [stored_of(cell, conversion.stored) for cell in cells]


def converted(cells: Any, conversion: Conversion, dtype: str = "int16") -> tuple[list[float], Counts]:
    out = np.zeros(np.shape(cells), dtype)
    counts = convert(np.asarray(cells), conversion, out)
    return out.tolist(), counts


def test_a_plain_slice_is_converted_in_its_own_memory() -> None:
    cells = np.array([[0, 1024], [2048, 65535 - 2000]], np.uint16)
    out = cells.view(np.int16)
    convert(cells, Conversion(FULL_SIGNED, Rescale(1, -1024)), out)
    assert out.tolist() == [[-1024, 0], [1024, -1024]]
    assert np.shares_memory(out, cells)


def test_unsigned_values_above_int16_come_back_whole_where_the_hu_fit() -> None:
    values, counts = converted(
        np.array([33000, 33791], np.uint16), Conversion(FULL_UNSIGNED, Rescale(1, -1024))
    )
    assert values == [31976, 32767]
    assert counts.saturated == 0


def test_float32_is_exact_where_int16_rounds() -> None:
    conversion = Conversion(FULL_UNSIGNED, Rescale(0.25, -1024))
    cells = np.array([4096, 4097, 4098, 4099], np.uint16)
    assert converted(cells, conversion, "float32")[0] == [0, 0.25, 0.5, 0.75]
    values, counts = converted(cells, conversion)
    assert values == [0, 0, 0, 1]
    assert counts.rounded == 3


def test_a_sign_that_is_not_extended_is_no_garbage() -> None:
    stored = StoredFormat(16, 12, 11, True)
    cells = np.array([0x0FFF, 0x0800, 0x07FF, 0x0000], np.uint16)
    values, counts = converted(cells, Conversion(stored, Rescale(1, 0), clamp=False))
    assert values == [-1, -2048, 2047, 0]
    assert counts.masked == 0


def test_garbage_above_bits_stored_is_counted() -> None:
    stored = StoredFormat(16, 12, 11, False)
    cells = np.array([0x1400, 0x0400, 0xF400], np.uint16)
    values, counts = converted(cells, Conversion(stored, Rescale(1, -1024)))
    assert values == [0, 0, 0]
    assert counts.masked == 2


@pytest.mark.parametrize("slope", [1e300, 1.7e308, -1e300])
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_senseless_slopes_saturate_and_are_counted(slope: float, dtype: str) -> None:
    values, counts = converted(
        np.array([-3, 0, 3], np.int16), Conversion(FULL_SIGNED, Rescale(slope, 0)), dtype
    )
    if dtype == "int16":
        assert sorted(values) == [-1024, 0, 32767]
        assert (counts.saturated, counts.clamped) == (1, 1)
    else:
        assert sorted(values) == [-1024, 0, np.inf]


def test_an_empty_slice_is_no_error() -> None:
    assert converted(np.zeros((0, 4), np.int16), Conversion(FULL_SIGNED, Rescale()))[0] == []


def test_another_unit_is_neither_masked_nor_clamped() -> None:
    conversion = Conversion(FULL_SIGNED, Rescale(1, -1024), Padding(-2000, -2000), hounsfield=False)
    values, counts = converted(np.array([-2000, 0], np.int16), conversion)
    assert values == [-3024, -1024]
    assert (counts.padded, counts.clamped) == (0, 0)


@pytest.mark.parametrize(
    ("cell", "signed", "meant"),
    [(63536, True, -2000), (-2000, True, -2000), (-2000, False, 63536), (0, False, 0), (32768, True, -32768)],
)
def test_padding_means_the_same_bits_whichever_way_it_was_written(
    cell: int, signed: bool, meant: int
) -> None:
    stored = FULL_SIGNED if signed else FULL_UNSIGNED
    assert Padding.declared(cell, None, stored) == Padding(meant, meant)


def test_counts_add_up() -> None:
    total = Counts(padded=1, masked=2)
    total += Counts(padded=3, clamped=4)
    assert total == Counts(padded=4, clamped=4, masked=2)
