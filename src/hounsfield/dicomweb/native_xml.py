"""The Native DICOM Model (PS3.19 A.1) as text, read into and written from the objects of `dicom_json`.

Servers answer stores in it unless asked for JSON. Read with expat alone: a document type, and with it every
entity trick, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from hounsfield.dicom.nesting import MAX_DEPTH
from hounsfield.dicom.vr import WHOLE_NUMBERS
from hounsfield.dicomweb.dicom_json import Model
from hounsfield.errors import DicomwebError
from hounsfield.language import say

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
MAX_BYTES = 64 * 1024 * 1024
"""Longest document read; a store's answer has about 1 kB an instance."""

_NO_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""Characters outside of XML 1.0, 2.2: controls, surrogates and two others."""

_PERSON_PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_PERSON_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_SEVERAL_ELEMENTS = 16
"""Elements of XML for one level of sequence: attribute, item, value and so on."""


def parse_xml(body: bytes) -> Model:
    """The model of one NativeDicomModel document; anything else raises `DicomwebError`."""
    if len(body) > MAX_BYTES:
        raise DicomwebError(
            "an XML answer too long to be one", expected=say("at most {max_bytes} bytes", max_bytes=MAX_BYTES)
        )
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DicomwebError(
            say("an answer that is not XML: {error}", error=error), expected="a NativeDicomModel"
        ) from error
    if reader.model is None:
        raise DicomwebError("XML that holds no DICOM", expected="a NativeDicomModel")
    return reader.model


def encode_xml(model: Mapping[str, Any]) -> bytes:
    """`model` as a NativeDicomModel document in UTF-8; characters that XML cannot hold become U+FFFD.

    Raises `DicomwebError` for sequences nested too deep.
    """
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<NativeDicomModel xmlns="{NAMESPACE}">']
    _write(model, lines, 0)
    lines.append("</NativeDicomModel>")
    # A carriage return as it is would be read as a line feed (XML 1.0, 2.11).
    return _NO_XML.sub("\ufffd", "".join(lines)).replace("\r", "&#13;").encode("utf-8", "replace")


def _refuse(*_: Any) -> None:
    raise DicomwebError("XML with a document type", expected="a NativeDicomModel without one")


class _Reader:
    """Collects elements; a stack of open data sets and of the attribute open in each."""

    def __init__(self) -> None:
        self.model: Model | None = None
        self._models: list[Model] = []
        self._attributes: list[Model] = []
        self._text: list[str] = []
        self._person: dict[str, dict[str, str]] = {}
        self._group = ""
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH * _SEVERAL_ELEMENTS:
            raise DicomwebError(
                "XML nested too deep", expected=say("at most {max_depth} sequences", max_depth=MAX_DEPTH)
            )
        local = name.rpartition(":")[2]
        # The standard's own examples write Tag and VR (PS3.18 B.23).
        attributes = {key.lower(): value for key, value in attributes.items()}
        self._text = []
        if local == "NativeDicomModel" and self.model is None:
            self.model = {}
            self._models.append(self.model)
        elif local == "DicomAttribute" and self._models:
            element: Model = {"vr": attributes.get("vr", "UN")}
            tag = attributes.get("tag", "").upper()
            if tag:
                self._models[-1][tag] = element
            self._attributes.append(element)
        elif local == "Item" and self._attributes and len(self._models) == len(self._attributes):
            item: Model = {}
            self._attributes[-1].setdefault("Value", []).append(item)
            self._models.append(item)
        elif local == "PersonName":
            self._person = {}
        elif local in _PERSON_GROUPS:
            self._group = local
        elif local == "BulkData" and self._attributes:
            self._attributes[-1]["BulkDataURI"] = attributes.get("uri") or attributes.get("uuid") or ""

    def text(self, text: str) -> None:
        self._text.append(text)

    def end(self, name: str) -> None:
        self._depth -= 1
        local = name.rpartition(":")[2]
        if local == "DicomAttribute" and self._attributes:
            self._attributes.pop()
        elif local == "Item" and len(self._models) > 1:
            self._models.pop()
        elif local in _PERSON_PARTS:
            self._person.setdefault(self._group, {})[local] = "".join(self._text)
        elif self._attributes:
            self._end_value(local)
        self._text = []

    def _end_value(self, local: str) -> None:
        element, text = self._attributes[-1], "".join(self._text)
        if local == "Value":
            element.setdefault("Value", []).append(_value(str(element["vr"]), text))
        elif local == "InlineBinary":
            element["InlineBinary"] = "".join(text.split())
        elif local == "PersonName":
            groups = {
                group: "^".join(parts.get(part, "") for part in _PERSON_PARTS).rstrip("^")
                for group, parts in self._person.items()
            }
            element.setdefault("Value", []).append(
                {group: name for group, name in groups.items() if name} or None
            )


def _value(vr: str, text: str) -> Any:
    if text == "":
        return None
    try:
        if vr in WHOLE_NUMBERS:
            return int(text) if len(text) < 40 else text
        if vr in {"FL", "FD"}:
            number = float(text)
            return number if abs(number) < float("inf") else text
    except ValueError:
        pass
    return text


def _write(model: Mapping[str, Any], lines: list[str], depth: int) -> None:
    from pydicom.datadict import keyword_for_tag

    if depth > MAX_DEPTH:
        raise DicomwebError(
            "sequences nested too deep", expected=say("at most {max_depth} levels", max_depth=MAX_DEPTH)
        )
    for tag, element in model.items():
        vr = str(element.get("vr", "UN"))
        keyword = keyword_for_tag(int(tag, 16))
        named = f" keyword={quoteattr(keyword)}" if keyword else ""
        lines.append(f"<DicomAttribute tag={quoteattr(tag)} vr={quoteattr(vr)}{named}>")
        if "InlineBinary" in element:
            lines.append(f"<InlineBinary>{escape(str(element['InlineBinary']))}</InlineBinary>")
        if "BulkDataURI" in element:
            lines.append(f"<BulkData uri={quoteattr(str(element['BulkDataURI']))}/>")
        for number, value in enumerate(element.get("Value") or [], 1):
            _write_value(vr, number, value, lines, depth)
        lines.append("</DicomAttribute>")


def _write_value(vr: str, number: int, value: Any, lines: list[str], depth: int) -> None:
    if vr == "SQ":
        lines.append(f'<Item number="{number}">')
        _write(value or {}, lines, depth + 1)
        lines.append("</Item>")
    elif vr == "PN":
        lines.append(f'<PersonName number="{number}">')
        for group in _PERSON_GROUPS:
            if isinstance(value, Mapping) and value.get(group):
                parts = str(value[group]).split("^", len(_PERSON_PARTS) - 1)
                inside = "".join(
                    f"<{part}>{_escaped(text)}</{part}>"
                    for part, text in zip(_PERSON_PARTS, parts, strict=False)
                    if text
                )
                lines.append(f"<{group}>{inside}</{group}>")
        lines.append("</PersonName>")
    else:
        text = "" if value is None else repr(value) if isinstance(value, float) else str(value)
        lines.append(f'<Value number="{number}">{_escaped(text)}</Value>')


def _escaped(text: str) -> str:
    # A bare carriage return would come back as a line feed (XML 1.0 2.11).
    return escape(text, {"\r": "&#13;"})
