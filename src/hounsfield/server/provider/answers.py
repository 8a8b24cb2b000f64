"""Answers of a search as identifiers: DICOM JSON to the bytes of a data set, one element after another.

A search answers thousands of times, with a dozen elements each; no data set is built for that.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hounsfield.dicom.encoding import EXPLICIT_LITTLE, IMPLICIT_VR_LITTLE
from hounsfield.dicom.vr import NUMBERS, TEXT
from hounsfield.dicomweb.attributes import vr_of
from hounsfield.dicomweb.dicom_json import Model, to_dataset
from hounsfield.dimse.identifiers import encode_identifier
from hounsfield.dimse.negotiation import IMPLICIT

_UTF8 = "ISO_IR 192"
_CODECS = {
    "ISO_IR 6": "ascii", "": "ascii", _UTF8: "utf-8", "ISO_IR 100": "iso8859-1", "ISO_IR 101": "iso8859-2",
    "ISO_IR 144": "iso8859-5", "ISO_IR 148": "iso8859-9", "GB18030": "gb18030", "GBK": "gbk",
}  # fmt: skip
"""Character sets that are one codec each; a peer that asks in any other gets UTF-8, or ASCII where that is enough."""

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_CHARACTER_SET = 0x00080005


class _Unencodable(Exception):
    """A value that the character set does not have, or an element that is not written here."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Writes models as identifiers with the elements `tags`, those that a model lacks empty, and the `fixed` ones.

    `character_set`: what the peer asked in; it is answered in that where all values can be.
    """

    tags: Sequence[int]
    fixed: Mapping[int, tuple[str, str]]
    transfer_syntax: str
    character_set: str = ""

    def encode(self, model: Model) -> bytes:
        """One identifier."""
        for name in dict.fromkeys((self.character_set, _UTF8)):
            codec = _CODECS.get(name)
            if codec is None:
                continue
            try:
                return self._encoded(model, name, codec)
            except (_Unencodable, UnicodeEncodeError, struct.error, TypeError, ValueError):
                continue
        return self._by_dataset(model)

    def _encoded(self, model: Model, name: str, codec: str) -> bytes:
        implicit = self.transfer_syntax == IMPLICIT
        pieces: list[tuple[int, bytes]] = []
        plain = True
        for tag in self.tags:
            element = model.get(f"{tag:08X}") or {}
            vr = element.get("vr") or _vr(tag)
            value = _value(element.get("Value"), vr, codec)
            plain = plain and value.isascii()
            pieces.append((tag, _element(tag, vr, value, implicit)))
        for tag, (vr, text) in self.fixed.items():
            pieces.append((tag, _element(tag, vr, _padded(text.encode(codec), vr), implicit)))
        if not plain and name not in {"", "ISO_IR 6"}:
            pieces.append(
                (_CHARACTER_SET, _element(_CHARACTER_SET, "CS", _padded(name.encode(), "CS"), implicit))
            )
        return b"".join(content for _, content in sorted(pieces))

    def _by_dataset(self, model: Model) -> bytes:
        """The same by way of a data set, for elements of rare VRs."""
        from pydicom import Dataset

        wanted: Model = {}
        for tag in self.tags:
            key = f"{tag:08X}"
            wanted[key] = model.get(key) or {"vr": _vr(tag)}
        for tag, (vr, text) in self.fixed.items():
            wanted[f"{tag:08X}"] = {"vr": vr, "Value": [text]}
        dataset = Dataset()
        dataset.SpecificCharacterSet = _UTF8
        dataset.update(to_dataset(wanted))
        return encode_identifier(dataset, self.transfer_syntax)


@lru_cache(maxsize=4096)
def _vr(tag: int) -> str:
    return vr_of(f"{tag:08X}")


def _value(found: Any, vr: str, codec: str) -> bytes:
    if not found:
        return b""
    if vr in NUMBERS:
        return b"".join(struct.pack("<" + NUMBERS[vr], each) for each in found)
    if vr not in TEXT:
        raise _Unencodable
    write: Callable[[Any], str] = _name if vr == "PN" else _text
    return _padded("\\".join(map(write, found)).encode(codec), vr)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _name(value: Any) -> str:
    if not isinstance(value, Mapping):
        return _text(value)
    return "=".join(_text(value.get(group)) for group in _GROUPS).rstrip("=")


def _padded(value: bytes, vr: str) -> bytes:
    return value + (b"\0" if vr == "UI" else b" ") * (len(value) % 2)


def _element(tag: int, vr: str, value: bytes, implicit: bool) -> bytes:
    return (IMPLICIT_VR_LITTLE if implicit else EXPLICIT_LITTLE).header(tag, vr.encode(), len(value)) + value
