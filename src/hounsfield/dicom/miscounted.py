"""Texts whose length counts characters where PS3.5 7.1 counts bytes: found by what can stand behind them.

Some domestic makers' CT write 6 for the twelve bytes of a hospital of six characters; what follows is then read out of
step. A longer text is believed only if it has just so many characters, and an element can begin behind it.
"""

from __future__ import annotations

from collections.abc import Callable

_SETS = ("gb18030", "utf-8", "euc_kr", "big5", "shift_jis")
_WIDEST = 4  # bytes of a character


def true_length(content: bytes, counted: int, may_end: Callable[[int], bool]) -> int | None:
    """The bytes of a text that is `counted` characters long; None where it cannot be that.

    `content` begins with the text and goes on behind it; `may_end` says whether another element can begin after so many
    bytes.
    """
    for length in range(counted + 1, min(_WIDEST * counted + 1, len(content)) + 1):
        if may_end(length) and any(_has_characters(content[:length], counted, name) for name in _SETS):
            return length
    return None


def _has_characters(text: bytes, counted: int, name: str) -> bool:
    """Return whether there are so many characters, a padding space or two aside."""
    try:
        found = text.decode(name)
    except UnicodeDecodeError:
        return False
    return len(found) == counted or len(found.rstrip("\0 ")) in {counted, counted - 1}
