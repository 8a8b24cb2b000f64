"""Traps 25 to 31: padding and noise below −1024. Each test is named for its row of the list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

import hounsfield
from hounsfield import Volume, phantom
from hounsfield.ct.hu import Padding
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=30, columns=34, slices=3, noise=5.0)


def loaded(spec: PhantomSpec, folder: Path, **options: Any) -> Volume:
    phantom.write(spec, folder)
    return hounsfield.load(folder, **options)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_trap_25_padding_is_found_among_stored_values_and_becomes_minus_1024(
    dtype: Any, tmp_path: Path
) -> None:
    volume = loaded(SMALL, tmp_path, dtype=dtype)
    np.testing.assert_array_equal(volume.array, phantom.truth(SMALL))
    padded = np.count_nonzero(phantom.truth(SMALL, clamp=False, masked=False) == -3024)
    assert volume.report.padded == padded > 100
    assert volume.report.clamped == 0  # masked before anything was clamped


def test_trap_25_a_padding_value_that_is_tissue_once_rescaled_leaves_tissue_alone(tmp_path: Path) -> None:
    # Stored 24 is −1000 HU here, padding; 24 HU is stored 1048, liver.
    spec = replace(SMALL, signed=False, padding=24, noise=0)
    volume = loaded(spec, tmp_path)
    truth = phantom.truth(spec)
    np.testing.assert_array_equal(volume.array, truth)
    np.testing.assert_array_equal(
        volume.array == -1024, phantom.truth(spec, masked=False, clamp=False) == -1000
    )


def test_trap_26_padding_as_us_over_signed_pixels(tmp_path: Path) -> None:
    spec = replace(SMALL, padding_vr="US")
    path = phantom.write(spec, tmp_path)[0]
    assert pydicom.dcmread(path).PixelPaddingValue == 63536
    volume = hounsfield.load(tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    assert volume.report.padded > 0
    assert volume.report.clamped == 0


def test_trap_26_real_63536_over_signed_pixels(real_data: Path) -> None:
    # Declared −2000 by way of 63536; what lies outside the circle is −1024 stored, −2048 HU: the clamp has it.
    (series,) = hounsfield.scan(real_data / "odd" / "dupe-positions.zip").series
    assert {one.instance.header.integer("PixelPaddingValue") for one in series.slices} == {63536}
    assert {one.instance.padding for one in series.slices} == {Padding(-2000, -2000)}
    volume = hounsfield.load(real_data / "odd" / "dupe-positions.zip", step=10.0)
    assert volume.array.min() == -1024
    assert volume.report.clamped == sum(int(np.sum(one.instance.cells() == -1024)) for one in series.slices)


def test_trap_26_real_padding_of_ge_is_masked(real_data: Path) -> None:
    folder = real_data / "odd" / "ge_ct_3slice"
    stored = [pydicom.dcmread(path).pixel_array for path in sorted(folder.iterdir())]
    volume = hounsfield.load(folder)
    assert volume.report.padded == sum(int(np.sum(cells == -2000)) for cells in stored) > 100_000
    assert volume.report.clamped == 0


def test_trap_26_padding_that_the_bits_cannot_hold_is_found_in_the_cells(tmp_path: Path) -> None:
    # −2000 in the cells and in the tag, over pixels that say 12 bits unsigned.
    spec = replace(SMALL, signed=True, padding=-2000)
    named = {"PixelRepresentation": 0, "BitsStored": 12, "HighBit": 11}
    volume = loaded(replace(spec, tags=named, noise=0), tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(replace(spec, noise=0)))
    assert volume.report.padded > 0


@pytest.mark.parametrize(
    "spec",
    [
        replace(SMALL, padding_tag=-32768),  # declared wrongly
        replace(SMALL, padding_tag=None),  # not declared
        replace(SMALL, padding=-3024, intercept=0.0, padding_tag=-2000),  # rescaled already
        replace(SMALL, padding=-3024, intercept=0.0, padding_tag=None),
    ],
    ids=["wrong", "missing", "rescaled", "rescaled and missing"],
)
def test_trap_27_the_clamp_catches_what_the_mask_misses(spec: PhantomSpec, tmp_path: Path) -> None:
    volume = loaded(spec, tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    assert volume.array.min() == -1024
    assert volume.report.padded == 0
    assert volume.report.clamped == np.count_nonzero(phantom.truth(spec, clamp=False, masked=False) < -1024)


def test_trap_27_real_padding_declared_as_minus_32768_and_present_as_minus_2000(real_data: Path) -> None:
    path = real_data / "transfer_syntaxes" / "CTImage.dcm"
    dataset = pydicom.dcmread(path)
    assert dataset.PixelPaddingValue == -32768
    stored = dataset.pixel_array
    assert np.count_nonzero(stored == -2000) > 50_000
    volume = hounsfield.load(path)
    np.testing.assert_array_equal(volume.array[0], np.maximum(stored - 1024, -1024))
    assert volume.report.clamped == np.count_nonzero(stored < 0)


@pytest.mark.parametrize("ends", [(-2000, -1900), (-1900, -2000)])
def test_trap_28_range_limit_is_inclusive_in_either_order(ends: tuple[int, int], tmp_path: Path) -> None:
    spec = replace(SMALL, padding=ends[0], padding_limit=ends[1])
    stored = phantom.truth(spec, clamp=False, masked=False) + 1024
    assert {-2000, -1900} <= set(np.unique(stored))
    volume = loaded(spec, tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    assert volume.report.padded == np.count_nonzero(stored <= -1900)
    assert volume.report.clamped == 0


def test_trap_28_one_end_in_anatomy_makes_the_whole_range_unsafe(tmp_path: Path) -> None:
    spec = replace(SMALL, padding=-2000, padding_limit=1000)
    volume = loaded(spec, tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    assert volume.report.padded == 0
    assert "may be anatomy" in volume.report.warnings[0]


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_trap_29_zero_declared_over_hu_is_water_not_padding(dtype: Any, tmp_path: Path) -> None:
    spec = replace(SMALL, intercept=0.0, padding=-1024, padding_tag=0)
    volume = loaded(spec, tmp_path, dtype=dtype)
    truth = phantom.truth(spec)
    np.testing.assert_array_equal(volume.array, truth)
    water = int(np.count_nonzero(truth == 0))
    assert water > 0
    assert volume.report.padded == 0
    assert volume.report.warnings == (
        f"{water} voxels equal a declared Pixel Padding Value that may be anatomy: kept as values",
    )


@pytest.mark.parametrize(("hu", "is_padding"), [(-900, True), (-899, False)])
def test_trap_29_the_line_is_at_minus_900(hu: int, is_padding: bool, tmp_path: Path) -> None:
    spec = replace(SMALL, padding=hu + 1024, signed=False, noise=0)
    volume = loaded(spec, tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    assert (volume.report.padded > 0) is is_padding
    assert (volume.report.warnings == ()) is is_padding


def test_trap_30_noise_below_minus_1024_is_clamped_and_counted_unless_asked(tmp_path: Path) -> None:
    spec = replace(SMALL, noise=40.0, padding=None)
    exact = phantom.truth(spec, clamp=False)
    noisy = int(np.count_nonzero(exact < -1024))
    assert noisy > 50
    volume = loaded(spec, tmp_path)
    np.testing.assert_array_equal(volume.array, np.maximum(exact, -1024))
    assert volume.report.clamped == noisy
    kept = hounsfield.load(tmp_path, clamp=False)
    np.testing.assert_array_equal(kept.array, exact)
    assert kept.report.clamped == 0


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_trap_30_without_clamp_padding_is_still_padding(dtype: Any, tmp_path: Path) -> None:
    spec = replace(SMALL, noise=40.0)
    volume = loaded(spec, tmp_path, clamp=False, dtype=dtype)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec, clamp=False))
    assert volume.report.padded > 0


def with_padding_in_one_slice(folder: Path) -> Path:
    """Slices of 500 HU at 0, 1 and 3 mm; the one at 1 mm is padding in its left half."""
    folder.mkdir()
    spec = replace(SMALL, slices=4, slice_step=1.0, missing=(2,), padding=None, padding_tag=-2000)
    for index, dataset in enumerate(phantom.datasets(spec)):
        stored = np.full((30, 34), 1524, np.int16)
        if index == 1:
            stored[:, :17] = -2000
        dataset.PixelData = stored.tobytes()
        pydicom.dcmwrite(folder / f"{index}.dcm", dataset, enforce_file_format=True)
    return folder


def test_trap_31_interpolation_never_blends_padding(tmp_path: Path) -> None:
    volume = hounsfield.load(with_padding_in_one_slice(tmp_path / "ct"), gaps="interpolate")
    assert volume.array.shape == (4, 30, 34)
    assert set(np.unique(volume.array)) == {-1024, 500}
    assert np.all(volume.array[:, :, 17:] == 500)
    assert np.all(volume.array[1, :, :17] == -1024)


@pytest.mark.parametrize("step", [0.25, 0.4, 0.9])
def test_trap_31_nor_does_resampling(step: float, tmp_path: Path) -> None:
    volume = hounsfield.load(with_padding_in_one_slice(tmp_path / "ct"), step=step)
    assert set(np.unique(volume.array)) == {-1024, 500}


def test_trap_31_nor_does_making_a_tilt_upright(tmp_path: Path) -> None:
    spec = replace(SMALL, tilt=15.0, noise=0, padding=-2000)
    phantom.write(spec, tmp_path)
    plain, upright = hounsfield.load(tmp_path), hounsfield.load(tmp_path, rectify=True)
    low = plain.array[plain.array > -1024].min()
    assert upright.array.shape[1] > plain.array.shape[1]
    assert not np.any((upright.array > -1024) & (upright.array < low))


def test_trap_29_a_padding_above_any_ct_number_is_padding(tmp_path: Path) -> None:
    # −2000 over 16 unsigned bits is 63536, 62 512 HU: kept as a value it was a white ring of 32 767.
    paths = phantom.write(replace(SMALL, signed=False, padding=0, padding_tag=63536, noise=0), tmp_path)
    for path in paths:
        dataset = pydicom.dcmread(path)
        cells = dataset.pixel_array.copy()
        cells[cells == 0] = 63536
        dataset.PixelData = cells.tobytes()
        dataset.save_as(path)
    volume = hounsfield.load(tmp_path)
    assert volume.array.min() == -1024
    assert volume.array.max() < 2000
    assert (volume.report.padded > 0, volume.report.saturated) == (True, 0)
