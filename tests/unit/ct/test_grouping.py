"""Which slices are one volume: tolerances from both sides, and what becomes of the others. In memory, no files."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pydicom
import pytest

from hounsfield import Series, phantom
from hounsfield.ct.geometry import Verdict
from hounsfield.ct.instance import BytesSource, Instance, Skipped, read_instance
from hounsfield.ct.series import find_series
from hounsfield.ct.series.grouping import Part, group
from hounsfield.ct.units import HOUNSFIELD_UNITS
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=4, columns=6, slices=6)
Change = Callable[[int, pydicom.Dataset], None]


def instance(dataset: pydicom.Dataset, name: str) -> Instance:
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return read_instance(BytesSource(name, stream.getvalue()))


def changed(change: Change, spec: PhantomSpec = SMALL) -> list[Instance]:
    """The phantom's slices, each changed."""
    found = []
    for number, shared in enumerate(phantom.datasets(spec)):
        dataset = copy.deepcopy(shared)
        change(number, dataset)
        found.append(instance(dataset, str(number)))
    return found


def setting(keyword: str, values: dict[int, Any]) -> Change:
    """Sets an attribute of some slices; None removes it."""

    def change(number: int, dataset: pydicom.Dataset) -> None:
        if number in values:
            if values[number] is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, values[number])

    return change


def only(instances: Iterable[Instance]) -> Part:
    (part,) = group(instances).parts
    return part


def reasons(skipped: Iterable[Skipped]) -> dict[str, str]:
    return {one.name: getattr(one.reason, "key", one.reason) for one in skipped}


def names(part: Part) -> list[str]:
    return [item.name for item in part.slices]


@pytest.mark.parametrize(
    ("keyword", "within", "beyond", "reason"),
    [
        ("PixelSpacing", [1.00099, 1], [1.00101, 1], "other-spacing"),
        ("PixelSpacing", [0.99901, 1], [0.99899, 1], "other-spacing"),
        ("PixelSpacing", [1, 1.00099], [1, 1.00101], "other-spacing"),
        ("ImageOrientationPatient", [1, 0.00099, 0, 0, 1, 0], [1, 0.00101, 0, 0, 1, 0], "other-orientation"),
        (
            "ImageOrientationPatient",
            [1, 0, 0, 0, 1, -0.00099],
            [1, 0, 0, 0, 1, -0.00101],
            "other-orientation",
        ),
    ],
)
def test_one_grid_has_one_spacing_and_orientation_but_for_a_thousandth(
    keyword: str, within: Any, beyond: Any, reason: str
) -> None:
    spec = replace(SMALL, pixel_spacing=(1.0, 1.0))
    part = only(changed(setting(keyword, {4: within}), spec))
    assert (len(part.slices), part.left_out) == (6, [])
    part = only(changed(setting(keyword, {4: beyond}), spec))
    assert reasons(part.left_out) == {"4": reason}
    assert names(part) == ["0", "1", "2", "3", "5"]


@pytest.mark.parametrize("factor", [0.01, 100])
def test_spacings_are_compared_by_their_share(factor: float) -> None:
    spec = replace(SMALL, pixel_spacing=(factor, factor))
    for share, left in ((1.0009, 0), (1.0011, 1)):
        part = only(changed(setting("PixelSpacing", {4: [factor * share, factor]}), spec))
        assert len(part.left_out) == left


