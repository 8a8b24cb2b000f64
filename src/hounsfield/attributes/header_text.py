"""An instance's header as DICOM JSON text, element by element, fast enough to make at every store and of every file.

Slices of a series share most elements, so the text of each element is remembered by its bytes. Little-endian
Part 10 files are walked here; anything else, and anything odd, is pydicom's (`from_dataset`). Bulk values become
URIs that begin with `INSTANCE_URL`, a character that JSON text cannot hold otherwise; who answers a request puts
the instance's URL there.

Not here: which elements are searched by or shown, and pixels.
"""

from __future__ import annotations

import base64
import json
import re
import struct
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, BinaryIO

from hounsfield.ct.instance import Instance, Source, read_instance
from hounsfield.ct.instance.texts import configured_for
from hounsfield.dicom.charsets import decode_text
from hounsfield.dicom.dictionary import attribute
from hounsfield.dicom.encoding import PIXEL_TAGS
from hounsfield.dicom.fast_walk import Span, Trace, Unrecognised, item_spans, scan_elements
from hounsfield.dicom.vr import BYTES, LOCALIZED, NUMBERS, SHORT, SINGLE_VALUE, TEXT, dictionary_vr
from hounsfield.dicom.walked_texts import decide_walked
from hounsfield.dicomweb.dicom_json import from_dataset, value_as_json
from hounsfield.errors import HounsfieldError, MalformedError
from hounsfield.language import say

INSTANCE_URL = "\x01"
"""Stands for the instance's URL in header text."""

MAX_HEADER_BYTES = 64 * 1024 * 1024
"""Longest header walked; a longer one is refused."""

INLINE_BYTES = 1024
"""Longest binary value that stands in the text; longer ones are bulk data."""

_REMEMBERED_BYTES = 1024
_SHORT_VRS = {vr: vr.decode() for vr in SHORT}
_SHORT_TEXT = frozenset(_SHORT_VRS.values()) & TEXT
_UNDEFINED = b"\xff\xff\xff\xff"
_CHARACTER_SET = 0x00080005
_DICOM_JSON_UTF8 = '"00080005":{"vr":"CS","Value":["ISO_IR 192"]}'
_NUMERIC = re.compile(rb"[-+.0-9eE \\]*")


class _Odd(Exception):
    """Something that is left to pydicom."""


@dataclass(frozen=True, slots=True)
class _DataSet:
    """One that is walked: the file's, or an item's, whose tags and numbers are in `path`.

    `charset` is what was declared around it, or with `settled` what all texts are in, whatever is declared.
    """

    buffer: bytes
    implicit: bool
    path: str = ""
    depth: int = 0
    charset: str = ""
    settled: bool = False
    bulk: bool = True


@dataclass(frozen=True, slots=True)
class HeaderText:
    """`elements` maps a tag (group << 16 | element) to its JSON member, `"00100020":{…}`, in order of tags."""

    instance: Instance
    elements: Mapping[int, str]

    def text(self) -> str:
        """All of it, as one JSON object."""
        return "{" + ",".join(self.elements.values()) + "}"

    def values(self, tag: int) -> tuple[str, ...]:
        """The values of an element at the root as text; a name's groups joined by `=`."""
        member = self.elements.get(tag)
        return () if member is None else values_of(member)

    def first(self, tag: int) -> str:
        return next(iter(self.values(tag)), "")


def read_header_text(source: Source) -> HeaderText:
    """The header of `source`. Raises `NotDicomError`, `MalformedError`, `LocationError`."""
    instance = read_instance(source)
    elements = header_members(instance)
    syntax = instance.header.transfer_syntax
    if instance.header.pixels is not None:
        vr = "OW" if (instance.header.integer("BitsAllocated", 16) or 16) > 8 else "OB"
        pixel_tag = next(
            tag for tag, keyword in PIXEL_TAGS.items() if keyword == instance.header.pixels.keyword
        )
        vr = {0x7FE00008: "OF", 0x7FE00009: "OD"}.get(pixel_tag, vr)
        elements[pixel_tag] = _bulk_member(pixel_tag, vr, f"{pixel_tag:08X}")
    elements[0x00083002] = f'"00083002":{{"vr":"UI","Value":[{json.dumps(syntax)}]}}'
    return HeaderText(instance, dict(sorted(elements.items())))


def header_members(
    instance: Instance, *, bulk: bool = True, problems: list[str] | None = None
) -> dict[int, str]:
    """The members of all that precedes the pixels, by tag; with `bulk` long binary values are URIs.

    `problems` collects a line for each element that is left out. Raises `MalformedError`, `LocationError`.
    """
    header = instance.header
    if header.pixels is not None:
        with instance.source.open() as stream:
            elements = _walked(
                stream, header.pixels.offset, bulk=bulk, configured=configured_for(instance.source)
            )
        if elements is not None:
            return elements
    return _by_pydicom(instance, bulk=bulk, problems=problems)


