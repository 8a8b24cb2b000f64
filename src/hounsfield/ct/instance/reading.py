"""From a source to an `Instance`: is it DICOM, which encoding, where are the pixels.

The fast walk first, pydicom for everything else: files without preamble or meta, Big Endian, Deflated, wrong VRs,
private pixels, multi-frame oddities. Any bytes give an `Instance` or one of our errors.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from hounsfield.ct.instance.elements import (
    FIRST_READ,
    LONG_VRS,
    PIXEL_TAGS,
    SHORT_VRS,
    UNDEFINED,
    Elements,
    PixelElement,
    file_meta,
    scan_elements,
)
from hounsfield.ct.instance.header import WANTED, Header
from hounsfield.ct.instance.layout import ElementLayout
from hounsfield.ct.instance.source import MetadataSource, Source
from hounsfield.errors import HounsfieldError, MalformedError, NotDicomError

if TYPE_CHECKING:
    from pydicom import Dataset

DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
# What a deflated data set may grow to: CT deflates to a half or a third, a bomb to a thousandth.
INFLATED_LIMIT = 2 * 1024**3
INFLATED_RATIO = 100
INFLATED_FREE = 64 * 1024**2  # up to here any ratio will do
_PHILIPS_CODING, _PHILIPS_PIXELS = 0x07A11011, 0x07A1100A
_LONGEST_TOLD = 300  # characters of another library's message
_BLOCK, _INFLATED_BLOCK = 1 << 18, 1 << 22
_AVAILABLE_SYNTAX = 0x00083002  # PS3.4 C.6.1.1.5.2, from a server that tells how it stores the instance
_LAST_IMAGE_LEVEL_0008 = 0x2112  # no data set begins with a later element of group 0008
_PLAUSIBLE_FIRST_LENGTH = 1024  # bytes: the first element is a group length, a character set or a UID


class HeaderReader:
    """Reads headers one after another that likely are those of one series, and holds equal values once.

    `also`: tag → VR of elements that are wanted beside those of `Header`; they are in its `values`. One reader's own,
    not for several threads.
    """

    def __init__(self, also: Mapping[int, bytes] | None = None) -> None:
        self._wanted = {**(also or {}), **WANTED}
        self._layout = ElementLayout(self._wanted)
        self._last: Header | None = None

    def read(self, source: Source) -> Header:
        """The header of `source`. Raises `NotDicomError`, `MalformedError`, `LocationError`."""
        header, is_shared = _read_header(source, self._layout.scan, self._wanted)
        if not is_shared and self._last is not None:
            header = header.sharing(self._last)
        self._last = header
        return header


def read_header(source: Source) -> Header:
    """The header of `source` alone. Raises `NotDicomError`, `MalformedError`, `LocationError`."""
    return _read_header(source, lambda stream: (scan_elements(stream, WANTED), False))[0]


def _read_header(
    source: Source,
    scan: Callable[[BinaryIO], tuple[Elements | None, bool]],
    wanted: Mapping[int, bytes] = WANTED,
) -> tuple[Header, bool]:
    if hasattr(source, "metadata"):  # as isinstance(source, MetadataSource), at a tenth of its time
        return _header_of_metadata(cast(MetadataSource, source), wanted), False
    with source.open() as stream:
        elements, is_shared = scan(stream)
        if elements is not None:
            return Header(elements.values, elements.transfer_syntax, elements.pixels), is_shared
        stream.seek(0)
        dataset, syntax, pixels = _read_with_pydicom(stream, source.name)
        return Header.from_dataset(dataset, syntax, pixels, wanted=wanted), False


def read_dataset(source: Source) -> Dataset:
    """The whole header as pydicom has it, without Pixel Data, file meta included where there is one."""
    if hasattr(source, "metadata"):
        return cast(MetadataSource, source).metadata()
    with source.open() as stream:
        return _read_with_pydicom(stream, source.name)[0]


def private_pixels(dataset: Dataset) -> bytes | None:
    """Philips' own, coded as PMSCT_RLE1 in (07A1,100A); None where there are none."""
    kind = dataset[_PHILIPS_CODING].value if _PHILIPS_CODING in dataset else ""
    data = dataset[_PHILIPS_PIXELS].value if _PHILIPS_PIXELS in dataset else None
    if isinstance(kind, bytes):
        kind = kind.decode("latin-1")
    return data if str(kind).strip("\0 ") == "PMSCT_RLE1" and isinstance(data, bytes) else None


def open_pixels(source: Source, header: Header) -> BinaryIO:
    """A stream in which `header.pixels.offset` counts: the source, or what it inflates to."""
    stream = source.open()
    if header.transfer_syntax != DEFLATED:
        return stream
    with stream:
        return io.BytesIO(_inflate(stream, source.name, file_meta(stream.read(FIRST_READ))[1]))


def _header_of_metadata(source: MetadataSource, wanted: Mapping[int, bytes]) -> Header:
    dataset = source.metadata((*wanted, _AVAILABLE_SYNTAX))
    # Most servers do not tell; the bytes will.
    syntax = str(dataset.get("AvailableTransferSyntaxUID", ""))
    return Header.from_dataset(dataset, syntax, wanted=wanted)


def _read_with_pydicom(stream: BinaryIO, name: str) -> tuple[Dataset, str, PixelElement | None]:
    """Header, transfer syntax and pixel element, by pydicom; the stream is left anywhere."""
    start = stream.read(FIRST_READ)
    _refuse_other_files(start, name)
    syntax, begin = file_meta(start)
    stream.seek(0)
    if syntax != DEFLATED:
        return _parse(stream, name, None)
    inflated = io.BytesIO(_inflate(stream, name, begin))
    dataset, _, pixels = _parse(inflated, name, EXPLICIT_LITTLE)
    with pydicom_tolerated(name):
        return _with_meta(dataset, start[:begin]), DEFLATED, pixels


