"""Rows of one instance after another, quickly: what recurs from slice to slice is made once.

Little-endian Part 10 files whose elements the strict walk accepts; anything else is `attribute_rows` of pydicom's data
set, with which a test holds every row of this one equal. Plain ASCII values of the usual VRs are read here, all others
by pydicom, an element at a time.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TypeAlias

from hounsfield.attributes.explain import CONTEXT, SPECIAL
from hounsfield.attributes.rows import Row, attribute_rows, element_rows, in_order
from hounsfield.attributes.values import Value, read_value
from hounsfield.ct.instance import Instance, has_metadata
from hounsfield.ct.instance.texts import configured_for
from hounsfield.dicom.dataset_texts import apply_decision
from hounsfield.dicom.datasets import dataset_of
from hounsfield.dicom.decided_texts import Decision
from hounsfield.dicom.dictionary import attribute
from hounsfield.dicom.encoding import Encoding
from hounsfield.dicom.fast_walk import Trace, scan_elements
from hounsfield.dicom.vr import NUMBERS, SINGLE_VALUE, TEXT
from hounsfield.dicom.walked_texts import decide_walked

REMEMBERED_BYTES = 4096
"""Longest element whose rows are kept for the next instance."""

_CHARACTER_SET, _PIXEL_REPRESENTATION = 0x00080005, 0x00280103
_FILE_META = 0x0002
_NUMBERS = {vr: code for vr, code in NUMBERS.items() if vr not in ("SV", "UV")}
_DECIMAL = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_INTEGER = r"[+-]?\d{1,9}"
_FORMS = {
    "DS": re.compile(rf"{_DECIMAL}(?:\\{_DECIMAL})*", re.ASCII),
    "IS": re.compile(rf"{_INTEGER}(?:\\{_INTEGER})*", re.ASCII),
}
# Others have rules of their own for what is a value: names, long texts, attribute tags.
_PLAIN = re.compile(r"(?! )[ -~]*(?<! )")
_TEXTS = TEXT - SINGLE_VALUE - set(_FORMS) - {"PN", "UC"}


_Chunk: TypeAlias = tuple[bytes, int, bool]
"""One element as it stands in the file, from its tag to its end; where in it its value begins; is it in Implicit VR."""


@dataclass(frozen=True, slots=True)
class _Around:
    """The surroundings that decide on how an element reads: those of elements before it, and their texts."""

    before: bytes = b""
    creator: str | None = None
    context: tuple[tuple[str, str], ...] = ()
    charset: str = ""


def header_rows(instance: Instance) -> tuple[Row, ...]:
    """The rows of `attribute_rows`, of this instance alone. Raises `MalformedError`, `LocationError`."""
    trace = Trace()
    elements = None
    if not has_metadata(instance.source):
        with instance.source.open() as stream:
            elements = scan_elements(stream, {}, trace=trace)
    if elements is None:
        return attribute_rows(instance.dataset())
    return in_order(_rows(trace, decide_walked(trace, configured_for(instance.source)).used))


def _rows(trace: Trace, charset: str) -> Iterator[Row]:
    """The rows of all elements; `charset`: the set that texts are in, "" for the one they declare."""
    buffer = trace.buffer
    chunks = {
        tag: (buffer[start:end], value - start, trace.implicit and start >= trace.data_set)
        for tag, _, start, value, end in trace.spans
    }
    context = tuple((keyword, _text_at(chunks, tag)) for keyword, tag in CONTEXT.items())
    known = [chunks[tag][0] for tag in (_CHARACTER_SET, _PIXEL_REPRESENTATION) if tag in chunks]
    usual = _Around(b"".join(known), charset=charset)
    explained = replace(usual, context=context)
    special = _special_tags()
    for tag, (content, value, implicit) in chunks.items():
        around = explained if tag in special else usual
        if tag >> 16 == _FILE_META:  # of a character set and an encoding of its own
            around = _Around()
        elif tag >> 16 & 1 and tag & 0xFFFF > 0xFF:
            reserved = tag & 0xFFFF0000 | tag >> 8 & 0xFF
            if reserved in chunks:
                creator = _text_at(chunks, reserved)
                before = usual.before + chunks[reserved][0]
                around = replace(usual, before=before, creator=creator or None)
        make = _element if len(content) <= REMEMBERED_BYTES else _element.__wrapped__
        yield from make(tag, content, value, implicit, around)


@cache
def _special_tags() -> frozenset[int]:
    """Attributes whose explanation depends on others."""
    from pydicom.datadict import tag_for_keyword

    return frozenset(tag for tag in map(tag_for_keyword, SPECIAL) if tag is not None)


@lru_cache(maxsize=16384)
def _element(tag: int, content: bytes, start: int, implicit: bool, around: _Around) -> tuple[Row, ...]:
    """The rows of one element at the top."""
    value = _quick_value(tag, content, start, implicit)
    if value is None:
        value = _value_by_pydicom(tag, content, implicit, around)
    context = dict(around.context)
    return tuple(element_rows(tag, value, around.creator, lambda keyword: context.get(keyword, "")))


def _quick_value(tag: int, content: bytes, start: int, implicit: bool) -> Value | None:
    """A plain value of a usual VR; None for what is left to pydicom."""
    vr = attribute(tag).vr if implicit else content[4:6].decode("latin-1")
    raw = content[start:]
    if implicit and tag >> 16 & 1 and not tag & 0xFFFF:
        return None  # the length of a private group, which pydicom shows as bytes
    if vr in _NUMBERS:
        size = struct.calcsize(_NUMBERS[vr])
        if not raw or len(raw) % size:
            return None
        numbers = struct.unpack(f"<{len(raw) // size}{_NUMBERS[vr]}", raw)
        return Value(vr, "\\".join(map(str, numbers)))
    if vr not in _TEXTS and vr not in _FORMS:
        return None
    text = raw.rstrip(b"\0 ").decode("latin-1")
    form = _FORMS.get(vr, _PLAIN)
    if form.fullmatch(text) is None or " \\" in text or "\\ " in text:
        return Value(vr, "") if not raw else None
    return Value(vr, text)


def _value_by_pydicom(tag: int, content: bytes, implicit: bool, around: _Around) -> Value:
    dataset = dataset_of(around.before + content, Encoding(implicit))
    apply_decision(dataset, Decision(used=around.charset))
    return read_value(dataset, tag)


def _text_at(chunks: Mapping[int, _Chunk], tag: int) -> str:
    return _text(tag, *chunks[tag]) if tag in chunks else ""


@lru_cache(maxsize=4096)
def _text(tag: int, content: bytes, start: int, implicit: bool) -> str:
    value = _quick_value(tag, content, start, implicit)
    return (value or _value_by_pydicom(tag, content, implicit, _Around())).text
