"""How the phantom's HU become bits: every knob of the stored values, read back by hand from the written ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield import phantom
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=40, columns=56, slices=3)


def first(spec: PhantomSpec) -> pydicom.Dataset:
    return next(iter(phantom.datasets(spec)))


def cells(dataset: pydicom.Dataset) -> np.ndarray[Any, Any]:
    dtype = {8: "u1", 16: "<u2", 32: "<u4"}[dataset.BitsAllocated]
    raw = np.frombuffer(dataset.PixelData, dtype)[: dataset.Rows * dataset.Columns]
    return raw.reshape(dataset.Rows, dataset.Columns).astype(np.int64)


def decoded(dataset: pydicom.Dataset) -> np.ndarray[Any, Any]:
    """Stored values by PS3.5 8.1.1: from High Bit down, all other bits forgotten."""
    stored, top = dataset.BitsStored, dataset.HighBit
    values = (cells(dataset) >> (top + 1 - stored)) & ((1 << stored) - 1)
    if dataset.PixelRepresentation:
        values -= (values >> (stored - 1)) << stored
    return values


@settings(max_examples=40)
@given(
    allocated=st.sampled_from((16, 32)),
    stored=st.integers(12, 16),
    spare=st.integers(0, 4),
    signed=st.booleans(),
    extended=st.booleans(),
    garbage=st.booleans(),
)
def test_traps_1_to_3_any_arrangement_of_bits_decodes_to_the_truth(
    allocated: Any, stored: int, spare: int, signed: bool, extended: bool, garbage: bool
) -> None:
    spec = replace(
        SMALL,
        slices=1,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=min(stored - 1 + spare, allocated - 1),
        signed=signed,
        sign_extended=extended,
        garbage=garbage,
        padding=0,
        padding_tag=None,
    )
    dataset = first(spec)
    np.testing.assert_array_equal(decoded(dataset) - 1024.0, phantom.truth(spec, clamp=False)[0])


def test_trap_1_negative_values_need_not_be_sign_extended() -> None:
    spec = replace(SMALL, bits_stored=13, sign_extended=False)
    assert cells(first(spec)).max() < 1 << 13
    assert cells(first(replace(spec, sign_extended=True))).max() > 1 << 15


def test_trap_2_garbage_lies_only_above_the_stored_bits() -> None:
    spec = replace(SMALL, bits_stored=12, signed=False, padding=0)
    clean, dirty = cells(first(spec)), cells(first(replace(spec, garbage=True)))
    np.testing.assert_array_equal(clean, dirty & 0xFFF)
    assert (dirty > 0xFFF).mean() > 0.5


def test_trap_2_an_embedded_overlay_takes_its_bit_and_declares_it() -> None:
    spec = replace(SMALL, bits_stored=12, signed=False, padding=0, overlay_bit=14)
    dataset = first(spec)
    assert dataset[0x6000, 0x0102].value == 14
    ring = (cells(dataset) >> 14) & 1
    assert ring.sum() == dataset[0x6000, 0x1301].value > 0
    np.testing.assert_array_equal(decoded(dataset) - 1024, phantom.truth(spec, clamp=False)[0])


def test_trap_3_left_justified_values_say_so() -> None:
    dataset = first(replace(SMALL, bits_stored=12, signed=False, padding=0, high_bit=15))
    assert dataset.HighBit == 15
    assert (cells(dataset) % 16 == 0).all()


def test_trap_6_metal_is_more_than_int16_can_hold() -> None:
    spec = replace(SMALL, signed=False, padding=0, metal=40000.0)
    assert phantom.truth(spec).max() > 32767
    assert decoded(first(spec)).max() > 40000


def test_trap_7_eight_bits_and_a_fractional_slope() -> None:
    spec = replace(
        SMALL, bits_allocated=8, bits_stored=8, signed=False, padding=0, slope=32.1216, intercept=-2048.0
    )
    dataset = first(spec)
    assert dataset["PixelData"].VR == "OB"
    expected = decoded(dataset) * 32.1216 - 2048
    np.testing.assert_allclose(phantom.truth(spec, masked=False, clamp=False)[0], expected, atol=1e-9)


def test_trap_8_monochrome1_is_a_word_and_changes_no_value() -> None:
    plain, inverse = first(SMALL), first(replace(SMALL, photometric="MONOCHROME1"))
    assert inverse.PhotometricInterpretation == "MONOCHROME1"
    assert plain.PixelData == inverse.PixelData


@pytest.mark.parametrize(
    ("tags", "slope", "intercept"),
    [
        ({"slope_tag": None}, 1, -1024),
        ({"intercept_tag": None}, 2, 0),
        ({"slope_tag": ""}, 1, -1024),
        ({"slope_tag": "0"}, 1, -1024),
        ({"intercept_tag": "abc"}, 2, 0),
        ({"slope_tag": None, "intercept_tag": None}, 1, 0),
    ],
)
def test_trap_17_a_broken_half_of_the_rescale_is_neutral_by_itself(
    tags: dict[str, Any], slope: float, intercept: float
) -> None:
    spec = replace(SMALL, slope=2.0, **tags)
    dataset = first(spec)
    np.testing.assert_array_equal(
        phantom.truth(spec, masked=False, clamp=False)[0], decoded(dataset) * slope + intercept
    )
    for keyword, text in (("RescaleSlope", "slope_tag"), ("RescaleIntercept", "intercept_tag")):
        if text in tags and tags[text] is None:
            assert keyword not in dataset
        elif text in tags:
            assert str(dataset[keyword].value) == tags[text]


def test_trap_19_slope_and_intercept_of_each_slice() -> None:
    spec = replace(SMALL, slope=(0.5, 0.75, 1.25), intercept=(-1024.0, -1000.0, -2000.0), padding=None)
    for number, dataset in enumerate(phantom.datasets(spec)):
        values = decoded(dataset) * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        np.testing.assert_array_equal(np.maximum(values, -1024), phantom.truth(spec)[number])
    assert phantom.truth(spec)[1].max() == pytest.approx(990, abs=60)


def test_trap_21_the_modality_lut_wins_and_is_clamped_to_its_ends() -> None:
    spec = replace(SMALL, modality_lut=True, padding=None)
    dataset = first(spec)
    item = dataset.ModalityLUTSequence[0]
    entries, start, bits = item.LUTDescriptor
    assert (entries, bits, item.ModalityLUTType) == (2048, 16, "HU")
    looked_up = np.asarray(item.LUTData)[np.clip(decoded(dataset) - start, 0, entries - 1)]
    np.testing.assert_array_equal(looked_up, phantom.truth(spec)[0])
    assert phantom.truth(spec).min() == 0


@pytest.mark.parametrize("unit", [None, "HU", "HU_MOD", "US", "Z_EFF"])
def test_trap_22_the_unit_is_what_the_header_says_and_only_hu_is_clamped(unit: str | None) -> None:
    spec = replace(SMALL, rescale_type=unit)
    assert first(spec).get("RescaleType") == unit
    assert phantom.truth(spec).min() == (-1024 if unit in (None, "HU", "HU_MOD") else -3024)


def test_trap_23_a_virtual_mono_energetic_image_says_its_energy() -> None:
    dataset = first(replace(SMALL, mono_energetic_kev=70))
    assert dataset.ImageType[3] == "VMI"
    assert dataset.MultienergyCTAcquisition == "YES"
    assert float(dataset.KVP) == 70


def test_trap_26_padding_as_us_over_signed_pixels_is_written_as_63536() -> None:
    dataset = first(replace(SMALL, padding_vr="US"))
    assert dataset["PixelPaddingValue"].VR == "US"
    assert dataset.PixelPaddingValue == 63536
    assert decoded(dataset).min() == -2000


@pytest.mark.parametrize(("tag", "written"), [(None, None), (-32768, -32768), ("as present", -2000)])
def test_trap_27_the_declared_padding_may_be_missing_or_wrong(tag: Any, written: int | None) -> None:
    spec = replace(SMALL, padding_tag=tag)
    dataset = first(spec)
    assert dataset.get("PixelPaddingValue") == written
    assert decoded(dataset)[0, 0] == -2000
    assert phantom.truth(spec)[0, 0, 0] == -1024
    assert phantom.truth(spec, clamp=False)[0, 0, 0] == (-1024 if tag == "as present" else -3024)


def test_trap_27_padding_over_pixels_that_are_hu_already() -> None:
    spec = replace(SMALL, intercept=0.0, padding=-3024)
    dataset = first(spec)
    assert float(dataset.RescaleIntercept) == 0
    np.testing.assert_array_equal(np.maximum(decoded(dataset), -1024), phantom.truth(spec)[0])


@pytest.mark.parametrize(("value", "limit"), [(-2000, -1500), (-1500, -2000)])
def test_trap_28_a_range_of_padding_is_inclusive_in_either_order(value: int, limit: int) -> None:
    spec = replace(SMALL, padding=value, padding_limit=limit)
    dataset = first(spec)
    assert (dataset.PixelPaddingValue, dataset.PixelPaddingRangeLimit) == (value, limit)
    corner = decoded(dataset)[decoded(dataset) < -1200]
    assert (corner.min(), corner.max()) == (-2000, -1500)
    inside = phantom.truth(spec, clamp=False)
    assert (inside[0][decoded(dataset) < -1200] == -1024).all()


def test_trap_29_a_declared_padding_of_water_is_no_padding() -> None:
    spec = replace(SMALL, intercept=0.0, padding=-2000, padding_tag=0)
    assert first(spec).PixelPaddingValue == 0
    np.testing.assert_array_equal(
        phantom.truth(spec, clamp=False), phantom.truth(spec, clamp=False, masked=False)
    )


def test_trap_30_much_noise_reaches_below_the_floor() -> None:
    spec = replace(SMALL, noise=30.0, padding=None)
    assert -1200 < phantom.truth(spec, clamp=False).min() < -1040
