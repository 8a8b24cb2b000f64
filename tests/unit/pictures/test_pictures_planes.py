"""Planes through volumes of any orientation: the right place, the right way round, nothing bled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from grids import AFFINES, HEAD_FIRST, SPACING, geometry, turned
from numpy.typing import NDArray

from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError, SelectionError
from hounsfield.pictures import acquired_plane, nearest, stack
from hounsfield.pictures.planes import Cut, SampledStack, letters, slab_range

PLANES = ("axial", "coronal", "sagittal")
SHAPE = (24, 40, 36)
EDGES = {
    "axial": ("R", "L", "A", "P"),
    "coronal": ("R", "L", "H", "F"),
    "sagittal": ("A", "P", "H", "F"),
}
SHEARED_ASIDE = geometry(HEAD_FIRST, SPACING) + np.array([[0.9, 0, 0, 0], *np.zeros((3, 4))])
GRIDS = {
    **AFFINES,
    "feet first": geometry(HEAD_FIRST * (-1, 1, -1), SPACING),
    "sagittal slices": geometry(np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float), SPACING),
    "tilted coronal": geometry(turned(x=70) @ HEAD_FIRST, SPACING),
    "sheared to the side": SHEARED_ASIDE,
}


def spacing_of(affine: Any) -> tuple[Any, ...]:
    normal = np.cross(affine[:3, 1], affine[:3, 2])
    return (abs(affine[:3, 0] @ normal) / np.linalg.norm(normal), *np.linalg.norm(affine[:3, 1:3], axis=0))


def filled(
    affine: Any, value_at: Any, shape: tuple[int, int, int] = SHAPE, dtype: Any = np.float32
) -> Volume:
    """A volume whose voxels hold a function of their LPS position."""
    places = np.einsum("ij,j...->i...", affine[:3, :3], np.indices(shape)) + affine[:3, 3].reshape(3, 1, 1, 1)
    uids = tuple(f"1.{index}" for index in range(shape[0]))
    return Volume(value_at(places).astype(dtype), affine, spacing_of(affine), uids=uids)


def ramp(places: Any) -> Any:
    x, y, z = places
    return 2 * x + 3 * y - 5 * z


def places_of(cut: Cut) -> Any:
    rows, columns = np.indices(cut.values.shape)
    return (
        cut.corner[:, None, None]
        + cut.steps[:, 0, None, None] * rows[None]  # type: ignore[index]
        + cut.steps[:, 1, None, None] * columns[None]  # type: ignore[index]
    )


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("grid", GRIDS)
def test_trap_43_every_value_of_a_plane_is_the_patient_s_at_that_place(grid: Any, plane: str) -> None:
    """A linear field is interpolated exactly, so a plane anywhere must show the field's own values."""
    volume = filled(GRIDS[grid], ramp)
    planes = stack(volume, plane)
    for number in {0, len(planes.positions) // 3, len(planes.positions) // 2}:
        cut = planes.cut(number)
        places = places_of(cut)
        index = np.einsum(
            "ij,j...->i...",
            np.linalg.inv(volume.affine),
            np.concatenate([places, np.ones((1, *places.shape[1:]))]),
        )[:3]
        last = np.array(SHAPE)[:, None, None] - 1
        within = ((index > -1e-6) & (index < last + 1e-6)).all(axis=0)
        outside = ((index < -0.51) | (index > last + 0.51)).any(axis=0)
        assert cut.values[within] == pytest.approx(ramp(places)[within], abs=2e-2)
        assert (cut.values[outside] == -1024).all()
        if number == len(planes.positions) // 2:
            assert within.any()


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("grid", [name for name in GRIDS if name != "oblique"])
def test_trap_43_planes_are_held_as_a_radiologist_holds_them(grid: Any, plane: str) -> None:
    volume = filled(GRIDS[grid], ramp)
    planes = stack(volume, plane)
    cut = planes.cut(len(planes.positions) // 2)
    assert cut.edges == EDGES[plane]
    bottom, right = cut.steps.T
    assert np.linalg.norm(bottom) == pytest.approx(cut.spacing[0])
    assert np.linalg.norm(right) == pytest.approx(cut.spacing[1])


def test_an_oblique_acquisition_tells_both_letters() -> None:
    volume = filled(AFFINES["oblique"], ramp)
    assert stack(volume, "axial").cut(2).edges == ("RA", "LP", "AL", "PR")


def test_letters_of_directions() -> None:
    assert letters(np.array([1.0, 0, 0])) == "L"
    assert letters(np.array([0, 0.95, -0.31])) == "P"
    assert letters(np.array([0.7, 0.714, 0.01])) == "PL"


@pytest.mark.parametrize("grid", GRIDS)
def test_trap_34_a_ball_is_found_at_its_place_in_all_three_planes(grid: Any) -> None:
    affine = GRIDS[grid]
    centre = (affine @ [12, 20, 18, 1])[:3]
    reach = 4.0

    def ball(places: Any) -> NDArray[Any]:
        return np.where(np.linalg.norm(places - centre.reshape(3, 1, 1, 1), axis=0) < reach, 500, 0)

    volume = filled(affine, ball, dtype=np.int16)
    for axis, plane in ((2, "axial"), (1, "coronal"), (0, "sagittal")):
        planes = stack(volume, plane)
        cut = planes.cut(nearest(planes, float(centre[axis])))
        bright = cut.values > 250
        assert bright.any()
        found = places_of(cut)[:, bright].mean(axis=1)
        # Slices are 2.5 mm apart: the ball's middle is known to about half of that.
        assert np.linalg.norm(np.delete(found - centre, axis)) < 1.6


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("grid", ["tilted", "oblique"])
def test_trap_31_padding_never_bleeds_into_a_sampled_plane(grid: str, plane: str) -> None:
    volume = filled(GRIDS[grid], lambda places: np.full(places.shape[1:], 40), dtype=np.int16)
    volume.array[:, :8] = -1024
    volume.array[:, :, 30:] = -1024
    planes = SampledStack(volume, plane)
    for number in range(0, len(planes.positions), 5):
        assert set(np.unique(planes.cut(number).values.round(3))) <= {-1024, 40}


def test_acquired_slices_are_shown_as_they_are() -> None:
    volume = filled(AFFINES["tilted"], ramp, dtype=np.int16)
    planes = stack(volume, "axial")
    assert acquired_plane(volume) == "axial"
    for number in range(SHAPE[0]):
        cut = planes.cut(number)
        assert np.array_equal(cut.values, volume.array[number])
        assert cut.uid == f"1.{number}"
    assert stack(volume, "coronal").cut(3).uid == ""


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("grid", ["regular", "tilted", "oblique", "coronal", "sheared to the side"])
def test_a_projection_is_the_extreme_of_its_planes(grid: str, plane: str) -> None:
    generator = np.random.default_rng(5)
    noise = generator.normal(0, 3, SHAPE)
    volume = filled(GRIDS[grid], lambda places: ramp(places) + noise)
    planes = stack(volume, plane)
    first, last = 3, min(17, len(planes.positions) - 1)
    cuts = np.stack([planes.cut(number).values for number in range(first, last + 1)])
    found = planes.extreme(first, last, highest=True)
    assert found.shape == cuts.shape[1:]
    if (plane, grid) in {("sagittal", "tilted"), ("coronal", "sheared to the side")}:
        # An axis of the array looks along the view: the voxels' own maximum, which no blend of them exceeds.
        assert (found >= cuts.max(axis=0) - 1e-3).all()
        assert np.abs(found - cuts.max(axis=0)).mean() < 5
    else:
        assert np.array_equal(found, cuts.max(axis=0))
        assert np.array_equal(planes.extreme(first, last, highest=False), cuts.min(axis=0))


def test_trap_34_a_projection_through_a_tilt_shows_a_ball_where_it_is() -> None:
    affine = AFFINES["tilted"]
    centre = (affine @ [12, 20, 18, 1])[:3]
    volume = filled(
        affine,
        lambda places: np.where(np.linalg.norm(places - centre.reshape(3, 1, 1, 1), axis=0) < 4, 500, 0),
    )
    for axis, plane in ((1, "coronal"), (0, "sagittal")):
        planes = stack(volume, plane)
        last = len(planes.positions) - 1
        found = planes.extreme(0, last, highest=True)
        away = np.delete(places_of(planes.cut(0))[:, found > 250].mean(axis=1) - centre, axis)
        assert np.linalg.norm(away) < 1.6


def test_positions_and_slabs() -> None:
    volume = filled(AFFINES["regular"], ramp)
    planes = stack(volume, "axial")
    assert planes.positions == pytest.approx(41.75 + 2.5 * np.arange(24))
    assert nearest(planes, 47.0) == 2
    assert nearest(planes, 40.6) == 0
    assert slab_range(planes, 10, None) == (0, 23)
    assert slab_range(planes, 10, 10.0) == (8, 12)
    assert slab_range(planes, 0, 0.1) == (0, 0)
    assert planes.cut(2).place == "H 46.8 mm"
    assert stack(volume, "coronal").cut(0).place == "A 98.5 mm"
    assert stack(volume, "sagittal").cut(0).place == "R 123.2 mm"


def test_what_is_not_there_is_refused() -> None:
    planes = stack(filled(AFFINES["regular"], ramp), "axial")
    with pytest.raises(SelectionError, match=r"no plane at 400 mm \(expected 41.8 … 99.2 mm\)"):
        nearest(planes, 400)
    with pytest.raises(SelectionError, match="no plane 'diagonal'"):
        stack(filled(AFFINES["regular"], ramp), "diagonal")
    with pytest.raises(GeometryError, match="a slab of 0 mm"):
        slab_range(planes, 3, 0)


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("grid", ["regular", "tilted"])
def test_a_single_slice_has_planes_too(grid: str, plane: str) -> None:
    affine = AFFINES[grid]
    volume = Volume(np.zeros((1, 20, 20), np.int16), affine, spacing_of(affine))
    planes = stack(volume, plane)
    assert planes.cut(len(planes.positions) // 2).values.size > 0
    assert nearest(planes, float(planes.positions[0])) == 0
