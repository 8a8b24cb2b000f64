"""What the usual converters make of real CT, held against its DICOM; the figures were known beforehand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

import hounsfield
from hounsfield.verbs.check import Checked

UPRIGHT, TILTED = "S21570/S2010", "S21610/S2010"


def simpleitk(folder: Path, out: Path) -> Path:
    sitk = pytest.importorskip("SimpleITK")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    sitk.WriteImage(reader.Execute(), str(out / "x.nii.gz"))
    return out / "x.nii.gz"


def dcm2niix(folder: Path, out: Path) -> Path:
    pytest.importorskip("dcm2niix")
    program = Path(sys.executable).parent / "dcm2niix"
    subprocess.run([program, "-z", "y", "-f", "x", "-o", out, folder], check=True, capture_output=True)
    return out / "x.nii.gz"


def checked(path: Path, data: Path, series: str) -> Checked:
    found = hounsfield.check(path, data / series.split("/", maxsplit=1)[0])
    assert found.values is not None and found.geometry is not None
    return found


@pytest.mark.parametrize(
    ("convert", "series", "verdict", "millimetres"),
    [
        (simpleitk, UPRIGHT, "equal", 0.00),
        (dcm2niix, UPRIGHT, "equal", 0.00),
        (simpleitk, TILTED, "tilt", 42.60),
        (dcm2niix, TILTED, "tilt", 6.85),
    ],
)
def test_where_converters_put_a_head(
    convert: object, series: str, verdict: str, millimetres: float, real_data: Path, tmp_path: Path
) -> None:
    data = real_data / "philips_phantom"
    found = checked(convert(data / series, tmp_path), data, series)  # type: ignore[operator]
    assert found.values is not None and found.geometry is not None
    assert found.values.verdict == "equal"
    assert found.geometry.verdict == verdict
    assert found.geometry.largest_mm == pytest.approx(millimetres, abs=0.005)
    assert found.is_right == (verdict == "equal")


def test_an_affine_that_was_lost(real_data: Path, tmp_path: Path) -> None:
    data = real_data / "philips_phantom"
    image = nibabel.load(dcm2niix(data / UPRIGHT, tmp_path))
    zooms = image.header.get_zooms()
    spaced = nibabel.Nifti1Image(np.asarray(image.dataobj), np.diag([*zooms, 1.0]))
    spaced.to_filename(tmp_path / "lost.nii.gz")
    found = checked(tmp_path / "lost.nii.gz", data, UPRIGHT)
    assert found.values is not None and found.geometry is not None and found.geometry.largest_mm is not None
    assert found.values.verdict == "equal" and not found.is_right
    assert found.geometry.largest_mm > 500


def test_the_recipe_that_rescales_what_a_reader_has_rescaled(real_data: Path, tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    data = real_data / "philips_phantom"
    image = sitk.ReadImage(str(simpleitk(data / UPRIGHT, tmp_path)))
    hu = sitk.GetArrayFromImage(image).astype(np.int16)
    hu = (1.0 * hu).astype(np.int16) + np.int16(-1024)
    again = sitk.GetImageFromArray(hu)
    again.CopyInformation(image)
    sitk.WriteImage(again, str(tmp_path / "twice.nii.gz"))
    found = checked(tmp_path / "twice.nii.gz", data, UPRIGHT)
    assert found.values is not None and found.values.verdict == "rescaled-twice"
    assert found.values.slope == pytest.approx(1.0) and found.values.offset == pytest.approx(
        -1024.0, abs=0.05
    )
    assert found.values.sentence == "file = 1.000 × HU − 1024: the rescale was applied twice"
    assert found.plausibility.verdict == "implausible"
