"""Windows of each function and VOI LUTs, as the file asks for them, held against pydicom and DCMTK."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.pixels import apply_rescale, apply_voi_lut
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from hounsfield.ct.instance import FileSource, read_instance
from hounsfield.ct.voi import VoiTable, apply_voi, vois_of
from hounsfield.ct.windowing import Window
from hounsfield.server.rendering.pictures import Look, picture

DIFFERENCE = 1
"""Grey levels by which two that round may differ."""

SIDE = 64


def image(*, signed: bool = False, monochrome: int = 2, intercept: float = -1024.0) -> FileDataset:
    """A CT Image whose cells are a ramp over 12 bits."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    made = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(), generate_uid()
    made.Modality, made.PatientID = "CT", "1"
    made.Rows = made.Columns = SIDE
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, f"MONOCHROME{monochrome}"
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PixelRepresentation = int(signed)
    made.RescaleSlope, made.RescaleIntercept = 1, intercept
    ramp = np.arange(SIDE * SIDE) - (2048 if signed else 0)
    made.PixelData = ramp.astype("<i2" if signed else "<u2").tobytes()
    return made


def table(first: int, bits: int, count: int, *, vr: str = "US", eight: bool = False) -> Dataset:
    """An item of VOI LUT Sequence: a curve that is no line."""
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [count, first, bits])
    curve = (np.linspace(0, 1, count) ** 2 * ((1 << bits) - 1)).round().astype(np.uint16)
    if eight:
        item.add_new("LUTData", "OW", curve.astype(np.uint8).tobytes())
    else:
        item.add_new("LUTData", "US", curve.tolist())
    item.LUTExplanation = "A curve"
    return item


def by_pydicom(dataset: FileDataset) -> NDArray[np.float64]:
    """0 … 255 by the range that pydicom maps to."""
    values = apply_rescale(dataset.pixel_array, dataset).astype(np.int32)
    shown = apply_voi_lut(values, dataset)
    if dataset.get("VOILUTSequence"):
        low, high = 0.0, float((1 << int(dataset.VOILUTSequence[0].LUTDescriptor[2])) - 1)
    else:
        bits = 12
        ends = np.array(
            [-(1 << (bits - 1)), (1 << (bits - 1)) - 1]
            if dataset.PixelRepresentation
            else [0, (1 << bits) - 1]
        )
        low, high = (
            float(end) for end in ends * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        )
    grey = (shown - low) / (high - low) * 255
    return 255 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey


def rendered(dataset: FileDataset, folder: Path, frame: int = 0) -> NDArray[np.int16]:
    path = folder / "one.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return np.asarray(picture(read_instance(FileSource(path)), frame, Look())).astype(np.int16)


WINDOWS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


@pytest.mark.parametrize("monochrome", [1, 2])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("function", WINDOWS)
def test_windows_of_every_function_are_within_a_grey_level_of_pydicom(
    tmp_path: Path, function: str, signed: bool, monochrome: int
) -> None:
    dataset = image(signed=signed, monochrome=monochrome)
    dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = 40, 400, function
    assert np.abs(rendered(dataset, tmp_path) - by_pydicom(dataset)).max() <= DIFFERENCE


@pytest.mark.parametrize("monochrome", [1, 2])
@pytest.mark.parametrize(
    ("signed", "item"),
    [
        (False, table(-1024, 12, 4096, vr="SS")),
        (False, table(64512, 12, 2048)),  # −1024, its VR taken for unsigned
        (True, table(-900, 10, 900, vr="SS")),
        (False, table(0, 16, 512)),
    ],
)
def test_tables_are_within_a_grey_level_of_pydicom(
    tmp_path: Path, signed: bool, item: Dataset, monochrome: int
) -> None:
    dataset = image(signed=signed, monochrome=monochrome)
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    dataset.VOILUTSequence = [item]
    if item.LUTDescriptor[1] == 64512:
        shown = rendered(dataset, tmp_path)
        item["LUTDescriptor"].VR = "SS"
        item.LUTDescriptor = [2048, -1024, 12]
    else:
        shown = rendered(dataset, tmp_path)
    assert np.abs(shown - by_pydicom(dataset)).max() <= DIFFERENCE


