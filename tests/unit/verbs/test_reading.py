"""`scan` and `load`: what a location holds, which series is meant, and errors that say what to do."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pydicom
import pytest

import hounsfield
from hounsfield import HounsfieldError, Skipped, phantom
from hounsfield.ct.instance import Instance, read_instance
from hounsfield.errors import LocationError, SelectionError
from hounsfield.phantom import PhantomSpec

FIRST = PhantomSpec(rows=30, columns=34, slices=4, series_number=1, series_description="Thin lung")
OTHER = replace(FIRST, slices=3, series_number=12, series_description="Thick soft")


@pytest.fixture
def exam(tmp_path: Path) -> Path:
    """Two series, a localizer of its own, a note and an empty file."""
    phantom.write(FIRST, tmp_path / "a")
    phantom.write(OTHER, tmp_path / "deep" / "er")
    scout = replace(FIRST, slices=1, series_number=3, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))
    phantom.write(scout, tmp_path / "scout")
    (tmp_path / "note.txt").write_text("not an image")
    (tmp_path / "empty").touch()
    return tmp_path


def test_a_scan_lists_series_with_verdicts_and_the_rest_with_reasons(exam: Path) -> None:
    scan = hounsfield.scan(exam)
    assert scan.location == str(exam)
    assert {series.name: (len(series.slices), str(series.verdict)) for series in scan.series} == {
        "1 Thin lung": (4, "regular"),
        "12 Thick soft": (3, "regular"),
        "3 Thin lung": (1, "not a volume"),
    }
    assert {Path(one.name).name: one.reason for one in scan.skipped} == {
        "note.txt": "not DICOM: neither a DICM preamble nor a data set at its start",
        "empty": "an empty file",
    }


@pytest.mark.parametrize(
    "wanted",
    [
        phantom.series_uid(OTHER),
        phantom.series_uid(OTHER)[:-4],
        12,
        "12",
        "Thick soft",
        "thick SOFT",
        "12 Thick soft",
    ],
)
def test_a_series_is_chosen_by_uid_number_or_description(exam: Path, wanted: str | int) -> None:
    volume = hounsfield.load(exam, series=wanted)
    np.testing.assert_array_equal(volume.array, phantom.truth(OTHER))


def test_without_a_choice_the_volumes_are_listed(exam: Path) -> None:
    with pytest.raises(SelectionError) as caught:
        hounsfield.load(exam)
    told = str(caught.value)
    assert "1 Thin lung (4 slices, regular, " in told
    assert "12 Thick soft (3 slices, regular, " in told
    assert "choose one with series=… (--series), by UID, number or description" in told
    assert len(caught.value.data["choices"]) == 2  # the localizer is none


def test_a_choice_that_matches_nothing_or_several_lists_what_there_is(exam: Path) -> None:
    with pytest.raises(SelectionError, match=r"no series match 'liver': .*Thin lung.*Thick soft"):
        hounsfield.load(exam, series="liver")
    with pytest.raises(SelectionError, match=r"2 series match 'Thin lung': 1 Thin lung .*; 3 Thin lung"):
        hounsfield.load(exam, series="Thin lung")


def test_a_localizer_beside_one_volume_makes_no_choice_necessary(exam: Path) -> None:
    shutil.rmtree(exam / "deep")
    np.testing.assert_array_equal(hounsfield.load(exam).array, phantom.truth(FIRST))


@pytest.mark.parametrize("kind", ["str", "Path", "file", "Location"])
def test_a_location_is_a_path_in_any_form(exam: Path, kind: str) -> None:
    place = {
        "str": str(exam / "a"),
        "Path": exam / "a",
        "file": exam / "a" / "CT0002.dcm",
        "Location": hounsfield.open_location(exam / "a"),
    }[kind]
    truth = phantom.truth(FIRST)
    np.testing.assert_array_equal(hounsfield.load(place).array, truth[1:2] if kind == "file" else truth)  # type: ignore[arg-type]


def test_what_is_not_there_is_a_location_error(tmp_path: Path) -> None:
    for read in (hounsfield.scan, hounsfield.load):
        with pytest.raises(LocationError, match="does not exist"):
            read(tmp_path / "nothing")


def test_nothing_to_load_says_why(tmp_path: Path) -> None:
    with pytest.raises(SelectionError, match="no CT series in it; check the location"):
        hounsfield.load(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(SelectionError, match=r"no CT series in it: .*a\.txt: not DICOM"):
        hounsfield.load(tmp_path)
    (tmp_path / "b.txt").write_text("x")
    with pytest.raises(SelectionError, match="and 1 more file skipped"):
        hounsfield.load(tmp_path)


def test_instances_come_one_by_one_with_what_was_skipped(exam: Path) -> None:
    skipped: list[Skipped] = []
    found = list(hounsfield.instances(exam, skipped=skipped))
    assert len(found) == 8
    assert len(skipped) == 2
    assert all(isinstance(one, Instance) for one in found)
    assert {one.header.text("Modality") for one in found} == {"CT"}


def test_a_file_that_cannot_be_opened_is_skipped_with_its_reason(exam: Path) -> None:
    (exam / "gone").symlink_to(exam / "nowhere")
    scan = hounsfield.scan(exam)
    assert len(scan.series) == 3
    assert any(Path(one.name).name == "gone" for one in scan.skipped)


def test_float32_holds_what_int16_rounds(tmp_path: Path) -> None:
    spec = replace(FIRST, slope=0.123, padding=None)
    phantom.write(spec, tmp_path)
    exact = hounsfield.load(tmp_path, dtype="float32")
    np.testing.assert_array_equal(exact.array, phantom.truth(spec).astype(np.float32))
    np.testing.assert_array_equal(hounsfield.load(tmp_path).array, np.rint(phantom.truth(spec)))


def test_errors_of_loading_name_the_series_or_the_file(tmp_path: Path) -> None:
    phantom.write(replace(FIRST, slice_positions=(0.0, 1.0, 2.4, 5.0)), tmp_path)
    with pytest.raises(HounsfieldError, match="1 Thin lung: irregular: slice steps vary"):
        hounsfield.load(tmp_path)


class Remote:
    """A source that knows its header without its pixels, as a DICOMweb instance does."""

    name = "https://pacs.example/studies/1/series/2/instances/3"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.opened = 0

    def metadata(self, tags: Collection[int] | None = None) -> pydicom.Dataset:
        return pydicom.dcmread(self.path, stop_before_pixels=True, specific_tags=list(tags) if tags else None)

    def open(self) -> BinaryIO:
        self.opened += 1
        return cast(BinaryIO, self.path.open("rb", buffering=0))


def test_a_header_that_came_apart_from_its_file_needs_no_file(tmp_path: Path) -> None:
    source = Remote(phantom.write(FIRST, tmp_path)[0])
    instance = read_instance(source)
    assert instance.header.integer("Rows") == 30
    assert instance.planes[0].rescale.intercept == -1024
    assert source.opened == 0


def test_what_a_session_shows_of_scans_is_short_and_tells_what_to_choose(tmp_path: Path) -> None:
    # Found by review: a scan printed the bytes of every header in it.
    phantom.write(PhantomSpec(rows=24, columns=24, slices=3, series_number=7), tmp_path / "ct")
    found = hounsfield.scan(tmp_path)
    (series,) = found.series
    assert repr(series) == "<Series '7 Phantom': 3 slices, regular, HU>"
    first, second = repr(found).splitlines()
    assert first == f"<Scan of {tmp_path}: 1 series, 0 files skipped"
    assert second == f"  7 Phantom (3 slices, regular, {series.uid})>"
    assert repr(series.slices[0].instance).startswith(f"<Instance {tmp_path}")


@pytest.mark.parametrize("location", [None, 3, ["a.dcm"], b"a.dcm"])
def test_what_is_no_location_is_told(location: Any) -> None:
    with pytest.raises(LocationError, match=r"is no location .expected a path"):
        hounsfield.load(location)
