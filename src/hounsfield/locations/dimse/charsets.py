"""Texts of peers that do not say in which characters they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hounsfield.dicom.vr import LOCALIZED
from hounsfield.dimse.client import Match
from hounsfield.dimse.identifiers import decode_identifier

if TYPE_CHECKING:
    from pydicom import Dataset

_CANDIDATES = (("ISO_IR 192", "utf-8"), ("GB18030", "gb18030"))
_LAST = "ISO_IR 100"


def decoded(match: Match, charset: str) -> Dataset:
    """The data set of an answer; its texts by its own character set, else by `charset`, else by what fits all of them.

    That is UTF-8, then GB18030, then Latin-1.
    """
    dataset = decode_identifier(match.identifier, match.transfer_syntax)
    if "SpecificCharacterSet" in dataset and dataset.SpecificCharacterSet:
        return dataset
    texts = [] if match.identifier.isascii() else _texts(dataset)
    if all(text.isascii() for text in texts):
        return dataset
    dataset.SpecificCharacterSet = charset or next(
        (name for name, codec in _CANDIDATES if all(_fits(text, codec) for text in texts)), _LAST
    )
    return decode_again(dataset)


def decode_again(dataset: Dataset) -> Dataset:
    """The same elements, read by the character set that is now in it."""
    from pydicom.charset import convert_encodings

    dataset.set_original_encoding(
        dataset.original_encoding[0],
        dataset.original_encoding[1],
        convert_encodings(dataset.SpecificCharacterSet),
    )
    return dataset


def _texts(dataset: Dataset) -> list[bytes]:
    from pydicom.datadict import dictionary_VR
    from pydicom.dataelem import RawDataElement

    found: list[bytes] = []
    for tag in dataset.keys():  # noqa: SIM118 (iterating converts every element)
        element = dataset.get_item(tag)
        if not isinstance(element, RawDataElement) or not element.value:
            continue
        try:
            vr = element.VR or dictionary_VR(tag)
        except KeyError:
            continue
        if vr in LOCALIZED:
            found.append(bytes(element.value))
    return found


def _fits(text: bytes, codec: str) -> bool:
    try:
        text.decode(codec)
    except UnicodeDecodeError:
        return False
    return True
