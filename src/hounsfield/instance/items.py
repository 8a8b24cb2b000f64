"""Elements and items of pydicom's data sets, whatever is in them: a broken one gives what it can, and never raises."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import Dataset


class Unconverted(str):
    """The text of an element that its VR does not allow: a decimal comma, or no number at all."""


def value(dataset: Dataset, keyword: str) -> Any:
    """The value of an element; `Unconverted` text where pydicom cannot convert it, None where there is nothing."""
    try:
        return dataset[keyword].value
    except Exception:  # noqa: BLE001 (pydicom raises many kinds on a broken element)
        raw = raw_value(dataset, keyword)
        return Unconverted(raw.decode("latin-1")) if raw is not None and raw.strip(b" \0") else None


def raw_value(dataset: Dataset, key: str | int) -> bytes | None:
    """The bytes of a value that pydicom has not converted yet; None of one that it has, or cannot even give."""
    raw: object = None
    with suppress(Exception):  # it converts some elements even here
        raw = getattr(dataset.get_item(key), "value", None)
    return raw if isinstance(raw, bytes) else None


def items(dataset: Dataset, keyword: str) -> Iterable[Dataset]:
    """The items of a sequence; none of what is no sequence."""
    found = value(dataset, keyword) if keyword in dataset else None
    return found if found is not None and not isinstance(found, (bytes, str)) else ()


def first_item(dataset: Dataset, keyword: str) -> Dataset | None:
    """The first item of a sequence, None without one."""
    return next(iter(items(dataset, keyword)), None)
