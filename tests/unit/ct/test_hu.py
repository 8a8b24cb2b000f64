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
    unclamped,
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
        cells.append(st.just(conversion.padding.low % (1 << bits) << shift))  # type: ignore[operator]
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
    assert np.isnan(Rescale(np.inf, 0).apply(np.array([0])))  # without a word of numpy's


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


def sampled(values: list[float], *, unsampled: float = -500.0) -> Any:
    """A slice of which every seventh voxel, those that are looked at for air, holds one of `values`."""
    cells = np.full(len(values) * 7, unsampled)
    cells[::7] = values
    return cells.reshape(-1, 7).astype(np.int16)


def airless(cells: Any, conversion: Conversion | None = None) -> int:
    return converted(cells, conversion or Conversion(FULL_SIGNED, Rescale(1, 0)))[1].airless


@pytest.mark.parametrize(
    ("values", "is_airless"),
    [
        ([24] * 25 + [1064] * 75, 1),
        ([24] * 24 + [1064] * 76, 0),
        ([200] * 25 + [1064] * 75, 1),
        ([201] * 25 + [1064] * 75, 0),
        ([-200] * 25 + [1064] * 75, 1),
        ([-201] * 25 + [1064] * 75, 0),
        ([24] * 999 + [-201], 1),
        ([24] * 998 + [-201] * 2, 0),
        ([24] * 1999 + [-201], 1),
        ([24] * 250 + [1064] * 749 + [-201], 1),
        ([24] * 249 + [1064] * 750 + [-201], 0),
    ],
)
def test_a_slice_without_air_below_and_with_a_quarter_of_it_near_zero_looks_stored(
    values: list[float], is_airless: int
) -> None:
    assert airless(sampled(values)) == is_airless


def test_only_what_is_said_to_be_hu_without_a_negative_intercept_can_look_stored() -> None:
    cells = sampled([24] * 100)
    assert airless(cells, Conversion(FULL_SIGNED, Rescale(1, 0))) == 1
    assert airless(cells, Conversion(FULL_SIGNED, Rescale(1, 1))) == 1
    assert airless(cells, Conversion(FULL_SIGNED, Rescale(1, -1))) == 0
    assert airless(cells, Conversion(FULL_SIGNED, Rescale(1, 0), hounsfield=False)) == 0
    lut = ModalityLut(0, tuple(range(100)))
    assert airless(np.full((7, 7), 24, np.int16), Conversion(FULL_SIGNED, Rescale(1, 0, lut))) == 0


def test_padding_is_no_air_but_what_was_clamped_is() -> None:
    padded = Conversion(FULL_SIGNED, Rescale(1, 0), Padding(-2000, -2000))
    cells = sampled([-2000] * 50 + [24] * 50)  # type: ignore[arg-type]
    assert airless(cells, padded) == 1
    assert airless(cells) == 0
    assert airless(sampled([-2000] * 50 + [-1023] + [24] * 49), padded) == 0  # type: ignore[arg-type]
    assert airless(sampled([-2000] * 100), padded) == 0
    assert airless(np.zeros((0, 7), np.int16)) == 0


@pytest.mark.parametrize(
    ("padding", "rescale", "is_safe"),
    [
        (Padding(124, 124), Rescale(1, -1024), True),
        (Padding(125, 125), Rescale(1, -1024), False),
        (Padding(-2000, 124), Rescale(1, -1024), True),
        (Padding(-2000, 125), Rescale(1, -1024), False),
        (Padding(32768, 40000), Rescale(1, 0), True),
        (Padding(32767, 40000), Rescale(1, 0), False),
        (Padding(900, 2000), Rescale(-1, 0), True),
        (Padding(899, 2000), Rescale(-1, 0), False),
        (Padding(-2000, 40000), Rescale(1, 0), False),
        (Padding(3, 3), Rescale(1, 0, ModalityLut(0, (0.0, 0.0, 0.0, -900.0))), True),
        (Padding(3, 3), Rescale(1, 0, ModalityLut(0, (0.0, 0.0, 0.0, -899.0))), False),
    ],
)
def test_padding_is_safe_below_all_anatomy_or_above_all_ct_numbers(
    padding: Padding, rescale: Rescale, is_safe: bool
) -> None:
    assert padding.is_safe(rescale) is is_safe


