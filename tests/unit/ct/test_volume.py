"""Volumes: what they refuse, where their voxels lie, and what happens when their grid is changed."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hounsfield.ct.resample import rectify, resample
from hounsfield.ct.volume import Report, Volume
from hounsfield.errors import GeometryError

TILT = np.radians(-18.5)


def affine_of(
    step: tuple[Any | int, ...],
    row: Any,
    column: tuple[Any | float | int, ...],
    origin: tuple[float, float, float] = (-10.0, 20.0, 30.0),
) -> NDArray[Any]:
    affine = np.eye(4)
    affine[:3] = np.stack([step, row, column, origin], axis=1)
    return affine


def tilted(array: Any, *, step: Any = 2.5, pixel: Any = 0.5) -> Volume:
    """Slices of a gantry at −18.5°, stacked along the table."""
    down = pixel * np.array([0, np.cos(TILT), np.sin(TILT)])
    affine = affine_of((0, 0, step), down, (pixel, 0, 0))
    return Volume(
        array, affine, (step * np.cos(TILT), pixel, pixel), uids=tuple(f"1.{k}" for k in range(len(array)))
    )


def upright(array: NDArray[Any], *, step: float = 2.0, pixel: float = 0.5, **fields: Any) -> Volume:
    affine = affine_of((0, 0, step), (0, pixel, 0), (pixel, 0, 0))
    return Volume(array, affine, (step, pixel, pixel), **fields)


def head(slices: int = 8, rows: int = 20, columns: int = 16) -> NDArray[Any]:
    """Brain at 40 in air at −1024, with a structure that follows the patient's axes, not the grid's."""
    array = np.full((slices, rows, columns), -1024, dtype=np.int16)
    array[:, 4:-4, 4:-4] = 40
    return array


def test_affine_gives_lps_and_index_gives_back_the_voxel() -> None:
    volume = tilted(head())
    assert volume.lps(0, 0, 0) == pytest.approx([-10, 20, 30])
    assert volume.lps(3, 0, 2) == pytest.approx([-9, 20, 37.5])
    assert volume.index(volume.lps(3, 7, 5)) == pytest.approx([3, 7, 5])


@given(st.tuples(*[st.floats(-500, 500)] * 3))
def test_index_is_the_inverse_of_lps_everywhere(voxel: tuple[Any, ...]) -> None:
    volume = tilted(head())
    assert volume.index(volume.lps(*voxel)) == pytest.approx(voxel, abs=1e-9)


def test_hu_at_reads_the_voxel_that_holds_the_position() -> None:
    array = head()
    array[2, 5, 6] = 1234
    volume = tilted(array)
    assert volume.hu_at(volume.lps(2.4, 4.6, 6.4)) == 1234
    assert volume.hu_at(volume.lps(-0.4, 0, 0)) == -1024


def test_hu_at_outside_says_where_the_volume_is() -> None:
    with pytest.raises(
        GeometryError, match=r"outside the volume.*L -10\.0…-2\.5, P 20\.0…29\.5, S 30\.0…44\.0"
    ):
        upright(head()).hu_at((0, 0, 0))


def test_tilt_is_measured_from_the_affine() -> None:
    assert tilted(head()).tilt_degrees == pytest.approx(18.5)
    assert tilted(head()).is_sheared
    assert not upright(head()).is_sheared


def test_a_stack_from_head_to_foot_is_not_a_tilt() -> None:
    volume = Volume(head(), affine_of((0, 0, -2), (0, 0.5, 0), (0.5, 0, 0)), (2, 0.5, 0.5))
    assert volume.tilt_degrees == pytest.approx(0)
    assert volume.normal == pytest.approx([0, 0, -1])


@pytest.mark.parametrize(
    ("array", "affine", "spacing", "message"),
    [
        (np.zeros((3, 3), np.int16), np.eye(4), (1, 1, 1), "shape"),
        (np.zeros((0, 3, 3), np.int16), np.eye(4), (1, 1, 1), "none empty"),
        (np.zeros((1, 3, 3), bool), np.eye(4), (1, 1, 1), "bool"),
        (np.zeros((1, 3, 3), np.int16), np.eye(3), (1, 1, 1), "4×4"),
        (np.zeros((1, 3, 3), np.int16), np.diag([1, 1, np.nan, 1]), (1, 1, 1), "finite"),
        (np.zeros((1, 3, 3), np.int16), np.diag([1, 1, 0, 1]), (1, 1, 1), "span space"),
        (np.zeros((1, 3, 3), np.int16), np.eye(4), (1, 1, 0), "above zero"),
        (np.zeros((1, 3, 3), np.int16), np.eye(4), (1, 2, 1), "by the affine"),
    ],
)
def test_contradictory_parts_are_refused(
    array: NDArray[Any], affine: NDArray[Any], spacing: tuple[int, int, int], message: str
) -> None:
    with pytest.raises(GeometryError, match=message):
        Volume(array, affine, spacing)


def test_a_uid_for_every_slice_or_none() -> None:
    with pytest.raises(GeometryError, match="2 UIDs"):
        upright(head(), uids=("1.1", "1.2"))
    assert upright(head()).uids == ("",) * 8


def test_json_has_everything_but_the_numbers() -> None:
    report = Report(warnings=("odd",), padded=np.int64(3), slope=1.0, intercept=-1024.0, filled=(2,))  # type: ignore[arg-type]
    volume = upright(head(), report=report, header={"Modality": "CT"})
    told = json.loads(json.dumps(volume.to_json()))
    assert told["shape"] == [8, 20, 16]
    assert told["report"]["padded"] == 3
    assert told["report"]["filled"] == [2]
    assert np.array_equal(told["affine"], volume.affine)
    assert told["header"] == {"Modality": "CT"}


def test_repr_is_short_and_names_shape_unit_spacing_and_tilt() -> None:
    assert repr(tilted(head())) == "<Volume 8×20×16 int16 HU, 2.371×0.5×0.5 mm, tilted 18.5°>"


def test_volumes_cross_process_borders() -> None:
    volume = pickle.loads(pickle.dumps(tilted(head())))
    assert volume.uids[1] == "1.1"
    assert np.array_equal(volume.array, head())


def test_trap_34_rectify_moves_slices_only_in_their_planes() -> None:
    volume = tilted(head())
    flat = rectify(volume)
    axes = flat.affine[:3, :3] / np.linalg.norm(flat.affine[:3, :3], axis=0)
    assert axes.T @ axes == pytest.approx(np.eye(3), abs=1e-12)
    assert flat.uids == volume.uids
    assert flat.spacing == pytest.approx((2.5 * np.cos(TILT), 0.5, 0.5))
    for k in range(len(volume.array)):
        # Every plane stays the plane it was: all its voxels keep their place along the normal.
        assert flat.lps(k, 0, 0) @ flat.normal == pytest.approx(volume.lps(k, 0, 0) @ volume.normal)


def test_trap_34_rectify_keeps_every_voxel_where_it_was() -> None:
    """Shifts by whole voxels (a step chosen so) must be exact, and nothing may be cut off."""
    array = np.random.default_rng(1).integers(-1000, 2000, (5, 12, 9)).astype(np.int16)
    volume = tilted(array, step=2 * 0.5 / abs(np.sin(TILT)))
    flat = rectify(volume)
    for voxel in np.ndindex(array.shape):
        place = flat.index(volume.lps(*voxel))
        assert place == pytest.approx(place.round(), abs=1e-6)
        assert flat.array[tuple(place.round().astype(int))] == array[voxel]
    assert (flat.array == -1024).sum() == flat.array.size - array.size


def test_trap_34_rectify_of_a_ramp_in_the_patient_is_the_same_ramp() -> None:
    slices, rows, columns = np.indices((9, 40, 7))
    places = np.einsum("ij,j...->i...", tilted(head()).affine[:3, :3], np.stack([slices, rows, columns]))
    ramp = (20 * places[0] + 30 * places[1] - 10 * places[2]).astype(np.float32)
    volume = tilted(ramp)
    flat = rectify(volume)
    checked = 0
    for voxel in np.ndindex(flat.shape):
        source = volume.index(flat.lps(*voxel))
        if (source >= -1e-6).all() and (source <= np.array(volume.shape) - 1 + 1e-6).all():
            place = flat.lps(*voxel) - volume.lps(0, 0, 0)
            assert flat.array[voxel] == pytest.approx(20 * place[0] + 30 * place[1] - 10 * place[2], abs=1e-3)
            checked += 1
    assert checked > 0.9 * ramp.size * 39 / 40


def test_trap_31_rectify_never_blends_padding_into_tissue() -> None:
    flat = rectify(tilted(head()))
    assert set(np.unique(flat.array)) == {-1024, 40}
    assert flat.report.verdict == "regular"
    assert "18.50°" in flat.report.warnings[-1]


def test_rectify_leaves_an_upright_volume_alone() -> None:
    volume = upright(head())
    assert rectify(volume) is volume


def test_trap_36_uneven_slices_are_resampled_to_a_regular_grid() -> None:
    positions = [0.0, 1.0, 3.0, 4.5, 8.0]
    array = np.empty((5, 4, 4), np.float32)
    array[...] = np.array(positions)[:, None, None] * 10
    even = resample(upright(array, uids=tuple("abcde")), 0.5, positions=positions)
    assert even.array[:, 2, 2] == pytest.approx(np.arange(17) * 5.0)
    assert even.spacing == (0.5, 0.5, 0.5)
    assert [even.uids[k] for k in (0, 2, 6, 9, 16)] == list("abcde")
    assert even.report.filled == tuple(set(range(17)) - {0, 2, 6, 9, 16})
    assert even.lps(16, 0, 0) == pytest.approx([-10, 20, 38])


def test_resample_rounds_int16_to_nearest() -> None:
    array = np.array([0, 1], np.int16)[:, None, None] * np.ones((1, 2, 2), np.int16)
    even = resample(upright(array, step=4.0), 1.0)
    assert even.array[:, 0, 0].tolist() == [0, 0, 0, 1, 1]
    assert resample(upright(array * -3, step=4.0), 1.0).array[:, 0, 0].tolist() == [0, -1, -2, -2, -3]


def test_trap_31_resample_takes_the_nearest_at_the_padding_edge() -> None:
    array = np.full((2, 1, 2), 100, np.int16)
    array[1, 0, 1] = -1024
    even = resample(upright(array, step=4.0), 1.0)
    assert even.array[:, 0, 0].tolist() == [100] * 5
    assert even.array[:, 0, 1].tolist() == [100, 100, -1024, -1024, -1024]


def test_trap_31_resample_obeys_a_mask_over_values_that_look_like_tissue() -> None:
    array = np.full((2, 1, 1), 0, np.int16)
    array[1] = 800
    even = resample(upright(array, step=4.0), 1.0, padding=np.array([False, True])[:, None, None])
    assert set(even.array[:, 0, 0].tolist()) == {0, 800}


def test_resample_keeps_the_tilt() -> None:
    even = resample(tilted(head()), 1.0)
    assert even.tilt_degrees == pytest.approx(18.5)
    assert even.report.verdict == "sheared"
    # The same patient, however finely cut.
    assert even.hu_at(tilted(head()).lps(3, 8, 8)) == 40


@pytest.mark.parametrize("step", [0, -1, float("nan"), 1e-12, 1e6])
def test_resample_refuses_steps_that_make_no_grid(step: float) -> None:
    with pytest.raises(GeometryError, match="step"):
        resample(upright(head()), step)


def test_resample_refuses_positions_that_do_not_rise() -> None:
    with pytest.raises(GeometryError, match="do not rise"):
        resample(upright(head()), 1.0, positions=[0, 1, 1, 2, 3, 4, 5, 6])


def test_maps_of_other_units_are_padded_with_zero() -> None:
    assert upright(head(), unit="Z_EFF").padding_value == 0
    assert upright(head(), unit="HU_MOD").padding_value == -1024