@pytest.mark.parametrize(
    ("keyword", "value", "reason"),
    [
        ("PixelSpacing", None, "other-spacing"),
        ("ImageOrientationPatient", None, "other-orientation"),
        ("ImagePositionPatient", None, "no-position"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.128", "other-class"),
        ("Rows", 3, "other-matrix"),
        ("Columns", 5, "other-matrix"),
    ],
)
def test_what_lies_on_another_grid_is_left_out_with_its_reason(keyword: str, value: Any, reason: str) -> None:
    part = only(changed(setting(keyword, {1: value, 2: value})))
    assert reasons(part.left_out) == {"1": reason, "2": reason}
    assert names(part) == ["0", "3", "4", "5"]


def test_slices_without_a_position_stay_where_they_are_the_most() -> None:
    part = only(changed(setting("ImagePositionPatient", dict.fromkeys(range(4)))))
    assert reasons(part.left_out) == {"4": "has-position", "5": "has-position"}
    assert names(part) == ["0", "1", "2", "3"]


def test_both_sizes_are_named_of_a_matrix_that_is_another() -> None:
    part = only(changed(setting("Rows", {1: 3})))
    assert [str(one.reason) for one in part.left_out if "3×6" in str(one.reason) and "4×6" in str(one.reason)]


def test_the_largest_group_is_the_volume_and_of_equal_ones_that_with_the_least_number() -> None:
    one, other = {0: [2, 2], 1: [2, 2]}, {2: [3, 3], 3: [3, 3], 4: [3, 3]}
    assert names(only(changed(setting("PixelSpacing", one | other)))) == ["2", "3", "4"]
    equal = changed(setting("PixelSpacing", {3: [2, 2], 4: [2, 2], 5: [2, 2]}))
    for instances in (equal, equal[::-1], equal[3:] + equal[:3]):
        assert sorted(names(only(instances))) == ["0", "1", "2"]

    def numbered(number: int, dataset: pydicom.Dataset) -> None:
        dataset.InstanceNumber = {0: 9, 1: 7, 2: 5, 3: 6, 4: 8, 5: 4}[number]
        if number > 2:
            dataset.PixelSpacing = [2, 2]

    for instances in (found := changed(numbered), found[::-1]):
        assert sorted(names(only(instances))) == ["3", "4", "5"]

    def by_uid(number: int, dataset: pydicom.Dataset) -> None:
        dataset.InstanceNumber = 1
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.{9 - number}"  # type: ignore[assignment]
        if number > 2:
            dataset.PixelSpacing = [2, 2]

    for instances in (found := changed(by_uid), found[::-1]):
        assert sorted(names(only(instances))) == ["3", "4", "5"]


LOCALIZER = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def test_a_localizer_is_left_out_of_the_series_that_it_is_among() -> None:
    found = group(changed(setting("ImageType", {1: LOCALIZER, 2: LOCALIZER})))
    (part,) = found.parts
    assert reasons(part.left_out) == {"1": "among-slices", "2": "among-slices"}
    assert names(part) == ["0", "3", "4", "5"]
    assert found.skipped == []
    both = {1: LOCALIZER, 2: LOCALIZER}

    def of_two_sizes(number: int, dataset: pydicom.Dataset) -> None:
        setting("ImageType", both)(number, dataset)
        setting("PixelSpacing", {2: [9, 9]})(number, dataset)

    assert reasons(only(changed(of_two_sizes)).left_out) == {"1": "among-slices", "2": "among-slices"}


def test_a_series_of_localizers_alone_is_a_part_of_its_own_and_no_volume() -> None:
    instances = changed(setting("ImageType", dict.fromkeys(range(6), LOCALIZER)))
    part = only(instances)
    assert part.localizer
    assert (len(part.slices), part.left_out) == (6, [])
    (series,), _ = find_series(instances)
    assert (series.verdict, [reason.key for reason in series.reasons]) == (  # type: ignore[attr-defined]
        Verdict.NOT_A_VOLUME,
        ["localizer"],
    )
    beside = changed(lambda _, __: None, replace(SMALL, seed=9))
    assert [part.localizer for part in group([*instances, *beside]).parts] == [True, False]


def test_the_third_value_of_image_type_and_later_ones_make_a_localizer() -> None:
    for kind, is_one in (
        (["ORIGINAL", "PRIMARY", "LOCALIZER"], True),
        (["ORIGINAL", "PRIMARY", "AXIAL", "LOCALIZER"], True),
        (["ORIGINAL", "LOCALIZER", "AXIAL"], False),
    ):
        part = only(changed(setting("ImageType", dict.fromkeys(range(6), kind))))
        assert part.localizer is is_one


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}, "colour"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": ""}, "samples"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "ImageType": ["DERIVED", "SECONDARY"]}, "capture"),
        (
            {
                "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
                "ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"],
            },
            "capture-kind",
        ),
        ({"Rows": None}, "damaged-image"),
        ({"Rows": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.67"}, "no-image"),
    ],
)
def test_what_holds_no_hu_is_skipped_with_its_reason(changes: dict[str, Any], key: str) -> None:
    def change(number: int, dataset: pydicom.Dataset) -> None:
        if number == 1:
            dataset.RescaleType = ""
            for keyword, value in changes.items():
                setting(keyword, {1: value})(1, dataset)

    found = group(changed(change))
    assert reasons(found.skipped) == {"1": key}
    assert names(found.parts[0]) == ["0", "2", "3", "4", "5"]


CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@pytest.mark.parametrize(
    ("changes", "unit", "taken"),
    [
        ({"RescaleType": "HU"}, None, True),
        ({"RescaleType": "hu"}, None, True),
        ({"RescaleType": "HU", "Modality": ""}, None, True),
        ({"RescaleType": "HU", "Modality": "OT"}, None, False),
        ({"RescaleType": "HU", "Modality": "OT"}, "HU", True),
        ({"RescaleType": "US"}, None, False),
        ({"RescaleType": "US"}, "HU", True),
        ({"RescaleType": "HU", "PixelSpacing": None}, None, False),
        ({"RescaleType": "HU", "ImagePositionPatient": None}, None, False),
        ({"RescaleType": "HU", "ImageOrientationPatient": None}, None, False),
        ({"RescaleType": "HU", "ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, None, False),
        ({"RescaleType": "HU", "ImageType": ["DERIVED", "SECONDARY", "AXIAL", "MY SCREENSHOT"]}, None, False),
        ({"RescaleType": "HU", "ImageType": ["SCREEN", "SECONDARY", "AXIAL"]}, None, True),
    ],
)
def test_a_capture_with_a_place_and_hu_is_kept_for_who_asks_for_it(
    changes: dict[str, Any], unit: str | None, taken: bool
) -> None:
    def change(_: int, dataset: pydicom.Dataset) -> None:
        dataset.SOPClassUID = CAPTURE
        for keyword, value in changes.items():
            setting(keyword, {0: value})(0, dataset)

    found = group(changed(change, replace(SMALL, slices=3)), unit=unit)
    assert found.parts == []
    assert len(found.captures) == taken
    assert len(found.skipped) == 3
    assert (set(reasons(found.skipped).values()) == {"capture-ct"}) is taken
    if taken:
        assert names(found.captures[0]) == ["0", "1", "2"]


def test_an_image_that_cannot_be_read_is_missing_from_its_series() -> None:
    def change(number: int, dataset: pydicom.Dataset) -> None:
        if number in {1, 4}:
            dataset.NumberOfFrames = 50  # of which the pixels of one are there
            dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
        if number == 4:
            dataset.SeriesInstanceUID = "1.2.3"

    found = group(changed(change))
    (part,) = found.parts
    assert [one.name for one in part.left_out] == ["1"]
    assert [one.name for one in found.skipped] == ["4"]
    assert not any(str(one.reason).count("1: ") for one in part.left_out)


def test_parts_of_one_uid_differ_in_unit_stack_patient_study_or_number() -> None:
    for keyword, value in (
        ("RescaleType", "Z_EFF"),
        ("PatientID", "another"),
        ("PatientName", "Another^One"),
        ("StudyInstanceUID", "1.2.3"),
        ("SeriesNumber", 77),
    ):
        found = group(changed(setting(keyword, dict.fromkeys((3, 4, 5), value))))
        assert [names(part) for part in found.parts] == [["0", "1", "2"], ["3", "4", "5"]], keyword
        assert found.parts[0].uid == found.parts[1].uid


def test_what_is_blank_on_some_slices_parts_none() -> None:
    for blank in ([0, 1], [4, 5]):
        part = only(changed(setting("PatientID", dict.fromkeys(blank, ""))))
        assert sorted(names(part)) == [str(number) for number in range(6)]
        assert part.identity.patient_id == "HU-PHANTOM"


def test_asked_for_in_hu_values_of_another_unit_are_hu_and_localizers_stay_apart() -> None:
    instances = changed(setting("RescaleType", dict.fromkeys((3, 4, 5), "Z_EFF")))
    (part,) = group(instances, unit="HU").parts
    assert part.unit.name == "HU"
    assert part.unit.name in HOUNSFIELD_UNITS
    projected = changed(setting("ImageType", dict.fromkeys(range(6), LOCALIZER)))
    (localizer,) = group(projected, unit="HU").parts
    assert localizer.unit.name not in HOUNSFIELD_UNITS


def found_of(change: Change, spec: PhantomSpec = SMALL) -> Series:
    (series,), _ = find_series(changed(change, spec))
    return series


@pytest.mark.parametrize("worse", [40.0, 75.0])
def test_a_series_of_phases_is_judged_by_the_worst_of_them(worse: float) -> None:
    """One phase lacks a slice: whoever asks whether the series can be loaded must hear of it."""
    spec = replace(SMALL, seed=1)
    both = [
        (phase, copy.deepcopy(dataset))
        for seed, phase in ((1, 40.0), (2, 75.0))
        for place, dataset in enumerate(phantom.datasets(replace(spec, seed=seed)))
        if (phase, place) != (worse, 2)
    ]
    instances = []
    for number, (phase, dataset) in enumerate(both):
        dataset.SeriesInstanceUID, dataset.StudyInstanceUID = "1.2.4", "1.2.3"
        dataset.NominalPercentageOfCardiacPhase = phase
        dataset.InstanceNumber = number + 1
        instances.append(instance(dataset, f"{phase} {number}"))
    (series,), _ = find_series(instances)
    assert [phase.stack.verdict for phase in series.phases] == (
        [Verdict.GAPS, Verdict.REGULAR] if worse == 40 else [Verdict.REGULAR, Verdict.GAPS]
    )
    assert series.verdict is Verdict.GAPS
    assert series.reasons == next(p for p in series.phases if p.stack.verdict is Verdict.GAPS).stack.reasons
    assert len(series.slices) == 11


def test_slices_that_repeat_another_one_s_pixels_are_dropped_others_are_not() -> None:
    def twice(number: int, dataset: pydicom.Dataset) -> None:
        if number in {2, 4}:
            dataset.ImagePositionPatient = held["position"]
            dataset.PixelData = held["pixels"]
        held.update(position=dataset.ImagePositionPatient, pixels=dataset.PixelData)

    held: dict[str, Any] = {}
    series = found_of(twice, replace(SMALL, slices=8, noise=20.0))
    assert [(one.name, one.reason.key) for one in series.left_out] == [  # type: ignore[attr-defined]
        ("2", "repeats-slice"),
        ("4", "repeats-slice"),
    ]
    assert [item.name for item in series.slices if item.name in {"2", "4"}] == []


def test_the_notes_of_a_series_say_what_is_not_alike() -> None:
    def keys(change: Change) -> list[str]:
        return [getattr(note, "key", note) for note in found_of(change).notes]

    assert keys(lambda _, __: None) == []
    assert keys(setting("FrameOfReferenceUID", {1: "1.2.9"})) == ["frames-of-reference"]
    assert keys(setting("ImageType", {1: ["DERIVED", "PRIMARY", "AXIAL", "X"]})) == ["image-types"]
    without = dict.fromkeys(range(6))
    assert keys(setting("ImagePositionPatient", without)) == ["instance-order"]

    def unread(number: int, dataset: pydicom.Dataset) -> None:
        del dataset.ImagePositionPatient
        if number < 2:
            dataset.add_new("InstanceNumber", "LO", "first")

    with pydicom.config.disable_value_validation():
        assert keys(unread) == ["instance-order", "unread-order"]


@pytest.mark.parametrize(
    ("keyword", "value", "key"),
    [
        ("ImagePositionPatient", None, "no-position"),
        ("ImageOrientationPatient", None, "no-orientation"),
        ("PixelSpacing", None, "no-spacing"),
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0], "orientation"),
    ],
)
def test_slices_without_a_place_are_no_volume_and_in_the_order_of_their_numbers(
    keyword: str, value: Any, key: str
) -> None:
    def change(number: int, dataset: pydicom.Dataset) -> None:
        setting(keyword, {number: value})(number, dataset)
        dataset.InstanceNumber = (10, 2, 1, 3, 30, 4)[number]

    series = found_of(change)
    assert series.verdict is Verdict.NOT_A_VOLUME
    assert series.phases == ()
    assert [reason.key for reason in series.reasons] == [key]  # type: ignore[attr-defined]
    assert [item.name for item in series.slices] == ["2", "1", "3", "5", "0", "4"]


