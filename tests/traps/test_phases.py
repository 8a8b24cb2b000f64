"""Traps 59, 62 and 65: several volumes in one series, what parts them, what they are called, and what is made up.

Each input is built from the phantom: the twins of `field/reading`, and others of their kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phase_series import SMALL, Change, crossed, only, setting, shifted, stack, two_times, written

import hounsfield
from hounsfield import phantom
from hounsfield.ct.geometry import Verdict
from hounsfield.errors import GeometryError, SelectionError
from hounsfield.verbs.inspect import Trust, inspect


def labels(folder: Path, **options: Any) -> list[str]:
    return [phase.label for phase in only(folder, **options).phases]


NAMED: list[tuple[dict[str, list[Any]], list[str]]] = [
    ({"KVP": [80, 140]}, ["80 kV", "140 kV"]),
    ({"ConvolutionKernel": ["B30f", "B70f"]}, ["kernel B30f", "kernel B70f"]),
    ({"ContrastBolusAgent": ["", "Iohexol"]}, ["no contrast agent", "contrast Iohexol"]),
    ({"SliceThickness": ["1", "5"]}, ["1 mm thick", "5 mm thick"]),
    ({"TemporalPositionIdentifier": [1, 2]}, ["time 1", "time 2"]),
    ({"ImageComments": ["arterial", "venous"]}, ["arterial", "venous"]),
    ({"SeriesDescription": ["native", "portal"]}, ["native", "portal"]),
]
CLASHING: list[tuple[dict[str, list[Any]], list[str]]] = [
    *NAMED,
    ({"AcquisitionNumber": [1, 2]}, ["acquisition 1", "acquisition 2"]),
    (
        {"NominalPercentageOfCardiacPhase": [40, 75]},
        ["40 % of the cardiac cycle", "75 % of the cardiac cycle"],
    ),
    ({"TriggerTime": ["0", "350.5"]}, ["0 ms after the trigger", "350.5 ms after the trigger"]),
    ({"AcquisitionTime": ["100000.5", "100230"]}, ["at 10:00:00.5", "at 10:02:30"]),
    ({"AcquisitionDateTime": ["20260101100000", "20260101100110"]}, ["at 10:00:00", "at 10:01:10"]),
    ({"ImageType": [["DERIVED", "PRIMARY", "AXIAL", "X"], ["DERIVED", "PRIMARY", "AXIAL", "Y"]]}, ["X", "Y"]),
    ({"FilterType": ["HEAD", "BODY"]}, ["Filter Type: BODY", "Filter Type: HEAD"]),
    (
        {"IrradiationEventUID": ["1.2.3", "1.2.4"]},
        ["Irradiation Event UID: 1.2.3", "Irradiation Event UID: 1.2.4"],
    ),
]


@pytest.mark.parametrize(("values", "names"), CLASHING, ids=lambda value: str(value)[:40])
def test_whatever_attribute_varies_parts_slices_at_the_same_positions(
    values: dict[str, list[Any]], names: list[str], tmp_path: Path
) -> None:
    ((keyword, (one, other)),) = values.items()
    stacks = [stack(1), stack(2)]
    folder = written(
        tmp_path / "ct", *zip(stacks, (setting(**{keyword: v}) for v in (one, other)), strict=True)
    )
    assert labels(folder) == names
    truths = {phantom.truth(spec).tobytes() for spec in stacks}
    loaded = {hounsfield.load(folder, phase=phase).array.astype("f8").tobytes() for phase in (0, 1)}
    assert loaded == truths


def test_a_private_attribute_and_a_nested_one_part_slices_where_nothing_else_does(tmp_path: Path) -> None:
    def private(value: str) -> Change:
        def change(dataset: pydicom.Dataset) -> None:
            dataset.private_block(0x0099, "VENDOR", create=True).add_new(0x01, "LO", value)

        return change

    def nested(value: float) -> Change:
        def change(dataset: pydicom.Dataset) -> None:
            item = pydicom.Dataset()
            item.MonoenergeticEnergyEquivalent = value
            dataset.MultienergyCTCharacteristicsSequence = [item]

        return change

    folder = written(tmp_path / "private", (stack(1), private("a")), (stack(2), private("b")))
    assert labels(folder) == ["(0099,1001): a", "(0099,1001): b"]
    folder = written(tmp_path / "nested", (stack(1), nested(70.0)), (stack(2), nested(40.0)))
    assert labels(folder) == ["40 keV", "70 keV"]


@pytest.mark.parametrize(("values", "names"), NAMED, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("count", [2, 5, 6])
def test_kinds_of_slices_that_take_turns_on_one_even_grid_are_volumes_of_their_own(
    values: dict[str, list[Any]], names: list[str], count: int, tmp_path: Path
) -> None:
    ((keyword, (one, other)),) = values.items()
    stacks = [replace(stack(1), slices=count), replace(shifted(2), slices=count)]
    folder = written(
        tmp_path / "ct", *zip(stacks, (setting(**{keyword: v}) for v in (one, other)), strict=True)
    )
    assert labels(folder) == names
    with pytest.raises(SelectionError, match="2 volumes in one series: "):
        hounsfield.load(folder)
    for phase in (0, 1):
        volume = hounsfield.load(folder, phase=phase)
        assert volume.array.shape[0] == count
        assert volume.spacing[0] == pytest.approx(2.5)


def test_stacks_that_interleave_unevenly_are_parted(tmp_path: Path) -> None:
    beside = stack(2, centre=(0.0, 0.0, 0.7))
    folder = written(
        tmp_path / "ct", (stack(1), setting(AcquisitionNumber=1)), (beside, setting(AcquisitionNumber=2))
    )
    assert labels(folder) == ["acquisition 1", "acquisition 2"]
    np.testing.assert_array_equal(hounsfield.load(folder, phase=1).array, phantom.truth(beside))


def test_two_acquisitions_of_other_steps_one_after_the_other_are_two_volumes(tmp_path: Path) -> None:
    thick = stack(2, slice_step=5.0, centre=(0.0, 0.0, 40.0))
    folder = written(
        tmp_path / "ct", (stack(1), setting(AcquisitionNumber=1)), (thick, setting(AcquisitionNumber=2))
    )
    assert [round(phase.stack.step, 3) for phase in only(folder).phases] == [2.5, 5.0]


def combined(*changes: Change) -> Change:
    def change(dataset: pydicom.Dataset) -> None:
        for each in changes:
            each(dataset)

    return change


@pytest.mark.parametrize(
    "keywords",
    [
        ("ConvolutionKernel", "AcquisitionNumber"),
        ("ConvolutionKernel", "KVP", "AcquisitionNumber"),
        ("ImageComments", "FilterType"),
    ],
)
def test_attributes_part_slices_together_where_none_does_alone(
    keywords: tuple[str, ...], tmp_path: Path
) -> None:
    values = {
        "ConvolutionKernel": "AB",
        "KVP": ("80", "140"),
        "AcquisitionNumber": (1, 2),
        "ImageComments": "xy",
    }
    kinds: list[Any] = [{}]
    for keyword in keywords:
        kinds = [{**kind, keyword: value} for kind in kinds for value in values.get(keyword, ("p", "q"))]
    stacks = [(stack(seed), setting(**kind)) for seed, kind in enumerate(kinds)]
    folder = written(tmp_path / "ct", *stacks)
    found = only(folder)
    assert len(found.phases) == 2 ** len(keywords)
    assert len({phase.label for phase in found.phases}) == len(found.phases)
    truths = {phantom.truth(spec).tobytes() for spec, _ in stacks}
    loaded = {hounsfield.load(folder, phase=n).array.astype("f8").tobytes() for n in range(len(found.phases))}
    assert loaded == truths


def test_times_that_rise_from_slice_to_slice_part_one_pass_from_the_next(tmp_path: Path) -> None:
    clock = iter(range(18))

    def tick(dataset: pydicom.Dataset) -> None:
        dataset.AcquisitionTime = f"1000{next(clock):02d}"

    folder = written(tmp_path / "ct", *((stack(seed), tick) for seed in range(3)))
    assert labels(folder) == ["at 10:00:00", "at 10:00:06", "at 10:00:12"]
    for phase in range(3):
        np.testing.assert_array_equal(hounsfield.load(folder, phase=phase).array, phantom.truth(stack(phase)))


def test_the_order_of_instances_is_the_last_resort_and_is_said(tmp_path: Path) -> None:
    folder = written(tmp_path / "ct", (stack(1), setting()), (stack(2), setting()))
    assert labels(folder) == ["instances 1 to 6", "instances 7 to 12"]
    (note,) = hounsfield.load(folder, phase=0).report.warnings
    assert note.startswith(
        "volumes at the same positions are told apart by Instance Number (0020,0013) alone"
    )


def test_instances_that_go_back_and_forth_are_never_guessed(tmp_path: Path) -> None:
    folder = written(tmp_path / "ct", (stack(1), setting()), (stack(2), setting()))
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.InstanceNumber = (dataset.InstanceNumber * 5) % 13
        dataset.save_as(path)
    with pytest.raises(GeometryError, match="no attribute tells phases apart; leave out one of"):
        hounsfield.load(folder)


# What tells frames of one Enhanced CT apart: functional group → item's element for each of two times.
GROUPS: list[tuple[str, str, list[Any], list[str]]] = [
    (
        "CardiacSynchronizationSequence",
        "NominalPercentageOfCardiacPhase",
        [40.0, 75.0],
        ["40 % of", "75 % of"],
    ),
    ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime", [0.0, 400.0], ["0 ms", "400 ms"]),
    (
        "RespiratorySynchronizationSequence",
        "NominalPercentageOfRespiratoryPhase",
        [0.0, 50.0],
        ["0 %", "50 %"],
    ),
    ("TemporalPositionSequence", "TemporalPositionTimeOffset", [0.0, 2.5], ["0 s", "2.5 s"]),
    ("CTXRayDetailsSequence", "KVP", [80.0, 140.0], ["80 kV", "140 kV"]),
    ("CTReconstructionSequence", "ConvolutionKernel", ["B", "H"], ["kernel B", "kernel H"]),
    ("CTAcquisitionDetailsSequence", "TableHeight", [10.0, 20.0], ["Table Height: 10", "Table Height: 20"]),
    ("FrameContentSequence", "FrameComments", ["early", "late"], ["early", "late"]),
    ("FrameContentSequence", "DimensionIndexValues", [[1, 0], [2, 0]], ["dimension 1: 1", "dimension 1: 2"]),
    ("FrameContentSequence", "FrameAcquisitionNumber", [3, 4], ["acquisition 3", "acquisition 4"]),
    ("UnassignedPerFrameConvertedAttributesSequence", "TriggerTime", ["0", "9"], ["0 ms", "9 ms"]),
]


@pytest.mark.parametrize(("sequence", "keyword", "values", "names"), GROUPS, ids=[row[1] for row in GROUPS])
@pytest.mark.parametrize("order", ["ascending", "shuffled"])
def test_whatever_functional_group_varies_parts_the_frames_of_one_file(
    sequence: str, keyword: str, values: list[Any], names: list[str], order: Any, tmp_path: Path
) -> None:
    spec = replace(SMALL, multiframe="enhanced", phases=2, frame_order=order)
    (path,) = phantom.write(spec, tmp_path)
    two_times(path, sequence, keyword, values)
    found = labels(tmp_path)
    assert [label.startswith(name) for label, name in zip(found, names, strict=True)] == [True, True], found
    for phase in (0, 1):
        volume = hounsfield.load(tmp_path, phase=phase)
        np.testing.assert_array_equal(volume.array, phantom.truth(spec, phase=phase))


def test_frames_that_nothing_tells_apart_are_in_the_order_of_the_file_or_refused(tmp_path: Path) -> None:
    spec = replace(SMALL, multiframe="enhanced", phases=2)
    (path,) = phantom.write(spec, tmp_path / "in order")
    two_times(path, "FrameContentSequence", "FrameComments", ["same", "same"])
    assert labels(tmp_path / "in order") == ["frames 1 to 6", "frames 7 to 12"]
    (path,) = phantom.write(replace(spec, frame_order="shuffled"), tmp_path / "shuffled")
    two_times(path, "FrameContentSequence", "FrameComments", ["same", "same"])
    with pytest.raises(
        GeometryError, match=r"#frame \d+ and .*#frame \d+ are at one position\); name one with split_by="
    ) as refused:
        hounsfield.load(tmp_path / "shuffled")
    assert "leave out" not in str(refused.value)


def test_interleaved_frames_of_an_enhanced_ct_are_parted_too(tmp_path: Path) -> None:
    spec = replace(SMALL, multiframe="enhanced", slices=8)
    (path,) = phantom.write(spec, tmp_path)
    dataset = pydicom.dcmread(path)
    for place, item in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        details = pydicom.Dataset()
        details.KVP = (80.0, 140.0)[place % 2]
        item.CTXRayDetailsSequence = [details]
    dataset.save_as(path)
    assert labels(tmp_path) == ["80 kV", "140 kV"]
    np.testing.assert_array_equal(hounsfield.load(tmp_path, phase=1).array, phantom.truth(spec)[1::2])


def along(values: Iterable[Any], keyword: str) -> Change:
    each = iter(values)

    def change(dataset: pydicom.Dataset) -> None:
        setattr(dataset, keyword, next(each))

    return change


@pytest.mark.parametrize(
    ("keyword", "values", "pattern"),
    [
        (
            "KVP",
            ["80", "80", "80", "140", "140", "140"],
            "changes along the volume (slices from 1): 80 (1–3), 140 (4–6)",
        ),
        (
            "ConvolutionKernel",
            ["A", "A", "A", "A", "A", "B"],
            "changes along the volume (slices from 1): A (1–5), B (6–6)",
        ),
        (
            "ConvolutionKernel",
            ["A", "B", "B", "A", "A", "A"],
            "differs between slices of one volume: A × 4, B × 2",
        ),
        (
            "ContrastBolusAgent",
            ["", "", "", "X", "X", "X"],
            "changes along the volume (slices from 1): – (1–3), X (4–6)",
        ),
        ("AcquisitionNumber", [1, 2, 1, 2, 1, 2], "alternates from slice to slice: 1 × 3, 2 × 3"),
        ("AcquisitionNumber", [1, 2, 3, 1, 2, 3], "alternates from slice to slice: 1 × 2, 2 × 2, 3 × 2"),
        (
            "AcquisitionTime",
            ["101010", "101020"] * 3,
            "alternates from slice to slice: 101010 × 3, 101020 × 3",
        ),
    ],
)
def test_what_is_unlike_in_one_volume_is_amber_with_its_pattern(
    keyword: str, values: list[Any], pattern: str, tmp_path: Path
) -> None:
    folder = written(tmp_path / "ct", (SMALL, along(values, keyword)))
    series = only(folder)
    assert len(series.phases) == 1
    warnings = hounsfield.load(folder).report.warnings
    assert any(warning.endswith(pattern) for warning in warnings), warnings
    assert inspect(series).trust is Trust.AMBER


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("AcquisitionNumber", [1, 1, 2, 2, 3, 3]),
        ("AcquisitionTime", ["101010", "101010", "101011", "101011", "101012", "101012"]),
        ("AcquisitionTime", [f"10101{n}" for n in (5, 1, 3, 2, 4, 0)]),
        ("KVP", ["120", "120.0", "120.00", "120", "120.0", "120"]),
        ("XRayTubeCurrent", [100, 200, 100, 200, 100, 200]),
    ],
)
def test_what_differs_along_any_sound_volume_is_not_told(
    keyword: str, values: list[Any], tmp_path: Path
) -> None:
    folder = written(tmp_path / "ct", (SMALL, along(values, keyword)))
    assert hounsfield.load(folder).report.warnings == ()
    assert inspect(only(folder)).trust is Trust.GREEN


def test_split_by_decides_by_hand(tmp_path: Path) -> None:
    folder = crossed(tmp_path / "ct")
    assert len(labels(folder)) == 4
    assert labels(folder, split_by="ConvolutionKernel") == ["kernel A", "kernel B"]
    for words in (
        "AcquisitionNumber,ConvolutionKernel",
        ["0020,0012", "convolutionkernel"],
        "0020,0012,0018,1210",
    ):
        assert labels(folder, split_by=words)[1] == "acquisition 1, kernel B"
    volume = hounsfield.load(folder, split_by="AcquisitionNumber, ConvolutionKernel", phase=1)
    np.testing.assert_array_equal(volume.array, phantom.truth(stack(2)))


@pytest.mark.parametrize(
    ("keyword", "values", "name"),
    [
        ("NominalPercentageOfCardiacPhase", [40.0, 75.0] * 3, "75 % of the cardiac cycle"),
        ("XRayTubeCurrent", [100, 200] * 3, "X-Ray Tube Current: 200"),
        ("0018,1160", ["A", "B"] * 3, "Filter Type: B"),
        ("WindowCenter", ["40", "50"] * 3, "Window Center: 50"),
    ],
)
def test_split_by_any_attribute_of_the_header(
    keyword: str, values: list[Any], name: str, tmp_path: Path
) -> None:
    folder = written(tmp_path / "ct", (SMALL, along(values, keyword.replace("0018,1160", "FilterType"))))
    assert labels(folder, split_by=keyword)[1] == name
    volume = hounsfield.load(folder, split_by=keyword, phase=1)
    np.testing.assert_array_equal(volume.array, phantom.truth(SMALL)[1::2])


def test_split_by_a_dimension_of_an_enhanced_ct(tmp_path: Path) -> None:
    spec = replace(SMALL, multiframe="enhanced", phases=2)
    phantom.write(spec, tmp_path)
    assert labels(tmp_path, split_by="DimensionIndexValues[3]") == ["dimension 3: 1", "dimension 3: 2"]
    volume = hounsfield.load(tmp_path, split_by="DimensionIndexValues[3]", phase=1)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec, phase=1))


def test_split_by_what_would_make_one_volume(tmp_path: Path) -> None:
    folder = written(tmp_path / "ct", (SMALL, along([1, 2, 1, 2, 1, 2], "AcquisitionNumber")))
    volume = hounsfield.load(folder, split_by="AcquisitionNumber", phase=1)
    np.testing.assert_array_equal(volume.array, phantom.truth(SMALL)[1::2])
    assert volume.spacing[0] == pytest.approx(5.0)


def test_split_by_what_is_the_same_on_all_slices_parts_nothing_and_says_so(tmp_path: Path) -> None:
    folder = written(tmp_path / "ct", (SMALL, setting()))
    volume = hounsfield.load(folder, split_by="KVP")
    np.testing.assert_array_equal(volume.array, phantom.truth(SMALL))
    assert volume.report.warnings == ("KVP (0018,0060) is the same on all slices: it parts nothing",)


def test_split_by_a_word_that_names_nothing_is_refused_with_the_nearest(tmp_path: Path) -> None:
    folder = written(tmp_path / "ct", (SMALL, setting()))
    with pytest.raises(SelectionError, match=r"did you mean .*ConvolutionKernel"):
        hounsfield.load(folder, split_by="ConvolutionKernal")


HOLED = replace(SMALL, slices=12, missing=(4, 5, 6, 7))


def test_a_hole_of_many_slices_is_offered_as_slabs_and_padding_never_as_interpolation(tmp_path: Path) -> None:
    for missing, offers in ((3, True), (4, False)):
        spec = replace(SMALL, slices=12, missing=tuple(range(4, 4 + missing)))
        phantom.write(spec, tmp_path / str(missing))
        with pytest.raises(GeometryError) as refused:
            hounsfield.load(tmp_path / str(missing))
        assert ("interpolate" in str(refused.value)) is offers
        assert ('split_by="gaps"' in str(refused.value)) is not offers
        assert 'gaps="fill"' in str(refused.value)


def test_slabs_are_volumes_of_their_own(tmp_path: Path) -> None:
    phantom.write(HOLED, tmp_path)
    assert only(tmp_path).verdict is Verdict.GAPS
    assert labels(tmp_path, split_by="gaps") == ["-13.75 to -6.25 mm", "6.25 to 13.75 mm"]
    truth = phantom.truth(HOLED)
    for phase, part in ((0, truth[:4]), (1, truth[4:])):
        np.testing.assert_array_equal(hounsfield.load(tmp_path, split_by="gaps", phase=phase).array, part)


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        ({"gaps": "fill"}, "4 missing slices hold padding, 10 mm of the volume"),
        ({"gaps": "interpolate"}, "4 slices over 12.5 mm were made up, between slices too far apart to tell"),
        ({"step": 2.5}, "4 slices over 12.5 mm were made up, between slices too far apart to tell"),
        ({"step": 1.25}, "9 slices over 12.5 mm were made up, between slices too far apart to tell"),
    ],
)
def test_what_is_made_up_is_counted_in_slices_and_millimetres(
    options: dict[str, Any], warning: str, tmp_path: Path
) -> None:
    phantom.write(HOLED, tmp_path / "ct")
    assert warning in hounsfield.load(tmp_path / "ct", **options).report.warnings
    from click.testing import CliRunner

    from hounsfield.cli import main
    from hounsfield.runs.ledger import read_ledger

    (name, value) = next(iter(options.items()))
    result = CliRunner().invoke(
        main, ["volume", str(tmp_path / "ct"), str(tmp_path / "out"), f"--{name}", str(value)]
    )
    assert " ".join(warning.split()[:4]) in " ".join(result.output.split())
    assert (
        warning in next(r for r in read_ledger(tmp_path / "out" / "hounsfield.jsonl") if r.warnings).warnings
    )


def test_a_finer_step_makes_nothing_up(tmp_path: Path) -> None:
    phantom.write(SMALL, tmp_path)
    assert hounsfield.load(tmp_path, step=1.0).report.warnings == ()


@given(st.permutations(range(12)), st.sampled_from(["one", "jittery", "halves", "clashing", "interleaved"]))
@settings(max_examples=30)
def test_any_permutation_of_files_gives_the_same_volumes(order: list[int], kind: str) -> None:
    with TemporaryDirectory() as folder:
        paths = _stacks(Path(folder), kind)
        for new, path in zip(order, paths, strict=True):
            path.rename(Path(folder) / f"x{new:02d}.dcm")
        assert _volumes(Path(folder)) == _EXPECTED.setdefault(kind, _volumes_in_order(kind))


_EXPECTED: dict[str, Any] = {}


def _volumes_in_order(kind: str) -> Any:
    with TemporaryDirectory() as folder:
        _stacks(Path(folder), kind)
        return _volumes(Path(folder))


def _volumes(folder: Path) -> Any:
    """All that there is to know of the volumes in a folder."""
    series = only(folder)
    volumes = [series.load(phase=number) for number in range(len(series.phases))]
    labels = [phase.label for phase in series.phases]
    return labels, [(each.array.tobytes(), each.affine.tolist(), each.uids, each.report) for each in volumes]


def _stacks(folder: Path, kind: str) -> list[Path]:
    if kind == "one":
        written(folder, (replace(SMALL, slices=12), setting()))
    elif kind == "jittery":
        written(folder, (replace(SMALL, slices=12, orientation_jitter=5e-5, position_jitter=0.01), setting()))
    elif kind == "halves":
        written(folder, (stack(1), setting()), (stack(2), setting(PixelSpacing=[20.0, 20.0])))
    else:
        other = stack(2) if kind == "clashing" else shifted(2)
        written(folder, (stack(1), setting(KVP="80")), (other, setting(KVP="140")))
    return sorted(folder.iterdir(), key=lambda path: path.name)


@pytest.mark.parametrize("share", [0.04, 0.06])
def test_slices_left_out_are_amber_beyond_a_small_share(share: float, tmp_path: Path) -> None:
    total = 100
    others = round(share * total)

    def change(dataset: pydicom.Dataset) -> None:
        if dataset.InstanceNumber > total - others:
            dataset.PixelSpacing = [1.0, 1.0]

    spec = replace(SMALL, rows=4, columns=4, slices=total)
    found = inspect(only(written(tmp_path / "ct", (spec, change))))
    assert f"{others} of the series left out: another Pixel Spacing than the volume's" in found.cautions
    assert found.trust is (Trust.AMBER if share > 0.05 else Trust.GREEN)


@pytest.mark.parametrize(("clamped", "trust"), [(6, Trust.GREEN), (7, Trust.AMBER)])
def test_voxels_raised_to_the_floor_are_amber_beyond_a_small_share(
    clamped: int, trust: Trust, tmp_path: Path
) -> None:
    def change(dataset: pydicom.Dataset) -> None:
        cells = np.full(120, 1024, np.int16)
        cells[:clamped], cells[60:100] = -500, 24
        dataset.PixelData = cells.tobytes()

    folder = written(tmp_path / "ct", (replace(SMALL, padding=None), change))
    found = inspect(only(folder))
    assert found.trust is trust
    assert set(hounsfield.load(folder).report.warnings) <= set(found.cautions)


@pytest.mark.parametrize(("saturated", "trust"), [(4, Trust.GREEN), (5, Trust.AMBER)])
def test_voxels_that_do_not_fit_are_amber_beyond_a_small_share(
    saturated: int, trust: Trust, tmp_path: Path
) -> None:
    def change(dataset: pydicom.Dataset) -> None:
        cells = np.full(64 * 64, 1024, np.uint16)
        cells[:saturated], cells[60:1000] = 65000, 24
        dataset.PixelData = cells.tobytes()

    spec = replace(SMALL, rows=64, columns=64, padding=None, signed=False)
    found = inspect(only(written(tmp_path / "ct", (spec, change))))
    assert any("do not fit int16" in caution for caution in found.cautions)
    assert found.trust is trust
