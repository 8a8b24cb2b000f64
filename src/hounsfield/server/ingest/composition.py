"""A Part 10 file made of metadata and of bulk data that came beside it (PS3.18 8.7.3, 10.5.2; PS3.10 7).

Composed once everything was checked, and piece by piece: long values are copied from where they lie and never wait
in memory. The same metadata and bulk data give the same bytes. No HTTP here, and nothing is fetched from anywhere.
"""

from __future__ import annotations

import re
import struct
import warnings
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from hounsfield.codecs import FrameFormat
from hounsfield.codecs.jpeg import jpeg_syntax
from hounsfield.ct.instance import Source
from hounsfield.dicom.encoding import EXPLICIT_LITTLE, UNDEFINED
from hounsfield.dicom.syntaxes import SYNTAXES, TransferSyntax
from hounsfield.dicom.vr import KNOWN, SHORT
from hounsfield.dicomweb.attributes import first
from hounsfield.dicomweb.dicom_json import Model, to_dataset
from hounsfield.dicomweb.media_types import DEFAULT_TRANSFER_SYNTAX, EXPLICIT_LITTLE_ENDIAN, OCTETS, MediaType
from hounsfield.dicomweb.uids import is_uid
from hounsfield.errors import HounsfieldError, MalformedError, UnsupportedError
from hounsfield.language import say
from hounsfield.server.ingest.codestream import HEAD_BYTES, bare_at, describe

if TYPE_CHECKING:
    from pydicom import Dataset

IMPLEMENTATION = "2.25.302843402903853742938470293847029384"
MAX_NESTED_BYTES = 16 * 1024 * 1024
"""Bulk data of one instance that lie within sequences; those are made in memory."""

_TEXT = frozenset(b"UC UR UT".split())
_TAG = re.compile("[0-9A-F]{8}")
_PIXELS = {"7FE00010": "OW", "7FE00008": "OF", "7FE00009": "OD"}
_LONGEST = 0xFFFFFFFE
_READ = 1 << 20
_IMPLICIT = "1.2.840.10008.1.2"
_UTF8 = "ISO_IR 192"
_NOT_KEPT = frozenset({"00020010", "00083002"})
"""Attributes that state an encoding that the file may not have."""

_NEEDED = ("Rows", "Columns", "BitsAllocated", "SamplesPerPixel", "PhotometricInterpretation")


@dataclass(frozen=True, slots=True)
class Bulk:
    """Bytes `start` to `start + size` of `source`, and what they are said to be."""

    source: Source
    start: int
    size: int
    media_type: MediaType

    def pieces(self) -> Iterator[bytes]:
        with self.source.open() as stream:
            stream.seek(self.start)
            left = self.size
            while left and (piece := stream.read(min(left, _READ))):
                left -= len(piece)
                yield piece

    def head(self, size: int) -> bytes:
        with self.source.open() as stream:
            stream.seek(self.start)
            return stream.read(min(size, self.size))

    def bare(self) -> Bulk:
        """A codestream without a file format around it."""
        skipped = bare_at(self.head(HEAD_BYTES))
        return replace(self, start=self.start + skipped, size=self.size - skipped)


_Value = tuple[int, bytes, Iterator[bytes]]
"""A long value: its tag, what stands before it, and the value in pieces."""

Finder = Callable[[str], Sequence[Bulk]]
"""The bulk data at a BulkDataURI, in the order in which they came; none where nothing came."""


def composed(model: Model, bulk: Finder) -> Iterator[bytes]:
    """The file in pieces. Raises `MalformedError` or `UnsupportedError` before the first of them."""
    long = {
        tag: str(element["BulkDataURI"])
        for tag, element in model.items()
        if isinstance(element, Mapping) and "BulkDataURI" in element and "InlineBinary" not in element
    }
    for tag in long:
        if not _TAG.fullmatch(tag) or model[tag].get("vr") == "SQ":
            raise MalformedError(
                say("{tag} as bulk data", tag=repr(tag[:32])), expected="an element that is no sequence"
            )
    short = {tag: each for tag, each in model.items() if tag not in long and tag not in _NOT_KEPT}
    dataset = _dataset(short, bulk)
    found = {tag: _given(tag, uri, bulk) for tag, uri in sorted(long.items())}
    syntax = SYNTAXES[EXPLICIT_LITTLE_ENDIAN]
    values: list[_Value] = []
    for tag, parts in found.items():
        if tag == "7FE00010":
            syntax = _syntax(parts, first(model, "00020010") or first(model, "00083002"))
        if tag == "7FE00010" and syntax.encapsulated:
            values.append((int(tag, 16), *_encapsulated(_frames(dataset, parts, syntax))))
        else:
            if tag in _PIXELS:
                _check_native(dataset, tag, parts)
            values.append((int(tag, 16), *_plain(tag, _vr(tag, model[tag], dataset), parts)))
    return _written(dataset, syntax, values)


