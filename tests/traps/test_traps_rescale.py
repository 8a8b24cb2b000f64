"""Traps 17 to 24: from stored values to output units. Each test is named for its row of the list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

import hounsfield
from hounsfield import Volume, phantom
from hounsfield.errors import HounsfieldError, MalformedError, NotHounsfieldError
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=30, columns=34, slices=3)
UNSIGNED = replace(SMALL, signed=False, bits_stored=12, padding=0)


def loaded(spec: PhantomSpec, folder: Path, **options: Any) -> Volume:
    phantom.write(spec, folder)
    return hounsfield.load(folder, **options)


def rewritten(spec: PhantomSpec, folder: Path, change: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for number, dataset in enumerate(phantom.datasets(spec)):
        change(dataset)
        pydicom.dcmwrite(folder / f"{number}.dcm", dataset, enforce_file_format=True)
    return folder


BROKEN = {None: "is missing", "": "is empty"}
UNREADABLE = ["abc", "nan", "1e999", "1,2,3", "1.0HU", "- 1"]


@pytest.mark.parametrize("text", [None, "", "0"])
def test_trap_17_a_slope_that_is_none_is_one_and_the_intercept_stays(
    text: str | None, tmp_path: Path
) -> None:
    spec = replace(SMALL, slope_tag=text)
    volume = loaded(spec, tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    np.testing.assert_array_equal(volume.array, phantom.truth(SMALL))
    found = "is '0'" if text == "0" else BROKEN[text]
    assert volume.report.warnings == (f"Rescale Slope (0028,1053) {found}: taken as 1",)
    assert (volume.report.slope, volume.report.intercept) == (1, -1024)


@pytest.mark.parametrize("text", UNREADABLE)
@pytest.mark.parametrize("half", ["slope_tag", "intercept_tag"])
@pytest.mark.parametrize("multiframe", [None, "enhanced"])
def test_trap_17_what_is_written_and_no_number_is_refused(
    multiframe: Any, half: str, text: str, tmp_path: Path
) -> None:
    with pytest.raises(HounsfieldError, match=f"is '{text}'"):
        loaded(replace(SMALL, multiframe=multiframe, **{half: text}), tmp_path)  # type: ignore[arg-type]


def test_trap_17_of_several_values_the_first_is_taken_and_told(tmp_path: Path) -> None:
    volume = loaded(replace(SMALL, intercept_tag="-1024\\0"), tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(SMALL))
    told = r"Rescale Intercept (0028,1052) is -1024\0, where one value belongs: taken as the first, -1024"
    assert volume.report.warnings == (told,)


@pytest.mark.parametrize("text", [None, ""])
def test_trap_17_an_intercept_that_is_none_is_zero_never_guessed(text: str | None, tmp_path: Path) -> None:
    spec = replace(UNSIGNED, intercept_tag=text, slope=2.0)
    volume = loaded(spec, tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    assert volume.array.min() == 0
    assert volume.report.warnings[0] == f"Rescale Intercept (0028,1052) {BROKEN[text]}: taken as 0"
    assert (volume.report.slope, volume.report.intercept) == (2, 0)


def test_trap_17_an_intercept_of_zero_is_a_value(tmp_path: Path) -> None:
    volume = loaded(replace(SMALL, intercept=0.0), tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(replace(SMALL, intercept=0.0)))
    assert volume.report.warnings == ()


@pytest.mark.parametrize("place", ["shared", "per-frame", "root"])
@pytest.mark.parametrize("half", ["slope_tag", "intercept_tag"])
def test_trap_17_half_a_pair_in_functional_groups(place: Any, half: str, tmp_path: Path) -> None:
    spec = replace(SMALL, multiframe="enhanced", rescale_place=place, slope=2.0, **{half: None})  # type: ignore[arg-type]
    volume = loaded(spec, tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    assert "is missing: taken as" in volume.report.warnings[0]


def test_trap_18_values_that_are_hu_already_are_accepted(tmp_path: Path) -> None:
    spec = replace(SMALL, intercept=0.0, padding=-1024)
    volume = loaded(spec, tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    assert volume.report.warnings == ()
    assert (volume.report.slope, volume.report.intercept) == (1, 0)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_trap_18_stored_values_called_hu_are_warned_about_and_never_shifted(
    dtype: Any, tmp_path: Path
) -> None:
    spec = replace(UNSIGNED, intercept_tag="0", padding_tag=None)
    volume = loaded(spec, tmp_path, dtype=dtype)
    assert volume.array.min() == 0
    np.testing.assert_array_equal(volume.array, phantom.truth(UNSIGNED, masked=False) + 1024)
    assert volume.report.warnings == (
        "does not look like HU: much of it is near 0 and nothing below −200, where air is; never shifted",
    )


def test_trap_19_each_slice_by_its_own_slope_and_intercept(tmp_path: Path) -> None:
    spec = replace(
        SMALL,
        slope=(1.0, 0.5, 2.0),
        intercept=(-1024.0, -1000.0, 12.0),
        bits_stored=14,
        slices=6,
        padding=None,
    )
    truth = phantom.truth(spec)
    volume = loaded(spec, tmp_path)
    np.testing.assert_array_equal(volume.array, np.rint(truth))
    assert volume.report.warnings == (
        f"{volume.report.rounded} voxels were rounded to whole numbers; dtype='float32' keeps their fractions",
        "Rescale differs between slices (3 kinds): each slice by its own",
    )
    assert (volume.report.slope, volume.report.intercept) == (None, None)
    np.testing.assert_array_equal(hounsfield.load(tmp_path, dtype="float32").array, truth)


@pytest.mark.parametrize("order", ["ascending", "shuffled"])
def test_trap_19_per_frame_rescale_of_a_multi_frame(order: Any, tmp_path: Path) -> None:
    spec = replace(SMALL, slope=(1.0, 2.0), multiframe="enhanced", frame_order=order, slices=5, padding=None)
    volume = loaded(spec, tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))


def test_trap_20_fractional_slopes_are_exact_in_float32_and_rounded_to_nearest_in_int16(
    tmp_path: Path,
) -> None:
    spec = replace(SMALL, slope=0.37, padding=None)
    truth = phantom.truth(spec)
    exact = loaded(spec, tmp_path, dtype="float32")
    np.testing.assert_array_equal(exact.array, truth.astype(np.float32))
    assert exact.report.rounded == 0
    volume = hounsfield.load(tmp_path)
    np.testing.assert_array_equal(volume.array, np.rint(truth))
    assert volume.report.rounded == np.count_nonzero(np.rint(truth) != truth) > 0
    assert any("rounded to whole numbers" in warning for warning in volume.report.warnings)
    assert not any("rounded" in warning for warning in exact.report.warnings)
    assert np.any(volume.array != np.trunc(truth))  # truncation, as some readers do, would show


def test_trap_20_the_output_type_does_not_depend_on_the_header(tmp_path: Path) -> None:
    for number, spec in enumerate((SMALL, replace(SMALL, slope=0.5), replace(UNSIGNED, intercept=-1000.5))):
        folder = tmp_path / str(number)
        assert loaded(spec, folder).array.dtype == np.int16
        assert hounsfield.load(folder, dtype="float32").array.dtype == np.float32


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("syntax", ["explicit", "implicit", "explicit-big-endian"])
def test_trap_21_a_modality_lut_wins_over_rescale_and_is_clamped_to_its_ends(
    signed: bool, syntax: str, tmp_path: Path
) -> None:
    padding = -2000 if signed else 0
    spec = replace(SMALL, signed=signed, padding=padding, modality_lut=True, transfer_syntax=syntax)
    volume = loaded(spec, tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    assert volume.array.min() == 0  # the table's first entry, for all that lies below it
    assert (volume.report.slope, volume.report.intercept) == (None, None)
    assert volume.unit == "HU"


def lut(kind: str, descriptor: list[int], vr: str, data: Any) -> Any:
    def change(dataset: Dataset) -> None:
        item = Dataset()
        item.add_new(0x00283002, "US", descriptor)
        item.add_new(0x00283004, "LO", kind)
        item.add_new(0x00283006, vr, data)
        dataset.ModalityLUTSequence = Sequence([item])
        del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType

    return change


def test_trap_21_the_tables_own_type_says_the_unit(tmp_path: Path) -> None:
    table = list(range(4096))
    folder = rewritten(UNSIGNED, tmp_path / "ct", lut("OD", [4096, 0, 16], "US", table))
    volume = hounsfield.load(folder)
    assert volume.unit == "OD"
    np.testing.assert_array_equal(volume.array, phantom.truth(UNSIGNED, masked=False) + 1024)


def test_trap_21_a_table_of_bytes_packed_in_words(tmp_path: Path) -> None:
    spec = replace(SMALL, bits_allocated=8, bits_stored=8, signed=False, padding=0, slope=10.0)
    table = bytes((7 * index) % 256 for index in range(256))
    folder = rewritten(spec, tmp_path / "ct", lut("HU", [256, 0, 8], "OW", table))
    stored = (phantom.truth(spec, masked=False, clamp=False) + 1024) / 10
    np.testing.assert_array_equal(hounsfield.load(folder).array, (7 * stored) % 256)


def test_trap_21_a_table_shorter_than_it_says_is_malformed(tmp_path: Path) -> None:
    folder = rewritten(UNSIGNED, tmp_path / "ct", lut("HU", [4096, 0, 16], "US", [1, 2, 3]))
    scan = hounsfield.scan(folder)
    assert scan.series == ()
    assert scan.skipped[0].reason == "3 values in the Modality LUT (expected 4096, by its LUT Descriptor)"


@pytest.mark.parametrize(
    ("rescale_type", "unit", "hounsfield_units", "warning"),
    [
        (None, "HU", True, None),
        ("", "HU", True, None),
        ("HU", "HU", True, None),
        ("hu ", "HU", True, None),
        ("HU_MOD", "HU_MOD", True, "HU_MOD: modified Hounsfield units"),
        ("US", "unspecified", False, "US (unspecified) on a CT"),
        *(
            (kind, kind, False, f"Rescale Type is {kind}: another quantity")
            for kind in ("MGML", "Z_EFF", "ED", "EDW", "PCT", "OD")
        ),
    ],
)
def test_trap_22_rescale_type_decides_the_unit_and_who_is_clamped(
    rescale_type: str | None, unit: str, hounsfield_units: bool, warning: str | None, tmp_path: Path
) -> None:
    spec = replace(SMALL, rescale_type=rescale_type)
    volume = loaded(spec, tmp_path)
    assert volume.unit == unit
    assert volume.is_hounsfield is hounsfield_units
    expected = phantom.truth(SMALL, masked=hounsfield_units, clamp=hounsfield_units)
    np.testing.assert_array_equal(volume.array, expected)
    assert volume.array.min() == (-1024 if hounsfield_units else -3024)
    assert (volume.report.warnings == ()) is (warning is None)
    assert warning is None or warning in volume.report.warnings[0]


def test_trap_22_another_unit_can_be_refused(tmp_path: Path) -> None:
    phantom.write(replace(SMALL, rescale_type="Z_EFF"), tmp_path)
    with pytest.raises(NotHounsfieldError, match="Z_EFF"):
        hounsfield.load(tmp_path, require_hounsfield=True)


@pytest.mark.parametrize("modality", ["MR", "PT", "NM", "RTDOSE"])
def test_trap_22_what_is_no_ct_is_not_called_hu(modality: str, tmp_path: Path) -> None:
    spec = replace(SMALL, rescale_type=None, tags={"Modality": modality})
    volume = loaded(spec, tmp_path)
    assert volume.unit == "unspecified"
    assert volume.array.min() == -3024
    assert volume.report.warnings[-1] == f"Modality is {modality}, not CT: values are not HU"


@pytest.mark.parametrize("name", ["enhanced/eCT_Supplemental.dcm", "odd/torchio_17"])
def test_trap_22_real_us_on_a_ct_keeps_its_numbers(real_data: Path, name: str) -> None:
    volume = hounsfield.load(real_data / name)
    assert volume.unit == "unspecified"
    assert "not called HU" in volume.report.warnings[-1]
    assert volume.report.clamped == volume.report.padded == 0


def test_trap_23_mono_energetic_images_are_volumes_of_their_own(tmp_path: Path) -> None:
    specs = [replace(SMALL, mono_energetic_kev=kev, series_number=kev, seed=3) for kev in (40, 70)]
    for spec in specs:
        phantom.write(spec, tmp_path / str(spec.mono_energetic_kev))
    scan = hounsfield.scan(tmp_path)
    assert [(one.unit.name, len(one.slices)) for one in scan.series] == [("HU", 3), ("HU", 3)]
    for spec in specs:
        volume = hounsfield.load(tmp_path, series=spec.mono_energetic_kev)
        np.testing.assert_array_equal(volume.array, phantom.truth(spec))


def test_trap_23_energies_in_one_series_are_never_interleaved(tmp_path: Path) -> None:
    specs = [replace(SMALL, mono_energetic_kev=kev, seed=kev) for kev in (40, 70)]
    uid = phantom.series_uid(specs[0])
    study = next(iter(phantom.datasets(specs[0]))).StudyInstanceUID
    for spec in specs:
        named = {"SeriesInstanceUID": uid, "StudyInstanceUID": study}
        phantom.write(replace(spec, tags=named), tmp_path / str(spec.mono_energetic_kev))
    (series,) = hounsfield.scan(tmp_path).series
    assert [phase.label for phase in series.phases] == ["40 keV", "70 keV"]
    for index, spec in enumerate(specs):
        volume = hounsfield.load(tmp_path, phase=index)
        np.testing.assert_array_equal(volume.array, phantom.truth(spec))


def test_trap_23_a_material_map_in_the_series_is_a_part_with_its_own_unit(tmp_path: Path) -> None:
    phantom.write(SMALL, tmp_path / "hu")
    material = replace(SMALL, rescale_type="MGML", padding=None)
    phantom.write(material, tmp_path / "map")
    scan = hounsfield.scan(tmp_path)
    assert {(one.uid, one.part) for one in scan.series} == {
        (phantom.series_uid(SMALL), "HU"),
        (phantom.series_uid(SMALL), "MGML"),
    }
    volume = hounsfield.load(tmp_path, series=f"{phantom.series_uid(SMALL)}#MGML")
    assert volume.unit == "MGML"
    np.testing.assert_array_equal(volume.array, phantom.truth(material, clamp=False, masked=False))


def test_trap_24_real_world_values_are_not_mixed_in(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "enhanced" / "eCT_Supplemental.dcm"
    dataset = pydicom.dcmread(path)
    assert "RealWorldValueMappingSequence" in dataset.SharedFunctionalGroupsSequence[0]
    volume = hounsfield.load(path)
    np.testing.assert_array_equal(
        np.sort(volume.array, axis=0), np.sort(dataset.pixel_array - 1024.0, axis=0)
    )


def test_trap_24_a_mapping_at_the_root_changes_no_number(tmp_path: Path) -> None:
    def mapped(dataset: Dataset) -> None:
        item = Dataset()
        item.RealWorldValueIntercept, item.RealWorldValueSlope = 5.0, 100.0
        item.LUTLabel = "other"
        dataset.RealWorldValueMappingSequence = Sequence([item])

    volume = hounsfield.load(rewritten(SMALL, tmp_path / "ct", mapped))
    np.testing.assert_array_equal(volume.array, phantom.truth(SMALL))


def test_rescale_errors_name_the_file(tmp_path: Path) -> None:
    phantom.write(replace(SMALL, tags={"BitsStored": 17}), tmp_path)
    with pytest.raises(MalformedError, match=r"CT000\d\.dcm: Bits Stored 17 is above Bits Allocated 16"):
        hounsfield.load(tmp_path)
