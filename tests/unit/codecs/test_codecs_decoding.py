"""Every syntax decodes to the stored values of the uncompressed image: real CT, other writers' files, traps."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from dicom_frames import PYDICOM_FILES, decoded, format_of, frame_bytes

from hounsfield.codecs import FrameFormat, decode_frame, encode_frame, is_native_disguised
from hounsfield.codecs.colour import to_rgb
from hounsfield.ct.instance import FileSource, read_instance
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.errors import HounsfieldError, MalformedError, TruncatedError, UnsupportedError

LOSSY_STORED = {"1.2.840.10008.1.2.4.81": 1, "1.2.840.10008.1.2.4.91": 5}
LOSSY_HU = {"50": 65.0, "51": 36.0, "53": 36.0, "55": 36.0}
SMALL = np.arange(12, dtype=np.uint16).reshape(3, 4)


def form(array: np.ndarray, **changes: Any | str) -> FrameFormat:
    bits = array.dtype.itemsize * 8
    given = {
        "rows": array.shape[0],
        "columns": array.shape[1],
        "samples_per_pixel": array.shape[2] if array.ndim == 3 else 1,
        "bits_allocated": bits,
        "bits_stored": bits,
        "high_bit": bits - 1,
        "pixel_representation": int(array.dtype.kind == "i"),
    }
    return FrameFormat(**(given | changes))


def test_every_transfer_syntax_of_one_real_slice_gives_the_same_values(real_data: Path) -> None:
    folder = real_data / "transfer_syntaxes"
    plain = decoded(folder / "CTImage.dcm")[0]
    assert plain.dtype == np.int16 and plain.min() == -2000
    names = []
    for path in sorted(folder.glob("CTImage.dcm_*")):
        header = pydicom.dcmread(path)
        (got,) = decoded(path)
        uid = header.file_meta.TransferSyntaxUID
        suffix = uid.rpartition(".")[2]
        if ".4." in uid and suffix in LOSSY_HU:
            units = got * float(header.RescaleSlope) + float(header.RescaleIntercept)
            assert np.abs(units - (plain - 1024.0)).max() < LOSSY_HU[suffix], path.name
        else:
            assert got.dtype == np.int16
            assert np.abs(got.astype(int) - plain).max() <= LOSSY_STORED.get(uid, 0), path.name
        names.append(uid)
    assert len(names) == 15


def test_trap_15_enhanced_ct_fragmented_or_not_gives_the_same_frames(real_data: Path) -> None:
    folder = real_data / "enhanced"
    plain = decoded(folder / "CT0012.explicit_little_endian.dcm")
    exact = [p for p in sorted(folder.glob("CT0012.*")) if ".51" not in p.name and ".81" not in p.name]
    assert len(exact) == 8
    for path in exact:
        assert all(np.array_equal(a, b) for a, b in zip(decoded(path), plain, strict=True)), path.name
    near = decoded(folder / "CT0012.fragmented_no_bot_jpeg_ls.81.dcm")
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(near, plain, strict=True)) == 2


def pydicom_images() -> list[Path]:
    paths = []
    for path in sorted(PYDICOM_FILES.rglob("*.dcm")):
        try:
            header = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            known = {"Rows", "PixelRepresentation", "PhotometricInterpretation"} <= set(header.dir())
            known = known and "PixelData" in pydicom.dcmread(path, force=True, defer_size=1024)
            if known and "TransferSyntaxUID" in header.file_meta:
                paths.append(path)
        except Exception:  # noqa: BLE001 (files made to break parsers, pydicom's included)
            continue
    return paths


@pytest.mark.parametrize("path", pydicom_images(), ids=lambda path: path.name)
def test_pydicoms_own_files_decode_as_pydicom_decodes_them(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = pydicom.dcmread(path, force=True)
        try:
            expected = header.pixel_array
        except Exception:  # noqa: BLE001 (whatever its plugins raise)
            expected = None
        if expected is None:
            decodes_or_says_why(path, header.Rows)
            return
        frames = decoded(path)
    if header.BitsAllocated == 32 and not transfer_syntax(header.file_meta.TransferSyntaxUID).little_endian:
        # Alone among readers pydicom takes the words of big endian OW (PS3.5 A.3) together, the upper one first.
        words = np.ascontiguousarray(expected).view(np.uint16).reshape(*expected.shape, 2)
        expected = np.ascontiguousarray(words[..., ::-1]).view(expected.dtype)[..., 0]
    got = np.stack(frames) if len(frames) > 1 else frames[0]
    compressed = transfer_syntax(header.file_meta.TransferSyntaxUID).encapsulated
    if compressed or header.PhotometricInterpretation != "YBR_FULL":
        tolerance = 2 if header.PhotometricInterpretation.startswith("YBR_FULL") else 0
        got = to_rgb(got, header.PhotometricInterpretation) if header.SamplesPerPixel == 3 else got
        expected = expected if got.shape == expected.shape else expected.reshape(got.shape)
    else:
        tolerance = 0
    if transfer_syntax(header.file_meta.TransferSyntaxUID).family == "jpeg":
        tolerance = 3  # inverse cosine transforms and chrominance filters differ in the last bit
    assert np.abs(got.astype(np.int64) - expected).max() <= tolerance


def decodes_or_says_why(path: Path, rows: int) -> None:
    """Where pydicom cannot be the judge: whole frames, or one of our errors."""
    try:
        instance = read_instance(FileSource(path))
        frames = [instance.cells(index) for index in range(instance.header.number_of_frames)]
        assert all(frame.shape[0] == rows for frame in frames)
    except HounsfieldError as error:
        assert str(error)


def test_trap_16_big_endian_comes_out_native() -> None:
    form16 = form(SMALL)
    got = decode_frame(SMALL.astype(">u2").tobytes(), transfer_syntax("explicit-big-endian"), form16)
    assert got.dtype.isnative and np.array_equal(got, SMALL)


def test_big_endian_bytes_in_words_are_swapped_back() -> None:
    bytes_ = np.arange(9, dtype=np.uint8).reshape(3, 3)
    padded = np.append(bytes_.ravel(), 0).astype(np.uint8).reshape(-1, 2)[:, ::-1].tobytes()
    got = decode_frame(padded, transfer_syntax("explicit-big-endian"), form(bytes_), swap_words=True)
    assert np.array_equal(got, bytes_)


def test_trap_5_jpeg_ls_without_sign_is_extended_at_its_precision() -> None:
    values = np.array([[-2000, -1], [0, 1500]], np.int16).repeat(8, 0).repeat(8, 1)
    data = imagecodecs.jpegls_encode(values.view(np.uint16))
    assert np.array_equal(decode_frame(data, transfer_syntax("jpeg-ls"), form(values)), values)  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", [12, 16])
def test_trap_4_codestream_sign_that_differs_from_the_header_is_reinterpreted(bits: int) -> None:
    signed = np.array([[-5, 7], [-300, 2000]], np.int16).repeat(8, 0).repeat(8, 1)
    masked = (signed.view(np.uint16) & ((1 << bits) - 1)).astype(np.uint16)
    options: dict[str, Any] = {"level": 0, "codecformat": "j2k", "reversible": True, "bitspersample": bits}
    of_unsigned = imagecodecs.jpeg2k_encode(masked, **options)
    of_signed = imagecodecs.jpeg2k_encode(signed, **options)
    syntax = transfer_syntax("jpeg2000")
    assert np.array_equal(decode_frame(of_unsigned, syntax, form(signed)), signed)  # type: ignore[arg-type]
    assert np.array_equal(decode_frame(of_signed, syntax, form(masked)), masked)  # type: ignore[arg-type]


def test_trap_14_a_jp2_container_is_opened() -> None:
    data = imagecodecs.jpeg2k_encode(SMALL, level=0, codecformat="jp2", reversible=True)
    assert data[4:8] == b"jP  "
    assert np.array_equal(decode_frame(data, transfer_syntax("jpeg2000"), form(SMALL)), SMALL)  # type: ignore[arg-type]


def test_high_throughput_under_the_plain_jpeg2000_syntax_decodes() -> None:
    data = imagecodecs.htj2k_encode(SMALL, reversible=True)
    assert np.array_equal(decode_frame(data, transfer_syntax("jpeg2000"), form(SMALL)), SMALL)  # type: ignore[arg-type]


@pytest.mark.parametrize("keyword", ["jpeg-ls", "jpeg-lossless", "jpeg2000", "htj2k", "jpeg-xl", "rle"])
def test_trap_12_native_pixels_under_a_compressed_syntax_are_read_and_told(keyword: str) -> None:
    syntax, form16 = transfer_syntax(keyword), form(SMALL)
    assert is_native_disguised(SMALL.tobytes(), syntax, form16)
    assert np.array_equal(decode_frame(SMALL.tobytes(), syntax, form16), SMALL)


def test_a_codestream_of_native_length_is_not_taken_for_native() -> None:
    flat = np.zeros((16, 16), np.uint16)
    data = imagecodecs.jpegls_encode(flat)
    data += b"\0" * (flat.nbytes - len(data))
    assert not is_native_disguised(data, transfer_syntax("jpeg-ls"), form(flat))  # type: ignore[arg-type]
    assert np.array_equal(decode_frame(data, transfer_syntax("jpeg-ls"), form(flat)), flat)  # type: ignore[arg-type]


def test_single_bit_frames_need_not_start_at_a_byte() -> None:
    bits = np.random.default_rng(1).integers(0, 2, (2, 5, 3), np.uint8)
    data = np.packbits(bits.ravel(), bitorder="little").tobytes()
    form1 = FrameFormat(5, 3, 1, 1, 1, 0)
    got = decode_frame(data[1:], transfer_syntax("explicit"), form1, bit_offset=7)
    assert np.array_equal(got, bits[1])


def test_native_planes_and_subsampled_chrominance_come_out_by_pixel() -> None:
    colour = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    planes = np.moveaxis(colour, -1, 0).tobytes()
    syntax = transfer_syntax("explicit")
    got = decode_frame(planes, syntax, form(colour, planar_configuration=1))
    assert np.array_equal(got, colour)
    half = form(np.zeros((1, 4, 3), np.uint8), photometric_interpretation="YBR_FULL_422")
    got = decode_frame(bytes([1, 2, 100, 200, 3, 4, 101, 201]), syntax, half)
    assert got.tolist() == [[[1, 100, 200], [2, 100, 200], [3, 101, 201], [4, 101, 201]]]


def test_video_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="MPEG2"):
        decode_frame(b"", transfer_syntax("mpeg2-ml"), form(SMALL))


def test_bits_that_no_array_holds_are_unsupported() -> None:
    with pytest.raises(UnsupportedError, match="Bits Allocated is 12"):
        decode_frame(b"", transfer_syntax("explicit"), FrameFormat(2, 2, 1, 12, 12, 11))


def test_trap_10_short_native_pixels_are_truncated() -> None:
    with pytest.raises(TruncatedError) as caught:
        decode_frame(SMALL.tobytes()[:-1], transfer_syntax("explicit"), form(SMALL))
    assert caught.value.data == {"found_bytes": 23, "expected_bytes": 24}


def test_trap_11_a_trailing_pad_byte_is_accepted() -> None:
    odd = np.arange(9, dtype=np.uint8).reshape(3, 3)
    assert np.array_equal(decode_frame(odd.tobytes() + b"\0", transfer_syntax("explicit"), form(odd)), odd)


def test_real_frames_cut_anywhere_are_errors_and_never_other_pixels(real_data: Path) -> None:
    for path in sorted((real_data / "transfer_syntaxes").glob("*_1.2.840.10008.1.2.[45]*")):
        header = pydicom.dcmread(path)
        (data,) = frame_bytes(header)
        syntax = transfer_syntax(header.file_meta.TransferSyntaxUID)
        for part in (0.0001, 0.01, 0.5, 0.98):
            with pytest.raises(MalformedError):
                decode_frame(data[: int(len(data) * part)], syntax, format_of(header))


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
def test_lossy_htj2k_that_overshoots_stays_at_the_highest_value(dtype: str) -> None:
    """OpenJPH gives one more, which in a full cell is the lowest value."""
    limits = np.iinfo(dtype)
    levels = [limits.min, limits.max, 0]
    array = np.random.default_rng(1).choice(levels, (128, 128)).astype(dtype)
    for quantiser in (1 / 20, 1 / 64):
        stream = imagecodecs.htj2k_encode(array, reversible=False, level=quantiser)
        got = decode_frame(stream, transfer_syntax("htj2k-lossy"), form(array)).astype(int)  # type: ignore[arg-type]
        assert np.abs(got - imagecodecs.jpeg2k_decode(stream).astype(int)).max() <= 4


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (3, 9)])
@pytest.mark.parametrize("keyword", ["jpeg-ls", "jpeg-lossless", "jpeg2000", "htj2k", "jpeg-xl", "rle"])
def test_memory_to_decode_into_may_have_any_stride_along_a_single_row_or_column(
    keyword: str, shape: tuple[int, int]
) -> None:
    array = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    data = encode_frame(array, transfer_syntax(keyword), form(array))
    for out in (
        np.empty(shape, "u2"),
        np.empty(shape[::-1], "i2").T,
        np.empty((9, 18), "u2")[: shape[0], ::2],
    ):
        memory = out[:, : shape[1]]
        assert np.array_equal(decode_frame(data, transfer_syntax(keyword), form(array), out=memory), array)
