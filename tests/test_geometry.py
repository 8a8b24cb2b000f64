"""Where slices lie, over any rotation, tilt, jitter and order; the verdicts, and what decides between them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.geometry import Stack, Verdict, affine_of, assess, is_orthonormal, normal_of

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
