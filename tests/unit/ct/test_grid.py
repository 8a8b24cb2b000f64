"""A volume on other grids: equal to SimpleITK's on upright ones, exact affines on tilted ones, padding kept apart."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hounsfield.ct.grid import Grid, cropped, oriented, resampled
from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError

sitk = pytest.importorskip("SimpleITK")

STEPS = (2.5, 0.8, 0.7)
SITK = {"linear": sitk.sitkLinear, "nearest": sitk.sitkNearestNeighbor, "cubic": sitk.sitkBSpline}
AXES = ["LPS", "RAS", "RPI", "SLP", "ASR", "PIL"]


def _values(shape: tuple[int, int, int] = (12, 40, 36)) -> NDArray[Any]:
    noise = np.random.default_rng(7).integers(-60, 60, shape)
    z, y, x = np.indices(shape)
    return (noise + 300 * np.sin(x / 4) + 200 * np.cos(y / 5) + 20 * z).astype(np.int16)


def _volume(lean: float = 0.0, array: NDArray[Any] | None = None) -> Volume:
    affine = np.array(
        [[0, 0, STEPS[2], -12.5], [lean, STEPS[1], 0, 4.0], [STEPS[0], 0, 0, 30.0], [0, 0, 0, 1]]
    )
    array = _values() if array is None else array
    return Volume(array, affine, STEPS, uids=tuple(f"1.2.{k}" for k in range(len(array))))


def _by_sitk(volume: Volume, grid: Volume, interpolation: str) -> NDArray[Any]:
    reference = grid.to_sitk()
    moved = sitk.Resample(volume.to_sitk(), reference, sitk.Transform(), SITK[interpolation], -1024.0)
    return np.asarray(sitk.GetArrayFromImage(moved))


@pytest.mark.parametrize("interpolation", ["linear", "nearest", "cubic"])
@pytest.mark.parametrize("voxel", [1.0, (3.0, 0.8, 0.8), (1.25, 1.6, 0.35)])
def test_other_voxels_are_simpleitks_within_rounding(
    voxel: Any, interpolation: Literal["linear", "nearest", "cubic"]
) -> None:
    volume = _volume()
    made = resampled(volume, voxel=voxel, interpolation=interpolation)
    lengths = (voxel,) * 3 if isinstance(voxel, float) else voxel
    assert made.spacing == pytest.approx(lengths)
    assert np.array_equal(made.affine[:3, 3], volume.affine[:3, 3])
    theirs = _by_sitk(volume, made, interpolation)
    difference = np.abs(made.array.astype(int) - theirs)
    # Half-way samples of "nearest" fall to either side by the last digit of a position: 1.25 of 2.5 mm is half-way.
    assert (difference <= 1).mean() >= (0.7 if interpolation == "nearest" else 1.0)


@pytest.mark.parametrize("interpolation", ["linear", "nearest", "cubic"])
def test_the_grid_of_another_volume_is_simpleitks_wherever_it_lies(
    interpolation: Literal["linear", "nearest", "cubic"],
) -> None:
    volume = _volume()
    turn = np.radians(20)
    axes = np.array([[np.sin(turn), 0, np.cos(turn)], [0, 1, 0], [np.cos(turn), 0, -np.sin(turn)]])
    affine = np.eye(4)
    affine[:3, :3] = axes * [1.5, 0.9, 1.1]
    affine[:3, 3] = volume.lps(8, 8, 27)
    other = Volume(np.zeros((9, 20, 16), np.int16), affine, (1.5, 0.9, 1.1))
    made = resampled(volume, like=other, interpolation=interpolation)
    assert (made.shape, made.affine.tolist()) == (other.shape, other.affine.tolist())
    theirs = _by_sitk(volume, other, interpolation)
    assert (theirs == -1024).any() and (theirs != -1024).any()
    difference = np.abs(made.array.astype(int) - theirs)
    assert (difference <= 1).mean() > 0.99
    assert ((made.array == -1024) == (theirs == -1024)).mean() > 0.995
    assert (
        resampled(volume, like=Grid.of(other), interpolation=interpolation).array.tobytes()
        == made.array.tobytes()
    )


def test_a_tilted_volume_keeps_its_tilt_and_every_place() -> None:
    array = np.fromfunction(lambda k, r, c: 10 * k + 3 * r + 2 * c, (12, 40, 36)).astype(np.float32)
    volume = _volume(lean=0.6, array=array)
    made = resampled(volume, voxel=(1.25, 0.4, 0.35))
    assert made.tilt_degrees == pytest.approx(volume.tilt_degrees)
    assert made.report.verdict == "sheared"
    for index in ((0, 0, 0), (3, 11, 20), (21, 70, 66)):
        source = volume.index(made.lps(*index))
        assert made.array[index] == pytest.approx(np.dot(source, (10, 3, 2)), abs=1e-3)


def test_slices_that_did_not_change_keep_their_uids() -> None:
    made = resampled(_volume(), voxel=(1.25, 0.8, 0.7))
    assert made.uids[:5] == ("1.2.0", "", "1.2.1", "", "1.2.2")
    assert np.array_equal(made.array[2], _volume().array[1])
    assert set(resampled(_volume(), voxel=(2.5, 1.6, 0.7)).uids) == {""}


def test_padding_has_no_share_in_any_sample() -> None:
    array = np.full((12, 40, 36), 50, np.int16)
    array[:, :9] = array[5] = -1024
    for interpolation in ("linear", "cubic"):
        made = resampled(_volume(array=array), voxel=(1.0, 0.3, 0.3), interpolation=interpolation)
        assert set(np.unique(made.array)) <= {-1024, 50} if interpolation == "linear" else True
        assert (made.array >= -1024).all()


def test_outside_is_padding_and_a_grid_that_meets_nothing_is_refused() -> None:
    volume = _volume()
    affine = volume.affine.copy()
    affine[:3, 3] -= affine[:3, 0] * 3
    made = resampled(volume, like=Grid((6, 40, 36), tuple(map(tuple, affine.tolist()))))
    assert (made.array[:3] == -1024).all()
    assert np.array_equal(made.array[3:], volume.array[:3])
    assert made.uids == ("", "", "", "1.2.0", "1.2.1", "1.2.2")
    affine[:3, 3] += 10_000
    with pytest.raises(GeometryError, match="does not meet the volume"):
        resampled(volume, like=Grid((6, 40, 36), tuple(map(tuple, affine.tolist()))))


@pytest.mark.parametrize("voxel", [0.0, -1.0, float("nan"), (1.0, 2.0), 1e-9, (1e-3, 1e-3, 1e-3)])
def test_voxels_that_cannot_be_are_refused(voxel: Any) -> None:
    with pytest.raises(GeometryError):
        resampled(_volume(), voxel=voxel)


def test_exactly_one_rule_makes_a_grid() -> None:
    with pytest.raises(GeometryError, match="either voxel= or like="):
        resampled(_volume())
    with pytest.raises(GeometryError, match="either voxel= or like="):
        resampled(_volume(), voxel=1.0, like=_volume())
    with pytest.raises(GeometryError, match="'linear' or"):
        resampled(_volume(), voxel=1.0, interpolation="lanczos")  # type: ignore[arg-type]


@settings(max_examples=30)
@given(st.data())
def test_a_part_has_the_voxels_and_places_of_the_whole(data: st.DataObject) -> None:
    volume = _volume(lean=0.4)
    box = []
    for size in volume.shape:
        start = data.draw(st.integers(0, size - 1))
        box.append((start, data.draw(st.integers(start + 1, size))))
    made = cropped(volume, box)
    starts = [start for start, _ in box]
    assert np.array_equal(made.array, volume.array[tuple(slice(*side) for side in box)])
    assert np.allclose(made.lps(0, 0, 0), volume.lps(*starts))
    assert made.uids == volume.uids[slice(*box[0])]
    assert (
        cropped(volume, [(None, None), slice(None), (None, None)]).array.tobytes() == volume.array.tobytes()
    )


@pytest.mark.parametrize(
    "box", [[(0, 13), (0, 1), (0, 1)], [(3, 3), (0, 1), (0, 1)], [(-1, 2), (0, 1), (0, 1)], [(0, 1)]]
)
def test_a_box_that_is_not_inside_is_refused(box: Any) -> None:
    with pytest.raises(GeometryError, match="box"):
        cropped(_volume(), box)


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("lean", [0.0, 0.6])
def test_axes_are_nibabels_and_every_voxel_keeps_its_place(axes: str, lean: float) -> None:
    nibabel = pytest.importorskip("nibabel")
    volume = _volume(lean)
    made = oriented(volume, axes)
    assert "".join(nibabel.aff2axcodes(made.to_nibabel().affine)) == axes
    for index in ((0, 0, 0), (11, 39, 35), (4, 20, 7)):
        there = np.rint(made.index(volume.lps(*index))).astype(int)
        assert np.allclose(made.lps(*there), volume.lps(*index))
        assert made.array[tuple(there)] == volume.array[index]
    back = oriented(made, "LPS")
    assert np.array_equal(back.array, volume.array) and np.allclose(back.affine, volume.affine)


@pytest.mark.parametrize("axes", ["", "RA", "RLS", "XYZ", "RASL"])
def test_axes_that_are_none_are_refused(axes: str) -> None:
    with pytest.raises(GeometryError, match="axes"):
        oriented(_volume(), axes)
