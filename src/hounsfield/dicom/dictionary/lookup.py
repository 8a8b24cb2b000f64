"""From what a person types to a tag: a keyword; `gggg,eeee`, `gggg|eeee` or eight hex digits, with `0x` or without."""

from __future__ import annotations

import difflib
import re
from functools import cache, lru_cache

from pydicom.datadict import dictionary_keyword, keyword_dict, repeater_has_keyword

from hounsfield.errors import SelectionError
from hounsfield.language import say

_HEX = r"(?:0x)?([0-9A-F]{4})"
_NUMBER = re.compile(rf"\(?\s*{_HEX}\s*[,|]\s*{_HEX}\s*\)?|(?:0x)?([0-9A-F]{{8}})", re.IGNORECASE)
_CLOSE_ENOUGH = 0.6  # of difflib's ratio: a swapped or missing letter, a forgotten word


@lru_cache(maxsize=4096)
def written(tag: int) -> str:
    """`tag` as PS3.6 prints it: (gggg,eeee)."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def find_tag(text: str) -> int:
    """The tag `text` means. Case of a keyword does not matter.

    Raises `SelectionError` for what names no attribute; its remedy suggests the nearest keywords, which are also
    `data["choices"]`.
    """
    text = text.strip()
    if match := _NUMBER.fullmatch(text):
        return int(match[3] or match[1] + match[2], 16)
    tag = (keyword_dict.get(text) or _folded().get(text.casefold())) if text else None
    if tag:
        return int(tag)
    if repeater_has_keyword(text):
        raise SelectionError(
            say("{text} stands in several groups", text=text),
            expected="one tag of them, such as 6000,0010",
            remedy="give the tag number",
        )
    near = _nearest(text)
    raise SelectionError(
        say("no attribute is called {text}", text=repr(text[:80])),
        expected="a DICOM keyword such as PatientID, or a tag such as 0010,0020",
        remedy=say("did you mean {either}?", either=_either(near))
        if near
        else "see the keywords that `hounsfield tags` prints",
        choices=near,
    )


@cache
def _folded() -> dict[str, int]:
    return {keyword.casefold(): tag for keyword, tag in keyword_dict.items() if keyword}


def _nearest(text: str) -> tuple[str, ...]:
    found = difflib.get_close_matches(text[:80].casefold(), _folded(), n=3, cutoff=_CLOSE_ENOUGH)
    return tuple(dictionary_keyword(_folded()[word]) for word in found)


def _either(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
