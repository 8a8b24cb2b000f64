"""Marker segments of JPEG 2000 held against ISO/IEC 15444-1 annex A: just legal, just not, and legal but seldom."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest

from hounsfield.codecs import FrameFormat, Rate, decode_frame, decoding, encode_frame
from hounsfield.codecs.jpeg2000 import _read_siz
from hounsfield.codecs.jpeg2000_segments import MOST_BITPLANES, Coding, check_segments
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.errors import HounsfieldError, MalformedError, TruncatedError, UnsupportedError

SIDE = 64
IMAGE = (np.add.outer(np.arange(SIDE) * 21, np.arange(SIDE) * 35) % 4096).astype(np.uint16)
FORM = FrameFormat(SIDE, SIDE, 1, 16, 12, 11)
KEYWORDS = ("jpeg2000", "jpeg2000-lossy", "htj2k", "htj2k-rpcl", "htj2k-lossy")
STREAMS = {k: encode_frame(IMAGE, transfer_syntax(k), FORM, rate=Rate(quality=80)) for k in KEYWORDS}
COD, QCD, SOT = b"\xff\x52", b"\xff\x5c", b"\xff\x90"


@pytest.fixture(autouse=True)
def _by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOUNSFIELD_ISOLATE", raising=False)


def coding(data: bytes) -> Coding:
    header, tiles, _ = _read_siz(data)
    return check_segments(data, components=header.components, tiles=tiles)


def changed(keyword: str, marker: bytes, at: int, value: bytes) -> bytes:
    """A codestream with `value` at byte `at` behind a marker."""
    data = bytearray(STREAMS[keyword])
    start = data.index(marker) + 2 + at
    data[start : start + len(value)] = value
    return bytes(data)


def inserted(keyword: str, segment: bytes) -> bytes:
    """A codestream with one more segment at the end of its main header."""
    data = STREAMS[keyword]
    at = data.index(SOT)
    return data[:at] + segment + data[at:]


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def quantisation(keyword: str) -> bytes:
    data = STREAMS[keyword]
    start = data.index(QCD) + 2
    return data[start + 2 : start + int.from_bytes(data[start : start + 2], "big")]


def with_magnitude_bits(keyword: str, bitplanes: int) -> bytes:
    """A codestream whose subbands have so many magnitude bits at most, by the exponents of its steps."""
    exponents = [value >> 3 for value in quantisation(keyword)[1::2]]
    data, start = bytearray(STREAMS[keyword]), STREAMS[keyword].index(QCD) + 5
    # Finer steps and as many more bits for them: the same image.
    for at in range(len(exponents)):
        data[start + 2 * at] += (bitplanes - max(exponents)) << 3
    assert data[start - 1] >> 5 == 1
    return bytes(data)


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_our_own_codestreams_are_legal_and_proven(keyword: str) -> None:
    found = coding(STREAMS[keyword])
    assert found.unproven == "" and not found.is_deep
    assert found.high_throughput == keyword.startswith("htj2k")
    assert found.irreversible == keyword.endswith("lossy")


LAST = (1 << 32) - 1
GEOMETRY = {  # byte of SIZ behind its marker, value; legal or not
    "tile offset within the image": (28, b"\0\0\0\0", True),
    "tile offset beyond the image offset": (28, b"\0\0\0\1", False),
    "largest tile offset": (28, LAST.to_bytes(4, "big"), False),
    "largest vertical tile offset": (32, LAST.to_bytes(4, "big"), False),
    "a tile larger than the image": (20, LAST.to_bytes(4, "big"), True),
    "no tile": (20, b"\0\0\0\0", False),
    "a wrong length": (0, b"\0\x2a", False),
}


@pytest.mark.parametrize("keyword", ["jpeg2000", "htj2k"])
@pytest.mark.parametrize("name", GEOMETRY)
def test_geometry_of_siz(keyword: str, name: str) -> None:
    at, value, is_legal = GEOMETRY[name]
    data = changed(keyword, b"\xff\x51", at, value)
    if is_legal:
        coding(data)
    else:
        with pytest.raises(MalformedError):
            decode_frame(data, transfer_syntax(keyword), FORM)


def test_a_first_tile_that_ends_where_the_image_begins_is_malformed() -> None:
    """Image from 8 to 72; tiles of 8 and of 9 from 0: the first must hold a part of the image (B-3, B-4)."""
    for width, is_legal in ((8, False), (9, True)):
        data = changed("htj2k", b"\xff\x51", 4, (72).to_bytes(4, "big"))
        data = data[:16] + (8).to_bytes(4, "big") + data[20:]
        data = data[:24] + width.to_bytes(4, "big") + data[28:]
        if is_legal:
            assert _read_siz(data)[1] == 8
        else:
            with pytest.raises(MalformedError, match="the first to hold"):
                _read_siz(data)


@pytest.mark.parametrize("keyword", ["jpeg2000", "htj2k"])
def test_every_tile_must_be_there(keyword: str) -> None:
    """Decoders leave those that are not as they find them, after work for each, and tell nobody."""
    data = changed(keyword, b"\xff\x51", 20, (SIDE // 2).to_bytes(4, "big"))
    with pytest.raises(TruncatedError, match="with 1 of its 2 tiles"):
        decode_frame(data, transfer_syntax(keyword), FORM)
    at = data.index(SOT)
    part = data[at:-2]
    second = part[:4] + b"\0\1" + part[6:]
    coding(data[:at] + part + second + b"\xff\xd9")
    with pytest.raises(TruncatedError, match="with 1 of its 2 tiles"):
        coding(data[:at] + part + part + b"\xff\xd9")


@pytest.mark.parametrize(("tiles", "is_proven"), [(32 * 32, True), (33 * 32, False)])
def test_very_many_tiles_are_for_a_child(tiles: int, is_proven: bool) -> None:
    data = bytearray(STREAMS["htj2k"])
    data[8:16] = struct.pack(">II", 32, tiles // 32)
    data[24:32] = struct.pack(">II", 1, 1)
    at = data.index(SOT)
    parts = [SOT + struct.pack(">HHIBB", 10, tile, 14, 0, 1) + b"\xff\x93" for tile in range(tiles)]
    found = coding(bytes(data[:at]) + b"".join(parts) + b"\xff\xd9")
    assert (found.unproven == "") == is_proven


SEGMENTS = {  # marker, byte behind it, the last legal value, the first that is not
    "progression order": (COD, 3, 4, 5),
    "style": (COD, 2, 6, 8),
    "levels": (COD, 7, None, 33),
    "width of a code-block": (COD, 8, 4, 9),
    "wavelet": (COD, 11, 1, 2),
    "style of quantisation": (QCD, 2, None, 0x43),
}


@pytest.mark.parametrize("keyword", ["jpeg2000", "htj2k"])
@pytest.mark.parametrize("name", SEGMENTS)
def test_values_of_segments(keyword: str, name: str) -> None:
    marker, at, last, beyond = SEGMENTS[name]
    if last is not None:
        coding(changed(keyword, marker, at, bytes([last])))
    with pytest.raises(MalformedError):
        decode_frame(changed(keyword, marker, at, bytes([beyond])), transfer_syntax(keyword), FORM)


def test_a_quantisation_of_fewer_subbands_than_there_are_is_malformed() -> None:
    levels = (len(quantisation("htj2k")) - 2) // 3
    coding(changed("htj2k", COD, 7, bytes([levels])))
    with pytest.raises(MalformedError, match="subbands"):
        coding(changed("htj2k", COD, 7, bytes([levels + 1])))


@pytest.mark.parametrize(
    "broken",
    [
        lambda data: data.replace(COD, b"\xff\x64", 1),
        lambda data: data.replace(QCD, b"\xff\x64", 1),
        lambda data: data.replace(SOT, b"\xff\x64", 1),
        lambda data: data.replace(SOT + b"\0\x0a\0\0", SOT + b"\0\x0a\0\1", 1),
        lambda data: data.replace(SOT + b"\0\x0a", SOT + b"\0\x0b", 1),
        lambda data: data.replace(b"\xff\x93", b"\xff\x64", 1),
    ],
    ids=["no COD", "no QCD", "no tile-part", "a tile too many", "a long SOT", "no data"],
)
@pytest.mark.parametrize("keyword", ["jpeg2000", "htj2k"])
def test_headers_that_lack_something_are_malformed(keyword: str, broken: Callable[[bytes], bytes]) -> None:
    with pytest.raises(MalformedError):
        decode_frame(broken(STREAMS[keyword]), transfer_syntax(keyword), FORM)


@pytest.mark.parametrize("keyword", ["jpeg2000", "htj2k"])
def test_a_cut_within_the_main_header_is_truncated(keyword: str) -> None:
    for cut in range(60, STREAMS[keyword].index(SOT), 7):
        with pytest.raises(TruncatedError):
            decode_frame(STREAMS[keyword][:cut], transfer_syntax(keyword), FORM)


SELDOM = {
    "QCC": lambda: segment(0x5D, b"\0" + quantisation("htj2k")),
    "COM": lambda: segment(0x64, b"\0\1hounsfield"),
    "PLM": lambda: segment(0x57, b"\0\0"),
    "CRG": lambda: segment(0x63, b"\0\0\0\0"),
    "unknown": lambda: segment(0x75, b"\0\0"),
}


@pytest.mark.parametrize("name", ["QCC", "unknown"])
def test_what_is_legal_and_seldom_is_decoded_in_a_child(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never refused: the same image, from a process that may die of it."""
    data = inserted("htj2k", SELDOM[name]())
    asked = []
    in_child = decoding.decode_in_child

    def spied(*args: object) -> np.ndarray:
        asked.append(name)
        return in_child(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(decoding, "decode_in_child", spied)
    assert coding(data).unproven
    assert np.array_equal(decode_frame(data, transfer_syntax("htj2k"), FORM), IMAGE)
    assert asked == [name]
    monkeypatch.setenv("HOUNSFIELD_ISOLATE", "never")
    assert np.array_equal(decode_frame(data, transfer_syntax("htj2k"), FORM), IMAGE)
    assert asked == [name], "never is never"


@pytest.mark.parametrize("name", ["COM", "PLM", "CRG"])
def test_what_every_decoder_steps_over_needs_no_child(name: str) -> None:
    data = inserted("jpeg2000", SELDOM[name]())
    assert coding(data).unproven == ""
    assert np.array_equal(decode_frame(data, transfer_syntax("jpeg2000"), FORM), IMAGE)


def test_magnitude_bits_up_to_the_limit_are_openjphs_and_one_more_is_not() -> None:
    """9/7 with 30 magnitude bits is decoded here; with 31 it is legal, and never OpenJPH's before 0.32."""
    expected = decode_frame(STREAMS["htj2k-lossy"], transfer_syntax("htj2k-lossy"), FORM)
    last, beyond = (with_magnitude_bits("htj2k-lossy", MOST_BITPLANES + more) for more in (0, 1))
    assert coding(last).bitplanes == MOST_BITPLANES and coding(last).unproven == ""
    assert np.array_equal(decode_frame(last, transfer_syntax("htj2k-lossy"), FORM), expected)
    assert coding(beyond).is_deep and "31" in coding(beyond).unproven
    try:
        got = decode_frame(beyond, transfer_syntax("htj2k-lossy"), FORM)
    except UnsupportedError as error:
        assert "31 magnitude bits" in str(error) and "imagecodecs" in str(error)
    else:
        assert np.array_equal(got, expected)


def test_mutated_headers_kill_nothing() -> None:
    """A taste of `make fuzz`: every byte of the headers, set to what is most likely to hurt."""
    for keyword in KEYWORDS:
        data = STREAMS[keyword]
        for at in range(4, data.index(SOT) + 14):
            for value in (0, 1, 0x7F, 0x80, 0xFF):
                mutant = data[:at] + bytes([value]) + data[at + 1 :]
                try:
                    assert decode_frame(mutant, transfer_syntax(keyword), FORM).shape == IMAGE.shape
                except HounsfieldError:
                    continue
