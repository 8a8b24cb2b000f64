"""Identifiers, the data sets of searches and retrievals (PS3.4 C.4): pydicom data sets to bytes and back."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING

from hounsfield.dicom.vr import NUMBERS
from hounsfield.dimse.negotiation import IMPLICIT
from hounsfield.errors import DimseError
from hounsfield.language import say

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset


def encode_identifier(dataset: Dataset, transfer_syntax: str) -> bytes:
    """A data set in little endian, with implicit or explicit VRs."""
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    out = DicomBytesIO()
    out.is_little_endian = True
    out.is_implicit_VR = transfer_syntax == IMPLICIT
    try:
        write_dataset(out, dataset)
    except Exception as error:  # pydicom raises whatever a value leads it to
        raise DimseError(
            say("an identifier that cannot be written: {error}", error=str(error)[:200])
        ) from error
    return out.getvalue()


def decode_identifier(content: bytes, transfer_syntax: str) -> Dataset:
    """The data set that `content` is; its elements are read when they are looked at."""
    from pydicom.filereader import read_dataset

    try:
        return read_dataset(BytesIO(content), transfer_syntax == IMPLICIT, True)
    except Exception as error:  # pydicom raises whatever the bytes lead it to
        raise DimseError(
            say("an identifier that cannot be read: {error}", error=str(error)[:200]), abort=0
        ) from error


def identifier(level: str, keys: Mapping[str, str | list[str]], character_set: str | None = None) -> Dataset:
    """The keys of a query or retrieval at a level, by keyword; "" asks for an attribute, a list of UIDs for each."""
    from pydicom import Dataset

    dataset = Dataset()
    if character_set is not None:
        dataset.SpecificCharacterSet = character_set
    dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        element = _key(keyword, value)
        dataset[element.tag] = element
    return dataset


def _key(keyword: str, value: str | list[str]) -> DataElement:
    """A key; what is to be matched need not be a value of its VR (wildcards, ranges)."""
    from pydicom import DataElement, config
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    tag = tag_for_keyword(keyword)
    if tag is None:
        raise DimseError(
            say("{keyword} is no attribute", keyword=repr(keyword[:64])), expected="a DICOM keyword"
        )
    vr = dictionary_VR(tag).split(" or ")[0]
    if vr == "SQ":
        return DataElement(tag, vr, [])
    if vr in NUMBERS and isinstance(value, str):
        whole = value.strip().lstrip("-").isdigit()
        return DataElement(tag, vr, int(value) if whole else None, config.IGNORE)
    # As text these are written as they are; their own VRs would be taken for numbers.
    written = "CS" if vr in {"IS", "DS"} else vr
    element = DataElement(tag, written, value, config.IGNORE)
    if written != vr:
        element.VR = vr
    return element


def failed_instances(content: bytes, transfer_syntax: str) -> list[str]:
    """The Failed SOP Instance UID List of a last response; none where there is none that can be read."""
    if not content:
        return []
    try:
        found = decode_identifier(content, transfer_syntax).get("FailedSOPInstanceUIDList")
    except DimseError:
        return []
    return [found] if isinstance(found, str) else [str(each) for each in found or ()]
