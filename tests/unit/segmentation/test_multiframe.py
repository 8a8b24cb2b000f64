"""Masks of a CT that is one file of many frames, in any order: written, read, and found by the frames they name."""

from __future__ import annotations

import pickle
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from mask_objects import blobs

import hounsfield
from hounsfield import phantom
from hounsfield.errors import GeometryError
from hounsfield.phantom import PhantomSpec
from hounsfield.segmentation import Masks, Segment
from hounsfield.verbs.masks_writing import rewrite_masks

SPEC = {"rows": 32, "columns": 40, "slices": 6, "seed": 3, "tilt": -18.5}


def _made(folder: Path, **spec: Any) -> tuple[Any, hounsfield.Volume, Masks]:
    phantom.write(
        PhantomSpec(**{**SPEC, "multiframe": "enhanced", "frame_order": "shuffled", **spec}), folder
    )
    series = hounsfield.scan(folder).choose()
    volume = series.load()
    first, second = blobs(volume.shape, 2)
    labels = np.where(second, 2, first).astype(np.uint8)
    labels[2] = 0
    segments = (Segment(1, "liver", algorithm="MANUAL"), Segment(2, "spleen", algorithm="MANUAL"))
    return series, volume, Masks((labels,), segments, volume.affine, "test")


@pytest.mark.parametrize("to", ["seg", "labelmap", "rtstruct"])
@pytest.mark.parametrize("kind", ["enhanced", "legacy"])
def test_masks_of_frames_come_back_as_they_were(kind: str, to: Any, tmp_path: Path) -> None:
    series, volume, truth = _made(tmp_path / "ct", multiframe=kind)
    assert len({uid.frame for uid in volume.uids}) == len(volume.uids)  # type: ignore[attr-defined]
    rewrite_masks(truth, tmp_path / "out.dcm", series, to)
    found = hounsfield.masks(tmp_path / "out.dcm", volume)
    assert np.array_equal(found.labels, truth.labels)
    assert found.warnings == ()


def _references(dataset: pydicom.Dataset) -> list[pydicom.Dataset]:
    return [
        group.DerivationImageSequence[0].SourceImageSequence[0]
        for group in dataset.PerFrameFunctionalGroupsSequence
    ]


def test_frames_are_named_one_by_one(tmp_path: Path) -> None:
    series, volume, truth = _made(tmp_path / "ct")
    rewrite_masks(truth, tmp_path / "out.dcm", series, "seg")
    dataset = pydicom.dcmread(tmp_path / "out.dcm")
    for group, source in zip(dataset.PerFrameFunctionalGroupsSequence, _references(dataset), strict=True):
        frames = [uid.frame for uid in volume.uids]  # type: ignore[attr-defined]
        place = volume.lps(frames.index(int(source.ReferencedFrameNumber)), 0, 0)
        assert np.allclose(
            np.array(group.PlanePositionSequence[0].ImagePositionPatient, float), place, atol=1e-4
        )


def test_frames_without_a_plane_lie_where_the_frame_that_they_name_does(tmp_path: Path) -> None:
    series, volume, truth = _made(tmp_path / "ct")
    rewrite_masks(truth, tmp_path / "out.dcm", series, "seg")
    dataset = pydicom.dcmread(tmp_path / "out.dcm")
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.PlanePositionSequence
    dataset.save_as(tmp_path / "bare.dcm")
    assert np.array_equal(hounsfield.masks(tmp_path / "bare.dcm", volume).labels, truth.labels)


def test_a_frame_that_lies_elsewhere_than_the_one_it_names_is_refused(tmp_path: Path) -> None:
    series, volume, truth = _made(tmp_path / "ct")
    rewrite_masks(truth, tmp_path / "out.dcm", series, "seg")
    dataset = pydicom.dcmread(tmp_path / "out.dcm")
    sources = _references(dataset)
    for source, other in zip(
        sources, [int(each.ReferencedFrameNumber) % 6 + 1 for each in sources], strict=True
    ):
        source.ReferencedFrameNumber = other
    dataset.save_as(tmp_path / "wrong.dcm")
    with pytest.raises(GeometryError, match=r"names slice . as its source and lies .* mm from it"):
        hounsfield.masks(tmp_path / "wrong.dcm", volume)


def test_frames_keep_their_numbers_when_volumes_are_cut_and_pickled(tmp_path: Path) -> None:
    _, volume, _ = _made(tmp_path / "ct")
    part = volume.cropped((slice(2, 5), slice(None), slice(None)))
    kept = pickle.loads(pickle.dumps(part.uids))
    assert [uid.frame for uid in kept] == [uid.frame for uid in volume.uids[2:5]]  # type: ignore[attr-defined]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not here")
@pytest.mark.parametrize("to", ["seg", "rtstruct"])
def test_dciodvfy_finds_no_error_in_masks_of_frames(to: Any, tmp_path: Path) -> None:
    series, _, truth = _made(tmp_path / "ct")
    rewrite_masks(truth, tmp_path / "out.dcm", series, to)
    told = subprocess.run(
        ["dciodvfy", str(tmp_path / "out.dcm")], capture_output=True, text=True, check=False
    )
    lines = (told.stdout + told.stderr).splitlines()
    assert [line for line in lines if line.startswith("Error")] == []
