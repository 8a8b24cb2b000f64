"""Inputs written after public bug reports of other readers, each right by its note: geometry, order, phases, identity.

The reports are named at the tests. Values have theirs in `test_field_values.py`; twins that are built and always
run are in `test_geometry.py`, `test_traps_geometry.py` and `test_phases.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

import hounsfield
from hounsfield import Series
from hounsfield.errors import GeometryError, SelectionError
from hounsfield.geometry import Verdict


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
    np.testing.assert_allclose(volume.affine, expected, atol=1e-9)
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
