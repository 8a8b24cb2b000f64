"""Seekable streams over parts of a file: a run of its bytes as it is, or inflated as far as it is read.

Every stream has a descriptor of its own, so any number may be open in any threads. Sizes are those that the
archive declares; a stream never yields, keeps or inflates a byte more.
"""

from __future__ import annotations

import io
import tempfile
import zlib
from typing import TYPE_CHECKING, BinaryIO, cast

from hounsfield.errors import MalformedError, TruncatedError
from hounsfield.language import say

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

KEPT_IN_MEMORY = 256 << 20
"""Bytes of an inflated member that are kept in memory; a larger one is kept in a temporary file."""

LEAST_STEP = 32 << 10
LARGEST_STEP = 4 << 20
"""Bytes inflated at a time: how far beyond a request, and how many at most of a large one."""


class Extent(io.RawIOBase):
    """`size` bytes of `file` from `offset` on, as a stream of their own that closes `file` with itself."""

    def __init__(self, file: BinaryIO, offset: int, size: int, name: str) -> None:
        super().__init__()
        self._file = file
        self._offset = offset
        self._size = size
        self._position = 0
        self.name = name

    def _ready(self, end: int) -> None:
        """See to it that the bytes before `end` are in the file, or raise; a hook for what is made on demand."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._check_open()
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(22, "seek before the beginning")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        view = view[: self._begin(len(view))]
        done = 0
        while done < len(view):
            got = self._file.readinto(view[done:])  # type: ignore[attr-defined]
            if not got:
                raise _short(self.name, self._position + done, self._size)
            done += got
        self._position += done
        return done

    def read(self, size: int | None = -1, /) -> bytes:
        count = self._begin(self._size if size is None or size < 0 else size)
        content = self._file.read(count)
        while len(content) < count:
            more = self._file.read(count - len(content))
            if not more:
                raise _short(self.name, self._position + len(content), self._size)
            content += more
        self._position += count
        return content

    def readall(self) -> bytes:
        return self.read()

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def _begin(self, wanted: int) -> int:
        """Return how many of `wanted` bytes there are from here; the file stands at the first of them."""
        self._check_open()
        count = min(wanted, max(self._size - self._position, 0))
        if count:
            self._ready(self._position + count)
            self._file.seek(self._offset + self._position)
        return count

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("the stream is closed")


class Inflated(Extent):
    """A deflated member (RFC 1951), inflated as it is read and kept, so that a header costs no whole member.

    `stream` stands at the first of `packed` bytes. The checksum is compared once the last byte is inflated.
    """

    def __init__(self, stream: BinaryIO, packed: int, size: int, checksum: int, name: str) -> None:
        kept = io.BytesIO() if size <= KEPT_IN_MEMORY else tempfile.TemporaryFile()  # noqa: SIM115 (closed below)
        super().__init__(cast(BinaryIO, kept), 0, size, name)
        self._stream = stream
        self._packed_left = packed
        self._checksum = checksum
        self._seen = 0
        self._inflated = 0
        self._decoder = zlib.decompressobj(-zlib.MAX_WBITS)

    def _ready(self, end: int) -> None:
        while self._inflated < end:
            # A header is inflated in small steps, the pixels behind it in few.
            self._inflate(min(max(end - self._inflated, LEAST_STEP), LARGEST_STEP))

    def _inflate(self, step: int) -> None:
        packed = self._decoder.unconsumed_tail
        if not packed:
            packed = self._stream.read(min(step, self._packed_left))
            self._packed_left -= len(packed)
        try:
            chunk = self._decoder.decompress(packed, step)
        except zlib.error as error:
            raise MalformedError(
                say("is broken where it is inflated: {error}", error=error), where=self.name
            ) from error
        if not chunk and (self._decoder.eof or not packed):
            raise _short(self.name, self._inflated, self._size)
        if self._inflated + len(chunk) > self._size:
            raise MalformedError(
                "expands to more than the archive declares",
                expected=say("{size} bytes", size=self._size),
                where=self.name,
            )
        self._seen = zlib.crc32(chunk, self._seen)
        self._file.seek(self._inflated)
        self._file.write(chunk)
        self._inflated += len(chunk)
        if self._inflated == self._size and self._seen != self._checksum:
            raise MalformedError(
                say("has the checksum {seen}", seen=format(self._seen, "08x")),
                expected=f"{self._checksum:08x}",
                where=self.name,
            )

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def _short(name: str, found: int, expected: int) -> TruncatedError:
    return TruncatedError(
        say("ends after {found} bytes", found=found),
        expected=say("{expected}, as the archive declares", expected=expected),
        where=name,
        remedy="the archive is damaged or was not copied whole",
        found_bytes=found,
        expected_bytes=expected,
    )
