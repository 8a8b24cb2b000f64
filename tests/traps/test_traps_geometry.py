"""Traps 32 to 50: where slices lie and which belong together. Each test is named for its row of the list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hounsfield
from hounsfield import Volume, phantom
from hounsfield.ct.geometry import Verdict
from hounsfield.errors import GeometryError, SelectionError
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=30, columns=34, slices=6)


def loaded(spec: PhantomSpec, folder: Path, **options: Any) -> Volume:
    phantom.write(spec, folder)
    return hounsfield.load(folder, **options)


def assert_is_truth(volume: Volume, spec: PhantomSpec, *, phase: int = 0) -> None:
    np.testing.assert_array_equal(volume.array, phantom.truth(spec, phase=phase))
    np.testing.assert_allclose(volume.affine, phantom.affine(spec), atol=1e-6)


@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled"])
def test_trap_32_order_comes_from_positions_alone(order: Any, tmp_path: Path) -> None:
    spec = replace(SMALL, order=order, lying_slice_location=True)
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)
    uids = {
        dataset.SOPInstanceUID: float(dataset.ImagePositionPatient[2]) for dataset in phantom.datasets(spec)
    }
    assert [uids[uid] for uid in volume.uids] == sorted(uids.values())


def test_trap_33_spacing_comes_from_positions_alone(tmp_path: Path) -> None:
    spec = replace(SMALL, slice_step=3.0, slice_thickness=5.0, tags={"SpacingBetweenSlices": "-7.5"})
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)
    assert volume.spacing[0] == pytest.approx(3.0)


@pytest.mark.parametrize("tilt", [-18.5, 5.0, 30.0])
@pytest.mark.parametrize("written", [None, "0", "12"])
def test_trap_34_tilt_comes_from_positions_and_the_affine_is_exact(
    tilt: float, written: str | None, tmp_path: Path
) -> None:
    spec = replace(SMALL, tilt=tilt, tags={"GantryDetectorTilt": written})
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)
    assert volume.report.verdict == "sheared"
    assert volume.tilt_degrees == pytest.approx(abs(tilt), abs=1e-4)
    np.testing.assert_allclose(volume.affine[:3, 0], (0, 0, 2.5), atol=1e-6)
    assert volume.spacing[0] == pytest.approx(2.5 * np.cos(np.radians(tilt)))


def test_trap_34_real_tilt_of_18_5_degrees(real_data: Path) -> None:
    folder = real_data / "philips_phantom" / "S21610"
    volume = hounsfield.load(folder)
    assert volume.array.shape == (54, 512, 512)
    assert volume.tilt_degrees == pytest.approx(18.5, abs=0.01)
    np.testing.assert_allclose(volume.affine[:3, 0], (0, 0, 2.5), atol=0.01)
    by_uid = {}
    for path in (folder / "S2010").glob("I*"):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        by_uid[dataset.SOPInstanceUID] = np.array(dataset.ImagePositionPatient, float)
    for index, uid in enumerate(volume.uids):
        np.testing.assert_allclose(volume.lps(index, 0, 0), by_uid[uid], atol=0.02)


def test_trap_34_rectifying_shifts_each_slice_in_its_plane_and_pads(tmp_path: Path) -> None:
    # 2.5 mm along z at 30° is 1.25 mm down each slice: exactly one row.
    spec = replace(SMALL, tilt=30.0, pixel_spacing=(1.25, 1.25), rows=40, columns=40)
    phantom.write(spec, tmp_path)
    plain, upright = hounsfield.load(tmp_path), hounsfield.load(tmp_path, rectify=True)
    assert upright.array.shape == (6, 45, 40)
    assert upright.report.verdict == "regular"
    for index in range(6):
        first = round((upright.index(plain.lps(index, 0, 0)))[1])
        np.testing.assert_array_equal(upright.array[index, first : first + 40], plain.array[index])
        rest = np.delete(upright.array[index], np.s_[first : first + 40], axis=0)
        assert np.all(rest == -1024)
    np.testing.assert_allclose(
        upright.lps(0, 3, 4) - plain.lps(0, 3, 4), upright.lps(0, 0, 0) - plain.lps(0, 0, 0)
    )


def test_trap_35_nifti_of_a_shear_has_an_sform_alone(tmp_path: Path) -> None:
    import nibabel

    volume = loaded(replace(SMALL, tilt=12.0), tmp_path / "ct")
    hounsfield.write_volume(volume, tmp_path / "out.nii")
    header = nibabel.load(tmp_path / "out.nii").header
    assert int(header["qform_code"]) == 0
    assert int(header["sform_code"]) > 0


UNEVEN = replace(SMALL, slice_positions=(-9.0, -6.0, -4.5, 0.0, 2.0, 8.0))


def test_trap_36_uneven_spacing_is_an_error_with_positions_and_a_remedy(tmp_path: Path) -> None:
    phantom.write(UNEVEN, tmp_path)
    with pytest.raises(
        GeometryError, match=r"irregular: slice steps vary from 1.500 to 6.000 mm.*step=3"
    ) as caught:
        hounsfield.load(tmp_path)
    np.testing.assert_allclose(caught.value.data["positions"], UNEVEN.slice_positions)  # type: ignore[arg-type]


def test_trap_36_on_request_uneven_slices_are_resampled_from_where_they_lie(tmp_path: Path) -> None:
    spec = replace(UNEVEN, padding=None)
    truth = phantom.truth(spec)
    volume = loaded(spec, tmp_path, step=1.0, dtype="float32")
    assert volume.array.shape == (18, 30, 34)
    assert volume.spacing[0] == 1.0
    np.testing.assert_allclose(volume.lps(0, 0, 0)[2], -9)
    for index, z in enumerate(np.arange(-9.0, 9.0)):
        if z in spec.slice_positions:  # type: ignore[operator]
            np.testing.assert_array_equal(volume.array[index], truth[spec.slice_positions.index(z)])
    one, other = truth[3], truth[4]
    blend, padded = (one + other) / 2, (one == -1024) | (other == -1024)
    np.testing.assert_allclose(volume.array[10][~padded], blend[~padded])  # z = 1, between 0 and 2
    assert volume.uids[10] == ""
    assert "interpolated to a step of 1 mm" in volume.report.spacing_notes[-1]


GAPPED = replace(SMALL, slices=9, missing=(3, 6, 7), padding=None)


def test_trap_37_missing_slices_are_found_and_named(tmp_path: Path) -> None:
    phantom.write(GAPPED, tmp_path)
    with pytest.raises(
        GeometryError,
        match=r'3 slices are missing, at -2.50, 5.00, 7.50 mm along.*gaps="fill" or gaps="interpolate"',
    ):
        hounsfield.load(tmp_path)
    (series,) = hounsfield.scan(tmp_path).series
    assert series.verdict is Verdict.GAPS


def test_trap_37_on_request_gaps_are_filled_with_air(tmp_path: Path) -> None:
    volume = loaded(GAPPED, tmp_path, gaps="fill")
    here = [0, 1, 2, 4, 5, 8]
    np.testing.assert_array_equal(volume.array[here], phantom.truth(GAPPED))
    assert np.all(volume.array[[3, 6, 7]] == -1024)
    assert volume.report.filled == (3, 6, 7)
    assert [index for index, uid in enumerate(volume.uids) if not uid] == [3, 6, 7]
    np.testing.assert_allclose(volume.affine, phantom.affine(replace(GAPPED, missing=())), atol=1e-9)


def test_trap_37_on_request_gaps_are_interpolated(tmp_path: Path) -> None:
    truth = phantom.truth(GAPPED)
    volume = loaded(GAPPED, tmp_path, gaps="interpolate", dtype="float32")
    np.testing.assert_array_equal(volume.array[[0, 1, 2, 4, 5, 8]], truth)
    padded = (truth[4] == -1024) | (truth[5] == -1024)
    third = (truth[4] * 2 + truth[5]) / 3
    np.testing.assert_allclose(volume.array[6][~padded], third[~padded], rtol=1e-5, atol=1e-3)
    assert volume.report.filled == (3, 6, 7)
    np.testing.assert_allclose(volume.affine, phantom.affine(replace(GAPPED, missing=())), atol=1e-9)


def test_trap_37_gaps_filled_and_then_resampled(tmp_path: Path) -> None:
    volume = loaded(GAPPED, tmp_path, gaps="fill", step=5.0)
    np.testing.assert_array_equal(volume.array[[0, 1, 2, 4]], phantom.truth(GAPPED)[[0, 2, 3, 5]])
    assert np.all(volume.array[3] == -1024)


def test_trap_38_identical_repeats_are_dropped_and_listed(tmp_path: Path) -> None:
    spec = replace(SMALL, duplicated=(1, 4))
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)
    assert "2 slices repeat another one's position and pixels: dropped" in volume.report.warnings
    (series,) = hounsfield.scan(tmp_path).series
    assert [Path(one.name).name for one in series.left_out] == ["CT0003.dcm", "CT0007.dcm"]
    assert "repeats position and pixels of" in series.left_out[0].reason


def test_trap_38_repeats_that_differ_are_never_chosen_between(tmp_path: Path) -> None:
    spec = replace(SMALL, duplicated=(1,), duplicates_differ=True)
    phantom.write(spec, tmp_path)
    with pytest.raises(
        GeometryError, match="1 of 7 slices repeats a position; no attribute tells phases apart"
    ):
        hounsfield.load(tmp_path)


def test_trap_38_same_cells_with_another_rescale_are_no_duplicate(tmp_path: Path) -> None:
    spec = replace(SMALL, slices=2)
    phantom.write(spec, tmp_path / "one")
    phantom.write(replace(spec, intercept_tag="-900", series_number=1), tmp_path / "other")
    (series,) = hounsfield.scan(tmp_path).series
    assert series.left_out == ()
    assert series.verdict is Verdict.IRREGULAR


def test_trap_38_real_duplicate_in_a_zip(real_data: Path) -> None:
    (series,) = hounsfield.scan(real_data / "odd" / "dupe-positions.zip").series
    assert len(series.slices) == 10
    assert series.verdict is Verdict.IRREGULAR
    assert [(one.name[-8:], one.reason[:35]) for one in series.left_out] == [
        ("CT28.dcm", "repeats position and pixels of /"[:35] + str(real_data)[1:4])
    ]


def test_trap_39_many_acquisition_numbers_in_one_volume(tmp_path: Path) -> None:
    folder = tmp_path / "ct"
    folder.mkdir()
    for number, dataset in enumerate(phantom.datasets(SMALL)):
        dataset.AcquisitionNumber = number % 3 + 1
        pydicom.dcmwrite(folder / f"{number}.dcm", dataset, enforce_file_format=True)
    (series,) = hounsfield.scan(folder).series
    assert len(series.phases) == 1
    assert_is_truth(hounsfield.load(folder), SMALL)


def test_trap_40_bolus_tracking_is_no_volume_and_says_so(tmp_path: Path) -> None:
    spec = replace(SMALL, slices=5, slice_positions=(3.0,) * 5, order="shuffled")
    phantom.write(spec, tmp_path)
    for number, path in enumerate(sorted(tmp_path.iterdir())):
        dataset = pydicom.dcmread(path)
        dataset.PixelData = (dataset.pixel_array + np.int16(number)).tobytes()
        dataset.save_as(path)
    with pytest.raises(
        GeometryError, match=r"not a volume: all 5 slices are at one position \(bolus tracking"
    ):
        hounsfield.load(tmp_path)


@pytest.mark.parametrize("localizers", [1, 2])
def test_trap_41_localizers_in_the_series_are_left_out_and_listed(localizers: int, tmp_path: Path) -> None:
    spec = replace(SMALL, localizers=localizers)
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)
    assert volume.report.warnings == (f"{localizers} of the series left out: a localizer in the series",)
    (series,) = hounsfield.scan(tmp_path).series
    assert {(Path(one.name).name[:3], one.reason) for one in series.left_out} == {
        ("LOC", "a localizer in the series")
    }


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (
            {"ImageOrientationPatient": "1\\0\\0\\0\\0\\-1"},
            "another Image Orientation (Patient) than the volume's",
        ),
        ({"PixelSpacing": "2\\3"}, "another Pixel Spacing than the volume's"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "another SOP Class than the volume's"),
        ({"ImagePositionPatient": None}, "no Image Position (Patient) (0020,0032)"),
    ],
)
def test_trap_41_the_largest_group_is_the_volume(tags: Any, reason: str, tmp_path: Path) -> None:
    phantom.write(replace(SMALL, slices=2, tags=tags), tmp_path / "a")
    phantom.write(SMALL, tmp_path / "b")
    assert_is_truth(hounsfield.load(tmp_path), SMALL)
    (series,) = hounsfield.scan(tmp_path).series
    assert [one.reason for one in series.left_out] == [reason] * 2


def test_trap_41_another_matrix_is_left_out(tmp_path: Path) -> None:
    phantom.write(replace(SMALL, slices=2, rows=20), tmp_path / "a")
    phantom.write(SMALL, tmp_path / "b")
    assert_is_truth(hounsfield.load(tmp_path), SMALL)
    (series,) = hounsfield.scan(tmp_path).series
    assert {one.reason for one in series.left_out} == {"matrix 20×34, the volume's is 30×34"}


def test_trap_41_a_localizer_alone_is_no_volume(real_data: Path) -> None:
    with pytest.raises(GeometryError, match="a localizer: a projection, not slices; choose another series"):
        hounsfield.load(real_data / "philips_phantom" / "S21570" / "S1000")


def test_trap_42_jitter_within_tolerance_is_regular(tmp_path: Path) -> None:
    spec = replace(SMALL, slices=12, position_jitter=0.012, orientation_jitter=5e-5)
    volume = loaded(spec, tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    np.testing.assert_allclose(volume.affine, phantom.affine(spec), atol=1e-3)
    assert volume.report.verdict == "regular"


def test_trap_42_jitter_beyond_it_is_irregular(tmp_path: Path) -> None:
    phantom.write(replace(SMALL, slices=12, position_jitter=0.2), tmp_path)
    with pytest.raises(GeometryError, match="slice steps vary"):
        hounsfield.load(tmp_path)


@pytest.mark.parametrize("position", ["HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL"])
def test_trap_43_every_patient_position(position: str, tmp_path: Path) -> None:
    spec = replace(SMALL, patient_position=position, rows=64, columns=70, slices=5)
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)
    assert all(one.agrees for one in phantom.measure(volume))


def test_trap_43_oblique_planes(tmp_path: Path) -> None:
    turned = (0.8, 0.36, 0.48, -0.6, 0.48, 0.64)
    spec = replace(SMALL, orientation=turned, rows=64, columns=70, centre=(3.0, -4.0, 5.0), noise=1.0)
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)


def test_trap_43_patient_position_is_not_asked(tmp_path: Path) -> None:
    spec = replace(SMALL, tags={"PatientPosition": "FFDR"})
    assert_is_truth(loaded(spec, tmp_path), SMALL)


def test_trap_44_lps_inside_ras_in_nifti_alone(tmp_path: Path) -> None:
    import nibabel

    volume = loaded(replace(SMALL, centre=(10.0, 20.0, 30.0)), tmp_path / "ct")
    hounsfield.write_volume(volume, tmp_path / "out.nii")
    image = nibabel.load(tmp_path / "out.nii")
    index = (2, 5, 7)  # slice, row, column
    lps = volume.lps(*index)
    # Whatever axis order the writer chose, the voxel of that HU lies at (−L, −P, S).
    ras = np.array([-lps[0], -lps[1], lps[2]])
    voxel = np.rint(np.linalg.inv(image.affine) @ [*ras, 1])[:3].astype(int)
    assert np.asarray(image.dataobj)[tuple(voxel)] == volume.array[index]
    np.testing.assert_allclose(image.affine @ [*voxel, 1], [*ras, 1], atol=1e-3)


def test_trap_45_pixel_spacing_is_row_then_column(tmp_path: Path) -> None:
    spec = replace(SMALL, pixel_spacing=(3.0, 7.0))
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)
    assert volume.spacing == (2.5, 3.0, 7.0)
    np.testing.assert_allclose(volume.lps(0, 1, 0) - volume.lps(0, 0, 0), (0, 3, 0), atol=1e-9)
    np.testing.assert_allclose(volume.lps(0, 0, 1) - volume.lps(0, 0, 0), (7, 0, 0), atol=1e-9)


def test_trap_46_a_frame_of_reference_on_each_slice_is_warned_about(tmp_path: Path) -> None:
    spec = replace(SMALL, frame_of_reference_per_slice=True)
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)
    assert volume.report.warnings == (
        "6 different Frame of Reference UIDs in one series: taken as one frame",
    )


@pytest.mark.parametrize("sop_class", ["1.2.3.4.5", "1.2.840.10008.5.1.4.1.1.2.99", ""])
def test_trap_47_odd_sop_classes_are_read(sop_class: str, tmp_path: Path) -> None:
    for path in phantom.write(SMALL, tmp_path):
        dataset = pydicom.dcmread(path)
        dataset.SOPClassUID = sop_class
        dataset.save_as(path)
    assert_is_truth(hounsfield.load(tmp_path), SMALL)


def test_trap_47_no_file_meta(tmp_path: Path) -> None:
    assert_is_truth(loaded(replace(SMALL, file_meta=False), tmp_path), SMALL)


@pytest.mark.parametrize("kind", ["enhanced", "legacy"])
@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled"])
@pytest.mark.parametrize("place", ["shared", "per-frame", "root"])
def test_trap_48_enhanced_multi_frame_in_any_frame_order(
    kind: Any, order: Any, place: Any, tmp_path: Path
) -> None:
    spec = replace(SMALL, multiframe=kind, frame_order=order, rescale_place=place, tilt=10.0)
    assert_is_truth(loaded(spec, tmp_path), spec)


def test_trap_48_stacks_are_volumes_of_their_own(tmp_path: Path) -> None:
    spec = replace(SMALL, multiframe="enhanced", stacks=2, frame_order="shuffled")
    phantom.write(spec, tmp_path)
    scan = hounsfield.scan(tmp_path)
    assert sorted(one.part for one in scan.series) == ["HU stack 1", "HU stack 2"]
    truth = phantom.truth(spec)
    for stack, part in ((1, truth[:3]), (2, truth[3:])):
        volume = hounsfield.load(tmp_path, series=f"{phantom.series_uid(spec)}#HU stack {stack}")
        np.testing.assert_array_equal(volume.array, part)


@pytest.mark.parametrize("phase", [0, 1, 2])
def test_trap_48_times_in_one_multi_frame_are_phases(phase: int, tmp_path: Path) -> None:
    spec = replace(SMALL, multiframe="enhanced", phases=3, frame_order="shuffled")
    assert_is_truth(loaded(spec, tmp_path, phase=phase), spec, phase=phase)


def test_trap_48_real_legacy_converted_pair_gives_one_volume_twice(real_data: Path) -> None:
    folder = real_data / "odd" / "legacy_converted_pair"
    single, multi = hounsfield.load(folder / "image"), hounsfield.load(folder / "multiframe")
    np.testing.assert_array_equal(single.array, multi.array)
    np.testing.assert_allclose(single.affine, multi.affine, atol=1e-6)


def test_trap_48_a_wrong_number_of_per_frame_items_is_told(tmp_path: Path) -> None:
    (path,) = phantom.write(replace(SMALL, multiframe="enhanced"), tmp_path)
    dataset = pydicom.dcmread(path)
    del dataset.PerFrameFunctionalGroupsSequence[0]
    dataset.save_as(path)
    (skipped,) = hounsfield.scan(tmp_path).skipped
    assert skipped.name == str(path)
    assert skipped.reason == (
        "5 items in Per-Frame Functional Groups Sequence (5200,9230) (expected 6, the Number of Frames)"
    )


def test_trap_49_multi_frame_without_geometry_needs_a_spacing(tmp_path: Path) -> None:
    spec = replace(SMALL, multiframe="no geometry")
    phantom.write(spec, tmp_path)
    with pytest.raises(GeometryError, match=r"no Image Position.*give spacing=\(slice, row, column\)"):
        hounsfield.load(tmp_path)
    volume = hounsfield.load(tmp_path, spacing=(2.5, 3.0, 4.0))
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    assert volume.spacing == (2.5, 3.0, 4.0)
    assert volume.affine[:3, :3].tolist() == [[0, 0, 4], [0, 3, 0], [2.5, 0, 0]]
    assert "no Image Position (Patient) (0020,0032)" in volume.report.spacing_notes


def test_trap_49_as_a_secondary_capture_it_is_left_out(tmp_path: Path) -> None:
    grayscale_word = "1.2.840.10008.5.1.4.1.1.7.3"
    phantom.write(replace(SMALL, multiframe="no geometry", tags={"SOPClassUID": grayscale_word}), tmp_path)
    (skipped,) = hounsfield.scan(tmp_path).skipped
    assert "a Secondary Capture" in skipped.reason


@pytest.mark.parametrize(
    "attribute", ["AcquisitionNumber", "TemporalPositionIdentifier", "ContentTime", "TriggerTime"]
)
@pytest.mark.parametrize("order", ["ascending", "shuffled"])
def test_trap_50_phases_are_told_apart_and_never_interleaved(
    attribute: Any, order: Any, tmp_path: Path
) -> None:
    spec = replace(SMALL, phases=3, phase_attribute=attribute, order=order)
    phantom.write(spec, tmp_path)
    (series,) = hounsfield.scan(tmp_path).series
    assert len(series.phases) == 3
    for phase in range(3):
        assert_is_truth(hounsfield.load(tmp_path, phase=phase), spec, phase=phase)


def test_trap_50_without_a_choice_the_phases_are_listed(tmp_path: Path) -> None:
    phantom.write(replace(SMALL, phases=2), tmp_path)
    with pytest.raises(
        SelectionError,
        match="2 phases at the same positions: acquisition 1, acquisition 2; choose one with phase=0 … 1",
    ) as caught:
        hounsfield.load(tmp_path)
    assert caught.value.data["choices"] == ("acquisition 1", "acquisition 2")
    with pytest.raises(SelectionError, match="no phase 2"):
        hounsfield.load(tmp_path, phase=2)


def test_trap_50_a_phase_with_a_missing_slice_says_so_by_itself(tmp_path: Path) -> None:
    spec = replace(SMALL, phases=2)
    for path in phantom.write(spec, tmp_path):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        if dataset.AcquisitionNumber == 2 and dataset.ImagePositionPatient[2] == 1.25:
            path.unlink()
    assert_is_truth(hounsfield.load(tmp_path, phase=0), spec)
    with pytest.raises(GeometryError, match=r"1 slice is missing, at 1\.25 mm"):
        hounsfield.load(tmp_path, phase=1)
    volume = hounsfield.load(tmp_path, phase=1, gaps="fill")
    assert volume.report.filled == (3,)


def plain_frames(spec: PhantomSpec, folder: Path, **tags: Any) -> PhantomSpec:
    """A multi-frame file without functional groups, with `tags` at its root."""
    spec = replace(spec, tags=tags)
    phantom.write(spec, folder)
    return spec


NO_GEOMETRY = replace(SMALL, multiframe="no geometry")
ROOT = replace(SMALL, multiframe="root geometry", pixel_spacing=(3.0, 4.0))
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


@given(count=st.integers(2, 130))
@settings(max_examples=6)
def test_trap_57_any_number_of_frames_without_position_keep_their_order(count: int) -> None:
    # Frames were in the order of their names: "#frame 10" before "#frame 2" (Slicer#7496, vtk-dicom#156).
    with TemporaryDirectory() as folder:
        spec = replace(NO_GEOMETRY, rows=4, columns=4, slices=count, noise=200.0)
        phantom.write(spec, folder)
        volume = hounsfield.load(folder, spacing=(1, 1, 1))
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    assert "frames without a position are in the order of the file" in volume.report.warnings


def test_trap_57_enhanced_frames_without_position_keep_their_order(tmp_path: Path) -> None:
    spec = replace(SMALL, multiframe="enhanced", slices=23)
    (path,) = phantom.write(spec, tmp_path)
    dataset = pydicom.dcmread(path)
    for item in dataset.PerFrameFunctionalGroupsSequence:
        del item.PlanePositionSequence
    dataset.save_as(path)
    volume = hounsfield.load(tmp_path, spacing=(1, 1, 1))
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    assert "frames without a position are in the order of the file" in volume.report.warnings


def test_trap_57_files_without_position_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    spec = replace(SMALL, slices=12, tags={"ImagePositionPatient": None})
    phantom.write(spec, tmp_path)
    volume = hounsfield.load(tmp_path, spacing=(1, 1, 1))
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    assert any("in the order of their Instance Numbers" in warning for warning in volume.report.warnings)


def test_trap_57_files_without_number_either_are_in_the_order_in_which_people_count(tmp_path: Path) -> None:
    spec = replace(SMALL, slices=12, tags={"ImagePositionPatient": None, "InstanceNumber": None})
    for number, path in enumerate(phantom.write(spec, tmp_path)):
        path.rename(tmp_path / f"slice {number}.dcm")
    volume = hounsfield.load(tmp_path, spacing=(1, 1, 1))
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))


@pytest.mark.parametrize("orientation", [None, CORONAL, (0.8, 0.36, 0.48, -0.6, 0.48, 0.64)])
@pytest.mark.parametrize("frames", ["ascending", "descending"])
def test_trap_58_geometry_at_the_root_places_the_frames(
    orientation: Any, frames: Any, tmp_path: Path
) -> None:
    # A coronal stack came out axial, at the origin. Descending: the step is negative (PS3.3 C.8.4.15.1).
    spec = replace(ROOT, orientation=orientation, frame_order=frames)
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)
    assert volume.report.warnings == (
        "frames are placed by Spacing Between Slices (0018,0088): none has a position of its own",
    )


PLACES = [0.0, 1.5, 3.0, 4.5, 6.0, 7.5]


@pytest.mark.parametrize("keyword", ["SliceLocationVector", "GridFrameOffsetVector"])
@pytest.mark.parametrize(
    ("orientation", "first", "expected"),
    [
        pytest.param(None, 0.0, [0, 0, 1.5], id="offsets along the normal"),
        pytest.param((-1, 0, 0, 0, 1, 0), 0.0, [0, 0, -1.5], id="offsets along a normal that points down"),
        pytest.param(CORONAL, 20.0, [0, 1.5, 0], id="locations along the normal of a coronal plane"),
        pytest.param((-1, 0, 0, 0, 1, 0), -6.25, [0, 0, -1.5], id="coordinates rise with the patient's axis"),
    ],
)
def test_trap_58_frames_by_a_vector_of_places(
    keyword: str, orientation: Any, first: float, expected: Any, tmp_path: Path
) -> None:
    spec = replace(ROOT, orientation=orientation)
    places = [first + place for place in PLACES]
    spec = plain_frames(spec, tmp_path, **{keyword: places, "SpacingBetweenSlices": 9.0})
    start = phantom.affine(spec)[:3, 3]
    assert first != -6.25 or start[2] == pytest.approx(6.25)
    volume = hounsfield.load(tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    np.testing.assert_allclose(volume.affine[:3, 0], expected, atol=1e-9)
    np.testing.assert_allclose(volume.affine[:3, 3], start, atol=1e-6)


def test_trap_58_frames_by_a_position_for_each(tmp_path: Path) -> None:
    positions = [part for index in range(6) for part in (1.0, 2.0, 3.0 * index)]
    spec = plain_frames(ROOT, tmp_path, ImagePositionPatient=positions, SpacingBetweenSlices=9.0)
    volume = hounsfield.load(tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    assert volume.affine[:3, [0, 3]].T.tolist() == [[0, 0, 3], [1, 2, 0]]


def test_trap_58_a_slice_thickness_is_a_step_where_voxels_are_cubes_then(tmp_path: Path) -> None:
    none = {"SpacingBetweenSlices": None}
    plain_frames(ROOT, tmp_path / "not", SliceThickness="3.0", **none)
    with pytest.raises(GeometryError, match=r"first frame alone, and no step is given; give spacing="):
        hounsfield.load(tmp_path / "not")
    cubes = replace(ROOT, pixel_spacing=(3.0, 3.0))
    for thickness, loads in (("3.029", True), ("3.032", False)):
        plain_frames(cubes, tmp_path / thickness, SliceThickness=thickness, **none)
        (series,) = hounsfield.scan(tmp_path / thickness).series
        assert series.verdict.is_loadable is loads
    plain_frames(cubes, tmp_path / "cine", SliceThickness="3", FrameIncrementPointer=0x00181063, **none)
    assert hounsfield.scan(tmp_path / "cine").series[0].verdict is Verdict.NOT_A_VOLUME


def test_trap_58_a_step_that_is_given_outweighs_the_root(tmp_path: Path) -> None:
    spec = replace(ROOT, orientation=CORONAL)
    volume = loaded(spec, tmp_path, spacing=(0.5, 3.0, 4.0))
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    np.testing.assert_allclose(volume.affine[:3, 0], [0, 0.5, 0], atol=1e-9)
    np.testing.assert_allclose(volume.affine[:, 1:], phantom.affine(spec)[:, 1:], atol=1e-6)
    assert volume.report.warnings == ()


def test_trap_58_frames_of_emission_tomography_by_their_detector(tmp_path: Path) -> None:
    spec = replace(ROOT, orientation=CORONAL)
    (path,) = phantom.write(spec, tmp_path)
    dataset = pydicom.dcmread(path)
    detector = pydicom.Dataset()
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient"):
        setattr(detector, keyword, dataset[keyword].value)
        del dataset[keyword]
    dataset.DetectorInformationSequence = [detector]
    dataset.save_as(path)
    assert_is_truth(hounsfield.load(tmp_path), spec)


def test_trap_58_enhanced_frames_with_one_position_at_the_root(tmp_path: Path) -> None:
    spec = replace(SMALL, multiframe="enhanced")
    (path,) = phantom.write(spec, tmp_path)
    dataset = pydicom.dcmread(path)
    first = dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient
    for item in dataset.PerFrameFunctionalGroupsSequence:
        del item.PlanePositionSequence
    dataset.ImagePositionPatient = first
    dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 2.5
    dataset.save_as(path)
    assert_is_truth(hounsfield.load(tmp_path), spec)


@pytest.mark.parametrize("scale", [0.001, 0.005, 1.0, 1000.0])
@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, Verdict.REGULAR),
        ({"tilt": 8.0}, Verdict.SHEARED),
        ({"missing": (2, 3)}, Verdict.GAPS),
        ({"slice_positions": (0.0, 2.5, 5.1, 7.5, 10.0, 12.5)}, Verdict.IRREGULAR),
        ({"slice_positions": (0.0, 2.5, 5.02, 7.5, 10.0, 12.5)}, Verdict.REGULAR),
        ({"slice_positions": (3.0, 3.001, 3.002, 3.003, 3.004, 3.005)}, Verdict.NOT_A_VOLUME),
    ],
)
def test_trap_64_files_of_every_size_are_judged_alike(
    scale: float, change: Any, verdict: Verdict, tmp_path: Path
) -> None:
    lengths = {"pixel_spacing": (0.7, 0.8), "slice_step": 2.5, **change}
    scaled = {
        name: tuple(mm * scale for mm in value) if isinstance(value, tuple) else value * scale
        for name, value in lengths.items()
        if name not in ("tilt", "missing")
    }
    spec = replace(SMALL, slices=6, **{**lengths, **scaled})
    phantom.write(spec, tmp_path)
    (series,) = hounsfield.scan(tmp_path).series
    assert series.verdict is verdict
    if verdict.is_loadable:
        np.testing.assert_allclose(series.load().affine, phantom.affine(spec), atol=0.03 * scale)
