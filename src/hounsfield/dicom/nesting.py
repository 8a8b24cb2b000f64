"""The limit on sequences within sequences: one for every reader and writer of elements."""

from __future__ import annotations

import mmap
import re

from hounsfield.errors import MalformedError
from hounsfield.language import say

MAX_DEPTH = 64
"""Sequences within sequences. No object of the standard has a tenth of it; deeper is refused."""

LEAST_DEEP = 16 * (MAX_DEPTH + 1)
"""Bytes of a value in which sequences can lie deeper: each level has two headers of eight."""

_ITEM_TAG = b"\xfe\xff\x00\xe0"
_MARKS = re.compile(rb"\xfe\xff(?:\x00\xe0(....)|\x0d\xe0\0\0\0\0)", re.DOTALL)
_BIG_MARKS = re.compile(rb"\xff\xfe(?:\xe0\x00(....)|\xe0\x0d\0\0\0\0)", re.DOTALL)
_OPEN = 1 << 62


def is_deep(value: bytes | memoryview | mmap.mmap, start: int, stop: int, *, little: bool = True) -> bool:
    """Return whether the value of a sequence, `value[start:stop]`, has items within items beyond `MAX_DEPTH`.

    Items are looked for as bytes, without a walk over what is in them, so that a sequence that is stepped over is
    held to the limit too.
    """
    if little and isinstance(value, bytes) and value.count(_ITEM_TAG, start, stop) <= MAX_DEPTH:
        return False
    ends: list[int] = []
    for mark in (_MARKS if little else _BIG_MARKS).finditer(value, start, stop):
        position = mark.start()
        while ends and ends[-1] <= position:
            ends.pop()
        size = mark[1]
        if size is not None:
            length = int.from_bytes(size, "little" if little else "big")
            ends.append(_OPEN if length == 0xFFFFFFFF else position + 8 + length)
            if len(ends) > MAX_DEPTH:
                return True
        elif ends and ends[-1] == _OPEN:
            ends.pop()
    return False


def too_deep(where: str) -> MalformedError:
    return MalformedError(
        say("sequences nested deeper than {max_depth}", max_depth=MAX_DEPTH),
        where=where,
        remedy="refused as damage or an attack",
    )


def no_element(tag: int, position: int) -> MalformedError:
    """The error of bytes that begin no element or item."""
    return MalformedError(
        say(
            "what stands at byte {position}, {written}, is no element",
            position=position,
            written=f"({tag >> 16:04X},{tag & 0xFFFF:04X})",
        ),
        expected="a tag, a VR and a length",
        remedy="the file is damaged; get it again from where it came",
    )
