"""A DICOMDIR (PS3.3 F, PS3.10 8) brought up to date: it tells of its files as they are now.

Records stay as they were, private ones and icons included: only what they say of their file (its SOP Instance UID and
transfer syntax) is brought up to date, and with it the offsets by which records find each other. A record whose file
is not there keeps what it says.
"""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
from pathlib import Path
from typing import Any

from hounsfield.ct.instance import FileSource, Header
from hounsfield.ct.instance.reading import read_header
from hounsfield.dicom.datasets import read_file
from hounsfield.errors import HounsfieldError, LocationError, MalformedError
from hounsfield.language import say
from hounsfield.locations.dicomdir import LARGEST

_OFFSETS = (0x00041200, 0x00041202, 0x00041400, 0x00041420, 0x00041504)
"""First and last record, next, lower level, and the retired pointer to a Multi-Referenced File Record (PS3.3 F.3)."""

_RECORDS = 0x00041220
_ITEM = b"\xfe\xff\x00\xe0"


def rebuilt(path: Path, folder: Path) -> bytes:
    """The DICOMDIR at `path`, extended by the files below `folder`; its own bytes where nothing is new.

    Raises `MalformedError` for one whose records cannot be read, `LocationError` for one too large or gone.
    """
    try:
        content = path.read_bytes() if path.stat().st_size <= LARGEST else b""
    except OSError as error:
        raise LocationError(
            say("cannot be read: {strerror}", strerror=error.strerror), where=str(path)
        ) from error
    if not content:
        raise LocationError(say("is larger than {largest} bytes or empty", largest=LARGEST), where=str(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _rebuilt(content, folder)
    except HounsfieldError:
        raise
    except Exception as error:  # pydicom raises whatever the bytes lead it to
        raise MalformedError(
            say("its records cannot be read: {name__}: {error}", name__=type(error).__name__, error=error),
            where=str(path),
        ) from error


def _rebuilt(content: bytes, folder: Path) -> bytes:
    directory = read_file(content)
    records = list(directory.get("DirectoryRecordSequence") or ())
    changed = [_brought_up_to_date(record, folder) for record in records]
    if not any(changed):
        return content
    places = {record.seq_item_tell: number for number, record in enumerate(records)}
    wanted = [_pointers(dataset, places) for dataset in (directory, *records)]
    head, encoded, tail = _encoded(directory, records)
    # Offsets are of one length whatever they say, so the places are known before they are written.
    new_places, position = [], len(head)
    for record in encoded:
        new_places.append(position)
        position += 8 + len(record)
    for dataset, pointers in zip((directory, *records), wanted, strict=True):
        for tag, number in pointers.items():
            dataset[tag].value = 0 if number is None else new_places[number]
    head, encoded, tail = _encoded(directory, records)
    items = b"".join(_ITEM + struct.pack("<I", len(record)) + record for record in encoded)
    return head[:-4] + struct.pack("<I", len(items)) + items + tail


def _brought_up_to_date(record: Any, folder: Path) -> bool:
    """Return whether anything that the record says of its file was not so any more."""
    header = _header_of(record, folder)
    if header is None:
        return False
    changed = False
    for keyword, value in (
        ("ReferencedSOPInstanceUIDInFile", header.text("SOPInstanceUID")),
        ("ReferencedTransferSyntaxUIDInFile", header.transfer_syntax),
    ):
        if value and record.get(keyword) != value:
            setattr(record, keyword, value)
            changed = True
    return changed


def _header_of(record: Any, folder: Path) -> Header | None:
    """Of the file that a record refers to, where it is there."""
    value = record.get("ReferencedFileID")
    parts = [value] if isinstance(value, str) else list(value or ())
    if not parts or any(part in ("..", "") or "/" in part for part in map(str, parts)):
        return None
    # Media that were copied by other systems have their names in small letters.
    for names in (list(map(str, parts)), [str(part).lower() for part in parts]):
        path = folder.joinpath(*names)
        with contextlib.suppress(HounsfieldError, OSError):
            if path.is_file():
                return read_header(FileSource(path))
    return None


def _pointers(dataset: Any, places: dict[int, int]) -> dict[int, int | None]:
    """Return which record each offset of `dataset` means; None: no record, or none that is there."""
    return {tag: places.get(int(dataset[tag].value or 0)) for tag in _OFFSETS if tag in dataset}


def _encoded(directory: Any, records: list[Any]) -> tuple[bytes, list[bytes], bytes]:
    """Return what comes before the first record (its last four bytes the length of the sequence), the records, the
    rest.
    """
    from pydicom.dataset import Dataset
    from pydicom.uid import ExplicitVRLittleEndian

    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian  # PS3.10 8.6
    before, after = Dataset(), Dataset()
    for element in directory:
        if element.tag != _RECORDS:
            (before if element.tag < _RECORDS else after).add(element)
    before.DirectoryRecordSequence = []
    head = io.BytesIO()
    before.file_meta = directory.file_meta
    before.preamble = directory.preamble
    before.save_as(head, enforce_file_format=True)
    return head.getvalue(), [_bytes(record) for record in records], _bytes(after)


def _bytes(dataset: Any) -> bytes:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, dataset)
    return stream.getvalue()
