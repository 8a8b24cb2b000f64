"""The phantom as a whole: conform, repeatable, read right by readers that are not ours."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK

from hounsfield import phantom
from hounsfield.errors import UnsupportedError
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=48, columns=64, slices=5)

# PS3.3 Table A.3-1: the elements of type 1 and 2 in the mandatory modules of a CT Image.
TYPE_1 = (
    *(
        "SOPClassUID",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "Modality",
        "PatientPosition",
    ),
    *("FrameOfReferenceUID", "ImageType", "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData", "PixelSpacing"),
    *("ImageOrientationPatient", "ImagePositionPatient", "RescaleIntercept", "RescaleSlope"),
)
TYPE_2 = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *(
        "ReferringPhysicianName",
        "AccessionNumber",
        "SeriesNumber",
        "PositionReferenceIndicator",
        "Manufacturer",
    ),
    *("InstanceNumber", "SliceThickness", "KVP", "AcquisitionNumber"),
)


@dataclass
class Loaded:
    """The least that `measure` takes."""

    array: np.ndarray[Any, Any]
    affine: np.ndarray[Any, Any]


def by_hand(dataset: pydicom.Dataset) -> np.ndarray[Any, Any]:
    return dataset.pixel_array.astype(np.float64) * float(dataset.RescaleSlope) + float(
        dataset.RescaleIntercept
    )


@pytest.mark.parametrize("keyword", TYPE_1)
def test_every_slice_has_a_value_for_each_type_1_element_of_a_ct_image(keyword: str) -> None:
    for dataset in phantom.datasets(SMALL):
        assert dataset.get(keyword) not in (None, "")


@pytest.mark.parametrize("keyword", TYPE_2)
def test_every_slice_has_each_type_2_element_of_a_ct_image(keyword: str) -> None:
    for dataset in phantom.datasets(SMALL):
        assert keyword in dataset


@pytest.mark.parametrize("kind", [None, "enhanced", "legacy"])
def test_pydicom_writes_and_reads_a_conform_series_without_a_warning(kind: Any, tmp_path: Path) -> None:
    spec = replace(SMALL, multiframe=kind, private_tags=kind is None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number, dataset in enumerate(phantom.datasets(spec)):
            pydicom.dcmwrite(tmp_path / str(number), dataset, enforce_file_format=True)
            read = pydicom.dcmread(tmp_path / str(number))
            assert read == dataset
            assert read.pixel_array.shape[-2:] == (48, 64)


def test_rescale_by_hand_of_what_pydicom_reads_is_the_truth(tmp_path: Path) -> None:
    slices = [by_hand(pydicom.dcmread(path)) for path in phantom.write(SMALL, tmp_path)]
    np.testing.assert_array_equal(slices, phantom.truth(SMALL, masked=False, clamp=False))


def test_truth_puts_padding_and_noise_below_the_floor_at_minus_1024() -> None:
    raw = phantom.truth(replace(SMALL, noise=40.0), masked=False, clamp=False)
    assert raw.min() == -3024
    assert ((raw < -1024) & (raw > -1500)).any()
    done = phantom.truth(replace(SMALL, noise=40.0))
    np.testing.assert_array_equal(done, np.maximum(raw, -1024))


def test_simpleitk_finds_the_same_geometry_and_values(tmp_path: Path) -> None:
    spec = replace(SMALL, centre=(12.5, -30.0, 700.0), padding=None)
    phantom.write(spec, tmp_path)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    affine = phantom.affine(spec)
    for index in ((0, 0, 0), (4, 47, 63), (2, 11, 50)):
        point = image.TransformIndexToPhysicalPoint(index[::-1])
        np.testing.assert_allclose(point, (affine @ (*index, 1))[:3], atol=1e-6)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), phantom.truth(spec, clamp=False))


def test_every_rod_measures_its_nominal_hu() -> None:
    measured = phantom.measure(Loaded(phantom.truth(SMALL), phantom.affine(SMALL)))
    assert [one.nominal for one in measured] == [-1000, -200, -100, -35, 0, 120, 340, 990]
    assert all(one.agrees for one in measured)
    assert all(one.count > 20 for one in measured)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mirrored_volume_is_told_from_a_right_one(axis: int) -> None:
    spec = PhantomSpec(rows=64, columns=64, slices=12, slice_step=6.0, noise=0.0, padding=None)
    volume, affine = phantom.truth(spec), phantom.affine(spec)
    np.testing.assert_allclose(volume, phantom.ideal(volume.shape, affine), atol=0.5)
    mirrored = np.flip(volume, axis)
    assert np.abs(mirrored - phantom.ideal(volume.shape, affine)).max() > 90
    if axis > 0:
        assert not all(one.agrees for one in phantom.measure(Loaded(mirrored, affine)))


def test_a_volume_beside_the_body_holds_no_rod() -> None:
    affine = phantom.affine(SMALL)
    affine[:3, 3] += 1000
    measured = phantom.measure(Loaded(phantom.truth(SMALL), affine))
    assert [one.count for one in measured] == [0] * 8
    assert not any(one.agrees for one in measured)


def test_the_same_spec_writes_the_same_bytes(tmp_path: Path) -> None:
    spec = replace(SMALL, localizers=1, dose_pages=1, strays=True, garbage=True, bits_stored=12)
    first = {path.name: path.read_bytes() for path in phantom.write(spec, tmp_path / "a")}
    second = {path.name: path.read_bytes() for path in phantom.write(spec, tmp_path / "b")}
    assert first == second


def test_another_seed_writes_another_study(tmp_path: Path) -> None:
    one, other = (next(iter(phantom.datasets(replace(SMALL, seed=seed)))) for seed in (0, 1))
    assert one.StudyInstanceUID != other.StudyInstanceUID
    assert one.SOPInstanceUID != other.SOPInstanceUID
    assert one.PixelData != other.PixelData


def test_two_series_numbers_of_one_seed_share_a_study_and_a_frame_of_reference() -> None:
    one, other = (next(iter(phantom.datasets(replace(SMALL, series_number=number)))) for number in (1, 2))
    assert one.StudyInstanceUID == other.StudyInstanceUID
    assert one.FrameOfReferenceUID == other.FrameOfReferenceUID
    assert one.SeriesInstanceUID != other.SeriesInstanceUID


def test_every_uid_is_valid_and_every_instance_has_its_own() -> None:
    spec = replace(SMALL, phases=2, duplicated=(1,), localizers=2, dose_pages=2)
    found = list(phantom.datasets(spec))
    assert len({dataset.SOPInstanceUID for dataset in found}) == len(found) == 2 * 6 + 4
    assert all(pydicom.uid.UID(dataset.SOPInstanceUID).is_valid for dataset in found)


@pytest.mark.parametrize(
    "impossible",
    [
        {"bits_stored": 17},
        {"bits_stored": 12, "high_bit": 10},
        {"signed": False},
        {"rows": 0},
        {"patient_position": "UPSIDE DOWN"},
    ],
)
def test_a_phantom_that_cannot_be_is_refused_by_name(impossible: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError, match=r"PhantomSpec\.\w+"):
        PhantomSpec(**impossible)
