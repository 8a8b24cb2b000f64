"""What each encoder writes comes back: exactly where it is lossless, within its bound where it is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from dicom_frames import decoded
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from test_codecs_decoding import form

from hounsfield.codecs import (
    FrameFormat,
    PixelKind,
    Rate,
    decode_frame,
    decoded_photometric,
    encode_frame,
    encoded_photometric,
    holds,
)
from hounsfield.codecs.jpeg import read_jpeg_header
from hounsfield.codecs.jpeg2000 import read_jpeg2000_header
from hounsfield.codecs.jpeg_xl import rebuild_jpeg, recompress_jpeg
from hounsfield.codecs.rle import LEAST_RUNS
from hounsfield.dicom.syntaxes import SYNTAXES, transfer_syntax
from hounsfield.errors import MalformedError, UnsupportedError

LOSSLESS = [s for s in SYNTAXES.values() if s.writable and s.lossless]
LOSSY = [s for s in SYNTAXES.values() if s.writable and not s.lossless and s.keyword != "jpeg-xl-jpeg"]
NOISE = np.random.default_rng(7)


def round_trip(array: np.ndarray, keyword: str, **changes: Any | str) -> np.ndarray:
    syntax, frame_format = transfer_syntax(keyword), form(array, **changes)
    return decode_frame(encode_frame(array, syntax, frame_format), syntax, frame_format)


def is_refused(array: np.ndarray, keyword: str, **changes: Any | str) -> bool:
    """Where the table says that the syntax does not hold such pixels, the encoder must refuse them by that word."""
    if holds(transfer_syntax(keyword), PixelKind.of(form(array, **changes))):
        return False
    with pytest.raises(UnsupportedError, match=f"^{keyword} does not hold"):
        round_trip(array, keyword, **changes)
    return True


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda s: s.keyword)
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
def test_lossless_holds_the_whole_range_of_every_type(syntax: Any, dtype: str) -> None:
    limits = np.iinfo(dtype)
    array = NOISE.integers(limits.min, limits.max, (33, 21), dtype, endpoint=True)
    array[0, :2] = limits.min, limits.max
    if is_refused(array, syntax.keyword):
        assert array.dtype.itemsize == 4 and syntax.keyword != "rle"
        return
    got = round_trip(array, syntax.keyword)
    assert got.dtype == array.dtype and np.array_equal(got, array)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda s: s.keyword)
@pytest.mark.parametrize("signed", [False, True])
def test_lossless_keeps_twelve_bits_and_bits_above_them(syntax: Any, signed: bool) -> None:
    low = -2048 if signed else 0
    array = NOISE.integers(low, low + 4096, (16, 16)).astype("i2" if signed else "u2")
    twelve = {"bits_stored": 12, "high_bit": 11}
    assert np.array_equal(round_trip(array, syntax.keyword, **twelve), array)
    array[3, 3] = 0x4FFF  # an overlay bit above Bits Stored
    assert np.array_equal(round_trip(array, syntax.keyword, **twelve), array)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda s: s.keyword)
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
@pytest.mark.parametrize("bits", [1, 2, 7, 8, 9, 12])
def test_lossless_keeps_cells_of_which_few_bits_are_used(syntax: Any, dtype: str, bits: int) -> None:
    array = few_bits(dtype, bits)
    if bits > array.dtype.itemsize * 8:
        return
    if is_refused(array, syntax.keyword, bits_stored=bits, high_bit=bits - 1):
        assert array.dtype.itemsize == 4 or (bits == 1 and syntax.keyword == "jpeg-ls")
        return
    assert np.array_equal(round_trip(array, syntax.keyword, bits_stored=bits, high_bit=bits - 1), array)


@pytest.mark.parametrize(
    "syntax", [s for s in LOSSY if s.family in {"jpeg", "jpeg-xl"}], ids=lambda s: s.keyword
)
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4"])
@pytest.mark.parametrize("bits", [1, 5, 8, 12])
def test_lossy_codes_cells_of_which_few_bits_are_used(syntax: Any, dtype: str, bits: int) -> None:
    array = few_bits(dtype, bits)
    if bits > array.dtype.itemsize * 8:
        return
    if is_refused(array, syntax.keyword, bits_stored=bits, high_bit=bits - 1):
        assert array.dtype.itemsize == 4 or syntax.keyword == "jpeg"
        return
    got = round_trip(array, syntax.keyword, bits_stored=bits, high_bit=bits - 1)
    assert got.dtype == array.dtype and abs(got.mean() - array.mean()) <= 1 + (1 << bits) / 10


def few_bits(dtype: str, bits: int) -> np.ndarray:
    low = -(1 << bits - 1) if dtype[0] == "i" else 0
    return NOISE.integers(low, low + (1 << bits), (33, 21)).astype(dtype)


@pytest.mark.parametrize("bits", [2, 8, 11, 16, 17, 24])
@pytest.mark.parametrize("kind", ["u", "i"])
def test_jpeg2000_keeps_few_bits_in_cells_of_four_bytes_and_says_how_few(kind: str, bits: int) -> None:
    array = few_bits(f"{kind}4", bits)
    frame_format = form(array, bits_stored=bits, high_bit=bits - 1)
    data = encode_frame(array, transfer_syntax("jpeg2000"), frame_format)
    assert read_jpeg2000_header(data).precision == bits
    assert np.array_equal(decode_frame(data, transfer_syntax("jpeg2000"), frame_format), array)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda s: s.keyword)
@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_lossless_keeps_colour(syntax: Any, dtype: str, photometric: str) -> None:
    array = NOISE.integers(0, np.iinfo(dtype).max, (12, 19, 3), dtype, endpoint=True)
    if is_refused(array, syntax.keyword, photometric_interpretation=photometric):
        assert photometric == "YBR_FULL"
        return
    got = round_trip(array, syntax.keyword, photometric_interpretation=photometric)
    assert np.array_equal(got, array)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda s: s.keyword)
def test_lossless_keeps_a_real_slice_with_its_padding(syntax: Any, real_data: Path) -> None:
    (array,) = decoded(real_data / "transfer_syntaxes" / "CTImage.dcm")
    assert np.array_equal(round_trip(array, syntax.keyword), array)


@settings(max_examples=60)
@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.int16, np.uint16]),
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=9),
    ),
    st.sampled_from([s.keyword for s in LOSSLESS]),
)
def test_any_small_image_survives_any_lossless_syntax(array: np.ndarray, keyword: str) -> None:
    assert np.array_equal(round_trip(array, keyword), array)


@pytest.mark.parametrize("near", [1, 3, 17])
@pytest.mark.parametrize("signed", [False, True])
def test_near_lossless_jpeg_ls_keeps_its_bound(near: int, signed: bool) -> None:
    array = NOISE.integers(-1000 if signed else 0, 3000, (64, 64)).astype("i2" if signed else "u2")
    syntax, frame_format = transfer_syntax("jpeg-ls-near"), form(array)
    data = encode_frame(array, syntax, frame_format, rate=Rate(near=near))
    assert np.abs(decode_frame(data, syntax, frame_format).astype(int) - array).max() == near


def smooth(peak: int, dtype: str) -> np.ndarray:
    rows, columns = np.mgrid[0:96, 0:96]
    return ((np.sin(rows / 9) + np.cos(columns / 11) + 2) / 4 * peak).astype(dtype)


@pytest.mark.parametrize(
    ("keyword", "peak", "dtype"),
    [
        ("jpeg", 255, "u1"),
        ("jpeg-extended", 4095, "u2"),
        ("jpeg2000-lossy", 4095, "u2"),
        ("jpeg2000-lossy", 2000, "i2"),
        ("htj2k-lossy", 4095, "u2"),
        ("htj2k-lossy", 2000, "i2"),
        ("jpeg-xl-lossy", 4095, "u2"),
    ],
)
def test_more_quality_is_more_bytes_and_less_error(keyword: str, peak: int, dtype: str) -> None:
    array = smooth(peak, dtype)
    if dtype == "i2":
        array -= peak // 2
    stored = {"bits_stored": 12, "high_bit": 11} if dtype != "u1" else {}
    syntax, frame_format = transfer_syntax(keyword), form(array, **stored)
    sizes, errors = [], []
    for quality in (30, 60, 95):
        data = encode_frame(array, syntax, frame_format, rate=Rate(quality=quality))
        sizes.append(len(data))
        errors.append(np.abs(decode_frame(data, syntax, frame_format).astype(int) - array).max())
    assert sizes[0] < sizes[1] < sizes[2]
    assert errors[0] > errors[2]
    assert errors[2] <= peak / 50


def test_extended_jpeg_has_twelve_bits_and_its_own_frame_marker() -> None:
    array = smooth(4095, "u2")
    data = encode_frame(array, transfer_syntax("jpeg-extended"), form(array, bits_stored=12, high_bit=11))
    header = read_jpeg_header(data)
    assert (header.marker, header.codestream.precision) == (0xC1, 12)


def test_jpeg_refuses_what_it_cannot_hold() -> None:
    signed = smooth(2000, "i2")
    for keyword in ("jpeg", "jpeg-extended"):
        with pytest.raises(UnsupportedError, match=" signed"):
            encode_frame(signed, transfer_syntax(keyword), form(signed))
    deep = smooth(60000, "u2")
    with pytest.raises(UnsupportedError, match="16-bit"):
        encode_frame(deep, transfer_syntax("jpeg-extended"), form(deep))
    twelve = smooth(4095, "u2")
    with pytest.raises(UnsupportedError, match=r"12-bit.*1 to 8 bits.*use jpeg-extended"):
        encode_frame(twelve, transfer_syntax("jpeg"), form(twelve, bits_stored=12, high_bit=11))


@pytest.mark.parametrize(
    "syntax", [s for s in LOSSY if s.keyword != "jpeg-extended"], ids=lambda s: s.keyword
)
def test_lossy_colour_comes_back_close_and_its_space_is_named(syntax: Any) -> None:
    array = np.stack([smooth(255, "u1"), smooth(200, "u1"), smooth(100, "u1")], axis=-1)
    given_format = form(array, photometric_interpretation="RGB")
    written = encoded_photometric(syntax, "RGB")
    got = decode_frame(encode_frame(array, syntax, given_format, rate=Rate(quality=95)), syntax, given_format)
    if decoded_photometric(written) == "YBR_FULL":
        from hounsfield.codecs.colour import to_rgb

        got = to_rgb(got, "YBR_FULL")
    assert np.abs(got.astype(int) - array).max() <= 8


def test_rle_segments_are_even_and_rows_do_not_share_runs() -> None:
    array = np.zeros((3, 5), np.uint8)
    data = encode_frame(array, transfer_syntax("rle"), form(array))
    assert len(data) % 2 == 0
    assert data[64:70] == bytes([0xFC, 0]) * 3  # a run of five for each row


@pytest.mark.parametrize("columns", [1, 2, 127, 128, 129, 300])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u4"])
def test_rle_of_noise_is_literal_runs_that_cross_no_row(columns: int, dtype: str) -> None:
    limits = np.iinfo(dtype)
    array = NOISE.integers(limits.min, limits.max, (7, columns), dtype=dtype, endpoint=True)
    data = encode_frame(array, transfer_syntax("rle"), form(array))
    assert np.array_equal(decode_frame(data, transfer_syntax("rle"), form(array)), array)
    row = columns + -(-columns // 128)  # one byte more for each run of at most 128
    planes = array.dtype.itemsize
    assert 0 <= len(data) - 64 - planes * 7 * row <= planes  # and a byte for what is odd


def test_rle_segments_that_only_look_like_literal_runs_are_unpacked_as_any() -> None:
    """A row in two runs of 64 and a replicate run takes as many bytes as one of 128 and one of two."""
    array = np.arange(2 * 130, dtype=np.uint8).reshape(2, 130)
    rows = [bytes([127, *row[:128], 1, *row[128:]]) for row in array]
    odd = bytes([63, *array[1, :64], 63, *array[1, 64:128], 255, array[1, 128]])  # 128 bytes and a run of two
    header = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56)
    data = header + rows[0] + odd
    assert len(data) == len(header + b"".join(rows))
    expected = array.copy()
    expected[1, 129] = array[1, 128]
    decoded = decode_frame(data, transfer_syntax("rle"), form(array))
    assert np.array_equal(decoded, expected)
    assert np.array_equal(decode_frame(header + b"".join(rows), transfer_syntax("rle"), form(array)), array)


@pytest.mark.parametrize(("share", "has_runs"), [(LEAST_RUNS * 0.9, False), (LEAST_RUNS * 1.1, True)])
def test_rle_looks_for_runs_where_there_are_enough(share: float, has_runs: bool) -> None:
    array = (np.arange(64 * 1000) % 251).astype(np.uint8).reshape(64, 1000)
    run = round(share * 1000) + 2  # each byte of it from the third on equals the two before
    array[:, :run] = 7
    data = encode_frame(array, transfer_syntax("rle"), form(array))
    assert (len(data) < array.size) == has_runs
    assert np.array_equal(decode_frame(data, transfer_syntax("rle"), form(array)), array)


def test_rpcl_writes_tile_parts_their_lengths_and_enough_levels() -> None:
    array = NOISE.integers(0, 255, (8, 4100)).astype(np.uint8)
    data = encode_frame(array, transfer_syntax("htj2k-rpcl"), form(array))
    style = data.index(b"\xff\x52")
    assert b"\xff\x55" in data  # TLM
    assert data[style + 5] == 2  # RPCL
    assert 4100 / 2 ** data[style + 9] <= 64
    assert np.array_equal(decode_frame(data, transfer_syntax("htj2k-rpcl"), form(array)), array)


def test_a_jpeg_is_rebuilt_byte_for_byte_from_jpeg_xl() -> None:
    array = smooth(255, "u1")
    jpeg = imagecodecs.jpeg8_encode(array, 80)
    packed = recompress_jpeg(jpeg)  # type: ignore[arg-type]
    assert len(packed) < len(jpeg) and rebuild_jpeg(packed) == jpeg
    expected = decode_frame(jpeg, transfer_syntax("jpeg"), form(array))  # type: ignore[arg-type]
    assert np.array_equal(decode_frame(packed, transfer_syntax("jpeg-xl-jpeg"), form(array)), expected)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda s: s.keyword)
@pytest.mark.parametrize(
    ("shape", "dtype"), [((128, 128), "u1"), ((128, 128), "i2"), ((96, 96, 3), "u1"), ((1, 1), "u2")], ids=str
)
def test_noise_that_grows_by_encoding_and_a_single_pixel_are_held(
    syntax: Any, shape: tuple[int, ...], dtype: str
) -> None:
    limits = np.iinfo(dtype)
    array = NOISE.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    colour: dict[str, Any] = (
        {"samples_per_pixel": 3, "photometric_interpretation": "RGB"} if len(shape) == 3 else {}
    )
    assert np.array_equal(round_trip(array, syntax.keyword, **colour), array)


def test_jpeg_xl_of_deep_noise_stays_within_its_memory() -> None:
    """libjxl 0.11 writes beyond it at effort 1, and the process dies; so in one of its own."""
    script = """
