"""Masks that do not fit: by the command, in both languages, an error or a warning that names segment and slice."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK
from click.testing import CliRunner
from mask_objects import blobs, write_ct, write_rtstruct, write_seg

import hounsfield
from hounsfield.cli import main

Made = tuple[Path, list[pydicom.Dataset], hounsfield.Volume]


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("bad") / "ct"
    source = write_ct(folder, patient_position="HFS")
    return folder, source, hounsfield.load(folder)


def _seg(change: Callable[[pydicom.Dataset], None]) -> Callable[[Made, Path], Path]:
    def make(ct: Made, folder: Path) -> Path:
        dataset = write_seg(folder / "m.dcm", ct[1], np.moveaxis(blobs(ct[2].shape, 1), 0, -1))
        change(dataset)
        dataset.save_as(folder / "m.dcm")
        return folder / "m.dcm"

    return make


def _contours(*contours: tuple[str, list[list[float]]]) -> Callable[[Made, Path], Path]:
    def make(ct: Made, folder: Path) -> Path:
        drawn = [(kind, np.array(points, float)) for kind, points in contours]
        write_rtstruct(folder / "m.dcm", ct[2], {"Liver": drawn})
        return folder / "m.dcm"

    return make


def _other_frame(dataset: pydicom.Dataset) -> None:
    dataset.FrameOfReferenceUID = "1.2.3.4"
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.DerivationImageSequence


def _off_slice(dataset: pydicom.Dataset) -> None:
    position = dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
    x, y, z = position.ImagePositionPatient
    position.ImagePositionPatient = [x, y, z + 2]


def _other_matrix(dataset: pydicom.Dataset) -> None:
    for group in dataset.PerFrameFunctionalGroupsSequence:
        x, y, z = group.PlanePositionSequence[0].ImagePositionPatient
        group.PlanePositionSequence[0].ImagePositionPatient = [x + 4, y, z]


def _absent_slices(dataset: pydicom.Dataset) -> None:
    for group in dataset.PerFrameFunctionalGroupsSequence[:2]:
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID = "1.2.9"


def _more_frames(dataset: pydicom.Dataset) -> None:
    dataset.NumberOfFrames = 9


def _fewer_bits(dataset: pydicom.Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:300]


def _twice(dataset: pydicom.Dataset) -> None:
    groups = dataset.PerFrameFunctionalGroupsSequence
    for name in ("PlanePositionSequence", "DerivationImageSequence"):
        setattr(groups[1], name, getattr(groups[0], name))


def _large_labels(ct: Made, folder: Path) -> Path:
    labels = np.zeros(ct[2].shape, np.float32)
    labels[3, 5, 5] = 70000
    volume = hounsfield.Volume.from_array(labels, ct[2].affine, unit="unspecified")
    SimpleITK.WriteImage(volume.to_sitk(), str(folder / "m.nrrd"))
    return folder / "m.nrrd"


CLOSED, BOX = "CLOSED_PLANAR", [[2, 3, 3], [2, 9, 3], [2, 9, 9], [2, 3, 9]]
GOOD = (CLOSED, BOX)

# Case: how it is made, the exit code, and what is said in English and in Chinese.
BAD: dict[str, tuple[Callable[[Made, Path], Path], int, str, str]] = {
    "frame of reference": (_seg(_other_frame), 1, r"frame of reference 1\.2\.3\.4", r"参考坐标系 1\.2\.3\.4"),
    "matrix": (
        _seg(_other_matrix),
        1,
        r"frame 1, segment 1 \(Organ 1\).*\d mm off the CT's voxels along its rows",
        r"第 1 帧，分割区域 1（Organ 1）.*mm",
    ),
    "off its slice": (
        _seg(_off_slice),
        1,
        r"frame 2, segment 1 \(Organ 1\): names slice 4 as its source and lies 2 mm from it",
        r"第 2 帧，分割区域 1（Organ 1）.*第 4 层",
    ),
    "absent slices": (
        _seg(_absent_slices),
        0,
        r"2 frames refer to slices that are not in this volume, first .*frame 1, segment 1 \(Organ 1\)",
        r"2 帧引用了此体数据中没有的层，第一个为 .*第 1 帧，分割区域 1（Organ 1）",
    ),
    "frames that are not there": (_seg(_more_frames), 1, "Number of Frames is 9", "9"),
    "bits that are not there": (
        _seg(_fewer_bits),
        1,
        r"frame 2, segment 1 \(Organ 1\): Pixel Data of 300 bytes",
        r"第 2 帧，分割区域 1（Organ 1）.*300",
    ),
    "two frames at one place": (
        _seg(_twice),
        0,
        r"two frames of segment 1 \(Organ 1\) on slice \d: united",
        r"第 \d 层上有两帧属于分割区域 1（Organ 1）",
    ),
    "labels": (_large_labels, 1, "labels from 0 to 70000, first on slice 3", "70000.*3"),
    "contour off every slice": (
        _contours(GOOD, (CLOSED, [[2.4, *rest] for _, *rest in BOX])),  # type: ignore[arg-type]
        1,
        r"structure 'Liver', contour 2: lies 1 mm from slice 2, the nearest",
        r"结构 'Liver'，轮廓 2：距最近的第 2 层 1 mm",
    ),
    "contour across slices": (
        _contours((CLOSED, [[1, 3, 3], [2, 9, 3], [3, 9, 9]])),
        1,
        r"structure 'Liver', contour 1: lies in no slice: its points are 5 mm apart",
        r"结构 'Liver'，轮廓 1：不在任何一层内：各点在层方向上相差 5 mm",
    ),
    "contour outside": (
        _contours((CLOSED, [[2, 300 + row, column] for _, row, column in BOX])),
        1,
        r"structure 'Liver', contour 1: lies outside the CT's rows and columns",
        r"结构 'Liver'，轮廓 1：位于 CT 的行列范围之外",
    ),
    "self-crossing": (
        _contours((CLOSED, [[1, 3.5, 3.5], [1, 3.5, 20.5], [1, 12.5, 3.5], [1, 12.5, 20.5]])),
        0,
        r"structure 1 \(Liver\): 1 contours cross themselves, the first on slice 1",
        r"结构 1（Liver）：1 个轮廓自相交，第一个在第 1 层",
    ),
    "open": (
        _contours(GOOD, ("OPEN_PLANAR", BOX)),  # type: ignore[arg-type]
        0,
        r"structure 1 \(Liver\): 1 contours of type OPEN_PLANAR enclose nothing: left out",
        r"结构 1（Liver）：1 个类型为 OPEN_PLANAR 的轮廓不围成区域：已略去",
    ),
    "zero area": (
        _contours(GOOD, (CLOSED, [[4, 3, 3], [4, 9, 3], [4, 5, 3]])),  # type: ignore[arg-type]
        0,
        r"structure 1 \(Liver\): 1 contours hold no voxel's centre, the first on slice 4",
        r"结构 1（Liver）：1 个轮廓不含任何体素中心，第一个在第 4 层",
    ),
}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("case", BAD)
def test_masks_that_do_not_fit_are_said(case: str, language: str, ct: Made, tmp_path: Path) -> None:
    make, code, *said = BAD[case]
    path = make(ct, tmp_path)
    arguments: list[Any] = ["measure", ct[0], "--mask", path, "--lang", language]
    result = CliRunner().invoke(main, [str(each) for each in arguments], env={"COLUMNS": "400"})
    assert result.exit_code == code, result.output
    words = said[language == "zh"]
    assert re.search(words, result.output, re.DOTALL), result.output