def _with_meta(dataset: Dataset, start: bytes) -> Dataset:
    """Give a data set that was inflated apart its file meta group back."""
    from pydicom import dcmread

    dataset.file_meta = dcmread(io.BytesIO(start), force=True).file_meta
    return dataset


def _parse(stream: BinaryIO, name: str, syntax: str | None) -> tuple[Dataset, str, PixelElement | None]:
    from pydicom import dcmread

    with pydicom_tolerated(name):
        dataset = dcmread(stream, stop_before_pixels=True, force=True)
        explicit, little = _encoding(dataset)
        if syntax is None:
            written = _meta_text(dataset, "TransferSyntaxUID")
            syntax = written or _guessed_syntax(explicit, little)
        _adopt_media_storage(dataset)
        return dataset, syntax, _pixel_element_here(stream, explicit=explicit, little=little)


@contextmanager
def pydicom_tolerated(name: str) -> Iterator[None]:
    """Tolerate pydicom's warnings; whatever it raises, at once or when an element is looked at, is malformed.

    What matters of it shows in the verdict. Raises `MalformedError`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except HounsfieldError:
            raise
        except Exception as error:
            told = " ".join(str(error).split())[:_LONGEST_TOLD]
            raise MalformedError(
                f"the header cannot be parsed ({type(error).__name__}: {told})",
                where=name,
                remedy="the file is damaged; get it again from where it came",
            ) from error


def _meta_text(dataset: Dataset, keyword: str) -> str:
    """One UID of the file meta group (PS3.10 7.1), "" where there is none that is one."""
    try:
        value = dataset.file_meta.get(keyword) if hasattr(dataset, "file_meta") else None
    except Exception:  # noqa: BLE001 (pydicom raises many kinds on a broken element; it then counts as absent)
        return ""
    return value if isinstance(value, str) else ""


def _adopt_media_storage(dataset: Dataset) -> None:
    """A DIRFILE or a bare object has its SOP class in the file meta group alone (PS3.10 7.1)."""
    sop_class = _meta_text(dataset, "MediaStorageSOPClassUID")
    if sop_class and "SOPClassUID" not in dataset:
        dataset.SOPClassUID = sop_class


def _encoding(dataset: Dataset) -> tuple[bool, bool]:
    """(explicit VR, little endian) as the data set was read, whatever its meta says."""
    implicit, little = dataset.original_encoding
    return not implicit, little is not False


def _guessed_syntax(explicit: bool, little: bool) -> str:
    if not little:
        return BIG_ENDIAN
    return EXPLICIT_LITTLE if explicit else IMPLICIT_LITTLE


def _pixel_element_here(stream: BinaryIO, *, explicit: bool, little: bool) -> PixelElement | None:
    """pydicom stops with the stream at the pixel element's tag; read its header, if that is what stands there."""
    start = stream.tell()
    head = stream.read(12)
    order = "<" if little else ">"
    if len(head) < 8:
        return None
    group, element = struct.unpack_from(order + "HH", head)
    keyword = PIXEL_TAGS.get(group << 16 | element)
    if keyword is None:
        return None
    # Whatever the file meta group says of a data set that has no VRs.
    explicit = explicit and head[4:6] in LONG_VRS | SHORT_VRS
    if explicit and head[4:6] in LONG_VRS and len(head) == 12:
        (length,) = struct.unpack_from(order + "I", head, 8)
        swapped = not little and head[4:6] == b"OW"
        return PixelElement(keyword, start + 12, None if length == UNDEFINED else length, swapped)
    (length,) = struct.unpack_from(order + ("H" if explicit else "I"), head, 6 if explicit else 4)
    return PixelElement(keyword, start + 8, None if length == UNDEFINED else length)


def _refuse_other_files(start: bytes, name: str) -> None:
    """`NotDicomError` unless the bytes start like a DICOM file (PS3.10 7.1) or a bare data set."""
    if start[128:132] == b"DICM" or _starts_like_dataset(start):
        return
    raise NotDicomError(
        "not DICOM: neither a DICM preamble nor a data set at its start" if start else "an empty file",
        where=name,
    )


def _starts_like_dataset(start: bytes) -> bool:
    """Group 0002 or 0008 first, in either byte order, with a plausible VR or length (ACR-NEMA, bare data sets)."""
    if len(start) < 8:
        return False
    for order in "<>":
        group, element, length = struct.unpack_from(order + "HHI", start)
        if group in (0x0002, 0x0008) and element <= _LAST_IMAGE_LEVEL_0008:
            vr = start[4:6]
            if (vr.isalpha() and vr.isupper()) or length <= _PLAUSIBLE_FIRST_LENGTH:
                return True
    return False


def _inflate(stream: BinaryIO, name: str, begin: int) -> bytes:
    """The data set behind the file meta group that ends at `begin`, inflated (PS3.5 A.5)."""
    limit = min(INFLATED_LIMIT, max(INFLATED_FREE, INFLATED_RATIO * stream.seek(0, os.SEEK_END)))
    stream.seek(begin)
    parts: list[bytes] = []
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    total = 0
    try:
        while not inflater.eof:
            block = inflater.unconsumed_tail or stream.read(_BLOCK)
            if not block:
                break
            parts.append(inflater.decompress(block, _INFLATED_BLOCK))
            total += len(parts[-1])
            if total > limit:
                raise MalformedError(
                    f"the deflated data set grows past {limit >> 20} MiB",
                    where=name,
                    remedy="refused as a bomb",
                )
    except zlib.error as error:
        raise MalformedError(f"the deflated data set is damaged ({error})", where=name) from error
    return b"".join(parts)