@pytest.mark.parametrize(
    ("value", "limit", "signed", "padding"),
    [
        (-2000, -1500, True, Padding(-2000, -1500)),
        (-1500, -2000, True, Padding(-2000, -1500)),
        (63536, 64036, True, Padding(-2000, -1500)),
        (63536, 64036, False, Padding(63536, 64036)),
        (32767, None, True, Padding(32767, 32767)),
        (0, 5, False, Padding(0, 5)),
        (5, 0, False, Padding(0, 5)),
    ],
)
def test_a_range_of_padding_is_from_the_lesser_to_the_greater(
    value: int, limit: int | None, signed: bool, padding: Padding
) -> None:
    assert Padding.declared(value, limit, FULL_SIGNED if signed else FULL_UNSIGNED) == padding


TWELVE = StoredFormat(16, 12, 11, False)
RAW = Padding(63536, 63536)  # −2000 as 16 bits: more than 12 bits can hold


def test_padding_that_bits_stored_cannot_hold_is_found_in_the_cells() -> None:
    cells = np.array([[63536, 1024], [63536, 0x1400]], np.uint16)
    values, counts = converted(cells, Conversion(TWELVE, Rescale(1, -1024), RAW))
    assert values == [[-1024, 0], [-1024, 0]]
    assert counts.padded == 2
    signed = Conversion(TWELVE, Rescale(1, -1024), Padding(-2000, -2000))
    assert converted(cells, signed)[1].padded == 2
    # Its low twelve bits are 2096: anatomy, where it is no padding.
    other = Conversion(TWELVE, Rescale(1, -1024), RAW, hounsfield=False)
    assert converted(cells, other) == ([[1072, 0], [1072, 0]], Counts(masked=3))
    for conversion in (
        Conversion(TWELVE, Rescale(1, -1024)),
        Conversion(TWELVE, Rescale(1, -1024), Padding(63536, 63537)),
    ):
        assert converted(cells, conversion)[1].padded == 0
    assert converted(np.array([1024], np.uint16), Conversion(TWELVE, Rescale(1, -1024), RAW))[0] == [0]


@pytest.mark.parametrize(("edge", "count"), [(0, 1), (4095, 1)])
def test_padding_at_either_end_of_bits_stored_is_found_among_the_values(edge: int, count: int) -> None:
    # With something in the bits above, the cell is not the value.
    cells = np.array([0xF000 | edge, 1024], np.uint16)
    rescale = Rescale(1, -1024) if edge == 0 else Rescale(1, 40000)
    assert converted(cells, Conversion(TWELVE, rescale, Padding(edge, edge)))[1].padded == count


def test_cells_of_other_widths_hold_no_padding_of_sixteen_bits() -> None:
    eight = StoredFormat(8, 8, 7, False)
    found = converted(np.array([0xD0, 7], np.uint8), Conversion(eight, Rescale(1, 0), Padding(63536, 63536)))
    assert found == ([208, 7], Counts())
    wide = StoredFormat(32, 12, 11, False)
    found = converted(np.array([63536, 7], np.uint32), Conversion(wide, Rescale(1, 0), Padding(63536, 63536)))
    assert found[1].padded == 0


def test_padding_that_may_be_anatomy_is_counted_and_left() -> None:
    conversion = Conversion(FULL_SIGNED, Rescale(1, 0), Padding(0, 10))
    values, counts = converted(np.array([-1, 0, 5, 10, 11], np.int16), conversion)
    assert values == [-1, 0, 5, 10, 11]
    assert (counts.padded, counts.padding_ignored) == (0, 3)
    all_of_it = converted(np.array([0, 10], np.int16), conversion)[1]
    assert (all_of_it.padded, all_of_it.padding_ignored) == (0, 2)


