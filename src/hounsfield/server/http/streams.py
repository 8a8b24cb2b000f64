"""Instances on their way out, in blocks of up to four megabytes: no copy between what is read and what is sent.

A block is large, so that a thread is asked seldom; with many clients it is smaller, so that they do not fill the
memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import BinaryIO

from hounsfield.ct.instance import Source
from hounsfield.dicomweb.multipart import closing, new_boundary, part_head
from hounsfield.errors import HounsfieldError, LocationError

BLOCK = 1 << 22
"""Bytes read at once, at most."""

WHOLE = 1 << 21
"""Bytes of text up to which an answer is made before it is sent, and says how long it is."""

SHARES = ((2, 1), (8, 4))
"""Up to so many bodies that go out at once, each has this share of `BLOCK`."""

LEAST_SHARE = 16
"""With more of them."""

Blocks = Iterator[memoryview]
"""Each good for as long as it is held; its memory is used again afterwards."""
Piece = bytes | tuple[Source, int, int]
"""Bytes as they are, or a source with the range (start, stop) of it to send."""


class _Streams:
    """Count of bodies that go out now: few get large blocks, which cost least; many get small ones, which fit."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()

    def change(self, by: int) -> None:
        with self._lock:
            self._count += by

    def size(self) -> int:
        """Bytes of a block that suit the moment."""
        return BLOCK // next((share for most, share in SHARES if self._count <= most), LEAST_SHARE)


_streams = _Streams()


class _Blocks:
    """The blocks of one body, filled again once nobody holds a view of them; a new one would be cleared first."""

    def __init__(self) -> None:
        self._gone: list[bytearray] = []

    def next(self, block: bytearray | None = None) -> bytearray:
        """One to be filled, after `block` was handed out."""
        if block is None:
            # The first block is small, so that what is to come is read while it is under way already.
            return bytearray(BLOCK // LEAST_SHARE)
        size = _streams.size()
        self._gone = [each for each in (*self._gone[-2:], block) if len(each) == size]
        for number, each in enumerate(self._gone):
            if _is_free(each):
                return self._gone.pop(number)
        return bytearray(size)


def _is_free(block: bytearray) -> bool:
    """Whether nobody holds a view of it: who does forbids that it changes its size."""
    try:
        block.append(block.pop())
    except BufferError:
        return False
    return True


def blocks(pieces: Iterable[Piece]) -> Blocks:
    """The pieces one after another, in blocks of at most `BLOCK` bytes. A source that is too short is an error."""
    _streams.change(1)
    try:
        yield from _blocks(pieces)
    finally:
        _streams.change(-1)


def whole_or_blocks(pieces: Iterator[bytes]) -> bytes | Blocks:
    """The pieces joined, where they are no more than `WHOLE`; else in blocks, made while they go out."""
    held, size = list[bytes](), 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size > WHOLE:
            return blocks(chain(held, pieces))
    return b"".join(held)


def _blocks(pieces: Iterable[Piece]) -> Blocks:
    used = _Blocks()
    block, filled = used.next(), 0
    for piece in pieces:
        for view in _views(piece):
            start = 0
            while start < len(view):
                count = min(len(view) - start, len(block) - filled)
                block[filled : filled + count] = view[start : start + count]
                start, filled = start + count, filled + count
                if filled == len(block):
                    yield memoryview(block)
                    block, filled = used.next(block), 0
        if isinstance(piece, bytes):
            continue
        source, first, last = piece
        with source.open() as stream:
            if first:
                stream.seek(first)
            left = last - first
            while left:
                room = min(left, len(block) - filled)
                count = _read_into(stream, memoryview(block)[filled : filled + room])
                if not count:
                    raise LocationError("a stored instance is truncated", where=source.name)
                left, filled = left - count, filled + count
                if filled == len(block):
                    yield memoryview(block)
                    block, filled = used.next(block), 0
    if filled:
        yield memoryview(block)[:filled]


def _views(piece: Piece) -> tuple[bytes, ...]:
    """The bytes of a piece that is in memory already."""
    return (piece,) if isinstance(piece, bytes) else ()


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
        """The body; a part that fails when its time comes is left out, and the body then has no end."""
        empty = True
        late: HounsfieldError | None = None
        for headers, _, content in self._parts:
            try:
                piece = content()
            except LocationError:
                raise
            except HounsfieldError as error:
                late = late or error
                continue
            yield part_head(self.boundary, headers, first=empty)
            yield piece
            empty = False
        if late is not None:
            raise late
        yield closing(self.boundary, empty=empty)
