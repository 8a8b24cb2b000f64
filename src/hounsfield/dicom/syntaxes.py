"""The transfer syntaxes of PS3.5 and PS3.6 as one table. Pure data: no codec, no I/O.

Every syntax that can hold an image is listed. One that nothing here can read or write is listed too, with a
`note` that says why, so that messages can name it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hounsfield.dicom.extensions import extensions, load_extension
from hounsfield.dicom.uids import GE_PRIVATE
from hounsfield.errors import UnsupportedError
from hounsfield.language import say

_EXPLICIT = "1.2.840.10008.1.2"
_JPEG = "1.2.840.10008.1.2.4."


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """One transfer syntax (PS3.5 section 10 and annex A).

    `keyword` is the short name people type; `family` is the codec family; `lossless` says that the syntax only
    holds reversibly coded pixels. `deflated` means the whole data set is deflated (PS3.5 A.5). `media_type` is
    that of a single frame or bulk datum (PS3.18 8.7.3.3). `readable` and `writable` speak of pixels, here.
    `big_endian_pixels`: Pixel Data alone has the other byte order than the rest.
    """

    uid: str
    name: str
    keyword: str
    lossless: bool
    family: str
    encapsulated: bool = True
    implicit_vr: bool = False
    little_endian: bool = True
    big_endian_pixels: bool = False
    deflated: bool = False
    media_type: str = "application/octet-stream"
    readable: bool = True
    writable: bool = True
    note: str = ""

    @property
    def little_endian_pixels(self) -> bool:
        """The byte order of native pixel cells."""
        return self.little_endian and not self.big_endian_pixels


def _native(uid: str, name: str, keyword: str, **options: Any) -> TransferSyntax:
    return TransferSyntax(uid, name, keyword, True, "native", encapsulated=False, **options)


def _jpeg(suffix: str, name: str, keyword: str, *, lossless: bool = False, **more: Any) -> TransferSyntax:
    return TransferSyntax(
        _JPEG + suffix,
        name,
        keyword,
        lossless,
        "jpeg-lossless" if lossless else "jpeg",
        media_type="image/jpeg",
        **more,
    )


def _of(
    family: str, media_type: str, suffix: str, name: str, keyword: str, *, lossless: bool = False
) -> TransferSyntax:
    return TransferSyntax(_JPEG + suffix, name, keyword, lossless, family, media_type=media_type)


def _stub(uid: str, name: str, keyword: str, family: str, media_type: str, note: str) -> TransferSyntax:
    return TransferSyntax(
        uid, name, keyword, False, family, media_type=media_type, readable=False, writable=False, note=note
    )


_RETIRED = "retired JPEG process that no library here decodes"
_VIDEO = "video: frames are one stream, which no decoder here takes apart"
_REMOTE = "the pixels are at a JPIP server, not in the file"

_READ_AND_WRITTEN = (
    _native(_EXPLICIT, "Implicit VR Little Endian", "implicit", implicit_vr=True),
    _native(_EXPLICIT + ".1", "Explicit VR Little Endian", "explicit"),
    _native(_EXPLICIT + ".2", "Explicit VR Big Endian", "explicit-big-endian", little_endian=False),
    _native(
        GE_PRIVATE,
        "GE Private Implicit VR Little Endian with Big Endian Pixels",
        "ge-private",
        implicit_vr=True,
        big_endian_pixels=True,
        writable=False,
    ),
    _native(_EXPLICIT + ".1.99", "Deflated Explicit VR Little Endian", "deflated", deflated=True),
    TransferSyntax(
        _EXPLICIT + ".1.98",
        "Encapsulated Uncompressed Explicit VR Little Endian",
        "encapsulated",
        True,
        "uncompressed",
    ),
    TransferSyntax(
        _EXPLICIT + ".8.1", "Deflated Image Frame Compression", "deflated-frame", True, "deflated-frame"
    ),
    TransferSyntax(_EXPLICIT + ".5", "RLE Lossless", "rle", True, "rle", media_type="image/dicom-rle"),
    _jpeg("50", "JPEG Baseline (Process 1)", "jpeg"),
    _jpeg("51", "JPEG Extended (Process 2 & 4)", "jpeg-extended"),
    _jpeg("53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 & 8)", "jpeg-spectral", writable=False),
    _jpeg(
        "55", "JPEG Full Progression, Non-Hierarchical (Process 10 & 12)", "jpeg-progressive", writable=False
    ),
    _jpeg("57", "JPEG Lossless, Non-Hierarchical (Process 14)", "jpeg-lossless-14", lossless=True),
    _jpeg("70", "JPEG Lossless, First-Order Prediction (Process 14, SV1)", "jpeg-lossless", lossless=True),
    _of("jpeg-ls", "image/jls", "80", "JPEG-LS Lossless", "jpeg-ls", lossless=True),
    _of("jpeg-ls", "image/jls", "81", "JPEG-LS Lossy (Near-Lossless)", "jpeg-ls-near"),
    _of("jpeg2000", "image/jp2", "90", "JPEG 2000 (Lossless Only)", "jpeg2000", lossless=True),
    _of("jpeg2000", "image/jp2", "91", "JPEG 2000", "jpeg2000-lossy"),
    _of("htj2k", "image/jphc", "201", "High-Throughput JPEG 2000 (Lossless Only)", "htj2k", lossless=True),
    _of(
        "htj2k",
        "image/jphc",
        "202",
        "High-Throughput JPEG 2000 with RPCL Options (Lossless Only)",
        "htj2k-rpcl",
        lossless=True,
    ),
    _of("htj2k", "image/jphc", "203", "High-Throughput JPEG 2000", "htj2k-lossy"),
    _of("jpeg-xl", "image/jxl", "110", "JPEG XL Lossless", "jpeg-xl", lossless=True),
    _of("jpeg-xl", "image/jxl", "111", "JPEG XL JPEG Recompression", "jpeg-xl-jpeg"),
    _of("jpeg-xl", "image/jxl", "112", "JPEG XL", "jpeg-xl-lossy"),
)

_STUBS = (
    *(
        _stub(
            _JPEG + number,
            f"JPEG {name} (Process {process})",
            f"jpeg-process-{keyword}",
            "jpeg",
            "image/jpeg",
            _RETIRED,
        )
        for number, name, process, keyword in (
            ("52", "Extended", "3 & 5", "3"),
            ("54", "Spectral Selection, Non-Hierarchical", "7 & 9", "7"),
            ("56", "Full Progression, Non-Hierarchical", "11 & 13", "11"),
            ("58", "Lossless, Non-Hierarchical", "15", "15"),
            ("59", "Extended, Hierarchical", "16 & 18", "16"),
            ("60", "Extended, Hierarchical", "17 & 19", "17"),
            ("61", "Spectral Selection, Hierarchical", "20 & 22", "20"),
            ("62", "Spectral Selection, Hierarchical", "21 & 23", "21"),
            ("63", "Full Progression, Hierarchical", "24 & 26", "24"),
            ("64", "Full Progression, Hierarchical", "25 & 27", "25"),
            ("65", "Lossless, Hierarchical", "28", "28"),
            ("66", "Lossless, Hierarchical", "29", "29"),
        )
    ),
    *(
        _stub(_JPEG + number, name, keyword, "jpeg2000-part2", "image/jpx", "JPEG 2000 Part 2 components")
        for number, name, keyword in (
            ("92", "JPEG 2000 Part 2 Multi-component (Lossless Only)", "jpeg2000-part2"),
            ("93", "JPEG 2000 Part 2 Multi-component", "jpeg2000-part2-lossy"),
        )
    ),
    *(
        _stub(_JPEG + number, name, keyword, "jpip", "application/octet-stream", _REMOTE)
        for number, name, keyword in (
            ("94", "JPIP Referenced", "jpip"),
            ("95", "JPIP Referenced Deflate", "jpip-deflate"),
            ("204", "JPIP HTJ2K Referenced", "jpip-htj2k"),
            ("205", "JPIP HTJ2K Referenced Deflate", "jpip-htj2k-deflate"),
        )
    ),
    *(
        _stub(_JPEG + number, name, keyword, "video", media_type, _VIDEO)
        for number, name, keyword, media_type in (
            ("100", "MPEG2 Main Profile / Main Level", "mpeg2-ml", "video/mpeg"),
            ("100.1", "Fragmentable MPEG2 Main Profile / Main Level", "mpeg2-ml-f", "video/mpeg"),
            ("101", "MPEG2 Main Profile / High Level", "mpeg2-hl", "video/mpeg"),
            ("101.1", "Fragmentable MPEG2 Main Profile / High Level", "mpeg2-hl-f", "video/mpeg"),
            ("102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", "h264", "video/mp4"),
            ("102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1", "h264-f", "video/mp4"),
            ("103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", "h264-bd", "video/mp4"),
            ("103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible / Level 4.1", "h264-bd-f", "video/mp4"),
            ("104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", "h264-42", "video/mp4"),
            ("104.1", "Fragmentable MPEG-4 AVC/H.264 / Level 4.2 For 2D Video", "h264-42-f", "video/mp4"),
            ("105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", "h264-3d", "video/mp4"),
            ("105.1", "Fragmentable MPEG-4 AVC/H.264 / Level 4.2 For 3D Video", "h264-3d-f", "video/mp4"),
            ("106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", "h264-stereo", "video/mp4"),
            ("106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo / Level 4.2", "h264-stereo-f", "video/mp4"),
            ("107", "HEVC/H.265 Main Profile / Level 5.1", "hevc", "video/mp4"),
            ("108", "HEVC/H.265 Main 10 Profile / Level 5.1", "hevc-10", "video/mp4"),
        )
    ),
    *(
        _stub(
            _EXPLICIT + f".7.{number}",
            f"SMPTE ST 2110-{part}",
            f"smpte-{number}",
            "video",
            "video/raw",
            _VIDEO,
        )
        for number, part in (
            (1, "20 Uncompressed Progressive Active Video"),
            (2, "20 Uncompressed Interlaced Active Video"),
            (3, "30 PCM Digital Audio"),
        )
    ),
)


_OWN = {s.uid: s for s in (*_READ_AND_WRITTEN, *_STUBS)}
_BY_KEYWORD = {s.keyword: s for s in _OWN.values()}


class _Syntaxes(Mapping[str, TransferSyntax]):
    """The table by UID, and behind it the syntaxes of other packages' codecs.

    These are imported when a UID is asked for that this package cannot read, or when all are; a stub is theirs to fill.
    """

    def __getitem__(self, uid: str) -> TransferSyntax:
        own = _OWN.get(uid)
        return own if own is not None and own.readable else _added().get(uid) or _OWN[uid]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*_OWN, *_added())))

    def __len__(self) -> int:
        return len({*_OWN, *_added()})


SYNTAXES: Mapping[str, TransferSyntax] = _Syntaxes()


@cache
def _added() -> Mapping[str, TransferSyntax]:
    """Syntaxes of the codecs that other packages bring (`hounsfield.codecs.rows.Codec.syntaxes`), by UID."""
    codecs = (load_extension("hounsfield.codecs", name) for name in extensions("hounsfield.codecs"))
    return {each.uid: each for codec in codecs for each in getattr(codec, "syntaxes", ())}


def transfer_syntax(uid_or_keyword: str) -> TransferSyntax:
    """The entry of a UID (trailing padding allowed) or of a keyword such as `jpeg-ls`.

    Raises `UnsupportedError` for a name that is not in the table.
    """
    name = str(uid_or_keyword).strip("\0 ")
    keyword = name.lower().replace("_", "-")
    found = _BY_KEYWORD.get(keyword) or SYNTAXES.get(name)
    if found is None or not found.readable:
        found = next((each for each in _added().values() if each.keyword == keyword), found)
    if found is None:
        raise UnsupportedError(
            say("transfer syntax {name} is not known", name=repr(name[:64])),
            expected="a UID of PS3.6 table A-1 or one of " + ", ".join(s.keyword for s in _READ_AND_WRITTEN),
            syntax=name[:64],
        )
    return found