def text_member(tag: int, vr: str, value: bytes, charset: str) -> str | None:
    """The member of one element that is no sequence, from its little-endian value; None where it is not of `vr`."""
    try:
        return _member(tag, vr, value, charset)
    except (_Odd, ValueError, TypeError, OverflowError, struct.error, LookupError):
        return None


@lru_cache(maxsize=16384)
def element_of(member: str) -> Mapping[str, Any]:
    """Return what stands in one JSON member; whoever gets it leaves it as it is."""
    # Not strict: a URI of bulk data begins with a control character.
    element: Mapping[str, Any] = next(iter(json.loads("{" + member + "}", strict=False).values()))
    return element


@lru_cache(maxsize=16384)
def values_of(member: str) -> tuple[str, ...]:
    """The values in one JSON member as text."""
    values = element_of(member).get("Value", ())
    return tuple(_value_text(value) for value in values if value is not None)


def _value_text(value: object) -> str:
    if isinstance(value, dict):
        groups = [str(value.get(group) or "") for group in ("Alphabetic", "Ideographic", "Phonetic")]
        return "=".join(groups).rstrip("=")
    return str(value)


def _walked(
    stream: BinaryIO, end: int, *, bulk: bool = True, configured: str | None = None
) -> dict[int, str] | None:
    """Elements of a little-endian Part 10 header that ends before `end`; None if pydicom must convert it."""
    if end > MAX_HEADER_BYTES:
        raise MalformedError(
            say("a header of {end} bytes", end=end),
            expected=say("at most {max_header_bytes}", max_header_bytes=MAX_HEADER_BYTES),
        )
    trace = Trace()
    if scan_elements(stream, {}, trace=trace) is None:
        return None
    spans = [span for span in trace.spans if span[2] >= trace.data_set]
    try:
        used = decide_walked(trace, configured).used
        return _members(
            _DataSet(trace.buffer, trace.implicit, charset=used, settled=bool(used), bulk=bulk), spans
        )
    except (_Odd, Unrecognised, ValueError, TypeError, OverflowError, struct.error, KeyError, LookupError):
        return None


def _by_pydicom(
    instance: Instance, *, bulk: bool = True, problems: list[str] | None = None
) -> dict[int, str]:
    def uri(path: str, value: bytes) -> str | None:
        return f"{INSTANCE_URL}/bulkdata/{path}" if bulk and len(value) > INLINE_BYTES else None

    with warnings.catch_warnings():
        # What pydicom warns of while it makes sense of a value is no news to anybody here.
        warnings.simplefilter("ignore")
        try:
            model = from_dataset(instance.dataset(), bulk=uri, problems=problems)
        except HounsfieldError:
            raise
        except Exception as error:
            raise MalformedError(
                say("a header that cannot be read ({name__})", name__=type(error).__name__),
                where=instance.name,
            ) from error
    found = {}
    for tag, element in model.items():
        text = json.dumps({tag: element}, ensure_ascii=False, separators=(",", ":"))
        # json.dumps writes the mark as an escape; in header text it stands as itself.
        found[int(tag, 16)] = text[1:-1].replace('"BulkDataURI":"\\u0001', f'"BulkDataURI":"{INSTANCE_URL}')
    return found


def _members(of: _DataSet, spans: list[Span]) -> dict[int, str]:
    """The members of the elements of one data set or item."""
    buffer, charset, found = of.buffer, of.charset, dict[int, str]()
    for span in spans:
        tag, vr_bytes, _, start, end = span
        element = tag & 0xFFFF
        if vr_bytes in _SHORT_VRS and element and tag != _CHARACTER_SET and end - start <= _REMEMBERED_BYTES:
            # Nine in ten elements; every instance that is stored passes here a hundred times.
            found[tag] = _member(tag, _SHORT_VRS[vr_bytes], buffer[start:end], charset)
            continue
        if not element:
            continue
        vr = _vr(of, span, found)
        if vr == "SQ":
            found[tag] = _sequence(of, tag, charset, start, end)
            continue
        if tag == _CHARACTER_SET and not of.settled:
            charset = buffer[start:end].decode("ascii", "replace").strip("\0 ")
        found[tag] = _plain_member(tag, vr, buffer[start:end], charset, of)
    return found


def _vr(of: _DataSet, span: Span, before: Mapping[int, str]) -> str:
    """The VR of an element; `before`: the members that precede it."""
    tag, vr_bytes, _, start, end = span
    is_private, element = tag >> 16 & 1, tag & 0xFFFF
    if of.implicit:
        if is_private and element > 0xFF:
            if of.buffer[start - 4 : start] == _UNDEFINED:
                raise _Odd
            return _private_vr(of, tag, start, end - start, before)
        return _dictionary_vr(tag, _is_signed(before))
    vr = vr_bytes.decode("ascii")
    if vr != "UN":
        return vr
    # A public element of unknown VR is one that the dictionary knows better.
    if not is_private:
        raise _Odd
    # Who reserves a block of private elements says so in LO (PS3.5 7.8.1), also where the VR was lost.
    return _private_vr(of, tag, start, end - start, before) if element > 0xFF else "LO"


