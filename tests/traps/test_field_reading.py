"""Inputs written after public bug reports of other readers, each right by its note: geometry, order, phases, identity.

The reports are named at the tests. Values have theirs in `test_field_values.py`; twins that are built and always
run are in `test_geometry.py`, `test_traps_geometry.py` and `test_phases.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from nibabel.spatialimages import SpatialImage
from test_peers import by_dcm2niix, on_our_grid

import hounsfield
from hounsfield import Series
from hounsfield.ct.geometry import Verdict
from hounsfield.errors import GeometryError, SelectionError
from hounsfield.verbs.inspect import Trust, inspect


@pytest.fixture
def reading(real_data: Path) -> Path:
    """The folder of those inputs."""
    folder = real_data / "field" / "reading"
    if not folder.is_dir():
        pytest.skip(f"no inputs after bug reports at {folder}")
    return folder


def only_series(folder: Path) -> Series:
    (series,) = hounsfield.scan(folder).series
    return series


def test_frames_shuffled_without_position(reading: Path) -> None:
    # Slicer#7496, dicom2nifti#127, vtk-dicom#156: "#frame 10" came before "#frame 2".
    path = reading / "frames_shuffled_without_position" / "000.dcm"
    stored = pydicom.dcmread(path).pixel_array.astype(int) - 1024
    volume = hounsfield.load(path, spacing=(0.3, 0.3, 0.3))
    np.testing.assert_array_equal(volume.array, np.maximum(stored, -1024))
    np.testing.assert_allclose(volume.affine[:3, 3], (-4.8, -4.8, 5))
    assert any("Slice Thickness" in warning for warning in hounsfield.load(path).report.warnings)


def test_multiframe_orientation_dropped(reading: Path) -> None:
    volume = hounsfield.load(reading / "multiframe_orientation_dropped")
    expected = [[0, 0, 0.3, -4.8], [0.3, 0, 0, -4.8], [0, -0.3, 0, 5], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.affine, expected, atol=1e-9)  # type: ignore[arg-type]
    (warning,) = volume.report.warnings
    assert "Slice Location Vector (0018,2005)" in warning


def test_micro_ct_5um(reading: Path) -> None:
    volume = hounsfield.load(reading / "micro_ct_5um")
    assert volume.report.verdict == "regular"
    assert volume.spacing == pytest.approx((0.005, 0.005, 0.005))


def test_micro_ct_irregular(reading: Path) -> None:
    series = only_series(reading / "micro_ct_irregular")
    assert series.verdict is Verdict.IRREGULAR
    with pytest.raises(GeometryError, match=r"from 0\.012 to 0\.016 mm; resample it with step=0\.012 "):
        series.load()


def test_positions_rounded(reading: Path) -> None:
    # dicom2nifti#36
    volume = hounsfield.load(reading / "positions_rounded")
    assert volume.report.verdict == "regular"
    assert volume.spacing[0] == pytest.approx(0.6263, abs=1e-4)
    assert "rounded to few decimals" in volume.report.spacing_notes[0]


def test_two_patients_one_series_uid(reading: Path) -> None:
    # deid#19: an anonymiser gave slices of two patients one Series Instance UID.
    folder = reading / "two_patients_one_series_uid"
    one, other = hounsfield.scan(folder).series
    assert [len(one.slices), len(other.slices)] == [4, 4]
    assert {one.facts["PatientID"], other.facts["PatientID"]} == {"A", "B"}
    with pytest.raises(SelectionError, match=r"Patient ID 'A'.*Patient ID 'B'"):
        hounsfield.load(folder)
    volume = hounsfield.load(folder, series=f"{other.uid}#{other.part}")
    assert volume.lps(0, 0, 0)[2] == 4
    assert any("Patient ID (0010,0020)" in warning for warning in volume.report.warnings)


def labels(folder: Path) -> list[str]:
    return [phase.label for phase in only_series(folder).phases]


def test_enhanced_cardiac_phases(reading: Path) -> None:
    folder = reading / "enhanced_cardiac_phases"
    assert labels(folder) == ["40 % of the cardiac cycle", "75 % of the cardiac cycle"]
    dataset = pydicom.dcmread(folder / "000.dcm")
    for phase, frames in ((0, range(5)), (1, range(5, 10))):
        volume = hounsfield.load(folder, phase=phase)
        np.testing.assert_array_equal(volume.array, dataset.pixel_array[list(frames)].astype(int) - 1024)
        assert volume.spacing[0] == 1


def test_enhanced_dimension_index(reading: Path) -> None:
    # PS3.3 C.7.6.17: only Dimension Index Values tell the frames apart.
    folder = reading / "enhanced_dimension_index"
    assert labels(folder) == ["dimension 1: 1", "dimension 1: 2"]
    assert hounsfield.load(folder, phase=1).array.shape == (5, 32, 32)


def test_interleaved_reconstructions(reading: Path) -> None:
    folder = reading / "interleaved_reconstructions"
    assert labels(folder) == ["80 kV", "140 kV"]
    for phase, first in ((0, 0.0), (1, 2.5)):
        volume = hounsfield.load(folder, phase=phase)
        assert (volume.array.shape[0], volume.spacing[0], volume.lps(0, 0, 0)[2]) == (6, 5, first)


def test_interleaved_kernels(reading: Path) -> None:
    assert labels(reading / "interleaved_kernels") == ["kernel B30f", "kernel B70f"]


def test_kernel_x_time(reading: Path) -> None:
    found = labels(reading / "kernel_x_time")
    assert found == [
        f"kernel {kernel}, acquisition {time}" for kernel in ("B30f", "B70f") for time in (1, 2, 3)
    ]
    assert hounsfield.load(reading / "kernel_x_time", phase=5).array.shape == (4, 32, 32)


def test_invented_slices(reading: Path) -> None:
    # dcm2niix#248: a hole of 182 mm was offered to be interpolated, and 113 slices of it came without a word.
    folder = reading / "invented_slices"
    with pytest.raises(GeometryError) as refused:
        hounsfield.load(folder)
    assert "step=" not in str(refused.value)
    assert 'each of its 2 slabs by itself with split_by="gaps" (--split-by gaps)' in str(refused.value)
    one, other = (hounsfield.load(folder, split_by="gaps", phase=phase) for phase in (0, 1))
    assert len(one.array) + len(other.array) == 37
    assert other.spacing[0] == pytest.approx(1.6, abs=0.01)
    made_up = hounsfield.load(folder, step=1.6).report.warnings
    assert any("113 slices over 182.4 mm were made up" in warning for warning in made_up)


def test_half_left_out_green(reading: Path) -> None:
    found = inspect(only_series(reading / "half_left_out_green"))
    assert found.trust is Trust.AMBER
    assert "5 of the series left out: another Pixel Spacing than the volume's" in found.cautions


def test_not_hu_8bit(reading: Path) -> None:
    folder = reading / "not_hu_8bit"
    found = inspect(only_series(folder))
    warnings = hounsfield.load(folder).report.warnings
    assert any("does not look like HU" in warning for warning in warnings)
    assert set(warnings) <= set(found.cautions)
    assert found.trust is Trust.RED and found.is_implausible  # a windowed picture, by its values


def test_every_warning_of_load_is_a_caution_of_info(reading: Path) -> None:
    for folder in sorted(reading.iterdir()):
        for series in hounsfield.scan(folder).series:
            cautions = set(inspect(series).cautions)
            for phase in range(len(series.phases)):
                try:
                    warnings = series.load(phase=phase).report.warnings
                except hounsfield.HounsfieldError:
                    continue
                assert set(warnings) <= cautions, folder.name


def test_dcm2niix_has_the_same_six_volumes_of_kernel_x_time(reading: Path, tmp_path: Path) -> None:
    folder = reading / "kernel_x_time"
    (image,) = by_dcm2niix(folder, tmp_path / "out").values()
    assert image.ndim == 4
    theirs = np.asarray(image.dataobj)
    ours = {hounsfield.load(folder, phase=phase).array.tobytes() for phase in range(6)}
    first = hounsfield.load(folder, phase=0)
    volumes = [SpatialImage(theirs[..., number], image.affine) for number in range(6)]
    assert {on_our_grid(one, first).astype("i2").tobytes() for one in volumes} == ours


@pytest.mark.parametrize("name", ["multiframe_orientation_dropped", "frames_shuffled_without_position"])
def test_simpleitk_has_the_same_frames_in_the_same_place(name: str, reading: Path) -> None:
    path = reading / name / "000.dcm"
    image = SimpleITK.ReadImage(str(path))
    volume = hounsfield.load(path, spacing=image.GetSpacing()[::-1])
    np.testing.assert_array_equal(volume.array, np.maximum(SimpleITK.GetArrayFromImage(image), -1024))
    for index in ((0, 0, 0), (9, 5, 7)):
        point = image.TransformIndexToPhysicalPoint(index[::-1])
        np.testing.assert_allclose(volume.lps(*index), point, atol=1e-6)


@pytest.mark.parametrize("name", ["positions_rounded", "micro_ct_5um"])
def test_simpleitk_has_the_same_step(name: str, reading: Path) -> None:
    folder = reading / name
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    volume = hounsfield.load(folder)
    assert volume.spacing == pytest.approx(image.GetSpacing()[::-1], rel=1e-6)
    np.testing.assert_array_equal(volume.array, np.maximum(SimpleITK.GetArrayFromImage(image), -1024))
