"""Marks: what a record remembers of each file of a series, in twenty characters: which output, of what source, how
large.

Fifteen bytes a file, in base64: five of a hash of the output's name, six of the state that the source had, four of
the output's size (0 where it is not known to be whole). Names of files are in no record.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

_PLACE, _STATE, _SIZE = 5, 6, 4
_MARK = _PLACE + _STATE + _SIZE


@dataclass(frozen=True, slots=True)
class Mark:
    """`state` of the source that an output was made from, and the output's `size`, 0 where it may not be whole."""

    state: bytes
    size: int = 0


STALE = Mark(bytes(_STATE))
"""Of an output that is ours, but not of the source as it is now."""


def place_of(output: str) -> bytes:
    """Return what stands for an output's name."""
    return hashlib.blake2b(output.encode("utf-8", "surrogateescape"), digest_size=_PLACE).digest()


def mark_of(state: bytes, size: int = 0) -> Mark:
    """Of a source in `state`, whose output has `size` bytes."""
    return Mark(state[:_STATE], size % (1 << 8 * _SIZE))


def absent(state: bytes, reason: str) -> Mark:
    """Of a source that has no output, for `reason`."""
    digest = hashlib.blake2b(state + reason.encode("utf-8", "replace"), digest_size=_STATE)
    return Mark(digest.digest())


def packed(marks: Mapping[bytes, Mark]) -> str:
    """As a record has them."""
    whole = b"".join(
        place + mark.state + mark.size.to_bytes(_SIZE, "big") for place, mark in sorted(marks.items())
    )
    return base64.b64encode(whole).decode("ascii")


def unpacked(text: str) -> dict[bytes, Mark]:
    """By place; what is damaged counts for nothing."""
    try:
        whole = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return {}
    return {
        whole[at : at + _PLACE]: Mark(
            whole[at + _PLACE : at + _PLACE + _STATE],
            int.from_bytes(whole[at + _MARK - _SIZE : at + _MARK], "big"),
        )
        for at in range(0, len(whole) - _MARK + 1, _MARK)
    }
