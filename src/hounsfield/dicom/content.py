"""Bytes of a file, of memory or of a stream by position, for walks that read a few at a time."""

from __future__ import annotations

import io
import mmap
from typing import BinaryIO, TypeAlias

Content: TypeAlias = "bytes | bytearray | memoryview | mmap.mmap | BinaryIO"

_WINDOW = 1 << 14


class ContentReader:
    """Reads of one content: of held bytes as they lie there, of a stream through a window of 16 KiB."""

    def __init__(self, content: Content, size: int | None = None) -> None:
        self._held: bytes | bytearray | memoryview | mmap.mmap | None = None
        self._window, self._window_start = b"", 0
        if isinstance(content, (bytes, bytearray, memoryview, mmap.mmap)):
            self._held = content
            self.size = len(content) if size is None else size
        else:
            self.stream: BinaryIO = content
            self.size = content.seek(0, io.SEEK_END) if size is None else size

    def read(self, start: int, length: int) -> bytes:
        """`length` bytes at `start`, fewer at the end of the content."""
        length = min(length, self.size - start)
        if length <= 0:
            return b""
        if self._held is not None:
            return bytes(self._held[start : start + length])
        offset = start - self._window_start
        if offset < 0 or offset + length > len(self._window):
            if length >= _WINDOW:
                return self._read(start, length)
            # A walk reads a few bytes at a time, and the stream may have no buffer.
            self._window, self._window_start = self._read(start, min(_WINDOW, self.size - start)), start
            offset = 0
        return self._window[offset : offset + length]

    def _read(self, start: int, length: int) -> bytes:
        self.stream.seek(start)
        content = self.stream.read(length)
        while content and len(content) < length and (more := self.stream.read(length - len(content))):
            content += more
        return content
