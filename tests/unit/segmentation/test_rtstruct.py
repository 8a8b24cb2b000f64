"""Contours filled on the grid of the CT: one rule, holes and keyholes, and what is said of contours that are odd."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mask_objects import blobs, write_ct, write_rtstruct
from numpy.typing import NDArray

import hounsfield
from hounsfield.ct.roi import Roi
from hounsfield.ct.roi.filling import filled
from hounsfield.errors import GeometryError, UnsupportedError


def _box(slice_: float, top: float, left: float, bottom: float, right: float) -> NDArray[np.float64]:
    return np.array([[slice_, r, c] for r, c in ((top, left), (top, right), (bottom, right), (bottom, left))])


@pytest.fixture
def volume(tmp_path: Path) -> hounsfield.Volume:
    write_ct(tmp_path / "ct", tilt=-18.5)
    return hounsfield.load(tmp_path / "ct")


def test_voxels_whose_centres_lie_inside(volume: hounsfield.Volume, tmp_path: Path) -> None:
    outer, hole = _box(2, 3.5, 4.5, 12.5, 15.5), _box(2, 5.5, 6.5, 8.5, 9.5)
    keyhole = np.vstack(
        [_box(4, 2.5, 2.5, 12.5, 12.5), [[4, 2.5, 2.5]], _box(4, 4.5, 4.5, 8.5, 8.5)[::-1], [[4, 8.5, 4.5]]]
    )
    structures = {
        "ring": [("CLOSED_PLANAR", outer), ("CLOSED_PLANAR", hole)],
        "keyhole": [("CLOSED_PLANAR", keyhole)],
        "mark": [("POINT", np.array([[1.0, 7.2, 8.4]]))],
    }
    write_rtstruct(tmp_path / "rt.dcm", volume, structures, uids=True)
    found = hounsfield.masks(tmp_path / "rt.dcm", volume)
    truth = np.zeros(volume.shape, bool)
    truth[2, 4:13, 5:16] = True
    truth[2, 6:9, 7:10] = False
    assert np.array_equal(found.mask("ring"), truth)
    assert np.argwhere(found.mask("mark")).tolist() == [[1, 7, 8]]
    keyed = found.mask("keyhole")[4]
    assert keyed[3:13, 3:13].sum() == 100 - 16
    assert not keyed[5:9, 5:9].any()
    assert found.segments[0].colour == (255, 0, 10)


def test_the_rule_is_that_of_regions_drawn_in_the_viewer(volume: hounsfield.Volume, tmp_path: Path) -> None:
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    points = np.stack([15 + 9 * np.sin(angles), 20 + 11 * np.cos(3 * angles) * np.cos(angles)], axis=1)
    path = np.column_stack([np.full(60, 3.0), points])
    write_rtstruct(tmp_path / "rt.dcm", volume, {"leaf": [("CLOSED_PLANAR", path)]})
    drawn = Roi("freehand", 3, tuple(map(tuple, points))).mask(*volume.shape[1:])
    found = hounsfield.masks(tmp_path / "rt.dcm", volume).mask("leaf")[3]
    assert np.array_equal(found, drawn)
    assert np.array_equal(filled([points], *volume.shape[1:]), drawn)


def test_odd_contours_are_said_by_structure_and_slice(volume: hounsfield.Volume, tmp_path: Path) -> None:
    eight = np.array([[1, 3.5, 3.5], [1, 3.5, 20.5], [1, 12.5, 3.5], [1, 12.5, 20.5]])
    structures = {
        "open": [("OPEN_PLANAR", _box(1, 3, 3, 9, 9))],
        "eight": [("CLOSED_PLANAR", eight)],
        "thin": [("CLOSED_PLANAR", _box(2, 3.2, 3.2, 3.8, 9.0))],
        "flat": [("CLOSED_PLANAR", np.array([[2, 3.0, 3.0], [2, 9.0, 3.0], [2, 5.0, 3.0]]))],
        "twice": [("CLOSED_PLANAR", _box(3, 2.5, 2.5, 8.5, 8.5))] * 2,
        "wide": [("CLOSED_PLANAR", _box(3, -4, 20, 9, 90))],
    }
    write_rtstruct(tmp_path / "rt.dcm", volume, structures)
    found = hounsfield.masks(tmp_path / "rt.dcm", volume)
    said = {name: next((w for w in found.warnings if f"({name})" in w), "") for name in structures}
    assert "OPEN_PLANAR enclose nothing" in said["open"]
    assert "cross themselves, the first on slice 1" in said["eight"]
    assert "hold no voxel's centre, the first on slice 2" in said["thin"]
    assert "hold no voxel's centre" in said["flat"]
    assert "on slice 3 is there twice" in said["twice"]
    assert "reaches beyond" in said["wide"]
    assert found.mask("twice").sum() == 36


@pytest.mark.parametrize(
    ("contour", "words"),
    [
        (_box(2.4, 3, 3, 9, 9), r"'odd', contour 1: lies .*mm from slice 2"),
        (_box(9, 3, 3, 9, 9), r"lies .*mm from slice 5"),
        (
            np.array([[1.0, 3, 3], [2.0, 9, 3], [3.0, 9, 9]]),
            r"lies in no slice: its points are 4.74 mm apart",
        ),
        (_box(2, 300, 3, 309, 9), "outside the CT's rows and columns"),
    ],
)
def test_contours_off_every_slice_are_refused(
    contour: NDArray[np.float64], words: str, volume: hounsfield.Volume, tmp_path: Path
) -> None:
    write_rtstruct(tmp_path / "rt.dcm", volume, {"odd": [("CLOSED_PLANAR", contour)]})
    with pytest.raises(GeometryError, match=words):
        hounsfield.masks(tmp_path / "rt.dcm", volume)


def test_label_maps_may_have_their_axes_the_other_way(volume: hounsfield.Volume, tmp_path: Path) -> None:
    labels = (blobs(volume.shape, 2) * np.array([1, 2])[:, None, None, None]).sum(axis=0).astype(np.int16)
    plain = hounsfield.Volume.from_array(labels, volume.affine, unit="unspecified")
    flips = np.diag([-1.0, 1, -1, 1])
    flips[:3, 3] = (volume.shape[0] - 1, 0, volume.shape[2] - 1)
    turned = hounsfield.Volume.from_array(labels[::-1, :, ::-1], volume.affine @ flips, unit="unspecified")
    exchanged = hounsfield.Volume.from_array(
        labels.transpose(2, 0, 1), volume.affine[:, [2, 0, 1, 3]], unit="unspecified"
    )
    for name, each in {"a": plain, "b": turned, "c": exchanged}.items():
        for suffix in (".nii.gz", ".nrrd", ".mha"):
            hounsfield.write_volume(each, tmp_path / f"{name}{suffix}")
            assert np.array_equal(hounsfield.masks(tmp_path / f"{name}{suffix}", volume).labels, labels)


def test_a_label_map_half_a_voxel_aside_is_refused(volume: hounsfield.Volume, tmp_path: Path) -> None:
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, 2] / 2
    labels = np.ones(volume.shape, np.uint8)
    hounsfield.write_volume(
        hounsfield.Volume.from_array(labels, affine, unit="unspecified"), tmp_path / "m.nrrd"
    )
    with pytest.raises(GeometryError, match=f"{volume.spacing[2] / 2:.3g} mm off the CT's columns"):
        hounsfield.masks(tmp_path / "m.nrrd", volume)


def test_labels_beyond_16_bits_are_refused_by_slice(volume: hounsfield.Volume, tmp_path: Path) -> None:
    labels = np.zeros(volume.shape, np.int32)
    labels[3, 1, 1] = 65536
    hounsfield.write_volume(
        hounsfield.Volume.from_array(labels, volume.affine, unit="unspecified"), tmp_path / "m.nii.gz"
    )
    with pytest.raises(UnsupportedError, match="65536, first on slice 3"):
        hounsfield.masks(tmp_path / "m.nii.gz", volume)


def test_bridges_take_masks_along(volume: hounsfield.Volume, tmp_path: Path) -> None:
    write_rtstruct(tmp_path / "rt.dcm", volume, {"box": [("CLOSED_PLANAR", _box(2, 3.5, 4.5, 12.5, 15.5))]})
    masks = hounsfield.masks(tmp_path / "rt.dcm", volume)
    image, ct = masks.as_volume().to_sitk(), volume.to_sitk()
    assert image.GetSize() == ct.GetSize()
    assert image.TransformIndexToPhysicalPoint((5, 4, 2)) == ct.TransformIndexToPhysicalPoint((5, 4, 2))
    assert image.GetPixel((5, 4, 2)) == 1
