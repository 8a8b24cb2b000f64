"""What a lossy file promises holds for whoever reads it: pydicom's decoders, which are none of ours."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import get_decoder

from hounsfield.ct.instance import BytesSource
from hounsfield.errors import UnsupportedError
from hounsfield.transcode import Transcoded, target, transcode

OTHERS = ["pylibjpeg", "gdcm"]


def noisy(kind: str, padding: int) -> np.ndarray:
    """Waves with noise, padding above and a bright or empty band below it; (rows, columns) of `kind`."""
    rows, columns = np.mgrid[:64, :64]
    noise = np.random.default_rng(7).normal(0, 8, rows.shape)
    cells = 40 * np.sin(columns / 5) + 60 * np.cos(rows / 7) + noise
    cells = (cells + {"i2": 0, "u2": 1024, "u1": 130}[kind]).clip(
        20 if kind == "u1" else -1024, 255 if kind == "u1" else 4095
    )
    cells = cells.astype(kind)
    cells[:10] = padding
    cells[12:15] = {"i2": -1024, "u2": 4095, "u1": 255}[kind]
    return cells


def image(cells: np.ndarray, stored: int, padding: int, modality: str = "CT") -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"  # type: ignore[assignment]
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    dataset.Modality, dataset.ImageType = modality, ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Rows, dataset.Columns = cells.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * cells.itemsize, stored, stored - 1
    dataset.PixelRepresentation = int(cells.dtype.kind == "i")
    dataset.add_new(0x00280120, "SS" if dataset.PixelRepresentation else "US", padding)
    dataset.PixelData = cells.tobytes()
    dataset["PixelData"].VR = "OB" if cells.itemsize == 1 else "OW"
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def read_by_others(result: Transcoded) -> tuple[Dataset, list[np.ndarray]]:
    dataset = pydicom.dcmread(io.BytesIO(result.content))
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    names = [name for name in decoder.available_plugins if name in OTHERS]
    assert names, "no decoder of pydicom's reads this syntax"
    return dataset, [decoder.as_array(dataset, decoding_plugin=name, raw=True)[0] for name in names]


@pytest.mark.parametrize("bound", [2, 3, 10])
@pytest.mark.parametrize(
    ("keyword", "kind", "stored", "padding"),
    [
        ("htj2k-lossy", "i2", 16, -32768),
        ("htj2k-lossy", "u2", 12, 0),
        ("jpeg2000-lossy", "i2", 16, -2000),
        ("jpeg-extended", "u2", 12, 0),
        ("jpeg", "u1", 8, 0),
        ("jpeg-ls-near", "i2", 16, -32768),
    ],
)
def test_no_decoder_finds_an_error_beyond_the_bound_or_padding_that_is_none(
    keyword: str, kind: str, stored: int, padding: int, bound: int
) -> None:
    cells = noisy(kind, padding)
    try:
        result = transcode(BytesSource("x", image(cells, stored, padding)), target(keyword, max_error=bound))
    except UnsupportedError as error:
        assert "cannot keep" in str(error) and keyword.startswith("jpeg")
        return
    dataset, found = read_by_others(result)
    low = dataset.PixelPaddingValue
    high = dataset.get("PixelPaddingRangeLimit", low)
    for decoded in found:
        assert np.abs(decoded.astype(int) - cells).max() <= bound
        assert np.array_equal((decoded >= low) & (decoded <= high), cells == padding)


def test_values_that_would_fall_into_declared_padding_are_kept_out_of_it() -> None:
    cells = noisy("u1", 0)
    cells[20:30, 20:30] = np.arange(1, 101).reshape(10, 10)  # as near to padding as can be
    result = transcode(
        BytesSource("x", image(cells, 8, 0, modality="MR")), target("jpeg-ls-near", max_error=60)
    )
    dataset, found = read_by_others(result)
    high = dataset.get("PixelPaddingRangeLimit", 0)
    assert found and all(np.array_equal(decoded <= high, cells == 0) for decoded in found)
