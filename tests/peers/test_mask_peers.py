"""Masks of others: counts by the NRRD beside dcmqi's SEG, and by highdicom."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
import SimpleITK
from mask_objects import blobs, write_ct, write_rtstruct

import hounsfield
from hounsfield.segmentation import measure

DATA = Path(os.environ.get("HOUNSFIELD_TEST_DATA", Path(__file__).resolve().parents[3] / "shared/data"))
MASKS = DATA / "masks/dcmqi"
PAIRS = {
    "liver.dcm": ("ge_ct_3slice", "liver_seg.nrrd"),
    "24x38x3_label.seg": ("legacy_converted_pair", "24x38x3_label.nrrd"),
    "sparse-labelmap-noppv.dcm": ("legacy_converted_pair", "sparse_labelmap_noppv_seg.nrrd"),
}


@pytest.mark.skipif(not MASKS.is_dir(), reason="no real masks here")
@pytest.mark.parametrize("name", PAIRS)
def test_seg_is_the_nrrd_beside_it_and_what_highdicom_reads(name: str) -> None:
    ct, labels = PAIRS[name]
    series = hounsfield.scan(DATA / "odd" / ct).series
    for each in series:
        volume = each.load()
        found = hounsfield.masks(MASKS / name, volume)
        assert np.array_equal(found.labels, hounsfield.masks(MASKS / labels, volume).labels)
    peer = hd.seg.segread(MASKS / name).get_volume(combine_segments=True, allow_missing_positions=True)
    assert found.counts() == {1: int(np.count_nonzero(peer.array == 1))}


@pytest.mark.skipif(shutil.which("plastimatch") is None, reason="plastimatch is not here")
def test_plastimatch_fills_the_same_voxels(tmp_path: Path) -> None:
    write_ct(tmp_path / "ct", rows=64, columns=64)
    volume = hounsfield.load(tmp_path / "ct")
    turns = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    # Numbers that put no centre on an edge.
    outline = [
        (31.37 + 20.11 * np.sin(t) * (1 + 0.3 * np.cos(5 * t)), 32.21 + 17.43 * np.cos(t)) for t in turns
    ]
    contours = [
        ("CLOSED_PLANAR", np.array([(float(index), *point) for point in outline])) for index in range(1, 5)
    ]
    write_rtstruct(tmp_path / "rt.dcm", volume, {"leaf": contours}, uids=True)
    hounsfield.write_volume(volume, tmp_path / "ct.nrrd")
    command = [
        "plastimatch",
        "convert",
        "--input",
        "rt.dcm",
        "--fixed",
        "ct.nrrd",
        "--output-prefix",
        "filled",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (made,) = (tmp_path / "filled").glob("*.mha")
    peer = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(made))) > 0
    assert np.array_equal(hounsfield.masks(tmp_path / "rt.dcm", volume).mask("leaf"), peer)


def test_simpleitk_counts_the_same_voxels(tmp_path: Path) -> None:
    write_ct(tmp_path / "ct", tilt=-18.5)
    volume = hounsfield.load(tmp_path / "ct")
    labels = (blobs(volume.shape, 3) * np.array([1, 2, 3])[:, None, None, None]).sum(axis=0).astype(np.uint8)
    place = hounsfield.Volume.from_array(labels, volume.affine, unit="unspecified")
    SimpleITK.WriteImage(place.to_sitk(), str(tmp_path / "labels.nrrd"))
    statistics = SimpleITK.LabelIntensityStatisticsImageFilter()
    statistics.Execute(place.to_sitk(), volume.to_sitk())
    for found in measure(volume, hounsfield.masks(tmp_path / "labels.nrrd", volume)):
        told, label = found.to_json(), found.segment.number
        assert told["voxels"] + told["left_out"] == statistics.GetNumberOfPixels(label)
        if not told["left_out"]:
            assert told["mean"] == pytest.approx(statistics.GetMean(label))
            assert told["maximum"] == statistics.GetMaximum(label)