def phases_of(change: Change, *, spec: PhantomSpec = SMALL, **options: Any) -> Series:
    (series,), _ = find_series(changed(change, spec), **options)
    return series


def test_volumes_are_parted_by_the_attribute_that_is_asked_for() -> None:
    kernels = setting("ConvolutionKernel", dict(enumerate("ABABAB")))
    assert [phase.label for phase in phases_of(kernels).phases] == ["kernel A", "kernel B"]
    currents = setting("XRayTubeCurrent", dict(enumerate([100, 200] * 3)))
    assert len(phases_of(currents).phases) == 1
    parted = phases_of(currents, split_by="XRayTubeCurrent")
    assert [[item.name for item in phase.slices] for phase in parted.phases] == [
        ["0", "2", "4"],
        ["1", "3", "5"],
    ]
    same = phases_of(lambda _, __: None, split_by="KVP")
    assert (len(same.phases), [getattr(note, "key", "") for note in same.notes]) == (1, ["by-hand"])
    each = phases_of(setting("XRayTubeCurrent", dict(enumerate(range(6)))), split_by="XRayTubeCurrent")
    assert len(each.phases) == 1  # one slice each is no volume


def test_slabs_are_parted_where_they_are_asked_for() -> None:
    spec = replace(SMALL, slices=10, missing=(4, 5))
    assert phases_of(lambda _, __: None, spec=spec).verdict is Verdict.GAPS
    parted = phases_of(lambda _, __: None, spec=spec, split_by="gaps")
    assert [len(phase.slices) for phase in parted.phases] == [4, 4]
    assert parted.verdict is Verdict.REGULAR


