"""Numbers as files write them (PS3.5 6.2, DS and IS): read, or refused by name; never replaced by another number.

Absent and empty are other things than unreadable, and not this module's. A decimal comma is read as the point that it
stands for, since a comma separates nothing in DICOM.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

from hounsfield.errors import MalformedError
from hounsfield.language import say

_NUMBER = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_LONGEST_TOLD = 64  # characters of what is no number


def read_decimal(text: str) -> float | None:
    """One finite number; None where it is none."""
    text = text.strip(" \0")
    if _NUMBER.fullmatch(text) is None:
        return None
    number = float(text.replace(",", "."))
    return number if math.isfinite(number) else None


@lru_cache(maxsize=1024)  # orientation and spacing are the same on every frame
def read_decimals(text: str) -> tuple[float, ...] | None:
    """All values of a text with several (PS3.5 6.4); None where any of them is no number."""
    numbers = tuple(read_decimal(part) for part in text.split("\\"))
    return None if None in numbers else numbers  # type: ignore[return-value]


def unreadable(tag: int, text: str, expected: str = "a decimal number (PS3.5 6.2)") -> MalformedError:
    """The error for a value that is there and cannot be read."""
    from hounsfield.dicom.dictionary import attribute, written

    shown = repr(text[:_LONGEST_TOLD].strip(" \0"))
    return MalformedError(
        say("{en} {written} is {shown}", en=attribute(tag).name.en, written=written(tag), shown=shown),
        expected=expected,
        remedy=say("repair it: hounsfield tags --set {keyword}=… --out", keyword=attribute(tag).keyword),
    )
