"""The table of codecs: one row leads to decoding, encoding, headers, limits and isolation of a family.

What a syntax holds are PS3.5's tables 8.2.1-1 to 8.2.15-1, narrowed to what the libraries here write and others read,
and wider in two places only: RLE of 32 bits, which every reader opens (table 8.2.2-1 ends at 16), and native or
uncompressed frames, which hold whatever there is. Codecs of other packages follow those of this one (`rows.Codec`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from hounsfield.codecs.frame_format import FrameFormat, Pixels
from hounsfield.codecs.rows import GREY, PALETTE, Codec, Coding, Row, Trial
from hounsfield.dicom.extensions import extensions, load_extension, named
from hounsfield.errors import UnsupportedError
from hounsfield.language import say

GROUP = "hounsfield.codecs"
Decoder = Callable[[bytes, FrameFormat, Pixels | None], Pixels]

_OLDER, _NEWER = (
    "2026.3.6",
    "2026.10.10",
)  # of imagecodecs: the newest for Python 3.11, and that for later ones
_ROOM = "hounsfield.codecs"
_ENCODERS = f"{_ROOM}.encoders"
_JPEG_START = (b"\xff\xd8",)
_JPEG_2000_START = (b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP")
_SUBSAMPLED = {"RGB": "YBR_FULL_422", "YBR_FULL": "YBR_FULL_422"}
_REVERSIBLE, _IRREVERSIBLE = {"RGB": "YBR_RCT"}, {"RGB": "YBR_ICT"}


def _upto(most: int, least: int = 1) -> range:
    return range(least, most + 1)


_JPEG_8 = Row((*GREY, "RGB", "YBR_FULL"), (8,), _upto(8), bits_after=8)
_JPEG_LOSSLESS = (
    Row(GREY, (8, 16), _upto(16), signed=True),
    Row((*PALETTE, "RGB", "YBR_FULL"), (8, 16), _upto(16)),
)
_WAVELET_COLOUR = ("RGB", "YBR_FULL")
_JPEG_2000 = (
    Row(GREY, (8, 16, 32), _upto(24), signed=True),  # 38 by PS3.5; OpenJPEG writes 24
    Row(_WAVELET_COLOUR, (8, 16), _upto(16)),
)
_HTJ2K_GREY = Row(GREY, (8, 16), _upto(16), signed=True)  # deeper by PS3.5, but OpenJPEG opens no more
_HTJ2K = (_HTJ2K_GREY, Row((*PALETTE, *_WAVELET_COLOUR), (8, 16), _upto(16)))

CODECS: tuple[Codec, ...] = (
    Codec(
        "uncompressed",
        f"{_ROOM}.native:decode_uncompressed",
        Trial("numpy", share=0.0),
        (Coding("encapsulated", f"{_ENCODERS}:uncompressed"),),
        whole_cells=True,
    ),
    Codec(
        "deflated-frame",
        f"{_ROOM}.deflated_frame:decode_deflated_frame",
        Trial("zlib", share=0.0),
        (Coding("deflated-frame", f"{_ENCODERS}:deflated_frame"),),
        whole_cells=True,
    ),
    Codec(
        "rle",
        f"{_ROOM}.rle:decode_rle",
        Trial("imagecodecs", {_OLDER: 66_799}, 0.43),
        (
            Coding(
                "rle",
                f"{_ENCODERS}:rle",
                (
                    Row(GREY, (8, 16, 32), _upto(32), signed=True),
                    Row((*PALETTE, "RGB"), (8, 16), _upto(16)),
                    Row(("YBR_FULL",), (8,), _upto(8)),
                ),
            ),
        ),
        begins=f"{_ROOM}.rle:begins_as_rle",
        preload=("dicomrle_decode",),
        whole_cells=True,
    ),
    Codec(
        "jpeg",
        f"{_ROOM}.jpeg:decode_jpeg",
        Trial("libjpeg-turbo", {_OLDER: 57_895}, 0.55),
        (
            Coding("jpeg", f"{_ENCODERS}:jpeg_baseline", (_JPEG_8,), _SUBSAMPLED),
            Coding(
                "jpeg-extended",
                f"{_ENCODERS}:jpeg_extended",
                (Row(GREY, (8,), _upto(8), bits_after=8), Row(GREY, (16,), _upto(12), bits_after=12)),
                _SUBSAMPLED,
            ),
        ),
        header=f"{_ROOM}.jpeg:read_codestream_header",
        traits=f"{_ROOM}.codestreams:jpeg_traits",
        signatures=_JPEG_START,
        preload=("jpeg8_decode",),
        lossy_method="ISO_10918_1",
    ),
    Codec(
        "jpeg-lossless",
        f"{_ROOM}.jpeg:decode_jpeg",
        Trial("libjpeg-turbo, jpegsof3", {_OLDER: 134_357}, 0.85),
        (
            Coding("jpeg-lossless-14", f"{_ENCODERS}:jpeg_lossless_14", _JPEG_LOSSLESS),
            Coding("jpeg-lossless", f"{_ENCODERS}:jpeg_lossless", _JPEG_LOSSLESS),
        ),
        header=f"{_ROOM}.jpeg:read_codestream_header",
        traits=f"{_ROOM}.codestreams:jpeg_traits",
        signatures=_JPEG_START,
        preload=("jpegsof3_decode",),
    ),
    Codec(
        "jpeg-ls",
        f"{_ROOM}.jpeg:decode_jpeg_ls",
        Trial("CharLS", {_OLDER: 134_046}, 0.9),
        (
            Coding(
                "jpeg-ls",
                f"{_ENCODERS}:jpeg_ls",
                (
                    Row(GREY, (8, 16), _upto(16, 2), signed=True),
                    Row((*PALETTE, "RGB"), (8, 16), _upto(16, 2)),
                    Row(("YBR_FULL",), (8,), _upto(8, 2)),
                ),
            ),
            Coding(
                "jpeg-ls-near",
                f"{_ENCODERS}:jpeg_ls_near",
                (
                    Row(GREY, (8, 16), _upto(16, 2), signed=True, bits_after=0),
                    Row(("RGB",), (8, 16), _upto(16, 2), bits_after=0),
                    Row(("YBR_FULL",), (8,), _upto(8, 2), bits_after=0),
                ),
            ),
        ),
        header=f"{_ROOM}.jpeg:read_codestream_header",
        traits=f"{_ROOM}.codestreams:jpeg_traits",
        signatures=_JPEG_START,
        preload=("jpegls_decode",),
        lossy_method="ISO_14495_1",
    ),
    Codec(
        "jpeg2000",
        f"{_ROOM}.jpeg2000:decode_jpeg2000",
        Trial("OpenJPEG", {_OLDER: 134_570}, 0.97),
        (
            Coding(
                "jpeg2000",
                f"{_ENCODERS}:jpeg2000",
                (*_JPEG_2000, Row(PALETTE, (8, 16), _upto(16))),
                _REVERSIBLE,
            ),
            Coding("jpeg2000-lossy", f"{_ENCODERS}:jpeg2000_lossy", _JPEG_2000, _IRREVERSIBLE),
        ),
        header=f"{_ROOM}.jpeg2000:read_codestream_header",
        traits=f"{_ROOM}.codestreams:jpeg2000_traits",
        signatures=_JPEG_2000_START,
        preload=("jpeg2k_decode",),
        lossy_method="ISO_15444_1",
        states_sign=True,
    ),
    Codec(
        "htj2k",
        f"{_ROOM}.jpeg2000:decode_jpeg2000",
        Trial("OpenJPH", {_OLDER: 200_699, _NEWER: 3_500_000}, 0.75),
        (
            Coding("htj2k", f"{_ENCODERS}:htj2k", _HTJ2K, _REVERSIBLE),
            Coding("htj2k-rpcl", f"{_ENCODERS}:htj2k_rpcl", _HTJ2K, _REVERSIBLE),
            Coding(
                "htj2k-lossy",
                f"{_ENCODERS}:htj2k_lossy",
                (
                    Row(GREY, (8, 16), _upto(16), signed=True, bits_after=0),
                    Row(_WAVELET_COLOUR, (8, 16), _upto(16), bits_after=0),
                ),
                _IRREVERSIBLE,
            ),
        ),
        header=f"{_ROOM}.jpeg2000:read_codestream_header",
        traits=f"{_ROOM}.codestreams:jpeg2000_traits",
        signatures=_JPEG_2000_START,
        preload=("htj2k_decode",),
        lossy_method="ISO_15444_15",
        states_sign=True,
    ),
    Codec(
        "jpeg-xl",
        f"{_ROOM}.jpeg_xl:decode_jpeg_xl",
        Trial("libjxl", {_OLDER: 134_123}, 0.88),
        (
            Coding(
                "jpeg-xl",
                f"{_ENCODERS}:jpeg_xl",
                (Row(GREY, (8, 16), _upto(16), signed=True), Row(("RGB",), (8, 16), _upto(16))),
            ),
            # Of a baseline JPEG only, whose frames are not encoded but packed again.
            Coding("jpeg-xl-jpeg", "", (Row(("MONOCHROME2", "RGB", "YBR_FULL"), (8,), _upto(8, 8)),)),
            Coding(
                "jpeg-xl-lossy",
                f"{_ENCODERS}:jpeg_xl_lossy",
                (Row((*GREY, "RGB"), (8, 16), _upto(16)),),
                {"RGB": "XYB"},
            ),
        ),
        traits=f"{_ROOM}.codestreams:jpeg_xl_traits",
        signatures=(b"\xff\x0a", b"\x00\x00\x00\x0cJXL"),
        preload=("jpegxl_decode", "jpegxl_decode_jpeg", "jpegxl_encode_jpeg"),
        lossy_method="ISO_18181_1",
    ),
)
"""The codecs of this package. `make fuzz` makes the figures of the trials; a version that is not here has none."""

_FAMILIES = {each.family: each for each in CODECS}
_CODINGS = {coding.keyword: coding for each in CODECS for coding in each.codings}


def all_codecs() -> tuple[Codec, ...]:
    """Every codec, those of other packages last."""
    return (*CODECS, *_added())


@cache
def codec_of(family: str) -> Codec | None:
    """The codec of a family; None where nothing decodes it."""
    return _FAMILIES.get(family) or next((each for each in _added() if each.family == family), None)


@cache
def coding_of(keyword: str) -> Coding | None:
    """Return how frames are written in the syntax of this keyword; None where nothing encodes it."""
    if keyword in _CODINGS:
        return _CODINGS[keyword]
    codings = (coding for each in _added() for coding in each.codings)
    return next((coding for coding in codings if coding.keyword == keyword), None)


@cache
def decoder_of(family: str) -> Decoder | None:
    """The function that decodes frames of a family."""
    codec = codec_of(family)
    return None if codec is None else named(codec.decode)


@cache
def _added() -> tuple[Codec, ...]:
    return tuple(_checked(name, load_extension(GROUP, name)) for name in extensions(GROUP))


def _checked(name: str, row: Any) -> Codec:
    if not isinstance(row, Codec) or row.family in _FAMILIES:
        raise UnsupportedError(
            say("the extension {name} is a {name__}", name=repr(name), name__=type(row).__name__),
            expected="a Codec of a family of its own",
            remedy="ask its authors",
        )
    return row
