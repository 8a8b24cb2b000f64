"""One element of a data set as text, whatever it holds; nothing in here raises for what a file contains."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hounsfield.dicom.dictionary import written

if TYPE_CHECKING:
    from pydicom import Dataset

_SHOWN_BYTES = 8
_READABLE_BYTES = 1024  # bytes that are plain text up to here are shown as text


@dataclass(frozen=True, slots=True)
class Value:
    """An element read: `text` (values joined by a backslash, as DICOM does), `items` if a sequence.

    `length` counts the bytes of a binary value; `broken` says that the value is not what its VR promises, and the
    text is then its bytes read as they are.
    """

    vr: str
    text: str
    items: Sequence[Dataset] | None = None
    length: int | None = None
    broken: bool = False


def read_value(dataset: Dataset, tag: int) -> Value:
    """The value of `tag` in `dataset`. Text decodes with replacement of what its character set does not know."""
    from pydicom.tag import Tag

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            element = dataset[Tag(tag)]
            vr, value = str(element.VR), element.value
            if vr == "SQ":
                return Value(vr, "", tuple(value or ()))
            if isinstance(value, (bytes, bytearray)):
                return _binary(vr, bytes(value))
            return Value(vr, _joined(vr, value))
    except Exception:  # noqa: BLE001 (pydicom raises whatever a converter raises; one element must not end the rest)
        return _as_bytes(dataset, tag)


def raw_bytes(dataset: Dataset, tag: int) -> tuple[str, bytes] | None:
    """VR and bytes of an element that pydicom has not converted yet; None for one that it has, or cannot give."""
    from pydicom.tag import Tag

    try:
        raw = dataset.get_item(Tag(tag))
    except Exception:  # noqa: BLE001 (it converts some elements even here)
        return None
    content = getattr(raw, "value", None)
    return (str(getattr(raw, "VR", None) or "UN"), content) if isinstance(content, bytes) else None


def _as_bytes(dataset: Dataset, tag: int) -> Value:
    vr, content = raw_bytes(dataset, tag) or ("UN", b"")
    found = _binary("UN", content)
    return Value(vr, found.text, length=found.length, broken=True)


def _joined(vr: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str) or not isinstance(value, Sequence):
        value = (value,)
    return "\\".join(written(int(each)) if vr == "AT" else str(each) for each in value)


def _binary(vr: str, content: bytes) -> Value:
    plain = content.rstrip(b"\0 ")
    if vr in {"UN", "OB"} and plain and len(content) <= _READABLE_BYTES and plain.isascii():
        text = plain.decode("ascii")
        if text.isprintable():
            return Value(vr, text, length=len(content))
    if not content:
        return Value(vr, "", length=0)
    start = content[:_SHOWN_BYTES].hex(" ")
    more = " …" if len(content) > _SHOWN_BYTES else ""
    return Value(vr, f"<{len(content)} bytes: {start}{more}>", length=len(content))