def _plain_member(tag: int, vr: str, value: bytes, charset: str, of: _DataSet) -> str:
    """An element that is no sequence: inline, or the URI of bulk data."""
    if tag == _CHARACTER_SET:
        return _DICOM_JSON_UTF8
    if of.bulk and len(value) > INLINE_BYTES and vr in BYTES:
        return _bulk_member(tag, vr, f"{of.path}{tag:08X}")
    make = _member if len(value) <= _REMEMBERED_BYTES else _member.__wrapped__
    return make(tag, vr, value, charset)


def _sequence(of: _DataSet, tag: int, charset: str, start: int, end: int) -> str:
    """The member of a sequence whose value lies between `start` and `end`."""
    items: list[str] = []
    for spans in item_spans(of.buffer, start, end, implicit=of.implicit, depth=of.depth + 1):
        path = f"{of.path}{tag:08X}.{len(items)}."
        inner = replace(of, path=path, depth=of.depth + 1, charset=charset)
        members = _members(inner, spans)
        items.append("{" + ",".join(members.values()) + "}")
    return _sequence_member(tag, items)


def _sequence_member(tag: int, items: Sequence[str]) -> str:
    return f'"{tag:08X}":{{"vr":"SQ"{f""","Value":[{",".join(items)}]""" if items else ""}}}'


def _bulk_member(tag: int, vr: str, path: str) -> str:
    return f'"{tag:08X}":{{"vr":"{vr}","BulkDataURI":"{INSTANCE_URL}/bulkdata/{path}"}}'


@lru_cache(maxsize=32768)
def _member(tag: int, vr: str, value: bytes, charset: str) -> str:
    """One element that is no sequence as a JSON member."""
    name = f'"{tag:08X}"'
    if vr in BYTES:
        if not value:
            return f'{name}:{{"vr":"{vr}"}}'
        return f'{name}:{{"vr":"{vr}","InlineBinary":"{base64.b64encode(value).decode()}"}}'
    if vr in NUMBERS:
        size = struct.calcsize(NUMBERS[vr])
        if len(value) % size:
            raise _Odd
        numbers: tuple[object, ...] = struct.unpack(f"<{len(value) // size}{NUMBERS[vr]}", value)
    elif vr == "AT":
        if len(value) % 4:
            raise _Odd
        pairs = struct.unpack(f"<{len(value) // 2}H", value)
        numbers = tuple(pairs[i] << 16 | pairs[i + 1] for i in range(0, len(pairs), 2))
    else:
        numbers = _texts(vr, value, charset)
    values = [value_as_json(vr, number) for number in numbers]
    if not values or values == [None]:
        return f'{name}:{{"vr":"{vr}"}}'
    return f'{name}:{{"vr":"{vr}","Value":{json.dumps(values, ensure_ascii=False, separators=(",", ":"))}}}'


def _texts(vr: str, value: bytes, charset: str) -> tuple[str, ...]:
    """The values of a text element (PS3.5 6.2: trailing padding is no part of any)."""
    raw = value.rstrip(b"\0 ")
    if raw.isascii() and b"\x1b" not in raw:
        text = raw.decode("ascii")
    elif vr in LOCALIZED:
        text = decode_text(raw, charset, person=vr == "PN")
    else:
        text = raw.decode("latin-1")
    if not text:
        return ()
    parts = [text] if vr in SINGLE_VALUE else text.split("\\")
    if vr == "UI":
        return tuple(part.strip("\0 ") for part in parts)
    return tuple(
        part.strip(" \0") if vr not in SINGLE_VALUE and vr != "PN" else part.rstrip(" \0") for part in parts
    )


@lru_cache(maxsize=8192)
def _dictionary_vr(tag: int, signed: bool) -> str:
    """The VR that Implicit VR leaves to the dictionary; what has other double meanings is left to pydicom."""
    vr = dictionary_vr(tag)
    if vr == "US or SS":
        return "SS" if signed else "US"
    if " or " in vr:
        raise _Odd
    return vr


def _private_vr(of: _DataSet, tag: int, start: int, length: int, before: Mapping[int, str]) -> str:
    """The VR of a private element by its creator; "UN" where nobody knows it, or the value is not of it."""
    creator = next(iter(values_of(before.get(tag & 0xFFFF0000 | tag >> 8 & 0xFF, '"":{}'))), "")
    vr = attribute(tag, creator).vr if creator else "UN"
    if " or " in vr or vr == "SQ":
        return "UN"
    text = of.buffer[start : start + min(length, _REMEMBERED_BYTES)].rstrip(b"\0 ")
    if vr in {"DS", "IS"}:
        return vr if _NUMERIC.fullmatch(text) else "UN"
    is_text = vr not in _SHORT_TEXT or (text.isascii() and text.decode("ascii").isprintable())
    return vr if is_text else "UN"


def _is_signed(found: Mapping[int, str]) -> bool:
    """Pixel Representation, on which the VR of what follows it depends (PS3.5 A.1, note on "US or SS")."""
    return found.get(0x00280103, "").endswith("[1]}")
