"""Philips PMSCT_RLE1: what an encoder written here packs, the decoder unpacks."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from dicom_frames import decoded
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from test_codecs_decoding import form

from hounsfield.codecs.frame_format import FrameFormat
from hounsfield.codecs.pmsct_rle import decode_pmsct_rle
from hounsfield.errors import HounsfieldError, MalformedError, TruncatedError


def pack(values: np.ndarray) -> bytes:
    """Differences where they fit and are no token, values behind 5A where not; then runs behind A5."""
    bytes_ = bytearray()
    before = 0
    for value in values.astype(np.uint16).ravel().tolist():
        step = value - before
        if -128 <= step < 128 and step & 0xFF != 0x5A:
            bytes_.append(step & 0xFF)
        else:
            bytes_ += bytes([0x5A, value & 0xFF, value >> 8])
        before = value
    packed = bytearray()
    position = 0
    while position < len(bytes_):
        byte = bytes_[position]
        run = 1
        while run < 256 and position + run < len(bytes_) and bytes_[position + run] == byte:
            run += 1
        packed += bytes([0xA5, run - 1, byte]) if run > 2 or byte == 0xA5 else bytes([byte]) * run
        position += run
    return bytes(packed)


def test_trap_13_a_real_slice_is_unpacked(real_data: Path) -> None:
    (slice_,) = decoded(real_data / "transfer_syntaxes" / "CTImage.dcm")
    packed = pack(slice_)
    assert len(packed) < slice_.nbytes
    assert np.array_equal(decode_pmsct_rle(packed, form(slice_)), slice_)


def test_trap_13_runs_and_tokens_by_hand() -> None:
    # 3 times +1, the value 0x5AA5, then a difference of -2
    data = bytes([0xA5, 2, 1, 0x5A, 0xA5, 0, 0xA5, 0x5A, 0xFE])
    got = decode_pmsct_rle(data, FrameFormat(1, 5))
    assert got.tolist() == [[1, 2, 3, 0x5AA5, 0x5AA3]]


@settings(max_examples=150)
@given(arrays.arrays(np.uint16, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_trap_13_any_values_survive(values: np.ndarray) -> None:
    assert np.array_equal(decode_pmsct_rle(pack(values), form(values)), values)


def test_too_few_pixels_are_truncated() -> None:
    with pytest.raises(TruncatedError):
        decode_pmsct_rle(bytes([1, 2]), FrameFormat(2, 2))
    with pytest.raises(TruncatedError):
        decode_pmsct_rle(b"", FrameFormat(2, 2))


def test_runs_beyond_the_frame_are_refused() -> None:
    with pytest.raises(MalformedError, match="expand"):
        decode_pmsct_rle(bytes([0xA5, 255, 0]) * 1000, FrameFormat(2, 2))


@given(st.binary(max_size=60))
def test_arbitrary_bytes_give_pixels_or_our_error(data: bytes) -> None:
    with suppress(HounsfieldError):
        assert decode_pmsct_rle(data, FrameFormat(2, 3)).shape == (2, 3)
