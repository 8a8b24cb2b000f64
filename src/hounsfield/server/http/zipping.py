"""A ZIP archive that is made while it goes out: nothing whole in memory or on disk, and of any size (ZIP64).

Entries are deflated without compression: pixels that can be compressed well are so already, and readers that take an
archive from a stream cannot do so where entries are merely stored.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator

from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.server.http.streams import Piece, blocks

ZIP = "application/zip"

_LARGE = 1 << 31
"""Bytes of an entry from which on its header has room for a longer length."""

_SENT_AT_ONCE = 1 << 18


class _Pipe(io.RawIOBase):
    """A stream that cannot be sought: what is written waits until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._written: list[bytes] = []
        self.waiting = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._written.append(bytes(data))
        self.waiting += len(data)
        return len(data)

    def take(self) -> bytes:
        taken, self._written, self.waiting = b"".join(self._written), [], 0
        return taken


def zipped(entries: Iterable[tuple[str, int | None, Callable[[], Piece]]]) -> Iterator[bytes]:
    """The archive of entries, each a name, its length (None: not known) and what makes its content, in blocks.

    An entry that fails when its time comes is left out, and the archive then has no end.
    """
    pipe = _Pipe()
    late: HounsfieldError | None = None
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=0) as archive:
        for name, length, content in entries:
            try:
                piece = content()
            except LocationError:
                raise
            except HounsfieldError as error:
                late = late or error
                continue
            with archive.open(name, "w", force_zip64=length is None or length >= _LARGE) as entry:
                for block in blocks([piece]):
                    entry.write(block)
                    if pipe.waiting >= _SENT_AT_ONCE:
                        yield pipe.take()
        if late is not None:
            raise late
    yield pipe.take()
