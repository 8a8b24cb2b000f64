"""Where the phantom's slices lie: every knob of the grid, and truth and affine that follow it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield import phantom
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=40, columns=56, slices=7, noise=0.0, padding=None)


def slices(spec: PhantomSpec) -> list[pydicom.Dataset]:
    return list(phantom.datasets(spec))


def origins(spec: PhantomSpec) -> np.ndarray[Any, Any]:
    return np.array([[float(part) for part in one.ImagePositionPatient] for one in slices(spec)])


def test_the_affine_leads_to_every_written_position() -> None:
    spec = replace(SMALL, tilt=-18.5, centre=(3.0, -7.0, 250.0))
    affine = phantom.affine(spec)
    for number, dataset in enumerate(slices(spec)):
        np.testing.assert_allclose((affine @ (number, 0, 0, 1))[:3], dataset.ImagePositionPatient, atol=1e-9)
        cosines = np.array(dataset.ImageOrientationPatient, dtype=float)
        spacing = np.array(dataset.PixelSpacing, dtype=float)
        np.testing.assert_allclose(affine[:3, 1], cosines[3:] * spacing[0], atol=1e-9)
        np.testing.assert_allclose(affine[:3, 2], cosines[:3] * spacing[1], atol=1e-9)


def test_trap_34_a_tilted_stack_steps_along_the_table_and_not_along_its_normal() -> None:
    spec = replace(SMALL, tilt=-18.5)
    affine = phantom.affine(spec)
    np.testing.assert_allclose(affine[:3, 0], (0, 0, 2.5), atol=1e-12)
    normal = np.cross(affine[:3, 2], affine[:3, 1])
    normal /= np.linalg.norm(normal)
    assert np.degrees(np.arccos(normal[2])) == pytest.approx(18.5)


@pytest.mark.parametrize("position", ["HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL"])
def test_trap_43_every_patient_position_is_right_handed_and_shows_the_same_body(position: str) -> None:
    spec = replace(SMALL, patient_position=position)
    affine = phantom.affine(spec)
    stack = np.cross(affine[:3, 2], affine[:3, 1])
    assert stack[2] > 0 if position.startswith("HF") else stack[2] < 0
    np.testing.assert_allclose(affine[:3, 0] / 2.5, stack / np.linalg.norm(stack), atol=1e-12)
    volume = phantom.truth(spec)
    np.testing.assert_allclose(volume, phantom.ideal(volume.shape, affine), atol=0.5)


@settings(max_examples=25)
@given(
    st.tuples(*[st.floats(-1, 1) for _ in range(6)]).filter(
        lambda six: np.linalg.norm(np.cross(six[:3], six[3:])) > 0.2
    ),
    st.floats(-30, 30),
)
def test_any_oblique_and_tilted_plane_is_sampled_where_its_affine_says(
    orientation: tuple[float, float, float, float, float, float], tilt: float
) -> None:
    spec = replace(SMALL, slices=3, orientation=orientation, tilt=tilt)
    affine, volume = phantom.affine(spec), phantom.truth(spec)
    assert np.linalg.det(affine[:3, :3]) != 0
    # A point on a shape's very edge may fall to either side by rounding.
    off = np.abs(volume - phantom.ideal(volume.shape, affine)) > 0.6
    assert off.mean() < 1e-3


def test_trap_45_pixel_spacing_is_written_rows_first() -> None:
    dataset = slices(replace(SMALL, pixel_spacing=(0.5, 0.75)))[0]
    assert [float(part) for part in dataset.PixelSpacing] == [0.5, 0.75]
    affine = phantom.affine(replace(SMALL, pixel_spacing=(0.5, 0.75)))
    assert (affine[1, 1], affine[0, 2]) == (0.5, 0.75)


def test_traps_36_and_37_given_positions_and_missing_slices_are_what_is_written() -> None:
    spec = replace(SMALL, slice_positions=(0.0, 2.5, 5.0, 11.0, 12.0), missing=(1,))
    assert origins(spec)[:, 2].tolist() == [0.0, 5.0, 11.0, 12.0]
    assert phantom.truth(spec).shape == (4, 40, 56)


def test_trap_40_bolus_tracking_stays_at_one_place() -> None:
    spec = replace(SMALL, slice_positions=(4.0,) * 6, noise=5.0)
    assert set(origins(spec)[:, 2]) == {4.0}
    assert len({dataset.PixelData for dataset in slices(spec)}) == 6


def test_trap_38_duplicates_have_the_same_pixels_or_others_as_asked() -> None:
    spec = replace(SMALL, duplicated=(2, 3), noise=10.0)
    same = slices(spec)
    assert len(same) == 9
    assert same[2].PixelData == same[3].PixelData
    assert same[2].SOPInstanceUID != same[3].SOPInstanceUID
    different = slices(replace(spec, duplicates_differ=True))
    assert different[2].ImagePositionPatient == different[3].ImagePositionPatient
    assert different[2].PixelData != different[3].PixelData
    assert phantom.truth(spec).shape[0] == 7


def test_trap_42_position_jitter_stays_within_its_bounds_and_is_sampled_where_it_says() -> None:
    spec = replace(SMALL, position_jitter=0.2)
    wander = origins(spec)[:, 2] - origins(SMALL)[:, 2]
    assert 0 < np.abs(wander).max() <= 0.2
    # The ramp's HU is four times its z.
    affine, volume = phantom.affine(spec), phantom.truth(spec)
    row, column = np.rint((np.linalg.inv(affine) @ (110, 0, 0, 1))[1:3]).astype(int)
    np.testing.assert_allclose(volume[:, row, column], 4 * origins(spec)[:, 2], atol=0.5)


def test_trap_42_orientation_jitter_differs_from_slice_to_slice_by_less_than_asked() -> None:
    written = np.array(
        [one.ImageOrientationPatient for one in slices(replace(SMALL, orientation_jitter=5e-5))], dtype=float
    )
    assert 0 < np.ptp(written, axis=0).max() <= 1e-4


@pytest.mark.parametrize(
    "attribute", ["AcquisitionNumber", "TemporalPositionIdentifier", "ContentTime", "TriggerTime"]
)
def test_trap_50_phases_differ_in_the_one_attribute_and_in_the_vessel(attribute: Any) -> None:
    spec = replace(SMALL, phases=3, phase_attribute=attribute)
    found = slices(spec)
    assert len(found) == 21
    told_apart = [
        keyword
        for keyword in ("AcquisitionNumber", "TemporalPositionIdentifier", "ContentTime", "TriggerTime")
        if len({str(one.get(keyword)) for one in found}) == 3
    ]
    assert told_apart == [attribute]
    first, last = phantom.truth(spec, phase=0), phantom.truth(spec, phase=2)
    assert (last - first).max() == 300
    assert 0 < (last != first).mean() < 0.1


@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled"])
def test_trap_32_instance_numbers_run_as_asked_and_slice_location_may_lie(order: Any) -> None:
    spec = replace(SMALL, order=order, lying_slice_location=True)
    heights = origins(spec)[:, 2]
    assert [int(one.InstanceNumber) for one in slices(spec)] == list(range(1, 8))
    assert (np.diff(heights) > 0).all() == (order == "ascending")
    assert (np.diff(heights) < 0).all() == (order == "descending")
    assert [float(one.SliceLocation) for one in slices(spec)] == pytest.approx((-heights).tolist())


def test_trap_33_slice_thickness_may_say_anything() -> None:
    assert float(slices(replace(SMALL, slice_thickness=10.0))[0].SliceThickness) == 10.0


def test_trap_46_a_frame_of_reference_on_every_slice() -> None:
    found = slices(replace(SMALL, frame_of_reference_per_slice=True))
    assert len({one.FrameOfReferenceUID for one in found}) == 7
