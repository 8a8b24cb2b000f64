"""Where slices lie, over any rotation, tilt, jitter and order; the verdicts, and what decides between them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.ct.geometry import (
    Stack,
    Verdict,
    affine_of,
    assess,
    is_orthonormal,
    normal_of,
    slab_numbers,
)

AXIAL = (1.0, 0, 0, 0, 1, 0)
SPACING = (0.7, 0.5)

angles = st.floats(-np.pi, np.pi)
shifts = st.floats(-500, 500)


def orientation_of(turn: tuple[float, float, float], digits: int = 9) -> np.ndarray[Any, Any]:
    """Six direction cosines of a plane turned about z, y and x, written with so many decimals."""
    matrix = np.eye(3)
    for angle, (a, b) in zip(turn, ((0, 1), (0, 2), (1, 2)), strict=True):
        rotation = np.eye(3)
        rotation[[a, b], [a, b]] = np.cos(angle)
        rotation[a, b], rotation[b, a] = -np.sin(angle), np.sin(angle)
        matrix = rotation @ matrix
    return np.round(np.concatenate([matrix[:, 0], matrix[:, 1]]), digits)


def stacked(
    distances: Any, orientation: Any = AXIAL, *, aside: tuple[float, float] = (0, 0), origin: Any = (0, 0, 0)
) -> np.ndarray[Any, Any]:
    """Positions at `distances` along the normal, shifted in-plane by `aside` mm (row, column) per mm."""
    cosines = np.asarray(orientation, float)
    way = normal_of(cosines) + aside[0] * cosines[3:] + aside[1] * cosines[:3]
    return np.asarray(origin, float) + np.asarray(distances, float)[:, None] * way


def found(distances: Any, **options: Any) -> Stack:
    return assess(stacked(distances, **options), AXIAL, SPACING)


@given(
    turn=st.tuples(angles, angles, angles),
    aside=st.tuples(st.floats(-0.7, 0.7), st.floats(-0.7, 0.7)),
    origin=st.tuples(shifts, shifts, shifts),
    count=st.integers(2, 40),
    step=st.floats(0.3, 12),
    seed=st.integers(0, 99),
)
@settings(max_examples=200)
def test_any_even_stack_in_any_order_gives_the_affine_that_it_came_from(
    turn: Any, aside: Any, origin: Any, count: int, step: float, seed: int
) -> None:
    orientation = orientation_of(turn)
    points = stacked(np.arange(count) * step, orientation, aside=aside, origin=origin)
    shuffle = np.random.default_rng(seed).permutation(count)
    stack = assess(np.round(points[shuffle], 6), orientation, SPACING)
    tilt = np.degrees(np.arctan(np.hypot(*aside)))
    if abs(tilt - 0.1) > 1e-3:
        assert stack.verdict is (Verdict.SHEARED if tilt > 0.1 else Verdict.REGULAR)
    assert stack.tilt_degrees == pytest.approx(tilt, abs=1e-3)
    assert stack.order == tuple(np.argsort(shuffle))
    assert stack.step == pytest.approx(step, rel=1e-4)
    assert stack.affine is not None
    indexes = np.array([[k, 0, 0, 1] for k in range(count)])
    np.testing.assert_allclose((indexes @ stack.affine.T)[:, :3], points, atol=1e-5)
    np.testing.assert_allclose(stack.affine[:3, 1], orientation[3:] * SPACING[0])
    np.testing.assert_allclose(stack.affine[:3, 2], orientation[:3] * SPACING[1])


@given(
    count=st.integers(3, 60),
    step=st.floats(0.5, 10),
    missing=st.sets(st.integers(1, 58), max_size=8),
    seed=st.integers(0, 99),
)
@settings(max_examples=150)
def test_jitter_within_the_tolerance_changes_no_verdict_and_gaps_are_counted(
    count: int, step: float, missing: set[int], seed: int
) -> None:
    inner = {index for index in missing if index < count - 1}
    if len(inner) >= (count - 1) / 2:
        return
    # Neighbours differ by twice the jitter, and the step that the two ends give by twice of it over the slices between.
    jitter = 0.33 * max(0.01 * step, 0.01)
    random = np.random.default_rng(seed)
    here = np.array([index for index in range(count) if index not in inner])
    if not np.any(np.diff(here) == 1):
        return  # with every second slice missing nothing is left that says so
    places = here * step + random.uniform(-jitter, jitter, len(here))
    stack = found(places)
    assert stack.verdict is (Verdict.GAPS if inner else Verdict.REGULAR)
    assert stack.missing == tuple(sorted(inner))
    assert stack.grid == tuple(here.tolist())
    assert stack.affine is not None
    np.testing.assert_allclose(stack.affine[2, 0] * here + stack.affine[2, 3], places, atol=4 * jitter)


@given(st.lists(st.floats(-300, 300), min_size=1, max_size=30), st.tuples(angles, angles, angles))
@settings(max_examples=200)
def test_any_positions_have_a_verdict_and_loadable_ones_an_affine(places: list[float], turn: Any) -> None:
    orientation = orientation_of(turn)
    stack = assess(stacked(places, orientation), orientation, SPACING)
    assert sorted(stack.order) == list(range(len(places)))
    assert np.all(np.diff(stack.distances) >= 0)
    assert (stack.affine is not None) == (stack.verdict.is_loadable or stack.verdict is Verdict.GAPS)
    assert stack.reasons or stack.verdict is Verdict.REGULAR


def test_order_follows_row_cross_column_not_the_patient() -> None:
    prone = (-1.0, 0, 0, 0, 1, 0)  # its normal points to the feet
    stack = assess([[0, 0, z] for z in (10.0, 0.0, 5.0)], prone, SPACING)
    assert stack.order == (0, 2, 1)
    assert stack.affine is not None
    assert stack.affine[:3, 0].tolist() == [0, 0, -5]


def test_single_slice_is_a_volume_of_its_own_by_convention() -> None:
    stack = found([3.0])
    assert stack.verdict is Verdict.REGULAR
    assert stack.affine is not None
    assert stack.affine.tolist() == [[0, 0, 0.5, 0], [0, 0.7, 0, 0], [1, 0, 0, 3], [0, 0, 0, 1]]
    assert "convention" in stack.reasons[0]
    assert (stack.grid, stack.step, stack.missing) == ((0,), 1, ())


def test_missing_slices_are_named_by_position() -> None:
    stack = found([0, 2.5, 5, 10, 12.5, 20])
    assert stack.verdict is Verdict.GAPS
    assert stack.missing == (3, 6, 7)
    assert stack.step == pytest.approx(2.5)
    assert "7.50, 15.00, 17.50 mm" in stack.reasons[0]


def test_two_spacings_are_irregular_not_gaps() -> None:
    stack = found([0, 1, 2, 3, 13, 23, 33, 43])
    assert stack.verdict is Verdict.IRREGULAR
    assert stack.affine is None
    assert stack.is_straight
    assert "1.000 to 10.000 mm" in stack.reasons[0]


def test_repeats_are_paired_and_all_at_one_place_is_no_volume() -> None:
    stack = found([0, 5, 5, 10])
    assert stack.verdict is Verdict.IRREGULAR
    assert stack.repeated == ((1, 2),)
    assert found([7, 7, 7]).verdict is Verdict.NOT_A_VOLUME


def test_slices_that_wander_sideways_are_refused_even_where_their_spacing_is_even() -> None:
    points = stacked(np.arange(5) * 2.0)
    points[2, 0] += 0.2
    stack = assess(points, AXIAL, SPACING)
    assert stack.verdict is Verdict.IRREGULAR
    assert not stack.is_straight
    assert "sideways by up to 0.20 mm" in stack.reasons[0]


def test_small_jitters_may_add_up_along_the_normal_but_not_without_end() -> None:
    steps = np.array([5.04] * 5 + [4.96] * 5)
    assert found([0, *np.cumsum(steps)]).verdict is Verdict.REGULAR  # 0.2 mm off in the middle, of 5 mm
    steps = np.array([5.04] * 20 + [4.96] * 20)
    stack = found([0, *np.cumsum(steps)])
    assert stack.verdict is Verdict.IRREGULAR
    assert "drift by up to 0.80 mm" in stack.reasons[0]


def test_tilt_is_flagged_above_a_tenth_of_a_degree() -> None:
    for degrees, verdict in ((0.09, Verdict.REGULAR), (0.11, Verdict.SHEARED), (-30, Verdict.SHEARED)):
        stack = found(np.arange(4) * 2.0, aside=(np.tan(np.radians(degrees)), 0))
        assert stack.verdict is verdict
        assert stack.tilt_degrees == pytest.approx(abs(degrees), abs=1e-6)


def test_positions_far_out_overflow_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found([-1e6, 0, 1e-2, 1e6]).verdict is Verdict.IRREGULAR
        assert found([0, 0.02, 1e6]).verdict is Verdict.IRREGULAR


@pytest.mark.parametrize(
    ("orientation", "good"),
    [
        (AXIAL, True),
        ((1, 0, 0, 0, 0.999, 0.001), True),
        ((0, 0, 0, 0, 0, 0), False),
        ((1, 0, 0, 1, 0, 0), False),
        ((2, 0, 0, 0, 2, 0), False),
        ((1, 0, 0, 0.05, 1, 0), False),
    ],
)
def test_orientation_must_be_two_perpendicular_unit_vectors(orientation: Any, good: bool) -> None:
    assert is_orthonormal(orientation) is good


def test_normal_of_nothing_is_zero() -> None:
    assert normal_of((0, 0, 0, 0, 0, 0)).tolist() == [0, 0, 0]


def test_cosines_written_with_few_digits_do_not_change_the_size_of_a_pixel() -> None:
    # Found by review: (0.985, 0.17, 0) is 0.04 % short, and a far corner of 512 pixels was 0.1 mm off.
    orientation = np.array([0.985, 0.17, 0, -0.17, 0.985, 0])
    affine = affine_of(np.zeros(3), np.array([0, 0, 1.0]), orientation, np.array([0.7, 0.8]))
    assert np.linalg.norm(affine[:3, 1]) == pytest.approx(0.7, abs=1e-12)
    assert np.linalg.norm(affine[:3, 2]) == pytest.approx(0.8, abs=1e-12)
    assert affine[1, 2] / affine[0, 2] == pytest.approx(0.17 / 0.985)


SCALES = (0.001, 0.005, 0.37, 1.0, 1000.0)


def scaled(distances: Any, scale: float, *, aside: Any = 0.0, pixel: float = 0.7) -> Stack:
    """Slices at `distances`, each `aside` mm along its row, of square pixels; all lengths by `scale`."""
    points = stacked(distances)
    points[:, 0] += aside
    return assess(points * scale, AXIAL, (pixel * scale, pixel * scale))


@given(
    scale=st.floats(0.001, 1000),
    steps=st.lists(st.sampled_from([0.0, 2.0, 2.4, 2.5, 2.51, 2.6, 5.0, 7.5, 40.0]), min_size=1, max_size=12),
    aside=st.lists(st.sampled_from([0.0, 0.05, 0.09, 0.3]), min_size=13, max_size=13),
)
@settings(max_examples=200)
def test_scaling_all_lengths_changes_no_verdict(scale: float, steps: list[float], aside: Any) -> None:
    # Irrational offsets: positions of few decimals are of few decimals only in their own unit.
    distances = np.concatenate([[0], np.cumsum(steps)]) + np.pi * 1e-5 * np.arange(len(steps) + 1)
    shifts = np.array(aside[: len(distances)]) + np.e * 1e-5 * np.arange(len(distances))
    one, other = (scaled(distances, each, aside=shifts, pixel=0.7123) for each in (1, scale))
    assert other.verdict is one.verdict
    assert (other.order, other.grid, other.missing) == (one.order, one.grid, one.missing)
    assert (other.repeated, other.holes, other.is_straight) == (one.repeated, one.holes, one.is_straight)
    assert other.step == pytest.approx(one.step * scale)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        pytest.param((0, 0.013, 5), (0, 0.015, 5), id="one position: 2 % of a pixel of 0.7"),
        pytest.param((0, 1, 2.0166, 3.01), (0, 1, 2.0187, 3.01), id="spacing: 2 % of a pixel"),
        pytest.param((0, 5, 10.049, 15), (0, 5, 10.051, 15), id="spacing: 1 % of a step of 5"),
        pytest.param((0, 0.1, 0.2047, 0.3), (0, 0.1, 0.2053, 0.3), id="spacing: at most 5 % of the step"),
    ],
)
def test_each_tolerance_along_the_normal_just_inside_and_just_outside(
    scale: float, inside: Any, outside: Any
) -> None:
    within, beyond = scaled(inside, scale), scaled(outside, scale)
    if "5" in str(inside[-1]) and len(inside) == 3:
        assert within.repeated
        assert not beyond.repeated
    else:
        assert (within.verdict, beyond.verdict) == (Verdict.REGULAR, Verdict.IRREGULAR)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("pixel", "step", "inside", "outside"),
    [
        pytest.param(0.7, 5.0, 0.24, 0.26, id="5 % of the step"),
        pytest.param(0.7, 0.8, 0.069, 0.071, id="a tenth of a pixel"),
        pytest.param(2.8, 0.5, 0.049, 0.051, id="at most a tenth of the step"),
    ],
)
def test_drift_just_inside_and_just_outside(
    scale: float, pixel: float, step: float, inside: float, outside: float
) -> None:
    for drift, verdict in ((inside, Verdict.REGULAR), (outside, Verdict.IRREGULAR)):
        # Neighbours stay within tolerance; half the way the slices are `drift` off.
        there = np.linspace(0, 1, 41)
        distances = np.arange(81) * step + drift * np.concatenate([there, there[-2::-1]])
        stack = scaled(distances + np.pi * 1e-7, scale, pixel=pixel)
        assert stack.verdict is verdict
        assert verdict is Verdict.REGULAR or "drift by up to" in stack.reasons[0]


@pytest.mark.parametrize("scale", SCALES)
def test_sideways_by_a_tenth_of_a_pixel_just_inside_and_just_outside(scale: float) -> None:
    for aside, verdict in ((0.0699, Verdict.REGULAR), (0.0701, Verdict.IRREGULAR)):
        shifts = np.array([0, 0, aside, 0, 0]) + np.e * 1e-7 * np.arange(5)
        assert scaled(np.arange(5.0), scale, aside=shifts).verdict is verdict


@pytest.mark.parametrize("scale", SCALES)
def test_holes_are_wider_than_four_steps(scale: float) -> None:
    for wide, holes in ((4.4, ()), (4.6, ((3, 4),))):
        distances = np.concatenate([np.arange(4), 3 + wide + np.arange(4)])
        assert scaled(distances, scale).holes == holes


@pytest.mark.parametrize("power", [-3, 0, 3])
@pytest.mark.parametrize("count", [8, 12, 200])
@pytest.mark.parametrize(("step", "decimals"), [(0.625, 1), (0.3125, 2), (3.3333, 0), (1.25, 1)])
def test_positions_rounded_to_their_decimals_are_a_regular_grid(
    power: int, count: int, step: float, decimals: int
) -> None:
    # dicom2nifti#36; SimpleITK takes the mean step, as is done here.
    distances = np.round(np.arange(count) * step, decimals)
    stack = scaled(distances, 10.0**power)
    assert stack.verdict is Verdict.REGULAR
    assert stack.step == pytest.approx((distances[-1] - distances[0]) / (count - 1) * 10.0**power)
    spaced_unevenly = np.ptp(np.diff(distances)) > 0.02
    assert spaced_unevenly == any("rounded to few decimals" in reason for reason in stack.reasons)


def test_what_rounding_does_not_explain_stays_irregular() -> None:
    rounded = np.round(np.arange(12) * 0.625, 1)
    for index, moved in ((5, 0.1), (7, 0.1), (11, 0.2)):
        other = rounded.copy()
        other[index] += moved
        assert found(other).verdict is Verdict.IRREGULAR
    assert found(rounded + np.pi * 1e-4 * np.arange(12) % 1e-3).verdict is Verdict.IRREGULAR  # many decimals


def test_few_slices_tell_nothing_of_rounding() -> None:
    rounded = np.round(np.arange(8) * 0.625, 1)
    assert found(rounded).verdict is Verdict.REGULAR
    assert found(rounded[:7]).verdict is Verdict.IRREGULAR


@pytest.mark.parametrize("place", range(1, 19))
def test_a_slice_one_decimal_aside_of_an_even_grid_is_no_rounding(place: int) -> None:
    distances = np.arange(20.0)
    distances[place] += 0.1
    assert found(distances).verdict is Verdict.IRREGULAR


def test_decimals_too_coarse_for_the_step_tell_no_grid() -> None:
    # A third of the step is the coarsest: 1 mm of 3.33, not of 2.5.
    assert found(np.round(np.arange(12) * 10 / 3)).verdict is Verdict.REGULAR
    assert found(np.floor(np.arange(12) * 2.5)).verdict is Verdict.IRREGULAR


def test_rounded_positions_with_a_slice_missing_are_a_grid_with_a_gap() -> None:
    distances = np.delete(np.round(np.arange(20) * 0.625, 1), 7)
    stack = found(distances)
    assert stack.verdict is Verdict.GAPS
    assert stack.missing == (7,)


def test_rounding_in_plane_of_an_oblique_stack_is_no_wandering() -> None:
    orientation = orientation_of((0.3, 0.4, 0.2))
    points = np.round(stacked(np.arange(30) * 0.9, orientation), 1)
    assert assess(points, orientation, (0.4, 0.4)).verdict in (Verdict.REGULAR, Verdict.SHEARED)
    assert assess(points, orientation, (0.1, 0.1)).verdict is Verdict.IRREGULAR  # a decimal is a whole pixel


@pytest.mark.parametrize("aside", [0.1, -0.1])
def test_a_slice_one_decimal_aside_of_an_upright_stack_is_no_rounding(aside: float) -> None:
    shifts = np.zeros(20)
    shifts[7] = aside
    assert scaled(np.arange(20.0), 1, aside=shifts, pixel=0.5).verdict is Verdict.IRREGULAR


def test_lengths_are_told_with_the_digits_that_they_need() -> None:
    assert "0.012 to 0.016 mm" in scaled([0, 12, 24, 40, 52, 64, 80, 92], 0.001, pixel=12).reasons[0]
    assert "at 0.0150 mm" in scaled([0, 5, 10, 20, 25], 0.001, pixel=5).reasons[0]


def keys(stack: Stack) -> list[str]:
    return [getattr(reason, "key", "") for reason in stack.reasons]


def test_a_normal_is_of_unit_length_or_none_at_all() -> None:
    assert normal_of((2, 0, 0, 0, 3, 0)).tolist() == [0, 0, 1]
    assert normal_of((0.5, 0, 0, 0, 0, 0.5)).tolist() == [0, -1, 0]
    for sine, length in ((1.01e-4, 1), (0.99e-4, 0)):
        assert np.linalg.norm(normal_of((1, 0, 0, 1, sine, 0))) == pytest.approx(length)


@pytest.mark.parametrize(
    ("steps", "slabs"),
    [
        ([1, 1, 1], [0, 0, 0, 0]),
        ([1, 1.5, 1], [0, 0, 0, 0]),
        ([1, 1.51, 1], [0, 0, 1, 1]),
        ([1, 1, 1.51], [0, 0, 0, 1]),
        ([1.51, 1, 1], [0, 1, 1, 1]),
        ([2, 1.51, 1], [0, 0, 1, 1]),
        ([1, 100, 1, 3, 1], [0, 0, 1, 1, 2, 2]),
        ([10, 10, 1], [0, 0, 1, 1]),
        ([5], [0, 0]),
        ([], [0]),
    ],
)
def test_slabs_are_cut_where_a_step_is_wider_than_half_again_one_beside_it(
    steps: list[float], slabs: list[int]
) -> None:
    distances = 100 + np.cumsum([0.0, *steps])
    assert slab_numbers(distances).tolist() == slabs
    assert slab_numbers(list(distances)).dtype == np.intp


def test_missing_slices_are_named_wherever_the_stack_begins() -> None:
    stack = found([100, 102.5, 105, 110, 112.5, 120])
    assert "107.50, 115.00, 117.50 mm" in stack.reasons[0]
    assert keys(stack) == ["missing"]
    one = found([100, 102.5, 107.5])
    assert keys(one) == ["missing-one"]
    assert "105.00" in one.reasons[0]


@pytest.mark.parametrize(("missing", "key"), [(8, "missing"), (9, "missing-more"), (11, "missing-more")])
def test_eight_missing_slices_are_named_and_more_are_counted(missing: int, key: str) -> None:
    stack = found([*range(20), *range(20 + missing, 40)])
    assert keys(stack) == [key]
    assert "20.00, 21.00, 22.00, 23.00, 24.00, 25.00, 26.00, 27.00" in stack.reasons[0]
    assert "28.00" not in stack.reasons[0]
    assert str(missing) in stack.reasons[0]
    if missing > 8:
        assert f"{missing - 8} more" in stack.reasons[0]


def test_fewer_than_twice_as_many_places_as_slices_are_a_grid_with_gaps() -> None:
    assert found([0, 1, 2, 7]).verdict is Verdict.GAPS
    assert found([0, 1, 2, 8]).verdict is Verdict.IRREGULAR


def test_repeats_are_counted() -> None:
    for distances, key, counts in (
        ([0, 5, 5, 10], "repeats-one", ["4"]),
        ([0, 5, 5, 10, 10, 15, 15], "repeats", ["3", "7"]),
        ([7, 7, 7], "one-position", ["3"]),
    ):
        stack = found(distances)
        assert keys(stack) == [key]
        assert all(count in stack.reasons[0] for count in counts)
        assert (stack.positions[:, 2].tolist(), stack.distances.tolist()) == (distances, distances)
        assert (stack.step, stack.affine, stack.grid) == (0, None, None)


def test_every_stack_says_where_its_slices_are_whatever_its_verdict() -> None:
    for distances in ([3.0], [0, 1, 2], [0, 1, 3, 4], [0, 1, 2.3, 3]):
        stack = found(distances)
        assert stack.positions[:, 2].tolist() == stack.distances.tolist() == distances
        assert "" not in stack.reasons
    tilted = found(np.arange(4) * 2.0, aside=(np.tan(np.radians(30)), 0))
    assert keys(tilted) == ["tilted"]
    assert "30.00" in tilted.reasons[0]
    assert "0.000, 1.155, 2.000" in tilted.reasons[0]


def test_slices_off_the_line_on_an_even_grid_have_that_one_reason() -> None:
    points = stacked(np.arange(5) * 2.0)
    points[2, 0] += 0.2
    stack = assess(points, AXIAL, SPACING)
    assert keys(stack) == ["sideways"]
    points[2, 2] += 0.4
    assert keys(assess(points, AXIAL, SPACING)) == ["sideways", "uneven"]


def test_orientations_and_spacings_may_be_of_whole_numbers() -> None:
    stack = assess([[0, 0, 0], [0, 0, 2]], [1, 0, 0, 0, 1, 0], [1, 2])
    assert stack.affine is not None
    assert stack.affine.tolist() == [[0, 0, 2, 0], [0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 1]]


def test_vectors_are_of_unit_length_and_perpendicular_but_for_a_hundredth() -> None:
    for cosines, good in (
        ((np.sqrt(1.0099), 0, 0, 0, 1, 0), True),
        ((np.sqrt(1.0101), 0, 0, 0, 1, 0), False),
        ((1, 0, 0, 0, np.sqrt(0.9901), 0), True),
        ((1, 0, 0, 0, np.sqrt(0.9899), 0), False),
        ((1, 0, 0, 0.0099, 1, 0), True),
        ((1, 0, 0, 0.0101, 1, 0), False),
    ):
        assert is_orthonormal(cosines) is good


@pytest.mark.parametrize(("pixel", "verdict"), [(0.31, Verdict.SHEARED), (0.29, Verdict.IRREGULAR)])
def test_decimals_of_at_most_a_third_of_a_pixel_explain_what_is_sideways(
    pixel: float, verdict: Verdict
) -> None:
    # Written with one decimal, a tilt of a thousandth is a step of 0.1 mm aside in the middle of the stack.
    points = stacked(np.arange(60) * 0.9, aside=(0.0013, 0.0))
    stack = assess(np.round(points, 1), AXIAL, (pixel, pixel))
    assert stack.verdict is verdict