def _dataset(model: Model, bulk: Finder) -> Dataset:
    """Return the short values as a data set; a value that cannot be read is an error, since nothing may be lost."""
    from pydicom.dataelem import DataElement

    left = MAX_NESTED_BYTES
    problems: list[str] = []

    def nested(path: str, uri: str) -> bytes:
        nonlocal left
        (part, *_) = _given(path, uri, bulk)
        left -= part.size
        if left < 0:
            raise UnsupportedError(
                "too much bulk data within sequences",
                expected=say("at most {max_nested_bytes} bytes", max_nested_bytes=MAX_NESTED_BYTES),
            )
        return b"".join(part.pieces())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = to_dataset(model, bulk=nested, problems=problems)
    if problems:
        raise MalformedError(
            say("malformed metadata: {problems}", problems=problems[0]), expected="DICOM JSON (PS3.18 F)"
        )
    for tag in [tag for tag in dataset.keys() if tag.group < 8 or tag.element == 0]:  # noqa: SIM118
        del dataset[tag]
    # JSON and XML are Unicode, whatever the instance was before.
    dataset[0x00080005] = DataElement(0x00080005, "CS", _UTF8)
    return dataset


def _given(path: str, uri: str, bulk: Finder) -> Sequence[Bulk]:
    parts = bulk(uri)
    if not parts:
        raise MalformedError(
            say("{path}: no part of this request is its bulk data {uri}", path=path, uri=repr(uri[:100])),
            expected="a part with that Content-Location",
        )
    return parts


def _syntax(parts: Sequence[Bulk], stated: str) -> TransferSyntax:
    """The transfer syntax of pixels: named with the part, else in the metadata, else the media type's own."""
    kind = parts[0].media_type
    if any(part.media_type != kind for part in parts):
        raise MalformedError("frames of several media types", expected="one for all frames of an instance")
    if kind.name == OCTETS or not _holds(kind, stated):
        stated = ""
    uid = kind.parameter("transfer-syntax") or stated or _default(parts[0])
    known = SYNTAXES.get(uid)
    if known is None or not _holds(kind, uid):
        what = known.name if known is not None else f"transfer syntax {uid[:64]!r}"
        raise UnsupportedError(
            say("Pixel Data as {name} in {what}", name=kind.name[:64], what=what),
            expected="PS3.18 Table 8.7.3-5",
            code=0xC122,
        )
    if known.encapsulated:
        return known
    if known.deflated or not known.little_endian:
        raise UnsupportedError(
            say("bulk data in {name}", name=known.name), expected="Little Endian", code=0xC122
        )
    return SYNTAXES[EXPLICIT_LITTLE_ENDIAN]


def _holds(kind: MediaType, uid: str) -> bool:
    """Whether pixels of a media type may be in a transfer syntax."""
    known = SYNTAXES.get(uid)
    return known is not None and kind.name in {OCTETS, known.media_type}


def _default(part: Bulk) -> str:
    """Return the syntax that a media type means by itself; JPEG's process is read from its own frame header."""
    known = jpeg_syntax(part.head(HEAD_BYTES)) if part.media_type.name == "image/jpeg" else None
    return known or DEFAULT_TRANSFER_SYNTAX.get(part.media_type.name, "")


def _frames(dataset: Dataset, parts: Sequence[Bulk], syntax: TransferSyntax) -> Sequence[Bulk]:
    """The codestreams of all frames, held against the metadata, which they complete."""
    frames = _integer(dataset, "NumberOfFrames", 1)
    whole = syntax.family in {"video", "jpeg2000-part2"}
    if len(parts) != (1 if whole else frames):
        expected = "1" if whole else f"one for each of {frames} frames"
        raise MalformedError(say("{count} parts of Pixel Data", count=len(parts)), expected=expected)
    if not all(0 < part.size < _LONGEST for part in parts):
        raise UnsupportedError("a frame of no or of more than 4 GiB")
    bare = [part.bare() for part in parts]
    describe(dataset, bare[0].head(HEAD_BYTES), syntax)
    _check_described(dataset, _NEEDED)
    return bare


def _check_described(dataset: Dataset, needed: Sequence[str]) -> None:
    missing = [name for name in needed if dataset.get(name) in (None, "")]
    if missing:
        raise MalformedError(say("Pixel Data, but no {listed} in the metadata", listed=", ".join(missing)))


def _check_native(dataset: Dataset, key: str, parts: Sequence[Bulk]) -> None:
    """Hold the length of what came against what the metadata says of it."""
    _check_described(dataset, _NEEDED if key == "7FE00010" else _NEEDED[:2])
    expected = _native_bytes(dataset, key, _integer(dataset, "NumberOfFrames", 1))
    if len(parts) != 1 or parts[0].size not in {expected, expected + expected % 2}:
        found = sum(part.size for part in parts)
        raise MalformedError(
            say("{found} bytes of Pixel Data in {count} parts", found=found, count=len(parts)),
            expected=say("{expected} in one", expected=expected),
        )


