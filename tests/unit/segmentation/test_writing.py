"""Masks → SEG, RTSTRUCT, label maps → the same masks; standard objects by dciodvfy; the commands."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from mask_objects import blobs, write_ct
from numpy.typing import NDArray

import hounsfield
from hounsfield.cli import main
from hounsfield.errors import GeometryError, OutputExistsError, UnsupportedError
from hounsfield.segmentation import Code, Masks, Segment
from hounsfield.segmentation.contours import outlines
from hounsfield.segmentation.writing import to_seg
from hounsfield.verbs.masks_writing import rewrite_masks

SERIES: dict[str, dict[str, Any]] = {
    "tilted": {"tilt": -18.5},
    "gap": {"missing": (2,), "slices": 7, "tilt": 6.0},
    "oblique": {"orientation": (0.8, 0.6, 0.0, -0.36, 0.48, -0.8)},
}


def _masks(volume: hounsfield.Volume, *, overlapping: bool = False) -> tuple[Masks, NDArray[np.bool_]]:
    truth = blobs(volume.shape, 2, overlapping=overlapping)
    truth[:, [index for index, uid in enumerate(volume.uids) if not uid]] = False
    truth[0, 3, 12:16, 12:16] = [[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 1], [1, 0, 1, 1]]
    liver = Code("10200004", "SCT", "Liver")
    segments = (
        Segment(3, "肝", 0, kind=liver, algorithm="MANUAL", colour=(200, 30, 90)),
        Segment(7, "spleen", 1 if overlapping else 0),
    )
    layers = tuple((each * number).astype(np.uint8) for each, number in zip(truth, (3, 7), strict=True))
    joined = layers if overlapping else (np.where(layers[0] > 0, layers[0], layers[1]),)
    truth[1] &= overlapping | ~truth[0]
    return Masks(joined, segments, volume.affine, "test"), truth


@pytest.mark.parametrize("to", ["seg", "labelmap", "rtstruct", "nrrd", "nifti"])
@pytest.mark.parametrize("kind", SERIES)
def test_what_is_written_is_read_as_the_same_voxels(kind: str, to: Any, tmp_path: Path) -> None:
    write_ct(tmp_path / "ct", **SERIES[kind])
    series = hounsfield.scan(tmp_path / "ct").choose()
    volume = hounsfield.load(tmp_path / "ct", gaps="fill")
    masks, truth = _masks(volume)
    out = tmp_path / ("out" + {"nrrd": ".nrrd", "nifti": ".nii.gz"}.get(to, ".dcm"))
    rewrite_masks(masks, out, series, to)
    found = hounsfield.masks(out, volume)
    assert found.warnings == ()
    for segment, mask in zip(found.segments, truth, strict=True):
        assert np.array_equal(found.mask(segment.number), mask)
    if to != "nifti":
        assert [each.name for each in found.segments] == ["肝", "spleen"]
    with pytest.raises(OutputExistsError):
        rewrite_masks(masks, out, series, to)


def test_segments_that_overlap_are_written_where_they_can_be(tmp_path: Path) -> None:
    write_ct(tmp_path / "ct")
    series = hounsfield.scan(tmp_path / "ct").choose()
    volume = series.load()
    masks, truth = _masks(volume, overlapping=True)
    for to in ("seg", "rtstruct"):
        rewrite_masks(masks, tmp_path / f"{to}.dcm", series, to)
        found = hounsfield.masks(tmp_path / f"{to}.dcm", volume)
        assert all(
            np.array_equal(found.mask(segment.number), mask)
            for segment, mask in zip(found.segments, truth, strict=True)
        )
    with pytest.raises(UnsupportedError, match="overlap"):
        rewrite_masks(masks, tmp_path / "l.dcm", series, "labelmap")
    with pytest.raises(GeometryError, match="overlap"):
        rewrite_masks(masks, tmp_path / "l.nrrd", series, "nrrd")
    with pytest.raises(UnsupportedError, match="no name for nifti"):
        rewrite_masks(masks, tmp_path / "l.dcm", series, "nifti")


def test_masks_of_an_upright_grid_go_back_onto_the_slices(tmp_path: Path) -> None:
    write_ct(tmp_path / "ct", tilt=-18.5)
    series = hounsfield.scan(tmp_path / "ct").choose()
    plain, upright = hounsfield.load(tmp_path / "ct"), hounsfield.load(tmp_path / "ct", rectify=True)
    masks, truth = _masks(plain)
    rewrite_masks(masks, tmp_path / "a.dcm", series, "seg")
    on_upright = hounsfield.masks(tmp_path / "a.dcm", upright)
    rewrite_masks(on_upright, tmp_path / "b.dcm", series, "seg")
    found = hounsfield.masks(tmp_path / "b.dcm", plain)
    for segment, mask in zip(found.segments, truth, strict=True):
        assert np.array_equal(found.mask(segment.number), mask)


def test_voxels_on_a_slice_that_is_not_there_are_refused(tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct", missing=(2,), slices=7)
    volume = hounsfield.load(tmp_path / "ct", gaps="fill")
    full = Masks((np.ones(volume.shape, np.uint8),), (Segment(1, "all"),), volume.affine, "test")
    with pytest.raises(GeometryError, match=r"segment 1 \(all\) has voxels on slice 2"):
        to_seg(full, volume, source)


def test_frames_name_their_slices(tmp_path: Path) -> None:
    write_ct(tmp_path / "ct", tilt=-18.5)
    series = hounsfield.scan(tmp_path / "ct").choose()
    volume = series.load()
    masks, _ = _masks(volume)
    rewrite_masks(masks, tmp_path / "seg.dcm", series, "seg")
    dataset = pydicom.dcmread(tmp_path / "seg.dcm")
    for group in dataset.PerFrameFunctionalGroupsSequence:
        uid = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        place = volume.lps(volume.uids.index(uid), 0, 0)
        assert np.allclose(
            np.array(group.PlanePositionSequence[0].ImagePositionPatient, float), place, atol=1e-4
        )


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not here")
@pytest.mark.parametrize(
    "to", ["seg", "rtstruct"]
)  # dciodvfy of 2022 does not know label maps (Supplement 243)
def test_dciodvfy_finds_no_error(to: Any, tmp_path: Path) -> None:
    write_ct(tmp_path / "ct", tilt=-18.5)
    series = hounsfield.scan(tmp_path / "ct").choose()
    masks, _ = _masks(series.load())
    rewrite_masks(masks, tmp_path / "out.dcm", series, to)
    told = subprocess.run(
        ["dciodvfy", str(tmp_path / "out.dcm")], capture_output=True, text=True, check=False
    )
    lines = (told.stdout + told.stderr).splitlines()
    assert [line for line in lines if line.startswith("Error")] == []


def test_outlines_of_any_mask_hold_it() -> None:
    from hounsfield.ct.roi.filling import filled

    rng = np.random.default_rng(4)
    for share in (0.1, 0.5, 0.9):
        mask = rng.random((23, 31)) < share
        assert np.array_equal(filled(outlines(mask), 23, 31), mask)
    assert outlines(np.zeros((3, 3), bool)) == []


def _run(*arguments: str | Path) -> Any:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_commands_write_and_measure(tmp_path: Path) -> None:
    write_ct(tmp_path / "ct")
    out = tmp_path / "bone.dcm"
    told = json.loads(_run("masks", "threshold:300", out, "--on", tmp_path / "ct", "--json"))
    volume = hounsfield.load(tmp_path / "ct")
    dense = volume.array[volume.array >= 300]
    assert told["segments"][0]["voxels"] == dense.size > 0
    measured = json.loads(_run("measure", tmp_path / "ct", "--mask", out, "--recipe", "bone", "--json"))
    (segment,) = measured["segments"]
    assert segment["voxels"] == dense.size
    assert segment["mean"] == pytest.approx(float(dense.mean()))
    assert segment["recipes"]["bone"]["mean_hu"] == pytest.approx(float(dense.mean()))
    lines = _run("measure", tmp_path / "ct", "--mask", out, "--csv").splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("mask,number,label")
    tissues = json.loads(_run("measure", tmp_path / "ct", "--json"))
    assert [each["label"].split(" (")[0] for each in tissues["segments"]] == [
        "body",
        "lungs",
        "other air",
        "bone and calcium",
    ]


def test_info_offers_what_lies_beside(tmp_path: Path) -> None:
    write_ct(tmp_path / "study/ct")
    _run("masks", "threshold:300", tmp_path / "study/bone.dcm", "--on", tmp_path / "study")
    assert "segments: SEG threshold" in _run("info", tmp_path / "study", "--no-pixels")
    (found,) = json.loads(_run("info", tmp_path / "study", "--no-pixels", "--json"))["masks"]
    assert found["kind"] == "SEG"
    assert [each.uid for each in hounsfield.scan(tmp_path / "study").masks] == [found["SOPInstanceUID"]]


def test_a_dose_lies_on_the_grid_in_gray(tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct", tilt=-18.5)
    volume = hounsfield.load(tmp_path / "ct")
    dose = pydicom.Dataset()
    dose.file_meta = pydicom.dataset.FileMetaDataset()
    dose.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"  # type: ignore[assignment]
    dose.SOPClassUID, dose.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.2", pydicom.uid.generate_uid()
    dose.StudyInstanceUID, dose.SeriesInstanceUID = source[0].StudyInstanceUID, pydicom.uid.generate_uid()
    dose.Modality, dose.Rows, dose.Columns, dose.NumberOfFrames = "RTDOSE", 60, 60, 70
    dose.ImagePositionPatient, dose.PixelSpacing = [-300, -300, -100], [10, 10]
    dose.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dose.FrameIncrementPointer, dose.GridFrameOffsetVector = 0x3004000C, [3.0 * frame for frame in range(70)]
    dose.BitsAllocated = dose.BitsStored = 16
    dose.HighBit, dose.PixelRepresentation, dose.SamplesPerPixel = 15, 0, 1
    dose.PhotometricInterpretation, dose.DoseUnits, dose.DoseGridScaling = "MONOCHROME2", "GY", 0.001
    frame, row, column = np.mgrid[:70, :60, :60]
    dose.PixelData = (1000 + 100 * frame + 10 * row + column).astype(np.uint16).tobytes()
    pydicom.dcmwrite(tmp_path / "dose.dcm", dose, enforce_file_format=True)
    on_grid = hounsfield.load(tmp_path / "dose.dcm").resampled(like=volume)
    assert on_grid.unit == "GY"
    for place in ((0, 0, 0), (3, 11, 29), (5, 31, 39)):
        x, y, z = volume.lps(*place)
        expected = 1 + 0.1 * (z + 100) / 3 + 0.01 * (y + 300) / 10 + 0.001 * (x + 300) / 10
        assert float(on_grid.array[place]) == pytest.approx(expected, abs=1e-5)


def test_many_series_are_a_run_with_a_ledger(tmp_path: Path) -> None:
    write_ct(tmp_path / "study/a", series_number=1)
    write_ct(tmp_path / "study/b", series_number=2)
    for number in (1, 2):
        _run(
            "masks",
            "threshold:200",
            tmp_path / f"study/{number}.dcm",
            "--on",
            tmp_path / "study",
            "--series",
            number,  # type: ignore[arg-type]
        )
    arguments = (
        "measure",
        tmp_path / "study",
        "--mask",
        tmp_path / "study",
        "--report",
        tmp_path / "out",
        "--json",
    )
    rows = json.loads(_run(*arguments, "--workers", "1"))["series"]
    assert [row["status"] for row in rows] == ["made", "made"]
    for row in rows:
        result = json.loads(Path(row["output"]).read_text())
        assert result["SeriesInstanceUID"] == row["SeriesInstanceUID"]
        assert len(result["masks"]) == 1
        assert result["segments"][0]["minimum"] >= 200
    again = json.loads(_run(*arguments, "--workers", "1"))["series"]
    assert all(row["kept"] for row in again)


def test_regions_of_the_viewer_become_a_seg_and_hold_what_the_viewer_says(tmp_path: Path) -> None:
    from hounsfield.ct.roi import Roi, write_json
    from hounsfield.ct.roi import measure as measure_roi

    write_ct(tmp_path / "ct", tilt=-18.5)
    volume = hounsfield.load(tmp_path / "ct")
    rois = [
        Roi("ellipse", 1, ((6.2, 8.1), (20.4, 25.3)), "lesion"),
        Roi("rectangle", 2, ((5.6, 7.7), (14.4, 22.2)), "lesion"),
        Roi("freehand", 2, ((20.0, 5.0), (28.0, 9.0), (24.0, 30.0)), "vessel"),
        Roi("length", 3, ((5.0, 5.0), (9.0, 9.0)), "ruler"),
    ]
    measured = [measure_roi(volume, roi) for roi in rois]
    (tmp_path / "drawn.json").write_text(write_json(measured), "utf-8")
    told = json.loads(
        _run(
            "masks",
            tmp_path / "drawn.json",
            tmp_path / "seg.dcm",
            "--on",
            tmp_path / "ct",
            "--to",
            "seg",
            "--json",
        )
    )
    assert [each["label"] for each in told["segments"]] == ["lesion", "vessel"]
    assert "region 4 (ruler) is a line" in told["warnings"][0]
    found = hounsfield.masks(tmp_path / "seg.dcm", volume)
    for name, parts in (("lesion", rois[:2]), ("vessel", rois[2:3])):
        expected = np.zeros(volume.shape, bool)
        for roi in parts:
            expected[roi.slice] |= roi.mask(*volume.shape[1:])
        assert np.array_equal(found.mask(name), expected)
    counts = [each.to_json()["statistics"]["count"] for each in measured[:3]]
    assert [each["voxels"] for each in told["segments"]] == [counts[0] + counts[1], counts[2]]
