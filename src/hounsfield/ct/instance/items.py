"""Elements and items of data sets, pydicom's or raw ones: a broken element gives what it can, and never raises."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from hounsfield.ct.instance.raw_items import RawItem
from hounsfield.dicom.vr import SHORT_TEXT

if TYPE_CHECKING:
    from pydicom import Dataset

Level: TypeAlias = "Dataset | RawItem"
"""A data set, or an item of a sequence."""


class Unconverted(str):
    """The text of an element that its VR does not allow: a decimal comma, or no number at all."""


def value(dataset: Level, keyword: str) -> Any:
    """The value of an element; `Unconverted` text where it is empty or cannot be converted, None where it is not there.

    Raw items give all text as `Unconverted`, several values with their backslashes.
    """
    if isinstance(dataset, RawItem):
        found = dataset.value(keyword)
        return Unconverted(found) if isinstance(found, str) else found
    try:
        converted = dataset[keyword].value
        return Unconverted() if converted is None else converted
    except Exception:  # noqa: BLE001 (pydicom raises many kinds on a broken element)
        raw = raw_value(dataset, keyword)
        return Unconverted(raw.decode("latin-1")) if raw is not None and raw.strip(b" \0") else None


def raw_value(dataset: Dataset, key: str | int) -> bytes | None:
    """The bytes of a text that pydicom has not converted yet; None of one that it has, and of what is no text."""
    with suppress(Exception):  # it converts some elements even here
        found = dataset.get_item(key)
        raw, vr = getattr(found, "value", None), getattr(found, "VR", None)
        if isinstance(raw, bytes) and (vr is None or str(vr).encode() in SHORT_TEXT):
            return raw
    return None


def items(dataset: Level, keyword: str) -> Iterable[Level]:
    """The items of a sequence; none of what is no sequence."""
    if isinstance(dataset, RawItem):
        return dataset.items(keyword)
    found = value(dataset, keyword) if keyword in dataset else None
    return found if found is not None and not isinstance(found, (bytes, str)) else ()


def first_item(dataset: Level, keyword: str) -> Level | None:
    """The first item of a sequence, None without one."""
    if isinstance(dataset, RawItem):
        found = dataset.items(keyword)
        return found[0] if found else None
    return next(iter(items(dataset, keyword)), None)
