"""From a source to an `Instance`: is it DICOM, which encoding, where are the pixels.

The fast walk first, the full walk for everything else: files without preamble or meta, Big Endian, Deflated, wrong
VRs, private pixels, multi-frame oddities. Any bytes give an `Instance` or one of our errors.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from hounsfield.ct.instance.header import WANTED, Header
from hounsfield.ct.instance.source import MetadataSource, Source, has_metadata
from hounsfield.ct.instance.texts import settled
from hounsfield.dicom import datasets
from hounsfield.dicom.decided_texts import AS_DECLARED
from hounsfield.dicom.fast_walk import Elements, PixelElement, scan_elements
from hounsfield.dicom.full_walk import FullWalk
from hounsfield.dicom.layout import ElementLayout
from hounsfield.dicom.part10 import file_parts, open_data_set
from hounsfield.dicom.uids import DEFLATED
from hounsfield.errors import HounsfieldError, MalformedError
from hounsfield.language import say

if TYPE_CHECKING:
    from pydicom import Dataset

_PHILIPS_CODING, _PHILIPS_PIXELS = 0x07A11011, 0x07A1100A
_LONGEST_TOLD = 300  # characters of another library's message
_AVAILABLE_SYNTAX = 0x00083002  # PS3.4 C.6.1.1.5.2, from a server that tells how it stores the instance


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
    if has_metadata(source):
        return _header_of_metadata(source, wanted), False
    with source.open() as stream:
        elements, is_shared = scan(stream)
        if elements is not None:
            return Header(elements.values, elements.transfer_syntax, elements.pixels, source), is_shared
        stream.seek(0)
        dataset, syntax, pixels, miscounted = _walked_in_full(stream, source.name)
        with pydicom_tolerated(source.name):
            decided = replace(settled(dataset, source), miscounted=miscounted)
        return Header.from_dataset(dataset, syntax, pixels, wanted=wanted, decided=decided), False


def read_dataset(source: Source) -> Dataset:
    """The whole header as pydicom has it, without Pixel Data, file meta included where there is one.

    Its texts are read in the character set that they are in, whatever it declares.
    """
    if has_metadata(source):
        return source.metadata()
    with source.open() as stream:
        dataset = _read_in_full(stream, source.name)[0]
    with pydicom_tolerated(source.name):
        settled(dataset, source)
    return dataset


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
    inflated = io.BytesIO()
    try:
        with stream:
            walk = FullWalk(stream)
            open_data_set(walk, file_parts(walk), inflated)
    except HounsfieldError as error:
        error.at(source.name)
        raise
    inflated.seek(0)
    return inflated


def _header_of_metadata(source: MetadataSource, wanted: Mapping[int, bytes]) -> Header:
    dataset = source.metadata((*wanted, _AVAILABLE_SYNTAX))
    # Most servers do not tell; the bytes will.
    syntax = str(dataset.get("AvailableTransferSyntaxUID", ""))
    decided = getattr(source, "decided", AS_DECLARED)
    return Header.from_dataset(dataset, syntax, wanted=wanted, decided=decided)


def _read_in_full(stream: BinaryIO, name: str) -> tuple[Dataset, str, PixelElement | None]:
    """Header, transfer syntax and pixel element, by the full walk; the stream is left anywhere."""
    return _walked_in_full(stream, name)[:3]


def _walked_in_full(stream: BinaryIO, name: str) -> tuple[Dataset, str, PixelElement | None, tuple[int, ...]]:
    """The same, and the tags of texts whose length counted characters."""
    try:
        walk = FullWalk(stream)
        parts = file_parts(walk)
        data = open_data_set(walk, parts)
        with pydicom_tolerated(name):
            dataset, pixels = datasets.read_dataset(data, parts, walk)
            _adopt_media_storage(dataset)
    except HounsfieldError as error:
        error.at(name)
        raise
    return dataset, data.syntax, pixels, data.walk.miscounted


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
            message = " ".join(str(error).split())[:_LONGEST_TOLD]
            raise MalformedError(
                say(
                    "the header cannot be parsed ({name__}: {message})",
                    name__=type(error).__name__,
                    message=message,
                ),
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
