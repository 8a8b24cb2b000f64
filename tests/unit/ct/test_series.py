"""Series and how they are loaded: options, parts, reports, odd widths, and what is left out."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
import pytest

import hounsfield
from hounsfield import HounsfieldError, Series, phantom
from hounsfield.ct.instance import FileSource, read_instance
from hounsfield.ct.series import LoadOptions, find_series
from hounsfield.errors import GeometryError, UnsupportedError
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=30, columns=34, slices=5)


def written(spec: PhantomSpec, folder: Path) -> Series:
    phantom.write(spec, folder)
    (series,) = hounsfield.scan(folder).series
    return series


def changed(spec: PhantomSpec, folder: Path, change: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for number, dataset in enumerate(phantom.datasets(spec)):
        change(number, dataset)
        pydicom.dcmwrite(folder / f"{number}.dcm", dataset, enforce_file_format=True)
    return folder


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "uint8"},
        {"gaps": "ignore"},
        {"truncated": "yes"},
        {"step": 0},
        {"step": -1.0},
        {"step": float("nan")},
        {"spacing": (1, 1)},
        {"spacing": (1, 0, 1)},
        {"spacing": (1, 1, float("inf"))},
    ],
)
def test_senseless_options_are_named_with_what_would_do(options: Any) -> None:
    with pytest.raises(HounsfieldError, match=f"{next(iter(options))}=.*expected"):
        LoadOptions(**options)


@pytest.mark.parametrize("workers", [1, 2, 7, None])
@pytest.mark.parametrize("syntax", ["explicit", "jpeg-ls"])
def test_threads_change_nothing(workers: int | None, syntax: str, tmp_path: Path) -> None:
    spec = replace(SMALL, slices=21, transfer_syntax=syntax)
    volume = written(spec, tmp_path).load(LoadOptions(workers=workers))
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    padded = np.count_nonzero(phantom.truth(spec, masked=False, clamp=False) == -3024)
    assert volume.report.padded == padded


def test_a_series_says_what_it_is(tmp_path: Path) -> None:
    series = written(replace(SMALL, series_number=7, series_description="Thorax 2.5"), tmp_path)
    assert series.name == "7 Thorax 2.5"
    assert series.part == ""
    assert series.facts["PatientID"] == "HU-PHANTOM"
    assert series.facts["Manufacturer"] == "Hounsfield"
    assert "AccessionNumber" not in series.facts  # it is empty
    volume = series.load()
    assert volume.header["SeriesDescription"] == "Thorax 2.5"
    assert volume.uids == tuple(item.uid for item in series.slices)
    assert volume.report.to_json()["intercept"] == -1024
    json.dumps(volume.to_json())


def test_each_note_tells_on_how_many_slices_it_holds(tmp_path: Path) -> None:
    def some_without_slope(number: int, dataset: pydicom.Dataset) -> None:
        if number < 2:
            del dataset.RescaleSlope

    volume = hounsfield.load(changed(SMALL, tmp_path / "ct", some_without_slope))
    assert volume.report.warnings == ("Rescale Slope (0028,1053) is missing: taken as 1 (2 of 5 slices)",)


@dataclass(frozen=True)
class Waiting:
    """A file that is opened, once `others` are there to open, only after all of those were."""

    path: Path
    opened: threading.Event
    others: list[threading.Event]

    @property
    def name(self) -> str:
        return self.path.name

    def open(self) -> BinaryIO:
        assert all(other.wait(30) for other in self.others)
        self.opened.set()
        return FileSource(self.path).open()


def test_notes_come_in_the_order_of_slices_whichever_thread_is_quicker(tmp_path: Path) -> None:
    paths = phantom.write(replace(SMALL, slices=4), tmp_path)
    for path, keyword in ((paths[2], "RescaleSlope"), (paths[3], "RescaleIntercept")):
        dataset = pydicom.dcmread(path)
        del dataset[keyword]
        dataset.save_as(path)
    sources = [Waiting(path, threading.Event(), []) for path in paths]
    (series,), _ = find_series([read_instance(source) for source in sources])
    for source in sources:
        source.opened.clear()
    # Slices 2 and 3 are one thread's; it waits at the first until the other thread has taken the last from it.
    sources[2].others.append(sources[3].opened)
    told = [warning.split(" (0028")[0] for warning in series.load(LoadOptions(workers=2)).report.warnings]
    assert told[:2] == ["Rescale Slope", "Rescale Intercept"]


@pytest.mark.parametrize(
    ("keyword", "note"),
    [
        (
            "PixelRepresentation",
            "Pixel Representation (0028,0103) is missing or senseless: taken as unsigned",
        ),
        ("BitsStored", "Bits Stored (0028,0101) is missing: taken as 16"),
    ],
)
def test_missing_bit_attributes_are_told(keyword: str, note: str, tmp_path: Path) -> None:
    spec = replace(SMALL, signed=False, padding=0)

    def without(_: int, dataset: pydicom.Dataset) -> None:
        del dataset[keyword]

    volume = hounsfield.load(changed(spec, tmp_path / "ct", without))
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    assert volume.report.warnings == (note,)


def test_missing_high_bit_is_the_usual_one(tmp_path: Path) -> None:
    def without(_: int, dataset: pydicom.Dataset) -> None:
        del dataset.HighBit

    volume = hounsfield.load(changed(replace(SMALL, bits_stored=12), tmp_path / "ct", without))
    np.testing.assert_array_equal(volume.array, phantom.truth(SMALL))
    assert volume.report.warnings == ()


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("clamp", [True, False])
def test_every_width_sign_and_output_type(
    bits: Any, signed: bool, dtype: Any, clamp: bool, tmp_path: Path
) -> None:
    spec = replace(
        SMALL,
        bits_allocated=bits,
        bits_stored=bits,
        signed=signed,
        slope=20.0 if bits == 8 else 1.0,
        padding=-100 if signed else 0,
        noise=30.0,
    )
    volume = written(spec, tmp_path).load(LoadOptions(dtype=dtype, clamp=clamp))
    truth = phantom.truth(spec, clamp=clamp)
    np.testing.assert_array_equal(volume.array, truth.astype(dtype))
    assert volume.array.dtype == dtype


def test_32_bits_beyond_16_saturate_or_stay(tmp_path: Path) -> None:
    spec = replace(
        SMALL,
        bits_allocated=32,
        bits_stored=32,
        signed=False,
        padding=0,
        metal=3_000_000.0,
        rows=64,
        columns=64,
    )
    series = written(spec, tmp_path)
    truth = phantom.truth(spec)
    assert truth.max() > 2_900_000
    np.testing.assert_array_equal(series.load(LoadOptions(dtype="float32")).array, truth.astype(np.float32))
    volume = series.load()
    np.testing.assert_array_equal(volume.array, np.minimum(truth, 32767))
    assert volume.report.saturated == np.count_nonzero(truth > 32767)


def test_whether_values_look_stored_is_asked_without_a_table_of_billions(tmp_path: Path) -> None:
    spec = replace(SMALL, bits_allocated=32, bits_stored=32, signed=False, padding=None, intercept=0.0)

    def far_out(_: int, dataset: pydicom.Dataset) -> None:
        cells = np.zeros((30, 34), np.uint32)
        cells[0, 0] = 4_000_000_000
        dataset.PixelData = cells.tobytes()

    folder = changed(spec, tmp_path / "ct", far_out)
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "import hounsfield; print(*hounsfield.load(sys.argv[1], dtype='float32').report.warnings)"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True
    )
    assert told.stdout.startswith("does not look like HU")


def test_slices_of_different_signs_and_widths_are_each_read_as_they_are(tmp_path: Path) -> None:
    unsigned = replace(SMALL, signed=False, padding=0, bits_stored=12)
    both = [list(phantom.datasets(SMALL)), list(phantom.datasets(unsigned))]
    for number in range(5):
        dataset = both[number % 2][number]
        pydicom.dcmwrite(tmp_path / f"{number}.dcm", dataset, enforce_file_format=True)
    truths = [phantom.truth(SMALL), phantom.truth(unsigned)]
    expected = [truths[number % 2][number] for number in range(5)]
    np.testing.assert_array_equal(hounsfield.load(tmp_path).array, expected)


def test_a_colour_overlay_of_the_series_is_left_out(tmp_path: Path) -> None:
    phantom.write(replace(SMALL, dose_pages=1), tmp_path)
    scan = hounsfield.scan(tmp_path)
    assert [len(series.slices) for series in scan.series] == [5]
    assert [one.reason for one in scan.skipped] == ["a colour image (RGB): its values are not HU"]


def test_unreadable_pixels_name_the_file_and_the_syntax(tmp_path: Path) -> None:
    spec = replace(SMALL, transfer_syntax="jpeg-ls")
    for path in phantom.write(spec, tmp_path):
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.4.59"))
    with pytest.raises(
        UnsupportedError, match=r"CT\d+\.dcm: JPEG .*\(1\.2\.840\.10008\.1\.2\.4\.59\) cannot be decoded"
    ):
        hounsfield.load(tmp_path)


def test_a_frame_of_another_size_than_its_header_is_refused(tmp_path: Path) -> None:
    def other_rows(_: int, dataset: pydicom.Dataset) -> None:
        dataset.Rows = 20

    folder = changed(replace(SMALL, transfer_syntax="jpeg-ls"), tmp_path / "ct", other_rows)
    with pytest.raises(HounsfieldError, match="codestream of 30 × 34 × 1"):
        hounsfield.load(folder)


def test_rectify_and_step_together(tmp_path: Path) -> None:
    spec = replace(SMALL, tilt=20.0, noise=0.0, slices=9)
    series = written(spec, tmp_path)
    volume = series.load(LoadOptions(rectify=True, step=1.0))
    assert volume.spacing[0] == pytest.approx(1.0)
    assert not volume.is_sheared
    middle = (0.0, 0.0, 0.0)
    assert volume.hu_at(middle) == series.load().hu_at(middle)


def test_gaps_of_another_unit_hold_zero(tmp_path: Path) -> None:
    spec = replace(SMALL, rescale_type="Z_EFF", missing=(2,))
    volume = written(spec, tmp_path).load(LoadOptions(gaps="fill"))
    assert np.all(volume.array[2] == 0)


def test_series_without_any_uid_are_one(tmp_path: Path) -> None:
    def without(_: int, dataset: pydicom.Dataset) -> None:
        del dataset.SeriesInstanceUID

    folder = changed(SMALL, tmp_path / "ct", without)
    np.testing.assert_array_equal(hounsfield.load(folder).array, phantom.truth(SMALL))


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"PixelSpacing": None}, "no Pixel Spacing (0028,0030)"),
        ({"PixelSpacing": "0\\1"}, "no Pixel Spacing (0028,0030)"),
        ({"ImageOrientationPatient": None}, "no Image Orientation (Patient) (0020,0037)"),
        ({"ImageOrientationPatient": "0\\0\\0\\0\\0\\0"}, "is not two perpendicular unit vectors"),
        ({"ImagePositionPatient": "1\\2"}, "no Image Position (Patient) (0020,0032)"),
        ({"ImagePositionPatient": "1\\2\\1e12"}, "no Image Position (Patient) (0020,0032)"),
    ],
)
def test_geometry_that_is_not_there_is_named(tags: Any, reason: str, tmp_path: Path) -> None:
    series = written(replace(SMALL, tags=tags), tmp_path)
    assert series.verdict == "not a volume"
    assert reason in series.reasons[0]
    volume = series.load(LoadOptions(spacing=(1.0, 2.0, 3.0)))
    assert volume.array.shape == (5, 30, 34)


def test_interpolated_gaps_leave_what_the_files_hold_as_it_was(tmp_path: Path) -> None:
    # Found by review: positions rounded to 0.01 mm made every slice a blend of two, without its UID.
    positions = tuple(round(0.625 * index, 2) for index in range(12) if index != 5)
    spec = replace(SMALL, slices=11, slice_positions=positions)
    held = [index for index in range(12) if index != 5]
    volume = written(spec, tmp_path).load(LoadOptions(gaps="interpolate"))
    np.testing.assert_array_equal(volume.array[held], phantom.truth(spec))
    assert volume.report.filled == (5,)
    assert [index for index, uid in enumerate(volume.uids) if uid] == held


def test_slices_that_clash_without_a_reason_are_named(tmp_path: Path) -> None:
    def twice(number: int, dataset: pydicom.Dataset) -> None:
        if number == 3:
            dataset.ImagePositionPatient = first_position
        first_position[:] = dataset.ImagePositionPatient if number == 0 else first_position

    first_position = [0.0, 0.0, 0.0]
    folder = changed(SMALL, tmp_path / "ct", twice)
    with pytest.raises(GeometryError, match=r"leave out one of .*0\.dcm and .*3\.dcm$"):
        hounsfield.load(folder)


def test_trap_23_two_kinds_of_image_in_one_volume_are_told(tmp_path: Path) -> None:
    def interleaved(number: int, dataset: pydicom.Dataset) -> None:
        dataset.ImageType = ["DERIVED", "PRIMARY", "AXIAL", "VMI" if number % 2 else "MAT"]

    volume = hounsfield.load(changed(SMALL, tmp_path / "ct", interleaved))
    assert volume.report.warnings == ("2 different Image Types (0008,0008) in one volume",)


def test_an_image_whose_header_ends_early_is_called_damaged(tmp_path: Path) -> None:
    phantom.write(replace(SMALL, slices=1), tmp_path / "ct")
    (file,) = (tmp_path / "ct").rglob("*.dcm")
    content = file.read_bytes()
    file.write_bytes(content[: content.index(b"\x28\x00\x10\x00US")])
    (skipped,) = hounsfield.scan(tmp_path / "ct").skipped
    assert skipped.reason == "a damaged or cut CT Image Storage: no Rows (0028,0010) and Columns in it"


def test_slices_left_out_of_a_volume_are_told_with_their_reason(tmp_path: Path) -> None:
    # Found by review: half a series of drifting orientation was left out as "2 objects".
    def turned(number: int, dataset: pydicom.Dataset) -> None:
        if number > 2:
            dataset.ImageOrientationPatient = [1, 0, 0, 0, 0.99999, 0.0045]

    volume = hounsfield.load(changed(SMALL, tmp_path / "ct", turned))
    reason = "another Image Orientation (Patient) than the volume's"
    assert volume.report.warnings == (f"2 of the series left out: {reason}",)


def test_duplicates_are_told_once(tmp_path: Path) -> None:
    volume = hounsfield.load(changed(replace(SMALL, duplicated=(1, 2)), tmp_path / "ct", lambda *_: None))
    assert volume.report.warnings == ("2 slices repeat another one's position and pixels: dropped",)