import numpy as np
from hounsfield.codecs import FrameFormat, decode_frame, encode_frame
from hounsfield.dicom.syntaxes import transfer_syntax
syntax, noise = transfer_syntax("jpeg-xl"), np.random.default_rng(7)
for side in (128, 200, 256) * 8:
    array = noise.integers(0, 65536, (side, side)).astype("u2")
    form = FrameFormat(side, side)
    assert np.array_equal(decode_frame(encode_frame(array, syntax, form), syntax, form), array)
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=120)


@pytest.mark.parametrize("seed", [75, 123, 763])
def test_lossless_jpeg_xl_keeps_every_pixel_of_noise_in_colour(seed: int) -> None:
    array = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), "u1")
    assert np.array_equal(round_trip(array, "jpeg-xl", photometric_interpretation="RGB"), array)


def test_near_lossless_jpeg_ls_of_8_bits_says_how_far_it_goes() -> None:
    array = NOISE.integers(0, 256, (16, 16)).astype("u1")
    syntax = transfer_syntax("jpeg-ls-near")
    encode_frame(array, syntax, form(array), rate=Rate(near=127))
    with pytest.raises(UnsupportedError, match="0 to 127"):
        encode_frame(array, syntax, form(array), rate=Rate(near=128))


def test_what_has_no_encoder_says_so() -> None:
    array = smooth(255, "u1")
    for keyword in ("jpeg-spectral", "jpeg-xl-jpeg", "h264"):
        with pytest.raises(UnsupportedError, match="cannot be encoded"):
            encode_frame(array, transfer_syntax(keyword), form(array))


