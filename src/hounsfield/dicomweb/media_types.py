"""Media types as they stand in Content-Type and Accept, read as leniently as peers write them.

Read: quoted, single-quoted and bare values, spaces around `=` and `;`, any case, any order, a transfer syntax
inside the quoted `type` (Orthanc). Written: one strict form (RFC 9110 8.3.1). Not here: which transfer syntax
to convert to; only what was asked for and what fits it (PS3.18 8.7).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hounsfield.errors import DicomwebError
from hounsfield.language import say

MULTIPART = "multipart/related"
DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
OCTETS = "application/octet-stream"

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
NOT_ON_THE_WEB = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.2"})
"""Implicit VR and Big Endian are never sent (PS3.18 8.7.3)."""

DEFAULT_TRANSFER_SYNTAX = {
    DICOM: EXPLICIT_LITTLE_ENDIAN,
    OCTETS: EXPLICIT_LITTLE_ENDIAN,
    "image/jpeg": "1.2.840.10008.1.2.4.70",
    "image/jls": "1.2.840.10008.1.2.4.80",
    "image/jp2": "1.2.840.10008.1.2.4.90",
    "image/jpx": "1.2.840.10008.1.2.4.92",
    "image/jphc": "1.2.840.10008.1.2.4.201",
    "image/jxl": "1.2.840.10008.1.2.4.110",
    "image/dicom-rle": "1.2.840.10008.1.2.5",
}
"""The transfer syntax of a media type when none is named (PS3.18 8.7.3, Table 8.7.3-5)."""

_OTHER_NAMES = {"image/jpg": "image/jpeg", "image/x-jls": "image/jls", "image/x-dicom-rle": "image/dicom-rle"}
"""Names that peers write, and former editions had, for media types of Table 8.7.3-5."""

MAX_MEDIA_TYPES = 1000
"""Media types in one Accept header; more is no request but an attack."""

_TOKEN = frozenset("!#$%&*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True, slots=True)
class MediaType:
    """`name` in lower case ("multipart/related", "*/*"); `parameters` in order, their names in lower case."""

    name: str
    parameters: tuple[tuple[str, str], ...] = field(default=())

    @classmethod
    def parse(cls, text: str) -> MediaType:
        """The media type that a Content-Type names; `DicomwebError` where there is none."""
        found = _scan(text, ";")
        if len(found) != 1:
            raise DicomwebError(
                say("{text} is no media type", text=repr(text[:100])), expected="type/subtype", status=400
            )
        return found[0]

    def parameter(self, name: str) -> str | None:
        return next((value for key, value in self.parameters if key == name), None)

    @property
    def inner(self) -> MediaType | None:
        """The media type of a multipart's parts: its `type`, with the transfer syntax wherever that was written."""
        kind = self.parameter("type")
        if kind is None or not (found := _scan(kind, ";")):
            return None
        inner = found[0]
        if (
            inner.parameter("transfer-syntax") is None
            and (syntax := self.parameter("transfer-syntax")) is not None
        ):
            inner = MediaType(inner.name, (*inner.parameters, ("transfer-syntax", syntax)))
        return inner

    @property
    def content(self) -> MediaType:
        """The media type that arrives in the end: the parts' for a multipart, itself otherwise."""
        return (self.inner or self) if self.name == MULTIPART else self

    @property
    def transfer_syntax(self) -> str | None:
        """The `transfer-syntax` asked for or declared, "*" included; None when nothing was said."""
        return self.content.parameter("transfer-syntax") or None

    def without(self, name: str) -> MediaType:
        return MediaType(self.name, tuple(each for each in self.parameters if each[0] != name))

    def __str__(self) -> str:
        return "; ".join([self.name, *(f"{name}={_quoted(value)}" for name, value in self.parameters)])


@dataclass(frozen=True, slots=True)
class Accepted:
    """One entry of an Accept header: a media type, perhaps with wildcards, and its weight from 0 to 1."""

    media_type: MediaType
    quality: float = 1.0

    def __str__(self) -> str:
        return str(self.media_type) if self.quality == 1 else f"{self.media_type}; q={self.quality:.3g}"


def multipart(inner: str, *, boundary: str | None = None, transfer_syntax: str | None = None) -> MediaType:
    """`multipart/related; type="inner"` with what else is given, in the order that most servers expect."""
    given = (("type", inner), ("transfer-syntax", transfer_syntax), ("boundary", boundary))
    return MediaType(MULTIPART, tuple((name, value) for name, value in given if value is not None))