@pytest.mark.parametrize(("count", "key"), [(1, "dropped-one"), (2, "dropped")])
def test_duplicates_that_are_dropped_are_counted(count: int, key: str) -> None:
    instances = changed(lambda _, __: None, replace(SMALL, noise=20.0))
    again = changed(lambda _, __: None, replace(SMALL, noise=20.0))[2 : 2 + count]
    (series,), _ = find_series([*instances, *again])
    (note,) = series.notes
    assert getattr(note, "key", "") == key
    assert len(series.left_out) == count
    assert len(series.slices) == 6


def test_parts_of_one_uid_have_names_of_their_own() -> None:
    units = setting("RescaleType", dict.fromkeys((3, 4, 5), "Z_EFF"))
    series, _ = find_series(changed(units))
    assert [one.part for one in series] == ["HU", "Z_EFF"]
    one, _ = find_series(changed(lambda _, __: None))
    assert one[0].part == ""
    numbers, _ = find_series(changed(setting("SeriesNumber", dict.fromkeys((3, 4, 5), 77))))
    assert len({each.part for each in numbers}) == 2
    assert all(any(getattr(note, "key", "") == "shared-uid" for note in each.notes) for each in numbers)


def test_captures_are_given_to_who_asks_for_them_with_a_note() -> None:
    def change(_: int, dataset: pydicom.Dataset) -> None:
        dataset.SOPClassUID, dataset.RescaleType = CAPTURE, "HU"

    captures: list[Series] = []
    series, skipped = find_series(changed(change), captures=captures)
    assert series == ()
    assert len(skipped) == 6
    (capture,) = captures
    assert getattr(capture.notes[0], "key", "") == "capture-taken"
    assert (len(capture.slices), capture.verdict) == (6, Verdict.REGULAR)


def test_frames_of_reference_and_image_types_are_counted() -> None:
    for keyword, values in (
        ("FrameOfReferenceUID", ["1.2.9", "1.2.10"]),
        ("ImageType", [["DERIVED", "PRIMARY", "AXIAL", "X"], ["DERIVED", "PRIMARY", "AXIAL", "Y"]]),
    ):
        (note,) = found_of(setting(keyword, dict(enumerate(values)))).notes
        assert note.startswith("3 ")


def test_one_slice_without_a_place_needs_no_order_and_a_localizer_has_none() -> None:
    def placeless(_: int, dataset: pydicom.Dataset) -> None:
        del dataset.ImagePositionPatient

    assert found_of(placeless, replace(SMALL, slices=1)).notes == ()
    localizers = found_of(setting("ImageType", dict.fromkeys(range(6), LOCALIZER)))
    assert "instance-order" not in [getattr(note, "key", "") for note in localizers.notes]


def test_passes_at_the_same_positions_are_told_by_their_clock_before_their_numbers() -> None:
    instances = []
    for number, shared in enumerate([*phantom.datasets(SMALL), *phantom.datasets(replace(SMALL, seed=3))]):
        dataset = copy.deepcopy(shared)
        dataset.SeriesInstanceUID, dataset.StudyInstanceUID = "1.2.4", "1.2.3"
        dataset.AcquisitionTime = f"1000{number:02d}"
        dataset.InstanceNumber = 20 - number
        instances.append(instance(dataset, str(number)))
    (series,), _ = find_series(instances)
    assert [phase.label for phase in series.phases] == ["at 10:00:00", "at 10:00:06"]
    assert [item.name for item in series.phases[0].slices] == [str(number) for number in range(6)]
    assert "by-order" not in [getattr(note, "key", "") for note in series.notes]
