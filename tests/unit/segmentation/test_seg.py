"""DICOM SEG on the grid of the CT: every kind, any order of frames, tilt, gaps; what does not fit says by how much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from mask_objects import blobs, write_ct, write_seg

import hounsfield
from hounsfield.errors import GeometryError, HounsfieldError, MalformedError, TruncatedError

OBLIQUE = (0.8, 0.6, 0.0, -0.36, 0.48, -0.8)
SERIES: dict[str, dict[str, Any]] = {
    "upright": {},
    "tilted": {"tilt": -18.5},
    "oblique": {"orientation": OBLIQUE},
    "feet first": {"patient_position": "FFP"},
}


def _volume(folder: Path, **options: Any) -> hounsfield.Volume:
    return hounsfield.load(folder, **options)


@pytest.mark.parametrize("kind", SERIES)
def test_each_segment_is_where_it_was_drawn(kind: str, tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct", **SERIES[kind])
    volume = _volume(tmp_path / "ct")
    truth = blobs(volume.shape, 3)
    write_seg(tmp_path / "seg.dcm", source, np.moveaxis(truth, 0, -1))
    found = hounsfield.masks(tmp_path / "seg.dcm", volume)
    assert [segment.name for segment in found.segments] == ["Organ 1", "Organ 2", "Organ 3"]
    for number in (1, 2, 3):
        assert np.array_equal(found.mask(number), truth[number - 1])
    assert found.counts() == {number: int(truth[number - 1].sum()) for number in (1, 2, 3)}
    assert found.segments[0].kind is not None
    assert (found.segments[0].kind.meaning, found.segments[0].algorithm, found.warnings) == (
        "Liver",
        "MANUAL",
        (),
    )


def test_a_label_map_is_its_labels(tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct", tilt=12.0)
    volume = _volume(tmp_path / "ct")
    truth = blobs(volume.shape, 4)
    labels = (truth * np.arange(1, 5)[:, None, None, None]).sum(axis=0).astype(np.uint8)
    write_seg(tmp_path / "seg.dcm", source, labels, "LABELMAP")
    assert np.array_equal(hounsfield.masks(tmp_path / "seg.dcm", volume).labels, labels)


def test_segments_that_overlap_lie_whole_in_layers_of_their_own(tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct")
    volume = _volume(tmp_path / "ct")
    truth = blobs(volume.shape, 3, overlapping=True)
    assert (truth.sum(axis=0) > 1).any()
    write_seg(tmp_path / "seg.dcm", source, np.moveaxis(truth, 0, -1))
    found = hounsfield.masks(tmp_path / "seg.dcm", volume)
    assert len(found.layers) == 3
    for number in (1, 2, 3):
        assert np.array_equal(found.mask(number), truth[number - 1])
    with pytest.raises(GeometryError, match="overlap"):
        _ = found.labels


def test_of_a_fractional_one_half_and_more_belongs(tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct")
    volume = _volume(tmp_path / "ct")
    shares = np.zeros((*volume.shape, 1), np.float32)
    shares[2, 4, 5:8, 0] = (0.49, 0.51, 1.0)
    write_seg(tmp_path / "seg.dcm", source, shares, "FRACTIONAL", max_fractional_value=200)
    mask = hounsfield.masks(tmp_path / "seg.dcm", volume).mask(1)
    assert np.argwhere(mask).tolist() == [[2, 4, 6], [2, 4, 7]]


def test_frames_may_come_in_any_order_and_lie_by_their_positions_alone(tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct", tilt=-18.5)
    volume = _volume(tmp_path / "ct")
    truth = blobs(volume.shape, 1)
    write_seg(tmp_path / "seg.dcm", source, np.moveaxis(truth, 0, -1))
    dataset = pydicom.dcmread(tmp_path / "seg.dcm")
    frames = np.packbits(
        np.moveaxis(truth, 0, 0)[0][truth[0].any(axis=(1, 2))][::-1].ravel(), bitorder="little"
    )
    dataset.PixelData = frames.tobytes() + b"\0" * (len(frames) % 2)
    dataset.PerFrameFunctionalGroupsSequence = dataset.PerFrameFunctionalGroupsSequence[::-1]
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.DerivationImageSequence
    dataset.save_as(tmp_path / "seg.dcm")
    assert np.array_equal(hounsfield.masks(tmp_path / "seg.dcm", volume).mask(1), truth[0])


def test_a_gap_that_is_filled_holds_nothing_and_shifts_nothing(tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct", slices=8, missing=(3, 4), tilt=8.0)
    volume = _volume(tmp_path / "ct", gaps="fill")
    truth = blobs(volume.shape, 1)
    truth[:, [3, 4]] = False
    held = [index for index, uid in enumerate(volume.uids) if uid]
    write_seg(tmp_path / "seg.dcm", source, np.moveaxis(truth[:, held], 0, -1))
    assert np.array_equal(hounsfield.masks(tmp_path / "seg.dcm", volume).mask(1), truth[0])


def test_upright_and_even_grids_take_what_lies_at_their_centres(tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct", tilt=-18.5)
    plain, upright = _volume(tmp_path / "ct"), _volume(tmp_path / "ct", rectify=True)
    truth = blobs(plain.shape, 1)
    write_seg(tmp_path / "seg.dcm", source, np.moveaxis(truth, 0, -1))
    mask = hounsfield.masks(tmp_path / "seg.dcm", upright).mask(1)
    for place in np.argwhere(mask)[::7]:
        index = np.floor(plain.index(upright.lps(*place.tolist())) + 0.5).astype(int)
        assert truth[(0, *index)]
    assert mask.sum() == truth.sum()
    finer = _volume(tmp_path / "ct", step=plain.spacing[0] / 2)
    thick = hounsfield.masks(tmp_path / "seg.dcm", finer).mask(1)
    assert np.array_equal(thick[::2], truth[0])


def test_a_part_of_the_volume_and_larger_voxels(tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct", tilt=-18.5)
    volume = _volume(tmp_path / "ct")
    truth = blobs(volume.shape, 1)[0]
    write_seg(tmp_path / "seg.dcm", source, truth[..., None])
    part = volume.cropped((slice(1, 5), slice(6, 30), slice(8, 40)))
    assert np.array_equal(hounsfield.masks(tmp_path / "seg.dcm", part).mask(1), truth[1:5, 6:30, 8:40])
    fine = volume.resampled(voxel=tuple(np.array(volume.spacing) / 2))
    mask = hounsfield.masks(tmp_path / "seg.dcm", fine).mask(1)
    assert np.array_equal(mask[::2, ::2, ::2], truth[: len(mask[::2])])


def test_uneven_slices_reach_half_way_to_their_neighbours(tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct", slice_positions=(0.0, 2.0, 5.0, 6.0, 9.0))
    volume = _volume(tmp_path / "ct", step=1.0)
    truth = np.zeros((5, 32, 40, 1), bool)
    truth[range(5), range(3, 8), 5, 0] = True
    write_seg(tmp_path / "seg.dcm", source, truth)
    mask = hounsfield.masks(tmp_path / "seg.dcm", volume).mask(1)
    rows = [np.flatnonzero(plane[:, 5]).tolist() for plane in mask]
    assert rows[0] == [3]
    assert rows[2] == [4]
    assert rows[5] == [5]
    assert rows[6] == [6]
    assert rows[9] == [7]


def _changed(path: Path, change: Any) -> Path:
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return path


def _plane(dataset: pydicom.Dataset, number: int = 0) -> Any:
    return dataset.PerFrameFunctionalGroupsSequence[number].PlanePositionSequence[0]


def _moved(axis: int, mm: float) -> Any:
    def change(dataset: pydicom.Dataset) -> None:
        for number in range(len(dataset.PerFrameFunctionalGroupsSequence)):
            position = list(_plane(dataset, number).ImagePositionPatient)
            position[axis] += mm
            _plane(dataset, number).ImagePositionPatient = position

    return change


def _strange(dataset: pydicom.Dataset) -> None:
    dataset.FrameOfReferenceUID = "1.2.3.4"
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.DerivationImageSequence


def _fewer_bits(dataset: pydicom.Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:300]


def _more_frames(dataset: pydicom.Dataset) -> None:
    dataset.NumberOfFrames = len(dataset.PerFrameFunctionalGroupsSequence) + 1


BAD: dict[str, tuple[Any, type[HounsfieldError], str]] = {
    "off its own slice": (
        _moved(2, 2.0),
        GeometryError,
        r"frame 1, segment 1 .*names slice \d as its source.*2 mm",
    ),
    "off the pixels": (_moved(0, 3.0), GeometryError, r"segment 1 .*mm off the CT's voxels along its rows"),
    "other frame of reference": (_strange, GeometryError, r"frame of reference 1\.2\.3\.4"),
    "fewer bits": (_fewer_bits, TruncatedError, "Pixel Data of 300 bytes"),
    "more frames": (_more_frames, MalformedError, "functional groups are of"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused_with_its_place(case: str, tmp_path: Path) -> None:
    change, kind, words = BAD[case]
    source = write_ct(tmp_path / "ct")
    volume = _volume(tmp_path / "ct")
    write_seg(tmp_path / "seg.dcm", source, np.moveaxis(blobs(volume.shape, 1), 0, -1))
    with pytest.raises(kind, match=words):
        hounsfield.masks(_changed(tmp_path / "seg.dcm", change), volume)


@pytest.mark.parametrize(("share", "fits"), [(0.08, True), (0.12, False)])
def test_a_tenth_of_a_voxel_is_the_writing_of_numbers(share: float, fits: bool, tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct")
    volume = _volume(tmp_path / "ct")
    truth = blobs(volume.shape, 1)
    write_seg(tmp_path / "seg.dcm", source, np.moveaxis(truth, 0, -1))
    path = _changed(tmp_path / "seg.dcm", _moved(0, share * volume.spacing[2]))
    if fits:
        assert np.array_equal(hounsfield.masks(path, volume).mask(1), truth[0])
    else:
        with pytest.raises(GeometryError):
            hounsfield.masks(path, volume)


def test_slices_that_are_not_there_are_said(tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct")
    volume = _volume(tmp_path / "ct")
    write_seg(tmp_path / "seg.dcm", source, np.moveaxis(blobs(volume.shape, 1), 0, -1))
    for path in sorted((tmp_path / "ct").rglob("*.dcm"))[-2:]:
        path.unlink()
    with pytest.raises(GeometryError, match=r"segment 1 \(Organ 1\): lies .* mm beyond the volume's slices"):
        hounsfield.masks(tmp_path / "seg.dcm", _volume(tmp_path / "ct"))


def test_another_matrix_is_taken_at_the_centres_on_request(tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct")
    write_ct(tmp_path / "fine", rows=64, columns=80)
    volume, fine = _volume(tmp_path / "ct"), _volume(tmp_path / "fine")
    truth = blobs(volume.shape, 1)
    write_seg(tmp_path / "seg.dcm", source, np.moveaxis(truth, 0, -1))
    _changed(
        tmp_path / "seg.dcm",
        lambda each: setattr(each, "FrameOfReferenceUID", fine.header["FrameOfReferenceUID"]),
    )
    with pytest.raises(GeometryError, match="mm"):
        hounsfield.masks(tmp_path / "seg.dcm", fine)
    mask = hounsfield.masks(tmp_path / "seg.dcm", fine, nearest=True).mask(1)
    assert mask.sum() == 4 * truth.sum()
