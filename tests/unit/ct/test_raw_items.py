"""Functional groups from bytes: the same planes as by pydicom's data sets, and pydicom where bytes do not do."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

import hounsfield
from hounsfield import HounsfieldError, phantom
from hounsfield.ct.instance import BytesSource, FileSource, Instance, read_instance
from hounsfield.ct.instance.planes import Plane, planes_of_groups
from hounsfield.ct.instance.raw_items import raw_dataset
from hounsfield.dicom.fast_walk import Unrecognised
from hounsfield.phantom import PhantomSpec
from hounsfield.verbs.load import instances

SMALL = PhantomSpec(rows=8, columns=8, slices=6, multiframe="enhanced")
SPECS: dict[str, dict[str, Any]] = {
    "shared": {},
    "per frame": {"rescale_place": "per-frame", "slope": (1.0, 2.0), "frame_order": "shuffled"},
    "root": {"rescale_place": "root"},
    "legacy": {"multiframe": "legacy"},
    "phases": {"phases": 2, "phase_attribute": "TriggerTime"},
    "stacks": {"stacks": 2},
    "implicit": {"transfer_syntax": "implicit"},
    "private": {"private_tags": True},
    "empty": {"slope_tag": "", "intercept_tag": None},
    "table": {"modality_lut": True, "padding": None},
    "comma": {"slope_tag": "1,5"},
    "encapsulated": {"transfer_syntax": "htj2k"},
}


def both(instance: Instance) -> tuple[tuple[Plane, ...], tuple[Plane, ...]] | None:
    """The planes by bytes and by pydicom; None where the bytes are left to pydicom."""
    raw = raw_dataset(instance.source)
    if raw is None:
        return None
    try:
        quick = planes_of_groups(raw, instance.header)
    except Unrecognised:
        return None
    except HounsfieldError as error:
        with pytest.raises(HounsfieldError, match=re.escape(error.found)):
            planes_of_groups(instance.dataset(), instance.header)
        return (), ()
    return quick, planes_of_groups(instance.dataset(), instance.header)


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("name", [*SPECS])
def test_planes_are_those_of_pydicom(name: str, undefined: bool, tmp_path: Path) -> None:
    (path,) = phantom.write(replace(SMALL, **SPECS[name]), tmp_path)
    if undefined:
        dataset = pydicom.dcmread(path)
        for element in dataset.iterall():
            if element.VR == "SQ":
                element.is_undefined_length = True
                for item in element.value:
                    item.is_undefined_length_sequence_item = True
        dataset.save_as(path)
    found = both(read_instance(FileSource(path)))
    assert found is not None
    assert found[0] == found[1]
    assert len(found[0]) == hounsfield.scan(path).series[0].header.number_of_frames


def test_planes_are_those_of_pydicom_on_real_files(real_data: Path) -> None:
    bundled = Path(pydicom.__file__).parent / "data" / "test_files"
    seen = 0
    for folder in (real_data / "enhanced", real_data / "odd", real_data / "field", bundled):
        for instance in instances(folder):
            if "PerFrameFunctionalGroupsSequence" not in instance.header:
                continue
            found = both(instance)
            if found is not None:
                assert found[0] == found[1], instance.name
                seen += 1
    assert seen > 10


@pytest.mark.parametrize(("character_set", "is_read"), [("ISO_IR 192", True), ("GB18030", False)])
def test_text_in_utf_8_is_read_and_that_in_other_sets_left_to_pydicom(
    tmp_path: Path, character_set: str, is_read: bool
) -> None:
    (path,) = phantom.write(replace(SMALL, character_set=character_set), tmp_path)
    dataset = pydicom.dcmread(path)
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        frame.FrameContentSequence[0].FrameComments = f"期相 {number % 2}"
    dataset.save_as(path)
    found = both(read_instance(FileSource(path)))
    assert (found is not None and found[0] == found[1]) is is_read
    planes = read_instance(FileSource(path)).planes
    assert [plane.phase["FrameComments"] for plane in planes[:2]] == ["期相 0", "期相 1"]


def _content(spec: PhantomSpec, folder: Path) -> bytes:
    return phantom.write(spec, folder)[0].read_bytes()


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    root = tmp_path_factory.mktemp("seeds")
    return [
        _content(replace(SMALL, **SPECS[name]), root / str(number))
        for number, name in enumerate(("shared", "per frame", "implicit", "legacy"))
    ]


@given(st.data())
@settings(max_examples=300)
def test_mutated_groups_give_planes_or_one_of_our_errors(contents: list[bytes], data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(contents)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(132, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    try:
        instance = read_instance(BytesSource("file", bytes(content)))
        assert len(instance.planes) == instance.header.number_of_frames
    except HounsfieldError:
        return


def test_frames_that_say_nothing_of_themselves_share_one_plane(tmp_path: Path) -> None:
    (path,) = phantom.write(SMALL, tmp_path)
    dataset = pydicom.dcmread(path)
    del dataset.PerFrameFunctionalGroupsSequence
    dataset.SharedFunctionalGroupsSequence[0].FrameContentSequence = [Dataset()]
    dataset.save_as(path)
    found = both(read_instance(FileSource(path)))
    assert found is not None
    assert found[0] == found[1]