@pytest.mark.parametrize(
    ("cells", "padded"),
    [
        ([-2000, -1500], 2),
        ([-2001, -1999, -1500, -1499], 2),
        ([-2001, -1499], 0),
        ([-2500, -2001], 0),
        ([-1499], 0),
    ],
)
def test_both_ends_of_a_range_of_padding_are_padding(cells: list[int], padded: int) -> None:
    conversion = Conversion(FULL_SIGNED, Rescale(1, 0), Padding(-2000, -1500), clamp=False)
    values, counts = converted(np.array(cells, np.int16), conversion)
    assert counts.padded == padded
    assert values == [-1024 if -2000 <= cell <= -1500 else cell for cell in cells]


def test_float_cells_hold_nan_or_what_is_declared_for_nothing() -> None:
    cells = np.array([np.nan, -2000.5, -2000.0, -1500.0, -1499.5, 40.25], np.float32)
    conversion = Conversion(FULL_SIGNED, Rescale(1, 0), Padding(-2000.0, -1500.0), clamp=False)
    values, counts = converted(cells, conversion, "float32")
    assert values == [-1024, -2000.5, -1024, -1024, -1499.5, 40.25]
    assert (counts.padded, counts.rounded) == (3, 0)
    unsafe = Conversion(FULL_SIGNED, Rescale(1, 0), Padding(0.0, 50.0), clamp=False)
    values, counts = converted(cells[[0, 5]], unsafe, "float32")
    assert (values, counts.padded) == ([-1024, 40.25], 1)
    values, counts = converted(cells[[0, 5]], Conversion(FULL_SIGNED, Rescale(1, 0)))
    assert (values, counts.padded, counts.rounded) == ([-1024, 40], 1, 1)


def test_float_cells_of_another_unit_keep_their_nan_and_count_it_nowhere() -> None:
    cells = np.array([np.nan, 2.0, -2000.0], np.float32)
    conversion = Conversion(FULL_SIGNED, Rescale(2, 0), Padding(2.0, 2.0), hounsfield=False)
    values, counts = converted(cells, conversion, "float32")
    assert np.isnan(values[0])
    assert (values[1:], counts) == ([4, -4000], Counts())
    values, counts = converted(cells, conversion)
    assert (values, counts) == ([0, 4, -4000], Counts())


@pytest.mark.parametrize("slope", [1.0, 2.0])
def test_32768_hu_saturate_and_never_wrap(slope: float) -> None:
    stored = StoredFormat(32, 32, 31, True)
    for hu, expected, saturated in (
        (32766, 32766, 0),
        (32767 if slope == 1 else 32766, 32767 if slope == 1 else 32766, 0),
        (32768, 32767, 1),
        (65536, 32767, 1),
        (-32768, -32768, 0),
        (-32770, -32768, 1),
        (-70000, -32768, 1),
    ):
        conversion = Conversion(stored, Rescale(slope, -1024), clamp=False)
        cell = (hu + 1024) // int(slope)
        for cells in ([cell], [1024, cell], [cell, 0]):
            values, counts = converted(np.array(cells, np.int32), conversion)
            assert values[cells.index(cell)] == expected
            assert counts.saturated == saturated
    values, counts = converted(
        np.array([31743, 31744, 32767], np.int16), Conversion(FULL_SIGNED, Rescale(1, 1024))
    )
    assert (values, counts.saturated) == ([32767, 32767, 32767], 2)
    # As a CT may have it: 16 unsigned bits.
    values, counts = converted(
        np.array([33791, 33792, 65535], np.uint16), Conversion(FULL_UNSIGNED, Rescale(1, -1024))
    )
    assert (values, counts.saturated) == ([32767, 32767, 32767], 2)


@pytest.mark.parametrize("intercept", [32767.0, 32768.0, 40000.0, -32767.0, -32768.0, -40000.0, 65536.0])
def test_intercepts_beyond_sixteen_bits_are_no_sixteen_bit_addition(intercept: float) -> None:
    stored = StoredFormat(32, 32, 31, True)
    cells = np.array([-int(intercept), 100 - int(intercept)], np.int32)
    values, counts = converted(cells, Conversion(stored, Rescale(1, intercept)))
    assert (values, counts.saturated, counts.clamped, counts.rounded) == ([0, 100], 0, 0, 0)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("slope", [1, 0.5])
