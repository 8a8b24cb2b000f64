"""Lying, mutated and inflated frames: one of our errors, or pixels of the promised shape; nothing else."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress

import imagecodecs
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from test_codecs_decoding import form

from hounsfield.codecs import MAX_FRAME_BYTES, FrameFormat, decode_frame, decoding, encode_frame, isolation
from hounsfield.dicom.syntaxes import SYNTAXES, transfer_syntax
from hounsfield.errors import HounsfieldError, MalformedError, TruncatedError, UnsupportedError

IMAGE = (np.arange(24 * 20, dtype=np.uint16).reshape(24, 20) * 37) % 4096
CODED = [
    s.keyword
    for s in SYNTAXES.values()
    if s.encapsulated and s.writable and s.keyword not in ("jpeg", "jpeg-xl-jpeg")
]
FORM = form(IMAGE, bits_stored=12, high_bit=11)
STREAMS = {keyword: encode_frame(IMAGE, transfer_syntax(keyword), FORM) for keyword in CODED}
WITH_HEADER = [k for k in CODED if k not in ("encapsulated", "deflated-frame")]


@pytest.mark.parametrize("keyword", WITH_HEADER)
@pytest.mark.parametrize(
    "lie",
    [
        {"rows": 12, "columns": 10},
        {"rows": 48},
        {"columns": 21},
        {"samples_per_pixel": 3},
        {"bits_allocated": 8},
    ],
    ids=str,
)
def test_a_codestream_that_disagrees_with_the_header_is_malformed(keyword: str, lie: dict[str, int]) -> None:
    wrong = form(IMAGE, **({"bits_stored": 8, "high_bit": 7} | lie))
    with pytest.raises(MalformedError):
        decode_frame(STREAMS[keyword], transfer_syntax(keyword), wrong)


@pytest.mark.parametrize("keyword", CODED)
@pytest.mark.parametrize("length", [0, 1, 3, 12, 63, 80])
def test_a_cut_codestream_is_malformed(keyword: str, length: int) -> None:
    with pytest.raises(MalformedError):
        decode_frame(STREAMS[keyword][:length], transfer_syntax(keyword), FORM)


@settings(max_examples=400)
@given(st.sampled_from(CODED), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6))
def test_a_mutated_codestream_gives_pixels_of_the_promised_shape_or_our_error(
    keyword: str, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(STREAMS[keyword])
    for position, value in changes:
        data[position % len(data)] = value
    with suppress(HounsfieldError):
        got = decode_frame(bytes(data), transfer_syntax(keyword), FORM)
        assert got.shape == IMAGE.shape and got.dtype == IMAGE.dtype


@settings(max_examples=200)
@given(st.sampled_from([s.keyword for s in SYNTAXES.values()]), st.binary(max_size=200))
@example("jpeg", b"\xff\xd8\xff\xd9")
@example("jpeg2000", b"\xff\x4f\xff\x51" + b"\xff" * 60)
@example("jpeg-xl", b"\xff\x0a" + b"\xff" * 60)
@example("jpeg-xl", b"\x00\x00\x00\x0cJXL \r\n\x87\n" + b"\0" * 60)
@example("jpeg2000", b"\x00\x00\x00\x0cjP  " + b"\0" * 60)
def test_arbitrary_bytes_give_pixels_or_our_error(keyword: str, data: bytes) -> None:
    with suppress(HounsfieldError):
        decode_frame(data, transfer_syntax(keyword), FORM)


def test_a_header_of_more_bytes_than_the_cap_is_refused_before_anything_else() -> None:
    huge = FrameFormat(65535, 65535)
    assert huge.decoded_bytes > MAX_FRAME_BYTES
    for keyword in ("explicit", "jpeg2000", "deflated-frame"):
        with pytest.raises(UnsupportedError, match="bytes"):
            decode_frame(b"\0" * 100, transfer_syntax(keyword), huge)


def test_a_tiny_codestream_cannot_claim_a_huge_frame() -> None:
    stream = bytearray(STREAMS["jpeg-ls"])
    position = stream.index(b"\xff\xf7")
    stream[position + 5 : position + 9] = struct.pack(">HH", 30000, 30000)
    with pytest.raises(MalformedError, match="expansion"):
        decode_frame(bytes(stream), transfer_syntax("jpeg-ls"), FrameFormat(30000, 30000))


def test_a_deflate_bomb_is_inflated_no_further_than_the_frame_and_refused() -> None:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflater.compress(b"\0" * 50_000_000) + deflater.flush()
    with pytest.raises(MalformedError, match="does not end after 960 bytes"):
        decode_frame(bomb, transfer_syntax("deflated-frame"), FORM)


def test_a_deflated_frame_padded_to_even_length_before_it_was_deflated_is_read() -> None:
    odd = np.arange(15, dtype=np.uint8).reshape(3, 5)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    stream = deflater.compress(odd.tobytes() + b"\0") + deflater.flush() + b"\0"
    assert np.array_equal(decode_frame(stream, transfer_syntax("deflated-frame"), form(odd)), odd)


def test_an_rle_frame_with_too_many_bytes_is_refused() -> None:
    header = struct.pack("<16I", 2, 64, 200, *[0] * 13)
    data = header + b"\x81\0" * 68 + b"\x81\0" * 68
    with pytest.raises(MalformedError):
        decode_frame(data, transfer_syntax("rle"), form(np.zeros((4, 4), np.uint16)))


def test_jpeg2000_of_a_million_tiles_is_refused() -> None:
    stream = bytearray(STREAMS["jpeg2000"])
    stream[8:16] = struct.pack(">II", 65000, 65000)
    stream[24:32] = struct.pack(">II", 1, 1)
    with pytest.raises(MalformedError, match="tiles"):
        decode_frame(bytes(stream), transfer_syntax("jpeg2000"), FrameFormat(100, 100))


def test_jpeg_without_its_end_is_truncated_not_grey() -> None:
    stream = imagecodecs.jpeg8_encode(IMAGE, 95, bitspersample=12)
    with pytest.raises(TruncatedError, match="end-of-image"):
        decode_frame(stream[:-2], transfer_syntax("jpeg-extended"), FORM)  # type: ignore[arg-type]


def jpeg_in_pieces(keyword: str) -> tuple[bytes, bytes]:
    """A codestream's headers, and its entropy-coded data without the end of image."""
    stream = STREAMS[keyword]
    scan = stream.index(b"\xff\xda")
    begin = scan + 2 + int.from_bytes(stream[scan + 2 : scan + 4], "big")
    return stream[:begin], stream[begin:].rstrip(b"\0")[:-2]


