"""Keyword, VR and names of a tag: pydicom's dictionaries in English, `chinese.tsv` of this package in Chinese.

Covers the standard's dictionary with its repeating groups (50xx, 60xx …), the private dictionaries by their
creators, private creators themselves, and group lengths. What nobody knows is named so, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from types import MappingProxyType

from pydicom.datadict import get_entry, get_private_entry

from hounsfield.dicom.dictionary.phrase import Phrase

ITEM = 0xFFFEE000
"""The tag of a sequence's item (PS3.5 7.5)."""

_PRIVATE_CREATOR = Phrase("Private Creator", "私有创建者")
_GROUP_LENGTH = Phrase("Group Length", "组长度")
_UNKNOWN_PRIVATE = Phrase("Private Attribute", "私有属性")
_UNKNOWN = Phrase("Unknown Attribute", "未知属性")
_ITEM = Phrase("Item", "条目")


@dataclass(frozen=True, slots=True)
class Attribute:
    """The entry of the dictionaries for one tag.

    `keyword` is empty where the standard gives none (private, unknown). `vr` may be alternatives ("US or SS")
    and is "UN" where unknown; `vm` is the value multiplicity as PS3.6 writes it ("1", "2-2n"), empty if unknown.
    """

    tag: int
    keyword: str
    vr: str
    vm: str
    name: Phrase
    retired: bool = False

    @property
    def private(self) -> bool:
        return bool(self.tag >> 16 & 1)


@lru_cache(maxsize=8192)
def attribute(tag: int, creator: str | None = None) -> Attribute:
    """Return what `tag` is; for a private one, by `creator`, the value of its block's private creator element."""
    group, element = tag >> 16, tag & 0xFFFF
    if tag == ITEM:
        return Attribute(tag, "", "", "", _ITEM)
    if group & 1:
        return _private(tag, element, creator)
    try:
        vr, vm, name, retired, keyword = get_entry(tag)
    except KeyError:
        if element == 0:
            return Attribute(tag, "", "UL", "1", _GROUP_LENGTH, retired=True)
        return Attribute(tag, "", "UN", "", _UNKNOWN)
    names = Phrase(name or keyword or _UNKNOWN.en, chinese_names().get(keyword, ""))
    return Attribute(tag, keyword, "UN" if vr == "NONE" else vr, vm, names, bool(retired))


def _private(tag: int, element: int, creator: str | None) -> Attribute:
    if element == 0:
        return Attribute(tag, "", "UL", "1", _GROUP_LENGTH, retired=True)
    if 0x10 <= element <= 0xFF:
        return Attribute(tag, "", "LO", "1", _PRIVATE_CREATOR)
    if creator:
        try:
            vr, vm, name, _ = get_private_entry(tag, creator)
        except KeyError:
            pass
        else:
            return Attribute(
                tag, "", vr, vm, Phrase(name) if name and name != "Unknown" else _UNKNOWN_PRIVATE
            )
    return Attribute(tag, "", "UN", "", _UNKNOWN_PRIVATE)


@cache
def chinese_names() -> Mapping[str, str]:
    """Keyword → Simplified Chinese name, of every attribute that has one; read once, when first asked for."""
    text = (resources.files(__package__) / "chinese.tsv").read_text("utf-8")
    lines = (line.partition("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return MappingProxyType({keyword: name for keyword, _, name in lines})
