"""Contours filled by others, doses and maps interpolated by others: differences only where a centre lies on an edge."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK
from mask_objects import write_ct, write_rtstruct
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

import hounsfield

Points = NDArray[np.float64]
SIDE = 40


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fillers") / "ct"
    write_ct(folder, rows=SIDE, columns=SIDE, slices=8)
    return folder


def _outlines(count: int) -> list[Points]:
    """(points, 2) each: simple polygons around the middle, every second of them with corners on centres of voxels."""
    rng = np.random.default_rng(11)
    made = []
    for number in range(count):
        turns = np.sort(rng.uniform(0, 2 * np.pi, 11))
        radius = rng.uniform(5, 17, 11)
        points = SIDE / 2 + radius[:, None] * np.stack([np.sin(turns), np.cos(turns)], axis=1)
        made.append(np.round(points) if number % 2 else points)
    return made


def _on_an_edge(points: Points) -> NDArray[np.bool_]:
    """(rows, columns): centres within a millionth of a voxel of the outline."""
    row, column = np.mgrid[:SIDE, :SIDE].astype(float)
    found = np.zeros((SIDE, SIDE), bool)
    for (r1, c1), (r2, c2) in zip(points, np.roll(points, -1, axis=0), strict=True):
        length = max((r2 - r1) ** 2 + (c2 - c1) ** 2, 1e-12)
        share = np.clip(((row - r1) * (r2 - r1) + (column - c1) * (c2 - c1)) / length, 0, 1)
        found |= np.hypot(row - r1 - share * (r2 - r1), column - c1 - share * (c2 - c1)) < 1e-4
    return found


def _by_angles(points: Points) -> NDArray[np.bool_]:
    """(rows, columns): centres around which the outline turns, by the sum of angles: no scan lines."""
    row, column = np.mgrid[:SIDE, :SIDE].astype(float)
    angles = np.arctan2(points[:, 0] - row[..., None], points[:, 1] - column[..., None])
    steps = np.diff(angles, axis=2, append=angles[..., :1])
    turned = ((steps + np.pi) % (2 * np.pi) - np.pi).sum(axis=2)
    return np.abs(turned) > np.pi


def _filled(ct: Path, folder: Path) -> tuple[hounsfield.Volume, list[Points], NDArray[np.bool_]]:
    volume = hounsfield.load(ct)
    outlines = _outlines(volume.shape[0])
    contours = [
        ("CLOSED_PLANAR", np.column_stack([np.full(len(points), float(index)), points]))
        for index, points in enumerate(outlines)
    ]
    write_rtstruct(folder / "rt.dcm", volume, {"leaf": contours}, uids=True)
    return volume, outlines, hounsfield.masks(folder / "rt.dcm", volume).mask("leaf")


def test_a_sum_of_angles_fills_the_same_voxels_but_on_edges(ct: Path, tmp_path: Path) -> None:
    _, outlines, mask = _filled(ct, tmp_path)
    for points, plane in zip(outlines, mask, strict=True):
        assert not ((plane != _by_angles(points)) & ~_on_an_edge(points)).any()
    assert mask.sum() > 1000


@pytest.mark.skipif(shutil.which("plastimatch") is None, reason="plastimatch is not here")
def test_plastimatch_fills_the_same_voxels_but_on_edges(ct: Path, tmp_path: Path) -> None:
    volume, outlines, mask = _filled(ct, tmp_path)
    hounsfield.write_volume(volume, tmp_path / "ct.nrrd")
    command = ["plastimatch", "convert", "--input", "rt.dcm", "--fixed", "ct.nrrd", "--output-prefix", "out"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (made,) = (tmp_path / "out").glob("*.mha")
    peer = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(made))) > 0
    for points, plane, other in zip(outlines, mask, peer, strict=True):
        assert not ((plane != other) & ~_on_an_edge(points)).any()


def _write_dose(path: Path, source: pydicom.Dataset, values: NDArray[np.uint32], step: float) -> None:
    """Frames from −20 mm on upwards, or down to it."""
    first = -20.0 if step > 0 else -20 - step * (len(values) - 1)
    dose = pydicom.Dataset()
    dose.file_meta = pydicom.dataset.FileMetaDataset()
    dose.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"  # type: ignore[assignment]
    dose.SOPClassUID, dose.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.2", generate_uid()
    dose.StudyInstanceUID, dose.SeriesInstanceUID = source.StudyInstanceUID, generate_uid()
    dose.FrameOfReferenceUID = source.FrameOfReferenceUID
    dose.Modality, (dose.NumberOfFrames, dose.Rows, dose.Columns) = "RTDOSE", values.shape
    dose.ImagePositionPatient, dose.PixelSpacing = [-180, -170, first], [9, 11]
    dose.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dose.FrameIncrementPointer, dose.GridFrameOffsetVector = (
        0x3004000C,
        [step * frame for frame in range(len(values))],
    )
    dose.BitsAllocated = dose.BitsStored = 32
    dose.HighBit, dose.PixelRepresentation, dose.SamplesPerPixel = 31, 0, 1
    dose.PhotometricInterpretation, dose.DoseUnits, dose.DoseGridScaling = "MONOCHROME2", "GY", 2.5e-7
    dose.DoseType, dose.DoseSummationType = "PHYSICAL", "PLAN"
    dose.PixelData = values.tobytes()
    pydicom.dcmwrite(path, dose, enforce_file_format=True)


@pytest.mark.parametrize("is_descending", [False, True])
def test_doses_are_those_of_simpleitk_on_the_grid_in_gray(
    is_descending: bool, ct: Path, tmp_path: Path
) -> None:
    source = pydicom.dcmread(next(ct.rglob("*.dcm")))
    volume = hounsfield.load(ct)
    values = np.random.default_rng(2).integers(0, 2**28, (20, 36, 34)).astype(np.uint32)
    _write_dose(tmp_path / "dose.dcm", source, values, -2.5 if is_descending else 2.5)
    dose = hounsfield.load(tmp_path / "dose.dcm")
    assert dose.unit == "GY"
    found = dose.resampled(like=volume)
    gray = (values * 2.5e-7).astype(np.float64)
    peer = SimpleITK.GetImageFromArray(gray[::-1] if is_descending else gray)
    peer.SetSpacing((11, 9, 2.5))
    peer.SetOrigin((-180, -170, -20))
    on_grid = SimpleITK.Resample(peer, volume.to_sitk(), SimpleITK.Transform(), SimpleITK.sitkLinear, -1.0)
    expected = SimpleITK.GetArrayFromImage(on_grid)
    inside = expected >= 0
    assert inside.mean() > 0.5
    np.testing.assert_allclose(found.array[inside], expected[inside], atol=1e-4)


def test_parametric_maps_lie_on_the_grid_with_their_scale(ct: Path, tmp_path: Path) -> None:
    sources = [pydicom.dcmread(path) for path in sorted(ct.rglob("*.dcm"))]
    volume = hounsfield.load(ct)
    sources.sort(key=lambda each: list(volume.uids).index(each.SOPInstanceUID))
    values = np.random.default_rng(3).random(volume.shape).astype(np.float32)
    made = hd.pm.ParametricMap(
        sources,
        values,
        generate_uid(),
        9,
        generate_uid(),
        1,
        "Tests",
        "Tests",
        "1",
        "1",
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            hd.pm.RealWorldValueMapping(
                "1", "flow", codes.UCUM.MilliliterPer100GramPerMinute, (0.0, 1.0), slope=40.0, intercept=2.0
            )
        ],
        voi_lut_transformations=[hd.VOILUTTransformation(window_center=0.5, window_width=1)],
    )
    made.save_as(tmp_path / "map.dcm")
    found = hounsfield.load(tmp_path / "map.dcm")
    assert found.unit == "ml/[100]g/min"
    on_grid = found.resampled(like=volume)
    np.testing.assert_allclose(on_grid.array, values * 40 + 2, atol=1e-3)
