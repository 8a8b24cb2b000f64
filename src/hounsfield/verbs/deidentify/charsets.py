"""Readings of bytes of text: the label that a file gives its text is a claim, and often a wrong one.

Text is searched in every reading that its bytes allow, so that a name in one character set is found in text of another
(PS3.3 C.12.1.1.2; PS3.5 6.1.2.3). Text of ASCII has one reading, and is not looked at here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hounsfield.dicom.charsets import decode_text, python_codec

_GB = b"\x1b$)A"
"""ISO 2022 IR 58 (PS3.5 Annex K.2): what follows is GB 2312 in bytes above 127; GB18030 has all of it, and more."""

_ESCAPES = re.compile(rb"\x1b\$\)A|\x1b\(B")

_THREE_BYTES = "\u0800"
_LATIN = ("iso8859", "latin_1")
_OTHERS = ("gb18030", "big5", "shift_jis", "euc_kr", "cp1251", "latin-1")


class Reading(NamedTuple):
    """Text, and the codec of Python that gave it; "" where it was several, by escape sequences."""

    text: str
    encoding: str


def readings(raw: bytes, label: Sequence[str], decided: str = "") -> tuple[Reading, ...]:
    """`raw` as text in all ways that are possible, the most likely first; at least one. `label`: Python's codecs.

    `decided`: the set that all texts of the data set are in together, where that is not the label's.
    What is valid UTF-8 with characters of three bytes is nothing else, unless the label says so. Of two bytes it may be
    by chance: a fifth of the commonest characters of GB 2312 are.
    """
    if b"\x1b" in raw:
        return tuple(_by_escapes(raw, label))
    likely = list(_decoded(raw, (python_codec(decided),) if decided else ()))
    own = [name for name in label if name not in _LATIN]
    unicode = list(_decoded(raw, ("utf-8",)))
    found = [*_decoded(raw, own), *unicode, *likely]
    if not any(char >= _THREE_BYTES for text, _ in unicode for char in text):
        order = ("gb18030", *label) if own or "latin_1" not in label else ("latin_1", "gb18030")
        found += _decoded(raw, (*order, *_OTHERS))
    distinct: dict[str, Reading] = {}
    for reading in found:
        distinct.setdefault(reading.text, reading)
    return tuple(distinct.values())


def is_as_labelled(reading: Reading, label: Sequence[str]) -> bool:
    """Return whether the label is right, so that the text may be written again under it."""
    is_plain = not label or label[0] == "iso8859"
    return reading.encoding in label and not is_plain


def _by_escapes(raw: bytes, label: Sequence[str]) -> Iterator[Reading]:
    if _GB in raw:
        yield from _decoded(_ESCAPES.sub(b"", raw), ("gb18030",))
    else:
        first = {"shift_jis": "ISO 2022 IR 13", "latin_1": "ISO 2022 IR 100"}.get(label[0], "")
        yield Reading(decode_text(raw, first, person=True), label[-1])


def _decoded(raw: bytes, encodings: Sequence[str]) -> Iterator[Reading]:
    for encoding in encodings:
        try:
            yield Reading(raw.decode(encoding), encoding)
        except (UnicodeDecodeError, LookupError):
            continue