def parse_accept(text: str) -> tuple[Accepted, ...]:
    """The entries of an Accept header (or `?accept=`, PS3.18 8.3.3.1), best first.

    An empty text accepts anything, one without any media type nothing.
    """
    entries = []
    for entry in _scan(text, ";,") if text.strip() else [MediaType("*/*")]:
        entries.append(Accepted(entry.without("q"), _weight(entry.parameter("q"))))
    return tuple(sorted(entries, key=lambda entry: -entry.quality))


def accepts(asked: MediaType, offer: MediaType) -> bool:
    """Return whether `offer` is what `asked` admits: names, inner type and transfer syntax, each with wildcards."""
    if not _name_fits(asked.name, offer.name):
        return False
    if offer.name == MULTIPART and asked.inner is not None:
        return offer.inner is not None and accepts(asked.inner, offer.inner)
    wanted = asked.transfer_syntax
    if wanted == "*" or asked.name.endswith("*") or (asked.name == MULTIPART and wanted is None):
        return True
    default = DEFAULT_TRANSFER_SYNTAX.get(offer.content.name)
    return (wanted or default) == (offer.transfer_syntax or default)


def negotiate(accept: Iterable[Accepted], offers: Sequence[MediaType]) -> MediaType | None:
    """The offer to send: heaviest entry first, offers in the server's order; None means 406.

    An entry of weight 0 forbids what it names even where a wildcard would admit it.
    """
    entries = tuple(accept)
    forbidden = [entry.media_type for entry in entries if entry.quality <= 0]
    for entry in sorted(entries, key=lambda entry: -entry.quality):
        for offer in offers:
            refused = any(accepts(media_type, offer) for media_type in forbidden)
            if entry.quality > 0 and not refused and accepts(entry.media_type, offer):
                return offer
    return None


def accept_ladder(inner: str = DICOM, transfer_syntax: str = "*") -> tuple[str, ...]:
    """Accept headers for the same content, from what the standard asks to what odd servers need."""
    with_syntax = f'{MULTIPART}; type="{inner}"; transfer-syntax={transfer_syntax}'
    return (
        with_syntax,
        f'{MULTIPART}; type="{inner}"',
        f"{MULTIPART}; type={inner}; transfer-syntax={transfer_syntax}",
        f"{MULTIPART}; type={inner}",
        f"{inner}; transfer-syntax={transfer_syntax}",
        "*/*",
    )


def _name_fits(asked: str, offered: str) -> bool:
    if asked in {offered, "*/*", "*"}:
        return True
    return asked.endswith("/*") and offered.startswith(asked[:-1])


def _weight(text: str | None) -> float:
    try:
        weight = float(text) if text else 1.0
    except ValueError:
        return 1.0
    return min(max(weight, 0.0), 1.0) if math.isfinite(weight) else 1.0


def _scan(text: str, marks: str) -> list[MediaType]:
    """Media types parted by commas if `marks` holds one; never fails, leaves out what has no name."""
    found: list[MediaType] = []
    position = 0
    while position < len(text):
        name, position = _until(text, position, marks)
        parameters: list[tuple[str, str]] = []
        while position < len(text) and text[position] == ";":
            key, position = _until(text, position + 1, "=" + marks)
            value = ""
            if position < len(text) and text[position] == "=":
                value, position = _value(text, position + 1, marks)
            if key:
                parameters.append((key.lower(), value))
        position += 1
        if "/" in name or name == "*":
            lower = name.lower() if name != "*" else "*/*"
            found.append(MediaType(_OTHER_NAMES.get(lower, lower), tuple(parameters)))
        if len(found) > MAX_MEDIA_TYPES:
            raise DicomwebError("too many media types in one header", status=400)
    return found


def _until(text: str, position: int, marks: str) -> tuple[str, int]:
    """The trimmed text up to the first of `marks`, and where that mark is."""
    end = position
    while end < len(text) and text[end] not in marks:
        end += 1
    return text[position:end].strip(), end


def _value(text: str, position: int, marks: str) -> tuple[str, int]:
    """A parameter's value and where the mark after it is; a quote that is never closed is a plain character."""
    start = position
    while position < len(text) and text[position] in " \t":
        position += 1
    quote = text[position : position + 1]
    if quote not in {'"', "'"}:
        return _until(text, start, marks)
    characters: list[str] = []
    end = position + 1
    while end < len(text) and text[end] != quote:
        if text[end] == "\\" and quote == '"' and end + 1 < len(text):
            end += 1
        characters.append(text[end])
        end += 1
    if end >= len(text):
        return _until(text, start, marks)
    _, after = _until(text, end + 1, marks)
    return "".join(characters), after


def _quoted(value: str) -> str:
    if value and _TOKEN.issuperset(value):
        return value
    if not value.isprintable():
        raise DicomwebError("a control character in a media type's parameter", status=400)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
