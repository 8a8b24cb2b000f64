"""Instances on their way out, in blocks of half a megabyte: one read, one write, no copy between.

A block is large, so that a thread is asked seldom; and there is one at a time, so that sixty-four clients at once
need sixty-four of them and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO

from hounsfield.dicomweb.multipart import closing, new_boundary, part_head
from hounsfield.errors import LocationError
from hounsfield.instance import Source

BLOCK = 1 << 19
"""Bytes read at once."""

Blocks = Iterator[bytes | bytearray]
Piece = bytes | tuple[Source, int, int]
"""Bytes as they are, or a source with the range (start, stop) of it to send."""


def blocks(pieces: Iterable[Piece]) -> Blocks:
    """The pieces one after another, in blocks of `BLOCK` bytes. A source that is too short is an error."""
    block, filled = bytearray(BLOCK), 0
    for piece in pieces:
        if isinstance(piece, bytes):
            start = 0
            while start < len(piece):
                count = min(len(piece) - start, BLOCK - filled)
                block[filled : filled + count] = piece[start : start + count]
                start, filled = start + count, filled + count
                if filled == BLOCK:
                    yield block
                    block, filled = bytearray(BLOCK), 0
            continue
        source, first, last = piece
        with source.open() as stream:
            if first:
                stream.seek(first)
            left = last - first
            while left:
                count = _read_into(stream, memoryview(block)[filled : filled + min(left, BLOCK - filled)])
                if not count:
                    raise LocationError("a stored instance is shorter than it was", where=source.name)
                left, filled = left - count, filled + count
                if filled == BLOCK:
                    yield block
                    block, filled = bytearray(BLOCK), 0
    if filled:
        del block[filled:]
        yield block


def _read_into(stream: BinaryIO, view: memoryview) -> int:
    count: int | None = stream.readinto(view)  # type: ignore[attr-defined]
    return count or 0


class Multipart:
    """A multipart/related body of parts whose contents are pieces; its length is known before it is sent."""

    def __init__(
        self, parts: Sequence[tuple[Sequence[tuple[str, str]], int | None, Callable[[], Piece]]]
    ) -> None:
        """Each part: its headers, its length (None: not known yet), and what makes its content when its time comes."""
        self._parts = parts
        self.boundary = new_boundary()

    @property
    def length(self) -> int | None:
        """Bytes of the whole body; None while a part's length is not known."""
        total = len(closing(self.boundary, empty=not self._parts))
        for number, (headers, length, _) in enumerate(self._parts):
            if length is None:
                return None
            total += len(part_head(self.boundary, headers, first=not number)) + length
        return total

    def pieces(self) -> Iterator[Piece]:
        for number, (headers, _, content) in enumerate(self._parts):
            yield part_head(self.boundary, headers, first=not number)
            yield content()
        yield closing(self.boundary, empty=not self._parts)