def _native_bytes(dataset: Dataset, key: str, frames: int) -> int:
    cells = _integer(dataset, "Rows", 0) * _integer(dataset, "Columns", 0)
    if key != "7FE00010":
        return cells * frames * (4 if key == "7FE00008" else 8)
    bits, samples = _integer(dataset, "BitsAllocated", 16), _integer(dataset, "SamplesPerPixel", 1)
    if bits == 1:
        return (cells * samples * frames + 7) // 8
    form = FrameFormat(
        _integer(dataset, "Rows", 0), _integer(dataset, "Columns", 0), samples, bits,
        photometric_interpretation=str(dataset.PhotometricInterpretation),
    )  # fmt: skip
    return form.native_bytes * frames


def _integer(dataset: Dataset, name: str, default: int) -> int:
    value = dataset.get(name)
    try:
        return default if value in (None, "") else int(value)
    except (TypeError, ValueError) as error:
        raise MalformedError(say("{name} is not a number", name=name)) from error


def _vr(key: str, element: Mapping[str, Any], dataset: Dataset) -> bytes:
    if key == "7FE00010":
        return b"OW" if _integer(dataset, "BitsAllocated", 16) > 8 else b"OB"
    vr = str(element.get("vr") or _PIXELS.get(key, "UN")).encode("ascii", "replace")
    return vr if vr in KNOWN and vr != b"SQ" else b"UN"


def _plain(tag: str, vr: bytes, parts: Sequence[Bulk]) -> tuple[bytes, Iterator[bytes]]:
    part = parts[0]
    length = part.size + part.size % 2
    if length > _LONGEST or len(parts) > 1:
        raise UnsupportedError(
            say("{count} parts of {size} bytes as one value", count=len(parts), size=part.size),
            expected="one below 4 GiB",
        )
    head = EXPLICIT_LITTLE.header(int(tag, 16), vr, length)
    text_filler = b"\0" if vr == b"UI" else b" "
    return head, _padded(part, text_filler if (vr in SHORT and length <= 0xFFFE) or vr in _TEXT else b"\0")


def _encapsulated(parts: Sequence[Bulk]) -> tuple[bytes, Iterator[bytes]]:
    """Pixel Data of one fragment a frame, with a Basic Offset Table where it fits (PS3.5 A.4)."""
    sizes = [part.size + part.size % 2 for part in parts]
    offsets = list(accumulate((size + 8 for size in sizes), initial=0))[:-1]
    table = struct.pack(f"<{len(offsets)}I", *offsets) if offsets[-1] < _LONGEST else b""
    head = EXPLICIT_LITTLE.header(0x7FE00010, b"OB", UNDEFINED)

    def items() -> Iterator[bytes]:
        for part, size in zip(parts, sizes, strict=True):
            yield EXPLICIT_LITTLE.item(size)
            yield from _padded(part)
        yield EXPLICIT_LITTLE.sequence_end

    return head + EXPLICIT_LITTLE.item(len(table)) + table, items()


def _padded(part: Bulk, filler: bytes = b"\0") -> Iterator[bytes]:
    yield from part.pieces()
    if part.size % 2:
        yield filler


def _written(dataset: Dataset, syntax: TransferSyntax, values: Sequence[_Value]) -> Iterator[bytes]:
    """Meta information and elements in the order of their tags, long values where they belong."""
    tags = sorted(dataset.keys())
    cuts = [0, *(bisect(tags, tag) for tag, _, _ in values), len(tags)]
    segments = [_segment(dataset, tags[start:stop]) for start, stop in pairwise(cuts)]

    def pieces() -> Iterator[bytes]:
        yield segments[0]
        for (_, head, content), segment in zip(values, segments[1:], strict=True):
            yield head
            yield from content
            yield segment

    segments[0] = _meta(dataset, syntax) + segments[0]
    return pieces()


def _meta(dataset: Dataset, syntax: TransferSyntax) -> bytes:
    from pydicom.dataset import FileMetaDataset
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_file_meta_info
    from pydicom.uid import UID

    meta = FileMetaDataset()
    for name, key in (
        ("MediaStorageSOPClassUID", "SOPClassUID"),
        ("MediaStorageSOPInstanceUID", "SOPInstanceUID"),
    ):
        uid = str(dataset.get(key) or "")
        if not is_uid(uid):
            found = f"{uid[:64]!r} is no {key}" if uid else f"no {key} in the metadata"
            raise MalformedError(found, expected="digits and single dots, at most 64")
        setattr(meta, name, UID(uid))
    meta.TransferSyntaxUID = UID(syntax.uid)
    meta.ImplementationClassUID = UID(IMPLEMENTATION)
    meta.ImplementationVersionName = "HOUNSFIELD"
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_file_meta_info(out, meta, enforce_standard=True)
    return b"\0" * 128 + b"DICM" + out.getvalue()


def _segment(dataset: Dataset, tags: Sequence[int]) -> bytes:
    """Some elements, encoded."""
    from pydicom import Dataset
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    part = Dataset()
    for tag in tags:
        part[tag] = dataset[tag]
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            write_dataset(out, part, parent_encoding=_UTF8)
        except HounsfieldError:
            raise
        except Exception as error:
            # pydicom raises many kinds on a value that is none.
            raise MalformedError(
                say("metadata cannot be encoded ({error})", error=str(error)[:120])
            ) from error
    return out.getvalue()
