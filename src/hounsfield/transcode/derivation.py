"""The statements that a lossy image must make of itself (PS3.3 C.7.6.1.1.5, C.7.6.1.1.2, C.7.6.1.1.3): a derived image
with its own UID, its source, and how it was compressed; and what one must that was lossy before and did not say so.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from hounsfield.codecs.table import codec_of
from hounsfield.dicom.encoding import EXPLICIT_LITTLE, Encoding, encode_element
from hounsfield.dicom.syntaxes import TransferSyntax
from hounsfield.errors import MalformedError
from hounsfield.transcode.part10 import Part10

_IMAGE_TYPE, _SOP_CLASS, _SOP_INSTANCE = 0x00080008, 0x00080016, 0x00080018
_REFERENCED_CLASS, _REFERENCED_INSTANCE = 0x00081150, 0x00081155
_CODE, _SCHEME, _MEANING = 0x00080100, 0x00080102, 0x00080104
_DERIVATION, _SOURCE_IMAGES, _DERIVATION_CODES = 0x00082111, 0x00082112, 0x00089215
_PURPOSE = 0x0040A170
_LOSSY, _RATIO, _METHOD = 0x00282110, 0x00282112, 0x00282114
_NAMESPACE = uuid.UUID("b24e5a0c-21d0-4d3c-8f6a-9f0d1d1f0f59")
_ITEM_START = b"\xfe\xff\x00\xe0"
_MAX_DESCRIPTION = 1024  # ST


def derived_uid(original: bytes, syntax: TransferSyntax, goal: str) -> bytes:
    """The SOP Instance UID of such a derivation: the same each time, so that work can be resumed."""
    name = f"{original.decode('ascii', 'replace')} {syntax.uid} {goal}"
    return f"2.25.{uuid.uuid5(_NAMESPACE, name).int}".encode("ascii")


@dataclass(frozen=True, slots=True)
class PastLoss:
    """A loss that an image has been through and does not tell of: `method` and `ratio` of its codestreams."""

    method: str
    ratio: float


def past_loss_edits(part: Part10, past: PastLoss, encoding: Encoding) -> dict[int, bytes]:
    """The elements that make `part`, in `encoding`, say that it is lossy; what it says already is kept before it."""
    return {
        tag: encode_element(tag, vr, value, encoding, filler=b" ")
        for tag, vr, value in (
            (_LOSSY, b"CS", b"01"),
            (_RATIO, b"DS", _appended(part, _RATIO, _said(past.ratio))),
            (_METHOD, b"CS", _appended(part, _METHOD, past.method)),
        )
    }


def derivation_edits(
    part: Part10, syntax: TransferSyntax, *, ratio: float, goal: str, uid: bytes, past: PastLoss | None = None
) -> dict[int, bytes]:
    """The elements that turn `part`, in Explicit VR Little Endian, into a lossy derivation of itself.

    `past` is a loss before this one that `part` does not tell of.
    """
    ratios = [*([] if past is None else [_said(past.ratio)]), _said(ratio)]
    methods = [*([] if past is None else [past.method]), _method(syntax)]
    original = (part.find(_SOP_INSTANCE) or b"").rstrip(b"\0 ")
    sop_class = (part.find(_SOP_CLASS) or b"").rstrip(b"\0 ")
    if not original:
        raise MalformedError(
            "no SOP Instance UID (0008,0018)", expected="one, to be the source of the lossy image"
        )
    said = f"Lossy compression, {syntax.name}, {goal}, ratio {ratio:.4g}"
    return {
        _IMAGE_TYPE: _element(_IMAGE_TYPE, b"CS", _derived_type(part)),
        _SOP_INSTANCE: _element(_SOP_INSTANCE, b"UI", uid, b"\0"),
        _DERIVATION: _element(_DERIVATION, b"ST", _appended_text(part, said)),
        _SOURCE_IMAGES: _sequence(
            _SOURCE_IMAGES, _with_item(part, _SOURCE_IMAGES, _source(sop_class, original))
        ),
        _DERIVATION_CODES: _sequence(
            _DERIVATION_CODES, _with_item(part, _DERIVATION_CODES, _code(b"113040", b"Lossy Compression"))
        ),
        _LOSSY: _element(_LOSSY, b"CS", b"01"),
        _RATIO: _element(_RATIO, b"DS", _appended(part, _RATIO, *ratios)),
        _METHOD: _element(_METHOD, b"CS", _appended(part, _METHOD, *methods)),
    }


def _element(tag: int, vr: bytes, value: bytes, filler: bytes = b" ") -> bytes:
    return encode_element(tag, vr, value, EXPLICIT_LITTLE, filler=filler)


def _sequence(tag: int, items: bytes) -> bytes:
    return encode_element(tag, b"SQ", items, EXPLICIT_LITTLE)


def _derived_type(part: Part10) -> bytes:
    values = (part.find(_IMAGE_TYPE) or b"").rstrip(b"\0 ").split(b"\\")
    rest = values[1:] or [b"PRIMARY"]
    return b"\\".join([b"DERIVED", *rest])


def _said(ratio: float) -> str:
    return f"{ratio:.4g}"


def _appended(part: Part10, tag: int, *values: str) -> bytes:
    before = (part.find(tag) or b"").rstrip(b"\0 ")
    return b"\\".join(([before] if before else []) + [value.encode("ascii") for value in values])


def _appended_text(part: Part10, said: str) -> bytes:
    before = (part.find(_DERIVATION) or b"").rstrip(b"\0 ")
    text = (before + b"; " if before else b"") + said.encode("ascii", "replace")
    return text if len(text) <= _MAX_DESCRIPTION else said.encode("ascii", "replace")


def _with_item(part: Part10, tag: int, content: bytes) -> bytes:
    """The items a sequence has, and one more."""
    before = part.find(tag) or b""
    if part.vr(tag) != b"SQ":
        before = b""
    return before + _ITEM_START + len(content).to_bytes(4, "little") + content


def _source(sop_class: bytes, original: bytes) -> bytes:
    purpose = _code(b"121320", b"Uncompressed predecessor")
    item = _ITEM_START + len(purpose).to_bytes(4, "little") + purpose
    return (
        _element(_REFERENCED_CLASS, b"UI", sop_class, b"\0")
        + _element(_REFERENCED_INSTANCE, b"UI", original, b"\0")
        + _sequence(_PURPOSE, item)
    )


def _code(value: bytes, meaning: bytes) -> bytes:
    return (
        _element(_CODE, b"SH", value) + _element(_SCHEME, b"SH", b"DCM") + _element(_MEANING, b"LO", meaning)
    )


def _method(syntax: TransferSyntax) -> str:
    codec = codec_of(syntax.family)
    return "" if codec is None else codec.lossy_method
