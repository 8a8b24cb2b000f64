"""Whether stored bytes are still those that were stored: digests, and streams that hold what they read against them.

An instance has a SHA-256 of its whole, by which anybody can check it, and a CRC-32 of each block, by which a part of
it is checked at the cost of a block. A stream hands out no byte before its block was checked. Where digests are kept
is the index's and the stores'; when all of an archive is checked is `verification`'s.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from isal.isal_zlib import crc32

from hounsfield.ct.instance import Source
from hounsfield.errors import DamagedError, LocationError
from hounsfield.language import say

BLOCK = 1 << 16
"""Bytes that have one CRC-32; it is part of what the index keeps, and cannot change without a migration."""

READ_BYTES = 1 << 20
"""Bytes read at once where all of an instance is hashed."""

_CRC = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Digest:
    """`sha256`: 32 bytes, of the whole; `blocks`: the CRC-32 of each `BLOCK`, 4 bytes each, big-endian."""

    sha256: bytes
    blocks: bytes

    @property
    def seal(self) -> Seal:
        return Seal(self.sha256, self.blocks[: _CRC.size])


@dataclass(frozen=True, slots=True)
class Seal:
    """The digests that a store keeps with an instance: the SHA-256 of all, and the CRC-32 of the first block.

    With the latter a header is checked at the cost of a block when an index is made anew.
    """

    sha256: bytes
    first: bytes

    def check(self, source: Source, end: int) -> bool:
        """Whether the first `end` bytes are those that were stored; beyond the first block all are read for it."""
        if end > BLOCK:
            return digest_of(source)[0].sha256 == self.sha256
        with source.open() as stream:
            found = stream.read(BLOCK)
            while len(found) < BLOCK and (more := stream.read(BLOCK - len(found))):
                found += more
        return self.first == (_CRC.pack(crc32(found)) if found else b"")


DAMAGED = b""
"""In place of `blocks` of an instance whose header was damaged when it was indexed: no block of it is ever right."""


class Hasher:
    """Makes the digest of bytes as they come."""

    def __init__(self) -> None:
        self._whole = hashlib.sha256()
        self._blocks = bytearray()
        self._crc = self._filled = 0
        self.size = 0

    def update(self, piece: bytes | memoryview) -> None:
        self._whole.update(piece)
        view = memoryview(piece)
        self.size += len(view)
        while view:
            part = view[: BLOCK - self._filled]
            self._crc = crc32(part, self._crc)
            self._filled += len(part)
            if self._filled == BLOCK:
                self._blocks += _CRC.pack(self._crc)
                self._crc = self._filled = 0
            view = view[len(part) :]

    def digest(self) -> Digest:
        """Of what came so far."""
        rest = _CRC.pack(self._crc) if self._filled else b""
        return Digest(self._whole.digest(), bytes(self._blocks) + rest)


def digest_of(source: Source, *, paced: Callable[[int], None] = lambda _: None) -> tuple[Digest, int]:
    """The digest of all bytes of a source and their number; `paced` is called with the bytes of each read.

    Raises `LocationError`.
    """
    hasher, buffer = Hasher(), bytearray(READ_BYTES)
    with source.open() as stream:
        while count := cast(io.RawIOBase, stream).readinto(buffer):
            hasher.update(memoryview(buffer)[:count])
            paced(count)
    return hasher.digest(), hasher.size


def damaged(instance: str, what: str, *, where: str) -> DamagedError:
    """Return the error for bytes of `instance` that are not those that were stored."""
    return DamagedError(
        say("the stored instance {instance} is damaged: {what}", instance=instance, what=what),
        where=where,
        remedy="store it again from where it came",
        instance=instance,
    )


_TEXT_MARK = "\x02"


def with_check(text: str) -> str:
    """A JSON object with its CRC-32 behind it, for a place that has no checksums of its own."""
    return f"{text}{_TEXT_MARK}{crc32(text.encode('utf-8', 'surrogatepass')):08x}"


def checked(text: str, uid: str) -> str:
    """Return the text that `with_check` was given; older text without a check unchanged. `uid`: of what it describes.

    Raises `DamagedError`.
    """
    content, mark, _ = text.rpartition(_TEXT_MARK)
    if (not mark and text.endswith("}")) or (mark and with_check(content) == text):
        return content or text
    raise DamagedError(
        say("the index entry of {uid} is damaged", uid=uid),
        where="the index",
        remedy="rebuild it with serve --reindex",
        instance=uid,
    )


class CheckedSource:
    """The bytes of one instance, each block of which is held against its CRC-32 before any of it is handed out.

    `size`: bytes there were; `blocks`: their CRC-32, or a function that makes it out when the source is first
    opened (None: nothing is known, and nothing is checked). `on_damage` is called with each damage that is found;
    `problem` is the last one of them, for who asked someone that passes over what cannot be read.
    """

    def __init__(
        self,
        source: Source,
        instance: str,
        size: int | None,
        blocks: bytes | Callable[[CheckedSource], tuple[int, bytes] | None],
        on_damage: Callable[[DamagedError], None] = lambda _: None,
    ) -> None:
        self.stored, self.instance, self.size, self._on_damage = source, instance, size, on_damage
        self._blocks = blocks
        self.problem: DamagedError | None = None

    @property
    def name(self) -> str:
        return self.stored.name

    def open(self) -> BinaryIO:
        try:
            if callable(self._blocks):
                made = self._blocks(self)
                if made is None:
                    return self.stored.open()
                self.size, self._blocks = made
            stream = self.stored.open()
        except DamagedError:
            raise
        except LocationError as error:
            error.found = f"the stored instance {self.instance}: {error.found}"
            raise
        found = stream.seek(0, io.SEEK_END)
        if found != self.size:
            stream.close()
            raise self.fail(say("it has {found} bytes and had {size}", found=found, size=self.size))
        return cast(BinaryIO, _CheckedStream(self, stream, found, self._blocks))

    def fail(self, what: str) -> DamagedError:
        """Report damage; return the error to raise."""
        self.problem = damaged(self.instance, what, where=self.name)
        self._on_damage(self.problem)
        return self.problem


class _CheckedStream(io.RawIOBase):
    """A seekable stream. Whole blocks go to where they are wanted and are checked there; of others one is held.

    It has no `fileno`: who reads past it would read what nobody checked.
    """

    def __init__(self, source: CheckedSource, stream: BinaryIO, size: int, blocks: bytes) -> None:
        super().__init__()
        self._source, self._stream, self._size, self._blocks = source, stream, size, blocks
        self._position, self._place = 0, size
        self._held, self._number = b"", -1

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._position, self._size)[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        self._stream.close()
        super().close()

    def read(self, size: int | None = -1) -> bytes:
        left = max(self._size - self._position, 0)
        content = bytearray(left if size is None or size < 0 else min(size, left))
        self.readinto(content)
        return bytes(content)

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        view = view[: max(self._size - self._position, 0)]
        done = 0
        while done < len(view):
            number, offset = divmod(self._position, BLOCK)
            stop = self._position + len(view) - done
            # The last block may be short.
            whole = 0 if offset else (stop if stop == self._size else stop - stop % BLOCK) - self._position
            if whole:
                self._fill(self._position, view[done : done + whole])
                self._check(number, view[done : done + whole])
                count = whole
            else:
                part = memoryview(self._block(number))[offset : offset + len(view) - done]
                count = len(part)
                view[done : done + count] = part
            done += count
            self._position += count
        return done

    def _block(self, number: int) -> bytes:
        if number != self._number:
            held = bytearray(min(BLOCK, self._size - number * BLOCK))
            self._fill(number * BLOCK, memoryview(held))
            self._check(number, memoryview(held))
            self._held, self._number = bytes(held), number
        return self._held

    def _fill(self, start: int, view: memoryview) -> None:
        if self._place != start:
            self._stream.seek(start)
        self._place, done = start, 0
        while done < len(view):
            count = cast(io.RawIOBase, self._stream).readinto(view[done:]) or 0
            self._place += count
            done += count
            if not count:
                raise self._source.fail(
                    say("it ends after {place} of {size} bytes", place=self._place, size=self._size)
                )

    def _check(self, number: int, view: memoryview) -> None:
        """Hold blocks from `number` on against their CRC-32."""
        for start in range(0, len(view), BLOCK):
            place = _CRC.size * (number + start // BLOCK)
            if self._blocks[place : place + _CRC.size] != _CRC.pack(crc32(view[start : start + BLOCK])):
                first = number * BLOCK + start
                last = min(first + BLOCK, self._size)
                raise self._source.fail(
                    say(
                        "bytes {first} to {number} are not those that were stored",
                        first=first,
                        number=last - 1,
                    )
                )


def check_all(sources: Iterable[Source]) -> None:
    """Raise the damage that was met in one of these and passed over by who read it."""
    for source in sources:
        problem = getattr(source, "problem", None)
        if problem is not None:
            raise problem
