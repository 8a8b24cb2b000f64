"""The phantom as one multi-frame file, read back frame by frame through its functional groups."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from hounsfield import phantom
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=32, columns=40, slices=6, multiframe="enhanced")


def assembled(dataset: pydicom.Dataset) -> np.ndarray[Any, Any]:
    """Frames by height, each rescaled by its own functional group, else the shared one."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    heights, values = [], []
    for group, frame in zip(dataset.PerFrameFunctionalGroupsSequence, dataset.pixel_array, strict=True):
        rescale = (
            group if "PixelValueTransformationSequence" in group else shared
        ).PixelValueTransformationSequence[0]
        heights.append(float(group.PlanePositionSequence[0].ImagePositionPatient[2]))
        values.append(frame * float(rescale.RescaleSlope) + float(rescale.RescaleIntercept))
    return np.array(values)[np.argsort(heights)]


@pytest.mark.parametrize("kind", ["enhanced", "legacy"])
@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled"])
@pytest.mark.parametrize("place", ["shared", "per-frame"])
def test_trap_48_frames_in_any_order_with_rescale_anywhere_are_the_truth(
    kind: Any, order: Any, place: Any, tmp_path: Path
) -> None:
    spec = replace(SMALL, multiframe=kind, frame_order=order, rescale_place=place)
    (path,) = phantom.write(spec, tmp_path)
    dataset = pydicom.dcmread(path)
    assert dataset.SOPClassUID == f"1.2.840.10008.5.1.4.1.1.2.{1 if kind == 'enhanced' else 2}"
    np.testing.assert_array_equal(assembled(dataset), phantom.truth(spec, masked=False, clamp=False))


def test_trap_48_a_slope_of_each_frame_goes_into_its_own_group() -> None:
    spec = replace(SMALL, slope=(1.0, 0.5, 2.0))
    (dataset,) = phantom.datasets(spec)
    assert "PixelValueTransformationSequence" not in dataset.SharedFunctionalGroupsSequence[0]
    np.testing.assert_array_equal(assembled(dataset), phantom.truth(spec, masked=False, clamp=False))


def test_trap_48_rescale_at_the_root_is_in_no_group() -> None:
    (dataset,) = phantom.datasets(replace(SMALL, rescale_place="root"))
    assert float(dataset.RescaleIntercept) == -1024
    groups = [dataset.SharedFunctionalGroupsSequence[0], *dataset.PerFrameFunctionalGroupsSequence]
    assert not any("PixelValueTransformationSequence" in group for group in groups)


def test_trap_48_stacks_and_phases_are_told_by_every_frame() -> None:
    (dataset,) = phantom.datasets(replace(SMALL, stacks=2, phases=2))
    content = [group.FrameContentSequence[0] for group in dataset.PerFrameFunctionalGroupsSequence]
    assert dataset.NumberOfFrames == 12
    assert [one.StackID for one in content] == ["1", "1", "1", "2", "2", "2"] * 2
    assert [one.InStackPositionNumber for one in content] == [1, 2, 3] * 4
    assert [one.TemporalPositionIndex for one in content] == [1] * 6 + [2] * 6
    assert all(
        list(one.DimensionIndexValues)
        == [int(one.StackID), one.InStackPositionNumber, one.TemporalPositionIndex]
        for one in content
    )


def test_a_legacy_conversion_names_the_slices_it_was_made_from() -> None:
    sources = [one.SOPInstanceUID for one in phantom.datasets(replace(SMALL, multiframe=None))]
    (dataset,) = phantom.datasets(replace(SMALL, multiframe="legacy"))
    named = [
        group.ConversionSourceAttributesSequence[0].ReferencedSOPInstanceUID
        for group in dataset.PerFrameFunctionalGroupsSequence
    ]
    assert named == sources


def test_trap_49_a_multiframe_without_geometry_has_none_at_all(tmp_path: Path) -> None:
    spec = replace(SMALL, multiframe="no geometry")
    dataset = pydicom.dcmread(phantom.write(spec, tmp_path)[0])
    keywords = {element.keyword for element in dataset.iterall()}
    assert not keywords & {
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "FrameOfReferenceUID",
    }
    np.testing.assert_array_equal(
        dataset.pixel_array - 1024.0, phantom.truth(spec, masked=False, clamp=False)
    )


def test_damage_strikes_a_multiframe_as_a_whole() -> None:
    (whole,) = phantom.datasets(SMALL)
    (short,) = phantom.datasets(replace(SMALL, missing_pixel_bytes=64))
    assert len(whole.PixelData) - len(short.PixelData) == 64
