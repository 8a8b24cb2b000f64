"""Not only CT: colour, ultrasound, magnetic resonance, MONOCHROME1, each with its own unit. In Debian's Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from viewer_browser import Person, looking_at, write_phantom

pytestmark = pytest.mark.xdist_group("viewer")


def _image(path: Path, pixels: Any, **attributes: Any) -> None:
    """One DICOM image of `pixels`, (frames, rows, columns[, 3])."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    image, meta = Dataset(), FileMetaDataset()
    colour = pixels.ndim == 4
    image.SOPClassUID = attributes.pop("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7")
    image.SOPInstanceUID = generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.PatientID, image.PatientName, image.StudyDate = "X", "Any^Body", "20260101"
    image.NumberOfFrames, image.Rows, image.Columns = pixels.shape[:3]
    image.SamplesPerPixel = 3 if colour else 1
    image.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        image.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = bits, bits, bits - 1, 0
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    image.PixelData = pixels.tobytes()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    image.file_meta = meta
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)


def _grey_at(person: Person, x: float, y: float) -> list[int]:
    return list(
        person.page.evaluate(
            """([x, y]) => [...document.querySelector("canvas.pixels").getContext("2d")
              .getImageData(Math.floor(x), Math.floor(y), 1, 1).data].slice(0, 3)""",
            [x, y],
        )
    )


def test_an_ultrasound_cine_in_colour_shows_frame_by_frame(person: Person, tmp_path: Path) -> None:
    frames = np.zeros((5, 40, 60, 3), np.uint8)
    frames[:, :, :, 0] = (np.arange(5) * 50)[:, None, None]
    _image(tmp_path / "us.dcm", frames, SOPClassUID="1.2.840.10008.5.1.4.1.1.3.1", Modality="US")
    with looking_at(tmp_path) as address:
        person.open(f"{address}&slice=1&lang=en")
        person.see_image()
        width, height = person.size()
        for frame in range(5):
            person.see_image()
            red, green, _ = _grey_at(person, width / 2, height / 2)
            assert abs(red - frame * 50) < 8 and green < 8
            person.page.keyboard.press("ArrowDown")
        assert person.page.get_by_role("spinbutton", name="Level").count() == 0


def test_a_cine_plays_at_the_rate_of_its_file(person: Person, tmp_path: Path) -> None:
    frames = np.zeros((3, 40, 60, 3), np.uint8)
    us = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.3.1", "Modality": "US"}
    _image(tmp_path / "us.dcm", frames, **us, FrameTime=80.0)
    with looking_at(tmp_path) as address:
        person.open(f"{address}&lang=en")
        person.see_image()
        person.page.keyboard.press("c")
        rate = person.page.get_by_label("Frames a second")
        rate.locator("option", has_text="12.5 /s").wait_for(state="attached")
        assert rate.input_value() == "12.5"
        rate.select_option("30")
        assert rate.input_value() == "30"


def test_a_magnetic_resonance_image_has_its_own_unit(person: Person, tmp_path: Path) -> None:
    pixels = np.tile(np.arange(0, 1600, 25, dtype=np.uint16), (1, 48, 1))
    mr = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4",
        "Modality": "MR",
        "PixelSpacing": [1, 1],
        "BitsStored": 12,
    }
    place = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "HighBit": 11}
    _image(tmp_path / "mr.dcm", pixels, **mr, **place)
    with looking_at(tmp_path) as address:
        person.open(f"{address}&lang=en")
        person.see_image()
        found = person.point(*(side / 2 for side in person.size()))  # type: ignore[arg-type]
        assert "HU" not in found["text"]


def test_monochrome1_is_shown_turned_over_and_measured_as_it_is(person: Person, tmp_path: Path) -> None:
    folder = write_phantom(tmp_path / "m1", photometric="MONOCHROME1")
    with looking_at(folder) as address:
        person.open(f"{address}&smooth=0&window=40,400")
        person.see_image()
        width, height = person.size()
        corner = person.point(width / 2 - height * 0.47, height * 0.04)
        assert corner["value"] == -1024
        assert corner["grey"] == [255, 255, 255]


def test_pictures_without_values_are_shown(person: Person, real_data: Path) -> None:
    with looking_at(real_data / "philips_phantom" / "S21570" / "S4010") as address:
        person.open(f"{address}&lang=en")
        person.see_image()
        found = person.page.evaluate(
            """() => { const c = document.querySelector("canvas.pixels");
              return new Set(c.getContext("2d").getImageData(0, 0, c.width, c.height).data).size; }"""
        )
        assert found > 3