@pytest.mark.parametrize("keyword", ["jpeg-extended", "jpeg-lossless", "jpeg-lossless-14"])
@pytest.mark.parametrize("marker", [b"\xff\x17", b"\xff\xd3", b"\xff\xd8", b"\xff\xc0", b"\xff\xff\x01"])
def test_a_jpeg_damaged_in_the_middle_is_refused_where_the_damage_makes_a_marker(
    keyword: str, marker: bytes
) -> None:
    headers, scan = jpeg_in_pieces(keyword)
    middle = len(scan) // 2
    damaged = headers + scan[:middle] + marker + scan[middle + len(marker) :] + b"\xff\xd9"
    with pytest.raises(MalformedError, match=f"marker FF{marker[-1]:02X} at byte"):
        decode_frame(damaged, transfer_syntax(keyword), FORM)


def test_a_jpeg_that_ends_in_its_middle_is_refused() -> None:
    headers, scan = jpeg_in_pieces("jpeg-lossless")
    ended = headers + scan[:200] + b"\xff\xd9" + scan[202:] + b"\xff\xd9"
    with pytest.raises(MalformedError, match="ends at byte"):
        decode_frame(ended, transfer_syntax("jpeg-lossless"), FORM)


def with_restarts() -> bytes:
    """A lossless JPEG of two rows in two intervals, put together from two of one row each."""
    row = np.arange(64, dtype=np.uint8).reshape(1, 64)
    stream = imagecodecs.jpeg8_encode(row, lossless=True, predictor=1)
    scan = stream.index(b"\xff\xda")
    begin = scan + 2 + int.from_bytes(stream[scan + 2 : scan + 4], "big")
    frame = stream.index(b"\xff\xc3")
    headers = bytearray(stream[:begin])
    headers[frame + 5 : frame + 7] = (2).to_bytes(2, "big")
    interval = b"\xff\xdd\0\4\0\x40"
    data = stream[begin:-2]
    return bytes(headers[:scan]) + interval + bytes(headers[scan:]) + data + b"\xff\xd0" + data + b"\xff\xd9"


def test_restart_markers_are_read_in_their_turn_and_refused_out_of_it() -> None:
    image = np.arange(64, dtype=np.uint8).reshape(1, 64).repeat(2, axis=0)
    stream = with_restarts()
    assert np.array_equal(decode_frame(stream, transfer_syntax("jpeg-lossless"), form(image)), image)
    with pytest.raises(MalformedError, match="marker FFD1"):
        decode_frame(stream.replace(b"\xff\xd0", b"\xff\xd1"), transfer_syntax("jpeg-lossless"), form(image))


def test_an_image_behind_the_jpeg_of_a_frame_is_no_damage() -> None:
    twice = STREAMS["jpeg-lossless"] * 2
    assert np.array_equal(decode_frame(twice, transfer_syntax("jpeg-lossless"), FORM), IMAGE)


@pytest.mark.parametrize(("more", "in_child"), [(0, False), (58, False), (59, True)])
def test_a_jpeg_of_very_many_scans_is_decoded_in_a_child(
    more: int, in_child: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scans of ten bytes, each over the whole image: a megabyte of them would take minutes."""
    monkeypatch.delenv(isolation.VARIABLE, raising=False)
    grey = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    written = io.BytesIO()
    Image.fromarray(grey).save(written, "JPEG", progressive=True)
    plain = written.getvalue()
    assert plain.count(b"\xff\xda") == 6
    last = plain.rindex(b"\xff\xda")
    stream = plain[:-2] + plain[last : last + 12] * more + b"\xff\xd9"
    asked: list[object] = []
    there = decoding.decode_in_child
    monkeypatch.setattr(decoding, "decode_in_child", lambda *given: (asked.append(1), there(*given))[1])  # type: ignore[func-returns-value]
    syntax, frame_format = transfer_syntax("jpeg-progressive"), form(grey, bits_stored=8, high_bit=7)
    assert decode_frame(stream, syntax, frame_format).shape == grey.shape
    assert bool(asked) == in_child
