"""Attribute names of searches, and values read out of DICOM JSON without building a data set.

`PatientName`, `00100010`, `(0010,0010)` and paths of them joined by dots mean the same; written canonically as
keywords, or eight upper-case hex digits where there is no keyword. Not a parser of whole data sets:
`dicom_json` is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from hounsfield.errors import DicomwebError
from hounsfield.language import say

MAX_DEPTH = 16
"""Sequences in one attribute path."""

_HEX = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")


@lru_cache(maxsize=1024)
def canonical(name: str) -> str:
    """The one way to write the attribute path `name`; `DicomwebError` with status 400 for an unknown one."""
    steps = name.strip().split(".")
    if len(steps) > MAX_DEPTH:
        raise DicomwebError(
            "an attribute path too deep",
            expected=say("at most {max_depth} steps", max_depth=MAX_DEPTH),
            status=400,
        )
    return ".".join(_keyword(tag) if _keyword(tag) else tag for tag in map(_tag, steps))


@lru_cache(maxsize=1024)
def tag_path(name: str) -> tuple[str, ...]:
    """The steps of an attribute path as DICOM JSON writes tags: eight upper-case hex digits each."""
    return tuple(map(_tag, name.strip().split(".")))


@lru_cache(maxsize=1024)
def vr_of(name: str) -> str:
    """The VR of the last step of a path by the data dictionary; "UN" where it does not know."""
    from pydicom.datadict import dictionary_VR

    try:
        return dictionary_VR(int(tag_path(name)[-1], 16)).split(" or ", maxsplit=1)[0]
    except KeyError:
        return "UN"


def may_have_several(name: str) -> bool:
    """Return whether the last step of a path may have several values; not where the dictionary is silent."""
    from pydicom.datadict import dictionary_VM

    try:
        return dictionary_VM(int(tag_path(name)[-1], 16)) != "1"
    except KeyError:
        return False


def values(model: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Every value of `name` in a DICOM JSON object, as text; sequences on the path give those of all items.

    Forgiving per element: a scalar where a list belongs, an object without `vr`, nulls. A person's name comes
    as its groups joined by `=`.
    """
    found: list[Mapping[str, Any]] = [model]
    *above, last = tag_path(name)
    for step in above:
        found = [item for each in found for item in _raw(each, step) if isinstance(item, Mapping)]
    return tuple(_text(value) for each in found for value in _raw(each, last) if value is not None)


def items(model: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], ...]:
    """The items of the sequence `name` of a DICOM JSON object."""
    return tuple(item for item in _raw(model, tag_path(name)[0]) if isinstance(item, Mapping))


def first(model: Mapping[str, Any], name: str, default: str = "") -> str:
    """The first value of `name` as text, or `default`."""
    return next(iter(values(model, name)), default)


def _raw(model: Mapping[str, Any], tag: str) -> Iterator[Any]:
    element = model.get(tag)
    if element is None:
        element = model.get(tag.lower())
    if isinstance(element, Mapping):
        value = element.get("Value")
        if isinstance(value, list):
            yield from value
        elif value is not None:
            yield value


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        groups = [value.get(group) for group in ("Alphabetic", "Ideographic", "Phonetic")]
        return "=".join("" if group is None else str(group) for group in groups).rstrip("=")
    return str(value)


def _tag(step: str) -> str:
    from pydicom.datadict import tag_for_keyword

    if match := _HEX.fullmatch(step):
        return (match[1] + match[2]).upper()
    tag = tag_for_keyword(step) if step else None
    if tag is None:
        raise DicomwebError(
            say("{step} is no attribute", step=repr(step[:64])),
            expected="a DICOM keyword such as PatientID, or eight hex digits",
            status=400,
        )
    return f"{tag:08X}"


def _keyword(tag: str) -> str:
    from pydicom.datadict import keyword_for_tag

    return keyword_for_tag(int(tag, 16))
