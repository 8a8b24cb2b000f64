"""Traps 1 to 16: from the bytes of Pixel Data to stored values. Each test is named for its row of the list."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate

import hounsfield
from hounsfield import Volume, phantom
from hounsfield.ct.instance import FileSource, read_instance
from hounsfield.errors import MalformedError, TruncatedError, UnsupportedError
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=30, columns=34, slices=3)
TWELVE = replace(SMALL, signed=False, bits_stored=12, padding=0)


def loaded(spec: PhantomSpec, folder: Path, **options: Any) -> Volume:
    phantom.write(spec, folder)
    return hounsfield.load(folder, **options)


def as_int16(hu: Any) -> Any:
    return np.clip(np.rint(hu), -32768, 32767).astype(np.int16)


def assert_is_truth(volume: Volume, spec: PhantomSpec) -> None:
    np.testing.assert_array_equal(volume.array, as_int16(phantom.truth(spec)))
    np.testing.assert_allclose(volume.affine, phantom.affine(spec), atol=1e-9)


def rewritten(spec: PhantomSpec, folder: Path, change: Any) -> Path:
    """The phantom with `change` made to each data set before it is written."""
    folder.mkdir(exist_ok=True)
    for number, dataset in enumerate(phantom.datasets(spec)):
        change(dataset)
        pydicom.dcmwrite(folder / f"{number}.dcm", dataset, enforce_file_format=True)
    return folder


@pytest.mark.parametrize("bits", [10, 12, 13, 15])
@pytest.mark.parametrize("filler", [{"sign_extended": True}, {"sign_extended": False}, {"garbage": True}])
def test_trap_01_signed_values_in_wider_cells(bits: int, filler: Any, tmp_path: Path) -> None:
    spec = replace(SMALL, bits_stored=bits, padding=-500, intercept=-600.0, **filler)
    assert_is_truth(loaded(spec, tmp_path), spec)


def test_trap_01_a_sign_not_extended_is_no_reason_to_warn(tmp_path: Path) -> None:
    spec = replace(SMALL, bits_stored=12, sign_extended=False)
    assert loaded(spec, tmp_path).report.warnings == ()


def test_trap_02_garbage_above_bits_stored_is_masked_and_counted(tmp_path: Path) -> None:
    spec = replace(TWELVE, garbage=True)
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)
    cells = np.concatenate([np.frombuffer(one.PixelData, "<u2") for one in phantom.datasets(spec)])
    dirty = int(np.count_nonzero(cells >> 12))
    assert volume.report.warnings == (f"{dirty} cells held bits above Bits Stored: masked",)


@pytest.mark.parametrize("bit", [12, 15])
def test_trap_02_overlay_in_unused_bits(bit: int, tmp_path: Path) -> None:
    spec = replace(TWELVE, overlay_bit=bit)
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)
    assert "held bits above Bits Stored" in volume.report.warnings[0]


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("high_bit", [12, 15])
def test_trap_03_high_bit_above_bits_stored(signed: bool, high_bit: int, tmp_path: Path) -> None:
    padding = -2000 if signed else 0
    spec = replace(SMALL, signed=signed, bits_stored=12, high_bit=high_bit, padding=padding, garbage=True)
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)
    assert volume.report.warnings == (f"High Bit {high_bit} with Bits Stored 12: shifted",)


def test_trap_03_a_high_bit_that_cannot_be_is_told(tmp_path: Path) -> None:
    spec = replace(SMALL, tags={"HighBit": 7})
    volume = loaded(spec, tmp_path)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    assert volume.report.warnings == ("High Bit 7 cannot be, with Bits Stored 16: taken as 15",)


def test_trap_04_jpeg_2000_unsigned_in_the_codestream_signed_in_the_header(tmp_path: Path) -> None:
    spec = replace(SMALL, bits_stored=13, slices=2)

    def as_unsigned_codestream(dataset: pydicom.Dataset) -> None:
        unsigned = (dataset.pixel_array & 0x1FFF).astype(np.uint16)
        stream = imagecodecs.jpeg2k_encode(
            unsigned, level=0, codecformat="j2k", bitspersample=13, reversible=True
        )
        dataset.PixelData = encapsulate([stream])  # type: ignore[list-item]
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.90"  # type: ignore[assignment]

    volume = hounsfield.load(rewritten(spec, tmp_path / "ct", as_unsigned_codestream))
    assert_is_truth(volume, spec)


def test_trap_04_real_mismatch_agrees_with_pydicom() -> None:
    path = get_testdata_file("J2K_pixelrep_mismatch.dcm")
    instance = read_instance(FileSource(Path(str(path))))
    cells = instance.cells()
    expected = pydicom.dcmread(str(path)).pixel_array
    np.testing.assert_array_equal(cells, expected)
    assert cells.min() == -2000


@pytest.mark.parametrize("syntax", ["jpeg-ls", "jpeg-lossless", "jpeg2000", "rle", "htj2k"])
@pytest.mark.parametrize("bits", [12, 16])
def test_trap_05_codings_without_a_sign_are_extended_at_their_precision(
    syntax: str, bits: int, tmp_path: Path
) -> None:
    spec = replace(SMALL, bits_stored=bits, transfer_syntax=syntax)
    assert phantom.truth(spec, clamp=False, masked=False).min() == -3024
    assert_is_truth(loaded(spec, tmp_path), spec)


def test_trap_06_metal_beyond_int16_saturates_with_a_count(tmp_path: Path) -> None:
    spec = replace(SMALL, signed=False, padding=0, metal=40000.0, rows=64, columns=64)
    truth = phantom.truth(spec)
    beyond = int(np.count_nonzero(truth > 32767))
    assert beyond > 5
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)
    assert volume.array.max() == 32767
    assert volume.report.saturated == beyond
    assert volume.report.warnings == (
        f"{beyond} voxels do not fit int16 and were saturated; dtype='float32' keeps them",
    )
    exact = hounsfield.load(tmp_path, dtype="float32")
    np.testing.assert_array_equal(exact.array, truth)
    assert exact.report.saturated == 0


def test_trap_06_stored_values_above_32767_do_not_wrap_where_the_hu_fit(tmp_path: Path) -> None:
    spec = replace(SMALL, signed=False, padding=0, metal=31900.0, rows=64, columns=64)
    volume = loaded(spec, tmp_path)
    assert volume.array.max() > 31743
    assert_is_truth(volume, spec)
    assert volume.report.saturated == 0


def test_trap_07_eight_bits_with_a_slope_of_32_are_exact_in_float(tmp_path: Path) -> None:
    spec = replace(
        SMALL, bits_allocated=8, bits_stored=8, signed=False, slope=32.1216, intercept=-4047.0, padding=0
    )
    volume = loaded(spec, tmp_path, dtype="float32")
    np.testing.assert_array_equal(volume.array, phantom.truth(spec).astype(np.float32))
    assert volume.report.rounded == 0


def test_trap_07_real_lossy_slices_are_exact_in_float(real_data: Path) -> None:
    for name, slope in (("JPEGProcess1T*4.50", 32.1216), ("JPEGProcess2_4T*4.51", 2.0002442)):
        (path,) = (real_data / "transfer_syntaxes").glob(f"*{name}.dcm")
        stored = read_instance(FileSource(path)).cells().astype(np.float64)
        expected = np.maximum(stored * slope - 4047, -1024).astype(np.float32)
        np.testing.assert_array_equal(hounsfield.load(path, dtype="float32").array[0], expected)
        volume = hounsfield.load(path)
        np.testing.assert_array_equal(volume.array[0], np.rint(np.maximum(stored * slope - 4047, -1024)))
        assert volume.report.rounded == np.count_nonzero(volume.array[0] != expected)


def test_trap_08_hounsfield_units_are_not_inverted_by_monochrome1(tmp_path: Path) -> None:
    spec = replace(SMALL, photometric="MONOCHROME1")
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)
    np.testing.assert_array_equal(phantom.truth(spec), phantom.truth(SMALL))


def test_trap_09_dose_pages_are_left_out_and_reported(tmp_path: Path) -> None:
    spec = replace(SMALL, dose_pages=2)
    assert_is_truth(loaded(spec, tmp_path), spec)
    skipped = hounsfield.scan(tmp_path).skipped
    assert {(Path(one.name).name, one.reason) for one in skipped} == {
        ("DOSE001.dcm", "a colour image (RGB): its values are not HU"),
        ("DOSE002.dcm", "a colour image (RGB): its values are not HU"),
    }


def test_trap_09_a_grey_secondary_capture_is_left_out_too(tmp_path: Path) -> None:
    spec = replace(
        SMALL, sop_class="1.2.840.10008.5.1.4.1.1.7", image_type=("DERIVED", "SECONDARY", "SCREEN SAVE")
    )
    phantom.write(spec, tmp_path)
    scan = hounsfield.scan(tmp_path)
    assert scan.series == ()
    assert {one.reason for one in scan.skipped} == {
        "a Secondary Capture (SCREEN SAVE): its values are not HU"
    }


def test_trap_09_real_survey_and_dose_pages(real_data: Path) -> None:
    scan = hounsfield.scan(real_data / "philips_phantom" / "S21570" / "S4010")
    assert scan.series == ()
    pages = [one for one in scan.skipped if Path(one.name).name != "DIRFILE"]
    assert len(pages) == 6
    assert all("not HU" in one.reason for one in pages)


@pytest.mark.parametrize("damage", [{"missing_pixel_bytes": 300}, {"cut_bytes": 300}])
def test_trap_10_short_pixels_are_an_error_that_says_what_is_missing(damage: Any, tmp_path: Path) -> None:
    spec = replace(SMALL, damaged=(1,), **damage)
    phantom.write(spec, tmp_path)
    with pytest.raises(TruncatedError) as caught:
        hounsfield.load(tmp_path)
    assert caught.value.data == {"found_bytes": 30 * 34 * 2 - 300, "expected_bytes": 30 * 34 * 2}
    assert str(caught.value) == (
        f"{tmp_path / 'CT0002.dcm'}: frame 1 has 1740 bytes of pixels (expected 2040); "
        "get the file again, or read it with truncated='fill' (--truncated fill)"
    )


@pytest.mark.parametrize("damage", [{"missing_pixel_bytes": 300}, {"cut_bytes": 300}])
@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("intercept", [-1024.0, 0.0])
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_trap_10_on_request_the_rest_is_filled_and_the_file_listed(
    damage: Any, bits: Any, intercept: float, dtype: Any, tmp_path: Path
) -> None:
    spec = replace(
        SMALL,
        bits_allocated=bits,
        bits_stored=bits,
        signed=False,
        padding=None,
        intercept=intercept,  # with 0, no stored value means −1024
        damaged=(1,),
        **damage,
    )
    truth = phantom.truth(spec)
    there = 30 * 34 - 300 * 8 // bits
    truth[1].reshape(-1)[there:] = -1024
    volume = loaded(spec, tmp_path, truncated="fill", dtype=dtype)
    np.testing.assert_array_equal(volume.array, truth)
    assert (
        f"truncated, the rest is padding: {tmp_path / 'CT0002.dcm'} (1 of 3 slices)" in volume.report.warnings
    )


@pytest.mark.parametrize("syntax", ["jpeg-ls", "jpeg2000", "rle", "jpeg-lossless"])
def test_trap_10_short_compressed_pixels_never_come_out_invented(syntax: str, tmp_path: Path) -> None:
    spec = replace(TWELVE, transfer_syntax=syntax, damaged=(1,), cut_bytes=400)
    phantom.write(spec, tmp_path)
    with pytest.raises(MalformedError, match=r"CT0002\.dcm"):
        hounsfield.load(tmp_path)
    volume = hounsfield.load(tmp_path, truncated="fill")
    truth = phantom.truth(spec)
    truth[1] = -1024
    np.testing.assert_array_equal(volume.array, truth)


@pytest.mark.parametrize(
    ("syntax", "fragments", "table"),
    [
        *(
            (syntax, 1, table)
            for syntax in ("jpeg-ls", "jpeg2000", "rle")
            for table in ("basic", "empty", "extended")
        ),
        *((syntax, 3, table) for syntax in ("jpeg-ls", "jpeg2000") for table in ("basic", "empty")),
    ],
)
def test_trap_10_whole_frames_before_the_end_of_a_short_file_are_kept(
    syntax: str, fragments: int, table: Any, tmp_path: Path
) -> None:
    spec = replace(
        TWELVE,
        multiframe="enhanced",
        frame_order="descending",
        transfer_syntax=syntax,
        fragments=fragments,
        offset_table=table,
        slices=4,
        cut_bytes=60,
    )
    phantom.write(spec, tmp_path)
    with pytest.raises(TruncatedError):
        hounsfield.load(tmp_path)
    truth = phantom.truth(spec)
    truth[0] = -1024  # the last frame is the lowest slice
    volume = hounsfield.load(tmp_path, truncated="fill")
    np.testing.assert_array_equal(volume.array, truth)
    assert volume.report.warnings == (
        f"truncated, the rest is padding: {tmp_path / 'MF0001.dcm'}#frame 4 (1 of 4 slices)",
    )


def test_trap_11_odd_lengths_are_padded_and_trailing_bytes_ignored_without_a_word(tmp_path: Path) -> None:
    odd = replace(
        SMALL,
        rows=3,
        columns=5,
        bits_allocated=8,
        bits_stored=8,
        signed=False,
        padding=None,
        intercept=-100.0,
    )
    volume = loaded(odd, tmp_path / "odd")
    assert_is_truth(volume, odd)
    assert volume.report.warnings == ()
    trailing = replace(SMALL, extra_pixel_bytes=7)
    volume = loaded(trailing, tmp_path / "trailing")
    assert_is_truth(volume, trailing)
    assert volume.report.warnings == ()


def test_trap_11_more_frames_than_declared_are_told(tmp_path: Path) -> None:
    spec = replace(SMALL, extra_frames=2)
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)
    assert volume.report.warnings == ("2 more frames than Number of Frames says: not read",)


def test_trap_12_native_pixels_that_are_declared_jpeg_ls(tmp_path: Path) -> None:
    spec = replace(TWELVE, transfer_syntax="jpeg-ls", native_pixels=True)
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)
    assert volume.report.warnings == ("declares JPEG-LS Lossless but holds native pixels: read as native",)


def test_trap_12_native_pixels_in_a_fragment(tmp_path: Path) -> None:
    def encapsulated(dataset: pydicom.Dataset) -> None:
        dataset.PixelData = encapsulate([dataset.PixelData])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.80"  # type: ignore[assignment]

    assert_is_truth(hounsfield.load(rewritten(TWELVE, tmp_path / "ct", encapsulated)), TWELVE)


@pytest.mark.parametrize("multiframe", [None, "enhanced"])
def test_trap_12_compressed_pixels_with_a_defined_length(multiframe: Any, tmp_path: Path) -> None:
    spec = replace(TWELVE, transfer_syntax="jpeg-ls", multiframe=multiframe, slices=9)
    delimiter = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    for path in phantom.write(spec, tmp_path):
        start, items = path.read_bytes().split(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff")
        items = items.removesuffix(delimiter)
        path.write_bytes(start + b"\xe0\x7f\x10\x00OB\0\0" + struct.pack("<I", len(items)) + items)
    volume = hounsfield.load(tmp_path)
    assert_is_truth(volume, spec)
    assert volume.report.warnings == ()


@pytest.mark.parametrize("spec", [TWELVE, SMALL], ids=["unsigned 12 bits", "signed 16 bits"])
def test_trap_13_philips_private_pixels(spec: PhantomSpec, tmp_path: Path) -> None:
    spec = replace(spec, philips_rle="alone", metal=3000.0, signed=spec.signed)
    assert_is_truth(loaded(spec, tmp_path), spec)


def test_trap_13_pixel_data_is_used_where_it_exists(tmp_path: Path) -> None:
    def with_other_private_pixels(dataset: pydicom.Dataset) -> None:
        dataset[0x07A1, 0x100A].value = b"\x5a\x00\x00\xa5\xff\x00" * 4

    spec = replace(TWELVE, philips_rle="beside")
    assert_is_truth(hounsfield.load(rewritten(spec, tmp_path / "ct", with_other_private_pixels)), spec)


def test_trap_13_no_pixels_at_all_is_an_error(tmp_path: Path) -> None:
    def without_pixels(dataset: pydicom.Dataset) -> None:
        del dataset.PixelData

    folder = rewritten(TWELVE, tmp_path / "ct", without_pixels)
    with pytest.raises(UnsupportedError, match="no Pixel Data"):
        hounsfield.load(folder)


def test_trap_14_jp2_container(tmp_path: Path) -> None:
    def in_a_container(dataset: pydicom.Dataset) -> None:
        stream = imagecodecs.jpeg2k_encode(
            dataset.pixel_array, level=0, codecformat="jp2", bitspersample=12, reversible=True
        )
        assert stream[4:8] == b"jP  "
        dataset.PixelData = encapsulate([stream])  # type: ignore[list-item]
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.90"  # type: ignore[assignment]

    assert_is_truth(hounsfield.load(rewritten(TWELVE, tmp_path / "ct", in_a_container)), TWELVE)


def test_trap_14_retired_and_twelve_bit_jpeg_of_real_slices(real_data: Path) -> None:
    folder = real_data / "transfer_syntaxes"
    arrays = {}
    for number in ("51", "53", "55"):
        (path,) = folder.glob(f"*_1.2.840.10008.1.2.4.{number}.dcm")
        arrays[number] = hounsfield.load(path).array
    # Sequential, spectral selection and full progression of one image hold the same coefficients.
    np.testing.assert_array_equal(arrays["51"], arrays["53"])
    np.testing.assert_array_equal(arrays["51"], arrays["55"])


@pytest.mark.parametrize("syntax", ["jpeg-ls", "jpeg2000", "jpeg-lossless", "rle"])
@pytest.mark.parametrize(("fragments", "table"), [(1, "basic"), (1, "empty"), (1, "extended"), (3, "basic")])
@pytest.mark.parametrize("multiframe", [None, "enhanced"])
def test_trap_15_fragments_and_offset_tables(
    syntax: str, fragments: int, table: Any, multiframe: Any, tmp_path: Path
) -> None:
    spec = replace(
        TWELVE, transfer_syntax=syntax, fragments=fragments, offset_table=table, multiframe=multiframe
    )
    assert_is_truth(loaded(spec, tmp_path), spec)


@pytest.mark.parametrize("syntax", ["jpeg-ls", "jpeg2000", "jpeg-lossless"])
def test_trap_15_fragments_without_a_table_are_told_apart_by_end_markers(syntax: str, tmp_path: Path) -> None:
    spec = replace(TWELVE, transfer_syntax=syntax, fragments=4, offset_table="empty", multiframe="enhanced")
    assert_is_truth(loaded(spec, tmp_path), spec)


def test_trap_15_real_enhanced_ct_with_and_without_fragments_and_tables(real_data: Path) -> None:
    folder = real_data / "enhanced"
    reference = hounsfield.load(folder / "CT0012.explicit_little_endian.dcm").array
    lossless = [path for path in folder.glob("CT0012.*") if not path.name.endswith((".51.dcm", ".81.dcm"))]
    assert len(lossless) == 8
    for path in lossless:
        np.testing.assert_array_equal(hounsfield.load(path).array, reference, err_msg=path.name)
    near = hounsfield.load(folder / "CT0012.fragmented_no_bot_jpeg_ls.81.dcm").array
    assert np.abs(near.astype(int) - reference).max() <= 3


def test_trap_16_big_endian_comes_out_native(tmp_path: Path) -> None:
    spec = replace(SMALL, transfer_syntax="explicit-big-endian")
    volume = loaded(spec, tmp_path)
    assert_is_truth(volume, spec)
    assert volume.array.dtype == np.dtype("int16")
    assert volume.array.dtype.isnative


@pytest.mark.parametrize("bits", [8, 32])
def test_trap_16_big_endian_of_other_widths(bits: Any, tmp_path: Path) -> None:
    spec = replace(
        SMALL,
        transfer_syntax="explicit-big-endian",
        bits_allocated=bits,
        bits_stored=bits,
        signed=False,
        padding=0,
        slope=16.0 if bits == 8 else 1.0,
    )
    assert_is_truth(loaded(spec, tmp_path), spec)


def test_trap_16_bytes_of_vr_ow_are_swapped_in_big_endian(tmp_path: Path) -> None:
    spec = replace(
        SMALL,
        transfer_syntax="explicit-big-endian",
        bits_allocated=8,
        bits_stored=8,
        signed=False,
        padding=0,
        slope=16.0,
    )

    def as_words(dataset: pydicom.Dataset) -> None:
        dataset.PixelData = np.frombuffer(dataset.PixelData, np.uint16).byteswap().tobytes()
        dataset["PixelData"].VR = "OW"

    assert_is_truth(hounsfield.load(rewritten(spec, tmp_path / "ct", as_words)), spec)


def test_trap_16_real_slice_in_every_byte_order_and_deflated(real_data: Path) -> None:
    folder = real_data / "transfer_syntaxes"
    reference = hounsfield.load(
        folder / "CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm"
    )
    for name in ("BigEndian", "Implicit", "Deflated"):
        (path,) = folder.glob(f"*{name}*")
        np.testing.assert_array_equal(hounsfield.load(path).array, reference.array)
    assert zlib.crc32(reference.array.tobytes()) == zlib.crc32(
        hounsfield.load(folder / "CTImage.dcm").array.tobytes()
    )
