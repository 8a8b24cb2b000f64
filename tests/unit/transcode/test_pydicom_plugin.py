"""pydicom with our codecs: what it could not read or write before, it does."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_frames import PYDICOM_FILES, decoded
from pydicom.pixels import get_decoder, get_encoder
from test_transcode import image, phantom, saved

from hounsfield.ct.instance import BytesSource, read_instance
from hounsfield.dicom.syntaxes import SYNTAXES, transfer_syntax
from hounsfield.transcode.pydicom_plugin import LABEL, register_pydicom

register_pydicom()
ENCODERS = [s for s in SYNTAXES.values() if s.encapsulated and s.writable and s.keyword != "jpeg-xl-jpeg"]


def dataset_of(array: np.ndarray, **attributes: Any) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(saved(image(array, **attributes))))


def test_registering_again_changes_nothing() -> None:
    register_pydicom()
    assert get_decoder("1.2.840.10008.1.2.4.80").available_plugins.count(LABEL) == 1


@pytest.mark.parametrize("syntax", [s for s in ENCODERS if s.lossless], ids=lambda s: s.keyword)
def test_compress_and_pixel_array_round_trip(syntax: Any) -> None:
    dataset = dataset_of(phantom())
    dataset.compress(syntax.uid, encoding_plugin=LABEL)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    again = pydicom.dcmread(io.BytesIO(buffer.getvalue()))
    again.pixel_array_options(decoding_plugin=LABEL)
    assert np.array_equal(again.pixel_array, phantom())
    ours = read_instance(BytesSource("", buffer.getvalue()))
    assert np.array_equal(ours.cells(), phantom())


def test_signed_twelve_bits_and_many_frames() -> None:
    frames = np.stack([phantom(dtype="i2") - 900, phantom(dtype="i2") - 1000])
    dataset = dataset_of(frames, BitsStored=12, HighBit=11)
    dataset.compress("1.2.840.10008.1.2.4.80", encoding_plugin=LABEL)
    dataset.decompress(decoding_plugin=LABEL)
    assert np.array_equal(dataset.pixel_array, frames)


@pytest.mark.parametrize("keyword", ["jpeg-ls", "jpeg2000", "htj2k", "rle", "jpeg-lossless", "jpeg-xl"])
@pytest.mark.parametrize("planar", [0, 1])
def test_colour_by_pixel_or_by_plane(keyword: str, planar: int) -> None:
    colour = np.random.default_rng(5).integers(0, 255, (12, 16, 3), np.uint8)
    layout = np.moveaxis(colour, -1, 0) if planar else colour
    dataset = image(phantom(200, "u1"), SamplesPerPixel=3, PlanarConfiguration=planar)
    dataset.Rows, dataset.Columns, dataset.PhotometricInterpretation = 12, 16, "RGB"
    dataset.PixelData = np.ascontiguousarray(layout).tobytes()
    read = pydicom.dcmread(io.BytesIO(saved(dataset)))
    read.compress(transfer_syntax(keyword).uid, encoding_plugin=LABEL)
    read.pixel_array_options(decoding_plugin=LABEL)
    assert np.array_equal(read.pixel_array, colour)


def test_the_error_of_near_lossless_is_an_option() -> None:
    dataset = dataset_of(phantom())
    dataset.compress("1.2.840.10008.1.2.4.81", encoding_plugin=LABEL, jls_error=3)
    dataset.pixel_array_options(decoding_plugin=LABEL)
    assert np.abs(dataset.pixel_array.astype(int) - phantom()).max() == 3


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_gdcm.dcm"])
def test_pydicom_reads_what_it_had_no_plugin_for(name: str) -> None:
    dataset = pydicom.dcmread(PYDICOM_FILES / name)
    dataset.pixel_array_options(decoding_plugin=LABEL)
    assert np.array_equal(dataset.pixel_array, decoded(PYDICOM_FILES / name)[0])


def test_pydicom_reads_retired_processes(real_data: Path) -> None:
    for suffix in ("53", "55"):
        (path,) = (real_data / "transfer_syntaxes").glob(f"*1.2.840.10008.1.2.4.{suffix}.dcm")
        assert pydicom.dcmread(path).pixel_array.max() == 2708


def test_what_has_no_encoder_is_not_claimed() -> None:
    with pytest.raises(NotImplementedError):
        get_encoder("1.2.840.10008.1.2.4.53")
