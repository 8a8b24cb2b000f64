"""Whether a volume still has a series' values and place: what is done to files is named, nothing else accused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hounsfield.ct.agreement import (
    PLACE_TOLERANCE_MM,
    Alignment,
    Grid,
    align,
    compare_values,
    likeness,
    place,
)
from hounsfield.ct.agreement.grids import alignments
from hounsfield.ct.agreement.values import AIR_LIKE, CLIPPED_SHARE, FLOOR, ROUNDED, SAME_OFFSET, SAME_SLOPE

Array = NDArray[Any]
Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def hu() -> Array:
    """A trunk in air with noise, its corners padding: (slices, rows, columns)."""
    y, x = np.mgrid[-1:1:96j, -1:1:112j]
    values = np.full((6, 96, 112), -1000.0)
    values[:, np.hypot(x / 0.8, y / 0.7) < 1] = -100
    values[:, np.hypot(x / 0.7, y / 0.6) < 1] = 50
    values[:, np.hypot((x - 0.2) / 0.2, (y + 0.1) / 0.2) < 1] = 700
    values[4:, np.hypot(x, y) < 0.3] = -800
    values += np.random.default_rng(1).normal(0, 12, values.shape)
    values = np.rint(np.maximum(values, FLOOR + 1)).astype(np.float32)
    values[:, np.hypot(x, y) > 1.15] = FLOOR
    return values


CHANGES: dict[str, tuple[Callable[[Array], Array], str]] = {
    "nothing": (lambda hu: hu, "equal"),
    "int16": (lambda hu: hu.astype(np.int16), "equal"),
    "padding at -3024": (lambda hu: np.where(hu <= FLOOR, -3024, hu), "equal"),
    "padding at 0": (lambda hu: np.where(hu <= FLOOR, 0, hu), "padded"),
    "twice": (lambda hu: hu - 1024, "rescaled-twice"),
    "twice, clamped": (lambda hu: np.maximum(hu - 1024, -1024), "rescaled-twice"),
    "offset lost": (lambda hu: hu + 1024, "offset-lost"),
    "water is 1000": (lambda hu: hu + 1000, "offset-lost"),
    "half": (lambda hu: hu * 0.5, "scaled"),
    "another offset": (lambda hu: hu + 24, "scaled"),
    "window": (lambda hu: np.rint(np.clip((hu + 160) / 400, 0, 1) * 255).astype(np.uint8), "windowed"),
    "fractions": (lambda hu: np.clip((hu + 1000) / 1400, 0, 1), "windowed"),
    "inverted": (lambda hu: 2000 - hu, "inverted"),
    "clipped": (lambda hu: np.clip(hu, -200, 300), "clipped"),
    "clipped above": (lambda hu: np.minimum(hu, 300), "clipped"),
    "noise": (lambda hu: hu + np.random.default_rng(3).normal(0, 5, hu.shape), "noise"),
    "other values": (lambda hu: np.random.default_rng(4).normal(0, 300, hu.shape), "differs"),
    "one value": (np.zeros_like, "differs"),
    "not a number": (lambda hu: np.full_like(hu, np.nan), "differs"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_done_to_the_values_is_named(name: str, hu: Array) -> None:
    change, verdict = CHANGES[name]
    found = compare_values(change(hu), hu)
    assert found.verdict == verdict, found
    assert found.is_equal == (verdict == "equal")


def test_the_line_is_said_with_its_numbers(hu: Array) -> None:
    twice = compare_values(hu - 1024, hu)
    assert twice.sentence == "file = 1.000 × HU − 1024: the rescale was applied twice"
    assert (round(twice.slope, 6), round(twice.offset, 3), twice.largest) == (1.0, -1024.0, 1024.0)
    window = compare_values(np.rint(np.clip((hu + 160) / 400, 0, 1) * 255), hu)
    assert window.sentence.endswith("a window of −160 … 240 HU: a picture, not values")


@pytest.mark.parametrize(
    ("file", "verdict"),
    [
        (lambda hu: 2.5 * hu - 1000, "rescaled-twice"),
        (lambda hu: (hu + 1000) / 2.5, "offset-lost"),
        (lambda hu: (hu + 1000) / 2.5 - 1000, "slope-lost"),
    ],
)
def test_a_slope_of_the_series_names_what_was_lost(
    file: Callable[[Array], Array], verdict: str, hu: Array
) -> None:
    assert compare_values(file(hu), hu, (2.5, -1000.0)).verdict == verdict


def test_fractions_that_were_rounded_away(hu: Array) -> None:
    exact = hu + 0.3
    assert compare_values(np.rint(exact), exact).verdict == "rounded"


@pytest.mark.parametrize(("apart", "verdict"), [(ROUNDED - 0.001, "rounded"), (ROUNDED + 0.01, "noise")])
def test_rounding_ends_at_half_a_unit(apart: float, verdict: str, hu: Array) -> None:
    changed = hu.astype(np.float64)
    changed[:, ::7] += apart
    assert compare_values(np.where(hu <= FLOOR, hu, changed), hu).verdict == verdict


@pytest.mark.parametrize(("outside", "verdict"), [(AIR_LIKE, "equal"), (AIR_LIKE + 1, "padded")])
def test_where_nothing_was_measured_there_is_air_or_less(outside: float, verdict: str, hu: Array) -> None:
    assert compare_values(np.where(hu <= FLOOR, outside, hu), hu).verdict == verdict


@pytest.mark.parametrize(("share", "is_clipped"), [(0.5 * CLIPPED_SHARE, False), (2 * CLIPPED_SHARE, True)])
def test_a_clip_shows_in_more_than_a_few_voxels(share: float, is_clipped: bool, hu: Array) -> None:
    changed = hu.copy()
    bright = np.argwhere(hu > 600)
    count = int(share * np.count_nonzero(hu > FLOOR))
    for voxel in bright[:count]:
        changed[tuple(voxel)] = 3000
    assert (compare_values(np.minimum(changed, 900), changed).verdict == "clipped") == is_clipped


@pytest.mark.parametrize(
    ("slope", "offset", "verdict"),
    [
        (1 + SAME_SLOPE * 0.9, -1024.0, "rescaled-twice"),
        (1 + SAME_SLOPE * 1.5, -1024.0, "scaled"),
        (1.0, -1024 + SAME_OFFSET * 0.9, "rescaled-twice"),
        (1.0, -1024 + SAME_OFFSET * 1.1, "scaled"),
    ],
)
def test_a_line_is_named_only_near_what_explains_it(
    slope: float, offset: float, verdict: str, hu: Array
) -> None:
    assert compare_values(slope * hu.astype(np.float64) + offset, hu).verdict == verdict


GRID = Grid(
    np.array([-100.0, -120.0, 30.0]) + np.arange(6)[:, None] * np.array([0, 0, 2.5]),
    np.array([0, 0.7, 0]),
    np.array([0.7, 0, 0]),
    (6, 96, 112),
)


def tilted(degrees: float = 18.5) -> Grid:
    turn = np.deg2rad(degrees)
    down = 0.7 * np.array([0, np.cos(turn), np.sin(turn)])
    return Grid(GRID.origins, down, GRID.across, GRID.shape)


def test_every_alignment_undoes_its_own_turn(hu: Array) -> None:
    for alignment in alignments((96, 112, 6), hu.shape):
        back = Alignment(alignment.axes).apply(np.zeros((96, 112, 6)))
        assert back.shape == hu.shape
    for alignment in alignments(hu.shape, hu.shape):
        turned = alignment.apply(hu)
        assert np.array_equal(alignment.apply(turned), hu)
        assert (likeness(turned, hu) > 0.999) == (np.array_equal(turned, hu))


def test_the_same_place_is_the_same_under_any_order_of_axes() -> None:
    for grid in (GRID, tilted()):
        for axes, flips in [((2, 1, 0), (False, True, False)), ((0, 1, 2), (True, False, True))]:
            # The file's array has the series' axes in another order, its affine says so.
            shape = [0, 0, 0]
            for axis, of in enumerate(axes):
                shape[of] = grid.shape[axis]
            inverse = np.argsort(axes)
            affine = grid.affine[:, [*inverse, 3]].copy()
            for axis in range(3):
                if flips[axes.index(axis)]:
                    affine[:3, 3] += (shape[axis] - 1) * affine[:3, axis]
                    affine[:3, axis] *= -1
            found = align(affine, shape, grid)
            assert found == Alignment(axes, flips)
            placed = place(affine, shape, grid, found)
            assert placed.is_equal and placed.largest_mm == pytest.approx(0, abs=1e-9)


def test_shapes_that_do_not_fit_have_no_alignment() -> None:
    assert align(np.eye(4), (6, 96, 113), GRID) is None


def test_a_lost_tilt_is_named_with_its_angle_and_the_farthest_slice() -> None:
    grid = tilted()
    affine = grid.affine.copy()
    normal = np.cross(grid.across, grid.down)
    affine[:3, 0] = normal / np.linalg.norm(normal) * 2.5 * np.cos(np.deg2rad(18.5))
    placed = place(affine, grid.shape, grid, Alignment())
    assert placed.verdict == "tilt" and "18.5°" in placed.sentence and "at the last slice" in placed.sentence
    assert placed.largest_mm == pytest.approx(5 * np.linalg.norm(affine[:3, 0] - (0, 0, 2.5)))


def moved(*mm: float) -> Floats:
    affine = GRID.affine.copy()
    affine[:3, 3] += mm
    return affine


@pytest.mark.parametrize(
    ("affine", "verdict"),
    [
        (None, "none"),
        (moved(0, PLACE_TOLERANCE_MM * 0.9, 0), "equal"),
        (moved(0, PLACE_TOLERANCE_MM * 1.1, 0), "shifted"),
        (moved(3, 4, 0), "shifted"),
        (GRID.affine @ np.diag([1.1, 1, 1, 1]), "other"),
        (GRID.affine @ np.diag([1, 1.1, 1, 1]), "other"),
        (np.eye(4), "other"),
    ],
)
def test_where_a_file_lies(affine: Floats | None, verdict: str) -> None:
    placed = place(affine, GRID.shape, GRID, Alignment())
    assert placed.verdict == verdict
    assert (placed.largest_mm is None) == (affine is None)


def test_values_that_lie_otherwise_than_the_affine_says() -> None:
    placed = place(GRID.affine, GRID.shape, GRID, Alignment(flipped=(True, False, False)))
    assert placed.verdict == "turned"
    assert placed.largest_mm == pytest.approx(5 * 2.5)
    assert Alignment(flipped=(True, False, False)).sentence() == "slices run the other way"


def test_a_gap_that_an_affine_ran_over() -> None:
    origins = GRID.origins.copy()
    origins[3:] += (0, 0, 2.5)
    uneven = Grid(origins, GRID.down, GRID.across, GRID.shape)
    affine = GRID.affine
    placed = place(affine, GRID.shape, uneven, Alignment())
    assert placed.verdict == "uneven" and placed.largest_mm == pytest.approx(2.5)