def test_air_is_the_floor_and_what_is_below_it_is_counted(slope: float, dtype: str) -> None:
    stored = [int(hu / slope) for hu in (-1024, -1025, -1023, -3000)]
    conversion = Conversion(FULL_SIGNED, Rescale(slope, 0))
    values, counts = converted(np.array(stored, np.int16), conversion, dtype)
    assert values == [-1024, -1024, -1023, -1024]
    assert counts.clamped == 2
    values, counts = converted(np.array(stored[::2], np.int16), conversion, dtype)
    assert (values, counts.clamped) == ([-1024, -1023], 0)


@pytest.mark.parametrize("intercept", [0.5, -0.5, -1024.25])
def test_an_intercept_that_is_not_whole_rounds_and_says_so(intercept: float) -> None:
    cells = np.array([1, 2, 3], np.int16)
    values, counts = converted(cells, Conversion(FULL_SIGNED, Rescale(1, intercept), clamp=False))
    assert values == [round(cell + intercept) for cell in (1, 2, 3)]
    assert counts.rounded == 3


def test_values_before_padding_and_clamp_and_where_padding_is() -> None:
    conversion = Conversion(FULL_SIGNED, Rescale(2, -1000), Padding(-2000, -1500))
    values, padded = unclamped(np.array([-2000, -1499, 500], np.int16), conversion)
    assert values.dtype == np.float32
    assert values.tolist() == [-5000, -3998, 0]
    assert padded is not None
    assert padded.tolist() == [True, False, False]
    assert unclamped(np.array([0, 500], np.int16), conversion)[1] is None
    values, padded = unclamped(
        np.array([63536, 0x1400], np.uint16), Conversion(TWELVE, Rescale(1, -1024), RAW)
    )
    assert padded is not None
    assert (padded.tolist(), values.tolist()[1]) == ([True, False], 0)
    values, padded = unclamped(np.array([np.nan, 1.5]), Conversion(FULL_SIGNED, Rescale(2, 1)))
    assert padded is not None
    assert (padded.tolist(), values.tolist()[1]) == ([True, False], 4)
    assert values.dtype == np.float32


def test_stored_values_are_a_view_where_every_cell_is_its_value() -> None:
    cells = np.array([0, 4095], np.uint16)
    assert np.shares_memory(stored_values(cells, TWELVE), cells)
    counts = Counts(masked=5)
    found = stored_values(np.array([4096, 4095, 0xF001], np.uint16), TWELVE, counts)
    assert (found.tolist(), counts.masked) == ([0, 4095, 1], 7)
    high = StoredFormat(16, 12, 15, False)
    counts = Counts()
    assert stored_values(np.array([0xABC7], np.uint16), high, counts).tolist() == [0xABC]
    assert counts.masked == 0  # nothing is said of bits below
    assert stored_values(np.array([0x0800], np.int16), StoredFormat(16, 12, 11, True)).tolist() == [-2048]


def test_a_lut_gives_its_ends_to_what_lies_beyond_them() -> None:
    lut = ModalityLut(-2, (10.0, 20.5, 30.0))
    rescale = Rescale(9, 9, lut)
    assert rescale.apply(np.array([-9, -2, -1, 0, 1, 32767], np.int16)).tolist() == [10, 10, 20.5, 30, 30, 30]
    assert rescale.apply(np.array([0, 1], np.uint8)).tolist() == [30, 30]
    assert rescale.value(-1) == 20.5
    assert Rescale(2, 1).value(3) == 7
    assert Rescale(1, -1024).apply(np.array([[0, 24]], np.uint8)).tolist() == [[-1024, -1000]]
    assert rescale.apply(np.array([0])).dtype == Rescale().apply(np.array([0])).dtype == np.float64


def test_the_range_of_a_stored_format() -> None:
    assert StoredFormat(16, 12, 11, True).range == (-2048, 2047)
    assert StoredFormat(16, 12, 11, False).range == (0, 4095)
    assert StoredFormat(8, 1, 0, True).range == (-1, 0)
    assert StoredFormat(16, 12, 11, True).is_plain
    assert not StoredFormat(16, 12, 12, True).is_plain