@pytest.mark.skipif(shutil.which("dcm2pnm") is None, reason="needs dcm2pnm of DCMTK: apt install dcmtk")
@pytest.mark.parametrize("function", [*WINDOWS, "TABLE"])
def test_dcmtk_draws_the_same(tmp_path: Path, function: str) -> None:
    dataset = image()
    if function == "TABLE":
        dataset.VOILUTSequence = [table(-1024, 12, 4096, vr="SS")]
        option = ["+Wl", "1"]
    else:
        dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = 40, 400, function
        option = ["+Wi", "1", *(["+Wfs"] if function == "SIGMOID" else [])]
    shown = rendered(dataset, tmp_path)
    subprocess.run(["dcm2pnm", *option, "+on", "one.dcm", "one.png"], cwd=tmp_path, check=True)
    theirs = np.asarray(Image.open(tmp_path / "one.png").convert("L")).astype(np.int16)
    assert np.abs(shown - theirs).max() <= DIFFERENCE


def test_every_window_of_a_file_has_its_explanation() -> None:
    dataset = image()
    dataset.WindowCenter, dataset.WindowWidth = [40, -600, 300], [400, 1500, 0]
    dataset.WindowCenterWidthExplanation = ["SOFT", "LUNG", "NO WIDTH"]
    found = vois_of(dataset)
    assert [(each.shown, each.explanation) for each in found] == [
        (Window(40, 400), "SOFT"),
        (Window(-600, 1500), "LUNG"),
    ]


def test_a_frame_has_its_own_window_else_the_shared_one() -> None:
    def groups(center: float) -> Dataset:
        item, inner = Dataset(), Dataset()
        inner.WindowCenter, inner.WindowWidth = center, 100
        item.FrameVOILUTSequence = [inner]
        return item

    dataset = image()
    dataset.SharedFunctionalGroupsSequence = [groups(1)]
    dataset.PerFrameFunctionalGroupsSequence = [groups(2), Dataset()]
    assert [vois_of(dataset, frame)[0].shown for frame in (0, 1)] == [Window(2, 100), Window(1, 100)]


@pytest.mark.parametrize(
    "spoil",
    [
        {"WindowCenter": 40, "WindowWidth": 0},
        {"WindowCenter": 40},
        {"WindowCenter": "", "WindowWidth": ""},
    ],
)
def test_what_makes_no_sense_is_no_way_to_be_shown(spoil: dict[str, object]) -> None:
    dataset = Dataset()
    for keyword, value in spoil.items():
        setattr(dataset, keyword, value)
    assert vois_of(dataset) == ()


def test_a_table_without_its_data_is_passed_over_for_the_window() -> None:
    dataset = image()
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [256, 0, 8])
    dataset.VOILUTSequence = [item]
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    assert [each.shown for each in vois_of(dataset)] == [Window(40, 400)]


def test_entries_of_eight_bits_may_be_packed_two_to_a_word() -> None:
    dataset, packed = image(signed=True), image(signed=True)
    dataset.VOILUTSequence = [table(-900, 8, 900, vr="SS")]
    packed.VOILUTSequence = [table(-900, 8, 900, vr="SS", eight=True)]
    values = np.arange(-1000, 100)
    assert np.array_equal(vois_of(dataset)[0].apply(values), vois_of(packed)[0].apply(values))


def test_values_outside_a_table_are_its_ends() -> None:
    shown = VoiTable(10, 8, np.array([0, 100, 255], np.uint16))
    assert apply_voi(np.array([-5.0, 10, 11, 12, 99, np.nan]), shown).tolist() == [0, 0, 100, 255, 255, 0]
    assert apply_voi(np.array([11.0]), shown, invert=True).tolist() == [155]