def test_pixels_that_are_not_the_headers_are_refused() -> None:
    with pytest.raises(MalformedError, match="shape"):
        encode_frame(smooth(255, "u1"), transfer_syntax("rle"), FrameFormat(2, 2))


_FIRST_USE = """
import threading, time
from concurrent.futures import ThreadPoolExecutor
import imagecodecs, numpy as np
from hounsfield.codecs import FrameFormat, encode_frame
from hounsfield.dicom.syntaxes import transfer_syntax

calls = []
library = imagecodecs.htj2k_encode

def slow(array, **options):
    began = time.monotonic()
    time.sleep(0.2)
    written = library(array, **options)
    calls.append((began, time.monotonic()))
    return written

imagecodecs.htj2k_encode = slow
array = np.arange(4096, dtype=np.uint16).reshape(64, 64)
frame_format = FrameFormat(64, 64, 1, 16, 16, 15, 0, "MONOCHROME2", 0)
together = threading.Barrier(3)

def encode(_):
    together.wait()
    return encode_frame(array, transfer_syntax("htj2k"), frame_format)

with ThreadPoolExecutor(3) as pool:
    list(pool.map(encode, range(3)))
first, *others = sorted(calls)
assert len(others) == 3 and all(began >= first[1] for began, _ in others), calls
"""


def test_openjph_is_used_by_one_thread_alone_before_it_is_shared() -> None:
    """At its first use it fills tables without a lock: beside it another thread wrote a codestream none could read."""
    subprocess.run([sys.executable, "-c", _FIRST_USE], check=True, capture_output=True, timeout=120)
